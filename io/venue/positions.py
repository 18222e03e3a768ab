"""One position of one account, kept at average cost (linear, USDT-settled).

A fill in the position's direction moves the average price; a fill against it realises profit and leaves the average
alone. A fill that turns a net position around is booked as two: the closing part, then the opening of a new life.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from anchorwatch.io.venue.orders import ZERO

PositionKey = tuple[str, str, str]


@dataclass(slots=True)
class Position:
    """``contracts`` is signed in net mode; in hedge mode it is positive and ``pos_side`` names the direction."""

    pos_id: str
    inst_id: str
    margin_mode: str
    pos_side: str
    # Coins per contract: ctVal times ctMult.
    coin_per_contract: Decimal
    lever: Decimal
    created_ms: int
    updated_ms: int
    contracts: Decimal = ZERO
    avg_px: Decimal = ZERO
    # Isolated margin held by this position; zero in cross mode.
    margin: Decimal = ZERO
    pnl: Decimal = ZERO
    fee: Decimal = ZERO
    funding: Decimal = ZERO
    liq_penalty: Decimal = ZERO
    trade_id: str = ""
    # Of the life since it was last flat: the largest size, and what has been closed at which average price.
    max_contracts: Decimal = ZERO
    closed_contracts: Decimal = ZERO
    closed_value: Decimal = ZERO

    @property
    def key(self) -> PositionKey:
        return (self.inst_id, self.margin_mode, self.pos_side)

    @property
    def direction(self) -> int:
        """+1 long, -1 short, 0 flat."""
        if self.contracts == 0:
            return 0
        if self.pos_side == "net":
            return 1 if self.contracts > 0 else -1
        return 1 if self.pos_side == "long" else -1

    @property
    def is_open(self) -> bool:
        return self.contracts != 0

    @property
    def coins(self) -> Decimal:
        return abs(self.contracts) * self.coin_per_contract

    @property
    def realized(self) -> Decimal:
        return self.pnl + self.fee + self.funding + self.liq_penalty

    def unrealized(self, px: Decimal) -> Decimal:
        """Profit in USDT if it were closed at `px`, before fees."""
        return self.direction * self.coins * (px - self.avg_px)

    def notional(self, px: Decimal) -> Decimal:
        return self.coins * px

    def closable_by(self, side: str) -> Decimal:
        """How many contracts a fill of this side would close."""
        return abs(self.contracts) if self.direction * (1 if side == "buy" else -1) < 0 else ZERO

    def apply(self, side: str, contracts: Decimal, px: Decimal, *, at_ms: int) -> Decimal:
        """Take one fill that either opens or closes, never both; returns the profit it realised before fees."""
        assert contracts > 0
        closable = self.closable_by(side)
        assert closable == 0 or contracts <= closable, "a fill that turns a position is two fills"
        self.updated_ms = at_ms
        if closable:
            pnl = self.direction * contracts * self.coin_per_contract * (px - self.avg_px)
            self.margin -= self.margin * contracts / abs(self.contracts)
            self.contracts -= contracts * (1 if self.contracts > 0 else -1)
            self.closed_contracts += contracts
            self.closed_value += contracts * px
            self.pnl += pnl
            return pnl
        if not self.is_open:
            self._begin(at_ms)
        size = abs(self.contracts)
        self.avg_px = (size * self.avg_px + contracts * px) / (size + contracts)
        if self.margin_mode == "isolated":
            self.margin += contracts * self.coin_per_contract * px / self.lever
        is_short_net = self.pos_side == "net" and side == "sell"
        self.contracts += -contracts if is_short_net else contracts
        self.max_contracts = max(self.max_contracts, abs(self.contracts))
        return ZERO

    def _begin(self, at_ms: int) -> None:
        """A new life: what was earned by the one before is history."""
        self.created_ms = at_ms
        self.avg_px = self.margin = self.pnl = self.fee = self.funding = self.liq_penalty = ZERO
        self.max_contracts = self.closed_contracts = self.closed_value = ZERO
