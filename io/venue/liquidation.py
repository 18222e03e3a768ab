"""Liquidation and auto-deleveraging: what happens when margin does not cover the risk, or on command.

A position of tier 3 or higher is first cut down by two tiers; below that it is closed whole. The order is the
exchange's own: no client id, a negative trade id, executed at the mark price, with the position's remaining
maintenance margin taken as the penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.clearing import Clearing
from anchorwatch.io.venue.ids import Ids
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.margin import Margin
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.matching import Matching
from anchorwatch.io.venue.orders import BY_RISK, Order
from anchorwatch.io.venue.positions import Position

# Positions from this tier on are reduced step by step (OKX help, "liquidation").
PARTIAL_FROM_TIER = 3
TIERS_PER_STEP = 2


class Liquidation:
    """Watches margin ratios against the mark price."""

    def __init__(
        self,
        market: Market,
        instrument: Callable[[str], Instrument],
        margin: Margin,
        matching: Matching,
        clearing: Clearing,
        ids: Ids,
        accounts: Mapping[str, Account],
        now_ms: Callable[[], int],
    ) -> None:
        self._market = market
        self._instrument = instrument
        self._margin = margin
        self._matching = matching
        self._clearing = clearing
        self._ids = ids
        self._accounts = accounts
        self._now_ms = now_ms

    def watch(self, inst_id: str) -> None:
        """Liquidate, in every account, what the instrument's new mark price has left without cover."""
        for account in self._accounts.values():
            for position in list(account.open_positions()):
                if position.inst_id != inst_id or not position.is_open:
                    continue
                ratio = self._margin.ratio(account, position)
                if ratio is not None and ratio <= 1:
                    self._liquidate(account, position)

    def deleverage(self, account: Account, position: Position, contracts: Decimal) -> Order:
        """Auto-deleveraging on command: close that much of the position at the mark price, without penalty."""
        return self._close(account, position, min(contracts, abs(position.contracts)), "adl")

    def _liquidate(self, account: Account, position: Position) -> None:
        # Pending orders go first: what they hold may be enough.
        for order in list(account.pending.values()):
            if position.margin_mode == "cross" or order.inst_id == position.inst_id:
                self._matching.cancel(order, BY_RISK)
        ratio = self._margin.ratio(account, position)
        while position.is_open and ratio is not None and ratio <= 1:
            tiers = self._instrument(position.inst_id).tiers
            tier = self._margin.tier(position.inst_id, position.contracts)
            number = tiers.index(tier)
            backing = self._backing(account, position)
            penalty = self._margin.maintenance(position)
            if number + 1 >= PARTIAL_FROM_TIER:
                keep = tiers[number - TIERS_PER_STEP].max_sz
                cut = abs(position.contracts) - keep
                penalty *= cut / abs(position.contracts)
                self._close(account, position, cut, "partial_liquidation")
            else:
                self._close(account, position, abs(position.contracts), "full_liquidation")
            self._clearing.penalty(account, position, min(penalty, backing))
            ratio = self._margin.ratio(account, position) if position.is_open else None

    def _backing(self, account: Account, position: Position) -> Decimal:
        """What stands behind the position. Below zero the insurance fund bears the rest: a negative penalty."""
        if position.margin_mode == "isolated":
            return position.margin + position.unrealized(self._market.mark(position.inst_id))
        return self._margin.worth(account).cross_equity

    def _close(self, account: Account, position: Position, contracts: Decimal, category: str) -> Order:
        now_ms = self._now_ms()
        px = self._market.mark(position.inst_id)
        order = Order(
            order_id=self._ids.next(),
            client_id="",
            tag="",
            account=account.name,
            inst_id=position.inst_id,
            margin_mode=position.margin_mode,
            side="sell" if position.direction > 0 else "buy",
            pos_side=position.pos_side,
            kind="limit",
            px=px,
            contracts=contracts,
            is_reduce_only=True,
            stp_mode="cancel_maker",
            lever=position.lever,
            created_ms=now_ms,
            updated_ms=now_ms,
            category=category,
        )
        account.pending[order.order_id] = order
        self._clearing.fill(account, order, px, contracts, is_maker=False, trade_id=self._ids.forced_trade())
        return order
