"""A scenario on recorded candles: the prices are the file's, the seed says where in it a run begins."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from anchorwatch.io.cli import command
from anchorwatch.io.commands.simulate import Wanted, read
from anchorwatch.io.simulation.campaign import Task
from anchorwatch.io.simulation.markets import played
from anchorwatch.io.simulation.scenario import BadScenario
from anchorwatch.io.simulation.world import settings_of
from tests.venue.market_data import candle_files

START_MS = 1_746_316_800_000  # 2025-05-04 00:00 UTC


def recorded(folder: Path, minutes: int) -> Path:
    """Minutes whose prices all differ."""
    file = folder / "BTCUSDT_1m.csv"
    rows, price = ["ts,open,high,low,close,volume"], 60_000
    for number in range(minutes):
        close = price + (number * 7919) % 101 - 50
        high, low = max(price, close) + 3, min(price, close) - 4
        rows.append(f"{START_MS + number * 60_000},{price},{high},{low},{close},10")
        price = close
    file.write_text("\n".join(rows) + "\n")
    return file


def asked(file: Path, **more: str) -> Task:
    tasks, _ = read(Wanted(scenarios=("entry",), market=(str(file),), **more))  # type: ignore[arg-type]
    return tasks[0]


def test_each_seed_enters_the_file_at_a_time_of_its_own_and_sees_its_candles(tmp_path: Path) -> None:
    file = recorded(tmp_path, 4_000)
    scenario = asked(file, for_="60s").scenario
    assert scenario.market.instruments == ("BTC-USDT-SWAP",)
    spec = msgspec.structs.replace(scenario.market, faster=1)
    starts = set()
    for seed in range(20):
        market, start_ms = played(spec, settings_of(scenario), seed, scenario.for_s)
        starts.add(start_ms)
        last = market.candles("BTC-USDT-SWAP", "1m", limit=1, after_ms=start_ms)[0]
        wanted = file.read_text().splitlines()[1 + (last.ts_ms - START_MS) // 60_000].split(",")
        assert [*map(float, wanted[:5])] == [
            last.ts_ms, float(last.open), float(last.high), float(last.low), float(last.close)
        ]  # fmt: skip
    assert len(starts) > 10


def test_a_run_on_a_file_is_told_with_the_command_that_repeats_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, report = recorded(tmp_path, 4_000), tmp_path / "report.json"
    words = ["simulate", "--scenario", "entry", "--seed", "7", "--for", "50s", "--market", str(file)]
    digests = []
    for _ in range(2):
        assert command([*words, "--json", str(report)]) == 0
        digests.append(json.loads(report.read_text())["digests"])
    assert digests[0] == digests[1]
    told = asked(file, for_="50s", seed="7").replay().split()
    assert told == [
        "anchorwatch",
        "simulate",
        "--scenario",
        "entry",
        "--for",
        "50s",
        "--market",
        str(file),
        "--seed",
        "7",
    ]
    assert command([*told[1:], "--json", str(report)]) == 0
    assert json.loads(report.read_text())["digests"] == digests[0]
    assert "0 violations" in capsys.readouterr().out


def test_a_file_that_cannot_be_played_is_refused_by_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = recorded(tmp_path, 30)
    nameless = tmp_path / "candles.csv"
    nameless.write_text(short.read_text())
    for file, words in (
        (short, "too short"),
        (nameless, "the name tells no known swap"),
        (tmp_path / "BTCUSDT.csv", ""),
    ):
        assert command(["simulate", "--scenario", "entry", "--market", str(file)]) == 2
        told = capsys.readouterr().err
        assert "--market" in told
        assert words in told
        assert str(file) in told


def test_a_scenario_of_ones_own_names_its_files(tmp_path: Path) -> None:
    file = recorded(tmp_path, 4_000)
    mine = tmp_path / "mine.toml"
    mine.write_text(f'for_s = 40\n[market]\nfiles = ["{file}"]\n')
    tasks, _ = read(Wanted(scenarios=(str(mine),), seed="2"))
    assert tasks[0].scenario.market.instruments == ("BTC-USDT-SWAP",)
    assert tasks[0].replay() == f"anchorwatch simulate --scenario {mine} --seed 2"
    with pytest.raises(BadScenario, match="too short"):
        played(tasks[0].scenario.market, settings_of(tasks[0].scenario), 1, 400_000.0)


@pytest.mark.data
@pytest.mark.parametrize(
    "file", [one for one in candle_files() if "2021_05_19" in str(one)] or candle_files()[:1]
)
def test_a_busy_bot_on_a_day_when_the_price_fell_by_a_fifth_in_an_hour(file: Path) -> None:
    tasks, _ = read(Wanted(scenarios=("busy-net",), market=(str(file),), seed="5", for_="120s"))
    outcome = tasks[0].run()
    assert outcome.violations == ()
    assert outcome.orders > 0
