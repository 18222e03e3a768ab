"""The report is one file that needs nothing else, and says what the run says."""

from __future__ import annotations

import csv
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anchorwatch.io.backtest.data import facts_of
from anchorwatch.io.backtest.flips import compare, worst_of_each
from anchorwatch.io.backtest.outcome import curve_of, summary_of, write_result, write_tables
from anchorwatch.io.backtest.report import POINTS_MAX, denials, write_report
from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.backtest.tape import Path as PathTold
from anchorwatch.io.settings import effective
from tests.backtest.rig import BTC, MINUTE_MS, part, run, settings, walk, walks

ETH = "ETH-USDT-SWAP"
MASK = np.ones(400, dtype=bool)
MASK[200] = MASK[210] = False
SERIES = part(walk(400), MASK)


@pytest.fixture(scope="module")
def test() -> Backtest:
    return run(SERIES)


def report(test: Backtest, out: Path) -> tuple[str, dict[str, Any]]:
    """The page, and the data in it."""
    given = settings()
    curve = curve_of(test)
    flips = [compare(test.record.trades, run(SERIES, path="adverse").record.trades, "adverse")]
    facts = facts_of(Path("BTCUSDT.csv"), SERIES)
    page = write_report(out, test, summary_of(test, curve), curve, [facts], effective(given), flips, -1.0)
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script id="run" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return text, json.loads(found[1])


def test_the_page_asks_no_other_host_for_anything(test: Backtest, tmp_path: Path) -> None:
    text, _ = report(test, tmp_path)
    assert not re.findall(r'(?:src|href)\s*=\s*["\']', text)
    assert not re.findall(r"@import|url\(", text)
    assert "@@" not in text
    assert "Leon Sorokin" in text, "the licence of the charts travels with them"


def test_the_page_shows_every_trade_and_the_runs_own_figures(test: Backtest, tmp_path: Path) -> None:
    _, data = report(test, tmp_path)
    assert len(data["trades"]) == len(test.record.trades)
    assert data["summary"]["trades"] == sum(one.is_closed for one in test.record.trades)
    assert data["summary"]["fees"] == pytest.approx(float(test.record.fees))
    assert len(data["curve"]["t"]) == len(data["curve"]["equity"]) <= POINTS_MAX
    assert sum(group["trades"] for group in data["regimes"]) == data["summary"]["trades"]
    assert sum(group["net"] for group in data["causes"]) == pytest.approx(data["summary"]["net"], abs=0.01)
    assert data["flips"][0]["path"] == "adverse"


def test_the_data_facts_name_every_hole_by_its_minute(test: Backtest, tmp_path: Path) -> None:
    _, data = report(test, tmp_path)
    assert data["data"][0]["holes"] == [["2025-01-02 03:20", 1], ["2025-01-02 03:30", 1]]
    assert data["data"][0]["missing_minutes"] == 2


def test_words_that_would_end_the_script_do_not(test: Backtest, tmp_path: Path) -> None:
    trade = test.record.trades[0]
    why, trade.why = trade.why, "</script><b>"
    text, data = report(test, tmp_path)
    trade.why = why
    assert data["trades"][0]["why"] == "</script><b>"
    assert "</script><b>" not in text


def test_the_account_at_the_end_is_what_the_exchange_holds(test: Backtest) -> None:
    curve = curve_of(test)
    assert len(curve.equity) == (test.end_ms - test.start_ms) // MINUTE_MS
    held = sum(
        (
            one.unrealised(test.tapes[BTC].close * test.tapes[BTC].tick)
            for one in test.exchange.account.positions.values()
        ),
        Decimal(0),
    )
    assert curve.equity[-1] == pytest.approx(float(test.exchange.account.cash + held))
    assert (curve.drawdown >= 0).all()


def test_the_tables_are_read_by_other_programs(test: Backtest, tmp_path: Path) -> None:
    curve = curve_of(test)
    write_tables(tmp_path, test, curve)
    write_result(
        tmp_path,
        summary_of(test, curve),
        {BTC: facts_of(Path("x.csv"), SERIES)},
        effective(settings()),
        test,
        {},
    )
    with (tmp_path / "trades.csv").open(newline="") as source:
        rows = list(csv.DictReader(source))
    assert [int(row["number"]) for row in rows] == [one.number for one in test.record.trades]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["seed"] == 1
    assert result["settings"]["backtest.holes"] == "sit_out"


def test_another_path_turns_trades_and_each_is_told_at_its_worst() -> None:
    names = ("stop_fraction", "trail_fraction", "trail_activation_fraction", "take_profit_fraction")
    distances = zip(names, ("0.001", "0.0005", "0.0009", "0.001"), strict=True)
    near = {f"protection__{name}": Decimal(distance) for name, distance in distances}
    given = settings(entry__order_kind="market", **near)
    paths: tuple[PathTold, ...] = ("default", "adverse", "favourable")
    default, *others = (run(walk(900), given, path=path).record.trades for path in paths)
    flips = [compare(default, other, path) for other, path in zip(others, paths[1:], strict=True)]
    closed = sum(one.is_closed for one in default)
    assert all(one.found_again + one.only_default == closed for one in flips)
    assert sum(one.turned for one in flips) > 0
    same = compare(default, default, "default")
    assert (same.turned, same.other_cause, same.only_default, same.only_other) == (0, 0, 0, 0)
    assert worst_of_each(default, *others) < same.net


def test_of_several_instruments_each_is_told_by_itself(tmp_path: Path) -> None:
    both = walks({BTC: 1_000_000, ETH: 300_000}, 400, 7)
    begin_ms, end_ms = both[BTC].first_ms + 140 * MINUTE_MS, both[BTC].end_ms
    test = Backtest(settings(symbols=list(both)), both, begin_ms, end_ms, seed=1)
    test.run()
    _, data = report(test, tmp_path)
    assert [row["name"] for row in data["instruments"]] == [BTC, ETH]
    assert sum(row["trades"] for row in data["instruments"]) == data["summary"]["trades"] > 0
    assert sum(row["net"] for row in data["instruments"]) == pytest.approx(data["summary"]["net"], abs=1e-3)
    held, exposure = data["curve"]["held"], data["curve"]["exposure"]
    assert list(held) == [BTC, ETH]
    assert [one + two for one, two in zip(*held.values(), strict=True)] == pytest.approx(exposure, abs=0.02)
    assert max(held[BTC]) > 0 < max(held[ETH])


def test_a_reason_of_denials_is_one_line_whatever_number_it_gave() -> None:
    counts = {
        "it moves as X does (correlation 0.86)": 2,
        "it moves as X does (correlation 0.91)": 1,
        "late": 2,
    }
    assert denials(counts) == [("it moves as X does", 3), ("late", 2)]
