"""What we ask of OKX v5: placements, amendments and cancellations as typed records, and their JSON.

Sizes are in contracts.  A value left at its default is not sent.  Decimals are written plainly, without exponent.
A record that the venue would refuse for its form raises ValueError: that is a bug of ours, not news from the venue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from anchorwatch.io.okx.wire_fields import venue_name

# OKX v5: 1–32 case-sensitive letters and digits for client ids, at most 16 for a tag.
_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_TAG = re.compile(r"[A-Za-z0-9]{1,16}")

MARKET_PX = Decimal(-1)  # in the price of a triggered order: execute at market
CANCEL_ALGOS_MAX = 10  # OKX v5: orders per call


class Request(msgspec.Struct, frozen=True, kw_only=True, rename=venue_name):
    """Fields are named as the venue names them, in snake_case."""

    def __post_init__(self) -> None:
        for name in ("cl_ord_id", "algo_cl_ord_id", "attach_algo_cl_ord_id", "req_id"):
            value = getattr(self, name, "")
            if value and not _CLIENT_ID.fullmatch(value):
                raise ValueError(f"{name} {value!r}: 1 to 32 letters and digits")
        tag = getattr(self, "tag", "")
        if tag and not _TAG.fullmatch(tag):
            raise ValueError(f"tag {tag!r}: 1 to 16 letters and digits")


class AttachedStop(Request, frozen=True, kw_only=True):
    """A stop that the venue creates when the entry has filled. Its client id is the only link to it."""

    attach_algo_cl_ord_id: str
    sl_trigger_px: Decimal
    sl_ord_px: Decimal = MARKET_PX
    sl_trigger_px_type: str = "mark"
    tp_trigger_px: Decimal | None = None
    tp_ord_px: Decimal | None = None
    tp_trigger_px_type: str = ""


class OrderRequest(Request, frozen=True, kw_only=True):
    """`POST /trade/order`. `pos_side` is required in long/short mode and left out in net mode."""

    inst_id: str
    td_mode: str
    side: str
    ord_type: str
    sz: Decimal
    cl_ord_id: str
    px: Decimal | None = None
    pos_side: str = ""
    reduce_only: bool = False
    tag: str = ""
    px_amend_type: str = ""
    stp_mode: str = ""
    attach_algo_ords: tuple[AttachedStop, ...] = ()


class OrderAmend(Request, frozen=True, kw_only=True):
    """`POST /trade/amend-order`. `new_sz` is the new total, what has filled included."""

    inst_id: str
    ord_id: str = ""
    cl_ord_id: str = ""
    req_id: str = ""
    new_sz: Decimal | None = None
    new_px: Decimal | None = None
    cxl_on_fail: bool = False
    px_amend_type: str = ""


class OrderCancel(Request, frozen=True, kw_only=True):
    """`POST /trade/cancel-order`; the venue's id wins where both are given."""

    inst_id: str
    ord_id: str = ""
    cl_ord_id: str = ""


class AlgoRequest(Request, frozen=True, kw_only=True):
    """`POST /trade/order-algo`: `conditional`, `oco`, `trigger` or `move_order_stop`.

    Either `sz`, or `close_fraction` 1 for a stop that follows the whole position (which in net mode must be
    `reduce_only`).  There is no deadline (`expTime`) for algo orders.
    """

    inst_id: str
    td_mode: str
    side: str
    ord_type: str
    algo_cl_ord_id: str
    pos_side: str = ""
    sz: Decimal | None = None
    close_fraction: Decimal | None = None
    reduce_only: bool = False
    cxl_on_close_pos: bool = False
    sl_trigger_px: Decimal | None = None
    sl_ord_px: Decimal | None = None
    sl_trigger_px_type: str = ""
    tp_trigger_px: Decimal | None = None
    tp_ord_px: Decimal | None = None
    tp_trigger_px_type: str = ""
    trigger_px: Decimal | None = None
    order_px: Decimal | None = None
    trigger_px_type: str = ""
    callback_ratio: Decimal | None = None
    callback_spread: Decimal | None = None
    active_px: Decimal | None = None
    tag: str = ""


class AlgoAmend(Request, frozen=True, kw_only=True):
    """`POST /trade/amend-algos`. A price of 0 removes that leg. A trailing stop cannot be amended."""

    inst_id: str
    algo_id: str = ""
    algo_cl_ord_id: str = ""
    req_id: str = ""
    cxl_on_fail: bool = False
    new_sz: Decimal | None = None
    new_sl_trigger_px: Decimal | None = None
    new_sl_ord_px: Decimal | None = None
    new_sl_trigger_px_type: str = ""
    new_tp_trigger_px: Decimal | None = None
    new_tp_ord_px: Decimal | None = None
    new_tp_trigger_px_type: str = ""
    new_trigger_px: Decimal | None = None
    new_ord_px: Decimal | None = None
    new_trigger_px_type: str = ""


class AlgoCancel(Request, frozen=True, kw_only=True):
    """One item of `POST /trade/cancel-algos`."""

    inst_id: str
    algo_id: str = ""
    algo_cl_ord_id: str = ""


class ClosePosition(Request, frozen=True, kw_only=True):
    """`POST /trade/close-position`: all of it, at market. `auto_cxl` cancels what stands in the way."""

    inst_id: str
    mgn_mode: str
    pos_side: str = ""
    auto_cxl: bool = False
    cl_ord_id: str = ""
    tag: str = ""


def plain(number: Decimal) -> str:
    """A decimal as the venue reads it: digits and a point. Raises ValueError for what is no number."""
    if not number.is_finite():
        raise ValueError(f"{number} is not a number to send")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def body_of(request: Request | Sequence[Request] | Mapping[str, str]) -> bytes:
    """The exact bytes to sign and to send."""
    return msgspec.json.encode(_plain_json(request))


def _plain_json(value: Any) -> Any:
    if isinstance(value, Request):
        pairs = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        named = ((theirs, getattr(value, ours)) for theirs, ours in pairs)
        return {name: _plain_json(item) for name, item in named if not _left_out(item)}
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_plain_json(item) for item in value]
    return value


def _left_out(value: Any) -> bool:
    """Not simply falsy: a price of 0 is sent, because it removes a leg."""
    return value is None or value is False or value == "" or value == ()


def target_of(path: str, query: Mapping[str, str | int | None]) -> str:
    """The path and query as they go over the wire; empty values are left out. Commas stay, as the venue shows them."""
    pairs = [
        f"{name}={quote(str(value), safe=',')}" for name, value in query.items() if value not in (None, "")
    ]
    return "/api/v5" + path + ("?" + "&".join(pairs) if pairs else "")
