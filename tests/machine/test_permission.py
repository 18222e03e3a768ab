"""Stories about the two hands that open and shut entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import permission as p
from anchorwatch.machine.kernel import Effect, Event, Snapshot
from anchorwatch.machine.permission import PERMISSION, S
from tests.machine.walks import walk

Grant = Snapshot[p.Grant]

PAUSE, RESUME = p.PauseRequested("lunch"), p.ResumeRequested()
HALT, CLEAR = p.HaltRequested("daily loss"), p.HaltCleared()
ANY = (PAUSE, RESUME, HALT, CLEAR)


def after(*events: Event, start: Grant = PERMISSION.initial) -> tuple[Grant, tuple[Effect, ...]]:
    """The snapshot after all events, and the effects of the last."""
    snapshot = start
    effects: tuple[Effect, ...] = ()
    for event in events:
        snapshot, effects = PERMISSION.step(snapshot, event)
    return snapshot, effects


def test_a_pause_is_saved_with_its_reason_and_lifted_by_the_operator() -> None:
    snapshot, effects = after(PAUSE)
    assert (snapshot.state, effects) == (S.PAUSED, (p.SavePermission(S.PAUSED, False, "lunch"),))
    snapshot, effects = after(RESUME, start=snapshot)
    assert (snapshot.state, effects) == (S.OPEN, (p.SavePermission(S.OPEN, False, ""),))


def test_resuming_does_not_lift_a_halt() -> None:
    snapshot, _ = after(HALT)
    assert after(RESUME, start=snapshot) == (snapshot, ())


def test_a_halt_is_cleared_by_name() -> None:
    assert after(HALT, CLEAR)[0] == Snapshot(S.OPEN, p.Grant())


def test_clearing_a_halt_does_not_lift_a_pause() -> None:
    snapshot, _ = after(PAUSE)
    assert after(CLEAR, start=snapshot) == (snapshot, ())


def test_a_pause_that_was_in_force_when_the_halt_came_is_in_force_after_it() -> None:
    assert after(PAUSE, HALT, CLEAR)[0].state is S.PAUSED


def test_a_pause_during_a_halt_is_in_force_after_it() -> None:
    assert after(HALT, PAUSE, CLEAR)[0].state is S.PAUSED


def test_a_pause_lifted_during_a_halt_is_not_in_force_after_it() -> None:
    assert after(PAUSE, HALT, RESUME)[0].state is S.HALTED
    assert after(PAUSE, HALT, RESUME, CLEAR)[0].state is S.OPEN


def test_the_first_reason_of_a_halt_stands() -> None:
    snapshot, _ = after(HALT)
    snapshot, effects = after(p.HaltRequested("drawdown"), start=snapshot)
    assert (snapshot.data.reason, effects) == ("daily loss", ())


@pytest.mark.parametrize("events", [(PAUSE,), (HALT,), (PAUSE, HALT), (HALT, PAUSE)], ids=repr)
def test_what_was_saved_restores_the_same_permission(events: tuple[Event, ...]) -> None:
    snapshot, effects = after(*events)
    (saved,) = effects
    assert isinstance(saved, p.SavePermission)
    assert p.restored(saved.state, saved.paused_below, saved.reason) == snapshot


def test_every_snapshot_is_reached_every_row_taken_and_every_change_saved() -> None:
    everything = walk(PERMISSION, PERMISSION.initial, lambda _: ())
    assert {(one.state, one.data.paused_below) for one in everything.snapshots} == {
        (S.OPEN, False),
        (S.PAUSED, False),
        (S.HALTED, False),
        (S.HALTED, True),
    }
    assert everything.rows_not_taken(PERMISSION) == []
    for edge in everything.edges:
        assert edge.effects or edge.after == edge.before, "a change that is not saved"
        for effect in edge.effects:
            assert isinstance(effect, p.SavePermission)
            assert p.restored(effect.state, effect.paused_below, effect.reason) == edge.after


@given(st.lists(st.sampled_from(ANY)))
def test_any_order_of_requests_ends_as_two_independent_switches_would(events: list[Event]) -> None:
    paused = halted = False
    for event in events:
        paused = (paused or event is PAUSE) and event is not RESUME
        halted = (halted or event is HALT) and event is not CLEAR
    expected = S.HALTED if halted else S.PAUSED if paused else S.OPEN
    assert after(*events)[0].state is expected
