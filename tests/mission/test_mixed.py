"""Positions that strangers share, and instruments that the operator keeps for himself, over restarts."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.machine import position
from anchorwatch.machine.facts import HandsOffFact
from anchorwatch.machine.ids import Made
from anchorwatch.machine.units import LegKey
from tests.mission.rig import BTC_LONG, BTC_SHORT, Scene, eager, exchange, still
from tests.venue.rig import BTC, HEDGED

SHARED = {"account__exclusive": False, "protection__take_profit_fraction": Decimal(0)}
THEIRS = Decimal("0.5")
LEGS = pytest.mark.parametrize(
    ("mode", "leg"),
    [("hedge", BTC_LONG), ("hedge", BTC_SHORT), ("net", BTC_LONG), ("net", BTC_SHORT)],
    ids=["a long in hedge mode", "a short in hedge mode", "a long in net mode", "a short in net mode"],
)


def account_in(mode: str) -> object:
    return msgspec.structs.replace(HEDGED, pos_mode="long_short_mode" if mode == "hedge" else "net_mode")


def has_exactly_ours(scene: Scene, leg: LegKey, own: Decimal) -> bool:
    return [stop.contracts for stop in scene.stops_of(leg)] == [own]


@LEGS
async def test_of_a_position_that_a_human_adds_to_only_our_part_is_stopped_moved_and_closed(
    autojump_clock: MockClock, mode: str, leg: LegKey
) -> None:
    given = eager(account__position_mode=mode, protection__max_holding_min=10, **SHARED)
    far = "60700" if leg is BTC_LONG else "59300"
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange(account_in(mode)) as scene:  # type: ignore[arg-type]
            await scene.before_a_cross(leg.side)
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await scene.cross(leg.side)
                await life.entered(leg)
                own = scene.held_of(leg)
                scene.trade(leg, str(THEIRS))
                await trio.sleep(70)
                assert has_exactly_ours(scene, leg, own)
                first = life.book(leg).resting
                await scene.settle_mark(far)
                await trio.sleep(3)
                assert has_exactly_ours(scene, leg, own)
                assert life.book(leg).resting != first
                await life.crash()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                assert (life.book(leg).contracts, life.book(leg).others) == (own, THEIRS)
                assert has_exactly_ours(scene, leg, own)
                await scene.until(lambda: scene.held_of(leg) == THEIRS, 1200)
                await trio.sleep(70)
                assert life.slot(leg).position.state is position.S.WATCHED
                assert life.one("EXIT")["cause"] == "held too long"
                assert scene.stops_of(leg) == []
                assert scene.held_of(leg) == THEIRS


@LEGS
async def test_what_a_human_takes_back_is_theirs_first_and_the_stop_follows_our_size(
    autojump_clock: MockClock, mode: str, leg: LegKey
) -> None:
    given = eager(account__position_mode=mode, strategy__cooldown_s=600, **SHARED)
    async with exchange(account_in(mode)) as scene:  # type: ignore[arg-type]
        await scene.before_a_cross(leg.side)
        async with scene.life(given) as life:
            await life.ready()
            await scene.cross(leg.side)
            await life.entered(leg)
            own = scene.held_of(leg)
            scene.trade(leg, "0.5")
            await trio.sleep(2)
            scene.trade(leg, "0.5", closes=True)
            await trio.sleep(70)
            assert life.book(leg).contracts == own
            assert has_exactly_ours(scene, leg, own)
            scene.trade(leg, "0.1", closes=True)
            await trio.sleep(3)
            assert life.book(leg).contracts == own - Decimal("0.1")
            assert has_exactly_ours(scene, leg, own - Decimal("0.1"))
            scene.trade(leg, str(own - Decimal("0.1")), closes=True)
            await life.flat(leg)
            await trio.sleep(70)
            assert life.one("EXIT")["cause"] == "closed by hand"
            assert scene.stops_of(leg) == []


@LEGS
async def test_our_stop_sells_our_part_and_leaves_theirs(
    autojump_clock: MockClock, mode: str, leg: LegKey
) -> None:
    given = eager(account__position_mode=mode, strategy__cooldown_s=600, **SHARED)
    async with exchange(account_in(mode)) as scene:  # type: ignore[arg-type]
        await scene.before_a_cross(leg.side)
        async with scene.life(given) as life:
            await life.ready()
            await scene.cross(leg.side)
            await life.entered(leg)
            scene.trade(leg, str(THEIRS))
            await trio.sleep(2)
            await scene.settle_mark("59000" if leg is BTC_LONG else "61000")
            await trio.sleep(70)
            assert life.one("EXIT")["cause"] == "stop"
            assert scene.held_of(leg) == THEIRS
            assert life.slot(leg).position.state is position.S.WATCHED


async def test_our_stop_that_sold_while_nobody_looked_leaves_theirs(autojump_clock: MockClock) -> None:
    given = eager(strategy__cooldown_s=3600, **SHARED)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            await scene.before_a_cross()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await scene.cross()
                await life.entered()
                scene.trade(BTC_LONG, str(THEIRS))
                await trio.sleep(2)
                await life.crash()
            await scene.settle_mark("59000")
            assert scene.held_of(BTC_LONG) == THEIRS
            writes = len(scene.writes())
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await trio.sleep(130)
                assert scene.held_of(BTC_LONG) == THEIRS
                assert life.slot().position.state is position.S.WATCHED
                assert scene.orders(Made.CLOSE) == []
                assert [one for one in scene.writes()[writes:] if "order" in one] == []


async def test_hands_off_outlives_a_restart_and_hands_on_gives_back(autojump_clock: MockClock) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            async with scene.life(journal=journal) as life:
                await life.ready()
                assert scene.is_covered()
                entered_ms = life.book().entered_ms
                await life.crash()
            journal.record([HandsOffFact(BTC, True)])
            rests = [(stop.algo_id, stop.sl_trigger_px) for stop in scene.stops()]
            for _ in range(2):
                async with scene.life(eager(), journal=journal) as life:
                    await life.ready()
                    assert life.slot().position.state is position.S.WATCHED
                    assert life.one("HANDS_OFF")["instrument"] == BTC
                    await scene.before_a_cross()
                    await scene.cross()
                    await trio.sleep(70)
                    assert scene.orders(Made.ENTRY) == []
                    assert [(stop.algo_id, stop.sl_trigger_px) for stop in scene.stops()] == rests
                    await life.crash()
            journal.record([HandsOffFact(BTC, False)])
            async with scene.life(still(), journal=journal) as life:
                await life.ready()
                assert life.slot().position.state is position.S.OPEN
                assert life.book().entered_ms == entered_ms
                assert scene.is_covered()


@LEGS
@pytest.mark.parametrize("theirs", ["0", "0.5"], ids=["ours alone", "shared"])
async def test_a_position_of_ours_is_known_by_its_orders_when_the_journal_is_lost(
    autojump_clock: MockClock, mode: str, leg: LegKey, theirs: str
) -> None:
    given = eager(account__position_mode=mode, strategy__cooldown_s=3600, **SHARED)
    async with exchange(account_in(mode)) as scene:  # type: ignore[arg-type]
        await scene.before_a_cross(leg.side)
        async with scene.life(given) as life:
            await life.ready()
            await scene.cross(leg.side)
            await life.entered(leg)
            own = scene.held_of(leg)
            if theirs != "0":
                scene.trade(leg, theirs)
            await trio.sleep(2)
            rests = [stop.algo_id for stop in scene.stops_of(leg)]
            await life.crash()
        async with scene.life(given) as life:
            await life.ready()
            await life.covered(leg)
            assert life.one("OURS_LOST")["ours"] == str(own)
            assert (life.book(leg).contracts, life.book(leg).others) == (own, Decimal(theirs))
            assert [stop.algo_id for stop in scene.stops_of(leg)] == rests
            assert has_exactly_ours(scene, leg, own)
