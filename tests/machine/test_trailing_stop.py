"""The levels of stops, as functions of prices."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import trailing_stop as levels
from anchorwatch.machine.parameters import Protecting
from anchorwatch.machine.units import Price, Side
from tests.machine.desk_rig import RULES

PROTECTING = Protecting()
PRICES = st.integers(1_000, 10_000_000).map(lambda tenths: Price(Decimal(tenths) / 10))


def p(text: str) -> Price:
    return Price(Decimal(text))


def test_a_level_is_rounded_away_from_the_price() -> None:
    assert levels.behind(Side.LONG, p("60000.7"), Decimal("0.003"), RULES) == p("59820.6")  # 59,820.6979
    assert levels.behind(Side.SHORT, p("60000.7"), Decimal("0.003"), RULES) == p("60180.8")  # 60,180.7021


def test_a_level_on_a_tick_that_has_grown_goes_away_from_the_market() -> None:
    coarse = msgspec.structs.replace(RULES, tick_size=Decimal("0.5"))
    for side, level in ((Side.LONG, p("59990.0")), (Side.SHORT, p("59990.5"))):
        assert levels.on_tick(side, p("59990.3"), coarse) == level
        assert levels.on_tick(side, level, coarse) == level


def test_the_first_level_is_the_strategys_distance_from_the_entry() -> None:
    assert levels.initial_level(Side.LONG, p("60000"), PROTECTING, RULES) == p("59640.0")
    assert levels.initial_level(Side.SHORT, p("60000"), PROTECTING, RULES) == p("60360.0")


def test_there_is_no_trailing_level_before_the_activation() -> None:
    assert levels.trailing_level(Side.LONG, p("60000"), p("60239.9"), PROTECTING, RULES) is None
    assert levels.trailing_level(Side.LONG, p("60000"), p("60240"), PROTECTING, RULES) == p("60059.2")
    assert levels.trailing_level(Side.SHORT, p("60000"), p("59760"), PROTECTING, RULES) == p("59939.3")


def test_the_catastrophe_level_leaves_a_quarter_of_the_way_to_liquidation() -> None:
    far = levels.catastrophe_level(Side.LONG, p("60000"), Decimal(30_000), PROTECTING, RULES)
    near = levels.catastrophe_level(Side.LONG, p("60000"), Decimal(58_000), PROTECTING, RULES)
    assert (far, near) == (p("57000.0"), p("58500.0"))
    short = levels.catastrophe_level(Side.SHORT, p("60000"), Decimal(62_000), PROTECTING, RULES)
    assert short == p("61500.0")


def test_a_level_that_mark_has_passed_is_brought_just_behind_mark() -> None:
    assert levels.clamped(Side.LONG, p("60100"), p("60000"), RULES) == p("59970.0")
    assert levels.clamped(Side.LONG, p("59900"), p("60000"), RULES) == p("59900")
    assert levels.clamped(Side.SHORT, p("59900"), p("60000"), RULES) == p("60030.0")


@pytest.mark.parametrize(
    ("level", "current", "mark", "worth"),
    [
        ("100.1", "100.0", "100.5", False),  # one tick
        ("100.2", "100.0", "100.5", True),  # two
        ("104.9", "100.0", "200.0", False),  # less than 5 % of 100
        ("105.0", "100.0", "200.0", True),
        ("99.0", "100.0", "200.0", False),  # looser
    ],
)
def test_what_is_worth_a_request(level: str, current: str, mark: str, worth: bool) -> None:
    asked = levels.is_real_improvement(Side.LONG, p(level), p(current), p(mark), PROTECTING, RULES)
    assert asked is worth


@given(side=st.sampled_from(Side), entry=PRICES, peak=PRICES, mark=PRICES)
def test_every_level_is_on_the_tick_and_on_the_losing_side(
    side: Side, entry: Price, peak: Price, mark: Price
) -> None:
    first = levels.initial_level(side, entry, PROTECTING, RULES)
    assert levels.is_tighter(side, entry, first)
    trailing = levels.trailing_level(side, entry, peak, PROTECTING, RULES)
    if trailing is not None:
        assert levels.is_tighter(side, peak, trailing)
        assert trailing % RULES.tick_size == 0
    behind_mark = levels.clamped(side, first, mark, RULES)
    assert levels.is_tighter(side, mark, behind_mark)
    assert not levels.is_tighter(side, behind_mark, first)
    assert first % RULES.tick_size == behind_mark % RULES.tick_size == 0


@given(side=st.sampled_from(Side), peak=PRICES, mark=PRICES)
def test_a_peak_only_moves_in_the_positions_favour(side: Side, peak: Price, mark: Price) -> None:
    further = levels.further_peak(side, peak, mark)
    assert not levels.is_tighter(side, peak, further)
    assert further in (peak, mark)
