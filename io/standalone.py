"""``anchorwatch venue``: the embedded exchange as a program of its own, for any client of the OKX protocol.

Its time is the host's, because real clients sign with *now*; a recorded market is shifted by whole days, entered at the
same time of day, and repeated. Hence ``--speed N`` speeds up the market and not the clock: one minute of the exchange
trades through N minutes of the recording (open, high, low, close and volume of all of them), while deadlines, funding
times and countdowns keep the host's pace.

With a state file the exchange saves itself every second in which something happened, and when it stops. One that is
killed loses what happened since: at most about a second. The market goes on from where it was first entered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

from anchorwatch.io.seams import interrupts, real_seams
from anchorwatch.io.venue.accounts import DEFAULT_KEY, AccountSpec, ApiKey
from anchorwatch.io.venue.candle_file import BadMarketFile, read_candles
from anchorwatch.io.venue.certificate import NoTls, tls_context
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.feeds import WARM_UP_MS, FasterFeed, Feed, shifted
from anchorwatch.io.venue.files import (
    BadVenueFile,
    ConfigFile,
    read_config,
    read_faults,
    read_state,
    write_state,
)
from anchorwatch.io.venue.instruments import INSTRUMENTS, inst_id_from_file_name, instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.saved import BadState, Saved, resume, saved
from anchorwatch.io.venue.serve import Listener, open_loopback, serve_venue
from anchorwatch.io.venue.synthetic import SyntheticFeed

DEFAULT_PORT = 8765
# A day of the exchange is so many days of the recording, of every instrument, and its figures look at all of them.
SPEED_MAX = 100
SAVE_EVERY_S = 1.0
POS_MODES = {"net": "net_mode", "long_short": "long_short_mode"}
CERTIFICATE = "anchorwatch-venue.pem"


class VenueOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchange was asked for. Without a market file every known swap plays a synthetic market."""

    port: int = DEFAULT_PORT
    markets: tuple[Path, ...] = ()
    seed: int = 1
    speed: int = 1
    faults: Path | None = None
    state: Path | None = None
    config: Path | None = None
    pos_mode: str | None = None
    tls_port: int | None = None
    tls_cert: Path | None = None

    @property
    def market_words(self) -> str:
        """Which market this is, as a state file remembers it."""
        what = ", ".join(path.name for path in self.markets) or f"synthetic {self.seed}"
        return f"{what} ×{self.speed}"


class PortInUse(Exception):
    """Somebody listens there already."""


# What a user can get wrong, each told in one line.
MISTAKES = (BadMarketFile, BadVenueFile, PortInUse, NoTls)


def feeds_of(options: VenueOptions, anchor_ms: int) -> dict[str, Feed]:
    """The markets that play, entered at `anchor_ms`. Raises `BadMarketFile`."""
    feeds: dict[str, Feed] = {}
    for path in options.markets:
        inst_id = inst_id_from_file_name(path)
        instrument = instrument_for(inst_id) if inst_id is not None else None
        if instrument is None:
            raise BadMarketFile(
                f"{path}: the name tells no known swap; name it like BTCUSDT or BTC-USDT-SWAP"
            )
        feeds[instrument.inst_id] = shifted(
            read_candles(path, instrument), anchor_ms, loop=True, history_ms=WARM_UP_MS * options.speed
        )
    if not feeds:
        feeds = {instrument.inst_id: SyntheticFeed(instrument, options.seed) for instrument in INSTRUMENTS}
    if options.speed == 1:
        return feeds
    return {inst_id: FasterFeed(feed, options.speed, anchor_ms) for inst_id, feed in feeds.items()}


def accounts_of(config: ConfigFile, pos_mode: str | None) -> tuple[AccountSpec, ...]:
    """The configured accounts, or the usual one; `pos_mode` ("net" or "long_short") is for all of them."""
    accounts = config.accounts or (AccountSpec(),)
    if pos_mode is None:
        return accounts
    return tuple(msgspec.structs.replace(one, pos_mode=POS_MODES[pos_mode]) for one in accounts)


def venue_of(options: VenueOptions, wall_ms: Callable[[], int]) -> tuple[Venue, int]:
    """The exchange that was asked for, gone on from its state file where there is one, and when its market was first
    entered. Raises `BadMarketFile` and `BadVenueFile`."""
    state = read_state(options.state) if options.state is not None else None
    anchor_ms = state.anchor_ms if state is not None else wall_ms()
    config = read_config(options.config) if options.config is not None else ConfigFile()
    venue = Venue(
        Market(feeds_of(options, anchor_ms), wall_ms()),
        now_ms=wall_ms,
        switches=config.switches,
        faults=read_faults(options.faults, anchor_ms) if options.faults is not None else None,
        accounts=accounts_of(config, options.pos_mode),
        seed=options.seed,
    )
    listed = {one.inst_id for one in venue.instruments()}
    for change in venue.faults.faults.changes:
        if change.inst_id not in listed:
            raise BadVenueFile(f"{options.faults}: this market does not list {change.inst_id}")
    if state is not None:
        _resume(venue, state, options)
    return venue, anchor_ms


def _resume(venue: Venue, state: Saved, options: VenueOptions) -> None:
    if state.market != options.market_words:
        raise BadVenueFile(
            f"{options.state}: was saved with another market ({state.market}, not {options.market_words})"
        )
    try:
        resume(venue, state)
    except BadState as error:
        raise BadVenueFile(f"{options.state}: {error}") from None


def directions(venue: Venue, port: int, tls: tuple[int, Path] | None) -> str:
    """How to point the usual clients at this exchange."""
    rest, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws/v5"
    keys = [
        f"{_key_words(key)} ({account.name}, {account.pos_mode})"
        for account in venue.accounts.values()
        for key in account.spec.keys
    ]
    markets = ", ".join(one.inst_id for one in venue.instruments())
    secure = "python-okx's WebSockets need TLS: start with --tls-port"
    if tls is not None:
        secure = f'WsPrivateAsync(…, url="wss://127.0.0.1:{tls[0]}/ws/v5/private"), SSL_CERT_FILE={tls[1]}'
    return f"""anchorwatch venue: an OKX v5 exchange on {rest}, WebSockets on {ws}
  keys: {"; ".join(keys)}
  markets: {markets}
  ccxt:        ex = ccxt.okx({{"apiKey": "sim-key", "secret": "sim-secret", "password": "sim-pass"}})
               ex.urls["api"]["rest"] = "{rest}"; ex.urls["api"]["ws"] = "{ws}"
  python-okx:  TradeAPI("sim-key", "sim-secret", "sim-pass", flag="1", domain="{rest}")
               {secure}
  nautilus:    base_url_http="{rest}", base_url_ws="{ws}/public" (and /private, /business)
  freqtrade:   exchange.ccxt_config: {{"urls": {{"api": {{"rest": "{rest}", "ws": "{ws}"}}}}}}
  anchorwatch: [venue] kind = "demo", rest_url = "{rest}", ws_url = "{ws}"
  faults, a second trader, the log: {rest}/anchorwatch/…
Ctrl-C stops it.
"""


def _key_words(key: ApiKey) -> str:
    """The usual key is no secret; of a configured one only the name is told."""
    return f"{key.key} / {key.secret} / {key.passphrase}" if key == DEFAULT_KEY else key.key


async def run_venue(options: VenueOptions, say: Callable[[str], object]) -> None:
    """Serve until a signal. Raises one of `MISTAKES`."""
    wall_ms = real_seams().wall_ms
    venue, anchor_ms = venue_of(options, wall_ms)

    def save() -> None:
        if options.state is not None:
            write_state(options.state, saved(venue, anchor_ms=anchor_ms, market=options.market_words))

    try:
        save()
    except OSError as error:
        raise BadVenueFile(f"{options.state}: cannot be written: {error.strerror or error}") from None
    certificate = (options.tls_cert or Path(tempfile.gettempdir()) / CERTIFICATE).absolute()
    context = tls_context(certificate, wall_ms()) if options.tls_port is not None else None
    plain = await _open(options.port, "--port")
    listeners: list[Listener] = [*plain]
    tls: tuple[int, Path] | None = None
    if options.tls_port is not None and context is not None:
        try:
            secure = await _open(options.tls_port, "--tls-port")
        except PortInUse:
            for one in plain:
                await one.aclose()
            raise
        tls = (port_of(secure), certificate)
        listeners += [trio.SSLListener(one, context, https_compatible=True) for one in secure]
    async with interrupts() as arriving, trio.open_nursery() as nursery:
        await nursery.start(partial(serve_venue, venue, listeners, control=True))
        if options.state is not None:
            nursery.start_soon(_keep_saved, venue, save, say)
        say(directions(venue, port_of(plain), tls))
        async for _ in arriving:
            nursery.cancel_scope.cancel()
            break
    save()


async def _keep_saved(venue: Venue, save: Callable[[], None], say: Callable[[str], object]) -> None:
    """Save whenever something has happened. A disk that refuses is told once, and tried again."""
    saved_at, has_told = venue.happenings, False
    while True:
        await trio.sleep(SAVE_EVERY_S)
        if venue.happenings == saved_at:
            continue
        happenings = venue.happenings
        try:
            save()
        except OSError as error:
            if not has_told:
                say(f"anchorwatch venue: the state cannot be saved: {error.strerror or error}\n")
                has_told = True
        else:
            saved_at, has_told = happenings, False


def port_of(listeners: Sequence[trio.SocketListener]) -> int:
    """Where the first of them listens."""
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def _open(port: int, option: str) -> list[trio.SocketListener]:
    try:
        return await open_loopback(port)
    except OSError as error:
        raise PortInUse(f"{option} {port}: {error.strerror or error}") from None
