"""Volume by price: where trading took place, its point of control and its value area.

Candles do not say at which price inside them their volume traded. It is spread evenly
from low to high, which is the usual assumption and as good as the candles are short
against the profile.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROWS = 50
"""Price rows of a profile: at a range of 5 % a row is 0.1 %, a taker's round trip. Finer means nothing to a trade."""

VALUE_AREA_SHARE = 0.70
"""The customary share: about one standard deviation to both sides, were volume normal."""


class VolumeProfile(msgspec.Struct, frozen=True):
    """Prices per coin. The value area runs from ``value_low`` to ``value_high`` around ``point_of_control``."""

    point_of_control: float
    value_low: float
    value_high: float
    low: float
    high: float


def volume_profile(
    high: Floats, low: Floats, volume: Floats, rows: int = ROWS, share: float = VALUE_AREA_SHARE
) -> VolumeProfile | None:
    """The profile of candles; None where nothing was traded."""
    total = float(volume.sum()) if len(volume) else 0.0
    if total <= 0:
        return None
    bottom, top = float(low.min()), float(high.max())
    if top <= bottom:
        return VolumeProfile(bottom, bottom, bottom, bottom, bottom)
    volumes = by_price(high, low, volume, rows)
    control, first, last = value_area(volumes, share)
    row = (top - bottom) / rows
    return VolumeProfile(
        point_of_control=bottom + (control + 0.5) * row,
        value_low=bottom + first * row,
        value_high=bottom + (last + 1) * row,
        low=bottom,
        high=top,
    )


def by_price(high: Floats, low: Floats, volume: Floats, rows: int) -> Floats:
    """Volume of each of ``rows`` equal price rows from the lowest low to the highest high, lowest first."""
    bottom = float(low.min())
    edges = bottom + (float(high.max()) - bottom) / rows * np.arange(rows + 1)
    height = high - low
    is_flat = height <= 0
    per_price = volume / np.where(is_flat, 1.0, height)
    # How much of each candle lies below each edge; what lies between two of them is the row's.
    below = np.subtract(edges, low[:, None])
    np.minimum(np.maximum(below, 0.0, out=below), height[:, None], out=below)
    volumes: Floats = np.diff(per_price @ below)
    if not is_flat.any():
        return volumes
    # A candle that stood still has no height to share: all of it is in one row.
    places = np.clip(np.searchsorted(edges, low[is_flat], side="right") - 1, 0, rows - 1)
    np.add.at(volumes, places, volume[is_flat])
    return volumes


def value_area(volumes: Floats, share: float) -> tuple[int, int, int]:
    """The row with most volume, and the first and last row of the area around it that holds ``share`` of all.

    The area grows by the neighbour with more volume; by the upper one where both are equal.
    """
    values: list[float] = volumes.tolist()
    wanted = share * sum(values)
    control = first = last = values.index(max(values))
    held = values[control]
    while held < wanted and (first > 0 or last < len(values) - 1):
        above = values[last + 1] if last < len(values) - 1 else -1.0
        below = values[first - 1] if first > 0 else -1.0
        if above >= below:
            last += 1
            held += above
        else:
            first -= 1
            held += below
    return control, first, last
