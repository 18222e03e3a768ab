"""Order operations over the private WebSocket: the same trading as REST, instruments named by their integer code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.answers import of_items, of_refusal
from anchorwatch.io.venue.authentication import Caller
from anchorwatch.io.venue.order_rows import Row
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.refusals import Refusal

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

BATCH_MAX = 20
# The operation, the REST endpoint whose rate bucket it shares, and whether it is a batch.
OPERATIONS = {
    "order": ("trade/order", False),
    "batch-orders": ("trade/batch-orders", True),
    "cancel-order": ("trade/cancel-order", False),
    "batch-cancel-orders": ("trade/cancel-batch-orders", True),
    "amend-order": ("trade/amend-order", False),
    "batch-amend-orders": ("trade/amend-batch-orders", True),
}


def answer_operation(
    venue: Venue, caller: Caller, op: str, request_id: str, request: Mapping[str, object], args: list[Row]
) -> str:
    """Perform one operation; the answer has no ``event`` key, only the request's ``id`` and ``op``."""
    endpoint, is_batch = OPERATIONS[op]
    arrived_ms = venue.now_ms()
    try:
        if not request_id:
            raise Refusal("60013")
        if not args or len(args) > (BATCH_MAX if is_batch else 1):
            raise Refusal("60013")
        if "trade" not in caller.key.permissions:
            raise Refusal("50120")
        items = [_with_instrument(venue, one) for one in args]
        instrument = str(items[0].get("instId") or "")
        venue.rate_limits.spend(
            endpoint,
            ip="",
            user=caller.account.name,
            instrument=instrument,
            tag="",
            orders=len(items),
            now_ms=venue.now_ms(),
        )
        expiry = Parameters(request).text("expTime")
        work = _work_of(venue, op)
        answer = of_items(
            [
                venue.trading.of_batch(work, caller.account, {**item, "expTime": expiry}, len(items))
                for item in items
            ]
        )
    except Refusal as refusal:
        answer = of_refusal(refusal)._replace(is_timed=True)
    return answer.encoded(arrived_ms, venue.now_ms(), {"id": request_id, "op": op}).decode()


def _work_of(venue: Venue, op: str) -> Callable[[Account, Mapping[str, object]], Row]:
    if "cancel" in op:
        return venue.trading.cancel
    return venue.trading.amend if "amend" in op else venue.trading.place


def _with_instrument(venue: Venue, item: Row) -> Row:
    """The item with the ``instId`` that its code names; the code wins over an ``instId`` that is sent along."""
    code = Parameters(item).whole("instIdCode")
    if code is not None:
        return {**item, "instId": venue.instrument_by_code(code).inst_id}
    if venue.switches.ws_orders_need_code:
        raise Refusal("51000", "instIdCode")
    return item
