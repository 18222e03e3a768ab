"""The environment that the check explores could have done what simulated runs show, and could not have done what no
exchange does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import msgspec
import pytest

from anchorwatch.diagrams.check.acceptance import Rejection, accepts
from anchorwatch.io.commands.judging import by_the_check
from anchorwatch.io.simulation.campaign import UNEXPLAINED, Sum, Task
from anchorwatch.io.simulation.recording import Judgement
from anchorwatch.io.simulation.scenario import find_scenario, shipped
from anchorwatch.io.venue.algos import Algos
from anchorwatch.io.venue.matching import Matching
from anchorwatch.machine import lifecycle, order, protection, requests, world
from anchorwatch.machine.bot import Address, Part
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Effect
from anchorwatch.machine.trace import (
    FellSilent,
    Handled,
    LifeBegan,
    LifeEnded,
    Listening,
    OrderStood,
    PositionStood,
    Requested,
    Seen,
    StopStood,
)
from anchorwatch.machine.world import OrderState

FIXED = [one.name for one in shipped().values() if not one.random_faults]
Trace = list[Seen]


def trace_of(scenario: str, seed: int, until_s: float | None = None) -> Trace:
    kept: Trace = []

    def keep(trace: Sequence[Seen]) -> Judgement:
        kept.extend(trace)
        return Judgement(len(trace), (), {})

    Task(scenario=find_scenario(scenario), seed=seed, until_s=until_s, judge=keep).run()
    return kept


@pytest.fixture(scope="module")
def busy() -> Trace:
    """Four minutes of entries, closes, cancels and triggers, and whatever the seed makes go wrong."""
    return trace_of("busy", 9, until_s=240)


@pytest.fixture(scope="module")
def triggered() -> Trace:
    return trace_of("stop-triggered", 1)


def rejection(trace: Trace) -> Rejection:
    found = accepts(trace).rejections
    assert len(found) == 1, found
    return found[0]


def place(trace: Trace, claim: Callable[[Seen], bool]) -> int:
    return next(number for number, one in enumerate(trace) if claim(one))


def without_effect(trace: Trace, kind: type[Effect]) -> Trace:
    """The bot never asked for this, the first time that it did."""
    at = place(trace, lambda one: isinstance(one, Handled) and any(isinstance(e, kind) for e in one.effects))
    handled = trace[at]
    assert isinstance(handled, Handled)
    left = tuple(effect for effect in handled.effects if not isinstance(effect, kind))
    return [*trace[:at], msgspec.structs.replace(handled, effects=left), *trace[at + 1 :]]


@pytest.mark.parametrize("name", FIXED)
def test_every_fixed_scenario_is_accepted(name: str) -> None:
    run = Task(scenario=find_scenario(name), seed=1, judge=by_the_check).run()
    assert run.orders, "a scenario in which nothing is traded shows nothing"
    judgement = run.judgement
    assert judgement is not None
    assert (judgement.rejects, judgement.is_whole) == ((), True)
    assert judgement.observations > 50


def test_the_scenario_of_partial_fills_has_them() -> None:
    """And they are told late, so that one is under way when the next is made."""
    grows = [one.filled for one in trace_of("partial-fill", 1) if isinstance(one, OrderStood) and one.filled]
    assert len(set(grows)) > 2, grows
    assert grows == sorted(grows)


def test_a_busy_run_with_faults_is_accepted_and_explained_by_many_rules(busy: Trace) -> None:
    verdict = accepts(busy)
    assert verdict.rejections == ()
    assert verdict.legs >= 4
    assert "the entry is cancelled as asked" in verdict.used
    assert "the venue accepts the stop" in verdict.used


def test_a_triggered_stop_is_accepted_with_its_child(triggered: Trace) -> None:
    verdict = accepts(triggered)
    assert verdict.rejections == ()
    assert {"the stop triggers", "the child fills"} <= set(verdict.used)


# What no environment of the check does.


def test_a_fill_after_a_confirmed_cancel_is_rejected(busy: Trace) -> None:
    at = place(busy, lambda one: isinstance(one, OrderStood) and one.state is OrderState.CANCELLED)
    end = busy[at]
    assert isinstance(end, OrderStood)
    later = next(one.at_ms for one in busy[at:] if isinstance(one, Handled) and one.at_ms > end.at_ms)
    after = place(busy, lambda one: isinstance(one, Handled) and one.at_ms > end.at_ms)
    filled = msgspec.structs.replace(end, at_ms=later, state=OrderState.FILLED, filled=end.contracts)
    held = PositionStood(later, end.leg, end.contracts)
    found = rejection([*busy[:after], filled, held, *busy[after:]])
    assert found.leg == str(end.leg)
    assert "entry done" in found.event


def test_an_answer_to_an_order_that_was_never_sent_is_rejected(triggered: Trace) -> None:
    found = rejection(without_effect(triggered, requests.PlaceOrder))
    assert "entry live 0" in found.event
    assert found.possible


def test_an_answer_about_a_stop_that_was_never_asked_for_is_rejected(triggered: Trace) -> None:
    found = rejection(without_effect(triggered, requests.PlaceStop))
    assert "stop" in found.event


def test_a_second_answer_to_one_order_is_rejected(triggered: Trace) -> None:
    def acknowledges(one: Seen) -> bool:
        return (
            isinstance(one, Handled)
            and isinstance(one.event, Told)
            and isinstance(one.event.event, order.OrderAcknowledged)
        )

    at = place(triggered, acknowledges)
    handled = triggered[at]
    assert isinstance(handled, Handled)
    twice = msgspec.structs.replace(handled, effects=(), standings=())
    found = rejection([*triggered[: at + 1], twice, *triggered[at + 1 :]])
    assert "OrderAcknowledged" in found.event


def test_a_stop_that_stays_live_when_its_position_is_gone_is_rejected(busy: Trace) -> None:
    """It is a stop of the whole position, which the venue cancels with the position."""
    flats = [one for one in busy if isinstance(one, PositionStood) and not one.contracts]
    gone = [
        one
        for one in busy
        if isinstance(one, StopStood)
        and not one.is_live
        and any(flat.leg == one.leg and flat.at_ms == one.at_ms for flat in flats)
    ]
    found = rejection([one for one in busy if one is not gone[0]])
    assert (found.leg, found.at_ms) == (str(gone[0].leg), gone[0].at_ms)
    assert "contracts 0" in found.event


def test_a_position_that_nobody_traded_is_rejected(triggered: Trace) -> None:
    trades = [one for one in triggered if not isinstance(one, OrderStood)]
    assert "contracts" in rejection(trades).event


def test_a_report_of_more_than_was_filled_is_rejected(triggered: Trace) -> None:
    def reports(one: Seen) -> bool:
        return (
            isinstance(one, Handled)
            and isinstance(one.event, world.OrderPushed)
            and bool(one.event.report.filled)
        )

    at = place(triggered, reports)
    handled = triggered[at]
    assert isinstance(handled, Handled)
    assert isinstance(handled.event, world.OrderPushed)
    more = msgspec.structs.replace(handled.event.report, filled=handled.event.report.filled + 1)
    told = msgspec.structs.replace(handled, event=world.OrderPushed(more))
    assert "push" in rejection([*triggered[:at], told, *triggered[at + 1 :]]).event


def test_a_reading_of_a_position_that_never_was_is_rejected(busy: Trace) -> None:
    def reads(one: Seen) -> bool:
        return (
            isinstance(one, Handled)
            and isinstance(one.event, world.AccountRead)
            and any(held.contracts for held in one.event.reading.positions)
        )

    at = place(busy, reads)
    handled = busy[at]
    assert isinstance(handled, Handled)
    assert isinstance(handled.event, world.AccountRead)
    doubled = tuple(
        msgspec.structs.replace(held, contracts=held.contracts * 2)
        for held in handled.event.reading.positions
    )
    reading = msgspec.structs.replace(handled.event.reading, positions=doubled)
    told = msgspec.structs.replace(handled, event=msgspec.structs.replace(handled.event, reading=reading))
    found = accepts([*busy[:at], told, *busy[at + 1 :]]).rejections
    assert found
    assert all("the account read" in one.event for one in found)


def test_a_push_to_a_process_that_has_just_begun_and_never_listened_is_rejected(triggered: Trace) -> None:
    """What was on its way to the life before died with it."""
    at = place(triggered, lambda one: isinstance(one, Handled) and isinstance(one.event, world.OrderPushed))
    born = triggered[place(triggered, lambda one: isinstance(one, LifeBegan))]
    found = rejection([*triggered[:at], LifeEnded(triggered[at].at_ms), born, *triggered[at:]])
    assert "push" in found.event


def test_a_timer_that_nobody_started_is_rejected(triggered: Trace) -> None:
    def places(one: Seen) -> bool:
        return isinstance(one, Handled) and any(isinstance(e, requests.PlaceStop) for e in one.effects)

    at = place(triggered, places)
    handled = triggered[at]
    assert isinstance(handled, Handled)
    placed = next(e for e in handled.effects if isinstance(e, requests.PlaceStop))
    due = Told(Address(Part.PROTECTION, leg=placed.leg), protection.RetryDue(placed.seq))
    told = Handled(handled.at_ms, due, (), handled.bot, ())
    assert "RetryDue" in rejection([*triggered[: at + 1], told, *triggered[at + 1 :]]).event


def test_an_order_that_was_written_just_before_the_process_went_arrives(triggered: Trace) -> None:
    at = place(
        triggered,
        lambda one: is_handled(one) and any(isinstance(e, requests.PlaceOrder) for e in one.effects),
    )
    first = place(triggered, lambda one: isinstance(one, OrderStood))
    last = next(n for n, one in enumerate(triggered) if n > first and is_handled(one))
    gone = [LifeEnded(triggered[at].at_ms), Listening(triggered[first].at_ms, orders=False, stops=False)]
    arrives = triggered[first:last]
    assert accepts([*triggered[: at + 1], *gone, *arrives]).rejections == ()
    assert "entry" in rejection([*triggered[:at], *gone, *arrives]).event


def test_a_clock_that_ran_out_just_before_it_was_stopped_is_told_once(triggered: Trace) -> None:
    """What waits in the bot's mailbox is told although its clock was stopped, or wound up again, meanwhile."""

    def stops(one: Seen) -> bool:
        cancelled = [e for e in one.effects if isinstance(e, requests.CancelTimer)] if is_handled(one) else []
        return any(effect.key.startswith("naked") for effect in cancelled)

    at = place(triggered, stops)
    handled = triggered[at]
    assert isinstance(handled, Handled)
    started = next(e for one in triggered[:at] if is_handled(one) for e in one.effects if is_naked_clock(e))
    told = Handled(handled.at_ms, Told(started.address, started.event), (), handled.bot, ())
    assert accepts([*triggered[: at + 1], told, *triggered[at + 1 :]]).rejections == ()
    assert "NakedTooLong" in rejection([*triggered[: at + 1], told, told, *triggered[at + 1 :]]).event


def test_a_question_about_an_order_that_the_slot_held_before_is_none_about_the_one_that_is_meant(
    triggered: Trace,
) -> None:
    """The journal of a full disk knows an earlier order last, and the next life asks for that one."""
    placed = next(e for one in triggered if is_handled(one) for e in one.effects if is_order(e)).ticket
    at = place(triggered, lambda one: is_handled(one) and isinstance(one.event, world.StopPushed))
    handled = triggered[at]
    assert isinstance(handled, Handled)
    elder = msgspec.structs.replace(placed, client_id="awoldoldowne0000001")
    asked = Handled(handled.at_ms, world.ClockTicked(), (requests.QueryOrder(elder),), handled.bot, ())
    absent = world.OrderAsked(placed.leg, placed.role, placed.seq, None, is_final=True)
    told = Handled(handled.at_ms, absent, (), handled.bot, ())
    assert accepts([*triggered[: at + 1], asked, told, *triggered[at + 1 :]]).rejections == ()
    assert "not found" in rejection([*triggered[: at + 1], told, *triggered[at + 1 :]]).event


def test_two_questions_about_one_order_have_two_answers() -> None:
    """It filled after both were asked, and both answers are of before; of a third one it is not known who asked."""
    trace = trace_of("maker-entry", 1)
    placed = next(e for one in trace if is_handled(one) for e in one.effects if is_order(e)).ticket
    seen = place(trace, lambda one: is_handled(one) and isinstance(one.event, world.OrderPushed))
    live = trace[seen]
    assert isinstance(live, Handled)
    assert isinstance(live.event, world.OrderPushed)
    filled = place(
        trace[seen:],
        lambda one: isinstance(one, OrderStood) and one.client_id == placed.client_id and one.filled > 0,
    )
    before, after = trace[: seen + filled], trace[seen + filled :]
    opened = next(number for number, one in enumerate(after) if isinstance(one, Handled))
    asked = Handled(live.at_ms, world.ClockTicked(), (requests.QueryOrder(placed),), live.bot, ())
    answer = world.OrderAsked(placed.leg, placed.role, placed.seq, live.event.report, is_final=False)
    told = Handled(live.at_ms, answer, (), live.bot, ())
    begun = [*before, asked, asked, *after[:opened]]
    assert accepts([*begun, told, told, *after[opened:]]).rejections == ()
    assert "found live" in rejection([*begun, told, told, told]).event


def test_the_answer_to_a_reading_that_was_asked_for_anew_says_nothing(triggered: Trace) -> None:
    at = place(triggered, lambda one: is_handled(one) and isinstance(one.event, world.StopPushed))
    handled = triggered[at]
    assert isinstance(handled, Handled)
    leg = next(e for one in triggered if is_handled(one) for e in one.effects if is_order(e)).ticket.leg
    now_ms = handled.at_ms
    asked, again = (
        Handled(now_ms, world.ClockTicked(), (requests.ReadLeg(leg, 0.5, asked_ms),), handled.bot, ())
        for asked_ms in (now_ms - 1, now_ms)
    )
    late, answer = (
        Handled(now_ms, world.LegRead(leg, None, asked_ms), (), handled.bot, ())
        for asked_ms in (now_ms - 1, now_ms)
    )
    begun = [*triggered[: at + 1], asked, again]
    assert accepts([*begun, late, answer, *triggered[at + 1 :]]).rejections == ()
    assert accepts([*begun, answer, late, *triggered[at + 1 :]]).rejections == ()
    assert "cannot be read" in rejection([*begun, answer, answer]).event


def is_order(effect: Effect) -> TypeGuard[requests.PlaceOrder]:
    return isinstance(effect, requests.PlaceOrder)


def is_handled(one: Seen) -> TypeGuard[Handled]:
    return isinstance(one, Handled)


def is_naked_clock(effect: Effect) -> TypeGuard[requests.StartTimer]:
    return isinstance(effect, requests.StartTimer) and isinstance(effect.event, protection.NakedTooLong)


# A life whose tape was cut by its death: what reached the exchange stands for what it said.

REACHING = (
    requests.Record,
    requests.PlaceOrder,
    requests.CancelOrder,
    requests.AmendOrder,
    requests.PlaceStop,
    requests.MoveStop,
    requests.CancelStops,
)


def silenced(trace: Trace, *reaching: type[Effect]) -> Trace:
    """The same trace, of a life of which from its READY on only these requests are known."""
    at = place(trace, lambda one: isinstance(one, Handled) and one.bot.lifecycle.state is lifecycle.S.READY)
    left: Trace = [*trace[:at], FellSilent(trace[at].at_ms)]
    for one in trace[at:]:
        if not isinstance(one, Handled):
            left.append(one)
        elif asked := tuple(effect for effect in one.effects if isinstance(effect, reaching)):
            left.append(Requested(one.at_ms, asked))
    return left


def test_a_life_that_fell_silent_is_accepted_by_what_reached_the_exchange(triggered: Trace) -> None:
    verdict = accepts(silenced(triggered, *REACHING))
    assert verdict.rejections == ()
    assert {"the venue accepts the entry", "the venue accepts the stop", "the stop triggers"} <= set(
        verdict.used
    )


def test_an_order_of_a_silent_life_that_was_never_recorded_is_rejected(triggered: Trace) -> None:
    assert rejection(silenced(triggered, *REACHING[1:])).event == "asked: the entry is sent"


# The same of an exchange that misbehaves.


def test_an_exchange_that_forgets_the_stops_of_closed_positions_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Algos, "position_closed", lambda *_: None)
    outcome = Task(scenario=find_scenario("busy"), seed=9, until_s=240, judge=by_the_check).run()
    judgement = outcome.judgement
    assert judgement is not None
    assert any("contracts 0" in words for words in judgement.rejects), judgement.rejects
    total = Sum(outcomes=[outcome])
    assert not total.is_clean
    violated: Any = total.as_dict({})["violations"]
    assert UNEXPLAINED in [one["property"] for one in violated]


def test_an_exchange_that_confirms_cancels_and_keeps_the_order_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Matching, "cancel", lambda *_, **__: None)
    judgement = Task(scenario=find_scenario("busy"), seed=9, until_s=240, judge=by_the_check).run().judgement
    assert judgement is not None
    assert any("CancelAcknowledged" in words for words in judgement.rejects), judgement.rejects


def test_a_second_stop_of_the_whole_position_goes_with_it() -> None:
    """The attached stop failed when it triggered; its position was closed, and the stop beside it went as well."""
    assert accepts(trace_of("busy-market", 99, until_s=400)).rejections == ()


def test_what_is_told_before_every_channel_is_confirmed_is_accepted() -> None:
    """The second life was told of a fill on a private connection of which another channel was still to be confirmed."""
    assert accepts(trace_of("busy-net", 283, until_s=140)).rejections == ()
