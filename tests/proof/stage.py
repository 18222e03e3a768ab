"""A day in virtual time: the exchange on a market that moves by itself, and lives of the bot, one after another.

Unlike a story, a day says nothing in between, so nothing may pile up for it: of the log only the end is kept, and the
lines that are counted.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random

import trio

from anchorwatch.io.simulation.network import FakeNetwork, Weather
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.feeds import Feed
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine.trace import Seen
from tests.mission.rig import OneLife, Scene
from tests.venue.rig import Rig

HOUR_S = 3_600
NEAR = Weather(latency_s=0.005, jitter_s=0.005, short_write_share=0.02, fragment_share=0.05)

TAIL_CHARS = 200_000
"""What is kept of a life's log: the last minutes, for whoever has to find out why."""


class Tail(io.StringIO):
    """A log that is counted by the names of its lines, and forgotten but for its end."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.alarms: Counter[str] = Counter()

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.startswith("{"):
                told = json.loads(line)
                self.names[told["event"]] += 1
                if told.get("level") == "alarm":
                    self.alarms[told["event"]] += 1
        if self.tell() > 2 * TAIL_CHARS:
            kept = self.getvalue()[-TAIL_CHARS:]
            self.seek(0)
            self.truncate()
            super().write(kept[kept.index("\n") + 1 :])
        return super().write(text)


class DayLife(OneLife):
    """A life whose log is a `Tail`."""

    log_kind = Tail

    @property
    def log(self) -> Tail:
        assert isinstance(self._target, Tail)
        return self._target


class Day(Scene):
    """The scene of a day; its market plays by itself."""

    life_kind = DayLife

    def __init__(
        self,
        nursery: trio.Nursery,
        spec: AccountSpec,
        network: FakeNetwork,
        seed: int,
        feeds: Mapping[str, Feed],
        switches: Switches | None,
        is_judged: bool,
    ) -> None:
        super().__init__(nursery, spec, network, seed, switches)
        self._is_judged = is_judged
        self.rig = Rig(spec, clock=self.rig.clock, switches=switches, feeds=feeds)
        self._recorder = self._recording(spec)
        self.living: DayLife | None = None

    def _take(self, one: Seen) -> None:
        """A trace that is kept grows; a long day asks whether anything of ours does."""
        if self._is_judged:
            super()._take(one)


@asynccontextmanager
async def day(
    spec: AccountSpec,
    feeds: Mapping[str, Feed],
    *,
    switches: Switches | None = None,
    seed: int = 1,
    weather: Weather = NEAR,
    is_judged: bool = True,
) -> AsyncIterator[Day]:
    network = FakeNetwork(Random(seed), weather)
    network.install()
    async with trio.open_nursery() as nursery:
        scene = Day(nursery, spec, network, seed, feeds, switches, is_judged)
        await scene.up()
        yield scene
        await scene.down()
    assert network.open_sockets() == (), "sockets were left open"
