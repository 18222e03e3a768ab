"""The exchange of ``anchorwatch venue`` in the test's own process, which overhears what a client asks of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from anchorwatch.io.seams import real_seams
from anchorwatch.io.simulation.recording import Recorder
from anchorwatch.io.standalone import VenueOptions, port_of, venue_of
from anchorwatch.io.venue.certificate import tls_context
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.serve import Listener, open_loopback, serve_venue
from anchorwatch.machine.trace import Seen
from tests.clients.overheard import Overheard, intent_of


def overhear(venue: Venue, trace: list[Seen]) -> Overheard:
    """Write down what the exchange does, what it is asked for and what it answers, from here on."""
    venue.publisher.watchers.append(Recorder(venue, venue.accounts["main"], trace.append))
    # What a client means to do it says nowhere but in its request.
    venue.trading = overheard = Overheard(venue, trace, intent_of, tells=True)
    return overheard


class ClientExchange:
    """On plain ports, and with ``certificate`` on one with TLS as well. ``trace`` is what it did and was asked for."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.certificate = certificate
        self.venue, _ = venue_of(VenueOptions(), real_seams().wall_ms)
        self.trace: list[Seen] = []
        self.url = self.wss_url = ""
        overhear(self.venue, self.trace)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        plain = await open_loopback()
        listeners: list[Listener] = [*plain]
        self.url = f"http://127.0.0.1:{port_of(plain)}"
        if self.certificate is not None:
            context = tls_context(self.certificate, real_seams().wall_ms())
            secure = await open_loopback()
            self.wss_url = f"wss://127.0.0.1:{port_of(secure)}"
            listeners += [trio.SSLListener(one, context, https_compatible=True) for one in secure]
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_venue, self.venue, listeners, control=True))
            yield
            nursery.cancel_scope.cancel()
