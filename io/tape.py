"""The tape of a life: every event that its desk was given, with its time, and what came of it.

Theory of operation
===================

The desk is deterministic, so its birth (`birth.Birth`: settings without secrets, the journal's facts, the token of
the life) and its events in their order are the whole run. Beside each event stands what the desk answered, twice:
in words, for people (the moves and the names of the other effects), and as a digest over every answer so far, byte
for byte. `replay` gives the events to a new desk and compares.

A tape is a row of segments, ``FILE``, ``FILE.1``, … of at most `SEGMENT_BYTES_MAX` each; after `SEGMENTS_MAX` it is
full, says so and stops: a replay needs the beginning, so nothing of it is ever thrown away. Writing is buffered: a
killed process leaves a tape whose last events are missing and whose end may be torn, and it is read as far as it goes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import msgspec

from anchorwatch.io.birth import Birth, plain, read_birth
from anchorwatch.machine import bot as bots
from anchorwatch.machine import (
    candle_repair,
    connection,
    dead_man,
    desk,
    facts,
    guards,
    lifecycle,
    maintenance,
    order,
    permission,
    position,
    protection,
    reconciliation,
    requests,
    world,
)
from anchorwatch.machine.bot import Address
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Effect, Event, Move
from anchorwatch.machine.strategy.asking import StrategyOverran

MAGIC = b"anchorwatch tape 1\n"
# A segment is some five days of one instrument's market data; eight are what a disk can spare without being asked.
SEGMENT_BYTES_MAX = 64 * 1024 * 1024
SEGMENTS_MAX = 8
BUFFER_BYTES = 64 * 1024
# One event: a reading of the fullest account is far below; beyond it the file is something else.
RECORD_BYTES_MAX = 16 * 1024 * 1024
_LENGTH = struct.Struct(">I")
_ENCODER = msgspec.msgpack.Encoder(enc_hook=plain)


class BadTape(Exception):
    """The file is no tape, or not one of this version; the text is for the user."""


class Overran(msgspec.Struct, frozen=True, array_like=True):
    """A strategy that was interrupted while it was asked: what the clock did to this event, as `StrategyOverran` has it."""

    strategy: str
    where: str
    what: str


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One event. `answer` in words; `digest` over this and every earlier answer, the first eight bytes."""

    now_ms: int
    kind: str
    event: msgspec.Raw
    answer: tuple[str, ...]
    digest: bytes
    address: msgspec.Raw = msgspec.Raw(b"\xc0")
    overran: Overran | None = None


class Digest:
    """Running over every answer of a desk."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def take(self, effects: Sequence[Effect]) -> bytes:
        for effect in effects:
            self._hash.update(type(effect).__name__.encode())
            self._hash.update(_ENCODER.encode(effect))
        return self._hash.digest()[:8]

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def in_words(effects: Sequence[Effect]) -> tuple[str, ...]:
    """What the desk answered: its moves, and the names of what it asked for."""
    words = []
    for effect in effects:
        if isinstance(effect, Move):
            words.append(f"{effect.machine} {effect.id}: {effect.source} → {effect.dest}")
        else:
            inner = getattr(effect, "effect", None)
            words.append(type(inner if inner is not None else effect).__name__)
    return tuple(words)


class Tape:
    """Written by the engine, one event at a time. Raises OSError from its constructor only."""

    def __init__(self, path: Path, birth: Birth) -> None:
        self._path = path
        self._segment = 0
        self._written = 0
        self._digest = Digest()
        self.lost = 0  # events that could not be written: a full tape, a full disk
        self._file: BinaryIO | None = path.open("wb", buffering=BUFFER_BYTES)
        self._file.write(MAGIC)
        self._put(_ENCODER.encode(birth.without_secrets()))

    def take(
        self, event: Event, now_ms: int, effects: Sequence[Effect], overran: StrategyOverran | None = None
    ) -> None:
        """One event and its answer, and whether a strategy was interrupted on the way to it."""
        kept = Overran(overran.strategy, overran.where, overran.what) if overran is not None else None
        self._write(event, now_ms, in_words(effects), self._digest.take(effects), kept)

    def take_defect(self, event: Event, now_ms: int, error: BaseException) -> None:
        """The event that the desk raised at: a defect of ours, which a replay meets again."""
        self._write(event, now_ms, (f"raised {type(error).__name__}",), b"")
        self.close()

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                self.lost += 1

    def _write(
        self,
        event: Event,
        now_ms: int,
        answer: tuple[str, ...],
        digest: bytes,
        overran: Overran | None = None,
    ) -> None:
        if self._file is None:
            self.lost += 1
            return
        inner, address = (event.event, event.address) if isinstance(event, Told) else (event, None)
        record = Record(
            now_ms,
            event_name(type(inner)),
            msgspec.Raw(_ENCODER.encode(inner)),
            answer,
            digest,
            msgspec.Raw(_ENCODER.encode(address)),
            overran,
        )
        try:
            self._put(_ENCODER.encode(record))
        except OSError:
            # The tape is for people; what guards a position goes on without it.
            self.lost += 1
            self.close()

    def _put(self, body: bytes) -> None:
        assert self._file is not None
        file: BinaryIO | None = self._file
        if self._written + len(body) > SEGMENT_BYTES_MAX and self._written:
            file = self._next_segment(self._file)
        if file is None:
            self.lost += 1
        else:
            file.write(_LENGTH.pack(len(body)) + body)
            self._written += len(body) + _LENGTH.size

    def _next_segment(self, full: BinaryIO) -> BinaryIO | None:
        """The file that comes after a full one; None when the tape is full."""
        full.close()
        self._file, self._written = None, 0
        self._segment += 1
        if self._segment < SEGMENTS_MAX:
            self._file = _segment(self._path, self._segment).open("wb", buffering=BUFFER_BYTES)
        return self._file


def _segment(path: Path, number: int) -> Path:
    return path if number == 0 else path.with_name(f"{path.name}.{number}")


def read_tape(path: Path) -> tuple[Birth, Iterator[Record]]:
    """The birth, and the events as far as the tape is whole. Raises BadTape."""
    bodies = _bodies(path)
    try:
        birth = read_birth(next(bodies))
    except StopIteration:
        raise BadTape(f"{path}: ends before its beginning") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadTape(f"{path}: was written by another version: {error}") from None
    return birth, _records(bodies)


def _records(bodies: Iterator[bytes]) -> Iterator[Record]:
    decoder = msgspec.msgpack.Decoder(Record)
    for body in bodies:
        try:
            yield decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise BadTape(f"an event cannot be read: {error}") from None


def _bodies(path: Path) -> Iterator[bytes]:
    for number in range(SEGMENTS_MAX):
        file = _segment(path, number)
        if number and not file.exists():
            return
        try:
            with file.open("rb") as opened:
                if number == 0 and opened.read(len(MAGIC)) != MAGIC:
                    raise BadTape(f"{path}: is not a tape of this version")
                while True:
                    head = opened.read(_LENGTH.size)
                    if len(head) < _LENGTH.size:
                        break
                    (length,) = _LENGTH.unpack(head)
                    if length > RECORD_BYTES_MAX:
                        raise BadTape(f"{path}: is damaged")
                    body = opened.read(length)
                    if len(body) < length:
                        return  # torn by the death of its writer
                    yield body
        except OSError as error:
            raise BadTape(f"{file}: cannot be read: {error.strerror or error}") from None


_ROOMS: tuple[ModuleType, ...] = (
    world, lifecycle, connection, order, permission, position, protection, reconciliation, dead_man, candle_repair, guards, maintenance,
    requests, bots, desk, facts,
)  # fmt: skip


def event_name(kind: type[Event]) -> str:
    """With its room: several machines call an event of theirs the same."""
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


@cache
def event_type(name: str) -> type[Event]:
    for room in _ROOMS:
        for kind in vars(room).values():
            if isinstance(kind, type) and issubclass(kind, Event) and event_name(kind) == name:
                return kind
    raise BadTape(f"an event {name} is not known to this version")


def event_of(record: Record) -> Event:
    """The event as the desk was given it. Raises BadTape for one that this version does not know."""
    try:
        event: Any = msgspec.msgpack.decode(record.event, type=event_type(record.kind))
        address = msgspec.msgpack.decode(record.address, type=Address | None)
    except msgspec.MsgspecError as error:
        raise BadTape(f"{record.kind}: {error}") from None
    return event if address is None else Told(address, event)
