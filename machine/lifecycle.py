"""The life of the bot: eleven stages in the user's order, and STOPPED so that the end can be seen.

Theory of operation
===================

Each stage asks for one thing when it is entered and is left on one of: done,
failed, refused, deadline passed, stop requested.  What a stage *does* is the
shell's; that it is done is an event.

* **INIT, CLIENT, MODULES** come before any socket.  A failure is retried until the
  stage's deadline has passed and then ends the start; a refusal (a wrong key, a
  missing module: nothing that time will mend) ends it at once.  The exit code says
  which stage.
* **From WS on the bot never walks away from an open position.**  A socket that
  fails is retried by its own machine, so WS gives way at its deadline and the start
  goes on with entries shut.  A later stage that fails is tried again, with a wait;
  its deadline only raises an alarm.
* **READY** is entered only from SYNC, and only when the reconciliation is done *and*
  every module is ready (R1.10).  Nothing else leads to it: no timer, no operator.
* **STOPPING** runs the seven steps R10.1 to R10.7 in their order.  A step that fails
  or does not end in time is recorded as such, and the next one runs all the same.

Every request carries an epoch; an answer to an earlier request is stale.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from operator import attrgetter

import msgspec

from anchorwatch.machine.kernel import (
    Action,
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
    INIT = "INIT"
    CLIENT = "CLIENT"
    MODULES = "MODULES"
    WS = "WS"
    SAFETY = "SAFETY"
    RESET = "RESET"
    CANDLES = "CANDLES"
    POSITIONS = "POSITIONS"
    SYNC = "SYNC"
    READY = "READY"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"


STAGES = (S.INIT, S.CLIENT, S.MODULES, S.WS, S.SAFETY, S.RESET, S.CANDLES, S.POSITIONS, S.SYNC)
"""The stages that ask for something and lead to READY, in the user's order (R1.1 to R1.9)."""


class StopStep(Enum):
    """The stop sequence, in order (R10.1 to R10.7). The value is its name in the records."""

    TRADING_CONTROL = "trading_control"
    SAFETY = "safety"
    POSITION_MONITOR = "position_monitor"
    PUBLIC_WS = "public_ws"
    PRIVATE_WS = "private_ws"
    REST_CLIENT = "rest_client"
    NOTHING_LEFT = "nothing_left"

    __hash__ = object.__hash__


STOP_STEPS = tuple(StopStep)


class Outcome(Enum):
    """How a stage or a step of the stop ended."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    DEADLINE_PASSED = "deadline_passed"
    STOPPED = "stopped"

    __hash__ = object.__hash__


class Exit(Enum):
    """Why the process ends. The value is its exit code."""

    CLEAN = 0
    BUG = 1  # an exception out of a step: ours
    BAD_SETTINGS = 2  # refused before the start
    INIT_FAILED = 10
    CLIENT_FAILED = 11
    MODULES_FAILED = 12
    STOP_INCOMPLETE = 20  # the stop went through, but a step failed or something was left open
    STOPPED_AT_ONCE = 130  # a second signal: the stop sequence was cut short

    __hash__ = object.__hash__


EXIT_OF = {S.INIT: Exit.INIT_FAILED, S.CLIENT: Exit.CLIENT_FAILED, S.MODULES: Exit.MODULES_FAILED}


class Limits(msgspec.Struct, frozen=True):
    """Deadlines in seconds. They bound waits; none of them opens a gate."""

    # Long enough for a venue's brief maintenance, short enough for a person who watches the start.
    init_s: int = 10
    client_s: int = 60
    modules_s: int = 10
    ws_s: int = 30
    safety_s: int = 30
    reset_s: int = 10
    candles_s: int = 120
    positions_s: int = 30
    sync_s: int = 60
    retry_wait_s: int = 3  # between two tries of one stage: well within the venue's limits
    # The whole stop fits eight seconds: a service that is asked to stop is killed after ten by most supervisors.
    stop_step_s: tuple[float, ...] = (3.0, 0.5, 0.5, 1.0, 1.5, 0.5, 1.0)

    def stage_s(self, stage: S) -> int:
        seconds: int = SECONDS_OF[stage](self)
        return seconds


SECONDS_OF: dict[S, Callable[[Limits], int]] = {
    S.INIT: attrgetter("init_s"),
    S.CLIENT: attrgetter("client_s"),
    S.MODULES: attrgetter("modules_s"),
    S.WS: attrgetter("ws_s"),
    S.SAFETY: attrgetter("safety_s"),
    S.RESET: attrgetter("reset_s"),
    S.CANDLES: attrgetter("candles_s"),
    S.POSITIONS: attrgetter("positions_s"),
    S.SYNC: attrgetter("sync_s"),
}


class Life(Data, frozen=True):
    limits: Limits
    epoch: Identity = 0  # the request under way
    entered: Identity = 0  # the first request of this stage or step: its deadline outlives retries
    step: StopStep = StopStep.TRADING_CONTROL  # STOPPING: the step under way
    exit: Exit = Exit.CLEAN


class StartRequested(Event, frozen=True):
    pass


class StopRequested(Event, frozen=True):
    reason: Reason = ""


class OfRequest(Event, frozen=True):
    epoch: Identity


class StageDone(OfRequest, frozen=True):
    pass


class StageFailed(OfRequest, frozen=True):
    """The world did not answer as hoped; another try may succeed."""

    reason: Reason = ""


class StageRefused(OfRequest, frozen=True):
    """Time will not mend it: a wrong key, a missing permission, a setting that the venue rules out."""

    reason: Reason = ""


class DeadlinePassed(Event, frozen=True):
    """The time of a stage, or of a step of the stop, is over; ``epoch`` is its first request."""

    epoch: Identity


class RetryDue(OfRequest, frozen=True):
    pass


class StopStepEnded(OfRequest, frozen=True):
    outcome: Outcome
    reason: Reason = ""


class RunStage(Effect, frozen=True):
    """Do what this stage asks for, and report the end once.

    On the first try (``epoch`` is ``entered``) the stage's deadline starts.
    """

    stage: S
    epoch: Identity
    entered: Identity
    within_s: int


class RetryStage(Effect, frozen=True):
    """Report `RetryDue` after ``seconds``; the stage's deadline goes on."""

    stage: S
    epoch: Identity
    seconds: int


class EndStage(Effect, frozen=True):
    """The stage is over: record it, and give up what it still runs."""

    stage: S
    outcome: Outcome


class WarnOfDelay(Effect, frozen=True):
    """A stage that may not end the start is past its deadline: an alarm, and no more."""

    stage: S


class RunStopStep(Effect, frozen=True):
    step: StopStep
    epoch: Identity
    within_s: float


class RecordStopStep(Effect, frozen=True):
    step: StopStep
    outcome: Outcome


class EndProcess(Effect, frozen=True):
    exit: Exit


def is_stale(life: Life, event: OfRequest) -> bool:
    assert event.epoch <= life.epoch, "an epoch from the future"
    return event.epoch < life.epoch


def is_of_an_earlier_stage(life: Life, event: DeadlinePassed) -> bool:
    return event.epoch < life.entered


def is_unborn(life: Life, event: Event) -> bool:
    return life.epoch == 0


def has_next_step(life: Life, event: Event) -> bool:
    return life.step is not STOP_STEPS[-1]


NEXT_STAGE = dict(zip(STAGES, (*STAGES[1:], S.READY), strict=True))


def after(stage: S) -> S:
    """The stage that follows ``stage``."""
    return NEXT_STAGE[stage]


def _enter(life: Life, stage: S) -> tuple[Life, Effect]:
    epoch = life.epoch + 1
    within_s = life.limits.stage_s(stage)
    return Life(life.limits, epoch, epoch, life.step, life.exit), RunStage(stage, epoch, epoch, within_s)


def start(life: Life, event: Event) -> Step[Life]:
    life, effect = _enter(life, S.INIT)
    return life, (effect,)


# Actions that know their stage: made once for each row, with what never changes already in them.


def enter(left: S, outcome: Outcome) -> Action:
    """Close ``left`` with ``outcome`` and ask for what the next stage needs."""
    entered, ended = after(left), EndStage(left, outcome)

    def enter(life: Life, event: Event) -> Step[Life]:
        life, effect = _enter(life, entered)
        return life, (ended, effect)

    def enter_ready(life: Life, event: Event) -> Step[Life]:
        epoch = life.epoch + 1
        return Life(life.limits, epoch, epoch, life.step, life.exit), (ended,)

    return enter_ready if entered is S.READY else enter


def again(stage: S) -> Action:
    """The same stage, asked for anew."""

    def again(life: Life, event: Event) -> Step[Life]:
        life = msgspec.structs.replace(life, epoch=life.epoch + 1)
        within_s = life.limits.stage_s(stage)
        return life, (RunStage(stage, life.epoch, life.entered, within_s),)

    return again


def wait_to_retry(stage: S) -> Action:
    def wait_to_retry(life: Life, event: Event) -> Step[Life]:
        life = msgspec.structs.replace(life, epoch=life.epoch + 1)
        return life, (RetryStage(stage, life.epoch, life.limits.retry_wait_s),)

    return wait_to_retry


def warn(stage: S) -> Action:
    late = WarnOfDelay(stage)

    def warn(life: Life, event: Event) -> Step[Life]:
        return life, (late,)

    return warn


def stop(left: S, outcome: Outcome) -> Action:
    """Leave ``left`` for the first step of the stop."""
    failed = outcome in (Outcome.REFUSED, Outcome.DEADLINE_PASSED)
    exit_ = EXIT_OF[left] if failed else Exit.CLEAN
    ended = () if left is S.READY else (EndStage(left, outcome),)
    first = STOP_STEPS[0]

    def stop(life: Life, event: Event) -> Step[Life]:
        epoch = life.epoch + 1
        run = RunStopStep(first, epoch, life.limits.stop_step_s[0])
        return Life(life.limits, epoch, epoch, first, exit_), (*ended, run)

    return stop


def _worse(life: Life, outcome: Outcome) -> Exit:
    if outcome is Outcome.DONE or life.exit is not Exit.CLEAN:
        return life.exit
    return Exit.STOP_INCOMPLETE


def next_step(life: Life, event: Event) -> Step[Life]:
    outcome = event.outcome if isinstance(event, StopStepEnded) else Outcome.DEADLINE_PASSED
    index = STOP_STEPS.index(life.step) + 1
    recorded = RecordStopStep(life.step, outcome)
    epoch = life.epoch + 1
    life = msgspec.structs.replace(
        life, epoch=epoch, entered=epoch, step=STOP_STEPS[index], exit=_worse(life, outcome)
    )
    return life, (recorded, RunStopStep(life.step, life.epoch, life.limits.stop_step_s[index]))


def last_step(life: Life, event: Event) -> Step[Life]:
    outcome = event.outcome if isinstance(event, StopStepEnded) else Outcome.DEADLINE_PASSED
    recorded = RecordStopStep(life.step, outcome)
    epoch = life.epoch + 1
    life = msgspec.structs.replace(life, epoch=epoch, entered=epoch, exit=_worse(life, outcome))
    return life, (recorded, EndProcess(life.exit))


EARLY = (S.INIT, S.CLIENT, S.MODULES)
LATE = (S.SAFETY, S.RESET, S.CANDLES, S.POSITIONS, S.SYNC)
ANSWERS = (StageDone, StageFailed, StageRefused, RetryDue, StopStepEnded)

# fmt: off
TABLE = (
    *ignored(S, ANSWERS, "an answer to an earlier request", when=is_stale),
    *ignored(S, (DeadlinePassed,), "the stage or step that it belongs to has ended", when=is_of_an_earlier_stage),
    #     source        event           destination    action
    Row(  S.INIT,       StartRequested, S.INIT,        when=is_unborn,     then=start),
    *(Row(s,            StageDone,      after(s),      then=enter(s, Outcome.DONE))                for s in STAGES),
    # Before any socket: try until the deadline, then end the start.
    *(Row(s,            StageFailed,    s,             then=wait_to_retry(s))                        for s in EARLY),
    *(Row(s,            StageRefused,   S.STOPPING,    then=stop(s, Outcome.REFUSED))              for s in EARLY),
    *(Row(s,            DeadlinePassed, S.STOPPING,    then=stop(s, Outcome.DEADLINE_PASSED))      for s in EARLY),
    # Sockets are retried by their own machines: the start goes on, with entries shut.
    *(Row(S.WS,         e,              S.SAFETY,      then=enter(S.WS, Outcome.FAILED))           for e in (StageFailed, StageRefused)),
    Row(  S.WS,         DeadlinePassed, S.SAFETY,      then=enter(S.WS, Outcome.DEADLINE_PASSED)),
    # From here on there may be a position: never walk away.
    *(Row(s,            e,              s,             then=wait_to_retry(s))                        for s in LATE for e in (StageFailed, StageRefused)),
    *(Row(s,            DeadlinePassed, s,             then=warn(s))                               for s in LATE),
    *(Row(s,            RetryDue,       s,             then=again(s))                              for s in (*EARLY, *LATE)),
    # The end.
    *(Row(s,            StopRequested,  S.STOPPING,    then=stop(s, Outcome.STOPPED))              for s in (*STAGES, S.READY)),
    *(Row(S.STOPPING,   e,              S.STOPPING,    when=has_next_step, then=next_step)         for e in (StopStepEnded, DeadlinePassed)),
    *(Row(S.STOPPING,   e,              S.STOPPED,     then=last_step)                             for e in (StopStepEnded, DeadlinePassed)),
    # What may happen and does not matter.
    *ignored((S.STOPPING, S.STOPPED), (StopRequested,), "stopping already; a second signal is the shell's"),
    # What cannot happen.
    *impossible(S, (StartRequested,), "the bot starts once"),
    *impossible((S.WS,), (RetryDue,), "WS is never retried: its sockets are"),
    *impossible((*STAGES, S.READY), (StopStepEnded,), "no stop is under way"),
    *impossible((S.READY, S.STOPPED), (StageDone, StageFailed, StageRefused, DeadlinePassed, RetryDue), "nothing is asked for"),
    *impossible((S.STOPPED,), (StopStepEnded,), "the last step has ended"),
    *impossible((S.STOPPING,), (StageDone, StageFailed, StageRefused, RetryDue), "a stage's requests ended with it"),
)
# fmt: on

LIFECYCLE = Definition("lifecycle", Snapshot(S.INIT, Life(Limits())), TABLE)


def unborn(limits: Limits) -> Snapshot[Life]:
    """The bot before its start was requested."""
    return Snapshot(S.INIT, Life(limits))
