"""What an account is worth and what its positions demand (futures mode, one settlement currency).

Published formulas only (OKX v5 and its help articles on margin): OKX's own figures differ in reservations and
haircuts, so a client treats ``liqPx`` and ``mgnRatio`` as given and never recomputes them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.instruments import Instrument, Tier
from anchorwatch.io.venue.orders import ZERO, Order
from anchorwatch.io.venue.positions import Position

Mark = Callable[[str], Decimal]
InstrumentOf = Callable[[str], Instrument]


class Worth(NamedTuple):
    """One account's figures in USDT. ``ratio`` is None without positions; 1 or less means liquidation."""

    cash: Decimal
    upl: Decimal
    iso_upl: Decimal
    iso_margin: Decimal
    imr: Decimal
    mmr: Decimal
    order_frozen: Decimal
    notional: Decimal
    ratio: Decimal | None

    @property
    def equity(self) -> Decimal:
        return self.cash + self.upl + self.iso_upl

    @property
    def iso_equity(self) -> Decimal:
        return self.iso_margin + self.iso_upl

    @property
    def cross_equity(self) -> Decimal:
        """What backs the cross positions: everything except the isolated ones."""
        return self.cash + self.upl - self.iso_margin

    @property
    def frozen(self) -> Decimal:
        return self.imr + self.iso_margin + self.order_frozen

    @property
    def available(self) -> Decimal:
        return max(self.cross_equity - self.imr - self.order_frozen, ZERO)


class Margin:
    """Valuation against the mark price."""

    def __init__(self, mark: Mark, instrument: InstrumentOf) -> None:
        self._mark = mark
        self._instrument = instrument

    def tier(self, inst_id: str, contracts: Decimal) -> Tier:
        """The position tier that such a size falls into; the last one when it is beyond all."""
        tiers = self._instrument(inst_id).tiers
        size = abs(contracts)
        return next((tier for tier in tiers if size <= tier.max_sz), tiers[-1])

    def maintenance(self, position: Position) -> Decimal:
        return (
            position.notional(self._mark(position.inst_id))
            * self.tier(position.inst_id, position.contracts).mmr
        )

    def liquidation_fee(self, position: Position) -> Decimal:
        return position.notional(self._mark(position.inst_id)) * self._instrument(position.inst_id).taker_fee

    def worth(self, account: Account) -> Worth:
        upl = iso_upl = iso_margin = imr = mmr = fees = notional = ZERO
        for position in account.open_positions():
            mark = self._mark(position.inst_id)
            notional += position.notional(mark)
            if position.margin_mode == "isolated":
                iso_upl += position.unrealized(mark)
                iso_margin += position.margin
            else:
                upl += position.unrealized(mark)
                imr += position.notional(mark) / position.lever
                mmr += self.maintenance(position)
                fees += self.liquidation_fee(position)
        frozen = sum((self.order_margin(order) for order in account.pending.values()), ZERO)
        demanded = mmr + fees
        ratio = (account.cash + upl - iso_margin - frozen) / demanded if demanded else None
        return Worth(account.cash, upl, iso_upl, iso_margin, imr, mmr, frozen, notional, ratio)

    def order_margin(self, order: Order) -> Decimal:
        """Margin and fee held for what a resting order would open."""
        if order.opening <= 0 or order.px is None:
            return ZERO
        instrument = self._instrument(order.inst_id)
        open_part = min(order.opening, order.remaining)
        notional = open_part * instrument.coin_per_contract * order.px
        return notional / order.lever + notional * instrument.taker_fee

    def ratio(self, account: Account, position: Position) -> Decimal | None:
        """The margin ratio that decides about this position: its own in isolated mode, the account's in cross."""
        if position.margin_mode == "cross":
            return self.worth(account).ratio
        demanded = self.maintenance(position) + self.liquidation_fee(position)
        backing = position.margin + position.unrealized(self._mark(position.inst_id))
        return backing / demanded if demanded else None

    def liquidation_px(self, account: Account, position: Position) -> Decimal | None:
        """The mark price at which the ratio reaches 1, all else equal; None when no positive price does that."""
        if not position.is_open:
            return None
        if position.margin_mode == "isolated":
            backing = position.margin
        else:
            mark = self._mark(position.inst_id)
            worth = self.worth(account)
            others = worth.mmr - self.maintenance(position)
            backing = worth.cross_equity - worth.order_frozen - position.unrealized(mark) - others
        instrument = self._instrument(position.inst_id)
        rate = self.tier(position.inst_id, position.contracts).mmr + instrument.taker_fee
        coins = position.coins
        side = position.direction
        px = (coins * position.avg_px - side * backing) / (coins * (1 - side * rate))
        return px if px > 0 else None

    def affordable(self, account: Account, inst_id: str, lever: Decimal, px: Decimal) -> Decimal:
        """Contracts that the free margin opens at this price, fee included, rounded down to the lot."""
        instrument = self._instrument(inst_id)
        one = instrument.coin_per_contract * px * (1 / lever + instrument.taker_fee)
        contracts = self.worth(account).available / one
        return (contracts / instrument.lot_sz).to_integral_value(ROUND_DOWN) * instrument.lot_sz
