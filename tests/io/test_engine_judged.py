"""What the whole engine and the exchange do to each other over real sockets is judged by the check's environment.

`tests.conftest` asks this of every world that a test puts on stage; here it is shown that the question bites.
"""

from __future__ import annotations

import msgspec
import pytest

from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.venue.algos import Algos
from anchorwatch.machine import requests
from anchorwatch.machine.trace import Handled, LifeBegan, LifeEnded, Seen
from tests.io.engine_rig import World, loopback, paced_clock
from tests.io.test_engine_trading import cross

__all__ = ["paced_clock"]


async def traded(world: World) -> None:
    """One trade that a stop ends."""
    async with world.life() as life:
        await life.ready()
        leg = await cross(world, life)
        await life.covered(leg)
        await world.price(58_500, 120)
        await life.flat(leg)


async def test_a_session_over_real_sockets_is_explained_by_the_rules_of_a_trade(
    paced_clock: PacedClock,
) -> None:
    async with loopback() as world:
        await traded(world)
    assert isinstance(world.trace[0], LifeBegan)
    assert isinstance(world.trace[-1], LifeEnded)
    verdict = accepts(world.trace)
    assert verdict.rejections == ()
    explained = {
        "the venue accepts the entry",
        "the venue accepts the stop",
        "the stop triggers",
        "the child fills",
    }
    assert explained <= set(verdict.used)
    unasked = [without(one, requests.PlaceStop) for one in world.trace]
    found = accepts(unasked).rejections
    assert found
    assert all("stop" in one.event for one in found)


async def test_a_session_with_an_exchange_that_forgets_to_cancel_stops_is_rejected(
    paced_clock: PacedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Algos, "position_closed", lambda *_: None)
    async with loopback() as world, world.life() as life:
        await life.ready()
        await cross(world, life)
        await life.covered()
        await world.price(61_500, 100)
        await life.flat()
    assert accepts(world.trace).rejections
    world.unjudged = "the exchange is wrong on purpose"


def without(one: Seen, kind: type[requests.PlaceStop]) -> Seen:
    if not isinstance(one, Handled):
        return one
    left = tuple(effect for effect in one.effects if not isinstance(effect, kind))
    return msgspec.structs.replace(one, effects=left)
