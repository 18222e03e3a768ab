"""Where the recorded market data lies, when it is there; and small markets for stories."""

import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from anchorwatch.io.venue.candle_file import CandleSeries
from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.io.venue.instruments import Instrument, instrument_for

_DATA = Path(os.environ.get("ANCHORWATCH_DATA", Path(__file__).parents[3] / "shared" / "data"))


def candle_files() -> list[object]:
    """The recorded files as test parameters; one that skips, saying so, when there are none."""
    paths = [
        path for path in sorted((_DATA / "candles").glob("*.csv.gz")) if not path.name.startswith("trades_")
    ]
    if paths:
        return list(paths)
    return [pytest.param(_DATA, marks=pytest.mark.skip(reason=f"no recorded market data under {_DATA}"))]


def swap(base: str) -> Instrument:
    instrument = instrument_for(f"{base}-USDT-SWAP")
    assert instrument is not None
    return instrument


def series(
    base: str, first_ms: int, *rows: tuple[int, int, int, int], missing: tuple[int, ...] = ()
) -> CandleSeries:
    """Minutes from (open, high, low, close) in ticks, 60 contracts each, without the minutes numbered in `missing`."""
    kept = [number for number in range(len(rows)) if number not in missing]
    open_, high, low, close = np.array([rows[number] for number in kept], dtype=np.int64).T
    ts_ms = first_ms + np.array(kept, dtype=np.int64) * MINUTE_MS
    return CandleSeries(swap(base), ts_ms, open_, high, low, close, np.full(len(kept), 60.0))


def wandering(base: str, first_ms: int, count: int, *, start: int = 1_000_000) -> CandleSeries:
    """Minutes whose prices all differ, so that no two can be mistaken for each other."""
    rows = []
    px = start
    for number in range(count):
        close = px + (number * 7919) % 101 - 50
        rows.append((px, max(px, close) + 3, min(px, close) - 4, close))
        px = close
    return series(base, first_ms, *rows)


def px(base: str, ticks: int) -> Decimal:
    return ticks * swap(base).tick_sz
