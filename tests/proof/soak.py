"""A day on recorded candles with everything going wrong now and then, and what is left of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec
import trio

from anchorwatch.io.journal import open_journal
from anchorwatch.io.settings import Settings
from anchorwatch.io.simulation.convergence import orphans, unrest
from anchorwatch.io.venue.candle_file import read_candles
from anchorwatch.io.venue.faults import FaultKind
from anchorwatch.io.venue.feeds import Feed, shifted
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.machine.connection import Name
from anchorwatch.machine.lifecycle import Exit
from tests import staged
from tests.io.engine_rig import settings
from tests.mission.rig import OneLife
from tests.proof.growth import EVERY_S as SAMPLED_EVERY_S
from tests.proof.growth import SETTLED_S, Sample, leaks, sample
from tests.proof.stage import HOUR_S, Day, DayLife, Tail, day
from tests.unprotected.ghost import Ghost
from tests.venue.rig import BTC, ETH, HEDGED, START_MS

FILES = {
    BTC: "binance_spot_BTCUSDT_1m_2021_05_19.csv.gz",  # 22 % down within an hour
    ETH: "binance_ETHUSDT_1m_2025_benicio.csv.gz",
}

EVERY_S = (20, 150)
"""How long it goes well between two faults."""

LASTS_S = (5, 60)

LIFE_S = (900, 5_400)
"""How long a life is in the first half, before it is cut off or stopped. The second half is one life."""

HEALED_S = 400
"""How long a healed world may take to come to rest: an exhausted connection waits five minutes."""

REST: tuple[tuple[FaultKind, str], ...] = (
    ("accept_then_timeout", "trade/order"),
    ("reject_then_timeout", "trade/order"),
    ("accept_then_code", "trade/order"),
    ("accept_then_timeout", "trade/order-algo"),
    ("reject_then_timeout", "trade/order-algo"),
    ("reject_with_code", "trade/order-algo"),
    ("accept_then_timeout", "trade/amend-algos"),
    ("late_processing", "trade/order"),
    ("slow_answer", ""),
    ("html_error", ""),
    ("accept_then_html", "trade/order"),
    ("truncated_answer", "account/positions"),
    ("rest_lag", "account/positions"),
    ("drop_push", "orders"),
    ("drop_push", "positions"),
    ("drop_push", "orders-algo"),
    ("duplicate_push", "orders"),
    ("reorder_push", "orders"),
    ("delay_push", "positions"),
    ("ws_refuse", "private"),
    ("ws_refuse", "business"),
    ("login_reject", "private"),
    ("login_slow", "private"),
    ("upgrade_notice", "private"),
    ("algo_fail", BTC),
    ("attached_missing", BTC),
    ("amend_fail_late", ""),
)


class Look(msgspec.Struct, frozen=True):
    """What was seen at one moment."""

    held: Sample
    orders: int
    lives: int


class Soaked(msgspec.Struct):
    """What a soak left."""

    looks: list[Look] = []
    amiss: list[str] = []
    exits: list[str] = []
    names: dict[str, int] = {}
    alarms: dict[str, int] = {}
    struck: dict[str, int] = {}
    spells_ms: list[int] = []
    positions: int = 0


def recorded(candles: Path) -> dict[str, Feed]:
    """The files of the soak as the market of now, again and again."""
    feeds: dict[str, Feed] = {}
    for inst_id, name in FILES.items():
        instrument = instrument_for(inst_id)
        assert instrument is not None
        feeds[inst_id] = shifted(read_candles(candles / name, instrument), START_MS, loop=True)
    return feeds


def scalping() -> Settings:
    """Small averages, so that there is always something open; makers, as by default."""
    return settings(
        symbols=[BTC, ETH],
        limits__losses_in_row=0,
        limits__total_usd=0,
        strategy__fast=2,
        strategy__slow=5,
        strategy__cooldown_s=20,
        sizing__notional_usd=Decimal(1_000),
        entry__order_kind="post_only",
    )


JUDGED_H = 1
"""So many hours are held against the environment of the check; longer days are about memory."""


async def soak(feeds: Mapping[str, Feed], hours: float, seed: int) -> Soaked:
    """So many hours, in virtual time. The last minutes are healed, and the last life is stopped in order."""
    told, random = Soaked(), Random(seed)
    names: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    async with day(HEDGED, feeds, seed=seed, is_judged=hours <= JUDGED_H) as scene:
        ghost = Ghost(scene.rig.venue)
        begun_s = trio.current_time()
        until_s, half_s = begun_s + hours * HOUR_S, begun_s + hours * HOUR_S / 2
        with open_journal(None, "sim", "sim-key") as journal:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_trouble, scene, random, until_s)
                nursery.start_soon(_watch, scene, told, ghost)
                while trio.current_time() < until_s:
                    async with scene.life(scalping(), journal=journal) as life:
                        assert isinstance(life, DayLife)
                        scene.living = life
                        now_s = trio.current_time()
                        ends_s = now_s + random.uniform(*LIFE_S) if now_s < half_s else until_s
                        life_s = min(ends_s, until_s) - now_s
                        with trio.move_on_after(life_s):
                            await trio.sleep_forever() if life_s > 0 else None
                        if trio.current_time() >= until_s:
                            await _come_to_rest(scene, life, told)
                        elif random.random() < 0.5:
                            await life.crash()
                    scene.living = None
                    _count(life.log, names, alarms)
                    staged.lives.clear()  # a day of lives would be a leak of the stage's own
                    told.exits.append(life.exit.name if life.exit is not None else "cut off")
                nursery.cancel_scope.cancel()
        account = scene.rig.venue.accounts["main"]
        told.amiss += orphans(account)
        told.amiss += [f"{leg} is left without a stop" for leg in ghost.bare]
        told.positions = sum(1 for one in account.history.values() if one.kind in ("2", "3"))
        told.spells_ms = sorted(spell.lasted_ms for spell in ghost.spells)
        told.struck = dict(scene.rig.venue.faults.struck_by_kind)
    halves = (
        ("over many lives", begun_s + SETTLED_S, half_s),
        ("within one life", half_s + SETTLED_S, until_s),
    )
    for words, first_s, last_s in halves:
        held = [one.held for one in told.looks if first_s <= one.held.at_s < last_s]
        told.amiss += [f"grows {words}: {leak}" for leak in leaks(held)]
    if told.exits[-1] != Exit.CLEAN.name:
        told.amiss.append(f"the last life ended with {told.exits[-1]}")
    told.names, told.alarms = dict(names), dict(alarms)
    return told


def _count(log: Tail, names: Counter[str], alarms: Counter[str]) -> None:
    names.update(log.names)
    alarms.update(log.alarms)


async def _come_to_rest(scene: Day, life: OneLife, told: Soaked) -> None:
    scene.heal()
    left: list[str] = ["nothing was looked at"]
    for _ in range(HEALED_S):
        await trio.sleep(1)
        left = unrest(life.engine.desk, scene.rig.venue.accounts["main"])
        if not left:
            return
    told.amiss += left


async def _trouble(scene: Day, random: Random, until_s: float) -> None:
    """Now and then something is wrong for a while; never twice the same thing by the clock."""
    assert scene.network is not None
    while True:
        await trio.sleep(random.uniform(*EVERY_S))
        if trio.current_time() > until_s - 1:
            return
        match random.randrange(8):
            case 0:
                scene.lose(random.choice(list(Name)))
            case 1:
                scene.lose(*Name)
            case 2:
                for one in scene.network.connections():
                    if random.random() < 0.5:
                        one.reset()
            case 3:
                for one in scene.network.connections():
                    if random.random() < 0.5:
                        one.half_open()
            case _:
                kind, where = random.choice(REST)
                scene.fault(kind, where, times=random.randint(1, 3), delay_ms=random.randint(300, 4_000))
                if kind in ("ws_refuse", "login_reject", "login_slow"):
                    scene.lose(Name.PRIVATE, Name.PRIVATE_BUSINESS)
                await trio.sleep(random.uniform(*LASTS_S))
                scene.heal()


async def _watch(scene: Day, told: Soaked, ghost: Ghost) -> None:
    while True:
        life = scene.living
        desk = life.engine.desk if life is not None else None
        held = sample(trio.current_time(), scene.rig.venue, desk, own=(told.looks, ghost.spells))
        told.looks.append(Look(held, len(scene.orders()), scene.lives))
        await trio.sleep(SAMPLED_EVERY_S)
