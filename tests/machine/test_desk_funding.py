"""Funding of a position is what the venue says it is, booked once."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine import world
from tests.machine.desk_rig import LONG, DeskRig


def pushed(rig: DeskRig, funding: str, created_ms: int) -> world.PositionPushed:
    report = rig.position(rig.leg().contracts, created_ms=created_ms)
    return world.PositionPushed(msgspec.structs.replace(report, funding=Decimal(funding)))


def test_funding_is_booked_as_it_grows_and_not_twice() -> None:
    rig = DeskRig().booted()
    rig.covered()
    for funding in ("0", "-0.5", "-0.5", "-0.2"):
        rig.say(pushed(rig, funding, created_ms=rig.leg().entered_ms))
    assert rig.totals["funding"] == Decimal("-0.2")


def test_funding_that_a_found_position_had_paid_before_is_not_ours_to_book() -> None:
    rig = DeskRig().booted()
    found = msgspec.structs.replace(rig.position("0.5"), funding=Decimal(-3))
    rig.reconcile(rig.reading(found))
    assert rig.leg(LONG).contracts == Decimal("0.5")
    later = msgspec.structs.replace(found, funding=Decimal("-3.25"))
    rig.say(world.PositionPushed(later))
    assert rig.totals["funding"] == Decimal("-0.25")
