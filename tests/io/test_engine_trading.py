"""The whole engine trades: entries of its own, stops, closes, and the exchange's word against ours."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.machine import order, permission, position, protection
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Told
from anchorwatch.machine.units import LegKey, Side
from anchorwatch.machine.world import Candle, CandleClosed
from tests.io.engine_rig import LONG, SHORT, Life, World, fake, loopback, paced_clock, settings

__all__ = ["paced_clock"]

CASH = Decimal(10_000)


async def cross(world: World, life: Life, side: Side = Side.LONG) -> LegKey:
    """Two minutes against the entry and one for it: the averages cross, and the engine acts."""
    leg = LONG if side is Side.LONG else SHORT
    await world.price(60_000 - 150 * side.sign, 62)
    before = life.slot(leg).entry.data.seq
    await world.price(60_000 + 250 * side.sign, 62)
    assert life.slot(leg).entry.data.seq > before, life.text()
    return leg


def announced(life: Life, name: str) -> list[dict[str, str]]:
    return life.lines(name)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("mode", ["hedge", "net"])
async def test_an_entry_of_its_own_is_filled_covered_and_stopped_out(
    paced_clock: PacedClock, side: Side, mode: str
) -> None:
    spec = AccountSpec(pos_mode="long_short_mode" if mode == "hedge" else "net_mode")
    async with (
        loopback(spec) as world,
        world.life(settings(account__position_mode=mode, strategy__cooldown_opposite_s=600)) as life,
    ):
        await life.ready()
        leg = await cross(world, life, side)
        await life.covered(leg)
        book = life.engine.desk.context.book.leg(leg)
        (stop,) = world.stops()
        assert stop.client_id == book.stop_client_id
        assert stop.sl_trigger_px == book.resting
        assert book.contracts == sum(abs(one.contracts) for one in world.rig.venue.positions())
        await world.price(60_000 - 1_500 * side.sign, 120)
        await life.flat(leg)
        (exit_,) = announced(life, "EXIT")
        assert exit_["cause"] == "stop"
        assert world.rig.venue.positions() == () or not any(
            one.is_open for one in world.rig.venue.positions()
        )
        assert world.stops() == []
        totals = life.engine.desk.context.book.totals
        assert world.rig.cash == CASH + totals.realised_pnl - totals.fees
        assert (totals.positions_opened, totals.positions_closed) == (1, 1)
        assert totals.uncovered_ms_max < 1_000
        assert totals.drifts == 0


async def test_a_profit_is_taken_and_the_stop_goes_with_the_position(paced_clock: PacedClock) -> None:
    async with loopback() as world, world.life() as life:
        await life.ready()
        await cross(world, life)
        await life.covered()
        await world.price(61_500, 100)
        await life.flat()
        assert announced(life, "EXIT")[0]["cause"] == "take profit"
        assert world.held() == 0
        assert world.stops() == []
        totals = life.engine.desk.context.book.totals
        assert totals.realised_pnl > 0
        assert world.rig.cash == CASH + totals.realised_pnl - totals.fees


async def test_the_stop_at_the_exchange_follows_the_price_and_never_back(paced_clock: PacedClock) -> None:
    async with loopback() as world, world.life(settings(protection__take_profit_fraction=0)) as life:
        await life.ready()
        await cross(world, life)
        await life.covered()
        triggers = []
        for price in (60_400, 60_700, 60_600, 61_000, 60_900):
            await world.price(price, 25)
            triggers.append(world.stops()[0].sl_trigger_px)
        assert triggers == sorted(triggers, key=lambda one: one or 0)
        assert triggers[-1] != triggers[0]
        assert life.engine.desk.context.book.leg(LONG).resting == triggers[-1]


@pytest.mark.parametrize("kind", ["accept_then_timeout", "accept_then_html", "accept_then_code"])
async def test_an_entry_whose_answer_is_lost_is_one_order_and_is_covered(
    autojump_clock: MockClock, kind: str
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.fault(kind, "trade/order", times=1)  # type: ignore[arg-type]
        await cross(world, life)
        await life.covered()
        assert len(world.rig.venue.accounts["main"].fills) >= 1
        assert {fill.client_id for fill in world.rig.venue.accounts["main"].fills} == {
            ticket.client_id for ticket in life.engine.desk.context.book.tickets.values()
        }
        assert life.engine.desk.context.book.leg(LONG).contracts == world.held()


async def test_an_entry_that_never_arrived_is_proven_absent_and_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.fault("reject_then_timeout", "trade/order", times=1)
        await cross(world, life)
        await life.until(lambda: life.slot().entry.state is order.S.ABSENT, within_s=60)
        assert world.held() == 0
        assert life.slot().position.state is position.S.FLAT
        assert list(world.rig.venue.accounts["main"].fills) == []


async def test_a_refused_entry_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.fault("reject_with_code", "trade/order", times=1, code="51008")
        await cross(world, life)
        await life.until(lambda: life.slot().entry.state is order.S.REFUSED)
        assert life.slot().position.state is position.S.FLAT
        assert world.stops() == []


@pytest.mark.parametrize("kind", ["accept_then_timeout", "reject_then_timeout", "reject_with_code"])
async def test_a_stop_whose_first_answer_is_bad_covers_within_the_deadline(
    autojump_clock: MockClock, kind: str
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.fault(kind, "trade/order-algo", times=1)  # type: ignore[arg-type]
        world.by_hand("buy", "0.5")
        await life.covered()
        totals = life.engine.desk.context.book.totals
        assert totals.uncovered_ms_max <= 5_000
        await trio.sleep(5)
        assert len(world.stops()) == 1
        assert life.slot().position.state is position.S.OPEN


async def test_a_stop_that_a_person_cancels_is_placed_anew(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        (stop,) = world.stops()
        answer = world.rig.venue.trading.cancel_algo(
            world.rig.venue.accounts["main"], {"instId": stop.inst_id, "algoId": stop.algo_id}
        )
        assert answer["sCode"] == "0"
        world.rig.venue.advance()
        await life.until(lambda: life.slot().protection.state is not protection.S.COVERED, within_s=5)
        await life.covered()
        assert len(world.stops()) == 1
        assert world.stops()[0].client_id != stop.client_id


async def test_a_close_that_is_refused_at_first_closes_all_the_same(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        await cross(world, life)
        await life.covered()
        world.fault("reject_with_code", "trade/order", times=2, code="50001")
        await world.price(61_500, 100)
        await life.flat()
        assert world.held() == 0
        closes = [
            ticket
            for ticket in life.engine.desk.context.book.tickets.values()
            if ticket.role is order.Role.CLOSE
        ]
        assert 1 <= len(closes) <= 5
        assert all(ticket.is_reduce_only for ticket in closes)


async def test_a_liquidation_is_seen_and_named(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        world.by_hand("buy", "0.5")
        await life.covered()
        world.rig.venue.deleverage("main", "BTC-USDT-SWAP", Decimal("0.5"), "long")
        await life.flat()
        (exit_,) = announced(life, "EXIT")
        assert exit_["cause"] not in ("", "stop", "closed by hand")
        await trio.sleep(5)
        assert world.stops() == []


async def test_a_pause_between_the_decision_and_the_wire_keeps_the_order_from_it(
    autojump_clock: MockClock,
) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        await world.price(59_850, 62)
        minute_ms = world.seams.wall_ms() // 60_000 * 60_000
        crossing = Candle(minute_ms, 59_850, 60_250, 59_850, 60_250, 1)
        life.engine.mailbox.put(CandleClosed("BTC-USDT-SWAP", "1m", crossing))
        # Behind the candle, and before the record of the intent that the candle leads to.
        life.engine.mailbox.put(Told(PERMISSION, permission.PauseRequested("the operator")))
        await life.until(lambda: life.slot().entry.state in order.FINAL)
        assert life.states("order", f"{LONG}:entry") == ["PLANNED", "SENT", "WITHDRAWN"]
        assert list(world.rig.venue.accounts["main"].done) == []
        assert world.held() == 0


async def test_a_close_in_net_mode_can_only_reduce(autojump_clock: MockClock) -> None:
    spec = AccountSpec(pos_mode="net_mode")
    async with fake(spec) as world, world.life(settings(account__position_mode="net")) as life:
        await life.ready()
        await cross(world, life)
        await life.covered()
        await world.price(61_500, 100)
        await life.flat()
        opening, closing = world.rig.venue.accounts["main"].done
        assert (opening.is_reduce_only, closing.is_reduce_only) == (False, True)


async def test_nothing_is_entered_while_the_private_connection_is_away(autojump_clock: MockClock) -> None:
    async with fake() as world, world.life() as life:
        await life.ready()
        await world.price(59_850, 62)
        world.fault("ws_refuse", "private", times=0)
        world.lose(Name.PRIVATE)
        await world.price(60_250, 62)
        assert life.telemetry.summary.orders == 0
        assert world.held() == 0
        (denied,) = announced(life, "ENTRY_DENIED")
        assert "private connection" in denied["because"]
        world.heal()
