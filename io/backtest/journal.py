"""The facts that a live bot would make durable, written in their order: one JSON line a record."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from anchorwatch.machine.requests import Record

FLUSHED_AT_BYTES = 1 << 20
"""A back-test has nothing to recover after a crash, so facts are written in blocks."""


class FactsFile:
    """Facts to a file, or only counted and encoded where there is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self.facts = 0

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
        self.facts += len(effect.facts)
        self._buffer += self._encoder.encode_lines(effect.facts)
        if len(self._buffer) > FLUSHED_AT_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._file is not None:
            self._file.write(self._buffer)
        self._buffer.clear()
