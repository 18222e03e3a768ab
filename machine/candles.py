"""The closed candles of one instrument and timeframe: bounded, contiguous, and honest about what is missing.

Theory of operation
===================

The buffer holds one run of candles without a hole. What would tear it is kept
aside, so that a hole is never looked at as if its edges were neighbours:

* a candle that comes too early (those before it were lost) waits *ahead* until REST
  has brought the missing ones;
* a candle that is known already is a repetition, or, with other values, a *late
  correction*: the venue's word replaces ours, and everything computed since is void;
* a candle without trades is legitimate (OKX v5 repeats the previous close), yet
  it is also what a broken feed looks like: the first of a run of them is read again.

Every answer to a push says which opening times to read again by REST, if any. What
REST says is merged and is final. Times are UTC milliseconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorwatch.machine.timeframes import offset_ms, open_of, span_ms
from anchorwatch.machine.world import Candle

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

CAPACITY_MAX = 10_000
"""A week of minutes. More is a mistake in the settings: no indicator looks back further."""

GRACE_MS = 10_000
"""How late a closed candle may be: its last push takes about a second, a reconnect some seconds more."""


class Span(msgspec.Struct, frozen=True):
    """Opening times from ``from_ms`` up to, not including, ``to_ms``."""

    from_ms: int
    to_ms: int


class Arrays(msgspec.Struct, frozen=True):
    """Columns of the buffer, oldest first. Read-only views that hold until the buffer takes its next candle."""

    open_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """Closed candles in a row, oldest first: these rows of longer columns, made into candles where somebody looks."""

    opens_ms: Sequence[int]
    values: Floats  # a row each for open, high, low, close and volume
    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    @property
    def first_ms(self) -> int:
        """When the oldest of them opens."""
        return self.opens_ms[self.begin]

    @property
    def newest_ms(self) -> int:
        return self.opens_ms[self.end - 1]

    def candles(self, last: int | None = None) -> tuple[Candle, ...]:
        """All of them, or the ``last`` ones."""
        part = slice(self.begin if last is None else max(self.begin, self.end - last), self.end)
        return tuple(map(Candle, self.opens_ms[part], *self.values[:, part].tolist()))


# What became of a pushed candle.


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """``read`` is what to ask for by REST; None where nothing is in doubt."""

    read: Span | None = None


class Appended(Outcome, frozen=True):
    """The run grew by these, oldest first: more than one when a hole was closed."""

    candles: tuple[Candle, ...]


class AppendedWithoutTrades(Appended, frozen=True):
    """The same, and the first of a run without volume: to be read again once."""


class Repeated(Outcome, frozen=True):
    """Known, with these values."""


class Corrected(Outcome, frozen=True):
    """Known with other values, which these replace. What was computed from this candle on is void."""

    open_ms: int


class Ahead(Outcome, frozen=True):
    """Those between the run and this candle are missing; it waits until they have come."""


class TooOld(Outcome, frozen=True):
    """Older than anything that is kept: nothing depends on it any more."""


class Refused(Outcome, frozen=True):
    """Not a candle of this timeframe, or not a candle at all. It is not kept."""

    why: str


class Stalled(Outcome, frozen=True):
    """Time has passed, and the candle that must have closed in it has not come."""

    newest_ms: int


class Merged(Outcome, frozen=True):
    """What REST brought. ``read`` is what is still missing: the venue has a hole, or is not that far yet."""

    appended: tuple[Candle, ...]  # behind what was the newest, oldest first
    changed: bool  # older ones came or were corrected: what was computed must be computed anew
    refused: tuple[str, ...] = ()


class CandleBuffer(Sequence[Candle]):
    """At most ``capacity`` candles. As a sequence it gives `Candle`; `arrays` gives columns.

    A strategy looks at a few candles, an indicator at long columns, and a back-test at neither for most of its file.
    So what is taken whole stays *unread* until somebody asks for a candle of it, and the columns are brought up to
    date when somebody asks for them.
    """

    def __init__(self, timeframe: str, capacity: int) -> None:
        if not 1 <= capacity <= CAPACITY_MAX:
            raise ValueError(f"capacity {capacity}; allowed: 1 to {CAPACITY_MAX}")
        self.timeframe = timeframe
        self.capacity = capacity
        self.span_ms = span_ms(timeframe)
        self._offset_ms = offset_ms(timeframe)
        # Twice the capacity, so that the run slides to the end before it is copied back once.
        self._times: Times = np.zeros(2 * capacity, np.int64)
        self._values: Floats = np.zeros((5, 2 * capacity), np.float64)
        self._end = 0  # of what is written of the columns
        self._unwritten = 0  # candles behind those
        self._candles: deque[Candle] = deque(maxlen=capacity)
        self._unread: deque[tuple[Stretch | Candle, int]] = (
            deque()
        )  # behind the candles, with how many each is
        self._unread_count = 0
        self._newest_ms = -1
        self._newest: Candle | None = None  # None while it is unread, too
        self._ahead: dict[int, Candle] = {}  # as many as the capacity at most; the oldest give way

    # Questions.

    @property
    def newest(self) -> Candle | None:
        if self._newest is None and self._unread:
            self._newest = self._made(self._unread[-1][0], 1)[0]
        return self._newest

    @property
    def newest_ms(self) -> int:
        """When the newest candle opened; -1 where there is none."""
        return self._newest_ms

    @property
    def oldest_ms(self) -> int:
        """When the oldest candle that is kept opened: the run has no hole."""
        return self._newest_ms - (len(self) - 1) * self.span_ms

    @property
    def nbytes(self) -> int:
        """The memory of the columns: the same from the first candle to the last."""
        return self._times.nbytes + self._values.nbytes

    def missing(self) -> Span | None:
        """The hole between the run and what waits ahead of it."""
        if not self._ahead or self._newest_ms < 0:
            return None
        return Span(self._newest_ms + self.span_ms, min(self._ahead))

    def is_fresh(self, now_ms: int) -> bool:
        """Whether every candle that must have closed by now is here, but for a grace."""
        return self._newest_ms >= 0 and now_ms < self._newest_ms + 2 * self.span_ms + GRACE_MS

    def stall(self, now_ms: int) -> Stalled | None:
        """What to read again because no candle came although one must have closed."""
        if self._newest_ms < 0 or self.is_fresh(now_ms):
            return None
        span = Span(self._newest_ms + self.span_ms, open_of(self.timeframe, now_ms))
        return Stalled(read=span, newest_ms=self._newest_ms)

    def arrays(self, last: int | None = None) -> Arrays:
        """The whole run, or its ``last`` candles."""
        self._write()
        count = len(self) if last is None else min(last, len(self))
        part = slice(self._end - count, self._end)
        times = self._times[part]
        times.flags.writeable = False
        columns = [values[part] for values in self._values]
        for column in columns:
            column.flags.writeable = False
        return Arrays(times, *columns)

    def at(self, open_ms: int) -> Candle:
        """The candle of the run that opens then."""
        if open_ms == self._newest_ms and (newest := self.newest) is not None:
            return newest
        return self[len(self) - 1 - (self._newest_ms - open_ms) // self.span_ms]

    def __len__(self) -> int:
        return min(self.capacity, len(self._candles) + self._unread_count)

    @overload
    def __getitem__(self, index: int) -> Candle: ...
    @overload
    def __getitem__(self, index: slice) -> list[Candle]: ...
    def __getitem__(self, index: int | slice) -> Candle | list[Candle]:
        if self._unread:
            newest = self.newest
            if newest is not None and index in (-1, len(self) - 1):
                return newest
            self._read()
        candles = self._candles
        if isinstance(index, slice):
            return [candles[place] for place in range(*index.indices(len(candles)))]
        return candles[index]

    def __iter__(self) -> Iterator[Candle]:
        self._read()
        return iter(self._candles)

    # What is pushed.

    def take(self, candle: Candle) -> Outcome:
        """Take one closed candle of the stream. Unconfirmed ones must not come here."""
        why = self._fault(candle)
        if why is not None:
            return Refused(why=why)
        if self._newest_ms < 0:
            self._append(candle)
            return Appended(candles=(candle,))
        expected_ms = self._newest_ms + self.span_ms
        if candle.open_ms == expected_ms:
            newest = self.newest if not candle.volume else None
            self._append(candle)
            joined = (candle, *self._join()) if self._ahead else (candle,)
            if newest is not None and newest.volume > 0:
                again = Span(candle.open_ms, candle.open_ms + self.span_ms)
                return AppendedWithoutTrades(candles=joined, read=again)
            return Appended(candles=joined, read=self.missing() if self._ahead else None)
        if candle.open_ms > expected_ms:
            self._keep_ahead(candle)
            return Ahead(read=self.missing())
        return self._take_known(candle)

    def _take_known(self, candle: Candle) -> Outcome:
        self._read()
        place = len(self._candles) - 1 - (self._newest_ms - candle.open_ms) // self.span_ms
        if place < 0:
            return TooOld()
        if self._candles[place] == candle:
            return Repeated()
        self._correct(place, candle)
        # Its neighbours may have been corrected too, without a push.
        return Corrected(open_ms=candle.open_ms, read=Span(candle.open_ms, self._newest_ms + self.span_ms))

    def extend(self, stretch: Stretch) -> None:
        """Take what follows on the newest candle, at once: `take` for each would answer `Appended`, and no more.

        For whoever knows that these are candles with trades, none of them missing.
        """
        count, newest_ms, then_ms = len(stretch), stretch.newest_ms, self._newest_ms
        assert then_ms >= 0, "there is nothing that it could follow on"
        assert not self._ahead, "there is a hole before it"
        assert stretch.first_ms == then_ms + self.span_ms, "it does not follow"
        assert newest_ms == then_ms + count * self.span_ms, "it has a hole"
        self._wait(stretch, count)
        self._newest_ms, self._newest = newest_ms, None

    # What REST brings.

    def merge(self, candles: Sequence[Candle]) -> Merged:
        """Take closed candles that REST gave, in any order. They win over what was pushed."""
        before = {candle.open_ms: candle for candle in self}
        newest_before_ms = self._newest_ms
        known = {**before, **self._ahead}
        refused = []
        for candle in candles:
            why = self._fault(candle)
            if why is not None:
                refused.append(why)
            else:
                known[candle.open_ms] = candle
        runs = _runs([known[open_ms] for open_ms in sorted(known)], self.span_ms)
        # What lies before a hole behind us is of no use: the run goes on from where it was.
        runs = [run for run in runs if run[-1].open_ms >= newest_before_ms]
        self._clear()
        if runs:
            self._fill(runs[0][-self.capacity :])
            for run in runs[1:]:
                for candle in run:
                    self._keep_ahead(candle)
        appended = tuple(candle for candle in self if candle.open_ms > newest_before_ms)
        changed = any(
            candle.open_ms <= newest_before_ms and before.get(candle.open_ms) != candle for candle in self
        )
        return Merged(appended=appended, changed=changed, refused=tuple(refused), read=self.missing())

    def begin_after_hole(self) -> Span | None:
        """Give up what lies before the hole, because the venue itself does not have the missing candles.

        The answer is that hole. The run then begins behind it and must become long enough again.
        """
        hole = self.missing()
        if hole is None:
            return None
        ahead = list(self._ahead.values())
        self._clear()
        self.merge(ahead)
        return hole

    # How it is kept.

    def _fault(self, candle: Candle) -> str | None:
        """Why this cannot be a candle of the timeframe."""
        if (candle.open_ms + self._offset_ms) % self.span_ms:
            return f"{candle.open_ms} is not on the grid of {self.timeframe}"
        low, high = candle.low, candle.high
        if (
            0 < low <= candle.open <= high < math.inf
            and low <= candle.close <= high
            and 0 <= candle.volume < math.inf
        ):
            return None
        return f"{candle.open_ms} is not a candle: {msgspec.structs.astuple(candle)[1:]}"

    def _append(self, candle: Candle) -> None:
        if self._unread:
            self._wait(candle, 1)
        else:
            self._candles.append(candle)
            self._unwritten += 1
        self._newest_ms, self._newest = candle.open_ms, candle

    def _wait(self, part: Stretch | Candle, count: int) -> None:
        """This is read when somebody asks, or never: when as many have come behind it as are kept."""
        unread = self._unread
        unread.append((part, count))
        self._unread_count += count
        self._unwritten += count
        while self._unread_count - unread[0][1] >= self.capacity:
            self._unread_count -= unread.popleft()[1]

    def _read(self) -> None:
        """Make candles of what is unread."""
        if not self._unread:
            return
        for part, _ in self._unread:
            self._candles.extend(self._made(part, self.capacity))
        self._newest = self._candles[-1]
        self._unread.clear()
        self._unread_count = 0

    @staticmethod
    def _made(part: Stretch | Candle, last: int) -> tuple[Candle, ...]:
        return (part,) if isinstance(part, Candle) else part.candles(last)

    def _write(self) -> None:
        """Bring the columns up to date."""
        self._read()
        count = min(self._unwritten, len(self._candles))
        kept = slice(self._end - (len(self._candles) - count), self._end)
        if self._end + count > 2 * self.capacity:
            self._end -= kept.start
            self._times[: self._end] = self._times[kept]
            self._values[:, : self._end] = self._values[:, kept]
        if count:
            behind = islice(self._candles, len(self._candles) - count, None)
            rows = np.array([msgspec.structs.astuple(candle) for candle in behind])
            part = slice(self._end, self._end + count)
            self._times[part] = rows[:, 0]
            self._values[:, part] = rows[:, 1:].T
            self._end = part.stop
        self._unwritten = 0

    def _correct(self, place: int, candle: Candle) -> None:
        """Another candle at this place; from there on the columns are written anew."""
        self._candles[place] = candle
        written = len(self._candles) - self._unwritten
        if place < written:
            self._end -= written - place
            self._unwritten = len(self._candles) - place
        if place == len(self._candles) - 1:
            self._newest = candle

    def _fill(self, run: Sequence[Candle]) -> None:
        """Take a whole run at once, where there is none."""
        self._candles.extend(run)
        self._unwritten = len(run)
        self._newest_ms, self._newest = run[-1].open_ms, run[-1]

    def _clear(self) -> None:
        self._end = self._unwritten = self._unread_count = 0
        self._candles.clear()
        self._unread.clear()
        self._newest_ms, self._newest = -1, None
        self._ahead = {}

    def _keep_ahead(self, candle: Candle) -> None:
        self._ahead[candle.open_ms] = candle
        if len(self._ahead) > self.capacity:
            del self._ahead[min(self._ahead)]

    def _join(self) -> tuple[Candle, ...]:
        """Those ahead that now follow on the run."""
        joined = []
        while (following := self._ahead.pop(self._newest_ms + self.span_ms, None)) is not None:
            self._append(following)
            joined.append(following)
        return tuple(joined)


def _runs(candles: Sequence[Candle], span: int) -> list[list[Candle]]:
    """Contiguous runs of candles that are in order."""
    if not candles:
        return []
    runs = [[candles[0]]]
    for earlier, later in pairwise(candles):
        if later.open_ms - earlier.open_ms == span:
            runs[-1].append(later)
        else:
            runs.append([later])
    return runs
