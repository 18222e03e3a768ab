"""The stop of one leg: whether the exchange itself would close the position without us.

Theory of operation
===================

* **A stop counts only when it is seen live**, by its own id.  An acknowledgement
  leads to PENDING; a push or a reading leads to COVERED.

* **Naked has a deadline.**  It starts with the first contract and ends only with
  cover or flat.  What the venue answers to a refused stop decides what is done: a
  price that the market has already passed closes the position at once; a stop that
  exists already is adopted by reading; anything else is tried again until the
  deadline, which asks for a close.

* **A stop is moved in place**, and only ever tightened: while MOVING the old level
  still covers.  A move whose answer is lost is read back before the next one.

* **Triggered is not filled.**  The venue makes a market order of the stop, and that
  may stop at the price limit.  If the position is not flat soon after, the closer
  is asked (ESCALATING).

* **After flat every stop of ours is swept**: a resting stop without its position
  could open one.
"""

from __future__ import annotations

from enum import Enum

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
)


class S(State):
    NONE = "none"
    ARMING = "arming"
    PENDING = "pending"
    DOUBTFUL = "doubtful"
    NAKED = "naked"
    COVERED = "covered"
    MOVING = "moving"
    TRIGGERED = "triggered"
    ESCALATING = "escalating"


class Refusal(Enum):
    """What the venue's refusal of a stop asks for."""

    BEYOND = "the market has passed the trigger"
    EXISTS = "such a stop exists already"
    NO_POSITION = "there is no position to protect"
    RETRY = "anything that another try may mend"

    __hash__ = object.__hash__


class Stop(Data, frozen=True):
    seq: Identity = 0  # names the stop that is meant


class CoverWanted(Event, frozen=True):
    """The leg has contracts; ``seq`` names the stop to make, its level is in the book."""

    seq: Identity


class CoverAdopted(Event, frozen=True):
    """A live stop of the right leg and enough size was found by reading; ``seq`` names it from now on."""

    seq: Identity


class OfStop(Event, frozen=True):
    seq: Identity


class StopAccepted(OfStop, frozen=True):
    pass


class StopRefused(OfStop, frozen=True):
    refusal: Refusal
    reason: Reason = ""


class StopAnswerLost(OfStop, frozen=True):
    reason: Reason = ""


class StopSeenLive(OfStop, frozen=True):
    """Live, by its own id, and large enough."""


class StopGone(OfStop, frozen=True):
    """A complete reading does not show it, or the venue reports it cancelled or failed."""

    reason: Reason = ""


class StopTriggered(OfStop, frozen=True):
    pass


class StopReadFailed(OfStop, frozen=True):
    pass


class RetryDue(OfStop, frozen=True):
    pass


class NakedTooLong(Event, frozen=True):
    """The deadline that started with the first uncovered contract has passed."""


class MoveWanted(Event, frozen=True):
    """The book holds a level that is a real improvement."""


class MoveAccepted(OfStop, frozen=True):
    pass


class MoveRefused(OfStop, frozen=True):
    reason: Reason = ""


class FillOverdue(OfStop, frozen=True):
    """Triggered, and the position is still there."""


class LegEnded(Event, frozen=True):
    """The position is flat."""


class PlaceStop(Effect, frozen=True):
    seq: Identity


class ReadStop(Effect, frozen=True):
    """Ask the venue for this stop by its id, and report what is seen."""

    seq: Identity


class StartRetry(Effect, frozen=True):
    seq: Identity


class StartNakedClock(Effect, frozen=True):
    """Start the deadline of nakedness, if it does not run already."""


class StopNakedClock(Effect, frozen=True):
    pass


class MoveStop(Effect, frozen=True):
    seq: Identity


class StartFillClock(Effect, frozen=True):
    seq: Identity


class SweepOthers(Effect, frozen=True):
    """Cancel every stop of ours on this leg except ``seq``."""

    seq: Identity


class SweepAll(Effect, frozen=True):
    """The leg is flat: cancel every stop of ours on it."""


class AskForClose(Effect, frozen=True):
    """For the bot: the closer is to close this leg at once."""

    reason: Reason


def is_stale(stop: Stop, event: OfStop) -> bool:
    assert event.seq <= stop.seq, "a sequence from the future"
    return event.seq < stop.seq


def is_beyond(stop: Stop, event: StopRefused) -> bool:
    return event.refusal is Refusal.BEYOND


def exists(stop: Stop, event: StopRefused) -> bool:
    return event.refusal is Refusal.EXISTS


def arm(stop: Stop, event: CoverWanted) -> Step[Stop]:
    assert event.seq > stop.seq, "a sequence is never used twice"
    return Stop(event.seq), (StartNakedClock(), PlaceStop(event.seq))


def adopt(stop: Stop, event: CoverAdopted) -> Step[Stop]:
    return Stop(event.seq), (StopNakedClock(), SweepOthers(event.seq))


def place_again(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (PlaceStop(stop.seq),)


def read(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (ReadStop(stop.seq),)


def cover(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StopNakedClock(), SweepOthers(stop.seq))


def retry_later(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StartNakedClock(), StartRetry(stop.seq))


def move(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (MoveStop(stop.seq),)


def await_fill(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StopNakedClock(), StartFillClock(stop.seq))


def ask_for_close(stop: Stop, event: Event) -> Step[Stop]:
    reason = {
        StopRefused: "the market has passed the stop's level",
        NakedTooLong: "no stop could be placed in time",
        FillOverdue: "the stop triggered and did not fill",
    }[type(event)]
    # What has triggered does not rest any more: from here on the position counts as uncovered.
    counted = (StartNakedClock(),) if isinstance(event, FillOverdue) else ()
    return stop, (*counted, AskForClose(reason))


def sweep(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StopNakedClock(), SweepAll())


UNCOVERED = (S.ARMING, S.PENDING, S.DOUBTFUL, S.NAKED)
COVERING = (S.COVERED, S.MOVING)
OF_STOP = (
    StopAccepted, StopRefused, StopAnswerLost, StopSeenLive, StopGone, StopTriggered, StopReadFailed, RetryDue,
    MoveAccepted, MoveRefused, FillOverdue,
)  # fmt: skip
PLACING = (StopAccepted, StopRefused)
LATE = "its answer was still under way"

# fmt: off
TABLE = (
    *ignored(S, OF_STOP, "it speaks of an earlier stop", when=is_stale),
    #     source         event           destination     guard             action
    Row(  S.NONE,        CoverWanted,    S.ARMING,                         then=arm),
    *(Row(s,             CoverAdopted,   S.COVERED,                        then=adopt)  for s in (S.NONE, *UNCOVERED)),
    Row(  S.ARMING,      StopAccepted,   S.PENDING,                        then=read),
    Row(  S.ARMING,      StopAnswerLost, S.DOUBTFUL,                       then=read),
    Row(  S.ARMING,      StopRefused,    S.ESCALATING,   when=is_beyond,   then=ask_for_close),
    Row(  S.ARMING,      StopRefused,    S.DOUBTFUL,     when=exists,      then=read),
    Row(  S.ARMING,      StopRefused,    S.NAKED,                          then=retry_later),
    *(Row(s,             StopSeenLive,   S.COVERED,                        then=cover)  for s in UNCOVERED),
    # Unknown is not naked and not covered: read until something is said.
    *(Row(s,             StopReadFailed, S.DOUBTFUL,                       then=retry_later)  for s in (S.PENDING, S.DOUBTFUL)),
    Row(  S.DOUBTFUL,    RetryDue,       S.DOUBTFUL,                       then=read),
    *(Row(s,             StopGone,       S.NAKED,                          then=retry_later)  for s in (S.PENDING, S.DOUBTFUL, *COVERING)),
    Row(  S.NAKED,       RetryDue,       S.ARMING,                         then=place_again),
    *(Row(s,             NakedTooLong,   S.ESCALATING,                     then=ask_for_close)  for s in UNCOVERED),
    # Tighter, in place.
    Row(  S.COVERED,     MoveWanted,     S.MOVING,                         then=move),
    Row(  S.MOVING,      MoveAccepted,   S.COVERED),
    Row(  S.MOVING,      MoveRefused,    S.DOUBTFUL,                       then=read),
    Row(  S.MOVING,      StopAnswerLost, S.DOUBTFUL,                       then=read),
    # Triggered is not filled.
    *(Row(s,             StopTriggered,  S.TRIGGERED,                      then=await_fill)  for s in (*UNCOVERED, *COVERING)),
    Row(  S.TRIGGERED,   FillOverdue,    S.ESCALATING,                     then=ask_for_close),
    *(Row(s,             LegEnded,       S.NONE,                           then=sweep)  for s in S if s is not S.NONE),
    # What may happen and does not matter.
    *ignored((S.NONE,),                  (LegEnded, NakedTooLong, MoveWanted), "there is nothing to protect"),
    *ignored((S.NONE,),                  OF_STOP, "the leg is flat and its stops are swept"),
    *ignored((*UNCOVERED, *COVERING, S.TRIGGERED, S.ESCALATING), (CoverWanted,), "the stop covers the whole position, whatever its size"),
    *ignored((*COVERING, S.TRIGGERED, S.ESCALATING), (CoverAdopted,), "the stop is known already"),
    *ignored((*COVERING, S.TRIGGERED, S.ESCALATING), (NakedTooLong,), "covered, triggered or being closed before the clock ran out"),
    *ignored((*UNCOVERED, S.MOVING, S.TRIGGERED, S.ESCALATING), (MoveWanted,), "one request at a time; the book keeps the better level"),
    *ignored((*COVERING,),               (StopSeenLive,), "known already"),
    *ignored((*COVERING,),               (*PLACING, StopReadFailed, RetryDue), LATE),
    *ignored((S.COVERED,),               (StopAnswerLost, MoveAccepted, MoveRefused), LATE),
    *ignored((S.NAKED,),                 (*PLACING, StopAnswerLost, StopGone, StopReadFailed, MoveAccepted, MoveRefused), LATE),
    *ignored((S.ARMING,),                (StopGone, StopReadFailed, RetryDue, MoveAccepted, MoveRefused), "a new request for it is under way"),
    *ignored((S.PENDING, S.DOUBTFUL),    (*PLACING, StopAnswerLost, MoveAccepted, MoveRefused), "the reading decides"),
    *ignored((S.PENDING,),               (RetryDue,), "the reading is under way"),
    *ignored((S.TRIGGERED, S.ESCALATING), (*PLACING, StopAnswerLost, StopSeenLive, StopGone, StopReadFailed, RetryDue, MoveAccepted, MoveRefused, StopTriggered), "what closes the position is under way"),
    *ignored((*UNCOVERED, *COVERING, S.ESCALATING), (FillOverdue,), "the reading said otherwise, or the closer is at work"),
)
# fmt: on

PROTECTION = Definition("protection", Snapshot(S.NONE, Stop()), TABLE)

COVERS = (S.COVERED, S.MOVING)
"""States in which the exchange itself would close the position."""
