"""TCP inside one process, under trio's own hooks.

Unmodified httpx, httpcore, trio-websocket, ``trio.serve_tcp`` and hypercorn's connection code run on it:
they ask ``trio.socket`` for sockets and names, and get these. Time is trio's clock and chance is the
given ``random.Random``, so under a virtual clock a session is a function of its seed.

What is modelled: latency and jitter per host, byte order kept, short writes, delivery in pieces,
bounded buffers with back-pressure, FIN, RST, a peer that closed too early; and the faults, each counted
in :class:`Tally` when it takes effect:

====================  =====================================================================
reset                 both ends get ECONNRESET, bytes on their way are lost
half-open             nothing sent from now on arrives, and neither end is told
host refuses          ECONNREFUSED to every dial
host is a black hole  a dial hears nothing and times out after `DIAL_TIMEOUT_S`
host is unresolved    its name cannot be looked up
====================  =====================================================================

IPv4 stream sockets only; IPv6 is refused as unsupported, which callers take as "use the next address".
Sockets belong to the incarnation that made them (:mod:`anchorwatch.io.simulation.incarnation`).
"""

from __future__ import annotations

import socket as stdlib_socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from errno import EADDRINUSE, EAFNOSUPPORT, ECONNABORTED, ECONNREFUSED, EPROTONOSUPPORT, ETIMEDOUT
from functools import partial
from random import Random
from typing import Literal, NamedTuple

import trio

from anchorwatch.io.simulation.incarnation import Incarnation, current_incarnation
from anchorwatch.io.simulation.sockets import Address, FakeSocket, Lane, os_error

# Linux gives up on an unanswered SYN after six retries, 127 s.
DIAL_TIMEOUT_S = 127.0
# Linux gives up on unanswered data after fifteen retries (tcp_retries2).
SEND_TIMEOUT_S = 924.6
# Names resolve to 10.0.0.1 … 10.0.0.250: far more hosts than a session has.
HOSTS_MAX = 250
CLIENT_IP = "10.1.0.1"
ANY_IP = "0.0.0.0"
EPHEMERAL_PORT_FIRST = 32_768  # Linux's default range
EPHEMERAL_PORT_LAST = 60_999

# What trio's resolver hook returns; only the first kind is ever returned here.
_AddressEntry = (
    tuple[Literal[stdlib_socket.AddressFamily.AF_INET], stdlib_socket.SocketKind, int, str, tuple[str, int]]
    | tuple[
        Literal[stdlib_socket.AddressFamily.AF_INET6],
        stdlib_socket.SocketKind,
        int,
        str,
        tuple[str, int, int, int] | tuple[int, bytes],
    ]
)


@dataclass(frozen=True, slots=True)
class Weather:
    """What a connection to a host is like. Seconds are one way; the shares are probabilities."""

    latency_s: float = 0.005
    jitter_s: float = 0.020  # up to so much more, evenly distributed
    short_write_share: float = 0.1  # of the sends: only a part is taken
    fragment_share: float = 0.2  # of the sends: what was taken arrives in pieces

    def __post_init__(self) -> None:
        if self.latency_s < 0 or self.jitter_s < 0:
            raise ValueError("latency and jitter are not negative")
        if not (0 <= self.short_write_share < 1 and 0 <= self.fragment_share <= 1):
            raise ValueError("short writes are a share from 0 to below 1, fragments one from 0 to 1")


CALM = Weather(latency_s=0.001, jitter_s=0.0, short_write_share=0.0, fragment_share=0.0)


class HostFault(Enum):
    REFUSES = auto()
    BLACK_HOLE = auto()
    UNRESOLVED = auto()


@dataclass(slots=True)
class Tally:
    """How often each thing has happened. A fault that was prepared and met nobody is not counted."""

    connections: int = 0
    sends: int = 0
    bytes_sent: int = 0
    short_writes: int = 0
    fragmented: int = 0
    full_buffers: int = 0  # a send had to wait for its reader
    resets: int = 0
    half_opens: int = 0
    refused: int = 0
    black_holes: int = 0
    unresolved: int = 0
    dropped: int = 0  # connections whose process was killed
    fenced: int = 0  # sends that a dead incarnation tried


class Sighting(NamedTuple):
    """One thing seen on the network: for traces, digests and choosing the moment of a crash."""

    at_s: float
    what: str  # dialed, sent, reset, half-open, given up, dropped, refused, black hole, unresolved, closed
    connection: int  # -1 where there is none
    bytes_sent: int = 0
    who: str = ""  # the incarnation whose socket sent; empty for the world's own
    payload: bytes = b""
    after_short_write: bool = False  # the rest of what the send before was taken a part of


class Connection:
    """An established connection, for those who want to break it."""

    def __init__(self, network: FakeNetwork, number: int, client: FakeSocket, server: FakeSocket) -> None:
        self.number = number
        self.client = client
        self.server = server
        self._network = network

    @property
    def address(self) -> Address:
        """The listener's address."""
        return self.server.getsockname()

    def reset(self) -> None:
        """Both ends lose the connection at once, with what was on its way."""
        if self._network.forget(self):
            self._network.tally.resets += 1
            self._network.saw("reset", self.number)
            for lane in self._lanes():
                lane.break_at(trio.current_time())

    def drop(self) -> None:
        """The process at one end was killed: its system resets, unless nothing gets through any more."""
        if self._network.forget(self):
            self._network.tally.dropped += 1
            self._network.saw("dropped", self.number)
            for lane in self._lanes():
                lane.wake()
                if not lane.is_vanishing:
                    lane.break_at(trio.current_time())

    def half_open(self) -> None:
        """From now on nothing that either end sends arrives, not even its farewell."""
        for lane in self._lanes():
            lane.is_vanishing = True
        self._network.tally.half_opens += 1
        self._network.saw("half-open", self.number)

    @property
    def is_half_open(self) -> bool:
        return any(lane.is_vanishing for lane in self._lanes())

    def _lanes(self) -> tuple[Lane, ...]:
        return tuple(lane for lane in (self.client.outgoing, self.client.incoming) if lane is not None)


class FakeNetwork(trio.abc.SocketFactory, trio.abc.HostnameResolver):
    """The network of one ``trio.run``. Call :meth:`install` inside the run."""

    def __init__(
        self,
        random: Random,
        weather: Weather = CALM,
        observe: Callable[[Sighting], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self._random = random
        self._weather = weather
        self._observe = observe
        self._host_ips: dict[str, str] = {}
        self._host_weather: dict[str, Weather] = {}  # by IP, as the next one
        self._host_faults: dict[str, HostFault] = {}
        self._listeners: dict[Address, FakeSocket] = {}
        self._connections: dict[int, Connection] = {}
        self._open_sockets: dict[int, FakeSocket] = {}
        self._owners: list[Incarnation] = []
        self._sockets_made = 0
        self._last_port = EPHEMERAL_PORT_FIRST - 1

    # For whoever runs the simulation.

    def install(self) -> None:
        """From here to its end, the present ``trio.run`` lives on this network."""
        trio.socket.set_custom_socket_factory(self)
        trio.socket.set_custom_hostname_resolver(self)

    def add_host(self, name: str, weather: Weather | None = None) -> str:
        """Give `name` an address and return it. Adding it again changes its weather only."""
        if name not in self._host_ips:
            if len(self._host_ips) == HOSTS_MAX:
                raise ValueError(f"the fake network holds {HOSTS_MAX} hosts")
            self._host_ips[name] = f"10.0.0.{len(self._host_ips) + 1}"
        ip = self._host_ips[name]
        if weather is not None:
            self._host_weather[ip] = weather
        return ip

    def break_host(self, host: str, fault: HostFault) -> None:
        """Let every new dial to `host` (a name or an address) fail so; its open connections stay."""
        self._host_faults[self._host_ips.get(host, host)] = fault

    def mend_host(self, host: str) -> None:
        self._host_faults.pop(self._host_ips.get(host, host), None)

    def connections(self) -> tuple[Connection, ...]:
        """The established ones that neither end has lost, oldest first."""
        return tuple(self._connections.values())

    def open_sockets(self, owner: Incarnation | None = None) -> tuple[FakeSocket, ...]:
        """Sockets not closed yet, oldest first: of one incarnation, or of all."""
        return tuple(s for s in self._open_sockets.values() if owner is None or s.owner is owner)

    # trio's hooks.

    def socket(
        self,
        family: stdlib_socket.AddressFamily | int = stdlib_socket.AF_INET,
        type: stdlib_socket.SocketKind | int = stdlib_socket.SOCK_STREAM,
        proto: int = 0,
    ) -> FakeSocket:
        if family != stdlib_socket.AF_INET:
            raise os_error(EAFNOSUPPORT)
        if type != stdlib_socket.SOCK_STREAM:
            raise os_error(EPROTONOSUPPORT)
        return self._new_socket(current_incarnation())

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[_AddressEntry]:
        name = host.decode("ascii") if isinstance(host, bytes) else str(host)
        await trio.sleep(self._delay_s(ANY_IP))
        ip = self._host_ips.get(name)
        if ip is None or self._host_faults.get(ip) is HostFault.UNRESOLVED:
            self.tally.unresolved += 1
            self.saw("unresolved")
            raise stdlib_socket.gaierror(stdlib_socket.EAI_NONAME, f"unknown host: {name}")
        address = (ip, int(port or 0))
        return [(stdlib_socket.AF_INET, stdlib_socket.SOCK_STREAM, stdlib_socket.IPPROTO_TCP, "", address)]

    async def getnameinfo(
        self,
        sockaddr: tuple[str, int] | tuple[str, int, int, int],
        flags: int,
    ) -> tuple[str, str]:
        await trio.lowlevel.checkpoint()
        return sockaddr[0], str(sockaddr[1])

    # For the sockets of this network.

    def saw(
        self,
        what: str,
        connection: int = -1,
        bytes_sent: int = 0,
        who: str = "",
        payload: bytes = b"",
        *,
        after_short_write: bool = False,
    ) -> None:
        if self._observe is not None:
            now_s = trio.current_time()
            self._observe(Sighting(now_s, what, connection, bytes_sent, who, payload, after_short_write))

    def forget(self, connection: Connection) -> bool:
        """True if the connection was still known."""
        return self._connections.pop(connection.number, None) is not None

    def forget_socket(self, socket: FakeSocket) -> None:
        self._open_sockets.pop(socket.number, None)
        address = socket.getsockname()
        if self._listeners.get(address) is socket:
            del self._listeners[address]

    def claim(self, address: Address, socket: FakeSocket) -> None:
        if address in self._listeners:
            raise os_error(EADDRINUSE)
        self._listeners[address] = socket

    def free_port(self, ip: str) -> int:
        taken = {port for at, port in self._listeners if at == ip}
        for _ in range(EPHEMERAL_PORT_FIRST, EPHEMERAL_PORT_LAST + 1):
            self._last_port += 1
            if self._last_port > EPHEMERAL_PORT_LAST:
                self._last_port = EPHEMERAL_PORT_FIRST
            if self._last_port not in taken:
                return self._last_port
        raise os_error(EADDRINUSE)

    async def dial(self, client: FakeSocket, address: Address) -> None:
        """Connect `client`; the three-way handshake is one round trip."""
        ip = address[0]
        await trio.sleep(self._delay_s(ip))
        fault = self._host_faults.get(ip)
        if fault is HostFault.BLACK_HOLE:
            self.tally.black_holes += 1
            self.saw("black hole")
            await trio.sleep(DIAL_TIMEOUT_S)
            raise os_error(ETIMEDOUT)
        await trio.sleep(self._delay_s(ip))
        if client.is_fenced():
            raise os_error(ECONNABORTED)
        listener = self._listeners.get(address) or self._listeners.get((ANY_IP, address[1]))
        if fault is HostFault.REFUSES or listener is None or not listener.has_room_in_backlog():
            self.tally.refused += 1
            self.saw("refused")
            raise os_error(ECONNREFUSED)
        self._establish(client, listener, address)

    def take(self, socket: FakeSocket, payload: bytes, room: int) -> bytes:
        """As much of `payload` as one send takes, put on its way through the socket's lane."""
        lane, connection = socket.outgoing, socket.connection
        assert lane is not None
        assert connection is not None
        weather = self._weather_at(connection.address[0])
        taken = payload[:room]
        if len(taken) > 1 and self._random.random() < weather.short_write_share:
            taken = taken[: self._random.randrange(1, len(taken))]
            self.tally.short_writes += 1
        self.tally.sends += 1
        self.tally.bytes_sent += len(taken)
        pieces = [taken]
        if len(taken) > 1 and self._random.random() < weather.fragment_share:
            cut = self._random.randrange(1, len(taken))
            pieces = [taken[:cut], taken[cut:]]
            self.tally.fragmented += 1
        for piece in pieces:
            lane.carry(piece, trio.current_time() + self._delay_s(connection.address[0]))
        if lane.is_vanishing and not lane.is_unanswered:
            lane.is_unanswered = True
            trio.lowlevel.spawn_system_task(self._give_up_later, socket, name="tcp retries")
        who = socket.owner.name if socket.owner is not None else ""
        self.saw("sent", connection.number, len(taken), who, taken, after_short_write=socket.was_cut_short)
        socket.was_cut_short = len(taken) < len(payload)
        return taken

    async def _give_up_later(self, socket: FakeSocket) -> None:
        """The sender's system tells whoever holds the socket that nobody answers; the other end hears nothing."""
        await trio.sleep(SEND_TIMEOUT_S)
        connection, lane = socket.connection, socket.incoming
        assert connection is not None
        assert lane is not None
        if socket.number in self._open_sockets:
            self.forget(connection)
            self.saw("given up", connection.number)
            lane.break_at(trio.current_time())
            if socket.outgoing is not None:
                # A sender that waits for room would wait for ever, and with it whatever serves that connection.
                socket.outgoing.give_up()

    def arrival_s(self, socket: FakeSocket) -> float:
        """When something without bytes (FIN, RST) that leaves `socket` now is at the other end."""
        assert socket.connection is not None
        return trio.current_time() + self._delay_s(socket.connection.address[0])

    def _new_socket(self, owner: Incarnation | None) -> FakeSocket:
        socket = FakeSocket(self, self._sockets_made, owner)
        self._sockets_made += 1
        self._open_sockets[socket.number] = socket
        if owner is not None and owner not in self._owners:
            self._owners.append(owner)
            owner.when_killed(partial(self._bury, owner))
        return socket

    def _bury(self, owner: Incarnation) -> None:
        for socket in self.open_sockets(owner):
            socket.lose_owner()

    def _establish(self, client: FakeSocket, listener: FakeSocket, address: Address) -> None:
        server = self._new_socket(listener.owner)
        connection = Connection(self, self.tally.connections, client, server)
        self.tally.connections += 1
        self._connections[connection.number] = connection
        up, down = Lane(), Lane()
        local = (CLIENT_IP, self.free_port(CLIENT_IP))
        client.join(connection, incoming=down, outgoing=up, local=local, remote=address)
        server.join(connection, incoming=up, outgoing=down, local=address, remote=local)
        listener.offer(server)
        self.saw("dialed", connection.number)

    def _weather_at(self, ip: str) -> Weather:
        return self._host_weather.get(ip, self._weather)

    def _delay_s(self, ip: str) -> float:
        weather = self._weather_at(ip)
        return weather.latency_s + weather.jitter_s * self._random.random()
