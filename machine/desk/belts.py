"""Two stops of ours on one leg: the belt that travelled with the entry, and the stop that is asked for after it."""

from __future__ import annotations

from collections.abc import Sequence

from anchorwatch.machine import order, protection
from anchorwatch.machine import trailing_stop as levels
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import Address
from anchorwatch.machine.desk import sharing, sweeping
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.requests import CancelStops
from anchorwatch.machine.units import Price, closing_deal
from anchorwatch.machine.world import StopReport

# Asked for with every stop; a member of an enumeration is found by a slow search.
COVERED, ENTRY = protection.S.COVERED, order.Role.ENTRY


def level(context: Context, leg: LegBook) -> Price | None:
    """The level of the stop that travelled with the entry which opened this leg."""
    entry = context.bot.slot(leg.leg).entry
    ticket = context.book.slots.get((leg.leg, ENTRY))
    if entry.state in order.FREE or ticket is None or ticket.attached is None:
        return None
    return Price(ticket.attached.trigger)


def is_current(leg: LegBook, report: StopReport) -> bool:
    """Whether this is the stop that covers: by our id; one that a person made may have none, and is known by the venue's."""
    if leg.stop_client_id:
        return report.client_id == leg.stop_client_id
    return bool(leg.stop_venue_id) and report.venue_id == leg.stop_venue_id


def current(leg: LegBook) -> StopReport | None:
    """The stop that covers, as far as it is known to be live."""
    for report in leg.stops.values():
        if is_current(leg, report):
            return report
    return None


def may_cover(context: Context, leg: LegBook, report: StopReport) -> bool:
    """Whether this stop could be the one that covers: it is ours or may be taken over, and closes all that is ours."""
    return (
        (sweeping.is_ours(report) or context.adopts(report.instrument))
        and sharing.is_enough(leg, report)
        and report.deal is closing_deal(leg.leg.side)
    )


def sweep_others(context: Context, address: Address, effect: protection.SweepOthers) -> None:
    """Our own stop is live: what else of ours rests there is not needed."""
    assert address.leg is not None
    _sweep_beside(context, context.book.leg(address.leg))


def sweep_the_left(context: Context, leg: LegBook) -> None:
    """What a complete reading shows beside the stop that covers: a sweep that was lost is asked for again."""
    if context.bot.slot(leg.leg).protection.state is COVERED:
        _sweep_beside(context, leg)


def _sweep_beside(context: Context, leg: LegBook) -> None:
    others = [
        one for one in leg.stops.values() if one.client_id != leg.stop_client_id and sweeping.is_ours(one)
    ]
    if others:
        keep_the_tightest(context, leg, others)


def keep_the_tightest(context: Context, leg: LegBook, others: Sequence[StopReport]) -> None:
    """Beside the stop that covers there are ``others`` of ours: the tightest stays, and the rest goes.

    Whichever came first: our own stop may be looser than the belt, because it is put behind mark, and a belt may come
    to life late. While a request about the covering stop is under way it stays what it is.
    """
    losers = list(others)
    covering = current(leg)
    may_change = context.bot.slot(leg.leg).protection.state is COVERED
    if may_change and covering is not None and covering.trigger is not None:
        best = covering, Price(covering.trigger)
        for one in others:
            if one.trigger is None or not may_cover(context, leg, one):
                continue
            if levels.is_tighter(leg.leg.side, one.trigger, best[1]):
                best = one, Price(one.trigger)
        if best[0] is not covering:
            beaten = [covering, *(one for one in others if one is not best[0])]
            losers = [
                one for one in beaten if sweeping.is_ours(one)
            ]  # what a person made is left to that person
            _take(leg, *best)
    if losers:
        context.ask(CancelStops(leg.leg.instrument, tuple(one.venue_id for one in losers)))


def _take(leg: LegBook, stop: StopReport, level: Price) -> None:
    leg.stop_client_id, leg.stop_venue_id, leg.resting = stop.client_id, stop.venue_id, level
    leg.wanted = level if leg.wanted is None else levels.tighter(leg.leg.side, level, leg.wanted)
