"""Stops of ours that protect nothing any more: asked to be cancelled, and in the way of an entry until they are gone."""

from __future__ import annotations

import msgspec

from anchorwatch.machine import ids, protection
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import Address
from anchorwatch.machine.desk import drifting
from anchorwatch.machine.desk.context import NEVER_MS, Context
from anchorwatch.machine.reconcile import DriftKind
from anchorwatch.machine.requests import CancelStops, CancelTimer
from anchorwatch.machine.units import LegKey, PositionMode, Side
from anchorwatch.machine.world import StopReport

AGAIN_MS = 5_000
"""A cancel that nothing has answered for so long is asked for again. What is slow has come by then, and the regular
reading, which shows what is left, is a minute away: mark may reach the level of the stop before."""


def is_ours(report: StopReport) -> bool:
    return ids.is_ours(report.client_id)


def has_ours(leg: LegBook) -> bool:
    """Whether any stop of ours rests on this leg."""
    for report in leg.stops.values():
        if is_ours(report):
            return True
    return False


def obstacles(context: Context, leg: LegKey) -> tuple[str, ...]:
    """Why no position may be opened on this leg: a stop that is left there closes whatever it finds.

    A cancel may be refused, or its answer lost: it is asked for again, until the stop is heard to be gone or a complete
    reading no longer shows it. In net mode one that is left of the other side is as bad: where it is no reduce-only order, which no page of the
    venue promises of a stop that travelled with an entry, it adds to what is open.
    """
    is_net = context.parameters.mode is PositionMode.NET
    sides = tuple(Side) if is_net else (leg.side,)
    for side in sides:
        book = context.book.leg(msgspec.structs.replace(leg, side=side))
        if book.swept_ms or (not book.contracts and has_ours(book)):
            return ("a stop of the position before may rest still",)
    return ()


def sweep_orphans(context: Context, leg: LegBook, *, is_theirs: bool = False) -> None:
    """What a complete reading shows on a leg that is not there, or of which nothing is ours: it would sell a stranger's."""
    orphans = tuple(venue_id for venue_id, report in leg.stops.items() if is_ours(report))
    if orphans and (is_theirs or not leg.contracts):
        drifting.tell(context, DriftKind.STOP_ORPHAN, leg.leg.instrument, leg=leg.leg, stops=len(orphans))
        if context.may_touch(leg.leg.instrument):
            if not leg.contracts:
                leg.swept_ms.update(dict.fromkeys(orphans, context.now_ms))
            context.ask(CancelStops(leg.leg.instrument, orphans))


def sweep_all(context: Context, address: Address, effect: protection.SweepAll) -> None:
    """What rests on a leg that has ended."""
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    ours = tuple([venue_id for venue_id, report in leg.stops.items() if is_ours(report)])
    leg.resting, leg.stop_client_id, leg.stop_venue_id = None, "", ""
    leg.stops = {}  # what is heard of them from now on speaks of a leg that is over
    leg.swept_ms.update(dict.fromkeys(ours, context.now_ms))
    context.ask(CancelTimer(f"naked {address.leg}"))
    if ours:
        context.ask(CancelStops(address.leg.instrument, ours))


def ask_again(context: Context) -> None:
    """In net mode a stop that is left opens what nobody wants, when it triggers; elsewhere it closes what comes next."""
    for leg in context.book.legs.values():
        if context.now_ms < due_ms(leg) or not context.may_touch(leg.leg.instrument):
            continue
        late = tuple([one for one, asked_ms in leg.swept_ms.items() if asked_ms + AGAIN_MS <= context.now_ms])
        leg.swept_ms.update(dict.fromkeys(late, context.now_ms))
        context.ask(CancelStops(leg.leg.instrument, late))


def due_ms(leg: LegBook) -> int:
    """When a cancel is to be asked for again; what rests on a leg that is there may be what covers it."""
    if leg.contracts or not leg.swept_ms:
        return NEVER_MS
    return min(leg.swept_ms.values()) + AGAIN_MS
