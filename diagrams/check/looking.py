"""Rules that are remembered by what they looked at.

A rule is a function of the legs and of the bot's facets. It is run once on *views*, which
note every field that is read and every field that is changed; its answer then holds for
every state that agrees in the fields that were read. What is explored stays the rule
itself: a state in which it would look at anything else leads to a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
import numpy as np

from anchorwatch.diagrams.check.columns import Column, Numbers, Ragged, Rows, Truths
from anchorwatch.diagrams.check.leg import FIELDS, Leg, LegView
from anchorwatch.diagrams.check.production import Facets, Interned

LEG_FIELDS = len(FIELDS)
FACET_FIELDS = {name: number for number, name in enumerate(Facets.__struct_fields__)}

Vector = list[int]
"""The fields of every leg, each by number, and then those of the facets; last what a rule may look at as it is."""


VALUES_MAX = 1 << 16
"""Different values of one field: its number has sixteen bits."""


class Tables:
    """Numbers for the values of every field of a leg and of the facets."""

    def __init__(self) -> None:
        self.of_field: tuple[Interned[Any], ...] = tuple(Interned() for _ in FIELDS)
        self.of_facet: tuple[Interned[Any], ...] = tuple(Interned() for _ in FACET_FIELDS)

    def vector(self, leg: Leg) -> Vector:
        return [table(getattr(leg, name)) for name, table in zip(FIELDS, self.of_field, strict=True)]

    def facets_vector(self, facets: Facets) -> Vector:
        values = msgspec.structs.astuple(facets)
        return [table(value) for table, value in zip(self.of_facet, values, strict=True)]

    def leg(self, vector: Vector) -> Leg:
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

    def facet(self, index: int, number: int) -> Any:
        self._reads[index] = None
        return self._tables.of_facet[number].values[self._vector[index]]

    def last(self) -> int:
        """What the vector ends in, as it is."""
        index = len(self._vector) - 1
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
        return self._look.facet(self._base + number, number)


Compute = Callable[[int, Vector], tuple[list[int], int]]
"""Runs a rule for one row of those asked about: what it read, and the number of its answer."""


class Forest:
    """Answers of rules, by number: for each rule a tree of the fields that it read, with the answers as leaves.

    A node is the field that is read next and, by the value that is found there, where that
    leads: 0 where nobody has been, a positive number for a node, a negative one for a leaf.
    """

    def __init__(self) -> None:
        self._tops = Column()
        self._fields = Column()
        self._lows, self._highs = Column(), Column()  # the values that a node has room for, and no others
        self._bases = Column()  # where in the pool value 0 would be
        for column in (self._fields, self._lows, self._highs, self._bases):
            column.append(0)  # node 0 is none
        self._pool = Column()
        self._pool.append(0)  # where a value leads that its node has no room for

    def plant(self) -> int:
        """A tree for one more rule."""
        self._tops.append(0)
        return len(self._tops) - 1

    def answers(self, trees: Numbers, rows: Rows, compute: Compute) -> Numbers:
        """By row: the answer of its tree's rule, computed where it is not known yet."""
        at = self._found(trees, rows)
        for row in np.flatnonzero(at == 0).tolist():
            vector: Vector = rows[row].tolist()
            tree = int(trees[row])
            leaf = self._walked(tree, vector)  # it may have become known meanwhile
            if not leaf:
                reads, answer = compute(row, vector)
                leaf = -answer - 1
                self._keep(tree, vector, reads, leaf)
            at[row] = leaf
        return -at - 1

    def _found(self, trees: Numbers, rows: Rows) -> Numbers:
        fields, lows, highs, bases = (
            column.data for column in (self._fields, self._lows, self._highs, self._bases)
        )
        pool = self._pool.data
        at: Numbers = self._tops.data[trees]
        walking = np.flatnonzero(at > 0)
        while len(walking):
            nodes = at[walking]
            values = rows[walking, fields[nodes]]
            has_room: Truths = (values >= lows[nodes]) & (values < highs[nodes])
            found = pool[np.where(has_room, bases[nodes] + values, 0)]
            at[walking] = found
            walking = walking[found > 0]
        return at

    def _walked(self, tree: int, vector: Vector) -> int:
        fields, lows, highs, bases = self._fields.data, self._lows.data, self._highs.data, self._bases.data
        at, pool = int(self._tops.data[tree]), self._pool.data
        while at > 0:
            value = vector[fields[at]]
            at = int(pool[bases[at] + value]) if lows[at] <= value < highs[at] else 0
        return at

    def _keep(self, tree: int, vector: Vector, reads: list[int], leaf: int) -> None:
        """Remember ``leaf``, which was found by reading ``reads`` in this order."""
        where, place = self._tops, tree
        for depth, index in enumerate(reads):
            node = int(where.data[place])
            if not node:
                where.data[place] = len(self._fields)
                self._lead(reads[depth:], [vector[one] for one in reads[depth:]], leaf)
                return
            assert self._fields.data[node] == index, (
                "a rule reads the same next when it has read the same so far"
            )
            where, place = self._pool, self._place(node, vector[index])
        where.data[place] = leaf

    def _lead(self, reads: list[int], values: Vector, leaf: int) -> None:
        """New nodes, each with room for one value, which leads to the next of them and at last to ``leaf``."""
        count, first, base = len(reads), len(self._fields), len(self._pool)
        lows = np.array(values, dtype=np.int64)
        self._fields.extend(np.array(reads, dtype=np.int64))
        self._lows.extend(lows)
        self._highs.extend(lows + 1)
        self._bases.extend(np.arange(base, base + count) - lows)
        below = np.arange(first + 1, first + 1 + count)
        below[-1] = leaf
        self._pool.extend(below)

    def _place(self, node: int, value: int) -> int:
        """Where the node keeps what ``value`` leads to; the node gets more room when it has none for it."""
        low, high = int(self._lows.data[node]), int(self._highs.data[node])
        base = int(self._bases.data[node])
        if not low <= value < high:
            kept = self._pool.data[base + low : base + high].copy()
            wider_low = value if value < low else low
            wider_high = high if value < high else max(value + 1, high + high - low)
            base = len(self._pool) - wider_low
            self._pool.lengthen(base + wider_high)
            self._pool.data[base + low : base + high] = kept
            self._lows.data[node], self._highs.data[node], self._bases.data[node] = (
                wider_low,
                wider_high,
                base,
            )
        return base + value


class Changes:
    """What rules change in a vector, by number: places and the numbers that stand there afterwards."""

    def __init__(self) -> None:
        self._numbers: Interned[tuple[tuple[int, int], ...]] = Interned()
        self._lists = Ragged(2)

    def __call__(self, changes: tuple[tuple[int, int], ...]) -> int:
        number = self._numbers(changes)
        if number == len(self._lists):
            assert all(value < VALUES_MAX for _, value in changes), (
                "a field has more values than it has room for"
            )
            self._lists.append(list(changes))
        return number

    def make(self, rows: Rows, numbers: Numbers) -> None:
        """Change each row in place."""
        owners, (places, values) = self._lists.of(numbers)
        rows[owners, places] = values
