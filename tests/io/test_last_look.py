"""The last look before the wire: what was right when an entry was planned is asked again when its first byte is due.

The bot is the production's, the limits are those of the venue, and the listener says what arrived.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.account import AccountCalls
from anchorwatch.io.okx.environments import Credentials
from anchorwatch.io.okx.rate_limits import LIMITS, RateLimits, Subject
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.perform import look_at_amendment, look_at_order
from anchorwatch.machine import bot as bots
from anchorwatch.machine import dead_man, order, permission, requests
from anchorwatch.machine.bot import PERMISSION, Address, Bot, Part
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.order import Role
from anchorwatch.machine.units import Deal, MarginMode, OrderKind, PositionMode, Price
from anchorwatch.machine.world import AccountReading
from tests.io.okx.canned import Canned, answer, canned_http
from tests.machine.bot_world import BTC, LONG, ready

START_MS = 1_767_319_200_000
KEY = Credentials(key="k", secret="s", passphrase="p")
TAKEN = answer('{"code":"0","msg":"","data":[{"ordId":"1","sCode":"0"}]}')
ENTRY = Address(Part.ENTRY, leg=LONG)
TRADING_CONTROL_S = 3.0  # what the first step of a stop has by default


def now_ms() -> int:
    return START_MS + round(trio.current_time() * 1000)


class Stage:
    """A bot whose entry is on its way, a venue, and the turns that are taken before it."""

    def __init__(self, canned: Canned, rest: OkxRest, limits: RateLimits, role: Role) -> None:
        self.canned, self.rest, self.limits = canned, rest, limits
        self.bot: Bot = ready()
        self.tell(ENTRY, bots.EntryWanted(rests=True))
        self.seq = self.bot.slot(LONG).entry.data.seq
        self.tell(ENTRY, order.IntentRecorded(self.seq))
        self.tell(bots.DEAD_MAN, dead_man.RenewalTaken(self.bot.dead_man.data.seq))
        self.ticket = requests.OrderTicket(
            leg=LONG,
            role=role,
            seq=self.seq,
            client_id="awrig00001e0000001",
            deal=Deal.BUY,
            contracts=Decimal(1),
            is_reduce_only=False,
            tag="awentry",
            created_ms=now_ms(),
            expires_ms=now_ms() + 3_000,
            kind=OrderKind.POST_ONLY,
            price=Price(Decimal(60_000)),
        )
        self.calls = AccountCalls(rest, PositionMode.HEDGE, MarginMode.CROSS)
        self.ended: list[Event] = []

    def tell(self, address: Address, event: Event) -> None:
        self.bot = bots.step(self.bot, address, event).bot

    async def crowd(self, endpoint: str) -> None:
        """Every turn of the next two seconds is taken."""
        for _ in range(LIMITS[endpoint].normal_capacity):
            assert await self.limits.take(endpoint, subject=Subject(instrument=BTC), wait_max_s=0.1)

    async def place(self) -> None:
        look = look_at_order(self.ticket, lambda: self.bot, now_ms)
        self.ended.append(await self.calls.place_order(self.ticket, look))

    async def amend(self) -> None:
        asked = requests.AmendOrder(self.ticket, Price(Decimal(60_001)), now_ms() + 3_000)
        look = look_at_amendment(asked, lambda: self.bot, now_ms)
        self.ended.append(await self.calls.amend_order(asked, look))

    @property
    def end(self) -> Event:
        [told] = self.ended
        assert isinstance(told, Told)
        return told.event


SHUT = {
    "a pause": (PERMISSION, permission.PauseRequested()),
    "a lost fact": (bots.LIFECYCLE, bots.FactLost(BTC, "mark price")),
    "its own cancel": (ENTRY, order.CancelWanted(0)),
}


@pytest.mark.parametrize("how", [None, *SHUT])
async def test_an_entry_that_waits_for_its_turn_is_looked_at_again_when_it_has_come(
    autojump_clock: MockClock, how: str | None
) -> None:
    limits = RateLimits()
    async with canned_http(TAKEN) as canned, OkxRest(canned.endpoints, KEY, now_ms, limits=limits) as rest:
        stage = Stage(canned, rest, limits, Role.ENTRY)
        await stage.crowd("POST /trade/order")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.place)
            await trio.sleep(1)
            assert stage.ended == []
            if how is not None:
                address, event = SHUT[how]
                stage.tell(address, order.CancelWanted(stage.seq) if how == "its own cancel" else event)
        if how is None:
            assert isinstance(stage.end, order.OrderAcknowledged)
            assert len(canned.requests) == 1
        else:
            assert isinstance(stage.end, order.WriteDenied)
            assert canned.requests == []


async def test_a_close_that_waits_for_its_turn_goes_out_whatever_is_shut(autojump_clock: MockClock) -> None:
    limits = RateLimits()
    async with canned_http(TAKEN) as canned, OkxRest(canned.endpoints, KEY, now_ms, limits=limits) as rest:
        stage = Stage(canned, rest, limits, Role.CLOSE)
        stage.tell(*SHUT["a pause"])
        await trio.sleep(10)  # its deadline is over, too
        await stage.place()
        assert isinstance(stage.end, order.OrderAcknowledged)
        assert b"exptime: %d" % (now_ms() + 1_000) in canned.requests[0].lower()


async def test_an_entry_whose_deadline_passes_while_it_waits_is_not_sent(autojump_clock: MockClock) -> None:
    limits = RateLimits()
    async with canned_http(TAKEN) as canned, OkxRest(canned.endpoints, KEY, now_ms, limits=limits) as rest:
        stage = Stage(canned, rest, limits, Role.ENTRY)
        await trio.sleep(1.5)
        await stage.crowd("POST /trade/order")
        await stage.place()
        assert isinstance(stage.end, order.WriteDenied)
        assert canned.requests == []


async def test_the_deadline_that_the_venue_is_given_is_the_one_that_absence_is_judged_by(
    autojump_clock: MockClock,
) -> None:
    limits = RateLimits()
    async with canned_http(TAKEN) as canned, OkxRest(canned.endpoints, KEY, now_ms, limits=limits) as rest:
        stage = Stage(canned, rest, limits, Role.ENTRY)
        await trio.sleep(2)  # on its way to the wire
        await stage.place()
        assert b"exptime: %d" % stage.ticket.expires_ms in canned.requests[0].lower()


@pytest.mark.parametrize("how", [None, *SHUT])
async def test_an_amendment_that_waits_for_its_turn_is_looked_at_again(
    autojump_clock: MockClock, how: str | None
) -> None:
    limits = RateLimits()
    async with canned_http(TAKEN) as canned, OkxRest(canned.endpoints, KEY, now_ms, limits=limits) as rest:
        stage = Stage(canned, rest, limits, Role.ENTRY)
        stage.tell(ENTRY, order.OrderSeenLive(stage.seq))
        stage.tell(ENTRY, order.RepriceWanted(stage.seq))
        await stage.crowd("POST /trade/amend-order")
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.amend)
            await trio.sleep(0.5)
            assert stage.ended == []
            if how is not None:
                address, event = SHUT[how]
                stage.tell(address, order.CancelWanted(stage.seq) if how == "its own cancel" else event)
        assert isinstance(stage.end, order.AmendAcknowledged if how is None else order.AmendRefused)
        assert len(canned.requests) == (1 if how is None else 0)


async def test_the_last_look_of_a_stop_waits_for_room_that_others_took_when_it_had_begun(
    autojump_clock: MockClock,
) -> None:
    limits, lists = RateLimits(), "GET /trade/orders-algo-pending"
    nothing = answer('{"code":"0","msg":"","data":[]}')
    async with canned_http(nothing) as canned, OkxRest(canned.endpoints, KEY, now_ms, limits=limits) as rest:
        calls, began_s = AccountCalls(rest, PositionMode.HEDGE, MarginMode.CROSS), trio.current_time()
        found: list[object] = []

        async def look() -> None:
            found.append(await calls.look_once_more())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await trio.lowlevel.checkpoint()
            capacity = LIMITS[lists].capacity
            assert await limits.take(lists, lane="protection", weight=capacity, wait_max_s=0)
        assert isinstance(found[0], AccountReading), found
        assert trio.current_time() - began_s < TRADING_CONTROL_S
