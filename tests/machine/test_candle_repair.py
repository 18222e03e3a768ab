"""Stories of candles that went missing, from the machine's side; and everything that it can come to."""

from __future__ import annotations

from anchorwatch.machine import candle_repair as r
from anchorwatch.machine.candle_repair import CANDLE_REPAIR, Repair, S
from anchorwatch.machine.kernel import Effect, Event, Snapshot

EVENTS = (
    r.CandlesMissed(),
    r.CandlesWhole(),
    r.HoleStands(),
    r.StallStands(),
    r.ReadingMissed("no answer"),
    r.RepairDue(),
)


def after(
    *events: Event, start: Snapshot[Repair] = CANDLE_REPAIR.initial
) -> tuple[Snapshot[Repair], list[Effect]]:
    snapshot, asked = start, list[Effect]()
    for event in events:
        snapshot, effects = CANDLE_REPAIR.step(snapshot, event)
        asked += effects
    return snapshot, asked


def test_what_is_missing_is_read_once_however_often_it_is_noticed() -> None:
    snapshot, asked = after(r.CandlesMissed(), r.CandlesMissed(), r.CandlesMissed())
    assert (snapshot.state, asked) == (S.READING, [r.ReadCandles()])


def test_a_hole_is_given_up_after_three_complete_answers_and_not_for_those_that_never_came() -> None:
    lost = (r.ReadingMissed("502"), r.RepairDue())
    stands = (r.HoleStands(), r.RepairDue())
    snapshot, asked = after(r.CandlesMissed(), *lost * 10, *stands * 2)
    assert snapshot.state is S.READING
    assert r.GiveUpHole() not in asked
    assert after(r.HoleStands(), start=snapshot) == (CANDLE_REPAIR.initial, [r.GiveUpHole()])


def test_a_stall_is_asked_about_until_the_candles_come() -> None:
    snapshot, asked = after(r.CandlesMissed(), *(r.StallStands(), r.RepairDue()) * 100)
    assert snapshot == Snapshot(S.READING, Repair(answers=0))
    assert asked.count(r.ReadCandles()) == 101
    assert after(r.CandlesWhole(), start=snapshot) == (CANDLE_REPAIR.initial, [])


def test_pushes_may_mend_it_before_the_answer() -> None:
    assert after(r.CandlesMissed(), r.CandlesWhole(), r.HoleStands()) == (
        CANDLE_REPAIR.initial,
        [r.ReadCandles()],
    )


def test_always_one_request_at_a_time_and_sometimes_a_hole_is_given_up() -> None:
    seen, frontier, given_up = {CANDLE_REPAIR.initial}, [CANDLE_REPAIR.initial], False
    while frontier:
        before = frontier.pop()
        for event in EVENTS:
            snapshot, effects = CANDLE_REPAIR.step(before, event)
            given_up |= r.GiveUpHole() in effects
            assert effects.count(r.ReadCandles()) <= (before.state is not S.READING)
            assert snapshot.data.answers < r.ANSWERS_MAX
            if snapshot not in seen:
                seen.add(snapshot)
                frontier.append(snapshot)
    assert {snapshot.state for snapshot in seen} == set(S)
    assert given_up
