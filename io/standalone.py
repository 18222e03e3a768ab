"""``anchorwatch venue``: the embedded exchange as a program of its own, for any client of the OKX protocol.

Its time is the host's, because real clients sign with *now*; a recorded market is
shifted by whole days, entered at the same time of day, and repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

from anchorwatch.io.seams import interrupts, real_seams
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.candle_file import BadMarketFile, read_candles
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.feeds import Feed, shifted
from anchorwatch.io.venue.instruments import INSTRUMENTS, inst_id_from_file_name, instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from anchorwatch.io.venue.synthetic import SyntheticFeed

DEFAULT_PORT = 8765


class VenueOptions(msgspec.Struct, frozen=True):
    """What the exchange was asked for. Without a market file every known swap plays a synthetic market."""

    port: int = DEFAULT_PORT
    markets: tuple[Path, ...] = ()
    seed: int = 1


class PortInUse(Exception):
    """Somebody listens there already."""


def feeds_of(options: VenueOptions, now_ms: int) -> dict[str, Feed]:
    """The markets that play. Raises `BadMarketFile`."""
    feeds: dict[str, Feed] = {}
    for path in options.markets:
        inst_id = inst_id_from_file_name(path)
        instrument = instrument_for(inst_id) if inst_id is not None else None
        if instrument is None:
            raise BadMarketFile(
                f"{path}: the name tells no known swap; name it like BTCUSDT or BTC-USDT-SWAP"
            )
        feeds[instrument.inst_id] = shifted(read_candles(path, instrument), now_ms, loop=True)
    if not feeds:
        feeds = {instrument.inst_id: SyntheticFeed(instrument, options.seed) for instrument in INSTRUMENTS}
    return feeds


def directions(port: int, instruments: Sequence[str]) -> str:
    """How to point the usual clients at this exchange."""
    rest, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws/v5"
    return f"""anchorwatch venue: an OKX v5 exchange on {rest}, WebSockets on {ws}
  keys: sim-key / sim-secret / sim-pass     markets: {", ".join(instruments)}
  ccxt:        ex = ccxt.okx({{"apiKey": "sim-key", "secret": "sim-secret", "password": "sim-pass"}})
               ex.urls["api"]["rest"] = "{rest}"; ex.urls["api"]["ws"] = "{ws}"
  python-okx:  TradeAPI("sim-key", "sim-secret", "sim-pass", flag="1", domain="{rest}")
  nautilus:    base_url_http="{rest}", base_url_ws="{ws}/public" (and /private, /business)
  freqtrade:   exchange.ccxt_config: {{"urls": {{"api": {{"rest": "{rest}"}}}}}}
  anchorwatch: [venue] kind = "demo", rest_url = "{rest}", ws_url = "{ws}"
Ctrl-C stops it.
"""


async def run_venue(options: VenueOptions, say: Callable[[str], object]) -> None:
    """Serve until a signal. Raises `BadMarketFile` and `PortInUse`."""
    wall_ms = real_seams().wall_ms
    feeds = feeds_of(options, wall_ms())
    venue = Venue(Market(feeds, wall_ms()), now_ms=wall_ms, accounts=(AccountSpec(),), seed=options.seed)
    try:
        listeners = await open_loopback(options.port)
    except OSError as error:
        raise PortInUse(f"--port {options.port}: {error.strerror or error}") from None
    async with interrupts() as arriving, trio.open_nursery() as nursery:
        await nursery.start(partial(serve_venue, venue, listeners))
        say(directions(listeners[0].socket.getsockname()[1], list(feeds)))
        async for _ in arriving:
            nursery.cancel_scope.cancel()
            break
