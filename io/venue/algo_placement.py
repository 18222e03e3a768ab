"""Placing an algo order: take-profit, stop-loss, oco, trigger and trailing orders, and the rules about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.ids import Ids
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.orders import AlgoOrder, AttachedStop, Order
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.placement import (
    AT_MARKET,
    TRIGGER_TYPES,
    Placement,
    callback,
    check_size,
    position_side,
)
from anchorwatch.io.venue.refusals import Refusal
from anchorwatch.io.venue.switches import Switches

TP_SL = ("conditional", "oco")
ALGO_KINDS = ("conditional", "oco", "trigger", "move_order_stop")
# OKX: pending algo orders per instrument, by kind.
ALGOS_MAX = {"conditional": 100, "oco": 100, "trigger": 500, "move_order_stop": 50}


class AlgoPlacement:
    """Turns a request into an algo order, or refuses. No margin is held for algo orders, so none is checked."""

    def __init__(
        self,
        market: Market,
        instrument: Callable[[str], Instrument],
        placement: Placement,
        ids: Ids,
        switches: Switches,
        now_ms: Callable[[], int],
    ) -> None:
        self._market = market
        self._instrument = instrument
        self._placement = placement
        self._ids = ids
        self._switches = switches
        self._now_ms = now_ms

    def algo(self, account: Account, raw: Mapping[str, object]) -> AlgoOrder:
        asked = Parameters(raw)
        instrument = self._instrument(asked.required("instId"))
        if instrument.state != "live":
            raise Refusal("51022")
        margin_mode = self._placement.margin_mode(asked)
        side = asked.one_of("side", ("buy", "sell"))
        pos_side = position_side(account, asked)
        kind = asked.one_of("ordType", ALGO_KINDS)
        # Older clients send their id as clOrdId.
        client_id = asked.client_id("algoClOrdId") or asked.client_id("clOrdId")
        self._check_room(account, instrument, kind, client_id)
        closes = account.is_hedged and (side == "buy") != (pos_side == "long")
        now_ms = self._now_ms()
        algo = AlgoOrder(
            algo_id=self._ids.next(),
            client_id=client_id,
            tag=asked.tag(),
            account=account.name,
            inst_id=instrument.inst_id,
            margin_mode=margin_mode,
            side=side,
            pos_side=pos_side,
            kind=kind,
            contracts=asked.decimal("sz"),
            closes_whole_position=bool(asked.text("closeFraction")),
            is_reduce_only=closes or asked.claim("reduceOnly"),
            cancels_on_close=asked.claim("cxlOnClosePos"),
            lever=self._placement.lever_in_force(account, instrument.inst_id, margin_mode, pos_side),
            created_ms=now_ms,
            updated_ms=now_ms,
            last_px=self._market.last(instrument.inst_id),
        )
        if kind in TP_SL:
            self._read_tp_sl(algo, asked, instrument)
        elif kind == "trigger":
            self._read_trigger(algo, asked, instrument)
            entry_px = algo.order_px or algo.trigger_px or algo.last_px
            algo.attached = [
                self._placement.attached(one, instrument, side, entry_px, account)
                for one in asked.items("attachAlgoOrds")
            ]
        else:
            self._read_trailing(algo, asked, instrument)
        self._check_size(account, algo, asked, instrument)
        return algo

    def from_attached(
        self, account: Account, parent: Order, stop: AttachedStop, contracts: Decimal
    ) -> AlgoOrder:
        """The algo order that a filled entry leaves behind for its attached stop."""
        now_ms = self._now_ms()
        both = stop.tp_trigger_px is not None and stop.sl_trigger_px is not None
        kind = "move_order_stop" if stop.is_trailing else "oco" if both else "conditional"
        last_px = self._market.last(parent.inst_id)
        return AlgoOrder(
            algo_id=self._ids.next(),
            client_id=stop.client_id,
            tag=parent.tag,
            account=account.name,
            inst_id=parent.inst_id,
            margin_mode=parent.margin_mode,
            side="sell" if parent.side == "buy" else "buy",
            pos_side=parent.pos_side,
            kind=kind,
            contracts=contracts if stop.contracts is None else min(stop.contracts, contracts),
            closes_whole_position=False,
            is_reduce_only=account.is_hedged or self._switches.attached_reduce_only,
            cancels_on_close=False,
            lever=parent.lever,
            created_ms=now_ms,
            updated_ms=now_ms,
            tp_trigger_px=stop.tp_trigger_px,
            tp_trigger_type=stop.tp_trigger_type,
            tp_order_px=_order_px(stop.tp_order_px),
            sl_trigger_px=stop.sl_trigger_px,
            sl_trigger_type=stop.sl_trigger_type,
            sl_order_px=_order_px(stop.sl_order_px),
            callback_ratio=stop.callback_ratio,
            callback_spread=stop.callback_spread,
            active_px=stop.active_px,
            is_active=stop.is_trailing and stop.active_px is None,
            extreme_px=last_px if stop.is_trailing and stop.active_px is None else None,
            last_px=last_px,
        )

    def amend(self, algo: AlgoOrder, asked: Parameters) -> None:
        """Change a pending algo order. A price of 0 takes that leg away."""
        if algo.kind == "move_order_stop":
            raise Refusal("51520")
        instrument = self._instrument(algo.inst_id)
        names = asked.names()
        if algo.closes_whole_position and "newSz" in names:
            raise Refusal("51524")
        if algo.closes_whole_position and names & {"newTpOrdPx", "newSlOrdPx"}:
            raise Refusal("51523")
        contracts = asked.decimal("newSz")
        if contracts is not None:
            check_size(instrument, contracts, is_market=False)
        tp, sl, trigger = (asked.decimal(f"new{leg}TriggerPx") for leg in ("Tp", "Sl", ""))
        self._check_side(algo, tp or None, sl or None, asked)
        if (tp == 0 and algo.sl_trigger_px is None) or (sl == 0 and algo.tp_trigger_px is None):
            raise Refusal("51000", "newTriggerPx")
        if contracts is not None:
            algo.contracts = contracts
        if tp is not None:
            algo.tp_trigger_px = self._placement.on_tick(instrument, tp, "newTpTriggerPx") if tp else None
        if sl is not None:
            algo.sl_trigger_px = self._placement.on_tick(instrument, sl, "newSlTriggerPx") if sl else None
        if trigger:
            algo.trigger_px = self._placement.on_tick(instrument, trigger, "newTriggerPx")
            algo.fires_downward = self._reference(algo.inst_id, algo.trigger_type) > trigger
        algo.tp_trigger_type = asked.one_of("newTpTriggerPxType", ("", *TRIGGER_TYPES), algo.tp_trigger_type)
        algo.sl_trigger_type = asked.one_of("newSlTriggerPxType", ("", *TRIGGER_TYPES), algo.sl_trigger_type)
        algo.trigger_type = asked.one_of("newTriggerPxType", ("", *TRIGGER_TYPES), algo.trigger_type)
        for name, attribute in (
            ("newTpOrdPx", "tp_order_px"),
            ("newSlOrdPx", "sl_order_px"),
            ("newOrdPx", "order_px"),
        ):
            px = asked.decimal(name)
            if px is not None:
                setattr(algo, attribute, _order_px(px))
        algo.updated_ms = self._now_ms()

    def _check_room(self, account: Account, instrument: Instrument, kind: str, client_id: str) -> None:
        if client_id and any(algo.client_id == client_id for algo in account.algos.values()):
            raise Refusal("51065")
        same = sum(
            1 for algo in account.algos.values() if algo.inst_id == instrument.inst_id and algo.kind == kind
        )
        if same >= ALGOS_MAX[kind]:
            raise Refusal("51025")

    def _read_tp_sl(self, algo: AlgoOrder, asked: Parameters, instrument: Instrument) -> None:
        tp, sl = asked.decimal("tpTriggerPx"), asked.decimal("slTriggerPx")
        if tp is None and sl is None:
            raise Refusal("50014", "slTriggerPx")
        if algo.kind == "oco" and (tp is None or sl is None):
            raise Refusal("50014", "tpTriggerPx" if tp is None else "slTriggerPx")
        if algo.kind == "conditional" and tp is not None and sl is not None and algo.pos_side == "net":
            # In net mode a conditional order keeps only its stop-loss.
            tp = None
        for leg, px in (("tp", tp), ("sl", sl)):
            if px is None:
                continue
            order_px = asked.decimal(f"{leg}OrdPx")
            if order_px is None:
                raise Refusal("50014", f"{leg}OrdPx")
            trigger_type = asked.one_of(f"{leg}TriggerPxType", TRIGGER_TYPES, "last")
            px = self._placement.on_tick(instrument, px, f"{leg}TriggerPx")
            setattr(algo, f"{leg}_trigger_px", px)
            setattr(algo, f"{leg}_trigger_type", trigger_type)
            setattr(algo, f"{leg}_order_px", _order_px(order_px))
        self._check_side(algo, tp, sl, asked)

    def _check_side(self, algo: AlgoOrder, tp: Decimal | None, sl: Decimal | None, asked: Parameters) -> None:
        """A stop that the market has already passed is refused, not triggered at once."""
        sells = algo.side == "sell"
        if sl is not None:
            px = self._reference(algo.inst_id, algo.sl_trigger_type or "last")
            if (sl >= px) if sells else (sl <= px):
                raise Refusal(_side_code("51280" if sells else "51278", "51302", algo.sl_trigger_type))
        if tp is not None:
            px = self._reference(algo.inst_id, algo.tp_trigger_type or "last")
            if (tp <= px) if sells else (tp >= px):
                raise Refusal(_side_code("51279" if sells else "51277", "51300", algo.tp_trigger_type))

    def _read_trigger(self, algo: AlgoOrder, asked: Parameters, instrument: Instrument) -> None:
        px = asked.decimal("triggerPx")
        order_px = asked.decimal("orderPx")
        if px is None or order_px is None:
            raise Refusal("50014", "triggerPx" if px is None else "orderPx")
        algo.trigger_px = self._placement.on_tick(instrument, px, "triggerPx")
        algo.trigger_type = asked.one_of("triggerPxType", TRIGGER_TYPES, "last")
        algo.order_px = _order_px(order_px)
        algo.advance_kind = asked.one_of("advanceOrdType", ("", "fok", "ioc"))
        algo.fires_downward = self._reference(algo.inst_id, algo.trigger_type) > px

    def _read_trailing(self, algo: AlgoOrder, asked: Parameters, instrument: Instrument) -> None:
        ratio, spread, active_px = callback(asked)
        if ratio is None and spread is None:
            raise Refusal("51000", "callbackRatio")
        algo.callback_ratio, algo.callback_spread = ratio, spread
        if active_px is None:
            algo.is_active = True
            algo.extreme_px = self._market.last(algo.inst_id)
        else:
            algo.active_px = self._placement.on_tick(instrument, active_px, "activePx")

    def _check_size(
        self, account: Account, algo: AlgoOrder, asked: Parameters, instrument: Instrument
    ) -> None:
        if not algo.closes_whole_position:
            if algo.contracts is None or algo.contracts <= 0:
                raise Refusal("50014", "sz")
            maximum = instrument.max_trigger_sz if algo.kind == "trigger" else instrument.max_stop_sz
            if algo.contracts > maximum:
                raise Refusal("51005")
            check_size(instrument, algo.contracts, is_market=False)
            return
        if asked.decimal("closeFraction") != 1:
            raise Refusal("51331")
        if algo.kind not in TP_SL:
            raise Refusal("51327")
        if algo.tp_order_px is not None or algo.sl_order_px is not None:
            raise Refusal("51330")
        if not account.is_hedged and not algo.is_reduce_only:
            raise Refusal("51328")
        algo.contracts = None
        if account.position(algo.inst_id, algo.margin_mode, algo.pos_side) is None:
            raise Refusal("51058")
        for other in account.algos.values():
            same = (other.inst_id, other.margin_mode, other.pos_side) == (
                algo.inst_id,
                algo.margin_mode,
                algo.pos_side,
            )
            if same and other.closes_whole_position:
                raise Refusal("51088")

    def _reference(self, inst_id: str, trigger_type: str) -> Decimal:
        return reference_px(self._market, inst_id, trigger_type)


def reference_px(market: Market, inst_id: str, trigger_type: str) -> Decimal:
    """The price that a trigger of this type watches."""
    if trigger_type == "mark":
        return market.mark(inst_id)
    return market.index(inst_id) if trigger_type == "index" else market.last(inst_id)


def _order_px(px: Decimal | None) -> Decimal | None:
    """None for "at market", which the wire writes as -1."""
    return None if px == AT_MARKET else px


def _side_code(by_last: str, by_mark: str, trigger_type: str) -> str:
    return by_mark if trigger_type == "mark" else by_last
