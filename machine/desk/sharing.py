"""Positions that others share: which part of one is ours, and the stop that covers exactly that.

On an account that is not exclusive a stranger — a person, another bot — may add to a position of ours or take from
it (MIXED). The venue shows one position; our part is what our own orders filled, and the rest is theirs. So

* our part is booked from the fills of our own orders alone, and whatever the venue shows beyond it is
  `LegBook.others`, which no close and no stop of ours touches;
* what a stranger takes is taken from their part first. What goes beyond that is a close of ours by hand;
* our stop has our size exactly. The venue's stop of the whole position would sell theirs, and the venue keeps one
  such stop a position, which may be theirs.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine import position, protection
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import Part
from anchorwatch.machine.desk import belonging, remembering
from anchorwatch.machine.desk.context import Context, of_leg
from anchorwatch.machine.requests import ReadOwnOrders
from anchorwatch.machine.units import Contracts, LegKey, PositionMode, opening_deal
from anchorwatch.machine.world import OrderReport, PositionReport, StopReport

ZERO = Decimal(0)

# Asked for with every stop; a member of an enumeration is found by a slow search.
PROTECTION, NET = Part.PROTECTION, PositionMode.NET

RESTED_MS = 3_600_000
"""An entry may have rested for so long before its first fill began the position."""


def is_shared(context: Context, instrument: str) -> bool:
    """Whether a position of this instrument may be ours in part only."""
    return not context.parameters.is_exclusive and context.may_touch(instrument)


def is_of_us(context: Context, report: OrderReport) -> bool:
    """Whether we are behind this order: it is ours, or the child of a stop of ours."""
    if not context.may_touch(report.instrument):
        return False
    return belonging.is_by_us(report) or context.adopts(report.instrument)


# What the venue shows, and what of it is ours.


def take_over(context: Context, leg: LegBook, report: PositionReport) -> None:
    """The venue's figures of a leg that is open in the book: all of them are ours, or what our fills say."""
    leg.version_ms = max(leg.version_ms, report.updated_ms)
    leg.there_ms = max(leg.there_ms, report.updated_ms)
    is_ours = context.bot.slot(leg.leg).position.state in position.OURS
    if not (is_ours and is_shared(context, leg.leg.instrument)):
        entry = report.entry_price or leg.account.average_price
        leg.account, leg.others = leg.account.restated(report.contracts, entry), ZERO
        leg.restated_ms = leg.version_ms
        return
    if leg.others and report.contracts < leg.total and leg.own_known_ms < report.updated_ms:
        ask_for_own_orders(context, leg)
        return  # whose part has shrunk is not said by a size
    leg.restated_ms = max(leg.restated_ms, report.updated_ms)
    own = min(leg.contracts, report.contracts)
    lacking = leg.contracts - own
    leg.cut += lacking
    leg.account = leg.account.restated(own, leg.account.average_price)
    set_others(context, leg, report.contracts - own)
    if lacking:
        remembering.note(context, leg)


def ask_for_own_orders(context: Context, leg: LegBook) -> None:
    leg.own_asked_ms = context.now_ms
    context.ask(ReadOwnOrders(leg.leg, leg.entered_ms - RESTED_MS))


def doubt_part(context: Context, leg: LegBook) -> None:
    """Whether what is shown, or was added, is all that is ours, or beside something of ours that is gone: our orders say."""
    if not leg.part_in_doubt:
        leg.part_in_doubt = True
        ask_for_own_orders(context, leg)


def own_orders(context: Context, leg: LegBook, reports: tuple[OrderReport, ...]) -> list[OrderReport]:
    """Those that made or took our part of this position, oldest first: an earlier one's were over when it began.

    An entry may have filled before it began: what sold that is of them too.
    """
    ours = [report for report in reports if is_of_us(context, report) and report.side in (None, leg.leg.side)]
    opening, began_ms = opening_deal(leg.leg.side), leg.entered_ms
    for report in ours:
        if report.deal is opening and report.updated_ms >= leg.entered_ms:
            began_ms = min(began_ms, report.created_ms)
    return sorted(
        (report for report in ours if report.updated_ms >= began_ms), key=lambda report: report.updated_ms
    )


def filled_by(leg: LegBook, reports: list[OrderReport]) -> Decimal:
    """What is left of everything that these orders opened and closed."""
    opening = opening_deal(leg.leg.side)
    return sum((one.filled if one.deal is opening else -one.filled for one in reports), ZERO)


def count_as_booked(context: Context, leg: LegBook, reports: list[OrderReport]) -> None:
    """What an earlier life booked of these orders, found from what it remembered: all but the newest fills.

    Where it remembers more than they left, closing ones are missing; where less, those of an entry without an end.
    """
    opening = opening_deal(leg.leg.side)
    beyond = filled_by(leg, reports) - leg.contracts - leg.cut
    unseen_of = {True: max(ZERO, beyond), False: max(ZERO, -beyond)}
    for report in reversed(reports):
        opens, booked = report.deal is opening, context.book.filled_of(report.venue_id)
        most = _unheard_at_most(context, leg, report, booked.contracts) if opens else report.filled
        unseen = min(unseen_of[opens], most)
        unseen_of[opens] -= unseen
        booked.contracts = report.filled - unseen
        booked.worth = booked.contracts * (report.average_price or ZERO)
        booked.fee = report.fee * booked.contracts / report.filled


def _unheard_at_most(context: Context, leg: LegBook, report: OrderReport, booked: Decimal) -> Decimal:
    """How much of this entry may have filled unheard: nothing when its end is in the journal, whose fills came before.

    What it filled beyond the position is what a stranger took of ours then.
    """
    if report.client_id not in context.book.tickets:
        return ZERO
    return report.filled - max(booked, counted_before(leg, report.client_id))


def counted_before(leg: LegBook, client_id: str) -> Contracts:
    """How much of this order of ours an earlier life had booked."""
    known = (leg.entry_counted, leg.close_counted)
    return Contracts(next((filled for counted_id, filled in known if counted_id == client_id), ZERO))


def set_others(context: Context, leg: LegBook, others: Decimal) -> None:
    """How much of the position is theirs from now on."""
    if others and not leg.others:
        context.announce(
            "warning",
            "MIXED",
            leg=leg.leg,
            ours=leg.contracts,
            theirs=others,
            policy="our part is stopped and closed to its size; theirs is left alone",
        )
    leg.others = others
    leg.was_mixed = leg.was_mixed or bool(others)


def open_on_theirs(context: Context, leg: LegBook) -> None:
    """An order of ours is about to fill on a position that was watched: what was there is theirs."""
    theirs = leg.contracts
    leg.account = leg.account.restated(ZERO, ZERO)
    set_others(context, leg, theirs)


def leave_to_others(context: Context, key: LegKey) -> None:
    """Our part is over; what is left of the position is theirs, and watched."""
    leg = context.book.leg(key)
    theirs, leg.others = leg.others, ZERO
    if theirs and context.bot.slot(key).position.state is position.S.FLAT:
        mark = context.book.marks.get(key.instrument, ZERO)
        leg.account = leg.account.restated(theirs, mark)
        context.tell(of_leg(Part.POSITION, key), position.ForeignSeen())


def counted_late(leg: LegBook, contracts: Decimal, price: Decimal, fee: Decimal) -> None:
    """A fill of ours that figures taken over have counted as theirs: it is ours, whatever is left of theirs."""
    leg.account = leg.account.opened(contracts, price, fee)
    leg.others = max(ZERO, leg.others - contracts)


def closed_late(leg: LegBook, contracts: Decimal, price: Decimal, fee: Decimal) -> Decimal:
    """A closing fill of ours that figures taken over have counted: it was cut off our part, or off theirs.

    Answers with what it realised.
    """
    before, known = leg.account.realised, min(contracts, leg.cut)
    leg.cut -= known
    realised = before + (leg.account.pnl_of(known, price) if known else ZERO)
    leg.account = msgspec.structs.replace(leg.account, realised=realised, fees=leg.account.fees + fee)
    rest = min(contracts - known, leg.contracts)
    if rest:
        leg.account = leg.account.closed(rest, price, ZERO)
        leg.others += rest
    return leg.account.realised - before


def taken_by_strangers(leg: LegBook, contracts: Decimal) -> Decimal:
    """A stranger takes from the position: from their part first. Answers with what goes beyond it."""
    theirs = min(contracts, leg.others)
    leg.others -= theirs
    return contracts - theirs


# The stop that covers it.


def exact_size(context: Context, leg: LegBook) -> Contracts | None:
    """The size that a new stop is given; None for a stop of the whole position."""
    return leg.contracts if is_shared(context, leg.leg.instrument) else None


def is_enough(leg: LegBook, stop: StopReport) -> bool:
    """Whether this stop would close all that is ours."""
    return stop.contracts is None or stop.contracts >= leg.contracts


def size_of_move(context: Context, leg: LegBook, stop: StopReport | None) -> Contracts | None:
    """The size to ask for beside a new level; None leaves it as it is."""
    if stop is None or stop.contracts is None or _cannot_resize(leg, stop):
        return None
    is_wrong = stop.contracts != leg.contracts
    is_excess = stop.contracts > leg.contracts
    if not is_wrong or (is_excess and not _must_be_exact(context, leg, stop)):
        return None
    return leg.contracts


def _must_be_exact(context: Context, leg: LegBook, stop: StopReport) -> bool:
    """Whether more than what is ours would do harm: where it sells a stranger's, and in net mode, where a stop of a size
    that is no reduce-only order (one that came with an entry may be none) turns the position."""
    is_whole = stop.contracts is None
    return is_shared(context, leg.leg.instrument) or (context.parameters.mode is NET and not is_whole)


def refused_size(leg: LegBook, stop: StopReport | None) -> None:
    """The venue will not change the size of this stop: a second one bridges."""
    if leg.moving_size is not None and stop is not None:
        leg.unresizable = stop.venue_id
    leg.moving_size = None


def mind_size(context: Context, leg: LegBook, stop: StopReport | None) -> None:
    """See that the stop that protects has the size that it should have; ask for one thing at most."""
    state = context.bot.slot(leg.leg).protection.state
    if stop is None or not leg.contracts or state not in RESIZABLE:
        return
    address = of_leg(PROTECTION, leg.leg)
    if not is_enough(leg, stop):
        if _cannot_resize(leg, stop):
            context.tell(address, protection.BridgeWanted(context.next_sequence()))
        else:
            context.tell(address, protection.CoverTooSmall())
        return
    pace_ms = context.parameters.pace.move_interval_s * 1000
    is_exact = stop.contracts == leg.contracts or not _must_be_exact(context, leg, stop)
    if is_exact or state is not protection.S.COVERED or context.now_ms - leg.moved_ms < pace_ms:
        return
    leg.moved_ms = context.now_ms
    if _cannot_resize(leg, stop):
        context.tell(address, protection.BridgeWanted(context.next_sequence()))
    else:
        leg.moving_to = leg.moving_to or leg.resting
        context.tell(address, protection.MoveWanted())


def _cannot_resize(leg: LegBook, stop: StopReport) -> bool:
    return stop.contracts is None or stop.venue_id == leg.unresizable


RESIZABLE = (protection.S.COVERED, protection.S.PENDING, protection.S.DOUBTFUL)
