"""A recorded life is decided again: the same moves and effects, or the first place where it is otherwise."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from anchorwatch.diagrams.catalogue import MACHINES
from anchorwatch.io import tape as tapes
from anchorwatch.io.cli import command
from anchorwatch.io.replaying import replay
from anchorwatch.io.simulation.campaign import Task
from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.scenario import find_scenario
from anchorwatch.machine.desk import stops


@pytest.fixture
def two_lives(tmp_path: Path) -> Path:
    """The tapes of a bot that entered, was killed, and came back; without the number of the life."""
    story = msgspec.structs.replace(
        find_scenario("entry"), fault=(Fault(kind=Kind.KILLED, at_s=61.0, for_s=3.0),), for_s=90.0
    )
    outcome = Task(scenario=story, seed=3, tape=str(tmp_path / "tape")).run()
    assert (outcome.violations, outcome.lives) == ((), 2)
    return tmp_path / "tape"


def test_every_event_of_every_table_can_be_read_back() -> None:
    for machine in MACHINES:
        for row in machine.definition.rows:
            assert tapes.event_type(tapes.event_name(row.event)) is row.event


def test_a_tape_replays_to_the_same_transitions_and_effects(
    two_lives: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = replay(two_lives.with_name("tape-2"))
    assert done.difference is None
    assert done.events > 60
    assert done.moves > 20
    assert command(["replay", str(two_lives.with_name("tape-2"))]) == 0
    assert "all as recorded" in capsys.readouterr().out


def test_a_killed_lifes_tape_is_read_as_far_as_it_goes(two_lives: Path) -> None:
    torn = two_lives.with_name("torn")
    whole = two_lives.with_name("tape-2").read_bytes()
    torn.write_bytes(whole[: len(whole) * 2 // 3])
    done, complete = replay(torn), replay(two_lives.with_name("tape-2"))
    assert done.difference is None
    assert 0 < done.events < complete.events


def test_the_first_difference_is_named(
    two_lives: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A desk that decides otherwise than the one that was recorded: here one that adopts no resting stop."""

    def adopts_nothing(*_: object) -> bool:
        return False

    monkeypatch.setattr(stops, "adopt_resting", adopts_nothing)
    found = replay(two_lives.with_name("tape-2")).difference
    assert found is not None
    assert found.expected != found.got
    assert command(["replay", str(two_lives.with_name("tape-2"))]) == 1
    told = capsys.readouterr().out
    assert f"event {found.number}, {found.event}" in told
    assert "expected" in told


def test_no_secret_is_on_a_tape(two_lives: Path) -> None:
    raw = two_lives.with_name("tape-2").read_bytes()
    assert b"sim-secret" not in raw
    assert b"sim-pass" not in raw


def test_what_is_no_tape_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a tape")
    assert command(["replay", str(file)]) == 2
    assert "is not a tape" in capsys.readouterr().err
    assert command(["replay", str(tmp_path / "missing")]) == 2


def test_a_long_tape_has_segments_and_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_lives: Path
) -> None:
    monkeypatch.setattr(tapes, "SEGMENT_BYTES_MAX", 20_000)
    story = find_scenario("entry")
    Task(scenario=story, seed=3, tape=str(tmp_path / "long")).run()
    assert (tmp_path / "long-1.1").exists()
    assert replay(tmp_path / "long-1").difference is None
    monkeypatch.setattr(tapes, "SEGMENTS_MAX", 2)
    Task(scenario=story, seed=3, tape=str(tmp_path / "short")).run()
    assert not (tmp_path / "short-1.2").exists()
    assert replay(tmp_path / "short-1").difference is None
