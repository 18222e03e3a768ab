"""The one closer's numbers: how much a closing order is of, what a refused one asks for, and the reading after it.

A close that does not go through is tried again for ever, because the position is still there: in smaller slices
where the venue finds it too large, after what is in its way has been cancelled, and at a pace that grows to ten
seconds. A person is told at the third try, and again and again.
"""

from __future__ import annotations

from anchorwatch.machine import order, position, world
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import Address, Part
from anchorwatch.machine.desk import rules, sharing
from anchorwatch.machine.desk.context import Context, of_leg
from anchorwatch.machine.requests import CancelCloses, OrderTicket, ReadLeg
from anchorwatch.machine.units import Contracts, floor_to
from anchorwatch.machine.world import CloseRefusal

PAUSE_MAX_S = 10.0
"""Between two tries of a close: long enough for a settlement, short enough for a position without a stop."""

TRIES_TO_TELL = 3
TELL_AGAIN_AFTER = 10

CLOSERS = (position.S.REDUCING, position.S.CLOSING)
"""States in which a closing order is under way or being verified."""


def size(context: Context, leg: LegBook) -> Contracts:
    """What the next closing order is of: the part that is wanted, or all that is ours, in slices that the venue takes.

    Where the lot has grown since it was opened, whole lots are closed, and what is left is wanted by the next try.
    """
    whole = leg.contracts if leg.portion is None else min(leg.portion.contracts, leg.contracts)
    taken = whole if leg.slice_max is None else min(whole, leg.slice_max)
    return Contracts(floor_to(taken, context.book.instruments[leg.leg.instrument].lot_size) or taken)


def take_refusal(context: Context, event: world.CloseRefused) -> None:
    """The venue declined a closing order; what it names is mended before the next try."""
    leg = context.book.leg(event.leg)
    address = of_leg(Part.CLOSE, event.leg)
    context.announce("warning", "CLOSE_REFUSED", leg=event.leg, why=event.reason, asks=event.refusal.value)
    match event.refusal:
        case CloseRefusal.TOO_BIG:
            _halve(context, leg, context.book.slots[event.leg, order.Role.CLOSE])
            rules.reload(context, event.leg.instrument)
        case CloseRefusal.BLOCKED:
            context.ask(CancelCloses(event.leg, ours_only=not context.adopts(event.leg.instrument)))
        case CloseRefusal.RULES:
            rules.reload(context, event.leg.instrument)
        case CloseRefusal.ANOTHER_TRY:
            pass
    context.tell(address, order.OrderRefused(event.seq, event.reason))


def _halve(context: Context, leg: LegBook, ticket: OrderTicket) -> None:
    instrument = context.book.instruments[leg.leg.instrument]
    half = floor_to(ticket.contracts / 2, instrument.lot_size)
    leg.slice_max = Contracts(max(half, instrument.min_size))


def take_leg(context: Context, event: world.LegRead) -> None:
    """The reading after a closing order: is it still there?

    Only the reading that was asked for last counts, and only while the leg is being closed: an older
    one speaks of a position that has ended since.
    """
    leg = context.book.leg(event.leg)
    if context.bot.slot(event.leg).position.state not in CLOSERS or event.asked_ms != leg.asked_ms:
        return
    address = of_leg(Part.POSITION, event.leg)
    shown = [report for report in event.positions or () if report.leg == event.leg and report.contracts]
    if event.positions is not None and not shown:
        context.tell(address, position.AbsenceSeen())
        return
    leg.is_hearsay = leg.is_hearsay and not shown
    if shown and shown[0].updated_ms >= leg.version_ms:
        sharing.take_over(context, leg, shown[0])
    _count_try(context, leg)
    context.tell(address, position.ReadEnded())


def take_rules(context: Context, event: world.RulesRead) -> None:
    """The rules as they are now. Where they have changed and orders are taken, a close that waits for its next try waits
    no longer: while it waits the position may have no stop.
    """
    known = context.book.instruments.get(event.instrument)
    rules.take(context, event)
    now = context.book.instruments[event.instrument]
    if known is not None and now != known and now.is_live:
        _hurry(context, event.instrument)


def _hurry(context: Context, instrument: str) -> None:
    """The reading before the next try is asked for anew, at the first pause; the older one's answer says nothing."""
    for key, slot in context.bot.legs:
        is_waiting = slot.position.state in CLOSERS and slot.close.state in order.FINAL
        leg = context.book.leg(key)
        # What was asked for within this millisecond would be answered twice.
        if key.instrument == instrument and is_waiting and leg.asked_ms < context.now_ms:
            leg.asked_ms = context.now_ms
            context.ask(ReadLeg(key, context.parameters.pace.close_verify_s, context.now_ms))


def _count_try(context: Context, leg: LegBook) -> None:
    leg.close_tries += 1
    tries = leg.close_tries
    if tries >= TRIES_TO_TELL and (tries - TRIES_TO_TELL) % TELL_AGAIN_AFTER == 0:
        context.announce(
            "alarm",
            "CLOSE_FAILS",
            leg=leg.leg,
            contracts=leg.contracts,
            tries=tries,
            why=leg.close_reason,
            fix="close it on the exchange's page if this goes on; the bot keeps trying",
        )


# Effects of the position machine.


def read_position(context: Context, address: Address, effect: position.ReadPosition) -> None:
    """After each try a longer pause: the venue that did not take it will not take it sooner."""
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    leg.asked_ms = context.now_ms
    pause_s = context.parameters.pace.close_verify_s * 2 ** min(leg.close_tries, 10)
    context.ask(ReadLeg(address.leg, min(pause_s, PAUSE_MAX_S), context.now_ms))


def note_reason(context: Context, address: Address, effect: position.StartClose) -> None:
    """The first reason to close is the cause that the end is booked under."""
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    leg.portion = None
    leg.close_reason = leg.close_reason or effect.reason


def note_part(context: Context, address: Address, effect: position.StartReduce) -> None:
    """How much of the leg its next closing order closes: `stops.want_reduce` has put it into the book."""
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    assert leg.portion is not None, "a part has a size"
    context.announce(
        "info",
        "REDUCE",
        leg=address.leg,
        contracts=leg.portion.contracts,
        of=leg.contracts,
        why=effect.reason,
    )
