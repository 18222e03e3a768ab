"""Stories of the guards: what they see, what they ask for, in net and in hedge mode; and what the original's got wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from anchorwatch.machine import guards as g
from anchorwatch.machine import lifecycle, order, position, requests, world
from anchorwatch.machine.bot import LIFECYCLE
from anchorwatch.machine.guards import LIQUIDATION, SLIPPAGE, Guarding, Room, room_class, room_left
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.lifecycle import StopStep
from anchorwatch.machine.parameters import Making
from anchorwatch.machine.regime import Regime, RegimeState
from anchorwatch.machine.units import LegKey, OrderKind, PositionMode, Side, closing_deal
from anchorwatch.machine.world import OrderState
from tests.machine.desk_rig import BTC, ENTRY, LONG, SHORT, DeskRig

MODES = pytest.mark.parametrize("mode", PositionMode, ids=lambda mode: mode.value)
SIDES = pytest.mark.parametrize("side", Side, ids=lambda side: side.value)


def held(side: Side, mode: PositionMode, liquidation: int, ratio: str | None = None) -> DeskRig:
    """A covered position of ours whose liquidation price the venue has told."""
    rig = DeskRig(wants=side, mode=mode).booted()
    rig.covered()
    leg = LegKey(BTC, side)
    report = world.PositionReport(
        leg, rig.leg(leg).contracts, ENTRY, rig.now_ms, rig.now_ms,
        liquidation=Decimal(liquidation), margin_ratio=Decimal(ratio) if ratio else None,
    )  # fmt: skip
    rig.say(world.PositionPushed(report))
    rig.asked.clear()
    return rig


def lines(rig: DeskRig, name: str) -> list[str]:
    return [line.level for line in rig.taken(requests.Announce) if line.name == name]


@pytest.mark.parametrize(
    ("left", "ratio", "room"),
    [
        ("0.36", None, Room.AMPLE),
        ("0.35", None, Room.SHRUNK),
        ("0.25", None, Room.SCARCE),
        ("0.15", None, Room.GONE),
        ("-0.1", None, Room.GONE),
        ("0.9", "3.1", Room.AMPLE),
        ("0.9", "2.0", Room.SCARCE),
        ("0.2", "50", Room.SCARCE),
        (None, "1.5", Room.GONE),
        (None, None, Room.AMPLE),
    ],
)
def test_the_worse_of_the_way_that_is_left_and_the_margin_ratio_counts(
    left: str | None, ratio: str | None, room: Room
) -> None:
    way = Decimal(left) if left is not None else None
    assert room_class(way, Decimal(ratio) if ratio is not None else None, Guarding()) is room


def test_the_way_is_whole_at_the_entry_and_used_up_at_the_liquidation() -> None:
    assert room_left(Side.LONG, Decimal(100), Decimal(100), Decimal(80)) == 1
    assert room_left(Side.LONG, Decimal(100), Decimal(85), Decimal(80)) == Decimal("0.25")
    assert room_left(Side.SHORT, Decimal(100), Decimal(115), Decimal(120)) == Decimal("0.25")
    assert room_left(Side.LONG, Decimal(100), Decimal(100), Decimal(130)) is None
    assert room_left(Side.LONG, Decimal(100), Decimal(100), None) is None


@MODES
@SIDES
def test_each_mark_is_judged_and_the_close_is_reduce_only_and_of_the_right_leg(
    mode: PositionMode, side: Side
) -> None:
    """The original's closed without reduce-only, and in hedge mode opened the opposite leg."""
    way = 10_000
    rig = held(side, mode, int(ENTRY) - side.sign * way)
    told = []
    for left in ("0.36", "0.34", "0.24"):
        rig.mark(ENTRY - side.sign * way * (1 - Decimal(left)))
        told.append(lines(rig, "LIQUIDATION_NEAR"))
        assert rig.taken(requests.PlaceOrder) == []
    assert told == [[], ["warning"], ["alarm"]]
    rig.mark(ENTRY - side.sign * way * Decimal("0.86"))
    ticket = rig.only(requests.PlaceOrder).ticket
    leg = LegKey(BTC, side)
    assert (ticket.leg, ticket.role, ticket.deal) == (leg, order.Role.CLOSE, closing_deal(side))
    assert ticket.is_reduce_only
    assert ticket.contracts == rig.leg(leg).contracts
    other = LONG if leg == SHORT else SHORT
    assert rig.slot(other).position.state is position.S.FLAT
    rig.mark(ENTRY - side.sign * way * Decimal("0.9"))
    assert rig.taken(requests.PlaceOrder) == []  # one closer, one close


def test_in_danger_its_symbol_takes_no_further_entry_until_there_is_room_again() -> None:
    rig = held(Side.LONG, PositionMode.HEDGE, 50_000)
    rig.mark(52_000)
    assert (BTC, "room to liquidation") in rig.bot.missing
    rig.mark(ENTRY)
    assert not rig.bot.missing


def test_a_stranger_s_position_is_told_of_and_never_closed() -> None:
    rig = DeskRig(is_exclusive=False).booted()
    theirs = world.PositionReport(
        LONG, Decimal(5), ENTRY, rig.now_ms, rig.now_ms, liquidation=Decimal(50_000)
    )
    rig.reconcile(rig.reading(theirs))
    assert rig.slot().position.state is position.S.WATCHED
    rig.asked.clear()
    rig.mark(50_100)
    assert lines(rig, "LIQUIDATION_NEAR") == ["alarm"]
    rig.mark(49_900)
    assert rig.desk.context.liquidation_of(LONG).state is g.L.DANGER
    assert rig.taken(requests.PlaceOrder) == []


def test_the_guards_begin_with_safety_and_end_with_the_stop() -> None:
    rig = DeskRig()
    rig.tell(LIFECYCLE, lifecycle.StartRequested())
    while rig.bot.lifecycle.state is not lifecycle.S.WS:
        rig.answer_start()
    assert rig.desk.context.slippage_of(BTC).state is g.G.OFF
    rig = held(Side.LONG, PositionMode.HEDGE, 50_000)
    assert rig.desk.context.liquidation_of(LONG).state is g.L.CALM
    rig.tell(LIFECYCLE, lifecycle.StopRequested("SIGTERM"))
    while rig.answer_start():
        pass
    assert rig.bot.lifecycle.data.step is StopStep.SAFETY
    assert rig.desk.context.liquidation_of(LONG).state is g.L.OFF
    assert rig.desk.context.slippage_of(BTC).state is g.G.OFF
    rig.mark(50_100)
    assert lines(rig, "LIQUIDATION_NEAR") == []


# Slippage.


def quote(rig: DeskRig, bid: str, ask: str) -> None:
    rig.say(world.QuoteMoved(BTC, Decimal(bid), Decimal(ask), rig.now_ms))


def test_a_wide_spread_shuts_entries_and_a_narrow_one_opens_them() -> None:
    """The original's slippage guard could never fire."""
    rig = DeskRig().booted()
    quote(rig, "60000", "60031")
    assert (BTC, "spread within limits") in rig.bot.missing
    rig.cross(Side.LONG)
    assert rig.taken(requests.PlaceOrder) == []
    quote(rig, "60000", "60030")
    assert not rig.bot.missing


@pytest.mark.parametrize("kind", [OrderKind.MARKET, OrderKind.POST_ONLY])
@SIDES
def test_an_entry_that_was_planned_and_not_written_yet_is_kept_from_the_wire(
    side: Side, kind: OrderKind
) -> None:
    leg = LegKey(BTC, side)
    rig = DeskRig(wants=side, making=Making(kind)).booted()
    rig.journal_writes = False
    rig.cross(side)
    assert rig.slot(leg).entry.state is order.S.PLANNED
    quote(rig, "60000", "60100")
    assert rig.slot(leg).entry.state is order.S.WITHDRAWN
    assert rig.taken(requests.PlaceOrder) == []


BY_REGIME = [
    (Regime.TRENDING, Guarding().spread_trending, Guarding().drift_trending),
    (Regime.RANGING, Guarding().spread_ranging, Guarding().drift_ranging),
    (Regime.CHOPPY, Guarding().spread_choppy, Guarding().drift_choppy),
    (None, Guarding().spread_ranging, Guarding().drift_ranging),
]


@pytest.mark.parametrize(("regime", "spread", "drift"), BY_REGIME)
def test_how_wide_and_how_far_is_too_much_depends_on_the_regime(
    regime: Regime | None, spread: Decimal, drift: Decimal
) -> None:
    rig = DeskRig(making=Making(OrderKind.POST_ONLY)).booted()
    market = rig.desk.context.charts[BTC].market
    market.regime = RegimeState(regime, 0, 0) if regime is not None else None
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.ended(ticket, OrderState.LIVE)))
    within, beyond = Decimal("0.98"), Decimal("1.02")
    rig.say(world.MarkMoved(BTC, ENTRY * (1 + drift * within), rig.now_ms))
    assert rig.taken(requests.CancelOrder) == []
    rig.say(world.MarkMoved(BTC, ENTRY * (1 + drift * beyond), rig.now_ms))
    assert rig.only(requests.CancelOrder).ticket.client_id == ticket.client_id
    quote(rig, "60000", str(60_000 * (1 + spread * within)))
    assert (BTC, "spread within limits") not in rig.bot.missing
    quote(rig, "60000", str(60_000 * (1 + spread * beyond)))
    assert (BTC, "spread within limits") in rig.bot.missing


@SIDES
def test_a_resting_entry_whose_price_has_run_away_is_given_up_and_the_way_back_is_not(side: Side) -> None:
    rig = DeskRig(wants=side, making=Making(OrderKind.POST_ONLY)).booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.ended(ticket, OrderState.LIVE)))
    rig.mark(ENTRY * (1 - side.sign * Decimal("0.002")))
    assert rig.taken(requests.CancelOrder) == []
    rig.say(world.MarkMoved(BTC, ENTRY * (1 + side.sign * Decimal("0.0011")), rig.now_ms))
    assert rig.only(requests.CancelOrder).ticket.client_id == ticket.client_id


@pytest.mark.parametrize("definition", [LIQUIDATION, SLIPPAGE], ids=lambda one: one.name)
def test_always_an_off_guard_asks_for_nothing_and_every_state_is_reached(definition: object) -> None:
    assert definition in (LIQUIDATION, SLIPPAGE)
    machine = LIQUIDATION if definition is LIQUIDATION else SLIPPAGE
    events: list[Event] = [g.GuardStarted(), g.GuardStopped(), *(room.event for room in Room), g.LegOver()]
    if machine is SLIPPAGE:
        events = [*events[:2], g.SpreadNarrow(), g.SpreadWide(), g.EntryDrifted(Side.LONG)]
    seen, frontier = {machine.initial}, [machine.initial]
    closes: list[Effect] = []
    while frontier:
        before = frontier.pop()
        for event in events:
            after, effects = machine.step(before, event)
            if before.state.value == "off":
                assert effects == ()
            closes += [one for one in effects if isinstance(one, g.CloseForRoom)]
            if after not in seen:
                seen.add(after)
                frontier.append(after)
    assert {snapshot.state for snapshot in seen} == set(type(machine.initial.state))
    assert bool(closes) is (machine is LIQUIDATION)
