"""The alphabet of traces: what a life of the bot and the exchange did to each other, as both sides saw it.

A trace is a sequence of these, in the order in which they happened. Whoever writes one down decides nothing;
whoever reads one (``diagrams/check``) asks whether the environment of the check could have behaved like that.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine.bot import Bot, Part
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.units import LegKey
from anchorwatch.machine.world import OrderState


class Seen(msgspec.Struct, frozen=True, tag=True):
    """One thing that happened. ``at_ms`` is UTC milliseconds of the exchange."""

    at_ms: int


class Listening(Seen, frozen=True):
    """Who is subscribed now: whether the exchange has anybody to tell of orders, and of stops."""

    orders: bool
    stops: bool


class OrderStood(Seen, frozen=True):
    """At the exchange an order came to stand like this; ``filled`` is cumulative, sizes are contracts."""

    leg: LegKey
    client_id: str
    state: OrderState
    contracts: Decimal
    filled: Decimal
    is_child: bool = False  # a stop made it when it triggered


class StopStood(Seen, frozen=True):
    """At the exchange a stop rests, or does no more. ``dies_with_position``: it goes when the position is closed."""

    leg: LegKey
    stop_id: str
    client_id: str
    is_live: bool
    dies_with_position: bool


class PositionStood(Seen, frozen=True):
    """At the exchange a leg holds so many contracts."""

    leg: LegKey
    contracts: Decimal


class LegStanding(msgspec.Struct, frozen=True):
    """What the desk's book says of one leg after it has taken an event."""

    leg: LegKey
    booked: Decimal
    stop_client_id: str
    stop_id: str  # of an adopted stop, which may have no client id


class Handled(Seen, frozen=True):
    """The desk of a life took one event and answered; ``bot`` is as it stands afterwards."""

    event: Event
    effects: tuple[Effect, ...]
    bot: Bot
    standings: tuple[LegStanding, ...]


class LifeBegan(Seen, frozen=True):
    """A process starts with this bot, and whatever the journal gave back to it."""

    bot: Bot


class FellSilent(Seen, frozen=True):
    """From here on nobody wrote down what this life was told and what it asked for.

    It was killed with the end of its tape unwritten, or it is a client that keeps no record. What is known of it from
    here on is what reached the exchange.
    """


class Requested(Seen, frozen=True):
    """The exchange was asked for this by somebody who keeps no record."""

    effects: tuple[Effect, ...]


class Answered(Seen, frozen=True):
    """This is what the exchange answered to somebody who keeps no record: a word for one machine, whatever its number."""

    leg: LegKey
    part: Part
    event: Event


class LifeEnded(Seen, frozen=True):
    """It is gone, in order or killed: nothing of its memory is left."""


__all__ = [
    "Answered",
    "FellSilent",
    "Handled",
    "LegStanding",
    "LifeBegan",
    "LifeEnded",
    "Listening",
    "OrderStood",
    "PositionStood",
    "Requested",
    "Seen",
    "StopStood",
]
