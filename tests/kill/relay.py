"""A line between the bot and the exchange that can be cut."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Relay:
    """Forwards every connection that it takes to ``port`` on loopback."""

    def __init__(self, port: int) -> None:
        self.is_whole = True
        self._port = port
        self._lines: list[trio.CancelScope] = []

    def cut(self) -> None:
        """Every connection breaks, and new ones are turned away until `mend`."""
        self.is_whole = False
        for line in self._lines:
            line.cancel()

    def mend(self) -> None:
        self.is_whole = True

    async def forward(self, caller: trio.SocketStream) -> None:
        """One connection, from its first byte to its last."""
        line = trio.CancelScope()
        self._lines.append(line)
        try:
            with line:
                async with caller:
                    if self.is_whole:
                        async with await trio.open_tcp_stream("127.0.0.1", self._port) as venue:
                            async with trio.open_nursery() as nursery:
                                nursery.start_soon(_copy, caller, venue, nursery.cancel_scope)
                                nursery.start_soon(_copy, venue, caller, nursery.cancel_scope)
        finally:
            self._lines.remove(line)


async def _copy(source: trio.SocketStream, sink: trio.SocketStream, end: trio.CancelScope) -> None:
    try:
        async for chunk in source:
            await sink.send_all(chunk)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # one side was killed: that is what is done here
    end.cancel()


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[tuple[Relay, int]]:
    """A relay to ``port``, and the port on which it listens itself."""
    own = Relay(port)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, own.forward, [listener])
        yield own, listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()
