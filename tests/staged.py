"""What was put on stage in the test that runs: its worlds and its lives, for whoever asks afterwards.

The rigs enter what they build; `tests.conftest` reads it when the test is over, to hold every life's log against the
tables and to say what was done to it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.io.engine_rig import Life, World

worlds: list[World] = []
lives: list[Life] = []
done: Counter[str] = Counter()
"""What the story itself did to a life that is no fault of the exchange or the network: a crash, a lost socket, a hand."""


def clear() -> None:
    worlds.clear()
    lives.clear()
    done.clear()


def faults() -> Counter[str]:
    """Every fault that struck, by kind: of the exchange, of the network, of the story."""
    struck = Counter(done)
    for world in worlds:
        struck += world.rig.venue.faults.struck_by_kind
        if world.network is not None:
            tally = world.network.tally
            for kind in ("resets", "half_opens", "refused", "black_holes", "unresolved"):
                struck[f"network {kind.replace('_', ' ')}"] += getattr(tally, kind)
    return +struck


def switches() -> dict[str, Any]:
    """The positions of the exchange's switches that are not the default, over all worlds of the test."""
    turned: dict[str, Any] = {}
    for world in worlds:
        given = world.rig.venue.switches
        for name in given.__struct_fields__:
            value, usual = getattr(given, name), getattr(type(given)(), name)
            if value != usual:
                turned[name] = value
    return turned


def virtual_seconds() -> float:
    """How long the lives lasted, by their own clocks."""
    total_ms = 0
    for life in lives:
        lines = life.lines()
        if lines:
            total_ms += lines[-1]["at_ms"] - lines[0]["at_ms"]
    return total_ms / 1000
