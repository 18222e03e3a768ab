"""What the exchange says, as raw text, for the tests that spoil it: pushes of every channel and answers of every list."""

from __future__ import annotations

import json
from functools import cache

from anchorwatch.io.okx.signing import rest_prehash, rest_timestamp, signature
from anchorwatch.io.venue.rest import HttpRequest
from tests.venue.rig import BTC, HEDGED, Rig, login_frame

CHANNELS = {
    "public": ("tickers", "mark-price", "trades", "books", "instruments", "funding-rate", "price-limit"),
    "business": ("candle1m", "mark-price-candle1m"),
    "private": ("orders", "positions", "account"),
}
PRIVATE_BUSINESS = ("orders-algo", "algo-advance")
PATHS = (
    "public/time", "public/instruments?instType=SWAP", f"public/mark-price?instType=SWAP&instId={BTC}",
    f"public/funding-rate?instId={BTC}", f"public/price-limit?instId={BTC}", f"market/ticker?instId={BTC}",
    f"market/books?instId={BTC}&sz=5", f"market/candles?instId={BTC}&bar=1m",
    "account/config", "account/balance", "account/positions", "account/positions-history",
    f"account/leverage-info?instId={BTC}&mgnMode=cross",
    "trade/orders-pending", "trade/orders-history?instType=SWAP", "trade/fills",
    "trade/orders-algo-pending?ordType=conditional,oco", "system/status",
)  # fmt: skip


@cache
def said() -> tuple[tuple[str, str], ...]:
    """(channel or path, text) of everything that a small story makes the exchange say, each once."""
    rig = Rig(HEDGED)
    sessions = [rig.venue.connections.open(path, "127.0.0.1") for path in (*CHANNELS, "business")]
    for session, channels in zip(sessions, (*CHANNELS.values(), PRIVATE_BUSINESS), strict=True):
        if channels in (CHANNELS["private"], PRIVATE_BUSINESS):
            session.receive(json.dumps(login_frame(rig.clock())))
        for channel in channels:
            of_all = {"instType": "SWAP"} if session.path != "public" or channel == "instruments" else {}
            arg = {"channel": channel, **(of_all or {"instId": BTC})}
            if channel.startswith(("candle", "mark-price-candle")):
                arg = {"channel": channel, "instId": BTC}
            if channel == "account":
                arg = {"channel": channel}
            session.receive(json.dumps({"op": "subscribe", "args": [arg]}))
    rig.order("buy", "0.25", posSide="long")
    rig.order(
        "buy", "0.5", "59000", posSide="long", attachAlgoOrds=[{"slTriggerPx": "58000", "slOrdPx": "-1"}]
    )
    rig.algo(
        "sell", posSide="long", closeFraction="1", slTriggerPx="59500", slOrdPx="-1", slTriggerPxType="mark"
    )
    for px in ("60010", "60500", "58900", "58800"):
        rig.price(px)
        rig.pass_ms(61_000)
        for session in sessions:
            session.receive("ping")
    rig.settle_mark("59000")
    rig.order("sell", "0.1", posSide="long")
    texts = [("push", text) for session in sessions for text in session.outbox]
    texts += [(f"/{path}", _answer(rig, path)) for path in PATHS]
    return tuple(dict.fromkeys(texts))


def _answer(rig: Rig, path: str) -> str:
    target = f"/api/v5/{path}"
    stamp = rest_timestamp(rig.clock())
    headers = {
        "ok-access-key": "sim-key",
        "ok-access-passphrase": "sim-pass",
        "ok-access-timestamp": stamp,
        "ok-access-sign": signature("sim-secret", rest_prehash(stamp, "GET", target, "")),
    }
    answer = rig.venue.gateway.answer(HttpRequest("GET", target, headers, b"", "127.0.0.1"))
    return answer.body.decode()
