"""R2: positions that are open when the bot starts are read, registered, protected and counted."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.simulation.network import Weather
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.machine import position
from anchorwatch.machine.units import LegKey
from tests.mission.rig import BTC_LONG, BTC_SHORT, ETH_LONG, eager, exchange, still
from tests.venue.rig import BTC, ETH

BOTH = [BTC, ETH]
OPEN = {BTC_LONG: "0.5", BTC_SHORT: "0.31", ETH_LONG: "2"}


async def test_r2_1_and_r2_2_every_open_position_is_read_and_registered(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        for leg, contracts in OPEN.items():
            scene.trade(leg, contracts)
        async with scene.life(still(symbols=BOTH)) as life:
            await life.ready()
            for leg, contracts in OPEN.items():
                assert life.slot(leg).position.state is position.S.OPEN
                assert life.book(leg).contracts == Decimal(contracts)
                near = 3_000 if leg.instrument == ETH else 60_000
                assert abs(life.book(leg).account.average_price - near) < 1


async def test_r2_2_long_and_short_of_one_instrument_are_two_positions(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        scene.trade(BTC_SHORT, "0.31")
        async with scene.life() as life:
            await life.ready()
            scene.trade(BTC_SHORT, "0.31", closes=True)
            await life.flat(BTC_SHORT)
            assert life.book(BTC_LONG).contracts == Decimal("0.5")
            assert scene.is_covered(BTC_LONG)
            assert scene.stops_of(BTC_SHORT) == []


async def test_r2_3_each_has_its_stop_at_the_exchange_before_ready(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        for leg, contracts in OPEN.items():
            scene.trade(leg, contracts)
        async with scene.life(still(symbols=BOTH)) as life:
            await life.ready()
            assert [scene.is_covered(leg) for leg in OPEN] == [True, True, True]
            moves = [(line["machine"], line["dest"]) for line in life.lines("transition")]
            covered = [number for number, move in enumerate(moves) if move == ("protection", "COVERED")]
            assert len(covered) == 3
            assert covered[-1] < moves.index(("lifecycle", "READY"))


@pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)
async def test_r2_3_its_stop_trails_on_where_the_last_life_left_it(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    """The original moved the stop of a long *away* (52,250 → 51,187.5), and never that of a short."""
    far = "60480" if leg is BTC_LONG else "59520"
    back = "60400" if leg is BTC_LONG else "59600"
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(leg, "0.5")
            opened_ms = scene.seams.wall_ms()
            async with scene.life(
                still(protection__take_profit_fraction=Decimal(0)), journal=journal
            ) as life:
                await life.ready()
                await scene.settle_mark(far)
                await trio.sleep(2)
                level, peak = life.book(leg).resting, life.book(leg).peak
                await life.crash()
            await scene.settle_mark(back)
            async with scene.life(
                still(protection__take_profit_fraction=Decimal(0)), journal=journal
            ) as life:
                await life.ready()
                await trio.sleep(5)
                assert life.book(leg).peak == peak
                assert [stop.sl_trigger_px for stop in scene.stops_of(leg)] == [level]
                assert life.book(leg).entered_ms == opened_ms


async def test_r2_4_what_is_restored_counts_in_the_limit_of_positions(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(ETH_LONG, "2")
        await scene.before_a_cross()
        async with scene.life(eager(symbols=BOTH, sizing__max_positions=1)) as life:
            await life.ready()
            await scene.cross()
            assert "1 positions are open" in life.one("ENTRY_DENIED")["because"]
            assert scene.held_of(BTC_LONG) == 0


NET = AccountSpec(pos_mode="net_mode")


@pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)
@pytest.mark.parametrize("margin", ["cross", "isolated"])
async def test_r2_net_mode_and_isolated_margin_are_restored_alike(
    autojump_clock: MockClock, leg: LegKey, margin: str
) -> None:
    given = still(account__position_mode="net", account__margin_mode=margin)
    async with exchange(NET) as scene:
        if margin == "isolated":
            scene.unjudged = "a stop does not say its margin, and traces take it to be cross"
        deal = "buy" if leg is BTC_LONG else "sell"
        assert scene.rig.order(deal, "0.5", tdMode=margin)["sCode"] == "0"
        async with scene.life(given) as life:
            await life.ready()
            own = next(key for key, slot in life.bot.legs if slot.position.state is position.S.OPEN)
            assert (own.side, own.margin.value, life.book(own).contracts) == (
                leg.side,
                margin,
                Decimal("0.5"),
            )
            assert scene.is_covered(leg)


@pytest.mark.parametrize("down_s", [1, 12, 600])
async def test_r2_3_an_entry_that_filled_while_the_bot_was_dead_is_protected_and_not_sold(
    autojump_clock: MockClock, down_s: int
) -> None:
    """It has been without the bot's own stop for longer than a stop may take, before any was asked for."""
    far_away = Weather(latency_s=0.2, jitter_s=0.0)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange(weather=far_away) as scene:
            await scene.before_a_cross()
            async with scene.life(eager(strategy__sides="long"), journal=journal) as life:
                await life.ready()
                scene.deaf()
                scene.fault("accept_then_timeout", "trade/order", times=0)
                await scene.cross()
                await life.crash()
            scene.heal()
            held = scene.held_of(BTC_LONG)
            assert held
            await trio.sleep(down_s)
            async with scene.life(still(), journal=journal) as life:
                await life.ready()
                await life.covered()
                assert life.one("IN_DOUBT")["role"] == "entry"
                await trio.sleep(10)
                assert life.names("EMERGENCY_CLOSE", "DRIFT_ADD", "DRIFT_STOP_ORPHAN") == []
                assert scene.held_of(BTC_LONG) == held
                assert scene.is_covered(BTC_LONG)
                assert len(scene.stops_of(BTC_LONG)) == 1
