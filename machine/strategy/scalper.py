"""The regime-adaptive scalper, the default strategy: each kind of market has its own signals.

Theory of operation
===================

* **ranging**: bets on a return (RSI reversal, Bollinger touch);
* **trending**: bets on a continuation (EMA cross, MACD cross, impulse breakout, dip in trend);
* **choppy**: only where a strict RSI reversal and a Bollinger touch agree, or nothing at all;
* regime not known: nothing.

The signals of one candle are weighed by side. A side is as strong as its strongest signal,
and a little more for each further one that agrees. Both sides with a like strength are a
contradiction and nothing happens. The filters are all asked about the side that is
left, and every refusal is told, not only the first.

It keeps no state: the same view gives the same decision. It claims no profit; it shows a
strategy that a scalper recognises, on the machinery that keeps it out of trouble.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from anchorwatch.machine.indicators.margin import WITHIN
from anchorwatch.machine.indicators.panel import Periods
from anchorwatch.machine.market import SIGNAL, Frame, MarketSettings
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy import (
    Decision,
    Fired,
    Intent,
    MarketView,
    Refusal,
    Wish,
    filters,
    foreseen,
    signals,
)
from anchorwatch.machine.strategy.filters import FilterSettings, Proposal
from anchorwatch.machine.strategy.series import Foreseen, Views
from anchorwatch.machine.strategy.signals import REVERTING, Signal, SignalSettings
from anchorwatch.machine.units import Side

SETS: Mapping[Regime, tuple[Signal, ...]] = {
    Regime.TRENDING: (
        signals.ema_cross,
        signals.macd_cross,
        signals.impulse_breakout,
        signals.dip_in_trend,
    ),
    Regime.RANGING: (signals.rsi_reversal, signals.bollinger_touch),
    Regime.CHOPPY: (signals.strict_rsi_reversal, signals.bollinger_touch),
}
"""Which signals are asked in which regime."""


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=86_400)]


class Scalper(msgspec.Struct, frozen=True):
    """The strategy and its settings. Strengths are from 0 to 1; ``periods`` are those of the market that it is shown.

    The least strength is the original's. Leaving before the exits do asks for more, because it costs a fee
    that waiting does not; and not before the position has lived for the original's least time in its regime.
    """

    strength_least: Share = 0.60
    strength_to_leave: Share = 0.75
    agreement_bonus: Share = 0.05
    lead_least: Share = 0.10
    # This many signals must agree in a choppy market; 0: nothing is entered there.
    choppy_agreeing: Annotated[int, msgspec.Meta(ge=0, le=3)] = 2
    min_holding_trending_s: Seconds = 180
    min_holding_ranging_s: Seconds = 60
    min_holding_choppy_s: Seconds = 60
    sides: tuple[Side, ...] = (Side.LONG, Side.SHORT)
    signals: SignalSettings = SignalSettings()
    filters: FilterSettings = FilterSettings()
    periods: Periods = Periods()

    @property
    def needs(self) -> MarketSettings:
        return MarketSettings(periods=self.periods)

    def min_holding_s(self, regime: Regime) -> int:
        return {
            Regime.TRENDING: self.min_holding_trending_s,
            Regime.RANGING: self.min_holding_ranging_s,
            Regime.CHOPPY: self.min_holding_choppy_s,
        }[regime]

    def decide(self, view: MarketView) -> Intent | None:
        return self.consider(view).intent

    def foresee(self, views: Views) -> Foreseen:
        """What `consider` would answer, of a whole series."""
        return foreseen.foresee(views, self, SETS)

    def consider(self, view: MarketView) -> Decision:
        """What to do at this candle, which signals fired and which filters refused."""
        frame, regime = view.frames.get(SIGNAL), view.regime
        if frame is None or regime is None:
            return Decision(None, "the market is not known yet")
        if regime is Regime.CHOPPY and self.choppy_agreeing == 0 and view.open_side is None:
            return Decision(None, "nothing is entered in a choppy market", regime=regime)
        asked = SETS[regime]
        fired = tuple(
            [said for signal in asked if (said := signal(frame, view.candles, self.signals)) is not None]
        )
        if not fired:
            return Decision(None, "no signal", regime=regime)
        if view.open_side is not None:
            return self._leave(view, view.open_side, regime, fired)
        return self._enter(view, frame, regime, fired)

    def _enter(self, view: MarketView, frame: Frame, regime: Regime, fired: tuple[Fired, ...]) -> Decision:
        settings = self
        side, strength, because = weigh(fired, settings)
        refused = Decision(None, because, fired, regime=regime, strength=strength)
        if side is None:
            return refused
        mine = [said for said in fired if said.side is side]
        if strength < settings.strength_least - WITHIN:
            because = f"strength {strength:.2f} is below {settings.strength_least:.2f}"
            return msgspec.structs.replace(refused, because=because)
        if side not in settings.sides:
            return msgspec.structs.replace(refused, because=f"{side.value} is not allowed by the settings")
        if regime is Regime.CHOPPY and len(mine) < settings.choppy_agreeing:
            because = f"{len(mine)} of {settings.choppy_agreeing} signals agree in a choppy market"
            return msgspec.structs.replace(refused, because=because)
        strongest = max(mine, key=lambda said: said.strength)
        proposal = Proposal(view, frame, side, regime, strongest.signal in REVERTING)
        refusals = tuple(
            refusal for ask in filters.ALL if (refusal := ask(proposal, settings.filters)) is not None
        )
        if refusals:
            return Decision(None, _words(refusals), fired, refusals, regime, strength)
        why = f"{regime.value}: " + ", ".join(f"{said.signal} {said.strength:.2f}" for said in mine)
        return Decision(Intent(Wish.ENTER, side, why), why, fired, (), regime, strength)

    def _leave(self, view: MarketView, side: Side, regime: Regime, fired: tuple[Fired, ...]) -> Decision:
        """An opposite signal of conviction ends the position; the exits and the stop do the rest."""
        settings = self
        against, strength, because = weigh(fired, settings)
        stays = Decision(None, because, fired, regime=regime, strength=strength)
        if against is None or against is side:
            return msgspec.structs.replace(stays, because=because or "nothing speaks against the position")
        if strength < settings.strength_to_leave - WITHIN:
            because = f"strength {strength:.2f} is below {settings.strength_to_leave:.2f}"
            return msgspec.structs.replace(stays, because=because)
        if view.holding is not None:
            held_ms = view.now_ms - view.holding.entered_ms
            least_s = settings.min_holding_s(view.holding.regime or regime)
            if held_ms < least_s * 1000:
                because = f"held for less than {least_s} s"
                return msgspec.structs.replace(stays, because=because)
        opposite = ", ".join(said.signal for said in fired if said.side is against)
        why = f"{regime.value}: {opposite} against the position"
        return Decision(Intent(Wish.EXIT, side, why), why, fired, (), regime, strength)


def weigh(fired: tuple[Fired, ...], settings: Scalper) -> tuple[Side | None, float, str]:
    """The side that the signals speak for and its strength; None, the stronger strength and why they do not."""
    strengths = {side: _strength(fired, side, settings.agreement_bonus) for side in Side}
    side = max(Side, key=lambda one: strengths[one])
    other = Side.SHORT if side is Side.LONG else Side.LONG
    if strengths[other] and strengths[side] - strengths[other] < max(settings.lead_least - WITHIN, WITHIN):
        return None, strengths[side], "the signals contradict one another"
    return side, strengths[side], ""


def _strength(fired: tuple[Fired, ...], side: Side, bonus: float) -> float:
    mine = [said.strength for said in fired if said.side is side]
    return min(1.0, max(mine) + bonus * (len(mine) - 1)) if mine else 0.0


def _words(refusals: tuple[Refusal, ...]) -> str:
    return "; ".join(f"{refusal.filter}: {refusal.why}" for refusal in refusals)
