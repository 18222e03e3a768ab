"""Breadth first through every state of a model: counts, shortest counterexamples, deadlocks."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import msgspec

from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.model import Model
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.machine import lifecycle, order, position, protection


class Step(msgspec.Struct, frozen=True):
    label: str
    state: int


class Counterexample(msgspec.Struct, frozen=True):
    """The shortest way to a broken property."""

    property: str
    words: str
    steps: tuple[Step, ...]


class Explored(msgspec.Struct, frozen=True):
    """What an exploration found. ``cut``: it ended before everything was seen, at a bound or at a violation."""

    name: str
    states: int
    transitions: int
    depth: int
    seconds: float
    complete: bool
    production_steps: int
    bots: int
    legs: int
    counterexamples: tuple[Counterexample, ...]
    dead_ends: tuple[Step, ...]
    labels: tuple[str, ...]


def explore(
    model: Model, clock: Callable[[], float], violations_max: int = 1, seconds_max: float = float("inf")
) -> Explored:
    """Explore ``model`` completely, or until ``violations_max`` different properties are broken.

    A state that breaks a property is not explored further. ``clock`` gives seconds.
    """
    began = clock()
    search = _Search(model)
    search.run(violations_max, lambda: clock() - began > seconds_max)
    return Explored(
        name=model.bounds.name,
        states=len(search.states),
        transitions=search.transitions,
        depth=search.depth,
        seconds=round(clock() - began, 2),
        complete=search.complete,
        production_steps=model.production.steps,
        bots=len(model.production.bots),
        legs=len(model.legs),
        counterexamples=tuple(search.counterexamples),
        dead_ends=tuple(search.dead_ends),
        labels=tuple(model.labels.values[label] for label in sorted(search.labels)),
    )


class _Search:
    def __init__(self, model: Model) -> None:
        self._model = model
        self.states: dict[int, int] = {}
        self._order: list[int] = []
        self._parents = array("q")
        self._by = array("l")
        self.labels: set[int] = set()
        self.transitions = 0
        self.depth = 0
        self.complete = False
        self.counterexamples: list[Counterexample] = []
        self.dead_ends: list[Step] = []

    def run(self, violations_max: int, is_over: Callable[[], bool]) -> None:
        model = self._model
        self._add(model.initial, -1, -1)
        level_ends, index = 1, 0
        broken_ids: set[str] = set()
        while index < len(self._order):
            if index == level_ends:
                self.depth += 1
                level_ends = len(self._order)
            if len(self._order) > model.bounds.states_max or (index & 1023 == 0 and is_over()):
                return
            state = self._order[index]
            is_dead = True
            for label, after, broken in model.successors(state):
                self.transitions += 1
                is_dead = False
                self.labels.add(label)
                known = after in self.states
                if not broken and not known:
                    broken = model.broken(after)
                if broken:
                    if broken not in broken_ids:
                        broken_ids.add(broken)
                        self._found(broken, index, label, after)
                        if len(broken_ids) >= violations_max:
                            return
                elif not known:
                    self._add(after, index, label)
            if is_dead and not _is_at_rest(*model.shown(state)) and len(self.dead_ends) < DEAD_ENDS_KEPT:
                self.dead_ends.append(Step("nothing can happen", state))
            index += 1
        self.complete = not broken_ids

    def _add(self, state: int, parent: int, label: int) -> None:
        self.states[state] = len(self._order)
        self._order.append(state)
        self._parents.append(parent)
        self._by.append(label)

    def _found(self, broken: str, parent: int, label: int, after: int) -> None:
        steps = [Step(self._model.labels.values[label], after)]
        while parent >= 0:
            words = (
                self._model.labels.values[self._by[parent]] if self._by[parent] >= 0 else "(before the start)"
            )
            steps.append(Step(words, self._order[parent]))
            parent = self._parents[parent]
        name, _, words = broken.partition(": ")
        self.counterexamples.append(Counterexample(name, words, tuple(reversed(steps))))


def _is_at_rest(facets: Facets, leg: Leg, shell: Shell) -> bool:
    """Nothing is open and nothing is under way, or the process has ended."""
    is_flat = facets.position is position.S.FLAT and facets.protection is protection.S.NONE
    is_idle = facets.entry in order.FREE and facets.close in order.FREE
    is_ready = facets.life is lifecycle.S.READY and not leg.contracts
    return not facets.is_running or (is_flat and is_idle and is_ready)


DEAD_ENDS_KEPT = 10
"""States from which nothing leads on: a few are enough to see the defect."""
