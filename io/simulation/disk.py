"""The disk of one simulated machine: real SQLite files, which survive the process that writes them.

The journal of a simulated life is the production journal on a real file. What a kill leaves behind is taken as
copies of the database and its write-ahead log, made at that moment without closing anything; the next life opens
the copies, so SQLite's own recovery runs. Everything that `Journal.record` returned from is in the log by then
(``synchronous = FULL``), so only a kill *during* a record can lose or tear one: :meth:`Disk.tear_next` kills in
the middle of the next record and cuts the log somewhere inside of what that record wrote.

What is not simulated: sectors that rot, a file system that loses what it has acknowledged, a reordering of writes
within one record.
"""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from anchorwatch.io.journal import Journal, JournalError, open_journal
from anchorwatch.io.simulation.incarnation import Incarnation
from anchorwatch.machine.facts import Fact


class Disk:
    """Where one bot's journal lives, life after life."""

    def __init__(self, folder: Path, environment: str, account: str) -> None:
        self._folder = folder
        self._environment = environment
        self._account = account
        self._generation = 0
        self.is_full = False
        # Where the last record lies in the write-ahead log, in bytes.
        self.last_record = (0, 0)
        # Told once for each time that the disk is full: the first write that it refuses.
        self.on_refusal: Callable[[], None] = _nothing
        # How often a record was cut after it had been announced.
        self.tears = 0
        self._tearing: tuple[Random, Callable[[], None]] | None = None

    @property
    def path(self) -> Path:
        return self._folder / f"disk-{self._generation}" / "journal.db"

    def open(
        self, incarnation: Incarnation, recorded: Callable[[Sequence[Fact]], None], die: Callable[[], None]
    ) -> SimulatedJournal:
        """The journal as the next life finds it. `recorded` is told what is durable, `die` kills the life."""
        opened = open_journal(self.path, self._environment, self._account)
        return SimulatedJournal(opened, self, incarnation, recorded, die)

    def tear_next(self, random: Random, torn: Callable[[], None] = lambda: None) -> None:
        """Kill in the middle of the next record, and say so."""
        self._tearing = (random, torn)

    def take_tear(self) -> tuple[Random, Callable[[], None]] | None:
        tearing, self._tearing = self._tearing, None
        return tearing

    def crash(self) -> None:
        """The process is gone: what is on the disk now is what the next life finds."""
        before = self.path
        self._generation += 1
        self.path.parent.mkdir(parents=True)
        for suffix in ("", "-wal"):
            file = before.with_name(before.name + suffix)
            if file.exists():
                shutil.copyfile(file, self.path.with_name(self.path.name + suffix))

    def copy_to(self, folder: Path) -> None:
        """A copy of what is on the disk now, for `move_to`."""
        folder.mkdir(parents=True)
        for suffix in ("", "-wal"):
            file = self.path.with_name(self.path.name + suffix)
            if file.exists():
                shutil.copyfile(file, folder / f"journal.db{suffix}")

    def move_to(self, folder: Path) -> None:
        """From now on this is the copy that `copy_to` made: a forked process must not touch the original's files."""
        self._folder = folder
        self._generation = 0
        self.path.parent.mkdir(parents=True)
        for suffix in ("", "-wal"):
            file = folder / f"journal.db{suffix}"
            if file.exists():
                file.rename(self.path.with_name(self.path.name + suffix))

    def tear_last(self, random: Random) -> None:
        """The last record was not finished when the process died: its part of the log ends somewhere inside of it."""
        before, after = self.last_record
        if before < after == self.wal_bytes():
            self.tears += 1
            self.cut_wal(random.randrange(before, after))

    def lose(self) -> None:
        """The disk is gone, and an empty one is put in its place."""
        self._generation += 1
        self.path.parent.mkdir(parents=True)

    @contextmanager
    def room(self) -> Iterator[None]:
        """While the disk is full, the operating system refuses every write within the block."""
        if not self.is_full:
            yield
            return
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def wal_bytes(self) -> int:
        file = self.path.with_name(self.path.name + "-wal")
        return file.stat().st_size if file.exists() else 0

    def cut_wal(self, to_bytes: int) -> None:
        with self.path.with_name(self.path.name + "-wal").open("r+b") as file:
            file.truncate(to_bytes)


# Kept from the garbage collector, which would close them; a run has a few, and its process ends.
_UNCLOSED: list[Journal] = []


class SimulatedJournal(Journal):
    """The production journal, of a life that may be dead already and on a disk that may be full."""

    def __init__(
        self,
        opened: Journal,
        disk: Disk,
        incarnation: Incarnation,
        recorded: Callable[[Sequence[Fact]], None],
        die: Callable[[], None],
    ) -> None:
        super().__init__(opened._database, opened._name, opened._lock)
        self._disk = disk
        self._incarnation = incarnation
        self._recorded = recorded
        self._die = die

    def record(self, facts: Sequence[Fact]) -> None:
        if not facts:
            return
        tearing = self._disk.take_tear()
        if tearing is not None:
            self._tear(facts, *tearing)
            return
        if not self._incarnation.may_act():
            return  # the dead write nothing, and are not told
        before, durable = self._disk.wal_bytes(), (*self._owed, *facts)
        try:
            with self._disk.room():
                super().record(facts)
        except JournalError:
            self._disk.on_refusal()
            self._disk.on_refusal = _nothing
            raise
        self._disk.last_record = (before, self._disk.wal_bytes())
        self._recorded(durable)

    def close(self) -> None:
        """The dead close nothing: SQLite would tidy up files that are the next life's, or another process's."""
        if self._incarnation.is_alive:
            super().close()
        else:
            _UNCLOSED.append(self)

    def _tear(self, facts: Sequence[Fact], random: Random, torn: Callable[[], None]) -> None:
        """Die inside of this record: a part of it is in the log, from nothing to all but the last byte."""
        if not self._incarnation.may_act():
            return
        before = self._disk.wal_bytes()
        super().record(facts)
        after = self._disk.wal_bytes()
        torn()
        self._die()  # copies the disk, with this record whole
        if after > before:
            self._disk.cut_wal(random.randrange(before, after))


def tear_random(seed: int, entry: int) -> Random:
    """Where a record is torn by a kill at this entry of the merged log."""
    return Random(f"{seed} {entry}")


def _nothing() -> None:
    """Nobody wants to know."""
