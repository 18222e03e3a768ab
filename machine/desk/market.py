"""Candles, quotes and marks into the charts; what is missing there is read again, and told as facts.

A decision is made on a closed candle that was pushed in its time and joins those before it.
What REST brings, and what comes late, is computed and never acted on: its moment has passed.
"""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.machine import candle_repair as repair
from anchorwatch.machine import connection
from anchorwatch.machine.bot import LIFECYCLE, FactGained, FactLost
from anchorwatch.machine.candle_repair import CANDLE_REPAIR, S
from anchorwatch.machine.candles import (
    GRACE_MS,
    Ahead,
    Appended,
    AppendedWithoutTrades,
    Corrected,
    Outcome,
    Refused,
    Span,
)
from anchorwatch.machine.desk import risk, rules
from anchorwatch.machine.desk.chart import Chart
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.facts import Facts, RegimeFact
from anchorwatch.machine.kernel import Event, Snapshot
from anchorwatch.machine.market import SIGNAL
from anchorwatch.machine.readiness import CLOCK_ERROR_MS, EQUITY_AGE_MS, FUNDING, missing_of_symbol
from anchorwatch.machine.regime import Regime, RegimeState
from anchorwatch.machine.requests import LoadHistory, Record
from anchorwatch.machine.strategy import Funding
from anchorwatch.machine.timeframes import open_of, utc_text
from anchorwatch.machine.world import (
    CandleClosed,
    FundingForecast,
    HistoryLoaded,
    HistoryMissed,
    MarkMoved,
    QuoteMoved,
)

SOUND = S.SOUND

REPAIR_PAUSE_MS = 3_000
"""Between two requests for what is missing: a closed candle shows in the venue's lists within a second or two."""

BALANCE = "balance"
"""The bot's fact that its equity is known and fresh."""

CLOCK = "clock"
"""The bot's fact that nothing was said to have happened in its future."""

A_SYMBOL = "a ready symbol"
"""The bot's fact that at least one symbol has all of its own: READY with none would be an empty word."""

BOT_FACTS = (BALANCE, CLOCK, A_SYMBOL)


def forget(context: Context) -> None:
    """At the beginning nothing holds."""
    for fact in BOT_FACTS:
        context.tell(LIFECYCLE, FactLost("", fact))
    for chart in context.charts.values():
        for fact in chart.missing:
            context.tell(LIFECYCLE, FactLost(chart.instrument, fact))


def remembered(facts: Facts) -> dict[str, RegimeState]:
    """The regimes that an earlier life was in. One that this version does not know is forgotten."""
    known = {regime.value: regime for regime in Regime}
    return {
        fact.instrument: RegimeState(
            known[fact.regime], fact.since_ms, fact.judged_ms, known.get(fact.rival), fact.confirmations
        )
        for fact in facts.regimes
        if fact.regime in known
    }


def regime_is_news(chart: Chart) -> bool:
    """When it changes, or what speaks against it does: verdicts that say the same are judged again from the candles."""
    now, told = chart.market.regime, chart.recorded
    if now is None or now is told:
        return False
    return told is None or (now.regime, now.rival, now.confirmations) != (
        told.regime,
        told.rival,
        told.confirmations,
    )


def record_regime(context: Context, chart: Chart) -> None:
    now, told = chart.market.regime, chart.recorded
    if now is None or not regime_is_news(chart):
        return
    chart.recorded = now
    rival = now.rival.value if now.rival is not None else ""
    fact = RegimeFact(
        chart.instrument, now.regime.value, now.since_ms, now.judged_ms, rival, now.confirmations
    )
    context.ask(Record((fact,)))
    if told is None or told.regime is not now.regime:
        context.announce("info", "REGIME", instrument=chart.instrument, regime=now.regime.value)


# Pushes.


def take_candle(context: Context, chart: Chart, event: CandleClosed) -> bool:
    """Take a closed candle; says whether a decision is to be made on it."""
    timeframe, candle = event.timeframe, event.candle
    if timeframe not in chart.repairs:
        return False  # nothing looks at it
    outcome = chart.market.take(timeframe, candle)
    record_regime(context, chart)
    if type(outcome) is not Appended or outcome.read is not None or len(outcome.candles) > 1:
        _take_unusual(context, chart, timeframe, outcome)
        look(context, chart)
    elif chart.missing:
        _settle(context, chart, timeframe)
        look(context, chart)
    if timeframe != SIGNAL or not isinstance(outcome, Appended) or len(outcome.candles) > 1:
        return False
    closed_ms = candle.open_ms + chart.market.buffer(SIGNAL).span_ms
    return context.now_ms - closed_ms <= GRACE_MS


def _take_unusual(context: Context, chart: Chart, timeframe: str, outcome: Outcome) -> None:
    where = {"instrument": chart.instrument, "timeframe": timeframe}
    match outcome:
        case Refused(why=why):
            context.announce("warning", "CANDLE_REFUSED", **where, reason=why)
        case AppendedWithoutTrades(read=Span() as span):
            # It is what a broken feed looks like, and what a quiet minute looks like: read, and waited for by nobody.
            context.ask(LoadHistory(chart.instrument, timeframe, span.from_ms, span.to_ms))
        case Corrected(open_ms=open_ms, read=Span() as span):
            context.announce("warning", "CANDLE_CORRECTED", **where, opened=utc_text(open_ms))
            chart.doubted[timeframe] = span
            _tell(context, chart, timeframe, repair.CandlesMissed())
        case Ahead(read=Span() as span):
            if chart.repairs[timeframe].state is SOUND:
                _announce_missed(context, chart, timeframe, span)
            _tell(context, chart, timeframe, repair.CandlesMissed())
        case _:
            pass
    _settle(context, chart, timeframe)


def _announce_missed(context: Context, chart: Chart, timeframe: str, span: Span) -> None:
    context.announce(
        "warning",
        "CANDLES_MISSED",
        instrument=chart.instrument,
        timeframe=timeframe,
        first=utc_text(span.from_ms),
        count=(span.to_ms - span.from_ms) // chart.market.buffer(timeframe).span_ms,
    )


def take_funding(context: Context, event: FundingForecast) -> None:
    chart = context.charts.get(event.instrument)
    if chart is None:
        return
    chart.funding = Funding(event.rate, event.settles_ms)
    if FUNDING in chart.missing:
        look(context, chart)


def take_mark(context: Context, event: MarkMoved) -> None:
    chart = context.charts.get(event.instrument)
    if chart is None:
        return
    chart.mark_at_ms = event.at_ms or context.now_ms
    compare_clock(context, chart.mark_at_ms)
    if chart.missing:
        look(context, chart)


def take_quote(context: Context, event: QuoteMoved) -> None:
    chart = context.charts.get(event.instrument)
    if chart is None:
        return
    chart.quote = event
    if chart.missing:
        look(context, chart)


def take_equity(context: Context, equity: Decimal, available: Decimal, at_ms: int) -> None:
    """Fresh is when the venue said it, not when it last changed. What it said of an earlier state, late, is neither."""
    book = context.book
    if at_ms < book.equity_of_ms:
        return
    book.equity, book.available = equity, available
    book.equity_of_ms, book.equity_at_ms = at_ms, context.now_ms
    risk.take_equity(context)
    _hold(context, BALANCE, holds=True)


def compare_clock(context: Context, at_ms: int) -> None:
    """What is said to have happened later than now says that our time is wrong. A late push only says that it is late."""
    _hold(context, CLOCK, holds=at_ms - context.now_ms <= CLOCK_ERROR_MS)


# REST.


def take_history(context: Context, event: HistoryLoaded) -> None:
    """The history of the start, or an answer to what was missing: merged, and looked at as a whole."""
    chart = context.charts.get(event.instrument)
    if chart is None or event.timeframe not in chart.repairs:
        return
    merged = chart.market.merge(event.timeframe, event.candles)
    for why in merged.refused:
        where = {"instrument": chart.instrument, "timeframe": event.timeframe}
        context.announce("warning", "CANDLE_REFUSED", **where, reason=why)
    timeframe = event.timeframe
    if chart.repairs[timeframe].state is S.READING:
        chart.doubted.pop(timeframe, None)
        if chart.market.buffer(timeframe).missing() is not None:
            _tell(context, chart, timeframe, repair.HoleStands())
        elif _to_read(context, chart, timeframe) is not None:
            _tell(context, chart, timeframe, repair.StallStands())
    _settle(context, chart, timeframe)
    look(context, chart)


def take_missed(context: Context, event: HistoryMissed) -> None:
    context.announce(
        "warning",
        "HISTORY_MISSED",
        instrument=event.instrument,
        timeframe=event.timeframe,
        reason=event.reason,
    )
    chart = context.charts.get(event.instrument)
    if chart is not None and event.timeframe in chart.repairs:
        _tell(context, chart, event.timeframe, repair.ReadingMissed(event.reason))


def _settle(context: Context, chart: Chart, timeframe: str) -> None:
    """Ask for what is still missing; end what was being mended when nothing is."""
    if _is_due(context, chart, timeframe):
        _ask_again(context, chart, timeframe)
    elif chart.market.buffer(timeframe).missing() is not None:
        _tell(context, chart, timeframe, repair.CandlesMissed())
    elif chart.repairs[timeframe].state is not SOUND and _to_read(context, chart, timeframe) is None:
        _tell(context, chart, timeframe, repair.CandlesWhole())


def _tell(context: Context, chart: Chart, timeframe: str, event: Event) -> None:
    """One event for the machine that mends this timeframe, and what it asks for."""
    which = f"{chart.instrument} {timeframe}"
    chart.repairs[timeframe], effects = context.step(CANDLE_REPAIR, which, chart.repairs[timeframe], event)
    for effect in effects:
        match effect:
            case repair.ReadCandles():
                wanted = _to_read(context, chart, timeframe)
                assert wanted is not None, "nothing is missing"
                context.ask(LoadHistory(chart.instrument, timeframe, wanted.from_ms, wanted.to_ms))
            case repair.WaitForRepair():
                chart.repair_due_ms[timeframe] = context.now_ms + REPAIR_PAUSE_MS
            case repair.GiveUpHole():
                _give_up(context, chart, timeframe)


def _to_read(context: Context, chart: Chart, timeframe: str) -> Span | None:
    """What is in doubt, a hole, or what has closed by the clock and is not here: the first of them that there is."""
    buffer = chart.market.buffer(timeframe)
    hole, newest = buffer.missing(), buffer.newest
    if timeframe in chart.doubted:
        return chart.doubted[timeframe]
    if hole is not None or newest is None:
        return hole
    begin_ms, end_ms = newest.open_ms + buffer.span_ms, open_of(timeframe, context.now_ms)
    return Span(begin_ms, end_ms) if begin_ms < end_ms else None


def _give_up(context: Context, chart: Chart, timeframe: str) -> None:
    hole = chart.market.begin_after_hole(timeframe)
    assert hole is not None, "the hole that stands"
    context.announce(
        "alarm",
        "CANDLES_HOLE",
        instrument=chart.instrument,
        timeframe=timeframe,
        first=utc_text(hole.from_ms),
        until=utc_text(hole.to_ms),
        meaning="the venue does not have these candles; entries wait until those behind them suffice",
    )
    _settle(context, chart, timeframe)


# Time, and connections that come back.


def tick(context: Context) -> None:
    """Ages are looked at, what stands still is read, and what was not answered is asked for again."""
    for chart in context.charts.values():
        for timeframe, snapshot in chart.repairs.items():
            if snapshot.state is SOUND:
                _look_for_stall(context, chart, timeframe)
            elif _is_due(context, chart, timeframe):
                _ask_again(context, chart, timeframe)
        look(context, chart)
    _hold(context, A_SYMBOL, holds=_is_a_symbol_ready(context))  # others tell facts of a symbol too
    if context.now_ms - context.book.equity_at_ms > EQUITY_AGE_MS:
        _hold(context, BALANCE, holds=False)


def _look_for_stall(context: Context, chart: Chart, timeframe: str) -> None:
    if chart.market.to_read(timeframe, context.now_ms) is not None:
        _tell(context, chart, timeframe, repair.CandlesMissed())


def _is_due(context: Context, chart: Chart, timeframe: str) -> bool:
    """With every tick and every push: whichever comes first after the pause."""
    is_waiting = chart.repairs[timeframe].state is S.WAITING
    return is_waiting and context.now_ms >= chart.repair_due_ms[timeframe]


def _ask_again(context: Context, chart: Chart, timeframe: str) -> None:
    if _to_read(context, chart, timeframe) is None:
        _tell(context, chart, timeframe, repair.CandlesWhole())
    else:
        _tell(context, chart, timeframe, repair.RepairDue())


def take_links(context: Context, before: tuple[Snapshot[connection.Link], ...]) -> None:
    """A connection has moved: quotes end with theirs; what closed, or changed, while one was away is read at once."""
    for was, link in zip(before, context.bot.links, strict=True):
        gained = connection.delivers(link) and not connection.delivers(was)
        lost = connection.delivers(was) and not connection.delivers(link)
        if gained and link.data.name is connection.Name.BUSINESS:
            _fill_gap(context)
        elif gained and link.data.name is connection.Name.PUBLIC:
            rules.forget_their_age(context)
        elif lost and link.data.name is connection.Name.PUBLIC:
            for chart in context.charts.values():
                chart.quote = None
                look(context, chart)


def _fill_gap(context: Context) -> None:
    """What closed meanwhile is read before the data count as fresh."""
    for chart in context.charts.values():
        for timeframe in chart.repairs:
            if _to_read(context, chart, timeframe) is not None:
                _tell(context, chart, timeframe, repair.CandlesMissed())
        look(context, chart)


# Facts.


def look(context: Context, chart: Chart) -> None:
    """Compare the facts with what was told of them, and tell the differences."""
    feeds = chart.feeds(has_rules=chart.instrument in context.book.instruments)
    found = {one.fact: one.words for one in missing_of_symbol(chart.market, feeds, context.now_ms)}
    for timeframe, snapshot in chart.repairs.items():
        if snapshot.state is not SOUND:
            found.setdefault(f"candles {timeframe}", "what is missing is being read")
    known, chart.missing = chart.missing, found
    if known.keys() == found.keys():
        return
    for fact in known:
        if fact not in found:
            context.tell(LIFECYCLE, FactGained(chart.instrument, fact))
    for fact in found:
        if fact not in known:
            context.tell(LIFECYCLE, FactLost(chart.instrument, fact))
    _hold(context, A_SYMBOL, holds=_is_a_symbol_ready(context))


def _is_a_symbol_ready(context: Context) -> bool:
    gated = {scope for scope, _ in context.bot.missing}
    return any(name not in gated for name in context.charts)


def _hold(context: Context, fact: str, *, holds: bool) -> None:
    """Tell a fact of the bot where it changed."""
    if holds is (("", fact) in context.bot.missing):
        context.tell(LIFECYCLE, FactGained("", fact) if holds else FactLost("", fact))
