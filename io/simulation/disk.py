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
from anchorwatch.machine.facts import Fact


class Disk:
    """Where one bot's journal lives, life after life."""

    def __init__(self, folder: Path, environment: str, account: str) -> None:
        self._folder = folder
        self._environment = environment
        self._account = account
        self._generation = 0
        self.is_full = False
        # Told once for each time that the disk is full: the first write that it refuses.
        self.on_refusal: Callable[[], None] = _nothing
        self._tearing: tuple[Random, Callable[[], None]] | None = None

    @property
    def path(self) -> Path:
        return self._folder / f"disk-{self._generation}" / "journal.db"

    def open(self, may_write: Callable[[], bool], recorded: Callable[[Sequence[Fact]], None],
             die: Callable[[], None]) -> SimulatedJournal:  # fmt: skip
        """The journal as the next life finds it."""
        opened = open_journal(self.path, self._environment, self._account)
        return SimulatedJournal(opened, self, may_write, recorded, die)

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


class SimulatedJournal(Journal):
    """The production journal, of a life that may be dead already and on a disk that may be full."""

    def __init__(
        self,
        opened: Journal,
        disk: Disk,
        may_write: Callable[[], bool],
        recorded: Callable[[Sequence[Fact]], None],
        die: Callable[[], None],
    ) -> None:
        super().__init__(opened._database, opened._name, opened._lock)
        self._disk = disk
        self._may_write = may_write
        self._recorded = recorded
        self._die = die

    def record(self, facts: Sequence[Fact]) -> None:
        if not facts:
            return
        tearing = self._disk.take_tear()
        if tearing is not None:
            self._tear(facts, *tearing)
            return
        if not self._may_write():
            return  # the dead write nothing, and are not told
        try:
            with self._disk.room():
                super().record(facts)
        except JournalError:
            self._disk.on_refusal()
            self._disk.on_refusal = _nothing
            raise
        self._recorded(facts)

    def _tear(self, facts: Sequence[Fact], random: Random, torn: Callable[[], None]) -> None:
        """Die inside of this record: a part of it is in the log, from nothing to all but the last byte."""
        if not self._may_write():
            return
        before = self._disk.wal_bytes()
        super().record(facts)
        after = self._disk.wal_bytes()
        torn()
        self._die()  # copies the disk, with this record whole
        if after > before:
            self._disk.cut_wal(random.randrange(before, after))


def _nothing() -> None:
    """Nobody wants to know."""
