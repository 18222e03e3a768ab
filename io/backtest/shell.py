"""Carries out what the desk asks for, in the file's time: the back-test's match of effect to deed.

Everything that takes time ends in exactly one event, as in the engine. What is due at one moment is taken in the
order of the engine's mailbox: what happened, then the newest mark, then answers to what was asked at that moment.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anchorwatch.io.backtest.costs import Costs
from anchorwatch.io.backtest.exchange import Exchange, Refused
from anchorwatch.io.backtest.history import NEVER_MS, Histories
from anchorwatch.io.backtest.tape import Tape
from anchorwatch.io.venue.channels import COALESCE_MS
from anchorwatch.machine import (
    connection,
    dead_man,
    lifecycle,
    order,
    position,
    protection,
    reconciliation,
    requests,
    world,
)
from anchorwatch.machine.bot import (
    DEAD_MAN,
    LIFECYCLE,
    Address,
    Addressed,
    Part,
    may_still_amend,
    may_still_send,
)
from anchorwatch.machine.candles import Stretch
from anchorwatch.machine.desk import Desk, Told
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.lifecycle import Exit, Outcome
from anchorwatch.machine.order import Role
from anchorwatch.machine.regime import RegimeState
from anchorwatch.machine.roster import of_leg
from anchorwatch.machine.units import Instrument, MarginMode, PositionMode

DUE_MAX = 100_000
"""Deeds and timers under way: a handful for each leg. More means that something asks in a loop."""

Deed = Callable[[], None]

ENTRY, PROTECTION = Role.ENTRY, Part.PROTECTION
PART_OF = {ENTRY: Part.ENTRY, Role.CLOSE: Part.CLOSE}


class Shell:
    """One bot and the world around it. ``journal`` takes the facts; ``say`` what is said to people."""

    def __init__(
        self,
        desk: Desk,
        costs: Costs,
        histories: Histories,
        instruments: tuple[Instrument, ...],
        mode: PositionMode,
        margin: MarginMode,
        journal: Callable[[requests.Record], None],
        say: Callable[[requests.Announce, int], None],
    ) -> None:
        self.desk = desk
        self.clock = 0
        self.exit: Exit | None = None
        self.events = 0
        self._told_mark: dict[str, int] = {}
        self._told_trade: dict[str, int] = {}
        self._told_touch: dict[str, tuple[int, int]] = {}
        self.inbox: deque[Event] = deque()
        self._costs = costs
        self._histories = histories
        self._instruments = instruments
        self._mode, self._margin = mode, margin
        self._journal = journal
        self._say = say
        self._moved: list[Tape] = []
        self._due: list[tuple[int, int, str, Deed]] = []
        self._serial = 0
        self._timers: dict[str, int] = {}
        self.sent = 0
        self._latencies_ms = costs.latencies_ms()
        self._equity_is_due = False
        self.performers: dict[type[Effect], Callable[[Any], None]] = {
            Addressed: lambda effect: self._perform_addressed(effect.effect),
            requests.StartTimer: self._start_timer,
            requests.CancelTimer: self._cancel_timer,
            requests.Record: self._record,
            requests.Announce: lambda effect: self._say(effect, self.clock),
            requests.PlaceOrder: self._place_order,
            requests.CancelOrder: self._cancel_order,
            requests.AmendOrder: self._amend_order,
            requests.QueryOrder: self._query_order,
            requests.PlaceStop: self._place_stop,
            requests.MoveStop: self._move_stop,
            requests.CancelStops: self._cancel_stops,
            requests.CancelOrphan: self._nothing_there,
            requests.ReadOwnOrders: self._nothing_there,
            requests.CancelCloses: self._nothing_there,
            requests.ReadStops: self._read_stops,
            requests.ReadLeg: self._read_leg,
            requests.ExplainAbsence: self._explain_absence,
            requests.ReadPeak: self._read_peak,
            requests.LoadHistory: self._load_history,
            requests.AuditStops: self._audit,
            requests.CancelAllAfter: self._cancel_all_after,
            requests.ReloadRules: self._reload_rules,
        }
        self.exchange: Exchange

    # Time.

    def next_due_ms(self) -> int:
        """When the next deed or timer is due; timers that were given up are forgotten on the way."""
        due, timers = self._due, self._timers
        while due:
            at_ms, serial, key, _ = due[0]
            if not key or timers.get(key) == serial:
                return at_ms
            heapq.heappop(due)
        return NEVER_MS

    def run_due(self) -> None:
        """Do the next thing that is due; the clock stands at its time."""
        _, serial, key, deed = heapq.heappop(self._due)
        if key:
            if self._timers.get(key) != serial:
                return  # replaced or given up
            del self._timers[key]
        deed()

    def moved(self, tape: Tape) -> None:
        """The mark of this tape is news, to be told after what happened."""
        if tape not in self._moved:
            self._moved.append(tape)

    def take_inbox(self) -> None:
        """What has happened, and not yet the prices and answers of this moment."""
        while self.inbox:
            self.deliver(self.inbox.popleft())

    def drain(self) -> None:
        """Everything that is there at this moment, in the mailbox's order."""
        inbox, due = self.inbox, self._due
        while True:
            if inbox:
                self.deliver(inbox.popleft())
            elif self._moved:
                self.tell_prices(self._moved.pop(0))
            elif due and due[0][0] <= self.clock:
                self.run_due()
            else:
                return

    def tell_prices(self, tape: Tape, *, again: bool = False) -> None:
        """The newest mark and quote, where they are news; ``again`` tells what stands, lest it go stale."""
        name, trades = tape.name, tape.trades
        if not again and self._told_trade.get(name) == trades:
            return
        self._told_trade[name] = trades
        ticks = tape.mark_ticks()
        if again or self._told_mark.get(name) != ticks:
            self._told_mark[name] = ticks
            self.deliver(world.MarkMoved(name, ticks * tape.tick, self.clock))
        touch = tape.touch()
        if again or self._told_touch.get(name) != touch:
            self._told_touch[name] = touch
            bid, ask = touch
            self.deliver(world.QuoteMoved(name, bid * tape.tick, ask * tape.tick, self.clock))

    def pass_over(
        self,
        instrument: str,
        stretches: Mapping[str, Stretch],
        regimes: Sequence[RegimeState],
        counted: Mapping[str, int],
    ) -> None:
        """Closed candles of an instrument at which nothing is decided; see `desk.passing`."""
        self._perform(self.desk.pass_over(instrument, stretches, regimes, counted, self.clock))

    def deliver(self, event: Event) -> None:
        self.events += 1
        effects = self.desk.handle(event, self.clock)
        if effects:
            self._perform(effects)

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        performers = self.performers
        for effect in effects:
            performers[type(effect)](effect)

    def note_cash(self) -> None:
        """The venue gathers what changed for a moment and pushes the account once."""
        if not self._equity_is_due:
            self._equity_is_due = True
            self._at(COALESCE_MS, self._push_equity)

    def _push_equity(self) -> None:
        self._equity_is_due = False
        self.inbox.extend(self.exchange.gathered())
        self.inbox.append(self.exchange.equity())

    def _at(self, in_ms: int, deed: Deed, key: str = "") -> None:
        assert len(self._due) < DUE_MAX, "deeds are started in a loop"
        self._serial += 1
        heapq.heappush(self._due, (self.clock + in_ms, self._serial, key, deed))

    def _after_latency(self, deed: Deed) -> None:
        """When the request reaches the venue. Its answer is taken at the same moment."""
        self.sent += 1
        self._at(next(self._latencies_ms), deed)

    def _answer(self, event: Event) -> None:
        self.inbox.append(event)

    # Timers and facts.

    def _start_timer(self, effect: requests.StartTimer) -> None:
        told = Told(effect.address, effect.event)
        self._timers[effect.key] = self._serial + 1
        self._at(round(effect.seconds * 1000), lambda: self.inbox.append(told), effect.key)

    def _cancel_timer(self, effect: requests.CancelTimer) -> None:
        self._timers.pop(effect.key, None)

    def _record(self, effect: requests.Record) -> None:
        self._journal(effect)
        if effect.address is not None and effect.done is not None:
            self.inbox.append(Told(effect.address, effect.done))

    # Requests about the account.

    def _place_order(self, effect: requests.PlaceOrder) -> None:
        ticket = effect.ticket
        address = of_leg(PART_OF[ticket.role], ticket.leg)

        def arrive() -> None:
            if ticket.role is ENTRY and may_still_send(self.desk.bot, ticket.leg, ticket.seq):
                self._answer(Told(address, order.WriteDenied(ticket.seq, "not wanted any more")))
                return
            if self.clock > ticket.expires_ms:
                self._answer(Told(address, order.OrderRefused(ticket.seq, "50071 it came too late")))
                return
            try:
                self.exchange.place(ticket)
            except Refused as refused:
                self._answer(Told(address, order.OrderRefused(ticket.seq, str(refused))))
            else:
                self._answer(Told(address, order.OrderAcknowledged(ticket.seq)))

        self._after_latency(arrive)

    def _cancel_order(self, effect: requests.CancelOrder) -> None:
        ticket = effect.ticket
        address = of_leg(PART_OF[ticket.role], ticket.leg)

        def arrive() -> None:
            try:
                self.exchange.cancel(ticket.client_id)
            except Refused:
                self._answer(Told(address, order.CancelFruitless(ticket.seq)))
            else:
                self._answer(Told(address, order.CancelAcknowledged(ticket.seq)))

        self._after_latency(arrive)

    def _amend_order(self, effect: requests.AmendOrder) -> None:
        ticket = effect.ticket
        address = of_leg(Part.ENTRY, ticket.leg)

        def arrive() -> None:
            if self.clock > effect.expires_ms:
                self._answer(Told(address, order.AmendRefused(ticket.seq, "it came too late")))
                return
            if may_still_amend(self.desk.bot, ticket.leg, ticket.seq):
                self._answer(Told(address, order.AmendRefused(ticket.seq, "not wanted any more")))
                return
            try:
                self.exchange.amend(ticket.client_id, effect.price)
            except Refused as refused:
                self._answer(Told(address, order.AmendFruitless(ticket.seq, str(refused))))
            else:
                self._answer(Told(address, order.AmendAcknowledged(ticket.seq)))

        self._after_latency(arrive)

    def _query_order(self, effect: requests.QueryOrder) -> None:
        ticket = effect.ticket

        def arrive() -> None:
            report = self.exchange.order(ticket.client_id)
            is_final = report is None and self.clock > ticket.expires_ms
            self._answer(world.OrderAsked(ticket.leg, ticket.role, ticket.seq, report, is_final))

        self._after_latency(arrive)

    def _place_stop(self, effect: requests.PlaceStop) -> None:
        address = of_leg(PROTECTION, effect.leg)

        def arrive() -> None:
            try:
                self.exchange.place_stop(effect.leg, effect.client_id, effect.trigger)
            except Refused as refused:
                refusal = (
                    protection.Refusal.BEYOND
                    if str(refused).startswith("51278")
                    else protection.Refusal.NO_POSITION
                )
                self._answer(Told(address, protection.StopRefused(effect.seq, refusal, str(refused))))
            else:
                self._answer(Told(address, protection.StopAccepted(effect.seq)))

        self._after_latency(arrive)

    def _move_stop(self, effect: requests.MoveStop) -> None:
        address = of_leg(Part.PROTECTION, effect.leg)

        def arrive() -> None:
            try:
                self.exchange.move_stop(effect.leg, effect.client_id, effect.venue_id, effect.trigger)
            except Refused as refused:
                self._answer(Told(address, protection.MoveRefused(effect.seq, str(refused))))
            else:
                self._answer(Told(address, protection.MoveAccepted(effect.seq)))

        self._after_latency(arrive)

    def _cancel_stops(self, effect: requests.CancelStops) -> None:
        self._after_latency(lambda: self.exchange.cancel_stops(effect.venue_ids))

    def _nothing_there(self, effect: Effect) -> None:
        raise AssertionError(
            f"{type(effect).__name__}: the account begins empty, and nobody else trades on it"
        )

    def _read_stops(self, effect: requests.ReadStops) -> None:
        self._after_latency(
            lambda: self._answer(world.StopsRead(effect.leg, effect.seq, self.exchange.stops(effect.leg)))
        )

    def _read_leg(self, effect: requests.ReadLeg) -> None:
        def arrive() -> None:
            shown = self.exchange.positions(effect.leg.instrument)
            self._answer(world.LegRead(effect.leg, shown, effect.asked_ms))

        self._at(round(effect.after_s * 1000), arrive)

    def _explain_absence(self, effect: requests.ExplainAbsence) -> None:
        address = of_leg(Part.POSITION, effect.leg)
        self._after_latency(lambda: self._answer(Told(address, position.ConfirmationFailed())))

    def _read_peak(self, effect: requests.ReadPeak) -> None:
        found = world.PeakRead(effect.leg, effect.since_ms, effect.is_found, None)
        self._after_latency(lambda: self._answer(found))

    def _load_history(self, effect: requests.LoadHistory) -> None:
        def arrive() -> None:
            span = effect.from_ms, effect.to_ms
            candles = self._histories.within(effect.instrument, effect.timeframe, *span, self.clock)
            self._answer(world.HistoryLoaded(effect.instrument, effect.timeframe, candles))

        self._after_latency(arrive)

    def _cancel_all_after(self, effect: requests.CancelAllAfter) -> None:
        """The dead man's switch is renewed in time by whoever lives: it never fires here."""
        taken = dead_man.RenewalTaken(effect.seq) if effect.seconds else dead_man.DisarmTaken(effect.seq)
        self._after_latency(lambda: self._answer(Told(DEAD_MAN, taken)))

    def _reload_rules(self, effect: requests.ReloadRules) -> None:
        rules = next(one for one in self._instruments if one.name == effect.instrument)
        self._after_latency(lambda: self._answer(world.RulesRead(effect.instrument, rules)))

    def _audit(self, effect: requests.AuditStops) -> None:
        self._after_latency(lambda: self._answer(world.AuditRead(effect.epoch, self.exchange.reading())))

    # The lifecycle and the connections: the world answers at once.

    def _perform_addressed(self, effect: Effect) -> None:
        match effect:
            case connection.OpenSocket(name, epoch):
                self._report_link(name, connection.SocketOpened(epoch))
            case connection.LogIn(name, epoch):
                self._report_link(name, connection.LoginAccepted(epoch))
            case connection.Subscribe(name, epoch):
                self._report_link(name, connection.ChannelsConfirmed(epoch))
                if name is connection.Name.PUBLIC:
                    for tape in self.exchange.tapes.values():
                        self.moved(tape)
            case connection.StartListening() | connection.AbandonEpoch():
                pass  # a file is never silent, and nothing is left to abandon
            case reconciliation.ReadAccount(seq):
                self._after_latency(lambda: self._answer(world.AccountRead(seq, self.exchange.reading())))
            case lifecycle.RunStage():
                self._run_stage(effect)
            case lifecycle.RunStopStep(step, epoch):
                if step is not lifecycle.StopStep.TRADING_CONTROL:
                    self._answer(Told(LIFECYCLE, lifecycle.StopStepEnded(epoch, Outcome.DONE)))
            case lifecycle.EndStage() | lifecycle.RecordStopStep():
                pass
            case lifecycle.EndProcess(exit):
                self.exit = exit
            case _:
                raise AssertionError(f"nothing performs {type(effect).__name__}")

    def _report_link(self, name: connection.Name, event: Event) -> None:
        self._answer(Told(Address(Part.CONNECTION, link=name), event))

    def _run_stage(self, effect: lifecycle.RunStage) -> None:
        done = Told(LIFECYCLE, lifecycle.StageDone(effect.epoch))
        match effect.stage:
            case lifecycle.S.INIT:
                self._answer(done)
            case lifecycle.S.CLIENT:
                equity = self.exchange.equity()
                ready = world.VenueReady(
                    self._instruments, self._mode, self._margin, equity.equity, equity.available, self.clock
                )
                self._answer(ready)
                self._answer(done)
            case lifecycle.S.CANDLES:
                for loaded in self._histories.all(self.clock):
                    self._answer(loaded)
                self._answer(done)
            case _:
                pass  # the desk or the connections carry it
