"""Pushes: who is told what, when, in which shape.

Orders and algo orders go out at once, one message per change and without a snapshot. Positions and balances are
gathered for 50 ms and sent as they then stand. Public channels send the newest state, at most once per cadence.
Private pushes pass the fault plan, which may drop, double, delay or reorder them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from anchorwatch.io.venue.account_rows import balance_row, position_brief, position_row
from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.announcing import Amendment, Announcer
from anchorwatch.io.venue.channels import COALESCE_MS, SNAPSHOT_MS
from anchorwatch.io.venue.faults import Maintenance
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.market import Tick
from anchorwatch.io.venue.market_rows import instrument_row, trade_row
from anchorwatch.io.venue.order_rows import Row, algo_push, order_push, stamp
from anchorwatch.io.venue.orders import AlgoOrder, Fill, Order
from anchorwatch.io.venue.parameters import plain
from anchorwatch.io.venue.positions import Position, PositionKey
from anchorwatch.io.venue.public_feed import PublicFeed, status_row

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue
    from anchorwatch.io.venue.sessions import Session, Subscription

# Rows per page of a snapshot.
PAGE_ROWS = 100


@dataclass(slots=True)
class Gathered:
    """What changed in one account since the last push."""

    positions: dict[PositionKey, Position] = field(default_factory=dict)
    has_balance: bool = False
    cause: str = ""
    trades: list[tuple[str, str]] = field(default_factory=list)


class Publisher:
    """Implements `Announcer` for the rooms, and serves the subscriptions of every connection."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.feed = PublicFeed(venue)
        self._private: dict[str, list[tuple[Session, Subscription]]] = {}
        self._gathered: dict[str, Gathered] = {}
        # Told of everything before any client is: for whoever watches the exchange itself.
        self.watchers: list[Announcer] = []

    # Subscriptions.

    def begin(self, session: Session, subscription: Subscription) -> None:
        """A new subscription: its snapshot where the channel has one, and its regular pushes."""
        if not subscription.is_private:
            self.feed.begin(session, subscription)
            return
        account = session.account
        assert account is not None
        self._private.setdefault(account.name, []).append((session, subscription))
        if subscription.channel in ("account", "positions"):
            self._push_snapshot(session, subscription, account, is_first=True)
            if subscription.interval_ms:
                self._arm_regular(session, subscription, account)
        elif subscription.channel == "balance_and_position":
            positions = [position_brief(one) for one in account.open_positions()]
            self._push_balance_and_position(session, subscription, account, "snapshot", positions, [])
        elif subscription.channel == "algo-advance":
            for algo in account.algos.values():
                if algo.kind == "move_order_stop" and subscription.covers(algo.inst_id):
                    self._push_algo(session, subscription, algo, Amendment())

    def end(self, session: Session, subscription: Subscription) -> None:
        if not subscription.is_private:
            self.feed.end(session, subscription)
            return
        for subscribers in self._private.values():
            if (session, subscription) in subscribers:
                subscribers.remove((session, subscription))

    def connections_with(self, account: Account, channel: str) -> int:
        subscribers = self._private.get(account.name, [])
        return sum(1 for _, subscription in subscribers if subscription.channel == channel)

    # Announcements.

    def order_changed(self, account: Account, order: Order, fill: Fill | None, amendment: Amendment) -> None:
        for watcher in self.watchers:
            watcher.order_changed(account, order, fill, amendment)
        subscribers = self._of(account, ("orders",), order.inst_id)
        if not subscribers:
            return
        coins = self._venue.instrument(order.inst_id).coin_per_contract
        row = order_push(order, fill, amendment, self._venue.market.last(order.inst_id), coins)
        for session, subscription in subscribers:
            self._push(session, subscription, {"data": [row]})

    def algo_changed(self, account: Account, algo: AlgoOrder, amendment: Amendment) -> None:
        for watcher in self.watchers:
            watcher.algo_changed(account, algo, amendment)
        channel = "algo-advance" if algo.kind == "move_order_stop" else "orders-algo"
        for session, subscription in self._of(account, (channel,), algo.inst_id):
            self._push_algo(session, subscription, algo, amendment)

    def position_changed(self, account: Account, position: Position, cause: str, trade_id: str) -> None:
        for watcher in self.watchers:
            watcher.position_changed(account, position, cause, trade_id)
        gathered = self._gather(account)
        gathered.positions[position.key] = position
        gathered.cause = cause or gathered.cause
        if trade_id:
            gathered.trades.append((position.inst_id, trade_id))

    def balance_changed(self, account: Account, cause: str) -> None:
        gathered = self._gather(account)
        gathered.has_balance = True
        gathered.cause = cause or gathered.cause

    def trade_printed(
        self, inst_id: str, trade_id: str, px: Decimal, contracts: Decimal, taker_side: str
    ) -> None:
        row = trade_row(inst_id, trade_id, px, contracts, taker_side, self._venue.now_ms())
        self.feed.trade(inst_id, row)

    def tick_passed(self, tick: Tick, trade_id: str) -> None:
        self.trade_printed(tick.inst_id, trade_id, tick.px, tick.contracts, tick.taker_side)
        self.feed.touch(tick.inst_id)

    def instrument_changed(self, instrument: Instrument) -> None:
        self.feed.announce("instruments", [instrument_row(instrument)])

    def status_changed(self, one: Maintenance) -> None:
        self.feed.announce("status", [status_row(one, self._venue.now_ms())])

    # Private pushes.

    def _of(
        self, account: Account, channels: tuple[str, ...], inst_id: str
    ) -> list[tuple[Session, Subscription]]:
        return [
            (session, subscription)
            for session, subscription in self._private.get(account.name, ())
            if subscription.channel in channels and subscription.covers(inst_id)
        ]

    def _gather(self, account: Account) -> Gathered:
        gathered = self._gathered.get(account.name)
        if gathered is None:
            gathered = self._gathered[account.name] = Gathered()
            self._venue.timers.at(self._venue.now_ms() + COALESCE_MS, lambda: self._send_gathered(account))
        return gathered

    def _send_gathered(self, account: Account) -> None:
        gathered = self._gathered.pop(account.name)
        for session, subscription in list(self._private.get(account.name, ())):
            covered = [one for one in gathered.positions.values() if subscription.covers(one.inst_id)]
            if subscription.channel == "positions" and covered:
                rows = [self._position(account, one) for one in covered]
                self._push(session, subscription, {"eventType": "event_update", "data": rows})
            elif subscription.channel == "account" and gathered.has_balance:
                rows = [balance_row(account, self._venue.margin)]
                self._push(session, subscription, {"eventType": "event_update", "data": rows})
            elif subscription.channel == "balance_and_position" and gathered.cause:
                briefs = [position_brief(one) for one in gathered.positions.values()]
                self._push_balance_and_position(
                    session, subscription, account, gathered.cause, briefs, gathered.trades
                )

    def _push_balance_and_position(
        self,
        session: Session,
        subscription: Subscription,
        account: Account,
        cause: str,
        positions: list[Row],
        trades: list[tuple[str, str]],
    ) -> None:
        row: Row = {
            "pTime": stamp(self._venue.now_ms()),
            "eventType": cause,
            "balData": [{"ccy": "USDT", "cashBal": plain(account.cash), "uTime": stamp(account.updated_ms)}],
            "posData": positions,
            "trades": [{"instId": inst_id, "tradeId": trade_id} for inst_id, trade_id in trades],
        }
        self._push(session, subscription, {"data": [row]})

    def _push_snapshot(
        self, session: Session, subscription: Subscription, account: Account, *, is_first: bool
    ) -> None:
        if subscription.channel == "account":
            rows = [balance_row(account, self._venue.margin)]
        else:
            held = [one for one in account.open_positions() if subscription.covers(one.inst_id)]
            rows = [self._position(account, one) for one in held]
            if not rows and (not is_first or self._venue.switches.empty_snapshot == "none"):
                return
        pages = [rows[start : start + PAGE_ROWS] for start in range(0, len(rows), PAGE_ROWS)] or [[]]
        for number, page in enumerate(pages, start=1):
            frame: Row = {
                "eventType": "snapshot",
                "curPage": number,
                "lastPage": number == len(pages),
                "data": page,
            }
            self._push(session, subscription, frame)

    def _arm_regular(self, session: Session, subscription: Subscription, account: Account) -> None:
        def push_again() -> None:
            if session.is_open and session.has(subscription):
                self._push_snapshot(session, subscription, account, is_first=False)
                self._arm_regular(session, subscription, account)

        pace_ms = subscription.interval_ms or SNAPSHOT_MS
        self._venue.timers.at(self._venue.now_ms() + pace_ms, push_again)

    def _position(self, account: Account, position: Position) -> Row:
        row = position_row(account, position, self._venue.market, self._venue.margin)
        row["pTime"] = stamp(self._venue.now_ms())
        return row

    def _push_algo(
        self, session: Session, subscription: Subscription, algo: AlgoOrder, amendment: Amendment
    ) -> None:
        row = algo_push(algo, amendment, self._venue.instrument(algo.inst_id).coin_per_contract)
        if subscription.channel == "algo-advance":
            row |= {"pTime": stamp(self._venue.now_ms()), "count": "1"}
        self._push(session, subscription, {"data": [row]})

    def _push(self, session: Session, subscription: Subscription, frame: Row) -> None:
        text = msgspec.json.encode({"arg": subscription.shown_arg, **frame}).decode()
        plan, channel, now_ms = self._venue.faults, subscription.channel, self._venue.now_ms()
        lag_ms = self._venue.switches.push_delay_ms
        if not plan.is_armed:
            self._send(session, text, lag_ms)
            return
        if plan.draw("drop_push", channel, now_ms):
            self._venue.note("fault", f"push dropped: {channel}")
            return
        delay = plan.draw("delay_push", channel, now_ms)
        if delay is not None:
            self._send(session, text, lag_ms + max(delay.delay_ms, 1))
            return
        if plan.draw("reorder_push", channel, now_ms):
            session.hold(text)
            return
        self._send(session, text, lag_ms)
        if plan.draw("duplicate_push", channel, now_ms):
            self._send(session, text, lag_ms)

    def _send(self, session: Session, text: str, lag_ms: int) -> None:
        if lag_ms:
            self._venue.timers.at(self._venue.now_ms() + lag_ms, lambda: session.send(text))
        else:
            session.send(text)
