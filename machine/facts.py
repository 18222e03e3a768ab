"""Facts that must survive the process: what the journal holds, and the next life is told."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine.units import LegKey


class Fact(msgspec.Struct, frozen=True, tag=True, gc=False):
    """One thing to remember. Times are UTC milliseconds, sizes contracts, prices per coin."""


class IntentFact(Fact, frozen=True):
    """An order that is about to be sent, or was: recorded before the first byte."""

    client_id: str
    leg: LegKey
    role: str
    side: str
    contracts: Decimal
    price: Decimal | None
    deadline_ms: int
    at_ms: int
    kind: str = "market"  # what earlier versions made
    belt: Decimal | None = None  # the level of the stop that travels with an entry


class OrderEndedFact(Fact, frozen=True):
    client_id: str
    state: str
    filled: Decimal
    avg_px: Decimal | None
    at_ms: int


class LegOpenedFact(Fact, frozen=True):
    leg: LegKey
    entered_at_ms: int
    entry_px: Decimal
    contracts: Decimal
    regime: str
    stop_px: Decimal | None
    strategy: str
    order_id: str = ""  # our closing order that filled last, and how much of its fills ``contracts`` counts
    order_filled: Decimal = Decimal(0)
    is_hearsay: bool = False  # an order of somebody else's seemed to open it, and no report had shown it
    entry_id: str = ""  # our entry, and how much of its fills ``contracts`` counts
    entry_filled: Decimal = Decimal(0)
    # Taken off ``contracts`` because the venue showed less, before any fill said why.
    cut: Decimal = Decimal(0)


class LegStopFact(Fact, frozen=True):
    leg: LegKey
    algo_client_id: str
    trigger_px: Decimal
    contracts: Decimal | None
    level: int


class LegPeakFact(Fact, frozen=True):
    leg: LegKey
    peak_px: Decimal


class PartialTakenFact(Fact, frozen=True):
    """A part of the position was closed for this reason, by this order: it is not taken for it again.

    Zero contracts: the order ended without a fill, and the part may be taken after all.
    """

    leg: LegKey
    reason: str
    contracts: Decimal
    client_id: str
    at_ms: int


class LegClosedFact(Fact, frozen=True):
    leg: LegKey
    at_ms: int
    cause: str
    realised_pnl: Decimal
    # An entry of ours that might still fill, and how much of its fills is over with the leg.
    entry_id: str = ""
    entry_filled: Decimal = Decimal(0)


class RiskFact(Fact, frozen=True):
    """The account of one UTC day and of all days: what ended positions brought, in USD, after fees and funding.

    Equities are those of the beginnings, and only what limits are shares of.
    """

    day_ms: int
    day_equity: Decimal
    day_net: Decimal
    first_equity: Decimal
    net: Decimal
    peak_net: Decimal


class StreakFact(Fact, frozen=True):
    """The last end of a symbol's position, its losses in a row, and until when it pauses for them."""

    instrument: str
    losses: int
    paused_until_ms: int
    side: str
    was_loss: bool
    at_ms: int
    was_by_hand: bool = False


class RegimeFact(Fact, frozen=True):
    """Which regime a symbol is in and what speaks against it, as `regime.RegimeState` has it."""

    instrument: str
    regime: str
    since_ms: int
    judged_ms: int
    rival: str
    confirmations: int


class PermissionFact(Fact, frozen=True):
    state: str
    paused_below: bool
    reason: str


class HandsOffFact(Fact, frozen=True):
    """The operator keeps this instrument for himself, or gives it back."""

    instrument: str
    is_off: bool


class DeadManFact(Fact, frozen=True):
    """The dead man's switch is given up: a firing of it took a protective stop."""

    reason: str
    at_ms: int


class EmergencyFact(Fact, frozen=True):
    """A leg was to be closed because the exchange would not have closed it; ``why`` is its code, or what took too long."""

    leg: LegKey
    at_ms: int
    why: str


class GenerationFact(Fact, frozen=True):
    """One life of the bot; ``clean_stop_at_ms`` is None until it stopped in order."""

    token: str
    started_at_ms: int
    clean_stop_at_ms: int | None = None


class SequenceFact(Fact, frozen=True):
    """No sequence below this one may be given again."""

    next_sequence: int


AnyFact = (
    IntentFact
    | OrderEndedFact
    | LegOpenedFact
    | LegStopFact
    | LegPeakFact
    | PartialTakenFact
    | LegClosedFact
    | RiskFact
    | StreakFact
    | RegimeFact
    | PermissionFact
    | HandsOffFact
    | DeadManFact
    | EmergencyFact
    | GenerationFact
    | SequenceFact
)
"""Every fact that the journal can hold."""


class LegFacts(msgspec.Struct, frozen=True):
    """What is remembered of one position that was open when the last life ended."""

    leg: LegKey
    opened: LegOpenedFact | None = None
    stop: LegStopFact | None = None
    peak: LegPeakFact | None = None
    partials: tuple[PartialTakenFact, ...] = ()


class Facts(msgspec.Struct, frozen=True):
    """Everything that the journal gives back, each tuple oldest first.

    ``intents`` are the orders whose end was never learnt. ``ended``, ``closed`` and ``generations`` reach back
    as far as the journal keeps them.
    """

    legs: tuple[LegFacts, ...] = ()
    intents: tuple[IntentFact, ...] = ()
    ended: tuple[OrderEndedFact, ...] = ()
    closed: tuple[LegClosedFact, ...] = ()
    permission: PermissionFact | None = None
    dead_man: DeadManFact | None = None
    emergencies: tuple[EmergencyFact, ...] = ()
    generations: tuple[GenerationFact, ...] = ()
    risk: RiskFact | None = None
    streaks: tuple[StreakFact, ...] = ()
    regimes: tuple[RegimeFact, ...] = ()
    hands_off: tuple[str, ...] = ()
    next_sequence: int = 1

    @property
    def is_new(self) -> bool:
        """No life was ever recorded: a first start, or a lost disk."""
        return not self.generations

    def last_alive_ms(self, now_ms: int) -> int:
        """By when the last life was over; 0 when there was none. When a life was cut off nobody recorded: by now."""
        if not self.generations:
            return 0
        ended_ms = self.generations[-1].clean_stop_at_ms
        return now_ms if ended_ms is None else ended_ms

    @property
    def stopped_cleanly(self) -> bool:
        """Whether the last life stopped in order; a first start counts as one that did."""
        return self.is_new or self.generations[-1].clean_stop_at_ms is not None
