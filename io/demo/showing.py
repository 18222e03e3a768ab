"""How a demonstration is shown: sentences and two tables, on a terminal or as plain text."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from rich import box
from rich.console import Console
from rich.table import Table

from anchorwatch.io.demo.processes import Line
from anchorwatch.io.durations import clock_words
from anchorwatch.machine.units import LegKey, Side
from anchorwatch.machine.world import StopReport

PLAIN_WIDTH = 110
"""Where the width of a screen is unknown, no column of the tables is folded at this one."""

MEANINGS = {
    "AFTER_CRASH": "the last life did not end in order",
    "RESTORED": "known from the journal, and still there: entry time, peak and stop level are given back",
    "DRIFT_ADD": "on the exchange, not in the journal: adopted",
    "DRIFT_ADD_TSL_CREATED": "and it has a stop now",
    "DRIFT_REMOVE": "in the journal, not on the exchange: removed, once the exchange has said why",
    "EXIT": "its result is booked",
}
"""What each line of the report means, for somebody who reads it for the first time."""


class Shown(Protocol):
    """One position with its stop."""

    @property
    def leg(self) -> LegKey: ...

    @property
    def contracts(self) -> Decimal: ...

    @property
    def opened_ms(self) -> int: ...

    @property
    def stop(self) -> StopReport | None: ...


class Show:
    """Writes to ``console``; to one that is no terminal without lines and colours."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]\n", highlight=False)

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def compared(self, before: Mapping[LegKey, Shown], after: Mapping[LegKey, Shown]) -> None:
        """Each position in one line: contracts and stop level before and after, entry time, and what became of it."""
        table = self._table(
            "position", "contracts:\nbefore", "\nafter", "stop at:\nbefore", "\nafter", "entered (UTC)", ""
        )
        for leg in {**before, **after}:
            was, now = before.get(leg), after.get(leg)
            sizes, levels = (_size(was), _size(now)), (_level(was), _level(now))
            table.add_row(str(leg), *sizes, *levels, _entered(was, now), _change(leg, was, now))
        self._console.print()
        self._console.print(table)

    def drifts(self, lines: Sequence[Line]) -> None:
        """The bot's own words about what it found, each with its meaning the first time."""
        table = self._table("the bot's log", "", "")
        explained: set[str] = set()
        for line in lines:
            name = line["event"]
            meaning = "" if name in explained else MEANINGS.get(name, "")
            explained.add(name)
            table.add_row(name, _fields(line), meaning)
        self._console.print()
        self._console.print(table)
        self._console.print()

    def _table(self, *headings: str) -> Table:
        lines = box.SIMPLE_HEAD if self._console.is_terminal else None
        table = Table(box=lines, pad_edge=False, header_style="bold")
        for heading in headings:
            table.add_column(heading)
        return table


def _size(one: Shown | None) -> str:
    return "–" if one is None else f"{one.contracts.normalize():f}"


def _level(one: Shown | None) -> str:
    if one is None:
        return "–"
    return "none" if one.stop is None else f"{one.stop.trigger}"


def _entered(was: Shown | None, now: Shown | None) -> str:
    """The entry time, which a restart does not change; both, should it have."""
    times = dict.fromkeys(clock_words(one.opened_ms) for one in (was, now) if one is not None)
    return " became ".join(times)


def _change(leg: LegKey, was: Shown | None, now: Shown | None) -> str:
    if was is None:
        return "opened meanwhile, and protected"
    if now is None:
        return "closed meanwhile"
    if was.stop is None or now.stop is None or was.stop.trigger is None or now.stop.trigger is None:
        return ""
    same = "the same stop" if was.stop.client_id == now.stop.client_id else "another stop"
    tighter_by = leg.side.sign * (now.stop.trigger - was.stop.trigger)
    if tighter_by == 0:
        return same
    towards = "higher" if (leg.side is Side.LONG) is (tighter_by > 0) else "lower"
    return f"{same}, {abs(tighter_by):f} {towards}" + ("" if tighter_by > 0 else ": looser!")


def _fields(line: Line) -> str:
    names = ("leg", "contracts", "ours", "theirs", "peak", "stop", "cause", "pnl", "remembered")
    return "  ".join(f"{name}={line[name]}" for name in names if name in line)


class _Screen(Console):
    """A console whose reader may leave before the end: what was started is still stopped in order."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        # Nor does the interpreter complain of the closed pipe on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console() -> Console:
    """The console of this process's standard output, in plain text where that is no terminal."""
    screen = _Screen(highlight=False)
    return screen if screen.is_terminal else _Screen(width=PLAIN_WIDTH, highlight=False, no_color=True)
