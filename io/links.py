"""The sockets of the four connections: each effect of the connection machine, carried out; each end, reported.

Nothing is decided here. A socket belongs to one epoch; abandoning the epoch cancels
everything that it runs, and its end is awaited where a stop asks for it.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from anchorwatch.io.okx.environments import Credentials, Endpoints, WsPath
from anchorwatch.io.okx.errors import CLOCK_CODES, Remedy, classify_login, classify_upgrade
from anchorwatch.io.okx.socket import (
    DialFailed,
    LoginAccepted,
    LoginRefused,
    OkxSocket,
    SocketLost,
    open_okx_socket,
)
from anchorwatch.io.okx.wire_ws import Arg, Frame, Notice
from anchorwatch.machine import connection as machine
from anchorwatch.machine.connection import Hindrance, Name
from anchorwatch.machine.kernel import Event

PATHS = {
    Name.PUBLIC: WsPath.PUBLIC,
    Name.BUSINESS: WsPath.BUSINESS,
    Name.PRIVATE: WsPath.PRIVATE,
    Name.PRIVATE_BUSINESS: WsPath.BUSINESS,
}
UPGRADE_NOTICE = "64008"

Report = Callable[[Name, Event], None]
Consume = Callable[[Name, Frame], None]


class _Link:
    """What one epoch runs."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.socket: OkxSocket | None = None
        self.nursery: trio.Nursery | None = None
        self.listening = trio.CancelScope()


class Links:
    """All sockets. ``report`` takes the events of the connection machine, ``consume`` every other frame."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        endpoints: Endpoints,
        credentials: Credentials | None,
        tls: ssl.SSLContext | None,
        channels: Mapping[Name, Sequence[Arg]],
        venue_now_ms: Callable[[], int],
        measure_clock: Callable[[], Awaitable[object]],
        report: Report,
        consume: Consume,
    ) -> None:
        self._nursery = nursery
        self._endpoints = endpoints
        self._credentials = credentials
        self._tls = tls
        self._channels = channels
        self._venue_now_ms = venue_now_ms
        self._measure_clock = measure_clock
        self._report = report
        self._consume = consume
        self._links: dict[tuple[Name, int], _Link] = {}

    def open_links(self) -> list[str]:
        """Which sockets still run something; empty after the stop."""
        return [f"{name.value} {epoch}" for name, epoch in self._links]

    def open(self, effect: machine.OpenSocket) -> None:
        link = self._links[effect.name, effect.epoch] = _Link()
        self._nursery.start_soon(self._carry, effect, link, name=f"{effect.name.value} socket")

    def log_in(self, effect: machine.LogIn) -> None:
        self._run(effect.name, effect.epoch, self._log_in, effect)

    def subscribe(self, effect: machine.Subscribe) -> None:
        self._run(effect.name, effect.epoch, self._subscribe, effect)

    def listen(self, effect: machine.StartListening) -> None:
        link = self._links.get((effect.name, effect.epoch))
        if link is not None:
            link.listening.cancel()
            link.listening = trio.CancelScope()
            self._run(effect.name, effect.epoch, self._listen, effect)

    def ping(self, effect: machine.SendPing) -> None:
        self._run(effect.name, effect.epoch, self._ping, effect)

    def abandon(self, effect: machine.AbandonEpoch) -> None:
        link = self._links.get((effect.name, effect.epoch))
        if link is not None:
            link.scope.cancel()

    async def wait_closed(self, names: Sequence[Name]) -> None:
        """Until nothing of these connections runs any more."""
        for (name, _), link in list(self._links.items()):
            if name in names:
                await link.ended.wait()

    def _run(self, name: Name, epoch: int, task: Callable[..., object], effect: object) -> None:
        link = self._links.get((name, epoch))
        # The socket may have ended a moment ago; its loss is reported, and that is the answer.
        if link is not None and link.nursery is not None and link.socket is not None:
            link.nursery.start_soon(task, effect, link, link.socket)  # type: ignore[arg-type]

    async def _carry(self, effect: machine.OpenSocket, link: _Link) -> None:
        """One socket from dial to end. Its loss is reported once, unless it was abandoned."""
        name, epoch = effect.name, effect.epoch
        url = self._endpoints.ws(PATHS[name])
        end: Event = machine.SocketLost(epoch, "closed by us")
        try:
            with link.scope:
                try:
                    async with open_okx_socket(
                        url,
                        tls=self._tls if url.startswith("wss") else None,
                        deliver=lambda frame: self._deliver(name, epoch, frame),
                        dial_deadline_s=effect.within_s,
                    ) as socket:
                        end = machine.SocketLost(epoch, await self._live(name, epoch, link, socket))
                except DialFailed as failed:
                    end = _of_dial(epoch, failed)
        finally:
            del self._links[name, epoch]
            link.ended.set()
        if not link.scope.cancelled_caught:
            self._report(name, end)

    async def _live(self, name: Name, epoch: int, link: _Link, socket: OkxSocket) -> str:
        async with trio.open_nursery() as nursery:
            link.socket, link.nursery = socket, nursery
            self._report(name, machine.SocketOpened(epoch))
            end = await socket.wait_ended()
            link.socket = link.nursery = None
            nursery.cancel_scope.cancel()
        return end.reason

    def _deliver(self, name: Name, epoch: int, frame: Frame) -> None:
        if isinstance(frame, Notice) and frame.code == UPGRADE_NOTICE:
            self._report(name, machine.UpgradeNoticed(epoch))
        else:
            self._consume(name, frame)

    async def _log_in(self, effect: machine.LogIn, link: _Link, socket: OkxSocket) -> None:
        try:
            answer = await self._ask_in(effect, socket)
            if isinstance(answer, LoginRefused) and answer.code in CLOCK_CODES:
                # Ours may have been set, or have drifted for weeks: what the venue's says now decides.
                await self._measure_clock()
                answer = await self._ask_in(effect, socket)
        except SocketLost as lost:
            self._give_up(link, effect.name, machine.SocketLost(effect.epoch, lost.end.reason))
            return
        if isinstance(answer, LoginAccepted):
            self._report(effect.name, machine.LoginAccepted(effect.epoch))
            return
        verdict = classify_login(answer.code)
        words = f"login: {answer.code} {answer.message}: {verdict.meaning}; what to do: {verdict.action}"
        if verdict.remedy in (Remedy.STOP, Remedy.NEVER):
            self._report(effect.name, machine.LoginRefused(effect.epoch, words))
            return
        hindrance = Hindrance.CLOCK if answer.code in CLOCK_CODES else Hindrance.LOGIN
        self._give_up(link, effect.name, machine.Hindered(effect.epoch, hindrance, words))

    async def _ask_in(self, effect: machine.LogIn, socket: OkxSocket) -> LoginAccepted | LoginRefused:
        assert self._credentials is not None, "private connections need keys"
        now_s = self._venue_now_ms() // 1000
        return await socket.login(self._credentials, now_s, deadline_s=effect.within_s)

    async def _subscribe(self, effect: machine.Subscribe, link: _Link, socket: OkxSocket) -> None:
        try:
            report = await socket.subscribe(self._channels[effect.name], deadline_s=effect.within_s)
        except SocketLost as lost:
            self._give_up(link, effect.name, machine.SocketLost(effect.epoch, lost.end.reason))
            return
        if report.complete:
            self._report(effect.name, machine.ChannelsConfirmed(effect.epoch))
            return
        refused = [f"{one.arg.channel} {one.arg.inst_id} {one.code}".strip() for one in report.refused]
        missing = [f"{arg.channel} {arg.inst_id} unanswered".strip() for arg in report.missing]
        words = "subscribe: " + ", ".join(refused + missing)
        if refused:
            words += "; what to do: see that venue, region and symbols of the settings fit together"
            event: Event = machine.Hindered(effect.epoch, Hindrance.CHANNELS, words)
        else:
            event = machine.SocketLost(effect.epoch, words)
        self._give_up(link, effect.name, event)

    async def _listen(self, effect: machine.StartListening, link: _Link, socket: OkxSocket) -> None:
        name, epoch = effect.name, effect.epoch

        async def say_when_it_has_lasted() -> None:
            await trio.sleep(effect.lasted_s)
            self._report(name, machine.LiveLasted(epoch))

        with link.listening:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say_when_it_has_lasted)
                await _until_silent(effect, socket)
                nursery.cancel_scope.cancel()
            self._report(name, machine.SilenceNoticed(epoch))

    async def _ping(self, effect: machine.SendPing, link: _Link, socket: OkxSocket) -> None:
        asked_at = trio.current_time()
        try:
            await socket.ping(answer_within_s=effect.within_s)
        except SocketLost:
            return  # the loss is reported where the socket is carried
        heard = socket.heard_at >= asked_at
        event = machine.FrameSeen if heard else machine.PongMissed
        self._report(effect.name, event(effect.epoch))

    def _give_up(self, link: _Link, name: Name, why: Event) -> None:
        """The socket is of no use: say so once, and let the machine abandon it."""
        if link.socket is not None and link.socket.ended is None:
            self._report(name, why)


def _of_dial(epoch: int, failed: DialFailed) -> Event:
    """A dial that the venue itself answered with a no is not a drop."""
    verdict = classify_upgrade(failed.end.http_status)
    if verdict is None:
        return machine.SocketLost(epoch, failed.end.reason)
    hindrance = Hindrance.MAINTENANCE if verdict.remedy is Remedy.RETRY else Hindrance.ADDRESS
    words = f"{failed.end.reason}: {verdict.meaning}; what to do: {verdict.action}"
    return machine.Hindered(epoch, hindrance, words)


async def _until_silent(effect: machine.StartListening, socket: OkxSocket) -> None:
    """Return when no frame has come for ``silence_s``, although the venue was pinged after ``ping_s``."""
    pinged_for = -1.0
    while (now := trio.current_time()) < socket.heard_at + effect.silence_s:
        heard_at = socket.heard_at
        if now >= heard_at + effect.ping_s and pinged_for != heard_at:
            pinged_for = heard_at
            with contextlib.suppress(SocketLost):  # the loss is reported where the socket is carried
                await socket.ping()
        due = heard_at + (effect.silence_s if pinged_for == heard_at else effect.ping_s)
        await trio.sleep_until(max(due, now))
