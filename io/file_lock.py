"""A file that one process holds, and whether anybody does. The operating system drops a lock with its process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Windows locks bytes, not files: one far behind the text, which others must be able to read.
_LOCKED_BYTE = 1 << 20


class Held(Exception):
    """Another process has the lock; ``process`` is its number as it wrote it, or ``unknown``."""

    def __init__(self, process: str) -> None:
        super().__init__(process)
        self.process = process


class FileLock:
    """One process a file: the lock is on ``<path>.lock``, so that the file itself may be replaced.

    A crash leaves nothing stale. The lock file stays: whoever deletes it could hand the lock to two processes. It names
    the holder, for people. Raises `Held`, and OSError where the lock file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(self._file)
        except (BlockingIOError, PermissionError):
            holder = _named(self._file)
            os.close(self._file)
            raise Held(holder) from None
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        os.close(self._file)


def holder(path: Path) -> str | None:
    """The process that holds the lock of ``path``; None when nobody does. Raises OSError other than for no lock file.

    It asks by taking the lock for a moment: who finds it taken meanwhile tries again.
    """
    try:
        file = os.open(_lock_of(path), os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        _take(file)
    except (BlockingIOError, PermissionError):
        return _named(file)
    finally:
        os.close(file)
    return None


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _named(file: int) -> str:
    text = os.pread(file, 20, 0) if sys.platform != "win32" else os.read(file, 20)
    return text.decode("ascii", "replace").strip() or "unknown"


def _take(file: int) -> None:
    if sys.platform == "win32":
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
