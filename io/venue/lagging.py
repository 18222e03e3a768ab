"""The accounts as they were a moment ago, for an exchange whose REST answers lag behind its pushes (fault `rest_lag`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from anchorwatch.io.venue.accounts import Account, PositionHistory

# How far back an answer may lie. Real lags are fractions of a second; more is an outage, which has its own faults.
LAG_MAX_MS = 60_000
# Copies kept: at more than this many changes within `LAG_MAX_MS` the oldest are forgotten and the lag is shorter. The full
# lists of a busy account take 400 kB a copy, when each has grown since the one before.
COPIES_MAX = 200

T = TypeVar("T")


class _Copy(NamedTuple):
    since_ms: int
    accounts: dict[str, Account]


class Pasts:
    """Copies of all accounts, each valid from its moment until the next one's."""

    def __init__(self) -> None:
        self._copies: deque[_Copy] = deque(maxlen=COPIES_MAX)
        self._happenings = -1

    def remember(self, accounts: Iterable[Account], now_ms: int, happenings: int) -> None:
        """Take a copy, if anything has happened since the last one."""
        if happenings == self._happenings:
            return
        self._happenings = happenings
        before = self._copies[-1].accounts if self._copies else {}
        copies = {one.name: _copied(one, before.get(one.name, one)) for one in accounts}
        self._copies.append(_Copy(now_ms, copies))
        while len(self._copies) > 1 and self._copies[1].since_ms < now_ms - LAG_MAX_MS:
            self._copies.popleft()

    def account_at(self, account: Account, then_ms: int) -> Account:
        """The account as it was then, or as early as it is remembered; itself when nothing is."""
        for copy in reversed(self._copies):
            if copy.since_ms <= then_ms:
                return copy.accounts[account.name]
        return self._copies[0].accounts[account.name] if self._copies else account


def _copied(account: Account, before: Account) -> Account:
    """What can still change is copied; finished records are shared, and the lists of them with the copy ``before``."""
    return replace(
        account,
        levers=dict(account.levers),
        positions={key: replace(one) for key, one in account.positions.items()},
        pending={key: replace(one) for key, one in account.pending.items()},
        done=_records(account.done, before.done),
        algos={key: replace(one) for key, one in account.algos.items()},
        algos_done=_records(account.algos_done, before.algos_done),
        fills=_records(account.fills, before.fills),
        bills=_records(account.bills, before.bills),
        history=_history(account, before),
    )


def _records(now: deque[T], before: deque[T]) -> deque[T]:
    """Records are only ever appended: with the same last one they are the same."""
    is_same = now is not before and len(now) == len(before) and (not now or now[-1] is before[-1])
    return before if is_same else now.copy()


def _history(now: Account, before: Account) -> dict[tuple[str, int], PositionHistory]:
    last, was = (next(reversed(one.history.values()), None) for one in (now, before))
    is_same = now is not before and len(now.history) == len(before.history) and last is was
    return before.history if is_same else dict(now.history)
