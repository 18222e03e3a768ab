"""Two exponential averages of the close: enter in the direction of a cross, leave on the opposite one.

Small on purpose: it shows how a strategy is written, and it trades often enough to
exercise everything around it. ``ema = ema + 2 / (period + 1) × (close − ema)``, seeded
with the first close.
"""

from __future__ import annotations

from anchorwatch.machine.parameters import Trading
from anchorwatch.machine.strategy import Intent, MarketView, Wish
from anchorwatch.machine.units import Side
from anchorwatch.machine.world import Candle

WARM_UP_PERIODS = 4
"""After four periods the seed weighs less than 2 % (``(1 − 2 / (n + 1)) ** 4n``)."""


class EmaCross:
    def __init__(self, trading: Trading) -> None:
        assert trading.fast < trading.slow, "the fast average has the shorter period"
        self._trading = trading
        self._fast: float | None = None
        self._slow: float | None = None
        self._above: bool | None = None

    @property
    def candles_needed(self) -> int:
        return WARM_UP_PERIODS * self._trading.slow

    def warm(self, candle: Candle) -> None:
        self._take(candle.close)

    def decide(self, view: MarketView) -> Intent | None:
        was_above = self._above
        self._take(view.candles[-1].close)
        if was_above is None or self._above is was_above:
            return None
        side = Side.LONG if self._above else Side.SHORT
        if view.open_side is not None and view.open_side is not side:
            return Intent(Wish.EXIT, view.open_side, "the averages crossed back")
        if view.open_side is None and side in self._trading.sides:
            direction = "above" if self._above else "below"
            return Intent(
                Wish.ENTER, side, f"EMA {self._trading.fast} crossed {direction} EMA {self._trading.slow}"
            )
        return None

    def _take(self, close: float) -> None:
        if self._fast is None or self._slow is None:
            self._fast = self._slow = close
            return
        self._fast += 2 / (self._trading.fast + 1) * (close - self._fast)
        self._slow += 2 / (self._trading.slow + 1) * (close - self._slow)
        gap = self._fast - self._slow
        if abs(gap) >= self._trading.min_gap_fraction * close and gap != 0:
            self._above = gap > 0
