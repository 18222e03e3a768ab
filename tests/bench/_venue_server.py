"""The exchange of the benchmark, in a process of its own: ``_venue_server.py`` prints its port, then serves.

Its market is set by hand as fast as the connections take the pushes; so what is measured is the exchange and its
sockets, not the pace of a market.
"""

from __future__ import annotations

import sys
from decimal import Decimal

import trio

from anchorwatch.io.seams import real_seams
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.feeds import ManualFeed
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from anchorwatch.io.venue.switches import Switches

BTC = "BTC-USDT-SWAP"
# Pushes that may wait in one connection before the market waits for it.
WAITING_MAX = 50


async def main() -> None:
    wall_ms = real_seams().wall_ms
    instrument = instrument_for(BTC)
    assert instrument is not None
    market = Market({BTC: ManualFeed(instrument, Decimal(60_000), wall_ms())}, wall_ms())
    venue = Venue(
        market,
        now_ms=wall_ms,
        accounts=(AccountSpec(cash=Decimal(10**9)),),
        switches=Switches(enforces_rate_limits=False),
    )
    listeners = await open_loopback()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_venue, venue, listeners)
        print(listeners[0].socket.getsockname()[1], flush=True)
        number = 0
        while True:
            readers = [one for one in venue.connections.all() if one.path == "public" and one.subscriptions]
            if not readers or max(len(one.outbox) for one in readers) > WAITING_MAX:
                await trio.sleep(0.001)
                continue
            number += 1
            venue.set_price(BTC, Decimal(60_000 + number % 7))
            await trio.lowlevel.checkpoint()


if __name__ == "__main__":
    sys.exit(trio.run(main))
