"""One instrument's minutes, played: the prices inside the running one, and nothing that comes after it.

Prices are whole ticks. The path inside a minute is invented (`io/venue/price_path.py`) and made only when somebody
looks inside the minute; its open, its extremes and its close are the recording's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from anchorwatch.io.venue import basis
from anchorwatch.io.venue.candle_file import CandleSeries
from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.io.venue.fill import Side as Taker
from anchorwatch.io.venue.fill import touch_ticks
from anchorwatch.io.venue.noise import mix, word
from anchorwatch.io.venue.price_path import STEPS_PER_MINUTE, Worst, price_path

Path = Literal["default", "worst", "best"]
"""Which way a minute is told: the likelier one, or the one that hurts (or helps) the position that is open."""

LOOK_BACK = 64
"""Minutes searched for the last trade that moved the price; a market that stood still so long has no direction."""


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
        # Plain lists: the loop reads single numbers, and numpy's scalars are slow one at a time.
        self.opens_ms: list[int] = series.ts_ms.tolist()
        self._open: list[int] = series.open.tolist()
        self._high: list[int] = series.high.tolist()
        self._low: list[int] = series.low.tolist()
        self._close: list[int] = series.close.tolist()
        self.row = int(series.ts_ms.searchsorted(start_ms)) - 1
        self.close = self._close[self.row] if self.row >= 0 else self._open[0]
        self.previous_close = self.close
        self.high = self.low = self.close
        self._taker: Taker | None = None
        self._steps: list[tuple[int, int]] = []
        self._step = 0

    # The running minute.

    @property
    def next_open_ms(self) -> int | None:
        """When the next minute of the file opens; None after the last."""
        row = self.row + 1
        return self.opens_ms[row] if row < len(self.opens_ms) else None

    def open_minute(self) -> None:
        """Play the first trade of the next minute; what was left of the running one has been played."""
        self.row += 1
        row = self.row
        self.previous_close = self.close
        price = self._open[row]
        if price != self.close:
            self._taker = "buy" if price > self.close else "sell"
        self.close = self.high = self.low = price
        self._step = 1
        self._steps = []

    def finish(self) -> None:
        """The rest of the minute happens at once: nobody looks inside."""
        row = self.row
        self._taker = None
        self.close, self.high, self.low = self._close[row], self._high[row], self._low[row]
        self._step = STEPS_PER_MINUTE

    def next_trade_ms(self) -> int | None:
        """When the next trade of the running minute is; None when the minute is through."""
        if self._step >= STEPS_PER_MINUTE or self.row < 0:
            return None
        return self.opens_ms[self.row] + MINUTE_MS * self._step // STEPS_PER_MINUTE

    def play(self, worst: Worst | None = None) -> int:
        """Play the next trade of the running minute and return its price. `worst` is heard at the first one."""
        if not self._steps:
            self._steps = self._path(self.row, worst)
        price = self._steps[self._step][1]
        self._step += 1
        if price > self.close:
            self._taker = "buy"
        elif price < self.close:
            self._taker = "sell"
        self.close = price
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        return price

    def _path(self, row: int, worst: Worst | None) -> list[tuple[int, int]]:
        seed = mix(self.key, self.opens_ms[row])
        return price_path(
            self._open[row], self._high[row], self._low[row], self._close[row], seed=seed, worst=worst
        )

    # Prices now.

    def mark_ticks(self) -> int:
        ticks: int = basis.mark_ticks(self.close, self.previous_close)
        return ticks

    def mark(self) -> Decimal:
        return self.mark_ticks() * self.tick

    def marks_ahead(self) -> tuple[int, int]:
        """The lowest and the highest mark of the whole running minute, in ticks.

        For whoever decides that nobody need look inside it: a decision must never see them.
        """
        row, before = self.row, self.previous_close
        return basis.mark_ticks(self._low[row], before), basis.mark_ticks(self._high[row], before)

    def range_ahead(self) -> tuple[int, int]:
        """The lowest and the highest price of the whole running minute, in ticks; as `marks_ahead`."""
        return self._low[self.row], self._high[self.row]

    def touch(self) -> tuple[int, int]:
        """(best bid, best ask) in ticks."""
        if self._taker is None:
            self._taker = self._last_direction()
        return touch_ticks(self.close, self.high, self.low, self._taker)

    def _last_direction(self) -> Taker:
        """The side of the last trade that moved the price, in minutes that nobody has looked into."""
        # At most the open of the running minute has been played, and it did not move the price.
        newest = self.row - 1 if self._step == 1 else self.row
        price = self.close
        for row in range(newest, max(-1, newest - LOOK_BACK), -1):
            for _, earlier in reversed(self._path(row, None)):
                if earlier != price:
                    return "buy" if price > earlier else "sell"
        return "buy"
