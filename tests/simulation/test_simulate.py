"""The command: the same seed is the same run in any process, what is asked wrongly is refused, failures are made small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.io.cli import command
from anchorwatch.io.commands.simulate import Wanted, read
from anchorwatch.io.simulation.campaign import RUNS_PER_WORKER, Task, in_parallel, quantile
from anchorwatch.io.simulation.faults import Kind
from anchorwatch.io.simulation.minimise import readable, without_needless
from anchorwatch.io.simulation.scenario import find_scenario, shipped
from anchorwatch.io.simulation.world import settings_of

ROOT = Path(__file__).parents[2]


def in_another_process(tmp_path: Path, hash_seed: int, *arguments: str) -> dict[str, Any]:
    report = tmp_path / f"{hash_seed}.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "anchorwatch",
            "simulate",
            "--workers",
            "1",
            "--json",
            str(report),
            *arguments,
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(report.read_text())
    return told


def test_the_same_seed_has_the_same_digest_in_two_processes_with_different_hash_seeds(tmp_path: Path) -> None:
    asked = ("--seed", "11", "--seeds", "2", "--for", "90s")
    first, second = in_another_process(tmp_path, 1, *asked), in_another_process(tmp_path, 2, *asked)
    assert first["digests"] == second["digests"]
    assert sorted(first["digests"]) == ["11", "12"]
    assert first["digests"]["11"] != first["digests"]["12"]
    for key in ("seeds", "violations", "faults", "virtual_seconds", "messages", "unprotected", "rows"):
        assert first[key] == second[key], key
    assert sorted(first["faults"]) == sorted(kind.value for kind in Kind)
    answered = {(row["machine"], row["source"], row["trigger"]) for row in first["rows"]}
    assert ("lifecycle", "INIT", "StageDone") in answered
    assert sorted(first["unprotected"]) == ["max", "p50", "p99"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--seeds", "many"), "--seeds"),
        (("--scenario", "nowhere"), "--scenario"),
        (("--faults", "thunder"), "--faults"),
        (("--for", "long"), "--for"),
        (("--only", "x"), "--only"),
        (("--pairs", "--faults", "human"), "--pairs"),
        (("--pairs", "--scenario", "entry"), "--pairs"),
        (("--json", "no/such/folder/report.json"), "--json"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(
    arguments: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["simulate", *arguments]) == 2
    assert named in capsys.readouterr().err


def test_a_scenario_with_an_unknown_setting_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[settings.strategy]\nfastt = 2\n")
    assert command(["simulate", "--scenario", str(file)]) == 2
    assert "strategy.fastt" in capsys.readouterr().err


def test_a_strategy_of_ones_own_that_fails_is_told_and_is_no_violation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from anchorwatch.machine.strategy.ema_cross import EmaCross\n"
        "class Failing:\n"
        "    needs = EmaCross().needs\n"
        "    def decide(self, view):\n"
        "        return 1 / 0\n"
    )
    story = tmp_path / "mine.toml"
    story.write_text(
        f'for_s = 80\n[market]\ninstruments = ["BTC-USDT-SWAP"]\n[settings.strategy]\nname = "{own}:Failing"\n'
    )
    assert command(["simulate", "--scenario", str(story), "--seed", "1"]) == 2
    told = capsys.readouterr().out
    assert "0 violations" in told
    assert f"seed 1: the strategy Failing failed at {own}:5: ZeroDivisionError: division by zero" in told


def test_every_shipped_scenario_can_be_read_and_its_settings_hold() -> None:
    found = shipped()
    assert found
    for scenario in found.values():
        assert scenario.about
        settings_of(scenario)


def test_a_plan_follows_from_its_seed_and_can_be_cut() -> None:
    task = Task(scenario=find_scenario("busy"), seed=5)
    whole = task.plan()
    assert whole == Task(scenario=find_scenario("busy"), seed=5).plan()
    assert len(whole) >= 2
    assert Task(scenario=find_scenario("busy"), seed=5, only=(2,)).plan() == (whole[1],)


def test_every_pair_of_faults_has_a_run_that_can_be_made_again() -> None:
    tasks, _ = read(Wanted(pairs=True))
    assert Counter(frozenset(task.kinds) for task in tasks) == Counter(map(frozenset, combinations(Kind, 2)))
    one = tasks[5]
    assert one.plan()
    assert {fault.kind for fault in one.plan()} <= set(one.kinds)
    words = one.replay().split()
    asked = dict(zip(words[2::2], words[3::2], strict=True))
    (again,) = read(Wanted(scenarios=(asked["--scenario"],), seed=asked["--seed"], faults=asked["--faults"]))[
        0
    ]
    assert again.plan() == one.plan()


def test_what_is_needless_is_left_out() -> None:
    tried: list[Sequence[int]] = []

    def fails(kept: Sequence[int]) -> bool:
        tried.append(kept)
        return {3, 7} <= set(kept)

    assert without_needless(range(1, 13), fails) == [3, 7]
    assert len(tried) < 40


def test_there_may_be_more_runs_than_the_workers_of_one_pool_make() -> None:
    """It waited for ever after a hundred runs on two processes: all workers had made their share, and no new one came."""
    count = 2 * RUNS_PER_WORKER + 3
    assert sorted(in_parallel(abs, range(-count, 0), 2)) == list(range(1, count + 1))


def test_quantiles_are_values_that_were_measured() -> None:
    assert [quantile([1, 2, 3, 4], share) for share in (0.5, 0.99, 1.0)] == [2, 4, 4]
    assert quantile([], 0.5) == 0


def test_a_trace_ends_with_the_violation() -> None:
    lines = [
        "1.0  bot 1  sent  12 bytes",
        "2.0  exchange  order  x",
        "3.0  observer  VIOLATION  S9",
        "4.0  later",
    ]
    assert readable(lines) == lines[1:3]
