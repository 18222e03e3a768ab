"""What a running bot says of itself, for `anchorwatch explain`: one small file, replaced as a whole.

It is written beside whatever else happens and read by nobody who decides: what holds is in the machines. The bot
that writes it holds the file's lock, so that "no bot is running" is a fact and not a guess from the age of a file. A second bot
on the same file writes nothing until the first has ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from anchorwatch.io.file_lock import FileLock, Held
from anchorwatch.io.seams import elapsed_s, real_seams
from anchorwatch.io.settings import Settings
from anchorwatch.io.settings.places import state_directory
from anchorwatch.io.views import position_row
from anchorwatch.machine.desk import Desk, explaining
from anchorwatch.machine.readiness import Missing
from anchorwatch.machine.strategy import Considered

WRITE_EVERY_S = 1.0
"""At most so often: a person reads it, and each writing costs the engine a tenth of a millisecond."""

VERSION = 1
"""Raised when the file's form changes, so that another version says so instead of misreading it."""

NOWHERE = "none"
"""The word of the setting that switches the file off."""


class SymbolStatus(msgspec.Struct, frozen=True):
    """One symbol: what gates it alone, and what was decided on it lately, the newest last."""

    instrument: str
    missing: tuple[Missing, ...]
    regime: str | None = None
    decided: tuple[Considered, ...] = ()


class PositionStatus(msgspec.Struct, frozen=True):
    leg: str
    contracts: Decimal
    stop: Decimal | None
    protection: str


class Status(msgspec.Struct, frozen=True):
    """``written_at_ms`` is the host's time, put in by whoever writes it, ``at_ms`` the venue's; ``why`` is the reason of the permission's state."""

    version: int
    process: int
    venue: str
    written_at_ms: int
    at_ms: int
    stage: str
    conduct: str
    permission: str
    why: str
    missing: tuple[Missing, ...]
    symbols: tuple[SymbolStatus, ...]
    positions: tuple[PositionStatus, ...] = ()


class UnreadableStatus(Exception):
    """The file is there and cannot be understood; the text is one line for the user."""


def status_path(settings: Settings, environ: Mapping[str, str]) -> Path | None:
    """Where the bot of these settings writes, and `explain` reads; None: nowhere."""
    if settings.status.path == NOWHERE:
        return None
    if settings.status.path:
        return Path(settings.status.path).expanduser()
    place = state_directory(environ)
    return place / f"{settings.venue.kind.value}.status.json" if place is not None else None


def status_of(desk: Desk, venue: str, *, now_ms: int) -> Status:
    """What the desk would say of itself now."""
    bot, context = desk.bot, desk.context
    return Status(
        version=VERSION,
        process=os.getpid(),
        venue=venue,
        written_at_ms=0,
        at_ms=now_ms,
        stage=bot.lifecycle.state.value,
        conduct=bot.conduct.value,
        permission=bot.permission.state.value,
        why=bot.permission.data.reason,
        missing=explaining.of_bot(context),
        symbols=tuple(
            SymbolStatus(
                instrument=name,
                missing=explaining.of_symbol(context, name),
                regime=chart.regime.value if chart.regime is not None else None,
                decided=tuple(context.book.considered.get(name, ())),
            )
            for name, chart in context.charts.items()
        ),
        positions=tuple(
            PositionStatus(row.leg, row.contracts, row.stop, row.protection)
            for row in (position_row(desk, leg, now_ms) for leg in context.book.open_legs())
        ),
    )


class StatusFile:
    """Writes to ``path``, or to nowhere. ``note`` is told in words, once, what keeps it from writing.

    The pace is kept by the host's time, at whatever speed the venue's runs: so is the age that a reader tells.
    """

    def __init__(self, path: Path | None, note: Callable[[str], object]) -> None:
        self._path = path
        self._note = note
        self._wall_ms = real_seams().wall_ms
        self._lock: FileLock | None = None
        self._written_s: float | None = None
        self._noted = ""

    def is_due(self) -> bool:
        if self._path is None:
            return False
        if self._written_s is None:
            return True
        passed_s = elapsed_s() - self._written_s
        return passed_s >= WRITE_EVERY_S

    def write(self, status: Status, hide: Callable[[str], str]) -> None:
        """Replace the file; ``hide`` masks secrets in its text. What fails is told once, and tried again in its time."""
        if self._path is None:
            return
        self._written_s = elapsed_s()
        try:
            if self._lock is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = FileLock(self._path)
            draft = self._path.with_name(self._path.name + ".new")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                whole = msgspec.structs.replace(status, written_at_ms=self._wall_ms())
                file.write(hide(_ENCODER.encode(whole).decode()).encode())
            draft.replace(self._path)
        except Held as held:
            self._tell(f"{self._path}: is written by process {held.process}; this bot is not explained there")
        except OSError as error:
            self._tell(f"{self._path}: cannot be written: {error.strerror or error}")

    def close(self) -> None:
        """What was written last stays, and says no longer that a bot is running."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self._path = None

    def __enter__(self) -> StatusFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, words: str) -> None:
        if words != self._noted:
            self._noted = words
            self._note(words)


def read_status(path: Path) -> Status | None:
    """What was written last; None where nothing ever was. Raises `UnreadableStatus`."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableStatus(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        if (version := msgspec.json.decode(text, type=_Versioned).version) != VERSION:
            raise UnreadableStatus(f"{path}: was written in form {version}, and this version reads {VERSION}")
        return msgspec.json.decode(text, type=Status)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableStatus(f"{path}: is not a bot's status: {error}") from None


class _Versioned(msgspec.Struct, frozen=True):
    version: int


_ENCODER = msgspec.json.Encoder()
