"""The dead man's switch: a countdown at the venue that cancels resting entries when nobody renews it.

Theory of operation
===================

An entry that rests while its bot is dead fills when nobody protects it.  OKX offers a
countdown (cancel-all-after) that cancels the pending orders of one tag when it is not
renewed in time.  It is armed while an entry rests or is about to, renewed by a
timer, and disarmed when none does: before the stop ends, above all.

* **A renewal that fails shuts entries that rest** until one works, because the
  countdown may run out under them.  Market entries do not need it.

* **What an earlier life left is not known.**  After one that did not stop in order the
  switch begins UNKNOWN: its countdown may still run, and would outlive a stop.  Whatever
  is wanted first, an end that the venue acknowledges comes before DISARMED.

* **One request at a time.**  What is wanted meanwhile is remembered, and
  the answer decides what is sent next.

* **It must never take a protective stop** (S16).  No page of the venue says whether
  the countdown touches algo orders, so every firing is looked at: when a
  stop of ours went with it, the switch is OFF for good, durably, and a person is told.

Requests and timers carry a sequence; what speaks of an earlier one is stale.
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


class S(State):
    UNKNOWN = "unknown"
    DISARMED = "disarmed"
    ARMING = "arming"
    ARMED = "armed"
    RENEWING = "renewing"
    FAILING = "failing"
    RETRYING = "retrying"
    DISARMING = "disarming"
    OFF = "off"


class Switch(Data, frozen=True):
    seq: Identity = 0  # of the newest request or timer
    is_wanted: bool = False


class SwitchWanted(Event, frozen=True):
    """An entry rests, or is about to."""


class SwitchUnwanted(Event, frozen=True):
    """No entry rests any more, or none does of those that an earlier life left."""


class OfSwitch(Event, frozen=True):
    seq: Identity


class RenewalDue(OfSwitch, frozen=True):
    pass


class RenewalTaken(OfSwitch, frozen=True):
    """The countdown runs anew."""


class RenewalFailed(OfSwitch, frozen=True):
    """Refused, or without an answer: whether the countdown was renewed is unknown."""

    reason: Reason = ""


class DisarmTaken(OfSwitch, frozen=True):
    """No countdown runs."""


class DisarmFailed(OfSwitch, frozen=True):
    reason: Reason = ""


class StopsTaken(Event, frozen=True):
    """The countdown has run out, and a protective stop of ours went with the entries."""

    reason: Reason = ""


class Renew(Effect, frozen=True):
    seq: Identity


class Disarm(Effect, frozen=True):
    seq: Identity


class StartRenewalTimer(Effect, frozen=True):
    """The next renewal, well before the countdown runs out."""

    seq: Identity


class StartRetryTimer(Effect, frozen=True):
    """The next try after one that failed."""

    seq: Identity


class TellFailing(Effect, frozen=True):
    reason: Reason


class GiveUp(Effect, frozen=True):
    """Remember for every later life that the switch is off, disarm it once more, and tell a person."""

    reason: Reason


def is_stale(switch: Switch, event: OfSwitch) -> bool:
    assert event.seq <= switch.seq, "a sequence from the future"
    return event.seq < switch.seq


def is_wanted(switch: Switch, event: Event) -> bool:
    return switch.is_wanted


def _next(switch: Switch, **changes: bool) -> Switch:
    return msgspec.structs.replace(switch, seq=switch.seq + 1, **changes)


def arm(switch: Switch, event: Event) -> Step[Switch]:
    switch = _next(switch, is_wanted=True)
    return switch, (Renew(switch.seq),)


def renew(switch: Switch, event: Event) -> Step[Switch]:
    switch = _next(switch)
    return switch, (Renew(switch.seq),)


def disarm(switch: Switch, event: Event) -> Step[Switch]:
    switch = _next(switch, is_wanted=False)
    return switch, (Disarm(switch.seq),)


def renew_later(switch: Switch, event: Event) -> Step[Switch]:
    switch = _next(switch)
    return switch, (StartRenewalTimer(switch.seq),)


def retry_later(switch: Switch, event: Event) -> Step[Switch]:
    switch = _next(switch)
    return switch, (StartRetryTimer(switch.seq),)


def fail(switch: Switch, event: RenewalFailed | DisarmFailed) -> Step[Switch]:
    switch = _next(switch)
    return switch, (TellFailing(event.reason), StartRetryTimer(switch.seq))


def want(switch: Switch, event: Event) -> Step[Switch]:
    return msgspec.structs.replace(switch, is_wanted=True), ()


def forget(switch: Switch, event: Event) -> Step[Switch]:
    return msgspec.structs.replace(switch, is_wanted=False), ()


def give_up(switch: Switch, event: StopsTaken) -> Step[Switch]:
    return _next(switch, is_wanted=False), (GiveUp(event.reason),)


ASKING = (S.ARMING, S.RENEWING, S.RETRYING)
"""States in which the answer to a renewal is awaited."""
GUARDS = (S.ARMED, S.RENEWING, S.OFF)
"""States in which an entry may be sent that rests: the countdown runs, or is not to be had at all."""
SHUT = (S.FAILING, S.RETRYING)
"""States in which no entry may rest."""
QUIET = (S.DISARMED, S.OFF)
"""States in which no countdown runs, as far as is known."""
ON = tuple(s for s in S if s is not S.OFF)
USED = tuple(s for s in S if s is not S.UNKNOWN)
"""States that follow a request of this life: in the first one nothing of it can be an earlier one."""
OF_SWITCH = (RenewalDue, RenewalTaken, RenewalFailed, DisarmTaken, DisarmFailed)

# fmt: off
ROWS = (
    #     source         event           destination    guard            action
    Row(  S.DISARMED,    SwitchWanted,   S.ARMING,                       then=arm),
    Row(  S.UNKNOWN,     SwitchWanted,   S.ARMING,                       then=arm),
    Row(  S.UNKNOWN,     SwitchUnwanted, S.DISARMING,                    then=disarm,       because="an earlier life may have armed it"),
    *(Row(s,             RenewalTaken,   S.ARMED,       when=is_wanted,  then=renew_later)  for s in ASKING),
    *(Row(s,             RenewalTaken,   S.DISARMING,                    then=disarm)       for s in ASKING),
    *(Row(s,             RenewalFailed,  S.FAILING,     when=is_wanted,  then=fail)         for s in (S.ARMING, S.RENEWING)),
    Row(  S.RETRYING,    RenewalFailed,  S.FAILING,     when=is_wanted,  then=retry_later),
    *(Row(s,             RenewalFailed,  S.DISARMING,                    then=disarm,       because="it may have been renewed all the same") for s in ASKING),
    Row(  S.ARMED,       RenewalDue,     S.RENEWING,                     then=renew),
    Row(  S.FAILING,     RenewalDue,     S.RETRYING,    when=is_wanted,  then=renew),
    Row(  S.FAILING,     RenewalDue,     S.DISARMING,                    then=disarm),
    Row(  S.ARMED,       SwitchUnwanted, S.DISARMING,                    then=disarm),
    Row(  S.DISARMING,   DisarmTaken,    S.ARMING,      when=is_wanted,  then=renew),
    Row(  S.DISARMING,   DisarmTaken,    S.DISARMED),
    Row(  S.DISARMING,   DisarmFailed,   S.FAILING,                      then=fail),
    # What is wanted while a request is under way is remembered.
    *(Row(s,             SwitchWanted,   s,                              then=want)         for s in (*ASKING, S.FAILING, S.DISARMING)),
    *(Row(s,             SwitchUnwanted, s,                              then=forget)       for s in (*ASKING, S.FAILING, S.DISARMING)),
    *(Row(s,             StopsTaken,     S.OFF,                          then=give_up)      for s in ON),
    # What may happen and does not matter.
    *ignored((S.ARMED,),       (SwitchWanted,),   "armed already"),
    *ignored((S.DISARMED,),    (SwitchUnwanted,), "no countdown runs"),
    *ignored((S.OFF,),         (SwitchWanted, SwitchUnwanted, StopsTaken, *OF_SWITCH), "it is given up"),
    # What cannot happen: the newest sequence is that of the one request or timer there is.
    *impossible((S.UNKNOWN, S.DISARMED), OF_SWITCH, "nothing is asked and nothing waits"),
    *impossible((*ASKING, S.DISARMING), (RenewalDue,), "no timer runs while an answer is awaited"),
    *impossible((S.ARMED, S.FAILING), (RenewalTaken, RenewalFailed, DisarmTaken, DisarmFailed), "nothing is asked"),
    *impossible(ASKING, (DisarmTaken, DisarmFailed), "a renewal was asked for"),
    *impossible((S.DISARMING,), (RenewalTaken, RenewalFailed), "the end of the countdown was asked for"),
)
TABLE = (*ignored_before(ROWS, USED, OF_SWITCH, "it speaks of an earlier request or timer", when=is_stale), *ROWS)
# fmt: on

DEAD_MAN = Definition("dead_man", Snapshot(S.UNKNOWN, Switch()), TABLE)
DISARMED = Snapshot(S.DISARMED, Switch())
"""After a life that stopped in order, or none: no countdown of ours runs."""
OFF = Snapshot(S.OFF, Switch())
"""Not to be used: by the settings, or because an earlier life gave it up."""
