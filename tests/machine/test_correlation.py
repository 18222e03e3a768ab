"""Markets that move as one are one market: the pure figure, and the limit that rests on it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import requests
from anchorwatch.machine.candles import Arrays, CandleBuffer
from anchorwatch.machine.correlation import correlation
from anchorwatch.machine.desk import risk
from anchorwatch.machine.limits import Limits
from anchorwatch.machine.units import Contracts, LegKey, Side
from anchorwatch.machine.world import Candle, CandleClosed
from tests.machine.desk_rig import BTC, MINUTE_MS, START_MS, DeskRig
from tests.machine.test_limits import ETH, rig_of_two

RETURNS = 60
FIRST_MS = START_MS - 200 * MINUTE_MS


def candles(closes: Sequence[float], first_ms: int = FIRST_MS) -> tuple[Candle, ...]:
    return tuple(
        Candle(first_ms + number * MINUTE_MS, close, close, close, close, 1.0)
        for number, close in enumerate(closes)
    )


def arrays(closes: Sequence[float], first_ms: int = FIRST_MS) -> Arrays:
    buffer = CandleBuffer("1m", max(1, len(closes)))
    buffer.merge(candles(closes, first_ms))
    return buffer.arrays()


def wandering(seed: int, count: int = 100) -> list[float]:
    steps = np.random.default_rng(seed).normal(0, 0.001, count)
    return list(100 * np.exp(np.cumsum(steps)))


def test_a_market_moves_as_itself_and_against_its_inverse() -> None:
    one = wandering(1)
    assert correlation(arrays(one), arrays(one), RETURNS) == pytest.approx(1)
    assert correlation(arrays(one), arrays([7 * px for px in one]), RETURNS) == pytest.approx(1)
    assert correlation(arrays(one), arrays([1e4 / px for px in one]), RETURNS) == pytest.approx(-1)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(2, 99))
def test_it_is_pearson_s_figure_of_the_newest_returns_and_symmetric(a: int, b: int, returns: int) -> None:
    one, other = wandering(a), wandering(b)
    found = correlation(arrays(one), arrays(other), returns)
    x, y = (np.diff(np.log(closes))[-returns:] for closes in (one, other))
    x, y = x - x.mean(), y - y.mean()
    assert found == pytest.approx(float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())), abs=1e-9)
    assert correlation(arrays(other), arrays(one), returns) == pytest.approx(found, abs=1e-12)


def test_a_candle_that_only_one_of_them_has_yet_does_not_count() -> None:
    """At a full minute one push is first: the limit must not be open for that moment."""
    one = wandering(1)
    ahead = [*one, one[-1] * 1.5]
    assert correlation(arrays(ahead), arrays(one), RETURNS) == pytest.approx(1)
    assert correlation(arrays(one), arrays(ahead), RETURNS) == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 1, RETURNS])
def test_of_too_few_candles_nothing_is_known(count: int) -> None:
    assert correlation(arrays(wandering(1)), arrays(wandering(2, count)), RETURNS) is None
    assert correlation(arrays(wandering(1)), arrays(wandering(2, RETURNS + 1)), RETURNS) is not None


def test_a_market_that_stands_still_moves_with_none() -> None:
    assert correlation(arrays([100.0] * 100), arrays(wandering(1)), RETURNS) == 0


# The limit.


def with_btc_on_its_way(bounds: Limits, eth: tuple[Candle, ...] | None = None) -> DeskRig:
    """A long entry of BTC is under way; ETH has the same candles, or these."""
    rig = rig_of_two(bounds, eth)
    rig.journal_writes = False
    crossing = rig.next_candle(Side.LONG)
    rig.say(CandleClosed(BTC, "1m", crossing))
    assert [line.name for line in rig.taken(requests.Announce)] == ["ENTRY"]
    if eth is None:
        rig.say(CandleClosed(ETH, "1m", crossing))
    return rig


def of_eth(rig: DeskRig, side: Side) -> tuple[str, ...]:
    """What stands in the way of ETH to this side, of size, loss and likeness."""
    return risk.obstacles(rig.desk.context, LegKey(ETH, side), Contracts(Decimal("0.01")))


def history(closes: Sequence[float]) -> tuple[Candle, ...]:
    return candles(closes, START_MS - len(closes) * MINUTE_MS)


def test_two_symbols_that_move_as_one_are_not_both_entered_to_one_side() -> None:
    rig = with_btc_on_its_way(Limits())
    (denied,) = [dict(line.fields) for line in rig.taken(requests.Announce) if line.name == "ENTRY_DENIED"]
    assert denied["leg"] == f"{ETH}/long"
    assert denied["because"] == f"it moves as {BTC} does (correlation 1.00)"


def test_without_the_limit_both_are_entered() -> None:
    rig = with_btc_on_its_way(Limits(correlation=1.0))
    assert [line.name for line in rig.taken(requests.Announce)] == ["ENTRY"]


def test_the_other_side_and_a_market_of_its_own_are_free() -> None:
    rig = with_btc_on_its_way(Limits())
    assert not any("moves as" in one for one in of_eth(rig, Side.SHORT))
    apart = with_btc_on_its_way(Limits(), history(wandering(5)))
    assert of_eth(apart, Side.LONG) == ()


def test_the_limit_lies_where_the_settings_put_it() -> None:
    eth = history(wandering(5))
    charts = with_btc_on_its_way(Limits(), eth).desk.context.charts
    mine, its = (charts[name].market.buffer("1m").arrays() for name in (ETH, BTC))
    found = correlation(mine, its, RETURNS)
    assert found is not None
    for limit, is_denied in ((found - 0.01, True), (found + 0.01, False)):
        rig = with_btc_on_its_way(Limits(correlation=limit), eth)
        assert bool(of_eth(rig, Side.LONG)) is is_denied


def test_where_too_little_is_known_of_the_other_market_nothing_is_entered_beside_it() -> None:
    rig = with_btc_on_its_way(Limits(), history(wandering(5, RETURNS)))
    assert of_eth(rig, Side.LONG) == (f"whether it moves as {BTC} does is not known",)
    assert of_eth(rig, Side.SHORT) == ()
