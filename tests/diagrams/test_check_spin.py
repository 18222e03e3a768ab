"""SPIN explores the exported tables, and finds what the search has found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from anchorwatch.diagrams.check import configurations, promela
from anchorwatch.diagrams.check.defects import PROMPT
from anchorwatch.diagrams.check.model import Model
from anchorwatch.diagrams.check.search import Search
from anchorwatch.io.commands.check import Wanted, check

needs_spin = pytest.mark.skipif(not promela.is_there(), reason="spin and gcc are not installed")


@needs_spin
def test_spin_finds_as_many_states_and_transitions_as_the_search(tmp_path: Path) -> None:
    (compared,) = promela.cross_checked((PROMPT,), tmp_path)
    assert compared["agrees"], compared
    assert compared["states"] > 400
    assert (tmp_path / PROMPT.name.replace(" ", "-") / "model.pml").exists()


@needs_spin
def test_spin_disagrees_when_a_step_is_kept_from_it(tmp_path: Path) -> None:
    model = Model(PROMPT)
    search = Search(model)
    search.run(1, lambda: False)
    model.forget_a_step(model.initial, 0)
    promela.export(model, tmp_path)
    states, _ = promela.explored_by_spin(tmp_path)
    assert states < len(search)


def test_at_least_four_complete_worlds_are_given_to_spin() -> None:
    assert len({msgspec.json.encode(bounds, enc_hook=str) for bounds in configurations.SPIN}) >= 4


def test_a_world_that_there_is_not_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    code = check(print, Wanted(worlds=("D",)))
    assert code == 2
    assert "there is no D; there are B, A, C" in capsys.readouterr().err
