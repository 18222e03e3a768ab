"""Whether what a run logged is what the tables say, and how often each of their cells was used.

A run is a sequence of *moves*: the transition lines of a log (``--log-format json``), the moves of a tape, or
a count of rows by a test run. Each must be a row of its machine's table, and each must begin where the last one
of the same machine ended.

What a log cannot show is what stayed: a row that leads back into its own state is no transition. A count of
rows (`counted`) has them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from anchorwatch.diagrams.catalogue import MACHINES, Machine
from anchorwatch.diagrams.words import name_of
from anchorwatch.machine.kernel import Row, Verdict
from anchorwatch.machine.lifecycle import LIFECYCLE

TRANSITION = "transition"
COUNTED = "rows"


class Answer(msgspec.Struct, frozen=True, order=True):
    """One answer of a table: in ``source``, on ``trigger``, when ``guard`` allows it (empty: always), to ``dest``."""

    machine: str
    source: str
    trigger: str
    dest: str
    guard: str = ""


class NotARun(ValueError):
    """The file holds neither transition lines nor counted rows; the text says which."""


def answer_of(machine: str, row: Row) -> Answer:
    guard = name_of(row.when) if row.when is not None else ""
    return Answer(machine, row.source.name, row.event.__name__, row.dest.name, guard)


def _logged(move: Mapping[str, Any]) -> Answer:
    """What a log says of an answer: everything but its guard."""
    return Answer(*(str(move.get(field)) for field in ("machine", "source", "trigger", "dest")))


def _moving(machines: Iterable[Machine]) -> dict[Answer, tuple[Answer, ...]]:
    """What a log says of each row that moves, and the rows that it may be."""
    found: dict[Answer, tuple[Answer, ...]] = {}
    for machine in machines:
        for row in machine.definition.rows:
            if row.verdict is Verdict.MOVES:
                answer = answer_of(machine.name, row)
                logged = msgspec.structs.replace(answer, guard="")
                found[logged] = (*found.get(logged, ()), answer)
    return found


_MOVING = _moving(MACHINES)


def moves_in(lines: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The transitions among the lines of a log."""
    return (line for line in lines if line.get("event") == TRANSITION)


def strays(moves: Iterable[Mapping[str, Any]]) -> list[str]:
    """What no table explains, one line each: a move that is no row, or one that begins elsewhere than the last ended.

    A log may hold several lives, one after the other: each begins with the lifecycle's first state.
    """
    stands: dict[tuple[str, str], str] = {}
    born = LIFECYCLE.initial.state.name
    found = []
    for number, move in enumerate(moves, 1):
        logged = _logged(move)
        where = (logged.machine, str(move.get("id")))
        if logged.machine == LIFECYCLE.name and logged.source == born:
            stands.clear()
        told = (
            f"move {number}: {logged.machine} {where[1]}: {logged.source} → {logged.dest} on {logged.trigger}"
        )
        if logged not in _MOVING:
            found.append(f"{told} is no row of the table")
        elif stands.get(where, logged.source) != logged.source:
            found.append(f"{told}, but it stood in {stands[where]}")
        stands[where] = logged.dest
    return found


def counted(moves: Iterable[Mapping[str, Any]]) -> Counter[Answer]:
    """How often each answer was given. A counted row brings its ``guard`` and its ``count``.

    A log knows no guards: where several rows of a cell lead to the same state, the first of them is counted.
    """
    hits: Counter[Answer] = Counter()
    for move in moves:
        logged = _logged(move)
        if "guard" in move:
            hits[msgspec.structs.replace(logged, guard=str(move["guard"]))] += int(move.get("count", 1))
        else:
            hits[_MOVING.get(logged, (logged,))[0]] += 1
    return hits


def as_rows(hits: Mapping[Answer, int]) -> dict[str, Any]:
    """Counted answers as plain data, for a file that `read_moves` reads."""
    return {COUNTED: [{**msgspec.structs.asdict(one), "count": hits[one]} for one in sorted(hits)]}


def read_moves(text: str) -> list[Mapping[str, Any]]:
    """The moves of a file: a log's JSON lines, or counted rows. Raises `NotARun`."""
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    if isinstance(whole, dict) and isinstance(whole.get(COUNTED), list):
        moves: list[Mapping[str, Any]] = [row for row in whole[COUNTED] if isinstance(row, dict)]
    else:
        moves = list(moves_in(_lines(text)))
    if not moves:
        raise NotARun("neither transition lines (--log-format json) nor counted rows are in it")
    return moves


def _lines(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        try:
            read = json.loads(line)
        except ValueError:
            continue  # a run in text format, a traceback between two lines: no transition
        if isinstance(read, dict):
            yield read
