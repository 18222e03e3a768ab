"""Twins of tables, whose guards answer as they are told and whose actions only leave a mark.

They show what a table does with guard outcomes that the real guards could hardly be
brought to, and which guards were asked on the way.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from anchorwatch.machine.kernel import (
    Action,
    Data,
    Definition,
    Effect,
    Event,
    Guard,
    Row,
    Snapshot,
)


class Told(Data, frozen=True):
    """Which guards say yes, and the marks of the actions so far."""

    yes: tuple[int, ...] = ()
    marks: tuple[int, ...] = ()


class Marked(Effect, frozen=True):
    row: int


class Twin:
    """``definition`` has the shape of ``original``; ``asked`` are the guards asked since it was cleared."""

    def __init__(self, original: Definition[Any]) -> None:
        self.asked: list[int] = []
        self._guards: list[tuple[Guard, Guard]] = []
        self.events: dict[type[Event], type[Event]] = {event: _twin_event(event) for event in original.events}
        self.definition: Definition[Told] = Definition(
            original.name,
            Snapshot(original.initial.state, Told()),
            [self._row(index, row) for index, row in enumerate(original.rows)],
        )

    def _row(self, index: int, row: Row) -> Row:
        return Row(
            row.source,
            self.events[row.event],
            row.dest,
            when=self._guard(row.when) if row.when is not None else None,
            then=_marking(index) if row.then is not None else None,
            because=row.because,
            verdict=row.verdict,
        )

    def _guard(self, original: Guard) -> Guard:
        for known, twin in self._guards:
            if known == original:
                return twin
        number = len(self._guards)

        def told(data: Told, event: Event) -> bool:
            self.asked.append(number)
            return number in data.yes

        self._guards.append((original, told))
        return told

    def cases(self) -> Iterator[tuple[Snapshot[Told], Event]]:
        """Every state, every event, every combination of the outcomes of the cell's guards."""
        twins = [twin for _, twin in self._guards]
        for state, event in itertools.product(self.definition.states, self.definition.events):
            numbers = [twins.index(row.when) for row in self.definition.cell(state, event) if row.when]
            for outcomes in itertools.product((False, True), repeat=len(numbers)):
                yes = tuple(number for number, outcome in zip(numbers, outcomes, strict=True) if outcome)
                yield Snapshot(state, Told(yes)), event()


def _twin_event(event: type[Event]) -> type[Event]:
    """An event of the same name that needs no fields."""
    twin = msgspec.defstruct(event.__name__, [], bases=(Event,), frozen=True)
    assert issubclass(twin, Event)
    return twin


def _marking(index: int) -> Action:
    def mark(data: Told, event: Event) -> tuple[Told, tuple[Effect, ...]]:
        return Told(data.yes, (*data.marks, index)), (Marked(index),)

    return mark
