"""Which machines the bot has, how one is addressed, and all their snapshots together."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

import msgspec

from anchorwatch.machine import (
    connection,
    dead_man,
    lifecycle,
    order,
    permission,
    position,
    protection,
    reconciliation,
)
from anchorwatch.machine.kernel import Data, Identity, Snapshot
from anchorwatch.machine.units import Conduct, LegKey, PositionMode


class Part(Enum):
    """Which machine of the bot."""

    LIFECYCLE = "lifecycle"
    PERMISSION = "permission"
    RECONCILIATION = "reconciliation"
    DEAD_MAN = "dead_man"
    CONNECTION = "connection"
    ENTRY = "entry"
    CLOSE = "close"
    POSITION = "position"
    PROTECTION = "protection"

    __hash__ = object.__hash__


class Address(msgspec.Struct, frozen=True, cache_hash=True):
    """One machine: of the bot, of one connection or of one leg."""

    part: Part
    leg: LegKey | None = None
    link: connection.Name | None = None

    @property
    def id(self) -> str:
        return _id_of(self)


ADDRESSES_KEPT = 1_024
"""Four machines of each leg: more than a hundred symbols in both directions. They are made for every event."""


@lru_cache(maxsize=ADDRESSES_KEPT)
def of_leg(part: Part, leg: LegKey) -> Address:
    return Address(part, leg=leg)


@lru_cache(maxsize=ADDRESSES_KEPT)
def _id_of(address: Address) -> str:
    if address.leg is not None:
        is_order = address.part in (Part.ENTRY, Part.CLOSE)
        return f"{address.leg}:{address.part.value}" if is_order else str(address.leg)
    return address.link.value if address.link is not None else "bot"


LIFECYCLE = Address(Part.LIFECYCLE)
PERMISSION = Address(Part.PERMISSION)
RECONCILIATION = Address(Part.RECONCILIATION)
DEAD_MAN = Address(Part.DEAD_MAN)


class Slot(msgspec.Struct, frozen=True, gc=False):
    """The machines of one leg."""

    entry: Snapshot[order.Order] = order.ORDER.initial
    close: Snapshot[order.Order] = order.ORDER.initial
    position: Snapshot[position.Leg] = position.POSITION.initial
    protection: Snapshot[protection.Stop] = protection.PROTECTION.initial


class Bot(Data, frozen=True):
    lifecycle: Snapshot[lifecycle.Life]
    permission: Snapshot[permission.Grant]
    reconciliation: Snapshot[reconciliation.Reading]
    links: tuple[Snapshot[connection.Link], ...]
    legs: tuple[tuple[LegKey, Slot], ...]
    mode: PositionMode
    conduct: Conduct = Conduct.TRADE
    dead_man: Snapshot[dead_man.Switch] = dead_man.OFF
    flattens: bool = False  # the stop closes every position of ours before it ends
    sequence: Identity = 0  # the last one given to an order or a stop
    has_looked: bool = (
        False  # STOPPING: the last look at the exchange is under way or over, and nothing moved since
    )
    hands_off: tuple[str, ...] = ()  # instruments that the operator keeps for himself, sorted
    missing: tuple[tuple[str, str], ...] = ()  # facts not held: (instrument, or "" for the bot; name), sorted

    def slot(self, leg: LegKey) -> Slot:
        for key, slot in self.legs:
            if key == leg:
                return slot
        return Slot()

    def link(self, name: connection.Name) -> Snapshot[connection.Link]:
        return next(link for link in self.links if link.data.name is name)
