"""One run: the whole engine and the exchange in one process, faults for a while, then healed and watched to rest.

Theory of operation
===================

Everything here lives in one ``trio.run`` on a virtual clock and a fake network. The exchange is the embedded one,
served as it always is; the bot is the production engine in a fenced incarnation, on a journal that is a real file.
When a life ends, by whatever cause, the *supervisor* starts the next one on the same disk, as systemd would.

A run has three parts. **Faults**: each planned fault is a task that waits for its time (`strikes`). **Healing**:
everything that is wrong is put right, and within `CONVERGE_WITHIN_S` the system must come to rest
(`convergence.unrest`). **Stop**: the bot is asked to stop, and must do so in order.

The observer watches from the exchange's side all the while.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import trio

from anchorwatch.io.okx.environments import Credentials, Environment, endpoints
from anchorwatch.io.seams import Seams, virtual_seams
from anchorwatch.io.settings import Settings, SettingsError, load
from anchorwatch.io.simulation import plans
from anchorwatch.io.simulation.chronicle import Chronicle
from anchorwatch.io.simulation.convergence import orphans, unrest
from anchorwatch.io.simulation.determinism import StepDigest, deterministic, virtual_clock
from anchorwatch.io.simulation.disk import Disk
from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.ghost import live_covers
from anchorwatch.io.simulation.life import Errand, Life
from anchorwatch.io.simulation.markets import played
from anchorwatch.io.simulation.network import FakeNetwork, Sighting
from anchorwatch.io.simulation.observer import Observer, Violation
from anchorwatch.io.simulation.recording import Judgement, Recorder
from anchorwatch.io.simulation.scenario import BadScenario, Scenario
from anchorwatch.io.venue.accounts import DEFAULT_KEY, AccountSpec
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.serve import serve_venue
from anchorwatch.machine import connection, lifecycle, permission
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.units import PositionMode

HOST = "localhost"  # the engine speaks without TLS to nobody else
PORT = 80
KEY = Credentials(key=DEFAULT_KEY.key, secret=DEFAULT_KEY.secret, passphrase=DEFAULT_KEY.passphrase)

# The longest backoff of a private connection is 300 s, a refused candle history or a mode of guard adds minutes.
CONVERGE_WITHIN_S = 900.0
LOOK_EVERY_S = 1.0
# A stop that was lost unseen is found by the next comparison, once a minute; then it is placed, or the position sold.
NAKED_MAX_S = 80.0
STOP_WITHIN_S = 60.0
# A supervisor waits a little before it starts a process that has ended by itself.
RESTART_AFTER_S = 2.0
# More lives than this in one run, and something starts to die at once, again and again.
LIVES_MAX = 400


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one run amounted to. Times in seconds, spells without cover in milliseconds of exchange time."""

    seed: int
    digest: str
    steps: int
    entries: int
    virtual_s: float
    cpu_s: float
    messages: int
    lives: int
    orders: int
    faults: dict[str, int]
    in_flight: dict[str, int]
    violations: tuple[Violation, ...]
    spells_ms: tuple[int, ...]
    others_ms: tuple[int, ...]
    plan: tuple[Fault, ...]
    strategy_failed: str = ""  # how; entries were halted from there on
    trace: tuple[str, ...] = ()
    judgement: Judgement | None = None
    answers: Counter[Any] = msgspec.field(default_factory=Counter)  # of the tables, where they were counted


class World:
    """The exchange, the network, the disks and the lives of one run."""

    def __init__(
        self, scenario: Scenario, seed: int, plan: Sequence[Fault], folder: Path, chronicle: Chronicle
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.plan = tuple(plan)
        self.random = Random(f"{seed} world")
        self.chronicle = chronicle
        self.settings = settings_of(scenario)
        self.base_weather = plans.weather(Random(f"{seed} weather"))
        self.network = FakeNetwork(Random(f"{seed} network"), self.base_weather, observe=self._saw)
        self.skew_ms = 0
        self.market = played(scenario.market, self.settings, seed, scenario.for_s)
        self._base = virtual_seams(self.market.start_ms, seed)
        self.venue = self._venue()
        self.account = self.venue.accounts["main"]
        self.observer = Observer(self.venue, self.account, chronicle, trio.current_time)
        self.venue.publisher.watchers.append(self.observer)
        self.disk = Disk(folder / "one", Environment.SIM.value, KEY.key)
        self.folder = folder
        self.life: Life | None = None
        self.strategy_failed = ""
        self.twin: Life | None = None
        self.lives = 0
        self.errand = Errand()
        self.restart_after_s = RESTART_AFTER_S
        self.faults: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.writing = trio.Event()
        self.last_write_connection = -1
        self.is_healed = False
        # Of the bot that is supervised and of the account it trades; who wants a trace gives one before the run.
        self.recorder: Recorder | None = None
        # Where each life records its events: this name with the number of the life behind it.
        self.tape: Path | None = None
        self._faults_scope = trio.CancelScope()
        # Told at the end of the run, and of an error of the simulation itself: a forked copy ends there.
        self.when_over: Callable[[], None] = lambda: None
        self.when_failed: Callable[[BaseException], None] = lambda _: None
        self._is_over = False

    def _venue(self) -> Venue:
        is_hedged = self.settings.account.position_mode is PositionMode.HEDGE
        spec = AccountSpec(
            cash=self.scenario.account.cash, pos_mode="long_short_mode" if is_hedged else "net_mode"
        )
        return Venue(
            self.market.market,
            now_ms=self._base.wall_ms,
            switches=self.scenario.switches,
            accounts=(spec,),
            seed=self.seed,
        )

    # Time and counts.

    def seams(self, number: int) -> Seams:
        """What the host of the bot knows of time and chance; its clock may be off."""
        base = virtual_seams(self.market.start_ms, self.seed * 1_000 + number)
        return Seams(wall_ms=lambda: base.wall_ms() + self.skew_ms, random=base.random)

    def is_writing(self) -> bool:
        """Whether a request that changes the account has no answer yet."""
        return any(life is not None and life.writes_under_way() for life in (self.life, self.twin))

    async def write_begins(self) -> None:
        """Until a request that changes the account goes out."""
        while True:
            await self.writing.wait()
            if self.is_writing():
                return

    def struck(self, kind: Kind, words: str = "", *, began_in_write: bool = False) -> None:
        """A fault took effect; whether it did so, or began, while a change of the account was under way is counted."""
        self.faults[kind.value] += 1
        if began_in_write or self.is_writing():
            self.in_flight[kind.value] += 1
        self.chronicle.add("world", "FAULT", f"{kind.value} {words}".rstrip())

    def _saw(self, sighting: Sighting) -> None:
        if sighting.what == "sent":
            self.observer.messages += _begins_message(sighting)
            if sighting.who:
                head = sighting.payload[:60].split(b"\r\n", 1)[0]
                is_http = head.startswith((b"GET ", b"POST "))
                words = head.decode("latin-1") if is_http else f"{sighting.bytes_sent} bytes"
                self.chronicle.add(sighting.who, "sent", words)
                if is_http and head.startswith(b"POST "):
                    self.last_write_connection = sighting.connection
                    self.writing.set()
                    self.writing = trio.Event()
        elif sighting.what in ("reset", "half-open", "refused", "black hole"):
            self.chronicle.add("network", sighting.what, f"connection {sighting.connection}")

    # Lives.

    def new_life(self, name: str, disk: Disk, errand: Errand) -> Life:
        self.lives += 1
        assert self.lives < LIVES_MAX, "lives end as soon as they begin"
        where = f"{HOST}:{PORT}"
        return Life(
            name,
            settings=self.settings,
            seams=self.seams(self.lives),
            endpoints=endpoints(Environment.SIM, rest_url=f"http://{where}", ws_url=f"ws://{where}/ws/v5"),
            credentials=KEY,
            disk=disk,
            chronicle=self.chronicle,
            observer=self.observer,
            errand=errand,
            strategy=self.scenario.strategy,
            recorder=self.recorder if disk is self.disk else None,
            tape=self.tape.with_name(f"{self.tape.name}-{self.lives}") if self.tape is not None else None,
        )

    async def supervise(self) -> None:
        """Start the bot again and again, until the run is over."""
        while not self._is_over:
            errand, self.errand = self.errand, Errand()
            self.life = self.new_life(f"bot {self.lives + 1}", self.disk, errand)
            await self.life.run()
            if self.life.defect:
                self.observer.violate("S0", self.life.last_words)
            self.strategy_failed = self.strategy_failed or self.life.strategy_failed
            self._look_at_end(self.life)
            wait_s, self.restart_after_s = self.restart_after_s, RESTART_AFTER_S
            await trio.sleep(wait_s)

    def _look_at_end(self, life: Life) -> None:
        """A life that says it stopped in order has left no entry behind, unless a fault hid its end from it (S15)."""
        is_disturbed = self.venue.faults.is_armed or (self.twin is not None and self.twin.is_alive)
        if life.exit is not Exit.CLEAN or is_disturbed:
            return
        self.venue.advance()
        left = [words for words in orphans(self.account) if words.startswith("order")]
        if left:
            self.observer.violate("S15", f"{life.name} ended in order; {'; '.join(left)}")

    # The run.

    async def run(self) -> None:
        """The whole run. Raises for an error of the simulation itself; what the bot does wrong is a violation."""
        try:
            await self._run()
        except BaseException as error:
            self.when_failed(error)
            raise

    async def _run(self) -> None:
        from anchorwatch.io.simulation.strikes import Strikes

        self.network.install()
        self.network.add_host(HOST)
        listeners = await trio.open_tcp_listeners(PORT, host=HOST)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_venue, self.venue, listeners))
            nursery.start_soon(self.supervise)
            nursery.start_soon(self._watch_cover)
            strikes = Strikes(self)
            with self._faults_scope:
                async with trio.open_nursery() as striking:
                    for fault in self.plan:
                        striking.start_soon(strikes.strike, fault)
                    await trio.sleep(self.scenario.for_s)
                    striking.cancel_scope.cancel()
            strikes.heal()
            self.is_healed = True
            self.chronicle.add("world", "healed", "")
            if await self._converges():
                await self._stops()
            self.when_over()
            nursery.cancel_scope.cancel()

    async def _watch_cover(self) -> None:
        """A leg without cover for long, and a bot that has been able to see it all that time (S7)."""
        ghost, naked_leg = self.observer.ghost, trio.Event()

        def wake() -> None:
            naked_leg.set()

        ghost.on_naked = wake
        seeing_since_s = trio.current_time()
        while True:
            if not ghost.is_running:
                # Nothing to look at; whoever sees a spell from its beginning on has seen all of it.
                naked_leg = trio.Event()
                await naked_leg.wait()
                seeing_since_s = trio.current_time()
            await trio.sleep(LOOK_EVERY_S)
            now_s = trio.current_time()
            if not self._sees():
                seeing_since_s = now_s
                continue
            naked = ghost.running_ms(self.venue.now_ms())
            for leg, spell_ms in naked.items():
                seen_s = min(spell_ms / 1000, now_s - seeing_since_s)
                if seen_s > NAKED_MAX_S and not self.observer.is_disturbed(leg[0]):
                    self.observer.violate("S7", f"{leg} has had no stop for {NAKED_MAX_S:g} s")

    def _sees(self) -> bool:
        """Whether nothing is amiss between the bot and the exchange, and the bot is at work."""
        life, plan = self.life, self.venue.faults
        if life is None or not life.is_alive or life.engine is None or plan.is_armed:
            return False
        bot = life.engine.desk.bot
        at_work = bot.lifecycle.state is lifecycle.S.READY
        return (
            at_work and not plan.faults.maintenance and all(connection.delivers(link) for link in bot.links)
        )

    def end_faults(self) -> None:
        """Nothing goes wrong any more: the world is healed now."""
        self._faults_scope.cancel()

    def summary(self) -> str:
        """What stands on the exchange, and how the bot ended, without numbers that differ from run to run."""
        legs = sorted(
            f"{one.inst_id}/{'long' if one.direction > 0 else 'short'} "
            f"{'covered' if live_covers(self.account, one) else 'NAKED'}"
            for one in self.account.open_positions()
        )
        end = self.life.exit.name if self.life is not None and self.life.exit is not None else "no end"
        return f"{', '.join(legs) or 'flat'}; {len(orphans(self.account))} orphans; {end}"

    async def _converges(self) -> bool:
        deadline_s = trio.current_time() + CONVERGE_WITHIN_S
        amiss = ["nothing was looked at"]
        while trio.current_time() < deadline_s:
            await trio.sleep(LOOK_EVERY_S)
            amiss = self.amiss()
            if not amiss:
                self.chronicle.add("world", "converged", "")
                assert self.life is not None
                assert self.life.engine is not None
                for words in self.observer.remembered.forgotten(self.life.engine.desk):
                    self.observer.violate("S6", words)
                return True
        self.observer.violate("L1", "; ".join(amiss))
        return False

    def amiss(self) -> list[str]:
        life = self.life
        if life is None or not life.is_alive or life.engine is None:
            return ["no bot lives"]
        grant = life.engine.desk.bot.permission
        if grant.state is not permission.S.OPEN:
            # A halt that a limit asked for is the operator's to lift, in a healed world as well.
            life.tell_permission(permission.HaltCleared())
            life.tell_permission(permission.ResumeRequested())
        self.venue.advance()
        return unrest(life.engine.desk, self.account)

    async def _stops(self) -> None:
        self._is_over = True
        life = self.life
        assert life is not None
        life.request_stop("the run is over")
        with trio.move_on_after(STOP_WITHIN_S):
            await life.ended.wait()
        if life.exit is not Exit.CLEAN:
            self.observer.violate(
                "L7", f"the stop ended with {life.exit and life.exit.name}{life.defect[-200:]}"
            )
            return
        self.venue.advance()
        left = orphans(self.account)
        left += [
            f"{one.inst_id}/{one.pos_side} is not covered"
            for one in self.account.open_positions()
            if not live_covers(self.account, one)
        ]
        left += [repr(socket) for socket in self.network.open_sockets(life.incarnation)]
        if left:
            self.observer.violate("S15", "; ".join(left))


def _begins_message(sighting: Sighting) -> bool:
    """Whether a send begins a message: a request or an answer over HTTP, or a frame of a WebSocket.

    A body that follows its head, and the rest after a short write, belong to the message before. Bodies are text; the
    first byte of an unfragmented frame is 128 or more.
    """
    payload = sighting.payload
    if sighting.after_short_write or not payload:
        return False
    return payload[0] >= 0x80 or payload.startswith((b"HTTP/", b"GET ", b"POST "))


def settings_of(scenario: Scenario) -> Settings:
    """The bot's settings of a scenario. Raises BadScenario naming the setting."""
    # Averages that cross in any market: a scenario is about what happens to positions, and not about which there are.
    options: dict[str, object] = {
        "symbols": list(scenario.market.instruments),
        "strategy.name": "ema_cross",
        "strategy.cooldown_after_loss_s": 0,
        "strategy.cooldown_opposite_s": 0,
        "limits.losses_in_row": 0,
        "exits.partial_share": 0,
    }
    for section, values in scenario.settings.items():
        if isinstance(values, dict) and section != "candles":
            options |= {f"{section}.{name}": value for name, value in values.items()}
        else:
            options[section] = values
    try:
        return load(file=None, environ={}, options=options, markets=())
    except SettingsError as error:
        words = "; ".join(f"settings.{problem}" for problem in error.problems)
        raise BadScenario(f"scenario {scenario.name}: {words}") from None


def simulate(
    scenario: Scenario,
    seed: int,
    plan: Sequence[Fault],
    folder: Path,
    *,
    at_start: Callable[[World], None] = lambda _: None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> Outcome:
    """One run of one seed, from its first step to its last. `folder` holds the disks; it is new and empty."""
    clock = virtual_clock()
    digest = StepDigest(clock.current_time)
    cpu_before_s = time.process_time()
    worlds: list[World] = []
    ended_s = 0.0

    async def run() -> None:
        nonlocal ended_s
        world = World(scenario, seed, plan, folder, Chronicle(trio.current_time))
        worlds.append(world)
        at_start(world)
        await world.run()
        ended_s = trio.current_time()

    with deterministic(seed):
        trio.run(run, clock=clock, instruments=[digest, *instruments])
    world = worlds[0]
    return Outcome(
        seed=seed,
        digest=f"{digest.hexdigest()[:32]}{world.chronicle.digest()[:32]}",
        steps=digest.steps,
        entries=world.chronicle.count,
        virtual_s=ended_s,
        cpu_s=time.process_time() - cpu_before_s,
        messages=world.observer.messages,
        lives=world.lives,
        orders=len(world.account.done) + len(world.account.pending),
        faults=dict(sorted(world.faults.items())),
        in_flight=dict(sorted(world.in_flight.items())),
        violations=tuple(world.observer.violations),
        spells_ms=tuple(world.observer.ghost.spells_ms),
        others_ms=tuple(world.observer.ghost.others_ms),
        plan=tuple(plan),
        strategy_failed=world.strategy_failed
        or (world.life.strategy_failed if world.life is not None else ""),
        trace=tuple(entry.line() for entry in world.chronicle.entries) if world.observer.violations else (),
    )
