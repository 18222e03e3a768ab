"""Indicators: TA-Lib's, the same candle by candle, and both against definitions written out here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchorwatch.machine.indicators import batch, live
from anchorwatch.machine.indicators.panel import (
    SEED_SHARE,
    Panel,
    Periods,
    candles_warm,
    columns,
)
from anchorwatch.machine.world import Candle
from tests.machine.candle_data import recorded, wandering, wildest
from tests.machine.whole_files import CLOSENESS, SOME_PERIODS, arrays, furthest

Floats = NDArray[np.float64]


def assert_live_is_batch(candles: Sequence[Candle], periods: Periods) -> None:
    assert max(furthest(candles, periods).values()) <= CLOSENESS


@pytest.mark.parametrize("periods", SOME_PERIODS)
def test_candle_by_candle_is_the_same_as_the_whole_series(periods: Periods) -> None:
    assert_live_is_batch(wandering(600), periods)


@pytest.mark.data
@pytest.mark.parametrize("path", recorded())
def test_candle_by_candle_is_the_same_on_recorded_candles(path: Path) -> None:
    assert_live_is_batch(wildest(path, 2_000), Periods())


prices = st.floats(1e-4, 1e6, allow_nan=False, allow_infinity=False)


@st.composite
def markets(draw: st.DrawFn) -> list[Candle]:
    """Markets that jump, stand still and go nowhere, at any price."""
    scale = draw(prices)
    steps = draw(
        st.lists(st.sampled_from((0.0, 0.0, 1e-6, -1e-6, 0.001, -0.001, 0.3, -0.3)), min_size=5, max_size=120)
    )
    wicks = draw(st.lists(st.sampled_from((0.0, 1e-6, 0.002)), min_size=len(steps), max_size=len(steps)))
    made = []
    px = scale
    for number, (step, wick) in enumerate(zip(steps, wicks, strict=True)):
        before, px = px, px * (1 + step)
        made.append(
            Candle(number, before, max(before, px) * (1 + wick), min(before, px) * (1 - wick), px, 1.0)
        )
    return made


@given(markets(), st.sampled_from(SOME_PERIODS))
@settings(max_examples=60)
def test_candle_by_candle_is_the_same_in_any_market(candles: list[Candle], periods: Periods) -> None:
    assert_live_is_batch(candles, periods)


@pytest.mark.parametrize("count", [1, 5, 33, 34, 35])
def test_short_series_are_undefined_and_not_an_error(count: int) -> None:
    rows = columns(*arrays(wandering(count)), Periods()).rows()
    assert [row is not None for row in rows] == [index >= 33 for index in range(count)]
    assert_live_is_batch(wandering(count), Periods())


def test_a_market_that_stands_still_has_no_strength_and_no_deviation() -> None:
    panel = Panel(Periods())
    readings = None
    for _ in range(300):
        readings = panel.take(70_000.0, 70_000.0, 70_000.0)
    assert readings is not None
    assert (readings.rsi, readings.atr, readings.adx, readings.bollinger_deviation) == (0.0, 0.0, 0.0, 0.0)
    assert (readings.macd, readings.ema_fast) == (0.0, 70_000.0)


def test_the_future_never_changes_the_past() -> None:
    candles = wandering(400)
    whole = columns(*arrays(candles), Periods()).rows()
    for count in (34, 35, 100, 399):
        assert list(columns(*arrays(candles[:count]), Periods()).rows()) == whole[:count]


@pytest.mark.parametrize("seed", range(4))
def test_a_warm_indicator_has_forgotten_where_its_series_began(seed: int) -> None:
    candles = wandering(800, seed)
    warm = dict(candles_warm(Periods()))
    whole = columns(*arrays(candles), Periods())
    begin = 317
    later = columns(*arrays(candles[begin:]), Periods())
    spread = float(np.ptp(arrays(candles)[2]))  # the scale that the seed of an average of prices lives on
    named = {
        "EMA": [("ema_fast", spread), ("ema_slow", spread)],
        "RSI": [("rsi", 100.0)],
        "MACD": [("macd", spread), ("macd_signal", spread)],
        "Bollinger": [("bollinger_middle", spread), ("bollinger_deviation", spread)],
        "ATR": [("atr", spread)],
        "ADX": [("adx", 100.0), ("plus_di", 100.0), ("minus_di", 100.0)],
    }
    assert set(named) == set(warm)
    for indicator, parts in named.items():
        at = warm[indicator] - 1
        for column, scale in parts:
            difference = abs(getattr(whole, column)[begin + at] - getattr(later, column)[at])
            assert difference <= SEED_SHARE * scale, (column, difference)


def test_the_warm_lengths_are_those_at_which_a_seed_has_faded() -> None:
    def candles_until_faded(fade: float) -> int:
        weight, count = 1.0, 0
        while weight > SEED_SHARE:
            weight, count = weight * fade, count + 1
        return count

    ema = {period: period + candles_until_faded(1 - 2 / (period + 1)) for period in (9, 21, 26)}
    wilder = 1 + 14 + candles_until_faded(1 - 1 / 14)
    assert dict(candles_warm(Periods())) == {
        "EMA": ema[21],
        "RSI": wilder,
        "MACD": ema[26] + ema[9],
        "Bollinger": 20,
        "ATR": wilder,
        "ADX": 158,  # the seed of two averages in a row: (1 + x) · exp(−x) at x = 130 / 14
    }
    assert (1 + 130 / 14) * math.exp(-130 / 14) < SEED_SHARE < (1 + 129 / 14) * math.exp(-129 / 14)


# The definitions, written out.


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def smoothed(values: Sequence[float], period: int, alpha: float) -> list[float]:
    """Seeded with the mean of the first period; the first answer belongs to its last value."""
    out = [mean(values[:period])]
    for value in values[period:]:
        out.append(out[-1] * (1 - alpha) + value * alpha)
    return out


def same(got: Floats, wanted: Sequence[float]) -> bool:
    """Undefined before, and as written out from the first defined value to the end."""
    undefined = len(got) - len(wanted)
    scale = max(1.0, max(abs(value) for value in wanted))
    return bool(
        np.isnan(got[:undefined]).all()
        and np.allclose(got[undefined:], np.array(wanted), rtol=0, atol=CLOSENESS * scale)
    )


MARKET = wandering(300, seed=7)
HIGH, LOW, CLOSE = arrays(MARKET)


def test_averages_are_by_their_definition() -> None:
    closes = CLOSE.tolist()
    assert same(batch.sma(CLOSE, 20), [mean(closes[i - 19 : i + 1]) for i in range(19, 300)])
    assert same(batch.ema(CLOSE, 21), smoothed(closes, 21, 2 / 22))
    average = live.Sma(20)
    assert same(
        np.array([average.take(close) for close in closes]),
        [mean(closes[i - 19 : i + 1]) for i in range(19, 300)],
    )


def test_rsi_is_by_its_definition() -> None:
    changes = np.diff(CLOSE).tolist()
    gains = smoothed([max(change, 0.0) for change in changes], 14, 1 / 14)
    losses = smoothed([max(-change, 0.0) for change in changes], 14, 1 / 14)
    assert same(
        batch.rsi(CLOSE, 14), [100 - 100 / (1 + up / down) for up, down in zip(gains, losses, strict=True)]
    )


def test_macd_is_by_its_definition() -> None:
    closes = CLOSE.tolist()
    slow = smoothed(closes, 26, 2 / 27)
    fast = smoothed(closes[14:], 12, 2 / 13)  # both begin with the same candle
    line = [one - other for one, other in zip(fast, slow, strict=True)]
    signal = smoothed(line, 9, 2 / 10)
    got_line, got_signal = batch.macd(CLOSE, 12, 26, 9)
    assert same(got_line, line[8:])
    assert same(got_signal, signal)


def test_bollinger_is_by_its_definition() -> None:
    closes = CLOSE.tolist()
    middles, deviations = [], []
    for end in range(20, 301):
        window = closes[end - 20 : end]
        middles.append(mean(window))
        deviations.append(math.sqrt(mean([(value - middles[-1]) ** 2 for value in window])))
    middle, deviation = batch.bollinger(CLOSE, 20)
    assert same(middle, middles)
    assert same(deviation, deviations)


def true_ranges() -> list[float]:
    return [
        max(now.high - now.low, abs(now.high - before.close), abs(now.low - before.close))
        for before, now in pairwise(MARKET)
    ]


def test_atr_is_by_its_definition() -> None:
    assert same(batch.atr(HIGH, LOW, CLOSE, 14), smoothed(true_ranges(), 14, 1 / 14))


def test_adx_is_by_its_definition() -> None:
    ups, downs = [], []
    for before, now in pairwise(MARKET):
        up, down = now.high - before.high, before.low - now.low
        ups.append(up if up > down and up > 0 else 0.0)
        downs.append(down if down > up and down > 0 else 0.0)

    def wilder_sum(values: Sequence[float]) -> list[float]:
        out = [math.fsum(values[:13])]
        for value in values[13:]:
            out.append(out[-1] - out[-1] / 14 + value)
        return out[1:]

    ranges = wilder_sum(true_ranges())
    plus = [100 * one / other for one, other in zip(wilder_sum(ups), ranges, strict=True)]
    minus = [100 * one / other for one, other in zip(wilder_sum(downs), ranges, strict=True)]
    strength = [100 * abs(one - other) / (one + other) for one, other in zip(plus, minus, strict=True)]
    got_adx, got_plus, got_minus = batch.adx(HIGH, LOW, CLOSE, 14)
    assert same(got_plus, plus)
    assert same(got_minus, minus)
    assert same(got_adx, smoothed(strength, 14, 1 / 14))
