"""The judge of the kill test: each promise, when it is broken, is noticed by its own words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from anchorwatch.io.demo.processes import Line
from anchorwatch.machine import ids
from anchorwatch.machine.facts import (
    Facts,
    GenerationFact,
    IntentFact,
    LegFacts,
    LegOpenedFact,
    LegPeakFact,
    LegStopFact,
)
from anchorwatch.machine.units import Deal, LegKey, Side
from anchorwatch.machine.world import (
    AccountReading,
    OrderReport,
    OrderState,
    PositionReport,
    StopReport,
    StopState,
)
from tests.kill.verdict import Dead, faults

LONG = LegKey("BTC-USDT-SWAP", Side.LONG)
SHORT = LegKey("BTC-USDT-SWAP", Side.SHORT)
ENTERED_MS = 1_767_319_200_000
ENTRY = str(ids.ClientId("generatn", ids.Made.ENTRY, 1))


def a_position(leg: LegKey = LONG, contracts: str = "2") -> PositionReport:
    return PositionReport(leg, Decimal(contracts), Decimal(60_000), ENTERED_MS, ENTERED_MS)


def a_stop(level: str = "59000", seq: int = 1) -> StopReport:
    return StopReport(
        client_id=str(ids.ClientId("generatn", ids.Made.STOP, seq)),
        venue_id=str(seq),
        instrument=LONG.instrument,
        side=Side.LONG,
        deal=Deal.SELL,
        state=StopState.LIVE,
        trigger=Decimal(level),
        contracts=None,
        updated_ms=ENTERED_MS,
    )


def an_order() -> OrderReport:
    return OrderReport(
        client_id="x",
        venue_id="1",
        instrument=LONG.instrument,
        side=Side.LONG,
        deal=Deal.BUY,
        state=OrderState.LIVE,
        filled=Decimal(0),
        average_price=None,
        fee=Decimal(0),
        fill=None,
        stop_client_id="",
        category="normal",
        created_ms=ENTERED_MS,
        updated_ms=ENTERED_MS,
    )


def a_reading(**changed: Any) -> AccountReading:
    whole = AccountReading((a_position(),), (), (a_stop(),), ENTERED_MS)
    return msgspec.structs.replace(whole, **changed)


REMEMBERED = LegFacts(
    LONG,
    opened=LegOpenedFact(LONG, ENTERED_MS, Decimal(60_000), Decimal(2), "", Decimal(59_000), ""),
    stop=LegStopFact(LONG, "x", Decimal(59_000), None, 0),
    peak=LegPeakFact(LONG, Decimal(60_300)),
)
CRASHED = Facts(legs=(REMEMBERED,), generations=(GenerationFact("generatn", ENTERED_MS),))
DEAD = Dead(a_reading(), CRASHED, frozenset({ENTRY}))
RESTORED: Line = {"event": "RESTORED", "leg": str(LONG), "entered_ms": str(ENTERED_MS), "peak": "60300"}
LINES: list[Line] = [{"event": "AFTER_CRASH"}, RESTORED]


def drift(name: str, leg: LegKey = LONG) -> Line:
    return {"event": name, "leg": str(leg)}


def judged(
    dead: Dead = DEAD,
    after: AccountReading | None = None,
    entries: frozenset[str] = DEAD.entries,
    lines: list[Line] = LINES,
) -> str:
    return "; ".join(faults(dead, after or a_reading(), entries, lines))


def test_a_life_that_came_back_as_it_was_holds() -> None:
    assert judged() == ""


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (a_reading(positions=()), "2 contracts before, 0 after"),
        (a_reading(positions=(a_position(contracts="4"),)), "2 contracts before, 4 after"),
        (a_reading(stops=()), "0 stops"),
        (a_reading(stops=(a_stop(), a_stop(seq=2))), "2 stops"),
        (a_reading(stops=(msgspec.structs.replace(a_stop(), contracts=Decimal(1)),)), "does not cover it"),
        (a_reading(positions=(), stops=(a_stop(),)), "a stop without a position"),
        (a_reading(stops=(a_stop("58999.9"),)), "the stop was at 59000, and is at 58999.9"),
        (a_reading(orders=(an_order(),)), "an order rests"),
    ],
)
def test_an_account_that_is_not_as_it_was_is_noticed(after: AccountReading, words: str) -> None:
    assert words in judged(after=after)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("2", "1", ""),  # whole at the death: the next life may take its part
        ("1", "1", ""),
        ("1", "0.5", "1 contracts before, 0.5 after"),
        ("2", "0.5", "2 contracts before, 0.5 after"),
    ],
)
def test_a_part_that_is_taken_twice_is_noticed(before: str, after: str, words: str) -> None:
    opened = msgspec.structs.replace(REMEMBERED.opened, contracts=Decimal(before))  # type: ignore[type-var]
    facts = msgspec.structs.replace(CRASHED, legs=(msgspec.structs.replace(REMEMBERED, opened=opened),))
    dead = Dead(a_reading(positions=(a_position(contracts=before),)), facts, DEAD.entries)
    found = faults(
        dead, a_reading(positions=(a_position(contracts=after),)), DEAD.entries, LINES, {LONG: Decimal(2)}
    )
    assert words in "; ".join(found)
    assert bool(found) == bool(words)


def test_a_second_entry_is_noticed() -> None:
    second = str(ids.ClientId("another1", ids.Made.ENTRY, 1))
    assert f"a second entry: {second}" in judged(entries=DEAD.entries | {second})


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([RESTORED], "not told: AFTER_CRASH"),
        ([LINES[0]], "not restored"),
        ([LINES[0], RESTORED | {"peak": "60000"}], "peak 60300, restored 60000"),
        ([LINES[0], RESTORED | {"entered_ms": "1"}], f"entered at {ENTERED_MS}, restored 1"),
        ([*LINES, drift("DRIFT_REMOVE")], f"not expected: DRIFT_REMOVE {LONG}"),
        ([*LINES, drift("DRIFT_ADD", SHORT)], f"not expected: DRIFT_ADD {SHORT}"),
    ],
)
def test_wrong_words_are_noticed(lines: list[Line], words: str) -> None:
    assert words in judged(lines=lines)


def test_a_drift_that_is_told_once_too_often_is_noticed() -> None:
    gone = a_reading(positions=(), stops=())
    dead = msgspec.structs.replace(DEAD, reading=gone)
    once = [LINES[0], drift("DRIFT_REMOVE")]
    assert judged(dead, gone, lines=once) == ""
    assert "not expected: DRIFT_REMOVE" in judged(dead, gone, lines=[*once, once[1]])
    assert "not told: DRIFT_REMOVE" in judged(dead, gone, lines=[LINES[0]])


def test_what_an_entry_in_doubt_filled_is_no_drift() -> None:
    asked_for = IntentFact(ENTRY, LONG, "entry", "buy", Decimal(2), None, ENTERED_MS, ENTERED_MS)
    dead = msgspec.structs.replace(
        DEAD, facts=msgspec.structs.replace(CRASHED, legs=(), intents=(asked_for,))
    )
    assert judged(dead, lines=[LINES[0]]) == ""
    assert "not expected: DRIFT_ADD" in judged(dead, lines=[LINES[0], drift("DRIFT_ADD")])
