"""The records of the exchange: orders, algo orders, fills, bills. Plain data; the rules live elsewhere.

Sizes are in contracts, prices in USDT, times in milliseconds of exchange time. A client never sees these objects,
only the rows that `order_rows` writes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)

PENDING = ("live", "partially_filled")

# Why the system cancelled (OKX v5, `cancelSource`).
BY_USER = "1"
REDUCE_ONLY_LOST_POSITION = "2"
BY_RISK = "3"
FOK_UNFILLED = "13"
IOC_REMAINDER = "14"
BEYOND_PRICE_LIMIT = "15"
POSITION_MARKET_CLOSED = "17"
BY_CANCEL_ALL_AFTER = "20"
POSITION_CLOSED = "21"
POST_ONLY_WOULD_TAKE = "31"
SELF_TRADE = "32"

# Where a child order comes from (OKX v5, `source`).
FROM_TRIGGER = "6"
FROM_TP_SL = "7"
FROM_TRAILING = "25"


@dataclass(slots=True)
class AttachedStop:
    """A take-profit and/or stop-loss that an entry order carries. It becomes an algo order when the entry fills."""

    attach_id: str
    client_id: str
    tp_trigger_px: Decimal | None
    tp_trigger_type: str
    tp_order_px: Decimal | None
    sl_trigger_px: Decimal | None
    sl_trigger_type: str
    sl_order_px: Decimal | None
    # Of a trailing stop, which has no fixed levels.
    callback_ratio: Decimal | None = None
    callback_spread: Decimal | None = None
    active_px: Decimal | None = None
    # One of several take-profits: its part of the entry.
    contracts: Decimal | None = None
    fail_code: str = ""
    fail_reason: str = ""
    is_created: bool = False

    @property
    def is_trailing(self) -> bool:
        return self.callback_ratio is not None or self.callback_spread is not None


@dataclass(slots=True)
class Order:
    """One normal order. ``contracts`` is the total size, ``filled`` the part done, ``avg_px`` the average of that part."""

    order_id: str
    client_id: str
    tag: str
    account: str
    inst_id: str
    margin_mode: str
    side: str
    pos_side: str
    kind: str
    px: Decimal | None
    contracts: Decimal
    is_reduce_only: bool
    stp_mode: str
    lever: Decimal
    created_ms: int
    updated_ms: int
    state: str = "live"
    filled: Decimal = ZERO
    avg_px: Decimal = ZERO
    fee: Decimal = ZERO
    pnl: Decimal = ZERO
    last_px: Decimal | None = None
    last_contracts: Decimal = ZERO
    last_trade_id: str = ""
    last_fill_ms: int | None = None
    source: str = ""
    category: str = "normal"
    cancel_source: str = ""
    algo_id: str = ""
    algo_client_id: str = ""
    attached: list[AttachedStop] = field(default_factory=list)
    # The contracts of this order that would open a position, for which margin is held while it rests.
    opening: Decimal = ZERO
    # Acknowledged amendments that are not in force yet.
    amendments: int = 0

    @property
    def remaining(self) -> Decimal:
        return self.contracts - self.filled

    @property
    def is_pending(self) -> bool:
        return self.state in PENDING

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1


@dataclass(slots=True, frozen=True)
class Fill:
    """One execution of one order; ``fee`` negative when paid, ``pnl`` zero for the opening part."""

    bill_id: str
    trade_id: str
    order_id: str
    client_id: str
    tag: str
    inst_id: str
    side: str
    pos_side: str
    px: Decimal
    contracts: Decimal
    exec_type: str
    fee: Decimal
    fee_rate: Decimal
    pnl: Decimal
    mark_px: Decimal
    index_px: Decimal
    sub_type: str
    at_ms: int


@dataclass(slots=True, frozen=True)
class Bill:
    """One change of the cash balance. Type 2 is a trade, type 8 is funding (OKX v5, account bills)."""

    bill_id: str
    kind: str
    sub_type: str
    inst_id: str
    margin_mode: str
    order_id: str
    client_id: str
    trade_id: str
    contracts: Decimal
    px: Decimal
    pnl: Decimal
    fee: Decimal
    change: Decimal
    balance: Decimal
    at_ms: int


@dataclass(slots=True)
class AlgoOrder:
    """A conditional, oco, trigger or trailing order. Order prices are None for "at market" (``-1`` on the wire)."""

    algo_id: str
    client_id: str
    tag: str
    account: str
    inst_id: str
    margin_mode: str
    side: str
    pos_side: str
    kind: str
    contracts: Decimal | None
    closes_whole_position: bool
    is_reduce_only: bool
    cancels_on_close: bool
    lever: Decimal
    created_ms: int
    updated_ms: int
    tp_trigger_px: Decimal | None = None
    tp_trigger_type: str = ""
    tp_order_px: Decimal | None = None
    sl_trigger_px: Decimal | None = None
    sl_trigger_type: str = ""
    sl_order_px: Decimal | None = None
    trigger_px: Decimal | None = None
    trigger_type: str = ""
    order_px: Decimal | None = None
    advance_kind: str = ""
    callback_ratio: Decimal | None = None
    callback_spread: Decimal | None = None
    active_px: Decimal | None = None
    is_active: bool = False
    # The best price seen since activation: highest for a selling trailing stop, lowest for a buying one.
    extreme_px: Decimal | None = None
    # For `trigger`: the market stood above this trigger when it was placed, so it fires on the way down.
    fires_downward: bool = False
    attached: list[AttachedStop] = field(default_factory=list)
    state: str = "live"
    actual_side: str = ""
    actual_contracts: Decimal | None = None
    actual_px: Decimal | None = None
    child_order_id: str = ""
    child_client_id: str = ""
    trigger_ms: int | None = None
    fail_code: str = ""
    # The price when the order was made, shown as `last`.
    last_px: Decimal = ZERO

    @property
    def is_pending(self) -> bool:
        return self.state == "live"

    @property
    def move_trigger_px(self) -> Decimal | None:
        """Where a trailing stop stands now; None before its activation."""
        if self.extreme_px is None:
            return None
        if self.callback_spread is not None:
            distance = self.callback_spread
        else:
            distance = self.extreme_px * (self.callback_ratio or ZERO)
        return self.extreme_px - distance if self.side == "sell" else self.extreme_px + distance
