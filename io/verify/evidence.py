"""What stands behind each line, as reviewed data, and what came of it when it was run."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any

import msgspec


class Status(Enum):
    """What can be said of a line. Without evidence it is unproven, never proven."""

    PROVEN = "proven"
    FAILED = "failed"
    UNPROVEN = "unproven"


class Result(Enum):
    """What came of one piece of evidence."""

    PASSED = "passed"
    FAILED = "failed"
    GAP = "known gap"  # a test says itself that it does not hold yet
    MISSING = "missing"  # it could not be run, or says nothing of this line
    LEFT_OUT = "left out"  # a shorter run was asked for


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a line rests on besides the tests of tests/mission that name it."""

    tests: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    simulate: bool = False
    crashes: bool = False
    without_a_test: str = ""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lines: dict[str, Wanted]

    def of(self, id: str) -> Wanted:
        return self.lines.get(id, Wanted())


@cache
def table() -> Table:
    text = (resources.files("anchorwatch.io.verify") / "evidence.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=Table)


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence for one line: what a reader can run again, and what it showed here."""

    kind: str
    command: str
    result: Result
    runs: int = 0
    seconds: float = 0.0  # of processor or wall time, as the source measures it
    virtual_seconds: float = 0.0
    faults: dict[str, int] = {}  # how often each struck
    switches: dict[str, int] = {}  # position of the exchange's switches → runs under it
    seeds: str = ""
    details: tuple[tuple[str, str], ...] = ()  # what was claimed, and what came of it

    def as_mapping(self) -> dict[str, Any]:
        return {**msgspec.structs.asdict(self), "result": self.result.value}


class Judged(msgspec.Struct, frozen=True):
    """One line, or a section as a whole, with all that was shown of it."""

    id: str
    status: Status
    pieces: tuple[Piece, ...]

    @property
    def runs(self) -> int:
        return sum(piece.runs for piece in self.pieces)

    @property
    def seconds(self) -> float:
        return sum(piece.seconds for piece in self.pieces)

    @property
    def faults(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for piece in self.pieces:
            total.update(piece.faults)
        return total


def judged(id: str, pieces: tuple[Piece, ...]) -> Judged:
    results = [piece.result for piece in pieces]
    if Result.FAILED in results:
        status = Status.FAILED
    elif Result.PASSED not in results or Result.GAP in results or Result.MISSING in results:
        status = Status.UNPROVEN
    else:
        status = Status.PROVEN
    return Judged(id, status, pieces)
