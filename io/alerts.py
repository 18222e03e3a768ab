"""Alarms to a person elsewhere: one webhook, retried, and a heartbeat, because a dead bot sends no alarm.

Both are outbound only and know nothing of the account: a JSON object with the alarm's
name, its words and the time. A webhook that does not answer costs nothing but its own
alarms: the queue is bounded and the oldest waiting alarm goes first. What is raised again and again
is one alarm, repeated at a pace, and says how often it was raised in between.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections import deque
from collections.abc import Callable, Mapping

import httpx
import trio

WAITING_MAX = 100
"""Alarms that wait for the webhook: more than a person reads, and none of them is lost from the log."""

TRIES = 4
RETRY_FIRST_S = 2.0  # doubled with each try: 2, 4, 8 s
TIMEOUT_S = 5.0

REPEATED_S = 300.0
"""The same alarm within this time is no news: what lasts longer is worth another look."""

REMEMBERED_MAX = 200
"""Alarms whose last sending is remembered; more kinds at once than a person can tell apart."""

CHANGING = ("at_ms", "seconds", "waiting")
"""Words that differ each time although the alarm is the same; the numbers inside a text differ too."""

LAST_WORDS_S = 1.0
"""How long an end waits for the webhook: what ended the bot is the alarm that matters most."""


class _Told:
    """When an alarm was sent last, and how often it was raised since."""

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.since = 0


def _what(alarm: Mapping[str, object]) -> tuple[str, ...]:
    """What makes two alarms the same one: the name, and the words but for the numbers in them."""
    words = (f"{key} {value}" for key, value in alarm.items() if key not in (*CHANGING, "alarm"))
    return str(alarm.get("alarm", "")), *(re.sub(r"[0-9]+", "#", text) for text in words)


class Alerts:
    """Sends what `raise_alarm` is given, for as long as `run` runs."""

    def __init__(
        self,
        webhook_url: str,
        heartbeat_url: str,
        heartbeat_s: float,
        *,
        note: Callable[[str], object],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._webhook_url = webhook_url
        self._heartbeat_url = heartbeat_url
        self._heartbeat_s = heartbeat_s
        self._note = note
        self._tls = tls
        self._waiting: deque[Mapping[str, object]] = deque(maxlen=WAITING_MAX)
        self._bell = trio.Event()
        self._told: dict[tuple[str, ...], _Told] = {}
        self.sent = 0
        self.beats = 0

    def raise_alarm(self, alarm: Mapping[str, object]) -> None:
        """Queue one alarm, unless the same one was raised just now. Never waits."""
        if not self._webhook_url:
            return
        now_s, what = trio.current_time(), _what(alarm)
        told = self._told.get(what)
        if told is not None and now_s - told.at_s < REPEATED_S:
            told.since += 1
            return
        if told is not None and told.since:
            alarm = {**alarm, "raised_since_the_last": told.since}
        self._told.pop(what, None)
        self._told[what] = _Told(now_s)
        if len(self._told) > REMEMBERED_MAX:
            del self._told[next(iter(self._told))]
        self._waiting.append(alarm)
        self._bell.set()

    async def run(self) -> None:
        """Send alarms and heartbeats until cancelled."""
        if not self._webhook_url and not self._heartbeat_url:
            return
        async with self._client() as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._deliver, client)
                nursery.start_soon(self._beat, client)

    async def say_last_words(self) -> None:
        """After `run` was cancelled: send what still waits, once each, and not for long."""
        if not self._waiting:
            return
        with trio.move_on_after(LAST_WORDS_S):
            async with self._client() as client:
                while self._waiting:
                    with contextlib.suppress(httpx.HTTPError):
                        await client.post(self._webhook_url, json=dict(self._waiting[0]))
                    self._waiting.popleft()

    def _client(self) -> httpx.AsyncClient:
        # Loading the roots costs tens of milliseconds: only who alarms pays for it.
        verify = self._tls if self._tls is not None else ssl.create_default_context()
        return httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S, verify=verify)

    async def _deliver(self, client: httpx.AsyncClient) -> None:
        while True:
            while not self._waiting:
                self._bell = trio.Event()
                await self._bell.wait()
            alarm = self._waiting.popleft()
            try:
                was_taken = await self._post(client, alarm)
            except trio.Cancelled:
                self._waiting.appendleft(alarm)
                raise
            if was_taken:
                self.sent += 1
            else:
                self._note(f"the webhook did not take an alarm in {TRIES} tries")

    async def _post(self, client: httpx.AsyncClient, alarm: Mapping[str, object]) -> bool:
        wait_s = RETRY_FIRST_S
        for attempt in range(TRIES):
            if attempt:
                await trio.sleep(wait_s)
                wait_s *= 2
            try:
                answer = await client.post(self._webhook_url, json=dict(alarm))
            except httpx.HTTPError:
                continue
            if answer.is_success:
                return True
        return False

    async def _beat(self, client: httpx.AsyncClient) -> None:
        """Whoever watches the URL alarms when the beats stop."""
        while self._heartbeat_url:
            try:
                await client.get(self._heartbeat_url)
                self.beats += 1
            except httpx.HTTPError as error:
                self._note(f"heartbeat: {type(error).__name__}")
            await trio.sleep(self._heartbeat_s)
