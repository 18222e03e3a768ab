"""A life of the process that can be ended at any effect, inside one real process.

An incarnation is *fenced*: everything it does to the world (bytes to a socket, a record made durable)
first asks :meth:`Incarnation.may_act`. Once it has been killed the answer is no for ever, so whatever its
``finally`` blocks still try has no effect, exactly as if the process had been gone. Its sockets are
reset, unsynced journal data is lost (each through :meth:`when_killed`) and its tasks are cancelled.

Which incarnation a task belongs to is a context variable, so tasks inherit it from whoever starts them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeVarTuple

import trio

Args = TypeVarTuple("Args")

_current: ContextVar[Incarnation | None] = ContextVar("incarnation", default=None)


def current_incarnation() -> Incarnation | None:
    """The incarnation that the running task belongs to; None for the world itself."""
    return _current.get()


class Incarnation:
    """One life. `dies_at_effect` ends it in place of the effect with that number, counted from 1."""

    def __init__(self, name: str, *, dies_at_effect: int | None = None) -> None:
        self.name = name
        self.effects = 0  # performed so far
        self._dies_at_effect = dies_at_effect
        self._is_alive = True
        self._scope = trio.CancelScope()
        self._losses: list[Callable[[], None]] = []

    @property
    def is_alive(self) -> bool:
        return self._is_alive

    def may_act(self) -> bool:
        """Ask before each effect; the effect is performed only if the answer is yes, and is then counted."""
        if self._is_alive and self.effects + 1 == self._dies_at_effect:
            self.kill()
        if self._is_alive:
            self.effects += 1
        return self._is_alive

    def when_killed(self, loss: Callable[[], None]) -> None:
        """Call `loss` at the moment of death, in the order of registration. Neither kill nor await in it."""
        self._losses.append(loss)

    def kill(self) -> None:
        """End this life now. Killing the dead changes nothing."""
        if not self._is_alive:
            return
        self._is_alive = False
        for loss in self._losses:
            loss()
        self._scope.cancel()

    async def live(self, life: Callable[[*Args], Awaitable[None]], *args: *Args) -> None:
        """Run `life` as this incarnation until it returns or is killed. A dying gasp is not raised."""
        before = _current.set(self)
        try:
            with self._scope:
                await life(*args)
        except Exception:
            if self._is_alive:
                raise
        finally:
            _current.reset(before)
