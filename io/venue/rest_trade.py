"""Trade REST endpoints: orders, algo orders, fills, histories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.algo_placement import ALGO_KINDS, TP_SL
from anchorwatch.io.venue.answers import Answer, of_items, page
from anchorwatch.io.venue.authentication import Caller
from anchorwatch.io.venue.order_rows import Row, algo_row, fill_row, order_row
from anchorwatch.io.venue.orders import PENDING, AlgoOrder, Order
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.refusals import Refusal

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

Body = Mapping[str, object] | list[Mapping[str, object]]
TradeRead = Callable[["Venue", Caller, Parameters], Sequence[object]]
ItemWork = Callable[["Venue", Account, Mapping[str, object]], Row]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# OKX: how long each list remembers.
UNFILLED_CANCELLED_MS = 2 * HOUR_MS
ORDERS_MS = 7 * DAY_MS
FILLS_MS = 3 * DAY_MS
ARCHIVE_MS = 90 * DAY_MS
BATCH_MAX = 20
CANCEL_ALGOS_MAX = 10
HISTORY_STATES = ("effective", "canceled", "order_failed")


# Reading orders.


def get_order(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    venue.instrument(asked.required("instId"))
    order_id, client_id = asked.text("ordId"), asked.text("clOrdId")
    if not order_id and not client_id:
        raise Refusal("51003")
    order = caller.account.find_order(order_id, client_id)
    if order is None or order.inst_id != asked.text("instId") or _is_forgotten(venue, order):
        raise Refusal("51603")
    return [order_row(order)]


def orders_pending(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    state = asked.one_of("state", ("", *PENDING))
    newest_first = sorted(caller.account.pending.values(), key=_order_cursor, reverse=True)
    chosen = (one for one in _filtered(newest_first, asked) if state in ("", one.state))
    return [order_row(order) for order in page(chosen, asked, _order_cursor)]


def orders_history(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return _history(venue, caller, asked, ORDERS_MS)


def orders_history_archive(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return _history(venue, caller, asked, ARCHIVE_MS)


def _history(venue: Venue, caller: Caller, asked: Parameters, kept_ms: int) -> Sequence[object]:
    asked.required("instType")
    state, category = asked.text("state"), asked.text("category")
    begin_ms = max(asked.whole("begin") or 0, venue.now_ms() - kept_ms)
    end_ms = asked.whole("end") or venue.now_ms()
    newest_first = sorted(caller.account.done, key=_order_cursor, reverse=True)
    chosen = (
        order
        for order in _filtered(newest_first, asked)
        if begin_ms <= order.created_ms <= end_ms
        and state in ("", order.state)
        and category in ("", order.category)
        and not _is_forgotten(venue, order)
    )
    return [order_row(order) for order in page(chosen, asked, _order_cursor)]


def _is_forgotten(venue: Venue, order: Order) -> bool:
    """Orders cancelled without any fill vanish after two hours."""
    if order.state != "canceled" or order.filled > 0:
        return False
    return venue.now_ms() - order.updated_ms > UNFILLED_CANCELLED_MS


def _filtered(orders: Iterable[Order], asked: Parameters) -> Iterable[Order]:
    if asked.text("instType", "SWAP") not in ("SWAP", "ANY"):
        return []
    inst_id, family = asked.text("instId"), asked.text("instFamily") or asked.text("uly")
    kinds = [kind for kind in asked.text("ordType").split(",") if kind]
    return (
        order
        for order in orders
        if inst_id in ("", order.inst_id)
        and family in ("", order.inst_id.removesuffix("-SWAP"))
        and (not kinds or order.kind in kinds)
    )


def _order_cursor(order: Order) -> int:
    return int(order.order_id)


def fills(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return _fills(venue, caller, asked, FILLS_MS)


def fills_history(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    asked.required("instType")
    return _fills(venue, caller, asked, ARCHIVE_MS)


def _fills(venue: Venue, caller: Caller, asked: Parameters, kept_ms: int) -> Sequence[object]:
    if asked.text("instType", "SWAP") != "SWAP":
        return []
    begin_ms = max(asked.whole("begin") or 0, venue.now_ms() - kept_ms)
    end_ms = asked.whole("end") or venue.now_ms()
    inst_id, order_id, sub_type = asked.text("instId"), asked.text("ordId"), asked.text("subType")
    chosen = (
        fill
        for fill in reversed(caller.account.fills)
        if begin_ms <= fill.at_ms <= end_ms
        and inst_id in ("", fill.inst_id)
        and order_id in ("", fill.order_id)
        and sub_type in ("", fill.sub_type)
    )
    return [fill_row(fill) for fill in page(chosen, asked, lambda fill: int(fill.bill_id))]


# Reading algo orders.


def get_algo(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    algo_id, client_id = asked.text("algoId"), asked.text("algoClOrdId")
    if not algo_id and not client_id:
        raise Refusal("50014", "algoId")
    algo = caller.account.find_algo(algo_id, client_id)
    if algo is None:
        raise Refusal("51603")
    return [algo_row(algo)]


def algos_pending(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return _algos(caller.account.algos.values(), asked, _algo_kinds(asked))


def algos_history(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    kinds = _algo_kinds(asked)
    state = asked.one_of("state", ("", *HISTORY_STATES))
    if not state and not asked.text("algoId"):
        raise Refusal("50014", "state")
    since_ms = venue.now_ms() - ARCHIVE_MS
    done = (
        algo
        for algo in caller.account.algos_done
        if algo.updated_ms >= since_ms and state in ("", algo.state)
    )
    return _algos(done, asked, kinds)


def _algo_kinds(asked: Parameters) -> list[str]:
    """One kind; only conditional and oco may be asked for together."""
    kinds = asked.required("ordType").split(",")
    known = all(kind in (*ALGO_KINDS, "iceberg", "twap", "chase", "smart_iceberg") for kind in kinds)
    if not known or (len(kinds) > 1 and not all(kind in TP_SL for kind in kinds)):
        raise Refusal("51000", "ordType")
    return kinds


def _algos(algos: Iterable[AlgoOrder], asked: Parameters, kinds: list[str]) -> Sequence[object]:
    if asked.text("instType", "SWAP") not in ("SWAP", "ANY"):
        return []
    inst_id, algo_id = asked.text("instId"), asked.text("algoId")
    chosen = (
        algo
        for algo in sorted(algos, key=_algo_cursor, reverse=True)
        if algo.kind in kinds and inst_id in ("", algo.inst_id) and algo_id in ("", algo.algo_id)
    )
    return [algo_row(algo) for algo in page(chosen, asked, _algo_cursor)]


def _algo_cursor(algo: AlgoOrder) -> int:
    return int(algo.algo_id)


# Writing.


def write(venue: Venue, caller: Caller, endpoint: str, body: Body) -> Answer:
    """Any POST of the trade group. Lists and single objects are told apart by the endpoint."""
    account = caller.account
    trading = venue.trading
    if endpoint == "trade/close-position":
        return Answer([trading.close_position(account, _one(body))])
    if endpoint == "trade/cancel-all-after":
        return Answer([trading.renew_cancel_all_after(account, Parameters(_one(body)))])
    singles = {
        "trade/order": trading.place,
        "trade/cancel-order": trading.cancel,
        "trade/amend-order": trading.amend,
    }
    if endpoint in singles:
        item = singles[endpoint](account, _one(body))
        if str(item["sCode"]) == "50014":
            # A missing parameter refuses the whole request.
            raise Refusal("50014", str(item["sMsg"]).removeprefix("Parameter ").split(" ")[0])
        return of_items([item])
    batches = {
        "trade/batch-orders": trading.place,
        "trade/cancel-batch-orders": trading.cancel,
        "trade/amend-batch-orders": trading.amend,
    }
    if endpoint in batches:
        items = _many(body, BATCH_MAX)
        return of_items([trading.of_batch(batches[endpoint], account, item, len(items)) for item in items])
    if endpoint == "trade/order-algo":
        return of_items([trading.place_algo(account, _one(body))], is_timed=False)
    if endpoint == "trade/amend-algos":
        return of_items([trading.amend_algo(account, _one(body))], is_timed=False)
    items = _many(body, CANCEL_ALGOS_MAX)
    return of_items([trading.cancel_algo(account, item) for item in items], is_timed=False)


def _one(body: Body) -> Mapping[str, object]:
    if isinstance(body, list):
        if len(body) != 1:
            raise Refusal("50002")
        return body[0]
    return body


def _many(body: Body, most: int) -> list[Mapping[str, object]]:
    items = body if isinstance(body, list) else [body]
    if not 1 <= len(items) <= most:
        raise Refusal("51000", "batch size")
    return items


TRADE_READS: dict[str, TradeRead] = {
    "trade/order": get_order,
    "trade/orders-pending": orders_pending,
    "trade/orders-history": orders_history,
    "trade/orders-history-archive": orders_history_archive,
    "trade/fills": fills,
    "trade/fills-history": fills_history,
    "trade/order-algo": get_algo,
    "trade/orders-algo-pending": algos_pending,
    "trade/orders-algo-history": algos_history,
}
TRADE_WRITES = (
    "trade/order",
    "trade/batch-orders",
    "trade/cancel-order",
    "trade/cancel-batch-orders",
    "trade/amend-order",
    "trade/amend-batch-orders",
    "trade/close-position",
    "trade/order-algo",
    "trade/amend-algos",
    "trade/cancel-algos",
    "trade/cancel-advance-algos",
    "trade/cancel-all-after",
)
