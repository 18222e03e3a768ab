"""What something holds on to: the containers that can be reached from it, counted by their type.

Only what the interpreter's collector tracks is counted, because what leaks is made of it. Modules, classes and the globals
of functions belong to the program and not to whoever refers to them, and so do tasks: they refer to everything.
"""

from __future__ import annotations

import gc
import types
from collections import Counter

import trio

BEYOND = (types.ModuleType, type, types.FunctionType, types.FrameType, trio.lowlevel.Task, trio.Nursery)


def held_by(*roots: object) -> Counter[str]:
    """The containers reachable from ``roots``, themselves included."""
    gc.collect()  # only then is a tuple of plain values known to be no container
    seen: set[int] = set()
    found: Counter[str] = Counter()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, BEYOND) or not gc.is_tracked(one):
            continue
        seen.add(id(one))
        found[kind_of(one)] += 1
        waiting += gc.get_referents(one)
    return found


def kind_of(one: object) -> str:
    kind = type(one)
    return f"{kind.__module__}.{kind.__qualname__}"
