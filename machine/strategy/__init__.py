"""What wants a position: ``MarketView → Intent | None``, pure.

A strategy sees closed candles and the position that is open; it answers with what it
would do. It never sees an order, and it cannot loosen a stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

import msgspec

from anchorwatch.machine.units import Side
from anchorwatch.machine.world import Candle


class Wish(Enum):
    """What a strategy asks for."""

    ENTER = "enter"
    EXIT = "exit"


class Intent(msgspec.Struct, frozen=True):
    """``side`` is the side of the position; ``why`` is for people."""

    wish: Wish
    side: Side
    why: str


class MarketView(msgspec.Struct, frozen=True):
    """What a strategy may know when a candle has closed. ``candles`` are oldest first and end with that one."""

    instrument: str
    candles: Sequence[Candle]
    open_side: Side | None


class Strategy(Protocol):
    """One strategy for one instrument. It may keep state: it sees every closed candle once, in order."""

    @property
    def candles_needed(self) -> int:
        """How many closed candles must have been seen before its answers mean something."""

    def warm(self, candle: Candle) -> None:
        """Take a candle of history."""

    def decide(self, view: MarketView) -> Intent | None:
        """Take the newest candle of ``view`` and answer."""
