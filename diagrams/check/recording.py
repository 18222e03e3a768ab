"""Which rows of the tables answer while something runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from anchorwatch.machine import bot as bots
from anchorwatch.machine.kernel import Definition, Effect, Event, Snapshot

Fired = set[tuple[str, int]]
"""Machine, and the number of its row."""


class Recorded:
    """A definition that notes which of its rows answers, to events and to probes apart."""

    def __init__(self, definition: Definition[Any], fired: Fired, probed: Fired) -> None:
        self._definition = definition
        self._fired = fired
        self._probed = probed
        self._numbers = {id(row): number for number, row in enumerate(definition.rows)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._definition, name)

    def step(self, before: Snapshot[Any], event: Event) -> tuple[Snapshot[Any], tuple[Effect, ...]]:
        number = self._answering(before, event)
        if number is not None:
            self._fired.add((self._definition.name, number))
        return self._definition.step(before, event)

    def probe(self, before: Snapshot[Any], event: Event) -> tuple[Snapshot[Any], tuple[Effect, ...]]:
        """The same for an event that nothing has sent."""
        number = self._answering(before, event)
        if number is not None:
            self._probed.add((self._definition.name, number))
        return self._definition.step(before, event)

    def probe_of_the_past(
        self, before: Snapshot[Any], event: Event
    ) -> tuple[Snapshot[Any], tuple[Effect, ...]]:
        """The same where the event speaks of something earlier: a row that ignores it whatever it speaks of is not for that."""
        number = self._answering(before, event)
        if number is not None and self._definition.rows[number].when is not None:
            self._probed.add((self._definition.name, number))
        return self._definition.step(before, event)

    def _answering(self, before: Snapshot[Any], event: Event) -> int | None:
        """The number of the row that answers; None where the table does not know the event."""
        if type(event) not in self._definition.events:
            return None
        for row in self._definition.cell(before.state, type(event)):
            if row.when is None or row.when(before.data, event):
                return self._numbers[id(row)]
        return None


@contextmanager
def recorded(fired: Fired, probed: Fired) -> Iterator[None]:
    """The tables of the bot, noting which rows answer: ``fired`` to events, ``probed`` to probes."""
    before = dict(bots.DEFINITIONS)
    for part, definition in before.items():
        bots.DEFINITIONS[part] = cast("Definition[Any]", Recorded(definition, fired, probed))
    try:
        yield
    finally:
        bots.DEFINITIONS.update(before)
