"""``python -m tests.machine.whole_files [FILE…]``: indicators candle by candle against those of the whole series.

Every recorded file to its end, each timeframe that the default strategy reads, three sets of periods; a hole begins anew,
as it does live. It prints how far the two are apart, as a share of the largest price (of 100 at least), and ends with
exit code 1 where that is more than `CLOSENESS`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from anchorwatch.machine.indicators.batch import Floats
from anchorwatch.machine.indicators.panel import Panel, Periods, Readings, candles_defined, columns
from anchorwatch.machine.market import MarketSettings
from anchorwatch.machine.timeframes import Resampling, span_ms
from anchorwatch.machine.world import Candle
from tests.machine.candle_data import files, read

CLOSENESS = 1e-9
"""Of the largest number of the series, which is what rounding errors are measured by."""

SOME_PERIODS = (
    Periods(),
    Periods(
        ema_fast=2, ema_slow=3, rsi=2, macd_fast=2, macd_slow=3, macd_signal=2, bollinger=2, atr=2, adx=2
    ),
    Periods(
        ema_fast=12,
        ema_slow=30,
        rsi=7,
        macd_fast=5,
        macd_slow=35,
        macd_signal=5,
        bollinger=30,
        atr=21,
        adx=24,
    ),
)


def arrays(candles: Sequence[Candle]) -> tuple[Floats, Floats, Floats]:
    """High, low and close."""
    table = np.array([(one.high, one.low, one.close) for one in candles])
    high, low, close = (np.ascontiguousarray(column) for column in table.T)
    return high, low, close


def furthest(candles: Sequence[Candle], periods: Periods) -> dict[str, float]:
    """For each indicator, how far the two are apart at most, as a share of the scale. They must be defined alike."""
    high, low, close = arrays(candles)
    panel = Panel(periods)
    one_by_one = [panel.take(one.high, one.low, one.close) for one in candles]
    at_once = columns(high, low, close, periods).rows()
    assert [row is None for row in one_by_one] == [row is None for row in at_once]
    defined = [(mine, theirs) for mine, theirs in zip(one_by_one, at_once, strict=True) if mine and theirs]
    assert len(defined) == max(0, len(candles) - candles_defined(periods) + 1)
    names = [field.name for field in msgspec.structs.fields(Readings)]
    if not defined:
        return dict.fromkeys(names, 0.0)
    mine = np.array([msgspec.structs.astuple(row) for row, _ in defined])
    theirs = np.array([msgspec.structs.astuple(row) for _, row in defined])
    scale = max(100.0, float(high.max()))
    return dict(zip(names, (np.abs(mine - theirs).max(axis=0) / scale).tolist(), strict=True))


def stretches(minutes: Sequence[Candle], timeframe: str) -> Iterator[list[Candle]]:
    """The candles of a timeframe, cut at every hole."""
    candles: Sequence[Candle] = minutes
    if timeframe != "1m":
        larger = Resampling("1m", timeframe)
        candles = [whole for minute in minutes if (whole := larger.take(minute)) is not None]
    span = span_ms(timeframe)
    cuts = [row for row, (one, two) in enumerate(pairwise(candles), 1) if two.open_ms - one.open_ms != span]
    for begin, end in pairwise((0, *cuts, len(candles))):
        yield list(candles[begin:end])


def main(words: list[str]) -> int:
    paths = [Path(word) for word in words] or files()
    failed = not paths
    print("| file | timeframe | candles | stretches | furthest apart | by |")
    print("|---|---|---|---|---|---|")
    for path in paths:
        minutes = read(path)
        for timeframe in MarketSettings().indicated:
            parts = [part for part in stretches(minutes, timeframe) if part]
            found = [
                (share, name)
                for part in parts
                for periods in SOME_PERIODS
                for name, share in furthest(part, periods).items()
            ]
            most, name = max(found)
            failed = failed or most > CLOSENESS
            name_of_file = path.name.removesuffix(".csv.gz")
            count = sum(map(len, parts))
            print(
                f"| {name_of_file} | {timeframe} | {count} | {len(parts)} | {most:.1e} | {name} |", flush=True
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
