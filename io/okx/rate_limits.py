"""Keeps our requests under the limits of OKX v5, by waiting before they are sent.

The venue does not say whether its windows are fixed or sliding, so ours slide and use 80 % of each limit.  A part
of every bucket is kept for protection (stops, closing, cancelling): a burst of ordinary requests can never make a
stop wait for its turn.  Waiting is bounded; what cannot go in time is not sent at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

import msgspec
import trio

Lane = Literal["normal", "protection"]
Scope = Literal["all", "instrument", "instrument-type", "tag"]

# The share of a limit that we use; the rest absorbs the jitter between our clock's window and the venue's.
USED_SHARE = 0.8
# The share of that which only protection may use.
PROTECTION_SHARE = 0.25
# Below this capacity a reserve would be most of the bucket; such endpoints are not part of protection.
RESERVE_CAPACITY_MIN = 4
# Requests that may wait for one bucket in one lane. More means that something asks in a loop.
WAITERS_MAX = 256
# Buckets come by instrument and tag; the idle ones are dropped beyond this number.
BUCKETS_MAX = 2_048


class Subject(msgspec.Struct, frozen=True):
    """What a request is about, as far as limits tell requests apart by it."""

    instrument: str = ""
    instrument_type: str = ""
    tag: str = ""

    def within(self, scope: Scope) -> str:
        match scope:
            case "instrument":
                return self.instrument
            case "instrument-type":
                return self.instrument_type
            case "tag":
                return self.tag
        return ""


ANYTHING = Subject()


class Limit(msgspec.Struct, frozen=True):
    """`requests` per `window_s`, counted for everything (`all`) or for each instrument, type or tag."""

    bucket: str
    requests: int
    window_s: float = 2.0
    scope: Scope = "all"

    @property
    def capacity(self) -> int:
        return max(1, int(self.requests * USED_SHARE))

    @property
    def span_s(self) -> float:
        """The window that we count over; stretched where 80 % of the limit is less than one request."""
        return max(self.window_s, self.capacity / (self.requests * USED_SHARE) * self.window_s)

    @property
    def normal_capacity(self) -> int:
        if self.capacity < RESERVE_CAPACITY_MIN:
            return self.capacity
        return self.capacity - max(1, int(self.capacity * PROTECTION_SHARE))


# New and amended orders of the whole sub-account, over all instruments; cancellations are not counted.
SUB_ACCOUNT = Limit("sub-account orders", 1000)

_PUBLIC_AND_ACCOUNT = {
    "GET /public/time": Limit("time", 10),
    "GET /public/instruments": Limit("instruments", 20, scope="instrument-type"),
    "GET /public/mark-price": Limit("mark-price", 10, scope="instrument"),
    "GET /public/funding-rate": Limit("funding-rate", 10, scope="instrument"),
    "GET /public/price-limit": Limit("price-limit", 20),
    "GET /public/position-tiers": Limit("position-tiers", 10),
    "GET /market/candles": Limit("candles", 40),
    "GET /market/history-candles": Limit("history-candles", 20),
    "GET /market/mark-price-candles": Limit("mark-price-candles", 20),
    "GET /market/history-mark-price-candles": Limit("history-mark-price-candles", 10),
    "GET /market/ticker": Limit("ticker", 20),
    "GET /system/status": Limit("status", 1, window_s=5.0),
    "GET /account/config": Limit("account-config", 5),
    "POST /account/set-position-mode": Limit("set-position-mode", 5),
    "POST /account/set-leverage": Limit("set-leverage", 20),
    "GET /account/leverage-info": Limit("leverage-info", 20),
    "GET /account/balance": Limit("balance", 10),
    "GET /account/positions": Limit("positions", 10),
    "GET /account/positions-history": Limit("positions-history", 10),
}
_TRADE = {
    "POST /trade/order": Limit("order", 60, scope="instrument"),
    "POST /trade/cancel-order": Limit("cancel-order", 60, scope="instrument"),
    "POST /trade/amend-order": Limit("amend-order", 60, scope="instrument"),
    "POST /trade/close-position": Limit("close-position", 20, scope="instrument"),
    "GET /trade/order": Limit("order-details", 60, scope="instrument"),
    "GET /trade/orders-pending": Limit("orders-pending", 60),
    "GET /trade/orders-history": Limit("orders-history", 40),
    "GET /trade/fills": Limit("fills", 60),
    "POST /trade/order-algo": Limit("order-algo", 20, scope="instrument"),
    "POST /trade/amend-algos": Limit("amend-algos", 20, scope="instrument"),
    "POST /trade/cancel-algos": Limit("cancel-algos", 20, scope="instrument"),
    "GET /trade/order-algo": Limit("order-algo-details", 20),
    "GET /trade/orders-algo-pending": Limit("orders-algo-pending", 20),
    "GET /trade/orders-algo-history": Limit("orders-algo-history", 20),
    "POST /trade/cancel-all-after": Limit("cancel-all-after", 1, window_s=1.0, scope="tag"),
}
LIMITS = {**_PUBLIC_AND_ACCOUNT, **_TRADE}
_COUNTED_BY_SUB_ACCOUNT = ("POST /trade/order", "POST /trade/amend-order")


class _Bucket:
    """The times at which requests of one limit were let go, oldest first; at most its capacity of them."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.taken: deque[float] = deque()
        self.closed_until = 0.0
        self.turns: dict[Lane, trio.StrictFIFOLock] = {
            "normal": trio.StrictFIFOLock(),
            "protection": trio.StrictFIFOLock(),
        }

    def ready_at(self, lane: Lane, weight: int, now: float) -> float:
        """The earliest time at which `weight` more requests may go."""
        while self.taken and self.taken[0] + self.limit.span_s <= now:
            self.taken.popleft()
        room = self.limit.capacity if lane == "protection" else self.limit.normal_capacity
        excess = len(self.taken) + min(weight, room) - room
        free_at = self.taken[excess - 1] + self.limit.span_s if excess > 0 else now
        return max(free_at, self.closed_until)

    def take(self, weight: int, now: float) -> None:
        self.taken.extend([now] * weight)

    def idle(self, now: float) -> bool:
        waited_for = any(lock.statistics().locked for lock in self.turns.values())
        busy = bool(self.taken) and self.taken[-1] + self.limit.span_s > now
        return not waited_for and not busy and self.closed_until <= now


class RateLimits:
    """All buckets of one account (private limits) on one host (public limits)."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    async def take(
        self,
        endpoint: str,
        *,
        subject: Subject = ANYTHING,
        lane: Lane = "normal",
        weight: int = 1,
        wait_max_s: float,
    ) -> bool:
        """Wait until one request to `endpoint` ("GET /public/time") may go, and count it.

        Returns False when that would take longer than `wait_max_s`, or too many wait already: then nothing was
        counted and nothing may be sent.  `weight` is the number of orders where the venue counts orders.
        Raises KeyError for an endpoint without a listed limit, which is our bug.
        """
        limit = LIMITS[endpoint]
        own = self._bucket(limit, subject.within(limit.scope))
        buckets = (own, self._bucket(SUB_ACCOUNT, "")) if endpoint in _COUNTED_BY_SUB_ACCOUNT else (own,)
        turn = own.turns[lane]
        if turn.statistics().tasks_waiting >= WAITERS_MAX:
            return False
        # Nobody is ahead, and there is room: a stop goes without a turn of the scheduler.
        if not turn.locked() and _taken_by(trio.current_time(), buckets, lane, weight) is None:
            return True
        with trio.move_on_after(wait_max_s):
            async with turn:
                while True:
                    room_at = _taken_by(trio.current_time(), buckets, lane, weight)
                    if room_at is None:
                        return True
                    await trio.sleep_until(room_at)
        return False

    async def room(self, endpoint: str, *, lane: Lane, weight: int) -> None:
        """Wait until `weight` requests to `endpoint`, which is limited for everything together, may go at once.

        Nothing is taken: what others ask for meanwhile may take it. It is over within the endpoint's window if they do not.
        """
        bucket = self._bucket(LIMITS[endpoint], "")
        while True:
            now = trio.current_time()
            ready = bucket.ready_at(lane, weight, now)
            if ready <= now:
                return
            await trio.sleep_until(ready)

    def close_for_a_window(self, endpoint: str, subject: Subject = ANYTHING) -> None:
        """The venue said 50011 although we counted: someone else uses the limit too. Wait one window."""
        limit = LIMITS[endpoint]
        self._bucket(limit, subject.within(limit.scope)).closed_until = trio.current_time() + limit.span_s

    def _bucket(self, limit: Limit, key: str) -> _Bucket:
        bucket = self._buckets.get((limit.bucket, key))
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                now = trio.current_time()
                self._buckets = {name: kept for name, kept in self._buckets.items() if not kept.idle(now)}
            bucket = self._buckets[limit.bucket, key] = _Bucket(limit)
        return bucket


def _taken_by(now: float, buckets: Sequence[_Bucket], lane: Lane, weight: int) -> float | None:
    """Counts the request and returns None where there is room by `now`; otherwise when there will be."""
    ready = max(bucket.ready_at(lane, weight, now) for bucket in buckets)
    if ready > now:
        return ready
    for bucket in buckets:
        bucket.take(weight, now)
    return None
