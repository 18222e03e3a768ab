"""Whether the environment of the check could have done what was seen around one leg.

The rules are those that ``anchorwatch check`` explores (`venue.RULES`, `network.RULES`), run without limits on faults:
nothing here says again what the exchange or the network may do. What was seen is held against all of them at once:
`Possible` keeps every leg that the world may be in, and each observation leaves those that could have done it.

*Shown* is what an observer of the exchange sees of a leg: contracts, the orders of its two slots, whether the stop
that is meant and any other of ours are live, and whether an order that a stop has made is. A rule that changes what is shown needs somebody who saw it; one that
changes nothing shown and tells the bot nothing is *silent*, and may happen between any two observations.

Where messages may be lost, doubled and come out of turn, a leg on whose way more pushes are can do whatever one with
fewer can, so of two legs that differ only in that the one with more is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from anchorwatch.diagrams.check import network, surroundings, venue
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.items import Compare, EndReading, Move
from anchorwatch.diagrams.check.leg import FIELDS, At, Leg, Past, StopsSeen, replace
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.machine import lifecycle, order, permission, position, protection, reconciliation

WIDE = Bounds(
    "any",
    overtaking=True,
    travels=True,
    late_reads=True,
    slow_journal=True,
    journal_fails=True,
    moves=True,
    reduces=True,
    rests=True,
    strangers=True,
    unruly=True,
    unsent=True,
)
"""Everything that the worlds of the check allow, each of them in some of them; faults are not counted here."""

LAG = "the venue's lists stand still"
"""The rule by which what is read may be as it was. What was shown is known, so that nothing has to be tried out."""

POSSIBLE_MAX = 5_000
"""Legs that one leg may be in: requests under way double it, and a handful of them is what the machines allow."""

WAYS_MAX = 50_000
"""Legs that are looked at on the way from one observation to the next."""

MEMO_MAX = 20_000
"""Legs whose moves are remembered, for each leg of the account: some megabytes."""

SHOWN = ("contracts", "entry", "close", "the stop", "another stop", "a stop's order")
Shown = tuple[Any, ...]
"""One value for each of `SHOWN`."""

READY = Facets(
    life=lifecycle.S.READY,
    is_born=True,
    is_clean_exit=False,
    permission=permission.S.OPEN,
    reconciliation=reconciliation.S.SETTLED,
    private=True,
    algo=True,
    hears_orders=True,
    hears_stops=True,
    is_link_opening=False,
    entry=order.S.IDLE,
    close=order.S.IDLE,
    position=position.S.OPEN,
    protection=protection.S.COVERED,
    may_write_entry=True,
    may_write_amend=True,
    entry_is_right=True,
)
"""What the rules see of the bot. Its own acts are observed, so that nothing but the connections is left to vary."""

RULES = tuple(rule for rule in (*venue.RULES, *network.RULES) if rule not in network.LOSSES)
"""A leg that has lost a push can do nothing that it could not have done with the push still on its way."""

Way = tuple[str, "Way"] | None
"""The labels of the moves that led somewhere, the last one first."""

Matches = Callable[[Leg, Move], bool]
Change = Callable[[Leg], Leg | None]


class Impossible(Exception):
    """No leg that was possible could have done it; `nearest` are the rules that tell or show something like it."""

    def __init__(self, possible: tuple[str, ...], nearest: tuple[str, ...]) -> None:
        super().__init__("; ".join(nearest))
        self.possible = possible
        self.nearest = nearest


def nameless(label: str) -> str:
    """The name of a rule, without the sizes of the case."""
    return SIZES.sub("N", label)


SIZES = re.compile(r"\d+")


def shown(leg: Leg) -> Shown:
    return (
        leg.contracts,
        (leg.entry.at, leg.entry.filled),
        (leg.close.at, leg.close.filled),
        leg.mine.live,
        leg.other.live,
        leg.child.at is At.LIVE,
    )


class Possible:
    """The legs that the world may be in now.

    ``used`` counts the rules that observations were explained by, ``without`` are those that the model does not have.
    """

    def __init__(self, without: frozenset[str] = frozenset()) -> None:
        self.legs: tuple[Leg, ...] = (Leg(),)
        self.used: Counter[str] = Counter()
        self.facets = READY
        self.is_silent = False  # what the bot is told nobody wrote down
        self._without = without
        self._memo: dict[tuple[Leg, Facets, Bounds], tuple[Move, ...]] = {}

    def listen(self, *, orders: bool, stops: bool) -> None:
        """Whether the exchange has anybody to tell of orders, and of stops."""
        self.facets = msgspec.structs.replace(
            READY, private=orders, algo=stops, hears_orders=orders, hears_stops=stops
        )

    # Observations. Each raises Impossible and leaves the legs as they were.

    def happened(self, seen: Sequence[Sequence[Any]], bounds: Bounds) -> None:
        """At the exchange, within one moment, each of `SHOWN` took these values, one after the other."""
        start = (0,) * len(SHOWN)
        goal = tuple(len(values) for values in seen)
        ways: dict[tuple[Leg, tuple[int, ...]], Way] = {(leg, start): None for leg in self.legs}
        queue = list(ways)
        found: dict[Leg, None] = {}
        near: dict[str, None] = {}
        while queue:
            here = queue.pop()
            leg, done = here
            if done == goal:
                found[leg] = None
                self._count(ways[here])
                continue
            for move in self._moves(leg, bounds):
                if move.items:
                    continue
                after = _advanced(shown(leg), shown(move.leg), seen, done)
                if after is None:
                    near[move.label] = None
                elif (move.leg, after) not in ways:
                    ways[move.leg, after] = (move.label, ways[here])
                    queue.append((move.leg, after))
            assert len(ways) <= WAYS_MAX, "too many ways to have done it"
        self._keep(found, near)

    def told(self, matches: Matches, of: frozenset[str], earlier: Sequence[Shown] = ()) -> None:
        """The bot was told something that only a move which `matches` tells. ``of``: the fields it speaks of.

        ``earlier``: what was shown a while ago. Where nothing newer explains it, lists have stood still since then;
        a leg that was read so is as one that was read in time, so that nothing else has to be looked at.
        """
        found = self._heard(matches, of, ())
        if not found and LAG not in self._without:
            found = self._heard(matches, of, earlier)
        self._keep(found, () if found else self._near(of, WIDE))

    def _heard(self, matches: Matches, of: frozenset[str], earlier: Sequence[Shown]) -> dict[Leg, None]:
        found: dict[Leg, None] = {}
        for leg, way in self._closure(self.legs, of, WIDE, earlier):
            for move in self._moves(leg, WIDE):
                if move.items and matches(leg, move):
                    self._count((move.label, way))
                    found[_read(move)] = None
        return found

    def _count(self, way: Way) -> None:
        while way is not None:
            label, way = way
            self.used[nameless(label)] += 1

    def asked(self, change: Change, of: frozenset[str], words: str) -> None:
        """The bot asked for something, which does this to the leg; None where it cannot have been asked for."""
        found: dict[Leg, None] = {}
        for leg in self.legs:
            after = change(leg)
            if after is not None:
                found[after] = None
        if not found:
            for leg, way in self._closure(self.legs, of, WIDE, is_told=self.is_silent):
                after = change(leg)
                if after is not None:
                    found[after] = None
                    self._count(way)
        self._keep(found, {words: None})

    def became(self, change: Callable[[Leg], Leg]) -> None:
        """What is known of the leg from elsewhere: which order and which stop are meant, what is booked."""
        self.legs = tuple(dict.fromkeys(map(change, self.legs)))

    def died(self, now: Shown) -> None:
        """The process is gone: what each leg may be after it, as far as it is what the exchange shows."""
        self.is_silent = False
        # What was asked for last may have been written to the wire before the process went.
        asked = (leg for leg, _ in self._closure(self.legs, frozenset(("entry", "close")), WIDE))
        left = dict.fromkeys(after for leg in asked for after in surroundings.after_crash(leg))
        self._keep((leg for leg in left if shown(leg) == now), {"the process dies": None})

    # Rules.

    def _moves(self, leg: Leg, bounds: Bounds) -> tuple[Move, ...]:
        key = (leg, self.facets, bounds)
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) >= MEMO_MAX:
                self._memo.clear()
            moves = (move for rule in RULES for move in rule(leg, self.facets, bounds=bounds))
            found = tuple(move for move in moves if nameless(move.label) not in self._without)
            self._memo[key] = found
        return found

    def _closure(
        self,
        legs: Iterable[Leg],
        of: frozenset[str],
        bounds: Bounds,
        earlier: Sequence[Shown] = (),
        *,
        is_told: bool = False,
    ) -> Iterator[tuple[Leg, Way]]:
        """These legs, and those that follow from them by silent moves within these fields, each with its way.

        With ``is_told`` the bot may be told something on the way.
        """
        ways: dict[Leg, Way] = dict.fromkeys(legs)
        of |= {"past"}  # what the lists show is nobody's message
        queue = list(ways)
        while queue:
            leg = queue.pop()
            yield leg, ways[leg]
            now = shown(leg)
            for move in self._moves(leg, bounds):
                if (move.items and not is_told) or shown(move.leg) != now or move.leg in ways:
                    continue
                if _changed(leg, move.leg) <= of:
                    ways[move.leg] = (move.label, ways[leg])
                    queue.append(move.leg)
            for was in earlier:
                stood_still = replace(leg, past=past_of(leg, was))
                if stood_still not in ways:
                    ways[stood_still] = (LAG, ways[leg])
                    queue.append(stood_still)
            assert len(ways) <= WAYS_MAX, "too many ways for it to be"

    def _near(self, of: frozenset[str], bounds: Bounds) -> dict[str, None]:
        """What could have been told of the same fields."""
        return {
            move.label: None
            for leg in self.legs
            for move in self._moves(leg, bounds)
            if move.items and _changed(leg, move.leg) & of
        }

    def _keep(self, found: Iterable[Leg], near: Iterable[str]) -> None:
        kept = richest(found)
        if not kept:
            raise Impossible(tuple(map(described, self.legs[:5])), tuple(near))
        assert len(kept) <= POSSIBLE_MAX, "too many legs are possible"
        self.legs = kept


def _advanced(
    before: Shown, after: Shown, seen: Sequence[Sequence[Any]], done: tuple[int, ...]
) -> tuple[int, ...] | None:
    """How much of what was seen is explained after a move that changes what is shown like this; None: it cannot be."""
    if before == after:
        return done
    places = list(done)
    for number, (was, now) in enumerate(zip(before, after, strict=True)):
        if was != now:
            place = places[number]
            if place >= len(seen[number]) or seen[number][place] != now:
                return None
            places[number] += 1
    return tuple(places)


def _changed(before: Leg, after: Leg) -> frozenset[str]:
    values = zip(FIELDS, msgspec.structs.astuple(before), msgspec.structs.astuple(after), strict=True)
    return frozenset(name for name, was, now in values if was is not now and was != now)


def past_of(leg: Leg, was: Shown) -> Past:
    """What the lists showed when this was shown; of a stop's order they tell nothing that is read."""
    entry, close = (
        replace(leg.order(role), at=at, filled=filled)
        for role, (at, filled) in zip(venue.ROLES, was[1:3], strict=True)
    )
    earlier = replace(leg, contracts=was[0], entry=entry, close=close)
    return replace(earlier.past_now, stops=StopsSeen(was[3], was[4]))


def _read(move: Move) -> Leg:
    """The leg after it was told: a reading that has arrived is over; what the desk makes of it is the desk's."""
    is_over = any(isinstance(item, Compare | EndReading) for item in move.items)
    return replace(move.leg, past=None, **({"reading": None} if is_over else {}))


PUSHED = ("entry", "close", "child", "mine", "other")


def richest(legs: Iterable[Leg]) -> tuple[Leg, ...]:
    """Of legs that differ only in the pushes under way, those that others do not have all of."""
    groups: dict[Leg, list[tuple[tuple[Any, ...], Leg]]] = {}
    for leg in legs:
        pushes = tuple(getattr(leg, name).pushes for name in PUSHED)
        bare = leg
        if any(pushes):
            silent = {name: replace(getattr(leg, name), pushes=()) for name in PUSHED}
            bare = replace(leg, **silent)
        group = groups.setdefault(bare, [])
        if not any(_has_all(other, pushes) for other, _ in group):
            group[:] = [one for one in group if not _has_all(pushes, one[0])]
            group.append((pushes, leg))
    return tuple(leg for group in groups.values() for _, leg in group)


def _has_all(more: tuple[Any, ...], fewer: tuple[Any, ...]) -> bool:
    return all(map(_is_within, fewer, more))


def _is_within(part: Sequence[Any], whole: Sequence[Any]) -> bool:
    rest = iter(whole)
    return all(one in rest for one in part)


def described(leg: Leg) -> str:
    """What is not as in a leg of which nothing is known."""
    empty = Leg()
    parts = []
    for name in FIELDS:
        value = getattr(leg, name)
        if value != getattr(empty, name):
            parts.append(f"{name}={_short(value)}")
    return ", ".join(parts) or "nothing"


def _short(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        fields = {
            name: got
            for name in value.__struct_fields__
            if (got := getattr(value, name)) not in (0, False, (), None)
        }
        return "(" + ", ".join(f"{name} {_short(got)}" for name, got in fields.items()) + ")"
    return str(getattr(value, "value", value))


def absorbed(effect: Any, bounds: Bounds = WIDE) -> Change:
    """What an effect of the bot does to a leg; nothing, where the effect breaks a property there."""
    return partial(_absorbed, effect, bounds)


def _absorbed(effect: Any, bounds: Bounds, leg: Leg) -> Leg | None:
    after, broken = surroundings.ABSORBERS[type(effect)](leg, effect, bounds)
    return None if broken else replace(after, wanted=0, kept=0, rested=0)
