"""When a position is closed because of its profit, its age or its patience."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine.parameters import ExitSettings, Patience
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy.exits import (
    CloseAll,
    ClosePart,
    ExitReason,
    Held,
    exit_wanted,
    part_of,
)
from anchorwatch.machine.units import Contracts, Fraction, Price, Side
from tests.machine.desk_rig import RULES

SETTINGS = ExitSettings()
ENTRY = Price(Decimal(100))


def wanted(
    px: str,
    age_s: int = 60,
    regime: Regime | None = Regime.TRENDING,
    side: Side = Side.LONG,
    **changed: object,
) -> CloseAll | ClosePart | None:
    held = msgspec.structs.replace(Held(side, ENTRY, 0, regime), **changed)
    return exit_wanted(held, Price(Decimal(px)), age_s * 1000, SETTINGS)


def reason(asked: CloseAll | ClosePart | None) -> ExitReason | None:
    return asked.reason if isinstance(asked, CloseAll) else None


def test_a_profit_of_one_percent_of_the_price_is_taken_on_both_sides() -> None:
    assert wanted("101") == CloseAll(ExitReason.TAKE_PROFIT, "1.00% profit")
    assert reason(wanted("99", side=Side.SHORT)) is ExitReason.TAKE_PROFIT
    assert wanted("99.9") is None


def test_half_is_taken_at_half_the_way_and_only_once() -> None:
    half = ClosePart(Fraction(Decimal("0.5")), "0.50% profit")
    assert wanted("100.5") == half
    assert wanted("100.49") is None
    assert wanted("100.5", partial_taken=True) is None
    assert reason(wanted("101")) is ExitReason.TAKE_PROFIT  # all of it goes before half of it


@pytest.mark.parametrize(
    ("regime", "after_s", "px"),
    [
        (Regime.TRENDING, 420, "99.7"),
        (Regime.RANGING, 600, "99.6"),
        (Regime.CHOPPY, 180, "99.84"),
        (None, 180, "99.84"),
    ],
)
def test_a_loser_is_given_its_time_and_no_more(regime: Regime | None, after_s: int, px: str) -> None:
    assert reason(wanted(px, after_s, regime)) is ExitReason.LOSER_TIMED_OUT
    assert wanted(px, after_s - 1, regime) is None
    assert wanted(str(Decimal(px) + Decimal("0.001")), after_s, regime) is None


@pytest.mark.parametrize(
    ("regime", "minutes"),
    [(Regime.TRENDING, 45), (Regime.RANGING, 15), (Regime.CHOPPY, 10), (None, 10)],
)
def test_no_position_outlives_its_regimes_longest_holding(regime: Regime | None, minutes: int) -> None:
    assert reason(wanted("100", minutes * 60, regime)) is ExitReason.HELD_TOO_LONG
    assert wanted("100", minutes * 60 - 1, regime) is None


def test_zeros_switch_each_exit_off() -> None:
    never = Patience(0, 0, Fraction(Decimal(0)))
    zero = Fraction(Decimal(0))
    off = ExitSettings(zero, zero, zero, never, never, never)
    for px in ("1", "100", "1000"):
        assert exit_wanted(Held(Side.LONG, ENTRY, 0, None), Price(Decimal(px)), 10**12, off) is None


@given(
    st.decimals("90", "110", places=2),
    st.integers(0, 4_000),
    st.sampled_from([None, *Regime]),
    st.booleans(),
)
def test_both_sides_are_treated_alike(px: Decimal, age_s: int, regime: Regime | None, taken: bool) -> None:
    one = wanted(str(px), age_s, regime, Side.LONG, partial_taken=taken)
    assert wanted(str(200 - px), age_s, regime, Side.SHORT, partial_taken=taken) == one


def test_neither_the_part_nor_the_rest_may_be_below_the_minimum() -> None:
    rules = msgspec.structs.replace(RULES, lot_size=Decimal("0.1"), min_size=Decimal("1"))

    def part(contracts: str, share: str) -> Decimal:
        return part_of(Contracts(Decimal(contracts)), Fraction(Decimal(share)), rules)

    assert part("2", "0.5") == 1
    assert part("1.9", "0.5") == 0
    assert part("1.9", "0.9") == 0
    assert part("4", "0.2") == 0
    assert part("4", "0.333") == Decimal("1.3")


@given(st.integers(1, 500))
def test_a_part_is_tradable_and_leaves_what_is_tradable_or_is_none(lots: int) -> None:
    contracts = Contracts(lots * RULES.lot_size)
    part = part_of(contracts, Fraction(Decimal("0.5")), RULES)
    assert part % RULES.lot_size == 0
    if part:
        assert RULES.min_size <= part <= contracts / 2
        assert contracts - part >= RULES.min_size
    else:
        assert contracts < 2 * RULES.min_size
