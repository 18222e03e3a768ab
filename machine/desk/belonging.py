"""Which leg an order's report belongs to, and which of its fills are known already."""

from __future__ import annotations

import msgspec

from anchorwatch.machine import ids
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.units import LegKey, Side, opening_deal
from anchorwatch.machine.world import OrderReport


def is_by_us(report: OrderReport) -> bool:
    """Whether this order, or the stop that it is the child of, carries a name of ours."""
    return ids.is_ours(report.client_id) or ids.is_ours(report.stop_client_id)


def counted_ms(context: Context, leg: LegBook, report: OrderReport) -> int:
    """Fills up to here are in figures of the venue that were taken over.

    In net mode those of one side speak of the other too, because the position is one: what sold a long that is known
    to be over has no part in the short that followed.
    """
    if report.side is not None or is_by_us(report):
        return leg.restated_ms
    sides = (msgspec.structs.replace(leg.leg, side=side) for side in Side)
    known = (context.book.legs[key] for key in sides if key in context.book.legs)
    return max(one.restated_ms for one in known)


def leg_of(context: Context, report: OrderReport) -> LegKey | None:
    """The leg that this order belongs to.

    In net mode an order only has a direction. One that bears a name of ours, or whose stop does, says what it was
    made for; of all others what is open decides.
    """
    margin = context.parameters.margin
    ticket = context.book.tickets.get(report.client_id)
    if ticket is not None:
        return ticket.leg
    if report.side is not None:
        return LegKey(report.instrument, report.side, margin)
    named = ids.parse(report.client_id) or ids.parse(report.stop_client_id)
    if named is not None:
        is_entry = named.made_for is ids.Made.ENTRY
        side = next(side for side in Side if (opening_deal(side) is report.deal) is is_entry)
        return LegKey(report.instrument, side, margin)
    for side in Side:
        key = LegKey(report.instrument, side, margin)
        if key in context.book.legs and context.book.leg(key).total:
            return key
    if report.stop_client_id:
        return None  # the child of a stop closes; without a position it fits nothing
    side = next(side for side in Side if opening_deal(side) is report.deal)
    return LegKey(report.instrument, side, margin)
