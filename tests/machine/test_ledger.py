"""The arithmetic of one leg, and the exchange's own figures on a real account's fills reproduced by it."""

from __future__ import annotations

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine.ledger import Account
from anchorwatch.machine.units import Side

DATA = Path(os.environ.get("ANCHORWATCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
COINS = {"BTC-USDT": Decimal("0.01"), "ETH-USDT": Decimal("0.1"), "SOL-USDT": Decimal(1)}
RATES = (Decimal("0.0005"), Decimal("0.0002"))
"""What a taker and a maker pay of the notional; the record does not say who was which."""


def d(text: str | int) -> Decimal:
    return Decimal(text)


def account(side: Side = Side.LONG) -> Account:
    return Account(side, Decimal("0.01"))


def test_the_average_entry_is_weighted_by_size_and_stays_on_a_reduction() -> None:
    held = account().opened(d(1), d(60_000), d(0)).opened(d(3), d(60_400), d(0))
    assert (held.contracts, held.average_price) == (d(4), d(60_300))
    assert held.closed(d(1), d(70_000), d(0)).average_price == d(60_300)


@pytest.mark.parametrize(("side", "pnl"), [(Side.LONG, "2"), (Side.SHORT, "-2")])
def test_a_close_realises_the_way_from_the_average_entry(side: Side, pnl: str) -> None:
    closed = account(side).opened(d(2), d(60_000), d("0.6")).closed(d(2), d(60_100), d("0.6"))
    assert (closed.realised, closed.fees, closed.contracts) == (d(pnl), d("1.2"), d(0))


def test_what_parts_realise_adds_up() -> None:
    held = account().opened(d(3), d(60_000), d("0.9"))
    parts = held.closed(d(1), d(60_100), d("0.3")).closed(d(2), d(59_900), d("0.6"))
    assert (parts.realised, parts.fees) == (d(1) - d(2), d("1.8"))


def test_a_leg_that_is_flat_has_no_entry() -> None:
    assert account().opened(d(1), d(60_000), d(0)).closed(d(1), d(60_000), d(0)).average_price == 0


def test_more_than_there_is_cannot_be_closed() -> None:
    with pytest.raises(ValueError, match="2 closed of 1"):
        account().opened(d(1), d(60_000), d(0)).closed(d(2), d(60_000), d(0))


def test_the_venues_figures_replace_size_and_entry_and_keep_what_was_realised() -> None:
    held = account().opened(d(2), d(60_000), d(1)).closed(d(1), d(60_100), d(1)).restated(d(5), d(59_000))
    assert (held.contracts, held.average_price, held.realised, held.fees) == (d(5), d(59_000), d(1), d(2))


FILLS = st.lists(st.tuples(st.integers(1, 100), st.integers(50_000, 70_000)), min_size=1, max_size=12)


@given(side=st.sampled_from(Side), fills=FILLS, last=st.integers(50_000, 70_000))
def test_what_is_realised_is_what_was_received_less_what_was_given(
    side: Side, fills: list[tuple[int, int]], last: int
) -> None:
    held, given_ = account(side), Decimal(0)
    for contracts, price in fills:
        held = held.opened(d(contracts), d(price), d(0))
        given_ += d(contracts) * d(price) * held.contract_size
    received = held.contracts * d(last) * held.contract_size
    flat = held.closed(held.contracts, d(last), d(0))
    assert flat.realised == pytest.approx(side.sign * (received - given_), abs=Decimal("1e-12"))


@pytest.mark.data
def test_the_ledger_reproduces_the_exchanges_own_figures_on_a_real_accounts_fills() -> None:
    path = DATA / "fills" / "okx_swap_fills_dev.json.gz"
    if not path.exists():
        pytest.skip(f"no recorded fills under {DATA}")
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)
    legs: dict[tuple[str, Side], Account] = {}
    closings = 0
    for row in rows:
        contracts, price, fee = d(row["size"]), d(row["price"]), -d(row["fee"])
        side = Side(row["pos_side"])
        held = legs.get((row["symbol"], side)) or Account(side, COINS[row["symbol"]])
        notional = contracts * held.contract_size * price
        assert min(abs(fee - notional * rate) for rate in RATES) < Decimal("1e-6")
        if (row["side"] == "buy") is (side is Side.LONG):
            assert row["pnl"] is None
            legs[row["symbol"], side] = held.opened(contracts, price, fee)
            continue
        told = d(row["pnl"]) if row["pnl"] is not None else Decimal(0)  # a close at the entry price
        ours = held.pnl_of(contracts, price)
        assert abs(ours - told) <= max(Decimal("1e-6"), abs(told) * Decimal("1e-4")), row
        closings += row["pnl"] is not None
        legs[row["symbol"], side] = held.closed(contracts, price, fee)
    assert (len(rows), closings) == (2482, 1373)
    assert sum(held.fees for held in legs.values()) == -sum(d(row["fee"]) for row in rows)
