"""Half of a position is taken with a profit while everything goes wrong: what is left stays covered and counted."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anchorwatch.io.simulation.campaign import Task
from anchorwatch.io.simulation.scenario import find_scenario
from anchorwatch.io.simulation.world import World, simulate


# A life that is killed leaves its requests where they stand, and httpx says so when they are collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "seed"), [("busy", 2), ("busy-market", 4), ("busy-net", 6)])
def test_parts_are_taken_under_faults_and_nothing_is_violated(tmp_path: Path, name: str, seed: int) -> None:
    found = find_scenario(name)
    exits: dict[str, Any] = {"partial_share": Decimal("0.5"), "partial_at_fraction": Decimal("0.0005")}
    story = msgspec.structs.replace(found, for_s=300.0, settings={**found.settings, "exits": exits})
    tapes = tmp_path / "tapes"
    disks = tmp_path / "disks"
    tapes.mkdir()
    disks.mkdir()

    def record(world: World) -> None:
        world.tape = tapes / "life"

    outcome = simulate(story, seed, Task(scenario=story, seed=seed).plan(), disks, at_start=record)
    assert outcome.violations == ()
    recorded = b"".join(part.read_bytes() for part in tapes.iterdir())
    assert recorded.count("OPEN → REDUCING".encode()) > 0, "no part was taken: the story says nothing"
