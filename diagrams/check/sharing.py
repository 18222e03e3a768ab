"""The desk's part where strangers share the position: which of it is ours, and the stop of exactly that size.

Written from what the desk promises: ours is what our own orders filled; whatever else the venue shows is theirs, is
watched where nothing is ours, and no stop and no close of ours takes it; what a stranger takes is taken from theirs
first; and whose part has shrunk is not said by a size, so our own orders are asked.
"""

from __future__ import annotations

from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.leg import Filled, Leg, Reading, Stop, replace, with_whose
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.machine import order, position, protection, reconciliation
from anchorwatch.machine.order import Role

Classified = tuple[Leg, tuple[i.Item, ...]]

RESIZABLE = (protection.S.COVERED, protection.S.PENDING, protection.S.DOUBTFUL)
"""States in which the size of the stop can be asked to be another."""


def is_enough(leg: Leg, stop: Stop) -> bool:
    """Whether this stop, as it is known, would close all that is booked as ours."""
    return not stop.seen or stop.seen >= leg.booked


def noted(leg: Leg, role: Role | None, filled: int) -> Leg:
    """What the next life must know: how many fills of an order of ours are in what it is told is ours."""
    if not leg.is_shared:
        return leg
    return leg.with_order(role, replace(leg.order(role), kept=filled))


def with_what_was_remembered(leg: Leg, role: Role) -> Leg:
    """A life before this one booked the beginning of this order."""
    this = leg.order(role)
    return leg if this.booked else leg.with_order(role, replace(this, booked=this.kept))


def doubted(leg: Leg) -> Leg:
    """Part of it is gone, and part is new: which there is of ours, our own orders say."""
    return leg if leg.whose.part_in_doubt else with_whose(replace(leg, own_read=True), part_in_doubt=True)


def recalled(leg: Leg, reading: Reading) -> Classified:
    """No more than was remembered is ours. Without the stop that was meant it may have been sold, and our own orders are asked."""
    own = min(leg.remembered, reading.contracts)
    leg = replace(
        _counted(leg, reading.filled),
        booked=own,
        cut=leg.cut + leg.remembered - own,
        others=reading.contracts - own,
        wanted=leg.kept,
    )
    leg = with_whose(leg, fills_unknown=True)
    if not leg.mine.known:
        return with_whose(leg, part_in_doubt=True), (i.to_position(position.PositionMissed),)
    return leg, (i.Adopt(), i.to_position(position.PositionSeen))


def with_fills_found(leg: Leg, filled: Filled) -> Leg:
    """What the life before had booked of our own orders: all but as many of the last fills as its figure lacks."""
    beyond = leg.contracts + leg.whose.taken - leg.booked - leg.cut
    missing, more = max(0, -beyond), max(0, beyond)
    for role, all_of_it in ((None, filled.child), (Role.CLOSE, filled.close)):
        unseen = min(missing, all_of_it)
        missing -= unseen
        leg = leg.with_order(role, replace(leg.order(role), booked=all_of_it - unseen))
    known = with_what_was_remembered(leg, Role.ENTRY).entry.booked
    unseen = min(more, max(0, filled.entry - known))
    return leg.with_order(Role.ENTRY, replace(leg.entry, booked=filled.entry - unseen))


def taken_over(leg: Leg, shown: int, filled: Filled) -> Leg:
    """The venue's figure of a position that is ours in part."""
    if leg.others and shown < leg.booked + leg.others and not leg.own_known:
        return replace(leg, own_read=True)
    leg = _counted(leg, filled)
    own = min(leg.booked, shown)
    leg = replace(leg, news=())  # what is under way of it is in these figures
    return replace(leg, cut=leg.cut + leg.booked - own, booked=own, remembered=own, others=shown - own)


def _counted(leg: Leg, filled: Filled) -> Leg:
    """Fills up to these are in the venue's figure, whosever it is taken for."""
    for role in (Role.ENTRY, Role.CLOSE, None):
        this = leg.order(role)
        reported = filled.child if role is None else getattr(filled, role.value)
        leg = leg.with_order(role, replace(this, counted=max(this.counted, reported)))
    return leg


def mended(leg: Leg, facets: Facets, reading: Reading) -> Classified:
    """A reading differs from the book: what is not ours is registered, and what is ours is asked about."""
    shown, was = reading.contracts, leg.booked + leg.others
    doubted: tuple[i.Item, ...] = ()
    if facets.entry in order.OUT:
        doubted = (i.to_order(Role.ENTRY, order.OrderDoubted),)
        if not was:
            return leg, doubted  # our own entry has just filled: the query about it will say so
    if facets.position in position.OURS:
        if shown:
            return taken_over(leg, shown, reading.filled), (*doubted, i.MindSize())
        return leg, (*doubted, i.to_position(position.AbsenceSeen))
    if not shown:
        return replace(leg, others=0, news=()), (*doubted, i.to_position(position.AbsenceSeen))
    event = position.ForeignSeen if not was else position.PositionGrown
    is_news = not was or shown > was
    if not was:
        leg = with_whose(leg, may_be_ours=leg.whose.is_first)
    leg = replace(_counted(leg, reading.filled), others=shown, news=())
    return leg, (*doubted, i.to_position(event)) if is_news else doubted


def their_news(leg: Leg, facets: Facets, news: i.TheirNews) -> Classified:
    """A stranger's order has filled."""
    if facets.position in position.OURS:
        if news.change > 0:
            return replace(leg, others=leg.others + 1), ()
        if leg.others:
            return replace(leg, others=leg.others - 1), ()
        left = leg.booked - 1
        leg = replace(leg, booked=left, remembered=left or leg.remembered)
        return leg, (i.MindSize(),) if left else (i.to_position(position.EndConfirmed),)
    if news.change > 0:
        event = position.PositionGrown if leg.others else position.ForeignSeen
        return replace(leg, others=leg.others + 1), (i.to_position(event),)
    if not leg.others:
        return leg, (i.to_reconciliation(reconciliation.BookDoubted),)
    leg = replace(leg, others=leg.others - 1)
    return leg, () if leg.others else (i.to_position(position.EndConfirmed),)


def filled_late(leg: Leg, facets: Facets, role: Role | None, added: int) -> Classified:
    """A fill of ours that figures taken over have counted: it is ours, whatever was taken for theirs."""
    if facets.position is position.S.WATCHED:
        leg = replace(leg, booked=added, remembered=added, others=max(0, leg.others - added), closed=None)
        leg = noted(leg, role, leg.entry.booked)
        for one in (Role.CLOSE, None):
            this = leg.order(one)
            leg = leg.with_order(one, replace(this, booked=max(this.booked, this.counted)))
        return leg, (i.to_position(position.PositionSeen),)
    if facets.position not in position.OURS:
        return leg, ()
    if role is Role.ENTRY:
        ours = leg.booked + added
        leg = replace(leg, booked=ours, remembered=ours, others=max(0, leg.others - added))
        leg = noted(leg, role, leg.entry.booked)
        if facets.position in position.GONE:
            return doubted(leg), ()
        return leg, (i.to_position(position.PositionGrown), i.MindSize())
    known = min(added, leg.cut)
    rest = min(added - known, leg.booked)
    left = leg.booked - rest
    leg = replace(leg, cut=leg.cut - known, booked=left, others=leg.others + rest)
    if left:
        leg = replace(leg, remembered=left)
        leg = noted(leg, role, leg.order(role).booked)
        return leg, (i.MindSize(),)
    return leg, (i.to_position(position.EndConfirmed), i.LeaveToOthers())


def claimed(leg: Leg, filled: Filled) -> Classified:
    """The journal is gone, and the venue's history says that orders with our name made this position."""
    leg = with_whose(leg, may_be_ours=False)
    own = min(leg.contracts + leg.whose.taken, leg.others)
    if own <= 0:
        return leg, ()
    leg = with_fills_found(replace(leg, booked=own, remembered=own, others=leg.others - own), filled)
    return leg, (i.Adopt(), i.to_position(position.PositionSeen))


def taken_by_us(leg: Leg, added: int) -> Classified:
    """A closing order of ours that came when our part was over has taken what was theirs."""
    taken = min(added, leg.others)
    leg = replace(leg, others=leg.others - taken)
    told: tuple[i.Item, ...] = (i.to_reconciliation(reconciliation.BookDoubted),) if taken < added else ()
    return leg, (*told, i.to_position(position.EndConfirmed)) if taken and not leg.others else told


def left_to_others(leg: Leg, facets: Facets, item: i.LeaveToOthers) -> Classified:
    if leg.others and facets.position is position.S.FLAT:
        return leg, (i.to_position(position.ForeignSeen),)
    return leg, ()


def size_minded(leg: Leg, facets: Facets, item: i.MindSize) -> Classified:
    """One that went while the leg was closed and is needed after all is gone; one that is too small is told at once,
    and one that is too large when nothing else is under way."""
    if leg.dropped and facets.position is position.S.OPEN and facets.protection in protection.COVERS:
        return replace(leg, dropped=False), (i.to_protection(protection.StopGone),)
    is_asked = leg.is_shared and leg.mine.known and leg.booked and facets.protection in RESIZABLE
    if not is_asked or leg.mine.seen == leg.booked:
        return leg, ()
    is_small = leg.mine.seen < leg.booked
    if not is_small and facets.protection is not protection.S.COVERED:
        return leg, ()
    grow = protection.CoverTooSmall if is_small else protection.MoveWanted
    return leg, (i.to_protection(protection.BridgeWanted if leg.is_fixed else grow),)
