"""Indicators of whole series by TA-Lib: oldest first, as long as what they are computed from, NaN where undefined."""

from __future__ import annotations

import numpy as np
import talib
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sma(values: Floats, period: int) -> Floats:
    """Mean of the last ``period`` values."""
    return np.asarray(talib.SMA(values, timeperiod=period))


def ema(values: Floats, period: int) -> Floats:
    """Exponential average, ``2 / (period + 1)``, seeded with the mean of the first ``period`` values."""
    return np.asarray(talib.EMA(values, timeperiod=period))


def rsi(close: Floats, period: int) -> Floats:
    """Wilder's relative strength, 0 to 100; 0 where nothing moved, as TA-Lib has it."""
    return np.asarray(talib.RSI(close, timeperiod=period))


def macd(close: Floats, fast: int, slow: int, signal: int) -> tuple[Floats, Floats]:
    """Line and signal line. Both are defined from the signal line's first value on."""
    line, average, _ = talib.MACD(close, fastperiod=fast, slowperiod=slow, signalperiod=signal)
    return np.asarray(line), np.asarray(average)


def bollinger(close: Floats, period: int) -> tuple[Floats, Floats]:
    """Mean and population deviation of the last ``period`` closes; the bands are multiples of it apart."""
    return sma(close, period), np.asarray(talib.STDDEV(close, timeperiod=period, nbdev=1.0))


def atr(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Wilder's average of the true range, in price."""
    return np.asarray(talib.ATR(high, low, close, timeperiod=period))


def adx(high: Floats, low: Floats, close: Floats, period: int) -> tuple[Floats, Floats, Floats]:
    """ADX, +DI and −DI, each 0 to 100."""
    return (
        np.asarray(talib.ADX(high, low, close, timeperiod=period)),
        np.asarray(talib.PLUS_DI(high, low, close, timeperiod=period)),
        np.asarray(talib.MINUS_DI(high, low, close, timeperiod=period)),
    )
