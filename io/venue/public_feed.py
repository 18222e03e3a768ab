"""Public channels: the newest state of each instrument to whoever subscribed, at most once per cadence."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from anchorwatch.io.venue.book import Level
from anchorwatch.io.venue.channels import candle_bar
from anchorwatch.io.venue.faults import Maintenance
from anchorwatch.io.venue.market_rows import (
    candle_row,
    funding_row,
    index_row,
    level_rows,
    mark_candle_row,
    mark_price_row,
    price_limit_row,
    ticker_row,
)
from anchorwatch.io.venue.order_rows import Row, stamp
from anchorwatch.io.venue.parameters import plain

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue
    from anchorwatch.io.venue.sessions import Session, Subscription

BOOK_DEPTH = 400
# What GET /market/trades returns at most.
RECENT_TRADES_MAX = 500
MINUTE_MS = 60_000
# Where sequence numbers begin, and where they begin again after a reset.
FIRST_SEQ = 100
RESET_SEQ = 10


class Depth(NamedTuple):
    """The book as one connection knows it: level rows by price, and the last sequence number sent."""

    bids: dict[str, list[str]]
    asks: dict[str, list[str]]
    seq: int


class PublicFeed:
    """Subscriptions by instrument. Rows are computed and encoded once per instant, however many read them."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._by_instrument: dict[str, list[tuple[Session, Subscription]]] = {}
        self._encoded: dict[tuple[str, str], bytes] = {}
        self._encoded_ms = -1
        self._seq = FIRST_SEQ
        self._recent: dict[str, deque[Row]] = {}

    def begin(self, session: Session, subscription: Subscription) -> None:
        key = subscription.inst_id
        self._by_instrument.setdefault(key, []).append((session, subscription))
        if subscription.channel == "status":
            rows = status_rows(self._venue)
            if rows:
                self._send(session, subscription, msgspec.json.encode(rows[-1:]))
            return
        if not key or subscription.channel in ("trades", "trades-all"):
            return
        self._push(session, subscription)
        if candle_bar(subscription.channel) is not None:
            self._arm_minute(session, subscription)
        elif subscription.regular_ms:
            self._arm_regular(session, subscription)

    def end(self, session: Session, subscription: Subscription) -> None:
        subscribers = self._by_instrument.get(subscription.inst_id, [])
        if (session, subscription) in subscribers:
            subscribers.remove((session, subscription))

    def touch(self, inst_id: str) -> None:
        """Something about the instrument changed: push where the cadence allows, and later where it does not."""
        self._encoded.clear()
        now_ms = self._venue.now_ms()
        for session, subscription in self._by_instrument.get(inst_id, ()):
            if not subscription.cadence_ms or subscription.is_due:
                continue
            subscription.is_due = True
            due_ms = max(now_ms, subscription.pushed_ms + subscription.cadence_ms)
            self._venue.timers.at(due_ms, self._pushing(session, subscription))

    def trade(self, inst_id: str, row: Row) -> None:
        seq = self._seq
        self._recent.setdefault(inst_id, deque(maxlen=RECENT_TRADES_MAX)).append(row)
        for session, subscription in self._by_instrument.get(inst_id, ()):
            if subscription.channel == "trades":
                self._send(session, subscription, msgspec.json.encode([{**row, "count": "1", "seqId": seq}]))
            elif subscription.channel == "trades-all":
                self._send(session, subscription, msgspec.json.encode([row]))

    def recent_trades(self, inst_id: str) -> list[Row]:
        """The latest trades, newest first."""
        return list(reversed(self._recent.get(inst_id, ())))

    def announce(self, channel: str, rows: list[Row]) -> None:
        """A change that concerns no single instrument's subscribers: instruments, status."""
        for session, subscription in self._by_instrument.get("", ()):
            if subscription.channel != channel:
                continue
            if self._venue.faults.draw("drop_push", channel, self._venue.now_ms()):
                self._venue.note("fault", f"push dropped: {channel}")
                continue
            self._send(session, subscription, msgspec.json.encode(rows))

    def _pushing(self, session: Session, subscription: Subscription) -> _Push:
        return _Push(self, session, subscription)

    def _arm_regular(self, session: Session, subscription: Subscription) -> None:
        def push_again() -> None:
            if not session.is_open or not session.has(subscription):
                return
            if self._venue.now_ms() - subscription.pushed_ms >= subscription.regular_ms:
                self._push(session, subscription)
            self._arm_regular(session, subscription)

        due_ms = max(subscription.pushed_ms, self._venue.now_ms() - subscription.regular_ms + 1)
        self._venue.timers.at(due_ms + subscription.regular_ms, push_again)

    def _arm_minute(self, session: Session, subscription: Subscription) -> None:
        """A bar closes at its minute whether or not anything traded."""

        def push_again() -> None:
            if session.is_open and session.has(subscription):
                self._push(session, subscription)
                self._arm_minute(session, subscription)

        now_ms = self._venue.now_ms()
        self._venue.timers.at(now_ms - now_ms % MINUTE_MS + MINUTE_MS, push_again)

    def _push(self, session: Session, subscription: Subscription) -> None:
        if not session.is_open or not session.has(subscription):
            return
        now_ms = self._venue.now_ms()
        channel, inst_id = subscription.channel, subscription.inst_id
        if channel == "books":
            self._push_books(session, subscription)
        elif candle_bar(channel) is not None:
            self._push_candles(session, subscription)
        else:
            if self._encoded_ms != now_ms:
                self._encoded.clear()
                self._encoded_ms = now_ms
            encoded = self._encoded.get((channel, inst_id))
            if encoded is None:
                encoded = self._encoded[(channel, inst_id)] = msgspec.json.encode(
                    self._rows(channel, inst_id)
                )
            if channel == "price-limit" and encoded[:-30] == subscription.last_encoded[:-30]:
                return
            subscription.last_encoded = encoded
            self._send(session, subscription, encoded)
        subscription.pushed_ms = now_ms

    def _rows(self, channel: str, inst_id: str) -> list[Row]:
        venue = self._venue
        market, now_ms = venue.market, venue.now_ms()
        if channel == "tickers":
            return [ticker_row(market, venue.book, inst_id, now_ms)]
        if channel == "mark-price":
            return [mark_price_row(market, inst_id, now_ms)]
        if channel == "funding-rate":
            return [funding_row(market, inst_id, now_ms)]
        if channel == "price-limit":
            return [price_limit_row(market, inst_id, now_ms)]
        if channel == "index-tickers":
            return [index_row(market, inst_id, now_ms)]
        if channel == "open-interest":
            return [open_interest_row(venue, inst_id)]
        depth = 1 if channel == "bbo-tbt" else 5
        bids, asks = venue.book.levels(inst_id, now_ms, depth)
        self._seq += 1
        row: Row = {
            "asks": level_rows(asks),
            "bids": level_rows(bids),
            "ts": stamp(now_ms),
            "seqId": self._seq,
        }
        if channel == "books5":
            row["instId"] = inst_id
        return [row]

    def _push_candles(self, session: Session, subscription: Subscription) -> None:
        found = candle_bar(subscription.channel)
        assert found is not None
        family, bar = found
        market, now_ms = self._venue.market, self._venue.now_ms()
        if family == "candle":
            since_ms = subscription.candles_ms if subscription.candles_ms is not None else now_ms
            updates = market.candle_updates(subscription.inst_id, bar, now_ms, since_ms=since_ms)
            rows = [candle_row(row) for row in updates]
        else:
            rows = [
                mark_candle_row(row)
                for row in market.mark_candles(subscription.inst_id, bar, limit=1, now_ms=now_ms)
            ]
        subscription.candles_ms = now_ms
        for row in rows:
            self._send(session, subscription, msgspec.json.encode([row]))

    def _push_books(self, session: Session, subscription: Subscription) -> None:
        now_ms = self._venue.now_ms()
        bids, asks = self._venue.book.levels(subscription.inst_id, now_ms, BOOK_DEPTH)
        known = subscription.depth
        self._seq += 1
        depth = Depth(_by_price(bids), _by_price(asks), self._seq)
        subscription.depth = depth
        if known is None:
            self._send_books(
                session, subscription, "snapshot", list(depth.bids.values()), list(depth.asks.values()), -1
            )
            return
        changed_bids = _difference(known.bids, depth.bids)
        changed_asks = _difference(known.asks, depth.asks)
        if not changed_bids and not changed_asks:
            # Nothing moved: a keep-alive repeats the sequence number, and only when it is time for one.
            subscription.depth = known
            if now_ms - subscription.pushed_ms >= subscription.regular_ms:
                self._send_books(session, subscription, "update", [], [], known.seq)
            return
        if self._venue.faults.is_armed:
            if self._venue.faults.draw("books_gap", subscription.inst_id, now_ms):
                return
            if self._venue.faults.draw("books_reset", subscription.inst_id, now_ms):
                # As after the exchange's own maintenance: the link is whole, the number is smaller than before.
                self._seq = RESET_SEQ
                subscription.depth = depth._replace(seq=RESET_SEQ)
        self._send_books(session, subscription, "update", changed_bids, changed_asks, known.seq)

    def _send_books(
        self,
        session: Session,
        subscription: Subscription,
        action: str,
        bids: list[list[str]],
        asks: list[list[str]],
        previous: int,
    ) -> None:
        assert subscription.depth is not None
        row: Row = {
            "asks": asks,
            "bids": bids,
            "ts": stamp(self._venue.now_ms()),
            "checksum": 0,
            "prevSeqId": previous,
            "seqId": subscription.depth.seq,
        }
        frame = msgspec.json.encode({"arg": subscription.shown_arg, "action": action, "data": [row]})
        session.send(frame.decode())

    def _send(self, session: Session, subscription: Subscription, rows: bytes) -> None:
        session.send('{"arg":' + subscription.encoded_arg + ',"data":' + rows.decode() + "}")


class _Push:
    """One due push of one subscription."""

    __slots__ = ("_feed", "_session", "_subscription")

    def __init__(self, feed: PublicFeed, session: Session, subscription: Subscription) -> None:
        self._feed, self._session, self._subscription = feed, session, subscription

    def __call__(self) -> None:
        self._subscription.is_due = False
        self._feed._push(self._session, self._subscription)


def _by_price(levels: list[Level]) -> dict[str, list[str]]:
    return {row[0]: row for row in level_rows(levels)}


def _difference(known: dict[str, list[str]], now: dict[str, list[str]]) -> list[list[str]]:
    """Levels that are new or changed, and those gone, which are sent with quantity 0."""
    changed = [row for px, row in now.items() if known.get(px) != row]
    gone = [[px, "0", "0", "0"] for px in known if px not in now]
    return changed + gone


def open_interest_row(venue: Venue, inst_id: str) -> Row:
    """Open interest is not modelled: the day's volume stands in for it."""
    contracts, coins = venue.market.volume_24h(inst_id)
    return {
        "instType": "SWAP",
        "instId": inst_id,
        "oi": plain(contracts),
        "oiCcy": plain(coins),
        "oiUsd": "",
        "ts": stamp(venue.now_ms()),
    }


def status_rows(venue: Venue) -> list[Row]:
    """The announced maintenance, each with the state it has now."""
    return [status_row(one, venue.now_ms()) for one in venue.faults.faults.maintenance]


def status_row(one: Maintenance, now_ms: int) -> Row:
    if now_ms < one.begin_ms:
        state = "scheduled"
    elif now_ms >= one.end_ms:
        state = "completed"
    elif one.pre_open_ms is not None and now_ms >= one.pre_open_ms:
        state = "pre_open"
    else:
        state = "ongoing"
    return {
        "title": one.title,
        "state": state,
        "begin": stamp(one.begin_ms),
        "end": stamp(one.end_ms),
        "preOpenBegin": stamp(one.pre_open_ms),
        "href": "",
        "serviceType": "5",
        "system": "unified",
        "scheDesc": "",
        "maintType": "1",
        "env": "1",
        "ts": stamp(now_ms),
    }
