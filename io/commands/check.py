"""``anchorwatch check``: which worlds are explored, and what is checked beside them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from anchorwatch.diagrams.check import configurations, mutation, promela
from anchorwatch.diagrams.check.run import run, ways

SPIN_IS_MISSING = (
    "spin and gcc are not installed: the search was not checked by SPIN (apt-get install spin gcc)"
)


class Wanted(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    as_json: bool = False
    thorough: bool = False
    worlds: tuple[str, ...] = ()
    promela: Path | None = None  # a directory that keeps what SPIN is given
    paths: Path | None = None  # a file for the shortest ways
    edits: int | None = None  # every so many of them are judged; None: none is
    workers: int | None = None
    judged: Path | None = None  # a file of judgements, which goes on where it was cut off


def check(write: Callable[[str], object], wanted: Wanted) -> int:
    """Explore, and answer the exit code: 0 when everything holds, 1 when not, 2 for a world that there is not."""
    unknown = [name for name in wanted.worlds if name not in configurations.BY_NAME]
    if unknown:
        known = ", ".join(configurations.BY_NAME)
        sys.stderr.write(f"--world: there is no {', '.join(unknown)}; there are {known}\n")
        return 2
    worlds, as_json, edits, workers = wanted.worlds, wanted.as_json, wanted.edits, wanted.workers
    if wanted.paths is not None:
        wanted.paths.write_bytes(
            msgspec.json.format(msgspec.json.encode(ways(configurations.SMALL)), indent=1)
        )
        write(f"{wanted.paths}: a shortest way to every row and rule that the small worlds reach\n")
        return 0
    chosen = configurations.THOROUGH if wanted.thorough else configurations.QUICK
    if worlds:
        chosen = tuple(configurations.BY_NAME[name] for name in worlds)

    def more() -> dict[str, Any]:
        found: dict[str, Any] = {"mutants": judged_edits()} if edits else {}
        if not worlds or wanted.promela is not None:
            found |= by_spin()
        return found

    def judged_edits() -> dict[str, Any]:
        def tell(one: mutation.Judged) -> None:
            if one.verdict == "survivor" and not as_json:
                write(f"survives: {one.machine}: {one.words}\n")

        counts = mutation.run(workers or os.cpu_count() or 1, edits or 1, tell, wanted.judged)
        if not as_json:
            write(
                f"{counts['total']} edits: {counts['equivalent']} change nothing, {counts['killed']} are noticed "
                f"({counts['by_property']} by a property, {counts['by_contract']} by a contract), "
                f"{len(counts['survivors'])} survive\n"
            )
        return counts

    def by_spin() -> dict[str, Any]:
        if not promela.is_there():
            sys.stderr.write(f"{SPIN_IS_MISSING}\n")
            return {}
        found = list(promela.cross_checked(configurations.SPIN, wanted.promela))
        if not as_json:
            for one in found:
                answer = "agrees" if one["agrees"] else "DISAGREES"
                write(
                    f"spin {answer:<10}{one['states']:>8,} states {one['transitions']:>9,} transitions  {one['config']}\n"
                )
        return {"spin": found}

    return run(chosen, as_json, write, workers=workers, more=more)
