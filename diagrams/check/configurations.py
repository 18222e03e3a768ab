"""The worlds that `anchorwatch check` explores: each to its end, within its bounds and `ABSTRACTIONS`."""

from __future__ import annotations

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.machine.connection import Name

QUICK: tuple[Bounds, ...] = (
    Bounds("life", entries=1, belt=True, operator=True, stops=True),
    Bounds("doubt", entries=1, faults=1),
    Bounds("overtaken", entries=1, overtaking=True),
    Bounds(
        "start",
        entries=0,
        faults=2,
        crashes=1,
        detailed=(Name.PRIVATE,),
        stages_fail=True,
        stops=True,
        operator=True,
        halts=True,
        facts=True,
    ),
)
"""Seconds each."""

THOROUGH: tuple[Bounds, ...] = (
    *QUICK,
    Bounds("again", entries=2),
    Bounds("strangers", entries=1, faults=1, strangers=True),
    Bounds("doubt overtaken", entries=1, faults=1, overtaking=True),
    Bounds("last look", entries=1, faults=1, stops=True),
    Bounds("crash", entries=1, crashes=1),
    Bounds("link", entries=1, faults=1, detailed=(Name.PRIVATE,)),
)
"""Minutes in all."""

ABSTRACTIONS: tuple[str, ...] = (
    "One leg, hedge mode. Prices and levels reach the machines only as classified events, each of which may"
    " come whenever the world allows it.",
    "What the desk makes of reports is modelled by hand (`classification`), as it is promised and not as the"
    " desk's own code: nothing here explores the desk. Promised are: a reading of the leg is heeded only while it"
    " is being closed, and counts the fills that it shows; a reading of the stops that an earlier stop asked for"
    " is not heeded.",
    "`entries` bounds how often the strategy asks, `faults` and `crashes` how often the world fails.",
    "A deadline that passes while the answer that it waits for is under way costs a fault.",
    "Without `overtaking` a query or reading shows what the venue holds when its answer arrives.",
    "Pushes of a stop two generations old are taken as delivered; equal pushes of one stop, one right after the"
    " other, are one.",
    "Stops that are not meant any more are kept as one.",
    "Pushes held before the first reading are lost when their connection is; the desk keeps them.",
    "The journal keeps what it took, whole: no torn record, no lost disk.",
    "The stages INIT, CLIENT, MODULES and RESET are done at once, and so is every stop step but the first.",
    "A fill that was merged with a later one has the later one's time.",
)
