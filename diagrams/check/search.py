"""Breadth first through every state of a model: counts, shortest counterexamples, dead ends."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import numpy as np

from anchorwatch.diagrams.check.columns import Column, Numbers, Table, Truths
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.model import LABEL_BITS, LABEL_MASK, NONE, Model
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.diagrams.check.purse import Cost
from anchorwatch.diagrams.check.recording import Fired, recorded
from anchorwatch.machine import lifecycle, order, position, protection


class Step(msgspec.Struct, frozen=True):
    """What happened, and the core after it."""

    label: str
    core: int


class Counterexample(msgspec.Struct, frozen=True):
    """The shortest way to a broken property. ``loop`` is what then goes on for ever, for a property of liveness."""

    property: str
    words: str
    steps: tuple[Step, ...]
    loop: tuple[Step, ...] = ()


class Explored(msgspec.Struct, frozen=True):
    """What an exploration found. Not ``complete``: it ended at a bound or at a violation, before all was seen."""

    name: str
    states: int
    cores: int
    transitions: int
    depth: int
    seconds: float
    complete: bool
    production_steps: int
    bots: int
    legs: int
    counterexamples: tuple[Counterexample, ...]
    dead_ends: tuple[Counterexample, ...]
    labels: tuple[str, ...]
    rows: frozenset[tuple[str, int]]
    told: frozenset[
        tuple[str, int]
    ]  # of these rows, those that answered what the world told, and not reports of the past alone


class Search:
    """One exploration. Its states are (core, purse); the way to each is kept."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._states, self._parents, self._by = Column(), Column(), Column(fill=-1)
        self.probed: Fired = set()
        self.transitions = 0
        self.depth = 0
        self.complete = False
        self.counterexamples: list[Counterexample] = []
        self.dead_ends: list[Counterexample] = []
        self._seen: Truths = np.zeros(0, dtype=np.bool_)
        self._broken_ids: set[str] = set()
        self._first: Numbers | None = None
        costs = [[cost for cost, _ in slots] for slots in model.purses.affordable]
        lefts = [[left for _, left in slots] for slots in model.purses.affordable]
        self._costs, self._lefts = Table(costs), Table(lefts)

    def __len__(self) -> int:
        """How many states have been found."""
        return len(self._states)

    @property
    def fired(self) -> Fired:
        """The rows of the tables that have answered."""
        return self.model.production.fired

    def run(self, violations_max: int, is_over: Callable[[], bool]) -> None:
        """Explore until everything is seen, or ``violations_max`` different properties are broken, or it is over.

        A state that breaks a property is not explored further.
        """
        with _without_collecting(), recorded(self.model.production.answering, self.probed):
            self._run(violations_max, is_over)

    def _run(self, violations_max: int, is_over: Callable[[], bool]) -> None:
        model, states = self.model, self._states
        self._add(np.array([model.initial * model.purses.count + model.purses.full]), NONE, NONE)
        begin, level_ends = 0, 1
        while begin < len(states):
            if begin == level_ends:
                self.depth += 1
                level_ends = len(states)
            end = min(level_ends, begin + STATES_AT_ONCE)
            if len(states) > model.bounds.states_max or is_over():
                return
            if self._follow(begin, end, violations_max):
                return
            begin = end
        self.complete = not self._broken_ids

    def _follow(self, begin: int, end: int, violations_max: int) -> bool:
        """Find what follows from these states; says whether enough is broken."""
        model, count = self.model, self.model.purses.count
        cores, purses = np.divmod(self._states.values[begin:end], count)
        owners, costs = self._costs.of(purses)
        _, lefts = self._lefts.of(purses)
        pairs = cores[owners] * len(Cost) + costs
        model.learn(np.unique(pairs))
        of_pair, steps = model.steps(pairs)
        after = (steps >> LABEL_BITS) * count + lefts[of_pair]
        self._add(after, begin + owners[of_pair], steps & LABEL_MASK)
        self.transitions += len(steps)
        has_steps = np.zeros(end - begin, dtype=np.bool_)
        has_steps[owners[of_pair]] = True
        if model.broken:
            for place in np.flatnonzero(np.isin(pairs, list(model.broken))).tolist():
                pair, owner = int(pairs[place]), int(owners[place])
                has_steps[owner] = True
                self.transitions += len(model.broken[pair])
                if self._break(pair, begin + owner, violations_max):
                    return True
        ends = np.flatnonzero(~has_steps)
        for core in np.unique(cores[ends]).tolist():
            if len(self.dead_ends) < DEAD_ENDS_KEPT and not _is_at_rest(model, core):
                index = begin + int(ends[cores[ends] == core][0])
                self.dead_ends.append(Counterexample("dead end", "nothing leads on", self.way_to(index)))
        return False

    def _add(self, states: Numbers, parents: Numbers, by: Numbers) -> None:
        """Keep those that are new, in the order in which they were met."""
        room = len(self.model) * self.model.purses.count
        if room > len(self._seen):
            seen = np.zeros(2 * room, dtype=np.bool_)
            seen[: len(self._seen)] = self._seen
            self._seen = seen
        new = np.flatnonzero(~self._seen[states])
        _, first = np.unique(states[new], return_index=True)
        new = new[np.sort(first)]
        self._seen[states[new]] = True
        self._states.extend(states[new])
        if len(parents):
            self._parents.extend(parents[new])
            self._by.extend(by[new])
        else:
            self._parents.append(-1)
            self._by.append(-1)

    def _break(self, pair: int, index: int, violations_max: int) -> bool:
        """Note what is broken here for the first time; says whether that is enough."""
        for one in self.model.broken[pair]:
            if one.name not in self._broken_ids:
                self._broken_ids.add(one.name)
                last = Step(self.model.labels.values[one.label], one.after)
                name, _, words = one.name.partition(": ")
                self.counterexamples.append(Counterexample(name, words, (*self.way_to(index), last)))
        return len(self._broken_ids) >= violations_max

    def index_of(self, core: int) -> int | None:
        """The number of the first state with this core; None when it was not reached."""
        if self._first is None:
            cores, first = np.unique(self._states.values // self.model.purses.count, return_index=True)
            self._first = np.full(len(self.model), -1, dtype=np.int64)
            self._first[cores] = first
        found = int(self._first[core])
        return None if found < 0 else found

    def ways_to_rows(self) -> dict[tuple[str, int], tuple[Step, ...]]:
        """By row of a table: the shortest way on which it answers."""
        ways: dict[tuple[str, int], tuple[Step, ...]] = {}
        for core, label, after, rows in self.model.first_steps:
            index = self.index_of(core)
            if index is not None:
                steps = (*self.way_to(index), Step(self.model.labels.values[label], after))
                ways.update((row, steps) for row in rows if row not in ways)
        return ways

    def ways_to_labels(self) -> dict[str, tuple[Step, ...]]:
        """By rule of the world: the shortest way that ends with it."""
        ways: dict[str, tuple[Step, ...]] = {}
        labels, first = np.unique(self._by.values, return_index=True)
        for label, index in sorted(zip(labels.tolist(), first.tolist(), strict=True), key=lambda one: one[1]):
            if label >= 0:
                ways[self.model.labels.values[label]] = self.way_to(index)
        return ways

    def way_to(self, index: int) -> tuple[Step, ...]:
        """The shortest way to the state of this number, from before the start."""
        count, steps = self.model.purses.count, []
        while index >= 0:
            by = int(self._by.values[index])
            words = self.model.labels.values[by] if by >= 0 else "(before the start)"
            steps.append(Step(words, int(self._states.values[index]) // count))
            index = int(self._parents.values[index])
        return tuple(reversed(steps))


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Nothing that an exploration makes is garbage before it ends: looking for it is time lost."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def explore(
    model: Model, clock: Callable[[], float], violations_max: int = 1, seconds_max: float = float("inf")
) -> Explored:
    """Explore ``model`` completely, or until ``violations_max`` different properties are broken.

    ``clock`` gives seconds.
    """
    began = clock()
    search = Search(model)
    search.run(violations_max, lambda: clock() - began > seconds_max)
    return found(search, clock() - began)


def found(search: Search, seconds: float) -> Explored:
    """What ``search`` has found until now."""
    model = search.model
    return Explored(
        name=model.bounds.name,
        states=len(search),
        cores=len(model),
        transitions=search.transitions,
        depth=search.depth,
        seconds=round(seconds, 2),
        complete=search.complete,
        production_steps=model.production.steps,
        bots=len(model.production.bots),
        legs=len(model.legs),
        counterexamples=tuple(search.counterexamples),
        dead_ends=tuple(search.dead_ends),
        labels=tuple(model.used_labels()),
        rows=frozenset(search.fired | search.probed),
        told=frozenset(search.fired),
    )


def _is_at_rest(model: Model, core: int) -> bool:
    """Nothing of ours is open and nothing is under way, or the process has ended."""
    return all(_is_leg_at_rest(*model.shown(core, which)) for which in range(model.legs_count))


def _is_leg_at_rest(facets: Facets, leg: Leg, shell: Shell) -> bool:
    has_none = (position.S.FLAT, position.S.WATCHED)  # what is watched lasts as long as its owner likes
    is_flat = facets.position in has_none and facets.protection is protection.S.NONE
    is_idle = facets.entry in order.FREE and facets.close in order.FREE
    is_ready = facets.life is lifecycle.S.READY and not leg.contracts
    return not facets.is_running or (is_flat and is_idle and is_ready)


DEAD_ENDS_KEPT = 10
"""States from which nothing leads on: a few are enough to see the defect."""

STATES_AT_ONCE = 1 << 13
"""States that are followed at once: enough for whole columns, and few enough to end soon when something is broken."""
