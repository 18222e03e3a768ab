"""The user's document is told in its own words, and a line is ticked only by what ran and held."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anchorwatch.diagrams.check.liveness import PROMISES
from anchorwatch.diagrams.check.properties import ACTIONS, PROPERTIES
from anchorwatch.io.commands.coverage import covered
from anchorwatch.io.commands.coverage import page as cells
from anchorwatch.io.verify.document import document, lines_named
from anchorwatch.io.verify.evidence import Judged, Piece, Result, Status, Wanted, judged, table
from anchorwatch.io.verify.page import page
from anchorwatch.io.verify.proof import EXIT_FAILED, EXIT_PROVEN, EXIT_UNPROVEN, Proof, Surroundings, sources
from anchorwatch.io.verify.sources import Check, Simulation, StoryRuns, SweptKills
from anchorwatch.io.verify.text import text

ROOT = Path(__file__).parents[2]
TEXTS = Path(os.environ.get("ANCHORWATCH_DATA", ROOT.parent / "shared" / "data")).parent
WITHIN_S = 600  # seconds' work; beyond this it hangs, however busy the host
NODE = re.compile(r"^tests/\S+\.py::.+$", re.MULTILINE)


@pytest.fixture(scope="module")
def collected() -> list[str]:
    """Every test of tests/mission and of the files that the table names, by its id."""
    named = sorted({name.split("::")[0] for wanted in table().lines.values() for name in wanted.tests})
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/mission", *named]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=WITHIN_S)
    return NODE.findall(done.stdout)


# The document.


def test_every_line_of_the_document_is_there_in_its_order() -> None:
    counts = {"R1": 11, "R2": 4, "R3": 3, "R4": 3, "R5": 1, "R6": 5, "R7": 4, "R8": 3, "R9": 7, "R10": 7}
    expected = [f"{section}.{number}" for section, count in counts.items() for number in range(1, count + 1)]
    assert list(document().ids()) == [*expected, *(f"P{number}" for number in range(1, 23))]


def test_what_the_closing_lists_rest_on_are_lines_of_the_document() -> None:
    named = {id for summary in document().summaries for point in summary.points for id in point.lines}
    assert named <= set(document().ids())


@pytest.mark.data
@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_line_is_in_the_words_in_which_it_was_given(language: str) -> None:
    files = ["mission.ru.md"] if language == "ru" else ["mission.md", "peers.md"]
    if not all((TEXTS / name).exists() for name in files):
        pytest.skip(f"{', '.join(files)} are not beside the recorded data")
    given = " ".join(" ".join((TEXTS / name).read_text(encoding="utf-8") for name in files).split())
    for section in document().sections:
        for line in section.lines:
            if language == "en":
                assert line.en.rstrip(".") in given, line.id
            elif section.id != "P":
                assert [part for part in line.ru if part not in given] == [], line.id
        if language == "ru" and section.id != "P":
            assert f"{section.id.removeprefix('R')}. ✅ {section.ru}" in given
            assert section.verdict_ru in given
    if language == "ru":
        for summary in document().summaries:
            assert summary.ru in given
            assert [point.ru for point in summary.points if f"- [x] {point.ru}" not in given] == []


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("tests/mission/test_r6.py::test_r6_2_the_waits_are_5_10", ["R6.2"]),
        ("test_r1_8_and_r1_9_a_reading_that_fails", ["R1.8", "R1.9"]),
        ("test_r10_4_to_r10_6_public_then_private", ["R10.4", "R10.5", "R10.6"]),
        ("test_r9_each_is_checked_per_symbol[r9_3]", ["R9", "R9.3"]),
        ("test_r1_11_a_signal", ["R1.11"]),
        ("test_r1_1_a_module", ["R1.1"]),
        ("test_p3_and_p4_an_order[long]", ["P3", "P4"]),
        ("test_p13_nothing_is_subscribed", ["P13"]),
        ("test_r10_the_seven_steps", ["R10"]),
        ("test_watch_sends_nothing", []),
        ("tests/mission/test_pains_p12_p22.py::test_a_hand", []),
    ],
)
def test_a_tests_name_tells_its_lines(name: str, ids: list[str]) -> None:
    assert sorted(lines_named(name)) == sorted(ids)


# The table of evidence.


def test_every_line_has_a_test_of_its_own_or_says_why_not(collected: list[str]) -> None:
    mission = [name for name in collected if name.startswith("tests/mission/")]
    shown = {id for name in mission for id in lines_named(name)}
    bare = [id for id in document().ids() if id not in shown and not table().of(id).without_a_test]
    assert bare == []


def test_the_table_names_only_tests_properties_and_lines_that_exist(collected: list[str]) -> None:
    properties = {*ACTIONS, *(one.id for one in PROPERTIES), *(one.id for one in PROMISES)}
    known = (*document().ids(), *(section.id for section in document().sections))
    for id, wanted in table().lines.items():
        assert id in known
        missing = [name for name in wanted.tests if not any(test.startswith(name) for test in collected)]
        assert (id, missing) == (id, [])
        assert (id, set(wanted.check) - properties) == (id, set())


# Judging.


def piece(result: Result, **more: Any) -> Piece:
    return Piece(kind="tests of the line", command="python -m pytest", result=result, **more)


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([], Status.UNPROVEN),
        ([Result.PASSED], Status.PROVEN),
        ([Result.PASSED, Result.LEFT_OUT], Status.PROVEN),
        ([Result.LEFT_OUT], Status.UNPROVEN),
        ([Result.PASSED, Result.MISSING], Status.UNPROVEN),
        ([Result.PASSED, Result.GAP], Status.UNPROVEN),
        ([Result.PASSED, Result.GAP, Result.FAILED], Status.FAILED),
    ],
)
def test_a_line_is_as_good_as_the_worst_that_is_known_of_it(results: list[Result], status: Status) -> None:
    assert judged("R1.1", tuple(map(piece, results))).status is status


def a_proof(**results: Result) -> Proof:
    """Every line proven, but these (`R1_2` is R1.2)."""
    given = {name.replace("_", "."): result for name, result in results.items()}
    lines = {id: judged(id, (piece(given.get(id, Result.PASSED)),)) for id in document().ids()}
    sections = {
        section.id: Judged(
            section.id, max((lines[one.id].status for one in section.lines), key=WORST.index), ()
        )
        for section in document().sections
    }
    return Proof(
        document(), lines, sections, Surroundings("0", "abc", "a machine", "2026-01-01T00:00", 1.0, False), ()
    )


WORST = [Status.PROVEN, Status.UNPROVEN, Status.FAILED]


@pytest.mark.parametrize(
    ("result", "code", "mark"),
    [(Result.PASSED, EXIT_PROVEN, "✓"), (Result.GAP, EXIT_UNPROVEN, "○"), (Result.FAILED, EXIT_FAILED, "✕")],
)
def test_the_exit_code_and_every_form_of_the_document_tell_what_is_not_green(
    result: Result, code: int, mark: str
) -> None:
    proof = a_proof(R6_2=result)
    assert proof.exit_code == code
    assert f"{mark} R6.2" in text(proof, "en")
    status = {"✓": "proven", "○": "unproven", "✕": "failed"}[mark]
    [line] = [line for line in proof.as_mapping("ru")["lines"] if line["id"] == "R6.2"]
    assert (line["status"], line["text"]) == (
        status,
        "Используется exponential backoff (5, 10, 20, 40... max 300 сек)",
    )
    shown = page(proof, "ru").decode()
    assert f"<details class={status} id='line-R6.2'>" in shown
    # The user's own sentence stands under a section only when the whole section is proven.
    assert ("ПРАВИЛЬНО — WebSocket переподключается" in shown) == (result is Result.PASSED)
    assert f"<li class={status}><i>{mark}</i><span>Exponential backoff работает" in shown


def test_the_page_needs_nothing_but_itself() -> None:
    for language in ("en", "ru"):
        shown = page(a_proof(), language).decode()
        assert re.findall(r"(?:src|href)='(?!#)", shown) == []
        assert "://" not in shown


def test_the_proof_says_how_many_of_the_cells_answered_in_its_runs_and_names_the_others() -> None:
    filled = {"machine": "order", "source": "SENT", "trigger": "OrderFilled", "dest": "FILLED", "guard": ""}
    moved = {"machine": "order", "source": "SENT", "trigger": "OrderRefused", "dest": "REFUSED", "guard": ""}
    rows = ({**filled, "count": 2}, {**moved, "count": 1}, {**filled, "count": 5})
    proof = covered(msgspec.structs.replace(a_proof(), rows=rows))
    told = proof.as_mapping("en")["coverage"]
    assert told["answered"] == told["machines"]["order"]["answered"] == 2
    assert told["of"] == sum(one["of"] for one in told["machines"].values()) > 500
    assert len(told["never"]) == told["of"] - 2
    assert "order: OrderFilled in LIVE" in told["never"]
    assert "order: OrderFilled in SENT" not in told["never"]
    words = f"2 / {told['of']:,} (0."
    assert words in page(proof, "ru").decode()
    assert words in text(proof, "en")
    assert "<b>2 of the" in cells(proof).decode()


def test_what_answers_in_the_exhaustive_check_alone_counts_and_is_told_apart() -> None:
    lived = {
        "machine": "order",
        "source": "SENT",
        "trigger": "OrderFilled",
        "dest": "FILLED",
        "guard": "",
        "count": 2,
    }
    explored = {**lived, "source": "LIVE"}
    proof = covered(msgspec.structs.replace(a_proof(), rows=(lived,), explored=(lived, explored)))
    told = proof.as_mapping("en")["coverage"]
    assert (told["answered"], told["lived"]) == (2, 1)
    assert told["machines"]["order"]["lived"] == 1
    assert "order: OrderFilled in LIVE" not in told["never"]
    shown = cells(proof).decode()
    assert "1 of them in runs of the whole bot, the others in the exhaustive check alone" in shown
    assert "class='seen'" in shown.split("<section", 1)[1]


# Sources.


def test_the_tests_of_one_line_are_run_and_told_with_the_faults_that_struck(tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    argv = [sys.executable, "-m", "pytest", "-q", "tests/mission", "--line", "P1", "--evidence", str(file)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert done.returncode == 0, done.stdout
    source = StoryRuns(ROOT)
    source.take(file.read_text())
    [shown] = source.pieces("P1", Wanted())
    assert shown.result is Result.PASSED
    assert shown.runs == len(shown.details) > 0
    assert sum(shown.faults.values()) > 0
    assert shown.virtual_seconds > 0
    assert source.pieces("R1.1", Wanted()) == []
    assert source.rows


def outcome(name: str, came: str, reason: str = "") -> dict[str, Any]:
    return {"id": f"tests/mission/test_x.py::{name}", "outcome": came, "reason": reason, "seconds": 1.0}


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        (["passed", "skipped"], Result.PASSED),
        (["skipped"], Result.MISSING),
        (["passed", "xfailed"], Result.GAP),
        (["passed", "xfailed", "failed"], Result.FAILED),
    ],
)
def test_a_skipped_test_shows_nothing_and_an_expected_failure_is_a_gap(
    outcomes: list[str], result: Result
) -> None:
    source = StoryRuns(ROOT)
    source.take_tests([outcome(f"test_r6_2_{number}", came) for number, came in enumerate(outcomes)])
    [shown] = source.pieces("R6.2", Wanted())
    assert shown.result is result
    assert shown.runs == len(outcomes) - outcomes.count("skipped")


def a_check(**holds: bool) -> dict[str, Any]:
    return {
        "configs": [{"name": "life", "states": 10, "complete": True}],
        "states": 10,
        "seconds": 0.5,
        "properties": [
            {"name": name, "words": "w", "holds": held, "witness": True, "planted_defect_caught": True}
            for name, held in holds.items()
        ],
    }


def test_a_broken_property_fails_the_lines_that_rest_on_it_and_no_other() -> None:
    check = Check(ROOT, thorough=False)
    check.report = a_check(S1=False, S6=True)
    assert [one.result for one in check.pieces("R9.7", Wanted(check=("S1", "S6")))] == [Result.FAILED]
    assert [one.result for one in check.pieces("R2.1", Wanted(check=("S6",)))] == [Result.PASSED]
    assert check.pieces("R8.1", Wanted()) == []


def test_a_property_that_the_check_does_not_know_or_a_world_that_was_cut_shows_nothing() -> None:
    check = Check(ROOT, thorough=False)
    check.report = a_check(S6=True)
    assert [one.result for one in check.pieces("R1.4", Wanted(check=("L2",)))] == [Result.MISSING]
    check.report["properties"][0]["witness"] = False
    assert [one.result for one in check.pieces("R2.1", Wanted(check=("S6",)))] == [Result.MISSING]
    check.report = a_check(S6=True)
    check.report["configs"][0]["complete"] = False
    assert [one.result for one in check.pieces("R2.1", Wanted(check=("S6",)))] == [Result.MISSING]


def test_a_line_rests_on_the_single_edits_that_its_contracts_notice_and_on_none_going_unnoticed() -> None:
    check = Check(ROOT, thorough=False)
    edit = {"machine": "order", "edit": "LIVE, Filled: is deleted", "reason": ""}
    check.report = a_check(S6=True) | {"mutants": {"by_name": {"S6": 3, "R3.2": 44}, "survivors": []}}
    [explored, edited] = check.pieces("R3.2", Wanted(check=("S6",)))
    assert "3 single edits" in explored.details[0][1]
    assert (edited.result, edited.runs) == (Result.PASSED, 44)
    assert check.pieces("R8.1", Wanted()) == []
    check.report["mutants"]["survivors"] = [edit]
    [edited] = check.pieces("R3.2", Wanted())
    assert (edited.result, edited.details[0][0]) == (Result.FAILED, edit["edit"])
    check.report["mutants"]["survivors"] = [edit | {"reason": "harms nobody"}]
    assert [one.result for one in check.pieces("R3.2", Wanted())] == [Result.PASSED]


def test_a_simulation_tells_its_seeds_and_faults_and_a_violation_with_its_replay() -> None:
    simulation = Simulation(ROOT, 2)
    simulation.report = {
        "seeds": 2,
        "violations": [],
        "faults": {"reset": 3, "never": 0},
        "cpu_seconds": 1.5,
        "virtual_seconds": 1200.0,
        "floors": {"least_struck": 21, "least_in_flight": 6, "met": True, "short": []},
        "digests": {"1": "a", "2": "b"},
    }
    [shown] = simulation.pieces("P2", Wanted(simulate=True))
    assert (shown.result, shown.runs, shown.seeds, shown.faults) == (Result.PASSED, 2, "1…2", {"reset": 3})
    assert shown.details[1] == (
        "each kind of fault struck at least", "21 times, 6 while a write was in flight"
    )  # fmt: skip
    simulation.report["violations"] = [
        {"seed": 2, "property": "S6", "replay": "anchorwatch simulate --seed 2"}
    ]
    [shown] = simulation.pieces("P2", Wanted(simulate=True))
    assert (shown.result, shown.details) == (
        Result.FAILED,
        (("seed 2: S6", "anchorwatch simulate --seed 2"),),
    )


@pytest.mark.parametrize(("recovered", "result"), [(7, Result.PASSED), (6, Result.FAILED)])
def test_a_sweep_holds_only_when_every_kill_was_recovered_from(recovered: int, result: Result) -> None:
    sweep = SweptKills(ROOT)
    one = {"scenario": "entry", "points": 7, "recovered": recovered, "torn": 2}
    sweep.report = {"points": 7, "recovered": recovered, "sweeps": [one], "steps_agree": True}
    [shown] = sweep.pieces("P9", Wanted(crashes=True))
    assert (shown.result, shown.runs, shown.faults) == (result, 7, {"killed": 7, "torn write": 2})
    assert sweep.pieces("P9", Wanted()) == []


def test_a_sampled_sweep_says_that_it_is_one() -> None:
    sweep = SweptKills(ROOT, every=7)
    one = {"scenario": "entry", "points": 5, "recovered": 5, "torn": 1}
    sweep.report = {"points": 5, "recovered": 5, "sweeps": [one], "steps_agree": True}
    [shown] = sweep.pieces("P9", Wanted(crashes=True))
    assert shown.command == "anchorwatch simulate --sweep --every 7"
    assert shown.details == (("entry, one entry in 7", "held: 5 of 5"),)
    assert [type(one) for one in sources(ROOT, quick=True, seeds=1)].count(SweptKills) == 1


def test_a_command_that_is_not_there_leaves_its_lines_unproven() -> None:
    simulation = Simulation(ROOT, 1)
    simulation.why_not = "it could not be run"
    [shown] = simulation.pieces("P2", Wanted(simulate=True))
    assert judged("P2", (piece(Result.PASSED), shown)).status is Status.UNPROVEN
