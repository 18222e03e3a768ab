"""The dead man's switch: what rests is taken back when the bot is silent, and no stop ever goes with it (S16).

Nobody has said whether OKX's cancel-all-after touches algo orders, so both positions of the exchange's switch are here.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.simulation.network import HostFault
from anchorwatch.io.venue.cancel_all_after import Countdown
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine import dead_man, order
from anchorwatch.machine.connection import Name
from anchorwatch.machine.ids import TAG_ENTRY, Made
from tests.io.engine_rig import FAKE_HOST
from tests.mission.rig import BTC_LONG, BTC_SHORT, ETH_LONG, OneLife, Scene, eager, exchange
from tests.mission.test_maker_entries import maker, rested, resting, through
from tests.venue.rig import BTC, ETH

BOTH = pytest.mark.parametrize("takes_algos", [False, True], ids=["leaves algo orders", "takes algo orders"])
BESIDE = {
    "symbols": [BTC, ETH],
    "strategy__sides": "long",
    "protection__take_profit_fraction": Decimal(0),
    "protection__max_holding_min": 0,
}
"""A position on another instrument, which only a stop closes."""


def countdowns(scene: Scene) -> list[Countdown]:
    return scene.rig.venue.cancel_all_after.running()


def state(life: OneLife) -> dead_man.S:
    found = life.bot.dead_man.state
    assert isinstance(found, dead_man.S)
    return found


async def silence(scene: Scene, seconds: float) -> None:
    """Nothing gets through to the exchange for so long."""
    network = scene.network
    assert network is not None
    network.break_host(FAKE_HOST, HostFault.BLACK_HOLE)
    for connection in network.connections():
        connection.half_open()
    await trio.sleep(seconds)
    network.mend_host(FAKE_HOST)


async def test_the_switch_is_armed_while_an_entry_rests_renewed_and_disarmed_when_it_has_filled(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            await trio.sleep(30)
            assert scene.writes("trade/cancel-all-after") == []
            one = await rested(scene, life)
            await trio.sleep(25)
            assert [countdown.tag for countdown in countdowns(scene)] == [TAG_ENTRY]
            assert len(scene.writes("trade/cancel-all-after")) == 3  # armed, and renewed every 10 s
            scene.rig.price_now(through(one.px, BTC_LONG))
            await life.entered()
            await trio.sleep(2)
            assert countdowns(scene) == []
            assert state(life) is dead_man.S.DISARMED
            assert scene.is_covered()


async def test_a_market_entry_arms_nothing(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            await scene.cross()
            await life.entered()
            assert scene.writes("trade/cancel-all-after") == []


async def test_the_switch_can_be_left_out_by_the_settings(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__dead_man_s=0)) as life:
            await life.ready()
            await rested(scene, life)
            await trio.sleep(20)
            assert scene.writes("trade/cancel-all-after") == []
            assert state(life) is dead_man.S.OFF


@BOTH
async def test_s16_an_orderly_stop_disarms_the_switch_before_it_lets_go(
    autojump_clock: MockClock, takes_algos: bool
) -> None:
    async with exchange(switches=Switches(cancel_all_after_takes_algos=takes_algos)) as scene:
        scene.trade(ETH_LONG, "1")
        await scene.before_a_cross()
        async with scene.life(maker(**BESIDE)) as life:
            await life.ready()
            await rested(scene, life)
            await life.stop()
            assert countdowns(scene) == []
            assert resting(scene) == []
            assert life.stop_steps[0] == ("trading_control", "done")
        await trio.sleep(130)
        assert scene.is_covered(ETH_LONG)


@BOTH
async def test_s16_what_a_killed_life_armed_is_ended_before_a_stop_that_follows_at_once(
    autojump_clock: MockClock, tmp_path: Path, takes_algos: bool
) -> None:
    """The entry's end is recorded and the countdown's is refused: nothing but the kill speaks of it to the next life."""
    async with exchange(switches=Switches(cancel_all_after_takes_algos=takes_algos)) as scene:
        scene.trade(ETH_LONG, "1")
        await scene.before_a_cross()
        with open_journal(tmp_path / "journal", "sim", "sim-key") as journal:
            async with scene.life(maker(**BESIDE), journal=journal) as life:
                await life.ready()
                await rested(scene, life)
                scene.fault("reject_with_code", "trade/cancel-all-after", times=0)
                await life.until(lambda: state(life) is dead_man.S.FAILING)
                await life.until(lambda: life.slot().entry.state is order.S.CANCELLED)
                await life.crash()
            scene.heal()
            assert (resting(scene), len(countdowns(scene))) == ([], 1)
            async with scene.life(maker(**BESIDE), journal=journal) as life:
                await life.ready()
                await life.stop()
                assert countdowns(scene) == []
        await trio.sleep(130)
        assert scene.is_covered(ETH_LONG)


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped in order", "killed"])
async def test_only_after_a_life_that_was_killed_is_the_end_of_a_countdown_asked_for(
    autojump_clock: MockClock, tmp_path: Path, is_killed: bool
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        with open_journal(tmp_path / "journal", "sim", "sim-key") as journal:
            async with scene.life(maker(), journal=journal) as life:
                await life.ready()
                await (life.crash() if is_killed else life.stop())
            async with scene.life(maker(), journal=journal) as life:
                await life.ready()
                await trio.sleep(5)
                assert state(life) is dead_man.S.DISARMED
                assert len(scene.writes("trade/cancel-all-after")) == is_killed


async def test_the_entry_of_a_bot_that_dies_is_taken_back_by_the_exchange(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            await rested(scene, life)
            await life.crash()
        await trio.sleep(25)
        assert len(resting(scene)) == 1
        await trio.sleep(6)
        assert resting(scene) == []
        assert scene.orders(Made.ENTRY)[0].cancel_source == "20"


@pytest.mark.parametrize("kind", ["reject_with_code", "reject_then_timeout", "html_error"])
async def test_a_renewal_that_fails_takes_back_what_rests_and_shuts_resting_entries_until_one_works(
    autojump_clock: MockClock, kind: str
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            await rested(scene, life)
            scene.fault(kind, "trade/cancel-all-after", times=0)  # type: ignore[arg-type]
            await life.until(lambda: state(life) is dead_man.S.FAILING)
            await trio.sleep(1)
            assert resting(scene) == []
            assert [line["level"] for line in life.lines("DEAD_MAN_FAILING")] == ["alarm"]
            await scene.cross(BTC_SHORT.side)
            denied = life.lines("ENTRY_DENIED")[-1]
            assert "dead man's switch is" in denied["because"]
            scene.heal()
            await trio.sleep(10)
            assert state(life) is dead_man.S.DISARMED
            await scene.cross()
            await life.until(lambda: len(resting(scene)) == 1)


async def test_a_firing_that_leaves_the_stops_leaves_the_switch_in_use(autojump_clock: MockClock) -> None:
    """Nothing gets through for 40 s: what rested is taken back, and everything else is as it was."""
    async with exchange(switches=Switches(cancel_all_after_takes_algos=False)) as scene:
        scene.trade(ETH_LONG, "1")
        await scene.before_a_cross()
        async with scene.life(maker(**BESIDE)) as life:
            await life.ready()
            await rested(scene, life)
            [stop] = scene.stops_of(ETH_LONG)
            await silence(scene, 45)
            assert resting(scene) == []
            await life.delivers(*Name)
            await life.until(lambda: life.slot().entry.state is order.S.CANCELLED)
            await trio.sleep(10)
            assert life.lines("DEAD_MAN_FIRED")
            assert scene.stops_of(ETH_LONG) == [stop]
            assert state(life) is dead_man.S.DISARMED


async def test_a_firing_that_takes_a_stop_is_noticed_the_stop_placed_again_and_the_switch_given_up(
    autojump_clock: MockClock,
) -> None:
    async with exchange(switches=Switches(cancel_all_after_takes_algos=True)) as scene:
        scene.trade(ETH_LONG, "1")
        await scene.before_a_cross()
        with open_journal(None, "sim", "sim-key") as journal:
            async with scene.life(maker(**BESIDE), journal=journal) as life:
                await life.ready()
                await rested(scene, life)
                await silence(scene, 45)
                assert scene.stops_of(ETH_LONG) == []
                await life.delivers(*Name)
                await life.covered(ETH_LONG)
                await trio.sleep(10)
                assert scene.is_covered(ETH_LONG)
                assert state(life) is dead_man.S.OFF
                [told] = life.lines("DEAD_MAN_OFF")
                assert (told["level"], "stop" in told["reason"]) == ("alarm", True)
                armed = len(scene.writes("trade/cancel-all-after"))
                await scene.close_minute("59900")
                await rested(scene, life)
                await trio.sleep(30)
                assert len(scene.writes("trade/cancel-all-after")) == armed
            async with scene.life(maker(**BESIDE), journal=journal) as life:
                await life.ready()
                assert state(life) is dead_man.S.OFF  # for every later life


async def test_a_firing_after_a_crash_is_looked_at_by_the_next_life(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with exchange(switches=Switches(cancel_all_after_takes_algos=True)) as scene:
        scene.trade(ETH_LONG, "1")
        await scene.before_a_cross()
        with open_journal(tmp_path / "journal", "sim", "sim-key") as journal:
            async with scene.life(maker(**BESIDE), journal=journal) as life:
                await life.ready()
                await rested(scene, life)
                await life.crash()
            await trio.sleep(300)
            assert scene.stops_of(ETH_LONG) == []
            async with scene.life(maker(**BESIDE), journal=journal) as life:
                await life.ready()
                await trio.sleep(5)
                assert scene.is_covered(ETH_LONG)
                assert state(life) is dead_man.S.OFF


async def test_a_stop_that_a_person_cancels_does_not_speak_against_the_switch(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(ETH_LONG, "1")
        await scene.before_a_cross()
        async with scene.life(maker(**BESIDE)) as life:
            await life.ready()
            await rested(scene, life)
            scene.cancel_stop(scene.stops_of(ETH_LONG)[0])
            await trio.sleep(5)
            assert scene.is_covered(ETH_LONG)
            assert state(life) is dead_man.S.ARMED


async def test_closing_orders_and_other_tags_are_out_of_the_switchs_reach(autojump_clock: MockClock) -> None:
    """The owner's own resting order carries no tag of ours, and outlives a firing."""
    async with exchange() as scene:
        await scene.before_a_cross()
        answer = scene.rig.order("buy", "0.1", "2000", posSide="long", instId=ETH)
        assert answer["sCode"] == "0"
        async with scene.life(maker(account__exclusive=False, symbols=[BTC])) as life:
            await life.ready()
            await rested(scene, life)
            await life.crash()
        await trio.sleep(40)
        assert [one.inst_id for one in scene.rig.venue.orders()] == [ETH]
