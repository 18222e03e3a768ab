"""The start of the whole engine: the card's order, and every way in which a stage can fail (R1)."""

from __future__ import annotations

import msgspec
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.okx.environments import Credentials
from anchorwatch.io.simulation.network import HostFault
from anchorwatch.io.venue.accounts import AccountSpec, ApiKey
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, lifecycle, position
from anchorwatch.machine.connection import Name
from anchorwatch.machine.lifecycle import Exit
from tests.io.engine_rig import FAKE_HOST, LONG, Life, fake, loopback, paced_clock, poor, settings
from tests.venue.rig import BTC, HEDGED

__all__ = ["paced_clock"]

CARD = ["CLIENT", "MODULES", "WS", "SAFETY", "RESET", "CANDLES", "POSITIONS", "SYNC", "READY"]


def refused(life: Life) -> str:
    """The one line that says why the start was refused."""
    lines = life.lines("STAGE_REFUSED")
    assert len(lines) == 1, life.text()
    assert lines[0]["level"] == "alarm"
    return str(lines[0]["reason"])


async def test_the_start_goes_through_the_cards_stages_in_their_order(paced_clock: PacedClock) -> None:
    async with loopback() as world, world.life() as life:
        await life.ready()
        assert life.states("lifecycle") == CARD
        stages = life.telemetry.summary.stages
        assert [(stage.name, stage.outcome) for stage in stages] == [
            (name, "done") for name in ["INIT", *CARD]
        ]
        assert all(connection.delivers(life.bot.link(name)) for name in Name)
        assert life.bot.missing == ()
        assert bots.entry_obstacles(life.bot, LONG) == ()


async def test_no_socket_is_dialled_before_the_modules_are_up(paced_clock: PacedClock) -> None:
    async with loopback() as world, world.life() as life:
        await life.ready()
        moves = [(line["machine"], line["dest"]) for line in life.lines("transition")]
        assert moves.index(("lifecycle", "WS")) < moves.index(("connection", "DIALING"))


async def test_a_wrong_key_ends_the_start_with_one_line_that_says_so(paced_clock: PacedClock) -> None:
    wrong = Credentials(key="nobody", secret="hunter2hunter2", passphrase="sim-pass")
    async with loopback() as world, world.life(key=wrong) as life:
        assert await life.ended() is Exit.CLIENT_FAILED
        assert "50111" in refused(life)
        assert "hunter2hunter2" not in life.text()
        assert [step for step, _ in life.stop_steps][-1] == "nothing_left"


async def test_a_wrong_secret_ends_the_start_too(paced_clock: PacedClock) -> None:
    wrong = Credentials(key="sim-key", secret="hunter2hunter2", passphrase="sim-pass")
    async with loopback() as world, world.life(key=wrong) as life:
        assert await life.ended() is Exit.CLIENT_FAILED
        assert "hunter2hunter2" not in life.text()
        refused(life)


async def test_a_key_that_may_not_trade_ends_the_start(paced_clock: PacedClock) -> None:
    reader = ApiKey("sim-key", "sim-secret", "sim-pass", permissions="read_only")
    async with loopback(msgspec.structs.replace(HEDGED, keys=(reader,))) as world, world.life() as life:
        assert await life.ended() is Exit.CLIENT_FAILED
        assert "may not trade" in refused(life)


async def test_a_balance_below_the_minimum_ends_the_start(paced_clock: PacedClock) -> None:
    async with loopback(poor("99.9")) as world, world.life() as life:
        assert await life.ended() is Exit.CLIENT_FAILED
        assert "99.9" in refused(life)
        assert "account.min_balance_usd" in refused(life)


async def test_an_unknown_symbol_ends_the_start(paced_clock: PacedClock) -> None:
    unknown = msgspec.structs.replace(settings(), symbols=("NOPE-USDT-SWAP",))
    async with loopback() as world, world.life(unknown) as life:
        assert await life.ended() is Exit.CLIENT_FAILED
        assert "NOPE-USDT-SWAP" in refused(life)


async def test_leverage_above_the_venues_limit_ends_the_start(paced_clock: PacedClock) -> None:
    given = settings()
    high = msgspec.structs.replace(given, account=msgspec.structs.replace(given.account, leverage=126))
    async with loopback() as world, world.life(high) as life:
        assert await life.ended() is Exit.CLIENT_FAILED
        assert "leverage 126 of BTC-USDT-SWAP: at most" in refused(life)


async def test_a_position_mode_that_cannot_be_changed_ends_the_start(paced_clock: PacedClock) -> None:
    async with loopback(AccountSpec(pos_mode="net_mode")) as world:
        world.by_hand("buy", "1", pos_side="net")
        async with world.life() as life:
            assert await life.ended() is Exit.CLIENT_FAILED
            assert "account.position_mode is hedge" in refused(life)
        assert len(world.rig.venue.positions()) == 1  # and nothing was touched


async def test_a_position_mode_without_positions_is_changed(paced_clock: PacedClock) -> None:
    async with loopback(AccountSpec(pos_mode="net_mode")) as world, world.life() as life:
        await life.ready()
        assert world.rig.venue.accounts["main"].pos_mode == "long_short_mode"


async def test_the_leverage_of_the_settings_is_set_where_it_differs(paced_clock: PacedClock) -> None:
    async with loopback() as world, world.life(settings(account__leverage=7)) as life:
        await life.ready()
        assert world.rig.venue.accounts["main"].lever(BTC, "cross", "") == 7


async def test_a_venue_that_refuses_connections_is_tried_for_a_minute_and_ends_the_start(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world:
        assert world.network is not None
        world.network.break_host(FAKE_HOST, HostFault.REFUSES)
        async with world.life() as life:
            assert await life.ended() is Exit.CLIENT_FAILED
            assert trio.current_time() - life.began_s == pytest.approx(60, abs=0.1)
            tries = life.lines("STAGE_FAILED")
            assert 10 <= len(tries) <= 20  # three seconds between them, and what each try itself takes
            assert [stage.outcome for stage in life.telemetry.summary.stages] == ["done", "deadline_passed"]


async def test_a_venue_that_comes_back_within_the_minute_is_found(autojump_clock: MockClock) -> None:
    async with fake() as world:
        assert world.network is not None
        world.network.break_host(FAKE_HOST, HostFault.REFUSES)
        async with world.life() as life:
            await trio.sleep(20)
            assert life.bot.lifecycle.state is lifecycle.S.CLIENT
            world.network.mend_host(FAKE_HOST)
            await life.ready()
            assert trio.current_time() < 30


async def test_a_clock_that_is_ten_seconds_off_is_told_and_tried_again(autojump_clock: MockClock) -> None:
    async with fake() as world:
        world.fault("clock_skew", "public/time", times=2, delay_ms=12_000)
        async with world.life() as life:
            await life.ready()
            assert "synchronise" in life.lines("STAGE_FAILED")[0]["reason"]


@pytest.mark.parametrize("name", list(Name))
async def test_a_socket_that_fails_at_the_start_is_retried_by_its_own_machine(
    autojump_clock: MockClock, name: Name
) -> None:
    path = "business" if "business" in name.value else name.value
    async with fake() as world:
        world.fault("ws_refuse", path, times=1)
        async with world.life() as life:
            await life.ready()
            assert life.states("lifecycle") == CARD
            refused_ones = [line["id"] for line in life.moves("connection") if line["dest"] == "BACKING_OFF"]
            assert len(refused_ones) == 1
            assert path in refused_ones[0] or refused_ones[0] == "private-business"
            assert all(connection.delivers(life.bot.link(one)) for one in Name)


async def test_private_sockets_that_stay_away_shut_entries_and_do_not_end_the_start(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world:
        world.fault("ws_refuse", "private", times=0)
        async with world.life() as life:
            await life.ready()
            assert 30 <= trio.current_time() < 35  # WS gives way at its deadline
            stages = {stage.name: stage.outcome for stage in life.telemetry.summary.stages}
            assert (stages["WS"], stages["READY"]) == ("deadline_passed", "done")
            assert bots.entry_obstacles(life.bot, LONG) == ("private connection is backing off",)
            world.heal()
            await life.delivers(*Name)
            await life.until(lambda: bots.entry_obstacles(life.bot, LONG) == ())


async def test_a_refused_login_is_not_tried_again(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.rig.venue.delete_key("sim-key")
        await trio.sleep(600)
        for name in ("private", "private-business"):
            assert life.states("connection", name)[-3:] == ["DIALING", "LOGGING_IN", "REFUSED"]
            assert life.states("connection", name).count("LOGGING_IN") == 2
        assert sorted(line["link"] for line in life.lines("CONNECTION")) == ["private", "private-business"]


async def test_a_later_stage_that_fails_is_tried_again_and_never_ends_the_start(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world:
        until_ms = world.seams.wall_ms() + 30_000
        world.fault("reject_with_code", "market/history-candles", times=0, until_ms=until_ms)
        async with world.life() as life:
            await life.ready()
            assert life.states("lifecycle") == CARD
            assert {line["stage"] for line in life.lines("STAGE_FAILED")} == {"CANDLES"}
            assert 30 <= trio.current_time() < 40


async def test_a_stage_past_its_deadline_alarms_and_goes_on(autojump_clock: MockClock) -> None:
    async with fake() as world:
        until_ms = world.seams.wall_ms() + 50_000
        world.fault("reject_with_code", "account/positions", times=0, until_ms=until_ms)
        async with world.life() as life:
            await life.ready()
            assert life.states("lifecycle") == CARD
            assert [line["stage"] for line in life.lines("STAGE_LATE")] == ["SAFETY"]


async def test_a_candle_that_closes_before_the_history_is_loaded_does_not_hide_it(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world:
        until_ms = (
            world.seams.wall_ms() + 125_000
        )  # the start is on a full minute: two candles close meanwhile
        world.fault("reject_with_code", "account/positions", times=0, until_ms=until_ms)
        async with world.life() as life:
            await life.ready()
            assert 125 <= trio.current_time() < 160


# What is open already.


async def test_a_position_that_is_open_at_the_start_is_protected_before_ready(
    paced_clock: PacedClock,
) -> None:
    async with loopback() as world:
        world.by_hand("buy", "0.5")
        async with world.life() as life:
            await life.ready()
            assert life.slot().position.state is position.S.OPEN
            moves = [(line["machine"], line["dest"]) for line in life.lines("transition")]
            assert moves.index(("protection", "COVERED")) < moves.index(("lifecycle", "READY"))
            assert [(stop.sl_trigger_px is not None, stop.pos_side) for stop in world.stops()] == [
                (True, "long")
            ]
            assert [line["event"] for line in life.lines() if str(line["event"]).startswith("DRIFT")] == [
                "DRIFT_ADD",
                "DRIFT_ADD_TSL_CREATED",
            ]


async def test_a_venue_that_refuses_every_stop_leaves_no_naked_position_at_ready(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world:
        world.by_hand("buy", "0.5")
        world.fault("reject_with_code", "trade/order-algo", times=0, code="50001")
        async with world.life() as life:
            await life.ready()
            assert world.held() == 0  # closed, because no stop could be placed in time
            assert life.slot().position.state is position.S.FLAT
