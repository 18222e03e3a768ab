"""What the simulation found in the engine, each as the smallest story that showed it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from anchorwatch.io.simulation.campaign import Task
from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.scenario import find_scenario
from anchorwatch.io.simulation.world import Outcome, simulate


def played(folder: Path, *faults: Fault, scenario: str = "entry", for_s: float = 70.0) -> Outcome:
    story = msgspec.structs.replace(find_scenario(scenario), for_s=for_s)
    return simulate(story, 3, faults, folder)


def test_a_bot_that_starts_on_a_full_disk_starts_all_the_same(tmp_path: Path) -> None:
    """It raised, and an open position would have had nobody to look after it."""
    killed = Fault(kind=Kind.KILLED, at_s=10.0, for_s=5.0)
    outcome = played(tmp_path, killed, Fault(kind=Kind.DISK_FULL, at_s=12.0, for_s=30.0))
    assert outcome.violations == ()
    assert (outcome.lives, outcome.orders) == (2, 1)
    assert outcome.faults == {"disk_full": 1, "killed": 1}


def test_a_stop_whose_end_cannot_be_recorded_ends_in_order(tmp_path: Path) -> None:
    full = Fault(kind=Kind.DISK_FULL, at_s=20.0, for_s=20.0)
    outcome = played(tmp_path, full, Fault(kind=Kind.STOP, at_s=25.0, for_s=2.0))
    assert outcome.violations == ()
    assert outcome.lives == 2


def test_a_connection_that_fell_silent_within_its_first_minute_waits_longer_than_before(
    tmp_path: Path,
) -> None:
    """The observer counted the silence, and the probe that nothing answered, as a part of the connection's life."""
    reset = Fault(kind=Kind.RESET, at_s=20.0, where="all")
    outcome = played(tmp_path, reset, Fault(kind=Kind.BLACK_HOLE, at_s=64.0, for_s=2.0), for_s=120.0)
    assert outcome.violations == ()
    assert outcome.faults == {"black_hole": 1, "reset": 1}


@pytest.mark.parametrize(
    "kind",
    [Kind.SOCKET_CLOSED, Kind.UPGRADE_NOTICE, Kind.LOGIN_REFUSED, Kind.LOGIN_SLOW, Kind.HANDSHAKE_REFUSED],
)
def test_a_connection_that_ends_while_an_order_is_under_way_costs_nothing(tmp_path: Path, kind: Kind) -> None:
    """Such a fault waited for the next frame or login, seconds after the write that it had been planned for."""
    outcome = played(tmp_path, Fault(kind=kind, at_s=40.0, size=7.0, on="write"), for_s=90.0)
    assert outcome.violations == ()
    assert (outcome.faults, outcome.in_flight) == ({kind.value: 1}, {kind.value: 1})
    assert outcome.orders == 1


def test_a_stop_that_an_earlier_position_left_behind_is_swept_although_it_is_the_tighter_one() -> None:
    """Its cancel was refused three times by the rate limit; to the next position it is nobody's level."""
    busy = find_scenario("busy")
    story = msgspec.structs.replace(busy, settings={**busy.settings, "exits": {"partial_share": 0}})
    task = Task(scenario=story, seed=287, only=(2, 3, 4), until_s=251)
    assert task.run().violations == ()
