"""What a run may still spend: faults, crashes and entries.

What the world *can* do never depends on what is left to spend, only whether it *may*. So the
composed state is a pair, of the state proper and of the purse, and what follows from the state
proper is computed once for all purses.
"""

from __future__ import annotations

from enum import IntEnum

from anchorwatch.diagrams.check.bounds import Bounds


class Cost(IntEnum):
    """What one step takes from the purse."""

    FREE = 0
    FAULT = 1
    CRASH = 2
    ENTRY = 3
    SECOND_FAULT = 4  # a fault while something is under way, in a prompt world
    LATE_ENTRY = 5  # a wish to enter while something is under way, in a prompt world


DELAYED = {Cost.FREE: Cost.FAULT, Cost.FAULT: Cost.SECOND_FAULT, Cost.ENTRY: Cost.LATE_ENTRY}
"""What a step costs when it delays something that is under way."""


class Purses:
    """Every purse of one configuration, by number; the larger the number, the more is left."""

    def __init__(self, bounds: Bounds) -> None:
        sizes = (bounds.faults, bounds.crashes, bounds.entries)
        weights = (1, sizes[0] + 1, (sizes[0] + 1) * (sizes[1] + 1))
        self.count = weights[2] * (sizes[2] + 1)
        self.full = self.count - 1
        affordable = []
        for purse in range(self.count):
            held = [purse // weight % (size + 1) for weight, size in zip(weights, sizes, strict=True)]
            affordable.append(
                tuple(
                    (int(cost), purse - sum(n * weight for n, weight in zip(taken, weights, strict=True)))
                    for cost, taken in TAKEN.items()
                    if all(n <= left for n, left in zip(taken, held, strict=True))
                )
            )
        self.affordable: tuple[tuple[tuple[int, int], ...], ...] = tuple(affordable)
        """By purse: what may be spent, and the purse after it."""


TAKEN: dict[Cost, tuple[int, int, int]] = {
    Cost.FREE: (0, 0, 0),
    Cost.FAULT: (1, 0, 0),
    Cost.CRASH: (0, 1, 0),
    Cost.ENTRY: (0, 0, 1),
    Cost.SECOND_FAULT: (2, 0, 0),
    Cost.LATE_ENTRY: (1, 0, 1),
}
"""Faults, crashes and entries."""
