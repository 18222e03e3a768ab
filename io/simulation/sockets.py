"""The sockets of the in-process network, and the lanes that carry their bytes."""

from __future__ import annotations

import math
import os
import socket as stdlib_socket
from collections import deque
from errno import (
    EADDRNOTAVAIL,
    EBADF,
    ECONNABORTED,
    ECONNRESET,
    EINVAL,
    EISCONN,
    ENOTCONN,
    EOPNOTSUPP,
    EPIPE,
    ETIMEDOUT,
)
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

import trio

from anchorwatch.io.simulation.incarnation import Incarnation

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from anchorwatch.io.simulation.network import Connection, FakeNetwork

Address = tuple[str, int]

# What one direction holds between a send and the read of it: about a socket buffer on either side.
BUFFER_BYTES = 128 * 1024
# No descriptor of a real process is so high: a stray select() on a fake socket fails at once.
FILENO_FIRST = 1 << 30


def os_error(code: int) -> OSError:
    """The OSError (of the right subclass) for an errno."""
    return OSError(code, os.strerror(code))


class Lane:
    """One direction of a connection: bytes on their way, in order, and how it ends.

    Times are trio's; a piece, a FIN or an RST exists for the reader from its arrival on. A piece that would
    overtake an earlier one waits for it, as TCP's reader does for a late segment.
    """

    __slots__ = (
        "_broken_at_s",
        "_ends_at_s",
        "_held",
        "_pieces",
        "_reader",
        "_reading",
        "_writers",
        "is_deaf",
        "is_given_up",
        "is_unanswered",
        "is_vanishing",
    )

    def __init__(self) -> None:
        self.is_vanishing = False  # what is sent never arrives
        self.is_unanswered = False  # something was sent all the same: the sender's system waits for an answer
        self.is_given_up = False  # the sender's system tries no more; the reader has heard nothing of it
        self.is_deaf = False  # the reader has closed
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._ends_at_s = math.inf
        self._broken_at_s = math.inf
        self._writers = trio.lowlevel.ParkingLot()
        # Who waits to read, and the wait: it ends by itself when what was sent meanwhile arrives.
        self._reader: trio.lowlevel.Task | None = None
        self._reading: trio.CancelScope | None = None

    def room(self) -> int:
        return BUFFER_BYTES - self._held

    def carry(self, piece: bytes, arrival_s: float) -> None:
        if self.is_deaf and not self.is_vanishing:
            return
        self._held += len(piece)  # also when it vanishes: unacknowledged bytes fill the sender's buffer
        if not self.is_vanishing:
            self._pieces.append((arrival_s, piece))
            if self._reading is not None and arrival_s < self._reading.deadline:
                self._reading.deadline = arrival_s

    def take(self, most: int, now_s: float) -> bytes:
        """Up to `most` bytes of what has arrived, as TCP gives them: where a send ended does not show."""
        taken = bytearray()
        while self._pieces and self._pieces[0][0] <= now_s and len(taken) < most:
            arrival_s, piece = self._pieces.popleft()
            rest = piece[most - len(taken) :]
            taken += piece[: most - len(taken)]
            if rest:
                self._pieces.appendleft((arrival_s, rest))
        if taken:
            self._held -= len(taken)
            if self._writers:
                self._writers.unpark_all()
        return bytes(taken)

    def end(self, arrival_s: float) -> None:
        if not self.is_vanishing and self._ends_at_s == math.inf:
            self._ends_at_s = arrival_s
            self.wake()

    def break_at(self, at_s: float) -> None:
        self._broken_at_s = min(self._broken_at_s, at_s)
        self.wake()

    def give_up(self) -> None:
        """Whoever writes, or waits to, is told that nobody answers."""
        self.is_given_up = True
        self.wake()

    def deafen(self) -> bool:
        """The reader has closed. True if bytes were held that it never read."""
        had_unread = bool(self._pieces)
        self.is_deaf = True
        self._pieces.clear()
        if not self.is_vanishing:
            self._held = 0
        self.wake()
        return had_unread

    def is_broken(self, now_s: float) -> bool:
        return now_s >= self._broken_at_s

    def has_ended(self, now_s: float) -> bool:
        return not self._pieces and now_s >= self._ends_at_s

    def is_readable(self, now_s: float) -> bool:
        return self._next_s() <= now_s

    async def change(self) -> None:
        """Until something may have changed for a writer of this lane."""
        broken_at_s = self._broken_at_s if self._broken_at_s > trio.current_time() else math.inf
        with trio.move_on_at(broken_at_s):
            await self._writers.park()

    async def arrival(self) -> None:
        """Until something may be there for the reader of this lane, who has found nothing yet. One reader at a time."""
        with trio.CancelScope(deadline=self._next_s()) as reading:
            self._reading, self._reader = reading, trio.lowlevel.current_task()
            try:
                await trio.lowlevel.wait_task_rescheduled(self._end_wait)
            finally:
                self._reading = self._reader = None

    def wake(self) -> None:
        """Whoever waits for this lane looks again."""
        self._writers.unpark_all()
        self._wake_reader()

    def _wake_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            trio.lowlevel.reschedule(reader)

    def _end_wait(self, _: object) -> trio.lowlevel.Abort:
        """The reader's wait is over: by an arrival, as nearly always, it just ends; else trio cancels it."""
        if self.is_readable(trio.current_time()):
            self._wake_reader()
            return trio.lowlevel.Abort.FAILED
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _next_s(self) -> float:
        first_s = self._pieces[0][0] if self._pieces else self._ends_at_s
        return min(first_s, self._broken_at_s)


class FakeSocket(trio.socket.SocketType):
    """A stream socket of a :class:`FakeNetwork`. Raises the OSErrors that the real one would."""

    def __init__(self, network: FakeNetwork, number: int, owner: Incarnation | None) -> None:
        super().__init__()
        self.number = number
        self.owner = owner
        self.connection: Connection | None = None
        self.incoming: Lane | None = None
        self.outgoing: Lane | None = None
        self._network = network
        self._local: Address = ("0.0.0.0", 0)
        self._remote: Address | None = None
        self._backlog: deque[FakeSocket] | None = None
        self._backlog_max = 0
        self._offered = trio.lowlevel.ParkingLot()
        self._is_closed = False
        self._has_shut_down = False
        self.was_cut_short = False  # the last send was taken in part

    def __repr__(self) -> str:
        return (
            f"<FakeSocket {self.number} {self._local} → {self._remote}{' closed' if self._is_closed else ''}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def family(self) -> stdlib_socket.AddressFamily:
        return stdlib_socket.AF_INET

    @property
    def type(self) -> stdlib_socket.SocketKind:
        return stdlib_socket.SOCK_STREAM

    @property
    def proto(self) -> int:
        return stdlib_socket.IPPROTO_TCP

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802 – trio's name
        return self._has_shut_down

    def fileno(self) -> int:
        return -1 if self._is_closed else FILENO_FIRST + self.number

    def getsockname(self) -> Address:
        return self._local

    def getpeername(self) -> Address:
        if self._remote is None:
            raise os_error(ENOTCONN)
        return self._remote

    @overload
    def getsockopt(self, level: int, optname: int) -> int: ...
    @overload
    def getsockopt(self, level: int, optname: int, buflen: int) -> bytes: ...
    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> int | bytes:
        asks_listening = (level, optname) == (stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ACCEPTCONN)
        value = int(asks_listening and self._backlog is not None)
        return value if buflen is None else value.to_bytes(buflen, "little")

    def setsockopt(
        self, level: int, optname: int, value: int | Buffer | None, optlen: int | None = None
    ) -> None:
        """Taken and ignored: the weather decides here what Nagle and buffer sizes decide outside."""

    # Listening.

    async def bind(self, address: Address) -> None:
        await trio.lowlevel.checkpoint()
        self._require_open()
        ip, port = address
        if self._local[1]:
            raise os_error(EINVAL)
        self._local = (ip, port or self._network.free_port(ip))

    def listen(self, backlog: int = 128) -> None:
        self._require_open()
        if not self._local[1]:
            raise os_error(EADDRNOTAVAIL)
        self._network.claim(self._local, self)
        self._backlog, self._backlog_max = deque(), backlog

    def has_room_in_backlog(self) -> bool:
        return self._backlog is not None and len(self._backlog) < self._backlog_max

    def offer(self, arrived: FakeSocket) -> None:
        assert self._backlog is not None
        self._backlog.append(arrived)
        self._offered.unpark()

    async def accept(self) -> tuple[FakeSocket, Address]:
        await trio.lowlevel.checkpoint()
        while True:
            self._require_open()
            if self._backlog is None:
                raise os_error(EINVAL)
            if self._backlog:
                arrived = self._backlog.popleft()
                return arrived, arrived.getpeername()
            await self._offered.park()

    # Connecting and connected.

    async def connect(self, address: Address) -> None:
        await trio.lowlevel.checkpoint()
        self._require_open()
        if self.connection is not None:
            raise os_error(EISCONN)
        if self.is_fenced():
            raise os_error(ECONNABORTED)
        await self._network.dial(self, (address[0], address[1]))

    def join(
        self, connection: Connection, *, incoming: Lane, outgoing: Lane, local: Address, remote: Address
    ) -> None:
        self.connection, self.incoming, self.outgoing = connection, incoming, outgoing
        self._local, self._remote = local, remote

    async def send(self, data: Buffer, flags: int = 0, /) -> int:
        await trio.lowlevel.checkpoint()
        payload = bytes(data)
        has_waited = False
        while True:
            self._require_open(flags)
            if self.outgoing is None:
                raise os_error(ENOTCONN)
            if self.is_fenced():
                return self._feign(payload)
            if self._has_shut_down:
                raise os_error(EPIPE)
            if self.outgoing.is_broken(trio.current_time()):
                raise os_error(ECONNRESET)
            if self.outgoing.is_given_up:
                raise os_error(ETIMEDOUT)
            if room := self.outgoing.room():
                break
            self._network.tally.full_buffers += not has_waited
            has_waited = True
            await self.outgoing.change()
        if self.owner is not None and not self.owner.may_act():
            return self._feign(payload)
        if self.outgoing.is_deaf:
            self._be_told_that_nobody_listens()
        return len(self._network.take(self, payload, room))

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        while True:
            self._require_open()
            if self.outgoing is None:
                raise os_error(ENOTCONN)
            if self.is_fenced() or self.outgoing.is_broken(trio.current_time()) or self.outgoing.room():
                return
            if self.outgoing.is_given_up:
                return  # the send will say so
            await self.outgoing.change()

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        if self._has_news():
            await trio.lowlevel.checkpoint()
        # Otherwise the wait below is the checkpoint.
        while True:
            self._require_open(flags)
            if self.incoming is None:
                raise os_error(ENOTCONN)
            now_s = trio.current_time()
            if self.is_fenced() or self.incoming.is_broken(now_s):
                raise os_error(ECONNRESET)
            if data := self.incoming.take(buflen, now_s):
                return data
            if self.incoming.has_ended(now_s):
                return b""
            await self.incoming.arrival()

    def _has_news(self) -> bool:
        """Whether a read would be answered at once."""
        if self._is_closed or self.incoming is None or self.is_fenced():
            return True
        return self.incoming.is_readable(trio.current_time())

    async def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = await self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def is_readable(self) -> bool:
        """httpcore asks this of an idle connection: readable then means that the server has hung up."""
        if self._backlog is not None:
            return bool(self._backlog)
        return self.incoming is not None and self.incoming.is_readable(trio.current_time())

    def shutdown(self, flag: int) -> None:
        self._require_open()
        if self.outgoing is None:
            raise os_error(ENOTCONN)
        if flag in (stdlib_socket.SHUT_WR, stdlib_socket.SHUT_RDWR) and not self._has_shut_down:
            self._has_shut_down = True
            if not self.is_fenced():
                self.outgoing.end(self._network.arrival_s(self))

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._network.forget_socket(self)
        self._offered.unpark_all()
        for waiting in self._backlog or ():
            waiting.close()
        if self.connection is None or self.incoming is None or self.outgoing is None:
            return
        self._network.forget(self.connection)
        self._network.saw("closed", self.connection.number)
        had_unread = self.incoming.deafen()
        self.outgoing.wake()
        if self.is_fenced():
            return
        # As TCP has it: whoever closes on unread bytes resets, and the peer may lose what it was sent.
        if had_unread and not self.outgoing.is_vanishing:
            self.outgoing.break_at(self._network.arrival_s(self))
        else:
            self.outgoing.end(self._network.arrival_s(self))

    # Fenced.

    def is_fenced(self) -> bool:
        return self.owner is not None and not self.owner.is_alive

    def lose_owner(self) -> None:
        """The owner was killed: the operating system closes for it, and the peer gets a reset."""
        if self._backlog is not None:
            self._network.forget_socket(self)
            self._offered.unpark_all()
        if self.connection is not None:
            self.connection.drop()

    def _feign(self, payload: bytes) -> int:
        """The dead send nothing, and are not told."""
        self._network.tally.fenced += 1
        return len(payload)

    def _be_told_that_nobody_listens(self) -> None:
        assert self.incoming is not None
        assert self.outgoing is not None
        if not self.outgoing.is_vanishing:
            told_at_s = self._network.arrival_s(self)
            self.outgoing.break_at(told_at_s)
            self.incoming.break_at(told_at_s)

    def _require_open(self, flags: int = 0) -> None:
        if self._is_closed:
            raise os_error(EBADF)
        if flags:
            raise os_error(EOPNOTSUPP)
