"""Candles are downloaded from a venue that serves: whole, once each, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio

from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.download import DownloadFailed, download, file_name, read_partial
from anchorwatch.io.okx.environments import Environment, endpoints
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.venue import parquet
from anchorwatch.io.venue.candle_file import BadMarketFile, CandleSeries, read_candles
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.faults import Fault, Faults
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from tests.backtest.rig import BTC, FIRST_MS, MINUTE_MS, walk

DAYS = 2
SERIES = walk(DAYS * 1440 + 100)
END_MS = FIRST_MS + DAYS * 1440 * MINUTE_MS
NOW_MS = SERIES.end_ms - MINUTE_MS


@pytest.fixture
def paced_clock() -> PacedClock:
    """Virtual time over real sockets: waits between tries take none."""
    return PacedClock()


@asynccontextmanager
async def serving(*faults: Fault) -> AsyncIterator[tuple[OkxRest, Venue]]:
    """A venue that has traded the series, and a client without a key."""

    def now_ms() -> int:
        return NOW_MS + round(trio.current_time() * 1000)

    venue = Venue(Market({BTC: SERIES}, NOW_MS), now_ms=now_ms, faults=Faults(rules=faults))
    listeners = await open_loopback()
    url = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    where = endpoints(Environment.LIVE, rest_url=f"http://{url}", ws_url=f"ws://{url}/ws/v5")
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_venue, venue, listeners)
        async with OkxRest(where, None, now_ms, reads_only=True) as rest:
            yield rest, venue
        nursery.cancel_scope.cancel()


def check(path: Path, minutes: int = DAYS * 1440) -> CandleSeries:
    """The file is the series, every minute once."""
    instrument = instrument_for(BTC)
    assert instrument is not None
    found = read_candles(path, instrument)
    assert found.gaps == ()
    assert len(found) == minutes
    for name in ("ts_ms", "open", "high", "low", "close"):
        assert np.array_equal(getattr(found, name), getattr(SERIES, name)[:minutes])
    return found


def unheard(at_ms: int) -> None:
    """Nobody looks at the progress."""


def held(out: Path) -> list[Path]:
    return list(out.iterdir())


async def fetch(rest: OkxRest, out: Path, to_ms: int = END_MS) -> Path:
    done = await download(rest, BTC, "1m", FIRST_MS, to_ms, out, unheard)
    assert done.missing == ()
    assert held(out) == [done.path], "nothing unfinished is left"
    return done.path


async def test_two_days_lose_no_minute_at_any_pages_edge(paced_clock: PacedClock, tmp_path: Path) -> None:
    async with serving() as (rest, _):
        check(await fetch(rest, tmp_path))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="html_error", status=503, after=2, times=9),
        Fault(kind="html_error", status=429, after=2, times=9),
        Fault(kind="reject_with_code", code="50011", after=2, times=9),
        Fault(kind="truncated_answer", after=2, times=9),
        Fault(kind="reject_then_timeout", after=2, times=2),
    ],
    ids=lambda fault: f"{fault.kind} {fault.code or fault.status}",
)
async def test_whatever_the_venue_does_every_minute_comes(
    fault: Fault, paced_clock: PacedClock, tmp_path: Path
) -> None:
    async with serving(fault) as (rest, _):
        check(await fetch(rest, tmp_path))


async def test_a_download_that_was_killed_goes_on_without_a_hole_or_a_repetition(
    paced_clock: PacedClock, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def die(at_ms: int) -> None:
        raise Killed

    async with serving() as (rest, _):
        with pytest.raises(Killed):
            await download(rest, BTC, "1m", FIRST_MS, END_MS, tmp_path, die)
        (partial,) = held(tmp_path)
        # What the kill tore: half a line, and candles of a step that was not finished.
        with partial.open("a") as target:
            target.write("1735862400000,1,1,1,1,1\n17358624")
        done = await download(rest, BTC, "1m", FIRST_MS, END_MS, tmp_path, unheard)
    assert done.begun_with == 1440
    check(done.path)


@pytest.mark.parametrize("format", ["csv.gz", "parquet"])
async def test_a_file_is_not_replaced_by_one_that_lacks_its_days(
    paced_clock: PacedClock, tmp_path: Path, format: str
) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    later_ms = FIRST_MS + 600 * MINUTE_MS
    async with serving() as (rest, _):
        whole = (await download(rest, BTC, "1m", FIRST_MS, later_ms, tmp_path, unheard, format)).path
        before = whole.read_bytes()
        for span in ((FIRST_MS + MINUTE_MS, later_ms), (FIRST_MS, later_ms - MINUTE_MS)):
            with pytest.raises(
                DownloadFailed, match="which this would replace; allowed: --from and --to around it"
            ):
                await download(rest, BTC, "1m", *span, tmp_path, unheard, format)
        assert held(tmp_path) == [whole]
        assert whole.read_bytes() == before
        longer = await download(rest, BTC, "1m", FIRST_MS, later_ms + MINUTE_MS, tmp_path, unheard, format)
        assert (longer.path, longer.rows) == (whole, 601)
        whole.write_bytes(b"something else")
        with pytest.raises(DownloadFailed, match=r"cannot be read .*; allowed: another --out"):
            await download(rest, BTC, "1m", FIRST_MS, later_ms, tmp_path, unheard, format)


def test_a_partial_file_is_read_up_to_its_last_mark(tmp_path: Path) -> None:
    partial = tmp_path / "x.partial.csv"
    assert read_partial(partial, 5) == ([], 5)
    partial.write_text("60000,1,2,1,2,3\nreached,120000\n120000,1,2,1,2,3\n18")
    rows, reached_ms = read_partial(partial, 0)
    assert ([row.ts for row in rows], reached_ms) == ([60_000], 120_000)
    assert partial.read_text().endswith("reached,120000\n"), "what was torn is gone"


async def test_a_symbol_that_the_venue_does_not_list_is_refused_in_its_words(
    paced_clock: PacedClock, tmp_path: Path
) -> None:
    async with serving() as (rest, _):
        with pytest.raises(DownloadFailed, match="DOGE-USDT-SWAP: 51001"):
            await download(rest, "DOGE-USDT-SWAP", "1m", FIRST_MS, END_MS, tmp_path, unheard)


async def test_the_running_candle_is_not_closed_and_not_taken(
    paced_clock: PacedClock, tmp_path: Path
) -> None:
    async with serving() as (rest, _):
        done = await download(rest, BTC, "1m", END_MS, SERIES.end_ms, tmp_path, unheard)
        assert done.first_ms == END_MS
    assert done.rows == 99
    assert done.missing == (SERIES.end_ms - MINUTE_MS,)


@pytest.mark.skipif(parquet.library() is None, reason="the extra 'parquet' is not installed")
def test_a_parquet_file_that_is_no_market_is_refused_by_its_line(tmp_path: Path) -> None:
    instrument = instrument_for(BTC)
    assert instrument is not None
    path = tmp_path / file_name(BTC, "1m", "parquet")
    columns = ("ts", "open", "high", "low", "close", "volume")
    parquet.write(
        path, columns, [(FIRST_MS, 1.0, 2.0, 1.0, 2.0, 1.0), (FIRST_MS, 1.0, 2.0, 1.0, 2.0, 1.0)], {}
    )
    with pytest.raises(BadMarketFile, match=r"line 3: ts .* is there twice"):
        read_candles(path, instrument)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadMarketFile, match="cannot be read as Parquet"):
        read_candles(path, instrument)
    parquet.write(path, ("ts", "open"), [(FIRST_MS, 1.0)], {})
    with pytest.raises(BadMarketFile, match="lacks high, low, close, volume"):
        read_candles(path, instrument)
