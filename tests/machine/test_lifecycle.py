"""Stories about the life of the bot: the user's order of the start, and the seven steps of the stop."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorwatch.machine import lifecycle as lf
from anchorwatch.machine.kernel import Effect, Event, Snapshot, UnexpectedEvent
from anchorwatch.machine.lifecycle import LIFECYCLE, Exit, Outcome, S, StopStep
from tests.machine.walks import Walk, walk

LIMITS = lf.Limits()
UNBORN = lf.unborn(LIMITS)

Life = Snapshot[lf.Life]

# Typed from the user's card, not read from the table.
CARD = [
    "INIT", "CLIENT", "MODULES", "WS", "SAFETY", "RESET", "CANDLES", "POSITIONS", "SYNC", "READY", "STOPPING",
]  # fmt: skip
STEPS = [
    "trading_control", "safety", "position_monitor", "public_ws", "private_ws", "rest_client", "nothing_left",
]  # fmt: skip
EARLY = {S.INIT: 10, S.CLIENT: 11, S.MODULES: 12}  # and the exit code that says which stage ended the start
LATE = (S.SAFETY, S.RESET, S.CANDLES, S.POSITIONS, S.SYNC)


def after(*events: Event, start: Life = UNBORN) -> tuple[Life, tuple[Effect, ...]]:
    """The snapshot after all events, and the effects of the last."""
    snapshot = start
    effects: tuple[Effect, ...] = ()
    for event in events:
        snapshot, effects = LIFECYCLE.step(snapshot, event)
    return snapshot, effects


def done(snapshot: Life) -> tuple[Life, tuple[Effect, ...]]:
    return after(lf.StageDone(snapshot.data.epoch), start=snapshot)


def at(stage: S) -> Life:
    """The bot in that stage, after every stage before it was done at once."""
    snapshot, _ = after(lf.StartRequested())
    while snapshot.state is not stage:
        snapshot, _ = done(snapshot)
    return snapshot


def stopping(stage: S = S.READY) -> Life:
    snapshot, _ = after(lf.StopRequested(), start=at(stage))
    return snapshot


def step_ended(snapshot: Life, outcome: Outcome = Outcome.DONE) -> tuple[Life, tuple[Effect, ...]]:
    return after(lf.StopStepEnded(snapshot.data.epoch, outcome), start=snapshot)


# The start.


def test_r1_the_stages_are_the_cards_in_its_order() -> None:
    snapshot, effects = after(lf.StartRequested())
    seen, asked = [snapshot.state.name], [effects[-1]]
    while snapshot.state is not S.READY:
        snapshot, effects = done(snapshot)
        seen.append(snapshot.state.name)
        asked += [effect for effect in effects if isinstance(effect, lf.RunStage)]
    snapshot, _ = after(lf.StopRequested(), start=snapshot)
    assert [*seen, snapshot.state.name] == CARD
    assert [effect.stage.name for effect in asked if isinstance(effect, lf.RunStage)] == CARD[:9]


def test_a_stage_that_is_done_is_closed_before_the_next_is_asked_for() -> None:
    snapshot, effects = done(at(S.WS))
    epoch = snapshot.data.epoch
    assert effects == (lf.EndStage(S.WS, Outcome.DONE), lf.RunStage(S.SAFETY, epoch, epoch, within_s=30))


def test_ready_asks_for_nothing_more() -> None:
    assert done(at(S.SYNC))[1] == (lf.EndStage(S.SYNC, Outcome.DONE),)


@pytest.mark.parametrize("stage", [*EARLY, *LATE], ids=lambda stage: stage.name)
def test_a_stage_that_failed_waits_and_is_asked_for_again_within_its_first_deadline(stage: S) -> None:
    entered = at(stage)
    waiting, effects = after(lf.StageFailed(entered.data.epoch, "no answer"), start=entered)
    assert effects == (lf.RetryStage(stage, waiting.data.epoch, seconds=3),)
    again, effects = after(lf.RetryDue(waiting.data.epoch), start=waiting)
    assert again.state is stage
    assert effects == (
        lf.RunStage(stage, again.data.epoch, entered.data.entered, within_s=LIMITS.stage_s(stage)),
    )


@pytest.mark.parametrize(("stage", "code"), EARLY.items(), ids=lambda value: getattr(value, "name", ""))
def test_an_early_stage_whose_deadline_passes_ends_the_start_with_its_own_exit_code(
    stage: S, code: int
) -> None:
    snapshot = at(stage)
    snapshot, _ = after(lf.StageFailed(snapshot.data.epoch), start=snapshot)
    snapshot, effects = after(lf.DeadlinePassed(snapshot.data.entered), start=snapshot)
    assert snapshot.state is S.STOPPING
    assert effects[0] == lf.EndStage(stage, Outcome.DEADLINE_PASSED)
    assert end_of(snapshot).value == code


@pytest.mark.parametrize(("stage", "code"), EARLY.items(), ids=lambda value: getattr(value, "name", ""))
def test_an_early_stage_that_is_refused_ends_the_start_without_another_try(stage: S, code: int) -> None:
    snapshot = at(stage)
    snapshot, effects = after(lf.StageRefused(snapshot.data.epoch, "wrong key"), start=snapshot)
    assert effects[0] == lf.EndStage(stage, Outcome.REFUSED)
    assert end_of(snapshot).value == code


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (lf.StageFailed, Outcome.FAILED),
        (lf.StageRefused, Outcome.FAILED),
        (lf.DeadlinePassed, Outcome.DEADLINE_PASSED),
    ],
)
def test_the_start_goes_on_without_sockets(event: type[lf.OfRequest], outcome: Outcome) -> None:
    snapshot = at(S.WS)
    snapshot, effects = after(event(snapshot.data.epoch), start=snapshot)
    assert snapshot.state is S.SAFETY
    assert effects[0] == lf.EndStage(S.WS, outcome)


@pytest.mark.parametrize("stage", LATE, ids=lambda stage: stage.name)
def test_a_late_stage_never_ends_the_start(stage: S) -> None:
    snapshot = at(stage)
    for event in (lf.StageFailed, lf.RetryDue, lf.StageRefused, lf.RetryDue):
        snapshot, _ = after(event(snapshot.data.epoch), start=snapshot)
        assert snapshot.state is stage
    overdue, effects = after(lf.DeadlinePassed(snapshot.data.entered), start=snapshot)
    assert (overdue, effects) == (snapshot, (lf.WarnOfDelay(stage),))
    assert done(overdue)[0].state is not stage


def test_a_deadline_of_an_earlier_stage_changes_nothing() -> None:
    earlier = at(S.CLIENT)
    snapshot = at(S.MODULES)
    assert after(lf.DeadlinePassed(earlier.data.entered), start=snapshot) == (snapshot, ())


def test_an_answer_to_an_earlier_try_changes_nothing() -> None:
    first = at(S.CLIENT)
    snapshot, _ = after(lf.StageFailed(first.data.epoch), start=first)
    assert after(lf.StageDone(first.data.epoch), start=snapshot) == (snapshot, ())


def test_the_bot_starts_once() -> None:
    with pytest.raises(UnexpectedEvent, match="StartRequested in CLIENT: the bot starts once"):
        after(lf.StartRequested(), start=at(S.CLIENT))


def test_a_second_start_while_the_first_stage_runs_is_as_much_a_defect() -> None:
    with pytest.raises(UnexpectedEvent, match="StartRequested in INIT"):
        after(lf.StartRequested(), lf.StartRequested())


# The stop.


def end_of(snapshot: Life) -> Exit:
    """The exit of a stop whose remaining steps all go well."""
    effects: tuple[Effect, ...] = ()
    while snapshot.state is not S.STOPPED:
        snapshot, effects = step_ended(snapshot)
    ends = [effect.exit for effect in effects if isinstance(effect, lf.EndProcess)]
    assert len(ends) == 1
    return ends[0]


@pytest.mark.parametrize("stage", [*lf.STAGES, S.READY], ids=lambda stage: stage.name)
def test_a_stop_is_obeyed_at_once_in_every_stage(stage: S) -> None:
    snapshot, effects = after(lf.StopRequested("Ctrl-C"), start=at(stage))
    closed = () if stage is S.READY else (lf.EndStage(stage, Outcome.STOPPED),)
    first = lf.RunStopStep(StopStep.TRADING_CONTROL, snapshot.data.epoch, within_s=3.0)
    assert (snapshot.state, effects) == (S.STOPPING, (*closed, first))
    assert end_of(snapshot) is Exit.CLEAN


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.FAILED, Outcome.DEADLINE_PASSED], ids=str)
def test_r10_the_seven_steps_run_in_order_whatever_becomes_of_them(outcome: Outcome) -> None:
    snapshot, effects = after(lf.StopRequested(), start=at(S.READY))
    ran, recorded = [effects[-1]], []
    while snapshot.state is not S.STOPPED:
        if outcome is Outcome.DEADLINE_PASSED:
            snapshot, effects = after(lf.DeadlinePassed(snapshot.data.entered), start=snapshot)
        else:
            snapshot, effects = step_ended(snapshot, outcome)
        recorded.append(effects[0])
        ran.append(effects[-1])
    assert [effect.step.value for effect in ran[:-1] if isinstance(effect, lf.RunStopStep)] == STEPS
    assert recorded == [lf.RecordStopStep(step, outcome) for step in StopStep]
    assert ran[-1] == lf.EndProcess(Exit.CLEAN if outcome is Outcome.DONE else Exit.STOP_INCOMPLETE)


@pytest.mark.parametrize("failing", list(StopStep), ids=lambda step: step.value)
def test_r10_one_failed_step_is_told_by_the_exit_code(failing: StopStep) -> None:
    snapshot = stopping()
    effects: tuple[Effect, ...] = ()
    while snapshot.state is not S.STOPPED:
        failed = snapshot.data.step is failing
        snapshot, effects = step_ended(snapshot, Outcome.FAILED if failed else Outcome.DONE)
    assert effects[-1] == lf.EndProcess(Exit.STOP_INCOMPLETE)


def test_the_reason_of_the_stop_outranks_a_step_that_failed() -> None:
    snapshot = at(S.CLIENT)
    snapshot, effects = after(lf.StageRefused(snapshot.data.epoch), start=snapshot)
    while snapshot.state is not S.STOPPED:
        snapshot, effects = step_ended(snapshot, Outcome.FAILED)
    assert effects[-1] == lf.EndProcess(Exit.CLIENT_FAILED)


def test_an_end_that_comes_after_the_deadline_of_its_step_changes_nothing() -> None:
    first = stopping()
    second, _ = after(lf.DeadlinePassed(first.data.entered), start=first)
    assert after(lf.StopStepEnded(first.data.epoch, Outcome.DONE), start=second) == (second, ())
    assert after(lf.DeadlinePassed(first.data.entered), start=second) == (second, ())


def test_asking_twice_to_stop_starts_no_second_stop() -> None:
    snapshot = stopping()
    assert after(lf.StopRequested(), start=snapshot) == (snapshot, ())


def test_the_whole_stop_fits_eight_seconds() -> None:
    assert len(LIMITS.stop_step_s) == len(STEPS)
    assert sum(LIMITS.stop_step_s) <= 8


# Every snapshot.


@pytest.fixture(scope="module")
def everything() -> Walk:
    def requests(snapshot: Life) -> list[int]:
        # The one under way, the first of the stage or step, and one before both.
        epoch, entered = snapshot.data.epoch, snapshot.data.entered
        return sorted({number for number in (epoch, entered, entered - 1) if number > 0})

    started, _ = after(lf.StartRequested())
    return walk(LIFECYCLE, started, requests)


def test_always_ready_is_entered_from_sync_alone_and_only_when_it_is_done(everything: Walk) -> None:
    ways = {
        (edge.before.state, type(edge.event)) for edge in everything.edges if edge.after.state is S.READY
    } - {(S.READY, kind) for kind in LIFECYCLE.events}
    assert ways == {(S.SYNC, lf.StageDone)}


def test_always_a_stage_is_left_for_the_next_one_or_for_the_stop(everything: Walk) -> None:
    following = dict(pairwise(CARD))
    for edge in everything.edges:
        before, dest = edge.before.state, edge.after.state
        if before is not dest and S.STOPPING not in (before, dest):
            assert dest.name == following[before.name]


def test_always_a_bot_that_may_hold_a_position_stops_only_when_asked(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.before.state in (S.WS, *LATE, S.READY) and edge.after.state is S.STOPPING:
            assert type(edge.event) is lf.StopRequested


def test_always_the_process_ends_once_and_after_the_last_step(everything: Walk) -> None:
    for edge in everything.edges:
        ends = [effect for effect in edge.effects if isinstance(effect, lf.EndProcess)]
        entered = edge.after.state is S.STOPPED and edge.before.state is not S.STOPPED
        assert len(ends) == (1 if entered else 0)
        if entered:
            assert edge.before.data.step is StopStep.NOTHING_LEFT


def test_always_at_most_one_thing_is_asked_for_and_under_a_new_request(everything: Walk) -> None:
    for edge in everything.edges:
        asked = [e for e in edge.effects if isinstance(e, lf.RunStage | lf.RetryStage | lf.RunStopStep)]
        assert len(asked) <= 1
        for effect in asked:
            assert effect.epoch == edge.after.data.epoch > edge.before.data.epoch


def test_sometimes_every_state_is_reached_and_every_row_is_taken(everything: Walk) -> None:
    assert {snapshot.state for snapshot in everything.snapshots} == set(S)
    left = [(row.source, row.event) for row in everything.rows_not_taken(LIFECYCLE)]
    # The walk starts with the first request under way, so nothing is older than INIT but the start itself.
    assert [row for row in left if row[0] is not S.INIT or row[1] is lf.StopRequested] == []


# Any order of what a shell may report.


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_nothing_that_may_be_in_the_mailbox_is_ever_unexpected(data: st.DataObject) -> None:
    snapshot, effects = after(lf.StartRequested())
    mailbox: list[Event] = []  # what may still be reported, in any order: a report is never taken back
    ended = False
    for _ in range(data.draw(st.integers(1, 60))):
        for effect in effects:
            if isinstance(effect, lf.RunStage):
                ends = (lf.StageDone, lf.StageFailed, lf.StageRefused)
                mailbox.append(data.draw(st.sampled_from(ends))(effect.epoch))
                if effect.epoch == effect.entered:
                    mailbox.append(lf.DeadlinePassed(effect.entered))
            elif isinstance(effect, lf.RetryStage):
                mailbox.append(lf.RetryDue(effect.epoch))
            elif isinstance(effect, lf.RunStopStep):
                outcome = data.draw(st.sampled_from((Outcome.DONE, Outcome.FAILED)))
                mailbox += [lf.StopStepEnded(effect.epoch, outcome), lf.DeadlinePassed(effect.epoch)]
        index = data.draw(st.integers(-1, len(mailbox) - 1))
        event = mailbox.pop(index) if index >= 0 else lf.StopRequested("the operator")
        snapshot, effects = LIFECYCLE.step(snapshot, event)
        assert not (ended and effects), "an effect after the end"
        ended = ended or any(isinstance(effect, lf.EndProcess) for effect in effects)
    assert ended == (snapshot.state is S.STOPPED)
