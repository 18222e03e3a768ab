"""What a start would do now: everything is read, the desk decides, and nothing is sent.

The plan is made by the desk that runs, from one reading of the account and what the journal remembers. Its client
reads only (`OkxRest(reads_only=True)`): a request that writes is refused at the one place where all of them pass,
and what the desk asks for is listed instead of performed. Stops are never answered here, so a leg without a stop of
its own shows the level that it would get.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

import msgspec

from anchorwatch.io import stages
from anchorwatch.io.account import AccountCalls
from anchorwatch.io.okx.outcomes import Answered
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.settings import Settings
from anchorwatch.io.settings.tuning import parameters
from anchorwatch.machine import bot as bots
from anchorwatch.machine import position, protection, reconciliation, requests, world
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import RECONCILIATION, Addressed, Slot
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Desk, Told
from anchorwatch.machine.facts import Facts
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.lifecycle import Outcome
from anchorwatch.machine.units import Conduct, LegKey

GENERATION = "planonly"

READS_MAX = 500
"""Readings of one plan: some for each position, order in doubt and instrument; more would be a loop."""


class PlannedLeg(msgspec.Struct, frozen=True):
    """One position, and what would become of it. Prices in settlement currency per coin."""

    leg: str
    state: str
    contracts: Decimal  # ours; of a watched position, all
    others: Decimal
    entry: Decimal
    mark: Decimal | None
    peak: Decimal | None
    stop_resting: Decimal | None
    stop_planned: Decimal | None
    would: str


class Plan(msgspec.Struct, frozen=True):
    at_ms: int
    positions: tuple[PlannedLeg, ...]
    found: tuple[dict[str, str], ...]  # the lines that a start would log: drifts, what is restored, alarms
    actions: tuple[str, ...]  # every request that would be sent, in words


class _Planner:
    """The desk, and its questions answered from the venue."""

    def __init__(self, settings: Settings, rest: OkxRest, facts: Facts) -> None:
        self._settings = settings
        self._rest = rest
        account = settings.account
        self._calls = AccountCalls(rest, account.position_mode, account.margin_mode)
        private, public = settings.connections.private_limits(), settings.connections.public_limits()
        limits = {name: private if name.is_private else public for name in Name}
        tuned = parameters(settings)
        bot = bots.unborn(settings.lifecycle_limits(), limits, account.position_mode, tuned.conduct)
        self._desk = Desk(tuned, bot, GENERATION, facts)
        self._asked: deque[Effect] = deque()
        self._reads = 0
        self.found: list[dict[str, str]] = []
        self.writes: list[tuple[LegKey | None, str]] = []

    def tell(self, event: Event) -> None:
        self._asked += self._desk.handle(event, self._rest.venue_now_ms())

    async def plan(self) -> Plan | str:
        """The plan, or the reason why there is none."""
        reads_only = msgspec.structs.replace(self._settings.account, mode=Conduct.WATCH)
        settings = msgspec.structs.replace(self._settings, account=reads_only)
        end = await stages.client(settings, self._rest, self.tell)
        if end.outcome is not Outcome.DONE:
            return end.reason
        reason = await self._tell_marks()
        if not reason:
            self.tell(Told(RECONCILIATION, reconciliation.BookDoubted("a plan is made")))
            reason = await self._answer_everything()
        if not reason:
            reason = await self._tell_marks() or await self._compare_leverage()
            self.tell(world.ClockTicked())
            reason = reason or await self._answer_everything()
        return reason or self._drawn()

    async def _tell_marks(self) -> str:
        for name in self._settings.symbols:
            outcome = await self._rest.mark_price(name)
            if not isinstance(outcome, Answered) or outcome.rows[0].mark_px is None:
                return f"the mark price of {name}: {outcome}"
            row = outcome.rows[0]
            assert row.mark_px is not None
            self.tell(world.MarkMoved(name, row.mark_px, row.ts_ms or 0))
        return ""

    async def _compare_leverage(self) -> str:
        settings = self._settings
        if settings.account.mode is not Conduct.TRADE:
            return ""
        for name in settings.symbols:
            outcome = await self._rest.leverage(name, mgn_mode=settings.account.margin_mode.value)
            if not isinstance(outcome, Answered):
                return f"the leverage of {name}: {outcome}"
            wanted = Decimal(settings.of(name).leverage)
            is_free = settings.account.exclusive is True or not self._is_in_use(name)
            if is_free and any(row.lever != wanted for row in outcome.rows):
                self.writes.append((None, f"set the leverage of {name} to {wanted}"))
        return ""

    def _is_in_use(self, name: str) -> bool:
        """The start leaves the leverage alone where what is open may be somebody else's."""
        return any(key.instrument == name for key, _ in self._desk.bot.legs)

    async def _answer_everything(self) -> str:
        """Answer what is asked until nothing is; the answer is why that failed, if it did."""
        while self._asked:
            effect = self._asked.popleft()
            if isinstance(effect, Addressed) and isinstance(effect.effect, reconciliation.ReadAccount):
                reading = await self._calls.read_account()
                if isinstance(reading, str):
                    return reading
                self.tell(world.AccountRead(effect.effect.seq, reading))
                continue
            event = await self._answer(effect)
            if event is not None:
                self._reads += 1
                if self._reads > READS_MAX:
                    return f"more than {READS_MAX} questions: something asks in a circle"
                self.tell(event)
        return ""

    async def _answer(self, effect: Effect) -> Event | None:
        calls = self._calls
        match effect:
            case requests.ReadPeak():
                return await calls.read_peak(effect)
            case requests.ReadStops():
                return await calls.read_stops(effect)
            case requests.QueryOrder(ticket):
                return await calls.query_order(ticket)
            case requests.ExplainAbsence():
                return await calls.explain_absence(effect)
            case requests.ReadOwnOrders():
                return await calls.read_own_orders(effect)
            case requests.ReloadRules():
                return await calls.reload_rules(effect)
            case requests.Record(address=address, done=done):
                return Told(address, done) if address is not None and done is not None else None
            case requests.Announce(level, name, fields):
                self.found.append({"level": level, "found": name, **dict(fields)})
            case _:
                planned = _words_of(effect)
                if planned is not None:
                    self.writes.append(planned)
        return None

    def _drawn(self) -> Plan:
        book, bot = self._desk.context.book, self._desk.bot
        legs = [
            self._leg(book.leg(key), slot)
            for key, slot in bot.legs
            if slot.position.state is not position.S.FLAT
        ]
        return Plan(
            at_ms=self._rest.venue_now_ms(),
            positions=tuple(sorted(legs, key=lambda leg: leg.leg)),
            found=tuple(self.found),
            actions=tuple(words for _, words in self.writes),
        )

    def _leg(self, leg: LegBook, slot: Slot) -> PlannedLeg:
        is_watched = slot.position.state is position.S.WATCHED
        own = [words for key, words in self.writes if key == leg.leg]
        keeps = "keep the stop" if slot.protection.state in protection.COVERS else "nothing"
        resting = leg.resting
        if is_watched:
            triggers = [stop.trigger for stop in leg.stops.values() if stop.trigger is not None]
            resting = max(triggers, default=None) if leg.leg.side.sign > 0 else min(triggers, default=None)  # type: ignore[assignment]
        return PlannedLeg(
            leg=str(leg.leg),
            state=slot.position.state.value,
            contracts=leg.contracts,
            others=leg.others,
            entry=leg.account.average_price,
            mark=self._desk.context.book.marks.get(leg.leg.instrument),
            peak=None if is_watched else leg.peak,
            stop_resting=resting,
            stop_planned=None if is_watched else leg.wanted,
            would="watch, and never touch" if is_watched else "; ".join(own) or keeps,
        )


def _words_of(effect: Effect) -> tuple[LegKey | None, str] | None:
    """A request that would be sent, in words; None for what sends nothing."""
    match effect:
        case requests.PlaceStop(leg=leg, trigger=trigger, contracts=contracts):
            of = "the whole position" if contracts is None else f"{contracts} contracts"
            return leg, f"place a stop of {of} at {trigger} ({leg})"
        case requests.MoveStop(leg=leg, trigger=trigger):
            return leg, f"move the stop to {trigger} ({leg})"
        case requests.CancelStops(instrument, venue_ids):
            return None, f"cancel {len(venue_ids)} stops of ours on {instrument}: {', '.join(venue_ids)}"
        case requests.CancelOrphan(instrument, venue_id):
            return None, f"cancel the order {venue_id} on {instrument}, which nobody waits for"
        case requests.CancelCloses(leg=leg):
            return leg, f"cancel the orders that would close {leg}"
        case requests.PlaceOrder(ticket):
            what = f"{ticket.deal.value} {ticket.contracts} contracts {ticket.kind.value}"
            return ticket.leg, f"{ticket.role.value}: {what} ({ticket.leg})"
        case requests.CancelOrder(ticket):
            return ticket.leg, f"cancel the {ticket.role.value} order {ticket.client_id}"
    return None


async def make_plan(settings: Settings, rest: OkxRest, facts: Facts) -> Plan | str:
    """What a start with these settings and memories would do; or, in words, why that cannot be said.

    The account is planned for in the position mode that it has: a start would set another only while it is flat.
    """
    config = await rest.account_config()
    if not isinstance(config, Answered):
        return f"the account's settings: {config}"
    modes = {name: mode for mode, name in stages.MODE_NAMES.items()}
    now, wanted = modes.get(config.rows[0].pos_mode), settings.account.position_mode
    account = msgspec.structs.replace(settings.account, position_mode=now or wanted)
    planner = _Planner(msgspec.structs.replace(settings, account=account), rest, facts)
    if now is not wanted:
        planner.writes.append((None, f"set the position mode to {wanted.value}, where the account is flat"))
    return await planner.plan()


def as_dict(plan: Plan) -> dict[str, Any]:
    """The plan by the keys of its file."""
    built: dict[str, Any] = msgspec.to_builtins(plan, builtin_types=(Decimal,))
    return built
