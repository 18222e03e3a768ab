"""The stage of the mission's tests: one exchange on the fake network, and lives of the real engine on it.

A `Scene` is `tests.io.engine_rig.World` with three things more: the exchange's unconfirmed switches can be set, a life
can be cut off in the middle, as a killed process is, and what the exchange was asked for can be counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any

import trio

from anchorwatch.io.engine import Engine
from anchorwatch.io.journal import Journal, open_journal
from anchorwatch.io.okx.environments import Credentials, Environment, endpoints
from anchorwatch.io.seams import Seams, virtual_seams
from anchorwatch.io.settings import Settings
from anchorwatch.io.simulation.network import CALM, FakeNetwork, Weather
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.orders import AlgoOrder, Order
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine import ids, lifecycle, order
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.units import LegKey, Side, closing_deal, opening_deal
from tests import staged
from tests.io.engine_rig import KEY, LONG, SHORT, Life, SeamsClock, World, settings
from tests.venue.rig import ETH, HEDGED, START_MS, Rig

MINUTE_S = 60
BTC_LONG, BTC_SHORT = LONG, SHORT
ETH_LONG, ETH_SHORT = LegKey(ETH, Side.LONG), LegKey(ETH, Side.SHORT)
LOW, HIGH = "59900", "60100"
"""Closes on either side of the hand-set market's 60,000: a cross of two short averages."""


def still(**more: object) -> Settings:
    """Settings whose strategy never wants anything: the story is about what is open already."""
    return settings(strategy__min_gap_fraction=Decimal("0.09"), **more)


def eager(**more: object) -> Settings:
    """Settings whose strategy enters on the first candle that closes across."""
    return settings(**{"strategy__fast": 2, "strategy__slow": 3, "strategy__cooldown_s": 0, **more})


class OneLife(Life):
    """A life that can be cut off, and that may be asked to flatten."""

    def __init__(
        self, given: Settings, seams: Seams, host: str, key: Credentials, journal: Journal, *, flatten: bool
    ) -> None:
        super().__init__(given, seams, host, key, journal)
        if flatten:
            self.engine = Engine(
                given,
                self.telemetry,
                seams=seams,
                endpoints=endpoints(Environment.SIM, rest_url=f"http://{host}", ws_url=f"ws://{host}/ws/v5"),
                credentials=key,
                journal=journal,
                flatten=True,
            )
        self._all = trio.CancelScope()
        self._gone = trio.Event()

    async def run(self) -> None:
        with self._all:
            await super().run()
        self._gone.set()

    @property
    def is_over(self) -> bool:
        return self._gone.is_set()

    async def crash(self) -> None:
        """The process dies here: no stop sequence, nothing said, no socket closed in order."""
        staged.done["process killed"] += 1
        self._all.cancel()
        await self._gone.wait()

    @property
    def is_ready(self) -> bool:
        return self.bot.lifecycle.state is lifecycle.S.READY

    def names(self, *wanted: str) -> list[str]:
        """The names of the log's lines, in their order; only these, when some are named."""
        names = [str(line["event"]) for line in self.lines()]
        return [name for name in names if not wanted or name in wanted]

    def one(self, name: str) -> dict[str, Any]:
        """The only line of this name."""
        lines = self.lines(name)
        assert len(lines) == 1, f"{len(lines)} lines {name}\n{self.text()}"
        return lines[0]

    def book(self, leg: LegKey = LONG) -> LegBook:
        return self.engine.desk.context.book.leg(leg)

    async def entered(self, leg: LegKey = LONG) -> None:
        """Until this life's entry is filled and covered."""
        await self.until(lambda: self.slot(leg).entry.state is order.S.FILLED)
        await self.covered(leg)


class Scene(World):
    """The exchange, its account, and what was asked of it."""

    life_kind: type[OneLife] = OneLife

    def __init__(
        self,
        nursery: trio.Nursery,
        spec: AccountSpec,
        network: FakeNetwork,
        seed: int,
        switches: Switches | None,
    ) -> None:
        super().__init__(nursery, spec, network, seed)
        self.slept_ms = 0
        self.seams = self._sleeping(self.seams)
        clock = SeamsClock(self.seams)
        self.rig = Rig(spec, clock=clock, switches=switches or staged.default_switches)
        self._recorder = self._recording(spec)
        if self.rig.venue.switches.attached_after == "each_fill":
            self.unjudged = "the check's attached stop comes when its entry has filled completely"

    def _sleeping(self, seams: Seams) -> Seams:
        """The wall clock of a host that has slept: time has passed for the world, and not for its timers."""
        return Seams(lambda: seams.wall_ms() + self.slept_ms, seams.random)

    def machine_sleeps(self, seconds: float) -> None:
        """Suspend the host for so long: nothing of it runs, and the exchange goes on."""
        staged.done["the host slept"] += 1
        self.slept_ms += round(seconds * 1000)
        self.rig.venue.advance()

    @asynccontextmanager
    async def life(
        self,
        given: Settings | None = None,
        *,
        key: Credentials = KEY,
        journal: Journal | None = None,
        flatten: bool = False,
    ) -> AsyncIterator[OneLife]:
        """An engine that lives until its block ends, until it ends by itself, or until it is cut off."""
        self.lives += 1
        seams = self._sleeping(virtual_seams(START_MS, self.seed * 1_000 + self.lives))
        with open_journal(None, "sim", key.key) as in_memory:
            life = self.life_kind(
                given or still(), seams, self.host, key, journal or in_memory, flatten=flatten
            )
            with self._recorded(life):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(life.run)
                    yield life
                    if not life.is_over:
                        if life.exit is None:
                            life.engine.request_stop("the story is over")
                        await life.ended()

    async def before_a_cross(self, side: Side = Side.LONG) -> None:
        """A minute that closes on the far side, so that history makes the next close on the near side a cross."""
        await self.close_minute(LOW if side is Side.LONG else HIGH)

    async def cross(self, side: Side = Side.LONG) -> None:
        """A candle that closes across: an eager strategy wants this side now."""
        await self.close_minute(HIGH if side is Side.LONG else LOW)

    async def close_minute(self, px: str) -> None:
        """Trade at this price now and in the first tenth of the next minute: a quiet market closes no candle."""
        self.rig.price_now(px)
        await trio.sleep(MINUTE_S - trio.current_time() % MINUTE_S + 0.1)
        self.rig.price_now(px)
        await trio.sleep(0.5)

    def trade(self, leg: LegKey, contracts: str, *, closes: bool = False) -> None:
        """The account's owner opens or closes by hand, at market."""
        staged.done["a hand on the account"] += 1
        deal = closing_deal(leg.side) if closes else opening_deal(leg.side)
        pos_side = leg.side.value if self.rig.venue.accounts["main"].is_hedged else ""
        answer = self.rig.order(deal.value, contracts, posSide=pos_side, instId=leg.instrument)
        assert answer["sCode"] == "0", answer

    def cancel_stop(self, stop: AlgoOrder) -> None:
        """The account's owner cancels this stop."""
        staged.done["a stop cancelled by hand"] += 1
        self.rig.venue.advance()
        account = self.rig.venue.accounts["main"]
        self.rig.venue.algos_room.cancel(account, account.algos[stop.algo_id])

    def deaf(self, seconds: float = 0) -> None:
        """Orders and positions are not pushed: for so long, or until `heal`."""
        until_ms = self.seams.wall_ms() + round(seconds * 1000) if seconds else None
        for channel in ("orders", "positions", "orders-algo"):
            self.fault("drop_push", channel, times=0, until_ms=until_ms)

    async def settle_mark(self, px: str) -> None:
        """Trade at this price until mark has come there."""
        for _ in range(3_000):
            self.rig.price_now(px)
            if abs(self.mark - Decimal(px)) <= Decimal(px) / 10_000:
                return
            await trio.sleep(1)
        raise AssertionError(f"mark stays at {self.mark}")

    @property
    def mark(self) -> Decimal:
        return self.rig.venue.market.mark(LONG.instrument)

    def count(self, what: str, where: str = "") -> int:
        """How often the exchange noted this."""
        return len([one for one in self.rig.venue.log if one.what == what and where in one.detail])

    def writes(self, endpoint: str = "") -> list[str]:
        """Every writing request that arrived, oldest first."""
        return [
            one.detail
            for one in self.rig.venue.log
            if one.what == "write" and (not endpoint or one.detail == endpoint)
        ]

    def orders(self, made_for: ids.Made | None = None) -> list[Order]:
        """Every order that the exchange accepted, oldest first; only those of ours made for this, when said."""
        account = self.rig.venue.accounts["main"]
        every = [*account.done, *account.pending.values()]
        return [one for one in every if made_for is None or _made_for(one.client_id) is made_for]

    def held_of(self, leg: LegKey) -> Decimal:
        """What the exchange holds of this leg, in contracts; in net mode by direction."""
        for one in self.rig.venue.positions():
            is_side = one.direction == leg.side.sign
            if one.inst_id == leg.instrument and is_side:
                return abs(one.contracts)
        return Decimal(0)

    def stops_of(self, leg: LegKey = LONG) -> list[AlgoOrder]:
        """The live stops that would close this leg."""
        return [
            stop
            for stop in self.stops()
            if stop.inst_id == leg.instrument and stop.side == closing_deal(leg.side).value
        ]

    def is_covered(self, leg: LegKey = LONG) -> bool:
        """Whether exactly one live stop of the exchange would close this whole leg."""
        held, stops = self.held_of(leg), self.stops_of(leg)
        return (
            held > 0
            and len(stops) == 1
            and (
                stops[0].closes_whole_position
                or (stops[0].contracts is not None and stops[0].contracts >= held)
            )
        )

    async def until(self, claim: Callable[[], object], within_s: float = 600) -> None:
        """Wait until the claim about the exchange holds."""
        for _ in range(round(within_s * 10)):
            if claim():
                return
            await trio.sleep(0.1)
        raise AssertionError(f"not within {within_s} s")


def _made_for(client_id: str) -> ids.Made | None:
    parsed = ids.parse(client_id)
    return parsed.made_for if parsed is not None else None


@asynccontextmanager
async def exchange(
    spec: AccountSpec = HEDGED, *, switches: Switches | None = None, seed: int = 1, weather: Weather = CALM
) -> AsyncIterator[Scene]:
    """A scene on the fake network, a millisecond away unless said otherwise. The test takes `autojump_clock`."""
    network = FakeNetwork(Random(seed), weather)
    network.install()
    try:
        async with trio.open_nursery() as nursery:
            scene = Scene(nursery, spec, network, seed, switches)
            await scene.up()
            yield scene
            await scene.down()
    except BaseExceptionGroup as group:
        # A failure that is the only one is told without the nurseries that it came through.
        only: BaseException = group
        while isinstance(only, BaseExceptionGroup) and len(only.exceptions) == 1:
            only = only.exceptions[0]
        raise only from None
    assert network.open_sockets() == (), "sockets were left open"
