"""(own book, the venue's report) → typed drifts.

A drift is a difference between what we believe and what a complete, successful
reading shows. What is done about each is the desk's; naming them is this file's.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum

import msgspec

from anchorwatch.machine.units import LegKey, PositionMode
from anchorwatch.machine.world import AccountReading, PositionReport


class DriftKind(Enum):
    """The user's names, where the user has one."""

    ADD = "DRIFT_ADD"  # at the venue, not in the book
    REMOVE = "DRIFT_REMOVE"  # in the book, not at the venue
    SIZE = "DRIFT_SIZE"  # in both, with another size
    SIDE = "DRIFT_SIDE"  # in both, in the other direction (net mode)
    STOP_MISSING = "DRIFT_STOP_MISSING"  # a position of ours whose stop does not rest
    STOP_ORPHAN = "DRIFT_STOP_ORPHAN"  # a stop of ours without its position
    STOP_SIZE = "DRIFT_STOP_SIZE"  # a stop of ours that rests with another size than it should have
    ORDER_ORPHAN = "DRIFT_ORDER_ORPHAN"  # an order with our prefix that nobody here waits for
    ORDER_LOST = "DRIFT_ORDER_LOST"  # an order of ours that should rest and is not listed

    __hash__ = object.__hash__


class Drift(msgspec.Struct, frozen=True):
    kind: DriftKind
    leg: LegKey
    ours: Decimal
    theirs: PositionReport | None


class Held(msgspec.Struct, frozen=True):
    """What the book holds of one leg. ``version_ms`` is the venue time of its newest report."""

    contracts: Decimal
    version_ms: int


def drifts(
    book: Mapping[LegKey, Held], reading: AccountReading, mode: PositionMode = PositionMode.HEDGE
) -> tuple[Drift, ...]:
    """Every difference in positions: turned ones first, then in the order of the reading and of the book.

    In net mode a position that has turned is named as such, and is a REMOVE and an ADD besides.

    The reading is fenced by versions: a leg that changed after the reading began is
    left to the pushes that changed it.
    """
    found: list[Drift] = []
    shown: dict[LegKey, PositionReport] = {
        report.leg: report for report in reading.positions if report.contracts
    }
    for leg, report in shown.items():
        held = book.get(leg, Held(Decimal(0), 0))
        if held.version_ms > report.updated_ms:
            continue
        if not held.contracts:
            found.append(Drift(DriftKind.ADD, leg, held.contracts, report))
        elif held.contracts != report.contracts:
            found.append(Drift(DriftKind.SIZE, leg, held.contracts, report))
    for leg, held in book.items():
        if held.contracts and leg not in shown and held.version_ms < reading.started_ms:
            found.append(Drift(DriftKind.REMOVE, leg, held.contracts, None))
    return (*_turned(found, mode), *found)


def _turned(found: list[Drift], mode: PositionMode) -> tuple[Drift, ...]:
    """In net mode an instrument has one position: one gone and one there of another direction are one that turned."""
    if mode is not PositionMode.NET:
        return ()
    gone = {drift.leg.instrument: drift for drift in found if drift.kind is DriftKind.REMOVE}
    return tuple(
        Drift(DriftKind.SIDE, drift.leg, gone[drift.leg.instrument].ours, drift.theirs)
        for drift in found
        if drift.kind is DriftKind.ADD and drift.leg.instrument in gone
    )
