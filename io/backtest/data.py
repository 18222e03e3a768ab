"""The files of a back-test: read, checked, and told about. Nothing is bridged without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from anchorwatch.io.backtest.record import moment
from anchorwatch.io.settings import Problem, SettingsError
from anchorwatch.io.venue.candle_file import BadMarketFile, CandleSeries, Gap, read_candles
from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.io.venue.instruments import inst_id_from_file_name, instrument_for

HOLES_SAID = 20
"""Holes that are named one by one on the terminal; the report and result.json have them all."""


class DataFacts(msgspec.Struct, frozen=True):
    """What is in one file. ``holes`` are (first missing minute, minutes); times UTC."""

    file: str
    instrument: str
    rows: int
    first: str
    last: str
    holes: tuple[tuple[str, int], ...]
    missing_minutes: int
    zero_volume_minutes: int
    standing_minutes: int  # open, high, low and close are one price
    longest_standing: int


def read_files(files: Sequence[Path]) -> dict[str, CandleSeries]:
    """The candles of every file, by instrument. Raises `SettingsError` or `BadMarketFile`."""
    found: dict[str, CandleSeries] = {}
    for path in files:
        name = inst_id_from_file_name(path)
        instrument = instrument_for(name) if name is not None else None
        if instrument is None:
            raise BadMarketFile(
                f"{path}: the name tells no known swap; name it like BTCUSDT or BTC-USDT-SWAP"
            )
        if instrument.inst_id in found:
            raise SettingsError(
                [
                    Problem(
                        str(path), f"a second file of {instrument.inst_id}; allowed: one of each instrument"
                    )
                ]
            )
        found[instrument.inst_id] = read_candles(path, instrument)
    return found


def cut(series: CandleSeries, to_ms: int | None) -> CandleSeries:
    """The series without what opens at or after ``to_ms``. Raises `BadMarketFile` where nothing is left of it."""
    if to_ms is None:
        return series
    end = int(series.ts_ms.searchsorted(to_ms))
    if not end:
        first = minute(series.first_ms)
        raise BadMarketFile(
            f"{series.instrument.inst_id}: nothing comes before --to {minute(to_ms)}; allowed: after {first}"
        )
    return CandleSeries(
        series.instrument,
        series.ts_ms[:end],
        series.open[:end],
        series.high[:end],
        series.low[:end],
        series.close[:end],
        series.volume[:end],
    )


def facts_of(path: Path, series: CandleSeries) -> DataFacts:
    standing = (series.high == series.low).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], standing, [0]))))
    runs = edges[1::2] - edges[::2]
    return DataFacts(
        file=path.name,
        instrument=series.instrument.inst_id,
        rows=len(series),
        first=minute(series.first_ms),
        last=minute(series.end_ms - MINUTE_MS),
        holes=tuple((minute(gap.first_ms), gap.minutes) for gap in series.gaps),
        missing_minutes=sum(gap.minutes for gap in series.gaps),
        zero_volume_minutes=int((series.volume == 0).sum()),
        standing_minutes=int(standing.sum()),
        longest_standing=int(runs.max()) if len(runs) else 0,
    )


def holes_between(series: Mapping[str, CandleSeries], begin_ms: int, end_ms: int) -> list[tuple[str, Gap]]:
    """The holes that lie in the time that is traded."""
    return [
        (name, gap) for name, one in series.items() for gap in one.gaps if begin_ms <= gap.first_ms < end_ms
    ]


def minute(at_ms: int) -> str:
    """A minute for people, UTC."""
    return moment(at_ms)[:16]
