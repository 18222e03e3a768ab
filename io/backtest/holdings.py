"""What the account of a back-test holds: positions, stops and orders, as the venue would keep them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.units import LegKey
from anchorwatch.machine.world import Ending, OrderReport, OrderState, StopReport

ZERO = Decimal(0)


@dataclass(slots=True)
class Position:
    leg: LegKey
    size: Decimal  # coins of one contract
    contracts: Decimal = ZERO
    average: Decimal = ZERO
    created_ms: int = 0
    updated_ms: int = 0
    funding: Decimal = ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        return self.leg.side.sign * self.contracts * self.size * (mark - self.average)


class Resting(msgspec.Struct, gc=False):
    """A stop that waits for mark. ``contracts`` None closes whatever is open."""

    report: StopReport
    leg: LegKey
    trigger: Decimal
    trigger_ticks: int
    fires_downward: bool


@dataclass(slots=True)
class Waiting:
    """A maker order in the book. ``ticks`` is its price; a trade beyond it fills it whole."""

    ticket: OrderTicket
    report: OrderReport
    ticks: int


@dataclass(slots=True)
class Account:
    cash: Decimal
    positions: dict[LegKey, Position] = field(default_factory=dict)
    stops: dict[str, Resting] = field(default_factory=dict)  # by the venue's id
    waiting: dict[str, Waiting] = field(default_factory=dict)  # by client id
    orders: dict[str, OrderReport] = field(default_factory=dict)  # of any state, by client id


def changed(
    report: OrderReport,
    at_ms: int,
    *,
    state: OrderState = OrderState.LIVE,
    price: Decimal | None = None,
    ending: Ending = Ending.ORDINARY,
) -> OrderReport:
    """The order as it is after something happened to it that is no fill."""
    return msgspec.structs.replace(
        report,
        state=state,
        price=report.price if price is None else price,
        fill=None,
        updated_ms=at_ms,
        ending=ending,
    )
