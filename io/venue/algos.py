"""Algo orders at work: watching prices, firing, and what becomes of them when positions and entries end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.algo_placement import TP_SL, AlgoPlacement, reference_px
from anchorwatch.io.venue.announcing import Amendment, Announcer
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.matching import Matching
from anchorwatch.io.venue.orders import FROM_TP_SL, FROM_TRAILING, FROM_TRIGGER, ZERO, AlgoOrder, Order
from anchorwatch.io.venue.parameters import plain
from anchorwatch.io.venue.placement import Placement
from anchorwatch.io.venue.positions import Position
from anchorwatch.io.venue.refusals import Refusal
from anchorwatch.io.venue.switches import Switches

SOURCES = {"trigger": FROM_TRIGGER, "move_order_stop": FROM_TRAILING}


class Algos:
    """The pending algo orders of every account."""

    def __init__(
        self,
        market: Market,
        matching: Matching,
        placement: Placement,
        algo_placement: AlgoPlacement,
        announcer: Announcer,
        switches: Switches,
        accounts: Mapping[str, Account],
        now_ms: Callable[[], int],
        child_refusal: Callable[[AlgoOrder], Refusal | None],
    ) -> None:
        self._market = market
        self._matching = matching
        self._placement = placement
        self._algo_placement = algo_placement
        self._announcer = announcer
        self._switches = switches
        self._accounts = accounts
        self._now_ms = now_ms
        self._child_refusal = child_refusal

    def accept(self, account: Account, algo: AlgoOrder) -> None:
        account.algos[algo.algo_id] = algo
        self._announcer.algo_changed(account, algo, Amendment())
        if algo.closes_whole_position:
            position = account.position(algo.inst_id, algo.margin_mode, algo.pos_side)
            if position is not None:
                self._announcer.position_changed(account, position, "", "")

    def cancel(self, account: Account, algo: AlgoOrder, amendment: Amendment | None = None) -> None:
        self._end(account, algo, "canceled")
        self._announcer.algo_changed(account, algo, amendment or Amendment())

    def watch(self, inst_id: str) -> None:
        """Look at the prices of one instrument and fire what they reach."""
        for account in self._accounts.values():
            if not account.algos:
                continue
            for algo in list(account.algos.values()):
                if algo.inst_id == inst_id and algo.is_pending:
                    self._watch_one(account, algo)

    def entry_changed(self, account: Account, order: Order) -> None:
        """Create the attached stops of an entry: after its complete fill, or after each fill where so switched."""
        for stop in order.attached:
            if self._switches.attached_after == "each_fill":
                contracts = order.last_contracts
            elif order.state == "filled" and not stop.is_created:
                contracts = order.filled
            else:
                continue
            stop.is_created = True
            if stop.fail_code:
                continue
            self.accept(account, self._algo_placement.from_attached(account, order, stop, contracts))

    def position_closed(self, account: Account, position: Position) -> None:
        """Cancel what was tied to a position that is now flat."""
        for algo in list(account.algos.values()):
            tied = algo.cancels_on_close or (
                algo.closes_whole_position and self._switches.close_fraction_dies_with_position
            )
            if tied and (algo.inst_id, algo.margin_mode, algo.pos_side) == position.key and algo.is_pending:
                self.cancel(account, algo)

    def _watch_one(self, account: Account, algo: AlgoOrder) -> None:
        if algo.kind in TP_SL:
            leg = self._leg_reached(algo)
            if leg == "sl":
                self._fire(account, algo, "sl", algo.sl_order_px, algo.sl_trigger_px)
            elif leg == "tp":
                self._fire(account, algo, "tp", algo.tp_order_px, algo.tp_trigger_px)
        elif algo.kind == "trigger":
            px = reference_px(self._market, algo.inst_id, algo.trigger_type)
            assert algo.trigger_px is not None
            if px <= algo.trigger_px if algo.fires_downward else px >= algo.trigger_px:
                self._fire(account, algo, "", algo.order_px, algo.trigger_px)
        else:
            self._trail(account, algo)

    def _leg_reached(self, algo: AlgoOrder) -> str:
        """ "sl", "tp" or "". The stop-loss is looked at first: when both are reached, the worse one happened."""
        sells = algo.side == "sell"
        if algo.sl_trigger_px is not None:
            px = reference_px(self._market, algo.inst_id, algo.sl_trigger_type)
            if px <= algo.sl_trigger_px if sells else px >= algo.sl_trigger_px:
                return "sl"
        if algo.tp_trigger_px is not None:
            px = reference_px(self._market, algo.inst_id, algo.tp_trigger_type)
            if px >= algo.tp_trigger_px if sells else px <= algo.tp_trigger_px:
                return "tp"
        return ""

    def _trail(self, account: Account, algo: AlgoOrder) -> None:
        last = self._market.last(algo.inst_id)
        sells = algo.side == "sell"
        if not algo.is_active:
            assert algo.active_px is not None
            if last < algo.active_px if sells else last > algo.active_px:
                return
            algo.is_active = True
            algo.extreme_px = last
            self._announcer.algo_changed(account, algo, Amendment())
        assert algo.extreme_px is not None
        algo.extreme_px = max(algo.extreme_px, last) if sells else min(algo.extreme_px, last)
        stop_px = algo.move_trigger_px
        assert stop_px is not None
        if last <= stop_px if sells else last >= stop_px:
            self._fire(account, algo, "", None, stop_px)

    def _fire(
        self,
        account: Account,
        algo: AlgoOrder,
        leg: str,
        order_px: Decimal | None,
        trigger_px: Decimal | None,
    ) -> None:
        """The trigger is reached: place the child order, or fail for the reason that the child was refused for."""
        algo.actual_side = leg
        algo.trigger_ms = self._now_ms()
        algo.last_px = self._market.last(algo.inst_id)
        try:
            child = self._child(account, algo, order_px)
        except Refusal as refusal:
            algo.fail_code = refusal.code
            self._end(account, algo, "order_failed")
            self._announcer.algo_changed(account, algo, Amendment())
            return
        algo.child_order_id, algo.child_client_id = child.order_id, child.client_id
        algo.actual_contracts, algo.actual_px = child.contracts, order_px
        self._end(account, algo, "effective")
        self._announcer.algo_changed(account, algo, Amendment())
        self._matching.enter(child)

    def _child(self, account: Account, algo: AlgoOrder, order_px: Decimal | None) -> Order:
        refusal = self._child_refusal(algo)
        if refusal is not None:
            raise refusal
        contracts = algo.contracts
        held = account.position(algo.inst_id, algo.margin_mode, algo.pos_side)
        covered = held.closable_by(algo.side) if held is not None else ZERO
        if algo.closes_whole_position:
            contracts = covered
        elif algo.is_reduce_only and contracts is not None and self._is_trimmed(account, covered):
            contracts = min(contracts, covered)
        if not contracts:
            raise Refusal("51169" if algo.is_reduce_only else "51058")
        kind = "market" if order_px is None else algo.advance_kind or "limit"
        child = self._placement.order(
            account,
            {
                "instId": algo.inst_id,
                "tdMode": algo.margin_mode,
                "side": algo.side,
                "posSide": algo.pos_side,
                "ordType": kind,
                "sz": plain(contracts),
                "px": plain(order_px),
                "reduceOnly": algo.is_reduce_only,
                "tag": algo.tag,
            },
            by_venue=True,
        )
        # The exchange names the child itself; the parent's ids are the link.
        child.client_id = f"a{child.order_id}"
        child.attached = algo.attached
        child.algo_id, child.algo_client_id = algo.algo_id, algo.client_id
        child.source = SOURCES.get(algo.kind, FROM_TP_SL)
        return child

    def _is_trimmed(self, account: Account, covered: Decimal) -> bool:
        """Whether a reducing child is cut to its position; otherwise the placement refuses one that is too large."""
        return account.is_hedged or not covered or self._switches.oversized_reduce_only == "trim"

    def _end(self, account: Account, algo: AlgoOrder, state: str) -> None:
        algo.state = state
        algo.updated_ms = self._now_ms()
        if account.algos.pop(algo.algo_id, None) is not None:
            account.algos_done.append(algo)
