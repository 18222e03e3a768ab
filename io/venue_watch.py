"""What is asked of the venue at a pace and about no order: which maintenance it has announced.

A push of the channel `status` tells of one change and not of the rest, so it has the whole list read. A question that
fails says nothing and changes nothing; it is asked again soon.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from anchorwatch.io.okx import translate
from anchorwatch.io.okx.environments import Environment
from anchorwatch.io.okx.outcomes import Answered
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.machine import world
from anchorwatch.machine.kernel import Event

STATUS_EVERY_S = 60.0
"""For a push that is lost; OKX announces maintenance days before."""

RETRY_S = 5.0
"""OKX v5 answers one question in 5 s."""

# OKX v5, the field `env` of the system status; the embedded exchange has one environment.
ENVIRONMENTS = {Environment.LIVE: "1", Environment.DEMO: "2"}


class VenueWatch:
    def __init__(self, deliver: Callable[[Event], None], kind: Environment) -> None:
        self._deliver = deliver
        self._env = ENVIRONMENTS.get(kind, "")
        self._bell = trio.Event()

    def note_push(self) -> None:
        """The status has changed in some way."""
        self._bell.set()

    async def run(self, rest: OkxRest) -> None:
        """Ask until cancelled."""
        while True:
            self._bell = trio.Event()
            outcome = await rest.system_status()
            wait_s = RETRY_S
            if isinstance(outcome, Answered):
                self._deliver(world.StatusRead(translate.announced(outcome.rows, env=self._env)))
                wait_s = STATUS_EVERY_S
            with trio.move_on_after(wait_s):
                await self._bell.wait()
