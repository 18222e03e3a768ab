"""The guards at work: marks and quotes into their classes, and what the guards ask for to the machines that do it."""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.machine import guards, order, position
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import LIFECYCLE, FactGained, FactLost, Part
from anchorwatch.machine.desk import stops
from anchorwatch.machine.desk.context import Context, of_leg
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.units import Fraction, LegKey, Side
from anchorwatch.machine.world import PositionReport, QuoteMoved

SPREAD = "spread within limits"
ROOM = "room to liquidation"
"""Facts of a symbol that the guards take away and give back."""


def start(context: Context) -> None:
    """R1.5: from now on every mark and every quote is looked at."""
    for name in context.charts:
        _tell_slippage(context, name, guards.GuardStarted())
    for leg in context.book.legs:
        _tell_liquidation(context, leg, guards.GuardStarted())
    context.announce("info", "GUARD_STARTED", guard="liquidation guard")
    context.announce("info", "GUARD_STARTED", guard="slippage guard")


def stop(context: Context) -> None:
    """R10.2."""
    for name in context.charts:
        _tell_slippage(context, name, guards.GuardStopped())
    for leg in context.book.legs:
        _tell_liquidation(context, leg, guards.GuardStopped())


# Liquidation.


def note_report(context: Context, report: PositionReport) -> None:
    """Where the venue says that this leg is liquidated, and how far its margin is from it."""
    if report.leg.instrument not in context.book.instruments:
        return
    leg = context.book.leg(report.leg)
    leg.liquidation, leg.margin_ratio = report.liquidation, report.margin_ratio
    _judge(context, leg)


# Asked for with every mark and quote; a member of an enumeration is found by a slow search.
TRENDING, CHOPPY = Regime.TRENDING, Regime.CHOPPY
AT_EASE, CALM, AMPLE = (guards.L.OFF, guards.L.CALM), guards.L.CALM, guards.Room.AMPLE
UNGUARDED, WIDE = guards.G.OFF, guards.G.WIDE


def take_mark(context: Context, instrument: str, mark: Decimal) -> None:
    for leg in context.book.legs.values():
        if leg.leg.instrument == instrument:
            _judge(context, leg)
    _look_for_drift(context, instrument, mark)


def _judge(context: Context, leg: LegBook) -> None:
    mark = context.book.marks.get(leg.leg.instrument)
    if not leg.contracts:
        if context.liquidation_of(leg.leg).state not in AT_EASE:
            _tell_liquidation(context, leg.leg, guards.LegOver())
        return
    if mark is None:
        return
    left = guards.room_left(leg.leg.side, leg.account.average_price, mark, leg.liquidation)
    room = guards.room_class(left, leg.margin_ratio, context.parameters.guarding)
    if room is AMPLE and context.liquidation_of(leg.leg).state is CALM:
        return  # as it was: nearly every mark
    if context.bot.slot(leg.leg).position.state is position.S.WATCHED:
        room = min(room, guards.Room.SCARCE)  # a stranger's position is told of, and never touched
    is_on = (
        context.slippage_of(leg.leg.instrument).state is not guards.G.OFF
    )  # the two go on and off together
    if is_on and context.liquidation_of(leg.leg).state is guards.L.OFF:
        _tell_liquidation(context, leg.leg, guards.GuardStarted())
    _tell_liquidation(context, leg.leg, room.event)


def _tell_liquidation(context: Context, key: LegKey, event: Event) -> None:
    before = context.liquidation_of(key)
    after, effects = context.step(guards.LIQUIDATION, str(key), before, event)
    if after is before:
        return
    context.liquidation[key] = after
    for effect in effects:
        leg = context.book.leg(key)
        left = guards.room_left(
            key.side,
            leg.account.average_price,
            context.book.marks.get(key.instrument, Decimal(0)),
            leg.liquidation,
        )
        level = "warning" if isinstance(effect, guards.WarnOfRoom) else "alarm"
        context.announce(
            level,
            "LIQUIDATION_NEAR",
            leg=key,
            left="unknown" if left is None else f"{left:.0%} of the way",
            margin_ratio=leg.margin_ratio,
            liquidation=leg.liquidation,
        )
        if isinstance(effect, guards.CloseForRoom):
            stops.want_close(context, leg, "liquidation guard")
    is_near = any(
        snapshot.state in (guards.L.DANGER, guards.L.CLOSING)
        for other, snapshot in context.liquidation.items()
        if other.instrument == key.instrument
    )
    _hold(context, key.instrument, ROOM, holds=not is_near)


# Slippage.


def take_quote(context: Context, event: QuoteMoved) -> None:
    chart = context.charts.get(event.instrument)
    if chart is None or event.ask <= 0:
        return
    limit = _by_regime(
        chart.regime,
        context.parameters.guarding.spread_trending,
        context.parameters.guarding.spread_ranging,
        context.parameters.guarding.spread_choppy,
    )
    is_wide = event.ask - event.bid > limit * event.ask
    state = context.slippage_of(event.instrument).state
    if state is UNGUARDED or (state is WIDE) is is_wide:
        return  # as it was: nearly every quote
    told = guards.SpreadWide() if is_wide else guards.SpreadNarrow()
    _tell_slippage(context, event.instrument, told)


def _look_for_drift(context: Context, instrument: str, mark: Decimal) -> None:
    guarding, chart = context.parameters.guarding, context.charts.get(instrument)
    for key, slot in context.bot.legs:
        decided = context.book.decided_px.get(key)
        if key.instrument != instrument or decided is None or chart is None:
            continue
        if slot.entry.state in order.FREE:
            continue
        limit = _by_regime(
            chart.regime, guarding.drift_trending, guarding.drift_ranging, guarding.drift_choppy
        )
        if key.side.sign * (mark - decided) > limit * decided:
            _tell_slippage(context, instrument, guards.EntryDrifted(key.side))


def _by_regime(regime: Regime | None, trending: Fraction, ranging: Fraction, choppy: Fraction) -> Fraction:
    """Where the regime is not followed, the middle one."""
    if regime is TRENDING:
        return trending
    return choppy if regime is CHOPPY else ranging


def _tell_slippage(context: Context, instrument: str, event: Event) -> None:
    before = context.slippage_of(instrument)
    after, effects = context.step(guards.SLIPPAGE, instrument, before, event)
    context.slippage[instrument] = after
    for effect in effects:
        match effect:
            case guards.ShutEntries():
                context.announce("warning", "SPREAD_WIDE", instrument=instrument)
                _hold(context, instrument, SPREAD, holds=False)
                for side in Side:
                    _give_up(context, instrument, side, "the spread is wide")
            case guards.OpenEntries():
                _hold(context, instrument, SPREAD, holds=True)
            case guards.GiveUpEntry(side):
                _give_up(context, instrument, side, "the price has left where the entry was decided")


def _give_up(context: Context, instrument: str, side: Side, reason: str) -> None:
    """The entry's own machine cancels it, or keeps it from the wire when it was not written yet."""
    key = LegKey(instrument, side, context.parameters.margin)
    entry = context.bot.slot(key).entry
    if entry.state in order.FREE or entry.data.cancel_wanted:
        return
    context.announce("info", "ENTRY_GIVEN_UP", leg=key, why=reason)
    context.tell(of_leg(Part.ENTRY, key), order.CancelWanted(entry.data.seq, reason))


def _hold(context: Context, scope: str, fact: str, *, holds: bool) -> None:
    if holds is ((scope, fact) in context.bot.missing):
        context.tell(LIFECYCLE, FactGained(scope, fact) if holds else FactLost(scope, fact))
