"""Stories about the stop that follows the price, and about leaving at a profit or for age."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorwatch.machine import order, position, protection, reconciliation, requests, world
from anchorwatch.machine.bot import RECONCILIATION, Part
from anchorwatch.machine.parameters import Protecting
from anchorwatch.machine.trailing_stop import is_tighter
from anchorwatch.machine.units import Fraction, LegKey, Side
from tests.machine.desk_rig import LONG, SHORT, DeskRig, of, px

PATIENT = Protecting(take_profit_fraction=Fraction(Decimal(0)), max_holding_s=0)
"""Never closes by itself: for stories about the stop alone."""


def leg_of(side: Side) -> LegKey:
    return LONG if side is Side.LONG else SHORT


def trailing(side: Side = Side.LONG) -> DeskRig:
    """A covered leg, entered at 60,000, more than a second ago."""
    rig = DeskRig(wants=side, protecting=PATIENT).booted()
    rig.covered()
    rig.pass_s(2)
    return rig


def accept(rig: DeskRig, move: requests.MoveStop) -> None:
    rig.tell(of(Part.PROTECTION, move.leg), protection.MoveAccepted(move.seq))


@pytest.mark.parametrize(
    ("side", "marks", "level"),
    [
        (Side.LONG, ("60100", "60300", "60200"), "60119.1"),  # 0.3 % behind the peak of 60,300
        (Side.SHORT, ("59900", "59700", "59800"), "59879.1"),
    ],
)
def test_the_stop_follows_the_peak_of_mark(side: Side, marks: tuple[str, ...], level: str) -> None:
    rig = trailing(side)
    for mark in marks:
        rig.mark(mark)
    assert rig.leg(leg_of(side)).peak == px(marks[1])
    move = rig.only(requests.MoveStop)
    assert move.trigger == px(level)
    assert rig.slot(move.leg).protection.state is protection.S.MOVING


@pytest.mark.parametrize(("side", "mark"), [(Side.LONG, "60239"), (Side.SHORT, "59761")])
def test_the_stop_stays_until_the_profit_activates_it(side: Side, mark: str) -> None:
    rig = trailing(side)
    rig.mark(mark)  # just under 0.4 %
    assert rig.taken(requests.MoveStop) == []


@pytest.mark.parametrize("told_by", ["reading", "push"])
def test_what_was_read_or_sent_before_a_move_is_not_taken_for_what_rests(told_by: str) -> None:
    """The next move was compared with the old level, and loosened the stop by three ticks as mark came close."""
    rig = DeskRig(wants=Side.LONG, protecting=PATIENT).booted()
    before = rig.stop(rig.covered())
    size = rig.leg().contracts
    rig.pass_s(2)
    rig.tell(RECONCILIATION, reconciliation.CheckDue())
    seq, old = rig.only(reconciliation.ReadAccount).seq, rig.reading(rig.position(size), stops=(before,))
    rig.pass_s(0.1)
    rig.mark("60300")
    accept(rig, rig.only(requests.MoveStop))
    assert rig.leg().resting == px("60119.1")
    rig.say(world.AccountRead(seq, old) if told_by == "reading" else world.StopPushed(before))
    assert rig.leg().resting == px("60119.1")
    rig.pass_s(6)
    rig.asked.clear()
    rig.mark("60119.2")  # so close that a stop at 60,119.1 would not be taken any more
    assert rig.taken(requests.MoveStop) == []


def test_a_stop_is_moved_in_place_and_covers_all_the_while() -> None:
    rig = trailing()
    rig.mark("60300")
    move = rig.only(requests.MoveStop)
    assert move.venue_id == f"a{rig.leg().stop_client_id}"
    assert rig.slot().protection.state in protection.COVERS
    accept(rig, move)
    assert rig.slot().protection.state is protection.S.COVERED
    assert rig.leg().resting == px("60119.1")
    assert rig.taken(requests.PlaceStop) == []
    assert rig.taken(requests.CancelStops) == []


def test_a_stop_is_moved_at_most_once_a_second() -> None:
    rig = trailing()
    moved_at = []
    for tenth in range(50):
        rig.mark(60_300 + 40 * tenth)
        for move in rig.taken(requests.MoveStop):
            moved_at.append(rig.now_ms)
            accept(rig, move)
        rig.pass_s(0.1)
    assert len(moved_at) == 5
    assert all(later - earlier == 1_000 for earlier, later in pairwise(moved_at))


def test_a_better_level_that_waited_for_its_second_is_the_one_that_is_sent() -> None:
    rig = trailing()
    rig.mark("60300")
    accept(rig, rig.only(requests.MoveStop))
    rig.mark("60900")
    assert rig.taken(requests.MoveStop) == []
    rig.pass_s(1)
    rig.mark("60850")
    assert rig.only(requests.MoveStop).trigger == px("60717.3")  # behind the peak of 60,900


@pytest.mark.parametrize(
    ("step", "moves"),
    [
        ("0.2", 0),  # 0.1: a tick
        ("11.0", 1),  # 10.9, and 5 % of the 192 to mark are 9.6
        ("9.0", 0),  # 8.9
    ],
)
def test_a_move_is_worth_a_request_from_two_ticks_and_a_twentieth_of_the_distance(
    step: str, moves: int
) -> None:
    rig = trailing()
    rig.mark("60300")
    accept(rig, rig.only(requests.MoveStop))
    rig.pass_s(2)
    rig.mark(px("60300") + px(step))
    assert len(rig.taken(requests.MoveStop)) == moves


def test_two_ticks_are_the_least_even_when_mark_is_near() -> None:
    near = Protecting(
        take_profit_fraction=Fraction(Decimal(0)),
        trail_fraction=Fraction(Decimal("0.0005")),
        min_move_fraction=Fraction(Decimal(0)),
    )
    rig = DeskRig(protecting=near).booted()
    rig.covered()
    rig.pass_s(2)
    rig.mark("60300.0")
    first = rig.only(requests.MoveStop)
    accept(rig, first)
    rig.pass_s(2)
    rig.mark("60300.1")
    assert rig.taken(requests.MoveStop) == []
    rig.mark("60300.2")
    assert rig.only(requests.MoveStop).trigger - first.trigger == px("0.2")


def test_one_request_at_a_time_while_a_move_is_unanswered() -> None:
    rig = trailing()
    rig.mark("60300")
    rig.only(requests.MoveStop)
    rig.pass_s(5)
    rig.mark("61000")
    assert rig.taken(requests.MoveStop) == []


def test_a_refused_move_is_read_back_and_the_old_level_found_covering() -> None:
    rig = trailing()
    before = rig.leg().resting
    rig.mark("60300")
    move = rig.only(requests.MoveStop)
    rig.tell(of(Part.PROTECTION), protection.MoveRefused(move.seq, "51503"))
    assert rig.slot().protection.state is protection.S.DOUBTFUL
    asked = rig.only(requests.ReadStops)
    assert before is not None
    rig.say(world.StopsRead(LONG, asked.seq, (rig.stop(rig.leg().stop_client_id, trigger=before),)))
    assert rig.slot().protection.state is protection.S.COVERED
    assert rig.leg().resting == before
    rig.pass_s(1)
    rig.mark("60300")
    assert rig.only(requests.MoveStop).trigger == move.trigger  # the better level is not forgotten


def test_a_tightening_that_mark_has_crossed_is_placed_just_behind_mark() -> None:
    rig = trailing()
    rig.mark("60300")
    accept(rig, rig.only(requests.MoveStop))
    rig.mark("61000")  # the level behind this peak is 60,817, but its second is not over
    rig.pass_s(1)
    rig.mark("60200")
    assert rig.only(requests.MoveStop).trigger == px("60169.9")  # 0.05 % behind mark


def test_a_stop_that_is_lost_after_it_has_trailed_is_placed_anew_no_looser() -> None:
    rig = trailing()
    rig.mark("60300")
    move = rig.only(requests.MoveStop)
    accept(rig, move)
    rig.pass_s(2)
    rig.mark("60125")  # so near that a level of today's making would lie lower
    gone = rig.stop(move.client_id, state=world.StopState.CANCELLED)
    rig.say(world.StopPushed(gone))
    rig.pass_s(rig.pace.stop_retry_s)
    assert rig.only(requests.PlaceStop).trigger == move.trigger


@settings(max_examples=60, deadline=None)
@given(
    side=st.sampled_from(Side),
    steps=st.lists(st.tuples(st.integers(-500, 500), st.floats(0.05, 3), st.sampled_from("akrl")), max_size=40),
)  # fmt: skip
def test_whatever_mark_does_no_stop_is_ever_loosened(side: Side, steps: list[tuple[int, float, str]]) -> None:
    rig = trailing(side)
    leg, mark = leg_of(side), 60_000
    first = rig.leg(leg).resting
    assert first is not None
    levels: list[Decimal] = [first]  # as the exchange has them
    for step, seconds, answer in steps:
        mark = max(40_000, mark + step)
        rig.mark(mark)
        rig.pass_s(round(seconds, 1))
        for move in rig.taken(requests.MoveStop):
            assert is_tighter(side, move.trigger, levels[-1])
            push = world.StopPushed(rig.stop(move.client_id, trigger=move.trigger, leg=leg))
            if answer != "r":
                levels.append(move.trigger)
            match answer:
                case "a":
                    accept(rig, move)
                    rig.say(push)
                case "k":  # the push comes before the acknowledgement
                    rig.say(push)
                    accept(rig, move)
                case "l":
                    rig.tell(of(Part.PROTECTION, leg), protection.StopAnswerLost(move.seq, "time-out"))
                case "r":
                    rig.tell(of(Part.PROTECTION, leg), protection.MoveRefused(move.seq, "busy"))
        for asked in rig.taken(requests.ReadStops):
            resting = rig.stop(rig.leg(leg).stop_client_id, trigger=levels[-1], leg=leg)
            rig.say(world.StopsRead(leg, asked.seq, (resting,)))
        assert rig.taken(requests.PlaceStop) == []
        assert rig.taken(requests.CancelStops) == []
        assert rig.slot(leg).position.state is position.S.OPEN


# Profit and age.


@pytest.mark.parametrize(("side", "mark"), [(Side.LONG, "60600"), (Side.SHORT, "59400")])
def test_the_take_profit_asks_the_one_closer(side: Side, mark: str) -> None:
    rig = DeskRig(wants=side).booted()
    rig.covered()
    rig.mark(mark)  # exactly 1 %
    close = rig.only(requests.PlaceOrder).ticket
    assert (close.role, close.leg, close.is_reduce_only) == (order.Role.CLOSE, leg_of(side), True)
    rig.say(world.OrderPushed(rig.filled(close, close.contracts, mark)))
    exit_ = next(line for line in rig.taken(requests.Announce) if line.name == "EXIT")
    assert dict(exit_.fields)["cause"] == "take profit"


@pytest.mark.parametrize(("seconds", "closes"), [(2_699, 0), (2_700, 1)])
def test_a_position_is_closed_when_it_has_been_held_for_its_longest_time(seconds: int, closes: int) -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(seconds)
    rig.say(world.ClockTicked())
    assert len(rig.taken(requests.PlaceOrder)) == closes


def test_a_position_found_after_a_restart_is_as_old_as_it_is() -> None:
    rig = DeskRig().booted()
    rig.reconcile(rig.reading(rig.position("0.3", created_ms=rig.now_ms - 2_700_000)))
    rig.say(world.ClockTicked())
    assert rig.only(requests.PlaceOrder).ticket.role is order.Role.CLOSE


def test_after_a_close_the_instrument_cools_down() -> None:
    rig = DeskRig(sides=(Side.LONG,), cooldown_s=60).booted()
    stop = rig.covered()
    rig.say(world.StopPushed(rig.stop(stop, state=world.StopState.TRIGGERED)))
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_630)))
    for seconds, entries in ((59, 0), (1, 1)):
        rig.pass_s(seconds)
        rig.cross(Side.SHORT)
        rig.cross(Side.LONG)
        assert len(rig.taken(requests.PlaceOrder)) == entries


def test_an_entry_is_denied_on_an_equity_that_is_not_fresh() -> None:
    rig = DeskRig().booted()
    rig.pass_s(61)
    rig.say(world.CandleClosed("BTC-USDT-SWAP", "1m", rig.next_candle(Side.LONG)))
    denied = rig.only(requests.Announce)
    assert dict(denied.fields)["because"] == "the equity is not fresh"
