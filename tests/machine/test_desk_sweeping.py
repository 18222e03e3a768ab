"""Stories about stops of ours that protect nothing any more: they are cancelled, and nothing is opened into them."""

from __future__ import annotations

from anchorwatch.machine import protection, requests, world
from anchorwatch.machine.bot import Part
from anchorwatch.machine.units import Deal, Side
from anchorwatch.machine.world import StopState
from tests.machine.desk_rig import LONG, DeskRig, of, px


def test_a_stop_without_its_leg_is_swept_by_the_audit() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_630)))
    rig.asked.clear()
    rig.pass_s(5)
    orphan = rig.stop("awrig00000s0000009", trigger=px("59000"))
    by_hand = rig.stop("operator", trigger=px("58000"))
    rig.reconcile(rig.reading(stops=(orphan, by_hand)))
    assert rig.only(requests.CancelStops).venue_ids == (orphan.venue_id,)


def test_no_position_is_opened_into_a_stop_that_may_be_left_there() -> None:
    rig = DeskRig(sides=(Side.LONG,)).booted()
    stop = rig.covered()
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_630)))
    left = rig.only(requests.CancelStops).venue_ids
    assert denied(rig) == "a stop of the position before may rest still"
    rig.pass_s(5)
    rig.reconcile(rig.reading(stops=(rig.stop(stop),)))
    assert rig.only(requests.CancelStops).venue_ids == left
    assert denied(rig) == "a stop of the position before may rest still"
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.CANCELLED)))
    rig.cross(Side.SHORT)
    assert rig.enter().seq


def test_a_reading_without_the_swept_stop_is_as_good_as_its_push() -> None:
    rig = DeskRig(sides=(Side.LONG,)).booted()
    stop = rig.covered()
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_630)))
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    rig.cross(Side.SHORT)
    assert rig.enter().seq


def tick(rig: DeskRig, seconds: int) -> None:
    for _ in range(seconds):
        rig.pass_s(1)
        rig.say(world.ClockTicked())


def denied(rig: DeskRig) -> object:
    """Why the entry that is wished now is not made."""
    rig.asked.clear()
    rig.cross(Side.SHORT)
    rig.cross(Side.LONG)
    assert rig.taken(requests.PlaceOrder) == []
    (line,) = [line for line in rig.taken(requests.Announce) if line.name == "ENTRY_DENIED"]
    return dict(line.fields)["because"]


def test_a_sweep_that_was_lost_is_asked_for_again_by_the_audit() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter_and_fill()
    assert ticket.attached is not None
    belt = rig.stop(ticket.attached.client_id, trigger=ticket.attached.trigger, contracts=ticket.contracts)
    rig.say(world.StopPushed(belt))
    own = rig.stop(rig.only(requests.PlaceStop))
    rig.say(world.StopPushed(own))
    assert rig.only(requests.CancelStops).venue_ids == (belt.venue_id,)
    rig.pass_s(5)
    position = rig.position(ticket.contracts)
    rig.reconcile(rig.reading(position, stops=(own, belt)))
    assert rig.only(requests.CancelStops).venue_ids == (belt.venue_id,)
    rig.pass_s(5)
    rig.reconcile(rig.reading(position, stops=(own,)))
    assert rig.taken(requests.CancelStops) == []


def test_a_persons_stop_that_gives_way_to_a_tighter_one_of_ours_is_left_to_that_person() -> None:
    """Adopted because ours was refused; the attached one comes to life late, is tighter, and takes its place."""
    rig = DeskRig().booted()
    ticket = rig.enter_and_fill()
    assert ticket.attached is not None
    refused = rig.only(requests.PlaceStop)
    exists = protection.StopRefused(refused.seq, protection.Refusal.EXISTS, "51088")
    rig.tell(of(Part.PROTECTION), exists)
    by_hand = rig.stop("", trigger=ticket.attached.trigger - 100)
    rig.say(world.StopsRead(LONG, rig.only(requests.ReadStops).seq, (by_hand,)))
    assert rig.slot().protection.state is protection.S.COVERED
    belt = rig.stop(ticket.attached.client_id, trigger=ticket.attached.trigger, contracts=ticket.contracts)
    rig.say(world.StopPushed(belt))
    assert rig.leg().resting == belt.trigger
    assert rig.taken(requests.CancelStops) == []


def test_a_sweep_that_nobody_answers_is_asked_for_again_every_few_seconds() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_630)))
    (left,) = rig.only(requests.CancelStops).venue_ids
    tries = []
    for second in range(1, 13):
        rig.asked.clear()
        tick(rig, 1)
        tries += [second for sweep in rig.taken(requests.CancelStops) if sweep.venue_ids == (left,)]
    assert tries == [5, 10]
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.CANCELLED)))
    rig.asked.clear()
    tick(rig, 10)
    assert rig.taken(requests.CancelStops) == []


def test_what_a_reading_shows_without_its_leg_is_asked_for_again_until_a_position_is_there() -> None:
    """Where somebody has opened one the stop may be all that covers it."""
    rig = DeskRig().booted()
    orphan = rig.stop("awrig00000s0000009", trigger=px("59000"))
    rig.reconcile(rig.reading(stops=(orphan,)))
    rig.asked.clear()
    tick(rig, 5)
    assert rig.only(requests.CancelStops).venue_ids == (orphan.venue_id,)
    rig.asked.clear()
    rig.say(world.OrderPushed(rig.traded(LONG, Deal.BUY, "0.02", 60_000)))
    assert rig.leg().contracts
    tick(rig, 10)
    assert rig.taken(requests.CancelStops) == []
