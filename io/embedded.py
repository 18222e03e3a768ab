"""The embedded exchange of ``anchorwatch run``: a market, a venue on loopback, and the time that both share.

Venue time is the file's time. The rows before the start become history that REST
serves; without a market file a seeded synthetic market plays, and the output says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import trio

from anchorwatch.io.okx.environments import Credentials
from anchorwatch.io.run_options import RunOptions
from anchorwatch.io.settings import Settings
from anchorwatch.io.settings.tuning import parameters
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.candle_file import BadMarketFile, read_candles
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.feeds import Feed, shifted
from anchorwatch.io.venue.instruments import inst_id_from_file_name, instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from anchorwatch.io.venue.synthetic import SyntheticFeed
from anchorwatch.machine.market import candles_wanted
from anchorwatch.machine.timeframes import span_ms

MINUTE_MS = 60_000
SYNTHETIC_START_MS = 1_735_776_000_000
"""2025-01-02 00:00 UTC: a synthetic market has no time of its own, so every run of a seed is the same one."""

HISTORY_SHARE_MAX = 2
"""At most half of a file becomes history; a short file still has something to trade."""


class Embedded(msgspec.Struct, frozen=True):
    """A venue that serves, and where."""

    venue: Venue
    rest_url: str
    ws_url: str
    credentials: Credentials


class Stage(msgspec.Struct, frozen=True):
    """What the market is, before the clock starts."""

    market: Market
    start_ms: int
    words: str


def market_of(settings: Settings, options: RunOptions, *, wall_ms: int | None = None) -> Stage:
    """The market that a run plays.

    With ``wall_ms`` (paper) venue time is the host's time: a file is shifted by whole days and entered at the
    same time of day. Raises `BadMarketFile` for a file that is none, or ends before the start.
    """
    feeds: dict[str, Feed] = {}
    for inst_id, series in recorded(options.markets).items():
        feeds[inst_id] = (
            series
            if wall_ms is None
            else shifted(series, wall_ms, loop=True, history_ms=history_wanted_ms(settings))
        )
    start_ms = wall_ms or options.from_ms or default_start_ms(settings, feeds)
    for path, feed in zip(options.markets, feeds.values(), strict=True):
        end_ms = feed.end_ms
        if end_ms is not None and not feed.first_ms <= start_ms < end_ms:
            raise BadMarketFile(f"{path}: the run would start outside of the file's time")
    words = "recorded: " + ", ".join(str(path.name) for path in options.markets)
    synthetic = [name for name in settings.symbols if name not in feeds]
    for name in synthetic:
        instrument = instrument_for(name)
        if instrument is None:
            raise BadMarketFile(f"symbols: the embedded exchange knows no swap {name}")
        feeds[name] = SyntheticFeed(instrument, options.seed)
    if synthetic:
        made = f"synthetic (seed {options.seed}): " + ", ".join(synthetic)
        words = f"{words}; {made}" if options.markets else made
    return Stage(Market(feeds, start_ms), start_ms, words)


def recorded(files: Sequence[Path]) -> dict[str, Feed]:
    """The recorded candles of these files, by the instrument that each file's name tells. Raises BadMarketFile."""
    feeds: dict[str, Feed] = {}
    for path in files:
        inst_id = inst_id_from_file_name(path)
        instrument = instrument_for(inst_id) if inst_id is not None else None
        if instrument is None:
            raise BadMarketFile(
                f"{path}: the name tells no known swap; name it like BTCUSDT or BTC-USDT-SWAP"
            )
        feeds[instrument.inst_id] = read_candles(path, instrument)
    return feeds


def history_wanted_ms(settings: Settings) -> int:
    """What comes before the start, so that every strategy can be ready in it."""
    return max(
        (candles_wanted(trading.strategy.needs, timeframe) + 1) * span_ms(timeframe)
        for _, trading in parameters(settings).instruments
        for timeframe, _ in trading.strategy.needs.kept
    )


def default_start_ms(settings: Settings, feeds: dict[str, Feed]) -> int:
    """The first row and the history that the strategy needs, as far as the file is long enough."""
    if not feeds:
        return SYNTHETIC_START_MS
    history_ms = history_wanted_ms(settings)
    first_ms = max(feed.first_ms for feed in feeds.values())
    ends = [feed.end_ms for feed in feeds.values() if feed.end_ms is not None]
    if ends:
        history_ms = min(history_ms, (min(ends) - first_ms) // HISTORY_SHARE_MAX)
    start_ms = first_ms + history_ms
    return start_ms - start_ms % MINUTE_MS


@asynccontextmanager
async def embedded_venue(stage: Stage, *, now_ms: Callable[[], int]) -> AsyncIterator[Embedded]:
    """Serve the market on a free loopback port for as long as the block lasts. ``now_ms`` is venue time."""
    account = AccountSpec()
    key = account.keys[0]
    venue = Venue(stage.market, now_ms=now_ms, accounts=(account,))
    listeners = await open_loopback()
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_venue, venue, listeners))
        try:
            yield Embedded(
                venue,
                f"http://127.0.0.1:{port}",
                f"ws://127.0.0.1:{port}/ws/v5",
                Credentials(key=key.key, secret=key.secret, passphrase=key.passphrase),
            )
        finally:
            nursery.cancel_scope.cancel()
