"""Stories about the facts that entries wait for, candle history among them, and about the desk's part in the stop."""

from __future__ import annotations

from anchorwatch.machine import lifecycle, order, position, protection, reconciliation, requests, world
from anchorwatch.machine.bot import LIFECYCLE, Part
from anchorwatch.machine.desk import Told
from anchorwatch.machine.lifecycle import StopStep
from anchorwatch.machine.units import Side
from anchorwatch.machine.world import OrderState
from tests.machine.desk_rig import BTC, LONG, DeskRig, of


def stopping(rig: DeskRig) -> None:
    rig.tell(LIFECYCLE, lifecycle.StopRequested("SIGINT"))
    assert rig.bot.lifecycle.state is lifecycle.S.STOPPING


def step_under_way(rig: DeskRig) -> StopStep:
    return rig.bot.lifecycle.data.step


def test_every_fact_is_missing_until_it_is_learnt() -> None:
    rig = DeskRig()
    assert rig.bot.missing == (
        ("", "a ready symbol"),
        ("", "balance"),
        ("", "clock"),
        (BTC, "EMA 1m"),
        (BTC, "candles 1m"),
        (BTC, "instrument rules"),
        (BTC, "mark price"),
        (BTC, "quote"),
    )


def test_a_candle_that_is_pushed_before_the_history_comes_after_it() -> None:
    rig = DeskRig()
    history = rig.history()
    pushed = rig.next_candle(Side.LONG)
    rig.say(rig.venue_ready(), world.CandleClosed(BTC, "1m", pushed))
    rig.say(history)
    assert (BTC, "EMA 1m") not in rig.bot.missing
    assert rig.desk.context.charts[BTC].market.buffer().newest == pushed


def test_a_candle_that_is_in_the_history_and_in_a_push_is_seen_once() -> None:
    once, twice = DeskRig().booted(), DeskRig()
    history = twice.history()
    twice.say(twice.venue_ready(), world.CandleClosed(BTC, "1m", history.candles[-1]), history)
    twice.candles -= len(history.candles)  # the same history again, for the start
    twice.boot()
    for rig in (once, twice):
        rig.asked.clear()
        rig.cross(Side.LONG)
        assert rig.only(requests.PlaceOrder).ticket.leg == LONG


def test_a_history_that_is_too_short_is_completed_by_the_pushes() -> None:
    rig = DeskRig()
    rig.say(rig.venue_ready())
    candles = rig.history().candles
    rig.say(world.HistoryLoaded(BTC, "1m", candles[:93]))
    assert (BTC, "EMA 1m") in rig.bot.missing
    rig.say(world.CandleClosed(BTC, "1m", candles[93]))
    assert (BTC, "EMA 1m") not in rig.bot.missing


def test_a_missed_candle_shuts_entries_until_the_history_is_read_again() -> None:
    rig = DeskRig().booted()
    missed = rig.next_candle(Side.LONG)
    after = rig.next_candle(Side.LONG)
    rig.asked.clear()
    rig.say(world.CandleClosed(BTC, "1m", after))
    assert rig.bot.missing == (("", "a ready symbol"), (BTC, "candles 1m"))
    asked = requests.LoadHistory(BTC, "1m", missed.open_ms, after.open_ms)
    assert rig.only(requests.LoadHistory) == asked
    rig.say(world.HistoryMissed(BTC, "1m", "no answer"))
    rig.asked.clear()
    rig.pass_s(5)
    rig.say(world.ClockTicked())
    assert rig.only(requests.LoadHistory) == asked
    rig.say(world.HistoryLoaded(BTC, "1m", (missed,)))
    assert not rig.bot.missing


def test_candles_of_another_timeframe_move_nothing() -> None:
    rig = DeskRig().booted()
    rig.say(world.CandleClosed(BTC, "5m", rig.next_candle(Side.LONG)))
    assert rig.asked == []


def test_ready_waits_for_the_last_fact() -> None:
    rig = DeskRig()
    rig.tell(LIFECYCLE, lifecycle.StartRequested())
    while rig.answer_start():
        pass
    assert rig.stage() is lifecycle.S.SYNC
    assert rig.bot.missing == (
        ("", "a ready symbol"),
        ("", "clock"),
        (BTC, "mark price"),
        (BTC, "quote"),
    )
    rig.pass_s(50)
    assert rig.stage() is lifecycle.S.SYNC
    rig.pass_s(15)
    assert "STAGE_LATE" in rig.announced()
    assert rig.stage() is lifecycle.S.SYNC  # no timer opens the gate
    rig.mark(60_000)
    assert rig.stage() is lifecycle.S.READY


# The stop.


def test_a_stop_cancels_the_entry_and_waits_for_its_end() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    rig.say(world.OrderPushed(rig.ended(ticket, OrderState.LIVE)))
    stopping(rig)
    assert rig.only(requests.CancelOrder).ticket == ticket
    assert step_under_way(rig) is StopStep.TRADING_CONTROL
    rig.say(world.OrderPushed(rig.ended(ticket)))
    assert step_under_way(rig) is StopStep.SAFETY


def test_an_entry_that_fills_while_the_bot_stops_is_protected() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    stopping(rig)
    assert rig.taken(requests.CancelOrder) == []  # nothing to cancel yet: its answer is still to come
    rig.say(world.OrderPushed(rig.filled(ticket, ticket.contracts, 60_000)))
    stop = rig.only(requests.PlaceStop)
    assert step_under_way(rig) is StopStep.TRADING_CONTROL
    rig.say(world.StopPushed(rig.stop(stop)))
    assert step_under_way(rig) is StopStep.TRADING_CONTROL  # the last look is under way
    last_look(rig, rig.reading(rig.position(ticket.contracts), stops=(rig.stop(stop),)))
    assert step_under_way(rig) is StopStep.SAFETY


def last_look(rig: DeskRig, reading: world.AccountReading) -> None:
    """The reading that the stop waits for, as the venue answers it."""
    rig.say(world.AccountRead(rig.only(reconciliation.ReadAccount).seq, reading))


def test_a_stop_whose_last_look_shows_no_stop_places_another() -> None:
    rig = DeskRig().booted()
    rig.covered()
    rig.pass_s(1)
    stopping(rig)
    last_look(rig, rig.reading(rig.position("0.25")))
    assert step_under_way(rig) is StopStep.TRADING_CONTROL
    rig.pass_s(rig.pace.stop_retry_s)
    again = rig.only(requests.PlaceStop)
    rig.say(world.StopPushed(rig.stop(again)))
    last_look(rig, rig.reading(rig.position("0.25"), stops=(rig.stop(again),)))
    assert step_under_way(rig) is StopStep.SAFETY


def test_a_cancel_that_was_wanted_before_the_answer_is_sent_with_it() -> None:
    rig = DeskRig().booted()
    ticket = rig.enter()
    stopping(rig)
    rig.tell(of(Part.ENTRY), order.OrderAcknowledged(ticket.seq))
    assert rig.only(requests.CancelOrder).ticket == ticket


def test_a_stop_decides_nothing_new_and_cancels_no_stop() -> None:
    rig = DeskRig().booted()
    stop = rig.covered()
    stopping(rig)
    last_look(rig, rig.reading(rig.position("0.25"), stops=(rig.stop(stop),)))
    assert step_under_way(rig) is StopStep.SAFETY
    rig.asked.clear()
    rig.pass_s(2)
    rig.cross(Side.SHORT)  # the strategy's exit
    rig.mark(60_700)  # take profit
    rig.pass_s(10_000)
    rig.say(world.ClockTicked())  # the longest holding time
    deciding = (requests.PlaceOrder, requests.CancelStops, requests.PlaceStop)
    assert [effect for effect in rig.asked if isinstance(effect, deciding)] == []
    assert rig.slot().position.state is position.S.OPEN
    assert rig.slot().protection.state in protection.COVERS


def test_a_stop_step_past_its_deadline_is_recorded_and_the_next_one_runs() -> None:
    rig = DeskRig().booted()
    rig.enter()
    stopping(rig)
    rig.asked.clear()
    rig.pass_s(3)
    recorded = rig.only(lifecycle.RecordStopStep)
    assert (recorded.step, recorded.outcome) == (StopStep.TRADING_CONTROL, lifecycle.Outcome.DEADLINE_PASSED)
    assert rig.only(lifecycle.RunStopStep).step is StopStep.SAFETY


def test_the_steps_of_the_stop_run_in_the_users_order_whatever_each_comes_to() -> None:
    rig = DeskRig().booted()
    stopping(rig)
    steps, outcomes = [], list(lifecycle.Outcome)
    while rig.bot.lifecycle.state is lifecycle.S.STOPPING:
        run = rig.taken(lifecycle.RunStopStep)[-1]
        steps.append(run.step)
        outcome = outcomes[len(steps) % 2]  # done, failed, done …
        rig.say(Told(LIFECYCLE, lifecycle.StopStepEnded(run.epoch, outcome)))
    assert [StopStep.TRADING_CONTROL, *steps] == list(StopStep)
    assert rig.only(lifecycle.EndProcess).exit is lifecycle.Exit.STOP_INCOMPLETE
