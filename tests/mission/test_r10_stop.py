"""R10: the stop, in its order; bounded; a step's failure never skips the next; every step is recorded."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.simulation.network import HostFault
from anchorwatch.machine import lifecycle, order
from anchorwatch.machine.connection import Name
from anchorwatch.machine.ids import Made
from anchorwatch.machine.lifecycle import Exit
from tests.io.engine_rig import FAKE_HOST
from tests.mission.rig import BTC_LONG, BTC_SHORT, OneLife, Scene, eager, exchange, still

STEPS = [
    "trading_control",
    "safety",
    "position_monitor",
    "public_ws",
    "private_ws",
    "rest_client",
    "nothing_left",
]
WITHIN_S = 8


READINGS = 8
"""One after the other they take all the room that two seconds have."""


async def stopped(life: OneLife) -> float:
    """Stop it, and say how long that took."""
    began_s = trio.current_time()
    await life.stop()
    return trio.current_time() - began_s


async def test_r10_the_seven_steps_in_their_order_and_exit_code_0(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        assert await stopped(life) < WITHIN_S
        assert life.stop_steps == [(name, "done") for name in STEPS]
        assert life.exit is Exit.CLEAN


@pytest.mark.parametrize("reads_already", [False, True], ids=["quiet", "a reading hangs"])
async def test_r10_1_the_last_look_is_through_in_time_though_every_connection_is_half_open(
    autojump_clock: MockClock, reads_already: bool
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(still()) as life:
            await life.ready()
            await life.covered(BTC_LONG)
            await trio.sleep(2)
            assert scene.network is not None
            for one in scene.network.connections():
                one.half_open()
            if reads_already:
                life.engine.compare_now()
                await trio.sleep(0.3)
            assert await stopped(life) < WITHIN_S
            assert life.stop_steps == [(name, "done") for name in STEPS]
            assert life.exit is Exit.CLEAN


async def test_r10_1_a_stop_right_after_many_readings_waits_for_its_room_and_ends_in_order(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        async with scene.life(still()) as life:
            await life.ready()
            scene.trade(BTC_LONG, "0.5")
            await life.covered(BTC_LONG)
            await trio.sleep(3)  # until the start's own readings are forgotten
            for _ in range(READINGS):
                life.engine.compare_now()
                await trio.sleep(0.05)
            assert await stopped(life) < WITHIN_S
            assert life.stop_steps == [(name, "done") for name in STEPS]
            assert life.exit is Exit.CLEAN


async def test_r10_1_a_look_that_cannot_be_had_is_said_and_no_other_step_is_late(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(still()) as life:
            await life.ready()
            await life.covered(BTC_LONG)
            scene.fault("slow_answer", "account/positions", times=0, delay_ms=20_000)
            assert await stopped(life) < WITHIN_S
            assert life.stop_steps[0][1] != "done"
            assert all(outcome == "done" for _, outcome in life.stop_steps[1:])
            assert life.exit is Exit.STOP_INCOMPLETE


async def test_r10_1_nothing_new_is_decided_from_the_first_step_on(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            # The stop is held up in its first step by an order whose answer does not come.
            scene.fault("reject_then_timeout", "trade/order", times=0)
            await scene.cross()
            assert life.slot().entry.state in order.OUT
            life.engine.request_stop("the story asks")
            await scene.cross(BTC_SHORT.side)
            assert [line["dest"] for line in life.moves("order") if "short" in line["id"]] == []
            assert scene.held_of(BTC_SHORT) == 0


async def test_r10_1_an_entry_in_flight_is_resolved_and_its_position_protected(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.deaf()
            scene.fault("accept_then_code", "trade/order", code="50004")
            await scene.cross()
            assert await stopped(life) < WITHIN_S
            assert life.slot().entry.state is order.S.FILLED
            assert scene.is_covered()


async def test_r10_1_an_order_whose_end_cannot_be_known_in_time_is_said_and_found_again(
    autojump_clock: MockClock,
) -> None:
    """That it never arrived is certain five seconds after it was made, and not before."""
    given = eager(strategy__sides="long")
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            await scene.before_a_cross()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                scene.fault("reject_then_timeout", "trade/order", times=0)
                await scene.cross()
                assert await stopped(life) < WITHIN_S
                assert life.exit is Exit.STOP_INCOMPLETE
                left = life.one("ORDER_LEFT")
                assert (left["leg"], left["role"], left["state"]) == (str(BTC_LONG), "entry", "sent")
            scene.heal()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                assert life.one("IN_DOUBT")["order"] == left["order"]
                await life.until(lambda: life.slot(BTC_LONG).entry.state is order.S.ABSENT)
                await life.stop()
                assert (life.names("ORDER_LEFT"), life.exit) == ([], Exit.CLEAN)


async def test_r10_2_and_r10_3_guards_and_monitor_end_before_any_socket(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        await life.stop()
        told = [
            line["name"] if line["event"] == "stop_step" else line["id"]
            for line in life.lines()
            if line["event"] == "stop_step" or line.get("dest") == "CLOSED"
        ]
        assert told.index("position_monitor") < min(told.index(name) for name in ("public", "private"))


async def test_r10_4_r10_5_r10_6_public_then_private_then_rest(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        await life.stop()
        told = [
            line["name"] if line["event"] == "stop_step" else line["id"]
            for line in life.lines()
            if line["event"] == "stop_step" or line.get("dest") == "CLOSED"
        ]
        assert told[3:] == [
            "public",
            "business",
            "public_ws",
            "private",
            "private-business",
            "private_ws",
            "rest_client",
            "nothing_left",
        ]


async def test_r10_7_nothing_is_left_open(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        network = scene.network
        assert network is not None
        async with scene.life() as life:
            await life.ready()
            own = [one.client for one in network.connections()]
            assert len(own) > 4
            await life.stop()
            assert [one for one in own if one in network.open_sockets()] == []
            assert all(scene.sessions(name) == [] for name in Name)


@pytest.mark.parametrize("how", ["a black hole", "half-open sockets", "an exchange that is gone"])
async def test_r10_a_step_that_fails_or_hangs_never_skips_the_next(
    autojump_clock: MockClock, how: str
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            assert scene.network is not None
            scene.network.break_host(FAKE_HOST, HostFault.BLACK_HOLE)
            if how == "half-open sockets":
                for one in scene.network.connections():
                    one.half_open()
            elif how == "an exchange that is gone":
                await scene.down()
            assert await stopped(life) <= WITHIN_S
            assert [name for name, _ in life.stop_steps] == STEPS
            assert life.stop_steps[-1][0] == "nothing_left"
            assert life.exit in (Exit.CLEAN, Exit.STOP_INCOMPLETE)
            assert scene.is_covered()


STAGES = ["CLIENT", "WS", "SAFETY", "CANDLES", "POSITIONS", "SYNC"]
HOLD = {
    "CLIENT": "account/config",
    "SAFETY": "account/positions",
    "CANDLES": "market/candles",
    "POSITIONS": "account/positions",
    "SYNC": "account/positions",
}
DONE_BEFORE = {"POSITIONS": 1, "SYNC": 2}


@pytest.mark.parametrize("stage", STAGES)
async def test_r10_a_stop_is_obeyed_in_every_stage_of_the_start(
    autojump_clock: MockClock, stage: str
) -> None:
    async with exchange() as scene:
        if stage == "WS":
            scene.fault("ws_refuse", "public", times=0)
        else:
            after = DONE_BEFORE.get(stage, 0)
            scene.fault("html_error", HOLD[stage], after=after, times=0)
            scene.fault("html_error", HOLD[stage].replace("candles", "history-candles"), after=after, times=0)
        async with scene.life() as life:
            await life.until(lambda: life.bot.lifecycle.state.value == stage)
            assert await stopped(life) <= WITHIN_S
            assert [name for name, _ in life.stop_steps] == STEPS
            assert life.exit is Exit.CLEAN


async def test_r10_protective_stops_are_left_resting_and_entries_are_not(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            [before] = scene.stops()
            await life.stop()
            assert [stop.algo_id for stop in scene.stops()] == [before.algo_id]
            assert scene.orders(Made.ENTRY) == []


async def test_r10_flatten_closes_what_is_ours_until_it_is_seen_flat_and_halts(
    autojump_clock: MockClock,
) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            scene.trade(BTC_SHORT, "0.3")
            async with scene.life(flatten=True, journal=journal) as life:
                await life.ready()
                assert await stopped(life) <= WITHIN_S
                assert life.exit is Exit.CLEAN
                assert scene.rig.venue.positions() == ()
                assert scene.stops() == []
            fact = journal.read().permission
            assert fact is not None
            assert fact.state == "halted"
            await scene.before_a_cross()
            async with scene.life(eager(), journal=journal) as life:
                await life.ready()
                await scene.cross()
                assert "permission is halted" in life.one("ENTRY_DENIED")["because"]
                await life.stop()
            async with scene.life(still(), journal=journal) as life:
                life.engine.clear_halt()
                await life.ready()
                assert life.bot.permission.state.value == "open"
            fact = journal.read().permission
            assert fact is not None
            assert fact.state == "open"


async def test_r10_flatten_says_what_it_could_not_close(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(flatten=True) as life:
            await life.ready()
            scene.fault("reject_with_code", "trade/order", times=0, code="50001")
            assert await stopped(life) <= WITHIN_S
            assert life.stop_steps[0] == ("trading_control", "deadline_passed")
            assert life.exit is Exit.STOP_INCOMPLETE
            assert scene.is_covered()


async def test_r10_a_clean_stop_a_crash_and_a_lost_disk_are_told_apart(autojump_clock: MockClock) -> None:
    told = ("FIRST_START", "CLEAN_START", "AFTER_CRASH")
    async with exchange() as scene:
        with open_journal(None, "sim", "sim-key") as journal:
            for ends_in_order in (True, False, True):
                async with scene.life(journal=journal) as life:
                    await life.ready()
                    if not ends_in_order:
                        await life.crash()
                said = life.names(*told)
                assert len(said) == 1
            async with scene.life(journal=journal) as life:
                await life.ready()
                assert life.names(*told) == ["CLEAN_START"]
        async with scene.life() as life:  # the disk is lost
            await life.ready()
            assert life.names(*told) == ["FIRST_START"]


async def hand_over(scene: Scene, life: OneLife) -> None:
    await life.ready()
    await life.stop()


async def test_r10_the_hand_over_names_each_position_and_its_stop(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await hand_over(scene, life)
            record = life.one("HAND_OVER")
            assert record["leg"] == str(BTC_LONG)
            assert Decimal(record["stop"]) == scene.stops()[0].sl_trigger_px


async def test_r10_the_lifecycle_ends_in_stopped(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        await life.stop()
        assert life.states("lifecycle")[-2:] == ["STOPPING", "STOPPED"]
        assert life.bot.lifecycle.state is lifecycle.S.STOPPED
