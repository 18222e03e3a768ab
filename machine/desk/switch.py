"""The dead man's switch in numbers, and the look at what it took when it fired."""

from __future__ import annotations

from anchorwatch.machine import dead_man, reconciliation, world
from anchorwatch.machine.bot import DEAD_MAN, RECONCILIATION, Address
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.facts import DeadManFact
from anchorwatch.machine.requests import CancelAllAfter, Record, StartTimer

RENEWALS_A_COUNTDOWN = 3
"""Two renewals in a row may be lost before the countdown runs out."""

RETRY_S = 2.0
"""The venue takes one request a second for each tag."""

TAKES_WITHIN_MS = 10_000
"""The venue cancels one order after another, and may take seconds (OKX v5, cancel-all-after)."""

NOTICED_WITHIN_MS = 120_000
"""A reading only finds that a stop is gone, some time after: at most the longest countdown ago."""


def renew(context: Context, address: Address, effect: dead_man.Renew) -> None:
    context.ask(CancelAllAfter(effect.seq, context.parameters.dead_man_s))


def disarm(context: Context, address: Address, effect: dead_man.Disarm) -> None:
    context.ask(CancelAllAfter(effect.seq, 0))


def renew_later(context: Context, address: Address, effect: dead_man.StartRenewalTimer) -> None:
    seconds = context.parameters.dead_man_s / RENEWALS_A_COUNTDOWN
    context.ask(StartTimer("dead man", seconds, DEAD_MAN, dead_man.RenewalDue(effect.seq)))


def retry_later(context: Context, address: Address, effect: dead_man.StartRetryTimer) -> None:
    context.ask(StartTimer("dead man", RETRY_S, DEAD_MAN, dead_man.RenewalDue(effect.seq)))


def tell_failing(context: Context, address: Address, effect: dead_man.TellFailing) -> None:
    policy = "no entry rests until it works"
    context.announce("alarm", "DEAD_MAN_FAILING", reason=effect.reason, policy=policy)


def give_up(context: Context, address: Address, effect: dead_man.GiveUp) -> None:
    context.announce("alarm", "DEAD_MAN_OFF", reason=effect.reason, policy="it is not used again")
    context.ask(Record((DeadManFact(effect.reason, context.now_ms),)))
    context.ask(CancelAllAfter(context.bot.dead_man.data.seq, 0))


# What a firing took.


def note_firing(context: Context, report: world.OrderReport) -> None:
    """An entry was cancelled by the countdown: is every stop still there?"""
    if report.ending is not world.Ending.DEAD_MAN:
        return
    context.announce("warning", "DEAD_MAN_FIRED", order=report.client_id, instrument=report.instrument)
    context.book.fired_ms = report.updated_ms
    _judge(context)
    context.tell(RECONCILIATION, reconciliation.BookDoubted("the dead man's switch has fired"))


def note_lost_stop(context: Context, since_ms: int, until_ms: int) -> None:
    """A stop of ours went from under its position between these times, and nobody is known to have taken it."""
    context.book.lost_stop_ms = (since_ms, until_ms)
    _judge(context)


def note_missing_stop(context: Context) -> None:
    """The same, found by a reading: it went some time since the one before."""
    note_lost_stop(context, context.now_ms - NOTICED_WITHIN_MS, context.now_ms)


def _judge(context: Context) -> None:
    fired_ms, lost_ms = context.book.fired_ms, context.book.lost_stop_ms
    if fired_ms is None or lost_ms is None:
        return
    if lost_ms[0] - TAKES_WITHIN_MS <= fired_ms <= lost_ms[1] + TAKES_WITHIN_MS:
        context.book.fired_ms = context.book.lost_stop_ms = None
        reason = "a firing of cancel-all-after took a protective stop"
        context.tell(DEAD_MAN, dead_man.StopsTaken(reason))
