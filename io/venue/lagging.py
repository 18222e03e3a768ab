"""The accounts as they were a moment ago, for an exchange whose REST answers lag behind its pushes (fault `rest_lag`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from anchorwatch.io.venue.accounts import Account

# How far back an answer may lie. Real lags are fractions of a second; more is an outage, which has its own faults.
LAG_MAX_MS = 60_000
# Copies kept: at more than this many changes within `LAG_MAX_MS` the oldest are forgotten and the lag is shorter.
COPIES_MAX = 2_000


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
        self._copies.append(_Copy(now_ms, {one.name: _copied(one) for one in accounts}))
        while len(self._copies) > 1 and self._copies[1].since_ms < now_ms - LAG_MAX_MS:
            self._copies.popleft()

    def account_at(self, account: Account, then_ms: int) -> Account:
        """The account as it was then, or as early as it is remembered; itself when nothing is."""
        for copy in reversed(self._copies):
            if copy.since_ms <= then_ms:
                return copy.accounts[account.name]
        return self._copies[0].accounts[account.name] if self._copies else account


def _copied(account: Account) -> Account:
    """What can still change is copied; finished records are shared."""
    return replace(
        account,
        levers=dict(account.levers),
        positions={key: replace(one) for key, one in account.positions.items()},
        pending={key: replace(one) for key, one in account.pending.items()},
        done=account.done.copy(),
        algos={key: replace(one) for key, one in account.algos.items()},
        algos_done=account.algos_done.copy(),
        fills=account.fills.copy(),
        bills=account.bills.copy(),
        history=dict(account.history),
    )
