"""When an order reaches the venue and what it gets there: the rules that the embedded exchange and the back-test share."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.venue.noise import mix, mix_many

Int64s = NDArray[np.int64]
Side = Literal["buy", "sell"]

# A bot in the venue's region sees some 30 ms from sending an order to its match, and rarely more than 50.
LATENCY_BASE_MS = 30
LATENCY_JITTER_MS = 20

# A violent minute widens the spread: by a tick for each so many ticks of its range.
RANGE_PER_SPREAD_TICK = 256


def latency_ms(
    seed: int, sequence: int, *, base_ms: int = LATENCY_BASE_MS, jitter_ms: int = LATENCY_JITTER_MS
) -> int:
    """Milliseconds from sending request number `sequence` to its match: base to base + jitter, repeatable."""
    return base_ms + mix(seed, sequence) % (jitter_ms + 1)


@overload
def spread_ticks(height: int) -> int: ...
@overload
def spread_ticks(height: Int64s) -> Int64s: ...
def spread_ticks(height: int | Int64s) -> int | Int64s:
    """Between best bid and best ask, when the minute so far is so high."""
    return 1 + height // RANGE_PER_SPREAD_TICK


def latencies_ms(seed: int, sequences: Int64s, *, base_ms: int, jitter_ms: int) -> Int64s:
    """`latency_ms` of many requests at once."""
    return base_ms + (mix_many(seed, sequences) % np.uint64(jitter_ms + 1)).astype(np.int64)


def touch_ticks(close: int, high: int, low: int, taker_side: Side) -> tuple[int, int]:
    """(best bid, best ask) in ticks while a minute runs: the last trade was at the side that its taker came to.

    `close`, `high` and `low` are of the minute so far; `taker_side` is of the last trade.
    """
    spread = spread_ticks(high - low)
    bid = max(1, close - spread if taker_side == "buy" else close)
    return bid, bid + spread


def walk(
    levels: Iterable[tuple[Decimal, Decimal]], side: Side, contracts: Decimal, limit_px: Decimal | None
) -> list[tuple[Decimal, Decimal]]:
    """What a taker gets from the opposite side's levels (price, contracts), best first.

    Stops at `limit_px` (inclusive; None = any price) or when the levels end, so the sizes may sum to less than asked.
    """
    got: list[tuple[Decimal, Decimal]] = []
    left = contracts
    if left <= 0:
        return got
    for px, resting in levels:
        if limit_px is not None and (px > limit_px if side == "buy" else px < limit_px):
            break
        if left <= resting:
            got.append((px, left))
            break
        if resting > 0:
            got.append((px, resting))
            left -= resting
    return got


def maker_fill(
    side: Side, px: Decimal, contracts: Decimal, ahead: Decimal, trade_px: Decimal, trade_contracts: Decimal
) -> tuple[Decimal, Decimal]:
    """What one public trade leaves for a resting order: (contracts filled, contracts still ahead of it in the queue).

    A trade *through* the price means that the whole level was eaten: the order is filled completely. A trade *at* the
    price first eats what stood ahead in the queue, and only the rest fills the order. Any other trade does nothing.
    """
    through = trade_px < px if side == "buy" else trade_px > px
    if through:
        return contracts, Decimal(0)
    if trade_px != px:
        return Decimal(0), ahead
    eaten = min(ahead, trade_contracts)
    return min(contracts, trade_contracts - eaten), ahead - eaten
