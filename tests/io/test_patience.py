"""A strategy that does not come back is interrupted where it stands, and the bot goes on protecting what is open."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.io.patience import Patience
from anchorwatch.io.replaying import replay
from anchorwatch.io.seams import CAN_RING
from anchorwatch.io.settings import SettingsError, load
from anchorwatch.io.status import status_of
from anchorwatch.machine.strategy import Decision, Intent, MarketView, Wish
from anchorwatch.machine.strategy.asking import StrategyFailed, StrategyOverran
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.units import Side
from tests.machine.desk_rig import BTC, DeskRig
from tests.machine.test_scalper import view

pytestmark = pytest.mark.skipif(not CAN_RING, reason="this system interrupts nobody")

THIS = Path(__file__).name
WITHIN_S = 0.05
ENTER = Intent(Wish.ENTER, Side.LONG, "always")


class Own:
    """A strategy that answers at once."""

    needs = EmaCross().needs

    def decide(self, view: MarketView) -> Any:
        return ENTER


class Looping(Own):
    def decide(self, view: MarketView) -> Any:
        while True:
            pass


class Waiting(Own):
    def decide(self, view: MarketView) -> Any:
        time.sleep(600)


class Forgiving(Own):
    def decide(self, view: MarketView) -> Any:
        while True:
            try:
                len(view.candles)
            except Exception:
                len(view.candles)


class Deaf(Own):
    """The worst that can still be interrupted: it catches everything, and goes on."""

    def decide(self, view: MarketView) -> Any:
        while True:
            try:
                len(view.candles)
            except:  # noqa: E722
                len(view.candles)


class Wordy(Own):
    """It fails at once, and its error takes for ever to tell itself."""

    class Told(Exception):
        def __str__(self) -> str:
            while True:
                pass

    def decide(self, view: MarketView) -> Any:
        raise self.Told


class Deep(Own):
    def decide(self, view: MarketView, depth: int = 900) -> Any:
        while depth == 0:
            pass
        return self.decide(view, depth - 1)


class Explained(Own):
    def consider(self, view: MarketView) -> Decision:
        return Looping().decide(view)  # type: ignore[no-any-return]


class Failing(Own):
    def decide(self, view: MarketView) -> Any:
        raise KeyError("at once")


@pytest.fixture
def patience() -> Iterator[Patience]:
    before = signal.getsignal(signal.SIGALRM)
    with Patience(WITHIN_S) as one:
        yield one
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("kind", [Looping, Waiting, Forgiving, Deaf, Wordy, Deep, Explained])
def test_one_that_does_not_come_back_fails_with_the_line_where_it_stood(
    patience: Patience, kind: type[Own]
) -> None:
    with pytest.raises(StrategyOverran) as failed:
        patience.asker(kind())(view())
    assert failed.value.strategy == kind.__name__
    assert failed.value.what.startswith(f"no answer within {WITHIN_S:g} s, interrupted at ")
    assert f"{THIS}:" in failed.value.where
    assert f"{THIS}:" in failed.value.what
    assert patience.taken() is failed.value
    assert patience.taken() is None


def test_one_that_comes_back_is_not_disturbed_and_between_the_questions_nothing_rings() -> None:
    with Patience(60) as patience:  # more than any host can hold a question up
        assert patience.asker(Own())(view()).intent is ENTER
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        with pytest.raises(StrategyFailed, match="KeyError: 'at once'") as failed:
            patience.asker(Failing())(view())
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        assert not isinstance(failed.value, StrategyOverran)
        assert patience.taken() is None


def test_a_ring_that_comes_when_the_answer_is_there_interrupts_nobody() -> None:
    """It may have been on its way: whatever runs then is ours."""
    with Patience(60):
        signal.raise_signal(signal.SIGALRM)


def test_what_the_market_computes_for_it_is_computed_to_its_end(patience: Patience) -> None:
    """The market keeps what it computes: torn in the middle, it would be wrong for everybody after."""
    done: list[str] = []
    source = (
        "def compute(now, until, done):\n    while now() < until:\n        pass\n    done.append('whole')\n"
    )
    ours: dict[str, Any] = {"__name__": "anchorwatch.machine.candles"}
    exec(source, ours)

    class Asking(Own):
        def decide(self, view: MarketView) -> Any:
            ours["compute"](time.monotonic, time.monotonic() + 3 * WITHIN_S, done)
            while True:
                pass

    with pytest.raises(StrategyOverran):
        patience.asker(Asking())(view())
    assert done == ["whole"]


def test_it_is_asked_no_more_while_its_position_is_held_and_explain_says_why() -> None:
    asked: list[int] = []

    class Once(Own):
        def decide(self, view: MarketView) -> Any:
            asked.append(view.now_ms)
            while view.open_side is not None:
                pass
            return ENTER

    with Patience(0.5) as patience:
        rig = DeskRig(strategy=Once(), asker=patience.asker).booted()
        rig.covered()
        for _ in range(3):
            rig.pass_s(60)
            rig.cross(Side.LONG)
    assert len(asked) == 2
    assert rig.announced().count("STRATEGY_FAILED") == 1
    assert rig.bot.permission.state.name == "HALTED"
    newest = rig.desk.context.book.considered[BTC][-1]
    assert "it is asked no more" in newest.decision.because
    status = status_of(rig.desk, "sim", now_ms=rig.now_ms)
    assert "it is asked no more" in status.symbols[0].decided[-1].decision.because


def test_the_bound_is_a_setting_and_held_to_its_range() -> None:
    assert load(file=None, environ={}, options={}, markets=()).strategy.within_s == 2
    for wrong in (0, 0.01, 6, "soon"):
        with pytest.raises(SettingsError, match=r"strategy\.within_s"):
            load(file=None, environ={}, options={"strategy.within_s": wrong}, markets=())


# A real bot.

STRATEGY = """
from anchorwatch.machine.market import MarketSettings
from anchorwatch.machine.strategy import Intent, Wish
from anchorwatch.machine.units import Side

class Stuck:
    needs = MarketSettings(
        kept=(("1m", 300),), indicated=(), waited=(), regime=None, profile=None, pivots=False
    )

    def decide(self, view):
        if view.open_side is None:
            return Intent(Wish.ENTER, Side.LONG, "always")
        while True:
            pass
"""

SETTINGS = """
[strategy]
name = "{strategy}:Stuck"
within_s = 0.5
[entry]
order_kind = "market"
[protection]
trail_activation_fraction = 0.002
trail_fraction = 0.001
take_profit_fraction = 0
max_holding_min = 6
"""

FIRST_MS = 1_735_776_000_000
ENDED_WITHIN_S = 120


def climbing(path: Path, minutes: int = 420) -> Path:
    """A market that rises by a thousandth each minute."""
    rows, px = [], 50_000.0
    for n in range(minutes):
        close = px * 1.001
        rows.append(f"{FIRST_MS + n * 60_000},{px:.1f},{close:.1f},{px:.1f},{close:.1f},50")
        px = float(f"{close:.1f}")
    file = path / "BTCUSDT_1m.csv"
    file.write_text("\n".join(["ts,open,high,low,close,volume", *rows, ""]))
    return file


def test_a_real_bot_goes_on_following_and_closing_and_stops_in_order(tmp_path: Path) -> None:
    strategy, settings, tape = tmp_path / "stuck.py", tmp_path / "bot.toml", tmp_path / "tape"
    strategy.write_text(STRATEGY)
    settings.write_text(SETTINGS.format(strategy=strategy))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "anchorwatch", "run", "--log-format", "json", "--speed", "60"),
            *("--config", settings, "--market", climbing(tmp_path), "--for", "10m", "--tape", tape),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=ENDED_WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    at = {line["event"]: n for n, line in enumerate(lines)}["STRATEGY_FAILED"]
    failed, before, after = lines[at], lines[:at], lines[at + 1 :]
    assert [line["event"] for line in lines].count("STRATEGY_FAILED") == 1
    assert failed["level"] == "alarm"
    assert "no answer within 0.5 s, interrupted at " in failed["reason"]
    assert f"{strategy}:" in failed["reason"]

    def moves(part: list[dict[str, Any]], machine: str) -> list[str]:
        return [one["dest"] for one in part if one["event"] == "transition" and one["machine"] == machine]

    assert moves(before, "position")[-1] == "OPEN"
    assert moves(before, "protection")[-1] == "COVERED"
    assert moves(after, "permission")[0] == "HALTED"
    assert moves(after, "protection").count("MOVING") >= 2  # its stop goes on following
    assert moves(after, "position")[-2:] == ["CLOSING", "FLAT"]
    assert next(one for one in after if one.get("dest") == "CLOSING")["cause"] == "held too long"
    assert {one["outcome"] for one in after if one["event"] == "stop_step"} == {"done"}
    assert moves(lines, "lifecycle")[-1] == "STOPPED"
    # Decided again from the tape, nobody waits for it, and all is as it was.
    again = replay(tape)
    assert again.difference is None
    assert again.events > 500
