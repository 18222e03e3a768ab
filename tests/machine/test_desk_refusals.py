"""Stories about a stop that the venue refuses: every answer has its own consequence."""

from __future__ import annotations

import msgspec
import pytest

from anchorwatch.io.okx.errors import TABLE
from anchorwatch.io.okx.refusals import CLOSES, STOPS, answer_to_stop
from anchorwatch.machine import permission, position, reconciliation, requests, world
from anchorwatch.machine.bot import Part, entry_obstacles
from anchorwatch.machine.protection import Refusal, StopRefused
from anchorwatch.machine.units import Side
from tests.machine.desk_rig import LONG, RULES, SHORT, DeskRig, of, px


def refused(rig: DeskRig, refusal: Refusal, code: str) -> requests.PlaceStop:
    """The stop that was asked for is refused."""
    stop = rig.only(requests.PlaceStop)
    rig.tell(of(Part.PROTECTION, stop.leg), StopRefused(stop.seq, refusal, f"stop: {code}", code))
    return stop


def test_every_listed_code_is_one_that_the_venue_is_known_to_send() -> None:
    for codes in (*STOPS.values(), *CLOSES.values()):
        for code in codes.split():
            assert code in TABLE, code
    assert (answer_to_stop("51280"), answer_to_stop("51088")) == (Refusal.BEYOND, Refusal.EXISTS)
    assert answer_to_stop("50011") is Refusal.RETRY


def test_a_stop_beyond_the_market_closes_at_once() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill()
    refused(rig, Refusal.BEYOND, "51280")
    assert rig.slot().position.state is position.S.CLOSING
    assert "EMERGENCY_CLOSE" in rig.announced()


def test_a_broken_rule_has_the_rules_read_and_the_stop_put_on_the_new_tick() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill()
    refused(rig, Refusal.RULES, "51000")
    assert rig.only(requests.ReloadRules).instrument == RULES.name
    grown = msgspec.structs.replace(RULES, tick_size=px(50))
    rig.say(world.RulesRead(RULES.name, grown))
    rig.pass_s(rig.pace.stop_retry_s)
    assert rig.only(requests.PlaceStop).trigger == px(59_600)  # 59 640 rounded away from the market


def test_rules_that_cannot_be_read_leave_the_old_ones() -> None:
    rig = DeskRig().booted()
    rig.say(world.RulesRead(RULES.name, None))
    assert rig.desk.context.book.instruments[RULES.name] == RULES


def test_a_venue_that_takes_no_stops_is_told_once_and_shuts_entries_everywhere() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill()
    for _ in range(10):
        refused(rig, Refusal.BARRED, "51030")
        rig.pass_s(rig.pace.stop_retry_s)
    assert rig.slot().position.state is position.S.OPEN
    assert rig.announced().count("STOP_BARRED") == 1
    refused(rig, Refusal.BARRED, "51030")
    assert any("takes none" in reason for reason in entry_obstacles(rig.bot, SHORT))
    rig.pass_s(rig.pace.stop_retry_s)
    rig.say(world.StopPushed(rig.stop(rig.only(requests.PlaceStop))))
    assert not any("takes none" in reason for reason in entry_obstacles(rig.bot, SHORT))
    assert rig.totals["uncovered_ms_total"] == 11_000


def test_a_position_that_the_venue_does_not_find_has_the_account_read() -> None:
    rig = DeskRig().booted()
    rig.enter_and_fill()
    refused(rig, Refusal.NO_POSITION, "51023")
    assert rig.bot.reconciliation.state is reconciliation.S.READING
    assert rig.only(reconciliation.ReadAccount)


@pytest.mark.parametrize(("apart_s", "state"), [(20, permission.S.HALTED), (70, permission.S.OPEN)])
def test_two_emergency_closes_with_one_code_in_a_minute_halt_entries(
    apart_s: int, state: permission.S
) -> None:
    rig = DeskRig().booted()
    for _ in range(2):
        rig.enter_and_fill()
        refused(rig, Refusal.BEYOND, "51280")
        close = rig.only(requests.PlaceOrder).ticket
        rig.say(world.OrderPushed(rig.filled(close, close.contracts, 60_000)))
        assert rig.slot().position.state is position.S.FLAT
        rig.pass_s(apart_s)
        rig.cross(Side.SHORT)
        for ticket in (order.ticket for order in rig.taken(requests.PlaceOrder)):
            rig.say(world.OrderPushed(rig.ended(ticket)))
    assert rig.bot.permission.state is state


def test_a_position_that_grows_while_it_is_closed_for_want_of_a_stop_is_one_emergency() -> None:
    """Its entry filled in two parts, and the market was beyond the stop's level when the first was to be covered."""
    rig = DeskRig().booted()
    ticket = rig.enter()
    half = ticket.contracts / 2
    rig.say(world.OrderPushed(rig.filled(ticket, half, 60_000)))
    refused(rig, Refusal.BEYOND, "51280")
    rig.pass_s(0.1)
    rig.say(world.OrderPushed(rig.filled(ticket, half, 60_000)))
    assert rig.slot().position.state is position.S.CLOSING
    assert rig.bot.permission.state is permission.S.OPEN


def test_what_the_histories_do_not_explain_is_told_and_asked_about_at_a_slower_pace() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    for _ in range(20):
        for _ in rig.taken(requests.ExplainAbsence):
            rig.say(world.AbsenceUnexplained(LONG))
        rig.pass_s(rig.pace.confirmation_retry_s)
    assert rig.slot().position.state is position.S.UNEXPLAINED
    assert rig.announced().count("UNEXPLAINED") == 1
    assert any("not flat" in reason for reason in entry_obstacles(rig.bot, SHORT))
    rig.taken(requests.ExplainAbsence)
    rig.pass_s(rig.pace.unexplained_retry_s * 2)
    assert len(rig.taken(requests.ExplainAbsence)) == 1
    rig.say(world.AbsenceExplained(LONG, "closed", px(-3), rig.now_ms))
    assert rig.slot().position.state is position.S.FLAT
    assert entry_obstacles(rig.bot, SHORT) == ()
