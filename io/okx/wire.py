"""Decoding of everything that we read from OKX v5.

`decode_rest` reads the answer to a request, `decode_frame` (from ``wire_ws``) a WebSocket frame, and
`decode_payload` finds out by itself which row type belongs to a channel or path: the one call to try other
recordings on.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from anchorwatch.io.okx import wire_account as account
from anchorwatch.io.okx import wire_market as market
from anchorwatch.io.okx import wire_orders as orders
from anchorwatch.io.okx.wire_fields import Row, WireError, as_text, clean, decode, decode_envelope
from anchorwatch.io.okx.wire_ws import Push, decode_frame

R = TypeVar("R")

__all__ = ["Answer", "WireError", "decode_frame", "decode_payload", "decode_rest"]


class Answer(msgspec.Struct, Generic[R], frozen=True):
    """The envelope of a REST answer. `code` "0" is success, "1" failure, "2" partial; items may say otherwise."""

    code: str
    message: str
    rows: tuple[R, ...]
    in_time_us: int | None = None
    out_time_us: int | None = None


class _Envelope(Row, frozen=True):
    code: str
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()
    in_time_us: int | None = None
    out_time_us: int | None = None


# Top codes whose data have the endpoint's own rows; with any other the data mean nothing.
CODES_WITH_ROWS = ("0", "1", "2")

_ACKS = {
    "/trade/order": orders.Ack,
    "/trade/batch-orders": orders.Ack,
    "/trade/cancel-order": orders.Ack,
    "/trade/cancel-batch-orders": orders.Ack,
    "/trade/amend-order": orders.Ack,
    "/trade/amend-batch-orders": orders.Ack,
    "/trade/close-position": orders.CloseAck,
    "/trade/order-algo": orders.AlgoAck,
    "/trade/amend-algos": orders.AlgoAck,
    "/trade/cancel-algos": orders.AlgoAck,
    "/trade/cancel-advance-algos": orders.AlgoAck,
    "/trade/cancel-all-after": orders.CancelAllAfter,
    "/account/set-leverage": account.Leverage,
    "/account/set-position-mode": account.PositionMode,
}
_READS = {
    "/public/time": market.ServerTime,
    "/public/instruments": market.Instrument,
    "/account/instruments": market.Instrument,
    "/public/mark-price": market.MarkPrice,
    "/public/funding-rate": market.FundingRate,
    "/public/price-limit": market.PriceLimit,
    "/public/position-tiers": market.PositionTier,
    "/market/ticker": market.Ticker,
    "/market/tickers": market.Ticker,
    "/market/index-tickers": market.IndexTicker,
    "/market/books": market.Book,
    "/market/trades": market.Trade,
    "/market/candles": market.Candle,
    "/market/history-candles": market.Candle,
    "/market/mark-price-candles": market.MarkCandle,
    "/market/history-mark-price-candles": market.MarkCandle,
    "/market/index-candles": market.MarkCandle,
    "/market/history-index-candles": market.MarkCandle,
    "/system/status": market.SystemStatus,
    "/account/config": account.AccountConfig,
    "/account/balance": account.Balance,
    "/account/positions": account.Position,
    "/account/positions-history": account.ClosedPosition,
    "/account/leverage-info": account.Leverage,
    "/trade/order": orders.Order,
    "/trade/orders-pending": orders.Order,
    "/trade/orders-history": orders.Order,
    "/trade/orders-history-archive": orders.Order,
    "/trade/fills": orders.Fill,
    "/trade/fills-history": orders.Fill,
    "/trade/order-algo": orders.AlgoOrder,
    "/trade/orders-algo-pending": orders.AlgoOrder,
    "/trade/orders-algo-history": orders.AlgoOrder,
}


def decode_rest(raw: bytes | str, row: type[R]) -> Answer[R]:
    """Read the answer of a REST call whose rows are of type `row`.

    Raises WireError when it is no such answer: HTML from a proxy, a truncated body, another shape.
    """
    text = clean(as_text(raw))
    envelope = decode_envelope(text, _Envelope)
    rows: tuple[R, ...] = ()
    if envelope.code in CODES_WITH_ROWS and bytes(envelope.data):
        data = bytes(envelope.data).decode()
        rows = (decode(data, row),) if data.lstrip().startswith("{") else decode(data, tuple[row, ...])  # type: ignore[valid-type]
    return Answer(envelope.code, envelope.msg, rows, envelope.in_time_us, envelope.out_time_us)


def row_of_path(path: str, raw: str = "", method: str = "") -> Any:
    """The struct of the rows of a REST path (with or without `/api/v5` and a query).

    Some paths answer a POST with acknowledgements and a GET with rows; without `method` the body decides.
    Raises WireError for a path that we do not read.
    """
    bare = path.split("?", 1)[0].removeprefix("/api/v5")
    acked = method.upper() == "POST" if method else '"sCode"' in raw or bare not in _READS
    kind = (_ACKS if acked else _READS).get(bare)
    if kind is None:
        raise WireError(f"not a path that we read: {method} {bare[:80]}".strip())
    return kind


def decode_payload(channel_or_path: str, raw: bytes | str, method: str = "") -> Answer[Any] | Push:
    """Decode a recorded payload of a channel (`orders`) or of a REST path (`/api/v5/trade/order`).

    Raises WireError when the payload does not decode, or belongs to nothing that we read.
    """
    text = as_text(raw)
    if channel_or_path.startswith("/"):
        return decode_rest(text, row_of_path(channel_or_path, text, method))
    frame = decode_frame(text)
    if not isinstance(frame, Push):
        raise WireError(f"not a push of {channel_or_path[:80]}: {frame}")
    if frame.channel != channel_or_path:
        raise WireError(f"a push of {frame.channel[:80]}, not of {channel_or_path[:80]}")
    return frame
