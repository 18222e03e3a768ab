"""The engine as a client like any other: a process of its own, whose tape and the exchange's own record are one trace.

Each side keeps its order. Between them an effect comes after what asked for it, and a report after what it tells of;
what neither says is put by its time, which is the exchange's for both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import trio

from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.io.demo.processes import Line, life, settings_text
from anchorwatch.io.okx.environments import Endpoints, Environment, endpoints
from anchorwatch.io.seams import real_seams
from anchorwatch.io.simulation.recording import QUIET, Recorder, Standings
from anchorwatch.io.tape import event_of, read_tape
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from anchorwatch.machine import order, protection, requests, world
from anchorwatch.machine.desk import Told
from anchorwatch.machine.trace import (
    Handled,
    LifeBegan,
    LifeEnded,
    OrderStood,
    PositionStood,
    Seen,
    StopStood,
)
from anchorwatch.machine.units import LegKey
from tests.venue.rig import BTC, HEDGED, Clock, Rig

WITHIN_S = 60.0


class WallClock(Clock):
    """The exchange lives in the time of this host, as the process does."""

    def __call__(self) -> int:
        return real_seams().wall_ms()


class Exchange:
    """It serves on a port of this host, and keeps what it does."""

    def __init__(self) -> None:
        clock = WallClock(real_seams().wall_ms())
        self.rig = Rig(HEDGED, clock=clock)
        self.trace: list[Seen] = []
        account = self.rig.venue.accounts["main"]
        self.rig.venue.publisher.watchers.append(Recorder(self.rig.venue, account, self.trace.append))

    def by_hand(self, side: str, contracts: str) -> None:
        assert self.rig.order(side, contracts, posSide="long")["sCode"] == "0"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Endpoints]:
        listeners = await open_loopback(0)
        port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_venue, self.rig.venue, listeners)
            yield endpoints(
                Environment.DEMO, rest_url=f"http://127.0.0.1:{port}", ws_url=f"ws://127.0.0.1:{port}/ws/v5"
            )
            nursery.cancel_scope.cancel()


def as_told(tape: Path) -> Iterator[Seen]:
    """What the process was told and asked for: its tape, decided again."""
    birth, records = read_tape(tape)
    desk, standings, now_ms = birth.desk(), Standings(), 0
    for record in records:
        if not now_ms:
            yield LifeBegan(record.now_ms, desk.bot)
        now_ms, event = record.now_ms, event_of(record)
        effects = desk.handle(event, now_ms)
        changed = standings.changed(desk)
        if effects or changed or not isinstance(event, QUIET):
            yield Handled(now_ms, event, effects, desk.bot, changed)
    yield LifeEnded(now_ms)


def asked_by(one: Seen) -> dict[tuple[LegKey, int], str]:
    """The client ids of what is placed, by leg and number."""
    found = {}
    for effect in one.effects if isinstance(one, Handled) else ():
        if isinstance(effect, requests.PlaceStop):
            found[effect.leg, effect.seq] = effect.client_id
        elif isinstance(effect, requests.PlaceOrder):
            found[effect.ticket.leg, effect.ticket.seq] = effect.ticket.client_id
    return found


class Merging:
    """Puts the two sides' records into one order."""

    def __init__(self, exchange: Sequence[Seen], engine: Sequence[Seen]) -> None:
        self._theirs, self._ours = deque(exchange), deque(engine)
        self._will_ask = {name for one in engine for name in asked_by(one).values()}
        self._will_stand = {one.client_id for one in exchange if isinstance(one, OrderStood | StopStood)}
        self._asked: dict[tuple[LegKey, int], str] = {}
        self._stood: set[str] = set()

    def merged(self) -> Iterator[Seen]:
        while self._theirs or self._ours:
            if not self._ours or (self._theirs and self._are_theirs_next()):
                one = self._theirs.popleft()
                if isinstance(one, OrderStood | StopStood):
                    self._stood.add(one.client_id)
            else:
                one = self._ours.popleft()
                self._asked |= asked_by(one)
            yield one

    def _are_theirs_next(self) -> bool:
        theirs, ours = self._theirs[0], self._ours[0]
        waits = isinstance(theirs, OrderStood | StopStood) and theirs.client_id in self._will_ask - set(
            self._asked.values()
        )
        if self._tells_of(ours, theirs):
            assert not waits, f"each waits for the other: {theirs} {ours}"
            return True
        return not waits and theirs.at_ms <= ours.at_ms

    def _tells_of(self, ours: Seen, theirs: Seen) -> bool:
        match ours:
            case Handled(
                event=world.OrderPushed(report) | world.StopPushed(report) | world.PositionPushed(report)
            ):
                return report.updated_ms >= theirs.at_ms
            case Handled(
                event=Told(address, order.OrderAcknowledged(seq) | protection.StopAccepted(seq))
            ) if address.leg is not None:
                name = self._asked.get((address.leg, seq), "")
                return name in self._will_stand - self._stood
        return False


READY: dict[str, object] = {"event": "transition", "machine": "lifecycle", "dest": "READY"}


def says(**fields: object) -> Callable[[Line], bool]:
    return lambda line: all(line.get(name) == value for name, value in fields.items())


async def test_what_a_process_and_the_exchange_did_to_each_other_is_accepted(tmp_path: Path) -> None:
    """Two lives: positions opened and closed by hand are covered and let go, one of them over a restart."""
    exchange = Exchange()
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
