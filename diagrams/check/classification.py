"""The desk's part in the world: which events a report becomes, and what the book and the journal make of it.

Written from what the desk promises (fills are cumulative, figures of the venue that were
taken over count every fill up to them, a reading is fenced by what the book took later),
because the desk itself counts in prices and is not explored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check import sharing, venue
from anchorwatch.diagrams.check.leg import (
    At,
    Filled,
    Leg,
    Reading,
    Shown,
    StopPush,
    StopsSeen,
    replace,
    with_other_meant,
    with_whose,
    without_meaning,
)
from anchorwatch.diagrams.check.production import Facets, Tell
from anchorwatch.machine import dead_man, order, position, protection, reconciliation
from anchorwatch.machine.bot import OrderRemembered, Part
from anchorwatch.machine.order import Role
from anchorwatch.machine.world import OrderState

Classified = tuple[Leg, tuple[i.Item, ...]]

EVENT_OF = {
    OrderState.LIVE: order.OrderSeenLive,
    OrderState.PARTIAL: order.OrderPartlyFilled,
    OrderState.FILLED: order.OrderFilled,
    OrderState.CANCELLED: order.OrderCancelled,
}


def classify(leg: Leg, facets: Facets, item: i.Item) -> Classified:
    """What the desk makes of ``item``: the leg after it, and what comes of it next."""
    return CLASSIFIERS[type(item)](leg, facets, item)


def _order_news(leg: Leg, facets: Facets, news: i.OrderNews) -> Classified:
    """First its fills, then its fate."""
    report, role = news.report, news.role
    if leg.is_shared and role is not None:
        leg = sharing.with_what_was_remembered(leg, role)
    added = report.filled - leg.order(role).booked
    told: tuple[i.Item, ...] = ()
    if added > 0:
        leg, told = _take_fills(leg, facets, role, report.filled, added)
    if role is None:
        return leg, told
    event = EVENT_OF[report.state]
    if report.state is OrderState.PARTIAL and added <= 0:
        event = order.OrderSeenLive
    if report.state in (OrderState.FILLED, OrderState.CANCELLED):
        # All of it is booked and its fate is told: what is still under way adds nothing.
        leg = leg.with_order(role, replace(leg.order(role), pushes=()))
    return leg, (*told, i.to_order(role, event))


def _take_fills(leg: Leg, facets: Facets, role: Role | None, filled: int, added: int) -> Classified:
    this = leg.order(role)
    leg = leg.with_order(role, replace(this, booked=filled))
    if filled <= this.counted:
        # Figures that were taken over count it already, as ours or as a stranger's.
        is_told = leg.is_shared and (facets.position in position.OURS or role is Role.ENTRY)
        return sharing.filled_late(leg, facets, role, added) if is_told else (leg, ())
    leg = _overtaken(leg, role, filled)
    leg = with_whose(leg, is_hearsay=False) if leg.whose.is_hearsay and role is not None else leg
    if role is Role.ENTRY:
        was_flat = not leg.booked
        leg = replace(leg, booked=leg.booked + added, remembered=leg.booked + added)
        leg = sharing.noted(leg, role, filled)
        if not was_flat and leg.is_shared and facets.position in position.GONE:
            return sharing.doubted(_grown(leg, filled)), ()
        if not was_flat:
            return _grown(leg, filled), (i.to_position(position.PositionGrown), i.MindSize())
        return _opened(leg), (i.to_position(position.PositionSeen),)
    if leg.is_shared and leg.others and not leg.booked:
        return sharing.taken_by_us(leg, added)
    closing = min(added, leg.booked)
    told: tuple[i.Item, ...] = ()
    if closing < added:
        told = (i.to_reconciliation(reconciliation.BookDoubted),)
    if closing:
        left = leg.booked - closing
        leg = replace(leg, booked=left, remembered=left or leg.remembered)
        if not left:
            told = (*told, i.to_position(position.EndConfirmed), i.LeaveToOthers())
        else:
            leg = sharing.noted(leg, role, filled)
            told = (*told, i.MindSize())
    return leg, told


def _opened(leg: Leg) -> Leg:
    """A leg that is opened now looks for its own end only, not for that of the last one."""
    for role in (Role.CLOSE, None):  # what is still told of the last one is older than this one
        this = leg.order(role)
        if this.booked < this.counted:
            leg = leg.with_order(role, replace(this, booked=this.counted))
    return replace(leg, is_unwanted=False, closed=None if leg.contracts else leg.closed)


def _grown(leg: Leg, filled: int) -> Leg:
    """An end that is older than what added to the position last is not asked for."""
    is_older = leg.closed is not None and leg.closed.entry < filled
    return replace(leg, closed=None) if is_older else leg


def _overtaken(leg: Leg, role: Role | None, filled: int) -> Leg:
    """The book has a report from after the reading's positions were read."""
    if leg.reading is not None and filled > _of(leg.reading.filled, role):
        leg = replace(leg, reading=replace(leg.reading, overtaken=True))
    if isinstance(leg.leg_read, Shown):
        leg = replace(leg, leg_read=replace(leg.leg_read, overtaken=True))
    return leg


def _of(filled: Filled, role: Role | None) -> int:
    return filled.child if role is None else filled.entry if role is Role.ENTRY else filled.close


def _restated(leg: Leg, contracts: int, filled: Filled) -> Leg:
    """The venue's figures are taken over: fills up to them are counted, whenever they are reported."""
    for role in (Role.ENTRY, Role.CLOSE, None):
        this = leg.order(role)
        leg = leg.with_order(role, replace(this, counted=max(this.counted, _of(filled, role))))
    return replace(leg, booked=contracts)


# Stops.


def _stop_news(leg: Leg, facets: Facets, news: i.StopNews) -> Classified:
    stop = leg.mine if news.is_mine else leg.other
    was_known = stop.known
    stop = replace(stop, known=news.push is StopPush.LIVE, seen=stop.size)
    leg = replace(leg, mine=stop) if news.is_mine else replace(leg, other=stop)
    if news.push is StopPush.LIVE:
        if news.is_mine:
            return leg, _live(leg)
        return (replace(leg, sweep=True) if facets.protection in protection.COVERS else leg), ()
    leg = _without_ended(leg, news.is_mine)
    if not leg.booked:
        return leg, ()
    if news.push is StopPush.TRIGGERED and (news.is_mine or was_known):
        return leg, (i.to_protection(protection.StopTriggered),)
    if news.push is StopPush.GONE and news.is_mine:
        if facets.position is position.S.CLOSING:
            return replace(leg, dropped=True), ()  # the venue drops the stop of a position that closes
        return leg, (i.to_protection(protection.StopGone),)
    return leg, ()


def _without_ended(leg: Leg, is_mine: bool) -> Leg:
    """A stop that has ended does not live, whatever a list that was read before may say."""
    changes = {"mine": False} if is_mine else {"other": False}
    for field in ("stops_read", "late_read"):
        seen = getattr(leg, field)
        if isinstance(seen, StopsSeen):
            leg = replace(leg, **{field: replace(seen, **changes)})
    reading = leg.reading
    if reading is not None and reading.stops is not None:
        leg = replace(leg, reading=replace(reading, stops=replace(reading.stops, **changes)))
    return leg


def _live(leg: Leg) -> tuple[i.Item, ...]:
    """What a live stop that is meant tells: that it covers, if it is enough."""
    seen = (i.to_protection(protection.StopSeenLive),) if sharing.is_enough(leg, leg.mine) else ()
    return (*seen, i.MindSize())


def _stops_answer(leg: Leg, facets: Facets, answer: i.StopsAnswer) -> Classified:
    if answer.is_late:
        return leg, ()
    leg = _known(leg, answer.stops)
    if not leg.booked:
        return leg, ()  # it was read while the leg ended
    if leg.mine.known:
        is_behind = facets.protection is protection.S.GROWING and not sharing.is_enough(leg, leg.mine)
        return leg, (i.to_protection(protection.StopReadFailed),) if is_behind else _live(leg)
    if leg.other.known and sharing.is_enough(leg, leg.other):
        return leg, (i.Adopt(),)
    return leg, (i.to_protection(protection.StopGone),)


def _known(leg: Leg, seen: StopsSeen) -> Leg:
    return replace(
        leg,
        mine=replace(leg.mine, known=seen.mine, seen=leg.mine.size),
        other=replace(leg.other, known=seen.other, seen=leg.other.size),
    )


def _adopt(leg: Leg, facets: Facets, item: i.Adopt) -> Classified:
    if not (leg.mine.known and sharing.is_enough(leg, leg.mine)):
        if not (leg.other.known and sharing.is_enough(leg, leg.other)):
            return leg, ()
        leg = with_other_meant(leg)
    return leg, (i.to_protection(protection.CoverAdopted),)


def _fall_back(leg: Leg, facets: Facets, item: i.FallBack) -> Classified:
    return leg, (i.Adopt(),) if facets.protection is protection.S.NAKED else ()


# Positions.


def _leg_answer(leg: Leg, facets: Facets, answer: i.LegAnswer) -> Classified:
    if facets.position not in (position.S.REDUCING, position.S.CLOSING):
        return leg, ()  # the close that asked has been overtaken
    if answer.shown is None:
        return leg, (i.to_position(position.ReadEnded),)
    if not answer.shown.contracts:
        return leg, (i.to_position(position.AbsenceSeen),)
    if leg.is_shared and not answer.shown.overtaken:
        leg = sharing.taken_over(leg, answer.shown.contracts, answer.shown.filled)
    elif not answer.shown.overtaken:
        leg = _restated(leg, answer.shown.contracts, answer.shown.filled)
        leg = replace(leg, closed=None if leg.contracts else leg.closed)  # it was there then
    return leg, (i.to_position(position.ReadEnded),)


def _seems_opened(leg: Leg, facets: Facets, item: i.SeemsOpened) -> Classified:
    """It is protected at once, because it may be there; whether it is, is read."""
    leg = _opened(with_whose(leg, is_hearsay=True, missed_again=False))
    leg = replace(leg, booked=1, remembered=1)
    return leg, (i.to_position(position.PositionSeen), i.to_reconciliation(reconciliation.BookDoubted))


def _no_end_for_long(leg: Leg, facets: Facets, item: i.NoEndForLong) -> Classified:
    """What nothing but somebody's order has ever told of never was, when another reading has not shown it either."""
    if not leg.whose.is_hearsay or facets.position not in position.GONE:
        return leg, (i.to_position(position.ConfirmationOverdue),)
    if leg.whose.missed_again:
        return leg, (i.to_position(position.EndConfirmed),)
    doubted = i.to_reconciliation(reconciliation.BookDoubted)
    return leg, (doubted, i.to_position(position.ConfirmationFailed))


def _explained(leg: Leg, facets: Facets, item: i.Explained) -> Classified:
    if facets.position not in position.GONE:
        return leg, ()  # a fill told the end first, or the position was shown again
    if leg.whose.part_in_doubt:
        return leg, ()  # it may be the end of what was before what is asked about
    if leg.booked and leg.closed is not None:
        leg = replace(_restated(leg, 0, leg.closed), others=0, news=leg.news if leg.held else ())
        if leg.reading is not None:  # of before its end, which the book knows
            leg = replace(leg, reading=replace(leg.reading, overtaken=True))
    return leg, (i.to_position(position.EndConfirmed), i.LeaveToOthers())


# Readings.


def _start_reading(leg: Leg, facets: Facets, item: i.StartReading) -> Classified:
    return replace(leg, reading=Reading(leg.held, leg.filled)), ()


def _audit(leg: Leg, facets: Facets, item: i.Audit) -> Classified:
    stops = StopsSeen(leg.mine.live, leg.other.live)
    resumes = leg.reading if item.is_of_stage else None
    contracts = 0 if item.is_empty else leg.held
    return replace(leg, reading=Reading(contracts, leg.filled, stops)), (i.Compare(resumes),)


def _compare(leg: Leg, facets: Facets, item: i.Compare) -> Classified:
    """Stops first, then what was remembered, then the position, then its cover."""
    reading = leg.reading
    assert reading is not None
    assert reading.stops is not None
    seen = StopsSeen(
        reading.stops.mine or (leg.mine.known and reading.mine_renewed),
        reading.stops.other or (leg.other.known and reading.other_renewed),
    )
    leg = _known(leg, seen)
    if leg.whose.is_hearsay and reading.contracts:
        leg = with_whose(leg, is_hearsay=False)
    elif leg.whose.is_hearsay and facets.position in position.GONE:
        leg = with_whose(leg, missed_again=True)
    told: tuple[i.Item, ...] = ()
    if not leg.recalled:
        leg, told = _recall(leg, reading)
    return leg, (*told, i.Mend(), i.FindAgain(), i.CheckCover(), i.EndReading(item.resumes))


def _recall(leg: Leg, reading: Reading) -> Classified:
    told: tuple[i.Item, ...] = ()
    if leg.remembered:
        if reading.contracts and leg.is_shared:
            leg, told = sharing.recalled(leg, reading)
        elif reading.contracts:
            leg = replace(_restated(leg, reading.contracts, reading.filled), wanted=leg.kept)
            told = (i.Adopt(), i.to_position(position.PositionSeen))
        else:
            leg = replace(leg, booked=leg.remembered, reading=replace(reading, overtaken=True))
            leg = with_whose(leg, fills_unknown=leg.is_shared)
            told = (i.to_position(position.PositionMissed),)
    for role in (Role.CLOSE, Role.ENTRY):
        if leg.order(role).intent:
            remembered = Tell(i.part_of(role), OrderRemembered, (("role", role),))
            told = (*told, remembered)
    return replace(leg, recalled=True), told


def _fired(leg: Leg, facets: Facets, item: i.Fired) -> Classified:
    """The venue's part: the entry ends, and stops with it if it takes them. The desk looks at what it took."""
    told: tuple[i.Item, ...] = ()
    if leg.entry.at is At.LIVE:
        leg = venue.ended(leg, Role.ENTRY, facets)
        told = (i.to_reconciliation(reconciliation.BookDoubted),) if facets.is_running else ()
    if item.takes_stops and leg.mine.live:
        leg = replace(leg, mine=venue.stop_changed(leg.mine, facets, StopPush.GONE))
        if facets.is_running:
            told = (*told, Tell(Part.DEAD_MAN, dead_man.StopsTaken))
    return leg, told


def _mend(leg: Leg, facets: Facets, item: i.Mend) -> Classified:
    reading = leg.reading
    assert reading is not None
    theirs = reading.contracts
    if reading.overtaken or theirs == leg.booked + leg.others:
        return leg, ()
    if leg.is_shared:
        return sharing.mended(leg, facets, reading)
    ours = leg.booked
    doubted: tuple[i.Item, ...] = ()
    if facets.entry in order.OUT:
        doubted = (i.to_order(Role.ENTRY, order.OrderDoubted),)
        if not ours:
            return leg, doubted  # our own entry has just filled: the query about it will say so
    if not theirs:
        return leg, (*doubted, i.to_position(position.AbsenceSeen))
    leg = replace(_restated(leg, theirs, reading.filled), remembered=theirs)
    leg = replace(leg, closed=None if leg.contracts else leg.closed)  # it was there then
    if not ours:
        return _opened(leg), (*doubted, i.Adopt(), i.to_position(position.PositionSeen))
    if theirs <= ours:
        return leg, doubted
    return leg, (*doubted, i.to_position(position.PositionGrown))


def _find_again(leg: Leg, facets: Facets, item: i.FindAgain) -> Classified:
    assert leg.reading is not None
    if not leg.reading.contracts or facets.position not in position.GONE:
        return leg, ()
    if leg.is_shared:  # what is shown may be a stranger's
        return sharing.doubted(leg), ()
    return leg, _seen_again(leg)


def _seen_again(leg: Leg) -> tuple[i.Item, ...]:
    told = (i.to_position(position.PositionSeen), i.MindSize())
    return (*told, i.to_position(position.CloseWanted)) if leg.is_unwanted else told


def _check_cover(leg: Leg, facets: Facets, item: i.CheckCover) -> Classified:
    reading = leg.reading
    assert reading is not None
    leg = replace(leg, own_read=True) if leg.whose.may_be_ours else leg
    if facets.position not in position.HELD:
        is_orphan = not leg.booked and (leg.mine.known or leg.other.known) and not leg.whose.may_be_ours
        if not is_orphan:
            return leg, ()
        return replace(without_meaning(leg), sweep=True), ()
    if leg.mine.known:
        return leg, _live(leg)
    if facets.protection in protection.COVERS and not reading.stop_asked:
        # It may have sold our part, and theirs is what is shown.
        leg = replace(leg, own_read=True) if leg.others else leg
        return leg, (i.to_protection(protection.StopGone),)
    return leg, ()


def _end_reading(leg: Leg, facets: Facets, item: i.EndReading) -> Classified:
    resumed = replace(item.resumes, overtaken=True) if item.resumes is not None else None
    return replace(leg, reading=resumed), ()


def _own_orders(leg: Leg, facets: Facets, answer: i.OwnOrders) -> Classified:
    """Our own orders say which part of a shared position is ours: what was missed of them is booked now."""
    if facets.position is position.S.WATCHED and leg.whose.may_be_ours:
        if answer.filled is None:
            return leg, (i.to_reconciliation(reconciliation.BookDoubted),)
        return sharing.claimed(leg, answer.filled)
    if facets.position not in position.OURS:
        return leg, ()
    if answer.filled is None:
        is_gone = facets.position in position.GONE
        return leg, (i.to_position(position.ConfirmationFailed),) if is_gone else ()
    told: tuple[i.Item, ...] = ()
    if leg.whose.fills_unknown:
        leg = sharing.with_fills_found(leg, answer.filled)
    leg = with_whose(replace(leg, own_known=True), part_in_doubt=True, fills_unknown=False)
    for role in (Role.ENTRY, Role.CLOSE, None):
        filled = _of(answer.filled, role)
        added = filled - leg.order(role).booked
        if added > 0:
            leg, said = _take_fills(leg, facets, role, filled, added)
            told = (*told, *said)
    leg = with_whose(leg, part_in_doubt=False)
    if leg.others and leg.booked:  # what is left when our part is over is theirs, and known
        told = (*told, i.to_reconciliation(reconciliation.BookDoubted))
    if leg.booked and facets.position in position.GONE:
        told = (*told, *_seen_again(leg))
    return leg, told


CLASSIFIERS: dict[type[Any], Callable[[Leg, Facets, Any], Classified]] = {
    i.OrderNews: _order_news,
    i.StopNews: _stop_news,
    i.StopsAnswer: _stops_answer,
    i.LegAnswer: _leg_answer,
    i.Explained: _explained,
    i.StartReading: _start_reading,
    i.Audit: _audit,
    i.Compare: _compare,
    i.Fired: _fired,
    i.Mend: _mend,
    i.Adopt: _adopt,
    i.FallBack: _fall_back,
    i.FindAgain: _find_again,
    i.CheckCover: _check_cover,
    i.TheirNews: sharing.their_news,
    i.SeemsOpened: _seems_opened,
    i.NoEndForLong: _no_end_for_long,
    i.OwnOrders: _own_orders,
    i.LeaveToOthers: sharing.left_to_others,
    i.MindSize: sharing.size_minded,
    i.EndReading: _end_reading,
}

CLASSIFIED_AS_PROMISED = dict(CLASSIFIERS)
"""For defects that are planted in front of one."""
