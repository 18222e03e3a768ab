"""A strategy of one's own: found by its name, with its settings checked, and refused by the words of what is wrong."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest

from anchorwatch.io.settings import SettingsError, load, strategies
from anchorwatch.io.settings.tuning import parameters
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy import Intent, Strategy, Wish
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.strategy.scalper import Scalper
from anchorwatch.machine.units import Side
from tests.machine.test_scalper import calm, frame, view

README = Path(__file__).parents[2] / "README.md"

MINE = """
import msgspec
from anchorwatch.machine.market import MarketSettings
from anchorwatch.machine.strategy import Intent, Wish
from anchorwatch.machine.units import Side

class Nested(msgspec.Struct, frozen=True):
    depth: int = 1

class Mine(msgspec.Struct, frozen=True):
    below: float = 25.0
    nested: Nested = Nested()
    needs = MarketSettings()
    def decide(self, view):
        return Intent(Wish.ENTER, Side.LONG, "always")

class Bare:
    needs = MarketSettings()
    def decide(self, view):
        return None

class Half:
    needs = MarketSettings()

class Later:
    needs = MarketSettings()
    async def decide(self, view):
        return None

class Alone:
    needs = MarketSettings()
    def decide(self):
        return None

class Needy:
    @property
    def needs(self):
        return 1 / 0
    def decide(self, view):
        return None

class Picky(msgspec.Struct, frozen=True):
    depth: int = 1
    needs = MarketSettings()
    def __post_init__(self):
        raise KeyError("depth")
    def decide(self, view):
        return None

class Mistyped(msgspec.Struct, frozen=True):
    depth: "Depth" = 1
    needs = MarketSettings()
    def decide(self, view):
        return None

class Blind:
    needs = MarketSettings(kept=(("1m", 300),), indicated=(), waited=(), regime=None, profile=None, pivots=False)
    def decide(self, view):
        return None
    def foresee(self, views):
        return None

class Greedy:
    needs = MarketSettings(kept=(("1m", 5),))
    def decide(self, view):
        return None
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def chosen(name: str, own: dict[str, object] | None = None) -> Strategy:
    settings = load(environ={}, options={"strategy.name": name, "strategy.settings": own or {}})
    return parameters(settings).instruments[0][1].strategy


def refused(name: str, own: dict[str, object] | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        chosen(name, own)
    (problem,) = error.value.problems
    return str(problem)


def test_the_default_is_the_scalper_and_the_small_one_goes_by_its_name() -> None:
    assert parameters(load(environ={})).instruments[0][1].strategy == Scalper()
    assert chosen("ema_cross") == EmaCross()
    assert chosen("scalper", {"strength_least": 0.7, "filters": {"higher": ["5m"]}}) != Scalper()


def test_a_class_in_a_file_is_made_with_its_settings(file: Path) -> None:
    strategy = chosen(f"{file}:Mine", {"below": 20, "nested": {"depth": 3}})
    assert repr(strategy) == "Mine(below=20.0, nested=Nested(depth=3))"
    assert type(chosen(f"{file}:Bare")).__name__ == "Bare"


def test_settings_come_from_a_section_of_the_file(file: Path, tmp_path: Path) -> None:
    config = tmp_path / "anchorwatch.toml"
    config.write_text(f'[strategy]\nname = "{file}:Mine"\n[strategy.settings]\nbelow = 12.5\n')
    strategy = parameters(load(file=config, environ={})).instruments[0][1].strategy
    assert repr(strategy) == "Mine(below=12.5, nested=Nested(depth=1))"


def test_a_package_offers_strategies_by_entry_points(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("offered", "anchorwatch.machine.strategy.ema_cross:EmaCross", strategies.ENTRY_POINTS)
    monkeypatch.setattr(strategies, "entry_points", lambda group: [point] if group else [])
    strategies._class.cache_clear()
    assert chosen("offered", {"fast": 5}) == EmaCross(fast=5)
    assert "allowed: scalper, ema_cross, offered, or a class in a file" in refused("moon")
    strategies._class.cache_clear()


def test_an_installed_package_s_strategy_goes_by_the_name_that_it_gives_itself(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distribution as pip would leave it: its metadata beside its module."""
    site = tmp_path / "site"
    described = site / "dip_buyers-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: dip-buyers\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[{strategies.ENTRY_POINTS}]\ndips = dip_buyers:Mine\n")
    (site / "dip_buyers.py").write_text(file.read_text())
    monkeypatch.syspath_prepend(site)
    strategies._class.cache_clear()
    try:
        assert repr(chosen("dips", {"below": 21})).startswith("Mine(below=21")
        assert "allowed: scalper, ema_cross, dips, or a class" in refused("moon")
    finally:
        strategies._class.cache_clear()


@pytest.mark.parametrize(
    ("name", "own", "words"),
    [
        ("Mine", {"belw": 1}, r"strategy.settings.belw: unknown setting; allowed: below, nested"),
        ("Mine", {"nested": {"dept": 1}}, r"strategy.settings.nested.dept: unknown setting; allowed: depth"),
        ("Mine", {"below": "low"}, r"strategy.settings.below: expected `float`, got `str`"),
        ("Bare", {"below": 1}, r"strategy.settings: Bare takes none"),
        ("Half", {}, r"lacks a part; allowed: a class with needs \(MarketSettings\) and decide\(view\)"),
        ("Greedy", {}, r"needs what cannot be: 5 candles of 1m are kept"),
        ("Nobody", {}, r"Nobody is no class"),
        ("Later", {}, r"decide cannot be asked; allowed: def decide\(self, view\), not async"),
        ("Alone", {}, r"decide cannot be asked; allowed: def decide\(self, view\)"),
        ("Needy", {}, r"Needy.needs fails: ZeroDivisionError: division by zero \(at .*mine.py:\d+\)"),
        ("Picky", {}, r"Picky with its settings fails: KeyError: 'depth' \(at .*mine.py:\d+\)"),
        ("Mistyped", {"depth": 1}, r"Mistyped's annotations fails: NameError: name 'Depth' is not defined"),
        ("Blind", {}, r"foresee is told of indicators; allowed: needs.indicated with 1m"),
    ],
)
def test_what_is_wrong_is_named(file: Path, name: str, own: dict[str, object], words: str) -> None:
    assert re.search(words, refused(f"{file}:{name}", own))


def test_a_file_that_is_missing_or_does_not_run_is_told_without_a_traceback(tmp_path: Path) -> None:
    assert "there is no file" in refused(str(tmp_path / "gone.py") + ":X")
    broken = tmp_path / "broken.py"
    broken.write_text("\n\nimport nothing_of_that_name")
    assert re.search(r"ModuleNotFoundError: .* \(at .*broken.py:3\)", refused(f"{broken}:X"))
    unfinished = tmp_path / "unfinished.py"
    unfinished.write_text("class Mine:\n    def decide(self, view)\n")
    assert "SyntaxError: expected ':' (unfinished.py, line 2)" in refused(f"{unfinished}:Mine")
    leaving = tmp_path / "leaving.py"
    leaving.write_text("import sys\nsys.exit(3)\n")
    assert re.search(r"SystemExit: 3 \(at .*leaving.py:2\)", refused(f"{leaving}:X"))


def test_annotations_may_be_texts_until_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "later_read.py"
    path.write_text(f"from __future__ import annotations\n{MINE}")
    strategy = chosen(f"{path}:Mine", {"below": 20, "nested": {"depth": 3}})
    assert repr(strategy) == "Mine(below=20.0, nested=Nested(depth=3))"


def test_a_package_whose_strategy_does_not_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("offered", "nothing_of_that_name:Mine", strategies.ENTRY_POINTS)
    monkeypatch.setattr(strategies, "entry_points", lambda group: [point] if group else [])
    strategies._class.cache_clear()
    assert "the package's nothing_of_that_name:Mine fails: ModuleNotFoundError" in refused("offered")
    strategies._class.cache_clear()


def test_settings_of_the_built_in_ones_are_held_to_their_ranges() -> None:
    assert "strategy.settings.strength_least: expected `float` <= 1.0" in refused(
        "scalper", {"strength_least": 2}
    )


def test_what_belongs_to_the_small_one_is_not_passed_over_in_silence() -> None:
    with pytest.raises(SettingsError, match=r"strategy\.fast: is of the strategy ema_cross"):
        load(environ={}, options={"strategy.fast": 5})


def test_the_example_of_the_readme_is_short_and_is_a_strategy(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "def decide" in block)
    assert len(example.splitlines()) < 30
    path = tmp_path / "my_strategy.py"
    path.write_text(example)
    (name,) = re.findall(r"^class (\w+)", example, re.M)
    strategy = chosen(f"{path}:{name}", {"below": 20})
    assert repr(strategy) == f"{name}(below=20.0)"
    # And it decides: in, out, and nothing.
    oversold = view(frames={"1m": frame(now=calm(rsi=19.0))}, regime=Regime.RANGING)
    assert strategy.decide(oversold) == Intent(Wish.ENTER, Side.LONG, "RSI 19 in a ranging market")
    assert strategy.decide(msgspec.structs.replace(oversold, regime=Regime.CHOPPY)) is None
    recovered = view(frames={"1m": frame(now=calm(rsi=56.0))}, open_side=Side.LONG)
    assert strategy.decide(recovered) == Intent(Wish.EXIT, Side.LONG, "RSI is back in the middle")
