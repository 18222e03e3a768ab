"""``python -m tests.unprotected``: how long positions are open without a live stop, measured inside the exchange.

The whole engine and the whole exchange on the fake network in virtual time, 40 to 50 ms apart. Prints p50, p99 and
the longest of each case; the exit code is 1 if any is longer than its goal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

import trio
from rich.console import Console
from rich.table import Table
from trio.testing import MockClock

from anchorwatch.io.simulation.determinism import deterministic
from tests.unprotected.cases import CASES, ROUND_TRIP_MS, SWITCHES, measure

EPISODES = 200
EPISODES_UNDER_A_FAULT = 25
SEED = 1


def share(values: Sequence[int], percent: int) -> int:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.unprotected", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--episodes", type=int, default=0, help="positions of each case; 0: 200, under a fault 25"
    )
    parser.add_argument("--only", default="", help="cases whose name contains this")
    asked = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    drawn = Table(
        title=f"Uncovered time in ms; a round trip takes up to {ROUND_TRIP_MS} ms", title_justify="left"
    )
    for heading in ("case", "attached stop comes", "positions", "p50", "p99", "max", "goal"):
        drawn.add_column(heading, justify="left" if heading[0] in "ca" else "right")
    failed = 0
    for case in CASES:
        if asked.only not in case.name:
            continue
        episodes = asked.episodes or (EPISODES_UNDER_A_FAULT if ";" in case.name else EPISODES)
        for switches in SWITCHES:
            with deterministic(SEED):
                spells = trio.run(
                    partial(measure, case, switches, episodes, SEED),
                    clock=MockClock(autojump_threshold=0),
                )
            is_kept = max(spells) <= case.within_ms
            failed += not is_kept
            drawn.add_row(
                case.name,
                "after each fill" if switches.attached_after == "each_fill" else "when filled",
                str(len(spells)),
                str(share(spells, 50)),
                str(share(spells, 99)),
                str(max(spells)),
                f"{case.within_ms}" if is_kept else f"{case.within_ms} MISSED",
            )
            console.print(f"{case.name}, {switches.attached_after}: max {max(spells)} ms", highlight=False)
    console.print(drawn)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
