"""The market: trades in time, candles of what was seen, and nothing of what was not."""

from collections.abc import Iterable
from decimal import Decimal

import pytest

from anchorwatch.io.venue.bars import BARS, bar_ms
from anchorwatch.io.venue.candle_file import CandleSeries
from anchorwatch.io.venue.feeds import DAY_MS, MINUTE_MS, ManualFeed
from anchorwatch.io.venue.market import CandleRow, Market, Tick
from anchorwatch.io.venue.synthetic import SyntheticFeed
from tests.venue.market_data import px, series, swap, wandering

BTC, ETH = "BTC-USDT-SWAP", "ETH-USDT-SWAP"
MIDNIGHT = 1_746_316_800_000  # 2025-05-04 00:00 UTC
HOUR_MS = 3_600_000

# A quiet minute, one that rises, one that falls.
THREE = ((1000, 1000, 1000, 1000), (1000, 1060, 990, 1040), (1040, 1050, 980, 1010))


def played(market: Market, until_ms: int | None = None) -> list[Tick]:
    ticks: list[Tick] = []
    while (due := market.next_ms()) is not None and (until_ms is None or due <= until_ms):
        ticks += market.advance(due)
    return ticks


def prices(row: CandleRow) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    return row.open, row.high, row.low, row.close


def btc_prices(*ticks: int) -> tuple[Decimal, ...]:
    return tuple(px("BTC", one) for one in ticks)


def from_ticks(ticks: Iterable[Tick], begin_ms: int, end_ms: int) -> tuple[Decimal, ...]:
    inside = [tick for tick in ticks if begin_ms <= tick.ts_ms < end_ms]
    traded = [tick.px for tick in inside]
    return (
        traded[0],
        max(traded),
        min(traded),
        traded[-1],
        sum((tick.contracts for tick in inside), Decimal(0)),
    )


def test_every_minute_is_played_as_trades_that_add_up_to_it() -> None:
    market = Market({BTC: series("BTC", MIDNIGHT, *THREE)}, MIDNIGHT)
    ticks = played(market)
    assert market.is_over
    assert market.next_ms() is None
    for number, row in enumerate(THREE):
        begin = MIDNIGHT + number * MINUTE_MS
        assert from_ticks(ticks, begin, begin + MINUTE_MS) == (*btc_prices(*row), Decimal(60))
    assert all(tick.contracts >= swap("BTC").lot_sz for tick in ticks)
    assert market.last(BTC) == px("BTC", 1010)


def test_one_long_step_sees_the_same_trades_as_many_short_ones() -> None:
    def fresh() -> Market:
        feeds = {BTC: wandering("BTC", MIDNIGHT, 30), ETH: wandering("ETH", MIDNIGHT, 30, start=200_000)}
        return Market(feeds, MIDNIGHT + 90_000, seed=3)

    whole = fresh()
    ticks = whole.advance(MIDNIGHT + 30 * MINUTE_MS)
    assert ticks == played(fresh())
    assert [tick.ts_ms for tick in ticks] == sorted(tick.ts_ms for tick in ticks)
    assert ticks[0].ts_ms == MIDNIGHT + 90_000
    assert {tick.inst_id for tick in ticks[:2]} == {BTC, ETH}


def test_the_taker_bought_when_the_price_rose_and_sold_when_it_fell() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 10)}, MIDNIGHT)
    before = market.last(BTC)
    for tick in played(market):
        if tick.px != before:
            assert tick.taker_side == ("buy" if tick.px > before else "sell")
        before = tick.px


def test_the_touch_lies_at_the_last_trade_on_the_side_its_taker_came_to() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 10)}, MIDNIGHT)
    sides = set()
    while (due := market.next_ms()) is not None:
        tick = market.advance(due)[-1]
        sides.add(tick.taker_side)
        assert market.best_bid(BTC) < market.best_ask(BTC)
        assert tick.px == (market.best_ask(BTC) if tick.taker_side == "buy" else market.best_bid(BTC))
    assert sides == {"buy", "sell"}


@pytest.mark.parametrize("reference", ["last", "mark"])
@pytest.mark.parametrize("ticks", [900, 1200])
def test_a_spike_is_a_wick_that_history_keeps(reference: str, ticks: int) -> None:
    market = Market({BTC: series("BTC", MIDNIGHT, *THREE)}, MIDNIGHT)
    played(market, MIDNIGHT + MINUTE_MS + 30_000)
    before, open_px = market.last(BTC), market.candles(BTC, "1m")[0].open
    price = market.mark if reference == "mark" else market.last
    far = px("BTC", ticks)
    market.spike(BTC, far, reference)
    (wick,) = market.advance(market.now_ms)
    beyond = price(BTC) - far if ticks > 1000 else far - price(BTC)
    assert px("BTC", 0) <= beyond <= px("BTC", 2)
    assert wick.px == market.last(BTC) != before
    after = played(market, MIDNIGHT + 2 * MINUTE_MS - 1)
    running = market.candles(BTC, "1m", now_ms=MIDNIGHT + 2 * MINUTE_MS - 1)[0]
    assert (running.open, running.close) == (open_px, after[-1].px)
    assert wick.px in (running.high, running.low)
    assert after[-1].px == px("BTC", 1040)
    played(market)
    kept = market.candles(BTC, "1m")[1]
    assert prices(kept) == prices(running)
    assert kept.contracts == running.contracts


def test_a_spike_is_refused_where_it_would_be_the_open_or_the_close() -> None:
    market = Market({BTC: series("BTC", MIDNIGHT, *THREE)}, MIDNIGHT)
    assert not market.can_spike(BTC)
    with pytest.raises(ValueError, match="edge of a minute"):
        market.spike(BTC, px("BTC", 900), "last")
    played(market, MIDNIGHT + 30_000)
    assert market.can_spike(BTC)
    played(market)
    assert not market.can_spike(BTC)


def test_a_missing_minute_has_no_trades_and_repeats_the_close() -> None:
    market = Market({BTC: series("BTC", MIDNIGHT, *THREE, missing=(1,))}, MIDNIGHT)
    ticks = played(market)
    assert {(tick.ts_ms - MIDNIGHT) // MINUTE_MS for tick in ticks} == {0, 2}
    newest, hole, oldest = market.candles(BTC, "1m")
    assert prices(hole) == btc_prices(1000, 1000, 1000, 1000)
    assert hole.contracts == hole.coin == hole.quote == 0
    assert hole.confirmed
    assert prices(newest) == btc_prices(*THREE[2])
    assert oldest.ts_ms == MIDNIGHT


def test_the_running_minute_can_be_seen_during_an_outage() -> None:
    market = Market({BTC: series("BTC", MIDNIGHT, *THREE, missing=(1,))}, MIDNIGHT)
    market.advance(MIDNIGHT + 90_000)
    running, closed = market.candles(BTC, "1m")
    assert (running.ts_ms, prices(running), running.confirmed) == (
        MIDNIGHT + MINUTE_MS,
        btc_prices(1000, 1000, 1000, 1000),
        False,
    )
    assert running.contracts == 0
    assert closed.confirmed
    assert market.volume_24h(BTC)[0] == closed.contracts == 60


def test_history_is_served_at_once_and_the_future_is_not() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 200)}, MIDNIGHT + 100 * MINUTE_MS)
    rows = market.candles(BTC, "1m", limit=300)
    assert len(rows) == 101
    assert [row.confirmed for row in rows] == [False] + [True] * 100
    assert rows[0].ts_ms == MIDNIGHT + 100 * MINUTE_MS
    # The minute has only just begun: nothing was traded, and its open is not known yet.
    assert prices(rows[0]) == (rows[1].close,) * 4
    assert market.last(BTC) == rows[1].close


def test_at_its_very_first_moment_a_market_has_no_candle() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 3)}, MIDNIGHT)
    assert market.candles(BTC, "1m") == []
    assert market.high_low_24h(BTC) == (market.last(BTC), market.last(BTC))
    market.advance(MIDNIGHT)
    assert [row.ts_ms for row in market.candles(BTC, "1m")] == [MIDNIGHT]


@pytest.mark.parametrize("into_ms", [0, 1, 4_999, 5_000, 29_999, 59_999])
@pytest.mark.parametrize("bar", ["1m", "3m", "1H"])
def test_the_running_candle_is_made_of_the_trades_so_far(into_ms: int, bar: str) -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 150)}, MIDNIGHT)
    now_ms = MIDNIGHT + 100 * MINUTE_MS + into_ms
    ticks = market.advance(now_ms)
    running = market.candles(BTC, bar, limit=1)[0]
    assert not running.confirmed
    assert running.ts_ms == now_ms // bar_ms(bar) * bar_ms(bar)
    assert (*prices(running), running.contracts) == from_ticks(ticks, running.ts_ms, now_ms + 1)


def test_a_start_inside_a_minute_knows_its_trades_so_far() -> None:
    feed = wandering("BTC", MIDNIGHT, 10)
    late = Market({BTC: feed}, MIDNIGHT + 5 * MINUTE_MS + 30_000)
    early = Market({BTC: feed}, MIDNIGHT)
    early.advance(MIDNIGHT + 5 * MINUTE_MS + 29_999)
    assert late.last(BTC) == early.last(BTC)
    assert late.candles(BTC, "1m") == early.candles(BTC, "1m", now_ms=late.now_ms)
    assert played(late) == played(early)


@pytest.mark.parametrize("limit", [1, 7, 100, 300])
@pytest.mark.parametrize("bar", ["1m", "15m", "4H", "1D"])
def test_paging_back_gives_every_candle_exactly_once(bar: str, limit: int) -> None:
    count = 2_000 if limit > 1 else 300
    market = Market({BTC: wandering("BTC", MIDNIGHT + 7 * MINUTE_MS, count)}, MIDNIGHT + 7 * MINUTE_MS)
    played(market)
    seen: list[CandleRow] = []
    after_ms = None
    while rows := market.candles(BTC, bar, after_ms=after_ms, limit=limit):
        assert len(rows) <= limit
        seen += rows
        after_ms = rows[-1].ts_ms
    times = [row.ts_ms for row in seen]
    assert times == list(range(times[0], times[-1] - 1, -bar_ms(bar)))
    assert times[-1] <= MIDNIGHT + 7 * MINUTE_MS < times[-1] + bar_ms(bar)
    assert sum(row.contracts for row in seen) == count * 60
    if bar == "1m":
        assert len(times) == count


def test_after_and_before_are_exclusive_and_before_alone_gives_the_newest() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 20)}, MIDNIGHT + 20 * MINUTE_MS)

    def minutes(after: int | None = None, before: int | None = None, limit: int = 100) -> list[int]:
        rows = market.candles(
            BTC,
            "1m",
            after_ms=None if after is None else MIDNIGHT + after * MINUTE_MS,
            before_ms=None if before is None else MIDNIGHT + before * MINUTE_MS,
            limit=limit,
        )
        return [(row.ts_ms - MIDNIGHT) // MINUTE_MS for row in rows]

    assert minutes(after=3) == [2, 1, 0]
    assert minutes(before=17) == [19, 18]
    assert minutes(before=5, limit=2) == [19, 18]
    assert minutes(after=9, before=5) == [8, 7, 6]
    assert minutes(after=0) == []
    assert minutes(before=19) == []
    assert minutes(limit=0) == []


@pytest.mark.parametrize("bar", list(BARS))
def test_a_bar_is_its_minutes_added_up(bar: str) -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 3_000)}, MIDNIGHT)
    played(market)
    minutes: list[CandleRow] = []
    while rows := market.candles(BTC, "1m", after_ms=minutes[-1].ts_ms if minutes else None, limit=300):
        minutes += rows
    for row in market.candles(BTC, bar, limit=300):
        inside = [one for one in minutes if row.ts_ms <= one.ts_ms < row.ts_ms + bar_ms(bar)]
        assert prices(row) == (
            inside[-1].open,
            max(one.high for one in inside),
            min(one.low for one in inside),
            inside[0].close,
        )
        assert row.contracts == sum(one.contracts for one in inside)
        assert row.coin == sum(one.coin for one in inside) == row.contracts * Decimal("0.01")
        assert row.quote == sum(one.quote for one in inside)


def test_a_candle_counts_contracts_coins_and_dollars() -> None:
    market = Market(
        {BTC: series("BTC", MIDNIGHT, (1000, 1000, 1000, 1000), (1000, 1200, 900, 1100))}, MIDNIGHT
    )
    played(market)
    moved, level = market.candles(BTC, "1m")
    # 60 contracts of 0.01 BTC: at 100 USDT, then at the middle of 100 and 110.
    assert (level.contracts, level.coin, level.quote) == (Decimal(60), Decimal("0.6"), Decimal(60))
    assert moved.quote == Decimal(63)
    assert market.candles(BTC, "1H")[0].quote == Decimal(123)


def test_a_page_of_mark_candles_says_the_same_as_the_whole() -> None:
    # Each minute opens away from the close before it, which is what a page's first row must know.
    jumps = [(1000 + 90 * (k % 3),) * 4 for k in range(60)]
    market = Market({BTC: series("BTC", MIDNIGHT, *jumps)}, MIDNIGHT)
    played(market)
    whole = market.mark_candles(BTC, "1m")
    assert [market.mark_candles(BTC, "1m", after_ms=row.ts_ms, limit=1) for row in whole[:-1]] == [
        [row] for row in whole[1:]
    ]


def test_plain_long_bars_are_cut_by_hong_kong_days_and_utc_ones_by_utc_days() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 3_000)}, MIDNIGHT)
    played(market)

    def hours(bar: str) -> set[int]:
        return {row.ts_ms // HOUR_MS % 24 for row in market.candles(BTC, bar)}

    assert hours("1D") == {16}
    assert hours("1Dutc") == {0}
    assert hours("12H") == {4, 16}
    assert hours("12Hutc") == {0, 12}
    assert hours("6H") == {4, 10, 16, 22}
    assert hours("6Hutc") == {0, 6, 12, 18}


def test_an_unknown_bar_and_an_unknown_instrument_are_refused() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 3)}, MIDNIGHT)
    with pytest.raises(ValueError, match="unknown bar '7m'; allowed: 1m, 3m"):
        market.candles(BTC, "7m")
    with pytest.raises(KeyError):
        market.last(ETH)
    with pytest.raises(ValueError, match="cannot go back"):
        market.advance(MIDNIGHT - 1)
    with pytest.raises(ValueError, match="the feed is of BTC-USDT-SWAP"):
        Market({ETH: wandering("BTC", MIDNIGHT, 3)}, MIDNIGHT)


def test_a_candle_channel_pushes_the_closed_bar_once_and_then_the_running_one() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 10)}, MIDNIGHT)
    pushed = []
    since_ms = market.now_ms
    while (due := market.next_ms()) is not None:
        market.advance(due)
        pushed += market.candle_updates(BTC, "3m", since_ms=since_ms)
        since_ms = due
    confirmed = [(row.ts_ms - MIDNIGHT) // MINUTE_MS for row in pushed if row.confirmed]
    assert confirmed == [0, 3, 6]
    final = {row.ts_ms: row for row in market.candles(BTC, "3m")}
    assert all(final[row.ts_ms] == row for row in pushed if row.confirmed)
    # By default "since" is the advance before the last, so two rows come at the moment of the change.
    again = Market({BTC: wandering("BTC", MIDNIGHT, 10)}, MIDNIGHT)
    again.advance(MIDNIGHT + 179_000)
    again.advance(MIDNIGHT + 180_000)
    assert [row.confirmed for row in again.candle_updates(BTC, "3m")] == [True, False]
    again.advance(MIDNIGHT + 181_000)
    assert [row.confirmed for row in again.candle_updates(BTC, "3m")] == [False]


def test_the_mark_is_its_own_price_on_tick_and_its_candles_say_what_was_live() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 60)}, MIDNIGHT + 10 * MINUTE_MS)
    live: dict[int, list[Decimal]] = {}
    differs = 0
    while (due := market.next_ms()) is not None:
        market.advance(due)
        mark = market.mark(BTC)
        assert mark % swap("BTC").tick_sz == 0
        assert market.index(BTC) % swap("BTC").tick_sz == 0
        assert abs(mark / market.last(BTC) - 1) < Decimal("0.001")
        assert abs(market.index(BTC) / mark - 1) <= Decimal("0.00021")
        differs += mark != market.last(BTC)
        live.setdefault(due // MINUTE_MS * MINUTE_MS, []).append(mark)
    assert differs > 100
    for row in market.mark_candles(BTC, "1m", limit=50):
        seen = live[row.ts_ms]
        assert prices(row) == (seen[0], max(seen), min(seen), seen[-1])
        assert row.contracts == row.coin == row.quote == 0


def test_the_last_day_is_a_window_that_moves() -> None:
    peak_then_calm = [(1000, 5000, 900, 1000), *[(1000, 1010, 990, 1000)] * 2_000]
    market = Market({BTC: series("BTC", MIDNIGHT, *peak_then_calm)}, MIDNIGHT)
    market.advance(MIDNIGHT + DAY_MS - 1)
    assert market.high_low_24h(BTC) == btc_prices(5000, 900)
    assert market.volume_24h(BTC) == (Decimal(60 * 1440), Decimal("864"))
    market.advance(MIDNIGHT + DAY_MS + 2 * MINUTE_MS - 1)
    assert market.high_low_24h(BTC) == btc_prices(1010, 990)
    assert market.open_24h(BTC) == px("BTC", 1000)


def test_day_opens_are_those_of_the_utc_and_the_hong_kong_day() -> None:
    feed = wandering("BTC", MIDNIGHT, 1_440)
    market = Market({BTC: feed}, MIDNIGHT + 20 * HOUR_MS)
    assert market.day_opens(BTC) == btc_prices(int(feed.open[0]), int(feed.open[16 * 60]))


def test_funding_falls_every_eight_hours_and_its_forecast_comes_true() -> None:
    market = Market(
        {BTC: wandering("BTC", MIDNIGHT, 3_000), ETH: wandering("ETH", MIDNIGHT, 3_000)}, MIDNIGHT
    )
    rates = set()
    for hour in range(0, 48, 3):
        now_ms = MIDNIGHT + hour * HOUR_MS + 1
        funding = market.funding(BTC, now_ms)
        assert funding.settled_time_ms <= now_ms < funding.funding_time_ms
        assert funding.funding_time_ms % (8 * HOUR_MS) == 0
        assert funding.next_funding_time_ms - funding.funding_time_ms == 8 * HOUR_MS
        later = market.funding(BTC, funding.funding_time_ms)
        assert (later.settled_rate, later.settled_time_ms) == (funding.rate, funding.funding_time_ms)
        assert market.funding_rate(BTC, funding.funding_time_ms) == funding.rate
        assert abs(funding.rate) <= Decimal("0.0005")
        rates.add(funding.rate)
    assert len(rates) == 6
    assert market.funding(BTC).rate != market.funding(ETH).rate


def test_funding_pays_the_interest_and_the_mean_premium_of_its_interval() -> None:
    market = Market({BTC: wandering("BTC", MIDNIGHT, 3)}, MIDNIGHT)
    for number in range(6):
        begin_ms = MIDNIGHT + number * 8 * HOUR_MS
        premiums = [market.funding(BTC, begin_ms + hour * HOUR_MS).premium for hour in (0, 4, 8)]
        # A straight line from one funding time to the next.
        assert abs(premiums[1] - (premiums[0] + premiums[2]) / 2) <= Decimal("0.000001")
        rate = market.funding_rate(BTC, begin_ms + 8 * HOUR_MS)
        assert rate == Decimal("0.0001") + (premiums[0] + premiums[2]) / 2


def test_price_limits_lie_around_the_index_and_follow_the_premium_up_to_the_outer_bound() -> None:
    market = Market({BTC: ManualFeed(swap("BTC"), Decimal(50_000), MIDNIGHT)}, MIDNIGHT)
    buy, sell = market.price_limit(BTC)
    index = market.index(BTC)
    assert index * Decimal("1.0199") < buy <= index * Decimal("1.02")
    assert index * Decimal("0.98") <= sell < index * Decimal("0.9801")
    market.set_price(BTC, Decimal(70_000))
    market.advance(MIDNIGHT + 1)
    buy, sell = market.price_limit(BTC)
    index = market.index(BTC)
    assert index * Decimal("1.0499") < buy <= index * Decimal("1.05")
    assert sell % swap("BTC").tick_sz == 0
    narrow = Market(
        {BTC: wandering("BTC", MIDNIGHT, 3)}, MIDNIGHT, limit_y=Decimal("0.001"), limit_z=Decimal("0.002")
    )
    assert narrow.price_limit(BTC)[0] < narrow.index(BTC) * Decimal("1.0011")


def test_a_price_set_by_hand_is_a_trade_at_once() -> None:
    market = Market({BTC: ManualFeed(swap("BTC"), Decimal(50_000), MIDNIGHT)}, MIDNIGHT)
    assert market.next_ms() is None
    assert market.last(BTC) == 50_000
    market.set_price(BTC, Decimal("50010.5"))
    market.set_price(BTC, Decimal("49990"), Decimal("2.5"))
    assert market.next_ms() == MIDNIGHT
    first, second = market.advance(MIDNIGHT)
    assert (first.px, first.contracts, first.taker_side) == (Decimal("50010.5"), Decimal("0.01"), "buy")
    assert (second.px, second.contracts, second.taker_side) == (Decimal("49990"), Decimal("2.5"), "sell")
    assert market.last(BTC) == market.best_bid(BTC) == 49_990
    market.advance(MIDNIGHT + 3 * MINUTE_MS)
    market.set_price(BTC, Decimal("51000"))
    market.advance(MIDNIGHT + 3 * MINUTE_MS + 5)
    rows = market.candles(BTC, "1m", limit=5)
    assert [tuple(map(int, prices(row))) for row in rows] == [
        (51000, 51000, 51000, 51000),
        (49990, 49990, 49990, 49990),
        (49990, 49990, 49990, 49990),
        (50010, 50010, 49990, 49990),
        (50000, 50000, 50000, 50000),
    ]
    assert rows[3].contracts == Decimal("2.51")
    assert market.high_low_24h(BTC) == (Decimal(51_000), Decimal(49_990))
    assert not market.is_over


def test_only_a_manual_market_takes_a_price_and_only_on_tick() -> None:
    market = Market(
        {BTC: ManualFeed(swap("BTC"), Decimal(1), MIDNIGHT), ETH: wandering("ETH", MIDNIGHT, 3)}, MIDNIGHT
    )
    with pytest.raises(ValueError, match="only a ManualFeed's price can be set"):
        market.set_price(ETH, Decimal(1))
    for wrong in ("1.05", "0", "-1"):
        with pytest.raises(ValueError, match="not a positive multiple of the tick"):
            market.set_price(BTC, Decimal(wrong))
    with pytest.raises(ValueError, match=r"not a positive multiple of 0\.01"):
        market.set_price(BTC, Decimal(1), Decimal("0.001"))


def test_instruments_that_start_and_end_at_different_times_share_a_market() -> None:
    feeds: dict[str, CandleSeries] = {
        BTC: wandering("BTC", MIDNIGHT, 5),
        ETH: wandering("ETH", MIDNIGHT + 3 * MINUTE_MS, 5),
    }
    market = Market(feeds, MIDNIGHT + MINUTE_MS)
    ticks = played(market)
    assert {
        inst: {(t.ts_ms - MIDNIGHT) // MINUTE_MS for t in ticks if t.inst_id == inst} for inst in feeds
    } == {
        BTC: {1, 2, 3, 4},
        ETH: {3, 4, 5, 6, 7},
    }
    assert market.is_over
    market.advance(MIDNIGHT + 60 * MINUTE_MS)
    assert len(market.candles(BTC, "1m")) == 5
    assert market.candles(BTC, "1m")[0].confirmed


def test_a_month_of_trades_is_played_whole() -> None:
    market = Market({BTC: SyntheticFeed(swap("BTC"), 1)}, MIDNIGHT)
    count = 0
    for hour in range(30 * 24):
        count += len(market.advance(MIDNIGHT + (hour + 1) * HOUR_MS - 1))
    assert count == 30 * 1_440 * 12


@pytest.mark.parametrize("bar", ["1m", "5m", "1H", "1D", "1Dutc"])
def test_the_running_bar_that_is_pushed_is_the_one_that_is_served(bar: str) -> None:
    """It is kept from trade to trade; a page of candles adds its minutes up each time."""
    start = MIDNIGHT - 3 * HOUR_MS
    market = Market({BTC: wandering("BTC", start - DAY_MS, 2 * 24 * 60)}, start)
    before_ms = start
    for pushed in range(1_200):
        due = market.next_ms()
        assert due is not None
        market.advance(due)
        if pushed == 700:
            market.spike(BTC, market.last(BTC) + px("BTC", 500), "last")
            market.advance(due)
        served = market.candles(BTC, bar, limit=2)
        updates = market.candle_updates(BTC, bar, since_ms=before_ms)
        assert updates[-1] == served[0]
        before_ms = due
