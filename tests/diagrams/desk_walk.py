"""Walks of the check's world on the real desk: what the model calls a step, told to the desk in reports.

The model says what the venue does and what reaches the bot; here each of its steps becomes the
report, answer or timer that a real desk would be given. After every step the machines of the desk
must stand where those of the model stand, and the book must hold what the model says it holds.
A process that dies leaves a journal, and another desk is born with what it remembers.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import msgspec

from anchorwatch.diagrams.check import process
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.leg import Leg, Report, Shown
from anchorwatch.diagrams.check.model import DIES, DIES_WITH_DISK
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets, Tell, addressed, facets
from anchorwatch.io.journal import Journal, open_journal
from anchorwatch.machine import (
    connection,
    lifecycle,
    order,
    position,
    protection,
    reconciliation,
    requests,
    world,
)
from anchorwatch.machine.book import Portion, Pursuit
from anchorwatch.machine.bot import LIFECYCLE, RECONCILIATION, EntryWanted, Part
from anchorwatch.machine.desk import Told
from anchorwatch.machine.facts import GenerationFact
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.order import Role
from anchorwatch.machine.parameters import Making, Pace
from anchorwatch.machine.protection import Refusal
from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.units import Contracts, OrderKind, Price, closing_deal, opening_deal
from anchorwatch.machine.world import OrderReport, OrderState, StopReport, StopState
from tests.machine.desk_rig import BTC, ENTRY, LONG, START_MS, of
from tests.machine.journalled import JournalledRig

STEP_DONE = Tell(Part.LIFECYCLE, lifecycle.StopStepEnded, (("outcome", lifecycle.Outcome.DONE),))
"""What the model answers at once to every step of a stop but the first."""

UNIT = Contracts(Decimal(1))
"""What the model counts as one."""

STRANGERS = ("somebody adds to the position, or opens one", "somebody takes theirs", "somebody takes of ours")

NAMES = {"entry": Role.ENTRY, "close": Role.CLOSE}
ANSWERS_TO_MOVES: dict[str, type[protection.OfStop]] = {
    "accepted": protection.MoveAccepted,
    "refused": protection.MoveRefused,
    "answer lost": protection.StopAnswerLost,
}
ANSWERS_TO_AMENDMENTS: dict[str, type[order.OfOrder]] = {
    "accepted": order.AmendAcknowledged,
    "refused": order.AmendRefused,
    "answer lost": order.AmendFruitless,
}
ANSWERS: dict[str, type[order.OfOrder]] = {
    "accepted": order.OrderAcknowledged,
    "refused": order.OrderRefused,
    "answer lost": order.AnswerLost,
    "denied": order.WriteDenied,
}
REFUSALS = {
    "refused": Refusal.RETRY,
    "refused: beyond": Refusal.BEYOND,
    "refused: exists": Refusal.EXISTS,
    "refused: no position": Refusal.NO_POSITION,
    "refused: the instrument's rules": Refusal.RULES,
    "refused: no stops for now": Refusal.BARRED,
}
STATES = {"live": StopState.LIVE, "gone": StopState.CANCELLED, "triggered": StopState.TRIGGERED}
TIMERS = {
    "the entry is overdue": "overdue {leg}:entry",
    "the close is overdue": "overdue {leg}:close",
    "time to ask for the entry again": "query {leg}:entry",
    "time to ask for the close again": "query {leg}:close",
    "time to try the stop again": "stop {leg}",
    "naked for too long": "naked {leg}",
    "the triggered stop is overdue": "fill {leg}",
    "time to ask again for the cause": "confirm {leg}",
}


class Walked(JournalledRig):
    """A contract of the model is one contract here."""

    def __init__(
        self, journal: Journal, bounds: Bounds, kind: OrderKind, generation: int, now_ms: int
    ) -> None:
        super().__init__(
            journal,
            generation,
            now_ms,
            making=Making(kind),
            is_exclusive=not bounds.shared,
            connecting=connection.Limits(attempts_max=bounds.attempts_max),
            pace=Pace(move_interval_s=0) if bounds.shared else None,
        )


class DeskWalk:
    """One bot that is walked, over its lives. ``seen`` are the facets of it that the model has too."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._kind = OrderKind.POST_ONLY if bounds.rests else OrderKind.MARKET
        self._journal = open_journal(None, "demo", "walked")
        self._journal.record(
            [GenerationFact("before", START_MS - 1)]
        )  # no first start: something is remembered
        self._lives = 0
        self.rig = self._born(START_MS)
        self._tickets: dict[Role, OrderTicket] = {}
        self._stop_ids = ["", ""]  # the stop that is meant, and the one before it
        self._levels: dict[str, Price] = {}  # of stops, by client id
        self._asked_level = Price(ENTRY)
        self._child = 0
        self._child_stop = ""
        self._child_base = 0  # fills of the child that the model has left out, once they were told
        self._changed_ms: dict[tuple[str, Report], int] = {}
        self._position_ms = self._opened_ms = self.rig.now_ms
        self._strangers: deque[tuple[int, int]] = deque()  # their trades that were not heard of: change, time
        self._traded = 0
        self._filled: dict[
            str, OrderReport
        ] = {}  # what the venue's history has of our own orders, by client id

    def _born(self, now_ms: int) -> Walked:
        self._lives += 1
        born = Walked(self._journal, self._bounds, self._kind, self._lives, now_ms)
        self._journal.record([GenerationFact(f"life{self._lives}", now_ms)])
        return born

    def step(self, label: str, before: Leg, shell: Shell, after: Leg) -> None:
        """Do on the desk what the model calls ``label``, where leg and shell are ``before`` and ``shell``."""
        self.rig.now_ms += 40  # reports are told apart by their times; timers are the model's to fire
        if label == DIES_WITH_DISK:
            self._journal = open_journal(None, "demo", "walked")
        if label in (DIES, DIES_WITH_DISK):
            self.rig = self._born(self.rig.now_ms)
            if not after.remembered:  # what nobody remembers nobody means
                self._stop_ids = ["", self._stop_ids[0] or self._stop_ids[1]]
        elif label == "the bot starts":
            self.rig.tell(LIFECYCLE, lifecycle.StartRequested())
            self._answer_at_once(before)
            self.rig.mark(ENTRY)
        elif label == "the candles are loaded":
            *_, stage = self.rig.taken(lifecycle.RunStage)  # the stages before it ask for other things
            self.rig.say(*self.rig.answers(stage))
        elif not self._say(label, before):
            self._happen(label, shell)
        self._answer_at_once(before)
        self._look()
        self._note(label, before, after)

    def _happen(self, label: str, shell: Shell) -> None:
        """What happens to the bot as a whole, in the model's own words."""
        rig = self.rig
        for one in process.happenings(rig.bot, facets(rig.bot), shell, self._bounds):
            if one.label == label:
                for item in one.items:
                    assert isinstance(item, Tell), f"{label} tells machines"
                    rig.tell(*addressed(rig.bot, item))

    def _answer_at_once(self, leg: Leg) -> None:
        """What takes no time in the model: stages, audits and what a connection does when it opens."""
        while asked := next((one for one in self.rig.asked if self._takes_no_time(one)), None):
            self.rig.asked.remove(asked)
            if isinstance(asked, lifecycle.RunStopStep):
                self.rig.tell(*addressed(self.rig.bot, STEP_DONE))
            else:
                self.rig.say(*self.rig.answers(asked, self._reading(leg)))

    def _takes_no_time(self, effect: Effect) -> bool:
        if isinstance(effect, lifecycle.RunStage):
            return effect.stage in (lifecycle.S.INIT, lifecycle.S.CLIENT)
        if isinstance(effect, connection.OpenSocket | connection.LogIn | connection.Subscribe):
            return effect.name not in self._bounds.detailed
        if isinstance(effect, lifecycle.RunStopStep):
            return effect.step is not lifecycle.StopStep.TRADING_CONTROL
        return isinstance(effect, requests.AuditStops)

    def seen(self) -> tuple[object, ...]:
        return (*comparable(facets(self.rig.bot)), self._units())

    def _units(self) -> object:
        known = self.rig.desk.context.book.legs.get(LONG)
        if known is None:
            return (0, 0) if self._bounds.shared else 0
        if not self._bounds.shared:
            return int(known.contracts)
        is_ours = self.rig.slot().position.state in position.OURS
        ours = known.contracts if is_ours else Decimal(0)
        return ours / UNIT, (known.total - ours) / UNIT

    # What the venue has done, which nobody is told yet.

    def _look(self) -> None:
        for place in self.rig.taken(requests.PlaceOrder):
            self._tickets[place.ticket.role] = place.ticket
        for stop in self.rig.taken(requests.PlaceStop):
            self._levels[stop.client_id] = Price(stop.trigger)
        for move in self.rig.taken(requests.MoveStop):
            self._asked_level = Price(move.trigger)
        known = self.rig.desk.context.book.legs.get(LONG)
        before = self._stop_ids
        meant = known.stop_client_id if known is not None else before[0]
        if meant != before[0]:
            self._stop_ids = [meant, before[0] if meant == before[1] else before[0] or before[1]]

    def _note(self, label: str, before: Leg, after: Leg) -> None:
        for name in ("entry", "close", "child"):
            was, now = getattr(before, name), getattr(after, name)
            if now.at is not was.at or now.filled != was.filled:
                self._changed_ms[name, now.report] = self.rig.now_ms
            for push in now.pushes:
                self._changed_ms.setdefault((name, push), self.rig.now_ms)
        self._keep_fills(before, after)
        if after.child.size:
            filled = before.held - after.held if label.startswith("the child fills") else 0
            self._child_base += before.child.filled + filled - after.child.filled
        if after.held != before.held:
            self._position_ms = self.rig.now_ms
            if not before.held:
                self._opened_ms = self.rig.now_ms
        if label in STRANGERS and len(after.news) > len(before.news):
            self._strangers.append((after.news[-1], self.rig.now_ms))
        if not after.news:
            self._strangers.clear()
        if label == "the venue moves the stop":
            self._levels[self._stop_ids[0]] = self._asked_level
        if label in ("the stop triggers", "another stop of ours triggers", "somebody closes the position"):
            if not before.child.pushes:  # while some are under way the model keeps two as one
                self._child += 1
                self._child_base = 0
            self._child_stop = self._stop_ids[label.startswith("another")] if "triggers" in label else ""

    def _keep_fills(self, before: Leg, after: Leg) -> None:
        for name in ("entry", "close", "child"):
            now = getattr(after, name)
            if now.filled and (now.at, now.filled) != (
                getattr(before, name).at,
                getattr(before, name).filled,
            ):
                report = self._report(name, now.report)
                self._filled[report.client_id] = report

    # What reaches the desk.

    def _say(self, label: str, before: Leg) -> bool:
        """Tell the desk what the model calls so; False: it is nothing that a leg is told."""
        rig, words = self.rig, label
        if words == "the strategy wants to enter":
            book = rig.desk.context.book
            book.entry_sizes[LONG] = Contracts(UNIT * self._bounds.size)
            rests = self._kind is OrderKind.POST_ONLY
            first = Price(ENTRY) if rests else None
            book.pursuits[LONG] = Pursuit(first, self._kind, until_ms=rig.now_ms + 60_000)
            rig.tell(of(Part.ENTRY), EntryWanted(rests))
        elif words == "the market moves away from the entry":
            pursuit = rig.desk.context.book.pursuits[LONG]
            pursuit.aim = Price((pursuit.aim or ENTRY) + 1)
            self._tell_order(Role.ENTRY, order.RepriceWanted)
        elif words == "the strategy wants to close":
            rig.tell(of(Part.POSITION), position.CloseWanted("the strategy"))
        elif words == "the strategy wants to take a part":
            rig.leg().portion = Portion(Contracts(Decimal(1)), "the strategy")
            rig.tell(of(Part.POSITION), position.ReduceWanted("the strategy"))
        elif words in TIMERS:
            key = TIMERS[words].format(leg=LONG)
            assert key in rig.timers, f"{key} runs on the desk: {sorted(rig.timers)}"
            rig.say(rig.timers.pop(key)[1])
        elif words.startswith(("push: the stop is ", "push: another stop is ")):
            is_mine = words.startswith("push: the stop")
            stop = before.mine if is_mine else before.other
            rig.say(world.StopPushed(self._stop(is_mine, STATES[words.rpartition(" ")[2]], stop.size)))
        elif words.startswith("push: somebody has "):
            rig.say(world.OrderPushed(self._strangers_report()))
        elif words == "answer: our own orders and their fills":
            rig.say(world.OwnOrdersRead(LONG, tuple(self._filled.values())))
        elif words == "answer: our own orders could not be read":
            rig.say(world.OwnOrdersRead(LONG, None))
        elif words.startswith(("time to look at the size", "time to see that the stop")):
            rig.say(world.ClockTicked())
        elif words.startswith("push: the "):
            name = words.split()[2]
            rig.say(world.OrderPushed(self._report(name, getattr(before, name).pushes[0])))
        elif words == "a better level is wanted":
            leg = rig.leg()
            leg.moving_to = Price((leg.resting or self._levels[leg.stop_client_id]) + 10)
            rig.tell(of(Part.PROTECTION), protection.MoveWanted())
        elif words.startswith("answer to the move: "):
            moved = ANSWERS_TO_MOVES[words.partition(": ")[2]]
            rig.tell(of(Part.PROTECTION), moved(rig.slot().protection.data.seq))
        elif words.startswith("answer to the stop: "):
            self._answer_stop(words.removeprefix("answer to the stop: "))
        elif words.startswith("answer to the amendment of the entry: "):
            self._tell_order(Role.ENTRY, ANSWERS_TO_AMENDMENTS[words.partition(": ")[2]])
        elif words.startswith("answer to the "):
            name, _, answer = words.removeprefix("answer to the ").partition(": ")
            self._tell_order(NAMES[name], ANSWERS[answer])
        elif words.startswith("answer about the "):
            name, _, answer = words.removeprefix("answer about the ").partition(": ")
            self._answer_query(name, answer, before)
        elif words.startswith("answer: the stops are ") or words == "answer: the stops could not be read":
            self._answer_stops(words, before)
        elif words.startswith("answer: the cancel of the "):
            name, answer = words.split()[5], words.split()[-1]
            event = order.CancelFailed if answer == "failed" else order.CancelFruitless
            self._tell_order(NAMES[name], event)
        elif words.startswith("answer: the ") and words.endswith(" is cancelled"):
            self._tell_order(NAMES[words.split()[2]], order.CancelAcknowledged)
        elif words.startswith("answer: "):
            shown = None if "could not" in words else Shown(before.held)
            positions = self._positions(before) if shown is not None else None
            rig.say(world.LegRead(LONG, positions, rig.leg().asked_ms))
        elif words == "the venue's history says why the leg is flat":
            rig.say(world.AbsenceExplained(LONG, "closed by hand", Decimal(0), rig.now_ms))
        elif words.startswith("the venue's history") and not words.endswith("for long"):
            rig.say(world.AbsenceUnexplained(LONG))
        elif words.startswith("the venue's history"):
            rig.tell(of(Part.POSITION), position.ConfirmationOverdue())
        elif words.startswith("the reading arrives"):
            rig.say(world.AccountRead(rig.bot.reconciliation.data.seq, self._reading(before)))
        elif words == "the reading of the account fails":
            seq = rig.bot.reconciliation.data.seq
            rig.tell(RECONCILIATION, reconciliation.ReadingFailed(seq, "502"))
        elif words == "time to read the account again":
            due = reconciliation.ReadingDue(rig.bot.reconciliation.data.seq)
            rig.tell(RECONCILIATION, due)
        elif words == "time to check the account":
            rig.tell(RECONCILIATION, reconciliation.CheckDue())
        elif words == "the pushed position differs from the book for long":
            rig.tell(RECONCILIATION, reconciliation.BookDoubted("it differs"))
        else:
            return False
        return True

    def _tell_order(self, role: Role, event: type[order.OfOrder]) -> None:
        part = Part.ENTRY if role is Role.ENTRY else Part.CLOSE
        seq = (self.rig.slot().entry if role is Role.ENTRY else self.rig.slot().close).data.seq
        self.rig.tell(of(part), event(seq))

    def _answer_query(self, name: str, answer: str, before: Leg) -> None:
        role = NAMES[name]
        seq = (self.rig.slot().entry if role is Role.ENTRY else self.rig.slot().close).data.seq
        if answer == "failed":
            self._tell_order(role, order.QueryInconclusive)
        elif answer.startswith("absent"):
            is_final = answer == "absent for good"
            self.rig.say(world.OrderAsked(LONG, role, seq, None, is_final=is_final))
        else:
            report = self._report(name, getattr(before, name).report)
            self.rig.say(world.OrderAsked(LONG, role, seq, report, is_final=False))

    def _answer_stop(self, answer: str) -> None:
        seq = self.rig.slot().protection.data.seq
        event: Event
        if answer == "accepted":
            event = protection.StopAccepted(seq)
        elif answer == "answer lost":
            event = protection.StopAnswerLost(seq)
        else:
            event = protection.StopRefused(seq, REFUSALS[answer], answer, "51000")
        self.rig.tell(of(Part.PROTECTION), event)

    def _answer_stops(self, words: str, before: Leg) -> None:
        seq = self.rig.slot().protection.data.seq
        if "could not" in words:
            self.rig.tell(of(Part.PROTECTION), protection.StopReadFailed(seq))
        else:
            self.rig.say(world.StopsRead(LONG, seq, self._live_stops(before)))

    def _report(self, name: str, report: Report) -> OrderReport:
        ticket = self._tickets.get(NAMES[name]) if name in NAMES else None
        filled = Decimal(report.filled + (self._child_base if ticket is None else 0))
        at_ms = self._changed_ms.get((name, report), self.rig.now_ms)
        made_ms = ticket.created_ms if ticket is not None else at_ms
        client_id = ticket.client_id if ticket is not None else f"other{self._child}"
        return OrderReport(
            client_id=client_id,
            venue_id=f"v{client_id}",
            instrument=BTC,
            side=LONG.side,
            deal=ticket.deal if ticket is not None else closing_deal(LONG.side),
            state=report.state if report.state is not OrderState.PARTIAL else OrderState.PARTIAL,
            filled=filled,
            average_price=ENTRY if filled else None,
            fee=Decimal(0),
            fill=None,
            stop_client_id="" if ticket is not None else self._child_stop,
            category="normal",
            created_ms=made_ms,
            updated_ms=at_ms,
        )

    def _stop(self, is_mine: bool, state: StopState, size: int = 0) -> StopReport:
        client_id = self._stop_ids[0 if is_mine else 1]
        assert client_id, "the desk has asked for that stop"
        contracts = size * UNIT if size else None
        return self.rig.stop(client_id, state=state, trigger=self._levels[client_id], contracts=contracts)

    def _strangers_report(self) -> OrderReport:
        change, at_ms = self._strangers.popleft()
        self._traded += 1
        deal = opening_deal(LONG.side) if change > 0 else closing_deal(LONG.side)
        report = self.rig.traded(LONG, deal, UNIT, ENTRY, client_id=f"stranger{self._traded}")
        return msgspec.structs.replace(report, fill=None, created_ms=at_ms, updated_ms=at_ms)

    def _live_stops(self, leg: Leg) -> tuple[StopReport, ...]:
        stops = [
            self._stop(is_mine, StopState.LIVE, stop.size)
            for is_mine, stop in ((True, leg.mine), (False, leg.other))
            if stop.live
        ]
        return tuple(stops)

    def _positions(self, leg: Leg) -> tuple[world.PositionReport, ...]:
        if not leg.held:
            return ()
        held = Contracts(UNIT * leg.held)
        return (world.PositionReport(LONG, held, ENTRY, self._opened_ms, self._position_ms),)

    def _reading(self, leg: Leg) -> world.AccountReading:
        return world.AccountReading(self._positions(leg), (), self._live_stops(leg), self.rig.now_ms)


def comparable(facets: Facets) -> tuple[object, ...]:
    """What the model and the desk must agree in."""
    return (
        facets.life,
        facets.permission,
        facets.reconciliation,
        facets.entry,
        facets.close,
        facets.position,
        facets.protection,
        facets.private,
        facets.algo,
    )


__all__ = ["DeskWalk", "Told", "comparable"]
