"""Bars longer than a minute: their names, where they begin, and how minutes add up to them."""

from __future__ import annotations

import msgspec
import numpy as np

from anchorwatch.io.venue.feeds import DAY_MS, MINUTE_MS, Int64s

_HOUR_MS = 3_600_000

# OKX v5: the plain 6H, 12H and 1D bars are cut by Hong Kong days (UTC+8), those named utc by UTC days. All shorter
# bars begin at the same moments either way.
_HONG_KONG_MS = 8 * _HOUR_MS

# name -> (length, how far ahead of UTC the day is that cuts it)
BARS: dict[str, tuple[int, int]] = {
    "1m": (MINUTE_MS, 0),
    "3m": (3 * MINUTE_MS, 0),
    "5m": (5 * MINUTE_MS, 0),
    "15m": (15 * MINUTE_MS, 0),
    "30m": (30 * MINUTE_MS, 0),
    "1H": (_HOUR_MS, 0),
    "2H": (2 * _HOUR_MS, 0),
    "4H": (4 * _HOUR_MS, 0),
    "6H": (6 * _HOUR_MS, _HONG_KONG_MS),
    "12H": (12 * _HOUR_MS, _HONG_KONG_MS),
    "1D": (DAY_MS, _HONG_KONG_MS),
    "6Hutc": (6 * _HOUR_MS, 0),
    "12Hutc": (12 * _HOUR_MS, 0),
    "1Dutc": (DAY_MS, 0),
}


def is_bar(name: str) -> bool:
    """Whether the venue has bars of this name. Names are case-sensitive: 1m is a minute, 1M would be a month."""
    return name in BARS


def bar_ms(name: str) -> int:
    """A bar's length. Raises ValueError for an unknown name."""
    return _bar(name)[0]


def bar_start(name: str, ts_ms: int) -> int:
    """The open time of the bar that holds `ts_ms`. Raises ValueError for an unknown name."""
    length_ms, ahead_ms = _bar(name)
    return (ts_ms + ahead_ms) // length_ms * length_ms - ahead_ms


def _bar(name: str) -> tuple[int, int]:
    if name not in BARS:
        raise ValueError(f"unknown bar {name!r}; allowed: {', '.join(BARS)}")
    return BARS[name]


class Columns(msgspec.Struct, frozen=True):
    """Candles as columns: prices in ticks, size in lots, and `turnover` = lots times twice the mean price in ticks.

    Twice, so that the mean of open and close stays whole; the turnover of a bar is the sum of its minutes'.
    """

    open: Int64s
    high: Int64s
    low: Int64s
    close: Int64s
    lots: Int64s
    turnover: Int64s


def added_up(minutes: Columns, begins: Int64s) -> Columns:
    """Minutes joined into bars: bar k holds the minutes from place begins[k] to before begins[k + 1]."""
    lasts = np.append(begins[1:], len(minutes.open)) - 1
    return Columns(
        minutes.open[begins],
        np.maximum.reduceat(minutes.high, begins),
        np.minimum.reduceat(minutes.low, begins),
        minutes.close[lasts],
        np.add.reduceat(minutes.lots, begins),
        np.add.reduceat(minutes.turnover, begins),
    )
