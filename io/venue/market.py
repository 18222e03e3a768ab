"""The market that the embedded exchange trades on: public trades, prices and candles of every instrument.

Time is given and never read. `next_ms` says when something happens next and `advance` makes it happen, so the same
market serves real time, virtual time and a back-test. What lies before the start is history, served by `candles`;
what lies after the last `advance` cannot be seen through any method.

The source of an instrument is a feed: a recorded file (`candle_file.read_candles`), an invented market
(`synthetic.SyntheticFeed`), a recording moved to today (`feeds.shifted`), or one set by hand (`feeds.ManualFeed`).
The trades inside a recorded minute are invented (`price_path`); its four prices and its volume are the recording's.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from anchorwatch.io.venue import basis, candles
from anchorwatch.io.venue.bars import bar_ms, bar_start, is_bar
from anchorwatch.io.venue.candles import CANDLES_MAX, CandleRow
from anchorwatch.io.venue.feeds import DAY_MS, MINUTE_MS, Feed, ManualFeed, ticks_of
from anchorwatch.io.venue.fill import Side, touch_ticks
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.playback import Playback, Tick
from anchorwatch.io.venue.price_path import STEPS_PER_MINUTE

__all__ = ["CANDLES_MAX", "CandleRow", "Funding", "ManualFeed", "Market", "Side", "Tick", "is_bar"]

# The shape of OKX's published price-limit rule, with the values that its first-tier coins once had.
LIMIT_Y = Decimal("0.02")
LIMIT_Z = Decimal("0.05")
PREMIUM_AVERAGE_MS = 120_000

_HONG_KONG_MS = 8 * 3_600_000


class Funding(msgspec.Struct, frozen=True):
    """Funding as known at one moment. `rate` is the forecast for `funding_time_ms`, and here forecasts come true;
    `settled_rate` is what was paid at `settled_time_ms`, the funding time before. Rates are plain ratios."""

    rate: Decimal
    funding_time_ms: int
    next_funding_time_ms: int
    settled_rate: Decimal
    settled_time_ms: int
    premium: Decimal
    min_rate: Decimal
    max_rate: Decimal
    interest_rate: Decimal


class _Day(msgspec.Struct, frozen=True):
    """The last 24 hours without the running minute."""

    minute_ms: int
    open: int
    high: int
    low: int
    lots: int


class Market:
    """The instruments of `feeds` (by instrument id), started at `now_ms`: what the feeds hold before is history.

    `steps` is the number of trades inside a minute; `limit_y` and `limit_z` shape the price limits. Every method that
    takes an instrument id raises KeyError for one that is not traded here. Raises ValueError when a feed is filed
    under another id than its instrument's, or there is none.
    """

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        now_ms: int,
        *,
        seed: int = 0,
        steps: int = STEPS_PER_MINUTE,
        limit_y: Decimal = LIMIT_Y,
        limit_z: Decimal = LIMIT_Z,
    ) -> None:
        if not feeds:
            raise ValueError("a market needs at least one feed")
        for inst_id, feed in feeds.items():
            if feed.instrument.inst_id != inst_id:
                raise ValueError(f"{inst_id}: the feed is of {feed.instrument.inst_id}")
        self.now_ms = now_ms
        self._previous_ms = now_ms
        self._limit_y = limit_y
        self._limit_z = limit_z
        self._playbacks = {
            inst_id: Playback(feed, now_ms, seed=seed, steps=steps) for inst_id, feed in feeds.items()
        }
        self._order = {inst_id: place for place, inst_id in enumerate(self._playbacks)}
        self._due: list[tuple[int, int, Playback]] = []
        for place, playback in enumerate(self._playbacks.values()):
            if playback.next_ms is not None:
                heapq.heappush(self._due, (playback.next_ms, place, playback))
        self._days: dict[str, _Day] = {}
        # By instrument and bar: a bar is pushed at every trade, and only its running minute changes.
        self._closed: dict[tuple[str, str], candles.Closed] = {}
        self._opens: dict[str, tuple[int, tuple[Decimal, Decimal]]] = {}

    # Time

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What is traded here."""
        return tuple(playback.instrument for playback in self._playbacks.values())

    def instrument(self, inst_id: str) -> Instrument:
        return self._playbacks[inst_id].instrument

    @property
    def is_over(self) -> bool:
        """Whether every feed has ended and been played."""
        return all(playback.is_over for playback in self._playbacks.values())

    def next_ms(self) -> int | None:
        """When the next trade is due; None when none is (every feed is over, or waits for a price to be set)."""
        return self._due[0][0] if self._due else None

    def advance(self, now_ms: int) -> list[Tick]:
        """Every trade due up to and including `now_ms`, in order of time (at one moment: of the feeds).

        Afterwards every price is that of `now_ms`: whoever must see the mark at each trade advances to one `next_ms`
        at a time.
        Raises ValueError when time would go back.
        """
        if now_ms < self.now_ms:
            raise ValueError(f"the market is at {self.now_ms} and cannot go back to {now_ms}")
        due, ticks = self._due, []
        while due and due[0][0] <= now_ms:
            _, place, playback = due[0]
            ticks.append(playback.play())
            next_ms = playback.next_ms
            if next_ms is None:
                heapq.heappop(due)
            else:
                heapq.heapreplace(due, (next_ms, place, playback))
        self._previous_ms, self.now_ms = self.now_ms, now_ms
        return ticks

    def set_price(self, inst_id: str, px: Decimal, contracts: Decimal | None = None) -> None:
        """A trade at `px` (of one lot unless `contracts` says more) in a market set by hand, due at once.

        The next `advance`, to the same time or a later one, returns it; a loop that sleeps until an earlier answer
        of `next_ms` must be woken. Raises ValueError off the tick or lot, or when the feed is not a ManualFeed.
        """
        playback = self._playbacks[inst_id]
        instrument = playback.instrument
        lots = Decimal(1) if contracts is None else contracts / instrument.lot_sz
        if lots < 1 or lots != int(lots):
            raise ValueError(
                f"{inst_id}: {contracts} contracts are not a positive multiple of {instrument.lot_sz}"
            )
        is_first = playback.next_ms is None
        playback.add(self.now_ms, ticks_of(instrument, px), int(lots))
        if is_first:
            heapq.heappush(self._due, (self.now_ms, self._order[inst_id], playback))

    def can_spike(self, inst_id: str) -> bool:
        """Whether `spike` is possible now: inside of a minute that has traded and will trade again."""
        return self._playbacks[inst_id].can_spike(self.now_ms)

    def spike(self, inst_id: str, px: Decimal, reference: str) -> None:
        """One more trade of one lot, due at once, that the feed does not have: a wick, and the next trade is back.

        It takes the `reference` price ("last" or "mark") to `px`, or just beyond it as seen from the present one.
        Raises ValueError unless `can_spike`, or off the tick.
        """
        playback = self._playbacks[inst_id]
        target = ticks_of(playback.instrument, px)
        if reference == "mark":
            target = basis.last_ticks(target, self._previous_close(playback), upward=target > playback.close)
        playback.spike(self.now_ms, target, 1)
        self._due = [
            (next_ms, place, one) for _, place, one in self._due if (next_ms := one.next_ms) is not None
        ]
        heapq.heapify(self._due)

    # Prices now

    def last(self, inst_id: str) -> Decimal:
        """The last traded price."""
        return self._playbacks[inst_id].last.px

    def last_tick(self, inst_id: str) -> Tick:
        """The last trade; before the first one a made-up lot at the last known price."""
        return self._playbacks[inst_id].last

    def mark(self, inst_id: str) -> Decimal:
        """The mark price, on tick: see `basis`."""
        playback = self._playbacks[inst_id]
        return playback.instrument.px(basis.mark_ticks(playback.close, self._previous_close(playback)))

    def index(self, inst_id: str) -> Decimal:
        """The index price, on tick: see `basis`."""
        playback = self._playbacks[inst_id]
        return playback.instrument.px(self._index_ticks(playback))

    def best_bid(self, inst_id: str) -> Decimal:
        """The highest price somebody buys at."""
        playback = self._playbacks[inst_id]
        return playback.instrument.px(self._touch(playback)[0])

    def best_ask(self, inst_id: str) -> Decimal:
        """The lowest price somebody sells at."""
        playback = self._playbacks[inst_id]
        return playback.instrument.px(self._touch(playback)[1])

    def price_limit(self, inst_id: str) -> tuple[Decimal, Decimal]:
        """(highest price of a buy order, lowest of a sell order), on tick.

        OKX v5: buy = min(max(I, I(1 + Y) + premium), I(1 + Z)), sell = max(min(I, I(1 - Y) + premium), I(1 - Z)), with I
        the index and the premium of the last price over it averaged over two minutes.
        """
        playback = self._playbacks[inst_id]
        index = Decimal(self._index_ticks(playback))
        recent = [one for one in playback.recent if one.ts_ms > self.now_ms - PREMIUM_AVERAGE_MS]
        premium = Decimal(0)
        if recent:
            premiums = (
                one.px
                - basis.index_ticks(
                    one.px, one.previous_close, basis.premium_millionths(playback.key, one.ts_ms)
                )
                for one in recent
            )
            premium = Decimal(sum(premiums)) / len(recent)
        highest = min(max(index, index * (1 + self._limit_y) + premium), index * (1 + self._limit_z))
        lowest = max(min(index, index * (1 - self._limit_y) + premium), index * (1 - self._limit_z))
        return (
            playback.instrument.px(int(highest.to_integral_value(ROUND_FLOOR))),
            playback.instrument.px(max(1, int(lowest.to_integral_value(ROUND_CEILING)))),
        )

    def funding(self, inst_id: str, now_ms: int | None = None) -> Funding:
        """Funding as seen now: every eight hours, at 00, 08 and 16 UTC."""
        playback = self._playbacks[inst_id]
        now_ms = self.now_ms if now_ms is None else now_ms
        interval_ms = basis.FUNDING_INTERVAL_MS
        settled_ms = now_ms // interval_ms * interval_ms
        coming_ms = settled_ms + interval_ms
        return Funding(
            rate=basis.funding_rate(playback.key, coming_ms),
            funding_time_ms=coming_ms,
            next_funding_time_ms=coming_ms + interval_ms,
            settled_rate=basis.funding_rate(playback.key, settled_ms),
            settled_time_ms=settled_ms,
            premium=Decimal(basis.premium_millionths(playback.key, now_ms)) / 1_000_000,
            min_rate=-basis.FUNDING_RATE_MAX,
            max_rate=basis.FUNDING_RATE_MAX,
            interest_rate=basis.INTEREST_RATE,
        )

    def funding_rate(self, inst_id: str, funding_time_ms: int) -> Decimal:
        """The rate of one settlement, past or coming."""
        return basis.funding_rate(self._playbacks[inst_id].key, funding_time_ms)

    # The last 24 hours

    def high_low_24h(self, inst_id: str) -> tuple[Decimal, Decimal]:
        """(highest, lowest) traded price of the last 24 hours, to the minute."""
        playback, day = self._playbacks[inst_id], self._day(inst_id)
        high, low = (
            (playback.high, playback.low) if playback.minute_ms == day.minute_ms else (day.high, day.low)
        )
        return playback.instrument.px(max(day.high, high)), playback.instrument.px(min(day.low, low))

    def volume_24h(self, inst_id: str) -> tuple[Decimal, Decimal]:
        """(contracts, coins) traded in the last 24 hours."""
        playback, day = self._playbacks[inst_id], self._day(inst_id)
        lots = day.lots + (playback.lots if playback.minute_ms == day.minute_ms else 0)
        contracts = playback.instrument.contracts(lots)
        return contracts, contracts * playback.instrument.coin_per_contract

    def open_24h(self, inst_id: str) -> Decimal:
        """The price 24 hours ago, or the first known one."""
        return self._playbacks[inst_id].instrument.px(self._day(inst_id).open)

    def day_opens(self, inst_id: str) -> tuple[Decimal, Decimal]:
        """The prices at the start of the UTC day and of the Hong Kong day (OKX's sodUtc0, sodUtc8), or the first known."""
        playback = self._playbacks[inst_id]
        minute_ms = self.now_ms // MINUTE_MS * MINUTE_MS
        known_ms, opens = self._opens.get(inst_id, (-1, (Decimal(0), Decimal(0))))
        if known_ms == minute_ms:
            return opens
        utc_ms = self.now_ms // DAY_MS * DAY_MS
        hong_kong_ms = (self.now_ms + _HONG_KONG_MS) // DAY_MS * DAY_MS - _HONG_KONG_MS
        opens = self._open_at(playback, utc_ms), self._open_at(playback, hong_kong_ms)
        if minute_ms > max(utc_ms, hong_kong_ms, playback.feed.first_ms):
            # In the day's own first minute its open is not there before the first trade.
            self._opens[inst_id] = minute_ms, opens
        return opens

    # Candles

    def candles(
        self,
        inst_id: str,
        bar: str,
        *,
        after_ms: int | None = None,
        before_ms: int | None = None,
        limit: int = 100,
        now_ms: int | None = None,
    ) -> list[CandleRow]:
        """Candles of the traded price, newest first, the running one included.

        As OKX v5: `after_ms` asks for older and `before_ms` for newer candles than that open time, both exclusive, and
        of what they leave the newest `limit` are returned (at most CANDLES_MAX). Raises ValueError for an unknown bar.
        """
        return candles.candles(
            self._playbacks[inst_id], bar, after_ms, before_ms, limit, self._time(now_ms), of_mark=False
        )

    def mark_candles(
        self,
        inst_id: str,
        bar: str,
        *,
        after_ms: int | None = None,
        before_ms: int | None = None,
        limit: int = 100,
        now_ms: int | None = None,
    ) -> list[CandleRow]:
        """Candles of the mark price, asked for like `candles`. Their volumes are zero."""
        return candles.candles(
            self._playbacks[inst_id], bar, after_ms, before_ms, limit, self._time(now_ms), of_mark=True
        )

    def candle_updates(
        self,
        inst_id: str,
        bar: str,
        now_ms: int | None = None,
        *,
        since_ms: int | None = None,
        of_mark: bool = False,
    ) -> list[CandleRow]:
        """What a candle channel pushes now, oldest first: each bar that closed after `since_ms`, confirmed, then the
        running one. `since_ms` is when this was last asked; by default the time of the advance before the last."""
        since_ms = self._previous_ms if since_ms is None else since_ms
        if not of_mark and (row := self._running(inst_id, bar, since_ms, self._time(now_ms))) is not None:
            return [row]
        # The bar that was running then, and every newer one.
        before_ms = bar_start(bar, since_ms) - bar_ms(bar)
        rows = candles.candles(
            self._playbacks[inst_id], bar, None, before_ms, CANDLES_MAX, self._time(now_ms), of_mark=of_mark
        )
        return rows[::-1]

    # What the figures above are made of

    def _running(self, inst_id: str, bar: str, since_ms: int, now_ms: int) -> CandleRow | None:
        """The running bar, when none has closed since and all before its running minute is known."""
        if bar_start(bar, since_ms) != bar_start(bar, now_ms):
            return None
        playback, key = self._playbacks[inst_id], (inst_id, bar)
        closed = self._closed.get(key)
        if closed is None or closed.minute_ms != now_ms // MINUTE_MS * MINUTE_MS:
            closed = candles.closed_before(playback, bar, now_ms)
            if closed is None:
                return None
            self._closed[key] = closed
        return candles.running(playback, closed)

    def _time(self, now_ms: int | None) -> int:
        """The time asked for: the market's own unless it is later."""
        return self.now_ms if now_ms is None else max(self.now_ms, now_ms)

    def _previous_close(self, playback: Playback) -> int:
        """The close of the minute before the running one."""
        is_quiet = playback.minute_ms != self.now_ms // MINUTE_MS * MINUTE_MS
        return playback.close if is_quiet else playback.previous_close

    def _index_ticks(self, playback: Playback) -> int:
        premium = basis.premium_millionths(playback.key, self.now_ms)
        return basis.index_ticks(playback.close, self._previous_close(playback), premium)

    def _touch(self, playback: Playback) -> tuple[int, int]:
        """(best bid, best ask) in ticks: see `fill.touch_ticks`."""
        return touch_ticks(playback.close, playback.high, playback.low, playback.taker_side)

    def _open_at(self, playback: Playback, ts_ms: int) -> Decimal:
        feed, instrument = playback.feed, playback.instrument
        ts_ms = max(ts_ms, feed.first_ms)
        if ts_ms >= candles.seen_end_ms(playback, self.now_ms):
            return instrument.px(playback.close)
        return instrument.px(
            int(candles.seen(playback, ts_ms, ts_ms + MINUTE_MS, self.now_ms, of_mark=False).open[0])
        )

    def _day(self, inst_id: str) -> _Day:
        """Kept for a minute: a ticker is asked for at every trade."""
        playback = self._playbacks[inst_id]
        minute_ms = self.now_ms // MINUTE_MS * MINUTE_MS
        day = self._days.get(inst_id)
        if day is None or day.minute_ms != minute_ms:
            day = self._days[inst_id] = self._day_before(playback, minute_ms)
        return day

    def _day_before(self, playback: Playback, minute_ms: int) -> _Day:
        feed = playback.feed
        end_ms = minute_ms if feed.end_ms is None else min(minute_ms, feed.end_ms)
        begin_ms = max(minute_ms - DAY_MS, feed.first_ms)
        if begin_ms >= end_ms:
            px = playback.open
            return _Day(minute_ms, px, px, px, 0)
        rows = playback.minutes(begin_ms, (end_ms - begin_ms) // MINUTE_MS)
        return _Day(
            minute_ms, int(rows.open[0]), int(rows.high.max()), int(rows.low.min()), int(rows.lots.sum())
        )
