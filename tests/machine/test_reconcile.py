"""What differs between the book and a complete reading, by name."""

from __future__ import annotations

from decimal import Decimal

import pytest

from anchorwatch.machine.reconcile import Drift, DriftKind, Held, drifts
from anchorwatch.machine.units import LegKey, PositionMode
from anchorwatch.machine.world import AccountReading, PositionReport
from tests.machine.desk_rig import LONG, SHORT

READ_MS = 10_000


def held(contracts: str, version_ms: int = 5_000) -> Held:
    return Held(Decimal(contracts), version_ms)


def shown(contracts: str, leg: LegKey = LONG, updated_ms: int = 5_000) -> PositionReport:
    return PositionReport(leg, Decimal(contracts), Decimal(60_000), 1_000, updated_ms)


def reading(*positions: PositionReport) -> AccountReading:
    return AccountReading(positions, (), (), READ_MS)


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (None, "1", DriftKind.ADD),
        ("0", "1", DriftKind.ADD),
        ("1", None, DriftKind.REMOVE),
        ("1", "0", DriftKind.REMOVE),  # the venue may show a closed position with size 0
        ("1", "2", DriftKind.SIZE),
        ("2", "1", DriftKind.SIZE),
        ("1", "1", None),
        (None, None, None),
        ("0", None, None),
        ("0", "0", None),
    ],
)
def test_every_difference_has_a_name(ours: str | None, theirs: str | None, kind: DriftKind | None) -> None:
    book = {} if ours is None else {LONG: held(ours)}
    found = drifts(book, reading() if theirs is None else reading(shown(theirs)))
    assert [drift.kind for drift in found] == ([] if kind is None else [kind])


def test_each_leg_is_compared_by_itself() -> None:
    found = drifts({LONG: held("1")}, reading(shown("2", SHORT)))
    assert found == (
        Drift(DriftKind.ADD, SHORT, Decimal(0), shown("2", SHORT)),
        Drift(DriftKind.REMOVE, LONG, Decimal(1), None),
    )


def test_in_net_mode_a_position_that_turned_is_named_before_its_two_halves() -> None:
    found = drifts({LONG: held("1")}, reading(shown("2", SHORT)), PositionMode.NET)
    assert [drift.kind for drift in found] == [DriftKind.SIDE, DriftKind.ADD, DriftKind.REMOVE]
    assert found[0] == Drift(DriftKind.SIDE, SHORT, Decimal(1), shown("2", SHORT))


@pytest.mark.parametrize("theirs", ["1", "2", None])
def test_a_leg_that_changed_after_the_reading_began_is_left_to_its_pushes(theirs: str | None) -> None:
    book = {LONG: held("3", version_ms=READ_MS + 1)}
    assert drifts(book, reading() if theirs is None else reading(shown(theirs))) == ()


def test_a_change_in_the_very_millisecond_of_the_reading_is_newer_than_it() -> None:
    assert drifts({LONG: held("3", version_ms=READ_MS)}, reading()) == ()


def test_a_report_that_is_older_than_the_book_does_not_take_its_size_back() -> None:
    assert drifts({LONG: held("3", version_ms=6_000)}, reading(shown("1", updated_ms=5_999))) == ()
