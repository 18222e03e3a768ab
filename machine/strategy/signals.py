"""Signals: what one pattern says about one closed candle, with a strength from 0 to 1.

A signal that fires has at least the strength 0.5; what lifts it towards 1 is how
pronounced the pattern is, in units that a market gives itself: its own ATR or deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from anchorwatch.machine.indicators.margin import EVEN, WITHIN
from anchorwatch.machine.market import Frame
from anchorwatch.machine.strategy import Fired
from anchorwatch.machine.units import Side
from anchorwatch.machine.world import Candle

Lookback = Annotated[int, msgspec.Meta(ge=1, le=100)]
"""Half of the signal candles that are kept at least."""


class SignalSettings(msgspec.Struct, frozen=True):
    """ATR and deviation are those of the signal timeframe; look-backs are in its candles.

    The strict RSI is symmetric. The original's 25/85 would take a long at 25 points from the edge
    and a short only at 15, in a market that is the same in both directions.
    """

    rsi_low: float = 30.0
    rsi_high: float = 70.0
    rsi_strict_low: float = 25.0
    rsi_strict_high: float = 75.0
    band_deviations: float = 2.0
    cross_full_atr: float = 0.3
    macd_full_atr: float = 0.1
    impulse_atr: float = 1.5
    impulse_lookback: Lookback = 20
    dip_lookback: Lookback = 20
    dip_least_atr: float = 0.4
    dip_most_atr: float = 2.5
    dip_adx: float = 22.0


Signal = Callable[[Frame, Sequence[Candle], SignalSettings], Fired | None]
"""The signal timeframe, its candles (the last one is the frame's), and the settings."""


def _fired(signal: str, side: Side, quality: float) -> Fired:
    return Fired(signal, side, 0.5 + 0.5 * min(1.0, max(0.0, quality)))


def rsi_reversal(frame: Frame, candles: Sequence[Candle], settings: SignalSettings) -> Fired | None:
    """RSI was beyond its threshold and has turned. Stronger the further beyond it was."""
    return _rsi("rsi reversal", frame, settings.rsi_low, settings.rsi_high)


def strict_rsi_reversal(frame: Frame, candles: Sequence[Candle], settings: SignalSettings) -> Fired | None:
    """The same with thresholds further out, for markets without a regime to rely on."""
    return _rsi("strict rsi reversal", frame, settings.rsi_strict_low, settings.rsi_strict_high)


def _rsi(signal: str, frame: Frame, low: float, high: float) -> Fired | None:
    was, is_ = frame.before.rsi, frame.now.rsi
    # A market that stands still keeps its RSI, but for rounding: that is no turn.
    if was <= low + WITHIN and is_ - was > WITHIN:
        return _fired(signal, Side.LONG, 2 * (low - was) / low)
    if was >= high - WITHIN and was - is_ > WITHIN:
        return _fired(signal, Side.SHORT, 2 * (was - high) / (100 - high))
    return None


def bollinger_touch(frame: Frame, candles: Sequence[Candle], settings: SignalSettings) -> Fired | None:
    """The candle reached through a band and closed inside. Stronger the further it reached."""
    now, candle = frame.now, frame.candle
    reach = (settings.band_deviations - WITHIN) * now.bollinger_deviation
    lower, upper = now.bollinger_middle - reach, now.bollinger_middle + reach
    if candle.low <= lower < candle.close and candle.high < upper:
        return _fired("bollinger touch", Side.LONG, 2 * (lower - candle.low) / now.bollinger_deviation)
    if candle.high >= upper > candle.close and candle.low > lower:
        return _fired("bollinger touch", Side.SHORT, 2 * (candle.high - upper) / now.bollinger_deviation)
    return None


def ema_cross(frame: Frame, candles: Sequence[Candle], settings: SignalSettings) -> Fired | None:
    """The averages crossed with this candle. Stronger the faster they part."""
    now, before = frame.now, frame.before
    gap, gap_before = now.ema_fast - now.ema_slow, before.ema_fast - before.ema_slow
    return _crossed("ema cross", gap, gap_before, EVEN * now.ema_slow, settings.cross_full_atr * now.atr)


def macd_cross(frame: Frame, candles: Sequence[Candle], settings: SignalSettings) -> Fired | None:
    """The MACD line crossed its signal line with this candle. Stronger the faster they part."""
    now, before = frame.now, frame.before
    gap, gap_before = now.macd - now.macd_signal, before.macd - before.macd_signal
    return _crossed("macd cross", gap, gap_before, EVEN * now.ema_slow, settings.macd_full_atr * now.atr)


def _crossed(signal: str, gap: float, gap_before: float, even: float, full: float) -> Fired | None:
    if gap_before <= even < gap:
        side = Side.LONG
    elif gap_before >= -even > gap:
        side = Side.SHORT
    else:
        return None
    return _fired(signal, side, abs(gap - gap_before) / full if full > even else 0.0)


def impulse_breakout(frame: Frame, candles: Sequence[Candle], settings: SignalSettings) -> Fired | None:
    """A candle much longer than usual closes near its end, beyond everything recent. Stronger the longer it is."""
    candle, atr = frame.candle, frame.before.atr
    height = candle.high - candle.low
    if atr <= EVEN * frame.before.ema_slow or height < (settings.impulse_atr - WITHIN) * atr:
        return None
    quality = height / (settings.impulse_atr * atr) - 1
    top, bottom = _extremes(candles, settings.impulse_lookback, newest=1)
    if candle.close > top and candle.high - candle.close <= height / 4:
        return _fired("impulse breakout", Side.LONG, quality)
    if candle.close < bottom and candle.close - candle.low <= height / 4:
        return _fired("impulse breakout", Side.SHORT, quality)
    return None


def dip_in_trend(frame: Frame, candles: Sequence[Candle], settings: SignalSettings) -> Fired | None:
    """In a directed market the price fell back a little from its extreme, and turns. Stronger the stronger the trend.

    A retreat below 0.4 ATR is noise, one above 2.5 ATR may be the end of the trend.
    """
    now, candle = frame.now, frame.candle
    gap, even = now.ema_fast - now.ema_slow, EVEN * now.ema_slow
    if now.adx < settings.dip_adx - WITHIN or now.atr <= even or len(candles) < 2:
        return None
    is_up = now.plus_di - now.minus_di > WITHIN and gap > even
    is_down = now.minus_di - now.plus_di > WITHIN and gap < -even
    least, most = settings.dip_least_atr - WITHIN, settings.dip_most_atr + WITHIN
    previous = candles[-2]
    quality = (now.adx - settings.dip_adx) / settings.dip_adx
    if is_up and previous.close < previous.open and candle.close > previous.open:
        top, _ = _extremes(candles, settings.dip_lookback, newest=0)
        if least <= (top - min(previous.low, candle.low)) / now.atr <= most:
            return _fired("dip in trend", Side.LONG, quality)
    if is_down and previous.close > previous.open and candle.close < previous.open:
        _, bottom = _extremes(candles, settings.dip_lookback, newest=0)
        depth = (max(previous.high, candle.high) - bottom) / now.atr
        if least <= depth <= most:
            return _fired("dip in trend", Side.SHORT, quality)
    return None


def _extremes(candles: Sequence[Candle], lookback: int, newest: int) -> tuple[float, float]:
    """Highest high and lowest low of the last ``lookback`` candles before the ``newest`` ones."""
    end = len(candles) - newest
    part = candles[max(0, end - lookback) : end]
    if not part:
        return float("inf"), float("-inf")  # nothing to break out of
    return max(candle.high for candle in part), min(candle.low for candle in part)


REVERTING = frozenset(("rsi reversal", "strict rsi reversal", "bollinger touch"))
"""The names of those that bet on a return; all others bet on a continuation."""
