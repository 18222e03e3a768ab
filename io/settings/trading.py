"""The sections [strategy], [sizing] and [entry]: what wants a position, of which size, and how it meets the market."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import msgspec

from anchorwatch.io.settings.rule import Rule
from anchorwatch.machine.parameters import Unfilled
from anchorwatch.machine.sizing import SizedBy
from anchorwatch.machine.units import OrderKind


class Sides(Enum):
    LONG = "long"
    SHORT = "short"
    BOTH = "both"


class Strategy(msgspec.Struct, frozen=True):
    """The default is the regime-adaptive scalper: it shows a strategy that a scalper recognises, and claims no profit.

    While a strategy thinks, nothing else is done: no stop follows, nothing is closed. 2 s are as long as the loop may lag before that is
    an alarm, and less than half of the 5 s that a position may be without its stop; each symbol is a question of its own. Code in C that does not return to Python, and a bare
    `except` that catches whatever comes, may outlast it: then the stops at the exchange are what protects.
    """

    name: Annotated[
        str,
        Rule(
            "which strategy decides the entries: scalper, ema_cross, one that an installed package offers "
            "(entry point anchorwatch.strategies), or a class in a file of one's own: my_file.py:MyClass"
        ),
    ] = "scalper"
    settings: Annotated[
        dict[str, Any],
        Rule("a section of its own: the strategy's settings by their names", default="its own"),
    ] = {}
    within_s: Annotated[
        float,
        Rule(
            "how long a running bot waits for its answer, in which nothing else is done: after that it is interrupted where "
            "it stands, counts as failed, and is asked no more until the next start; a back-test waits",
            unit="s",
            at_least="0.05",
            at_most="5",
        ),
    ] = 2.0
    fast: Annotated[
        int,
        Rule(
            "ema_cross: period of the fast average",
            unit="1m candles",
            at_least="2",
            at_most="299",
            per_symbol=True,
        ),
    ] = 8
    slow: Annotated[
        int,
        Rule(
            "ema_cross: period of the slow average",
            unit="1m candles",
            at_least="3",
            at_most="300",
            per_symbol=True,
        ),
    ] = 21
    sides: Annotated[Sides, Rule("which positions it may open", per_symbol=True)] = Sides.BOTH
    min_gap_fraction: Annotated[
        Decimal,
        Rule(
            "ema_cross: how far apart the averages must be for a signal",
            unit="of price",
            at_least="0",
            below="0.1",
            per_symbol=True,
        ),
    ] = Decimal(0)
    cooldown_s: Annotated[
        int,
        Rule(
            "wait after a close before the same symbol is entered again",
            unit="s",
            at_least="0",
            at_most="86400",
            per_symbol=True,
        ),
    ] = 60
    cooldown_after_loss_s: Annotated[
        int,
        Rule(
            "the same after a loss, where it is longer",
            unit="s",
            at_least="0",
            at_most="86400",
            per_symbol=True,
        ),
    ] = 180
    cooldown_opposite_s: Annotated[
        int,
        Rule(
            "wait before the opposite side is entered",
            unit="s",
            at_least="0",
            at_most="86400",
            per_symbol=True,
        ),
    ] = 5


class Sizing(msgspec.Struct, frozen=True):
    """A fixed worth, or what a stop may cost of the equity as it is now.

    By risk, the margin is bounded by the profile of the balance, the original's: micro below 500 USD 25 %, small below 1500 15 %,
    medium below 3000 10 %, large 5 %; and the worth to 15–450, 50–1350, 150–3000 and 300–15000 USD. Regimes multiply the risk by
    1.3 (trending), 1.2 (ranging) and 1.0 (choppy). The default is the fixed worth of the original's limit of a single position.
    """

    by: Annotated[SizedBy, Rule("notional: notional_usd; risk: risk_fraction", per_symbol=True)] = (
        SizedBy.NOTIONAL
    )
    risk_fraction: Annotated[
        Decimal,
        Rule(
            "by risk: what a stop may cost, fees included",
            unit="of equity",
            above="0",
            at_most="0.1",
            per_symbol=True,
        ),
    ] = Decimal("0.01")
    notional_usd: Annotated[
        Decimal,
        Rule(
            "by notional: worth of a new position", unit="USD", above="0", at_most="10000000", per_symbol=True
        ),
    ] = Decimal(150)
    max_positions: Annotated[
        int, Rule("positions open at once, over all symbols", at_least="1", at_most="100")
    ] = 5


class Entry(msgspec.Struct, frozen=True):
    """How an entry meets the market.

    A taker pays 0.05 % at each end of a trade, a maker 0.02 % (OKX's regular tier): of a scalper's small profits the
    taker fees are the largest part that is spent. So an entry rests as a maker by default. What that gives up is
    fills: a signal whose price runs away is let go. 20 s are a third of the candle that made the signal; a drift
    of 0.05 % is a twelfth of the default stop's distance, and about what crossing at once would have paid in fees.
    """

    order_kind: Annotated[
        OrderKind,
        Rule(
            "post_only: rests at the best price, repriced in place; ioc: takes up to drift_fraction beyond the best "
            "price; market: takes at any price",
            per_symbol=True,
        ),
    ] = OrderKind.POST_ONLY
    rest_s: Annotated[
        int,
        Rule(
            "post_only: how long it may rest in all", unit="s", at_least="1", at_most="3600", per_symbol=True
        ),
    ] = 20
    reprice_ticks: Annotated[
        int,
        Rule(
            "post_only: repriced when the best price is this far ahead of it",
            unit="ticks",
            at_least="1",
            at_most="10000",
            per_symbol=True,
        ),
    ] = 2
    reprice_every_s: Annotated[
        int,
        Rule(
            "post_only: and not more often than this", unit="s", at_least="1", at_most="3600", per_symbol=True
        ),
    ] = 2
    reprices_max: Annotated[
        int, Rule("post_only: at most this often", at_least="0", at_most="100", per_symbol=True)
    ] = 5
    drift_fraction: Annotated[
        Decimal,
        Rule(
            "how far an entry follows the market from the price at which it was decided",
            unit="of price",
            at_least="0",
            below="0.1",
            per_symbol=True,
        ),
    ] = Decimal("0.0005")
    unfilled: Annotated[
        Unfilled,
        Rule(
            "post_only, when its time is over, for what has not filled: let_go, or cross as an IOC within "
            "drift_fraction",
            per_symbol=True,
        ),
    ] = Unfilled.LET_GO
    # OKX v5 takes 10 to 120 s. Shorter than most rests are long; renewed three times in it.
    dead_man_s: Annotated[
        int,
        Rule(
            "post_only: the exchange cancels what rests when the bot has been silent for this long; 0: never",
            unit="s",
            at_least="0",
            at_most="120",
        ),
    ] = 30
