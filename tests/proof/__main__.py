"""``python -m tests.proof soak|shared``: a whole day of the bot in virtual time, and the verdict on it.

soak     recorded candles, faults of every kind, crashes and restarts: at the end flat or covered, the book equal to
         the exchange's, nothing orphaned, and memory that does not grow.
shared   a person's position, another bot's stop and a meddling hand on the same account: none of it is changed.

The exit code is 1 if anything is amiss.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio
from rich.console import Console
from rich.table import Table
from trio.testing import MockClock

from anchorwatch.io.simulation.determinism import deterministic
from tests.proof.shared import SharedDay, shared_day
from tests.proof.soak import Soaked, recorded, soak

HOURS = 24.0
DATA = Path(os.environ.get("ANCHORWATCH_DATA", Path(__file__).parents[2].parent / "shared" / "data"))

LOOKS_A_LINE = 4
"""The table tells of every hour."""


def told_of_soak(console: Console, done: Soaked) -> list[str]:
    drawn = Table(title="A day with faults", title_justify="left")
    headings = (
        "hour",
        "containers",
        "histories",
        "desk",
        "the rest",
        "resident MB",
        "orders so far",
        "lives so far",
    )
    for heading in headings:
        drawn.add_column(heading, justify="right")
    for hour, one in enumerate(done.looks[::LOOKS_A_LINE]):
        held = one.held
        rest, resident_mb = held.rest.total(), held.resident_mb
        cells = (hour, held.total, held.histories, held.desk, rest, resident_mb, one.orders, one.lives)
        drawn.add_row(*(str(cell) for cell in cells))
    console.print(drawn)
    console.print(f"lives ended: {', '.join(done.exits)}", highlight=False)
    console.print(
        f"faults that struck: {sum(done.struck.values())} of {len(done.struck)} kinds", highlight=False
    )
    console.print(f"alarms: {done.alarms}", highlight=False)
    bare = done.spells_ms or [0]
    console.print(
        f"positions closed: {done.positions}; uncovered: median {bare[len(bare) // 2]} ms, longest {bare[-1]} ms",
        highlight=False,
    )
    return done.amiss


def told_of_sharing(console: Console, done: SharedDay) -> list[str]:
    console.print(
        f"{done.lives} lives, {done.crashes} of them cut off; {done.entries} entries; others' things looked at "
        f"{done.looks} times; {done.closed_by_hand} positions closed and {done.tightened_by_hand} stops tightened "
        f"by hand",
        highlight=False,
    )
    console.print(f"told: {done.names}", highlight=False)
    return done.amiss


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description="A day in virtual time.")
    parser.add_argument("what", choices=("soak", "shared"))
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    clock = MockClock(autojump_threshold=0)
    if asked.what == "soak":
        if not (DATA / "candles").is_dir():
            parser.error(f"no recorded candles under {DATA}: set ANCHORWATCH_DATA")
        feeds = recorded(DATA / "candles")
        with deterministic(asked.seed):
            soaked = trio.run(partial(soak, feeds, asked.hours, asked.seed), clock=clock)
        amiss = told_of_soak(console, soaked)
    else:
        with deterministic(asked.seed):
            shared = trio.run(partial(shared_day, asked.hours, asked.seed), clock=clock)
        amiss = told_of_sharing(console, shared)
    for words in amiss:
        console.print(f"AMISS: {words}", highlight=False, markup=False)
    console.print(f"{asked.hours:g} hours, seed {asked.seed}: {'nothing amiss' if not amiss else 'FAILED'}")
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
