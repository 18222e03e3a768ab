"""What the decisions are tuned by: the numbers of the settings, without files or sections."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec

from anchorwatch.machine.guards import Guarding
from anchorwatch.machine.limits import Limits, Reentry
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.sizing import Sizing
from anchorwatch.machine.strategy import Strategy
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.units import (
    Conduct,
    Fraction,
    MarginMode,
    OrderKind,
    PositionMode,
    Side,
)

TRENDING, RANGING = Regime.TRENDING, Regime.RANGING


class Protecting(msgspec.Struct, frozen=True):
    """Where the stop of a position stands. Distances are shares of the price."""

    stop_fraction: Fraction = Fraction(Decimal("0.006"))
    trail_fraction: Fraction = Fraction(Decimal("0.003"))
    trail_activation_fraction: Fraction = Fraction(Decimal("0.004"))
    take_profit_fraction: Fraction = Fraction(Decimal("0.01"))  # 0: never for profit
    catastrophe_fraction: Fraction = Fraction(Decimal("0.05"))
    min_move_ticks: int = 2
    min_move_fraction: Fraction = Fraction(Decimal("0.05"))
    max_holding_s: int = 2700  # 0: never for its age


class Unfilled(Enum):
    """What becomes of an entry that rested for its time and was not filled. The value is its name in the settings."""

    LET_GO = "let_go"
    CROSS = "cross"  # what is left of it takes, as an IOC, if the quote has not drifted too far


class Making(msgspec.Struct, frozen=True):
    """How an entry meets the market."""

    kind: OrderKind = OrderKind.POST_ONLY
    rest_s: float = 20.0
    reprice_ticks: int = 2
    reprice_every_s: float = 2.0
    reprices_max: int = 5
    drift_fraction: Fraction = Fraction(Decimal("0.0005"))
    unfilled: Unfilled = Unfilled.LET_GO

    @property
    def rests(self) -> bool:
        return self.kind is OrderKind.POST_ONLY


class Patience(msgspec.Struct, frozen=True):
    """How long a position may live. A loser is closed when, after ``loser_after_s``, it is this far behind."""

    max_holding_s: int  # 0: never for its age
    loser_after_s: int  # 0: never for its loss
    loser_fraction: Fraction


class ExitSettings(msgspec.Struct, frozen=True):
    """Profits and losses are shares of the entry price; ``partial_share`` is a share of the position. 0: never.

    ``plain`` holds instead of the three where no regime is followed.
    """

    take_profit_fraction: Fraction = Fraction(Decimal("0.01"))
    partial_at_fraction: Fraction = Fraction(Decimal("0.005"))
    partial_share: Fraction = Fraction(Decimal("0.5"))
    trending: Patience = Patience(45 * 60, 7 * 60, Fraction(Decimal("0.003")))
    ranging: Patience = Patience(15 * 60, 10 * 60, Fraction(Decimal("0.004")))
    choppy: Patience = Patience(10 * 60, 3 * 60, Fraction(Decimal("0.0016")))
    plain: Patience | None = None

    def patience(self, regime: Regime | None) -> Patience:
        """For the regime at the entry. Where it is not known, the shortest: nothing speaks for waiting."""
        if self.plain is not None:
            return self.plain
        if regime is TRENDING:
            return self.trending
        return self.ranging if regime is RANGING else self.choppy


class Trading(msgspec.Struct, frozen=True):
    """How one instrument is traded."""

    strategy: Strategy = EmaCross()
    candles: tuple[tuple[str, int], ...] = ()  # room for more of them than the strategy needs
    sides: tuple[Side, ...] = (Side.LONG, Side.SHORT)
    reentry: Reentry = Reentry()
    sizing: Sizing = Sizing()
    protecting: Protecting = Protecting()
    exits: ExitSettings = ExitSettings()
    making: Making = Making()


class Pace(msgspec.Struct, frozen=True):
    """Waits in seconds. None of them decides that something happened; each only asks again, or alarms."""

    reconcile_every_s: float = 60.0  # the original's intention was every one to five minutes
    reading_retry_s: float = 3.0
    poll_s: float = 3.0  # while a private stream is away, the account is read at this pace
    query_retry_s: float = 1.0  # an order in doubt is asked for at this pace
    resting_asked_s: float = (
        1.0  # a resting entry is asked for, because a socket may be half-open: fill to stop in 5 s
    )
    order_overdue_s: float = 3.0  # a market order ends at once; later its push was lost
    stop_retry_s: float = 1.0
    naked_deadline_s: float = 5.0  # the goal for any single fault
    naked_least_s: float = (
        3.0  # of a leg that was heard of late: a stop that nobody answers for, and a reading
    )
    fill_overdue_s: float = 3.0  # a triggered stop is a market order
    confirmation_retry_s: float = 2.0
    confirmation_patience_s: float = 30.0  # the venue's histories lag by seconds; later a person is told
    unexplained_retry_s: float = 60.0  # and the question goes on at this pace
    close_verify_s: float = 0.5  # the venue's histories lag its answers
    move_interval_s: float = 1.0  # at most one stop move a second
    order_valid_ms: int = 3000  # the venue refuses an order that arrives later than this


class Parameters(msgspec.Struct, frozen=True):
    """Everything that the desk is tuned by."""

    instruments: tuple[tuple[str, Trading], ...]
    mode: PositionMode = PositionMode.HEDGE
    margin: MarginMode = MarginMode.CROSS
    conduct: Conduct = Conduct.TRADE
    is_exclusive: bool = True
    hands_off: tuple[str, ...] = ()  # instruments that are registered and told, and never changed
    max_positions: int = 5
    guarding: Guarding = Guarding()
    limits: Limits = Limits()
    dead_man_s: int = 30  # the countdown of the dead man's switch; 0: it is not used
    pace: Pace = Pace()

    def of(self, instrument: str) -> Trading:
        for name, trading in self.instruments:
            if name == instrument:
                return trading
        return Trading()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.instruments)
