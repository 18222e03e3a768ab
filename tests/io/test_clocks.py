"""Every test runs real sockets or real computing against the paced clock, for a second at most."""

import math
import socket as stdlib_socket
import time
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
import trio.testing

from anchorwatch.io.clocks import CATCH_UP_MAX_S, GRAIN_S, PacedClock

PING_EVERY_S = 20.0
ANSWER_WITHIN_S = 10.0


def busy(real_s: float) -> None:
    """Compute for so long, as a garbage collection or a slow disk would."""
    until = time.perf_counter() + real_s
    while time.perf_counter() < until:
        pass


async def echo(stream: trio.SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def feed(stream: trio.SocketStream) -> None:
    """Market data: ten messages a virtual second."""
    async with stream:
        while True:
            await trio.sleep(0.1)
            await stream.send_all(b"tick" * 50)


class KeepAlive:
    def __init__(self) -> None:
        self.answers = 0
        self.misses = 0
        self.slowest_s = 0.0

    async def ping(self, stream: trio.SocketStream) -> None:
        async with stream:
            while True:
                await trio.sleep(PING_EVERY_S)
                sent_at = trio.current_time()
                with trio.move_on_after(ANSWER_WITHIN_S) as waiting:
                    await stream.send_all(b"ping")
                    assert await stream.receive_some(4) == b"ping"
                self.misses += waiting.cancelled_caught
                self.answers += not waiting.cancelled_caught
                self.slowest_s = max(self.slowest_s, trio.current_time() - sent_at)


async def keep_alives_beside_a_feed(
    for_s: float, work: Callable[[], Awaitable[None]] | None = None
) -> KeepAlive:
    kept = KeepAlive()

    async def read_feed(stream: trio.SocketStream) -> None:
        async with stream:
            async for _ in stream:
                pass

    async with trio.open_nursery() as nursery:
        [answering] = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
        [feeding] = await nursery.start(partial(trio.serve_tcp, feed, 0, host="127.0.0.1"))
        for _ in range(4):
            nursery.start_soon(kept.ping, await trio.testing.open_stream_to_socket_listener(answering))
        nursery.start_soon(read_feed, await trio.testing.open_stream_to_socket_listener(feeding))
        if work is not None:
            nursery.start_soon(work)
        await trio.sleep(for_s)
        nursery.cancel_scope.cancel()
    return kept


@pytest.mark.parametrize("speed", [600.0, math.inf])
def test_keep_alives_over_real_sockets_never_miss(speed: float) -> None:
    clock = PacedClock(speed)
    kept = trio.run(keep_alives_beside_a_feed, 210.0, clock=clock)
    assert (kept.answers, kept.misses) == (4 * 10, 0)
    assert kept.slowest_s < ANSWER_WITHIN_S / 2
    assert clock.speed_reached() > 50  # it is far from real time even on a slow machine


@pytest.mark.parametrize("speed", [600.0, math.inf])
def test_long_pauses_of_the_process_do_not_fire_keep_alives(speed: float) -> None:
    async def work() -> None:
        while True:
            busy(0.03)  # at 600× a plain fast clock would pass 18 s here, and the answer deadline
            await trio.sleep(7)

    kept = trio.run(keep_alives_beside_a_feed, 105.0, work, clock=PacedClock(speed))
    assert (kept.answers, kept.misses) == (4 * 5, 0)


async def missed_answers(answer_within_s: float, count: int) -> int:
    """How many of `count` answers that lie in the kernel when trio goes idle miss their deadline.

    The answering end is a plain socket: a trio one would give trio a turn to see the bytes before it idles. Who
    waits is told by a reader task, as a WebSocket library's ping is: one more step than reading oneself.
    """
    missed = 0
    plain, reading_end = stdlib_socket.socketpair()
    with plain, trio.socket.from_stdlib_socket(reading_end) as reading:

        async def answer() -> None:
            await trio.sleep(answer_within_s / 2)
            plain.send(b"!")

        async def read(answered: trio.Event) -> None:
            await reading.recv(1)
            answered.set()

        for _ in range(count):
            answered = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read, answered)
                nursery.start_soon(answer)
                with trio.move_on_after(answer_within_s) as waiting:
                    await answered.wait()
                missed += waiting.cancelled_caught
    return missed


@pytest.mark.parametrize("speed", [1e6, math.inf])
@pytest.mark.parametrize("answer_within_s", [0.001, 0.5, 5.0])
def test_an_answer_in_the_kernel_beats_even_a_near_deadline(speed: float, answer_within_s: float) -> None:
    assert trio.run(missed_answers, answer_within_s, 50, clock=PacedClock(speed)) == 0


def test_a_far_deadline_gives_an_answer_from_outside_trio_a_millisecond() -> None:
    async def main() -> int:
        missed = 0
        near, far = stdlib_socket.socketpair()
        with far, trio.socket.from_stdlib_socket(near) as asking:

            def answer_all() -> None:
                while question := far.recv(1):
                    time.sleep(0.000_2)
                    far.send(question)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, answer_all)
                for _ in range(40):
                    with trio.move_on_after(10) as waiting:
                        await asking.send(b"?")
                        await asking.recv(1)
                    if waiting.cancelled_caught:
                        missed += 1
                        await asking.recv(1)
                asking.shutdown(stdlib_socket.SHUT_WR)
        return missed

    assert trio.run(main, clock=PacedClock()) < 20  # the system may run others; half is far from all


def test_an_answer_beats_its_deadline_though_the_process_was_not_running_when_it_came() -> None:
    class Starved(trio.abc.Instrument):
        """The system runs others for 20 ms, 12 virtual seconds, whenever trio is about to poll."""

        def before_io_wait(self, timeout: float) -> None:
            if timeout > 0:
                busy(0.02)

    assert trio.run(missed_answers, 10.0, 5, clock=PacedClock(600), instruments=[Starved()]) == 0


@pytest.mark.parametrize("speed", [1.0, 600.0, math.inf])
def test_time_stands_still_while_a_task_computes(speed: float) -> None:
    async def main() -> tuple[float, bool]:
        before = trio.current_time()
        with trio.move_on_after(0.02) as scope:
            busy(0.05)
            await trio.lowlevel.checkpoint()
        return trio.current_time() - before, scope.cancelled_caught

    assert trio.run(main, clock=PacedClock(speed)) == (0.0, False)


@pytest.mark.parametrize("speed", [50.0, math.inf])
def test_a_sleeper_wakes_exactly_at_its_deadline(speed: float) -> None:
    async def main() -> list[float]:
        woken = []
        for wait_s in (0.0001, 0.05, 0.5, 1.0, 3.0):
            deadline = trio.current_time() + wait_s
            await trio.sleep_until(deadline)
            woken.append(trio.current_time() - deadline)
        return woken

    assert trio.run(main, clock=PacedClock(speed)) == [0.0] * 5


@pytest.mark.parametrize(("speed", "for_s"), [(1.0, 0.3), (100.0, 30.0), (600.0, 180.0)])
def test_time_never_passes_faster_than_its_pace(speed: float, for_s: float) -> None:
    """At any instant, through pauses and bursts of near deadlines alike."""
    ahead = []
    began = time.perf_counter()  # before the clock starts, so that a pause in between counts for it

    async def main() -> None:
        turn = 0
        while trio.current_time() < for_s:
            await trio.sleep(for_s / 500)
            turn += 1
            if turn % 50 == 0:
                busy(0.01)
            ahead.append(trio.current_time() / speed - (time.perf_counter() - began))

    trio.run(main, clock=PacedClock(speed))
    assert max(ahead) <= 2 * GRAIN_S


def test_speed_one_is_real_time_and_makes_up_for_computing() -> None:
    clock = PacedClock(1)

    async def main() -> None:
        for _ in range(4):
            busy(0.04)
            await trio.sleep(0.05)  # due at 0.05, 0.10, …: virtual time stood still while it computed

    before = time.perf_counter()
    trio.run(main, clock=clock)
    took = time.perf_counter() - before
    assert clock.virtual_s() == pytest.approx(0.2, abs=2 * GRAIN_S)
    assert took >= 0.2 - GRAIN_S
    assert clock.speed_reached() <= 1.02


def test_a_long_stall_is_forgiven_and_not_rushed_after() -> None:
    async def main() -> float:
        await trio.sleep(0.01)
        busy(CATCH_UP_MAX_S * 3)
        before = time.perf_counter()
        await trio.sleep(CATCH_UP_MAX_S * 1.5)
        return time.perf_counter() - before

    assert trio.run(main, clock=PacedClock(1)) >= CATCH_UP_MAX_S * 0.5 - 2 * GRAIN_S


def test_io_that_arrives_early_finds_the_real_time_of_the_wait_times_the_speed() -> None:
    async def main() -> float:
        before = trio.current_time()
        with trio.fail_after(1000):
            await trio.to_thread.run_sync(time.sleep, 0.05)
        return trio.current_time() - before

    passed = trio.run(main, clock=PacedClock(100))
    assert 4.0 <= passed <= 1000


def test_without_a_deadline_unpaced_time_does_not_move() -> None:
    async def main() -> float:
        await trio.to_thread.run_sync(time.sleep, 0.01)
        return trio.current_time()

    assert trio.run(main, clock=PacedClock()) == 0.0


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_that_is_no_positive_number_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        PacedClock(speed)
