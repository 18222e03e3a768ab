"""One leg: a position in one direction of one instrument, from flat to flat.

Theory of operation
===================

The machine does not count contracts; the book does, from fills and reports.  It is
told whether there *is* a position, and by what right that is known.

* **Unknown is never flat.**  A position leaves the book only with a cause: our own
  close, the stop, a liquidation, a close by hand.  An absence without a cause leads
  to VANISHED, which asks the venue's fills and position history; a failed question
  is asked again, and an answer that shows the position returns to OPEN.  What the
  histories do not show in time is UNEXPLAINED: the operator is told, and the question
  stays, at a slower pace.

* **There is exactly one closer.**  Every reason to close is a request to this
  machine; it has one closing order at a time, and verifies by reading before it
  tries again.

* **A part may be taken.**  REDUCING is the same closer with a smaller order: one at a
  time, verified by reading.  A close that is wanted meanwhile makes CLOSING of it, and
  goes on from wherever the part has come.

* **What is not ours is watched.**  WATCHED counts in every limit and is never
  touched.  A part of it that turns out to be ours makes it OPEN, for our part.
"""

from __future__ import annotations

from anchorwatch.machine.kernel import (
    Data,
    Definition,
    Effect,
    Event,
    Reason,
    Row,
    Snapshot,
    State,
    Step,
    ignored,
    impossible,
)


class S(State):
    FLAT = "flat"
    ENTERING = "entering"
    OPEN = "open"
    REDUCING = "reducing"
    CLOSING = "closing"
    VANISHED = "vanished"
    UNEXPLAINED = "unexplained"
    WATCHED = "watched"


class Leg(Data, frozen=True):
    """Nothing that the state does not say."""


class EntryStarted(Event, frozen=True):
    pass


class EntryEnded(Event, frozen=True):
    """The entry order's fate is settled; what had filled was seen before."""


class PositionSeen(Event, frozen=True):
    """There is a position of ours: by fill, by push or by reading."""


class PositionGrown(Event, frozen=True):
    """It is larger than was known."""


class ForeignSeen(Event, frozen=True):
    """There is a position that is not ours to touch."""


class AbsenceSeen(Event, frozen=True):
    """A complete, successful report does not show the position, and no cause is known."""


class PositionMissed(Event, frozen=True):
    """An earlier life held a position that the first reading does not show."""


class EndConfirmed(Event, frozen=True):
    """It is flat, and why is known: own close, stop, liquidation, by hand."""

    cause: Reason = ""


class ConfirmationFailed(Event, frozen=True):
    """The venue could not say why: it did not answer, or its histories do not show it yet."""


class ConfirmationOverdue(Event, frozen=True):
    """The venue could not say why, once more, and it has been asked for long."""


class ConfirmationDue(Event, frozen=True):
    pass


class CloseWanted(Event, frozen=True):
    reason: Reason = ""


class ReduceWanted(Event, frozen=True):
    """A part is to be closed; how much is in the book."""

    reason: Reason = ""


class CloseEnded(Event, frozen=True):
    """The closing order's fate is settled."""


class ReadEnded(Event, frozen=True):
    """The reading after a closing order ended shows the position still there, or failed."""


class StartProtection(Effect, frozen=True):
    """For the bot: this leg needs a stop."""


class ExtendProtection(Effect, frozen=True):
    """For the bot: the stop must cover more than before."""


class StartClose(Effect, frozen=True):
    """For the bot: make a closing order."""

    reason: Reason = ""


class StartReduce(Effect, frozen=True):
    """For the bot: make a closing order for the part that is in the book."""

    reason: Reason = ""


class CancelEntry(Effect, frozen=True):
    """For the bot: the entry order is not wanted any more."""


class ReadPosition(Effect, frozen=True):
    """Read this leg from the venue, and report what is seen, or `ReadEnded`."""


class ConfirmAbsence(Effect, frozen=True):
    """Ask fills and position history why the leg is flat."""


class StartConfirmationTimer(Effect, frozen=True):
    pass


class TellUnexplained(Effect, frozen=True):
    """Tell the operator of a position that is gone, and of which the venue does not say why."""


class EndLeg(Effect, frozen=True):
    """The leg is over: book its result, sweep its stops, free its place in the limits."""

    cause: Reason


class WatchLeg(Effect, frozen=True):
    """Register a position that is not ours, count it in every limit, and tell the operator."""


def protect(leg: Leg, event: Event) -> Step[Leg]:
    return leg, (StartProtection(),)


def extend(leg: Leg, event: Event) -> Step[Leg]:
    return leg, (ExtendProtection(),)


def reduce(leg: Leg, event: ReduceWanted) -> Step[Leg]:
    return leg, (StartReduce(event.reason),)


def close_again(leg: Leg, event: ReadEnded) -> Step[Leg]:
    return leg, (StartClose(),)


def cancel_entry(leg: Leg, event: Event) -> Step[Leg]:
    return leg, (CancelEntry(),)


def cancel_entry_and_close(leg: Leg, event: CloseWanted) -> Step[Leg]:
    return leg, (CancelEntry(), StartClose(event.reason))


def read(leg: Leg, event: Event) -> Step[Leg]:
    return leg, (ReadPosition(),)


def ask_for_cause(leg: Leg, event: Event) -> Step[Leg]:
    return leg, (ConfirmAbsence(),)


def ask_later(leg: Leg, event: Event) -> Step[Leg]:
    return leg, (StartConfirmationTimer(),)


def give_alarm(leg: Leg, event: Event) -> Step[Leg]:
    return leg, (TellUnexplained(), StartConfirmationTimer())


def end(leg: Leg, event: EndConfirmed) -> Step[Leg]:
    return leg, (CancelEntry(), EndLeg(event.cause))


def watch(leg: Leg, event: Event) -> Step[Leg]:
    return leg, (WatchLeg(),)


HELD = (S.OPEN, S.REDUCING, S.CLOSING)
"""There is a position of ours, as far as is known."""
GONE = (S.VANISHED, S.UNEXPLAINED)
"""It is not there any more, and nobody has said why."""
OURS = (*HELD, *GONE)

# fmt: off
TABLE = (
    #   source        event                destination    action
    Row(S.FLAT,       EntryStarted,        S.ENTERING),
    Row(S.ENTERING,   EntryEnded,          S.FLAT),
    Row(S.FLAT,       PositionSeen,        S.OPEN,        then=protect),
    Row(S.ENTERING,   PositionSeen,        S.OPEN,        then=protect),
    *(Row(s,          PositionGrown,       s,             then=extend)  for s in HELD),
    Row(S.ENTERING,   CloseWanted,         S.ENTERING,    then=cancel_entry),
    Row(S.OPEN,       CloseWanted,         S.CLOSING,     then=cancel_entry_and_close),
    Row(S.OPEN,       ReduceWanted,        S.REDUCING,    then=reduce),
    Row(S.REDUCING,   CloseEnded,          S.REDUCING,    then=read),
    Row(S.REDUCING,   ReadEnded,           S.OPEN,        then=protect),
    Row(S.REDUCING,   CloseWanted,         S.CLOSING,     then=cancel_entry_and_close),
    # One closing order at a time; reading tells whether it was enough.
    Row(S.CLOSING,    CloseEnded,          S.CLOSING,     then=read),
    Row(S.CLOSING,    ReadEnded,           S.CLOSING,     then=close_again),
    # Absence is a question; a cause is the answer.
    *(Row(s,          AbsenceSeen,         S.VANISHED,    then=ask_for_cause)  for s in HELD),
    Row(S.FLAT,       PositionMissed,      S.VANISHED,    then=ask_for_cause),
    *(Row(s,          ConfirmationFailed,  s,             then=ask_later)  for s in GONE),
    Row(S.VANISHED,   ConfirmationOverdue, S.UNEXPLAINED, then=give_alarm),
    Row(S.UNEXPLAINED, ConfirmationOverdue, S.UNEXPLAINED, then=ask_later),
    *(Row(s,          ConfirmationDue,     s,             then=ask_for_cause)  for s in GONE),
    *(Row(s,          PositionSeen,        S.OPEN,        then=protect)  for s in GONE),
    *(Row(s,          PositionGrown,       S.OPEN,        then=protect)  for s in GONE),
    *(Row(s,          EndConfirmed,        S.FLAT,        then=end)  for s in OURS),
    # Not ours.
    Row(S.FLAT,       ForeignSeen,         S.WATCHED,     then=watch),
    Row(S.ENTERING,   ForeignSeen,         S.WATCHED,     then=cancel_entry),
    Row(S.WATCHED,    PositionSeen,        S.OPEN,        then=protect,  because="an order of ours filled on it: that part is ours"),
    Row(S.WATCHED,    AbsenceSeen,         S.FLAT),
    Row(S.WATCHED,    EndConfirmed,        S.FLAT,        because="its owner closed it; nothing of it is booked as ours"),
    # What may happen and does not matter.
    *ignored(HELD,                         (PositionSeen,), "known already"),
    *ignored((S.FLAT, S.ENTERING),         (AbsenceSeen,), "nothing is expected to be there"),
    *ignored((S.FLAT, S.ENTERING),         (EndConfirmed,), "the end was booked before"),
    *ignored(GONE,                         (AbsenceSeen,), "its cause is being asked for"),
    *ignored((S.WATCHED,),                 (ForeignSeen, PositionGrown), "watched, and no more"),
    *ignored(OURS,                         (ForeignSeen,), "ownership does not change while the leg is open"),
    *ignored((S.FLAT, S.WATCHED),          (CloseWanted,), "there is nothing of ours to close"),
    *ignored((S.CLOSING,),                 (CloseWanted, ReduceWanted), "it is being closed"),
    *ignored(GONE,                         (CloseWanted, ReduceWanted), "it is gone, and its cause is being asked for"),
    *ignored((S.FLAT, S.ENTERING, S.WATCHED), (ReduceWanted,), "there is nothing of ours to take a part of"),
    *ignored((S.REDUCING,),                (ReduceWanted,), "one part at a time; what is still wanted is asked for again"),
    *ignored((*OURS, S.FLAT, S.WATCHED),   (EntryEnded,), "what it filled was seen before"),
    *ignored((S.FLAT, S.ENTERING, S.OPEN, *GONE, S.WATCHED), (CloseEnded, ReadEnded), "the leg has moved on; the report was still under way"),
    *ignored((S.FLAT, S.ENTERING, *HELD, S.WATCHED), (ConfirmationFailed, ConfirmationOverdue, ConfirmationDue), "the question is answered"),
    # What cannot happen.
    *impossible(tuple(s for s in S if s is not S.FLAT), (PositionMissed,), "memory is recalled once, before anything else"),
    *impossible((S.ENTERING, *OURS, S.WATCHED), (EntryStarted,), "an entry starts from flat only"),
    *impossible((S.FLAT, S.ENTERING), (PositionGrown,), "the first contract is seen, not grown"),
)
# fmt: on

POSITION = Definition("position", Snapshot(S.FLAT, Leg()), TABLE)
