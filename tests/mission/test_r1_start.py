"""R1: the start, strictly in the card's order; each stage ends in done, failed or deadline passed."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.okx.environments import Credentials
from anchorwatch.io.venue.accounts import AccountSpec, ApiKey
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, lifecycle, position
from anchorwatch.machine.connection import Name
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.units import LegKey, Side
from tests.io.engine_rig import KEY, LONG, settings
from tests.mission.rig import eager, exchange, still
from tests.venue.rig import BTC, ETH, HEDGED

CARD = ["CLIENT", "MODULES", "WS", "SAFETY", "RESET", "CANDLES", "POSITIONS", "SYNC", "READY"]


async def test_r1_every_stage_ends_done_and_in_the_cards_order(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        assert life.states("lifecycle") == CARD
        assert [(stage.name, stage.outcome) for stage in life.telemetry.summary.stages] == [
            (name, "done") for name in ("INIT", *CARD)
        ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"symbols": ()}, "symbols"), ({"account": None}, "account.exclusive")],
)
async def test_r1_1_a_misconfigured_module_ends_the_start_with_its_name(
    autojump_clock: MockClock, changes: dict[str, object], named: str
) -> None:
    given = still()
    if "account" in changes:
        changes = {"account": msgspec.structs.replace(given.account, exclusive=None)}
    async with exchange() as scene, scene.life(msgspec.structs.replace(given, **changes)) as life:
        assert await life.ended() is Exit.INIT_FAILED
        assert named in life.one("STAGE_REFUSED")["reason"]
        assert scene.writes() == []


POOR = msgspec.structs.replace(HEDGED, cash=Decimal(10))
READER = msgspec.structs.replace(
    HEDGED, keys=(ApiKey("sim-key", "sim-secret", "sim-pass", permissions="read_only"),)
)


@pytest.mark.parametrize(
    ("spec", "key", "words"),
    [
        (POOR, KEY, "account.min_balance_usd"),
        (READER, KEY, "may not trade"),
        (HEDGED, Credentials(key="nobody", secret="sim-secret", passphrase="sim-pass"), "50111"),
    ],
    ids=["a balance below the minimum", "a key that may not trade", "an unknown key"],
)
async def test_r1_2_the_client_ends_the_start_on(
    autojump_clock: MockClock, spec: AccountSpec, key: Credentials, words: str
) -> None:
    async with exchange(spec) as scene, scene.life(key=key) as life:
        assert await life.ended() is Exit.CLIENT_FAILED
        assert words in life.one("STAGE_REFUSED")["reason"]


async def test_r1_2_a_clock_that_is_off_is_named_and_waited_for_until_the_deadline(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.fault("clock_skew", "public/time", times=0, delay_ms=15_000)
        async with scene.life() as life:
            assert await life.ended() is Exit.CLIENT_FAILED
            assert {"clock" in line["reason"] for line in life.lines("STAGE_FAILED")} == {True}


async def test_r1_2_position_mode_and_leverage_are_what_the_settings_say(autojump_clock: MockClock) -> None:
    netted = msgspec.structs.replace(HEDGED, pos_mode="net_mode")
    async with exchange(netted) as scene, scene.life(still(account__leverage=7)) as life:
        await life.ready()
        account = scene.rig.venue.accounts["main"]
        assert (account.pos_mode, account.lever(BTC, "cross", "")) == (
            "long_short_mode",
            Decimal(7),
        )


async def test_r1_3_the_modules_are_up_before_anything_is_sent_or_subscribed(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life(eager()) as life:
        await life.until(lambda: life.bot.lifecycle.state is lifecycle.S.WS)
        assert [stage.name for stage in life.telemetry.summary.stages] == ["INIT", "CLIENT", "MODULES"]
        assert set(scene.writes()) == {"account/set-leverage"}
        await life.ready()


async def test_r1_4_sockets_are_dialled_only_after_the_modules(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        moves = [(line["machine"], line["dest"]) for line in life.lines("transition")]
        assert moves.index(("lifecycle", "WS")) < moves.index(("connection", "DIALING"))


@pytest.mark.parametrize("path", ["public", "private", "business"])
async def test_r1_4_a_socket_that_fails_at_the_start_is_retried_and_never_forgotten(
    autojump_clock: MockClock, path: str
) -> None:
    async with exchange() as scene:
        scene.fault("ws_refuse", path, times=0)
        async with scene.life() as life:
            await life.until(lambda: life.bot.lifecycle.state is lifecycle.S.SYNC or life.is_ready)
            assert bots.entry_obstacles(life.bot, LONG) != ()  # the start goes on, with entries shut
            scene.heal()
            await life.delivers(*Name)
            await life.ready()
            await life.until(lambda: bots.entry_obstacles(life.bot, LONG) == ())


async def test_r1_5_safety_gives_a_naked_position_its_stop_before_candles_are_asked_for(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.by_hand("buy", "0.5")
        scene.fault("reject_with_code", "market/history-candles", times=0, code="50001")
        scene.fault("reject_with_code", "market/candles", times=0, code="50001")
        async with scene.life() as life:
            await life.covered()
            assert scene.is_covered()
            assert life.bot.lifecycle.state in (lifecycle.S.RESET, lifecycle.S.CANDLES)
            scene.heal()
            await life.ready()


async def test_r1_5_the_guards_are_started_by_name(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        assert "liquidation guard" in life.text()
        assert "slippage guard" in life.text()


async def test_r1_6_ghosts_are_cleared_after_the_modules_exist(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        order = life.states("lifecycle")
        assert order.index("MODULES") < order.index("RESET") < order.index("CANDLES")


async def test_r1_7_history_is_asked_for_every_symbol_and_timeframe(autojump_clock: MockClock) -> None:
    given = settings(symbols=[BTC, ETH])
    async with exchange() as scene:
        for where in ("market/candles", "market/history-candles"):
            scene.fault("slow_answer", where, times=0, delay_ms=1)
        async with scene.life(given) as life:
            await life.ready()
            asked = scene.rig.venue.faults.struck_by_kind["slow_answer"]
            assert asked >= len(given.symbols) * len(given.candles)
            assert life.bot.missing == ()


@pytest.mark.parametrize(("done_before", "stage"), [(1, "POSITIONS"), (2, "SYNC")])
async def test_r1_8_and_r1_9_a_reading_that_fails_is_read_again_before_ready(
    autojump_clock: MockClock, done_before: int, stage: str
) -> None:
    async with exchange() as scene:
        scene.by_hand("buy", "0.5")
        until_ms = scene.seams.wall_ms() + 30_000
        scene.fault("html_error", "account/positions", after=done_before, times=0, until_ms=until_ms)
        async with scene.life() as life:
            await trio.sleep(25)
            assert life.bot.lifecycle.state.value == stage
            await life.ready()
            assert trio.current_time() > 30
            assert life.slot().position.state is position.S.OPEN


async def test_r1_10_a_module_that_is_not_ready_keeps_the_bot_from_ready(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.fault("ws_refuse", "public", times=0)
        async with scene.life() as life:
            await trio.sleep(600)
            assert life.bot.lifecycle.state is lifecycle.S.SYNC
            assert set(life.bot.missing) == {
                ("", "a ready symbol"),
                (BTC, "mark price"),
                (BTC, "quote"),
            }
            assert "lifecycle is SYNC" in bots.entry_obstacles(life.bot, LONG)
            scene.heal()
            await life.ready()


async def test_r1_11_a_signal_before_ready_is_denied_and_one_after_it_is_taken(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        until_ms = scene.seams.wall_ms() + 100_000
        scene.fault("html_error", "account/positions", after=2, times=0, until_ms=until_ms)
        async with scene.life(eager()) as life:
            await life.until(lambda: life.bot.lifecycle.state is lifecycle.S.SYNC)
            await scene.cross()
            assert "lifecycle is SYNC" in life.one("ENTRY_DENIED")["because"]
            assert scene.orders() == []
            await life.ready()
            assert life.telemetry.summary.stages[-1].name == "READY"
            await scene.cross(Side.SHORT)
            await life.entered(LegKey(BTC, Side.SHORT))
            assert len(scene.orders()) == 1


async def test_r1_every_connection_delivers_at_ready(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        assert all(connection.delivers(life.bot.link(name)) for name in Name)
