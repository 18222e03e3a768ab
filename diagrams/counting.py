"""How often each row of each table has answered, while somebody counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anchorwatch.diagrams.catalogue import MACHINES
from anchorwatch.diagrams.conformance import Answer, answer_of
from anchorwatch.machine.kernel import Definition, Effect, Event, Snapshot


@contextmanager
def answers_counted() -> Iterator[Counter[Answer]]:
    """Within the block every step of a table of ours counts the row that answered it, an ignored one too.

    A step that ends in an error was answered by none. A table of somebody else's is not counted: its guards may
    count how often they are asked.
    """
    step, hits, known = Definition.step, Counter[Answer](), tuple(machine.definition for machine in MACHINES)

    def counting(
        definition: Definition[Any], before: Snapshot[Any], event: Event
    ) -> tuple[Snapshot[Any], tuple[Effect, ...]]:
        after, effects = step(definition, before, event)
        if any(definition is one for one in known):
            row = next(
                row
                for row in definition.cell(before.state, type(event))
                if row.when is None or row.when(before.data, event)
            )
            hits[answer_of(definition.name, row)] += 1
        return after, effects

    Definition.step = counting  # type: ignore[method-assign, assignment]
    try:
        yield hits
    finally:
        Definition.step = step  # type: ignore[method-assign]
