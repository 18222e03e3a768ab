"""Which kind of market this is: trending, ranging or choppy, and slow to change its mind.

Each closed candle of the regime's timeframe gives a *verdict*; the regime follows it only
after several equal verdicts in a row and a least time in the old regime. A single
candle at a threshold would otherwise swap the whole set of signals back and forth.

The verdict, from the numbers of the original, each with one meaning:

* ADX at or above 25: **trending**;
* otherwise, a range of the last 50 candles above 5 % of the price: **choppy**: wide
  swings that go nowhere are what a mean-reverting entry dies of;
* otherwise, a range below 2 %, or ADX at or below 20: **ranging**;
* between (2 to 5 %, ADX 20 to 25): **choppy**, for want of a case for either.

Judged on five-minute candles: three equal verdicts are then the fifteen minutes of the
least time, and fifty candles are four hours, in which 2 % and 5 % mean something.
"""

from __future__ import annotations

import msgspec
from numpy.lib.stride_tricks import sliding_window_view

from anchorwatch.machine.candles import Arrays
from anchorwatch.machine.indicators.batch import Floats
from anchorwatch.machine.indicators.margin import WITHIN
from anchorwatch.machine.units import Word


class Regime(Word):
    TRENDING = "trending"
    RANGING = "ranging"
    CHOPPY = "choppy"


class RegimeSettings(msgspec.Struct, frozen=True):
    """Ranges are shares of the price over ``lookback`` candles; ADX from 0 to 100."""

    timeframe: str = "5m"
    lookback: int = 50
    adx_trending: float = 25.0
    adx_ranging: float = 20.0
    range_high: float = 0.05
    range_low: float = 0.02
    dwell_min: int = 15
    confirmations: int = 3


class RegimeState(msgspec.Struct, frozen=True):
    """What a restart must not forget. ``rival`` has been the verdict ``confirmations`` times in a row."""

    regime: Regime
    since_ms: int
    judged_ms: int  # the closing time of the last candle that was judged
    rival: Regime | None = None
    confirmations: int = 0


def verdict(adx: float, range_fraction: float, settings: RegimeSettings) -> Regime:
    """What one candle says, without memory."""
    if adx >= settings.adx_trending - WITHIN:
        return Regime.TRENDING
    if range_fraction > settings.range_high:
        return Regime.CHOPPY
    if range_fraction < settings.range_low or adx <= settings.adx_ranging + WITHIN:
        return Regime.RANGING
    return Regime.CHOPPY


def advanced(state: RegimeState | None, said: Regime, at_ms: int, settings: RegimeSettings) -> RegimeState:
    """The state after the verdict of the candle that closed at ``at_ms``.

    The first verdict is taken as it is: there is nothing to leave. A candle that was judged
    already changes nothing, so history may be replayed over a restored state.
    """
    if state is None:
        return RegimeState(said, since_ms=at_ms, judged_ms=at_ms)
    if at_ms <= state.judged_ms:
        return state
    if said is state.regime:
        return RegimeState(state.regime, state.since_ms, at_ms)
    confirmations = state.confirmations + 1 if said is state.rival else 1
    # More confirmations than are asked for say nothing more: the number stays bounded while the dwell lasts.
    confirmations = min(confirmations, settings.confirmations)
    dwelt_ms = at_ms - state.since_ms
    if confirmations >= settings.confirmations and dwelt_ms >= settings.dwell_min * 60_000:
        return RegimeState(said, since_ms=at_ms, judged_ms=at_ms)
    return RegimeState(state.regime, state.since_ms, at_ms, said, confirmations)


def advanced_over(
    state: RegimeState | None,
    candles: Arrays,
    adx: Floats,
    first: int,
    span_ms: int,
    settings: RegimeSettings,
) -> list[RegimeState | None]:
    """`advanced` at every candle of a series without a hole: the state behind each, judged from row ``first`` on.

    ``adx`` is known there, and so is the look-back.
    """
    assert first >= settings.lookback - 1
    states: list[RegimeState | None] = [state] * min(first, len(candles.close))
    if first >= len(candles.close):
        return states
    part = slice(first - settings.lookback + 1, None)
    top = sliding_window_view(candles.high[part], settings.lookback).max(axis=1)
    bottom = sliding_window_view(candles.low[part], settings.lookback).min(axis=1)
    ranges = (top - bottom) / candles.close[first:]
    closes_ms = candles.open_ms[first:] + span_ms
    for now, share, at_ms in zip(adx[first:].tolist(), ranges.tolist(), closes_ms.tolist(), strict=True):
        state = advanced(state, verdict(now, share, settings), at_ms, settings)
        states.append(state)
    return states
