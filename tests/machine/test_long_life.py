"""A life of the desk alone that is long: what it remembers has an end."""

from __future__ import annotations

from anchorwatch.machine import connection, protection, requests, world
from anchorwatch.machine.book import DECISIONS_COUNTED, ORDERS_REMEMBERED, Book
from anchorwatch.machine.bot import Address, Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.units import Side
from anchorwatch.machine.world import StopState
from tests.machine.desk_rig import ENTRY, DeskRig, of
from tests.weight import held_by

ROUNDS = ORDERS_REMEMBERED // 2 + 50
"""Two orders of ours are made in each, so after these all that is remembered by count is full."""

MORE = 400
"""What leaks in each of these is seen."""


def a_round(rig: DeskRig, number: int) -> None:
    """In, covered, moved, stopped out, and an entry that comes to nothing; now and then a socket is lost and all is read."""
    rig.cross(Side.SHORT)
    stop = rig.covered()
    rig.pass_s(2)
    rig.mark(ENTRY + 400)
    for move in rig.taken(requests.MoveStop):
        rig.tell(of(Part.PROTECTION, stop.leg), protection.MoveAccepted(move.seq))
        rig.say(world.StopPushed(rig.stop(stop, trigger=move.trigger)))
    rig.say(world.ClockTicked())
    rig.say(world.PositionPushed(rig.position(rig.leg(stop.leg).contracts, leg=stop.leg)))
    rig.say(world.OrderPushed(rig.stopped_out(stop, ENTRY + 100)))
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.TRIGGERED)))
    rig.say(world.PositionPushed(rig.position("0", leg=stop.leg)))
    rig.mark(ENTRY)
    _pass_s(rig, 60)
    rig.cross(Side.SHORT)
    rig.say(world.OrderPushed(rig.ended(rig.enter())))
    if number % 10 == 0:
        _lose_and_return(rig)
    _pass_s(rig, 60)
    for kept in (rig.asked, rig.moves, rig.sold):
        kept.clear()


def _lose_and_return(rig: DeskRig) -> None:
    epoch = rig.bot.link(Name.PRIVATE).data.epoch
    rig.say(_of_private(connection.SocketLost(epoch, "reset")))
    _pass_s(rig, 10)
    rig.say(_of_private(connection.LiveLasted(rig.bot.link(Name.PRIVATE).data.epoch)))


def _of_private(event: Event) -> Told:
    return Told(Address(Part.CONNECTION, link=Name.PRIVATE), event)


def _pass_s(rig: DeskRig, seconds: float) -> None:
    rig.pass_s(seconds)
    while rig.answer_start():
        pass


def test_thousands_of_orders_leave_no_more_than_a_thousand_did() -> None:
    rig = DeskRig(sides=(Side.LONG,)).booted()
    weights = []
    for number in range(1, ROUNDS + MORE + 1):
        a_round(rig, number)
        if number in (ROUNDS, ROUNDS + MORE):
            weights.append(held_by(rig.desk))
    assert rig.totals["positions_closed"] == ROUNDS + MORE
    assert not weights[1] - weights[0]


def test_a_strategy_that_names_its_signals_anew_each_time_fills_no_memory() -> None:
    book = Book()
    for number in range(2 * DECISIONS_COUNTED):
        book.count_decision(f"signal at {number}")
    book.count_decision("signal at 0")
    assert len(book.decisions) == DECISIONS_COUNTED + 1
    assert book.decisions["signal at 0"] == 2
    assert book.decisions["others"] == DECISIONS_COUNTED
