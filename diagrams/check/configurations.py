"""The worlds that `anchorwatch check` explores: each to its end, within its bounds and `ABSTRACTIONS`."""

from __future__ import annotations

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.machine.connection import Name

PRIVATES = (Name.PRIVATE, Name.PRIVATE_BUSINESS)

A = Bounds("A", entries=1, faults=3, crashes=2, lossy=PRIVATES, prompt=True)
"""One position, two connections, two crashes, three faults."""

B = Bounds("B", entries=2, faults=1, crashes=1, both_legs=True, prompt=True)
"""Both legs of one instrument in hedge mode, one crash, one fault."""

C = Bounds(
    "C",
    entries=1,
    faults=1,
    crashes=1,
    prompt=True,
    operator=True,
    halts=True,
    stops=True,
    rests=True,
    dead_man=True,
    takes_stops=True,
)
"""The operator and the dead man's switch on one position: pause, resume, halt and stop at any time."""

SMALL: tuple[Bounds, ...] = (
    Bounds("asynchronous", entries=1, faults=1),
    Bounds("overtaken", entries=1, overtaking=True),
    Bounds("maker", entries=1, faults=2, rests=True, pushy=True, prompt=True),
    Bounds("parts", entries=1, size=2, faults=2, reduces=True, prompt=True),
    Bounds("parts of a maker", entries=1, size=2, faults=2, rests=True, pushy=True, prompt=True),
    Bounds(
        "moves",
        entries=1,
        faults=2,
        moves=True,
        belt=True,
        strangers=True,
        twins=True,
        doubts=True,
        prompt=True,
    ),
    Bounds("forgetful", entries=1, faults=1, crashes=1, moves=True, strangers=True, pushy=True, prompt=True),
    Bounds(
        "journal",
        entries=1,
        faults=2,
        lossy=(Name.PRIVATE,),
        slow_journal=True,
        journal_fails=True,
        checks=True,
        prompt=True,
    ),
    Bounds("told early", entries=1, faults=1, detailed=(Name.PRIVATE,), prompt=True),
    Bounds("stages", entries=0, faults=2, slow_stages=True, stops=True, prompt=True),
    Bounds(
        "switch", entries=1, faults=2, rests=True, dead_man=True, takes_stops=True, stops=True, prompt=True
    ),
    Bounds("switch again", entries=2, faults=1, rests=True, dead_man=True, takes_stops=True, prompt=True),
    Bounds("again", entries=2, faults=1, belt=True, late_reads=True, prompt=True),
    Bounds(
        "lagging", entries=1, faults=2, lags=True, travels=True, overtaking=True, checks=True, prompt=True
    ),
    Bounds("unsent", entries=1, faults=2, unsent=True, prompt=True),
    Bounds("unruly", entries=1, faults=1, unruly=True, checks=True, prompt=True),
    Bounds("link", entries=0, faults=3, detailed=(Name.PRIVATE,), attempts_max=2, mailbox=True, prompt=True),
    Bounds(
        "public link", entries=0, faults=4, detailed=(Name.PUBLIC,), attempts_max=1, mailbox=True, prompt=True
    ),
    Bounds(
        "slow stop",
        entries=0,
        faults=2,
        detailed=(Name.PUBLIC,),
        slow_stages=True,
        slow_stop=True,
        stops=True,
        mailbox=True,
        prompt=True,
    ),
    Bounds(
        "switch alone",
        entries=2,
        faults=4,
        crashes=1,
        rests=True,
        fills=False,
        dead_man=True,
        takes_stops=True,
        takes_late=True,
        prompt=True,
    ),
    Bounds(
        "switch and stop",
        entries=2,
        faults=2,
        lossy=(Name.PRIVATE,),
        rests=True,
        fills=False,
        pushy=True,
        dead_man=True,
        halts=True,
        stops=True,
        prompt=True,
    ),
    Bounds("checked", entries=1, faults=2, lossy=(Name.PRIVATE,), checks=True, stops=True, prompt=True),
    Bounds(
        "slow journal",
        entries=1,
        faults=2,
        lossy=(Name.PRIVATE,),
        slow_journal=True,
        journal_fails=True,
        rests=True,
        fills=False,
        pushy=True,
        stops=True,
        prompt=True,
    ),
    Bounds(
        "out of turn",
        entries=1,
        size=2,
        faults=2,
        unruly=True,
        loses=False,
        rests=True,
        closes=False,
        halts=True,
        prompt=True,
    ),
    Bounds("pushy parts", entries=1, size=2, faults=1, reduces=True, pushy=True, rests=True, prompt=True),
    Bounds(
        "fills while reduced",
        entries=1,
        size=3,
        faults=1,
        reduces=True,
        rests=True,
        closes=False,
        prompt=True,
    ),
    Bounds(
        "watched",
        entries=1,
        faults=2,
        shared=True,
        others=2,
        reduces=True,
        pushy=True,
        checks=True,
        doubts=True,
        prompt=True,
    ),
    Bounds(
        "shared", entries=1, size=2, faults=2, shared=True, moves=True, closes=False, doubts=True, prompt=True
    ),
    Bounds("shared, over a crash", entries=1, faults=1, crashes=1, shared=True, doubts=True, prompt=True),
    Bounds(
        "a shared part, over a crash",
        entries=1,
        size=2,
        faults=1,
        crashes=1,
        shared=True,
        rests=True,
        closes=False,
        doubts=True,
        prompt=True,
    ),
    Bounds(
        "exact stops",
        entries=1,
        size=2,
        faults=2,
        shared=True,
        others=0,
        moves=True,
        closes=False,
        pushy=True,
        mailbox=True,
        prompt=True,
    ),
    Bounds(
        "late tries",
        entries=1,
        faults=4,
        strangers=True,
        moves=True,
        closes=False,
        mailbox=True,
        prompt=True,
    ),
    Bounds("empty readings", entries=1, faults=2, empties=True, checks=True, prompt=True),
    Bounds(
        "empty readings of parts",
        entries=1,
        size=2,
        faults=2,
        empties=True,
        checks=True,
        rests=True,
        pushy=True,
        reduces=True,
        prompt=True,
    ),
    Bounds(
        "followed",
        entries=2,
        faults=2,
        belt=True,
        strangers=True,
        twins=True,
        follows=True,
        doubts=True,
        prompt=True,
    ),
    Bounds("net", entries=2, faults=2, both_legs=True, net=True, prompt=True),
    Bounds("net and a crash", entries=2, crashes=1, both_legs=True, net=True, prompt=True),
    Bounds(
        "turned",
        entries=1,
        faults=2,
        both_legs=True,
        net=True,
        turns=True,
        lossy=(Name.PRIVATE,),
        belt=True,
        doubts=True,
        prompt=True,
    ),
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
"""Seconds each: what A, B and C leave out."""

QUICK: tuple[Bounds, ...] = (A, C, *SMALL)
"""What runs on every commit; the largest first, so that two processes end together."""

THOROUGH: tuple[Bounds, ...] = (
    B,
    *QUICK,
    Bounds("life", entries=1, belt=True, operator=True, stops=True),
    Bounds("asynchronous again", entries=2),
    Bounds("asynchronous strangers", entries=1, faults=1, strangers=True),
    Bounds("asynchronous, followed", entries=1, faults=1, strangers=True, twins=True, follows=True),
    Bounds(
        "followed, over a crash",
        entries=1,
        faults=2,
        crashes=1,
        moves=True,
        strangers=True,
        twins=True,
        follows=True,
        prompt=True,
    ),
    Bounds("asynchronous stop", entries=1, faults=1, stops=True),
    Bounds("asynchronous crash", entries=1, crashes=1),
    Bounds("asynchronous link", entries=1, faults=1, detailed=(Name.PRIVATE,)),
    Bounds("asynchronous, overtaken", entries=1, faults=1, overtaking=True),
    Bounds("net, a fault and a crash", entries=2, faults=1, crashes=1, both_legs=True, net=True, prompt=True),
    Bounds(
        "turned and a crash",
        entries=1,
        faults=2,
        crashes=1,
        both_legs=True,
        net=True,
        turns=True,
        belt=True,
        doubts=True,
        prompt=True,
    ),
    Bounds(
        "cancelled out of turn",
        entries=1,
        size=2,
        faults=3,
        unruly=True,
        loses=False,
        stops=True,
        closes=False,
        prompt=True,
    ),
    Bounds(
        "reduced and not shown",
        entries=1,
        size=2,
        faults=3,
        empties=True,
        checks=True,
        reduces=True,
        prompt=True,
    ),
    Bounds(
        "not shown, with links",
        entries=1,
        faults=3,
        lossy=PRIVATES,
        empties=True,
        checks=True,
        doubts=True,
        prompt=True,
    ),
    Bounds(
        "shared, faults and a crash", entries=1, faults=2, crashes=1, shared=True, doubts=True, prompt=True
    ),
    Bounds(
        "a shared part closed, over a crash",
        entries=1,
        size=2,
        faults=1,
        crashes=1,
        shared=True,
        rests=True,
        doubts=True,
        prompt=True,
    ),
    Bounds(
        "exact stops at length",
        entries=1,
        size=2,
        faults=3,
        shared=True,
        others=0,
        moves=True,
        closes=False,
        pushy=True,
        mailbox=True,
        prompt=True,
    ),
    Bounds(
        "late tries at length",
        entries=1,
        faults=5,
        strangers=True,
        moves=True,
        closes=False,
        doubts=True,
        mailbox=True,
        prompt=True,
    ),
)
"""Minutes in all: both legs, and the worlds in which nothing is prompt."""

SPIN: tuple[Bounds, ...] = (
    Bounds("one entry", entries=1),
    Bounds("two faults", entries=1, faults=2, prompt=True),
    Bounds("a fault and a crash", entries=1, faults=1, crashes=1, prompt=True),
    Bounds("a start", entries=0, faults=2, crashes=1, detailed=(Name.PRIVATE,), stops=True, operator=True),
    Bounds("moved", entries=1, faults=1, moves=True, belt=True, strangers=True, prompt=True),
    Bounds("both sides in net mode", entries=2, faults=1, both_legs=True, net=True, prompt=True),
)
"""What SPIN explores too."""

BY_NAME = {bounds.name: bounds for bounds in THOROUGH}

ABSTRACTIONS: tuple[str, ...] = (
    "One leg, or both legs of one instrument, in hedge mode or in net mode. Prices and levels reach the machines only as"
    " classified events, each of which may come whenever the world allows it; of a stop's level it is kept whether it"
    " was tightened.",
    "What the desk makes of reports is modelled (`classification`), and a test holds the model to the desk's own"
    " answers to the same reports.",
    "`entries` bounds how often the strategy is heard, `faults` and `crashes` how often the world fails.",
    "In a *prompt* world whatever happens while an answer or a push is under way costs a fault, one for each step by"
    " which it is delayed; in the others everything under way takes any time for nothing.",
    "A deadline that passes while the answer that it waits for is under way costs a fault.",
    "Without `overtaking` a query or reading shows what the venue holds when its answer arrives.",
    "A push that is lost, doubled or out of turn on a connection that is up costs a fault, of which the world that has"
    " them allows one: what is lost without a trace is found by the next reading, and by nothing else.",
    "Lists that stand still show what was for one answer; an answer to how a position ended, and the readings of a"
    " stage, are never of old.",
    "What simulated runs show of strangers' trades (`foreign`) is accepted by rules of this environment that no world"
    " explores; a late stop beside another (`beside`) only where the other one is attached (`belt`).",
    "In net mode what opens the other side without the bot (`turns`) happens while no entry of ours is at the venue, and"
    " is told at once or not at all; a person's order that opens a side which nobody holds is not explored.",
    "Where strangers share the position they hold a contract or two; they trade in the prompt worlds only, and nothing"
    " but sizes tells a position that they closed and opened anew, while a private connection was away, from ours.",
    "Pushes of a stop two generations old are taken as delivered; equal pushes of one stop, one right after the"
    " other, are one.",
    "Stops that are not meant any more are kept as one.",
    "Pushes held before the first reading are lost when their connection is; the desk keeps them.",
    "The journal keeps what it took, whole: no torn record, no lost disk.",
    "A *lossy* connection opens in one step; one that is *detailed* opens, logs in and subscribes in steps.",
    "The stages INIT, CLIENT, MODULES and RESET are done at once, and so is every stop step but the first.",
    "A step that changes nothing is no step.",
)
