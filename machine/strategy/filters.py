"""Filters: reasons not to follow a signal. Each asks one question and answers with a `Refusal` or None.

A filter that lacks what it must know refuses: not knowing is never the same as harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from anchorwatch.machine.indicators.margin import EVEN, WITHIN
from anchorwatch.machine.market import Frame
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy import MarketView, Refusal
from anchorwatch.machine.units import Fraction, Side


class FilterSettings(msgspec.Struct, frozen=True):
    """Spreads, ATR and funding are shares of the price; ages and waits in milliseconds.

    The original's spread limits per regime are kept. Its ATR floor of 0.02 % is kept as well: below it a
    minute moves a fifth of a taker's round trip (0.1 %), and no stop of 0.6 % is reached in a holding time.
    """

    trend_adx: float = 20.0
    against_adx: float = 30.0
    higher: tuple[str, ...] = ("5m", "15m")
    level_atr: float = 0.5
    control_atr: float = 0.25
    atr_least: Fraction = Fraction(Decimal("0.0002"))
    atr_most: Fraction = Fraction(Decimal("0.025"))
    spread_trending: Fraction = Fraction(Decimal("0.0008"))
    spread_ranging: Fraction = Fraction(Decimal("0.0005"))
    spread_choppy: Fraction = Fraction(Decimal("0.0004"))
    quote_age_ms: int = 5_000
    funding_rate: Fraction = Fraction(Decimal("0.0005"))
    funding_within_ms: int = 15 * 60_000


class Proposal(msgspec.Struct, frozen=True):
    """What is asked about: an entry to this side. ``is_reverting``: it bets on a return, not on a continuation."""

    view: MarketView
    frame: Frame
    side: Side
    regime: Regime
    is_reverting: bool


Filter = Callable[[Proposal, FilterSettings], Refusal | None]


def adx(asked: Proposal, settings: FilterSettings) -> Refusal | None:
    """A continuation needs direction; a return must not stand in a strong one's way."""
    now = asked.frame.now
    if not asked.is_reverting:
        if now.adx < settings.trend_adx - WITHIN:
            return Refusal("adx", f"{now.adx:.0f}: nothing to follow below {settings.trend_adx:g}")
        return None
    if now.adx >= settings.against_adx - WITHIN and _is_against(asked.frame, asked.side):
        return Refusal("adx", f"{now.adx:.0f} against it")
    return None


def higher_timeframe(asked: Proposal, settings: FilterSettings) -> Refusal | None:
    """A continuation goes with the averages of the larger candles; a return not against their strong trend."""
    for name in settings.higher:
        frame = asked.view.frames.get(name)
        if frame is None:
            return Refusal("higher timeframe", f"{name} is not known")
        now = frame.now
        if asked.is_reverting:
            if now.adx >= settings.against_adx - WITHIN and _is_against(frame, asked.side):
                return Refusal("higher timeframe", f"{name} trends against it (ADX {now.adx:.0f})")
        elif asked.side.sign * (now.ema_fast - now.ema_slow) <= EVEN * now.ema_slow:
            return Refusal("higher timeframe", f"the averages of {name} are against it")
    return None


def _is_against(frame: Frame, side: Side) -> bool:
    return side.sign * (frame.now.plus_di - frame.now.minus_di) < -WITHIN


def pivots(asked: Proposal, settings: FilterSettings) -> Refusal | None:
    """No continuation right in front of a daily level: that is where it tends to stop."""
    if asked.view.pivots is None:
        return Refusal("pivots", "not known")
    if asked.is_reverting:
        return None
    px = asked.frame.candle.close
    levels = asked.view.pivots
    level = levels.above(px) if asked.side is Side.LONG else levels.below(px)
    if level is not None and abs(level - px) < (settings.level_atr - WITHIN) * asked.frame.now.atr:
        return Refusal("pivots", f"{level:g} is just ahead")
    return None


def profile(asked: Proposal, settings: FilterSettings) -> Refusal | None:
    """A return needs the point of control ahead of it; a continuation must not have it right ahead."""
    known = asked.view.profile
    if known is None:
        return Refusal("volume profile", "not known")
    ahead = asked.side.sign * (known.point_of_control - asked.frame.candle.close)
    if asked.is_reverting:
        if ahead <= 0:
            return Refusal("volume profile", f"most volume ({known.point_of_control:g}) lies behind it")
        return None
    if 0 < ahead < (settings.control_atr - WITHIN) * asked.frame.now.atr:
        return Refusal("volume profile", f"most volume ({known.point_of_control:g}) is just ahead")
    return None


def volatility(asked: Proposal, settings: FilterSettings) -> Refusal | None:
    """Enough movement to pay the fees, and not so much that the stop is a coin toss."""
    share = asked.frame.now.atr / asked.frame.candle.close
    least, most = float(settings.atr_least), float(settings.atr_most)
    if share < least * (1 - WITHIN):
        return Refusal("volatility", f"ATR {share:.3%} is below {least:.3%}")
    if share > most * (1 + WITHIN):
        return Refusal("volatility", f"ATR {share:.3%} is above {most:.3%}")
    return None


def spread(asked: Proposal, settings: FilterSettings) -> Refusal | None:
    """The quote is fresh and not too wide for the regime."""
    quote = asked.view.quote
    if quote is None:
        return Refusal("spread", "no quote")
    if asked.view.now_ms - quote.at_ms > settings.quote_age_ms:
        return Refusal("spread", f"the quote is {(asked.view.now_ms - quote.at_ms) / 1000:.0f} s old")
    most = {
        Regime.TRENDING: settings.spread_trending,
        Regime.RANGING: settings.spread_ranging,
        Regime.CHOPPY: settings.spread_choppy,
    }[asked.regime]
    share = (quote.ask - quote.bid) / quote.ask
    if share > most:
        return Refusal("spread", f"{share:.3%} is above {most:.3%}")
    return None


def funding(asked: Proposal, settings: FilterSettings) -> Refusal | None:
    """No entry into a side that is about to pay a high funding."""
    known = asked.view.funding
    if known is None:
        return Refusal("funding", "not known")
    paid = asked.side.sign * known.rate
    wait_ms = known.settles_ms - asked.view.now_ms
    if paid >= settings.funding_rate and 0 <= wait_ms <= settings.funding_within_ms:
        return Refusal("funding", f"{paid:.4%} is due in {wait_ms // 60_000} min")
    return None


ALL: tuple[Filter, ...] = (
    adx,
    higher_timeframe,
    pivots,
    profile,
    volatility,
    spread,
    funding,
)
"""In the order in which their refusals are told."""
