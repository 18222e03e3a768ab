"""A strategy of one's own in a back-test: it fails in one line, and what it foresees is held to what it answers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from anchorwatch.io.cli import command
from anchorwatch.io.venue.candle_file import CandleSeries
from anchorwatch.machine.lifecycle import Exit
from tests.backtest.rig import part, walk

README = Path(__file__).parents[2] / "README.md"

OWN = """
import numpy as np
from anchorwatch.machine.strategy import Intent, Wish
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.strategy.series import REFUSED, Foreseen
from anchorwatch.machine.units import Side

SIDES = (None, *Side)

class Base:
    needs = EmaCross().needs
    def decide(self, view):
        minute = view.now_ms // 60_000
        if view.open_side is None and minute % 7 == 0:
            return Intent(Wish.ENTER, Side.LONG, "a seventh minute")
        return None

class Failing(Base):
    def decide(self, view):
        return 1 / 0

class Silent(Base):
    def decide(self, view):
        return "long"

class True_(Base):
    def foresee(self, views):
        is_seventh = (views.candles.open_ms // 60_000 + 1) % 7 == 0
        nothing = np.zeros(len(is_seventh), bool)
        return Foreseen({None: is_seventh, Side.LONG: nothing, Side.SHORT: nothing})

class False_(Base):
    def foresee(self, views):
        nothing = np.zeros(len(views.candles.close), bool)
        return Foreseen(dict.fromkeys(SIDES, nothing))

class Miscounting(Base):
    def foresee(self, views):
        everywhere = np.ones(len(views.candles.close), bool)
        return Foreseen(dict.fromkeys(SIDES, ~everywhere), {None: {REFUSED: everywhere}})
    def decide(self, view):
        return None

class Falling(Base):
    def foresee(self, views):
        return views.prices

class Worded(Base):
    def foresee(self, views):
        return "nothing"

class Short(Base):
    def foresee(self, views):
        return Foreseen(dict.fromkeys(SIDES, np.zeros(3, bool)))

class OneSided(Base):
    def foresee(self, views):
        return Foreseen({None: np.zeros(len(views.candles.close), bool)})

class Floating(Base):
    def foresee(self, views):
        return Foreseen(dict.fromkeys(SIDES, np.zeros(len(views.candles.close))))

class Stuck(Base):
    def decide(self, view):
        while True:
            import signal
            signal.raise_signal(signal.SIGINT)  # somebody has waited long enough

class Writing(Base):
    def foresee(self, views):
        views.candles.close[:] = 1.0
        return Foreseen(dict.fromkeys(SIDES, np.zeros(len(views.candles.close), bool)))
"""


def written(path: Path, series: CandleSeries) -> Path:
    """The series as the file that a user would have."""
    rows = zip(series.ts_ms, series.open, series.high, series.low, series.close, strict=True)
    lines = [",".join([str(ts), *(f"{price / 10:.1f}" for price in prices), "5"]) for ts, *prices in rows]
    path.write_text("\n".join(["ts,open,high,low,close,volume", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("market") / "BTCUSDT.csv", walk(600, step=60))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def tried(
    market: Path, strategy: str, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, str, str]:
    """Exit code and what is written, of the command as it is typed."""
    code = command(["backtest", str(market), "--strategy", strategy, "--one-path", *more])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "Failing",
            r"own.py:20: ZeroDivisionError: division by zero; asked about BTC-USDT-SWAP's candle of 2",
        ),
        (
            "Silent",
            r"own.py:23: decide answered the intent 'long' \(str\); allowed: an Intent or None; asked",
        ),
        ("Falling", r"own.py:46: AttributeError: 'Views' object has no attribute 'prices'"),
        ("Worded", r"own.py:49: foresee answered 'nothing' \(str\); allowed: a Foreseen"),
        ("Short", r"asked of None has the shape \(3,\); allowed: one answer for each of \d+ candles"),
        (
            "OneSided",
            r"nothing in asked for Side.LONG; allowed: answers for each of None, Side.LONG, Side.SHORT",
        ),
        ("Floating", r"asked of None is an array of float64; allowed: an array of bool"),
        ("Writing", r"own.py:\d+: ValueError: assignment destination is read-only"),
        (
            "False_",
            r"foresee answered no wish with nothing open, and asked it wishes: enter long; asked about",
        ),
        (
            "Miscounting",
            r"with nothing open what is counted differs from what it answers: refused; asked about",
        ),
    ],
)
def test_a_failure_is_one_line_with_file_line_and_candle(
    market: Path, own: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    code, out, error = tried(market, f"{own}:{name}", capsys)
    assert code == Exit.BAD_SETTINGS.value
    assert re.search(rf"^anchorwatch: the strategy {name} failed at .*{words}", error)
    assert len(error.splitlines()) == 1
    assert "Traceback" not in out + error


def test_one_that_does_not_come_back_is_waited_for_and_an_interruption_says_where_it_stood(
    market: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = tried(market, f"{own}:Stuck", capsys)
    assert code == Exit.STOPPED_AT_ONCE.value
    assert re.fullmatch(r"anchorwatch: interrupted; the strategy Stuck stood at .*own\.py:\d+\n", error)


def test_one_that_foresees_what_it_answers_makes_the_same_trades_asked_at_every_candle(
    market: Path, own: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found: list[str] = []
    for name, more in (("Base", ()), ("True_", ()), ("True_", ("--every-candle",))):
        out = tmp_path / f"{len(found)}"
        code, _, _ = tried(market, f"{own}:{name}", capsys, "--out", str(out), *more)
        assert code == 0
        found.append((out / "trades.csv").read_text())
    assert found[0].count("\n") > 5
    assert found == [found[0]] * 3


def test_what_it_says_wrongly_after_the_first_day_is_found_when_every_candle_is_asked(
    own: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    market = written(tmp_path / "BTCUSDT.csv", walk(3_000, step=60))
    late = own.with_name("late.py")
    late.write_text(
        OWN.replace(
            "(views.candles.open_ms // 60_000 + 1) % 7 == 0", "self.of(views.candles.open_ms)"
        ).replace(
            "class False_",
            """    def of(self, open_ms):
        return ((open_ms // 60_000 + 1) % 7 == 0) & (open_ms < open_ms[0] + 2_000 * 60_000)

class False_""",
        )
    )
    assert tried(market, f"{late}:True_", capsys)[0] == 0
    code, _, error = tried(market, f"{late}:True_", capsys, "--every-candle")
    assert code == Exit.BAD_SETTINGS.value
    assert "no wish with nothing open, and asked it wishes: enter long" in error


def test_what_the_readme_s_example_foresees_is_what_it_answers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    market = written(tmp_path / "BTCUSDT.csv", walk(9_000, step=60))
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    answers, foresees = (
        next(block for block in blocks if f"def {name}(" in block) for name in ("decide", "foresee")
    )
    own = tmp_path / "my_strategy.py"
    own.write_text(
        f"{answers}\n\n{foresees}\n\nclass Both(BuyOversold, frozen=True):\n    foresee = foresee\n"
    )
    made: list[str] = []
    for name, more in (("BuyOversold", ()), ("Both", ()), ("Both", ("--every-candle",))):
        out = tmp_path / f"out{len(made)}"
        code, _, error = tried(market, f"{own}:{name}", capsys, "--out", str(out), *more)
        assert (code, error) == (0, "")
        made.append((out / "trades.csv").read_text())
    assert made[0].count("\n") > 3
    assert made == [made[0]] * 3


def test_over_a_hole_it_is_asked_where_nothing_was_foreseen(
    own: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The stretch behind the hole is too short for indicators: nobody told it about those candles."""
    mask = np.ones(600, dtype=bool)
    mask[560:570] = False
    market = written(tmp_path / "BTCUSDT.csv", part(walk(600, step=60), mask))
    assert tried(market, f"{own}:True_", capsys, "--every-candle")[0] == 0


def test_an_end_before_the_file_is_refused(market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = tried(market, "ema_cross", capsys, "--to", "2019-01-01")
    assert code == Exit.BAD_SETTINGS.value
    assert "nothing comes before --to 2019-01-01 00:00; allowed: after 20" in error


def test_a_market_that_never_became_ready_is_told_with_what_it_lacks(
    market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = tried(market, "scalper", capsys)
    assert code == 0
    assert re.search(r"alarm STAGE_LATE .*BTC-USDT-SWAP candles 1H: \d+ of 100", out)
