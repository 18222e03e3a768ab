"""Net mode: both sides of an instrument are one position, whose sign says which (OKX v5, ``posMode``).

An order that opens one side takes from the other while that is open, and turns the position when it is larger; no
report says which of the two it did. So an entry must never be where it could meet the other side. Closing orders and
stops of the whole position are reduce-only: they are refused while the other side is open (code 51170), so of them
nothing is to be said that the rules of one leg do not say.

What can turn a position all the same is an order of somebody else, and a stop that travelled with an entry: it may
outlive its position, and is then an ordinary order, which opens the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.items import Item, Move, OrderNews, SeemsOpened, to_reconciliation
from anchorwatch.diagrams.check.leg import Leg, StopPush, replace
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.diagrams.check.venue import closed_by_somebody, stop_changed
from anchorwatch.machine import order, reconciliation


def is_met(one: Leg, other: Leg) -> bool:
    """Whether an entry of one side may fill while the other side is open, or may be opened by an entry of its own."""
    return _may_meet(one, other) or _may_meet(other, one)


def _may_meet(entering: Leg, other: Leg) -> bool:
    return entering.entry.may_fill and (bool(other.contracts) or other.entry.may_fill)


class Turn(Move, frozen=True):
    """A move that changes the other side as well."""

    other: Leg = Leg()


BothRule = Callable[..., Iterator[Turn]]
"""Takes a side, the other side, the facets of the first, and ``bounds``."""


def _turned(leg: Leg, other: Leg, facets: Facets, bounds: Bounds) -> Iterator[Turn]:
    """What has opened the other side is heard of at once, or with the next reading: no entry is under way then."""
    if not bounds.turns or facets.is_holding or leg.entry.may_fill or other.entry.may_fill:
        return
    opened = replace(other, contracts=other.contracts + 1)
    doubted = (to_reconciliation(reconciliation.BookDoubted),) if facets.private else ()
    if leg.contracts and not leg.child.may_fill and not leg.child.pushes:
        closed = closed_by_somebody(leg, facets)
        told: tuple[Item, ...] = tuple(OrderNews(None, report) for report in closed.child.pushes)
        closed = replace(closed, child=replace(closed.child, pushes=()))
        yield Turn(
            "somebody turns the position", closed, (*told, *doubted), faults=1, can_wait=True, other=opened
        )
    if leg.other.live and not leg.contracts:
        gone = replace(leg, other=stop_changed(leg.other, facets, StopPush.TRIGGERED), sweep=False)
        yield Turn(
            "a stop that was left behind opens the other side",
            gone,
            doubted,
            faults=1,
            can_wait=True,
            other=opened,
        )


def _told_of(leg: Leg, other: Leg, facets: Facets, bounds: Bounds) -> Iterator[Turn]:
    """Somebody's order, of which the book can only think that it has opened this side, because it holds none.

    Of an account's orders all are pushed (OKX v5), and none says in net mode whether it opens or closes. Where the push
    about one that opened the other side was lost, the one that closed it seems to have opened this one.
    """
    is_entering = facets.entry not in order.FREE or leg.entry.may_fill or other.entry.may_fill
    if not bounds.hearsay or facets.is_holding or is_entering or leg.booked or other.booked:
        return
    if leg.contracts or other.contracts:
        return
    told: tuple[Item, ...] = (SeemsOpened(),) if facets.private else ()
    opened = replace(leg, contracts=1)
    yield Turn(OPENS, opened, told, faults=1, can_wait=True, other=other)
    if facets.private:
        yield Turn(CLOSES, leg, told, faults=1, can_wait=True, other=other)


OPENS = "somebody opens a side that nobody holds"
CLOSES = "somebody closes the other side, and no push has told that it was opened"

RULES: tuple[BothRule, ...] = (_turned, _told_of)
"""Everything that happens to both sides at once."""
