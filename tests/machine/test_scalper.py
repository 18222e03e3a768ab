"""The regime-adaptive scalper: its signals, filters, decisions and exits."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine.indicators.panel import Readings
from anchorwatch.machine.market import Frame, Market, MarketSettings
from anchorwatch.machine.pivots import Pivots
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy import (
    Decision,
    Fired,
    Funding,
    Holding,
    Intent,
    MarketView,
    Refusal,
    Wish,
    filters,
    signals,
    view_of,
)
from anchorwatch.machine.strategy.asking import decider
from anchorwatch.machine.strategy.filters import FilterSettings, Proposal
from anchorwatch.machine.strategy.scalper import SETS, Scalper, weigh
from anchorwatch.machine.strategy.signals import REVERTING, SignalSettings
from anchorwatch.machine.timeframes import HOUR_MS, MINUTE_MS, Resampling
from anchorwatch.machine.units import Side
from anchorwatch.machine.volume_profile import VolumeProfile
from anchorwatch.machine.world import Candle, QuoteMoved
from tests.machine.candle_data import FIRST_MS, recorded, wandering, wildest

LONG, SHORT = Side.LONG, Side.SHORT
NOW_MS = FIRST_MS + MINUTE_MS
CALM = Readings(
    ema_fast=100.0,
    ema_slow=100.0,
    rsi=50.0,
    macd=0.0,
    macd_signal=0.0,
    bollinger_middle=100.0,
    bollinger_deviation=1.0,
    atr=1.0,
    adx=15.0,
    plus_di=20.0,
    minus_di=20.0,
)


def calm(**changed: float) -> Readings:
    return msgspec.structs.replace(CALM, **changed)


def bar(open_: float, high: float, low: float, close: float) -> Candle:
    return Candle(FIRST_MS, open_, high, low, close, 10.0)


STILL = bar(100, 100.1, 99.9, 100)


def frame(candle: Candle = STILL, now: Readings = CALM, before: Readings = CALM) -> Frame:
    return Frame(candle, now, before)


def ask(signal: signals.Signal, asked: Frame, earlier: Sequence[Candle] = ()) -> Fired | None:
    return signal(asked, [*earlier, asked.candle], SignalSettings())


def about(value: float) -> Any:
    return pytest.approx(value)


def nearly(value: float) -> Any:
    """A strength, but for what a band lies nearer than it is set."""
    return pytest.approx(value, abs=1e-5)


# Signals.


def test_rsi_that_turns_beyond_its_threshold_fires_the_stronger_the_further_it_was() -> None:
    assert ask(signals.rsi_reversal, frame(now=calm(rsi=32.0), before=calm(rsi=30.0))) == Fired(
        "rsi reversal", LONG, 0.5
    )
    assert ask(signals.rsi_reversal, frame(now=calm(rsi=20.0), before=calm(rsi=15.0))) == Fired(
        "rsi reversal", LONG, 1.0
    )
    assert ask(signals.rsi_reversal, frame(now=calm(rsi=70.0), before=calm(rsi=77.5))) == Fired(
        "rsi reversal", SHORT, 0.75
    )


@pytest.mark.parametrize(("was", "now"), [(30.1, 40.0), (29.0, 28.0), (29.0, 29.0), (71.0, 72.0)])
def test_rsi_that_has_not_been_there_or_has_not_turned_is_silent(was: float, now: float) -> None:
    assert ask(signals.rsi_reversal, frame(now=calm(rsi=now), before=calm(rsi=was))) is None


def test_rsi_that_only_rounding_moved_has_not_turned() -> None:
    """The price stands still: both of Wilder's averages shrink alike, and their quotient differs by its last digit."""
    for was, now in ((25.0, 25.000000000000004), (75.0, 74.99999999999999)):
        assert ask(signals.rsi_reversal, frame(now=calm(rsi=now), before=calm(rsi=was))) is None


def test_the_strict_rsi_asks_for_more_and_as_much_on_both_sides() -> None:
    for was, side in ((24.0, LONG), (76.0, SHORT)):
        fired = ask(signals.strict_rsi_reversal, frame(now=calm(rsi=50.0), before=calm(rsi=was)))
        assert fired == Fired("strict rsi reversal", side, about(0.54))
    assert ask(signals.strict_rsi_reversal, frame(now=calm(rsi=50.0), before=calm(rsi=26.0))) is None


def test_a_band_that_is_touched_from_inside_fires() -> None:
    assert ask(signals.bollinger_touch, frame(bar(99, 99.5, 97.75, 98.5))) == Fired(
        "bollinger touch", LONG, nearly(0.75)
    )
    assert ask(signals.bollinger_touch, frame(bar(101, 102.5, 100.5, 101))) == Fired(
        "bollinger touch", SHORT, nearly(1.0)
    )
    assert ask(signals.bollinger_touch, frame(bar(99, 99.5, 97, 97.5))) is None  # closed outside
    assert ask(signals.bollinger_touch, frame(bar(99, 103, 97, 100))) is None  # through both


@pytest.mark.parametrize("rounding", [-1e-12, 0.0, 1e-12])
def test_whether_a_price_on_the_band_touches_it_is_not_left_to_rounding(rounding: float) -> None:
    now = calm(bollinger_middle=100.0 + rounding, bollinger_deviation=1.0)
    assert ask(signals.bollinger_touch, frame(bar(98.5, 99.0, 98.0, 98.4), now)) is not None
    assert ask(signals.bollinger_touch, frame(bar(98.5, 99.0, 97.9, 98.0), now)) is None


def test_a_market_without_deviation_touches_nothing() -> None:
    assert ask(signals.bollinger_touch, frame(bar(100, 100, 100, 100), calm(bollinger_deviation=0.0))) is None


def test_averages_that_cross_fire_once_the_stronger_the_faster_they_part() -> None:
    up = frame(now=calm(ema_fast=100.1), before=calm(ema_fast=99.95))
    assert ask(signals.ema_cross, up) == Fired("ema cross", LONG, about(0.75))
    down = frame(now=calm(macd=-0.05), before=calm(macd=0.0))
    assert ask(signals.macd_cross, down) == Fired("macd cross", SHORT, about(0.75))
    assert ask(signals.ema_cross, frame(now=calm(ema_fast=101.0), before=calm(ema_fast=100.5))) is None
    assert ask(signals.macd_cross, frame()) is None


def test_an_impulse_leaves_everything_recent_behind_and_closes_at_its_end() -> None:
    assert ask(signals.impulse_breakout, frame(bar(100, 102.25, 100, 102)), [STILL] * 20) == Fired(
        "impulse breakout", LONG, 0.75
    )
    assert ask(signals.impulse_breakout, frame(bar(100, 100, 97, 97)), [STILL] * 20) == Fired(
        "impulse breakout", SHORT, 1.0
    )
    assert ask(signals.impulse_breakout, frame(bar(100, 103, 100, 101.5)), [STILL] * 20) is None  # gave back
    for close, fires in ((103.1, True), (102.9, False)):  # in the outer quarter, and just not
        fired = ask(signals.impulse_breakout, frame(bar(100, 104, 100, close)), [STILL] * 20)
        assert (fired is not None) == fires
    higher = bar(100, 105, 100, 100)
    assert ask(signals.impulse_breakout, frame(bar(100, 103, 100, 103)), [higher, *[STILL] * 19]) is None
    long_ago = [higher, *[STILL] * 20]
    assert ask(signals.impulse_breakout, frame(bar(100, 103, 100, 103)), long_ago) is not None
    assert ask(signals.impulse_breakout, frame(bar(100, 101, 100, 101)), [STILL] * 20) is None  # as usual
    assert ask(signals.impulse_breakout, frame(bar(100, 103, 100, 103))) is None  # nothing to break out of


UPWARDS = calm(adx=33.0, plus_di=30.0, minus_di=10.0, ema_fast=101.0)


def test_a_dip_is_bought_when_it_turns_and_neither_noise_nor_a_collapse() -> None:
    top, fell, turned = bar(100, 102, 100, 101.5), bar(101.5, 101.6, 100.8, 101), bar(101, 102, 100.9, 101.8)
    assert ask(signals.dip_in_trend, frame(turned, UPWARDS), [top, fell]) == Fired("dip in trend", LONG, 0.75)
    assert ask(signals.dip_in_trend, frame(turned, calm(adx=21.0)), [top, fell]) is None
    deep = bar(101.5, 101.6, 99.4, 101)
    assert ask(signals.dip_in_trend, frame(turned, UPWARDS), [top, deep]) is None
    barely = bar(101.8, 102, 101.7, 101.75)
    assert ask(signals.dip_in_trend, frame(bar(101.75, 102, 101.75, 101.9), UPWARDS), [top, barely]) is None
    falling = bar(101, 101.2, 100.6, 100.7)
    assert ask(signals.dip_in_trend, frame(falling, UPWARDS), [top, fell]) is None


def mirrored(one: Candle) -> Candle:
    return Candle(one.open_ms, 200 - one.open, 200 - one.low, 200 - one.high, 200 - one.close, one.volume)


def upside_down(now: Readings) -> Readings:
    return msgspec.structs.replace(
        now,
        ema_fast=200 - now.ema_fast,
        ema_slow=200 - now.ema_slow,
        rsi=100 - now.rsi,
        macd=-now.macd,
        macd_signal=-now.macd_signal,
        bollinger_middle=200 - now.bollinger_middle,
        plus_di=now.minus_di,
        minus_di=now.plus_di,
    )


ALL_SIGNALS = tuple(dict.fromkeys(signal for asked in SETS.values() for signal in asked))
near = st.integers(380, 420).map(lambda quarters: quarters / 4)  # exact, and so are their mirrors


@st.composite
def bars(draw: st.DrawFn) -> Candle:
    pxs = sorted(draw(st.tuples(near, near, near, near)))
    first = draw(st.booleans())
    return bar(pxs[1] if first else pxs[2], pxs[3], pxs[0], pxs[2] if first else pxs[1])


@st.composite
def readings(draw: st.DrawFn) -> Readings:
    share = st.integers(0, 100).map(float)
    small = st.integers(-8, 8).map(lambda quarters: quarters / 4)
    return Readings(
        *(draw(near), draw(near), draw(share), draw(small), draw(small), draw(near)),
        *(abs(draw(small)), abs(draw(small)), draw(share), draw(share), draw(share)),
    )


@given(st.lists(bars(), min_size=1, max_size=25), readings(), readings())
def test_every_signal_says_of_a_mirrored_market_the_mirrored_thing(
    candles: list[Candle], now: Readings, before: Readings
) -> None:
    upright = Frame(candles[-1], now, before)
    turned = Frame(mirrored(candles[-1]), upside_down(now), upside_down(before))
    for signal in ALL_SIGNALS:
        one = signal(upright, candles, SignalSettings())
        other = signal(turned, [mirrored(candle) for candle in candles], SignalSettings())
        if one is None:
            assert other is None
        else:
            assert 0.5 <= one.strength <= 1.0
            assert other == Fired(one.signal, SHORT if one.side is LONG else LONG, one.strength)


def four_times(one: Candle) -> Candle:
    return Candle(one.open_ms, 4 * one.open, 4 * one.high, 4 * one.low, 4 * one.close, one.volume)


def four_times_dearer(now: Readings) -> Readings:
    priced = ("ema_fast", "ema_slow", "macd", "macd_signal", "bollinger_middle", "bollinger_deviation", "atr")
    return msgspec.structs.replace(now, **{name: 4 * getattr(now, name) for name in priced})


@given(st.lists(bars(), min_size=1, max_size=25), readings(), readings())
def test_no_signal_depends_on_what_a_coin_costs(
    candles: list[Candle], now: Readings, before: Readings
) -> None:
    cheap = Frame(candles[-1], now, before)
    dear = Frame(four_times(candles[-1]), four_times_dearer(now), four_times_dearer(before))
    for signal in ALL_SIGNALS:
        fired = signal(cheap, candles, SignalSettings())
        assert signal(dear, [four_times(candle) for candle in candles], SignalSettings()) == fired


# Filters.

TRENDING_UP = calm(adx=30.0, plus_di=30.0, minus_di=10.0, ema_fast=101.0)
LEVELS = Pivots(FIRST_MS, 95.0, 105.0, 110.0, 115.0, 90.0, 85.0, 80.0)
PROFILE = VolumeProfile(point_of_control=98.0, value_low=97.0, value_high=99.0, low=90.0, high=110.0)
QUOTE = QuoteMoved("BTC-USDT-SWAP", Decimal("99.99"), Decimal("100"), NOW_MS - 1_000)
VIEW = MarketView(
    "BTC-USDT-SWAP",
    [STILL],
    None,
    now_ms=NOW_MS,
    frames={"1m": frame(now=TRENDING_UP), "5m": frame(now=TRENDING_UP), "15m": frame(now=TRENDING_UP)},
    regime=Regime.TRENDING,
    pivots=LEVELS,
    profile=PROFILE,
    quote=QUOTE,
    funding=Funding(Decimal("0.0001"), NOW_MS + 60_000),
)


def proposal(side: Side = LONG, is_reverting: bool = False, **changed: Any) -> Proposal:
    view = msgspec.structs.replace(VIEW, **changed)
    return Proposal(view, view.frames["1m"], side, view.regime or Regime.TRENDING, is_reverting)


def refused_by(asked: Proposal) -> list[str]:
    return [refusal.filter for ask_ in filters.ALL if (refusal := ask_(asked, FilterSettings())) is not None]


def frames(**changed: Readings) -> dict[str, Frame]:
    known = {
        f"{name}m": frame(now=now)
        for name, now in (("1", TRENDING_UP), ("5", TRENDING_UP), ("15", TRENDING_UP))
    }
    return known | {name.removeprefix("m") + "m": frame(now=now) for name, now in changed.items()}


def test_a_long_with_everything_for_it_passes_every_filter() -> None:
    assert refused_by(proposal()) == []


def test_a_continuation_needs_direction_and_the_larger_candles() -> None:
    assert refused_by(proposal(frames=frames(m1=calm(adx=19.9)))) == ["adx"]
    assert refused_by(proposal(frames=frames(m15=calm(ema_fast=99.0)))) == ["higher timeframe"]
    assert refused_by(proposal(SHORT)) == ["higher timeframe"]


def test_a_return_does_not_stand_in_the_way_of_a_strong_trend() -> None:
    against = calm(adx=30.0, plus_di=10.0, minus_di=20.0)
    below = msgspec.structs.replace(PROFILE, point_of_control=101.0)
    assert refused_by(proposal(is_reverting=True, profile=below)) == []
    assert refused_by(proposal(is_reverting=True, profile=below, frames=frames(m1=against))) == ["adx"]
    assert refused_by(proposal(is_reverting=True, profile=below, frames=frames(m5=against))) == [
        "higher timeframe"
    ]
    # Averages on the other side are what a return comes from: a continuation alone must have them behind it.
    weak = calm(adx=15.0, plus_di=10.0, minus_di=20.0, ema_fast=99.0)
    assert refused_by(proposal(is_reverting=True, profile=below, frames=frames(m5=weak, m15=weak))) == []
    assert refused_by(proposal(is_reverting=True)) == ["volume profile"]  # most volume lies below already


def test_nothing_continues_right_into_a_level_or_into_most_of_the_volume() -> None:
    near_level = msgspec.structs.replace(LEVELS, resistance_1=100.4)
    assert refused_by(proposal(pivots=near_level)) == ["pivots"]
    below = msgspec.structs.replace(PROFILE, point_of_control=101.0)
    assert refused_by(proposal(is_reverting=True, profile=below, pivots=near_level)) == []
    falling = calm(adx=30.0, plus_di=10.0, minus_di=30.0, ema_fast=99.0)
    down: dict[str, Any] = {"frames": frames(m1=falling, m5=falling, m15=falling), "profile": below}
    assert refused_by(proposal(SHORT, **down)) == []
    near_support = msgspec.structs.replace(LEVELS, support_1=99.6)
    assert refused_by(proposal(SHORT, pivots=near_support, **down)) == ["pivots"]
    assert refused_by(proposal(profile=msgspec.structs.replace(PROFILE, point_of_control=100.2))) == [
        "volume profile"
    ]


@pytest.mark.parametrize("px", [99.0, 99.9, 100.3, 100.6, 104.6, 104.9, 105.2])
def test_no_filter_depends_on_what_a_coin_costs(px: float) -> None:
    def asked(times: float, is_reverting: bool) -> Proposal:
        now = msgspec.structs.replace(TRENDING_UP, ema_fast=101.0 * times, ema_slow=100.0 * times, atr=times)
        at_px = frame(Candle(FIRST_MS, px * times, px * times, px * times, px * times, 1.0), now)
        levels = [level * times for level in (95.0, 105.0, 110.0, 115.0, 90.0, 85.0, 80.0)]
        profile = VolumeProfile(*(times * one for one in (100.5, 97.0, 99.0, 90.0, 110.0)))
        return proposal(
            is_reverting=is_reverting,
            frames={"1m": at_px, "5m": at_px, "15m": at_px},
            pivots=Pivots(FIRST_MS, *levels),
            profile=profile,
        )

    for is_reverting in (False, True):
        refused = refused_by(asked(4.0, is_reverting))
        assert refused_by(asked(1.0, is_reverting)) == refused
    expected = {100.3: ["volume profile"], 104.6: ["pivots"], 104.9: ["pivots"]}
    assert refused_by(asked(1.0, is_reverting=False)) == expected.get(px, [])


def test_too_quiet_and_too_wild_are_both_refused() -> None:
    for atr in (0.019, 2.6):
        still = msgspec.structs.replace(TRENDING_UP, atr=atr)
        far = msgspec.structs.replace(LEVELS, resistance_1=110.0)
        assert refused_by(proposal(frames=frames(m1=still), pivots=far)) == ["volatility"]


def test_a_wide_or_old_quote_is_refused_and_the_width_depends_on_the_regime() -> None:
    wide = QuoteMoved("X", Decimal("99.93"), Decimal("100"), NOW_MS)
    assert refused_by(proposal(quote=wide)) == []
    assert refused_by(proposal(quote=wide, regime=Regime.RANGING)) == ["spread"]
    old = proposal(quote=msgspec.structs.replace(QUOTE, at_ms=NOW_MS - 7_000))
    assert filters.spread(old, FilterSettings()) == Refusal("spread", "the quote is 7 s old")
    for age_ms, refused in ((5_000, []), (5_001, ["spread"])):
        assert refused_by(proposal(quote=msgspec.structs.replace(QUOTE, at_ms=NOW_MS - age_ms))) == refused


def test_the_side_that_pays_a_high_funding_soon_is_not_entered() -> None:
    dear = Funding(Decimal("0.0005"), NOW_MS + 15 * 60_000)
    assert refused_by(proposal(funding=dear)) == ["funding"]
    assert filters.funding(proposal(SHORT, funding=dear), FilterSettings()) is None
    later = msgspec.structs.replace(dear, settles_ms=NOW_MS + 15 * 60_000 + 1)
    assert refused_by(proposal(funding=later)) == []


@pytest.mark.parametrize(
    ("unknown", "refused"),
    [
        ("pivots", ["pivots"]),
        ("profile", ["volume profile"]),
        ("quote", ["spread"]),
        ("funding", ["funding"]),
    ],
)
def test_what_is_not_known_is_not_taken_for_harmless(unknown: str, refused: list[str]) -> None:
    lacking: dict[str, Any] = {unknown: None}
    assert refused_by(proposal(**lacking)) == refused


def test_a_larger_timeframe_that_is_not_known_refuses() -> None:
    only = {"1m": frame(now=TRENDING_UP), "5m": frame(now=TRENDING_UP)}
    assert filters.higher_timeframe(proposal(frames=only), FilterSettings()) == Refusal(
        "higher timeframe", "15m is not known"
    )


# Decisions.

CROSSED_UP = Frame(STILL, TRENDING_UP, msgspec.structs.replace(TRENDING_UP, ema_fast=99.9))
ENTERABLE = msgspec.structs.replace(VIEW, frames={**VIEW.frames, "1m": CROSSED_UP})


def view(**changed: object) -> MarketView:
    return msgspec.structs.replace(ENTERABLE, **changed)


def test_a_trend_signal_that_no_filter_refuses_is_an_entry_with_its_reasons() -> None:
    fired = (Fired("ema cross", LONG, 1.0),)
    why = "trending: ema cross 1.00"
    assert Scalper().consider(view()) == Decision(
        Intent(Wish.ENTER, LONG, why), why, fired, (), Regime.TRENDING, 1.0
    )
    assert Scalper().decide(view()) == Intent(Wish.ENTER, LONG, why)


def test_every_refusal_is_told_and_not_only_the_first() -> None:
    decision = Scalper().consider(view(quote=None, pivots=None))
    assert decision.intent is None
    assert decision.refusals == (Refusal("pivots", "not known"), Refusal("spread", "no quote"))
    assert decision.because == "pivots: not known; spread: no quote"


def test_each_regime_asks_its_own_signals() -> None:
    reverting = {regime: {signal.__name__ in BY_RETURN for signal in asked} for regime, asked in SETS.items()}
    assert reverting == {Regime.TRENDING: {False}, Regime.RANGING: {True}, Regime.CHOPPY: {True}}
    assert Scalper().consider(view(regime=Regime.RANGING)).because == "no signal"


BY_RETURN = {name.replace(" ", "_") for name in REVERTING}


def test_without_a_regime_or_indicators_nothing_is_decided() -> None:
    for unknown in (view(regime=None), view(frames={})):
        assert Scalper().consider(unknown) == Decision(None, "the market is not known yet")


def test_in_a_choppy_market_one_signal_is_not_enough() -> None:
    settings = Scalper(filters=FilterSettings(higher=()))
    candle = bar(99, 99.5, 97.5, 98.6)
    touched = Frame(candle, calm(rsi=50.0), CALM)
    choppy = view(
        regime=Regime.CHOPPY,
        frames={"1m": touched},
        profile=msgspec.structs.replace(PROFILE, point_of_control=101.0),
    )
    assert settings.consider(choppy).because == "1 of 2 signals agree in a choppy market"
    both = Frame(candle, calm(rsi=25.0), calm(rsi=20.0))
    agreed = msgspec.structs.replace(choppy, frames={"1m": both})
    assert settings.consider(agreed).intent == Intent(
        Wish.ENTER, LONG, "choppy: strict rsi reversal 0.70, bollinger touch 1.00"
    )
    never = msgspec.structs.replace(settings, choppy_agreeing=0)
    assert never.consider(agreed).because == "nothing is entered in a choppy market"


def test_a_weak_signal_is_not_followed() -> None:
    weak = Frame(STILL, TRENDING_UP, msgspec.structs.replace(TRENDING_UP, ema_fast=100.0, ema_slow=100.0))
    decision = Scalper(signals=SignalSettings(cross_full_atr=10.0)).consider(
        view(frames={**VIEW.frames, "1m": weak})
    )
    assert (decision.intent, decision.because) == (None, "strength 0.55 is below 0.60")


def test_a_side_that_the_settings_forbid_is_not_entered() -> None:
    settings = Scalper(sides=(SHORT,))
    assert settings.consider(view()).because == "long is not allowed by the settings"


def test_agreement_strengthens_and_contradiction_cancels() -> None:
    settings = Scalper()
    two: tuple[Fired, ...] = (Fired("a", LONG, 0.70), Fired("b", LONG, 0.60))
    assert weigh(two, settings) == (LONG, about(0.75), "")
    against = (*two, Fired("c", SHORT, 0.66))
    assert weigh(against, settings) == (None, about(0.75), "the signals contradict one another")
    assert weigh((*two, Fired("c", SHORT, 0.64)), settings)[0] is LONG
    assert weigh((Fired("c", SHORT, 1.0), Fired("d", SHORT, 1.0)), settings) == (SHORT, 1.0, "")


def held(side: Side, for_s: int) -> Holding:
    return Holding(side, Decimal(100), NOW_MS - for_s * 1000, Regime.TRENDING)


def test_an_opposite_signal_of_conviction_ends_a_position_but_not_a_young_one() -> None:
    old = view(open_side=SHORT, holding=held(SHORT, 180))
    assert Scalper().consider(old).intent == Intent(
        Wish.EXIT, SHORT, "trending: ema cross against the position"
    )
    young = view(open_side=SHORT, holding=held(SHORT, 179))
    assert Scalper().consider(young).because == "held for less than 180 s"


def test_a_signal_for_the_position_neither_ends_nor_doubles_it() -> None:
    decision = Scalper().consider(view(open_side=LONG, holding=held(LONG, 600)))
    assert (decision.intent, decision.because) == (None, "nothing speaks against the position")


class BuyOversold:
    needs = MarketSettings()

    def decide(self, view: MarketView) -> Intent | None:
        now = view.frames["1m"].now
        if view.open_side is Side.LONG and now.rsi > 55:
            return Intent(Wish.EXIT, Side.LONG, "RSI is back in the middle")
        if view.open_side is None and now.rsi < 25 and view.regime is Regime.RANGING:
            return Intent(Wish.ENTER, Side.LONG, f"RSI {now.rsi:.0f} in a ranging market")
        return None


def test_a_strategy_of_ones_own_is_a_small_class() -> None:
    decide = decider(BuyOversold())
    oversold = {"1m": frame(now=calm(rsi=20.0))}
    entered = decide(view(frames=oversold, regime=Regime.RANGING))
    assert entered.intent == Intent(Wish.ENTER, LONG, "RSI 20 in a ranging market")
    assert entered.because == "RSI 20 in a ranging market"
    assert decide(view(frames=oversold)) == Decision(None, "", regime=Regime.TRENDING)


def test_one_that_explains_itself_is_asked_for_its_explanation() -> None:
    assert decider(Scalper())(view()).fired == (Fired("ema cross", LONG, 1.0),)


# On whole markets.


def decisions(minutes: Sequence[Candle]) -> list[Decision]:
    market = Market("BTC-USDT-SWAP")
    larger = [(name, Resampling("1m", name)) for name, _ in market.settings.kept if name != "1m"]
    decide = decider(Scalper())
    made = []
    for minute in minutes:
        market.take("1m", minute)
        for name, parts in larger:
            whole = parts.take(minute)
            if whole is not None:
                market.take(name, whole)
        ask = Decimal(str(minute.close))
        quote = QuoteMoved(market.instrument, ask * Decimal("0.9999"), ask, minute.open_ms + MINUTE_MS)
        calm_funding = Funding(Decimal("0.0001"), minute.open_ms + HOUR_MS)
        made.append(decide(view_of(market, quote, calm_funding)))
    return made


def test_the_future_never_changes_a_decision() -> None:
    minutes = wandering(7_000, seed=3)
    made = decisions(minutes)
    assert any(decision.intent for decision in made)
    first = next(number for number, decision in enumerate(made) if decision.intent)
    for count in (first + 1, 6_500):
        assert decisions(minutes[:count]) == made[:count]


@pytest.mark.data
@pytest.mark.parametrize("path", recorded("binance_usdm_*setA*"))
def test_on_recorded_markets_every_entry_is_explained_and_every_refusal_too(path: Path) -> None:
    made = decisions(wildest(path, 6_500))
    entries = [decision for decision in made if decision.intent is not None]
    assert entries
    for decision in made:
        assert decision.because
        if decision.intent is not None:
            assert not decision.refusals
            assert decision.strength >= 0.60
            mine = [fired for fired in decision.fired if fired.side is decision.intent.side]
            assert mine
            assert all(fired.signal in decision.intent.why for fired in mine)
    assert any(decision.refusals for decision in made)
