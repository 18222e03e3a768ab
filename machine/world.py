"""What the world says: reports about orders, stops, positions and the market, in our own words.

Sizes are contracts, prices are settlement currency per coin, times are UTC
milliseconds of the venue unless a name says otherwise.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec

from anchorwatch.machine.kernel import Event
from anchorwatch.machine.maintenance import Announced
from anchorwatch.machine.order import Role
from anchorwatch.machine.units import Deal, Instrument, LegKey, MarginMode, PositionMode, Side, Word


class OrderState(Word):
    LIVE = "live"
    PARTIAL = "partially filled"
    FILLED = "filled"
    CANCELLED = "cancelled"


class Ending(Word):
    """Why an order ended, where that decides something."""

    ORDINARY = "ordinary"
    WOULD_TAKE = "a post-only order that would have taken"
    DEAD_MAN = "the dead man's switch"


class StopState(Word):
    LIVE = "live"
    TRIGGERED = "triggered"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One trade of an order. ``fee`` is positive when paid; ``trade_id`` is unique per instrument."""

    trade_id: str
    contracts: Decimal
    price: Decimal
    fee: Decimal
    at_ms: int


STOPPED = "stop"
CLOSED_BY_US = "close"
CLOSED_BY_HAND = "closed by hand"
NEVER_WAS = "never was"
"""Causes of the end of a position, beside the reasons of our own closes, and liquidation and ADL."""


class OrderReport(msgspec.Struct, frozen=True, gc=False):
    """One order as the venue holds it. ``side`` is None in net mode, where the order only has a direction.

    ``filled`` is cumulative and never shrinks; ``fill`` is the trade that this report brings, if any.
    """

    client_id: str
    venue_id: str
    instrument: str
    side: Side | None
    deal: Deal
    state: OrderState
    filled: Decimal
    average_price: Decimal | None
    fee: Decimal
    fill: Fill | None
    stop_client_id: str  # the stop whose child this order is, or empty
    category: str  # "normal", or why the venue made it: liquidation, ADL
    created_ms: int
    updated_ms: int
    price: Decimal | None = None  # where it rests; None at market
    ending: Ending = Ending.ORDINARY


class StopReport(msgspec.Struct, frozen=True, gc=False):
    """One resting stop. ``contracts`` is None for a stop of the whole position."""

    client_id: str
    venue_id: str
    instrument: str
    side: Side | None
    deal: Deal
    state: StopState
    trigger: Decimal | None
    contracts: Decimal | None
    updated_ms: int


class PositionReport(msgspec.Struct, frozen=True, gc=False):
    """One position; ``contracts`` 0 means that the venue says it is closed.

    ``funding`` is what the position has received since it was opened, negative when it paid.
    """

    leg: LegKey
    contracts: Decimal
    entry_price: Decimal | None
    created_ms: int
    updated_ms: int
    funding: Decimal = Decimal(0)
    liquidation: Decimal | None = None
    mark: Decimal | None = None
    margin_ratio: Decimal | None = None  # margin over what is needed to keep it: the venue liquidates at 1


class AccountReading(msgspec.Struct, frozen=True, gc=False):
    """A complete reading of positions, orders and every list of stops; never a partial one."""

    positions: tuple[PositionReport, ...]
    orders: tuple[OrderReport, ...]
    stops: tuple[StopReport, ...]
    started_ms: int  # before the first request was sent: what changed later may be missing


class Candle(msgspec.Struct, frozen=True, gc=False):
    """A closed candle. Floats: candles feed indicators and nothing else."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


# Events.


class Observed(Event, frozen=True):
    """Something that the venue said on its own."""


class OrderPushed(Observed, frozen=True):
    report: OrderReport


class StopPushed(Observed, frozen=True):
    report: StopReport


class PositionPushed(Observed, frozen=True):
    report: PositionReport


class EquityReported(Observed, frozen=True):
    """Equity and what of it is free, in settlement currency."""

    equity: Decimal
    available: Decimal
    at_ms: int


class MarkMoved(Observed, frozen=True):
    instrument: str
    price: Decimal
    at_ms: int


class QuoteMoved(Observed, frozen=True):
    instrument: str
    bid: Decimal
    ask: Decimal
    at_ms: int


class FundingForecast(Observed, frozen=True):
    """What the settlement at ``settles_ms`` would cost as it is forecast now: ``rate`` of the notional, paid by longs
    to shorts where positive. The time between two settlements may change."""

    instrument: str
    rate: Decimal
    settles_ms: int


class CandleClosed(Observed, frozen=True):
    instrument: str
    timeframe: str
    candle: Candle


# Answers to what was asked.


class VenueReady(Event, frozen=True):
    """What the stage CLIENT learnt."""

    instruments: tuple[Instrument, ...]
    mode: PositionMode
    margin: MarginMode
    equity: Decimal
    available: Decimal
    at_ms: int


class HistoryLoaded(Event, frozen=True):
    instrument: str
    timeframe: str
    candles: tuple[Candle, ...]  # oldest first; what the venue does not have is missing


class HistoryMissed(Event, frozen=True):
    """The venue did not give the candles that were asked for."""

    instrument: str
    timeframe: str
    reason: str


class AuditRead(Event, frozen=True):
    """The reading that a stage asked for; ``epoch`` is the stage's request."""

    epoch: int
    reading: AccountReading


class AccountRead(Event, frozen=True):
    seq: int
    reading: AccountReading


class OrderAsked(Event, frozen=True):
    """The answer to a query by client id: the order, or None when no list of the venue shows it."""

    leg: LegKey
    role: Role
    seq: int
    report: OrderReport | None
    is_final: bool  # absent, and asked after the order's deadline: the venue can no longer accept it


class CloseRefusal(Enum):
    """What the venue's refusal of a closing order asks for."""

    TOO_BIG = "a smaller order"
    BLOCKED = "the resting orders that would close it are cancelled first"
    RULES = "the rules of the instrument are read again"
    ANOTHER_TRY = "another try, after the position has been read"


class CloseRefused(Event, frozen=True):
    """The venue declined a closing order."""

    leg: LegKey
    seq: int
    refusal: CloseRefusal
    reason: str


class StopsRead(Event, frozen=True):
    """Every live stop of one leg."""

    leg: LegKey
    seq: int
    stops: tuple[StopReport, ...]


class LegRead(Event, frozen=True):
    """The positions of one leg's instrument; None when the reading failed."""

    leg: LegKey
    positions: tuple[PositionReport, ...] | None
    asked_ms: int


class PeakRead(Event, frozen=True):
    """The best mark price of a leg since ``since_ms``, which is its entry; None when the venue shows none."""

    leg: LegKey
    since_ms: int
    is_found: bool
    best: Decimal | None


class AbsenceExplained(Event, frozen=True):
    """Why a leg is flat, from the venue's own histories, and what that brought.

    ``fees`` are of all its fills together, positive when paid; None where the venue does not say.
    """

    leg: LegKey
    cause: str
    realised_pnl: Decimal
    closed_ms: int
    fees: Decimal | None = None
    close_price: Decimal | None = None  # the average of everything that closed it


class AbsenceUnexplained(Event, frozen=True):
    """The venue did not answer why a leg is flat, or its histories do not show it yet."""

    leg: LegKey


class OwnOrdersRead(Event, frozen=True):
    """Every order of a leg's instrument that had fills, whoever made it; None when the reading failed."""

    leg: LegKey
    orders: tuple[OrderReport, ...] | None


class RulesRead(Event, frozen=True):
    """The rules of an instrument as they are now, pushed or read again; None when they could not be read."""

    instrument: str
    rules: Instrument | None


class StatusRead(Event, frozen=True):
    """What the venue says of itself: all maintenance of its trading that goes on or is to come, the nearest first."""

    announced: tuple[Announced, ...]


class ConnectAsked(Event, frozen=True):
    """The operator wants every connection that is refused or waits to be tried now."""


class ClockMeasured(Event, frozen=True):
    """The venue's clock minus ours, and by how much that had jumped; 0 where it had not."""

    offset_ms: int
    jump_ms: int


class ConnectionsCounted(Observed, frozen=True):
    """How many connections of this account have subscribed to a channel; ``link`` is ours that was told."""

    link: str
    channel: str
    count: int


class ClocksParted(Event, frozen=True):
    """The host's wall clock has moved by ``seconds`` more than time has passed: it slept, or was set."""

    seconds: float


class ClockTicked(Event, frozen=True):
    """Time has passed and nothing else: ages and silences are looked at."""
