"""What a back-test leaves out: trades between which nothing can happen, and whole minutes at which nothing is decided.

Theory of operation
===================

Most minutes of a file decide nothing. They are not told to the desk one by one; its chart is brought up to date over
all of them at once (`Desk.pass_over`). A minute is left out only where each of these is known:

* **Its candle is no wish.** The strategy has said of the whole series, each time from candles up to that one only,
  where it may have a wish with what is open (`Foretelling`), and what its other answers are counted as. The candle is
  plain: it has trades and follows on the one before; and so are the larger candles that close with it. No fact is
  missing and no candle is being mended (`Desk.may_pass`). A regime that it brings is recorded with it.
* **Nothing is due in it**: no timer, no answer on its way, no look at the clock (`Quiet.until_ms`), no funding.
* **Where something is open, no price in it matters**: the marks of the whole minute stay inside the band that the
  desk sleeps through, reach no stop, and leave the account far from liquidation. Nothing waits as a maker.

What is found out here about minutes that lie ahead serves to leave them out together, and nothing else: the first one
that may matter is told like any other, in its time. `is_exhaustive` runs without any of this, and a test holds both to
the same fills, stop levels and facts.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.backtest.exchange import Exchange
from anchorwatch.io.backtest.foresight import Answered
from anchorwatch.io.backtest.history import NEVER_MS, Columns
from anchorwatch.io.backtest.tape import Tape
from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.machine.desk.quiet import Quiet
from anchorwatch.machine.market import SIGNAL, Market
from anchorwatch.machine.regime import RegimeState
from anchorwatch.machine.units import Side

BLOCK = 32
"""Minutes whose marks are looked at together: as long as most stretches, and few to look at one by one."""

SPIKE = 1.5
"""No mark that is left out lies at more than so many times the present one: an account that is far from liquidation
survives twice the mark at which that was found out, and it may have risen by a quarter since (`liquidation`)."""


class Watch:
    """An instrument with something open or resting: which of its trades can be left out.

    It holds for as long as nothing is traded, placed or taken back, and `Desk.quiet` gives the same object.
    """

    def __init__(self, tape: Tape, quiet: Quiet, exchange: Exchange, *, is_careless: bool) -> None:
        self.tape = tape
        self.quiet = quiet
        self._may_skip = is_careless and quiet.low < quiet.high
        self._low, self._high = math.inf, -math.inf
        self._lowest, self._highest = self._low, self._high
        if self._may_skip:
            self._low = _ticks(quiet.low / tape.tick, ROUND_FLOOR)
            self._high = min(_ticks(quiet.high / tape.tick, ROUND_CEILING), SPIKE * tape.mark_ticks())
            low, high = exchange.calm_marks(tape)
            self._lowest, self._highest = max(low, self._low), min(high, self._high)

    def sleeps_through(self, mark: int) -> bool:
        return self._may_skip and self._low < mark < self._high

    def may_skip(self) -> bool:
        """Whether nothing can happen in the whole running minute."""
        if not self._may_skip:
            return False
        low, high = self.tape.marks_ahead()
        return self._lowest < low and high < self._highest

    def quiet_rows(self, ahead: Ahead, rows_max: int) -> int:
        """How many of the minutes after the running one, one after the other, can be left out as a whole."""
        if not self._may_skip:
            return 0
        return ahead.rows_within(self.tape.row + 1, self._lowest, self._highest, rows_max)


def _ticks(value: Decimal, rounding: str) -> float:
    return float(value) if value.is_infinite() else int(value.to_integral_value(rounding))


class Ahead:
    """One instrument's file, for whoever leaves minutes out: which candles may matter, and how far marks go."""

    def __init__(
        self,
        tape: Tape,
        columns: Mapping[str, Columns],
        answered: Answered,
        regimes: Sequence[tuple[int, RegimeState]],
        market: Market,
    ) -> None:
        signals = columns[SIGNAL]
        matters = ~signals.plain()
        for timeframe, own in columns.items():
            if timeframe != SIGNAL:
                closes_ms = own.times[~own.plain()] + own.span_ms
                matters[_closing_with(signals, closes_ms)] = True
        self._counted = answered.counted
        # By the side that is open: the rows that may matter.
        self._matters = {
            side: np.flatnonzero(matters | asked).tolist() for side, asked in answered.asked.items()
        }
        self._regime_rows, self._regimes = [row for row, _ in regimes], [state for _, state in regimes]
        # Rows that do not open where the one before them closes: behind a hole, and behind the last.
        follows = np.diff(signals.times) == signals.span_ms
        self._ends: list[int] = [*(np.flatnonzero(~follows) + 1).tolist(), len(signals.times)]
        lows, highs = tape.marks()
        blocks = np.arange(0, len(lows), BLOCK)
        # To read single ones of: of every minute, and of every block of them.
        self._lows, self._highs = lows.data, highs.data
        self._lowest = np.minimum.reduceat(lows, blocks).data
        self._highest = np.maximum.reduceat(highs, blocks).data
        # A buffer never takes more at once than keeps it in one piece.
        self.rows_max = min(
            count if name == SIGNAL else max(1, count * columns[name].span_ms // MINUTE_MS // 2)
            for name, count in market.settings.kept
        )

    def rows_until_asked(self, row: int, open_side: Side | None) -> int:
        """How many candles from ``row`` on matter to nobody, while this side is open (None: nothing is)."""
        rows = min(self.rows_max, _next(self._matters[open_side], row) - row)
        # The minute that opens with the last of these closes is looked into as well, so it must open then.
        return min(rows, self._ends[bisect_right(self._ends, row)] - 1 - row)

    def rows_to_regime(self, row: int) -> int:
        """How many candles from ``row`` on there are up to the one that brings a regime to be recorded, and with it."""
        return _next(self._regime_rows, row) + 1 - row

    def regimes(self, row: int, rows: int) -> list[RegimeState]:
        """The regimes to be recorded with these candles, in order."""
        first, end = bisect_left(self._regime_rows, row), bisect_left(self._regime_rows, row + rows)
        return self._regimes[first:end]

    def counted(self, row: int, rows: int, open_side: Side | None) -> dict[str, int]:
        """What the strategy's answers to these candles are counted as."""
        return self._counted[open_side].within(row, row + rows)

    def rows_within(self, row: int, low: float, high: float, rows_max: int) -> int:
        """How many minutes from ``row`` on have all their marks strictly between these, in ticks."""
        lows, highs = self._lows, self._highs
        begin, end = row, row + rows_max
        while begin < end:
            block = begin // BLOCK
            behind = min(end, (block + 1) * BLOCK)
            if self._lowest[block] <= low or self._highest[block] >= high:
                for minute in range(begin, behind):
                    if lows[minute] <= low or highs[minute] >= high:
                        return minute - row
            begin = behind
        return rows_max


def _next(rows: list[int], row: int) -> int:
    """The first of these rows that is not before ``row``."""
    place = bisect_left(rows, row)
    return rows[place] if place < len(rows) else NEVER_MS


def _closing_with(signals: Columns, closes_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of the signal candles with which these larger ones are told."""
    rows = np.searchsorted(signals.times + signals.span_ms, closes_ms)
    return rows[rows < len(signals.times)]
