"""The bot is killed after entries of the merged log, and comes back every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from anchorwatch.io.simulation.campaign import Task
from anchorwatch.io.simulation.scenario import find_scenario
from anchorwatch.io.simulation.sweep import Sweep, Swept, merged

ROOT = Path(__file__).parents[2]
ENTERING_S = (60.0, 60.3)
"""In the scenario `entry` the order goes out at 60.0 s and the belt is gone at 60.3 s."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a sweep forks, and this system cannot")


def entering(**how: object) -> Swept:
    return Sweep(find_scenario("entry"), 3, window_s=ENTERING_S, **how).run()  # type: ignore[arg-type]


def test_a_bot_killed_around_its_entry_comes_back_with_one_stop_or_flat() -> None:
    swept = entering(every=4)
    assert swept.failures == ()
    assert swept.points >= 6
    assert sorted(swept.classes) == [
        "BTC-USDT-SWAP/short covered; 0 orphans; CLEAN",
        "flat; 0 orphans; CLEAN",
    ]


def test_the_parts_of_a_sweep_are_the_sweep() -> None:
    whole = entering(every=9)
    parts = merged([entering(every=9, part=(0, 2)), entering(every=9, part=(1, 2))])
    assert (parts.points, parts.classes) == (whole.points, whole.classes)


def test_a_record_that_was_torn_is_recovered_from() -> None:
    swept = Sweep(find_scenario("entry"), 3, window_s=(60.0, 60.05)).run()
    assert swept.torn >= 1
    assert swept.failures == ()


def test_a_kill_that_is_played_from_the_start_ends_as_its_fork_did(tmp_path: Path) -> None:
    """The fork is exact: a run that is killed at the same entry gives the same digest in two processes."""
    report = tmp_path / "report.json"
    digests = []
    for hash_seed in ("1", "2"):
        command = [
            "simulate",
            "--scenario",
            "entry",
            "--seed",
            "3",
            "--kill-at",
            "100",
            "--json",
            str(report),
        ]
        subprocess.run(
            [sys.executable, "-m", "anchorwatch", *command],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        )
        digests.append(json.loads(report.read_text())["digests"])
    assert digests[0] == digests[1]
    outcome = Task(scenario=find_scenario("entry"), seed=3, kill_at=100).run()
    assert outcome.lives == 2
    assert outcome.violations == ()
