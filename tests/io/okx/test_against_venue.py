"""The client against the embedded exchange over real loopback sockets: each side is written without the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import TypeVar

import pytest
import trio

from anchorwatch.io.okx.environments import Credentials, Environment, Region, WsPath, endpoints
from anchorwatch.io.okx.outcomes import Answered, Refused, Unknown
from anchorwatch.io.okx.requests import (
    AlgoAmend,
    AlgoCancel,
    AlgoRequest,
    AttachedStop,
    ClosePosition,
    OrderAmend,
    OrderCancel,
    OrderRequest,
)
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.okx.socket import (
    DialFailed,
    LoginAccepted,
    LoginRefused,
    OkxSocket,
    SocketLost,
    open_okx_socket,
)
from anchorwatch.io.okx.wire_account import Position
from anchorwatch.io.okx.wire_market import Candle, Ticker
from anchorwatch.io.okx.wire_orders import AlgoOrder, OrderPush
from anchorwatch.io.okx.wire_ws import Arg, Garbled, Notice, Push, Unread
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.faults import Fault, Faults
from anchorwatch.io.venue.feeds import ManualFeed
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from anchorwatch.io.venue.synthetic import SyntheticFeed

K = TypeVar("K")

BTC = "BTC-USDT-SWAP"
START_MS = 1_767_319_200_000
MINUTE_MS = 60_000
KEY = Credentials(key="sim-key", secret="sim-secret", passphrase="sim-pass")
SWAPS = Arg(channel="orders", inst_type="SWAP")


class Side:
    """Both ends of the line."""

    def __init__(self, venue: Venue, port: int, now_ms: Callable[[], int]) -> None:
        self.venue = venue
        host = f"127.0.0.1:{port}"
        self.endpoints = endpoints(
            Environment.SIM, Region.GLOBAL, rest_url=f"http://{host}", ws_url=f"ws://{host}/ws/v5"
        )
        self.now_ms = now_ms
        self.rest = OkxRest(self.endpoints, KEY, now_ms)

    @asynccontextmanager
    async def socket(self, path: WsPath, args: Sequence[Arg] = ()) -> AsyncIterator[OkxSocket]:
        private = path is WsPath.PRIVATE or any(
            arg.channel in ("orders-algo", "algo-advance") for arg in args
        )
        async with open_okx_socket(self.endpoints.ws(path)) as socket:
            if private:
                accepted = await socket.login(KEY, self.now_ms() // 1000)
                assert isinstance(accepted, LoginAccepted)
            if args:
                report = await socket.subscribe(args, deadline_s=2)
                assert report.complete, report
            yield socket


@asynccontextmanager
async def both(
    *accounts: AccountSpec, faults: Faults | None = None, ahead_ms: int = 0, synthetic: bool = False
) -> AsyncIterator[Side]:
    start_s = trio.current_time()

    def now_ms() -> int:
        return START_MS + round((trio.current_time() - start_s) * 1000)

    instrument = instrument_for(BTC)
    assert instrument is not None
    feed = SyntheticFeed(instrument, 7) if synthetic else ManualFeed(instrument, Decimal(60000), START_MS)
    venue = Venue(
        Market({BTC: feed}, START_MS),
        now_ms=lambda: now_ms() + ahead_ms,
        accounts=accounts or (AccountSpec(),),
        faults=faults,
    )
    listeners = await open_loopback()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_venue, venue, listeners)
        side = Side(venue, listeners[0].socket.getsockname()[1], now_ms)
        async with side.rest:
            yield side
        nursery.cancel_scope.cancel()


def order(identity: str, side: str = "buy", px: str = "", sz: str = "1", **more: object) -> OrderRequest:
    return OrderRequest(
        inst_id=BTC,
        td_mode="cross",
        side=side,
        ord_type="limit" if px else "market",
        px=Decimal(px) if px else None,
        sz=Decimal(sz),
        cl_ord_id=identity,
        **more,  # type: ignore[arg-type]
    )


def full_stop(identity: str, px: str) -> AlgoRequest:
    return AlgoRequest(
        inst_id=BTC,
        td_mode="cross",
        side="sell",
        ord_type="conditional",
        algo_cl_ord_id=identity,
        close_fraction=Decimal(1),
        reduce_only=True,
        cxl_on_close_pos=True,
        sl_trigger_px=Decimal(px),
        sl_ord_px=Decimal(-1),
        sl_trigger_px_type="mark",
    )


async def row_of(socket: OkxSocket, kind: type[K], wanted: Callable[[K], bool]) -> K:
    """The first pushed row of a kind that is the one wanted; nothing unreadable may come on the way."""
    with trio.fail_after(3):
        async for frame in socket.frames():
            assert not isinstance(frame, Garbled | Unread), frame
            for row in frame.rows if isinstance(frame, Push) else ():
                if isinstance(row, kind) and wanted(row):
                    return row
    raise AssertionError("the socket ended")


async def test_everything_that_a_start_reads() -> None:
    async with both() as side:
        rest = side.rest
        for outcome in (
            await rest.server_time(),
            await rest.instruments(),
            await rest.account_config(),
            await rest.balance("USDT"),
            await rest.leverage(BTC, mgn_mode="cross"),
            await rest.mark_price(BTC),
            await rest.ticker(BTC),
            await rest.funding_rate(BTC),
            await rest.price_limit(BTC),
            await rest.position_tiers("BTC-USDT", td_mode="cross"),
        ):
            assert isinstance(outcome, Answered), outcome
            assert outcome.rows
        for empty in (
            await rest.system_status(),
            await rest.positions(),
            await rest.positions_history(),
            await rest.orders_pending(),
            await rest.orders_history(),
            await rest.fills(),
            await rest.algos_pending(),
            await rest.algos_history(ord_type="conditional", state="effective"),
        ):
            assert empty == Answered(()), empty
        config = await rest.account_config()
        assert isinstance(config, Answered)
        assert "trade" in config.row.permissions
        balance = await rest.balance()
        assert isinstance(balance, Answered)
        usdt = balance.row.of("USDT")
        assert usdt is not None
        assert usdt.eq == 10_000


async def test_a_position_is_opened_covered_moved_and_closed() -> None:
    private = [SWAPS, Arg(channel="positions", inst_type="SWAP"), Arg(channel="account")]
    business = [Arg(channel="orders-algo", inst_type="SWAP"), Arg(channel="algo-advance", inst_type="SWAP")]
    async with both() as side, side.socket(WsPath.PRIVATE, private) as socket:
        async with side.socket(WsPath.BUSINESS, business) as algos:
            rest = side.rest
            assert isinstance(await rest.set_leverage(BTC, Decimal(5), mgn_mode="cross"), Answered)
            assert isinstance(await rest.place_order(order("e1", tag="entry")), Answered)
            filled = await row_of(socket, OrderPush, lambda row: row.state == "filled")
            assert (filled.cl_ord_id, filled.acc_fill_sz, filled.tag) == ("e1", Decimal(1), "entry")
            position = await row_of(socket, Position, lambda row: row.pos == 1)
            assert position.lever == 5

            assert isinstance(await rest.place_algo(full_stop("s1", "59000")), Answered)
            live = await row_of(algos, AlgoOrder, lambda row: row.state == "live")
            assert (live.algo_cl_ord_id, live.close_fraction, live.sz) == ("s1", Decimal(1), None)
            assert isinstance(await rest.place_algo(full_stop("s2", "59000")), Refused)
            moved = AlgoAmend(inst_id=BTC, algo_cl_ord_id="s1", new_sl_trigger_px=Decimal("59100.5"))
            assert isinstance(await rest.amend_algo(moved), Answered)
            stop = await rest.algo(algo_cl_ord_id="s1")
            assert isinstance(stop, Answered)
            assert stop.row.sl_trigger_px == Decimal("59100.5")
            pending = await rest.algos_pending()
            assert isinstance(pending, Answered)
            assert [row.algo_cl_ord_id for row in pending.rows] == ["s1"]

            assert isinstance(
                await rest.close_position(ClosePosition(inst_id=BTC, mgn_mode="cross")), Answered
            )
            await row_of(socket, Position, lambda row: row.pos == 0)
            await row_of(algos, AlgoOrder, lambda row: row.state == "canceled")
            assert await rest.positions() == Answered(())
            fills = await rest.fills()
            assert isinstance(fills, Answered)
            assert len(fills.rows) == 2
            history = await rest.positions_history()
            assert isinstance(history, Answered)
            assert [row.type for row in history.rows] == ["2"]


async def test_a_resting_order_is_found_amended_and_cancelled() -> None:
    async with both() as side, side.socket(WsPath.PRIVATE, [SWAPS]) as socket:
        stop = AttachedStop(attach_algo_cl_ord_id="a1", sl_trigger_px=Decimal(58000))
        resting = order("e1", px="59000", sz="2.5", attach_algo_ords=(stop,))
        placed = await side.rest.place_order(resting)
        assert isinstance(placed, Answered), placed
        await row_of(socket, OrderPush, lambda row: row.state == "live")
        found = await side.rest.order(BTC, cl_ord_id="e1")
        assert isinstance(found, Answered)
        assert (found.row.ord_id, found.row.px, found.row.sz) == (
            placed.row.ord_id,
            Decimal(59000),
            Decimal("2.5"),
        )
        assert found.row.attach_algo_ords[0].attach_algo_cl_ord_id == "a1"

        amend = OrderAmend(inst_id=BTC, cl_ord_id="e1", req_id="r1", new_px=Decimal("58999.9"))
        assert isinstance(await side.rest.amend_order(amend), Answered)
        amended = await row_of(socket, OrderPush, lambda row: row.req_id == "r1")
        assert (amended.amend_result, amended.px) == ("0", Decimal("58999.9"))

        assert isinstance(await side.rest.cancel_order(OrderCancel(inst_id=BTC, cl_ord_id="e1")), Answered)
        cancelled = await row_of(socket, OrderPush, lambda row: row.state == "canceled")
        assert cancelled.cancel_source == "1"
        again = await side.rest.cancel_order(OrderCancel(inst_id=BTC, cl_ord_id="e1"))
        assert isinstance(again, Refused)
        assert again.code == "51400"


async def test_refusals_come_with_the_venues_code() -> None:
    async with both() as side:
        rest = side.rest
        for outcome, code in (
            (await rest.order(BTC, cl_ord_id="never"), "51603"),
            (await rest.place_order(order("e1", px="59000", sz="9999")), "51008"),
            (await rest.close_position(ClosePosition(inst_id=BTC, mgn_mode="cross")), "51023"),
            (await rest.place_order(order("e2", "sell", reduce_only=True)), "51169"),
        ):
            assert isinstance(outcome, Refused), outcome
            assert outcome.code == code


async def test_a_duplicate_client_id_is_refused_as_already_there() -> None:
    async with both() as side:
        assert isinstance(await side.rest.place_order(order("e1", px="59000")), Answered)
        again = await side.rest.place_order(order("e1", px="59000"))
        assert isinstance(again, Refused)
        assert again.remedy.name == "UNKNOWN"


async def test_hedge_mode_keeps_two_legs() -> None:
    async with both(AccountSpec(pos_mode="long_short_mode")) as side:
        rest = side.rest
        assert isinstance(await rest.place_order(order("l1", "buy", pos_side="long")), Answered)
        assert isinstance(await rest.place_order(order("s1", "sell", sz="2", pos_side="short")), Answered)
        legs = await rest.positions()
        assert isinstance(legs, Answered)
        assert sorted((row.pos_side, row.pos) for row in legs.rows) == [
            ("long", Decimal(1)),
            ("short", Decimal(2)),
        ]
        refused = await rest.place_order(order("x1", "buy"))
        assert isinstance(refused, Refused)
        assert refused.code == "51000"


async def test_several_stops_are_cancelled_in_one_call() -> None:
    async with both() as side:
        rest = side.rest
        assert isinstance(await rest.place_order(order("e1", sz="4")), Answered)
        for number in range(3):
            trigger = AlgoRequest(
                inst_id=BTC,
                td_mode="cross",
                side="sell",
                ord_type="trigger",
                algo_cl_ord_id=f"t{number}",
                sz=Decimal(1),
                reduce_only=True,
                trigger_px=Decimal(59000),
                order_px=Decimal(-1),
                trigger_px_type="mark",
            )
            assert isinstance(await rest.place_algo(trigger), Answered)
        cancels = [AlgoCancel(inst_id=BTC, algo_cl_ord_id=name) for name in ("t0", "never", "t2")]
        outcome = await rest.cancel_algos(cancels)
        assert isinstance(outcome, Answered), outcome
        assert [ack.accepted for ack in outcome.rows] == [True, False, True]
        left = await rest.algos_pending()
        assert isinstance(left, Answered)
        assert [row.algo_cl_ord_id for row in left.rows] == ["t1"]


async def test_the_dead_mans_switch_is_armed_and_disarmed() -> None:
    async with both() as side:
        armed = await side.rest.cancel_all_after(10, tag="entry")
        assert isinstance(armed, Answered), armed
        assert armed.row.trigger_ms is not None
        assert abs(armed.row.trigger_ms - START_MS - 10_000) < 2_000
        disarmed = await side.rest.cancel_all_after(0, tag="entry")
        assert isinstance(disarmed, Answered)
        assert disarmed.row.trigger_ms is None


async def test_a_venue_whose_clock_is_far_ahead_is_followed() -> None:
    async with both(ahead_ms=60_000) as side:
        assert isinstance(await side.rest.balance(), Answered)  # refused once with 50102, then signed anew
        assert abs(side.rest.clock.offset_ms - 60_000) <= 100
        assert abs(side.rest.venue_now_ms() - side.venue.now_ms()) <= 200


@pytest.mark.parametrize("page", [pytest.param(900, id="recent"), pytest.param(2_500, id="beyond 1440")])
async def test_every_minute_of_a_long_history_comes_once(
    page: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with both(synthetic=True) as side:
        start_ms = START_MS - page * MINUTE_MS
        candles = await side.rest.candles(BTC, "1m", start_ms=start_ms, end_ms=START_MS)
        marks = await side.rest.mark_candles(BTC, "1m", start_ms=start_ms, end_ms=START_MS)
    for outcome in (candles, marks):
        assert isinstance(outcome, Answered), outcome
        assert [row.ts_ms for row in outcome.rows] == [START_MS - n * MINUTE_MS for n in range(page, 0, -1)]


async def test_public_channels_deliver_typed_rows() -> None:
    public = [
        Arg(channel=name, inst_id=BTC)
        for name in ("tickers", "trades", "books5", "bbo-tbt", "mark-price", "funding-rate", "price-limit")
    ]
    async with both(synthetic=True) as side:
        async with side.socket(
            WsPath.PUBLIC, [*public, Arg(channel="instruments", inst_type="SWAP")]
        ) as socket:
            ticker = await row_of(socket, Ticker, lambda row: bool(row.ts_ms))
            assert ticker.last
            assert await socket.ping(answer_within_s=2)
        candles = [Arg(channel="candle1m", inst_id=BTC), Arg(channel="mark-price-candle1m", inst_id=BTC)]
        async with side.socket(WsPath.BUSINESS, candles) as socket:
            candle = await row_of(socket, Candle, lambda row: bool(row.ts_ms))
            assert not candle.confirmed


async def test_a_wrong_key_is_refused_over_both_ways() -> None:
    async with both() as side:
        wrong = Credentials(key="sim-key", secret="not-the-secret", passphrase="sim-pass")
        async with OkxRest(side.endpoints, wrong, side.now_ms) as rest:
            outcome = await rest.balance()
            assert isinstance(outcome, Refused)
            assert outcome.code == "50113"
        async with side.socket(WsPath.PUBLIC) as socket:
            assert socket.ended is None
        async with open_okx_socket(side.endpoints.ws(WsPath.PRIVATE)) as socket:
            answer = await socket.login(wrong, side.now_ms() // 1000)
            assert isinstance(answer, LoginRefused)
            assert answer.code in ("60007", "60009")


async def test_channels_on_the_wrong_path_or_before_the_login_are_named_as_refused() -> None:
    async with both() as side:
        async with side.socket(WsPath.PUBLIC) as socket:
            report = await socket.subscribe([Arg(channel="candle1m", inst_id=BTC)], deadline_s=2)
            assert [refused.code for refused in report.refused] == ["64001"]
        async with open_okx_socket(side.endpoints.ws(WsPath.PRIVATE)) as socket:
            report = await socket.subscribe([SWAPS], deadline_s=2)
            assert [refused.code for refused in report.refused] == ["60011"]


def plan(**rule: object) -> Faults:
    return Faults(rules=(Fault(**rule),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind",
    ["accept_then_html", "accept_then_code", "truncated_answer", "accept_then_timeout", "late_processing"],
)
async def test_an_order_accepted_under_a_broken_answer_is_unknown_and_found_by_its_id(kind: str) -> None:
    async with both(faults=plan(kind=kind, where="trade/order", delay_ms=300)) as side:
        outcome = await side.rest.place_order(order("e1", px="59000"), deadline_s=0.2)
        assert isinstance(outcome, Unknown), outcome
        assert outcome.expires_ms is not None
        await trio.sleep(0.3)
        found = await side.rest.order(BTC, cl_ord_id="e1")
        assert isinstance(found, Answered), found
        assert found.row.state == "live"


@pytest.mark.parametrize("kind", ["reject_then_timeout", "reject_with_code", "html_error"])
async def test_an_order_not_accepted_under_the_same_answers_is_just_as_unknown(kind: str) -> None:
    async with both(faults=plan(kind=kind, where="trade/order")) as side:
        assert isinstance(await side.rest.place_order(order("e1", px="59000"), deadline_s=0.2), Unknown)
        found = await side.rest.order(BTC, cl_ord_id="e1")
        assert isinstance(found, Refused)
        assert found.code == "51603"


async def test_a_rate_limit_of_the_venue_is_a_refusal_without_effect() -> None:
    async with both(faults=plan(kind="reject_with_code", where="trade/order", code="50011")) as side:
        outcome = await side.rest.place_order(order("e1", px="59000"))
        assert isinstance(outcome, Refused)
        assert outcome.remedy.name == "RETRY"


async def test_a_refused_handshake_a_refused_login_and_a_closed_socket_are_three_things() -> None:
    async with both(faults=plan(kind="ws_refuse", where="private", status=503)) as side:
        with pytest.raises(DialFailed, match="503"):
            async with side.socket(WsPath.PRIVATE):
                raise AssertionError("no socket can have opened")
        async with side.socket(WsPath.PRIVATE, [SWAPS]):
            pass
    async with both(faults=plan(kind="login_reject")) as side:
        async with open_okx_socket(side.endpoints.ws(WsPath.PRIVATE)) as socket:
            assert isinstance(await socket.login(KEY, side.now_ms() // 1000), LoginRefused)
    async with both(faults=plan(kind="ws_close", where="private", after=2, code="4006")) as side:
        async with side.socket(WsPath.PRIVATE, [SWAPS]) as socket:
            with trio.fail_after(2), suppress(SocketLost):
                await socket.subscribe([Arg(channel="account")])
            with trio.fail_after(2):
                assert (await socket.wait_ended()).code == 4006


async def test_an_upgrade_notice_reaches_the_consumer() -> None:
    async with both(faults=plan(kind="upgrade_notice", where="public")) as side:
        async with side.socket(WsPath.PUBLIC, [Arg(channel="tickers", inst_id=BTC)]) as socket:
            with trio.fail_after(2):
                async for frame in socket.frames():
                    if isinstance(frame, Notice):
                        assert frame.code == "64008"
                        break


async def test_a_quiet_socket_lives_by_its_pings_and_ends_without_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with both() as side, side.socket(WsPath.PRIVATE, [SWAPS]) as socket:
        for _ in range(10):
            await trio.sleep(20)
            assert await socket.ping(answer_within_s=5)
        pinged_at = trio.current_time()
        assert (await socket.wait_ended()).code == 4004
        assert trio.current_time() - pinged_at == pytest.approx(30, abs=1)
