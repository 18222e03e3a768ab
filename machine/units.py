"""The units that a number carries, so that contracts are never added to coins.

Money, prices and sizes are `Decimal` from the edge of the venue to the order that
goes out; floats live inside indicators and nowhere else.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, NewType

import msgspec

Price = NewType("Price", Decimal)
"""Settlement currency per coin."""

Contracts = NewType("Contracts", Decimal)
"""A number of contracts, never negative: the direction is in the side."""

Coin = NewType("Coin", Decimal)
"""An amount of the base coin."""

Usd = NewType("Usd", Decimal)
"""An amount of the settlement currency (USDT)."""

Fraction = NewType("Fraction", Decimal)
"""A share of one: 0.01 is one percent. Percents exist only in words for people."""

Millis = NewType("Millis", int)
"""UTC milliseconds since 1970 when a point in time; milliseconds when a span."""


class Word(Enum):
    """An enumeration whose values are words: of ids, facts and lines for people.

    They are made for every order. The property of `Enum` takes two calls in Python to give a value, and its hash one.
    """

    __hash__ = object.__hash__

    if not TYPE_CHECKING:
        value = property(attrgetter("_value_"))


class Side(Word):
    """The direction of a position."""

    LONG = "long"
    SHORT = "short"

    sign: int  # by which a rise of the price is multiplied to be a profit

    def __init__(self, name: str) -> None:
        self.sign = 1 if name == "long" else -1


class Deal(Word):
    """The direction of an order."""

    BUY = "buy"
    SELL = "sell"


class OrderKind(Word):
    """How an order meets the market. The value is its name in the settings."""

    MARKET = "market"
    IOC = "ioc"  # a limit: what does not fill at once is cancelled
    POST_ONLY = "post_only"  # rests at its price as a maker, or is cancelled by the venue where it would take


class MarginMode(Enum):
    CROSS = "cross"
    ISOLATED = "isolated"

    __hash__ = object.__hash__


class PositionMode(Enum):
    """NET: one signed position an instrument. HEDGE: a long and a short leg, each its own position."""

    NET = "net"
    HEDGE = "hedge"


class Conduct(Enum):
    """What the bot may do at all. The value is its name in the settings."""

    TRADE = "trade"
    GUARD = "guard"  # everything but entries: positions are protected, closed and reconciled
    WATCH = "watch"  # nothing is sent: drifts and uncovered time of any bot on the account are reported


class LegKey(msgspec.Struct, frozen=True, cache_hash=True):
    """What one position is known by. The instrument alone would let a long overwrite a short.

    In net mode an instrument has one row at the venue and hence one side at a time; it
    is still kept under the side that it has.
    """

    instrument: str
    side: Side
    margin: MarginMode = MarginMode.CROSS

    def __str__(self) -> str:
        return _text_of(self)


LEGS_NAMED = 1_024
"""More than five hundred symbols in both directions. A leg is named for every timer and every line."""


@lru_cache(maxsize=LEGS_NAMED)
def _text_of(leg: LegKey) -> str:
    return f"{leg.instrument}/{leg.side.value}"


class Instrument(msgspec.Struct, frozen=True):
    """The rules of one perpetual swap. Sizes are in contracts; ``contract_size`` is coins per contract."""

    name: str
    contract_size: Decimal
    tick_size: Decimal
    lot_size: Decimal
    min_size: Decimal
    max_market_size: Decimal
    max_stop_size: Decimal
    max_leverage: Decimal
    is_live: bool = True
    max_limit_size: Decimal | None = None  # None: as for market orders

    def coins(self, contracts: Decimal) -> Coin:
        return Coin(contracts * self.contract_size)

    def notional(self, contracts: Decimal, price: Decimal) -> Usd:
        return Usd(contracts * self.contract_size * price)

    def contracts_for(self, notional: Decimal, price: Decimal) -> Contracts:
        """The largest tradable number of contracts worth at most ``notional``; zero when below the minimum."""
        contracts = floor_to(notional / (self.contract_size * price), self.lot_size)
        return Contracts(contracts if contracts >= self.min_size else Decimal(0))

    def max_size(self, kind: OrderKind) -> Contracts:
        """The most contracts of one order of this kind."""
        if kind is OrderKind.MARKET or self.max_limit_size is None:
            return Contracts(self.max_market_size)
        return Contracts(self.max_limit_size)

    def price(self, value: Decimal) -> Price:
        """The nearest price on the tick."""
        return Price(_to_step(value, self.tick_size, ROUND_HALF_EVEN))

    def price_below(self, value: Decimal) -> Price:
        return Price(_to_step(value, self.tick_size, ROUND_DOWN))

    def price_above(self, value: Decimal) -> Price:
        return Price(_to_step(value, self.tick_size, ROUND_UP))


def _to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return ((value / step).to_integral_value(rounding) * step).quantize(step)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``value`` (for values of zero or more)."""
    return _to_step(value, step, ROUND_DOWN)


_OPENING = {Side.LONG: Deal.BUY, Side.SHORT: Deal.SELL}
_CLOSING = {Side.LONG: Deal.SELL, Side.SHORT: Deal.BUY}


def opening_deal(side: Side) -> Deal:
    return _OPENING[side]


def closing_deal(side: Side) -> Deal:
    return _CLOSING[side]
