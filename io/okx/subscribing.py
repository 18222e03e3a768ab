"""Which channels of a subscription have been answered, and how. Pure: frames in, a report out.

OKX v5 acknowledges every channel by itself, but an error may name only the request.  So each channel gets a request
of its own while there are few; then an error without a channel still has one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from anchorwatch.io.okx.wire_ws import Arg, ConnectionCount, ErrorFrame, SubscribeAck

# OKX v5 allows 480 requests per connection and hour, and a reconnect subscribes everything again: 64 leave room for
# several changes of subscription on one connection. Beyond it requests carry several channels.
REQUESTS_MAX = 64
# The sum of a subscription's arguments may have 64 KB; a request of this many channels has some 4 KB.
ARGS_PER_REQUEST_MAX = 50


class RefusedChannel(msgspec.Struct, frozen=True):
    arg: Arg
    code: str
    message: str


class SubscriptionReport(msgspec.Struct, frozen=True):
    """How a subscription ended, in the order asked."""

    confirmed: tuple[Arg, ...]
    refused: tuple[RefusedChannel, ...]
    missing: tuple[Arg, ...]

    @property
    def complete(self) -> bool:
        return not self.refused and not self.missing


class Subscribing:
    """One subscription under way. Raises ValueError for more channels than fit."""

    def __init__(self, args: Sequence[Arg], first_id: int) -> None:
        self._args = tuple(dict.fromkeys(args))
        if len(self._args) > REQUESTS_MAX * ARGS_PER_REQUEST_MAX:
            raise ValueError(f"{len(self._args)} channels on one connection")
        size = max(1, -(-len(self._args) // REQUESTS_MAX))
        groups = [self._args[start : start + size] for start in range(0, len(self._args), size)]
        self.requests = tuple((str(first_id + number), group) for number, group in enumerate(groups, start=1))
        self._confirmed: dict[Arg, None] = {}
        self._refused: dict[Arg, RefusedChannel] = {}

    @property
    def unanswered(self) -> tuple[Arg, ...]:
        return tuple(arg for arg in self._args if arg not in self._confirmed and arg not in self._refused)

    def acknowledged(self, frame: SubscribeAck) -> bool:
        """Whether the acknowledgement was one of ours."""
        candidates = [arg for arg in self._args if arg.covers(frame.arg)]
        exact = [arg for arg in candidates if frame.arg.covers(arg)]
        for arg in exact or candidates:
            # An error without a channel was held against all of its request; this one it did not mean.
            self._refused.pop(arg, None)
            self._confirmed[arg] = None
            return True
        return False

    def refused_by(self, frame: ErrorFrame) -> bool:
        """Whether the error was about one of our channels. Without a channel it is about all of its request."""
        if frame.arg is not None:
            wrong = [arg for arg in self._args if arg.covers(frame.arg)]
        else:
            wrong = [arg for number, group in self.requests if number == frame.id for arg in group]
        wrong = [arg for arg in wrong if arg not in self._confirmed]
        for arg in wrong:
            self._refused[arg] = RefusedChannel(arg, frame.code, frame.message)
        return bool(wrong)

    def crowded_out(self, frame: ConnectionCount) -> bool:
        """The venue takes an acknowledged channel back: too many connections of this account hold it."""
        wrong = [arg for arg in self._args if arg.channel == frame.channel]
        for arg in wrong:
            self._confirmed.pop(arg, None)
            self._refused[arg] = RefusedChannel(arg, "channel-conn-count-error", f"{frame.count} connections")
        return bool(wrong)

    def report(self) -> SubscriptionReport:
        return SubscriptionReport(
            tuple(arg for arg in self._args if arg in self._confirmed and arg not in self._refused),
            tuple(self._refused[arg] for arg in self._args if arg in self._refused),
            self.unanswered,
        )
