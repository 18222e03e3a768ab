"""Connections that are lost under the whole engine: entries shut, protection goes on, everything is restored (R6, R7)."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.simulation.network import HostFault
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, position, protection
from anchorwatch.machine.connection import Name
from anchorwatch.machine.lifecycle import Exit
from tests.io.engine_rig import FAKE_HOST, LONG, Life, World, fake, loopback, paced_clock, settings
from tests.venue.rig import BTC

__all__ = ["paced_clock"]

CHANNELS = {
    Name.PUBLIC: {"mark-price", "tickers", "instruments", "funding-rate", "status"},
    Name.BUSINESS: {"candle1m", "candle5m", "candle15m", "candle1H", "candle1Dutc"},
    Name.PRIVATE: {"orders", "positions", "account"},
    Name.PRIVATE_BUSINESS: {"orders-algo", "algo-advance"},
}


def channels(world: World, name: Name) -> set[str]:
    """What the exchange has subscribed on this connection."""
    (session,) = world.sessions(name)
    return {one.channel for one in session.subscriptions}


def waits_s(life: Life, name: str) -> list[float]:
    """How long this connection backed off each time, by its log."""
    moves = life.moves("connection", name)
    return [
        (later["at_ms"] - earlier["at_ms"]) / 1000
        for earlier, later in pairwise(moves)
        if earlier["dest"] in ("BACKING_OFF", "EXHAUSTED") and later["dest"] == "DIALING"
    ]


@pytest.mark.parametrize("name", list(Name))
async def test_a_connection_that_is_lost_while_a_position_is_open_is_restored_after_five_seconds(
    autojump_clock: MockClock, name: Name
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        before = channels(world, name)
        await trio.sleep(1.5)  # beyond the second in which the exchange takes three handshakes
        lost_ms = world.seams.wall_ms()
        world.lose(name)
        await life.until(lambda: life.bot.link(name).state is connection.S.BACKING_OFF, within_s=1)
        (obstacle,) = [one for one in bots.standing_obstacles(life.bot, BTC) if "connection" in one]
        assert obstacle == f"{name.value} connection is backing off"
        await life.delivers(name)
        assert waits_s(life, name.value) == [5]
        assert world.seams.wall_ms() - lost_ms < 6_000
        assert len(world.sessions(name)) == 1  # the old one is gone
        assert channels(world, name) == before == CHANNELS[name]
        assert life.slot().protection.state is protection.S.COVERED
        await life.until(lambda: bots.standing_obstacles(life.bot, BTC) == (), within_s=5)


@pytest.mark.parametrize("name", [Name.PRIVATE, Name.PRIVATE_BUSINESS])
async def test_after_a_private_connection_is_back_the_account_is_read(
    autojump_clock: MockClock, name: Name
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        await trio.sleep(2)
        world.lose(name)
        await life.until(lambda: life.bot.link(name).state is connection.S.BACKING_OFF, within_s=1)
        await life.delivers(name)
        live_ms = life.moves("connection", name.value)[-1]["at_ms"]
        await life.until(lambda: bots.is_settled(life.bot))
        reasons = [line["cause"] for line in life.lines("reconciliation") if line["at_ms"] >= live_ms]
        assert f"{name.value} was away" in reasons


async def test_a_position_that_opened_while_the_private_connection_was_away_is_found_and_protected(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        await trio.sleep(2)
        world.lose(Name.PRIVATE, Name.PRIVATE_BUSINESS)
        await trio.sleep(0.5)
        world.by_hand("buy", "0.5")
        opened_s = trio.current_time()
        await life.covered()
        assert trio.current_time() - opened_s < 5
        assert len(world.stops()) == 1


async def test_a_stop_that_fills_while_the_private_connection_is_away_is_noticed_and_explained(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        world.fault("ws_refuse", "private", times=0)
        world.lose(Name.PRIVATE)
        await world.price(59_000, 60)
        assert world.held() == 0
        await life.flat()
        assert life.bot.link(Name.PRIVATE).state is connection.S.BACKING_OFF
        assert life.telemetry.summary.exit_code is None
        assert [line["event"] for line in life.lines() if line["event"] == "EXIT"] == ["EXIT"]
        world.heal()


async def test_the_stop_goes_on_trailing_while_private_pushes_are_away(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        first = world.stops()[0].sl_trigger_px
        world.fault("ws_refuse", "private", times=0)
        world.lose(Name.PRIVATE)
        await world.price(60_500, 60)
        assert first is not None
        moved = world.stops()[0].sl_trigger_px
        assert moved is not None
        assert moved > first
        world.heal()


async def test_a_private_connection_that_is_refused_waits_exactly_by_the_users_rule(
    autojump_clock: MockClock,
) -> None:
    calm = settings(reconcile__poll_while_private_down_s=60)
    async with fake() as world, world.life(calm) as life:
        await life.ready()
        world.fault("ws_refuse", "private", times=0)
        world.lose(Name.PRIVATE)
        await trio.sleep(2_200)
        assert waits_s(life, "private") == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300]
        assert life.states("connection", "private").count("EXHAUSTED") == 3
        alarms = [line["reason"] for line in life.lines("CONNECTION")]
        assert alarms[0] == (
            "private: 10 attempts failed; going on every 300 s; the last: upgrade refused with HTTP 502"
        )
        world.heal()
        await life.delivers(Name.PRIVATE)


async def test_a_public_connection_that_is_refused_waits_its_constant_delay(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world, world.life(settings(connections__reconnect_delay_s=7)) as life:
        await life.ready()
        world.fault("ws_refuse", "public", times=6)
        world.lose(Name.PUBLIC)
        await trio.sleep(60)
        assert waits_s(life, "public") == [7] * 7
        assert life.bot.link(Name.PUBLIC).state is connection.S.LIVE


async def test_the_count_of_attempts_is_forgotten_after_a_minute_of_life(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        for pause_s in (1, 1, 61, 1):
            await life.delivers(Name.PRIVATE)
            await trio.sleep(pause_s)
            world.lose(Name.PRIVATE)
            await life.until(lambda: life.bot.link(Name.PRIVATE).state is connection.S.BACKING_OFF)
        await life.delivers(Name.PRIVATE)
        assert waits_s(life, "private") == [5, 10, 5, 10]


async def test_a_connection_that_has_gone_silent_is_noticed_and_replaced(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        assert world.network is not None
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        for one in world.network.connections():
            one.half_open()
        silent_s = trio.current_time()
        await life.until(lambda: all("BACKING_OFF" in life.states("connection", n.value) for n in Name))
        assert trio.current_time() - silent_s < 28.2  # 20 s of silence, 8 for an answer, a look
        await life.delivers(*Name)
        await life.until(lambda: bots.standing_obstacles(life.bot, BTC) == ())
        assert life.slot().protection.state is protection.S.COVERED


async def test_an_upgrade_notice_is_answered_with_a_replacement_before_the_old_one_closes(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        await trio.sleep(2)
        for session in world.sessions(Name.PRIVATE):
            session.give_notice()
        await trio.sleep(5)
        assert life.states("connection", "private")[-2:] == ["REPLACING", "LIVE"]
        assert len(world.sessions(Name.PRIVATE)) == 1
        await trio.sleep(70)
        assert "BACKING_OFF" not in life.states("connection", "private")


async def test_a_venue_that_restarts_finds_the_bot_as_it_left_it(paced_clock: PacedClock) -> None:
    async with loopback() as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        await world.down()
        await trio.sleep(20)
        assert not any(connection.delivers(life.bot.link(name)) for name in Name)
        assert life.slot().position.state is position.S.OPEN
        await world.up()
        await life.delivers(*Name)
        await life.until(lambda: bots.standing_obstacles(life.bot, BTC) == ())
        assert life.slot().position.state is position.S.OPEN
        assert life.slot().protection.state is protection.S.COVERED
        assert [one.client_id for one in world.stops()] == [
            life.engine.desk.context.book.leg(LONG).stop_client_id
        ]
        assert "DRIFT_REMOVE" not in life.text()
        assert await life.stop() is Exit.CLEAN


async def test_a_venue_that_is_away_for_half_an_hour_is_asked_for_as_long(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        assert world.network is not None
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        world.network.break_host(FAKE_HOST, HostFault.REFUSES)
        for one in world.network.connections():
            one.reset()
        await trio.sleep(1_800)
        assert life.exit is None
        world.network.mend_host(FAKE_HOST)
        await life.delivers(*Name)
        await life.until(lambda: bots.standing_obstacles(life.bot, BTC) == ())
        assert life.slot().position.state is position.S.OPEN


async def test_lost_and_doubled_pushes_leave_the_book_as_the_exchange_has_it(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.fault("duplicate_push", "orders", times=0)
        world.fault("drop_push", "positions", times=0, probability=0.5)
        world.fault("drop_push", "orders-algo", times=0, probability=0.5)
        world.fault("reorder_push", "orders", times=0, probability=0.3)
        for side in ("buy", "sell", "buy", "sell", "buy"):
            world.by_hand(side, "0.5")
            await trio.sleep(10)
        world.heal()
        await trio.sleep(70)  # one check by timer
        book = life.engine.desk.context.book.leg(LONG)
        assert book.contracts == world.held()
        assert life.slot().protection.state is protection.S.COVERED
        assert len(world.stops()) == 1
