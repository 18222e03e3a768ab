"""The liquidation guard of one leg and the slippage guard of one instrument.

Theory of operation
===================

Both begin with the stage SAFETY and end with the second step of the stop; before and
after they answer nothing. Neither closes or cancels anything itself: a leg is closed by
the one closer, with its own side and reduce-only, and an entry is cancelled by its own
order machine, which also keeps one from the wire that was planned and not written yet.

* **Liquidation guard.** With every mark the share of the way from the entry to the
  liquidation price that is *left* is put into one of four classes: ample, warning,
  danger, gone. A close follows where it is gone, once; the closer does the rest. The
  venue's margin ratio is a second opinion, and the worse of the two counts.

* **Slippage guard.** While the spread is wide its symbol takes no entries, and those under
  way are given up. An entry whose price has run away from where it was decided is given up
  alone.

Numbers are classified by `room_class` and the desk; the tables see classes.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

import msgspec

from anchorwatch.machine.kernel import (
    Data,
    Definition,
    Effect,
    Event,
    Row,
    Snapshot,
    State,
    Step,
    ignored,
)
from anchorwatch.machine.units import Fraction, Side


class GuardStarted(Event, frozen=True):
    """The stage SAFETY has begun (R1.5), or a leg or an instrument is new to a guard that is on."""


class GuardStopped(Event, frozen=True):
    """The stop has come to its safety modules (R10.2)."""


class Nothing(Data, frozen=True):
    """The state alone says everything."""


# The liquidation guard.


class L(State):
    OFF = "off"
    CALM = "calm"
    WARNED = "warned"
    DANGER = "danger"
    CLOSING = "closing"


class RoomAmple(Event, frozen=True):
    pass


class RoomShrunk(Event, frozen=True):
    """Below the warning share, or the margin ratio is."""


class RoomScarce(Event, frozen=True):
    """Below the danger share."""


class RoomGone(Event, frozen=True):
    """Below the share at which the leg is closed."""


class LegOver(Event, frozen=True):
    """The leg is flat."""


class WarnOfRoom(Effect, frozen=True):
    pass


class AlarmOfRoom(Effect, frozen=True):
    pass


class CloseForRoom(Effect, frozen=True):
    """Ask the one closer to close the leg."""


def warn(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (WarnOfRoom(),)


def alarm(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (AlarmOfRoom(),)


def close(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (CloseForRoom(),)


ROOM = (RoomAmple, RoomShrunk, RoomScarce, RoomGone)
ON = (L.CALM, L.WARNED, L.DANGER, L.CLOSING)

# fmt: off
LIQUIDATION_TABLE = (
    #   source         event          destination  action
    Row(L.OFF,         GuardStarted,  L.CALM),
    Row(L.CALM,        RoomShrunk,    L.WARNED,    then=warn),
    *(Row(s,           RoomScarce,    L.DANGER,    then=alarm) for s in (L.CALM, L.WARNED)),
    *(Row(s,           RoomGone,      L.CLOSING,   then=close) for s in (L.CALM, L.WARNED, L.DANGER)),
    *(Row(s,           RoomAmple,     L.CALM) for s in (L.WARNED, L.DANGER)),
    Row(L.DANGER,      RoomShrunk,    L.WARNED),
    *(Row(s,           LegOver,       L.CALM) for s in (L.WARNED, L.DANGER, L.CLOSING)),
    *(Row(s,           GuardStopped,  L.OFF) for s in ON),
    *ignored((L.OFF,),      (*ROOM, LegOver, GuardStopped), "the guard is off"),
    *ignored(ON,            (GuardStarted,), "it is on"),
    *ignored((L.CALM,),     (RoomAmple, LegOver), "as it was"),
    *ignored((L.WARNED,),   (RoomShrunk,), "told already"),
    *ignored((L.DANGER,),   (RoomScarce,), "told already"),
    *ignored((L.CLOSING,),  ROOM, "the closer tries until the leg is flat"),
)
# fmt: on

LIQUIDATION = Definition("liquidation_guard", Snapshot(L.OFF, Nothing()), LIQUIDATION_TABLE)


# The slippage guard.


class G(State):
    OFF = "off"
    CALM = "calm"
    WIDE = "wide"


class SpreadNarrow(Event, frozen=True):
    pass


class SpreadWide(Event, frozen=True):
    pass


class EntryDrifted(Event, frozen=True):
    """The price has left the one at which an entry was decided, to its disadvantage."""

    side: Side


class ShutEntries(Effect, frozen=True):
    """No entry of this instrument, and those under way are given up."""


class OpenEntries(Effect, frozen=True):
    pass


class GiveUpEntry(Effect, frozen=True):
    side: Side


def shut(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (ShutEntries(),)


def reopen(data: Nothing, event: Event) -> Step[Nothing]:
    return data, (OpenEntries(),)


def give_up(data: Nothing, event: EntryDrifted) -> Step[Nothing]:
    return data, (GiveUpEntry(event.side),)


# fmt: off
SLIPPAGE_TABLE = (
    #   source   event          destination  action
    Row(G.OFF,   GuardStarted,  G.CALM),
    Row(G.CALM,  SpreadWide,    G.WIDE,      then=shut),
    Row(G.WIDE,  SpreadNarrow,  G.CALM,      then=reopen),
    *(Row(s,     EntryDrifted,  s,           then=give_up) for s in (G.CALM, G.WIDE)),
    Row(G.CALM,  GuardStopped,  G.OFF),
    Row(G.WIDE,  GuardStopped,  G.OFF,       then=reopen, because="the stop has shut entries for good"),
    *ignored((G.OFF,),         (SpreadWide, SpreadNarrow, EntryDrifted, GuardStopped), "the guard is off"),
    *ignored((G.CALM, G.WIDE), (GuardStarted,), "it is on"),
    *ignored((G.CALM,),        (SpreadNarrow,), "as it was"),
    *ignored((G.WIDE,),        (SpreadWide,), "as it was"),
)
# fmt: on

SLIPPAGE = Definition("slippage_guard", Snapshot(G.OFF, Nothing()), SLIPPAGE_TABLE)


# Numbers into classes.


class Guarding(msgspec.Struct, frozen=True):
    """Shares of the way from entry to liquidation that are left; margin ratios as OKX v5 gives them; shares of the price.

    The original judged by the margin ratio alone, 1.8 down to 1.05. At a maintenance margin of 0.4 % a ratio of
    1.8 is 0.3 % of the price away from the liquidation: less than one of our stops. The way that is left says the
    same at every leverage. Its slippage limits per regime are kept.
    """

    room_warning: Fraction = Fraction(Decimal("0.35"))
    room_danger: Fraction = Fraction(Decimal("0.25"))
    room_close: Fraction = Fraction(Decimal("0.15"))
    ratio_warning: Decimal = Decimal(3)
    ratio_danger: Decimal = Decimal(2)
    ratio_close: Decimal = Decimal("1.5")
    spread_trending: Fraction = Fraction(Decimal("0.0008"))
    spread_ranging: Fraction = Fraction(Decimal("0.0005"))
    spread_choppy: Fraction = Fraction(Decimal("0.0004"))
    drift_trending: Fraction = Fraction(Decimal("0.0015"))
    drift_ranging: Fraction = Fraction(Decimal("0.0010"))
    drift_choppy: Fraction = Fraction(Decimal("0.0008"))


class Room(IntEnum):
    """The worse is the larger."""

    AMPLE = 0
    SHRUNK = 1
    SCARCE = 2
    GONE = 3

    @property
    def event(self) -> Event:
        return (RoomAmple(), RoomShrunk(), RoomScarce(), RoomGone())[self]


# Asked for with every mark; a member of an enumeration is found by a slow search.
_AMPLE = Room.AMPLE


def room_left(side: Side, entry: Decimal, mark: Decimal, liquidation: Decimal | None) -> Decimal | None:
    """The share of the way from entry to liquidation that is left at ``mark``; None where no such way is known.

    1 at the entry, 0 at the liquidation. A liquidation price on the winning side of the entry (a cross margin that
    other positions' profits carry) is no way.
    """
    if liquidation is None or liquidation <= 0:
        return None
    whole = side.sign * (entry - liquidation)
    if whole <= 0:
        return None
    return side.sign * (mark - liquidation) / whole


def room_class(left: Decimal | None, ratio: Decimal | None, guarding: Guarding) -> Room:
    """The worse of what the way that is left and the margin ratio say. Without either it is ample: nothing says else."""
    by_way = (
        _AMPLE
        if left is None
        else _class(left, guarding.room_warning, guarding.room_danger, guarding.room_close)
    )
    by_ratio = (
        _AMPLE
        if ratio is None
        else _class(ratio, guarding.ratio_warning, guarding.ratio_danger, guarding.ratio_close)
    )
    return max(by_way, by_ratio)


def _class(value: Decimal, warning: Decimal, danger: Decimal, gone: Decimal) -> Room:
    if value <= gone:
        return Room.GONE
    if value <= danger:
        return Room.SCARCE
    return Room.SHRUNK if value <= warning else _AMPLE
