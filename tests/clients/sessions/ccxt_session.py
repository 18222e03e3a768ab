"""A whole session with ccxt (async, with WebSockets) against an exchange on loopback.

Run by ``tests/clients/test_ccxt.py`` with an interpreter that has ccxt: ``ccxt_session.py URL net|long_short``.
Every step asserts what a trader would; the last line says that all were passed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import ccxt.pro

SYMBOL = "BTC/USDT:USDT"
PATIENCE_S = 20


async def until(claim: Callable[[], Awaitable[Any]]) -> Any:
    """What `claim` answers, once it is something."""
    for _ in range(PATIENCE_S * 10):
        answer = await claim()
        if answer:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError("waited in vain")


class Watching:
    """Streams read in the background; `seen` keeps what came."""

    def __init__(self, exchange: Any) -> None:
        self.seen: dict[str, list[Any]] = {}
        streams = {
            "orders": lambda: exchange.watch_orders(SYMBOL),
            "stops": lambda: exchange.watch_orders(SYMBOL, params={"trigger": True}),
            "fills": lambda: exchange.watch_my_trades(SYMBOL),
            "positions": lambda: exchange.watch_positions([SYMBOL]),
            "balance": exchange.watch_balance,
            "ticker": lambda: exchange.watch_ticker(SYMBOL),
            "trades": lambda: exchange.watch_trades(SYMBOL),
            "book": lambda: exchange.watch_order_book(SYMBOL),
            "candles": lambda: exchange.watch_ohlcv(SYMBOL, "1m"),
        }
        self._tasks = [asyncio.create_task(self._read(name, one)) for name, one in streams.items()]

    async def _read(self, name: str, watch: Callable[[], Awaitable[Any]]) -> None:
        seen = self.seen.setdefault(name, [])
        while True:
            seen.append(await watch())

    async def some(self, *names: str) -> None:
        async def all_seen() -> bool:
            for task in self._tasks:
                if task.done():
                    task.result()
            return all(self.seen.get(name) for name in names)

        await until(all_seen)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def session(exchange: Any, is_hedged: bool) -> None:
    long = {"tdMode": "cross", **({"posSide": "long"} if is_hedged else {})}
    closing = long if is_hedged else {**long, "reduceOnly": True}
    markets = await exchange.load_markets()
    market = markets[SYMBOL]
    assert market["contractSize"] == 0.01
    assert market["precision"]["price"] == 0.1
    size = 5 * market["limits"]["amount"]["min"]

    candles = await exchange.fetch_ohlcv(SYMBOL, "1m", limit=300)
    assert len(candles) == 300
    assert all(later[0] - earlier[0] == 60_000 for earlier, later in pairwise(candles))
    older = await exchange.fetch_ohlcv(SYMBOL, "1m", since=candles[0][0] - 100 * 60_000, limit=100)
    assert older[-1][0] < candles[0][0] + 60_000
    assert (await exchange.fetch_funding_rate(SYMBOL))["fundingRate"] is not None
    assert (await exchange.fetch_order_book(SYMBOL))["bids"]

    await exchange.set_position_mode(is_hedged)
    assert (await exchange.fetch_position_mode(SYMBOL))["hedged"] is is_hedged
    await exchange.set_leverage(5, SYMBOL, {"mgnMode": "cross"})
    assert (await exchange.fetch_leverage(SYMBOL, {"mgnMode": "cross"}))["longLeverage"] == 5
    before = (await exchange.fetch_balance())["USDT"]["total"]
    watching = Watching(exchange)
    try:
        await watching.some("ticker", "book", "candles", "balance")
        last = (await exchange.fetch_ticker(SYMBOL))["last"]

        def px(share: float) -> float:
            return float(exchange.price_to_precision(SYMBOL, last * share))

        resting = await exchange.create_order(
            SYMBOL, "limit", "buy", size, px(0.9), {**long, "postOnly": True}
        )
        order_id = resting["id"]
        assert (await exchange.fetch_order(order_id, SYMBOL))["status"] == "open"
        assert order_id in [one["id"] for one in await exchange.fetch_open_orders(SYMBOL)]
        await exchange.edit_order(order_id, SYMBOL, "limit", "buy", size, px(0.89))
        assert (await exchange.fetch_order(order_id, SYMBOL))["price"] == px(0.89)
        await exchange.cancel_order(order_id, SYMBOL)
        assert (await exchange.fetch_order(order_id, SYMBOL))["status"] == "canceled"
        try:
            await exchange.cancel_order(order_id, SYMBOL)
        except ccxt.OrderNotFound:
            pass
        else:
            raise AssertionError("a cancelled order was cancelled again")
        over_socket = await exchange.create_order_ws(SYMBOL, "limit", "buy", size, px(0.9), long)
        await exchange.cancel_order_ws(over_socket["id"], SYMBOL)

        protected = {**long, "stopLoss": {"triggerPrice": px(0.97), "price": px(0.969)}}
        entry = await exchange.create_order(SYMBOL, "market", "buy", size, None, protected)
        filled = await exchange.fetch_order(entry["id"], SYMBOL)
        assert (filled["status"], filled["filled"]) == ("closed", size)
        (position,) = [one for one in await exchange.fetch_positions([SYMBOL]) if one["contracts"]]
        assert (position["side"], position["contracts"], position["leverage"]) == ("long", size, 5)
        (attached,) = await exchange.fetch_open_orders(
            SYMBOL, params={"trigger": True, "ordType": "conditional"}
        )
        await exchange.cancel_order(attached["id"], SYMBOL, {"trigger": True})

        stop = await exchange.create_order(
            SYMBOL, "market", "sell", size, None, {**closing, "stopLossPrice": px(0.95)}
        )
        pending = {"trigger": True, "ordType": "conditional"}
        assert [one["id"] for one in await exchange.fetch_open_orders(SYMBOL, params=pending)] == [stop["id"]]
        trailing = await exchange.create_order(
            SYMBOL, "market", "sell", size, None, {**closing, "trailingPercent": 2}
        )
        assert trailing["id"]
        await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})
        await exchange.cancel_order(trailing["id"], SYMBOL, {"trailing": True})
        await exchange.cancel_all_orders_after(15_000)
        await exchange.cancel_all_orders_after(0)

        await exchange.create_order(SYMBOL, "market", "sell", size, None, closing)
        assert not [one for one in await exchange.fetch_positions([SYMBOL]) if one["contracts"]]
        fills = await exchange.fetch_my_trades(SYMBOL)
        assert sum(one["amount"] for one in fills if one["side"] == "sell") == size
        assert all(one["fee"]["cost"] > 0 for one in fills)
        cost = sum(one["fee"]["cost"] for one in fills)
        gain = sum((1 if one["side"] == "sell" else -1) * one["cost"] for one in fills)
        after = (await exchange.fetch_balance())["USDT"]["total"]
        assert abs(after - before - gain + cost) < 1e-6, (before, after, gain, cost)
        await watching.some("orders", "stops", "fills", "positions")
        states = [one["status"] for page in watching.seen["orders"] for one in page]
        assert {"canceled", "closed"} <= set(states), states
    finally:
        await watching.end()


async def main(url: str, pos_mode: str) -> None:
    exchange = ccxt.pro.okx(
        {
            "apiKey": "sim-key",
            "secret": "sim-secret",
            "password": "sim-pass",
            "options": {"defaultType": "swap"},
        }
    )
    exchange.urls["api"]["rest"] = url
    exchange.urls["api"]["ws"] = url.replace("http://", "ws://") + "/ws/v5"
    try:
        await session(exchange, pos_mode == "long_short")
    finally:
        await exchange.close()
    print("every step passed")


asyncio.run(main(sys.argv[1], sys.argv[2]))
