"""Daily floor pivots."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine.pivots import pivots_after
from anchorwatch.machine.timeframes import DAY_MS, Resampling
from anchorwatch.machine.world import Candle
from tests.machine.candle_data import FIRST_MS, read, recorded

DAY = Candle(FIRST_MS, 100.0, 120.0, 90.0, 105.0, 1.0)


def test_the_levels_are_the_floor_traders() -> None:
    pivots = pivots_after(DAY)
    assert pivots.pivot == 105.0
    assert (pivots.resistance_1, pivots.resistance_2, pivots.resistance_3) == (120.0, 135.0, 150.0)
    assert (pivots.support_1, pivots.support_2, pivots.support_3) == (90.0, 75.0, 60.0)


def test_they_hold_for_the_day_after_and_no_other() -> None:
    pivots = pivots_after(DAY)
    opens_ms = FIRST_MS + DAY_MS
    assert [pivots.hold_at(opens_ms + part) for part in (-1, 0, DAY_MS - 1, DAY_MS)] == [
        False,
        True,
        True,
        False,
    ]


def test_the_nearest_level_is_found_on_each_side_and_beyond_the_last_there_is_none() -> None:
    pivots = pivots_after(DAY)
    assert (pivots.above(106.0), pivots.below(106.0)) == (120.0, 105.0)
    assert (pivots.above(105.0), pivots.below(105.0)) == (120.0, 90.0)  # at a level, it is not ahead
    assert (pivots.above(151.0), pivots.below(59.0)) == (None, None)


@given(st.floats(1.0, 1e5), st.floats(0, 0.5), st.floats(0, 1))
def test_levels_are_in_order_whatever_the_day(low: float, height: float, place: float) -> None:
    high = low * (1 + height)
    pivots = pivots_after(Candle(FIRST_MS, low, high, low, min(high, low + place * (high - low)), 1.0))
    levels = (
        pivots.support_3,
        pivots.support_2,
        pivots.support_1,
        pivots.pivot,
        pivots.resistance_1,
        pivots.resistance_2,
        pivots.resistance_3,
    )
    assert all(one <= other + 1e-9 * high for one, other in pairwise(levels))


@pytest.mark.data
@pytest.mark.parametrize("path", recorded("binance_usdm_*.csv.gz"))
def test_on_recorded_days_they_are_what_the_minutes_of_the_day_before_give(path: Path) -> None:
    days = Resampling("1m", "1Dutc")
    minutes = read(path, 8_000)
    checked = 0
    for minute in minutes:
        day = days.take(minute)
        if day is None:
            continue
        part = [one for one in minutes if day.open_ms <= one.open_ms < day.open_ms + DAY_MS]
        pivots = pivots_after(day)
        top, bottom = max(one.high for one in part), min(one.low for one in part)
        assert pivots.pivot == (top + bottom + part[-1].close) / 3
        assert pivots.resistance_2 - pivots.support_2 == pytest.approx(2 * (top - bottom))
        checked += 1
    assert checked >= 4
