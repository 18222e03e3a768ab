"""The levels of the stops, and what the venue says of them, told to the protection machines."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine import ids, order, position, protection, world
from anchorwatch.machine import trailing_stop as levels
from anchorwatch.machine.book import LegBook, Portion
from anchorwatch.machine.bot import Address, Part
from anchorwatch.machine.desk import belts, drifting, sharing, sweeping, switch
from anchorwatch.machine.desk.context import Context, of_leg
from anchorwatch.machine.facts import LegPeakFact, LegStopFact
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.reconcile import DriftKind
from anchorwatch.machine.requests import (
    CancelTimer,
    MoveStop,
    PlaceStop,
    ReadStops,
    Record,
    ReloadRules,
    StartTimer,
)
from anchorwatch.machine.units import Contracts, LegKey, Price, Side, closing_deal, floor_to
from anchorwatch.machine.world import StopReport, StopState

KEPT = (position.S.OPEN, position.S.REDUCING)
"""States of a position that nothing is closing as a whole."""

# What most pushes say; a member of an enumeration is found by a slow search.
LIVE, TRIGGERED = StopState.LIVE, StopState.TRIGGERED
PROTECTION, POSITION = Part.PROTECTION, Part.POSITION
ARMING, CLOSING = protection.S.ARMING, position.S.CLOSING


def set_first_level(context: Context, leg: LegBook, *, is_found: bool) -> None:
    """The level of a leg that has just opened, or was found open.

    What rests already stays. A fresh entry gets the strategy's stop, just behind mark when
    mark has passed it. A found position that mark has already carried beyond that stop gets the
    catastrophe level instead: it is protected at once, and not sold for having been found.
    """
    instrument = context.book.instruments[leg.leg.instrument]
    protecting = context.parameters.of(leg.leg.instrument).protecting
    side, entry = leg.leg.side, leg.account.average_price
    if leg.resting is not None:
        leg.wanted = leg.resting
        return
    level = levels.initial_level(side, entry, protecting, instrument)
    belt = belts.level(context, leg)
    if belt is not None:
        # It was reckoned before the fill, and may be tighter: swapping it must not loosen anything.
        level = levels.tighter(side, level, belt)
    mark = context.book.marks.get(leg.leg.instrument, leg.reported_mark)
    if mark is not None:
        behind_mark = levels.clamped(side, level, mark, instrument)
        if is_found and behind_mark != level:
            level = levels.catastrophe_level(side, mark, leg.liquidation, protecting, instrument)
        else:
            level = behind_mark
    leg.wanted = level


# Reports.


def take_push(context: Context, report: StopReport) -> None:
    if report.instrument not in context.book.instruments:
        return
    leg = context.book.leg(leg_of(context, report))
    context.report_ms = report.updated_ms
    is_current = belts.is_current(leg, report)
    if report.state is LIVE:
        if report.venue_id in leg.ended_stops:
            return  # pushes overtake each other: it has triggered or gone since
        if _is_older(leg, report):
            return
        leg.stops[report.venue_id] = report
        if is_current:
            _see_level(leg, report)
            if sharing.is_enough(leg, report):
                _tell(context, leg, protection.StopSeenLive(_seq(context, leg)))
            mind_size(context, leg)
        elif sweeping.is_ours(report) and _covers(context, leg.leg):
            belts.keep_the_tightest(context, leg, (report,))
        return
    was_ours = report.venue_id in leg.stops and sweeping.is_ours(report)
    leg.end_stop(report.venue_id)
    if not leg.contracts:
        return
    if report.state is TRIGGERED and (is_current or was_ours):
        _tell(context, leg, protection.StopTriggered(_seq(context, leg)))
    elif is_current and context.bot.slot(leg.leg).position.state is CLOSING:
        # The venue drops the stop of a position that closes, and may say so before the fill.
        leg.dropped_stop = leg.stop_client_id
    elif is_current and report.state is not TRIGGERED:
        context.book.uncover(leg, report.updated_ms)
        _tell(context, leg, protection.StopGone(_seq(context, leg), report.state.value))
        if report.state is StopState.CANCELLED:
            switch.note_lost_stop(context, report.updated_ms, report.updated_ms)


def _seq(context: Context, leg: LegBook) -> int:
    """Of the request about its stop that its protection made last."""
    return context.bot.slot(leg.leg).protection.data.seq


def _tell(context: Context, leg: LegBook, event: Event) -> None:
    context.tell(of_leg(PROTECTION, leg.leg), event)


def take_read(context: Context, event: world.StopsRead) -> None:
    """Every live stop of one leg, asked for by its protection."""
    leg = context.book.leg(event.leg)
    if event.seq != context.bot.slot(event.leg).protection.data.seq:
        return  # asked for an earlier stop: its list may show one that has triggered since
    leg.stops = {
        report.venue_id: report
        for report in event.stops
        if leg_of(context, report) == event.leg and report.venue_id not in leg.ended_stops
    }
    if not leg.contracts:
        return  # it was read while the leg ended: a stop that still shows is swept, and protects nothing
    address = of_leg(Part.PROTECTION, event.leg)
    current = belts.current(leg)
    if current is not None:
        _see_level(leg, current)
    if current is not None and sharing.is_enough(leg, current):
        context.tell(address, protection.StopSeenLive(event.seq))
        mind_size(context, leg)
    elif current is not None:
        if context.bot.slot(event.leg).protection.state is protection.S.GROWING:
            context.tell(address, protection.StopReadFailed(event.seq))  # the list lags the amendment
        else:
            mind_size(context, leg)
    elif not adopt_resting(context, leg):
        context.tell(address, protection.StopGone(event.seq, "not among the live stops"))


def take_reading(context: Context, reading: world.AccountReading) -> None:
    """The stops of a complete reading replace what was known of older ones."""
    for leg in context.book.legs.values():
        leg.stops = {
            venue_id: report
            for venue_id, report in leg.stops.items()
            if report.updated_ms >= reading.started_ms
        }
        leg.swept_ms = {
            venue_id: asked_ms
            for venue_id, asked_ms in leg.swept_ms.items()
            if asked_ms >= reading.started_ms
        }
    for report in reading.stops:
        if report.instrument not in context.book.instruments:
            continue
        leg = context.book.leg(leg_of(context, report))
        if report.venue_id not in leg.ended_stops and not _is_older(leg, report):
            leg.stops[report.venue_id] = report


def _is_older(leg: LegBook, report: StopReport) -> bool:
    """Whether more is known of this stop: a list may have been read, and a push sent, before the stop was moved.

    Taken for what rests, the old level would let the next move pass for a tightening that loosens.
    """
    known = leg.stops.get(report.venue_id)
    return known is not None and known.updated_ms > report.updated_ms


def check_cover(context: Context, reading: world.AccountReading) -> None:
    """The stop audit: every leg of ours has its stop live, and no stop of ours is left without its leg."""
    for key, leg in list(context.book.legs.items()):
        slot = context.bot.slot(key)
        state = slot.protection.state
        if slot.entry.state in order.OUT and not leg.contracts:
            continue  # it may have filled: what looks like an orphan may be its belt
        if slot.position.state is position.S.WATCHED:
            _time_the_uncovered(context, leg)
            if context.may_touch(key.instrument) and not leg.may_be_ours:
                sweeping.sweep_orphans(context, leg, is_theirs=True)
        elif slot.position.state not in position.HELD:
            sweeping.sweep_orphans(context, leg)
        elif (current := belts.current(leg)) is not None:
            _see_level(leg, current)
            _check_size(context, leg, current, reading)
            if sharing.is_enough(leg, current):
                context.tell(of_leg(Part.PROTECTION, key), protection.StopSeenLive(slot.protection.data.seq))
                belts.sweep_the_left(context, leg)
            mind_size(context, leg)
        elif state in protection.COVERS and leg.moved_ms < reading.started_ms:
            context.book.uncover(leg, context.now_ms)
            drifting.tell(context, DriftKind.STOP_MISSING, key.instrument, leg=key)
            if leg.others:
                sharing.ask_for_own_orders(
                    context, leg
                )  # it may have sold our part, and theirs is what is shown
            context.tell(
                of_leg(Part.PROTECTION, key),
                protection.StopGone(slot.protection.data.seq, "not in the reading"),
            )
            switch.note_missing_stop(context)


def _check_size(context: Context, leg: LegBook, stop: StopReport, reading: world.AccountReading) -> None:
    """A stop of ours that rests with another size than it was given, or than the position has."""
    is_settled = (
        context.bot.slot(leg.leg).protection.state is protection.S.COVERED
        and leg.moved_ms < reading.started_ms
        and leg.version_ms < reading.started_ms
    )
    is_shared = sharing.is_shared(context, leg.leg.instrument)
    is_wrong = not sharing.is_enough(leg, stop) or (is_shared and stop.contracts != leg.contracts)
    if is_settled and is_wrong:
        rests = "the whole position" if stop.contracts is None else stop.contracts
        kind = DriftKind.STOP_SIZE
        drifting.tell(context, kind, leg.leg.instrument, leg=leg.leg, ours=leg.contracts, theirs=rests)


def mind_size(context: Context, leg: LegBook) -> None:
    """The stop is there, and has the size of what it protects; called whenever either may have changed."""
    slot = context.bot.slot(leg.leg)
    is_dropped = bool(leg.dropped_stop) and leg.dropped_stop == leg.stop_client_id
    if is_dropped and slot.position.state is position.S.OPEN and slot.protection.state in protection.COVERS:
        leg.dropped_stop = ""
        context.book.uncover(leg, context.now_ms)
        gone = protection.StopGone(slot.protection.data.seq, "it went with what was closed")
        context.tell(of_leg(Part.PROTECTION, leg.leg), gone)
        return
    sharing.mind_size(context, leg, belts.current(leg))


def _time_the_uncovered(context: Context, leg: LegBook) -> None:
    """A position that is not ours is not touched, but for how long it has no stop is told."""
    covers = any(
        report.trigger is not None
        and report.deal is closing_deal(leg.leg.side)
        and sharing.is_enough(leg, report)
        for report in leg.stops.values()
    )
    if covers or not leg.contracts:
        context.book.cover(leg, context.now_ms)
    else:
        if not leg.uncovered_is_told:
            leg.uncovered_is_told = True
            context.announce("alarm", "UNCOVERED", leg=leg.leg, contracts=leg.contracts)
        context.book.uncover(leg, context.now_ms)


def adopt_resting(context: Context, leg: LegBook) -> bool:
    """Take over a live stop that covers the leg; says whether there was one.

    Of several the tightest is kept, because the others of ours are swept; of equals the one that is remembered.
    """
    best, level = None, None
    for report in sorted(leg.stops.values(), key=lambda report: report.client_id != leg.stop_client_id):
        if report.trigger is None or not belts.may_cover(context, leg, report):
            continue
        if level is None or levels.is_tighter(leg.leg.side, report.trigger, level):
            best, level = report, Price(report.trigger)
    if best is None:
        return False
    leg.stop_client_id, leg.stop_venue_id = best.client_id, best.venue_id
    leg.resting = leg.wanted = level
    context.tell(of_leg(Part.PROTECTION, leg.leg), protection.CoverAdopted(context.next_sequence()))
    return True


def leg_of(context: Context, report: StopReport) -> LegKey:
    """The leg that a stop closes."""
    side = report.side or next(side for side in Side if closing_deal(side) is report.deal)
    return LegKey(report.instrument, side, context.parameters.margin)


def _see_level(leg: LegBook, stop: StopReport) -> None:
    leg.resting = Price(stop.trigger) if stop.trigger is not None else None


def _covers(context: Context, key: LegKey) -> bool:
    return context.bot.slot(key).protection.state in protection.COVERS


# The market moves.


def trail(context: Context, legs: list[LegBook], mark: Decimal) -> None:
    """The peak follows mark, and a better level is wanted when it is worth a request."""
    for leg in legs:
        _trail(context, leg, mark)


def take_peak(context: Context, event: world.PeakRead) -> None:
    """The peak of the time when nobody looked; the next mark draws the consequences.

    A found position is not sold for having been found: a peak whose level mark has passed already is not taken.
    """
    leg = context.book.leg(event.leg)
    mark = context.book.marks.get(event.leg.instrument)
    if event.best is None or leg.peak is None or leg.entered_ms != event.since_ms or not leg.contracts:
        return
    side, instrument = event.leg.side, context.book.instruments[event.leg.instrument]
    protecting = context.parameters.of(event.leg.instrument).protecting
    peak = levels.further_peak(side, leg.peak, event.best)
    level = levels.trailing_level(side, leg.account.average_price, peak, protecting, instrument)
    is_passed = level is not None and (mark is None or levels.clamped(side, level, mark, instrument) != level)
    if not (event.is_found and is_passed):
        leg.peak = peak


def held(context: Context, instrument: str) -> list[LegBook]:
    """Our open legs of this instrument that nothing is closing as a whole yet."""
    legs: list[LegBook] = []
    for key, slot in context.bot.legs:
        if key.instrument == instrument and slot.position.state in KEPT:
            leg = context.book.leg(key)
            if leg.contracts and leg.peak is not None and leg.wanted is not None:
                legs.append(leg)
    return legs


def _trail(context: Context, leg: LegBook, mark: Decimal) -> None:
    key = leg.leg
    instrument = context.book.instruments[key.instrument]
    protecting = context.parameters.of(key.instrument).protecting
    assert leg.peak is not None
    assert leg.wanted is not None
    leg.peak = levels.further_peak(key.side, leg.peak, mark)
    level = levels.trailing_level(key.side, leg.account.average_price, leg.peak, protecting, instrument)
    if level is not None:
        leg.wanted = levels.tighter(key.side, leg.wanted, levels.clamped(key.side, level, mark, instrument))
    # What was wanted may have been passed by mark while it waited for its turn.
    level = levels.clamped(key.side, levels.on_tick(key.side, leg.wanted, instrument), mark, instrument)
    may_move = (
        leg.resting is not None
        and context.bot.slot(key).protection.state is protection.S.COVERED
        and context.now_ms - leg.moved_ms >= context.parameters.pace.move_interval_s * 1000
    )
    if (
        may_move
        and leg.resting is not None
        and levels.is_real_improvement(key.side, level, leg.resting, mark, protecting, instrument)
    ):
        leg.moved_ms, leg.moving_to = context.now_ms, level
        context.tell(of_leg(Part.PROTECTION, key), protection.MoveWanted())


def tell_the_uncovered(context: Context) -> None:
    """A position of ours that is uncovered beyond its deadline is told to a person, whatever is being done about it."""
    pace = context.parameters.pace
    for key, slot in context.bot.legs:
        leg = context.book.leg(key)
        since_ms = leg.uncovered_since_ms
        if since_ms is None or leg.uncovered_is_told or slot.position.state not in position.OURS:
            continue
        if context.now_ms - since_ms > pace.naked_deadline_s * 1000:
            leg.uncovered_is_told = True
            context.announce(
                "alarm",
                "UNPROTECTED",
                leg=key,
                contracts=leg.contracts,
                seconds=round((context.now_ms - since_ms) / 1000, 1),
                stop=slot.protection.state.value,
                position=slot.position.state.value,
                fix="close it on the venue's page if this goes on; the bot keeps trying",
            )


def want_close(context: Context, leg: LegBook, reason: str) -> None:
    """A request to the one closer.

    Where a triggered stop is selling our part of a shared position, an order beside its own would sell what is
    theirs: the deadline of the fill asks for the close, if there is anything left to close then.
    """
    if leg.others and context.bot.slot(leg.leg).protection.state is protection.S.TRIGGERED:
        return
    context.tell(of_leg(POSITION, leg.leg), position.CloseWanted(reason))


def want_reduce(context: Context, leg: LegBook, contracts: Decimal, reason: str) -> bool:
    """Ask the one closer to close a part of the leg, once for each reason of a position's life.

    ``contracts`` are rounded down to the lot. What would leave less than the instrument's minimum closes the
    whole. Says whether anything was asked for: no while another closing order is under way, when the part was
    taken before (restarts included), and when it is smaller than the minimum.
    """
    slot = context.bot.slot(leg.leg)
    rules = context.book.instruments[leg.leg.instrument]
    is_free = slot.position.state is position.S.OPEN and slot.close.state in order.FREE
    part = floor_to(min(contracts, leg.contracts), rules.lot_size)
    if not is_free or reason in leg.partials or part < rules.min_size:
        return False
    if leg.contracts - part < rules.min_size:
        want_close(context, leg, reason)
        return True
    leg.portion = Portion(Contracts(part), reason)
    context.tell(of_leg(Part.POSITION, leg.leg), position.ReduceWanted(reason))
    return True


# Effects of the protection machine.


def place(context: Context, address: Address, effect: protection.PlaceStop) -> None:
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    if leg.wanted is None:
        set_first_level(context, leg, is_found=True)
    assert leg.wanted is not None
    leg.wanted = levels.on_tick(
        address.leg.side, leg.wanted, context.book.instruments[address.leg.instrument]
    )
    serial = context.next_stop_serial()
    leg.stop_client_id = str(ids.ClientId(context.generation, ids.Made.STOP, serial))
    leg.moved_ms = context.now_ms
    leg.moving_size = None
    size = sharing.exact_size(context, leg)
    _remember(context, leg, leg.wanted)
    deal = closing_deal(address.leg.side)
    context.ask(PlaceStop(address.leg, effect.seq, leg.stop_client_id, deal, leg.wanted, size))


def _remember(context: Context, leg: LegBook, level: Price) -> None:
    """Durable before the request: the next life must not start from a looser level."""
    facts = (
        LegStopFact(
            leg=leg.leg,
            algo_client_id=leg.stop_client_id,
            trigger_px=level,
            contracts=sharing.exact_size(context, leg),
            level=0,
        ),
        LegPeakFact(leg.leg, leg.peak if leg.peak is not None else level),
    )
    context.ask(Record(facts))


def read(context: Context, address: Address, effect: protection.ReadStop) -> None:
    assert address.leg is not None
    context.ask(ReadStops(address.leg, effect.seq))


def move(context: Context, address: Address, effect: protection.MoveStop) -> None:
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    current = belts.current(leg)
    level = leg.moving_to or leg.resting
    assert level is not None
    leg.moved_ms, leg.moving_to = context.now_ms, level
    leg.moving_size = sharing.size_of_move(context, leg, current)
    _remember(context, leg, level)
    venue_id = current.venue_id if current is not None else ""
    context.ask(MoveStop(address.leg, effect.seq, leg.stop_client_id, venue_id, level, leg.moving_size))


def took_move(context: Context, key: LegKey) -> None:
    """The venue accepted the move: the new level rests."""
    leg = context.book.leg(key)
    current = belts.current(leg)
    if leg.moving_to is not None:
        if current is not None:
            size = current.contracts if leg.moving_size is None else leg.moving_size
            # The answer has no time: it is true from its request on, at the earliest.
            taken = msgspec.structs.replace(
                current,
                trigger=leg.moving_to,
                contracts=size,
                updated_ms=max(current.updated_ms, leg.moved_ms),
            )
            leg.stops[current.venue_id] = taken
        leg.resting = leg.moving_to
    leg.moving_to = leg.moving_size = None


def refused_move(context: Context, key: LegKey) -> None:
    """The venue did not take the move: what rests is read, and its size is not asked for again."""
    leg = context.book.leg(key)
    leg.moving_to = None
    sharing.refused_size(leg, belts.current(leg))


def fall_back(context: Context, key: LegKey) -> None:
    """A stop was refused; an older one of ours may rest still, and covers."""
    leg = context.book.leg(key)
    if context.bot.slot(key).protection.state is protection.S.NAKED:
        adopt_resting(context, leg)


def retry_later(context: Context, address: Address, effect: protection.StartRetry) -> None:
    pace = context.parameters.pace
    context.ask(
        StartTimer(f"stop {address.leg}", pace.stop_retry_s, address, protection.RetryDue(effect.seq))
    )


def start_naked_clock(context: Context, address: Address, effect: protection.StartNakedClock) -> None:
    """The deadline runs from the first uncovered contract; a retry does not start it anew.

    What filled while the bot was dead, or deaf, may be past it already, and a stop is one request away: it is sold when
    that fails, and not because nobody has tried.
    """
    assert address.leg is not None
    leg, pace = context.book.leg(address.leg), context.parameters.pace
    since_ms = leg.uncovered_since_ms or context.report_ms or context.now_ms
    if not _is_bridged(context, leg):
        context.book.uncover(leg, since_ms)
    if leg.sought_since_ms is None:
        leg.sought_since_ms = context.now_ms
    ends_ms = max(since_ms + pace.naked_deadline_s * 1000, leg.sought_since_ms + pace.naked_least_s * 1000)
    key, event = f"naked {address.leg}", protection.NakedTooLong()
    context.ask(StartTimer(key, max(0.1, (ends_ms - context.now_ms) / 1000), address, event))


def _is_bridged(context: Context, leg: LegBook) -> bool:
    """Whether a stop of ours that rests covers all of it while another one is being made."""
    if context.bot.slot(leg.leg).protection.state is not ARMING:
        return False
    for report in leg.stops.values():
        if belts.may_cover(context, leg, report):
            return True
    return False


def stop_naked_clock(context: Context, address: Address, effect: protection.StopNakedClock) -> None:
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    leg.refused_code = ""
    context.book.cover(leg, context.report_ms or context.now_ms)
    context.ask(CancelTimer(f"naked {address.leg}"))


def hold_naked_clock(context: Context, address: Address, effect: protection.HoldNakedClock) -> None:
    context.ask(CancelTimer(f"naked {address.leg}"))


def renew_naked_clock(context: Context, address: Address, effect: protection.RenewNakedClock) -> None:
    deadline_s = context.parameters.pace.naked_deadline_s
    context.ask(StartTimer(f"naked {address.leg}", deadline_s, address, protection.NakedTooLong()))


def tell_barred(context: Context, address: Address, effect: protection.TellBarred) -> None:
    """Once a spell: the venue is asked again every second."""
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    if not leg.uncovered_is_told:
        leg.uncovered_is_told = True
        why = "the exchange takes no stop for now; no entries until it does"
        context.announce(
            "alarm", "STOP_BARRED", leg=address.leg, contracts=leg.contracts, code=leg.refused_code, why=why
        )


def reload_rules(context: Context, address: Address, effect: protection.ReloadRules) -> None:
    assert address.leg is not None
    context.ask(ReloadRules(address.leg.instrument))


def start_fill_clock(context: Context, address: Address, effect: protection.StartFillClock) -> None:
    pace = context.parameters.pace
    context.ask(
        StartTimer(f"fill {address.leg}", pace.fill_overdue_s, address, protection.FillOverdue(effect.seq))
    )
