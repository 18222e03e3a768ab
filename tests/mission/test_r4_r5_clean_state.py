"""R4: no ghost of an earlier session survives the start. R5: what is found gets its trailing stop."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.machine import order, position, protection
from anchorwatch.machine.units import LegKey
from tests.mission.rig import BTC_LONG, BTC_SHORT, eager, exchange, still

LEGS = pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)


async def test_r4_1_and_r4_3_state_is_cleared_after_the_modules_and_before_candles(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        names = life.states("lifecycle")
        assert names.index("MODULES") < names.index("RESET") < names.index("CANDLES")
        assert {name: names.count(name) for name in ("MODULES", "RESET")} == {"MODULES": 1, "RESET": 1}


@LEGS
async def test_r4_2_a_position_of_the_last_life_that_is_gone_is_no_ghost(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(leg, "0.5")
            async with scene.life(journal=journal) as life:
                await life.ready()
                await life.crash()
            scene.trade(leg, "0.5", closes=True)
            await trio.sleep(5)
            async with scene.life(journal=journal) as life:
                await life.ready()
                await life.flat(leg)
                assert life.one("AFTER_CRASH")["remembered"] == "1"
                assert life.one("DRIFT_REMOVE")["leg"] == str(leg)
                assert life.slot(leg).protection.state is protection.S.NONE
                assert scene.stops() == []
            assert journal.read().legs == ()
            async with scene.life(journal=journal) as life:
                await life.ready()
                assert life.names("DRIFT_REMOVE", "RESTORED") == []
                assert life.one("CLEAN_START")["remembered"] == "0"


async def test_r4_2_an_order_of_the_last_life_blocks_nothing_once_its_end_is_known(
    autojump_clock: MockClock,
) -> None:
    """The intent was recorded and the request never arrived: absent after its deadline, and the leg is free."""
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            await scene.before_a_cross()
            async with scene.life(eager(strategy__sides="long"), journal=journal) as life:
                await life.ready()
                scene.fault("reject_then_timeout", "trade/order", times=0)
                await scene.cross()
                assert life.slot().entry.state in order.OUT
                await life.crash()
            scene.heal()
            async with scene.life(eager(strategy__sides="long"), journal=journal) as life:
                await life.ready()
                assert life.one("IN_DOUBT")["role"] == "entry"
                await life.until(lambda: life.slot().entry.state is order.S.ABSENT)
                await scene.before_a_cross()
                await scene.cross()
                await life.entered()


async def test_r4_2_the_first_life_knows_of_nothing(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        assert life.names("FIRST_START", "AFTER_CRASH", "RESTORED") == ["FIRST_START"]
        assert life.bot.legs == ()


@LEGS
async def test_r5_1_a_found_position_gets_a_stop_that_trails(autojump_clock: MockClock, leg: LegKey) -> None:
    far = "60480" if leg is BTC_LONG else "59520"
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life(still(protection__take_profit_fraction=Decimal(0))) as life:
            await life.ready()
            created = life.one("DRIFT_ADD_TSL_CREATED")
            first = scene.stops_of(leg)[0].sl_trigger_px
            assert first is not None
            assert Decimal(created["stop"]) == first
            assert abs(first - (59_640 if leg is BTC_LONG else 60_360)) < 1, "0.6 % from the entry"
            await scene.settle_mark(far)
            await trio.sleep(2)
            [stop] = scene.stops_of(leg)
            assert stop.sl_trigger_px is not None
            mark = scene.mark
            distance = (mark - stop.sl_trigger_px) * leg.side.sign / mark
            assert Decimal("0.0025") < distance < Decimal("0.0035"), "0.3 % behind the peak"
            assert life.slot(leg).position.state is position.S.OPEN


@LEGS
async def test_r5_1_found_far_in_loss_it_is_protected_at_once_and_not_sold_for_it(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        await scene.settle_mark("59400" if leg is BTC_LONG else "60600")
        async with scene.life() as life:
            await life.ready()
            assert scene.is_covered(leg)
            await trio.sleep(30)
            assert scene.held_of(leg) == Decimal("0.5")
