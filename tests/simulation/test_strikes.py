"""A fault that is planned beside a write strikes beside a write, and the report says how often each kind did."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from anchorwatch.io.simulation.campaign import IN_FLIGHT_FLOOR, STRUCK_FLOOR, Sum
from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.scenario import find_scenario
from anchorwatch.io.simulation.world import Outcome, simulate


def test_the_price_comes_for_a_stop_while_a_request_is_under_way_and_the_stop_fails(tmp_path: Path) -> None:
    story = msgspec.structs.replace(find_scenario("busy"), for_s=240.0)
    failing = Fault(kind=Kind.STOP_FAILS, at_s=30.0, on="write")
    outcome = simulate(story, 3, (failing,), tmp_path)
    assert outcome.violations == ()
    assert (outcome.faults, outcome.in_flight) == ({"stop_fails": 1}, {"stop_fails": 1})
    # Nothing waited for the price to come: the bot closed the position that its stop had left alone.
    assert 0 < max(outcome.spells_ms) < 5_000


@pytest.mark.parametrize(
    ("struck", "in_flight", "short"),
    [
        (STRUCK_FLOOR, IN_FLIGHT_FLOOR, []),
        (STRUCK_FLOOR - 1, IN_FLIGHT_FLOOR, ["reset"]),
        (STRUCK_FLOOR, IN_FLIGHT_FLOOR - 1, ["reset"]),
    ],
)
def test_the_report_says_which_kinds_struck_too_seldom(
    struck: int, in_flight: int, short: list[str], tmp_path: Path
) -> None:
    counted = msgspec.structs.replace(
        _outcome(), faults={"reset": struck, "jitter": 99}, in_flight={"reset": in_flight, "jitter": 99}
    )
    total = Sum(outcomes=[counted])
    floors = total.floors((Kind.RESET, Kind.JITTER))
    assert (floors["short"], floors["met"]) == (short, not short)
    assert (floors["least_struck"], floors["least_in_flight"]) == (struck, in_flight)
    assert "latency" in total.floors(tuple(Kind))["short"]  # type: ignore[operator]


def _outcome() -> Outcome:
    return Outcome(
        seed=1, digest="", steps=0, entries=0, virtual_s=0.0, cpu_s=0.0, messages=0, lives=1, orders=0,
        faults={}, in_flight={}, violations=(), spells_ms=(), others_ms=(), plan=(),
    )  # fmt: skip
