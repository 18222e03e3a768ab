"""Where an instrument's minutes come from: what a market asks of a feed, and two feeds made of other things.

A recorded file is a feed (`candle_file.CandleSeries`), an invented market is one (`synthetic.SyntheticFeed`); here are
the feed whose price is set by hand and the one that moves a recording to another day.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.venue.instruments import Instrument

Int64s = NDArray[np.int64]

MINUTE_MS = 60_000
DAY_MS = 86_400_000

# The history that a market shows before its start where nothing asks for more: a week holds the longest usual warm-up, a
# hundred hours and some days.
WARM_UP_MS = 7 * DAY_MS

# The minutes with trades that a hand-set market remembers. Older ones melt into the flat past.
MANUAL_MINUTES_MAX = 10_080


# Days of a faster feed kept at hand: today, yesterday for the 24-hour figures, and what a client pages through.
FASTER_DAYS_KEPT = 32


class Minutes(msgspec.Struct, frozen=True):
    """One-minute candles without holes: prices in ticks, traded size in lots (a minute without trades has 0)."""

    first_ms: int
    open: Int64s
    high: Int64s
    low: Int64s
    close: Int64s
    lots: Int64s


class Feed(Protocol):
    """A market's source: minutes from `first_ms` to `end_ms` (close of the last; None = it never ends)."""

    @property
    def instrument(self) -> Instrument: ...

    @property
    def first_ms(self) -> int: ...

    @property
    def end_ms(self) -> int | None: ...

    def minutes(self, first_ms: int, count: int) -> Minutes:
        """`count` whole minutes from `first_ms` on. Raises ValueError outside the feed."""
        ...


def ticks_of(instrument: Instrument, px: Decimal) -> int:
    """A price in ticks. Raises ValueError when it is not a positive multiple of the instrument's tick."""
    ticks = px / instrument.tick_sz
    if ticks < 1 or ticks != int(ticks):
        raise ValueError(
            f"{instrument.inst_id}: price {px} is not a positive multiple of the tick {instrument.tick_sz}"
        )
    return int(ticks)


class ManualFeed:
    """A market that trades only when told to (`Market.set_price`): quiet at `px` before that, and for ever."""

    def __init__(self, instrument: Instrument, px: Decimal, now_ms: int) -> None:
        self.instrument = instrument
        self.first_ms = (now_ms - WARM_UP_MS) // MINUTE_MS * MINUTE_MS
        self.end_ms: int | None = None
        self._quiet_px = ticks_of(instrument, px)
        # Each minute that traded: [open time, open, high, low, close, lots], oldest first.
        self._traded: deque[list[int]] = deque()

    def record(self, ts_ms: int, px_ticks: int, lots: int) -> None:
        """Writes one trade into its minute. Trades come in time order."""
        minute_ms = ts_ms // MINUTE_MS * MINUTE_MS
        if self._traded and self._traded[-1][0] == minute_ms:
            row = self._traded[-1]
            row[2] = max(row[2], px_ticks)
            row[3] = min(row[3], px_ticks)
            row[4] = px_ticks
            row[5] += lots
            return
        self._traded.append([minute_ms, px_ticks, px_ticks, px_ticks, px_ticks, lots])
        if len(self._traded) > MANUAL_MINUTES_MAX:
            self._quiet_px = self._traded.popleft()[4]

    def minutes(self, first_ms: int, count: int) -> Minutes:
        """The minutes as traded; one without a trade repeats the close before it."""
        if first_ms < self.first_ms or count < 0:
            raise ValueError(f"minutes outside the feed: {count} from {first_ms}")
        rows = np.empty((5, count), dtype=np.int64)
        px, begin = self._quiet_px, 0
        for minute_ms, *row in self._traded:
            at = (minute_ms - first_ms) // MINUTE_MS
            if at >= count:
                break
            if at >= 0:
                _fill_quiet(rows[:, begin:at], px)
                rows[:, at] = row
                begin = at + 1
            px = row[3]
        _fill_quiet(rows[:, begin:], px)
        return Minutes(first_ms, *rows)


def _fill_quiet(rows: Int64s, px_ticks: int) -> None:
    rows[:4] = px_ticks
    rows[4] = 0


class ShiftedFeed:
    """A recording played at another time: minute t here is minute `t - shift_ms` there, again and again if it loops.

    `period_ms` is what is played of it per round. At the seam of a loop the price jumps from the last close to the
    first open, as a gap in trading would make it jump.
    """

    def __init__(self, feed: Feed, shift_ms: int, period_ms: int | None, first_ms: int) -> None:
        self._feed = feed
        self._shift_ms = shift_ms
        self._period_ms = period_ms
        self.instrument = feed.instrument
        self.first_ms = first_ms
        self.end_ms = feed.end_ms + shift_ms if feed.end_ms is not None and period_ms is None else None

    def minutes(self, first_ms: int, count: int) -> Minutes:
        """`count` whole minutes from `first_ms` on. Raises ValueError outside the feed."""
        if first_ms < self.first_ms or count < 0:
            raise ValueError(f"minutes outside the feed: {count} from {first_ms}")
        if self._period_ms is None:
            return msgspec.structs.replace(
                self._feed.minutes(first_ms - self._shift_ms, count), first_ms=first_ms
            )
        parts: list[Minutes] = []
        at_ms, left = first_ms, count
        while left > 0 or not parts:
            into_ms = (at_ms - self._shift_ms - self._feed.first_ms) % self._period_ms
            some = min(left, (self._period_ms - into_ms) // MINUTE_MS)
            parts.append(self._feed.minutes(self._feed.first_ms + into_ms, some))
            at_ms += some * MINUTE_MS
            left -= some
        return joined(first_ms, parts)


def joined(first_ms: int, parts: Sequence[Minutes]) -> Minutes:
    """Minutes that follow each other, as one."""
    return Minutes(
        first_ms,
        np.concatenate([part.open for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.close for part in parts]),
        np.concatenate([part.lots for part in parts]),
    )


def shifted(feed: Feed, now_ms: int, *, loop: bool = False, history_ms: int = DAY_MS) -> ShiftedFeed:
    """A recording moved by whole days, so that `now_ms` enters it at the same time of day (UTC).

    It is entered on the earliest day that leaves `history_ms` of it before now, else on its latest day that has this
    time of day. A recording shorter than a day may not have it at all: then it is moved by whole minutes and entered
    after a quarter of itself. With `loop` it starts again when it ends, every whole number of days that it holds (its
    last part of a day is left out; one shorter than a day is repeated end to end), and the rounds reach back as far
    as `history_ms` needs. Raises ValueError for a feed that never ends.
    """
    if feed.end_ms is None:
        raise ValueError("a feed that never ends needs no shift")
    now_minute_ms = now_ms // MINUTE_MS * MINUTE_MS
    span_ms = feed.end_ms - feed.first_ms
    # Where now may fall into the recording: this offset, or any whole number of days after it.
    into_ms = (now_minute_ms - feed.first_ms) % DAY_MS
    if into_ms >= span_ms:
        into_ms = span_ms // 4 // MINUTE_MS * MINUTE_MS
    while into_ms < history_ms and into_ms + DAY_MS < span_ms:
        into_ms += DAY_MS
    shift_ms = now_minute_ms - (feed.first_ms + into_ms)
    first_ms = feed.first_ms + shift_ms
    if not loop:
        return ShiftedFeed(feed, shift_ms, None, first_ms)
    period_ms = span_ms // DAY_MS * DAY_MS or span_ms
    while now_minute_ms - first_ms < history_ms:
        first_ms -= period_ms
    return ShiftedFeed(feed, shift_ms, period_ms, first_ms)


class FasterFeed:
    """A feed whose minutes each hold `times` minutes of another: the same prices in less time.

    A minute here opens, peaks, bottoms and closes where its minutes there do, and trades their size; where it begins
    is counted from `now_ms`, so that the two agree on the present. Raises ValueError for less than one minute.
    """

    def __init__(self, feed: Feed, times: int, now_ms: int) -> None:
        if times < 1:
            raise ValueError(f"a feed cannot be {times} times as fast")
        self._feed = feed
        self._times = times
        self._origin_ms = now_ms // MINUTE_MS * MINUTE_MS
        self.instrument = feed.instrument
        self.first_ms = self._origin_ms - (self._origin_ms - feed.first_ms) // MINUTE_MS // times * MINUTE_MS
        self._days: dict[int, Minutes] = {}
        self.end_ms: int | None = None
        if feed.end_ms is not None:
            ahead = (feed.end_ms - self._origin_ms) // MINUTE_MS // times
            self.end_ms = self._origin_ms + ahead * MINUTE_MS

    def minutes(self, first_ms: int, count: int) -> Minutes:
        """`count` whole minutes from `first_ms` on. Raises ValueError outside the feed."""
        beyond = self.end_ms is not None and first_ms + count * MINUTE_MS > self.end_ms
        if first_ms < self.first_ms or count < 0 or beyond:
            raise ValueError(f"minutes outside the feed: {count} from {first_ms}")
        parts: list[Minutes] = []
        at_ms, left = first_ms, count
        while left > 0 or not parts:
            day = self._day(at_ms // DAY_MS * DAY_MS)
            into = (at_ms - day.first_ms) // MINUTE_MS
            some = min(left, len(day.open) - into)
            part = slice(into, into + some)
            columns = (day.open, day.high, day.low, day.close, day.lots)
            parts.append(Minutes(at_ms, *(column[part] for column in columns)))
            at_ms += some * MINUTE_MS
            left -= some
        return parts[0] if len(parts) == 1 else joined(first_ms, parts)

    def _day(self, day_ms: int) -> Minutes:
        """The minutes of one day, as far as the feed has them; a few days are kept, because each is many days there."""
        if day_ms not in self._days:
            begin_ms = max(day_ms, self.first_ms)
            end_ms = day_ms + DAY_MS if self.end_ms is None else min(day_ms + DAY_MS, self.end_ms)
            self._days[day_ms] = self._gathered(begin_ms, max(end_ms - begin_ms, 0) // MINUTE_MS)
            while len(self._days) > FASTER_DAYS_KEPT:
                del self._days[next(iter(self._days))]
        return self._days[day_ms]

    def _gathered(self, first_ms: int, count: int) -> Minutes:
        there_ms = self._origin_ms + (first_ms - self._origin_ms) * self._times
        rows = self._feed.minutes(there_ms, count * self._times)
        shape = (count, self._times)
        return Minutes(
            first_ms,
            rows.open.reshape(shape)[:, 0],
            rows.high.reshape(shape).max(axis=1),
            rows.low.reshape(shape).min(axis=1),
            rows.close.reshape(shape)[:, -1],
            rows.lots.reshape(shape).sum(axis=1),
        )
