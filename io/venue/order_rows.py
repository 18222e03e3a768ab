"""Orders, fills and algo orders as rows of the OKX v5 API: field names as documented, every number a string."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

from anchorwatch.io.venue.announcing import Amendment
from anchorwatch.io.venue.orders import ZERO, AlgoOrder, AttachedStop, Fill, Order
from anchorwatch.io.venue.parameters import plain

Row: TypeAlias = dict[str, object]


def truth(value: bool) -> str:
    return "true" if value else "false"


def stamp(at_ms: int | None) -> str:
    return "" if at_ms is None else str(at_ms)


def attached_row(stop: AttachedStop) -> Row:
    return {
        "attachAlgoId": stop.attach_id,
        "attachAlgoClOrdId": stop.client_id,
        "tpTriggerPx": plain(stop.tp_trigger_px),
        "tpTriggerPxType": stop.tp_trigger_type,
        "tpOrdPx": plain(stop.tp_order_px),
        "tpOrdKind": "condition",
        "slTriggerPx": plain(stop.sl_trigger_px),
        "slTriggerPxType": stop.sl_trigger_type,
        "slOrdPx": plain(stop.sl_order_px),
        "callbackRatio": plain(stop.callback_ratio),
        "callbackSpread": plain(stop.callback_spread),
        "activePx": plain(stop.active_px),
        "sz": plain(stop.contracts),
        "amendPxOnTriggerType": "0",
        "failCode": stop.fail_code,
        "failReason": stop.fail_reason,
    }


def _common(order: Order) -> Row:
    return {
        "instType": "SWAP",
        "instId": order.inst_id,
        "ccy": "",
        "ordId": order.order_id,
        "clOrdId": order.client_id,
        "tag": order.tag,
        "px": plain(order.px),
        "pxUsd": "",
        "pxVol": "",
        "pxType": "",
        "sz": plain(order.contracts),
        "pnl": plain(order.pnl),
        "ordType": order.kind,
        "side": order.side,
        "posSide": order.pos_side,
        "tdMode": order.margin_mode,
        "accFillSz": plain(order.filled),
        "state": order.state,
        "stpId": "",
        "stpMode": order.stp_mode,
        "lever": plain(order.lever),
        "attachAlgoClOrdId": order.attached[0].client_id if order.attached else "",
        "attachAlgoOrds": [attached_row(stop) for stop in order.attached],
        "linkedAlgoOrd": {"algoId": ""},
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tpOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "slOrdPx": "",
        "feeCcy": "USDT",
        "fee": plain(order.fee),
        "rebateCcy": "USDT",
        "rebate": "0",
        "source": order.source,
        "category": order.category,
        "reduceOnly": truth(order.is_reduce_only),
        "isTpLimit": "false",
        "cancelSource": order.cancel_source,
        "cancelSourceReason": "",
        "algoClOrdId": order.algo_client_id,
        "algoId": order.algo_id,
        "quickMgnType": "",
        "tgtCcy": "",
        "tradeQuoteCcy": "USDT",
        "cTime": stamp(order.created_ms),
        "uTime": stamp(order.updated_ms),
    }


def order_row(order: Order) -> Row:
    """The REST row: ``fillPx``, ``fillSz``, ``tradeId`` tell the last fill; ``""`` where there was none."""
    has_fill = order.last_fill_ms is not None
    return {
        **_common(order),
        "fillPx": plain(order.last_px),
        "fillSz": plain(order.last_contracts),
        "fillTime": stamp(order.last_fill_ms),
        "tradeId": order.last_trade_id,
        "avgPx": plain(order.avg_px) if has_fill else "",
    }


def order_push(
    order: Order, fill: Fill | None, amendment: Amendment, last_px: Decimal, coin_per_contract: Decimal
) -> Row:
    """The row of the orders channel: the fill fields tell this update only, and ``avgPx`` is "0" when unfilled."""
    px = order.px if order.px is not None else last_px
    return {
        **_common(order),
        "notionalUsd": plain(order.contracts * coin_per_contract * px),
        "fillPx": plain(fill.px) if fill else "",
        "fillSz": plain(fill.contracts) if fill else "0",
        "fillTime": stamp(fill.at_ms) if fill else "",
        "tradeId": fill.trade_id if fill and not fill.trade_id.startswith("-") else "0" if fill else "",
        "execType": fill.exec_type if fill else "",
        "fillPnl": plain(fill.pnl) if fill else "0",
        "fillFee": plain(fill.fee) if fill else "0",
        "fillFeeCcy": "USDT" if fill else "",
        "fillNotionalUsd": plain(fill.contracts * coin_per_contract * fill.px) if fill else "",
        "fillMarkPx": plain(fill.mark_px) if fill else "",
        "fillIdxPx": plain(fill.index_px) if fill else "",
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "avgPx": plain(order.avg_px),
        "lastPx": plain(last_px),
        "amendSource": amendment.source,
        "reqId": amendment.req_id,
        "amendResult": amendment.result,
        "code": amendment.code,
        "msg": amendment.text,
    }


def fill_row(fill: Fill) -> Row:
    return {
        "instType": "SWAP",
        "instId": fill.inst_id,
        "tradeId": fill.trade_id,
        "ordId": fill.order_id,
        "clOrdId": fill.client_id,
        "billId": fill.bill_id,
        "subType": fill.sub_type,
        "tag": fill.tag,
        "fillPx": plain(fill.px),
        "fillSz": plain(fill.contracts),
        "fillIdxPx": plain(fill.index_px),
        "fillMarkPx": plain(fill.mark_px),
        "fillPnl": plain(fill.pnl),
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "side": fill.side,
        "posSide": fill.pos_side,
        "execType": fill.exec_type,
        "feeCcy": "USDT",
        "fee": plain(fill.fee),
        "feeRate": plain(fill.fee_rate),
        "ts": stamp(fill.at_ms),
        "fillTime": stamp(fill.at_ms),
        "tradeQuoteCcy": "USDT",
    }


def _leg_px(trigger_px: Decimal | None, order_px: Decimal | None) -> str:
    if trigger_px is None:
        return ""
    return "-1" if order_px is None else plain(order_px)


def algo_row(algo: AlgoOrder) -> Row:
    fraction = "1" if algo.closes_whole_position else ""
    return {
        "instType": "SWAP",
        "instId": algo.inst_id,
        "algoId": algo.algo_id,
        "algoClOrdId": algo.client_id,
        "clOrdId": algo.child_client_id,
        "ordId": algo.child_order_id,
        "ordIdList": [algo.child_order_id] if algo.child_order_id else [],
        "linkedOrd": {"ordId": ""},
        "ccy": "",
        "tdMode": algo.margin_mode,
        "side": algo.side,
        "posSide": algo.pos_side,
        "ordType": algo.kind,
        "sz": plain(algo.contracts),
        "closeFraction": fraction,
        "state": algo.state,
        "lever": plain(algo.lever),
        "tgtCcy": "",
        "tpTriggerPx": plain(algo.tp_trigger_px),
        "tpTriggerPxType": algo.tp_trigger_type if algo.tp_trigger_px is not None else "",
        "tpOrdPx": _leg_px(algo.tp_trigger_px, algo.tp_order_px),
        "slTriggerPx": plain(algo.sl_trigger_px),
        "slTriggerPxType": algo.sl_trigger_type if algo.sl_trigger_px is not None else "",
        "slOrdPx": _leg_px(algo.sl_trigger_px, algo.sl_order_px),
        "triggerPx": plain(algo.trigger_px),
        "triggerPxType": algo.trigger_type,
        "ordPx": _leg_px(algo.trigger_px, algo.order_px),
        "advanceOrdType": algo.advance_kind,
        "callbackRatio": plain(algo.callback_ratio),
        "callbackSpread": plain(algo.callback_spread),
        "activePx": plain(algo.active_px),
        "moveTriggerPx": plain(algo.move_trigger_px),
        "actualSz": plain(algo.actual_contracts) if algo.actual_contracts is not None else "0",
        "actualPx": plain(algo.actual_px),
        "actualSide": algo.actual_side,
        "triggerTime": stamp(algo.trigger_ms),
        "last": plain(algo.last_px),
        "failCode": algo.fail_code,
        "failReason": "",
        "reduceOnly": truth(algo.is_reduce_only),
        "cxlOnClosePos": truth(algo.cancels_on_close),
        "isTradeBorrowMode": "",
        "pxLimit": "",
        "pxSpread": "",
        "pxVar": "",
        "szLimit": "",
        "quickMgnType": "",
        "amendPxOnTriggerType": "0",
        "attachAlgoOrds": [attached_row(stop) for stop in algo.attached],
        "tag": algo.tag,
        "cTime": stamp(algo.created_ms),
        "uTime": stamp(algo.updated_ms),
    }


def algo_push(algo: AlgoOrder, amendment: Amendment, coin_per_contract: Decimal) -> Row:
    return {
        **algo_row(algo),
        "notionalUsd": plain((algo.contracts or ZERO) * coin_per_contract * algo.last_px),
        "reqId": amendment.req_id,
        "amendResult": amendment.result,
    }
