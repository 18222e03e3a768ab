"""What a bot is told, as moves of the model: each report, answer and timer is held against the rules that tell it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.acceptance.possible import Matches
from anchorwatch.diagrams.check.acceptance.tracks import Track, Tracks, ask_again, units
from anchorwatch.diagrams.check.leg import Leg, Report, StopPush, StopsSeen
from anchorwatch.diagrams.check.production import Tell
from anchorwatch.machine import order, position, protection, reconciliation, world
from anchorwatch.machine.bot import Bot, Part
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.order import Role
from anchorwatch.machine.units import LegKey, MarginMode, Side, closing_deal
from anchorwatch.machine.world import StopState

STOPS_SAY = {
    StopState.LIVE: StopPush.LIVE,
    StopState.TRIGGERED: StopPush.TRIGGERED,
    StopState.CANCELLED: StopPush.GONE,
    StopState.FAILED: StopPush.GONE,
}
OF_STOP = frozenset(("mine", "move", "reading"))
OF_STOPS = frozenset(("stops_read", "late_read", "mine", "other"))
TIMERS: dict[type[Event], str] = {
    order.OrderDoubted: "overdue_timer",
    order.QueryDue: "query_timer",
    protection.RetryDue: "retry_timer",
    protection.NakedTooLong: "naked_clock",
    protection.FillOverdue: "fill_clock",
    position.ConfirmationDue: "confirm_timer",
}
"""Timers of a leg, by what they tell, and where the leg has them."""

ANSWERS: dict[type[Event], frozenset[str]] = {
    **dict.fromkeys(
        (
            order.IntentRecorded,
            order.IntentFailed,
            order.OrderAcknowledged,
            order.OrderRefused,
            order.AnswerLost,
            order.WriteDenied,
            order.CancelAcknowledged,
            order.CancelFruitless,
            order.CancelFailed,
            order.AmendAcknowledged,
            order.AmendRefused,
            order.AmendFruitless,
            order.QueryInconclusive,
            order.AbsenceProven,
        ),
        frozenset(),  # of the order of the slot
    ),
    protection.StopAccepted: frozenset(("place",)),
    protection.StopRefused: frozenset(("place",)),
    protection.StopAnswerLost: OF_STOP | {"place", "stray_stop"},
    protection.MoveAccepted: OF_STOP,
    protection.MoveRefused: frozenset(("move",)),
    protection.StopReadFailed: frozenset(("stops_read",)),
    **{event: frozenset((field,)) for event, field in TIMERS.items()},
    protection.NakedTooLong: frozenset(("naked_clock", "naked_due")),
}
"""What may be told to a machine of a leg from outside, and the fields it speaks of. Wishes are nobody's answer."""

ROLES = {Part.ENTRY: Role.ENTRY, Part.CLOSE: Role.CLOSE}


class Hearing:
    """Holds what the desk was told against every leg that it speaks of."""

    def __init__(self, tracks: Tracks) -> None:
        self._tracks = tracks

    def take(self, event: Event, bot: Bot) -> None:
        """What the desk was told, ``bot`` being as it stood before that."""
        match event:
            case Told(address, inner) if address.leg is not None:
                self._told_machine(address.leg, address.part, inner, bot)
            case Told(_, reconciliation.ReadingFailed(seq)) if seq == bot.reconciliation.data.seq:
                failed = tells(Part.RECONCILIATION, reconciliation.ReadingFailed)
                self._tracks.is_reading = False
                for track in self._tracks:
                    self._tracks.tell(
                        track, "the reading of the account fails", failed, frozenset(("reading",))
                    )
            case world.AccountRead(seq, reading) if seq == bot.reconciliation.data.seq:
                self._tracks.is_reading = False
                for track in self._tracks:
                    self._told_reading(track, reading)
            case world.OrderAsked(leg, role, seq, report, is_final):
                if seq == _seq(bot, leg, role) and not self._is_elder(leg, role, seq):
                    self._told_query(self._tracks.of(leg), role, report, is_final=is_final)
            case world.CloseRefused(leg, seq):
                if seq == _seq(bot, leg, Role.CLOSE):
                    refused = tells(Part.CLOSE, order.OrderRefused)
                    self._tracks.tell(
                        self._tracks.of(leg), "the close is refused", refused, frozenset(("close",))
                    )
            case world.OrderPushed(report):
                self._told_order(report)
            case world.StopPushed(report):
                self._told_stop(report)
            case world.StopsRead(leg, seq, stops) if seq == bot.slot(leg).protection.data.seq:
                track = self._tracks.of(leg)
                found = self._stops_seen(track, stops)

                def lists(_: Leg, move: i.Move) -> bool:
                    return i.StopsAnswer(found) in move.items

                self._tracks.tell_read(track, f"the stops read: {found}", lists, OF_STOPS)
            case world.LegRead(leg, positions, asked_ms):
                track = self._tracks.of(leg)
                if asked_ms == track.read_asked_ms:
                    self._told_leg(track, positions)
            case world.AbsenceExplained(leg):
                words = "the history says why the leg is flat"
                explains = has(i.Explained())
                self._tracks.tell(self._tracks.of(leg), words, explains, frozenset(("explanation",)))
            case world.AbsenceUnexplained(leg):
                silent = tells(Part.POSITION, position.ConfirmationFailed)
                words = "the history does not say why the leg is flat"
                self._tracks.tell(self._tracks.of(leg), words, silent, frozenset(("explanation",)))
            case _:
                pass  # the market, the operator, stages and connections: no leg's business

    def _told_machine(self, key: LegKey, part: Part, event: Event, bot: Bot) -> None:
        seq = getattr(event, "seq", None)
        if seq is None or (seq == _seq_of(bot, key, part) and not self._is_elder(key, ROLES.get(part), seq)):
            self.answered(key, part, event)

    def _is_elder(self, key: LegKey, role: Role | None, seq: int) -> bool:
        """Whether this is about an order that an earlier life had in this slot, before the one that is meant."""
        return role is not None and self._tracks.of(key).elders.get(role) == seq

    def answered(self, key: LegKey, part: Part, event: Event) -> None:
        """A word for the machine of a leg, about what it means now."""
        of = ANSWERS.get(type(event))
        if of is None:
            return
        if part in (Part.ENTRY, Part.CLOSE):
            of = frozenset((part.value,))
        if isinstance(event, protection.StopRefused):
            told = Tell(part, type(event), (("refusal", event.refusal),))
            matches = has(told)
        else:
            matches = tells(part, type(event))
        track = self._tracks.of(key)
        self._tracks.tell(track, f"{part.value}: {type(event).__name__}", matches, of)
        if isinstance(event, order.QueryInconclusive | order.AbsenceProven):
            self._answered(track, ROLES[part])

    def _told_reading(self, track: Track, reading: world.AccountReading) -> None:
        held = sum(
            (units(one.contracts) for one in reading.positions if one.leg == track.key),
        )
        stops = self._stops_seen(track, reading.stops)

        def shows(leg: Leg, move: i.Move) -> bool:
            is_arrival = any(isinstance(item, i.Compare) for item in move.items)
            found = leg.reading
            return is_arrival and found is not None and (found.contracts, found.stops) == (held, stops)

        self._tracks.tell_read(
            track, f"the account read: {held} held, {stops}", shows, frozenset(("reading",))
        )

    def _stops_seen(self, track: Track, stops: Iterable[world.StopReport]) -> StopsSeen:
        mine = other = False
        for one in stops:
            if _leg_of(one, track.key.margin) == track.key:
                if track.is_meant(one.venue_id, one.client_id):
                    mine = True
                else:
                    other = True
        return StopsSeen(mine, other)

    def _told_query(
        self, track: Track, role: Role, report: world.OrderReport | None, *, is_final: bool
    ) -> None:
        of = frozenset((role.value,))
        if report is None:
            event = order.AbsenceProven if is_final else order.QueryInconclusive
            self._tracks.tell_read(track, f"the {role.value} is not found", tells(i.part_of(role), event), of)
        elif report.client_id == track.slots.get(role):
            found = Report(report.state, units(report.filled))
            news = has(i.OrderNews(role, found))

            def answers(leg: Leg, move: i.Move) -> bool:
                return news(leg, move) and not _is_still_asked(leg, move, role)

            self._tracks.tell_read(track, f"the {role.value} is found {_short(found)}", answers, of)
        self._answered(track, role)

    def _answered(self, track: Track, role: Role) -> None:
        """The desk may have asked again before it was answered: the other answer is still to come."""
        left = track.questions.get(role, 0) - 1
        track.questions[role] = max(left, 0)
        if left > 0:
            track.possible.became(partial(ask_again, role=role))

    def _told_order(self, report: world.OrderReport) -> None:
        meant = self._tracks.meant(report.client_id)
        if meant is None:
            return
        track, role = meant
        found = Report(report.state, units(report.filled))
        news = has(i.OrderNews(role, found))

        def pushes(leg: Leg, move: i.Move) -> bool:
            return news(leg, move) and _is_still_asked(leg, move, role)

        self._tracks.tell(
            track, f"push: the {role.value} is {_short(found)}", pushes, frozenset((role.value,))
        )

    def _told_stop(self, report: world.StopReport) -> None:
        track = self._tracks.of(_leg_of(report, MarginMode.CROSS))
        if not track.is_meant(report.venue_id, report.client_id):
            return  # of those that are not meant the model keeps one, and takes what older ones say as said
        push = STOPS_SAY[report.state]
        words = f"push: the stop is {push.value}"
        self._tracks.tell(track, words, has(i.StopNews(is_mine=True, push=push)), OF_STOP)

    def _told_leg(self, track: Track, positions: tuple[world.PositionReport, ...] | None) -> None:
        of = frozenset(("leg_read",))
        if positions is None:
            self._tracks.tell(track, "the position cannot be read", has(i.LegAnswer(None)), of)
            return
        held = sum(units(one.contracts) for one in positions if one.leg == track.key)

        def shows(_: Leg, move: i.Move) -> bool:
            return any(
                isinstance(item, i.LegAnswer) and item.shown is not None and item.shown.contracts == held
                for item in move.items
            )

        self._tracks.tell_read(track, f"the position is read: {held} held", shows, of)


def tells(part: Part, event: type[Event]) -> Matches:
    """Moves that tell this to that machine, whatever else it says."""

    def matches(_: Leg, move: i.Move) -> bool:
        return any(
            isinstance(item, Tell) and item.part is part and item.event is event for item in move.items
        )

    return matches


def has(item: i.Item) -> Matches:
    return lambda _, move: item in move.items


def _leg_of(report: world.StopReport, margin: MarginMode) -> LegKey:
    side = report.side or next(side for side in Side if closing_deal(side) is report.deal)
    return LegKey(report.instrument, side, margin)


def _seq(bot: Bot, leg: LegKey, role: Role) -> int:
    slot = bot.slot(leg)
    return int((slot.entry if role is Role.ENTRY else slot.close).data.seq)


def _seq_of(bot: Bot, leg: LegKey, part: Part) -> int | None:
    found = getattr(getattr(bot.slot(leg), part.value).data, "seq", None)
    return None if found is None else int(found)


def _is_still_asked(leg: Leg, move: i.Move, role: Role) -> bool:
    """Whether what is asked about the order, or answered, is as it was before the move.

    By value: moves are worked out once for all legs that are equal, and what such a leg holds is another object.
    """
    return leg.order(role).query == move.leg.order(role).query


def _short(report: Report) -> str:
    return f"{report.state.value}, {report.filled} filled"
