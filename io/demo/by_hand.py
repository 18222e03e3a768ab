"""Somebody else on the same account: opens and closes positions by hand, and looks at what the exchange holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeVar

import trio

from anchorwatch.io.account import AccountCalls
from anchorwatch.io.demo.processes import KEYS
from anchorwatch.io.okx.environments import Endpoints
from anchorwatch.io.okx.outcomes import Answered, Failed, Refused, Unknown
from anchorwatch.io.okx.requests import OrderRequest
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.machine.units import LegKey, MarginMode, PositionMode, closing_deal, opening_deal
from anchorwatch.machine.world import AccountReading

CHANGED_WITHIN_S = 5.0
"""A market order fills at once; a busy machine takes a moment to say so."""

LOOK_AGAIN_S = 0.1

_Row = TypeVar("_Row")


class NotDone(Exception):
    """The exchange did not do what was asked by hand; the text says why."""


class ByHand:
    """The account in hedge mode, through a client of its own. Get one from `by_hand`."""

    def __init__(self, rest: OkxRest, now_ms: Callable[[], int]) -> None:
        self._rest = rest
        self._now_ms = now_ms
        self._calls = AccountCalls(rest, PositionMode.HEDGE, MarginMode.CROSS)
        self._orders = 0

    async def look(self) -> AccountReading:
        """Positions, resting orders and stops, complete. Raises `NotDone`."""
        reading = await self._calls.read_account()
        if isinstance(reading, str):
            raise NotDone(reading)
        return reading

    async def open(self, leg: LegKey, contracts: Decimal) -> None:
        """Open or add to ``leg`` at market, and see it there. Raises `NotDone`."""
        before = await self.contracts_of(leg)
        await self._place(leg, opening_deal(leg.side).value, contracts)
        await self._see(leg, before + contracts)

    async def close(self, leg: LegKey) -> None:
        """Close all of ``leg`` at market, and see it gone. Raises `NotDone`."""
        held = await self.contracts_of(leg)
        if held:
            await self._place(leg, closing_deal(leg.side).value, held)
            await self._see(leg, Decimal(0))

    async def contracts_of(self, leg: LegKey) -> Decimal:
        reading = await self.look()
        return sum((row.contracts for row in reading.positions if row.leg == leg), Decimal(0))

    async def entries_sent(self, since_ms: int, made_by_us: Callable[[str], bool]) -> frozenset[str]:
        """The client ids of all orders since then, ended and resting, for which ``made_by_us`` is true."""
        ids: list[str] = []
        for outcome in (
            await self._rest.orders_pending(),
            await self._rest.orders_history(since_ms=since_ms),
        ):
            ids += [row.cl_ord_id for row in _answered(outcome)]
        return frozenset(name for name in ids if made_by_us(name))

    async def _place(self, leg: LegKey, side: str, contracts: Decimal) -> None:
        self._orders += 1
        request = OrderRequest(
            inst_id=leg.instrument,
            td_mode=leg.margin.value,
            side=side,
            pos_side=leg.side.value,
            ord_type="market",
            sz=contracts,
            cl_ord_id=f"byhand{self._now_ms()}x{self._orders}",
        )
        _answered(await self._rest.place_order(request))

    async def _see(self, leg: LegKey, contracts: Decimal) -> None:
        with trio.move_on_after(CHANGED_WITHIN_S):
            while True:
                if await self.contracts_of(leg) == contracts:
                    return
                await trio.sleep(LOOK_AGAIN_S)
        raise NotDone(f"{leg}: {contracts} contracts were asked for, and are not there")


def _answered(outcome: Answered[_Row] | Refused | Unknown | Failed) -> tuple[_Row, ...]:
    match outcome:
        case Answered():
            return outcome.rows
        case Refused():
            raise NotDone(f"{outcome.code} {outcome.message}")
        case _:
            raise NotDone(outcome.reason)


@asynccontextmanager
async def by_hand(where: Endpoints, now_ms: Callable[[], int]) -> AsyncIterator[ByHand]:
    """A client of the exchange at ``where``, with its account put into hedge mode. Raises `NotDone`."""
    async with OkxRest(where, KEYS, now_ms) as rest:
        _answered(await rest.set_position_mode("long_short_mode"))
        yield ByHand(rest, now_ms)
