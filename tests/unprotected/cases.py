"""What is measured: ways into a position, each under one fault or none, and under both positions of the switch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import trio

from anchorwatch.io.settings import Settings
from anchorwatch.io.simulation.network import Weather
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine import order
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


async def maker_entry(
    scene: Scene, life: OneLife, side: Side, fault: Fault, parts: Sequence[int] = (1, 1, 1)
) -> None:
    """The bot's own entry, resting at the best price, and filled in thirds."""
    leg = BTC_LONG if side is Side.LONG else BTC_SHORT
    await scene.before_a_cross(side)
    await scene.cross(side)
    await life.until(lambda: life.slot(leg).entry.state in order.RESTING, 30)
    [own] = scene.rig.venue.orders()
    assert own.px is not None
    await trio.sleep(RESTS_S)
    fault(scene)
    await in_parts(scene, own.px, own.contracts, side, parts)


async def maker_entry_in_part(scene: Scene, life: OneLife, side: Side, fault: Fault) -> None:
    """A third of it fills, and then nothing more comes."""
    await maker_entry(scene, life, side, fault, parts=(1,))


async def found_resting(scene: Scene, life: OneLife, side: Side, fault: Fault) -> None:
    """The account owner's resting order, filled in three parts after a time in which nothing was asked."""
    px = Decimal(60_000) - 10 * side.sign
    answer = scene.rig.order(opening_deal(side).value, "0.9", str(px), posSide=side.value)
    assert answer["sCode"] == "0", answer
    await trio.sleep(QUIET_S)
    fault(scene)
    await in_parts(scene, px, Decimal("0.9"), side, (1, 1, 1))
    scene.rig.price_now("60000")


async def in_parts(scene: Scene, px: Decimal, contracts: Decimal, side: Side, parts: Sequence[int]) -> None:
    """Trades at the resting order's own price, each of so many thirds of it."""
    left = contracts
    for number, part in enumerate(parts, start=1):
        size = left if number == 3 else (contracts * part / 3).quantize(Decimal("0.01"))
        left -= size
        scene.rig.price_now(str(px + 5 * side.sign))
        scene.rig.venue.set_price(BTC, px, size)
        await trio.sleep(PART_S)


RESTS_S = 3.7
"""How long an entry has rested when it fills."""

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
        if self.way in (found, found_resting):
            return still()
        kind = "market" if self.way is market_entry else "post_only"
        # Every position here ends in a small loss, by hand, and the next one is wanted all the same.
        return eager(entry__order_kind=kind, entry__rest_s=40, limits__losses_in_row=0, limits__daily_loss=0)


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
    """Nothing that either end sends arrives any more, and neither is told."""
    assert scene.network is not None
    for connection in scene.network.connections():
        connection.half_open()


WAYS: tuple[tuple[str, Episode], ...] = (
    ("market entry", market_entry),
    ("maker entry", maker_entry),
    ("maker entry, a third", maker_entry_in_part),
    ("found", found),
    ("found, resting", found_resting),
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

OF_OUR_ENTRIES = ("attached", "every connection half-open")
"""A half-open socket is noticed after half a minute. What the bot did not order it cannot ask for in the meantime."""

CASES = (
    *(Case(name, way) for name, way in WAYS),
    *(
        Case(f"{name}; {fault}", way, strike, SLOWEST_MS)
        for name, way in WAYS
        for fault, strike in FAULTS
        if not way.__name__.startswith("found") or not fault.startswith(OF_OUR_ENTRIES)
    ),
)

SWITCHES = (
    Switches(attached_after="complete", resting_fill="touch"),
    Switches(attached_after="each_fill", resting_fill="touch"),
)
"""A resting order fills in parts only where its price is touched."""


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
