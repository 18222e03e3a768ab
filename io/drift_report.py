"""The drift report: what a start or a reconciliation found to differ, and what was done about it, as JSON lines.

One line each, appended: ``at_ms`` (UTC milliseconds, venue time), ``found`` (the name that the log has
too: ``DRIFT_ADD``, ``RESTORED`` …) and what the log says of it. A report that cannot be written is told
once and costs nothing else: the log has the same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

PREFIX = "DRIFT_"
STARTS = ("FIRST_START", "CLEAN_START", "AFTER_CRASH", "RESTORED", "WATCHED", "IN_DOUBT", "OURS_LOST")
"""What a start finds that is no difference, and that one reads the differences beside."""

BYTES_MAX = 4_000_000
"""A report that is longer is put aside at the next start: some twenty thousand lines, which nobody reads."""

LINES_MAX = 20_000
"""Lines of one life. More is a storm whose beginning tells the cause."""


class DriftReport:
    """Appends to ``path``; without one it does nothing. ``note`` is told once when writing fails."""

    def __init__(self, path: Path | None, note: Callable[[str], object]) -> None:
        self._path = path
        self._note = note
        self._lines_left = LINES_MAX
        if path is not None:
            self._put_aside(path)

    def take(self, at_ms: int, name: str, fields: Mapping[str, str]) -> None:
        """One announcement of the desk; those that belong to no report are passed over."""
        if self._path is None or not (name.startswith(PREFIX) or name in STARTS):
            return
        if not self._lines_left:
            return
        self._lines_left -= 1
        line = msgspec.json.encode({"at_ms": at_ms, "found": name, **fields})
        try:
            with self._path.open("ab") as file:
                file.write(line + b"\n")
        except OSError as error:
            self._give_up(error)

    def _put_aside(self, path: Path) -> None:
        try:
            if path.exists() and path.stat().st_size > BYTES_MAX:
                path.replace(path.with_name(f"{path.name}.old"))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._note(f"{self._path}: cannot be written: {error.strerror or error}")
        self._path = None
