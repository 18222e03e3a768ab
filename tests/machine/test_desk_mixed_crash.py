"""Stories about a life that ends while strangers share the position: the next one finds which part of it is ours."""

from __future__ import annotations

import msgspec
import pytest

from anchorwatch.io.journal import Journal, open_journal
from anchorwatch.machine import position, protection, reconciliation, requests, world
from anchorwatch.machine.bot import Part
from anchorwatch.machine.order import Role
from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.units import Deal
from anchorwatch.machine.world import OrderReport, OrderState, StopState
from tests.machine.desk_rig import LONG, DeskRig, of, px
from tests.machine.journalled import JournalledRig

FIRST = px("0.1")
"""What fills of the entry at first."""


class Life(JournalledRig):
    """One life on an account that others use."""

    def __init__(self, journal: Journal, generation: int, now_ms: int | None = None) -> None:
        super().__init__(journal, generation, now_ms, is_exclusive=False)

    def next_life(self, *, after_s: int = 60) -> Life:
        following = Life(self._journal, 2, self.now_ms + after_s * 1000)
        following.sold = self.sold  # what the exchange has filled of each order
        return following


class First(Life):
    """A life whose entry has filled in part, and is covered; the rest of it rests."""

    def __init__(self) -> None:
        super().__init__(open_journal(None, "demo", "mixed"), 1)
        self.booted()
        self.ticket = self.enter()
        self.heard = self.filled(self.ticket, FIRST, 60_000)
        self.say(world.OrderPushed(self.heard))
        self.placed = self.only(requests.PlaceStop)
        self.say(world.StopPushed(self.stop(self.placed, contracts=FIRST)))
        self.rest = self.ticket.contracts - FIRST


def asked(rig: DeskRig, report: OrderReport, role: Role = Role.ENTRY) -> None:
    """The answer to the question about an order of the life before."""
    slot = rig.slot()
    seq = (slot.entry if role is Role.ENTRY else slot.close).data.seq
    rig.say(world.OrderAsked(LONG, role, seq, report, is_final=False))


def cancelled(ticket: OrderTicket, report: OrderReport, rig: DeskRig) -> OrderReport:
    return msgspec.structs.replace(report, state=OrderState.CANCELLED, updated_ms=rig.now_ms)


def test_what_an_entry_filled_while_nobody_listened_is_ours_and_not_a_strangers() -> None:
    life = First()
    unheard = life.filled(life.ticket, life.rest, 60_000)
    rig = life.next_life()
    rig.boot(rig.reading(rig.position(life.ticket.contracts)))  # and our stop is not there any more
    assert rig.slot().position.state is position.S.VANISHED
    rig.say(world.OwnOrdersRead(LONG, (unheard,)))
    assert (rig.leg().contracts, rig.leg().others) == (life.ticket.contracts, px(0))
    assert rig.only(requests.PlaceStop).contracts == life.ticket.contracts
    asked(rig, unheard)
    assert (rig.leg().contracts, rig.leg().others) == (life.ticket.contracts, px(0))


def test_a_stop_of_ours_that_was_not_the_one_that_was_meant_does_not_say_that_the_part_is_ours_still() -> (
    None
):
    life = First()
    sold = life.traded(LONG, Deal.SELL, FIRST, 59_600, stop=life.placed.client_id)
    ended = cancelled(life.ticket, life.heard, life)
    rig = life.next_life()
    left = rig.stop("awoldold00s0000009", trigger=px(59_000), contracts=FIRST)
    rig.boot(rig.reading(rig.position(FIRST), stops=(left,)))
    assert rig.slot().position.state is position.S.VANISHED
    asked(rig, ended)
    rig.say(world.OwnOrdersRead(LONG, (ended, sold)))
    assert rig.slot().position.state is position.S.WATCHED
    assert not rig.taken(requests.PlaceStop)


def test_what_an_open_entry_had_filled_is_over_with_the_position_that_it_made() -> None:
    life = First()
    life.pass_s(1)
    life.say(world.OrderPushed(life.traded(LONG, Deal.BUY, FIRST, 60_000)))
    life.pass_s(1)
    life.say(world.OrderPushed(life.traded(LONG, Deal.SELL, FIRST, 59_600, stop=life.placed.client_id)))
    assert life.slot().position.state is position.S.WATCHED
    rig = life.next_life()
    rig.boot(rig.reading(rig.position(FIRST)))
    asked(rig, cancelled(life.ticket, life.heard, rig))
    rig.reconcile(rig.reading(rig.position(FIRST)))
    assert rig.slot().position.state is position.S.WATCHED
    assert not rig.taken(requests.PlaceStop)


def test_what_an_entry_filled_twice_and_was_sold_twice_is_nothing_of_ours() -> None:
    life = First()
    life.pass_s(1)
    once = life.traded(LONG, Deal.SELL, FIRST, 59_600, stop=life.placed.client_id)
    life.say(world.OrderPushed(once))
    assert life.slot().position.state is position.S.FLAT
    life.pass_s(1)
    whole = life.filled(life.ticket, life.rest, 60_000)
    life.say(world.OrderPushed(whole))
    stop = life.only(requests.PlaceStop)
    life.pass_s(1)
    twice = life.traded(LONG, Deal.SELL, life.rest, 59_600, stop=stop.client_id)
    rig = life.next_life()
    rig.boot(rig.reading(rig.position(FIRST)))
    rig.say(world.OwnOrdersRead(LONG, (whole, once, twice)))
    assert rig.slot().position.state is position.S.WATCHED
    assert (rig.leg().contracts, rig.leg().others) == (FIRST, px(0))
    assert not rig.taken(requests.PlaceStop)


@pytest.mark.parametrize("is_of_a_stranger", [False, True])
def test_an_entry_that_fills_on_where_its_first_part_was_sold_unheard_has_a_stop_of_what_is_left(
    is_of_a_stranger: bool,
) -> None:
    life = First()
    sold = life.traded(LONG, Deal.SELL, FIRST, 59_600, stop=life.placed.client_id)
    rig = life.next_life()
    rig.boot(rig.reading())
    assert rig.slot().position.state is position.S.VANISHED
    rig.pass_s(1)
    whole = rig.filled(life.ticket, life.rest, 60_000)
    asked(rig, whole)
    assert not rig.taken(requests.PlaceStop)
    theirs = FIRST if is_of_a_stranger else px(0)
    rig.say(world.OwnOrdersRead(LONG, (sold, whole)))
    assert rig.only(requests.PlaceStop).contracts == life.rest
    rig.pass_s(1)
    rig.reconcile(rig.reading(rig.position(life.rest + theirs)))
    assert (rig.leg().contracts, rig.leg().others) == (life.rest, theirs)


def test_a_position_that_was_missed_and_is_shown_again_may_be_a_strangers() -> None:
    life = First()
    sold = life.traded(LONG, Deal.SELL, FIRST, 59_600, stop=life.placed.client_id)
    ended = cancelled(life.ticket, life.heard, life)
    rig = life.next_life()
    rig.boot(rig.reading())
    asked(rig, ended)
    rig.pass_s(1)
    rig.reconcile(rig.reading(rig.position(FIRST)))
    assert rig.slot().position.state is position.S.VANISHED
    rig.say(world.OwnOrdersRead(LONG, (ended, sold)))
    assert not rig.taken(requests.PlaceStop)
    rig.pass_s(1)
    rig.reconcile(rig.reading(rig.position(FIRST)))
    assert rig.slot().position.state is position.S.WATCHED


def test_the_end_of_a_part_is_not_the_end_of_what_filled_after_it() -> None:
    life = First()
    sold = life.traded(LONG, Deal.SELL, FIRST, 59_600, stop=life.placed.client_id)
    rig = life.next_life()
    rig.boot(rig.reading())
    rig.pass_s(1)
    whole = rig.filled(life.ticket, life.rest, 60_000)
    asked(rig, whole)
    rig.say(world.AbsenceExplained(LONG, world.STOPPED, px(-1), sold.updated_ms))
    assert rig.slot().position.state is position.S.VANISHED
    rig.say(world.OwnOrdersRead(LONG, (sold, whole)))
    assert rig.slot().position.state is position.S.OPEN
    assert rig.leg().contracts == life.rest


def test_how_much_of_an_entry_is_booked_is_remembered_beside_the_close_that_filled_after_it() -> None:
    life = First()
    life.tell(of(Part.POSITION), position.CloseWanted("take profit"))
    close = life.only(requests.PlaceOrder).ticket
    life.pass_s(1)
    half = FIRST / 2
    life.say(world.OrderPushed(life.filled(close, half, 60_100)))
    ended = cancelled(life.ticket, life.heard, life)
    rig = life.next_life()
    ours = rig.stop(life.placed, contracts=FIRST)
    rig.boot(rig.reading(rig.position(half + FIRST), stops=(ours,)))
    asked(rig, ended)
    assert (rig.leg().contracts, rig.leg().others) == (half, FIRST)


def test_what_a_stranger_took_of_ours_is_not_given_back_by_what_another_adds_while_nobody_looks() -> None:
    life = First()
    life.pass_s(1)
    left = FIRST / 2
    life.reconcile(life.reading(life.position(left), stops=tuple(life.leg().stops.values())))
    assert life.leg().contracts == left
    rig = life.next_life()
    stop = rig.stop(life.placed, contracts=FIRST)
    rig.boot(rig.reading(rig.position(FIRST), stops=(stop,)))
    assert (rig.leg().contracts, rig.leg().others) == (left, left)
    assert rig.slot().protection.state is protection.S.MOVING
    assert rig.only(requests.MoveStop).contracts == left


class Forgetful(DeskRig):
    """A life whose disk was lost: it finds a position, and a stop that bears a name of ours."""

    def __init__(self) -> None:
        super().__init__(is_exclusive=False)
        self.left = self.stop("awoldold00s0000001", trigger=px(59_000), contracts=FIRST)
        self.boot(self.shown())

    def shown(self) -> world.AccountReading:
        return self.reading(self.position(FIRST), stops=(self.left,))


def test_what_may_be_ours_is_asked_about_again_when_our_own_orders_could_not_be_read() -> None:
    rig = Forgetful()
    assert rig.slot().position.state is position.S.WATCHED
    assert rig.taken(requests.ReadOwnOrders)
    rig.say(world.OwnOrdersRead(LONG, None))
    seq = rig.only(reconciliation.ReadAccount).seq
    rig.say(world.AccountRead(seq, rig.shown()))
    made = rig.traded(LONG, Deal.BUY, FIRST, 60_000, client_id="awoldold00e0000001")
    assert rig.only(requests.ReadOwnOrders)
    rig.say(world.OwnOrdersRead(LONG, (made,)))
    assert rig.slot().position.state is position.S.OPEN
    assert rig.slot().protection.state is protection.S.COVERED
    assert not rig.taken(requests.CancelStops)


def test_a_stop_of_ours_on_what_turns_out_to_be_a_strangers_is_no_cover_and_is_swept() -> None:
    rig = Forgetful()
    assert rig.slot().protection.state is protection.S.NONE
    assert not rig.taken(requests.CancelStops)  # it may be ours still
    rig.taken(requests.ReadOwnOrders)
    rig.say(world.OwnOrdersRead(LONG, ()))
    rig.pass_s(1)
    rig.reconcile(rig.shown())
    assert rig.only(requests.CancelStops).venue_ids == (rig.left.venue_id,)
    rig.say(world.StopPushed(rig.stop(rig.left.client_id, state=StopState.CANCELLED)))
    assert not rig.taken(requests.PlaceStop)
    assert rig.slot().position.state is position.S.WATCHED
