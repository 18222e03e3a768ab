"""The numbers beside the machines: what is held, at which price, with which stops.

The book decides nothing. It is written by reports and read by the desk; the machines
never see it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import msgspec

from anchorwatch.machine.facts import PartialTakenFact, RiskFact, StreakFact
from anchorwatch.machine.ledger import Account
from anchorwatch.machine.maintenance import Announced
from anchorwatch.machine.order import Role
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.strategy import Became, Considered
from anchorwatch.machine.units import Contracts, Instrument, LegKey, OrderKind, Price
from anchorwatch.machine.world import PositionReport, StopReport

T = TypeVar("T")

NOTHING = Became.NOTHING

ORDERS_REMEMBERED = 2_000
"""Orders whose fills are counted, ours and others': pushes repeat within seconds, this is days of scalping."""

DECISIONS_COUNTED = 1_000
"""Kinds of answers of a strategy that are counted apart; it names its signals and filters itself, and may put numbers in."""

ENDED_STOPS_REMEMBERED = 100
"""Stops of one leg whose end was reported: lists lag by seconds, and this is many moves and re-entries."""


DECISIONS_REMEMBERED = 10
"""Of one symbol, of those in which a signal fired: what a person wants to see who asks why nothing happens."""


class Portion(msgspec.Struct, frozen=True):
    """A part of a position that is to be closed, and what for."""

    contracts: Contracts
    reason: str


Counted = tuple[str, Decimal]
"""An order of ours by its client id, and how many of its contracts are booked."""


@dataclass(slots=True)
class LegBook:
    """The numbers of one leg."""

    leg: LegKey
    account: Account
    entered_ms: int = 0
    regime: Regime | None = None  # at the entry, where it is known
    peak: Price | None = None
    wanted: Price | None = None  # the stop level that is meant; only ever tightened while the leg is open
    resting: Price | None = None  # the level of the stop that was last seen live
    stop_client_id: str = ""
    stop_venue_id: str = ""  # of an adopted stop, which may have no client id
    moved_ms: int = 0
    moving_to: Price | None = None  # the level of the move under way
    moving_size: Contracts | None = None  # the size that it asks for, when another
    unresizable: str = ""  # the venue's id of a stop whose size it refused to change
    version_ms: int = 0  # the venue time of the newest report about this leg
    there_ms: int = (
        0  # the venue time at which it was there for certain: an end that is older is not the end of this
    )
    dropped_stop: str = ""  # the stop that went while the leg was being closed, by its client id
    restated_ms: int = 0  # fills up to here are in the venue's figures that were taken over
    pushed: PositionReport | None = None  # the venue's last word on this leg
    pushed_at_ms: int = 0
    uncovered_since_ms: int | None = None
    sought_since_ms: int | None = None  # since when a stop is looked for, by a bot that may have heard late
    uncovered_ms: int = 0
    uncovered_is_told: bool = False  # of a leg that is only watched, once per spell
    close_reason: str = ""
    refused_code: str = ""  # the venue's, of the last stop that it refused
    gone_since_ms: int = 0  # when its absence was first asked about
    absences: int = 0  # complete readings since then that did not show it either
    is_hearsay: bool = False  # fills of others opened it in net mode; no report of a position has shown it
    others: Decimal = Decimal(0)  # contracts of the venue's position that are a stranger's
    cut: Decimal = Decimal(0)  # taken off our part because the venue showed less, before any fill said why
    own_asked_ms: int = 0  # when our own orders were asked for last
    own_known_ms: int = 0  # every fill of ours up to here is booked: our own orders were read
    may_be_ours: bool = False  # watched, and our own orders of an earlier life are being asked for
    part_in_doubt: bool = False  # the venue shows a position, and our own orders say which part is ours still
    fills_are_unknown: bool = (
        False  # of this position, an earlier life booked fills that are not in this book
    )
    was_mixed: bool = (
        False  # a stranger shared this position at some time: the venue's totals are not ours alone
    )
    entry_counted: Counted = ("", Decimal(0))  # of our entry
    close_counted: Counted = ("", Decimal(0))  # of the closing order of ours that filled last
    close_tries: int = 0  # closing orders in a row after which the position was still there, unchanged
    slice_max: Contracts | None = None  # a closing order of more than this was too large for the venue
    portion: Portion | None = None  # what is to be closed of it by the next closing order, when not the whole
    partials: dict[str, PartialTakenFact] = field(default_factory=dict)  # taken of this position, by reason
    liquidation: Decimal | None = None  # the venue's price of it
    reported_mark: Decimal | None = None  # as the report of the position had it
    margin_ratio: Decimal | None = None  # the venue's, of the leg or of the account that carries it
    funding: Decimal = Decimal(0)  # of the venue's position, as far as it is booked
    funded_ms: int = 0  # which position that is: when the venue created it
    asked_ms: int = 0  # when the reading after a close was asked for: an older answer says nothing
    ended_stops: dict[str, None] = field(
        default_factory=dict
    )  # reported ended; an older list may still show them
    stops: dict[str, StopReport] = field(default_factory=dict)  # live stops of ours, by the venue's id
    swept_ms: dict[str, int] = field(
        default_factory=dict
    )  # stops of the position before, asked to be cancelled, and not heard to be gone

    def end_stop(self, venue_id: str) -> None:
        """This stop is over, whatever a list that was read before may say."""
        self.stops.pop(venue_id, None)
        self.swept_ms.pop(venue_id, None)
        self.ended_stops[venue_id] = None
        if len(self.ended_stops) > ENDED_STOPS_REMEMBERED:
            del self.ended_stops[next(iter(self.ended_stops))]

    @property
    def contracts(self) -> Contracts:
        """What is ours of it; of a leg that is watched, all."""
        return self.account.contracts

    @property
    def total(self) -> Contracts:
        """What the venue should show."""
        return Contracts(self.account.contracts + self.others)


class Pursuit(msgspec.Struct, gc=False):
    """One wish for an entry, over all the orders that are made for it."""

    first: Price | None  # the price that it began at; None at market
    kind: OrderKind  # of the order that is made next
    orders: int = 0  # made so far
    reprices: int = 0
    until_ms: int = 0  # the time that it may rest
    price: Price | None = None  # where its order rests, as the venue last said
    priced_ms: int = 0  # the venue time of that word
    aim: Price | None = None  # the price of the amendment that is asked for
    amended_ms: int = 0
    asked_ms: int = 0  # when the venue was last asked what became of it


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The best prices of one instrument."""

    bid: Decimal
    ask: Decimal
    at_ms: int


class Filled(msgspec.Struct, gc=False):
    """How much of one order is booked: reports are cumulative, and may repeat or overtake each other."""

    contracts: Decimal = Decimal(0)
    worth: Decimal = Decimal(0)  # contracts × average price
    fee: Decimal = Decimal(0)


class Emergency(msgspec.Struct, frozen=True):
    """A close that was asked for because the exchange would not have closed by itself."""

    leg: LegKey
    at_ms: int
    why: str  # the venue's code, or what took too long


@dataclass(slots=True)
class Totals:
    """What a run adds up to. Money in settlement currency; fees positive when paid."""

    orders: int = 0
    fills: int = 0
    positions_opened: int = 0
    positions_closed: int = 0
    realised_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)
    uncovered_ms_total: int = 0
    uncovered_ms_max: int = 0
    drifts: int = 0


@dataclass(slots=True)
class Book:
    instruments: dict[str, Instrument] = field(default_factory=dict)
    rules_at_ms: int = 0  # when all of them were last asked for
    rules_looked_at_ms: int = 0  # when it was last seen which of them must be asked for
    legs: dict[LegKey, LegBook] = field(default_factory=dict)
    tickets: dict[str, OrderTicket] = field(default_factory=dict)  # orders of ours, by client id
    slots: dict[tuple[LegKey, Role], OrderTicket] = field(default_factory=dict)  # the order of each slot
    filled: dict[str, Filled] = field(default_factory=dict)  # any order, by the venue's id
    entry_sizes: dict[LegKey, Decimal] = field(default_factory=dict)  # wanted, not yet on a ticket
    decided_px: dict[LegKey, Decimal] = field(default_factory=dict)  # mark when the last entry was decided
    pursuits: dict[LegKey, Pursuit] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    fired_ms: int | None = None  # when the dead man's switch last fired, by the venue's time
    lost_stop_ms: tuple[int, int] | None = None  # between when and when a stop was last lost, to nobody known
    marks: dict[str, Decimal] = field(default_factory=dict)
    equity: Decimal = Decimal(0)
    available: Decimal = Decimal(0)
    equity_at_ms: int = 0  # when it was last told
    equity_of_ms: int = 0  # the venue's time of the account state that it is of
    announced: tuple[Announced, ...] = ()  # maintenance of the venue, the nearest first
    is_crowded: bool = False  # the venue counts more readers of the account than we are
    links_lost_ms: dict[str, list[int]] = field(default_factory=dict)  # by connection: sockets given up
    links_silent_ms: dict[str, list[int]] = field(
        default_factory=dict
    )  # of those, the ones for their silence
    emergencies: list[Emergency] = field(default_factory=list)  # closes that a missing cover asked for
    totals: Totals = field(default_factory=Totals)
    risk: RiskFact | None = None  # of the day and of all days, once an equity was heard of
    streaks: dict[str, StreakFact] = field(default_factory=dict)  # by instrument
    decisions: Counter[str] = field(default_factory=Counter)  # what the strategies said, by signal and filter
    asked_no_more: str = ""  # why the strategies are asked nothing any more; empty while they are asked
    considered: dict[str, deque[Considered]] = field(default_factory=dict)  # by instrument, the newest last

    def leg(self, key: LegKey) -> LegBook:
        """The leg's numbers; an empty page when it was never open."""
        found = self.legs.get(key)
        if found is None:
            size = self.instruments[key.instrument].contract_size
            found = self.legs[key] = LegBook(key, Account(key.side, size))
        return found

    def filled_of(self, venue_id: str) -> Filled:
        """What is booked of this order; the oldest orders are forgotten beyond a bound."""
        found = self.filled.get(venue_id)
        if found is None:
            found = self.filled[venue_id] = Filled()
            _forget_oldest(self.filled)
        return found

    def keep_ticket(self, ticket: OrderTicket) -> None:
        self.tickets[ticket.client_id] = ticket
        self.slots[ticket.leg, ticket.role] = ticket
        _forget_oldest(self.tickets)

    def count_decision(self, kind: str, times: int = 1) -> None:
        """So many more of this kind; beyond the bound, of those that are not counted apart."""
        is_apart = kind in self.decisions or len(self.decisions) < DECISIONS_COUNTED
        self.decisions[kind if is_apart else "others"] += times

    def take_funding(self, leg: LegBook, report: PositionReport, *, is_known: bool = False) -> None:
        """Book what funding has added to this position; ``is_known``: an earlier life booked it."""
        if not report.contracts:
            return
        if report.created_ms != leg.funded_ms:
            leg.funding, leg.funded_ms = report.funding if is_known else Decimal(0), report.created_ms
        self.totals.funding += report.funding - leg.funding
        leg.funding = report.funding

    def consider(self, instrument: str, one: Considered) -> None:
        """Remember a decision. Of those that came to nothing only the newest is kept: that it was asked at all."""
        kept = self.considered.get(instrument)
        if kept is None:
            kept = self.considered[instrument] = deque(maxlen=DECISIONS_REMEMBERED)
        elif kept[-1].became is NOTHING:
            kept.pop()
        kept.append(one)

    def open_legs(self) -> list[LegBook]:
        return [leg for leg in self.legs.values() if leg.account.contracts]

    def cover(self, leg: LegBook, now_ms: int) -> None:
        """The leg is covered or flat: close the account of its uncovered time."""
        leg.sought_since_ms = None
        if leg.uncovered_since_ms is None:
            return
        spell = max(0, now_ms - leg.uncovered_since_ms)
        leg.uncovered_since_ms, leg.uncovered_is_told = None, False
        leg.uncovered_ms += spell
        self.totals.uncovered_ms_total += spell
        self.totals.uncovered_ms_max = max(self.totals.uncovered_ms_max, spell)

    def uncover(self, leg: LegBook, now_ms: int) -> None:
        """The leg has contracts and no live stop, as far as is known, since ``now_ms``."""
        if leg.uncovered_since_ms is None:
            leg.uncovered_since_ms = now_ms


def _forget_oldest(entries: dict[str, T]) -> None:
    if len(entries) > ORDERS_REMEMBERED:
        del entries[next(iter(entries))]
