"""The full engine on the embedded exchange, in virtual time: what it traded is what the back-test must trade."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
import trio

from anchorwatch.io import embedded
from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.engine import Engine
from anchorwatch.io.journal import open_journal
from anchorwatch.io.okx.environments import Environment, endpoints
from anchorwatch.io.run_options import RunOptions
from anchorwatch.io.seams import virtual_seams
from anchorwatch.io.settings import LogFormat, Settings
from anchorwatch.io.telemetry import Telemetry


class Deal(NamedTuple):
    """One fill: when, buy or sell, long or short, contracts, price."""

    at_ms: int
    side: str
    pos_side: str
    contracts: Decimal
    price: Decimal


async def _live(settings: Settings, stage: embedded.Stage, for_s: float) -> list[Deal]:
    seams = virtual_seams(stage.start_ms, 1, since_s=trio.current_time())
    telemetry = Telemetry(io.StringIO(), now_ms=seams.wall_ms, format=LogFormat.JSON)
    async with embedded.embedded_venue(stage, now_ms=seams.wall_ms) as venue:
        with open_journal(None, "sim", venue.credentials.key) as journal:
            engine = Engine(
                settings,
                telemetry,
                seams=seams,
                endpoints=endpoints(Environment.SIM, rest_url=venue.rest_url, ws_url=venue.ws_url),
                credentials=venue.credentials,
                journal=journal,
            )
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stop_after, engine, for_s)
                await engine.run()
                nursery.cancel_scope.cancel()
        fills = venue.venue.accounts["main"].fills
        return [Deal(one.at_ms, one.side, one.pos_side, one.contracts, one.px) for one in fills]


async def _stop_after(engine: Engine, seconds: float) -> None:
    await trio.sleep(seconds)
    engine.request_stop("the comparison is over")


def trade(settings: Settings, market: Path, start_ms: int, end_ms: int) -> list[Deal]:
    """Every fill of the whole engine between these times, oldest first."""
    options = RunOptions(markets=(market,), from_ms=start_ms)
    stage = embedded.market_of(settings, options)
    stage = msgspec.structs.replace(stage, start_ms=start_ms)
    return trio.run(_live, settings, stage, (end_ms - start_ms) / 1000, clock=PacedClock())
