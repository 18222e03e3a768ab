"""What stands in for the venue: one account, its positions, orders and stops, filled on the tapes.

Theory of operation
===================

Calls come in at the time when they *reach* the venue (`clock` has been set to it); what follows leaves as the
events that the real venue would push, in its order, through `push`. Nothing here decides for the bot, and nothing
is looked up that lies ahead of the tapes.

* A taker walks the invented book from the touch (`io/venue/fill`, `io/venue/book`), so a large order pays for its
  size; `depth` says which share of that book is there for us, and `slippage` is added on top.
* A stop fires on mark, at the first trade whose mark reaches it, and walks the book like any market order.
* What changed of positions and account is gathered for a moment and pushed once, as the venue does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

import msgspec

from anchorwatch.io.backtest.costs import Costs
from anchorwatch.io.backtest.holdings import Account, Position, Resting, Waiting, changed
from anchorwatch.io.backtest.liquidation import Distance
from anchorwatch.io.backtest.tape import Tape
from anchorwatch.io.venue import basis
from anchorwatch.io.venue.book import fill_plan
from anchorwatch.io.venue.fill import Side as Taker
from anchorwatch.machine import world
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.units import (
    Deal,
    LegKey,
    OrderKind,
    PositionMode,
    Side,
    closing_deal,
    opening_deal,
)
from anchorwatch.machine.world import (
    Ending,
    FundingForecast,
    OrderReport,
    OrderState,
    PositionReport,
    StopReport,
    StopState,
)

ZERO = Decimal(0)
LIQUIDATION = "full_liquidation"

# A member of an enumeration is found by a slow search, and these are asked for with every order.
LIVE, FILLED, BUY, LONG, POST_ONLY = (
    OrderState.LIVE,
    OrderState.FILLED,
    Deal.BUY,
    Side.LONG,
    OrderKind.POST_ONLY,
)
RESTS, TAKEN_BACK = StopState.LIVE, StopState.CANCELLED


class Watcher(Protocol):
    """Who keeps the record. Times are the venue's."""

    def filled(
        self, position: Position, deal: Deal, fill: world.Fill, category: str, *, is_maker: bool
    ) -> None:
        """``position`` is as it stands behind the fill."""

    def funded(self, leg: LegKey, amount: Decimal, at_ms: int) -> None: ...
    def slipped(self, cost: Decimal) -> None: ...
    def stop_set(self, leg: LegKey, level: Decimal, at_ms: int) -> None: ...
    def cash_moved(self, at_ms: int, cash: Decimal) -> None: ...


ORDERS_KEPT = 1_000
"""Finished orders that a query can still find: the desk asks about an order within seconds of its end."""


class Refused(Exception):
    """The venue says no; the text is its reason."""


class Exchange:
    def __init__(
        self,
        tapes: Mapping[str, Tape],
        costs: Costs,
        mode: PositionMode,
        leverages: Mapping[str, int],
        push: Callable[[Event], None],
        watcher: Watcher,
        note_cash: Callable[[], None],
    ) -> None:
        self.tapes = tapes
        self.account = Account(costs.cash)
        self._distance = Distance(self.account, tapes)
        self.clock = 0  # venue time, ms
        self._costs = costs
        self._is_hedged = mode is PositionMode.HEDGE
        self._leverages = leverages
        self._push = push
        self._watcher = watcher
        self._note_cash = note_cash
        self.version = 0  # of what is open or rests
        self._last_id = 0
        self._moved: dict[LegKey, Position] = {}

    # Readings.

    def is_exposed(self, instrument: str) -> bool:
        """Whether a trade of this instrument can matter: something of ours is open or rests."""
        account = self.account
        for resting in account.stops.values():
            if resting.leg.instrument == instrument:
                return True
        for leg, position in account.positions.items():
            if position.contracts and leg.instrument == instrument:
                return True
        return self._has_waiting(instrument)

    def _has_waiting(self, instrument: str) -> bool:
        for waiting in self.account.waiting.values():
            if waiting.ticket.leg.instrument == instrument:
                return True
        return False

    def positions(self, instrument: str | None = None) -> tuple[PositionReport, ...]:
        return tuple(
            self._position_report(position)
            for position in self.account.positions.values()
            if position.contracts and instrument in (None, position.leg.instrument)
        )

    def stops(self, leg: LegKey | None = None) -> tuple[StopReport, ...]:
        return tuple(resting.report for resting in self.account.stops.values() if leg in (None, resting.leg))

    def reading(self) -> world.AccountReading:
        live = (LIVE, OrderState.PARTIAL)
        return world.AccountReading(
            positions=self.positions(),
            orders=tuple(one for one in self.account.orders.values() if one.state in live),
            stops=self.stops(),
            started_ms=self.clock,
        )

    def order(self, client_id: str) -> OrderReport | None:
        return self.account.orders.get(client_id)

    def equity(self) -> world.EquityReported:
        """Cash and what is unrealised at mark; free is what no position's margin binds."""
        equity, bound = self.account.cash, ZERO
        for position in self.account.positions.values():
            if position.contracts:
                mark = self.tapes[position.leg.instrument].mark()
                equity += position.unrealised(mark)
                bound += self._margin(position.leg.instrument, position.contracts, mark)
        return world.EquityReported(equity, max(equity - bound, ZERO), self.clock)

    def _margin(self, instrument: str, contracts: Decimal, price: Decimal) -> Decimal:
        size = self.tapes[instrument].contract_size
        return contracts * size * price / self._leverages[instrument]

    def gathered(self) -> list[Event]:
        """Positions that have moved since this was last asked, as they stand now. ``note_cash`` was told of them."""
        moved, self._moved = self._moved, {}
        return [world.PositionPushed(self._position_report(position)) for position in moved.values()]

    # Orders.

    def place(self, ticket: OrderTicket) -> None:
        """Raises `Refused`."""
        leg = ticket.leg
        tape = self.tapes[leg.instrument]
        position = self._position(leg)
        if ticket.is_reduce_only:
            if not position.contracts:
                raise Refused("51169 no position to reduce")
            contracts = min(ticket.contracts, position.contracts)
        else:
            contracts = ticket.contracts
            if self._margin(leg.instrument, contracts, tape.mark()) > self.equity().available:
                raise Refused("51008 insufficient margin")
        report = self._new(leg, ticket.deal, ticket.client_id, price=ticket.price)
        if ticket.kind is POST_ONLY:
            assert ticket.price is not None
            self._wait(ticket, report, ticket.price)
            return
        report = self._take(leg, report, contracts, ticket.price)
        self._arm_attached(ticket, report)
        self._after_close(leg)

    def cancel(self, client_id: str) -> None:
        """Raises `Refused` when it does not wait any more."""
        self.version += 1
        waiting = self.account.waiting.pop(client_id, None)
        if waiting is None:
            raise Refused("51400 there is no such order")
        self._end_order(waiting.report, Ending.ORDINARY)

    def amend(self, client_id: str, price: Decimal) -> None:
        """Another price for what waits; cancelled where it would take there. Raises `Refused`."""
        waiting = self.account.waiting.get(client_id)
        if waiting is None:
            raise Refused("51503 there is no such order")
        tape = self.tapes[waiting.ticket.leg.instrument]
        waiting.report = changed(waiting.report, self.clock, price=price)
        self.version += 1
        waiting.ticks = int(price / tape.tick)
        self._keep(waiting.report)
        self._push(world.OrderPushed(waiting.report))
        if self._would_take(waiting.ticket, waiting.ticks):
            self.version += 1
            del self.account.waiting[client_id]
            self._end_order(waiting.report, Ending.WOULD_TAKE)

    def _wait(self, ticket: OrderTicket, report: OrderReport, price: Decimal) -> None:
        ticks = int(price / self.tapes[ticket.leg.instrument].tick)
        if self._would_take(ticket, ticks):
            self._end_order(report, Ending.WOULD_TAKE)
            return
        self.version += 1
        self.account.waiting[ticket.client_id] = Waiting(ticket, report, ticks)
        self._keep(report)
        self._push(world.OrderPushed(report))

    def _would_take(self, ticket: OrderTicket, ticks: int) -> bool:
        bid, ask = self.tapes[ticket.leg.instrument].touch()
        return ticks >= ask if ticket.deal is BUY else ticks <= bid

    def _end_order(self, report: OrderReport, ending: Ending) -> None:
        report = changed(report, self.clock, state=OrderState.CANCELLED, ending=ending)
        self._keep(report)
        self._push(world.OrderPushed(report))

    def _arm_attached(self, ticket: OrderTicket, report: OrderReport) -> None:
        """The belt comes to rest only when its entry has filled completely."""
        if ticket.attached is not None and report.state is FILLED:
            self._rest(ticket.leg, ticket.attached.client_id, ticket.attached.trigger, ticket.contracts)

    def _fill_waiting(self, tape: Tape) -> None:
        """Makers that this trade went through are filled whole, at their price: there is no model of the queue."""
        for client_id, waiting in list(self.account.waiting.items()):
            ticket = waiting.ticket
            if ticket.leg.instrument != tape.name:
                continue
            if tape.close >= waiting.ticks if ticket.deal is BUY else tape.close <= waiting.ticks:
                continue
            self.version += 1
            del self.account.waiting[client_id]
            report = waiting.report
            assert report.price is not None
            fee = ticket.contracts * tape.contract_size * report.price * self._costs.maker_fee
            report = self._execute(
                ticket.leg, report, [(ticket.contracts, report.price, fee)], ticket.contracts, is_maker=True
            )
            self._keep(report)
            self._arm_attached(ticket, report)
            self._after_close(ticket.leg)

    def _new(
        self,
        leg: LegKey,
        deal: Deal,
        client_id: str,
        *,
        price: Decimal | None = None,
        stop_client_id: str = "",
        category: str = "normal",
    ) -> OrderReport:
        self._last_id += 1
        return OrderReport(
            client_id=client_id,
            venue_id=f"{self._last_id}",
            instrument=leg.instrument,
            side=leg.side if self._is_hedged else None,
            deal=deal,
            state=LIVE,
            filled=ZERO,
            average_price=None,
            fee=ZERO,
            fill=None,
            stop_client_id=stop_client_id,
            category=category,
            created_ms=self.clock,
            updated_ms=self.clock,
            price=price,
        )

    def _take(
        self, leg: LegKey, report: OrderReport, contracts: Decimal, limit: Decimal | None = None
    ) -> OrderReport:
        """Walk the book for so many contracts; what finds nothing in reach is cancelled, as the venue does."""
        tape, costs = self.tapes[leg.instrument], self._costs
        instrument = tape.instrument
        bid, ask = tape.touch()
        taker: Taker = "buy" if report.deal is BUY else "sell"
        touch = ask if taker == "buy" else bid
        plan = fill_plan(
            instrument, touch, taker, contracts, limit, self.clock, seed=tape.seed, share=costs.depth
        )
        parts = []
        for offered, part in plan:
            price = costs.slipped(offered, report.deal, tape.tick)
            if price != offered:
                self._watcher.slipped(abs(price - offered) * part * tape.contract_size)
            parts.append((part, price, part * tape.contract_size * price * costs.taker_fee))
        report = self._execute(leg, report, parts, contracts, is_maker=False)
        if report.state is not FILLED:
            report = changed(report, self.clock, state=OrderState.CANCELLED)
            self._push(world.OrderPushed(report))
        self._keep(report)
        return report

    def _execute(
        self,
        leg: LegKey,
        report: OrderReport,
        parts: list[tuple[Decimal, Decimal, Decimal]],
        contracts: Decimal,
        *,
        is_maker: bool,
    ) -> OrderReport:
        """Book these parts (contracts, price, fee) of an order for so many contracts, a push each."""
        worth, filled, fees = ZERO, ZERO, ZERO
        for part, price, fee in parts:
            filled, worth, fees = filled + part, worth + part * price, fees + fee
            self._last_id += 1
            fill = world.Fill(f"{self._last_id}", part, price, fee, self.clock)
            report = msgspec.structs.replace(
                report,
                state=FILLED if filled == contracts else OrderState.PARTIAL,
                filled=filled,
                average_price=price if filled == part else worth / filled,
                fee=fees,
                fill=fill,
                updated_ms=self.clock,
            )
            self._book(leg, report.deal, fill, report.category, is_maker=is_maker)
            self._push(world.OrderPushed(report))
        return report

    def _keep(self, report: OrderReport) -> None:
        orders = self.account.orders
        orders[report.client_id or report.venue_id] = report
        if len(orders) > ORDERS_KEPT:
            del orders[next(iter(orders))]

    def _book(self, leg: LegKey, deal: Deal, fill: world.Fill, category: str, *, is_maker: bool) -> None:
        """A fill moves the position and the cash."""
        account = self.account
        position = self._position(leg)
        position.updated_ms = self.clock
        if deal is opening_deal(leg.side):
            total = position.contracts + fill.contracts
            if not position.contracts:
                position.created_ms, position.funding = self.clock, ZERO
                position.average = fill.price
            else:
                position.average = (
                    position.average * position.contracts + fill.price * fill.contracts
                ) / total
            position.contracts = total
            account.cash -= fill.fee
        else:
            gain = leg.side.sign * fill.contracts * position.size * (fill.price - position.average)
            position.contracts -= fill.contracts
            account.cash += gain - fill.fee
        self.version += 1
        self._moved[leg] = position
        self._watcher.filled(position, deal, fill, category, is_maker=is_maker)
        self._watcher.cash_moved(self.clock, account.cash)
        self._note_cash()

    def _after_close(self, leg: LegKey) -> None:
        """A whole-position stop dies with its position; the one that came with the entry is tied to it as well."""
        if self._position(leg).contracts:
            return
        for venue_id, resting in list(self.account.stops.items()):
            if resting.leg == leg and resting.report.contracts is None:
                self._end_stop(venue_id, TAKEN_BACK)

    # Stops.

    def place_stop(self, leg: LegKey, client_id: str, trigger: Decimal) -> None:
        """A stop of the whole position. Raises `Refused`: 51169 without one, 51278 beyond mark."""
        if not self._position(leg).contracts:
            raise Refused("51169 no position")
        if self._is_beyond(leg, trigger):
            raise Refused("51278 the market has passed the trigger")
        self._rest(leg, client_id, trigger, None)
        self._watcher.stop_set(leg, trigger, self.clock)

    def move_stop(self, leg: LegKey, client_id: str, venue_id: str, trigger: Decimal) -> None:
        """A new trigger, in place. Raises `Refused`."""
        found = self.account.stops.get(venue_id) or next(
            (one for one in self.account.stops.values() if one.report.client_id == client_id), None
        )
        if found is None:
            raise Refused("51503 there is no such stop")
        if self._is_beyond(leg, trigger):
            raise Refused("51278 the market has passed the trigger")
        self.version += 1
        found.trigger = trigger
        found.trigger_ticks = int(trigger / self.tapes[leg.instrument].tick)
        found.report = StopReport(
            client_id=found.report.client_id,
            venue_id=found.report.venue_id,
            instrument=leg.instrument,
            side=found.report.side,
            deal=found.report.deal,
            state=StopState.LIVE,
            trigger=trigger,
            contracts=found.report.contracts,
            updated_ms=self.clock,
        )
        self._watcher.stop_set(leg, trigger, self.clock)
        self._push(world.StopPushed(found.report))

    def cancel_stops(self, venue_ids: tuple[str, ...]) -> None:
        """Those that still rest; the venue refuses the others, which decides nothing."""
        for venue_id in venue_ids:
            if venue_id in self.account.stops:
                self._end_stop(venue_id, TAKEN_BACK)

    def _is_beyond(self, leg: LegKey, trigger: Decimal) -> bool:
        mark = self.tapes[leg.instrument].mark()
        return mark <= trigger if leg.side is LONG else mark >= trigger

    def _rest(self, leg: LegKey, client_id: str, trigger: Decimal, contracts: Decimal | None) -> None:
        self._last_id += 1
        venue_id = f"{self._last_id}"
        report = StopReport(
            client_id=client_id,
            venue_id=venue_id,
            instrument=leg.instrument,
            side=leg.side if self._is_hedged else None,
            deal=closing_deal(leg.side),
            state=RESTS,
            trigger=trigger,
            contracts=contracts,
            updated_ms=self.clock,
        )
        ticks = int(trigger / self.tapes[leg.instrument].tick)
        self.version += 1
        self.account.stops[venue_id] = Resting(report, leg, trigger, ticks, leg.side is LONG)
        self._push(world.StopPushed(report))

    def _end_stop(self, venue_id: str, state: StopState) -> None:
        self.version += 1
        report = self.account.stops.pop(venue_id).report
        ended = StopReport(
            client_id=report.client_id,
            venue_id=venue_id,
            instrument=report.instrument,
            side=report.side,
            deal=report.deal,
            state=state,
            trigger=report.trigger,
            contracts=report.contracts,
            updated_ms=self.clock,
        )
        self._push(world.StopPushed(ended))

    # What the market does.

    def traded(self, tape: Tape) -> None:
        """The tape has played one trade: makers first, then liquidations, then the stops that its mark reaches."""
        account = self.account
        if account.waiting:
            self._fill_waiting(tape)
        if not account.stops and not account.positions:
            return
        self._liquidate(tape)
        mark = tape.mark_ticks()
        for venue_id, resting in list(self.account.stops.items()):
            if resting.leg.instrument != tape.name or venue_id not in self.account.stops:
                continue
            if mark <= resting.trigger_ticks if resting.fires_downward else mark >= resting.trigger_ticks:
                self._fire(venue_id, resting)

    def calm_marks(self, tape: Tape) -> tuple[float, float]:
        """No mark of this instrument strictly between these fires a stop; an empty band where a maker waits."""
        low, high = -math.inf, math.inf
        for resting in self.account.stops.values():
            if resting.leg.instrument == tape.name:
                if resting.fires_downward:
                    low = max(low, resting.trigger_ticks)
                else:
                    high = min(high, resting.trigger_ticks)
        return (math.inf, -math.inf) if self._has_waiting(tape.name) else (low, high)

    def is_far_from_liquidation(self) -> bool:
        """For whoever leaves out trades of a minute in which prices did no more than that (`liquidation`)."""
        return self._distance.is_far(self.version)

    def _fire(self, venue_id: str, resting: Resting) -> None:
        position = self._position(resting.leg)
        if not position.contracts:
            self._end_stop(venue_id, StopState.FAILED)
            return
        self._end_stop(venue_id, StopState.TRIGGERED)
        asked = resting.report.contracts
        contracts = position.contracts if asked is None else min(asked, position.contracts)
        child = self._new(resting.leg, resting.report.deal, "", stop_client_id=resting.report.client_id)
        self._take(resting.leg, child, contracts)
        self._after_close(resting.leg)

    def _liquidate(self, tape: Tape) -> None:
        """Cross margin: when the equity no longer covers maintenance and fees, everything is closed at mark."""
        if self._distance.is_far(self.version) or not self._distance.is_reached():
            return
        for one in list(self.account.positions.values()):
            if one.contracts and one.leg.instrument == tape.name:
                forced = self._new(one.leg, closing_deal(one.leg.side), "", category=LIQUIDATION)
                self._take(one.leg, forced, one.contracts)
                self._after_close(one.leg)

    def settle_funding(self, due_ms: int) -> None:
        """A long pays a positive rate, a short receives it, on the worth at mark."""
        for position in self.account.positions.values():
            if not position.contracts:
                continue
            tape = self.tapes[position.leg.instrument]
            rate = self._costs.funding_rate(tape.key, due_ms)
            worth = position.contracts * position.size * tape.mark()
            change = -position.leg.side.sign * worth * rate
            position.funding += change
            position.updated_ms = self.clock
            self.account.cash += change
            self._watcher.funded(position.leg, change, self.clock)
            self._watcher.cash_moved(self.clock, self.account.cash)
            self._moved[position.leg] = position
            self._note_cash()

    def forecasts(self, due_ms: int) -> list[FundingForecast]:
        """What this settlement will cost, for each instrument: here forecasts come true."""
        return [
            FundingForecast(name, self._costs.funding_rate(tape.key, due_ms), due_ms)
            for name, tape in self.tapes.items()
        ]

    # Rows.

    def _position(self, leg: LegKey) -> Position:
        found = self.account.positions.get(leg)
        if found is None:
            size = self.tapes[leg.instrument].contract_size
            found = self.account.positions[leg] = Position(leg, size)
        return found

    def _position_report(self, position: Position) -> PositionReport:
        return PositionReport(
            leg=position.leg,
            contracts=position.contracts,
            entry_price=position.average,
            created_ms=position.created_ms,
            updated_ms=position.updated_ms,
            funding=position.funding,
            liquidation=self._distance.price(position) if position.contracts else None,
        )


def funding_times(start_ms: int) -> int:
    """The first funding time after ``start_ms``."""
    return start_ms // basis.FUNDING_INTERVAL_MS * basis.FUNDING_INTERVAL_MS + basis.FUNDING_INTERVAL_MS
