"""Frames of the OKX v5 WebSockets: what a text that arrived is.

`decode_frame` always gives a frame: what cannot be read becomes `Garbled`, because a reader that stops at the
first surprise is worse than the surprise.  Unknown events and channels become `Unread`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from anchorwatch.io.okx import wire_account as account
from anchorwatch.io.okx import wire_market as market
from anchorwatch.io.okx import wire_orders as orders
from anchorwatch.io.okx.wire_fields import Row, WireError, clean, decode, decode_envelope

# How much of a text that could not be read is kept: enough to recognise it, too little to flood a log.
EXCERPT_CHARS = 200


class Arg(Row, frozen=True):
    """Names a channel: what is subscribed, acknowledged, and stands on every push.

    `extra_params` is itself JSON in a string, as the venue wants it.  `uid` comes from the venue only.
    """

    channel: str = ""
    inst_type: str = ""
    inst_family: str = ""
    inst_id: str = ""
    ccy: str = ""
    algo_id: str = ""
    extra_params: str = ""
    uid: str = ""

    def covers(self, other: Arg) -> bool:
        """Whether `other` speaks of this channel: everything that this one names is the same there."""
        return all(
            getattr(self, name) in ("", getattr(other, name))
            for name in ("channel", "inst_type", "inst_family", "inst_id", "ccy", "algo_id")
        )


class Pong(msgspec.Struct, frozen=True):
    """The answer to the text `ping`."""


class LoginAck(msgspec.Struct, frozen=True):
    conn_id: str


class SubscribeAck(msgspec.Struct, frozen=True):
    """One per channel."""

    id: str
    arg: Arg
    conn_id: str


class UnsubscribeAck(msgspec.Struct, frozen=True):
    id: str
    arg: Arg
    conn_id: str


class ErrorFrame(msgspec.Struct, frozen=True):
    """A request was refused. It may name its channel, or only the request's id, or neither."""

    id: str
    code: str
    message: str
    arg: Arg | None
    conn_id: str


class ConnectionCount(msgspec.Struct, frozen=True):
    """How many connections of this account hold a private channel.

    `refused` means that this subscription, although acknowledged before, is dead: the ceiling is reached.
    """

    channel: str
    count: int | None
    refused: bool
    conn_id: str


class Notice(msgspec.Struct, frozen=True):
    """The venue announces something; code 64008 is a forced close in about a minute."""

    code: str
    message: str
    conn_id: str


class OperationAnswer(msgspec.Struct, frozen=True):
    """The answer to an order operation sent over the WebSocket."""

    id: str
    op: str
    code: str
    message: str
    acks: tuple[orders.Ack, ...]


PushRow = (
    account.Balance
    | account.BalanceAndPosition
    | market.Book
    | market.Candle
    | market.FundingRate
    | market.IndexTicker
    | market.Instrument
    | market.MarkCandle
    | market.MarkPrice
    | account.Position
    | market.PriceLimit
    | market.SystemStatus
    | market.Ticker
    | market.Trade
    | orders.AlgoOrder
    | orders.FillPush
    | orders.OrderPush
)


class Push(msgspec.Struct, frozen=True):
    """Data of one channel. `rows` are all of the type that the channel has (`row_type`).

    `action` is "snapshot" or "update" on `books`.  `event_type`, `page` and `last_page` stand on `account` and
    `positions`: a snapshot may come in several pages, and is complete with the one marked last.
    """

    arg: Arg
    rows: tuple[PushRow, ...]
    action: str = ""
    event_type: str = ""
    page: int | None = None
    last_page: bool | None = None

    @property
    def channel(self) -> str:
        return self.arg.channel


class Unread(msgspec.Struct, frozen=True):
    """Well-formed, but nothing that we know: a new event, or a channel that we never asked for."""

    what: str


class Garbled(msgspec.Struct, frozen=True):
    """Not readable. `channel` says whose data were lost, where that much could be read."""

    reason: str
    channel: str
    excerpt: str


Frame = (
    Push
    | Pong
    | LoginAck
    | SubscribeAck
    | UnsubscribeAck
    | ErrorFrame
    | ConnectionCount
    | Notice
    | OperationAnswer
    | Unread
    | Garbled
)

CHANNEL_ROWS: dict[str, Any] = {
    "account": account.Balance,
    "positions": account.Position,
    "balance_and_position": account.BalanceAndPosition,
    "orders": orders.OrderPush,
    "fills": orders.FillPush,
    "orders-algo": orders.AlgoOrder,
    "algo-advance": orders.AlgoOrder,
    "instruments": market.Instrument,
    "tickers": market.Ticker,
    "trades": market.Trade,
    "trades-all": market.Trade,
    "books": market.Book,
    "books5": market.Book,
    "bbo-tbt": market.Book,
    "mark-price": market.MarkPrice,
    "index-tickers": market.IndexTicker,
    "funding-rate": market.FundingRate,
    "price-limit": market.PriceLimit,
    "status": market.SystemStatus,
}
_CANDLES = re.compile(r"candle\d")
_PRICE_CANDLES = re.compile(r"(?:mark-price|index)-candle\d")


def row_type(channel: str) -> Any | None:
    """The struct of a channel's rows, or None for a channel that we do not read."""
    if _CANDLES.match(channel):
        return market.Candle
    if _PRICE_CANDLES.match(channel):
        return market.MarkCandle
    return CHANNEL_ROWS.get(channel)


class _Envelope(Row, frozen=True):
    """Every key that any frame may have at its top."""

    event: str = ""
    id: str = ""
    op: str = ""
    code: str = ""
    msg: str = ""
    channel: str = ""
    conn_id: str = ""
    conn_count: int | None = None
    arg: Arg | None = None
    action: str = ""
    event_type: str = ""
    cur_page: int | None = None
    last_page: bool | None = None
    data: msgspec.Raw = msgspec.Raw()


def decode_frame(raw: str) -> Frame:
    """What one text frame says. Never raises for what the venue sent."""
    if raw == "pong":
        return Pong()
    text = clean(raw)
    try:
        envelope = decode_envelope(text, _Envelope)
    except WireError as error:
        return Garbled(str(error), "", _excerpt(raw))
    if envelope.event:
        return _event(envelope)
    channel = envelope.arg.channel if envelope.arg is not None else ""
    try:
        if envelope.op:
            acks = _rows(envelope, orders.Ack)
            return OperationAnswer(envelope.id, envelope.op, envelope.code, envelope.msg, acks)
        if envelope.arg is None or not bytes(envelope.data):
            return Unread("neither an event nor data")
        kind = row_type(channel)
        if kind is None:
            return Unread(f"channel {channel[:EXCERPT_CHARS]}")
        return Push(
            envelope.arg,
            _rows(envelope, kind),
            envelope.action,
            envelope.event_type,
            envelope.cur_page,
            envelope.last_page,
        )
    except WireError as error:
        return Garbled(str(error), channel, _excerpt(raw))


def _event(envelope: _Envelope) -> Frame:
    arg = envelope.arg or Arg()
    match envelope.event:
        case "login" if envelope.code in ("0", ""):
            return LoginAck(envelope.conn_id)
        case "subscribe":
            return SubscribeAck(envelope.id, arg, envelope.conn_id)
        case "unsubscribe":
            return UnsubscribeAck(envelope.id, arg, envelope.conn_id)
        case "error" | "login":
            message = _without_request(envelope.msg)
            return ErrorFrame(envelope.id, envelope.code, message, envelope.arg, envelope.conn_id)
        case "channel-conn-count" | "channel-conn-count-error":
            refused = envelope.event.endswith("error")
            return ConnectionCount(envelope.channel, envelope.conn_count, refused, envelope.conn_id)
        case "notice":
            return Notice(envelope.code, _excerpt(envelope.msg), envelope.conn_id)
    return Unread(f"event {envelope.event[:EXCERPT_CHARS]}")


def _rows(envelope: _Envelope, kind: Any) -> tuple[Any, ...]:
    if not bytes(envelope.data):
        return ()
    return decode(bytes(envelope.data).decode(), tuple[kind, ...])


def _without_request(message: str) -> str:
    """An error may quote the request that it refuses, and a login request holds the passphrase."""
    return _excerpt(message.split("{", 1)[0] + "{…}" if "{" in message else message)


_QUOTED_LOGIN = re.compile(r'(?:passphrase|apiKey)\\*"')


def _excerpt(text: str) -> str:
    if _QUOTED_LOGIN.search(text):
        return "(withheld: it quotes a login)"
    return text[:EXCERPT_CHARS]
