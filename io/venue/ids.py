"""Identifiers as OKX makes them: long decimal strings that grow, and per-instrument trade numbers."""

from __future__ import annotations

import msgspec

# Beyond 2**53, so that a client which reads an id as a float loses it here and not in production.
FIRST_ID = 3_091_064_704_267_000_000
FIRST_TRADE = 1_518_900_000


# After a crash up to a few seconds of identifiers were handed out that no record tells of: skip more than those.
RESUME_GAP = 1_000_000


class IdsState(msgspec.Struct, frozen=True):
    """The last identifiers handed out."""

    last: int
    trades: dict[str, int]
    first_trade: int
    forced: int


class Ids:
    """One growing sequence for orders, algos, positions and bills; one per instrument for trades."""

    def __init__(self, seed: int = 0) -> None:
        self._next = FIRST_ID + (seed % 100_000) * 1_000_000_000
        self._trades: dict[str, int] = {}
        self._first_trade = FIRST_TRADE
        self._forced = 0

    def next(self) -> str:
        self._next += 1
        return str(self._next)

    def trade(self, inst_id: str) -> str:
        number = self._trades.get(inst_id, self._first_trade) + 1
        self._trades[inst_id] = number
        return str(number)

    def forced_trade(self) -> str:
        """Trades of liquidation and deleveraging are negative."""
        self._forced -= 1
        return str(self._forced)

    def state(self) -> IdsState:
        return IdsState(self._next, dict(self._trades), self._first_trade, self._forced)

    def resume(self, state: IdsState) -> None:
        """Go on behind a saved state, with a gap, so that no identifier is ever handed out twice."""
        self._next = state.last + RESUME_GAP
        self._trades = {inst_id: number + RESUME_GAP for inst_id, number in state.trades.items()}
        self._first_trade = state.first_trade + RESUME_GAP
        self._forced = state.forced - RESUME_GAP
