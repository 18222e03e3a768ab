import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.okx.rate_limits import LIMITS, Lane, RateLimits, Subject

BTC, ETH = Subject(instrument="BTC-USDT-SWAP"), Subject(instrument="ETH-USDT-SWAP")


async def let_go(
    limits: RateLimits, endpoint: str, count: int, subject: Subject = BTC, lane: Lane = "normal"
) -> list[float]:
    """The times at which `count` requests, all asked for now, were let go."""
    times: list[float] = []

    async def ask() -> None:
        assert await limits.take(endpoint, subject=subject, lane=lane, wait_max_s=600)
        times.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(ask)
    return sorted(times)


def busiest_window(times: list[float], window_s: float) -> int:
    return max(sum(start <= at < start + window_s for at in times) for start in times)


@pytest.mark.parametrize("endpoint", sorted(LIMITS))
async def test_no_window_ever_holds_more_than_four_fifths_of_the_limit(
    endpoint: str, autojump_clock: MockClock
) -> None:
    limit = LIMITS[endpoint]
    for lane in ("normal", "protection"):
        times = await let_go(RateLimits(), endpoint, 3 * limit.requests + 2, lane=lane)
        assert busiest_window(times, limit.window_s) <= max(1, limit.requests * 0.8)


async def test_a_burst_of_ordinary_orders_does_not_make_a_stop_wait(autojump_clock: MockClock) -> None:
    limits = RateLimits()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(let_go, limits, "POST /trade/order", 250)
        nursery.start_soon(let_go, limits, "POST /trade/order-algo", 100)
        await trio.sleep(0.5)
        now = trio.current_time()
        for endpoint in ("POST /trade/order", "POST /trade/order-algo"):
            assert await limits.take(endpoint, subject=BTC, lane="protection", wait_max_s=0.001)
        assert trio.current_time() == now


async def test_instruments_do_not_wait_for_each_other_but_share_the_sub_account(
    autojump_clock: MockClock,
) -> None:
    limits = RateLimits()
    assert max(await let_go(limits, "POST /trade/order", 36, BTC)) == 0
    assert max(await let_go(limits, "POST /trade/order", 36, ETH)) == 0
    for number in range(20):
        subject = Subject(instrument=f"COIN{number}-USDT-SWAP")
        last = max(await let_go(limits, "POST /trade/order", 36, subject))
    assert last >= 2  # 600 of the 1000 orders that a sub-account may place in 2 s are ours in this lane


async def test_amendments_and_placements_of_one_instrument_have_their_own_limits(
    autojump_clock: MockClock,
) -> None:
    limits = RateLimits()
    assert max(await let_go(limits, "POST /trade/order", 36)) == 0
    assert max(await let_go(limits, "POST /trade/amend-order", 36)) == 0
    assert max(await let_go(limits, "POST /trade/cancel-order", 36)) == 0


async def test_what_cannot_go_in_time_is_told_so_and_not_counted(autojump_clock: MockClock) -> None:
    limits = RateLimits()
    await let_go(limits, "GET /account/config", 3)
    assert not await limits.take("GET /account/config", wait_max_s=1.0)
    assert trio.current_time() == 1.0
    assert await limits.take("GET /account/config", wait_max_s=1.1)
    assert trio.current_time() == 2.0


async def test_requests_of_a_lane_go_in_the_order_in_which_they_were_asked(autojump_clock: MockClock) -> None:
    limits, order = RateLimits(), []

    async def ask(number: int) -> None:
        await limits.take("GET /account/config", wait_max_s=100)
        order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(ask, number)
            await trio.testing.wait_all_tasks_blocked()
    assert order == list(range(12))


async def test_after_a_refusal_by_the_venue_a_whole_window_passes_for_both_lanes(
    autojump_clock: MockClock,
) -> None:
    limits = RateLimits()
    limits.close_for_a_window("POST /trade/order-algo", BTC)
    assert await limits.take("POST /trade/order-algo", subject=BTC, lane="protection", wait_max_s=5)
    assert trio.current_time() == 2.0


async def test_cancelling_several_algo_orders_counts_each_of_them(autojump_clock: MockClock) -> None:
    limits = RateLimits()
    for _ in range(2):
        assert await limits.take(
            "POST /trade/cancel-algos", subject=BTC, lane="protection", weight=8, wait_max_s=9
        )
    assert trio.current_time() == 0
    assert await limits.take(
        "POST /trade/cancel-algos", subject=BTC, lane="protection", weight=1, wait_max_s=9
    )
    assert trio.current_time() == 2.0


async def test_a_task_cancelled_while_it_waits_leaves_its_turn_to_the_next(autojump_clock: MockClock) -> None:
    limits = RateLimits()
    await let_go(limits, "GET /account/config", 3)
    with trio.move_on_after(0.5):
        await limits.take("GET /account/config", wait_max_s=100)
    assert await limits.take("GET /account/config", wait_max_s=100)
    assert trio.current_time() == 2.0


async def test_room_is_waited_for_without_taking_any(autojump_clock: MockClock) -> None:
    limits = RateLimits()
    endpoint = "GET /trade/orders-algo-pending"
    await limits.room(endpoint, lane="protection", weight=3)
    assert trio.current_time() == 0
    await let_go(limits, endpoint, 14, Subject(), lane="protection")
    await limits.room(endpoint, lane="protection", weight=2)
    assert trio.current_time() == 0
    await limits.room(endpoint, lane="protection", weight=3)
    assert trio.current_time() == 2.0
    assert len(await let_go(limits, endpoint, 16, Subject(), lane="protection")) == 16
    assert trio.current_time() == 2.0
