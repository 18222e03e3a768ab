"""What happens to the bot in one breath: events for machines, and reports that the desk has to classify first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.leg import Filled, Leg, Reading, Report, Shown, StopPush, StopsSeen, replace
from anchorwatch.diagrams.check.production import Facets, Tell
from anchorwatch.machine import lifecycle
from anchorwatch.machine.bot import Part
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.order import Role


class OrderNews(msgspec.Struct, frozen=True):
    """A report about an order; ``role`` is None for the child of a stop and for a stranger's order."""

    role: Role | None
    report: Report


class StopNews(msgspec.Struct, frozen=True):
    is_mine: bool
    push: StopPush


class StopsAnswer(msgspec.Struct, frozen=True):
    """The live stops of the leg; ``is_late``: asked for an earlier stop, so the machine ignores what it says."""

    stops: StopsSeen
    is_late: bool = False


class LegAnswer(msgspec.Struct, frozen=True):
    shown: Shown | None


class Explained(msgspec.Struct, frozen=True):
    """The venue's history holds the end of the position."""


class StartReading(msgspec.Struct, frozen=True):
    """A reading of the account begins: its positions are read now."""


class Audit(msgspec.Struct, frozen=True):
    """A whole reading at one instant, compared at once; one of a stage leaves a reading under way as it is."""

    is_of_stage: bool = False
    is_empty: bool = False  # it lags the venue's book, and shows no position


class Compare(msgspec.Struct, frozen=True):
    """The reading under way is complete; ``resumes`` is an older one that goes on after it."""

    resumes: Reading | None = None


class Fired(msgspec.Struct, frozen=True):
    """The countdown of the dead man's switch has run out, and the venue cancels what it takes."""

    takes_stops: bool


class Mend(msgspec.Struct, frozen=True):
    """The position of the reading against the book, after what was remembered is recalled."""


class Adopt(msgspec.Struct, frozen=True):
    """Take over a live stop that is known, if there is one."""


class FallBack(msgspec.Struct, frozen=True):
    """A stop was refused: one that is known may rest still, and covers."""


class FindAgain(msgspec.Struct, frozen=True):
    """A leg whose absence is being asked about, and which the reading shows."""


class CheckCover(msgspec.Struct, frozen=True):
    pass


class TheirNews(msgspec.Struct, frozen=True):
    """A trade of somebody else: one contract more, or one less."""

    change: int


class SeemsOpened(msgspec.Struct, frozen=True):
    """Somebody's order in net mode, which opened this side, or closed what nobody knew of on the other."""


class NoEndForLong(msgspec.Struct, frozen=True):
    """The venue's history has been asked for long how the position ended, and has not said."""


class OwnOrders(msgspec.Struct, frozen=True):
    """What our own orders have filled, as they say themselves; None: they could not be read."""

    filled: Filled | None


class LeaveToOthers(msgspec.Struct, frozen=True):
    """Our part is over; what is left is theirs."""


class MindSize(msgspec.Struct, frozen=True):
    """Look whether the stop has the size of what is ours."""


class EndReading(msgspec.Struct, frozen=True):
    resumes: Reading | None = None


Item = (
    Tell
    | OrderNews
    | StopNews
    | StopsAnswer
    | LegAnswer
    | Explained
    | StartReading
    | Audit
    | Compare
    | Fired
    | Mend
    | Adopt
    | FallBack
    | FindAgain
    | CheckCover
    | TheirNews
    | SeemsOpened
    | NoEndForLong
    | OwnOrders
    | LeaveToOthers
    | MindSize
    | EndReading
)


class Move(msgspec.Struct, frozen=True):
    """One thing that the world can do: what becomes of the leg, what the bot is told, what it costs in
    faults and in entries.

    ``breaks`` names a property that the doing itself breaks.
    """

    label: str
    leg: Leg
    items: tuple[Item, ...] = ()
    faults: int = 0
    entries: int = 0
    breaks: str = ""
    can_wait: bool = False  # it answers nothing: in a prompt world it happens when nothing is under way


Rule = Callable[..., Iterator[Move]]
"""Takes ``leg``, ``facets`` and ``bounds``, and tells what the world can do."""


def by_itself(rule: Rule) -> Rule:
    """The same rule for what is no delivery of anything: see `Move.can_wait`."""

    def waiting(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
        return (replace(move, can_wait=True) for move in rule(leg, facets, bounds=bounds))

    return waiting


def part_of(role: Role) -> Part:
    return Part.ENTRY if role is Role.ENTRY else Part.CLOSE


def to_order(role: Role, event: type[Event]) -> Tell:
    return Tell(part_of(role), event)


def to_position(event: type[Event]) -> Tell:
    return Tell(Part.POSITION, event)


def to_protection(event: type[Event], **extra: object) -> Tell:
    return Tell(Part.PROTECTION, event, tuple(extra.items()))


def to_reconciliation(event: type[Event]) -> Tell:
    return Tell(Part.RECONCILIATION, event)


def to_life(event: type[Event], **extra: object) -> Tell:
    return Tell(Part.LIFECYCLE, event, tuple(extra.items()))


def stage_done() -> Tell:
    return to_life(lifecycle.StageDone)
