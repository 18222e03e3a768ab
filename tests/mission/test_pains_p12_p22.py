"""P12 to P22: what users of such engines suffered, as scenarios that this one survives."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.simulation.network import HostFault
from anchorwatch.io.venue.faults import FaultKind
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, order, permission, position, protection
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Told
from anchorwatch.machine.ids import Made
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.units import LegKey
from tests.io.engine_rig import FAKE_HOST
from tests.mission.rig import BTC_LONG, BTC_SHORT, eager, exchange, still
from tests.venue.rig import BTC, HEDGED

LEGS = pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)
NO_PROFIT = Decimal(0)


# P12: one odd number in a push crashes the listener for ever.

ODD = [
    {"pos": "0.37"},
    {"pos": "1e-1"},
    {"pos": "", "avgPx": ""},
    {"pos": "many"},
    {"pos": None},
    {"pos": 3},
    {"uTime": "soon"},
]


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
async def test_p12_an_odd_number_in_a_push_costs_a_reading_and_no_more(
    autojump_clock: MockClock, odd: dict[str, object]
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.37")
        async with scene.life() as life:
            await life.ready()
            row = {"instId": BTC, "instType": "SWAP", "mgnMode": "cross", "posSide": "long", "pos": "0.37"}
            row |= {"avgPx": "60000.1", "cTime": "1767319200001", "uTime": "1767319200001"}
            push = {"arg": {"channel": "positions", "instType": "SWAP"}, "data": [row | odd]}
            for session in scene.sessions(Name.PRIVATE):
                session.send(json.dumps(push))
            await trio.sleep(5)
            assert life.states("connection", "private")[-1] == "LIVE"
            scene.trade(BTC_LONG, "0.13")
            await trio.sleep(0.5)
            assert life.book().contracts == Decimal("0.50")
            assert scene.is_covered()


@pytest.mark.parametrize(
    "text", ["}{", '{"arg":{"channel":"orders"},"data":[{"sz":7}]}', '{"event":"news"}', "[]"]
)
async def test_p12_a_frame_that_is_garbage_costs_a_reading_and_no_more(
    autojump_clock: MockClock, text: str
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        for session in scene.sessions(Name.PRIVATE):
            session.send(text)
        await trio.sleep(5)
        scene.trade(BTC_LONG, "0.5")
        await trio.sleep(0.5)
        assert life.book().contracts == Decimal("0.5")
        assert life.states("connection", "private")[-1] == "LIVE"
        assert bots.is_settled(life.bot)


# P13: resubscribed before the login was acknowledged: the private data is silently dead.


@pytest.mark.parametrize("delay_ms", [3_000, 7_000], ids=["in time", "too late, so it is dialled again"])
async def test_p13_nothing_is_subscribed_before_the_login_is_acknowledged(
    autojump_clock: MockClock, delay_ms: int
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        scene.fault("login_slow", "private", delay_ms=delay_ms)
        scene.lose(Name.PRIVATE)
        await trio.sleep(1)
        await life.delivers(Name.PRIVATE)
        states = life.states("connection", "private")
        assert states[-3:] == ["LOGGING_IN", "SUBSCRIBING", "LIVE"]
        scene.trade(BTC_LONG, "0.5")
        await trio.sleep(0.5)
        assert life.book().contracts == Decimal("0.5"), "by push"


# P14: a stalled candle is merged as if it had closed.


async def test_p14_only_a_confirmed_candle_is_a_candle(autojump_clock: MockClock) -> None:
    """Within the minute the price crosses, and is back before the close: no signal came of it."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            for _ in range(20):
                scene.rig.price_now("60400")
                await trio.sleep(1)
            await scene.close_minute("59900")
            assert life.names("ENTRY", "ENTRY_DENIED") == []


async def test_p14_a_hole_in_the_candles_is_filled_before_the_next_decision(
    autojump_clock: MockClock,
) -> None:
    """The cross closed while the stream was away: deciding on the next candle alone would be a late entry."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.fault("ws_refuse", "business", times=0)
            scene.lose(Name.BUSINESS, Name.PRIVATE_BUSINESS)
            await scene.cross()
            await scene.cross()
            scene.heal()
            await life.delivers(*Name)
            await scene.cross()
            assert life.names("ENTRY") == []
            assert bots.entry_obstacles(life.bot, BTC_LONG) == (), "the history is whole again"
            await scene.cross(BTC_SHORT.side)
            await life.entered(BTC_SHORT)


# P15: an error during shutdown is fatal, with open trades.


@pytest.mark.parametrize("kind", ["html_error", "reject_then_timeout", "reject_with_code"])
async def test_p15_an_error_in_the_stop_leaves_the_position_protected(
    autojump_clock: MockClock, kind: FaultKind
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            scene.fault(kind, "", times=0)
            life.engine.request_stop("with a venue that only answers nonsense")
            assert await life.ended() in (Exit.CLEAN, Exit.STOP_INCOMPLETE)
            assert len(life.stop_steps) == 7
            assert scene.is_covered()


# P16: orders fill between cancel-all and close-all during the stop.


async def test_p16_an_entry_that_fills_during_the_flattening_stop_is_closed_too(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_SHORT, "0.3")
        await scene.before_a_cross()
        # Longs only, so that the short stays what it is: something else to flatten.
        given = eager(strategy__sides="long", protection__max_holding_min=0)
        async with scene.life(given, flatten=True) as life:
            await life.ready()
            scene.trade(BTC_SHORT, "0.3", closes=True)
            await life.flat(BTC_SHORT)
            scene.fault("late_processing", "trade/order", delay_ms=700)
            await scene.cross()
            assert life.slot().entry.state in (order.S.SENT, order.S.LIVE, order.S.FILLED)
            life.engine.request_stop("flatten")
            await life.ended()
            assert len(scene.orders(Made.ENTRY)) == 1
            assert scene.rig.venue.positions() == ()
            assert scene.stops() == []


# P17: limits, cool-downs and "stop entries" are reset by a restart.


async def test_p17_a_pause_survives_a_crash(autojump_clock: MockClock) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            await scene.before_a_cross()
            async with scene.life(eager(), journal=journal) as life:
                await life.ready()
                life.engine.mailbox.put(Told(PERMISSION, permission.PauseRequested("the operator sleeps")))
                await life.until(lambda: life.bot.permission.state is permission.S.PAUSED)
                await life.crash()
            async with scene.life(eager(), journal=journal) as life:
                await life.ready()
                await scene.cross()
                assert "permission is paused" in life.one("ENTRY_DENIED")["because"]
                assert scene.orders() == []


async def test_p17_a_cool_down_survives_a_crash(autojump_clock: MockClock) -> None:
    given = eager(strategy__cooldown_s=600)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                scene.trade(BTC_LONG, "0.5", closes=True)
                await life.flat()
                await life.crash()
            await scene.before_a_cross()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await scene.cross()
                assert "cool-down" in life.one("ENTRY_DENIED")["because"]


# P18: mark and last trigger types swapped for three years.


@LEGS
async def test_p18_a_spike_of_the_last_price_does_not_trigger_and_mark_does(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    # The stop is at 0.6 %, and mark follows an excursion of the last price by seven eighths.
    spike, far = ("59620", "59000") if leg is BTC_LONG else ("60380", "61000")
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life() as life:
            await life.ready()
            assert [stop.sl_trigger_type for stop in scene.stops()] == ["mark"]
            level = Decimal(life.one("DRIFT_ADD_TSL_CREATED")["stop"])
            scene.rig.price_now(spike)
            assert (Decimal(spike) - level) * leg.side.sign < 0, "the last price is beyond the stop"
            await trio.sleep(5)
            assert scene.held_of(leg) == Decimal("0.5")
            for _ in range(200):
                scene.rig.price_now(far)
                await trio.sleep(1)
                if not scene.held_of(leg):
                    break
            await life.flat(leg)
            assert (scene.mark - level) * leg.side.sign <= 0
            assert life.one("EXIT")["cause"] == "stop"


async def test_p18_the_belt_of_an_entry_is_triggered_by_mark_too(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            await scene.cross()
            await life.entered()
            [belt] = scene.orders(Made.ENTRY)[0].attached
            assert (belt.sl_trigger_type, belt.sl_order_px) == ("mark", Decimal(-1))


# P19: a stop that is modified while the connection is lost becomes two.


@pytest.mark.parametrize(
    "kind", ["accept_then_timeout", "reject_then_timeout", "accept_then_html", "accept_then_code"]
)
@LEGS
async def test_p19_a_move_whose_answer_is_lost_leaves_one_stop_and_never_a_looser_one(
    autojump_clock: MockClock, leg: LegKey, kind: FaultKind
) -> None:
    far = "60500" if leg is BTC_LONG else "59500"
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life(still(protection__take_profit_fraction=NO_PROFIT)) as life:
            await life.ready()
            scene.fault(kind, "trade/amend-algos", times=3)
            levels = []
            for _ in range(90):
                scene.rig.price_now(far)
                await trio.sleep(1)
                assert scene.is_covered(leg)
                levels.append((scene.stops_of(leg)[0].sl_trigger_px or Decimal(0)) * leg.side.sign)
            assert levels == sorted(levels)
            assert (scene.mark * leg.side.sign - levels[-1]) / scene.mark < Decimal("0.004")
            assert life.slot(leg).protection.state is protection.S.COVERED
            assert life.book(leg).resting == scene.stops_of(leg)[0].sl_trigger_px


# P20: orders that were buffered in an outage are sent minutes later.


async def test_p20_an_entry_that_could_not_be_sent_is_never_sent_later(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager(strategy__sides="long")) as life:
            await life.ready()
            network = scene.network
            assert network is not None
            await trio.sleep(59 - trio.current_time() % 60)
            scene.rig.price_now("60100")
            await trio.sleep(0.9)
            network.break_host(FAKE_HOST, HostFault.BLACK_HOLE)
            await trio.sleep(0.11)
            scene.rig.price_now("60100")
            for one in network.connections():
                one.half_open()
            await trio.sleep(60)
            network.mend_host(FAKE_HOST)
            await life.delivers(*Name)
            await trio.sleep(120)
            late = [one for one in scene.orders(Made.ENTRY) if one.created_ms % 60_000 > 5_000]
            assert late == []
            assert scene.held_of(BTC_LONG) == 0 or scene.is_covered()


async def test_p20_an_order_that_arrives_after_its_deadline_is_refused_by_the_exchange(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.fault("late_processing", "trade/order", delay_ms=20_000)
            await scene.cross()
            await trio.sleep(40)
            assert scene.orders() == []
            assert life.slot().entry.state in order.FREE
            assert life.slot().position.state is position.S.FLAT
            await scene.cross(BTC_SHORT.side)
            await life.entered(BTC_SHORT)


# P21: a failed query is read as "flat".


@pytest.mark.parametrize(
    "kind", ["html_error", "reject_with_code", "truncated_answer", "reject_then_timeout", "rest_lag"]
)
async def test_p21_a_failed_query_is_never_an_answer(autojump_clock: MockClock, kind: FaultKind) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            [stop] = scene.stops()
            for where in ("account/positions", "account/positions-history", "trade/orders-algo-pending"):
                scene.fault(kind, where, times=0)
            scene.lose(Name.PRIVATE)
            await trio.sleep(150)
            assert life.names("DRIFT_REMOVE", "EXIT") == []
            assert life.slot().position.state is position.S.OPEN
            assert [one.algo_id for one in scene.stops()] == [stop.algo_id]
            scene.heal()
            await trio.sleep(20)
            assert bots.is_settled(life.bot)
            assert life.book().contracts == Decimal("0.5")


async def test_p21_an_empty_answer_without_a_cause_removes_nothing(autojump_clock: MockClock) -> None:
    """The list shows the account as it was before the position: complete, successful, and wrong."""
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        scene.trade(BTC_LONG, "0.5")
        await life.covered()
        [stop] = scene.stops()
        await trio.sleep(3)
        scene.fault("rest_lag", "account/positions", times=0, delay_ms=4_000)
        scene.lose(Name.PRIVATE)
        await trio.sleep(0.5)
        scene.heal()
        await life.delivers(*Name)
        await trio.sleep(20)
        assert life.names("EXIT") == []
        assert life.slot().position.state is position.S.OPEN
        assert [one.algo_id for one in scene.stops()] == [stop.algo_id]


# P22: the recovery attaches the last trade's stop fill to the new, reversed trade.


@pytest.mark.parametrize("pos_mode", ["long_short_mode", "net_mode"])
async def test_p22_the_last_trades_end_is_not_booked_on_the_reversed_one(
    autojump_clock: MockClock, pos_mode: str
) -> None:
    mode = "hedge" if pos_mode == "long_short_mode" else "net"
    given = still(account__position_mode=mode)
    spec = msgspec.structs.replace(HEDGED, pos_mode=pos_mode)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange(spec) as scene:
            scene.trade(BTC_LONG, "0.5")
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await life.crash()
            for _ in range(100):  # the long's stop fills while nobody looks
                scene.rig.price_now("59500")
                await trio.sleep(1)
                if not scene.held_of(BTC_LONG):
                    break
            assert scene.stops() == []
            scene.trade(BTC_SHORT, "0.3")
            opened_ms = scene.seams.wall_ms()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await life.flat(BTC_LONG)
                exit_ = life.one("EXIT")
                assert exit_["leg"] == str(BTC_LONG)
                assert life.one("DRIFT_ADD")["leg"] == str(BTC_SHORT)
                book = life.book(BTC_SHORT)
                assert (book.contracts, book.account.realised) == (Decimal("0.3"), Decimal(0))
                assert abs(book.entered_ms - opened_ms) < 100
                assert life.slot(BTC_SHORT).position.state is position.S.OPEN
                assert scene.is_covered(BTC_SHORT)
                theirs = next(iter(scene.rig.venue.accounts["main"].history.values()))
                assert life.engine.desk.context.book.totals.realised_pnl == theirs.pnl


async def test_p13_and_p11_a_link_is_live_only_with_every_channel(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        assert all(life.bot.link(name).state is connection.S.LIVE for name in Name)
        counts = {name.value: len(scene.sessions(name)) for name in Name}
        assert counts == dict.fromkeys(counts, 1)
