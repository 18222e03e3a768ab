"""Rows of OKX v5 that describe orders: acknowledgements, normal orders, algo orders, fills.

An acknowledgement says that a request was accepted for processing, nothing more: the order's state comes from the
channel `orders` or from `GET /trade/order`.
"""

from __future__ import annotations

from anchorwatch.io.okx.wire_fields import Millis, Number, Row


class Ack(Row, frozen=True):
    """One item of the answer to a placement, amendment or cancellation of a normal order.

    `s_code` "0" means accepted; otherwise it decides, whatever the answer's own code says.
    """

    ord_id: str = ""
    cl_ord_id: str = ""
    tag: str = ""
    req_id: str = ""
    ts_ms: Millis = None
    s_code: str = ""
    s_msg: str = ""
    sub_code: str = ""

    @property
    def accepted(self) -> bool:
        return self.s_code in ("0", "")


class AlgoAck(Row, frozen=True):
    """The same for algo orders. It carries no time."""

    algo_id: str = ""
    algo_cl_ord_id: str = ""
    cl_ord_id: str = ""
    req_id: str = ""
    tag: str = ""
    s_code: str = ""
    s_msg: str = ""
    sub_code: str = ""

    @property
    def accepted(self) -> bool:
        return self.s_code in ("0", "")


class CloseAck(Row, frozen=True):
    """The answer of `POST /trade/close-position`: it names no order."""

    inst_id: str = ""
    pos_side: str = ""
    cl_ord_id: str = ""
    tag: str = ""
    s_code: str = ""
    s_msg: str = ""
    sub_code: str = ""


class CancelAllAfter(Row, frozen=True):
    """The answer of `POST /trade/cancel-all-after`.

    `trigger_time` is 0 when disarmed, otherwise seconds or milliseconds: OKX v5's page shows seconds where every
    other time is milliseconds, so `trigger_ms` tells them apart by magnitude.
    """

    trigger_time: int | None = None
    ts: int | None = None
    tag: str = ""
    s_code: str = ""
    s_msg: str = ""

    @property
    def trigger_ms(self) -> int | None:
        if not self.trigger_time:
            return None
        return self.trigger_time * 1000 if self.trigger_time < 100_000_000_000 else self.trigger_time


class AttachedAlgo(Row, frozen=True):
    """A stop attached to an entry. `attach_algo_id` is *not* the id of the algo order that it becomes."""

    attach_algo_id: str = ""
    attach_algo_cl_ord_id: str = ""
    tp_ord_kind: str = ""
    tp_trigger_px: Number = None
    tp_trigger_ratio: Number = None
    tp_trigger_px_type: str = ""
    tp_ord_px: Number = None
    sl_trigger_px: Number = None
    sl_trigger_ratio: Number = None
    sl_trigger_px_type: str = ""
    sl_ord_px: Number = None
    callback_ratio: Number = None
    callback_spread: Number = None
    active_px: Number = None
    sz: Number = None
    amend_px_on_trigger_type: str = ""
    amend_px: Number = None
    fail_code: str = ""
    fail_reason: str = ""


class LinkedAlgo(Row, frozen=True):
    algo_id: str = ""


class LinkedOrder(Row, frozen=True):
    ord_id: str = ""


class Order(Row, frozen=True):
    """`GET /trade/order`, `orders-pending`, `orders-history`.

    Here `fill_sz`, `fill_px`, `trade_id` and `fill_time_ms` describe the *last* fill; `acc_fill_sz`, `avg_px` and
    `fee` are cumulative.  Sizes in contracts; a negative fee was paid.
    """

    ord_id: str
    inst_id: str = ""
    state: str = ""
    cl_ord_id: str = ""
    inst_type: str = ""
    side: str = ""
    pos_side: str = ""
    td_mode: str = ""
    ord_type: str = ""
    px: Number = None
    sz: Number = None
    acc_fill_sz: Number = None
    avg_px: Number = None
    fill_px: Number = None
    fill_sz: Number = None
    fill_time_ms: Millis = None
    trade_id: str = ""
    fee: Number = None
    fee_ccy: str = ""
    rebate: Number = None
    rebate_ccy: str = ""
    pnl: Number = None
    lever: Number = None
    reduce_only: bool | None = None
    category: str = ""
    source: str = ""
    cancel_source: str = ""
    cancel_source_reason: str = ""
    algo_id: str = ""
    algo_cl_ord_id: str = ""
    attach_algo_cl_ord_id: str = ""
    attach_algo_ords: tuple[AttachedAlgo, ...] = ()
    linked_algo_ord: LinkedAlgo = LinkedAlgo()
    tp_trigger_px: Number = None
    tp_trigger_px_type: str = ""
    tp_ord_px: Number = None
    sl_trigger_px: Number = None
    sl_trigger_px_type: str = ""
    sl_ord_px: Number = None
    is_tp_limit: bool | None = None
    tag: str = ""
    ccy: str = ""
    tgt_ccy: str = ""
    trade_quote_ccy: str = ""
    stp_id: str = ""
    stp_mode: str = ""
    quick_mgn_type: str = ""
    px_type: str = ""
    px_usd: Number = None
    px_vol: Number = None
    c_time_ms: Millis = None
    u_time_ms: Millis = None


class OrderPush(Order, frozen=True):
    """Channel `orders`. `fill_*`, `trade_id` and `exec_type` describe *this update* only; the rest is cumulative.

    The same push may come twice, with another `u_time_ms`; nothing is replayed after a reconnect.
    """

    exec_type: str = ""
    fill_fee: Number = None
    fill_fee_ccy: str = ""
    fill_pnl: Number = None
    fill_notional_usd: Number = None
    fill_mark_px: Number = None
    fill_mark_vol: Number = None
    fill_idx_px: Number = None
    fill_fwd_px: Number = None
    fill_px_usd: Number = None
    fill_px_vol: Number = None
    notional_usd: Number = None
    last_px: Number = None
    req_id: str = ""
    amend_source: str = ""
    amend_result: str = ""
    code: str = ""
    msg: str = ""


class AlgoOrder(Row, frozen=True):
    """`GET /trade/order-algo`, `orders-algo-pending`, `-history`; channels `orders-algo`, `algo-advance`.

    `state` "effective" means triggered and its child placed, not filled.  With `close_fraction` 1 there is no `sz`.
    `notional_usd`, `amend_result`, `req_id`, `p_time_ms` and `count` come in pushes only.
    """

    algo_id: str
    inst_id: str = ""
    state: str = ""
    algo_cl_ord_id: str = ""
    ord_type: str = ""
    inst_type: str = ""
    side: str = ""
    pos_side: str = ""
    td_mode: str = ""
    sz: Number = None
    close_fraction: Number = None
    reduce_only: bool | None = None
    cxl_on_close_pos: bool | None = None
    sl_trigger_px: Number = None
    sl_trigger_px_type: str = ""
    sl_ord_px: Number = None
    tp_trigger_px: Number = None
    tp_trigger_px_type: str = ""
    tp_ord_px: Number = None
    trigger_px: Number = None
    trigger_px_type: str = ""
    ord_px: Number = None
    advance_ord_type: str = ""
    callback_ratio: Number = None
    callback_spread: Number = None
    active_px: Number = None
    move_trigger_px: Number = None
    actual_sz: Number = None
    actual_px: Number = None
    actual_side: str = ""
    trigger_time_ms: Millis = None
    ord_id: str = ""
    ord_id_list: tuple[str, ...] = ()
    cl_ord_id: str = ""
    linked_ord: LinkedOrder = LinkedOrder()
    last: Number = None
    lever: Number = None
    fail_code: str = ""
    attach_algo_ords: tuple[AttachedAlgo, ...] = ()
    amend_px_on_trigger_type: str = ""
    notional_usd: Number = None
    amend_result: str = ""
    req_id: str = ""
    tag: str = ""
    ccy: str = ""
    tgt_ccy: str = ""
    trade_quote_ccy: str = ""
    quick_mgn_type: str = ""
    is_trade_borrow_mode: str = ""
    u_time_ms: Millis = None
    c_time_ms: Millis = None
    p_time_ms: Millis = None
    count: int | None = None
    px_var: Number = None
    px_spread: Number = None
    px_limit: Number = None
    sz_limit: Number = None
    time_interval: str = ""
    chase_type: str = ""
    chase_val: Number = None
    max_chase_type: str = ""
    max_chase_val: Number = None


class Fill(Row, frozen=True):
    """`GET /trade/fills`. `ts_ms` is when it was booked, `fill_time_ms` when it happened; order by the latter.

    Fills of a liquidation or ADL have a negative `trade_id` and no `exec_type`.
    """

    inst_id: str = ""
    trade_id: str = ""
    bill_id: str = ""
    ord_id: str = ""
    cl_ord_id: str = ""
    inst_type: str = ""
    side: str = ""
    pos_side: str = ""
    fill_px: Number = None
    fill_sz: Number = None
    fill_pnl: Number = None
    fill_idx_px: Number = None
    fill_mark_px: Number = None
    fill_mark_vol: Number = None
    fill_fwd_px: Number = None
    fill_px_usd: Number = None
    fill_px_vol: Number = None
    fee: Number = None
    fee_ccy: str = ""
    fee_rate: Number = None
    exec_type: str = ""
    sub_type: str = ""
    trade_quote_ccy: str = ""
    tag: str = ""
    ts_ms: Millis = None
    fill_time_ms: Millis = None


class FillPush(Row, frozen=True):
    """Channel `fills`, which only high fee tiers may subscribe."""

    inst_id: str = ""
    trade_id: str = ""
    ord_id: str = ""
    cl_ord_id: str = ""
    side: str = ""
    fill_sz: Number = None
    fill_px: Number = None
    exec_type: str = ""
    count: int | None = None
    ts_ms: Millis = None
