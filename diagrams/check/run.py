"""`anchorwatch check`: explores the configurations and says what it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.defects import DEFECTS
from anchorwatch.diagrams.check.model import Model
from anchorwatch.diagrams.check.report import Checked, as_mapping, line, table
from anchorwatch.diagrams.check.search import explore

VIOLATIONS_MAX = 10
"""Different properties broken in one configuration before it is given up: more are one defect's echoes."""


def run(
    configs: Sequence[Bounds], as_json: bool, write: Callable[[str], object], clock: Callable[[], float]
) -> int:
    """Explore every configuration and plant every defect; ``write`` takes text, ``clock`` gives seconds.

    Answers the exit code: 0 when every property holds, everything was seen, nothing got
    stuck and every planted defect was named by its property; else 1.
    """
    results = []
    for bounds in configs:
        model = Model(bounds)
        explored = explore(model, clock, VIOLATIONS_MAX)
        checked = Checked(bounds, explored, frozenset(model.witnesses))
        results.append(checked)
        if not as_json:
            write(line(checked) + "\n")
            for found in explored.counterexamples:
                write("\n".join(table(model, found)) + "\n")
            if explored.dead_ends:
                write(f"{len(explored.dead_ends)} states from which nothing leads on\n")
    caught = planted(clock)
    if as_json:
        write(msgspec.json.encode(as_mapping(results, caught)).decode() + "\n")
    else:
        for name, was_caught in caught.items():
            write(f"{name:<4} planted defect {'caught' if was_caught else 'NOT CAUGHT'}\n")
    is_sound = all(
        one.explored.complete and not one.explored.counterexamples and not one.explored.dead_ends
        for one in results
    )
    return 0 if is_sound and all(caught.values()) else 1


def planted(clock: Callable[[], float]) -> dict[str, bool]:
    """For every property that has a planted defect: whether it was the first to be named for it."""
    caught = {}
    for defect in DEFECTS:
        with defect.plant():
            found = explore(Model(defect.bounds), clock).counterexamples
        caught[defect.breaks] = [one.property for one in found] == [defect.breaks]
    return caught
