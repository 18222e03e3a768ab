"""The balance: sized from what the venue says now or not at all, and money that is moved is neither profit nor loss."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.machine import permission
from anchorwatch.machine.ids import Made
from tests.mission.rig import BTC_LONG, BTC_SHORT, OneLife, Scene, eager, exchange
from tests.venue.rig import BTC

OPEN = {"protection__take_profit_fraction": Decimal(0), "protection__max_holding_min": 0}


def result(life: OneLife) -> tuple[Decimal, Decimal]:
    totals = life.engine.desk.context.book.totals
    return totals.realised_pnl, totals.fees


def equity(life: OneLife) -> Decimal:
    return life.engine.desk.context.book.equity


@pytest.mark.parametrize("amount", ["-6000", "25000"], ids=["taken out", "paid in"])
async def test_a_transfer_changes_the_equity_and_is_no_profit_and_no_loss(
    autojump_clock: MockClock, amount: str
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager(**OPEN)) as life:
            await life.ready()
            await scene.cross()
            await life.entered()
            before, had = result(life), equity(life)
            scene.rig.venue.transfer("main", Decimal(amount))
            await trio.sleep(1)
            assert abs(equity(life) - had - Decimal(amount)) < 5
            assert result(life) == before
            assert life.bot.permission.state is permission.S.OPEN
            await scene.cross(BTC_SHORT.side)
            await life.flat(BTC_LONG)
            pnl = result(life)[0]
            account = scene.rig.venue.accounts["main"]
            assert sum(one.pnl for one in account.history.values()) == pnl


def deaf_account(scene: Scene) -> None:
    scene.fault("drop_push", "account", times=0)


async def test_without_a_fresh_account_state_nothing_is_sized(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            deaf_account(scene)
            await trio.sleep(65)
            await scene.cross()
            assert scene.orders(Made.ENTRY) == []
            assert ("", "balance") in life.bot.missing
            scene.heal()
            await trio.sleep(6)
            assert ("", "balance") not in life.bot.missing
            await scene.cross(BTC_SHORT.side)
            await life.until(lambda: bool(scene.orders(Made.ENTRY)))


async def test_an_earlier_account_state_that_comes_late_is_not_taken(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        scene.fault("delay_push", "account", delay_ms=4_000)
        scene.rig.venue.transfer("main", Decimal(-100))
        scene.rig.venue.transfer("main", Decimal(-5_000))
        await trio.sleep(10)
        assert equity(life) == scene.rig.cash
        assert BTC in life.engine.desk.context.book.instruments
