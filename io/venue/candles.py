"""Candles of one instrument as a client may see them: history, and the running candle made of the trades so far."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec
import numpy as np

from anchorwatch.io.venue import basis
from anchorwatch.io.venue.bars import Columns, added_up, bar_ms, bar_start
from anchorwatch.io.venue.feeds import MINUTE_MS, Int64s
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.playback import Playback

# OKX v5 serves at most this many candles a request.
CANDLES_MAX = 300


class CandleRow(msgspec.Struct, frozen=True):
    """One bar as OKX v5 serves it: `ts_ms` its open time, prices in USDT; `contracts`, `coin` and `quote` are OKX's
    vol, volCcy (coins) and volCcyQuote (USDT), zero in candles of the mark price; `confirmed` when it has closed."""

    ts_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    contracts: Decimal
    coin: Decimal
    quote: Decimal
    confirmed: bool


def candles(
    playback: Playback,
    bar: str,
    after_ms: int | None,
    before_ms: int | None,
    limit: int,
    now_ms: int,
    *,
    of_mark: bool,
) -> list[CandleRow]:
    """The newest `limit` of the candles older than `after_ms` and newer than `before_ms`, newest first.

    Raises ValueError for an unknown bar.
    """
    length_ms = bar_ms(bar)
    first_ms, end_ms = playback.feed.first_ms, seen_end_ms(playback, now_ms)
    if end_ms <= first_ms:
        return []
    newest_ms = bar_start(bar, end_ms - 1)
    oldest_ms = bar_start(bar, first_ms)
    if after_ms is not None:
        newest_ms = min(newest_ms, bar_start(bar, after_ms - 1))
    if before_ms is not None:
        oldest_ms = max(oldest_ms, bar_start(bar, before_ms) + length_ms)
    count = min((newest_ms - oldest_ms) // length_ms + 1, limit, CANDLES_MAX)
    if count <= 0:
        return []
    oldest_ms = newest_ms - (count - 1) * length_ms
    begin_ms = max(oldest_ms, first_ms)
    minutes = seen(playback, begin_ms, min(newest_ms + length_ms, end_ms), now_ms, of_mark=of_mark)
    starts = oldest_ms + np.arange(count, dtype=np.int64) * length_ms
    bars = added_up(minutes, (np.maximum(starts, begin_ms) - begin_ms) // MINUTE_MS)
    return _rows(playback.instrument, starts, bars, now_ms - length_ms)


class Closed(msgspec.Struct, frozen=True):
    """The minutes of one running bar before the running minute, added up. `high` and `low` are None of no minute."""

    minute_ms: int
    start_ms: int
    open: int
    high: int | None
    low: int | None
    close: int
    lots: int
    turnover: int


def closed_before(playback: Playback, bar: str, now_ms: int) -> Closed | None:
    """What of the running bar is known for the whole running minute; None where the feed begins or ends in it."""
    minute_ms = now_ms // MINUTE_MS * MINUTE_MS
    start_ms = bar_start(bar, minute_ms)
    first_ms, end_ms = playback.feed.first_ms, playback.feed.end_ms
    if start_ms <= first_ms or (end_ms is not None and end_ms <= minute_ms):
        return None
    if start_ms == minute_ms:
        before = _close_before(playback, minute_ms)
        return Closed(minute_ms, start_ms, 0, None, None, before, 0, 0)
    minutes = playback.minutes(start_ms, (minute_ms - start_ms) // MINUTE_MS)
    return Closed(
        minute_ms,
        start_ms,
        int(minutes.open[0]),
        int(minutes.high.max()),
        int(minutes.low.min()),
        int(minutes.close[-1]),
        int(minutes.lots.sum()),
        int((minutes.lots * (minutes.open + minutes.close)).sum()),
    )


def running(playback: Playback, closed: Closed) -> CandleRow:
    """The running bar of the traded price: what `candles` says of it, without adding its minutes up again."""
    if playback.minute_ms == closed.minute_ms and playback.lots:
        open_, high, low, close = playback.open, playback.high, playback.low, playback.close
        lots = playback.lots
    else:
        open_ = high = low = close = closed.close
        lots = 0
    turnover = closed.turnover + lots * (open_ + close)
    if closed.high is not None and closed.low is not None:
        open_, high, low = closed.open, max(closed.high, high), min(closed.low, low)
    columns = ((closed.start_ms, open_, high, low, close, closed.lots + lots, turnover),)
    return _rows_of(playback.instrument, columns, closed.start_ms - 1)[0]


def seen_end_ms(playback: Playback, now_ms: int) -> int:
    """The close time of the last minute that may be shown: the running one, if it has a price."""
    running_ms = now_ms // MINUTE_MS * MINUTE_MS
    end_ms = playback.feed.end_ms
    if end_ms is not None and end_ms <= running_ms:
        return end_ms
    has_no_price = running_ms == playback.feed.first_ms and not playback.lots
    return running_ms if has_no_price else running_ms + MINUTE_MS


def seen(playback: Playback, begin_ms: int, end_ms: int, now_ms: int, *, of_mark: bool) -> Columns:
    """The minutes from begin to end, at least one; the running one as traded so far."""
    running_ms = now_ms // MINUTE_MS * MINUTE_MS
    whole = playback.minutes(begin_ms, (min(end_ms, running_ms) - begin_ms) // MINUTE_MS)
    open_, high, low, close, lots = whole.open, whole.high, whole.low, whole.close, whole.lots
    before = _close_before(playback, begin_ms)
    if end_ms > running_ms:
        if playback.minute_ms == running_ms and playback.lots:
            running = (playback.open, playback.high, playback.low, playback.close, playback.lots)
        else:
            # Nothing was traded in it yet: as OKX, a candle without trades repeats the previous close.
            px = int(close[-1]) if len(close) else before
            running = (px, px, px, px, 0)
        columns = zip((open_, high, low, close, lots), running, strict=True)
        open_, high, low, close, lots = (np.append(column, value) for column, value in columns)
    if of_mark:
        previous = basis.previous_closes(close, before)
        open_, high, low, close = (basis.mark_ticks(column, previous) for column in (open_, high, low, close))
        lots = np.zeros_like(lots)
    return Columns(open_, high, low, close, lots, lots * (open_ + close))


def _close_before(playback: Playback, minute_ms: int) -> int:
    """The close of the minute before; of the very first one, its open."""
    if minute_ms > playback.feed.first_ms:
        return int(playback.feed.minutes(minute_ms - MINUTE_MS, 1).close[0])
    return int(playback.feed.minutes(minute_ms, 1).open[0])


def _rows(instrument: Instrument, starts: Int64s, bars: Columns, confirmed_to_ms: int) -> list[CandleRow]:
    """Bars as the venue serves them, newest first."""
    columns = (starts, bars.open, bars.high, bars.low, bars.close, bars.lots, bars.turnover)
    rows = zip(*(column[::-1].tolist() for column in columns), strict=True)
    return _rows_of(instrument, rows, confirmed_to_ms)


def _rows_of(
    instrument: Instrument, rows: Iterable[tuple[int, int, int, int, int, int, int]], confirmed_to_ms: int
) -> list[CandleRow]:
    """From ticks, lots and turnover to prices, contracts, coins and USDT."""
    tick, lot = instrument.tick_sz, instrument.lot_sz
    coin = lot * instrument.coin_per_contract
    quote = coin * tick / 2
    return [
        CandleRow(
            ts_ms,
            open_ * tick,
            high * tick,
            low * tick,
            close * tick,
            lots * lot,
            lots * coin,
            turnover * quote,
            ts_ms <= confirmed_to_ms,
        )
        for ts_ms, open_, high, low, close, lots, turnover in rows
    ]
