"""What a strategy may say of a whole series at once, so that a back-test need not ask it candle by candle.

A strategy that foretells is asked only where it may have a wish. It is no other strategy for that: a test holds what it
foretells to what it answers, candle by candle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorwatch.machine.candles import Arrays
from anchorwatch.machine.indicators.batch import Floats
from anchorwatch.machine.indicators.panel import Columns
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.units import Side

Answers = NDArray[np.bool_]
"""One answer for each candle of a series."""


class Views(msgspec.Struct, frozen=True):
    """The `MarketView` of every candle of a series without a hole: a column for each of its numbers, NaN where unknown.

    Each row has what the view of its candle has, and rests on nothing that comes later. Of ``larger`` timeframes it is
    the readings that count at the candle; ``regimes`` are those that occur, and where each is in force; ``levels`` are
    the day's pivots, one row each. Of the quote only the most is known that its spread can be, as a share of the price;
    ``funding`` is the rate that comes next, ``funding_in_ms`` from the candle's close on.
    """

    candles: Arrays
    readings: Columns
    larger: Mapping[str, Columns]
    regimes: Mapping[Regime, Answers]
    levels: Floats
    control: Floats
    spread: Floats
    funding: Floats
    funding_in_ms: NDArray[np.int64]


REFUSED = "refused"
"""Among what answers are counted as: entries that signals wished and filters refused, which is announced."""


class Foreseen(msgspec.Struct, frozen=True):
    """What a strategy would answer at each candle, by the side that is open; None: nothing is.

    Where ``asked`` is False it has no wish. ``counted`` is what such an answer is counted as, by the names that
    `desk.entries` counts by, and `REFUSED`.
    """

    asked: Mapping[Side | None, Answers]
    counted: Mapping[Side | None, Mapping[str, Answers]] = {}


@runtime_checkable
class Foretelling(Protocol):
    """A strategy that can say of a whole series what it would answer."""

    def foresee(self, views: Views) -> Foreseen:
        """For each candle of ``views``. Each answer rests on its own candle and earlier ones only."""
