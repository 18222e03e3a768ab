"""The machines there are, and what a reader should see first in each.

A table says what may happen. It does not say which way through it is the wanted one,
nor which states are trouble: that is said here, and nowhere else. Everything drawn
or exported comes from the tables themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from anchorwatch.machine import (
    candle_repair,
    connection,
    dead_man,
    guards,
    lifecycle,
    maintenance,
    order,
    permission,
    position,
    protection,
    reconciliation,
)
from anchorwatch.machine.kernel import Definition, State, Verdict


class Box(msgspec.Struct, frozen=True):
    """States that answer some events alike, and are drawn as one where they do.

    Arrows out of them start at the edge of their frame. Without one they start at a label
    with the title: for states that stand far apart.
    """

    title: str
    states: tuple[State, ...]
    remark: str = ""
    framed: bool = True


class Machine(msgspec.Struct, frozen=True):
    """One machine and the hints for its picture.

    ``goal`` is where it is meant to be, ``path`` the way that things go when all is well,
    ``trouble`` are the states that a person should worry about. Of two ``boxes`` that
    share a state, the larger one comes first and holds the other.
    """

    definition: Definition[Any]
    title: str
    goal: State
    path: tuple[State, ...]
    trouble: tuple[State, ...] = ()
    boxes: tuple[Box, ...] = ()

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def final(self) -> tuple[State, ...]:
        """States that nothing moves any more."""
        moving = {row.source for row in self.definition.rows if row.verdict is Verdict.MOVES}
        return tuple(state for state in self.definition.states if state not in moving)


MACHINES = (
    Machine(
        lifecycle.LIFECYCLE,
        "The life of the bot",
        goal=lifecycle.S.READY,
        path=(*lifecycle.STAGES, lifecycle.S.READY, lifecycle.S.STOPPING, lifecycle.S.STOPPED),
        boxes=(
            Box("before any socket", lifecycle.EARLY, "try again; a refusal or the deadline ends the start"),
            Box("may hold a position", lifecycle.LATE, "never walk away: try again, for ever"),
        ),
    ),
    Machine(
        permission.PERMISSION,
        "Whether entries are wanted",
        goal=permission.S.OPEN,
        path=(permission.S.OPEN,),
        trouble=(permission.S.HALTED,),
    ),
    Machine(
        reconciliation.RECONCILIATION,
        "Whether the book agrees with the venue",
        goal=reconciliation.S.SETTLED,
        path=(reconciliation.S.UNKNOWN, reconciliation.S.READING, reconciliation.S.SETTLED),
    ),
    Machine(
        dead_man.DEAD_MAN,
        "The countdown at the venue that takes back what rests",
        goal=dead_man.S.ARMED,
        path=(
            dead_man.S.UNKNOWN,
            dead_man.S.DISARMING,
            dead_man.S.DISARMED,
            dead_man.S.ARMING,
            dead_man.S.ARMED,
        ),
        trouble=(dead_man.S.FAILING, dead_man.S.RETRYING),
        boxes=(Box("asking", dead_man.ASKING, "one request at a time"),),
    ),
    Machine(
        connection.CONNECTION,
        "The life of one WebSocket connection",
        goal=connection.S.LIVE,
        path=(connection.S.IDLE, *connection.OPENING, connection.S.LIVE),
        trouble=(connection.S.EXHAUSTED, connection.S.REFUSED),
        boxes=(
            Box("has a socket", connection.LOSABLE, "and may lose it"),
            Box("waits", connection.WAITING),
        ),
    ),
    Machine(
        order.ORDER,
        "One order",
        goal=order.S.FILLED,
        path=(order.S.IDLE, order.S.PLANNED, order.S.SENT, order.S.LIVE, order.S.FILLED),
        trouble=(order.S.IN_DOUBT,),
        boxes=(
            Box("out", order.OUT, "the venue may hold it"),
            Box("resting", order.RESTING),
            Box("an order that has ended", order.FINAL, framed=False),
        ),
    ),
    Machine(
        position.POSITION,
        "One leg: a position in one direction of one instrument",
        goal=position.S.OPEN,
        path=(position.S.FLAT, position.S.ENTERING, position.S.OPEN),
        trouble=(position.S.VANISHED,),
        boxes=(Box("ours", position.OURS, "until it is known why it ended"),),
    ),
    Machine(
        protection.PROTECTION,
        "The stop of one leg",
        goal=protection.S.COVERED,
        path=(protection.S.NONE, protection.S.ARMING, protection.S.PENDING, protection.S.COVERED),
        trouble=(protection.S.NAKED, protection.S.ESCALATING),
        boxes=(
            Box("uncovered", protection.UNCOVERED, "no stop is known to be live"),
            Box("covering", protection.COVERING, "the exchange itself would close"),
        ),
    ),
    Machine(
        candle_repair.CANDLE_REPAIR,
        "How missing candles are mended",
        goal=candle_repair.S.SOUND,
        path=(candle_repair.S.SOUND, candle_repair.S.READING, candle_repair.S.WAITING),
    ),
    Machine(
        maintenance.MAINTENANCE,
        "Whether the venue is open for entries",
        goal=maintenance.S.OPEN,
        path=(maintenance.S.OPEN, maintenance.S.NEAR, maintenance.S.UNDER_WAY),
    ),
    Machine(
        guards.LIQUIDATION,
        "The liquidation guard of one leg",
        goal=guards.L.CALM,
        path=(guards.L.OFF, guards.L.CALM),
        trouble=(guards.L.DANGER, guards.L.CLOSING),
    ),
    Machine(
        guards.SLIPPAGE,
        "The slippage guard of one instrument",
        goal=guards.G.CALM,
        path=(guards.G.OFF, guards.G.CALM, guards.G.WIDE),
    ),
)
"""Every machine of the bot, in the order in which a reader should meet them."""

NAMES = tuple(machine.name for machine in MACHINES)


class UnknownMachine(ValueError):
    """No machine has this name; the text lists those that exist."""


def machine(name: str) -> Machine:
    """The machine of that name. Raises `UnknownMachine`."""
    for found in MACHINES:
        if found.name == name:
            return found
    raise UnknownMachine(f"no machine is called {name!r}; there are {', '.join(NAMES)}")


def machines(names: Iterable[str] = ()) -> tuple[Machine, ...]:
    """The machines of those names, each once, in the order of the catalogue; all of them when none is named.

    Raises `UnknownMachine`.
    """
    wanted = tuple(machine(name).name for name in names) or NAMES
    return tuple(found for found in MACHINES if found.name in wanted)
