"""Matching: price-time priority against the synthetic book and the accounts' own resting orders.

A taker walks the book as it stands, best price first; where a client's resting order and the synthetic book offer
the same price, the book was there earlier. A resting order fills when the market trades through its price. The
synthetic book is not used up by what the clients take from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.announcing import Amendment, Announcer
from anchorwatch.io.venue.book import Book
from anchorwatch.io.venue.clearing import Clearing
from anchorwatch.io.venue.ids import Ids
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.market import Market, Tick
from anchorwatch.io.venue.orders import (
    BEYOND_PRICE_LIMIT,
    FOK_UNFILLED,
    IOC_REMAINDER,
    POST_ONLY_WOULD_TAKE,
    REDUCE_ONLY_LOST_POSITION,
    SELF_TRADE,
    ZERO,
    Order,
)
from anchorwatch.io.venue.placement import check_size
from anchorwatch.io.venue.positions import Position
from anchorwatch.io.venue.refusals import Refusal
from anchorwatch.io.venue.switches import Switches

IMMEDIATE = ("market", "ioc", "fok", "optimal_limit_ioc")


class Execution(NamedTuple):
    """One match of a taker: against a resting order of a client, or against the synthetic book (None)."""

    px: Decimal
    contracts: Decimal
    against: Order | None


class Matching:
    """The order book of the exchange. Orders enter accepted; their margin was checked before."""

    def __init__(
        self,
        market: Market,
        book: Book,
        instrument: Callable[[str], Instrument],
        clearing: Clearing,
        announcer: Announcer,
        ids: Ids,
        switches: Switches,
        accounts: Mapping[str, Account],
        now_ms: Callable[[], int],
    ) -> None:
        self._market = market
        self._book = book
        self._instrument = instrument
        self._clearing = clearing
        self._announcer = announcer
        self._ids = ids
        self._switches = switches
        self._accounts = accounts
        self._now_ms = now_ms

    def enter(self, order: Order) -> None:
        """Match a new order, then let the rest of it stand or cancel it, as its kind says."""
        account = self._accounts[order.account]
        limit_px = self._limit(order)
        plan, own = self._plan(order, limit_px)
        if order.kind == "post_only" and (plan or own):
            account.pending[order.order_id] = order
            if self._switches.post_only_shows_live:
                self._announcer.order_changed(account, order, None, Amendment())
            self.cancel(order, POST_ONLY_WOULD_TAKE)
            return
        account.pending[order.order_id] = order
        fills_whole = sum((one.contracts for one in plan), ZERO) >= order.remaining
        if order.kind == "fok" and not fills_whole:
            self.cancel(order, FOK_UNFILLED)
            return
        if not (plan and self._switches.instant_fill_skips_live):
            self._announcer.order_changed(account, order, None, Amendment())
        if order.opening:
            self._announcer.balance_changed(account, "")
        if own and order.stp_mode in ("cancel_maker", "cancel_both"):
            for maker in own:
                self.cancel(maker, SELF_TRADE)
        for one in plan:
            if not order.is_pending:
                return
            self._execute(account, order, one)
        if not order.is_pending:
            return
        if own and order.stp_mode in ("cancel_taker", "cancel_both"):
            self.cancel(order, SELF_TRADE)
        elif order.kind in IMMEDIATE:
            self.cancel(order, BEYOND_PRICE_LIMIT if order.kind == "market" else IOC_REMAINDER)

    def cancel(self, order: Order, source: str, amendment: Amendment | None = None) -> None:
        """End a pending order. `source` is OKX's cancelSource."""
        account = self._accounts[order.account]
        if account.pending.pop(order.order_id, None) is None:
            return
        order.state = "canceled"
        order.cancel_source = source
        order.updated_ms = self._now_ms()
        account.done.append(order)
        self._announcer.order_changed(account, order, None, amendment or Amendment())
        if order.opening:
            self._announcer.balance_changed(account, "")

    def amend(self, order: Order, *, contracts: Decimal | None, px: Decimal | None, req_id: str) -> None:
        """Change size (the new total, the filled part included) and price; a new price loses time priority."""
        account = self._accounts[order.account]
        now_ms = self._now_ms()
        if contracts is not None:
            if contracts <= order.filled:
                # The part done is all that the new size asks for.
                order.contracts = order.filled
                order.state = "filled"
                order.updated_ms = now_ms
                account.pending.pop(order.order_id, None)
                account.done.append(order)
                self._announcer.order_changed(account, order, None, Amendment(req_id, "0", "1"))
                return
            check_size(self._instrument(order.inst_id), contracts, is_market=False)
            order.opening = max(order.opening + contracts - order.contracts, ZERO) if order.opening else ZERO
            order.contracts = contracts
        if px is not None:
            order.px = px
            # Last in its new price's queue: pending orders keep their order of entry.
            account.pending.pop(order.order_id)
            account.pending[order.order_id] = order
        order.updated_ms = now_ms
        self._announcer.order_changed(account, order, None, Amendment(req_id, "0", "1"))
        plan, own = self._plan(order, order.px)
        if order.kind == "post_only" and (plan or own):
            self.cancel(order, POST_ONLY_WOULD_TAKE)
            return
        for one in plan:
            if order.is_pending:
                self._execute(account, order, one)

    def on_tick(self, tick: Tick) -> None:
        """Fill the resting orders that this public trade went through."""
        for order in self._resting(tick.inst_id):
            if not order.is_pending or order.px is None:
                continue
            beyond = tick.px < order.px if order.side == "buy" else tick.px > order.px
            at_price = tick.px == order.px and (order.side == "buy") == (tick.taker_side == "sell")
            if beyond:
                contracts = order.remaining
            elif at_price and self._switches.resting_fill == "touch":
                contracts = min(order.remaining, self._whole_lots(order, tick.contracts))
            else:
                continue
            if contracts > 0:
                account = self._accounts[order.account]
                trade_id = self._ids.trade(order.inst_id)
                taker_side = "sell" if order.side == "buy" else "buy"
                self._announcer.trade_printed(order.inst_id, trade_id, order.px, contracts, taker_side)
                self._clearing.fill(account, order, order.px, contracts, is_maker=True, trade_id=trade_id)

    def trim_reducing(self, account: Account, position: Position) -> None:
        """Cancel the reduce-only orders that the position no longer covers, the worst priced first."""
        side = None if not position.is_open else ("sell" if position.direction > 0 else "buy")
        reducing = [
            order
            for order in account.orders_of(position.inst_id)
            if order.is_reduce_only
            and (order.margin_mode, order.pos_side) == (position.margin_mode, position.pos_side)
        ]
        room = abs(position.contracts)
        for order in sorted(reducing, key=lambda one: (one.px or ZERO) * one.sign, reverse=True):
            if order.side == side and order.remaining <= room:
                room -= order.remaining
            else:
                self.cancel(order, REDUCE_ONLY_LOST_POSITION if side is None else "23")

    def _limit(self, order: Order) -> Decimal:
        if order.px is not None:
            return order.px
        highest_buy, lowest_sell = self._market.price_limit(order.inst_id)
        return highest_buy if order.side == "buy" else lowest_sell

    def _plan(self, order: Order, limit_px: Decimal | None) -> tuple[list[Execution], list[Order]]:
        """What the order would match now, best first, and the orders of its own master that stand in the way.

        With ``cancel_taker`` the plan ends where the first of those stands.
        """
        side: Literal["buy", "sell"] = "buy" if order.side == "buy" else "sell"
        book = self._book.fill_plan(order.inst_id, side, order.remaining, limit_px, self._now_ms())
        offers = [Execution(px, contracts, None) for px, contracts in book]
        own: list[Order] = []
        master = self._accounts[order.account].spec.master
        crossing: list[Order] = []
        for resting in self._resting(order.inst_id):
            if resting is order or resting.side == order.side or resting.px is None or limit_px is None:
                continue
            if resting.px <= limit_px if order.side == "buy" else resting.px >= limit_px:
                crossing.append(resting)
        for resting in crossing:
            assert resting.px is not None
            if self._accounts[resting.account].spec.master == master:
                own.append(resting)
            else:
                offers.append(Execution(resting.px, resting.remaining, resting))
        # Stable: at one price the synthetic book, listed first, comes first.
        offers.sort(key=lambda offer: offer.px * order.sign)
        if own and order.stp_mode == "cancel_taker":
            nearest = min(one.px * order.sign for one in own if one.px is not None)
            offers = [offer for offer in offers if offer.px * order.sign < nearest]
        plan: list[Execution] = []
        wanted = order.remaining
        for offer in offers:
            if wanted <= 0:
                break
            part = min(wanted, offer.contracts)
            plan.append(offer._replace(contracts=part))
            wanted -= part
        reached = plan[-1].px * order.sign if plan and wanted <= 0 else None
        own = [one for one in own if reached is None or (one.px or ZERO) * order.sign < reached]
        return plan, own

    def _execute(self, account: Account, order: Order, one: Execution) -> None:
        if one.against is not None and not one.against.is_pending:
            return
        trade_id = self._ids.trade(order.inst_id)
        self._announcer.trade_printed(order.inst_id, trade_id, one.px, one.contracts, order.side)
        if one.against is not None:
            maker = self._accounts[one.against.account]
            contracts = min(one.contracts, one.against.remaining)
            self._clearing.fill(maker, one.against, one.px, contracts, is_maker=True, trade_id=trade_id)
            self._clearing.fill(account, order, one.px, contracts, is_maker=False, trade_id=trade_id)
        else:
            self._clearing.fill(account, order, one.px, one.contracts, is_maker=False, trade_id=trade_id)

    def _resting(self, inst_id: str) -> list[Order]:
        """Every pending order of the instrument, best price first, then oldest; buys and sells interleaved."""
        every = [
            order
            for account in self._accounts.values()
            for order in account.pending.values()
            if order.inst_id == inst_id and order.px is not None
        ]
        return sorted(every, key=lambda order: -order.sign * (order.px or ZERO))

    def _whole_lots(self, order: Order, contracts: Decimal) -> Decimal:
        lot = self._instrument(order.inst_id).lot_sz
        return contracts - contracts % lot


def amendable(account: Account, order_id: str, client_id: str, code: str) -> Order:
    """The pending order that a cancel or an amendment names; otherwise refuses with `code`."""
    if not order_id and not client_id:
        raise Refusal("51003")
    order = account.pending.get(order_id) if order_id else account.pending_with(client_id)
    if order is None:
        raise Refusal(code)
    return order
