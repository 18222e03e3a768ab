"""How long positions lie open without a live stop, by the exchange's own clock and its own books.

The watcher stands inside the exchange and knows nothing of the bot: a spell begins with the first contract that no
live stop would close, and ends with the first live stop that covers the whole leg, or when the leg is flat.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.orders import AlgoOrder
from anchorwatch.io.venue.positions import Position

Leg = tuple[str, str]
"""Instrument, and long or short: in net mode by direction."""


class Spell(NamedTuple):
    leg: Leg
    began_ms: int
    ended_ms: int

    @property
    def lasted_ms(self) -> int:
        return self.ended_ms - self.began_ms


class Ghost:
    """Watches one account of ``venue`` from now on. ``counts`` says which positions matter."""

    def __init__(
        self, venue: Venue, account: str = "main", counts: Callable[[Position], bool] = lambda _: True
    ) -> None:
        self.spells: list[Spell] = []
        self._venue = venue
        self._account = venue.accounts[account]
        self._counts = counts
        self._since: dict[Leg, int] = {}
        self._covered: set[Leg] = set()
        settle = venue.settle

        def settle_and_look() -> None:
            settle()
            self._look()

        # Whatever changes an account is settled before the next thing happens, so nothing falls between two looks.
        venue.settle = settle_and_look  # type: ignore[method-assign]

    @property
    def bare(self) -> dict[Leg, int]:
        """The legs that are uncovered at this moment, and since when."""
        return dict(self._since)

    def _look(self) -> None:
        now_ms = self._venue.now_ms()
        held = {
            leg_of(one): abs(one.contracts) for one in self._account.open_positions() if self._counts(one)
        }
        stops = list(self._account.algos.values())
        bare = {leg for leg, contracts in held.items() if not is_covered(leg, contracts, stops)}
        for leg in bare - self._since.keys():
            self._since[leg] = now_ms
        for leg in self._since.keys() - bare:
            self.spells.append(Spell(leg, self._since.pop(leg), now_ms))
        for leg in held.keys() - bare - self._covered:
            if not self.spells or self.spells[-1].leg != leg or self.spells[-1].ended_ms != now_ms:
                self.spells.append(Spell(leg, now_ms, now_ms))  # covered in the moment of its first fill
        self._covered = held.keys() - bare


def leg_of(position: Position) -> Leg:
    return position.inst_id, "long" if position.direction > 0 else "short"


def is_covered(leg: Leg, contracts: Decimal, stops: list[AlgoOrder]) -> bool:
    """Whether the live stops would close the whole leg."""
    covering = Decimal(0)
    for stop in stops:
        closes = stop.inst_id == leg[0] and stop.side == ("sell" if leg[1] == "long" else "buy")
        if (
            not closes
            or not stop.is_pending
            or stop.sl_trigger_px is None
            or stop.pos_side not in (leg[1], "net")
        ):
            continue
        if stop.closes_whole_position:
            return True
        covering += stop.contracts or Decimal(0)
    return covering >= contracts
