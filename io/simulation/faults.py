"""What a simulation does wrong, as plain data: the kinds of fault, and one planned fault.

A planned fault has a kind, a time (seconds from the start of the run) and, where the kind has them, a length, a
place and a size. With ``on = "write"`` it waits, from its time on, for a moment at which a request that changes the
account is under way: that is when a fault hurts most.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

import msgspec

# Seconds of virtual time from the start of a run; a plan for more than a day is a slip of the keyboard.
AT_MAX_S = 86_400.0
# A plan that a person reads, and that is minimised by leaving parts out.
FAULTS_MAX = 1_000

Seconds = Annotated[float, msgspec.Meta(ge=0, le=AT_MAX_S)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class Kind(Enum):
    """The kinds of fault. The words in the comments say what `where`, `for_s` and `size` mean, where they do."""

    # The network between the bot and the exchange.
    LATENCY = "latency"  # size: seconds one way, for so long
    JITTER = "jitter"  # size: up to so many seconds more, for so long
    SHORT_WRITES = "short_writes"  # nine sends of ten are taken in part only, for so long
    FRAGMENTATION = "fragmentation"  # nine sends of ten arrive in pieces, for so long
    RESET = "reset"  # where: one | all established connections
    HALF_OPEN = "half_open"  # where: one | all; nothing arrives any more, and neither end is told
    REFUSED = "refused"  # every dial is refused for so long, and what is open is reset
    BLACK_HOLE = "black_hole"  # nothing arrives and no dial is answered, for so long
    # Requests over HTTP; where: the endpoint behind /api/v5/, empty is any.
    HTTP_5XX = "http_5xx"  # not processed; 503 with the venue's code 50001
    HTML_BODY = "html_body"  # not processed; 502 with a page
    HTML_AFTER = "html_after_acceptance"  # processed; 502 with a page
    TIMEOUT_AFTER = "timeout_after_acceptance"  # processed; no answer ever
    TIMEOUT_BEFORE = "timeout_unprocessed"  # not processed; no answer ever
    LATE_PROCESSING = "late_processing"  # processed so many seconds later (size), unless it has expired
    SLOW_ANSWER = "slow_answer"  # processed at once, answered so many seconds later (size)
    CUT_ANSWER = "cut_answer"  # processed; the answer breaks off in the middle
    IN_DOUBT_CODE = (
        "in_doubt_code"  # processed; 50004, "does not mean that the request was successful or failed"
    )
    RATE_LIMIT = "rate_limit"  # not processed; 50011
    STALE_READING = "stale_reading"  # a private list is as it was so many seconds ago (size)
    # Private pushes; where: the channel, empty is any.
    PUSH_DUPLICATED = "push_duplicated"
    PUSH_REORDERED = "push_reordered"
    PUSH_DROPPED = "push_dropped"
    PUSH_DELAYED = "push_delayed"  # by so many seconds (size)
    # Connections; where: public, private or business, empty is any.
    LOGIN_REFUSED = "login_refused"  # and the connections are closed, so that there is a login
    LOGIN_SLOW = "login_slow"  # size: seconds; and the connections are closed
    UPGRADE_NOTICE = "upgrade_notice"  # 64008, and closed a minute later
    SOCKET_CLOSED = "socket_closed"  # by the exchange, after a frame of ours
    HANDSHAKE_REFUSED = "handshake_refused"  # and the connections are closed
    # The exchange.
    CLOCK_SKEW = "clock_skew"  # its clock, as it tells it, is off by size seconds
    MAINTENANCE = "maintenance"  # for so long nothing that changes the account is taken
    RULE_CHANGE = "rule_change"  # tick, lot and minimum of an instrument change for so long
    STOP_FAILS = (
        "stop_fails"  # a stop triggers and its market order is refused; on a write the price comes for it
    )
    ATTACHED_MISSING = "attached_missing"  # an entry fills, and the stop that travelled with it is not made
    ACK_THEN_CANCEL = "ack_then_cancel"  # an order is acknowledged, then cancelled by the exchange
    # The bot's own machine.
    KILLED = "killed"  # started again after so long
    TORN_WRITE = "torn_write"  # killed while the journal writes: the last record is torn
    DISK_FULL = "disk_full"  # for so long
    TWO_INSTANCES = "two_instances"  # for so long the same bot runs a second time, on another disk
    # People.
    HUMAN = "human"  # where: open, close, part, add, cancel_stop or tighten_stop
    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    FLATTEN = "flatten"  # stopped, started to flatten, and started again; back in business after so long
    STOP = "stop"  # in order; started again after so long

    __hash__ = object.__hash__


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One planned fault. ``times`` is how many occasions of its kind it strikes, where the kind has occasions."""

    kind: Kind
    at_s: Seconds
    for_s: Seconds = 5.0
    size: Annotated[float, msgspec.Meta(ge=-3600, le=3600)] = 1.0
    times: Count = 1
    where: str = ""
    on: Literal["", "write"] = ""

    def words(self) -> str:
        """On one line, for people."""
        defaults = {field.name: field.default for field in msgspec.structs.fields(self)}
        own = msgspec.structs.asdict(self)
        said = [
            f"{name} {own[name]:g}" if isinstance(own[name], float) else f"{name} {own[name]}"
            for name in ("for_s", "size", "times", "where", "on")
            if own[name] != defaults[name]
        ]
        return f"{self.at_s:7.1f} s  {self.kind.value}" + (f"  ({', '.join(said)})" if said else "")
