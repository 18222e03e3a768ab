"""Everything that the bot asks of OKX v5 over REST, one typed method for each call.

No call raises for a fault of the venue or the network: see ``outcomes``.  Cancelling the task that waits for a
write leaves that write of unknown outcome, as a time-out does.

Calls that protect a position (stops, closing, cancelling) use the lane of the rate limits that is kept for
protection, unless told otherwise.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from types import TracebackType

import trio

from anchorwatch.io.okx import calls
from anchorwatch.io.okx.candle_pages import read_candles
from anchorwatch.io.okx.clock_offset import ClockOffset, Sample
from anchorwatch.io.okx.environments import Credentials, Endpoints
from anchorwatch.io.okx.outcomes import Answered, Failed, Read, Write
from anchorwatch.io.okx.rate_limits import Lane, RateLimits
from anchorwatch.io.okx.requests import (
    CANCEL_ALGOS_MAX,
    AlgoAmend,
    AlgoCancel,
    AlgoRequest,
    ClosePosition,
    OrderAmend,
    OrderCancel,
    OrderRequest,
    plain,
)
from anchorwatch.io.okx.transport import KEEP_ALIVE_S, SPARE_CONNECTIONS, WARM_CONNECTIONS, Transport
from anchorwatch.io.okx.wire_account import (
    AccountConfig,
    Balance,
    ClosedPosition,
    Leverage,
    Position,
    PositionMode,
)
from anchorwatch.io.okx.wire_market import (
    Candle,
    FundingRate,
    Instrument,
    MarkCandle,
    MarkPrice,
    PositionTier,
    PriceLimit,
    SystemStatus,
    Ticker,
)
from anchorwatch.io.okx.wire_orders import Ack, AlgoAck, AlgoOrder, CancelAllAfter, CloseAck, Fill, Order

# How long a placement stays acceptable at the venue (`expTime`). OKX v5 drops it unprocessed afterwards, so a lost
# answer becomes certain soon; long enough for a slow line, short enough that the price it was meant for is near.
PLACEMENT_VALID_MS = 3_000

# The lists of algo orders: the venue answers one type a call, and only these two together.
ALGO_LISTS = ("conditional,oco", "trigger", "move_order_stop")

ACCOUNT_LISTS = {
    "GET /account/positions": 1,
    "GET /trade/orders-pending": 1,
    "GET /trade/orders-algo-pending": len(ALGO_LISTS),
}
"""What one reading of the account asks for, and how often."""

WARM_EVERY_S = KEEP_ALIVE_S - 5

# OKX v5: seconds that cancel-all-after accepts beside 0, which disarms it.
CANCEL_ALL_AFTER_S = range(10, 121)


HISTORY_REACH_MS = 7 * 86_400_000 - 3_600_000
"""OKX v5: the quick history of orders holds 7 days; an hour less, so that a row is not lost while it is asked for."""


class OkxRest:
    """The venue over REST. Use as `async with`; calls may run concurrently.

    `now_ms` is this host's UTC time.  Until `server_time` has been called the venue's clock is taken to be ours.
    A client that `reads_only` refuses every request that would change anything, before it is sent.
    `transport` stands in for HTTP where the venue is a library in this process.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials | None,
        now_ms: Callable[[], int],
        *,
        tls: ssl.SSLContext | None = None,
        limits: RateLimits | None = None,
        reads_only: bool = False,
        transport: Transport | None = None,
    ) -> None:
        self._transport = transport or Transport(endpoints, credentials, now_ms, tls=tls)
        self._calls = calls.Calls(self._transport, limits or RateLimits(), now_ms, reads_only=reads_only)

    async def __aenter__(self) -> OkxRest:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    @property
    def clock(self) -> ClockOffset:
        """What is known of the venue's clock; `clock.jumped` after the last `server_time` means: do not trade."""
        return self._calls.clock

    def venue_now_ms(self) -> int:
        return self._calls.venue_now_ms()

    def tell_clock(self, told: Callable[[ClockOffset], None]) -> None:
        """``told`` hears what is known of the clock after every measurement, whoever asked for it."""
        self._calls.on_clock = told

    async def keep_warm(self) -> None:
        """Keep connections open, and the venue's clock measured, until cancelled.

        A stop that has to dial first is a round trip later, two with TLS, and a fill may come after minutes of quiet.
        The spare ones have their turn when the others have had theirs: there is always one for a stop.
        """
        while True:
            await trio.sleep(WARM_EVERY_S)
            for spare, number in ((False, WARM_CONNECTIONS), (True, SPARE_CONNECTIONS)):
                async with trio.open_nursery() as nursery:
                    for _ in range(number):
                        nursery.start_soon(partial(self.server_time, spare=spare))

    # The venue.

    async def server_time(
        self, *, deadline_s: float = calls.READ_DEADLINE_S, spare: bool = False
    ) -> Read[Sample]:
        """Measures the clock offset; the sample is taken into `clock`."""
        return await self._calls.measure_clock(deadline_s=deadline_s, spare=spare)

    async def system_status(self, *, state: str = "") -> Read[SystemStatus]:
        """Maintenance that is scheduled, going on or opening. Limited to one call in 5 s."""
        return await self._calls.read("/system/status", {"state": state}, SystemStatus)

    async def instruments(self, *, inst_type: str = "SWAP", inst_id: str = "") -> Read[Instrument]:
        return await self._calls.read(
            "/public/instruments", {"instType": inst_type, "instId": inst_id}, Instrument
        )

    async def candles(
        self,
        inst_id: str,
        bar: str,
        *,
        start_ms: int,
        end_ms: int,
        confirmed_only: bool = True,
        deadline_s: float = calls.LIST_DEADLINE_S,
    ) -> Read[Candle]:
        """Candles that open in [start, end), oldest first, each once; missing ones are missing at the venue."""
        return await read_candles(
            self._calls,
            ("/market/candles", "/market/history-candles"),
            Candle,
            inst_id,
            bar,
            start_ms=start_ms,
            end_ms=end_ms,
            confirmed_only=confirmed_only,
            deadline_s=deadline_s,
        )

    async def history_candles(
        self, inst_id: str, bar: str, *, start_ms: int, end_ms: int, deadline_s: float = calls.LIST_DEADLINE_S
    ) -> Read[Candle]:
        """Closed candles that open in [start, end), however long ago; no key is needed."""
        return await read_candles(
            self._calls,
            ("/market/history-candles",),
            Candle,
            inst_id,
            bar,
            start_ms=start_ms,
            end_ms=end_ms,
            confirmed_only=True,
            deadline_s=deadline_s,
        )

    async def mark_candles(
        self,
        inst_id: str,
        bar: str,
        *,
        start_ms: int,
        end_ms: int,
        confirmed_only: bool = True,
        deadline_s: float = calls.LIST_DEADLINE_S,
    ) -> Read[MarkCandle]:
        """The same for the mark price."""
        return await read_candles(
            self._calls,
            ("/market/mark-price-candles", "/market/history-mark-price-candles"),
            MarkCandle,
            inst_id,
            bar,
            start_ms=start_ms,
            end_ms=end_ms,
            confirmed_only=confirmed_only,
            deadline_s=deadline_s,
        )

    async def mark_price(self, inst_id: str) -> Read[MarkPrice]:
        query = {"instType": "SWAP", "instId": inst_id}
        return await self._calls.read_one("/public/mark-price", query, MarkPrice)

    async def ticker(self, inst_id: str) -> Read[Ticker]:
        return await self._calls.read_one("/market/ticker", {"instId": inst_id}, Ticker)

    async def funding_rate(self, inst_id: str) -> Read[FundingRate]:
        return await self._calls.read_one("/public/funding-rate", {"instId": inst_id}, FundingRate)

    async def price_limit(self, inst_id: str) -> Read[PriceLimit]:
        return await self._calls.read_one("/public/price-limit", {"instId": inst_id}, PriceLimit)

    async def position_tiers(self, inst_family: str, *, td_mode: str) -> Read[PositionTier]:
        query = {"instType": "SWAP", "tdMode": td_mode, "instFamily": inst_family}
        return await self._calls.read("/public/position-tiers", query, PositionTier)

    # The account.

    async def account_config(self) -> Read[AccountConfig]:
        return await self._calls.read_one("/account/config", {}, AccountConfig)

    async def balance(self, ccy: str = "") -> Read[Balance]:
        return await self._calls.read_one("/account/balance", {"ccy": ccy}, Balance)

    async def positions(
        self,
        *,
        inst_type: str = "SWAP",
        inst_id: str = "",
        lane: Lane = "normal",
        deadline_s: float = calls.READ_DEADLINE_S,
    ) -> Read[Position]:
        """All open positions. Asked for one instrument, the venue may add a row with `pos` 0 for a closed one."""
        query = {"instType": inst_type, "instId": inst_id}
        outcome = await self._calls.read(
            "/account/positions", query, Position, lane=lane, deadline_s=deadline_s
        )
        if isinstance(outcome, Answered) and any(not row.inst_id or row.pos is None for row in outcome.rows):
            return Failed("a position without instrument or size")
        return outcome

    async def positions_history(self, *, inst_id: str = "", since_ms: int = 0) -> Read[ClosedPosition]:
        """Closed positions, newest first, updated since `since_ms` (at most 3 months back)."""
        # The cursor is a time, and rows may share it: each page starts one millisecond inside the last one.
        query = {"instType": "SWAP", "instId": inst_id, "before": since_ms - 1 if since_ms else None}
        return await self._calls.read_all(
            "/account/positions-history",
            query,
            ClosedPosition,
            identity=lambda row: f"{row.pos_id} {row.u_time_ms} {row.type}" if row.pos_id else "",
            cursor=lambda row: (row.u_time_ms or 0) + 1,
        )

    async def leverage(self, inst_id: str, *, mgn_mode: str) -> Read[Leverage]:
        """One row in net mode, one for each side in long/short mode."""
        query = {"instId": inst_id, "mgnMode": mgn_mode}
        return await self._calls.read("/account/leverage-info", query, Leverage)

    async def set_leverage(
        self, inst_id: str, lever: Decimal, *, mgn_mode: str, pos_side: str = ""
    ) -> Write[Leverage]:
        """`pos_side` only for isolated margin in long/short mode. Blocked while orders are pending."""
        body = {"instId": inst_id, "lever": plain(lever), "mgnMode": mgn_mode}
        if pos_side:
            body["posSide"] = pos_side
        return await self._calls.write("/account/set-leverage", body, Leverage)

    async def set_position_mode(self, pos_mode: str) -> Write[PositionMode]:
        """`net_mode` or `long_short_mode`. Refused (59000) unless flat and without orders."""
        return await self._calls.write("/account/set-position-mode", {"posMode": pos_mode}, PositionMode)

    # Orders.

    async def place_order(
        self,
        request: OrderRequest,
        *,
        lane: Lane = "normal",
        expires_ms: int | None = None,
        still_wanted: Callable[[], bool] | None = None,
        deadline_s: float = calls.WRITE_DEADLINE_S,
    ) -> Write[Ack]:
        """`still_wanted` is asked when the first byte is about to be written; on False nothing is sent.

        `expires_ms` is the venue time after which it must not be accepted; None is a while after it is signed.
        """
        return await self._calls.write(
            "/trade/order",
            request,
            Ack,
            instrument=request.inst_id,
            lane=lane,
            deadline_s=deadline_s,
            valid_ms=PLACEMENT_VALID_MS,
            expires_ms=expires_ms,
            still_wanted=still_wanted,
        )

    async def amend_order(
        self,
        request: OrderAmend,
        *,
        lane: Lane = "normal",
        expires_ms: int | None = None,
        still_wanted: Callable[[], bool] | None = None,
        deadline_s: float = calls.WRITE_DEADLINE_S,
    ) -> Write[Ack]:
        """Accepted is not amended: the result comes on the channel `orders` with `req_id`."""
        return await self._calls.write(
            "/trade/amend-order",
            request,
            Ack,
            instrument=request.inst_id,
            lane=lane,
            deadline_s=deadline_s,
            valid_ms=PLACEMENT_VALID_MS,
            expires_ms=expires_ms,
            still_wanted=still_wanted,
        )

    async def cancel_order(self, request: OrderCancel, *, lane: Lane = "protection") -> Write[Ack]:
        return await self._calls.write(
            "/trade/cancel-order", request, Ack, instrument=request.inst_id, lane=lane
        )

    async def close_position(
        self,
        request: ClosePosition,
        *,
        lane: Lane = "protection",
        still_wanted: Callable[[], bool] | None = None,
    ) -> Write[CloseAck]:
        """Closes everything at market. It has no deadline at the venue and its answer names no order."""
        path = "/trade/close-position"
        return await self._calls.write(
            path, request, CloseAck, instrument=request.inst_id, lane=lane, still_wanted=still_wanted
        )

    async def order(
        self,
        inst_id: str,
        *,
        cl_ord_id: str = "",
        ord_id: str = "",
        lane: Lane = "normal",
        deadline_s: float = calls.READ_DEADLINE_S,
    ) -> Read[Order]:
        """One order by our id or the venue's. Refused with 51603 when it is not found, which is not yet final."""
        query = {"instId": inst_id, "clOrdId": cl_ord_id, "ordId": ord_id}
        return await self._calls.read_one("/trade/order", query, Order, lane=lane, deadline_s=deadline_s)

    async def orders_pending(
        self,
        *,
        inst_type: str = "SWAP",
        inst_id: str = "",
        lane: Lane = "normal",
        deadline_s: float = calls.LIST_DEADLINE_S,
    ) -> Read[Order]:
        """All resting normal orders. Algo orders are not among them."""
        query = {"instType": inst_type, "instId": inst_id}
        return await self._orders("/trade/orders-pending", query, lane, deadline_s)

    async def orders_history(
        self,
        *,
        inst_type: str = "SWAP",
        inst_id: str = "",
        since_ms: int | None = None,
        lane: Lane = "normal",
    ) -> Read[Order]:
        """Final orders created since `since_ms`: of 7 days, or of 3 months where `since_ms` reaches back further.

        Cancelled without a fill they are kept 2 hours only.
        """
        query = {"instType": inst_type, "instId": inst_id, "begin": since_ms}
        is_old = since_ms is not None and self.venue_now_ms() - since_ms > HISTORY_REACH_MS
        return await self._orders(f"/trade/orders-history{'-archive' if is_old else ''}", query, lane)

    async def fills(
        self,
        *,
        inst_type: str = "SWAP",
        inst_id: str = "",
        ord_id: str = "",
        since_ms: int | None = None,
        lane: Lane = "normal",
    ) -> Read[Fill]:
        """Fills of 3 days, newest first, booked since `since_ms`."""
        query = {"instType": inst_type, "instId": inst_id, "ordId": ord_id, "begin": since_ms}
        return await self._calls.read_all(
            "/trade/fills",
            query,
            Fill,
            identity=lambda row: row.bill_id,
            cursor=lambda row: row.bill_id,
            lane=lane,
        )

    async def _orders(
        self, path: str, query: calls.Query, lane: Lane, deadline_s: float = calls.LIST_DEADLINE_S
    ) -> Read[Order]:
        return await self._calls.read_all(
            path,
            query,
            Order,
            identity=lambda row: row.ord_id,
            cursor=lambda row: row.ord_id,
            lane=lane,
            deadline_s=deadline_s,
        )

    # Algo orders: the stops.

    async def place_algo(
        self,
        request: AlgoRequest,
        *,
        lane: Lane = "protection",
        still_wanted: Callable[[], bool] | None = None,
        deadline_s: float = calls.WRITE_DEADLINE_S,
    ) -> Write[AlgoAck]:
        return await self._calls.write(
            "/trade/order-algo",
            request,
            AlgoAck,
            instrument=request.inst_id,
            lane=lane,
            deadline_s=deadline_s,
            still_wanted=still_wanted,
        )

    async def amend_algo(self, request: AlgoAmend, *, lane: Lane = "protection") -> Write[AlgoAck]:
        return await self._calls.write(
            "/trade/amend-algos", request, AlgoAck, instrument=request.inst_id, lane=lane
        )

    async def cancel_algos(
        self, requests: Sequence[AlgoCancel], *, lane: Lane = "protection"
    ) -> Write[AlgoAck]:
        """Up to 10 algo orders of one instrument. Of several, each acknowledgement says for itself (`accepted`)."""
        assert 1 <= len(requests) <= CANCEL_ALGOS_MAX, f"{len(requests)} cancellations in one call"
        instruments = {request.inst_id for request in requests}
        assert len(instruments) == 1, "one instrument a call: the limit counts by instrument"
        return await self._calls.write(
            "/trade/cancel-algos",
            list(requests),
            AlgoAck,
            instrument=requests[0].inst_id,
            lane=lane,
            weight=len(requests),
        )

    async def algo(
        self, *, algo_cl_ord_id: str = "", algo_id: str = "", lane: Lane = "normal"
    ) -> Read[AlgoOrder]:
        query = {"algoClOrdId": algo_cl_ord_id, "algoId": algo_id}
        return await self._calls.read_one("/trade/order-algo", query, AlgoOrder, lane=lane)

    async def room_for_account(self, *, lane: Lane) -> None:
        """Wait until positions, orders and all lists of algo orders may be asked for, one page of each, without a wait."""
        for endpoint, weight in ACCOUNT_LISTS.items():
            await self._calls.room(endpoint, lane=lane, weight=weight)

    async def algos_pending(
        self,
        *,
        ord_types: Sequence[str] = ALGO_LISTS,
        inst_id: str = "",
        lane: Lane = "normal",
        deadline_s: float = calls.LIST_DEADLINE_S,
    ) -> Read[AlgoOrder]:
        """All resting algo orders: every list, or a failure. The deadline is for each list."""
        found: list[AlgoOrder] = []
        for ord_type in ord_types:
            query = {"ordType": ord_type, "instType": "SWAP", "instId": inst_id}
            outcome = await self._algos("/trade/orders-algo-pending", query, lane, deadline_s)
            if not isinstance(outcome, Answered):
                return outcome
            found.extend(outcome.rows)
        return Answered(tuple(found))

    async def algos_history(
        self, *, ord_type: str, state: str = "", algo_id: str = "", inst_id: str = "", lane: Lane = "normal"
    ) -> Read[AlgoOrder]:
        """Final algo orders; the venue wants either a state (effective, canceled, order_failed) or an id."""
        assert bool(state) != bool(algo_id), "either a state or an id"
        query = {
            "ordType": ord_type,
            "state": state,
            "algoId": algo_id,
            "instType": "SWAP",
            "instId": inst_id,
        }
        return await self._algos("/trade/orders-algo-history", query, lane)

    async def _algos(
        self, path: str, query: calls.Query, lane: Lane, deadline_s: float = calls.LIST_DEADLINE_S
    ) -> Read[AlgoOrder]:
        return await self._calls.read_all(
            path,
            query,
            AlgoOrder,
            identity=lambda row: row.algo_id,
            cursor=lambda row: row.algo_id,
            lane=lane,
            deadline_s=deadline_s,
        )

    async def cancel_all_after(
        self, timeout_s: int, *, tag: str = "", deadline_s: float = calls.WRITE_DEADLINE_S
    ) -> Write[CancelAllAfter]:
        """Arm the dead man's switch for the pending orders of `tag`, or disarm it with 0."""
        assert timeout_s == 0 or timeout_s in CANCEL_ALL_AFTER_S, f"{timeout_s} s: 0, or 10 to 120"
        body = {"timeOut": str(timeout_s)}
        if tag:
            body["tag"] = tag
        return await self._calls.write(
            "/trade/cancel-all-after",
            body,
            CancelAllAfter,
            tag=tag,
            lane="protection",
            deadline_s=deadline_s,
        )
