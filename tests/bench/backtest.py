"""The back-test beside its peers, in one run: candles a second, at a like number of trades, fees and stops included.

Seconds are CPU seconds of the engine's own run, indicators included and the reading of the file left out: every
engine here runs on one core, and a busy machine would otherwise decide the result. Ours writes the journal of facts
too. Repeats are interleaved.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import subprocess
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from statistics import median

from anchorwatch.io.backtest.journal import FactsFile
from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.settings import Settings, load
from anchorwatch.io.venue.candle_file import CandleSeries, read_candles
from anchorwatch.io.venue.instruments import instrument_for
from tests.backtest.rig import BTC, DATA, MINUTE_MS, part, walk

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
RECORDED = "binance_usdm_BTCUSDT_1m_setA.csv.gz"
CANDLES = 20_000
REPEATS = 3
STOP = "0.006"
CROSSES = ((10, 20), (20, 50), (50, 200))
"""From a trade every forty minutes to one every five hours: what a trade costs and what a candle costs, apart."""
WARM = 6_100
"""Minutes before the default strategy's first: a hundred hours make its volume profile."""
PAUSE_S = 5_400
"""What our default strategy waits after a close to trade as seldom as the peer's sample."""
SHOWN = 12


def series() -> CandleSeries:
    """Recorded minutes where there are any, else a market that wanders."""
    path = DATA / "candles" / RECORDED
    instrument = instrument_for(BTC)
    assert instrument is not None
    return part(read_candles(path, instrument), slice(0, CANDLES)) if path.is_file() else walk(CANDLES)


def write_csv(one: CandleSeries, path: Path) -> None:
    tick = float(one.instrument.tick_sz)
    columns = (
        one.ts_ms,
        one.open * tick,
        one.high * tick,
        one.low * tick,
        one.close * tick,
        one.volume / 100,
    )
    rows = zip(one.ts_ms.tolist(), *(column.tolist() for column in columns[1:]), strict=True)
    lines = [
        "ts,open,high,low,close,volume",
        *(",".join([str(ts), *(f"{value:.10g}" for value in rest)]) for ts, *rest in rows),
    ]
    path.write_text("\n".join(lines) + "\n")


def ours(one: CandleSeries, settings: Settings, facts: Path) -> tuple[float, int]:
    """(candles a CPU second, trades) of one run with the journal of facts."""
    start_ms = one.first_ms + warm(settings) * MINUTE_MS
    with FactsFile(facts) as journal:
        began = time.process_time()
        test = Backtest(settings, {BTC: one}, start_ms, one.end_ms, seed=1, journal=journal.record)
        test.run()
        seconds = time.process_time() - began
    return (one.end_ms - start_ms) / MINUTE_MS / seconds, sum(trade.is_closed for trade in test.record.trades)


def warm(settings: Settings) -> int:
    """Minutes that are history when the first one is traded."""
    return dict(settings.candles)["1m"] if settings.strategy.name == "ema_cross" else WARM


def peer(name: str, path: Path, fast: int, slow: int) -> tuple[float, int] | str:
    """The same of a peer, in its own interpreter; or why not."""
    if not PYTHON.exists():
        return "not installed: make bench sets .venv-bench up"
    command = [
        str(PYTHON),
        str(ROOT / "tests" / "bench" / "_peers.py"),
        name,
        str(path),
        str(fast),
        str(slow),
        STOP,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['no word'])[-1][:100]}"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return found["candles"] / found["seconds"], found["trades"]


ALIKE = {
    "protection.trail_activation_fraction": Decimal("0.9"), "protection.take_profit_fraction": 0, "protection.max_holding_min": 0,
    "exits.partial_share": 0, "limits.losses_in_row": 0, "strategy.cooldown_after_loss_s": 0, "strategy.cooldown_opposite_s": 0,
}  # fmt: skip
"""What the peers' strategies do: enter and leave at a cross, and one stop that stays where it is."""


def cross(fast: int, slow: int, *, is_alike: bool = True) -> Settings:
    """``is_alike``: without what the peers' strategies do not have (a trailing stop, taking profits, pauses after losses)."""
    return load(
        file=None,
        environ={},
        options={
            "symbols": [BTC], "strategy.name": "ema_cross", "strategy.fast": fast, "strategy.slow": slow, "strategy.cooldown_s": 0,
            "entry.order_kind": "market", "protection.stop_fraction": Decimal(STOP), "candles": {"1m": min(12 * slow, 1_440)},
            **(ALIKE if is_alike else {}),
        },
        markets=(),
    )  # fmt: skip


def default(*, is_alike: bool = False, pause_s: int = 0) -> Settings:
    """``is_alike``: at market and long only, as the peer's sample trades, and with its strongest signals only.

    As they come, the sample enters seven times less often than ours, because it holds for hours. So either the sample is
    given exits as near as ours, or ours waits ``pause_s`` after a close: both then trade about as often. What is asked
    and computed at a candle stays what it was.
    """
    options: dict[str, object] = {"symbols": [BTC]}
    if is_alike:
        options |= {
            "entry.order_kind": "market",
            "strategy.settings": {"sides": ["long"], "strength_least": 1.0},
        }
    if pause_s:
        options["strategy.cooldown_s"] = pause_s
    return load(file=None, environ={}, options=options, markets=())


def side_by_side(
    title: str,
    one: CandleSeries,
    path: Path,
    settings: Settings,
    peers: tuple[str, ...],
    fast: int,
    slow: int,
) -> Iterator[str]:
    speeds: list[float] = []
    trades = 0
    found: dict[str, list[float]] = {name: [] for name in peers}
    counts: dict[str, int] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(REPEATS):
            speed, trades = ours(one, settings, Path(folder, "facts.jsonl"))
            speeds.append(speed)
            for name in peers:
                answer = peer(name, path, fast, slow) if name not in failed else failed[name]
                if isinstance(answer, str):
                    failed[name] = answer
                else:
                    found[name].append(answer[0])
                    counts[name] = answer[1]
    yield f"{title}: {len(one):,} candles, {REPEATS} interleaved repeats, CPU seconds"
    yield "| engine | candles/s, median (least–most) | trades per 1,000 candles | ours is so many times as fast |"
    yield "|---|---|---|---|"
    traded = len(one) - warm(settings)
    yield f"| anchorwatch | {_spread(speeds)} | {1000 * trades / traded:.1f} | |"
    for name in peers:
        if name in failed:
            yield f"| {name} | {failed[name]} | | |"
            continue
        ratios = [mine / theirs for mine, theirs in zip(speeds, found[name], strict=True)]
        ratio = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        yield f"| {name} | {_spread(found[name])} | {1000 * counts[name] / len(one):.1f} | {ratio} |"
    yield ""


def _spread(speeds: list[float]) -> str:
    return f"{median(speeds):,.0f} ({min(speeds):,.0f}–{max(speeds):,.0f})"


def where_time_goes(one: CandleSeries, settings: Settings) -> Iterator[str]:
    """The shares of our own functions, by the time spent in each itself."""
    start_ms = one.first_ms + warm(settings) * MINUTE_MS
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    Backtest(settings, {BTC: one}, start_ms, one.end_ms, seed=1).run()
    profile.disable()
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rooms: dict[str, float] = {}
    for (file, _, name), (_, _, own, _, _) in stats.items():
        place = file.rpartition(".src/anchorwatch/")[2] if "anchorwatch" in file else f"built in: {name}"
        rooms[place] = rooms.get(place, 0.0) + own
    total = sum(rooms.values())
    yield "where our time goes, by file (profiled: calls weigh more than they do)"
    for place, own in sorted(rooms.items(), key=lambda pair: -pair[1])[:SHOWN]:
        yield f"  {100 * own / total:4.1f} %  {place}"


def run() -> Iterator[str]:
    one = series()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "candles.csv")
        write_csv(one, path)
        for fast, slow in CROSSES:
            peers = ("freqtrade", "nautilus_trader", "backtesting.py")
            yield from side_by_side(
                f"EMA {fast}/{slow} cross", one, path, cross(fast, slow), peers, fast, slow
            )
        fast, slow = CROSSES[0]
        own = cross(fast, slow, is_alike=False)
        yield from side_by_side(
            f"EMA {fast}/{slow} cross with our exits", one, path, own, ("freqtrade",), fast, slow
        )
        for title, settings, sample in (
            ("default strategy, both as they come", default(), "freqtrade sample"),
            (
                "default strategy, as seldom as the sample",
                default(is_alike=True, pause_s=PAUSE_S),
                "freqtrade sample",
            ),
            (
                "default strategy, the sample with near exits",
                default(is_alike=True),
                "freqtrade sample, near exits",
            ),
        ):
            yield from side_by_side(title, one, path, settings, (sample,), 10, 20)
        yield from where_time_goes(one, cross(*CROSSES[0]))
