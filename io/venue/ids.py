"""Identifiers as OKX makes them: long decimal strings that grow, and per-instrument trade numbers."""

from __future__ import annotations

# Beyond 2**53, so that a client which reads an id as a float loses it here and not in production.
FIRST_ID = 3_091_064_704_267_000_000
FIRST_TRADE = 1_518_900_000


class Ids:
    """One growing sequence for orders, algos, positions and bills; one per instrument for trades."""

    def __init__(self, seed: int = 0) -> None:
        self._next = FIRST_ID + (seed % 100_000) * 1_000_000_000
        self._trades: dict[str, int] = {}
        self._forced = 0

    def next(self) -> str:
        self._next += 1
        return str(self._next)

    def trade(self, inst_id: str) -> str:
        number = self._trades.get(inst_id, FIRST_TRADE) + 1
        self._trades[inst_id] = number
        return str(number)

    def forced_trade(self) -> str:
        """Trades of liquidation and deleveraging are negative."""
        self._forced -= 1
        return str(self._forced)
