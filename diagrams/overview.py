"""How the machines and the engine's loop fit together, as a picture like the others.

The machines and their sizes come from the catalogue; the loop around them is the
engine's one loop, which has no table.
"""

from __future__ import annotations

import sys

from anchorwatch.diagrams.catalogue import Machine
from anchorwatch.diagrams.picture import Arrow, Frame, Look, Node, Picture
from anchorwatch.machine.bot import ROUTES
from anchorwatch.machine.kernel import Effect

NAME = "overview"


def overview(machines: tuple[Machine, ...]) -> Picture:
    """The loop, with every machine in its middle."""
    around = (
        Node(
            "world",
            "the world",
            Look.PLAIN,
            False,
            ("the venue: REST and four WebSockets", "the operator, the clock, the disk"),
        ),
        Node(
            "mailbox",
            "mailbox",
            Look.PATH,
            False,
            ("stop requests and private events first", "market data: the latest of each instrument"),
        ),
        Node(
            "step",
            "step",
            Look.GOAL,
            False,
            ("(state, event) → (state, effects)", "no clock, no socket, no await"),
        ),
        Node("journal", "journal", Look.PATH, False, ("durable before what depends on it",)),
        Node(
            "perform", "perform", Look.PATH, False, ("one task an effect", "each ends in exactly one event")
        ),
    )
    inner = tuple(
        Node(machine.name, machine.name, Look.PLAIN, False, _sizes(machine)) for machine in machines
    )
    names = tuple(machine.name for machine in machines)
    loop = (
        Arrow("world", "mailbox", ("what happened, as events",), Look.PATH),
        Arrow("mailbox", "step", ("one event at a time",), Look.PATH),
        Arrow("step", "journal", ("effects",), Look.PATH),
        Arrow("journal", "perform", ("effects",), Look.PATH),
        Arrow("perform", "world", ("requests, orders, stops",), Look.PATH),
    )
    return Picture(
        name=NAME,
        title="One loop, and the machines in it",
        caption="state changes in one place only; whatever happens next is an event again",
        initial="",
        nodes=(*around, *inner),
        frames=(
            Frame("io_in", "io/ listens", ("mailbox",), remark="turns the world into events"),
            Frame("machine", "machine/ decides", ("step", *names), remark="pure, synchronous, deterministic"),
            Frame("io_out", "io/ acts", ("journal", "perform"), remark="takes no trading decision"),
        ),
        gatherings=(),
        arrows=(*loop, *(Arrow("step", name, (), Look.PLAIN) for name in names)),
    )


def _sizes(machine: Machine) -> tuple[str, ...]:
    definition = machine.definition
    module = sys.modules[type(definition.initial.state).__module__]
    effects = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Effect) and kind.__module__ == module.__name__
    ]
    told = sum(effect in ROUTES for effect in effects)
    shell = f"{_counted(len(effects) - told, 'effect')} for the shell"
    others = (f"{told} for other machines",) if told else ()
    return (f"{len(definition.states)} states, {len(definition.events)} events", shell, *others)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
