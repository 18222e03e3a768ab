"""From a table to what is drawn: plain data, before any layout.

Theory of operation
===================

A table has hundreds of rows and a picture room for thirty arrows. Four rules bring
the one to the other, and none of them knows a machine:

* Rows that are ignored or impossible are not drawn; the matrix page has them.
* Rows from one state to another share one arrow, with a line each.
* A row that stays where it is is written into the state, as UML does with internal
  transitions: loops are what makes such pictures unreadable.
* What many states answer alike is drawn once: from their box where the catalogue
  declares one, else from a label that names them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise

import msgspec

from anchorwatch.diagrams.catalogue import Box, Machine
from anchorwatch.diagrams.words import line, listed, title
from anchorwatch.machine.kernel import State, Verdict

GATHERED_MIN = 4
"""So many states that answer alike share one arrow: three arrows can still be followed by eye."""

EXCEPTIONS_MAX = 3
"""A label says "any state but …" up to so many exceptions, and lists the states beyond."""


class Look(Enum):
    PLAIN = "plain"
    PATH = "path"
    GOAL = "goal"
    TROUBLE = "trouble"


class Node(msgspec.Struct, frozen=True):
    """A state. ``inside`` are the lines of events that do not leave it."""

    id: str
    title: str
    look: Look
    is_final: bool
    inside: tuple[str, ...] = ()


class Frame(msgspec.Struct, frozen=True):
    """A box around states. ``inside`` holds for each of them; ``within`` is the frame around it, if any."""

    id: str
    title: str
    members: tuple[str, ...]
    inside: tuple[str, ...] = ()
    remark: str = ""
    within: str = ""


class Gathering(msgspec.Struct, frozen=True):
    """A label that stands for several states. ``inside`` holds for each of them."""

    id: str
    title: str
    members: tuple[str, ...]
    inside: tuple[str, ...] = ()


class Arrow(msgspec.Struct, frozen=True):
    """``source`` is the id of a node, a frame or a gathering; ``dest`` that of a node."""

    source: str
    dest: str
    lines: tuple[str, ...]
    look: Look


class Picture(msgspec.Struct, frozen=True):
    """All that is drawn. ``initial`` is empty where nothing begins; ``direction`` is TB or LR."""

    name: str
    title: str
    caption: str
    initial: str
    nodes: tuple[Node, ...]
    frames: tuple[Frame, ...]
    gatherings: tuple[Gathering, ...]
    arrows: tuple[Arrow, ...]
    direction: str = "TB"


CAPTION = "blue: the wanted way · green: where it should be · red: trouble · double line: the end"

Sources = tuple[State, ...]
Target = State | None  # None: each source itself


def picture(machine: Machine, everything: bool = False) -> Picture:
    """What is drawn of a machine; with ``everything``, also what it ignores (what is impossible never is)."""
    rows = _alike(machine, everything)
    inside: dict[str, list[str]] = {}
    arrows: dict[tuple[str, str], list[str]] = {}
    gatherings: dict[str, Gathering] = {}
    for (target, text), sources in rows.items():
        for source in _drawn_from(machine, sources, target, gatherings):
            if target is None:
                inside.setdefault(source, []).append(text)
            else:
                arrows.setdefault((source, target.name), []).append(text)
    return Picture(
        name=machine.name,
        title=machine.title,
        caption=CAPTION,
        initial=machine.definition.initial.state.name,
        nodes=tuple(
            Node(
                state.name,
                title(state),
                _look(machine, state),
                state in machine.final,
                tuple(inside.get(state.name, ())),
            )
            for state in machine.definition.states
        ),
        frames=tuple(
            Frame(
                _frame_id(box),
                box.title,
                _ids(box.states),
                tuple(inside.get(_frame_id(box), ())),
                box.remark,
                _around(machine, box),
            )
            for box in machine.boxes
            if box.framed
        ),
        gatherings=tuple(
            msgspec.structs.replace(gathering, inside=tuple(inside.get(gathering.id, ())))
            for gathering in gatherings.values()
        ),
        arrows=tuple(
            Arrow(source, dest, tuple(lines), _arrow_look(machine, source, dest))
            for (source, dest), lines in arrows.items()
        ),
    )


def _alike(machine: Machine, everything: bool) -> dict[tuple[Target, str], Sources]:
    """Which states have the same line to the same end, in the order of the table."""
    alike: dict[tuple[Target, str], Sources] = {}
    for row in machine.definition.rows:
        if row.verdict is Verdict.IMPOSSIBLE or (row.verdict is Verdict.IGNORED and not everything):
            continue
        text = line(row, machine.definition.cell(row.source, row.event))
        if row.verdict is Verdict.IGNORED:
            text = f"{text} / ignored: {row.because}"
        target = None if row.dest is row.source else row.dest
        alike[target, text] = (*alike.get((target, text), ()), row.source)
    return alike


def _drawn_from(
    machine: Machine, sources: Sources, target: Target, gatherings: dict[str, Gathering]
) -> list[str]:
    """The ids from which a line of these states is drawn; adds the gathering that it needs."""
    boxes = _filled_boxes(machine, sources)
    rest = [state for state in sources if not any(state in box.states for box in boxes)]
    labelled = any(not box.framed for box in boxes)
    if not labelled and len(boxes) + len(rest) < GATHERED_MIN:
        return [*(_frame_id(box) for box in boxes), *_ids(rest)]
    # The wanted way is never hidden in a gathering: a reader follows it with a finger.
    apart = [state for state in rest if target and _is_on_path(machine, state.name, target.name)]
    gathered = [state for state in sources if state not in apart]
    called = _gathered_title(machine, boxes, [state for state in rest if state not in apart])
    gathering = Gathering(f"from_{_slug(called)}", called, _ids(gathered))
    return [*_ids(apart), gatherings.setdefault(gathering.id, gathering).id]


def _filled_boxes(machine: Machine, sources: Sources) -> list[Box]:
    """The largest boxes all of whose states are among ``sources``."""
    filled = [box for box in machine.boxes if set(box.states) <= set(sources)]
    return [box for box in filled if not any(set(box.states) < set(other.states) for other in filled)]


def _gathered_title(machine: Machine, boxes: Sequence[Box], rest: Sequence[State]) -> str:
    told = [*rest, *(state for box in boxes for state in box.states)]
    others = [title(state) for state in machine.definition.states if state not in (*told, *machine.final)]
    if len(others) > EXCEPTIONS_MAX:
        return listed([*(title(state) for state in rest), *(box.title for box in boxes)], last="or")
    # An ended machine is not what a reader thinks of as "any state", so it is named where it is meant.
    ended = [title(state) for state in machine.final if state in told]
    but = f" but {listed(others)}" if others else ""
    return f"any state{but}" + (f", {listed(ended)} too" if ended else "")


def _around(machine: Machine, box: Box) -> str:
    around = [other for other in machine.boxes if other.framed and set(box.states) < set(other.states)]
    return _frame_id(around[-1]) if around else ""


def _look(machine: Machine, state: State) -> Look:
    if state in machine.trouble:
        return Look.TROUBLE
    if state is machine.goal:
        return Look.GOAL
    return Look.PATH if state in machine.path else Look.PLAIN


def _is_on_path(machine: Machine, source: str, dest: str) -> bool:
    path = _ids(machine.path)
    return (source, dest) in pairwise(path)


def _arrow_look(machine: Machine, source: str, dest: str) -> Look:
    members = {_frame_id(box): _ids(box.states) for box in machine.boxes}.get(source, (source,))
    if any(_is_on_path(machine, member, dest) for member in members):
        return Look.PATH
    return Look.TROUBLE if dest in _ids(machine.trouble) else Look.PLAIN


def _ids(states: Sequence[State]) -> tuple[str, ...]:
    return tuple(state.name for state in states)


def _frame_id(box: Box) -> str:
    return f"in_{_slug(box.title)}"


def _slug(words: str) -> str:
    """An id that every format takes; states are upper case, so it is never one of theirs."""
    return re.sub(r"\W+", "_", words).lower()
