"""Asking a strategy, which is somebody's own code: what it answers, or how it failed.

Nothing that it does may end the bot. Whatever it raises, and whatever it answers that is no answer, becomes one
`StrategyFailed` with the place in its file; what that means is decided by whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from numbers import Real
from types import TracebackType
from typing import Any

import numpy as np

from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy import (
    Decision,
    Explaining,
    Fired,
    Intent,
    MarketView,
    Refusal,
    Strategy,
    Wish,
)
from anchorwatch.machine.strategy.series import Foreseen, Foretelling, Views
from anchorwatch.machine.units import Side

WORDS_MAX = 300
"""Of what a strategy says about its failure: it may put a whole table into an error, and the reason is kept for ever."""

SIDES: tuple[Side | None, ...] = (None, *Side)


class StrategyFailed(Exception):
    """``what`` happened, in words; ``where``: file and line, or the class where no line did it."""

    def __init__(self, strategy: str, where: str, what: str) -> None:
        super().__init__(f"the strategy {strategy} failed at {where}: {what}")
        self.strategy, self.where, self.what = strategy, where, what


class StrategyOverran(StrategyFailed):
    """It did not come back and was interrupted where it stood, by whoever asked it and has a clock (`io.patience`).

    Every further question could take as long again, and meanwhile nothing is protected: it is asked no more.
    """


Decider = Callable[[MarketView], Decision]
Asker = Callable[[Strategy], Decider]
"""What makes a decider of a strategy: `decider`, or something around it that bounds how long an answer may take."""


def decider(strategy: Strategy) -> Decider:
    """What decides for a strategy, to be asked for once. One that does not explain itself gives its reason alone.

    What it gives is a decision, or raises `StrategyFailed`.
    """
    method = _asked_by(strategy)
    ask = strategy.consider if isinstance(strategy, Explaining) else _explained(strategy)

    def decide(view: MarketView) -> Decision:
        try:
            decision = ask(view)
            wrong = _wrong_with(decision)
        except (Exception, SystemExit) as error:
            raise _failure(strategy, method, error) from None
        if wrong is not None:
            raise _no_answer(strategy, method, wrong)
        return decision

    return decide


def overran(strategy: Strategy, trace: TracebackType | None, within_s: float) -> StrategyOverran:
    """It was interrupted after this long; the innermost line of its own says where it stood."""
    file, line = _written(strategy, _asked_by(strategy))
    stood = stood_at(strategy, trace)
    words = f"no answer within {within_s:g} s" + (f", interrupted at {stood}" if stood is not None else "")
    return StrategyOverran(type(strategy).__name__, f"{file}:{line}", f"{words}; it is asked no more")


def stood_at(strategy: Strategy, trace: TracebackType | None) -> str | None:
    """The line of its own in which it was interrupted; None where it was not asked then."""
    return place_of(trace, _written(strategy, _asked_by(strategy))[0])


def _asked_by(strategy: Strategy) -> str:
    return "consider" if isinstance(strategy, Explaining) else "decide"


def _explained(strategy: Strategy) -> Decider:
    def decide(view: MarketView) -> Decision:
        intent = strategy.decide(view)
        return Decision(intent, intent.why if isinstance(intent, Intent) else "", regime=view.regime)

    return decide


def foreseen(strategy: Foretelling, views: Views) -> Foreseen:
    """What it answers to a whole series. Raises `StrategyFailed` where that is none."""
    try:
        answer = strategy.foresee(views)
        wrong = _wrong_with_foreseen(answer, len(views.candles.close))
    except (Exception, SystemExit) as error:
        raise _failure(strategy, "foresee", error) from None
    if wrong is not None:
        raise _no_answer(strategy, "foresee", wrong)
    return answer


def unlike(strategy: object, what: str) -> StrategyFailed:
    """What it foresees is not what it answers."""
    file, line = _written(strategy, "foresee")
    return StrategyFailed(type(strategy).__name__, f"{file}:{line}", f"foresee answered {what}")


def _failure(strategy: object, method: str, error: BaseException) -> StrategyFailed:
    """What its code raised, with the line of its own that led to it."""
    file, line = _written(strategy, method)
    place = place_of(error.__traceback__, file) or f"{file}:{line}"
    return StrategyFailed(type(strategy).__name__, place, words_of(error))


def _no_answer(strategy: object, method: str, wrong: str) -> StrategyFailed:
    file, line = _written(strategy, method)
    return StrategyFailed(type(strategy).__name__, f"{file}:{line}", f"{method} answered {wrong}")


def _written(strategy: object, method: str) -> tuple[str, int]:
    """File and line of a method; the name of the module where it has no text of its own."""
    found: Any = getattr(type(strategy), method, None)
    while hasattr(found, "__wrapped__"):  # under a decorator
        found = found.__wrapped__
    code = getattr(found, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else (type(strategy).__module__, 0)


def place_of(trace: TracebackType | None, file: str) -> str | None:
    """The innermost line in ``file`` or beside it: what was called from there may lie deep in a library."""
    place, room = None, file.rpartition("/")[0]
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.rpartition("/")[0] == room:
            place = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def words_of(error: BaseException) -> str:
    """An error in one line of bounded length."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # an error of somebody's own may fail to tell itself
        said = "it cannot be told"
    kind = type(error).__name__
    return shortened(f"{kind}: {said}" if said else kind)


def shortened(words: str) -> str:
    return words if len(words) <= WORDS_MAX else words[: WORDS_MAX - 1] + "…"


def _shown(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = "what cannot be shown"
    return f"{shortened(text)} ({type(value).__name__})"


def _wrong_with(answer: Any) -> str | None:
    """Why this is no decision; None where it is one."""
    if not _is(answer, Decision):
        return f"{_shown(answer)}; allowed: a Decision"
    if answer.regime is not None and not _is(answer.regime, Regime):
        return f"the regime {_shown(answer.regime)}; allowed: a Regime or None"
    intent = answer.intent
    if intent is not None:
        if not _is(intent, Intent):
            return f"the intent {_shown(intent)}; allowed: an Intent or None"
        if not _is(intent.wish, Wish):
            return f"the wish {_shown(intent.wish)}; allowed: Wish.ENTER, Wish.EXIT"
        if not _is(intent.side, Side):
            return f"the side {_shown(intent.side)}; allowed: Side.LONG, Side.SHORT"
        if not isinstance(intent.why, str):
            return f"the reason {_shown(intent.why)}; allowed: a text"
    if answer.fired or answer.refusals or answer.strength or not _is(answer.because, str):
        return _wrong_with_reasons(answer)
    return None


def _wrong_with_reasons(decision: Any) -> str | None:
    if not isinstance(decision.because, str):
        return f"because {_shown(decision.because)}; allowed: a text"
    if not _is_number(decision.strength):
        return f"the strength {_shown(decision.strength)}; allowed: a number"
    for name, kind in (("fired", Fired), ("refusals", Refusal)):
        own = getattr(decision, name)
        if not isinstance(own, tuple) or any(not _is(one, kind) for one in own):
            return f"{name} {_shown(own)}; allowed: a tuple of {kind.__name__}"
    for one in decision.fired:
        if not _is(one.side, Side):
            return f"a signal with the side {_shown(one.side)}; allowed: Side.LONG, Side.SHORT"
        if not _is_number(one.strength):
            return f"a signal with the strength {_shown(one.strength)}; allowed: a number"
    return None


def _is(value: object, kind: type) -> bool:
    return type(value) is kind


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and isfinite(value)


def _wrong_with_foreseen(answer: Any, rows: int) -> str | None:
    if not _is(answer, Foreseen):
        return f"{_shown(answer)}; allowed: a Foreseen"
    for name in ("asked", "counted"):
        own = getattr(answer, name)
        if not isinstance(own, Mapping) or not set(own) <= set(SIDES):
            return f"{name} {_shown(own)}; allowed: something for each of None, Side.LONG, Side.SHORT"
    for side in SIDES:
        if side not in answer.asked:
            return f"nothing in asked for {side}; allowed: answers for each of None, Side.LONG, Side.SHORT"
        counted = answer.counted.get(side, {})
        if not isinstance(counted, Mapping):
            return f"counted {_shown(counted)} for {side}; allowed: answers by name"
        columns = (("asked", answer.asked[side]), *counted.items())
        for name, column in columns:
            if not isinstance(column, np.ndarray) or column.dtype != bool:
                return f"{name} of {side} is {_kind_of(column)}; allowed: an array of bool"
            if column.shape != (rows,):
                return f"{name} of {side} has the shape {column.shape}; allowed: one answer for each of {rows} candles"
    return None


def _kind_of(column: object) -> str:
    return f"an array of {column.dtype}" if isinstance(column, np.ndarray) else _shown(column)
