"""One instrument's minutes, played: the prices inside the running one, and nothing that comes after it.

Prices are whole ticks. The path inside a minute is invented (`io/venue/price_path`); its open, its extremes and its
close are the recording's. The path of a minute is made when somebody looks inside it, and the tape shows no more of it
than has been played.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import numpy as np

from anchorwatch.io.venue import basis
from anchorwatch.io.venue.candle_file import CandleSeries
from anchorwatch.io.venue.feeds import MINUTE_MS, Int64s
from anchorwatch.io.venue.fill import Side as Taker
from anchorwatch.io.venue.fill import touch_ticks
from anchorwatch.io.venue.noise import mix, mix_many, word
from anchorwatch.io.venue.price_path import STEPS_PER_MINUTE, Worst, last_steps, price_steps

Path = Literal["default", "adverse", "favourable"]
"""Which extreme a minute visits first: the likelier one, the one against the open position, or the one in its favour."""


class Tape:
    """The minutes of `series`, entered before the one that opens at `start_ms` (which the series must hold)."""

    def __init__(self, series: CandleSeries, start_ms: int, *, seed: int = 0) -> None:
        instrument = series.instrument
        self.series = series
        self.instrument = instrument
        self.name = instrument.inst_id
        self.key = mix(seed, word(instrument.inst_id))
        self.seed = seed
        self.tick: Decimal = instrument.tick_sz
        self.contract_size = instrument.coin_per_contract
        # The loop reads single numbers: numpy's scalars are slow one at a time, and few of a long file are read.
        self.opens_ms = series.ts_ms.data
        self._open, self._high = series.open.data, series.high.data
        self._low, self._close = series.low.data, series.close.data
        seeds = mix_many(self.key, series.ts_ms)
        self._last_steps = last_steps(series.open, series.high, series.low, series.close, seeds).data
        self.row = int(series.ts_ms.searchsorted(start_ms)) - 1
        # When the next minute of the file opens; None after the last.
        self.next_open_ms = self._opening_ms(self.row + 1)
        self.close = self._close[self.row] if self.row >= 0 else self._open[0]
        self.previous_close = self.close
        self.high = self.low = self.close
        self.trades = 0  # how often its prices have changed
        self._taker: Taker = "buy"
        self._unlooked: int | None = (
            None  # the first minute of those in which nobody has looked who came last
        )
        self._steps: list[int] = []
        self._step = STEPS_PER_MINUTE
        if self.row >= 0:
            self.finish()

    # The running minute.

    def _opening_ms(self, row: int) -> int | None:
        return self.opens_ms[row] if row < len(self.opens_ms) else None

    def open_minute(self) -> None:
        """Play the first trade of the next minute; what was left of the running one has been played."""
        self.row += 1
        self.next_open_ms = self._opening_ms(self.row + 1)
        self.trades += 1
        self.previous_close = self.close
        price = self._open[self.row]
        if price != self.close:
            self._came(price - self.close)
        self.close = self.high = self.low = price
        self._step = 1
        self._steps = []

    @property
    def is_through(self) -> bool:
        """Whether every trade of the running minute has been played."""
        return self._step >= STEPS_PER_MINUTE

    def finish(self) -> None:
        """The rest of the minute happens at once: nobody looks inside."""
        row = self.row
        if self._unlooked is None:
            self._unlooked = row
        self.close, self.high, self.low = self._close[row], self._high[row], self._low[row]
        self.trades += 1
        self._step = STEPS_PER_MINUTE

    def pass_to(self, row: int) -> None:
        """Every trade before minute ``row`` happens at once, and then its first one."""
        last = row - 1
        if self._unlooked is None:
            self._unlooked = self.row
        self.row, self.close = last, self._close[last]
        self.open_minute()

    def _came(self, move: int) -> None:
        """A price that differs from the one before it says on which side its taker came."""
        self._taker = "buy" if move > 0 else "sell"
        self._unlooked = None

    def _look_back(self, first: int) -> None:
        """Find the last move in the minutes from ``first`` on that are over; without any, who came before stands."""
        self._unlooked = None
        for row in range(self.row if self.is_through else self.row - 1, first - 1, -1):
            move = self._last_steps[row] or self._last_move(row)
            if not move and row > first:
                move = self._open[row] - self._close[row - 1]
            if move:
                self._came(move)
                return

    def _last_move(self, row: int) -> int:
        """The same of a minute in which the last step changes nothing; 0 where nothing moves."""
        close = self._close[row]
        return next((close - price for price in reversed(self._path(row)) if price != close), 0)

    def next_trade_ms(self) -> int | None:
        """When the next trade of the running minute is; None when the minute is through."""
        if self._step >= STEPS_PER_MINUTE:
            return None
        return self.opens_ms[self.row] + MINUTE_MS * self._step // STEPS_PER_MINUTE

    def play(self, worst: Worst | None = None) -> int:
        """Play the next trade of the running minute and return its price. `worst` is heard at the first one."""
        if not self._steps:
            self._steps = self._path(self.row, worst)
        price = self._steps[self._step]
        self._step += 1
        self.trades += 1
        if price != self.close:
            self._came(price - self.close)
        self.close = price
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        return price

    def _path(self, row: int, worst: Worst | None = None) -> list[int]:
        candle = self._open[row], self._high[row], self._low[row], self._close[row]
        return price_steps(*candle, seed=mix(self.key, self.opens_ms[row]), worst=worst)

    # Prices now.

    def mark_ticks(self) -> int:
        ticks: int = basis.mark_ticks(self.close, self.previous_close)
        return ticks

    def mark(self) -> Decimal:
        return self.mark_ticks() * self.tick

    def touch(self) -> tuple[int, int]:
        """(best bid, best ask) in ticks."""
        if self._unlooked is not None:
            self._look_back(self._unlooked)
        return touch_ticks(self.close, self.high, self.low, self._taker)

    def marks_ahead(self) -> tuple[int, int]:
        """The lowest and the highest mark of the whole running minute, in ticks.

        For whoever decides that nobody need look inside it: a decision must never see them.
        """
        row, before = self.row, self.previous_close
        return basis.mark_ticks(self._low[row], before), basis.mark_ticks(self._high[row], before)

    def marks(self) -> tuple[Int64s, Int64s]:
        """The lowest and the highest mark of every minute of the file, in ticks: for the same purpose only."""
        series = self.series
        before = np.concatenate((series.open[:1], series.close[:-1]))
        return basis.mark_ticks(series.low, before), basis.mark_ticks(series.high, before)
