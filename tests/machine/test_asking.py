"""A strategy is somebody's own code: whatever it does, the bot protects what is open and enters nothing more."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.machine import permission, protection, requests, world
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.permission import S
from anchorwatch.machine.strategy import Decision, Fired, Intent, MarketView, Refusal, Wish
from anchorwatch.machine.strategy.asking import WORDS_MAX, StrategyFailed, decider
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.units import Fraction, Side
from tests.machine.desk_rig import BTC, DeskRig
from tests.machine.test_scalper import view

THIS = Path(__file__).name
ENTER = Intent(Wish.ENTER, Side.LONG, "because")


class Answering:
    """Answers with whatever it is made with."""

    needs = EmaCross().needs

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def decide(self, view: MarketView) -> Any:
        return self.answer


class Explained(Answering):
    def consider(self, view: MarketView) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("long", "the intent 'long' (str); allowed: an Intent or None"),
        (True, "the intent True (bool); allowed: an Intent or None"),
        (Decision(ENTER, "x"), "allowed: an Intent or None"),
        (Intent("enter", Side.LONG, "x"), "the wish 'enter' (str); allowed: Wish.ENTER, Wish.EXIT"),  # type: ignore[arg-type]
        (Intent(Wish.ENTER, None, "x"), "the side None (NoneType); allowed: Side.LONG, Side.SHORT"),  # type: ignore[arg-type]
        (Intent(Wish.ENTER, Side.LONG, 3), "the reason 3 (int); allowed: a text"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_intent_is_told_with_what_is_allowed(answer: Any, words: str) -> None:
    with pytest.raises(StrategyFailed) as failed:
        decider(Answering(answer))(view())
    assert words in failed.value.what
    assert failed.value.strategy == "Answering"
    assert THIS in failed.value.where


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ENTER, "allowed: a Decision"),
        (None, "None (NoneType); allowed: a Decision"),
        (Decision(ENTER, None), "because None (NoneType); allowed: a text"),  # type: ignore[arg-type]
        (Decision(ENTER, "x", strength=float("nan")), "the strength nan (float); allowed: a number"),
        (
            Decision(None, "x", (Fired("a", Side.LONG, float("inf")),)),
            "a signal with the strength inf (float)",
        ),
        (Decision(None, "x", (Fired("a", None, 1.0),)), "a signal with the side None (NoneType)"),  # type: ignore[arg-type]
        (Decision(None, "x", ["a"]), "fired ['a'] (list); allowed: a tuple of Fired"),  # type: ignore[arg-type]
        (
            Decision(None, "x", refusals=(Fired("a", Side.LONG, 1.0),)),  # type: ignore[arg-type]
            "allowed: a tuple of Refusal",
        ),
        (Decision(None, "x", regime="ranging"), "the regime 'ranging' (str); allowed: a Regime or None"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_decision_is_told_with_what_is_allowed(answer: Any, words: str) -> None:
    with pytest.raises(StrategyFailed) as failed:
        decider(Explained(answer))(view())
    assert words in failed.value.what


def test_a_whole_decision_passes_as_it_is() -> None:
    whole = Decision(ENTER, "x", (Fired("a", Side.LONG, 1),), (Refusal("b", "c"),), None, 0.5)
    assert decider(Explained(whole))(view()) is whole


class Failing:
    """Fails in a library that it calls, on a line of its own."""

    needs = EmaCross().needs

    def decide(self, view: MarketView) -> Intent | None:
        return Fraction(Decimal("nothing"))  # type: ignore[return-value]


class Leaving:
    needs = EmaCross().needs

    def decide(self, view: MarketView) -> Intent | None:
        sys.exit("I have had enough")


class Endless:
    needs = EmaCross().needs

    def decide(self, view: MarketView) -> Intent | None:
        return self.decide(view)


class Untellable(Exception):
    def __str__(self) -> str:
        raise ValueError


class Mute:
    needs = EmaCross().needs

    def decide(self, view: MarketView) -> Intent | None:
        raise Untellable


class Verbose:
    needs = EmaCross().needs

    def decide(self, view: MarketView) -> Intent | None:
        raise ValueError("a\n" * 100_000)


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (Failing(), "InvalidOperation: "),
        (Leaving(), "SystemExit: I have had enough"),
        (Endless(), "RecursionError: "),
        (Mute(), "Untellable: it cannot be told"),
        (Verbose(), "ValueError: a a a"),
    ],
)
def test_whatever_it_raises_is_one_line_with_the_place_in_its_own_file(strategy: Any, words: str) -> None:
    with pytest.raises(StrategyFailed) as failed:
        decider(strategy)(view())
    assert failed.value.what.startswith(words)
    assert len(failed.value.what) <= WORDS_MAX
    assert "\n" not in str(failed.value)
    file, _, line = failed.value.where.rpartition(":")
    assert Path(file).name == THIS
    text = Path(__file__).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert any(mark in text for mark in ("Fraction(", "sys.exit(", "self.decide(", "raise "))


# At the desk.


class Moody:
    """Enters where nothing is open; what it says of a position is what its mood is."""

    needs = EmaCross().needs

    def __init__(self) -> None:
        self.mood: Any = None

    def decide(self, view: MarketView) -> Any:
        if view.open_side is None:
            return ENTER
        if self.mood == "bad":
            raise KeyError(view.now_ms)
        return self.mood


def failing() -> tuple[DeskRig, Moody]:
    """A covered position whose strategy has just failed."""
    moody = Moody()
    rig = DeskRig(strategy=moody).booted()
    rig.covered()
    rig.pass_s(60)
    moody.mood = "bad"
    rig.cross(Side.LONG)
    return rig, moody


def test_one_that_fails_halts_entries_and_is_named_with_its_line() -> None:
    rig, _ = failing()
    told = [line for line in rig.taken(requests.Announce) if line.name == "STRATEGY_FAILED"]
    [line] = told
    fields = dict(line.fields)
    assert (line.level, fields["instrument"], fields["strategy"]) == ("alarm", BTC, "Moody")
    assert f"{THIS}:" in fields["where"]
    assert fields["reason"].startswith("KeyError: ")
    assert int(fields["candle_ms"]) == rig.now_ms  # the rig's candles open when they are told
    grant = rig.bot.permission
    assert grant.state is S.HALTED
    assert "the strategy Moody failed at" in grant.data.reason


def test_what_is_open_stays_covered_and_its_stop_goes_on_following() -> None:
    rig, _ = failing()
    assert rig.slot().protection.state is protection.S.COVERED
    rig.pass_s(2)
    rig.mark("60300")
    assert rig.only(requests.MoveStop).trigger > 60_000


def test_it_is_told_once_for_one_place_and_again_when_it_fails_after_having_answered() -> None:
    rig, moody = failing()
    rig.taken(requests.Announce)
    for _ in range(3):
        rig.pass_s(60)
        rig.cross(Side.LONG)
    assert "STRATEGY_FAILED" not in rig.announced()
    moody.mood = None
    rig.pass_s(60)
    rig.cross(Side.LONG)
    moody.mood = "bad"
    rig.pass_s(60)
    rig.cross(Side.LONG)
    assert rig.announced().count("STRATEGY_FAILED") == 1


def test_its_exits_are_still_followed_and_nothing_is_entered_after_them() -> None:
    rig, moody = failing()
    moody.mood = Intent(Wish.EXIT, Side.LONG, "enough")
    rig.pass_s(60)
    rig.cross(Side.LONG)
    close = rig.only(requests.PlaceOrder).ticket
    rig.say(world.OrderPushed(rig.filled(close, close.contracts, 60_000)))
    rig.pass_s(3600)
    rig.cross(Side.LONG)
    assert rig.taken(requests.PlaceOrder) == []
    assert "permission is halted" in rig.desk.context.book.considered[BTC][-1].denied


def test_an_exit_of_a_side_that_is_not_open_closes_nothing() -> None:
    moody = Moody()
    rig = DeskRig(strategy=moody).booted()
    rig.covered()
    moody.mood = Intent(Wish.EXIT, Side.SHORT, "the wrong one")
    rig.pass_s(60)
    rig.cross(Side.LONG)
    assert rig.taken(requests.PlaceOrder) == []
    assert rig.desk.context.book.considered[BTC][-1].denied == ("no short is open",)


def test_the_operator_may_clear_the_halt_and_one_that_fails_again_halts_again() -> None:
    rig, _ = failing()
    rig.tell(PERMISSION, permission.HaltCleared())
    assert "OPEN" in [move.dest for move in rig.moves if move.machine == "permission"]
    rig.pass_s(60)
    rig.cross(Side.LONG)
    assert rig.bot.permission.state is S.HALTED
