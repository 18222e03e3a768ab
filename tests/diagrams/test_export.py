"""Every format says what the table says."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pygraphviz
import pytest

from anchorwatch.diagrams import export
from anchorwatch.diagrams.catalogue import MACHINES, NAMES, Machine, UnknownMachine
from anchorwatch.diagrams.picture import picture
from anchorwatch.diagrams.scxml import IMPOSSIBLE, NAMESPACE
from anchorwatch.diagrams.words import name_of
from anchorwatch.machine.kernel import Definition, Row, UnexpectedEvent, Verdict
from tests.diagrams.drawn import shown
from tests.machine.twins import Twin

each_machine = pytest.mark.parametrize("one", MACHINES, ids=NAMES)
SCXML = f"{{{NAMESPACE}}}"


# SCXML, read by a reader that knows nothing of ours and then run by its own rules.


class Chart:
    """The part of W3C SCXML that a flat chart needs: document order, conditions, targets, raised events."""

    def __init__(self, content: bytes) -> None:
        root = ET.fromstring(content)
        assert root.tag == f"{SCXML}scxml"
        assert (root.get("version"), root.get("datamodel")) == ("1.0", "ecmascript")
        self.initial = root.get("initial")
        self.variables = [data.get("id") for data in root.iter(f"{SCXML}data")]
        self.final = [state.get("id") for state in root.findall(f"{SCXML}final")]
        self.transitions: dict[str, list[ET.Element]] = {
            state.get("id", ""): state.findall(f"{SCXML}transition")
            for state in root.findall(f"{SCXML}state")
        }

    def take(self, state: str, event: str, true: set[str]) -> tuple[str, str, bool]:
        """Where it leads, what action it logs, and whether it raises an error."""
        for transition in self.transitions[state]:
            condition = transition.get("cond")
            if transition.get("event") == event and (condition is None or condition in true):
                actions = [
                    json.loads(log.get("expr", "")) for log in transition if log.get("label") == "action"
                ]
                raised = [one.get("event") for one in transition.findall(f"{SCXML}raise")]
                return transition.get("target", state), "".join(actions), IMPOSSIBLE in raised
        raise AssertionError(f"{event} in {state} is undecided")


@each_machine
def test_scxml_answers_every_event_in_every_state_as_the_table_does(one: Machine) -> None:
    chart = Chart(export.export(one.definition, "scxml"))
    assert chart.initial == one.definition.initial.state.name
    twin = Twin(one.definition)
    for before, event in twin.cases():
        if before.state.name in chart.final:
            continue
        original = dict(zip(twin.definition.rows, one.definition.rows, strict=True))
        rows = twin.definition.cell(before.state, type(event))
        true = {
            name_of(guard)
            for row in rows
            if row.when is not None and row.when(before.data, event)
            for guard in [original[row].when]
            if guard is not None
        }
        dest, action, raised = chart.take(before.state.name, type(event).__name__, true)
        try:
            after, _ = twin.definition.step(before, event)
        except UnexpectedEvent:
            assert raised, f"{type(event).__name__} in {before.state.name}"
            continue
        assert (dest, raised) == (after.state.name, False)
        marks = [one.definition.rows[mark].then for mark in after.data.marks]
        assert action == "".join(name_of(then) for then in marks if then is not None)


@each_machine
def test_scxml_declares_every_condition_that_it_asks(one: Machine) -> None:
    chart = Chart(export.export(one.definition, "scxml"))
    asked = {each.get("cond") for rows in chart.transitions.values() for each in rows} - {None}
    assert asked == set(chart.variables)


def test_scxml_leaves_a_final_state_without_transitions() -> None:
    chart = Chart(export.export(MACHINES[0].definition, "scxml"))
    assert chart.final == ["STOPPED"]


# The other formats.


@each_machine
def test_json_tells_every_row_with_its_verdict_and_reason(one: Machine) -> None:
    told = json.loads(export.export(one.definition, "json"))
    assert [state["name"] for state in told["states"]] == [state.name for state in one.definition.states]
    assert [event["name"] for event in told["events"]] == [event.__name__ for event in one.definition.events]
    rows = [
        (row["source"], row["event"], row["dest"], row["verdict"], row["because"]) for row in told["rows"]
    ]
    assert rows == [
        (row.source.name, row.event.__name__, row.dest.name, row.verdict.value, row.because)
        for row in one.definition.rows
    ]


@each_machine
def test_the_matrix_decides_every_cell_and_lists_every_reason_once(one: Machine) -> None:
    page = export.export(one.definition, "matrix").decode()
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(lines) == len(one.definition.events)
    for line in lines:
        cells = line.removesuffix(" |").split(" | ")[1:]
        assert len(cells) == len(one.definition.states)
        assert all(cell.strip() for cell in cells)
    reasons = dict.fromkeys(row.because for row in one.definition.rows if row.because)
    assert all(page.count(f". {reason}\n") == 1 for reason in reasons)


@each_machine
def test_dot_can_be_read_back_and_has_every_arrow(one: Machine) -> None:
    read = pygraphviz.AGraph(string=export.export(one.definition, "dot").decode())
    drawn = picture(one)
    states = {node.id for node in drawn.nodes}
    assert states <= set(read.nodes())
    assert len(read.edges()) == len(drawn.arrows) + 1  # and the one from the initial marker


@each_machine
def test_svg_shows_every_state_and_every_line_of_every_arrow(one: Machine) -> None:
    drawn = picture(one)
    found = {(kind, name): words for kind, name, words in shown(export.export(one.definition, "svg"))}
    for node in drawn.nodes:
        assert found["node", node.id] == (node.title, *node.inside)
    for arrow in drawn.arrows:
        words = tuple(word.strip() for word in found["edge", f"{arrow.source}..{arrow.dest}"])
        assert words == arrow.lines


@each_machine
def test_mermaid_declares_every_state_and_draws_every_arrow(one: Machine) -> None:
    lines = [line.strip() for line in export.export(one.definition, "mermaid").decode().splitlines()]
    drawn = picture(one)
    for node in drawn.nodes:
        assert f'state "{node.title}" as {node.id}' in lines
    arrows = [line.split(" : ")[0] for line in lines if " --> " in line and "[*]" not in line]
    assert sorted(arrows) == sorted(f"{arrow.source} --> {arrow.dest}" for arrow in drawn.arrows)
    assert f"[*] --> {drawn.initial}" in lines


def test_png_is_one() -> None:
    assert export.export(MACHINES[1].definition, "png").startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("form", ["svg", "dot", "mermaid", "scxml", "json", "matrix"])
def test_the_same_table_gives_the_same_bytes(form: str) -> None:
    for one in MACHINES:
        assert export.export(one.definition, form) == export.export(one.definition, form)


# Writing files.


def test_all_machines_and_the_overview_are_written_when_none_is_named(tmp_path: Path) -> None:
    written = export.write((), ("mermaid", "json"), tmp_path / "new" / "folder")
    expected = [f"{name}.mmd" for name in ("overview", *NAMES)] + [f"{name}.json" for name in NAMES]
    assert [path.name for path in written] == expected
    assert all(path.stat().st_size > 0 for path in written)


def test_only_what_is_named_is_written(tmp_path: Path) -> None:
    assert export.write(("order",), ("mermaid",), tmp_path) == [tmp_path / "order.mmd"]
    assert export.write(("overview",), ("mermaid", "json"), tmp_path) == [tmp_path / "overview.mmd"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["order.mmd", "overview.mmd"]


@pytest.mark.parametrize(
    ("names", "formats", "words"),
    [
        (("ordre",), ("svg",), "no machine is called 'ordre'; there are lifecycle, .*overview"),
        (("order",), ("mermaid", "gif"), "no format is called 'gif'; there are svg, png, dot, "),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_written(
    names: tuple[str, ...], formats: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        export.write(names, formats, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_not_in_the_catalogue_has_no_picture() -> None:
    known = MACHINES[0].definition
    other = Definition("stranger", known.initial, known.rows)
    with pytest.raises(UnknownMachine, match="'stranger' is not in the catalogue"):
        export.export(other, "svg")


def test_a_changed_row_changes_what_is_shown() -> None:
    one = MACHINES[1]
    rows = list(one.definition.rows)
    index = next(i for i, row in enumerate(rows) if row.verdict is Verdict.MOVES and row.when is None)
    row = rows[index]
    rows[index] = Row(row.source, row.event, row.dest, row.when, because=row.because)
    changed = Machine(
        Definition(one.name, one.definition.initial, rows),
        one.title,
        one.goal,
        one.path,
        one.trouble,
        one.boxes,
    )
    before, after = (shown(export.rendered(each, export.format_named("svg"))) for each in (one, changed))
    assert before != after
    assert [name for _, name, _ in before] == [name for _, name, _ in after]
