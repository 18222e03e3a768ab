"""Defects that are planted on purpose: each must be found, and named by one property.

A defect is an edit of the production tables or functions, in force while one exploration
runs, or of the desk's part in the world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import msgspec

from anchorwatch.diagrams.check import classification
from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.configurations import BY_NAME
from anchorwatch.diagrams.check.leg import Leg, replace, with_whose
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.machine import bot as bots
from anchorwatch.machine import (
    connection,
    dead_man,
    gate,
    lifecycle,
    order,
    permission,
    position,
    protection,
    reconciliation,
)
from anchorwatch.machine.bot import Part
from anchorwatch.machine.connection import Name
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
        bots.DEFINITIONS[part] = Definition(definition.name, definition.initial, _without_superfluous(rows))
    try:
        yield
    finally:
        bots.DEFINITIONS.update(before)


def _without_superfluous(rows: list[Row]) -> list[Row]:
    """An edit that takes from a guard what it decided takes its row: a table has none that the row below answers too."""
    kept: list[Row] = []
    last: dict[
        tuple[State, type[Event]], Row | None
    ] = {}  # of each cell, until a row above it answers otherwise
    for row in reversed(rows):
        below = last.setdefault((row.source, row.event), row)
        if (
            below is row
            or below is None
            or (row.dest, row.then, row.verdict)
            != (
                below.dest,
                below.then,
                below.verdict,
            )
        ):
            kept.append(row)
            if below is not row:
                last[row.source, row.event] = None
    return kept[::-1]


@contextmanager
def answering(name: str, answer: object) -> Iterator[None]:
    """A function of the router that always answers the same."""
    before = getattr(bots, name)
    setattr(bots, name, lambda *_, **__: answer)
    try:
        yield
    finally:
        setattr(bots, name, before)


@contextmanager
def classifying(item: type[Any], classifier: Callable[[Leg, Facets, Any], Any]) -> Iterator[None]:
    before = classification.CLASSIFIERS[item]
    classification.CLASSIFIERS[item] = classifier
    try:
        yield
    finally:
        classification.CLASSIFIERS[item] = before


def _row(source: State | tuple[State, ...], event: type[Event], **changes: object) -> Callable[[Row], Row]:
    """Edits the rows of a cell, or of one event in several states, that are not about stale reports."""
    sources = source if isinstance(source, tuple) else (source,)

    def edit(row: Row) -> Row:
        is_it = row.source in sources and row.event is event
        is_stale = row.verdict is Verdict.IGNORED and row.when is not None
        return msgspec.structs.replace(row, **changes) if is_it and not is_stale else row

    return edit


@contextmanager
def _together(*plants: Callable[[], Any]) -> Iterator[None]:
    """Several edits that are one defect."""
    with ExitStack() as stack:
        for plant in plants:
            stack.enter_context(plant())
        yield


@contextmanager
def _deeming(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """A name of a machine's module that stands for something else."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def routing(effect: type[Effect], route: bots.Route) -> Iterator[None]:
    before = bots.ROUTES[effect]
    bots.ROUTES[effect] = route
    try:
        yield
    finally:
        bots.ROUTES[effect] = before


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


def _always_close(run: Any, address: bots.Address, effect: Effect) -> list[bots.Told]:
    """A closing order for every reason, whatever is under way."""
    run.put_out(address, effect)
    wanted = order.OrderWanted(run.next_sequence(), order.Role.CLOSE)
    return [(bots.Address(Part.CLOSE, leg=address.leg), wanted)]


def _without_peak(leg: Leg, facets: Facets, item: i.Compare) -> classification.Classified:
    """The next life forgets how far the stop had come."""
    after, told = classification.CLASSIFIED_AS_PROMISED[i.Compare](leg, facets, item)
    return replace(after, wanted=0) if not leg.recalled else after, told


def _wait_again(stop: protection.Stop, event: Event) -> tuple[protection.Stop, tuple[Effect, ...]]:
    return stop, (protection.StartNakedClock(), protection.StartRetry(stop.seq))


ORDERS = (Part.ENTRY, Part.CLOSE)
PROTECTION = (Part.PROTECTION,)
ONE = Bounds("one entry", entries=1)
DOUBT = Bounds("one entry, one fault", entries=1, faults=1)
PROMPT = Bounds("one entry, one fault, prompt", entries=1, faults=1, prompt=True)
MOVES = Verdict.MOVES

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
        lambda: answering("may_still_send", ()),
    ),
    Defect(
        "an entry goes out though the journal failed",
        "S2",
        msgspec.structs.replace(DOUBT, slow_journal=True, journal_fails=True),
        lambda: edited(ORDERS, _row(order.S.PLANNED, order.IntentFailed, dest=order.S.SENT, then=order.send)),
    ),
    Defect(
        "an unanswered order is sent again",
        "S3",
        PROMPT,
        lambda: edited(ORDERS, _row(order.S.SENT, order.AnswerLost, dest=order.S.SENT, then=order.send)),
    ),
    Defect(
        "a second entry does not wait for the first",
        "S4",
        msgspec.structs.replace(PROMPT, entries=2, pushy=True),
        lambda: _together(
            lambda: answering("entry_obstacles", ()),
            lambda: edited(
                ORDERS,
                _row(order.OUT, order.OrderWanted, dest=order.S.PLANNED, then=order.plan, verdict=MOVES),
            ),
            lambda: edited((Part.POSITION,), _row(position.S.ENTERING, position.EntryStarted, verdict=MOVES)),
        ),
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
        "the next life forgets how far the stop had come",
        "S9",
        msgspec.structs.replace(PROMPT, moves=True, strangers=True, crashes=1),
        lambda: classifying(i.Compare, _without_peak),
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
        "a close that is wanted of nothing makes an order",
        "S11",
        msgspec.structs.replace(PROMPT, pushy=True),
        lambda: edited(
            (Part.POSITION,),
            _row(
                position.S.FLAT,
                position.CloseWanted,
                dest=position.S.CLOSING,
                then=position.cancel_entry_and_close,
                verdict=MOVES,
            ),
        ),
    ),
    Defect(
        "in net mode the other side of the position is forgotten",
        "S11",
        msgspec.structs.replace(PROMPT, entries=2, faults=0, both_legs=True, net=True),
        lambda: _deeming(gate, "_is_busy", lambda _: False),
    ),
    Defect(
        "every reason to close makes an order of its own",
        "S12",
        msgspec.structs.replace(PROMPT, pushy=True),
        lambda: _together(
            lambda: routing(position.StartClose, _always_close),
            lambda: edited(
                ORDERS,
                _row(order.OUT, order.OrderWanted, dest=order.S.PLANNED, then=order.plan, verdict=MOVES),
            ),
            lambda: edited(
                (Part.POSITION,),
                _row(
                    position.S.CLOSING,
                    position.CloseWanted,
                    then=position.cancel_entry_and_close,
                    verdict=MOVES,
                ),
            ),
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
        lambda: answering("is_covered", True),
    ),
    Defect(
        "the stop does not wait for cover",
        "S15",
        msgspec.structs.replace(ONE, stops=True),
        lambda: answering("is_covered", True),
    ),
    Defect(
        "the stop does not wait for the end of the countdown",
        "S16",
        msgspec.structs.replace(PROMPT, stops=True, rests=True, dead_man=True),
        lambda: _deeming(dead_man, "QUIET", tuple(dead_man.S)),
    ),
    Defect(
        "what an earlier life armed is taken for nothing",
        "S16",
        msgspec.structs.replace(PROMPT, stops=True, rests=True, dead_man=True, crashes=1),
        lambda: _deeming(bots, "with_countdown_left_behind", lambda bot: bot),
    ),
    Defect(
        "a pause is not recorded",
        "S17",
        msgspec.structs.replace(ONE, operator=True),
        lambda: edited((Part.PERMISSION,), _row(permission.S.OPEN, permission.PauseRequested, then=_nothing)),
    ),
)

LIVE_DEFECTS: tuple[Defect, ...] = (
    Defect(
        "the stage WS has no deadline",
        "L1",
        Bounds("a start", entries=0, faults=1, detailed=(Name.PRIVATE,), prompt=True),
        lambda: edited(
            (Part.LIFECYCLE,),
            _row(lifecycle.S.WS, lifecycle.DeadlinePassed, dest=lifecycle.S.WS, then=None),
        ),
    ),
    Defect(
        "the first failed reconnect disarms the reconnect",
        "L2",
        Bounds("a link", entries=0, faults=1, detailed=(Name.PRIVATE,), prompt=True),
        lambda: edited(
            (Part.CONNECTION,),
            _row(
                connection.S.BACKING_OFF,
                connection.WaitElapsed,
                dest=connection.S.BACKING_OFF,
                then=None,
            ),
        ),
    ),
    Defect(
        "an order in doubt is asked for once",
        "L3",
        PROMPT,
        lambda: edited(ORDERS, _row(order.S.IN_DOUBT, order.QueryInconclusive, then=None)),
    ),
    Defect(
        "a refused stop is waited for and never placed again",
        "L4",
        PROMPT,
        lambda: _together(
            lambda: edited(
                PROTECTION,
                _row(protection.S.NAKED, protection.RetryDue, dest=protection.S.NAKED, then=_wait_again),
            ),
            lambda: edited(
                PROTECTION,
                _row(protection.S.NAKED, protection.NakedTooLong, dest=protection.S.NAKED, then=_wait_again),
            ),
        ),
    ),
    Defect(
        "why a position is gone is asked once",
        "L5",
        msgspec.structs.replace(PROMPT, crashes=1),
        lambda: edited((Part.POSITION,), _row(position.S.VANISHED, position.ConfirmationFailed, then=None)),
    ),
    Defect(
        "a move whose answer is lost is not read back",
        "L6",
        msgspec.structs.replace(PROMPT, moves=True),
        lambda: edited(
            PROTECTION,
            _row(protection.S.MOVING, protection.StopAnswerLost, dest=protection.S.MOVING, then=None),
        ),
    ),
    Defect(
        "the stop waits for a quiet that nobody notices",
        "L7",
        msgspec.structs.replace(PROMPT, stops=True),
        lambda: _together(
            lambda: answering("in_flight", True),
            lambda: edited(
                (Part.LIFECYCLE,),
                _row(lifecycle.S.STOPPING, lifecycle.DeadlinePassed, dest=lifecycle.S.STOPPING, then=None),
            ),
        ),
    ),
    Defect(
        "a doubt shuts entries and reads nothing",
        "L8",
        msgspec.structs.replace(PROMPT, doubts=True),
        lambda: edited(
            (Part.RECONCILIATION,),
            _row(
                reconciliation.S.SETTLED, reconciliation.BookDoubted, dest=reconciliation.S.UNKNOWN, then=None
            ),
        ),
    ),
)
"""Defects that break a property of liveness and no other."""


def _all_ours(leg: Leg, facets: Facets, item: i.Compare) -> classification.Classified:
    after, told = classification.CLASSIFIED_AS_PROMISED[i.Compare](leg, facets, item)
    if leg.recalled or not after.booked:
        return after, told
    after = with_whose(after, part_in_doubt=False)
    after = replace(after, booked=after.booked + after.others, others=0)
    missed = i.to_position(position.PositionMissed)
    return after, tuple(i.to_position(position.PositionSeen) if one == missed else one for one in told)


def _unasked(leg: Leg, facets: Facets, item: i.CheckCover) -> classification.Classified:
    leg = with_whose(leg, may_be_ours=False)
    return classification.CLASSIFIED_AS_PROMISED[i.CheckCover](leg, facets, item)


def _never_told(leg: Leg, facets: Facets, item: i.NoEndForLong) -> classification.Classified:
    return leg, (i.to_position(position.ConfirmationFailed),)


DESK_DEFECTS: tuple[Defect, ...] = (
    Defect(
        "the fills that a reading of the leg counts are booked again",
        "S13",
        Bounds("one entry in parts", entries=1, size=2, faults=1, prompt=True),
        lambda: classifying(i.LegAnswer, _uncounted_leg),
    ),
    Defect(
        "a reading of the stops of an earlier leg is believed",
        "S8",
        Bounds("two entries, overtaken", entries=2, overtaking=True, late_reads=True),
        lambda: classifying(i.StopsAnswer, _late_stops),
    ),
    Defect(
        "all that a new life is shown is ours",
        "S11",
        Bounds("shared, over a crash", entries=1, faults=1, crashes=1, shared=True, prompt=True),
        lambda: classifying(i.Compare, _all_ours),
    ),
    Defect(
        "whose it is that a life without its disk finds is not asked",
        "S14",
        Bounds("shared, a disk", entries=1, crashes=1, shared=True, disks=True, prompt=True),
        lambda: classifying(i.CheckCover, _unasked),
    ),
    Defect(
        "what never was is asked about for ever",
        "L5",
        BY_NAME["hearsay"],
        lambda: classifying(i.NoEndForLong, _never_told),
    ),
)
"""Defects of what the desk makes of reports: they need larger worlds, and a minute."""
