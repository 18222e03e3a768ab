"""Volume by price, against the definition written out with loops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchorwatch.machine.volume_profile import ROWS, VolumeProfile, by_price, value_area, volume_profile
from anchorwatch.machine.world import Candle
from tests.machine.candle_data import recorded, wandering, wildest

Floats = NDArray[np.float64]


def arrays(candles: Sequence[Candle]) -> tuple[Floats, Floats, Floats]:
    table = np.array([(one.high, one.low, one.volume) for one in candles])
    high, low, volume = table.T
    return high, low, volume


def written_out(candles: Sequence[Candle], rows: int) -> list[float]:
    bottom, top = min(one.low for one in candles), max(one.high for one in candles)
    row = (top - bottom) / rows
    volumes = [0.0] * rows
    for one in candles:
        for index in range(rows):
            from_px, to_px = bottom + index * row, bottom + (index + 1) * row
            if one.high == one.low:
                is_last = index == rows - 1
                if from_px <= one.low < to_px or (is_last and one.low >= to_px - row * 1e-9):
                    volumes[index] += one.volume
                    break
            else:
                shared = min(one.high, to_px) - max(one.low, from_px)
                volumes[index] += one.volume * max(0.0, shared) / (one.high - one.low)
    return volumes


def test_volume_lies_where_the_candles_lie() -> None:
    candles = [wandering(200, seed)[-1] for seed in range(30)]
    got = by_price(*arrays(candles), 20)
    assert np.allclose(got, written_out(candles, 20))
    assert got.sum() == pytest.approx(sum(one.volume for one in candles))


@pytest.mark.data
@pytest.mark.parametrize("path", recorded())
def test_volume_lies_where_recorded_candles_lie(path: Path) -> None:
    candles = wildest(path, 100)
    got = by_price(*arrays(candles), ROWS)
    assert np.allclose(got, written_out(candles, ROWS), rtol=1e-9, atol=1e-9 * got.sum())
    profile = volume_profile(*arrays(candles))
    assert profile is not None
    assert profile.low <= profile.value_low < profile.point_of_control < profile.value_high <= profile.high


def test_the_area_grows_by_the_heavier_neighbour_until_it_holds_its_share() -> None:
    assert value_area(np.array([1.0, 5.0, 10.0, 4.0, 0.0]), 0.70) == (2, 1, 2)
    assert value_area(np.array([1.0, 5.0, 10.0, 4.0, 0.0]), 0.80) == (2, 1, 3)
    assert value_area(np.array([3.0, 10.0, 3.0]), 0.70) == (1, 1, 2)  # alike: upwards
    assert value_area(np.array([9.0, 0.0, 1.0]), 0.95) == (0, 0, 2)
    assert value_area(np.array([1.0]), 1.0) == (0, 0, 0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60).filter(lambda volumes: sum(volumes) > 0))
def test_the_area_holds_its_share_around_the_point_of_control(volumes: list[float]) -> None:
    control, first, last = value_area(np.array(volumes), 0.70)
    assert first <= control <= last
    assert volumes[control] == max(volumes)
    assert sum(volumes[first : last + 1]) >= 0.70 * sum(volumes) * (1 - 1e-9)


def test_the_levels_are_prices_of_the_rows() -> None:
    # Ten rows of 1 from 100 to 110; all but a tenth of the volume trades between 103 and 105.
    high, low, volume = (
        np.array([110.0, 105.0, 104.0]),
        np.array([100.0, 103.0, 103.0]),
        np.array([10.0, 40.0, 50.0]),
    )
    profile = volume_profile(high, low, volume, rows=10)
    assert profile == VolumeProfile(103.5, value_low=103.0, value_high=104.0, low=100.0, high=110.0)
    wider = volume_profile(high, low, volume, rows=10, share=0.90)
    assert wider == VolumeProfile(103.5, value_low=103.0, value_high=105.0, low=100.0, high=110.0)


def test_without_trades_there_is_no_profile() -> None:
    empty = np.array([])
    assert volume_profile(empty, empty, empty) is None
    assert volume_profile(np.array([2.0]), np.array([1.0]), np.array([0.0])) is None


def test_a_market_that_stood_still_has_all_its_volume_at_one_price() -> None:
    flat = np.full(5, 100.0)
    profile = volume_profile(flat, flat, np.ones(5))
    assert profile is not None
    assert (profile.point_of_control, profile.value_low, profile.value_high) == (100.0, 100.0, 100.0)


def test_a_candle_that_stood_still_is_in_the_row_of_its_price() -> None:
    high, low = np.array([10.0, 0.1, 10.0]), np.array([0.0, 0.1, 10.0])
    volumes = by_price(high, low, np.array([0.0, 7.0, 3.0]), 10)
    assert volumes.tolist() == [7.0, *([0.0] * 8), 3.0]
