"""One instrument's market: everything computed stays in step with the candles, and knows no future."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from anchorwatch.machine import candles as c
from anchorwatch.machine.indicators.panel import Periods, columns
from anchorwatch.machine.market import Frame, Market, MarketSettings, ProfileSettings
from anchorwatch.machine.pivots import Pivots, pivots_after
from anchorwatch.machine.regime import Regime, RegimeSettings, RegimeState, advanced, verdict
from anchorwatch.machine.strategy import MarketView, view_of
from anchorwatch.machine.timeframes import DAY_MS, HOUR_MS, MINUTE_MS, Resampling
from anchorwatch.machine.volume_profile import VolumeProfile, volume_profile
from anchorwatch.machine.world import Candle
from tests.machine.candle_data import FIRST_MS, recorded, wandering, wildest

QUICK = MarketSettings(
    kept=(("1m", 40), ("5m", 60), ("1H", 12), ("1Dutc", 3)),
    indicated=("1m", "5m"),
    periods=Periods(2, 4, 3, 2, 4, 2, 5, 3, 3),
    regime=RegimeSettings(adx_trending=60.0, adx_ranging=40.0, range_low=0.012, range_high=0.03),
    profile=ProfileSettings(candles=6, rows=20),
)
"""Warm within five hours, so that stories stay short."""


def all_closed(minutes: Sequence[Candle], settings: MarketSettings = QUICK) -> list[list[tuple[str, Candle]]]:
    """For each minute what closes with it, the minute first."""
    larger = [(name, Resampling("1m", name)) for name, _ in settings.kept if name != "1m"]
    steps = []
    for minute in minutes:
        step = [("1m", minute)]
        step += [(name, whole) for name, one in larger if (whole := one.take(minute)) is not None]
        steps.append(step)
    return steps


def to_read(market: Market, now_ms: int) -> dict[str, c.Span]:
    spans = {name: market.to_read(name, now_ms) for name, _ in market.settings.kept}
    return {name: span for name, span in spans.items() if span is not None}


class Seen(NamedTuple):
    """Everything of a view that a strategy can read, as a value."""

    now_ms: int
    candles: tuple[Candle, ...]
    frames: dict[str, Frame]
    regime: Regime | None
    pivots: Pivots | None
    profile: VolumeProfile | None


def frozen(view: MarketView) -> Seen:
    candles, frames = tuple(view.candles), dict(view.frames)
    return Seen(view.now_ms, candles, frames, view.regime, view.pivots, view.profile)


def lived(steps: Sequence[Sequence[tuple[str, Candle]]], settings: MarketSettings = QUICK) -> list[Seen]:
    market = Market("BTC-USDT-SWAP", settings)
    seen = []
    for step in steps:
        for name, candle in step:
            market.take(name, candle)
        seen.append(frozen(view_of(market)))
    return seen


MINUTES = wandering(2 * 1_440)
STEPS = all_closed(MINUTES)
SEEN = lived(STEPS)


def test_a_day_of_candles_makes_everything_known() -> None:
    assert set(SEEN[-1].frames) == {"1m", "5m"}
    assert None not in SEEN[-1]


@pytest.mark.parametrize("count", [1, 61, 299, 300, 301, 1_441, 2_000])
def test_what_is_seen_at_a_candle_does_not_depend_on_those_after_it(count: int) -> None:
    other_future = wandering(1_440, seed=9)
    turned = [
        Candle(
            MINUTES[count - 1].open_ms + (i + 1) * MINUTE_MS, *(one.open, one.high, one.low, one.close), 3.0
        )
        for i, one in enumerate(other_future[:50])
    ]
    assert lived(all_closed(MINUTES[:count])) == SEEN[:count]
    assert lived(all_closed([*MINUTES[:count], *turned]))[:count] == SEEN[:count]


def test_the_order_in_which_candles_of_one_moment_arrive_decides_nothing() -> None:
    for rotate in (1, 2, 3):
        turned = [[*step[rotate % len(step) :], *step[: rotate % len(step)]] for step in STEPS]
        seen = lived(turned)
        assert seen == SEEN


def test_a_larger_candle_counts_from_the_next_minute_on() -> None:
    market = Market("X", QUICK)
    opens = []
    for step in STEPS[:400]:
        for name, candle in step:
            market.take(name, candle)
        frame = market.frame("5m")
        if frame is not None:
            opens.append((step[0][1].open_ms, frame.candle.open_ms))
    assert all(larger_ms + 5 * MINUTE_MS <= minute_ms for minute_ms, larger_ms in opens)
    assert any(larger_ms + 5 * MINUTE_MS == minute_ms for minute_ms, larger_ms in opens)


def test_history_by_rest_gives_the_same_as_having_lived_through_it() -> None:
    kept = {name: [one for step in STEPS for own, one in step if own == name] for name, _ in QUICK.kept}
    wanted = SEEN[-1]
    for order in itertools.permutations(kept):
        market = Market("X", QUICK)
        for name in order:
            market.merge(name, tuple(kept[name]))
        got = frozen(view_of(market))
        assert got._replace(frames={}) == wanted._replace(frames={})
        for name, frame in got.frames.items():
            lived_through = wanted.frames[name]
            assert frame.candle == lived_through.candle
            # Only the seeds differ, and these have faded.
            assert frame.now.rsi == pytest.approx(lived_through.now.rsi, abs=0.1)


def test_a_late_correction_makes_the_indicators_what_they_would_have_been() -> None:
    market = Market("X", QUICK)
    minutes = MINUTES[:40]
    for one in minutes:
        market.take("1m", one)
    wrong = minutes[30]
    right = Candle(wrong.open_ms, wrong.open, wrong.high * 1.01, wrong.low, wrong.high * 1.01, wrong.volume)
    outcome = market.take("1m", right)
    assert isinstance(outcome, c.Corrected)
    told = [*minutes[:30], right, *minutes[31:]]
    table = np.array([(one.high, one.low, one.close) for one in told])
    high, low, close = (np.ascontiguousarray(column) for column in table.T)
    frame = market.frame("1m")
    assert frame is not None
    rows = columns(high, low, close, QUICK.periods).rows()
    assert frame.now.rsi == pytest.approx(rows[-1].rsi if rows[-1] else 0, abs=1e-9)
    assert frame.before.ema_slow == pytest.approx(rows[-2].ema_slow if rows[-2] else 0, rel=1e-12)


def test_a_late_correction_of_a_larger_candle_does_too() -> None:
    def lived_with(corrections: dict[int, Candle], late: bool) -> Market:
        market = Market("X", QUICK)
        for step in STEPS[:251]:
            for name, one in step:
                market.take(name, one if late or name != "5m" else corrections.get(one.open_ms, one))
        if late:
            for one in corrections.values():
                assert isinstance(market.take("5m", one), c.Corrected)
        return market

    fives = [one for step in STEPS[:250] for name, one in step if name == "5m"]
    for wrong in (fives[-1], fives[20]):
        right = Candle(wrong.open_ms, wrong.open, wrong.high + 50, wrong.low, wrong.high + 50, wrong.volume)
        late, at_once = (lived_with({wrong.open_ms: right}, late) for late in (True, False))
        assert late.frame("5m") == at_once.frame("5m") != lived_with({}, late=False).frame("5m")


def test_nothing_is_computed_over_a_hole_until_it_is_repaired() -> None:
    market = Market("X", QUICK)
    for one in MINUTES[:30]:
        market.take("1m", one)
    before = market.frame("1m")
    for one in MINUTES[33:36]:
        assert isinstance(market.take("1m", one), c.Ahead)
    assert market.frame("1m") == before
    hole = c.Span(MINUTES[30].open_ms, MINUTES[33].open_ms)
    assert to_read(market, MINUTES[35].open_ms) == {"1m": hole}
    market.merge("1m", tuple(MINUTES[30:33]))
    whole = Market("X", QUICK)
    for one in MINUTES[:36]:
        whole.take("1m", one)
    assert market.frames() == whole.frames()
    assert to_read(market, MINUTES[35].open_ms) == {}


def test_an_absence_longer_than_what_is_kept_begins_the_indicators_anew() -> None:
    market = Market("X", QUICK)
    for one in MINUTES[:50]:
        market.take("1m", one)
    market.merge("1m", tuple(MINUTES[50:200]))
    assert market.indicator_candles("1m") == 40
    fresh = Market("X", QUICK)
    fresh.merge("1m", tuple(MINUTES[160:200]))
    assert market.frame("1m") == fresh.frame("1m")


def test_a_hole_of_the_venue_begins_the_indicators_anew() -> None:
    market = Market("X", QUICK)
    for one in (*MINUTES[:30], *MINUTES[32:40]):
        market.take("1m", one)
    assert market.begin_after_hole("1m") == c.Span(MINUTES[30].open_ms, MINUTES[32].open_ms)
    assert market.indicator_candles("1m") == 8


def test_time_alone_says_which_timeframes_stand_still() -> None:
    market = Market("X", QUICK)
    for step in STEPS[:1_440]:
        for name, one in step:
            market.take(name, one)
    midnight_ms = FIRST_MS + DAY_MS
    assert to_read(market, midnight_ms + MINUTE_MS) == {}
    assert list(to_read(market, midnight_ms + 10 * MINUTE_MS + c.GRACE_MS)) == ["1m", "5m"]
    assert to_read(market, midnight_ms + 2 * HOUR_MS + c.GRACE_MS)["1H"] == c.Span(
        midnight_ms, midnight_ms + 2 * HOUR_MS
    )


def test_pivots_and_profile_are_those_of_the_newest_candles_that_count() -> None:
    market = Market("X", QUICK)
    hours, days = [], []
    for step in STEPS[:2_000]:
        for name, one in step:
            market.take(name, one)
            hours += [one] if name == "1H" else []
            days += [one] if name == "1Dutc" else []
    assert market.pivots == pivots_after(days[-1])
    counted = [one for one in hours if one.open_ms + HOUR_MS <= STEPS[1_999][0][1].open_ms][-6:]
    table = np.array([(one.high, one.low, one.volume) for one in counted])
    assert market.profile == volume_profile(table[:, 0], table[:, 1], table[:, 2], rows=20)


def test_pivots_of_another_day_are_not_shown() -> None:
    market = Market("X", QUICK)
    for step in STEPS[:1_500]:
        for name, one in step:
            market.take(name, one)
    assert view_of(market).pivots is not None
    for step in STEPS[1_500:]:
        for name, one in step:
            if name != "1Dutc":
                market.take(name, one)
    last = MINUTES[-1]
    market.take("1m", Candle(last.open_ms + MINUTE_MS, last.close, last.close, last.close, last.close, 1.0))
    assert view_of(market).pivots is None


def test_the_regime_is_judged_by_the_adx_and_the_range_of_its_own_candles() -> None:
    settings = QUICK.regime
    assert settings is not None
    fives = [one for step in STEPS for name, one in step if name == "5m"][:-1]  # the last does not count yet
    table = np.array([(one.high, one.low, one.close) for one in fives])
    high, low, close = (np.ascontiguousarray(column) for column in table.T)
    adx = columns(high, low, close, QUICK.periods).adx
    state = None
    for number in range(settings.lookback - 1, len(fives)):
        window = slice(number - settings.lookback + 1, number + 1)
        reach = (high[window].max() - low[window].min()) / close[number]
        said = verdict(float(adx[number]), float(reach), settings)
        state = advanced(state, said, fives[number].open_ms + 5 * MINUTE_MS, settings)
    market = Market("X", QUICK)
    for step in STEPS:
        for name, one in step:
            market.take(name, one)
    assert market.regime == state
    assert {seen.regime for seen in SEEN} == {None, *Regime}


def regime_after(minutes: Sequence[Candle], restored: RegimeState | None) -> RegimeState | None:
    market = Market("X", QUICK, restored)
    fives = tuple(one for step in all_closed(minutes) for name, one in step if name == "5m")
    market.merge("1m", tuple(minutes))
    market.merge("5m", fives)
    return market.regime


def test_the_regime_goes_on_after_a_restart_and_is_not_judged_anew() -> None:
    fresh = regime_after(MINUTES[:1_440], None)
    assert fresh is not None
    other = Regime.CHOPPY if fresh.regime is not Regime.CHOPPY else Regime.RANGING
    remembered = RegimeState(other, FIRST_MS, judged_ms=fresh.judged_ms)
    assert regime_after(MINUTES[:1_440], remembered) == remembered


@pytest.mark.parametrize("judged_ms", [FIRST_MS - 3 * DAY_MS, FIRST_MS + 9 * DAY_MS])
def test_a_remembered_regime_without_the_candles_since_then_is_not_believed(judged_ms: int) -> None:
    fresh = regime_after(MINUTES[:1_440], None)
    assert regime_after(MINUTES[:1_440], RegimeState(Regime.CHOPPY, FIRST_MS, judged_ms)) == fresh


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (MarketSettings(kept=(("1m", 100), ("5m", 200), ("15m", 200), ("1H", 100), ("1Dutc", 2))), "1m"),
        (MarketSettings(kept=(("1m", 200), ("5m", 200), ("15m", 200), ("1H", 99), ("1Dutc", 2))), "profile"),
        (MarketSettings(kept=(("1m", 200), ("5m", 200), ("15m", 200), ("1H", 100))), "pivots"),
        (MarketSettings(indicated=("1m", "15m")), "regime"),
        (MarketSettings(kept=(("1m", 200), ("1m", 200))), "twice"),
    ],
)
def test_settings_that_could_never_become_ready_are_refused(settings: MarketSettings, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Market("X", settings)


@pytest.mark.data
@pytest.mark.parametrize("path", recorded("*2021_05_19*") + recorded("*yen*"))
def test_on_a_recorded_crash_the_past_stays_and_the_memory_too(path: Path) -> None:
    minutes = wildest(path, 1_500)
    steps = all_closed(minutes)
    assert lived(steps[:1_000]) == lived(steps)[:1_000]
    market = Market("X", QUICK)
    sizes = set()
    for step in steps:
        for name, one in step:
            market.take(name, one)
            sizes.add(tuple(market.buffer(own).nbytes for own, _ in QUICK.kept))
    assert len(sizes) == 1
    assert all(len(market.buffer(name)) <= capacity for name, capacity in QUICK.kept)
