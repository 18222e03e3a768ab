"""`anchorwatch check`: explores the configurations and says what it found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import msgspec

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.configurations import QUICK
from anchorwatch.diagrams.check.defects import DEFECTS, LIVE_DEFECTS, Defect
from anchorwatch.diagrams.check.edits import ROUTER
from anchorwatch.diagrams.check.liveness import PROMISES, Graph, broken_promise, is_witnessed
from anchorwatch.diagrams.check.model import Model
from anchorwatch.diagrams.check.report import Checked, as_mapping, line
from anchorwatch.diagrams.check.search import Counterexample, Search, found
from anchorwatch.diagrams.check.telling import told

VIOLATIONS_MAX = 10
"""Different properties broken in one configuration before it is given up: more are one defect's echoes."""


def run(
    configs: Sequence[Bounds],
    as_json: bool,
    write: Callable[[str], object],
    *,
    workers: int | None = None,
    more: Callable[[], dict[str, Any]] = dict,
) -> int:
    """Explore every configuration and plant every defect; ``write`` takes text.

    ``more`` gives further parts of the report (``spin``, ``mutants``). Answers the exit code: 0 when every
    property holds and was witnessed, everything was seen, every planted defect was named by its
    property alone, SPIN counts the same, no single edit
    went unnoticed without a reason, and no row of a table can be edited and decide nothing; else 1.
    """
    began = perf_counter()
    cores = workers or min(len(configs), os.cpu_count() or 1)
    results = []
    for checked in _checked(configs, cores):
        results.append(checked)
        if not as_json:
            write(line(checked) + "\n")
            for one in checked.told:
                write(f"{one.table}\n\n{one.diagram}\n\n")
    caught = planted()
    parts = more()
    report = as_mapping(results, caught, seconds=perf_counter() - began, cores=cores, **parts)
    if as_json:
        write(msgspec.json.encode(report).decode() + "\n")
    else:
        for one in report["properties"]:
            marks = [
                "holds" if one["holds"] else "BROKEN",
                "witnessed" if one["witness"] else "not witnessed in these worlds",
                "planted defect caught" if one["planted_defect_caught"] else "PLANTED DEFECT NOT CAUGHT",
            ]
            write(f"{one['name']:<4} {', '.join(marks):<55} {one['words']}\n")
        rows = report["rows"]
        write(
            f"{rows['fired']} of {rows['of']} rows of the tables have answered, {len(rows['explained'])} have a reason"
            f" why they do not (--json), {len(rows['missed'])} have neither\n"
        )
    is_sound = all(one.is_sound for one in results) and _is_explained(configs, report["rows"])
    return 0 if is_sound and all(caught.values()) and agrees(parts) else 1


def _is_explained(configs: Sequence[Bounds], rows: dict[str, Any]) -> bool:
    """No defence was needed, and, where the whole default list was explored, every row answers or says why not."""
    is_whole = {bounds.name for bounds in QUICK} <= {bounds.name for bounds in configs}
    return not rows["needed"] and not (is_whole and rows["missed"])


def agrees(parts: dict[str, Any]) -> bool:
    """Whether nothing in these further parts of the report speaks against the tables."""
    edits = parts.get("mutants", {})
    unnoticed = any(not one["reason"] for one in edits.get("survivors", ()))
    idle = any(one["machine"] != ROUTER for one in edits.get("equivalents", ()))
    return not unnoticed and not idle and all(one.get("agrees", True) for one in parts.get("spin", ()))


def _checked(configs: Sequence[Bounds], workers: int) -> Iterator[Checked]:
    """Each configuration in a process of its own, as many at once as there are workers; the largest first."""
    if workers < 2:
        yield from map(check, configs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        yield from pool.map(check, configs)


def check(bounds: Bounds) -> Checked:
    """Explore one configuration to its end and judge every property on it."""
    began = perf_counter()
    model = Model(bounds)
    search = Search(model)
    search.run(VIOLATIONS_MAX, lambda: False)
    explored = found(search, perf_counter() - began)
    began = perf_counter()
    broken = [*explored.counterexamples, *explored.dead_ends]
    witnesses = set(model.witnesses)
    if explored.complete:
        graph = Graph(search)
        witnesses.update(promise.id for promise in PROMISES if is_witnessed(graph, promise))
        broken += _broken_promises(graph)
    return Checked(
        bounds=bounds,
        explored=explored,
        witnesses=frozenset(witnesses),
        told=tuple(told(model, one) for one in broken),
        liveness_s=round(perf_counter() - began, 2),
    )


def _broken_promises(graph: Graph) -> list[Counterexample]:
    broken = (broken_promise(graph, promise) for promise in PROMISES)
    return [one for one in broken if one is not None]


def ways(configs: Sequence[Bounds]) -> dict[str, Any]:
    """A shortest way to every row of the tables and to every rule of the world that these configurations reach."""
    rows: dict[str, list[str]] = {}
    rules: dict[str, list[str]] = {}
    for bounds in configs:
        search = Search(Model(bounds))
        search.run(1, lambda: False)
        for (machine, number), way in search.ways_to_rows().items():
            _shorter(rows, f"{machine} {number}", [bounds.name, *(step.label for step in way)])
        for label, way in search.ways_to_labels().items():
            _shorter(rules, label, [bounds.name, *(step.label for step in way)])
    return {"rows": rows, "rules": rules}


def _shorter(known: dict[str, list[str]], name: str, way: list[str]) -> None:
    if name not in known or len(way) < len(known[name]):
        known[name] = way


def names(defect: Defect) -> list[str]:
    """The properties that are named for a planted defect: the first that is unsafe, or all that is never done."""
    with defect.plant():
        search = Search(Model(defect.bounds))
        search.run(1, lambda: False)
        if search.counterexamples:
            return [one.property for one in search.counterexamples]
        return [one.property for one in _broken_promises(Graph(search))]


def planted() -> dict[str, bool]:
    """For every property that has a planted defect: whether it alone is named for it."""
    return {defect.breaks: names(defect) == [defect.breaks] for defect in (*DEFECTS, *LIVE_DEFECTS)}
