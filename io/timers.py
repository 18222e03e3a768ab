"""Named timers, each a task: started, replaced, cancelled; its end is an event."""

from __future__ import annotations

from collections.abc import Callable

import trio

from anchorwatch.machine.kernel import Event

TIMERS_MAX = 10_000
"""Timers under way: a handful for each leg and connection. More means that something starts them in a loop."""


class Timers:
    def __init__(self, nursery: trio.Nursery, deliver: Callable[[Event], None]) -> None:
        self._nursery = nursery
        self._deliver = deliver
        self._scopes: dict[str, trio.CancelScope] = {}

    def __len__(self) -> int:
        return len(self._scopes)

    def start(self, key: str, seconds: float, event: Event) -> None:
        """Deliver ``event`` after ``seconds``. A timer of the same key is given up."""
        self.cancel(key)
        assert len(self._scopes) < TIMERS_MAX, "timers are started in a loop"
        scope = self._scopes[key] = trio.CancelScope()
        self._nursery.start_soon(self._wait, key, seconds, event, scope, name=f"timer {key}")

    def cancel(self, key: str) -> None:
        scope = self._scopes.pop(key, None)
        if scope is not None:
            scope.cancel()

    def cancel_except(self, prefix: str) -> None:
        """Give up every timer whose key does not start with ``prefix``."""
        for key in list(self._scopes):
            if not key.startswith(prefix):
                self.cancel(key)

    async def _wait(self, key: str, seconds: float, event: Event, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(seconds)
            # A timer that was cancelled while it woke up must not be heard.
            if self._scopes.get(key) is scope:
                del self._scopes[key]
                self._deliver(event)
