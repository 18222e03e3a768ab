"""What must hold after a death: the account as it was, every position with one live stop, and the right words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from anchorwatch.io.demo.processes import Line
from anchorwatch.machine import ids, order
from anchorwatch.machine.facts import Facts, LegFacts
from anchorwatch.machine.trailing_stop import further_peak, is_tighter, tighter
from anchorwatch.machine.units import LegKey, MarginMode, Price, Side, closing_deal
from anchorwatch.machine.world import AccountReading, StopReport

ENTRY_TIME_TOLERANCE_MS = 1_000
"""Between the fill by which the bot knew a position and the exchange's own time of its beginning."""

PART = Decimal("0.5")
"""The share that is taken, where parts are."""

DRIFTS = ("DRIFT_ADD", "DRIFT_REMOVE", "DRIFT_SIZE", "DRIFT_STOP_MISSING")


class Dead(msgspec.Struct, frozen=True):
    """The account and the journal while the bot is dead."""

    reading: AccountReading
    facts: Facts
    entries: frozenset[str]


def held(reading: AccountReading) -> dict[LegKey, Decimal]:
    return {row.leg: row.contracts for row in reading.positions if row.contracts}


def remembered(facts: Facts) -> dict[LegKey, LegFacts]:
    return {leg.leg: leg for leg in facts.legs if leg.opened is not None}


def stops_of(reading: AccountReading) -> dict[LegKey, list[StopReport]]:
    """The live stops of the bot, by the leg that they close."""
    found: dict[LegKey, list[StopReport]] = {}
    for stop in reading.stops:
        if ids.parse(stop.client_id) is not None:
            side = stop.side or next(side for side in Side if closing_deal(side) is stop.deal)
            found.setdefault(LegKey(stop.instrument, side, MarginMode.CROSS), []).append(stop)
    return found


def faults(
    dead: Dead,
    after: AccountReading,
    entries: frozenset[str],
    lines: Sequence[Line],
    whole: Mapping[LegKey, Decimal] | None = None,
) -> list[str]:
    """Everything that is wrong with the next life; empty when it holds.

    ``whole`` is what positions began with, where a part of each may be taken once.
    """
    return [
        *_positions(dead, after, whole or {}),
        *_cover(after),
        *_never_looser(dead, after),
        *(f"an order rests: {row.client_id}" for row in after.orders),
        *(f"a second entry: {name}" for name in sorted(entries - dead.entries)),
        *_memory(dead, lines),
        *_words(dead, lines),
    ]


def _positions(dead: Dead, after: AccountReading, whole: Mapping[LegKey, Decimal]) -> list[str]:
    """As they were; but an entry that rested at the death may have filled until the next life took it back, and of a
    position that was whole the next life may take a part."""
    was, now = held(dead.reading), held(after)
    rested = {
        (row.instrument, row.side)
        for row in dead.reading.orders
        if (made := ids.parse(row.client_id)) is not None and made.made_for is ids.Made.ENTRY
    }

    def may_be(leg: LegKey) -> bool:
        before, found = was.get(leg, Decimal(0)), now.get(leg, Decimal(0))
        if (leg.instrument, leg.side) in rested and found > before:
            return True
        return found == before or (before == whole.get(leg) and found == before * PART)

    return [
        f"{leg}: {was.get(leg, 0)} contracts before, {now.get(leg, 0)} after"
        for leg in {**was, **now}
        if not may_be(leg)
    ]


def _cover(after: AccountReading) -> list[str]:
    wrong, stops, open_ = [], stops_of(after), held(after)
    for leg, contracts in open_.items():
        own = stops.get(leg, [])
        if len(own) != 1:
            wrong.append(f"{leg}: {len(own)} stops")
        elif own[0].trigger is None or (own[0].contracts is not None and own[0].contracts < contracts):
            wrong.append(f"{leg}: its stop does not cover it")
    return wrong + [f"{leg}: a stop without a position" for leg in stops if leg not in open_]


def _never_looser(dead: Dead, after: AccountReading) -> list[str]:
    """Neither than the tightest stop that rested, nor than the journal's level."""
    wrong, rested, now = [], stops_of(dead.reading), stops_of(after)
    known = remembered(dead.facts)
    for leg in held(after):
        levels = [Price(stop.trigger) for stop in rested.get(leg, []) if stop.trigger is not None]
        facts = known.get(leg)
        if facts is not None and facts.stop is not None:
            levels.append(Price(facts.stop.trigger_px))
        if not levels or leg not in now:
            continue
        least = levels[0]
        for level in levels:
            least = tighter(leg.side, least, level)
        trigger = now[leg][0].trigger
        if trigger is None or is_tighter(leg.side, least, trigger):
            wrong.append(f"{leg}: the stop was at {least}, and is at {trigger}")
    return wrong


def _memory(dead: Dead, lines: Sequence[Line]) -> list[str]:
    """Entry time and peak, as the journal had them; and the journal's entry time against the exchange's."""
    wrong = []
    known, shown = remembered(dead.facts), {row.leg: row for row in dead.reading.positions if row.contracts}
    restored = {line["leg"]: line for line in lines if line.get("event") == "RESTORED"}
    for leg, facts in known.items():
        if leg not in shown:
            continue
        line = restored.get(str(leg))
        if line is None:
            wrong.append(f"{leg}: not restored")
            continue
        assert facts.opened is not None
        peak = Price(facts.opened.entry_px)
        if facts.peak is not None:
            peak = further_peak(leg.side, peak, facts.peak.peak_px)
        if int(line["entered_ms"]) != facts.opened.entered_at_ms:
            wrong.append(f"{leg}: entered at {facts.opened.entered_at_ms}, restored {line['entered_ms']}")
        if Decimal(line["peak"]) != peak:
            wrong.append(f"{leg}: peak {peak}, restored {line['peak']}")
        if abs(facts.opened.entered_at_ms - shown[leg].created_ms) > ENTRY_TIME_TOLERANCE_MS:
            wrong.append(f"{leg}: the journal's entry time is not the exchange's")
    return wrong


def _words(dead: Dead, lines: Sequence[Line]) -> list[str]:
    """The drift report: what changed while nobody looked, each once, and nothing else."""
    wrong = []
    # A process that died before it wrote its first fact has not lived, as far as the journal can know.
    start = "CLEAN_START" if dead.facts.stopped_cleanly else "AFTER_CRASH"
    if not any(line.get("event") == start for line in lines):
        wrong.append(f"not told: {start}")
    said = Counter(f"{line['event']} {line['leg']}" for line in lines if line.get("event") in DRIFTS)
    for text in (said - expected_drifts(dead)).elements():
        wrong.append(f"not expected: {text}")
    for text in (expected_drifts(dead) - said).elements():
        wrong.append(f"not told: {text}")
    return wrong


def expected_drifts(dead: Dead) -> Counter[str]:
    known, shown = remembered(dead.facts), held(dead.reading)
    asked_for = {fact.leg for fact in dead.facts.intents if fact.role == order.Role.ENTRY.value}
    drifts = Counter[str]()
    for leg, contracts in shown.items():
        facts = known.get(leg)
        if facts is None:
            # A position of an entry in doubt is what the question about that entry finds.
            drifts[f"DRIFT_ADD {leg}"] += leg not in asked_for
        elif facts.opened is not None and facts.opened.contracts != contracts:
            drifts[f"DRIFT_SIZE {leg}"] += 1
    for leg in known:
        drifts[f"DRIFT_REMOVE {leg}"] += leg not in shown
    return +drifts
