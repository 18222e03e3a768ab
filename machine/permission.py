"""Whether entries are wanted at all: the operator's and the limits' say, which survives a restart.

Theory of operation
===================

An entry needs more than permission (see ``readiness`` and ``bot.may_enter``), but
without it nothing else matters.  Two hands move this machine: the operator, who
pauses and resumes, and the loss limits, which halt.

* A **pause** is lifted by the operator only.  A stream that is lost and comes back
  does not lift it, and neither does a restart.
* A **halt** outranks a pause: resuming a halted bot does nothing until the halt is
  cleared by name, because whoever resumes may not know of it.  A pause that was in
  force when the halt came is in force again after it.
* Every change is recorded before anything that depends on it, so a crash between
  the two finds the stricter state: RESTORED is the first event of every life.
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


class S(State):
    OPEN = "open"
    PAUSED = "paused"
    HALTED = "halted"


class Grant(Data, frozen=True):
    paused_below: bool = False  # HALTED: the operator's pause is still in force underneath
    reason: Reason = ""


class PauseRequested(Event, frozen=True):
    reason: Reason = ""


class ResumeRequested(Event, frozen=True):
    pass


class HaltRequested(Event, frozen=True):
    """A limit was reached: loss, drawdown, a storm of emergency closes."""

    reason: Reason = ""


class HaltCleared(Event, frozen=True):
    """The operator has looked at the halt and lifts it."""


class SavePermission(Effect, frozen=True):
    """Make this state durable before anything that depends on it."""

    state: S
    paused_below: bool
    reason: Reason


def _saved(state: S, paused_below: bool, reason: str) -> Step[Grant]:
    return Grant(paused_below, reason), (SavePermission(state, paused_below, reason),)


def was_paused(grant: Grant, event: Event) -> bool:
    return grant.paused_below


def is_not_paused(grant: Grant, event: Event) -> bool:
    return not grant.paused_below


def pause(grant: Grant, event: PauseRequested) -> Step[Grant]:
    return _saved(S.PAUSED, False, event.reason)


def resume(grant: Grant, event: ResumeRequested) -> Step[Grant]:
    return _saved(S.OPEN, False, "")


def halt(grant: Grant, event: HaltRequested) -> Step[Grant]:
    return _saved(S.HALTED, False, event.reason)


def halt_over_pause(grant: Grant, event: HaltRequested) -> Step[Grant]:
    return _saved(S.HALTED, True, event.reason)


def pause_below(grant: Grant, event: PauseRequested) -> Step[Grant]:
    return _saved(S.HALTED, True, grant.reason)


def resume_below(grant: Grant, event: ResumeRequested) -> Step[Grant]:
    return _saved(S.HALTED, False, grant.reason)


def back_to_pause(grant: Grant, event: HaltCleared) -> Step[Grant]:
    return _saved(S.PAUSED, False, grant.reason)


def reopen(grant: Grant, event: HaltCleared) -> Step[Grant]:
    return _saved(S.OPEN, False, "")


# fmt: off
TABLE = (
    #   source      event             destination   guard               action
    Row(S.OPEN,     PauseRequested,   S.PAUSED,                         then=pause),
    Row(S.OPEN,     HaltRequested,    S.HALTED,                         then=halt),
    Row(S.PAUSED,   ResumeRequested,  S.OPEN,                           then=resume),
    Row(S.PAUSED,   HaltRequested,    S.HALTED,                         then=halt_over_pause),
    Row(S.HALTED,   HaltCleared,      S.PAUSED,     when=was_paused,    then=back_to_pause),
    Row(S.HALTED,   HaltCleared,      S.OPEN,                           then=reopen),
    Row(S.HALTED,   PauseRequested,   S.HALTED,     when=is_not_paused, then=pause_below),
    Row(S.HALTED,   ResumeRequested,  S.HALTED,     when=was_paused,    then=resume_below),
    *ignored((S.HALTED,),          (ResumeRequested,), "a halt is cleared by name: whoever resumes may not know of it"),
    *ignored((S.OPEN,),            (ResumeRequested, HaltCleared), "nothing is in force"),
    *ignored((S.PAUSED, S.HALTED), (PauseRequested,),  "paused already"),
    *ignored((S.PAUSED,),          (HaltCleared,),     "no halt is in force, and a pause is the operator's"),
    *ignored((S.HALTED,),          (HaltRequested,),   "halted already; the first reason stands"),
)
# fmt: on

PERMISSION = Definition("permission", Snapshot(S.OPEN, Grant()), TABLE)


def restored(state: S, paused_below: bool, reason: str) -> Snapshot[Grant]:
    """The permission that an earlier life left, as the journal holds it."""
    return Snapshot(state, Grant(paused_below, reason))
