"""What is asked of the venue at a pace and about no order: whether it is under maintenance.

A question that fails says nothing and changes nothing; the next one comes by itself.
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
"""OKX v5 answers one question in 5 s, and announces maintenance days before."""


# OKX v5, the field `env` of the system status; the embedded exchange has one environment.
ENVIRONMENTS = {Environment.LIVE: "1", Environment.DEMO: "2"}


async def watch_venue(rest: OkxRest, kind: Environment, deliver: Callable[[Event], None]) -> None:
    """Ask until cancelled."""
    env = ENVIRONMENTS.get(kind, "")
    while True:
        outcome = await rest.system_status()
        if isinstance(outcome, Answered):
            under_way = translate.maintenance(outcome.rows, rest.venue_now_ms(), env=env)
            deliver(world.StatusRead(under_way))
        await trio.sleep(STATUS_EVERY_S)
