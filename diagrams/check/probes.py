"""Reports of the past, put to every snapshot that is reached: none of them may move anything.

What the world drops because it has become stale, or because it is late for what has ended (see
`calm`), is dropped rightly if these find nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, dead_man, lifecycle, order, protection
from anchorwatch.machine.bot import Part
from anchorwatch.machine.kernel import Event, Kind, Snapshot, UnexpectedEvent, identities, kinds, renamed

LATE, STALE = "late", "stale"

NEW_IDENTITY = (
    order.OrderWanted,
    order.OrderRecovered,
    protection.CoverWanted,
    protection.CoverAdopted,
    protection.BridgeWanted,
)
"""Events that bring the next identity instead of speaking of one."""

LATE_FOR_AN_ORDER: tuple[type[Event], ...] = (
    order.OrderAcknowledged,
    order.OrderRefused,
    order.AnswerLost,
    order.CancelAcknowledged,
    order.CancelFruitless,
    order.CancelFailed,
    order.AmendAcknowledged,
    order.AmendRefused,
    order.AmendFruitless,
    order.OrderDoubted,
    order.QueryDue,
    order.QueryInconclusive,
    order.AbsenceProven,
    order.OrderSeenLive,
    order.OrderCancelled,
)
"""What is still said of an order whose end is known: answers, timers, and reports that add no fill."""

LATE_FOR_A_STOP: tuple[type[Event], ...] = (
    protection.StopAccepted,
    protection.StopRefused,
    protection.StopAnswerLost,
    protection.StopSeenLive,
    protection.StopGone,
    protection.StopTriggered,
    protection.StopReadFailed,
    protection.RetryDue,
    protection.MoveAccepted,
    protection.MoveRefused,
    protection.FillOverdue,
)
"""What is still said of a stop whose position has ended."""

SWITCHED_OFF: tuple[type[Event], ...] = (
    dead_man.RenewalDue,
    dead_man.RenewalTaken,
    dead_man.RenewalFailed,
    dead_man.DisarmTaken,
    dead_man.DisarmFailed,
)
"""What is still said of a countdown that was given up."""


def defect_of_the_past(part: Part, snapshot: Snapshot[Any]) -> str:
    """How this snapshot is moved by a report about something earlier, or late; empty when it is not."""
    return stale_defect(part, snapshot) or _moved(part, snapshot, _late(snapshot), LATE)


def stale_defect(part: Part, snapshot: Snapshot[Any]) -> str:
    """How this snapshot is moved by a report about something earlier; empty when it is not."""
    # A thousand later, so that there is something earlier, whatever the snapshot.
    given = {value: value + 1_000 for value in identities(snapshot.data) if value}
    if not given:
        return ""
    later = Snapshot(snapshot.state, renamed(snapshot.data, {0: 0, **given}))
    return _moved(part, later, _stale(part), STALE)


def _moved(part: Part, snapshot: Snapshot[Any], events: Iterator[Event], kind: str) -> str:
    definition = bots.DEFINITIONS[part]
    step = getattr(definition, "probe" if kind == LATE else "probe_of_the_past", definition.step)
    for event in events:
        name = type(event).__name__
        try:
            after, effects = step(snapshot, event)
        except (UnexpectedEvent, AssertionError) as error:
            return f"{type(error).__name__} on a {kind} report: {error}"
        if after != snapshot or effects:
            return f"{definition.name}: a {kind} {name} moves {snapshot.state.name}"
    return ""


def _stale(part: Part) -> Iterator[Event]:
    """Every report that can speak of something earlier, about identity 1."""
    for event in bots.DEFINITIONS[part].events:
        named = [field for field, kind in kinds(event).items() if kind is Kind.IDENTITY]
        if len(named) == 1 and named[0] in ("seq", "epoch") and event not in NEW_IDENTITY:
            yield from _with_choices(event, named[0], 1)


def _late(snapshot: Snapshot[Any]) -> Iterator[Event]:
    """Every report that this snapshot has outlived, about what it means."""
    late: tuple[type[Event], ...] = ()
    if snapshot.state in order.FINAL:
        told_again = (order.OrderPartlyFilled, order.OrderFilled) if snapshot.state is order.S.FILLED else ()
        late = (*LATE_FOR_AN_ORDER, *told_again)
        if snapshot.state is order.S.WITHDRAWN:
            late = (*late, order.IntentRecorded, order.IntentFailed)  # the journal was still at it
    elif snapshot.state is protection.S.NONE:
        late = LATE_FOR_A_STOP
    elif snapshot.state is dead_man.S.OFF:
        late = SWITCHED_OFF
    for event in late:
        yield from _with_choices(event, "seq", snapshot.data.seq)


def _with_choices(event: type[Event], named: str, identity: int) -> Iterator[Event]:
    """The event about this identity, with everything that it may say."""
    others = [field for field in event.__struct_fields__ if field != named and field not in kinds(event)]
    if event is protection.StopRefused:
        for refusal in protection.Refusal:
            yield protection.StopRefused(identity, refusal)
    elif event is lifecycle.StopStepEnded:
        for outcome in lifecycle.Outcome:
            yield lifecycle.StopStepEnded(identity, outcome)
    elif event is connection.Hindered:
        for hindrance in connection.Hindrance:
            yield connection.Hindered(identity, hindrance)
    else:
        assert not others, f"{event.__name__}: no choice of {others}"
        yield event(**{named: identity})
