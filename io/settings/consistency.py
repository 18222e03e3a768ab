"""Rules between settings: each value is possible by itself, but not together with another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from anchorwatch.io.okx.environments import Environment, endpoints
from anchorwatch.io.settings.problems import Problem, shown
from anchorwatch.io.settings.schema import SYMBOLS_MAX, Origin, Settings
from anchorwatch.io.settings.strategies import BadStrategy
from anchorwatch.io.settings.tuning import EMA_CROSS, EMA_CROSS_OWN, strategy_of
from anchorwatch.io.venue.instruments import INSTRUMENTS, inst_id_from_file_name, instrument_for
from anchorwatch.machine.market import candles_wanted
from anchorwatch.machine.sizing import SizedBy
from anchorwatch.machine.units import MarginMode

SYMBOL = re.compile(r"[A-Z0-9]{1,20}-USDT-SWAP")

# OKX v5 closes a connection after 30 s without traffic; silence is noticed and answered within that.
VENUE_SILENCE_S = 30

# OKX v5, cancel-all-after: the shortest countdown.
DEAD_MAN_LEAST_S = 10

# Of an isolated position's margin: at the whole of it the venue liquidates, and fees and the maintenance margin
# bring that nearer, so the stop keeps a quarter of the distance.
STOP_OF_MARGIN_MAX = Decimal("0.75")


def problems(settings: Settings, *, markets: Sequence[Path], kind_is_sound: bool) -> Iterator[Problem]:
    """Every contradiction between settings; nothing of the world is asked."""
    yield from _symbols(settings)
    yield from _strategy(settings)
    yield from _candles(settings)
    yield from _connections(settings)
    yield from _stop(settings)
    if 0 < settings.entry.dead_man_s < DEAD_MAN_LEAST_S:
        text = f"{settings.entry.dead_man_s}; allowed: 0, or at least {DEAD_MAN_LEAST_S}"
        yield Problem("entry.dead_man_s", text)
    for instrument in (None, *settings.overrides):
        yield from _trading(settings, instrument)
    if kind_is_sound:
        yield from _venue(settings)
        yield from _markets(settings, markets)


def _symbols(settings: Settings) -> Iterator[Problem]:
    for name in dict.fromkeys((*settings.symbols, *settings.overrides)):
        if SYMBOL.fullmatch(name) is None:
            key = "symbols" if name in settings.symbols else f'symbol."{name}"'
            yield Problem(key, f"{shown(name)}; allowed: USDT-settled swaps such as BTC-USDT-SWAP")
    twice = dict.fromkeys(name for name in settings.symbols if settings.symbols.count(name) > 1)
    for name in twice:
        yield Problem("symbols", f"{name} is there twice; allowed: each symbol once")
    if len(settings.symbols) > SYMBOLS_MAX:
        yield Problem("symbols", f"{len(settings.symbols)} symbols; allowed: at most {SYMBOLS_MAX}")
    narrowed = settings.origins.get("symbols") in (Origin.MARKET_FILE, Origin.COMMAND_LINE)
    if not narrowed:
        for name in settings.overrides:
            if name not in settings.symbols:
                allowed = ", ".join(settings.symbols)
                yield Problem(f'symbol."{name}"', f"is not among symbols; allowed: {allowed}")


def _strategy(settings: Settings) -> Iterator[Problem]:
    """What belongs to the small strategy would be passed over in silence by any other."""
    if settings.strategy.name == EMA_CROSS:
        return
    given = [f"strategy.{name}" for name in EMA_CROSS_OWN]
    given += [f'symbol."{name}".{own}' for name in settings.overrides for own in EMA_CROSS_OWN]
    for key in given:
        if key in settings.origins:
            yield Problem(key, f'is of the strategy ema_cross; allowed: with strategy.name = "{EMA_CROSS}"')


def _candles(settings: Settings) -> Iterator[Problem]:
    rows = dict(settings.candles)
    needed: dict[str, int] = {}
    for name in settings.symbols:
        try:
            strategy = strategy_of(settings.of(name).strategy)
        except BadStrategy as error:
            if settings.of(name).strategy.fast < settings.of(name).strategy.slow:  # else it is told elsewhere
                yield Problem(error.key, str(error))
            return
        for timeframe, _ in strategy.needs.kept:
            least = candles_wanted(strategy.needs, timeframe)
            needed[timeframe] = max(least, needed.get(timeframe, 0))
    for timeframe, least in needed.items():
        if rows.get(timeframe, 0) < least:
            yield Problem(
                f"candles.{timeframe}",
                f"{rows.get(timeframe, 0)}; allowed: at least {least}, which strategy {settings.strategy.name} "
                "needs to be ready",
            )


def _connections(settings: Settings) -> Iterator[Problem]:
    own = settings.connections
    if own.backoff_first_s > own.backoff_max_s:
        yield Problem(
            "connections.backoff_first_s",
            f"{own.backoff_first_s}; allowed: at most backoff_max_s ({own.backoff_max_s})",
        )
    if own.silence_s + own.pong_within_s >= VENUE_SILENCE_S:
        yield Problem(
            "connections.silence_s",
            f"{own.silence_s} with pong_within_s {own.pong_within_s}; allowed: together below "
            f"{VENUE_SILENCE_S} s, when the venue drops a silent connection",
        )


def _stop(settings: Settings) -> Iterator[Problem]:
    total_s = sum(settings.stop.steps_s())
    if total_s > settings.stop.within_s:
        yield Problem(
            "stop.within_s",
            f"{shown(settings.stop.within_s)}; allowed: at least the sum of the steps ({total_s:g} s)",
        )


def _trading(settings: Settings, instrument: str | None) -> Iterator[Problem]:
    """Of all symbols, or of one with values of its own."""
    own = settings.of(instrument or "")
    strategy, protection = own.strategy, own.protection
    prefix = f'symbol."{instrument}"' if instrument else ""

    def key(group: str, name: str) -> str:
        return f"{prefix or group}.{name}"

    if strategy.fast >= strategy.slow:
        text = f"{strategy.fast}; allowed: below strategy.slow ({strategy.slow})"
        yield Problem(key("strategy", "fast"), text)
    if protection.stop_fraction > protection.catastrophe_fraction:
        yield Problem(
            key("protection", "stop_fraction"),
            f"{shown(protection.stop_fraction)}; allowed: at most catastrophe_fraction "
            f"({shown(protection.catastrophe_fraction)}), the widest stop there is",
        )
    of_margin = protection.stop_fraction * own.leverage
    if settings.account.margin_mode is MarginMode.ISOLATED and of_margin > STOP_OF_MARGIN_MAX:
        yield Problem(
            key("protection", "stop_fraction"),
            f"{shown(protection.stop_fraction)} at leverage {own.leverage} loses {of_margin:.0%} of an isolated "
            f"margin; allowed: at most {STOP_OF_MARGIN_MAX:.0%}, so that the stop comes before the liquidation",
        )
    if 0 < protection.take_profit_fraction <= protection.trail_activation_fraction:
        yield Problem(
            key("protection", "take_profit_fraction"),
            f"{shown(protection.take_profit_fraction)}; allowed: 0, or above trail_activation_fraction "
            f"({shown(protection.trail_activation_fraction)}), or the stop would never trail",
        )
    total_usd = settings.limits.total_usd
    if own.sizing.by is SizedBy.NOTIONAL and 0 < total_usd < own.sizing.notional_usd:
        yield Problem(
            key("sizing", "notional_usd"),
            f"{shown(own.sizing.notional_usd)}; allowed: at most limits.total_usd ({shown(total_usd)}), or nothing "
            "would ever be entered",
        )


def _venue(settings: Settings) -> Iterator[Problem]:
    venue = settings.venue
    embedded = venue.kind in (Environment.SIM, Environment.PAPER)
    if embedded:
        if bool(venue.rest_url) != bool(venue.ws_url):
            missing = "ws_url" if venue.rest_url else "rest_url"
            yield Problem(f"venue.{missing}", "is not set; allowed: both addresses of the venue, or none")
            return
        listed = ", ".join(instrument.inst_id for instrument in INSTRUMENTS)
        for name in settings.symbols:
            if SYMBOL.fullmatch(name) and instrument_for(name) is None:
                yield Problem("symbols", f"{name} is not listed on the embedded exchange; allowed: {listed}")
    if embedded and not venue.rest_url:
        return
    for name, url in (("rest_url", venue.rest_url), ("ws_url", venue.ws_url)):
        given = {"rest_url": "http://127.0.0.1", "ws_url": "ws://127.0.0.1"} if embedded else {}
        try:
            endpoints(venue.kind, venue.region, **{**given, name: url or None})
        except ValueError as error:
            expected = str(error).rpartition(": ")[2].removeprefix("expected ")
            yield Problem(f"venue.{name}", f"{shown(url)}; allowed: {expected}")


def _markets(settings: Settings, markets: Sequence[Path]) -> Iterator[Problem]:
    if not markets:
        return
    if settings.venue.kind not in (Environment.SIM, Environment.PAPER):
        yield Problem(
            "--market", f"venue {settings.venue.kind.value} has a market of its own; allowed: sim and paper"
        )
        return
    names = [name for name in map(inst_id_from_file_name, markets) if name is not None]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield Problem("--market", f"two files for {name}; allowed: one each symbol")
        if name not in settings.symbols:
            yield Problem("--market", f"a file for {name}, which is not among --symbol")
    for name in settings.symbols:
        if len(names) == len(markets) and name not in names:
            yield Problem(
                "symbols", f"{name} has no --market file; allowed: one for each symbol, or none at all"
            )
