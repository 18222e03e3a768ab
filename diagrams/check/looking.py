"""Rules that are remembered by what they looked at.

A rule is a function of the legs and of the bot's facets. It is run once on *views*, which
note every field that is read and every field that is changed; its answer then holds for
every state that agrees in the fields that were read. What is explored stays the rule
itself: a state in which it would look at anything else leads to a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

from anchorwatch.diagrams.check.leg import FIELDS, Leg, LegView
from anchorwatch.diagrams.check.production import Facets, Interned

Vector = tuple[Any, ...]
"""The fields of every leg, each by number, and then those of the facets as they are."""

LEG_FIELDS = len(FIELDS)
FACET_FIELDS = {name: number for number, name in enumerate(Facets.__struct_fields__)}

Answer = TypeVar("Answer", bound=tuple[Any, ...])


class Tables:
    """Numbers for the values of every field of a leg."""

    def __init__(self) -> None:
        self.of_field: tuple[Interned[Any], ...] = tuple(Interned() for _ in FIELDS)

    def concerned(self, claim: Callable[[Leg], bool]) -> Callable[[tuple[int, ...]], bool]:
        """The same claim about a leg's vector, remembered by what it looks at."""
        memo = Memo()

        def of(vector: tuple[int, ...]) -> bool:
            found = memo.find(vector)
            if found is None:
                look = Look(self, vector)
                answer = (claim(look.leg()),)
                found = memo.keep(vector, look.reads, answer)
            return bool(found[0])

        return of

    def vector(self, leg: Leg) -> tuple[int, ...]:
        return tuple(table(getattr(leg, name)) for name, table in zip(FIELDS, self.of_field, strict=True))

    def leg(self, vector: tuple[int, ...]) -> Leg:
        return Leg(*(table.values[number] for number, table in zip(vector, self.of_field, strict=True)))


class Look:
    """One run of a rule: what it reads of a vector, in the order in which it does."""

    def __init__(self, tables: Tables, vector: Vector) -> None:
        self._tables = tables
        self._vector = vector
        self._reads: dict[int, None] = {}

    @property
    def reads(self) -> list[int]:
        return list(self._reads)

    def leg(self, which: int = 0) -> Leg:
        """A view of one leg, which rules take for the leg."""
        return cast("Leg", LegView(self, which * LEG_FIELDS, {}))

    def facets(self, legs_count: int = 1) -> Facets:
        return cast("Facets", _FacetsView(self, legs_count * LEG_FIELDS))

    def field(self, index: int, number: int) -> Any:
        """The value of a leg's field. ``index`` is its place in the vector, ``number`` that in a leg."""
        self._reads[index] = None
        return self._tables.of_field[number].values[self._vector[index]]

    def plain(self, index: int) -> Any:
        self._reads[index] = None
        return self._vector[index]

    def changes(self, leg: Leg, which: int = 0) -> tuple[tuple[int, int], ...]:
        """What has become of a view: places in the vector and numbers."""
        changed = cast("LegView", leg).changed
        base = which * LEG_FIELDS
        return tuple(
            (base + FIELDS[name], self._tables.of_field[FIELDS[name]](value))
            for name, value in changed.items()
        )


class _FacetsView:
    __slots__ = ("_base", "_look")

    def __init__(self, look: Look, base: int) -> None:
        self._look, self._base = look, base

    def __getattr__(self, name: str) -> Any:
        number = FACET_FIELDS.get(name)
        if number is None:
            return getattr(Facets, name).fget(self)
        return self._look.plain(self._base + number)


class Memo:
    """A rule's answers: a tree of the fields that it read, with the answers as leaves."""

    __slots__ = ("root",)

    def __init__(self) -> None:
        self.root: Any = None

    def find(self, vector: Vector) -> Any:
        """The answer for this vector, or None. Answers are tuples, inner nodes lists."""
        node = self.root
        while node.__class__ is list:
            node = node[1].get(vector[node[0]])
        return node

    def keep(self, vector: Vector, reads: list[int], answer: Answer) -> Answer:
        """Remember ``answer``, which was found by reading ``reads`` in this order."""
        if not reads:
            self.root = answer
            return answer
        if self.root is None:
            self.root = [reads[0], {}]
        node = self.root
        for place, index in enumerate(reads):
            assert node[0] == index, "a rule reads the same next field when it has read the same so far"
            value = vector[index]
            if place == len(reads) - 1:
                node[1][value] = answer
            else:
                below = node[1].get(value)
                if below is None:
                    below = node[1][value] = [reads[place + 1], {}]
                node = below
        return answer


def facets_vector(facets: Facets) -> Vector:
    return msgspec.structs.astuple(facets)


def changed(vector: tuple[int, ...], changes: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """The vector with ``changes`` made."""
    if not changes:
        return vector
    after = list(vector)
    for index, number in changes:
        after[index] = number
    return tuple(after)
