"""Where everything that happened waits for the one loop that decides.

Stop requests come before private events and answers, and those before market data.
Market data of one kind and instrument is conflated to the latest, because only the
newest price matters; nothing else is ever merged or dropped.
"""

from __future__ import annotations

from collections import deque

import trio

from anchorwatch.machine.kernel import Event

WAITING_MAX = 100_000
"""Events that wait. The busiest account makes some hundred a second: beyond this the loop has died, not lagged."""


class MailboxFull(Exception):
    """The loop is so far behind that going on would mean deciding on old news: a defect of ours."""


class Mailbox:
    def __init__(self) -> None:
        self._urgent: deque[Event] = deque()
        self._ordinary: deque[Event] = deque()
        self._market: dict[tuple[str, str], Event] = {}
        self._bell = trio.Event()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordinary) + len(self._market)

    def put(self, event: Event) -> None:
        """An event that must be taken, in its order. Raises `MailboxFull`."""
        if len(self._ordinary) >= WAITING_MAX:
            raise MailboxFull(f"{WAITING_MAX} events wait")
        self._ordinary.append(event)
        self._bell.set()

    def put_first(self, event: Event) -> None:
        """An event that goes before everything else: a stop request."""
        self._urgent.append(event)
        self._bell.set()

    def put_market(self, kind: str, instrument: str, event: Event) -> None:
        """Market data: an older one of the same kind and instrument that still waits is replaced."""
        self._market[kind, instrument] = event
        self._bell.set()

    def take_waiting(self, most: int) -> list[Event]:
        """Up to ``most`` events that wait behind the last one taken, in their order; none before a stop request,
        and no market data, which is better taken late than stale."""
        if self._urgent:
            return []
        return [self._ordinary.popleft() for _ in range(min(most, len(self._ordinary)))]

    async def get(self) -> Event:
        """The next event. One caller."""
        while True:
            if self._urgent:
                return self._urgent.popleft()
            if self._ordinary:
                return self._ordinary.popleft()
            if self._market:
                return self._market.pop(next(iter(self._market)))
            self._bell = trio.Event()
            await self._bell.wait()
