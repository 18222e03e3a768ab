"""What can be left out of a leg because it cannot matter any more.

Each reduction is exact, and says why:

* pushes on a connection that is gone are lost, as they are in the world;
* an order whose end the machine knows is told nothing new by any answer, query or timer: the
  final states ignore them all (a test holds the order's table to this), its
  fills are booked, and the next order makes them stale;
* a leg without protection ignores every answer and timer about a stop, and the next stop makes them
  stale; a request on its way may still arrive;
* a sweep names the stops that rested when it was sent: when they are gone it does nothing;
* without overtaking a reading is a moment, so what was seen when it began is not kept;
* a child whose last report has been taken, or lost, is asked for by nobody.
"""

from __future__ import annotations

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.leg import (
    At,
    Call,
    Filled,
    Leg,
    Order,
    Reading,
    Shown,
    replace,
    without_fills,
)
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.machine import order, protection
from anchorwatch.machine.order import Role

ENDED = Order()
UNDER_WAY = Reading(0, Filled())


def calmed(leg: Leg, facets: Facets, bounds: Bounds) -> Leg:
    """The same leg without what cannot matter any more."""
    if not facets.hears_orders:
        for field in ("entry", "close", "child"):
            if getattr(leg, field).pushes:
                leg = replace(leg, **{field: replace(getattr(leg, field), pushes=())})
        if leg.news:
            leg = replace(leg, news=())
    if not facets.hears_stops:
        for field in ("mine", "other"):
            if getattr(leg, field).pushes:
                leg = replace(leg, **{field: replace(getattr(leg, field), pushes=())})
    if facets.is_born:
        for role, state in ((Role.ENTRY, facets.entry), (Role.CLOSE, facets.close)):
            this = leg.order(role)
            if state in order.FREE and not this.may_fill and not this.pushes and not this.intent:
                leg = _without(leg, role)
    if leg.reading is not None and not bounds.overtaking:
        leg = replace(leg, reading=UNDER_WAY)
    if leg.sweep and not leg.other.live:
        leg = replace(leg, sweep=False)
    if leg.naked_due and facets.protection in protection.TIMED:
        leg = replace(leg, naked_due=False)  # it was before everything that is said from then on
    if facets.is_born and facets.protection is protection.S.NONE:
        leg = _unprotected(leg)
    if not bounds.crashes:  # what only a next life would ask
        for field in ("entry", "close", "child"):
            if getattr(leg, field).kept:
                leg = replace(leg, **{field: replace(getattr(leg, field), kept=0)})
    if leg.late_read is not None and not bounds.late_reads:
        leg = replace(leg, late_read=None)
    if leg.child.pushes and not leg.is_shared:
        leg = _with_news_of_child(leg)
    # Where others share the position every fill of ours counts, and what was not heard of is asked for.
    is_heard = not leg.is_shared or leg.child.booked >= leg.child.filled
    if leg.child.at is At.DONE and not leg.child.pushes and is_heard:
        leg = _without(leg, None)
    return leg


def _with_news_of_child(leg: Leg) -> Leg:
    """Without reports of the child that add nothing, and with its fills told from the last one that was taken."""
    child, reading, closed, shown = leg.child, leg.reading, leg.closed, leg.leg_read
    while child.pushes and child.pushes[0].filled <= max(child.counted, child.booked):
        booked = max(child.booked, child.pushes[0].filled)
        child = replace(child, pushes=child.pushes[1:], booked=booked)
    base = child.booked
    if child == leg.child and not base:
        return leg
    pushes = tuple(replace(push, filled=push.filled - base) for push in child.pushes)
    child = replace(
        child,
        size=child.size - base,
        filled=child.filled - base,
        counted=max(0, child.counted - base),
        booked=0,
        pushes=pushes,
    )
    if reading is not None:
        before = max(0, reading.filled.child - base)
        reading = replace(reading, filled=replace(reading.filled, child=before))
    if closed is not None:
        closed = replace(closed, child=max(0, closed.child - base))
    if isinstance(shown, Shown):
        before = max(0, shown.filled.child - base)
        shown = replace(shown, filled=replace(shown.filled, child=before))
    return replace(leg, child=child, reading=reading, closed=closed, leg_read=shown)


def _unprotected(leg: Leg) -> Leg:
    return replace(
        leg,
        stray_other=leg.stray_other or leg.place is Call.WIRE,
        place=Call.NONE,
        late_place=Call.NONE,
        move=Call.NONE,
        stops_read=None,
        late_read=leg.stops_read or leg.late_read,
        retry_timer=False,
        fill_clock=False,
    )


def _without(leg: Leg, role: Role | None) -> Leg:
    if leg.order(role) == ENDED:
        return leg
    return without_fills(leg.with_order(role, ENDED), role)
