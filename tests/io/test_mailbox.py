"""What waits for the loop, and in which order it is taken."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.mailbox import WAITING_MAX, Mailbox, MailboxFull
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.world import MarkMoved


class Happened(Event, frozen=True):
    number: int


def mark(price: int, instrument: str = "BTC") -> MarkMoved:
    return MarkMoved(instrument, Decimal(price), 0)


async def taken(mailbox: Mailbox) -> list[Event]:
    return [await mailbox.get() for _ in range(len(mailbox))]


async def test_a_stop_request_goes_before_everything_and_market_data_after() -> None:
    mailbox = Mailbox()
    mailbox.put_market("mark", "BTC", mark(1))
    mailbox.put(Happened(1))
    mailbox.put_first(Happened(2))
    mailbox.put(Happened(3))
    assert await taken(mailbox) == [Happened(2), Happened(1), Happened(3), mark(1)]


async def test_private_events_keep_their_order_and_none_is_merged() -> None:
    mailbox = Mailbox()
    events = [Happened(number % 2) for number in range(10)]
    for event in events:
        mailbox.put(event)
    assert await taken(mailbox) == events


async def test_only_the_newest_price_of_an_instrument_waits() -> None:
    mailbox = Mailbox()
    for price in (1, 2, 3):
        mailbox.put_market("mark", "BTC", mark(price))
        mailbox.put_market("mark", "ETH", mark(10 * price, "ETH"))
    assert await taken(mailbox) == [mark(3), mark(30, "ETH")]


async def test_a_price_that_changes_all_the_time_does_not_keep_another_from_its_turn() -> None:
    mailbox = Mailbox()
    mailbox.put_market("mark", "BTC", mark(1))
    mailbox.put_market("mark", "ETH", mark(2, "ETH"))
    first = await mailbox.get()
    mailbox.put_market("mark", "BTC", mark(3))
    assert (first, await mailbox.get()) == (mark(1), mark(2, "ETH"))


async def test_the_loop_wakes_when_something_comes(autojump_clock: MockClock) -> None:
    mailbox = Mailbox()
    came: list[float] = []

    async def loop() -> None:
        for _ in range(3):
            await mailbox.get()
            came.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop)
        await trio.sleep(1)
        mailbox.put(Happened(1))
        await trio.sleep(1)
        mailbox.put_market("mark", "BTC", mark(1))
        await trio.sleep(1)
        mailbox.put_first(Happened(2))
    assert came == [1, 2, 3]


async def test_a_mailbox_that_nobody_empties_is_an_error_and_not_a_silence() -> None:
    mailbox = Mailbox()
    for number in range(WAITING_MAX):
        mailbox.put(Happened(number))
    with pytest.raises(MailboxFull):
        mailbox.put(Happened(-1))
    mailbox.put_first(Happened(-2))  # a stop still gets in
    assert await mailbox.get() == Happened(-2)
