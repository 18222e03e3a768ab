"""The back-test and the full engine on the embedded exchange make the same trades of the same candles."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.settings import load
from anchorwatch.io.venue.candle_file import read_candles
from anchorwatch.io.venue.instruments import inst_id_from_file_name, instrument_for
from tests.backtest.full_engine import Deal, trade
from tests.backtest.rig import LIVELY, MINUTE_MS, recorded

NO_LATENCY = {"backtest.latency_ms": 0, "backtest.latency_jitter_ms": 0}
"""On a virtual clock loopback takes no time, so neither does the way to the back-test's venue."""


def both(path: Path, options: dict[str, object], start: int, minutes: int) -> tuple[list[Deal], list[Deal]]:
    """The fills of the full engine and of the back-test over the same minutes of a file."""
    settings = load(file=None, environ={}, options={**options, **NO_LATENCY}, markets=(path,))
    name = inst_id_from_file_name(path)
    instrument = instrument_for(name) if name is not None else None
    assert instrument is not None
    series = read_candles(path, instrument)
    start_ms = series.first_ms + start * MINUTE_MS
    end_ms = start_ms + minutes * MINUTE_MS
    test = Backtest(settings, {instrument.inst_id: series}, start_ms, end_ms, seed=0)
    test.run()
    mine = [
        Deal(
            fill.at_ms,
            "buy" if (one.side == "long") is fill.is_entry else "sell",
            one.side,
            fill.contracts,
            fill.price,
        )
        for one in test.record.trades
        for fill in one.fills
    ]
    # At the end itself the engine stops and the back-test does not: what happens there is nobody's business.
    engine = [one for one in trade(settings, path, start_ms, end_ms) if one.at_ms < end_ms]
    return sorted(engine), sorted(one for one in mine if one.at_ms < end_ms)


@pytest.mark.data
@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_three_quarters_of_an_hour_of_recorded_candles_gives_the_same_fills(coin: str) -> None:
    engine, backtest = both(recorded(f"binance_usdm_{coin}USDT_1m_setA.csv.gz"), LIVELY, 300, 45)
    assert len(engine) >= 4, "nothing was traded: the comparison says nothing"
    assert backtest == engine


@pytest.mark.data
def test_a_crash_with_its_stops_and_gaps_in_price_gives_the_same_fills() -> None:
    path = recorded("binance_spot_BTCUSDT_1m_2021_05_19.csv.gz")
    engine, backtest = both(path, {**LIVELY, "entry.order_kind": "market"}, 11 * 1440 + 755, 45)
    assert len(engine) >= 2, "an entry and its end: the guard of the spread lets little more through"
    assert backtest == engine


@pytest.mark.data
def test_a_loser_whose_time_is_over_in_the_second_of_a_price_gives_the_same_fills() -> None:
    """The engine's clock ticks before that price is heard of; what it asks for then meets it. The default strategy."""
    path = recorded("binance_usdm_BTCUSDT_1m_setA.csv.gz")
    instrument = instrument_for("BTC-USDT-SWAP")
    assert instrument is not None
    closed_ms = 1_747_053_806_000
    start = (closed_ms - read_candles(path, instrument).first_ms) // MINUTE_MS - 30
    engine, backtest = both(path, {}, start, 35)
    assert engine[-1].at_ms == closed_ms
    assert backtest == engine
