"""The compiled table and `transitions` give the same answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorwatch.diagrams.catalogue import MACHINES, Machine
from anchorwatch.machine.kernel import (
    Definition,
    Effect,
    Event,
    Row,
    Snapshot,
    State,
    UnexpectedEvent,
    Verdict,
)
from tests.machine.twins import Told, Twin

Answer = tuple[Snapshot[Told], tuple[Effect, ...]] | str


def answers(twin: Twin, before: Snapshot[Told], event: Event) -> tuple[Answer, Answer]:
    """Both answers, an error being its text; fails unless both ask the same guards in the same order."""
    asked = []
    given_: list[Answer] = []
    for step in (twin.definition.step, twin.definition.step_interpreted):
        twin.asked.clear()
        try:
            given_.append(step(before, event))
        except UnexpectedEvent as error:
            given_.append(str(error).removeprefix(f"{twin.definition.name}: "))
        asked.append(tuple(twin.asked))
    assert asked[0] == asked[1], f"{event} in {before.state}: other guards were asked"
    return given_[0], given_[1]


def assert_same_everywhere(original: Definition[Any]) -> int:
    twin = Twin(original)
    count = 0
    for before, event in twin.cases():
        compiled, interpreted = answers(twin, before, event)
        assert compiled == interpreted, f"{type(event).__name__} in {before.state.name}, {before.data.yes}"
        count += 1
    return count


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_compiled_and_interpreted_agree_on_every_cell_and_guard_outcome(machine: Machine) -> None:
    cells = len(machine.definition.states) * len(machine.definition.events)
    assert assert_same_everywhere(machine.definition) >= cells


# Tables that nobody would write.


class One(State):
    A = 1


class Two(State):
    A = 1
    B = 2


class Four(State):
    A = 1
    B = 2
    C = 3
    D = 4


class E0(Event, frozen=True):
    pass


class E1(Event, frozen=True):
    pass


class E2(Event, frozen=True):
    pass


def g0(data: Any, event: Event) -> bool:
    raise AssertionError("twins answer instead")


def g1(data: Any, event: Event) -> bool:
    raise AssertionError("twins answer instead")


def g2(data: Any, event: Event) -> bool:
    raise AssertionError("twins answer instead")


def act(data: Any, event: Event) -> tuple[Any, tuple[Effect, ...]]:
    raise AssertionError("twins answer instead")


def answer(row: Row) -> tuple[object, ...]:
    return row.dest, row.then, row.verdict


@st.composite
def tables(draw: st.DrawFn) -> Definition[Told]:
    """Any table that is accepted: the first event leads round through all states, so each is reached."""
    states = tuple(draw(st.sampled_from((One, Two, Four))))
    events = draw(st.sampled_from(((E0,), (E0, E1), (E0, E1, E2))))
    rows: list[Row] = []
    for index, state in enumerate(states):
        for event in events:
            cell: list[Row] = []
            guards = draw(st.lists(st.sampled_from((g0, g1, g2)), unique=True))
            for guard in (*guards, None):
                verdict = draw(st.sampled_from(tuple(Verdict)))
                dest = draw(st.sampled_from(states))
                then = draw(st.sampled_from((act, None)))
                if event is E0 and guard is None:
                    verdict, dest = Verdict.MOVES, states[(index + 1) % len(states)]
                if verdict is not Verdict.MOVES:
                    dest, then = state, None
                cell.append(Row(state, event, dest, guard, then, because="some reason", verdict=verdict))
            *guarded, last = cell
            while guarded and answer(guarded[-1]) == answer(last):
                guarded.pop()  # its guard would decide nothing, which is refused
            rows += [*guarded, last]
    return Definition("drawn", Snapshot(states[0], Told()), rows)


@settings(max_examples=60, deadline=None)
@given(tables())
def test_compiled_and_interpreted_agree_on_tables_that_nobody_would_write(table: Definition[Told]) -> None:
    assert_same_everywhere(table)
