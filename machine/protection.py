"""The stop of one leg: whether the exchange itself would close the position without us.

Theory of operation
===================

* **A stop counts only when it is seen live**, by its own id.  An acknowledgement
  leads to PENDING; a push or a reading leads to COVERED.

* **Naked has a deadline.**  It starts with the first contract and ends only with
  cover or flat.  What the venue answers to a refused stop decides what is done: a
  price that the market has already passed closes the position at once; a stop that
  exists already is adopted by reading; a broken rule of the instrument has the rules
  read again, a position that the venue does not find has the account read; these and
  anything else are tried again until the deadline, which asks for a close.

* **A venue that takes no stops takes no close either** (settlement, a thin book,
  maintenance).  BARRED has no deadline but an alarm: it tries again, each try with a
  deadline of its own, and no entry is made meanwhile.

* **A stop is moved in place**, and only ever tightened: while MOVING the old level
  still covers.  A move whose answer is lost is read back before the next one.

* **Where others share the position, the stop has our size exactly**, and the desk says
  when it is too small.  It is grown in place (GROWING, under the deadline, because the
  new contracts have no cover yet), and where the venue refuses that, *bridged*: a second
  stop is made, and the first swept when the second is live.

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
    ignored_before,
)


class S(State):
    NONE = "none"
    ARMING = "arming"
    PENDING = "pending"
    DOUBTFUL = "doubtful"
    NAKED = "naked"
    BARRED = "barred"
    COVERED = "covered"
    MOVING = "moving"
    GROWING = "growing"
    TRIGGERED = "triggered"
    ESCALATING = "escalating"


class Refusal(Enum):
    """What the venue's refusal of a stop asks for."""

    BEYOND = "the market has passed the trigger"
    EXISTS = "such a stop exists already"
    NO_POSITION = "there is no position to protect"
    RULES = "it breaks a rule of the instrument that may have changed: tick, lot, price limit"
    BARRED = "the venue takes no stops for now: settlement, a thin book, maintenance"
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
    code: Reason = ""  # the venue's


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
    """The book holds a level that is a real improvement, or a size that is smaller."""


class CoverTooSmall(Event, frozen=True):
    """The stop is live, and smaller than the position; how much it is to cover is in the book."""


class BridgeWanted(Event, frozen=True):
    """The live stop cannot be given the size that is wanted; ``seq`` names a second one beside it."""

    seq: Identity


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


class HoldNakedClock(Effect, frozen=True):
    """The deadline does not run while the venue takes neither stops nor closes."""


class RenewNakedClock(Effect, frozen=True):
    """Start the deadline from now."""


class TellBarred(Effect, frozen=True):
    """Tell the operator of an uncovered position for which the venue takes no stop."""


class ReloadRules(Effect, frozen=True):
    """Read the rules of the instrument again."""


class DoubtPosition(Effect, frozen=True):
    """For the bot: the venue knows no position to protect, so the account is to be read."""


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


def has_no_position(stop: Stop, event: StopRefused) -> bool:
    return event.refusal is Refusal.NO_POSITION


def breaks_rules(stop: Stop, event: StopRefused) -> bool:
    return event.refusal is Refusal.RULES


def is_barred(stop: Stop, event: StopRefused) -> bool:
    return event.refusal is Refusal.BARRED


def arm(stop: Stop, event: CoverWanted | BridgeWanted) -> Step[Stop]:
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


def doubt_and_retry(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StartNakedClock(), DoubtPosition(), StartRetry(stop.seq))


def reload_and_retry(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StartNakedClock(), ReloadRules(), StartRetry(stop.seq))


def wait_at_the_bar(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (HoldNakedClock(), TellBarred(), StartRetry(stop.seq))


def knock_again(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (RenewNakedClock(), PlaceStop(stop.seq))


def grow(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StartNakedClock(), MoveStop(stop.seq))


def move(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (MoveStop(stop.seq),)


def await_fill(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StopNakedClock(), StartFillClock(stop.seq))


def ask_for_close(stop: Stop, event: Event) -> Step[Stop]:
    reason = {
        StopRefused: "the market has passed the stop's level",
        NakedTooLong: "no stop could be placed in time",
        FillOverdue: "the stop triggered and did not fill",
        CoverWanted: "it was taken for gone, is there after all, and nothing covers it",
    }[type(event)]
    # What has triggered does not rest any more: from here on the position counts as uncovered.
    counted = (StartNakedClock(),) if isinstance(event, FillOverdue) else ()
    return stop, (*counted, AskForClose(reason))


def sweep(stop: Stop, event: Event) -> Step[Stop]:
    return stop, (StopNakedClock(), SweepAll())


TIMED = (S.ARMING, S.PENDING, S.DOUBTFUL, S.NAKED, S.GROWING)
UNCOVERED = (*TIMED, S.BARRED)
COVERING = (S.COVERED, S.MOVING)
OF_STOP = (
    StopAccepted, StopRefused, StopAnswerLost, StopSeenLive, StopGone, StopTriggered, StopReadFailed, RetryDue,
    MoveAccepted, MoveRefused, FillOverdue,
)  # fmt: skip
PLACING = (StopAccepted, StopRefused)
LATE = "its answer was still under way"

# fmt: off
ROWS = (
    #     source         event           destination     guard             action
    Row(  S.NONE,        CoverWanted,    S.ARMING,                         then=arm),
    *(Row(s,             CoverAdopted,   S.COVERED,                        then=adopt)  for s in (S.NONE, *UNCOVERED)),
    Row(  S.ARMING,      StopAccepted,   S.PENDING,                        then=read),
    Row(  S.ARMING,      StopAnswerLost, S.DOUBTFUL,                       then=read),
    Row(  S.ARMING,      StopRefused,    S.ESCALATING,   when=is_beyond,   then=ask_for_close),
    Row(  S.ARMING,      StopRefused,    S.DOUBTFUL,     when=exists,      then=read),
    Row(  S.ARMING,      StopRefused,    S.BARRED,       when=is_barred,   then=wait_at_the_bar),
    Row(  S.ARMING,      StopRefused,    S.NAKED,        when=breaks_rules, then=reload_and_retry),
    Row(  S.ARMING,      StopRefused,    S.NAKED,        when=has_no_position, then=doubt_and_retry),
    Row(  S.ARMING,      StopRefused,    S.NAKED,                          then=retry_later),
    *(Row(s,             StopSeenLive,   S.COVERED,                        then=cover)  for s in UNCOVERED),
    # Unknown is not naked and not covered: read until something is said.
    *(Row(s,             StopReadFailed, S.DOUBTFUL,                       then=retry_later)  for s in (S.PENDING, S.DOUBTFUL, S.GROWING)),
    Row(  S.DOUBTFUL,    RetryDue,       S.DOUBTFUL,                       then=read),
    *(Row(s,             StopGone,       S.NAKED,                          then=retry_later)  for s in (S.PENDING, S.DOUBTFUL, S.GROWING, *COVERING)),
    Row(  S.NAKED,       RetryDue,       S.ARMING,                         then=place_again),
    Row(  S.BARRED,      RetryDue,       S.ARMING,                         then=knock_again),
    *(Row(s,             NakedTooLong,   S.ESCALATING,                     then=ask_for_close)  for s in TIMED),
    # Tighter, in place.
    Row(  S.COVERED,     MoveWanted,     S.MOVING,                         then=move),
    Row(  S.MOVING,      MoveAccepted,   S.COVERED),
    Row(  S.MOVING,      MoveRefused,    S.DOUBTFUL,                       then=read),
    Row(  S.MOVING,      StopAnswerLost, S.DOUBTFUL,                       then=read),
    # Of our size exactly, where others share the position.
    *(Row(s,             CoverTooSmall,  S.GROWING,                        then=grow)  for s in (S.COVERED, S.PENDING, S.DOUBTFUL)),
    Row(  S.GROWING,     MoveAccepted,   S.GROWING,                        then=read),
    *(Row(S.GROWING,     e,              S.DOUBTFUL,                       then=read)  for e in (MoveRefused, StopAnswerLost)),
    *(Row(s,             BridgeWanted,   S.ARMING,                         then=arm)  for s in (S.COVERED, S.PENDING, S.DOUBTFUL)),
    # Triggered is not filled.
    *(Row(s,             StopTriggered,  S.TRIGGERED,                      then=await_fill)  for s in (*UNCOVERED, *COVERING)),
    Row(  S.TRIGGERED,   FillOverdue,    S.ESCALATING,                     then=ask_for_close),
    # Whoever asks for cover again has found what was taken for gone, and then nobody closes it.
    Row(  S.ESCALATING,  CoverWanted,    S.ESCALATING,                     then=ask_for_close),
    *(Row(s,             LegEnded,       S.NONE,                           then=sweep)  for s in S if s is not S.NONE),
    # What may happen and does not matter.
    *ignored((S.NONE,),                  (LegEnded, NakedTooLong, MoveWanted, CoverTooSmall, BridgeWanted), "there is nothing to protect"),
    *ignored((S.NONE,),                  OF_STOP, "the leg is flat and its stops are swept"),
    *ignored((*UNCOVERED, *COVERING, S.TRIGGERED), (CoverWanted,), "there is a stop, or it is being made; one that is too small is told by name"),
    *ignored((*COVERING, S.TRIGGERED, S.ESCALATING), (CoverAdopted,), "the stop is known already"),
    *ignored((*COVERING, S.TRIGGERED, S.ESCALATING), (NakedTooLong,), "covered, triggered or being closed before the clock ran out"),
    *ignored((S.BARRED,),                (NakedTooLong,), "the venue would take no close either, and the operator is told"),
    *ignored((*UNCOVERED, S.MOVING, S.TRIGGERED, S.ESCALATING), (MoveWanted,), "one request at a time; the book keeps the better level"),
    *ignored((S.ARMING, S.NAKED, S.BARRED, S.GROWING, S.MOVING), (CoverTooSmall, BridgeWanted), "one request at a time; it is looked at again when that is answered"),
    *ignored((S.TRIGGERED, S.ESCALATING), (CoverTooSmall, BridgeWanted), "the position is being closed"),
    *ignored((*COVERING,),               (StopSeenLive,), "known already"),
    *ignored((*COVERING,),               (*PLACING, StopReadFailed, RetryDue), LATE),
    *ignored((S.COVERED,),               (StopAnswerLost, MoveAccepted, MoveRefused), LATE),
    *ignored((S.GROWING,),               (*PLACING, RetryDue), LATE),
    *ignored((S.NAKED, S.BARRED),        (*PLACING, StopAnswerLost, StopGone, StopReadFailed, MoveAccepted, MoveRefused), LATE),
    *ignored((S.ARMING,),                (StopGone, StopReadFailed, RetryDue, MoveAccepted, MoveRefused), "a new request for it is under way"),
    *ignored((S.PENDING, S.DOUBTFUL),    (*PLACING, StopAnswerLost, MoveAccepted, MoveRefused), "the reading decides"),
    *ignored((S.PENDING,),               (RetryDue,), "the reading is under way"),
    *ignored((S.TRIGGERED, S.ESCALATING), (*PLACING, StopAnswerLost, StopSeenLive, StopGone, StopReadFailed, RetryDue, MoveAccepted, MoveRefused, StopTriggered), "what closes the position is under way"),
    *ignored((*UNCOVERED, *COVERING, S.ESCALATING), (FillOverdue,), "the reading said otherwise, or the closer is at work"),
)
TABLE = (*ignored_before(ROWS, S, OF_STOP, "it speaks of an earlier stop", when=is_stale), *ROWS)
# fmt: on

PROTECTION = Definition("protection", Snapshot(S.NONE, Stop()), TABLE)

COVERS = (S.COVERED, S.MOVING)
"""States in which the exchange itself would close the position."""
