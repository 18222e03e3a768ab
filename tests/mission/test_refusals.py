"""What the exchange refuses: stops and closes, code by code, on the real engine."""

from __future__ import annotations

from decimal import Decimal

import pytest
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.machine import permission, position, protection
from anchorwatch.machine.ids import Made
from tests.mission.rig import BTC_LONG, BTC_SHORT, eager, exchange, still


async def test_two_emergency_closes_with_one_code_within_a_minute_halt_entries(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        for leg in (BTC_LONG, BTC_SHORT):
            scene.trade(leg, "0.5")
        scene.fault("reject_with_code", "trade/order-algo", times=0, code="51280")
        async with scene.life(eager()) as life:
            await life.until(lambda: life.bot.permission.state is permission.S.HALTED)
            await life.flat()
            await life.flat(BTC_SHORT)
            assert scene.rig.venue.positions() == ()
            assert {line["code"] for line in life.lines("EMERGENCY_CLOSE")} == {"51280"}
            await life.ready()
            await scene.before_a_cross()
            await scene.cross()
            assert scene.orders(Made.ENTRY) == []


async def test_a_crash_between_two_emergency_closes_is_no_new_beginning(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        scene.fault("reject_with_code", "trade/order-algo", times=0, code="51280")
        with open_journal(None, "sim", "sim-key") as journal:
            async with scene.life(still(), journal=journal) as life:
                await life.until(lambda: bool(life.lines("EMERGENCY_CLOSE")))
                await life.flat()
                assert life.bot.permission.state is permission.S.OPEN
                await life.crash()
            scene.trade(BTC_SHORT, "0.5")
            async with scene.life(still(), journal=journal) as life:
                await life.until(lambda: life.bot.permission.state is permission.S.HALTED, within_s=40)
                await life.flat(BTC_SHORT)


@pytest.mark.parametrize("code", ["51030", "54012"])
async def test_a_venue_that_takes_no_stop_for_a_while_sells_nothing_and_is_told_once(
    autojump_clock: MockClock, code: str
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        scene.fault("reject_with_code", "trade/order-algo", times=20, code=code)
        async with scene.life(still()) as life:
            await life.until(lambda: life.slot().protection.state is protection.S.BARRED)
            await life.covered()
            assert scene.is_covered()
            assert scene.orders(Made.CLOSE) == []
            assert len(life.lines("STOP_BARRED")) == 1
            assert life.engine.desk.context.book.totals.uncovered_ms_max > 10_000
            await life.ready()


async def test_a_stop_that_is_refused_by_the_rate_limit_is_placed_at_the_next_try(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        scene.fault("reject_with_code", "trade/order-algo", times=2, code="50011")
        async with scene.life(still()) as life:
            await life.ready()
            assert scene.is_covered()
            assert scene.orders(Made.CLOSE) == []


async def test_a_resting_take_profit_of_a_human_does_not_keep_a_position_open(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        answer = scene.rig.order("sell", "0.5", "66000", posSide="long", reduceOnly="true")
        assert answer["sCode"] == "0"
        async with scene.life(still(protection__max_holding_min=5)) as life:
            await life.ready()
            await scene.until(lambda: not scene.held_of(BTC_LONG), 900)
            await life.flat()
            assert scene.rig.venue.orders() == ()
            assert life.lines("CLOSE_REFUSED")


async def test_a_close_that_is_refused_ten_times_closes_at_the_eleventh_and_is_told(
    autojump_clock: MockClock,
) -> None:
    given = still(protection__max_holding_min=5, protection__take_profit_fraction=Decimal(0))
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(given) as life:
            await life.ready()
            scene.fault("reject_with_code", "trade/order", times=10, code="51108")
            await scene.until(lambda: not scene.held_of(BTC_LONG), 1200)
            await life.flat()
            assert life.slot().position.state is position.S.FLAT
            assert life.lines("CLOSE_FAILS")
            assert len(scene.orders(Made.CLOSE)) > 1
