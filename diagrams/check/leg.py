"""What surrounds one leg, outside the machines: venue, network, journal, the desk's book and its timers.

Sizes are small whole numbers of contracts. Levels, prices and times are left out: they
reach the machines only as classified events, and here any of those may come when the
world allows it.

Nothing here names an identity. A message that is kept speaks of the order or stop that the
machine means now; when the machine means another, the message is dropped, because the
machines ignore it then, which `production.Production.stale_defects` shows for every snapshot.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import msgspec

from anchorwatch.machine.order import Role
from anchorwatch.machine.world import OrderState


class Call(Enum):
    """One request: not made, on its way, or the answer that is on its way back."""

    NONE = "none"
    QUEUED = "queued"  # asked for; the last look before the wire is still to come
    WIRE = "on the wire"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    BEYOND = "refused: beyond"
    EXISTS = "refused: exists"
    NO_POSITION = "refused: no position"
    RULES = "refused: the instrument's rules"
    BARRED = "refused: no stops for now"
    LOST = "answer lost"
    DENIED = "denied"

    __hash__ = object.__hash__


class At(Enum):
    """Where an order is at the venue."""

    NOWHERE = "nowhere"
    LIVE = "live"
    DONE = "done"

    __hash__ = object.__hash__


class Report(msgspec.Struct, frozen=True):
    """An order as the venue showed it at some moment; ``filled`` is cumulative."""

    state: OrderState
    filled: int


class Query(Enum):
    """A question about an order, or an answer to it that holds no report."""

    NONE = "none"
    ASKED = "asked"
    ABSENT = "absent"
    FINAL = "absent for good"
    FAILED = "failed"

    __hash__ = object.__hash__


class Order(msgspec.Struct, frozen=True):
    """The order that a slot means, or the child of a stop: at the venue, on its way, and as booked."""

    size: int = 0
    at: At = At.NOWHERE
    filled: int = 0
    record: Call = Call.NONE  # the journal's answer
    intent: bool = False  # the journal holds it without an end
    call: Call = Call.NONE
    stray: bool = False  # its answer was lost, and the request may still arrive
    is_fresh: bool = False  # planned by this life, and not sent yet
    cancel: Call = Call.NONE
    amend: Call = Call.NONE
    query: Query | Report = Query.NONE
    query_timer: bool = False
    overdue_timer: bool = False
    pushes: tuple[Report, ...] = ()
    booked: int = 0  # fills that the desk has taken
    counted: int = 0  # fills that are in figures of the venue which the book took over
    kept: int = 0  # fills that are in what the journal holds as ours; of which child they are it does not say

    @property
    def report(self) -> Report:
        """The order as the venue shows it now."""
        if self.at is At.DONE:
            state = OrderState.FILLED if self.filled == self.size else OrderState.CANCELLED
        else:
            state = OrderState.PARTIAL if self.filled else OrderState.LIVE
        return Report(state, self.filled)

    @property
    def may_fill(self) -> bool:
        """It rests at the venue, or may still arrive there."""
        return self.at is At.LIVE or self.stray or self.call is Call.WIRE

    @property
    def is_untold(self) -> bool:
        """Something of it is on its way to the bot."""
        return (
            bool(self.pushes)
            or self.call is not Call.NONE
            or self.query is not Query.NONE
            or self.cancel is not Call.NONE
            or self.amend is not Call.NONE
            or self.query_timer
        )


class StopPush(Enum):
    LIVE = "live"
    GONE = "gone"
    TRIGGERED = "triggered"

    __hash__ = object.__hash__


class Stop(msgspec.Struct, frozen=True):
    """Stops at the venue: the one that the desk means, or all others of ours."""

    live: bool = False
    known: bool = False  # the desk has it among its live stops
    pushes: tuple[StopPush, ...] = ()
    size: int = 0  # contracts that it closes; 0: all that there are
    seen: int = 0  # the same, as the desk knows it


class StopsSeen(msgspec.Struct, frozen=True):
    mine: bool
    other: bool


class Asked(Enum):
    """A reading that shows nothing yet."""

    ASKED = "asked"
    FAILED = "failed"

    __hash__ = object.__hash__


class Filled(msgspec.Struct, frozen=True):
    """How much of each order had filled at some moment."""

    entry: int = 0
    close: int = 0
    child: int = 0


class Shown(msgspec.Struct, frozen=True):
    """What a reading of one leg's position shows. ``overtaken``: the book has newer reports."""

    contracts: int
    filled: Filled = Filled()
    overtaken: bool = False


class Past(msgspec.Struct, frozen=True):
    """What the venue's lists showed of a leg at some moment. An order that they did not show yet is None."""

    contracts: int
    filled: Filled
    stops: StopsSeen
    entry: Report | None
    close: Report | None


class Reading(msgspec.Struct, frozen=True):
    """A reading of the account under way: positions are read first, stops some time later."""

    contracts: int
    filled: Filled
    stops: StopsSeen | None = None  # None: still to be read
    overtaken: bool = False  # the book took a report from after its start
    mine_renewed: bool = False  # the stop that is meant came to be after its start
    other_renewed: bool = False
    stop_asked: bool = False  # a stop was placed or moved after its start


class Whose(msgspec.Struct, frozen=True):
    """What is asked about whose a position is."""

    taken: int = 0  # contracts of ours that strangers took; below zero: ours took of theirs
    part_in_doubt: bool = False  # what there is of ours in what is shown, our own orders say
    fills_unknown: bool = False  # which fills the life before had booked is found from what it remembered
    is_first: bool = False  # nothing is remembered by this life: of what it finds our own orders are asked
    may_be_ours: bool = False  # what is watched, as far as they have not said
    is_hearsay: bool = False  # an order of somebody else's seemed to open it, and no reading has shown it
    missed_again: bool = False  # since its cause is asked for, another reading has not shown it


class Leg(msgspec.Struct, frozen=True):
    # The venue. ``contracts`` are ours; where the position is shared, the venue shows them and ``theirs`` as one.
    contracts: int = 0
    is_shared: bool = False
    theirs: int = 0
    news: tuple[int, ...] = ()  # strangers' trades whose pushes are on their way
    closed: Filled | None = None  # its history shows that the position that the book means was closed
    entry: Order = Order()
    close: Order = Order()
    child: Order = Order()  # of a stop; or a stranger's order that closes
    mine: Stop = Stop()
    other: Stop = Stop()
    # Requests and answers about stops and the position.
    place: Call = Call.NONE
    stray_stop: bool = False  # its answer was lost, and the request may still arrive
    stray_other: bool = False  # the same for a stop that is not meant any more
    move: Call = Call.NONE
    late_place: Call = Call.NONE  # the answer to an earlier try of the same stop
    place_size: int = 0  # what these two ask for; 0: the whole position, or no other size
    move_size: int = 0
    sweep: bool = False  # a request to cancel the others
    own_read: bool = False  # our own orders are being read
    own_known: bool = False  # they were read, and nobody has traded since
    stops_read: Asked | StopsSeen | None = None
    late_read: Asked | StopsSeen | None = None  # the same, asked for an earlier stop
    leg_read: Asked | Shown | None = None
    explanation: bool = False
    reading: Reading | None = None
    past: Past | None = None  # the venue's lists have stood still since then, and may still show it
    # Timers.
    confirm_timer: bool = False
    retry_timer: bool = False
    naked_clock: bool = False
    naked_due: bool = False  # it had run out when it was stopped
    fill_clock: bool = False
    # The desk's book and the journal.
    booked: int = 0
    others: int = 0  # theirs, as booked
    cut: int = 0  # taken off ours because the venue showed less, before any fill said why
    dropped: bool = False  # the stop that is meant has gone while the leg was being closed
    whose: Whose = Whose()
    is_fixed: bool = False  # the venue has refused to change the size of the stop that is meant
    portion: int = 0  # what the next closing order is to take, when it is a part
    is_unwanted: bool = False  # a reason to close was given, and the leg has not ended
    remembered: int = 0  # contracts of the position that the journal holds as open
    wanted: int = 0  # the level of the stop that the book wants: 1 when it was tightened
    kept: int = 0  # the same, as the journal holds it
    rested: int = 0  # the tightest level that may ever have rested at the venue
    recalled: bool = True  # the first reading of this life has been compared

    def order(self, role: Role | None) -> Order:
        if role is None:
            return self.child
        return self.entry if role is Role.ENTRY else self.close

    def with_order(self, role: Role | None, order: Order) -> Leg:
        if role is None:
            return replace(self, child=order)
        if role is Role.ENTRY:
            return replace(self, entry=order)
        return replace(self, close=order)

    @property
    def held(self) -> int:
        """What the venue shows as one position."""
        return self.contracts + self.theirs

    @property
    def filled(self) -> Filled:
        return Filled(self.entry.filled, self.close.filled, self.child.filled)

    @property
    def past_now(self) -> Past:
        """What lists that stand still from now on would go on showing."""
        entry, close = (None if this.at is At.NOWHERE else this.report for this in (self.entry, self.close))
        return Past(self.contracts, self.filled, StopsSeen(self.mine.live, self.other.live), entry, close)

    @property
    def is_covered(self) -> bool:
        """The exchange itself would close the position, or is closing it."""
        is_stopped = any(stop.live and self.is_enough(stop.size) for stop in (self.mine, self.other))
        return is_stopped or self.child.at is At.LIVE

    def is_enough(self, size: int) -> bool:
        """Whether a stop of this size closes all that is ours."""
        return not size or size >= self.contracts

    @property
    def is_untold(self) -> bool:
        """A report about the position or its stops is on its way to the bot."""
        return (
            any(order.is_untold for order in (self.entry, self.close, self.child))
            or bool(self.mine.pushes or self.other.pushes)
            or self.place is not Call.NONE
            or self.late_place is not Call.NONE
            or self.move is not Call.NONE
            or self.stops_read is not None
            or self.late_read is not None
            or self.leg_read is not None
            or bool(self.news)
            or self.own_read
            or self.explanation
            or self.confirm_timer
            or self.reading is not None
        )


def without_meaning(leg: Leg) -> Leg:
    """The stop that was meant is one of the others now, wherever it is spoken of."""
    reading = leg.reading
    if reading is not None:
        reading = replace(
            reading,
            stops=_all_others(reading.stops) if reading.stops is not None else None,
            mine_renewed=False,
            other_renewed=reading.mine_renewed or reading.other_renewed,
        )
    past = leg.past
    if past is not None:
        past = replace(past, stops=_all_others(past.stops))
    return replace(
        leg,
        past=past,
        mine=Stop(),
        other=merged(leg.mine, leg.other),
        stray_stop=False,
        stray_other=leg.stray_stop or leg.stray_other,
        stops_read=_all_others(leg.stops_read) if isinstance(leg.stops_read, StopsSeen) else leg.stops_read,
        late_read=_all_others(leg.late_read) if isinstance(leg.late_read, StopsSeen) else leg.late_read,
        reading=reading,
    )


def with_other_meant(leg: Leg) -> Leg:
    """Another stop is the one that is meant, and the one that was meant is another."""
    reading = leg.reading
    if reading is not None:
        reading = replace(
            reading,
            stops=_swapped(reading.stops) if reading.stops is not None else None,
            mine_renewed=reading.other_renewed,
            other_renewed=reading.mine_renewed,
        )
    past = leg.past
    if past is not None:
        past = replace(past, stops=_swapped(past.stops))
    return replace(
        leg,
        past=past,
        mine=leg.other,
        other=leg.mine,
        stray_stop=False,
        stray_other=leg.stray_stop or leg.stray_other,
        stops_read=_swapped(leg.stops_read) if isinstance(leg.stops_read, StopsSeen) else leg.stops_read,
        late_read=_swapped(leg.late_read) if isinstance(leg.late_read, StopsSeen) else leg.late_read,
        reading=reading,
        sweep=False,
    )


def merged(one: Stop, other: Stop) -> Stop:
    """Two stops that are not meant are kept as one.

    Nothing bounds how long pushes stay under way, so those of a stop two generations old are taken
    as delivered. That is the one place where this world is smaller than the real one.
    """
    known = other.pushes[-1] is StopPush.LIVE if other.pushes else other.known
    size, seen = max(one.size, other.size), max(one.seen, other.seen)
    return Stop(one.live or other.live, one.known or known, one.pushes, size, seen)


def _all_others(seen: StopsSeen) -> StopsSeen:
    return StopsSeen(mine=False, other=seen.mine or seen.other)


def _swapped(seen: StopsSeen) -> StopsSeen:
    return StopsSeen(mine=seen.other, other=seen.mine)


def without_fills(leg: Leg, role: Role | None) -> Leg:
    """What was seen of an earlier order in this place says nothing of the next one."""
    name = "child" if role is None else role.value
    reading, closed, shown, past = leg.reading, leg.closed, leg.leg_read, leg.past
    if reading is not None:
        reading = replace(reading, filled=_without(reading.filled, name))
    if closed is not None:
        closed = _without(closed, name)
    if isinstance(shown, Shown):
        shown = replace(shown, filled=_without(shown.filled, name))
    if past is not None:
        past = replace(past, filled=_without(past.filled, name))
        if role is not None:
            past = replace(past, **{name: None})
    return replace(leg, reading=reading, closed=closed, leg_read=shown, past=past)


def _without(filled: Filled, name: str) -> Filled:
    return replace(filled, **{name: 0})


FIELDS = {name: number for number, name in enumerate(Leg.__struct_fields__)}


class Fields(Protocol):
    """Where a view finds what it has not changed."""

    def field(self, index: int, number: int) -> Any: ...


class LegView:
    """Stands for a leg while a rule runs on it, and knows which fields were read and changed. See `looking`."""

    __slots__ = ("_base", "_fields", "changed")

    def __init__(self, fields: Fields, base: int, changed: dict[str, Any]) -> None:
        self._fields, self._base, self.changed = fields, base, changed

    def __getattr__(self, name: str) -> Any:
        if name in self.changed:
            return self.changed[name]
        number = FIELDS.get(name)
        if number is not None:
            return self._fields.field(self._base + number, number)
        found = getattr(Leg, name)
        return found.__get__(self, Leg) if isinstance(found, property) else partial(found, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LegView) and self.changed == other.changed

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.changed.items(), key=lambda change: change[0])))

    def replaced(self, changes: dict[str, Any]) -> LegView:
        return LegView(self._fields, self._base, {**self.changed, **changes})


T = TypeVar("T", bound=msgspec.Struct)


def with_whose(leg: Leg, **changes: Any) -> Leg:
    """The same leg, of whose position something else is known or asked."""
    return replace(leg, whose=replace(leg.whose, **changes))


def replace(value: T, **changes: Any) -> T:
    """The same with some fields changed, for structs and for views of a leg."""
    view: Any = value
    if isinstance(view, LegView):
        return cast("T", view.replaced(changes))
    return msgspec.structs.replace(value, **changes)
