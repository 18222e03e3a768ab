"""A counterexample for people: the shortest way to the breach, as a table and as a sequence diagram."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.model import Model
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.diagrams.check.search import Counterexample, Step

HEADS = ("stage", "entry", "close", "position", "protection", "book", "held", "booked", "stops")


class Told(msgspec.Struct, frozen=True):
    """A counterexample in words."""

    property: str
    words: str
    steps: tuple[str, ...]
    table: str
    diagram: str


def told(model: Model, found: Counterexample) -> Told:
    """Everything that there is to say about one counterexample."""
    steps = tuple(step.label for step in (*found.steps, *found.loop))
    table_, diagram = "\n".join(table(model, found)), "\n".join(sequence(model, found))
    return Told(found.property, found.words, steps, table_, diagram)


def table(model: Model, found: Counterexample) -> Iterator[str]:
    """What happened, and how things stood after it. Where both legs are explored, the long one's."""
    yield f"{found.property} is broken{': ' + found.words if found.words else ''}"
    yield f"{'':4}{'what happened':<64}" + "".join(f"{head:<13}" for head in HEADS)
    for number, step in enumerate(found.steps):
        yield _line(model, f"{number:>3}", step)
    if found.loop:
        yield "    and from there, for ever:"
        for step in found.loop:
            yield _line(model, "  …", step)


def _line(model: Model, number: str, step: Step) -> str:
    facets, leg, _ = model.shown(step.core)
    return f"{number} {step.label:<64}" + "".join(f"{cell!s:<13}" for cell in _cells(facets, leg))


def _cells(facets: Facets, leg: Leg) -> tuple[object, ...]:
    stops = "+".join(name for name, stop in (("meant", leg.mine), ("other", leg.other)) if stop.live)
    return (
        facets.life.value,
        facets.entry.value,
        facets.close.value,
        facets.position.value,
        facets.protection.value,
        facets.reconciliation.value,
        leg.contracts,
        leg.booked,
        stops or "none",
    )


FROM_WORLD = (
    "answer",
    "late answer",
    "push:",
    "the intent",
    "the journal",
    "the reading arrives",
    "the venue's history",
)
FROM_PEOPLE = ("the strategy", "a better level", "the operator", "a limit", "the bot is asked", "somebody")
FROM_BOT = ("written",)


def sequence(model: Model, found: Counterexample) -> Iterator[str]:
    """The same as a mermaid sequence diagram: who did it, and what became of the machines."""
    yield "sequenceDiagram"
    yield "    actor people"
    yield "    participant bot"
    yield "    participant world"
    before: tuple[object, ...] = ()
    for step in (*found.steps, *found.loop):
        words = step.label.replace(";", ",").replace("#", "")
        if words.startswith(FROM_PEOPLE):
            yield f"    people->>bot: {words}"
        elif words.startswith(FROM_WORLD):
            yield f"    world-->>bot: {words}"
        elif any(part in words for part in FROM_BOT):
            yield f"    bot->>world: {words}"
        elif words.startswith(("time to", "naked", "the bot", "(before", "the process", "the deadline of")):
            yield f"    bot->>bot: {words}"
        else:
            yield f"    world->>world: {words}"
        after = _cells(*model.shown(step.core)[:2])
        changed = [
            f"{head} {cell}"
            for place, (head, cell) in enumerate(zip(HEADS, after, strict=True))
            if before and before[place] != cell
        ]
        if changed:
            yield f"    Note over bot,world: {', '.join(changed)}"
        before = after
    yield f"    Note over people,world: {found.property} is broken {found.words}".replace(";", ",").rstrip()
