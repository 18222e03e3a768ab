"""What the desk asks the venue about the account: readings, queries and orders, each ending in one event.

Every function here performs one request of the desk and returns the event that its
outcome is. An outcome of the venue's is never an exception: failed, refused and unknown
are told apart by the event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal

import trio

from anchorwatch.io.okx import translate
from anchorwatch.io.okx.calls import LIST_DEADLINE_S, READ_DEADLINE_S
from anchorwatch.io.okx.errors import (
    DUPLICATE_ID_CODES,
    EXPIRED_CODES,
    NOT_FOUND_CODES,
    NOT_SENT,
    Remedy,
)
from anchorwatch.io.okx.outcomes import Answered, Failed, Read, Refused, Unknown
from anchorwatch.io.okx.rate_limits import Lane
from anchorwatch.io.okx.refusals import answer_to_close, answer_to_stop
from anchorwatch.io.okx.requests import (
    CANCEL_ALGOS_MAX,
    MARKET_PX,
    AlgoAmend,
    AlgoCancel,
    AlgoRequest,
    AttachedStop,
    OrderAmend,
    OrderCancel,
    OrderRequest,
)
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.okx.wire_fields import WireError
from anchorwatch.io.okx.wire_orders import AlgoOrder
from anchorwatch.machine import dead_man, ids, order, protection, requests, world
from anchorwatch.machine.bot import DEAD_MAN, Address, Part
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.order import Role
from anchorwatch.machine.units import LegKey, MarginMode, PositionMode, Side, closing_deal

WHOLE = Decimal(1)
STOP_LISTS = ("conditional,oco",)
"""The lists in which the stops of this bot can be; the audit reads all of them."""

STOP_ANSWER_S = 1.5
"""How long the answer about a stop is waited for: one that is lost must leave time for a reading and a second try
before the deadline of an uncovered position, which sells it."""

SWITCH_ANSWER_S = 3.0
"""How long the answer about the dead man's switch is waited for: shorter than a third of any countdown."""

LAST_LOOK_S = 0.8
LAST_LOOKS = 2
"""The first step of a stop takes three seconds at most: one list that is swallowed, and everything once more."""

LAST_LOOK_ROOM_S = 2.0
"""The window of the lists' limits: readings just before the stop may have used it up, and have left it after this."""

AMEND_ANSWER_S = 1.5
"""How long the answer about an amendment is waited for: a cancel may be waiting behind it."""

LATE_CLOSE_MS = 1_000
"""A close that is past its deadline may be accepted for this long: shorter than the margin below."""

ABSENCE_MARGIN_MS = 2_000
"""After an order's deadline the venue may still be writing it to its lists."""

PEAK_MINUTES_MS = 86_400_000
"""Up to a day the peak is read from minutes, fifteen pages of them; beyond, hours are close enough."""
PEAK_REACH_MS = 30 * 86_400_000
PEAK_TRIES = 5
PEAK_RETRY_S = 3.0

CLOSED = "closed"
CLOSED_CAUSES = {"1": "", "2": "", "3": "liquidation", "4": "liquidation", "5": "ADL", "6": "ADL"}
"""By the type of a record of the venue's position history; empty where an order closed it."""


class AccountCalls:
    """The venue's REST side, in the desk's terms."""

    def __init__(self, rest: OkxRest, mode: PositionMode, margin: MarginMode) -> None:
        self._rest = rest
        self._mode = mode
        self._margin = margin

    async def look_once_more(self) -> world.AccountReading | str:
        """The same for a bot that stops: a list that does not come soon is asked for on a new connection, once.

        Waiting for room under the rate limits is no list that does not come: it is waited for before each look, because
        others may have taken what there was.
        """
        reading: world.AccountReading | str = "not asked"
        for _ in range(LAST_LOOKS):
            with trio.move_on_after(LAST_LOOK_ROOM_S):
                await self._rest.room_for_account(lane="protection")
            reading = await self.read_account(within_s=LAST_LOOK_S, lane="protection")
            if not isinstance(reading, str):
                break
        return reading

    async def read_account(
        self, *, within_s: float | None = None, lane: Lane = "normal"
    ) -> world.AccountReading | str:
        """Positions, orders and every list of stops, complete; or the reason why not. ``within_s`` is for each list.

        Readings that follow each other closely use up their part of the limits; what only protection may use stays
        for the question whether one stop rests.
        """
        started_ms = self._rest.venue_now_ms()
        one_s, list_s = (within_s or READ_DEADLINE_S), (within_s or LIST_DEADLINE_S)
        positions = await self._rest.positions(lane=lane, deadline_s=one_s)
        if not isinstance(positions, Answered):
            return _words("positions", positions)
        orders = await self._rest.orders_pending(lane=lane, deadline_s=list_s)
        if not isinstance(orders, Answered):
            return _words("orders", orders)
        stops = await self._rest.algos_pending(lane=lane, deadline_s=list_s)
        if not isinstance(stops, Answered):
            return _words("stops", stops)
        try:
            return translate.reading(positions.rows, orders.rows, stops.rows, started_ms)
        except WireError as error:
            return str(error)

    async def place_order(self, ticket: requests.OrderTicket, still_wanted: Callable[[], bool]) -> Event:
        """Send an order. The last look before the wire is ``still_wanted``."""
        attached = ticket.attached
        request = OrderRequest(
            inst_id=ticket.leg.instrument,
            td_mode=self._margin.value,
            side=ticket.deal.value,
            pos_side=self._pos_side(ticket.leg),
            ord_type=ticket.kind.value,  # the settings use the venue's own names
            sz=ticket.contracts,
            px=ticket.price,
            cl_ord_id=ticket.client_id,
            reduce_only=ticket.is_reduce_only and self._mode is PositionMode.NET,
            tag=ticket.tag,
            attach_algo_ords=(
                AttachedStop(attach_algo_cl_ord_id=attached.client_id, sl_trigger_px=attached.trigger),
            )
            if attached is not None
            else (),
        )
        lane: Lane = "normal" if ticket.role is Role.ENTRY else "protection"
        # The ticket's deadline is the one that absence is judged by. A close that comes late for it goes out all the same.
        expires_ms = ticket.expires_ms
        if ticket.role is Role.CLOSE:
            expires_ms = max(expires_ms, self._rest.venue_now_ms() + LATE_CLOSE_MS)
        outcome = await self._rest.place_order(
            request, lane=lane, still_wanted=still_wanted, expires_ms=expires_ms
        )
        match outcome:
            case Answered():
                return _told(ticket, order.OrderAcknowledged(ticket.seq))
            case Refused(code=code) if code == NOT_SENT:
                return _told(ticket, order.WriteDenied(ticket.seq, outcome.message))
            case Refused(code=code) if code in DUPLICATE_ID_CODES:
                return _told(ticket, order.AnswerLost(ticket.seq, "an order of this id exists already"))
            case Refused() if ticket.role is Role.CLOSE:
                refusal = answer_to_close(outcome.code)
                return world.CloseRefused(ticket.leg, ticket.seq, refusal, _words("close", outcome))
            case Refused():
                return _told(ticket, order.OrderRefused(ticket.seq, _words("order", outcome)))
            case Unknown(reason=reason):
                return _told(ticket, order.AnswerLost(ticket.seq, reason))

    async def cancel_order(self, ticket: requests.OrderTicket) -> Event:
        request = OrderCancel(inst_id=ticket.leg.instrument, cl_ord_id=ticket.client_id)
        outcome = await self._rest.cancel_order(request)
        match outcome:
            case Answered():
                return _told(ticket, order.CancelAcknowledged(ticket.seq))
            case Refused(remedy=Remedy.DONE):
                return _told(ticket, order.CancelFruitless(ticket.seq))
        return _told(ticket, order.CancelFailed(ticket.seq))

    async def cancel_all_after(self, request: requests.CancelAllAfter) -> Event:
        """The dead man's switch of the entries, which carry a tag of their own; stops carry none."""
        outcome = await self._rest.cancel_all_after(
            request.seconds, tag=ids.TAG_ENTRY, deadline_s=SWITCH_ANSWER_S
        )
        is_end = not request.seconds
        if isinstance(outcome, Answered):
            event: Event = (dead_man.DisarmTaken if is_end else dead_man.RenewalTaken)(request.seq)
        else:
            failed = dead_man.DisarmFailed if is_end else dead_man.RenewalFailed
            event = failed(request.seq, _words("cancel-all-after", outcome))
        return Told(DEAD_MAN, event)

    async def amend_order(self, request: requests.AmendOrder, still_wanted: Callable[[], bool]) -> Event:
        """Another price for an order that rests; ``still_wanted`` is asked as for a placement."""
        ticket = request.ticket
        outcome = await self._rest.amend_order(
            OrderAmend(inst_id=ticket.leg.instrument, cl_ord_id=ticket.client_id, new_px=request.price),
            expires_ms=request.expires_ms,
            still_wanted=still_wanted,
            deadline_s=AMEND_ANSWER_S,
        )
        match outcome:
            case Answered():
                return _told(ticket, order.AmendAcknowledged(ticket.seq))
            case Refused(remedy=Remedy.DONE) if outcome.code not in EXPIRED_CODES:
                return _told(ticket, order.AmendFruitless(ticket.seq, _words("amendment", outcome)))
            case Refused():
                return _told(ticket, order.AmendRefused(ticket.seq, _words("amendment", outcome)))
            case Unknown(reason=reason):
                return _told(ticket, order.AmendFruitless(ticket.seq, reason))

    async def query_order(self, ticket: requests.OrderTicket, within_s: float | None = None) -> Event:
        """Ask by client id, then in the lists; absence is final only after the order's deadline."""
        asked_ms = self._rest.venue_now_ms()
        outcome = await self._rest.order(
            ticket.leg.instrument,
            cl_ord_id=ticket.client_id,
            lane="protection",
            deadline_s=READ_DEADLINE_S if within_s is None else within_s,
        )
        if isinstance(outcome, Answered):
            return self._asked(ticket, translate.order_report(outcome.row), is_final=False)
        if not (isinstance(outcome, Refused) and outcome.code in NOT_FOUND_CODES):
            return _told(ticket, order.QueryInconclusive(ticket.seq, _words("order", outcome)))
        for listed in (
            await self._rest.orders_pending(inst_id=ticket.leg.instrument),
            await self._rest.orders_history(inst_id=ticket.leg.instrument, since_ms=ticket.created_ms - 1),
        ):
            if not isinstance(listed, Answered):
                return _told(ticket, order.QueryInconclusive(ticket.seq, _words("orders", listed)))
            for row in listed.rows:
                if row.cl_ord_id == ticket.client_id:
                    return self._asked(ticket, translate.order_report(row), is_final=False)
        return self._asked(ticket, None, is_final=asked_ms > ticket.expires_ms + ABSENCE_MARGIN_MS)

    def _asked(
        self, ticket: requests.OrderTicket, report: world.OrderReport | None, *, is_final: bool
    ) -> Event:
        return world.OrderAsked(ticket.leg, ticket.role, ticket.seq, report, is_final)

    async def place_stop(self, request: requests.PlaceStop) -> Event:
        """A stop of the whole position follows the size by itself; one of a size is of that size."""
        outcome = await self._rest.place_algo(
            AlgoRequest(
                inst_id=request.leg.instrument,
                td_mode=self._margin.value,
                side=request.deal.value,
                pos_side=self._pos_side(request.leg),
                ord_type="conditional",
                algo_cl_ord_id=request.client_id,
                sz=request.contracts,
                close_fraction=WHOLE if request.contracts is None else None,
                reduce_only=self._mode is PositionMode.NET,
                sl_trigger_px=request.trigger,
                sl_ord_px=MARKET_PX,
                sl_trigger_px_type="mark",
            ),
            deadline_s=STOP_ANSWER_S,
        )
        match outcome:
            case Answered():
                event: Event = protection.StopAccepted(request.seq)
            case Refused():
                event = protection.StopRefused(
                    request.seq, answer_to_stop(outcome.code), _words("stop", outcome), outcome.code
                )
            case Unknown(reason=reason):
                event = protection.StopAnswerLost(request.seq, reason)
        return _told_stop(request.leg, event)

    async def move_stop(self, request: requests.MoveStop) -> Event:
        outcome = await self._rest.amend_algo(
            AlgoAmend(
                inst_id=request.leg.instrument,
                algo_id=request.venue_id,
                algo_cl_ord_id="" if request.venue_id else request.client_id,
                new_sl_trigger_px=request.trigger,
                new_sz=request.contracts,
            )
        )
        match outcome:
            case Answered():
                event: Event = protection.MoveAccepted(request.seq)
            case Refused():
                event = protection.MoveRefused(request.seq, _words("move", outcome))
            case Unknown(reason=reason):
                event = protection.StopAnswerLost(request.seq, reason)
        return _told_stop(request.leg, event)

    async def cancel_stops(self, request: requests.CancelStops) -> None:
        """Sweep. What could not be cancelled is found by the next audit, so the outcome decides nothing."""
        for start in range(0, len(request.venue_ids), CANCEL_ALGOS_MAX):
            chunk = request.venue_ids[start : start + CANCEL_ALGOS_MAX]
            await self._rest.cancel_algos(
                [AlgoCancel(inst_id=request.instrument, algo_id=venue_id) for venue_id in chunk]
            )

    async def cancel_closes(self, request: requests.CancelCloses) -> None:
        """What could not be cancelled refuses the next try as it did the last."""
        instrument, closes = request.leg.instrument, closing_deal(request.leg.side).value
        listed = await self._rest.orders_pending(inst_id=instrument, lane="protection")
        if not isinstance(listed, Answered):
            return
        for row in listed.rows:
            is_close = row.pos_side == request.leg.side.value or (row.pos_side == "net" and row.reduce_only)
            if is_close and row.side == closes and (ids.parse(row.cl_ord_id) or not request.ours_only):
                await self._rest.cancel_order(OrderCancel(inst_id=instrument, ord_id=row.ord_id))

    async def cancel_orphan(self, request: requests.CancelOrphan) -> None:
        """What could not be cancelled is shown by the next reading."""
        await self._rest.cancel_order(OrderCancel(inst_id=request.instrument, ord_id=request.venue_id))

    async def read_stops(self, request: requests.ReadStops) -> Event:
        outcome: Read[AlgoOrder] = Failed("no answer in time")
        with trio.move_on_after(STOP_ANSWER_S):
            outcome = await self._rest.algos_pending(
                ord_types=STOP_LISTS, inst_id=request.leg.instrument, lane="protection"
            )
        if isinstance(outcome, Answered):
            reports = (translate.stop_report(row) for row in outcome.rows)
            stops = tuple(report for report in reports if report is not None)
            return world.StopsRead(request.leg, request.seq, stops)
        return _told_stop(request.leg, protection.StopReadFailed(request.seq))

    async def read_leg(self, request: requests.ReadLeg) -> Event:
        await trio.sleep(request.after_s)
        outcome = await self._rest.positions(inst_id=request.leg.instrument, lane="protection")
        if isinstance(outcome, Answered):
            try:
                reports = tuple(report for row in outcome.rows for report in translate.position_reports(row))
            except WireError:
                return world.LegRead(request.leg, None, request.asked_ms)
            return world.LegRead(request.leg, reports, request.asked_ms)
        return world.LegRead(request.leg, None, request.asked_ms)

    async def explain_absence(self, request: requests.ExplainAbsence) -> Event:
        """The venue's own record of the closed position, newer than our entry; else the question stays open.

        The record says liquidation and ADL; whether a stop, an order of ours or a hand closed it is said by the
        last order that took from it.
        """
        leg = request.leg
        outcome = await self._rest.positions_history(inst_id=leg.instrument, since_ms=request.since_ms)
        if not isinstance(outcome, Answered):
            return world.AbsenceUnexplained(leg)
        for row in outcome.rows:
            is_this = row.direction == leg.side.value and (row.u_time_ms or 0) >= request.since_ms
            if is_this and row.type in CLOSED_CAUSES:
                cause = CLOSED_CAUSES[row.type] or await self._who_closed(request)
                pnl, at_ms = row.pnl or Decimal(0), row.u_time_ms or 0
                fees = None if row.fee is None else -row.fee
                return world.AbsenceExplained(leg, cause, pnl, at_ms, fees, row.close_avg_px)
        return world.AbsenceUnexplained(leg)

    async def _who_closed(self, request: requests.ExplainAbsence) -> str:
        """By the newest order that took from the leg; "closed" where no list shows one."""
        listed = await self._rest.orders_history(inst_id=request.leg.instrument, since_ms=request.since_ms)
        closes, sides = closing_deal(request.leg.side).value, ("net", "", request.leg.side.value)
        taking = [
            row
            for row in (listed.rows if isinstance(listed, Answered) else ())
            if row.side == closes and row.pos_side in sides and row.acc_fill_sz
        ]
        newest = max(taking, key=lambda row: row.u_time_ms or 0, default=None)
        if newest is None:
            return CLOSED
        if newest.algo_id or newest.algo_cl_ord_id:
            return world.STOPPED
        return world.CLOSED_BY_US if ids.parse(newest.cl_ord_id) is not None else world.CLOSED_BY_HAND

    async def read_own_orders(self, request: requests.ReadOwnOrders) -> Event:
        """The orders that are over and those that rest; an order that ends in between is in one of the two."""
        instrument, found = request.leg.instrument, {}
        for listed in (
            await self._rest.orders_pending(inst_id=instrument, lane="protection"),
            await self._rest.orders_history(inst_id=instrument, since_ms=request.since_ms, lane="protection"),
        ):
            if not isinstance(listed, Answered):
                return world.OwnOrdersRead(request.leg, None)
            try:
                found.update({row.ord_id: translate.order_report(row) for row in listed.rows})
            except WireError:
                return world.OwnOrdersRead(request.leg, None)
        filled = tuple(report for report in found.values() if report is not None and report.filled)
        return world.OwnOrdersRead(request.leg, filled)

    async def reload_rules(self, request: requests.ReloadRules) -> Event:
        """The instrument's rules anew. When they cannot be had the old ones go on, and the next refusal asks again."""
        outcome = await self._rest.instruments(inst_id=request.instrument)
        if isinstance(outcome, Answered):
            for row in outcome.rows:
                if row.inst_id == request.instrument:
                    with suppress(WireError):
                        return world.RulesRead(request.instrument, translate.instrument(row))
        return world.RulesRead(request.instrument, None)

    async def read_peak(self, request: requests.ReadPeak) -> Event:
        """The best of the mark candles that opened after the entry; asked a few times, because it can wait."""
        now_ms = self._rest.venue_now_ms()
        bar = "1m" if now_ms - request.since_ms <= PEAK_MINUTES_MS else "1H"
        start_ms = max(request.since_ms, now_ms - PEAK_REACH_MS)
        best: Decimal | None = None
        for attempt in range(PEAK_TRIES):
            await trio.sleep(attempt * PEAK_RETRY_S)
            outcome = await self._rest.mark_candles(
                request.leg.instrument, bar, start_ms=start_ms, end_ms=now_ms, confirmed_only=False
            )
            if isinstance(outcome, Answered):
                rows = outcome.rows
                if rows:
                    is_long = request.leg.side is Side.LONG
                    best = max(row.high for row in rows) if is_long else min(row.low for row in rows)
                break
        return world.PeakRead(request.leg, request.since_ms, request.is_found, best)

    def _pos_side(self, leg: LegKey) -> str:
        """Hedge mode names the leg; net mode must not."""
        return leg.side.value if self._mode is PositionMode.HEDGE else ""


def _told(ticket: requests.OrderTicket, event: Event) -> Told:
    part = Part.ENTRY if ticket.role is Role.ENTRY else Part.CLOSE
    return Told(Address(part, leg=ticket.leg), event)


def _told_stop(leg: LegKey, event: Event) -> Told:
    return Told(Address(Part.PROTECTION, leg=leg), event)


def _words(what: str, outcome: Refused | Failed | Unknown) -> str:
    if isinstance(outcome, Refused):
        return f"{what}: {outcome.code} {outcome.message}".strip()
    return f"{what}: {outcome.reason}"


def words(outcomes: Sequence[Refused | Failed]) -> str:
    """Several outcomes in one line."""
    return "; ".join(_words("venue", outcome) for outcome in outcomes)
