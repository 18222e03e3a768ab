"""What trading costs in a back-test, and how fast it is: the numbers of the section ``[backtest]``."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import count, repeat

import msgspec
import numpy as np

from anchorwatch.io.settings.backtest import Backtest, Funding
from anchorwatch.io.venue import basis
from anchorwatch.io.venue.fill import latencies_ms
from anchorwatch.machine.units import Deal

ZERO = Decimal(0)
BUY = Deal.BUY

LATENCIES = 1_024
"""Requests whose latencies are drawn at once: a few kilobytes, and some days of scalping."""


class Costs(msgspec.Struct, frozen=True):
    cash: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    slippage: Decimal
    depth: Decimal
    latency_base_ms: int
    latency_jitter_ms: int
    funding: Funding
    fixed_rate: Decimal
    seed: int

    def slipped(self, price: Decimal, deal: Deal, tick: Decimal) -> Decimal:
        """The price made worse by the slippage, on the tick."""
        if not self.slippage:
            return price
        if deal is BUY:
            return (price * (1 + self.slippage) / tick).to_integral_value(ROUND_CEILING) * tick
        return max(tick, (price * (1 - self.slippage) / tick).to_integral_value(ROUND_FLOOR) * tick)

    def latencies_ms(self) -> Iterator[int]:
        """From sending each request, the first, the second and so on, to its arrival at the venue, and back at once."""
        base_ms, jitter_ms = self.latency_base_ms, self.latency_jitter_ms
        if not base_ms and not jitter_ms:
            yield from repeat(0)
        for first in count(1, LATENCIES):
            numbers = np.arange(first, first + LATENCIES)
            yield from latencies_ms(self.seed, numbers, base_ms=base_ms, jitter_ms=jitter_ms).tolist()

    def funding_rate(self, key: int, due_ms: int) -> Decimal:
        """The rate of one settlement, paid by longs where positive."""
        match self.funding:
            case Funding.EMBEDDED:
                return basis.funding_rate(key, due_ms)
            case Funding.FIXED:
                return self.fixed_rate
            case Funding.NONE:
                return ZERO


def costs_of(settings: Backtest, seed: int) -> Costs:
    return Costs(
        cash=settings.cash_usd,
        maker_fee=settings.maker_fee,
        taker_fee=settings.taker_fee,
        slippage=settings.slippage_fraction,
        depth=settings.depth_fraction,
        latency_base_ms=settings.latency_ms,
        latency_jitter_ms=settings.latency_jitter_ms,
        funding=settings.funding,
        fixed_rate=settings.funding_rate,
        seed=seed,
    )
