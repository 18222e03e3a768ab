"""What is left out decides nothing: many minutes at once are the same as each mark, each second and each candle."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from anchorwatch.io.backtest.journal import FactsFile
from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.backtest.tape import Tape
from anchorwatch.io.settings import Settings, load
from anchorwatch.io.venue.candle_file import CandleSeries, read_candles
from anchorwatch.io.venue.instruments import instrument_for
from tests.backtest.rig import BTC, MINUTE_MS, part, recorded, settings, trades, walk

BUSY = {
    "entry.order_kind": "market",
    "backtest.latency_jitter_ms": 0,
    "protection.stop_fraction": Decimal("0.004"),
    "protection.trail_activation_fraction": Decimal("0.001"),
    "protection.trail_fraction": Decimal("0.0012"),
    "protection.take_profit_fraction": Decimal("0.004"),
    "protection.max_holding_min": 25,
}
"""Everything that ends or moves something happens every few minutes."""


def told(
    folder: Path, series: dict[str, CandleSeries], given: Settings, start: int, **more: Any
) -> tuple[Backtest, dict[str, object]]:
    """A run, and everything that it has to tell: fills, stop levels, the account, the facts."""
    path = folder / "facts.jsonl"
    first = next(iter(series.values()))
    begin_ms = first.first_ms + start * MINUTE_MS
    with FactsFile(path) as facts:
        test = Backtest(given, series, begin_ms, first.end_ms, seed=1, journal=facts.record, **more)
        test.run()
    return test, {
        "trades": trades(test),
        "stops": [one.stops for one in test.record.trades],
        "cash": list(zip(test.record.cash_ms, test.record.cash, strict=True)),
        "decisions": dict(test.desk.context.book.decisions),
        # When a hole is noticed depends on who looks at the clock meanwhile.
        "said": {name: n for name, n in test.record.counts.items() if not name.startswith("CANDLES")},
        "candles": test.candles,
        "facts": path.read_text().splitlines(),
    }


def same_as_exhaustive(
    folder: Path, series: dict[str, CandleSeries], given: Settings, start: int
) -> Backtest:
    sparse, found = told(folder, series, given, start)
    _, expected = told(folder, series, given, start, is_exhaustive=True)
    assert found == expected
    return sparse


class Drawn(NamedTuple):
    """A market and the settings that trade on it; rows are those of its 420 minutes."""

    step: int  # how wild it is
    seed: int
    holes: tuple[int, ...]
    still: tuple[int, ...]  # minutes without trades
    fast: int
    slow: int
    holding_min: int


ROWS = st.integers(150, 415)
DRAWN = st.builds(
    Drawn,
    st.integers(5, 900),
    st.integers(0, 10**6),
    st.lists(ROWS, max_size=3).map(tuple),
    st.lists(ROWS, max_size=6).map(tuple),
    st.integers(2, 9),
    st.integers(10, 30),
    st.sampled_from((0, 3, 40)),
)


@pytest.mark.parametrize("kind", ["market", "post_only"])
@given(drawn=DRAWN)
@example(
    drawn=Drawn(362, 3024, (221,), (), 2, 15, 0)
)  # the hole is noticed with nothing to decide but the clock
@effort(max_examples=6, deadline=None)
def test_any_market_gives_the_same_fills_stops_and_facts(
    tmp_path_factory: pytest.TempPathFactory, kind: str, drawn: Drawn
) -> None:
    series = walk(420, drawn.seed, step=drawn.step)
    for row in drawn.still:
        close = series.close[row - 1]
        for column in (series.open, series.high, series.low, series.close):
            column[row] = close
        series.volume[row] = 0
    series.open[1:] = series.close[:-1]
    series.high[:] = np.maximum(series.high, series.open)
    series.low[:] = np.minimum(series.low, series.open)
    mask = np.ones(len(series), dtype=bool)
    mask[list(drawn.holes)] = False
    given = settings(
        **{
            **{name.replace(".", "__"): value for name, value in BUSY.items()},
            "entry__order_kind": kind,
            "strategy__fast": drawn.fast,
            "strategy__slow": drawn.slow,
            "protection__max_holding_min": drawn.holding_min,
            "candles": {"1m": 140},
        }
    )
    folder = tmp_path_factory.mktemp("facts")
    same_as_exhaustive(folder, {BTC: part(series, mask)}, given, 140)


@pytest.mark.parametrize(
    "name",
    [
        "binance_usdm_BTCUSDT_1m_setA.csv.gz",
        "binance_usdm_SUIUSDT_1m_setA.csv.gz",
        "binance_spot_BTCUSDT_1m_2021_05_19.csv.gz",
        "binance_BTCUSDT_1m_2021_benicio.csv.gz",
    ],
)
@pytest.mark.data
@pytest.mark.parametrize("strategy", ["ema_cross", "scalper"])
def test_recorded_markets_give_the_same_fills_stops_and_facts(
    tmp_path: Path, name: str, strategy: str
) -> None:
    symbol = "SUI-USDT-SWAP" if "SUI" in name else BTC
    instrument = instrument_for(symbol)
    assert instrument is not None
    whole = read_candles(recorded(name), instrument)
    warm = 6_100
    series = part(whole, slice(0, warm + 900))
    # Without jitter, because it depends on how many requests were made before, queries among them.
    options: dict[str, Any] = {
        "symbols": [symbol],
        "strategy.name": strategy,
        "backtest.latency_jitter_ms": 0,
    }
    if strategy == "ema_cross":
        options |= {**BUSY, "strategy.fast": 5, "strategy.slow": 15, "strategy.cooldown_s": 0}
    given = load(file=None, environ={}, options=options, markets=())
    sparse = same_as_exhaustive(tmp_path, {symbol: series}, given, warm)
    assert sparse.record.trades


def test_two_instruments_are_left_out_together_only(tmp_path: Path) -> None:
    """What one of them decides is decided at the same moments with the other beside it."""
    other = instrument_for("ETH-USDT-SWAP")
    assert other is not None
    one, two = walk(420, 7, step=300), walk(420, 8, step=250)
    series = {
        BTC: one,
        other.inst_id: CandleSeries(other, two.ts_ms, two.open, two.high, two.low, two.close, two.volume),
    }
    options = {name.replace(".", "__"): value for name, value in BUSY.items()}
    given = settings(**options, symbols=[*series])
    sparse = same_as_exhaustive(tmp_path, series, given, 140)
    assert {trade.instrument for trade in sparse.record.trades} == {*series}


def test_no_price_of_the_minute_behind_a_hole_is_seen_before_it(tmp_path: Path) -> None:
    """What is closed inside a hole is closed at the last price before it."""
    series = walk(420, 1478, step=31)
    mask = np.ones(len(series), dtype=bool)
    mask[330] = False
    options = {name.replace(".", "__"): value for name, value in BUSY.items()}
    for minutes in (1, 2, 3, 4):
        given = settings(
            **{**options, "strategy__slow": 19, "strategy__fast": 2, "protection__max_holding_min": minutes}
        )
        same_as_exhaustive(tmp_path, {BTC: part(series, mask)}, given, 140)


def test_most_minutes_are_left_out(tmp_path: Path) -> None:
    """The reason for all of it, as a number of events: a market that crosses seldom costs next to nothing."""
    series = walk(1_400, 3, step=100)
    given = settings(strategy__fast=50, strategy__slow=150, entry__order_kind="market", candles={"1m": 1_100})
    sparse, _ = told(tmp_path, {BTC: series}, given, 1_100)
    full, _ = told(tmp_path, {BTC: series}, given, 1_100, is_exhaustive=True)
    assert sparse.candles == full.candles == 300
    assert sparse.shell.events < full.shell.events / 20


def test_a_tape_that_passes_over_minutes_shows_what_one_that_plays_them_shows() -> None:
    series = walk(300, 5, step=3)
    for row in range(100, 140):
        series.open[row] = series.high[row] = series.low[row] = series.close[row] = series.close[99]
    series.open[1:] = series.close[:-1]
    series.high[:] = np.maximum(series.high, series.open)
    series.low[:] = np.minimum(series.low, series.open)
    begin_ms = series.first_ms + 50 * MINUTE_MS
    for target in (52, 60, 99, 101, 120, 141, 200, 290):
        played, passed = Tape(series, begin_ms, seed=1), Tape(series, begin_ms, seed=1)
        for tape in (played, passed):
            tape.open_minute()
        while played.row < target:
            while not played.is_through:
                played.play()
            played.open_minute()
        passed.pass_to(target)
        assert (passed.row, passed.close, passed.high, passed.low) == (
            played.row,
            played.close,
            played.high,
            played.low,
        )
        assert passed.touch() == played.touch()
        assert passed.mark_ticks() == played.mark_ticks()
