"""One order, from the intent to its final report, with its doubts.

Theory of operation
===================

* **The intent is durable before the order is sent.**  PLANNED waits for the
  journal.  When the journal fails, an entry is withdrawn; a closing order goes out
  all the same, because a position matters more than its record.

* **What may rest is not sent before the countdown runs** that takes it back when its
  bot falls silent (the dead man's switch).  UNGUARDED waits for it; where it cannot be
  had the entry is withdrawn, because a fill with nobody there has no stop that trails.

* **An unanswered order is in doubt, not dead.**  A lost answer, a server error or a
  time-out leads to IN_DOUBT, which asks the venue by client order id until it is
  told something.  No timer decides: only the proof that the venue cannot hold the
  order any more (absent from every list after its deadline) leads to ABSENT.

* **Answers and pushes race.**  The push of a fill may precede the acknowledgement
  of the order.  What a push says wins, because it speaks of the order itself; an
  acknowledgement only speaks of the request.

* **A cancel that is wanted stays wanted until the order has ended.**  It is sent when
  the order turns out to live, and again when a query finds it alive after a cancel that
  came to nothing.

* **A resting order is repriced in place.**  One write is under way at a time: in
  AMENDING the answer to the amendment is awaited, and a cancel waits for it.  An
  amendment names the order that there is, so a lost answer leaves one order at one of
  two prices, never two orders; which price it is, reports say, and the book keeps.

* **A fill after the end is news**, not a defect: a cancelled order that filled
  after all is reported, so that the position gets its stop.

Sequences name orders; a report about an earlier sequence is stale here and is
handled where fills meet the book.
"""

from __future__ import annotations

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
    ignored_before,
    impossible,
)
from anchorwatch.machine.units import Word


class Role(Word):
    ENTRY = "entry"
    CLOSE = "close"


class S(State):
    IDLE = "idle"
    PLANNED = "planned"
    UNGUARDED = "unguarded"
    SENT = "sent"
    LIVE = "live"
    PARTIAL = "partial"
    AMENDING = "amending"
    CANCELLING = "cancelling"
    IN_DOUBT = "in doubt"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    ABSENT = "absent"
    WITHDRAWN = "withdrawn"


FILLED = S.FILLED
FINAL = (FILLED, S.CANCELLED, S.REFUSED, S.ABSENT, S.WITHDRAWN)


class Order(Data, frozen=True):
    role: Role = Role.ENTRY
    seq: Identity = 0
    rests: bool = False  # it may wait in the book of the venue: a post-only order
    has_fills: bool = False
    cancel_wanted: bool = False  # until its end


class OrderWanted(Event, frozen=True):
    """A new order is to be made; its numbers are in the book under this sequence."""

    seq: Identity
    role: Role
    rests: bool = False


class OfOrder(Event, frozen=True):
    seq: Identity


class OrderRecovered(OfOrder, frozen=True):
    """An earlier life recorded this intent and never learnt its end."""

    role: Role


class IntentRecorded(OfOrder, frozen=True):
    pass


class IntentFailed(OfOrder, frozen=True):
    reason: Reason = ""


class GuardRuns(OfOrder, frozen=True):
    """The countdown that takes back what rests is known to run, or there is none to be had."""


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
    """The venue has nothing to cancel: it is filled, cancelled or unknown there."""


class CancelFailed(OfOrder, frozen=True):
    """The answer was lost, or the venue could not take the cancel now: the order may rest on."""


class RepriceWanted(OfOrder, frozen=True):
    """The quote has moved away from a resting order; the better price is in the book."""


class AmendAcknowledged(OfOrder, frozen=True):
    """The venue took the amendment. At which price the order rests is said by reports."""


class AmendRefused(OfOrder, frozen=True):
    """The amendment had no effect, or was not sent: the order rests as it did."""

    reason: Reason = ""


class AmendFruitless(OfOrder, frozen=True):
    """The venue has no such order to amend, or the answer was lost: what rests, if anything, is to be asked."""

    reason: Reason = ""


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


class AmendOrder(Effect, frozen=True):
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


def may_rest(order: Order, event: Event) -> bool:
    return order.rests


def is_cancel_wanted(order: Order, event: Event) -> bool:
    return order.cancel_wanted


def is_partly_filled(order: Order, event: Event) -> bool:
    return order.has_fills


def plan(order: Order, event: OrderWanted) -> Step[Order]:
    assert event.seq > order.seq, "a sequence is never used twice"
    return Order(event.role, event.seq, event.rests), (RecordIntent(event.role, event.seq),)


def recover(order: Order, event: OrderRecovered) -> Step[Order]:
    """What an earlier life sent may rest: nobody is left who wants it, and nobody remembers its kind."""
    rests = event.role is Role.ENTRY
    return Order(event.role, event.seq, rests), (QueryOrder(event.role, event.seq),)


def send(order: Order, event: Event) -> Step[Order]:
    return order, (SendOrder(order.role, order.seq),)


def query(order: Order, event: Event) -> Step[Order]:
    return order, (QueryOrder(order.role, order.seq),)


def query_later(order: Order, event: Event) -> Step[Order]:
    return order, (StartQueryTimer(order.role, order.seq),)


def cancel(order: Order, event: Event) -> Step[Order]:
    order = msgspec.structs.replace(order, cancel_wanted=True)
    return order, (CancelOrder(order.role, order.seq),)


def amend(order: Order, event: Event) -> Step[Order]:
    return order, (AmendOrder(order.role, order.seq),)


def remember_cancel(order: Order, event: Event) -> Step[Order]:
    return msgspec.structs.replace(order, cancel_wanted=True), ()


def count_fill(order: Order, event: Event) -> Step[Order]:
    return msgspec.structs.replace(order, has_fills=True), ()


def count_fill_and_cancel(order: Order, event: Event) -> Step[Order]:
    return cancel(msgspec.structs.replace(order, has_fills=True), event)


def report_late_fill(order: Order, event: Event) -> Step[Order]:
    return msgspec.structs.replace(order, has_fills=True), (ReportLateFill(order.role, order.seq),)


def _end(order: Order, end: S) -> Step[Order]:
    order = msgspec.structs.replace(order, cancel_wanted=False, has_fills=order.has_fills or end is FILLED)
    return order, (OrderEnded(order.role, order.seq, end),)


def end_filled(order: Order, event: Event) -> Step[Order]:
    return _end(order, FILLED)


def end_cancelled(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.CANCELLED)


def end_refused(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.REFUSED)


def end_absent(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.ABSENT)


def end_withdrawn(order: Order, event: Event) -> Step[Order]:
    return _end(order, S.WITHDRAWN)


OUT = (S.SENT, S.LIVE, S.PARTIAL, S.AMENDING, S.CANCELLING, S.IN_DOUBT)
"""States in which the venue may hold the order."""
RESTING = (S.LIVE, S.PARTIAL)
MADE = tuple(s for s in S if s is not S.IDLE)
"""States of an order that was made: only it can be told of an earlier one."""
FREE = (S.IDLE, *FINAL)
"""States in which the slot can take a new order."""
REPORTS = (OrderSeenLive, OrderPartlyFilled, OrderFilled, OrderCancelled)
OF_ORDER = (
    IntentRecorded, IntentFailed, GuardRuns, WriteDenied, OrderAcknowledged, OrderRefused, AnswerLost, *REPORTS,
    CancelWanted, CancelAcknowledged, CancelFruitless, CancelFailed,
    RepriceWanted, AmendAcknowledged, AmendRefused, AmendFruitless,
    OrderDoubted, QueryDue, QueryInconclusive, AbsenceProven,
)  # fmt: skip
QUERIES = (QueryDue, QueryInconclusive, AbsenceProven)
CANCEL_ANSWERS = (CancelAcknowledged, CancelFruitless, CancelFailed)
AMEND_ANSWERS = (AmendAcknowledged, AmendRefused, AmendFruitless)
BEFORE_THE_WIRE = (IntentRecorded, IntentFailed, GuardRuns, WriteDenied)

# fmt: off
ROWS = (
    #     source         event                destination    guard                    action
    *(Row(s,             OrderWanted,         S.PLANNED,                              then=plan)           for s in FREE),
    *(Row(s,             OrderRecovered,      S.IN_DOUBT,                             then=recover)        for s in FREE),
    Row(  S.PLANNED,     IntentRecorded,      S.UNGUARDED,   when=may_rest,                                because="what rests while its bot is dead fills with nobody to protect it"),
    Row(  S.PLANNED,     IntentRecorded,      S.SENT,                                 then=send),
    Row(  S.UNGUARDED,   GuardRuns,           S.SENT,                                 then=send),
    Row(  S.UNGUARDED,   CancelWanted,        S.WITHDRAWN,                            then=end_withdrawn),
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
    *(Row(s,             OrderPartlyFilled,   s,                                      then=count_fill)     for s in (S.AMENDING, S.CANCELLING)),
    *(Row(s,             OrderFilled,         S.FILLED,                               then=end_filled)     for s in OUT),
    *(Row(s,             OrderCancelled,      S.CANCELLED,                            then=end_cancelled)  for s in OUT),
    *(Row(s,             CancelWanted,        S.CANCELLING,                           then=cancel)         for s in RESTING),
    *(Row(s,             CancelWanted,        s,                                      then=remember_cancel) for s in (S.SENT, S.AMENDING, S.IN_DOUBT)),
    # A better price for what rests: the same order, one write at a time.
    *(Row(s,             RepriceWanted,       S.AMENDING,                             then=amend)          for s in RESTING),
    *(Row(S.AMENDING,    e,                   S.CANCELLING,  when=is_cancel_wanted,   then=cancel)         for e in (AmendAcknowledged, AmendRefused)),
    *(Row(S.AMENDING,    e,                   S.PARTIAL,     when=is_partly_filled)                        for e in (AmendAcknowledged, AmendRefused)),
    *(Row(S.AMENDING,    e,                   S.LIVE)                                                      for e in (AmendAcknowledged, AmendRefused)),
    Row(  S.AMENDING,    AmendFruitless,      S.IN_DOUBT,                             then=query),
    # Doubt: ask until the venue says something.
    Row(  S.CANCELLING,  CancelFruitless,     S.IN_DOUBT,                             then=query),
    Row(  S.CANCELLING,  CancelFailed,        S.IN_DOUBT,                             then=query_later,    because="asked again at a pace: a busy venue is not helped by asking at once"),
    *(Row(s,             OrderDoubted,        S.IN_DOUBT,                             then=query)          for s in (*RESTING, S.AMENDING, S.CANCELLING)),
    *(Row(s,             OrderRefused,        S.IN_DOUBT,                             then=query,          because="a push said that it lives: one of the two is wrong") for s in (*RESTING, S.AMENDING)),
    Row(  S.IN_DOUBT,    QueryInconclusive,   S.IN_DOUBT,                             then=query_later),
    Row(  S.IN_DOUBT,    QueryDue,            S.IN_DOUBT,                             then=query),
    Row(  S.IN_DOUBT,    AbsenceProven,       S.ABSENT,                               then=end_absent),
    # A fill after the end is news.
    *(Row(s,             e,                   s,                                      then=report_late_fill) for s in FINAL if s is not S.FILLED for e in (OrderPartlyFilled, OrderFilled)),
    # What may happen and does not matter.
    *ignored(RESTING,            (OrderSeenLive, OrderAcknowledged, AnswerLost), "a push has said so before"),
    *ignored((S.AMENDING,),      (OrderSeenLive, OrderAcknowledged, AnswerLost), "the answer to the amendment is awaited"),
    *ignored((S.CANCELLING,),    (OrderSeenLive, OrderAcknowledged, AnswerLost, OrderRefused), "the end is awaited, and a push will tell it"),
    *ignored((S.CANCELLING,),    (CancelWanted, CancelAcknowledged), "the cancel is under way"),
    *ignored((S.IN_DOUBT,),      (OrderAcknowledged, OrderRefused, AnswerLost, *CANCEL_ANSWERS, *AMEND_ANSWERS, OrderDoubted), "the query decides"),
    *ignored((S.SENT,),          (OrderDoubted,), "its answer is still to come"),
    *ignored((S.PLANNED, S.UNGUARDED), (OrderDoubted,), "it was not sent yet"),
    *ignored((*RESTING, S.AMENDING, S.CANCELLING), QUERIES, "a push answered before the query did"),
    *ignored((*RESTING, S.AMENDING), CANCEL_ANSWERS, "the answer to a cancel that a query has overtaken"),
    *ignored((*RESTING, S.CANCELLING), AMEND_ANSWERS, "the answer to an amendment that a query has overtaken"),
    *ignored((S.PLANNED, S.UNGUARDED, S.SENT, S.AMENDING, S.CANCELLING, S.IN_DOUBT), (RepriceWanted,), "only what is known to rest, with no write under way, is repriced"),
    *ignored(FREE,               (CancelWanted, RepriceWanted, OrderDoubted), "there is nothing to cancel, to reprice or to ask for"),
    *ignored(FINAL,              (OrderAcknowledged, OrderRefused, AnswerLost, OrderSeenLive, OrderCancelled, *CANCEL_ANSWERS, *AMEND_ANSWERS, *QUERIES), "its end is known; the report was still under way"),
    *ignored((S.FILLED,),        (OrderPartlyFilled, OrderFilled), "reports may come twice"),
    *ignored((S.WITHDRAWN,),     (IntentRecorded, IntentFailed), "withdrawn while the journal wrote"),
    # What cannot happen.
    *impossible((S.PLANNED, S.UNGUARDED, *OUT), (OrderWanted, OrderRecovered), "one order at a time"),
    *impossible((S.IDLE,), tuple(e for e in OF_ORDER if e not in (CancelWanted, RepriceWanted, OrderDoubted)), "no order was made yet"),
    *impossible((S.PLANNED, S.SENT, S.WITHDRAWN), (GuardRuns,), "only an order that waits for it is told"),
    *impossible((S.UNGUARDED,), (IntentRecorded, IntentFailed), "it is recorded"),
    *impossible((S.PLANNED, S.UNGUARDED), (WriteDenied, OrderAcknowledged, OrderRefused, AnswerLost, *REPORTS, *CANCEL_ANSWERS, *AMEND_ANSWERS, *QUERIES), "nothing was sent yet"),
    *impossible((S.SENT,), (IntentRecorded, IntentFailed, *CANCEL_ANSWERS, *AMEND_ANSWERS, *QUERIES), "only the order itself was sent"),
    *impossible((*RESTING, S.AMENDING, S.CANCELLING, S.IN_DOUBT, S.FILLED, S.CANCELLED, S.REFUSED, S.ABSENT), BEFORE_THE_WIRE, "that was settled before it was sent"),
    *impossible((S.WITHDRAWN,), (WriteDenied,), "a write is denied once"),
)
TABLE = (*ignored_before(ROWS, MADE, OF_ORDER, "it speaks of an earlier order", when=is_stale), *ROWS)
# fmt: on

ORDER = Definition("order", Snapshot(S.IDLE, Order()), TABLE)
