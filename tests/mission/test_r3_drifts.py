"""R3: every kind of difference has its name, its policy and its line in the report; an end has its cause."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.seams import ASK_SIGNALS, asks
from anchorwatch.machine import order, position
from anchorwatch.machine.connection import Name
from anchorwatch.machine.ids import ClientId, Made
from tests.mission.rig import BTC_LONG, BTC_SHORT, OneLife, Scene, eager, exchange, still
from tests.venue.rig import HEDGED

TURNED = ("DRIFT_SIDE", "DRIFT_ADD", "DRIFT_REMOVE")
NET = msgspec.structs.replace(HEDGED, pos_mode="net_mode")


async def by_stop(scene: Scene, life: OneLife) -> None:
    await scene.settle_mark("59000")


async def by_hand(scene: Scene, life: OneLife) -> None:
    scene.trade(BTC_LONG, "0.5", closes=True)


@pytest.mark.parametrize(
    ("way", "cause"),
    [(by_stop, "stop"), (by_hand, "closed by hand")],
    ids=["its stop", "a hand"],
)
@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
async def test_r3_2_a_removed_position_leaves_under_its_own_cause(
    autojump_clock: MockClock, way: Callable[[Scene, OneLife], object], cause: str, killed: bool
) -> None:
    given = still(protection__take_profit_fraction=Decimal(0), protection__max_holding_min=0)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                if killed:
                    await life.crash()
                scene.deaf()
                await way(scene, life)  # type: ignore[misc]
                scene.heal()
                if not killed:
                    scene.lose(Name.PRIVATE)
                    scene.lose(Name.PRIVATE_BUSINESS)
                    await life.flat()
                    assert life.one("EXIT")["cause"] == cause
                    return
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await life.flat()
                assert life.one("DRIFT_REMOVE")["level"] == "warning"
                assert life.one("EXIT")["cause"] == cause


async def test_r3_2_our_own_close_that_was_cut_off_is_known_as_ours(autojump_clock: MockClock) -> None:
    given = still(protection__max_holding_min=5)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                scene.fault("accept_then_timeout", "trade/order", times=0)
                scene.deaf()
                await scene.until(lambda: not scene.held_of(BTC_LONG), 600)
                await life.crash()
                scene.heal()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await life.flat()
                assert life.one("EXIT")["cause"] == "close"


async def test_r3_a_position_that_turned_while_nobody_looked_is_named_and_both_halves_are_settled(
    autojump_clock: MockClock,
) -> None:
    given = still(account__position_mode="net")
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange(NET) as scene:
            scene.trade(BTC_LONG, "0.5")
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                scene.deaf()
                scene.trade(BTC_SHORT, "0.8")
                await trio.sleep(70)
                scene.heal()
                found = [line for line in life.lines() if line["event"] in TURNED]
                assert [(line["event"], line["leg"]) for line in found[1:]] == [
                    ("DRIFT_SIDE", str(BTC_SHORT)),
                    ("DRIFT_ADD", str(BTC_SHORT)),
                    ("DRIFT_REMOVE", str(BTC_LONG)),
                ]
                await life.flat(BTC_LONG)
                await life.covered(BTC_SHORT)
                assert life.book(BTC_SHORT).contracts == scene.held_of(BTC_SHORT) == Decimal("0.3")


async def test_r3_an_order_of_ours_that_rests_and_is_not_listed_is_asked_for(
    autojump_clock: MockClock,
) -> None:
    given = eager(entry__order_kind="post_only", entry__rest_s=600, entry__reprices_max=0)
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(given) as life:
            await life.ready()
            await scene.cross()
            await life.until(lambda: life.slot().entry.state is order.S.LIVE)
            scene.deaf()
            account = scene.rig.venue.accounts["main"]
            for resting in list(account.pending.values()):
                scene.rig.venue.matching.cancel(resting, "1")
            await life.until(lambda: life.slot().entry.state is order.S.CANCELLED, 120)
            lost = life.lines("DRIFT_ORDER_LOST")
            assert not lost or lost[0]["role"] == "entry"
            assert life.slot().position.state is position.S.FLAT


async def test_r3_every_drift_is_in_the_report_with_its_policy(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    report = tmp_path / "drifts.jsonl"
    given = still(reconcile__drift_report=str(report), account__exclusive=False)
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        orphan = str(ClientId("oldold00", Made.ENTRY, 7))
        assert scene.rig.order("buy", "0.1", "50000", posSide="long", clOrdId=orphan)["sCode"] == "0"
        scene.unjudged = "a stop is put beside no position, to be found as an orphan"
        ours = str(ClientId("oldold00", Made.STOP, 7))
        assert scene.rig.algo(
            "buy", posSide="short", sz="0.1", slTriggerPx="65000", slOrdPx="-1", algoClOrdId=ours
        )
        async with scene.life(given) as life:
            await life.ready()
            await trio.sleep(2)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    policies = {line["found"]: line.get("policy") for line in lines}
    assert policies["DRIFT_ADD"] == "watched, and never touched"
    assert policies["DRIFT_ORDER_ORPHAN"] == policies["DRIFT_STOP_ORPHAN"] == "cancelled"
    assert all(line["at_ms"] > 0 for line in lines)


async def test_r3_a_comparison_can_be_asked_for(autojump_clock: MockClock) -> None:
    async with exchange() as scene, scene.life(still(reconcile__every_s=300)) as life:
        await life.ready()
        scene.deaf()
        scene.trade(BTC_LONG, "0.5")
        await trio.sleep(5)
        assert life.lines("DRIFT_ADD") == []
        life.engine.compare_now()
        await life.covered()
        assert life.one("DRIFT_ADD")["theirs"] == "0.5"


@pytest.mark.skipif(not ASK_SIGNALS, reason="this system has no SIGUSR1")
async def test_r3_a_signal_asks_for_it() -> None:
    async with asks() as arriving:
        os.kill(os.getpid(), signal.SIGUSR1)
        async for number in arriving:
            assert number == signal.SIGUSR1
            break
