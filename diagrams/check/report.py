"""What a run of the check found, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from anchorwatch.diagrams.check import unanswered
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.configurations import ABSTRACTIONS
from anchorwatch.diagrams.check.liveness import PROMISES
from anchorwatch.diagrams.check.properties import ACTIONS, PROPERTIES
from anchorwatch.diagrams.check.search import Explored
from anchorwatch.diagrams.check.telling import Told

Row = tuple[str, int]


class Checked(msgspec.Struct, frozen=True):
    """One configuration and what became of it."""

    bounds: Bounds
    explored: Explored
    witnesses: frozenset[str]  # the properties that some state or step speaks of
    told: tuple[Told, ...]  # what is broken
    liveness_s: float

    @property
    def is_sound(self) -> bool:
        return self.explored.complete and not self.told


def line(checked: Checked) -> str:
    """One configuration in one line."""
    explored = checked.explored
    end = "complete" if explored.complete else "NOT COMPLETE"
    return (
        f"{explored.name:<18}{explored.states:>10,} states {explored.transitions:>11,} transitions "
        f"{explored.depth:>4} deep {explored.seconds:>7.1f} s  {end}"
    )


def as_mapping(
    results: Sequence[Checked],
    caught: dict[str, bool],
    *,
    seconds: float,
    cores: int,
    spin: Sequence[dict[str, Any]] = (),
    mutants: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The keys that programs read. ``caught``: property → whether its planted defect was named by it, alone."""
    broken = {found.property for one in results for found in one.told}
    witnesses = frozenset[str]().union(*(one.witnesses for one in results))
    safety = {**ACTIONS, **{one.id: one.words for one in PROPERTIES}}
    properties = [
        *((name, "safety", safety[name], None) for name in sorted(safety, key=lambda name: int(name[1:]))),
        *((one.id, "liveness", one.words, one.fairness) for one in PROMISES),
    ]
    return {
        "configs": [_config(one) for one in results],
        "states": sum(one.explored.states for one in results),
        "seconds": round(seconds, 2),
        "cores": cores,
        "properties": [
            {
                "name": name,
                "kind": kind,
                "words": words,
                "holds": name not in broken,
                "witness": name in witnesses,
                "planted_defect_caught": caught.get(name, False),
                "fairness": fairness,
            }
            for name, kind, words, fairness in properties
        ],
        "counterexamples": [msgspec.to_builtins(found) for one in results for found in one.told],
        "rows": rows_of(results),
        "rules": sorted(frozenset[str]().union(*(one.explored.labels for one in results))),
        "spin": list(spin),
        "mutants": mutants,
        "abstractions": list(ABSTRACTIONS),
    }


def rows_of(results: Sequence[Checked]) -> dict[str, Any]:
    """How many rows of the tables have answered in these worlds, and why the others have not: see `unanswered`."""
    fired, told = (
        frozenset[Row]().union(*(getattr(one.explored, name) for one in results)) for name in ("rows", "told")
    )
    return unanswered.summed(fired, told)


def _config(one: Checked) -> dict[str, Any]:
    explored = one.explored
    return {
        "name": explored.name,
        "bounds": msgspec.to_builtins(one.bounds, enc_hook=str),
        "states": explored.states,
        "cores_of_states": explored.cores,
        "transitions": explored.transitions,
        "depth": explored.depth,
        "seconds": round(explored.seconds + one.liveness_s, 2),
        "cores": 1,
        "complete": explored.complete,
        "cut": not explored.complete,
        "clipped": 0,
        "production_steps": explored.production_steps,
    }
