"""Whether the venue is open for entries, by what it has announced and by the clock."""

from __future__ import annotations

from itertools import product

import pytest

from anchorwatch.machine import maintenance as m
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.maintenance import AHEAD_MS, MAINTENANCE, Announced, S

SOON = Announced("upgrade", 1_000_000, 2_000_000, goes_on=False)
EVENTS: tuple[Event, ...] = (m.NoneNear(), m.IsNear(), m.HasBegun())


@pytest.mark.parametrize(
    ("now_ms", "event"),
    [
        (1_000_000 - AHEAD_MS - 1, m.NoneNear()),
        (1_000_000 - AHEAD_MS, m.IsNear()),
        (999_999, m.IsNear()),
        (1_000_000, m.HasBegun()),
        (1_999_999, m.HasBegun()),
        (2_000_000, m.NoneNear()),
    ],
)
def test_the_times_of_one_maintenance_say_where_the_venue_stands(now_ms: int, event: Event) -> None:
    assert m.stands([SOON], now_ms) == event


def test_what_the_venue_says_goes_on_goes_on_whatever_its_times_are() -> None:
    late = Announced("upgrade", 0, 10, goes_on=True)
    assert m.stands([SOON, late], 500) == m.HasBegun()


def test_one_that_is_over_and_another_that_is_near_keep_entries_shut() -> None:
    second = Announced("second", 2_100_000, 2_200_000, goes_on=False)
    snapshot, told = MAINTENANCE.initial, []
    for now_ms in (900_000, 1_000_000, 2_000_000, 2_100_000, 2_200_000):
        snapshot, effects = MAINTENANCE.step(snapshot, m.stands([SOON, second], now_ms))
        told += [(type(effect).__name__, snapshot.state) for effect in effects]
    assert told == [
        ("TellNear", S.NEAR),
        ("TellBegun", S.UNDER_WAY),
        ("TellNear", S.NEAR),
        ("TellBegun", S.UNDER_WAY),
        ("TellOver", S.OPEN),
    ]


def test_always_a_move_is_told_once_and_what_stays_is_told_never() -> None:
    seen, frontier = {MAINTENANCE.initial}, [MAINTENANCE.initial]
    told: dict[bool, list[tuple[Effect, ...]]] = {True: [], False: []}
    while frontier:
        for before, event in product([frontier.pop()], EVENTS):
            after, effects = MAINTENANCE.step(before, event)
            told[after.state is not before.state].append(effects)
            if after not in seen:
                seen.add(after)
                frontier.append(after)
    assert {one.state for one in seen} == set(S)
    assert all(len(effects) == 1 for effects in told[True])
    assert not any(told[False])
