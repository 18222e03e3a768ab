"""REST when the venue is not well: maintenance, a clock that was set, and every kind of answer that is none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.venue.faults import FaultKind, Maintenance
from anchorwatch.machine import order
from anchorwatch.machine.ids import Made
from anchorwatch.machine.lifecycle import Exit
from tests.mission.rig import BTC_LONG, BTC_SHORT, Scene, eager, exchange, still
from tests.mission.test_maker_entries import maker, rested, resting

STEADY = {"protection__take_profit_fraction": Decimal(0), "protection__max_holding_min": 0}


def maintained(scene: Scene, for_s: int, *, pre_open_s: int | None = None) -> None:
    """The venue's trading is under maintenance from now on, for so long."""
    now_ms, faults = scene.seams.wall_ms(), scene.rig.venue.faults
    one = Maintenance(
        begin_ms=now_ms,
        end_ms=now_ms + for_s * 1_000,
        pre_open_ms=None if pre_open_s is None else now_ms + pre_open_s * 1_000,
    )
    faults.faults = msgspec.structs.replace(faults.faults, maintenance=(one,))


async def test_under_maintenance_nothing_is_entered_stops_rest_and_afterwards_it_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_SHORT, "0.5")
        await scene.before_a_cross()
        async with scene.life(eager(strategy__sides="long", **STEADY)) as life:
            await life.ready()
            maintained(scene, 200)
            await trio.sleep(61)
            assert [line["level"] for line in life.lines("MAINTENANCE")] == ["alarm"]
            await scene.cross()
            assert scene.orders(Made.ENTRY) == []
            assert "venue open" in str(life.lines("ENTRY_DENIED")) or not life.lines("ENTRY")
            assert scene.is_covered(BTC_SHORT)
            await life.until(lambda: bool(life.lines("MAINTENANCE_OVER")))
            assert life.bot.missing == ()


async def test_an_announced_maintenance_ends_entries_five_minutes_ahead_and_is_told_at_once(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__rest_s=600, strategy__sides="long")) as life:
            await life.ready()
            await rested(scene, life)
            begin_ms = scene.rig.venue.now_ms() + 400_000
            scene.rig.venue.announce_maintenance(Maintenance(begin_ms=begin_ms, end_ms=begin_ms + 60_000))
            await trio.sleep(6)
            assert [line["begins_in_min"] for line in life.lines("MAINTENANCE_AHEAD")] == ["6"]
            assert resting(scene), "it is too early to give anything up"
            await trio.sleep(100)
            assert [line["level"] for line in life.lines("MAINTENANCE_NEAR")] == ["alarm"]
            assert not resting(scene), "taken back while the venue still takes it back"
            assert ("", "venue open") in life.bot.missing
            await trio.sleep(300)
            assert life.lines("MAINTENANCE")
            await trio.sleep(61)
            assert life.lines("MAINTENANCE_OVER")
            assert ("", "venue open") not in life.bot.missing


async def test_a_maintenance_that_is_called_off_opens_entries_again(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        async with scene.life(still()) as life:
            await life.ready()
            venue = scene.rig.venue
            begin_ms = venue.now_ms() + 200_000
            venue.announce_maintenance(Maintenance(begin_ms=begin_ms, end_ms=begin_ms + 60_000))
            await life.until(lambda: bool(life.lines("MAINTENANCE_NEAR")), within_s=10)
            venue.faults.faults = msgspec.structs.replace(venue.faults.faults, maintenance=())
            await life.until(lambda: bool(life.lines("MAINTENANCE_CALLED_OFF")), within_s=70)
            assert life.bot.missing == ()


async def test_that_maintenance_has_begun_is_known_by_the_clock_when_the_venue_is_silent(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        async with scene.life(still()) as life:
            await life.ready()
            venue = scene.rig.venue
            begin_ms = venue.now_ms() + 310_000
            venue.announce_maintenance(Maintenance(begin_ms=begin_ms, end_ms=begin_ms + 600_000))
            await life.until(lambda: bool(life.lines("MAINTENANCE_AHEAD")), within_s=10)
            scene.fault("html_error", "system/status", times=0)
            scene.fault("drop_push", "status", times=0)
            await trio.sleep(20)
            assert life.lines("MAINTENANCE_NEAR")
            await trio.sleep(300)
            assert life.lines("MAINTENANCE")


async def test_a_resting_entry_is_asked_back_when_maintenance_begins(autojump_clock: MockClock) -> None:
    """Its cancel is refused until the pre-open phase; it is asked for until it is through."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__rest_s=600)) as life:
            await life.ready()
            await rested(scene, life)
            maintained(scene, 300, pre_open_s=90)
            await life.until(lambda: not resting(scene), within_s=200)
            await life.until(lambda: life.slot().entry.state is order.S.CANCELLED)


async def test_an_entry_that_meets_maintenance_is_in_doubt_and_then_absent(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(eager()) as life:
            await life.ready()
            await trio.sleep(59.5 - trio.current_time() % 60)
            maintained(scene, 30)
            await scene.cross()
            await trio.sleep(20)
            assert "IN_DOUBT" in life.states("order")
            assert life.slot().entry.state in order.FREE
            assert scene.orders(Made.ENTRY) == []


async def test_a_clock_that_jumps_is_noticed_followed_and_entries_wait_for_a_second_look(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(still(**STEADY)) as life:
            await life.ready()
            until_ms = scene.seams.wall_ms() + 60_000
            scene.fault("clock_skew", "public/time", times=0, delay_ms=60_000, until_ms=until_ms)
            await life.until(lambda: bool(life.lines("CLOCK_JUMPED")))
            await trio.sleep(180)
            jumps = [int(line["ms"]) for line in life.lines("CLOCK_JUMPED")]
            assert [jump > 0 for jump in jumps] == [True, False]  # there and back
            assert not {scope for scope, _ in life.bot.missing} & {""}
            assert scene.is_covered()


NO_ANSWERS: list[tuple[FaultKind, dict[str, Any]]] = [
    ("html_error", {"status": 502}),
    ("html_error", {"status": 503}),
    ("truncated_answer", {}),
    ("reject_then_timeout", {}),
    ("reject_with_code", {"code": "50001"}),
    ("reject_with_code", {"code": "50013"}),
    ("reject_with_code", {"code": "50011"}),
    ("reject_with_code", {"code": "50026"}),
]


@pytest.mark.parametrize(
    ("kind", "more"),
    NO_ANSWERS,
    ids=[f"{kind} {' '.join(map(str, more.values()))}" for kind, more in NO_ANSWERS],
)
async def test_a_minute_without_answers_costs_nothing_that_is_open(
    autojump_clock: MockClock, kind: FaultKind, more: dict[str, Any]
) -> None:
    async with exchange() as scene:
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(still(**STEADY)) as life:
            await life.ready()
            [stop] = scene.stops()
            until_ms = scene.seams.wall_ms() + 60_000
            scene.fault(kind, times=0, until_ms=until_ms, **more)
            await trio.sleep(90)
            assert scene.stops() == [stop]
            assert scene.held_of(BTC_LONG) == life.book().contracts == Decimal("0.5")
            assert await life.stop() is Exit.CLEAN
