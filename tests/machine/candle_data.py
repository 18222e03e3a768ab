"""Candles for tests: recorded ones where they are, and made ones."""

from __future__ import annotations

import functools
import gzip
import math
import os
import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anchorwatch.machine.timeframes import MINUTE_MS
from anchorwatch.machine.world import Candle

_DATA = Path(os.environ.get("ANCHORWATCH_DATA", Path(__file__).parents[3] / "shared" / "data")) / "candles"

FIRST_MS = 1_735_689_600_000
"""A UTC midnight."""


def files(pattern: str = "*_1m_*.csv.gz") -> list[Path]:
    """The recorded files, where there are any."""
    return sorted(_DATA.glob(pattern))


def recorded(pattern: str = "*_1m_*.csv.gz") -> list[object]:
    """The recorded files as test parameters; one that skips, saying so, when there are none."""
    paths = files(pattern)
    if paths:
        return [pytest.param(path, id=path.name.removesuffix(".csv.gz")) for path in paths]
    return [pytest.param(_DATA, marks=pytest.mark.skip(reason=f"no recorded market data under {_DATA}"))]


@functools.cache
def _table(path: Path) -> NDArray[np.float64]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=1)


def _candles(table: NDArray[np.float64]) -> tuple[Candle, ...]:
    return tuple(Candle(int(ts), *values) for ts, *values in table.tolist())


def read(path: Path, count: int | None = None) -> tuple[Candle, ...]:
    """The first minutes of a file, or all."""
    return _candles(_table(path)[:count])


def wildest(path: Path, count: int) -> tuple[Candle, ...]:
    """The minutes around the longest candle of a file."""
    table = _table(path)
    longest = int(np.argmax((table[:, 2] - table[:, 3]) / table[:, 4]))
    begin = max(0, min(longest - count // 2, len(table) - count))
    return _candles(table[begin : begin + count])


def candle(number: int, close: float = 100.0, *, volume: float = 1.0, span_ms: int = MINUTE_MS) -> Candle:
    """The candle of a flat market that opens ``number`` spans after `FIRST_MS`."""
    return Candle(FIRST_MS + number * span_ms, close, close, close, close, volume)


def wandering(count: int, seed: int = 1, px: float = 50_000.0, step: float = 0.0008) -> list[Candle]:
    """Minutes of a market that drifts for a while and then changes its mind. Deterministic by ``seed``."""
    chance = random.Random(seed)
    candles = []
    drift = 0.0
    for number in range(count):
        if number % 180 == 0:
            drift = chance.uniform(-0.5, 0.5) * step
        open_ = px
        px *= math.exp(drift + chance.gauss(0, step))
        high = max(open_, px) * (1 + abs(chance.gauss(0, step / 2)))
        low = min(open_, px) * (1 - abs(chance.gauss(0, step / 2)))
        candles.append(
            Candle(FIRST_MS + number * MINUTE_MS, open_, high, low, px, abs(chance.gauss(10, 5)) + 0.1)
        )
    return candles
