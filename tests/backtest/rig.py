"""Candles, settings and runs for the stories of the back-test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from anchorwatch.io.backtest.outcome import trade_row
from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.settings import Settings, load
from anchorwatch.io.venue.candle_file import CandleSeries
from anchorwatch.io.venue.instruments import instrument_for

BTC = "BTC-USDT-SWAP"
MINUTE_MS = 60_000
FIRST_MS = 1_735_776_000_000
DATA = Path(os.environ.get("ANCHORWATCH_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
LIVELY = {
    "strategy.name": "ema_cross",
    "strategy.fast": 3,
    "strategy.slow": 8,
    "strategy.cooldown_s": 0,
    "strategy.cooldown_after_loss_s": 0,
    "strategy.cooldown_opposite_s": 0,
    "limits.losses_in_row": 0,
    "candles": {"1m": 140},
}
"""Settings that trade every few minutes."""


def recorded(name: str) -> Path:
    """A recorded file; the test is skipped where there is none."""
    path = DATA / "candles" / name
    if not path.is_file():
        pytest.skip(f"no recorded candles: {path.name} is not in $ANCHORWATCH_DATA or ../shared/data")
    return path


def settings(**options: object) -> Settings:
    """Settings for BTC alone; an option is a dotted name with ``__`` for the dot."""
    given: dict[str, Any] = {**LIVELY, **{name.replace("__", "."): value for name, value in options.items()}}
    given.setdefault("symbols", [BTC])
    return load(file=None, environ={}, options=given, markets=())


def walk(minutes: int, seed: int = 1, *, first: int = 1_000_000, step: int = 600) -> CandleSeries:
    """A market that wanders: prices in ticks of BTC."""
    random = Random(seed)
    instrument = instrument_for(BTC)
    assert instrument is not None
    rows = []
    price = first
    for _ in range(minutes):
        moves = [random.randint(-step, step) for _ in range(4)]
        close = max(1_000, price + sum(moves))
        rows.append((price, max(price, close) + abs(moves[0]), min(price, close) - abs(moves[1]), close))
        price = close
    open_, high, low, close_ = (np.asarray(column, dtype=np.int64) for column in zip(*rows, strict=True))
    ts_ms = FIRST_MS + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    return CandleSeries(instrument, ts_ms, open_, high, low, close_, np.full(minutes, 5_000.0))


def walks(prices: Mapping[str, int], minutes: int, seed: int) -> dict[str, CandleSeries]:
    """Several markets that wander, each with a seed of its own, from these prices in ticks of theirs."""
    wandered = {}
    for number, (name, price) in enumerate(prices.items()):
        instrument = instrument_for(name)
        assert instrument is not None
        own = walk(minutes, seed + number, first=price, step=price * 6 // 10_000)
        wandered[name] = CandleSeries(
            instrument, own.ts_ms, own.open, own.high, own.low, own.close, own.volume
        )
    return wandered


def part(series: CandleSeries, rows: Any) -> CandleSeries:
    """Some rows of a series: a slice, or a mask."""
    return CandleSeries(
        series.instrument,
        series.ts_ms[rows],
        series.open[rows],
        series.high[rows],
        series.low[rows],
        series.close[rows],
        series.volume[rows],
    )


def run(series: CandleSeries, given: Settings | None = None, *, start: int = 140, **more: Any) -> Backtest:
    """A back-test from the minute ``start`` of the series to its end, run to its end."""
    begin_ms = series.first_ms + start * MINUTE_MS
    more.setdefault("seed", 1)
    test = Backtest(given or settings(), {series.instrument.inst_id: series}, begin_ms, series.end_ms, **more)
    test.run()
    return test


def trades(test: Backtest) -> list[dict[str, object]]:
    return [trade_row(trade) for trade in test.record.trades]
