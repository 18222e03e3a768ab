"""Two bots on one account, and a host that slept."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.machine import permission, position
from anchorwatch.machine.connection import Name
from anchorwatch.machine.ids import Made
from tests.mission.rig import BTC_LONG, eager, exchange, still

OPEN, HALTED = permission.S.OPEN, permission.S.HALTED


async def test_a_second_bot_on_the_account_halts_itself_at_its_start_and_keeps_the_stops(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        await scene.before_a_cross()
        async with scene.life(still()) as first:
            await first.ready()
            async with scene.life(eager()) as second:
                await second.ready()
                assert second.bot.permission.state is HALTED
                assert "connections have subscribed" in second.lines("TWIN")[0]["why"]
                assert scene.is_covered()
                await scene.cross()
                assert scene.orders(Made.ENTRY) == []
            assert first.bot.permission.state is OPEN, "nothing was pushed to it yet"
            scene.lose(Name.PRIVATE)
            await trio.sleep(10)
            assert first.bot.permission.state is OPEN, "alone again"


async def test_on_an_account_that_others_use_a_second_connection_is_only_told(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        async with scene.life(still(account__mode="watch")) as first:
            await first.ready()
            async with scene.life(still(account__exclusive=False)) as second:
                await second.ready()
                assert second.bot.permission.state is OPEN
                assert second.lines("SHARED_ACCOUNT")


@pytest.mark.parametrize("names", [(Name.PRIVATE,), (Name.PRIVATE, Name.PRIVATE_BUSINESS)])
async def test_our_own_reconnects_are_no_twin(autojump_clock: MockClock, names: tuple[Name, ...]) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        for _ in range(3):
            scene.lose(*names)
            await trio.sleep(20)
            await life.delivers(*Name)
        scene.fault("upgrade_notice", "private")
        scene.trade(BTC_LONG, "0.5")
        await trio.sleep(90)
        await life.delivers(*Name)
        assert life.bot.permission.state is OPEN
        assert life.lines("TWIN") == []


async def test_a_crash_and_a_start_at_once_are_no_twin(autojump_clock: MockClock) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            for _ in range(2):
                async with scene.life(journal=journal) as life:
                    await life.ready()
                    assert life.lines("TWIN") == []
                    await life.crash()


async def test_the_half_open_sockets_of_lives_that_were_cut_off_are_no_twin(
    autojump_clock: MockClock,
) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            for _ in range(3):
                async with scene.life(journal=journal) as life:
                    await life.ready()
                    assert life.lines("TWIN") == []
                    assert life.bot.permission.state is OPEN
                    assert scene.network is not None
                    for connection in scene.network.connections():
                        connection.half_open()
                    await life.crash()


async def test_a_host_that_slept_reads_everything_anew_before_it_enters(autojump_clock: MockClock) -> None:
    given = eager(protection__take_profit_fraction=Decimal(0), protection__max_holding_min=0)
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(given) as life:
            await life.ready()
            before = life.bot.link(Name.PRIVATE).data.epoch
            scene.trade(BTC_LONG, "0.5", closes=True)
            scene.deaf()
            scene.machine_sleeps(3600)
            await trio.sleep(1.5)
            assert float(life.one("SLEPT")["seconds"]) == 3600
            scene.heal()
            await life.flat()
            await life.delivers(*Name)
            assert life.bot.link(Name.PRIVATE).data.epoch > before
            await life.until(lambda: life.slot().position.state is position.S.FLAT)
            await trio.sleep(30)
            assert life.is_ready
            assert life.bot.missing == ()


async def test_a_position_that_appeared_while_the_host_slept_is_found_and_protected(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        scene.deaf()
        scene.trade(BTC_LONG, "0.5")
        scene.machine_sleeps(600)
        scene.heal()
        await life.covered()
        assert scene.is_covered()
        assert life.one("DRIFT_ADD")["theirs"] == "0.5"


async def test_clocks_that_drift_apart_by_less_are_no_sleep(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        for _ in range(5):
            scene.machine_sleeps(2)
            await trio.sleep(3)
        assert life.lines("SLEPT") == []
