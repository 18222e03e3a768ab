"""The rules of the instruments as they change while the bot runs: states, steps and largest sizes.

OKX v5 changes tick and lot sizes of live swaps, and suspends them. What is sent next
follows the new rules; a stop that rests keeps its level until it is moved. An instrument that
is not live takes no entries, and its positions are protected and closed as far as the venue lets.
"""

from __future__ import annotations

from anchorwatch.machine import order, protection, world
from anchorwatch.machine.bot import LIFECYCLE, FactGained, FactLost
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.requests import ReloadRules
from anchorwatch.machine.units import Instrument

LIVE = "instrument live"
"""The fact that the venue takes ordinary orders on it."""

RELOAD_EVERY_MS = 3_600_000
"""The channel tells of changes; a reading an hour finds one whose push was lost."""

LOOK_EVERY_MS = 60_000
"""What is suspended is asked for so often: its return is pushed once, and no refusal tells that it was missed."""


def take_all(context: Context, event: world.VenueReady) -> None:
    """The rules as the stage CLIENT has read them."""
    context.book.instruments = {rules.name: rules for rules in event.instruments}
    context.book.rules_at_ms = context.book.rules_looked_at_ms = context.now_ms
    for rules in event.instruments:
        _take_state(context, rules)


def take(context: Context, event: world.RulesRead) -> None:
    """The rules of one instrument, pushed or read again; when they could not be had the old ones go on."""
    rules, known = event.rules, context.book.instruments.get(event.instrument)
    if rules is None or known is None or rules == known:
        return
    changed = [name for name in rules.__struct_fields__ if getattr(rules, name) != getattr(known, name)]
    context.book.instruments[rules.name] = rules
    words = "; ".join(f"{name} {getattr(known, name)} → {getattr(rules, name)}" for name in changed)
    context.announce("warning", "INSTRUMENT_CHANGED", instrument=rules.name, what=words)
    _take_state(context, rules)


def _take_state(context: Context, rules: Instrument) -> None:
    told = FactGained(rules.name, LIVE) if rules.is_live else FactLost(rules.name, LIVE)
    context.tell(LIFECYCLE, told)


def reload(context: Context, instrument: str) -> None:
    """Ask for the rules again: the venue has refused what follows the ones that are known."""
    context.ask(ReloadRules(instrument))


REFUSALS = (order.OrderRefused, order.AmendRefused, protection.MoveRefused)
"""Each may mean that the rules have changed and the push was lost: what is sent next must follow the new ones."""


def forget_their_age(context: Context) -> None:
    """The channel tells changes and no state: what was pushed while it was away is read with the next look."""
    context.book.rules_at_ms = context.book.rules_looked_at_ms = 0


def reload_the_old(context: Context) -> None:
    """Ask again for the rules that may have changed unheard."""
    book = context.book
    if context.now_ms - book.rules_looked_at_ms < LOOK_EVERY_MS:
        return
    book.rules_looked_at_ms = context.now_ms
    is_old = context.now_ms - book.rules_at_ms >= RELOAD_EVERY_MS
    if is_old:
        book.rules_at_ms = context.now_ms
    for name, known in book.instruments.items():
        if is_old or not known.is_live:
            reload(context, name)
