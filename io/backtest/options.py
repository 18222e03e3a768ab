"""What one back-test was asked for on the command line."""

from __future__ import annotations

from pathlib import Path

import msgspec

from anchorwatch.io.run_options import SEED_DEFAULT


class BacktestOptions(msgspec.Struct, frozen=True):
    """``from_ms`` and ``to_ms`` bound the minutes that are traded; what lies before is history. ``out`` is where
    report, tables and journal go; None writes nothing. ``has_one_path`` leaves out the runs on
    the worst and the best path. ``asks_always`` asks at every candle a strategy that foretells too, and holds it to that."""

    files: tuple[Path, ...]
    from_ms: int | None = None
    to_ms: int | None = None
    out: Path | None = None
    seed: int = SEED_DEFAULT
    has_one_path: bool = False
    asks_always: bool = False
