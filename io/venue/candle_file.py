"""Reads one-minute candles from a file, exactly, and refuses what is not a market.

A file is `.csv` or `.csv.gz` with the header `ts,open,high,low,close,volume`, or `.parquet` with these columns; ts is the open time of the minute in
UTC milliseconds. Missing minutes are allowed and reported (exchanges have outages); anything else that is wrong is
refused with one sentence that names the file, the line, the fault and what is allowed.

The whole text is parsed at once by numpy. Only when that fails, or its numbers break a rule, is the file read again
line by line to say where.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.venue import parquet
from anchorwatch.io.venue.bad_file import BadMarketFile as BadMarketFile
from anchorwatch.io.venue.feeds import MINUTE_MS, Int64s, Minutes
from anchorwatch.io.venue.instruments import Instrument

PARQUET = ".parquet"
HEADER = "ts,open,high,low,close,volume"
COLUMNS = HEADER.split(",")

# Nine and a half years of minutes: longer than any of these swaps has been listed, and at most half a gigabyte of
# arrays. It bounds the rows and the time they span.
MAX_ROWS = 5_000_000

# A row of six full-length numbers is shorter than this, so that a file (or what a small gzip unfolds to) that is
# longer than MAX_ROWS such rows is refused before it fills the memory.
MAX_ROW_CHARS = 120

# Prices are scaled to whole 1e-8 before they are divided by the tick; up to this price the scaling of a float is exact.
MAX_PX = 10_000_000
_PX_SCALE = 10**8

# More than anything traded in a minute, in coins, contracts or dollars.
MAX_VOLUME = 1e13

# Lots times ticks of one minute: a day of such minutes still adds up in 64 bits. For BTC it is some 200,000 coins a
# minute, so more means a wrong unit or another instrument.
MAX_LOT_TICKS = 2**52

# Timestamps outside these years are seconds, microseconds or rubbish.
MIN_TS_MS = 946_684_800_000  # 2000-01-01
MAX_TS_MS = 4_102_444_800_000  # 2100-01-01

VolumeUnit = Literal["coin", "contracts", "usd"]


class Gap(msgspec.Struct, frozen=True):
    """Minutes that the file lacks: `minutes` of them, the first opening at `first_ms`."""

    first_ms: int
    minutes: int


class CandleSeries:
    """One instrument's recorded minutes: prices in ticks (int64), volume in contracts (float64).

    It is also a feed of the market: `minutes` fills the gaps as OKX does, where a candle without trades repeats the
    previous close.
    """

    def __init__(
        self,
        instrument: Instrument,
        ts_ms: Int64s,
        open_: Int64s,
        high: Int64s,
        low: Int64s,
        close: Int64s,
        volume: NDArray[np.float64],
    ) -> None:
        if not len(ts_ms):
            raise ValueError("a series has at least one minute")
        self.instrument = instrument
        self.ts_ms = ts_ms
        self.open = open_
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume

    def __len__(self) -> int:
        return len(self.ts_ms)

    def __repr__(self) -> str:
        return f"<CandleSeries {self.instrument.inst_id} {len(self)} minutes from {self.first_ms}>"

    @property
    def first_ms(self) -> int:
        """Open time of the first minute."""
        return int(self.ts_ms[0])

    @property
    def end_ms(self) -> int:
        """Close time of the last minute."""
        return int(self.ts_ms[-1]) + MINUTE_MS

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """The missing minutes, oldest first."""
        steps = np.diff(self.ts_ms)
        return tuple(
            Gap(int(self.ts_ms[at]) + MINUTE_MS, int(steps[at]) // MINUTE_MS - 1)
            for at in np.flatnonzero(steps > MINUTE_MS)
        )

    @cached_property
    def _whole(self) -> Minutes:
        """Every minute from the first to the last, the gaps filled."""
        lots = np.rint(self.volume / float(self.instrument.lot_sz)).astype(np.int64)
        # A minute that moved has traded, however little the source says.
        lots = np.maximum(lots, (self.volume > 0) | (self.high > self.low))
        if not self.gaps:
            return Minutes(self.first_ms, self.open, self.high, self.low, self.close, lots)
        place = (self.ts_ms - self.ts_ms[0]) // MINUTE_MS
        count = int(place[-1]) + 1
        source = np.full(count, -1, dtype=np.int64)
        source[place] = np.arange(len(place))
        is_missing = source < 0
        source = np.maximum.accumulate(source)
        previous_close = self.close[source]
        return Minutes(
            self.first_ms,
            np.where(is_missing, previous_close, self.open[source]),
            np.where(is_missing, previous_close, self.high[source]),
            np.where(is_missing, previous_close, self.low[source]),
            previous_close,
            np.where(is_missing, 0, lots[source]),
        )

    def minutes(self, first_ms: int, count: int) -> Minutes:
        """`count` minutes from `first_ms` on, without holes. Raises ValueError outside the series."""
        begin = (first_ms - self.first_ms) // MINUTE_MS
        whole = self._whole
        if begin < 0 or count < 0 or begin + count > len(whole.open):
            raise ValueError(f"minutes outside the series: {count} from {first_ms}")
        part = slice(begin, begin + count)
        return Minutes(
            first_ms, whole.open[part], whole.high[part], whole.low[part], whole.close[part], whole.lots[part]
        )


def volume_unit_of(path: Path) -> VolumeUnit:
    """What a recorded file's volume counts, by its name: okx_swap_* contracts, perp_* US dollars, all others coins."""
    if path.name.startswith("okx_swap_"):
        return "contracts"
    return "usd" if path.name.startswith("perp_") else "coin"


def read_candles(path: Path, instrument: Instrument, volume_unit: VolumeUnit | None = None) -> CandleSeries:
    """The minutes of a file as `instrument`'s, prices rounded half-even to its tick where the source is finer.

    `volume_unit` says what the volume column counts; None decides by the file's name (`volume_unit_of`).
    Raises BadMarketFile.
    """
    if path.name.endswith(PARQUET):
        rows = parquet.read(path, COLUMNS, MAX_ROWS)
        if not _is_market(rows):
            raise BadMarketFile(f"{path}: {_first_fault(parquet.as_text(rows))}")
        return _series(path, rows, instrument, volume_unit or volume_unit_of(path))
    text = _text(path)
    first_line, _, body = text.partition("\n")
    if not text.strip():
        raise BadMarketFile(f"{path}: the file is empty; expected the header {HEADER} and one row a minute")
    if first_line.rstrip("\r") != HEADER:
        raise BadMarketFile(f"{path}: line 1: the header is {first_line[:80]!r}; allowed: {HEADER}")
    if not body.strip():
        raise BadMarketFile(f"{path}: there is no row after the header; expected one row a minute")
    rows_max = body.count("\n") + 1
    if rows_max - 1 > MAX_ROWS:
        raise BadMarketFile(f"{path}: more than {MAX_ROWS} rows; allowed: at most {MAX_ROWS}")
    table = _table(body)
    if table is None or len(table) < rows_max - body.endswith("\n") or not _is_market(table):
        raise BadMarketFile(f"{path}: {_first_fault(body)}")
    return _series(path, table, instrument, volume_unit or volume_unit_of(path))


def _text(path: Path) -> str:
    limit = MAX_ROWS * MAX_ROW_CHARS
    if path.is_dir():
        raise BadMarketFile(f"{path}: is a directory; allowed: a .csv or .csv.gz file")
    if not path.name.endswith((".csv", ".csv.gz")):
        raise BadMarketFile(f"{path}: unknown kind of file; allowed: .csv, .csv.gz or .parquet")
    try:
        if path.name.endswith(".gz"):
            with gzip.open(path, "rb") as packed:
                raw = packed.read(limit + 1)
        else:
            with path.open("rb") as plain:
                raw = plain.read(limit + 1)
    except FileNotFoundError:
        raise BadMarketFile(f"{path}: there is no such file") from None
    except gzip.BadGzipFile:
        raise BadMarketFile(f"{path}: is not gzip data, although its name ends in .gz") from None
    except (EOFError, zlib.error):
        raise BadMarketFile(f"{path}: the gzip data is cut off or damaged; expected a whole file") from None
    except OSError as error:
        raise BadMarketFile(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(raw) > limit:
        raise BadMarketFile(f"{path}: longer than {limit} bytes; allowed: at most {MAX_ROWS} rows")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadMarketFile(f"{path}: is not text; expected comma-separated UTF-8") from None


def _table(body: str) -> NDArray[np.float64] | None:
    """The rows as numbers, or None when some row is not six numbers."""
    try:
        table: NDArray[np.float64] = np.loadtxt(
            io.StringIO(body), delimiter=",", comments=None, dtype=np.float64, ndmin=2
        )
    except ValueError:
        return None
    return table if table.shape[1] == len(COLUMNS) else None


def _is_market(table: NDArray[np.float64]) -> bool:
    """Whether every row obeys the rules that `_row_fault` puts into words."""
    ts, open_, high, low, close, volume = table.T
    prices = table[:, 1:5]
    return bool(
        np.isfinite(table).all()
        and (ts >= MIN_TS_MS).all()
        and (ts < MAX_TS_MS).all()
        and (ts % MINUTE_MS == 0).all()
        and (np.diff(ts) > 0).all()
        and ts[-1] - ts[0] < MAX_ROWS * MINUTE_MS
        and (prices > 0).all()
        and (prices <= MAX_PX).all()
        and (volume >= 0).all()
        and (volume <= MAX_VOLUME).all()
        and (high >= np.maximum(open_, close)).all()
        and (low <= np.minimum(open_, close)).all()
    )


def _first_fault(body: str) -> str:
    """The first line that breaks a rule, as "line 7: what is wrong; what is allowed". Line 1 is the header."""
    lines = body.replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    first_ts = previous_ts = 0
    for number, line in enumerate(lines, start=2):
        cells = line.split(",")
        if len(cells) != len(COLUMNS):
            return f"line {number}: {len(cells) if line else 0} columns; allowed: {len(COLUMNS)} ({HEADER})"
        values = []
        for name, cell in zip(COLUMNS, cells, strict=True):
            try:
                values.append(float(cell))
            except ValueError:
                return f"line {number}: {name} is {cell[:40]!r}; allowed: a number"
            if not math.isfinite(values[-1]):
                return f"line {number}: {name} is {cell[:40]!r}; allowed: a finite number"
        fault = _row_fault(values, cells, previous_ts)
        if fault is None and first_ts and values[0] - first_ts >= MAX_ROWS * MINUTE_MS:
            fault = (
                f"ts {cells[0]} is more than {MAX_ROWS} minutes after the first row; allowed: at most that"
            )
        if fault is not None:
            return f"line {number}: {fault}"
        previous_ts = int(values[0])
        first_ts = first_ts or previous_ts
    return f"the rows cannot be read as numbers; allowed: plain decimals, {HEADER}"


def _row_fault(values: list[float], cells: list[str], previous_ts: int) -> str | None:
    ts, open_, high, low, close, volume = values
    if not MIN_TS_MS <= ts < MAX_TS_MS:
        return f"ts is {cells[0]}; allowed: UTC milliseconds of the years 2000 to 2099"
    if ts % MINUTE_MS:
        return f"ts {cells[0]} is not on a whole minute; allowed: multiples of {MINUTE_MS} ms"
    if ts == previous_ts:
        return f"ts {cells[0]} is there twice; allowed: each minute once"
    if ts < previous_ts:
        return f"ts {cells[0]} is out of order, after {previous_ts}; allowed: rising time"
    for name, px, cell in zip(COLUMNS[1:5], values[1:5], cells[1:5], strict=True):
        if not 0 < px <= MAX_PX:
            return f"{name} is {cell}; allowed: a price above 0, at most {MAX_PX}"
    if not 0 <= volume <= MAX_VOLUME:
        return f"volume is {cells[5]}; allowed: 0 to {MAX_VOLUME:g}"
    if high < max(open_, close):
        return (
            f"high {cells[2]} is below open {cells[1]} or close {cells[4]}; allowed: the highest of the four"
        )
    if low > min(open_, close):
        return f"low {cells[3]} is above open {cells[1]} or close {cells[4]}; allowed: the lowest of the four"
    return None


def _series(
    path: Path, table: NDArray[np.float64], instrument: Instrument, volume_unit: VolumeUnit
) -> CandleSeries:
    open_, high, low, close = (_ticks(table[:, column], instrument.tick_sz) for column in range(1, 5))
    below = np.flatnonzero(low <= 0)
    if len(below):
        raise BadMarketFile(
            f"{path}: line {int(below[0]) + 2}: the low is below {instrument.inst_id}'s tick {instrument.tick_sz}; "
            "allowed: prices of at least one tick (is it this instrument's file?)"
        )
    volume = table[:, 5]
    per_contract = float(instrument.coin_per_contract)
    if volume_unit == "coin":
        volume = volume / per_contract
    elif volume_unit == "usd":
        volume = volume / (table[:, 4] * per_contract)
    beyond = np.flatnonzero(volume / float(instrument.lot_sz) * high > MAX_LOT_TICKS // 2)
    if len(beyond):
        at = int(beyond[0])
        raise BadMarketFile(
            f"{path}: line {at + 2}: a volume of {table[at, 5]:.15g} ({volume_unit}) is beyond anything that "
            f"{instrument.inst_id} trades in a minute; allowed: volume in coins, contracts or usd, as said or by name"
        )
    return CandleSeries(instrument, table[:, 0].astype(np.int64), open_, high, low, close, volume.copy())


def _ticks(prices: NDArray[np.float64], tick_sz: Decimal) -> Int64s:
    """Prices in whole ticks, ties to the even tick, computed in integers: a price's text is exact to 1e-8."""
    scaled = np.rint(prices * _PX_SCALE).astype(np.int64)
    tick = int(tick_sz * _PX_SCALE)
    ticks, rest = np.divmod(scaled, tick)
    doubled = 2 * rest
    rounded: Int64s = ticks + ((doubled > tick) | ((doubled == tick) & (ticks % 2 == 1)))
    return rounded
