"""How large an entry is: a fixed worth, or what a stop may cost of the equity. Pure.

By risk: the worth at which the stop, with the fees of both ways, costs the share ``risk`` of
the equity, times the regime's multiplier; never more margin than the profile of the balance
allows, nor a worth outside of its bounds. Profiles and multipliers are the original's; its
risk of 1 to 2 % per trade is a setting.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec

from anchorwatch.machine.regime import Regime
from anchorwatch.machine.units import Contracts, Fraction, Instrument, Usd

FEES_BOTH_WAYS = Decimal("0.001")
"""Two taker fees of OKX v5's lowest tier: a stop is a market order, and an entry may be."""


class SizedBy(Enum):
    NOTIONAL = "notional"
    RISK = "risk"


class Profile(msgspec.Struct, frozen=True):
    """What a balance below ``below`` may put into one position."""

    name: str
    below: Decimal
    margin_share: Fraction
    least_usd: Decimal
    most_usd: Decimal


def _profile(name: str, below: str, share: str, least: int, most: int) -> Profile:
    return Profile(name, Decimal(below), Fraction(Decimal(share)), Decimal(least), Decimal(most))


PROFILES = (
    _profile("micro", "500", "0.25", 15, 450),
    _profile("small", "1500", "0.15", 50, 1_350),
    _profile("medium", "3000", "0.10", 150, 3_000),
    _profile("large", "Infinity", "0.05", 300, 15_000),
)

MULTIPLIER = {
    Regime.TRENDING: Decimal("1.3"),
    Regime.RANGING: Decimal("1.2"),
    Regime.CHOPPY: Decimal("1.0"),
}


class Sizing(msgspec.Struct, frozen=True):
    by: SizedBy = SizedBy.NOTIONAL
    notional_usd: Usd = Usd(Decimal(150))
    risk: Fraction = Fraction(Decimal("0.01"))
    leverage: int = 5


def profile_of(equity: Decimal) -> Profile:
    return next(profile for profile in PROFILES if equity < profile.below)


def worth(sizing: Sizing, equity: Decimal, stop_fraction: Decimal, regime: Regime | None) -> Usd:
    """The worth of a new position in USD; zero where the profile's least is more than the margin allows."""
    if sizing.by is SizedBy.NOTIONAL:
        return sizing.notional_usd
    profile = profile_of(equity)
    # A regime that is not known speaks for nothing more than the plain risk.
    multiplier = MULTIPLIER[regime] if regime is not None else Decimal(1)
    by_risk = sizing.risk * multiplier * equity / (stop_fraction + FEES_BOTH_WAYS)
    by_margin = profile.margin_share * equity * sizing.leverage
    wanted = min(by_risk, by_margin, profile.most_usd)
    return Usd(wanted if wanted >= profile.least_usd else Decimal(0))


def contracts_of(
    sizing: Sizing, equity: Decimal, stop_fraction: Decimal, regime: Regime | None, price: Decimal,
    instrument: Instrument,
) -> Contracts:  # fmt: skip
    """In contracts of the instrument, down to its lot; zero below its minimum."""
    return instrument.contracts_for(worth(sizing, equity, stop_fraction, regime), price)
