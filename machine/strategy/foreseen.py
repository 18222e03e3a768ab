"""What the scalper answers at every candle of a series: its signals, weights and filters, of all candles at once.

This is the same decision as `scalper`, `signals` and `filters` make of one candle, in the same order and by the same
names, without the words; a test holds the two together in every answer and every count. A quote and the funding are
known at the candle only: where one of them may refuse, the strategy is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from anchorwatch.machine.indicators.batch import Floats
from anchorwatch.machine.indicators.margin import EVEN, WITHIN
from anchorwatch.machine.indicators.panel import Columns
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy import signals
from anchorwatch.machine.strategy.filters import FilterSettings
from anchorwatch.machine.strategy.series import REFUSED, Answers, Foreseen, Views
from anchorwatch.machine.strategy.signals import REVERTING, Signal, SignalSettings
from anchorwatch.machine.units import Side

if TYPE_CHECKING:
    from anchorwatch.machine.strategy.scalper import Scalper


class Said(NamedTuple):
    """`Fired` at every candle: where to which side, and with which strength."""

    signal: str
    long: Answers
    short: Answers
    strength: Floats

    def on(self, side: Side) -> Answers:
        return self.long if side is Side.LONG else self.short

    def at(self, rows: Answers) -> Said:
        return Said(self.signal, self.long[rows], self.short[rows], self.strength[rows])


def foresee(views: Views, scalper: Scalper, sets: Mapping[Regime, Sequence[Signal]]) -> Foreseen:
    """The answers of this scalper, which asks the signals of ``sets``."""
    count = len(views.candles.close)
    asked = {side: np.zeros(count, np.bool_) for side in (None, *Side)}
    counted: dict[Side | None, dict[str, Answers]] = {side: {} for side in asked}
    is_framed = _defined(views.readings)
    with np.errstate(divide="ignore", invalid="ignore"):
        for regime, is_in_force in views.regimes.items():
            said = [_IN_SERIES[signal](views, scalper.signals) for signal in sets[regime]]
            rows = is_framed & is_in_force & np.logical_or.reduce([one.long | one.short for one in said])
            fired = [one.at(rows) for one in said]
            wishes = {side: _leaves(fired, side, scalper) for side in Side}
            flat, refusals = _enters(_rows_of(views, rows), fired, regime, scalper)
            for side, may_wish in ((None, flat), *wishes.items()):
                asked[side][rows] = may_wish
                if side is None and regime is Regime.CHOPPY and scalper.choppy_agreeing == 0:
                    continue  # no signal is asked there
                for one in fired:
                    _add(counted[side], f"signal {one.signal}", rows, (one.long | one.short) & ~may_wish)
            for name, answers in refusals.items():
                _add(counted[None], f"refused {name}", rows, answers & ~flat)
            if refusals:
                _add(counted[None], REFUSED, rows, np.logical_or.reduce(list(refusals.values())) & ~flat)
    return Foreseen(asked, counted)


def _add(counted: dict[str, Answers], name: str, rows: Answers, answers: Answers) -> None:
    if name not in counted:
        counted[name] = np.zeros(len(rows), np.bool_)
    counted[name][rows] = answers


# The decision.


def _enters(
    views: Views, fired: Sequence[Said], regime: Regime, scalper: Scalper
) -> tuple[Answers, dict[str, Answers]]:
    """Where an entry may be wished, and where a filter refuses one."""
    side, strength = _weighed(fired, scalper)
    if regime is Regime.CHOPPY and scalper.choppy_agreeing == 0:
        return np.zeros(len(side), np.bool_), {}
    least = scalper.choppy_agreeing if regime is Regime.CHOPPY else 0
    is_long = side > 0
    agreeing = np.where(is_long, _agreeing(fired, Side.LONG), _agreeing(fired, Side.SHORT))
    is_proposed = (side != 0) & (strength >= scalper.strength_least - WITHIN) & (agreeing >= least)
    for one in Side:
        if one not in scalper.sides:
            is_proposed &= side != one.sign
    proposals = _Proposals(views, side, _is_reverting(fired, is_long), scalper.filters)
    refusals = {name: is_proposed & refuses(proposals) for name, refuses in _REFUSE.items()}
    may_wish = is_proposed & ~np.logical_or.reduce(list(refusals.values()))
    is_unknown = (views.spread > _spread_most(regime, scalper.filters)) | _funding_may_refuse(proposals)
    return may_wish | (is_proposed & is_unknown), refusals


def _leaves(fired: Sequence[Said], held: Side, scalper: Scalper) -> Answers:
    """Where a position of this side may be wished to end; its age is asked for there."""
    side, strength = _weighed(fired, scalper)
    leaves: Answers = (side == -held.sign) & (strength >= scalper.strength_to_leave - WITHIN)
    return leaves


def _weighed(fired: Sequence[Said], scalper: Scalper) -> tuple[Floats, Floats]:
    """The sign of the side that the signals speak for, 0 where they contradict one another, and its strength."""
    long, short = (_strength(fired, side, scalper.agreement_bonus) for side in Side)
    is_long = long >= short
    strength, other = np.where(is_long, long, short), np.where(is_long, short, long)
    is_split = (other != 0) & (strength - other < max(scalper.lead_least - WITHIN, WITHIN))
    return np.where(is_split, 0, np.where(is_long, Side.LONG.sign, Side.SHORT.sign)), strength


def _strength(fired: Sequence[Said], side: Side, bonus: float) -> Floats:
    strongest = np.maximum.reduce([np.where(one.on(side), one.strength, 0.0) for one in fired])
    more = np.maximum(_agreeing(fired, side) - 1, 0)
    return np.asarray(np.minimum(1.0, strongest + bonus * more))


def _agreeing(fired: Sequence[Said], side: Side) -> Floats:
    return np.asarray(np.add.reduce([one.on(side).astype(np.float64) for one in fired]))


def _is_reverting(fired: Sequence[Said], is_long: Answers) -> Answers:
    """Whether the strongest signal of the side, the first of equals, bets on a return."""
    strongest = np.zeros(len(is_long))
    reverting = np.zeros(len(is_long), np.bool_)
    for one in fired:
        strength = np.where(np.where(is_long, one.long, one.short), one.strength, 0.0)
        reverting = np.where(strength > strongest, one.signal in REVERTING, reverting)
        strongest = np.maximum(strongest, strength)
    return reverting


# Signals.


def _said(signal: str, long: Answers, short: Answers, quality: Floats) -> Said:
    return Said(signal, long, short, 0.5 + 0.5 * np.minimum(1.0, np.maximum(0.0, quality)))


def _before(values: Floats) -> Floats:
    """What stood one candle earlier."""
    return np.concatenate((np.full(1, np.nan), values[:-1]))


def _rsi_reversal(views: Views, settings: SignalSettings) -> Said:
    return _rsi("rsi reversal", views, settings.rsi_low, settings.rsi_high)


def _strict_rsi_reversal(views: Views, settings: SignalSettings) -> Said:
    return _rsi("strict rsi reversal", views, settings.rsi_strict_low, settings.rsi_strict_high)


def _rsi(signal: str, views: Views, low: float, high: float) -> Said:
    was, is_ = _before(views.readings.rsi), views.readings.rsi
    long = (was <= low + WITHIN) & (is_ - was > WITHIN)
    short = (was >= high - WITHIN) & (was - is_ > WITHIN)
    return _said(
        signal, long, short & ~long, np.where(long, 2 * (low - was) / low, 2 * (was - high) / (100 - high))
    )


def _bollinger_touch(views: Views, settings: SignalSettings) -> Said:
    now, candles = views.readings, views.candles
    reach = (settings.band_deviations - WITHIN) * now.bollinger_deviation
    lower, upper = now.bollinger_middle - reach, now.bollinger_middle + reach
    long = (candles.low <= lower) & (lower < candles.close) & (candles.high < upper)
    short = (candles.high >= upper) & (upper > candles.close) & (candles.low > lower)
    beyond = np.where(long, lower - candles.low, candles.high - upper)
    return _said("bollinger touch", long, short, 2 * beyond / now.bollinger_deviation)


def _ema_cross(views: Views, settings: SignalSettings) -> Said:
    now = views.readings
    return _crossed(
        "ema cross", now.ema_fast - now.ema_slow, EVEN * now.ema_slow, settings.cross_full_atr * now.atr
    )


def _macd_cross(views: Views, settings: SignalSettings) -> Said:
    now = views.readings
    return _crossed(
        "macd cross", now.macd - now.macd_signal, EVEN * now.ema_slow, settings.macd_full_atr * now.atr
    )


def _crossed(signal: str, gap: Floats, even: Floats, full: Floats) -> Said:
    before = _before(gap)
    long, short = (before <= even) & (gap > even), (before >= -even) & (gap < -even)
    return _said(signal, long, short, np.where(full > even, np.abs(gap - before) / full, 0.0))


def _impulse_breakout(views: Views, settings: SignalSettings) -> Said:
    candles, atr = views.candles, _before(views.readings.atr)
    height, even = candles.high - candles.low, EVEN * _before(views.readings.ema_slow)
    is_long_candle = (atr > even) & (height >= (settings.impulse_atr - WITHIN) * atr)
    top, bottom = (_before(one) for one in _extremes(views, settings.impulse_lookback))
    long = is_long_candle & (candles.close > top) & (candles.high - candles.close <= height / 4)
    short = is_long_candle & (candles.close < bottom) & (candles.close - candles.low <= height / 4)
    return _said("impulse breakout", long, short & ~long, height / (settings.impulse_atr * atr) - 1)


def _dip_in_trend(views: Views, settings: SignalSettings) -> Said:
    now, candles = views.readings, views.candles
    gap, even = now.ema_fast - now.ema_slow, EVEN * now.ema_slow
    is_directed = (now.adx >= settings.dip_adx - WITHIN) & (now.atr > even)
    is_up = (now.plus_di - now.minus_di > WITHIN) & (gap > even)
    is_down = (now.minus_di - now.plus_di > WITHIN) & (gap < -even)
    was_open, was_close = _before(candles.open), _before(candles.close)
    top, bottom = _extremes(views, settings.dip_lookback)
    fallen = (top - np.minimum(_before(candles.low), candles.low)) / now.atr
    risen = (np.maximum(_before(candles.high), candles.high) - bottom) / now.atr
    least, most = settings.dip_least_atr - WITHIN, settings.dip_most_atr + WITHIN
    long = is_directed & is_up & (was_close < was_open) & (candles.close > was_open)
    long &= (least <= fallen) & (fallen <= most)
    short = is_directed & is_down & (was_close > was_open) & (candles.close < was_open)
    short &= (least <= risen) & (risen <= most)
    return _said("dip in trend", long, short, (now.adx - settings.dip_adx) / settings.dip_adx)


def _extremes(views: Views, lookback: int) -> tuple[Floats, Floats]:
    """Highest high and lowest low of the last ``lookback`` candles, the newest included."""
    high, low = views.candles.high.copy(), views.candles.low.copy()
    # Of two overlapping windows the extreme is that of both: each step at most doubles what is looked back on.
    seen = 1
    while seen < lookback:
        step = min(seen, lookback - seen)
        high[step:] = np.maximum(high[step:], high[:-step])
        low[step:] = np.minimum(low[step:], low[:-step])
        seen += step
    return high, low


_IN_SERIES: Mapping[Signal, Callable[[Views, SignalSettings], Said]] = {
    signals.rsi_reversal: _rsi_reversal,
    signals.strict_rsi_reversal: _strict_rsi_reversal,
    signals.bollinger_touch: _bollinger_touch,
    signals.ema_cross: _ema_cross,
    signals.macd_cross: _macd_cross,
    signals.impulse_breakout: _impulse_breakout,
    signals.dip_in_trend: _dip_in_trend,
}


# Filters.


class _Proposals(NamedTuple):
    """``side`` is its sign, 0 where nothing is proposed."""

    views: Views
    side: Floats
    is_reverting: Answers
    settings: FilterSettings


def _adx(asked: _Proposals) -> Answers:
    now, settings = asked.views.readings, asked.settings
    is_against = _is_against(now, asked)
    return np.where(asked.is_reverting, is_against, now.adx < settings.trend_adx - WITHIN)


def _is_against(now: Columns, asked: _Proposals) -> Answers:
    is_strong = now.adx >= asked.settings.against_adx - WITHIN
    answers: Answers = is_strong & (asked.side * (now.plus_di - now.minus_di) < -WITHIN)
    return answers


def _higher_timeframe(asked: _Proposals) -> Answers:
    refuses = np.zeros(len(asked.side), np.bool_)
    for name in asked.settings.higher:
        now = asked.views.larger.get(name)
        if now is None:
            return np.ones(len(asked.side), np.bool_)
        is_against = _is_against(now, asked)
        is_behind = asked.side * (now.ema_fast - now.ema_slow) <= EVEN * now.ema_slow
        refuses |= np.isnan(now.adx) | np.where(asked.is_reverting, is_against, is_behind)
    return refuses


def _pivots(asked: _Proposals) -> Answers:
    levels, px = asked.views.levels, asked.views.candles.close
    near = (asked.settings.level_atr - WITHIN) * asked.views.readings.atr
    above = np.where(levels > px, levels, np.inf).min(axis=0)
    below = np.where(levels < px, levels, -np.inf).max(axis=0)
    is_ahead = np.abs(np.where(asked.side > 0, above, below) - px) < near
    return np.asarray(np.isnan(levels[0]) | (~asked.is_reverting & is_ahead))


def _profile(asked: _Proposals) -> Answers:
    control, now = asked.views.control, asked.views.readings
    ahead = asked.side * (control - asked.views.candles.close)
    is_near = (ahead > 0) & (ahead < (asked.settings.control_atr - WITHIN) * now.atr)
    return np.isnan(control) | np.where(asked.is_reverting, ahead <= 0, is_near)


def _volatility(asked: _Proposals) -> Answers:
    share = asked.views.readings.atr / asked.views.candles.close
    least, most = float(asked.settings.atr_least), float(asked.settings.atr_most)
    refuses: Answers = (share < least * (1 - WITHIN)) | (share > most * (1 + WITHIN))
    return refuses


_REFUSE: Mapping[str, Callable[[_Proposals], Answers]] = {
    "adx": _adx,
    "higher timeframe": _higher_timeframe,
    "pivots": _pivots,
    "volume profile": _profile,
    "volatility": _volatility,
}
"""What each filter says of proposals by what candles alone decide, by the name in its `Refusal`."""


def _funding_may_refuse(asked: _Proposals) -> Answers:
    paid = asked.side * asked.views.funding
    may_refuse: Answers = (paid >= float(asked.settings.funding_rate)) & (
        asked.views.funding_in_ms <= asked.settings.funding_within_ms
    )
    return may_refuse


def _spread_most(regime: Regime, settings: FilterSettings) -> float:
    return float(
        {
            Regime.TRENDING: settings.spread_trending,
            Regime.RANGING: settings.spread_ranging,
            Regime.CHOPPY: settings.spread_choppy,
        }[regime]
    )


# Columns.


def _defined(readings: Columns) -> Answers:
    """Where every reading is known, and was one candle earlier: a `Frame` needs both."""
    total = np.add.reduce(msgspec.structs.astuple(readings))
    return np.asarray(~np.isnan(total + _before(total)))


def _rows_of(views: Views, rows: Answers) -> Views:
    """These rows of what filters look at."""

    def of(columns: Columns) -> Columns:
        return Columns(*[column[rows] for column in msgspec.structs.astuple(columns)])

    candles = views.candles
    return Views(
        candles=type(candles)(*[column[rows] for column in msgspec.structs.astuple(candles)]),
        readings=of(views.readings),
        larger={name: of(columns) for name, columns in views.larger.items()},
        regimes={},
        levels=views.levels[:, rows],
        control=views.control[rows],
        spread=views.spread[rows],
        funding=views.funding[rows],
        funding_in_ms=views.funding_in_ms[rows],
    )
