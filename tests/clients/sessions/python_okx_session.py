"""A whole session with python-okx, OKX's own SDK, REST and WebSockets, against an exchange on loopback.

Run by ``tests/clients/test_python_okx.py`` with an interpreter that has python-okx:
``python_okx_session.py URL WSS_URL net|long_short``, and ``SSL_CERT_FILE`` naming the exchange's certificate.
Every step asserts what a trader would; the last line says that all were passed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal
from typing import Any

from okx import Account, MarketData, PublicData, Trade
from okx.websocket.WsPrivateAsync import WsPrivateAsync
from okx.websocket.WsPublicAsync import WsPublicAsync

BTC = "BTC-USDT-SWAP"
KEYS = ("sim-key", "sim-secret", "sim-pass")
PATIENCE_S = 20


def rows(answer: dict[str, Any]) -> list[Any]:
    """The data of an answer that succeeded, every item of it."""
    assert answer["code"] == "0", answer
    data: list[Any] = answer["data"]
    assert all(row.get("sCode", "0") == "0" for row in data if isinstance(row, dict)), answer
    return data


class Streams:
    """Everything that the WebSockets have told, by channel or event."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Any]] = {}

    def take(self, text: str) -> None:
        if text == "pong":
            self.seen.setdefault("pong", []).append(text)
            return
        frame = json.loads(text)
        self.seen.setdefault(frame.get("event") or frame["arg"]["channel"], []).append(frame)

    async def some(self, *names: str) -> None:
        for _ in range(PATIENCE_S * 10):
            if all(self.seen.get(name) for name in names):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"waited in vain for {names}; there are {sorted(self.seen)}")

    def states(self, channel: str) -> list[str]:
        return [row["state"] for frame in self.seen.get(channel, ()) for row in frame["data"]]


def trade(url: str, is_hedged: bool) -> None:
    """The REST part: markets, settings, an order's life, stops, closing, and the sums."""
    common = {"flag": "1", "domain": url}
    account = Account.AccountAPI(*KEYS, **common)
    orders = Trade.TradeAPI(*KEYS, **common)
    market, public = MarketData.MarketAPI(**common), PublicData.PublicAPI(**common)
    side = "long" if is_hedged else "net"
    (instrument,) = [row for row in rows(public.get_instruments("SWAP")) if row["instId"] == BTC]
    tick, size = Decimal(instrument["tickSz"]), instrument["minSz"]
    assert len(rows(market.get_candlesticks(BTC, bar="1m", limit="100"))) == 100
    last = Decimal(rows(market.get_ticker(BTC))[0]["last"])

    def px(share: str) -> str:
        return str((last * Decimal(share) / tick).to_integral_value() * tick)

    mode = "long_short_mode" if is_hedged else "net_mode"
    assert rows(account.set_position_mode(mode))[0]["posMode"] == mode
    assert rows(account.set_leverage("5", "cross", instId=BTC))[0]["lever"] == "5"
    assert rows(account.get_account_config())[0]["posMode"] == mode
    before = Decimal(rows(account.get_account_balance("USDT"))[0]["details"][0]["cashBal"])

    name = f"s{time.time_ns()}"
    placed = orders.place_order(BTC, "cross", "buy", "limit", size, posSide=side, px=px("0.9"), clOrdId=name)
    order_id = rows(placed)[0]["ordId"]
    assert rows(orders.get_order(BTC, clOrdId=name))[0]["state"] == "live"
    rows(orders.amend_order(BTC, ordId=order_id, newPx=px("0.89")))
    assert Decimal(rows(orders.get_order(BTC, ordId=order_id))[0]["px"]) == Decimal(px("0.89"))
    rows(orders.cancel_order(BTC, ordId=order_id))
    assert orders.cancel_order(BTC, ordId=order_id)["data"][0]["sCode"] == "51400"

    stop = [{"attachAlgoClOrdId": f"a{name}"[:32], "slTriggerPx": px("0.97"), "slOrdPx": "-1"}]
    bought = orders.place_order(BTC, "cross", "buy", "market", size, posSide=side, attachAlgoOrds=stop)
    order = rows(orders.get_order(BTC, ordId=rows(bought)[0]["ordId"]))[0]
    assert (order["state"], order["accFillSz"]) == ("filled", size)
    (position,) = rows(account.get_positions(instType="SWAP"))
    assert (position["posSide"], position["pos"]) == (side, size)
    closing = {"posSide": side, "reduceOnly": "true", "slOrdPx": "-1"}
    one = orders.place_algo_order(
        BTC, "cross", "sell", "conditional", size, slTriggerPx=px("0.95"), **closing
    )
    whole = orders.place_algo_order(
        BTC, "cross", "sell", "conditional", closeFraction="1", slTriggerPx=px("0.93"), **closing
    )
    again = orders.place_algo_order(
        BTC, "cross", "sell", "conditional", closeFraction="1", slTriggerPx=px("0.92"), **closing
    )
    assert again["data"][0]["sCode"] == "51088"
    rows(orders.amend_algo_order(instId=BTC, algoId=rows(whole)[0]["algoId"], newSlTriggerPx=px("0.94")))
    pending = rows(orders.order_algos_list(ordType="conditional", instType="SWAP"))
    assert len(pending) == 3, "the attached one, the exact one and the whole one"
    ids = [{"instId": BTC, "algoId": row["algoId"]} for row in pending]
    rows(orders.cancel_algo_order(ids))
    assert rows(one)[0]["algoId"] in [row["algoId"] for row in ids]
    rows(orders.close_positions(BTC, "cross", posSide=side))
    assert not [row for row in rows(account.get_positions(instType="SWAP")) if Decimal(row["pos"])]

    fills = rows(orders.get_fills(instType="SWAP"))
    after = Decimal(rows(account.get_account_balance("USDT"))[0]["details"][0]["cashBal"])
    change = sum((Decimal(row["fee"]) + Decimal(row["fillPnl"]) for row in fills), Decimal(0))
    assert after - before == change, (before, after, change)
    history = rows(account.get_positions_history(instType="SWAP"))
    assert Decimal(history[0]["realizedPnl"]) == change


async def session(url: str, wss_url: str, is_hedged: bool) -> None:
    streams = Streams()
    key, secret, passphrase = KEYS
    public = WsPublicAsync(f"{wss_url}/public")
    candles = WsPublicAsync(f"{wss_url}/business")
    private = WsPrivateAsync(key, passphrase, secret, f"{wss_url}/private")
    stops = WsPrivateAsync(key, passphrase, secret, f"{wss_url}/business")
    readers = []
    for one in (public, candles, private, stops):
        await one.connect()
        readers.append(asyncio.create_task(one.consume()))
    await public.subscribe(
        [{"channel": name, "instId": BTC} for name in ("tickers", "trades", "books5", "books")], streams.take
    )
    await candles.subscribe([{"channel": "candle1m", "instId": BTC}], streams.take)
    await asyncio.gather(
        private.subscribe(
            [
                {"channel": "account"},
                {"channel": "positions", "instType": "SWAP"},
                {"channel": "orders", "instType": "SWAP"},
                {"channel": "balance_and_position"},
            ],
            streams.take,
        ),
        stops.subscribe([{"channel": "orders-algo", "instType": "SWAP"}], streams.take),
    )
    await private.websocket.send("ping")
    await streams.some("tickers", "books5", "books", "candle1m", "account", "pong")
    await asyncio.to_thread(trade, url, is_hedged)
    await streams.some("orders", "positions", "orders-algo", "balance_and_position")
    assert {"live", "canceled", "filled"} <= set(streams.states("orders"))
    assert {"live", "canceled"} <= set(streams.states("orders-algo"))
    assert "error" not in streams.seen, streams.seen["error"]
    for one in (public, candles, private, stops):
        await one.factory.close()
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    print("every step passed")


asyncio.run(session(sys.argv[1], sys.argv[2], sys.argv[3] == "long_short"))
