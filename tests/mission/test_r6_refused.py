"""R6: what is not a drop: a login that is refused, a clock, a maintenance, an address, a channel. Each has its alarm."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.okx.rest import WARM_EVERY_S
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection
from anchorwatch.machine.connection import Name
from tests.io.engine_rig import Life
from tests.mission.rig import BTC_LONG, Scene, exchange, still
from tests.mission.test_r6_private_socket import waits_s

BOTH = (Name.PRIVATE, Name.PRIVATE_BUSINESS)


def alarms(life: Life) -> list[dict[str, Any]]:
    return [line for line in life.lines("CONNECTION") if line["level"] == "alarm"]


def reject_logins(scene: Scene, code: str, times: int = 0) -> None:
    for path in ("private", "business"):
        scene.fault("login_reject", path, code=code, times=times)
    scene.lose(*BOTH)


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("60005", "ANCHORWATCH_API_KEY"),
        ("60032", "venue.region"),
        ("60007", "ANCHORWATCH_API_SECRET"),
        ("60024", "ANCHORWATCH_API_PASSPHRASE"),
        ("50110", "add the address to the key"),
        ("60022", "see the account"),
    ],
)
async def test_r6_a_refused_login_is_one_alarm_with_its_fix_and_is_not_tried_again(
    autojump_clock: MockClock, code: str, fix: str
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            reject_logins(scene, code)
            await trio.sleep(120)
            [alarm] = alarms(life)
            assert code in alarm["reason"]
            assert fix in alarm["reason"].split("what to do:")[1]
            for name in BOTH:
                assert life.bot.link(name).state is connection.S.REFUSED
                assert life.states("connection", name.value).count("LOGGING_IN") == 2
            # Entries wait, REST goes on reading, and the position keeps its stop.
            assert bots.standing_obstacles(life.bot, BTC_LONG.instrument)
            readings = scene.count("write"), len(life.lines("reconciliation"))
            for stop in scene.stops():
                scene.cancel_stop(stop)
            await trio.sleep(10)
            assert scene.is_covered(), "found by polling, and made again"
            assert readings != (scene.count("write"), len(life.lines("reconciliation")))


async def test_r6_a_key_that_is_put_right_is_taken_when_a_person_asks(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        reject_logins(scene, "50110")
        await trio.sleep(100)
        assert "kill -USR2" in alarms(life)[0]["then"]
        scene.heal()
        life.engine.connect_now()
        await life.delivers(*Name)
        assert life.one("CONNECT_ASKED")["tries"] == "private, private-business"


async def test_r6_whoever_asks_when_nothing_is_refused_disturbs_nothing(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        life.engine.connect_now()  # before there is anything to connect to
        await life.ready()
        dialed = {name: life.states("connection", name.value).count("DIALING") for name in Name}
        life.engine.connect_now()
        await trio.sleep(5)
        await life.delivers(*Name)
        assert {name: life.states("connection", name.value).count("DIALING") for name in Name} == dialed


async def test_r6_an_expired_timestamp_measures_the_clock_and_logs_in_on_the_same_socket(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        reject_logins(scene, "60006", times=1)
        await trio.sleep(1)
        await life.delivers(*Name)
        for name in BOTH:
            assert waits_s(life, name) == [5]
            assert life.states("connection", name.value).count("LOGGING_IN") == 2
        assert alarms(life) == []


async def test_r6_a_host_whose_clock_was_set_wrong_logs_in_by_the_venues(autojump_clock: MockClock) -> None:
    """The venue's clock is a minute ahead of what the bot believes: no login would be accepted.

    Nothing else asks for anything meanwhile, by which the clock might be measured.
    """
    given = still(reconcile__poll_while_private_down_s=60)
    async with exchange() as scene, scene.life(given) as life:
        await life.ready()
        await trio.sleep(WARM_EVERY_S + 1)
        ahead = scene.seams
        scene.rig.venue.wall_ms = lambda: ahead.wall_ms() + 60_000
        scene.lose(*BOTH)
        await trio.sleep(1)
        await life.delivers(*Name)
        assert [life.states("connection", name.value).count("DIALING") for name in BOTH] == [2, 2]


async def test_r6_a_clock_that_stays_wrong_is_one_alarm_with_its_fix(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        reject_logins(scene, "60006")
        await trio.sleep(5 + 10 + 20 + 40 + 1)
        assert waits_s(life, Name.PRIVATE) == [5, 10, 20, 40]
        [alarm] = alarms(life)
        assert "synchronise this host's clock" in alarm["reason"]
        scene.heal()
        await life.delivers(*Name)


@pytest.mark.parametrize(
    ("status", "words"), [(503, "maintenance"), (403, "your country and address"), (502, "")]
)
async def test_r6_a_refused_upgrade_says_what_it_is(
    autojump_clock: MockClock, status: int, words: str
) -> None:
    """502 is a proxy that stumbled: a drop like any other, and nothing for a person to do."""
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        for path in ("private", "business"):
            scene.fault("ws_refuse", path, times=0, status=status)
        scene.lose(*Name)
        await trio.sleep(40)  # before the public ones are exhausted, which is an alarm of its own
        told = [alarm["reason"] for alarm in alarms(life)]
        assert len(told) == (1 if words else 0)
        assert all(words in reason for reason in told)
        assert bots.standing_obstacles(life.bot, BTC_LONG.instrument)
        scene.heal()
        await life.delivers(*Name)


async def test_r6_a_second_maintenance_is_told_again_once_the_first_is_over(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        for _ in range(2):
            scene.fault("ws_refuse", "private", times=2, status=503)
            scene.lose(Name.PRIVATE)
            await trio.sleep(1)
            await life.delivers(Name.PRIVATE)
            await trio.sleep(61)
        assert len(alarms(life)) == 2


@pytest.mark.parametrize(("name", "channel"), [(Name.PRIVATE, "positions"), (Name.PUBLIC, "mark-price")])
async def test_r6_a_channel_that_is_refused_is_told_and_the_connection_is_not_live(
    autojump_clock: MockClock, name: Name, channel: str
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        scene.fault("subscribe_reject", channel, times=0)
        scene.lose(name)
        await trio.sleep(40)
        assert "LIVE" not in life.states("connection", name.value)[5:]
        [alarm] = alarms(life)
        assert channel in alarm["reason"]
        scene.heal()
        await life.delivers(name)


async def test_r6_exhausted_it_goes_on_for_ever_while_a_position_is_open(autojump_clock: MockClock) -> None:
    given = still(
        connections__attempts_max=2,
        reconcile__poll_while_private_down_s=60,
        protection__max_holding_min=0,
    )
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(given) as life:
            await life.ready()
            scene.fault("ws_refuse", "private", times=0)
            scene.lose(Name.PRIVATE)
            await trio.sleep(5 + 10 + 12 * 300 + 10)
            assert waits_s(life, Name.PRIVATE) == [5, 10, *[300] * 12]
            assert life.exit is None
            assert scene.is_covered()
            scene.heal()
            await life.delivers(Name.PRIVATE)


async def test_r6_sockets_of_ours_that_fell_silent_are_no_twin(autojump_clock: MockClock) -> None:
    """The exchange goes on counting a half-open socket, because it goes on pushing into it."""
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        assert scene.network is not None
        for _ in range(4):
            for one in scene.network.connections():
                one.half_open()
            await life.until(lambda: not any(connection.delivers(life.bot.link(name)) for name in BOTH), 60)
            await life.delivers(*Name)
            await trio.sleep(2)
        assert scene.rig.venue.publisher.connections_with(scene.rig.venue.accounts["main"], "orders") > 2
        assert life.names("TWIN") == []
        assert life.bot.permission.state.value == "open"
