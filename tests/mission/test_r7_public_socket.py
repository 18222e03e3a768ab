"""R7: the public WebSockets: limit of attempts, the configured delay, every channel and its consumer."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.channels import channels_of
from anchorwatch.io.venue.faults import InstrumentChange, Maintenance
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection
from anchorwatch.machine.connection import Name
from tests.mission.rig import BTC_LONG, BTC_SHORT, eager, exchange, still
from tests.mission.test_r6_private_socket import waits_s
from tests.venue.rig import BTC, ETH

OPEN_ONES = pytest.mark.parametrize("name", [Name.PUBLIC, Name.BUSINESS], ids=lambda name: name.value)


@OPEN_ONES
async def test_r7_1_the_limit_of_attempts_is_checked_and_alarms(
    autojump_clock: MockClock, name: Name
) -> None:
    async with exchange() as scene, scene.life(still(connections__attempts_max=3)) as life:
        await life.ready()
        scene.fault("ws_refuse", name.value, times=0)
        scene.lose(name)
        await life.until(lambda: life.bot.link(name).state is connection.S.EXHAUSTED, 60)
        assert waits_s(life, name) == [5, 5, 5]
        assert life.one("CONNECTION")["level"] == "alarm"
        scene.heal()
        await life.delivers(name)  # slowly, but it goes on
        assert waits_s(life, name) == [5, 5, 5, 300]


@OPEN_ONES
async def test_r7_2_the_wait_is_the_configured_reconnect_delay(autojump_clock: MockClock, name: Name) -> None:
    async with exchange() as scene, scene.life(still(connections__reconnect_delay_s=7)) as life:
        await life.ready()
        scene.fault("ws_refuse", name.value, times=4)
        scene.lose(name)
        await trio.sleep(1)
        await life.delivers(name)
        assert waits_s(life, name) == [7, 7, 7, 7, 7]


async def test_r7_3_every_channel_of_every_symbol_is_restored(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life(still(symbols=[BTC, ETH])) as life:
        await life.ready()
        scene.lose(Name.PUBLIC)
        await trio.sleep(1)
        await life.delivers(Name.PUBLIC)
        for chart in life.engine.desk.context.charts.values():
            chart.quote = None
        marks = life.engine.desk.context.book.marks
        marks.clear()
        for _ in range(3):
            scene.rig.price_now("60010", BTC)
            scene.rig.price_now("3001", ETH)
            await trio.sleep(1)
        assert sorted(marks) == [BTC, ETH]


async def test_r7_4_the_consumers_of_the_restored_channels_work(autojump_clock: MockClock) -> None:
    """Candles reach the strategy and mark reaches the trailing stop, over the new sockets."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.lose(Name.PUBLIC, Name.BUSINESS)
            await trio.sleep(1)
            await life.delivers(*Name)
            await scene.cross()
            await life.entered()
            level = life.book().resting
            await scene.settle_mark("60500")
            await trio.sleep(2)
            moved = life.book().resting
            assert level is not None
            assert moved is not None
            assert moved > level


async def test_r7_4_the_consumer_of_every_channel_gets_data_after_a_reconnect(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        wanted = {arg.channel for args in channels_of(still()).values() for arg in args}
        wanted.discard("algo-advance")  # trailing orders of the exchange's own, which this bot makes none of
        scene.lose(*Name)
        await trio.sleep(1)
        await life.delivers(*Name)
        heard = life.engine.intake.pushes
        heard.clear()
        equity_at_ms = life.engine.desk.context.book.equity_at_ms
        scene.trade(BTC_LONG, "0.5")
        await trio.sleep(1)  # by push: nothing is read for most of a minute
        assert life.book().contracts == Decimal("0.5")
        [stop] = scene.stops()
        scene.cancel_stop(stop)
        await trio.sleep(2)
        assert scene.is_covered()
        assert scene.stops() != [stop]
        assert life.engine.desk.context.book.equity_at_ms > equity_at_ms
        scene.rig.venue.change_instrument(InstrumentChange(at_ms=0, inst_id=BTC, state="live"))
        begin_ms = scene.rig.venue.now_ms() + 86_400_000
        scene.rig.venue.announce_maintenance(Maintenance(begin_ms=begin_ms, end_ms=begin_ms + 60_000))
        for _ in range(70):
            scene.rig.price_now("60010")
            await trio.sleep(1)
        assert wanted <= heard.keys()
        assert life.book().contracts == scene.held_of(BTC_LONG)


async def test_r7_4_entries_wait_while_market_data_is_away_and_protection_does_not(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_SHORT, "0.5")
        async with scene.life() as life:
            await life.ready()
            scene.fault("ws_refuse", "public", times=0)
            scene.lose(Name.PUBLIC)
            await trio.sleep(1)
            assert "public connection is backing off" in bots.entry_obstacles(life.bot, BTC_LONG)
            for stop in scene.stops():
                scene.cancel_stop(stop)
            await trio.sleep(61)
            assert scene.is_covered(BTC_SHORT)


async def test_r7_a_quiet_market_is_no_reason_to_reconnect(autojump_clock: MockClock) -> None:
    """The original had no ping: 2,306 reconnects in ten hours."""
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        await trio.sleep(600)
        assert {
            name.value: life.states("connection", name.value).count("DIALING") for name in Name
        } == dict.fromkeys(("public", "business", "private", "private-business"), 1)
