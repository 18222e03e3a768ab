"""A part of a profit is taken once in a position's life, whatever becomes of the bot while it is being taken."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.machine import ids, order, position
from tests.mission.rig import BTC_LONG, OneLife, Scene, exchange, still

PARTING = still(
    exits__partial_share=Decimal("0.5"),
    exits__partial_at_fraction=Decimal("0.002"),
    protection__take_profit_fraction=0,
    protection__trail_activation_fraction=Decimal("0.05"),
)
PROFITABLE = "60300"


def is_reducing(_: Scene, life: OneLife) -> bool:
    return life.slot().position.state is position.S.REDUCING


def is_out(_: Scene, life: OneLife) -> bool:
    return life.slot().close.state in order.OUT


def is_smaller(scene: Scene, _: OneLife) -> bool:
    return scene.held_of(BTC_LONG) == Decimal("0.25")


def is_filled(_: Scene, life: OneLife) -> bool:
    return life.slot().close.state is order.S.FILLED


def is_taken(_: Scene, life: OneLife) -> bool:
    return bool(life.lines("REDUCE")) and life.slot().position.state is position.S.OPEN


STEPS: dict[str, tuple[tuple[str, ...], Callable[[Scene, OneLife], bool]]] = {
    "decided": ((), is_reducing),
    "sent, accepted and not answered": (("accept_then_timeout", "deaf"), is_out),
    "sent and never arrived": (("reject_then_timeout",), is_out),
    "filled, and not heard of": (("deaf",), is_smaller),
    "filled": ((), is_filled),
    "taken": ((), is_taken),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_part_is_taken_once_though_the_bot_dies_while_it_is(
    autojump_clock: MockClock, step: str
) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            faults, has_come = STEPS[step]
            for fault in faults:
                if fault == "deaf":
                    scene.deaf()
                else:
                    scene.fault(fault, "trade/order", times=0)  # type: ignore[arg-type]
            async with scene.life(PARTING, journal=journal) as life:
                await life.ready()
                await scene.settle_mark("60050")
                scene.rig.price_now(PROFITABLE)
                await life.until(lambda: has_come(scene, life))
                await life.crash()
            scene.heal()
            async with scene.life(PARTING, journal=journal) as life:
                await life.ready()
                await scene.settle_mark(PROFITABLE)
                await life.until(lambda: scene.held_of(BTC_LONG) == Decimal("0.25"))
                await scene.settle_mark("60350")  # it would be taken with every mark
                await life.covered()
                assert scene.held_of(BTC_LONG) == Decimal("0.25")
                assert life.book().contracts == Decimal("0.25")
                closes = [one for one in scene.orders(ids.Made.CLOSE) if one.filled]
                assert [one.contracts for one in closes] == [Decimal("0.25")]
