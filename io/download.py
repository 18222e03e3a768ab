"""Closed candles of the venue into a file that the back-test reads, without a key: resumable, whole, checked.

What has come is appended to a partial file day by day, so that a download that was killed goes on where it was. When
the span is there the file is written under its name at once, and the partial one is gone. A minute that the venue
does not give is asked for a second time, and then told.
"""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import trio

from anchorwatch.io.backtest.record import moment
from anchorwatch.io.okx.errors import Remedy
from anchorwatch.io.okx.outcomes import Answered, Refused
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.okx.wire_market import Candle
from anchorwatch.io.venue import parquet
from anchorwatch.io.venue.candle_file import COLUMNS, HEADER, MAX_ROWS, PARQUET, BadMarketFile
from anchorwatch.machine.timeframes import span_ms

CANDLES_A_STEP = 1_440
"""Candles of one step: a day of minutes, 15 pages. What a kill can cost is one step."""

TRIES = 8
"""Tries of one step before the download gives up: with the waits between them about two minutes of outage."""

WAIT_FIRST_S = 1.0
WAIT_MAX_S = 30.0
STEP_WITHIN_S = 60.0
"""15 pages at 20 requests in two seconds take two; a busy venue may take long."""


class DownloadFailed(Exception):
    """The venue refuses, or does not answer for too long; the text is for the user."""


class Row(msgspec.Struct, frozen=True):
    """One candle: opening time, prices, volume in contracts."""

    ts: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def texts(self) -> tuple[str, ...]:
        return (str(self.ts), *(format(value, "f") for value in msgspec.structs.astuple(self)[1:]))


class Downloaded(msgspec.Struct, frozen=True):
    """``first_ms`` opens the first candle that the venue has; ``missing`` are the times behind it that it did not give."""

    path: Path
    first_ms: int
    rows: int
    begun_with: int
    missing: tuple[int, ...]


ENDINGS = {"parquet": PARQUET, "csv.gz": ".csv.gz"}
"""The formats by the names that a user gives them."""


def usual_format() -> str:
    return "parquet" if parquet.library() is not None else "csv.gz"


def file_name(instrument: str, timeframe: str, format: str) -> str:
    """The name says the instrument and, by its beginning, that volume counts contracts."""
    return f"okx_swap_{instrument}_{timeframe}{ENDINGS[format]}"


async def download(
    rest: OkxRest,
    instrument: str,
    timeframe: str,
    from_ms: int,
    to_ms: int,
    out: Path,
    progress: Callable[[int], None],
    format: str | None = None,
) -> Downloaded:
    """Candles that open in [from, to), into a file of ``out``. Raises `DownloadFailed`, and `OSError` of the disk.

    ``format`` is one of `ENDINGS`; Parquet where pyarrow is installed and nothing is said.
    """
    span = span_ms(timeframe)
    from_ms, to_ms = -(-from_ms // span) * span, to_ms // span * span
    path = out / file_name(instrument, timeframe, format or usual_format())
    _keep_what_is_there(path, from_ms, to_ms)
    partial = out / f"okx_swap_{instrument}_{timeframe}.{from_ms}.partial.csv"
    rows, reached_ms = read_partial(partial, from_ms)
    begun_with = len(rows)
    with partial.open("a", encoding="utf-8") as target:
        while reached_ms < to_ms:
            end_ms = min(reached_ms + CANDLES_A_STEP * span, to_ms)
            step = await _step(rest, instrument, timeframe, reached_ms, end_ms)
            for row in step:
                target.write(",".join(row.texts()) + "\n")
            # The mark says how far this went, candles or none: an outage of the venue is not asked for again.
            target.write(f"reached,{end_ms}\n")
            target.flush()
            os.fsync(target.fileno())
            rows += step
            reached_ms = end_ms
            progress(reached_ms)
    rows = [row for row in rows if row.ts < to_ms]
    if not rows:
        partial.unlink()
        raise DownloadFailed(f"{instrument}: the venue has no candles of that time")
    held = {row.ts for row in rows}
    missing = tuple(ts for ts in range(rows[0].ts, to_ms, span) if ts not in held)
    _write(path, rows, instrument, timeframe)
    partial.unlink()
    return Downloaded(path, rows[0].ts, len(rows), begun_with, missing)


def _keep_what_is_there(path: Path, from_ms: int, to_ms: int) -> None:
    """A file of that name is replaced only by one that holds its days too. Raises `DownloadFailed`."""
    if not path.exists():
        return
    try:
        first_ms, last_ms = _ends(path)
    except (BadMarketFile, OSError, EOFError, ValueError, IndexError) as error:
        raise DownloadFailed(
            f"{path} is there and cannot be read ({error}); allowed: another --out"
        ) from None
    if first_ms < from_ms or last_ms >= to_ms:
        raise DownloadFailed(
            f"{path} holds {moment(first_ms)} to {moment(last_ms)}, which this would replace; "
            "allowed: --from and --to around it, or another --out"
        )


def _ends(path: Path) -> tuple[int, int]:
    """The opening times of the first and the last candle of a file that was downloaded."""
    if path.name.endswith(PARQUET):
        times = parquet.read(path, COLUMNS[:1], MAX_ROWS)
        return int(times[0, 0]), int(times[-1, 0])
    with gzip.open(path, "rt", encoding="utf-8") as source:
        times_of = [line.partition(",")[0] for line in source]
    return int(times_of[1]), int(times_of[-1])


def read_partial(partial: Path, from_ms: int) -> tuple[list[Row], int]:
    """What an earlier run left, up to its last mark; what came after it was cut off and is asked for again."""
    if not partial.exists():
        return [], from_ms
    rows: list[Row] = []
    kept, reached_ms, length, whole = 0, from_ms, 0, 0
    with partial.open("rb") as source:
        for line in source:
            length += len(line)
            cells = line.decode("ascii", "replace").rstrip("\n").split(",")
            if not line.endswith(b"\n"):
                break
            if cells[0] == "reached" and len(cells) == 2 and cells[1].isdigit():
                kept, reached_ms = len(rows), int(cells[1])
                whole = length
            elif len(cells) == len(COLUMNS) and cells[0].isdigit():
                rows.append(Row(int(cells[0]), *(Decimal(cell) for cell in cells[1:])))
            else:
                break
    os.truncate(partial, whole)
    return rows[:kept], reached_ms


async def _step(rest: OkxRest, instrument: str, timeframe: str, start_ms: int, end_ms: int) -> list[Row]:
    """The candles of one step; those that are missing are asked for once more."""
    found = await _ask(rest, instrument, timeframe, start_ms, end_ms)
    wanted = (end_ms - start_ms) // span_ms(timeframe)
    if 0 < len(found) < wanted:
        found |= await _ask(rest, instrument, timeframe, start_ms, end_ms)
    return [found[ts] for ts in sorted(found)]


async def _ask(rest: OkxRest, instrument: str, timeframe: str, start_ms: int, end_ms: int) -> dict[int, Row]:
    wait_s, reason = WAIT_FIRST_S, ""
    for _ in range(TRIES):
        outcome = await rest.history_candles(
            instrument, timeframe, start_ms=start_ms, end_ms=end_ms, deadline_s=STEP_WITHIN_S
        )
        if isinstance(outcome, Answered):
            return {row.ts_ms: _row(row) for row in outcome.rows}
        if isinstance(outcome, Refused):
            reason = f"{outcome.code} {outcome.message}".strip()
            if outcome.remedy is Remedy.STOP:
                break
        else:
            reason = outcome.reason
        await trio.sleep(wait_s)
        wait_s = min(2 * wait_s, WAIT_MAX_S)
    raise DownloadFailed(f"{instrument}: {reason}; what has come is kept, and the same command goes on")


def _row(candle: Candle) -> Row:
    volume = candle.vol if candle.vol is not None else Decimal(0)
    return Row(candle.ts_ms, candle.open, candle.high, candle.low, candle.close, volume)


def _write(path: Path, rows: list[Row], instrument: str, timeframe: str) -> None:
    """The whole file under another name, and then under its own: nobody finds half of it."""
    unfinished = path.with_name(path.name + ".new")
    if path.name.endswith(PARQUET):
        facts = {"source": "OKX v5 history-candles", "instrument": instrument, "timeframe": timeframe}
        table = [(row.ts, *(float(value) for value in msgspec.structs.astuple(row)[1:])) for row in rows]
        parquet.write(unfinished, COLUMNS, table, {**facts, "volume": "contracts"})
    else:
        with gzip.open(unfinished, "wt", encoding="utf-8", newline="") as target:
            target.write(HEADER + "\n")
            csv.writer(target, lineterminator="\n").writerows(row.texts() for row in rows)
    unfinished.replace(path)
