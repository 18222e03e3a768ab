"""Daily floor pivots: levels of one UTC day from the high, low and close of the day before."""

from __future__ import annotations

import msgspec

from anchorwatch.machine.timeframes import DAY_MS
from anchorwatch.machine.world import Candle


class Pivots(msgspec.Struct, frozen=True):
    """Prices per coin; they hold for the UTC day that opens at ``day_ms``."""

    day_ms: int
    pivot: float
    resistance_1: float
    resistance_2: float
    resistance_3: float
    support_1: float
    support_2: float
    support_3: float

    def hold_at(self, at_ms: int) -> bool:
        return self.day_ms <= at_ms < self.day_ms + DAY_MS

    def above(self, px: float) -> float | None:
        """The nearest level above a price."""
        return min((level for level in self.levels if level > px), default=None)

    def below(self, px: float) -> float | None:
        """The nearest level below a price."""
        return max((level for level in self.levels if level < px), default=None)

    @property
    def levels(self) -> tuple[float, ...]:
        return (
            self.support_3,
            self.support_2,
            self.support_1,
            self.pivot,
            self.resistance_1,
            self.resistance_2,
            self.resistance_3,
        )


def pivots_after(day: Candle) -> Pivots:
    """The levels of the day that follows a closed UTC day (the timeframe ``1Dutc``)."""
    high, low = day.high, day.low
    pivot = (high + low + day.close) / 3
    return Pivots(
        day_ms=day.open_ms + DAY_MS,
        pivot=pivot,
        resistance_1=2 * pivot - low,
        resistance_2=pivot + (high - low),
        resistance_3=high + 2 * (pivot - low),
        support_1=2 * pivot - high,
        support_2=pivot - (high - low),
        support_3=low - 2 * (high - pivot),
    )
