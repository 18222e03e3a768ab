"""What is measured: ways into a position, each under one fault or none, and under both positions of the switch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import trio

from anchorwatch.io.settings import Settings
from anchorwatch.io.simulation.network import Weather
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine.connection import Name
from anchorwatch.machine.units import Side, closing_deal, opening_deal
from tests.mission.rig import BTC_LONG, BTC_SHORT, OneLife, Scene, eager, exchange, still
from tests.unprotected.ghost import Ghost
from tests.venue.rig import BTC

WEATHER = Weather(latency_s=0.040, jitter_s=0.010, short_write_share=0.05, fragment_share=0.1)
"""40 to 50 ms each way: a host on another continent than the venue."""

ROUND_TRIP_MS = 100
"""The longest round trip of that weather."""

SLOWEST_MS = 5_000
"""The goal under any single fault."""

Fault = Callable[[Scene], None]
Episode = Callable[[Scene, OneLife, Side, Fault], Awaitable[None]]


async def market_entry(scene: Scene, life: OneLife, side: Side, fault: Fault) -> None:
    """The bot's own entry, with the stop attached that every entry carries."""
    leg = BTC_LONG if side is Side.LONG else BTC_SHORT
    await scene.before_a_cross(side)
    fault(scene)
    await scene.cross(side)
    await scene.until(lambda: scene.held_of(leg), 30)


async def found(scene: Scene, life: OneLife, side: Side, fault: Fault) -> None:
    """Opened at market by the account's owner: only the push tells of it."""
    await trio.sleep(QUIET_S)
    fault(scene)
    scene.trade(BTC_LONG if side is Side.LONG else BTC_SHORT, "0.5")


async def resting(scene: Scene, life: OneLife, side: Side, fault: Fault) -> None:
    """A resting order that fills in three parts, after minutes in which nothing was asked of the exchange."""
    away = "59990" if side is Side.LONG else "60010"
    through = Decimal("59989") if side is Side.LONG else Decimal("60011")
    answer = scene.rig.order(opening_deal(side).value, "0.9", away, posSide=side.value)
    assert answer["sCode"] == "0", answer
    await trio.sleep(QUIET_S)
    fault(scene)
    for _ in range(3):
        scene.rig.venue.set_price(BTC, through, Decimal("0.3"))
        await trio.sleep(PART_S)
    scene.rig.price_now("60000")


QUIET_S = 47.0
"""Longer than any connection is kept open for nothing, and no divisor of a minute: entries fall anywhere in the pace."""

PART_S = 0.4


def nothing(_: Scene) -> None:
    """No fault."""


class Case(msgspec.Struct, frozen=True):
    name: str
    way: Episode
    fault: Fault = nothing
    within_ms: int = ROUND_TRIP_MS

    @property
    def given(self) -> Settings:
        return eager(strategy__cooldown_s=0) if self.way is market_entry else still()


def one(kind: Any, where: str = "", **more: Any) -> Fault:
    """This fault once, at its next occasion."""

    def strike(scene: Scene) -> None:
        scene.fault(kind, where, **more)

    return strike


def _lose(*names: Name) -> Fault:
    return lambda scene: scene.lose(*names)


def _reset_all(scene: Scene) -> None:
    """Every TCP connection, REST and WebSockets alike, breaks."""
    assert scene.network is not None
    for connection in scene.network.connections():
        connection.reset()


def _half_open(scene: Scene) -> None:
    assert scene.network is not None
    for connection in scene.network.connections():
        connection.half_open()


WAYS: tuple[tuple[str, Episode], ...] = (
    ("market entry", market_entry),
    ("resting order", resting),
    ("found", found),
)

FAULTS: tuple[tuple[str, Fault], ...] = (
    ("attached stop not created", one("attached_missing", BTC)),
    ("stop: answer lost", one("accept_then_timeout", "trade/order-algo")),
    ("stop: request lost", one("reject_then_timeout", "trade/order-algo")),
    ("stop: refused once, 50011", one("reject_with_code", "trade/order-algo", code="50011")),
    ("stop: refused once, 50001", one("reject_with_code", "trade/order-algo", code="50001")),
    ("stop: HTML page", one("html_error", "trade/order-algo")),
    ("stop: processed a second late", one("late_processing", "trade/order-algo", delay_ms=1_000)),
    ("orders push lost", one("drop_push", "orders")),
    ("orders push twice", one("duplicate_push", "orders")),
    ("orders push late by 2 s", one("delay_push", "orders", delay_ms=2_000)),
    ("stop push lost", one("drop_push", "orders-algo")),
    ("private stream lost", _lose(Name.PRIVATE)),
    ("private-business stream lost", _lose(Name.PRIVATE_BUSINESS)),
    ("every stream lost", _lose(*Name)),
    ("every connection reset", _reset_all),
    ("every connection half-open", _half_open),
)  # fmt: skip

ONLY_WITH_A_BELT = ("attached", "every connection half-open")
"""A socket that is half-open tells nothing for half a minute: there the belt is what protects, or asking for the order."""

CASES = (
    *(Case(name, way) for name, way in WAYS),
    *(
        Case(f"{name}; {fault}", way, strike, SLOWEST_MS)
        for name, way in WAYS
        for fault, strike in FAULTS
        if way is market_entry or not fault.startswith(ONLY_WITH_A_BELT)
    ),
)

SWITCHES = (Switches(attached_after="complete"), Switches(attached_after="each_fill"))


async def measure(case: Case, switches: Switches, episodes: int, seed: int) -> list[int]:
    """The uncovered milliseconds of each of so many positions, by the exchange's clock. One life of the bot."""
    async with exchange(switches=switches, weather=WEATHER, seed=seed) as scene:
        ghost = Ghost(scene.rig.venue)
        async with scene.life(case.given) as life:
            await life.ready()
            await trio.sleep(2)
            spells: list[int] = []
            for number in range(episodes):
                side = Side.LONG if number % 2 == 0 else Side.SHORT
                ghost.spells.clear()
                await case.way(scene, life, side, case.fault)
                await trio.sleep(12)
                assert not ghost.bare, f"{case.name}: still uncovered\n{life.text()}"
                # Its whole first life counts: a second spell of the same position is as bare as the first.
                spells.append(sum(spell.lasted_ms for spell in ghost.spells))
                scene.heal()
                leg = BTC_LONG if side is Side.LONG else BTC_SHORT
                held = scene.held_of(leg)
                if held:
                    answer = scene.rig.order(closing_deal(side).value, str(held), posSide=side.value)
                    assert answer["sCode"] == "0", answer
                await life.flat(leg)
                await life.delivers(*Name)
                await trio.sleep(5)
        return spells
