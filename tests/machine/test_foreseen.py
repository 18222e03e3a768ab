"""What is foreseen of a whole series is what the strategy answers, candle by candle, and never rests on a later one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorwatch.machine.candles import Arrays
from anchorwatch.machine.indicators.panel import Columns, Readings, columns
from anchorwatch.machine.market import Frame
from anchorwatch.machine.pivots import Pivots
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy import Decision, Funding, MarketView
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.strategy.filters import FilterSettings
from anchorwatch.machine.strategy.scalper import Scalper
from anchorwatch.machine.strategy.series import REFUSED, Foreseen, Views
from anchorwatch.machine.strategy.signals import SignalSettings
from anchorwatch.machine.timeframes import MINUTE_MS
from anchorwatch.machine.units import Fraction, Side
from anchorwatch.machine.volume_profile import VolumeProfile
from anchorwatch.machine.world import Candle, QuoteMoved
from tests.machine.candle_data import FIRST_MS, wandering

ROWS = 160
LARGER = ("5m", "15m")
WIDE, HIGH = 0.0006, 0.002
"""A spread that some regimes refuse, and a funding that a side refuses."""


def drawn_readings(dice: np.random.Generator, close: Any) -> Columns:
    """Numbers that are often at the edge of a rule, as no market has them."""
    count = len(close)
    near = dice.normal(0, 0.3, (6, count))
    return Columns(
        ema_fast=close + near[0],
        ema_slow=close + near[1],
        rsi=dice.choice([20.0, 25.0, 28.0, 30.0, 50.0, 70.0, 73.0, 75.0, 90.0], count) + near[2].round(1),
        macd=near[3],
        macd_signal=near[4].round(1),
        bollinger_middle=close + near[5],
        bollinger_deviation=dice.choice([0.0, 0.2, 0.5, 1.0], count),
        atr=dice.choice([0.0, 0.01, 0.3, 0.8, 4.0], count),
        adx=dice.choice([10.0, 20.0, 25.0, 30.0, 45.0], count),
        plus_di=dice.integers(10, 13, count).astype(float),
        minus_di=dice.integers(10, 13, count).astype(float),
    )


def drawn_views(seed: int) -> Views:
    """A series in which everything that filters ask about changes all the time, and is unknown now and then."""
    dice = np.random.default_rng(seed)
    close = 100 + np.cumsum(dice.normal(0, 0.4, ROWS)).round(1)
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) + dice.choice([0.0, 0.1, 0.4], ROWS)
    low = np.minimum(open_, close) - dice.choice([0.0, 0.1, 0.4], ROWS)
    times = FIRST_MS + MINUTE_MS * np.arange(ROWS)
    unknown = dice.random((3, ROWS)) < 0.05
    regime = dice.choice(len(Regime), ROWS)
    larger = {name: drawn_readings(dice, close) for name in LARGER}
    for column in msgspec.structs.astuple(larger["15m"]):
        column[unknown[0]] = np.nan
    levels = close + np.sort(dice.normal(0, 1.5, (7, ROWS)), axis=0)
    levels[:, unknown[1]] = np.nan
    readings = drawn_readings(dice, close)
    for column in msgspec.structs.astuple(readings):
        column[:3] = np.nan
    return Views(
        candles=Arrays(times, open_, high, low, close, np.ones(ROWS)),
        readings=readings,
        larger=larger,
        regimes={one: regime == place for place, one in enumerate(Regime)},
        levels=levels,
        control=np.where(unknown[2], np.nan, close + dice.normal(0, 0.5, ROWS)),
        spread=np.where(dice.random(ROWS) < 0.1, WIDE, 0.0001),
        funding=dice.choice([-HIGH, 0.0001, HIGH], ROWS),
        funding_in_ms=dice.choice([10, 400], ROWS) * MINUTE_MS,
    )


def reading(of: Columns, row: int) -> Readings | None:
    values = [float(column[row]) for column in msgspec.structs.astuple(of)]
    return Readings(*values) if not np.isnan(values).any() else None


def view_at(views: Views, candles: list[Candle], row: int, open_side: Side | None) -> MarketView:
    """What the strategy is shown at one candle."""
    now, before = reading(views.readings, row), reading(views.readings, row - 1)
    frames = {}
    if now is not None and before is not None:
        frames["1m"] = Frame(candles[row], now, before)
    for name, own in views.larger.items():
        known = reading(own, row)
        if known is not None:
            frames[name] = Frame(candles[row], known, known)
    levels, control = views.levels[:, row].tolist(), float(views.control[row])
    support_3, support_2, support_1, pivot, resistance_1, resistance_2, resistance_3 = levels
    now_ms = candles[row].open_ms + MINUTE_MS
    ask = Decimal(100)
    return MarketView(
        instrument="BTC-USDT-SWAP",
        candles=candles[: row + 1],
        open_side=open_side,
        now_ms=now_ms,
        frames=frames,
        regime=next((one for one, holds in views.regimes.items() if holds[row]), None),
        pivots=None
        if np.isnan(pivot)
        else Pivots(0, pivot, resistance_1, resistance_2, resistance_3, support_1, support_2, support_3),
        profile=None if np.isnan(control) else VolumeProfile(control, control, control, control, control),
        quote=QuoteMoved("BTC-USDT-SWAP", ask - ask * Decimal(str(views.spread[row])), ask, now_ms),
        funding=Funding(Decimal(str(views.funding[row])), now_ms + int(views.funding_in_ms[row])),
    )


def rows_of(candles: Arrays) -> list[Candle]:
    return [Candle(int(at), *values) for at, *values in zip(*msgspec.structs.astuple(candles), strict=True)]


def counted_as(decision: Decision) -> set[str]:
    """What the desk would count this answer as."""
    names = {f"signal {one.signal}" for one in decision.fired}
    names |= {f"refused {one.filter}" for one in decision.refusals}
    return names | ({REFUSED} if decision.refusals else set())


def scalpers() -> st.SearchStrategy[Scalper]:
    share = st.sampled_from([0.0, 0.05, 0.1, 0.55, 0.6, 0.75, 0.9, 1.0])
    look = st.sampled_from([1, 2, 5, 20])
    return st.builds(
        Scalper,
        strength_least=share,
        strength_to_leave=share,
        agreement_bonus=share,
        lead_least=share,
        choppy_agreeing=st.integers(0, 3),
        sides=st.sampled_from([(Side.LONG, Side.SHORT), (Side.LONG,), (Side.SHORT,)]),
        signals=st.builds(
            SignalSettings,
            impulse_lookback=look,
            dip_lookback=look,
            impulse_atr=st.sampled_from([0.3, 1.0, 1.5]),
            dip_least_atr=st.sampled_from([0.0, 0.4]),
        ),
        filters=st.builds(
            FilterSettings,
            higher=st.sampled_from([(), ("5m",), LARGER, ("1H",)]),
            trend_adx=st.sampled_from([0.0, 20.0]),
            level_atr=st.sampled_from([0.0, 0.5]),
            atr_least=st.sampled_from([Fraction(Decimal(0)), Fraction(Decimal("0.0002"))]),
        ),
    )


def compare(strategy: Scalper, views: Views, open_side: Side | None) -> tuple[int, set[str]]:
    """How many wishes were foreseen, and everything that was counted; fails where the strategy says something else."""
    foreseen, candles = strategy.foresee(views), rows_of(views.candles)
    seen: set[str] = set()
    wishes = 0
    for row in range(1, len(candles)):
        decision = strategy.consider(view_at(views, candles, row, open_side))
        counted = {name for name, answers in foreseen.counted[open_side].items() if answers[row]}
        if not foreseen.asked[open_side][row]:
            assert decision.intent is None, row
            assert counted == counted_as(decision), row
        else:
            assert not counted, "the desk counts what it asks"
            if decision.intent is None:
                refused = {one.filter for one in decision.refusals}
                assert refused & {"spread", "funding"}, f"asked in vain at {row}: {decision.because}"
            wishes += decision.intent is not None
        seen |= counted
    return wishes, seen


@given(seed=st.integers(0, 10**6), strategy=scalpers())
@settings(max_examples=40, deadline=None)
def test_what_is_foreseen_is_what_is_answered(seed: int, strategy: Scalper) -> None:
    views = drawn_views(seed)
    for open_side in (None, *Side):
        compare(strategy, views, open_side)


def test_everything_that_can_be_foreseen_is() -> None:
    """Lest the comparison be one of nothing with nothing."""
    wishes, seen = 0, set[str]()
    for seed in range(12):
        for open_side in (None, *Side):
            more, counted = compare(
                Scalper(choppy_agreeing=1, filters=FilterSettings(trend_adx=15)), drawn_views(seed), open_side
            )
            wishes, seen = wishes + more, seen | counted
    assert wishes > 50
    assert seen == {
        "signal rsi reversal", "signal strict rsi reversal", "signal bollinger touch", "signal ema cross", "signal macd cross",
        "signal impulse breakout", "signal dip in trend", "refused adx", "refused higher timeframe", "refused pivots",
        "refused volume profile", "refused volatility", REFUSED,
    }  # fmt: skip


# What only the last digits say is not said.

LAST_DIGITS = 1e-12
"""Ten times the most by which live and batch were seen apart on any file, as a share; a thousandth of what is even."""


def round_views(seed: int) -> Views:
    """A series whose numbers lie on thresholds again and again, as on a coarse grid and in a market that stands still."""
    dice = np.random.default_rng(seed)
    views = drawn_views(seed)
    close, tick = views.candles.close, 0.1

    def coarse(own: Columns) -> Columns:
        slow = close.copy()
        atr = dice.choice([0.0, 1.0, 5.0], ROWS) * tick
        return msgspec.structs.replace(
            own,
            ema_slow=slow,
            ema_fast=slow + dice.choice([-tick, 0.0, 0.0, tick], ROWS),
            rsi=dice.choice([20.0, 25.0, 30.0, 50.0, 70.0, 75.0, 90.0], ROWS),
            macd=dice.choice([-tick, 0.0, tick], ROWS),
            macd_signal=dice.choice([-tick, 0.0, tick], ROWS),
            bollinger_middle=close + tick * dice.integers(-4, 5, ROWS),
            bollinger_deviation=dice.choice([1.0, 2.0], ROWS) * tick,
            atr=atr,
            adx=dice.choice([20.0, 22.0, 25.0, 30.0], ROWS),
        )

    # A retreat of two fifths of an ATR, a candle of one and a half: round numbers of a grid.
    larger = {name: coarse(own) for name, own in views.larger.items()}
    levels = close + 0.5 * dice.choice([1.0, 5.0], ROWS) * tick * np.arange(-3, 4)[:, None]
    control = close + 0.25 * tick * dice.choice([-5.0, 1.0, 5.0], ROWS)
    return msgspec.structs.replace(
        views, readings=coarse(views.readings), larger=larger, levels=levels, control=control
    )


def nudged(own: Columns, close: Any, dice: np.random.Generator) -> Columns:
    """The same, otherwise rounded: prices by shares of the price, all else by shares of what it may be at most."""

    def one(name: str, column: Any) -> Any:
        scale = 100.0 if name in ("rsi", "adx", "plus_di", "minus_di") else close
        return column + dice.choice([-1.0, 0.0, 1.0], ROWS) * LAST_DIGITS * scale

    return Columns(*[one(field.name, getattr(own, field.name)) for field in msgspec.structs.fields(own)])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_last_digits_decide_nothing(seed: int) -> None:
    """Indicators computed candle by candle and those computed at once differ there."""
    views, dice = round_views(seed), np.random.default_rng(seed + 1)
    close = views.candles.close
    other = msgspec.structs.replace(
        views,
        readings=nudged(views.readings, close, dice),
        larger={name: nudged(own, close, dice) for name, own in views.larger.items()},
    )
    filters = FilterSettings(trend_adx=20.0, against_adx=30.0, atr_least=Fraction(Decimal("0.001")))
    for strategy in (Scalper(choppy_agreeing=1, filters=filters), Scalper(lead_least=0.0), EmaCross()):
        assert as_lists(strategy.foresee(other), ROWS) == as_lists(strategy.foresee(views), ROWS)
    candles = rows_of(views.candles)
    scalper = Scalper(choppy_agreeing=1, filters=filters)
    for row in range(4, ROWS):
        for open_side in (None, *Side):
            one, two = (scalper.consider(view_at(own, candles, row, open_side)) for own in (views, other))
            assert counted_as(one) == counted_as(two), row
            wishes = [said.intent and (said.intent.wish, said.intent.side) for said in (one, two)]
            assert wishes[0] == wishes[1], row


def test_averages_of_a_price_that_stands_still_cross_nowhere() -> None:
    """They run together until only rounding is left of their distance, whose sign turns at random."""
    dice = np.random.default_rng(3)
    views = drawn_views(3)
    still = np.full(ROWS, 100.0)
    noise = dice.choice([-1.0, 1.0], (2, ROWS)) * 1e-13
    even = msgspec.structs.replace(
        views.readings,
        ema_fast=still + noise[0],
        ema_slow=still,
        macd=noise[1],
        macd_signal=0 * still,
        atr=0 * still,
    )
    calm = msgspec.structs.replace(views, readings=even)
    assert not EmaCross().foresee(calm).asked[None].any()
    counted = Scalper().foresee(calm).counted[None]
    assert not any(
        answers.any()
        for name, answers in counted.items()
        if name in ("signal ema cross", "signal macd cross")
    )


def prefix(views: Views, count: int) -> Views:
    def cut(one: Any) -> Any:
        return type(one)(*[column[:count] for column in msgspec.structs.astuple(one)])

    return Views(
        candles=cut(views.candles),
        readings=cut(views.readings),
        larger={name: cut(own) for name, own in views.larger.items()},
        regimes={regime: holds[:count] for regime, holds in views.regimes.items()},
        levels=views.levels[:, :count],
        control=views.control[:count],
        spread=views.spread[:count],
        funding=views.funding[:count],
        funding_in_ms=views.funding_in_ms[:count],
    )


def as_lists(foreseen: Foreseen, count: int) -> list[object]:
    """Everything foreseen of the first candles; a name that is never counted is as good as none."""
    asked = [answers[:count].tolist() for answers in foreseen.asked.values()]
    counted = [
        (side, name, answers[:count].tolist())
        for side, own in foreseen.counted.items()
        for name, answers in sorted(own.items())
        if answers[:count].any()
    ]
    return [asked, counted]


@pytest.mark.parametrize("strategy", [Scalper(), EmaCross()])
def test_an_answer_rests_on_candles_up_to_its_own(strategy: Scalper | EmaCross) -> None:
    views = drawn_views(7)
    whole = strategy.foresee(views)
    for count in (30, 77, 120, ROWS - 1):
        assert as_lists(strategy.foresee(prefix(views, count)), count) == as_lists(whole, count)


@pytest.mark.parametrize("gap", [0.0, 0.000005])
def test_the_averages_are_asked_where_they_cross_and_nowhere_else(gap: float) -> None:
    candles = wandering(900, 2)
    table = np.array([msgspec.structs.astuple(one) for one in candles]).T
    known = Arrays(table[0].astype(np.int64), *(np.ascontiguousarray(column) for column in table[1:]))
    strategy = EmaCross(min_gap_fraction=gap)
    views = msgspec.structs.replace(
        drawn_views(1),
        candles=known,
        readings=columns(known.high, known.low, known.close, strategy.needs.periods),
    )
    foreseen, found = strategy.foresee(views), 0
    for row in range(1, len(candles)):
        now, before = reading(views.readings, row), reading(views.readings, row - 1)
        if now is None or before is None:
            continue
        frames = {"1m": Frame(candles[row], now, before)}
        for open_side in (None, *Side):
            wish = strategy.decide(MarketView("BTC-USDT-SWAP", candles[: row + 1], open_side, frames=frames))
            assert bool(foreseen.asked[open_side][row]) is (wish is not None)
            found += wish is not None
    assert found >= 4
