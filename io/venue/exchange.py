"""The exchange: its rooms put together, and time.

A `Venue` knows no sockets and no tasks. Requests and frames come in through `gateway` and `connect`, answers and
pushes go out as data, and `advance` carries it to a time: market ticks, funding, countdowns and due pushes happen
in the order of their times, each seeing the world as it was then. Everything is a function of the market, the
requests with their times, the switches and the fault plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import msgspec

from anchorwatch.io.venue.accounts import Account, AccountSpec, new_account
from anchorwatch.io.venue.algo_placement import AlgoPlacement
from anchorwatch.io.venue.algos import Algos
from anchorwatch.io.venue.authentication import KeyRing
from anchorwatch.io.venue.book import Book
from anchorwatch.io.venue.cancel_all_after import CancelAllAfter
from anchorwatch.io.venue.clearing import Clearing
from anchorwatch.io.venue.faults import FaultPlan, Faults, InstrumentChange, Maintenance
from anchorwatch.io.venue.ids import Ids
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.lagging import Pasts
from anchorwatch.io.venue.liquidation import Liquidation
from anchorwatch.io.venue.margin import Margin
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.matching import Matching
from anchorwatch.io.venue.order_rows import Row
from anchorwatch.io.venue.orders import BY_CANCEL_ALL_AFTER, AlgoOrder, Order
from anchorwatch.io.venue.placement import Placement
from anchorwatch.io.venue.positions import Position
from anchorwatch.io.venue.publishing import Publisher
from anchorwatch.io.venue.rate_limits import RateLimits
from anchorwatch.io.venue.refusals import Refusal
from anchorwatch.io.venue.rest import Gateway
from anchorwatch.io.venue.sessions import KEY_GONE_CLOSE, Connections
from anchorwatch.io.venue.switches import Switches
from anchorwatch.io.venue.timers import Timers
from anchorwatch.io.venue.trading import Trading

# Happenings kept for inspection; the oldest go first.
LOG_MAX = 10_000
# Attached stops, cancelled orders and closed positions may follow from one another, but not for ever.
AFTERMATH_MAX = 10_000

# A step works off everything due at its moment; what that sets for the same moment takes a few more, not thousands.
STEPS_AT_ONE_MOMENT_MAX = 10_000


class Happening(NamedTuple):
    at_ms: int
    what: str
    detail: str


class Venue:
    """An OKX v5 exchange for USDT-margined perpetual swaps, as a library."""

    def __init__(
        self,
        market: Market,
        *,
        now_ms: Callable[[], int],
        switches: Switches | None = None,
        faults: Faults | None = None,
        accounts: Iterable[AccountSpec] = (AccountSpec(),),
        seed: int = 0,
    ) -> None:
        self.market = market
        self.switches = switches or Switches()
        self.faults = FaultPlan(faults or Faults())
        self.timers = Timers()
        self.ids = Ids(seed)
        self.rate_limits = RateLimits(enforced=self.switches.enforces_rate_limits)
        self.log: deque[Happening] = deque(maxlen=LOG_MAX)
        # Grows with everything that happens to an account, an instrument or the plan.
        self.happenings = 0
        self.wall_ms = now_ms
        # Called when something became due earlier than `next_ms` last said; the mounting listens.
        self.wake: Callable[[], None] = lambda: None
        self.timers.on_earlier = lambda: self.wake()
        self._at_ms = now_ms()
        self._instruments = {one.inst_id: one for one in market.instruments}
        self.accounts = {spec.name: new_account(spec, self._at_ms) for spec in accounts}
        self.keys = KeyRing(self.accounts.values())
        self.book = Book(market, seed=seed)
        self.margin = Margin(market.mark, self.instrument)
        self.publisher = Publisher(self)
        self.connections = Connections(self)
        self.cancel_all_after = CancelAllAfter()
        self.clearing = Clearing(
            market, self.instrument, self.ids, self.publisher, self.now_ms, self._note_fill
        )
        self.placement = Placement(market, self.instrument, self.margin, self.ids, self.switches, self.now_ms)
        self.matching = Matching(
            market,
            self.book,
            self.instrument,
            self.clearing,
            self.publisher,
            self.ids,
            self.switches,
            self.accounts,
            self.now_ms,
        )
        self.algo_placement = AlgoPlacement(
            market, self.instrument, self.placement, self.ids, self.switches, self.now_ms
        )
        self.algos_room = Algos(
            market,
            self.matching,
            self.placement,
            self.algo_placement,
            self.publisher,
            self.switches,
            self.accounts,
            self.now_ms,
            self._child_refusal,
        )
        self.liquidation = Liquidation(
            market,
            self.instrument,
            self.margin,
            self.matching,
            self.clearing,
            self.ids,
            self.accounts,
            self.now_ms,
        )
        self.trading = Trading(self)
        self.gateway = Gateway(self)
        self.pasts = Pasts()
        self._aftermath: deque[tuple[Account, Order, Position, bool]] = deque()
        self.funding_due = {
            inst_id: market.funding(inst_id, self._at_ms).funding_time_ms for inst_id in self._instruments
        }
        # Scheduled changes up to this moment are in force already: an earlier life made them.
        self.changed_until_ms = 0
        for change in self.faults.faults.changes:
            self.timers.at(change.at_ms, _changing(self, change))
        for maintenance in self.faults.faults.maintenance:
            self._push_states_of(maintenance)

    # Time.

    def now_ms(self) -> int:
        """The time of what is happening: of the event being worked through, or of the last advance."""
        return self._at_ms

    def next_ms(self) -> int | None:
        """When the exchange next has something to do by itself; None when it only waits for requests."""
        dues = (
            self.market.next_ms(),
            self.timers.next_ms(),
            self.cancel_all_after.next_ms(),
            min(self.funding_due.values(), default=None),
        )
        return min((due for due in dues if due is not None), default=None)

    def advance(self, now_ms: int | None = None) -> None:
        """Let everything due until now happen, in the order of its times. Time never runs backwards."""
        target_ms = max(self.wall_ms() if now_ms is None else now_ms, self._at_ms)
        steps_here = 0
        while True:
            due_ms = self.next_ms()
            if due_ms is None or due_ms > target_ms:
                break
            steps_here = steps_here + 1 if due_ms <= self._at_ms else 0
            assert steps_here < STEPS_AT_ONE_MOMENT_MAX, "something is due again and again"
            self._at_ms = max(self._at_ms, due_ms)
            self._step(self._at_ms)
        self._at_ms = target_ms

    def _step(self, now_ms: int) -> None:
        market_due = self.market.next_ms()
        if market_due is not None and market_due <= now_ms:
            for tick in self.market.advance(now_ms):
                self.publisher.tick_passed(tick, self.ids.trade(tick.inst_id))
                self.matching.on_tick(tick)
                self.settle()
                self.liquidation.watch(tick.inst_id)
                self.settle()
                self.algos_room.watch(tick.inst_id)
                self.settle()
        for inst_id, due_ms in self.funding_due.items():
            if due_ms <= now_ms:
                self._settle_funding(inst_id, due_ms)
        for expired in self.cancel_all_after.take_expired(now_ms):
            self.note("cancel-all-after", f"{expired.account} tag {expired.tag!r}")
            self._cancel_all(self.accounts[expired.account], expired.tag)
        self.timers.run_due(now_ms)
        self.settle()

    # Consequences.

    def settle(self) -> None:
        """Work off what fills entail: attached stops, stops tied to a closed position, reduce-only orders."""
        for _ in range(AFTERMATH_MAX):
            if not self._aftermath:
                break
            account, order, position, closed_out = self._aftermath.popleft()
            if order.attached:
                self._fail_attached(order)
                self.algos_room.entry_changed(account, order)
            if closed_out:
                self.algos_room.position_closed(account, position)
            self.matching.trim_reducing(account, position)
        assert not self._aftermath, "fills entail one another without end"
        if self.faults.is_armed and self.faults.has("rest_lag"):
            self.pasts.remember(self.accounts.values(), self._at_ms, self.happenings)

    def _note_fill(self, account: Account, order: Order, position: Position, closed_out: bool) -> None:
        self._aftermath.append((account, order, position, closed_out))
        self.note(
            "fill", f"{account.name} {order.order_id} {order.side} {order.last_contracts} at {order.last_px}"
        )

    def _fail_attached(self, order: Order) -> None:
        if order.state == "filled" and self.faults.draw("attached_missing", order.inst_id, self._at_ms):
            for stop in order.attached:
                stop.fail_code, stop.fail_reason = "51008", "Insufficient margin"

    def _child_refusal(self, algo: AlgoOrder) -> Refusal | None:
        rule = self.faults.draw("algo_fail", algo.inst_id, self._at_ms)
        return None if rule is None else Refusal(rule.code_or_default)

    def _settle_funding(self, inst_id: str, due_ms: int) -> None:
        rate = self.market.funding_rate(inst_id, due_ms)
        for account in self.accounts.values():
            for position in list(account.open_positions()):
                if position.inst_id == inst_id:
                    self.clearing.funding(account, position, rate)
        self.funding_due[inst_id] = self.market.funding(inst_id, due_ms).funding_time_ms
        self.note("funding", f"{inst_id} at rate {rate}")

    def _cancel_all(self, account: Account, tag: str) -> None:
        for order in list(account.pending.values()):
            if not tag or order.tag == tag:
                self.matching.cancel(order, BY_CANCEL_ALL_AFTER)
        if self.switches.cancel_all_after_takes_algos:
            for algo in list(account.algos.values()):
                if not tag or algo.tag in ("", tag):
                    self.algos_room.cancel(account, algo)

    # Maintenance.

    def announce_maintenance(self, one: Maintenance) -> None:
        """One more maintenance is announced now, and pushed; its states are pushed when they come."""
        plan = self.faults
        plan.faults = msgspec.structs.replace(plan.faults, maintenance=(*plan.faults.maintenance, one))
        self.publisher.status_changed(one)
        self._push_states_of(one)

    def _push_states_of(self, one: Maintenance) -> None:
        for at_ms in (one.begin_ms, one.pre_open_ms, one.end_ms):
            if at_ms is not None and at_ms > self._at_ms:
                self.timers.at(at_ms, lambda: self.publisher.status_changed(one))

    # Instruments.

    def instrument(self, inst_id: str) -> Instrument:
        """The instrument as it is now; refuses with 51001 what is not listed."""
        found = self._instruments.get(inst_id)
        if found is None:
            raise Refusal("51001")
        return found

    def instruments(self) -> list[Instrument]:
        return list(self._instruments.values())

    def instrument_by_code(self, code: int) -> Instrument:
        found = next((one for one in self._instruments.values() if one.inst_id_code == code), None)
        if found is None:
            raise Refusal("51001")
        return found

    def change_instrument(self, change: InstrumentChange) -> None:
        """Change a state or a step now, and tell the instruments channel."""
        steps = {name: getattr(change, name) for name in ("tick_sz", "lot_sz", "min_sz")}
        changes: dict[str, object] = {
            name: Decimal(value) for name, value in steps.items() if value is not None
        }
        if change.state is not None:
            changes["state"] = change.state
        if "min_sz" in changes and "lot_sz" not in changes:
            # OKX v5: when the minimum of a swap changes, its lot changes with it.
            changes["lot_sz"] = changes["min_sz"]
        changed = msgspec.structs.replace(self.instrument(change.inst_id), **changes)
        self._instruments[change.inst_id] = changed
        self.publisher.instrument_changed(changed)
        self.note("instrument", f"{change.inst_id} {sorted(changes)}")

    # Looking in, for tests and tools.

    def note(self, what: str, detail: str) -> None:
        self.happenings += 1
        self.log.append(Happening(self._at_ms, what, detail))

    def positions(self, account: str = "main") -> tuple[Position, ...]:
        """Copies of the account's open positions."""
        return tuple(replace(one) for one in self.accounts[account].open_positions())

    def orders(self, account: str = "main") -> tuple[Order, ...]:
        """Copies of the account's pending orders."""
        return tuple(replace(one) for one in self.accounts[account].pending.values())

    def algos(self, account: str = "main") -> tuple[AlgoOrder, ...]:
        """Copies of the account's pending algo orders."""
        return tuple(replace(one) for one in self.accounts[account].algos.values())

    def set_price(self, inst_id: str, px: Decimal, contracts: Decimal | None = None) -> None:
        """One trade at this price, now, in a market that is set by hand."""
        self.advance()
        self.market.set_price(inst_id, px, contracts)
        self.advance()
        self.wake()

    def spike(self, inst_id: str, px: Decimal, reference: str) -> None:
        """One trade that takes the "last" or "mark" price to `px` or just beyond, and what follows from it."""
        self.advance()
        self.market.spike(inst_id, px, reference)
        self.advance()
        self.wake()

    def delete_key(self, key: str) -> None:
        """The owner deletes an API key: requests with it fail, and its connections are closed."""
        self.advance()
        self.keys.forget(key)
        for session in self.connections.all():
            if session.key == key:
                session.close(*KEY_GONE_CLOSE)

    def deleverage(self, account: str, inst_id: str, contracts: Decimal, pos_side: str = "net") -> None:
        """Auto-deleveraging on command: the exchange closes that much of the cross position at the mark price."""
        self.advance()
        position = self.accounts[account].position(inst_id, "cross", pos_side)
        assert position is not None, "no such position"
        self.liquidation.deleverage(self.accounts[account], position, contracts)
        self.settle()

    def transfer(self, account: str, amount: Decimal) -> None:
        """Move USDT into the account (negative: out of it), as its owner does outside of trading."""
        self.advance()
        self.clearing.transfer(self.accounts[account], amount)

    def place_as(self, account: str, request: Mapping[str, object]) -> Row:
        """A second human or bot on the account: one order, without HTTP and without rate limits.

        `request` is the body of POST /trade/order; returns the answer's item (``sCode`` "0" when accepted).
        """
        self.advance()
        return self.trading.place(self.accounts[account], request)


def _changing(venue: Venue, change: InstrumentChange) -> Callable[[], None]:
    def change_unless_done() -> None:
        if change.at_ms > venue.changed_until_ms:
            venue.change_instrument(change)

    return change_unless_done
