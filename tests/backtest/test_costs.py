"""What a back-test costs, to the last digit; and what it does about minutes that its file lacks."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from anchorwatch.io.backtest.costs import costs_of
from anchorwatch.io.cli import command
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.units import Deal
from tests.backtest.rig import FIRST_MS, MINUTE_MS, part, recorded, run, settings, walk
from tests.backtest.test_own_strategy import written

WHOLE = walk(600, seed=5, step=40)
SIZE = Decimal("0.01")
"""Coins of a contract of BTC."""

SETTLED_MS = FIRST_MS + 480 * MINUTE_MS
"""The first funding of the file: FIRST_MS is a midnight."""

WORTH_PX = Decimal(100_000)
"""Where these markets wander, to two percent."""


@pytest.mark.parametrize("rate", ["0.0005", "0.001"])
def test_a_taker_pays_the_taker_s_fee_of_its_worth(rate: str) -> None:
    test = run(WHOLE, settings(entry__order_kind="market", backtest__taker_fee=Decimal(rate)))
    fills = [one for trade in test.record.trades for one in trade.fills]
    assert len(fills) > 10
    assert all(one.fee == one.contracts * SIZE * one.price * Decimal(rate) for one in fills)


@pytest.mark.parametrize(
    ("deal", "price", "slipped"),
    [
        (Deal.BUY, "60000", "60060.0"),
        (Deal.SELL, "60000", "59940.0"),
        (Deal.BUY, "60000.1", "60060.2"),
        (Deal.SELL, "60000.1", "59940.0"),
    ],
)
def test_slippage_makes_a_price_worse_and_never_better_on_the_tick(
    deal: Deal, price: str, slipped: str
) -> None:
    costs = costs_of(settings(backtest__slippage_fraction=Decimal("0.001")).backtest, seed=1)
    assert costs.slipped(Decimal(price), deal, Decimal("0.1")) == Decimal(slipped)


def test_the_first_entry_is_filled_at_the_slipped_price() -> None:
    given = {"entry__order_kind": "market", "backtest__latency_jitter_ms": 0}
    slipping = settings(**given, backtest__slippage_fraction=Decimal("0.0004"))
    plain, dear = run(WHOLE, settings(**given)).record.trades[0], run(WHOLE, slipping).record.trades[0]
    assert (plain.side, plain.entered_ms) == (dear.side, dear.entered_ms)
    deal = Deal.BUY if plain.side == "long" else Deal.SELL
    costs = costs_of(slipping.backtest, seed=1)
    assert dear.fills[0].price == costs.slipped(plain.fills[0].price, deal, Decimal("0.1"))


@pytest.mark.parametrize("rate", ["0.001", "-0.002"])
@pytest.mark.parametrize("side", ["long", "short"])
def test_fixed_funding_is_paid_by_longs_and_earned_by_shorts_who_hold_over_it(side: str, rate: str) -> None:
    given = settings(strategy__sides=side, backtest__funding="fixed", backtest__funding_rate=Decimal(rate))
    holding = 0
    for seed in range(1, 6):
        test = run(walk(600, seed=seed, step=40), given)
        contracts = Decimal(0)
        for trade in test.record.trades:
            moves = [
                one.contracts if one.is_entry else -one.contracts
                for one in trade.fills
                if one.at_ms < SETTLED_MS
            ]
            contracts += sum(moves, Decimal(0))
        holding += bool(contracts)
        paid = contracts * SIZE * WORTH_PX * Decimal(rate) * (1 if side == "long" else -1)
        assert float(test.record.funding) == pytest.approx(float(-paid), rel=0.03)
    assert holding


# Holes.


def refusing(path: Path) -> list[str]:
    config = path / "bot.toml"
    config.write_text('[backtest]\nholes = "refuse"\n')
    return ["--config", str(config), "--one-path"]


def lacking(minutes: Iterable[int], path: Path) -> Path:
    mask = np.ones(len(WHOLE), dtype=bool)
    mask[list(minutes)] = False
    return written(path / "BTCUSDT.csv", part(WHOLE, mask))


def test_holes_are_told_by_their_minutes_or_refused_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lacking((200, 401, 402), tmp_path)
    minutes = "2 holes, 3 minutes missing: BTC-USDT-SWAP 2025-01-02 03:20 (1 min), BTC-USDT-SWAP 2025-01-02 06:41 (2 min)"
    assert command(["backtest", str(file), *refusing(tmp_path)]) == Exit.BAD_SETTINGS.value
    told = capsys.readouterr()
    assert told.err == f"anchorwatch: {minutes}; backtest.holes is refuse\n"
    assert command(["backtest", str(file), "--strategy", "ema_cross", "--one-path"]) == Exit.CLEAN.value
    assert f"holes: {minutes.replace(' holes, ', ', ')}; entries sit them out" in capsys.readouterr().out


@pytest.mark.data
def test_the_eleven_holes_of_a_recorded_file_are_refused_by_their_minutes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = recorded("okx_swap_BTC-USDT-SWAP_1m_2025_12_17.csv.gz")
    assert command(["backtest", str(file), *refusing(tmp_path)]) == Exit.BAD_SETTINGS.value
    told = capsys.readouterr().err
    assert told.startswith("anchorwatch: 11 holes, 11 minutes missing: BTC-USDT-SWAP 2025-12-")
    assert told.endswith(" and 6 more; backtest.holes is refuse\n")
