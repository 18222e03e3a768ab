"""What a day piles up in memory: containers counted every quarter of an hour, by whose they are and by their type.

Theory of operation
===================

Three owners are counted apart. **Histories** are what the exchange keeps of what is over; they grow until they are full, and
so does the **desk**, what the present life decides with. Both are bounded by constants, and tests of their own fill them.
**The rest** is all else in the process: the engine's shell, its clients, the exchange at work, and whatever an earlier life
should have taken with it. It must not grow.

Sockets, requests and timers come and go, so a count at one moment says little. What has leaked stays: it is in the
*least* count of a long while, and in the quarter of lowest counts, too. A type leaks when both are beyond those of the
first third of a time, in its last third, by more than chance explains: one moment at which every connection was down
makes a least count small.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from anchorwatch.io.venue.exchange import Venue
from tests.weight import held_by, kind_of

EVERY_S = 900

SETTLED_S = 3_600
"""From here on everything has been loaded, and what is remembered for a while is."""

LEAST_SAMPLES = 8
"""In each third. The exchange gives a half-open socket up a quarter of an hour after the first push that nobody answers, so
in less than two hours there may be no moment without half a dozen of them."""

CHANCE = 20
CHANCE_SHARE = 0.1
"""How far the least count of a type may lie apart in two thirds of one time: of two sockets with their tasks, and of the rate
limits of a few endpoints that are rarely asked."""

CACHED = ("urllib.parse.SplitResult", "anchorwatch.machine.ids.ClientId")
"""What is remembered of the last 128 addresses and the last 1,024 client ids that were taken apart; the day is over before
that is full."""


class Sample(msgspec.Struct, frozen=True):
    """What was held at one moment."""

    at_s: float
    resident_mb: float
    histories: int
    desk: int
    rest: Counter[str]

    @property
    def total(self) -> int:
        return self.histories + self.desk + self.rest.total()


def sample(at_s: float, venue: Venue, desk: object | None, own: Iterable[object] = ()) -> Sample:
    """Count now; ``own`` is what the stage itself keeps of the day, which is nobody's leak."""
    histories = held_by(*_histories(venue))
    every = Counter(map(kind_of, gc.get_objects()))
    decides = held_by(desk) if desk is not None else Counter()
    rest = every - histories - decides - held_by(*own)
    return Sample(at_s, round(_resident_mb(), 1), histories.total(), decides.total(), rest)


def leaks(samples: Sequence[Sample]) -> list[str]:
    """The types of the rest whose least count has grown; nothing for a time that is too short to say."""
    size = len(samples) // 3
    if size < LEAST_SAMPLES:
        return []
    first, last = samples[:size], samples[-size:]
    before, after = (_low(first, 0), _low(first, size // 4)), (_low(last, 0), _low(last, size // 4))
    return [
        f"{kind}: {before[0][kind]} → {count}"
        for kind, count in sorted(after[0].items())
        if kind not in CACHED
        and all(
            now[kind] - was[kind] > max(CHANCE, CHANCE_SHARE * was[kind])
            for was, now in zip(before, after, strict=True)
        )
    ]


def _low(samples: Sequence[Sample], rank: int) -> Counter[str]:
    """Of each type the count that so many samples lie below."""
    kinds = {kind for one in samples for kind in one.rest}
    return Counter({kind: sorted(one.rest[kind] for one in samples)[rank] for kind in kinds})


def _histories(venue: Venue) -> list[object]:
    kept: list[object] = [venue.log, venue.pasts]
    for account in venue.accounts.values():
        kept += [account.done, account.algos_done, account.fills, account.bills, account.history]
    return kept


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1_000_000
