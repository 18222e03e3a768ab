"""Tickets for orders, and what the venue says of them, told to the order machines."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine import ids, order, world
from anchorwatch.machine.bot import Address, Part
from anchorwatch.machine.desk import closing, drifting, making, positions, switch, twins
from anchorwatch.machine.desk.context import Context, of_leg
from anchorwatch.machine.facts import Fact, IntentFact, OrderEndedFact, PartialTakenFact
from anchorwatch.machine.kernel import State
from anchorwatch.machine.reconcile import DriftKind
from anchorwatch.machine.requests import (
    AttachedStop,
    CancelOrder,
    CancelOrphan,
    OrderTicket,
    PlaceOrder,
    QueryOrder,
    Record,
    StartTimer,
)
from anchorwatch.machine.trailing_stop import initial_level
from anchorwatch.machine.units import LegKey, OrderKind, closing_deal, opening_deal
from anchorwatch.machine.world import AccountReading, OrderReport, OrderState

LISTED_WITHIN_MS = 3_000
"""The venue's lists lag its answers, by less than this."""

EVENT_OF = {
    OrderState.LIVE: order.OrderSeenLive,
    OrderState.PARTIAL: order.OrderPartlyFilled,
    OrderState.FILLED: order.OrderFilled,
    OrderState.CANCELLED: order.OrderCancelled,
}


# Asked for with every order; a member of an enumeration is found by a slow search.
ENTRY, CLOSE, CANCELLED, PARTIAL = order.Role.ENTRY, order.Role.CLOSE, order.S.CANCELLED, OrderState.PARTIAL
MARKET = OrderKind.MARKET
ZERO = Decimal(0)
_PARTS = {ENTRY: Part.ENTRY, CLOSE: Part.CLOSE}


def part_of(role: order.Role) -> Part:
    return _PARTS[role]


def take_report(context: Context, report: OrderReport) -> None:
    """An order as the venue holds it, pushed or read: first its fills, then its fate."""
    added = positions.take_fills(context, report)
    ticket = context.book.tickets.get(report.client_id)
    if ticket is None:
        twins.look_at_order(context, report)
        return  # not of this life: its fills count, its fate is nobody's here
    event = EVENT_OF[report.state]
    if not added and report.state is PARTIAL:
        event = order.OrderSeenLive
    address = of_leg(part_of(ticket.role), ticket.leg)
    if ticket.role is ENTRY:
        making.note_price(context, ticket, report)
        switch.note_firing(context, report)
    was_out = ticket.role is ENTRY and _state(context, ticket) in order.OUT
    context.tell(address, event(ticket.seq))
    if was_out and _state(context, ticket) is CANCELLED:
        making.go_on(context, ticket, report)


def _state(context: Context, ticket: OrderTicket) -> State:
    """The state of this very order; an earlier one is over."""
    slot = context.bot.slot(ticket.leg)
    snapshot = slot.entry if ticket.role is ENTRY else slot.close
    return snapshot.state if snapshot.data.seq == ticket.seq else order.S.IDLE


def end(context: Context, address: Address, effect: order.OrderEnded) -> None:
    """An intent whose end is known is not asked for by the next life."""
    assert address.leg is not None
    ticket = ticket_of(context, address.leg, effect.role, effect.seq)
    making.stop_clocks(context, address)
    fact = OrderEndedFact(
        client_id=ticket.client_id,
        state=effect.end.value,
        filled=ZERO,
        avg_px=None,
        at_ms=context.report_ms or context.now_ms,
    )
    context.ask(Record((fact, *_portion_given_back(context, ticket))))


def _portion_given_back(context: Context, ticket: OrderTicket) -> tuple[PartialTakenFact, ...]:
    """A part whose order ended without a fill was not taken."""
    if ticket.role is not CLOSE or context.bot.slot(ticket.leg).close.data.has_fills:
        return ()
    leg = context.book.leg(ticket.leg)
    for reason, taken in list(leg.partials.items()):
        if taken.client_id == ticket.client_id:
            del leg.partials[reason]
            return (msgspec.structs.replace(taken, contracts=Decimal(0)),)
    return ()


def take_query(context: Context, event: world.OrderAsked) -> None:
    if event.report is not None:
        take_report(context, event.report)
        return
    address = of_leg(part_of(event.role), event.leg)
    if event.is_final:
        context.tell(address, order.AbsenceProven(event.seq))
    else:
        context.tell(address, order.QueryInconclusive(event.seq, "not shown by any list yet"))


def cancel_orphans(context: Context, reading: AccountReading) -> None:
    """A resting order with our prefix that no ticket knows is an earlier life's, and nobody waits for it."""
    for report in reading.orders:
        if not ids.is_ours(report.client_id) or report.client_id in context.book.tickets:
            continue
        if report.instrument not in context.book.instruments:
            continue
        drifting.tell(
            context,
            DriftKind.ORDER_ORPHAN,
            report.instrument,
            instrument=report.instrument,
            order=report.client_id,
        )
        if context.may_touch(report.instrument):
            context.ask(CancelOrphan(report.instrument, report.venue_id))


def look_for_the_lost(context: Context, reading: AccountReading) -> None:
    """An order of ours that rests as far as we know, and is in no list: its last push was missed."""
    listed = {report.client_id for report in reading.orders}
    for key, slot in context.bot.legs:
        for role, snapshot in ((order.Role.ENTRY, slot.entry), (order.Role.CLOSE, slot.close)):
            if snapshot.state not in order.RESTING:
                continue
            ticket = ticket_of(context, key, role, snapshot.data.seq)
            if ticket.client_id in listed or ticket.created_ms >= reading.started_ms - LISTED_WITHIN_MS:
                continue
            drifting.tell(
                context,
                DriftKind.ORDER_LOST,
                key.instrument,
                leg=key,
                role=role.value,
                order=ticket.client_id,
            )
            context.tell(of_leg(part_of(role), key), order.OrderDoubted(snapshot.data.seq))


# Effects of the order machine.


def record_intent(context: Context, address: Address, effect: order.RecordIntent) -> None:
    assert address.leg is not None
    leg, pace = context.book.leg(address.leg), context.parameters.pace
    is_entry = effect.role is ENTRY
    portion = None if is_entry else leg.portion
    contracts = context.book.entry_sizes.pop(address.leg) if is_entry else closing.size(context, leg)
    made_for = ids.Made.ENTRY if is_entry else ids.Made.CLOSE
    instrument = context.book.instruments[address.leg.instrument]
    kind, price = making.terms(context, address.leg) if is_entry else (MARKET, None)
    ticket = OrderTicket(
        leg=address.leg,
        role=effect.role,
        seq=effect.seq,
        client_id=str(ids.ClientId(context.generation, made_for, effect.seq)),
        deal=opening_deal(address.leg.side) if is_entry else closing_deal(address.leg.side),
        contracts=min(contracts, instrument.max_size(kind)),
        is_reduce_only=not is_entry,
        tag=ids.TAG_ENTRY if is_entry else ids.TAG_EXIT,
        created_ms=context.now_ms,
        expires_ms=context.now_ms + pace.order_valid_ms,
        attached=_attached(context, address.leg, effect.seq) if is_entry else None,
        kind=kind,
        price=price,
    )
    context.book.keep_ticket(ticket)
    context.book.totals.orders += 1
    facts: list[Fact] = []
    if portion is not None:
        # Durable with the order: a part that was taken once is not taken again by the next life.
        taken = PartialTakenFact(
            ticket.leg, portion.reason, ticket.contracts, ticket.client_id, context.now_ms
        )
        leg.portion, leg.partials[portion.reason] = None, taken
        facts.append(taken)
    intent = IntentFact(
        client_id=ticket.client_id,
        leg=ticket.leg,
        role=effect.role.value,
        side=ticket.deal.value,
        contracts=ticket.contracts,
        price=ticket.price,
        deadline_ms=ticket.expires_ms,
        at_ms=context.now_ms,
        kind=ticket.kind.value,
        belt=ticket.attached.trigger if ticket.attached is not None else None,
    )
    done, failed = order.IntentRecorded(effect.seq), order.IntentFailed(effect.seq)
    context.ask(Record((intent, *facts), address, done, failed))


def _attached(context: Context, key: LegKey, seq: int) -> AttachedStop | None:
    """The belt: it is there if we die between the fill and our own stop."""
    mark = context.book.marks.get(key.instrument)
    if mark is None:
        return None
    instrument = context.book.instruments[key.instrument]
    protecting = context.parameters.of(key.instrument).protecting
    level = initial_level(key.side, mark, protecting, instrument)
    return AttachedStop(str(ids.ClientId(context.generation, ids.Made.ATTACHED, seq)), level)


def send(context: Context, address: Address, effect: order.SendOrder) -> None:
    ticket = ticket_of(context, _leg(address), effect.role, effect.seq)
    context.ask(PlaceOrder(ticket))
    making.start_clocks(context, address, ticket)


def cancel(context: Context, address: Address, effect: order.CancelOrder) -> None:
    context.ask(CancelOrder(ticket_of(context, _leg(address), effect.role, effect.seq)))


def query(context: Context, address: Address, effect: order.QueryOrder) -> None:
    context.ask(QueryOrder(ticket_of(context, _leg(address), effect.role, effect.seq)))


def query_later(context: Context, address: Address, effect: order.StartQueryTimer) -> None:
    pace = context.parameters.pace
    context.ask(StartTimer(f"query {address.id}", pace.query_retry_s, address, order.QueryDue(effect.seq)))


def _leg(address: Address) -> LegKey:
    assert address.leg is not None
    return address.leg


def late_fill(context: Context, address: Address, effect: order.ReportLateFill) -> None:
    context.announce("warning", "LATE_FILL", leg=address.leg, role=effect.role.value)


def ticket_of(context: Context, leg: LegKey, role: order.Role, seq: int) -> OrderTicket:
    """The ticket of the order in this slot: there is one at a time."""
    ticket = context.book.slots[leg, role]
    assert ticket.seq == seq, f"{leg} {role.value}: order {seq} is asked for, {ticket.seq} is in the slot"
    return ticket
