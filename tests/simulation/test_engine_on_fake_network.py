"""The whole engine and the whole exchange in one process: the same seed is the same run, to the scheduler's step."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from random import Random
from typing import NamedTuple

import trio
from trio.testing import MockClock

from anchorwatch.io.simulation.determinism import StepDigest, deterministic
from anchorwatch.io.simulation.network import FakeNetwork, Weather
from anchorwatch.machine.connection import Name
from anchorwatch.machine.lifecycle import Exit
from tests.io.engine_rig import LONG, weathered

ROUGH = Weather(latency_s=0.01, jitter_s=0.03, short_write_share=0.1, fragment_share=0.2)


class Told(NamedTuple):
    """One run, digested."""

    log: str
    network: str
    steps: str
    lines: int


async def session(seed: int, digest: StepDigest, told: list[Told]) -> None:
    """A start, trades, losses of connections, and a stop."""
    seen: list[str] = []
    network = FakeNetwork(Random(seed), ROUGH, observe=lambda sighting: seen.append(repr(sighting)))
    async with weathered(network, seed=seed) as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        await world.price(60_300, 20)
        world.lose(Name.PRIVATE)
        await trio.sleep(8)
        await life.delivers(*Name)
        network.connections()[0].reset()
        await world.price(59_000, 60)
        await life.flat(LONG)
        assert await life.stop() is Exit.CLEAN
        log = life.text()
    told.append(Told(_digest(log), _digest("\n".join(seen)), digest.hexdigest(), len(log.splitlines())))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def run(seed: int) -> Told:
    told: list[Told] = []
    digest = StepDigest()
    with deterministic(seed):
        trio.run(
            partial(session, seed, digest, told), clock=MockClock(autojump_threshold=0), instruments=[digest]
        )
    return told[0]


def test_the_same_seed_gives_the_same_log_the_same_bytes_and_the_same_steps() -> None:
    first, second = run(7), run(7)
    assert first == second
    assert first.lines > 60


def test_another_seed_gives_another_run() -> None:
    first, second = run(7), run(8)
    assert first.steps != second.steps
    assert first.network != second.network
