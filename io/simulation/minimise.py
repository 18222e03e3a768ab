"""A failing run made small: fewer faults, a shorter time, the same property violated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from anchorwatch.io.simulation.campaign import Task
from anchorwatch.io.simulation.world import Outcome

# Runs that a minimisation may take: a plan of 24 faults takes some 30 to 60.
RUNS_MAX = 60
# After the last fault that is needed, time for its consequences to show.
AFTERMATH_S = 30.0
LINES_SHOWN = 120


class Small(NamedTuple):
    task: Task
    outcome: Outcome
    runs: int


def minimised(task: Task, outcome: Outcome) -> Small:
    """The smallest failing run that was found of this one, which violated something."""
    wanted = outcome.violations[0].property
    best, best_outcome, runs = task, outcome, 0

    def fails(candidate: Task) -> bool:
        nonlocal best, best_outcome, runs
        if runs >= RUNS_MAX:
            return False
        runs += 1
        found = candidate.run()
        if any(one.property == wanted for one in found.violations):
            best, best_outcome = candidate, found
            return True
        return False

    until_s = outcome.violations[0].at_s + 1.0
    if until_s < task.scenario.for_s:
        fails(msgspec.structs.replace(task, until_s=max(round(until_s, 1), 10.0)))
    places = list(best.only) if best.only is not None else list(range(1, len(task.whole_plan()) + 1))
    places = without_needless(places, lambda kept: fails(msgspec.structs.replace(best, only=tuple(kept))))
    plan = best.plan()
    last_s = max((fault.at_s + fault.for_s for fault in plan), default=0.0) + AFTERMATH_S
    if best.until_s is None and last_s < best.scenario.for_s:
        fails(msgspec.structs.replace(best, until_s=max(round(last_s, 1), 10.0)))
    return Small(best, best_outcome, runs)


def without_needless(items: Sequence[int], fails: Callable[[Sequence[int]], bool]) -> list[int]:
    """Delta debugging (Zeller): items without which it still fails are left out, in chunks, then one by one."""
    kept = list(items)
    chunk = max(len(kept) // 2, 1)
    while kept:
        at, shrunk = 0, False
        while at < len(kept):
            rest = kept[:at] + kept[at + chunk :]
            if fails(rest):
                kept, shrunk = rest, True
            else:
                at += chunk
        if chunk == 1 and not shrunk:
            break
        chunk = max(chunk // 2, 1)
    return kept


def readable(trace: Sequence[str]) -> list[str]:
    """The end of a trace, without the bytes that say nothing."""
    telling = [line for line in trace if not (" sent " in line and line.endswith("bytes"))]
    violated = next((at for at, line in enumerate(telling) if " VIOLATION " in line), len(telling) - 1)
    return telling[max(violated - LINES_SHOWN, 0) : violated + 1]
