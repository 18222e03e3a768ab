"""R6: the private WebSockets: limit of attempts, back-off, the old socket first, subscriptions, the counter."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.machine import connection
from anchorwatch.machine.connection import Name
from tests.io.engine_rig import Life
from tests.mission.rig import BTC_LONG, Scene, exchange, still

PRIVATE = pytest.mark.parametrize("name", [Name.PRIVATE, Name.PRIVATE_BUSINESS], ids=lambda name: name.value)
SLOW_POLL = still(reconcile__poll_while_private_down_s=60)


def waits_s(life: Life, name: Name) -> list[int]:
    """How long the connection waited before each dial, in whole seconds."""
    moves = life.moves("connection", name.value)
    return [
        round((after["at_ms"] - before["at_ms"]) / 1000)
        for before, after in pairwise(moves)
        if before["dest"] in ("BACKING_OFF", "EXHAUSTED")
    ]


def cut_off(scene: Scene, name: Name) -> None:
    """This connection is lost, and no new one is taken."""
    scene.fault("ws_refuse", "private" if name is Name.PRIVATE else "business", times=0)
    scene.lose(name)


@PRIVATE
async def test_r6_1_after_ten_attempts_it_alarms_and_goes_on_slowly(
    autojump_clock: MockClock, name: Name
) -> None:
    async with exchange() as scene, scene.life(SLOW_POLL) as life:
        await life.ready()
        cut_off(scene, name)
        await life.until(lambda: life.bot.link(name).state is connection.S.EXHAUSTED, 3_000)
        assert life.states("connection", name.value).count("BACKING_OFF") == 10
        alarm = life.one("CONNECTION")
        assert (alarm["level"], alarm["link"]) == ("alarm", name.value)
        assert "10 attempts failed" in alarm["reason"]
        scene.heal()
        await life.delivers(name)


async def test_r6_1_the_limit_is_the_settings(autojump_clock: MockClock) -> None:
    given = still(connections__attempts_max=2, connections__exhausted_retry_s=50)
    async with exchange() as scene, scene.life(given) as life:
        await life.ready()
        cut_off(scene, Name.PRIVATE)
        await trio.sleep(5 + 10 + 2 * 50 + 5)
        assert waits_s(life, Name.PRIVATE) == [5, 10, 50, 50]


@PRIVATE
async def test_r6_2_the_waits_are_5_10_20_40_and_at_most_300_s(autojump_clock: MockClock, name: Name) -> None:
    async with exchange() as scene, scene.life(SLOW_POLL) as life:
        await life.ready()
        cut_off(scene, name)
        await trio.sleep(5 + 10 + 20 + 40 + 80 + 160 + 4 * 300 + 300 + 10)
        assert waits_s(life, name) == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300]


@pytest.mark.parametrize("code", [1006, 1001, 4001, 4005])
async def test_r6_2_any_close_is_noticed_a_clean_one_too(autojump_clock: MockClock, code: int) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        [session] = scene.sessions(Name.PRIVATE)
        session.close(code, "")
        await trio.sleep(6)
        assert waits_s(life, Name.PRIVATE) == [5]
        assert len(scene.sessions(Name.PRIVATE)) == 1


async def test_r6_3_the_old_socket_is_gone_before_the_new_one_is_dialled(autojump_clock: MockClock) -> None:
    """A half-open socket: nothing says that it is dead, and silence finds out."""
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        network = scene.network
        assert network is not None
        before = network.connections()
        for one in before:
            one.half_open()
        await life.until(lambda: life.bot.link(Name.PRIVATE).state is connection.S.BACKING_OFF, 60)
        await trio.sleep(3)
        left = [one for one in before if one.client in network.open_sockets()]
        assert len(left) <= len(before) - len(Name), (
            "all four WebSockets are closed; the REST client keeps its own"
        )
        await life.delivers(*Name)


async def test_r6_3_a_socket_that_is_given_up_is_closed_before_the_next_dial(
    autojump_clock: MockClock,
) -> None:
    """The login is answered too late: the socket is alive, and of no use."""
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        scene.fault("login_slow", "private", times=3, delay_ms=7_000)
        scene.lose(Name.PRIVATE)
        most = 0
        for _ in range(600):
            await trio.sleep(0.1)
            open_ones = [
                one for one in scene.rig.venue.connections.all() if one.path == "private" and one.is_open
            ]
            most = max(most, len(open_ones))
        assert life.states("connection", "private").count("DIALING") >= 4
        assert most == 1


async def test_r6_3_on_an_upgrade_notice_the_replacement_comes_first(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        [session] = scene.sessions(Name.PRIVATE)
        session.give_notice()
        await trio.sleep(65)
        states = life.states("connection", "private")
        assert states[-2:] == ["REPLACING", "LIVE"]
        assert "BACKING_OFF" not in states
        assert scene.sessions(Name.PRIVATE) != [session]


async def test_r6_4_positions_orders_account_and_stops_are_subscribed_again(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        publisher, account = scene.rig.venue.publisher, scene.rig.venue.accounts["main"]
        channels = ("positions", "orders", "account", "orders-algo", "algo-advance")
        assert [publisher.connections_with(account, one) for one in channels] == [1, 1, 1, 1, 1]
        scene.lose(Name.PRIVATE, Name.PRIVATE_BUSINESS)
        await trio.sleep(1)
        assert [publisher.connections_with(account, one) for one in channels] == [0, 0, 0, 0, 0]
        await life.delivers(*Name)
        assert [publisher.connections_with(account, one) for one in channels] == [1, 1, 1, 1, 1]
        scene.trade(BTC_LONG, "0.5")
        await trio.sleep(0.5)  # by push: the next reading is a minute away
        assert life.book().contracts == Decimal("0.5")
        assert scene.is_covered()


async def test_r6_4_it_is_not_live_until_every_channel_is_acknowledged(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        # The answer to the login is late: nothing may be subscribed before it.
        scene.fault("login_slow", "private", delay_ms=3_000)
        async with scene.life() as life:
            await life.ready()
            moves = life.moves("connection", "private")
            assert [move["dest"] for move in moves] == ["DIALING", "LOGGING_IN", "SUBSCRIBING", "LIVE"]
            assert moves[2]["at_ms"] - moves[1]["at_ms"] >= 3_000


async def test_r6_5_the_counter_is_cleared_once_live_has_lasted(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        for _ in range(3):
            scene.lose(Name.PRIVATE)
            await trio.sleep(0.1)
            await life.delivers(Name.PRIVATE)
        assert life.bot.link(Name.PRIVATE).data.failures == 3
        await trio.sleep(61)
        assert life.bot.link(Name.PRIVATE).data.failures == 0
        scene.lose(Name.PRIVATE)
        await trio.sleep(0.1)
        await life.delivers(Name.PRIVATE)
        assert waits_s(life, Name.PRIVATE) == [5, 10, 20, 5]


async def test_r6_a_login_that_fails_is_backed_off_from_and_nothing_is_subscribed(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        scene.fault("login_reject", "private", times=2)
        scene.lose(Name.PRIVATE)
        await trio.sleep(1)
        await life.delivers(Name.PRIVATE)
        assert waits_s(life, Name.PRIVATE) == [5, 10, 20]
        assert life.states("connection", "private").count("SUBSCRIBING") == 2


async def test_r6_a_deleted_key_is_told_once_and_not_tried_again_and_stops_are_left_alone(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            scene.rig.venue.delete_key("sim-key")
            await trio.sleep(120)
            assert life.exit is None
            told = sorted(line["link"] for line in life.lines("CONNECTION"))
            assert told == ["private", "private-business"]
            assert life.bot.link(Name.PRIVATE).state is connection.S.REFUSED
            assert life.states("connection", "private").count("LOGGING_IN") == 2
            assert scene.is_covered()


async def test_r6_while_a_private_stream_is_away_rest_polls_and_a_filled_stop_is_seen(
    autojump_clock: MockClock,
) -> None:
    """The stop fills while the stream is away for half a minute: seen within seconds."""
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            for name in (Name.PRIVATE, Name.PRIVATE_BUSINESS):
                cut_off(scene, name)
            for _ in range(30):
                scene.rig.price_now("59400")
                if not scene.held_of(BTC_LONG):
                    break
                await trio.sleep(1)
            filled_at = trio.current_time()
            assert scene.held_of(BTC_LONG) == 0
            await life.flat()
            assert trio.current_time() - filled_at < 8
            assert life.one("EXIT")["cause"]
            scene.heal()
            await life.delivers(*Name)
            await trio.sleep(5)
            assert life.names("DRIFT_ADD", "DRIFT_REMOVE")[-1] == "DRIFT_REMOVE"
            assert scene.stops() == []
