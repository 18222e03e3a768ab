"""Every life that a test puts on stage is held against the tables, and a run of the tests can be written down as data.

``--evidence FILE`` writes, as JSON, what became of every test, how long it took, which faults struck in it and which
switches of the exchange were turned; and how often each row of each table answered. ``--line R6.2`` runs the tests of
one line of the user's document. ``--switches`` turns the exchange's switches for every test that leaves them alone.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.diagrams.conformance import COUNTED, Answer, as_rows, strays
from anchorwatch.diagrams.counting import answers_counted
from anchorwatch.io.verify.document import lines_named
from tests import staged

EVIDENCE, LINE, SWITCHES = "--evidence", "--line", "--switches"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(EVIDENCE, metavar="FILE", help="write what was shown, under which faults, as JSON")
    parser.addoption(LINE, metavar="ID", help="only the tests whose names tell this line: R6.2, R10, P13")
    parser.addoption(
        SWITCHES, metavar="NAME=VALUE,…", default="", help="or `other`: all of them the other way"
    )


def pytest_configure(config: pytest.Config) -> None:
    # The bots that tests start say of themselves here, and not in the developer's own directory.
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="anchorwatch-tests-")
    if config.getoption(SWITCHES):
        staged.default_switches = staged.switches_named(config.getoption(SWITCHES))
    file = config.getoption(EVIDENCE)
    if file:
        config.pluginmanager.register(Evidence(Path(file), config), "evidence")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    line = config.getoption(LINE)
    if line:
        chosen = [item for item in items if line in lines_named(item.nodeid)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """The test itself, and then two claims: no life of it did what no table says, and no exchange what the check's does not."""
    staged.clear()
    yield
    found = [line for life in staged.lives for line in strays(life.lines("transition"))]
    assert not found, "no table explains:\n" + "\n".join(found)
    for world in [one for one in staged.worlds if not one.unjudged]:
        assert world.trace or not world.lives, "nobody recorded the exchange on which these lives traded"
        rejected = [line for one in accepts(world.trace).rejections for line in one.lines()]
        assert not rejected, "the environment of the check does not explain:\n" + "\n".join(rejected)


class Evidence:
    """Collects, while the tests run, what `anchorwatch verify` tells of them.

    Where pytest-xdist spreads the tests over processes, the reports of all of them come to the one that was started,
    and each process hands over the rows that answered in it when it ends.
    """

    def __init__(self, file: Path, config: pytest.Config) -> None:
        self._file = file
        self._to_the_first: dict[str, Any] | None = getattr(config, "workeroutput", None)
        self._tests: dict[str, dict[str, Any]] = {}
        self._hits: Counter[Answer] = Counter()
        self._counting = ExitStack()

    def pytest_sessionstart(self) -> None:
        """From here on every step of every table is counted by the row that answered it."""
        self._hits = self._counting.enter_context(answers_counted())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = self._tests.setdefault(report.nodeid, {"outcome": "passed", "seconds": 0.0, "reason": ""})
        told["seconds"] += report.duration
        told |= {
            name: value
            for name, value in report.user_properties
            if name in ("faults", "switches", "virtual_seconds")
        }
        if report.skipped:
            told["outcome"] = "xfailed" if hasattr(report, "wasxfail") else "skipped"
            told["reason"] = getattr(report, "wasxfail", "") or _words(report)
        elif report.failed:
            told["outcome"] = "failed"
            told["reason"] = _words(report)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        item.user_properties += [
            ("faults", dict(sorted(staged.faults().items()))),
            ("switches", staged.switches()),
            ("virtual_seconds", round(staged.virtual_seconds(), 3)),
        ]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for row in getattr(node, "workeroutput", {}).get(COUNTED, ()):
            count = row.pop("count")
            self._hits[Answer(**row)] += count

    def pytest_sessionfinish(self) -> None:
        self._counting.close()
        if self._to_the_first is not None:
            self._to_the_first |= as_rows(self._hits)
            return
        tests = [
            {"id": name, **told, "seconds": round(told["seconds"], 3)}
            for name, told in sorted(self._tests.items())
        ]
        self._file.write_text(
            json.dumps({"tests": tests, **as_rows(self._hits)}, indent=1, default=str), encoding="utf-8"
        )


def _words(report: pytest.TestReport) -> str:
    """The last line of what went wrong, or why it was skipped."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", report.longrepr or "")).splitlines()[0] if report.longrepr else ""
