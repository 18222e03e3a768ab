"""The merged log of a run: what the bot did and what the exchange did, in one order, and a digest of all of it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

# What a trace can show. A run of ten minutes has some thousand entries.
KEPT_MAX = 50_000


class Entry(NamedTuple):
    """One thing that happened: to whom ("bot 1", "exchange", "world"), what, and in words."""

    number: int
    at_s: float
    who: str
    what: str
    words: str

    def line(self) -> str:
        return f"{self.at_s:9.3f}  {self.who:<10} {self.what:<12} {self.words}"


class Chronicle:
    """Every effect of the bot and every event of the exchange, numbered from 1."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT_MAX)
        self.count = 0
        # Told of each entry, after it: who wants to strike at a point of the merged log.
        self.after: Callable[[Entry], None] = lambda _: None
        self._now_s = now_s
        self._hash = hashlib.sha256()

    def add(self, who: str, what: str, words: str) -> None:
        self.count += 1
        entry = Entry(self.count, self._now_s(), who, what, words)
        self.entries.append(entry)
        self._hash.update(f"{entry.at_s!r} {who} {what} {words}\n".encode())
        self.after(entry)

    def digest(self) -> str:
        return self._hash.hexdigest()
