"""The start, the stop, reconciliation and permission, in the mission's words."""

from __future__ import annotations

from typing import Any

from anchorwatch.diagrams.check.contracts.driving import Contract, L, R, leads, step
from anchorwatch.machine import (
    lifecycle,
    permission,
    reconciliation,
)
from anchorwatch.machine.bot import Part
from anchorwatch.machine.kernel import Event, Snapshot

# R1, R10: the start and the stop.

LIFE = lifecycle.Life(lifecycle.Limits(), epoch=7, entered=7)


def stages_follow_the_card() -> bool:
    """INIT → CLIENT → MODULES → WS → SAFETY → RESET → CANDLES → POSITIONS → SYNC → READY."""
    snapshot, effects = step(
        Part.LIFECYCLE, Snapshot(L.INIT, lifecycle.Life(lifecycle.Limits())), lifecycle.StartRequested()
    )
    order_: list[str] = []
    while snapshot.state is not L.READY and len(order_) < 20:
        order_.append(snapshot.state.name)
        asked = [one for one in effects if isinstance(one, lifecycle.RunStage)]
        if [one.stage for one in asked] != [snapshot.state]:
            return False
        snapshot, effects = step(Part.LIFECYCLE, snapshot, lifecycle.StageDone(snapshot.data.epoch))
    return order_ == ["INIT", "CLIENT", "MODULES", "WS", "SAFETY", "RESET", "CANDLES", "POSITIONS", "SYNC"]


def early_stages_end_the_start() -> bool:
    early = (L.INIT, L.CLIENT, L.MODULES)
    for stage in early:
        for event in (lifecycle.StageRefused(7), lifecycle.DeadlinePassed(7)):
            after, _ = step(Part.LIFECYCLE, Snapshot(stage, LIFE), event)
            if after.state is not L.STOPPING or after.data.exit is lifecycle.Exit.CLEAN:
                return False
    return True


def a_failed_stage_is_tried_again() -> bool:
    for stage in (L.INIT, L.CLIENT, L.MODULES, L.SAFETY, L.RESET, L.CANDLES, L.POSITIONS, L.SYNC):
        waiting, asked = step(Part.LIFECYCLE, Snapshot(stage, LIFE), lifecycle.StageFailed(7))
        if waiting.state is not stage or not any(isinstance(one, lifecycle.RetryStage) for one in asked):
            return False
        again, asked = step(Part.LIFECYCLE, waiting, lifecycle.RetryDue(waiting.data.epoch))
        if again.state is not stage or not any(isinstance(one, lifecycle.RunStage) for one in asked):
            return False
    return True


def late_stages_never_walk_away() -> bool:
    late = (L.SAFETY, L.RESET, L.CANDLES, L.POSITIONS, L.SYNC)
    for stage in late:
        refused, asked = step(Part.LIFECYCLE, Snapshot(stage, LIFE), lifecycle.StageRefused(7))
        warned, told = step(Part.LIFECYCLE, Snapshot(stage, LIFE), lifecycle.DeadlinePassed(7))
        if refused.state is not stage or not any(isinstance(one, lifecycle.RetryStage) for one in asked):
            return False
        if warned.state is not stage or told != (lifecycle.WarnOfDelay(stage),):
            return False
    return True


def a_stop_may_be_asked_for_at_any_time() -> bool:
    running = (*lifecycle.STAGES, L.READY)
    if not leads(
        Part.LIFECYCLE, running, LIFE, lifecycle.StopRequested("x"), L.STOPPING, lifecycle.RunStopStep
    ):
        return False
    return all(
        step(Part.LIFECYCLE, Snapshot(stage, LIFE), lifecycle.StopRequested("x"))[0].data.step
        is lifecycle.StopStep.TRADING_CONTROL
        for stage in running
    )


def the_stop_goes_through_its_steps() -> bool:
    """Control centre, guards, monitor, public, private, REST; one step's failure never skips the next."""
    for outcome in lifecycle.Outcome:
        snapshot = Snapshot(L.READY, LIFE)
        snapshot, effects = step(Part.LIFECYCLE, snapshot, lifecycle.StopRequested("x"))
        steps: list[lifecycle.StopStep] = []
        while snapshot.state is L.STOPPING and len(steps) < 10:
            steps += [one.step for one in effects if isinstance(one, lifecycle.RunStopStep)]
            was = snapshot.data.step
            ended = lifecycle.StopStepEnded(snapshot.data.epoch, outcome)
            snapshot, effects = step(Part.LIFECYCLE, snapshot, ended)
            if lifecycle.RecordStopStep(was, outcome) not in effects:
                return False
        if tuple(steps) != tuple(lifecycle.StopStep) or snapshot.state is not L.STOPPED:
            return False
        if not any(isinstance(one, lifecycle.EndProcess) for one in effects):
            return False
    stopping = Snapshot(L.STOPPING, LIFE)
    if step(Part.LIFECYCLE, stopping, lifecycle.DeadlinePassed(6)) != (stopping, ()):
        return False  # the deadline of a stage that has ended is none of the stop's
    late, effects = step(Part.LIFECYCLE, stopping, lifecycle.DeadlinePassed(7))
    first, second = tuple(lifecycle.StopStep)[:2]
    if lifecycle.RecordStopStep(first, lifecycle.Outcome.DEADLINE_PASSED) not in effects:
        return False
    return late.state is L.STOPPING and late.data.step is second


# R3: reconciliation.

READING = reconciliation.Reading(7)


def every_doubt_is_read() -> bool:
    asked = leads(
        Part.RECONCILIATION,
        (R.UNKNOWN, R.SETTLED),
        READING,
        reconciliation.BookDoubted("x"),
        R.READING,
        reconciliation.ReadAccount,
    )
    later = leads(
        Part.RECONCILIATION, (R.READING, R.CHECKING), READING, reconciliation.BookDoubted("x"), R.STALE
    )
    again = leads(
        Part.RECONCILIATION,
        R.STALE,
        READING,
        reconciliation.AccountCompared(7),
        R.READING,
        reconciliation.ReadAccount,
    )
    return asked and later and again


def a_failed_reading_is_no_answer() -> bool:
    failed = leads(
        Part.RECONCILIATION,
        (R.READING, R.STALE),
        READING,
        reconciliation.ReadingFailed(7),
        R.UNKNOWN,
        reconciliation.StartReadingTimer,
    )
    due = leads(
        Part.RECONCILIATION,
        R.UNKNOWN,
        READING,
        reconciliation.ReadingDue(7),
        R.READING,
        reconciliation.ReadAccount,
    )
    return failed and due


def the_timer_checks_without_freezing() -> bool:
    checked = leads(
        Part.RECONCILIATION,
        R.SETTLED,
        READING,
        reconciliation.CheckDue(),
        R.CHECKING,
        reconciliation.ReadAccount,
    )
    done = all(
        leads(Part.RECONCILIATION, R.CHECKING, READING, event, R.SETTLED)
        for event in (reconciliation.AccountCompared(7), reconciliation.ReadingFailed(7))
    )
    return (
        checked
        and done
        and leads(Part.RECONCILIATION, R.READING, READING, reconciliation.AccountCompared(7), R.SETTLED)
    )


def the_last_look_is_taken_at_once() -> bool:
    """Whatever reading is under way may hang: the stop asks for one more, now, and the older one is of the past."""
    for state in R:
        looking, asked = step(Part.RECONCILIATION, Snapshot(state, READING), reconciliation.LastLookWanted())
        if looking.state is not R.READING or not any(
            isinstance(one, reconciliation.ReadAccount) for one in asked
        ):
            return False
        if step(Part.RECONCILIATION, looking, reconciliation.AccountCompared(7)) != (looking, ()):
            return False
    return True


# Permission: the operator's and the limits' say.


def a_pause_and_a_halt_stay_until_they_are_lifted() -> bool:
    def walk(*events: Event) -> list[str]:
        snapshot: Snapshot[Any] = permission.PERMISSION.initial
        names = []
        for event in events:
            snapshot, asked = step(Part.PERMISSION, snapshot, event)
            names.append(snapshot.state.name + ("!" if asked else ""))
        return names

    pause, resume = permission.PauseRequested("x"), permission.ResumeRequested()
    halt, clear = permission.HaltRequested("x"), permission.HaltCleared()
    return (
        walk(pause, resume, halt, resume, clear) == ["PAUSED!", "OPEN!", "HALTED!", "HALTED", "OPEN!"]
        and walk(pause, halt, clear, resume) == ["PAUSED!", "HALTED!", "PAUSED!", "OPEN!"]
        and walk(halt, pause, clear) == ["HALTED!", "HALTED!", "PAUSED!"]
        and walk(halt, pause, resume, clear) == ["HALTED!", "HALTED!", "HALTED!", "OPEN!"]
        and walk(pause, halt, pause, clear) == ["PAUSED!", "HALTED!", "HALTED", "PAUSED!"]
        and walk(resume, clear, pause, pause, clear) == ["OPEN", "OPEN", "PAUSED!", "PAUSED", "PAUSED"]
    )


CONTRACTS: tuple[Contract, ...] = (
    Contract("R10.1", "the last look is taken at once", the_last_look_is_taken_at_once),
    Contract("R1", "the start goes through its stages, strictly in this order", stages_follow_the_card),
    Contract(
        "R1.1",
        "a missing or misconfigured module ends the start with an error that names it",
        early_stages_end_the_start,
    ),
    Contract(
        "R1.2",
        "each stage ends in done, failed or deadline passed; a failed one is tried again",
        a_failed_stage_is_tried_again,
    ),
    Contract(
        "R1.7",
        "from the sockets on the bot never walks away from an open position",
        late_stages_never_walk_away,
    ),
    Contract("R10", "a stop may be asked for at any time", a_stop_may_be_asked_for_at_any_time),
    Contract(
        "R10.1",
        "one step's failure never skips the next; every step is recorded",
        the_stop_goes_through_its_steps,
    ),
    Contract("R1.9", "a forced reconciliation; every doubt is read", every_doubt_is_read),
    Contract("R3.2", "one empty or failed reply is no answer", a_failed_reading_is_no_answer),
    Contract("R3", "reconciliation on a timer", the_timer_checks_without_freezing),
    Contract(
        "S17",
        "pause and halt hold until they are lifted, each by its own word",
        a_pause_and_a_halt_stay_until_they_are_lifted,
    ),
)
