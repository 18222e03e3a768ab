"""Routes one event to the machines and collects the effects; the composition, and nothing else.

Theory of operation
===================

`Bot` holds the snapshots of all machines.  `step` gives one event to one machine,
turns the effects that are meant for another machine into its events, and goes on
until nothing internal is left; what remains is for the shell.  After that the
*consequences* are drawn: facts about several machines together that move one of
them (every connection delivers, so the stage WS is done).

Nothing here looks at a number.  The routing is data: `ROUTES` says which effect
becomes which event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

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
from anchorwatch.machine.gate import (
    adding_obstacles,
    entry_obstacles,
    holds_ours,
    in_flight,
    is_covered,
    is_settled,
    lacks_a_fact_of_the_bot,
    may_still_amend,
    may_still_send,
    other_side_obstacles,
    resting_obstacles,
    standing_obstacles,
)
from anchorwatch.machine.kernel import Definition, Effect, Event, Move, Snapshot
from anchorwatch.machine.roster import (
    DEAD_MAN,
    LIFECYCLE,
    PERMISSION,
    RECONCILIATION,
    Address,
    Bot,
    Part,
    Slot,
    of_leg,
)
from anchorwatch.machine.units import Conduct, LegKey, PositionMode

__all__ = [
    "DEAD_MAN",
    "LIFECYCLE",
    "PERMISSION",
    "RECONCILIATION",
    "Address",
    "Bot",
    "Part",
    "Slot",
    "adding_obstacles",
    "entry_obstacles",
    "holds_ours",
    "in_flight",
    "is_covered",
    "is_settled",
    "lacks_a_fact_of_the_bot",
    "may_still_amend",
    "may_still_send",
    "resting_obstacles",
    "standing_obstacles",
]
"""What is asked of several machines together, and who they are, is told here too."""

DEFINITIONS: dict[Part, Definition[Any]] = {
    Part.LIFECYCLE: lifecycle.LIFECYCLE,
    Part.PERMISSION: permission.PERMISSION,
    Part.RECONCILIATION: reconciliation.RECONCILIATION,
    Part.DEAD_MAN: dead_man.DEAD_MAN,
    Part.CONNECTION: connection.CONNECTION,
    Part.ENTRY: order.ORDER,
    Part.CLOSE: order.ORDER,
    Part.POSITION: position.POSITION,
    Part.PROTECTION: protection.PROTECTION,
}


class FactGained(Event, frozen=True):
    """A named fact holds. ``scope`` is an instrument, or empty for the bot."""

    scope: str
    name: str


class FactLost(Event, frozen=True):
    scope: str
    name: str


class EntryWanted(Event, frozen=True):
    """The strategy wants a position; its numbers are in the book under the sequence that this gets."""

    rests: bool = False  # the order may wait in the venue's book
    adds: bool = False  # what an earlier order of the same wish has filled is open already


class OrderRemembered(Event, frozen=True):
    """An earlier life recorded an intent and never learnt its end; its ticket is in the book."""

    role: order.Role


OF_THE_ROUTER = frozenset((EntryWanted, OrderRemembered, FactGained, FactLost))
"""Events that no table takes: the router itself answers them."""


class EntryDenied(Effect, frozen=True):
    """For people: why no entry was made."""

    reasons: tuple[str, ...]


class Addressed(Effect, frozen=True):
    """An effect, and the machine that asks for it."""

    address: Address
    effect: Effect


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one event led to: the moves that were made and the effects for the shell, in their order."""

    bot: Bot
    trail: tuple[Move | Addressed, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(step for step in self.trail if isinstance(step, Move))

    @property
    def effects(self) -> tuple[Addressed, ...]:
        return tuple(step for step in self.trail if isinstance(step, Addressed))


def unborn(
    life: lifecycle.Limits,
    links: dict[connection.Name, connection.Limits],
    mode: PositionMode,
    conduct: Conduct = Conduct.TRADE,
    *,
    flattens: bool = False,
    has_dead_man: bool = False,
) -> Bot:
    """The bot before its start: nothing connected, nothing known, every fact missing that is named later."""
    return Bot(
        lifecycle=lifecycle.unborn(life),
        permission=permission.PERMISSION.initial,
        reconciliation=reconciliation.RECONCILIATION.initial,
        links=tuple(connection.idle(name, links[name]) for name in connection.Name),
        legs=(),
        mode=mode,
        conduct=conduct,
        dead_man=dead_man.DISARMED if has_dead_man else dead_man.OFF,
        flattens=flattens,
    )


def with_permission(bot: Bot, snapshot: Snapshot[permission.Grant]) -> Bot:
    """The bot with the permission that an earlier life left."""
    return msgspec.structs.replace(bot, permission=snapshot)


def with_hands_off(bot: Bot, instruments: Iterable[str]) -> Bot:
    """The bot that leaves these instruments alone: what is open there is watched, and nothing is entered."""
    return msgspec.structs.replace(bot, hands_off=tuple(sorted({*bot.hands_off, *instruments})))


def without_dead_man(bot: Bot) -> Bot:
    """The bot whose dead man's switch an earlier life gave up."""
    return msgspec.structs.replace(bot, dead_man=dead_man.OFF)


def with_countdown_left_behind(bot: Bot) -> Bot:
    """The bot after a life that did not stop in order, and whose countdown may still run at the venue."""
    if bot.dead_man.state is dead_man.S.OFF or bot.conduct is Conduct.WATCH:
        return bot
    return msgspec.structs.replace(bot, dead_man=dead_man.DEAD_MAN.initial)


def with_next_sequence(bot: Bot) -> Bot:
    """The bot with one more sequence given away: `Bot.sequence` is the one to use."""
    return msgspec.structs.replace(bot, sequence=bot.sequence + 1)


# Routing.

# Named with every step; a member of an enumeration is found by a slow search.
ENTRY, CLOSE, POSITION, PROTECTION = Part.ENTRY, Part.CLOSE, Part.POSITION, Part.PROTECTION
ENTERS, CLOSES = order.Role.ENTRY, order.Role.CLOSE

Told = tuple[Address, Event]
Route = Callable[["_Run", Address, Any], list[Told]]


def _of(address: Address, part: Part) -> Address:
    assert address.leg is not None
    return of_leg(part, address.leg)


def _protect(run: _Run, address: Address, effect: Effect) -> list[Told]:
    return [(_of(address, PROTECTION), protection.CoverWanted(run.next_sequence()))]


def _close(run: _Run, address: Address, effect: Effect) -> list[Told]:
    assert address.leg is not None
    run.put_out(address, effect)
    if run.bot.slot(address.leg).close.state not in order.FREE:
        return []  # its end will be told, and read
    return [(_of(address, CLOSE), order.OrderWanted(run.next_sequence(), CLOSES))]


def _cancel_entry(run: _Run, address: Address, effect: Effect) -> list[Told]:
    assert address.leg is not None
    entry = run.bot.slot(address.leg).entry
    return [(_of(address, ENTRY), order.CancelWanted(entry.data.seq, "the leg closes"))]


def _order_ended(run: _Run, address: Address, effect: order.OrderEnded) -> list[Told]:
    run.put_out(address, effect)
    event = position.EntryEnded() if effect.role is ENTERS else position.CloseEnded()
    return [(_of(address, POSITION), event)]


def _ask_for_close(run: _Run, address: Address, effect: protection.AskForClose) -> list[Told]:
    run.put_out(address, effect)
    return [(_of(address, POSITION), position.CloseWanted(effect.reason))]


def _doubt_position(run: _Run, address: Address, effect: Effect) -> list[Told]:
    assert address.leg is not None
    if run.bot.slot(address.leg).position.state in position.GONE:
        return []  # that is being asked about already; a reading with every try would keep all entries shut
    reason = f"{address.id}: the exchange knows no position to protect"
    return [(RECONCILIATION, reconciliation.BookDoubted(reason))]


def _end_leg(run: _Run, address: Address, effect: position.EndLeg) -> list[Told]:
    run.put_out(address, effect)
    return [(_of(address, PROTECTION), protection.LegEnded())]


def _run_stage(run: _Run, address: Address, effect: lifecycle.RunStage) -> list[Told]:
    run.put_out(address, effect)
    if effect.stage is lifecycle.S.WS:
        return [
            (Address(Part.CONNECTION, link=name), connection.ConnectRequested()) for name in connection.Name
        ]
    if effect.stage is lifecycle.S.SYNC:
        return [(RECONCILIATION, reconciliation.BookDoubted("the start")), *_doubted_orders(run.bot)]
    return []


def _doubted_orders(bot: Bot) -> list[Told]:
    """What a push told of them may have been lost with its connection: ask."""
    return [
        (of_leg(part, leg), order.OrderDoubted(snapshot.data.seq))
        for leg, slot in bot.legs
        for part, snapshot in ((ENTRY, slot.entry), (CLOSE, slot.close))
    ]


def _read_account(run: _Run, address: Address, effect: reconciliation.ReadAccount) -> list[Told]:
    """A stop has no time for a list that hangs, whatever the reading is for."""
    stops = run.bot.lifecycle.state is lifecycle.S.STOPPING
    run.put_out(address, msgspec.structs.replace(effect, is_last=stops))
    return []


def _run_stop_step(run: _Run, address: Address, effect: lifecycle.RunStopStep) -> list[Told]:
    run.put_out(address, effect)
    if effect.step is lifecycle.StopStep.TRADING_CONTROL:
        cancels: list[Told] = [
            (of_leg(ENTRY, leg), order.CancelWanted(slot.entry.data.seq, "the bot stops"))
            for leg, slot in run.bot.legs
        ]
        return cancels + (_flatten(run.bot) if run.bot.flattens else [])
    closes = {
        lifecycle.StopStep.PUBLIC_WS: (connection.Name.PUBLIC, connection.Name.BUSINESS),
        lifecycle.StopStep.PRIVATE_WS: (connection.Name.PRIVATE, connection.Name.PRIVATE_BUSINESS),
    }.get(effect.step, ())
    return [(Address(Part.CONNECTION, link=name), connection.CloseRequested()) for name in closes]


def _flatten(bot: Bot) -> list[Told]:
    """Close what is ours, and keep the next life from opening it again until a person has looked."""
    closes: list[Told] = [
        (of_leg(POSITION, leg), position.CloseWanted("flattened on stop")) for leg, _ in bot.legs
    ]
    return [*closes, (PERMISSION, permission.HaltRequested("flattened on stop"))]


ROUTES: dict[type[Effect], Route] = {
    position.StartProtection: _protect,
    position.ExtendProtection: _protect,
    position.StartClose: _close,
    position.StartReduce: _close,
    position.CancelEntry: _cancel_entry,
    position.EndLeg: _end_leg,
    order.OrderEnded: _order_ended,
    protection.AskForClose: _ask_for_close,
    protection.DoubtPosition: _doubt_position,
    lifecycle.RunStage: _run_stage,
    lifecycle.RunStopStep: _run_stop_step,
    reconciliation.ReadAccount: _read_account,
}
"""Effects of one machine that are events of another. Effects that are not named here are for the shell."""


READING = (lifecycle.S.SYNC, lifecycle.S.READY)
"""Stages in which a stream that comes back is followed by a reading."""

AT_THE_VENUE = (lifecycle.S.SYNC, lifecycle.S.READY, lifecycle.S.STOPPING)
"""Stages in which the venue has answered before, and the last one in which anything is asked of it."""


# Looked at with every step, and a member of an enumeration costs a search through its classes.
_OFF, _READY, _UNGUARDED = dead_man.S.OFF, lifecycle.S.READY, order.S.UNGUARDED


class _Run(msgspec.Struct, gc=False):
    """One step of the bot, while it is being computed."""

    bot: Bot
    trail: list[Move | Addressed]
    tells_moves: bool

    def next_sequence(self) -> int:
        self.bot = with_next_sequence(self.bot)
        return self.bot.sequence

    def put_out(self, address: Address, effect: Effect) -> None:
        self.trail.append(Addressed(address, effect))

    def tell(self, address: Address, event: Event) -> None:
        """Give the event to its machine, and follow the routes until nothing internal is left."""
        pending: list[Told] = [(address, event)]
        trail = self.trail
        for address, event in pending:
            # A leg's machines are looked for once: nearly every event is for one of them.
            part, leg, bot = address.part, address.leg, self.bot
            definition = DEFINITIONS[part]
            if leg is not None:
                place, slot = _slot_of(bot, leg)
                before = getattr(slot, _FIELDS[part])
            else:
                before = _snapshot_of(bot, address)
            after, effects = definition.step(before, event)
            if after is not before:
                if leg is not None:
                    moved = leg, _SLOT_WITH[part](slot, after)
                    self.bot = msgspec.structs.replace(
                        bot, legs=(*bot.legs[:place], moved, *bot.legs[place + 1 :])
                    )
                else:
                    self.bot = _with_snapshot(bot, address, after)
                if self.tells_moves and after.state is not before.state:
                    trail.append(move_of(definition.name, address.id, before, event, after))
            if not effects:
                continue
            for effect in effects:
                route = ROUTES.get(type(effect))
                if route is None:
                    trail.append(Addressed(address, effect))
                else:
                    pending += route(self, address, effect)

    def draw_consequences(self, before: Bot) -> None:
        """What follows from several machines together."""
        if self.bot.links is not before.links:
            self._doubt_after_relogin(before)
        self._cancel_resting_entries()
        if self.bot.dead_man.state is not _OFF:
            self._mind_the_dead_man()
        self._send_the_guarded()
        if self.bot.lifecycle.state is _READY:
            return  # nothing below concerns a bot that trades, which it does nearly all the time
        self._flatten_late_fills()
        life = self.bot.lifecycle
        if (life.state is lifecycle.S.WS and all(connection.delivers(link) for link in self.bot.links)) or (
            life.state is lifecycle.S.SYNC
            and is_settled(self.bot)
            and not lacks_a_fact_of_the_bot(self.bot)
            and is_covered(self.bot)
        ):
            self.tell(LIFECYCLE, lifecycle.StageDone(life.data.epoch))
        elif life.state is lifecycle.S.STOPPING and life.data.step is lifecycle.StopStep.TRADING_CONTROL:
            self._end_trading_control()

    def _end_trading_control(self) -> None:
        """R10.1 is done when nothing is in flight and a last look has shown every position of ours covered.

        The stops are left resting, and what was pushed of them may have been overtaken: only a reading that
        began after everything was quiet says what is left behind.
        """
        bot = self.bot
        is_quiet = (
            not in_flight(bot)
            and bot.dead_man.state in dead_man.QUIET
            and is_covered(bot)
            and not (bot.flattens and holds_ours(bot))
        )
        if is_quiet and holds_ours(bot) and not bot.has_looked:
            self.bot = msgspec.structs.replace(bot, has_looked=True)
            self.tell(RECONCILIATION, reconciliation.LastLookWanted())
        elif is_quiet and (is_settled(bot) or not holds_ours(bot)):
            self.tell(LIFECYCLE, lifecycle.StopStepEnded(bot.lifecycle.data.epoch, lifecycle.Outcome.DONE))
        elif not is_quiet:
            self.bot = msgspec.structs.replace(bot, has_looked=False)

    def _cancel_resting_entries(self) -> None:
        """What could not be sent now must not rest either: it would fill when nobody may want it."""
        for leg, slot in self.bot.legs:
            entry = slot.entry
            if not entry.data.rests or entry.state in order.FREE or entry.data.cancel_wanted:
                continue
            obstacles = (
                *standing_obstacles(self.bot, leg.instrument),
                *resting_obstacles(self.bot, rests=True),
                *other_side_obstacles(self.bot, leg),
            )
            if obstacles:
                self.tell(of_leg(ENTRY, leg), order.CancelWanted(entry.data.seq, "; ".join(obstacles)))

    def _mind_the_dead_man(self) -> None:
        """The switch is armed while an entry of ours rests or is about to, and only then.

        What an earlier life armed is ended once the venue is there to be asked, or before the stop.
        """
        switch = self.bot.dead_man
        rests = any(slot.entry.data.rests and slot.entry.state not in order.FREE for _, slot in self.bot.legs)
        is_left_behind = switch.state is dead_man.S.UNKNOWN and self.bot.lifecycle.state in AT_THE_VENUE
        if rests is not switch.data.is_wanted or is_left_behind:
            self.tell(DEAD_MAN, dead_man.SwitchWanted() if rests else dead_man.SwitchUnwanted())

    def _send_the_guarded(self) -> None:
        """An entry that rests goes out when the countdown that would take it back is known to run, and not before."""
        if self.bot.dead_man.state not in dead_man.GUARDS:
            return
        for leg, slot in self.bot.legs:
            if slot.entry.state is _UNGUARDED:
                self.tell(of_leg(ENTRY, leg), order.GuardRuns(slot.entry.data.seq))

    def _flatten_late_fills(self) -> None:
        """An entry may fill between the wish to flatten and its own cancel: that leg is closed too."""
        life = self.bot.lifecycle
        is_deciding = (
            life.state is lifecycle.S.STOPPING and life.data.step is lifecycle.StopStep.TRADING_CONTROL
        )
        if self.bot.flattens and is_deciding:
            for leg, slot in self.bot.legs:
                if slot.position.state is position.S.OPEN:
                    self.tell(of_leg(POSITION, leg), position.CloseWanted("flattened on stop"))

    def _doubt_after_relogin(self, before: Bot) -> None:
        """Pushes sent while a private stream was away are lost for ever: read everything again."""
        if self.bot.lifecycle.state not in READING:
            return
        for was, link in zip(before.links, self.bot.links, strict=True):
            if link.data.name.is_private and connection.delivers(link) and not connection.delivers(was):
                self.tell(RECONCILIATION, reconciliation.BookDoubted(f"{link.data.name.value} was away"))
                for address, event in _doubted_orders(self.bot):
                    self.tell(address, event)


def step(bot: Bot, address: Address, event: Event, *, tells_moves: bool = True) -> Outcome:
    """The next bot, the effects for the shell, and the moves that were made, where anybody wants to hear of them.

    Raises `UnexpectedEvent` when a table says that this cannot happen: a defect of ours.
    """
    run = _Run(bot, [], tells_moves)
    if type(event) not in OF_THE_ROUTER:
        run.tell(address, event)
    elif isinstance(event, EntryWanted):
        _want_entry(run, address, event)
    elif isinstance(event, OrderRemembered):
        run.tell(address, order.OrderRecovered(run.next_sequence(), event.role))
    elif isinstance(event, FactGained | FactLost):
        run.bot = msgspec.structs.replace(bot, missing=_missing(bot.missing, event))
    run.draw_consequences(bot)
    return Outcome(run.bot, tuple(run.trail))


def _want_entry(run: _Run, address: Address, event: EntryWanted) -> None:
    assert address.leg is not None
    asked = adding_obstacles if event.adds else entry_obstacles
    obstacles = asked(run.bot, address.leg) + resting_obstacles(run.bot, event.rests)
    if obstacles:
        run.put_out(address, EntryDenied(obstacles))
        return
    wanted = order.OrderWanted(run.next_sequence(), ENTERS, event.rests)
    run.tell(_of(address, ENTRY), wanted)
    if not event.adds:
        run.tell(_of(address, POSITION), position.EntryStarted())


def _missing(
    missing: tuple[tuple[str, str], ...], event: FactGained | FactLost
) -> tuple[tuple[str, str], ...]:
    fact = (event.scope, event.name)
    kept = [held for held in missing if held != fact]
    return tuple(sorted([*kept, fact] if isinstance(event, FactLost) else kept))


EVENTS_KNOWN = 256
"""Kinds of control events: there are about a hundred."""

_FIELDS = {part: part.value for part in Part}
"""Where each machine's snapshot is kept: in the bot, or in the slot of its leg."""

_EMPTY = Slot()
"""A leg that was never heard of."""


def _slot_of(bot: Bot, leg: LegKey) -> tuple[int, Slot]:
    """The place of a leg's machines among all of them, and they themselves."""
    for place, (key, slot) in enumerate(bot.legs):
        if key == leg:
            return place, slot
    return len(bot.legs), _EMPTY


def _snapshot_of(bot: Bot, address: Address) -> Snapshot[Any]:
    """Of a machine of the bot, or of one connection."""
    if address.link is not None:
        return bot.link(address.link)
    of_bot: Snapshot[Any] = getattr(bot, _FIELDS[address.part])
    return of_bot


def _with_snapshot(bot: Bot, address: Address, snapshot: Snapshot[Any]) -> Bot:
    if address.link is not None:
        links = tuple(snapshot if link.data.name is address.link else link for link in bot.links)
        return msgspec.structs.replace(bot, links=links)
    return msgspec.structs.replace(bot, **{_FIELDS[address.part]: snapshot})


_SLOT_WITH: dict[Part, Callable[[Slot, Snapshot[Any]], Slot]] = {
    Part.ENTRY: lambda slot, entry: Slot(entry, slot.close, slot.position, slot.protection),
    Part.CLOSE: lambda slot, close: Slot(slot.entry, close, slot.position, slot.protection),
    Part.POSITION: lambda slot, position: Slot(slot.entry, slot.close, position, slot.protection),
    Part.PROTECTION: lambda slot, protection: Slot(slot.entry, slot.close, slot.position, protection),
}
"""A slot with one of its machines moved, each spelt out: it is made for nearly every event, and by name it costs thrice."""


def move_of(machine: str, id: str, before: Snapshot[Any], event: Event, after: Snapshot[Any]) -> Move:
    """The record of one transition."""
    kind = type(event)
    named = _cause_field(kind)
    cause = str(getattr(event, named)) if named else ""
    # The states' names without the detour of a property.
    return Move(machine, id, before.state._name_, kind.__name__, after.state._name_, cause)


@lru_cache(maxsize=EVENTS_KNOWN)
def _cause_field(kind: type[Event]) -> str:
    """Which field of such an event says why it happened; empty where none does."""
    fields = kind.__struct_fields__
    return next((name for name in ("reason", "cause") if name in fields), "")
