"""``anchorwatch simulate --sweep``: the bot killed after every entry of the merged log of some scenarios."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from anchorwatch.io.seams import elapsed_s
from anchorwatch.io.simulation.campaign import in_parallel
from anchorwatch.io.simulation.scenario import Scenario
from anchorwatch.io.simulation.sweep import Recovery, Sweep, Swept, merged

# Failures that are told in full.
TOLD_MAX = 5
# Where a life of its own is swept too: killed while it recovers from a kill, or from a stop.
RECOVERIES = ("restart", "shutdown")
# The window in which the equivalence is shown: from before the entry to after the sweep of its belt.
STEPS_SCENARIO = "entry"
STEPS_WINDOW_S = (59.9, 60.6)


def run(scenarios: list[Scenario], *, every: int, jobs: int, report: Path | None, at_steps: bool) -> int:
    """Sweep them all and tell; the exit code is 1 when a kill was not recovered from."""
    swept: list[Swept] = []
    for scenario in scenarios:
        began_s = elapsed_s()
        lives = (1, 2) if scenario.name in RECOVERIES else (1,)
        seed = scenario.market.seed or 1
        one = _swept(jobs, scenario, seed, every=every, lives=lives)
        swept.append(one)
        _say(_line(one, elapsed_s() - began_s))
        for failure in one.failures[:TOLD_MAX]:
            _tell(one, failure)
    same = True
    if at_steps:
        same = _compare(next(one for one in scenarios if one.name == STEPS_SCENARIO), jobs)
    points, recovered = sum(one.points for one in swept), sum(one.recovered for one in swept)
    _say(f"\n{points} kills ({sum(one.torn for one in swept)} inside of a record), {recovered} recovered")
    if report is not None:
        told = {"points": points, "recovered": recovered, "sweeps": swept, "steps_agree": same}
        report.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1))
    return 0 if recovered == points and same else 1


def _compare(scenario: Scenario, jobs: int) -> bool:
    """Kills before every step of the scheduler and kills after every entry must end in the same classes."""
    seed = scenario.market.seed or 1
    entries = _swept(jobs, scenario, seed, window_s=STEPS_WINDOW_S)
    steps = _swept(jobs, scenario, seed, window_s=STEPS_WINDOW_S, at_steps=True)
    same = sorted(entries.classes) == sorted(steps.classes) and not steps.failures
    _say(
        f"{scenario.name}, {STEPS_WINDOW_S[0]:g} to {STEPS_WINDOW_S[1]:g} s: {entries.points} kills after entries and "
        f"{steps.points} before steps end in {'the same' if same else 'DIFFERENT'} classes"
    )
    for name in sorted({*entries.classes, *steps.classes}):
        _say(f"    {entries.classes.get(name, 0):>5} {steps.classes.get(name, 0):>5}  {name}")
    for failure in steps.failures[:TOLD_MAX]:
        _tell(steps, failure)
    return same


def _swept(jobs: int, scenario: Scenario, seed: int, **how: Any) -> Swept:
    """One sweep, its points dealt out to so many processes."""
    parts = [{**how, "part": (number, jobs)} for number in range(jobs)]
    return merged(list(in_parallel(_sweep_part, [(scenario, seed, part) for part in parts], jobs)))


def _sweep_part(task: tuple[Scenario, int, dict[str, Any]]) -> Swept:
    scenario, seed, how = task
    return Sweep(scenario, seed, **how).run()


def _line(one: Swept, wall_s: float) -> str:
    classes = "; ".join(f"{count} {name}" for name, count in one.classes.items())
    return f"{one.scenario:<16} {one.recovered:>4} of {one.points:>4} recovered, {one.torn} torn, in {wall_s:.0f} s: {classes}"


def _tell(one: Swept, failure: Recovery) -> None:
    torn = " --torn" if failure.torn else ""
    _say(f"\n{one.scenario}: killed at {failure.at_s} s, after entry {failure.number}: {failure.where}")
    for found in failure.violations:
        _say(f"  {found.property}: {found.words}")
    if failure.crashed:
        _say(failure.crashed)
    _say(
        f"  again: anchorwatch simulate --scenario {one.scenario} --seed {one.seed} --kill-at {failure.number}{torn}"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
