"""What must happen in the end: no fair run stays for ever where something is pending.

Every run has finitely many faults, crashes and entries, so it ends in steps that are free.
What is pending for ever is then a dead end or a cycle of free steps, all of it pending. A
cycle counts only if it is *fair*: a step that can be taken in every one of its states is
taken in it (weak fairness). Steps that somebody chooses - the strategy, the operator, the
market - are never expected; where a property needs the market or the venue to come round
after enough asking, it says so (*strong* fairness of the labels that it names).

Cycles are found as strongly connected components, without any reduction by symmetry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec
import numpy as np

from anchorwatch.diagrams.check.columns import Numbers, Truths
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.model import LABEL_BITS, LABEL_MASK, Model
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.diagrams.check.purse import Cost
from anchorwatch.diagrams.check.search import Counterexample, Search, Step
from anchorwatch.machine import connection, lifecycle, order, permission, position, protection, reconciliation

CHOSEN = (
    "the strategy", "a better level", "the operator", "a limit", "a fact", "somebody", "the bot is asked",
    "time to check the account", "the entry fills", "the close fills", "the child fills", "the venue cancels",
    "the stop triggers", "another stop of ours triggers", "the market",
)  # fmt: skip
"""How the labels begin of what somebody chooses: nothing may be expected of it."""


TIME = (
    "the deadline of", "time to ask", "time to try", "time to read", "naked for too long", "the triggered stop is overdue",
    "the entry is overdue", "the close is overdue", "the late stop is refused", "a late stop of before is refused",
    "the wait is over", "live has lasted", "no answer comes",
    "the venue's history has not shown an end for long", "the venue's lists catch up",
)  # fmt: skip
"""How the labels begin of what only takes time: it cannot fail to pass for ever, whatever is under way."""


class Promise(msgspec.Struct, frozen=True):
    """A property of liveness. ``strong`` are beginnings of labels that cannot be withheld from for ever."""

    id: str
    words: str
    is_pending: Callable[[Facets], bool]
    concerns: Callable[[Leg], bool] | None = None
    strong: tuple[str, ...] = ()

    @property
    def fairness(self) -> str:
        named = ", ".join(f"'{words} …'" for words in self.strong)
        words = "weak, of every step that nobody chooses; strong, of the time that passes"
        return words + (f" and of {named}" if named else "")


def _is_starting(facets: Facets) -> bool:
    return facets.is_running and facets.life in lifecycle.STAGES


def _is_link_lost(facets: Facets) -> bool:
    return facets.is_running and facets.is_link_opening


def _is_in_doubt(facets: Facets) -> bool:
    return facets.is_running and order.S.IN_DOUBT in (facets.entry, facets.close)


def _is_naked(facets: Facets) -> bool:
    is_uncovered = facets.protection in (*protection.UNCOVERED, protection.S.ESCALATING)
    return facets.is_running and facets.position in position.HELD and is_uncovered


def _is_untold(facets: Facets) -> bool:
    """READY, and nobody was told of a position that is gone without a cause."""
    return facets.life is lifecycle.S.READY and facets.position is not position.S.UNEXPLAINED


def _differs(leg: Leg) -> bool:
    return leg.booked != leg.contracts


def _is_moving(facets: Facets) -> bool:
    return facets.is_running and facets.protection is protection.S.MOVING


def _is_stopping(facets: Facets) -> bool:
    return facets.life is lifecycle.S.STOPPING


def _is_frozen(facets: Facets) -> bool:
    is_away = facets.reconciliation not in (reconciliation.S.SETTLED, reconciliation.S.CHECKING)
    is_ready = facets.life is lifecycle.S.READY
    return is_ready and is_away and facets.permission is not permission.S.HALTED


ABSENT_FOR_GOOD = tuple(
    words
    for name in ("entry", "close")
    for words in (
        f"answer about the {name}: absent for good",
        f"the venue does not find the {name}, past its deadline",
    )
)
EXECUTED = ("the close fills", "the child fills")

PROMISES: tuple[Promise, ...] = (
    Promise(
        "L1",
        "every start reaches READY or STOPPED",
        _is_starting,
        strong=(*EXECUTED, *ABSENT_FOR_GOOD, "a fact is gained"),
    ),
    Promise("L2", "a lost connection is live again, exhausted or closed", _is_link_lost),
    Promise("L3", "an order in doubt is settled", _is_in_doubt, strong=ABSENT_FOR_GOOD),
    Promise("L4", "a naked position is covered or flat", _is_naked, strong=(*EXECUTED, *ABSENT_FOR_GOOD)),
    Promise(
        "L5",
        "a difference between book and exchange is mended or told",
        _is_untold,
        _differs,
        # What a reading of old made of the book, the next one mends.
        strong=(*EXECUTED, *ABSENT_FOR_GOOD, "time to check the account"),
    ),
    Promise("L6", "a stop that is moved covers again, or the position is being closed", _is_moving),
    Promise("L7", "a bot that is stopping stops", _is_stopping, strong=(*EXECUTED, *ABSENT_FOR_GOOD)),
    Promise("L8", "entries that are frozen are thawed or halted", _is_frozen),
)


class Graph:
    """The free steps of an exploration, as columns."""

    def __init__(self, search: Search) -> None:
        self.search = search
        model = self.model = search.model
        self.heads, steps = model.steps(np.arange(len(model)) * len(Cost) + Cost.FREE)
        self.tails, self.labels = steps >> LABEL_BITS, steps & LABEL_MASK

    def pending(self, promise: Promise, which: int) -> Truths:
        """By core: whether something is pending there for one leg."""
        model, production = self.model, self.model.production
        of_facets = np.array([promise.is_pending(one) for one in production.facets.values], dtype=np.bool_)
        pending: Truths = of_facets[production.facets_of[which].values[model.core_bots.values]]
        if promise.concerns is not None:
            pending &= model.concerned(promise.concerns)[model.core_legs[which].values]
        return pending

    def enabled(self, cores: Iterable[int]) -> dict[int, frozenset[int]]:
        """By core: the labels of the steps that can be taken there."""
        distinct = np.array(sorted(cores), dtype=np.int64)
        owners, steps = self.model.steps(distinct * len(Cost) + Cost.FREE)
        labels: dict[int, set[int]] = {core: set() for core in distinct.tolist()}
        for core, label in zip(distinct[owners].tolist(), (steps & LABEL_MASK).tolist(), strict=True):
            labels[core].add(label)
        return {core: frozenset(found) for core, found in labels.items()}


def broken_promise(graph: Graph, promise: Promise) -> Counterexample | None:
    """The shortest way to where ``promise`` is pending for ever, and what goes on there; None when it is kept."""
    model = graph.model
    chosen = _labels(model, CHOSEN)
    strong = _labels(model, (*promise.strong, *TIME))
    for which in range(model.legs_count):
        pending = graph.pending(promise, which)
        expected = np.bincount(
            graph.heads[~np.isin(graph.labels, list(chosen - strong))], minlength=len(pending)
        )
        ends = np.flatnonzero(pending & (expected == 0))
        dead = [core for core in ends.tolist() if graph.search.index_of(core) is not None]
        if dead:
            return _told(graph, promise, "nothing that may be expected leads on", [dead[0]], ())
        inside = pending[graph.heads] & pending[graph.tails]
        heads, tails, labels = graph.heads[inside], graph.tails[inside], graph.labels[inside]
        for component in _cycles(heads, tails, labels):
            found = _fair(graph, component, chosen - strong, strong)
            if found is not None:
                return _told(graph, promise, "it goes on for ever", sorted(found.cores), found.steps)
    return None


def is_witnessed(graph: Graph, promise: Promise) -> bool:
    """Whether anything is ever pending."""
    return any(bool(graph.pending(promise, which).any()) for which in range(graph.model.legs_count))


class _Component(msgspec.Struct):
    cores: set[int]
    steps: tuple[tuple[int, int, int], ...]  # head, label, tail: those that stay inside


def _labels(model: Model, beginnings: tuple[str, ...]) -> frozenset[int]:
    """The labels that begin so, when whose step it is has been taken away."""
    names = ("short: ", *(f"{name.value}: " for name in connection.Name))
    found = set()
    for number, label in enumerate(model.labels.values):
        words = next((label.removeprefix(name) for name in names if label.startswith(name)), label)
        if words.startswith(beginnings):
            found.add(number)
    return frozenset(found)


def _fair(
    graph: Graph, component: _Component, chosen: frozenset[int], strong: frozenset[int]
) -> _Component | None:
    """A part of ``component`` that a fair run may never leave, or None."""
    inside = {label for _, label, _ in component.steps}
    enabled = graph.enabled(component.cores)
    always = frozenset.intersection(*enabled.values())
    if any(label not in inside for label in always - chosen):
        return None  # a step that waits all the time is taken at last, and leads out
    withheld = strong - inside
    left = {core for core, labels in enabled.items() if not labels & withheld}
    if len(left) == len(component.cores):
        return component
    rest = [step for step in component.steps if step[0] in left and step[2] in left]
    if not rest:
        return None
    heads, labels, tails = (np.array(column, dtype=np.int64) for column in zip(*rest, strict=True))
    for part in _cycles(heads, tails, labels):
        found = _fair(graph, part, chosen, strong)
        if found is not None:
            return found
    return None


def _cycles(heads: Numbers, tails: Numbers, labels: Numbers) -> Iterator[_Component]:
    """The strongly connected components that hold a cycle."""
    heads, tails, labels = _trimmed(heads, tails, labels)
    after: dict[int, list[tuple[int, int]]] = {}
    for head, label, tail in zip(heads.tolist(), labels.tolist(), tails.tolist(), strict=True):
        after.setdefault(head, []).append((label, tail))
    for cores in _components(after):
        steps = tuple((core, label, tail) for core in cores for label, tail in after[core] if tail in cores)
        if steps:
            yield _Component(cores, steps)


def _trimmed(heads: Numbers, tails: Numbers, labels: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Without what leads from nowhere or to nowhere: it is on no cycle."""
    while len(heads):
        count = int(max(heads.max(), tails.max())) + 1
        has_before, has_after = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
        has_before[tails], has_after[heads] = True, True
        kept = has_before[heads] & has_after[tails]
        if kept.all():
            break
        heads, tails, labels = heads[kept], tails[kept], labels[kept]
    return heads, tails, labels


def _components(after: dict[int, list[tuple[int, int]]]) -> Iterator[set[int]]:
    """Tarjan's algorithm, without recursion."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in after:
        if root in index:
            continue
        work = [(root, iter(after[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            core, steps = work[-1]
            for _, tail in steps:
                if tail not in index:
                    if tail not in after:
                        continue
                    index[tail] = low[tail] = len(index)
                    stack.append(tail)
                    on_stack.add(tail)
                    work.append((tail, iter(after[tail])))
                    break
                if tail in on_stack:
                    low[core] = min(low[core], index[tail])
            else:
                work.pop()
                if work:
                    below = work[-1][0]
                    low[below] = min(low[below], low[core])
                if low[core] == index[core]:
                    found = set()
                    while core not in found:
                        found.add(one := stack.pop())
                        on_stack.discard(one)
                    yield found


def _told(
    graph: Graph, promise: Promise, words: str, cores: list[int], steps: tuple[tuple[int, int, int], ...]
) -> Counterexample:
    """The shortest way to one of ``cores``, and one round from there."""
    indices = [(index, core) for core in cores if (index := graph.search.index_of(core)) is not None]
    index, core = min(indices)
    way = graph.search.way_to(index)
    return Counterexample(promise.id, words, way, _round(graph, core, steps))


def _round(graph: Graph, start: int, steps: tuple[tuple[int, int, int], ...]) -> tuple[Step, ...]:
    """The shortest way from ``start`` back to it."""
    after: dict[int, list[tuple[int, int]]] = {}
    for head, label, tail in steps:
        after.setdefault(head, []).append((label, tail))
    ways: dict[int, tuple[Step, ...]] = {}
    queue: list[tuple[int, tuple[Step, ...]]] = [(start, ())]
    for core, way in queue:
        for label, tail in after.get(core, ()):
            longer = (*way, Step(graph.model.labels.values[label], tail))
            if tail == start:
                return longer
            if tail not in ways:
                ways[tail] = longer
                queue.append((tail, longer))
    return ()
