"""Whole numbers in columns that grow, so that a whole level of the search is worked on at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint16]
Truths = npt.NDArray[np.bool_]

FIRST_CAPACITY = 256
"""Entries that a column holds before it grows for the first time; it then doubles."""


class Column:
    """Whole numbers, one after the other. ``fill`` is what stands where nothing was written yet.

    ``data`` has room for more behind its ``len``, and is another array whenever the column has grown.
    """

    __slots__ = ("_fill", "_length", "data")

    def __init__(self, fill: int = 0) -> None:
        self._fill = fill
        self.data: Numbers = np.full(FIRST_CAPACITY, fill, dtype=np.int64)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, value: int) -> None:
        self.lengthen(self._length + 1)
        self.data[self._length - 1] = value

    def extend(self, values: Numbers) -> None:
        begin = self._length
        self.lengthen(begin + len(values))
        self.data[begin : self._length] = values

    def lengthen(self, length: int) -> None:
        """At least so many entries; the new ones hold ``fill``."""
        if length > len(self.data):
            larger = np.full(max(length, 2 * len(self.data)), self._fill, dtype=np.int64)
            larger[: self._length] = self.data[: self._length]
            self.data = larger
        self._length = max(self._length, length)

    @property
    def values(self) -> Numbers:
        """A view: valid until the column grows."""
        return self.data[: self._length]


class Ragged:
    """Lists of rows of numbers: by list, its rows one after the other, each number in a column of its own."""

    def __init__(self, width: int) -> None:
        self._columns = tuple(Column() for _ in range(width))
        self._starts, self._counts = Column(), Column()

    def __len__(self) -> int:
        return len(self._starts)

    def append(self, rows: list[tuple[int, ...]]) -> int:
        """Keep one more list; answers its number."""
        self._starts.append(len(self._columns[0]))
        self._counts.append(len(rows))
        for row in rows:
            for column, value in zip(self._columns, row, strict=True):
                column.append(value)
        return len(self._starts) - 1

    def of(self, lists: Numbers) -> tuple[Numbers, tuple[Numbers, ...]]:
        """The rows of all these lists: for each row the place of its list in ``lists``, and its numbers."""
        owners, places = spread(self._starts.values[lists], self._counts.values[lists])
        return owners, tuple(column.values[places] for column in self._columns)


def spread(starts: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
    """Ranges, one after the other: for each member the number of its range, and its place."""
    owners = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return owners, np.arange(len(owners)) + (starts - before)[owners]


class Table:
    """Lists of numbers that are known from the beginning."""

    def __init__(self, lists: Sequence[Sequence[int]]) -> None:
        self._counts: Numbers = np.array([len(one) for one in lists], dtype=np.int64)
        self._starts: Numbers = np.cumsum(self._counts) - self._counts
        self._values: Numbers = np.array([value for one in lists for value in one], dtype=np.int64)

    def of(self, lists: Numbers) -> tuple[Numbers, Numbers]:
        """The numbers of all these lists, and for each the place of its list in ``lists``."""
        owners, places = spread(self._starts[lists], self._counts[lists])
        return owners, self._values[places]


class Vectors:
    """Gives every different row of small numbers a number."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._numbers: dict[bytes, int] = {}
        self._data: Rows = np.zeros((FIRST_CAPACITY, width), dtype=np.uint16)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def values(self) -> Rows:
        return self._data[: len(self._numbers)]

    def __call__(self, rows: Rows) -> Numbers:
        data, size = rows.tobytes(), 2 * self._width
        known, numbers, new = self._numbers, [], []
        for place in range(len(rows)):
            key = data[place * size : (place + 1) * size]
            number = known.get(key)
            if number is None:
                number = known[key] = len(known)
                new.append(place)
            numbers.append(number)
        if new:
            before = len(known) - len(new)
            if len(known) > len(self._data):
                larger = np.zeros((2 * len(known), self._width), dtype=np.uint16)
                larger[:before] = self._data[:before]
                self._data = larger
            self._data[before : len(known)] = rows[new]
        return np.array(numbers, dtype=np.int64)
