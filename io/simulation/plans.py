"""What a seed makes go wrong: random plans, as data that can be read, kept and cut down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, NamedTuple

from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.network import Weather

# The bot has started by then; a fault during the start is drawn too, but less often than its share of time.
STARTED_S = 20.0
# How many faults a plan has: some runs are calm, so that what a single fault does shows; some are storms.
CALM, USUAL, STORM = (2, 6), (8, 14), (15, 24)
DURING_START_SHARE = 0.08
ON_WRITE_SHARE = 0.5

# How much more often than once in a deck; what needs an occasion that is rare must be drawn more often.
WEIGHTS = {
    Kind.LATENCY: 1.5,
    Kind.RATE_LIMIT: 1.25,
    Kind.LOGIN_REFUSED: 1.5,
    Kind.LOGIN_SLOW: 1.25,
    Kind.RULE_CHANGE: 1.5,
    Kind.HALT: 1.5,
    Kind.KILLED: 2.0,
    Kind.TORN_WRITE: 1.5,
    Kind.STOP_FAILS: 2.0,
    Kind.ATTACHED_MISSING: 1.5,
    Kind.STALE_READING: 2.0,
    Kind.CLOCK_SKEW: 1.5,
    Kind.DISK_FULL: 2.0,
    Kind.HUMAN: 2.5,
    Kind.ACK_THEN_CANCEL: 1.5,
}

ENDPOINTS = (
    "trade/order",
    "trade/order-algo",
    "trade/amend-algos",
    "trade/cancel-algos",
    "account/positions",
    "",
)
CHANNELS = ("orders", "positions", "orders-algo", "account", "")
PATHS = ("private", "business", "public", "")
DEEDS = ("open", "close", "part", "add", "cancel_stop", "tighten_stop")


def weather(random: Random) -> Weather:
    """The network of a whole run, faults aside: from a neighbour's to another continent's."""
    return Weather(
        latency_s=random.choice((0.001, 0.005, 0.03, 0.09)),
        jitter_s=random.choice((0.0, 0.01, 0.04)),
        short_write_share=random.choice((0.0, 0.05, 0.15)),
        fragment_share=random.choice((0.0, 0.1, 0.3)),
    )


def plan(random: Random, for_s: float, kinds: Sequence[Kind] = tuple(Kind)) -> tuple[Fault, ...]:
    """Faults of these kinds over `for_s` seconds, in the order of their times."""
    least, most = random.choice((CALM, USUAL, USUAL, STORM))
    share = for_s / 600.0  # the counts above are for ten minutes
    count = max(1, round(random.randint(least, most) * share))
    weights = [WEIGHTS.get(kind, 1.0) for kind in kinds]
    chosen = random.choices(kinds, weights, k=count)
    faults = [_drawn(random, kind, for_s) for kind in chosen]
    return tuple(sorted(faults, key=lambda fault: fault.at_s))


def _drawn(random: Random, kind: Kind, for_s: float) -> Fault:
    during_start = random.random() < DURING_START_SHARE
    at_s = (
        random.uniform(0, STARTED_S)
        if during_start
        else random.uniform(min(STARTED_S, for_s / 4), for_s * 0.95)
    )
    drawn = _SPECIFIC.get(kind, _plain)(random)
    on: Literal["", "write"] = "write" if random.random() < ON_WRITE_SHARE else ""
    return Fault(
        kind=kind,
        at_s=round(at_s, 1),
        for_s=round(drawn.for_s, 1),
        size=round(drawn.size, 2),
        times=drawn.times,
        where=drawn.where,
        on=on,
    )


class Spec(NamedTuple):
    """What a kind of fault needs to be said beyond its time."""

    for_s: float = 5.0
    size: float = 1.0
    times: int = 1
    where: str = ""


def _plain(random: Random) -> Spec:
    return Spec()


def _spell(shortest_s: float, longest_s: float) -> Callable[[Random], Spec]:
    return lambda random: Spec(for_s=random.uniform(shortest_s, longest_s))


def _slow(least_s: float, most_s: float) -> Callable[[Random], Spec]:
    return lambda random: Spec(for_s=random.uniform(5, 40), size=random.uniform(least_s, most_s))


def _http(random: Random) -> Spec:
    return Spec(where=random.choice(ENDPOINTS), times=random.choice((1, 1, 2, 4)))


def _late(least_s: float, most_s: float) -> Callable[[Random], Spec]:
    return lambda random: _http(random)._replace(size=random.uniform(least_s, most_s))


def _stale(random: Random) -> Spec:
    return Spec(times=random.choice((1, 2, 4)), size=random.uniform(0.5, 5))


def _push(random: Random) -> Spec:
    where, times = random.choice(CHANNELS), random.choice((1, 2, 5))
    return Spec(where=where, times=times, size=random.uniform(0.2, 8))


def _path(random: Random) -> Spec:
    where, times = random.choice(PATHS), random.choice((1, 1, 3))
    return Spec(where=where, times=times, size=random.uniform(1, 8))


def _some(random: Random) -> Spec:
    return Spec(where=random.choice(("one", "one", "all")))


def _skew(random: Random) -> Spec:
    """Ahead it is the exchange's clock, behind it is the host's."""
    size = random.choice((-1, 1)) * random.uniform(0.5, 40)
    return Spec(size=size, times=random.choice((1, 3)), for_s=random.uniform(10, 120))


def _deed(random: Random) -> Spec:
    return Spec(where=random.choice(DEEDS))


_SPECIFIC: dict[Kind, Callable[[Random], Spec]] = {
    Kind.LATENCY: _slow(0.2, 2.5),
    Kind.JITTER: _slow(0.2, 3.0),
    Kind.SHORT_WRITES: _spell(10, 60),
    Kind.FRAGMENTATION: _spell(10, 60),
    Kind.RESET: _some,
    Kind.HALF_OPEN: _some,
    Kind.REFUSED: _spell(2, 40),
    Kind.BLACK_HOLE: _spell(2, 40),
    Kind.LATE_PROCESSING: _late(0.3, 6),
    Kind.SLOW_ANSWER: _late(0.3, 8),
    Kind.STALE_READING: _stale,
    Kind.LOGIN_REFUSED: _path,
    Kind.LOGIN_SLOW: _path,
    Kind.UPGRADE_NOTICE: _path,
    Kind.SOCKET_CLOSED: _path,
    Kind.HANDSHAKE_REFUSED: _path,
    Kind.CLOCK_SKEW: _skew,
    Kind.MAINTENANCE: _spell(5, 45),
    Kind.RULE_CHANGE: _spell(20, 90),
    Kind.KILLED: _spell(0.5, 20),
    Kind.TORN_WRITE: _spell(0.5, 20),
    Kind.DISK_FULL: _spell(5, 60),
    Kind.TWO_INSTANCES: _spell(20, 60),
    Kind.HUMAN: _deed,
    Kind.PAUSE: _spell(10, 60),
    Kind.HALT: _spell(10, 60),
    Kind.FLATTEN: _spell(5, 20),
    Kind.STOP: _spell(1, 20),
    **dict.fromkeys(
        (
            Kind.HTTP_5XX,
            Kind.HTML_BODY,
            Kind.HTML_AFTER,
            Kind.TIMEOUT_AFTER,
            Kind.TIMEOUT_BEFORE,
            Kind.CUT_ANSWER,
            Kind.IN_DOUBT_CODE,
            Kind.RATE_LIMIT,
        ),
        _http,
    ),
    **dict.fromkeys((Kind.PUSH_DUPLICATED, Kind.PUSH_REORDERED, Kind.PUSH_DROPPED, Kind.PUSH_DELAYED), _push),
}
