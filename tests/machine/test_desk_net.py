"""The desk in net mode: one position of an instrument, whose orders say only whether they buy or sell."""

from __future__ import annotations

from decimal import Decimal

import pytest

from anchorwatch.machine import bot as bots
from anchorwatch.machine import position, reconciliation, requests, world
from anchorwatch.machine.desk import sweeping
from anchorwatch.machine.units import Deal, PositionMode, Side
from anchorwatch.machine.world import OrderReport, StopState
from tests.machine.desk_rig import LONG, SHORT, DeskRig


def turned_unheard(stop_sold: bool) -> tuple[DeskRig, OrderReport]:
    """A long was sold without a word of it, which a reading and the history said, and a short has been opened since.

    The report of the order that sold it is still on its way.
    """
    rig = DeskRig(mode=PositionMode.NET).booted()
    stop = rig.covered()
    rig.pass_s(5)
    if stop_sold:
        late = rig.stopped_out(stop, 59_700)
    else:
        late = rig.traded(LONG, Deal.SELL, rig.leg().contracts, 59_700)
    rig.reconcile(rig.reading())
    rig.taken(requests.ExplainAbsence)
    rig.say(world.AbsenceExplained(LONG, "stopped", Decimal(-1), rig.now_ms))
    assert rig.slot().position.state is position.S.FLAT
    rig.pass_s(5)
    rig.asked.clear()
    rig.wants = Side.SHORT
    rig.enter_and_fill()
    return rig, late


@pytest.mark.parametrize("stop_sold", [True, False], ids=["our_stop", "a_person"])
def test_what_sold_the_long_and_is_heard_of_late_is_not_taken_for_a_part_of_the_short(
    stop_sold: bool,
) -> None:
    rig, late = turned_unheard(stop_sold)
    held = rig.leg(SHORT).contracts
    assert held
    rig.pass_s(1)
    rig.say(world.OrderPushed(late))
    assert rig.leg(SHORT).contracts == held
    assert not rig.leg().contracts
    assert rig.slot(SHORT).position.state is position.S.OPEN
    assert rig.bot.reconciliation.state is reconciliation.S.SETTLED


def test_what_a_stop_of_ours_opens_by_outliving_its_position_is_read_before_it_is_believed() -> None:
    rig = DeskRig(mode=PositionMode.NET).booted()
    stop = rig.covered()
    rig.pass_s(5)
    rig.say(world.OrderPushed(rig.traded(LONG, Deal.SELL, rig.leg().contracts, 60_000)))
    assert rig.slot().position.state is position.S.FLAT
    rig.asked.clear()
    rig.say(world.OrderPushed(rig.traded(LONG, Deal.SELL, "0.25", 59_700, stop=stop.client_id)))
    assert not rig.leg(SHORT).contracts
    seq = rig.only(reconciliation.ReadAccount).seq
    rig.say(world.AccountRead(seq, rig.reading(rig.position("0.25", leg=SHORT))))
    assert rig.slot(SHORT).position.state is position.S.OPEN
    assert rig.only(requests.PlaceStop).leg == SHORT


@pytest.mark.parametrize("mode", PositionMode)
def test_a_stop_that_is_left_of_the_long_keeps_the_short_shut_where_both_are_one_position(
    mode: PositionMode,
) -> None:
    rig = DeskRig(mode=mode).booted()
    stop = rig.covered()
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_630)))
    rig.asked.clear()
    rig.cross(Side.SHORT)
    sent = [place.ticket.leg for place in rig.taken(requests.PlaceOrder)]
    assert sent == ([] if mode is PositionMode.NET else [SHORT])
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.CANCELLED)))
    assert sweeping.obstacles(rig.desk.context, SHORT) == ()


@pytest.mark.parametrize("mode", PositionMode)
def test_an_entry_does_not_go_out_when_a_person_has_opened_the_other_side_meanwhile(
    mode: PositionMode,
) -> None:
    rig = DeskRig(mode=mode).booted()
    ticket = rig.enter()
    assert not bots.may_still_send(rig.bot, LONG, ticket.seq)
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.traded(SHORT, Deal.SELL, "0.02", 60_000)))
    assert rig.slot(SHORT).position.state is position.S.OPEN
    rig.reconcile(rig.reading(rig.position("0.02", leg=SHORT)))
    assert bool(bots.may_still_send(rig.bot, LONG, ticket.seq)) is (mode is PositionMode.NET)
