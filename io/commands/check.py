"""``anchorwatch check``: which worlds are explored, and what is checked beside them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchorwatch.diagrams.check import configurations, promela
from anchorwatch.diagrams.check.run import run

SPIN_IS_MISSING = (
    "spin and gcc are not installed: the search was not checked by SPIN (apt-get install spin gcc)"
)


def check(
    write: Callable[[str], object],
    *,
    as_json: bool,
    thorough: bool,
    worlds: tuple[str, ...],
    with_promela: Path | None,
    workers: int | None,
) -> int:
    """Explore, and answer the exit code: 0 when everything holds, 1 when not, 2 for a world that there is not."""
    unknown = [name for name in worlds if name not in configurations.BY_NAME]
    if unknown:
        known = ", ".join(configurations.BY_NAME)
        sys.stderr.write(f"--world: there is no {', '.join(unknown)}; there are {known}\n")
        return 2
    chosen = configurations.THOROUGH if thorough else configurations.QUICK
    if worlds:
        chosen = tuple(configurations.BY_NAME[name] for name in worlds)

    def more() -> dict[str, Any]:
        if worlds and with_promela is None:
            return {}
        if not promela.is_there():
            sys.stderr.write(f"{SPIN_IS_MISSING}\n")
            return {}
        found = list(promela.cross_checked(configurations.SPIN, with_promela))
        if not as_json:
            for one in found:
                answer = "agrees" if one["agrees"] else "DISAGREES"
                write(
                    f"spin {answer:<10}{one['states']:>8,} states {one['transitions']:>9,} transitions  {one['config']}\n"
                )
        return {"spin": found}

    return run(chosen, as_json, write, workers=workers, more=more)
