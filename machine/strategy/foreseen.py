"""Where the scalper's signals may fire in a whole series: what `signals` asks of one candle, asked of all at once.

False is a promise that no signal of the regime fires there; True is none. Each answer rests on its own candle and the
ones before it. The extremes of the look-backs are left out: what fires without them is asked in full.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorwatch.machine.candles import Arrays
from anchorwatch.machine.indicators.batch import Floats
from anchorwatch.machine.indicators.panel import Columns
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy.signals import SignalSettings

Answers = NDArray[np.bool_]


def may_fire(
    readings: Columns, candles: Arrays, settings: SignalSettings, regime: Regime | None = None
) -> Answers:
    """For each candle of a series without a hole, and what the indicators say at it (NaN: nothing fires on that).

    ``regime`` is the one in force; None stands for any.
    """
    fires = np.zeros(len(candles.close), dtype=np.bool_)
    if regime in (None, Regime.RANGING):
        fires[1:] |= _turned(readings.rsi, settings.rsi_low, settings.rsi_high)
    if regime in (None, Regime.CHOPPY):
        fires[1:] |= _turned(readings.rsi, settings.rsi_strict_low, settings.rsi_strict_high)
    if regime in (None, Regime.RANGING, Regime.CHOPPY):
        fires[1:] |= _touched(readings, candles, settings)[1:]
    if regime in (None, Regime.TRENDING):
        fires[1:] |= _crossed(readings.ema_fast - readings.ema_slow)
        fires[1:] |= _crossed(readings.macd - readings.macd_signal)
        fires[1:] |= _leapt(readings, candles, settings) | _dipped(readings, candles, settings)
    return fires


def _turned(rsi: Floats, low: float, high: float) -> Answers:
    was, is_ = rsi[:-1], rsi[1:]
    turned: Answers = ((was <= low) & (is_ > was)) | ((was >= high) & (is_ < was))
    return turned


def _crossed(gap: Floats) -> Answers:
    before, now = gap[:-1], gap[1:]
    crossed: Answers = ((before <= 0) & (now > 0)) | ((before >= 0) & (now < 0))
    return crossed


def _touched(readings: Columns, candles: Arrays, settings: SignalSettings) -> Answers:
    reach = settings.band_deviations * readings.bollinger_deviation
    lower, upper = readings.bollinger_middle - reach, readings.bollinger_middle + reach
    low, high, close = candles.low, candles.high, candles.close
    touched: Answers = ((low <= lower) & (lower < close) & (high < upper)) | (
        (high >= upper) & (upper > close) & (low > lower)
    )
    return touched


def _leapt(readings: Columns, candles: Arrays, settings: SignalSettings) -> Answers:
    """Long, and closed near its end."""
    atr, height = readings.atr[:-1], (candles.high - candles.low)[1:]
    high, low, close = candles.high[1:], candles.low[1:], candles.close[1:]
    leapt: Answers = (
        (atr > 0)
        & (height >= settings.impulse_atr * atr)
        & ((high - close <= height / 4) | (close - low <= height / 4))
    )
    return leapt


def _dipped(readings: Columns, candles: Arrays, settings: SignalSettings) -> Answers:
    """Directed, and turning back into its direction."""
    gap = (readings.ema_fast - readings.ema_slow)[1:]
    plus, minus = readings.plus_di[1:], readings.minus_di[1:]
    was_open, was_close, close = candles.open[:-1], candles.close[:-1], candles.close[1:]
    is_up = (plus > minus) & (gap > 0) & (was_close < was_open) & (close > was_open)
    is_down = (minus > plus) & (gap < 0) & (was_close > was_open) & (close < was_open)
    dipped: Answers = (readings.adx[1:] >= settings.dip_adx) & (readings.atr[1:] > 0) & (is_up | is_down)
    return dipped
