"""What is known of the venue itself: whether it is under maintenance, and whether its clock and ours agree."""

from __future__ import annotations

from collections.abc import Mapping

from anchorwatch.machine import maintenance, world
from anchorwatch.machine.bot import LIFECYCLE, FactGained, FactLost
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.kernel import Effect

OPEN = "venue open"
"""The fact that no maintenance of trading goes on or is near. Held until the venue says otherwise."""

STEADY = "clock steady"
"""The fact that the clocks did not jump apart. Held until a measurement says otherwise."""


def take_status(context: Context, event: world.StatusRead) -> None:
    """What the venue has announced, the whole of it. What is new in it is told when it is heard of, days before."""
    known = {(one.title, one.begin_ms) for one in context.book.announced}
    context.book.announced = event.announced
    for one in event.announced:
        if (one.title, one.begin_ms) not in known and not one.goes_on:
            context.announce("warning", "MAINTENANCE_AHEAD", what=one.title, **_times(one, context.now_ms))
    look(context)


def look(context: Context) -> None:
    """Ahead of a maintenance and in it nothing is entered; stops rest, and what protects goes on as far as it can."""
    if not context.book.announced and context.maintenance.state is maintenance.S.OPEN:
        return
    stands = maintenance.stands(context.book.announced, context.now_ms)
    context.maintenance, effects = context.step(maintenance.MAINTENANCE, "venue", context.maintenance, stands)
    _hold(context, OPEN, holds=context.maintenance.state is maintenance.S.OPEN)
    for effect in effects:
        level, name, policy = TOLD[type(effect)]
        what = context.book.announced[0].title if context.book.announced and policy else ""
        fields = {"what": what, "policy": policy} if policy else {}
        context.announce(level, name, **fields)


TOLD: Mapping[type[Effect], tuple[str, str, str]] = {
    maintenance.TellNear: ("alarm", "MAINTENANCE_NEAR", "no entries from now on until it is over"),
    maintenance.TellBegun: ("alarm", "MAINTENANCE", "no entries until it is over"),
    maintenance.TellOver: ("info", "MAINTENANCE_OVER", ""),
    maintenance.TellCalledOff: ("info", "MAINTENANCE_CALLED_OFF", ""),
}
"""The level, the line and the policy of what is told."""


def _times(one: maintenance.Announced, now_ms: int) -> dict[str, object]:
    lasts = {"lasts_min": (one.end_ms - one.begin_ms) // 60_000} if one.end_ms else {}
    return {"begins_in_min": max(0, one.begin_ms - now_ms) // 60_000, **lasts}


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
