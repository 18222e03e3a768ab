"""``anchorwatch run --plan``: what a start would do now, as a table; nothing is sent."""

from __future__ import annotations

import ssl
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import trio
from rich.console import Console
from rich.table import Table

from anchorwatch.io import embedded
from anchorwatch.io.access import access
from anchorwatch.io.journal import remembered
from anchorwatch.io.okx.environments import Credentials, Endpoints, Environment, endpoints
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.plan import Plan, as_dict, make_plan
from anchorwatch.io.run_options import RunOptions
from anchorwatch.io.seams import Seams, real_seams, virtual_seams
from anchorwatch.io.settings import Settings
from anchorwatch.machine.lifecycle import Exit

WIDTH = 140
"""Columns of the table where the output is no terminal."""


def show(settings: Settings, options: RunOptions) -> int:
    """Make the plan and print it; the exit code is that of a start that failed in CLIENT when it cannot be made."""
    plan = trio.run(_plan, settings, options)
    if isinstance(plan, str):
        sys.stderr.write(f"anchorwatch: no plan: {plan}\n")
        return Exit.CLIENT_FAILED.value
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    render(plan, console)
    if options.summary is not None:
        try:
            write(plan, options.summary)
        except OSError as error:
            sys.stderr.write(f"anchorwatch: --summary {options.summary}: {error.strerror or error}\n")
    return Exit.CLEAN.value


async def _plan(settings: Settings, options: RunOptions) -> Plan | str:
    if settings.venue.kind not in (Environment.SIM, Environment.PAPER):
        where, credentials = access(settings)
        tls = ssl.create_default_context()
        return await _read(settings, options, real_seams(), where, credentials, tls)
    is_paper = settings.venue.kind is Environment.PAPER
    wall = real_seams()
    stage = embedded.market_of(settings, options, wall_ms=wall.wall_ms() if is_paper else None)
    seams = wall if is_paper else virtual_seams(stage.start_ms, options.seed, since_s=trio.current_time())
    async with embedded.embedded_venue(stage, now_ms=seams.wall_ms) as venue:
        at = endpoints(settings.venue.kind, rest_url=venue.rest_url, ws_url=venue.ws_url)
        return await _read(settings, options, seams, at, venue.credentials, None)


async def _read(
    settings: Settings,
    options: RunOptions,
    seams: Seams,
    where: Endpoints,
    credentials: Credentials | None,
    tls: ssl.SSLContext | None,
) -> Plan | str:
    account = credentials.key if credentials is not None else ""
    facts = remembered(settings.journal.file, settings.venue.kind.value, account)
    hands_off = {*facts.hands_off, *options.hands_off} - {*options.hands_on}
    facts = msgspec.structs.replace(facts, hands_off=tuple(sorted(hands_off)))
    async with OkxRest(where, credentials, seams.wall_ms, tls=tls, reads_only=True) as rest:
        return await make_plan(settings, rest, facts)


def render(plan: Plan, console: Console) -> None:
    """The plan for a person."""
    table = Table(title="What a start would do now (nothing was sent)", title_justify="left")
    for heading in ("position", "state", "ours", "others", "entry", "mark", "peak", "stop now", "stop then"):
        table.add_column(heading, justify="left" if heading in ("position", "state") else "right")
    table.add_column("would")
    for leg in plan.positions:
        numbers = (
            leg.contracts,
            leg.others,
            leg.entry,
            leg.mark,
            leg.peak,
            leg.stop_resting,
            leg.stop_planned,
        )
        table.add_row(leg.leg, leg.state, *(_shown(number) for number in numbers), leg.would)
    if plan.positions:
        console.print(table)
    else:
        console.print("No position is open or remembered.")
    for title, lines in (
        ("It would find:", [_line(found) for found in plan.found]),
        ("It would send:", list(plan.actions)),
    ):
        console.print(title if lines else f"{title} nothing", markup=False)
        for line in lines:
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _shown(number: Decimal | None) -> str:
    return "–" if number is None else f"{number.normalize():f}"


def _line(found: dict[str, str]) -> str:
    fields = " ".join(f"{key}={value}" for key, value in found.items() if key not in ("found", "level"))
    return f"{found['found']} {fields}".strip()


def write(plan: Plan, path: Path) -> None:
    """The plan as JSON, decimals as numbers."""
    text = msgspec.json.format(msgspec.json.Encoder(decimal_format="number").encode(as_dict(plan)), indent=2)
    path.write_bytes(text + b"\n")
