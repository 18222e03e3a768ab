"""The embedded exchange over real sockets: pushes to many readers, order round trips, memory per client.

The exchange is a process of its own, the clients are as cheap as they can be (bytes counted, nothing decoded), so
that what is measured is the exchange. Both share the machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.bench._venue_server import BTC
from tests.venue.rig import login_frame, signed_headers

READERS = (1, 10, 100)
COUNTED_S = 3.0
ROUND_TRIPS = 1_000
ORDER = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "px": "59000", "sz": "1"}
MASK = b"\x00\x00\x00\x00"  # a mask of zeros leaves the payload as it is


def run() -> Iterator[str]:
    """The lines of the report."""
    yield from trio.run(_report)


async def _report() -> list[str]:
    lines = []
    for readers in READERS:
        async with _server() as (process, port):
            before = _resident_kb(process.pid)
            pushes, grown = await _pushed(process, port, readers)
            line = f"{readers:>4} subscribed connections {pushes:>9,.0f} pushes/s in all {pushes / readers:>9,.0f} each"
            if before and readers > 1:
                line += f" {(grown - before) / readers:>7.0f} kB a connection"
            lines.append(line)
    async with _server() as (process, port):
        for name, trips in (("REST", _rest_trips), ("WebSocket", _socket_trips)):
            taken = sorted(await trips(port))
            lines.append(
                f"order round trips, {name:<9} {len(taken) / sum(taken):>9,.0f} a second, one after the other; "
                f"median {statistics.median(taken) * 1e3:.2f} ms, 99 % within {taken[len(taken) * 99 // 100] * 1e3:.2f} ms"
            )
    return lines


@asynccontextmanager
async def _server() -> AsyncIterator[tuple[trio.Process, int]]:
    command = [sys.executable, "-m", "tests.bench._venue_server"]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, int(await process.stdout.receive_some())
    finally:
        process.kill()
        await process.wait()
        await process.stdout.aclose()


def _resident_kb(pid: int) -> int:
    """What the process holds in memory; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))


class Frames:
    """A WebSocket read for its frame boundaries alone."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.count = 0
        self._left = b""

    @classmethod
    async def open(cls, port: int, path: str) -> Frames:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        handshake = (
            f"GET /ws/v5/{path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await stream.send_all(handshake.encode())
        made = cls(stream)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some(65_536)
        made._left = head.partition(b"\r\n\r\n")[2]
        return made

    async def send(self, frame: object) -> None:
        text = json.dumps(frame).encode()
        size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
        await self.stream.send_all(b"\x81" + size + MASK + text)

    async def read(self) -> list[bytes]:
        """The frames that the next bytes complete."""
        self._left += await self.stream.receive_some(1_000_000)
        found, at = [], 0
        while len(self._left) - at >= 2:
            size, head = self._left[at + 1] & 0x7F, 2
            if size == 126:
                size, head = int.from_bytes(self._left[at + 2 : at + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(self._left[at + 2 : at + 10], "big"), 10
            if len(self._left) < at + head + size:
                break
            found.append(self._left[at + head : at + head + size])
            at += head + size
        self._left = self._left[at:]
        self.count += len(found)
        return found

    async def until(self, wanted: bytes) -> None:
        while not any(wanted in frame for frame in await self.read()):
            pass


async def _pushed(process: trio.Process, port: int, readers: int) -> tuple[float, int]:
    """Pushes a second to all readers together, and the memory of the exchange with all of them connected."""
    every = [await Frames.open(port, "public") for _ in range(readers)]
    async with trio.open_nursery() as nursery:
        for one in every:
            await one.send({"op": "subscribe", "args": [{"channel": "trades", "instId": BTC}]})

            async def read_on(frames: Frames = one) -> None:
                while True:
                    await frames.read()

            nursery.start_soon(read_on)
        await trio.sleep(COUNTED_S / 3)
        began, before = time.perf_counter(), sum(one.count for one in every)
        await trio.sleep(COUNTED_S)
        passed, after = time.perf_counter() - began, sum(one.count for one in every)
        grown = _resident_kb(process.pid)
        nursery.cancel_scope.cancel()
    for one in every:
        await trio.aclose_forcefully(one.stream)
    return (after - before) / passed, grown


async def _rest_trips(port: int) -> list[float]:
    """Place and cancel, over one warm connection; seconds of each."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)

    async def post(path: str, body: dict[str, str]) -> bytes:
        text = json.dumps(body)
        target = f"/api/v5/trade/{path}"
        headers = signed_headers("POST", target, text, time.time_ns() // 1_000_000)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n{lines}\r\n"
        await stream.send_all((head + text).encode())
        read = b""
        while b"\r\n\r\n" not in read or not read.endswith(b"}"):
            read += await stream.receive_some(65_536)
        assert b'"sCode":"0"' in read, read
        return read

    async def one_trip(number: int) -> None:
        path = "cancel-order" if number % 2 else "order"
        name = {"clOrdId": f"r{number // 2}"}
        await post(path, {"instId": BTC, **name} if number % 2 else {**ORDER, **name})

    async with stream:
        return await _timed(one_trip)


async def _socket_trips(port: int) -> list[float]:
    """The same over a logged-in WebSocket."""
    frames = await Frames.open(port, "private")
    await frames.send(login_frame(time.time_ns() // 1_000_000))
    await frames.until(b'"login"')

    async def one_trip(number: int) -> None:
        op = "cancel-order" if number % 2 else "order"
        name = {"clOrdId": f"w{number // 2}"}
        arg = {"instId": BTC, **name} if number % 2 else {**ORDER, **name}
        await frames.send({"id": str(number), "op": op, "args": [arg]})
        await frames.until(b'"sCode":"0"')

    async with frames.stream:
        return await _timed(one_trip)


async def _timed(one_trip: Callable[[int], Awaitable[None]]) -> list[float]:
    taken = []
    for number in range(ROUND_TRIPS):
        began = time.perf_counter()
        await one_trip(number)
        taken.append(time.perf_counter() - began)
    return taken
