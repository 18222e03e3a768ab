"""Stories of exits at the desk: a part once, restarts included; losers and elders by the regime of their entry."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from anchorwatch.machine import position, requests, world
from anchorwatch.machine.desk import exits
from anchorwatch.machine.desk.exits import PARTIAL, settings_of
from anchorwatch.machine.facts import LegOpenedFact, PartialTakenFact
from anchorwatch.machine.parameters import ExitSettings, Patience, Protecting, Trading
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.units import Fraction, LegKey, PositionMode, Side, closing_deal
from tests.machine.desk_rig import BTC, ENTRY, LONG, DeskRig


def held(
    side: Side = Side.LONG, mode: PositionMode = PositionMode.HEDGE, exits_: ExitSettings | None = None
) -> DeskRig:
    """A covered position, under exits that take half at half a percent."""
    rig = DeskRig(wants=side, mode=mode).booted()
    rig.desk.context.exits[BTC] = settings_of(
        Trading(exits=exits_ or ExitSettings()), follows_regime=exits_ is not None
    )
    rig.covered()
    return rig


def at(side: Side, profit: str) -> Decimal:
    return ENTRY * (1 + side.sign * Decimal(profit))


@pytest.mark.parametrize("mode", PositionMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("side", Side, ids=lambda side: side.value)
def test_half_is_taken_once_and_the_rest_goes_on(side: Side, mode: PositionMode) -> None:
    rig = held(side, mode)
    leg = LegKey(BTC, side)
    rig.mark(at(side, "0.0049"))
    assert rig.taken(requests.PlaceOrder) == []
    rig.mark(at(side, "0.0051"))
    ticket = rig.only(requests.PlaceOrder).ticket
    assert (ticket.leg, ticket.deal, ticket.is_reduce_only) == (leg, closing_deal(side), True)
    assert ticket.contracts == Decimal("0.12")  # half of 0.25, down to the lot
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts, at(side, "0.0051"))))
    left = world.PositionReport(leg, Decimal("0.13"), ENTRY, rig.now_ms, rig.now_ms)
    for read in rig.taken(requests.ReadLeg):
        rig.say(world.LegRead(leg, (left,), read.asked_ms))
    assert rig.slot(leg).position.state is position.S.OPEN
    rig.mark(at(side, "0.006"))
    assert rig.taken(requests.PlaceOrder) == []
    assert rig.leg(leg).contracts == Decimal("0.13")


def test_what_was_taken_is_recorded_before_the_order_and_not_taken_again_by_the_next_life() -> None:
    rig = held()
    rig.journal_writes = False
    rig.mark(at(Side.LONG, "0.006"))
    facts = [fact for record in rig.taken(requests.Record) for fact in record.facts]
    (taken,) = [fact for fact in facts if isinstance(fact, PartialTakenFact)]
    assert (taken.reason, taken.contracts) == (PARTIAL, Decimal("0.12"))
    assert rig.taken(requests.PlaceOrder) == []
    again = held()
    again.leg().partials = {taken.reason: taken}  # as rehydration gives it back
    again.mark(at(Side.LONG, "0.006"))
    assert again.taken(requests.PlaceOrder) == []


def test_a_part_too_small_to_trade_is_not_taken() -> None:
    rig = held(exits_=None)
    own = msgspec.structs.replace(rig.desk.context.exits[BTC], partial_share=Fraction(Decimal("0.03")))
    rig.desk.context.exits[BTC] = own
    rig.mark(at(Side.LONG, "0.006"))
    assert rig.taken(requests.PlaceOrder) == []


@pytest.mark.parametrize(
    ("regime", "loser_s", "longest_s"),
    [(Regime.TRENDING, 420, 2_700), (Regime.RANGING, 600, 900), (Regime.CHOPPY, 180, 600), (None, 180, 600)],
)
def test_losers_and_elders_go_by_the_regime_of_the_entry(
    regime: Regime | None, loser_s: int, longest_s: int
) -> None:
    behind, causes = "-0.0045", []
    for after_s, profit in ((loser_s, behind), (longest_s, "0.001")):
        rig = held(exits_=ExitSettings())
        rig.leg().regime = regime
        entered_ms = rig.leg().entered_ms
        rig.now_ms = entered_ms + after_s * 1000 - 1
        rig.mark(at(Side.LONG, profit))
        assert rig.taken(requests.PlaceOrder) == []
        rig.now_ms += 1
        rig.say(world.ClockTicked())
        assert rig.only(requests.PlaceOrder).ticket.is_reduce_only
        causes.append(rig.leg().close_reason)
    assert causes == ["behind for too long", "held too long"]


def test_the_symbol_s_own_bound_is_the_longest_for_every_regime() -> None:
    trading = Trading(protecting=Protecting(max_holding_s=720))
    bounded = settings_of(trading, follows_regime=True)
    assert [bounded.patience(regime).max_holding_s for regime in (*Regime, None)] == [720, 720, 600, 600]
    plain = settings_of(trading, follows_regime=False)
    assert plain.patience(Regime.CHOPPY) == Patience(720, 0, Fraction(Decimal(0)))


def test_the_regime_of_the_entry_is_remembered_with_the_position() -> None:
    rig = DeskRig().booted()
    rig.journal_writes = False
    opened = [
        fact
        for record in _records_of_an_entry(rig)
        for fact in record.facts
        if isinstance(fact, LegOpenedFact)
    ]
    assert opened
    assert {fact.regime for fact in opened} == {""}  # this strategy follows none
    assert exits.of(rig.desk.context, BTC).plain is not None
    assert LONG.side is Side.LONG


def _records_of_an_entry(rig: DeskRig) -> list[requests.Record]:
    rig.journal_writes = True
    ticket = rig.enter()
    rig.journal_writes = False
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts, ENTRY)))
    return rig.taken(requests.Record)
