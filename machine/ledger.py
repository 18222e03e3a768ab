"""Fills → average-cost position, fees and realised pnl, of one leg.

OKX v5: a closing fill of ``n`` contracts realises
``sign × n × contract size × (fill price − average entry)``; the average entry is the
size-weighted mean of the opening fills and does not change on a reduction; the fee is
``n × contract size × price × rate``. The venue's own ledger is an independent
implementation, and the two are compared on every run.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine.units import Contracts, Price, Side, Usd

ZERO = Decimal(0)


class Account(msgspec.Struct, frozen=True, gc=False):
    """What the fills of one leg add up to. ``fees`` are positive when paid."""

    side: Side
    contract_size: Decimal
    contracts: Contracts = Contracts(ZERO)
    average_price: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO

    def opened(self, contracts: Decimal, price: Decimal, fee: Decimal) -> Account:
        """After a fill that adds to the position."""
        total = Contracts(self.contracts + contracts)
        average = (self.contracts * self.average_price + contracts * price) / total
        return msgspec.structs.replace(self, contracts=total, average_price=average, fees=self.fees + fee)

    def closed(self, contracts: Decimal, price: Decimal, fee: Decimal) -> Account:
        """After a fill that takes from the position.

        Raises `ValueError` when it takes more than there is: the fills are not complete.
        """
        if contracts > self.contracts:
            raise ValueError(f"{contracts} closed of {self.contracts}")
        left = Contracts(self.contracts - contracts)
        return msgspec.structs.replace(
            self,
            contracts=left,
            average_price=self.average_price if left else ZERO,
            realised=self.realised + self.pnl_of(contracts, price),
            fees=self.fees + fee,
        )

    def pnl_of(self, contracts: Decimal, price: Decimal) -> Usd:
        """What closing ``contracts`` at ``price`` realises, before the fee."""
        return Usd(self.side.sign * contracts * self.contract_size * (price - self.average_price))

    def restated(self, contracts: Decimal, average_price: Decimal) -> Account:
        """The venue's figures, where fills were missed."""
        return msgspec.structs.replace(
            self, contracts=Contracts(contracts), average_price=Price(average_price)
        )

    def settled(self, realised: Decimal, fees: Decimal) -> Account:
        """Flat, with what the venue's record of the whole position says that it realised, and what it cost."""
        return msgspec.structs.replace(self, contracts=ZERO, average_price=ZERO, realised=realised, fees=fees)
