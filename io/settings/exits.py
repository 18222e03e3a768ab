"""The section [exits]: when a position has done its work, has lived too long, or loses for too long."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from anchorwatch.io.settings.rule import Rule


def _share(meaning: str) -> Rule:
    return Rule(meaning, unit="of price", at_least="0", below="1")


def _minutes(meaning: str) -> Rule:
    return Rule(meaning, unit="min", at_least="0", at_most="525600")


class ExitSection(msgspec.Struct, frozen=True):
    """By the regime at the entry; where a strategy follows none, protection.max_holding_min alone holds. 0 is never.

    The original's percents are of the margin at 5×, so a fifth of each is the share of the price: losers are timed out at 0.3 %,
    0.4 % and 0.16 %. Read as shares of the price they would lie beyond the stop and never act. Its 120 minutes for losers in a
    ranging market lie beyond its own longest holding of 15 there: 10 stand here. At which profit its half is taken it does not
    say: at half the way to the take-profit.
    """

    partial_at_fraction: Annotated[Decimal, _share("profit at which a part is closed, once")] = Decimal(
        "0.005"
    )
    partial_share: Annotated[Decimal, Rule("that part", unit="of the position", at_least="0", below="1")] = (
        Decimal("0.5")
    )
    trending_max_min: Annotated[int, _minutes("longest holding, trending")] = 45
    ranging_max_min: Annotated[int, _minutes("the same, ranging")] = 15
    choppy_max_min: Annotated[int, _minutes("the same, choppy or not known")] = 10
    trending_loser_min: Annotated[int, _minutes("a loser is closed after this, trending")] = 7
    ranging_loser_min: Annotated[int, _minutes("the same, ranging")] = 10
    choppy_loser_min: Annotated[int, _minutes("the same, choppy or not known")] = 3
    trending_loser_fraction: Annotated[Decimal, _share("a loser is this far behind, trending")] = Decimal(
        "0.003"
    )
    ranging_loser_fraction: Annotated[Decimal, _share("the same, ranging")] = Decimal("0.004")
    choppy_loser_fraction: Annotated[Decimal, _share("the same, choppy or not known")] = Decimal("0.0016")
