"""Mark price, index price and funding rate: a function of the traded price, the minute and a seed.

On the venue the mark is the index plus a smoothed basis: it follows the last price without its spikes, and the premium
between the two prices is what funding pays for. Here it is turned around, because only the traded price is known:

* mark = last, pulled by an eighth towards the previous minute's close. So the mark is a series of its own that lags
  in a fast market, and a rising function of the price inside a minute: the mark of a candle's high is the high of the
  mark's candle, exactly, and REST history agrees with what was pushed live;
* index = mark less the premium, which drifts slowly between funding times and stays within two hundredths of a per cent.

All in whole ticks; every function takes one number or an int64 array.
"""

from __future__ import annotations

from decimal import Decimal
from typing import overload

import numpy as np

from anchorwatch.io.venue.feeds import MINUTE_MS, Int64s
from anchorwatch.io.venue.noise import mix

# OKX v5 settles most swaps every eight hours, at 00, 08 and 16 UTC.
FUNDING_INTERVAL_MS = 8 * 3_600_000

# As OKX v5 reports them for BTC-USDT-SWAP.
INTEREST_RATE = Decimal("0.0001")
FUNDING_RATE_MAX = Decimal("0.00375")

# The largest premium, in millionths of the price.
_PREMIUM_MAX = 200
_MILLION = 1_000_000

# last : previous close = 7 : 1
_LAST_PARTS = 7
_PARTS = 8


@overload
def mark_ticks(px: int, previous_close: int) -> int: ...
@overload
def mark_ticks(px: Int64s, previous_close: Int64s) -> Int64s: ...
def mark_ticks(px: int | Int64s, previous_close: int | Int64s) -> int | Int64s:
    """The mark when the last price is `px` and the minute before closed at `previous_close`. At least one tick."""
    return (_LAST_PARTS * px + previous_close + _PARTS // 2) // _PARTS


def last_ticks(mark: int, previous_close: int, *, upward: bool) -> int:
    """The last price that takes the mark to `mark`, or the next one beyond it in that direction. At least one tick."""
    px = (_PARTS * mark - previous_close) // _LAST_PARTS
    return px + 1 if upward else max(px - 1, 1)


def index_ticks(px: int, previous_close: int, premium: int) -> int:
    """The index at that moment, `premium` (millionths) below the mark. At least one tick."""
    mark = mark_ticks(px, previous_close)
    return max(1, mark - mark * premium // _MILLION)


def premium_millionths(key: int, ts_ms: int) -> int:
    """The premium of the mark over the index at a time, on a straight line from one funding time to the next."""
    period, into_ms = divmod(ts_ms // MINUTE_MS * MINUTE_MS, FUNDING_INTERVAL_MS)
    before, after = _premium_at(key, period), _premium_at(key, period + 1)
    return before + (after - before) * into_ms // FUNDING_INTERVAL_MS


def _premium_at(key: int, period: int) -> int:
    return mix(key, period) % (2 * _PREMIUM_MAX + 1) - _PREMIUM_MAX


def funding_rate(key: int, funding_time_ms: int) -> Decimal:
    """The rate settled at a funding time: interest plus the mean premium of the interval that it ends."""
    period = funding_time_ms // FUNDING_INTERVAL_MS
    mean = Decimal(_premium_at(key, period - 1) + _premium_at(key, period)) / (2 * _MILLION)
    return min(max(INTEREST_RATE + mean, -FUNDING_RATE_MAX), FUNDING_RATE_MAX)


def previous_closes(close: Int64s, before: int) -> Int64s:
    """For each minute the close of the one before it; `before` is the first minute's."""
    shifted = np.empty_like(close)
    shifted[0] = before
    shifted[1:] = close[:-1]
    return shifted
