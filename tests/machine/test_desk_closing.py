"""Stories about a close that the venue does not take: mended, tried again, and told."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from anchorwatch.io.okx.refusals import answer_to_close
from anchorwatch.machine import position, protection, requests, world
from anchorwatch.machine.bot import Part
from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.units import Deal
from anchorwatch.machine.world import CloseRefusal
from tests.machine.desk_rig import BTC, LONG, RULES, DeskRig, of, px

COARSE = msgspec.structs.replace(RULES, lot_size=px("0.1"))
SUSPENDED = msgspec.structs.replace(RULES, is_live=False)


def closing(*, is_exclusive: bool = True) -> tuple[DeskRig, OrderTicket]:
    rig = DeskRig(is_exclusive=is_exclusive).booted()
    rig.covered()
    rig.tell(of(Part.POSITION), position.CloseWanted("held too long"))
    return rig, rig.only(requests.PlaceOrder).ticket


def refused(rig: DeskRig, ticket: OrderTicket, code: str) -> requests.ReadLeg:
    """The venue declines the close; the reading after it is asked for."""
    refusal = answer_to_close(code)
    rig.say(world.CloseRefused(ticket.leg, ticket.seq, refusal, f"close: {code}"))
    return rig.only(requests.ReadLeg)


def still_there(rig: DeskRig, read: requests.ReadLeg) -> OrderTicket:
    """The reading shows the position; the next try."""
    rig.pass_s(read.after_s)
    rig.say(world.LegRead(LONG, (rig.position(rig.leg().contracts),), read.asked_ms))
    return rig.only(requests.PlaceOrder).ticket


def test_a_close_that_is_too_large_is_sliced_and_all_of_it_is_closed() -> None:
    rig, ticket = closing()
    whole = rig.leg().contracts
    second = still_there(rig, refused(rig, ticket, "51202"))
    assert second.contracts == px("0.12")  # half of 0.25, on the lot
    assert rig.only(requests.ReloadRules).instrument == RULES.name
    closed = Decimal(0)
    while rig.slot().position.state is position.S.CLOSING:
        rig.pass_s(1)
        rig.say(world.OrderPushed(rig.filled(second, second.contracts, 60_000)))
        closed += second.contracts
        if closed < whole:
            second = still_there(rig, rig.only(requests.ReadLeg))
    assert closed == whole
    assert rig.leg().slice_max is None


@pytest.mark.parametrize("is_exclusive", [True, False])
@pytest.mark.parametrize("code", ["51112", "51115", "51148"])
def test_what_is_in_the_way_of_a_close_is_cancelled_as_far_as_it_is_ours(
    code: str, is_exclusive: bool
) -> None:
    rig, ticket = closing(is_exclusive=is_exclusive)
    refused(rig, ticket, code)
    assert rig.only(requests.CancelCloses) == requests.CancelCloses(LONG, ours_only=not is_exclusive)


def test_a_close_that_fails_is_tried_for_ever_at_a_growing_pause_and_told_again_and_again() -> None:
    rig, ticket = closing()
    pauses = []
    for _ in range(25):
        read = refused(rig, ticket, "51030")
        pauses.append(read.after_s)
        ticket = still_there(rig, read)
    assert pauses[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]
    assert set(pauses[5:]) == {10.0}
    assert rig.announced().count("CLOSE_FAILS") == 3
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts, 60_000)))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.leg().close_tries == 0


def test_a_code_that_nobody_listed_asks_for_another_try() -> None:
    assert answer_to_close("59999") is CloseRefusal.ANOTHER_TRY


def test_a_close_of_a_position_that_is_gone_asks_why() -> None:
    rig, ticket = closing()
    read = refused(rig, ticket, "51169")
    rig.pass_s(2)
    rig.say(world.LegRead(LONG, (), read.asked_ms))
    assert rig.slot().position.state is position.S.VANISHED
    assert rig.only(requests.ExplainAbsence)


def test_a_close_that_nobody_could_make_of_what_seemed_gone_is_made_when_it_is_found() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.tell(of(Part.PROTECTION), protection.StopGone(rig.slot().protection.data.seq))
    rig.tell(of(Part.POSITION), position.AbsenceSeen())
    rig.tell(of(Part.PROTECTION), protection.NakedTooLong())
    assert rig.taken(requests.PlaceOrder) == []
    rig.tell(of(Part.POSITION), position.PositionSeen())
    assert rig.only(requests.PlaceOrder).ticket.deal is Deal.SELL


def waits_while_suspended() -> tuple[DeskRig, requests.ReadLeg]:
    """Four closes were declined because the instrument is suspended; the next try waits."""
    rig, ticket = closing()
    rig.say(world.RulesRead(BTC, SUSPENDED))
    read = refused(rig, ticket, "51022")
    for _ in range(3):
        read = refused(rig, still_there(rig, read), "51022")
    assert read.after_s == 4.0
    rig.pass_s(1)
    return rig, read


def test_a_close_that_waits_is_tried_as_soon_as_the_instrument_is_back() -> None:
    rig, waits = waits_while_suspended()
    rig.say(world.RulesRead(BTC, RULES))
    soon = rig.only(requests.ReadLeg)
    assert soon.after_s == 0.5
    ticket = still_there(rig, soon)
    assert ticket.deal is Deal.SELL
    rig.pass_s(waits.after_s)
    rig.say(world.LegRead(LONG, (rig.position(rig.leg().contracts),), waits.asked_ms))
    assert rig.taken(requests.PlaceOrder) == []  # there is one already
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts, 60_000)))
    assert rig.slot().position.state is position.S.FLAT


def test_a_close_that_does_not_wait_for_the_instrument_is_not_hurried() -> None:
    rig, waits = waits_while_suspended()
    changed = msgspec.structs.replace(SUSPENDED, tick_size=px("0.5"))
    rig.say(world.RulesRead(BTC, changed))  # still suspended
    assert rig.taken(requests.ReadLeg) == []
    still_there(rig, waits)
    rig.say(world.RulesRead(BTC, RULES))  # a closing order is on its way
    assert rig.taken(requests.ReadLeg) == []


def test_of_what_is_no_whole_number_of_lots_any_more_whole_lots_are_closed() -> None:
    rig, ticket = closing()
    read = refused(rig, ticket, "51121")
    rig.say(world.RulesRead(BTC, COARSE))
    lots = still_there(rig, read)
    assert (ticket.contracts, lots.contracts) == (px("0.25"), px("0.2"))
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.filled(lots, lots.contracts, 60_000)))
    assert rig.slot().position.state is position.S.CLOSING
    rest = still_there(rig, rig.only(requests.ReadLeg))
    assert rest.contracts == px("0.05")  # less than a lot: the venue says whether it takes that


def test_a_close_that_waits_is_tried_as_soon_as_the_lot_has_changed() -> None:
    rig, ticket = closing()
    rig.say(world.RulesRead(BTC, COARSE))
    read = refused(rig, ticket, "51121")
    for _ in range(3):
        read = refused(rig, still_there(rig, read), "51121")
    rig.pass_s(1)
    rig.say(world.RulesRead(BTC, COARSE))  # the same again says nothing
    assert rig.taken(requests.ReadLeg) == []
    rig.say(world.RulesRead(BTC, RULES))
    assert rig.only(requests.ReadLeg).after_s == 0.5
