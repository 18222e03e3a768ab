"""What the bot's effects do to the world around one leg, and what a crash leaves of it.

Actions that must never be taken are noticed here, where they are taken: the property is
named beside the effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.items import Item, to_order
from anchorwatch.diagrams.check.leg import (
    Asked,
    At,
    Call,
    Leg,
    Order,
    Query,
    Whose,
    replace,
    with_whose,
    without_fills,
    without_meaning,
)
from anchorwatch.diagrams.check.production import AnotherStopMeant
from anchorwatch.machine import bot, order, position, protection
from anchorwatch.machine.kernel import Effect
from anchorwatch.machine.order import Role

NOBODY_ASKS = Whose()

Absorbed = tuple[Leg, str]
"""The leg after an effect, and the property that the effect breaks, if it breaks one."""


def spoken_of(effects: tuple[Effect, ...]) -> Iterator[str]:
    """The properties of actions that these effects are judged by."""
    for effect in effects:
        for name in SPEAK.get(type(effect), ()):
            role = getattr(effect, "role", None)
            if not (name in OF_ENTRY and role is Role.CLOSE) and not (
                name in OF_CLOSE and role is Role.ENTRY
            ):
                yield name


SPEAK: dict[type[Effect], tuple[str, ...]] = {
    order.RecordIntent: ("S4", "S11", "S12"),
    order.SendOrder: ("S2", "S3"),
    order.OrderEnded: ("S5",),
    position.EndLeg: ("S13",),
    protection.PlaceStop: ("S9", "S11"),
    protection.MoveStop: ("S9",),
    protection.SweepOthers: ("S10",),
    protection.SweepAll: ("S10",),
}
OF_ENTRY = ("S2", "S4")
OF_CLOSE = ("S11", "S12")


def absorb(leg: Leg, effects: tuple[Effect, ...], bounds: Bounds) -> tuple[Leg, tuple[Item, ...], str]:
    """The leg after ``effects``, what is answered at once, and the property that one of them breaks."""
    told: list[Item] = []
    for effect in effects:
        leg, broken = ABSORBERS[type(effect)](leg, effect, bounds)
        if broken:
            return leg, (), broken
        if isinstance(effect, order.RecordIntent) and not bounds.slow_journal:
            this = leg.order(effect.role)
            leg = leg.with_order(effect.role, replace(this, record=Call.NONE, intent=True))
            told.append(to_order(effect.role, order.IntentRecorded))
    return leg, tuple(told), ""


def _record_intent(leg: Leg, effect: order.RecordIntent, bounds: Bounds) -> Absorbed:
    before = leg.order(effect.role)
    is_entry = effect.role is Role.ENTRY
    if before.may_fill or before.call is Call.QUEUED:
        return leg, "S4" if is_entry else "S12"
    size = bounds.size if is_entry else min(leg.portion, leg.booked) or leg.booked
    if not size or (not is_entry and _is_theirs_too(leg, size)):
        return leg, "S11"
    leg = leg.with_order(effect.role, Order(size=size, record=Call.WIRE, is_fresh=True))
    leg = leg if is_entry else replace(leg, portion=0)
    return without_fills(leg, effect.role), ""


def _send(leg: Leg, effect: order.SendOrder, bounds: Bounds) -> Absorbed:
    this = leg.order(effect.role)
    if not this.is_fresh:
        return leg, "S3"
    if effect.role is Role.ENTRY and not this.intent:
        return leg, "S2"
    call = Call.QUEUED if effect.role is Role.ENTRY else Call.WIRE  # a close is not looked at again
    sent = replace(this, call=call, is_fresh=False, overdue_timer=True)
    return leg.with_order(effect.role, sent), ""


def _query(leg: Leg, effect: order.QueryOrder, bounds: Bounds) -> Absorbed:
    this = replace(leg.order(effect.role), query=Query.ASKED, query_timer=False)
    return leg.with_order(effect.role, this), ""


def _query_later(leg: Leg, effect: order.StartQueryTimer, bounds: Bounds) -> Absorbed:
    return leg.with_order(effect.role, replace(leg.order(effect.role), query_timer=True)), ""


def _cancel(leg: Leg, effect: order.CancelOrder, bounds: Bounds) -> Absorbed:
    return leg.with_order(effect.role, replace(leg.order(effect.role), cancel=Call.WIRE)), ""


def _amend(leg: Leg, effect: order.AmendOrder, bounds: Bounds) -> Absorbed:
    return leg.with_order(effect.role, replace(leg.order(effect.role), amend=Call.QUEUED)), ""


def _order_ended(leg: Leg, effect: order.OrderEnded, bounds: Bounds) -> Absorbed:
    this = leg.order(effect.role)
    was_told = effect.end in (order.S.FILLED, order.S.CANCELLED)
    is_possible = this.may_fill or this.call is Call.QUEUED
    if not was_told and (is_possible or this.filled):
        return leg, "S5"
    return leg.with_order(effect.role, replace(this, intent=False, is_fresh=False, overdue_timer=False)), ""


def _late_fill(leg: Leg, effect: order.ReportLateFill, bounds: Bounds) -> Absorbed:
    return leg, ""


def _read_position(leg: Leg, effect: position.ReadPosition, bounds: Bounds) -> Absorbed:
    return replace(leg, leg_read=Asked.ASKED), ""


def _note_reason(leg: Leg, effect: position.StartClose, bounds: Bounds) -> Absorbed:
    return replace(leg, is_unwanted=True, portion=0), ""


def _note_part(leg: Leg, effect: position.StartReduce, bounds: Bounds) -> Absorbed:
    return replace(leg, portion=1), ""


def _explain(leg: Leg, effect: position.ConfirmAbsence, bounds: Bounds) -> Absorbed:
    if leg.whose.part_in_doubt:
        return replace(leg, own_read=True), ""
    return replace(leg, explanation=True), ""


def _confirm_later(leg: Leg, effect: position.StartConfirmationTimer, bounds: Bounds) -> Absorbed:
    return replace(leg, confirm_timer=True), ""


def _end_leg(leg: Leg, effect: position.EndLeg, bounds: Bounds) -> Absorbed:
    if leg.contracts and not _has_unbooked_fills(leg):
        return leg, "S13"
    leg = replace(leg, cut=0, is_fixed=False, dropped=False)
    if leg.whose != NOBODY_ASKS:
        kept = Whose(is_first=leg.whose.is_first, may_be_ours=leg.whose.may_be_ours)
        leg = replace(leg, whose=kept)
    for role in (Role.ENTRY, Role.CLOSE, None) if leg.is_shared else ():
        this = leg.order(role)
        if this.kept and not (
            role is Role.ENTRY and this.intent
        ):  # of an entry that may still fill it is noted
            leg = leg.with_order(role, replace(this, kept=0))
    over = replace(leg, booked=0, remembered=0, closed=None, is_unwanted=False, portion=0)
    return replace(over, wanted=0, kept=0, rested=0), ""


def _has_unbooked_fills(leg: Leg) -> bool:
    """The venue has moved on, and the news of it is not in the book yet: nobody can know better."""
    orders = (leg.entry, leg.close, leg.child)
    if leg.is_shared:  # figures that were taken over do not say whose it is
        return any(this.filled > max(this.booked, this.kept) for this in orders)
    return any(this.filled > max(this.booked, this.counted) for this in orders)


def _is_theirs_too(leg: Leg, size: int) -> bool:
    """So many would take a stranger's with ours, and nothing is on its way, or was missed, that says what ours is."""
    if not leg.is_shared or size <= leg.contracts:
        return False
    return not leg.news and leg.whose.taken <= 0 and not _has_unbooked_fills(leg)


def _watch(leg: Leg, effect: position.WatchLeg, bounds: Bounds) -> Absorbed:
    return leg, ""


def _place(leg: Leg, effect: protection.PlaceStop, bounds: Bounds) -> Absorbed:
    """Every placement has a client id of its own: what was meant before is one of the others now."""
    if leg.wanted < leg.rested:
        return leg, "S9"
    is_under_way = leg.place is Call.WIRE
    leg = without_meaning(leg)
    size = leg.booked if leg.is_shared else 0
    if _is_theirs_too(leg, size):
        return leg, "S11"
    if bounds.mailbox and leg.place is not Call.NONE:
        leg = replace(leg, late_place=Call.LOST if is_under_way else leg.place)
    leg = replace(
        leg, stray_other=leg.stray_other or is_under_way, place=Call.WIRE, place_size=size, dropped=False
    )
    return _stop_asked(leg), ""


def _mean_another(leg: Leg, effect: AnotherStopMeant, bounds: Bounds) -> Absorbed:
    is_under_way = leg.place is Call.WIRE
    return replace(
        leg,
        stray_other=leg.stray_other or is_under_way,
        place=Call.NONE,
        late_place=Call.NONE,
        move=Call.NONE,
        late_read=leg.stops_read or leg.late_read,
        stops_read=None,
        retry_timer=False,
        fill_clock=False,
        is_fixed=False,
        dropped=False,
    ), ""


def _stop_asked(leg: Leg) -> Leg:
    if leg.reading is None:
        return leg
    return replace(leg, reading=replace(leg.reading, stop_asked=True))


def _read_stops(leg: Leg, effect: protection.ReadStop, bounds: Bounds) -> Absorbed:
    return replace(leg, stops_read=Asked.ASKED), ""


def _retry(leg: Leg, effect: protection.StartRetry, bounds: Bounds) -> Absorbed:
    return replace(leg, retry_timer=True), ""


def _start_naked(leg: Leg, effect: protection.StartNakedClock, bounds: Bounds) -> Absorbed:
    return replace(leg, naked_clock=True), ""


def _stop_naked(leg: Leg, effect: protection.StopNakedClock, bounds: Bounds) -> Absorbed:
    is_due = leg.naked_due or (bounds.mailbox and leg.naked_clock)
    return replace(leg, naked_clock=False, naked_due=is_due), ""


def _move(leg: Leg, effect: protection.MoveStop, bounds: Bounds) -> Absorbed:
    tighter = replace(leg, move=Call.WIRE, wanted=1, kept=1, rested=1)  # durable before it is asked for
    is_wrong = leg.is_shared and leg.mine.known and not leg.is_fixed and leg.mine.seen != leg.booked
    return _stop_asked(replace(tighter, move_size=leg.booked if is_wrong else 0)), ""


def _start_fill_clock(leg: Leg, effect: protection.StartFillClock, bounds: Bounds) -> Absorbed:
    return replace(leg, fill_clock=True), ""


def _sweep_others(leg: Leg, effect: protection.SweepOthers, bounds: Bounds) -> Absorbed:
    if not leg.other.known:
        return leg, ""
    leaves_nothing = leg.contracts and leg.other.live and not leg.mine.live and not leg.mine.pushes
    return replace(leg, sweep=True), "S10" if leaves_nothing else ""


def _sweep_all(leg: Leg, effect: protection.SweepAll, bounds: Bounds) -> Absorbed:
    if leg.contracts and leg.is_covered and not _has_unbooked_fills(leg):
        return leg, "S10"
    is_known = leg.mine.known or leg.other.known
    leg = replace(without_meaning(leg), naked_clock=False)
    return replace(leg, sweep=leg.sweep or is_known), ""


def _told(leg: Leg, effect: Effect, bounds: Bounds) -> Absorbed:
    """For people."""
    return leg, ""


def _hold_naked(leg: Leg, effect: protection.HoldNakedClock, bounds: Bounds) -> Absorbed:
    is_due = leg.naked_due or (bounds.mailbox and leg.naked_clock)
    return replace(leg, naked_clock=False, naked_due=is_due), ""


def _denied(leg: Leg, effect: bot.EntryDenied, bounds: Bounds) -> Absorbed:
    return leg, ""


ABSORBERS: dict[type[Effect], Callable[[Leg, Any, Bounds], Absorbed]] = {
    AnotherStopMeant: _mean_another,
    bot.EntryDenied: _denied,
    order.RecordIntent: _record_intent,
    order.SendOrder: _send,
    order.QueryOrder: _query,
    order.StartQueryTimer: _query_later,
    order.CancelOrder: _cancel,
    order.AmendOrder: _amend,
    order.OrderEnded: _order_ended,
    order.ReportLateFill: _late_fill,
    position.ReadPosition: _read_position,
    position.StartClose: _note_reason,
    position.StartReduce: _note_part,
    position.ConfirmAbsence: _explain,
    position.StartConfirmationTimer: _confirm_later,
    position.TellUnexplained: _told,
    position.EndLeg: _end_leg,
    position.WatchLeg: _watch,
    protection.PlaceStop: _place,
    protection.ReadStop: _read_stops,
    protection.StartRetry: _retry,
    protection.StartNakedClock: _start_naked,
    protection.StopNakedClock: _stop_naked,
    protection.MoveStop: _move,
    protection.StartFillClock: _start_fill_clock,
    protection.SweepOthers: _sweep_others,
    protection.SweepAll: _sweep_all,
    protection.HoldNakedClock: _hold_naked,
    protection.RenewNakedClock: _start_naked,
    protection.TellBarred: _told,
    protection.ReloadRules: _told,
    protection.AskForClose: _told,
}


def after_crash(leg: Leg) -> Iterator[Leg]:
    """What may be left: memory is gone, the journal stays, and each request on its way arrives or does not."""
    legs = [
        replace(
            leg,
            place=Call.NONE,
            late_place=Call.NONE,
            naked_due=False,
            dropped=False,
            move=Call.NONE,
            stops_read=None,
            late_read=None,
            leg_read=None,
            explanation=False,
            reading=None,
            past=None,
            confirm_timer=False,
            retry_timer=False,
            naked_clock=False,
            fill_clock=False,
            booked=0,
            portion=0,
            wanted=0,
            is_unwanted=False,
            child=replace(leg.child, pushes=(), booked=0, counted=0),
            mine=replace(leg.mine, known=False, pushes=()),
            other=replace(leg.other, known=False, pushes=()),
        )
    ]
    if leg.is_shared:
        legs = [
            replace(one, others=0, news=(), own_read=False, own_known=False, is_fixed=False) for one in legs
        ]
    if leg.whose != NOBODY_ASKS:
        whose = Whose(taken=leg.whose.taken, is_hearsay=leg.whose.is_hearsay)
        legs = [replace(one, whose=whose) for one in legs]
    if leg.place is Call.WIRE:
        legs += [replace(one, stray_stop=True) for one in legs]  # its id is in the journal
    for role in Role:
        legs = [one.with_order(role, this) for one in legs for this in _order_after_crash(leg.order(role))]
    for one in dict.fromkeys(legs):
        if not one.remembered:
            one = without_meaning(one)
        yield replace(one, recalled=not (one.remembered or one.entry.intent or one.close.intent))


def after_loss_of_disk(leg: Leg) -> Iterator[Leg]:
    """What may be left when the journal is gone too: what the venue holds, and nobody knows of."""
    if not leg.contracts or any(leg.order(role).may_fill for role in Role):
        return
    for one in after_crash(leg):
        for role in Role:
            one = one.with_order(role, replace(one.order(role), intent=False, kept=0))
        one = with_whose(one, is_first=True)
        one = replace(one, remembered=0, cut=0, kept=0, rested=0, recalled=True)
        yield without_meaning(one)


def _order_after_crash(this: Order) -> Iterator[Order]:
    left = replace(
        this,
        record=Call.NONE,
        call=Call.NONE,
        is_fresh=False,
        cancel=Call.NONE,
        amend=Call.NONE,
        query=Query.NONE,
        query_timer=False,
        overdue_timer=False,
        pushes=(),
        booked=0,
        counted=0,
    )
    choices = [left]
    if this.record is Call.WIRE:
        choices.append(replace(left, intent=True))
    if this.call is Call.WIRE:
        choices.append(replace(left, stray=True))
    if this.cancel is Call.WIRE and this.at is At.LIVE:
        choices += [replace(one, at=At.DONE) for one in choices]
    yield from choices
