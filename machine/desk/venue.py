"""What is known of the venue itself: whether it is under maintenance, and whether its clock and ours agree."""

from __future__ import annotations

from anchorwatch.machine import world
from anchorwatch.machine.bot import LIFECYCLE, FactGained, FactLost
from anchorwatch.machine.desk.context import Context

OPEN = "venue open"
"""The fact that no maintenance of trading goes on. Held until the venue says otherwise."""

STEADY = "clock steady"
"""The fact that the clocks did not jump apart. Held until a measurement says otherwise."""


def take_status(context: Context, event: world.StatusRead) -> None:
    """Under maintenance nothing is entered; stops rest, and what protects goes on as far as the venue lets it."""
    if _hold(context, OPEN, holds=not event.maintenance):
        if event.maintenance:
            context.announce(
                "alarm", "MAINTENANCE", what=event.maintenance, policy="no entries until it is over"
            )
        else:
            context.announce("info", "MAINTENANCE_OVER")


def take_clock(context: Context, event: world.ClockMeasured) -> None:
    """A clock that was set is followed at once, and trusted when a second measurement agrees."""
    if _hold(context, STEADY, holds=not event.jump_ms) and event.jump_ms:
        context.announce("alarm", "CLOCK_JUMPED", ms=event.jump_ms, offset_ms=event.offset_ms)


def _hold(context: Context, fact: str, *, holds: bool) -> bool:
    """Tell a fact of the bot where it changed; says whether it did."""
    is_changed = holds is (("", fact) in context.bot.missing)
    if is_changed:
        context.tell(LIFECYCLE, FactGained("", fact) if holds else FactLost("", fact))
    return is_changed
