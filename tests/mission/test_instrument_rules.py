"""Rules of an instrument that change while the bot runs: its state, its steps, and a push of them that is lost."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.venue.faults import InstrumentChange, InstrumentState
from anchorwatch.machine import order, protection
from anchorwatch.machine.ids import Made
from anchorwatch.machine.units import LegKey
from tests.mission.rig import BTC_LONG, BTC_SHORT, Scene, eager, exchange, still
from tests.venue.rig import BTC

LEGS = pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)
HEARS = pytest.mark.parametrize("hears", [True, False], ids=["it is pushed", "the push is lost"])
STEADY = {"protection__take_profit_fraction": Decimal(0), "protection__max_holding_min": 0}


def change(scene: Scene, *, hears: bool = True, **what: object) -> None:
    if not hears:
        scene.fault("drop_push", "instruments", times=0)
    now_ms = scene.seams.wall_ms()
    scene.rig.venue.change_instrument(InstrumentChange(at_ms=now_ms, inst_id=BTC, **what))  # type: ignore[arg-type]


@HEARS
@LEGS
async def test_a_tick_that_grows_does_not_stop_the_stop(
    autojump_clock: MockClock, leg: LegKey, hears: bool
) -> None:
    far = "60500" if leg is BTC_LONG else "59500"
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life(still(**STEADY)) as life:
            await life.ready()
            [before] = [stop.sl_trigger_px for stop in scene.stops_of(leg)]
            change(scene, hears=hears, tick_sz="10")
            assert [stop.sl_trigger_px for stop in scene.stops_of(leg)] == [before]
            await scene.settle_mark(far)
            await trio.sleep(30)
            [stop] = scene.stops_of(leg)
            assert stop.sl_trigger_px is not None
            assert (stop.sl_trigger_px - 60_000) * leg.side.sign > 0
            assert stop.sl_trigger_px % 10 == 0
            assert life.slot(leg).protection.state is protection.S.COVERED


@HEARS
async def test_a_lost_stop_is_placed_again_on_the_new_tick(autojump_clock: MockClock, hears: bool) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(still(**STEADY)) as life:
            await life.ready()
            change(scene, hears=hears, tick_sz="7")
            scene.cancel_stop(scene.stops()[0])
            await trio.sleep(4)
            assert scene.is_covered()
            [stop] = scene.stops()
            assert stop.sl_trigger_px is not None
            assert stop.sl_trigger_px % 7 == 0


@HEARS
@pytest.mark.parametrize("kind", ["market", "post_only"])
async def test_after_a_lot_has_grown_the_next_order_follows_it(
    autojump_clock: MockClock, kind: str, hears: bool
) -> None:
    """Where the push was lost, one order is refused; the rules are read again, and the next is right."""
    async with exchange() as scene:
        await scene.before_a_cross()
        given = eager(
            entry__order_kind=kind,
            entry__unfilled="cross",
            entry__rest_s=5,
            sizing__notional_usd=Decimal(330),
        )
        async with scene.life(given) as life:
            await life.ready()
            await trio.sleep(2)  # what the start may have missed is read by then
            change(scene, hears=hears, lot_sz="0.2", min_sz="0.2")
            await scene.cross()
            if not hears:
                assert life.slot(BTC_LONG).entry.state is order.S.REFUSED
                await scene.cross(BTC_SHORT.side)
            leg = BTC_LONG if hears else BTC_SHORT
            await life.until(lambda: scene.is_covered(leg))
            assert {one.contracts for one in scene.orders(Made.ENTRY)} == {Decimal("0.4")}
            assert life.lines("INSTRUMENT_CHANGED")


@HEARS
@pytest.mark.parametrize("state", ["suspend", "preopen", "post_only"])
async def test_an_instrument_that_is_not_live_takes_no_entries_until_it_is_and_keeps_its_stops(
    autojump_clock: MockClock, state: InstrumentState, hears: bool
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager(**STEADY)) as life:
            await life.ready()
            change(scene, state=state)
            await scene.cross()
            assert scene.orders(Made.ENTRY) == []
            [denied] = life.lines("ENTRY_DENIED")
            assert f"{BTC} instrument live" in denied["because"]
            change(scene, state="live", hears=hears)
            if not hears:
                await trio.sleep(61)  # it is asked for once a minute
            await scene.cross(BTC_SHORT.side)
            await life.entered(BTC_SHORT)


async def test_a_resting_entry_is_taken_back_when_its_instrument_is_suspended(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager(entry__order_kind="post_only")) as life:
            await life.ready()
            await scene.cross()
            assert life.slot().entry.state is order.S.LIVE
            change(scene, state="suspend")
            await trio.sleep(1)
            assert scene.rig.venue.orders() == ()


async def test_a_bot_that_starts_on_a_suspended_instrument_covers_or_closes_what_is_open(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        change(scene, state="suspend")
        async with scene.life(still(**STEADY)) as life:
            await trio.sleep(30)
            assert not life.is_over
            change(scene, state="live")
            await trio.sleep(5)
            assert scene.is_covered() or not scene.held_of(BTC_LONG)


async def test_rules_whose_push_was_lost_are_found_by_the_hourly_reading(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        async with scene.life() as life:
            await life.ready()
            change(scene, hears=False, tick_sz="0.5")
            await trio.sleep(3_700)
            assert life.engine.desk.context.book.instruments[BTC].tick_size == Decimal("0.5")
