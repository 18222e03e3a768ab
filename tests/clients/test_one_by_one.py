"""A client with many orders in one leg, judged one by one: what it did is accepted, and what no exchange does is not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from anchorwatch.machine import order, protection
from anchorwatch.machine.trace import Answered, OrderStood, PositionStood, Seen, StopStood
from anchorwatch.machine.world import OrderState
from tests.clients.client_exchange import overhear
from tests.clients.one_by_one import asked_for, rejected
from tests.venue.rig import BTC, HEDGED, Rig

Trace = list[Seen]
LONG = {"posSide": "long"}
WHOLE = {"slOrdPx": "-1", "closeFraction": "1", **LONG}


@pytest.fixture(scope="module")
def session() -> Trace:
    """Two orders rest while a third fills; one is amended and cancelled; stops beside each other; a close takes all."""
    rig, trace = Rig(HEDGED), Trace()
    overhear(rig.venue, trace)
    own, trading = rig.venue.accounts["main"], rig.venue.trading

    def cancel(name: str) -> str:
        rig.pass_ms(100)
        return str(trading.cancel(own, {"instId": BTC, "clOrdId": name})["sCode"])

    for name, px in (("low", "55000"), ("lower", "54000")):
        rig.pass_ms(100)
        assert rig.order("buy", "1", px, clOrdId=name, **LONG)["sCode"] == "0"
    rig.pass_ms(100)
    assert trading.amend(own, {"instId": BTC, "clOrdId": "low", "newPx": "55500"})["sCode"] == "0"
    rig.pass_ms(100)
    assert rig.order("buy", "2", clOrdId="taken", **LONG)["sCode"] == "0"
    for name, px, code in (("whole", "57000", "0"), ("again", "56000", "51088")):
        rig.pass_ms(100)
        assert rig.algo("sell", slTriggerPx=px, algoClOrdId=name, **WHOLE)["sCode"] == code
    assert cancel("low") == "0"
    assert cancel("low") == "51400"
    rig.pass_ms(100)
    assert rig.order("sell", "2", clOrdId="closed", **LONG)["sCode"] == "0"
    rig.pass_ms(100)
    assert rig.order("sell", "2", clOrdId="too late", **LONG)["sCode"] != "0"
    assert cancel("lower") == "0"
    return trace


def changed(trace: Trace, claim: Callable[[Seen], bool], to: Callable[[Seen], Seen | None]) -> Trace:
    """The trace with the first thing of which the claim is true made into something else, or left out."""
    at = next(number for number, one in enumerate(trace) if claim(one))
    other = to(trace[at])
    return [*trace[:at], *([] if other is None else [other]), *trace[at + 1 :]]


def is_order(name: str, state: OrderState) -> Callable[[Seen], bool]:
    return lambda one: isinstance(one, OrderStood) and (one.client_id, one.state) == (name, state)


def answers(event: type) -> Callable[[Seen], bool]:
    return lambda one: isinstance(one, Answered) and isinstance(one.event, event)


def test_every_order_and_stop_of_a_client_is_accepted(session: Trace) -> None:
    names = ["low", "lower", "taken", "whole", "again", "closed", "too late"]
    assert list(asked_for(session)) == names
    assert rejected(session) == []


def test_a_cancel_that_is_confirmed_while_the_order_stays_is_rejected(session: Trace) -> None:
    wrong = changed(session, is_order("low", OrderState.CANCELLED), lambda _: None)
    assert any("low: " in line and "CancelAcknowledged" in line for line in rejected(wrong))


def test_an_order_that_fills_after_its_confirmed_cancel_is_rejected(session: Trace) -> None:
    end = session[-1]
    assert isinstance(end, Answered)
    filled = OrderStood(end.at_ms + 1, end.leg, "lower", OrderState.FILLED, Decimal(1), Decimal(1))
    held = PositionStood(end.at_ms + 1, end.leg, Decimal(1))
    assert any("lower: " in line for line in rejected([*session, filled, held]))


def test_an_order_that_is_refused_and_stands_is_rejected(session: Trace) -> None:
    def refused(one: Seen) -> Seen:
        return msgspec.structs.replace(one, event=order.OrderRefused(0, ""))

    wrong = changed(session, answers(order.OrderAcknowledged), refused)
    assert any("low: " in line and "OrderRefused" in line for line in rejected(wrong))


def test_a_fill_without_its_position_is_rejected(session: Trace) -> None:
    wrong = changed(session, lambda one: isinstance(one, PositionStood), lambda _: None)
    assert any("taken: " in line for line in rejected(wrong))


def test_a_stop_of_the_whole_position_that_outlives_it_is_rejected(session: Trace) -> None:
    wrong = changed(session, lambda one: isinstance(one, StopStood) and not one.is_live, lambda _: None)
    assert any("contracts 0" in line for line in rejected(wrong))


def test_a_stop_that_is_taken_beside_nothing_but_its_refusal_is_rejected(session: Trace) -> None:
    def taken(one: Seen) -> Seen:
        return msgspec.structs.replace(one, event=protection.StopAccepted(0))

    wrong = changed(session, answers(protection.StopRefused), taken)
    assert any("again: " in line and "StopAccepted" in line for line in rejected(wrong))


def test_a_close_that_is_taken_without_a_position_is_rejected(session: Trace) -> None:
    def taken(one: Seen) -> Seen:
        return msgspec.structs.replace(one, event=order.OrderAcknowledged(0))

    wrong = changed(session, answers(order.OrderRefused), taken)
    assert any("too late: " in line and "OrderAcknowledged" in line for line in rejected(wrong))
