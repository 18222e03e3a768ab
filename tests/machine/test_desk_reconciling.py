"""Stories about what the venue shows and the desk believes: drifts, adoption, absence and its cause (R2, R3, R5)."""

from __future__ import annotations

import msgspec
import pytest

from anchorwatch.machine import lifecycle, order, position, protection, reconciliation, requests, world
from anchorwatch.machine.bot import LIFECYCLE, RECONCILIATION, Part, entry_obstacles
from anchorwatch.machine.facts import Facts, LegFacts, LegOpenedFact
from anchorwatch.machine.units import Deal, LegKey, PositionMode, Side
from anchorwatch.machine.world import StopState
from tests.machine.desk_rig import ENTRY, LONG, SHORT, START_MS, DeskRig, of, px

THREE_HOURS_AGO_MS = START_MS - 3 * 3_600_000


def settled(rig: DeskRig) -> bool:
    return rig.bot.reconciliation.state is reconciliation.S.SETTLED


def test_a_position_that_only_the_venue_knows_is_registered_with_its_age_and_gets_a_stop() -> None:
    rig = DeskRig().booted()
    rig.pass_s(1)
    rig.reconcile(rig.reading(rig.position("0.3", 60_000, created_ms=THREE_HOURS_AGO_MS)))
    lines = rig.announced()
    assert [name for name in lines if name.startswith("DRIFT")] == ["DRIFT_ADD", "DRIFT_ADD_TSL_CREATED"]
    leg = rig.leg()
    assert (leg.contracts, leg.account.average_price) == (px("0.3"), ENTRY)
    assert leg.entered_ms == THREE_HOURS_AGO_MS
    assert rig.slot().position.state is position.S.OPEN
    assert rig.only(requests.PlaceStop).trigger == px("59640.0")
    assert rig.totals["drifts"] == 1


@pytest.mark.parametrize(("leg", "mark", "level"), [(LONG, 59_000, "56050.0"), (SHORT, 61_000, "64050.0")])
def test_a_found_position_beyond_its_stop_is_protected_and_not_sold_for_having_been_found(
    leg: LegKey, mark: int, level: str
) -> None:
    rig = DeskRig().booted()
    rig.mark(mark)
    rig.reconcile(rig.reading(rig.position("0.3", 60_000, leg=leg, created_ms=THREE_HOURS_AGO_MS)))
    assert rig.only(requests.PlaceStop).trigger == px(level)  # 5 % behind mark
    assert rig.taken(requests.PlaceOrder) == []


def test_before_the_first_price_the_report_of_a_found_position_says_where_mark_is() -> None:
    rig = DeskRig()
    far = msgspec.structs.replace(
        rig.position("0.3", 60_000, created_ms=THREE_HOURS_AGO_MS), mark=px(59_000), liquidation=px(58_000)
    )
    rig.tell(LIFECYCLE, lifecycle.StartRequested())
    while rig.slot().position.state is not position.S.OPEN:
        assert rig.answer_start(rig.reading(far))
    assert rig.desk.context.book.marks == {}
    # 5 % behind mark would lie beyond liquidation: a quarter of the way to it is left.
    assert rig.only(requests.PlaceStop).trigger == px("58250.0")


def test_long_and_short_of_one_instrument_are_two_positions() -> None:
    rig = DeskRig().booted()
    rig.reconcile(rig.reading(rig.position("0.3"), rig.position("0.1", leg=SHORT)))
    assert (rig.leg(LONG).contracts, rig.leg(SHORT).contracts) == (px("0.3"), px("0.1"))
    assert {(stop.leg, stop.deal) for stop in rig.taken(requests.PlaceStop)} == {
        (LONG, Deal.SELL),
        (SHORT, Deal.BUY),
    }


def test_a_resting_stop_of_ours_is_adopted_instead_of_a_second_one() -> None:
    rig = DeskRig().booted()
    resting = rig.stop("awrig00000s0000007", trigger=px("59900"))
    rig.reconcile(rig.reading(rig.position("0.3"), stops=(resting,)))
    assert rig.slot().protection.state is protection.S.COVERED
    assert rig.taken(requests.PlaceStop) == []
    assert (rig.leg().resting, rig.leg().wanted) == (px("59900"), px("59900"))


@pytest.mark.parametrize(
    "flaw", [{"contracts": px("0.1")}, {"side": Side.SHORT, "deal": Deal.BUY}, {"trigger": None}]
)
def test_a_stop_that_does_not_cover_the_leg_is_not_adopted(flaw: dict[str, object]) -> None:
    rig = DeskRig().booted()
    resting = rig.stop("awrig00000s0000007", trigger=px("59900"))
    rig.reconcile(rig.reading(rig.position("0.3"), stops=(msgspec.structs.replace(resting, **flaw),)))
    assert rig.only(requests.PlaceStop).trigger == px("59640.0")


def test_a_persons_stop_is_adopted_on_an_exclusive_account_only() -> None:
    for is_exclusive, placed in ((True, 0), (False, 1)):
        rig = DeskRig(is_exclusive=is_exclusive).booted()
        rig.enter_and_fill()
        refused = rig.only(requests.PlaceStop)
        exists = protection.StopRefused(refused.seq, protection.Refusal.EXISTS, "51088")
        rig.tell(of(Part.PROTECTION), exists)
        by_hand = rig.stop("", trigger=px("59800"))
        rig.say(world.StopsRead(LONG, rig.only(requests.ReadStops).seq, (by_hand,)))
        rig.pass_s(rig.pace.stop_retry_s)
        assert len(rig.taken(requests.PlaceStop)) == placed


def test_a_size_that_differs_is_taken_over_from_the_venue() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(5)
    for contracts in ("0.4", "0.1"):
        rig.reconcile(rig.reading(rig.position(contracts), stops=tuple(rig.leg().stops.values())))
        assert rig.leg().contracts == px(contracts)
    assert rig.announced() == ["DRIFT_SIZE", "DRIFT_SIZE"]
    assert rig.slot().protection.state is protection.S.COVERED


def test_a_reading_that_agrees_changes_and_says_nothing() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(5)
    before = rig.bot
    rig.reconcile(rig.reading(rig.position("0.25"), stops=tuple(rig.leg().stops.values())))
    assert rig.bot.legs == before.legs
    assert rig.asked == []


def test_a_failed_reading_changes_nothing() -> None:
    rig = DeskRig().booted()
    rig.covered()
    before = rig.bot.legs
    rig.fail_reading()
    assert rig.bot.legs == before
    assert rig.announced() == []
    assert rig.leg().contracts == px("0.25")


def test_a_failed_reading_after_a_doubt_leaves_the_book_unknown_and_is_tried_again() -> None:
    rig = DeskRig().booted()
    rig.tell(RECONCILIATION, reconciliation.BookDoubted("a relogin"))
    seq = rig.only(reconciliation.ReadAccount).seq
    rig.tell(RECONCILIATION, reconciliation.ReadingFailed(seq, "502"))
    assert rig.bot.reconciliation.state is reconciliation.S.UNKNOWN
    rig.cross(Side.LONG)
    assert rig.taken(requests.PlaceOrder) == []
    rig.pass_s(rig.pace.reading_retry_s)
    rig.say(world.AccountRead(rig.only(reconciliation.ReadAccount).seq, rig.reading()))
    assert settled(rig)


def test_one_empty_reading_removes_no_position_and_no_stop() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    assert "DRIFT_REMOVE" in rig.announced()
    assert rig.slot().position.state is position.S.VANISHED
    assert rig.leg().contracts == px("0.25")
    assert rig.taken(requests.CancelStops) == []
    asked = rig.only(requests.ExplainAbsence)
    assert (asked.leg, asked.since_ms) == (LONG, START_MS)


def test_a_position_that_lost_its_stop_while_it_was_held_to_be_gone_is_closed_when_it_is_shown_again() -> (
    None
):
    rig = DeskRig().booted()
    rig.enter_and_fill()
    stop = rig.only(requests.PlaceStop)
    rig.pass_s(5)
    rig.reconcile(rig.reading())  # one empty reading, while the answer about the stop is under way
    assert rig.slot().position.state is position.S.VANISHED
    refused = protection.StopRefused(stop.seq, protection.Refusal.BEYOND)
    rig.tell(of(Part.PROTECTION), refused)
    assert rig.slot().protection.state is protection.S.ESCALATING
    rig.pass_s(5)
    rig.reconcile(rig.reading(rig.position("0.25")))
    assert rig.slot().position.state is position.S.CLOSING
    assert rig.slot().close.state in (order.S.PLANNED, *order.OUT)


def test_the_end_of_a_position_is_not_looked_for_before_what_added_to_it_last() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.filled(ticket, px("0.1"), 60_000)))
    rig.pass_s(5)
    rig.say(world.OrderPushed(rig.filled(ticket, px("0.25"), 60_000)))
    grown_ms = rig.now_ms
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    assert rig.only(requests.ExplainAbsence).since_ms == grown_ms


def test_a_stop_that_went_while_its_leg_was_closed_is_missed_when_the_leg_is_there_after_all() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    rig.tell(of(Part.POSITION), position.CloseWanted("enough"))
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.CANCELLED)))
    assert rig.slot().protection.state is protection.S.COVERED  # it is being closed
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    assert rig.slot().position.state is position.S.VANISHED
    rig.pass_s(5)
    rig.reconcile(rig.reading(rig.position("0.25")))
    assert rig.slot().protection.state is protection.S.NAKED


def test_an_absence_that_the_venue_explains_ends_the_leg_with_its_cause_and_result() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    rig.taken(requests.Announce)
    rig.say(world.AbsenceExplained(LONG, "liquidation", px("-12.5"), rig.now_ms - 1_000))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.leg().contracts == 0
    exit_ = rig.only(requests.Announce)
    assert (exit_.name, dict(exit_.fields)["cause"]) == ("EXIT", "liquidation")
    assert rig.totals["realised_pnl"] == px("-12.5")


def test_the_fees_of_a_close_that_only_the_history_tells_of_are_counted_once() -> None:
    rig = DeskRig().booted()
    rig.covered()
    of_the_entry = rig.desk.context.book.totals.fees
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    fees = of_the_entry + px("0.0755")
    rig.say(world.AbsenceExplained(LONG, "its stop", px("-12.5"), rig.now_ms - 1_000, fees))
    assert rig.totals["fees"] == fees


def test_the_fees_that_a_found_position_had_paid_before_are_not_the_bots() -> None:
    rig = DeskRig().booted()
    rig.reconcile(rig.reading(rig.position("0.25")))
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    rig.say(world.AbsenceExplained(LONG, "closed", px("1"), rig.now_ms - 1_000, px("0.3")))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.totals["fees"] == 0


def test_an_absence_that_nobody_explains_is_asked_about_again_and_again() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    for _ in range(5):
        rig.only(requests.ExplainAbsence)
        rig.tell(of(Part.POSITION), position.ConfirmationFailed())
        assert rig.slot().position.state is position.S.VANISHED
        rig.pass_s(rig.pace.confirmation_retry_s)


def test_a_position_that_was_absent_once_and_is_shown_again_is_open_and_trails_on() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(5)
    rig.reconcile(rig.reading(stops=tuple(rig.leg().stops.values())))
    assert rig.slot().position.state is position.S.VANISHED
    rig.pass_s(5)
    rig.reconcile(rig.reading(rig.position("0.25"), stops=tuple(rig.leg().stops.values())))
    assert rig.slot().position.state is position.S.OPEN
    assert rig.slot().protection.state is protection.S.COVERED
    rig.mark(60_500)
    assert rig.only(requests.MoveStop).trigger == px("60318.5")


def test_an_explanation_that_comes_after_the_position_was_shown_again_ends_nothing() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(5)
    rig.reconcile(rig.reading(stops=tuple(rig.leg().stops.values())))
    rig.pass_s(5)
    rig.reconcile(rig.reading(rig.position("0.25"), stops=tuple(rig.leg().stops.values())))
    rig.say(world.AbsenceExplained(LONG, "closed", px("1"), rig.now_ms - 6_000))
    assert rig.slot().position.state is position.S.OPEN
    assert rig.leg().contracts == px("0.25")
    assert rig.totals["realised_pnl"] == 0


def test_a_leg_that_changed_after_the_reading_began_is_left_to_its_pushes() -> None:
    rig = DeskRig().booted()
    rig.tell(RECONCILIATION, reconciliation.CheckDue())
    seq = rig.only(reconciliation.ReadAccount).seq
    before_the_fill = rig.reading()
    rig.pass_s(1)
    rig.enter_and_fill()
    rig.taken(requests.Announce)
    rig.say(world.AccountRead(seq, before_the_fill))
    assert rig.announced() == []
    assert rig.slot().position.state is position.S.OPEN


def test_a_covered_leg_whose_stop_is_not_in_the_reading_gets_another() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    rig.pass_s(5)
    rig.reconcile(rig.reading(rig.position("0.25")))
    assert rig.announced() == ["DRIFT_STOP_MISSING"]
    assert rig.slot().protection.state is protection.S.NAKED
    rig.pass_s(rig.pace.stop_retry_s)
    assert rig.only(requests.PlaceStop).trigger == stop.trigger


# The start.


def test_positions_that_are_open_at_the_start_are_restored_before_ready() -> None:
    rig = DeskRig()
    rig.boot(rig.reading(rig.position("0.3", created_ms=THREE_HOURS_AGO_MS)))
    assert rig.slot().position.state is position.S.OPEN
    assert rig.leg().entered_ms == THREE_HOURS_AGO_MS
    assert [line for line in rig.announced() if line.startswith("DRIFT")] == [
        "DRIFT_ADD",
        "DRIFT_ADD_TSL_CREATED",
    ]


def test_an_adopted_position_is_covered_before_ready() -> None:
    rig = DeskRig()
    rig.boot(rig.reading(rig.position("0.3")))
    assert settled(rig)
    assert not rig.bot.missing
    assert rig.stage() is lifecycle.S.SYNC
    stop = rig.only(requests.PlaceStop)
    rig.tell(of(Part.PROTECTION), protection.StopAccepted(stop.seq))
    assert rig.stage() is lifecycle.S.SYNC  # accepted is not live
    rig.say(world.StopsRead(LONG, stop.seq, (rig.stop(stop),)))
    assert rig.stage() is lifecycle.S.READY


def test_an_adopted_position_that_closes_lets_the_start_go_on() -> None:
    rig = DeskRig()
    rig.boot(rig.reading(rig.position("0.3")))
    assert rig.stage() is lifecycle.S.SYNC
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.traded(LONG, Deal.SELL, "0.3", 60_000)))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.stage() is lifecycle.S.READY


def test_pushes_before_the_first_reconciliation_are_held_and_then_taken_in_their_order() -> None:
    rig = DeskRig()
    rig.boot(rig.reading(rig.position("0.3")))
    waiting = DeskRig()
    waiting.tell_until_sync()
    ticketless = waiting.traded(LONG, Deal.BUY, "0.2", 60_000)
    waiting.pass_s(0.1)
    more = waiting.traded(LONG, Deal.BUY, "0.1", 60_030)
    waiting.say(world.OrderPushed(ticketless), world.OrderPushed(more))
    assert waiting.leg().contracts == 0
    started = waiting.only(reconciliation.ReadAccount)
    waiting.say(world.AccountRead(started.seq, waiting.reading()))
    assert waiting.leg().contracts == px("0.3")
    assert waiting.leg().account.average_price == px(60_010)
    assert waiting.only(requests.PlaceStop).leg == LONG


def test_a_held_fill_that_the_reading_already_shows_is_not_counted_twice() -> None:
    rig = DeskRig()
    rig.tell_until_sync()
    rig.say(world.OrderPushed(rig.traded(LONG, Deal.BUY, "0.2", 60_000)))
    started = rig.only(reconciliation.ReadAccount)
    rig.pass_s(1)
    rig.say(world.AccountRead(started.seq, rig.reading(rig.position("0.2"))))
    assert rig.leg().contracts == px("0.2")


def test_too_many_held_pushes_are_dropped_aloud_and_the_account_is_read_again() -> None:
    rig = DeskRig()
    rig.tell_until_sync()
    push = world.PositionPushed(rig.position("0.2"))
    rig.taken(requests.Announce)
    rig.say(*[push] * 10_000)
    assert rig.announced() == []
    rig.say(push)
    assert rig.announced() == ["HELD_OVERFLOW"]
    first = rig.only(reconciliation.ReadAccount)
    rig.say(world.AccountRead(first.seq, rig.reading()))
    assert not settled(rig)  # that reading may have begun before the pushes that were dropped
    second = rig.only(reconciliation.ReadAccount)
    rig.say(world.AccountRead(second.seq, rig.reading()))
    assert settled(rig)


# Not ours.


def foreign(rig: DeskRig) -> DeskRig:
    rig.booted()
    rig.reconcile(rig.reading(rig.position("0.3")))
    assert rig.slot().position.state is position.S.WATCHED
    assert "WATCHED" in rig.announced()
    return rig


def test_a_position_that_is_not_ours_is_watched_and_never_touched() -> None:
    rig = foreign(DeskRig(is_exclusive=False))
    rig.mark(70_000)
    rig.pass_s(10_000)
    rig.say(world.ClockTicked())
    touching = (requests.PlaceStop, requests.PlaceOrder, requests.MoveStop, requests.CancelStops)
    assert [effect for effect in rig.asked if isinstance(effect, touching)] == []


def test_a_watched_position_shuts_entries_on_its_instrument() -> None:
    rig = foreign(DeskRig(is_exclusive=False, wants=Side.SHORT))
    rig.cross(Side.SHORT)
    assert rig.taken(requests.PlaceOrder) == []


def test_a_watched_position_that_is_gone_from_a_reading_is_forgotten_once() -> None:
    rig = foreign(DeskRig(is_exclusive=False))
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    assert rig.slot().position.state is position.S.FLAT
    assert rig.announced() == ["DRIFT_REMOVE"]
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    assert rig.announced() == []
    assert rig.leg().contracts == 0


def test_a_watched_position_that_its_owner_closes_is_flat() -> None:
    rig = foreign(DeskRig(is_exclusive=False))
    rig.pass_s(5)
    rig.say(world.OrderPushed(rig.traded(LONG, Deal.SELL, "0.3", 60_000)))
    assert rig.slot().position.state is position.S.FLAT
    rig.cross(Side.LONG)
    assert rig.only(requests.PlaceOrder).ticket.leg == LONG


# Net mode.


def test_in_net_mode_the_other_side_is_not_entered_while_one_is_open() -> None:
    rig = DeskRig(mode=PositionMode.NET).booted()
    stop = rig.covered()
    rig.cross(Side.SHORT)
    close = rig.only(requests.PlaceOrder).ticket
    assert (close.role, close.leg, close.is_reduce_only) == (order.Role.CLOSE, LONG, True)
    rig.say(world.OrderPushed(rig.filled(close, "0.25", 60_000)))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.slot(SHORT).position.state is position.S.FLAT
    assert rig.leg(SHORT).contracts == 0
    rig.say(world.StopPushed(rig.stop(stop, state=StopState.CANCELLED)))
    assert rig.slot().protection.state is protection.S.NONE


def test_in_net_mode_the_child_of_a_stop_closes_the_side_that_is_open() -> None:
    rig = DeskRig(mode=PositionMode.NET, wants=Side.SHORT).booted()
    stop = rig.covered()
    rig.say(world.OrderPushed(rig.stopped_out(stop, 60_370)))
    assert rig.slot(SHORT).position.state is position.S.FLAT
    assert rig.leg(LONG).contracts == 0
    assert rig.totals["realised_pnl"] == px(-370) * px("0.01") * px("0.25")


def heard_of_a_short() -> DeskRig:
    """A person bought, unheard of, and sold again: to the bot that is a short, and there is none."""
    rig = DeskRig(mode=PositionMode.NET).booted()
    rig.pass_s(5)
    rig.say(world.OrderPushed(rig.traded(SHORT, Deal.SELL, "0.02", 60_000)))
    rig.pass_s(1)
    return rig


def answer_histories(rig: DeskRig, seconds: float) -> None:
    """For so long no history shows the short."""
    for _ in range(round(seconds / rig.pace.confirmation_retry_s)):
        for _ in rig.taken(requests.ExplainAbsence):
            rig.say(world.AbsenceUnexplained(SHORT))
        rig.pass_s(rig.pace.confirmation_retry_s)


def test_what_a_person_seems_to_have_opened_is_protected_at_once_and_looked_for_at_once() -> None:
    rig = heard_of_a_short()
    assert rig.slot(SHORT).position.state is position.S.OPEN
    assert rig.only(requests.PlaceStop).leg == SHORT
    assert rig.bot.reconciliation.state is reconciliation.S.READING


def test_what_only_another_ones_order_told_of_and_nothing_shows_never_was() -> None:
    rig = heard_of_a_short()
    rig.reconcile(rig.reading())
    assert rig.slot(SHORT).position.state is position.S.VANISHED
    answer_histories(rig, rig.pace.confirmation_patience_s * 2)
    assert rig.slot(SHORT).position.state is position.S.VANISHED  # one reading is not enough
    rig.reconcile(rig.reading())
    answer_histories(rig, rig.pace.confirmation_retry_s * 2)
    assert rig.slot(SHORT).position.state is position.S.FLAT
    names = rig.announced()
    assert (names.count("NEVER_WAS"), names.count("UNEXPLAINED")) == (1, 0)
    assert rig.totals["realised_pnl"] == 0
    assert not any("not flat" in reason for reason in entry_obstacles(rig.bot, LONG))


def remembered_after(shown: bool) -> LegOpenedFact:
    """What the journal holds of the short that was heard of, when the bot is cut off."""
    rig = DeskRig(mode=PositionMode.NET).booted()
    rig.journal_writes = False
    rig.say(world.OrderPushed(rig.traded(SHORT, Deal.SELL, "0.02", 60_000)))
    if shown:
        rig.say(world.PositionPushed(rig.position("0.02", leg=SHORT)))
    facts = [fact for record in rig.taken(requests.Record) for fact in record.facts]
    return [fact for fact in facts if isinstance(fact, LegOpenedFact)][-1]


@pytest.mark.parametrize(
    ("shown", "ends"), [(False, position.S.FLAT), (True, position.S.UNEXPLAINED)], ids=["hearsay", "shown"]
)
def test_whether_it_was_only_heard_of_is_known_after_a_crash(shown: bool, ends: position.S) -> None:
    opened = remembered_after(shown)
    rig = DeskRig(mode=PositionMode.NET, facts=Facts(legs=(LegFacts(SHORT, opened),)))
    rig.boot()
    for _ in range(3):
        answer_histories(rig, rig.pace.confirmation_patience_s)
        rig.reconcile(rig.reading())
    answer_histories(rig, rig.pace.confirmation_retry_s * 2)
    assert rig.slot(SHORT).position.state is ends


@pytest.mark.parametrize("shown_by", ["a push", "a reading"])
def test_what_was_shown_once_stays_a_question_however_many_readings_miss_it(shown_by: str) -> None:
    rig = heard_of_a_short()
    shown = rig.position("0.02", leg=SHORT)
    if shown_by == "a push":
        rig.say(world.PositionPushed(shown))
    else:
        rig.reconcile(rig.reading(shown))
        rig.pass_s(5)
    rig.reconcile(rig.reading())
    assert rig.slot(SHORT).position.state is position.S.VANISHED
    for _ in range(3):
        answer_histories(rig, rig.pace.confirmation_patience_s)
        rig.reconcile(rig.reading())
    assert rig.slot(SHORT).position.state is position.S.UNEXPLAINED


def test_a_position_that_an_order_of_ours_had_a_part_in_stays_a_question() -> None:
    rig = DeskRig(mode=PositionMode.NET, wants=Side.SHORT).booted()
    rig.covered()
    rig.pass_s(5)
    rig.reconcile(rig.reading())
    for _ in range(3):
        answer_histories(rig, rig.pace.confirmation_patience_s)
        rig.reconcile(rig.reading())
    assert rig.slot(SHORT).position.state is position.S.UNEXPLAINED


def test_more_closed_than_was_held_has_the_account_read() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(1)
    rig.say(world.OrderPushed(rig.traded(LONG, Deal.SELL, "0.5", 60_000)))
    assert rig.slot().position.state is position.S.FLAT
    assert rig.bot.reconciliation.state is reconciliation.S.READING
