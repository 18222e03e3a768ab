"""``anchorwatch download``: recorded candles of OKX for a back-test of one's own symbols."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from anchorwatch.io.backtest.data import minute
from anchorwatch.io.download import ENDINGS, Downloaded, DownloadFailed, download
from anchorwatch.io.durations import moment_ms
from anchorwatch.io.okx.environments import Environment, Region, endpoints
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.settings import Problem, SettingsError
from anchorwatch.io.settings.schema import TIMEFRAMES
from anchorwatch.io.venue import parquet
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.timeframes import span_ms

MISSING_SAID = 10
"""Missing candles that are named; the back-test's report has them all."""


class Wanted(msgspec.Struct, frozen=True):
    """What the command line says, as text."""

    instruments: tuple[str, ...]
    from_: str | None
    to: str | None
    out: str
    timeframe: str
    rest_url: str | None
    format: str | None = None


def asked_for(wanted: Wanted, wall_ms: Callable[[], int]) -> Exit:
    """Read what was asked for, and do it. Raises `SettingsError` for what the user can mend."""
    problems: list[Problem] = []
    bounds: dict[str, int] = {"--to": wall_ms()}
    for name, text in (("--from", wanted.from_), ("--to", wanted.to)):
        try:
            if text is not None:
                bounds[name] = min(moment_ms(text), wall_ms())
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    if wanted.from_ is None:
        problems.append(Problem("--from", "is not said; allowed: a date such as 2025-01-01"))
    elif not problems and bounds["--from"] >= bounds["--to"]:
        problems.append(Problem("--from", "is not before --to, and both not after now"))
    if not wanted.instruments:
        problems.append(Problem("INSTRUMENT", "none is given; allowed: one or more, such as BTC-USDT-SWAP"))
    for name in wanted.instruments:
        if not name.isascii() or not name.replace("-", "").isalnum():
            problems.append(Problem("INSTRUMENT", f"{name!r}; allowed: a swap such as BTC-USDT-SWAP"))
    if wanted.timeframe not in TIMEFRAMES:
        problems.append(Problem("--timeframe", f"{wanted.timeframe!r}; allowed: {', '.join(TIMEFRAMES)}"))
    if wanted.format is not None and wanted.format not in ENDINGS:
        problems.append(Problem("--format", f"{wanted.format!r}; allowed: {', '.join(ENDINGS)}"))
    if wanted.format == "parquet" and parquet.library() is None:
        problems.append(Problem("--format", f"parquet {parquet.MISSING}"))
    out = Path(wanted.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problems.append(Problem(f"--out {out}", f"cannot be written: {error.strerror or error}"))
    if problems:
        raise SettingsError(problems)
    try:
        trio.run(_all, wanted, bounds["--from"], bounds["--to"], out, wall_ms)
    except* DownloadFailed as group:
        reason = next(iter(group.exceptions))
        raise SettingsError([Problem("download", str(reason))]) from None
    return Exit.CLEAN


async def _all(wanted: Wanted, from_ms: int, to_ms: int, out: Path, wall_ms: Callable[[], int]) -> None:
    console = Console(file=sys.stdout, soft_wrap=True, highlight=False)
    where = endpoints(Environment.LIVE, Region.GLOBAL, rest_url=wanted.rest_url)
    tls = ssl.create_default_context() if where.rest_url.startswith("https") else None
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        async with OkxRest(where, None, wall_ms, tls=tls, reads_only=True) as rest:
            for name in wanted.instruments:
                task = progress.add_task(name, total=to_ms - from_ms)
                moved = _moved(progress, task, from_ms)
                done = await download(rest, name, wanted.timeframe, from_ms, to_ms, out, moved, wanted.format)
                _tell(console, name, done, from_ms + -from_ms % span_ms(wanted.timeframe))


def _moved(progress: Progress, task: TaskID, from_ms: int) -> Callable[[int], None]:
    return lambda at_ms: progress.update(task, completed=at_ms - from_ms)


def _tell(console: Console, name: str, done: Downloaded, asked_ms: int) -> None:
    resumed = f", {done.begun_with} of them from an earlier run" if done.begun_with else ""
    console.print(f"{name}: {done.rows} candles{resumed}: {done.path}")
    if done.first_ms > asked_ms:
        console.print(f"{name}: the venue has nothing before {minute(done.first_ms)}")
    if done.missing:
        shown = ", ".join(minute(ts) for ts in done.missing[:MISSING_SAID])
        more = f" and {len(done.missing) - MISSING_SAID} more" if len(done.missing) > MISSING_SAID else ""
        console.print(f"{name}: the venue lacks {len(done.missing)} candles: {shown}{more}")
    if parquet.library() is None:
        console.print(
            "written as .csv.gz; with pip install 'anchorwatch[parquet]' it is Parquet", markup=False
        )
