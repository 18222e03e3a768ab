"""Indicators candle by candle: each takes the next one and answers with its value, NaN while undefined.

They begin as TA-Lib begins, because a recursive average never quite forgets its seed:
the exponential one with the mean of its first period, Wilder's with the sum of its first.
"""

from __future__ import annotations

from collections import deque
from math import nan, sqrt

_ZERO = 1e-14
"""What TA-Lib takes for zero before it divides."""


class Sma:
    __slots__ = ("_period", "_window")

    def __init__(self, period: int) -> None:
        self._period = period
        self._window: deque[float] = deque(maxlen=period)

    def take(self, value: float) -> float:
        window = self._window
        window.append(value)
        return sum(window) / self._period if len(window) == self._period else nan


class Ema:
    """``skipped`` values pass before it begins: MACD's fast average starts with its slow one."""

    __slots__ = ("_alpha", "_period", "_seen", "_sum", "_value")

    def __init__(self, period: int, skipped: int = 0) -> None:
        self._alpha = 2.0 / (period + 1)
        self._period = period
        self._seen = -skipped
        self._sum = 0.0
        self._value = nan

    def take(self, value: float) -> float:
        if self._seen >= self._period:
            self._value += self._alpha * (value - self._value)
            return self._value
        self._seen += 1
        if self._seen > 0:
            self._sum += value
            if self._seen == self._period:
                self._value = self._sum / self._period
        return self._value


class Rsi:
    __slots__ = ("_before", "_gain", "_loss", "_period", "_seen")

    def __init__(self, period: int) -> None:
        self._period = period
        self._seen = -1  # the first close has no change
        self._before = 0.0
        self._gain = self._loss = 0.0

    def take(self, close: float) -> float:
        change = close - self._before
        self._before = close
        period = self._period
        if self._seen >= period:
            gain, loss = self._gain * (period - 1), self._loss * (period - 1)
            if change > 0:
                gain += change
            else:
                loss -= change
            self._gain, self._loss = gain, loss = gain / period, loss / period
        else:
            self._seen += 1
            if self._seen == 0:
                return nan
            if change > 0:
                self._gain += change
            else:
                self._loss -= change
            if self._seen < period:
                return nan
            self._gain, self._loss = gain, loss = self._gain / period, self._loss / period
        both = gain + loss
        return 100.0 * gain / both if both >= _ZERO else 0.0


class Macd:
    __slots__ = ("_fast", "_signal", "_slow")

    def __init__(self, fast: int, slow: int, signal: int) -> None:
        self._fast = Ema(fast, skipped=slow - fast)
        self._slow = Ema(slow)
        self._signal = Ema(signal)

    def take(self, close: float) -> tuple[float, float]:
        """Line and signal line; both NaN until the signal line is defined."""
        line = self._fast.take(close) - self._slow.take(close)
        if line != line:
            return nan, nan
        signal = self._signal.take(line)
        return (line, signal) if signal == signal else (nan, nan)


class Bollinger:
    __slots__ = ("_period", "_window")

    def __init__(self, period: int) -> None:
        self._period = period
        self._window: deque[float] = deque(maxlen=period)

    def take(self, close: float) -> tuple[float, float]:
        """Mean and population deviation of the window."""
        window = self._window
        window.append(close)
        period = self._period
        if len(window) < period:
            return nan, nan
        mean = sum(window) / period
        return mean, sqrt(sum([(value - mean) * (value - mean) for value in window]) / period)


def _true_range(high: float, low: float, close_before: float) -> float:
    top = high if high > close_before else close_before
    bottom = low if low < close_before else close_before
    return top - bottom


class Atr:
    __slots__ = ("_close", "_period", "_seen", "_value")

    def __init__(self, period: int) -> None:
        self._period = period
        self._seen = -1  # the first candle has no close before it
        self._close = 0.0
        self._value = 0.0

    def take(self, high: float, low: float, close: float) -> float:
        move = _true_range(high, low, self._close)
        self._close = close
        period = self._period
        if self._seen >= period:
            self._value = (self._value * (period - 1) + move) / period
            return self._value
        self._seen += 1
        if self._seen == 0:
            return nan
        self._value += move
        if self._seen < period:
            return nan
        self._value /= period
        return self._value


class Adx:
    __slots__ = ("_adx", "_close", "_high", "_low", "_minus", "_period", "_plus", "_range", "_seen")

    def __init__(self, period: int) -> None:
        self._period = period
        self._seen = -1  # the first candle has no direction
        self._high = self._low = self._close = 0.0
        self._plus = self._minus = self._range = 0.0
        self._adx = 0.0

    def take(self, high: float, low: float, close: float) -> tuple[float, float, float]:
        """ADX, +DI and −DI; the last two are defined one period before the first."""
        up, down = high - self._high, self._low - low
        move = _true_range(high, low, self._close)
        self._high, self._low, self._close = high, low, close
        period = self._period
        self._seen += 1
        seen = self._seen
        if seen == 0:
            return nan, nan, nan
        if seen >= period:
            self._plus -= self._plus / period
            self._minus -= self._minus / period
            self._range -= self._range / period
        self._range += move
        if down > 0 and up < down:
            self._minus += down
        elif up > 0 and up > down:
            self._plus += up
        if seen < period:
            return nan, nan, nan
        return self._directed(seen, period)

    def _directed(self, seen: int, period: int) -> tuple[float, float, float]:
        plus = minus = 0.0
        strength = None
        if self._range >= _ZERO:
            plus = 100.0 * (self._plus / self._range)
            minus = 100.0 * (self._minus / self._range)
            if plus + minus >= _ZERO:
                strength = 100.0 * (abs(plus - minus) / (plus + minus))
        if seen >= 2 * period:
            if strength is not None:  # a market that stands still keeps the strength that it had
                self._adx = (self._adx * (period - 1) + strength) / period
            return self._adx, plus, minus
        self._adx += strength or 0.0
        if seen < 2 * period - 1:
            return nan, plus, minus
        self._adx /= period
        return self._adx, plus, minus
