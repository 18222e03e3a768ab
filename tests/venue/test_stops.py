"""Stories of algo orders on the exchange's core: stops, take-profits, trailing, attached, cancel-all-after."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import pytest

from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.switches import Switches
from tests.venue.rig import BTC, HEDGED, Rig

STOP = {"sz": "1", "slTriggerPx": "59000", "slOrdPx": "-1", "reduceOnly": True}


def states(rig: Rig) -> list[str]:
    return [algo.state for algo in rig.venue.accounts["main"].algos_done]


def test_a_stop_fires_when_the_last_price_reaches_it_and_its_child_closes_the_position() -> None:
    rig = Rig()
    rig.order("buy", "1")
    assert rig.algo("sell", **STOP, algoClOrdId="s1")["sCode"] == "0"
    rig.price("59000.1")
    assert len(rig.venue.algos()) == 1
    rig.price("59000")
    assert (rig.venue.algos(), rig.venue.positions()) == ((), ())
    (algo,) = rig.venue.accounts["main"].algos_done
    child = rig.venue.accounts["main"].find_order(algo.child_order_id, "")
    assert child is not None
    assert (algo.state, algo.actual_side, child.source, child.algo_client_id) == (
        "effective",
        "sl",
        "7",
        "s1",
    )
    assert child.client_id.isalnum()


def test_a_stop_on_the_mark_price_ignores_a_wick_of_the_last_price() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.algo("sell", **STOP, slTriggerPxType="mark")
    rig.price("58900")
    assert rig.venue.market.mark(BTC) > 59_000
    assert len(rig.venue.algos()) == 1
    rig.settle_mark("58900")
    assert rig.venue.positions() == ()


def test_a_stop_that_the_market_has_already_passed_is_refused() -> None:
    rig = Rig()
    rig.order("buy", "1")
    assert rig.algo("sell", sz="1", slTriggerPx="60001", slOrdPx="-1")["sCode"] == "51280"
    assert rig.algo("buy", sz="1", slTriggerPx="59000", slOrdPx="-1")["sCode"] == "51278"
    assert rig.algo("sell", sz="1", tpTriggerPx="59000", tpOrdPx="-1")["sCode"] == "51279"
    assert rig.algo("buy", sz="1", tpTriggerPx="61000", tpOrdPx="-1")["sCode"] == "51277"


def test_an_oco_fires_one_leg_and_is_done() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.algo(
        "sell",
        ordType="oco",
        sz="1",
        slTriggerPx="59000",
        slOrdPx="-1",
        tpTriggerPx="60500",
        tpOrdPx="-1",
        reduceOnly=True,
    )
    rig.price("60500")
    (algo,) = rig.venue.accounts["main"].algos_done
    assert (algo.state, algo.actual_side) == ("effective", "tp")
    assert rig.venue.positions() == ()


def test_a_whole_position_stop_follows_the_size_of_the_position() -> None:
    rig = Rig()
    rig.order("buy", "1")
    whole = {"closeFraction": "1", "slTriggerPx": "59000", "slOrdPx": "-1"}
    assert rig.algo("sell", **whole)["sCode"] == "51328", "net mode needs reduceOnly"
    assert rig.algo("sell", **whole, reduceOnly=True)["sCode"] == "0"
    assert rig.algo("sell", **whole, reduceOnly=True)["sCode"] == "51088"
    rig.order("buy", "2")
    rig.price("59000")
    assert rig.venue.positions() == ()


def test_a_whole_position_stop_needs_a_position_and_market_execution() -> None:
    rig = Rig()
    whole = {"closeFraction": "1", "slTriggerPx": "59000", "reduceOnly": True}
    assert rig.algo("sell", **whole, slOrdPx="-1")["sCode"] == "51058"
    rig.order("buy", "1")
    assert rig.algo("sell", **whole, slOrdPx="58900")["sCode"] == "51330"
    assert rig.algo("sell", **{**whole, "closeFraction": "0.5"}, slOrdPx="-1")["sCode"] == "51331"


def test_a_stop_tied_to_the_position_is_cancelled_when_the_position_closes_and_another_is_not() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.algo("sell", **STOP, cxlOnClosePos=True, algoClOrdId="tied")
    rig.algo("sell", **STOP, algoClOrdId="loose")
    rig.order("sell", "1")
    assert [algo.client_id for algo in rig.venue.algos()] == ["loose"]


def test_a_reduce_only_stop_without_a_position_fails_at_its_trigger_with_51169() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.algo("sell", **STOP)
    rig.order("sell", "1")
    rig.price("58900")
    (algo,) = rig.venue.accounts["main"].algos_done
    assert (algo.state, algo.fail_code) == ("order_failed", "51169")
    assert rig.venue.positions() == ()


@pytest.mark.parametrize(("rule", "left"), [("reject", Decimal(1)), ("trim", None)])
def test_a_stop_larger_than_what_is_left_of_its_position_fails_or_is_trimmed(
    rule: Literal["reject", "trim"], left: Decimal | None
) -> None:
    rig = Rig(switches=Switches(oversized_reduce_only=rule))
    rig.order("buy", "2")
    rig.algo("sell", **{**STOP, "sz": "2"})
    rig.order("sell", "1")
    rig.price("58900")
    held = [one.contracts for one in rig.venue.positions()]
    assert held == ([] if left is None else [left])
    assert states(rig) == ["effective" if left is None else "order_failed"]


def test_an_orphaned_stop_that_is_not_reduce_only_opens_the_other_way() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.algo("sell", sz="1", slTriggerPx="59000", slOrdPx="-1")
    rig.order("sell", "1")
    rig.price("59000")
    assert rig.venue.positions()[0].contracts == -1


def test_a_trailing_stop_follows_the_peak_and_never_steps_back() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.algo("sell", ordType="move_order_stop", sz="1", callbackRatio="0.01", reduceOnly=True)
    rig.price("60600")
    rig.price("60300")
    (algo,) = rig.venue.algos()
    assert algo.move_trigger_px == Decimal(60_600) * Decimal("0.99")
    rig.price("59994")
    assert states(rig) == ["effective"]
    assert rig.venue.positions() == ()


def test_a_trailing_stop_sleeps_until_its_activation_price() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.algo(
        "sell", ordType="move_order_stop", sz="1", callbackSpread="100", activePx="60500", reduceOnly=True
    )
    rig.price("59500")
    assert rig.venue.algos()[0].move_trigger_px is None
    rig.price("60500")
    rig.price("60400")
    assert rig.venue.positions() == ()


def test_a_trigger_order_opens_a_position_in_the_direction_it_was_placed_for() -> None:
    rig = Rig()
    rig.algo("buy", ordType="trigger", sz="1", triggerPx="60200", orderPx="-1")
    rig.price("60100")
    assert rig.venue.positions() == ()
    rig.price("60200")
    assert rig.venue.positions()[0].contracts == 1
    (order,) = rig.venue.accounts["main"].done
    assert order.source == "6"


def test_an_attached_stop_appears_only_when_the_entry_is_complete_and_bears_its_client_id() -> None:
    rig = Rig(switches=Switches(resting_fill="touch"))
    stop = {"attachAlgoClOrdId": "s1", "slTriggerPx": "59000", "slOrdPx": "-1", "slTriggerPxType": "mark"}
    rig.order("buy", "2", "59900", attachAlgoOrds=[stop])
    rig.pass_ms(100)
    rig.venue.set_price(BTC, Decimal(59_900), Decimal(1))
    assert (rig.venue.positions()[0].contracts, rig.venue.algos()) == (Decimal(1), ())
    rig.price("59899")
    (algo,) = rig.venue.algos()
    assert (algo.client_id, algo.contracts, algo.side, algo.is_reduce_only) == (
        "s1",
        Decimal(2),
        "sell",
        False,
    )


def test_an_entry_cancelled_after_a_partial_fill_leaves_its_position_without_the_attached_stop() -> None:
    rig = Rig(switches=Switches(resting_fill="touch"))
    stop = {"attachAlgoClOrdId": "s1", "slTriggerPx": "59000", "slOrdPx": "-1"}
    order_id = rig.order("buy", "2", "59900", attachAlgoOrds=[stop])["ordId"]
    rig.pass_ms(100)
    rig.venue.set_price(BTC, Decimal(59_900), Decimal(1))
    rig.venue.trading.cancel(rig.venue.accounts["main"], {"instId": BTC, "ordId": order_id})
    assert rig.venue.positions()[0].contracts == 1
    assert rig.venue.algos() == ()


def test_a_trigger_order_hands_its_attached_stop_to_the_position_it_opens() -> None:
    rig = Rig()
    stop = {"attachAlgoClOrdId": "s1", "slTriggerPx": "59500", "slOrdPx": "-1"}
    rig.algo("buy", ordType="trigger", sz="1", triggerPx="60200", orderPx="-1", attachAlgoOrds=[stop])
    rig.price("60200")
    assert [algo.client_id for algo in rig.venue.algos()] == ["s1"]


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        ({"slTriggerPx": "61000", "slOrdPx": "-1"}, "51047"),
        ({"tpTriggerPx": "59000", "tpOrdPx": "-1"}, "51046"),
    ],
)
def test_an_attached_stop_on_the_wrong_side_refuses_the_entry(stop: dict[str, str], code: str) -> None:
    rig = Rig()
    assert rig.order("buy", "1", "59900", attachAlgoOrds=[stop])["sCode"] == code


def test_amending_a_stop_moves_its_trigger_and_refuses_the_size_of_a_whole_position_stop() -> None:
    rig = Rig()
    rig.order("buy", "1")
    account, trading = rig.venue.accounts["main"], rig.venue.trading
    algo_id = rig.algo("sell", closeFraction="1", slTriggerPx="59000", slOrdPx="-1", reduceOnly=True)[
        "algoId"
    ]
    named = {"instId": BTC, "algoId": algo_id}
    assert trading.amend_algo(account, {**named, "newSz": "1"})["sCode"] == "51524"
    assert trading.amend_algo(account, {**named, "newSlOrdPx": "58000"})["sCode"] == "51523"
    assert trading.amend_algo(account, {**named, "newSlTriggerPx": "60100"})["sCode"] == "51280"
    # The official SDK sends every field it leaves unset as an empty string.
    assert trading.amend_algo(account, {**named, "newSlTriggerPx": "59500", "newSz": ""})["sCode"] == "0"
    assert rig.venue.algos()[0].sl_trigger_px == Decimal(59_500)


def test_a_triggered_algo_cannot_be_cancelled_any_more() -> None:
    rig = Rig()
    rig.order("buy", "1")
    algo_id = rig.algo("sell", **STOP)["algoId"]
    rig.price("59000")
    cancel = rig.venue.trading.cancel_algo
    assert cancel(rig.venue.accounts["main"], {"instId": BTC, "algoId": algo_id})["sCode"] == "51416"
    assert cancel(rig.venue.accounts["main"], {"instId": BTC, "algoId": "1"})["sCode"] == "51400"


def test_in_hedge_mode_a_stop_closes_its_own_side_and_leaves_the_other() -> None:
    rig = Rig(HEDGED)
    rig.order("buy", "1", posSide="long")
    rig.order("sell", "1", posSide="short")
    rig.algo("sell", posSide="long", closeFraction="1", slTriggerPx="59000", slOrdPx="-1")
    rig.price("59000")
    assert [one.pos_side for one in rig.venue.positions()] == ["short"]


def test_cancel_all_after_takes_the_orders_of_its_tag_and_leaves_stops_and_others() -> None:
    rig = Rig()
    rig.order("buy", "1", "59000", tag="entry")
    rig.order("buy", "1", "59000", tag="other")
    rig.algo("buy", ordType="trigger", sz="1", triggerPx="61000", orderPx="-1", tag="entry")
    account, trading = rig.venue.accounts["main"], rig.venue.trading
    trading.renew_cancel_all_after(account, Parameters({"timeOut": 15, "tag": "entry"}))
    rig.pass_ms(10_000)
    trading.renew_cancel_all_after(account, Parameters({"timeOut": "15", "tag": "entry"}))
    rig.pass_ms(14_999)
    assert len(rig.venue.orders()) == 2
    rig.pass_ms(1)
    assert [order.tag for order in rig.venue.orders()] == ["other"]
    assert [order.cancel_source for order in account.done] == ["20"]
    assert len(rig.venue.algos()) == 1
    rig.order("buy", "1", "59000", tag="entry")
    rig.pass_ms(200_000)
    assert len(rig.venue.orders()) == 2, "a countdown fires once"


def test_an_attached_trailing_stop_follows_from_the_price_of_the_fill() -> None:
    rig = Rig()
    rig.order("buy", "2", attachAlgoOrds=[{"attachAlgoClOrdId": "t1", "callbackRatio": "0.01"}])
    (stop,) = rig.venue.algos()
    assert (stop.kind, stop.client_id, stop.is_active) == ("move_order_stop", "t1", True)
    assert stop.contracts == 2
    rig.price("61000")
    rig.price("60500")
    assert len(rig.venue.positions()) == 1
    rig.price("60380")
    assert rig.venue.positions() == ()


def test_an_attached_trailing_stop_waits_for_its_activation() -> None:
    rig = Rig()
    rig.order("buy", "2", attachAlgoOrds=[{"callbackSpread": "300", "activePx": "60500"}])
    rig.price("59500")
    assert rig.venue.algos()[0].move_trigger_px is None
    rig.price("60600")
    assert rig.venue.algos()[0].move_trigger_px == 60_300


def test_take_profits_of_one_entry_close_it_in_parts() -> None:
    rig = Rig()
    takes = [
        {"tpTriggerPx": "60400", "tpOrdPx": "-1", "sz": "2"},
        {"tpTriggerPx": "60800", "tpOrdPx": "-1", "sz": "1"},
        {"slTriggerPx": "59000", "slOrdPx": "-1"},
    ]
    assert rig.order("buy", "3", attachAlgoOrds=takes)["sCode"] == "0"
    assert [one.contracts for one in rig.venue.algos()] == [2, 1, 3]
    rig.price("60450")
    assert rig.venue.positions()[0].contracts == 1
    rig.price("60850")
    assert rig.venue.positions() == ()


@pytest.mark.parametrize(
    ("takes", "code"),
    [
        ([("60400", "1", "last"), ("60800", "1", "last")], "51083"),
        ([("60400", "1", "last"), ("60400", "2", "last")], "51081"),
        ([("60400", "1", "last"), ("60800", "2", "mark")], "51080"),
        ([(str(60_400 + number), "1", "last") for number in range(11)], "51079"),
    ],
)
def test_take_profits_that_do_not_make_up_the_entry_are_refused(
    takes: list[tuple[str, str, str]], code: str
) -> None:
    attached = [
        {"tpTriggerPx": px, "tpOrdPx": "-1", "sz": sz, "tpTriggerPxType": kind} for px, sz, kind in takes
    ]
    assert Rig().order("buy", "3", attachAlgoOrds=attached)["sCode"] == code


def test_one_entry_carries_one_stop_loss() -> None:
    attached = [{"slTriggerPx": px, "slOrdPx": "-1"} for px in ("59000", "58000")]
    assert Rig().order("buy", "3", attachAlgoOrds=attached)["sCode"] == "51084"
