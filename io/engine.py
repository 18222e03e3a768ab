"""The engine: nurseries, the mailbox, and the one loop that decides.

Theory of operation
===================

One writer, no locks. The loop takes one event, hands it to the desk, and performs the
effects; nothing is awaited in between, so what the desk decides is what happens next.
Everything that takes time is a task whose end is an event; the *background* (clock ticks
and the watchdog) goes on until the stop cancels it.

An exception out of the desk is a defect of ours: it ends the process, and what protects
the account then is the stop that rests on the exchange.
"""

from __future__ import annotations

import signal
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from anchorwatch.io import embedded
from anchorwatch.io.access import access
from anchorwatch.io.account import AccountCalls
from anchorwatch.io.alerts import Alerts
from anchorwatch.io.birth import Birth, StrategyChoice
from anchorwatch.io.channels import Intake, channels_of
from anchorwatch.io.drift_report import DriftReport
from anchorwatch.io.in_flight import InFlight
from anchorwatch.io.journal import Journal, JournalError, open_journal
from anchorwatch.io.keeper import Keeper
from anchorwatch.io.links import Links
from anchorwatch.io.mailbox import Mailbox
from anchorwatch.io.okx.clock_offset import ClockOffset
from anchorwatch.io.okx.environments import Credentials, Endpoints, Environment, endpoints
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.patience import Patience
from anchorwatch.io.perform import Performer
from anchorwatch.io.run_options import RunOptions
from anchorwatch.io.seams import ASK_SIGNALS, Seams, asks, interrupts, real_seams, virtual_seams
from anchorwatch.io.settings import Settings
from anchorwatch.io.status import StatusFile, status_of
from anchorwatch.io.tape import Tape
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.io.timers import Timers
from anchorwatch.io.venue_watch import VenueWatch
from anchorwatch.io.views import view_of
from anchorwatch.machine import ids, lifecycle, permission, reconciliation, world
from anchorwatch.machine.bot import LIFECYCLE, PERMISSION, RECONCILIATION, Address, Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Told
from anchorwatch.machine.facts import Facts, GenerationFact, HandsOffFact
from anchorwatch.machine.kernel import Effect, Event, Move
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.requests import Record
from anchorwatch.machine.units import Conduct

TICK_S = 1.0
"""How often ages and silences are looked at, in venue time."""

SLEPT_S = 5.0
"""The two clocks of a host agree within milliseconds; a step of this size is a sleep, or a hand on the clock."""

LAG_ALARM_S = 2.0
"""An event that waits this long for the loop is an alarm: the unprotected time that is allowed is 5 s."""

STORM_CRASHES = 3
STORM_MS = 600_000
"""Three crashes in ten minutes: what crashes is in the trading, so the next life only protects."""

GROUP_MAX = 64
"""Events that waited for one another and are taken together: while one commit is under way, what arrives shares the
next. More would let the first of them wait for the last to be thought about."""

MARKET_OVER = "the market file is over"


class Engine:
    """One life of the bot, from the first event to the exit code. Use `run` once."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        *,
        seams: Seams,
        endpoints: Endpoints,
        credentials: Credentials | None,
        journal: Journal,
        tls: ssl.SSLContext | None = None,
        flatten: bool = False,
        strategy: StrategyChoice | None = None,
        tape: Path | None = None,
        status: StatusFile | None = None,
        patience: Patience | None = None,
    ) -> None:
        """With ``strategy``, it decides on every instrument, whatever the settings choose.

        ``tape`` is where every event is recorded; raises OSError when it cannot be opened. ``status`` is what
        `anchorwatch explain` reads. Without ``patience`` a strategy may take as long as it likes.
        """
        self._settings = settings
        self._telemetry = telemetry
        self._seams = seams
        self._endpoints = endpoints
        self._credentials = credentials
        self._journal = journal
        self._tls = tls
        self.mailbox = Mailbox()
        self._venue_watch = VenueWatch(self.mailbox.put, settings.venue.kind)
        self.intake = Intake(self.mailbox, note_status=self._venue_watch.note_push)
        # First of all: a stop may be asked for before the loop takes its first event, and it comes after this.
        self.mailbox.put_first(Told(LIFECYCLE, lifecycle.StartRequested()))
        generation = seams.token(ids.GENERATION_LENGTH)
        self._generation = GenerationFact(generation, seams.wall_ms())
        facts = journal.read()
        conduct = settings.account.mode
        if conduct is Conduct.TRADE and storms(facts, seams.wall_ms()):
            telemetry.alarm(
                "STORM",
                reason=f"{STORM_CRASHES} crashes within {STORM_MS // 60_000} min: this life only guards",
            )
            conduct = Conduct.GUARD
        birth = Birth(
            settings=settings,
            facts=facts,
            generation=generation,
            conduct=conduct,
            flatten=flatten,
            strategy=strategy,
        )
        self._patience = patience
        self.desk = birth.desk(patience.asker) if patience is not None else birth.desk()
        self._tape = Tape(tape, birth) if tape is not None else None
        # Told of every event and of what the desk answered: for whoever watches a life from outside.
        self.on_answer: Callable[[Event, Sequence[Effect]], None] = lambda _event, _effects: None
        alerts = settings.alerts
        self.alerts = Alerts(
            alerts.webhook_url,
            alerts.heartbeat_url,
            alerts.heartbeat_s,
            note=lambda words: telemetry.warn("ALERTS", reason=words),
            tls=tls,
        )
        telemetry.on_alarm = self.alerts.raise_alarm
        self._status = status
        self._now_ms: Callable[[], int] = seams.wall_ms
        self._taken_at = trio.current_time()
        self._connected_ms: dict[str, int] = {}
        self._in_flight: InFlight | None = None

    def compare_now(self) -> None:
        """Compare the book with the exchange now; nothing happens while a reading is under way or due."""
        self.mailbox.put(Told(RECONCILIATION, reconciliation.CheckDue()))

    def connect_now(self) -> None:
        """Try every connection that is refused or waits, now: what kept it out has been put right."""
        self.mailbox.put(world.ConnectAsked())

    def clear_halt(self) -> None:
        """The operator has looked at the halt that an earlier life left, and lifts it."""
        self.mailbox.put(Told(PERMISSION, permission.HaltCleared()))

    def request_stop(self, reason: str) -> None:
        """Ask for the orderly stop (R10)."""
        self.mailbox.put_first(Told(LIFECYCLE, lifecycle.StopRequested(reason)))

    @property
    def generation(self) -> str:
        """What the client ids of this life carry."""
        return self._generation.token

    def writes_under_way(self) -> int:
        """How many requests that change the account have no answer yet."""
        return self._in_flight.writes() if self._in_flight is not None else 0

    async def run(self) -> Exit:
        """Live until the stop is through. Raises whatever the desk raises: a defect of ours."""
        try:
            self._journal.record([self._generation])
        except JournalError as error:
            # A full disk keeps nobody from protecting what is open; entries need their intents recorded anyway.
            self._telemetry.alarm("JOURNAL_FAILED", reason=str(error))
            self._journal.owe([self._generation])
        watches = self._settings.account.mode is Conduct.WATCH
        rest = OkxRest(
            self._endpoints, self._credentials, self._seams.wall_ms, tls=self._tls, reads_only=watches
        )
        rest.tell_clock(self._take_clock)
        self._now_ms = rest.venue_now_ms
        self._telemetry.follow(self._now_ms)
        background = trio.CancelScope()
        async with AsyncExitStack() as rest_stack:
            if self._tape is not None:
                rest_stack.callback(self._tape.close)
            await rest_stack.enter_async_context(rest)
            async with trio.open_nursery() as performers:
                keeper = self._set_up(rest, rest_stack, background, performers)
                performers.start_soon(self._in_background, background, rest, name="background")
                await self._loop(keeper)
                performers.cancel_scope.cancel()
        await self.alerts.say_last_words()
        assert keeper.exit is not None
        if keeper.exit is Exit.CLEAN:
            stopped = GenerationFact(
                self._generation.token, self._generation.started_at_ms, self._seams.wall_ms()
            )
            try:
                self._journal.record([stopped])
            except JournalError as error:
                # The next life takes this one for crashed, and looks twice.
                self._telemetry.alarm("JOURNAL_FAILED", reason=str(error))
        self._sum_up()
        self._show(self._now_ms())
        if self._status is not None:
            self._say_status(self._status, self._now_ms())
        return keeper.exit

    def _set_up(
        self,
        rest: OkxRest,
        rest_stack: AsyncExitStack,
        background: trio.CancelScope,
        performers: trio.Nursery,
    ) -> Keeper:
        timers = Timers(performers, self.mailbox.put)
        in_flight = self._in_flight = InFlight(performers, self.mailbox.put)
        links = Links(
            performers,
            endpoints=self._endpoints,
            credentials=self._credentials,
            tls=self._tls,
            channels=channels_of(self._settings),
            venue_now_ms=rest.venue_now_ms,
            measure_clock=rest.server_time,
            report=self._report_link,
            consume=self.intake.take,
        )
        keeper = Keeper(
            nursery=performers,
            background=background,
            settings=self._settings,
            mailbox=self.mailbox,
            in_flight=in_flight,
            timers=timers,
            links=links,
            rest=rest,
            rest_stack=rest_stack,
            telemetry=self._telemetry,
            now_ms=self._now_ms,
        )
        account = self._settings.account
        self._performer = Performer(
            in_flight=in_flight,
            mailbox=self.mailbox,
            timers=timers,
            links=links,
            rest=rest,
            calls=AccountCalls(rest, account.position_mode, account.margin_mode),
            journal=self._journal,
            telemetry=self._telemetry,
            desk=self.desk,
            keeper=keeper,
            drift_report=DriftReport(
                self._settings.reconcile.report_file,
                note=lambda words: self._telemetry.warn("DRIFT_REPORT", reason=words),
            ),
        )
        return keeper

    async def _loop(self, keeper: Keeper) -> None:
        while keeper.exit is None:
            event = await self.mailbox.get()
            self._taken_at = trio.current_time()
            self._take(event, *self.mailbox.take_waiting(GROUP_MAX - 1))

    def _take(self, *events: Event) -> None:
        """What happened, in its order, to its end. Nothing here may wait.

        All of it is decided before any of it is done, so that its facts are written to the disk at once. What was
        decided before a defect is done all the same: it may be a stop.
        """
        now_ms = self._now_ms()
        asked: list[Effect] = []
        try:
            for event in events:
                asked += self._answer(event, now_ms)
        finally:
            self._do(now_ms, asked)
        if self._telemetry.wants_view():
            self._show(now_ms)
        if self._status is not None and self._status.is_due():
            self._say_status(self._status, now_ms)

    def _do(self, now_ms: int, effects: Sequence[Effect]) -> None:
        recorded = self._performer.record([one for one in effects if isinstance(one, Record)])
        for effect in effects:
            if isinstance(effect, Move):
                self._log(now_ms, effect)
            elif isinstance(effect, Record):
                self._performer.tell_recorded(effect, is_durable=recorded)
            else:
                self._performer.perform(effect)

    def _answer(self, event: Event, now_ms: int) -> tuple[Effect, ...]:
        """What the desk says to it; on the tape, when there is one, also what it raises."""
        try:
            answer = self.desk.handle(event, now_ms)
        except BaseException as error:
            if self._tape is not None:
                self._tape.take_defect(event, now_ms, error)
            raise
        if self._tape is not None:
            overran = self._patience.taken() if self._patience is not None else None
            self._tape.take(event, now_ms, answer, overran)
        self.on_answer(event, answer)
        return answer

    def _show(self, now_ms: int) -> None:
        recent = tuple(self._telemetry.recent)
        self._telemetry.show(view_of(self.desk, now_ms, recent, self._connected_ms))

    def _say_status(self, file: StatusFile, now_ms: int) -> None:
        status = status_of(self.desk, self._settings.venue.kind.value, now_ms=now_ms)
        file.write(status, self._telemetry.redaction.text)

    def _log(self, now_ms: int, move: Move) -> None:
        if move.machine == Part.CONNECTION.value:
            self._connected_ms[move.id] = now_ms
        if move.machine != Part.RECONCILIATION.value:
            self._telemetry.transition(now_ms, move)
            return
        routine = "CHECKING" in (move.source, move.dest) and not move.cause
        say = self._telemetry.debug if routine else self._telemetry.say
        say("reconciliation", moved=f"{move.source} → {move.dest}", cause=move.cause)

    def _take_clock(self, clock: ClockOffset) -> None:
        self.mailbox.put(world.ClockMeasured(clock.offset_ms, clock.jump_ms))

    def _report_link(self, name: Name, event: Event) -> None:
        self.mailbox.put(Told(Address(Part.CONNECTION, link=name), event))

    async def _in_background(self, scope: trio.CancelScope, rest: OkxRest) -> None:
        """What watches and ticks; the stop ends it with the safety modules (R10.2)."""
        with scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tick, name="clock ticks")
                nursery.start_soon(self._watch_the_loop, name="watchdog")
                nursery.start_soon(rest.keep_warm, name="warm connections")
                nursery.start_soon(self._venue_watch.run, rest, name="venue watch")
                nursery.start_soon(self.alerts.run, name="alerts")

    async def _tick(self) -> None:
        apart_s = self._clocks_apart_s()
        while True:
            await trio.sleep(TICK_S)
            was_s, apart_s = apart_s, self._clocks_apart_s()
            if abs(apart_s - was_s) > SLEPT_S:
                self.mailbox.put(world.ClocksParted(apart_s - was_s))
            self.mailbox.put_market("clock", "", world.ClockTicked())

    def _clocks_apart_s(self) -> float:
        """How far the wall clock is ahead of the one that only counts; while a host sleeps the latter stands still."""
        return self._seams.wall_ms() / 1000 - trio.current_time()

    async def _watch_the_loop(self) -> None:
        """The loop must take what waits: a clock tick always does, so it is never long without an event."""
        while True:
            await trio.sleep(LAG_ALARM_S)
            lag_s = trio.current_time() - self._taken_at
            if len(self.mailbox) and lag_s > LAG_ALARM_S:
                self._telemetry.alarm("LOOP_LAGS", seconds=lag_s, waiting=len(self.mailbox))

    def _sum_up(self) -> None:
        totals, summary = self.desk.context.book.totals, self._telemetry.summary
        summary.orders, summary.fills = totals.orders, totals.fills
        summary.positions_opened, summary.positions_closed = totals.positions_opened, totals.positions_closed
        summary.realised_pnl, summary.fees = totals.realised_pnl, totals.fees
        summary.funding = totals.funding
        summary.unprotected_total_s = totals.uncovered_ms_total / 1000
        summary.unprotected_max_s = totals.uncovered_ms_max / 1000
        summary.drifts = totals.drifts
        summary.decisions = dict(sorted(self.desk.context.book.decisions.items()))


def storms(facts: Facts, now_ms: int) -> bool:
    """Whether the last lives ended in crashes, one soon after the other."""
    last = facts.generations[-STORM_CRASHES:]
    return len(last) == STORM_CRASHES and all(
        life.clean_stop_at_ms is None and now_ms - life.started_at_ms <= STORM_MS for life in last
    )


async def run_bot(settings: Settings, options: RunOptions, telemetry: Telemetry) -> Exit:
    """Run the bot on the venue of the settings until it is stopped. The command line's way in.

    Raises `BadMarketFile` and `JournalError` for what the user can mend.
    """
    if settings.venue.kind in (Environment.SIM, Environment.PAPER):
        return await _run_embedded(settings, options, telemetry)
    where, credentials = access(settings)
    tls = ssl.create_default_context()
    return await _live(settings, options, telemetry, real_seams(), where, credentials, tls=tls, venue=None)


async def _run_embedded(settings: Settings, options: RunOptions, telemetry: Telemetry) -> Exit:
    is_paper = settings.venue.kind is Environment.PAPER
    wall = real_seams()
    stage = embedded.market_of(settings, options, wall_ms=wall.wall_ms() if is_paper else None)
    seams = wall if is_paper else virtual_seams(stage.start_ms, options.seed, since_s=trio.current_time())
    telemetry.follow(seams.wall_ms)
    telemetry.say("market", source=stage.words, speed=options.speed or 1)
    async with embedded.embedded_venue(stage, now_ms=seams.wall_ms) as venue:
        where = endpoints(settings.venue.kind, rest_url=venue.rest_url, ws_url=venue.ws_url)
        return await _live(
            settings, options, telemetry, seams, where, venue.credentials, tls=None, venue=venue
        )


async def _live(
    settings: Settings,
    options: RunOptions,
    telemetry: Telemetry,
    seams: Seams,
    where: Endpoints,
    credentials: Credentials | None,
    *,
    tls: ssl.SSLContext | None,
    venue: embedded.Embedded | None,
) -> Exit:
    account = credentials.key if credentials is not None else ""
    with (
        open_journal(settings.journal.file, settings.venue.kind.value, account) as journal,
        StatusFile(options.status, lambda words: telemetry.say("STATUS_FILE", reason=words)) as status,
        Patience(settings.strategy.within_s) as patience,
    ):
        journal.record(
            [
                *(HandsOffFact(instrument, True) for instrument in options.hands_off),
                *(HandsOffFact(instrument, False) for instrument in options.hands_on),
            ]
        )
        engine = Engine(
            settings,
            telemetry,
            seams=seams,
            endpoints=where,
            credentials=credentials,
            journal=journal,
            tls=tls,
            flatten=options.flatten,
            tape=options.tape,
            status=status,
            patience=patience,
        )
        if options.clear_halt:
            engine.clear_halt()
        exit_ = Exit.STOPPED_AT_ONCE
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_take_signals, engine, nursery.cancel_scope)
            if ASK_SIGNALS:
                nursery.start_soon(_take_asks, engine)
            if options.for_s is not None:
                nursery.start_soon(_stop_after, engine, options.for_s)
            if venue is not None:
                nursery.start_soon(_stop_with_the_market, engine, venue)
            exit_ = await engine.run()
            nursery.cancel_scope.cancel()
        return exit_


async def _take_asks(engine: Engine) -> None:
    """SIGUSR1 asks for a comparison with the exchange, SIGUSR2 for another try of what it has refused."""
    async with asks() as arriving:
        async for number in arriving:
            if number == signal.SIGUSR1:
                engine.compare_now()
            else:
                engine.connect_now()


async def _take_signals(engine: Engine, everything: trio.CancelScope) -> None:
    """The first signal asks for the orderly stop; a second one ends at once, and the exit code says so."""
    async with interrupts() as arriving:
        asked = 0
        async for number in arriving:
            asked += 1
            if asked > 1:
                everything.cancel()
                return
            engine.request_stop(f"signal {signal.Signals(number).name}")


async def _stop_after(engine: Engine, seconds: float) -> None:
    await trio.sleep(seconds)
    engine.request_stop(f"the run's {seconds:g} s are over")


async def _stop_with_the_market(engine: Engine, venue: embedded.Embedded) -> None:
    """A recorded market ends; trading on a price that stands still would be a fiction."""
    while not venue.venue.market.is_over:  # noqa: ASYNC110 – the market is advanced by the venue, not by us
        await trio.sleep(TICK_S)
    engine.request_stop(MARKET_OVER)
