"""Stories about how an entry meets the market: resting, repriced, taken back, or crossing."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from anchorwatch.machine import order, permission, position, protection, requests, world
from anchorwatch.machine.bot import PERMISSION, Part
from anchorwatch.machine.parameters import Making, Unfilled
from anchorwatch.machine.requests import CancelOrder, OrderTicket
from anchorwatch.machine.units import Deal, Fraction, OrderKind, PositionMode, Side
from anchorwatch.machine.world import Ending, OrderReport, OrderState
from tests.machine.desk_rig import BTC, ENTRY, LONG, SHORT, DeskRig, of, px

POST_ONLY = Making(OrderKind.POST_ONLY)


def makers(wants: Side = Side.LONG, making: Making = POST_ONLY) -> DeskRig:
    """A desk that is READY and knows the quote: 59,999.9 to 60,000.1."""
    rig = DeskRig(wants=wants, making=making).booted()
    quote(rig, "59999.9", "60000.1")
    return rig


def quote(rig: DeskRig, bid: str, ask: str) -> None:
    rig.say(world.QuoteMoved(BTC, px(bid), px(ask), rig.now_ms))


def report(
    rig: DeskRig,
    ticket: OrderTicket,
    state: OrderState = OrderState.LIVE,
    *,
    price: str = "",
    ending: Ending = Ending.ORDINARY,
) -> OrderReport:
    """The venue's word on an order without a new fill; it rests at its own price, if no other is said."""
    rests_at = px(price) if price else ticket.price
    return msgspec.structs.replace(rig.ended(ticket, state), price=rests_at, ending=ending)


def rested(rig: DeskRig) -> OrderTicket:
    """An entry that the venue shows live."""
    ticket = rig.enter()
    rig.say(world.OrderPushed(report(rig, ticket)))
    rig.asked.clear()
    return ticket


@pytest.mark.parametrize(("wants", "price"), [(Side.LONG, "59999.9"), (Side.SHORT, "60000.1")])
def test_a_maker_rests_at_the_best_price_of_its_own_side(wants: Side, price: str) -> None:
    ticket = makers(wants).enter()
    assert (ticket.kind, ticket.price) == (OrderKind.POST_ONLY, px(price))


def test_an_off_tick_quote_is_brought_to_the_tick_on_the_side_that_does_not_take() -> None:
    rig = makers()
    quote(rig, "59999.97", "60000.13")
    assert rig.enter().price == px("59999.9")


@pytest.mark.parametrize(("wants", "price"), [(Side.LONG, "60030.1"), (Side.SHORT, "59970.0")])
def test_an_ioc_pays_at_most_the_drift_that_is_allowed(wants: Side, price: str) -> None:
    ticket = makers(wants, Making(OrderKind.IOC, drift_fraction=Fraction(Decimal("0.0005")))).enter()
    assert (ticket.kind, ticket.price) == (OrderKind.IOC, px(price))


def test_a_market_order_needs_no_quote_and_has_no_price() -> None:
    ticket = DeskRig(making=Making(OrderKind.MARKET)).booted().enter()
    assert (ticket.kind, ticket.price) == (OrderKind.MARKET, None)


@pytest.mark.parametrize("age_s", [None, 61])
def test_without_a_fresh_quote_no_price_is_made_up(age_s: int | None) -> None:
    rig = DeskRig(making=POST_ONLY).booted()
    rig.desk.context.book.quotes.clear()
    if age_s is not None:
        quote(rig, "59999.9", "60000.1")
        rig.pass_s(age_s)
    rig.cross(rig.wants)
    assert rig.taken(requests.PlaceOrder) == []
    denied = next(line for line in rig.taken(requests.Announce) if line.name == "ENTRY_DENIED")
    assert "no fresh quote" in dict(denied.fields)["because"]


def test_the_intent_of_a_maker_remembers_kind_and_price() -> None:
    rig = makers()
    rig.journal_writes = False
    rig.cross(rig.wants)
    [record] = rig.taken(requests.Record)
    [fact] = record.facts
    assert (getattr(fact, "kind", ""), getattr(fact, "price", None)) == ("post_only", px("59999.9"))


# Following the quote.


def test_a_quote_that_moves_away_takes_the_order_with_it() -> None:
    rig = makers()
    ticket = rested(rig)
    rig.pass_s(2)
    quote(rig, "60000.1", "60000.3")
    asked = rig.only(requests.AmendOrder)
    assert (asked.ticket, asked.price) == (ticket, px("60000.1"))
    assert asked.expires_ms == rig.now_ms + rig.pace.order_valid_ms


@pytest.mark.parametrize(
    ("after_s", "bid"),
    [(2, "60000.0"), (2, "59990.0"), (1, "60001.0")],
    ids=["one tick is not worth a request", "it is ahead of the quote", "too soon after it was placed"],
)
def test_a_quote_that_need_not_be_followed_is_not(after_s: float, bid: str) -> None:
    rig = makers()
    rested(rig)
    rig.pass_s(after_s)
    quote(rig, bid, "60002")
    assert rig.taken(requests.AmendOrder) == []


def follow(rig: DeskRig, ticket: OrderTicket, bid: str) -> bool:
    """The bid moves after a while; says whether the order was amended, and lets the venue do it."""
    rig.pass_s(2)
    quote(rig, bid, "60020")
    if not rig.taken(requests.AmendOrder):
        return False
    rig.say(world.OrderPushed(report(rig, ticket, price=bid)))
    rig.tell(of(Part.ENTRY), order.AmendAcknowledged(ticket.seq))
    return True


def test_a_quote_that_moved_too_soon_is_followed_when_it_is_time() -> None:
    rig = makers()
    rested(rig)
    quote(rig, "60001.0", "60020")
    assert rig.taken(requests.AmendOrder) == []
    rig.pass_s(2)
    rig.say(world.ClockTicked())
    assert rig.only(requests.AmendOrder).price == px("60001.0")


def test_an_order_is_repriced_a_bounded_number_of_times() -> None:
    rig = makers(making=Making(OrderKind.POST_ONLY, reprices_max=2))
    ticket = rested(rig)
    assert [follow(rig, ticket, bid) for bid in ("60001.0", "60002.0", "60003.0")] == [True, True, False]


def test_an_order_is_not_chased_further_than_it_may_drift() -> None:
    rig = makers(making=Making(OrderKind.POST_ONLY, drift_fraction=Fraction(Decimal("0.0001"))))
    ticket = rested(rig)
    assert [follow(rig, ticket, bid) for bid in ("60005.8", "60006.0")] == [True, False]


def test_where_an_order_rests_is_what_the_venue_said_last_whatever_was_asked() -> None:
    rig = makers()
    ticket = rested(rig)
    rig.pass_s(2)
    quote(rig, "60001.0", "60020")
    amended, rig.now_ms = report(rig, ticket, price="60001.0"), rig.now_ms + 5
    failed = report(rig, ticket, price="59999.9")
    rig.say(world.OrderPushed(failed), world.OrderPushed(amended))  # reordered on the way
    rig.tell(of(Part.ENTRY), order.AmendAcknowledged(ticket.seq))
    rig.asked.clear()
    rig.pass_s(2)
    quote(rig, "60001.0", "60020.1")
    assert rig.only(requests.AmendOrder).price == px("60001.0")  # it still rests below


def test_a_lost_answer_to_an_amendment_is_asked_about_and_nothing_is_placed() -> None:
    rig = makers()
    ticket = rested(rig)
    rig.pass_s(2)
    quote(rig, "60001.0", "60020")
    rig.asked.clear()
    rig.tell(of(Part.ENTRY), order.AmendFruitless(ticket.seq, "no answer"))
    assert rig.only(requests.QueryOrder).ticket == ticket
    assert rig.taken(requests.PlaceOrder) == []
    found = report(rig, ticket, price="60001.0")
    rig.say(world.OrderAsked(LONG, order.Role.ENTRY, ticket.seq, found, is_final=False))
    assert rig.slot().entry.state is order.S.LIVE


# Fills.


def test_the_first_contract_that_fills_gets_the_stop_of_the_whole_position() -> None:
    rig = makers()
    ticket = rested(rig)
    rig.say(world.OrderPushed(rig.filled(ticket, "0.01", "59999.9")))
    stop = rig.only(requests.PlaceStop)
    assert stop.leg == LONG
    rig.say(world.StopPushed(rig.stop(stop)))
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts - Decimal("0.01"), "59999.9")))
    assert rig.taken(requests.PlaceStop) == []  # it follows the size by itself
    assert rig.leg().contracts == ticket.contracts


def test_a_fill_that_a_push_brings_while_the_order_is_amended_is_protected_at_once() -> None:
    rig = makers()
    ticket = rested(rig)
    rig.pass_s(2)
    quote(rig, "60001.0", "60020")
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts, "59999.9")))
    assert len(rig.taken(requests.PlaceStop)) == 1
    rig.tell(of(Part.ENTRY), order.AmendFruitless(ticket.seq, "51503"))
    assert rig.slot().entry.state is order.S.FILLED


def test_a_fill_whose_push_was_lost_is_asked_for_when_a_reading_shows_the_position() -> None:
    rig = makers()
    ticket = rested(rig)
    rig.reconcile(rig.reading(rig.position(ticket.contracts, "59999.9")))
    assert rig.only(requests.QueryOrder).ticket == ticket
    found = rig.filled(ticket, ticket.contracts, "59999.9")
    rig.say(world.OrderAsked(LONG, order.Role.ENTRY, ticket.seq, found, is_final=False))
    assert len(rig.taken(requests.PlaceStop)) == 1


# The end of its time.


def test_when_its_time_is_over_the_rest_is_taken_back_and_the_wish_ends() -> None:
    rig = makers()
    ticket = rested(rig)
    rig.pass_s(19.9)
    assert rig.taken(requests.CancelOrder) == []
    rig.pass_s(0.1)
    assert rig.only(requests.CancelOrder).ticket == ticket
    rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    assert rig.taken(requests.PlaceOrder) == []
    assert (rig.slot().entry.state, rig.timers.keys() & {"rest BTC-USDT-SWAP/long:entry"}) == (
        order.S.CANCELLED,
        set(),
    )


CROSSING = Making(OrderKind.POST_ONLY, unfilled=Unfilled.CROSS)


def out_of_time(rig: DeskRig) -> list[requests.PlaceOrder]:
    """The entry's time is over and the venue has cancelled it; what is placed then."""
    ticket = rested(rig)
    rig.pass_s(20)
    rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    return rig.taken(requests.PlaceOrder)


def test_what_was_not_filled_may_cross_within_the_drift_from_where_it_began() -> None:
    [placed] = out_of_time(makers(making=CROSSING))
    assert (placed.ticket.kind, placed.ticket.price) == (OrderKind.IOC, px("60029.8"))


def test_a_market_that_has_run_away_is_let_go() -> None:
    rig = makers(making=CROSSING)
    ticket = rested(rig)
    rig.pass_s(20)
    quote(rig, "60040", "60040.1")
    rig.asked.clear()
    rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    assert rig.taken(requests.PlaceOrder) == []
    assert "LET_GO" in rig.announced()


def test_a_crossing_that_entries_are_shut_for_is_denied() -> None:
    rig = makers(making=CROSSING)
    ticket = rested(rig)
    rig.pass_s(20)
    rig.tell(PERMISSION, permission.PauseRequested())
    rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    assert rig.taken(requests.PlaceOrder) == []


def test_a_post_only_order_that_would_have_taken_is_made_again_at_the_new_price() -> None:
    rig = makers()
    ticket = rig.enter()
    quote(rig, "59998.0", "59998.2")
    rig.say(
        world.OrderPushed(report(rig, ticket, OrderState.CANCELLED, ending=Ending.WOULD_TAKE)),
    )
    again = rig.only(requests.PlaceOrder).ticket
    assert (again.kind, again.price) == (OrderKind.POST_ONLY, px("59998.0"))
    assert again.client_id != ticket.client_id


def test_it_is_made_again_a_bounded_number_of_times() -> None:
    rig = makers()
    ticket, made = rig.enter(), 1
    while True:
        rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED, ending=Ending.WOULD_TAKE)))
        placed = rig.taken(requests.PlaceOrder)
        if not placed:
            break
        ticket, made = placed[0].ticket, made + 1
    assert made == 5


def test_an_order_that_somebody_else_cancelled_is_not_made_again() -> None:
    rig = makers(making=CROSSING)
    ticket = rested(rig)
    rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    assert rig.taken(requests.PlaceOrder) == []


def partly_filled(making: Making) -> tuple[DeskRig, OrderTicket]:
    """Of an entry the first contracts have filled and are covered; its time is over and the rest is cancelled."""
    rig = makers(making=making)
    ticket = rested(rig)
    rig.say(world.OrderPushed(rig.filled(ticket, "0.01", ENTRY)))
    rig.say(world.StopPushed(rig.stop(rig.only(requests.PlaceStop))))
    rig.pass_s(20)
    assert rig.only(requests.CancelOrder).ticket == ticket
    return rig, ticket


def test_what_has_filled_in_time_is_the_position_and_the_rest_is_let_go() -> None:
    rig, ticket = partly_filled(POST_ONLY)
    rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    assert rig.taken(requests.PlaceOrder) == []
    assert rig.leg().contracts == px("0.01")


def test_the_rest_of_a_partial_fill_may_cross_and_grows_the_position_under_its_stop() -> None:
    rig, ticket = partly_filled(CROSSING)
    rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    rest = rig.only(requests.PlaceOrder).ticket
    assert (rest.kind, rest.contracts) == (OrderKind.IOC, ticket.contracts - px("0.01"))
    rig.say(world.OrderPushed(rig.filled(rest, rest.contracts, ENTRY)))
    assert rig.leg().contracts == ticket.contracts
    assert rig.slot().protection.state is protection.S.COVERED
    assert rig.taken(requests.PlaceStop) == []  # the stop of the whole position follows it


@pytest.mark.parametrize("what", ["it is being closed", "it has no stop", "a pause"])
def test_the_rest_does_not_cross_when_the_position_is_not_to_grow(what: str) -> None:
    rig, ticket = partly_filled(CROSSING)
    match what:
        case "it is being closed":
            rig.tell(of(Part.POSITION), position.CloseWanted("profit"))
        case "it has no stop":
            rig.tell(of(Part.PROTECTION), protection.StopGone(rig.slot().protection.data.seq))
        case "a pause":
            rig.tell(PERMISSION, permission.PauseRequested())
    rig.asked.clear()
    rig.say(world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    assert [one for one in rig.taken(requests.PlaceOrder) if one.ticket.role is order.Role.ENTRY] == []


def test_what_was_stopped_out_before_the_rest_ended_is_not_entered_again() -> None:
    rig, ticket = partly_filled(CROSSING)
    closed = rig.traded(LONG, Deal.SELL, "0.01", 59_600, stop="anything")
    rig.say(world.OrderPushed(closed), world.OrderPushed(report(rig, ticket, OrderState.CANCELLED)))
    assert rig.taken(requests.PlaceOrder) == []


@pytest.mark.parametrize("mode", PositionMode)
def test_an_entry_that_rests_is_taken_back_when_a_person_opens_the_other_side_of_one_position(
    mode: PositionMode,
) -> None:
    """In net mode its fill would close what is that person's; in hedge mode both stand beside each other.

    What was missed is shown by the regular check, which keeps nothing shut.
    """
    rig = DeskRig(mode=mode, making=POST_ONLY).booted()
    quote(rig, "59999.9", "60000.1")
    ticket = rested(rig)
    rig.pass_s(1)
    rig.reconcile(rig.reading(rig.position("0.02", leg=SHORT)))
    assert rig.slot(SHORT).position.state is position.S.OPEN
    taken_back = [cancel.ticket for cancel in rig.taken(CancelOrder)]
    assert taken_back == ([ticket] if mode is PositionMode.NET else [])
