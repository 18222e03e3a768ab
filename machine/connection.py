"""The life of one WebSocket connection to the venue.

Theory of operation
===================

There are four: public (market data), business (candles), private (orders,
positions, account) and private-business (stops).  One table serves them all; the
two private ones have to log in, and wait after a loss by the exponential rule.

* **Live means subscribed.**  A socket that is open but has not confirmed every
  channel delivers nothing.  The reading task dials, logs in and subscribes in that
  order, and reports each end; a login is acknowledged before a channel is asked
  for, because the venue silently delivers nothing otherwise.

* **Every event names its epoch.**  An epoch is one thing under way: a socket or a
  wait.  Giving a thing up ends its epoch.  A read error may still sit in the
  mailbox when its socket has been abandoned; its epoch is old, so the stale rows
  drop it.  An event of the *current* epoch that no row expects is our defect.

* **The count of failures clears only after LIVE has lasted.**  A socket that drops
  right after going live would otherwise be retried every five seconds for ever,
  and venues limit logins.

* **Old before new.**  The old socket is given up before the next dial, so that
  there are never two readers.  The one exception is the venue's notice that it
  will drop this connection (64008): then the replacement is dialled while the old
  one still delivers (REPLACING), and the old one is given up when the new one is
  live.

* **Silence is not health.**  A quiet connection is pinged as a matter of course.
  When even that brings no frame for a while, the machine asks once more for an
  answer (PROBING); without one the socket is lost, whatever TCP believes.

* **A refused login is not a drop.**  Retrying it would only get the address
  banned: REFUSED stays until the operator asks again.  EXHAUSTED alarms and
  goes on at a slow, constant pace, because a position may be open.

* **A hindrance is not a drop either.**  The venue answers, and does not let us in:
  the clock is off, it is closed for maintenance, a channel is not to be had.  It is
  tried again by the rule of the drops, and told to a person at once, once for each
  kind, until a connection has lasted.

Private connections wait 5, 10, 20, 40, 80, 160, then 300 s; public ones a constant
delay.  "Ten attempts" are ten retries after the first dial.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from anchorwatch.machine.kernel import (
    Data,
    Definition,
    Effect,
    Event,
    Identity,
    Reason,
    Row,
    Snapshot,
    State,
    Step,
    ignored,
    ignored_before,
    impossible,
)


class Name(Enum):
    """Which connection. The value is the path at the venue, and its name in logs."""

    PUBLIC = "public"
    BUSINESS = "business"
    PRIVATE = "private"
    PRIVATE_BUSINESS = "private-business"

    __hash__ = object.__hash__

    @property
    def is_private(self) -> bool:
        return self in PRIVATE


PRIVATE = (Name.PRIVATE, Name.PRIVATE_BUSINESS)


class Limits(msgspec.Struct, frozen=True):
    """How one connection retries, in seconds and attempts."""

    attempts_max: int = 10  # the original's limit, and the user's line R6.1
    backoff_first_s: int = 5  # R6.2
    backoff_max_s: int = 300  # R6.2
    backoff_factor: int = 2  # R6.2; 1 makes the delay constant (R7.2)
    exhausted_retry_s: int = 300  # an open position outlives any limit of attempts
    open_within_s: int = 10  # dial and handshake; the venue answers in well under a second
    login_within_s: int = 5  # the original's wait
    subscribe_within_s: int = 10  # all channels acknowledged
    ping_s: int = 12  # a quiet connection is pinged as a matter of course
    silence_s: int = 20  # not even that was answered; the venue drops a connection after 30 s without traffic
    pong_within_s: int = 8  # silence + answer stay below those 30 s
    live_lasted_s: int = 60  # only then is the count of failures forgotten

    def backoff_s(self, failures: int) -> int:
        """Seconds to wait after this many failures in a row."""
        assert failures >= 1
        wait_s: int = self.backoff_first_s * self.backoff_factor ** (failures - 1)
        return min(wait_s, self.backoff_max_s)


class Hindrance(Enum):
    """Why the venue does not let us in although it can be reached. Each asks for something of its own."""

    CLOCK = "clock"
    MAINTENANCE = "maintenance"
    ADDRESS = "address"
    LOGIN = "login"
    CHANNELS = "channels"

    __hash__ = object.__hash__


class S(State):
    IDLE = "idle"
    DIALING = "dialing"
    LOGGING_IN = "logging in"
    SUBSCRIBING = "subscribing"
    LIVE = "live"
    PROBING = "probing"
    REPLACING = "replacing"
    BACKING_OFF = "backing off"
    EXHAUSTED = "exhausted"
    REFUSED = "refused"
    CLOSED = "closed"


class Link(Data, frozen=True):
    """What the state alone does not say."""

    name: Name
    limits: Limits
    epoch: Identity = 0  # the newest socket or wait
    spare: Identity = 0  # REPLACING: the old socket, which still delivers; else 0
    failures: int = 0  # in a row, since LIVE last lasted
    told: Hindrance | None = None  # the hindrance that a person was told of last, since LIVE last lasted


class ConnectRequested(Event, frozen=True):
    pass


class CloseRequested(Event, frozen=True):
    pass


class OfEpoch(Event, frozen=True):
    epoch: Identity


class SocketOpened(OfEpoch, frozen=True):
    pass


class LoginAccepted(OfEpoch, frozen=True):
    pass


class LoginRefused(OfEpoch, frozen=True):
    """The venue knows us and says no: wrong key, passphrase, address, environment."""

    reason: Reason = ""


class ChannelsConfirmed(OfEpoch, frozen=True):
    """Every channel that was asked for is acknowledged."""


class SocketLost(OfEpoch, frozen=True):
    """The socket ended, could not be opened, or did not answer in time."""

    reason: Reason = ""


class Hindered(OfEpoch, frozen=True):
    """The venue answered, and did not let us in; ``reason`` says what a person may do about it."""

    hindrance: Hindrance = Hindrance.LOGIN
    reason: Reason = ""


class SilenceNoticed(OfEpoch, frozen=True):
    """No frame for ``silence_s``."""


class FrameSeen(OfEpoch, frozen=True):
    """Any frame at all, reported only while an answer is awaited."""


class PongMissed(OfEpoch, frozen=True):
    pass


class UpgradeNoticed(OfEpoch, frozen=True):
    """The venue will close this connection within about a minute (notice 64008)."""


class LiveLasted(OfEpoch, frozen=True):
    pass


class WaitElapsed(OfEpoch, frozen=True):
    """The back-off is over."""


class OpenSocket(Effect, frozen=True):
    """Dial, and report `SocketOpened` or `SocketLost`, within ``within_s``."""

    name: Name
    epoch: Identity
    within_s: int


class LogIn(Effect, frozen=True):
    name: Name
    epoch: Identity
    within_s: int


class Subscribe(Effect, frozen=True):
    """Ask for every channel of this connection, and wait for every acknowledgement."""

    name: Name
    epoch: Identity
    within_s: int


class StartListening(Effect, frozen=True):
    """Ping when it is quiet, watch for silence, and say when LIVE has lasted."""

    name: Name
    epoch: Identity
    ping_s: int
    silence_s: int
    lasted_s: int


class SendPing(Effect, frozen=True):
    name: Name
    epoch: Identity
    within_s: int


class AbandonEpoch(Effect, frozen=True):
    """Give up whatever this epoch still runs: socket, reader, pinger or timer."""

    name: Name
    epoch: Identity


class StartWait(Effect, frozen=True):
    name: Name
    epoch: Identity
    seconds: int


class RaiseAlarm(Effect, frozen=True):
    """Tell the operator: this connection needs a person."""

    name: Name
    reason: Reason


# Guards: questions, answered from the data and the event alone.


def is_stale(link: Link, event: OfEpoch) -> bool:
    assert event.epoch <= link.epoch, "an epoch from the future"
    return event.epoch < link.epoch and event.epoch != link.spare


def is_of_the_old_socket(link: Link, event: OfEpoch) -> bool:
    return event.epoch == link.spare


def must_log_in(link: Link, event: Event) -> bool:
    return link.name.is_private


def may_retry(link: Link, event: Event) -> bool:
    return link.failures < link.limits.attempts_max


def may_retry_and_is_told(link: Link, event: Hindered) -> bool:
    return may_retry(link, event) and link.told is event.hindrance


# Actions: the next data, and what the shell is to do.


def dial(link: Link, event: Event) -> Step[Link]:
    link = msgspec.structs.replace(link, epoch=link.epoch + 1)
    return link, (OpenSocket(link.name, link.epoch, link.limits.open_within_s),)


def dial_now(link: Link, event: Event) -> Step[Link]:
    """The operator does not want to wait for the back-off."""
    link, abandoned = abandon(link, event)
    link, opened = dial(link, event)
    return link, (*abandoned, *opened)


def log_in(link: Link, event: Event) -> Step[Link]:
    return link, (LogIn(link.name, link.epoch, link.limits.login_within_s),)


def subscribe(link: Link, event: Event) -> Step[Link]:
    return link, (Subscribe(link.name, link.epoch, link.limits.subscribe_within_s),)


def listen(link: Link, event: Event) -> Step[Link]:
    limits = link.limits
    dropped = (AbandonEpoch(link.name, link.spare),) if link.spare else ()
    link = msgspec.structs.replace(link, spare=0)
    return link, (
        *dropped,
        StartListening(link.name, link.epoch, limits.ping_s, limits.silence_s, limits.live_lasted_s),
    )


def ping(link: Link, event: Event) -> Step[Link]:
    return link, (SendPing(link.name, link.epoch, link.limits.pong_within_s),)


def forget_failures(link: Link, event: Event) -> Step[Link]:
    return msgspec.structs.replace(link, failures=0, told=None), ()


def abandon(link: Link, event: Event) -> Step[Link]:
    dropped = [AbandonEpoch(link.name, link.epoch)]
    if link.spare:
        dropped.append(AbandonEpoch(link.name, link.spare))
    return msgspec.structs.replace(link, epoch=link.epoch + 1, spare=0), tuple(dropped)


def drop_old(link: Link, event: Event) -> Step[Link]:
    """The old socket went before its replacement was ready."""
    return msgspec.structs.replace(link, spare=0), (AbandonEpoch(link.name, link.spare),)


def back_off(link: Link, event: Event) -> Step[Link]:
    link, abandoned = abandon(link, event)
    link = msgspec.structs.replace(link, failures=link.failures + 1)
    return link, (*abandoned, StartWait(link.name, link.epoch, link.limits.backoff_s(link.failures)))


def tell_and_back_off(link: Link, event: Hindered) -> Step[Link]:
    link, effects = back_off(link, event)
    alarm = RaiseAlarm(link.name, f"{link.name.value}: {event.reason}")
    return msgspec.structs.replace(link, told=event.hindrance), (*effects, alarm)


def exhaust(link: Link, event: SocketLost | PongMissed | Hindered) -> Step[Link]:
    link, abandoned = abandon(link, event)
    wait = StartWait(link.name, link.epoch, link.limits.exhausted_retry_s)
    last = "no answer to a ping" if isinstance(event, PongMissed) else event.reason
    reason = (
        f"{link.name.value}: {link.limits.attempts_max} attempts failed; going on every {wait.seconds} s; "
        f"the last: {last}"
    )
    return link, (*abandoned, wait, RaiseAlarm(link.name, reason))


def refuse(link: Link, event: LoginRefused) -> Step[Link]:
    link, abandoned = abandon(link, event)
    return link, (*abandoned, RaiseAlarm(link.name, f"{link.name.value}: login refused: {event.reason}"))


def replace_socket(link: Link, event: Event) -> Step[Link]:
    link = msgspec.structs.replace(link, spare=link.epoch, epoch=link.epoch + 1)
    return link, (OpenSocket(link.name, link.epoch, link.limits.open_within_s),)


DIALED = tuple(s for s in S if s is not S.IDLE)
"""Before the first dial there is no epoch that could be an earlier one."""
OPENING = (S.DIALING, S.LOGGING_IN, S.SUBSCRIBING)
LOSABLE = (*OPENING, S.LIVE, S.PROBING, S.REPLACING)
HINDERED = (*OPENING, S.REPLACING)
WAITING = (S.BACKING_OFF, S.EXHAUSTED)
OF_EPOCH = (
    SocketOpened, LoginAccepted, LoginRefused, ChannelsConfirmed, SocketLost, Hindered, SilenceNoticed,
    FrameSeen, PongMissed, UpgradeNoticed, LiveLasted, WaitElapsed,
)  # fmt: skip
BETWEEN = "only the newest epoch reports, and here it has nothing left to report"

# Rows are tried from the top: what is stale is dropped before anything else.
# fmt: off
ROWS = (
    #   source          event               destination     guard                        action
    Row(S.IDLE,         ConnectRequested,   S.DIALING,                                   then=dial),
    Row(S.DIALING,      SocketOpened,       S.LOGGING_IN,   when=must_log_in,            then=log_in),
    Row(S.DIALING,      SocketOpened,       S.SUBSCRIBING,                               then=subscribe),
    Row(S.LOGGING_IN,   LoginAccepted,      S.SUBSCRIBING,                               then=subscribe),
    Row(S.LOGGING_IN,   LoginRefused,       S.REFUSED,                                   then=refuse),
    Row(S.SUBSCRIBING,  ChannelsConfirmed,  S.LIVE,                                      then=listen),
    Row(S.LIVE,         LiveLasted,         S.LIVE,                                      then=forget_failures),
    Row(S.LIVE,         SilenceNoticed,     S.PROBING,                                   then=ping),
    Row(S.PROBING,      FrameSeen,          S.LIVE,                                      then=listen),
    *(Row(s,            UpgradeNoticed,     S.REPLACING,                                 then=replace_socket)   for s in (S.LIVE, S.PROBING)),
    # The replacement. Its own loss costs the old socket too, which the venue is about to close anyway.
    Row(S.REPLACING,    SocketLost,         S.REPLACING,    when=is_of_the_old_socket,   then=drop_old),
    Row(S.REPLACING,    PongMissed,         S.REPLACING,    when=is_of_the_old_socket,   then=drop_old),
    Row(S.REPLACING,    SocketOpened,       S.REPLACING,    when=must_log_in,            then=log_in),
    Row(S.REPLACING,    SocketOpened,       S.REPLACING,                                 then=subscribe),
    Row(S.REPLACING,    LoginAccepted,      S.REPLACING,                                 then=subscribe),
    Row(S.REPLACING,    LoginRefused,       S.REFUSED,                                   then=refuse),
    Row(S.REPLACING,    ChannelsConfirmed,  S.LIVE,                                      then=listen),
    # Loss, recovery, end.
    *(Row(s,            SocketLost,         S.BACKING_OFF,  when=may_retry,              then=back_off)  for s in LOSABLE),
    *(Row(s,            SocketLost,         S.EXHAUSTED,                                 then=exhaust)   for s in LOSABLE),
    *(Row(s,            Hindered,           S.BACKING_OFF,  when=may_retry_and_is_told,  then=back_off)          for s in HINDERED),
    *(Row(s,            Hindered,           S.BACKING_OFF,  when=may_retry,              then=tell_and_back_off) for s in HINDERED),
    *(Row(s,            Hindered,           S.EXHAUSTED,                                 then=exhaust)           for s in HINDERED),
    Row(S.PROBING,      PongMissed,         S.BACKING_OFF,  when=may_retry,              then=back_off),
    Row(S.PROBING,      PongMissed,         S.EXHAUSTED,                                 then=exhaust),
    *(Row(s,            WaitElapsed,        S.DIALING,                                   then=dial)      for s in WAITING),
    *(Row(s,            ConnectRequested,   S.DIALING,                                   then=dial_now)  for s in WAITING),
    Row(S.REFUSED,      ConnectRequested,   S.DIALING,                                   then=dial),
    *(Row(s,            CloseRequested,     S.CLOSED,                                    then=abandon)   for s in S if s is not S.CLOSED),
    # What may happen and does not matter.
    *ignored(LOSABLE,                  (ConnectRequested,), "it is on its way already"),
    *ignored((S.CLOSED,),              (ConnectRequested,), "closing is final: the bot is stopping"),
    *ignored((S.CLOSED,),              (CloseRequested,),   "the second asking is not news"),
    *ignored((S.LIVE,),                (FrameSeen, PongMissed), "the answer came first; the other report was already queued"),
    *ignored((S.PROBING,),             (SilenceNoticed, LiveLasted), "an answer is awaited already; a frame starts both waits anew"),
    *ignored((S.LOGGING_IN, S.SUBSCRIBING), (UpgradeNoticed,), "nothing is live yet; the loss that follows is retried"),
    *ignored((S.REPLACING,),           (SilenceNoticed, FrameSeen, UpgradeNoticed, LiveLasted), "the replacement is on its way"),
    # What cannot happen.
    *impossible((S.IDLE, S.REFUSED, S.CLOSED), OF_EPOCH, BETWEEN),
    *impossible(WAITING, tuple(e for e in OF_EPOCH if e is not WaitElapsed), BETWEEN),
    *impossible((S.DIALING,), (LoginAccepted, LoginRefused, ChannelsConfirmed, SilenceNoticed, FrameSeen, PongMissed, UpgradeNoticed, LiveLasted, WaitElapsed), "nothing is open yet"),
    *impossible((S.LOGGING_IN,), (SocketOpened, ChannelsConfirmed, SilenceNoticed, FrameSeen, PongMissed, LiveLasted, WaitElapsed), "only the login is asked for"),
    *impossible((S.SUBSCRIBING,), (SocketOpened, LoginAccepted, LoginRefused, SilenceNoticed, FrameSeen, PongMissed, LiveLasted, WaitElapsed), "only the channels are asked for"),
    *impossible((S.LIVE, S.PROBING), (SocketOpened, LoginAccepted, LoginRefused, ChannelsConfirmed, Hindered, WaitElapsed), "each is reported once, before live"),
    *impossible((S.REPLACING,), (WaitElapsed, PongMissed), "no wait is under way, and the newest socket is not probed yet"),
)
TABLE = (*ignored_before(ROWS, DIALED, OF_EPOCH, "its epoch was given up while it waited in the mailbox", when=is_stale), *ROWS)
# fmt: on


CONNECTION = Definition("connection", Snapshot(S.IDLE, Link(Name.PUBLIC, Limits())), TABLE)


def idle(name: Name, limits: Limits) -> Snapshot[Link]:
    """One connection before its first dial."""
    return Snapshot(S.IDLE, Link(name, limits))


# Asked of every connection before every order; a member of an enumeration is found by a slow search.
DELIVERING, REPLACING = (S.LIVE, S.PROBING), S.REPLACING


def delivers(snapshot: Snapshot[Link]) -> bool:
    """Whether pushes may be relied on: every channel is confirmed, and silence is being watched."""
    if snapshot.state in DELIVERING:
        return True
    return snapshot.state is REPLACING and snapshot.data.spare != 0
