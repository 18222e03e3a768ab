"""Bars of candles: how long one is, where its grid lies, and larger ones put together from smaller.

OKX v5 names its bars ``1m`` to ``1Dutc``. Those of six hours and more without ``utc`` are cut at UTC+8, so
their grid is shifted by eight hours.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from anchorwatch.machine.world import Candle

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

SPANS_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1H": HOUR_MS,
    "2H": 2 * HOUR_MS,
    "4H": 4 * HOUR_MS,
    "6H": 6 * HOUR_MS,
    "12H": 12 * HOUR_MS,
    "1D": DAY_MS,
    "6Hutc": 6 * HOUR_MS,
    "12Hutc": 12 * HOUR_MS,
    "1Dutc": DAY_MS,
}
"""The length of each timeframe that may be configured."""

_CUT_AT_UTC_8 = frozenset(("6H", "12H", "1D"))


def span_ms(timeframe: str) -> int:
    """The length of one candle. Raises `ValueError` for a timeframe that OKX v5 does not have."""
    try:
        return SPANS_MS[timeframe]
    except KeyError:
        raise ValueError(f"unknown timeframe {timeframe!r}; allowed: {', '.join(SPANS_MS)}") from None


def offset_ms(timeframe: str) -> int:
    """How far the grid's opening times lie behind the multiples of the timeframe's length."""
    return 8 * HOUR_MS if timeframe in _CUT_AT_UTC_8 else 0


def open_of(timeframe: str, at_ms: int) -> int:
    """The opening time of the candle that covers ``at_ms``."""
    span, offset = span_ms(timeframe), offset_ms(timeframe)
    return (at_ms + offset) // span * span - offset


def utc_text(at_ms: int) -> str:
    """A minute for people: ``2025-12-17 08:41``."""
    return (EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%d %H:%M")


class Resampling:
    """Larger candles from smaller ones, each given out with the last of its parts.

    A larger candle of which a part is missing, at its beginning or inside, is never given out: half an
    hour of prices is not an hour's candle.
    """

    def __init__(self, source: str, timeframe: str) -> None:
        if span_ms(timeframe) % span_ms(source) or (offset_ms(source) and offset_ms(timeframe) == 0):
            raise ValueError(f"{timeframe} is not made of whole {source} candles")
        self._span_ms = span_ms(timeframe)
        self._offset_ms = offset_ms(timeframe)
        self._part_ms = span_ms(source)
        self._parts_wanted = span_ms(timeframe) // self._part_ms
        self._parts = 0
        self._whole: Candle | None = None

    def take(self, part: Candle) -> Candle | None:
        """Take the next smaller candle, in order; the larger one when this was its last part."""
        whole = self._whole
        if (part.open_ms + self._offset_ms) % self._span_ms == 0:
            whole, self._parts = part, 0
        elif whole is None or whole.open_ms + self._parts * self._part_ms != part.open_ms:
            self._whole = None
            return None
        else:
            whole = Candle(
                whole.open_ms,
                whole.open,
                max(whole.high, part.high),
                min(whole.low, part.low),
                part.close,
                whole.volume + part.volume,
            )
        self._parts += 1
        if self._parts == self._parts_wanted:
            self._whole = None
            return whole
        self._whole = whole
        return None
