"""Stories about one leg from flat to flat, a walk through all of it, and a property over any mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import position as p
from anchorwatch.machine.kernel import Effect, Event, Snapshot, UnexpectedEvent
from anchorwatch.machine.position import POSITION, Leg, S
from tests.machine.walks import Walk, walk


def after(*events: Event, start: Snapshot[Leg] = POSITION.initial) -> tuple[S, tuple[Effect, ...]]:
    """The state after all events, and the effects of the last."""
    snapshot = start
    effects: tuple[Effect, ...] = ()
    for event in events:
        snapshot, effects = POSITION.step(snapshot, event)
    assert isinstance(snapshot.state, S)
    return snapshot.state, effects


def test_the_first_contract_asks_for_protection() -> None:
    assert after(p.EntryStarted(), p.PositionSeen()) == (S.OPEN, (p.StartProtection(),))
    assert after(p.PositionSeen()) == (S.OPEN, (p.StartProtection(),))


def test_a_larger_position_has_its_stop_extended() -> None:
    assert after(p.PositionSeen(), p.PositionGrown()) == (S.OPEN, (p.ExtendProtection(),))


def test_an_entry_without_fills_leaves_the_leg_flat() -> None:
    assert after(p.EntryStarted(), p.EntryEnded()) == (S.FLAT, ())


def test_a_close_withdraws_the_rest_of_the_entry_and_makes_one_order() -> None:
    opened = (p.EntryStarted(), p.PositionSeen())
    assert after(*opened, p.CloseWanted()) == (S.CLOSING, (p.CancelEntry(), p.StartClose()))
    assert after(*opened, p.CloseWanted(), p.CloseWanted()) == (S.CLOSING, ())


def test_a_part_is_closed_by_one_order_verified_and_the_rest_is_protected() -> None:
    reducing = (p.PositionSeen(), p.ReduceWanted("half"))
    assert after(*reducing) == (S.REDUCING, (p.StartReduce("half"),))
    assert after(*reducing, p.ReduceWanted("half")) == (S.REDUCING, ())
    assert after(*reducing, p.CloseEnded()) == (S.REDUCING, (p.ReadPosition(),))
    assert after(*reducing, p.CloseEnded(), p.ReadEnded()) == (S.OPEN, (p.StartProtection(),))


def test_a_close_that_is_wanted_while_a_part_is_taken_is_not_lost() -> None:
    closing = (p.PositionSeen(), p.ReduceWanted("half"), p.CloseWanted("stop"))
    assert after(*closing) == (S.CLOSING, (p.CancelEntry(), p.StartClose("stop")))
    assert after(*closing, p.CloseEnded(), p.ReadEnded()) == (S.CLOSING, (p.StartClose(),))


def test_a_close_that_is_wanted_before_the_first_fill_withdraws_the_entry() -> None:
    assert after(p.EntryStarted(), p.CloseWanted()) == (S.ENTERING, (p.CancelEntry(),))


def test_a_close_is_verified_by_reading_before_the_next_try() -> None:
    closing = (p.PositionSeen(), p.CloseWanted())
    assert after(*closing, p.CloseEnded()) == (S.CLOSING, (p.ReadPosition(),))
    assert after(*closing, p.CloseEnded(), p.ReadEnded()) == (S.CLOSING, (p.StartClose(),))


@pytest.mark.parametrize("way", [(), (p.CloseWanted(),), (p.ReduceWanted(),), (p.AbsenceSeen(),)])
def test_an_end_with_a_cause_ends_the_leg_from_every_open_state(way: tuple[Event, ...]) -> None:
    state, effects = after(p.PositionSeen(), *way, p.EndConfirmed("stop"))
    assert (state, effects) == (S.FLAT, (p.CancelEntry(), p.EndLeg("stop")))


def test_an_absence_is_a_question_and_its_failure_is_asked_again() -> None:
    gone = (p.PositionSeen(), p.AbsenceSeen())
    assert after(*gone) == (S.VANISHED, (p.ConfirmAbsence(),))
    assert after(*gone, p.ConfirmationFailed()) == (S.VANISHED, (p.StartConfirmationTimer(),))
    again = (*gone, p.ConfirmationFailed(), p.ConfirmationDue())
    assert after(*again) == (S.VANISHED, (p.ConfirmAbsence(),))
    assert after(*again, p.AbsenceSeen()) == (S.VANISHED, ())


@pytest.mark.parametrize("shown", [p.PositionSeen(), p.PositionGrown()])
def test_a_leg_that_is_shown_again_is_open_and_protected(shown: Event) -> None:
    assert after(p.PositionSeen(), p.AbsenceSeen(), shown) == (S.OPEN, (p.StartProtection(),))


def test_a_position_of_an_earlier_life_that_is_gone_is_asked_about() -> None:
    assert after(p.PositionMissed()) == (S.VANISHED, (p.ConfirmAbsence(),))


def test_what_is_not_ours_is_watched_until_it_is_gone() -> None:
    assert after(p.ForeignSeen()) == (S.WATCHED, (p.WatchLeg(),))
    for touch in (p.CloseWanted(), p.ReduceWanted(), p.PositionGrown(), p.ForeignSeen()):
        assert after(p.ForeignSeen(), touch) == (S.WATCHED, ())
    assert after(p.ForeignSeen(), p.AbsenceSeen()) == (S.FLAT, ())
    assert after(p.ForeignSeen(), p.EndConfirmed("by hand")) == (S.FLAT, ())


def test_a_part_of_what_is_watched_that_is_ours_is_protected() -> None:
    assert after(p.ForeignSeen(), p.PositionSeen()) == (S.OPEN, (p.StartProtection(),))


def test_what_nobody_explains_in_time_is_told_and_asked_about_for_ever() -> None:
    gone = (p.PositionSeen(), p.AbsenceSeen(), p.ConfirmationOverdue())
    assert after(*gone) == (S.UNEXPLAINED, (p.TellUnexplained(), p.StartConfirmationTimer()))
    assert after(*gone, p.ConfirmationDue()) == (S.UNEXPLAINED, (p.ConfirmAbsence(),))
    for failed in (p.ConfirmationFailed(), p.ConfirmationOverdue()):
        assert after(*gone, p.ConfirmationDue(), failed) == (S.UNEXPLAINED, (p.StartConfirmationTimer(),))
    assert after(*gone, p.EndConfirmed("closed")) == (S.FLAT, (p.CancelEntry(), p.EndLeg("closed")))
    assert after(*gone, p.PositionSeen()) == (S.OPEN, (p.StartProtection(),))


def test_an_entry_onto_a_foreign_position_is_withdrawn() -> None:
    assert after(p.EntryStarted(), p.ForeignSeen()) == (S.WATCHED, (p.CancelEntry(),))


def test_an_entry_starts_from_flat_only() -> None:
    with pytest.raises(UnexpectedEvent, match="from flat only"):
        after(p.PositionSeen(), p.EntryStarted())


def no_identities(snapshot: Snapshot[Leg]) -> tuple[int, ...]:
    return ()


@pytest.fixture(scope="module")
def everything() -> Walk:
    return walk(POSITION, POSITION.initial, no_identities)


def test_sometimes_every_state_and_every_row_is_reached(everything: Walk) -> None:
    assert {snapshot.state for snapshot in everything.snapshots} == set(S)
    assert everything.rows_not_taken(POSITION) == []


def test_always_a_leg_of_ours_becomes_flat_by_a_cause_only(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.before.state in p.OURS and edge.after.state is S.FLAT:
            assert isinstance(edge.event, p.EndConfirmed)
            assert [type(one) for one in edge.effects] == [p.CancelEntry, p.EndLeg]


def test_always_whoever_enters_open_asks_for_protection(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.after.state is S.OPEN and edge.before.state is not S.OPEN:
            assert edge.effects == (p.StartProtection(),)


def test_always_a_close_starts_from_an_open_leg_or_after_a_reading(everything: Walk) -> None:
    for edge in everything.edges:
        if p.StartClose() in edge.effects:
            assert (edge.before.state, type(edge.event)) in [
                (S.OPEN, p.CloseWanted),
                (S.REDUCING, p.CloseWanted),
                (S.CLOSING, p.ReadEnded),
            ]


def test_always_a_watched_leg_asks_for_nothing_but_cover_of_what_is_ours(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.before.state is S.WATCHED:
            assert edge.effects == ((p.StartProtection(),) if edge.after.state is S.OPEN else ())


# Any mailbox: what the desk can say in each state, in any order.

ALWAYS = (
    p.EntryEnded, p.PositionSeen, p.ForeignSeen, p.AbsenceSeen, p.EndConfirmed, p.ConfirmationFailed,
    p.ConfirmationOverdue, p.ConfirmationDue, p.CloseWanted, p.ReduceWanted, p.CloseEnded, p.ReadEnded,
)  # fmt: skip


@given(st.lists(st.sampled_from((*ALWAYS, p.EntryStarted, p.PositionGrown)), max_size=60))
def test_whatever_may_still_be_in_the_mailbox_never_raises(kinds: list[type[Event]]) -> None:
    snapshot = POSITION.initial
    for kind in kinds:
        if kind is p.EntryStarted and snapshot.state is not S.FLAT:
            continue  # the router starts an entry from flat only
        if kind is p.PositionGrown and snapshot.state in (S.FLAT, S.ENTERING):
            continue  # the desk calls the first contract seen
        snapshot, _ = POSITION.step(snapshot, kind())
