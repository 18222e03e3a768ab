"""One order, from the intent to its final report, with its doubts.

Theory of operation
===================

* **The intent is durable before the order is sent.**  PLANNED waits for the
  journal.  When the journal fails, an entry is withdrawn; a closing order goes out
  all the same, because a position matters more than its record.

* **An unanswered order is in doubt, not dead.**  A lost answer, a server error or a
  time-out leads to IN_DOUBT, which asks the venue by client order id until it is
  told something.  No timer decides: only the proof that the venue cannot hold the
  order any more (absent from every list after its deadline) leads to ABSENT.

* **Answers and pushes race.**  The push of a fill may precede the acknowledgement
  of the order.  What a push says wins, because it speaks of the order itself; an
  acknowledgement only speaks of the request.

* **A cancel that was wanted while nothing was known yet is remembered** and sent
  when the order turns out to live.

* **A fill after the end is news**, not a defect: a cancelled order that filled
  after all is reported, so that the position gets its stop.

Sequences name orders; a report about an earlier sequence is stale here and is
handled where fills meet the book.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from anchorwatch.machine.kernel import (
    Data,
    Definition,
    Effect,
    Event,
    Identity,
    Reason,
    Row,
    Snapshot,
    State,
    Step,
    ignored,
    impossible,
)


class Role(Enum):
    ENTRY = "entry"
    CLOSE = "close"

    __hash__ = object.__hash__


class S(State):
    IDLE = "idle"
    PLANNED = "planned"
    SENT = "sent"
    LIVE = "live"
    PARTIAL = "partial"
    CANCELLING = "cancelling"
    IN_DOUBT = "in doubt"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    ABSENT = "absent"
    WITHDRAWN = "withdrawn"


FINAL = (S.FILLED, S.CANCELLED, S.REFUSED, S.ABSENT, S.WITHDRAWN)


class Order(Data, frozen=True):
    role: Role = Role.ENTRY
    seq: Identity = 0
    has_fills: bool = False
    cancel_wanted: bool = False  # as soon as it is known to live


class OrderWanted(Event, frozen=True):
    """A new order is to be made; its numbers are in the book under this sequence."""

    seq: Identity
    role: Role


class OfOrder(Event, frozen=True):
    seq: Identity


class OrderRecovered(OfOrder, frozen=True):
    """An earlier life recorded this intent and never learnt its end."""

    role: Role


class IntentRecorded(OfOrder, frozen=True):
    pass


class IntentFailed(OfOrder, frozen=True):
    reason: Reason = ""


class WriteDenied(OfOrder, frozen=True):
    """The last check before the wire said no: no permission, a fact lost, the deadline over. Nothing was sent."""

    reason: Reason = ""


class OrderAcknowledged(OfOrder, frozen=True):
    """The venue took the request. Whether the order lives is said by a push."""


class OrderRefused(OfOrder, frozen=True):
    reason: Reason = ""


class AnswerLost(OfOrder, frozen=True):
    """Whether the venue took the request is unknown."""

    reason: Reason = ""


class OrderSeenLive(OfOrder, frozen=True):
    pass


class OrderPartlyFilled(OfOrder, frozen=True):
    """More of it has filled than was known, and it goes on."""


class OrderFilled(OfOrder, frozen=True):
    pass


class OrderCancelled(OfOrder, frozen=True):
    """It ended without (further) fills; what had filled was reported before."""


class CancelWanted(OfOrder, frozen=True):
    reason: Reason = ""


class CancelAcknowledged(OfOrder, frozen=True):
    pass


class CancelFruitless(OfOrder, frozen=True):
    """The venue cannot cancel it: filled, cancelled or unknown. Or the answer was lost."""


class OrderDoubted(OfOrder, frozen=True):
    """Pushes may have been missed, or its end is overdue: ask."""


class QueryDue(OfOrder, frozen=True):
    pass


class QueryInconclusive(OfOrder, frozen=True):
    """The query failed, or the order is absent while it could still arrive."""

    reason: Reason = ""


class AbsenceProven(OfOrder, frozen=True):
    """In no list of the venue, asked after its deadline: the venue can no longer accept it."""


class RecordIntent(Effect, frozen=True):
    role: Role
    seq: Identity


class SendOrder(Effect, frozen=True):
    role: Role
    seq: Identity


class QueryOrder(Effect, frozen=True):
    role: Role
    seq: Identity


class CancelOrder(Effect, frozen=True):
    role: Role
    seq: Identity


class StartQueryTimer(Effect, frozen=True):
    role: Role
    seq: Identity


class OrderEnded(Effect, frozen=True):
    """For the bot: this order's fate is settled."""

    role: Role
    seq: Identity
    end: S


class ReportLateFill(Effect, frozen=True):
    """For the bot: it filled after its end was reported."""

    role: Role
    seq: Identity


def is_stale(order: Order, event: OfOrder) -> bool:
    assert event.seq <= order.seq, "a sequence from the future"
    return event.seq < order.seq


def is_closing(order: Order, event: Event) -> bool:
    return order.role is Role.CLOSE


def is_cancel_wanted(order: Order, event: Event) -> bool:
    return order.cancel_wanted


def plan(order: Order, event: OrderWanted) -> Step[Order]:
    assert event.seq > order.seq, "a sequence is never used twice"
    return Order(event.role, event.seq), (RecordIntent(event.role, event.seq),)


def recover(order: Order, event: OrderRecovered) -> Step[Order]:
    return Order(event.role, event.seq), (QueryOrder(event.role, event.seq),)


def send(order: Order, event: Event) -> Step[Order]:
    return order, (SendOrder(order.role, order.seq),)


def query(order: Order, event: Event) -> Step[Order]:
    return order, (QueryOrder(order.role, order.seq),)


def query_later(order: Order, event: Event) -> Step[Order]:
    return order, (StartQueryTimer(order.role, order.seq),)


def cancel(order: Order, event: Event) -> Step[Order]:
    order = msgspec.structs.replace(order, cancel_wanted=False)
    return order, (CancelOrder(order.role, order.seq),)


def remember_cancel(order: Order, event: Event) -> Step[Order]:
    return msgspec.structs.replace(order, cancel_wanted=True), ()


def count_fill(order: Order, event: Event) -> Step[Order]:
    return msgspec.structs.replace(order, has_fills=True), ()


def count_fill_and_cancel(order: Order, event: Event) -> Step[Order]:
    return cancel(msgspec.structs.replace(order, has_fills=True), event)


def report_late_fill(order: Order, event: Event) -> Step[Order]:
    return msgspec.structs.replace(order, has_fills=True), (ReportLateFill(order.role, order.seq),)


def _end(order: Order, end: S) -> Step[Order]:
    order = msgspec.structs.replace(order, cancel_wanted=False, has_fills=order.has_fills or end is S.FILLED)
    return order, (OrderEnded(order.role, order.seq, end),)


def end_filled(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.FILLED)


def end_cancelled(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.CANCELLED)


def end_refused(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.REFUSED)


def end_absent(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.ABSENT)


def end_withdrawn(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.WITHDRAWN)


OUT = (S.SENT, S.LIVE, S.PARTIAL, S.CANCELLING, S.IN_DOUBT)
"""States in which the venue may hold the order."""
RESTING = (S.LIVE, S.PARTIAL)
FREE = (S.IDLE, *FINAL)
"""States in which the slot can take a new order."""
REPORTS = (OrderSeenLive, OrderPartlyFilled, OrderFilled, OrderCancelled)
OF_ORDER = (
    IntentRecorded, IntentFailed, WriteDenied, OrderAcknowledged, OrderRefused, AnswerLost, *REPORTS,
    CancelWanted, CancelAcknowledged, CancelFruitless, OrderDoubted, QueryDue, QueryInconclusive, AbsenceProven,
)  # fmt: skip
QUERIES = (QueryDue, QueryInconclusive, AbsenceProven)
BEFORE_THE_WIRE = (IntentRecorded, IntentFailed, WriteDenied)

# fmt: off
TABLE = (
    *ignored(S, OF_ORDER, "it speaks of an earlier order", when=is_stale),
    #     source         event                destination    guard                    action
    *(Row(s,             OrderWanted,         S.PLANNED,                              then=plan)           for s in FREE),
    *(Row(s,             OrderRecovered,      S.IN_DOUBT,                             then=recover)        for s in FREE),
    Row(  S.PLANNED,     IntentRecorded,      S.SENT,                                 then=send),
    Row(  S.PLANNED,     IntentFailed,        S.SENT,        when=is_closing,         then=send,           because="a position matters more than its record"),
    Row(  S.PLANNED,     IntentFailed,        S.WITHDRAWN,                            then=end_withdrawn),
    Row(  S.PLANNED,     CancelWanted,        S.WITHDRAWN,                            then=end_withdrawn),
    Row(  S.SENT,        WriteDenied,         S.WITHDRAWN,                            then=end_withdrawn),
    Row(  S.SENT,        OrderRefused,        S.REFUSED,                              then=end_refused),
    Row(  S.SENT,        AnswerLost,          S.IN_DOUBT,                             then=query),
    Row(  S.SENT,        OrderAcknowledged,   S.CANCELLING,  when=is_cancel_wanted,   then=cancel),
    Row(  S.SENT,        OrderAcknowledged,   S.LIVE),
    *(Row(s,             OrderSeenLive,       S.CANCELLING,  when=is_cancel_wanted,   then=cancel)         for s in (S.SENT, S.IN_DOUBT)),
    Row(  S.SENT,        OrderSeenLive,       S.LIVE),
    Row(  S.IN_DOUBT,    OrderSeenLive,       S.LIVE),
    *(Row(s,             OrderPartlyFilled,   S.CANCELLING,  when=is_cancel_wanted,   then=count_fill_and_cancel)  for s in (S.SENT, S.IN_DOUBT)),
    *(Row(s,             OrderPartlyFilled,   S.PARTIAL,                              then=count_fill)     for s in (S.SENT, *RESTING, S.IN_DOUBT)),
    Row(  S.CANCELLING,  OrderPartlyFilled,   S.CANCELLING,                           then=count_fill),
    *(Row(s,             OrderFilled,         S.FILLED,                               then=end_filled)     for s in OUT),
    *(Row(s,             OrderCancelled,      S.CANCELLED,                            then=end_cancelled)  for s in OUT),
    *(Row(s,             CancelWanted,        S.CANCELLING,                           then=cancel)         for s in RESTING),
    *(Row(s,             CancelWanted,        s,                                      then=remember_cancel) for s in (S.SENT, S.IN_DOUBT)),
    # Doubt: ask until the venue says something.
    Row(  S.CANCELLING,  CancelFruitless,     S.IN_DOUBT,                             then=query),
    *(Row(s,             OrderDoubted,        S.IN_DOUBT,                             then=query)          for s in (*RESTING, S.CANCELLING)),
    *(Row(s,             OrderRefused,        S.IN_DOUBT,                             then=query,          because="a push said that it lives: one of the two is wrong") for s in RESTING),
    Row(  S.IN_DOUBT,    QueryInconclusive,   S.IN_DOUBT,                             then=query_later),
    Row(  S.IN_DOUBT,    QueryDue,            S.IN_DOUBT,                             then=query),
    Row(  S.IN_DOUBT,    AbsenceProven,       S.ABSENT,                               then=end_absent),
    # A fill after the end is news.
    *(Row(s,             e,                   s,                                      then=report_late_fill) for s in FINAL if s is not S.FILLED for e in (OrderPartlyFilled, OrderFilled)),
    # What may happen and does not matter.
    *ignored(RESTING,            (OrderSeenLive, OrderAcknowledged, AnswerLost), "a push has said so before"),
    *ignored((S.CANCELLING,),    (OrderSeenLive, OrderAcknowledged, AnswerLost, OrderRefused), "the end is awaited, and a push will tell it"),
    *ignored((S.CANCELLING,),    (CancelWanted, CancelAcknowledged), "the cancel is under way"),
    *ignored((S.IN_DOUBT,),      (OrderAcknowledged, OrderRefused, AnswerLost, CancelAcknowledged, CancelFruitless, OrderDoubted), "the query decides"),
    *ignored((S.SENT,),          (OrderDoubted,), "its answer is still to come"),
    *ignored((S.PLANNED,),       (OrderDoubted,), "it was not sent yet"),
    *ignored((*RESTING, S.CANCELLING), QUERIES, "a push answered before the query did"),
    *ignored(RESTING,            (CancelAcknowledged, CancelFruitless), "the answer to a cancel that a query has overtaken"),
    *ignored(FREE,               (CancelWanted, OrderDoubted), "there is nothing to cancel or to ask for"),
    *ignored(FINAL,              (OrderAcknowledged, OrderRefused, AnswerLost, OrderSeenLive, OrderCancelled, CancelAcknowledged, CancelFruitless, *QUERIES), "its end is known; the report was still under way"),
    *ignored((S.FILLED,),        (OrderPartlyFilled, OrderFilled), "reports may come twice"),
    *ignored((S.WITHDRAWN,),     (IntentRecorded, IntentFailed), "withdrawn while the journal wrote"),
    # What cannot happen.
    *impossible((S.PLANNED, *OUT), (OrderWanted, OrderRecovered), "one order at a time"),
    *impossible((S.IDLE,), tuple(e for e in OF_ORDER if e not in (CancelWanted, OrderDoubted)), "no order was made yet"),
    *impossible((S.PLANNED,), (WriteDenied, OrderAcknowledged, OrderRefused, AnswerLost, *REPORTS, CancelAcknowledged, CancelFruitless, *QUERIES), "nothing was sent yet"),
    *impossible((S.SENT,), (IntentRecorded, IntentFailed, CancelAcknowledged, CancelFruitless, *QUERIES), "only the order itself was sent"),
    *impossible((*RESTING, S.CANCELLING, S.IN_DOUBT, S.FILLED, S.CANCELLED, S.REFUSED, S.ABSENT), BEFORE_THE_WIRE, "that was settled before it was sent"),
    *impossible((S.WITHDRAWN,), (WriteDenied,), "a write is denied once"),
)
# fmt: on

ORDER = Definition("order", Snapshot(S.IDLE, Order()), TABLE)
