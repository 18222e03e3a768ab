"""How long a position lies open without a stop: a sample of what ``python -m tests.unprotected`` measures in full."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.venue.switches import Switches
from tests.mission.rig import BTC_LONG, exchange, still
from tests.unprotected.cases import CASES, ROUND_TRIP_MS, SLOWEST_MS, SWITCHES, WEATHER, Case, measure
from tests.unprotected.ghost import Ghost
from tests.venue.rig import Rig

IN_NORMAL_RUNNING = [case for case in CASES if ";" not in case.name]
# The way that has the least to fall back on: no stop of the exchange's own comes into being for a part.
UNDER_A_FAULT = [case for case in CASES if case.name.startswith("maker entry, a third;")]
UNDER = pytest.mark.parametrize("switches", SWITCHES, ids=lambda one: str(one.attached_after))


@UNDER
@pytest.mark.parametrize("case", IN_NORMAL_RUNNING, ids=lambda case: case.name)
async def test_a_stop_is_live_within_a_round_trip_of_the_first_fill(
    autojump_clock: MockClock, case: Case, switches: Switches
) -> None:
    assert max(await measure(case, switches, episodes=4, seed=2)) <= ROUND_TRIP_MS


@pytest.mark.parametrize("case", UNDER_A_FAULT, ids=lambda case: case.name)
async def test_under_any_single_fault_it_is_live_within_five_seconds(
    autojump_clock: MockClock, case: Case
) -> None:
    assert max(await measure(case, SWITCHES[0], episodes=2, seed=3)) <= SLOWEST_MS


async def test_beyond_five_seconds_a_person_is_told_within_two(autojump_clock: MockClock) -> None:
    """Nothing that trades is accepted: neither the stop nor the close that would follow."""
    async with exchange(weather=WEATHER) as scene, scene.life(still()) as life:
        await life.ready()
        for path in ("trade/order-algo", "trade/order", "trade/close-position"):
            scene.fault("reject_with_code", path, times=0, code="50001")
        scene.trade(BTC_LONG, "0.5")
        opened_ms = scene.seams.wall_ms()
        await trio.sleep(60)
        told = life.one("UNPROTECTED")
        assert told["level"] == "alarm"
        assert SLOWEST_MS < told["at_ms"] - opened_ms <= SLOWEST_MS + 2_000
        assert told["leg"] == str(BTC_LONG)
        scene.heal()
        await life.flat()


def test_the_watcher_sees_what_is_uncovered_and_until_when() -> None:
    rig = Rig()
    ghost = Ghost(rig.venue)
    rig.order("buy", "1")
    opened_ms = rig.clock.now_ms

    def protect_half() -> None:
        answer = rig.algo("sell", sz="0.5", slTriggerPx="59000", slOrdPx="-1", reduceOnly="true")
        assert answer["sCode"] == "0", answer
        rig.venue.settle()

    rig.pass_ms(700)
    protect_half()
    assert ghost.bare == {("BTC-USDT-SWAP", "long"): opened_ms}, "half a stop is none"
    rig.pass_ms(300)
    protect_half()
    assert ghost.bare == {}
    assert [spell.lasted_ms for spell in ghost.spells] == [1_000]
