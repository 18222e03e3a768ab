"""Loopback listeners that speak canned bytes, for the failures that no proper server would produce."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import trio

from anchorwatch.io.okx.environments import Credentials, Endpoints, Environment, endpoints

CREDENTIALS = Credentials(key="sim-key", secret="22222222-TEST-SECRET-NOT-REAL", passphrase="sim-pass")
NOW_MS = 1767323045678

Script = Callable[[trio.SocketStream, bytes], Awaitable[None]]


class Canned:
    """A listener's address, and what arrived there: one entry a request, head and body."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []

    @property
    def endpoints(self) -> Endpoints:
        host = f"127.0.0.1:{self.port}"
        return endpoints(Environment.SIM, rest_url=f"http://{host}", ws_url=f"ws://{host}/ws/v5")

    @property
    def targets(self) -> list[str]:
        return [request.split(b" ", 2)[1].decode() for request in self.requests]


@asynccontextmanager
async def canned_http(*scripts: Script) -> AsyncIterator[Canned]:
    """Answers the n-th request with the n-th script, every later one with the last."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    canned = Canned(listeners[0].socket.getsockname()[1])

    async def serve(stream: trio.SocketStream) -> None:
        try:
            while request := await read_request(stream):
                script = scripts[min(len(canned.requests), len(scripts) - 1)]
                canned.requests.append(request)
                await script(stream, request)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield canned
        nursery.cancel_scope.cancel()


async def read_request(stream: trio.SocketStream) -> bytes:
    """One HTTP request, or b"" when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = await stream.receive_some(65536)
        if not chunk:
            return b""
        data += bytes(chunk)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += bytes(await stream.receive_some(65536))
    return head + b"\r\n\r\n" + body


def answer(body: str | bytes, status: int = 200, kind: str = "application/json") -> Script:
    raw = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n\r\n".encode()

    async def script(stream: trio.SocketStream, _request: bytes) -> None:
        await stream.send_all(head + raw)

    return script


def rows(*items: object, code: str = "0", status: int = 200) -> Script:
    return answer(msgspec.json.encode({"code": code, "msg": "", "data": items}), status)


async def reset(stream: trio.SocketStream, _request: bytes) -> None:
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    await stream.aclose()


async def hang_up(stream: trio.SocketStream, _request: bytes) -> None:
    await stream.aclose()


async def silence(_stream: trio.SocketStream, _request: bytes) -> None:
    await trio.sleep_forever()


async def truncated(stream: trio.SocketStream, _request: bytes) -> None:
    await stream.send_all(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"code":"0","data":[')
    await stream.aclose()
