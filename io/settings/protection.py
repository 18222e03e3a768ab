"""The section [protection]: where stops lie, and how they follow."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from anchorwatch.io.settings.rule import Rule


class Protection(msgspec.Struct, frozen=True):
    """Distances are shares of the price, because a stop rests at a price whatever the leverage is.

    A stop of 1 % of the margin would, at 5×, lie 0.2 % away: twice what a taker pays for the round trip (0.1 %),
    and inside a quiet minute's range. 0.6 % puts the fees at a sixth of the risk. The trailing stop wakes at
    +0.4 % and then lies 0.3 % behind the peak, so that its first level already pays the round trip. The
    take-profit of 1 % is the original's 5 % of the margin at 5×.
    """

    stop_fraction: Annotated[
        Decimal,
        Rule(
            "distance of the protective stop from the entry",
            unit="of price",
            above="0",
            below="1",
            per_symbol=True,
        ),
    ] = Decimal("0.006")
    trail_fraction: Annotated[
        Decimal,
        Rule(
            "distance of the trailing stop from the peak",
            unit="of price",
            above="0",
            below="1",
            per_symbol=True,
        ),
    ] = Decimal("0.003")
    trail_activation_fraction: Annotated[
        Decimal,
        Rule(
            "profit at which the stop begins to trail",
            unit="of price",
            at_least="0",
            below="1",
            per_symbol=True,
        ),
    ] = Decimal("0.004")
    take_profit_fraction: Annotated[
        Decimal,
        Rule(
            "profit at which the position is closed; 0: never for profit",
            unit="of price",
            at_least="0",
            below="10",
            per_symbol=True,
        ),
    ] = Decimal("0.01")
    catastrophe_fraction: Annotated[
        Decimal,
        Rule(
            "distance from mark of the stop that a position of unknown history gets at once",
            unit="of price",
            above="0",
            below="1",
            per_symbol=True,
        ),
    ] = Decimal("0.05")
    min_move_ticks: Annotated[
        int, Rule("a stop is moved by at least this", unit="ticks", at_least="1", at_most="10000")
    ] = 2
    min_move_fraction: Annotated[
        Decimal,
        Rule("and by at least this share of its distance from mark", at_least="0", below="1"),
    ] = Decimal("0.05")
    max_holding_min: Annotated[
        int,
        Rule(
            "a position is closed after this long; 0: never for its age",
            unit="min",
            at_least="0",
            at_most="525600",
            per_symbol=True,
        ),
    ] = 45
