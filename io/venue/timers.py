"""Things due later, in exchange time: run in the order of their times, and of their setting where times are equal."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[], None]

# Every subscription of every connection due at once, hundreds of each, is still below this.
ACTIONS_AT_ONCE_MAX = 1_000_000


class Timers:
    """A heap of actions. An action that is no longer wanted checks that itself and does nothing."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action]] = []
        self._sequence = 0
        # Called when an action is set that is due before all others.
        self.on_earlier: Action = lambda: None

    def at(self, due_ms: int, action: Action) -> None:
        self._sequence += 1
        is_first = not self._heap or due_ms < self._heap[0][0]
        heapq.heappush(self._heap, (due_ms, self._sequence, action))
        if is_first:
            self.on_earlier()

    def next_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def run_due(self, now_ms: int) -> None:
        """Run what is due, including what that sets for the same instant; an action may not set itself for now."""
        for _ in range(ACTIONS_AT_ONCE_MAX):
            if not self._heap or self._heap[0][0] > now_ms:
                return
            _, _, action = heapq.heappop(self._heap)
            action()
        raise AssertionError("an action sets itself for the present again and again")
