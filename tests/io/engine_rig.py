"""The whole engine against the embedded exchange, in one process: on real loopback sockets or on the fake network.

A `World` is the exchange and the way to it; it can go down, come back, and lose single connections. A `Life` is one
engine in it, with its log as data. Both follow trio's clock: `PacedClock` on real sockets, `MockClock` on the fake
network, where every second is exact.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import msgspec
import pytest
import trio

from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.engine import Engine
from anchorwatch.io.journal import Journal, open_journal
from anchorwatch.io.okx.environments import Credentials, Environment, endpoints
from anchorwatch.io.seams import Seams, virtual_seams
from anchorwatch.io.settings import LogFormat, Settings, load
from anchorwatch.io.simulation.judging import TRACE_MAX
from anchorwatch.io.simulation.network import CALM, FakeNetwork
from anchorwatch.io.simulation.recording import Recorder
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.faults import Fault, FaultKind
from anchorwatch.io.venue.orders import AlgoOrder
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from anchorwatch.io.venue.sessions import Session
from anchorwatch.machine import connection, lifecycle, position, protection
from anchorwatch.machine.bot import Bot, Slot
from anchorwatch.machine.connection import Name
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.trace import Seen
from anchorwatch.machine.units import LegKey, Side
from tests import staged
from tests.venue.rig import BTC, HEDGED, START_MS, Clock, Rig

LONG = LegKey(BTC, Side.LONG)
SHORT = LegKey(BTC, Side.SHORT)
KEY = Credentials(key="sim-key", secret="sim-secret", passphrase="sim-pass")
PATIENCE_S = 600
"""Virtual seconds that a story waits for something before it is said to have failed."""
FAKE_HOST = "localhost"  # the engine speaks without TLS to nobody else
FAKE_PORT = 80

Line = dict[str, Any]


@pytest.fixture
def paced_clock() -> PacedClock:
    """Virtual time over real sockets, as fast as the machine."""
    return PacedClock()


class SeamsClock(Clock):
    """The exchange's time is the engine's wall clock."""

    def __init__(self, seams: Seams) -> None:
        super().__init__()
        self._seams = seams

    def __call__(self) -> int:
        return self._seams.wall_ms()


def settings(**options: object) -> Settings:
    """Settings for BTC alone, entered at market; an option is a dotted name with ``__`` for the dot."""
    given: dict[str, Any] = {name.replace("__", "."): value for name, value in options.items()}
    given.setdefault("symbols", [BTC])
    # A small strategy that may enter again at once: stories are about what happens to positions.
    for name, value in {"name": "ema_cross", "cooldown_after_loss_s": 0, "cooldown_opposite_s": 0}.items():
        given.setdefault(f"strategy.{name}", value)
    given.setdefault("exits.partial_share", 0)
    given.setdefault("entry.order_kind", "market")
    return load(file=None, environ={}, options=given, markets=())


class World:
    """The exchange and the way to it."""

    def __init__(
        self, nursery: trio.Nursery, spec: AccountSpec, network: FakeNetwork | None, seed: int
    ) -> None:
        self.seams = virtual_seams(START_MS, seed)
        self.rig = Rig(spec, clock=SeamsClock(self.seams))
        self.network = network
        self.seed = seed
        self.lives = 0
        self._nursery = nursery
        self._port = 0
        self._serving = trio.CancelScope()
        self._down = trio.Event()
        self.trace: list[Seen] = []
        self._recorder = self._recording(spec)
        self.unjudged = ""  # why the trace is not held against the environment of the check
        self._is_recording = False
        staged.worlds.append(self)

    def _recording(self, spec: AccountSpec) -> Recorder:
        """Whoever gives the world another exchange has that one recorded."""
        recorder = Recorder(self.rig.venue, self.rig.venue.accounts[spec.name], self._take)
        self.rig.venue.publisher.watchers.append(recorder)
        return recorder

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}" if self.network is None else f"{FAKE_HOST}:{FAKE_PORT}"

    async def up(self) -> None:
        """Serve, under the address that it had before."""
        if self._down.is_set():
            staged.done["exchange down for a while"] += 1
        if self.network is None:
            listeners = await open_loopback(self._port)
            self._port = listeners[0].socket.getsockname()[1]
        else:
            self.network.add_host(FAKE_HOST)
            listeners = await trio.open_tcp_listeners(FAKE_PORT, host=FAKE_HOST)
        self._serving, self._down = trio.CancelScope(), trio.Event()

        async def serve(task_status: trio.TaskStatus[None]) -> None:
            with self._serving:
                await serve_venue(self.rig.venue, listeners, task_status=task_status)
            self._down.set()

        await self._nursery.start(serve)

    async def down(self) -> None:
        """Every socket is closed and nothing listens; the exchange itself lives on."""
        self._serving.cancel()
        await self._down.wait()

    def sessions(self, name: Name) -> list[Session]:
        """The open connections of this kind."""
        path = "business" if name in (Name.BUSINESS, Name.PRIVATE_BUSINESS) else name.value
        return [
            session
            for session in self.rig.venue.connections.all()
            if session.path == path and session.is_open and bool(session.key) is name.is_private
        ]

    def lose(self, *names: Name) -> None:
        """The exchange closes these connections, without a word why."""
        for name in names:
            for session in self.sessions(name):
                staged.done["connection lost"] += 1
                session.close(1006, "")

    def fault(self, kind: FaultKind, where: str = "", **more: Any) -> None:
        self.rig.venue.faults.add(Fault(kind=kind, where=where, **more))

    def heal(self) -> None:
        self.rig.venue.faults.heal()

    def by_hand(self, side: str, contracts: str, pos_side: str = "long", px: str = "") -> None:
        """The account's owner trades."""
        staged.done["a hand on the account"] += 1
        answer = self.rig.order(side, contracts, px, posSide=pos_side)
        assert answer["sCode"] == "0", answer

    def held(self, side: Side = Side.LONG) -> Decimal:
        """What the exchange holds of this leg, in contracts."""
        for one in self.rig.venue.positions():
            if one.pos_side == side.value and one.is_open:
                return abs(one.contracts)
        return Decimal(0)

    def stops(self) -> list[AlgoOrder]:
        return list(self.rig.venue.algos())

    async def price(self, px: int | str, seconds: int = 1) -> None:
        """Trade at this price once a second for so long; mark follows."""
        for _ in range(seconds):
            self.rig.price_now(str(px))
            await trio.sleep(1)

    @asynccontextmanager
    async def life(
        self, given: Settings | None = None, *, key: Credentials = KEY, journal: Journal | None = None
    ) -> AsyncIterator[Life]:
        """An engine that lives until its block ends, or until it ends by itself."""
        chosen = given or settings()
        self.lives += 1
        seams = virtual_seams(START_MS, self.seed * 1_000 + self.lives)
        url = self.host
        with open_journal(None, "sim", key.key) as in_memory:
            life = Life(chosen, seams, url, key, journal or in_memory)
            with self._recorded(life):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(life.run)
                    yield life
                    if life.exit is None:
                        life.engine.request_stop("the story is over")
                    await life.ended()

    def _take(self, one: Seen) -> None:
        """What a soak sees later than this is not judged."""
        if len(self.trace) < TRACE_MAX:
            self.trace.append(one)

    @contextmanager
    def _recorded(self, life: Life) -> Iterator[None]:
        """The life is part of the world's trace. A second one at the same time is a stranger there."""
        if self._is_recording:
            yield
            return
        self._is_recording = True
        self._recorder.began(life.engine.desk)
        life.engine.on_answer = partial(self._recorder.handled, life.engine.desk)
        try:
            yield
        finally:
            self._recorder.ended()
            self._is_recording = False


class Life:
    """One engine, and what it said."""

    log_kind: type[io.StringIO] = io.StringIO

    def __init__(self, given: Settings, seams: Seams, host: str, key: Credentials, journal: Journal) -> None:
        self._target = self.log_kind()
        self.telemetry = Telemetry(self._target, now_ms=seams.wall_ms, format=LogFormat.JSON)
        self.engine = Engine(
            given,
            self.telemetry,
            seams=seams,
            endpoints=endpoints(Environment.SIM, rest_url=f"http://{host}", ws_url=f"ws://{host}/ws/v5"),
            credentials=key,
            journal=journal,
        )
        self.exit: Exit | None = None
        self.began_s = trio.current_time()
        self._over = trio.Event()
        staged.lives.append(self)

    async def run(self) -> None:
        try:
            self.exit = await self.engine.run()
        finally:
            self._over.set()

    async def ended(self) -> Exit:
        with trio.fail_after(PATIENCE_S):
            await self._over.wait()
        assert self.exit is not None
        return self.exit

    async def stop(self) -> Exit:
        self.engine.request_stop("the story asks")
        return await self.ended()

    async def until(
        self, claim: Callable[[], object], within_s: float = PATIENCE_S, *, looking_every_s: float = 0.1
    ) -> None:
        """Wait until the claim holds. A stage lasts at least a round trip, which is 2 ms on the fake network."""
        for _ in range(round(within_s / looking_every_s)):
            if claim():
                return
            assert self.exit is None, f"ended with {self.exit} while waiting\n{self.text()}"
            await trio.sleep(looking_every_s)
        raise AssertionError(f"not within {within_s} s; missing {self.bot.missing}\n{self.text()}")

    async def ready(self) -> None:
        await self.until(lambda: self.bot.lifecycle.state is lifecycle.S.READY)

    async def covered(self, leg: LegKey = LONG) -> None:
        await self.until(lambda: self.slot(leg).protection.state is protection.S.COVERED)

    async def flat(self, leg: LegKey = LONG) -> None:
        await self.until(lambda: self.slot(leg).position.state is position.S.FLAT)

    async def delivers(self, *names: Name) -> None:
        await self.until(lambda: all(connection.delivers(self.bot.link(name)) for name in names))

    @property
    def bot(self) -> Bot:
        return self.engine.desk.bot

    def slot(self, leg: LegKey = LONG) -> Slot:
        return self.bot.slot(leg)

    def text(self) -> str:
        return self._target.getvalue()

    def lines(self, event: str = "") -> list[Line]:
        """The log, or its lines of one kind."""
        every = [json.loads(line) for line in self.text().splitlines()]
        return [line for line in every if not event or line["event"] == event]

    def moves(self, machine: str, id: str = "") -> list[Line]:
        return [
            line
            for line in self.lines("transition")
            if line["machine"] == machine and (not id or line["id"] == id)
        ]

    def states(self, machine: str, id: str = "") -> list[str]:
        """The states that this machine went through, by the log."""
        return [line["dest"] for line in self.moves(machine, id)]

    @property
    def stop_steps(self) -> list[tuple[str, str]]:
        return [(step.name, step.outcome) for step in self.telemetry.summary.stop_steps]


@asynccontextmanager
async def loopback(spec: AccountSpec = HEDGED, *, seed: int = 1) -> AsyncIterator[World]:
    """A world on real sockets. The test takes `paced_clock`."""
    with _plainly():
        async with _world(spec, None, seed) as world:
            yield world


@asynccontextmanager
async def fake(spec: AccountSpec = HEDGED, *, seed: int = 1) -> AsyncIterator[World]:
    """A world on the fake network, a millisecond away. The test takes `autojump_clock`."""
    async with weathered(FakeNetwork(Random(seed), CALM), spec, seed=seed) as world:
        yield world


@asynccontextmanager
async def weathered(
    network: FakeNetwork, spec: AccountSpec = HEDGED, *, seed: int = 1
) -> AsyncIterator[World]:
    """A world on this network."""
    network.install()
    with _plainly():
        async with _world(spec, network, seed) as world:
            yield world
    assert network.open_sockets() == (), "sockets were left open"


@asynccontextmanager
async def _world(spec: AccountSpec, network: FakeNetwork | None, seed: int) -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        world = World(nursery, spec, network, seed)
        await world.up()
        yield world
        await world.down()


@contextmanager
def _plainly() -> Iterator[None]:
    """A failure that is the only one is told without the nurseries that it came through."""
    try:
        yield
    except BaseExceptionGroup as group:
        only: BaseException = group
        while isinstance(only, BaseExceptionGroup) and len(only.exceptions) == 1:
            only = only.exceptions[0]
        raise only from None


def poor(cash: str) -> AccountSpec:
    return msgspec.structs.replace(HEDGED, cash=Decimal(cash))
