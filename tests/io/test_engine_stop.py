"""The stop of the whole engine: R10's order, in time, with nothing left open, from wherever it is asked for."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.keeper import Keeper
from anchorwatch.machine import lifecycle, order, position
from anchorwatch.machine.connection import Name
from anchorwatch.machine.lifecycle import STOP_STEPS, Exit
from tests.io.engine_rig import LONG, Life, World, fake, loopback, paced_clock

__all__ = ["paced_clock"]

S = lifecycle.S
STEPS = [step.value for step in STOP_STEPS]
DONE = [(step, "done") for step in STEPS]
WHOLE_STOP_S = 8


async def entered(world: World, life: Life) -> None:
    """The averages cross upward, and the engine enters by itself."""
    await world.price(59_900, 62)
    await world.price(60_300, 65)
    await life.until(lambda: life.slot().entry.data.seq > 0)


async def test_a_stop_runs_the_users_steps_in_order_and_leaves_nothing_open(paced_clock: PacedClock) -> None:
    async with loopback() as world, world.life() as life:
        await life.ready()
        assert await life.stop() is Exit.CLEAN
        assert life.stop_steps == DONE
        closed = [line["id"] for line in life.moves("connection") if line["dest"] == "CLOSED"]
        assert set(closed[:2]) == {"public", "business"}
        assert set(closed[2:]) == {"private", "private-business"}
        await trio.sleep(1)  # the exchange hears of it
        assert world.rig.venue.connections.all() == []


async def test_the_steps_stand_in_the_log_between_stopping_and_stopped(paced_clock: PacedClock) -> None:
    async with loopback() as world, world.life() as life:
        await life.ready()
        await life.stop()
        assert [line["name"] for line in life.lines("stop_step")] == STEPS
        assert life.states("lifecycle")[-2:] == ["STOPPING", "STOPPED"]
        assert life.moves("lifecycle")[-2]["cause"] == "the story asks"


@pytest.mark.parametrize("stage", [S.INIT, S.CLIENT, S.WS, S.SAFETY, S.CANDLES, S.POSITIONS, S.SYNC, S.READY])
async def test_a_stop_that_is_asked_for_in_any_stage_is_orderly(
    autojump_clock: MockClock, stage: lifecycle.S
) -> None:
    async with fake() as world, world.life() as life:
        await life.until(lambda: life.bot.lifecycle.state is stage, looking_every_s=0.000_3)
        assert await life.stop() is Exit.CLEAN
        assert life.stop_steps == DONE
        assert life.states("lifecycle")[-2:] == ["STOPPING", "STOPPED"]


async def test_a_stop_before_the_first_event_is_orderly(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        life.engine.request_stop("a signal before anything else")
        assert await life.ended() is Exit.CLEAN
        assert life.stop_steps == DONE


async def test_a_stop_while_the_venue_is_away_is_orderly_and_quick(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        await world.down()
        await trio.sleep(30)
        asked_s = trio.current_time()
        assert await life.stop() is Exit.CLEAN
        assert trio.current_time() - asked_s < WHOLE_STOP_S
        await world.up()


async def test_asking_twice_changes_nothing(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        life.engine.request_stop("once")
        life.engine.request_stop("twice")
        assert await life.ended() is Exit.CLEAN
        assert life.stop_steps == DONE


async def test_a_position_that_is_open_at_the_stop_keeps_its_stop_at_the_exchange(
    paced_clock: PacedClock,
) -> None:
    async with loopback() as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        stop = life.engine.desk.context.book.leg(LONG).stop_client_id
        assert await life.stop() is Exit.CLEAN
        assert [one.client_id for one in world.stops()] == [stop]
        await world.price(59_000, 120)
        assert world.held() == 0  # nobody of us lives, and the exchange closed it


async def test_an_entry_without_an_answer_delays_the_stop_by_its_step_and_is_told(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.fault("late_processing", "trade/order", times=0, delay_ms=600_000)
        world.fault("slow_answer", "trade/order", times=0, delay_ms=600_000)
        await entered(world, life)
        assert life.slot().entry.state not in order.FREE
        asked_s = trio.current_time()
        assert await life.stop() is Exit.STOP_INCOMPLETE
        assert life.stop_steps[0] == ("trading_control", "deadline_passed")
        assert [step for step, _ in life.stop_steps] == STEPS
        assert trio.current_time() - asked_s < WHOLE_STOP_S
        world.heal()


async def test_a_peer_that_does_not_say_goodbye_cannot_hold_the_stop_up(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        assert world.network is not None
        await life.ready()
        for connection in world.network.connections():
            connection.half_open()
        asked_s = trio.current_time()
        await life.stop()
        assert [step for step, _ in life.stop_steps] == STEPS
        assert trio.current_time() - asked_s < WHOLE_STOP_S
        assert life.engine.desk.bot.lifecycle.state is S.STOPPED


async def test_a_cross_while_the_stop_waits_enters_nothing(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        await world.price(59_900, 58)
        world.by_hand("buy", "0.5")
        world.fault("reject_with_code", "trade/order-algo", times=0)  # the stop waits for its cover
        await world.price(60_300, 1)
        life.engine.request_stop("two seconds before the candle that crosses")
        await world.price(60_300, 10)
        await life.ended()
        assert life.stop_steps[0] == ("trading_control", "deadline_passed")
        assert life.telemetry.summary.orders == 0
        world.heal()


async def test_a_position_of_ours_after_the_stop_is_found_by_the_next_life(paced_clock: PacedClock) -> None:
    async with loopback() as world:
        async with world.life() as first:
            await first.ready()
            world.by_hand("buy", "0.5")
            await first.covered()
        trigger = world.stops()[0].sl_trigger_px
        async with world.life() as second:
            await second.ready()
            assert second.slot().position.state is position.S.OPEN
            assert [one.sl_trigger_px for one in world.stops()] == [trigger]  # adopted, not doubled
            assert second.engine.desk.context.book.leg(LONG).resting == trigger
            assert all(len(world.sessions(name)) == 1 for name in Name)


BROKEN = ["safety", "position_monitor", "public_ws", "private_ws", "rest_client", "nothing_left"]
"""The steps that the shell carries out; the first one, the bot's own, is held up by an order without an answer."""


@pytest.mark.parametrize("hangs", [False, True], ids=["raises", "hangs"])
@pytest.mark.parametrize("name", BROKEN)
async def test_a_step_that_raises_or_hangs_never_skips_the_next(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, name: str, hangs: bool
) -> None:
    """The fault is put around the step's own work, which is done all the same."""
    work = Keeper._do

    async def broken(keeper: Keeper, effect: lifecycle.RunStopStep) -> str:
        said = await work(keeper, effect)
        if effect.step.value == name and hangs:
            await trio.sleep_forever()
        if effect.step.value == name:
            raise OSError("planted")
        return said

    monkeypatch.setattr(Keeper, "_do", broken)
    async with fake() as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        began_s = trio.current_time()
        assert await life.stop() is Exit.STOP_INCOMPLETE
        assert trio.current_time() - began_s <= 8
        outcomes = dict(life.stop_steps)
        assert list(outcomes) == [step.value for step in lifecycle.StopStep]
        assert outcomes.pop(name) == ("deadline_passed" if hangs else "failed")
        assert set(outcomes.values()) == {"done"}
        if not hangs:
            assert "planted" in life.lines("STOP_STEP_FAILED")[0]["reason"]
        assert [one.client_id for one in world.stops()] == [
            life.engine.desk.context.book.leg(LONG).stop_client_id
        ]
