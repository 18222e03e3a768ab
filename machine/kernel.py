"""Runs a transition table, and does nothing else.

Theory of operation
===================

``Definition.step`` takes a snapshot and one event and returns the next snapshot
and the effects that the transition asked for.  It never awaits, never reads a
clock and never performs an effect: the shell in ``io/`` does all three.

`transitions` is the interpreter.  It is built once per definition, with the
switches that keep it predictable, and is reached only from this file:

* no automatic ``to_<state>()`` triggers, which would be doors around the table;
* an event that no row accepts is an error, and so is an event whose guards all
  refuse it (`transitions` itself reports the second case only as ``False``);
* actions compute and return; they cannot trigger, so nothing is re-entrant.

For the hot path the same rows are compiled once into a dictionary.  ``step`` uses
it; ``step_interpreted`` asks `transitions`; a property test holds them equal on
every table, state, event and guard outcome.

**Every cell is decided.**  For each state and each event of a table there is a
row, an *ignored* row with its reason, or an *impossible* row with its reason; the
last row of a cell has no guard.  Anything else is refused when the module is
imported, and so are duplicate rows, rows that can never fire, rows whose guard
decides nothing because the row below answers the same, and states that nothing
leads to.

**Data are declared by type.**  What a snapshot holds beside its state is *control*
(enums, booleans, small counters: explored exactly), *identity* (epochs and
sequences: only compared or advanced) or *payload* (decides nothing).  ``Identity``
and ``Payload`` mark fields of the last two kinds; ``canonical`` needs no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import transitions

from anchorwatch.machine.units import Word


class State(Word):
    """A state of one machine. Hashed by identity: members are singletons, and the hot path looks them up."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened. Named in the past tense."""


class Effect(msgspec.Struct, frozen=True, gc=False):
    """Something for the shell to do. Named in the imperative."""


class Data(msgspec.Struct, frozen=True, gc=False):
    """What the state alone does not say: small, frozen, hashable, finite up to renaming."""


class Kind(Enum):
    """What part a field of an event, an effect or of data plays in the behaviour."""

    IDENTITY = "only compared or advanced, never looked into"
    PAYLOAD = "decides nothing"


Identity = Annotated[int, Kind.IDENTITY]
"""An epoch or a sequence number: the next one is larger, and that is all that it means."""

Reason = Annotated[str, Kind.PAYLOAD]
"""Words for people: carried along, never looked at."""

D = TypeVar("D", bound=Data)
Step = tuple[D, tuple[Effect, ...]]
Guard = Callable[[Any, Any], bool]
Action = Callable[[Any, Any], tuple[Any, tuple[Effect, ...]]]


class UnexpectedEvent(Exception):
    """The table has no answer for this event in this state: a defect of ours, so the engine stops."""


class BadTable(ValueError):
    """The rows are not a table: a cell is undecided, a row repeated, out of reach or superfluous."""


class Verdict(Enum):
    """How a cell answers."""

    MOVES = "moves"
    IGNORED = "ignored"
    IMPOSSIBLE = "impossible"


class Row(msgspec.Struct, frozen=True):
    """One line of a table: in ``source``, on ``event``, when ``when`` allows it, ``then`` and go to ``dest``.

    ``because`` is the reason of an ignored or impossible row, and a remark on any other.
    """

    source: State
    event: type[Event]
    dest: State
    when: Guard | None = None
    then: Action | None = None
    because: str = ""
    verdict: Verdict = Verdict.MOVES


def ignored(
    states: Iterable[State], events: Iterable[type[Event]], because: str, when: Guard | None = None
) -> tuple[Row, ...]:
    """Rows for what may happen here and does not matter."""
    events = tuple(events)
    return tuple(
        Row(state, event, state, when=when, because=because, verdict=Verdict.IGNORED)
        for state in states
        for event in events
    )


def ignored_before(
    rows: Sequence[Row], states: Iterable[State], events: Iterable[type[Event]], because: str, when: Guard
) -> tuple[Row, ...]:
    """Rows that ignore, under a guard, what ``rows`` would otherwise answer; none where they ignore it anyway."""
    first = {(row.source, row.event): row for row in reversed(rows)}
    anyway = {cell for cell, row in first.items() if row.verdict is Verdict.IGNORED and row.when is None}
    guarded = ignored(states, events, because, when)
    return tuple(row for row in guarded if (row.source, row.event) not in anyway)


def impossible(states: Iterable[State], events: Iterable[type[Event]], because: str) -> tuple[Row, ...]:
    """Rows for what cannot happen here: should it, that is a defect of ours and an ``UnexpectedEvent``."""
    events = tuple(events)
    return tuple(
        Row(state, event, state, because=because, verdict=Verdict.IMPOSSIBLE)
        for state in states
        for event in events
    )


class Snapshot(msgspec.Struct, Generic[D], frozen=True, gc=False):
    """Everything that a machine is between two events."""

    state: State
    data: D


class Definition(Generic[D]):
    """One machine: its name, its initial snapshot and its table.

    Raises `BadTable` at construction when a cell is undecided, a row repeated, out
    of reach or superfluous, or a state out of reach.
    """

    def __init__(self, name: str, initial: Snapshot[D], rows: Iterable[Row]) -> None:
        self.name = name
        self.initial = initial
        self.rows = tuple(rows)
        self.states: tuple[State, ...] = tuple(type(initial.state))
        self.events: tuple[type[Event], ...] = tuple(dict.fromkeys(row.event for row in self.rows))
        cells = _cells(self.rows)
        _reject_bad_cells(name, self.states, self.events, cells)
        _reject_unreachable_states(name, initial.state, self.rows)
        self._cells = cells
        self._compiled = _compile(self.events, cells)

    def cell(self, state: State, event: type[Event]) -> tuple[Row, ...]:
        """The rows that answer ``event`` in ``state``, in the order in which they are tried."""
        return self._cells[state, event]

    def step(self, before: Snapshot[D], event: Event) -> tuple[Snapshot[D], tuple[Effect, ...]]:
        """The next snapshot and what the shell is to do.

        Raises `UnexpectedEvent` where the table says that this cannot happen, or
        does not know the event at all.
        """
        by_state = self._compiled.get(type(event))
        if by_state is not None:
            data = before.data
            for when, then, dest, possible in by_state[before.state]:
                if when is None or when(data, event):
                    if not possible:
                        break
                    if then is None:
                        return (before if dest is before.state else Snapshot(dest, data)), ()
                    data, effects = then(data, event)
                    return Snapshot(dest, data), effects
        raise self._unexpected(before, event)

    def step_interpreted(self, before: Snapshot[D], event: Event) -> tuple[Snapshot[D], tuple[Effect, ...]]:
        """The same as `step`, answered by `transitions` itself: slower, and the yardstick for it."""
        return self._interpreter.step(before, event)

    @cached_property
    def _interpreter(self) -> _Interpreter:
        return _Interpreter(self)

    def _unexpected(self, before: Snapshot[D], event: Event) -> UnexpectedEvent:
        rows = self._cells.get((before.state, type(event)), ())
        reason = next((row.because for row in rows if row.verdict is Verdict.IMPOSSIBLE), "no row accepts it")
        return UnexpectedEvent(f"{self.name}: {type(event).__name__} in {before.state.name}: {reason}")


class _Cursor:
    """The model that `transitions` moves; reloaded for every step."""

    state: State
    data: Any
    effects: tuple[Effect, ...]
    trigger: Callable[[str, Event], bool]


class _Interpreter:
    def __init__(self, definition: Definition[Any]) -> None:
        self._definition = definition
        self._cursor = _Cursor()
        self._machine = transitions.Machine(
            model=self._cursor,
            states=list(definition.states),
            initial=definition.initial.state,
            transitions=[_as_transition(row, definition.name) for row in definition.rows],
            auto_transitions=False,
            send_event=True,
        )

    def step(self, before: Snapshot[Any], event: Event) -> tuple[Snapshot[Any], tuple[Effect, ...]]:
        cursor = self._cursor
        cursor.state, cursor.data, cursor.effects = before.state, before.data, ()
        if type(event) not in self._definition.events:
            raise self._definition._unexpected(before, event)
        # `transitions` answers False, without a word, when every guard refuses.
        if not cursor.trigger(type(event).__name__, event):
            raise self._definition._unexpected(before, event)
        return Snapshot(cursor.state, cursor.data), cursor.effects


def _as_transition(row: Row, machine: str) -> dict[str, Any]:
    def allowed(call: Any) -> bool:
        if row.when is not None and not row.when(call.model.data, call.args[0]):
            return False
        if row.verdict is Verdict.IMPOSSIBLE:
            raise UnexpectedEvent(f"{machine}: {row.event.__name__} in {row.source.name}: {row.because}")
        return True

    def apply(call: Any) -> None:
        if row.then is not None:
            call.model.data, call.model.effects = row.then(call.model.data, call.args[0])

    return {
        "trigger": row.event.__name__,
        "source": row.source,
        "dest": row.dest,
        "conditions": [allowed],
        "before": [apply],
    }


Cells = Mapping[tuple[State, type[Event]], tuple[Row, ...]]
Answers = tuple[tuple[Guard | None, Action | None, State, bool], ...]


def _cells(rows: tuple[Row, ...]) -> Cells:
    cells: dict[tuple[State, type[Event]], tuple[Row, ...]] = {}
    for row in rows:
        key = (row.source, row.event)
        cells[key] = (*cells.get(key, ()), row)
    return cells


def _compile(events: tuple[type[Event], ...], cells: Cells) -> dict[type[Event], dict[State, Answers]]:
    compiled: dict[type[Event], dict[State, Answers]] = {event: {} for event in events}
    for (state, event), rows in cells.items():
        compiled[event][state] = tuple(
            (row.when, row.then, row.dest, row.verdict is not Verdict.IMPOSSIBLE) for row in rows
        )
    return compiled


def _reject_bad_cells(
    name: str, states: tuple[State, ...], events: tuple[type[Event], ...], cells: Cells
) -> None:
    for event in events:
        for state in states:
            where = f"{name}: {event.__name__} in {state.name}"
            rows = cells.get((state, event))
            if rows is None:
                raise BadTable(f"{where}: undecided; add a row, or say why it is ignored or impossible")
            if any(row.when is None for row in rows[:-1]):
                raise BadTable(f"{where}: unreachable row below one without a guard")
            if rows[-1].when is not None:
                raise BadTable(f"{where}: undecided when every guard refuses; end with a row without a guard")
            guards = [row.when for row in rows]
            if len(set(guards)) < len(guards):
                raise BadTable(f"{where}: duplicate row")
            if len({(row.dest, row.then, row.verdict) for row in rows[-2:]}) < len(rows[-2:]):
                raise BadTable(f"{where}: superfluous guard: the row below answers the same")
            for row in rows:
                if row.verdict is not Verdict.MOVES and not row.because:
                    raise BadTable(f"{where}: {row.verdict.value} without a reason")


def _reject_unreachable_states(name: str, initial: State, rows: tuple[Row, ...]) -> None:
    reached = [initial]
    for state in reached:
        reached += [
            row.dest
            for row in rows
            if row.source is state and row.verdict is Verdict.MOVES and row.dest not in reached
        ]
    for state in type(initial):
        if state not in reached:
            raise BadTable(f"{name}: nothing leads to {state.name}")


def _kinds(struct: type[msgspec.Struct]) -> dict[str, Kind]:
    """Fields that are marked as identity or payload; all others are control."""
    kinds: dict[str, Kind] = {}
    for field, hint in get_type_hints(struct, include_extras=True).items():
        if get_origin(hint) is Annotated:
            marks = [mark for mark in get_args(hint)[1:] if isinstance(mark, Kind)]
            if marks:
                kinds[field] = marks[0]
    return kinds


_KINDS: dict[type[msgspec.Struct], dict[str, Kind]] = {}


def kinds(struct: type[msgspec.Struct]) -> dict[str, Kind]:
    """Which fields of a data, event or effect type are identity and which are payload."""
    found = _KINDS.get(struct)
    if found is None:
        found = _KINDS[struct] = _kinds(struct)
    return found


def identities(value: msgspec.Struct) -> tuple[int, ...]:
    """The identities that a data, event or effect holds, in the order of its fields."""
    return tuple(getattr(value, field) for field, kind in kinds(type(value)).items() if kind is Kind.IDENTITY)


S = TypeVar("S", bound=msgspec.Struct)


def renamed(value: S, names: Mapping[int, int]) -> S:
    """The same value with every identity replaced: the one generic renaming of the proofs."""
    changes = {
        field: names[getattr(value, field)]
        for field, kind in kinds(type(value)).items()
        if kind is Kind.IDENTITY
    }
    return msgspec.structs.replace(value, **changes) if changes else value


def canonical(snapshot: Snapshot[D]) -> Snapshot[D]:
    """One representative of all snapshots that behave alike: identities by rank, payload erased.

    Zero stays zero: it means that there is none yet, which is not the same as an old one.
    """
    data = snapshot.data
    given = sorted(value for value in set(identities(data)) if value)
    ranks = {0: 0, **{value: rank for rank, value in enumerate(given, start=1)}}
    erased = {field: "" for field, kind in kinds(type(data)).items() if kind is Kind.PAYLOAD}
    data = renamed(data, ranks)
    return Snapshot(snapshot.state, msgspec.structs.replace(data, **erased) if erased else data)


class Move(Effect, frozen=True):
    """One transition that was taken: what the log, the matrix and the drawings speak of.

    It stands among the effects, in its place: what a transition asks for comes after it.
    """

    machine: str
    id: str
    source: str
    trigger: str
    dest: str
    cause: str = ""
