"""How the names in a table read on an arrow."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from anchorwatch.machine.kernel import Row, State, Verdict

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def name_of(call: Callable[..., Any]) -> str:
    """The name of a guard or an action: a function's own, or the class of one that holds data."""
    named = getattr(call, "__name__", None)
    return named if isinstance(named, str) else type(call).__name__


def spoken(call: Callable[..., Any]) -> str:
    """The same in plain words: ``may_retry`` is "may retry", ``WaitToRetry`` is "wait to retry"."""
    return _WORD_START.sub(" ", name_of(call)).replace("_", " ").lower()


def guard_of(row: Row, cell: Sequence[Row]) -> str:
    """What must hold for this row, in words: "else" below a row that leads elsewhere, or nothing.

    A guarded row that is merely ignored (a stale report) is not worth an "else" on
    every other arrow.
    """
    if row.when is not None:
        return spoken(row.when)
    above = cell[: list(cell).index(row)]
    return "else" if any(other.verdict is Verdict.MOVES for other in above) else ""


def line(row: Row, cell: Sequence[Row]) -> str:
    """``Event [guard] / action``."""
    guard = guard_of(row, cell)
    asked = f" [{guard}]" if guard else ""
    done = f" / {spoken(row.then)}" if row.then is not None else ""
    return f"{row.event.__name__}{asked}{done}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def title(state: State) -> str:
    """The state as the bot writes it in its log."""
    return str(state.value)
