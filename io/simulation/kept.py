"""Whether what the journal knew of a position is known again after a restart: its entry time, and its peak."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from anchorwatch.machine.desk import Desk
from anchorwatch.machine.facts import Fact, LegClosedFact, LegOpenedFact, LegPeakFact
from anchorwatch.machine.units import LegKey


class Remembered:
    """The last durable word on each open leg, over all lives on one disk."""

    def __init__(self) -> None:
        self._opened: dict[LegKey, int] = {}
        self._peaks: dict[LegKey, Decimal] = {}

    def take(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            if isinstance(fact, LegOpenedFact):
                if self._opened.get(fact.leg) != fact.entered_at_ms:
                    self._peaks.pop(fact.leg, None)
                self._opened[fact.leg] = fact.entered_at_ms
            elif isinstance(fact, LegPeakFact):
                self._peaks[fact.leg] = fact.peak_px
            elif isinstance(fact, LegClosedFact):
                self._opened.pop(fact.leg, None)
                self._peaks.pop(fact.leg, None)

    def forgotten(self, desk: Desk) -> list[str]:
        """What this desk knows worse than the journal did, in words."""
        amiss = []
        for leg in desk.context.book.open_legs():
            entered_ms = self._opened.get(leg.leg)
            if entered_ms is not None and leg.entered_ms != entered_ms:
                amiss.append(f"{leg.leg} was entered at {entered_ms}, and is said to be at {leg.entered_ms}")
            peak = self._peaks.get(leg.leg)
            if peak is not None and leg.peak is not None and (leg.peak - peak) * leg.leg.side.sign < 0:
                amiss.append(f"{leg.leg} had its peak at {peak}, and is said to have it at {leg.peak}")
        return amiss
