"""R8: candles and indicators from history, before positions. R9: readiness of each, per symbol, and no way around it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.machine import bot as bots
from anchorwatch.machine import lifecycle, permission
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.desk import Told
from anchorwatch.machine.indicators.panel import INDICATORS
from anchorwatch.machine.units import Side
from anchorwatch.machine.world import Candle, CandleClosed
from tests.io.engine_rig import settings
from tests.mission.rig import BTC_LONG, ETH_LONG, eager, exchange, still
from tests.venue.rig import BTC, ETH

BOTH = [BTC, ETH]
CANDLE_PATHS = ("market/candles", "market/history-candles")


async def test_r8_1_history_of_every_symbol_is_loaded_at_ready(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life(still(symbols=BOTH)) as life:
        await life.until(lambda: life.bot.lifecycle.state is lifecycle.S.WS)
        missing = [(scope, name) for scope, name in life.bot.missing if name == "candles 1m"]
        assert missing == [(BTC, "candles 1m"), (ETH, "candles 1m")]
        await life.ready()
        assert life.bot.missing == ()


async def test_r8_1_the_histories_are_loaded_beside_each_other_and_within_the_rate_limit(
    autojump_clock: MockClock,
) -> None:
    """Ten requests of a second each, one after the other, would take the stage ten seconds."""
    asked = (("1m", 300), ("5m", 300), ("15m", 300), ("1H", 120), ("1Dutc", 3))
    given = still(symbols=BOTH, candles=dict(asked))
    async with exchange() as scene:
        scene.fault("slow_answer", "market/candles", times=0, delay_ms=1_000)
        async with scene.life(given) as life:
            await life.ready()
            stage = next(one for one in life.telemetry.summary.stages if one.name == "CANDLES")
            assert 1 <= stage.seconds < 4, stage
            assert scene.rig.venue.faults.struck_by_kind["slow_answer"] >= 10
            assert not life.lines("HISTORY_MISSED")


async def test_r8_2_indicators_are_initialised_from_history_and_not_from_what_comes(
    autojump_clock: MockClock,
) -> None:
    """The first live candle is a signal: the averages were settled before it."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            await scene.cross()
            assert "EMA 2 crossed above EMA 3" in life.one("ENTRY")["why"]


async def test_r8_3_candles_come_before_positions(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        names = life.states("lifecycle")
        assert names.index("CANDLES") < names.index("POSITIONS") < names.index("SYNC")


@pytest.mark.parametrize("fault", ["html_error", "truncated_answer"])
async def test_r9_1_without_candles_there_is_no_ready_however_long_it_takes(
    autojump_clock: MockClock, fault: str
) -> None:
    """The original stopped waiting after 60 s and traded anyway."""
    async with exchange() as scene:
        for where in CANDLE_PATHS:
            scene.fault(fault, where, times=0)  # type: ignore[arg-type]
        async with scene.life(eager(deadlines__retry_wait_s=30)) as life:
            await trio.sleep(300)
            assert life.bot.lifecycle.state is lifecycle.S.CANDLES
            assert (BTC, "candles 1m") in life.bot.missing
            assert len(life.lines("STAGE_LATE")) == 1
            assert scene.orders() == []
            scene.heal()
            await life.ready()


async def test_r9_2_every_fact_is_named_per_symbol_until_it_holds(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.fault("ws_refuse", "public", times=0)
        async with scene.life(still(symbols=BOTH)) as life:
            await trio.sleep(60)
            of_symbols = {(name, fact) for name in BOTH for fact in ("mark price", "quote")}
            assert set(life.bot.missing) == of_symbols | {("", "a ready symbol")}
            assert f"{ETH} mark price" in bots.standing_obstacles(life.bot, ETH)
            assert f"{ETH} mark price" not in bots.standing_obstacles(life.bot, BTC)
            scene.heal()
            await life.ready()


OF_A_SYMBOL = [
    *(f"candles {timeframe}" for timeframe in ("1m", "5m", "15m", "1H", "1Dutc")),
    *(f"{name} {timeframe}" for timeframe in ("1m", "5m", "15m") for name in INDICATORS),
    "pivots",
    "volume profile",
    "regime",
]


@pytest.mark.parametrize("symbol", BOTH)
async def test_r9_1_to_r9_6_each_is_checked_per_symbol(autojump_clock: MockClock, symbol: str) -> None:
    given = settings(symbols=BOTH, strategy__name="scalper")
    async with exchange() as scene, scene.life(given) as life:
        await life.until(lambda: life.bot.lifecycle.state is lifecycle.S.WS)
        assert {(symbol, fact) for fact in OF_A_SYMBOL} <= set(life.bot.missing)
        await life.until(lambda: life.bot.lifecycle.state is lifecycle.S.SYNC)
        # All but one hold: nothing was ever traded in this market, so there is no profile, and hence no READY.
        assert {(symbol, fact) for fact in OF_A_SYMBOL} & set(life.bot.missing) == {
            (symbol, "volume profile")
        }
        await trio.sleep(30)
        assert life.bot.lifecycle.state is lifecycle.S.SYNC


@pytest.mark.parametrize("side", Side, ids=lambda side: side.value)
async def test_r9_7_no_signal_gets_around_the_gate(autojump_clock: MockClock, side: Side) -> None:
    async with exchange() as scene:
        await scene.before_a_cross(side)
        scene.fault("ws_refuse", "private", times=0)
        async with scene.life(eager()) as life:
            await life.ready()
            for _ in range(3):
                await scene.cross(side)
                side = Side.SHORT if side is Side.LONG else Side.LONG
            assert life.names("ENTRY") == []
            assert len(life.lines("ENTRY_DENIED")) >= 2
            assert "private connection" in life.lines("ENTRY_DENIED")[-1]["because"]
            assert [one for one in scene.writes() if one == "trade/order"] == []


async def test_r9_7_the_gate_is_asked_again_where_the_request_is_written(autojump_clock: MockClock) -> None:
    """Between the decision and the first byte the operator pauses: nothing is sent."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            await trio.sleep(60)
            crossing = Candle(scene.seams.wall_ms() // 60_000 * 60_000, 60_100, 60_100, 60_100, 60_100, 1)
            # Behind the candle, and before the record of the intent that the candle leads to.
            life.engine.mailbox.put(CandleClosed(BTC, "1m", crossing))
            life.engine.mailbox.put(Told(PERMISSION, permission.PauseRequested("now")))
            await trio.sleep(5)
            assert life.states("order") == ["PLANNED", "SENT", "WITHDRAWN"]
            assert scene.orders() == []
            assert "trade/order" not in scene.writes()


async def test_r9_7_no_entry_is_begun_while_the_bot_stops(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            scene.rig.price_now("60100")
            await trio.sleep(59.998 - trio.current_time() % 60)
            life.engine.request_stop("just before the candle closes")
            await scene.close_minute("60100")
            assert life.exit is not None
            assert scene.orders() == []


async def test_r9_7_a_symbol_that_is_not_ready_does_not_hold_another_that_is(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life(settings(symbols=BOTH)) as life:
        await life.ready()
        assert bots.entry_obstacles(life.bot, BTC_LONG) == bots.entry_obstacles(life.bot, ETH_LONG) == ()
