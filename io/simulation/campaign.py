"""Many runs: seeds over scenarios, on all cores, added up."""

from __future__ import annotations

import math
import multiprocessing
import os
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec

from anchorwatch.io.simulation import plans
from anchorwatch.io.simulation.chronicle import Entry
from anchorwatch.io.simulation.disk import tear_random
from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.judging import Judge, Trial
from anchorwatch.io.simulation.observer import PROPERTIES
from anchorwatch.io.simulation.scenario import Scenario
from anchorwatch.io.simulation.world import Outcome, World, simulate

T = TypeVar("T")
R = TypeVar("R")

Counting = Callable[[], AbstractContextManager[Counter[Any]]]
"""Counts, within its block, what the tables answer."""

# A worker of its own for each run would start the interpreter anew each time; one for ever would grow.
RUNS_PER_WORKER = 50


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One run to be made. `only` keeps these faults of the plan (by place, from 1), `until_s` ends the faults early."""

    scenario: Scenario
    seed: int
    kinds: tuple[Kind, ...] = tuple(Kind)
    only: tuple[int, ...] | None = None
    until_s: float | None = None
    kill_at: int = 0  # kill after this entry of the merged log, then heal; 0: do not
    tape: str | None = None
    torn: bool = False  # and inside of the record that the entry tells of
    # What on the command line made the scenario what it is; without it the scenario is a shipped one as it stands.
    asked: tuple[str, ...] = ()
    # Of the run's trace. A function of a module, because it is sent to other processes.
    judge: Judge | None = None
    # How often each row of the tables answered; a function of a module too.
    counting: Counting | None = None

    def whole_plan(self) -> tuple[Fault, ...]:
        """The scenario's own faults, and those that the seed adds."""
        own = self.scenario.fault
        if not self.scenario.random_faults:
            return own
        drawn = plans.plan(Random(f"{self.seed} plan"), self.scenario.for_s, self.kinds)
        return tuple(sorted((*own, *drawn), key=lambda fault: fault.at_s))

    def plan(self) -> tuple[Fault, ...]:
        whole = self.whole_plan()
        return (
            whole
            if self.only is None
            else tuple(whole[place - 1] for place in self.only if place <= len(whole))
        )

    def run(self) -> Outcome:
        scenario = self.scenario
        if self.until_s is not None:
            scenario = msgspec.structs.replace(scenario, for_s=self.until_s)
        folder = Path(tempfile.mkdtemp(prefix="anchorwatch-", dir=fast_folder()))
        trials: list[Trial] = []

        def begin(world: World) -> None:
            self._arm(world)
            if self.judge is not None:
                trials.append(Trial(world))

        try:
            with nullcontext(Counter[Any]()) if self.counting is None else self.counting() as answers:
                outcome = simulate(scenario, self.seed, self.plan(), folder, at_start=begin)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        outcome = msgspec.structs.replace(outcome, answers=answers)
        if self.judge is None:
            return outcome
        return msgspec.structs.replace(outcome, judgement=trials[0].judged(self.judge))

    def _arm(self, world: World) -> None:
        world.tape = Path(self.tape) if self.tape is not None else None
        if not self.kill_at:
            return

        def strike(entry: Entry) -> None:
            if entry.number == self.kill_at and world.life is not None:
                world.life.kill()
                if self.torn:
                    world.disk.tear_last(tear_random(self.seed, entry.number))
                world.end_faults()

        world.chronicle.after = strike

    def replay(self) -> str:
        """The command that makes this run again, to the same digest."""
        asked = [shlex.quote(word) for word in self.asked] or ["--scenario", self.scenario.name]
        words = ["anchorwatch simulate", *asked, f"--seed {self.seed}"]
        if self.scenario.random_faults and self.kinds != tuple(Kind):
            words.append("--faults " + ",".join(kind.value for kind in self.kinds))
        if self.only is not None:
            words.append("--only " + (",".join(map(str, self.only)) or "none"))
        if self.until_s is not None:
            words.append(f"--until {self.until_s:g}s")
        return " ".join(words)


def fast_folder() -> str | None:
    """Memory where the system offers it: a simulated disk is asked to be durable within the run only."""
    memory = Path("/dev/shm")  # Linux's file system in memory
    return str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None


# The property of a trace that the judge of the run rejects.
UNEXPLAINED = "environment"

# What 200 seeds must show of each kind that was asked for: struck so often, and so often while a write was in flight.
STRUCK_FLOOR = 20
IN_FLIGHT_FLOOR = 5


class Sum(msgspec.Struct, kw_only=True):
    """What all runs amount to."""

    outcomes: list[Outcome] = []

    def take(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    @property
    def failed(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.violations]

    @property
    def is_clean(self) -> bool:
        """No property was violated, and the judge explains every trace."""
        return not self.failed and not self.rejects

    @property
    def rejects(self) -> list[tuple[int, str]]:
        """Seed and words of every trace that its judge does not explain."""
        return [
            (one.seed, words)
            for one in sorted(self.outcomes, key=lambda one: one.seed)
            if one.judgement is not None
            for words in one.judgement.rejects
        ]

    def judged(self) -> dict[str, object]:
        """How much was judged, by how many rules of the judge it was explained, and what was not."""
        found = [one.judgement for one in self.outcomes if one.judgement is not None]
        return {
            "traces": len(found),
            "whole": sum(one.is_whole for one in found),
            "observations": sum(one.observations for one in found),
            "rules": len({rule for one in found for rule in one.used}),
            "rejects": [{"seed": seed, "words": words} for seed, words in self.rejects],
        }

    def counts(self, of: Callable[[Outcome], dict[str, int]]) -> dict[str, int]:
        total: Counter[str] = Counter({kind.value: 0 for kind in Kind})
        for one in self.outcomes:
            total.update(of(one))
        return dict(total)

    @property
    def answers(self) -> Counter[Any]:
        """How often each row of the tables answered, in the runs that counted."""
        total = Counter[Any]()
        for one in self.outcomes:
            total.update(one.answers)
        return total

    def floors(self, kinds: Sequence[Kind]) -> dict[str, object]:
        """Whether each of these kinds struck often enough for "nothing went wrong" to say something about it."""
        struck, in_flight = self.counts(lambda one: one.faults), self.counts(lambda one: one.in_flight)
        names = [kind.value for kind in kinds]
        short = [name for name in names if struck[name] < STRUCK_FLOOR or in_flight[name] < IN_FLIGHT_FLOOR]
        return {
            "struck": STRUCK_FLOOR,
            "in_flight": IN_FLIGHT_FLOOR,
            "least_struck": min(struck[name] for name in names),
            "least_in_flight": min(in_flight[name] for name in names),
            "met": not short,
            "short": short,
        }

    def unprotected(self) -> dict[str, float]:
        """Seconds without cover, from the first fill to the first live stop: over every spell of every leg."""
        spells = sorted(spell for one in self.outcomes for spell in one.spells_ms)
        return {
            "p50": quantile(spells, 0.5) / 1000,
            "p99": quantile(spells, 0.99) / 1000,
            "max": quantile(spells, 1.0) / 1000,
        }

    def as_dict(
        self, traces: dict[int, tuple[str, list[str]]], kinds: Sequence[Kind] = tuple(Kind)
    ) -> dict[str, object]:
        """For JSON. `traces` has, by seed, the replay command and the trace of a failed run; `kinds` were asked for."""
        ordered = sorted(self.outcomes, key=lambda one: one.seed)
        return {
            "seeds": len(ordered),
            "violations": [
                {
                    "seed": one.seed,
                    "property": found.property,
                    "words": f"{PROPERTIES[found.property]}: {found.words}",
                    "trace": traces.get(one.seed, ("", list(one.trace)))[1],
                    "replay": traces.get(one.seed, ("", []))[0],
                }
                for one in ordered
                for found in one.violations
            ]
            + [
                {
                    "seed": seed,
                    "property": UNEXPLAINED,
                    "words": f"the environment of the check explains all that was seen: {words.splitlines()[0]}",
                    "trace": words.splitlines(),
                    "replay": traces.get(seed, ("", []))[0],
                }
                for seed, words in self.rejects
            ],
            "faults": self.counts(lambda one: one.faults),
            "in_flight": self.counts(lambda one: one.in_flight),
            "floors": self.floors(kinds),
            "virtual_seconds": round(sum(one.virtual_s for one in ordered), 3),
            "cpu_seconds": round(sum(one.cpu_s for one in ordered), 3),
            "messages": sum(one.messages for one in ordered),
            "orders": sum(one.orders for one in ordered),
            "lives": sum(one.lives for one in ordered),
            "unprotected": self.unprotected(),
            "spells": sum(len(one.spells_ms) for one in ordered),
            "rejects": len(self.rejects),
            "acceptance": self.judged(),
            "digests": {str(one.seed): one.digest for one in ordered},
        }


def quantile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least this share of all values does not exceed; 0 of none."""
    if not ordered:
        return 0
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def run_all(tasks: Iterable[Task], workers: int) -> Iterator[Outcome]:
    """The outcomes, as they come. With one worker they are made here, in order."""
    return in_parallel(Task.run, tasks, workers)


def in_parallel(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """What `work` makes of each item, as it comes, on so many processes; on one it is done here, in order."""
    if workers <= 1:
        for item in items:
            yield work(item)
        return
    context = multiprocessing.get_context("spawn")
    left = iter(items)
    # New pools and not `max_tasks_per_child`: with that, CPython 3.11 waits for ever when all its workers have ended.
    while batch := list(islice(left, workers * RUNS_PER_WORKER)):
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            for done in as_completed([pool.submit(work, item) for item in batch]):
                yield done.result()


def cores() -> int:
    """How many processes can compute at the same time here."""
    return max(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 1)
