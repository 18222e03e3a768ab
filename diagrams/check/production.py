"""The production side of the composition: ``bot.step``, with its snapshots interned and its calls remembered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from anchorwatch.diagrams.check.columns import Column
from anchorwatch.diagrams.check.probes import defect_of_the_past
from anchorwatch.diagrams.check.recording import Fired
from anchorwatch.machine import (
    bot as bots,
)
from anchorwatch.machine import (
    connection,
    lifecycle,
    order,
    permission,
    position,
    protection,
    reconciliation,
)
from anchorwatch.machine.bot import Address, Addressed, Bot, Part, Slot
from anchorwatch.machine.kernel import (
    Effect,
    Event,
    Kind,
    Snapshot,
    UnexpectedEvent,
    canonical,
    kinds,
)
from anchorwatch.machine.units import LegKey, Side

LEGS = (LegKey("BTC-USDT-SWAP", Side.LONG), LegKey("BTC-USDT-SWAP", Side.SHORT))

T = TypeVar("T")


class Interned(Generic[T]):
    """Gives every different value a small number."""

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}
        self.values: list[T] = []

    def __len__(self) -> int:
        return len(self.values)

    def __call__(self, value: T) -> int:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number


class Tell(msgspec.Struct, frozen=True):
    """An event for one machine, without its identity: it speaks of what the machine means when it arrives.

    ``extra`` are the values of its other fields, by name. ``of_spare``: it is the old socket's report.
    """

    part: Part
    event: type[Event]
    extra: tuple[tuple[str, Any], ...] = ()
    link: connection.Name | None = None
    of_spare: bool = False


class Facets(msgspec.Struct, frozen=True):
    """What the world and the properties look at of the bot."""

    life: lifecycle.S
    is_born: bool
    is_clean_exit: bool
    permission: permission.S
    reconciliation: reconciliation.S
    private: bool  # the private connection delivers
    algo: bool  # the private-business connection delivers
    hears_orders: bool  # what the venue says of orders is on its way on the private connection
    hears_stops: bool  # the same of stops, on the private-business connection
    is_link_opening: bool  # a connection is neither up nor given up
    entry: order.S
    close: order.S
    position: position.S
    protection: protection.S
    may_write_entry: bool  # the production's last look before the wire
    may_write_amend: bool
    entry_is_right: bool  # the same, said anew from the mission's words

    @property
    def is_running(self) -> bool:
        return self.is_born and self.life is not lifecycle.S.STOPPED

    @property
    def is_stopping(self) -> bool:
        return self.life in (lifecycle.S.STOPPING, lifecycle.S.STOPPED)

    @property
    def is_settled(self) -> bool:
        return self.reconciliation in (reconciliation.S.SETTLED, reconciliation.S.CHECKING)

    @property
    def is_holding(self) -> bool:
        return self.life in HOLDING and not self.is_settled


HOLDING = lifecycle.STAGES[lifecycle.STAGES.index(lifecycle.S.WS) :]


LINK_OPENING = (*connection.OPENING, connection.S.PROBING, connection.S.REPLACING, connection.S.BACKING_OFF)


class AnotherStopMeant(Effect, frozen=True):
    """Not asked for by a machine: its answers, timers and readings so far speak of an earlier stop from here on."""


class Stepped(msgspec.Struct, frozen=True):
    """One production step: the next bot, and what it asks of each leg's and of the bot's surroundings."""

    bot: int
    of_legs: tuple[int, ...]  # by leg: an interned tuple of effects
    of_bot: int
    defect: str  # S0 (an UnexpectedEvent, a failed assertion) or S11 (the other leg moved), or empty


def step_key(bot: int, tell: int, which: int) -> int:
    """One number for a step."""
    assert tell < 1 << 16
    return (bot << 16 | tell) << 1 | which


class Production:
    def __init__(self, legs_count: int = 1) -> None:
        self.legs_count = legs_count
        self.bots: Interned[Bot] = Interned()
        self.tells: Interned[Tell] = Interned()
        self.effects: Interned[tuple[Effect, ...]] = Interned()
        self.facets: Interned[Facets] = Interned()
        self.facets_of = tuple(Column() for _ in range(legs_count))  # by leg and bot
        self.is_born, self.is_running = Column(), Column()  # by bot
        self.answering: Fired = set()  # rows of the tables that answer in the step that is being made
        self.fired: Fired = set()  # those that have answered in any
        self.rows_of: dict[int, frozenset[tuple[str, int]]] = {}  # by step: those that answered in it
        self._row_sets: dict[frozenset[tuple[str, int]], frozenset[tuple[str, int]]] = {}
        self.life_of: list[lifecycle.S] = []  # by bot
        self._defect_of: list[str] = []  # by bot: a report of the past would move it
        self._stepped: dict[int, Stepped] = {}
        self._probed: dict[
            tuple[Part, int], str
        ] = {}  # by part and object: canonical snapshots are kept once
        self._reached: list[tuple[Part, Snapshot[Any]]] = []
        self._canonical = Canonical()
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._nothing = self.effects(())
        assert self._nothing == 0, "nothing is falsy"

    def number(self, bot: Bot) -> int:
        """The number of this bot's canonical form."""
        of, legs = self._canonical, [key for key, _ in bot.legs]
        parts = [of(getattr(bot, field)) for field in OF_BOT]
        parts += map(of, bot.links)
        parts += [of(getattr(slot, field)) for _, slot in bot.legs for field in Slot.__struct_fields__]
        # Canonical snapshots are kept once each, so that which object it is says which snapshot it is.
        key = (*map(id, parts), *legs, *[getattr(bot, field) for field in PLAIN], min(bot.sequence, 1))
        number = self._numbers.get(key)
        if number is None:
            canonical_ = canonical_bot(bot, of)
            number = self._numbers[key] = self.bots(canonical_)
            if number == len(self.life_of):
                self._describe(canonical_)
        return number

    def _describe(self, bot: Bot) -> None:
        """Note what is looked at of a new bot."""
        for leg, column in zip(LEGS, self.facets_of, strict=False):
            shown = facets(bot, leg)
            column.append(self.facets(shown))
        self.life_of.append(shown.life)
        self.is_born.append(shown.is_born)
        self.is_running.append(shown.is_running)
        self._defect_of.append(self._stale_defect(bot))

    def shown(self, bot: int, which: int = 0) -> Facets:
        """What the world and the properties look at of this bot, for one leg."""
        return self.facets.values[int(self.facets_of[which].data[bot])]

    def reached(self) -> Iterator[tuple[Part, Snapshot[Any]]]:
        """Every snapshot of every machine that is part of a bot."""
        return iter(self._reached)

    def step(self, bot: int, tell: int, which: int = 0) -> Stepped:
        key = step_key(bot, tell, which)
        found = self._stepped.get(key)
        if found is None:
            self.answering.clear()
            found = self._stepped[key] = self._step(bot, tell, which)
            rows = frozenset(self.answering)
            self.rows_of[key] = self._row_sets.setdefault(rows, rows)
            self.fired |= rows
        return found

    def stepped_otherwise(self, keys: Iterable[int]) -> list[int]:
        """Of these steps those that the tables in force make otherwise than before; they are known anew."""
        changed = []
        for key in keys:
            now = self._step(key >> 17, key >> 1 & 0xFFFF, key & 1)
            if now != self._stepped[key]:
                self._stepped[key] = now
                changed.append(key)
        return changed

    @property
    def steps(self) -> int:
        """Different production calls that were made."""
        return len(self._stepped)

    def _step(self, number: int, tell: int, which: int) -> Stepped:
        before, told = self.bots.values[number], self.tells.values[tell]
        if told.event in NAMED_BY_THE_DESK:
            before = bots.with_next_sequence(before)  # as the desk does for a stop that it has found
        address, event = addressed(before, told, LEGS[which])
        try:
            outcome = bots.step(before, address, event)
        except (UnexpectedEvent, AssertionError) as error:
            return Stepped(number, (), 0, f"S0: {type(error).__name__}: {error}")
        of_legs = tuple(self._of_leg(before, outcome, leg) for leg in LEGS[: self.legs_count])
        of_bot = tuple(_nameless(step.effect) for step in outcome.effects if step.address.leg is None)
        after = self.number(outcome.bot)
        defect = self._defect_of[after] and f"S0: {self._defect_of[after]}"
        if address.leg is not None and self.legs_count > 1:
            other = LEGS[1 - which]
            if outcome.bot.slot(other) != before.slot(other):
                defect = f"S11: {type(event).__name__} on {address.leg} moves {other}"
        return Stepped(after, of_legs, self.effects(of_bot), defect)

    def _of_leg(self, before: Bot, outcome: bots.Outcome, leg: LegKey) -> int:
        effects = tuple(_nameless(step.effect) for step in outcome.effects if step.address.leg == leg)
        if outcome.bot.slot(leg).protection.data.seq != before.slot(leg).protection.data.seq:
            effects = (AnotherStopMeant(), *effects)
        return self.effects(effects)

    def _stale_defect(self, bot: Bot) -> str:
        for address in _addresses(bot):
            snapshot = _snapshot(bot, address)
            key = (address.part, id(snapshot))
            found = self._probed.get(key)
            if found is None:
                found = self._probed[key] = defect_of_the_past(address.part, snapshot)
                self._reached.append((address.part, snapshot))
            if found:
                return found
        return ""


def addressed(bot: Bot, tell: Tell, leg: LegKey = LEGS[0]) -> tuple[Address, Event]:
    """The event with the identity that the machine means now."""
    address = Address(tell.part, leg=leg if tell.part in OF_LEG else None, link=tell.link)
    values = dict(tell.extra)
    if tell.event in NAMED_BY_THE_DESK:
        values["seq"] = bot.sequence
    elif tell.event is lifecycle.DeadlinePassed:
        values["epoch"] = bot.lifecycle.data.entered  # it belongs to a stage, not to one of its tries
    else:
        for field, kind in kinds(tell.event).items():
            if kind is Kind.IDENTITY:
                data = _snapshot(bot, address).data
                values[field] = getattr(data, "spare" if tell.of_spare else field)
    return address, tell.event(**values)


NAMED_BY_THE_DESK = (protection.CoverAdopted, protection.BridgeWanted)
"""Events that bring the next sequence, which the desk has drawn."""

OF_LEG = (Part.ENTRY, Part.CLOSE, Part.POSITION, Part.PROTECTION)


def _addresses(bot: Bot) -> Iterator[Address]:
    yield bots.LIFECYCLE
    yield bots.RECONCILIATION
    yield bots.DEAD_MAN
    for link in bot.links:
        yield Address(Part.CONNECTION, link=link.data.name)
    for key, _ in bot.legs:
        for part in OF_LEG:
            yield Address(part, leg=key)


def _snapshot(bot: Bot, address: Address) -> Snapshot[Any]:
    if address.leg is not None:
        of_leg: Snapshot[Any] = getattr(bot.slot(address.leg), address.part.value)
        return of_leg
    if address.link is not None:
        return bot.link(address.link)
    of_bot: Snapshot[Any] = getattr(bot, address.part.value)
    return of_bot


def _nameless(effect: Effect) -> Effect:
    """The effect without its identities and words: the world is asked about what is meant now."""
    found = kinds(type(effect))
    erased: dict[str, Any] = {field: 0 if kind is Kind.IDENTITY else "" for field, kind in found.items()}
    return msgspec.structs.replace(effect, **erased) if erased else effect


class Canonical:
    """One representative of all snapshots that behave alike, and one object for it."""

    def __init__(self) -> None:
        self._known: dict[Snapshot[Any], Snapshot[Any]] = {}
        self._kept: set[int] = set()

    def __call__(self, snapshot: Snapshot[Any]) -> Snapshot[Any]:
        if id(snapshot) in self._kept:
            return snapshot
        found = self._known.get(snapshot)
        if found is None:
            found = canonical(snapshot)
            found = self._known.setdefault(found, found)
            self._known[snapshot] = found
            self._kept.add(id(found))
        return found


def canonical_bot(bot: Bot, of: Canonical) -> Bot:
    """One representative of all bots that behave alike.

    Every machine compares its identities with each other and with the next one, never with
    another machine's, so each is renamed by rank for itself, and the sequence that they draw
    from stays above all of them.
    """
    changed: dict[str, Any] = {field: of(getattr(bot, field)) for field in OF_BOT}
    changed["links"] = tuple(map(of, bot.links))
    changed["legs"] = tuple(
        sorted(
            (
                (key, Slot(**{field: of(getattr(slot, field)) for field in Slot.__struct_fields__}))
                for key, slot in bot.legs
            ),
            key=lambda leg: LEGS.index(leg[0]),
        )
    )
    return msgspec.structs.replace(bot, **changed, sequence=min(bot.sequence, 1))


OF_BOT = ("lifecycle", "permission", "reconciliation", "dead_man")
PLAIN = tuple(set(Bot.__struct_fields__) - {*OF_BOT, "links", "legs", "sequence"})
"""Fields of a bot: snapshots of machines, and what is as it is."""


def facets(bot: Bot, leg: LegKey = LEGS[0]) -> Facets:
    slot, life = bot.slot(leg), bot.lifecycle
    # A snapshot's state is typed as any machine's; which machine's it is follows from where it stands.
    states: dict[str, Any] = {
        "life": life.state,
        "permission": bot.permission.state,
        "reconciliation": bot.reconciliation.state,
        "entry": slot.entry.state,
        "close": slot.close.state,
        "position": slot.position.state,
        "protection": slot.protection.state,
    }
    return Facets(
        **states,
        is_born=life.data.epoch > 0,
        is_clean_exit=life.data.exit is lifecycle.Exit.CLEAN,
        private=connection.delivers(bot.link(connection.Name.PRIVATE)),
        algo=connection.delivers(bot.link(connection.Name.PRIVATE_BUSINESS)),
        hears_orders=hears(bot.link(connection.Name.PRIVATE)),
        hears_stops=hears(bot.link(connection.Name.PRIVATE_BUSINESS)),
        is_link_opening=any(link.state in LINK_OPENING for link in bot.links),
        may_write_entry=not bots.may_still_send(bot, leg, slot.entry.data.seq),
        may_write_amend=not bots.may_still_amend(bot, leg, slot.entry.data.seq),
        entry_is_right=_entry_is_right(bot),
    )


def hears(link: Snapshot[connection.Link]) -> bool:
    """Whether the venue may say something on this connection.

    It confirms channel by channel (OKX v5, subscribe), and tells of each from its own confirmation on: before the bot
    may rely on all of them.
    """
    return connection.delivers(link) or link.state is connection.S.SUBSCRIBING


def _entry_is_right(bot: Bot) -> bool:
    """S1, in words of its own: READY, permission open, every connection live, the book known, no fact missing."""
    live = (connection.S.LIVE, connection.S.PROBING, connection.S.REPLACING)
    return (
        bot.lifecycle.state is lifecycle.S.READY
        and bot.permission.state is permission.S.OPEN
        and all(link.state in live for link in bot.links)
        and bot.reconciliation.state in (reconciliation.S.SETTLED, reconciliation.S.CHECKING)
        and not bot.missing
    )


__all__ = ["LEGS", "Addressed", "Facets", "Interned", "Production", "Stepped", "Tell"]
