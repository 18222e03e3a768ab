"""Cancel-all-after: a countdown per account and tag that cancels the pending orders when nobody renews it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.refusals import Refusal

TIMEOUT_MIN_S = 10
TIMEOUT_MAX_S = 120
# OKX: live countdowns with a tag, per account.
TAGS_MAX = 20


class Expired(NamedTuple):
    account: str
    tag: str


class Countdown(NamedTuple):
    account: str
    tag: str
    due_ms: int


class CancelAllAfter:
    """The countdowns. An empty tag is the account-wide one; a countdown fires once and is then gone."""

    def __init__(self) -> None:
        self._due_ms: dict[tuple[str, str], int] = {}

    def renew(self, account: str, asked: Parameters, now_ms: int) -> int:
        """Start, renew or (with 0) end a countdown; returns when it will fire, or 0."""
        seconds = asked.whole("timeOut")
        tag = asked.tag()
        if seconds is None or not (seconds == 0 or TIMEOUT_MIN_S <= seconds <= TIMEOUT_MAX_S):
            raise Refusal("51000", "timeOut")
        if seconds == 0:
            self._due_ms.pop((account, tag), None)
            return 0
        tags = sum(1 for name, other in self._due_ms if name == account and other and other != tag)
        if tag and tags >= TAGS_MAX:
            raise Refusal("51071")
        self._due_ms[(account, tag)] = now_ms + seconds * 1000
        return now_ms + seconds * 1000

    def running(self) -> list[Countdown]:
        return [Countdown(account, tag, due_ms) for (account, tag), due_ms in self._due_ms.items()]

    def resume(self, countdowns: Iterable[Countdown]) -> None:
        """Go on with saved countdowns; one that ran out meanwhile fires at once."""
        self._due_ms = {(one.account, one.tag): one.due_ms for one in countdowns}

    def next_ms(self) -> int | None:
        return min(self._due_ms.values(), default=None)

    def take_expired(self, now_ms: int) -> list[Expired]:
        """The countdowns that have run out, each reported once."""
        expired = [key for key, due_ms in self._due_ms.items() if due_ms <= now_ms]
        for key in expired:
            del self._due_ms[key]
        return [Expired(account, tag) for account, tag in expired]
