"""The engine as a client like any other: a process of its own, whose tape and the exchange's own record are one trace."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.io.demo.processes import Line, life, settings_text
from anchorwatch.machine.trace import (
    PositionStood,
    Seen,
)
from tests.clients.two_sides import WITHIN_S, Exchange, Merging, as_told
from tests.venue.rig import BTC

READY: dict[str, object] = {"event": "transition", "machine": "lifecycle", "dest": "READY"}


def says(**fields: object) -> Callable[[Line], bool]:
    return lambda line: all(line.get(name) == value for name, value in fields.items())


async def test_what_a_process_and_the_exchange_did_to_each_other_is_accepted(tmp_path: Path) -> None:
    """Two lives: positions opened and closed by hand are covered and let go, one of them over a restart."""
    exchange = Exchange(tmp_path / "journal.sqlite")
    told: list[Seen] = []
    covered = says(event="transition", machine="protection", dest="COVERED")
    flat = says(event="transition", machine="position", dest="FLAT")
    async with exchange.serving() as where:
        settings = tmp_path / "settings.toml"
        settings.write_text(settings_text(where, tmp_path / "journal.sqlite", (BTC,)), encoding="utf-8")
        for number in (1, 2):
            tape = tmp_path / f"tape-{number}"
            async with life(settings, tmp_path, tape=tape) as own:
                await own.until(says(**READY), WITHIN_S)
                if number == 1:
                    exchange.by_hand("buy", "0.5")
                    await own.until(covered, WITHIN_S)
                    exchange.by_hand("sell", "0.5")
                    await own.until(flat, WITHIN_S)
                    exchange.by_hand("buy", "0.4")
                    await own.until(covered, WITHIN_S, after=own.lines.index(await own.until(flat)))
                else:
                    exchange.by_hand("sell", "0.4")
                    await own.until(flat, WITHIN_S)
                own.ask_to_stop()
                assert await own.ended() == 0, own.complaint()
            told += as_told(tape)
    trace = list(Merging(exchange.trace, told).merged())
    verdict = accepts(trace)
    assert verdict.rejections == (), verdict.rejections[0].lines()
    explained = {"the venue accepts the stop", "push: the stop is live", "somebody opens or adds"}
    assert explained <= set(verdict.used)
    # And it bites: a report of what never was.
    wrong = [grown(one) for one in trace]
    assert accepts(wrong).rejections


def grown(one: Seen) -> Seen:
    """Twice the size that the exchange holds, where it says so."""
    if isinstance(one, PositionStood):
        return msgspec.structs.replace(one, contracts=one.contracts + Decimal("0.1"))
    return one
