"""Sizes and prices on their steps."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine.units import Deal, LegKey, Side, closing_deal, floor_to, opening_deal
from tests.machine.desk_rig import BTC, RULES

AMOUNTS = st.decimals(min_value=0, max_value=10_000_000, allow_nan=False, places=4)


def d(text: str) -> Decimal:
    return Decimal(text)


@pytest.mark.parametrize(
    ("notional", "price", "contracts"),
    [
        ("150", "60000", "0.25"),
        ("155.99", "60000", "0.25"),  # 0.2599…: never more than was asked for
        ("6", "60000", "0.01"),
        ("5.99", "60000", "0"),  # below the minimum
        ("0", "60000", "0"),
    ],
)
def test_a_size_is_the_largest_that_the_notional_buys(notional: str, price: str, contracts: str) -> None:
    assert RULES.contracts_for(d(notional), d(price)) == d(contracts)


def test_prices_are_put_on_the_tick_in_the_direction_that_is_asked_for() -> None:
    assert RULES.price_below(d("59820.69")) == d("59820.6")
    assert RULES.price_above(d("59820.61")) == d("59820.7")
    assert RULES.price(d("59820.66")) == d("59820.7")
    assert RULES.price_below(d("59820.6")) == RULES.price_above(d("59820.6")) == d("59820.6")


def test_coins_and_worth_follow_from_contracts() -> None:
    assert RULES.coins(d("2.5")) == d("0.025")
    assert RULES.notional(d("2.5"), d("60000")) == d("1500")


def test_each_side_opens_and_closes_by_opposite_deals() -> None:
    assert (opening_deal(Side.LONG), closing_deal(Side.LONG)) == (Deal.BUY, Deal.SELL)
    assert (opening_deal(Side.SHORT), closing_deal(Side.SHORT)) == (Deal.SELL, Deal.BUY)
    assert (Side.LONG.sign, Side.SHORT.sign) == (1, -1)


def test_long_and_short_of_one_instrument_are_different_legs() -> None:
    assert LegKey(BTC, Side.LONG) != LegKey(BTC, Side.SHORT)
    assert str(LegKey(BTC, Side.SHORT)) == "BTC-USDT-SWAP/short"


@given(value=AMOUNTS, step=st.sampled_from([d("0.01"), d("0.1"), d("1"), d("0.5")]))
def test_a_floor_is_on_the_step_and_less_than_a_step_below(value: Decimal, step: Decimal) -> None:
    floor = floor_to(value, step)
    assert floor % step == 0
    assert 0 <= value - floor < step


@given(notional=AMOUNTS, price=st.decimals(min_value=1, max_value=200_000, places=1))
def test_a_size_is_never_worth_more_than_was_asked_for(notional: Decimal, price: Decimal) -> None:
    contracts = RULES.contracts_for(notional, price)
    assert RULES.notional(contracts, price) <= notional
    assert contracts == 0 or contracts >= RULES.min_size
