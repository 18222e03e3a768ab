"""A trace, read as what happened to each leg: `accepts` says whether the environment of the check could have done it.

The rules speak of what is *meant*: the order in each slot, the stop that the desk holds to. So the reader keeps which
ids these are, from the bot's own requests and from its book, and leaves out what speaks of an earlier one, as the
machines do. Numbers are contracts as they are; of prices nothing is kept. What the desk makes of a report is its own
business here, and has tests of its own: after each event the book of the trace is taken over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial

import msgspec

from anchorwatch.diagrams.check.acceptance.hearing import ROLES, TIMERS, Hearing
from anchorwatch.diagrams.check.acceptance.tracks import Rejection, Track, Tracks, units
from anchorwatch.diagrams.check.leg import At, Leg, replace, with_other_meant, without_meaning
from anchorwatch.diagrams.check.production import AnotherStopMeant, hears
from anchorwatch.machine import connection, order, position, protection, reconciliation, requests
from anchorwatch.machine import trace as seen
from anchorwatch.machine.bot import Addressed, Bot
from anchorwatch.machine.facts import Fact, IntentFact, OrderEndedFact
from anchorwatch.machine.kernel import Effect, Snapshot
from anchorwatch.machine.order import Role
from anchorwatch.machine.units import LegKey
from anchorwatch.machine.world import OrderState

PENDING = (OrderState.LIVE, OrderState.PARTIAL)


class Verdict(msgspec.Struct, frozen=True):
    """``used``: how often each rule of the model explained something that was seen."""

    observations: int
    legs: int
    possible_max: int
    used: dict[str, int]
    rejections: tuple[Rejection, ...]


def accepts(trace: Iterable[seen.Seen], without: frozenset[str] = frozenset()) -> Verdict:
    """Whether the environment model could have done everything that this trace shows.

    ``without`` names rules that it is to do without: what is rejected then is what needs them.
    """
    reader = Reader(without)
    for one in trace:
        reader.take(one)
    return reader.verdict()


class Reader:
    """Reads a trace, one thing at a time."""

    def __init__(self, without: frozenset[str] = frozenset()) -> None:
        self._tracks = Tracks(without)
        self._hearing = Hearing(self._tracks)
        self._bot: Bot | None = None
        self._timers: dict[str, tuple[LegKey, str, Role | None]] = {}

    def verdict(self) -> Verdict:
        self._tracks.settle()
        used: Counter[str] = Counter()
        for track in self._tracks:
            used += track.possible.used
        return Verdict(
            observations=self._tracks.observations,
            legs=len(self._tracks.of_leg),
            possible_max=self._tracks.possible_max,
            used=dict(sorted(used.items())),
            rejections=tuple(track.rejected for track in self._tracks if track.rejected is not None),
        )

    def take(self, one: seen.Seen) -> None:
        tracks = self._tracks
        is_venue = isinstance(one, seen.OrderStood | seen.StopStood | seen.PositionStood)
        if not is_venue or one.at_ms != tracks.at_ms:
            tracks.settle()
        tracks.observations += 1
        tracks.at_ms = one.at_ms
        match one:
            case seen.Listening(_, orders, stops):
                tracks.listen(orders=orders, stops=stops)
            case seen.OrderStood():
                self._take_order(one)
            case seen.StopStood(_, leg, stop_id, client_id, is_live, dies_with_position):
                track = tracks.of(leg)
                track.changes(one.at_ms)
                if is_live:
                    track.stops[stop_id] = (client_id, dies_with_position)
                else:
                    track.stops.pop(stop_id, None)
                track.note()
            case seen.PositionStood(_, leg, contracts):
                track = tracks.of(leg)
                track.changes(one.at_ms)
                track.contracts = units(contracts)
                track.note()
            case seen.LifeBegan(_, bot):
                self._bot = bot
            case seen.FellSilent():
                tracks.fall_silent()
            case seen.Requested(_, effects):
                for effect in effects:
                    self._overheard(effect)
            case seen.Answered(_, leg, part, event):
                self._hearing.answered(leg, part, event)
            case seen.LifeEnded():
                self._end_life()
            case seen.Handled():
                self._handle(one)

    # What the exchange did.

    def _take_order(self, one: seen.OrderStood) -> None:
        meant = self._tracks.meant(one.client_id)
        if one.is_child:
            self._take_child(self._tracks.of(one.leg), one)
            return
        if meant is None:
            # Everybody else is a stranger, and so is an order of an earlier life.
            if one.filled:
                self._tracks.strangers[one.leg.instrument] = None
            return
        track = meant[0]
        track.changes(one.at_ms)
        at = At.LIVE if one.state in PENDING else At.DONE
        track.orders[one.client_id] = (at, units(one.filled))
        track.note()

    def _take_child(self, track: Track, one: seen.OrderStood) -> None:
        track.children[one.client_id] = None
        track.note()
        if one.state not in PENDING:
            del track.children[one.client_id]
            track.note()

    # What became of the life.

    def _end_life(self) -> None:
        self._bot = None
        self._timers.clear()
        self._tracks.is_reading = self._tracks.is_silent = False
        for track in self._tracks:
            track.booked = 0
            track.questions.clear()
            track.elders.clear()
            # Which stop is meant, the next life says when it knows.
            track.mean(("", ""), without_meaning)
            self._tracks.attempt(track, "the process ends", partial(track.possible.died, track.last))

    # What the bot was told, and what it asked for.

    def _handle(self, handled: seen.Handled) -> None:
        before = self._bot
        assert before is not None, "a life that has begun"
        self._hearing.take(handled.event, before)
        for standing in handled.standings:
            self._book(standing, handled.effects)
        for key, slot in handled.bot.legs:
            if slot.protection.data.seq != before.slot(key).protection.data.seq:
                self._tracks.ask(self._tracks.of(key), "another stop is meant", AnotherStopMeant())
        for effect in handled.effects:
            self._asked(effect)
        self._bot = handled.bot
        self._lose_pushes(handled.bot)

    def _lose_pushes(self, bot: Bot) -> None:
        """What is still on its way on a connection that the bot has given up is lost."""
        lost: tuple[str, ...] = ()
        if not _carries(bot.link(connection.Name.PRIVATE)):
            lost += ("entry", "close", "child")
        if not _carries(bot.link(connection.Name.PRIVATE_BUSINESS)):
            lost += ("mine", "other")
        if lost:
            for track in self._tracks:
                track.possible.became(partial(_without_pushes, of=lost))

    def _book(self, standing: seen.LegStanding, effects: tuple[Effect, ...]) -> None:
        """The desk's book is taken over: what is booked, and which stop is meant."""
        track = self._tracks.of(standing.leg)
        booked, opens = units(standing.booked), not track.booked
        track.booked = booked
        track.possible.became(partial(_booked, booked=booked, opens=opens))
        meant = (standing.stop_client_id, "" if standing.stop_client_id else standing.stop_id)
        is_placed = any(
            isinstance(effect, requests.PlaceStop) and effect.client_id == meant[0] for effect in effects
        )
        if meant != track.meant and not is_placed:
            track.mean(meant, with_other_meant if meant != ("", "") else without_meaning)

    # Asked for.

    def _overheard(self, effect: Effect) -> None:
        """Asked for by somebody whose book nobody knows: who cancels a stop does not mean it any more."""
        if isinstance(effect, requests.CancelStops):
            for track in self._tracks.of_instrument(effect.instrument):
                if any(
                    track.is_meant(stop, track.stops.get(stop, ("", False))[0]) for stop in effect.venue_ids
                ):
                    track.mean(("", ""), without_meaning)
        self._asked(effect)

    def _asked(self, effect: Effect) -> None:
        tracks = self._tracks
        match effect:
            case requests.Record(facts):
                for fact in facts:
                    self._recorded(fact)
            case requests.PlaceOrder(ticket):
                words, track = f"the {ticket.role.value} is sent", tracks.of(ticket.leg)
                tracks.ask(track, words, order.SendOrder(ticket.role, 0), ticket.role.value)
                if ticket.attached is not None:
                    track.asked[ticket.attached.client_id] = None
            case requests.CancelOrder(ticket) | requests.QueryOrder(ticket) | requests.AmendOrder(ticket):
                self._asked_of_order(effect, ticket)
            case requests.PlaceStop(leg, _, client_id):
                track = tracks.of(leg)
                tracks.ask(track, "a stop is placed", protection.PlaceStop(0), "place", "stray_stop")
                track.asked[client_id] = None
                track.mean((client_id, ""), lambda one: one)
            case requests.MoveStop(leg):
                tracks.ask(tracks.of(leg), "the stop is moved", protection.MoveStop(0), "move")
            case requests.ReadStops(leg):
                tracks.ask(tracks.of(leg), "the stops are read", protection.ReadStop(0))
            case requests.ReadLeg(leg, _, asked_ms):
                tracks.of(leg).read_asked_ms = asked_ms
                tracks.ask(tracks.of(leg), "the position is read", position.ReadPosition())
            case requests.ExplainAbsence(leg):
                tracks.ask(tracks.of(leg), "the end is explained", position.ConfirmAbsence())
            case requests.CancelStops(instrument, stop_ids):
                self._asked_to_sweep(instrument, stop_ids)
            case requests.StartTimer(key, _, address, event):
                if address.leg is not None and type(event) in TIMERS:
                    self._timers[key] = (address.leg, TIMERS[type(event)], ROLES.get(address.part))
                    self._set_timer(key, is_on=True)
            case requests.CancelTimer(key):
                if key in self._timers:
                    self._set_timer(key, is_on=False)
            case Addressed(_, reconciliation.ReadAccount()):
                tracks.begin_reading()
            case _:
                pass  # the market, connections, stages, words for people: no leg's business

    def _asked_of_order(self, effect: Effect, ticket: requests.OrderTicket) -> None:
        meant = self._tracks.meant(ticket.client_id)
        if meant is None:
            # Of an earlier life, whose later ones the journal does not know because the disk was full.
            self._tracks.of(ticket.leg).elders[ticket.role] = ticket.seq
            return
        track, role = meant
        kind = OF_ORDER[type(effect)]
        if kind is order.QueryOrder:
            track.questions[role] = track.questions.get(role, 0) + 1
        self._tracks.ask(track, f"{kind.__name__} of the {role.value}", kind(role, 0), role.value)

    def _asked_to_sweep(self, instrument: str, stop_ids: tuple[str, ...]) -> None:
        for track in self._tracks.of_instrument(instrument):
            others = [
                stop
                for stop in stop_ids
                if stop in track.stops and not track.is_meant(stop, track.stops[stop][0])
            ]
            if others:
                track.possible.became(lambda leg: replace(leg, sweep=True))

    def _set_timer(self, key: str, *, is_on: bool) -> None:
        leg, field, role = self._timers[key]
        self._tracks.of(leg).possible.became(partial(_with_timer, field=field, role=role, is_on=is_on))

    def _recorded(self, fact: Fact) -> None:
        if isinstance(fact, IntentFact):
            self._recorded_intent(fact)
        elif isinstance(fact, OrderEndedFact):
            meant = self._tracks.meant(fact.client_id)
            if meant is not None:
                track, role = meant
                ended = order.OrderEnded(role, 0, order.S(fact.state))
                self._tracks.ask(track, f"the {role.value} is held {fact.state}", ended, role.value)

    def _recorded_intent(self, fact: IntentFact) -> None:
        role, size = Role(fact.role), units(fact.contracts)
        track = self._tracks.of(fact.leg)
        if role is Role.CLOSE:
            track.possible.became(lambda leg: replace(leg, booked=max(leg.booked, size), portion=0))
        self._tracks.roles[fact.client_id] = (fact.leg, role)
        words = f"the intent of the {role.value} is recorded"
        self._tracks.ask(track, words, order.RecordIntent(role, 0), role.value)
        track.possible.became(lambda leg: leg.with_order(role, replace(leg.order(role), size=size)))
        track.fill_slot(role, fact.client_id)


OF_ORDER: dict[type[Effect], type[order.CancelOrder | order.QueryOrder | order.AmendOrder]] = {
    requests.CancelOrder: order.CancelOrder,
    requests.QueryOrder: order.QueryOrder,
    requests.AmendOrder: order.AmendOrder,
}


def _carries(link: Snapshot[connection.Link]) -> bool:
    """Whether something may be on its way on it; of two sockets that replace each other one may be."""
    return hears(link) or link.state is connection.S.REPLACING


def _without_pushes(leg: Leg, of: tuple[str, ...]) -> Leg:
    for name in of:
        if getattr(leg, name).pushes:
            leg = replace(leg, **{name: replace(getattr(leg, name), pushes=())})
    return leg


def _booked(leg: Leg, booked: int, opens: bool) -> Leg:
    """A leg that opens looks for its own end only, not for that of the last one."""
    is_new = booked and opens and leg.contracts
    return replace(leg, booked=booked, closed=None if is_new else leg.closed)


def _with_timer(leg: Leg, field: str, role: Role | None, is_on: bool) -> Leg:
    if field == "naked_clock":
        # A clock that is wound up again, or stopped, may have run out just before: then that is told first.
        return replace(leg, naked_clock=is_on, naked_due=leg.naked_clock)
    if role is None:
        return replace(leg, **{field: is_on})
    return leg.with_order(role, replace(leg.order(role), **{field: is_on}))
