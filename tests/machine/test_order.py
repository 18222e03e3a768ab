"""Stories about one order, a walk through everything that can become of it, and a property over any mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import order as o
from anchorwatch.machine.kernel import Effect, Event, Snapshot, UnexpectedEvent
from anchorwatch.machine.order import ORDER, Order, Role, S
from tests.machine.walks import Walk, walk

ENTRY, CLOSE = Role.ENTRY, Role.CLOSE


def after(
    *events: Event, start: Snapshot[Order] = ORDER.initial
) -> tuple[Snapshot[Order], tuple[Effect, ...]]:
    """The snapshot after all events, and the effects of the last."""
    snapshot = start
    effects: tuple[Effect, ...] = ()
    for event in events:
        snapshot, effects = ORDER.step(snapshot, event)
    return snapshot, effects


def sent(role: Role = ENTRY, seq: int = 1) -> Snapshot[Order]:
    return after(o.OrderWanted(seq, role), o.IntentRecorded(seq))[0]


def live(role: Role = ENTRY) -> Snapshot[Order]:
    return after(o.OrderAcknowledged(1), start=sent(role))[0]


def doubtful(role: Role = ENTRY) -> Snapshot[Order]:
    return after(o.AnswerLost(1), start=sent(role))[0]


def test_the_intent_is_recorded_before_the_order_is_sent() -> None:
    snapshot, effects = after(o.OrderWanted(1, ENTRY))
    assert (snapshot.state, effects) == (S.PLANNED, (o.RecordIntent(ENTRY, 1),))
    snapshot, effects = after(o.IntentRecorded(1), start=snapshot)
    assert (snapshot.state, effects) == (S.SENT, (o.SendOrder(ENTRY, 1),))


@pytest.mark.parametrize(
    ("role", "state", "effect"),
    [
        (ENTRY, S.WITHDRAWN, o.OrderEnded(ENTRY, 1, S.WITHDRAWN)),
        (CLOSE, S.SENT, o.SendOrder(CLOSE, 1)),
    ],
)
def test_when_the_journal_fails_an_entry_is_withdrawn_and_a_close_goes_out(
    role: Role, state: S, effect: Effect
) -> None:
    snapshot, effects = after(o.OrderWanted(1, role), o.IntentFailed(1, "disk full"))
    assert (snapshot.state, effects) == (state, (effect,))


def test_an_entry_that_is_not_wanted_any_more_never_reaches_the_wire() -> None:
    snapshot, effects = after(o.OrderWanted(1, ENTRY), o.CancelWanted(1))
    assert (snapshot.state, effects) == (S.WITHDRAWN, (o.OrderEnded(ENTRY, 1, S.WITHDRAWN),))
    assert after(o.IntentRecorded(1), start=snapshot) == (snapshot, ())


def test_a_write_that_is_denied_at_the_last_look_was_not_sent() -> None:
    snapshot, effects = after(o.WriteDenied(1), start=sent())
    assert (snapshot.state, effects) == (S.WITHDRAWN, (o.OrderEnded(ENTRY, 1, S.WITHDRAWN),))


def test_the_push_of_a_fill_may_come_before_the_acknowledgement() -> None:
    snapshot, effects = after(o.OrderFilled(1), start=sent())
    assert (snapshot.state, effects) == (S.FILLED, (o.OrderEnded(ENTRY, 1, S.FILLED),))
    assert after(o.OrderAcknowledged(1), start=snapshot) == (snapshot, ())


def test_an_order_fills_in_parts() -> None:
    snapshot, effects = after(o.OrderPartlyFilled(1), start=live())
    assert (snapshot.state, snapshot.data.has_fills, effects) == (S.PARTIAL, True, ())
    snapshot, _ = after(o.OrderPartlyFilled(1), start=snapshot)
    assert snapshot.state is S.PARTIAL
    snapshot, effects = after(o.OrderFilled(1), start=snapshot)
    assert (snapshot.state, effects) == (S.FILLED, (o.OrderEnded(ENTRY, 1, S.FILLED),))


def test_an_unanswered_order_is_asked_for_until_the_venue_says_something() -> None:
    snapshot, effects = after(o.AnswerLost(1), start=sent())
    assert (snapshot.state, effects) == (S.IN_DOUBT, (o.QueryOrder(ENTRY, 1),))
    for _ in range(5):
        snapshot, effects = after(o.QueryInconclusive(1), start=snapshot)
        assert (snapshot.state, effects) == (S.IN_DOUBT, (o.StartQueryTimer(ENTRY, 1),))
        snapshot, effects = after(o.QueryDue(1), start=snapshot)
        assert (snapshot.state, effects) == (S.IN_DOUBT, (o.QueryOrder(ENTRY, 1),))
    snapshot, effects = after(o.AbsenceProven(1), start=snapshot)
    assert (snapshot.state, effects) == (S.ABSENT, (o.OrderEnded(ENTRY, 1, S.ABSENT),))


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (o.OrderSeenLive(1), S.LIVE),
        (o.OrderPartlyFilled(1), S.PARTIAL),
        (o.OrderFilled(1), S.FILLED),
        (o.OrderCancelled(1), S.CANCELLED),
    ],
)
def test_what_a_push_says_ends_the_doubt(told: Event, state: S) -> None:
    assert after(told, start=doubtful())[0].state is state


def test_a_late_refusal_does_not_end_a_doubt() -> None:
    assert after(o.OrderRefused(1), start=doubtful()) == (doubtful(), ())


def test_a_refusal_of_an_order_that_was_seen_alive_is_a_doubt() -> None:
    snapshot, effects = after(o.OrderSeenLive(1), o.OrderRefused(1), start=sent())
    assert (snapshot.state, effects) == (S.IN_DOUBT, (o.QueryOrder(ENTRY, 1),))


def test_a_cancel_that_was_wanted_too_early_is_remembered_and_sent_when_the_order_lives() -> None:
    snapshot, effects = after(o.CancelWanted(1), start=sent())
    assert (snapshot.state, effects) == (S.SENT, ())
    snapshot, effects = after(o.OrderAcknowledged(1), start=snapshot)
    assert (snapshot.state, effects) == (S.CANCELLING, (o.CancelOrder(ENTRY, 1),))


@pytest.mark.parametrize("told", [o.OrderSeenLive(1), o.OrderPartlyFilled(1)])
def test_a_remembered_cancel_outlives_a_doubt(told: Event) -> None:
    snapshot, _ = after(o.CancelWanted(1), start=doubtful())
    snapshot, effects = after(told, start=snapshot)
    assert (snapshot.state, effects) == (S.CANCELLING, (o.CancelOrder(ENTRY, 1),))


def test_a_cancel_is_sent_once_and_its_end_is_told_by_a_push() -> None:
    snapshot, effects = after(o.CancelWanted(1), start=live())
    assert (snapshot.state, effects) == (S.CANCELLING, (o.CancelOrder(ENTRY, 1),))
    assert after(o.CancelWanted(1), start=snapshot) == (snapshot, ())
    assert after(o.CancelAcknowledged(1), start=snapshot) == (snapshot, ())
    snapshot, effects = after(o.OrderCancelled(1), start=snapshot)
    assert (snapshot.state, effects) == (S.CANCELLED, (o.OrderEnded(ENTRY, 1, S.CANCELLED),))


def test_a_cancel_that_the_venue_cannot_carry_out_is_a_question() -> None:
    snapshot, effects = after(o.CancelWanted(1), o.CancelFruitless(1), start=live())
    assert (snapshot.state, effects) == (S.IN_DOUBT, (o.QueryOrder(ENTRY, 1),))


def test_a_cancel_that_may_not_have_arrived_is_asked_about_at_a_pace_and_sent_again() -> None:
    snapshot, effects = after(o.CancelWanted(1), o.CancelFailed(1), start=live())
    assert (snapshot.state, effects) == (S.IN_DOUBT, (o.StartQueryTimer(ENTRY, 1),))
    snapshot, effects = after(o.QueryDue(1), o.OrderSeenLive(1), start=snapshot)
    assert (snapshot.state, effects) == (S.CANCELLING, (o.CancelOrder(ENTRY, 1),))


# A better price for what rests.


def amending(*told: Event) -> Snapshot[Order]:
    return after(*told, o.RepriceWanted(1), start=live())[0]


def test_a_resting_order_is_repriced_in_place_and_rests_on() -> None:
    snapshot, effects = after(o.RepriceWanted(1), start=live())
    assert (snapshot.state, effects) == (S.AMENDING, (o.AmendOrder(ENTRY, 1),))
    snapshot, effects = after(o.AmendAcknowledged(1), start=snapshot)
    assert (snapshot.state, effects) == (S.LIVE, ())


def test_an_amendment_that_is_refused_leaves_the_order_as_it_was() -> None:
    assert after(o.AmendRefused(1, "51513"), start=amending()) == (live(), ())


@pytest.mark.parametrize("answer", [o.AmendAcknowledged(1), o.AmendRefused(1)])
def test_what_fills_while_it_is_amended_is_not_forgotten(answer: Event) -> None:
    snapshot, effects = after(o.OrderPartlyFilled(1), start=amending())
    assert (snapshot.state, snapshot.data.has_fills, effects) == (S.AMENDING, True, ())
    assert after(answer, start=snapshot)[0].state is S.PARTIAL
    snapshot, effects = after(o.OrderFilled(1), start=snapshot)
    assert (snapshot.state, effects) == (S.FILLED, (o.OrderEnded(ENTRY, 1, S.FILLED),))
    assert after(answer, start=snapshot) == (snapshot, ())


def test_a_partly_filled_order_is_repriced_too() -> None:
    assert amending(o.OrderPartlyFilled(1)).state is S.AMENDING


@pytest.mark.parametrize("answer", [o.AmendAcknowledged(1), o.AmendRefused(1), o.AmendFruitless(1)])
def test_one_write_at_a_time_a_cancel_waits_for_the_answer_to_the_amendment(answer: Event) -> None:
    snapshot, effects = after(o.CancelWanted(1), start=amending())
    assert (snapshot.state, effects) == (S.AMENDING, ())
    snapshot, effects = after(answer, start=snapshot)
    if isinstance(answer, o.AmendFruitless):
        snapshot, effects = after(o.OrderSeenLive(1), start=snapshot)
    assert (snapshot.state, effects) == (S.CANCELLING, (o.CancelOrder(ENTRY, 1),))


def test_a_lost_answer_to_an_amendment_is_a_doubt_about_one_order() -> None:
    snapshot, effects = after(o.AmendFruitless(1, "no answer"), start=amending())
    assert (snapshot.state, effects) == (S.IN_DOUBT, (o.QueryOrder(ENTRY, 1),))
    assert after(o.RepriceWanted(1), start=snapshot) == (snapshot, ())
    assert after(o.OrderSeenLive(1), start=snapshot)[0].state is S.LIVE


def test_an_amendment_that_would_have_taken_ends_the_order() -> None:
    snapshot, effects = after(o.OrderCancelled(1), start=amending())
    assert (snapshot.state, effects) == (S.CANCELLED, (o.OrderEnded(ENTRY, 1, S.CANCELLED),))


def test_pushes_that_were_missed_while_amending_are_asked_for() -> None:
    snapshot, effects = after(o.OrderDoubted(1), start=amending())
    assert (snapshot.state, effects) == (S.IN_DOUBT, (o.QueryOrder(ENTRY, 1),))
    assert after(o.AmendAcknowledged(1), start=snapshot) == (snapshot, ())


def test_an_entry_of_an_earlier_life_is_taken_to_rest_and_a_close_is_not() -> None:
    assert after(o.OrderRecovered(7, ENTRY))[0].data.rests
    assert not after(o.OrderRecovered(7, CLOSE))[0].data.rests


@pytest.mark.parametrize("told", [o.OrderPartlyFilled(1), o.OrderFilled(1)])
@pytest.mark.parametrize("end", [o.OrderCancelled(1), o.OrderRefused(1)])
def test_a_fill_after_the_end_is_news(end: Event, told: Event) -> None:
    snapshot, _ = after(end, start=sent())
    later, effects = after(told, start=snapshot)
    assert later.state is snapshot.state
    assert later.data.has_fills
    assert effects == (o.ReportLateFill(ENTRY, 1),)


def test_an_intent_of_an_earlier_life_is_a_doubt_from_the_start() -> None:
    snapshot, effects = after(o.OrderRecovered(7, CLOSE))
    assert (snapshot.state, effects) == (S.IN_DOUBT, (o.QueryOrder(CLOSE, 7),))


def test_a_report_about_an_earlier_order_changes_nothing() -> None:
    snapshot, _ = after(o.OrderRefused(1), o.OrderWanted(2, ENTRY), o.IntentRecorded(2), start=sent())
    for late in (o.OrderFilled(1), o.OrderAcknowledged(1), o.AbsenceProven(1), o.QueryDue(1)):
        assert after(late, start=snapshot) == (snapshot, ())


def test_a_second_order_before_the_end_of_the_first_is_a_defect() -> None:
    for start in (sent(), live(), doubtful(), after(o.OrderWanted(1, ENTRY))[0]):
        with pytest.raises(UnexpectedEvent, match="one order at a time"):
            after(o.OrderWanted(2, ENTRY), start=start)


def test_no_sequence_is_used_twice() -> None:
    done, _ = after(o.OrderFilled(1), start=sent())
    with pytest.raises(AssertionError, match="never used twice"):
        after(o.OrderWanted(1, ENTRY), start=done)
    with pytest.raises(AssertionError, match="from the future"):
        after(o.OrderFilled(2), start=sent())


# Everything that can become of it.


def sequences(snapshot: Snapshot[Order]) -> list[int]:
    """The newest order and one before it."""
    return [snapshot.data.seq - 1, snapshot.data.seq]


@pytest.fixture(scope="module")
def everything() -> Walk:
    return walk(ORDER, ORDER.initial, sequences, naming_the_next=(o.OrderWanted, o.OrderRecovered))


def test_sometimes_every_state_and_every_row_is_reached(everything: Walk) -> None:
    assert {snapshot.state for snapshot in everything.snapshots} == set(S)
    left = [row for row in everything.rows_not_taken(ORDER) if row.source is not S.IDLE]
    assert left == []


def test_always_an_order_is_sent_once_and_after_its_intent(everything: Walk) -> None:
    sends = [edge for edge in everything.edges for one in edge.effects if isinstance(one, o.SendOrder)]
    assert {(edge.before.state, type(edge.event)) for edge in sends} == {
        (S.PLANNED, o.IntentRecorded),
        (S.PLANNED, o.IntentFailed),
        (S.UNGUARDED, o.GuardRuns),
    }
    for edge in sends:
        may_not_wait = edge.before.data.role is CLOSE or not edge.before.data.rests
        assert may_not_wait or edge.before.state is S.UNGUARDED
        if isinstance(edge.event, o.IntentFailed):
            assert edge.before.data.role is CLOSE


def test_always_an_end_is_told_once_and_is_the_state_that_is_entered(everything: Walk) -> None:
    for edge in everything.edges:
        ends = [one for one in edge.effects if isinstance(one, o.OrderEnded)]
        enters = edge.after.state in o.FINAL and edge.before.state not in o.FINAL
        assert [one.end for one in ends] == ([edge.after.state] if enters else [])


def test_always_only_proof_or_a_report_ends_a_doubt(everything: Walk) -> None:
    proofs = (o.AbsenceProven, *o.REPORTS)
    for edge in everything.edges:
        if edge.before.state is S.IN_DOUBT and edge.after.state is not S.IN_DOUBT:
            assert isinstance(edge.event, proofs)


def test_always_an_order_that_may_be_out_stays_its_slots_only_one(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.after.data.seq != edge.before.data.seq:
            assert edge.before.state in o.FREE


def test_always_a_filled_order_has_fills_and_a_fill_is_never_forgotten(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.after.state is S.FILLED:
            assert edge.after.data.has_fills
        if edge.before.data.seq == edge.after.data.seq and edge.before.data.has_fills:
            assert edge.after.data.has_fills


def test_always_one_write_is_under_way_of_an_order(everything: Walk) -> None:
    """A write starts where nothing is awaited: from rest, from the answer to another, or from a query's."""
    writes = (o.AmendOrder, o.CancelOrder)
    for edge in everything.edges:
        if any(isinstance(one, writes) for one in edge.effects):
            answers = edge.before.state is S.AMENDING and isinstance(edge.event, o.AMEND_ANSWERS)
            knows = edge.before.state in (S.SENT, S.IN_DOUBT, *o.RESTING)
            assert answers or knows


def test_always_a_cancel_stays_wanted_until_the_end(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.before.data.cancel_wanted and edge.after.state not in o.FREE:
            assert edge.after.data.cancel_wanted


# Any mailbox.

ANSWERS = {
    o.RecordIntent: (o.IntentRecorded, o.IntentFailed),
    o.SendOrder: (o.WriteDenied, o.OrderAcknowledged, o.OrderRefused, o.AnswerLost),
    o.QueryOrder: (o.QueryInconclusive, o.AbsenceProven, *o.REPORTS),
    o.CancelOrder: o.CANCEL_ANSWERS,
    o.AmendOrder: o.AMEND_ANSWERS,
    o.StartQueryTimer: (o.QueryDue,),
}


@given(st.data())
def test_whatever_may_still_be_in_the_mailbox_never_raises(data: st.DataObject) -> None:
    snapshot, waiting, pushes = ORDER.initial, list[Event](), list[Event]()
    for _ in range(data.draw(st.integers(1, 60))):
        seq = snapshot.data.seq
        wishes = (o.CancelWanted(seq), o.RepriceWanted(seq), o.OrderDoubted(seq))
        choices: list[Event] = [*waiting, *pushes, *wishes]
        if snapshot.state in o.FREE:
            choices += [o.OrderWanted(seq + 1, role) for role in Role] + [o.OrderRecovered(seq + 1, ENTRY)]
        event = data.draw(st.sampled_from(choices))
        if event in waiting:
            waiting.remove(event)
        snapshot, effects = ORDER.step(snapshot, event)
        for effect in effects:
            answers = ANSWERS.get(type(effect), ())
            if answers:
                waiting.append(data.draw(st.sampled_from(answers))(snapshot.data.seq))
            if isinstance(effect, o.SendOrder | o.QueryOrder) and not isinstance(waiting[-1], o.WriteDenied):
                pushes += [kind(snapshot.data.seq) for kind in o.REPORTS]
