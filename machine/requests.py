"""What the desk asks the shell to do, with every number in it.

Requests to one machine's own effects (dial, subscribe, run a stage) travel as
`Addressed` effects of that machine; what needs prices and sizes travels as these.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine.bot import Address
from anchorwatch.machine.facts import Fact
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.order import Role
from anchorwatch.machine.units import Deal, LegKey, OrderKind, Price


class AttachedStop(msgspec.Struct, frozen=True, gc=False):
    """The belt: a stop that the venue makes when the entry fills."""

    client_id: str
    trigger: Decimal


class OrderTicket(msgspec.Struct, frozen=True, gc=False):
    """One order, ready to be sent. Sizes in contracts; ``price`` is None at market."""

    leg: LegKey
    role: Role
    seq: int
    client_id: str
    deal: Deal
    contracts: Decimal
    is_reduce_only: bool
    tag: str
    created_ms: int
    expires_ms: int
    attached: AttachedStop | None = None
    kind: OrderKind = OrderKind.MARKET
    price: Price | None = None


class PlaceOrder(Effect, frozen=True):
    ticket: OrderTicket


class CancelOrder(Effect, frozen=True):
    ticket: OrderTicket


class AmendOrder(Effect, frozen=True):
    """Another price for an order that rests. Not to be accepted by the venue after ``expires_ms``."""

    ticket: OrderTicket
    price: Price
    expires_ms: int


class QueryOrder(Effect, frozen=True):
    """Ask the venue for this order. With ``within_s`` a late answer is none: asking anew dials anew."""

    ticket: OrderTicket
    within_s: float | None = None


class PlaceStop(Effect, frozen=True):
    """A stop triggered by mark: of the whole position, or of ``contracts`` where others share it."""

    leg: LegKey
    seq: int
    client_id: str
    deal: Deal
    trigger: Decimal
    contracts: Decimal | None = None


class MoveStop(Effect, frozen=True):
    leg: LegKey
    seq: int
    client_id: str
    venue_id: str
    trigger: Decimal
    contracts: Decimal | None = None  # another size, or as it is


class CancelStops(Effect, frozen=True):
    """Stops that no longer protect anything, by the venue's ids."""

    instrument: str
    venue_ids: tuple[str, ...]


class CancelCloses(Effect, frozen=True):
    """Cancel the resting orders that would close this leg: they are in the way of one that closes it now."""

    leg: LegKey
    ours_only: bool


class CancelOrphan(Effect, frozen=True):
    """An order of an earlier life that rests still, by the venue's id."""

    instrument: str
    venue_id: str


class CancelAllAfter(Effect, frozen=True):
    """Let the venue cancel every entry of ours in ``seconds`` unless asked again; 0 ends the countdown."""

    seq: int
    seconds: int


class ReadStops(Effect, frozen=True):
    leg: LegKey
    seq: int


class ReadLeg(Effect, frozen=True):
    leg: LegKey
    after_s: float
    asked_ms: int


class ExplainAbsence(Effect, frozen=True):
    leg: LegKey
    since_ms: int


class ReadOwnOrders(Effect, frozen=True):
    """Every order of the instrument since then: which part of a shared position is ours, only these say."""

    leg: LegKey
    since_ms: int


class ReloadRules(Effect, frozen=True):
    """Read the rules of one instrument again: an order of ours broke one."""

    instrument: str


class ReadPeak(Effect, frozen=True):
    """The best mark price since then: what a trailing stop missed while nobody looked."""

    leg: LegKey
    since_ms: int
    is_found: bool  # it was not opened by us


class LoadHistory(Effect, frozen=True):
    """Read the closed candles that open from ``from_ms`` up to, not including, ``to_ms``."""

    instrument: str
    timeframe: str
    from_ms: int
    to_ms: int


class AuditStops(Effect, frozen=True):
    """Read the account for a stage."""

    epoch: int


class Record(Effect, frozen=True):
    """Make these facts durable, and then tell ``address`` ``done`` — or ``failed`` if the journal cannot."""

    facts: tuple[Fact, ...]
    address: Address | None = None
    done: Event | None = None
    failed: Event | None = None


class StartTimer(Effect, frozen=True):
    """Tell ``address`` ``event`` after ``seconds``. A timer of the same key is replaced."""

    key: str
    seconds: float
    address: Address
    event: Event


class CancelTimer(Effect, frozen=True):
    key: str


class Announce(Effect, frozen=True):
    """A line for people: a drift, a decision, a denied entry."""

    level: str  # info, warning, alarm
    name: str  # the words that one greps for: DRIFT_ADD, DRIFT_REMOVE, ENTRY, EXIT …
    fields: tuple[tuple[str, str], ...] = ()
