"""Every single edit of a row or of the router must be noticed, by a property or by a contract.

An edit that no world reaches, or that leaves the reachable graph of every world as it was, is
*equivalent*. Any other must break a named property in one of the worlds, or a contract that is
typed from the mission (`contracts`). What does neither is a survivor, and is listed.

States are numbered in the order in which the search meets them, so two graphs are the same
when their numbered steps are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from typing import Any

import msgspec

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.contracts import broken_contract
from anchorwatch.diagrams.check.defects import answering, routing
from anchorwatch.diagrams.check.liveness import PROMISES, Graph, broken_promise
from anchorwatch.diagrams.check.model import Model
from anchorwatch.diagrams.check.production import stale_defect
from anchorwatch.diagrams.check.search import Search
from anchorwatch.machine import bot as bots
from anchorwatch.machine.bot import Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.kernel import BadTable, Definition, Effect, Row, Snapshot, Verdict

WORLDS: tuple[Bounds, ...] = (
    Bounds("one", entries=1, faults=1, prompt=True, strangers=True, doubts=True, checks=True),
    Bounds("public", entries=0, faults=2, detailed=(Name.PUBLIC,), prompt=True, attempts_max=2),
    Bounds("start", entries=0, faults=2, detailed=(Name.PRIVATE,), prompt=True, stages_fail=True, stops=True),
    Bounds("operator", entries=1, prompt=True, stops=True, operator=True, halts=True, facts=True),
    Bounds("stop", entries=1, faults=1, prompt=True, stops=True),
    Bounds(
        "switch", entries=1, faults=1, prompt=True, rests=True, dead_man=True, takes_stops=True, stops=True
    ),
    Bounds("maker", entries=1, faults=2, prompt=True, rests=True, pushy=True),
    Bounds("journal", entries=1, faults=1, prompt=True, slow_journal=True, journal_fails=True, pushy=True),
    Bounds("asynchronous", entries=1, belt=True),
    Bounds("parts", entries=1, faults=1, prompt=True, size=2, reduces=True),
    Bounds("link", entries=1, faults=2, prompt=True, lossy=(Name.PRIVATE,)),
    Bounds("moves", entries=1, faults=2, prompt=True, moves=True, belt=True),
    Bounds("crash", entries=1, faults=1, crashes=1, prompt=True, doubts=True),
    Bounds("faults", entries=1, faults=3, prompt=True),
)
"""Small worlds that together reach the tables, in the order in which they are tried."""

ROUTER_ANSWERS: tuple[tuple[str, object], ...] = (
    ("entry_obstacles", ()),
    ("may_still_send", ()),
    ("may_still_amend", ()),
    ("standing_obstacles", ()),
    ("resting_obstacles", ()),
    ("is_covered", True),
    ("is_covered", False),
    ("is_settled", True),
    ("is_settled", False),
    ("in_flight", True),
    ("in_flight", False),
    ("holds_ours", True),
    ("holds_ours", False),
    ("lacks_a_fact_of_the_bot", False),
    ("lacks_a_fact_of_the_bot", True),
)
ROUTER_STEPS = (
    "_doubt_after_relogin",
    "_flatten_late_fills",
    "_cancel_resting_entries",
    "_end_trading_control",
)
"""Consequences that the router draws, each of which may be forgotten."""


class Mutant(msgspec.Struct, frozen=True):
    """One edit, in words. The router has no rows; ``cell`` are the rows whose turn the edit may take."""

    machine: str
    row: int
    words: str
    plant: Callable[[], AbstractContextManager[None]]
    cell: tuple[int, ...] = ()
    is_stale: bool = False  # the row is about reports of the past


class Judged(msgspec.Struct, frozen=True):
    """What became of a mutant: ``equivalent``, ``property``, ``contract`` or ``survivor``, and by which name."""

    machine: str
    words: str
    verdict: str
    by: str = ""
    world: str = ""


class Base(msgspec.Struct, frozen=True):
    """One world without any edit."""

    bounds: Bounds
    signature: str
    rows: frozenset[tuple[str, int]]
    probed: frozenset[tuple[str, int]]
    snapshots: tuple[tuple[Part, Snapshot[Any]], ...]  # every one that was reached


def base_of(bounds: Bounds) -> Base:
    search = Search(Model(bounds))
    search.run(1, lambda: False)
    assert search.complete, f"{bounds.name}: {[found.property for found in search.counterexamples]}"
    reached = tuple(search.model.production.reached())
    return Base(bounds, signature(search), frozenset(search.fired), frozenset(search.probed), reached)


def signature(search: Search) -> str:
    """The same for two explorations exactly when they found the same graph."""
    model = search.model
    digest = hashlib.sha256(model.known_steps())
    digest.update("\n".join(model.labels.values).encode())
    return digest.hexdigest()


# The edits.


def mutants() -> Iterator[Mutant]:
    """Every single edit of a row, and of the router."""
    seen: set[str] = set()
    for definition in bots.DEFINITIONS.values():
        if definition.name not in seen:
            seen.add(definition.name)
            yield from _of_table(definition)
    for effect in bots.ROUTES:
        words = f"the route of {effect.__name__} is forgotten"
        yield Mutant("router", -1, words, _Plant(routing, effect, _nowhere))
    for name, answer in ROUTER_ANSWERS:
        yield Mutant("router", -1, f"{name} always answers {answer!r}", _Plant(answering, name, answer))
    for name in ROUTER_STEPS:
        yield Mutant("router", -1, f"{name} is forgotten", _Plant(_forgetting, name))


def _of_table(definition: Definition[Any]) -> Iterator[Mutant]:
    states = definition.states
    for number, row in enumerate(definition.rows):
        if row.verdict is Verdict.IMPOSSIBLE:
            continue  # no world reaches it, or S0 would say so
        guard = f" when {row.when.__name__}" if row.when is not None else ""
        where = f"{row.source.name}, {row.event.__name__}{guard}"
        edits: list[tuple[str, Row | None]] = [("is deleted", None)]
        after = states[(states.index(row.dest) + 1) % len(states)]
        if row.verdict is Verdict.MOVES:
            edits.append((f"goes to {after.name}", msgspec.structs.replace(row, dest=after)))
            if row.dest is not row.source:
                edits.append(("stays", msgspec.structs.replace(row, dest=row.source)))
            if row.then is not None:
                edits.append((f"forgets {row.then.__name__}", msgspec.structs.replace(row, then=None)))
        else:
            moved = msgspec.structs.replace(row, dest=after, verdict=Verdict.MOVES)
            edits.append((f"goes to {after.name}", moved))
        if row.when is not None:
            edits.append(("drops its guard", msgspec.structs.replace(row, when=None)))
        for words, edited in edits:
            plant = _Plant(_edited, definition.name, number, edited)
            takes_turns = words == "drops its guard"
            cell = tuple(
                other
                for other, one in enumerate(definition.rows)
                if other == number or (takes_turns and (one.source, one.event) == (row.source, row.event))
            )
            is_stale = row.verdict is Verdict.IGNORED and row.when is not None and not takes_turns
            yield Mutant(definition.name, number, f"{where}: {words}", plant, cell, is_stale)


class _Plant:
    def __init__(self, make: Callable[..., AbstractContextManager[None]], *given: Any) -> None:
        self._make, self._given = make, given

    def __call__(self) -> AbstractContextManager[None]:
        return self._make(*self._given)


@contextmanager
def _edited(machine: str, number: int, edited: Row | None) -> Iterator[None]:
    """The table of ``machine`` with one row edited, or without it; what lies below in its cell is cut if need be."""
    before = dict(bots.DEFINITIONS)
    for part, definition in before.items():
        if definition.name == machine:
            bots.DEFINITIONS[part] = _with(definition, number, edited)
    try:
        yield
    finally:
        bots.DEFINITIONS.update(before)


def _with(definition: Definition[Any], number: int, edited: Row | None) -> Definition[Any]:
    rows = list(definition.rows)
    row = rows[number]
    cell = [one for one in range(len(rows)) if (rows[one].source, rows[one].event) == (row.source, row.event)]
    if edited is not None:
        rows[number] = edited
        if edited.when is None:
            rows = [one for place, one in enumerate(rows) if place not in cell or place <= number]
    elif number == cell[-1]:
        rows[number] = Row(row.source, row.event, row.source, because="deleted", verdict=Verdict.IMPOSSIBLE)
    else:
        del rows[number]
    return Definition(definition.name, definition.initial, rows)


@contextmanager
def _forgetting(name: str) -> Iterator[None]:
    before = getattr(bots._Run, name)
    setattr(bots._Run, name, lambda *_: None)
    try:
        yield
    finally:
        setattr(bots._Run, name, before)


def _nowhere(run: Any, address: bots.Address, effect: Effect) -> list[bots.Told]:
    return []


# The judgement.


def judged(mutant: Mutant, bases: Sequence[Base]) -> Judged:
    """What becomes of ``mutant`` in the worlds that reach it, the small ones first."""

    def verdict(kind: str, by: str = "", world: str = "") -> Judged:
        return Judged(mutant.machine, mutant.words, kind, by, world)

    cell = {(mutant.machine, row) for row in mutant.cell}
    reaching = [base for base in bases if mutant.machine == "router" or cell & base.rows]
    try:
        with mutant.plant():
            changed = False
            contract = broken_contract()
            if contract:
                return verdict("contract", contract)
            if mutant.is_stale and any(_is_moved_by_the_past(mutant, base) for base in bases):
                return verdict("property", "S0", "probes")
            for base in reaching:
                search = Search(Model(base.bounds))
                search.run(1, lambda: False)
                if search.counterexamples:
                    return verdict("property", search.counterexamples[0].property, base.bounds.name)
                if signature(search) != base.signature:
                    changed = True
                    graph = Graph(search)
                    for promise in PROMISES:
                        if broken_promise(graph, promise) is not None:
                            return verdict("property", promise.id, base.bounds.name)
            return verdict("survivor" if changed else "equivalent")
    except BadTable as error:
        return verdict("property", f"S0: refused at import: {error}")


def _is_moved_by_the_past(mutant: Mutant, base: Base) -> bool:
    if (mutant.machine, mutant.row) not in base.probed:
        return False
    return any(
        stale_defect(part, snapshot)
        for part, snapshot in base.snapshots
        if bots.DEFINITIONS[part].name == mutant.machine
    )


_BASES: list[Base] = []


def _prepare() -> None:
    _BASES.extend(base_of(bounds) for bounds in WORLDS)


def _judged_by_number(number: int) -> Judged:
    return judged(_ALL[number], _BASES)


_ALL: list[Mutant] = []


def _start() -> None:
    _prepare()
    _ALL.extend(mutants())


def run(workers: int, every: int = 1, tell: Callable[[Judged], object] = print) -> dict[str, Any]:
    """Judge every mutant, or every ``every``-th of them; the keys are those of the report."""
    numbers = range(0, len(list(mutants())), every)
    results: list[Judged] = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start) as pool:
        for one in pool.map(_judged_by_number, numbers, chunksize=4):
            tell(one)
            results.append(one)
    return summed(results)


def summed(results: Sequence[Judged]) -> dict[str, Any]:
    """How many there were, and what became of them."""
    counts = dict.fromkeys(("equivalent", "property", "contract", "survivor"), 0)
    names: dict[str, int] = {}
    for one in results:
        counts[one.verdict] += 1
        if one.by:
            name = one.by.partition(":")[0]
            names[name] = names.get(name, 0) + 1
    return {
        "total": len(results),
        "equivalent": counts["equivalent"],
        "killed": counts["property"] + counts["contract"],
        "by_property": counts["property"],
        "by_contract": counts["contract"],
        "by_name": dict(sorted(names.items())),
        "survivors": [
            {"machine": one.machine, "edit": one.words, "reason": BENIGN.get(one.words, "")}
            for one in results
            if one.verdict == "survivor"
        ],
    }


BENIGN: dict[str, str] = {}
"""Edits that change the graph and harm nobody, each with the reason."""
