"""The desk: world events in, requests out. Numbers meet the machines here and nowhere else.

Theory of operation
===================

``Desk.handle`` takes one event and the time, and answers with effects, the moves among them. It is
deterministic: the same events at the same times give the same answers, in any
process. What the machines decide is in their tables; the desk turns reports into the
events that the tables know (*classified*: no price reaches a guard), and puts prices
and sizes to what the tables ask for.

**Private pushes are held** from the first connection until the book has been
reconciled, because nobody knows yet what they change; then they are taken in their
order, and versions decide what they still add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anchorwatch.machine import (
    connection,
    dead_man,
    lifecycle,
    order,
    permission,
    position,
    protection,
    world,
)
from anchorwatch.machine import reconciliation as reconciling
from anchorwatch.machine.bot import (
    LIFECYCLE,
    RECONCILIATION,
    Address,
    Bot,
    EntryDenied,
    is_settled,
    with_countdown_left_behind,
    with_hands_off,
    with_permission,
    without_dead_man,
)
from anchorwatch.machine.candles import Stretch
from anchorwatch.machine.desk import (
    belts,
    closing,
    emergencies,
    entries,
    exits,
    guarding,
    making,
    market,
    orders,
    passing,
    positions,
    quiet,
    risk,
    rules,
    stages,
    stops,
    sweeping,
    switch,
    twins,
    venue,
    waking,
)
from anchorwatch.machine.desk.context import Context, Performer
from anchorwatch.machine.desk.memory import Memory
from anchorwatch.machine.facts import Facts, PermissionFact
from anchorwatch.machine.kernel import Effect, Event, Snapshot
from anchorwatch.machine.parameters import Parameters
from anchorwatch.machine.regime import RegimeState
from anchorwatch.machine.requests import StartTimer
from anchorwatch.machine.strategy.asking import Asker, decider
from anchorwatch.machine.units import LegKey, Side

HELD_MAX = 10_000
"""Private pushes between WS and SYNC: at the venue's limit of orders, minutes of the busiest account."""

PERFORMERS: dict[type[Effect], Performer] = {
    lifecycle.RunStage: stages.run,
    lifecycle.RetryStage: stages.retry,
    lifecycle.EndStage: stages.end,
    lifecycle.WarnOfDelay: stages.warn,
    lifecycle.RunStopStep: stages.run_stop_step,
    lifecycle.RecordStopStep: stages.record_stop_step,
    permission.SavePermission: stages.save_permission,
    reconciling.StartReadingTimer: stages.read_later,
    dead_man.Renew: switch.renew,
    dead_man.Disarm: switch.disarm,
    dead_man.StartRenewalTimer: switch.renew_later,
    dead_man.StartRetryTimer: switch.retry_later,
    dead_man.TellFailing: switch.tell_failing,
    dead_man.GiveUp: switch.give_up,
    connection.StartWait: stages.wait,
    connection.RaiseAlarm: stages.alarm,
    order.RecordIntent: orders.record_intent,
    order.SendOrder: orders.send,
    order.CancelOrder: orders.cancel,
    order.AmendOrder: making.amend,
    order.QueryOrder: orders.query,
    order.StartQueryTimer: orders.query_later,
    order.ReportLateFill: orders.late_fill,
    order.OrderEnded: orders.end,
    position.ReadPosition: closing.read_position,
    position.ConfirmAbsence: positions.explain,
    position.StartConfirmationTimer: positions.ask_again_later,
    position.StartClose: closing.note_reason,
    position.StartReduce: closing.note_part,
    position.TellUnexplained: positions.tell_unexplained,
    position.EndLeg: positions.end_leg,
    position.WatchLeg: positions.watch_leg,
    protection.PlaceStop: stops.place,
    protection.ReadStop: stops.read,
    protection.StartRetry: stops.retry_later,
    protection.StartNakedClock: stops.start_naked_clock,
    protection.StopNakedClock: stops.stop_naked_clock,
    protection.HoldNakedClock: stops.hold_naked_clock,
    protection.RenewNakedClock: stops.renew_naked_clock,
    protection.TellBarred: stops.tell_barred,
    protection.ReloadRules: stops.reload_rules,
    protection.AskForClose: emergencies.note,
    protection.MoveStop: stops.move,
    protection.StartFillClock: stops.start_fill_clock,
    protection.SweepOthers: belts.sweep_others,
    protection.SweepAll: sweeping.sweep_all,
    EntryDenied: entries.denied,
}
"""Effects that need numbers, or that the desk itself can answer; all others go to the shell as they are."""


class Told(Event, frozen=True):
    """A control event for one machine: a timer, an answer, the operator."""

    address: Address
    event: Event


class Desk:
    """The whole deciding half of the bot, as one object that is given events and time.

    ``tells_moves``: the moves of its machines are among its answers. They are for people, and say nothing to a world.
    """

    def __init__(
        self,
        parameters: Parameters,
        bot: Bot,
        generation: str,
        facts: Facts | None = None,
        asker: Asker = decider,
        *,
        tells_moves: bool = True,
    ) -> None:
        known_facts = facts if facts is not None else Facts()
        self._memory = Memory(known_facts)
        if facts is not None and facts.permission is not None:
            bot = with_permission(bot, restored_permission(facts.permission))
        known = facts.hands_off if facts is not None else ()
        if facts is not None and facts.dead_man is not None:
            bot = without_dead_man(bot)
        if not known_facts.stopped_cleanly:
            bot = with_countdown_left_behind(bot)
        self._context = Context(
            parameters,
            with_hands_off(bot, (*parameters.hands_off, *known)),
            generation,
            market.remembered(known_facts),
            asker,
            tells_moves=tells_moves,
        )
        self._context.performers = PERFORMERS
        self._held: list[world.Observed] = []
        self._polled_ms = 0
        self._quiet: dict[str, quiet.Quiet] = {}
        risk.remember(self._context, known_facts)
        emergencies.remember(self._context, known_facts)
        market.forget(self._context)
        self._context.take_effects()

    @property
    def bot(self) -> Bot:
        return self._context.bot

    @property
    def context(self) -> Context:
        """For views and summaries: the book and the parameters. Nothing outside changes them."""
        return self._context

    def quiet(self, instrument: str) -> quiet.Quiet:
        """Which marks and how much time of this instrument change nothing, as of the last event.

        The same object for as long as nothing has happened that could change the answer.
        """
        found = self._quiet.get(instrument)
        if found is None:
            found = self._quiet[instrument] = quiet.of(self._context, instrument)
        return found

    def handle(self, event: Event, now_ms: int) -> tuple[Effect, ...]:
        """Take one event. ``now_ms`` is the venue's time as far as it is known.

        Raises `UnexpectedEvent` or `AssertionError` for a defect of ours; the desk must not be
        used after that.
        """
        context = self._context
        context.now_ms, context.report_ms = now_ms, 0
        kind = type(event)
        if kind is MARK and self._sleeps_through(event):  # type: ignore[arg-type]
            return ()
        before = context.bot
        if kind in HELD and self._must_hold():
            self._hold(event)  # type: ignore[arg-type]
        else:
            taker = TAKERS.get(kind)
            assert taker is not None, f"no room takes {kind.__name__}"
            taker(self, event)
        bot = context.bot
        if bot is not before:
            if bot.links is not before.links:
                self._note_losses(before.links)
            if bot.reconciliation is not before.reconciliation and not is_settled(before) and is_settled(bot):
                self._release()
        if context.effects:
            self._quiet.clear()
            return context.take_effects()
        if kind not in CALM:
            self._quiet.clear()
        return ()

    def may_pass(self, instrument: str) -> bool:
        """Whether plain candles without a wish change nothing but the chart, as things stand."""
        return passing.may_pass(self._context.charts[instrument])

    def open_side(self, instrument: str) -> Side | None:
        """The side of the position that its strategy is asked about; None where nothing is open."""
        leg = entries.open_leg(self._context, instrument)
        return leg.leg.side if leg is not None else None

    def pass_over(
        self,
        instrument: str,
        stretches: Mapping[str, Stretch],
        regimes: Sequence[RegimeState],
        counted: Mapping[str, int],
        now_ms: int,
    ) -> tuple[Effect, ...]:
        """Take closed candles at which the strategy has no wish, by timeframe. ``now_ms`` is when the last one closed.

        The same as `handle` for each of them, see `passing`. `may_pass` was asked before.
        """
        context = self._context
        context.now_ms, context.report_ms = now_ms, 0
        passing.pass_over(context, context.charts[instrument], stretches, regimes, counted)
        # What is slept through is reckoned from what is open, and stays: these candles decide nothing.
        return context.take_effects()

    def _sleeps_through(self, event: world.MarkMoved) -> bool:
        """A mark that changes no decision is only noted: most are."""
        found = self._quiet.get(event.instrument)
        if found is None or not found.low < event.price < found.high:
            return False
        chart = self._context.charts.get(event.instrument)
        if chart is None or chart.missing or event.at_ms > self._context.now_ms:
            return False
        chart.mark_at_ms = event.at_ms or self._context.now_ms
        self._context.book.marks[event.instrument] = event.price
        return True

    def _note_losses(self, before: tuple[Snapshot[connection.Link], ...]) -> None:
        for was, link in zip(before, self._context.bot.links, strict=True):
            if was.state in connection.LOSABLE and was.data.epoch != link.data.epoch:
                twins.note_loss(self._context, link.data.name, is_silent=was.state is connection.S.PROBING)

    def _take_told(self, told: Told) -> None:
        context, event = self._context, told.event
        is_more = type(event) in MORE_THAN_A_STEP
        if is_more:
            self._note_told(event, told.address.leg)
        before = context.bot.links
        context.tell(told.address, event)
        if context.bot.links is not before:
            market.take_links(context, before)
        if is_more:
            self._follow_told(event, told.address.leg)

    def _note_told(self, event: Event, leg: LegKey | None) -> None:
        """What the book must know before the machine does."""
        context = self._context
        if isinstance(event, lifecycle.StartRequested):
            context.started_ms = context.now_ms
            self._memory.announce(context)
        if isinstance(event, protection.MoveAccepted) and leg is not None:
            stops.took_move(context, leg)
        if isinstance(event, protection.MoveRefused) and leg is not None:
            stops.refused_move(context, leg)
        if isinstance(event, protection.StopRefused) and leg is not None:
            context.book.leg(leg).refused_code = event.code

    def _follow_told(self, event: Event, leg: LegKey | None) -> None:
        """What follows when the machine has moved."""
        context = self._context
        if isinstance(event, protection.MoveAccepted) and leg is not None:
            stops.mind_size(context, context.book.leg(leg))  # it may have grown meanwhile
        if isinstance(event, rules.REFUSALS) and leg is not None:
            rules.reload(context, leg.instrument)
        if isinstance(event, protection.StopRefused) and leg is not None:
            stops.fall_back(context, leg)
        if isinstance(event, reconciling.CheckDue):
            pace = context.parameters.pace
            again = StartTimer(stages.CHECK, pace.reconcile_every_s, RECONCILIATION, reconciling.CheckDue())
            context.ask(again)

    def _poll_while_private_is_away(self) -> None:
        """Without pushes the account is read at a pace: a stop that fills is noticed within seconds."""
        context = self._context
        if context.bot.lifecycle.state is not lifecycle.S.READY:
            return
        away = [
            link.data.name.value
            for link in context.bot.links
            if link.data.name.is_private and not connection.delivers(link)
        ]
        due_ms = self._polled_ms + context.parameters.pace.poll_s * 1000
        if away and context.now_ms >= due_ms:
            self._polled_ms = context.now_ms
            context.tell(RECONCILIATION, reconciling.BookDoubted(f"{', '.join(away)} away"))

    def _is_stopping(self) -> bool:
        """From R10.1 on nothing new is decided; protection and what was begun go on."""
        return self._context.bot.lifecycle.state in STOPS

    def _must_hold(self) -> bool:
        """Until the first reconciliation nobody knows what a push changes."""
        return not is_settled(self._context.bot) and self._context.bot.lifecycle.state in HOLDING

    def _hold(self, event: world.Observed) -> None:
        if len(self._held) >= HELD_MAX:
            self._held.clear()
            self._context.announce("alarm", "HELD_OVERFLOW", bound=HELD_MAX)
            self._context.tell(RECONCILIATION, reconciling.BookDoubted("too many pushes were held"))
            return
        self._held.append(event)

    def _release(self) -> None:
        held, self._held = self._held, []
        for event in held:
            TAKERS[type(event)](self, event)

    # What each event means.

    def _take_candle(self, event: world.CandleClosed) -> None:
        context = self._context
        chart = context.charts.get(event.instrument)
        if chart is not None and not self._is_stopping() and market.take_candle(context, chart, event):
            entries.decide(context, chart)

    def _take_mark(self, event: world.MarkMoved) -> None:
        context, instrument, price = self._context, event.instrument, event.price
        market.take_mark(context, event)
        context.book.marks[instrument] = price
        guarding.take_mark(context, instrument, price)
        held = stops.held(context, instrument)
        if held:
            stops.trail(context, held, price)
            if not self._is_stopping():
                exits.take_mark(context, instrument, price)

    def _take_quote(self, event: world.QuoteMoved) -> None:
        context = self._context
        market.take_quote(context, event)
        guarding.take_quote(context, event)
        if event.instrument in context.book.instruments:
            making.take_quote(context, event)

    def _take_equity(self, event: world.EquityReported) -> None:
        market.take_equity(self._context, event.equity, event.available, event.at_ms)
        market.compare_clock(self._context, event.at_ms)

    def _take_position(self, event: world.PositionPushed) -> None:
        positions.take_push(self._context, event.report)
        guarding.note_report(self._context, event.report)

    def _take_tick(self, event: world.ClockTicked) -> None:
        context = self._context
        positions.look_for_differences(context)
        self._poll_while_private_is_away()
        rules.reload_the_old(context)
        venue.look(context)
        stops.tell_the_uncovered(context)
        sweeping.ask_again(context)
        making.ask_for_the_resting(context)
        for name in context.book.quotes:
            making.follow(context, name)
        market.tick(context)
        risk.look(context)
        if not self._is_stopping():
            exits.tick(context)

    def _take_client(self, event: world.VenueReady) -> None:
        context = self._context
        rules.take_all(context, event)
        market.take_equity(context, event.equity, event.available, 0)  # of when it changed is not told
        for chart in context.charts.values():
            market.look(context, chart)

    def _take_audit(self, event: world.AuditRead) -> None:
        self._compare(event.reading)
        self._context.tell(LIFECYCLE, lifecycle.StageDone(event.epoch))

    def _take_account(self, event: world.AccountRead) -> None:
        if event.seq == self._context.bot.reconciliation.data.seq:
            self._compare(event.reading)
        self._context.tell(RECONCILIATION, reconciling.AccountCompared(event.seq))

    def _compare(self, reading: world.AccountReading) -> None:
        stops.take_reading(self._context, reading)
        self._memory.recall(self._context, reading)
        positions.compare(self._context, reading)
        for report in reading.positions:
            guarding.note_report(self._context, report)
        orders.cancel_orphans(self._context, reading)
        orders.look_for_the_lost(self._context, reading)


def restored_permission(fact: PermissionFact) -> Snapshot[permission.Grant]:
    """The operator's pause and the limits' halt outlive the process (S17)."""
    return permission.restored(permission.S[fact.state.upper()], fact.paused_below, fact.reason)


TAKERS: dict[type[Event], Callable[[Desk, Any], None]] = {
    Told: Desk._take_told,
    world.CandleClosed: Desk._take_candle,
    world.MarkMoved: Desk._take_mark,
    world.QuoteMoved: Desk._take_quote,
    world.OrderPushed: lambda desk, event: orders.take_report(desk._context, event.report),
    world.StopPushed: lambda desk, event: stops.take_push(desk._context, event.report),
    world.PositionPushed: Desk._take_position,
    world.EquityReported: Desk._take_equity,
    world.FundingForecast: lambda desk, event: market.take_funding(desk.context, event),
    world.ConnectionsCounted: lambda desk, event: twins.look_at_count(desk.context, event),
    world.ConnectAsked: lambda desk, _: waking.connect_now(desk.context),
    world.ClocksParted: lambda desk, event: waking.take(desk.context, event),
    world.ClockTicked: Desk._take_tick,
    world.VenueReady: Desk._take_client,
    world.HistoryLoaded: lambda desk, event: market.take_history(desk.context, event),
    world.HistoryMissed: lambda desk, event: market.take_missed(desk.context, event),
    world.AuditRead: Desk._take_audit,
    world.AccountRead: Desk._take_account,
    world.OrderAsked: lambda desk, event: orders.take_query(desk.context, event),
    world.StatusRead: lambda desk, event: venue.take_status(desk.context, event),
    world.ClockMeasured: lambda desk, event: venue.take_clock(desk.context, event),
    world.StopsRead: lambda desk, event: stops.take_read(desk.context, event),
    world.LegRead: lambda desk, event: closing.take_leg(desk.context, event),
    world.CloseRefused: lambda desk, event: closing.take_refusal(desk.context, event),
    world.PeakRead: lambda desk, event: stops.take_peak(desk.context, event),
    world.AbsenceExplained: lambda desk, event: positions.take_explanation(desk.context, event),
    world.AbsenceUnexplained: lambda desk, event: positions.take_no_explanation(desk.context, event.leg),
    world.OwnOrdersRead: lambda desk, event: positions.take_own_orders(desk.context, event),
    world.RulesRead: lambda desk, event: closing.take_rules(desk.context, event),
}
"""Which room takes which event."""

MORE_THAN_A_STEP = frozenset(
    (
        lifecycle.StartRequested,
        protection.MoveAccepted,
        protection.MoveRefused,
        reconciling.CheckDue,
        *rules.REFUSALS,
        protection.StopRefused,
    )
)
"""What is told to one machine and means something to the desk besides."""

CALM = frozenset((world.QuoteMoved, world.FundingForecast, world.CandleClosed, world.EquityReported))
"""Events that change what is quiet only where they ask for something. A mark may move a peak, and what may still be
lost is shared among all that is open: every share counts from the same marks."""
HELD = frozenset((world.OrderPushed, world.StopPushed, world.PositionPushed))
MARK = world.MarkMoved
STOPS = (lifecycle.S.STOPPING, lifecycle.S.STOPPED)
HOLDING = (
    lifecycle.S.WS,
    lifecycle.S.SAFETY,
    lifecycle.S.RESET,
    lifecycle.S.CANDLES,
    lifecycle.S.POSITIONS,
    lifecycle.S.SYNC,
)
__all__ = ["TAKERS", "Desk", "Told"]
