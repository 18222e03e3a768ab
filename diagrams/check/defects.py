"""Defects that are planted on purpose: each must be found, and named by one property.

A defect is an edit of the production tables or functions, in force while one exploration
runs, or of the desk's part in the world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from anchorwatch.diagrams.check import classification
from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.leg import Leg, replace
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.machine import bot as bots
from anchorwatch.machine import order, permission, position, protection
from anchorwatch.machine.bot import Part
from anchorwatch.machine.kernel import Data, Definition, Effect, Event, Row, State, Verdict


class Defect(msgspec.Struct, frozen=True):
    """``breaks`` is the property that must name it; ``bounds`` the smallest world that shows it."""

    name: str
    breaks: str
    bounds: Bounds
    plant: Callable[[], Any]


@contextmanager
def edited(parts: tuple[Part, ...], edit: Callable[[Row], Row]) -> Iterator[None]:
    """The tables of ``parts`` with every row passed through ``edit``."""
    before = {part: bots.DEFINITIONS[part] for part in parts}
    for part, definition in before.items():
        rows = [edit(row) for row in definition.rows]
        assert rows != list(definition.rows), "the edit finds its row"
        bots.DEFINITIONS[part] = Definition(definition.name, definition.initial, rows)
    try:
        yield
    finally:
        bots.DEFINITIONS.update(before)


@contextmanager
def _answering(name: str, answer: object) -> Iterator[None]:
    """A function of the router that always answers the same."""
    before = getattr(bots, name)
    setattr(bots, name, lambda *_: answer)
    try:
        yield
    finally:
        setattr(bots, name, before)


@contextmanager
def _classifying(item: type[Any], classifier: Callable[[Leg, Facets, Any], Any]) -> Iterator[None]:
    before = classification.CLASSIFIERS[item]
    classification.CLASSIFIERS[item] = classifier
    try:
        yield
    finally:
        classification.CLASSIFIERS[item] = before


def _row(source: State, event: type[Event], **changes: object) -> Callable[[Row], Row]:
    """Edits the rows of one cell that are not about stale reports."""

    def edit(row: Row) -> Row:
        is_it = row.source is source and row.event is event
        is_stale = row.verdict is Verdict.IGNORED and row.when is not None
        return msgspec.structs.replace(row, **changes) if is_it and not is_stale else row

    return edit


def _nothing(data: Data, event: Event) -> tuple[Data, tuple[Effect, ...]]:
    return data, ()


def _end_without_cause(leg: position.Leg, event: Event) -> tuple[position.Leg, tuple[Effect, ...]]:
    return leg, (position.EndLeg(""),)


def _cancel_then_create(stop: protection.Stop, event: Event) -> tuple[protection.Stop, tuple[Effect, ...]]:
    return stop, (protection.SweepAll(), protection.PlaceStop(stop.seq))


def _uncounted_leg(leg: Leg, facets: Facets, answer: i.LegAnswer) -> classification.Classified:
    """Takes the venue's figures over without noting which fills they count."""
    if answer.shown is None or not answer.shown.contracts:
        return classification.CLASSIFIED_AS_PROMISED[i.LegAnswer](leg, facets, answer)
    after = replace(leg, booked=answer.shown.contracts)
    return after, (i.to_position(position.ReadEnded),)


def _late_stops(leg: Leg, facets: Facets, answer: i.StopsAnswer) -> classification.Classified:
    """Believes a reading of the stops that an earlier leg had asked for."""
    if not answer.is_late:
        return classification.CLASSIFIED_AS_PROMISED[i.StopsAnswer](leg, facets, answer)
    fresh = msgspec.structs.replace(answer, is_late=False)
    after, told = classification.CLASSIFIED_AS_PROMISED[i.StopsAnswer](leg, facets, fresh)
    return after, tuple(item for item in told if isinstance(item, i.Adopt))


ORDERS = (Part.ENTRY, Part.CLOSE)
PROTECTION = (Part.PROTECTION,)
ONE = Bounds("one entry", entries=1)
DOUBT = Bounds("one entry, one fault", entries=1, faults=1)

DEFECTS: tuple[Defect, ...] = (
    Defect(
        "an acknowledgement after the push is called impossible",
        "S0",
        ONE,
        lambda: edited(
            ORDERS, _row(order.S.LIVE, order.OrderAcknowledged, verdict=Verdict.IMPOSSIBLE, because="planted")
        ),
    ),
    Defect(
        "the last look before the wire lets everything pass",
        "S1",
        msgspec.structs.replace(ONE, operator=True),
        lambda: _answering("may_still_send", ()),
    ),
    Defect(
        "an entry goes out though the journal failed",
        "S2",
        msgspec.structs.replace(DOUBT, slow_journal=True, journal_fails=True),
        lambda: edited(ORDERS, _row(order.S.PLANNED, order.IntentFailed, dest=order.S.SENT, then=order.send)),
    ),
    Defect(
        "an unanswered order is held dead",
        "S5",
        DOUBT,
        lambda: edited(
            ORDERS, _row(order.S.SENT, order.AnswerLost, dest=order.S.ABSENT, then=order.end_absent)
        ),
    ),
    Defect(
        "the first fill does not open the leg",
        "S6",
        ONE,
        lambda: edited(
            (Part.POSITION,),
            _row(position.S.ENTERING, position.PositionSeen, dest=position.S.ENTERING, then=None),
        ),
    ),
    Defect(
        "naked for too long asks for nothing",
        "S7",
        DOUBT,
        lambda: edited(PROTECTION, _row(protection.S.NAKED, protection.NakedTooLong, then=_nothing)),
    ),
    Defect(
        "an unanswered stop counts as cover",
        "S8",
        DOUBT,
        lambda: edited(
            PROTECTION,
            _row(
                protection.S.ARMING,
                protection.StopAnswerLost,
                dest=protection.S.COVERED,
                then=protection.cover,
            ),
        ),
    ),
    Defect(
        "a stop is moved by cancelling it first",
        "S10",
        msgspec.structs.replace(ONE, moves=True),
        lambda: edited(
            PROTECTION,
            _row(protection.S.COVERED, protection.MoveWanted, then=_cancel_then_create),
        ),
    ),
    Defect(
        "a closing order that ended is taken for a closed position",
        "S13",
        ONE,
        lambda: edited(
            (Part.POSITION,),
            _row(position.S.CLOSING, position.CloseEnded, dest=position.S.FLAT, then=_end_without_cause),
        ),
    ),
    Defect(
        "READY does not wait for cover",
        "S14",
        Bounds("one entry, one crash", entries=1, crashes=1, faults=1),
        lambda: _answering("is_covered", True),
    ),
    Defect(
        "the stop does not wait for cover",
        "S15",
        msgspec.structs.replace(ONE, stops=True),
        lambda: _answering("is_covered", True),
    ),
    Defect(
        "a pause is not recorded",
        "S17",
        msgspec.structs.replace(ONE, operator=True),
        lambda: edited((Part.PERMISSION,), _row(permission.S.OPEN, permission.PauseRequested, then=_nothing)),
    ),
)

DESK_DEFECTS: tuple[Defect, ...] = (
    Defect(
        "the fills that a reading of the leg counts are booked again",
        "S13",
        Bounds("one entry in parts", entries=1, size=2, faults=1, prompt=True),
        lambda: _classifying(i.LegAnswer, _uncounted_leg),
    ),
    Defect(
        "a reading of the stops of an earlier leg is believed",
        "S8",
        Bounds("two entries, overtaken", entries=2, overtaking=True, late_reads=True),
        lambda: _classifying(i.StopsAnswer, _late_stops),
    ),
)
"""Defects of what the desk makes of reports: they need larger worlds, and a minute."""
