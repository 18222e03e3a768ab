"""What the exchange's tests share: a venue with a hand-set market, and a signing client over real sockets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import trio
import trio_websocket

from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.faults import Faults
from anchorwatch.io.venue.feeds import Feed, ManualFeed
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.serve import open_loopback, serve_venue
from anchorwatch.io.venue.switches import Switches

BTC = "BTC-USDT-SWAP"
ETH = "ETH-USDT-SWAP"
# A quiet moment: two hours and some seconds before a funding time.
START_MS = 1_767_319_200_000
HEDGED = AccountSpec(pos_mode="long_short_mode")

Json = dict[str, Any]


class Clock:
    """Exchange time set by hand."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def by_hand(now_ms: int) -> dict[str, Feed]:
    """BTC at 60,000 and ETH at 3,000."""
    feeds: dict[str, Feed] = {}
    for inst_id, px in ((BTC, "60000"), (ETH, "3000")):
        instrument = instrument_for(inst_id)
        assert instrument is not None
        feeds[inst_id] = ManualFeed(instrument, Decimal(px), now_ms)
    return feeds


class Rig:
    """A venue on a hand-set market: BTC at 60,000 and ETH at 3,000 until told otherwise."""

    def __init__(
        self,
        *accounts: AccountSpec,
        switches: Switches | None = None,
        faults: Faults | None = None,
        clock: Clock | None = None,
        feeds: Mapping[str, Feed] | None = None,
    ) -> None:
        self.clock = clock or Clock()
        market = Market(feeds or by_hand(self.clock.now_ms), self.clock.now_ms)
        self.venue = Venue(
            market,
            now_ms=self.clock,
            switches=switches,
            faults=faults,
            accounts=accounts or (AccountSpec(),),
        )

    def price(self, px: str, inst_id: str = BTC) -> None:
        """One trade at this price, a tenth of a second later."""
        self.pass_ms(100)
        self.venue.set_price(inst_id, Decimal(px))

    def price_now(self, px: str, inst_id: str = BTC) -> None:
        """One trade at this price, at the present moment (for clocks that run by themselves)."""
        self.venue.set_price(inst_id, Decimal(px))

    def settle_mark(self, px: str, inst_id: str = BTC) -> None:
        """Trades at this price until the mark price, which follows slowly, has come there too."""
        for _ in range(2_000):
            self.pass_ms(1_000)
            self.venue.set_price(inst_id, Decimal(px))
            if abs(self.venue.market.mark(inst_id) - Decimal(px)) <= Decimal(px) / 1000:
                return
        raise AssertionError(f"the mark price stays away: {self.venue.market.mark(inst_id)}")

    def pass_ms(self, passing_ms: int) -> None:
        self.clock.now_ms += passing_ms
        self.venue.advance()

    def order(self, side: str, sz: str, px: str = "", **more: object) -> Json:
        """Place an order as the account's owner; returns the answer's item."""
        account = str(more.pop("account", "main"))
        kind = "limit" if px else "market"
        request = {
            "instId": BTC,
            "tdMode": "cross",
            "side": side,
            "ordType": kind,
            "sz": sz,
            "px": px,
            **more,
        }
        return self.venue.place_as(account, request)

    def algo(self, side: str, **more: object) -> Json:
        self.venue.advance()
        request = {"instId": BTC, "tdMode": "cross", "side": side, "ordType": "conditional", **more}
        return self.venue.trading.place_algo(self.venue.accounts["main"], request)

    @property
    def cash(self) -> Decimal:
        return self.venue.accounts["main"].cash


def signed_headers(
    method: str, target: str, body: str, now_ms: int, *, key: str = "sim-key", secret: str = "sim-secret"
) -> dict[str, str]:
    stamp = (
        datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    digest = hmac.new(secret.encode(), f"{stamp}{method}{target}{body}".encode(), hashlib.sha256).digest()
    return {
        "OK-ACCESS-KEY": key,
        "OK-ACCESS-SIGN": base64.b64encode(digest).decode(),
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-PASSPHRASE": "sim-pass",
        "Content-Type": "application/json",
    }


def login_frame(now_ms: int) -> Json:
    stamp = str(now_ms // 1000)
    digest = hmac.new(b"sim-secret", f"{stamp}GET/users/self/verify".encode(), hashlib.sha256).digest()
    sign = base64.b64encode(digest).decode()
    args = {"apiKey": "sim-key", "passphrase": "sim-pass", "timestamp": stamp, "sign": sign}
    return {"op": "login", "args": [args]}


class Wire:
    """A client on real sockets: signed REST, and WebSockets that remember what they have read."""

    def __init__(self, venue: Venue, port: int, http: httpx.AsyncClient) -> None:
        self.venue = venue
        self.port = port
        self.http = http

    async def get(self, target: str, *, signed: bool = True) -> Json:
        return (await self.response("GET", target, signed=signed)).json()  # type: ignore[no-any-return]

    async def post(
        self, path: str, body: Mapping[str, object] | list[Json], headers: Mapping[str, str] | None = None
    ) -> Json:
        return (await self.response("POST", path, body, headers=headers)).json()  # type: ignore[no-any-return]

    async def response(
        self,
        method: str,
        target: str,
        body: Mapping[str, object] | list[Json] | None = None,
        *,
        signed: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        target = f"/api/v5/{target}"
        text = "" if body is None else json.dumps(body)
        auth = signed_headers(method, target, text, self.venue.wall_ms()) if signed else {}
        return await self.http.request(method, target, content=text, headers={**auth, **(headers or {})})

    @asynccontextmanager
    async def socket(self, path: str, *, login: bool = False) -> AsyncIterator[Channel]:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        # trio-websocket forgets its stream when the server closes first, so the stream is closed here.
        async with stream, trio.open_nursery() as nursery:
            websocket = await trio_websocket.wrap_client_stream(
                nursery, stream, "127.0.0.1", f"/ws/v5/{path}"
            )
            channel = Channel(websocket, self.venue)
            if login:
                await channel.login()
            yield channel
            await websocket.aclose()
            nursery.cancel_scope.cancel()

    async def visit(self, path: str) -> None:
        """Open a socket and close it again."""
        async with self.socket(path):
            pass


class Channel:
    """One WebSocket. `until` reads on and keeps everything it passed in `seen`."""

    def __init__(self, websocket: trio_websocket.WebSocketConnection, venue: Venue) -> None:
        self.websocket = websocket
        self.venue = venue
        self.seen: list[Any] = []

    async def send(self, frame: object) -> None:
        await self.websocket.send_message(frame if isinstance(frame, str) else json.dumps(frame))

    async def read(self) -> Any:
        text = await self.websocket.get_message()
        frame = text if text == "pong" else json.loads(text)
        self.seen.append(frame)
        return frame

    async def until(self, **wanted: object) -> Json:
        """The next frame whose top-level keys are as wanted; `channel` means a push of that channel."""
        with trio.fail_after(100):
            while True:
                frame = await self.read()
                if not isinstance(frame, dict):
                    continue
                shown = {
                    **frame,
                    "channel": frame["arg"]["channel"] if "data" in frame and "arg" in frame else "",
                }
                if all(shown.get(name) == value for name, value in wanted.items()):
                    return frame

    async def close_code(self) -> int:
        """Read until the exchange closes the connection; returns the close code."""
        with trio.fail_after(200):
            with suppress(trio_websocket.ConnectionClosed):
                while True:
                    await self.read()
        reason = self.websocket.closed
        assert reason is not None
        return int(reason.code)

    async def login(self, now_ms: int | None = None) -> Json:
        await self.send(login_frame(self.venue.wall_ms() if now_ms is None else now_ms))
        return await self.answer()

    async def answer(self) -> Json:
        with trio.fail_after(20):
            frame = await self.read()
        assert isinstance(frame, dict)
        return frame

    async def subscribe(self, **arg: str) -> Json:
        await self.send({"op": "subscribe", "args": [arg]})
        return await self.until(event="subscribe")


@asynccontextmanager
async def served(rig: Rig) -> AsyncIterator[Wire]:
    """The rig's venue on loopback, and a client; everything is closed at the end."""
    listeners = await open_loopback()
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_venue, rig.venue, listeners)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=None
        ) as http:
            yield Wire(rig.venue, port, http)
        nursery.cancel_scope.cancel()


class TrioClock(Clock):
    """Exchange time that follows trio's."""

    def __call__(self) -> int:
        return START_MS + int(trio.current_time() * 1000)
