"""The real command line as a process of its own: a whole run read from its log, signals, and bad input."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.diagrams.conformance import moves_in, strays
from anchorwatch.io import cli
from anchorwatch.io.settings import SECRET_VARIABLES

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "anchorwatch"]
CARD = [
    "INIT", "CLIENT", "MODULES", "WS", "SAFETY", "RESET", "CANDLES", "POSITIONS", "SYNC", "READY",
]  # fmt: skip
STEPS = [
    "trading_control", "safety", "position_monitor", "public_ws", "private_ws", "rest_client", "nothing_left",
]  # fmt: skip
START_WITHIN_S = 30  # of real time: an interpreter, its imports, and a start that takes a second
STOP_WITHIN_S = 15
MINUTE_MS = 60_000
FIRST_MS = 1_735_776_000_000

Line = dict[str, Any]


def environment() -> dict[str, str]:
    """Whatever keys the developer has, these runs know none."""
    return {name: text for name, text in os.environ.items() if not name.startswith("ANCHORWATCH_API")}


# One whole run.


class Run:
    """A run that has ended: its exit code, its log and its record."""

    def __init__(self, done: subprocess.CompletedProcess[str], summary: Path) -> None:
        self.code, self.err = done.returncode, done.stderr
        self.lines: list[Line] = [json.loads(line) for line in done.stdout.splitlines()]
        self.summary: dict[str, Any] = json.loads(summary.read_text())

    def moves(self, machine: str) -> list[Line]:
        return [line for line in self.lines if line["event"] == "transition" and line["machine"] == machine]


@pytest.fixture(scope="module")
def half_an_hour(tmp_path_factory: pytest.TempPathFactory) -> Run:
    summary = tmp_path_factory.mktemp("run") / "summary.json"
    options = ["--speed", "600", "--for", "30m", "--log-format", "json", "--summary", str(summary)]
    done = subprocess.run(
        [*COMMAND, "run", *options], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120
    )
    return Run(done, summary)


def test_a_run_ends_in_order_and_without_a_word_of_complaint(half_an_hour: Run) -> None:
    assert (half_an_hour.code, half_an_hour.err) == (0, "")
    assert half_an_hour.summary["exit_code"] == 0


def test_the_transition_log_shows_the_cards_order(half_an_hour: Run) -> None:
    moves = half_an_hour.moves("lifecycle")
    assert [moves[0]["source"], *(move["dest"] for move in moves)][:10] == CARD
    assert moves[10 - 1]["dest"] == "STOPPING"
    assert moves[-1]["dest"] == "STOPPED"


def test_every_move_of_the_run_is_a_row_of_its_table(half_an_hour: Run) -> None:
    assert half_an_hour.moves("lifecycle")
    assert strays(moves_in(half_an_hour.lines)) == []


def test_the_stop_runs_the_users_steps_in_order(half_an_hour: Run) -> None:
    steps = [line["name"] for line in half_an_hour.lines if line["event"] == "stop_step"]
    assert steps == STEPS
    assert [(step["name"], step["outcome"]) for step in half_an_hour.summary["stop_steps"]] == [
        (step, "done") for step in STEPS
    ]


def test_every_transition_has_its_keys_and_its_time(half_an_hour: Run) -> None:
    moves = [line for line in half_an_hour.lines if line["event"] == "transition"]
    keys = {"event", "at_ms", "machine", "id", "source", "trigger", "dest", "cause"}
    assert all(set(move) == keys for move in moves)
    assert {move["machine"] for move in moves} <= {
        "lifecycle", "permission", "connection", "order", "position", "protection", "slippage_guard",
        "liquidation_guard", "candle_repair", "dead_man",
    }  # fmt: skip
    times = [move["at_ms"] for move in moves]
    assert times == sorted(times)
    assert len(moves) == half_an_hour.summary["transitions"]


def test_the_record_of_the_run_says_what_was_done(half_an_hour: Run) -> None:
    summary = half_an_hour.summary
    assert [stage["name"] for stage in summary["stages"]] == CARD
    assert all(stage["outcome"] == "done" for stage in summary["stages"])
    opened, closed = summary["positions_opened"], summary["positions_closed"]
    assert opened >= closed
    positions = half_an_hour.moves("position")
    assert opened == sum(move["dest"] == "OPEN" for move in positions)
    assert closed == sum(move["dest"] == "FLAT" and move["source"] != "ENTERING" for move in positions)
    assert summary["unprotected_seconds"]["max"] < 5
    assert summary["drifts"] == 0
    assert summary["speed_reached"] > 1


def test_every_position_of_the_run_was_covered(half_an_hour: Run) -> None:
    opened = [move["id"] for move in half_an_hour.moves("position") if move["dest"] == "OPEN"]
    covered = [
        move["id"]
        for move in half_an_hour.moves("protection")
        if move["dest"] == "COVERED" and move["source"] != "MOVING"
    ]
    assert sorted(opened) == sorted(covered)


# Signals.


@contextmanager
def running(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run in real time that is READY; it is killed at the end if it still lives."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "run", "--log-format", "json"], cwd=ROOT, env=environment(), stdout=out, stderr=out
        )
    try:
        _until(lambda: '"dest":"READY"' in log.read_text(), process, log)
        yield process
    finally:
        process.kill()
        process.wait()


def _until(claim: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + START_WITHIN_S
    while not claim():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up_at, log.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_the_bot_in_order(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    with running(log) as process:
        process.send_signal(number)
        assert process.wait(STOP_WITHIN_S) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["name"] for line in lines if line["event"] == "stop_step"] == STEPS
    stopping = next(line for line in lines if line.get("dest") == "STOPPING")
    assert stopping["cause"] == f"signal {number.name}"


def test_a_second_signal_ends_at_once_and_the_exit_code_says_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(log) as process:
        # Held still, so that the stop cannot be through before the second one comes.
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait(STOP_WITHIN_S) == 130
    text = log.read_text()
    assert "Traceback" not in text
    assert '"name":"nothing_left"' not in text


# Bad input. What the options alone tell is in test_cli.py; here are files, and what only a run finds out.


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line that a refused command says."""
    assert cli.command(argv) != 0
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("anchorwatch: ")
    return lines[0]


def candles(count: int = 600) -> list[str]:
    return [f"{FIRST_MS + n * MINUTE_MS},95000,95010,94990,95000,1.5" for n in range(count)]


def market(path: Path, rows: list[str]) -> Path:
    file = path / "binance_usdm_BTCUSDT_1m.csv"
    file.write_text("\n".join(["ts,open,high,low,close,volume", *rows, ""]))
    return file


def swapped(rows: list[str]) -> list[str]:
    rows[300], rows[301] = rows[301], rows[300]
    return rows


def with_row(text: str) -> Callable[[list[str]], list[str]]:
    def change(rows: list[str]) -> list[str]:
        rows[300] = f"{FIRST_MS + 300 * MINUTE_MS},{text}"
        return rows

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(swapped, id="out of order"),
        pytest.param(with_row("95000,nan,94990,95000,1"), id="nan"),
        pytest.param(with_row("95000,inf,94990,95000,1"), id="inf"),
        pytest.param(with_row("95000,94000,94990,95000,1"), id="high below low"),
        pytest.param(with_row("95000,95010,94990,99999,1"), id="close outside"),
        pytest.param(with_row("-95000,95010,-95000,95000,1"), id="negative price"),
        pytest.param(with_row("95000,95010,94990,95000,-1"), id="negative volume"),
        pytest.param(with_row("95000,95010,94990"), id="too few columns"),
        pytest.param(with_row("95000,95010,94990,95000,many"), id="not a number"),
        pytest.param(lambda rows: rows[:0], id="no rows"),
        pytest.param(lambda rows: rows[:1], id="one row"),
    ],
)
def test_a_market_that_is_none_is_refused_in_one_line_that_names_the_file(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[list[str]], list[str]],
    request: pytest.FixtureRequest,
) -> None:
    file = market(tmp_path, change(candles()))
    if request.node.callspec.id == "one row":
        assert "outside" in refused(capsys, "run", "--market", str(file), "--from", "2024-01-01")
        return
    line = refused(capsys, "run", "--market", str(file), "--speed", "600", "--for", "1m")
    assert str(file) in line


def test_a_truncated_archive_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = gzip.compress("\n".join(["ts,open,high,low,close,volume", *candles()]).encode())
    file = tmp_path / "BTCUSDT.csv.gz"
    file.write_bytes(whole[: len(whole) // 2])
    assert str(file) in refused(capsys, "run", "--market", str(file))


def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "BTCUSDT.csv.gz"
    file.write_text("not gzip")
    assert str(file) in refused(capsys, "run", "--market", str(file))


def test_a_missing_market_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "BTCUSDT.csv"
    assert "there is no such file" in refused(capsys, "run", "--market", str(missing))


def test_a_start_after_the_end_of_the_market_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = market(tmp_path, candles())
    assert "outside" in refused(capsys, "run", "--market", str(file), "--from", "2026-01-01")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[account]\nleverge = 5\n", "account.leverge"),
        ("[account]\nleverage = 'five'\n", "account.leverage"),
        ("[account]\nleverage = 1000\n", "account.leverage"),
        ("[account]\nleverage = 2.5\n", "account.leverage"),
        ("symbols = []\n", "symbols"),
        ("symbols = 'BTC-USDT-SWAP'\n", "symbols"),
        ("[acount]\nleverage = 5\n", "acount"),
        ("[protection]\nstop_fraction = nan\n", "protection.stop_fraction"),
        ("[account\n", "settings.toml"),
        ("[stop]\nwithin_s = -1\n", "stop.within_s"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    assert words in refused(capsys, "run", "--config", str(file))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--for", "soon"), "--for"),
        (("--for", "-1h"), "--for"),
        (("--speed", "fast"), "--speed"),
        (("--speed", "1e400"), "--speed"),
        (("--from", "31.12.2024"), "--from"),
        (("--summary", "/"), "--summary"),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    assert words in refused(capsys, "run", *options)


def test_real_money_is_not_traded_without_saying_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRET_VARIABLES:
        monkeypatch.setenv(name, "not-a-real-one")
    file = tmp_path / "settings.toml"
    file.write_text("[account]\nexclusive = true\n")
    line = refused(capsys, "run", "--venue", "live", "--config", str(file))
    assert "--confirm-live" in line
    assert "not-a-real-one" not in line


def test_a_port_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refused(capsys, "venue", "--port", port)


def test_a_mistake_looks_the_same_from_outside(tmp_path: Path) -> None:
    missing = tmp_path / "BTCUSDT.csv"
    done = subprocess.run(
        [*COMMAND, "run", "--market", str(missing)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"anchorwatch: --market {missing}: there is no such file\n"
