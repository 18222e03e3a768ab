"""Named timers: told once, replaced by their like, and silent once they are cancelled."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from anchorwatch.io.timers import Timers
from anchorwatch.machine.kernel import Event


class Rang(Event, frozen=True):
    number: int


class Bells:
    """Timers, and when each rang."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.heard: list[tuple[float, int]] = []
        self.timers = Timers(nursery, self._hear)

    def _hear(self, event: Event) -> None:
        assert isinstance(event, Rang)
        self.heard.append((trio.current_time(), event.number))


async def test_a_timer_rings_once_when_it_is_due(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        bells = Bells(nursery)
        bells.timers.start("b", 2, Rang(2))
        bells.timers.start("a", 1, Rang(1))
        assert len(bells.timers) == 2
    assert bells.heard == [(1, 1), (2, 2)]
    assert len(bells.timers) == 0


async def test_a_timer_of_the_same_name_replaces_the_other(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        bells = Bells(nursery)
        bells.timers.start("a", 5, Rang(1))
        await trio.sleep(1)
        bells.timers.start("a", 5, Rang(2))
    assert bells.heard == [(6, 2)]


async def test_a_cancelled_timer_is_not_heard_even_when_it_was_due(autojump_clock: MockClock) -> None:
    heard: list[Event] = []
    async with trio.open_nursery() as nursery:

        def hear_one_and_cancel_both(event: Event) -> None:
            heard.append(event)
            timers.cancel("a")
            timers.cancel("b")

        timers = Timers(nursery, hear_one_and_cancel_both)
        timers.start("a", 1, Rang(1))
        timers.start("b", 1, Rang(2))  # wakes in the same moment, and is cancelled by whichever comes first
    assert len(heard) == 1


async def test_cancelling_nothing_is_nothing(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        bells = Bells(nursery)
        bells.timers.cancel("a")
        bells.timers.start("a", 1, Rang(1))
        await trio.sleep(2)
        bells.timers.cancel("a")
    assert bells.heard == [(1, 1)]


async def test_all_but_some_are_given_up_together(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        bells = Bells(nursery)
        for number, key in enumerate(("lifecycle deadline", "naked BTC", "query BTC")):
            bells.timers.start(key, 1, Rang(number))
        bells.timers.cancel_except("lifecycle")
    assert bells.heard == [(1, 0)]


async def test_a_timer_may_start_another_of_its_own_name(autojump_clock: MockClock) -> None:
    heard: list[float] = []
    async with trio.open_nursery() as nursery:

        def again(event: Event) -> None:
            heard.append(trio.current_time())
            if len(heard) < 3:
                timers.start("a", 1, event)

        timers = Timers(nursery, again)
        timers.start("a", 1, Rang(1))
    assert heard == [1, 2, 3]
