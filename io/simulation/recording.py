"""What a run shows of the exchange and of the bot, as a trace (`machine.trace`) that others may judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.announcing import Amendment
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.orders import AlgoOrder, Fill, Order
from anchorwatch.io.venue.positions import Position
from anchorwatch.machine import trace, world
from anchorwatch.machine.desk import Desk
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.units import LegKey, MarginMode, Side
from anchorwatch.machine.world import OrderState

STATES = {
    "live": OrderState.LIVE,
    "partially_filled": OrderState.PARTIAL,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "mmp_canceled": OrderState.CANCELLED,
}
QUIET = (world.MarkMoved, world.QuoteMoved, world.CandleClosed)
"""What is told all day. It is part of a trace only where the bot asked for something in answer."""


class Judgement(msgspec.Struct, frozen=True):
    """``rejects`` are in words, one for each position whose trace the rules do not explain; ``used``: rules that did."""

    observations: int
    rejects: tuple[str, ...]
    used: dict[str, int]
    is_whole: bool = True  # the trace was judged to its end


class Recorder:
    """Hands on everything that is seen, in its order: an announcer of the exchange, and told of by each life."""

    def __init__(self, venue: Venue, account: Account, take: Callable[[trace.Seen], None]) -> None:
        self._venue = venue
        self._account = account
        self._take = take
        self._contracts: dict[LegKey, Decimal] = {}
        self._stops: set[str] = set()
        self._listening = (False, False)
        self._is_alive = False
        self._standings = Standings()

    # Told by the exchange.

    def order_changed(self, account: Account, order: Order, fill: Fill | None, amendment: Amendment) -> None:
        if account is self._account:
            self._look_who_listens()
            leg = LegKey(order.inst_id, _side(order), MarginMode(order.margin_mode))
            stood = trace.OrderStood(
                self._venue.now_ms(),
                leg,
                order.client_id or order.order_id,
                STATES[order.state],
                order.contracts,
                order.filled,
                is_child=order.algo_id in self._stops,
            )
            self._take(stood)

    def algo_changed(self, account: Account, algo: AlgoOrder, amendment: Amendment) -> None:
        if account is self._account and algo.sl_trigger_px is not None:
            self._look_who_listens()
            self._stops.add(algo.algo_id)
            side = Side.LONG if algo.side == "sell" else Side.SHORT  # a stop sells what is long
            leg = LegKey(algo.inst_id, side, MarginMode(algo.margin_mode))
            stood = trace.StopStood(
                self._venue.now_ms(),
                leg,
                algo.algo_id,
                algo.client_id or algo.algo_id,
                is_live=algo.is_pending,
                dies_with_position=algo.cancels_on_close
                or (algo.closes_whole_position and self._venue.switches.close_fraction_dies_with_position),
            )
            self._take(stood)

    def position_changed(self, account: Account, position: Position, cause: str, trade_id: str) -> None:
        if account is not self._account:
            return
        margin = MarginMode(position.margin_mode)
        for side in Side:
            if position.pos_side not in ("net", side.value):
                continue
            signed = position.contracts * (side.sign if position.pos_side == "net" else 1)
            leg, contracts = LegKey(position.inst_id, side, margin), max(signed, Decimal(0))
            if self._contracts.get(leg, Decimal(0)) != contracts:
                self._contracts[leg] = contracts
                self._look_who_listens()
                self._take(trace.PositionStood(self._venue.now_ms(), leg, contracts))

    def balance_changed(self, account: Account, cause: str) -> None:
        """Money is no part of a trace."""

    def trade_printed(
        self, inst_id: str, trade_id: str, px: Decimal, contracts: Decimal, taker_side: str
    ) -> None:
        """Nor is the public tape."""

    def _look_who_listens(self) -> None:
        publisher = self._venue.publisher
        now = (
            publisher.connections_with(self._account, "orders") > 0,
            publisher.connections_with(self._account, "orders-algo") > 0,
        )
        if now != self._listening:
            self._listening = now
            self._take(trace.Listening(self._venue.now_ms(), *now))

    # Told by the lives.

    def began(self, desk: Desk) -> None:
        self._standings = Standings()
        self._is_alive = True
        self._take(trace.LifeBegan(self._venue.now_ms(), desk.bot))

    def ended(self) -> None:
        """However it ended; told once."""
        if self._is_alive:
            self._is_alive = False
            self._take(trace.LifeEnded(self._venue.now_ms()))

    def handled(self, desk: Desk, event: Event, effects: Sequence[Effect]) -> None:
        """The desk has answered an event. A dying gasp is none: nothing comes of it."""
        if not self._is_alive:
            return
        changed = self._standings.changed(desk)
        if effects or changed or not isinstance(event, QUIET):
            now_ms = self._venue.now_ms()
            self._take(trace.Handled(now_ms, event, tuple(effects), desk.bot, changed))


class Standings:
    """What the book of one life says of each leg, and which of it is news."""

    def __init__(self) -> None:
        self._known: dict[LegKey, trace.LegStanding] = {}

    def changed(self, desk: Desk) -> tuple[trace.LegStanding, ...]:
        """The legs that stand otherwise than when this was last asked."""
        changed = []
        for key, leg in desk.context.book.legs.items():
            standing = trace.LegStanding(key, leg.total, leg.stop_client_id, leg.stop_venue_id)
            if self._known.get(key) != standing:
                self._known[key] = standing
                changed.append(standing)
        return tuple(changed)


def _side(order: Order) -> Side:
    """The side that an order is about: in net mode what it opens, or, being the order of a stop, what it closes."""
    if order.pos_side != "net":
        return Side(order.pos_side)
    opens = order.side if not order.algo_id else {"buy": "sell", "sell": "buy"}[order.side]
    return Side.LONG if opens == "buy" else Side.SHORT
