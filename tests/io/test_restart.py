"""A second life on the journal of the first: what is given back, what is found changed, and what is refused.

The first life is cut off by cancelling it: no stop sequence runs and nothing is tidied up. (Real processes that are
really killed: ``python -m tests.kill``.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.engine import run_bot
from anchorwatch.io.journal import JournalError, open_journal
from anchorwatch.io.run_options import RunOptions
from anchorwatch.io.settings import Settings
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.machine import ids, order, permission, position
from anchorwatch.machine.bot import PERMISSION, entry_obstacles
from anchorwatch.machine.desk import Told
from anchorwatch.machine.facts import Facts, IntentFact
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.trailing_stop import is_tighter
from anchorwatch.machine.units import Deal, LegKey, Side, closing_deal, opening_deal
from tests.io.engine_rig import KEY, LONG, SHORT, Life, World, loopback, paced_clock, settings
from tests.venue.rig import BTC, START_MS

__all__ = ["paced_clock"]

LOOSER = settings(protection__stop_fraction=Decimal("0.03"), protection__trail_fraction=Decimal("0.02"))
"""Settings under which every level that is computed anew is looser than it was."""

DRIFTS = ("DRIFT_ADD", "DRIFT_REMOVE", "DRIFT_SIZE", "DRIFT_STOP_MISSING", "DRIFT_STOP_ORPHAN")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.sqlite"


def remembered(disk: Path) -> Facts:
    with open_journal(disk, "sim", KEY.key) as journal:
        return journal.read()


@asynccontextmanager
async def a_life(world: World, disk: Path, given: Settings | None = None) -> AsyncIterator[Life]:
    """A READY life that stops in order at the end of the block."""
    with open_journal(disk, "sim", KEY.key) as journal:
        async with world.life(given, journal=journal) as life:
            await life.ready()
            yield life


@asynccontextmanager
async def a_life_cut_off(world: World, disk: Path, given: Settings | None = None) -> AsyncIterator[Life]:
    """A READY life that is cut off at the end of the block, in the middle of whatever it does."""
    with open_journal(disk, "sim", KEY.key) as journal, trio.CancelScope() as scope:
        async with world.life(given, journal=journal) as life:
            await life.ready()
            yield life
            scope.cancel()
            await trio.lowlevel.checkpoint()


def drifts(life: Life) -> list[tuple[str, str]]:
    return [(line["event"], line["leg"]) for line in life.lines() if line["event"] in DRIFTS]


def trigger(world: World) -> Decimal:
    """The level of the one stop that rests."""
    (stop,) = world.stops()
    assert stop.sl_trigger_px is not None
    return stop.sl_trigger_px


def buy(side: Side) -> str:
    return opening_deal(side).value


async def rise(world: World, side: Side, dollars: int, seconds: int = 90) -> None:
    """The market moves in favour of this side, and mark with it."""
    await world.price(60_000 + side.sign * dollars, seconds)


# What is given back.


@pytest.mark.parametrize("side", list(Side))
async def test_a_position_keeps_its_entry_time_its_peak_and_its_stop(
    paced_clock: PacedClock, disk: Path, side: Side
) -> None:
    leg = LegKey(BTC, side)
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand(buy(side), "3", side.value)
            await first.covered(leg)
            first_level = trigger(world)
            await rise(world, side, 400)
            await first.covered(leg)
            peak = first.engine.desk.context.book.leg(leg).peak
            assert peak is not None
            entered_ms = first.engine.desk.context.book.leg(leg).entered_ms
        (stop,) = world.stops()
        level = trigger(world)
        assert is_tighter(side, level, first_level), "the stop has trailed"
        (facts,) = remembered(disk).legs
        assert facts.peak is not None
        await world.price(60_000 + side.sign * 250, 30)  # the market goes back a little while nobody looks
        async with a_life(world, disk) as second:
            (line,) = second.lines("RESTORED")
            assert int(line["entered_ms"]) == entered_ms
            assert Decimal(line["peak"]) == facts.peak.peak_px
            assert abs(facts.peak.peak_px - peak) < 10, "the journal's peak is at most a small move behind"
            await world.price(60_000 + side.sign * 250, 30)
            assert drifts(second) == []
            assert [one.client_id for one in world.stops()] == [stop.client_id], (
                "no second stop, and no other"
            )
            assert not is_tighter(side, level, trigger(world))
            assert world.held(side) == 3


async def test_a_stop_is_not_loosened_by_looser_settings(paced_clock: PacedClock, disk: Path) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand("buy", "3")
            await first.covered()
        level = trigger(world)
        async with a_life(world, disk, LOOSER) as second:
            await world.price(60_050, 30)
            assert second.lines("RESTORED")
            assert trigger(world) >= level


async def test_a_stop_that_vanished_meanwhile_is_placed_again_where_it_was(
    paced_clock: PacedClock, disk: Path
) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand("buy", "3")
            await first.covered()
            await rise(world, Side.LONG, 400)
            await first.covered()
        level = trigger(world)
        assert level > 59_700, "it has trailed: no first level of the next life would be there"
        (stop,) = world.stops()
        venue = world.rig.venue
        venue.algos_room.cancel(venue.accounts["main"], venue.accounts["main"].algos[stop.algo_id])
        assert world.stops() == []
        async with a_life(world, disk, LOOSER) as second:
            await second.covered()
            assert trigger(world) == level
            (again,) = world.stops()
            assert again.client_id != stop.client_id, "no client id is used twice"


@pytest.mark.parametrize("side", list(Side))
async def test_of_two_stops_that_rest_the_tighter_one_is_kept(
    paced_clock: PacedClock, disk: Path, side: Side
) -> None:
    """The process died between the first life of its own stop and the sweeping of the one that came with the entry."""
    leg = LegKey(BTC, side)
    belt = str(ids.ClientId("earlier1", ids.Made.ATTACHED, 7))
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand(buy(side), "3", side.value)
            await first.covered(leg)
        level = trigger(world)
        (own,) = world.stops()
        looser = f"{level - side.sign * 300:f}"
        placed = world.rig.algo(
            closing_deal(side).value,
            posSide=side.value, sz="3", slTriggerPx=looser, slOrdPx="-1", algoClOrdId=belt,
        )  # fmt: skip
        assert placed["sCode"] == "0", placed
        async with a_life(world, disk) as second:
            await second.until(lambda: len(world.stops()) == 1)
            assert [one.client_id for one in world.stops()] == [own.client_id]
            assert trigger(world) == level


async def test_both_legs_of_one_instrument_come_back_as_two(paced_clock: PacedClock, disk: Path) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand("buy", "3")
            world.by_hand("sell", "2", "short")
            await first.covered(LONG)
            await first.covered(SHORT)
        async with a_life(world, disk) as second:
            assert [line["leg"] for line in second.lines("RESTORED")] == [str(LONG), str(SHORT)]
            assert drifts(second) == []
            assert (world.held(Side.LONG), world.held(Side.SHORT)) == (Decimal(3), Decimal(2))
            assert len(world.stops()) == 2


# What changed meanwhile.


async def test_a_position_closed_meanwhile_is_removed_with_its_cause_and_its_result(
    paced_clock: PacedClock, disk: Path
) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand("buy", "3")
            await first.covered()
        await world.price(60_100, 10)
        world.by_hand("sell", "3")
        (closed,) = world.rig.venue.accounts["main"].history.values()
        async with a_life(world, disk) as second:
            await second.until(lambda: second.lines("EXIT"))
            assert drifts(second) == [("DRIFT_REMOVE", str(LONG))]
            (exit_,) = second.lines("EXIT")
            assert exit_["cause"]
            assert Decimal(exit_["pnl"]) == closed.pnl
            assert second.engine.desk.context.book.totals.realised_pnl == closed.pnl
            assert second.slot().position.state is position.S.FLAT
            assert world.stops() == []
        facts = remembered(disk)
        assert facts.legs == ()
        assert [(fact.leg, fact.realised_pnl) for fact in facts.closed] == [(LONG, closed.pnl)]


@pytest.mark.parametrize("side", list(Side))
async def test_a_stop_that_filled_meanwhile_is_found(paced_clock: PacedClock, disk: Path, side: Side) -> None:
    leg = LegKey(BTC, side)
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand(buy(side), "3", side.value)
            await first.covered(leg)
        await rise(world, side, -1_500, 120)
        assert world.held(side) == 0
        async with a_life(world, disk) as second:
            await second.until(lambda: second.lines("EXIT"))
            assert drifts(second) == [("DRIFT_REMOVE", str(leg))]
            assert second.engine.desk.context.book.totals.realised_pnl < 0
            assert world.stops() == []


async def test_a_position_that_grew_meanwhile_is_taken_at_its_new_size(
    paced_clock: PacedClock, disk: Path
) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand("buy", "3")
            await first.covered()
        world.by_hand("buy", "2")
        async with a_life(world, disk) as second:
            assert drifts(second) == [("DRIFT_SIZE", str(LONG))]
            assert second.engine.desk.context.book.leg(LONG).contracts == 5
            assert len(world.stops()) == 1, "the stop is of the whole position, whatever its size"


async def test_a_position_opened_meanwhile_is_adopted_on_an_exclusive_account(
    paced_clock: PacedClock, disk: Path
) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk):
            pass
        world.by_hand("sell", "2", "short")
        opened_ms = world.rig.venue.positions()[0].created_ms
        await trio.sleep(600)
        async with a_life(world, disk) as second:
            assert drifts(second) == [("DRIFT_ADD", str(SHORT))]
            assert [line["leg"] for line in second.lines("DRIFT_ADD_TSL_CREATED")] == [str(SHORT)]
            await second.covered(SHORT)
            assert second.engine.desk.context.book.leg(SHORT).entered_ms == opened_ms, "not now"
            assert len(world.stops()) == 1


async def test_on_a_shared_account_what_others_opened_is_watched_and_never_touched(
    paced_clock: PacedClock, disk: Path
) -> None:
    shared = settings(account__exclusive=False)
    async with loopback() as world:
        async with a_life_cut_off(world, disk, shared):
            pass
        world.by_hand("buy", "3")
        theirs = world.rig.algo(
            "sell", posSide="long", sz="3", slTriggerPx="55000", slOrdPx="-1", algoClOrdId="anotherbot1"
        )
        assert theirs["sCode"] == "0"
        async with a_life(world, disk, shared) as second:
            assert drifts(second) == [("DRIFT_ADD", str(LONG))]
            assert [line["leg"] for line in second.lines("WATCHED")] == [str(LONG)]
            assert second.lines("DRIFT_ADD_TSL_CREATED") == []
            await world.price(59_000, 120)  # beyond any stop of ours
            await world.price(61_000, 120)  # and beyond any take-profit
            assert world.held() == 3
            (stop,) = world.stops()
            assert (stop.client_id, stop.sl_trigger_px) == ("anotherbot1", Decimal(55_000))
            assert any(
                "is watched" in text or "not flat" in text for text in entry_obstacles(second.bot, SHORT)
            )


# Orders whose end was never learnt.


def an_intent(contracts: str, *, sent_ms: int = START_MS) -> IntentFact:
    return IntentFact(
        client_id=str(ids.ClientId("earlier1", ids.Made.ENTRY, 7)),
        leg=LONG,
        role=order.Role.ENTRY.value,
        side=Deal.BUY.value,
        contracts=Decimal(contracts),
        price=None,
        deadline_ms=sent_ms + 3_000,
        at_ms=sent_ms,
    )


async def test_an_entry_that_was_recorded_and_never_sent_is_found_absent(
    paced_clock: PacedClock, disk: Path
) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk):
            pass
        with open_journal(disk, "sim", KEY.key) as journal:
            journal.record([an_intent("3", sent_ms=world.seams.wall_ms())])
        world.unjudged = "no life of the trace made this intent"
        async with a_life(world, disk) as second:
            assert [line["leg"] for line in second.lines("IN_DOUBT")] == [str(LONG)]
            await second.until(lambda: second.slot().entry.state is order.S.ABSENT)
            states = second.states("order", f"{LONG}:entry")
            assert states == ["IN_DOUBT", "ABSENT"], "not before the exchange can no longer accept it"
            assert second.slot().position.state is position.S.FLAT
            assert entry_obstacles(second.bot, LONG) == ()
            assert drifts(second) == []
        assert remembered(disk).intents == ()


async def test_an_entry_that_filled_unheard_is_found_protected_and_not_repeated(
    paced_clock: PacedClock, disk: Path
) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk):
            pass
        intent = an_intent("3", sent_ms=world.seams.wall_ms())
        with open_journal(disk, "sim", KEY.key) as journal:
            journal.record([intent])
        answer = world.rig.order("buy", "3", posSide="long", clOrdId=intent.client_id)
        assert answer["sCode"] == "0"
        async with a_life(world, disk) as second:
            await second.covered()
            assert second.states("order", f"{LONG}:entry") == ["IN_DOUBT", "FILLED"]
            assert second.engine.desk.context.book.leg(LONG).contracts == world.held() == 3
            assert len(world.stops()) == 1
            assert drifts(second) == [], "it is ours, and was asked for: no drift"
            placed = [one.client_id for one in world.rig.venue.accounts["main"].done if one.state == "filled"]
            assert placed == [intent.client_id], "one entry, and no second one"
        assert remembered(disk).intents == ()


async def test_an_entry_whose_answer_was_lost_in_the_crash_is_counted_once(
    paced_clock: PacedClock, disk: Path
) -> None:
    """The entry is the engine's own: its answer times out, its pushes are lost, and the process dies."""
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            await world.price(59_850, 62)
            world.fault("accept_then_timeout", "trade/order", times=0)
            for channel in ("orders", "positions", "orders-algo"):
                world.fault("drop_push", channel, times=0)
            await world.price(60_250, 30)
            await first.until(lambda: bool(world.held()), 120)
        world.heal()
        contracts = world.held()
        (intent,) = remembered(disk).intents
        async with a_life(world, disk) as second:
            await second.covered()
            assert [line["order"] for line in second.lines("IN_DOUBT")] == [intent.client_id]
            assert second.engine.desk.context.book.leg(LONG).contracts == contracts == world.held()
            await second.until(lambda: len(world.stops()) == 1)


async def test_a_close_whose_answer_was_lost_in_the_crash_is_booked_once(
    paced_clock: PacedClock, disk: Path
) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            world.by_hand("buy", "3")
            await first.covered()
            world.fault("accept_then_timeout", "trade/order", times=0)
            for channel in ("orders", "positions", "orders-algo"):
                world.fault("drop_push", channel, times=0)
            while world.held():
                await world.price(60_700)
        world.heal()
        (closed,) = world.rig.venue.accounts["main"].history.values()
        async with a_life(world, disk) as second:
            await second.until(lambda: second.slot().position.state is position.S.FLAT)
            assert len(second.lines("EXIT")) == 1
            assert second.engine.desk.context.book.totals.realised_pnl == closed.pnl
            assert world.stops() == []
            assert second.slot().close.state in order.FREE
        assert remembered(disk).intents == ()


# What outlives the process, and what is said.


async def test_paused_before_the_crash_is_paused_after_it(paced_clock: PacedClock, disk: Path) -> None:
    async with loopback() as world:
        async with a_life_cut_off(world, disk) as first:
            first.engine.mailbox.put(Told(PERMISSION, permission.PauseRequested()))
            await first.until(lambda: first.bot.permission.state is permission.S.PAUSED)
        async with a_life(world, disk) as second:
            assert second.bot.permission.state is permission.S.PAUSED
            assert any("permission" in text for text in entry_obstacles(second.bot, LONG))


async def test_a_clean_stop_a_crash_and_a_lost_disk_are_told_apart(
    paced_clock: PacedClock, disk: Path, tmp_path: Path
) -> None:
    words = ("FIRST_START", "CLEAN_START", "AFTER_CRASH")

    def said(life: Life) -> list[str]:
        return [line["event"] for line in life.lines() if line["event"] in words]

    async with loopback() as world:
        async with a_life(world, disk) as first:
            assert said(first) == ["FIRST_START"]
        async with a_life_cut_off(world, disk) as second:
            assert said(second) == ["CLEAN_START"]
            world.by_hand("buy", "3")
            await second.covered()
        async with a_life_cut_off(world, disk) as third:
            assert said(third) == ["AFTER_CRASH"]
            level = trigger(world)
            (stop,) = world.stops()
        async with a_life(world, tmp_path / "another.sqlite") as fourth:
            assert said(fourth) == ["FIRST_START"]
            assert drifts(fourth) == [("DRIFT_ADD", str(LONG))], "found, not remembered"
            await fourth.covered()
            assert [(one.client_id, trigger(world)) for one in world.stops()] == [(stop.client_id, level)]


async def test_a_clean_stop_leaves_the_position_its_stop_and_its_memory(
    paced_clock: PacedClock, disk: Path
) -> None:
    async with loopback() as world:
        async with a_life(world, disk) as first:
            world.by_hand("buy", "3")
            await first.covered()
        assert first.exit is Exit.CLEAN
        level = trigger(world)
        async with a_life(world, disk) as second:
            assert second.lines("CLEAN_START")
            assert [line["leg"] for line in second.lines("RESTORED")] == [str(LONG)]
            assert trigger(world) == level


# What is refused.


async def refusal_of(disk: Path) -> str:
    """Start the bot as the command line does, on this journal; what it is refused with."""
    given = settings(journal__path=str(disk))
    with pytest.raises((JournalError, BaseExceptionGroup)) as told:
        await run_bot(given, RunOptions(), Telemetry(None, now_ms=lambda: START_MS))
    error: BaseException = told.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, JournalError)
    return str(error)


async def test_two_lives_on_one_journal_are_refused(paced_clock: PacedClock, disk: Path) -> None:
    async with loopback() as world, a_life(world, disk) as first:
        assert "is in use by process" in await refusal_of(disk)
        assert first.exit is None, "the first lives on"


async def test_the_journal_of_another_account_is_refused(paced_clock: PacedClock, disk: Path) -> None:
    with open_journal(disk, "sim", "another-key"):
        pass
    assert "belongs to account another-key on sim" in await refusal_of(disk)


async def test_the_journal_of_another_environment_is_refused(paced_clock: PacedClock, disk: Path) -> None:
    with open_journal(disk, "demo", KEY.key):
        pass
    assert "belongs to account sim-key on demo, not to sim-key on sim" in await refusal_of(disk)
