"""Stories about the stop of one leg, a walk through all of it, and a property over any mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import protection as g
from anchorwatch.machine.kernel import Effect, Event, Snapshot
from anchorwatch.machine.protection import PROTECTION, Refusal, S, Stop
from tests.machine.walks import Walk, walk

Guard = Snapshot[Stop]


def after(*events: Event, start: Guard = PROTECTION.initial) -> tuple[Guard, tuple[Effect, ...]]:
    """The snapshot after all events, and the effects of the last."""
    snapshot = start
    effects: tuple[Effect, ...] = ()
    for event in events:
        snapshot, effects = PROTECTION.step(snapshot, event)
    return snapshot, effects


def covered() -> Guard:
    return after(g.CoverWanted(1), g.StopSeenLive(1))[0]


def test_the_clock_of_nakedness_starts_before_the_stop_is_asked_for() -> None:
    snapshot, effects = after(g.CoverWanted(1))
    assert (snapshot.state, effects) == (S.ARMING, (g.StartNakedClock(), g.PlaceStop(1)))


def test_accepted_is_not_covered_and_is_read() -> None:
    snapshot, effects = after(g.CoverWanted(1), g.StopAccepted(1))
    assert (snapshot.state, effects) == (S.PENDING, (g.ReadStop(1),))
    snapshot, effects = after(g.StopSeenLive(1), start=snapshot)
    assert (snapshot.state, effects) == (S.COVERED, (g.StopNakedClock(), g.SweepOthers(1)))


@pytest.mark.parametrize(
    ("refusal", "state", "effects"),
    [
        (Refusal.BEYOND, S.ESCALATING, (g.AskForClose("the market has passed the stop's level"),)),
        (Refusal.EXISTS, S.DOUBTFUL, (g.ReadStop(1),)),
        (Refusal.NO_POSITION, S.NAKED, (g.StartNakedClock(), g.DoubtPosition(), g.StartRetry(1))),
        (Refusal.RULES, S.NAKED, (g.StartNakedClock(), g.ReloadRules(), g.StartRetry(1))),
        (Refusal.BARRED, S.BARRED, (g.HoldNakedClock(), g.TellBarred(), g.StartRetry(1))),
        (Refusal.RETRY, S.NAKED, (g.StartNakedClock(), g.StartRetry(1))),
    ],
)
def test_what_a_refusal_says_decides_what_is_done(
    refusal: Refusal, state: S, effects: tuple[Effect, ...]
) -> None:
    snapshot, asked = after(g.CoverWanted(1), g.StopRefused(1, refusal, "words"))
    assert (snapshot.state, asked) == (state, effects)


def test_a_stop_that_exists_already_is_adopted_under_a_new_sequence() -> None:
    snapshot, effects = after(g.CoverWanted(1), g.StopRefused(1, Refusal.EXISTS), g.CoverAdopted(2))
    assert (snapshot.state, snapshot.data.seq) == (S.COVERED, 2)
    assert effects == (g.StopNakedClock(), g.SweepOthers(2))


def test_a_lost_answer_is_read_and_not_repeated_blindly() -> None:
    snapshot, effects = after(g.CoverWanted(1), g.StopAnswerLost(1))
    assert (snapshot.state, effects) == (S.DOUBTFUL, (g.ReadStop(1),))
    snapshot, effects = after(g.StopReadFailed(1), start=snapshot)
    assert (snapshot.state, effects) == (S.DOUBTFUL, (g.StartNakedClock(), g.StartRetry(1)))
    snapshot, effects = after(g.RetryDue(1), start=snapshot)
    assert (snapshot.state, effects) == (S.DOUBTFUL, (g.ReadStop(1),))
    snapshot, effects = after(g.StopGone(1), start=snapshot)
    assert (snapshot.state, effects) == (S.NAKED, (g.StartNakedClock(), g.StartRetry(1)))
    snapshot, effects = after(g.RetryDue(1), start=snapshot)
    assert (snapshot.state, effects) == (S.ARMING, (g.PlaceStop(1),))


@pytest.mark.parametrize(
    "way", [(), (g.StopAccepted(1),), (g.StopAnswerLost(1),), (g.StopRefused(1, Refusal.RETRY),)]
)
def test_too_long_without_cover_asks_for_a_close(way: tuple[Event, ...]) -> None:
    snapshot, effects = after(g.CoverWanted(1), *way, g.NakedTooLong())
    assert snapshot.state is S.ESCALATING
    assert effects == (g.AskForClose("no stop could be placed in time"),)


def test_a_position_that_is_there_after_all_and_was_to_be_closed_is_asked_to_be_closed_again() -> None:
    escalated, _ = after(g.CoverWanted(1), g.NakedTooLong())
    snapshot, effects = after(g.CoverWanted(2), start=escalated)
    assert snapshot.state is S.ESCALATING
    assert effects == (g.AskForClose("it was taken for gone, is there after all, and nothing covers it"),)


def test_a_covered_leg_is_not_closed_by_a_clock_that_ran_out_meanwhile() -> None:
    assert after(g.NakedTooLong(), start=covered()) == (covered(), ())


def test_a_stop_is_moved_in_place_one_request_at_a_time() -> None:
    snapshot, effects = after(g.MoveWanted(), start=covered())
    assert (snapshot.state, effects) == (S.MOVING, (g.MoveStop(1),))
    assert snapshot.state in g.COVERS
    assert after(g.MoveWanted(), start=snapshot) == (snapshot, ())
    snapshot, effects = after(g.MoveAccepted(1), start=snapshot)
    assert (snapshot.state, effects) == (S.COVERED, ())


@pytest.mark.parametrize("answer", [g.MoveRefused(1), g.StopAnswerLost(1)])
def test_a_move_that_went_wrong_is_read_back_first(answer: Event) -> None:
    snapshot, effects = after(g.MoveWanted(), answer, start=covered())
    assert (snapshot.state, effects) == (S.DOUBTFUL, (g.ReadStop(1),))


def test_a_stop_that_is_gone_is_naked_at_once_and_placed_again_after_a_wait() -> None:
    snapshot, effects = after(g.StopGone(1), start=covered())
    assert (snapshot.state, effects) == (S.NAKED, (g.StartNakedClock(), g.StartRetry(1)))


def test_triggered_is_not_filled() -> None:
    snapshot, effects = after(g.StopTriggered(1), start=covered())
    assert (snapshot.state, effects) == (S.TRIGGERED, (g.StopNakedClock(), g.StartFillClock(1)))
    snapshot, effects = after(g.FillOverdue(1), start=snapshot)
    assert snapshot.state is S.ESCALATING
    assert effects == (g.StartNakedClock(), g.AskForClose("the stop triggered and did not fill"))


def test_flat_sweeps_whatever_rests() -> None:
    for start in (covered(), after(g.CoverWanted(1))[0], after(g.StopTriggered(1), start=covered())[0]):
        snapshot, effects = after(g.LegEnded(), start=start)
        assert (snapshot.state, effects) == (S.NONE, (g.StopNakedClock(), g.SweepAll()))


def test_reports_of_an_earlier_stop_change_nothing() -> None:
    snapshot, _ = after(g.LegEnded(), g.CoverWanted(5), start=covered())
    for late in (g.StopSeenLive(1), g.StopGone(1), g.StopTriggered(1), g.RetryDue(1), g.FillOverdue(1)):
        assert after(late, start=snapshot) == (snapshot, ())


def test_a_venue_that_takes_no_stops_is_asked_again_and_nothing_is_sold_meanwhile() -> None:
    barred, _ = after(g.CoverWanted(1), g.StopRefused(1, Refusal.BARRED))
    assert after(g.NakedTooLong(), start=barred) == (barred, ())
    snapshot, effects = after(g.RetryDue(1), start=barred)
    assert (snapshot.state, effects) == (S.ARMING, (g.RenewNakedClock(), g.PlaceStop(1)))
    assert after(g.NakedTooLong(), start=snapshot)[0].state is S.ESCALATING
    assert after(g.StopRefused(1, Refusal.BARRED), start=snapshot)[0] == barred


def test_a_stop_that_is_too_small_grows_in_place_under_the_deadline() -> None:
    snapshot, effects = after(g.CoverTooSmall(), start=covered())
    assert (snapshot.state, effects) == (S.GROWING, (g.StartNakedClock(), g.MoveStop(1)))
    assert after(g.MoveAccepted(1), start=snapshot) == (snapshot, (g.ReadStop(1),))
    assert after(g.NakedTooLong(), start=snapshot)[0].state is S.ESCALATING
    snapshot, effects = after(g.StopSeenLive(1), start=snapshot)
    assert (snapshot.state, effects) == (S.COVERED, (g.StopNakedClock(), g.SweepOthers(1)))


def test_what_cannot_grow_is_bridged_and_swept_when_the_second_stop_is_live() -> None:
    snapshot, effects = after(g.CoverTooSmall(), g.MoveRefused(1), start=covered())
    assert (snapshot.state, effects) == (S.DOUBTFUL, (g.ReadStop(1),))
    snapshot, effects = after(g.BridgeWanted(2), start=snapshot)
    assert (snapshot.state, effects) == (S.ARMING, (g.StartNakedClock(), g.PlaceStop(2)))
    assert after(g.StopSeenLive(1), start=snapshot) == (snapshot, ())
    snapshot, effects = after(g.StopSeenLive(2), start=snapshot)
    assert (snapshot.state, effects) == (S.COVERED, (g.StopNakedClock(), g.SweepOthers(2)))


# Everything that can become of it.


def sequences(snapshot: Guard) -> list[int]:
    return [snapshot.data.seq - 1, snapshot.data.seq]


NAMING = (g.CoverWanted, g.CoverAdopted, g.BridgeWanted)


@pytest.fixture(scope="module")
def everything() -> Walk:
    return walk(PROTECTION, PROTECTION.initial, sequences, naming_the_next=NAMING)


def test_sometimes_every_state_and_every_row_is_reached(everything: Walk) -> None:
    assert {snapshot.state for snapshot in everything.snapshots} == set(S)
    assert everything.rows_not_taken(PROTECTION) == []


def test_always_cover_is_believed_only_when_it_was_seen(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.after.state is S.COVERED and edge.before.state not in g.COVERS:
            assert isinstance(edge.event, g.StopSeenLive | g.CoverAdopted)


def test_always_an_uncovered_leg_has_a_deadline_running(everything: Walk) -> None:
    """It starts when cover is wanted or lost, and stops only with cover, trigger or flat."""
    for edge in everything.edges:
        if edge.before.state in g.COVERING and edge.after.state is S.NAKED:
            assert g.StartNakedClock() in edge.effects
        if edge.before.state is S.NONE and edge.after.state in g.UNCOVERED:
            assert g.StartNakedClock() in edge.effects
        if edge.before.state is S.COVERED and edge.after.state in (S.ARMING, S.GROWING):
            assert g.StartNakedClock() in edge.effects
        if edge.before.state is S.BARRED and edge.after.state in g.TIMED:
            assert g.RenewNakedClock() in edge.effects
        if g.HoldNakedClock() in edge.effects:
            assert g.TellBarred() in edge.effects
        if g.StopNakedClock() in edge.effects:
            assert edge.after.state in (S.COVERED, S.TRIGGERED, S.NONE)


def test_always_a_stop_is_placed_only_where_none_can_be(everything: Walk) -> None:
    for edge in everything.edges:
        if any(isinstance(one, g.PlaceStop) for one in edge.effects):
            is_bridge = isinstance(edge.event, g.BridgeWanted)
            assert is_bridge or edge.before.state in (S.NONE, S.NAKED, S.BARRED)


def test_always_stops_are_swept_only_when_another_covers_or_the_leg_is_flat(everything: Walk) -> None:
    for edge in everything.edges:
        for one in edge.effects:
            if isinstance(one, g.SweepAll):
                assert isinstance(edge.event, g.LegEnded)
            if isinstance(one, g.SweepOthers):
                assert edge.after.state is S.COVERED
                assert one.seq == edge.after.data.seq


def test_always_a_move_starts_from_a_covered_leg(everything: Walk) -> None:
    for edge in everything.edges:
        if any(isinstance(one, g.MoveStop) for one in edge.effects):
            grows = isinstance(edge.event, g.CoverTooSmall)
            assert edge.before.state is S.COVERED or (grows and g.StartNakedClock() in edge.effects)


def test_always_who_escalates_asks_for_a_close_and_again_where_cover_is_asked_for(everything: Walk) -> None:
    for edge in everything.edges:
        asks = any(isinstance(one, g.AskForClose) for one in edge.effects)
        is_news = edge.before.state is not S.ESCALATING or isinstance(edge.event, g.CoverWanted)
        assert asks == (edge.after.state is S.ESCALATING and is_news)


KINDS = tuple(kind for kind in PROTECTION.events if issubclass(kind, g.OfStop) and kind is not g.StopRefused)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.sampled_from(Refusal)), max_size=60))
def test_whatever_may_still_be_in_the_mailbox_never_raises(steps: list[tuple[int, int, Refusal]]) -> None:
    snapshot = PROTECTION.initial
    for number, age, refusal in steps:
        newest = snapshot.data.seq
        seq = max(0, newest - age)
        others: list[Event] = [
            g.CoverWanted(newest + 1), g.CoverAdopted(newest + 1), g.BridgeWanted(newest + 1), g.NakedTooLong(),
            g.MoveWanted(), g.CoverTooSmall(),
            g.LegEnded(), g.StopRefused(seq, refusal),
        ]  # fmt: skip
        every = [*others, *(kind(seq) for kind in KINDS)]
        snapshot, _ = PROTECTION.step(snapshot, every[number % len(every)])
