"""What an earlier life left: positions, stops, peaks and orders whose end was never learnt.

The journal is told once, at the start. Nothing of it is believed about the venue: the
first reading decides what still exists. What exists gets back what must not be
forgotten — entry time, peak, stop level; what is gone is a ghost, and the venue is
asked how it ended; an intent without an end is an order in doubt.
"""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.machine import ids, order, position, world
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import OrderRemembered, Part
from anchorwatch.machine.desk import belts, drifting, orders, sharing, stops, switch
from anchorwatch.machine.desk.context import Context, of_leg
from anchorwatch.machine.facts import Facts, IntentFact, LegClosedFact, LegFacts, LegOpenedFact
from anchorwatch.machine.reconcile import DriftKind
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.requests import AttachedStop, OrderTicket, ReadPeak
from anchorwatch.machine.trailing_stop import further_peak, tighter
from anchorwatch.machine.units import Deal, LegKey, Price

REGIMES = tuple(regime.value for regime in Regime)


class Memory:
    """The journal's facts until the first reading has been compared with them."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._is_pending = bool(facts.legs or facts.intents)

    def announce(self, context: Context) -> None:
        """Say how the last life ended: in order, by a crash, or out of memory."""
        if self._facts.is_new:
            context.is_first_life = True
            context.announce("info", "FIRST_START", journal="empty: a first start, or a lost disk")
        elif self._facts.stopped_cleanly:
            context.announce("info", "CLEAN_START", remembered=len(self._facts.legs))
        else:
            context.announce("warning", "AFTER_CRASH", remembered=len(self._facts.legs))
        context.last_alive_ms = self._facts.last_alive_ms(context.now_ms)
        for instrument in context.bot.hands_off:
            context.announce(
                "warning", "HANDS_OFF", instrument=instrument, policy="registered, and never changed"
            )

    def recall(self, context: Context, reading: world.AccountReading) -> None:
        """Put what is remembered beside the first reading. Later readings find nothing left to recall."""
        if not self._is_pending:
            return
        self._is_pending = False
        shown = {report.leg: report for report in reading.positions if report.contracts}
        for facts in self._facts.legs:
            if facts.opened is None or facts.leg.instrument not in context.book.instruments:
                continue
            if not context.may_touch(facts.leg.instrument):
                continue  # what is watched is nobody's here, whoever opened it
            report = shown.get(facts.leg)
            if report is None:
                self._ghost(context, facts, reading)
            else:
                self._restore(context, facts, report)
        for intent in reversed(self._facts.intents):
            self._doubt(context, intent)
        for over in self._facts.closed:
            self._count_what_is_over(context, over)
        self._facts = Facts()  # thousands of ended orders are among them, and nobody asks again

    def _restore(self, context: Context, facts: LegFacts, report: world.PositionReport) -> None:
        """The position is still there: give it back what only the journal knew."""
        assert facts.opened is not None
        leg = context.book.leg(facts.leg)
        opened = facts.opened
        _count(leg, opened)
        leg.version_ms = leg.restated_ms = max(leg.version_ms, report.updated_ms)
        if sharing.is_shared(context, facts.leg.instrument):
            own = min(opened.contracts, report.contracts)
            leg.account = leg.account.restated(own, opened.entry_px)
            leg.cut, leg.fills_are_unknown = opened.cut + opened.contracts - own, True
            sharing.set_others(context, leg, report.contracts - own)
        else:
            leg.account = leg.account.restated(report.contracts, report.entry_price or opened.entry_px)
        leg.entered_ms = opened.entered_at_ms
        leg.regime = Regime(opened.regime) if opened.regime in REGIMES else None
        leg.liquidation, leg.reported_mark = report.liquidation, report.mark
        context.book.take_funding(leg, report, is_known=True)
        leg.partials = {taken.reason: taken for taken in facts.partials}
        side = facts.leg.side
        peak = Price(opened.entry_px)
        leg.peak = further_peak(side, peak, facts.peak.peak_px) if facts.peak is not None else peak
        if facts.stop is not None:
            leg.wanted = Price(facts.stop.trigger_px)
            leg.stop_client_id = facts.stop.algo_client_id
        elif opened.stop_px is not None:
            leg.wanted = Price(opened.stop_px)
        if sharing.is_shared(context, facts.leg.instrument) and belts.current(leg) is None:
            self._doubt_part(context, leg, report)
            return
        context.report_ms = context.now_ms
        if opened.contracts != report.contracts:
            _tell(context, DriftKind.SIZE, facts.leg, opened.contracts, report.contracts)
        context.ask(ReadPeak(facts.leg, leg.entered_ms, is_found=False))
        remembered = leg.wanted
        if not stops.adopt_resting(context, leg):
            context.book.uncover(leg, context.now_ms)
            switch.note_lost_stop(context, leg.entered_ms, context.now_ms)
        elif remembered is not None and leg.resting is not None:
            leg.wanted = tighter(side, remembered, leg.resting)
        context.announce(
            "info",
            "RESTORED",
            leg=facts.leg,
            contracts=report.contracts,
            entered_ms=leg.entered_ms,
            peak=leg.peak,
            stop=leg.wanted,
            resting=leg.resting,
        )
        context.tell(of_leg(Part.POSITION, facts.leg), position.PositionSeen())

    def _doubt_part(self, context: Context, leg: LegBook, report: world.PositionReport) -> None:
        """Our stop is not there: it may have sold our part, and what is shown is a stranger's. Our orders say.

        Another stop of ours that rests says nothing: one that was late, or a twin's, may have been left behind.
        """
        leg.part_in_doubt = True
        context.announce("warning", "PART_IN_DOUBT", leg=leg.leg, ours=leg.contracts, shown=report.contracts)
        context.tell(of_leg(Part.POSITION, leg.leg), position.PositionMissed())

    def _ghost(self, context: Context, facts: LegFacts, reading: world.AccountReading) -> None:
        """Remembered and not there: it leaves with a cause, not for having been missed once (R3.2)."""
        assert facts.opened is not None
        leg = context.book.leg(facts.leg)
        leg.account = leg.account.restated(facts.opened.contracts, facts.opened.entry_px)
        leg.entered_ms = facts.opened.entered_at_ms
        leg.peak = Price(facts.opened.entry_px)
        leg.is_hearsay = facts.opened.is_hearsay
        leg.version_ms = reading.started_ms
        _count(leg, facts.opened)
        leg.cut, leg.fills_are_unknown = facts.opened.cut, sharing.is_shared(context, facts.leg.instrument)
        _tell(context, DriftKind.REMOVE, facts.leg, facts.opened.contracts, Decimal(0))
        context.tell(of_leg(Part.POSITION, facts.leg), position.PositionMissed())

    def _count_what_is_over(self, context: Context, over: LegClosedFact) -> None:
        """What an entry without an end had filled is over with the position that it made."""
        ticket = context.book.slots.get((over.leg, order.Role.ENTRY))
        if ticket is None or ticket.client_id != over.entry_id:
            return
        leg = context.book.leg(over.leg)
        if not leg.contracts:
            leg.entry_counted = (over.entry_id, over.entry_filled)

    def _doubt(self, context: Context, intent: IntentFact) -> None:
        """An order that may live, or may have filled: asked for by its id until the venue says."""
        known = context.book.instruments
        if intent.leg.instrument not in known or not context.may_touch(intent.leg.instrument):
            return
        role = order.Role(intent.role)
        address = of_leg(orders.part_of(role), intent.leg)
        slot = context.bot.slot(intent.leg)
        if (slot.entry if role is order.Role.ENTRY else slot.close).state not in order.FREE:
            return  # one order at a time is made, so an older intent without an end was followed by this one
        made_for = ids.Made.ENTRY if role is order.Role.ENTRY else ids.Made.CLOSE
        parsed = ids.parse(intent.client_id)
        context.book.keep_ticket(
            OrderTicket(
                leg=intent.leg,
                role=role,
                seq=context.bot.sequence + 1,
                client_id=intent.client_id,
                deal=Deal(intent.side),
                contracts=intent.contracts,
                is_reduce_only=role is order.Role.CLOSE,
                tag=ids.TAG_ENTRY if role is order.Role.ENTRY else ids.TAG_EXIT,
                created_ms=intent.at_ms,
                expires_ms=intent.deadline_ms,
                # If it has filled, our own stop may be no looser than the one that it brought.
                attached=_belt(intent),
            )
        )
        assert parsed is None or parsed.made_for is made_for, "an intent is recorded under its own role"
        context.announce("warning", "IN_DOUBT", leg=intent.leg, role=role.value, order=intent.client_id)
        context.tell(address, OrderRemembered(role))


def _count(leg: LegBook, opened: LegOpenedFact) -> None:
    """Of which orders the earlier life had booked how much."""
    leg.entry_counted = (opened.entry_id, opened.entry_filled)
    leg.close_counted = (opened.order_id, opened.order_filled)


def _belt(intent: IntentFact) -> AttachedStop | None:
    made_as = ids.parse(intent.client_id)
    if intent.belt is None or made_as is None:
        return None
    return AttachedStop(str(ids.ClientId(made_as.generation, ids.Made.ATTACHED, made_as.seq)), intent.belt)


def _tell(context: Context, kind: DriftKind, leg: LegKey, ours: Decimal, theirs: Decimal) -> None:
    drifting.tell(context, kind, leg.instrument, leg=leg, ours=ours, theirs=theirs)
