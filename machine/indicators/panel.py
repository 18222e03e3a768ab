"""The indicators of one timeframe, together: candle by candle, or of a whole series.

Two lengths matter. An indicator is *defined* after its look-back. It is *warm* when what
it says no longer depends on where its series began: the seed of an average then weighs
less than a thousandth. Trading waits for warm.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import ceil, log
from typing import overload

import msgspec
import numpy as np

from anchorwatch.machine.indicators import batch, live
from anchorwatch.machine.indicators.batch import Floats

SEED_SHARE = 0.001
"""What the beginning of the series may still weigh in a warm indicator."""

_TWICE_WILDER = 9.24
"""``(1 + x) · e^−x`` is a thousandth there: two of Wilder's averages, one after the other, as ADX is."""


INDICATORS = ("EMA", "RSI", "MACD", "Bollinger", "ATR", "ADX")
"""The names by which indicators are waited for; the ADX stands for its directions too."""


class Periods(msgspec.Struct, frozen=True):
    """In candles of the timeframe. The defaults are the usual ones; the ADX is Wilder's 14.

    The averages are 8 and 21 in every regime: pairs that change with the regime would cross because the
    regime changed.
    """

    ema_fast: int = 8
    ema_slow: int = 21
    rsi: int = 14
    macd_fast: int = 12
    macd_slow: int = 26
    macd_signal: int = 9
    bollinger: int = 20
    atr: int = 14
    adx: int = 14


class Readings(msgspec.Struct, frozen=True):
    """Every indicator at one closed candle. Prices per coin; RSI, ADX and DI from 0 to 100."""

    ema_fast: float
    ema_slow: float
    rsi: float
    macd: float
    macd_signal: float
    bollinger_middle: float
    bollinger_deviation: float
    atr: float
    adx: float
    plus_di: float
    minus_di: float


def candles_defined(periods: Periods) -> int:
    """How many candles there must be for all indicators to have a value."""
    return max(
        periods.ema_slow,
        periods.ema_fast,
        periods.rsi + 1,
        periods.macd_slow + periods.macd_signal - 1,
        periods.bollinger,
        periods.atr + 1,
        2 * periods.adx,
    )


def candles_warm(periods: Periods) -> tuple[tuple[str, int], ...]:
    """For each indicator by name, how many candles make it warm."""
    return (
        ("EMA", max(_ema_warm(periods.ema_fast), _ema_warm(periods.ema_slow))),
        ("RSI", 1 + _wilder_warm(periods.rsi)),
        ("MACD", _ema_warm(periods.macd_slow) + _ema_warm(periods.macd_signal)),
        ("Bollinger", periods.bollinger),
        ("ATR", 1 + _wilder_warm(periods.atr)),
        ("ADX", 2 * periods.adx + ceil(_TWICE_WILDER * periods.adx)),
    )


def _ema_warm(period: int) -> int:
    return period + ceil(log(SEED_SHARE) / log(1 - 2 / (period + 1)))


def _wilder_warm(period: int) -> int:
    return period + ceil(log(SEED_SHARE) / log(1 - 1 / period))


class Panel:
    """The indicators of one timeframe, candle by candle."""

    def __init__(self, periods: Periods) -> None:
        self._count = 0
        self._defined = candles_defined(periods)
        self._ema_fast = live.Ema(periods.ema_fast)
        self._ema_slow = live.Ema(periods.ema_slow)
        self._rsi = live.Rsi(periods.rsi)
        self._macd = live.Macd(periods.macd_fast, periods.macd_slow, periods.macd_signal)
        self._bollinger = live.Bollinger(periods.bollinger)
        self._atr = live.Atr(periods.atr)
        self._adx = live.Adx(periods.adx)

    @property
    def count(self) -> int:
        """How many candles it has taken."""
        return self._count

    def take(self, high: float, low: float, close: float) -> Readings | None:
        """Take the next candle; None until every indicator is defined."""
        self._count += 1
        fast, slow = self._ema_fast.take(close), self._ema_slow.take(close)
        rsi = self._rsi.take(close)
        macd, signal = self._macd.take(close)
        middle, deviation = self._bollinger.take(close)
        atr = self._atr.take(high, low, close)
        adx, plus, minus = self._adx.take(high, low, close)
        if self._count < self._defined:
            return None
        return Readings(fast, slow, rsi, macd, signal, middle, deviation, atr, adx, plus, minus)


class Columns(msgspec.Struct, frozen=True):
    """`Readings` of a whole series, a column each, NaN where undefined."""

    ema_fast: Floats
    ema_slow: Floats
    rsi: Floats
    macd: Floats
    macd_signal: Floats
    bollinger_middle: Floats
    bollinger_deviation: Floats
    atr: Floats
    adx: Floats
    plus_di: Floats
    minus_di: Floats

    def rows(self) -> Rows:
        """What a `Panel` answers to each candle of the series."""
        return Rows(msgspec.structs.astuple(self))


class Rows(Sequence[Readings | None]):
    """`Readings` made where they are asked for: most candles of a back-test are never looked at."""

    def __init__(self, columns: tuple[Floats, ...]) -> None:
        # Side by side, so that one candle's numbers are one piece.
        self._table = np.stack(columns, axis=1)
        # A number that is not known makes every sum with it unknown.
        self._undefined: list[bool] = np.isnan(reduce(np.add, columns)).tolist()

    def __len__(self) -> int:
        return len(self._undefined)

    @overload
    def __getitem__(self, index: int) -> Readings | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[Readings | None]: ...
    def __getitem__(self, index: int | slice) -> Readings | list[Readings | None] | None:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        return self.at(index)

    def at(self, row: int) -> Readings | None:
        return None if self._undefined[row] else Readings(*self._table[row].tolist())


def columns(high: Floats, low: Floats, close: Floats, periods: Periods) -> Columns:
    """Every indicator of a whole series of equally long columns, oldest first."""
    line, signal = batch.macd(close, periods.macd_fast, periods.macd_slow, periods.macd_signal)
    middle, deviation = batch.bollinger(close, periods.bollinger)
    adx, plus, minus = batch.adx(high, low, close, periods.adx)
    return Columns(
        batch.ema(close, periods.ema_fast),
        batch.ema(close, periods.ema_slow),
        batch.rsi(close, periods.rsi),
        line,
        signal,
        middle,
        deviation,
        batch.atr(high, low, close, periods.atr),
        adx,
        plus,
        minus,
    )
