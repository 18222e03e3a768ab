"""What the trading rooms of the exchange report to whoever listens: the seam between rules and pushes."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.orders import AlgoOrder, Fill, Order
from anchorwatch.io.venue.positions import Position


class Amendment(NamedTuple):
    """How an amendment ended: result "0" done, "-1" failed and the order continues, "1" failed and cancelled."""

    req_id: str = ""
    result: str = ""
    source: str = ""
    code: str = "0"
    text: str = ""


class Announcer(Protocol):
    """Told after the fact, in the order in which it happened; may not trade in answer."""

    def order_changed(
        self, account: Account, order: Order, fill: Fill | None, amendment: Amendment
    ) -> None: ...

    def algo_changed(self, account: Account, algo: AlgoOrder, amendment: Amendment) -> None: ...

    def position_changed(self, account: Account, position: Position, cause: str, trade_id: str) -> None: ...

    def balance_changed(self, account: Account, cause: str) -> None: ...

    def trade_printed(
        self, inst_id: str, trade_id: str, px: Decimal, contracts: Decimal, taker_side: str
    ) -> None: ...
