"""Killed after every entry of the merged log, and back: does it always recover?

Theory of operation
===================

One run is played, and at each chosen point the process *forks*. The copy kills the bot there, heals the world,
and plays on: the next life starts on the same disk and exchange, and must come to rest with the same positions,
one covering stop each, no second entry, nothing orphaned, and what the journal knew of a position kept. The original
plays on to the next point. A copy is exact, so this is what a run that is killed at that point would do, without
playing the time before it again; ``anchorwatch simulate --kill-at N`` does play it, and gives the same digest.

The points are the entries of the merged log: each effect of the bot (bytes sent, a record made durable, a line of
the log) and each event of the exchange. After a record there is a second copy, in which the process died inside of
it and the write-ahead log is cut in the middle of what it wrote. ``at_steps`` kills before every step of the
scheduler instead, to show on a small scenario that the entries miss nothing.

POSIX only: it forks.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import trio

from anchorwatch.io.simulation.campaign import fast_folder
from anchorwatch.io.simulation.chronicle import Entry
from anchorwatch.io.simulation.disk import tear_random
from anchorwatch.io.simulation.life import Life
from anchorwatch.io.simulation.observer import Violation
from anchorwatch.io.simulation.scenario import Scenario
from anchorwatch.io.simulation.world import World, simulate

RESULT = "result.json"
# A copy that neither ends nor fails is a defect of the simulation: no recovery needs so many entries.
ENTRIES_AFTER_MAX = 20_000
# A recovery is computed in a fraction of a second; one that computes for so long turns in a circle. CPU time: on a
# machine that has other work a copy may have to wait for as long, and has done nothing wrong.
COPY_WITHIN_CPU_S = 60


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one kill. `outcome` is the class that it falls in: what stands on the exchange at the end, in words."""

    number: int
    at_s: float
    where: str
    torn: bool
    outcome: str
    violations: tuple[Violation, ...]
    crashed: str = ""  # a defect of the simulation itself


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """All kills of one scenario."""

    scenario: str
    seed: int
    points: int
    torn: int
    recovered: int
    classes: dict[str, int]
    failures: tuple[Recovery, ...]


class Sweep:
    """Forks a run at its points. Use `run` once."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        *,
        every: int = 1,
        part: tuple[int, int] = (0, 1),
        lives: tuple[int, ...] = (1,),
        at_steps: bool = False,
        window_s: tuple[float, float] = (0.0, float("inf")),
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._every = every
        self._part = part
        self._lives = lives
        self._at_steps = at_steps
        self._window_s = window_s
        self._folder = Path(tempfile.mkdtemp(prefix="anchorwatch-sweep-", dir=fast_folder()))
        self._results: list[Recovery] = []
        self._seen = 0
        self._forked = 0
        self._world: World | None = None

    def run(self) -> Swept:
        try:
            own = self._folder / "original"
            own.mkdir()
            instruments = (_Steps(self._at_step),) if self._at_steps else ()
            simulate(
                self._scenario, self._seed, self._scenario.fault, own,
                at_start=self._begin, instruments=instruments,
            )  # fmt: skip
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        failures = tuple(one for one in self._results if one.violations or one.crashed)
        return Swept(
            scenario=self._scenario.name,
            seed=self._seed,
            points=len(self._results),
            torn=sum(one.torn for one in self._results),
            recovered=len(self._results) - len(failures),
            classes=dict(sorted(Counter(one.outcome for one in self._results).items())),
            failures=tuple(sorted(failures, key=lambda one: one.number)),
        )

    def _begin(self, world: World) -> None:
        self._world = world
        if not self._at_steps:
            world.chronicle.after = self._at_entry

    def _victim(self) -> Life | None:
        """The life that is to be killed, when the present moment is a point."""
        world = self._world
        if world is None or world.is_healed:
            return None
        life = world.life
        if life is None or not life.is_alive or world.lives not in self._lives:
            return None
        return life if self._window_s[0] <= trio.current_time() < self._window_s[1] else None

    def _at_entry(self, entry: Entry) -> None:
        if entry.who in ("world", "observer") or self._victim() is None:
            return
        if not self._is_chosen():
            return
        where = f"{entry.who} {entry.what} {entry.words}"
        self._fork(entry.number, where, torn=False)
        if entry.what == "recorded":
            self._fork(entry.number, where, torn=True)

    def _at_step(self, task: trio.lowlevel.Task) -> None:
        if self._victim() is None:
            return
        if self._is_chosen():
            self._fork(self._seen, f"before a step of {task.name}", torn=False)

    def _is_chosen(self) -> bool:
        self._seen += 1
        number, of = self._part
        return self._seen % self._every == 0 and self._seen // self._every % of == number

    def _fork(self, number: int, where: str, *, torn: bool) -> None:
        world, life = self._world, self._victim()
        if world is None or life is None:
            return
        self._forked += 1
        folder = self._folder / str(self._forked)
        world.disk.copy_to(folder)
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            # One at a time: a copy shares the original's poll object, and must not be awake together with it.
            self._collect(pid, folder, number, where, torn)
            return
        signal.setitimer(signal.ITIMER_PROF, COPY_WITHIN_CPU_S)
        try:
            _become_the_killed(world, life, folder, number, where, torn=torn, seed=self._seed)
        except BaseException as error:
            # The edge of a copy: it must not go on as the original.
            _tell(folder, _broken(number, where, torn, error))
            os._exit(1)

    def _collect(self, pid: int, folder: Path, number: int, where: str, torn: bool) -> None:
        os.waitpid(pid, 0)
        result = folder / RESULT
        if result.exists():
            self._results.append(msgspec.json.decode(result.read_bytes(), type=Recovery))
        else:
            late = TimeoutError(f"the copy did not come to an end within {COPY_WITHIN_CPU_S} s of CPU time")
            self._results.append(_broken(number, where, torn, late))
        shutil.rmtree(folder, ignore_errors=True)


class _Steps(trio.abc.Instrument):
    def __init__(self, before: Callable[[trio.lowlevel.Task], None]) -> None:
        self._before = before

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._before(task)


def merged(parts: Sequence[Swept]) -> Swept:
    """The parts of one sweep, put together."""
    classes: Counter[str] = Counter()
    for one in parts:
        classes.update(one.classes)
    return Swept(
        scenario=parts[0].scenario,
        seed=parts[0].seed,
        points=sum(one.points for one in parts),
        torn=sum(one.torn for one in parts),
        recovered=sum(one.recovered for one in parts),
        classes=dict(sorted(classes.items())),
        failures=tuple(sorted((bad for one in parts for bad in one.failures), key=lambda bad: bad.number)),
    )


def _become_the_killed(
    world: World, life: Life, folder: Path, number: int, where: str, *, torn: bool, seed: int
) -> None:
    """In the copy: kill, and see to it that the end is told."""
    at_s = trio.current_time()
    limit = world.chronicle.count + ENTRIES_AFTER_MAX

    def bounded(entry: Entry) -> None:
        assert entry.number < limit, "the copy does not come to an end"

    world.chronicle.after = bounded

    def done() -> None:
        _tell(
            folder,
            Recovery(
                number=number,
                at_s=round(at_s, 3),
                where=where[:200],
                torn=torn,
                outcome=world.summary(),
                violations=tuple(world.observer.violations),
            ),
        )
        os._exit(0)

    def failed(error: BaseException) -> None:
        _tell(folder, _broken(number, where, torn, error))
        os._exit(1)

    world.when_over, world.when_failed = done, failed
    world.disk.move_to(folder)
    life.kill()
    if torn:
        world.disk.tear_last(tear_random(seed, number))
    world.end_faults()


def _tell(folder: Path, recovery: Recovery) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).write_bytes(msgspec.json.encode(recovery))


def _broken(number: int, where: str, torn: bool, error: BaseException) -> Recovery:
    text = "".join(traceback.format_exception(error))
    return Recovery(
        number=number, at_s=0.0, where=where[:200], torn=torn, outcome="", violations=(), crashed=text
    )
