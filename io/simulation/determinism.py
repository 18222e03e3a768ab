"""Makes one process repeatable: the same seed, the same run, whatever PYTHONHASHSEED and memory layout.

Under :func:`deterministic`, ``trio.run(..., clock=virtual_clock())`` on a
:class:`~anchorwatch.io.simulation.network.FakeNetwork` takes the same scheduler steps at the same virtual times
in every process. That needs a few names that trio and httpcore keep private; each is looked up before it is
touched, so a release that moves one is an error here and not a run that silently stopped repeating.

Not covered, and to be kept out of a simulation: worker threads, real sockets and files, and servers that stamp
replies with the host's date (hypercorn: ``include_date_header = False``).
"""

from __future__ import annotations

import gc
import hashlib
import math
import os
import random
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import httpcore._async.http2
import httpcore._async.http11
import trio
import trio._core._run as trio_run
from trio.testing import MockClock

# Independent streams from one seed: a library that draws once more must not shift what another draws.
_SYSTEM_BYTES = "system bytes"
_MODULE_RANDOM = "module random"
_SCHEDULER = "scheduler"

# One call of the hash for so many lines: a step is not worth a call of its own.
_HASHED_AT_ONCE = 1_000
_MEMORY_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class TrioTime:
    """Stands in for the module ``time`` where httpcore asks how long a connection has been idle."""

    @staticmethod
    def monotonic() -> float:
        return trio.current_time()


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Within the block the scheduler, ``random``, ``os.urandom`` and httpcore's idle time follow from `seed`.

    Enter it before ``trio.run``. Everything is put back on exit, in reverse order, also after an error. The cyclic
    garbage collector rests meanwhile, because it may run finalizers, and with them tasks, at any allocation; a
    long simulation calls ``gc.collect()`` at virtual times of its choosing.

    Raises RuntimeError when a private name that this relies on is no longer there.
    """
    with ExitStack() as restoring:
        _set(restoring, trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
        _seed(restoring, _scheduler_random(), f"{seed} {_SCHEDULER}")
        restoring.callback(random.setstate, random.getstate())
        random.seed(f"{seed} {_MODULE_RANDOM}")
        system_bytes = random.Random(f"{seed} {_SYSTEM_BYTES}").randbytes
        _set(restoring, os, "urandom", system_bytes)
        _set(restoring, random, "_urandom", system_bytes)  # SystemRandom, hence the module `secrets`
        for module in (httpcore._async.http11, httpcore._async.http2):
            _set(restoring, module, "time", TrioTime)
        if gc.isenabled():
            restoring.callback(gc.enable)
            gc.disable()
        yield


def virtual_clock() -> MockClock:
    """trio's own virtual clock, which jumps whenever every task waits; for ``trio.run(clock=…)``.

    A run asks for the time several times a step. This one reads a number, where MockClock also reads the host's clock
    to find that its rate is zero; and it asks for the next deadline alone where MockClock counts everything that waits.

    Raises RuntimeError when a private name that this relies on is no longer there.
    """
    clock = MockClock(autojump_threshold=0)
    for owner, name in ((clock, "_virtual_base"), (clock, "_autojump"), (trio_run, "GLOBAL_RUN_CONTEXT")):
        if not hasattr(owner, name):
            raise _moved(owner, name)
    current_time = partial(getattr, clock, "_virtual_base")

    def jump_to_next_deadline() -> None:
        jump_s = trio_run.GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline() - current_time()
        if 0 < jump_s < math.inf:
            clock.jump(jump_s)

    clock.current_time = current_time  # type: ignore[method-assign]
    clock._autojump = jump_to_next_deadline  # type: ignore[method-assign]
    return clock


class StepDigest(trio.abc.Instrument):
    """A digest over every scheduler step: which task ran, at which virtual time. For ``trio.run(instruments=…)``."""

    def __init__(self, now_s: Callable[[], float] = trio.current_time) -> None:
        self.steps = 0
        self._now_s = now_s
        self._at_s = -1.0
        self._unhashed: list[str] = []
        self._hash = hashlib.sha256()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1
        unhashed = self._unhashed
        at_s = self._now_s()
        if at_s != self._at_s:
            self._at_s = at_s
            unhashed.append(at_s.hex())
        unhashed.append(task.name)
        if len(unhashed) >= _HASHED_AT_ONCE:
            self._take()

    def hexdigest(self) -> str:
        self._take()
        return self._hash.hexdigest()

    def _take(self) -> None:
        # trio names a callable object by its repr, which tells where it lies in memory.
        self._hash.update(_MEMORY_ADDRESS.sub("", "\n".join([*self._unhashed, ""])).encode())
        self._unhashed.clear()


def _scheduler_random() -> random.Random:
    found = getattr(trio_run, "_r", None)
    if not isinstance(found, random.Random):
        raise _moved(trio_run, "_r")
    return found


def _seed(restoring: ExitStack, generator: random.Random, seed: str) -> None:
    restoring.callback(generator.setstate, generator.getstate())
    generator.seed(seed)


def _set(
    restoring: ExitStack, owner: object, name: str, value: bool | type[TrioTime] | Callable[[int], bytes]
) -> None:
    if not hasattr(owner, name):
        raise _moved(owner, name)
    restoring.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _moved(owner: object, name: str) -> RuntimeError:
    where = getattr(owner, "__name__", repr(owner))
    return RuntimeError(f"{where} has no {name} any more: simulation would not repeat; adapt determinism.py")
