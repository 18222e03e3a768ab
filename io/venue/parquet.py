"""Tables of candles in Parquet files. pyarrow is an extra: it weighs more than everything else together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.venue.bad_file import BadMarketFile

MISSING = "needs pyarrow, which is not installed: pip install 'anchorwatch[parquet]'"


def library() -> ModuleType | None:
    """pyarrow.parquet, or None where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        return None
    module: ModuleType = pyarrow.parquet
    return module


def read(path: Path, columns: Sequence[str], rows_max: int) -> NDArray[np.float64]:
    """The columns as one table of doubles, a row each candle. Raises `BadMarketFile`."""
    reader = library()
    if reader is None:
        raise BadMarketFile(f"{path}: a Parquet file {MISSING}; allowed without it: .csv or .csv.gz")
    try:
        file = reader.ParquetFile(path)
        if file.metadata.num_rows > rows_max:
            raise BadMarketFile(f"{path}: more than {rows_max} rows; allowed: at most {rows_max}")
        lacking = [name for name in columns if name not in file.schema_arrow.names]
        if lacking:
            raise BadMarketFile(f"{path}: lacks {', '.join(lacking)}; allowed: columns {', '.join(columns)}")
        table = file.read(columns=list(columns))
        found = [np.asarray(table.column(name).to_numpy(), dtype=np.float64) for name in columns]
    except FileNotFoundError:
        raise BadMarketFile(f"{path}: there is no such file") from None
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, BadMarketFile):
            raise
        raise BadMarketFile(f"{path}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None
    if not len(found[0]):
        raise BadMarketFile(f"{path}: the file has no row; expected one row a minute")
    return np.column_stack(found)


def as_text(table: NDArray[np.float64]) -> str:
    """The rows as a text file would hold them, to say which one is wrong."""
    return "\n".join(",".join(f"{value:.15g}" for value in row) for row in table.tolist())


def write(
    path: Path, columns: Sequence[str], rows: Sequence[tuple[float, ...]], facts: dict[str, str]
) -> None:
    """Write candles, ts as a whole number and the rest as doubles. Only to be called where `library` is."""
    import pyarrow

    writer = library()
    assert writer is not None
    kinds = [pyarrow.int64(), *[pyarrow.float64()] * (len(columns) - 1)]
    arrays = [
        pyarrow.array(column, type=kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)
    ]
    table = pyarrow.table(arrays, names=list(columns)).replace_schema_metadata(facts)
    writer.write_table(table, path, compression="zstd")
