"""The command line: what is refused, in how many words, and with which exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from anchorwatch import __version__
from anchorwatch.io import cli
from anchorwatch.io.commands.options import run_options
from anchorwatch.io.commands.running import cause_of
from anchorwatch.io.durations import age_words, duration_s, moment_ms
from anchorwatch.io.run_options import RunOptions
from anchorwatch.io.seams import real_seams
from anchorwatch.io.settings import SettingsError, load
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.io.venue.candle_file import BadMarketFile
from anchorwatch.machine.lifecycle import Exit


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keys the developer has, these stories know none."""
    for name in [name for name in os.environ if name.startswith("ANCHORWATCH_API")]:
        monkeypatch.delenv(name)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    assert cli.command(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    lines = err.splitlines()
    assert all(line.startswith("anchorwatch: ") for line in lines), err
    return [line.removeprefix("anchorwatch: ") for line in lines]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("run", "--speed", "fast"), "--speed: 'fast'; allowed: a number above 0"),
        (("run", "--speed", "0"), "--speed: '0'; allowed"),
        (("run", "--speed", "-1"), "--speed: '-1'; allowed"),
        (("run", "--speed", "nan"), "--speed: 'nan'; allowed"),
        (("run", "--speed", "inf"), "--speed: 'inf'; allowed"),
        (("run", "--for", "soon"), "--for: 'soon'; allowed: a positive duration such as 90s"),
        (("run", "--for", "0s"), "--for: '0s'; allowed"),
        (("run", "--for", "-5m"), "--for: '-5m'; allowed"),
        (("run", "--for", "12"), "--for: '12'; allowed"),
        (("run", "--for", "999999d"), "--for: '999999d'; allowed"),
        (("run", "--from", "yesterday"), "--from: 'yesterday'; allowed: an ISO date or time (UTC)"),
        (("run", "--from", "1722859203"), "--from: '1722859203'; allowed"),
        (("run", "--seed", "x"), "--seed: 'x'; allowed: a whole number"),
        (("run", "--venue", "binance"), 'venue.kind: "binance"; allowed: sim, paper, demo, live'),
        (("run", "--log-format", "xml"), 'log.format: "xml"; allowed: text, json'),
        (("run", "--config", "/nonexistent.toml"), "/nonexistent.toml: cannot be read"),
        (
            ("run", "--market", "/nonexistent/BTCUSDT.csv"),
            "--market /nonexistent/BTCUSDT.csv: there is no such file",
        ),
        (("run", "--market", "prices.csv"), "--market prices.csv: the file's name does not say its symbol"),
        (("run", "--symbol", "BTC"), 'symbols: "BTC"; allowed: USDT-settled swaps'),
        (
            ("run", "--summary", "/nonexistent/run.json"),
            "--summary: '/nonexistent/run.json' cannot be written",
        ),
        (
            ("run", "--venue", "paper", "--speed", "2"),
            "--speed: venue paper runs in real time",
        ),
        (("run", "--spede", "3"), "--spede"),
        (("run", "--speed"), "--speed"),
        (("rum",), "rum"),
        (("config", "--config", "/nonexistent.toml"), "/nonexistent.toml: cannot be read"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], words: str
) -> None:
    (line,) = refused(capsys, *argv)
    assert words in line


def test_several_mistakes_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = refused(capsys, "run", "--speed", "fast", "--for", "never", "--seed", "-1")
    assert [line.partition(":")[0] for line in lines] == ["--speed", "--for", "--seed"]


def test_real_money_takes_a_word_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("KEY", "SECRET", "PASSPHRASE"):
        monkeypatch.setenv(f"ANCHORWATCH_API_{name}", f"x-{name}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = tmp_path / "live.toml"
    config.write_text('[venue]\nkind = "live"\n[account]\nexclusive = true\n')
    (line,) = refused(capsys, "run", "--config", str(config))
    assert line == "--venue live: trades real money; say --confirm-live if that is meant"
    settings = load(file=config, environ=os.environ)
    options = run_options(settings, markets=(), given={}, confirmed=True)
    assert options == RunOptions()


def test_the_options_of_a_run_are_read(tmp_path: Path) -> None:
    market = tmp_path / "BTCUSDT_1m.csv"
    market.write_text("ts\n")
    given: dict[str, str | None] = {
        "--from": "2024-08-05T13:30",
        "--speed": "600",
        "--for": "12h",
        "--seed": "7",
        "--summary": str(tmp_path / "run.json"),
        "--tape": str(tmp_path / "run.tape"),
    }
    settings = load(environ={}, markets=(market,))
    assert run_options(settings, markets=(market,), given=given, confirmed=False) == RunOptions(
        markets=(market,),
        from_ms=1_722_864_600_000,
        speed=600.0,
        for_s=43_200.0,
        seed=7,
        summary=tmp_path / "run.json",
        tape=tmp_path / "run.tape",
    )


def test_durations_and_moments_are_what_people_write() -> None:
    spans = {"90s": 90, "15m": 900, "12h": 43_200, "2d": 172_800, "1h30m": 5400, "500ms": 0.5, "1.5h": 5400}
    assert {text: duration_s(text) for text in spans} == spans
    for text in ("", "m", "5", "1m1h", "5mm", "1e3s", "٣s"):
        with pytest.raises(ValueError, match="allowed: a positive duration"):
            duration_s(text)
    moments = ("2024-08-05", "2024-08-05T00:00:00Z", "2024-08-05T02:00+02:00", "1722816000000")
    assert {moment_ms(text) for text in moments} == {1_722_816_000_000}
    assert [age_words(span_ms) for span_ms in (-5, 0, 61_000, 3_660_000, 200_000_000)] == [
        "0s",
        "0s",
        "1m 1s",
        "1h 1m",
        "2d 7h",
    ]


def test_config_shows_what_holds_and_where_it_came_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "anchorwatch.toml"
    config.write_text('[strategy]\nname = "ema_cross"\nfast = 9\n')
    assert cli.command(["config", "--config", str(config)]) == 0
    rows = {tuple(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert ("strategy.fast", "9", "file") in rows
    assert ("strategy.slow", "21", "default") in rows


def test_the_reference_is_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.command(["config", "--reference"]) == 0
    assert capsys.readouterr().out.startswith("# Settings\n")


def test_the_help_lists_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.command(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for exit_ in Exit:
        assert f"{exit_.value} " in text, exit_
    assert cli.command(["run", "--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--venue", "--from", "--for", "--speed", "--market", "--confirm-live", "--summary"):
        assert option in text


def ending(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[Exit, str]:
    telemetry = Telemetry(None, now_ms=real_seams().wall_ms, secrets=("hunter2",))
    exit_ = cause_of(error, telemetry)
    return exit_, capsys.readouterr().err


def test_a_mistake_found_out_by_the_run_is_still_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with trio.open_nursery():
            raise BadMarketFile("BTCUSDT.csv: line 7: low is above open")

    with pytest.RaisesGroup(BadMarketFile) as caught:
        trio.run(run)
    assert ending(caught.value, capsys) == (
        Exit.BAD_SETTINGS,
        "anchorwatch: BTCUSDT.csv: line 7: low is above open\n",
    )
    assert ending(SettingsError([]), capsys)[0] is Exit.BAD_SETTINGS


def test_a_defect_is_told_with_its_traceback_and_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    exit_, text = ending(
        BaseExceptionGroup("", [BadMarketFile("x"), ZeroDivisionError("at hunter2")]), capsys
    )
    assert exit_ is Exit.BUG
    assert "ZeroDivisionError: at ****" in text


def test_an_interrupt_before_the_bot_listens_is_not_a_defect(capsys: pytest.CaptureFixture[str]) -> None:
    exit_, text = ending(BaseExceptionGroup("", [KeyboardInterrupt()]), capsys)
    assert (exit_, text.count("\n")) == (Exit.STOPPED_AT_ONCE, 1)


def test_the_process_ends_with_the_exit_code() -> None:
    def ended(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "anchorwatch", *argv], capture_output=True, text=True)

    right, wrong = ended("version"), ended("run", "--speed", "fast")
    assert (right.returncode, right.stdout) == (0, f"anchorwatch {__version__}\n")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert len(wrong.stderr.splitlines()) == 1


def test_a_reader_that_leaves_early_causes_no_complaint() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "anchorwatch", "config", "--reference"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert process.stderr == b""


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("--lang", "de", "allowed: en, ru"),
        ("--seeds", "0", "allowed: a whole number from 1"),
        ("--out", "no/such/place/page.html", "allowed: a file in a directory that exists"),
    ],
)
def test_verify_refuses_what_it_cannot_do_before_it_runs_anything(
    capsys: pytest.CaptureFixture[str], option: str, value: str, allowed: str
) -> None:
    [line] = refused(capsys, "verify", option, value)
    assert line.startswith(option)
    assert allowed in line
