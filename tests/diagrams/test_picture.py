"""A picture leaves things out by rule; these tests put them back and compare with the table."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from itertools import pairwise

import pytest

import anchorwatch.machine
from anchorwatch.diagrams import draw
from anchorwatch.diagrams.catalogue import MACHINES, NAMES, Machine, UnknownMachine, machine, machines
from anchorwatch.diagrams.layout import HIDDEN_WEIGHT, collisions, collisions_in
from anchorwatch.diagrams.overview import overview
from anchorwatch.diagrams.picture import Frame, Gathering, Look, Picture, picture
from anchorwatch.diagrams.words import line, listed, spoken
from anchorwatch.machine import connection, lifecycle
from anchorwatch.machine.kernel import Definition, Verdict

each_machine = pytest.mark.parametrize("one", MACHINES, ids=NAMES)

Told = tuple[str, str, str]  # source, destination, what is written


def told_by(drawn: Picture) -> Counter[Told]:
    """Every row that the picture tells, its groups taken apart again."""
    groups: list[Frame | Gathering] = [*drawn.frames, *drawn.gatherings]
    members = {group.id: group.members for group in groups}
    told: Counter[Told] = Counter()
    for arrow in drawn.arrows:
        for source in members.get(arrow.source, (arrow.source,)):
            told.update((source, arrow.dest, text) for text in arrow.lines)
    for node in drawn.nodes:
        told.update((node.id, node.id, text) for text in node.inside)
    for group in groups:
        told.update((member, member, text) for member in group.members for text in group.inside)
    return told


def told_by_table(one: Machine) -> Counter[Told]:
    rows = [row for row in one.definition.rows if row.verdict is Verdict.MOVES]
    return Counter(
        (row.source.name, row.dest.name, line(row, one.definition.cell(row.source, row.event)))
        for row in rows
    )


@each_machine
def test_a_picture_tells_every_row_that_moves_once_and_nothing_else(one: Machine) -> None:
    assert told_by(picture(one)) == told_by_table(one)


@each_machine
def test_the_full_picture_tells_what_is_ignored_too_and_nothing_impossible(one: Machine) -> None:
    told = told_by(picture(one, everything=True))
    possible = [row for row in one.definition.rows if row.verdict is not Verdict.IMPOSSIBLE]
    assert sum(told.values()) == len(possible)
    assert told_by_table(one) <= told


@each_machine
def test_the_wanted_way_is_drawn_from_state_to_state(one: Machine) -> None:
    drawn = picture(one)
    frames = {frame.id: frame.members for frame in drawn.frames}
    bold = [
        (source, arrow.dest)
        for arrow in drawn.arrows
        if arrow.look is Look.PATH
        for source in frames.get(arrow.source, (arrow.source,))
    ]
    steps = [(source.name, dest.name) for source, dest in pairwise(one.path)]
    assert [step for step in steps if step not in bold] == []


@each_machine
def test_the_wanted_way_leads_from_the_initial_state_through_the_goal(one: Machine) -> None:
    assert one.path[0] is one.definition.initial.state
    assert one.goal in one.path
    assert not set(one.path) & set(one.trouble)


@each_machine
def test_no_words_hide_others(one: Machine) -> None:
    assert collisions(draw.graph(picture(one))) < HIDDEN_WEIGHT, (
        "a label lies over a label or a state: regroup it in the catalogue"
    )


def test_no_words_hide_others_in_the_overview() -> None:
    assert collisions(draw.graph(overview(MACHINES))) < HIDDEN_WEIGHT


def edge(label_x: float, curve: list[list[float]]) -> dict[str, object]:
    """An edge from node 0 to node 1 as Graphviz tells it: a label 40 points wide at height 50, and a curve."""
    text = [{"op": "F", "size": 10}, {"op": "T", "pt": [label_x, 50], "align": "l", "width": 40, "text": "x"}]
    return {"tail": 0, "head": 1, "_ldraw_": text, "_draw_": [{"op": "b", "points": curve}]}


@pytest.mark.parametrize(
    ("label_x", "curve", "expected"),
    [
        (100, [[0, 0], [0, 10], [0, 20], [0, 30]], 0),
        (20, [[0, 0], [0, 10], [0, 20], [0, 30]], HIDDEN_WEIGHT),
        (100, [[20, 0], [20, 40], [20, 60], [20, 100]], 1),
        (290, [[0, 0], [0, 10], [0, 20], [0, 30]], HIDDEN_WEIGHT),
    ],
    ids=["clear", "label over label", "line through label", "label over state"],
)
def test_collisions_are_counted(label_x: float, curve: list[list[float]], expected: int) -> None:
    first = edge(0, [[500, 0], [500, 10], [500, 20], [500, 30]])
    state = {"_gvid": 2, "pos": "300,55", "width": "1", "height": "0.5"}
    assert collisions_in({"objects": [state], "edges": [first, edge(label_x, curve)]}) == expected


def test_every_machine_there_is_is_in_the_catalogue() -> None:
    found = set()
    for module in pkgutil.iter_modules(anchorwatch.machine.__path__):
        loaded = importlib.import_module(f"anchorwatch.machine.{module.name}")
        found |= {value.name for value in vars(loaded).values() if isinstance(value, Definition)}
    assert found == set(NAMES)


def test_what_ten_states_answer_alike_is_one_arrow() -> None:
    drawn = picture(machine("lifecycle"))
    stops = [arrow.source for arrow in drawn.arrows if arrow.dest == "STOPPING"]
    assert len(stops) == 3  # READY, the early stages, and one label for all others
    assert "any state but READY and STOPPING" in [gathering.title for gathering in drawn.gatherings]


def test_final_states_and_only_those_are_marked() -> None:
    assert machine("lifecycle").final == (lifecycle.S.STOPPED,)
    assert machine("connection").final == (connection.S.CLOSED,)
    assert machine("permission").final == ()


def test_names_read_as_words() -> None:
    assert spoken(connection.may_retry) == "may retry"
    assert spoken(lifecycle.wait_to_retry(lifecycle.S.SYNC)) == "wait to retry"
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], last="or")] == [
        "a",
        "a and b",
        "a, b or c",
    ]


def test_a_machine_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UnknownMachine, match="'conection'; there are lifecycle, "):
        machine("conection")


def test_machines_come_once_and_in_the_order_of_the_catalogue() -> None:
    assert [one.name for one in machines(("order", "lifecycle", "order"))] == ["lifecycle", "order"]
    assert machines() == MACHINES
