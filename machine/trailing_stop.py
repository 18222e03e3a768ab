"""Where the stop of a position stands: functions of prices, always on the tick.

Percents exist only in words; every distance here is a share of the price. All
prices are of the same type (mark), peak and rebuild included, because a peak of last
prices would move a stop that mark triggers.
"""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.machine.parameters import Protecting
from anchorwatch.machine.units import Instrument, Price, Side

CLAMP_FRACTION = Decimal("0.0005")
"""A tightening that mark has crossed already is placed this far behind mark, or the venue would refuse it."""

LIQUIDATION_SHARE = Decimal("0.25")
"""The catastrophe stop leaves at least this share of the distance from mark to liquidation."""


LONG = Side.LONG


def behind(side: Side, price: Decimal, fraction: Decimal, instrument: Instrument) -> Price:
    """The level ``fraction`` behind ``price`` on the losing side, rounded away from it."""
    if side is LONG:
        return instrument.price_below(price * (1 - fraction))
    return instrument.price_above(price * (1 + fraction))


def on_tick(side: Side, level: Decimal, instrument: Instrument) -> Price:
    """``level`` on the tick, away from the market where the tick has grown since it was computed."""
    return instrument.price_below(level) if side is LONG else instrument.price_above(level)


def is_tighter(side: Side, level: Decimal, than: Decimal) -> bool:
    return level > than if side is LONG else level < than


def tighter(side: Side, one: Price, other: Price) -> Price:
    return one if is_tighter(side, one, other) else other


def further_peak(side: Side, peak: Decimal, mark: Decimal) -> Price:
    """The best price since the entry."""
    return Price(max(peak, mark) if side is LONG else min(peak, mark))


def profit_fraction(side: Side, entry: Decimal, price: Decimal) -> Decimal:
    return side.sign * (price - entry) / entry


def initial_level(side: Side, entry: Decimal, protecting: Protecting, instrument: Instrument) -> Price:
    """The protective stop of a fresh position (R2.3)."""
    return behind(side, entry, protecting.stop_fraction, instrument)


def trailing_level(
    side: Side, entry: Decimal, peak: Decimal, protecting: Protecting, instrument: Instrument
) -> Price | None:
    """The level behind the peak; None until the peak has reached the activation."""
    if profit_fraction(side, entry, peak) < protecting.trail_activation_fraction:
        return None
    return behind(side, peak, protecting.trail_fraction, instrument)


def catastrophe_level(
    side: Side, mark: Decimal, liquidation: Decimal | None, protecting: Protecting, instrument: Instrument
) -> Price:
    """The level for a position of which nothing is known but that it is open."""
    level = behind(side, mark, protecting.catastrophe_fraction, instrument)
    if liquidation is None:
        return level
    nearest = mark + (liquidation - mark) * (1 - LIQUIDATION_SHARE)
    bound = instrument.price_above(nearest) if side is LONG else instrument.price_below(nearest)
    return tighter(side, level, bound)


def clamped(side: Side, level: Price, mark: Decimal, instrument: Instrument) -> Price:
    """``level``, or just behind mark where mark has passed it already."""
    bound = behind(side, mark, CLAMP_FRACTION, instrument)
    return bound if is_tighter(side, level, bound) else level


def is_real_improvement(
    side: Side, level: Price, current: Price, mark: Decimal, protecting: Protecting, instrument: Instrument
) -> bool:
    """Whether a move is worth a request: tighter by some ticks and by a share of the distance to mark."""
    if not is_tighter(side, level, current):
        return False
    gain = abs(level - current)
    least = max(
        protecting.min_move_ticks * instrument.tick_size,
        protecting.min_move_fraction * abs(mark - current),
    )
    return gain >= least
