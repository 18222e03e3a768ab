"""The desk and the real client side on the exchange as a library: no socket, and time that is made to pass.

Requests of the desk go through the client's own encoding and decoding (`AccountCalls`, `OkxRest`) to the exchange's
gateway; what the exchange pushes is decoded by the client's own decoder and told to the desk. Everything happens at
once and in one order, so that a rule of a stateful test begins and ends in a quiet moment.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TypeVar

import msgspec
import trio
from trio.testing import MockClock

from anchorwatch.io.account import AccountCalls
from anchorwatch.io.okx import translate
from anchorwatch.io.okx.environments import Credentials, Environment, endpoints
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.okx.signing import rest_prehash, rest_timestamp, signature
from anchorwatch.io.okx.transport import NoReply, Reply, Transport
from anchorwatch.io.okx.wire_ws import Push, decode_frame
from anchorwatch.io.simulation.recording import Recorder
from anchorwatch.io.venue.accounts import Account, AccountSpec
from anchorwatch.io.venue.rest import HttpRequest
from anchorwatch.io.venue.sessions import Session
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine import connection, lifecycle, reconciliation, requests, world
from anchorwatch.machine.bot import LIFECYCLE, RECONCILIATION, Address, Part, may_still_amend, may_still_send
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.limits import Limits
from anchorwatch.machine.order import Role
from anchorwatch.machine.parameters import Making, Protecting
from anchorwatch.machine.sizing import Sizing
from anchorwatch.machine.trace import Seen
from anchorwatch.machine.units import MarginMode, PositionMode
from tests.machine.desk_rig import BTC, START_MS, DeskRig
from tests.venue.rig import Clock, Rig, login_frame

T = TypeVar("T")

KEYS = Credentials(key="sim-key", secret="sim-secret", passphrase="sim-pass")
WHERE = endpoints(Environment.SIM, rest_url="http://localhost", ws_url="ws://localhost")
CHANNELS = {
    Name.PRIVATE: ({"channel": "orders", "instType": "SWAP"}, {"channel": "positions", "instType": "SWAP"}),
    Name.PRIVATE_BUSINESS: ({"channel": "orders-algo", "instType": "SWAP"},),
}
TRIP_MS = 1
"""The way to the exchange: what follows from an answer happens after it."""
STEPS_MAX = 500
"""Answers entail further requests; a chain this long is a loop."""


class LibraryTransport(Transport):
    """Hands requests to the exchange's gateway. An answer that never comes, or breaks off, is no reply."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(WHERE, KEYS, rig.clock)
        self._rig = rig
        self.late: list[tuple[int, HttpRequest]] = []
        self.is_full = False  # the next request waits for its turn until it is too late for it

    async def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        deadline_s: float,
        signed_at_ms: int | None = None,
        expires_ms: int | None = None,
        still_wanted: Callable[[], bool] | None = None,
        spare: bool = False,
    ) -> Reply | NoReply:
        await trio.lowlevel.checkpoint()
        self._rig.clock.now_ms += TRIP_MS
        if self.is_full:
            self.is_full = False
            return NoReply("no turn in time", sent=False)
        if still_wanted is not None and not still_wanted():
            return NoReply("withdrawn before it was sent", sent=False)
        headers = {"content-type": "application/json"}
        if expires_ms is not None:
            headers["exptime"] = str(expires_ms)
        if signed_at_ms is not None:
            stamp = rest_timestamp(signed_at_ms)
            text = rest_prehash(stamp, method, target, body.decode())
            headers |= {
                "ok-access-key": KEYS.key,
                "ok-access-passphrase": KEYS.passphrase,
                "ok-access-timestamp": stamp,
                "ok-access-sign": signature(KEYS.secret, text),
            }
        request = HttpRequest(method, target, headers, body, "127.0.0.1")
        late_ms = self._rig.venue.gateway.late_ms(request)
        if late_ms:
            # It is waited for in vain, and lies at the exchange until its time comes.
            self.late.append((self._rig.clock.now_ms + late_ms, request))
            return NoReply("no answer", sent=True)
        answer = self._rig.venue.gateway.answer(request)
        if answer.fate != "whole":
            return NoReply("no answer", sent=True)
        now_ms = self._rig.clock()
        return Reply(answer.status, answer.body, now_ms, now_ms)


class LibraryRig(DeskRig):
    """A desk whose world is the exchange itself."""

    def __init__(
        self,
        mode: PositionMode,
        *,
        making: Making | None = None,
        protecting: Protecting | None = None,
        sizing: Sizing | None = None,
        limits: Limits | None = None,
        cash: Decimal = Decimal(10_000),
        switches: Switches | None = None,
        is_exclusive: bool = True,
    ) -> None:
        super().__init__(
            mode=mode,
            making=making,
            protecting=protecting,
            sizing=sizing,
            limits=limits,
            is_exclusive=is_exclusive,
        )
        self.equity = cash
        given = switches or Switches()
        pos_mode = "long_short_mode" if mode is PositionMode.HEDGE else "net_mode"
        self.rig = Rig(
            AccountSpec(pos_mode=pos_mode, cash=cash),
            clock=Clock(START_MS),
            switches=msgspec.structs.replace(given, enforces_rate_limits=False),
        )
        self._transport = LibraryTransport(self.rig)
        rest = OkxRest(WHERE, KEYS, self.rig.clock, transport=self._transport)
        self._calls = AccountCalls(rest, mode, MarginMode.CROSS)
        self._sessions: dict[Name, Session] = {}
        self.trace: list[Seen] = []
        self._recorder = Recorder(self.rig.venue, self.account, self.trace.append)
        self.rig.venue.publisher.watchers.append(self._recorder)
        self._recorder.began(self.desk)

    def handle(self, event: Event) -> tuple[Effect, ...]:
        effects = super().handle(event)
        self._recorder.handled(self.desk, event, effects)
        return effects

    @property
    def account(self) -> Account:
        return self.rig.venue.accounts["main"]

    @property
    def mark_price(self) -> Decimal:
        return self.rig.venue.market.mark(BTC)

    # Time and the market.

    def live_s(self, seconds: int, px: Decimal | None = None, contracts: Decimal | None = None) -> None:
        """Let this pass, second by second, trading at this price; the desk hears of it all."""
        for _ in range(seconds):
            until_ms = self.now_ms + 1000
            self._late_requests_arrive(until_ms)
            self.rig.clock.now_ms = until_ms
            self.rig.venue.advance()
            if px is not None:
                self.rig.venue.set_price(BTC, px, contracts)
            self.pass_s((until_ms - self.now_ms) / 1000)
            self._keep_alive()
            self.hear()
            self.mark(self.mark_price)
            self.quote()
            self.say(world.ClockTicked())
            self.settle()

    def _late_requests_arrive(self, until_ms: int) -> None:
        for due_ms, request in sorted(self._transport.late, key=lambda one: one[0]):
            if due_ms <= until_ms:
                self._transport.late.remove((due_ms, request))
                self.rig.clock.now_ms = max(self.rig.clock.now_ms, due_ms)
                self.rig.venue.gateway.answer(request)
                self.hear()

    def _keep_alive(self) -> None:
        """The exchange closes a connection on which nothing is said; the sockets' own pings are not part of this rig."""
        for session in self._sessions.values():
            session.receive("ping")
            assert session.is_open

    def quote(self) -> None:
        ticker = self.rig.venue.market.last(BTC)
        tick = Decimal("0.1")
        self.say(world.QuoteMoved(BTC, ticker - tick, ticker + tick, self.now_ms))

    # The exchange.

    def settle(self) -> None:
        """Until nothing is asked for any more and nothing is left to hear, pushes under way included."""
        for _ in range(STEPS_MAX):
            self.hear()
            if not self._perform_one() and not self._pushes_arrive():
                return
        raise AssertionError(f"no end of it: {self.asked}")

    def _pushes_arrive(self) -> bool:
        """Let the time pass that a push takes; whether any came."""
        self.now_ms += self.rig.venue.switches.push_delay_ms
        self.rig.clock.now_ms = self.now_ms
        self.rig.venue.advance()
        return any(session.outbox for session in self._sessions.values())

    def hear(self) -> None:
        """What the exchange has pushed, in its order, connection by connection."""
        for session in tuple(self._sessions.values()):
            while session.outbox:
                frame = decode_frame(session.outbox.popleft())
                if isinstance(frame, Push):
                    self.say(*translate.events_of(frame))

    def lose_private(self, name: Name) -> None:
        """The connection is lost, and everything on it that was not heard yet."""
        session = self._sessions.pop(name)
        session.outbox.clear()
        session.close(1006, "")
        link = self.bot.link(name)
        self.tell(Address(Part.CONNECTION, link=name), connection.SocketLost(link.data.epoch, "lost"))
        self.settle()

    def _connect(self, name: Name) -> None:
        self.rig.venue.advance()
        path = "private" if name is Name.PRIVATE else "business"
        session = self.rig.venue.connections.open(path, "127.0.0.1")
        session.receive(json.dumps(login_frame(self.rig.clock.now_ms)))
        session.receive(json.dumps({"op": "subscribe", "args": CHANNELS[name]}))
        self._sessions[name] = session

    # Performing.

    def _perform_one(self) -> bool:
        for effect in self.asked:
            if isinstance(effect, requests.Announce | lifecycle.EndStage):
                continue
            self.asked.remove(effect)
            if isinstance(effect, connection.Subscribe) and effect.name in CHANNELS:
                self._connect(effect.name)
            self.say(*self._outcomes(effect))
            return True
        return False

    def _outcomes(self, effect: Effect) -> list[Event]:
        """What a request ends in."""
        calls = self._calls
        match effect:
            case requests.PlaceOrder(ticket):
                return [self._run(lambda: calls.place_order(ticket, self._last_look(ticket)))]
            case requests.CancelOrder(ticket):
                return [self._run(lambda: calls.cancel_order(ticket))]
            case requests.AmendOrder(ticket):
                wanted = self._last_look_at_amendment(ticket)
                return [self._run(lambda: calls.amend_order(effect, wanted))]
            case requests.QueryOrder(ticket):
                return [self._run(lambda: calls.query_order(ticket))]
            case requests.PlaceStop():
                return [self._run(lambda: calls.place_stop(effect))]
            case requests.MoveStop():
                return [self._run(lambda: calls.move_stop(effect))]
            case requests.ReadStops():
                return [self._run(lambda: calls.read_stops(effect))]
            case requests.ReadLeg():
                return [self._run(lambda: calls.read_leg(effect))]
            case requests.ExplainAbsence():
                return [self._run(lambda: calls.explain_absence(effect))]
            case requests.ReadOwnOrders():
                return [self._run(lambda: calls.read_own_orders(effect))]
            case requests.ReadPeak():
                return [self._run(lambda: calls.read_peak(effect))]
            case requests.AuditStops(epoch):
                reading = self._run(calls.read_account)
                if isinstance(reading, str):
                    return [Told(LIFECYCLE, lifecycle.StageFailed(epoch, reading))]
                return [world.AuditRead(epoch, reading)]
            case reconciliation.ReadAccount(seq):
                reading = self._run(calls.read_account)
                if isinstance(reading, str):
                    return [Told(RECONCILIATION, reconciliation.ReadingFailed(seq, reading))]
                return [world.AccountRead(seq, reading)]
            case requests.CancelStops():
                self._run(lambda: calls.cancel_stops(effect))
                return []
            case requests.CancelOrphan():
                self._run(lambda: calls.cancel_orphan(effect))
                return []
        return list(self.answers(effect, None))

    def _last_look(self, ticket: requests.OrderTicket) -> Callable[[], bool]:
        def still_wanted() -> bool:
            is_closing = ticket.role is Role.CLOSE
            return is_closing or not may_still_send(self.bot, ticket.leg, ticket.seq)

        return still_wanted

    def _last_look_at_amendment(self, ticket: requests.OrderTicket) -> Callable[[], bool]:
        return lambda: not may_still_amend(self.bot, ticket.leg, ticket.seq)

    def _run(self, call: Callable[[], Awaitable[T]]) -> T:
        """To its end, in no time: what it waits for passes on a clock of its own."""
        outcome: list[T] = []

        async def through() -> None:
            outcome.append(await call())

        trio.run(through, clock=MockClock(autojump_threshold=0))
        self.now_ms = self.rig.clock.now_ms
        return outcome[0]
