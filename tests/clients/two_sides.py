"""A bot in a process of its own, and the exchange on sockets of this one: what each wrote down becomes one trace.

Each side keeps its order. Between them an effect comes after what asked for it, and a report after what it tells of;
what neither says is put by its time, which is the exchange's for both. A process that was killed leaves a tape without
its end: from there on the trace has what reached the exchange, and what the journal held of it by then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from anchorwatch.io.demo.processes import KEYS
from anchorwatch.io.journal import remembered
from anchorwatch.io.okx.environments import Endpoints, Environment, endpoints
from anchorwatch.io.seams import real_seams
from anchorwatch.io.simulation.recording import QUIET, Recorder, Standings
from anchorwatch.io.tape import BadTape, event_of, read_tape
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from anchorwatch.machine import order, protection, requests, world
from anchorwatch.machine.desk import Told
from anchorwatch.machine.facts import IntentFact
from anchorwatch.machine.kernel import Effect
from anchorwatch.machine.trace import (
    FellSilent,
    Handled,
    LifeBegan,
    LifeEnded,
    OrderStood,
    Requested,
    Seen,
    StopStood,
)
from anchorwatch.machine.units import LegKey
from tests.clients.overheard import Overheard
from tests.venue.rig import BTC, HEDGED, Clock, Rig

WITHIN_S = 60.0
CHANNELS = ("orders", "orders-algo")


class WallClock(Clock):
    """The exchange lives in the time of this host, as the process does."""

    def __call__(self) -> int:
        return real_seams().wall_ms()


class Exchange:
    """It serves on a port of this host, and keeps what it does."""

    def __init__(self, journal: Path) -> None:
        clock = WallClock(real_seams().wall_ms())
        self.rig = Rig(HEDGED, clock=clock)
        self.trace: list[Seen] = []
        account = self.rig.venue.accounts["main"]
        self.rig.venue.publisher.watchers.append(Recorder(self.rig.venue, account, self.trace.append))
        self._by_hand = self.rig.venue.trading
        self._account = account
        self._journal = journal
        self._at_close: Callable[[], None] | None = None
        self.rig.venue.trading = Overheard(self.rig.venue, self.trace, self._intent)

    def when_a_close_arrives(self, then: Callable[[], None]) -> None:
        """``then`` is called while the next request for a close is being served, before it is answered."""
        self._at_close = then

    def _intent(self, ticket: requests.OrderTicket) -> IntentFact | None:
        """The intent as the journal has it while the request arrives: it was to be durable before the first byte."""
        if ticket.role is order.Role.CLOSE and self._at_close is not None:
            then, self._at_close = self._at_close, None
            then()
        known = remembered(self._journal, "demo", KEYS.key)
        return next((one for one in known.intents if one.client_id == ticket.client_id), None)

    def by_hand(self, side: str, contracts: str, *, leg: str = "long") -> None:
        self.rig.venue.advance()
        request = {"instId": BTC, "tdMode": "cross", "side": side, "posSide": leg, "ordType": "market"}
        row = self._by_hand.place(self._account, {**request, "sz": contracts})
        assert row["sCode"] == "0", row

    def rise(self, px: str) -> None:
        self.rig.price_now(px)

    def holds(self) -> bool:
        return any(one.is_open for one in self.rig.venue.positions())

    async def life_is_over(self) -> None:
        """A process that was killed is dead: the exchange reads what it had sent, and sees its connections end."""
        publisher = self.rig.venue.publisher
        with trio.fail_after(WITHIN_S):
            while any(publisher.connections_with(self._account, one) for one in CHANNELS):  # noqa: ASYNC110 – nobody rings
                await trio.sleep(0.01)
        self.trace.append(LifeEnded(self.rig.venue.now_ms()))

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


def as_told(tape: Path, *, is_killed: bool = False) -> Iterator[Seen]:
    """What the process was told and asked for: its tape, decided again, as far as that goes."""
    try:
        birth, records = read_tape(tape)
    except BadTape:
        assert is_killed, "the tape of an orderly stop is whole"
        yield FellSilent(0)  # not even its beginning was written
        return
    desk, standings, now_ms = birth.desk(), Standings(), 0
    for record in records:
        if not now_ms:
            yield LifeBegan(record.now_ms, desk.bot)
        now_ms, event = record.now_ms, event_of(record)
        effects = desk.handle(event, now_ms)
        changed = standings.changed(desk)
        if effects or changed or not isinstance(event, QUIET):
            yield Handled(now_ms, event, effects, desk.bot, changed)
    yield FellSilent(now_ms) if is_killed else LifeEnded(now_ms)


def asked_by(one: Seen) -> dict[tuple[LegKey, int], str]:
    """The client ids of what is placed, by leg and number."""
    found = {}
    for effect in one.effects if isinstance(one, Handled) else ():
        if isinstance(effect, requests.PlaceStop):
            found[effect.leg, effect.seq] = effect.client_id
        elif isinstance(effect, requests.PlaceOrder):
            found[effect.ticket.leg, effect.ticket.seq] = effect.ticket.client_id
    return found


def _named(effect: Effect) -> Iterator[tuple[Any, ...]]:
    """What one request goes by, on both sides."""
    match effect:
        case requests.PlaceOrder(ticket) | requests.CancelOrder(ticket) | requests.AmendOrder(ticket):
            yield type(effect), ticket.client_id
        case requests.PlaceStop(_, _, client_id):
            yield requests.PlaceStop, client_id
        case requests.MoveStop(_, _, client_id, venue_id):
            yield requests.MoveStop, client_id or venue_id
        case requests.CancelStops(_, venue_ids):
            yield from ((requests.CancelStops, one) for one in venue_ids)


def not_on_tape(exchange: Sequence[Seen], engine: Sequence[Seen]) -> Iterator[Seen]:
    """The exchange's record, with those requests only of which the bot's own record says nothing."""
    known = Counter(
        name
        for one in engine
        if isinstance(one, Handled)
        for effect in one.effects
        for name in _named(effect)
    )
    for one in exchange:
        if isinstance(one, Requested):
            (name,) = (name for effect in one.effects for name in _named(effect))
            if known[name]:
                known[name] -= 1
                continue
        yield one


class Merging:
    """Puts the two sides' records into one order."""

    def __init__(self, exchange: Sequence[Seen], engine: Sequence[Seen]) -> None:
        self._theirs, self._ours = deque(not_on_tape(exchange, engine)), deque(engine)
        self._will_ask = {name for one in engine for name in asked_by(one).values()}
        self._will_stand = {one.client_id for one in exchange if isinstance(one, OrderStood | StopStood)}
        self._asked: dict[tuple[LegKey, int], str] = {}
        self._stood: set[str] = set()
        self._is_silent = False

    def merged(self) -> Iterator[Seen]:
        while self._theirs or self._ours:
            if not self._ours or (self._theirs and self._are_theirs_next()):
                one = self._theirs.popleft()
                if isinstance(one, OrderStood | StopStood):
                    self._stood.add(one.client_id)
            else:
                one = self._ours.popleft()
                self._asked |= asked_by(one)
            if isinstance(one, FellSilent | LifeEnded):
                self._is_silent = isinstance(one, FellSilent)
            yield one

    def _are_theirs_next(self) -> bool:
        theirs, ours = self._theirs[0], self._ours[0]
        if self._is_silent:
            return True
        if isinstance(theirs, Requested):
            return False  # of what was asked for beyond the tape nothing comes before the tape's end
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
