"""What an exploration found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.configurations import ABSTRACTIONS
from anchorwatch.diagrams.check.model import Model
from anchorwatch.diagrams.check.properties import ACTIONS, PROPERTIES
from anchorwatch.diagrams.check.search import Counterexample, Explored


class Checked(msgspec.Struct, frozen=True):
    """One configuration and what became of it; ``witnesses`` are the properties that some state speaks of."""

    bounds: Bounds
    explored: Explored
    witnesses: frozenset[str]


def table(model: Model, found: Counterexample) -> Iterator[str]:
    """The shortest counterexample as a table: what happened, and how things stood after it."""
    yield f"{found.property} is broken{': ' + found.words if found.words else ''}"
    heads = ("stage", "entry", "close", "position", "protection", "book", "held", "booked", "stops")
    yield f"{'':4}{'what happened':<64}" + "".join(f"{head:<13}" for head in heads)
    for number, step in enumerate(found.steps):
        facets, leg, _ = model.shown(step.core)
        stops = "+".join(name for name, stop in (("meant", leg.mine), ("other", leg.other)) if stop.live)
        cells = (
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
        yield f"{number:>3} {step.label:<64}" + "".join(f"{cell!s:<13}" for cell in cells)


def line(checked: Checked) -> str:
    """One configuration in one line."""
    explored = checked.explored
    end = "complete" if explored.complete else "NOT COMPLETE"
    return (
        f"{explored.name:<18}{explored.states:>10,} states {explored.transitions:>11,} transitions "
        f"{explored.depth:>4} deep {explored.seconds:>7.1f} s  {end}"
    )


def as_mapping(results: Sequence[Checked], caught: dict[str, bool]) -> dict[str, Any]:
    """The keys that programs read. ``caught``: property → whether its planted defect was named by it."""
    broken = {found.property for one in results for found in one.explored.counterexamples}
    witnesses = frozenset[str]().union(*(one.witnesses for one in results))
    words = {**ACTIONS, **{one.id: one.words for one in PROPERTIES}}
    return {
        "configs": [_config(one) for one in results],
        "states": sum(one.explored.states for one in results),
        "seconds": round(sum(one.explored.seconds for one in results), 2),
        "properties": [
            {
                "name": name,
                "kind": "safety",
                "words": words[name],
                "holds": name not in broken,
                "witness": name in witnesses if name not in ACTIONS else None,
                "planted_defect_caught": caught.get(name),
                "fairness": None,
            }
            for name in sorted(words, key=lambda name: int(name[1:]))
        ],
        "spin": [],
        "mutants": None,
        "abstractions": list(ABSTRACTIONS),
    }


def _config(one: Checked) -> dict[str, Any]:
    explored = one.explored
    return {
        "name": explored.name,
        "bounds": msgspec.to_builtins(one.bounds, enc_hook=str),
        "states": explored.states,
        "transitions": explored.transitions,
        "depth": explored.depth,
        "seconds": explored.seconds,
        "cores": 1,
        "complete": explored.complete,
        "cut": not explored.complete,
        "clipped": None,
        "dead_ends": len(explored.dead_ends),
        "production_steps": explored.production_steps,
    }
