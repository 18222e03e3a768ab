"""P1 to P11: what users of such engines suffered, as scenarios that this one survives."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.venue.faults import FaultKind
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine import connection, lifecycle, order, position, protection
from anchorwatch.machine.connection import Name
from anchorwatch.machine.ids import Made
from anchorwatch.machine.units import LegKey
from tests.mission.rig import BTC_LONG, BTC_SHORT, Scene, eager, exchange, still

LEGS = pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)
NO_PROFIT = Decimal(0)


# P1: trading starts although the start reconciliation failed or timed out.


@pytest.mark.parametrize("kind", ["html_error", "reject_then_timeout", "truncated_answer"])
async def test_p1_no_entry_while_the_first_reconciliation_has_not_succeeded(
    autojump_clock: MockClock, kind: FaultKind
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        scene.fault(kind, "trade/orders-algo-pending", after=14, times=0)
        scene.fault(kind, "account/positions", after=2, times=0)
        async with scene.life(eager()) as life:
            for side in (BTC_LONG.side, BTC_SHORT.side, BTC_LONG.side):
                await scene.cross(side)
            assert life.bot.lifecycle.state is lifecycle.S.SYNC
            assert scene.orders() == []
            assert life.names("ENTRY") == []
            scene.heal()
            await life.ready()


# P2: a private socket reconnects, and nobody re-reads what happened in the gap.


@LEGS
async def test_p2_what_filled_while_the_private_stream_was_away_is_found(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    async with exchange() as scene, scene.life(still(reconcile__poll_while_private_down_s=60)) as life:
        await life.ready()
        scene.lose(Name.PRIVATE)
        await trio.sleep(4)  # what is polled while it is away has just been polled
        scene.trade(leg, "0.5")
        opened_ms = scene.seams.wall_ms()
        await life.delivers(*Name)
        await trio.sleep(1)
        assert scene.is_covered(leg)
        assert life.book(leg).entered_ms == opened_ms
        assert life.one("DRIFT_ADD")["leg"] == str(leg)


async def test_p2_entries_are_frozen_from_the_loss_to_the_end_of_the_reading(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.fault("html_error", "account/positions", times=0)
            scene.lose(Name.PRIVATE)
            await trio.sleep(0.1)
            await life.delivers(*Name)
            await scene.cross()
            assert "the book is not reconciled" in life.one("ENTRY_DENIED")["because"]
            assert scene.orders() == []


# P3, P4: the answer to an order is lost.

LOST: list[tuple[FaultKind, dict[str, object]]] = [
    ("accept_then_timeout", {}),
    ("accept_then_code", {"code": "50004"}),
    ("accept_then_code", {"code": "51149"}),
    ("accept_then_html", {}),
    ("truncated_answer", {}),
]


@pytest.mark.parametrize(
    ("kind", "more"), LOST, ids=[f"{kind} {more.get('code', '')}" for kind, more in LOST]
)
@pytest.mark.parametrize("hears", [True, False], ids=["pushes come", "pushes are lost"])
async def test_p3_and_p4_an_order_whose_answer_is_lost_is_found_and_never_sent_twice(
    autojump_clock: MockClock, kind: FaultKind, more: dict[str, object], hears: bool
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.fault(kind, "trade/order", **more)
            if not hears:
                scene.deaf(15)
            await scene.cross()
            await life.entered()
            await trio.sleep(30)
            assert len(scene.orders(Made.ENTRY)) == scene.writes().count("trade/order") == 1
            assert scene.is_covered()
            assert "REFUSED" not in life.states("order")
            assert life.engine.desk.context.book.totals.fills == 1


@pytest.mark.parametrize("kind", ["accept_then_timeout", "accept_then_code"])
async def test_p3_a_stop_whose_answer_is_lost_is_found_and_not_made_twice(
    autojump_clock: MockClock, kind: FaultKind
) -> None:
    async with exchange() as scene:
        async with scene.life() as life:
            await life.ready()
            scene.fault(kind, "trade/order-algo")
            scene.fault("drop_push", "orders-algo", times=0, until_ms=scene.seams.wall_ms() + 10_000)
            scene.trade(BTC_LONG, "0.5")
            await life.covered()
            assert scene.is_covered()
            assert scene.held_of(BTC_LONG) == Decimal("0.5")
            assert scene.writes().count("trade/order-algo") == 1


# P5: a "cancelled" entry had filled.


async def test_p5_an_entry_that_fills_although_it_was_to_be_cancelled_is_protected(
    autojump_clock: MockClock,
) -> None:
    """The stop wants it cancelled; the exchange has filled it, and says so late."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.deaf()
            scene.fault("late_processing", "trade/order", delay_ms=1_500)
            await scene.cross()
            assert life.slot().entry.state is order.S.SENT
            life.engine.request_stop("while the entry is under way")
            await life.ended()
            assert life.states("order")[-3:] == ["CANCELLING", "IN_DOUBT", "FILLED"]
            assert scene.held_of(BTC_LONG) > 0
            assert scene.is_covered()


async def test_p5_an_entry_that_is_refused_leaves_the_leg_free(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.fault("reject_with_code", "trade/order", code="51008")
            await scene.cross()
            assert life.slot().entry.state is order.S.REFUSED
            assert life.slot().position.state is position.S.FLAT
            assert scene.stops() == []
            await scene.cross(BTC_SHORT.side)
            await life.entered(BTC_SHORT)


# P6: moving a stop as cancel-then-create leaves a naked window.


@LEGS
async def test_p6_a_stop_moves_in_place_and_only_tighter(autojump_clock: MockClock, leg: LegKey) -> None:
    far = "60500" if leg is BTC_LONG else "59500"
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life(still(protection__take_profit_fraction=NO_PROFIT)) as life:
            await life.ready()
            [stop] = scene.stops_of(leg)
            levels = [stop.sl_trigger_px]
            for _ in range(400):
                scene.rig.price_now(far)
                await trio.sleep(0.25)
                assert scene.is_covered(leg), "not one moment without its stop"
                levels.append(scene.stops_of(leg)[0].sl_trigger_px)
            assert scene.stops_of(leg)[0].algo_id == stop.algo_id
            steps = [level * leg.side.sign for level in levels if level is not None]
            assert steps == sorted(steps)
            assert steps[-1] > steps[0]
            assert scene.writes().count("trade/order-algo") == 1
            assert 1 < scene.writes().count("trade/amend-algos") <= 100, "at most one a second"


# P7: the stop triggered, but its order did not fill.


@LEGS
@pytest.mark.parametrize("times", [1, 2])
async def test_p7_a_stop_that_triggers_and_fails_is_closed_by_the_bot(
    autojump_clock: MockClock, leg: LegKey, times: int
) -> None:
    beyond = "59500" if leg is BTC_LONG else "60500"
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life() as life:
            await life.ready()
            scene.fault("algo_fail", leg.instrument, times=times)
            while scene.stops_of(leg):
                scene.rig.price_now(beyond)
                await trio.sleep(1)
            failed_at = trio.current_time()
            await life.flat(leg)
            assert trio.current_time() - failed_at < 8
            assert scene.held_of(leg) == 0
            await trio.sleep(10)
            assert scene.held_of(BTC_LONG) == scene.held_of(BTC_SHORT) == 0, "it closes, and never opens"
            assert scene.stops() == []


@LEGS
async def test_p7_a_triggered_stop_whose_fill_is_not_heard_of_is_looked_after(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life() as life:
            await life.ready()
            for channel in ("orders", "positions"):
                scene.fault("drop_push", channel, times=0)
            for _ in range(60):
                scene.rig.price_now("59500" if leg is BTC_LONG else "60500")
                await trio.sleep(0.5)
                if not scene.held_of(leg):
                    break
            await trio.sleep(8)
            assert "ESCALATING" in life.states("protection")
            assert life.slot(leg).position.state is position.S.FLAT
            assert scene.held_of(BTC_LONG) == scene.held_of(BTC_SHORT) == 0


# P8: a stop that cannot be fetched is taken as lost.


@pytest.mark.parametrize("kind", ["html_error", "reject_then_timeout", "truncated_answer"])
async def test_p8_a_stop_that_cannot_be_fetched_is_not_lost_and_nothing_is_closed(
    autojump_clock: MockClock, kind: FaultKind
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            [before] = scene.stops()
            scene.fault(kind, "trade/orders-algo-pending", times=0)
            scene.lose(Name.PRIVATE_BUSINESS)
            await trio.sleep(130)
            assert scene.held_of(BTC_LONG) == Decimal("0.5")
            assert [stop.algo_id for stop in scene.stops()] == [before.algo_id]
            assert life.slot().protection.state is protection.S.COVERED
            assert life.slot().position.state is position.S.OPEN
            scene.heal()
            await life.delivers(*Name)
            await trio.sleep(20)
            assert [stop.algo_id for stop in scene.stops()] == [before.algo_id]


async def test_p8_a_list_that_lags_behind_the_truth_neither_loses_nor_doubles_a_stop(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        async with scene.life() as life:
            await life.ready()
            scene.fault("rest_lag", "trade/orders-algo-pending", times=0, delay_ms=1_000)
            scene.trade(BTC_LONG, "0.5")
            await life.covered()
            await trio.sleep(20)
            assert scene.is_covered()
            assert scene.held_of(BTC_LONG) == Decimal("0.5")


# P9: after a restart the position is there with no stop, no take-profit, no timer.


@LEGS
async def test_p9_after_a_restart_stop_and_timer_are_what_they_were(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    given = still(protection__max_holding_min=5)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(leg, "0.5")
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                [before] = scene.stops()
                await trio.sleep(150)
                await life.crash()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                assert [stop.algo_id for stop in scene.stops()] == [before.algo_id]
                await trio.sleep(300 - trio.current_time() - 5)
                assert scene.held_of(leg) == Decimal("0.5")
                await trio.sleep(10)
                assert scene.held_of(leg) == 0, "five minutes from the entry, not from the restart"
                assert life.one("EXIT")["cause"] == "held too long"


@LEGS
async def test_p9_after_a_restart_the_take_profit_works(autojump_clock: MockClock, leg: LegKey) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(leg, "0.5")
            async with scene.life(journal=journal) as life:
                await life.ready()
                await life.crash()
            async with scene.life(journal=journal) as life:
                await life.ready()
                for _ in range(600):
                    scene.rig.price_now("61500" if leg is BTC_LONG else "58500")
                    await trio.sleep(1)
                    if not scene.held_of(leg):
                        break
                await life.flat(leg)
                assert life.one("EXIT")["cause"] == "take profit"


@LEGS
async def test_p9_a_stop_that_went_while_nobody_looked_comes_back_at_its_last_level(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    """The level was trailed; what the strategy would give a fresh position is looser."""
    given = still(protection__take_profit_fraction=NO_PROFIT)
    far, back = ("60500", "60400") if leg is BTC_LONG else ("59500", "59600")
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(leg, "0.5")
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await scene.settle_mark(far)
                await trio.sleep(2)
                await life.crash()
            [stop] = scene.stops_of(leg)
            scene.cancel_stop(stop)
            await scene.settle_mark(back)
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                assert [one.sl_trigger_px for one in scene.stops_of(leg)] == [stop.sl_trigger_px]


async def peak_in_between(scene: Scene, leg: LegKey) -> Decimal:
    """Mark goes far, and comes back a part of the way; returns how far it was."""
    far, back = ("60500", "60450") if leg is BTC_LONG else ("59500", "59550")
    await scene.close_minute("60000")
    await scene.settle_mark(far)
    await scene.price(far, seconds=3)
    peak = scene.mark
    await scene.settle_mark(back)
    return peak


@LEGS
async def test_p9_the_peak_of_the_downtime_is_rebuilt(autojump_clock: MockClock, leg: LegKey) -> None:
    given = still(protection__take_profit_fraction=NO_PROFIT)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(leg, "0.5")
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await life.crash()
            peak = await peak_in_between(scene, leg)
            # The candles do not come at first; the position does not wait for them.
            scene.fault("html_error", "market/mark-price-candles", times=3)
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await trio.sleep(20)
                found = life.book(leg).peak
                assert found is not None
                assert abs(found - peak) < 1
                [stop] = scene.stops_of(leg)
                assert stop.sl_trigger_px is not None
                assert abs((peak - stop.sl_trigger_px) * leg.side.sign / peak - Decimal("0.003")) < Decimal(
                    "0.0001"
                )


@LEGS
async def test_p9_a_found_position_is_not_sold_for_a_peak_of_long_ago(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    far = "60900" if leg is BTC_LONG else "59100"
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        await scene.close_minute("60000")
        await scene.settle_mark(far)
        await scene.settle_mark("60000")
        async with scene.life(still(protection__take_profit_fraction=NO_PROFIT)) as life:
            await life.ready()
            await trio.sleep(30)
            assert scene.held_of(leg) == Decimal("0.5")
            assert scene.is_covered(leg)


# P10: stops live in other lists and other channels, and are forgotten.


@LEGS
@pytest.mark.parametrize("hears", [True, False], ids=["pushes come", "pushes are lost"])
async def test_p10_a_stop_that_somebody_cancelled_is_noticed_and_made_again(
    autojump_clock: MockClock, leg: LegKey, hears: bool
) -> None:
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life() as life:
            await life.ready()
            if not hears:
                scene.deaf()
            [stop] = scene.stops()
            level = stop.sl_trigger_px
            scene.cancel_stop(stop)
            await scene.until(lambda: scene.is_covered(leg), 62)
            [again] = scene.stops()
            assert again.algo_id != stop.algo_id
            assert again.sl_trigger_px == level
            if hears:
                assert life.engine.desk.context.book.totals.uncovered_ms_max < 5_000
            else:
                assert life.one("DRIFT_STOP_MISSING")["leg"] == str(leg)


async def test_p10_a_stop_without_its_position_is_swept(autojump_clock: MockClock) -> None:
    """A resting stop that lost its position could open the opposite one."""
    switches = Switches(close_fraction_dies_with_position=False)
    async with exchange(switches=switches) as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            await life.crash()
        scene.trade(BTC_LONG, "0.5", closes=True)
        assert len(scene.stops()) == 1
        async with scene.life() as life:
            await life.ready()
            await scene.until(lambda: scene.stops() == [], 65)
            assert life.one("DRIFT_STOP_ORPHAN")["stops"] == "1"


async def test_p10_the_belt_of_an_entry_in_doubt_is_no_orphan(autojump_clock: MockClock) -> None:
    """Its answer is lost, its pushes too, and the list of positions lags: the belt is all that there is."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.deaf()
            scene.fault("rest_lag", "account/positions", times=0, delay_ms=8_000)
            scene.fault("accept_then_timeout", "trade/order")
            await scene.cross()
            assert life.slot().entry.state is order.S.SENT
            assert len(scene.stops()) == 1
            scene.lose(Name.PRIVATE)
            for _ in range(20):
                await trio.sleep(0.1)
                assert scene.stops(), "the belt is there"
            scene.heal()
            await life.entered()
            assert scene.is_covered()


# P11: the private listener is in a reconnect loop while orders keep being placed.


@pytest.mark.parametrize("name", [Name.PRIVATE, Name.PRIVATE_BUSINESS], ids=lambda name: name.value)
async def test_p11_no_entry_while_a_private_listener_flaps(autojump_clock: MockClock, name: Name) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.fault("ws_refuse", "private" if name is Name.PRIVATE else "business", times=0)
            scene.lose(name)
            await trio.sleep(1)
            for side in (BTC_LONG.side, BTC_SHORT.side):
                await scene.cross(side)
            assert f"{name.value} connection is" in life.lines("ENTRY_DENIED")[0]["because"]
            assert len(life.lines("ENTRY_DENIED")) == 2
            assert scene.orders() == []
            assert life.bot.link(name).state in (connection.S.BACKING_OFF, connection.S.DIALING)
