"""Entries that rest as makers: what can go wrong with an order that waits, and with the amendment of one.

P3 and P4 (sent twice, unknown taken for dead), P5 (a cancelled entry had filled), P19 (modified while the connection
was lost, and then there were two) and P20 (buffered in an outage, sent minutes later), for orders that rest.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import open_journal
from anchorwatch.io.settings import Settings
from anchorwatch.io.simulation.network import HostFault
from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.faults import FaultKind
from anchorwatch.io.venue.orders import Order
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine import order, permission, position, protection
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Told
from anchorwatch.machine.ids import Made
from anchorwatch.machine.units import LegKey, Side
from tests.io.engine_rig import FAKE_HOST
from tests.mission.rig import BTC_LONG, BTC_SHORT, OneLife, Scene, eager, exchange
from tests.venue.rig import HEDGED

LEGS = pytest.mark.parametrize("leg", [BTC_LONG, BTC_SHORT], ids=str)
TOUCH = Switches(resting_fill="touch")


def maker(**more: object) -> Settings:
    """An eager strategy whose entries rest, for as long as a story may need."""
    return eager(**{"entry__order_kind": "post_only", "entry__rest_s": 40, **more})


def resting(scene: Scene) -> list[Order]:
    """The entries of ours that the exchange holds."""
    account = scene.rig.venue.accounts["main"]
    ours = {one.order_id for one in scene.orders(Made.ENTRY)}
    return [one for one in account.pending.values() if one.order_id in ours]


async def rested(scene: Scene, life: OneLife, leg: LegKey = BTC_LONG) -> Order:
    """The strategy has wanted an entry, and it rests."""
    await scene.cross(leg.side)
    await life.until(lambda: life.slot(leg).entry.state is order.S.LIVE)
    [one] = resting(scene)
    assert one.kind == "post_only"
    return one


def away(px: Decimal | None, leg: LegKey, by: str) -> str:
    """A price that leaves the order behind."""
    assert px is not None
    return str(px + leg.side.sign * Decimal(by))


def through(px: Decimal | None, leg: LegKey) -> str:
    """A price at which the market has traded through the order."""
    return away(px, leg, "-20")


@LEGS
async def test_an_entry_rests_fills_as_a_maker_and_is_covered_at_once(
    autojump_clock: MockClock, leg: LegKey
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross(leg.side)
        async with scene.life(maker()) as life:
            await life.ready()
            one = await rested(scene, life, leg)
            scene.rig.price_now(through(one.px, leg))
            await life.entered(leg)
            assert scene.is_covered(leg)
            assert life.book(leg).account.average_price == one.px
            told_late_ms = scene.rig.venue.switches.push_delay_ms
            within_ms = told_late_ms + 5  # two round trips of 2 ms each, and the clock's rounding
            assert life.engine.desk.context.book.totals.uncovered_ms_max <= within_ms


@LEGS
async def test_an_entry_follows_the_quote_in_place(autojump_clock: MockClock, leg: LegKey) -> None:
    async with exchange() as scene:
        await scene.before_a_cross(leg.side)
        async with scene.life(maker(entry__reprices_max=3)) as life:
            await life.ready()
            one = await rested(scene, life, leg)
            first = one.px
            for _ in range(12):
                scene.rig.price_now(away(one.px, leg, "2"))
                await trio.sleep(1)
            assert scene.writes().count("trade/amend-order") == 3
            assert resting(scene) == [one]
            assert one.px is not None
            assert first is not None
            assert (one.px - first) * leg.side.sign > 0
            assert scene.writes().count("trade/order") == 1


async def test_the_countdown_runs_at_the_exchange_before_the_first_entry_that_rests(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            scene.fault("slow_answer", "trade/cancel-all-after", delay_ms=2_000)
            await scene.cross()
            await trio.sleep(0.2)
            assert scene.orders(Made.ENTRY) == [], "its answer is still under way"
            await life.until(lambda: life.slot().entry.state is order.S.LIVE)
            [placed] = resting(scene)
            begun = [one for one in scene.rig.venue.log if one.detail.startswith("trade/cancel-all-after")]
            assert begun[0].at_ms <= placed.created_ms - 2_000


@pytest.mark.parametrize("kind", ["reject_with_code", "accept_then_timeout", "reject_then_timeout"])
async def test_without_the_countdown_no_entry_rests_and_the_next_one_does(
    autojump_clock: MockClock, kind: FaultKind
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            scene.fault(kind, "trade/cancel-all-after", times=0)
            await scene.cross()
            await trio.sleep(8)
            assert scene.orders(Made.ENTRY) == []
            assert life.slot().entry.state is order.S.WITHDRAWN
            assert life.lines("DEAD_MAN_FAILING")
            scene.heal()
            await rested(scene, life, BTC_SHORT)


async def test_an_entry_that_nobody_fills_is_taken_back_when_its_time_is_over(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__rest_s=10)) as life:
            await life.ready()
            one = await rested(scene, life)
            await trio.sleep(8)
            assert resting(scene) == [one]
            await trio.sleep(3)
            assert resting(scene) == []
            assert life.slot().position.state is position.S.FLAT


async def test_what_was_not_filled_crosses_where_the_settings_say_so(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__rest_s=10, entry__unfilled="cross")) as life:
            await life.ready()
            one = await rested(scene, life)
            await life.entered()
            assert [made.kind for made in scene.orders(Made.ENTRY)] == ["post_only", "ioc"]
            assert one.state == "canceled"
            assert scene.is_covered()


async def test_the_rest_of_a_partial_fill_crosses_and_one_stop_covers_all_of_it(
    autojump_clock: MockClock,
) -> None:
    async with exchange(switches=TOUCH) as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__rest_s=10, entry__unfilled="cross")) as life:
            await life.ready()
            one = await rested(scene, life)
            scene.rig.price_now(str(one.px))
            await life.covered()
            assert 0 < scene.held_of(BTC_LONG) < one.contracts
            await life.until(lambda: scene.held_of(BTC_LONG) == one.contracts)
            await trio.sleep(2)
            assert [made.kind for made in scene.orders(Made.ENTRY)] == ["post_only", "ioc"]
            assert life.book().contracts == one.contracts
            assert scene.is_covered()


async def test_a_post_only_order_that_would_take_is_made_again_behind_the_market(
    autojump_clock: MockClock,
) -> None:
    """While the order is on its way the market falls below its price."""
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            scene.fault("late_processing", "trade/order", delay_ms=400)
            scene.rig.price_now("60100")
            await trio.sleep(60 - trio.current_time() % 60 + 0.1)
            scene.rig.price_now("60100")
            await life.until(lambda: life.slot().entry.state is order.S.SENT, looking_every_s=0.01)
            scene.rig.price_now("60050")
            await life.until(lambda: bool(resting(scene)))
            made = scene.orders(Made.ENTRY)
            assert [one.cancel_source for one in made] == ["31", ""]
            [one] = resting(scene)
            assert one.px is not None
            assert one.px <= Decimal("60050")


# P3, P4, P19: answers that are lost.

LOST: list[FaultKind] = [
    "accept_then_timeout",
    "reject_then_timeout",
    "accept_then_code",
    "accept_then_html",
    "truncated_answer",
]


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("hears", [True, False], ids=["pushes come", "pushes are lost"])
async def test_p19_an_amendment_whose_answer_is_lost_leaves_one_order(
    autojump_clock: MockClock, kind: FaultKind, hears: bool
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            one = await rested(scene, life)
            scene.fault(kind, "trade/amend-order", times=2)
            if not hears:
                scene.deaf(10)
            for _ in range(20):
                scene.rig.price_now(away(one.px, BTC_LONG, "2"))
                await trio.sleep(1)
                assert len(resting(scene)) <= 1
            assert scene.writes().count("trade/amend-order") >= 2
            assert scene.writes().count("trade/order") == 1
            scene.rig.price_now(through(one.px, BTC_LONG))
            await life.entered()
            assert scene.is_covered()
            assert scene.held_of(BTC_LONG) == life.book().contracts


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("hears", [True, False], ids=["pushes come", "pushes are lost"])
async def test_p3_and_p4_a_resting_entry_whose_answer_is_lost_is_found_and_never_sent_twice(
    autojump_clock: MockClock, kind: FaultKind, hears: bool
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__rest_s=10)) as life:
            await life.ready()
            scene.fault(kind, "trade/order")
            if not hears:
                scene.deaf(5)
            await scene.cross()
            await trio.sleep(30)
            assert len(scene.orders(Made.ENTRY)) == scene.writes().count("trade/order") <= 1
            assert resting(scene) == []
            assert life.slot().entry.state in order.FREE


@pytest.mark.parametrize("kind", [*LOST, "amend_fail_late", "late_amendment"])
async def test_p5_an_entry_that_fills_while_it_is_amended_is_booked_once_and_covered(
    autojump_clock: MockClock, kind: FaultKind
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            one = await rested(scene, life)
            scene.fault(kind, "" if "amend" in kind else "trade/amend-order", delay_ms=1_000)
            scene.rig.price_now(away(one.px, BTC_LONG, "2"))
            await life.until(lambda: "AMENDING" in life.states("order"), looking_every_s=0.01)
            scene.rig.price_now(through(one.px, BTC_LONG))
            await life.entered()
            assert life.book().contracts == scene.held_of(BTC_LONG) == one.contracts
            assert scene.is_covered()


# P5: the cancel comes too late, or is lost.


async def test_p5_a_resting_entry_that_fills_before_its_cancel_arrives_is_protected(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__rest_s=10)) as life:
            await life.ready()
            one = await rested(scene, life)
            scene.deaf(6)
            scene.fault("late_processing", "trade/cancel-order", delay_ms=1_000)
            await life.until(lambda: life.slot().entry.state is order.S.CANCELLING, looking_every_s=0.01)
            scene.rig.price_now(through(one.px, BTC_LONG))
            await life.entered()
            assert scene.is_covered()
            assert life.engine.desk.context.book.totals.uncovered_ms_max <= 5_000


@pytest.mark.parametrize("kind", ["reject_then_timeout", "reject_with_code", "html_error"])
async def test_p5_a_cancel_that_never_arrived_is_sent_again(
    autojump_clock: MockClock, kind: FaultKind
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(entry__rest_s=10)) as life:
            await life.ready()
            await rested(scene, life)
            if kind == "reject_then_timeout":
                scene.unjudged = "a second cancel is asked for while the first is waited for, and a leg of the check has one"
            scene.fault(kind, "trade/cancel-order", times=3)
            await trio.sleep(45)
            assert resting(scene) == []
            assert scene.writes().count("trade/cancel-order") in (1, 4)  # what is refused is not processed
            assert life.slot().entry.state is order.S.CANCELLED


# P20, and whatever else shuts entries.


@pytest.mark.parametrize("name", list(Name))
async def test_p20_a_resting_entry_is_taken_back_when_a_stream_is_lost(
    autojump_clock: MockClock, name: Name
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            await rested(scene, life)
            scene.lose(name)
            await trio.sleep(1)
            assert resting(scene) == []


async def test_p20_nothing_is_repriced_or_placed_after_an_outage_that_was_meant_before_it(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker(strategy__sides="long")) as life:
            await life.ready()
            one = await rested(scene, life)
            px, network = one.px, scene.network
            assert network is not None
            network.break_host(FAKE_HOST, HostFault.BLACK_HOLE)
            for connection in network.connections():
                connection.half_open()
            for _ in range(60):
                scene.rig.price_now(away(px, BTC_LONG, "5"))
                await trio.sleep(1)
            network.mend_host(FAKE_HOST)
            await life.delivers(*Name)
            await trio.sleep(10)
            assert resting(scene) == []
            assert one.px == px
            assert len(scene.orders(Made.ENTRY)) == 1


async def test_a_pause_takes_the_resting_entry_back_and_resuming_does_not_send_it_again(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            await rested(scene, life)
            life.engine.mailbox.put(Told(PERMISSION, permission.PauseRequested("a person looks")))
            await trio.sleep(0.5)
            assert resting(scene) == []
            life.engine.mailbox.put(Told(PERMISSION, permission.ResumeRequested()))
            await trio.sleep(30)
            assert len(scene.orders(Made.ENTRY)) == 1


async def test_the_stop_leaves_no_resting_entry(autojump_clock: MockClock) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        async with scene.life(maker()) as life:
            await life.ready()
            await rested(scene, life)
            await life.stop()
            assert resting(scene) == []
            assert life.slot().entry.state is order.S.CANCELLED


async def test_a_resting_entry_of_a_life_that_crashed_is_taken_back_by_the_next(
    autojump_clock: MockClock,
) -> None:
    async with exchange() as scene:
        await scene.before_a_cross()
        with open_journal(None, "sim", "sim-key") as journal:
            async with scene.life(maker(), journal=journal) as life:
                await life.ready()
                await rested(scene, life)
                await life.crash()
            assert len(resting(scene)) == 1
            async with scene.life(maker(), journal=journal) as life:
                await life.ready()
                await trio.sleep(2)
                assert resting(scene) == []


# Fills in parts, told twice or out of their order.


@pytest.mark.parametrize("kind", ["duplicate_push", "reorder_push", "delay_push"])
@LEGS
async def test_fills_in_parts_are_booked_once_whatever_the_order_of_their_pushes(
    autojump_clock: MockClock, kind: FaultKind, leg: LegKey
) -> None:
    async with exchange(switches=TOUCH) as scene:
        await scene.before_a_cross(leg.side)
        async with scene.life(maker()) as life:
            await life.ready()
            one = await rested(scene, life, leg)
            scene.fault(kind, "orders", times=0, delay_ms=300)
            for _ in range(6):
                scene.rig.price_now(str(one.px))
                await trio.sleep(0.5)
            scene.rig.price_now(through(one.px, leg))
            await life.until(lambda: life.slot(leg).entry.state is order.S.FILLED)
            await life.covered(leg)
            await trio.sleep(2)
            assert life.book(leg).contracts == scene.held_of(leg) == one.contracts
            assert life.book(leg).account.average_price == one.avg_px
            assert scene.is_covered(leg)
            assert scene.held_of(LegKey(leg.instrument, other(leg.side))) == 0


def other(side: Side) -> Side:
    return Side.SHORT if side is Side.LONG else Side.LONG


# The whole life of a position that was entered in parts, under both positions of every switch that matters to it.

SWITCHES = [
    {},
    {"attached_after": "each_fill"},
    {"attached_reduce_only": True},
    {"close_fraction_dies_with_position": False},
    {"post_only_shows_live": True},
    {"cancel_all_after_takes_algos": True},
    {"cancel_all_after_time_unit": "ms"},
    {"off_tick_price": "round"},
    {"duplicate_client_id_code": "50071"},
    {"push_delay_ms": 20},
    {"rate_limit_status": 429},
]


@pytest.mark.parametrize("switches", SWITCHES, ids=lambda one: " ".join(map(str, one.items())) or "as it is")
@pytest.mark.parametrize("mode", ["hedge", "net"])
async def test_a_position_entered_in_parts_is_covered_by_one_stop_and_closed_whole(
    autojump_clock: MockClock, mode: str, switches: dict[str, object]
) -> None:
    spec = HEDGED if mode == "hedge" else AccountSpec()
    behaviour = msgspec.convert({"resting_fill": "touch", **switches}, Switches)
    async with exchange(spec, switches=behaviour) as scene:
        await scene.before_a_cross()
        async with scene.life(maker(account__position_mode=mode)) as life:
            await life.ready()
            one = await rested(scene, life)
            while one.is_pending:
                scene.rig.price_now(str(one.px))
                await trio.sleep(0.2)
                if scene.held_of(BTC_LONG):
                    assert life.slot().protection.state is protection.S.COVERED
            await life.entered()
            assert life.engine.desk.context.book.totals.fills > 1
            await trio.sleep(2)
            assert scene.is_covered()
            assert life.book().contracts == scene.held_of(BTC_LONG) == one.contracts
            await scene.cross(Side.SHORT)
            await life.until(lambda: not scene.held_of(BTC_LONG))
            await trio.sleep(2)
            assert scene.stops_of(BTC_LONG) == []
