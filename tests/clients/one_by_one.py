"""A session of a client that is not ours, judged by the rules of the check: one order and one stop at a time.

The model has one order of each kind and one stop in a leg; such a client has as many as it likes. So each is held against
the rules as the one that is meant: it was asked for, and the exchange answered and did what it did to it; whatever else
happened in the leg then is a stranger's doing, for which the rules ask that a stranger was seen to trade.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from anchorwatch.diagrams.check.acceptance import Verdict, accepts
from anchorwatch.machine import requests
from anchorwatch.machine.kernel import Effect
from anchorwatch.machine.trace import Answered, FellSilent, Requested, Seen


def judged(trace: Sequence[Seen]) -> dict[str, Verdict]:
    """The verdict on each order and stop that was asked for, by what it goes by."""
    return {name: accepts(seen_of(name, trace)) for name in asked_for(trace)}


def rejected(trace: Sequence[Seen]) -> list[str]:
    """What no rule allows, in words; nothing, where every order and stop is accepted."""
    return [
        f"{name}: {line}"
        for name, verdict in judged(trace).items()
        for one in verdict.rejections
        for line in one.lines()
    ]


def asked_for(trace: Sequence[Seen]) -> dict[str, None]:
    """What orders and stops go by, in the order in which they were asked for."""
    return {
        name: None
        for one in trace
        if isinstance(one, Requested)
        for effect in one.effects
        if isinstance(effect, requests.PlaceOrder | requests.PlaceStop)
        for name in _names(effect)
    }


def seen_of(name: str, trace: Sequence[Seen]) -> Iterator[Seen]:
    """The trace of a client that has asked for nothing but this."""
    yield FellSilent(0)
    is_asked = False
    for one in trace:
        match one:
            case Requested(_, effects):
                left = tuple(effect for effect in effects if name in _names(effect))
                is_asked = bool(left)
                if left:
                    yield msgspec.structs.replace(one, effects=left)
            case Answered():
                if is_asked:  # an answer is of the request before it
                    yield one
            case _:
                yield one


def _names(effect: Effect) -> tuple[str, ...]:
    match effect:
        case requests.Record(facts):
            return tuple(getattr(fact, "client_id", "") for fact in facts)
        case requests.PlaceOrder(ticket) | requests.CancelOrder(ticket) | requests.AmendOrder(ticket):
            return (ticket.client_id,)
        case requests.PlaceStop(_, _, client_id):
            return (client_id,)
        case requests.MoveStop(_, _, client_id, venue_id):
            return (client_id, venue_id)
        case requests.CancelStops(_, venue_ids):
            return venue_ids
    return ()
