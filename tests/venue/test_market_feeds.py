"""Invented and shifted markets: endless, repeatable, and entered at the right time of day."""

import numpy as np
import pytest

from anchorwatch.io.venue.feeds import DAY_MS, MINUTE_MS, FasterFeed, Minutes, shifted
from anchorwatch.io.venue.instruments import INSTRUMENTS, Instrument
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.noise import mix, mix_many
from anchorwatch.io.venue.synthetic import SyntheticFeed
from tests.venue.market_data import swap, wandering

MIDNIGHT = 1_746_316_800_000
BTC = "BTC-USDT-SWAP"


def rows(minutes: Minutes) -> list[tuple[int, ...]]:
    columns = (minutes.open, minutes.high, minutes.low, minutes.close, minutes.lots)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda instrument: instrument.base)
def test_an_invented_market_is_a_market(instrument: Instrument) -> None:
    month = SyntheticFeed(instrument, 11).minutes(MIDNIGHT, 30 * 1_440)
    assert (month.low >= 1).all()
    assert (month.low <= np.minimum(month.open, month.close)).all()
    assert (month.high >= np.maximum(month.open, month.close)).all()
    assert (month.lots >= 1).all()
    # It goes on where it stopped, from minute to minute and over midnight (a rounding of one tick aside).
    assert (np.abs(month.open[1:] - month.close[:-1]) <= 1).all()
    moves = np.diff(np.log(month.close.astype(float)))
    assert 0.0001 < moves.std() < 0.003
    assert np.abs(moves).max() < 0.05


def test_an_invented_market_has_quiet_hours_and_bursts() -> None:
    month = SyntheticFeed(swap("BTC"), 5).minutes(MIDNIGHT, 30 * 1_440)
    ranges = ((month.high - month.low) / month.close).reshape(-1, 60).max(axis=1)
    assert np.quantile(ranges, 0.95) > 3 * np.quantile(ranges, 0.25)


def test_any_stretch_of_an_invented_market_can_be_asked_for_first() -> None:
    forward, backward = (SyntheticFeed(swap("ETH"), 9) for _ in range(2))
    days = [forward.minutes(MIDNIGHT + day * DAY_MS, 1_440) for day in range(8)]
    for day in reversed(range(8)):
        assert rows(backward.minutes(MIDNIGHT + day * DAY_MS, 1_440)) == rows(days[day])
    across = forward.minutes(MIDNIGHT + DAY_MS - 5 * MINUTE_MS, 10)
    assert rows(across) == rows(days[0])[-5:] + rows(days[1])[:5]


def test_seed_and_instrument_make_different_markets() -> None:
    def opening(base: str, seed: int) -> int:
        return int(SyntheticFeed(swap(base), seed).minutes(MIDNIGHT, 1).open[0])

    assert len({opening("BTC", seed) for seed in range(10)}) == 10
    with pytest.raises(ValueError, match="outside the feed"):
        SyntheticFeed(swap("BTC"), 1).minutes(0, 1)


def test_an_invented_market_keeps_no_past() -> None:
    feed = SyntheticFeed(swap("BTC"), 1)
    market = Market({BTC: feed}, MIDNIGHT)
    for day in range(80):
        market.advance(MIDNIGHT + day * DAY_MS)
        market.high_low_24h(BTC)
    assert len(feed._days) <= 64
    assert not market.is_over


def test_noise_is_the_same_alone_and_in_an_array() -> None:
    numbers = [0, 1, -1, 10**15, -(2**60)]
    for key in (0, 77, 2**64 - 1):
        assert mix_many(key, np.array(numbers, dtype=np.int64)).tolist() == [mix(key, one) for one in numbers]


def test_a_recording_is_entered_at_the_same_time_of_day_with_a_day_before_it() -> None:
    recording = wandering("BTC", MIDNIGHT + 600 * MINUTE_MS, 5 * 1_440)
    now_ms = MIDNIGHT + 400 * DAY_MS + 61 * MINUTE_MS + 12_345
    feed = shifted(recording, now_ms)
    assert (feed.first_ms - recording.first_ms) % DAY_MS == 0
    assert DAY_MS <= now_ms - feed.first_ms < 2 * DAY_MS
    assert feed.end_ms == recording.end_ms + feed.first_ms - recording.first_ms
    assert rows(feed.minutes(feed.first_ms, 7)) == rows(recording.minutes(recording.first_ms, 7))
    market = Market({BTC: feed}, now_ms)
    assert len(market.candles(BTC, "1m", limit=300)) == 300


def test_a_short_recording_is_entered_after_a_quarter_of_itself() -> None:
    recording = wandering("BTC", MIDNIGHT, 400)
    now_ms = MIDNIGHT + 9 * DAY_MS + 1_000 * MINUTE_MS
    feed = shifted(recording, now_ms)
    assert now_ms - feed.first_ms == 100 * MINUTE_MS
    # When it does have this time of day, it is entered there.
    feed = shifted(recording, MIDNIGHT + 9 * DAY_MS + 300 * MINUTE_MS)
    assert (feed.first_ms - recording.first_ms) % DAY_MS == 0


def test_a_looped_recording_starts_again_every_whole_day_and_never_ends() -> None:
    recording = wandering("BTC", MIDNIGHT, 2 * 1_440 + 100)
    now_ms = MIDNIGHT + 30 * DAY_MS + 50 * MINUTE_MS
    feed = shifted(recording, now_ms, loop=True, history_ms=5 * DAY_MS)
    assert feed.end_ms is None
    assert now_ms - feed.first_ms >= 5 * DAY_MS
    whole = rows(recording.minutes(MIDNIGHT, 2 * 1_440))
    assert rows(feed.minutes(feed.first_ms, 3 * 2 * 1_440)) == whole * 3
    market = Market({BTC: feed}, now_ms)
    market.advance(now_ms + 4 * DAY_MS)
    assert not market.is_over
    with pytest.raises(ValueError, match="needs no shift"):
        shifted(feed, now_ms)


def test_a_faster_market_has_the_same_prices_in_less_time() -> None:
    slow = wandering("BTC", MIDNIGHT, 3 * 1_440)
    now_ms = MIDNIGHT + DAY_MS + 7 * MINUTE_MS
    fast = FasterFeed(slow, 30, now_ms)
    assert fast.first_ms == now_ms - (1_447 // 30) * MINUTE_MS
    assert fast.end_ms == now_ms + (3 * 1_440 - 1_447) // 30 * MINUTE_MS
    there = rows(slow.minutes(now_ms, 60))
    for number, (open_, high, low, close, lots) in enumerate(rows(fast.minutes(now_ms, 2))):
        thirty = there[30 * number : 30 * number + 30]
        assert (open_, close) == (thirty[0][0], thirty[-1][3])
        assert (high, low) == (max(row[1] for row in thirty), min(row[2] for row in thirty))
        assert lots == sum(row[4] for row in thirty)
    every = rows(fast.minutes(fast.first_ms, (fast.end_ms - fast.first_ms) // MINUTE_MS))
    assert sum(row[4] for row in every) > 0
    assert all(later[0] for later in every)
    with pytest.raises(ValueError, match="outside the feed"):
        fast.minutes(fast.end_ms, 1)
    with pytest.raises(ValueError, match="outside the feed"):
        fast.minutes(fast.first_ms - MINUTE_MS, 1)
    assert Market({BTC: fast}, now_ms).last(BTC) > 0


def test_any_stretch_over_midnight_of_a_faster_market_is_whole() -> None:
    fast = FasterFeed(SyntheticFeed(swap("BTC"), 3), 10, MIDNIGHT)
    across = rows(fast.minutes(MIDNIGHT + DAY_MS - 5 * MINUTE_MS, 10))
    assert across[:5] == rows(fast.minutes(MIDNIGHT + DAY_MS - 5 * MINUTE_MS, 5))
    assert across[5:] == rows(fast.minutes(MIDNIGHT + DAY_MS, 5))
