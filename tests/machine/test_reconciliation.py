"""Stories about whether the book is known to agree with the venue, and a walk through all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import reconciliation as r
from anchorwatch.machine.kernel import Effect, Event, Snapshot, UnexpectedEvent
from anchorwatch.machine.reconciliation import RECONCILIATION, Reading, S
from tests.machine.walks import Walk, walk

Book = Snapshot[Reading]


def after(*events: Event, start: Book = RECONCILIATION.initial) -> tuple[Book, tuple[Effect, ...]]:
    """The snapshot after all events, and the effects of the last."""
    snapshot = start
    effects: tuple[Effect, ...] = ()
    for event in events:
        snapshot, effects = RECONCILIATION.step(snapshot, event)
    return snapshot, effects


def settled() -> Book:
    return after(r.BookDoubted("the start"), r.AccountCompared(1))[0]


def test_a_doubt_is_answered_by_one_complete_reading() -> None:
    snapshot, effects = after(r.BookDoubted("the start"))
    assert (snapshot.state, effects) == (S.READING, (r.ReadAccount(1),))
    snapshot, effects = after(r.AccountCompared(1), start=snapshot)
    assert (snapshot.state, effects) == (S.SETTLED, ())


def test_a_doubt_during_a_reading_is_not_answered_by_that_reading() -> None:
    snapshot, effects = after(r.BookDoubted(), r.BookDoubted())
    assert (snapshot.state, effects) == (S.STALE, ())
    snapshot, effects = after(r.AccountCompared(1), start=snapshot)
    assert (snapshot.state, effects) == (S.READING, (r.ReadAccount(2),))


def test_a_failed_reading_leaves_the_book_unknown_and_is_tried_again() -> None:
    snapshot, effects = after(r.BookDoubted(), r.ReadingFailed(1, "502"))
    assert (snapshot.state, effects) == (S.UNKNOWN, (r.StartReadingTimer(2),))
    snapshot, effects = after(r.ReadingDue(2), start=snapshot)
    assert (snapshot.state, effects) == (S.READING, (r.ReadAccount(3),))


def test_the_last_look_waits_for_no_reading_that_is_under_way() -> None:
    starts = (
        RECONCILIATION.initial,
        settled(),
        after(r.BookDoubted())[0],
        after(r.BookDoubted(), r.BookDoubted())[0],
        after(r.CheckDue(), start=settled())[0],
    )
    assert {start.state for start in starts} == set(S)
    for start in starts:
        snapshot, effects = after(r.LastLookWanted(), start=start)
        seq = start.data.seq + 1
        assert (snapshot.state, effects) == (S.READING, (r.ReadAccount(seq),))
        if start.data.seq:
            assert after(r.AccountCompared(seq - 1), start=snapshot)[0] == snapshot, "it began before"
        assert after(r.AccountCompared(seq), start=snapshot)[0].state is S.SETTLED


def test_a_check_by_timer_freezes_nothing_and_its_failure_neither() -> None:
    snapshot, effects = after(r.CheckDue(), start=settled())
    assert (snapshot.state, effects) == (S.CHECKING, (r.ReadAccount(2),))
    for end in (r.AccountCompared(2), r.ReadingFailed(2)):
        assert after(end, start=snapshot)[0].state is S.SETTLED


def test_a_doubt_during_a_check_freezes() -> None:
    assert after(r.CheckDue(), r.BookDoubted(), start=settled())[0].state is S.STALE


def test_a_doubt_while_a_retry_waits_reads_at_once_and_the_wait_is_stale() -> None:
    snapshot, effects = after(r.BookDoubted(), r.ReadingFailed(1), r.BookDoubted())
    assert (snapshot.state, effects) == (S.READING, (r.ReadAccount(3),))
    assert after(r.ReadingDue(2), start=snapshot) == (snapshot, ())


def test_the_answer_to_an_earlier_reading_settles_nothing() -> None:
    snapshot, _ = after(r.BookDoubted(), r.BookDoubted(), r.AccountCompared(1))
    assert after(r.AccountCompared(1), start=snapshot) == (snapshot, ())


def test_an_answer_that_nobody_asked_for_is_a_defect() -> None:
    with pytest.raises(UnexpectedEvent, match="no reading is under way"):
        after(r.AccountCompared(1), start=settled())


@pytest.fixture(scope="module")
def everything() -> Walk:
    return walk(
        RECONCILIATION, RECONCILIATION.initial, lambda snapshot: [snapshot.data.seq - 1, snapshot.data.seq]
    )


def test_sometimes_every_state_and_every_row_is_reached(everything: Walk) -> None:
    assert {snapshot.state for snapshot in everything.snapshots} == set(S)
    assert everything.rows_not_taken(RECONCILIATION) == []


def test_always_only_a_complete_reading_settles_an_unknown_book(everything: Walk) -> None:
    unknown = (S.UNKNOWN, S.READING, S.STALE)
    for edge in everything.edges:
        if edge.before.state in unknown and edge.after.state is S.SETTLED:
            assert edge.before.state is S.READING
            assert isinstance(edge.event, r.AccountCompared)


def test_always_one_reading_at_a_time_but_for_the_last_look(everything: Walk) -> None:
    for edge in everything.edges:
        if any(isinstance(one, r.ReadAccount) for one in edge.effects):
            under_way = edge.before.state in (S.READING, S.CHECKING)
            assert not under_way or isinstance(edge.event, r.LastLookWanted)
            assert edge.after.state in (S.READING, S.CHECKING)


@given(st.lists(st.integers(0, 5), max_size=60))
def test_whatever_may_still_be_in_the_mailbox_never_raises(numbers: list[int]) -> None:
    snapshot, waiting = RECONCILIATION.initial, list[Event]()
    for number in numbers:
        choices: list[Event] = [r.BookDoubted(), r.CheckDue(), r.LastLookWanted(), *waiting]
        event = choices[number % len(choices)]
        if event in waiting:
            waiting.remove(event)
        snapshot, effects = RECONCILIATION.step(snapshot, event)
        for effect in effects:
            if isinstance(effect, r.ReadAccount):
                waiting.append((r.AccountCompared, r.ReadingFailed)[number % 2](effect.seq))
            if isinstance(effect, r.StartReadingTimer):
                waiting.append(r.ReadingDue(effect.seq))
