"""Whether the venue is open for entries: the maintenance of its trading, announced, near, and under way.

Theory of operation
===================

A venue announces its maintenance days before, and a position that is opened shortly before it is one that nothing can
close while it lasts: its stop rests, and nothing fills. So entries end some minutes *ahead*, when they can
still be taken back and what is open can still be closed; stops, moves and closes go on as far as the venue lets them.

What was announced is kept with its times and looked at with every tick of the clock: that it has begun is known without
a new word of the venue, whose answers are least to be had then. `stands` puts the times into one of three classes.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from anchorwatch.machine.kernel import Data, Definition, Effect, Event, Row, Snapshot, State, Step, ignored

AHEAD_MS = 300_000
"""Five minutes: the longest that a maker entry is usually left to rest, and time for its stop to be seen live."""

ANNOUNCED_MAX = 20
"""Announcements kept, the nearest first. OKX has a handful at a time."""


class Announced(msgspec.Struct, frozen=True):
    """One maintenance. ``end_ms`` 0: nobody has said when it is over. ``goes_on``: the venue says that it has begun."""

    title: str
    begin_ms: int
    end_ms: int
    goes_on: bool


class S(State):
    OPEN = "open"
    NEAR = "near"
    UNDER_WAY = "under_way"


class NoneNear(Event, frozen=True):
    """None goes on, and none begins within the time that entries end ahead."""


class IsNear(Event, frozen=True):
    pass


class HasBegun(Event, frozen=True):
    pass


class TellNear(Effect, frozen=True):
    pass


class TellBegun(Effect, frozen=True):
    pass


class TellOver(Effect, frozen=True):
    pass


class TellCalledOff(Effect, frozen=True):
    """It was near, and the venue has put it off, or done without it."""


class Nothing(Data, frozen=True):
    """The state alone says everything."""


def tell_near(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (TellNear(),)


def tell_begun(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (TellBegun(),)


def tell_over(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (TellOver(),)


def tell_called_off(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (TellCalledOff(),)


# fmt: off
TABLE = (
    #   source        event      destination   action
    Row(S.OPEN,       IsNear,    S.NEAR,       then=tell_near),
    Row(S.OPEN,       HasBegun,  S.UNDER_WAY,  then=tell_begun),
    Row(S.NEAR,       HasBegun,  S.UNDER_WAY,  then=tell_begun),
    Row(S.NEAR,       NoneNear,  S.OPEN,       then=tell_called_off),
    Row(S.UNDER_WAY,  NoneNear,  S.OPEN,       then=tell_over),
    Row(S.UNDER_WAY,  IsNear,    S.NEAR,       then=tell_near, because="one is over, and the next is near"),
    *ignored((S.OPEN,),       (NoneNear,), "as it was"),
    *ignored((S.NEAR,),       (IsNear,),   "told already"),
    *ignored((S.UNDER_WAY,),  (HasBegun,), "told already"),
)
# fmt: on

MAINTENANCE = Definition("maintenance", Snapshot(S.OPEN, Nothing()), TABLE)


def stands(announced: Iterable[Announced], now_ms: int) -> Event:
    """Where the venue stands among what it has announced. Its state may be told late, so its times count too."""
    every = tuple(announced)
    if any(one.goes_on or (one.begin_ms <= now_ms and _is_ahead(one.end_ms, now_ms)) for one in every):
        return HasBegun()
    is_near = any(now_ms < one.begin_ms <= now_ms + AHEAD_MS for one in every)
    return IsNear() if is_near else NoneNear()


def _is_ahead(end_ms: int, now_ms: int) -> bool:
    return not end_ms or now_ms < end_ms
