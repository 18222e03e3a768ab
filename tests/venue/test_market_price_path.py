"""The path inside a candle keeps all that the candle says."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.io.venue.price_path import STEPS_MIN, last_steps, price_path


@st.composite
def candles(draw: st.DrawFn) -> tuple[int, int, int, int]:
    low = draw(st.integers(1, 10**7))
    high = low + draw(st.integers(0, 10**5))
    return draw(st.integers(low, high)), high, low, draw(st.integers(low, high))


@given(candle=candles(), steps=st.integers(STEPS_MIN, 60), seed=st.integers(0, 2**64))
def test_the_path_starts_at_open_touches_both_extremes_and_ends_at_close(
    candle: tuple[int, int, int, int], steps: int, seed: int
) -> None:
    path = price_path(*candle, steps=steps, seed=seed)
    offsets = [offset for offset, _ in path]
    prices = [px for _, px in path]
    assert (prices[0], max(prices), min(prices), prices[-1]) == candle
    assert len(path) == steps
    assert offsets[0] == 0
    assert all(early < late for early, late in pairwise(offsets))
    assert offsets[-1] < MINUTE_MS
    assert path == price_path(*candle, steps=steps, seed=seed)


def order_of_extremes(path: list[tuple[int, int]], high: int, low: int) -> str:
    prices = [px for _, px in path]
    return "low first" if prices.index(low) < prices.index(high) else "high first"


@pytest.mark.parametrize("seed", range(20))
def test_the_candles_direction_orders_its_extremes_unless_the_worst_is_asked_for(seed: int) -> None:
    rising, falling = (100, 150, 60, 120), (120, 150, 60, 100)
    assert order_of_extremes(price_path(*rising, seed=seed), 150, 60) == "low first"
    assert order_of_extremes(price_path(*falling, seed=seed), 150, 60) == "high first"
    assert order_of_extremes(price_path(*falling, seed=seed, worst="long"), 150, 60) == "low first"
    assert order_of_extremes(price_path(*rising, seed=seed, worst="short"), 150, 60) == "high first"


def test_another_seed_takes_another_way() -> None:
    ways = {tuple(price_path(1000, 1500, 600, 1200, seed=seed)) for seed in range(20)}
    assert len(ways) > 15


def test_four_prices_that_are_no_candle_have_no_path() -> None:
    with pytest.raises(ValueError, match="no candle: open 100, high 90"):
        price_path(100, 90, 80, 85)
    with pytest.raises(ValueError, match="at least 4"):
        price_path(100, 110, 90, 100, steps=3)


@given(rows=st.lists(st.tuples(candles(), st.integers(0, 2**64 - 1)), min_size=1, max_size=20))
def test_the_last_steps_of_many_minutes_are_those_of_their_paths(
    rows: list[tuple[tuple[int, int, int, int], int]],
) -> None:
    table = np.asarray([one for one, _ in rows], dtype=np.int64)
    seeds = np.asarray([seed for _, seed in rows], dtype=np.uint64)
    open_, high, low, close = (table[:, column] for column in range(4))
    steps = last_steps(open_, high, low, close, seeds)
    paths = [[px for _, px in price_path(*one, seed=seed)] for one, seed in rows]
    assert steps.tolist() == [path[-1] - path[-2] for path in paths]
