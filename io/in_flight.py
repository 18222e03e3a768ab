"""Requests to the venue that are under way: each a task whose end is one event in the mailbox.

Reads and writes end differently when the bot stops. Nobody waits for a reading any more. A write may change the
account, so its answer is waited for as long as the step of the stop allows; what has none by then is given up and
named, and the journal hands it to the next life as an order in doubt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from anchorwatch.machine.kernel import Event


class _Request:
    """One request: what it is called, whether it changes the account, and how it is given up."""

    def __init__(self, name: str, *, is_write: bool) -> None:
        self.name = name
        self.is_write = is_write
        self.scope = trio.CancelScope()
        self.ended = trio.Event()


class InFlight:
    def __init__(self, nursery: trio.Nursery, deliver: Callable[[Event], None]) -> None:
        self._nursery = nursery
        self._deliver = deliver
        self._requests: list[_Request] = []

    def read(self, task: Callable[..., Awaitable[Event]], *args: object) -> None:
        """Ask, and deliver the answer."""
        self._start(task, args, is_write=False)

    def write(self, task: Callable[..., Awaitable[Event | None]], *args: object) -> None:
        """Ask for a change; deliver the answer, if it is one that decides something."""
        self._start(task, args, is_write=True)

    def writes(self) -> int:
        """How many changes of the account are under way."""
        return len(self._of_kind(is_write=True))

    async def settle(self, *, within_s: float) -> list[str]:
        """Give the reads up and wait for the writes; the names of those that had no answer in time."""
        with trio.move_on_after(within_s):
            # An answer may ask for more, so what is under way is looked at again after each.
            while under_way := self._of_kind(is_write=True):
                self._give_up(self._of_kind(is_write=False))
                await under_way[0].ended.wait()
        given_up = self._of_kind(is_write=True)
        while self._requests:
            self._give_up(self._requests)
            await self._requests[0].ended.wait()
        return [request.name for request in given_up]

    def _of_kind(self, *, is_write: bool) -> list[_Request]:
        return [request for request in self._requests if request.is_write is is_write]

    @staticmethod
    def _give_up(requests: list[_Request]) -> None:
        for request in requests:
            request.scope.cancel()

    def _start(
        self, task: Callable[..., Awaitable[Event | None]], args: tuple[object, ...], *, is_write: bool
    ) -> None:
        request = _Request(getattr(task, "__name__", repr(task)), is_write=is_write)
        self._requests.append(request)
        self._nursery.start_soon(self._run, request, task, args, name=request.name)

    async def _run(
        self, request: _Request, task: Callable[..., Awaitable[Event | None]], args: tuple[object, ...]
    ) -> None:
        try:
            with request.scope:
                event = await task(*args)
                if event is not None:
                    self._deliver(event)
        finally:
            self._requests.remove(request)
            request.ended.set()
