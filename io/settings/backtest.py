"""The section ``[backtest]``: what trading costs on recorded candles, and what their holes mean."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Annotated

import msgspec

from anchorwatch.io.settings.rule import Rule


class Funding(Enum):
    """Where a back-test takes its funding rates from: the file of candles has none."""

    EMBEDDED = "embedded"
    FIXED = "fixed"
    NONE = "none"


class Holes(Enum):
    """What a back-test does about minutes that its file lacks."""

    SIT_OUT = "sit_out"
    REFUSE = "refuse"


class Backtest(msgspec.Struct, frozen=True):
    """Only ``anchorwatch backtest`` reads these. Fees are OKX's for regular users; a rebate is no setting, because
    no regular user gets one. The latency is what a bot in the venue's region sees."""

    cash_usd: Annotated[
        Decimal, Rule("what the account begins with", unit="USD", above="0", at_most="1000000000")
    ] = Decimal(10_000)
    maker_fee: Annotated[
        Decimal, Rule("paid by an order that rested", unit="of worth", at_least="0", below="0.1")
    ] = Decimal("0.0002")
    taker_fee: Annotated[
        Decimal, Rule("paid by an order that takes", unit="of worth", at_least="0", below="0.1")
    ] = Decimal("0.0005")
    slippage_fraction: Annotated[
        Decimal,
        Rule(
            "taken off every taker's price, beyond spread and depth",
            unit="of price",
            at_least="0",
            below="0.1",
        ),
    ] = Decimal(0)
    depth_fraction: Annotated[
        Decimal,
        Rule(
            "which share of the invented book is there for us; less means more partial fills, at worse prices",
            above="0",
            at_most="1",
        ),
    ] = Decimal(1)
    latency_ms: Annotated[
        int, Rule("from a request to its arrival at the venue", unit="ms", at_least="0", at_most="60000")
    ] = 30
    latency_jitter_ms: Annotated[
        int, Rule("and up to so much more, by the seed", unit="ms", at_least="0", at_most="60000")
    ] = 20
    funding: Annotated[
        Funding,
        Rule(
            "rates: embedded invents them as the embedded exchange does, fixed takes funding_rate, none pays none"
        ),
    ] = Funding.EMBEDDED
    funding_rate: Annotated[
        Decimal, Rule("every eight hours, where funding is fixed", at_least="-0.01", at_most="0.01")
    ] = Decimal("0.0001")
    holes: Annotated[
        Holes,
        Rule(
            "minutes that the file lacks: sit_out keeps entries shut until the history is whole again, refuse ends"
        ),
    ] = Holes.SIT_OUT
