"""Requests under way: one answer each, and at the stop nobody waits for a reading, nor gives a write up too soon."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from anchorwatch.io.in_flight import InFlight
from anchorwatch.machine.kernel import Event


class Answered(Event, frozen=True):
    what: str


async def answer(what: str, after_s: float) -> Event:
    await trio.sleep(after_s)
    return Answered(what)


async def sweep(after_s: float) -> None:
    await trio.sleep(after_s)


async def test_every_request_ends_in_one_event(autojump_clock: MockClock) -> None:
    heard: list[Event] = []
    async with trio.open_nursery() as nursery:
        requests = InFlight(nursery, heard.append)
        requests.write(answer, "order", 2)
        requests.read(answer, "positions", 1)
        requests.write(sweep, 3)
    assert heard == [Answered("positions"), Answered("order")]
    assert trio.current_time() == 3


async def test_at_the_stop_reads_are_given_up_and_writes_waited_for(autojump_clock: MockClock) -> None:
    heard: list[Event] = []
    async with trio.open_nursery() as nursery:
        requests = InFlight(nursery, heard.append)
        requests.read(answer, "positions", 1)
        requests.write(answer, "stop", 0.2)
        assert await requests.settle(within_s=0.5) == []
        assert trio.current_time() == 0.2
    assert heard == [Answered("stop")]


async def test_a_write_without_an_answer_is_given_up_by_name(autojump_clock: MockClock) -> None:
    heard: list[Event] = []
    async with trio.open_nursery() as nursery:
        requests = InFlight(nursery, heard.append)
        requests.write(answer, "order", 60)
        requests.write(answer, "stop", 0.1)
        assert await requests.settle(within_s=0.5) == ["answer"]
        assert trio.current_time() == 0.5
    assert heard == [Answered("stop")]


async def test_what_an_answer_asks_for_meanwhile_is_given_up_or_waited_for_as_well(
    autojump_clock: MockClock,
) -> None:
    heard: list[Event] = []
    async with trio.open_nursery() as nursery:

        def ask_more(event: Event) -> None:
            heard.append(event)
            if event == Answered("first"):
                requests.write(answer, "second", 0.1)
                requests.read(answer, "reading", 0.1)

        requests = InFlight(nursery, ask_more)
        requests.write(answer, "first", 0.1)
        assert await requests.settle(within_s=0.5) == []
    assert heard == [Answered("first"), Answered("second")]


async def test_nothing_under_way_is_settled_at_once(autojump_clock: MockClock) -> None:
    heard: list[Event] = []
    async with trio.open_nursery() as nursery:
        assert await InFlight(nursery, heard.append).settle(within_s=0.5) == []
    assert trio.current_time() == 0
