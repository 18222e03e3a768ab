"""Readiness: every fact is looked at, each that is missing is named, and time alone opens nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import readiness as r
from anchorwatch.machine.candles import GRACE_MS
from anchorwatch.machine.market import Market, MarketSettings, ProfileSettings
from anchorwatch.machine.readiness import Account, Feeds, Missing
from anchorwatch.machine.timeframes import HOUR_MS, MINUTE_MS, Resampling, utc_text
from anchorwatch.machine.world import Candle
from tests.machine.candle_data import wandering

SETTINGS = MarketSettings(
    kept=(("1m", 200), ("5m", 200), ("15m", 200), ("1H", 20), ("1Dutc", 3)),
    profile=ProfileSettings(candles=20),
)
MINUTES = wandering(3 * 1_440 + 30)
CLOSED = {
    name: tuple(whole for one in MINUTES if (whole := parts.take(one)) is not None)
    for name, parts in ((name, Resampling("1m", name)) for name, _ in SETTINGS.kept)
}
NOW_MS = MINUTES[-1].open_ms + MINUTE_MS
FEEDS = Feeds(mark_at_ms=NOW_MS, quote_at_ms=NOW_MS, funding_at_ms=NOW_MS + HOUR_MS, has_rules=True)
ACCOUNT = Account(
    private_is_live=True, is_reconciled=True, orders_in_doubt=0, clock_error_ms=-40, equity_at_ms=NOW_MS
)


def loaded(*without: str) -> Market:
    market = Market("BTC-USDT-SWAP", SETTINGS)
    for name, candles in CLOSED.items():
        if name not in without:
            market.merge(name, candles)
    return market


READY = loaded()


def facts(missing: tuple[Missing, ...]) -> list[str]:
    return [one.fact for one in missing]


def test_with_everything_there_nothing_is_missing() -> None:
    assert r.missing_of_symbol(READY, FEEDS, NOW_MS) == ()
    assert r.missing_of_bot(ACCOUNT, NOW_MS) == ()


def test_at_first_every_fact_is_missing_in_the_order_of_the_start() -> None:
    missing = r.missing_of_symbol(Market("X", SETTINGS), Feeds(), NOW_MS)
    assert facts(missing) == list(r.symbol_facts(SETTINGS))
    assert facts(missing)[:3] == ["instrument rules", "candles 1m", "candles 5m"]
    assert {"ATR 1m", "RSI 5m", "pivots", "volume profile", "regime"} < set(facts(missing))
    # No order in doubt is true of an account that never sent one.
    assert facts(r.missing_of_bot(Account(), NOW_MS)) == [
        fact for fact in r.BOT_FACTS if fact != "no order in doubt"
    ]


@pytest.mark.parametrize(
    ("timeframe", "lost"),
    [
        (
            "5m",
            [
                "candles 5m",
                *(f"{one} 5m" for one in ("EMA", "RSI", "MACD", "Bollinger", "ATR", "ADX")),
                "regime",
            ],
        ),
        ("1H", ["candles 1H", "volume profile"]),
        ("1Dutc", ["candles 1Dutc", "pivots"]),
    ],
)
def test_a_timeframe_that_was_not_loaded_takes_along_what_rests_on_it(
    timeframe: str, lost: list[str]
) -> None:
    assert facts(r.missing_of_symbol(loaded(timeframe), FEEDS, NOW_MS)) == lost


def test_too_few_candles_say_how_many_there_are_and_how_many_it_takes() -> None:
    market = loaded("1m")
    market.merge("1m", CLOSED["1m"][-120:])
    words = {one.fact: one.words for one in r.missing_of_symbol(market, FEEDS, NOW_MS)}
    assert words["candles 1m"] == "120 of 158"
    assert words["ADX 1m"] == "warm after 158 candles, has 120"
    assert "ATR 1m" not in words  # warm after 109


def test_a_hole_takes_the_candles_away_and_its_repair_gives_them_back() -> None:
    market = loaded("1m")
    market.merge("1m", CLOSED["1m"][:-3])
    market.take("1m", CLOSED["1m"][-1])
    (missing,) = r.missing_of_symbol(market, FEEDS, NOW_MS)
    begin_ms, end_ms = MINUTES[-3].open_ms, MINUTES[-1].open_ms
    assert missing == Missing("candles 1m", f"a hole from {utc_text(begin_ms)} to {utc_text(end_ms)}")
    market.merge("1m", CLOSED["1m"][-3:-1])
    assert r.missing_of_symbol(market, FEEDS, NOW_MS) == ()


def test_a_candle_that_does_not_come_takes_the_fact_away() -> None:
    later_ms = NOW_MS + MINUTE_MS + GRACE_MS
    feeds = msgspec.structs.replace(FEEDS, mark_at_ms=later_ms, quote_at_ms=later_ms)
    assert r.missing_of_symbol(READY, feeds, later_ms - 1) == ()
    assert facts(r.missing_of_symbol(READY, feeds, later_ms)) == ["candles 1m"]


def test_yesterdays_pivots_are_none() -> None:
    market = loaded()
    last = MINUTES[-1]
    for number in range(1, 1_440):
        px = last.close
        market.take("1m", Candle(last.open_ms + number * MINUTE_MS, px, px, px, px, 1.0))
    now_ms = NOW_MS + 1_439 * MINUTE_MS
    words = {one.fact: one.words for one in r.missing_of_symbol(market, FEEDS, now_ms)}
    assert words["pivots"] == "those known are of another day"


@pytest.mark.parametrize(
    ("changed", "fact", "words"),
    [
        ({"has_rules": False}, "instrument rules", "tick, lot and minimum size are not known"),
        ({"mark_at_ms": None}, "mark price", "never heard of"),
        ({"mark_at_ms": NOW_MS - r.MARK_AGE_MS - 1}, "mark price", "15 s old"),
        ({"quote_at_ms": None}, "quote", "not heard since the public connection is up"),
        ({"funding_at_ms": None}, "funding rate", "not heard yet"),
        (
            {"funding_at_ms": NOW_MS - r.FUNDING_LATE_MS - 1},
            "funding rate",
            f"the newest was for {utc_text(NOW_MS - r.FUNDING_LATE_MS - 1)}, which has passed",
        ),
    ],
)
def test_what_is_missing_of_a_feed(changed: dict[str, object], fact: str, words: str) -> None:
    feeds = msgspec.structs.replace(FEEDS, **changed)
    assert r.missing_of_symbol(READY, feeds, NOW_MS) == (Missing(fact, words),)


def test_a_forecast_holds_until_its_settlement_has_had_time_to_be_made() -> None:
    feeds = msgspec.structs.replace(FEEDS, funding_at_ms=NOW_MS - r.FUNDING_LATE_MS)
    assert r.missing_of_symbol(READY, feeds, NOW_MS) == ()


def test_who_needs_no_funding_rate_waits_for_none() -> None:
    market = Market("BTC-USDT-SWAP", msgspec.structs.replace(SETTINGS, funding=False))
    for name, candles in CLOSED.items():
        market.merge(name, candles)
    assert r.missing_of_symbol(market, msgspec.structs.replace(FEEDS, funding_at_ms=None), NOW_MS) == ()


@pytest.mark.parametrize(
    ("changed", "fact", "words"),
    [
        ({"private_is_live": False}, "private streams", "not live"),
        ({"orders_in_doubt": 2}, "no order in doubt", "2 of unknown fate"),
        ({"clock_error_ms": None}, "clock", "the venue's time is not known"),
        ({"clock_error_ms": -5_001}, "clock", "-5001 ms from the venue's time"),
        ({"equity_at_ms": NOW_MS - 61_000}, "balance", "61 s old"),
    ],
)
def test_what_is_missing_of_the_account(changed: dict[str, object], fact: str, words: str) -> None:
    account = msgspec.structs.replace(ACCOUNT, **changed)
    assert r.missing_of_bot(account, NOW_MS) == (Missing(fact, words),)


@given(
    st.sets(st.sampled_from(sorted(CLOSED))).map(lambda lost: loaded(*sorted(lost))),
    st.lists(st.integers(0, 3 * HOUR_MS), min_size=2, max_size=4).map(sorted),
)
def test_waiting_alone_never_opens_anything(market: Market, waits_ms: list[int]) -> None:
    before: set[str] = set()
    for wait_ms in waits_ms:
        missing = set(facts(r.missing_of_symbol(market, FEEDS, NOW_MS + wait_ms)))
        assert before <= missing
        before = missing
