"""Runs every source once, judges every line by what they showed, and says it as data."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from anchorwatch.io.seams import elapsed_s
from anchorwatch.io.verify.document import Document, Language, Line, document
from anchorwatch.io.verify.evidence import Judged, Piece, Status, Wanted, judged, table
from anchorwatch.io.verify.sources import (
    Check,
    Kills,
    LeftOut,
    Simulation,
    Source,
    StoryRuns,
    SweptKills,
    Tell,
    run_command,
)

SEEDS = 200
SEEDS_QUICK = 20

COMMIT_WITHIN_S = 30  # git on a slow disk

# A quick proof kills after so many entries of the log: some two hundred deaths, in about a minute of one core.
QUICK_SWEEP_EVERY = 7
EXIT_PROVEN = 0
EXIT_FAILED = 1
EXIT_UNPROVEN = 3
"""Nothing is red, and something is not shown: neither a success nor a defect that was found."""


class Surroundings(msgspec.Struct, frozen=True):
    """Where and when a proof was run: a figure without them says nothing."""

    version: str
    commit: str
    machine: str
    at: str
    seconds: float
    quick: bool


class Coverage(msgspec.Struct, frozen=True):
    """Of the cells (state and event) that may be answered, how many were; ``never`` names the others.

    ``lived`` were answered in tests and simulations, by the whole bot; the others in the exhaustive check alone.
    """

    answered: int = 0
    lived: int = 0
    of: int = 0
    machines: dict[str, tuple[int, int, int]] = {}  # answered, lived, of
    never: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        share = self.answered * 1_000 // self.of / 10  # rounded down: 100 % is all of them
        return f"{self.answered:,} / {self.of:,} ({share:.1f} %)"

    def as_mapping(self) -> dict[str, Any]:
        return {
            "answered": self.answered,
            "lived": self.lived,
            "of": self.of,
            "machines": {
                name: {"answered": answered, "lived": lived, "of": of}
                for name, (answered, lived, of) in self.machines.items()
            },
            "never": list(self.never),
        }


class Proof(msgspec.Struct, frozen=True):
    """Every line and every section as a whole, judged, and the surroundings."""

    document: Document
    lines: dict[str, Judged]
    sections: dict[str, Judged]
    surroundings: Surroundings
    rows: tuple[dict[str, Any], ...]  # of the tables, as they answered in runs of the whole bot
    explored: tuple[dict[str, Any], ...] = ()  # and in the exhaustive check
    coverage: Coverage = Coverage()

    def count(self, status: Status) -> int:
        return sum(line.status is status for line in self.lines.values())

    @property
    def exit_code(self) -> int:
        everything = (*self.lines.values(), *self.sections.values())
        if any(one.status is Status.FAILED for one in everything):
            return EXIT_FAILED
        return EXIT_UNPROVEN if self.count(Status.UNPROVEN) else EXIT_PROVEN

    def status_of(self, ids: Sequence[str]) -> Status:
        """Of several lines together: as good as the worst of them."""
        found = [(self.lines.get(id) or self.sections[id]).status for id in ids]
        return next((bad for bad in (Status.FAILED, Status.UNPROVEN) if bad in found), Status.PROVEN)

    def as_mapping(self, language: Language) -> dict[str, Any]:
        return {
            **msgspec.structs.asdict(self.surroundings),
            "counts": {status.value: self.count(status) for status in Status},
            "coverage": self.coverage.as_mapping(),
            "lines": [
                {"id": line.id, "text": line.text(language), **_said(self.lines[line.id])}
                for line in self.document.lines()
            ],
            "sections": [
                {
                    "id": section.id,
                    "title": section.ru if language == "ru" else section.en,
                    **_said(self.sections[section.id]),
                }
                for section in self.document.sections
            ],
        }


def _said(one: Judged) -> dict[str, Any]:
    return {"status": one.status.value, "evidence": [piece.as_mapping() for piece in one.pieces]}


def sources(root: Path, *, quick: bool, seeds: int, ready: Path | None = None) -> list[Source]:
    """What is run. A quick proof leaves out what takes minutes; ``ready`` is what a run of the tests has written."""
    tests = StoryRuns(root, ready=ready)
    check = Check(root, thorough=not quick)
    simulation = Simulation(root, seeds)
    if quick:
        kills = LeftOut("killed and back", Kills.COMMAND, lambda wanted: wanted.crashes)
        return [tests, check, simulation, SweptKills(root, every=QUICK_SWEEP_EVERY), kills]
    # The exchange's open questions, answered the other way: the bot must be safe under both.
    other_way = StoryRuns(root, switches="other")
    return [tests, other_way, check, simulation, SweptKills(root), Kills(root)]


def prove(
    root: Path, sources: Sequence[Source], *, version: str, at_ms: int, quick: bool, tell: Tell
) -> Proof:
    """Run the sources one after the other, and judge. ``at_ms`` is now. Takes minutes."""
    began_s = elapsed_s()
    for source in sources:
        source.run(tell)
    wanted = table()
    lines = {
        line.id: judged(line.id, _pieces(sources, line.id, wanted.of(line.id))) for line in document().lines()
    }
    sections = {
        section.id: _whole(
            section.id, _pieces(sources, section.id, wanted.of(section.id)), lines, section.lines
        )
        for section in document().sections
    }
    rows = tuple(
        row for source in sources if isinstance(source, StoryRuns | Simulation) for row in source.rows
    )
    explored = tuple(row for source in sources if isinstance(source, Check) for row in source.rows)
    surroundings = Surroundings(
        version=version,
        commit=_commit(root),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        at=datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="minutes"),
        seconds=round(elapsed_s() - began_s, 1),
        quick=quick,
    )
    return Proof(document(), lines, sections, surroundings, rows, explored)


def _pieces(sources: Sequence[Source], id: str, wanted: Wanted) -> tuple[Piece, ...]:
    return tuple(piece for source in sources for piece in source.pieces(id, wanted))


def _whole(id: str, pieces: tuple[Piece, ...], lines: dict[str, Judged], own: Sequence[Line]) -> Judged:
    """A section: its lines, and what was shown of it as a whole, which may be nothing."""
    parts = [lines[line.id].status for line in own]
    if pieces:
        parts.append(judged(id, pieces).status)
    status = next((bad for bad in (Status.FAILED, Status.UNPROVEN) if bad in parts), Status.PROVEN)
    return Judged(id, status, pieces)


def _commit(root: Path) -> str:
    """The commit that is checked out, "+" when something is changed since; empty outside a repository."""
    described = run_command(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"], root, COMMIT_WITHIN_S
    )
    return described.out.strip() if described.code == 0 else ""
