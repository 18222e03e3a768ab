"""R3: the book is compared with the exchange at the start, on a timer, and after every private relogin."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.machine import position
from anchorwatch.machine.connection import Name
from anchorwatch.machine.units import LegKey
from tests.mission.rig import BTC_LONG, BTC_SHORT, ETH_LONG, OneLife, Scene, eager, exchange, still
from tests.venue.rig import BTC, ETH, START_MS

Occasion = Callable[[Scene, OneLife], Awaitable[None]]


async def by_timer(scene: Scene, life: OneLife) -> None:
    await trio.sleep(61)


async def by_relogin(scene: Scene, life: OneLife) -> None:
    scene.heal()
    scene.lose(Name.PRIVATE)
    await trio.sleep(0.1)
    await life.delivers(*Name)
    await trio.sleep(1)


OCCASIONS = pytest.mark.parametrize("occasion", [by_timer, by_relogin])
LEGS = pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)


@OCCASIONS
@LEGS
async def test_r3_1_a_position_unknown_to_the_book_is_added_with_its_own_history(
    autojump_clock: MockClock, occasion: Occasion, leg: LegKey
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        scene.deaf()
        scene.trade(leg, "0.5")
        opened_ms = scene.seams.wall_ms()
        await trio.sleep(20)
        await occasion(scene, life)
        drift = life.one("DRIFT_ADD")
        assert (drift["level"], drift["leg"], drift["ours"], drift["theirs"]) == (
            "warning",
            str(leg),
            "0",
            "0.5",
        )
        book = life.book(leg)
        assert book.contracts == Decimal("0.5")
        assert abs(book.entered_ms - opened_ms) < 1_000, "its age is the exchange's, not the finding's"
        assert abs(book.account.average_price - 60_000) < 1
        assert life.slot(leg).position.state is position.S.OPEN
        assert scene.is_covered(leg)


async def test_r3_1_a_position_of_hours_ago_keeps_its_age_at_the_start(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        opened_ms = scene.seams.wall_ms()
        await trio.sleep(3 * 3600)
        async with scene.life(still(protection__max_holding_min=0)) as life:
            await life.ready()
            assert life.one("DRIFT_ADD")["theirs"] == "0.5"
            assert life.book().entered_ms == opened_ms


async def test_r3_1_what_was_added_counts_in_the_limit_of_positions(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager(symbols=[BTC, ETH], sizing__max_positions=1)) as life:
            await life.ready()
            scene.deaf()
            scene.trade(ETH_LONG, "2")
            await trio.sleep(61)
            scene.heal()
            assert life.one("DRIFT_ADD")["leg"] == str(ETH_LONG)
            await scene.cross()
            assert "1 positions are open" in life.lines("ENTRY_DENIED")[-1]["because"]


@OCCASIONS
@LEGS
async def test_r3_2_a_position_gone_from_the_exchange_leaves_with_its_cause_and_its_stop(
    autojump_clock: MockClock, occasion: Occasion, leg: LegKey
) -> None:
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        async with scene.life() as life:
            await life.ready()
            scene.deaf()
            scene.rig.price_now("60100" if leg is BTC_LONG else "59900")
            scene.trade(leg, "0.5", closes=True)
            await trio.sleep(5)
            await occasion(scene, life)
            await life.flat(leg)
            assert life.one("DRIFT_REMOVE")["level"] == "warning"
            assert life.one("EXIT")["cause"]
            totals = life.engine.desk.context.book.totals
            theirs = next(iter(scene.rig.venue.accounts["main"].history.values()))
            assert (totals.positions_closed, totals.realised_pnl) == (1, theirs.pnl)
            assert life.book(leg).contracts == 0
            assert scene.stops() == []


async def test_r3_2_a_removed_position_frees_its_place_in_the_limit(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(ETH_LONG, "2")
        await scene.before_a_cross()
        async with scene.life(eager(symbols=[BTC, ETH], sizing__max_positions=1)) as life:
            await life.ready()
            scene.deaf()
            scene.trade(ETH_LONG, "2", closes=True)
            await trio.sleep(40)
            scene.heal()
            await life.flat(ETH_LONG)
            await scene.cross()
            await life.entered()


@OCCASIONS
@pytest.mark.parametrize(("contracts", "closes", "now"), [("0.2", False, "0.7"), ("0.2", True, "0.3")])
async def test_r3_3_a_known_position_takes_the_exchanges_figures(
    autojump_clock: MockClock, occasion: Occasion, contracts: str, closes: bool, now: str
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life() as life:
            await life.ready()
            entered_ms = life.book().entered_ms
            scene.deaf()
            scene.rig.price_now("60100")
            scene.trade(BTC_LONG, contracts, closes=closes)
            await trio.sleep(5)
            await occasion(scene, life)
            assert life.one("DRIFT_SIZE")["theirs"] == now
            theirs = scene.rig.venue.positions()[0]
            assert life.book().contracts == theirs.contracts == Decimal(now)
            assert abs(life.book().account.average_price - theirs.avg_px) < Decimal("1e-9")
            assert life.book().entered_ms == entered_ms
            assert scene.is_covered()


@pytest.mark.parametrize("is_exclusive", [True, False])
async def test_r3_what_was_found_and_done_is_in_the_drift_report(
    autojump_clock: MockClock, tmp_path: Path, is_exclusive: bool
) -> None:
    path = tmp_path / "drifts.jsonl"
    given = still(reconcile__drift_report=str(path), account__exclusive=is_exclusive)
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(given) as life:
            await life.ready()
            scene.deaf()
            scene.trade(BTC_LONG, "0.5", closes=True)
            await trio.sleep(70)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    watched = [] if is_exclusive else ["WATCHED"]
    made = ["DRIFT_ADD_TSL_CREATED"] if is_exclusive else []
    assert [line["found"] for line in lines] == ["FIRST_START", "DRIFT_ADD", *watched, *made, "DRIFT_REMOVE"]
    assert [line["policy"] for line in lines if "policy" in line] == [
        "adopted and protected" if is_exclusive else "watched, and never touched",
        "leaves the book when its cause is known",
    ]
    assert all(line["at_ms"] >= START_MS for line in lines)


async def test_r3_a_report_that_cannot_be_written_is_told_once_and_costs_nothing(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(still(reconcile__drift_report=str(tmp_path / "no" / "where"))) as life:
            await life.ready()
            assert scene.is_covered()
            assert "cannot be written" in life.one("DRIFT_REPORT")["reason"]


async def test_r3_readings_agree_again_and_again_and_find_nothing(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(still(protection__max_holding_min=0)) as life:
            await life.ready()
            before = life.engine.desk.context.book.totals.drifts
            await trio.sleep(600)
            assert life.engine.desk.context.book.totals.drifts == before == 1
