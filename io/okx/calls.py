"""One REST call from asking to outcome: rate limit, signature, deadline, and what the answer means.

Reads may be repeated, because asking twice changes nothing.  Writes never are: an order asked for twice may be
placed twice.  Lists that come in pages are returned whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import trio

from anchorwatch.io.okx.clock_offset import ClockOffset, Sample
from anchorwatch.io.okx.errors import CLOCK_CODES, NOT_SENT, RATE_LIMIT_CODES, classify
from anchorwatch.io.okx.outcomes import Answered, Failed, Read, Refused, Unknown, Write
from anchorwatch.io.okx.rate_limits import Lane, RateLimits, Subject
from anchorwatch.io.okx.requests import Request, body_of, target_of
from anchorwatch.io.okx.transport import NoReply, Reply, Transport
from anchorwatch.io.okx.wire import Answer, WireError, decode_rest
from anchorwatch.io.okx.wire_market import ServerTime

R = TypeVar("R")
Query = Mapping[str, str | int | None]

READ_DEADLINE_S = 10.0  # a whole read, its waits and repetitions included
READ_TRY_S = 4.0  # one attempt of it: a connection may swallow a request without a word
LIST_DEADLINE_S = 30.0  # a list that may come in many pages
WRITE_DEADLINE_S = 5.0

# Pauses before the second and the third attempt of a read: the first for a connection that was closed under us,
# the second for a busy venue.  More attempts belong to the caller, who knows what waits for the answer.
READ_PAUSES_S = (0.2, 1.0)

# OKX v5 answers lists with at most 100 rows a page; 100 pages are more orders than an account may have pending.
PAGE_ROWS = 100
PAGES_MAX = 100

HTTP_TOO_MANY = 429  # from a proxy it comes without the venue's code

_PUBLIC_PREFIXES = ("/public/", "/market/", "/system/")
_TOO_LATE = "its deadline passed before it could be sent"
_NO_ROOM = "no room under the rate limit in time"


class Calls:
    """Performs single calls for `OkxRest`, and keeps what they share: limits and the venue's clock."""

    def __init__(
        self, transport: Transport, limits: RateLimits, now_ms: Callable[[], int], *, reads_only: bool = False
    ) -> None:
        self._reads_only = reads_only
        self._transport = transport
        self._limits = limits
        self._now_ms = now_ms
        self.clock = ClockOffset()
        self._offset_ms = 0  # the clock's, which is asked for with every event
        self.on_clock: Callable[[ClockOffset], None] = lambda _: None
        """Told after every measurement."""

    def venue_now_ms(self) -> int:
        """The venue's time as far as we know it."""
        return self._now_ms() + self._offset_ms

    async def room(self, endpoint: str, *, lane: Lane, weight: int) -> None:
        """As `RateLimits.room`."""
        await self._limits.room(endpoint, lane=lane, weight=weight)

    async def measure_clock(
        self, *, deadline_s: float, lane: Lane = "normal", spare: bool = False
    ) -> Read[Sample]:
        """One round trip of `GET /public/time`, taken into `clock`; ``spare`` as in `Transport.send`."""
        until = trio.current_time() + deadline_s
        outcome: Read[Sample] = Failed("not asked")
        for pause_s in (0.0, *READ_PAUSES_S):
            if pause_s:
                await _sleep_at_most_until(pause_s, until)
            outcome = await self._measure_once(until, lane, spare)
            if isinstance(outcome, Answered) or trio.current_time() >= until:
                break
        return outcome

    async def _measure_once(self, until: float, lane: Lane, spare: bool) -> Read[Sample]:
        reply = await self._send_read("/public/time", {}, until, lane, spare=spare)
        if isinstance(reply, NoReply):
            return Failed(reply.reason)
        outcome = _judge_read(reply, ServerTime)
        if not isinstance(outcome, Answered):
            return outcome
        if len(outcome.rows) != 1:
            return Failed("the venue's time came without a row")
        sample = Sample(reply.sent_ms, reply.received_ms, outcome.rows[0].ts_ms)
        self.clock = self.clock.after(sample)
        self._offset_ms = self.clock.offset_ms
        self.on_clock(self.clock)
        return Answered((sample,))

    async def read(
        self,
        path: str,
        query: Query,
        row: type[R],
        *,
        deadline_s: float = READ_DEADLINE_S,
        lane: Lane = "normal",
    ) -> Read[R]:
        """A GET, repeated a little when the venue is busy or the connection fails, within `deadline_s`."""
        return await self._read_until(path, query, row, trio.current_time() + deadline_s, lane)

    async def _read_until(self, path: str, query: Query, row: type[R], until: float, lane: Lane) -> Read[R]:
        outcome: Read[R] = Failed("not asked")
        for pause_s in (0.0, *READ_PAUSES_S):
            if pause_s:
                await _sleep_at_most_until(pause_s, until)
            reply = await self._send_read(path, query, until, lane)
            outcome = Failed(reply.reason) if isinstance(reply, NoReply) else _judge_read(reply, row)
            if isinstance(outcome, Answered) or trio.current_time() >= until:
                return outcome
            if isinstance(reply, Reply) and reply.status == HTTP_TOO_MANY:
                self._limits.close_for_a_window(f"GET {path}", _subject(query))
            elif isinstance(outcome, Refused):
                if outcome.code in RATE_LIMIT_CODES:
                    self._limits.close_for_a_window(f"GET {path}", _subject(query))
                elif outcome.code in CLOCK_CODES:
                    # The request was not processed; with a fresh offset the next signature will be accepted.
                    await self.measure_clock(deadline_s=max(0.0, until - trio.current_time()), lane=lane)
                else:
                    return outcome
        return outcome

    async def _send_read(
        self, path: str, query: Query, until: float, lane: Lane, *, spare: bool = False
    ) -> Reply | NoReply:
        wait_max_s = max(0.0, until - trio.current_time())
        if not await self._limits.take(
            f"GET {path}", subject=_subject(query), lane=lane, wait_max_s=wait_max_s
        ):
            return NoReply(_NO_ROOM, sent=False)
        return await self._transport.send(
            "GET",
            target_of(path, dict(query)),
            deadline_s=min(READ_TRY_S, max(0.0, until - trio.current_time())),
            signed_at_ms=None if path.startswith(_PUBLIC_PREFIXES) else self.venue_now_ms(),
            spare=spare,
        )

    async def read_one(
        self,
        path: str,
        query: Query,
        row: type[R],
        *,
        deadline_s: float = READ_DEADLINE_S,
        lane: Lane = "normal",
    ) -> Read[R]:
        """A read whose answer is exactly one row. None, or several, is a failure."""
        outcome = await self.read(path, query, row, deadline_s=deadline_s, lane=lane)
        if isinstance(outcome, Answered) and len(outcome.rows) != 1:
            return Failed(f"{path}: {len(outcome.rows)} rows where one is expected")
        return outcome

    async def read_all(
        self,
        path: str,
        query: Query,
        row: type[R],
        *,
        identity: Callable[[R], str],
        cursor: Callable[[R], str | int],
        deadline_s: float = LIST_DEADLINE_S,
        lane: Lane = "normal",
    ) -> Read[R]:
        """A whole list, newest first, each row once.

        `cursor` gives the `after` that leads to rows older than a row.  A page that is not full is the last.
        Ends as Failed when a full page brings nothing new or the pages do not end: what was read so far would
        look like the whole.
        """
        until = trio.current_time() + deadline_s
        found: dict[str, R] = {}
        after: str | int | None = None
        for _ in range(PAGES_MAX):
            page = await self._read_until(
                path, {**query, "after": after, "limit": PAGE_ROWS}, row, until, lane
            )
            if not isinstance(page, Answered):
                return page
            known = len(found)
            for item in page.rows:
                name = identity(item)
                if not name:
                    return Failed(f"{path}: a row without its id")
                found.setdefault(name, item)
            if len(page.rows) < PAGE_ROWS:
                return Answered(tuple(found.values()))
            if len(found) == known:
                return Failed(f"{path}: a page brought nothing new")
            after = cursor(page.rows[-1])
        return Failed(f"{path}: more than {PAGES_MAX} pages")

    async def write(
        self,
        path: str,
        body: Request | Sequence[Request] | Mapping[str, str],
        row: type[R],
        *,
        instrument: str = "",
        tag: str = "",
        lane: Lane = "normal",
        weight: int = 1,
        deadline_s: float = WRITE_DEADLINE_S,
        valid_ms: int | None = None,
        expires_ms: int | None = None,
        still_wanted: Callable[[], bool] | None = None,
    ) -> Write[R]:
        """A POST, sent once at most; none at all by a client that only reads.

        The venue is given a deadline where there is one: `expires_ms`, or `valid_ms` from the moment of signing. One
        that has passed while the request waited for its turn means that nothing is sent.
        """
        if self._reads_only:
            return Refused(NOT_SENT, message="this client only reads")
        until = trio.current_time() + deadline_s
        endpoint, subject = f"POST {path}", Subject(instrument=instrument, tag=tag)
        room = await self._limits.take(
            endpoint, subject=subject, lane=lane, weight=weight, wait_max_s=deadline_s
        )
        if not room:
            return Refused(NOT_SENT, message=_NO_ROOM)
        signed_at_ms = self.venue_now_ms()
        if expires_ms is None and valid_ms is not None:
            expires_ms = signed_at_ms + valid_ms
        if expires_ms is not None and expires_ms <= signed_at_ms:
            return Refused(NOT_SENT, message=_TOO_LATE)
        reply = await self._transport.send(
            "POST",
            target_of(path, {}),
            body_of(body),
            deadline_s=max(0.0, until - trio.current_time()),
            signed_at_ms=signed_at_ms,
            expires_ms=expires_ms,
            still_wanted=still_wanted,
        )
        if isinstance(reply, NoReply):
            if not reply.sent:
                return Refused(NOT_SENT, message=reply.reason)
            return Unknown(reply.reason, expires_ms=expires_ms)
        outcome = _judge_write(reply, row, expires_ms, items=weight)
        if isinstance(outcome, Refused) and outcome.code in RATE_LIMIT_CODES:
            self._limits.close_for_a_window(endpoint, subject)
        elif isinstance(outcome, Refused) and outcome.code in CLOCK_CODES:
            # It was not processed, and is not sent again here: whoever wanted it decides anew, by the right clock.
            await self.measure_clock(deadline_s=max(0.0, until - trio.current_time()), lane=lane)
        return outcome


def _judge_read(reply: Reply, row: type[R]) -> Read[R]:
    try:
        answer = decode_rest(reply.body, row)
    except WireError as error:
        return Failed(f"HTTP {reply.status}: {error}")
    if answer.code == "0":
        if reply.status != 200:
            return Failed(f"HTTP {reply.status} with code 0")
        return Answered(answer.rows)
    verdict = classify(reply.status, answer.code, "", "read")
    if reply.status >= 500 or not verdict.outcome_known:
        return Failed(f"HTTP {reply.status}: {verdict.meaning}", answer.code)
    return Refused(answer.code, message=answer.message or verdict.meaning)


def _judge_write(reply: Reply, row: type[R], expires_ms: int | None, *, items: int) -> Write[R]:
    try:
        answer = decode_rest(reply.body, row)
    except WireError as error:
        return Unknown(f"HTTP {reply.status}: {error}", expires_ms=expires_ms)
    if items > 1 and reply.status == 200 and len(answer.rows) == items:
        return Answered(answer.rows)  # each acknowledgement speaks for itself
    s_code, sub_code, s_msg = _item_verdict(answer)
    accepted = s_code == "0" or (s_code == "" and answer.code == "0")
    if accepted and reply.status == 200 and len(answer.rows) >= items:
        return Answered(answer.rows)
    code = s_code if s_code not in ("", "0") else answer.code
    message = s_msg or answer.message
    verdict = classify(reply.status, answer.code, s_code, "write")
    if accepted or not verdict.outcome_known:
        return Unknown(f"HTTP {reply.status}, code {code}: {message or verdict.meaning}", code, expires_ms)
    return Refused(code, sub_code, message or verdict.meaning)


def _item_verdict(answer: Answer[R]) -> tuple[str, str, str]:
    """The first item's own code, sub-code and message, where the endpoint's items have them."""
    if not answer.rows:
        return "", "", ""
    item = answer.rows[0]
    return tuple(getattr(item, name, "") for name in ("s_code", "sub_code", "s_msg"))  # type: ignore[return-value]


def _subject(query: Query) -> Subject:
    return Subject(str(query.get("instId") or ""), str(query.get("instType") or ""))


async def _sleep_at_most_until(seconds: float, until: float) -> None:
    await trio.sleep_until(min(trio.current_time() + seconds, until))
