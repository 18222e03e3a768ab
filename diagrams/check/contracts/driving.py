"""How a contract is put to the tables: what the mission says of single steps, typed from its words and not read off the tables.

Properties speak of what must never be, or must be in the end. Contracts speak of what the user asked for
in so many words: in which order the start goes on, how long is waited, what is tried again, what is
closed, what is told. The ids are the mission's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from anchorwatch.machine import bot as bots
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
from anchorwatch.machine.bot import Part
from anchorwatch.machine.kernel import Data, Definition, Effect, Event, Snapshot, State, UnexpectedEvent

L, C, O, P, Q, R, D, M = (  # noqa: E741 - the machines' own names for their states, side by side
    lifecycle.S,
    connection.S,
    order.S,
    position.S,
    protection.S,
    reconciliation.S,
    dead_man.S,
    permission.S,
)


BESIDE: dict[str, Definition[Any]] = {
    definition.name: definition
    for definition in (
        guards.LIQUIDATION,
        guards.SLIPPAGE,
        maintenance.MAINTENANCE,
        candle_repair.CANDLE_REPAIR,
    )
}
"""The tables in force of the machines that are no part of the bot, by name."""


class Contract(msgspec.Struct, frozen=True):
    """``words`` are the mission's; ``holds`` drives the tables that are in force."""

    id: str
    words: str
    holds: Callable[[], bool]


def step(part: Part, before: Snapshot[Any], event: Event) -> tuple[Snapshot[Any], tuple[Effect, ...]]:
    return bots.DEFINITIONS[part].step(before, event)


def leads(
    part: Part,
    sources: Iterable[State] | State,
    data: Data,
    event: Event,
    dest: State,
    *effects: type[Effect],
) -> bool:
    """From each of ``sources`` the event leads to ``dest`` and asks for these effects, among others."""
    for source in (sources,) if isinstance(sources, State) else sources:
        after, asked = step(part, Snapshot(source, data), event)
        if after.state is not dest or not all(
            any(type(one) is effect for one in asked) for effect in effects
        ):
            return False
    return True


def stays(part: Part, sources: Iterable[State], data: Data, *events: Event) -> bool:
    """In none of ``sources`` does any of these change or ask for anything."""
    return all(
        step(part, Snapshot(source, data), event) == (Snapshot(source, data), ())
        for source in sources
        for event in events
    )


def is_refused(part: Part, sources: Iterable[State], data: Data, *events: Event) -> bool:
    """In each of ``sources`` each of these is an error."""
    for source in sources:
        for event in events:
            try:
                step(part, Snapshot(source, data), event)
            except UnexpectedEvent:
                continue
            return False
    return True
