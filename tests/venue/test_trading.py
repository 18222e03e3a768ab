"""Stories of orders on the exchange's core: matching, sizes, reduce-only, post-only, amendments."""

from __future__ import annotations

from decimal import Decimal

import pytest

from anchorwatch.io.venue.accounts import AccountSpec, ApiKey
from anchorwatch.io.venue.switches import Switches
from tests.venue.rig import BTC, HEDGED, Rig


def test_a_market_order_fills_at_the_touch_and_pays_the_taker_fee() -> None:
    rig = Rig()
    ask = rig.venue.market.best_ask(BTC)
    assert rig.order("buy", "2")["sCode"] == "0"
    (position,) = rig.venue.positions()
    assert (position.contracts, position.avg_px) == (Decimal(2), ask)
    # 2 contracts of 0.01 BTC at 0.05 %.
    assert rig.cash == Decimal(10_000) - Decimal("0.02") * ask * Decimal("0.0005")


def test_a_resting_order_fills_at_its_own_price_only_when_the_market_trades_through_it() -> None:
    rig = Rig()
    rig.order("buy", "1", "59900")
    rig.price("59900")
    assert [order.state for order in rig.venue.orders()] == ["live"]
    rig.price("59899.9")
    assert rig.venue.orders() == ()
    (position,) = rig.venue.positions()
    assert position.avg_px == Decimal(59_900)
    assert rig.cash == Decimal(10_000) - Decimal("0.01") * 59_900 * Decimal("0.0002")


def test_touching_the_price_is_enough_where_the_switch_says_so_and_only_for_what_was_traded() -> None:
    rig = Rig(switches=Switches(resting_fill="touch"))
    rig.order("buy", "1", "59900")
    rig.pass_ms(100)
    rig.venue.set_price(BTC, Decimal("59900"), Decimal("0.4"))
    (order,) = rig.venue.orders()
    assert (order.state, order.filled) == ("partially_filled", Decimal("0.4"))


def test_a_larger_opposite_order_turns_a_net_position_and_the_rest_opens_at_its_own_price() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.price("60500")
    rig.order("sell", "3")
    (position,) = rig.venue.positions()
    assert position.contracts == Decimal(-2)
    assert position.avg_px == rig.venue.market.best_bid(BTC)
    (closed,) = rig.venue.accounts["main"].history.values()
    assert (closed.direction, closed.closed_contracts, closed.kind) == ("long", Decimal(1), "2")
    assert position.pnl == 0, "the profit belongs to the life that ended"


def test_the_average_price_is_weighted_by_size_and_survives_a_reduction() -> None:
    rig = Rig()
    rig.order("buy", "1", "59900")
    rig.order("buy", "3", "59500")
    rig.price("59000")
    (position,) = rig.venue.positions()
    assert position.avg_px == Decimal(59_600)
    rig.order("sell", "1")
    (position,) = rig.venue.positions()
    assert position.avg_px == Decimal(59_600)
    assert position.pnl == Decimal("0.01") * (rig.venue.market.best_bid(BTC) - 59_600)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"sz": "0.001"}, "51020"),
        ({"sz": "0.015"}, "51121"),
        ({"sz": "13000"}, "51202"),
        ({"sz": "1", "px": "59900.05", "ordType": "limit"}, "51000"),
        ({"sz": "1", "px": "70000", "ordType": "limit"}, "51006"),
        ({"sz": "1", "posSide": "long"}, "51000"),
        ({"sz": "1", "clOrdId": "not-alphanumeric"}, "51000"),
        ({"sz": "1e3"}, "51000"),
        ({"sz": "1", "instId": "NOPE-USDT-SWAP"}, "51001"),
        ({"sz": "1000"}, "51008"),
        ({"sz": "1", "reduceOnly": True}, "51169"),
    ],
)
def test_a_wrong_order_is_refused_with_the_documented_code_and_leaves_no_trace(
    request_: dict[str, object], code: str
) -> None:
    rig = Rig()
    answer = rig.venue.place_as(
        "main", {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "market", **request_}
    )
    assert (answer["sCode"], answer["ordId"]) == (code, "")
    assert (rig.venue.orders(), rig.venue.positions(), rig.cash) == ((), (), Decimal(10_000))


def test_a_client_id_is_unique_among_pending_orders_only() -> None:
    rig = Rig()
    assert rig.order("buy", "1", "59000", clOrdId="one")["sCode"] == "0"
    assert rig.order("buy", "1", "59000", clOrdId="one")["sCode"] == "51016"
    rig.price("58999.9")
    assert rig.order("buy", "1", "58000", clOrdId="one")["sCode"] == "0", "the first one is filled"


def test_a_post_only_order_that_would_take_is_acknowledged_and_then_cancelled() -> None:
    rig = Rig()
    assert rig.order("buy", "1", "60100", ordType="post_only")["sCode"] == "0"
    assert rig.venue.orders() == ()
    (order,) = rig.venue.accounts["main"].done
    assert (order.state, order.cancel_source, order.filled) == ("canceled", "31", Decimal(0))


def test_an_ioc_order_takes_what_there_is_and_cancels_the_rest() -> None:
    rig = Rig(AccountSpec(cash=Decimal(10_000_000)))
    ask = rig.venue.market.best_ask(BTC)
    rig.order("buy", "4000", str(ask), ordType="ioc")
    (order,) = rig.venue.accounts["main"].done
    assert order.state == "canceled"
    assert order.cancel_source == "14"
    assert 0 < order.filled < 4000


def test_a_fok_order_that_cannot_fill_whole_fills_nothing() -> None:
    rig = Rig(AccountSpec(cash=Decimal(10_000_000)))
    rig.order("buy", "4000", str(rig.venue.market.best_ask(BTC)), ordType="fok")
    (order,) = rig.venue.accounts["main"].done
    assert (order.state, order.cancel_source, order.filled) == ("canceled", "13", Decimal(0))


def test_a_reduce_only_order_larger_than_the_position_is_refused_whole_or_trimmed_by_switch() -> None:
    rig = Rig()
    rig.order("buy", "1")
    assert rig.order("sell", "2", reduceOnly=True)["sCode"] == "51169"
    trimming = Rig(switches=Switches(oversized_reduce_only="trim"))
    trimming.order("buy", "1")
    assert trimming.order("sell", "2", reduceOnly=True)["sCode"] == "0"
    assert trimming.venue.positions() == ()


def test_a_stop_cannot_be_attached_to_an_order_that_closes() -> None:
    rig = Rig()
    rig.order("buy", "1")
    stop = [{"slTriggerPx": "61000", "slOrdPx": "-1"}]
    assert rig.order("sell", "1", reduceOnly=True, attachAlgoOrds=stop)["sCode"] == "51100"


def test_a_resting_reduce_only_order_dies_with_its_position() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.order("sell", "1", "61000", reduceOnly=True)
    rig.order("sell", "1")
    assert rig.venue.positions() == ()
    assert rig.venue.orders() == ()
    assert [order.cancel_source for order in rig.venue.accounts["main"].done][-1] == "2"


def test_hedge_mode_keeps_long_and_short_apart_and_cannot_close_what_is_not_there() -> None:
    rig = Rig(HEDGED)
    rig.order("buy", "2", posSide="long")
    rig.order("sell", "1", posSide="short")
    held = {one.pos_side: one.contracts for one in rig.venue.positions()}
    assert held == {"long": Decimal(2), "short": Decimal(1)}
    assert rig.order("buy", "2", posSide="short")["sCode"] == "51112"
    assert rig.order("buy", "1", posSide="short")["sCode"] == "0"
    assert rig.order("buy", "1", posSide="short")["sCode"] == "51169"
    assert rig.order("buy", "1")["sCode"] == "51000", "hedge mode needs posSide"


def test_fills_say_what_they_did_to_which_side() -> None:
    rig = Rig(HEDGED)
    for side, pos_side in (("buy", "long"), ("sell", "short"), ("sell", "long"), ("buy", "short")):
        rig.order(side, "1", posSide=pos_side)
    assert [fill.sub_type for fill in rig.venue.accounts["main"].fills] == ["3", "4", "5", "6"]


def test_closing_a_part_of_an_isolated_position_frees_that_part_of_its_margin() -> None:
    rig = Rig()
    rig.order("buy", "4", tdMode="isolated")
    margin = rig.venue.positions()[0].margin
    rig.order("sell", "3", tdMode="isolated")
    assert rig.venue.positions()[0].margin == margin / 4


def test_cross_and_isolated_of_one_instrument_are_separate_positions() -> None:
    rig = Rig()
    rig.order("buy", "1")
    rig.order("buy", "1", tdMode="isolated")
    modes = {one.margin_mode: one.margin for one in rig.venue.positions()}
    assert modes["cross"] == 0
    assert modes["isolated"] == Decimal("0.01") * rig.venue.market.best_ask(BTC) / 3


def test_own_orders_never_trade_with_each_other_the_resting_one_is_cancelled() -> None:
    rig = Rig(AccountSpec(cash=Decimal(50_000_000)))
    ask = rig.venue.market.best_ask(BTC)
    rig.order("sell", "1", str(ask))
    at_touch = rig.venue.book.levels(BTC, rig.clock.now_ms, 1)[1][0].contracts
    rig.order("buy", str(at_touch + 1), str(ask), ordType="ioc")
    own = next(order for order in rig.venue.accounts["main"].done if order.side == "sell")
    assert (own.state, own.cancel_source, own.filled) == ("canceled", "32", Decimal(0))
    assert rig.venue.positions()[0].contracts == at_touch


def test_a_resting_order_of_another_account_is_taken_at_its_price_before_worse_levels_of_the_book() -> None:
    other = AccountSpec(
        name="other", uid="2", master="other", cash=Decimal(50_000_000), keys=(ApiKey("k2", "s2", "p2"),)
    )
    rig = Rig(AccountSpec(cash=Decimal(50_000_000)), other)
    ask = rig.venue.market.best_ask(BTC)
    at_touch = rig.venue.book.levels(BTC, rig.clock.now_ms, 1)[1][0].contracts
    rig.order("sell", "1", str(ask), account="other")
    rig.order("buy", str(at_touch), ordType="market")
    assert rig.venue.positions("other") == (), "at one price the book was there first"
    rig.order("buy", str(at_touch + 1), str(ask), ordType="ioc")
    assert rig.venue.positions("other")[0].contracts == -1
    (fill,) = rig.venue.accounts["other"].fills
    assert (fill.px, fill.exec_type) == (ask, "M")
    assert fill.trade_id in [one.trade_id for one in rig.venue.accounts["main"].fills]


def test_amending_below_the_filled_part_completes_the_order_without_a_new_trade() -> None:
    rig = Rig(switches=Switches(resting_fill="touch"))
    rig.order("buy", "5", "59900", clOrdId="a")
    rig.pass_ms(100)
    rig.venue.set_price(BTC, Decimal("59900"), Decimal(4))
    account = rig.venue.accounts["main"]
    trades = len(account.fills)
    answer = rig.venue.trading.amend(account, {"instId": BTC, "clOrdId": "a", "newSz": "3"})
    assert answer["sCode"] == "0"
    order = account.find_order("", "a")
    assert order is not None
    assert (order.state, order.filled, len(account.fills)) == ("filled", Decimal(4), trades)


def test_amending_the_price_across_the_market_fills_the_order() -> None:
    rig = Rig()
    rig.order("buy", "1", "59000", clOrdId="a")
    account = rig.venue.accounts["main"]
    rig.venue.trading.amend(account, {"instId": BTC, "clOrdId": "a", "newPx": "60100"})
    assert rig.venue.positions()[0].contracts == 1


def test_cancelling_what_is_gone_is_refused_with_51400() -> None:
    rig = Rig()
    account = rig.venue.accounts["main"]
    assert rig.venue.trading.cancel(account, {"instId": BTC, "ordId": "1"})["sCode"] == "51400"


def test_a_position_keeps_its_id_when_it_is_closed_and_opened_again() -> None:
    rig = Rig()
    rig.order("buy", "1")
    first = rig.venue.positions()[0].pos_id
    rig.order("sell", "1")
    rig.pass_ms(1000)
    rig.order("buy", "1")
    again = rig.venue.positions()[0]
    assert again.pos_id == first
    assert again.pnl == 0
    assert again.created_ms == rig.clock.now_ms


def test_an_order_that_expired_on_the_way_is_not_processed() -> None:
    rig = Rig()
    assert rig.order("buy", "1", expTime=str(rig.clock.now_ms - 1))["sCode"] == "50036"
    assert rig.order("buy", "1", expTime=str(rig.clock.now_ms + 1000))["sCode"] == "0"
