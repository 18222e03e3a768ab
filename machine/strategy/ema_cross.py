"""Two exponential averages of the close: enter in the direction of a cross, leave on the opposite one.

Small on purpose: it shows how a strategy is written, and it trades often enough to
exercise everything around it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from anchorwatch.machine.indicators.margin import EVEN
from anchorwatch.machine.indicators.panel import Periods, candles_warm
from anchorwatch.machine.market import SIGNAL, MarketSettings
from anchorwatch.machine.strategy import Intent, MarketView, Wish
from anchorwatch.machine.strategy.series import Foreseen, Views
from anchorwatch.machine.units import Side


class EmaCross(msgspec.Struct, frozen=True):
    """The strategy and its settings: periods in candles of the signal timeframe; the gap is a share of the price.

    A cross counts only where the averages lie at least ``min_gap_fraction`` apart when it is seen. Where they are even there
    is no side to come from: a market that stands still crosses by rounding.
    """

    fast: Annotated[int, msgspec.Meta(ge=2, le=299)] = 8
    slow: Annotated[int, msgspec.Meta(ge=3, le=300)] = 21
    min_gap_fraction: Annotated[float, msgspec.Meta(ge=0, lt=0.1)] = 0.0

    def __post_init__(self) -> None:
        if self.fast >= self.slow:
            raise ValueError(f"fast is {self.fast}; allowed: below slow ({self.slow})")

    @property
    def needs(self) -> MarketSettings:
        periods = Periods(ema_fast=self.fast, ema_slow=self.slow)
        return MarketSettings(
            kept=((SIGNAL, dict(candles_warm(periods))["EMA"]),),
            indicated=(SIGNAL,),
            waited=("EMA",),
            periods=periods,
            regime=None,
            profile=None,
            pivots=False,
            funding=False,
        )

    def decide(self, view: MarketView) -> Intent | None:
        frame = view.frames.get(SIGNAL)
        if frame is None:
            return None
        gap = frame.now.ema_fast - frame.now.ema_slow
        gap_before = frame.before.ema_fast - frame.before.ema_slow
        if gap * gap_before >= 0 or min(abs(gap), abs(gap_before)) <= EVEN * frame.now.ema_slow:
            return None
        if abs(gap) < self.min_gap_fraction * frame.candle.close:
            return None
        side = Side.LONG if gap > 0 else Side.SHORT
        if view.open_side is None:
            direction = "above" if gap > 0 else "below"
            why = f"EMA {self.fast} crossed {direction} EMA {self.slow}"
            return Intent(Wish.ENTER, side, why)
        if view.open_side is not side:
            return Intent(Wish.EXIT, view.open_side, "the averages crossed back")
        return None

    def foresee(self, views: Views) -> Foreseen:
        """The crosses that are wide enough; of a position, those against it."""
        gap = views.readings.ema_fast - views.readings.ema_slow
        is_cross = np.zeros(len(gap), dtype=np.bool_)
        is_apart = np.abs(gap) > EVEN * views.readings.ema_slow
        is_cross[1:] = (gap[1:] * gap[:-1] < 0) & is_apart[1:] & is_apart[:-1]
        is_cross &= np.abs(gap) >= self.min_gap_fraction * views.candles.close
        return Foreseen({None: is_cross, Side.LONG: is_cross & (gap < 0), Side.SHORT: is_cross & (gap > 0)})
