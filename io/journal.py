"""The journal: facts that must survive the process, in one SQLite file.

`Journal.record` is one transaction and returns when it is on the disk (write-ahead log, synchronous=FULL), so
that what depends on a fact can be done after it. A crash in the middle of a transaction leaves the journal as it
was before; a disk that is full refuses the new facts and keeps the old ones.

What is stored is the present, not the history: the latest fact of each order, leg and so on, and a bounded number
of things that have ended. A file belongs to one environment and one account, and to one process at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from anchorwatch.io.file_lock import FileLock, Held
from anchorwatch.machine.facts import (
    AnyFact,
    DeadManFact,
    EmergencyFact,
    Fact,
    Facts,
    GenerationFact,
    HandsOffFact,
    IntentFact,
    LegClosedFact,
    LegFacts,
    LegOpenedFact,
    LegPeakFact,
    LegStopFact,
    OrderEndedFact,
    PartialTakenFact,
    PermissionFact,
    RegimeFact,
    RiskFact,
    SequenceFact,
    StreakFact,
)
from anchorwatch.machine.units import LegKey

SCHEMA_VERSION = 3
"""Raised whenever a fact is added or changed, so that an earlier version refuses what it cannot understand."""

MIGRATIONS: dict[int, str] = {
    # Facts were added, and fields with defaults: the rows of version 1 are read as they are.
    1: "",
    # Emergency closes were added.
    2: "",
}
"""What leads from a version to the next one: SQL, run in one transaction with the others."""

APPLICATION_ID = 0x414E4348  # "ANCH": tells our files from other programs' databases

# 128 MiB at SQLite's page of 4 KiB. The kept facts need a few; a journal that grows to this is a defect.
PAGES_MAX = 32_768

# What has ended is kept for late fills, for telling twins, and for people. A busy day is a few hundred orders.
ENDED_KEPT = 2000
CLOSED_KEPT = 2000
# Three crashes in ten minutes are told from these; a bot restarted every minute fills them in a day.
GENERATIONS_KEPT = 1000
# Two within a minute end entries; the others are for people.
EMERGENCIES_KEPT = 100
# Without room for an intent no entry is made, so what is owed tells of what is open already: hours of stop moves.
OWED_MAX = 10_000

_SCHEMA = f"""
    CREATE TABLE owner (environment TEXT NOT NULL, account TEXT NOT NULL);
    CREATE TABLE fact (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        kind   TEXT NOT NULL,
        key    TEXT NOT NULL,
        body   BLOB NOT NULL,
        UNIQUE (kind, key)
    );
    CREATE INDEX fact_by_age ON fact (kind, number);
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA_VERSION};
"""
_KEEP = {
    OrderEndedFact: ENDED_KEPT,
    LegClosedFact: CLOSED_KEPT,
    GenerationFact: GENERATIONS_KEPT,
    EmergencyFact: EMERGENCIES_KEPT,
}

_F = TypeVar("_F", bound=Fact)


class JournalError(Exception):
    """The journal cannot be opened or written; the text is one line for the user."""


class Journal:
    """An open journal. Get one from `open_journal`."""

    def __init__(self, database: sqlite3.Connection, name: str, lock: FileLock | None) -> None:
        self._database = database
        self._name = name
        self._lock = lock
        self._owed: list[Fact] = []

    def owe(self, facts: Sequence[Fact]) -> None:
        """Facts that could not be written now: the next record has them too. Beyond `OWED_MAX` the oldest go."""
        self._owed.extend(facts)
        del self._owed[:-OWED_MAX]

    def record(self, facts: Sequence[Fact]) -> None:
        """Make these facts durable, all or none of them.

        Raises JournalError when they could not be written: then none was, and everything recorded before is
        still there.
        """
        if not facts:
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for fact in (*self._owed, *facts):
                self._take(fact)
            self._database.execute("COMMIT")
            self._owed.clear()
        except BaseException as error:
            # SQLite gives up the transaction itself on some failures, and not on others.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise JournalError(f"{self._name}: cannot be written: {error}") from error
            raise

    def read(self) -> Facts:
        """Everything that is remembered. Raises JournalError when the file cannot be understood."""
        try:
            rows = self._database.execute("SELECT body FROM fact ORDER BY number").fetchall()
            facts: list[Any] = [_DECODER.decode(body) for (body,) in rows]
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise JournalError(f"{self._name}: cannot be read: {error}") from error
        return _gathered(facts)

    def close(self) -> None:
        """Release the file. A second call does nothing."""
        self._database.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, fact: Fact) -> None:
        if isinstance(fact, LegOpenedFact):
            before = self._stored(LegOpenedFact, _leg_words(fact.leg))
            if before is not None and before.entered_at_ms != fact.entered_at_ms:
                # Another position on the same leg: the peak of the earlier one would place its stop wrongly.
                self._forget(fact.leg, LegStopFact, LegPeakFact, PartialTakenFact)
        elif isinstance(fact, LegClosedFact):
            self._forget(fact.leg, LegOpenedFact, LegStopFact, LegPeakFact, PartialTakenFact)
        elif isinstance(fact, OrderEndedFact):
            self._database.execute(
                "DELETE FROM fact WHERE kind = 'IntentFact' AND key = ?", (fact.client_id,)
            )
        elif isinstance(fact, SequenceFact):
            before_it = self._stored(SequenceFact, "")
            if before_it is not None and before_it.next_sequence > fact.next_sequence:
                return  # no sequence is ever given again
        kind = type(fact).__name__
        self._database.execute(
            "INSERT INTO fact (kind, key, body) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            (kind, _key(fact), _ENCODER.encode(fact)),
        )
        keep = _KEEP.get(type(fact))
        if keep is not None:
            self._database.execute(
                "DELETE FROM fact WHERE kind = ?1 AND number <= "
                "(SELECT number FROM fact WHERE kind = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                (kind, keep),
            )

    def _stored(self, kind: type[_F], key: str) -> _F | None:
        row = self._database.execute(
            "SELECT body FROM fact WHERE kind = ? AND key = ?", (kind.__name__, key)
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=kind)

    def _forget(self, leg: LegKey, *kinds: type[Fact]) -> None:
        words = _leg_words(leg)
        for kind in kinds:
            self._database.execute(
                "DELETE FROM fact WHERE kind = ?1 AND (key = ?2 OR substr(key, 1, ?3) = ?4)",
                (kind.__name__, words, len(words) + 1, f"{words}:"),
            )


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(AnyFact)


def open_journal(path: Path | None, environment: str, account: str, *, pages_max: int = PAGES_MAX) -> Journal:
    """The journal of ``account`` in ``environment`` at ``path``, made anew where there is none.

    None keeps it in memory. ``pages_max`` bounds the file, in SQLite pages. Raises JournalError when another
    process holds it, when it belongs to another environment or account, when a later version wrote it, and when
    the file is not a journal or cannot be opened.
    """
    if path is None:
        return _opened(":memory:", "the journal in memory", None, environment, account, pages_max)
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
    except Held as held:
        raise JournalError(f"{path}: is in use by process {held.process}; one bot a journal") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be opened: {error.strerror or error}") from None
    try:
        return _opened(str(path), str(path), lock, environment, account, pages_max)
    except BaseException:
        lock.release()
        raise


def _opened(
    place: str, name: str, lock: FileLock | None, environment: str, account: str, pages_max: int
) -> Journal:
    try:
        database = sqlite3.connect(place, isolation_level=None)
    except sqlite3.Error as error:
        raise JournalError(f"{name}: cannot be opened: {error}") from None
    try:
        _prepare(database, name, environment, account, pages_max)
    except sqlite3.Error as error:
        database.close()
        raise JournalError(f"{name}: cannot be used as a journal: {error}") from None
    except JournalError:
        database.close()
        raise
    return Journal(database, name, lock)


def _prepare(database: sqlite3.Connection, name: str, environment: str, account: str, pages_max: int) -> None:
    tables, version = _refuse_strangers(database, name)
    mode = database.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode not in ("wal", "memory"):
        raise JournalError(f"{name}: its file system cannot keep a write-ahead log; choose a local disk")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA max_page_count = {pages_max}")
    if tables and version < SCHEMA_VERSION:
        _migrate(database, version)
    if not tables:
        # One transaction: a crash leaves either no journal or a whole one.
        database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    faults = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if faults != "ok":
        raise JournalError(f"{name}: is damaged: {faults}")
    _bind(database, name, environment, account)


def _refuse_strangers(database: sqlite3.Connection, name: str) -> tuple[int, int]:
    """Whether there are tables at all, and of which version; other programs' files and later ones are refused."""
    version = _pragma(database, "user_version")
    tables: int = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and _pragma(database, "application_id") != APPLICATION_ID:
        raise JournalError(f"{name}: is another program's database, not a journal")
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"{name}: was written by a later version (schema {version}; this one knows {SCHEMA_VERSION}); "
            "use that version"
        )
    return tables, version


def _refuse_other_owners(owner: tuple[str, str], name: str, environment: str, account: str) -> None:
    if owner != (environment, account):
        raise JournalError(
            f"{name}: belongs to account {owner[1]} on {owner[0]}, not to {account} on {environment}; "
            "set journal.path to another file"
        )


def _migrate(database: sqlite3.Connection, version: int) -> None:
    """Lead the file to the present version, wholly or not at all."""
    steps = "".join(MIGRATIONS[step] for step in range(version, SCHEMA_VERSION))
    database.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def remembered(path: Path | None, environment: str, account: str) -> Facts:
    """What the journal at ``path`` remembers, read beside whoever holds it; nothing where there is none.

    Nothing is written, not even a migration. Raises JournalError as `open_journal` does, except for a journal in use.
    """
    if path is None or not path.exists():
        return Facts()
    name = str(path)
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise JournalError(f"{name}: cannot be opened: {error}") from None
    try:
        _refuse_strangers(database, name)
        owner = database.execute("SELECT environment, account FROM owner").fetchone()
        if owner is not None:
            _refuse_other_owners(owner, name, environment, account)
        return Journal(database, name, None).read()
    except sqlite3.Error as error:
        raise JournalError(f"{name}: cannot be read: {error}") from None
    finally:
        database.close()


def _bind(database: sqlite3.Connection, name: str, environment: str, account: str) -> None:
    """Make the journal this account's, or see that it is: a demo's facts must never be taken for real ones."""
    owner = database.execute("SELECT environment, account FROM owner").fetchone()
    if owner is None:
        database.execute("INSERT INTO owner VALUES (?, ?)", (environment, account))
    else:
        _refuse_other_owners(owner, name, environment, account)


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _leg_words(leg: LegKey) -> str:
    return f"{leg.instrument}/{leg.side.value}/{leg.margin.value}"


def _key(fact: Fact) -> str:
    """What one fact replaces an earlier one by."""
    match fact:
        case IntentFact() | OrderEndedFact():
            return fact.client_id
        case LegOpenedFact() | LegStopFact() | LegPeakFact():
            return _leg_words(fact.leg)
        case HandsOffFact() | StreakFact() | RegimeFact():
            return fact.instrument
        case PartialTakenFact():
            return f"{_leg_words(fact.leg)}:{fact.reason}"
        case LegClosedFact() | EmergencyFact():
            return f"{_leg_words(fact.leg)}@{fact.at_ms}"
        case GenerationFact():
            return f"{fact.token}@{fact.started_at_ms}"
        case PermissionFact() | RiskFact() | DeadManFact() | SequenceFact():
            return ""
        case _:
            raise TypeError(f"not a fact of the journal: {type(fact).__name__}")


def _gathered(facts: Sequence[Any]) -> Facts:
    def of(kind: type[_F]) -> tuple[_F, ...]:
        return tuple(fact for fact in facts if isinstance(fact, kind))

    legs: dict[LegKey, dict[str, Any]] = {}
    for name, kind in (("opened", LegOpenedFact), ("stop", LegStopFact), ("peak", LegPeakFact)):
        for fact in facts:
            if isinstance(fact, kind):
                legs.setdefault(fact.leg, {})[name] = fact
    for taken in of(PartialTakenFact):
        if taken.contracts and taken.leg in legs:
            legs[taken.leg].setdefault("partials", []).append(taken)
    permission, sequence, switch = of(PermissionFact), of(SequenceFact), of(DeadManFact)
    return Facts(
        legs=tuple(_leg_facts(leg, legs[leg]) for leg in sorted(legs, key=_leg_words)),
        intents=of(IntentFact),
        ended=of(OrderEndedFact),
        closed=of(LegClosedFact),
        permission=permission[0] if permission else None,
        dead_man=switch[0] if switch else None,
        emergencies=of(EmergencyFact),
        generations=of(GenerationFact),
        risk=next(iter(of(RiskFact)), None),
        streaks=of(StreakFact),
        regimes=of(RegimeFact),
        hands_off=tuple(fact.instrument for fact in of(HandsOffFact) if fact.is_off),
        next_sequence=sequence[0].next_sequence if sequence else 1,
    )


def _leg_facts(leg: LegKey, known: dict[str, Any]) -> LegFacts:
    return LegFacts(leg, **{**known, "partials": tuple(known.get("partials", ()))})
