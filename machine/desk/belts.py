"""Two stops of ours on one leg: the belt that travelled with the entry, and the stop that is asked for after it."""

from __future__ import annotations

from anchorwatch.machine import order, protection
from anchorwatch.machine import trailing_stop as levels
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.requests import CancelStops
from anchorwatch.machine.units import Price
from anchorwatch.machine.world import StopReport


def level(context: Context, leg: LegBook) -> Price | None:
    """The level of the stop that travelled with the entry which opened this leg."""
    entry = context.bot.slot(leg.leg).entry
    ticket = context.book.slots.get((leg.leg, order.Role.ENTRY))
    if entry.state in order.FREE or ticket is None or ticket.attached is None:
        return None
    return Price(ticket.attached.trigger)


def keep_the_tighter(context: Context, leg: LegBook, late: StopReport, current: StopReport | None) -> None:
    """A second stop of ours has come to life, late: of the two the looser goes, whichever came first.

    ``current`` is the one that covers now; None where the late one may not take its place.
    """
    side = leg.leg.side
    loser = late.venue_id
    if (
        late.trigger is not None
        and current is not None
        and current.trigger is not None
        and context.bot.slot(leg.leg).protection.state is protection.S.COVERED
        and levels.is_tighter(side, late.trigger, current.trigger)
    ):
        loser, better = current.venue_id, Price(late.trigger)
        leg.stop_client_id, leg.stop_venue_id, leg.resting = late.client_id, late.venue_id, better
        leg.wanted = better if leg.wanted is None else levels.tighter(side, better, leg.wanted)
    context.ask(CancelStops(late.instrument, (loser,)))
