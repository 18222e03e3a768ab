"""One instrument's minutes played out as trades."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import msgspec
import numpy as np

from anchorwatch.io.venue.feeds import MINUTE_MS, Feed, ManualFeed, Minutes
from anchorwatch.io.venue.fill import Side
from anchorwatch.io.venue.noise import mix, word
from anchorwatch.io.venue.price_path import price_path

# Minutes fetched from a feed at a time: fewer numpy calls, little memory.
_BLOCK = 256

# Prices set by hand that wait for the next advance; more means that nobody advances the market.
_MANUAL_WAITING_MAX = 10_000

# Minutes that trade beside their feed: a simulated day of nothing else.
_SPIKED_MINUTES_MAX = 1_440

# The premium that moves the price limits is averaged over two minutes of trades; a hand-set market may trade faster
# than this bound allows for, and then the average is over fewer seconds.
_RECENT_MAX = 240


class Tick(msgspec.Struct, frozen=True):
    """One public trade: price in USDT, size in contracts; `taker_side` is the side that came to the book."""

    ts_ms: int
    inst_id: str
    px: Decimal
    contracts: Decimal
    taker_side: Side


class Recent(msgspec.Struct, frozen=True):
    """A trade as the premium average remembers it."""

    ts_ms: int
    px: int
    previous_close: int


class Playback:
    """The running minute of one instrument: what has been traded so far, what comes next.

    `now_ms` is the start: minutes before it are history, and so are the trades of the running minute before it.
    Prices in ticks, sizes in lots.
    """

    def __init__(self, feed: Feed, now_ms: int, *, seed: int, steps: int) -> None:
        self.feed = feed
        self._manual = feed if isinstance(feed, ManualFeed) else None
        self.instrument = feed.instrument
        self.key = mix(seed, word(feed.instrument.inst_id))
        self._steps = steps
        self._waiting: deque[tuple[int, int, int]] = deque()
        # What was traded beside the feed, by minute: highest and lowest price, lots.
        self._beside: dict[int, tuple[int, int, int]] = {}
        self._block: list[tuple[int, int, int, int, int]] = []
        self._block_first_ms = 0
        first_ms = feed.first_ms
        self.minute_ms = max(now_ms // MINUTE_MS * MINUTE_MS, first_ms)
        if feed.end_ms is not None:
            self.minute_ms = min(self.minute_ms, feed.end_ms)
        self._next_minute_ms = self.minute_ms
        if self.minute_ms > first_ms:
            before = feed.minutes(self.minute_ms - MINUTE_MS, 1)
            self.close = int(before.close[0])
        else:
            # Before its first trade an instrument quotes the price that its first trade will have.
            self.close = int(feed.minutes(first_ms, 1).open[0])
        self.previous_close = self.open = self.high = self.low = self.close
        self.lots = 0
        self.taker_side: Side = "buy"
        self.recent: deque[Recent] = deque(maxlen=_RECENT_MAX)
        self.last = Tick(
            min(now_ms, self.minute_ms),
            self.instrument.inst_id,
            self.instrument.px(self.close),
            self.instrument.lot_sz,
            "buy",
        )
        self._refill()
        while self._waiting and self._waiting[0][0] < now_ms:
            self.play()

    @property
    def next_ms(self) -> int | None:
        """When the next trade is due; None when there is none in sight."""
        return self._waiting[0][0] if self._waiting else None

    @property
    def is_over(self) -> bool:
        """Whether the feed has ended and every trade was played."""
        return self.feed.end_ms is not None and not self._waiting

    def minutes(self, first_ms: int, count: int) -> Minutes:
        """The feed's minutes as they are played here: one that trades has at least a lot for each of its trades."""
        rows = self.feed.minutes(first_ms, count)
        if self._manual is not None:
            return rows
        lots = np.where(rows.lots > 0, np.maximum(rows.lots, self._steps), 0)
        if not self._beside:
            return msgspec.structs.replace(rows, lots=lots)
        high, low = rows.high.copy(), rows.low.copy()
        for minute_ms, (highest, lowest, more) in self._beside.items():
            place = (minute_ms - first_ms) // MINUTE_MS
            if 0 <= place < count:
                high[place], low[place] = max(high[place], highest), min(low[place], lowest)
                lots[place] += more
        return msgspec.structs.replace(rows, high=high, low=low, lots=lots)

    def add(self, ts_ms: int, px: int, lots: int) -> None:
        """Puts a trade made by hand into the queue. Raises ValueError unless the feed is a ManualFeed."""
        if self._manual is None:
            raise ValueError(f"{self.instrument.inst_id}: only a ManualFeed's price can be set")
        if len(self._waiting) >= _MANUAL_WAITING_MAX:
            raise ValueError(f"{_MANUAL_WAITING_MAX} set prices wait: advance the market")
        self._waiting.append((ts_ms, px, lots))

    def can_spike(self, now_ms: int) -> bool:
        """Whether a trade made now would be neither the first nor the last of its minute."""
        minute_ms = now_ms - now_ms % MINUTE_MS
        is_inside = self.minute_ms == minute_ms and self.lots > 0 and self._manual is None
        return is_inside and bool(self._waiting) and self._waiting[0][0] < minute_ms + MINUTE_MS

    def spike(self, ts_ms: int, px: int, lots: int) -> None:
        """Puts a trade that the feed does not have before all that wait; its minute's candle shows it for ever.

        Raises ValueError unless `can_spike`: a candle's open and close stay the feed's.
        """
        if not self.can_spike(ts_ms):
            raise ValueError(f"{self.instrument.inst_id}: no spike at the edge of a minute")
        minute_ms = ts_ms - ts_ms % MINUTE_MS
        assert len(self._beside) < _SPIKED_MINUTES_MAX, "a market of spikes"
        highest, lowest, before = self._beside.get(minute_ms, (px, px, 0))
        self._beside[minute_ms] = (max(highest, px), min(lowest, px), before + lots)
        self._waiting.appendleft((ts_ms, px, lots))

    def play(self) -> Tick:
        """Takes the next trade."""
        ts_ms, px, lots = self._waiting.popleft()
        minute_ms = ts_ms - ts_ms % MINUTE_MS
        if minute_ms != self.minute_ms or not self.lots:
            self._open_minute(minute_ms, px)
        if px > self.close:
            self.taker_side = "buy"
        elif px < self.close:
            self.taker_side = "sell"
        if px > self.high:
            self.high = px
        elif px < self.low:
            self.low = px
        self.close = px
        self.lots += lots
        self.recent.append(Recent(ts_ms, px, self.previous_close))
        if self._manual is not None:
            self._manual.record(ts_ms, px, lots)
        elif not self._waiting:
            self._refill()
        instrument = self.instrument
        self.last = Tick(
            ts_ms, instrument.inst_id, px * instrument.tick_sz, lots * instrument.lot_sz, self.taker_side
        )
        return self.last

    def _open_minute(self, minute_ms: int, px: int) -> None:
        self.minute_ms = minute_ms
        # The last trade's price is also the close of every quiet minute since.
        self.previous_close = self.close
        self.open = self.high = self.low = px
        self.lots = 0

    def _refill(self) -> None:
        """Queues the trades of the next minute that has any."""
        if self._manual is not None:
            return
        end_ms = self.feed.end_ms
        while end_ms is None or self._next_minute_ms < end_ms:
            minute_ms = self._next_minute_ms
            place = (minute_ms - self._block_first_ms) // MINUTE_MS
            if not 0 <= place < len(self._block):
                self._fetch(minute_ms)
                place = 0
            self._next_minute_ms = minute_ms + MINUTE_MS
            open_, high, low, close, lots = self._block[place]
            if lots:
                self._queue_minute(minute_ms, open_, high, low, close, lots)
                return

    def _fetch(self, minute_ms: int) -> None:
        count = _BLOCK
        if self.feed.end_ms is not None:
            count = min(count, (self.feed.end_ms - minute_ms) // MINUTE_MS)
        rows = self.minutes(minute_ms, count)
        self._block_first_ms = minute_ms
        self._block = list(
            zip(
                *(column.tolist() for column in (rows.open, rows.high, rows.low, rows.close, rows.lots)),
                strict=True,
            )
        )

    def _queue_minute(self, minute_ms: int, open_: int, high: int, low: int, close: int, lots: int) -> None:
        bits = mix(self.key, minute_ms)
        path = price_path(open_, high, low, close, steps=self._steps, seed=bits)
        # One lot for each trade, and the rest in four different portions that take turns.
        spare = lots - self._steps
        portion = spare // (self._steps * 2)
        given = 0
        for step, (offset_ms, px) in enumerate(path):
            if step == self._steps - 1:
                extra = spare - given
            else:
                extra = portion * (bits >> (2 * step) & 3)
                extra = min(extra, spare - given)
            given += extra
            self._waiting.append((minute_ms + offset_ms, px, 1 + extra))
