"""The trading operations that REST, WebSocket and `Venue.place_as` share. Each answers with an item row.

An item's ``sCode`` is "0" when the exchange accepted the request for processing: accepted is not yet done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from anchorwatch.io.venue.accounts import Account, lever_key
from anchorwatch.io.venue.announcing import Amendment
from anchorwatch.io.venue.matching import IMMEDIATE, amendable
from anchorwatch.io.venue.order_rows import Row, stamp
from anchorwatch.io.venue.orders import BY_USER, Order
from anchorwatch.io.venue.parameters import Parameters, plain
from anchorwatch.io.venue.placement import check_size, position_side
from anchorwatch.io.venue.refusals import Refusal

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

ItemWork = Callable[[Account, Mapping[str, object]], Row]

# OKX: amendments of one order under way at the same time.
AMENDMENTS_MAX = 3

POS_MODES = ("net_mode", "long_short_mode")
MARGIN_MODES = ("cross", "isolated")


class Trading:
    """Operations on one account at a time."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    # Orders.

    def place(self, account: Account, raw: Mapping[str, object]) -> Row:
        def work(asked: Parameters) -> Row:
            self._check_expiry(raw)
            order = self._venue.placement.order(account, raw)
            self._enter(order)
            return {"ordId": order.order_id, "clOrdId": order.client_id, "tag": order.tag}

        asked = Parameters(raw)
        shown: Row = {"ordId": "", "clOrdId": _shown(asked, "clOrdId"), "tag": _shown(asked, "tag")}
        return self._item(shown, lambda: work(asked), note=f"order {account.name} {_brief(raw)}")

    def _enter(self, order: Order) -> None:
        venue = self._venue
        rule = venue.faults.draw("ack_then_cancel", order.inst_id, venue.now_ms())
        if rule is not None and order.kind in IMMEDIATE:
            # One that would be done at once is cancelled before it meets the book.
            venue.accounts[order.account].pending[order.order_id] = order
            venue.matching.cancel(order, rule.code_or_default)
            return
        venue.matching.enter(order)
        venue.settle()
        if rule is not None and order.is_pending:
            venue.matching.cancel(order, rule.code_or_default)

    def of_batch(self, work: ItemWork, account: Account, raw: Mapping[str, object], items: int) -> Row:
        """One item of a request with that many; a fault may refuse it alone, which leaves the batch partly done."""
        rule = None
        if items > 1:
            inst_id = _shown(Parameters(raw), "instId")
            rule = self._venue.faults.draw("batch_item_fails", inst_id, self._venue.now_ms())
        if rule is None:
            return work(account, raw)
        refusal = Refusal(rule.code_or_default)

        def refuse() -> Row:
            raise refusal

        asked = Parameters(raw)
        shown: Row = {name: _shown(asked, name) for name in ("clOrdId", "tag")}
        return self._item({"ordId": "", **shown}, refuse, note=f"batch item {account.name} {_brief(raw)}")

    def cancel(self, account: Account, raw: Mapping[str, object]) -> Row:
        asked = Parameters(raw)

        def work() -> Row:
            self._venue.instrument(asked.required("instId"))
            order = amendable(account, asked.text("ordId"), asked.text("clOrdId"), "51400")
            self._venue.matching.cancel(order, BY_USER)
            return {"ordId": order.order_id, "clOrdId": order.client_id}

        shown: Row = {"ordId": _shown(asked, "ordId"), "clOrdId": _shown(asked, "clOrdId")}
        return self._item(shown, work, note=f"cancel {account.name} {_brief(raw)}")

    def amend(self, account: Account, raw: Mapping[str, object]) -> Row:
        asked = Parameters(raw)

        def work() -> Row:
            self._check_expiry(raw)
            instrument = self._venue.instrument(asked.required("instId"))
            order = amendable(account, asked.text("ordId"), asked.text("clOrdId"), "51503")
            req_id = asked.client_id("reqId")
            contracts, px = asked.decimal("newSz"), asked.decimal("newPx")
            if contracts is None and px is None:
                raise Refusal("50014", "newSz")
            done: Row = {"ordId": order.order_id, "clOrdId": order.client_id, "reqId": req_id}
            if order.amendments >= AMENDMENTS_MAX:
                raise Refusal("51513")
            if self._venue.faults.draw("amend_fail_late", order.inst_id, self._venue.now_ms()):
                self._fail_amendment(account, order, req_id, cancels=asked.claim("cxlOnFail"))
                return done
            try:
                if order.px is None:
                    raise Refusal("51510")
                if px is not None:
                    px = self._venue.placement.amended_price(order, px)
                if contracts is not None and contracts > order.filled:
                    check_size(instrument, contracts, is_market=False)
                    self._check_growth(account, order, contracts, px)
            except Refusal:
                if asked.claim("cxlOnFail"):
                    self._fail_amendment(account, order, req_id, cancels=True)
                raise
            late = self._venue.faults.draw("late_amendment", order.inst_id, self._venue.now_ms())
            if late is None:
                self._venue.matching.amend(order, contracts=contracts, px=px, req_id=req_id)
                self._venue.settle()
            else:
                order.amendments += 1
                due_ms = self._venue.now_ms() + max(late.delay_ms, 1)
                self._venue.timers.at(due_ms, lambda: self._amend_late(account, order, contracts, px, req_id))
            return done

        shown: Row = {
            "ordId": _shown(asked, "ordId"),
            "clOrdId": _shown(asked, "clOrdId"),
            "reqId": _shown(asked, "reqId"),
        }
        return self._item(shown, work, note=f"amend {account.name} {_brief(raw)}")

    def _amend_late(
        self, account: Account, order: Order, contracts: Decimal | None, px: Decimal | None, req_id: str
    ) -> None:
        """An amendment that was acknowledged a while ago; the order may be done by now."""
        order.amendments -= 1
        if order.is_pending:
            self._venue.matching.amend(order, contracts=contracts, px=px, req_id=req_id)
            self._venue.settle()
        else:
            self._fail_amendment(account, order, req_id, cancels=False)

    def _check_growth(self, account: Account, order: Order, contracts: Decimal, px: Decimal | None) -> None:
        grown = contracts - order.contracts
        if grown <= 0 or order.px is None:
            return
        if order.is_reduce_only:
            held = account.position(order.inst_id, order.margin_mode, order.pos_side)
            if held is None or contracts - order.filled > held.closable_by(order.side):
                raise Refusal("51169")
        elif grown > self._venue.margin.affordable(account, order.inst_id, order.lever, px or order.px):
            raise Refusal("51008", sub_code="1001")

    def _fail_amendment(self, account: Account, order: Order, req_id: str, *, cancels: bool) -> None:
        if cancels:
            self._venue.matching.cancel(
                order, BY_USER, Amendment(req_id, "1", "1", "51510", "Amendment failed")
            )
        else:
            failed = Amendment(req_id, "-1", "1", "51510", "Amendment failed")
            self._venue.publisher.order_changed(account, order, None, failed)

    def close_position(self, account: Account, raw: Mapping[str, object]) -> Row:
        """Close a whole position at market. Refusals are of the whole request here, so they are raised."""
        venue, asked = self._venue, Parameters(raw)
        instrument = venue.instrument(asked.required("instId"))
        margin_mode = asked.one_of("mgnMode", MARGIN_MODES)
        pos_side = position_side(account, asked)
        held = account.position(instrument.inst_id, margin_mode, pos_side)
        if held is None:
            raise Refusal("51023")
        side = "sell" if held.direction > 0 else "buy"
        closing = [
            order
            for order in account.orders_of(instrument.inst_id)
            if (order.margin_mode, order.pos_side, order.side) == (margin_mode, pos_side, side)
        ]
        if closing and not asked.claim("autoCxl"):
            raise Refusal(venue.switches.close_with_pending_code)
        for order in closing:
            venue.matching.cancel(order, "17")
        contracts = abs(held.contracts)
        if contracts > instrument.max_mkt_sz:
            raise Refusal("51108")
        order = venue.placement.order(
            account,
            {
                "instId": instrument.inst_id,
                "tdMode": margin_mode,
                "side": side,
                "posSide": pos_side,
                "ordType": "market",
                "sz": plain(contracts),
                "reduceOnly": True,
                "clOrdId": asked.client_id("clOrdId"),
                "tag": asked.tag(),
            },
        )
        self._enter(order)
        venue.note("close-position", f"{account.name} {instrument.inst_id} {pos_side}")
        return {
            "instId": instrument.inst_id,
            "posSide": pos_side,
            "clOrdId": order.client_id,
            "tag": order.tag,
        }

    # Algo orders.

    def place_algo(self, account: Account, raw: Mapping[str, object]) -> Row:
        asked = Parameters(raw)

        def work() -> Row:
            algo = self._venue.algo_placement.algo(account, raw)
            self._venue.algos_room.accept(account, algo)
            return {
                "algoId": algo.algo_id,
                "algoClOrdId": algo.client_id,
                "clOrdId": algo.client_id,
                "tag": algo.tag,
            }

        client_id = _shown(asked, "algoClOrdId") or _shown(asked, "clOrdId")
        shown: Row = {
            "algoId": "",
            "algoClOrdId": client_id,
            "clOrdId": client_id,
            "tag": _shown(asked, "tag"),
        }
        return self._item(shown, work, stamped=False, note=f"order-algo {account.name} {_brief(raw)}")

    def amend_algo(self, account: Account, raw: Mapping[str, object]) -> Row:
        asked = Parameters(raw)

        def work() -> Row:
            algo = account.find_algo(asked.text("algoId"), asked.text("algoClOrdId"))
            if algo is None or not algo.is_pending:
                raise Refusal("51503")
            req_id = asked.client_id("reqId")
            self._venue.algo_placement.amend(algo, asked)
            self._venue.publisher.algo_changed(account, algo, Amendment(req_id, "0"))
            return {"algoId": algo.algo_id, "algoClOrdId": algo.client_id, "reqId": req_id}

        shown: Row = {
            "algoId": _shown(asked, "algoId"),
            "algoClOrdId": _shown(asked, "algoClOrdId"),
            "reqId": _shown(asked, "reqId"),
        }
        return self._item(shown, work, stamped=False, note=f"amend-algos {account.name} {_brief(raw)}")

    def cancel_algo(self, account: Account, raw: Mapping[str, object]) -> Row:
        asked = Parameters(raw)

        def work() -> Row:
            self._venue.instrument(asked.required("instId"))
            algo_id, client_id = asked.text("algoId"), asked.text("algoClOrdId")
            if not algo_id and not client_id:
                raise Refusal("51003")
            algo = account.find_algo(algo_id, client_id)
            if algo is None:
                raise Refusal(self._venue.switches.unknown_algo_cancel_code)
            if not algo.is_pending:
                raise Refusal("51416" if algo.state == "effective" else "51400")
            self._venue.algos_room.cancel(account, algo)
            return {"algoId": algo.algo_id, "algoClOrdId": algo.client_id, "clOrdId": "", "tag": algo.tag}

        shown: Row = {
            "algoId": _shown(asked, "algoId"),
            "algoClOrdId": _shown(asked, "algoClOrdId"),
            "clOrdId": "",
            "tag": "",
        }
        return self._item(shown, work, stamped=False, note=f"cancel-algos {account.name} {_brief(raw)}")

    # Settings.

    def set_position_mode(self, account: Account, asked: Parameters) -> Row:
        mode = asked.one_of("posMode", POS_MODES)
        if mode != account.pos_mode:
            blocked = any(account.open_positions()) or bool(account.pending)
            if self._venue.switches.algo_orders_block_position_mode:
                blocked = blocked or bool(account.algos)
            if blocked:
                raise Refusal("59000")
            account.pos_mode = mode
            self._venue.note("position mode", f"{account.name} {mode}")
        return {"posMode": mode}

    def set_leverage(self, account: Account, asked: Parameters) -> Row:
        instrument = self._venue.instrument(asked.required("instId"))
        margin_mode = asked.one_of("mgnMode", MARGIN_MODES)
        lever = asked.decimal("lever")
        if lever is None or lever < 1:
            raise Refusal("51000", "lever")
        if lever > instrument.lever:
            raise Refusal("59102")
        sides = self._lever_sides(account, margin_mode, asked)
        for order in account.orders_of(instrument.inst_id):
            if order.margin_mode == margin_mode and lever != order.lever:
                raise Refusal("59101" if margin_mode == "isolated" else "59107")
        self._relever(account, instrument.inst_id, margin_mode, sides, lever)
        for side in sides:
            account.levers[lever_key(instrument.inst_id, margin_mode, side)] = lever
        return {
            "instId": instrument.inst_id,
            "lever": plain(lever),
            "mgnMode": margin_mode,
            "posSide": "" if margin_mode == "cross" else sides[0],
        }

    def _lever_sides(self, account: Account, margin_mode: str, asked: Parameters) -> tuple[str, ...]:
        if not account.is_hedged:
            asked.one_of("posSide", ("", "net"))
            return ("net",)
        if margin_mode == "cross":
            asked.one_of("posSide", ("", "net", "long", "short"))
            return ("long", "short")
        return (asked.one_of("posSide", ("long", "short")),)

    def _relever(
        self, account: Account, inst_id: str, margin_mode: str, sides: tuple[str, ...], lever: Decimal
    ) -> None:
        """Open positions take the new leverage at once, if the free margin allows it."""
        venue = self._venue
        held = [one for side in sides if (one := account.position(inst_id, margin_mode, side)) is not None]
        for position in held:
            if lever > venue.margin.tier(inst_id, position.contracts).max_lever:
                raise Refusal("59102")
            value = position.coins * position.avg_px
            if value / lever - value / position.lever > venue.margin.worth(account).available:
                raise Refusal("59108")
        for position in held:
            position.lever = lever
            if margin_mode == "isolated":
                position.margin = position.coins * position.avg_px / lever
            position.updated_ms = venue.now_ms()
            venue.publisher.position_changed(account, position, "set_leverage", "")
            venue.publisher.balance_changed(account, "set_leverage")

    def renew_cancel_all_after(self, account: Account, asked: Parameters) -> Row:
        now_ms = self._venue.now_ms()
        due_ms = self._venue.cancel_all_after.renew(account.name, asked, now_ms)
        unit = 1000 if self._venue.switches.cancel_all_after_time_unit == "s" else 1
        return {
            "triggerTime": str(due_ms // unit) if due_ms else "0",
            "tag": asked.tag(),
            "ts": str(now_ms // unit),
        }

    # Answers.

    def _check_expiry(self, raw: Mapping[str, object]) -> None:
        expiry_ms = Parameters(raw).whole("expTime")
        if expiry_ms is not None and expiry_ms < self._venue.now_ms():
            raise Refusal("50036")

    def _item(self, shown: Row, work: Callable[[], Row], *, note: str, stamped: bool = True) -> Row:
        try:
            row = {**work(), "sCode": "0", "sMsg": "", "subCode": ""}
        except Refusal as refusal:
            row = {**shown, "sCode": refusal.code, "sMsg": refusal.text, "subCode": refusal.sub_code}
        if stamped:
            row["ts"] = stamp(self._venue.now_ms())
        self._venue.note("request", f"{note} -> {row['sCode']}")
        return row


def _shown(asked: Parameters, name: str) -> str:
    """What the client sent, echoed in a refusal; nothing when it was not even text."""
    try:
        return asked.text(name)[:64]
    except Refusal:
        return ""


def _brief(raw: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in raw.items() if value not in (None, "", []))[:300]
