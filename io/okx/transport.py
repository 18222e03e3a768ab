"""One warm HTTP client for one venue: sends a signed request, and says what came back or whether it left at all.

The difference between "not sent" and "sent, no answer" decides whether an order may exist.  httpcore announces the
moment at which it starts to write a request, and that moment is the border: before it nothing can have happened,
from it on anything can.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Any

import httpx
import msgspec
import trio

from anchorwatch.io.okx.causes import root_cause
from anchorwatch.io.okx.environments import Credentials, Endpoints
from anchorwatch.io.okx.signing import rest_prehash, rest_timestamp, signature

# Reading a bot's whole state asks for some ten lists at once; more connections would not make the venue faster.
CONNECTIONS_MAX = 16
# Shorter than the idle time, a minute and more, after which servers and balancers close a connection: a request
# written into a closing connection has an unknown outcome, so such a connection is dropped by us first.
KEEP_ALIVE_S = 50.0

# One for the stop, when another waits for the answer to the entry or its cancel, and a third asks for that order.
WARM_CONNECTIONS = 3
# For a stop and an amendment beside it, when the others are kept warm or read the account. No reading takes them.
SPARE_CONNECTIONS = 2
# The longest answer is the list of all swaps, below 1 MB.
BODY_BYTES_MAX = 8 * 1024 * 1024
CLOSE_S = 1.0  # for a farewell to connections that nobody hears any more

_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "User-Agent": "anchorwatch",
    "Content-Type": "application/json",
}
# The parsed URLs of so many targets are kept: what a bot asks for again and again. What names one order is asked for once.
URLS_KEPT = 32

_TOO_LONG = f"the answer is longer than {BODY_BYTES_MAX} bytes"
_WRITING = "http11.send_request_headers.started"


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer. The times are of our clock, around the exchange alone, without waiting for a connection."""

    status: int
    body: bytes
    sent_ms: int
    received_ms: int


class NoReply(msgspec.Struct, frozen=True):
    """No complete answer. `sent` is False only when certainly not a byte of the request was written."""

    reason: str
    sent: bool


class _Withdrawn(Exception):
    """The caller no longer wants the request, discovered just before it is written."""


def tls_context() -> ssl.SSLContext:
    """The one context that REST and the WebSockets share: loading the roots once costs tens of milliseconds."""
    return httpx.create_ssl_context(trust_env=False)


class _Whole(httpx.AsyncByteStream):
    """A body in one piece. httpx's own is an async generator, which a write that breaks would leave unfinished."""

    def __init__(self, body: bytes) -> None:
        self._left = [body] if body else []

    def __aiter__(self) -> _Whole:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class _Pool:
    """Connections of one age, and how many requests use them now.

    httpx's connections without its client: cookies, redirects, proxies and schemes of authentication are for browsers,
    and each request would pay for them.
    """

    def __init__(self, connections: httpx.AsyncHTTPTransport) -> None:
        self.connections = connections
        self.active = 0


class Transport:
    """Use as `async with`. Requests may run concurrently."""

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials | None,
        now_ms: Callable[[], int],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        secure = endpoints.rest_url.startswith("https://")
        # For an unencrypted loopback venue a context without roots: httpx wants one, nothing will use it.
        context = tls or (tls_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._base = httpx.URL(endpoints.rest_url)
        self._prefix = self._base.raw_path.rstrip(b"/").decode("ascii")
        self._url = lru_cache(maxsize=URLS_KEPT)(self._parsed)
        self._simulated = endpoints.simulated
        self._credentials = credentials
        self._now_ms = now_ms
        self._context = context
        self._main, self._spare = self._new_pool(), self._new_pool()

    def _new_pool(self) -> _Pool:
        # Deadlines are cancel scopes around a whole call, so httpx gets none of its own.
        connections = httpx.AsyncHTTPTransport(
            verify=self._context,
            trust_env=False,
            http1=True,
            http2=False,
            retries=0,
            limits=httpx.Limits(
                max_connections=CONNECTIONS_MAX,
                max_keepalive_connections=CONNECTIONS_MAX,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
        )
        return _Pool(connections)

    def _parsed(self, target: str) -> httpx.URL:
        return self._base.copy_with(raw_path=f"{self._prefix}{target}".encode("ascii"))

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        for pool in (self._main, self._spare):
            await pool.connections.aclose()

    def _choose(self, *, is_write: bool, spare: bool) -> _Pool:
        """The main pool; for a write the spare one, where the others are all in use and it is not."""
        is_main_busy = self._main.active >= WARM_CONNECTIONS and self._spare.active < SPARE_CONNECTIONS
        return self._spare if spare or (is_write and is_main_busy) else self._main

    async def _leave_behind(self, pool: _Pool) -> None:
        """A connection has swallowed a request: the others of its age may be as dead, and none says so."""
        left = (self._main, self._spare)
        if pool in left:
            self._main, self._spare = self._new_pool(), self._new_pool()
            for one in left:
                await self._close_if_idle(one)

    async def _let_go(self, pool: _Pool) -> None:
        pool.active -= 1
        if pool not in (self._main, self._spare):
            await self._close_if_idle(pool)

    @staticmethod
    async def _close_if_idle(pool: _Pool) -> None:
        if not pool.active:
            # Whoever asked may be cancelled, and its peer may be gone: closed all the same, and not waited for.
            with trio.move_on_after(CLOSE_S, shield=True):
                await pool.connections.aclose()

    async def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        deadline_s: float,
        signed_at_ms: int | None = None,
        expires_ms: int | None = None,
        still_wanted: Callable[[], bool] | None = None,
        spare: bool = False,
    ) -> Reply | NoReply:
        """Send one request and read the whole answer within `deadline_s`.

        `target` starts with `/api/v5/` and includes the query, percent-encoded.  With `signed_at_ms` (venue time)
        the request is signed.  `still_wanted` is asked at the last moment, when a connection is there and the
        first byte is about to be written; on False nothing is sent.  ``spare`` takes one of the connections that
        are kept for writes when all others are in use.
        """
        sent_ms: int | None = None

        async def on_trace(event: str, _details: dict[str, Any]) -> None:
            nonlocal sent_ms
            if event == _WRITING:
                if still_wanted is not None and not still_wanted():
                    raise _Withdrawn
                sent_ms = self._now_ms()

        pool = self._choose(is_write=method == "POST", spare=spare)
        url = self._url(target)
        # The signature covers what httpx will really write, after any encoding of its own.
        written = url.raw_path.decode("ascii").removeprefix(self._prefix)
        request = httpx.Request(
            method,
            url,
            headers=self._headers(method, written, body, signed_at_ms, expires_ms),
            content=body or None,
            extensions={"trace": on_trace},
        )
        request.stream = _Whole(body)
        reason = f"no answer within {deadline_s:g} s"
        pool.active += 1
        try:
            with trio.move_on_after(deadline_s) as patience:
                try:
                    return await self._exchange(pool.connections, request, lambda: sent_ms)
                except _Withdrawn:
                    reason = "withdrawn before it was sent"
                except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError) as error:
                    reason = f"{type(error).__name__}: {root_cause(error)}"
            if patience.cancelled_caught and sent_ms is not None:
                await self._leave_behind(pool)
        finally:
            await self._let_go(pool)
        return NoReply(reason, sent_ms is not None)

    async def _exchange(
        self,
        connections: httpx.AsyncHTTPTransport,
        request: httpx.Request,
        sent_ms: Callable[[], int | None],
    ) -> Reply | NoReply:
        response = await connections.handle_async_request(request)
        try:
            announced = response.headers.get("Content-Length", "0")
            if announced.isdecimal() and int(announced) > BODY_BYTES_MAX:
                return NoReply(_TOO_LONG, True)
            # Beyond the bound the rest is read and dropped until the deadline: leaving the loop would abandon the
            # generators that httpx nests here, and with them the connection, to the garbage collector.
            chunks, size = [], 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size <= BODY_BYTES_MAX:
                    chunks.append(chunk)
        finally:
            await response.aclose()
        if size > BODY_BYTES_MAX:
            return NoReply(_TOO_LONG, True)
        received_ms = self._now_ms()
        at_ms = sent_ms()
        return Reply(
            response.status_code, b"".join(chunks), received_ms if at_ms is None else at_ms, received_ms
        )

    def _headers(
        self, method: str, target: str, body: bytes, signed_at_ms: int | None, expires_ms: int | None
    ) -> dict[str, str]:
        headers = _HEADERS.copy()
        if self._simulated:
            headers["x-simulated-trading"] = "1"
        if expires_ms is not None:
            headers["expTime"] = str(expires_ms)
        if signed_at_ms is not None:
            if self._credentials is None:
                raise ValueError("a private call needs credentials")
            timestamp = rest_timestamp(signed_at_ms)
            text = rest_prehash(timestamp, method, target, body.decode())
            headers["OK-ACCESS-KEY"] = self._credentials.key
            headers["OK-ACCESS-SIGN"] = signature(self._credentials.secret, text)
            headers["OK-ACCESS-TIMESTAMP"] = timestamp
            headers["OK-ACCESS-PASSPHRASE"] = self._credentials.passphrase
        return headers
