"""Stories about a position that strangers share: only our own part is stopped, closed and remembered."""

from __future__ import annotations

import msgspec
import pytest

from anchorwatch.machine import order, position, protection, requests, world
from anchorwatch.machine.bot import Part, entry_obstacles
from anchorwatch.machine.desk import risk
from anchorwatch.machine.facts import Facts, LegFacts, LegOpenedFact
from anchorwatch.machine.units import Contracts, Deal, LegKey, Side
from anchorwatch.machine.world import OrderReport, StopState
from tests.machine.desk_rig import BTC, LONG, START_MS, DeskRig, of, px

THEIRS = px("0.5")


def shared() -> tuple[DeskRig, requests.PlaceStop]:
    rig = DeskRig(is_exclusive=False).booted()
    rig.enter_and_fill()
    stop = rig.only(requests.PlaceStop)
    rig.say(world.StopPushed(rig.stop(stop, contracts=stop.contracts)))
    rig.asked.clear()
    return rig, stop


def strangers(rig: DeskRig, deal: Deal, contracts: str) -> None:
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.traded(LONG, deal, contracts, 60_000)))


def test_on_an_account_that_others_use_the_stop_has_our_size_exactly() -> None:
    rig, stop = shared()
    assert stop.contracts == rig.leg().contracts
    assert rig.slot().protection.state is protection.S.COVERED
    exclusive = DeskRig().booted()
    exclusive.enter_and_fill()
    assert exclusive.only(requests.PlaceStop).contracts is None


def test_what_a_stranger_adds_is_theirs_and_changes_nothing_of_ours() -> None:
    rig, _ = shared()
    own = rig.leg().contracts
    strangers(rig, Deal.BUY, "0.5")
    assert (rig.leg().contracts, rig.leg().others, rig.leg().total) == (own, THEIRS, own + THEIRS)
    assert rig.announced() == ["MIXED"]
    rig.pass_s(1)
    rig.reconcile(rig.reading(rig.position(own + THEIRS), stops=tuple(rig.leg().stops.values())))
    assert rig.announced() == []
    rig.pass_s(2)
    assert not rig.taken(requests.MoveStop)
    assert not rig.taken(requests.PlaceStop)


def test_what_a_stranger_holds_counts_in_the_limits_of_size() -> None:
    rig, _ = shared()
    strangers(rig, Deal.BUY, "5")  # 3,000 USD
    denied = risk.obstacles(rig.desk.context, LegKey(BTC, Side.SHORT), Contracts(px("0.01")))
    assert "3156 USD in all, allowed 1000" in denied


@pytest.mark.parametrize("added", ["0.5", "0.2"])
def test_a_stranger_whose_fill_was_missed_is_found_by_reading(added: str) -> None:
    rig, _ = shared()
    own = rig.leg().contracts
    rig.pass_s(5)
    rig.reconcile(rig.reading(rig.position(own + px(added)), stops=tuple(rig.leg().stops.values())))
    assert (rig.leg().contracts, rig.leg().others) == (own, px(added))
    assert rig.announced() == ["DRIFT_SIZE", "MIXED"]


def test_a_close_is_of_our_contracts_and_leaves_theirs_watched() -> None:
    rig, _ = shared()
    own = rig.leg().contracts
    strangers(rig, Deal.BUY, "0.5")
    rig.tell(of(Part.POSITION), position.CloseWanted("take profit"))
    ticket = rig.only(requests.PlaceOrder).ticket
    assert ticket.contracts == own
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.filled(ticket, own, 60_300)))
    assert rig.slot().position.state is position.S.WATCHED
    assert (rig.leg().contracts, rig.leg().others) == (THEIRS, px(0))
    assert "EXIT" in rig.announced()
    assert rig.totals["positions_closed"] == 1
    assert len(rig.taken(requests.CancelStops)) == 1
    assert any("watched" in reason for reason in entry_obstacles(rig.bot, LONG))


def test_what_a_stranger_takes_is_taken_from_theirs_first_and_then_is_a_close_by_hand() -> None:
    rig, _ = shared()
    own = rig.leg().contracts
    strangers(rig, Deal.BUY, "0.5")
    strangers(rig, Deal.SELL, "0.4")
    assert (rig.leg().contracts, rig.leg().others) == (own, px("0.1"))
    strangers(rig, Deal.SELL, "0.2")
    assert (rig.leg().contracts, rig.leg().others) == (own - px("0.1"), px(0))
    rig.pass_s(1)
    rig.say(world.ClockTicked())
    move = rig.only(requests.MoveStop)
    assert move.contracts == own - px("0.1")
    strangers(rig, Deal.SELL, str(own - px("0.1")))
    assert rig.slot().position.state is position.S.FLAT
    [line] = [line for line in rig.taken(requests.Announce) if line.name == "EXIT"]
    assert dict(line.fields)["cause"] == "closed by hand"


def test_a_stop_that_is_too_small_after_a_second_fill_grows_before_it_counts_as_cover() -> None:
    rig = DeskRig(is_exclusive=False).booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.filled(ticket, "0.1", 60_000)))
    stop = rig.only(requests.PlaceStop)
    assert stop.contracts == px("0.1")
    rig.say(world.StopPushed(rig.stop(stop, contracts=px("0.1"))))
    assert rig.slot().protection.state is protection.S.COVERED
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts - px("0.1"), 60_000)))
    assert rig.slot().protection.state is protection.S.GROWING
    move = rig.only(requests.MoveStop)
    assert move.contracts == ticket.contracts
    rig.tell(of(Part.PROTECTION), protection.MoveAccepted(move.seq))
    assert rig.slot().protection.state is protection.S.GROWING
    rig.say(world.StopPushed(rig.stop(stop, contracts=ticket.contracts)))
    assert rig.slot().protection.state is protection.S.COVERED
    assert not rig.taken(requests.CancelStops)


def test_a_stop_that_became_too_small_while_its_move_was_under_way_grows_when_that_is_answered() -> None:
    rig = DeskRig(is_exclusive=False).booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.filled(ticket, "0.1", 60_000)))
    stop = rig.only(requests.PlaceStop)
    rig.say(world.StopPushed(rig.stop(stop, contracts=px("0.1"))))
    rig.leg().moving_to = rig.leg().resting
    rig.tell(of(Part.PROTECTION), protection.MoveWanted())
    move = rig.only(requests.MoveStop)
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts - px("0.1"), 60_000)))
    assert rig.slot().protection.state is protection.S.MOVING
    rig.tell(of(Part.PROTECTION), protection.MoveAccepted(move.seq))
    assert rig.slot().protection.state is protection.S.GROWING
    assert rig.only(requests.MoveStop).contracts == ticket.contracts


def test_a_fill_of_ours_that_was_left_to_others_with_the_rest_is_ours_when_it_is_heard_of() -> None:
    rig = DeskRig(is_exclusive=False).booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.filled(ticket, "0.1", 60_000)))
    stop = rig.only(requests.PlaceStop)
    rig.say(world.StopPushed(rig.stop(stop, contracts=px("0.1"))))
    rig.pass_s(1)
    unheard = rig.filled(ticket, ticket.contracts - px("0.1"), 60_000)
    rig.pass_s(1)
    stops = tuple(rig.leg().stops.values())
    rig.reconcile(rig.reading(rig.position(ticket.contracts), stops=stops))
    rest = ticket.contracts - px("0.1")
    assert rig.leg().others == rest  # as far as is known
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_640)))
    assert rig.slot().position.state is position.S.WATCHED
    assert (rig.leg().contracts, rig.leg().others) == (rest, px(0))
    rig.say(world.OrderPushed(unheard))
    assert rig.slot().position.state is position.S.OPEN
    assert (rig.leg().contracts, rig.leg().others) == (rest, px(0))
    assert rig.taken(requests.PlaceStop)[-1].contracts == rest


def test_a_closing_fill_that_is_older_than_the_position_takes_nothing_from_it() -> None:
    rig, stop = shared()
    rig.pass_s(1)
    unheard = rig.stopped_out(stop, 59_640)
    rig.pass_s(1)
    rig.reconcile(rig.reading())
    rig.say(world.AbsenceExplained(LONG, world.STOPPED, px(-1), unheard.updated_ms))
    assert rig.slot().position.state is position.S.FLAT
    rig.pass_s(3600)
    ticket = rig.enter_and_fill()
    rig.say(world.OrderPushed(unheard))
    assert rig.slot().position.state is position.S.OPEN
    assert rig.leg().contracts == ticket.contracts


def test_where_the_venue_refuses_the_size_a_second_stop_bridges_and_the_first_is_swept_after() -> None:
    rig, first = shared()
    strangers(rig, Deal.SELL, "0.1")
    rig.pass_s(2)
    rig.say(world.ClockTicked())
    move = rig.only(requests.MoveStop)
    rig.tell(of(Part.PROTECTION), protection.MoveRefused(move.seq, "51524"))
    read = rig.only(requests.ReadStops)
    rig.say(world.StopsRead(LONG, read.seq, tuple(rig.leg().stops.values())))
    rig.pass_s(2)
    rig.say(world.ClockTicked())
    second = rig.only(requests.PlaceStop)
    assert (second.contracts, second.trigger) == (rig.leg().contracts, first.trigger)
    assert not rig.taken(requests.CancelStops)
    rig.say(world.StopPushed(rig.stop(second, contracts=second.contracts)))
    assert rig.only(requests.CancelStops).venue_ids == (f"a{first.client_id}",)
    assert rig.totals["uncovered_ms_total"] == 0


def test_a_stop_of_ours_that_rests_with_another_size_is_told_and_set_right() -> None:
    rig, stop = shared()
    rig.pass_s(5)
    small = rig.stop(stop, contracts=px("0.1"))
    rig.reconcile(rig.reading(rig.position(rig.leg().contracts), stops=(small,)))
    assert rig.announced() == ["DRIFT_STOP_SIZE"]
    assert rig.only(requests.MoveStop).contracts == rig.leg().contracts


def remembered(contracts: str, order_id: str = "", filled: str = "0") -> Facts:
    opened = LegOpenedFact(LONG, START_MS, px(60_000), px(contracts), "", None, "", order_id, px(filled))
    return Facts(legs=(LegFacts(LONG, opened),))


def test_the_next_life_knows_which_part_was_ours() -> None:
    rig = DeskRig(is_exclusive=False, facts=remembered("0.3"))
    rig.boot(rig.reading(rig.position("0.8")))
    assert (rig.leg().contracts, rig.leg().others) == (px("0.3"), THEIRS)
    assert rig.slot().position.state is position.S.VANISHED  # our stop is not there: did it sell our part?
    assert rig.only(requests.ReadOwnOrders).since_ms < START_MS
    rig.say(world.OwnOrdersRead(LONG, None))
    rig.pass_s(rig.pace.confirmation_retry_s)
    assert rig.only(requests.ReadOwnOrders)
    rig.say(world.OwnOrdersRead(LONG, (ours(rig, "0.3"), rig.traded(LONG, Deal.BUY, "0.5", 60_000))))
    assert rig.slot().position.state is position.S.OPEN
    assert (rig.leg().contracts, rig.leg().others) == (px("0.3"), THEIRS)
    assert rig.only(requests.PlaceStop).contracts == px("0.3")


def ours(rig: DeskRig, contracts: str, deal: Deal = Deal.BUY, stop: str = "") -> OrderReport:
    rig.pass_s(1)
    made = (
        "" if stop else f"awoldold00{'e' if deal is Deal.BUY else 'c'}000000{int(px(contracts) * 100)}"[:18]
    )
    return rig.traded(LONG, deal, contracts, 59_900, client_id=made, stop=stop)


def test_a_stop_that_sold_our_part_while_nobody_looked_leaves_theirs_alone() -> None:
    rig = DeskRig(is_exclusive=False, facts=remembered("0.3"))
    sold = (ours(rig, "0.3"), ours(rig, "0.3", Deal.SELL, stop="awoldold00s0000001"))
    rig.boot(rig.reading(rig.position("0.5")))
    rig.say(world.OwnOrdersRead(LONG, sold))
    assert rig.slot().position.state is position.S.WATCHED
    assert (rig.leg().contracts, rig.leg().others) == (THEIRS, px(0))
    assert not rig.taken(requests.PlaceStop)
    [line] = [line for line in rig.taken(requests.Announce) if line.name == "EXIT"]
    assert dict(line.fields)["cause"] == "stop"
    assert dict(line.fields)["pnl"] == "-0.300"


def test_a_position_that_shrinks_has_our_own_orders_asked_whose_part_it_was() -> None:
    rig, stop = shared()
    own = rig.leg().contracts
    strangers(rig, Deal.BUY, "0.5")
    rig.pass_s(5)
    rig.reconcile(rig.reading(rig.position("0.5")))
    assert rig.taken(requests.ReadOwnOrders)
    assert (rig.leg().contracts, rig.leg().others) == (own, THEIRS)
    child = rig.traded(LONG, Deal.SELL, own, 59_600, stop=stop.client_id)
    rig.say(world.OwnOrdersRead(LONG, (child,)))
    assert rig.slot().position.state is position.S.WATCHED
    assert rig.leg().contracts == THEIRS


def test_of_a_position_that_shrank_while_nobody_looked_no_more_is_ours_than_there_is() -> None:
    rig = DeskRig(is_exclusive=False, facts=remembered("0.3"))
    rig.boot(rig.reading(rig.position("0.2")))
    assert (rig.leg().contracts, rig.leg().others) == (px("0.2"), px(0))


def test_our_fill_that_a_reading_counted_as_a_strangers_is_ours_when_it_is_told() -> None:
    rig = DeskRig(is_exclusive=False).booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.filled(ticket, "0.1", 60_000)))
    rig.pass_s(1)
    late = rig.filled(ticket, "0.1", 60_000)
    rig.pass_s(1)
    rig.reconcile(rig.reading(rig.position("0.2")))
    assert (rig.leg().contracts, rig.leg().others) == (px("0.1"), px("0.1"))
    rig.say(world.OrderPushed(late))
    assert (rig.leg().contracts, rig.leg().others) == (px("0.2"), px(0))


def test_our_close_that_a_reading_counted_already_is_booked_once() -> None:
    rig, _ = shared()
    own = rig.leg().contracts
    rig.tell(of(Part.POSITION), position.CloseWanted("take profit"))
    ticket = rig.only(requests.PlaceOrder).ticket
    rig.pass_s(1)
    late = rig.filled(ticket, "0.1", 60_100)
    rig.pass_s(1)
    rig.reconcile(rig.reading(rig.position(own - px("0.1")), stops=tuple(rig.leg().stops.values())))
    assert rig.leg().contracts == own - px("0.1")
    rig.say(world.OrderPushed(late))
    assert (rig.leg().contracts, rig.leg().others) == (own - px("0.1"), px(0))
    assert rig.totals["realised_pnl"] == px("0.1")


def test_an_entry_of_ours_that_fills_on_what_appeared_meanwhile_is_protected() -> None:
    rig = DeskRig(is_exclusive=False).booted()
    ticket = rig.enter()
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.traded(LONG, Deal.BUY, "0.5", 60_000)))
    assert rig.slot().position.state is position.S.WATCHED
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.filled(ticket, "0.1", 60_000)))
    assert rig.slot().position.state is position.S.OPEN
    assert (rig.leg().contracts, rig.leg().others) == (px("0.1"), THEIRS)
    assert rig.only(requests.PlaceStop).contracts == px("0.1")


def test_hands_off_an_instrument_registers_and_tells_and_touches_nothing() -> None:
    facts = msgspec.structs.replace(remembered("0.3"), hands_off=(LONG.instrument,))
    rig = DeskRig(facts=facts)
    orphan = rig.stop("awoldold00s0000007", trigger=px(59_000))
    rig.boot(rig.reading(rig.position("0.3"), stops=(orphan,)))
    assert rig.slot().position.state is position.S.WATCHED
    assert not rig.taken(requests.PlaceStop)
    assert not rig.taken(requests.CancelStops)
    assert "HANDS_OFF" in rig.announced()
    rig.cross(Side.LONG)
    assert not rig.taken(requests.PlaceOrder)
    assert any("hands off" in reason for reason in entry_obstacles(rig.bot, LONG))


@pytest.mark.parametrize("others_are_in", [True, False])
def test_while_a_stop_sells_our_part_no_close_is_sent_that_would_sell_a_strangers(
    others_are_in: bool,
) -> None:
    rig, stop = shared()
    if others_are_in:
        strangers(rig, Deal.BUY, "0.5")
    rig.say(world.StopPushed(rig.stop(stop, contracts=stop.contracts, state=StopState.TRIGGERED)))
    rig.cross(Side.SHORT)  # the strategy would be out of it
    closes = [one.ticket for one in rig.taken(requests.PlaceOrder) if one.ticket.leg == LONG]
    assert [ticket.role for ticket in closes] == ([] if others_are_in else [order.Role.CLOSE])
    rig.pass_s(rig.pace.fill_overdue_s)
    assert (
        rig.slot().position.state is position.S.CLOSING
    )  # it has not filled, and is no reason to wait for ever
