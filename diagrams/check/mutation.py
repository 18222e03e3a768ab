"""Every single edit of a row or of the router must be noticed, by a property or by a contract.

An edit that no world reaches, or that leaves the reachable graph of every world as it was, is
*equivalent*. Any other must break a named property in one of the worlds, or a contract that is
typed from the mission (`contracts`). What does neither is a survivor, and is listed.

States are numbered in the order in which the search meets them, so two graphs are the same
when their numbered steps are.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.configurations import SMALL
from anchorwatch.diagrams.check.contracts import broken_contract
from anchorwatch.diagrams.check.edits import ROUTER, Mutant, mutants
from anchorwatch.diagrams.check.liveness import PROMISES, Graph, broken_promise
from anchorwatch.diagrams.check.model import Model
from anchorwatch.diagrams.check.probes import defect_of_the_past
from anchorwatch.diagrams.check.search import Search
from anchorwatch.machine import bot as bots
from anchorwatch.machine.connection import Name
from anchorwatch.machine.kernel import BadTable

OF_THE_CHECK = (
    "link",
    "public link",
    "slow stop",
    "slow journal",
    "switch and stop",
    "empty readings",
    "watched",
    "checked",
    "out of turn",
)
"""Worlds of the check that no other here holds, and that are small."""

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
    Bounds("lossy", entries=1, faults=2, prompt=True, lossy=(Name.PRIVATE,)),
    Bounds("moves", entries=1, faults=2, prompt=True, moves=True, belt=True),
    Bounds("crash", entries=1, faults=1, crashes=1, prompt=True, doubts=True),
    Bounds("faults", entries=1, faults=3, prompt=True),
    *(bounds for bounds in SMALL if bounds.name in OF_THE_CHECK),
    Bounds(
        "switch alone, no crash",
        entries=2,
        faults=3,
        rests=True,
        fills=False,
        dead_man=True,
        takes_stops=True,
        takes_late=True,
        prompt=True,
    ),
    Bounds("exact stops", entries=1, size=2, faults=1, shared=True, others=0, mailbox=True, prompt=True),
    Bounds(
        "late tries", entries=1, faults=3, strangers=True, moves=True, closes=False, mailbox=True, prompt=True
    ),
)
"""Small worlds that together reach the tables, in the order in which they are tried."""

GROWTH_MAX = 4
"""An edit may make a world so many times as large, and is then not followed further in it."""

CPU_MAX_S = 240
"""The longest judgement takes a quarter of it; what takes longer is a bot that answers itself for ever."""

CONTRACTS_CPU_MAX_S = 5
"""All contracts together take some milliseconds; the one that takes longer is not kept."""


class Judged(msgspec.Struct, frozen=True):
    """What became of a mutant: ``equivalent``, ``property``, ``contract`` or ``survivor``, and by which name."""

    machine: str
    words: str
    verdict: str
    by: str = ""
    world: str = ""


UNREACHED = "no world reaches it"
UNCHANGED = "the graph of every world is the same"


class Base:
    """One world without any edit, seen whole."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.model = Model(bounds, notes_steps=True)
        search = Search(self.model)
        search.run(1, lambda: False)
        assert search.complete, f"{bounds.name}: {[found.property for found in search.counterexamples]}"
        self.signature = signature(search)
        self.model.bounds = self.wider = msgspec.structs.replace(bounds, states_max=GROWTH_MAX * len(search))
        self.rows = frozenset(search.fired)
        self.probed = frozenset(search.probed)
        self.snapshots = tuple(self.model.production.reached())
        self._steps_of: dict[tuple[str, int], list[int]] = {}
        for step, rows in self.model.production.rows_of.items():
            for row in rows:
                self._steps_of.setdefault(row, []).append(step)

    def edited(self, mutant: Mutant) -> Model | None:
        """This world with ``mutant`` in force; None when the bot makes every step as before.

        The router is looked at by the world and the properties too, so all is made anew when it is edited.
        """
        if mutant.machine == ROUTER:
            return Model(self.wider)
        of_rows = (self._steps_of.get((mutant.machine, row), ()) for row in mutant.cell)
        steps = self.model.production.stepped_otherwise(sorted(set(itertools.chain.from_iterable(of_rows))))
        if not steps:
            return None
        self.model.anew(steps)
        return self.model


def signature(search: Search) -> str:
    """The same for two explorations exactly when they found the same graph."""
    model = search.model
    digest = hashlib.sha256(model.known_steps())
    digest.update("\n".join(model.labels.values).encode())
    return digest.hexdigest()


def judged(mutant: Mutant, bases: Sequence[Base]) -> Judged:
    """What becomes of ``mutant``."""
    return next(iter(all_judged([mutant], bases, 1)))


def all_judged(edits: Iterable[Mutant], bases: Sequence[Base], workers: int) -> Iterator[Judged]:
    """What becomes of each, in the order in which it is known, ``workers`` at a time.

    Contracts judge first, because they take no time. What they keep silent about is judged in a process
    that is forked off for it: it has the worlds as they were explored without any edit, and what it
    makes of them ends with it.
    """
    under_way: dict[int, tuple[int, Mutant]] = {}  # by pipe: the process, and what it judges
    waiting = iter(edits)
    while True:
        while len(under_way) < workers and (mutant := next(waiting, None)) is not None:
            told = judged_by_contracts(mutant)
            if told is not None:
                yield told
                continue
            pipe, process = _forked(mutant, bases)
            under_way[pipe] = (process, mutant)
        if not under_way:
            return
        for pipe in select.select(list(under_way), [], [])[0]:
            with os.fdopen(pipe, "rb") as answer:
                said = answer.read()
            process, mutant = under_way.pop(pipe)
            _, status = os.waitpid(process, 0)
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                yield Judged(mutant.machine, mutant.words, "property", "S0: a step that never ends")
            else:  # it has said nothing if it has failed: then it has told why
                yield msgspec.json.decode(said, type=Judged)


def _forked(mutant: Mutant, bases: Sequence[Base]) -> tuple[int, int]:
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    process = os.fork()
    if process:
        os.close(write)
        return read, process
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_MAX_S, CPU_MAX_S + 1))
        with os.fdopen(write, "wb") as answer:
            answer.write(msgspec.json.encode(_judge(mutant, bases)))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


def judged_by_contracts(mutant: Mutant) -> Judged | None:
    """By the first contract that it breaks, or refused as no table; None where all are kept."""
    try:
        with mutant.plant(), interrupted_after(CONTRACTS_CPU_MAX_S):
            contract = broken_contract()
    except BadTable as error:
        return Judged(mutant.machine, mutant.words, "property", f"S0: refused at import: {error}")
    return Judged(mutant.machine, mutant.words, "contract", contract) if contract else None


class _Endless(Exception):
    """It has taken longer than anything takes that ends."""


@contextmanager
def interrupted_after(cpu_s: float) -> Iterator[None]:
    """Within the block, what has computed for so long gets an exception."""

    def interrupt(*_: object) -> None:
        raise _Endless(f"{cpu_s} s")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _judge(mutant: Mutant, bases: Sequence[Base]) -> Judged:
    """By the worlds that reach the edit, the small ones first."""

    def verdict(kind: str, by: str = "", world: str = "") -> Judged:
        return Judged(mutant.machine, mutant.words, kind, by, world)

    with mutant.plant():
        changed = False
        if mutant.is_stale and any(_is_moved_by_the_past(mutant, base) for base in bases):
            return verdict("property", "S0", "probes")
        for base in bases:
            model = base.edited(mutant)
            if model is None:
                continue
            search = Search(model)
            search.run(1, lambda: False)
            if search.counterexamples:
                return verdict("property", search.counterexamples[0].property, base.bounds.name)
            if signature(search) != base.signature:
                changed = True
                if not search.complete:
                    continue  # it has grown out of all proportion; what never ends is asked in another world
                graph = Graph(search)
                for promise in PROMISES:
                    if broken_promise(graph, promise) is not None:
                        return verdict("property", promise.id, base.bounds.name)
        if changed:
            return verdict("survivor")
        cell = {(mutant.machine, row) for row in mutant.cell}
        is_reached = mutant.machine == ROUTER or any(cell & (base.rows | base.probed) for base in bases)
        return verdict("equivalent", "" if is_reached else UNREACHED)


def _is_moved_by_the_past(mutant: Mutant, base: Base) -> bool:
    if (mutant.machine, mutant.row) not in base.probed:
        return False
    return any(
        defect_of_the_past(part, snapshot)
        for part, snapshot in base.snapshots
        if bots.DEFINITIONS[part].name == mutant.machine
    )


def run(
    workers: int,
    every: int = 1,
    tell: Callable[[Judged], object] = print,
    kept: Path | None = None,
) -> dict[str, Any]:
    """Judge every mutant, or every ``every``-th of them; the keys are those of the report.

    ``kept`` is a file of judgements: those that it holds are not made again, and new ones are added to it as
    they are made, so that a run which was cut off goes on. It begins anew when the tables or the check have
    changed since.
    """
    known = _read(kept) if kept is not None else []
    done = {(one.machine, one.words) for one in known}
    wanted = [
        one for one in itertools.islice(mutants(), 0, None, every) if (one.machine, one.words) not in done
    ]
    results = list(known)
    bases = [Base(bounds) for bounds in WORLDS] if wanted else []
    gc.freeze()  # what is there now is shared with every process that is forked off
    for one in all_judged(wanted, bases, workers):
        tell(one)
        results.append(one)
        if kept is not None:
            with kept.open("ab") as file:
                file.write(msgspec.json.encode(one) + b"\n")
    gc.unfreeze()
    return summed(results)


def _read(kept: Path) -> list[Judged]:
    """The judgements of this file, if they are of the code as it is; else the file is begun."""
    lines = kept.read_bytes().splitlines() if kept.exists() else []
    if not lines or lines[0].decode() != _code():
        kept.write_text(f"{_code()}\n", encoding="ascii")
        return []
    return [msgspec.json.decode(line, type=Judged) for line in lines[1:]]


def _code() -> str:
    """A digest of the tables and of the check."""
    digest = hashlib.sha256()
    for package in (Path(bots.__file__).parent, Path(__file__).parent):
        for file in sorted(package.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def summed(results: Sequence[Judged]) -> dict[str, Any]:
    """How many there were, and what became of them; those that change nothing are listed with the reason."""
    counts = dict.fromkeys(("equivalent", "property", "contract", "survivor"), 0)
    names: dict[str, int] = {}
    for one in results:
        counts[one.verdict] += 1
        if one.by and one.verdict != "equivalent":
            name = one.by.partition(":")[0]
            names[name] = names.get(name, 0) + 1
    return {
        "total": len(results),
        "equivalent": counts["equivalent"],
        "equivalents": [
            {"machine": one.machine, "edit": one.words, "because": one.by or UNCHANGED}
            for one in results
            if one.verdict == "equivalent"
        ],
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
