"""The facts that a live bot would make durable, written in their order: one JSON line a record."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from anchorwatch.machine.facts import Fact
from anchorwatch.machine.requests import Record

FLUSHED_AT = 1_000
"""Facts, a few hundred bytes each: a back-test has nothing to recover after a crash, so they are written in blocks."""


class FactsFile:
    """Facts to a file, or only counted and encoded where there is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._encoder = msgspec.json.Encoder()
        self._waiting: list[Fact] = []

    def __enter__(self) -> FactsFile:
        if self._path is not None:
            self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        if self._file is not None:
            self._file.close()

    def record(self, effect: Record) -> None:
        self._waiting += effect.facts
        if len(self._waiting) >= FLUSHED_AT:
            self._flush()

    def _flush(self) -> None:
        lines = self._encoder.encode_lines(self._waiting)
        if self._file is not None:
            self._file.write(lines)
        self._waiting.clear()
