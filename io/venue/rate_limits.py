"""The exchange's rate limits: sliding windows per endpoint and per user, instrument or address (OKX v5).

Placing, amending and cancelling have buckets of their own; single and batch requests too, except that a batch of
one uses the single bucket. Batches count orders. REST and WebSocket share them.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from anchorwatch.io.venue.refusals import Refusal

WINDOW_MS = 2_000
# New and amended orders of one sub-account, over all instruments; cancels do not count.
SUB_ACCOUNT_MAX = 1_000
# Buckets kept at most; the least recently used go first, and have long been empty then.
BUCKETS_MAX = 10_000


class Limit(NamedTuple):
    """At most `most` per `window_ms`, counted per `per`: ip, user, instrument (with the user) or tag."""

    most: int
    per: str
    window_ms: int = WINDOW_MS


LIMITS = {
    "public/time": Limit(10, "ip"),
    "public/instruments": Limit(20, "ip"),
    "public/mark-price": Limit(10, "ip+instrument"),
    "public/funding-rate": Limit(10, "ip+instrument"),
    "public/funding-rate-history": Limit(10, "ip+instrument"),
    "public/price-limit": Limit(20, "ip"),
    "public/position-tiers": Limit(10, "ip"),
    "market/candles": Limit(40, "ip"),
    "market/history-candles": Limit(20, "ip"),
    "market/mark-price-candles": Limit(20, "ip"),
    "market/history-mark-price-candles": Limit(10, "ip"),
    "market/books": Limit(40, "ip"),
    "market/ticker": Limit(20, "ip"),
    "market/tickers": Limit(20, "ip"),
    "market/trades": Limit(100, "ip"),
    "system/status": Limit(1, "ip", 5_000),
    "account/instruments": Limit(20, "user"),
    "account/config": Limit(5, "user"),
    "account/set-position-mode": Limit(5, "user"),
    "account/trade-fee": Limit(5, "user"),
    "account/set-leverage": Limit(20, "user"),
    "account/leverage-info": Limit(20, "user"),
    "account/max-size": Limit(20, "user"),
    "account/max-avail-size": Limit(20, "user"),
    "account/balance": Limit(10, "user"),
    "account/positions": Limit(10, "user"),
    "account/positions-history": Limit(10, "user"),
    "account/bills": Limit(5, "user", 1_000),
    "trade/order": Limit(60, "instrument"),
    "trade/cancel-order": Limit(60, "instrument"),
    "trade/amend-order": Limit(60, "instrument"),
    "trade/batch-orders": Limit(300, "instrument"),
    "trade/cancel-batch-orders": Limit(300, "instrument"),
    "trade/amend-batch-orders": Limit(300, "instrument"),
    "trade/close-position": Limit(20, "instrument"),
    "trade/get-order": Limit(60, "instrument"),
    "trade/orders-pending": Limit(60, "user"),
    "trade/fills": Limit(60, "user"),
    "trade/orders-history": Limit(40, "user"),
    "trade/orders-history-archive": Limit(20, "user"),
    "trade/fills-history": Limit(10, "user"),
    "trade/order-algo": Limit(20, "instrument"),
    "trade/amend-algos": Limit(20, "instrument"),
    "trade/cancel-algos": Limit(20, "instrument"),
    "trade/get-order-algo": Limit(20, "user"),
    "trade/orders-algo-pending": Limit(20, "user"),
    "trade/orders-algo-history": Limit(20, "user"),
    "trade/cancel-all-after": Limit(1, "tag", 1_000),
    "trade/account-rate-limit": Limit(1, "user", 1_000),
}

SINGLES = {
    "trade/batch-orders": "trade/order",
    "trade/cancel-batch-orders": "trade/cancel-order",
    "trade/amend-batch-orders": "trade/amend-order",
}
PLACING = ("trade/order", "trade/amend-order", "trade/batch-orders", "trade/amend-batch-orders")


class RateLimits:
    """Counts requests; raises 50011, or 50061 for the sub-account's ceiling, before anything is processed."""

    def __init__(self, *, enforced: bool = True) -> None:
        self._is_enforced = enforced
        self._buckets: dict[tuple[str, str], deque[int]] = {}

    def spend(
        self, endpoint: str, *, ip: str, user: str, instrument: str, tag: str, orders: int, now_ms: int
    ) -> None:
        """Take `orders` (1 for everything that is not a batch) from the buckets of one request."""
        if orders <= 1:
            endpoint = SINGLES.get(endpoint, endpoint)
        limit = LIMITS.get(endpoint)
        if limit is None or not self._is_enforced:
            return
        key = {
            "ip": ip,
            "ip+instrument": f"{ip} {instrument}",
            "user": user,
            "instrument": f"{user} {instrument}",
            "tag": f"{user} {tag}",
        }[limit.per]
        if not self._has_room(endpoint, key, limit, orders, now_ms):
            raise Refusal("50011")
        if endpoint in PLACING:
            whole = Limit(SUB_ACCOUNT_MAX, "user")
            if not self._has_room("sub-account", user, whole, orders, now_ms):
                raise Refusal("50061")
            self._take("sub-account", user, orders, now_ms)
        self._take(endpoint, key, orders, now_ms)

    def left(self, user: str, now_ms: int) -> int:
        """How many new and amended orders the sub-account may still send in this window."""
        whole = Limit(SUB_ACCOUNT_MAX, "user")
        self._has_room("sub-account", user, whole, 1, now_ms)
        return SUB_ACCOUNT_MAX - len(self._buckets.get(("sub-account", user), ()))

    def _has_room(self, endpoint: str, key: str, limit: Limit, orders: int, now_ms: int) -> bool:
        bucket = self._buckets.get((endpoint, key))
        if bucket is None:
            return orders <= limit.most
        while bucket and bucket[0] <= now_ms - limit.window_ms:
            bucket.popleft()
        return len(bucket) + orders <= limit.most

    def _take(self, endpoint: str, key: str, orders: int, now_ms: int) -> None:
        bucket = self._buckets.pop((endpoint, key), None) or deque()
        bucket.extend([now_ms] * orders)
        self._buckets[(endpoint, key)] = bucket
        while len(self._buckets) > BUCKETS_MAX:
            del self._buckets[next(iter(self._buckets))]
