"""Exits: when a position has done its work, has lived too long, or loses for too long. Pure.

The answer is a request to the one closer; nothing here closes anything. The stop is
not here either: it rests at the venue.

The original's numbers, and what became of them. Its percents are of the margin at
5×, so a fifth of each is the share of the price: the take-profit of 5 % is 1 %, the
loss after which a loser is timed out 1.5 %, 2.0 % and 0.8 % are 0.3 %, 0.4 % and
0.16 %. Read as shares of the price they would lie beyond the stop of 0.6 % and never
act. Its 120 minutes for losers in a ranging market lie beyond its own longest holding of
15 minutes there; 10 minutes stand here. At which profit the half is taken it does not
say: at half the way to the take-profit.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec

from anchorwatch.machine.parameters import ExitSettings
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.trailing_stop import profit_fraction
from anchorwatch.machine.units import Contracts, Fraction, Instrument, Price, Side, floor_to


class Held(msgspec.Struct, frozen=True):
    """A position as the exits see it. ``partial_taken`` must survive a restart: it happens once."""

    side: Side
    entry_px: Price
    entered_ms: int
    regime: Regime | None
    partial_taken: bool = False


class ExitReason(Enum):
    TAKE_PROFIT = "take profit"
    LOSER_TIMED_OUT = "behind for too long"
    HELD_TOO_LONG = "held too long"


class CloseAll(msgspec.Struct, frozen=True):
    reason: ExitReason
    why: str


class ClosePart(msgspec.Struct, frozen=True):
    """Close this share of the position, and remember that it was done."""

    share: Fraction
    why: str


def exit_wanted(
    held: Held, mark_px: Price, now_ms: int, settings: ExitSettings
) -> CloseAll | ClosePart | None:
    """What should be closed now, and why. Closing all goes before closing a part."""
    profit = profit_fraction(held.side, held.entry_px, mark_px)
    if 0 < settings.take_profit_fraction <= profit:
        return CloseAll(ExitReason.TAKE_PROFIT, f"{profit:.2%} profit")
    patience = settings.patience(held.regime)
    age_s = (now_ms - held.entered_ms) / 1000
    if 0 < patience.loser_after_s <= age_s and -profit >= patience.loser_fraction:
        return CloseAll(ExitReason.LOSER_TIMED_OUT, f"{-profit:.2%} behind after {age_s:.0f} s")
    if 0 < patience.max_holding_s <= age_s:
        return CloseAll(ExitReason.HELD_TOO_LONG, f"held for {age_s:.0f} s")
    if not held.partial_taken and settings.partial_share and 0 < settings.partial_at_fraction <= profit:
        return ClosePart(settings.partial_share, f"{profit:.2%} profit")
    return None


def part_of(contracts: Contracts, share: Fraction, instrument: Instrument) -> Contracts:
    """The tradable part of a position; zero where the part or what would be left is below the minimum."""
    part = floor_to(contracts * share, instrument.lot_size)
    tradable = part >= instrument.min_size and contracts - part >= instrument.min_size
    return Contracts(part if tradable else Decimal(0))
