"""`anchorwatch explain` beside a real bot: what is missing, what was decided, and that nobody is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from anchorwatch.io import cli
from anchorwatch.io.file_lock import FileLock, Held, holder
from anchorwatch.io.settings import load
from anchorwatch.io.status import StatusFile, status_of, status_path
from anchorwatch.machine import lifecycle, permission
from anchorwatch.machine.book import DECISIONS_REMEMBERED
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.desk import Told, explaining
from anchorwatch.machine.strategy import Became
from anchorwatch.machine.units import Side
from tests.backtest.rig import walk
from tests.machine.desk_rig import BTC, DeskRig

ROOT = Path(__file__).parents[2]
WITHIN_S = 30
"""Of real time: an interpreter, its imports, and a start that takes a second."""


@contextmanager
def bot(state: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real bot on the embedded exchange that says of itself in ``state``."""
    with (state / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "anchorwatch", "run", "--log-format", "json", *options],
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(state)},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Explained(msgspec.Struct, frozen=True):
    code: int
    out: str
    err: str


def explain(state: Path, *options: str) -> Explained:
    done = subprocess.run(
        [sys.executable, "-m", "anchorwatch", "explain", *options],
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    return Explained(done.returncode, done.stdout, done.stderr)


def until(claim: Callable[[Explained], bool], state: Path, *options: str) -> Explained:
    """Ask again and again until it is so."""
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        said = explain(state, *options)
        if claim(said):
            return said
        assert time.monotonic() < give_up_at, (said, (state / "log").read_text()[-2000:])


def market(place: Path, minutes: int) -> Path:
    """A market that wanders, as a recorded file."""
    series, tick = walk(minutes), Decimal("0.1")
    path = place / "BTCUSDT_1m.csv"
    columns = (series.ts_ms, series.open, series.high, series.low, series.close)
    with path.open("w") as file:
        file.write("ts,open,high,low,close,volume\n")
        for at_ms, *prices in zip(*(column.tolist() for column in columns), strict=True):
            file.write(f"{at_ms},{','.join(str(price * tick) for price in prices)},100\n")
    return path


def test_a_bot_that_cannot_become_ready_names_every_fact_that_its_symbol_lacks(tmp_path: Path) -> None:
    recorded = market(tmp_path, 500)
    with bot(tmp_path, "--market", str(recorded), "--from", "2025-01-02T05:00"):
        said = until(lambda one: "candles 1H" in one.out and "SYNC" in one.out, tmp_path)
    assert said.code == 0
    assert "the bot waits for" in said.out
    assert "  a ready symbol" in said.out.splitlines()
    lacking = said.out[said.out.index("BTC-USDT-SWAP waits for") :]
    assert "of 100" in lacking
    assert "  volume profile: needs 100 candles with volume" in lacking.splitlines()


def test_a_ready_bot_tells_its_last_decisions_and_a_dead_one_only_its_last_word(tmp_path: Path) -> None:
    settings = tmp_path / "bot.toml"
    settings.write_text(
        '[strategy]\nname = "ema_cross"\nfast = 2\nslow = 3\n[exits]\npartial_share = 0\n[candles]\n1m = 140\n'
    )
    nobody = explain(tmp_path)
    assert (nobody.code, nobody.out) == (2, "")
    assert "no bot is running on sim: none ever wrote" in nobody.err
    with bot(tmp_path, "--config", str(settings), "--speed", "300") as process:
        said = until(lambda one: "enter long" in one.out or "enter short" in one.out, tmp_path)
        lines = said.out.splitlines()
        assert lines[0] == "anchorwatch on sim: READY, mode trade, entries open"
        assert lines[1].endswith(f"by process {process.pid}")
        assert "the bot: nothing is missing" in lines
        assert any(line.lstrip()[5:].startswith("  EMA 2 crossed") for line in lines)
        told = json.loads(explain(tmp_path, "--json").out)
        assert (told["process"], told["stage"], told["missing"]) == (process.pid, "READY", [])
        assert told["symbols"][0]["instrument"] == BTC
        process.kill()
        process.wait()
    dead = explain(tmp_path)
    assert (dead.code, dead.out) == (2, "")
    assert f"the last one (process {process.pid}) wrote" in dead.err
    assert dead.err.endswith("ago that it was READY\n")


def test_a_second_bot_on_the_same_file_says_so_and_is_explained_once_the_first_has_ended(
    tmp_path: Path,
) -> None:
    def writer(one: Explained) -> str:
        return one.out.partition("by process ")[2].partition("\n")[0]

    with bot(tmp_path) as first:
        until(lambda one: writer(one) == str(first.pid), tmp_path)
        with bot(tmp_path) as second:
            give_up_at = time.monotonic() + WITHIN_S
            while f"is written by process {first.pid}" not in (tmp_path / "log").read_text():
                assert time.monotonic() < give_up_at
                time.sleep(0.1)
            assert writer(explain(tmp_path)) == str(first.pid)
            first.kill()
            until(lambda one: writer(one) == str(second.pid), tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "is not a bot's status"),
        ("no", "is not a bot's status"),
        ('{"version": 99}', "was written in form 99, and this version reads 1"),
        ('{"version": 1}', "is not a bot's status"),
    ],
)
def test_a_file_that_is_no_status_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    path = tmp_path / "status.json"
    path.write_text(text)
    settings = tmp_path / "bot.toml"
    settings.write_text(f'[status]\npath = "{path}"\n')
    assert cli.command(["explain", "--config", str(settings)]) == 2
    assert words in capsys.readouterr().err
    settings.write_text('[status]\npath = "none"\n')
    assert cli.command(["explain", "--config", str(settings)]) == 2
    assert "status.path: none; allowed: a file" in capsys.readouterr().err


def test_on_live_neither_a_key_nor_a_word_on_the_account_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("ANCHORWATCH_API")]:
        monkeypatch.delenv(name)
    assert cli.command(["explain", "--venue", "live"]) == 2
    assert "no bot is running on live" in capsys.readouterr().err


def test_what_cannot_be_written_is_told_once_and_tried_again(tmp_path: Path) -> None:
    rig = DeskRig().booted()
    place = tmp_path / "state" / "sim.status.json"
    place.parent.mkdir()
    place.mkdir()
    told: list[str] = []
    with StatusFile(place, told.append) as file:
        for _ in range(3):
            file.write(status_of(rig.desk, "sim", now_ms=rig.now_ms), hide=str)
        assert len(told) == 1
        assert "cannot be written" in told[0]
        place.rmdir()
        file.write(status_of(rig.desk, "sim", now_ms=rig.now_ms), hide=lambda text: text.replace("sim", "*"))
        assert len(told) == 1
    assert json.loads(place.read_text())["venue"] == "*"
    assert place.stat().st_mode & 0o077 == 0


def test_who_asks_whether_a_lock_is_held_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert holder(path) is None
    lock = FileLock(path)
    assert holder(path) == str(os.getpid())
    with pytest.raises(Held):
        FileLock(path)
    lock.release()
    assert holder(path) is None
    FileLock(path).release()


def test_each_venue_has_a_file_of_its_own_where_the_settings_say_none(tmp_path: Path) -> None:
    for kind in ("sim", "paper"):
        settings = load(environ={}, options={"venue.kind": kind})
        assert (
            status_path(settings, {"XDG_STATE_HOME": str(tmp_path)})
            == tmp_path / "anchorwatch" / f"{kind}.status.json"
        )


# What the desk remembers of its decisions.


def test_a_wish_that_is_followed_is_an_entry_and_one_that_the_gate_denies_has_every_reason() -> None:
    rig = DeskRig().booted()
    rig.cross(Side.LONG)
    assert rig.desk.context.book.considered[BTC][-1].became is Became.ENTRY
    shut = DeskRig().booted()
    shut.say(Told(PERMISSION, permission.PauseRequested("the operator is away")))
    shut.cross(Side.LONG)
    denied = shut.desk.context.book.considered[BTC][-1]
    assert (denied.became, denied.denied) == (Became.DENIED, ("permission is paused",))


def test_of_decisions_that_came_to_nothing_only_the_newest_is_kept_and_of_the_others_a_bounded_number() -> (
    None
):
    rig = DeskRig(sides=()).booted()
    kept = rig.desk.context.book.considered
    for number in range(3 * DECISIONS_REMEMBERED):
        rig.cross(Side.LONG if number % 2 == 0 else Side.SHORT)
        assert sum(one.became is Became.NOTHING for one in kept[BTC]) <= 1
    assert len(kept[BTC]) == DECISIONS_REMEMBERED
    denied = [one for one in kept[BTC] if one.became is Became.DENIED]
    assert len(denied) >= DECISIONS_REMEMBERED - 1
    assert all(one.denied == ("strategy.sides does not allow it",) for one in denied)


def test_what_gates_a_symbol_is_told_with_its_words_and_apart_from_what_gates_the_bot() -> None:
    rig = DeskRig()
    assert explaining.of_bot(rig.desk.context)[0].fact == "lifecycle is INIT"
    lacking = {one.fact: one.words for one in explaining.of_symbol(rig.desk.context, BTC)}
    assert lacking["candles 1m"] == "not known yet"
    ready = DeskRig().booted()
    assert ready.stage() is lifecycle.S.READY
    assert explaining.of_bot(ready.desk.context) == explaining.of_symbol(ready.desk.context, BTC) == ()
