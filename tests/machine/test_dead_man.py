"""Stories about the dead man's switch, a walk through everything that can become of it, and any mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import dead_man as d
from anchorwatch.machine.dead_man import DEAD_MAN, S, Switch
from anchorwatch.machine.kernel import Effect, Event, Snapshot, UnexpectedEvent
from tests.machine.walks import Walk, walk


def after(
    *events: Event, start: Snapshot[Switch] = d.DISARMED
) -> tuple[Snapshot[Switch], tuple[Effect, ...]]:
    """The snapshot after all events, and the effects of the last."""
    snapshot, effects = start, tuple[Effect, ...]()
    for event in events:
        snapshot, effects = DEAD_MAN.step(snapshot, event)
    return snapshot, effects


def armed() -> Snapshot[Switch]:
    return after(d.SwitchWanted(), d.RenewalTaken(1))[0]


def failing() -> Snapshot[Switch]:
    return after(d.RenewalDue(2), d.RenewalFailed(3, "no answer"), start=armed())[0]


def test_it_is_armed_when_an_entry_is_about_to_rest_and_renewed_by_a_timer() -> None:
    snapshot, effects = after(d.SwitchWanted())
    assert (snapshot.state, effects) == (S.ARMING, (d.Renew(1),))
    snapshot, effects = after(d.RenewalTaken(1), start=snapshot)
    assert (snapshot.state, effects) == (S.ARMED, (d.StartRenewalTimer(2),))
    snapshot, effects = after(d.RenewalDue(2), start=snapshot)
    assert (snapshot.state, effects) == (S.RENEWING, (d.Renew(3),))
    snapshot, effects = after(d.RenewalTaken(3), start=snapshot)
    assert (snapshot.state, effects) == (S.ARMED, (d.StartRenewalTimer(4),))


def test_it_is_disarmed_when_nothing_rests_any_more() -> None:
    snapshot, effects = after(d.SwitchUnwanted(), start=armed())
    assert (snapshot.state, effects) == (S.DISARMING, (d.Disarm(3),))
    assert after(d.RenewalDue(2), start=snapshot) == (snapshot, ())  # the timer of before
    snapshot, effects = after(d.DisarmTaken(3), start=snapshot)
    assert (snapshot.state, effects) == (S.DISARMED, ())


def test_what_an_earlier_life_may_have_armed_is_ended_and_asked_for_until_the_exchange_says_so() -> None:
    snapshot, effects = after(d.SwitchUnwanted(), start=DEAD_MAN.initial)
    assert (snapshot.state, effects) == (S.DISARMING, (d.Disarm(1),))
    snapshot, _ = after(d.DisarmFailed(1, "no answer"), start=snapshot)
    assert snapshot.state is S.FAILING
    snapshot, effects = after(d.RenewalDue(2), start=snapshot)
    assert (snapshot.state, effects) == (S.DISARMING, (d.Disarm(3),))
    assert after(d.DisarmTaken(3), start=snapshot) == (Snapshot(S.DISARMED, Switch(3)), ())


def test_an_entry_of_an_earlier_life_that_rests_arms_it_anew() -> None:
    snapshot, effects = after(d.SwitchWanted(), start=DEAD_MAN.initial)
    assert (snapshot.state, effects) == (S.ARMING, (d.Renew(1),))


def test_a_renewal_that_fails_is_told_once_and_tried_again_until_it_works() -> None:
    snapshot, effects = after(d.RenewalDue(2), d.RenewalFailed(3, "no answer"), start=armed())
    assert (snapshot.state, effects) == (S.FAILING, (d.TellFailing("no answer"), d.StartRetryTimer(4)))
    snapshot, effects = after(d.RenewalDue(4), d.RenewalFailed(5, "no answer"), start=snapshot)
    assert (snapshot.state, effects) == (S.FAILING, (d.StartRetryTimer(6),))
    snapshot, _ = after(d.RenewalDue(6), d.RenewalTaken(7), start=snapshot)
    assert snapshot.state is S.ARMED


@pytest.mark.parametrize("answer", [d.RenewalTaken(1), d.RenewalFailed(1)])
def test_what_is_wanted_while_a_renewal_is_asked_for_is_remembered(answer: Event) -> None:
    asking = after(d.SwitchWanted(), d.SwitchUnwanted())[0]
    assert asking.state is S.ARMING
    snapshot, effects = after(answer, start=asking)
    assert (snapshot.state, effects) == (S.DISARMING, (d.Disarm(2),))


def test_an_entry_that_comes_while_it_is_disarmed_arms_it_again() -> None:
    snapshot, effects = after(d.SwitchUnwanted(), d.SwitchWanted(), d.DisarmTaken(3), start=armed())
    assert (snapshot.state, effects) == (S.ARMING, (d.Renew(4),))


def test_an_end_that_was_not_acknowledged_is_asked_for_again() -> None:
    snapshot, _ = after(d.SwitchUnwanted(), d.DisarmFailed(3, "no answer"), start=armed())
    assert snapshot.state is S.FAILING
    snapshot, effects = after(d.RenewalDue(4), start=snapshot)
    assert (snapshot.state, effects) == (S.DISARMING, (d.Disarm(5),))


@pytest.mark.parametrize(
    "start", [DEAD_MAN.initial, d.DISARMED, armed(), failing()], ids=lambda one: one.state.value
)
def test_once_it_took_a_stop_it_is_off_for_good(start: Snapshot[Switch]) -> None:
    snapshot, effects = after(d.StopsTaken("a stop went with it"), start=start)
    assert (snapshot.state, effects) == (S.OFF, (d.GiveUp("a stop went with it"),))
    for event in (d.SwitchWanted(), d.SwitchUnwanted(), d.StopsTaken(), d.DisarmTaken(snapshot.data.seq)):
        assert after(event, start=snapshot) == (snapshot, ())


def test_an_answer_that_nothing_asked_for_is_a_defect() -> None:
    with pytest.raises(UnexpectedEvent, match="nothing is asked"):
        after(d.RenewalTaken(2), start=armed())


# Everything that can become of it.


@pytest.fixture(scope="module")
def everything() -> Walk:
    return walk(DEAD_MAN, DEAD_MAN.initial, lambda one: [one.data.seq - 1, one.data.seq])


def test_sometimes_every_state_and_every_row_is_reached(everything: Walk) -> None:
    assert {snapshot.state for snapshot in everything.snapshots} == set(S)
    assert everything.rows_not_taken(DEAD_MAN) == []


def test_always_one_request_at_a_time(everything: Walk) -> None:
    asking = (*d.ASKING, S.DISARMING)
    for edge in everything.edges:
        if any(isinstance(one, d.Renew | d.Disarm) for one in edge.effects):
            answered = isinstance(edge.event, d.RenewalTaken | d.RenewalFailed | d.DisarmTaken)
            assert edge.before.state not in asking or answered


def test_always_a_disarmed_switch_was_told_so_by_the_venue(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.after.state is S.DISARMED and edge.before.state is not S.DISARMED:
            assert isinstance(edge.event, d.DisarmTaken)


def test_always_a_switch_that_is_wanted_is_armed_or_on_its_way(everything: Walk) -> None:
    for snapshot in everything.snapshots:
        if snapshot.data.is_wanted:
            assert snapshot.state not in (S.DISARMED, S.OFF)


ANSWERS: dict[type[Effect], tuple[type[d.OfSwitch], ...]] = {
    d.Renew: (d.RenewalTaken, d.RenewalFailed),
    d.Disarm: (d.DisarmTaken, d.DisarmFailed),
    d.StartRenewalTimer: (d.RenewalDue,),
    d.StartRetryTimer: (d.RenewalDue,),
}


@given(st.data())
def test_whatever_may_still_be_in_the_mailbox_never_raises(data: st.DataObject) -> None:
    snapshot, waiting = DEAD_MAN.initial, list[Event]()
    for _ in range(data.draw(st.integers(1, 60))):
        choices = [*waiting, d.SwitchWanted(), d.SwitchUnwanted(), d.StopsTaken()]
        event = data.draw(st.sampled_from(choices))
        if event in waiting:
            waiting.remove(event)
        snapshot, effects = DEAD_MAN.step(snapshot, event)
        for effect in effects:
            if type(effect) in ANSWERS:
                waiting.append(data.draw(st.sampled_from(ANSWERS[type(effect)]))(snapshot.data.seq))
