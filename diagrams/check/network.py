"""What reaches the bot about one leg, and when: answers, pushes, journal, timers, and the strategy's wishes.

Pushes of one order arrive in their order, and so do those of one stop; nothing else is
promised (OKX v5 gives no order between orders, positions and stops). Requests are
single flight by the machines' own rules, so everything under way fits the leg's fields.

A deadline that passes while the answer that it waits for is under way is a slow network, and
costs a fault; a deadline that nothing could have forestalled is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TypeVar

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.items import (
    Audit,
    Compare,
    EndReading,
    Explained,
    FallBack,
    Item,
    LegAnswer,
    MindSize,
    Move,
    NoEndForLong,
    OrderNews,
    OwnOrders,
    Rule,
    StopNews,
    StopsAnswer,
    TheirNews,
    by_itself,
    part_of,
    to_order,
    to_position,
    to_protection,
    to_reconciliation,
)
from anchorwatch.diagrams.check.leg import (
    Asked,
    At,
    Call,
    Leg,
    Query,
    Report,
    Shown,
    StopPush,
    StopsSeen,
    replace,
)
from anchorwatch.diagrams.check.production import Facets, Tell
from anchorwatch.diagrams.check.venue import NAMES, ROLES
from anchorwatch.machine import lifecycle, order, position, protection, reconciliation
from anchorwatch.machine.bot import EntryWanted
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.order import Role

T = TypeVar("T")

ANSWER_OF_CALL: dict[Call, type[order.OfOrder]] = {
    Call.ACCEPTED: order.OrderAcknowledged,
    Call.REFUSED: order.OrderRefused,
    Call.LOST: order.AnswerLost,
    Call.DENIED: order.WriteDenied,
}
ANSWER_OF_AMEND: dict[Call, type[order.OfOrder]] = {
    Call.ACCEPTED: order.AmendAcknowledged,
    Call.REFUSED: order.AmendRefused,
    Call.LOST: order.AmendFruitless,
}
REFUSAL_OF_CALL = {
    Call.REFUSED: protection.Refusal.RETRY,
    Call.BEYOND: protection.Refusal.BEYOND,
    Call.EXISTS: protection.Refusal.EXISTS,
    Call.NO_POSITION: protection.Refusal.NO_POSITION,
    Call.RULES: protection.Refusal.RULES,
    Call.BARRED: protection.Refusal.BARRED,
}
MOVED: dict[Call, type[protection.OfStop]] = {
    Call.ACCEPTED: protection.MoveAccepted,
    Call.REFUSED: protection.MoveRefused,
    Call.LOST: protection.StopAnswerLost,
}


def _of_order(leg: Leg, facets: Facets, bounds: Bounds, role: Role) -> Iterator[Move]:
    name, this = NAMES[role], leg.order(role)

    def told(label: str, event: type[order.OfOrder], faults: int = 0, **changes: object) -> Move:
        after = leg.with_order(role, replace(this, **changes))
        return Move(label, after, (to_order(role, event),), faults)

    if this.record is Call.WIRE:
        yield told(
            f"the intent of the {name} is recorded", order.IntentRecorded, record=Call.NONE, intent=True
        )
        if bounds.journal_fails:
            yield told(f"the journal fails for the {name}", order.IntentFailed, 1, record=Call.NONE)
    if this.call is Call.QUEUED:
        if role is Role.CLOSE or facets.may_write_entry:
            written = leg.with_order(role, replace(this, call=Call.WIRE))
            is_wrong = role is Role.ENTRY and not facets.entry_is_right
            yield Move(f"the {name} is written to the wire", written, breaks="S1" if is_wrong else "")
        if role is Role.ENTRY:
            denied = leg.with_order(role, replace(this, call=Call.DENIED))
            yield Move(f"the last look denies the {name}", denied)
    if this.call is Call.WIRE and role is Role.CLOSE and bounds.unsent:
        unsent = leg.with_order(role, replace(this, call=Call.DENIED))
        yield Move(f"the {name} is never sent", unsent, faults=1)
    if this.call in ANSWER_OF_CALL:
        yield told(f"answer to the {name}: {this.call.value}", ANSWER_OF_CALL[this.call], call=Call.NONE)
    if this.cancel is Call.ACCEPTED:
        yield told(f"answer: the {name} is cancelled", order.CancelAcknowledged, cancel=Call.NONE)
    if this.cancel is Call.REFUSED:
        yield told(f"answer: the cancel of the {name} was fruitless", order.CancelFruitless, cancel=Call.NONE)
    if this.cancel is Call.LOST:
        yield told(f"answer: the cancel of the {name} failed", order.CancelFailed, cancel=Call.NONE)
    if this.amend in ANSWER_OF_AMEND:
        words = f"answer to the amendment of the {name}: {this.amend.value}"
        yield told(words, ANSWER_OF_AMEND[this.amend], amend=Call.NONE)
    if this.amend is Call.QUEUED:
        if facets.may_write_amend:
            written = leg.with_order(role, replace(this, amend=Call.WIRE))
            is_wrong = not facets.entry_is_right
            yield Move(f"the amendment of the {name} is written", written, breaks="S1" if is_wrong else "")
        denied = leg.with_order(role, replace(this, amend=Call.REFUSED))
        yield Move(f"the last look denies the amendment of the {name}", denied)


def _timers_of_order(leg: Leg, facets: Facets, bounds: Bounds, role: Role) -> Iterator[Move]:
    name, this = NAMES[role], leg.order(role)
    if this.overdue_timer:
        is_early = int(this.is_untold or this.may_fill)
        doubted = (to_order(role, order.OrderDoubted),)
        after = leg.with_order(role, replace(this, overdue_timer=False))
        yield Move(f"the {name} is overdue", after, doubted, is_early)
    if this.query_timer:
        due = (to_order(role, order.QueryDue),)
        after = leg.with_order(role, replace(this, query_timer=False))
        yield Move(f"time to ask for the {name} again", after, due)


def _queries(leg: Leg, facets: Facets, bounds: Bounds, role: Role) -> Iterator[Move]:
    name, this = NAMES[role], leg.order(role)

    def asked(query: Query | Report) -> Leg:
        return leg.with_order(role, replace(this, query=query))

    if this.query is Query.ASKED and not bounds.overtaking:
        yield from _answered_at_once(leg, role)
    elif this.query is Query.ASKED:
        if this.at is not At.NOWHERE:
            yield Move(f"the venue finds the {name} {this.report.state.value}", asked(this.report))
        else:
            yield Move(f"the venue does not find the {name}", asked(Query.ABSENT))
            if not this.may_fill:
                yield Move(f"the venue does not find the {name}, past its deadline", asked(Query.FINAL))
        yield Move(f"the query for the {name} fails", asked(Query.FAILED), faults=1)
        if leg.past is not None:
            was = leg.past.entry if role is Role.ENTRY else leg.past.close
            words = "none" if was is None else f"{was.state.value}, {was.filled} filled"
            as_it_was = replace(asked(was or Query.ABSENT), past=None)
            yield Move(f"the venue finds the {name} as it was: {words}", as_it_was)
    elif this.query is not Query.NONE:
        yield _answer(leg, role, this.query)


def _answered_at_once(leg: Leg, role: Role) -> Iterator[Move]:
    this = leg.order(role)
    if this.at is not At.NOWHERE:
        yield _answer(leg, role, this.report)
    else:
        yield _answer(leg, role, Query.ABSENT)
        if not this.may_fill:
            yield _answer(leg, role, Query.FINAL)
    yield replace(_answer(leg, role, Query.FAILED), faults=1)


def _answer(leg: Leg, role: Role, answer: Query | Report) -> Move:
    after = leg.with_order(role, replace(leg.order(role), query=Query.NONE))
    words = answer.state.value if isinstance(answer, Report) else answer.value
    item: Item
    if isinstance(answer, Report):
        item = OrderNews(role, answer)
    else:
        item = to_order(role, order.AbsenceProven if answer is Query.FINAL else order.QueryInconclusive)
    return Move(f"answer about the {NAMES[role]}: {words}", after, (item,))


def _pushes(leg: Leg, facets: Facets, bounds: Bounds, role: Role | None) -> Iterator[Move]:
    this = leg.order(role)
    if this.pushes and not facets.is_holding:
        for report, left, how in _deliveries(this.pushes, bounds):
            after = leg.with_order(role, replace(this, pushes=left))
            words = f"push: the {NAMES[role]} is {report.state.value}, {report.filled} filled"
            yield Move(f"{words}{how}", after, (OrderNews(role, report),), faults=int(bool(how)))


def _deliveries(pushes: tuple[T, ...], bounds: Bounds) -> Iterator[tuple[T, tuple[T, ...], str]]:
    """Which push arrives next, which are still under way then, and what is wrong with that.

    A live connection is a stream, but the venue behind it may double, hold back or lose what it has to say.
    """
    yield pushes[0], pushes[1:], ""
    if bounds.unruly:
        for place, push in enumerate(pushes):
            yield push, pushes, ", and will be said again"
            if place:
                yield push, (*pushes[:place], *pushes[place + 1 :]), ", before its turn"


def _pushes_of_stops(leg: Leg, facets: Facets, bounds: Bounds, is_mine: bool) -> Iterator[Move]:
    stop = leg.mine if is_mine else leg.other
    if stop.pushes and not facets.is_holding:
        name = "the stop" if is_mine else "another stop"
        for push, left, how in _deliveries(stop.pushes, bounds):
            after = _with_pushes(leg, is_mine, left)
            words = f"push: {name} is {push.value}{how}"
            yield Move(words, after, (StopNews(is_mine, push),), faults=int(bool(how)))


def _lost_pushes(leg: Leg, facets: Facets, bounds: Bounds, role: Role | None) -> Iterator[Move]:
    this = leg.order(role)
    if this.pushes and bounds.unruly and bounds.loses:
        lost = leg.with_order(role, replace(this, pushes=this.pushes[1:]))
        yield Move(f"a push about the {NAMES[role]} is lost", lost, faults=1)


def _lost_pushes_of_stops(leg: Leg, facets: Facets, bounds: Bounds, is_mine: bool) -> Iterator[Move]:
    stop, name = (leg.mine, "the stop") if is_mine else (leg.other, "another stop")
    if stop.pushes and bounds.unruly and bounds.loses:
        yield Move(f"a push about {name} is lost", _with_pushes(leg, is_mine, stop.pushes[1:]), faults=1)


def _with_pushes(leg: Leg, is_mine: bool, pushes: tuple[StopPush, ...]) -> Leg:
    if is_mine:
        return replace(leg, mine=replace(leg.mine, pushes=pushes))
    return replace(leg, other=replace(leg.other, pushes=pushes))


def _of_earlier_placing(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    """The answer to a try that another has followed: nothing says how long an answer travels."""
    answer, after = leg.late_place, replace(leg, late_place=Call.NONE)
    words = f"answer to an earlier try of the stop: {answer.value}"
    if answer in REFUSAL_OF_CALL:
        refusal = REFUSAL_OF_CALL[answer]
        yield Move(words, after, (to_protection(protection.StopRefused, refusal=refusal), FallBack()))
    elif answer in (Call.ACCEPTED, Call.LOST):
        accepted = answer is Call.ACCEPTED
        event: type[Event] = protection.StopAccepted if accepted else protection.StopAnswerLost
        yield Move(words, after, (to_protection(event),))


def _of_placing(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.place in REFUSAL_OF_CALL:
        refused = to_protection(protection.StopRefused, refusal=REFUSAL_OF_CALL[leg.place])
        after = replace(leg, place=Call.NONE)
        yield Move(f"answer to the stop: {leg.place.value}", after, (refused, FallBack()))
    elif leg.place in (Call.ACCEPTED, Call.LOST):
        is_accepted = leg.place is Call.ACCEPTED
        event: type[Event] = protection.StopAccepted if is_accepted else protection.StopAnswerLost
        answer = to_protection(event)
        yield Move(f"answer to the stop: {leg.place.value}", replace(leg, place=Call.NONE), (answer,))


def _of_moving(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.move in MOVED:
        words = f"answer to the move: {leg.move.value}"
        after = replace(leg, move=Call.NONE)
        if leg.move_size and leg.move is Call.ACCEPTED:
            after = replace(after, mine=replace(after.mine, seen=leg.move_size), move_size=0)
        elif leg.move_size:
            after = replace(after, move_size=0, is_fixed=leg.is_fixed or leg.move is Call.REFUSED)
        minded = (MindSize(),) if leg.is_shared and leg.move is Call.ACCEPTED else ()
        yield Move(words, after, (to_protection(MOVED[leg.move]), *minded))


def _timers_of_protection(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.retry_timer:
        due = to_protection(protection.RetryDue)
        yield Move("time to try the stop again", replace(leg, retry_timer=False), (due,))
        if bounds.mailbox:
            yield Move("an earlier wait for the stop had ended", leg, (due,), 1)
    if leg.naked_clock:
        late = to_protection(protection.NakedTooLong)
        yield Move("naked for too long", replace(leg, naked_clock=False), (late,), int(leg.is_untold))
    if leg.naked_due:
        late = to_protection(protection.NakedTooLong)
        yield Move("naked for too long, as had been said", replace(leg, naked_due=False), (late,))
    if leg.fill_clock:
        overdue = to_protection(protection.FillOverdue)
        is_early = int(leg.child.at is At.LIVE or bool(leg.child.pushes))
        yield Move("the triggered stop is overdue", replace(leg, fill_clock=False), (overdue,), is_early)


def _stops_readings(leg: Leg, facets: Facets, bounds: Bounds, field: str) -> Iterator[Move]:
    """A reading of the stops of this leg: the one that was asked for, or one that an earlier stop asked for."""
    read, is_late = getattr(leg, field), field == "late_read"
    if read is not None:
        after = replace(leg, **{field: None})
        failed = Move(
            "answer: the stops could not be read",
            after,
            () if is_late else (to_protection(protection.StopReadFailed),),
        )
        if read is Asked.FAILED:
            yield failed
            return
        now = StopsSeen(leg.mine.live, leg.other.live)
        if read is Asked.ASKED and bounds.overtaking:
            yield Move(f"the venue lists the stops: {_words(now)}", replace(leg, **{field: now}))
            yield Move("the reading of the stops fails", replace(leg, **{field: Asked.FAILED}), faults=1)
            if leg.past is not None:
                was = leg.past.stops
                words = f"the venue lists the stops as they were: {_words(was)}"
                yield Move(words, replace(leg, past=None, **{field: was}))
        else:
            seen = now if read is Asked.ASKED else read
            words = f"{'late ' if is_late else ''}answer: the stops are {_words(seen)}"
            yield Move(words, after, (StopsAnswer(seen, is_late),))
            if read is Asked.ASKED:
                yield replace(failed, faults=1)


def _words(seen: StopsSeen) -> str:
    shown = [name for name, is_seen in (("the one meant", seen.mine), ("another", seen.other)) if is_seen]
    return " and ".join(shown) or "none"


def _differences(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.confirm_timer:
        due = (to_position(position.ConfirmationDue),)
        yield Move("time to ask again for the cause", replace(leg, confirm_timer=False), due)
    if bounds.doubts and facets.private and facets.is_settled and leg.held != leg.booked + leg.others:
        doubted = (to_reconciliation(reconciliation.BookDoubted),)
        yield Move("the pushed position differs from the book for long", leg, doubted)


def _of_position(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.leg_read is Asked.ASKED and not bounds.overtaking:
        seen = Shown(leg.held, leg.filled)
        yield Move(f"answer: {seen.contracts} held", replace(leg, leg_read=None), (LegAnswer(seen),))
        lost = (LegAnswer(None),)
        yield Move("answer: the position could not be read", replace(leg, leg_read=None), lost, 1)
    elif leg.leg_read is Asked.ASKED:
        shown = Shown(leg.contracts, leg.filled)
        yield Move(f"the venue shows {leg.contracts} contracts", replace(leg, leg_read=shown))
        yield Move("the reading of the position fails", replace(leg, leg_read=Asked.FAILED), faults=1)
        if leg.past is not None:
            was = Shown(leg.past.contracts, leg.past.filled)
            yield Move(
                f"the venue shows the {was.contracts} contracts of before",
                replace(leg, past=None, leg_read=was),
            )
    elif leg.leg_read is not None:
        found = leg.leg_read if isinstance(leg.leg_read, Shown) else None
        words = (
            "answer: the position could not be read" if found is None else f"answer: {found.contracts} held"
        )
        yield Move(words, replace(leg, leg_read=None), (LegAnswer(found),))


def _explanations(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.explanation:
        after = replace(leg, explanation=False)
        if leg.closed is not None:
            yield Move("the venue's history says why the leg is flat", after, (Explained(),))
        if leg.closed is None:
            failed = (to_position(position.ConfirmationFailed),)
            yield Move("the venue's history does not show an end", after, failed)
            yield Move("the venue's history has not shown an end for long", after, (NoEndForLong(),))
        else:
            failed = (to_position(position.ConfirmationFailed),)
            yield Move("the venue's history cannot be read", after, failed, 1)
            yield Move("the venue's history cannot be read for long", after, (NoEndForLong(),), 1)


def _of_reading(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.reading is None:
        return
    failed = (EndReading(), to_reconciliation(reconciliation.ReadingFailed))
    yield Move("the reading of the account fails", leg, failed, 1)
    if not bounds.overtaking:
        items: tuple[Item, ...] = (Audit(), to_reconciliation(reconciliation.AccountCompared))
        yield Move(f"the reading arrives: {leg.held} held", leg, items)
        if bounds.empties and leg.contracts:
            wrong = (Audit(is_empty=True), to_reconciliation(reconciliation.AccountCompared))
            yield Move("the reading arrives, and wrongly shows nothing", leg, wrong, 1)
    elif leg.reading.stops is None:
        if bounds.travels and leg.reading.contracts != leg.contracts:
            now = replace(leg.reading, contracts=leg.contracts, filled=leg.filled)
            yield Move(f"the reading comes to the positions: {leg.contracts} held", replace(leg, reading=now))
        stops = StopsSeen(leg.mine.live, leg.other.live)
        yield Move(
            f"the reading goes on to the stops: {_words(stops)}",
            replace(leg, reading=replace(leg.reading, stops=stops)),
        )
        if leg.past is not None:
            was = leg.past
            held = replace(leg.reading, contracts=was.contracts, filled=was.filled)
            if held != leg.reading:
                words = f"the reading comes to the positions as they were: {was.contracts} held"
                yield Move(words, replace(leg, reading=held))
            yield Move(
                f"the reading goes on to the stops as they were: {_words(was.stops)}",
                replace(leg, past=None, reading=replace(leg.reading, stops=was.stops)),
            )
    else:
        items = (Compare(), to_reconciliation(reconciliation.AccountCompared))
        yield Move(f"the reading arrives: {leg.reading.contracts} held", leg, items)


def _wishes(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    """What the desk and the strategy ask for, where the numbers would let them."""
    if facets.is_stopping:
        return
    is_ready, is_pushy = facets.life is lifecycle.S.READY, bounds.pushy
    if is_pushy or (is_ready and facets.entry in order.FREE and facets.position is position.S.FLAT):
        wanted = (Tell(part_of(Role.ENTRY), EntryWanted, (("rests", bounds.rests),)),)
        yield Move("the strategy wants to enter", leg, wanted, entries=1)
    if bounds.rests and (is_pushy or facets.entry in order.RESTING):
        yield Move("the market moves away from the entry", leg, (to_order(Role.ENTRY, order.RepriceWanted),))
    is_sold = bool(leg.others) and facets.protection is protection.S.TRIGGERED  # and theirs is not to be sold
    may_close = is_pushy or (facets.position is position.S.OPEN and leg.booked and not is_sold)
    if bounds.closes and may_close:
        yield Move("the strategy wants to close", leg, (to_position(position.CloseWanted),))
    is_free = facets.position is position.S.OPEN and facets.close in order.FREE
    may_reduce = is_free and leg.booked > 1
    if bounds.reduces and (may_reduce or (is_pushy and facets.position is not position.S.OPEN)):
        yield Move("the strategy wants to take a part", leg, (to_position(position.ReduceWanted),))
    may_move = facets.position is position.S.OPEN and facets.protection is protection.S.COVERED
    if bounds.moves and (is_pushy or may_move) and not leg.wanted:
        yield Move("a better level is wanted", leg, (to_protection(protection.MoveWanted),))


def _of_others(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    """What is heard of strangers' trades, and what our own orders say of which part is ours."""
    if leg.news and not facets.is_holding:
        change = leg.news[0]
        words = "push: somebody has " + ("added to the position" if change > 0 else "taken from the position")
        yield Move(words, replace(leg, news=leg.news[1:]), (TheirNews(change),))
    if leg.own_read:
        after = replace(leg, own_read=False)
        yield Move("answer: our own orders and their fills", after, (OwnOrders(leg.filled),))
        yield Move("answer: our own orders could not be read", after, (OwnOrders(None),), 1)


def _of_sizes(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    is_open = facets.position is position.S.OPEN
    if leg.dropped and is_open and facets.protection in protection.COVERS:
        yield Move("time to see that the stop went with what was closed", leg, (MindSize(),))
    if leg.is_shared and leg.booked and leg.mine.known and leg.mine.seen != leg.booked:
        yield Move("time to look at the size of the stop", leg, (MindSize(),))


LOSSES: tuple[Rule, ...] = (
    *(partial(_lost_pushes, role=role) for role in (*ROLES, None)),
    *(partial(_lost_pushes_of_stops, is_mine=is_mine) for is_mine in (True, False)),
)
"""What goes missing on a connection that is up."""

RULES: tuple[Rule, ...] = (
    *(partial(_of_order, role=role) for role in ROLES),
    *(partial(_queries, role=role) for role in ROLES),
    *(partial(_pushes, role=role) for role in (*ROLES, None)),
    *(partial(_pushes_of_stops, is_mine=is_mine) for is_mine in (True, False)),
    *LOSSES,
    _of_placing,
    _of_earlier_placing,
    _of_moving,
    *(partial(_stops_readings, field=field) for field in ("stops_read", "late_read")),
    _of_position,
    _explanations,
    _of_reading,
    *(by_itself(partial(_timers_of_order, role=role)) for role in ROLES),
    by_itself(_timers_of_protection),
    _of_others,
    by_itself(_of_sizes),
    by_itself(_differences),
    by_itself(_wishes),
)
"""Everything that can reach a running bot."""
