"""Whether trading may begin: named facts, and for each that is missing the words why.

A symbol's facts gate that symbol, the bot's facts gate everything. Each fact is looked
at anew whenever it is asked: what was ready an hour ago may not be now. Time can only
take a fact away; there is no wait after which a missing one counts as given.

The order is the one in which the facts can become true at a start, so that the first
line is where to look.
"""

from __future__ import annotations

import msgspec

from anchorwatch.machine.indicators.panel import candles_warm
from anchorwatch.machine.market import SIGNAL, Market, MarketSettings, candles_to_judge
from anchorwatch.machine.timeframes import utc_text

MARK_AGE_MS = 15_000
"""OKX v5 pushes the mark price every 10 s even where it stands still."""

FUNDING_LATE_MS = 300_000
"""OKX v5 pushes the forecast every 30 to 90 s, and a settlement may take a minute: then the next one is forecast."""

EQUITY_AGE_MS = 60_000
"""The venue pushes the account every few seconds."""

CLOCK_ERROR_MS = 5_000
"""OKX v5 refuses a request whose time is 30 s off; candles are judged late after 10 s."""


class Missing(msgspec.Struct, frozen=True):
    """A fact that does not hold, by its name, and why in words."""

    fact: str
    words: str


class Feeds(msgspec.Struct, frozen=True):
    """What else is known of a symbol: the venue's time of its last pushes on this connection, and its trading rules."""

    mark_at_ms: int | None = None
    quote_at_ms: int | None = None
    funding_at_ms: int | None = None  # the settlement of which the newest forecast is
    has_rules: bool = False


class Account(msgspec.Struct, frozen=True):
    """What is known of the account and of the venue, beside any symbol."""

    private_is_live: bool = False
    is_reconciled: bool = False
    orders_in_doubt: int = 0
    clock_error_ms: int | None = None
    equity_at_ms: int | None = None


RULES = "instrument rules"
MARK = "mark price"
QUOTE = "quote"
FUNDING = "funding rate"
PIVOTS = "pivots"
PROFILE = "volume profile"
REGIME = "regime"


def symbol_facts(settings: MarketSettings) -> tuple[str, ...]:
    """The names of all facts of a symbol, in the order in which what is missing is told."""
    candles = tuple(f"candles {name}" for name, _ in settings.kept)
    indicators = tuple(
        f"{indicator} {name}"
        for name in settings.indicated
        for indicator, _ in candles_warm(settings.periods)
        if indicator in settings.waited
    )
    levels = (
        *((PIVOTS,) if settings.pivots else ()),
        *((PROFILE,) if settings.profile is not None else ()),
        *((REGIME,) if settings.regime is not None else ()),
    )
    funding = (FUNDING,) if settings.funding else ()
    return (RULES, *candles, *indicators, *levels, MARK, QUOTE, *funding)


BOT_FACTS = ("clock", "private streams", "reconciled", "no order in doubt", "balance")


def missing_of_symbol(market: Market, feeds: Feeds, now_ms: int) -> tuple[Missing, ...]:
    """The facts of a symbol that do not hold at ``now_ms``, in the order of `symbol_facts`. Empty: ready."""
    missing: list[Missing] = []
    if not feeds.has_rules:
        missing.append(Missing(RULES, "tick, lot and minimum size are not known"))
    missing += _candles(market, now_ms)
    missing += _indicators(market)
    missing += _levels(market)
    missing += _age(MARK, feeds.mark_at_ms, now_ms, MARK_AGE_MS)
    if feeds.quote_at_ms is None:
        # It is pushed when it changes, and may stand still for long; the spread filter asks for a young one.
        missing.append(Missing(QUOTE, "not heard since the public connection is up"))
    if market.settings.funding:
        missing += _funding(feeds.funding_at_ms, now_ms)
    return tuple(missing)


def missing_of_bot(account: Account, now_ms: int) -> tuple[Missing, ...]:
    """The facts of the bot that do not hold at ``now_ms``, in the order of `BOT_FACTS`. Empty: ready."""
    missing: list[Missing] = []
    if account.clock_error_ms is None:
        missing.append(Missing("clock", "the venue's time is not known"))
    elif abs(account.clock_error_ms) > CLOCK_ERROR_MS:
        missing.append(Missing("clock", f"{account.clock_error_ms} ms from the venue's time"))
    if not account.private_is_live:
        missing.append(Missing("private streams", "not live"))
    if not account.is_reconciled:
        missing.append(
            Missing("reconciled", "the book has not been compared with the venue since the last loss")
        )
    if account.orders_in_doubt:
        missing.append(Missing("no order in doubt", f"{account.orders_in_doubt} of unknown fate"))
    missing += _age("balance", account.equity_at_ms, now_ms, EQUITY_AGE_MS)
    return tuple(missing)


def _candles(market: Market, now_ms: int) -> list[Missing]:
    missing = []
    for name, _ in market.settings.kept:
        buffer = market.buffer(name)
        wanted = market.wanted[name]
        hole = buffer.missing()
        if len(buffer) < wanted:
            words = f"{len(buffer)} of {wanted}"
        elif hole is not None:
            words = f"a hole from {utc_text(hole.from_ms)} to {utc_text(hole.to_ms)}"
        elif not buffer.is_fresh(now_ms):
            age_s = (now_ms - buffer[-1].open_ms) // 1000
            words = f"the newest opened at {utc_text(buffer[-1].open_ms)}, {age_s} s ago"
        else:
            continue
        missing.append(Missing(f"candles {name}", words))
    return missing


def _indicators(market: Market) -> list[Missing]:
    missing = []
    for name in market.settings.indicated:
        count = market.indicator_candles(name)
        if count >= market.settled:
            continue
        for indicator, warm in market.warm:
            if count < warm:
                missing.append(Missing(f"{indicator} {name}", f"warm after {warm} candles, has {count}"))
            elif count <= market.defined:
                missing.append(Missing(f"{indicator} {name}", "the others are not defined yet"))
    return missing


def _levels(market: Market) -> list[Missing]:
    missing = []
    settings = market.settings
    newest = market.buffer(SIGNAL).newest
    pivots = market.pivots
    if settings.pivots and pivots is None:
        missing.append(Missing(PIVOTS, "the candle of the day before is missing"))
    elif pivots is not None and newest is not None and not pivots.hold_at(newest.open_ms):
        missing.append(Missing(PIVOTS, "those known are of another day"))
    if settings.profile is not None and market.profile is None:
        missing.append(Missing(PROFILE, f"needs {settings.profile.candles} candles with volume"))
    if settings.regime is not None and market.regime is None:
        needed = candles_to_judge(settings)
        missing.append(Missing(REGIME, f"judged after {needed} candles of {settings.regime.timeframe}"))
    return missing


def _funding(settles_ms: int | None, now_ms: int) -> list[Missing]:
    if settles_ms is None:
        return [Missing(FUNDING, "not heard yet")]
    if now_ms - settles_ms > FUNDING_LATE_MS:
        return [Missing(FUNDING, f"the newest was for {utc_text(settles_ms)}, which has passed")]
    return []


def _age(fact: str, at_ms: int | None, now_ms: int, limit_ms: int) -> list[Missing]:
    if at_ms is None:
        return [Missing(fact, "never heard of")]
    if now_ms - at_ms > limit_ms:
        return [Missing(fact, f"{(now_ms - at_ms) // 1000} s old")]
    return []
