"""Closes that a missing cover asks for: told, counted, and the end of entries when they repeat.

One emergency close is an accident. Two with one cause within a minute are a defect, of ours or of the venue, that
every further entry would meet again: entries are halted, and a third is not entered into. They are remembered over a
restart: a crash between the two is no new beginning.
"""

from __future__ import annotations

from anchorwatch.machine import permission, protection
from anchorwatch.machine.book import Emergency, LegBook
from anchorwatch.machine.bot import PERMISSION, Address
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.facts import EmergencyFact, Facts
from anchorwatch.machine.requests import Record

REPEATED = 2
REPEATED_WITHIN_MS = 60_000


def remember(context: Context, facts: Facts) -> None:
    context.book.emergencies = [Emergency(one.leg, one.at_ms, one.why) for one in facts.emergencies]


def _is_of_this(one: Emergency, leg: LegBook) -> bool:
    """The position that was to be closed then is the one that the leg holds still."""
    return one.leg == leg.leg and bool(leg.entered_ms) and one.at_ms >= leg.entered_ms


def note(context: Context, address: Address, effect: protection.AskForClose) -> None:
    """Tell the close that the protection of a leg asks for, and halt entries when such closes repeat."""
    assert address.leg is not None
    leg, book = context.book.leg(address.leg), context.book
    why = leg.refused_code or effect.reason
    context.announce("alarm", "EMERGENCY_CLOSE", leg=address.leg, why=effect.reason, code=leg.refused_code)
    since_ms = context.now_ms - REPEATED_WITHIN_MS
    recent = [one for one in book.emergencies if one.at_ms > since_ms]
    if any(_is_of_this(one, leg) for one in recent):
        return  # it grew, or was found again, while it was being closed: one position is one accident
    book.emergencies = [*recent, Emergency(address.leg, context.now_ms, why)]
    context.ask(Record((EmergencyFact(address.leg, context.now_ms, why),)))
    count = len([one for one in book.emergencies if one.why == why])
    if count >= REPEATED:
        reason = f"{count} emergency closes within a minute: {why}"
        context.tell(PERMISSION, permission.HaltRequested(reason))
