"""One match: effect → task. No decisions.

Everything that takes time runs as a task whose end is exactly one event in the mailbox.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from anchorwatch.io import stages
from anchorwatch.io.account import AccountCalls
from anchorwatch.io.drift_report import DriftReport
from anchorwatch.io.in_flight import InFlight
from anchorwatch.io.journal import Journal, JournalError
from anchorwatch.io.keeper import Keeper
from anchorwatch.io.links import Links
from anchorwatch.io.mailbox import Mailbox
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.io.timers import Timers
from anchorwatch.machine import connection, lifecycle, reconciliation, requests, world
from anchorwatch.machine.bot import (
    LIFECYCLE,
    RECONCILIATION,
    Addressed,
    Bot,
    may_still_amend,
    may_still_send,
)
from anchorwatch.machine.desk import Desk, Told
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.order import Role

LastLook = Callable[[], bool]
"""Asked when the first byte is about to be written: is this request still wanted?"""


def look_at_order(
    ticket: requests.OrderTicket, bot: Callable[[], Bot], now_ms: Callable[[], int]
) -> LastLook:
    """An entry goes out only while every lock is open, still, and before its deadline; a close always."""

    def still_wanted() -> bool:
        if ticket.role is Role.CLOSE:
            return True
        return now_ms() < ticket.expires_ms and not may_still_send(bot(), ticket.leg, ticket.seq)

    return still_wanted


def look_at_amendment(
    effect: requests.AmendOrder, bot: Callable[[], Bot], now_ms: Callable[[], int]
) -> LastLook:
    """The same for another price of an entry that rests."""

    def still_wanted() -> bool:
        ticket = effect.ticket
        return now_ms() < effect.expires_ms and not may_still_amend(bot(), ticket.leg, ticket.seq)

    return still_wanted


class Performer:
    """Carries out what the desk asks for."""

    def __init__(
        self,
        *,
        in_flight: InFlight,
        mailbox: Mailbox,
        timers: Timers,
        links: Links,
        rest: OkxRest,
        calls: AccountCalls,
        journal: Journal,
        telemetry: Telemetry,
        desk: Desk,
        keeper: Keeper,
        drift_report: DriftReport,
    ) -> None:
        self._in_flight = in_flight
        self._mailbox = mailbox
        self._timers = timers
        self._links = links
        self._rest = rest
        self._calls = calls
        self._journal = journal
        self._telemetry = telemetry
        self._desk = desk
        self._keeper = keeper
        self._drift_report = drift_report

    def perform(self, effect: Effect) -> None:
        match effect:
            case Addressed(_, inner):
                self._perform_addressed(inner)
            case requests.StartTimer(key, seconds, address, event):
                self._timers.start(key, seconds, Told(address, event))
            case requests.CancelTimer(key):
                self._timers.cancel(key)
            case requests.Announce(level, name, fields):
                self._announce(level, name, dict(fields))
            case requests.PlaceOrder(ticket):
                self._in_flight.write(self._calls.place_order, ticket, self._look_at_order(ticket))
            case requests.CancelOrder(ticket):
                self._in_flight.write(self._calls.cancel_order, ticket)
            case requests.AmendOrder(ticket):
                self._in_flight.write(self._calls.amend_order, effect, self._look_at_amendment(effect))
            case requests.CancelAllAfter():
                self._in_flight.write(self._calls.cancel_all_after, effect)
            case requests.QueryOrder(ticket, within_s):
                self._in_flight.read(self._calls.query_order, ticket, within_s)
            case requests.PlaceStop():
                self._in_flight.write(self._calls.place_stop, effect)
            case requests.MoveStop():
                self._in_flight.write(self._calls.move_stop, effect)
            case requests.CancelOrphan():
                self._in_flight.write(self._calls.cancel_orphan, effect)
            case requests.CancelCloses():
                self._in_flight.write(self._calls.cancel_closes, effect)
            case requests.CancelStops():
                self._in_flight.write(self._calls.cancel_stops, effect)
            case requests.ReadStops():
                self._in_flight.read(self._calls.read_stops, effect)
            case requests.ReadLeg():
                self._in_flight.read(self._calls.read_leg, effect)
            case requests.ExplainAbsence():
                self._in_flight.read(self._calls.explain_absence, effect)
            case requests.ReadOwnOrders():
                self._in_flight.read(self._calls.read_own_orders, effect)
            case requests.ReloadRules():
                self._in_flight.read(self._calls.reload_rules, effect)
            case requests.ReadPeak():
                self._in_flight.read(self._calls.read_peak, effect)
            case requests.LoadHistory():
                self._in_flight.read(self._load_history, effect)
            case requests.AuditStops(epoch):
                self._in_flight.read(self._audit, epoch)
            case _:
                raise AssertionError(f"nothing performs {type(effect).__name__}")

    def _perform_addressed(self, effect: Effect) -> None:
        match effect:
            case connection.OpenSocket():
                self._links.open(effect)
            case connection.LogIn():
                self._links.log_in(effect)
            case connection.Subscribe():
                self._links.subscribe(effect)
            case connection.StartListening():
                self._links.listen(effect)
            case connection.SendPing():
                self._links.ping(effect)
            case connection.AbandonEpoch():
                self._links.abandon(effect)
            case reconciliation.ReadAccount(seq, is_last):
                look = self._calls.look_once_more if is_last else self._calls.read_account
                self._in_flight.read(self._read_account, seq, look)
            case lifecycle.RunStage():
                self._keeper.run(effect)
            case lifecycle.EndStage():
                self._keeper.end(effect)
            case lifecycle.RunStopStep():
                self._keeper.run_step(effect)
            case lifecycle.RecordStopStep():
                self._keeper.end_step(effect)
            case lifecycle.EndProcess(exit):
                self._keeper.finish(exit)
            case _:
                raise AssertionError(f"nothing performs {type(effect).__name__}")

    def record(self, effects: Sequence[requests.Record]) -> bool:
        """Make the facts of all of these durable in one transaction; says whether they are.

        Nothing is awaited, so what depends on the facts cannot overtake them. What could not be written goes with
        the next record: an end that is forgotten for good would be heard of again by the next life, and counted twice.
        """
        facts = [fact for effect in effects for fact in effect.facts]
        try:
            self._journal.record(facts)
        except JournalError as error:
            self._journal.owe(facts)
            self._telemetry.alarm("JOURNAL_FAILED", reason=str(error))
            return False
        return True

    def tell_recorded(self, effect: requests.Record, *, is_durable: bool) -> None:
        """Whoever waits for these facts hears what became of them."""
        outcome = effect.done if is_durable else effect.failed
        if effect.address is not None and outcome is not None:
            self._mailbox.put(Told(effect.address, outcome))

    def _announce(self, level: str, name: str, fields: dict[str, str]) -> None:
        say = {"info": self._telemetry.say, "warning": self._telemetry.warn, "alarm": self._telemetry.alarm}
        say[level](name, **fields)
        self._drift_report.take(self._rest.venue_now_ms(), name, fields)

    def _look_at_order(self, ticket: requests.OrderTicket) -> LastLook:
        return look_at_order(ticket, lambda: self._desk.bot, self._rest.venue_now_ms)

    def _look_at_amendment(self, effect: requests.AmendOrder) -> LastLook:
        return look_at_amendment(effect, lambda: self._desk.bot, self._rest.venue_now_ms)

    async def _audit(self, epoch: int) -> Event:
        reading = await self._calls.read_account()
        if isinstance(reading, str):
            return Told(LIFECYCLE, lifecycle.StageFailed(epoch, reading))
        return world.AuditRead(epoch, reading)

    async def _load_history(self, request: requests.LoadHistory) -> Event:
        name, timeframe = request.instrument, request.timeframe
        span = {"start_ms": request.from_ms, "end_ms": request.to_ms}
        loaded = await stages.history(self._rest, name, timeframe, **span)
        if isinstance(loaded, stages.End):
            return world.HistoryMissed(name, timeframe, loaded.reason)
        return loaded

    async def _read_account(
        self, seq: int, read: Callable[[], Awaitable[world.AccountReading | str]]
    ) -> Event:
        reading = await read()
        if isinstance(reading, str):
            return Told(RECONCILIATION, reconciliation.ReadingFailed(seq, reading))
        return world.AccountRead(seq, reading)
