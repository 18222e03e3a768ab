"""The sections [limits] and [guards]: what may be lost and held, and when the guards step in."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from anchorwatch.io.settings.rule import Rule


def _share(meaning: str, below: str = "1") -> Rule:
    return Rule(meaning, unit="share", at_least="0", below=below)


class LimitSettings(msgspec.Struct, frozen=True):
    """Shares of losses are of the equity at the beginning, of the UTC day or of the first one; 0 is no limit.

    A halt stays over restarts until it is cleared by name (--clear-halt), and counting begins anew with it. Daily loss, losses
    in a row and their pause are the original's. Of its drawdowns, 6 to 8 %, the widest stands, because one day may take 5 %.
    Its 600 USD in all contradict five positions of 150 USD each: 1000 leave room for prices that move.
    """

    daily_loss: Annotated[Decimal, _share("a day that loses this much halts entries")] = Decimal("0.05")
    drawdown: Annotated[Decimal, _share("a fall from the best result by this much halts entries")] = Decimal(
        "0.08"
    )
    losses_in_row: Annotated[
        int, Rule("so many losses in a row pause their symbol", at_least="0", at_most="1000")
    ] = 5
    losses_pause_s: Annotated[int, Rule("for this long", unit="s", at_least="0", at_most="604800")] = 1800
    margin_share: Annotated[
        Decimal, _share("margin in use, entries under way included, of the equity", below="1.0001")
    ] = Decimal("0.85")
    total_usd: Annotated[
        Decimal,
        Rule(
            "worth of all positions, entries under way included",
            unit="USD",
            at_least="0",
            at_most="1000000000",
        ),
    ] = Decimal(1000)
    correlation: Annotated[
        Decimal,
        Rule(
            "no second position of one direction in markets whose minutes correlate more than this; 1: no limit",
            at_least="0",
            at_most="1",
        ),
    ] = Decimal("0.85")


class GuardSettings(msgspec.Struct, frozen=True):
    """The liquidation guard judges by the share of the way from entry to liquidation that is left.

    The original judged by the margin ratio alone, 1.8 down to 1.05: at a maintenance margin of 0.4 %, 1.8 lies 0.3 % of the
    price before the liquidation, nearer than a stop. Ratios are the second opinion here, further out. The slippage guard's
    spreads and drifts per regime are the original's; where the regime is not followed the ranging ones hold.
    """

    room_warning: Annotated[Decimal, _share("left of the way to liquidation: a warning")] = Decimal("0.35")
    room_danger: Annotated[Decimal, _share("an alarm, and no entries of the symbol")] = Decimal("0.25")
    room_close: Annotated[Decimal, _share("the position is closed")] = Decimal("0.15")
    ratio_warning: Annotated[
        Decimal, Rule("margin ratio of a warning; the venue liquidates at 1", at_least="0", at_most="1000")
    ] = Decimal(3)
    ratio_danger: Annotated[Decimal, Rule("of an alarm", at_least="0", at_most="1000")] = Decimal(2)
    ratio_close: Annotated[Decimal, Rule("at which it is closed", at_least="0", at_most="1000")] = Decimal(
        "1.5"
    )
    spread_trending: Annotated[Decimal, _share("widest spread for entries, trending")] = Decimal("0.0008")
    spread_ranging: Annotated[Decimal, _share("the same, ranging")] = Decimal("0.0005")
    spread_choppy: Annotated[Decimal, _share("the same, choppy")] = Decimal("0.0004")
    drift_trending: Annotated[
        Decimal, _share("an entry is given up when mark has run so far from its decision, trending")
    ] = Decimal("0.0015")
    drift_ranging: Annotated[Decimal, _share("the same, ranging")] = Decimal("0.0010")
    drift_choppy: Annotated[Decimal, _share("the same, choppy")] = Decimal("0.0008")
