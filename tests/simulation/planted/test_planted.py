"""Each planted defect is caught, and its plan without the plant violates nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchorwatch.io.simulation.world import Outcome, simulate
from tests.simulation.planted import pains
from tests.simulation.planted.defects import DEFECTS, Defect

QUICK = DEFECTS[::4]
"""The ones of every run of the tests; all of them are `make proof`."""


def played(defect: Defect, folder: Path) -> Outcome:
    return simulate(defect.story(), defect.seed, defect.faults, folder)


@pytest.mark.parametrize("defect", QUICK, ids=lambda defect: defect.name)
def test_a_planted_defect_is_caught(defect: Defect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defect.plant(monkeypatch)
    found = [one.property for one in played(defect, tmp_path).violations]
    assert set(found) & set(defect.caught_by), found


@pytest.mark.proof
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_every_planted_defect_is_caught(
    defect: Defect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_a_planted_defect_is_caught(defect, tmp_path, monkeypatch)


@pytest.mark.proof
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_without_its_defect_a_plan_violates_nothing(defect: Defect, tmp_path: Path) -> None:
    assert played(defect, tmp_path).violations == ()


def test_there_are_enough_of_them() -> None:
    names = {defect.name for defect in DEFECTS}
    assert len(names) == len(DEFECTS) >= 29
    assert {defect.name for defect in DEFECTS if defect.plant.__module__ == pains.__name__} >= {
        "a_failed_query_is_read_as_flat",
        "a_timer_declares_an_unanswered_order_rejected",
        "nobody_reads_the_account_after_a_reconnect",
    }
