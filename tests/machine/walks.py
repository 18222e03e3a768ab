"""Walks through every snapshot that a machine can reach, by the production table itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, get_type_hints

import msgspec

from anchorwatch.machine.kernel import (
    Definition,
    Effect,
    Event,
    Kind,
    Row,
    Snapshot,
    UnexpectedEvent,
    Verdict,
    canonical,
    kinds,
)

SNAPSHOTS_MAX = 20_000  # far above what the machines have: a walk that grows beyond is not finite


class Edge(msgspec.Struct, frozen=True):
    """One step that was taken, and the row that took it."""

    before: Snapshot[Any]
    event: Event
    row: Row
    after: Snapshot[Any]
    effects: tuple[Effect, ...]


class Walk(msgspec.Struct, frozen=True):
    snapshots: tuple[Snapshot[Any], ...]
    edges: tuple[Edge, ...]

    def rows_not_taken(self, definition: Definition[Any]) -> list[Row]:
        """Rows that may happen and never did: either dead or not offered."""
        taken = [id(edge.row) for edge in self.edges]
        return [
            row for row in definition.rows if row.verdict is not Verdict.IMPOSSIBLE and id(row) not in taken
        ]


def row_for(definition: Definition[Any], before: Snapshot[Any], event: Event) -> Row:
    """The row that answers: the first whose guard allows it."""
    return next(
        row
        for row in definition.cell(before.state, type(event))
        if row.when is None or row.when(before.data, event)
    )


def events_naming(kind: type[Event], identities: Iterable[int]) -> Iterator[Event]:
    """One event of that type for every identity offered and every value of its other fields."""
    identities = tuple(identities)
    hints = get_type_hints(kind)
    choices: list[tuple[Any, ...]] = []
    for field in kind.__struct_fields__:
        hint = hints[field]
        known = kinds(kind).get(field)
        if known is Kind.IDENTITY:
            choices.append(identities)
        elif known is Kind.PAYLOAD:
            choices.append(("",))
        elif isinstance(hint, type) and issubclass(hint, Enum):
            choices.append(tuple(hint))
        else:
            assert hint is bool, f"{kind.__name__}.{field}: no finite choice of values"
            choices.append((False, True))
    for values in itertools.product(*choices):
        yield kind(*values)


def walk(
    definition: Definition[Any],
    start: Snapshot[Any],
    identities: Callable[[Snapshot[Any]], Iterable[int]],
    naming_the_next: tuple[type[Event], ...] = (),
) -> Walk:
    """Breadth first from ``start``, offering every event in every snapshot, each canonical snapshot once.

    Events of ``naming_the_next`` bring a new identity: the one after the newest of ``identities``.
    An event that the table calls impossible is no edge; any other refusal fails the walk.
    """
    reached = [start]
    known = {canonical(start)}
    edges = []
    for before in reached:
        assert len(reached) < SNAPSHOTS_MAX, "the walk is not finite"
        for kind in definition.events:
            known_here = tuple(identities(before))
            offered = (max(known_here, default=0) + 1,) if kind in naming_the_next else known_here
            for event in events_naming(kind, offered):
                row = row_for(definition, before, event)
                try:
                    after, effects = definition.step(before, event)
                except UnexpectedEvent:
                    assert row.verdict is Verdict.IMPOSSIBLE, f"{row} refused"
                    continue
                edges.append(Edge(before, event, row, after, effects))
                if canonical(after) not in known:
                    known.add(canonical(after))
                    reached.append(after)
    return Walk(tuple(reached), tuple(edges))
