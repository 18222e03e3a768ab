"""How the candles of one instrument and timeframe are mended when some are missing or in doubt.

Theory of operation
===================

Pushes come late, twice, corrected or not at all. What is missing is read by REST; what
the venue has is merged, and what it does not have either is **a hole of the venue**:
after a few complete answers without the candles the hole is given up by name, and what
lies behind it must become long enough again before anything is decided on it.

* One request is under way at a time. What goes missing meanwhile is seen when the
  answer is merged, because then the candles are looked at as a whole.
* An answer that did not come says nothing about the candles: it is asked for again, and
  not counted. Only complete answers without them are.
* A stall, candles that time alone says must exist, is never given up: it is asked about
  until they come. Whether it is a stall or a hole is classified by the desk.

Whether entries may be made is not asked here: the facts are read off the candles.
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
)

ANSWERS_MAX = 3
"""Complete answers without the candles before they count as a hole of the venue: closed ones show within seconds."""


class S(State):
    SOUND = "sound"
    READING = "reading"
    WAITING = "waiting"


class Repair(Data, frozen=True):
    answers: int = 0  # complete ones that did not bring what is missing, at most `ANSWERS_MAX`


class CandlesMissed(Event, frozen=True):
    """Some are missing or in doubt, and should be read."""


class CandlesWhole(Event, frozen=True):
    """Nothing is missing any more, whoever brought it."""


class HoleStands(Event, frozen=True):
    """The answer was complete, and candles between two that are known are not in it."""


class StallStands(Event, frozen=True):
    """The answer was complete, and the newest candles are not in it."""


class ReadingMissed(Event, frozen=True):
    """No answer came."""

    reason: Reason = ""


class RepairDue(Event, frozen=True):
    """It is time to ask again."""


class ReadCandles(Effect, frozen=True):
    """Read what is missing by REST."""


class WaitForRepair(Effect, frozen=True):
    """Tell `RepairDue` after the pause between two requests."""


class GiveUpHole(Effect, frozen=True):
    """The venue does not have these candles: begin behind them."""


def may_ask_again(repair: Repair, event: Event) -> bool:
    return repair.answers + 1 < ANSWERS_MAX


def read(repair: Repair, event: Event) -> Step[Repair]:
    return repair, (ReadCandles(),)


def count_and_wait(repair: Repair, event: Event) -> Step[Repair]:
    return Repair(repair.answers + 1), (WaitForRepair(),)


def wait(repair: Repair, event: Event) -> Step[Repair]:
    return repair, (WaitForRepair(),)


def give_up(repair: Repair, event: Event) -> Step[Repair]:
    return Repair(), (GiveUpHole(),)


def mended(repair: Repair, event: Event) -> Step[Repair]:
    return Repair(), ()


# fmt: off
TABLE = (
    #   source      event          destination  guard                action
    Row(S.SOUND,    CandlesMissed, S.READING,                        then=read),
    Row(S.READING,  CandlesWhole,  S.SOUND,                          then=mended),
    Row(S.READING,  HoleStands,    S.WAITING,   when=may_ask_again,  then=count_and_wait),
    Row(S.READING,  HoleStands,    S.SOUND,                          then=give_up),
    Row(S.READING,  StallStands,   S.WAITING,                        then=wait),
    Row(S.READING,  ReadingMissed, S.WAITING,                        then=wait),
    Row(S.WAITING,  RepairDue,     S.READING,                        then=read),
    Row(S.WAITING,  CandlesWhole,  S.SOUND,                          then=mended),
    *ignored((S.SOUND,), (CandlesWhole,), "nothing was missing"),
    *ignored((S.READING, S.WAITING), (CandlesMissed,), "it is being mended: the answer is looked at as a whole"),
    *ignored((S.SOUND, S.READING), (RepairDue,), "what it was to ask for has come, or is asked for"),
    *ignored((S.SOUND, S.WAITING), (HoleStands, StallStands, ReadingMissed), "the answer of a request that pushes have overtaken"),
)
# fmt: on

CANDLE_REPAIR = Definition("candle_repair", Snapshot(S.SOUND, Repair()), TABLE)
