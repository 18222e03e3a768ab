"""Modes, owners, restarts in a storm: what the bot may do at all, and what it must leave alone."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.venue.accounts import ApiKey
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine import position
from anchorwatch.machine.connection import Name
from anchorwatch.machine.ids import ClientId, Made
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.units import LegKey, Side
from tests.mission.rig import BTC_LONG, BTC_SHORT, HIGH, LOW, Scene, eager, exchange, still
from tests.venue.rig import HEDGED

LEGS = pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)
READER = msgspec.structs.replace(
    HEDGED, keys=(ApiKey("sim-key", "sim-secret", "sim-pass", permissions="read_only"),)
)
SHARED = {"account__exclusive": False}
OTHERS_STOP = "another1bots2stop"


def others_stop(scene: Scene, level: str = "59000", contracts: str = "0.5") -> None:
    """Another bot, or a human, protects a long."""
    answer = scene.rig.algo(
        "sell", posSide="long", sz=contracts, slTriggerPx=level, slOrdPx="-1", algoClOrdId=OTHERS_STOP
    )
    assert answer["sCode"] == "0", answer


def state_of(scene: Scene) -> object:
    """What is open and rests at the exchange, whoever made it."""
    account = scene.rig.venue.accounts["main"]
    return (
        [(one.inst_id, one.pos_side, one.contracts, one.lever) for one in scene.rig.venue.positions()],
        [(one.algo_id, one.sl_trigger_px, one.contracts) for one in scene.stops()],
        [(one.order_id, one.px, one.contracts) for one in account.pending.values()],
    )


# watch


async def test_watch_sends_nothing_and_a_read_only_key_suffices(autojump_clock: MockClock) -> None:
    async with exchange(READER) as scene:
        scene.trade(BTC_LONG, "0.5")
        scene.trade(BTC_SHORT, "0.3")
        others_stop(scene)
        before = state_of(scene)
        await scene.before_a_cross()
        async with scene.life(eager(account__mode="watch")) as life:
            await life.ready()
            for side in (Side.LONG, Side.SHORT):
                await scene.cross(side)
            scene.lose(Name.PRIVATE)
            await trio.sleep(120)
            await life.stop()
            assert life.exit is Exit.CLEAN
        assert scene.writes() == []
        assert state_of(scene) == before
        assert [line["leg"] for line in life.lines("UNCOVERED")] == [str(BTC_SHORT)]
        assert {line["leg"] for line in life.lines("DRIFT_ADD")} == {str(BTC_LONG), str(BTC_SHORT)}


async def test_watch_tells_of_drifts_and_of_uncovered_seconds(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        async with scene.life(still(account__mode="watch")) as life:
            await life.ready()
            scene.trade(BTC_LONG, "0.5")
            await trio.sleep(70)
            others_stop(scene)
            await trio.sleep(70)
            totals = life.engine.desk.context.book.totals
            assert 60_000 <= totals.uncovered_ms_max <= 140_000
            scene.trade(BTC_LONG, "0.5", closes=True)
            await trio.sleep(70)
            assert life.slot().position.state is position.S.FLAT
            assert life.book().contracts == 0
        assert scene.writes() == []


async def test_watch_changes_no_position_mode(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        given = still(account__mode="watch", account__position_mode="net")
        async with scene.life(given) as life:
            assert await life.ended() is Exit.CLIENT_FAILED
            assert "changes nothing" in life.one("STAGE_REFUSED")["reason"]
        assert scene.writes() == []


# guard


@LEGS
async def test_guard_protects_and_closes_and_never_enters(autojump_clock: MockClock, leg: LegKey) -> None:
    async with exchange() as scene:
        scene.trade(leg, "0.5")
        await scene.before_a_cross()
        given = eager(account__mode="guard", protection__max_holding_min=5, sizing__max_positions=5)
        async with scene.life(given) as life:
            await life.ready()
            assert scene.is_covered(leg)
            await trio.sleep(310 - trio.current_time())
            assert scene.held_of(leg) == 0
            for px in (HIGH, LOW, HIGH, LOW):
                await scene.close_minute(px)
            denied = life.lines("ENTRY_DENIED")
            assert denied
            assert all("the mode is guard" in line["because"] for line in denied)
            assert scene.orders(Made.ENTRY) == []


async def test_a_storm_of_crashes_leads_to_guard(autojump_clock: MockClock) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            for _ in range(3):
                async with scene.life(eager(), journal=journal) as life:
                    await life.ready()
                    assert life.names("STORM") == []
                    await life.crash()
            await scene.before_a_cross()
            async with scene.life(eager(strategy__sides="short"), journal=journal) as life:
                await life.ready()
                assert life.one("STORM")["level"] == "alarm"
                assert life.bot.conduct.value == "guard"
                assert scene.is_covered()
                assert scene.orders(Made.ENTRY) == []


async def test_three_crashes_far_apart_are_no_storm(autojump_clock: MockClock) -> None:
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            for _ in range(3):
                async with scene.life(journal=journal) as life:
                    await life.ready()
                    await life.crash()
                await trio.sleep(400)
            async with scene.life(journal=journal) as life:
                await life.ready()
                assert life.bot.conduct.value == "trade"


# Not exclusive: what is not ours is never changed.


async def test_a_humans_position_and_another_bots_stop_are_never_changed(autojump_clock: MockClock) -> None:
    given = eager(**SHARED)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            scene.trade(BTC_LONG, "0.5")
            others_stop(scene)
            answer = scene.rig.order("buy", "0.1", "50000", posSide="long", clOrdId="human1")
            assert answer["sCode"] == "0"
            before = state_of(scene)
            await scene.before_a_cross()
            for crashes in (True, False, True):
                async with scene.life(given, journal=journal) as life:
                    await life.ready()
                    assert life.slot().position.state is position.S.WATCHED
                    assert life.one("WATCHED")["level"] == "alarm"
                    for px in (HIGH, LOW, "60400", "59700", LOW, HIGH):
                        await scene.close_minute(px)
                    scene.lose(Name.PRIVATE)
                    await trio.sleep(300)
                    assert state_of(scene) == before
                    if crashes:
                        await life.crash()
            assert state_of(scene) == before
            assert scene.orders(Made.ENTRY) == scene.orders(Made.CLOSE) == []


async def test_what_a_human_opens_while_the_bot_runs_is_watched_too(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        async with scene.life(still(**SHARED)) as life:
            await life.ready()
            scene.trade(BTC_LONG, "0.5")
            await trio.sleep(130)
            assert life.slot().position.state is position.S.WATCHED
            assert life.book().contracts == Decimal("0.5")
            assert life.one("UNCOVERED")["leg"] == str(BTC_LONG)
            assert scene.stops() == []
            scene.trade(BTC_LONG, "0.2", closes=True)
            await trio.sleep(130)
            assert life.book().contracts == Decimal("0.3")
            scene.trade(BTC_LONG, "0.3", closes=True)
            await trio.sleep(130)
            assert life.slot().position.state is position.S.FLAT
            assert life.names("EXIT") == []


async def test_flatten_leaves_what_is_not_ours(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        others_stop(scene)
        before = state_of(scene)
        async with scene.life(still(**SHARED), flatten=True) as life:
            await life.ready()
            await life.stop()
            assert life.exit is Exit.CLEAN
        assert state_of(scene) == before


async def test_our_own_position_is_ours_after_a_restart_although_the_account_is_shared(
    autojump_clock: MockClock,
) -> None:
    given = eager(**SHARED)
    with open_journal(None, "sim", "sim-key") as journal:
        async with exchange() as scene:
            await scene.before_a_cross()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                await scene.cross()
                await life.entered()
                entered_ms = life.book().entered_ms
                await life.crash()
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                assert life.slot().position.state is position.S.OPEN
                assert life.book().entered_ms == entered_ms
                assert scene.is_covered()


async def test_a_tighter_stop_by_hand_stays(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager(**SHARED)) as life:
            await life.ready()
            await scene.cross()
            await life.entered()
            others_stop(scene, "60000", str(scene.held_of(BTC_LONG)))
            await scene.settle_mark("60500")
            await trio.sleep(130)
            assert [stop.client_id for stop in scene.stops() if stop.client_id == OTHERS_STOP] == [
                OTHERS_STOP
            ]


async def test_a_position_closed_by_hand_is_not_entered_again_before_the_cool_down(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager(strategy__cooldown_s=600, strategy__sides="long")) as life:
            await life.ready()
            await scene.cross()
            await life.entered()
            scene.trade(BTC_LONG, str(scene.held_of(BTC_LONG)), closes=True)
            await life.flat()
            assert life.one("EXIT")["cause"] == "closed by hand"
            await scene.close_minute(LOW)
            await scene.close_minute(HIGH)
            assert "cool-down" in life.one("ENTRY_DENIED")["because"]
            assert len(scene.orders(Made.ENTRY)) == 1


# Orders with our prefix that nobody here made.


def orphan(scene: Scene, generation: str = "oldold00") -> str:
    client_id = str(ClientId(generation, Made.ENTRY, 7))
    answer = scene.rig.order("buy", "0.1", "50000", posSide="long", clOrdId=client_id)
    assert answer["sCode"] == "0"
    return client_id


async def test_a_resting_order_of_an_earlier_life_is_cancelled_and_told(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        client_id = orphan(scene)
        async with scene.life(still(**SHARED)) as life:
            await life.ready()
            await trio.sleep(2)
            assert scene.rig.venue.orders() == ()
            told = life.lines("DRIFT_ORDER_ORPHAN")[0]
            assert (told["level"], told["order"]) == ("warning", client_id)


async def test_watch_tells_of_an_orphan_order_and_leaves_it(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        orphan(scene)
        async with scene.life(still(account__mode="watch")) as life:
            await life.ready()
            await trio.sleep(2)
            assert len(scene.rig.venue.orders()) == 1
            assert life.lines("DRIFT_ORDER_ORPHAN")
        assert scene.writes() == []


async def test_an_order_of_ours_that_this_life_did_not_make_is_a_twin_and_halts_entries(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene, scene.life() as life:
        await life.ready()
        orphan(scene, "twintwin")
        await trio.sleep(70)
        assert life.bot.permission.state.value == "halted"


# The whole life of one position, under both positions of every switch that matters to it.

SWITCHES = [
    {},
    {"attached_after": "each_fill"},
    {"attached_reduce_only": True},
    {"close_fraction_dies_with_position": False},
    {"instant_fill_skips_live": True},
    {"closed_position_row": False},
    {"oversized_reduce_only": "trim"},
    {"empty_snapshot": "empty"},
    {"close_with_pending_code": "51148"},
    {"unknown_algo_cancel_code": "51603"},
    {"duplicate_client_id_code": "50071"},
    {"protocol_ping_is_activity": True},
    {"rate_limit_status": 429},
]


@pytest.mark.parametrize("switches", SWITCHES, ids=lambda one: " ".join(map(str, one.values())) or "as it is")
@pytest.mark.parametrize(
    ("mode", "leg"),
    [("hedge", BTC_LONG), ("net", BTC_SHORT)],
    ids=["a long in hedge mode", "a short in net mode"],
)
async def test_one_position_from_entry_to_flat_under_each_switch(
    autojump_clock: MockClock, leg: LegKey, mode: str, switches: dict[str, object]
) -> None:
    spec = msgspec.structs.replace(HEDGED, pos_mode="long_short_mode" if mode == "hedge" else "net_mode")
    far, beyond = ("60700", "60200") if leg is BTC_LONG else ("59300", "59800")
    given = eager(account__position_mode=mode, protection__take_profit_fraction=Decimal(0))
    async with exchange(spec, switches=Switches(**switches)) as scene:  # type: ignore[arg-type]
        await scene.before_a_cross(leg.side)
        async with scene.life(given) as life:
            await life.ready()
            await scene.cross(leg.side)
            await life.entered(leg)
            assert scene.is_covered(leg)
            first = life.book(leg).resting
            for _ in range(25):
                scene.rig.price_now(far)
                await trio.sleep(1)
                assert scene.is_covered(leg)
            second = life.book(leg).resting
            assert first is not None
            assert second is not None
            assert (second - first) * leg.side.sign > 0
            for _ in range(25):
                scene.rig.price_now(beyond)
                await trio.sleep(1)
                if not scene.held_of(leg):
                    break
            await life.flat(leg)
            assert life.lines("EXIT")[0]["cause"] == "stop"
            await trio.sleep(2)
            assert scene.rig.venue.positions() == ()
            assert scene.stops() == []
            assert life.engine.desk.context.book.totals.uncovered_ms_max < 200
