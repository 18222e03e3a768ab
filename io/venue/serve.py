"""The exchange on sockets: an ASGI application on hypercorn's trio connection, over any trio listeners.

Nothing here knows a trading rule. Requests and frames are handed to the venue and its answers and pushes are
written out; one task carries the venue through time. hypercorn's own `serve` opens sockets of the standard library
and so cannot run on a network that trio was given; its connection class can.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import LifespanState
from hypercorn.utils import wrap_app
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from anchorwatch.io.venue.channels import PATHS
from anchorwatch.io.venue.control import PREFIX as CONTROL_PREFIX
from anchorwatch.io.venue.control import answer_control
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.rest import BODY_MAX_BYTES, HTML_TYPE, HttpAnswer, HttpRequest
from anchorwatch.io.venue.sessions import FRAME_MAX_BYTES, Session

# A client that keeps its connection warm asks at least every minute or so.
KEEP_ALIVE_S = 75.0
# Requests on one connection before it is recycled: more than a day of one per second.
KEEP_ALIVE_REQUESTS = 100_000
# After the exchange has decided to close, how long a slow reader gets to take what is queued.
CLOSE_GRACE_S = 2.0
# A "close code" that is no frame at all: the connection just ends.
ABNORMAL = 1006
WS_PREFIX = "/ws/v5/"

Listener: TypeAlias = trio.SocketListener | trio.SSLListener[trio.SocketStream]
Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]
Peer: TypeAlias = tuple[str, int]


class Bell:
    """Wakes one waiting task; rings that nobody waits for are kept, as one."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        await self._rung.wait()
        self._rung = trio.Event()


async def _say(answer: HttpAnswer, receive: Receive, send: Send) -> None:
    """An answer that may come late, break off in the middle, or never come."""
    if answer.delay_ms:
        with trio.move_on_after(answer.delay_ms / 1000):
            await _until_disconnected(receive)
            return
    headers = [
        (b"content-length", b"%d" % len(answer.body)),
        (b"content-type", answer.content_type.encode("latin-1")),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.fate != "truncated":
        await send({"type": "http.response.body", "body": answer.body})
        return
    half = answer.body[: len(answer.body) // 2]
    # Ending here leaves the promised length unfulfilled, and the connection is closed.
    await send({"type": "http.response.body", "body": half, "more_body": True})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Mounting:
    """The application: what its connections share is the venue, the streams it serves and the bell of the time task."""

    def __init__(self, venue: Venue, *, control: bool) -> None:
        self._venue = venue
        self._has_control = control
        self._bell = Bell()
        self._due_ms: int | None = None  # the moment that the time task waits for
        self._streams: dict[Peer, Stream] = {}

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. What a router would do for two kinds of requests is not worth its way for each of them."""
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self._socket(WebSocket(scope, receive, send))

    def _mind_time(self) -> None:
        """What was just done may have something due earlier, or has already done what was due."""
        if self._venue.next_ms() != self._due_ms:
            self._bell.ring()

    # HTTP.

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _bounded_body(receive)
        except ValueError:
            await _say(HttpAnswer(413, b"", HTML_TYPE), receive, send)
            return
        target = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        asked = HttpRequest(
            method=scope["method"],
            target=f"{target}?{query}" if query else target,
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=body,
            ip=scope["client"][0] if scope["client"] else "",
        )
        if self._has_control and target.startswith(CONTROL_PREFIX):
            answer = answer_control(self._venue, asked)
            self._bell.ring()
        else:
            late_ms = self._venue.gateway.late_ms(asked)
            if late_ms:
                await trio.sleep(late_ms / 1000)
            answer = self._venue.gateway.answer(asked)
            self._mind_time()
        await _say(answer, receive, send)

    # WebSocket.

    async def _socket(self, websocket: WebSocket) -> None:
        venue, path = self._venue, websocket.scope["path"].removeprefix(WS_PREFIX)
        peer: Peer = (websocket.client.host, websocket.client.port) if websocket.client else ("", 0)
        if path not in PATHS:
            await websocket.send_denial_response(Response(status_code=404))
            return
        venue.advance()
        refusal = venue.faults.draw("ws_refuse", path, venue.now_ms())
        if refusal is not None:
            await websocket.send_denial_response(Response(status_code=refusal.status))
            return
        await trio.sleep(venue.connections.wait_ms(peer[0]) / 1000)
        await websocket.accept()
        venue.advance()
        session = venue.connections.open(path, peer[0])
        bell, over = Bell(), trio.Event()

        def wake() -> None:
            bell.ring()
            if not session.is_open:
                over.set()

        session.wake = wake
        self._bell.ring()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, websocket, session, bell, peer, nursery.cancel_scope)
                nursery.start_soon(self._cut_off, over, peer)
                await self._read(websocket, session)
                nursery.cancel_scope.cancel()
        finally:
            session.lost()
            self._bell.ring()

    async def _read(self, websocket: WebSocket, session: Session) -> None:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                text = (message.get("bytes") or b"").decode("utf-8", "replace")
            self._venue.advance()
            session.receive(text)
            self._mind_time()

    async def _write(
        self, websocket: WebSocket, session: Session, bell: Bell, peer: Peer, scope: trio.CancelScope
    ) -> None:
        while True:
            while session.outbox:
                await websocket.send_text(session.outbox.popleft())
            if session.closing is not None:
                break
            await bell.wait()
        if session.closing.code == ABNORMAL:
            self._abort(peer)
        else:
            await websocket.close(session.closing.code, session.closing.reason)
        # The peer's own close ends the reading; without one the grace does.
        await trio.sleep(CLOSE_GRACE_S)
        scope.cancel()

    async def _cut_off(self, over: trio.Event, peer: Peer) -> None:
        """A closed session whose reader takes nothing: hypercorn's send cannot be cancelled, its socket can be shut."""
        await over.wait()
        await trio.sleep(CLOSE_GRACE_S)
        self._abort(peer)

    # Connections and time.

    def _abort(self, peer: Peer) -> None:
        stream = self._streams.get(peer)
        if stream is not None:
            _socket_of(stream).close()

    async def serve_stream(self, stream: Stream, *, config: Config, context: WorkerContext) -> None:
        """One accepted connection, to its end. What goes wrong in it stays in it, and is noted."""
        try:
            peer: Peer = _socket_of(stream).getpeername()[:2]
        except OSError:
            return
        self._streams[peer] = stream
        try:
            app = wrap_app(cast(Any, self.app), 0, "asgi")
            await TCPServer(app, config, context, LifespanState({}), cast(Any, stream))
        except Exception as error:  # the edge: other clients must not notice
            self._venue.note("connection error", f"{peer} {error!r}")
        finally:
            self._streams.pop(peer, None)

    async def keep_time(self) -> None:
        """Carry the venue to its next due moment, again and again."""
        venue = self._venue
        venue.wake = self._bell.ring
        while True:
            venue.advance()
            self._due_ms = due_ms = venue.next_ms()
            wait_s = float("inf") if due_ms is None else max(due_ms - venue.wall_ms(), 0) / 1000
            with trio.move_on_after(wait_s):
                await self._bell.wait()

    async def close_streams_when_cancelled(self) -> None:
        """A send under way is shielded by hypercorn and ends only when its socket does."""
        try:
            await trio.sleep_forever()
        finally:
            for stream in list(self._streams.values()):
                _socket_of(stream).close()


def _socket_of(stream: Stream) -> trio.socket.SocketType:
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    return inner.socket


async def _bounded_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > BODY_MAX_BYTES:
            raise ValueError("body too large")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.keep_alive_max_requests = KEEP_ALIVE_REQUESTS
    config.websocket_max_message_size = FRAME_MAX_BYTES
    # A date in the headers would be the host's, not the exchange's.
    config.include_date_header = False
    config.include_server_header = False
    return config


async def open_loopback(port: int = 0) -> list[trio.SocketListener]:
    """Listeners on 127.0.0.1; port 0 takes a free one (``listeners[0].socket.getsockname()[1]``)."""
    return await trio.open_tcp_listeners(port, host="127.0.0.1")


async def serve_venue(
    venue: Venue,
    listeners: Sequence[Listener],
    *,
    control: bool = False,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve HTTP and WebSocket on all listeners until cancelled, and close everything that was opened.

    With ``control`` the exchange can also be told what to do wrong, under ``/anchorwatch/`` (see `control`).
    """
    mounting = _Mounting(venue, control=control)
    serve_one = partial(mounting.serve_stream, config=_config(), context=WorkerContext(None))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mounting.keep_time)
            nursery.start_soon(mounting.close_streams_when_cancelled)
            await nursery.start(partial(trio.serve_listeners, serve_one, list(listeners)))
            task_status.started()
    finally:
        venue.wake = lambda: None
        with trio.CancelScope(shield=True):
            for listener in listeners:
                await listener.aclose()
