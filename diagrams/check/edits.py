"""Every single edit of a row of a table and of the router, each of which can be put in force for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec

from anchorwatch.diagrams.check import router_edits
from anchorwatch.diagrams.check.contracts.driving import BESIDE
from anchorwatch.diagrams.check.defects import answering, routing
from anchorwatch.machine import bot as bots
from anchorwatch.machine.kernel import Definition, Effect, Row, Verdict

ROUTER_ANSWERS: tuple[tuple[str, object], ...] = (
    ("entry_obstacles", ()),
    ("may_still_send", ()),
    ("may_still_amend", ()),
    ("standing_obstacles", ()),
    ("resting_obstacles", ()),
    ("is_covered", True),
    ("is_covered", False),
    ("is_settled", True),
    ("is_settled", False),
    ("in_flight", True),
    ("in_flight", False),
    ("holds_ours", True),
    ("holds_ours", False),
    ("lacks_a_fact_of_the_bot", False),
    ("lacks_a_fact_of_the_bot", True),
)
ROUTER = "router"
"""What an edit of the router has for a machine."""

ROUTER_STEPS = (
    "_doubt_after_relogin",
    "_flatten_late_fills",
    "_cancel_resting_entries",
    "_end_trading_control",
)
"""Consequences that the router draws, each of which may be forgotten."""


class Mutant(msgspec.Struct, frozen=True):
    """One edit, in words. The router has no rows; ``cell`` are the rows whose turn the edit may take."""

    machine: str
    row: int
    words: str
    plant: Callable[[], AbstractContextManager[None]]
    cell: tuple[int, ...] = ()
    is_stale: bool = False  # the row is about reports of the past


def mutants() -> Iterator[Mutant]:
    """Every single edit of a row, and of the router."""
    seen: set[str] = set()
    for definition in (*bots.DEFINITIONS.values(), *BESIDE.values()):
        if definition.name not in seen:
            seen.add(definition.name)
            yield from _of_table(definition)
    for effect in bots.ROUTES:
        words = f"the route of {effect.__name__} is forgotten"
        yield Mutant(ROUTER, -1, words, _Plant(routing, effect, _nowhere))
    for name, answer in ROUTER_ANSWERS:
        yield Mutant(ROUTER, -1, f"{name} always answers {answer!r}", _Plant(answering, name, answer))
    for name in ROUTER_STEPS:
        yield Mutant(ROUTER, -1, f"{name} is forgotten", _Plant(_forgetting, name))
    for words, function, code in router_edits.edits():
        yield Mutant(ROUTER, -1, words, _Plant(router_edits.in_force, function, code))


def _of_table(definition: Definition[Any]) -> Iterator[Mutant]:
    states = definition.states
    for number, row in enumerate(definition.rows):
        guard = f" when {row.when.__name__}" if row.when is not None else ""
        where = f"{row.source.name}, {row.event.__name__}{guard}"
        edits: list[tuple[str, Row | None]] = []
        if row.verdict is Verdict.IMPOSSIBLE:
            edits.append(("is ignored", msgspec.structs.replace(row, verdict=Verdict.IGNORED)))
        else:
            edits.append(("is deleted", None))
            for state in states:
                if state is not row.dest:
                    leads = "stays" if state is row.source else f"goes to {state.name}"
                    moved = msgspec.structs.replace(row, dest=state, verdict=Verdict.MOVES)
                    edits.append((leads, moved))
        if row.then is not None:
            edits.append((f"forgets {row.then.__name__}", msgspec.structs.replace(row, then=None)))
        if row.when is not None:
            edits.append(("drops its guard", msgspec.structs.replace(row, when=None)))
        for words, edited in edits:
            plant = _Plant(edited_table, definition.name, number, edited)
            takes_turns = words == "drops its guard"
            cell = tuple(
                other
                for other, one in enumerate(definition.rows)
                if other == number or (takes_turns and (one.source, one.event) == (row.source, row.event))
            )
            is_stale = row.verdict is Verdict.IGNORED and row.when is not None and not takes_turns
            yield Mutant(definition.name, number, f"{where}: {words}", plant, cell, is_stale)


class _Plant:
    def __init__(self, make: Callable[..., AbstractContextManager[None]], *given: Any) -> None:
        self._make, self._given = make, given

    def __call__(self) -> AbstractContextManager[None]:
        return self._make(*self._given)


@contextmanager
def edited_table(machine: str, number: int, edited: Row | None) -> Iterator[None]:
    """The table of ``machine`` with one row edited, or without it; what lies below in its cell is cut if need be."""
    before, beside = dict(bots.DEFINITIONS), dict(BESIDE)
    for part, definition in before.items():
        if definition.name == machine:
            bots.DEFINITIONS[part] = _with(definition, number, edited)
    if machine in beside:
        BESIDE[machine] = _with(beside[machine], number, edited)
    try:
        yield
    finally:
        bots.DEFINITIONS.update(before)
        BESIDE.update(beside)


def _with(definition: Definition[Any], number: int, edited: Row | None) -> Definition[Any]:
    rows = list(definition.rows)
    row = rows[number]
    cell = [one for one in range(len(rows)) if (rows[one].source, rows[one].event) == (row.source, row.event)]
    if edited is not None:
        rows[number] = edited
        if edited.when is None:
            rows = [one for place, one in enumerate(rows) if place not in cell or place <= number]
    elif number == cell[-1]:
        rows[number] = Row(row.source, row.event, row.source, because="deleted", verdict=Verdict.IMPOSSIBLE)
    else:
        del rows[number]
    return Definition(definition.name, definition.initial, rows)


@contextmanager
def _forgetting(name: str) -> Iterator[None]:
    before = getattr(bots._Run, name)
    setattr(bots._Run, name, lambda *_: None)
    try:
        yield
    finally:
        setattr(bots._Run, name, before)


def _nowhere(run: Any, address: bots.Address, effect: Effect) -> list[bots.Told]:
    return []
