"""Breadth first through every state of a model: counts, shortest counterexamples, dead ends."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.model import LABEL_BITS, LABEL_MASK, Model
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets
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


class Search:
    """One exploration. Its states are (core, purse); the way to each is kept."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.states: array[int] = array("q")
        self._parents: array[int] = array("q")
        self._by: array[int] = array("l")
        self.fired: Fired = model.fired
        self.probed: Fired = set()
        self.labels: set[int] = set()
        self.transitions = 0
        self.depth = 0
        self.complete = False
        self.counterexamples: list[Counterexample] = []
        self.dead_ends: list[Counterexample] = []
        self._broken_ids: set[str] = set()
        self._first: dict[int, int] | None = None

    def run(self, violations_max: int, is_over: Callable[[], bool]) -> None:
        """Explore until everything is seen, or ``violations_max`` different properties are broken, or it is over.

        A state that breaks a property is not explored further.
        """
        with _without_collecting(), recorded(self.fired, self.probed):
            self._run(violations_max, is_over)
        for edges in self.model.computed():
            self.labels.update(packed & LABEL_MASK for packed in edges)

    def _run(self, violations_max: int, is_over: Callable[[], bool]) -> None:
        model, states = self.model, self.states
        purses, affordable, count = model.purses, model.purses.affordable, model.purses.count
        edges_of, broken = model.edges, model.broken
        seen = bytearray(count)
        states.append(model.initial * count + purses.full)
        self._parents.append(-1)
        self._by.append(-1)
        seen[states[0]] = 1
        add, add_parent, add_label = states.append, self._parents.append, self._by.append
        level_ends, index, transitions = 1, 0, 0
        bound = model.bounds.states_max
        while index < len(states):
            if index == level_ends:
                self.depth += 1
                level_ends = len(states)
            if len(states) > bound or (index & 1023 == 0 and is_over()):
                self.transitions = transitions
                return
            core, purse = divmod(states[index], count)
            was = transitions
            for cost, left in affordable[purse]:
                edges = edges_of(core, cost)
                short = len(model.verdicts) * count - len(seen)
                if short > 0:
                    seen += bytes(short)
                transitions += len(edges)
                for packed in edges:
                    after = (packed >> LABEL_BITS) * count + left
                    if not seen[after]:
                        seen[after] = 1
                        add(after)
                        add_parent(index)
                        add_label(packed & LABEL_MASK)
                if (core, cost) in broken:
                    transitions += len(broken[core, cost])
                    if self._break(core, cost, index, violations_max):
                        self.transitions = transitions
                        return
            if transitions == was and not _is_at_rest(model, core) and len(self.dead_ends) < DEAD_ENDS_KEPT:
                self.dead_ends.append(Counterexample("dead end", "nothing leads on", self.way_to(index)))
            index += 1
        self.transitions = transitions
        self.complete = not self._broken_ids

    def _break(self, core: int, cost: int, index: int, violations_max: int) -> bool:
        """Note what is broken here for the first time; says whether that is enough."""
        for one in self.model.broken[core, cost]:
            if one.name not in self._broken_ids:
                self._broken_ids.add(one.name)
                last = Step(self.model.labels.values[one.label], one.after)
                name, _, words = one.name.partition(": ")
                self.counterexamples.append(Counterexample(name, words, (*self.way_to(index), last)))
        return len(self._broken_ids) >= violations_max

    def index_of(self, core: int) -> int | None:
        """The number of the first state with this core; None when it was not reached."""
        if self._first is None:
            self._first = {}
            count = self.model.purses.count
            for index, state in enumerate(self.states):
                self._first.setdefault(state // count, index)
        return self._first.get(core)

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
        for index, by in enumerate(self._by):
            label = self.model.labels.values[by] if by >= 0 else ""
            if label and label not in ways:
                ways[label] = self.way_to(index)
        return ways

    def way_to(self, index: int) -> tuple[Step, ...]:
        """The shortest way to the state of this number, from before the start."""
        count, steps = self.model.purses.count, []
        while index >= 0:
            by = self._by[index]
            words = self.model.labels.values[by] if by >= 0 else "(before the start)"
            steps.append(Step(words, self.states[index] // count))
            index = self._parents[index]
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
        states=len(search.states),
        cores=len(model.cores),
        transitions=search.transitions,
        depth=search.depth,
        seconds=round(seconds, 2),
        complete=search.complete,
        production_steps=model.production.steps,
        bots=len(model.production.bots),
        legs=len(model.legs),
        counterexamples=tuple(search.counterexamples),
        dead_ends=tuple(search.dead_ends),
        labels=tuple(sorted(model.labels.values[label] for label in search.labels)),
        rows=frozenset(search.fired | search.probed),
    )


def _is_at_rest(model: Model, core: int) -> bool:
    """Nothing is open and nothing is under way, or the process has ended."""
    return all(_is_leg_at_rest(*model.shown(core, which)) for which in range(model.legs_count))


def _is_leg_at_rest(facets: Facets, leg: Leg, shell: Shell) -> bool:
    is_flat = facets.position is position.S.FLAT and facets.protection is protection.S.NONE
    is_idle = facets.entry in order.FREE and facets.close in order.FREE
    is_ready = facets.life is lifecycle.S.READY and not leg.contracts
    return not facets.is_running or (is_flat and is_idle and is_ready)


DEAD_ENDS_KEPT = 10
"""States from which nothing leads on: a few are enough to see the defect."""
