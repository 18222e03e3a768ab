"""The machines that watch beside the bot's own parts: room to the liquidation, the spread, maintenance, the candles.

No world of the check has them, because they hear of numbers that are no part of it: contracts alone judge their edits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anchorwatch.diagrams.check.contracts.driving import BESIDE, Contract
from anchorwatch.machine import candle_repair, guards, maintenance
from anchorwatch.machine.candle_repair import Repair
from anchorwatch.machine.kernel import Data, Effect, Event, Snapshot, State
from anchorwatch.machine.units import Side

Told = tuple[tuple[State, Event, State, tuple[Effect, ...]], ...]
"""In this state, on this event: to this state, with these effects and no others."""

L, G, V, K = guards.L, guards.G, maintenance.S, candle_repair.S
ROOM = (guards.RoomAmple(), guards.RoomShrunk(), guards.RoomScarce(), guards.RoomGone())


def _step(machine: str, before: Snapshot[Any], event: Event) -> tuple[Snapshot[Any], tuple[Effect, ...]]:
    return BESIDE[machine].step(before, event)


def _as_told(machine: str, data: Data, told: Told) -> bool:
    return all(
        _step(machine, Snapshot(source, data), event) == (Snapshot(dest, data), effects)
        for source, event, dest, effects in told
    )


def _silent(machine: str, states: Iterable[State], data: Data, *events: Event) -> bool:
    return _as_told(machine, data, tuple((state, event, state, ()) for state in states for event in events))


def a_leg_is_closed_before_the_exchange_does_it() -> bool:
    """R1.5: told where the room shrinks, alarmed where it is scarce, closed where it is gone: each once."""
    name, data = "liquidation_guard", guards.Nothing()
    ample, shrunk, scarce, gone = ROOM
    close = (guards.CloseForRoom(),)
    worse: Told = (
        (L.CALM, shrunk, L.WARNED, (guards.WarnOfRoom(),)),
        (L.CALM, scarce, L.DANGER, (guards.AlarmOfRoom(),)),
        (L.WARNED, scarce, L.DANGER, (guards.AlarmOfRoom(),)),
        *((state, gone, L.CLOSING, close) for state in (L.CALM, L.WARNED, L.DANGER)),
    )
    better: Told = (
        (L.WARNED, ample, L.CALM, ()),
        (L.DANGER, ample, L.CALM, ()),
        (L.DANGER, shrunk, L.WARNED, ()),
        *((state, guards.LegOver(), L.CALM, ()) for state in (L.WARNED, L.DANGER, L.CLOSING)),
    )
    once = (
        _silent(name, (L.CALM,), data, ample, guards.LegOver())
        and _silent(name, (L.WARNED,), data, shrunk)
        and _silent(name, (L.DANGER,), data, scarce)
        and _silent(name, (L.CLOSING,), data, *ROOM)
    )
    return _as_told(name, data, worse) and _as_told(name, data, better) and once


def a_guard_is_on_from_safety_until_the_stop() -> bool:
    """R1.5, R10.2: before the one and after the other it answers nothing."""
    started, stopped, data = guards.GuardStarted(), guards.GuardStopped(), guards.Nothing()
    room_on, spread_on = (L.CALM, L.WARNED, L.DANGER, L.CLOSING), (G.CALM, G.WIDE)
    drifted = guards.EntryDrifted(Side.LONG)
    return (
        _as_told("liquidation_guard", data, ((L.OFF, started, L.CALM, ()),))
        and _as_told("liquidation_guard", data, tuple((state, stopped, L.OFF, ()) for state in room_on))
        and _silent("liquidation_guard", room_on, data, started)
        and _silent("liquidation_guard", (L.OFF,), data, *ROOM, guards.LegOver(), stopped)
        and _as_told("slippage_guard", data, ((G.OFF, started, G.CALM, ()), (G.CALM, stopped, G.OFF, ())))
        and _as_told("slippage_guard", data, ((G.WIDE, stopped, G.OFF, (guards.OpenEntries(),)),))
        and _silent("slippage_guard", spread_on, data, started)
        and _silent(
            "slippage_guard", (G.OFF,), data, guards.SpreadWide(), guards.SpreadNarrow(), drifted, stopped
        )
    )


def a_wide_spread_takes_no_entry() -> bool:
    """R1.5: the slippage guard can fire: entries are shut while the spread is wide, and one that ran away is given up."""
    name, data = "slippage_guard", guards.Nothing()
    spread: Told = (
        (G.CALM, guards.SpreadWide(), G.WIDE, (guards.ShutEntries(),)),
        (G.WIDE, guards.SpreadNarrow(), G.CALM, (guards.OpenEntries(),)),
        *(
            (state, guards.EntryDrifted(side), state, (guards.GiveUpEntry(side),))
            for state in (G.CALM, G.WIDE)
            for side in Side
        ),
    )
    told = _silent(name, (G.CALM,), data, guards.SpreadNarrow()) and _silent(
        name, (G.WIDE,), data, guards.SpreadWide()
    )
    return _as_told(name, data, spread) and told


def maintenance_is_told_when_it_is_near_begins_and_ends() -> bool:
    name, data = "maintenance", maintenance.Nothing()
    near, begun, over = maintenance.IsNear(), maintenance.HasBegun(), maintenance.NoneNear()
    told: Told = (
        (V.OPEN, near, V.NEAR, (maintenance.TellNear(),)),
        (V.OPEN, begun, V.UNDER_WAY, (maintenance.TellBegun(),)),
        (V.NEAR, begun, V.UNDER_WAY, (maintenance.TellBegun(),)),
        (V.NEAR, over, V.OPEN, (maintenance.TellCalledOff(),)),
        (V.UNDER_WAY, over, V.OPEN, (maintenance.TellOver(),)),
        (V.UNDER_WAY, near, V.NEAR, (maintenance.TellNear(),)),
        (V.OPEN, over, V.OPEN, ()),
        (V.NEAR, near, V.NEAR, ()),
        (V.UNDER_WAY, begun, V.UNDER_WAY, ()),
    )
    return _as_told(name, data, told)


def missing_candles_are_read_until_they_are_there_or_are_a_hole() -> bool:
    """R8, R9.1: one request at a time; three complete answers without them are a hole, no answer is none."""
    name = "candle_repair"
    hole, due = candle_repair.HoleStands(), candle_repair.RepairDue()
    reading: tuple[Effect, ...] = (candle_repair.ReadCandles(),)
    waiting: tuple[Effect, ...] = (candle_repair.WaitForRepair(),)
    snapshot, effects = _step(name, Snapshot(K.SOUND, Repair()), candle_repair.CandlesMissed())
    if (snapshot.state, effects) != (K.READING, reading):
        return False
    for _ in range(2):
        snapshot, effects = _step(name, snapshot, hole)
        if (snapshot.state, effects) != (K.WAITING, waiting):
            return False
        snapshot, effects = _step(name, snapshot, due)
        if (snapshot.state, effects) != (K.READING, reading):
            return False
    given_up = (Snapshot(K.SOUND, Repair()), (candle_repair.GiveUpHole(),))
    if _step(name, snapshot, hole) != given_up:
        return False
    asked, whole = Repair(2), candle_repair.CandlesWhole()
    answers = (hole, candle_repair.StallStands(), candle_repair.ReadingMissed())
    patient: Told = tuple((K.READING, event, K.WAITING, waiting) for event in answers[1:])
    return (
        _as_told(name, asked, patient)
        and all(
            _step(name, Snapshot(state, asked), whole) == (Snapshot(K.SOUND, Repair()), ())
            for state in (K.READING, K.WAITING)
        )
        and _silent(name, (K.SOUND,), Repair(), whole, due, *answers)
        and _silent(name, (K.READING,), asked, candle_repair.CandlesMissed(), due)
        and _silent(name, (K.WAITING,), asked, candle_repair.CandlesMissed(), *answers)
    )


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        "R1.5", "a leg is closed before the exchange does it", a_leg_is_closed_before_the_exchange_does_it
    ),
    Contract("R10.2", "a guard is on from SAFETY until the stop", a_guard_is_on_from_safety_until_the_stop),
    Contract("R1.5", "a wide spread takes no entry", a_wide_spread_takes_no_entry),
    Contract(
        "R9",
        "maintenance is told when it is near, begins and ends",
        maintenance_is_told_when_it_is_near_begins_and_ends,
    ),
    Contract(
        "R9.1",
        "missing candles are read until they are there, or are a hole",
        missing_candles_are_read_until_they_are_there_or_are_a_hole,
    ),
)
