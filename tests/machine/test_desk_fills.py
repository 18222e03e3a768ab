"""Stories about fills at the desk: the stop that follows each, and every contract counted once."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from anchorwatch.machine import ids, order, position, protection, requests, world
from anchorwatch.machine.bot import Part
from anchorwatch.machine.facts import Facts, IntentFact
from anchorwatch.machine.units import Deal, LegKey, Side
from anchorwatch.machine.world import OrderState, StopState
from tests.machine.desk_rig import LONG, SHORT, START_MS, DeskRig, of, px


@pytest.mark.parametrize(
    ("wants", "leg", "opens", "closes", "level"),
    [(Side.LONG, LONG, Deal.BUY, Deal.SELL, "59640.0"), (Side.SHORT, SHORT, Deal.SELL, Deal.BUY, "60360.0")],
)
def test_a_fill_asks_for_the_stop_in_the_same_step(
    wants: Side, leg: LegKey, opens: Deal, closes: Deal, level: str
) -> None:
    rig = DeskRig(wants=wants).booted()
    ticket = rig.enter()
    assert (ticket.leg, ticket.deal, ticket.is_reduce_only) == (leg, opens, False)
    assert ticket.contracts == px("0.25")  # 150 USDT at 60,000 and 0.01 coins a contract
    rig.say(world.OrderPushed(rig.filled(ticket, "0.25", 60_000)))
    stop = rig.only(requests.PlaceStop)
    assert (stop.leg, stop.deal, stop.trigger) == (leg, closes, px(level))
    assert rig.slot(leg).position.state is position.S.OPEN
    assert rig.slot(leg).entry.state is order.S.FILLED
    assert rig.slot(leg).protection.state is protection.S.ARMING


@pytest.mark.parametrize(("wants", "level"), [(Side.LONG, "59640.0"), (Side.SHORT, "60360.0")])
def test_an_entry_travels_with_a_stop_of_its_own(wants: Side, level: str) -> None:
    attached = DeskRig(wants=wants).booted().enter().attached
    assert attached is not None
    assert attached.trigger == px(level)


@pytest.mark.parametrize(("wants", "filled_at"), [(Side.LONG, "59990"), (Side.SHORT, "60010")])
def test_our_own_stop_is_no_looser_than_the_one_that_travelled_with_the_entry(
    wants: Side, filled_at: str
) -> None:
    """The belt is reckoned from mark; a better fill would put our stop behind it, and swap the tighter for it."""
    rig = DeskRig(wants=wants).booted()
    ticket = rig.enter_and_fill(px(filled_at))
    assert ticket.attached is not None
    assert rig.only(requests.PlaceStop).trigger == ticket.attached.trigger


def test_an_intent_is_recorded_before_its_order_is_sent() -> None:
    rig = DeskRig().booted()
    rig.journal_writes = False
    rig.cross(Side.LONG)
    assert rig.taken(requests.PlaceOrder) == []
    record = rig.only(requests.Record)
    assert record.address is not None
    assert isinstance(record.done, order.IntentRecorded)
    rig.tell(record.address, record.done)
    assert rig.only(requests.PlaceOrder).ticket.seq == record.done.seq


def test_an_entry_whose_intent_cannot_be_written_is_not_sent() -> None:
    rig = DeskRig().booted()
    rig.journal_writes = False
    rig.cross(Side.LONG)
    record = rig.only(requests.Record)
    assert record.address is not None
    assert isinstance(record.failed, order.IntentFailed)
    rig.tell(record.address, record.failed)
    assert rig.taken(requests.PlaceOrder) == []
    assert rig.slot().position.state is position.S.FLAT


def test_a_close_whose_intent_cannot_be_written_is_sent_all_the_same() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.journal_writes = False
    rig.mark("60700")
    record = rig.only(requests.Record)
    assert record.address is not None
    assert record.failed is not None
    rig.tell(record.address, record.failed)
    assert rig.only(requests.PlaceOrder).ticket.role is order.Role.CLOSE


def test_a_stop_of_the_whole_position_is_placed_once_for_all_partial_fills() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.filled(ticket, "0.10", 60_000)))
    assert rig.slot().entry.state is order.S.PARTIAL
    stop = rig.only(requests.PlaceStop)
    rig.say(world.StopPushed(rig.stop(stop)))
    rig.say(world.OrderPushed(rig.filled(ticket, "0.15", 60_010)))
    assert rig.taken(requests.PlaceStop) == []
    assert rig.leg().contracts == px("0.25")
    assert rig.leg().account.average_price == px("60006")
    assert rig.slot().protection.state is protection.S.COVERED
    assert rig.slot().entry.state is order.S.FILLED


def test_repeated_and_reordered_pushes_count_every_contract_once() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    first = rig.filled(ticket, "0.10", 60_000)
    second = rig.filled(ticket, "0.05", 60_020)
    third = rig.filled(ticket, "0.10", 60_010)
    rig.say(*(world.OrderPushed(report) for report in (first, third, second, third, first)))
    assert rig.leg().contracts == px("0.25")
    # 0.10 at 60,000, 0.05 at 60,020, 0.10 at 60,010: the push that was overtaken is in the average all the same.
    assert rig.leg().account.average_price == px("60008")
    fee = px("0.25") * px("0.01") * px(60_008) * px("0.0005")
    assert rig.totals["fees"] == pytest.approx(fee)
    assert rig.totals["positions_opened"] == 1
    assert len(rig.taken(requests.PlaceStop)) == 1


@pytest.mark.parametrize("position_first", [True, False])
def test_a_position_push_neither_adds_to_a_fill_nor_stands_in_for_it(position_first: bool) -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    pushes = [
        world.PositionPushed(rig.position("0.25")),
        world.OrderPushed(rig.filled(ticket, "0.25", 60_000)),
    ]
    rig.say(*(pushes if position_first else pushes[::-1]))
    assert rig.leg().contracts == px("0.25")
    rig.pass_s(2)
    rig.say(world.ClockTicked())
    assert rig.slot().position.state is position.S.OPEN
    assert rig.announced() == ["ENTRY"]


def test_a_position_push_that_no_fill_explains_within_a_second_has_the_account_read() -> None:
    rig = DeskRig().booted()
    rig.pass_s(1)
    rig.say(world.PositionPushed(rig.position("0.25")))
    rig.pass_s(0.5)
    rig.say(world.ClockTicked())
    assert rig.bot.reconciliation.state.value == "settled"
    rig.pass_s(1)
    rig.say(world.ClockTicked())
    assert rig.bot.reconciliation.state.value == "reading"


def test_a_stop_counts_only_when_it_is_seen_live() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill()
    stop = rig.only(requests.PlaceStop)
    rig.tell(of(Part.PROTECTION), protection.StopAccepted(stop.seq))
    assert rig.slot().protection.state is protection.S.PENDING
    assert rig.only(requests.ReadStops) == requests.ReadStops(LONG, stop.seq)
    rig.say(world.StopsRead(LONG, stop.seq, (rig.stop(stop),)))
    assert rig.slot().protection.state is protection.S.COVERED


def test_the_attached_stop_is_swept_once_our_own_is_live() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter_and_fill()
    assert ticket.attached is not None
    rig.say(world.StopPushed(rig.stop(ticket.attached.client_id, trigger=ticket.attached.trigger)))
    assert rig.taken(requests.CancelStops) == []  # it is all that protects the position
    stop = rig.only(requests.PlaceStop)
    rig.say(world.StopPushed(rig.stop(stop)))
    assert rig.only(requests.CancelStops).venue_ids == (f"a{ticket.attached.client_id}",)


def test_an_attached_stop_that_is_tighter_than_our_own_stays_and_ours_goes() -> None:
    """Mark stands just before the attached level when the fill is heard: our own stop is put a little behind it."""
    rig = DeskRig().booted()
    ticket = rig.enter()
    assert ticket.attached is not None
    rig.mark(ticket.attached.trigger + 1)
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts, px("60000"))))
    stop = rig.only(requests.PlaceStop)
    assert stop.trigger < ticket.attached.trigger
    belt = rig.stop(ticket.attached.client_id, trigger=ticket.attached.trigger, contracts=ticket.contracts)
    rig.say(world.StopPushed(belt))
    rig.say(world.StopPushed(rig.stop(stop)))
    assert rig.only(requests.CancelStops).venue_ids == (rig.stop(stop).venue_id,)
    assert rig.leg().resting == belt.trigger
    assert rig.slot().protection.state is protection.S.COVERED


def test_the_attached_stop_that_shows_late_is_swept_too() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter_and_fill()
    assert ticket.attached is not None
    rig.say(world.StopPushed(rig.stop(rig.only(requests.PlaceStop))))
    rig.say(world.StopPushed(rig.stop(ticket.attached.client_id, trigger=ticket.attached.trigger)))
    assert rig.only(requests.CancelStops).venue_ids == (f"a{ticket.attached.client_id}",)


def test_of_two_live_stops_the_tighter_stays_whichever_came_first() -> None:
    """The venue took our stop seconds late; meanwhile the belt, a little looser, had been adopted."""
    rig = DeskRig().booted()
    ticket = rig.enter_and_fill(px("60020"))
    stop = rig.only(requests.PlaceStop)
    assert ticket.attached is not None
    assert stop.trigger > ticket.attached.trigger
    rig.tell(of(Part.PROTECTION, LONG), protection.StopAnswerLost(stop.seq, "no answer"))
    belt = rig.stop(ticket.attached.client_id, trigger=ticket.attached.trigger, contracts=ticket.contracts)
    rig.say(world.StopsRead(LONG, rig.only(requests.ReadStops).seq, (belt,)))
    assert rig.slot(LONG).protection.state is protection.S.COVERED
    rig.say(world.StopPushed(rig.stop(stop)))
    assert rig.only(requests.CancelStops).venue_ids == (belt.venue_id,)
    assert rig.leg(LONG).resting == stop.trigger


def test_the_childs_fill_of_the_stop_ends_the_leg_with_its_result() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_630)))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.slot().protection.state is protection.S.NONE
    exit_ = next(line for line in rig.taken(requests.Announce) if line.name == "EXIT")
    assert dict(exit_.fields)["cause"] == "stop"
    assert rig.totals["realised_pnl"] == px("-370") * px("0.01") * px("0.25")
    assert rig.totals["positions_closed"] == 1


def test_a_stop_that_triggers_before_its_fill_is_told_is_awaited_and_then_escalated() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.TRIGGERED)))
    assert rig.slot().protection.state is protection.S.TRIGGERED
    assert rig.taken(requests.PlaceOrder) == []
    rig.pass_s(rig.pace.fill_overdue_s)
    close = rig.only(requests.PlaceOrder).ticket
    assert (close.role, close.is_reduce_only, close.deal) == (order.Role.CLOSE, True, Deal.SELL)
    assert rig.slot().position.state is position.S.CLOSING


def test_a_stop_that_the_venue_cancels_is_placed_anew() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.CANCELLED)))
    assert rig.slot().protection.state is protection.S.NAKED
    rig.pass_s(rig.pace.stop_retry_s)
    again = rig.only(requests.PlaceStop)
    assert again.client_id != stop.client_id
    assert again.trigger == stop.trigger


def test_a_leg_that_stays_uncovered_for_five_seconds_is_closed() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill()
    for _ in range(20):
        rig.pass_s(0.5)
        for stop in rig.taken(requests.PlaceStop):
            refused = protection.StopRefused(stop.seq, protection.Refusal.RETRY, "busy")
            rig.tell(of(Part.PROTECTION), refused)
        if closes := rig.taken(requests.PlaceOrder):
            break
    assert [close.ticket.role for close in closes] == [order.Role.CLOSE]
    assert rig.now_ms - START_MS == 5_000


def test_a_stop_that_the_market_has_passed_closes_the_leg_at_once() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill()
    stop = rig.only(requests.PlaceStop)
    beyond = protection.StopRefused(stop.seq, protection.Refusal.BEYOND, "51280")
    rig.tell(of(Part.PROTECTION), beyond)
    assert rig.only(requests.PlaceOrder).ticket.role is order.Role.CLOSE


def test_unprotected_time_is_counted_by_the_venues_clock_from_the_fill_to_the_live_stop() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.pass_s(1)
    fill = rig.filled(ticket, "0.25", 60_000)
    rig.pass_s(0.3)
    rig.say(world.OrderPushed(fill))  # told 300 ms late
    stop = rig.only(requests.PlaceStop)
    rig.pass_s(0.2)
    live = rig.stop(stop)
    rig.pass_s(4)
    rig.say(world.StopPushed(live))  # told 4 s late: it had been live since 500 ms after the fill
    assert rig.totals["uncovered_ms_max"] == 500
    assert rig.totals["uncovered_ms_total"] == 500


def test_the_deadline_of_nakedness_runs_from_the_fill_and_not_from_its_report() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    fill = rig.filled(ticket, "0.25", 60_000)
    rig.pass_s(2)
    rig.say(world.OrderPushed(fill))
    due_ms, told = rig.timers[f"naked {LONG}"]
    assert isinstance(told.event, protection.NakedTooLong)
    assert due_ms - rig.now_ms == 3_000


# Orders and their doubts.


def test_an_order_in_doubt_blocks_the_next_entry_until_the_venue_has_spoken() -> None:
    rig = DeskRig(sides=(Side.LONG,)).booted()
    ticket = rig.enter()
    rig.tell(of(Part.ENTRY), order.AnswerLost(ticket.seq, "time-out"))
    rig.taken(requests.Announce)
    rig.cross(Side.SHORT)
    rig.cross(Side.LONG)
    denied = rig.only(requests.Announce)
    assert denied.name == "ENTRY_DENIED"
    assert "an entry is under way" in dict(denied.fields)["because"]
    assert rig.taken(requests.PlaceOrder) == []
    rig.say(world.OrderAsked(LONG, order.Role.ENTRY, ticket.seq, None, is_final=True))
    rig.cross(Side.SHORT)
    rig.cross(Side.LONG)
    assert rig.only(requests.PlaceOrder).ticket.seq > ticket.seq


def test_an_order_is_asked_for_until_its_absence_is_proven() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.tell(of(Part.ENTRY), order.AnswerLost(ticket.seq, "time-out"))
    for _ in range(3):
        assert rig.only(requests.QueryOrder).ticket == ticket
        rig.say(world.OrderAsked(LONG, order.Role.ENTRY, ticket.seq, None, is_final=False))
        rig.pass_s(rig.pace.query_retry_s)
    rig.say(world.OrderAsked(LONG, order.Role.ENTRY, ticket.seq, None, is_final=True))
    assert rig.slot().entry.state is order.S.ABSENT
    assert rig.slot().position.state is position.S.FLAT


def test_an_order_in_doubt_that_had_filled_is_protected_by_the_answer() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.tell(of(Part.ENTRY), order.AnswerLost(ticket.seq, "time-out"))
    report = rig.filled(ticket, "0.25", 60_000)
    rig.say(world.OrderAsked(LONG, order.Role.ENTRY, ticket.seq, report, is_final=False))
    assert rig.slot().entry.state is order.S.FILLED
    assert rig.only(requests.PlaceStop).trigger == px("59640.0")
    rig.say(world.OrderPushed(report))  # the push was only late
    assert rig.leg().contracts == px("0.25")


def test_a_market_order_without_a_push_is_asked_for_when_it_is_overdue() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.tell(of(Part.ENTRY), order.OrderAcknowledged(ticket.seq))
    rig.pass_s(rig.pace.order_overdue_s)
    assert rig.only(requests.QueryOrder).ticket == ticket


def test_a_fill_after_the_cancel_is_protected_all_the_same() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.ended(ticket, OrderState.LIVE)))
    rig.tell(of(Part.ENTRY), order.CancelWanted(ticket.seq, "the operator"))
    assert rig.only(requests.CancelOrder).ticket == ticket
    rig.say(world.OrderPushed(rig.ended(ticket)))
    assert rig.slot().entry.state is order.S.CANCELLED
    rig.say(world.OrderPushed(rig.filled(ticket, "0.25", 60_000)))
    assert rig.slot().position.state is position.S.OPEN
    assert rig.only(requests.PlaceStop).trigger == px("59640.0")
    assert "LATE_FILL" in rig.announced()


def test_a_refused_entry_leaves_a_flat_leg_that_may_enter_again() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.tell(of(Part.ENTRY), order.OrderRefused(ticket.seq, "51008"))
    assert rig.slot().position.state is position.S.FLAT
    rig.cross(Side.SHORT)
    rig.taken(requests.PlaceOrder)
    assert rig.slot(SHORT).entry.state is order.S.SENT


# The one closer.


def test_a_leg_is_closed_by_one_reduce_only_order_for_what_it_holds() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.cross(Side.SHORT)  # the strategy's exit
    close = rig.only(requests.PlaceOrder).ticket
    assert (close.leg, close.deal, close.contracts) == (LONG, Deal.SELL, px("0.25"))
    assert close.is_reduce_only
    assert close.attached is None
    rig.say(world.OrderPushed(rig.filled(close, "0.25", 60_060)))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.totals["realised_pnl"] == px(60) * px("0.01") * px("0.25")


def test_two_reasons_to_close_make_one_closing_order() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.mark("60700")  # take profit
    rig.cross(Side.SHORT)
    rig.mark("60800")
    assert len(rig.taken(requests.PlaceOrder)) == 1


def test_a_close_that_did_not_close_everything_is_read_and_tried_again() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.mark("60700")
    first = rig.only(requests.PlaceOrder).ticket
    rig.say(world.OrderPushed(rig.filled(first, "0.10", 60_700)))
    rig.say(world.OrderPushed(rig.ended(first)))
    asked = rig.only(requests.ReadLeg)
    assert asked.leg == LONG
    assert rig.taken(requests.PlaceOrder) == []
    rig.say(world.LegRead(LONG, (rig.position("0.15"),), asked.asked_ms))
    second = rig.only(requests.PlaceOrder).ticket
    assert second.contracts == px("0.15")
    rig.pass_s(0.1)
    rig.say(world.OrderPushed(rig.filled(second, "0.15", 60_700)))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.totals["realised_pnl"] == px(700) * px("0.01") * px("0.25")


def test_the_venue_dropping_the_stop_of_a_position_that_closes_is_not_an_alarm() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    rig.mark("60700")
    close = rig.only(requests.PlaceOrder).ticket
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.CANCELLED)))
    assert rig.taken(requests.PlaceStop) == []
    rig.say(world.OrderPushed(rig.filled(close, "0.25", 60_700)))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.slot().protection.state is protection.S.NONE


def test_a_reading_of_stops_that_arrives_after_the_leg_is_flat_protects_nothing() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill()
    stop = rig.only(requests.PlaceStop)
    rig.tell(of(Part.PROTECTION), protection.StopAccepted(stop.seq))
    asked = rig.only(requests.ReadStops)
    listed = rig.stop(stop)
    rig.say(world.OrderPushed(rig.stopped_out(stop, 59_630)))
    assert rig.slot().position.state is position.S.FLAT
    rig.say(world.StopsRead(LONG, asked.seq, (listed,)))
    assert rig.slot().protection.state is protection.S.NONE
    rig.cross(Side.SHORT)
    assert rig.only(requests.PlaceOrder).ticket.leg == SHORT


def test_stops_adopted_again_and_again_do_not_use_up_the_next_entrys_sequence() -> None:
    rig = DeskRig(sides=(Side.LONG,)).booted()
    rig.enter_and_fill()
    for number in range(4):
        stop = rig.only(requests.PlaceStop)
        exists = protection.StopRefused(stop.seq, protection.Refusal.EXISTS, "51088")
        rig.tell(of(Part.PROTECTION), exists)
        asked = rig.only(requests.ReadStops)
        other = rig.stop(f"awrig00000s000000{number}", trigger=stop.trigger)
        rig.say(world.StopsRead(LONG, asked.seq, (other,)))
        assert rig.slot().protection.state is protection.S.COVERED
        rig.say(world.StopPushed(msgspec.structs.replace(other, state=StopState.CANCELLED)))
        rig.pass_s(1)
    rig.say(world.OrderPushed(rig.stopped_out(rig.only(requests.PlaceStop), 59_630)))
    assert rig.slot().position.state is position.S.FLAT
    rig.cross(Side.SHORT)
    rig.cross(Side.LONG)
    ticket = rig.only(requests.PlaceOrder).ticket
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts, 60_000)))
    assert rig.only(requests.PlaceStop).leg == LONG


def test_money_is_decimal_to_the_last_place() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill(Decimal("60000.1"))
    assert rig.leg().account.average_price == Decimal("60000.1")
    assert rig.only(requests.PlaceStop).trigger == Decimal("59640.0")


def test_nor_is_it_looser_when_the_fill_was_not_heard_because_the_bot_had_died() -> None:
    intent = IntentFact(
        client_id=str(ids.ClientId("earlier1", ids.Made.ENTRY, 7)),
        leg=LONG,
        role="entry",
        side="buy",
        contracts=px("0.25"),
        price=None,
        deadline_ms=START_MS,
        at_ms=START_MS,
        belt=px("59640"),
    )
    rig = DeskRig(facts=Facts(intents=(intent,))).booted()
    ticket = rig.desk.context.book.slots[LONG, order.Role.ENTRY]
    rig.say(world.OrderPushed(rig.filled(ticket, "0.25", 59_990)))
    assert rig.only(requests.PlaceStop).trigger == intent.belt
