"""Whether the book is known to agree with the venue, and the reading that finds out.

Theory of operation
===================

One reading at a time covers positions, orders and stops.  A *doubt* (the start, a
relogin, a held push that overflowed) makes the book unknown until a complete
reading has been compared with it; entries wait for that.  A *check* by timer reads
the same without freezing anything.

A failed reading is a failure, never an empty answer: the book stays what it was,
unknown or settled, and the reading is tried again.  A doubt that comes while a
reading is under way is not answered by that reading, which may have begun before
it: it is read again (STALE).  The *last look* before the stop has no time for that:
it is a reading of its own, at once, and whatever was under way is not waited for.
Every reading that begins in a stop has short deadlines.
"""

from __future__ import annotations

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


class S(State):
    UNKNOWN = "unknown"
    READING = "reading"
    STALE = "stale"
    SETTLED = "settled"
    CHECKING = "checking"


class Reading(Data, frozen=True):
    seq: Identity = 0  # the reading or wait under way


class BookDoubted(Event, frozen=True):
    reason: Reason = ""


class LastLookWanted(Event, frozen=True):
    """The bot stops: one more reading, now. One that is under way may hang."""


class CheckDue(Event, frozen=True):
    pass


class OfReading(Event, frozen=True):
    seq: Identity


class AccountCompared(OfReading, frozen=True):
    """A complete reading arrived and the book has been compared with it."""


class ReadingFailed(OfReading, frozen=True):
    reason: Reason = ""


class ReadingDue(OfReading, frozen=True):
    pass


class ReadAccount(Effect, frozen=True):
    """Read positions, orders and every list of stops, completely; report once."""

    seq: Identity
    is_last: bool = False  # the bot is stopping, and waits for it


class StartReadingTimer(Effect, frozen=True):
    seq: Identity


def is_stale(reading: Reading, event: OfReading) -> bool:
    assert event.seq <= reading.seq, "a reading from the future"
    return event.seq < reading.seq


def read(reading: Reading, event: Event) -> Step[Reading]:
    reading = Reading(reading.seq + 1)
    return reading, (ReadAccount(reading.seq),)


def read_later(reading: Reading, event: Event) -> Step[Reading]:
    reading = Reading(reading.seq + 1)
    return reading, (StartReadingTimer(reading.seq),)


OF_READING = (AccountCompared, ReadingFailed, ReadingDue)

# fmt: off
TABLE = (
    *ignored(S, OF_READING, "it speaks of an earlier reading", when=is_stale),
    #     source         event             destination   action
    *(Row(s,             BookDoubted,      S.READING,    then=read)        for s in (S.UNKNOWN, S.SETTLED)),
    *(Row(s,             BookDoubted,      S.STALE)                        for s in (S.READING, S.CHECKING)),
    *(Row(s,             LastLookWanted,   S.READING,    then=read)        for s in S),
    Row(  S.READING,     AccountCompared,  S.SETTLED),
    Row(  S.STALE,       AccountCompared,  S.READING,    then=read),
    *(Row(s,             ReadingFailed,    S.UNKNOWN,    then=read_later)  for s in (S.READING, S.STALE)),
    Row(  S.UNKNOWN,     ReadingDue,       S.READING,    then=read),
    Row(  S.SETTLED,     CheckDue,         S.CHECKING,   then=read),
    *(Row(S.CHECKING,    e,                S.SETTLED)                      for e in (AccountCompared, ReadingFailed)),
    *ignored((S.STALE,), (BookDoubted,), "it is read again anyway"),
    *ignored((S.UNKNOWN, S.READING, S.STALE, S.CHECKING), (CheckDue,), "a reading is under way or due"),
    *impossible((S.UNKNOWN, S.SETTLED), (AccountCompared, ReadingFailed), "no reading is under way"),
    *impossible((S.READING, S.STALE, S.CHECKING, S.SETTLED), (ReadingDue,), "no wait is under way"),
)
# fmt: on

RECONCILIATION = Definition("reconciliation", Snapshot(S.UNKNOWN, Reading()), TABLE)
