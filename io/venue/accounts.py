"""Accounts: who may trade, with which keys, and everything the exchange keeps about each of them.

An account here is what OKX calls a sub-account: it has its own user id, balance, position mode and rate limits.
Accounts with the same ``master`` share self-trade prevention.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from anchorwatch.io.venue.orders import ZERO, AlgoOrder, Bill, Fill, Order
from anchorwatch.io.venue.positions import Position, PositionKey

# What a new account trades at until it says otherwise.
DEFAULT_LEVER = Decimal(3)
# Finished records kept per account and kind, the oldest go first: a hundred of OKX's longest pages. OKX forgets by age, an
# unfilled order after two hours; at a kilobyte a record and five kinds this is what a busy account may take, 50 MB.
RECORDS_MAX = 10_000


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key. ``permissions`` as OKX writes them; ``ips`` empty means bound to none; the secret stays out of reprs.

    A key belongs to the demo or to the production environment; ``serves_both`` accepts either header, which spares
    the users of an exchange on loopback from setting it.
    """

    key: str
    secret: str
    passphrase: str
    permissions: str = "read_only,trade"
    is_demo: bool = False
    serves_both: bool = True
    ips: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ApiKey({self.key!r}, permissions={self.permissions!r})"


DEFAULT_KEY = ApiKey("sim-key", "sim-secret", "sim-pass")


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an account begins: its cash in USDT, its account level (2 futures), position mode and keys."""

    name: str = "main"
    uid: str = "446700000000000001"
    master: str = "main"
    keys: tuple[ApiKey, ...] = (DEFAULT_KEY,)
    cash: Decimal = Decimal(10_000)
    level: str = "2"
    pos_mode: str = "net_mode"


@dataclass(slots=True, frozen=True)
class PositionHistory:
    """A closing of a position, as positions-history shows it. Kind 1 partial, 2 full, 3 liquidation, 4 partial one."""

    pos_id: str
    inst_id: str
    margin_mode: str
    pos_side: str
    direction: str
    kind: str
    lever: Decimal
    open_avg_px: Decimal
    close_avg_px: Decimal
    max_contracts: Decimal
    closed_contracts: Decimal
    pnl: Decimal
    fee: Decimal
    funding: Decimal
    liq_penalty: Decimal
    created_ms: int
    updated_ms: int

    @property
    def realized(self) -> Decimal:
        return self.pnl + self.fee + self.funding + self.liq_penalty


@dataclass(slots=True)
class Account:
    """The state of one account. Isolated margins are earmarked inside ``cash``, not taken out of it."""

    spec: AccountSpec
    cash: Decimal
    pos_mode: str
    updated_ms: int
    levers: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    pending: dict[str, Order] = field(default_factory=dict)
    done: deque[Order] = field(default_factory=lambda: deque(maxlen=RECORDS_MAX))
    algos: dict[str, AlgoOrder] = field(default_factory=dict)
    algos_done: deque[AlgoOrder] = field(default_factory=lambda: deque(maxlen=RECORDS_MAX))
    fills: deque[Fill] = field(default_factory=lambda: deque(maxlen=RECORDS_MAX))
    bills: deque[Bill] = field(default_factory=lambda: deque(maxlen=RECORDS_MAX))
    # By position id and beginning: one row per life of a position, rewritten while that life is being closed. The row
    # that was written last is the last one.
    history: dict[tuple[str, int], PositionHistory] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def is_hedged(self) -> bool:
        return self.pos_mode == "long_short_mode"

    def lever(self, inst_id: str, margin_mode: str, pos_side: str) -> Decimal:
        """The leverage set for new positions; cross has one per instrument, isolated hedge one per side."""
        return self.levers.get(lever_key(inst_id, margin_mode, pos_side), DEFAULT_LEVER)

    def position(self, inst_id: str, margin_mode: str, pos_side: str) -> Position | None:
        """The open position under this key, or None."""
        found = self.positions.get((inst_id, margin_mode, pos_side))
        return found if found is not None and found.is_open else None

    def keep_history(self, row: PositionHistory) -> None:
        """Write the row of this life of the position, over an earlier one."""
        key = (row.pos_id, row.created_ms)
        self.history.pop(key, None)
        self.history[key] = row
        while len(self.history) > RECORDS_MAX:
            del self.history[next(iter(self.history))]

    def open_positions(self) -> Iterator[Position]:
        return (each for each in self.positions.values() if each.is_open)

    def orders_of(self, inst_id: str) -> list[Order]:
        return [order for order in self.pending.values() if order.inst_id == inst_id]

    def find_order(self, order_id: str, client_id: str) -> Order | None:
        """By exchange id, which wins, or by client id: the pending one, else the latest that bore it."""
        if order_id:
            if order_id in self.pending:
                return self.pending[order_id]
            return next((order for order in reversed(self.done) if order.order_id == order_id), None)
        if not client_id:
            return None
        pending = self.pending_with(client_id)
        if pending is not None:
            return pending
        return next((order for order in reversed(self.done) if order.client_id == client_id), None)

    def pending_with(self, client_id: str) -> Order | None:
        return next((order for order in self.pending.values() if order.client_id == client_id), None)

    def find_algo(self, algo_id: str, client_id: str) -> AlgoOrder | None:
        if algo_id:
            if algo_id in self.algos:
                return self.algos[algo_id]
            return next((algo for algo in reversed(self.algos_done) if algo.algo_id == algo_id), None)
        if not client_id:
            return None
        every = [*self.algos.values(), *self.algos_done]
        return next((algo for algo in reversed(every) if algo.client_id == client_id), None)


def lever_key(inst_id: str, margin_mode: str, pos_side: str) -> tuple[str, str, str]:
    """Where the leverage of such a position is kept."""
    return (
        inst_id,
        margin_mode,
        pos_side if margin_mode == "isolated" and pos_side in ("long", "short") else "",
    )


def new_account(spec: AccountSpec, now_ms: int) -> Account:
    return Account(spec, spec.cash if spec.cash > 0 else ZERO, spec.pos_mode, now_ms)
