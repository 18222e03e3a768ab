"""Fills, position reports and readings, put into the book and told to the position machines."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine import ids, order, position, reconciliation, world
from anchorwatch.machine.book import Filled, LegBook
from anchorwatch.machine.bot import RECONCILIATION, Address, Part
from anchorwatch.machine.desk import belonging, drifting, remembering, risk, sharing, stops
from anchorwatch.machine.desk.context import Context, of_leg
from anchorwatch.machine.facts import LegClosedFact
from anchorwatch.machine.ledger import Account
from anchorwatch.machine.reconcile import Drift, DriftKind, Held, drifts
from anchorwatch.machine.requests import ExplainAbsence, ReadPeak, Record, StartTimer
from anchorwatch.machine.units import LegKey, PositionMode, Price, opening_deal
from anchorwatch.machine.world import (
    CLOSED_BY_HAND,
    CLOSED_BY_US,
    NEVER_WAS,
    STOPPED,
    OrderReport,
    PositionReport,
)

# Asked for with every fill; a member of an enumeration is found by a slow search.
POSITION, WATCHED = Part.POSITION, position.S.WATCHED
ZERO = Decimal(0)
NOTHING_COUNTED = ("", ZERO)

PUSH_SETTLES_MS = 1_000
"""Orders and positions are pushed without order between them; a difference that lasts longer is a drift."""


def take_fills(context: Context, report: OrderReport) -> bool:
    """Book what ``report`` adds to its order; says whether it added anything."""
    booked = context.book.filled_of(report.venue_id)
    if not booked.contracts:
        _count_what_was_remembered(context, report, booked)
    added = report.filled - booked.contracts
    if added <= 0:
        return False
    worth = report.filled * (report.average_price or ZERO)
    if report.fill is not None and report.fill.contracts == added:
        price, at_ms = report.fill.price, report.fill.at_ms
    else:
        price, at_ms = (worth - booked.worth) / added, report.updated_ms
    fee = report.fee - booked.fee
    booked.contracts, booked.worth, booked.fee = report.filled, worth, report.fee
    if report.instrument in context.book.instruments:
        context.report_ms = at_ms
        context.book.totals.fills += 1
        _book_fill(context, report, added, price, fee, at_ms)
    return True


def _book_fill(
    context: Context, report: OrderReport, contracts: Decimal, price: Decimal, fee: Decimal, at_ms: int
) -> None:
    key = belonging.leg_of(context, report)
    if key is None:
        _doubt(context, f"a fill on {report.instrument} that fits no leg")
        return
    leg = context.book.leg(key)
    opens = report.deal is opening_deal(key.side)
    is_ours, state = sharing.is_of_us(context, report), context.bot.slot(key).position.state
    is_shared = sharing.is_shared(context, key.instrument)
    if at_ms <= belonging.counted_ms(context, leg, report):
        # The venue's figures that were taken over count it already, as ours or as a stranger's.
        # One that is older than the position is of the one before, whose end is told already.
        if is_shared and is_ours and state in position.OURS and at_ms >= leg.entered_ms:
            _book_late_fill(context, leg, report, contracts, price, fee, opens=opens)
        elif is_shared and is_ours and opens and state is WATCHED:
            _claim_late_fill(context, leg, report, contracts, price, fee, at_ms)
        return
    is_late, leg.version_ms = at_ms < leg.version_ms, max(leg.version_ms, at_ms)
    is_by_us = belonging.is_by_us(report)
    if is_by_us:
        _note_hearsay(context, leg, is_hearsay=False)
    if is_shared and not is_ours and state in position.OURS:
        _book_strangers_fill(context, leg, report, contracts, price, opens=opens, is_late=is_late)
        return
    if opens:
        if is_shared and is_ours and state is WATCHED:
            sharing.open_on_theirs(context, leg)
        was_flat = not leg.contracts
        account = Account(key.side, leg.account.contract_size) if was_flat else leg.account
        leg.account = account.opened(contracts, price, fee)
        leg.there_ms = max(leg.there_ms, at_ms)
        if is_ours:
            context.book.totals.fees += fee
        if was_flat:
            leg.uncovered_ms = 0
            context.book.uncover(leg, at_ms)
            leg.entry_counted = (report.client_id, report.filled)
            _open(context, key, at_ms, is_ours=is_ours)
            if not is_by_us and context.parameters.mode is PositionMode.NET:
                _take_hearsay(context, leg)
        else:
            _grown(context, leg, report)
        return
    _close(context, leg, report, contracts, price, fee)


def _take_hearsay(context: Context, leg: LegBook) -> None:
    """A net position was opened by somebody else's order, if nothing was missed before it.

    An order in net mode does not say whether it opens or closes. Where the report of an earlier one was lost, this
    one may have closed what it opened, and there is nothing. It is protected at once all the same, because there may
    be; what there is, is read.
    """
    pushed = leg.pushed
    _note_hearsay(context, leg, is_hearsay=pushed is None or not _shows(leg, pushed))
    if leg.is_hearsay:
        _doubt(context, f"{leg.leg}: somebody else's order may have opened it")


def _note_hearsay(context: Context, leg: LegBook, *, is_hearsay: bool) -> None:
    """A life that follows a crash must know it too: it would wait for ever for the end of what never was."""
    if leg.is_hearsay is not is_hearsay:
        leg.is_hearsay = is_hearsay
        if leg.contracts:
            remembering.note(context, leg)


def _shows(leg: LegBook, report: PositionReport) -> bool:
    return bool(report.contracts) and report.updated_ms >= leg.entered_ms


def _book_late_fill(
    context: Context,
    leg: LegBook,
    report: OrderReport,
    contracts: Decimal,
    price: Decimal,
    fee: Decimal,
    *,
    opens: bool,
) -> None:
    """Of a shared position only our own fills say what is ours, however late they come."""
    context.book.totals.fees += fee
    if opens:
        sharing.counted_late(leg, contracts, price, fee)
        _grown(context, leg, report)
        return
    context.book.totals.realised_pnl += sharing.closed_late(leg, contracts, price, fee)
    _shrunk(context, leg, report)


def _claim_late_fill(
    context: Context,
    leg: LegBook,
    report: OrderReport,
    contracts: Decimal,
    price: Decimal,
    fee: Decimal,
    at_ms: int,
) -> None:
    """A fill of ours in what was left to others when our part was taken to be over: that much of it is ours."""
    sharing.open_on_theirs(context, leg)
    sharing.counted_late(leg, contracts, price, fee)
    context.book.totals.fees += fee
    leg.entry_counted = (report.client_id, report.filled)
    leg.uncovered_ms = 0
    context.book.uncover(leg, at_ms)
    _open(context, leg.leg, at_ms, is_ours=True)


def _grown(context: Context, leg: LegBook, report: OrderReport) -> None:
    leg.entry_counted = (report.client_id, report.filled)
    remembering.note(context, leg)
    is_gone = context.bot.slot(leg.leg).position.state in position.GONE
    if is_gone and sharing.is_shared(context, leg.leg.instrument):
        sharing.doubt_part(context, leg)
        return
    context.tell(of_leg(Part.POSITION, leg.leg), position.PositionGrown())
    stops.mind_size(context, leg)


def _count_what_was_remembered(context: Context, report: OrderReport, booked: Filled) -> None:
    """An earlier life booked the beginning of this order; its journal says how much."""
    ticket = context.book.tickets.get(report.client_id)
    if ticket is None or not sharing.is_shared(context, report.instrument):
        return
    leg = context.book.leg(ticket.leg)
    booked.contracts = sharing.counted_before(leg, report.client_id)
    booked.worth = booked.contracts * (report.average_price or Decimal(0))


def _book_strangers_fill(
    context: Context,
    leg: LegBook,
    report: OrderReport,
    contracts: Decimal,
    price: Decimal,
    *,
    opens: bool,
    is_late: bool,
) -> None:
    """Somebody else trades in the position that we hold a part of. What they pay is not ours to book."""
    if opens:
        sharing.set_others(context, leg, leg.others + contracts)
        return
    beyond = sharing.taken_by_strangers(leg, contracts)
    if beyond and is_late:
        _doubt(context, f"{leg.leg}: a stranger's sale that is older than what is known")
    elif beyond:
        _close(context, leg, report, beyond, price, Decimal(0))


def _close(
    context: Context, leg: LegBook, report: OrderReport, contracts: Decimal, price: Decimal, fee: Decimal
) -> None:
    key = leg.leg
    closing = min(contracts, leg.contracts)
    if closing < contracts:
        _doubt(context, f"{contracts} closed of {leg.contracts} on {key}")
    if closing:
        before = leg.account.realised
        leg.account = leg.account.closed(closing, price, fee)
        leg.close_tries = 0
        if context.bot.slot(key).position.state is not WATCHED:
            context.book.totals.fees += fee
            context.book.totals.realised_pnl += leg.account.realised - before
        _shrunk(context, leg, report)


def _shrunk(context: Context, leg: LegBook, report: OrderReport) -> None:
    if leg.contracts:
        if ids.is_ours(report.client_id):
            leg.close_counted = (report.client_id, report.filled)
        remembering.note(context, leg)
        stops.mind_size(context, leg)
    else:
        _end(context, leg.leg, _cause(leg.close_reason, report))


def _end(context: Context, key: LegKey, cause: str) -> None:
    context.tell(of_leg(POSITION, key), position.EndConfirmed(cause))
    sharing.leave_to_others(context, key)


def _cause(close_reason: str, report: OrderReport) -> str:
    if report.category not in ("", "normal"):
        return report.category
    if report.stop_client_id:
        return STOPPED
    if ids.is_ours(report.client_id):
        return close_reason or CLOSED_BY_US
    return CLOSED_BY_HAND


def _open(context: Context, key: LegKey, at_ms: int, *, is_ours: bool, is_found: bool = False) -> None:
    leg = context.book.leg(key)
    leg.entered_ms, leg.close_reason, leg.gone_since_ms = at_ms, "", 0
    leg.peak = Price(leg.account.average_price)
    if not is_ours:
        context.tell(of_leg(Part.POSITION, key), position.ForeignSeen())
        return
    chart = context.charts.get(key.instrument)
    leg.regime = chart.regime if chart is not None and not is_found else None
    context.book.totals.positions_opened += 1
    stops.set_first_level(context, leg, is_found=is_found)
    remembering.note(context, leg)
    context.tell(of_leg(POSITION, key), position.PositionSeen())


def _doubt(context: Context, reason: str) -> None:
    context.tell(RECONCILIATION, reconciliation.BookDoubted(reason))


# Position reports.


def take_push(context: Context, report: PositionReport) -> None:
    """A push is only noted: fills move the book, and a difference that lasts is read."""
    if report.leg.instrument in context.book.instruments:
        leg = context.book.leg(report.leg)
        leg.pushed, leg.pushed_at_ms = report, context.now_ms
        _note_hearsay(context, leg, is_hearsay=leg.is_hearsay and not _shows(leg, report))
        if context.bot.slot(report.leg).position.state in position.OURS:
            context.book.take_funding(leg, report)


def look_for_differences(context: Context) -> None:
    """Pushes that still differ from the book after a while: something was missed."""
    for key, leg in list(context.book.legs.items()):
        if context.bot.slot(key).position.state in position.HELD:
            stops.mind_size(context, leg)
        pushed = leg.pushed
        if pushed is None or context.now_ms - leg.pushed_at_ms < PUSH_SETTLES_MS:
            continue
        if differs(leg):
            _doubt(context, f"{key}: {pushed.contracts} pushed, {leg.total} booked")
        leg.pushed = None


def differs(leg: LegBook) -> bool:
    """Whether the last push shows something else than is booked, and is newer than what is."""
    pushed = leg.pushed
    return pushed is not None and pushed.contracts != leg.total and pushed.updated_ms > leg.version_ms


def compare(context: Context, reading: world.AccountReading) -> None:
    """The book against a complete reading: drifts are told by name, and mended (R3)."""
    book = context.book
    configured = [report for report in reading.positions if report.leg.instrument in book.instruments]
    reading = msgspec.structs.replace(reading, positions=tuple(configured))
    _note_who_is_shown(context, reading)
    held = {key: Held(leg.total, leg.version_ms) for key, leg in book.legs.items()}
    for drift in drifts(held, reading, context.parameters.mode):
        _mend(context, drift)
    for report in reading.positions:
        if context.bot.slot(report.leg).position.state in position.OURS:
            book.take_funding(book.leg(report.leg), report)
    _find_again(context, reading)
    for leg in book.legs.values():
        if leg.may_be_ours:
            sharing.ask_for_own_orders(context, leg)
    stops.check_cover(context, reading)


def _note_who_is_shown(context: Context, reading: world.AccountReading) -> None:
    shown = {report.leg for report in reading.positions if report.contracts}
    for key, leg in context.book.legs.items():
        if key in shown:
            _note_hearsay(context, leg, is_hearsay=False)
        elif context.bot.slot(key).position.state in position.GONE:
            leg.absences += 1


def _find_again(context: Context, reading: world.AccountReading) -> None:
    """A leg whose absence is being asked about, and which is shown: it never left."""
    for report in reading.positions:
        if report.contracts and context.bot.slot(report.leg).position.state in position.GONE:
            if sharing.is_shared(context, report.leg.instrument):
                sharing.doubt_part(context, context.book.leg(report.leg))
                continue  # what is shown may be a stranger's
            _see_again(context, context.book.leg(report.leg))


def _see_again(context: Context, leg: LegBook) -> None:
    context.tell(of_leg(Part.POSITION, leg.leg), position.PositionSeen())
    leg.gone_since_ms = 0
    stops.mind_size(context, leg)
    if leg.close_reason:
        stops.want_close(context, leg, leg.close_reason)


def _mend(context: Context, drift: Drift) -> None:
    if drift.theirs is None and context.bot.slot(drift.leg).position.state in position.GONE:
        return  # it was told, and its cause is being asked for
    if drift.kind is DriftKind.SIDE:
        _tell(context, drift)
        return  # its two halves follow
    entry = context.bot.slot(drift.leg).entry
    if entry.state in order.OUT:
        context.tell(of_leg(Part.ENTRY, drift.leg), order.OrderDoubted(entry.data.seq))
        if drift.kind is DriftKind.ADD:
            return  # our own entry has just filled: its report, or the query about it, will say so
    _tell(context, drift)
    address = of_leg(Part.POSITION, drift.leg)
    if drift.theirs is None:
        if context.bot.slot(drift.leg).position.state is position.S.WATCHED:
            leg = context.book.leg(drift.leg)
            leg.account = leg.account.restated(Decimal(0), Decimal(0))
        context.tell(address, position.AbsenceSeen())
        return
    leg = context.book.leg(drift.leg)
    if drift.kind is DriftKind.ADD:
        context.book.take_funding(leg, drift.theirs, is_known=True)  # it was paid before we knew the position
    own = leg.contracts
    leg.liquidation, leg.reported_mark = drift.theirs.liquidation, drift.theirs.mark
    sharing.take_over(context, leg, drift.theirs)
    if drift.kind is DriftKind.ADD:
        context.report_ms = context.now_ms
        context.book.uncover(leg, context.now_ms)
        is_ours = context.adopts(drift.leg.instrument)
        if is_ours:
            stops.adopt_resting(context, leg)
        _open(context, drift.leg, drift.theirs.created_ms, is_ours=is_ours, is_found=True)
        if is_ours:
            context.announce("info", "DRIFT_ADD_TSL_CREATED", leg=drift.leg, stop=leg.wanted)
            context.ask(ReadPeak(drift.leg, leg.entered_ms, is_found=True))
        leg.may_be_ours = (
            sharing.is_shared(context, drift.leg.instrument)
            and context.is_first_life
            and not context.book.is_crowded
        )
    elif leg.contracts > own:
        context.tell(address, position.PositionGrown())


def _tell(context: Context, drift: Drift) -> None:
    theirs = drift.theirs.contracts if drift.theirs is not None else Decimal(0)
    drifting.tell(context, drift.kind, drift.leg.instrument, leg=drift.leg, ours=drift.ours, theirs=theirs)


def take_explanation(context: Context, event: world.AbsenceExplained) -> None:
    """A leg is flat, and the venue says why: book what it brought."""
    if context.bot.slot(event.leg).position.state not in position.GONE:
        return  # a fill told the end first, or the position was shown again
    leg = context.book.leg(event.leg)
    if leg.part_in_doubt:
        return  # it may be the end of what was before what is asked about
    if leg.contracts:
        # The venue's record is of the whole position: what partial closes brought is in it, and booked already.
        realised = event.realised_pnl
        if leg.was_mixed:
            at = event.close_price or leg.account.average_price
            realised = leg.account.realised + leg.account.pnl_of(leg.contracts, at)
        context.book.totals.realised_pnl += realised - leg.account.realised
        fees = leg.account.fees
        if event.fees is not None and not leg.was_mixed and leg.restated_ms < leg.entered_ms:
            # Every fill was heard of but those that closed it. Of a position that was found, the record has fees
            # that were paid before it was known.
            fees = event.fees
        context.book.totals.fees += fees - leg.account.fees
        leg.account = leg.account.settled(realised, fees)
        leg.others = Decimal(0)
        leg.version_ms = leg.restated_ms = max(leg.version_ms, event.closed_ms)
    cause = leg.close_reason if event.cause == CLOSED_BY_US and leg.close_reason else event.cause
    _end(context, event.leg, cause)


def take_own_orders(context: Context, event: world.OwnOrdersRead) -> None:
    """Our own orders say which part of a shared position is ours: what was missed of them is booked now."""
    key = event.leg
    leg, state = context.book.leg(key), context.bot.slot(key).position.state
    if state is WATCHED and leg.may_be_ours:
        if event.orders is None:
            _doubt(context, f"{key}: our own orders could not be read, and it may be ours")
            return
        _claim(context, leg, sharing.own_orders(context, leg, event.orders))
    if state not in position.OURS:
        return
    if event.orders is None:
        if state in position.GONE:
            take_no_explanation(context, key)
        return  # otherwise the difference is still there for the next reading
    ours = sharing.own_orders(context, leg, event.orders)
    if leg.fills_are_unknown:
        sharing.count_as_booked(context, leg, ours)
    leg.part_in_doubt, leg.fills_are_unknown = True, False
    leg.own_known_ms = leg.own_asked_ms
    for report in ours:
        take_fills(context, report)
    leg.part_in_doubt = False
    if leg.others:
        _doubt(context, f"{key}: our own part is known, and a stranger's is not")
    if leg.contracts and context.bot.slot(key).position.state in position.GONE:
        context.book.uncover(leg, context.now_ms)
        _see_again(context, leg)


def _claim(context: Context, leg: LegBook, ours: list[OrderReport]) -> None:
    """OURS_LOST: the journal is gone, and the venue's history says that orders with our name made this position."""
    leg.may_be_ours = False
    own = min(sharing.filled_by(leg, ours), leg.contracts)
    if own <= 0:
        return
    theirs = leg.contracts - own
    leg.account = leg.account.restated(own, leg.account.average_price)
    sharing.set_others(context, leg, theirs)
    sharing.count_as_booked(context, leg, ours)
    context.announce(
        "warning", "OURS_LOST", leg=leg.leg, ours=own, theirs=theirs, policy="adopted and protected"
    )
    context.report_ms = context.now_ms
    context.book.uncover(leg, context.now_ms)
    stops.adopt_resting(context, leg)
    _open(context, leg.leg, leg.entered_ms, is_ours=True, is_found=True)
    context.ask(ReadPeak(leg.leg, leg.entered_ms, is_found=True))


def take_no_explanation(context: Context, key: LegKey) -> None:
    """Asked again at a pace; a question that stays open for long is told."""
    leg = context.book.leg(key)
    is_overdue = context.now_ms - leg.gone_since_ms >= context.parameters.pace.confirmation_patience_s * 1000
    if is_overdue and leg.is_hearsay and context.bot.slot(key).position.state in position.GONE:
        if leg.absences:
            _end_hearsay(context, leg)
            return
        _doubt(context, f"{key}: nothing but an order of somebody else's has ever told of it")
        is_overdue = False
    answer = position.ConfirmationOverdue() if is_overdue else position.ConfirmationFailed()
    context.tell(of_leg(Part.POSITION, key), answer)


def _end_hearsay(context: Context, leg: LegBook) -> None:
    """What only an order of somebody else's told of, and what no report, no second reading and no history shows.

    A position that was shown once, or that an order of ours had a part in, is never ended like this.
    """
    context.announce(
        "alarm",
        "NEVER_WAS",
        leg=leg.leg,
        contracts=leg.contracts,
        why="an order of somebody else's seemed to open it; neither the readings nor the histories show it",
    )
    _end(context, leg.leg, NEVER_WAS)


# Effects of the position machine.


def explain(context: Context, address: Address, effect: position.ConfirmAbsence) -> None:
    assert address.leg is not None
    leg = context.book.leg(address.leg)
    if not leg.gone_since_ms:
        leg.gone_since_ms, leg.absences = context.now_ms, 0
    if leg.part_in_doubt:
        sharing.ask_for_own_orders(context, leg)
        return
    context.ask(ExplainAbsence(address.leg, max(leg.entered_ms, leg.there_ms)))


def ask_again_later(context: Context, address: Address, effect: position.StartConfirmationTimer) -> None:
    assert address.leg is not None
    pace = context.parameters.pace
    is_late = context.bot.slot(address.leg).position.state is position.S.UNEXPLAINED
    wait_s = pace.unexplained_retry_s if is_late else pace.confirmation_retry_s
    context.ask(StartTimer(f"confirm {address.leg}", wait_s, address, position.ConfirmationDue()))


def tell_unexplained(context: Context, address: Address, effect: position.TellUnexplained) -> None:
    """No entry is made on the instrument while nobody knows how its last position ended."""
    assert address.leg is not None
    context.announce(
        "alarm",
        "UNEXPLAINED",
        leg=address.leg,
        contracts=context.book.leg(address.leg).contracts,
        why="it is gone, and the exchange's histories do not say how; no entries on the instrument until they do",
    )


def end_leg(context: Context, address: Address, effect: position.EndLeg) -> None:
    assert address.leg is not None
    leg, totals = context.book.leg(address.leg), context.book.totals
    at_ms = context.report_ms or context.now_ms
    context.book.cover(leg, at_ms)
    totals.positions_closed += 1
    context.announce(
        "info",
        "EXIT",
        leg=address.leg,
        cause=effect.cause,
        pnl=leg.account.realised,
        fees=leg.account.fees,
        uncovered_ms=leg.uncovered_ms,
    )
    is_entry_out = context.bot.slot(address.leg).entry.state in order.OUT
    entry = leg.entry_counted if is_entry_out else NOTHING_COUNTED
    context.ask(Record((LegClosedFact(address.leg, at_ms, effect.cause, leg.account.realised, *entry),)))
    if context.bot.slot(address.leg).position.state is not WATCHED:
        risk.take_end(context, leg, was_by_hand=effect.cause == CLOSED_BY_HAND)
    leg.account = Account(address.leg.side, leg.account.contract_size)
    leg.peak = leg.wanted = leg.moving_to = leg.portion = None
    leg.partials, leg.cut = {}, ZERO
    leg.entry_counted = leg.close_counted = NOTHING_COUNTED
    leg.was_mixed, leg.unresizable = bool(leg.others), ""
    leg.close_tries, leg.slice_max = 0, None
    leg.part_in_doubt = leg.fills_are_unknown = leg.is_hearsay = False


def watch_leg(context: Context, address: Address, effect: position.WatchLeg) -> None:
    context.announce("alarm", "WATCHED", leg=address.leg, why="a position that is not ours")
