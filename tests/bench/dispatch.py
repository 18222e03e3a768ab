"""How much faster the compiled table answers than `transitions` does, over the same events."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from anchorwatch.machine import connection as c
from anchorwatch.machine import lifecycle as lf
from anchorwatch.machine import permission as p
from anchorwatch.machine.kernel import Definition, Effect, Event, Snapshot

REPEATS = 15  # pairs of measurements, one after the other, so that a busy moment hits both alike
EVENTS = 4_000  # in one measurement: long enough that reading the clock is nothing

Case = tuple[Snapshot[Any], Event]
Step = Callable[[Any, Any], tuple[Any, tuple[Effect, ...]]]


def walked(definition: Definition[Any], start: Snapshot[Any], *events: Event) -> list[Case]:
    """The snapshots before each event of a story, with the event."""
    cases, snapshot = [], start
    for event in events:
        cases.append((snapshot, event))
        snapshot, _ = definition.step(snapshot, event)
    return cases


def stories() -> dict[str, tuple[Definition[Any], list[Case]]]:
    """Runs of events as a bot meets them."""
    connect = walked(
        c.CONNECTION,
        c.idle(c.Name.PRIVATE, c.Limits()),
        c.ConnectRequested(),
        c.SocketOpened(1),
        c.LoginAccepted(1),
        c.ChannelsConfirmed(1),
        c.SilenceNoticed(1),
        c.FrameSeen(1),
        c.LiveLasted(1),
        c.SocketLost(1),
        c.WaitElapsed(2),
        c.SocketLost(1),
    )
    life = walked(
        lf.LIFECYCLE,
        lf.unborn(lf.Limits()),
        lf.StartRequested(),
        *(lf.StageDone(epoch) for epoch in range(1, len(lf.STAGES) + 1)),
        lf.StopRequested(),
    )
    asked: tuple[Event, ...] = (
        p.PauseRequested("x"),
        p.HaltRequested("y"),
        p.ResumeRequested(),
        p.HaltCleared(),
    )
    grants = walked(p.PERMISSION, p.PERMISSION.initial, *asked)
    ignored: list[Case] = [(snapshot, c.SocketLost(1)) for snapshot, _ in connect if snapshot.data.epoch > 1]
    return {
        "connection": (c.CONNECTION, connect),
        "connection, stale events": (c.CONNECTION, ignored),
        "lifecycle": (lf.LIFECYCLE, life),
        "permission": (p.PERMISSION, grants),
    }


def seconds_an_event(step: Step, cases: list[Case]) -> float:
    rounds = range(EVENTS // len(cases))
    began = time.perf_counter()
    for _ in rounds:
        for snapshot, event in cases:
            step(snapshot, event)
    return (time.perf_counter() - began) / (len(rounds) * len(cases))


def run() -> Iterator[str]:
    """A line a story: both times an event, and the ratio as median (least–most) of the pairs."""
    yield f"{'':28}{'transitions':>14}{'compiled':>12}{'ratio':>9}  (least–most)"
    for name, (definition, cases) in stories().items():
        slow, fast = [], []
        seconds_an_event(definition.step_interpreted, cases)  # builds the interpreter
        gc.disable()
        try:
            for _ in range(REPEATS):
                slow.append(seconds_an_event(definition.step_interpreted, cases))
                fast.append(seconds_an_event(definition.step, cases))
        finally:
            gc.enable()
        ratios = [one / other for one, other in zip(slow, fast, strict=True)]
        yield (
            f"{name:28}{statistics.median(slow) * 1e6:>11.2f} µs{statistics.median(fast) * 1e6:>9.2f} µs"
            f"{statistics.median(ratios):>8.1f}×  ({min(ratios):.1f}–{max(ratios):.1f})"
        )
