"""Where the world's nondeterminism enters: the wall clock, randomness, signals. Nowhere else.

Everything else in ``io/`` is handed what it needs from here, so that a simulation can hand it
something else: the same engine under :func:`virtual_seams` lives the same life for the same seed.
(The other two doors are trio's own clock, see :mod:`anchorwatch.io.clocks`, and its sockets, see
:mod:`anchorwatch.io.simulation.network`; both are chosen by whoever calls ``trio.run``.)
"""

from __future__ import annotations

import random
import signal
import string
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import FrameType

import trio

ALPHABET = string.ascii_lowercase + string.digits

# A float second that stands for a whole millisecond may lie a hair below it (1.001 s × 1000 is
# 1000.9999…); a deadline just reached must not read as the millisecond before it.
_GRACE_MS = 1e-3

# Windows knows no SIGTERM sent from outside; some embedded builds lack the name altogether.
STOP_SIGNALS: tuple[signal.Signals, ...] = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)
)


ASK_SIGNALS: tuple[signal.Signals, ...] = tuple(
    signal.Signals[name] for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)


CAN_RING = hasattr(signal, "setitimer")
"""Whether this system can interrupt what runs too long; Windows cannot."""


@dataclass(frozen=True, slots=True)
class Seams:
    """What one run knows of the world's time and chance."""

    wall_ms: Callable[[], int]  # UTC, milliseconds since 1970, as this host believes
    random: random.Random

    def token(self, length: int) -> str:
        """A fresh token of `length` characters out of a–z and 0–9.

        The venue takes only letters and digits in a client order id (OKX v5: case-sensitive
        alphanumerics, at most 32), hence the alphabet.
        """
        if length < 1:
            raise ValueError(f"a token has at least one character, not {length}")
        return "".join(self.random.choices(ALPHABET, k=length))


def elapsed_s() -> float:
    """Real seconds since some moment: for saying how long something took, never for deciding."""
    return time.perf_counter()


def real_seams() -> Seams:
    """The host's clock and the operating system's randomness.

    Not a seeded generator: two bots started in the same instant, or one restored from a disk image,
    must never draw the same token.
    """
    return Seams(wall_ms=lambda: time.time_ns() // 1_000_000, random=random.SystemRandom())


def virtual_seams(start_ms: int, seed: int, *, since_s: float = 0.0) -> Seams:
    """Wall time that follows trio's clock from `start_ms`, and randomness that follows from `seed`.

    `since_s` is the reading of trio's clock that counts as `start_ms`: zero for ``MockClock`` and
    ``PacedClock``, which start there; trio's own clock starts anywhere. Every part of the run that is
    given the same two then agrees on the time. ``wall_ms`` works inside ``trio.run``.
    """

    def wall_ms() -> int:
        return start_ms + int((trio.current_time() - since_s) * 1000 + _GRACE_MS)

    return Seams(wall_ms=wall_ms, random=random.Random(seed))


@asynccontextmanager
async def asks() -> AsyncIterator[AsyncIterator[int]]:
    """Catch SIGUSR1 and SIGUSR2 for the length of the block: somebody asks for something to be done now.

    Not to be used where the system has no such signals: `ASK_SIGNALS` is empty there.
    """
    with trio.open_signal_receiver(*ASK_SIGNALS) as arriving:
        yield arriving


@asynccontextmanager
async def interrupts() -> AsyncIterator[AsyncIterator[int]]:
    """Catch SIGINT and SIGTERM for the length of the block and yield them one by one as they come.

    Usable once, in the main thread, inside ``trio.run``. While the block lasts Ctrl-C raises no
    ``KeyboardInterrupt``: who iterates decides what a signal means. Several signals of one kind that
    arrive before they are read count as one, as everywhere under POSIX.
    """
    with trio.open_signal_receiver(*STOP_SIGNALS) as arriving:
        yield arriving


@contextmanager
def rings(answer: Callable[[FrameType | None], None]) -> Iterator[None]:
    """Own the alarm clock of the process (SIGALRM) for the length of the block, in the main thread.

    When it rings, ``answer`` is called in the middle of whatever Python code runs there, is given its frame, and may raise
    into it. Code in C is not interrupted before it returns. Not to be used where `CAN_RING` is false.
    """
    before = signal.signal(signal.SIGALRM, lambda _, frame: answer(frame))
    try:
        yield
    finally:
        ring_no_more()
        signal.signal(signal.SIGALRM, before)


def ring_after(seconds: float, again_s: float) -> None:
    """Set the alarm clock: real time, and again every ``again_s`` until `ring_no_more`."""
    signal.setitimer(signal.ITIMER_REAL, seconds, again_s)


def ring_no_more() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
