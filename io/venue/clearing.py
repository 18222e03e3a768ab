"""Clearing: what an execution does to an account's position, cash, fees and records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from anchorwatch.io.venue.accounts import Account, PositionHistory
from anchorwatch.io.venue.announcing import Amendment, Announcer
from anchorwatch.io.venue.ids import Ids
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.orders import ZERO, Bill, Fill, Order
from anchorwatch.io.venue.positions import Position

LIQUIDATIONS = ("full_liquidation", "partial_liquidation")
# First sub-type of each family in OKX's table: close long, close short, buy, sell follow in this order.
FORCED_SUB_TYPES = {"partial_liquidation": 100, "full_liquidation": 104, "adl": 125}
# Kinds of a positions-history row: while something is left, and when nothing is.
CLOSING_KINDS = {
    "normal": ("1", "2"),
    "partial_liquidation": ("4", "3"),
    "full_liquidation": ("4", "3"),
    "adl": ("5", "6"),
}


class Clearing:
    """Books fills and funding. Everything here has already happened in the market; nothing is refused."""

    def __init__(
        self,
        market: Market,
        instrument: Callable[[str], Instrument],
        ids: Ids,
        announcer: Announcer,
        now_ms: Callable[[], int],
        after_fill: Callable[[Account, Order, Position, bool], None],
    ) -> None:
        self._market = market
        self._instrument = instrument
        self._ids = ids
        self._announcer = announcer
        self._now_ms = now_ms
        self._after_fill = after_fill

    def fill(
        self,
        account: Account,
        order: Order,
        px: Decimal,
        contracts: Decimal,
        *,
        is_maker: bool,
        trade_id: str,
    ) -> Fill:
        """Book one execution of `order`, advance the order's state and announce all of it."""
        now_ms = self._now_ms()
        instrument = self._instrument(order.inst_id)
        position = self._position(account, order, instrument, now_ms)
        forced = order.category in FORCED_SUB_TYPES
        rate = instrument.maker_fee if is_maker else instrument.taker_fee
        fee = pnl = ZERO
        closed_out = False
        closing = min(position.closable_by(order.side), contracts)
        for part in (closing, contracts - closing):
            if part <= 0:
                continue
            was = position.direction
            part_pnl = position.apply(order.side, part, px, at_ms=now_ms)
            # A forced close pays a penalty instead of the trading fee.
            part_fee = ZERO if forced else -(part * position.coin_per_contract * px * rate)
            position.fee += part_fee
            fee, pnl = fee + part_fee, pnl + part_pnl
            if part is closing:
                closed_out = not position.is_open
                self._remember(account, position, order.category, was)
        position.trade_id = trade_id
        account.cash += pnl + fee
        account.updated_ms = now_ms

        order.avg_px = (order.avg_px * order.filled + px * contracts) / (order.filled + contracts)
        order.filled += contracts
        order.opening = max(order.opening - (contracts - closing), ZERO)
        order.fee += fee
        order.pnl += pnl
        order.last_px, order.last_contracts = px, contracts
        order.last_trade_id, order.last_fill_ms = trade_id, now_ms
        order.updated_ms = now_ms
        order.state = "filled" if order.remaining <= 0 else "partially_filled"
        if not order.is_pending and account.pending.pop(order.order_id, None) is not None:
            account.done.append(order)

        fill = Fill(
            bill_id=self._ids.next(),
            trade_id=trade_id,
            order_id=order.order_id,
            client_id=order.client_id,
            tag=order.tag,
            inst_id=order.inst_id,
            side=order.side,
            pos_side=order.pos_side,
            px=px,
            contracts=contracts,
            exec_type="" if forced else ("M" if is_maker else "T"),
            fee=fee,
            fee_rate=-rate,
            pnl=pnl,
            mark_px=self._market.mark(order.inst_id),
            index_px=self._market.index(order.inst_id),
            sub_type=_sub_type(order),
            at_ms=now_ms,
        )
        account.fills.append(fill)
        self._bill(account, fill, order.margin_mode)
        self._announcer.order_changed(account, order, fill, Amendment())
        cause = "liquidation" if order.category in LIQUIDATIONS else order.category
        cause = "filled" if cause == "normal" else cause
        self._announcer.position_changed(account, position, cause, trade_id)
        self._announcer.balance_changed(account, cause)
        self._after_fill(account, order, position, closed_out)
        return fill

    def funding(self, account: Account, position: Position, rate: Decimal) -> None:
        """Settle funding: a long pays a positive rate, a short receives it, on the value at the mark price."""
        mark = self._market.mark(position.inst_id)
        change = -position.direction * position.notional(mark) * rate
        position.funding += change
        account.cash += change
        account.updated_ms = self._now_ms()
        self._bill_without_trade(account, "8", "173" if change < 0 else "174", change, position)
        self._announcer.position_changed(account, position, "funding_fee", "")
        self._announcer.balance_changed(account, "funding_fee")

    def transfer(self, account: Account, amount: Decimal) -> None:
        """Move USDT in (positive) or out."""
        account.cash += amount
        account.updated_ms = self._now_ms()
        self._bill_without_trade(account, "1", "11" if amount > 0 else "12", amount, None)
        self._announcer.balance_changed(account, "transferred")

    def penalty(self, account: Account, position: Position, amount: Decimal) -> None:
        """Take a liquidation penalty from the account; a negative one is what the insurance fund bears."""
        if not amount:
            return
        position.liq_penalty -= amount
        account.cash -= amount
        account.updated_ms = self._now_ms()
        # 110 and 111: the liquidation fee, and what the insurance fund bears of the loss.
        self._bill_without_trade(account, "5", "110" if amount > 0 else "111", -amount, position)
        row = account.history.get((position.pos_id, position.created_ms))
        if row is not None:
            account.keep_history(replace(row, liq_penalty=position.liq_penalty))

    def _position(self, account: Account, order: Order, instrument: Instrument, now_ms: int) -> Position:
        key = (order.inst_id, order.margin_mode, order.pos_side)
        position = account.positions.get(key)
        if position is None:
            position = Position(
                pos_id=self._ids.next(),
                inst_id=order.inst_id,
                margin_mode=order.margin_mode,
                pos_side=order.pos_side,
                coin_per_contract=instrument.coin_per_contract,
                lever=order.lever,
                created_ms=now_ms,
                updated_ms=now_ms,
            )
            account.positions[key] = position
        if not position.is_open:
            position.lever = order.lever
        return position

    def _bill(self, account: Account, fill: Fill, margin_mode: str) -> None:
        account.bills.append(
            Bill(
                bill_id=fill.bill_id,
                kind=_bill_kind(fill.sub_type),
                sub_type=fill.sub_type,
                inst_id=fill.inst_id,
                margin_mode=margin_mode,
                order_id=fill.order_id,
                client_id=fill.client_id,
                trade_id=fill.trade_id,
                contracts=fill.contracts,
                px=fill.px,
                pnl=fill.pnl,
                fee=fill.fee,
                change=fill.pnl + fill.fee,
                balance=account.cash,
                at_ms=fill.at_ms,
            )
        )

    def _bill_without_trade(
        self, account: Account, kind: str, sub_type: str, change: Decimal, position: Position | None
    ) -> None:
        account.bills.append(
            Bill(
                bill_id=self._ids.next(),
                kind=kind,
                sub_type=sub_type,
                inst_id=position.inst_id if position is not None else "",
                margin_mode=position.margin_mode if position is not None else "",
                order_id="",
                client_id="",
                trade_id="",
                contracts=abs(position.contracts) if position is not None else ZERO,
                px=self._market.mark(position.inst_id) if position is not None else ZERO,
                pnl=change if position is not None else ZERO,
                fee=ZERO,
                change=change,
                balance=account.cash,
                at_ms=account.updated_ms,
            )
        )

    def _remember(self, account: Account, position: Position, category: str, was: int) -> None:
        """Write the history row of this life of the position, over the one that an earlier partial close left."""
        partial, full = CLOSING_KINDS.get(category, CLOSING_KINDS["normal"])
        account.keep_history(
            PositionHistory(
                pos_id=position.pos_id,
                inst_id=position.inst_id,
                margin_mode=position.margin_mode,
                pos_side=position.pos_side,
                direction="long" if was > 0 else "short",
                kind=partial if position.is_open else full,
                lever=position.lever,
                open_avg_px=position.avg_px,
                close_avg_px=position.closed_value / position.closed_contracts,
                max_contracts=position.max_contracts,
                closed_contracts=position.closed_contracts,
                pnl=position.pnl,
                fee=position.fee,
                funding=position.funding,
                liq_penalty=position.liq_penalty,
                created_ms=position.created_ms,
                updated_ms=position.updated_ms,
            )
        )


def _sub_type(order: Order) -> str:
    """The bill's sub-type: what the fill did to which side (OKX v5, bills)."""
    first = FORCED_SUB_TYPES.get(order.category)
    if first is not None:
        if order.pos_side == "net":
            return str(first + (2 if order.side == "buy" else 3))
        return str(first + (0 if order.pos_side == "long" else 1))
    if order.pos_side == "net":
        return "1" if order.side == "buy" else "2"
    opens = (order.side == "buy") == (order.pos_side == "long")
    if opens:
        return "3" if order.pos_side == "long" else "4"
    return "5" if order.pos_side == "long" else "6"


def _bill_kind(sub_type: str) -> str:
    """Bill types: 2 trade, 5 liquidation, 9 auto-deleveraging."""
    number = int(sub_type)
    return "9" if number >= FORCED_SUB_TYPES["adl"] else "5" if number >= 100 else "2"
