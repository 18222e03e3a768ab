"""One leg as a trace shows it: what the exchange holds, which ids are meant, and the legs of the model it may be."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from anchorwatch.diagrams.check.acceptance.possible import (
    SHOWN,
    WIDE,
    Impossible,
    Matches,
    Possible,
    Shown,
    absorbed,
    shown,
)
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.leg import At, Leg, Query, Reading, replace
from anchorwatch.diagrams.check.venue import ROLES
from anchorwatch.machine.kernel import Effect
from anchorwatch.machine.order import Role
from anchorwatch.machine.units import LegKey

SCALE = 8
"""Contracts are counted in units of this many decimals, so that every size of the exchange is a whole number."""

UNSEEN = (At.NOWHERE, 0)

LAG_MS = 10_000
"""How old at most what is read may be when it is told: lists lag by up to five seconds here, and an answer travels."""

DISPLAYS_MAX = 100
"""Changes of one leg within `LAG_MS`; no leg has more than a handful."""


class Display(NamedTuple):
    """What the exchange showed of a leg until something changed."""

    until_ms: int
    contracts: int
    orders: dict[str, tuple[At, int]]
    stops: dict[str, str]  # client ids of live ones, by the exchange's id


class Rejection(msgspec.Struct, frozen=True):
    """The first thing seen of a leg that no leg of the model could have done."""

    number: int  # of the observation in the trace, from 1
    at_ms: int
    leg: str
    event: str
    possible: tuple[str, ...]
    nearest: tuple[str, ...]

    def lines(self) -> list[str]:
        return [
            f"{self.leg}: observation {self.number}: {self.event}",
            *(f"  possible was: {one}" for one in self.possible),
            *(f"  nearest rule: {one}" for one in self.nearest),
        ]


class Track:
    """One leg: what the exchange shows of it, which ids are meant, and the legs of the model that it may be."""

    def __init__(self, key: LegKey, without: frozenset[str]) -> None:
        self.key = key
        self.possible = Possible(without)
        self.slots: dict[Role, str] = {}
        self.questions: dict[Role, int] = {}  # about the order of each slot that have no answer yet
        self.elders: dict[
            Role, int
        ] = {}  # by slot: the sequence under which an order is asked for that it held before
        self.orders: dict[str, tuple[At, int]] = {}
        self.stops: dict[str, tuple[str, bool]] = {}  # live ones by the exchange's id: client id, is whole
        self.children: dict[str, None] = {}  # orders that stops have made, and that are live
        self.asked: dict[str, None] = {}  # client ids of the stops that our lives have asked for
        self.read_asked_ms = 0  # when the position was read for last: what was asked for earlier says nothing
        self.meant = ("", "")  # the stop's client id, and the exchange's
        self.contracts = 0
        self.booked = 0
        self.batch: list[list[Any]] = [[] for _ in SHOWN]
        self.last = self._shown()
        self.displays: deque[Display] = deque(maxlen=DISPLAYS_MAX)
        self.rejected: Rejection | None = None

    def _shown(self) -> tuple[Any, ...]:
        mine = [stop for stop, (client_id, _) in self.stops.items() if self.is_meant(stop, client_id)]
        return (
            self.contracts,
            self.orders.get(self.slots.get(Role.ENTRY, ""), UNSEEN),
            self.orders.get(self.slots.get(Role.CLOSE, ""), UNSEEN),
            bool(mine),
            len(self.stops) > len(mine),
            bool(self.children),
        )

    def changes(self, at_ms: int) -> None:
        """Something of the leg changes now: what was shown until then is kept for a while."""
        orders = {one: self.orders[one] for one in self.slots.values() if one in self.orders}
        stops = {stop: client_id for stop, (client_id, _) in self.stops.items()}
        self.displays.append(Display(at_ms, self.contracts, orders, stops))

    def earlier(self, now_ms: int) -> tuple[Shown, ...]:
        """What was shown within the last `LAG_MS`, of what is meant now, and is not shown any more."""
        found: dict[Shown, None] = {}
        for one in self.displays:
            if one.until_ms >= now_ms - LAG_MS:
                mine = [self.is_meant(stop, client_id) for stop, client_id in one.stops.items()]
                entry, close = (one.orders.get(self.slots.get(role, ""), UNSEEN) for role in ROLES)
                found[one.contracts, entry, close, any(mine), not all(mine), False] = None
        return tuple(was for was in found if was[:-1] != self.last[:-1])

    def is_meant(self, stop_id: str, client_id: str) -> bool:
        return client_id == self.meant[0] if self.meant[0] else bool(stop_id) and stop_id == self.meant[1]

    def note(self) -> None:
        """Something was seen at the exchange: what changed of what is shown is to be explained."""
        now = self._shown()
        for number, (was, value) in enumerate(zip(self.last, now, strict=True)):
            if was != value:
                if was == UNSEEN and value != (At.LIVE, 0):
                    self.batch[number].append((At.LIVE, 0))  # it was accepted before anything became of it
                self.batch[number].append(value)
        self.last = now

    def bounds(self, *, strangers_traded: bool) -> Bounds:
        """What may have done it: trades of the sizes seen; strangers only where one was seen to trade."""
        sizes: dict[int, None] = {}
        for number, was in enumerate(self._before_batch()[:3]):
            for value in self.batch[number]:
                filled, before = (value, was) if number == 0 else (value[1], was[1])
                if filled != before:
                    sizes[abs(filled - before)] = None
                was = value
        moved = bool(self.batch[0])
        return msgspec.structs.replace(
            WIDE,
            parts=tuple(sizes),
            foreign=strangers_traded,
            strangers=strangers_traded or not moved,
            follows=self.batch[0][-1:] == [0],
            twins=any(name not in self.asked for name, _ in self.stops.values()),
            belt=bool(self.batch[4])
            or any(not whole for stop, (name, whole) in self.stops.items() if self.is_meant(stop, name)),
            beside=sum(whole for _, whole in self.stops.values()) <= 1,
        )

    def _before_batch(self) -> tuple[Any, ...]:
        return shown(self.possible.legs[0])

    def mean(self, meant: tuple[str, str], change: Callable[[Leg], Leg]) -> None:
        """Another stop is meant: what is shown changes without anything having happened."""
        self.meant = meant
        self.last = self._shown()
        mine, other = self.last[3:5]

        def renamed(leg: Leg) -> Leg:
            leg = change(leg)
            return replace(leg, mine=replace(leg.mine, live=mine), other=replace(leg.other, live=other))

        self.possible.became(renamed)

    def fill_slot(self, role: Role, client_id: str) -> None:
        self.slots[role] = client_id
        self.questions[role] = 0
        self.last = self._shown()

    # Observations.

    def settle(self, number: int, at_ms: int, *, strangers_traded: bool) -> None:
        """What was seen at the exchange within one moment is explained together."""
        if any(self.batch):
            batch, bounds = self.batch, self.bounds(strangers_traded=strangers_traded)
            self.batch = [[] for _ in SHOWN]
            words = "; ".join(
                f"{name} {' → '.join(map(_value, values))}"
                for name, values in zip(SHOWN, batch, strict=True)
                if values
            )
            self.attempt(
                number, at_ms, f"at the exchange: {words}", lambda: self.possible.happened(batch, bounds)
            )

    def attempt(self, number: int, at_ms: int, words: str, observe: Callable[[], None]) -> None:
        """Let the legs explain it; a leg whose trace is rejected is not followed any further."""
        if self.rejected is not None:
            return
        try:
            observe()
        except Impossible as error:
            self.rejected = Rejection(number, at_ms, str(self.key), words, error.possible, error.nearest)


class Tracks:
    """Every leg of the account, and where in the trace we are."""

    def __init__(self, without: frozenset[str]) -> None:
        self._without = without
        self.of_leg: dict[LegKey, Track] = {}
        self.roles: dict[str, tuple[LegKey, Role]] = {}  # our orders, by client id
        self.strangers: dict[str, None] = {}  # instruments that somebody else traded within this moment
        self.is_reading = False
        self.is_silent = False
        self.possible_max = 1
        self.observations = 0
        self.at_ms = 0
        self._listening = (False, False)

    def __iter__(self) -> Iterator[Track]:
        return iter(self.of_leg.values())

    def of(self, key: LegKey) -> Track:
        track = self.of_leg.get(key)
        if track is None:
            track = self.of_leg[key] = Track(key, self._without)
            orders, stops = self._listening
            track.possible.listen(orders=orders, stops=stops)
            track.possible.is_silent = self.is_silent
            if self.is_reading:
                track.possible.became(begin_reading)
        return track

    def of_instrument(self, instrument: str) -> list[Track]:
        return [track for track in self if track.key.instrument == instrument]

    def meant(self, client_id: str) -> tuple[Track, Role] | None:
        """The leg and slot that this order is in; None for one that nobody means."""
        known = self.roles.get(client_id)
        if known is None or self.of(known[0]).slots.get(known[1]) != client_id:
            return None
        return self.of(known[0]), known[1]

    def listen(self, *, orders: bool, stops: bool) -> None:
        self._listening = (orders, stops)
        for track in self:
            track.possible.listen(orders=orders, stops=stops)

    def fall_silent(self) -> None:
        self.is_silent = True
        for track in self:
            track.possible.is_silent = True

    def settle(self) -> None:
        for track in self:
            traded = track.key.instrument in self.strangers
            track.settle(self.observations, self.at_ms, strangers_traded=traded)
        self.strangers.clear()

    def begin_reading(self) -> None:
        self.is_reading = True
        for track in self:
            track.possible.became(begin_reading)

    def attempt(self, track: Track, words: str, observe: Callable[[], None]) -> None:
        track.attempt(self.observations, self.at_ms, words, observe)
        self.possible_max = max(self.possible_max, len(track.possible.legs))

    def tell(self, track: Track, words: str, matches: Matches, of: frozenset[str]) -> None:
        self.attempt(track, f"told: {words}", lambda: track.possible.told(matches, of))

    def tell_read(self, track: Track, words: str, matches: Matches, of: frozenset[str]) -> None:
        """The same for what was read, which may be as it was a while ago."""
        earlier = track.earlier(self.at_ms)
        self.attempt(track, f"told: {words}", lambda: track.possible.told(matches, of, earlier))

    def ask(self, track: Track, words: str, effect: Effect, *of: str) -> None:
        asked = f"asked: {words}"
        self.attempt(track, asked, lambda: track.possible.asked(absorbed(effect), frozenset(of), asked))


def begin_reading(leg: Leg) -> Leg:
    return replace(leg, reading=Reading(leg.contracts, leg.filled))


def ask_again(leg: Leg, role: Role) -> Leg:
    this = leg.order(role)
    return leg.with_order(role, replace(this, query=Query.ASKED)) if this.query is Query.NONE else leg


def units(contracts: Decimal) -> int:
    """The size as a whole number of the smallest units that any instrument has."""
    scaled = contracts.scaleb(SCALE)
    whole = int(scaled)
    assert whole == scaled, f"{contracts} contracts are finer than {SCALE} decimals"
    return whole


def _value(value: Any) -> str:
    return f"{value[0].value} {value[1]}" if isinstance(value, tuple) else str(value)
