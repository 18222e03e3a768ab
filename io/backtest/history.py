"""Closed candles of the tapes: what REST would give, and what closes when a minute does.

A larger candle is made of the minutes that the file has. One that lacks some of them is made of the others and
counted; one that has none does not exist, and leaves a hole in its timeframe too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.venue.bars import bar_ms, bar_start
from anchorwatch.io.venue.candle_file import CandleSeries
from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.io.venue.price_path import STEPS_PER_MINUTE
from anchorwatch.machine.candles import GRACE_MS, Arrays, Stretch
from anchorwatch.machine.indicators import panel
from anchorwatch.machine.indicators.panel import Columns as Readings
from anchorwatch.machine.indicators.panel import Periods, candles_defined, columns
from anchorwatch.machine.world import Candle, CandleClosed, HistoryLoaded

NEVER_MS = 2**62


class Columns:
    """One timeframe of one instrument, oldest first: opening times, and the candles' numbers."""

    def __init__(self, series: CandleSeries, timeframe: str) -> None:
        self.span_ms = bar_ms(timeframe)
        scale = 1 / series.instrument.tick_sz
        per_tick = float(scale)
        # Whole ticks divided by a whole number of ticks give the double that is nearest to the decimal price, which
        # is what reading its text gives; multiplying by 0.1 does not.
        assert scale == int(scale), f"{series.instrument.inst_id}: the tick divides one"
        lots = np.rint(series.volume / float(series.instrument.lot_sz)).astype(np.int64)
        lots = np.maximum(lots, (series.volume > 0) | (series.high > series.low))
        lots = np.where(lots > 0, np.maximum(lots, STEPS_PER_MINUTE), 0)
        minutes = (series.open, series.high, series.low, series.close, lots)
        if self.span_ms == MINUTE_MS:
            begins = np.arange(len(series))
            opens_ms = series.ts_ms
            ends = begins + 1
        else:
            ahead_ms = -bar_start(timeframe, 0) % self.span_ms
            bars = (series.ts_ms + ahead_ms) // self.span_ms
            begins = np.flatnonzero(np.diff(bars, prepend=bars[0] - 1))
            opens_ms = bars[begins] * self.span_ms - ahead_ms
            ends = np.append(begins[1:], len(series))
        open_, high, low, close, lots = minutes
        lot = float(1 / series.instrument.lot_sz)
        self.times = np.asarray(opens_ms, dtype=np.int64)
        self.values = np.stack(
            (
                open_[begins] / per_tick,
                np.maximum.reduceat(high, begins) / per_tick,
                np.minimum.reduceat(low, begins) / per_tick,
                close[ends - 1] / per_tick,
                np.add.reduceat(lots, begins) / lot,
            )
        )
        self.opens_ms = self.times.data  # to read single numbers of; numpy's scalars are slow
        self.incomplete = int(((ends - begins) < self.span_ms // MINUTE_MS).sum())

    def stretch(self, begin: int, end: int) -> Stretch:
        return Stretch(self.opens_ms, self.values, begin, end)

    def candles(self, begin: int, end: int) -> tuple[Candle, ...]:
        """These rows. Most of a file are never asked for."""
        return self.stretch(begin, end).candles()

    def counting(self, opens_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row that counts at signal candles that open then, the last that had closed; -1 where none had."""
        return self.times.searchsorted(opens_ms - self.span_ms, side="right") - 1

    def plain(self) -> NDArray[np.bool_]:
        """Which candles follow on the one before without a hole, and have trades."""
        open_, high, low, close, volume = self.values
        is_candle = (low > 0) & (low <= open_) & (open_ <= high) & (low <= close) & (close <= high)
        follows = np.diff(self.times, prepend=self.times[0]) == self.span_ms
        plain: NDArray[np.bool_] = is_candle & (volume > 0) & follows
        return plain


class Part(NamedTuple):
    """The candles of one stretch without a hole, and their indicators; None where it is too short for any."""

    opens_ms: Sequence[int]
    candles: Arrays
    readings: Readings | None


class Known(Mapping[int, panel.Readings | None]):
    """The indicators at every candle of a timeframe, by its opening time."""

    def __init__(self, parts: Sequence[Part], span_ms: int) -> None:
        self._begins = [part.opens_ms[0] for part in parts]
        self._rows = [part.readings.rows() if part.readings is not None else None for part in parts]
        self._opens_ms = [part.opens_ms for part in parts]
        self._span_ms = span_ms

    def __getitem__(self, open_ms: int) -> panel.Readings | None:
        part = bisect_right(self._begins, open_ms) - 1
        if part < 0:
            raise KeyError(open_ms)
        rows = self._rows[part]
        return rows.at((open_ms - self._begins[part]) // self._span_ms) if rows is not None else None

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._opens_ms)

    def __len__(self) -> int:
        return sum(map(len, self._opens_ms))


class Closing:
    """The candles of one instrument as they close, one after the other."""

    def __init__(self, columns: Columns, instrument: str, timeframe: str, start_ms: int) -> None:
        self._columns = columns
        self.instrument, self.timeframe = instrument, timeframe
        self._row = bisect_right(columns.opens_ms, start_ms - columns.span_ms)
        self.due_ms = self._due_ms()

    def take(self) -> CandleClosed:
        columns, row = self._columns, self._row
        candle = Candle(columns.opens_ms[row], *columns.values[:, row].tolist())
        self._row += 1
        self.due_ms = self._due_ms()
        return CandleClosed(self.instrument, self.timeframe, candle)

    def take_until(self, until_ms: int) -> Stretch:
        """Everything that has closed by then, when the next one is due, and was not taken."""
        begin = self._row
        self._row = bisect_right(self._columns.opens_ms, until_ms - self._columns.span_ms, begin)
        self.due_ms = self._due_ms()
        return self._columns.stretch(begin, self._row)

    def _due_ms(self) -> int:
        opens_ms = self._columns.opens_ms
        return opens_ms[self._row] + self._columns.span_ms if self._row < len(opens_ms) else NEVER_MS


class Histories:
    """Every timeframe that is followed, of every instrument: ``kept`` says how many candles of which."""

    def __init__(
        self, series: Mapping[str, CandleSeries], kept: Mapping[str, Sequence[tuple[str, int]]]
    ) -> None:
        self._counts = {(name, timeframe): count for name, own in kept.items() for timeframe, count in own}
        self.columns = {
            (name, timeframe): Columns(series[name], timeframe) for name, timeframe in self._counts
        }

    def all(self, now_ms: int) -> Iterator[HistoryLoaded]:
        """What the stage CANDLES loads."""
        for name, timeframe in self.columns:
            count = self._counts[name, timeframe]
            yield HistoryLoaded(name, timeframe, self.closed(name, timeframe, count, now_ms))

    def closed(self, instrument: str, timeframe: str, count: int, now_ms: int) -> tuple[Candle, ...]:
        """The newest ``count`` candles that have closed by now, without a hole between them."""
        columns = self.columns[instrument, timeframe]
        end = bisect_right(columns.opens_ms, now_ms - columns.span_ms)
        begin = end
        while begin > 0 and end - begin < count:
            if begin < end and columns.opens_ms[begin - 1] != columns.opens_ms[begin] - columns.span_ms:
                break
            begin -= 1
        return columns.candles(begin, end)

    def within(
        self, instrument: str, timeframe: str, from_ms: int, to_ms: int, now_ms: int
    ) -> tuple[Candle, ...]:
        """Those that open in [from, to) and have closed by now, as far as the file has them."""
        columns = self.columns[instrument, timeframe]
        begin = bisect_left(columns.opens_ms, from_ms)
        end = bisect_left(columns.opens_ms, min(to_ms, now_ms - columns.span_ms + 1))
        return columns.candles(begin, end)

    def between(self, instrument: str, timeframe: str, from_ms: int, to_ms: int) -> tuple[Candle, ...]:
        """What the file has of the candles that open from ``from_ms`` on and have closed by ``to_ms``."""
        columns = self.columns[instrument, timeframe]
        begin = bisect_left(columns.opens_ms, from_ms)
        end = bisect_right(columns.opens_ms, to_ms - columns.span_ms)
        return columns.candles(begin, end)

    def stretches(self, instrument: str, timeframe: str, start_ms: int) -> Iterator[tuple[int, int]]:
        """First row and end of every stretch without a hole: from the first candle of the history on, and from the
        first one behind every hole, where a live bot begins anew."""
        own = self.columns[instrument, timeframe]
        begin = bisect_right(own.opens_ms, start_ms - own.span_ms) - self._counts[instrument, timeframe]
        holes = np.flatnonzero(np.diff(own.times) != own.span_ms) + 1
        begins = sorted({max(begin, 0), *(row for row in holes.tolist() if row > begin)})
        yield from zip(begins, [*begins[1:], len(own.times)], strict=True)

    def parts(self, instrument: str, timeframe: str, periods: Periods, start_ms: int) -> Iterator[Part]:
        """What the indicators say at every candle of every stretch, computed at once. Equal to the live ones to 1e-9."""
        own = self.columns[instrument, timeframe]
        for first, end in self.stretches(instrument, timeframe, start_ms):
            candles = Arrays(own.times[first:end], *own.values[:, first:end])
            is_defined = end - first >= candles_defined(periods)
            readings = columns(candles.high, candles.low, candles.close, periods) if is_defined else None
            yield Part(own.opens_ms[first:end], candles, readings)

    def stalls_ms(self) -> list[int]:
        """When a bot that looks at its clock notices a hole, of every instrument and timeframe, in order."""
        noticed = set()
        for own in self.columns.values():
            before = own.times[:-1][np.diff(own.times) != own.span_ms]
            noticed.update((before + 2 * own.span_ms + GRACE_MS).tolist())
        return sorted(noticed)

    def closing(self, instrument: str, start_ms: int) -> list[Closing]:
        """What closes from ``start_ms`` on, each timeframe by itself."""
        return [
            Closing(columns, name, timeframe, start_ms)
            for (name, timeframe), columns in self.columns.items()
            if name == instrument
        ]
