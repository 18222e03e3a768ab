"""Half of a position is taken with a profit while everything goes wrong: what is left stays covered and counted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from anchorwatch.io.simulation.campaign import Task
from anchorwatch.io.simulation.scenario import find_scenario
from anchorwatch.io.simulation.world import Outcome, World, simulate


def played(name: str, seed: int, for_s: float, room: Path) -> tuple[Outcome, bytes]:
    """A scenario with what its seed makes go wrong, and its tapes."""
    story = msgspec.structs.replace(find_scenario(name), for_s=for_s)
    tapes, disks = room / "tapes", room / "disks"
    tapes.mkdir()
    disks.mkdir()

    def record(world: World) -> None:
        world.tape = tapes / "life"

    outcome = simulate(story, seed, Task(scenario=story, seed=seed).plan(), disks, at_start=record)
    return outcome, b"".join(part.read_bytes() for part in tapes.iterdir())


# A life that is killed leaves its requests where they stand, and httpx says so when they are collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "seed"), [("busy", 2), ("busy-market", 4), ("busy-net", 6)])
def test_parts_are_taken_under_faults_and_nothing_is_violated(tmp_path: Path, name: str, seed: int) -> None:
    outcome, recorded = played(name, seed, 300.0, tmp_path)
    assert outcome.violations == ()
    assert recorded.count("OPEN → REDUCING".encode()) > 0, "no part was taken: the story says nothing"


def test_in_its_own_scenario_one_part_is_taken(tmp_path: Path) -> None:
    outcome, recorded = played("part-taken", 3, 100.0, tmp_path)
    assert outcome.violations == ()
    assert recorded.count("OPEN → REDUCING".encode()) == 1
