"""Stories about a part of a position: taken once, by one order, and remembered."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from anchorwatch.io.journal import open_journal
from anchorwatch.machine import order, position, protection, requests, world
from anchorwatch.machine.bot import Part
from anchorwatch.machine.desk import stops
from anchorwatch.machine.facts import Facts, LegClosedFact, LegFacts, LegOpenedFact, PartialTakenFact
from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.units import PositionMode
from anchorwatch.machine.world import OrderState
from tests.machine.desk_rig import LONG, START_MS, DeskRig, of, px


def reduce(rig: DeskRig, contracts: str, reason: str = "first target") -> bool:
    """The desk decides to take a part, while it handles some event."""
    asked = stops.want_reduce(rig.desk.context, rig.leg(), Decimal(contracts), reason)
    rig.say(world.ClockTicked())
    return asked


def reduced(rig: DeskRig, contracts: str) -> OrderTicket:
    assert reduce(rig, contracts)
    return rig.only(requests.PlaceOrder).ticket


def test_a_part_is_closed_and_the_rest_goes_on_under_its_stop() -> None:
    rig = DeskRig().booted()
    rig.covered()
    whole = rig.leg().contracts
    ticket = reduced(rig, "0.1")
    assert (ticket.role, ticket.contracts, ticket.is_reduce_only) == (order.Role.CLOSE, px("0.1"), True)
    assert rig.slot().position.state is position.S.REDUCING
    rig.say(world.OrderPushed(rig.filled(ticket, "0.1", 60_300)))
    read = rig.only(requests.ReadLeg)
    rest = rig.position(whole - px("0.1"))
    rig.say(world.LegRead(LONG, (rest,), read.asked_ms))
    assert rig.slot().position.state is position.S.OPEN
    assert rig.slot().protection.state is protection.S.COVERED
    assert rig.leg().contracts == whole - px("0.1")
    assert not rig.taken(requests.PlaceStop)
    assert not rig.taken(requests.PlaceOrder)


@pytest.mark.parametrize(("mode", "is_resized"), [(PositionMode.NET, True), (PositionMode.HEDGE, False)])
def test_a_stop_of_a_size_gets_that_of_the_rest_where_it_could_turn_the_position(
    mode: PositionMode, is_resized: bool
) -> None:
    """One that came with the entry may be no reduce-only order: in net mode it sold the whole that was no more there."""
    rig = DeskRig(mode=mode).booted()
    rig.enter_and_fill()
    stop, whole = rig.only(requests.PlaceStop), rig.leg().contracts
    rig.say(world.StopPushed(rig.stop(stop, contracts=whole)))
    assert rig.slot().protection.state is protection.S.COVERED
    rig.pass_s(5)
    ticket = reduced(rig, "0.1")
    rig.say(world.OrderPushed(rig.filled(ticket, "0.1", 60_300)))
    read = rig.only(requests.ReadLeg)
    rig.say(world.LegRead(LONG, (rig.position(whole - px("0.1")),), read.asked_ms))
    moves = rig.taken(requests.MoveStop)
    assert [(move.contracts, move.trigger) for move in moves] == (
        [(whole - px("0.1"), stop.trigger)] if is_resized else []
    )


def test_the_stop_is_trailed_while_a_part_is_taken() -> None:
    rig = DeskRig().booted()
    rig.covered()
    reduced(rig, "0.1")
    rig.pass_s(2)
    rig.mark(60_500)
    assert rig.only(requests.MoveStop).trigger > px(60_000)


def test_a_part_is_taken_once_for_each_reason() -> None:
    rig = DeskRig().booted()
    rig.covered()
    ticket = reduced(rig, "0.1")
    assert not reduce(rig, "0.1", "second target")  # one closing order at a time
    rig.say(world.OrderPushed(rig.filled(ticket, "0.1", 60_300)))
    rig.say(world.LegRead(LONG, None, rig.only(requests.ReadLeg).asked_ms))
    assert not reduce(rig, "0.1")
    assert reduce(rig, "0.05", "second target")


@pytest.mark.parametrize("end", [order.OrderRefused, order.WriteDenied])
def test_a_part_whose_order_did_not_fill_may_be_taken_again(end: type[order.OfOrder]) -> None:
    rig = DeskRig().booted()
    rig.covered()
    ticket = reduced(rig, "0.1")
    rig.tell(of(Part.CLOSE), end(ticket.seq))
    rig.say(world.LegRead(LONG, None, rig.only(requests.ReadLeg).asked_ms))
    assert reduce(rig, "0.1")


def test_a_close_that_is_wanted_meanwhile_closes_the_rest_with_one_order_more() -> None:
    rig = DeskRig().booted()
    rig.covered()
    whole = rig.leg().contracts
    first = reduced(rig, "0.1")
    stops.want_close(rig.desk.context, rig.leg(), "held too long")
    rig.say(world.ClockTicked())
    assert rig.taken(requests.PlaceOrder) == []
    rig.say(world.OrderPushed(rig.filled(first, "0.1", 60_300)))
    read = rig.only(requests.ReadLeg)
    rig.say(world.LegRead(LONG, (rig.position(whole - px("0.1")),), read.asked_ms))
    second = rig.only(requests.PlaceOrder).ticket
    assert second.contracts == whole - px("0.1")
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.filled(second, second.contracts, 60_300)))
    assert rig.slot().position.state is position.S.FLAT
    [line] = [line for line in rig.taken(requests.Announce) if line.name == "EXIT"]
    assert dict(line.fields)["cause"] == "held too long"


def test_a_part_that_leaves_less_than_the_minimum_is_a_close() -> None:
    rig = DeskRig().booted()
    rig.covered()
    whole = rig.leg().contracts
    ticket = reduced(rig, str(whole))
    assert ticket.contracts == whole
    assert rig.slot().position.state is position.S.CLOSING
    assert rig.leg().partials == {}


def test_less_than_the_minimum_is_not_asked_for() -> None:
    rig = DeskRig().booted()
    rig.covered()
    assert not reduce(rig, "0.009")
    assert rig.taken(requests.PlaceOrder) == []


def test_the_stop_that_fires_while_a_part_is_taken_ends_the_leg() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    ticket = reduced(rig, "0.1")
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_600)))
    assert rig.slot().position.state is position.S.FLAT
    rig.say(world.OrderPushed(rig.ended(ticket, OrderState.CANCELLED)))
    assert rig.leg().partials == {}
    assert rig.taken(requests.PlaceOrder) == []


TAKEN = PartialTakenFact(LONG, "first target", px("0.1"), "awrig00000c0000001", 5)


def test_the_next_life_knows_the_parts_of_a_position_that_is_still_open() -> None:
    opened = LegOpenedFact(LONG, 1, px(60_000), px("0.25"), "", None, "")
    with open_journal(None, "sim", "a") as journal:
        journal.record([opened, TAKEN])
        assert [leg.partials for leg in journal.read().legs] == [(TAKEN,)]
        journal.record([msgspec.structs.replace(TAKEN, contracts=Decimal(0))])
        assert [leg.partials for leg in journal.read().legs] == [()]
        journal.record([TAKEN, LegClosedFact(LONG, 9, "stop", Decimal(0))])
        journal.record([msgspec.structs.replace(opened, entered_at_ms=10)])
        assert [leg.partials for leg in journal.read().legs] == [()]


def test_a_part_that_an_earlier_life_took_is_not_taken_again() -> None:
    opened = LegOpenedFact(LONG, START_MS, px(60_000), px("0.25"), "", None, "")
    facts = Facts(legs=(LegFacts(LONG, opened, partials=(TAKEN,)),))
    rig = DeskRig(facts=facts)
    rig.boot(rig.reading(rig.position("0.25")))
    assert not reduce(rig, "0.1")
    assert reduce(rig, "0.1", "second target")
