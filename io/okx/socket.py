"""One WebSocket to OKX v5: does one thing asked, and reports what happened.

It decides nothing: when to dial, log in, subscribe, ping or give up is the connection machine's business.  Two
duties are its own.  It never lets a consumer hold up the reader: frames go to a callback that returns at once, or
into a bounded queue whose overflow ends the socket, because a gap in private events must not pass unnoticed.  And
it leaves nothing open: trio-websocket forgets its stream when a handshake is refused or cancelled, and waits for
ever when the peer hangs up in the middle of one, so the stream is opened, watched and closed here.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import h11
import msgspec
import trio
import trio_websocket
import wsproto.utilities

from anchorwatch.io.okx.causes import root_cause
from anchorwatch.io.okx.environments import Credentials
from anchorwatch.io.okx.errors import classify_login
from anchorwatch.io.okx.signing import signature, ws_login_prehash
from anchorwatch.io.okx.subscribing import Subscribing, SubscriptionReport
from anchorwatch.io.okx.watched_stream import WatchedStream
from anchorwatch.io.okx.wire_ws import (
    Arg,
    ConnectionCount,
    ErrorFrame,
    Frame,
    Garbled,
    LoginAck,
    Pong,
    SubscribeAck,
    decode_frame,
)

DIAL_S = 10.0  # name, TCP, TLS and upgrade together
ANSWER_S = 10.0  # login, and each channel's acknowledgement
SEND_S = 5.0  # a peer that does not read for this long is as good as gone
CLOSE_S = (
    0.6  # for the closing handshake: a round trip and more, within the step of the stop that waits for it
)

# The largest push is a snapshot of a 400-level book, some 40 kB; account snapshots come in pages.
FRAME_BYTES_MAX = 4 * 1024 * 1024
# Several seconds of the busiest private stream. A consumer further behind than that decides on old news.
FRAMES_QUEUED_MAX = 4_096

# Close codes that OKX v5 sends instead of an answer to a login.
_LOGIN_CLOSE_CODES = (4001, 4007)


class SocketEnd(msgspec.Struct, frozen=True):
    """Why a socket is no more. `code` is the close frame's; 1006 means that there was none."""

    reason: str
    code: int | None = None
    http_status: int | None = None  # of the answer that refused the upgrade


class DialFailed(Exception):
    """No WebSocket came about: refused, unreachable, no TLS, no upgrade, or not in time."""

    def __init__(self, end: SocketEnd) -> None:
        super().__init__(end.reason)
        self.end = end


class SocketLost(Exception):
    """The socket ended, or did not answer in time, while something was asked of it."""

    def __init__(self, end: SocketEnd) -> None:
        super().__init__(end.reason)
        self.end = end


class LoginAccepted(msgspec.Struct, frozen=True):
    conn_id: str


class LoginRefused(msgspec.Struct, frozen=True):
    """Not a drop: dialling again changes nothing unless `classify_login(code)` says so."""

    code: str
    message: str


class OkxSocket:
    """Made by `open_okx_socket`."""

    def __init__(self, deliver: Callable[[Frame], None] | None) -> None:
        self._deliver = deliver
        self._queue_in, self._queue_out = trio.open_memory_channel[Frame](FRAMES_QUEUED_MAX)
        self._ws: trio_websocket.WebSocketConnection | None = None
        self._end: SocketEnd | None = None
        self._news = trio.Event()
        # Shielded: when the owner is cancelled, the reader must live on to hear the venue's goodbye. `_close` ends it.
        self._life = trio.CancelScope(shield=True)
        self._closing = False
        self._logging_in = False
        self._login: LoginAccepted | LoginRefused | None = None
        self._subscribing: Subscribing | None = None
        self._requests = 0
        self._pongs = 0
        self._heard_at = trio.current_time()

    @property
    def ended(self) -> SocketEnd | None:
        return self._end

    @property
    def heard_at(self) -> float:
        """The trio time of the last frame, for whoever watches for silence."""
        return self._heard_at

    async def wait_ended(self) -> SocketEnd:
        while self._end is None:
            await self._news.wait()
        return self._end

    async def login(
        self, credentials: Credentials, now_s: int, *, deadline_s: float = ANSWER_S
    ) -> LoginAccepted | LoginRefused:
        """Log in and wait for the answer; only afterwards may private channels be subscribed.

        `now_s` is the venue's time in whole seconds.  Raises SocketLost when there is no answer.
        """
        timestamp = str(now_s)
        login = {
            "apiKey": credentials.key,
            "passphrase": credentials.passphrase,
            "timestamp": timestamp,
            "sign": signature(credentials.secret, ws_login_prehash(timestamp)),
        }
        self._login, self._logging_in = None, True
        try:
            await self._send({"op": "login", "args": [login]})
            with trio.move_on_after(deadline_s):
                while self._login_answer() is None and self._end is None:
                    await self._news.wait()
        finally:
            self._logging_in = False
        answer = self._login_answer()
        if answer is not None:
            return answer
        if self._end is not None and self._end.code in _LOGIN_CLOSE_CODES:
            code = str(self._end.code)
            return LoginRefused(code, self._end.reason or classify_login(code).meaning)
        raise SocketLost(self._end or SocketEnd(f"no answer to the login within {deadline_s:g} s"))

    async def subscribe(self, args: Sequence[Arg], *, deadline_s: float = ANSWER_S) -> SubscriptionReport:
        """Subscribe and wait until every channel has an answer, `deadline_s` for each from its sending.

        The report names the channels that were refused and those without an answer.  Raises SocketLost when the
        socket ends meanwhile.  One call at a time.
        """
        assert self._subscribing is None, "one subscription at a time"
        self._subscribing = awaited = Subscribing(args, self._requests)
        try:
            for request_id, group in awaited.requests:
                await self._send({"id": request_id, "op": "subscribe", "args": group})
            self._requests += len(awaited.requests)
            with trio.move_on_after(deadline_s):
                while awaited.unanswered and self._end is None:
                    await self._news.wait()
        finally:
            self._subscribing = None
        if self._end is not None:
            raise SocketLost(self._end)
        return awaited.report()

    async def ping(self, *, answer_within_s: float | None = None) -> bool:
        """Send the text `ping`. The `Pong` comes as a frame like any other.

        With `answer_within_s` it is awaited here, and False means that it did not come in time.
        Raises SocketLost when the socket has ended.
        """
        pongs = self._pongs
        await self._send_text("ping")
        if answer_within_s is None:
            return True
        with trio.move_on_after(answer_within_s):
            while self._pongs == pongs and self._end is None:
                await self._news.wait()
        if self._pongs == pongs and self._end is not None:
            raise SocketLost(self._end)
        return self._pongs > pongs

    def frames(self) -> AsyncIterator[Frame]:
        """Every frame that answers no request of ours, in the order of arrival; ends with the socket (`ended`)."""
        assert self._deliver is None, "frames go to the callback"
        return self._queue_out

    def _login_answer(self) -> LoginAccepted | LoginRefused | None:
        return self._login

    async def _send(self, request: dict[str, Any]) -> None:
        await self._send_text(msgspec.json.encode(request).decode())

    async def _send_text(self, text: str) -> None:
        if self._end is not None:
            raise SocketLost(self._end)
        assert self._ws is not None
        with trio.move_on_after(SEND_S) as patience:
            try:
                await self._ws.send_message(text)
            except trio_websocket.ConnectionClosed as closed:
                self._finish(_end_of(closed))
        if patience.cancelled_caught:
            self._finish(SocketEnd(f"the venue read nothing for {SEND_S:g} s"))
        if self._end is not None:
            raise SocketLost(self._end)

    def _finish(self, end: SocketEnd) -> None:
        """The first reason counts: what follows a loss is its echo."""
        if self._end is None:
            self._end = end
            self._queue_in.close()
            self._announce()

    def _announce(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def _carry(self, url: str, tls: ssl.SSLContext | None, frame_bytes_max: int) -> None:
        """The socket's whole life. Network faults become its end; what is left to raise is our bug."""
        end = SocketEnd("closed by us", 1000)
        try:
            with self._life:
                stream = await _dial(url, tls)
                async with stream:
                    if isinstance(stream, trio.SSLStream):
                        # Now, not at the first write inside trio-websocket, where its reason would be lost.
                        await stream.do_handshake()
                    end = await self._speak(WatchedStream(stream), url, frame_bytes_max)
        except* trio_websocket.ConnectionRejected as rejected:
            status = _only(rejected).status_code
            end = SocketEnd(f"upgrade refused with HTTP {status}", http_status=status)
        except* trio_websocket.ConnectionClosed as closed:
            end = _end_of(_only(closed))
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as broken:
            first = _only(broken)
            end = SocketEnd(f"{type(first).__name__}: {root_cause(first)}")
        except* (wsproto.utilities.ProtocolError, h11.ProtocolError, trio_websocket.HandshakeError) as wrong:
            end = SocketEnd(f"not a WebSocket: {_only(wrong)}")
        finally:
            self._finish(end)

    async def _speak(self, stream: WatchedStream, url: str, frame_bytes_max: int) -> SocketEnd:
        parts = urlsplit(url)
        end = SocketEnd("the venue hung up during the handshake", 1006)
        async with trio.open_nursery() as nursery:

            async def give_up_when_the_stream_ends() -> None:
                await stream.ended.wait()
                if self._ws is None:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(give_up_when_the_stream_ends)
            ws = await trio_websocket.wrap_client_stream(
                nursery,
                stream,  # type: ignore[arg-type]  # it asks for no more than a Stream
                parts.netloc,
                parts.path + (f"?{parts.query}" if parts.query else ""),
                max_message_size=frame_bytes_max,
            )
            self._ws = ws
            self._announce()
            end = await self._read(ws)
            if not self._closing:
                nursery.cancel_scope.cancel()
            # Otherwise trio-websocket's reader still has to hear the venue's goodbye; it ends with the stream.
        return end

    async def _read(self, ws: trio_websocket.WebSocketConnection) -> SocketEnd:
        while self._end is None:
            try:
                message = await ws.get_message()
            except trio_websocket.ConnectionClosed as closed:
                return _end_of(closed)
            self._heard_at = trio.current_time()
            text = isinstance(message, str)
            self._take(decode_frame(str(message)) if text else Garbled("a binary frame", "", ""))
        return self._end

    def _take(self, frame: Frame) -> None:
        if self._answers_a_request(frame):
            self._announce()
            return
        if isinstance(frame, Pong):
            self._pongs += 1
            self._announce()
        if self._deliver is not None:
            self._deliver(frame)
            return
        try:
            self._queue_in.send_nowait(frame)
        except trio.WouldBlock:
            self._finish(SocketEnd(f"the consumer is {FRAMES_QUEUED_MAX} frames behind"))

    def _answers_a_request(self, frame: Frame) -> bool:
        subscribing = self._subscribing
        match frame:
            case LoginAck() if self._logging_in:
                self._login = LoginAccepted(frame.conn_id)
                return True
            case ErrorFrame() if self._logging_in and not frame.id:
                self._login = LoginRefused(frame.code, frame.message)
                return True
            case SubscribeAck() if subscribing is not None:
                return subscribing.acknowledged(frame)
            case ErrorFrame() if subscribing is not None:
                return subscribing.refused_by(frame)
            case ConnectionCount() if subscribing is not None and frame.refused:
                return subscribing.crowded_out(frame)
        return False

    async def _wait_open(self, deadline_s: float) -> None:
        with trio.move_on_after(deadline_s):
            while self._ws is None and self._end is None:
                await self._news.wait()
        if self._end is not None:
            raise DialFailed(self._end)
        if self._ws is None:
            raise DialFailed(SocketEnd(f"no WebSocket within {deadline_s:g} s"))

    async def _close(self) -> None:
        if self._ws is not None and self._end is None:
            self._closing = True
            # Shielded: a cancelled owner still says goodbye, but not for long.
            with trio.move_on_after(CLOSE_S, shield=True):
                await self._ws.aclose()
        self._finish(SocketEnd("closed by us", 1000))
        self._life.cancel()
        self._queue_out.close()


@asynccontextmanager
async def open_okx_socket(
    url: str,
    *,
    tls: ssl.SSLContext | None = None,
    deliver: Callable[[Frame], None] | None = None,
    dial_deadline_s: float = DIAL_S,
    frame_bytes_max: int = FRAME_BYTES_MAX,
) -> AsyncIterator[OkxSocket]:
    """A WebSocket for as long as the block lasts; when it is left, the TCP connection is gone.

    `tls` is required for `wss`.  With `deliver` every frame that answers no request of ours goes there, which must
    not block; without it, frames queue for `OkxSocket.frames`.  Raises DialFailed.
    """
    socket = OkxSocket(deliver)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(socket._carry, url, tls, frame_bytes_max)
        # What the block raises is carried around the nursery, which would wrap it in a group.
        try:
            await socket._wait_open(dial_deadline_s)
            yield socket
        except BaseException as error:
            failure = error
        await socket._close()
        # A cancellation from outside must not take the place of what the block raised.
        nursery.cancel_scope.shield = True
    if failure is not None:
        raise failure


async def _dial(url: str, tls: ssl.SSLContext | None) -> trio.abc.Stream:
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    if secure and tls is None:
        raise ValueError("wss needs a TLS context")
    host = parts.hostname or ""
    tcp = await trio.open_tcp_stream(host, parts.port or (443 if secure else 80))
    if not secure or tls is None:
        return tcp
    return trio.SSLStream(tcp, tls, server_hostname=host, https_compatible=True)


def _end_of(closed: trio_websocket.ConnectionClosed) -> SocketEnd:
    if closed.reason is None:
        return SocketEnd("connection lost", 1006)
    if closed.reason.code == 1006:
        return SocketEnd("connection lost without a close frame", 1006)
    return SocketEnd(closed.reason.reason or f"closed with {closed.reason.code}", closed.reason.code)


def _only(group: BaseExceptionGroup[Any]) -> Any:
    """The first leaf: several tasks of one socket fail of one cause."""
    error: Any = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
