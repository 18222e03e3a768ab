"""Where evidence comes from: each source is run once, and says afterwards what it shows of a line.

A source is a command that a reader can run again, with a result that a program can read. A source that cannot be run
here (a command that is not there, a checkout without tests) shows nothing, and says why: its lines stay unproven.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from anchorwatch.io.seams import elapsed_s
from anchorwatch.io.verify.document import lines_named
from anchorwatch.io.verify.evidence import Piece, Result, Wanted, table

MISSION = "tests/mission"
# Each is several times what it takes on two slow cores; beyond it something hangs.
TESTS_WITHIN_S = 1_800
CHECK_WITHIN_S = 3_600
SIMULATION_WITHIN_S = 7_200
KILLS_WITHIN_S = 1_200

# How many of its own details a piece names: a page is read by people.
DETAILS_MAX = 60

DEFAULTS = "as by default"

Tell = Callable[[str], object]


class Source(Protocol):
    """One command that is run once."""

    def run(self, tell: Tell) -> None:
        """Run it to its end, and keep what it showed."""

    def pieces(self, id: str, wanted: Wanted) -> list[Piece]:
        """What it shows of this line."""


class Done(msgspec.Struct, frozen=True):
    """A command that has ended: its exit code, what it printed, and how long it took."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def last_words(self) -> str:
        lines = [line for line in (*self.out.splitlines(), *self.err.splitlines()) if line.strip()]
        return lines[-1].strip()[:300] if lines else f"exit code {self.code}, and no word"


def run_command(argv: Sequence[str], root: Path, within_s: float) -> Done:
    """Run it in this directory to its end; one that takes longer than `within_s` is ended and has failed."""
    began_s = elapsed_s()
    try:
        done = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired:
        return Done(-1, "", f"not within {within_s:.0f} s", elapsed_s() - began_s)
    return Done(done.returncode, done.stdout, done.stderr, elapsed_s() - began_s)


class StoryRuns:
    """The tests of tests/mission by the lines that their names tell, and tests from elsewhere that the table names."""

    def __init__(self, root: Path, switches: str = "", ready: Path | None = None) -> None:
        self._root = root
        self._ready = ready
        self._switches = switches
        self._kind = ", other switches" if switches else ""
        self._tests: list[dict[str, Any]] = []
        self.rows: Sequence[dict[str, Any]] = ()  # of the tables, as they answered
        self._why_not = ""

    def run(self, tell: Tell) -> None:
        """Run them, unless a run that is over has written what it showed (`pytest --evidence`)."""
        if self._ready is not None:
            self.take(self._ready.read_text(encoding="utf-8"))
            tell(f"tests: as {self._ready} has them\n  {self._counted()}")
            return
        elsewhere = sorted({name for wanted in table().lines.values() for name in wanted.tests})
        tell(f"tests: {MISSION} and {len(elsewhere)} from elsewhere{self._under()}")
        with tempfile.TemporaryDirectory(prefix="anchorwatch-verify-") as room:
            file = Path(room) / "evidence.json"
            options = ["--evidence", str(file), *self._options()]
            argv = [sys.executable, "-m", "pytest", "-q", MISSION, *elsewhere, *options]
            done = run_command(argv, self._root, TESTS_WITHIN_S)
            if not file.exists():
                self._why_not = f"the tests did not run: {done.last_words}"
                tell(self._why_not)
                return
            self.take(file.read_text(encoding="utf-8"))
        tell(f"  {self._counted()}, {done.seconds:.0f} s")

    def _counted(self) -> str:
        counts = Counter(test["outcome"] for test in self._tests)
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))

    def take(self, text: str) -> None:
        """What a run of the tests wrote with ``--evidence``."""
        read = json.loads(text)
        self.rows = read["rows"]
        self.take_tests(read["tests"])

    def take_tests(self, tests: Sequence[dict[str, Any]]) -> None:
        self._tests = list(tests)

    def _under(self) -> str:
        return f" under {self._switches}" if self._switches else ""

    def _options(self) -> list[str]:
        return ["--switches", self._switches] if self._switches else []

    def pieces(self, id: str, wanted: Wanted) -> list[Piece]:
        own = [
            test
            for test in self._tests
            if test["id"].startswith(f"{MISSION}/") and id in lines_named(test["id"])
        ]
        command = " ".join(["python -m pytest", MISSION, "--line", id, *self._options()])
        found = [_of_tests(f"tests of the line{self._kind}", command, own)] if own else []
        if wanted.tests:
            others = [test for test in self._tests if test["id"].startswith(wanted.tests)]
            command = " ".join(["python -m pytest", *wanted.tests, *self._options()])
            found.append(_of_tests(f"more tests{self._kind}", command, others, self._why_not))
        if self._why_not and not own:
            found.append(_missing(f"tests of the line{self._kind}", command, self._why_not))
        return found


def _of_tests(kind: str, command: str, tests: Sequence[Mapping[str, Any]], why_not: str = "") -> Piece:
    faults: Counter[str] = Counter()
    switches: Counter[str] = Counter()
    for test in tests:
        faults.update(test.get("faults", {}))
        turned = test.get("switches", {})
        switches.update([f"{name} = {value}" for name, value in turned.items()] or [DEFAULTS])
    outcomes = {test["outcome"] for test in tests}
    if "failed" in outcomes:
        result = Result.FAILED
    elif "xfailed" in outcomes:
        result = Result.GAP
    else:
        result = Result.PASSED if "passed" in outcomes else Result.MISSING
    details = [(_sentence(test["id"]), _came_of(test)) for test in tests]
    # What did not hold comes first.
    details.sort(key=lambda detail: detail[1] == "passed")
    return Piece(
        kind=kind,
        command=command,
        result=result,
        runs=sum(test["outcome"] != "skipped" for test in tests),
        seconds=round(sum(test["seconds"] for test in tests), 2),
        virtual_seconds=round(sum(test.get("virtual_seconds", 0) for test in tests), 1),
        faults=dict(sorted(faults.items())),
        switches=dict(sorted(switches.items())),
        details=tuple(details[:DETAILS_MAX]) if tests else (("tests", why_not or "none of that name ran"),),
    )


def _sentence(test: str) -> str:
    """The name of a test as the sentence that it is."""
    name = test.rsplit("::", 1)[-1].removeprefix("test_")
    head, bracket, rest = name.partition("[")
    head = re.sub(r"^(?:(?:r\d+(?:_\d+)?|p\d+)_(?:(?:and|to)_)?)+", "", head)
    return head.replace("_", " ") + (f" [{rest}" if bracket else "")


def _came_of(test: Mapping[str, Any]) -> str:
    outcome = {"xfailed": "known gap"}.get(test["outcome"], test["outcome"])
    return f"{outcome}: {test['reason']}" if test["reason"] else str(outcome)


def _missing(kind: str, command: str, why: str) -> Piece:
    return Piece(kind=kind, command=command, result=Result.MISSING, details=((kind, why),))


class _Reported:
    """A command of anchorwatch itself that reports in JSON: printed, or in the file that ``--json`` names."""

    writes_a_file = False

    def __init__(self, root: Path, argv: Sequence[str], within_s: float) -> None:
        self._root = root
        self._argv = tuple(argv)
        self._within_s = within_s
        self.report: dict[str, Any] = {}
        self.why_not = ""
        self.seconds = 0.0

    @property
    def command(self) -> str:
        return " ".join(("anchorwatch", *self._argv))

    def run(self, tell: Tell) -> None:
        tell(self.command)
        argv = [sys.executable, "-m", "anchorwatch", *self._argv, "--json"]
        with tempfile.TemporaryDirectory(prefix="anchorwatch-verify-") as room:
            file = Path(room) / "report.json"
            done = run_command([*argv, str(file)] if self.writes_a_file else argv, self._root, self._within_s)
            written = file.read_text(encoding="utf-8") if file.exists() else ""
        self.seconds = done.seconds
        self.report = _json_in(written or done.out)
        if not self.report:
            self.why_not = f"it could not be run: {done.last_words}"
        tell(f"  {self.why_not or self.words()}, {done.seconds:.0f} s")

    def words(self) -> str:
        return "done"


def _json_in(text: str) -> dict[str, Any]:
    """The report in what was printed: all of it, or its last line that is one."""
    for candidate in (text, *reversed(text.splitlines())):
        try:
            read = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(read, dict):
            return read
    return {}


class Check(_Reported):
    """The exhaustive check: a line rests on its named properties, and on the contracts that are typed from it."""

    def __init__(self, root: Path, *, thorough: bool) -> None:
        argv = ["check", *(["--thorough"] if thorough else []), "--edits", "1"]
        super().__init__(root, argv, CHECK_WITHIN_S)

    @property
    def rows(self) -> Sequence[dict[str, Any]]:
        """Of the tables, as they answered in the worlds."""
        rows: Sequence[dict[str, Any]] = self.report.get("rows", {}).get("answered", ())
        return rows

    def words(self) -> str:
        edits = self.report.get("mutants", {})
        return (
            f"{self.report.get('states', 0):,} states, {edits.get('killed', 0):,} single edits noticed,"
            f" {len(edits.get('survivors', ())):,} not"
        )

    def pieces(self, id: str, wanted: Wanted) -> list[Piece]:
        if self.why_not:
            return [_missing("exhaustive check", self.command, self.why_not)] if wanted.check else []
        return self._explored(wanted) + self._edited(id)

    def _edited(self, id: str) -> list[Piece]:
        """Single edits of tables and router that a contract of this line names; one that nothing names fails it."""
        edits = self.report.get("mutants", {})
        noticed = edits.get("by_name", {}).get(id, 0)
        if not noticed:
            return []
        unnoticed = [one for one in edits["survivors"] if not one["reason"]]
        return [
            Piece(
                kind="single edits",
                command=self.command,
                result=Result.FAILED if unnoticed else Result.PASSED,
                runs=noticed,
                details=tuple((one["edit"], "nothing notices it") for one in unnoticed[:DETAILS_MAX]),
            )
        ]

    def _explored(self, wanted: Wanted) -> list[Piece]:
        if not wanted.check:
            return []
        edits = self.report.get("mutants", {}).get("by_name", {})
        known = {one["name"]: one for one in self.report.get("properties", ())}
        asked = [known.get(name) for name in wanted.check]
        details = tuple(
            _property_words(name, one, edits.get(name, 0))
            for name, one in zip(wanted.check, asked, strict=True)
        )
        configs = self.report.get("configs", ())
        if any(one is not None and not one["holds"] for one in asked):
            result = Result.FAILED
        elif not configs or not all(config["complete"] for config in configs):
            result = Result.MISSING
        elif not all(one is not None and one["witness"] for one in asked):
            result = Result.MISSING  # what it speaks of was never reached, so it said nothing
        else:
            result = Result.PASSED
        explored = tuple(
            (
                str(config["name"]),
                f"{config['states']:,} states, {'complete' if config['complete'] else 'CUT'}",
            )
            for config in configs
        )
        return [
            Piece(
                kind="exhaustive check",
                command=self.command,
                result=result,
                runs=int(self.report.get("states", 0)),
                seconds=float(self.report.get("seconds", 0.0)),
                details=details + explored,
            )
        ]


def _property_words(name: str, one: Mapping[str, Any] | None, edits: int) -> tuple[str, str]:
    if one is None:
        return name, "the check has no such property"
    words = str(one.get("words") or name)
    caught = "; its planted defect is caught" if one.get("planted_defect_caught") else ""
    caught += f", and {edits:,} single edits" if edits else ""
    reached = "" if one["witness"] else "; what it speaks of was never reached"
    return f"{name}: {words}" if words != name else name, (
        "holds" if one["holds"] else "BROKEN"
    ) + caught + reached


class Simulation(_Reported):
    """The simulation: many seeds, all faults, and no property broken in any of them."""

    writes_a_file = True

    def __init__(self, root: Path, seeds: int) -> None:
        self._seeds = seeds
        super().__init__(root, ["simulate", "--seeds", str(seeds)], SIMULATION_WITHIN_S)

    def words(self) -> str:
        broken = len(self.report.get("violations", ()))
        return f"{self._seeds} seeds, {sum(self._faults().values()):,} faults, {broken} violations"

    @property
    def rows(self) -> Sequence[dict[str, Any]]:
        """Of the tables, as they answered."""
        rows: Sequence[dict[str, Any]] = self.report.get("rows", ())
        return rows

    def _faults(self) -> dict[str, int]:
        return {str(kind): int(count) for kind, count in self.report.get("faults", {}).items() if count}

    def pieces(self, id: str, wanted: Wanted) -> list[Piece]:
        if not wanted.simulate:
            return []
        if self.why_not:
            return [_missing("simulation", self.command, self.why_not)]
        broken = [
            (f"seed {one.get('seed')}: {one.get('property')}", str(one.get("replay", "")))
            for one in self.report.get("violations", ())
        ]
        digests = sorted(int(seed) for seed in self.report.get("digests", {}))
        seeds = f"{digests[0]}…{digests[-1]}" if digests else ""
        return [
            Piece(
                kind="simulation",
                command=self.command,
                result=Result.FAILED if broken else Result.PASSED,
                runs=len(digests) or self._seeds,
                seconds=round(float(self.report.get("cpu_seconds", self.seconds)), 1),
                virtual_seconds=round(float(self.report.get("virtual_seconds", 0.0)), 1),
                faults=self._faults(),
                seeds=seeds,
                details=tuple(broken[:DETAILS_MAX])
                or (("every property of every run", "held"), *self._struck()),
            )
        ]

    def _struck(self) -> list[tuple[str, str]]:
        """How often the rarest kind of fault struck: "nothing went wrong" says something about those that did."""
        floors = self.report.get("floors")
        if not floors:
            return []
        words = f"{floors['least_struck']} times, {floors['least_in_flight']} while a write was in flight"
        return [("each kind of fault struck at least", words)]


class SweptKills(_Reported):
    """The bot killed, in the simulation, after every entry of the merged log of some scenarios, or every n-th."""

    writes_a_file = True

    def __init__(self, root: Path, *, every: int = 1) -> None:
        self._every = every
        sampled = () if every == 1 else ("--every", str(every))
        super().__init__(root, ("simulate", "--sweep", *sampled), SIMULATION_WITHIN_S)

    def words(self) -> str:
        return f"{self.report.get('recovered', 0):,} of {self.report.get('points', 0):,} kills recovered from"

    def pieces(self, id: str, wanted: Wanted) -> list[Piece]:
        if not wanted.crashes:
            return []
        if self.why_not:
            return [_missing("crash sweep", self.command, self.why_not)]
        points, sweeps = int(self.report["points"]), self.report["sweeps"]
        is_whole = points > 0 and self.report["recovered"] == points
        return [
            Piece(
                kind="crash sweep",
                command=self.command,
                result=Result.PASSED if is_whole else Result.FAILED,
                runs=points,
                seconds=round(self.seconds, 1),
                faults={"killed": points, "torn write": sum(int(one["torn"]) for one in sweeps)},
                details=tuple(
                    (
                        str(one["scenario"]) + ("" if self._every == 1 else f", one entry in {self._every}"),
                        ("held" if one["recovered"] == one["points"] else "FAILED")
                        + f": {one['recovered']} of {one['points']}",
                    )
                    for one in sweeps
                ),
            )
        ]


class Kills:
    """The real process killed with SIGKILL at many moments, and judged when it is back."""

    _LAST = re.compile(r"(\d+) deaths, (\d+) failed")
    _ROW = re.compile(r"^\s*\d+/\d+\s+(.*?)\s{2,}(held|FAILED.*)$", re.MULTILINE)
    COMMAND = "make kill-test"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._done: Done | None = None

    def run(self, tell: Tell) -> None:
        tell("kill-test")
        argv = [sys.executable, "-m", "tests.kill"]
        self._done = run_command(argv, self._root, KILLS_WITHIN_S)
        tell(f"  {self._done.last_words}")

    def pieces(self, id: str, wanted: Wanted) -> list[Piece]:
        if not wanted.crashes:
            return []
        assert self._done is not None, "pieces are asked for after the run"
        told = self._LAST.search(self._done.out)
        if told is None:
            return [_missing("killed and back", self.COMMAND, self._done.last_words)]
        deaths, failed = int(told[1]), int(told[2])
        rows = tuple((name.strip(), verdict) for name, verdict in self._ROW.findall(self._done.out))
        return [
            Piece(
                kind="killed and back",
                command=self.COMMAND,
                result=Result.FAILED if failed or self._done.code or not deaths else Result.PASSED,
                runs=deaths,
                seconds=round(self._done.seconds, 1),
                faults={"SIGKILL": deaths},
                details=rows[:DETAILS_MAX],
            )
        ]


class LeftOut:
    """A source that a shorter run leaves out; it says so, and neither proves nor disproves."""

    def __init__(self, kind: str, command: str, concerns: Callable[[Wanted], object]) -> None:
        self._kind, self._command, self._concerns = kind, command, concerns

    def run(self, tell: Tell) -> None:
        tell(f"{self._command}: left out")

    def pieces(self, id: str, wanted: Wanted) -> list[Piece]:
        if not self._concerns(wanted):
            return []
        return [Piece(kind=self._kind, command=self._command, result=Result.LEFT_OUT)]
