"""The book around the price, and what orders get from it."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from anchorwatch.io.venue.book import DEPTH_MAX, Book, fill_plan, opposite_levels
from anchorwatch.io.venue.feeds import ManualFeed
from anchorwatch.io.venue.fill import (
    LATENCY_BASE_MS,
    LATENCY_JITTER_MS,
    latencies_ms,
    latency_ms,
    maker_fill,
    walk,
)
from anchorwatch.io.venue.instruments import INSTRUMENTS, Instrument
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.synthetic import SyntheticFeed
from tests.venue.market_data import swap

BTC = "BTC-USDT-SWAP"
NOW = 1_746_316_800_000


def lively(instrument: Instrument) -> Market:
    market = Market({instrument.inst_id: SyntheticFeed(instrument, 2)}, NOW)
    market.advance(NOW + 95_000)
    return market


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda instrument: instrument.base)
def test_the_book_is_sorted_around_the_touch_on_tick_and_lot(instrument: Instrument) -> None:
    market = lively(instrument)
    bids, asks = Book(market, seed=4).levels(instrument.inst_id, market.now_ms)
    assert len(bids) == len(asks) == 400
    assert bids[0].px == market.best_bid(instrument.inst_id)
    assert asks[0].px == market.best_ask(instrument.inst_id)
    assert all(near.px > far.px for near, far in pairwise(bids))
    assert all(near.px < far.px for near, far in pairwise(asks))
    for level in bids + asks:
        assert level.px > 0
        assert level.px % instrument.tick_sz == 0
        assert level.contracts > 0
        assert level.contracts % instrument.lot_sz == 0
        assert 1 <= level.orders <= level.contracts / instrument.lot_sz


def test_the_book_is_repeatable_and_a_shallow_look_is_its_top() -> None:
    market = lively(swap("BTC"))
    whole = Book(market, seed=4).levels(BTC, market.now_ms)
    assert Book(market, seed=4).levels(BTC, market.now_ms) == whole
    assert Book(market, seed=5).levels(BTC, market.now_ms) != whole
    bids, asks = Book(market, seed=4).levels(BTC, market.now_ms, 5)
    assert (bids, asks) == (whole[0][:5], whole[1][:5])
    assert Book(market).levels(BTC, market.now_ms, 0) == ([], [])


def test_a_level_that_stays_in_view_keeps_about_its_size_within_the_minute() -> None:
    market = Market({BTC: ManualFeed(swap("BTC"), Decimal(50_000), NOW)}, NOW)
    book = Book(market)
    before = {level.px: level.contracts for level in book.levels(BTC, NOW)[0]}
    market.set_price(BTC, Decimal("49999.7"))
    market.advance(NOW + 1)
    after = {level.px: level.contracts for level in book.levels(BTC, NOW + 1)[0]}
    common = sorted(before.keys() & after.keys())
    assert len(common) > 300
    assert all(abs(after[px] / before[px] - 1) < Decimal("0.05") for px in common)


def test_a_book_at_the_lowest_price_has_no_bid_below_one_tick() -> None:
    market = Market({BTC: ManualFeed(swap("BTC"), Decimal("0.3"), NOW)}, NOW)
    bids, asks = Book(market).levels(BTC, NOW)
    assert [level.px for level in bids] == [Decimal("0.2"), Decimal("0.1")]
    assert len(asks) == 400


def test_a_small_order_fills_at_the_touch_and_a_large_one_walks_the_book() -> None:
    market = lively(swap("BTC"))
    book = Book(market)
    small = book.fill_plan(BTC, "buy", Decimal("1"), None, market.now_ms)
    assert small == [(market.best_ask(BTC), Decimal("1"))]
    large = book.fill_plan(BTC, "sell", Decimal("5000"), None, market.now_ms)
    assert sum(size for _, size in large) == 5000
    assert large[0][0] == market.best_bid(BTC)
    assert len(large) > 10
    assert all(near > far for (near, _), (far, _) in pairwise(large))


def test_a_limit_and_the_end_of_the_book_leave_the_rest_unfilled() -> None:
    market = lively(swap("BTC"))
    book = Book(market)
    limit = market.best_ask(BTC) + Decimal("0.2")
    got = book.fill_plan(BTC, "buy", Decimal("100000"), limit, market.now_ms)
    assert [px for px, _ in got] == [market.best_ask(BTC) + Decimal("0.1") * k for k in range(3)]
    assert book.fill_plan(BTC, "buy", Decimal(1), market.best_bid(BTC), market.now_ms) == []
    everything = book.fill_plan(BTC, "buy", Decimal("100000000"), None, market.now_ms)
    assert len(everything) == 400


def test_a_walk_takes_the_best_levels_first_and_no_more_than_asked() -> None:
    def pairs(*numbers: tuple[int, int]) -> list[tuple[Decimal, Decimal]]:
        return [(Decimal(px), Decimal(contracts)) for px, contracts in numbers]

    levels = pairs((10, 1), (11, 2), (12, 4))
    assert walk(levels, "buy", Decimal(2), None) == pairs((10, 1), (11, 1))
    assert walk(levels, "buy", Decimal(9), Decimal(11)) == pairs((10, 1), (11, 2))
    assert walk(levels[::-1], "sell", Decimal(9), Decimal(11)) == pairs((12, 4), (11, 2))
    assert walk(levels, "buy", Decimal(0), None) == []


@pytest.mark.parametrize(
    ("side", "trade_px", "trade_contracts", "filled", "ahead"),
    [
        ("buy", 101, 50, 0, 30),  # above a bid: nothing
        ("buy", 100, 20, 0, 10),  # at it: the queue first
        ("buy", 100, 34, 4, 0),  # then the order
        ("buy", 100, 500, 10, 0),  # never more than it asks for
        ("buy", 99, 1, 10, 0),  # through it: all
        ("sell", 99, 50, 0, 30),
        ("sell", 100, 34, 4, 0),
        ("sell", 101, 1, 10, 0),
    ],
)
def test_a_resting_order_waits_for_the_queue_ahead_of_it(
    side: str, trade_px: int, trade_contracts: int, filled: int, ahead: int
) -> None:
    result = maker_fill(
        "buy" if side == "buy" else "sell",
        Decimal(100),
        Decimal(10),
        Decimal(30),
        Decimal(trade_px),
        Decimal(trade_contracts),
    )
    assert result == (Decimal(filled), Decimal(ahead))


def test_latency_is_repeatable_and_bounded() -> None:
    seen = [latency_ms(1, sequence) for sequence in range(500)]
    assert seen == [latency_ms(1, sequence) for sequence in range(500)]
    assert (min(seen), max(seen)) == (LATENCY_BASE_MS, LATENCY_BASE_MS + LATENCY_JITTER_MS)
    at_once = latencies_ms(1, np.arange(500), base_ms=LATENCY_BASE_MS, jitter_ms=LATENCY_JITTER_MS)
    assert at_once.tolist() == seen


def test_a_deep_look_at_the_book_begins_with_what_a_shallow_one_shows() -> None:
    instrument = next(one for one in INSTRUMENTS if one.inst_id == BTC)
    for side in ("buy", "sell"):
        deep = opposite_levels(instrument, 650_000, side, 60_000, DEPTH_MAX, seed=3)
        assert len(deep) == DEPTH_MAX
        assert opposite_levels(instrument, 650_000, side, 60_000, 7, seed=3) == deep[:7]
        everything = sum((level.contracts for level in deep), Decimal(0))
        got = fill_plan(instrument, 650_000, side, everything, None, 60_000, seed=3)
        assert got == [(level.px, level.contracts) for level in deep]
