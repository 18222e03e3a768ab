"""Bad input, made up by hypothesis and by hand: a documented answer, the exchange unharmed, and nobody else either."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from anchorwatch.io.venue.control import WORKS, answer_control
from anchorwatch.io.venue.rest import PREFIX, HttpRequest
from anchorwatch.io.venue.rest_account import READ_ROUTES, WRITE_ROUTES
from anchorwatch.io.venue.rest_public import PUBLIC_ROUTES
from anchorwatch.io.venue.rest_trade import TRADE_READS, TRADE_WRITES
from anchorwatch.io.venue.ws_orders import OPERATIONS
from tests.venue.rig import BTC, ETH, Rig, TrioClock, Wire, login_frame, served, signed_headers

READS = sorted({*PUBLIC_ROUTES, *READ_ROUTES, *TRADE_READS})
WRITES = sorted({*WRITE_ROUTES, *TRADE_WRITES})
CHANNELS = (
    "tickers",
    "books",
    "books5",
    "candle1m",
    "orders",
    "positions",
    "account",
    "orders-algo",
    "status",
    "x",
)

# What stands where a client's parameter should: the right thing, nearly the right thing, and nonsense.
WORDS = st.sampled_from(
    [
        *(
            "",
            "0",
            "1",
            "-1",
            "0.01",
            "1e5",
            "NaN",
            "Infinity",
            "-0",
            "9" * 40,
            "0." + "0" * 40 + "1",
            "60000",
        ),
        *(
            "59000.05",
            "buy",
            "sell",
            "net",
            "long",
            "short",
            "cross",
            "isolated",
            "limit",
            "market",
            "post_only",
        ),
        *("fok", "conditional", "oco", "trigger", "move_order_stop", "mark", "last", "true", "false", "SWAP"),
        *(
            "net_mode",
            "long_short_mode",
            "cancel_both",
            "conditional,oco",
            "1m",
            "1Dutc",
            BTC,
            ETH,
            "NO-USDT",
        ),
        *("\x00", "é", "💥", "a" * 33, "../../etc/passwd", "%00", "' OR 1=1"),
    ]
)
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        *(
            "instId",
            "instType",
            "instFamily",
            "uly",
            "tdMode",
            "mgnMode",
            "side",
            "posSide",
            "ordType",
            "sz",
            "px",
        ),
        *(
            "clOrdId",
            "ordId",
            "algoId",
            "algoClOrdId",
            "tag",
            "reduceOnly",
            "stpMode",
            "expTime",
            "newSz",
            "newPx",
        ),
        *(
            "reqId",
            "cxlOnFail",
            "slTriggerPx",
            "slOrdPx",
            "tpTriggerPx",
            "tpOrdPx",
            "closeFraction",
            "triggerPx",
        ),
        *(
            "orderPx",
            "callbackRatio",
            "callbackSpread",
            "activePx",
            "attachAlgoOrds",
            "lever",
            "posMode",
            "timeOut",
        ),
        *(
            "after",
            "before",
            "limit",
            "bar",
            "begin",
            "end",
            "state",
            "instIdCode",
            "slTriggerPxType",
            "autoCxl",
        ),
    ]
)
ORDER: dict[str, object] = {
    "instId": BTC,
    "tdMode": "cross",
    "side": "buy",
    "ordType": "limit",
    "sz": "1",
    "px": "59000",
}
STOP: dict[str, object] = {
    "instId": BTC,
    "tdMode": "cross",
    "side": "sell",
    "sz": "1",
    "ordType": "conditional",
}
STOP |= {"slTriggerPx": "59000", "slOrdPx": "-1"}
MINE: dict[str, object] = {"instId": BTC, "clOrdId": "mine", "algoClOrdId": "mine"}
RIGHT: dict[str, dict[str, object]] = {
    "trade/order-algo": STOP,
    "trade/cancel-all-after": {"timeOut": "20"},
    "trade/close-position": {"instId": BTC, "mgnMode": "cross", "autoCxl": True},
    "account/set-leverage": {"instId": BTC, "mgnMode": "cross", "lever": "5"},
    "account/set-position-mode": {"posMode": "net_mode"},
    **{f"trade/{one}": {**MINE, "newPx": "58000"} for one in ("amend-order", "amend-batch-orders")},
    **{f"trade/{one}": MINE for one in ("cancel-order", "cancel-batch-orders", "cancel-algos")},
    "trade/amend-algos": {**MINE, "newSlTriggerPx": "58000"},
}
PARAMETERS = st.dictionaries(NAMES, VALUES, max_size=8)
# Most requests are right but for one or two parameters: those come furthest.
SLIPS = st.dictionaries(NAMES, WORDS | VALUES, max_size=2)
BODIES = PARAMETERS | SLIPS.map(lambda slip: {**ORDER, **slip})


def writes() -> st.SearchStrategy[tuple[str, object]]:
    """An endpoint, and a body for it that is right, nearly right, or anything."""

    def bodies(endpoint: str) -> st.SearchStrategy[tuple[str, object]]:
        nearly = SLIPS.map(lambda slip: {**RIGHT.get(endpoint, ORDER), **slip})
        body: st.SearchStrategy[object] = nearly | PARAMETERS | st.lists(nearly | BODIES, max_size=3)
        return st.tuples(st.just(endpoint), body)

    return st.sampled_from(WRITES).flatmap(bodies)


MANY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def text_of(value: object) -> str:
    return json.dumps(value, default=str)


def asked(rig: Rig, method: str, target: str, body: bytes = b"") -> Any:
    """One request straight to the core; the decoded answer, which must be an envelope."""
    rig.pass_ms(2_100)
    made = signed_headers(method, target, body.decode(), rig.venue.wall_ms())
    headers = {name.lower(): value for name, value in made.items()}
    answer = rig.venue.gateway.answer(HttpRequest(method, target, headers, body, "127.0.0.1"))
    envelope = msgspec.json.decode(answer.body)
    assert 200 <= answer.status < 600
    assert isinstance(envelope["code"], str)
    assert isinstance(envelope["data"], list)
    return envelope


def busy() -> Rig:
    """A position, an order and a stop that requests may name."""
    rig = Rig()
    rig.order("buy", "2")
    rig.order("buy", "1", "59000", clOrdId="mine")
    rig.algo("sell", sz="1", slTriggerPx="58000", slOrdPx="-1", algoClOrdId="mine")
    return rig


def is_sound(rig: Rig) -> None:
    """The exchange still answers, and its books still agree with themselves."""
    rig.price("60000")
    assert asked(rig, "GET", PREFIX + "account/balance")["code"] == "0"
    account = rig.venue.accounts["main"]
    assert account.cash == 10_000 + sum(one.change for one in account.bills)
    assert all(one.is_pending for one in account.pending.values())


@MANY
@given(st.lists(writes(), min_size=1, max_size=3))
def test_no_body_brings_down_an_endpoint_that_writes(requests: list[tuple[str, object]]) -> None:
    rig = busy()
    for endpoint, body in requests:
        asked(rig, "POST", PREFIX + endpoint, text_of(body).encode())
    is_sound(rig)


@MANY
@given(st.sampled_from(READS), st.dictionaries(NAMES, WORDS, max_size=5))
def test_no_query_brings_down_an_endpoint_that_reads(endpoint: str, query: dict[str, str]) -> None:
    rig = Rig()
    rig.order("buy", "2")
    shown = "&".join(f"{name}={value}" for name, value in query.items())
    target = f"{PREFIX}{endpoint}?{shown}"
    asked(rig, "GET", target)
    is_sound(rig)


@MANY
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    st.text(max_size=40) | st.sampled_from([PREFIX + one for one in (*READS, *WRITES)]),
    st.dictionaries(
        st.sampled_from(
            ["ok-access-key", "ok-access-sign", "ok-access-timestamp", "ok-access-passphrase", "exptime"]
        ),
        st.text(max_size=30) | st.sampled_from(["sim-key", "sim-pass", "2026-01-02T03:04:05.678Z", "9" * 30]),
    ),
    st.binary(max_size=200),
)
def test_no_request_at_all_brings_the_gateway_down(
    method: str, target: str, headers: dict[str, str], body: bytes
) -> None:
    rig = Rig()
    answer = rig.venue.gateway.answer(HttpRequest(method, target, headers, body, ""))
    assert isinstance(msgspec.json.decode(answer.body)["code"], str)
    is_sound(rig)


FRAMES = (
    st.text(max_size=100)
    | st.builds(text_of, VALUES)
    | st.builds(
        lambda op, args, id_: text_of({"id": id_, "op": op, "args": args}),
        st.sampled_from(["login", "subscribe", "unsubscribe", *OPERATIONS, "nonsense"]) | VALUES,
        st.lists(
            BODIES
            | st.fixed_dictionaries(
                {"channel": st.sampled_from(CHANNELS)}, optional={"instId": WORDS, "instType": WORDS}
            )
            | VALUES,
            max_size=3,
        )
        | VALUES,
        st.sampled_from(["1", "", "x" * 40]) | VALUES,
    )
)


@MANY
@given(st.sampled_from(["public", "private", "business"]), st.booleans(), st.lists(FRAMES, max_size=4))
def test_no_frame_brings_a_connection_down(path: str, logs_in: bool, frames: list[str]) -> None:
    rig = Rig()
    rig.order("buy", "2")
    session = rig.venue.connections.open(path, "127.0.0.1")
    if logs_in:
        session.receive(text_of(login_frame(rig.venue.wall_ms())))
    for frame in frames:
        session.receive(frame)
        rig.pass_ms(100)
    told = [one if one == "pong" else msgspec.json.decode(one) for one in session.outbox]
    assert all(one == "pong" or {"event", "op", "arg"} & set(one) for one in told)
    assert session.is_open
    is_sound(rig)


@MANY
@given(
    st.sampled_from(sorted({where for _, where in WORKS})) | st.text(max_size=10),
    st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    st.sampled_from(["", "/main", "/nobody", "/sim-key"]),
    st.builds(text_of, BODIES | VALUES) | st.text(max_size=20),
)
def test_no_control_request_brings_the_exchange_down(what: str, method: str, name: str, body: str) -> None:
    rig = Rig()
    request = HttpRequest(method, f"/anchorwatch/{what}{name}", {}, body.encode(), "127.0.0.1")
    answer = answer_control(rig.venue, request)
    assert answer.status in (200, 400, 404, 405)
    msgspec.json.decode(answer.body)


async def alone(wire: Wire) -> None:
    """Another client is served as if nothing were wrong."""
    assert (await wire.get("account/config"))["code"] == "0"
    async with wire.socket("public") as socket:
        await socket.subscribe(channel="tickers", instId=BTC)
        await socket.until(channel="tickers")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v5/trade/order HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /ws/v5/public HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"A" * 200_000,
    ],
    ids=["tls hello", "http 9.9", "negative length", "half a handshake", "endless line"],
)
async def test_bytes_that_are_no_request_end_their_connection_only(
    autojump_clock: MockClock, junk: bytes
) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        async with await trio.open_tcp_stream("127.0.0.1", wire.port) as stream:
            with trio.move_on_after(200):
                try:
                    await stream.send_all(junk)
                    while await stream.receive_some(10_000):
                        pass
                except trio.BrokenResourceError:
                    pass
        await alone(wire)


async def test_a_frame_of_ten_megabytes_closes_its_connection_with_1009(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        async with wire.socket("public") as socket:
            with trio.move_on_after(60):
                await socket.send("x" * 10_000_000)
            assert await socket.close_code() == 1009
        await alone(wire)


async def test_a_request_replayed_after_half_a_minute_is_expired(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        target = "/api/v5/account/config"
        headers = signed_headers("GET", target, "", wire.venue.wall_ms())
        assert (await wire.http.get(target, headers=headers)).json()["code"] == "0"
        await trio.sleep(31)
        late = await wire.http.get(target, headers=headers)
        assert (late.status_code, late.json()["code"]) == (401, "50102")
