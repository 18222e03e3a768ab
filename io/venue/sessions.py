"""One WebSocket connection's protocol, without a socket: frames in, frames out, and when to close.

The mounting calls `receive` with each text frame, sends what it finds in `outbox`, and closes when `closing` says
so; `wake` is called whenever there is something to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.bars import is_bar
from anchorwatch.io.venue.channels import (
    CONNECTIONS_MAX,
    COUNTED,
    PATHS,
    SNAPSHOT_MS,
    candle_bar,
    check_argument,
    find_channel,
)
from anchorwatch.io.venue.order_rows import Row
from anchorwatch.io.venue.parameters import CLIENT_ID, Parameters
from anchorwatch.io.venue.public_feed import Depth
from anchorwatch.io.venue.refusals import Refusal
from anchorwatch.io.venue.ws_orders import OPERATIONS, answer_operation

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

# OKX closes a connection on which nothing was pushed and nothing was asked for this long.
IDLE_MS = 30_000
IDLE_CLOSE = (4004, "No data received in 30s.")
# Frames waiting for a slow reader. At ten pushes a second this is several minutes behind: worthless by then.
OUTBOX_MAX = 5_000
SLOW_CLOSE = (4005, "The send buffer is full")
KEY_GONE_CLOSE = (4007, "The API key has been changed or deleted")
# OKX: subscribe, unsubscribe and login requests per connection and hour.
REQUESTS_PER_HOUR = 480
HOUR_MS = 3_600_000
# OKX: combined length of the arguments of one subscription request.
FRAME_MAX_BYTES = 65_536
SUBSCRIPTIONS_MAX = 500
# OKX: new connections per second and address.
CONNECTS_PER_S = 3
NOTICE_LEAD_MS = 60_000


class Closing(NamedTuple):
    code: int
    reason: str


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscribed argument, and what this connection was last told."""

    channel: str
    arg: dict[str, str]
    inst_id: str
    inst_type: str
    inst_family: str
    is_private: bool
    cadence_ms: int
    regular_ms: int
    interval_ms: int
    shown_arg: dict[str, str]
    encoded_arg: str
    pushed_ms: int = 0
    is_due: bool = False
    candles_ms: int | None = None
    depth: Depth | None = None
    last_encoded: bytes = b""

    def covers(self, inst_id: str) -> bool:
        if self.inst_type not in ("", "SWAP", "ANY"):
            return False
        if self.inst_id and self.inst_id != inst_id:
            return False
        return not self.inst_family or inst_id == f"{self.inst_family}-SWAP"


class Session:
    """The connection. `path` is public, private or business."""

    def __init__(self, venue: Venue, path: str, conn_id: str, ip: str) -> None:
        self.path = path
        self.conn_id = conn_id
        self.ip = ip
        self.account: Account | None = None
        self.outbox: deque[str] = deque()
        self.closing: Closing | None = None
        self.wake: Callable[[], None] = lambda: None
        self._venue = venue
        self._key = ""
        self._subscriptions: dict[str, Subscription] = {}
        self._requests: deque[int] = deque()
        self._held: list[str] = []
        self._active_ms = venue.now_ms()
        self._arm_idle()

    @property
    def is_open(self) -> bool:
        return self.closing is None

    @property
    def key(self) -> str:
        """The API key of the login, "" before it."""
        return self._key

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """What this connection is subscribed to, in the order of asking."""
        return tuple(self._subscriptions.values())

    def has(self, subscription: Subscription) -> bool:
        return self._subscriptions.get(subscription.encoded_arg) is subscription

    # Out.

    def send(self, text: str) -> None:
        """Queue one frame. A reader that falls too far behind is cut off instead of being waited for."""
        if not self.is_open:
            return
        if len(self.outbox) >= OUTBOX_MAX:
            self.outbox.clear()
            self.close(*SLOW_CLOSE)
            return
        self._active_ms = self._venue.now_ms()
        self.outbox.append(text)
        if self._held:
            self.outbox.extend(self._held)
            self._held.clear()
        self.wake()

    def hold(self, text: str) -> None:
        """Send this frame after the next one."""
        if len(self._held) < OUTBOX_MAX:
            self._held.append(text)

    def close(self, code: int, reason: str) -> None:
        """End the connection from the exchange's side, after what is queued has been sent."""
        if self.is_open:
            self.closing = Closing(code, reason)
            self._venue.note("ws closed", f"{self.path} {self.conn_id} {code} {reason}")
            self._leave()
            self.wake()

    def lost(self) -> None:
        """The peer is gone."""
        if self.is_open:
            self.closing = Closing(1006, "")
            self._leave()

    def give_notice(self) -> None:
        """Announce an upgrade; the connection closes a minute later."""
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        self._reply({"event": "notice", "code": "64008", "msg": text})
        self._venue.timers.at(
            self._venue.now_ms() + NOTICE_LEAD_MS, lambda: self.close(1001, "service upgrade")
        )

    def _leave(self) -> None:
        for subscription in self._subscriptions.values():
            self._venue.publisher.end(self, subscription)
        self._subscriptions.clear()
        self._venue.connections.forget(self)

    def _reply(self, row: Row, request_id: str = "") -> None:
        head: Row = {"id": request_id} if request_id else {}
        self.send(msgspec.json.encode({**head, **row, "connId": self.conn_id}).decode())

    def _arm_idle(self) -> None:
        self._venue.timers.at(self._active_ms + IDLE_MS, self._check_idle)

    def _check_idle(self) -> None:
        if not self.is_open:
            return
        if self._venue.now_ms() - self._active_ms >= IDLE_MS:
            self.close(*IDLE_CLOSE)
        else:
            self._arm_idle()

    # In.

    def pinged(self) -> None:
        """A protocol-level ping arrived (the mounting has answered it)."""
        if self._venue.switches.protocol_ping_is_activity:
            self._active_ms = self._venue.now_ms()

    def receive(self, text: str) -> None:
        """One text frame from the client."""
        if not self.is_open:
            return
        venue = self._venue
        self._active_ms = venue.now_ms()
        if text == "ping":
            self.send("pong")
            return
        request_id = ""
        try:
            request = self._decoded(text)
            request_id = self._request_id(request)
            self._obey(request, request_id)
        except Refusal as refusal:
            self._reply({"event": "error", "code": refusal.code, "msg": refusal.text}, request_id)
        rule = venue.faults.draw("ws_close", self.path, venue.now_ms())
        if rule is not None:
            self.close(int(rule.code_or_default), "")
        if venue.faults.draw("upgrade_notice", self.path, venue.now_ms()):
            self.give_notice()

    def _decoded(self, text: str) -> dict[str, object]:
        try:
            request = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise Refusal("60012", text[:200]) from None
        if not isinstance(request, dict):
            raise Refusal("60012", text[:200])
        return request

    def _request_id(self, request: dict[str, object]) -> str:
        request_id = Parameters(request).text("id")
        if request_id and not CLIENT_ID.fullmatch(request_id):
            raise Refusal("60013")
        return request_id

    def _obey(self, request: dict[str, object], request_id: str) -> None:
        op = request.get("op")
        args = request.get("args")
        if not isinstance(args, list) or not all(isinstance(one, dict) for one in args):
            raise Refusal("60013" if isinstance(op, str) else "60012", str(op)[:100])
        if op == "login":
            self._count_request()
            self._login(args, request_id)
        elif op in ("subscribe", "unsubscribe"):
            self._count_request()
            for one in args:
                try:
                    (self._subscribe if op == "subscribe" else self._unsubscribe)(one, request_id)
                except Refusal as refusal:
                    # One argument's fault leaves the others alone.
                    self._reply({"event": "error", "code": refusal.code, "msg": refusal.text}, request_id)
        elif isinstance(op, str) and op in OPERATIONS:
            if self.path != "private":
                raise Refusal("60008")
            if self.account is None:
                raise Refusal("60011")
            caller = self._venue.keys.find(self._key)
            if caller is None:
                self.close(*KEY_GONE_CLOSE)
                return
            self.send(answer_operation(self._venue, caller, op, request_id, request, args))
        else:
            raise Refusal("60012", str(op)[:100])

    def _count_request(self) -> None:
        now_ms = self._venue.now_ms()
        while self._requests and self._requests[0] <= now_ms - HOUR_MS:
            self._requests.popleft()
        if len(self._requests) >= REQUESTS_PER_HOUR:
            raise Refusal("60014")
        self._requests.append(now_ms)

    def _login(self, args: list[dict[str, object]], request_id: str) -> None:
        venue = self._venue
        if self.path == "public":
            raise Refusal("60008")
        if not args:
            raise Refusal("60013")
        if self.account is not None and not venue.switches.repeated_login_succeeds:
            raise Refusal("60031")
        rejected = venue.faults.draw("login_reject", self.path, venue.now_ms())
        if rejected is not None:
            raise Refusal(rejected.code_or_default)
        caller = venue.keys.ws_caller(Parameters(args[0]), self.ip, venue.now_ms())
        if self.account is not None and caller.account is not self.account:
            raise Refusal("60031")

        def admit() -> None:
            self.account, self._key = caller.account, caller.key.key
            self._reply({"event": "login", "code": "0", "msg": ""}, request_id)

        slow = venue.faults.draw("login_slow", self.path, venue.now_ms())
        if slow is not None:
            venue.timers.at(venue.now_ms() + max(slow.delay_ms, 1), admit)
        else:
            admit()

    def _subscribe(self, raw: dict[str, object], request_id: str) -> None:
        subscription = self._read_argument(raw)
        rejected = self._venue.faults.draw("subscribe_reject", subscription.channel, self._venue.now_ms())
        if rejected is not None:
            raise Refusal(rejected.code_or_default, f"channel:{subscription.channel}")
        known = self._subscriptions.get(subscription.encoded_arg)
        if known is None and len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise Refusal("60013")
        self._reply({"event": "subscribe", "arg": subscription.arg}, request_id)
        if known is not None:
            return
        if subscription.channel in COUNTED and self.account is not None:
            count = self._venue.publisher.connections_with(self.account, subscription.channel)
            is_full = count >= CONNECTIONS_MAX
            self._reply(
                {
                    "event": "channel-conn-count-error" if is_full else "channel-conn-count",
                    "channel": subscription.channel,
                    "connCount": str(count if is_full else count + 1),
                }
            )
            if is_full:
                return
        self._subscriptions[subscription.encoded_arg] = subscription
        self._venue.publisher.begin(self, subscription)

    def _unsubscribe(self, raw: dict[str, object], request_id: str) -> None:
        wanted = self._read_argument(raw)
        subscription = self._subscriptions.pop(wanted.encoded_arg, None)
        if subscription is not None:
            self._venue.publisher.end(self, subscription)
        self._reply({"event": "unsubscribe", "arg": wanted.arg}, request_id)

    def _read_argument(self, raw: dict[str, object]) -> Subscription:
        asked = Parameters(raw)
        name = asked.text("channel")
        channel = find_channel(name, self.path)
        if channel.is_private and self.account is None:
            raise Refusal("60011")
        check_argument(channel, name, asked)
        inst_id = asked.text("instId")
        if inst_id:
            self._check_instrument(name, inst_id)
        arg = {key: asked.text(key) for key in raw if asked.text(key)}
        shown = dict(arg)
        if channel.is_private and self.account is not None:
            shown.pop("extraParams", None)
            shown["uid"] = self.account.spec.uid
        family = candle_bar(name)
        if family is not None and not is_bar(family[1]):
            raise Refusal("60018", f"channel:{name}")
        return Subscription(
            channel=name,
            arg=arg,
            inst_id=self._swap_of(name, inst_id),
            inst_type=asked.text("instType"),
            inst_family=asked.text("instFamily"),
            is_private=channel.is_private,
            cadence_ms=channel.cadence_ms,
            regular_ms=channel.regular_ms,
            interval_ms=self._interval_ms(asked),
            shown_arg=shown,
            encoded_arg=msgspec.json.encode(shown, order="deterministic").decode(),
        )

    def _check_instrument(self, channel: str, inst_id: str) -> None:
        try:
            self._venue.instrument(self._swap_of(channel, inst_id))
        except Refusal:
            raise Refusal("60018", f"channel:{channel},instId:{inst_id}") from None

    def _swap_of(self, channel: str, inst_id: str) -> str:
        """Index channels name the index (BTC-USDT), which stands for its swap here."""
        is_index = channel.startswith("index-") and inst_id and not inst_id.endswith("-SWAP")
        return f"{inst_id}-SWAP" if is_index else inst_id

    def _interval_ms(self, asked: Parameters) -> int:
        """The pace of regular pushes asked for in ``extraParams``, itself JSON inside a string; 0 for none."""
        text = asked.text("extraParams")
        if not text:
            return SNAPSHOT_MS
        try:
            extra = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise Refusal("60013") from None
        interval = Parameters(extra if isinstance(extra, dict) else {}).text("updateInterval")
        if interval == "0":
            return 0
        return int(interval) if interval in ("2000", "3000", "4000") else SNAPSHOT_MS


class Connections:
    """Every open connection, and the pace at which one address may open more."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._open: dict[str, Session] = {}
        self._number = 0
        self._recent: dict[str, deque[int]] = {}

    def wait_ms(self, ip: str) -> int:
        """How long a new handshake from this address has to wait; takes its place in the queue."""
        if not self._venue.switches.enforces_rate_limits:
            return 0
        now_ms = self._venue.now_ms()
        recent = self._recent.setdefault(ip, deque(maxlen=CONNECTS_PER_S))
        start_ms = max(now_ms, recent[0] + 1000) if len(recent) == CONNECTS_PER_S else now_ms
        recent.append(start_ms)
        return start_ms - now_ms

    def open(self, path: str, ip: str) -> Session:
        """A new session; `path` must be one of `PATHS`."""
        assert path in PATHS
        self._number += 1
        conn_id = f"{(self._number * 0x9E3779B1) & 0xFFFFFFFF:08x}"
        session = Session(self._venue, path, conn_id, ip)
        self._open[conn_id] = session
        return session

    def forget(self, session: Session) -> None:
        self._open.pop(session.conn_id, None)

    def all(self) -> list[Session]:
        return list(self._open.values())

    def close_all(self, code: int, reason: str, path: str = "") -> None:
        """Close every connection, or those of one path."""
        for session in self.all():
            if not path or session.path == path:
                session.close(code, reason)
