"""``python -m tests.kill``: the real bot killed with SIGKILL at many moments, each time with positions open.

Every death is followed by a new life on the same journal and the living exchange, which is judged: the same
positions, each with exactly one live stop that covers it and is not looser, no second entry, no orphan order, entry
time and peak as they were, and the drift report right. Prints a table; the exit code is 1 if any row fails.

Real processes and real sockets: ``anchorwatch run`` and ``anchorwatch venue``, on this host, in real time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import trio
from rich.console import Console
from rich.table import Table

from anchorwatch.io.seams import interrupts, real_seams
from tests.kill.lane import Lane, Row
from tests.kill.market import write_markets
from tests.kill.moments import ENTRIES, MAKERS, OTHERS, Moment

LANES = 3
"""Exchanges that run at the same time: what needs a candle comes once a minute, to each of them."""

WITHIN_S = 900.0
"""The whole takes a few minutes; a host that needs longer than this says nothing about the bot."""


def dealt(moments: Sequence[Moment], lanes: int) -> list[list[Moment]]:
    """Spread over the lanes, one by one."""
    return [list(moments[lane::lanes]) for lane in range(lanes)]


async def killed(
    moments: Sequence[Moment], lanes: int, console: Console, logs: Path | None = None
) -> list[Row]:
    rows: list[Row] = []

    def told(row: Row) -> None:
        rows.append(row)
        verdict = "held" if not row.faults else "FAILED: " + "; ".join(row.faults)
        console.print(
            f"{len(rows):>3}/{len(moments)}  {row.moment:<34} {verdict}", highlight=False, markup=False
        )

    with tempfile.TemporaryDirectory(prefix="anchorwatch-kill-") as name, trio.fail_after(WITHIN_S):
        room = Path(name)
        markets = write_markets(room)
        async with interrupts() as arriving, trio.open_nursery() as watching:
            watching.start_soon(_cancel_at_a_signal, arriving, watching.cancel_scope)
            async with trio.open_nursery() as nursery:
                for number, own in enumerate(dealt(moments, lanes), start=1):
                    place = room / str(number)
                    place.mkdir()
                    lane = Lane(number, place, real_seams().wall_ms, told, logs)
                    nursery.start_soon(lane.run, markets, own)
            watching.cancel_scope.cancel()
    return rows


async def _cancel_at_a_signal(arriving: AsyncIterator[int], everything: trio.CancelScope) -> None:
    """Ctrl-C leaves no process behind; the rows so far are shown."""
    async for _ in arriving:
        everything.cancel()
        return


def table(rows: Sequence[Row]) -> Table:
    drawn = Table(title="Killed with SIGKILL, started again", title_justify="left")
    for heading in (
        "moment",
        "open: +long −short",
        "last line of the dead",
        "found by the next life",
        "READY",
    ):
        drawn.add_column(heading, justify="right" if heading == "READY" else "left")
    drawn.add_column("verdict")
    for row in rows:
        verdict = "held" if not row.faults else "FAILED: " + "; ".join(row.faults)
        drawn.add_row(
            row.moment, row.open_positions, row.last_words, row.found, f"{row.ready_s:.1f} s", verdict
        )
    return drawn


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kill", description="Kill the bot; see it come back."
    )
    parser.add_argument("--lanes", type=int, default=LANES, help="exchanges at the same time")
    parser.add_argument("--only", default="", help="moments whose name contains this")
    parser.add_argument(
        "--logs", type=Path, help="an existing directory: the logs of both lives of a failed row"
    )
    asked = parser.parse_args(arguments)
    moments = [moment for moment in (*ENTRIES, *MAKERS, *OTHERS) if asked.only in moment.name]
    if not moments or asked.lanes < 1:
        parser.error("there is nothing to do")
    if asked.logs is not None and not asked.logs.is_dir():
        parser.error(f"--logs: {asked.logs} is no directory")
    console = Console(width=None if sys.stdout.isatty() else 200)
    began_s = real_seams().wall_ms() / 1000
    rows = trio.run(killed, moments, min(asked.lanes, len(moments)), console, asked.logs)
    order = [moment.name for moment in moments]
    rows.sort(key=lambda row: order.index(row.moment))
    console.print(table(rows))
    failed = sum(1 for row in rows if row.faults)
    took_s = real_seams().wall_ms() / 1000 - began_s
    console.print(f"{len(rows)} deaths, {failed} failed, {took_s:.0f} s", highlight=False)
    return 1 if failed or len(rows) < len(moments) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
