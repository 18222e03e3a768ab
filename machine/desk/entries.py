"""From a strategy's wish to an entry: limits, size, and the question whether one may be sent."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine import permission
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import PERMISSION, Address, EntryDenied, entry_obstacles
from anchorwatch.machine.desk import making, risk, stops, sweeping
from anchorwatch.machine.desk.chart import Chart
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.sizing import contracts_of
from anchorwatch.machine.strategy import Became, Considered, Decision, Holding, MarketView, Wish, view_of
from anchorwatch.machine.strategy.asking import StrategyFailed, StrategyOverran
from anchorwatch.machine.units import Contracts, LegKey, Side

EXIT = Wish.EXIT
ENTERED = Became.ENTRY


def decide(context: Context, chart: Chart) -> None:
    """Ask the strategy about the candle that has just closed, and follow its answer as far as the gate allows."""
    leg = open_leg(context, chart.instrument)
    holding = None
    if leg is not None:
        entry_px = leg.account.average_price
        holding = Holding(leg.leg.side, entry_px, leg.entered_ms, leg.regime)
    view = view_of(chart.market, chart.quote, chart.funding, holding)
    decision = _asked(context, chart, view)
    intent = decision.intent
    if intent is None:
        _remember(context, view, decision, Became.REFUSED if decision.fired else Became.NOTHING)
    elif intent.wish is EXIT:
        if leg is None or leg.leg.side is not intent.side:
            _remember(context, view, decision, Became.DENIED, (f"no {intent.side.value} is open",))
            return
        _remember(context, view, decision, Became.EXIT)
        stops.want_close(context, leg, intent.why)
    elif intent.side not in context.parameters.of(chart.instrument).sides:
        _remember(context, view, decision, Became.DENIED, ("strategy.sides does not allow it",))
    else:
        _want_entry(context, chart, view, intent.side, decision)


def _remember(
    context: Context, view: MarketView, decision: Decision, became: Became, denied: tuple[str, ...] = ()
) -> None:
    context.book.consider(view.instrument, Considered(view.now_ms, decision, became, denied))


def _asked(context: Context, chart: Chart, view: MarketView) -> Decision:
    """The strategy's answer, counted, and told where filters refused what signals had wished.

    A strategy is the user's code. When it fails nothing is entered any more, until a person has looked; stops and exits
    go on, and it is asked on, because its exits are still worth having. One place in its file is told once. One that did
    not come back may do so with every symbol: then none is asked any more.
    """
    if context.book.asked_no_more:
        return Decision(None, context.book.asked_no_more)
    try:
        decision = chart.decide(view)
    except StrategyFailed as failure:
        reason = f"{failure} ({chart.instrument})"
        if chart.fails_at != failure.where:
            chart.fails_at = failure.where
            context.announce(
                "alarm",
                "STRATEGY_FAILED",
                instrument=chart.instrument,
                strategy=failure.strategy,
                where=failure.where,
                reason=failure.what,
                candle_ms=view.candles[-1].open_ms,
            )
        context.tell(PERMISSION, permission.HaltRequested(reason))
        if isinstance(failure, StrategyOverran):
            context.book.asked_no_more = reason
        return Decision(None, reason)
    chart.fails_at = None
    count = context.book.count_decision
    count("asked")
    for fired in decision.fired:
        count(f"signal {fired.signal}")
    for refusal in decision.refusals:
        count(f"refused {refusal.filter}")
    if decision.intent is not None:
        count(f"wished {decision.intent.wish.value}")
    elif decision.refusals:
        signals = ", ".join(f"{one.signal} {one.side.value}" for one in decision.fired)
        context.announce(
            "info", "SIGNAL_REFUSED", instrument=chart.instrument, signals=signals, because=decision.because
        )
    return decision


def open_leg(context: Context, instrument: str) -> LegBook | None:
    """The position that the strategy is asked about."""
    for leg in context.book.legs.values():
        if leg.leg.instrument == instrument and leg.account.contracts:
            return leg
    return None


def _want_entry(context: Context, chart: Chart, view: MarketView, side: Side, decision: Decision) -> None:
    assert decision.intent is not None
    leg, why = LegKey(chart.instrument, side, context.parameters.margin), decision.intent.why
    contracts = _size(context, leg)
    obstacles = entry_obstacles(context.bot, leg) + risk.obstacles(context, leg, contracts)
    obstacles += making.obstacles(context, leg) + sweeping.obstacles(context, leg)
    if not contracts:
        obstacles += ("the size is below the instrument's minimum",)
    if obstacles:
        _remember(context, view, decision, Became.DENIED, obstacles)
        context.announce("info", "ENTRY_DENIED", leg=leg, why=why, because="; ".join(obstacles))
        return
    _remember(context, view, decision, ENTERED)
    regime = {"regime": chart.regime.value} if chart.regime is not None else {}
    context.announce("info", "ENTRY", leg=leg, contracts=contracts, why=why, **regime)
    context.book.decided_px[leg] = context.book.marks[leg.instrument]
    making.want(context, leg, contracts)


def _size(context: Context, leg: LegKey) -> Contracts:
    """From the equity as it is now; one that is not fresh is an obstacle of its own."""
    mark, trading = context.book.marks.get(leg.instrument), context.parameters.of(leg.instrument)
    if mark is None:
        return Contracts(Decimal(0))
    return contracts_of(
        trading.sizing,
        context.book.equity,
        trading.protecting.stop_fraction,
        context.charts[leg.instrument].regime,
        mark,
        context.book.instruments[leg.instrument],
    )


def denied(context: Context, address: Address, effect: EntryDenied) -> None:
    """The order's own machine found a lock shut, when the entry was planned or when its bytes were to be written."""
    assert address.leg is not None
    context.book.entry_sizes.pop(address.leg, None)
    kept = context.book.considered.get(address.leg.instrument)
    if kept and kept[-1].became is ENTERED:
        kept[-1] = msgspec.structs.replace(kept[-1], became=Became.DENIED, denied=effect.reasons)
    context.announce("info", "ENTRY_DENIED", leg=address.leg, because="; ".join(effect.reasons))
