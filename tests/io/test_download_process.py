"""`anchorwatch download` and `anchorwatch venue` as two processes: killed and begun again, no minute is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anchorwatch.io.durations import moment_ms
from anchorwatch.io.seams import real_seams
from anchorwatch.io.venue.candle_file import CandleSeries, read_candles
from anchorwatch.io.venue.instruments import instrument_for
from tests.backtest.rig import BTC, MINUTE_MS

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "anchorwatch")
WITHIN_S = 60
DAYS = 3


@pytest.fixture
def venue() -> Iterator[str]:
    """The address of a venue of its own."""
    process = subprocess.Popen(
        [*COMMAND, "venue", "--port", "0", "--synthetic", "3"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+", said)) is None:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield found[0]
    finally:
        process.kill()
        process.communicate()


def command(venue: str, out: Path, to: str, *more: str) -> list[str]:
    from_ms = moment_ms(to) - DAYS * 1440 * MINUTE_MS
    options = ("--from", str(from_ms), "--to", to, "--out", str(out), "--rest-url", venue)
    return [*COMMAND, "download", BTC, *options, *more]


def whole(path: Path) -> CandleSeries:
    instrument = instrument_for(BTC)
    assert instrument is not None
    return read_candles(path, instrument)


@pytest.mark.parametrize("format", ["csv.gz", "parquet"])
def test_a_download_that_is_killed_goes_on_and_loses_no_minute(
    venue: str, tmp_path: Path, format: str
) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    to = str(real_seams().wall_ms() // MINUTE_MS * MINUTE_MS - 10 * MINUTE_MS)
    out = tmp_path / "out"
    first = subprocess.Popen(command(venue, out, to, "--format", format), cwd=ROOT, stdout=subprocess.DEVNULL)
    give_up_at = time.monotonic() + WITHIN_S
    while not any("reached," in partial.read_text() for partial in out.glob("*.partial.csv")):
        assert first.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    first.kill()
    first.wait()
    (partial,) = out.iterdir()
    again = subprocess.run(
        command(venue, out, to, "--format", format),
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (again.returncode, again.stderr) == (0, "")
    resumed = re.search(rf"{DAYS * 1440} candles, (\d+) of them from an earlier run", again.stdout)
    assert resumed is not None, again.stdout
    assert int(resumed[1]) % 1440 == 0
    assert int(resumed[1]) > 0
    (path,) = out.iterdir()
    assert path.name == f"okx_swap_{BTC}_1m.{format}"
    assert path != partial
    found = whole(path)
    assert found.gaps == ()
    assert (len(found), found.end_ms) == (DAYS * 1440, int(to))
    in_one_go = tmp_path / "in one go"
    subprocess.run(
        command(venue, in_one_go, to), cwd=ROOT, stdout=subprocess.DEVNULL, timeout=WITHIN_S, check=True
    )
    (unbroken,) = (whole(path) for path in in_one_go.iterdir())
    for column in ("ts_ms", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(found, column), getattr(unbroken, column))


def test_a_format_that_there_is_not_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        command("http://127.0.0.1:9", tmp_path, "2025-01-02", "--format", "xlsx"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--format: 'xlsx'; allowed: parquet, csv.gz" in done.stderr
