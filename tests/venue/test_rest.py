"""Stories of the REST protocol, over real loopback sockets."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.venue.accounts import AccountSpec, ApiKey
from tests.venue.rig import BTC, HEDGED, Rig, TrioClock, served, signed_headers

LIMIT = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "px": "59000", "sz": "1"}


async def test_public_endpoints_answer_without_a_signature(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        time = await wire.get("public/time", signed=False)
        assert time["data"] == [{"ts": str(wire.venue.wall_ms())}]
        (row,) = (await wire.get(f"public/instruments?instType=SWAP&instId={BTC}", signed=False))["data"]
        assert (row["ctVal"], row["lotSz"], row["tickSz"], row["instIdCode"]) == (
            "0.01",
            "0.01",
            "0.1",
            10459,
        )
        assert (await wire.get("public/instruments?instType=SPOT", signed=False))["data"] == []
        status = await wire.get("system/status", signed=False)
        assert status == {"code": "0", "msg": "", "data": []}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"OK-ACCESS-KEY": ""}, "50103"),
        ({"OK-ACCESS-PASSPHRASE": ""}, "50104"),
        ({"OK-ACCESS-SIGN": ""}, "50106"),
        ({"OK-ACCESS-TIMESTAMP": ""}, "50107"),
        ({"OK-ACCESS-KEY": "nobody"}, "50111"),
        ({"OK-ACCESS-TIMESTAMP": "1767323045"}, "50112"),
        ({"OK-ACCESS-TIMESTAMP": "2020-01-01T00:00:00.000Z"}, "50102"),
        ({"OK-ACCESS-PASSPHRASE": "wrong"}, "50105"),
        ({"OK-ACCESS-SIGN": "AAAA"}, "50113"),
    ],
)
async def test_a_request_that_is_not_signed_right_is_refused_with_401(
    autojump_clock: MockClock, change: dict[str, str], code: str
) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        answer = await wire.response("GET", "account/balance", headers=change)
        assert (answer.status_code, answer.json()["code"]) == (401, code)


async def test_the_signature_covers_the_bytes_as_sent_whatever_their_spacing(
    autojump_clock: MockClock,
) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        path = "/api/v5/trade/order"
        spaced = '{"instId": "%s", "tdMode": "cross",  "side": "buy", "ordType": "market", "sz": 1}'.replace(
            "%s", BTC
        )
        for body in (spaced.replace(" ", ""), spaced):
            headers = signed_headers("POST", path, body, wire.venue.wall_ms())
            answer = await wire.http.post(path, content=body, headers=headers)
            assert answer.json()["code"] == "0"
        query = "/api/v5/trade/orders-algo-pending?ordType=conditional,oco"
        answer = await wire.http.get(query, headers=signed_headers("GET", query, "", wire.venue.wall_ms()))
        assert answer.json() == {"code": "0", "msg": "", "data": []}


async def test_a_key_without_the_trade_permission_reads_but_cannot_place(autojump_clock: MockClock) -> None:
    reader = ApiKey("sim-key", "sim-secret", "sim-pass", permissions="read_only")
    async with served(Rig(AccountSpec(keys=(reader,)), clock=TrioClock())) as wire:
        assert (await wire.get("account/config"))["data"][0]["perm"] == "read_only"
        assert (await wire.post("trade/order", LIMIT))["code"] == "50120"


async def test_a_demo_key_needs_the_demo_header(autojump_clock: MockClock) -> None:
    demo = ApiKey("sim-key", "sim-secret", "sim-pass", is_demo=True, serves_both=False)
    async with served(Rig(AccountSpec(keys=(demo,)), clock=TrioClock())) as wire:
        assert (await wire.get("account/config"))["code"] == "50101"
        answer = await wire.response("GET", "account/config", headers={"x-simulated-trading": "1"})
        assert answer.json()["code"] == "0"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "no/such", None, 410, "50005"),
        ("POST", "public/time", "{}", 405, "50115"),
        ("DELETE", "trade/order", None, 405, "50115"),
        ("POST", "trade/order", "", 400, "50000"),
        ("POST", "trade/order", "{nonsense", 400, "50002"),
        ("POST", "trade/order", "[1, 2]", 400, "50002"),
        ("POST", "trade/order", "[" * 5000, 400, "50002"),
        ("POST", "trade/order", '{"instId":"' + BTC + '"}', 200, "1"),
        ("POST", "trade/batch-orders", "{}", 400, "50014"),
    ],
)
async def test_bad_requests_get_the_documented_code_and_status(
    autojump_clock: MockClock, method: str, path: str, body: str | None, status: int, code: str
) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        target = f"/api/v5/{path}"
        headers = signed_headers(method, target, body or "", wire.venue.wall_ms())
        answer = await wire.http.request(method, target, content=body or "", headers=headers)
        if code == "50014":
            assert answer.json()["data"][0]["sCode"] == "50014"
            return
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_order_lives_through_its_endpoints(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        placed = await wire.post("trade/order", {**LIMIT, "clOrdId": "a1", "tag": "t"})
        item = placed["data"][0]
        assert (placed["code"], item["sCode"], item["clOrdId"], item["tag"]) == ("0", "0", "a1", "t")
        assert set(placed) == {"code", "msg", "data", "inTime", "outTime"}
        (row,) = (await wire.get(f"trade/order?instId={BTC}&clOrdId=a1"))["data"]
        assert (row["state"], row["avgPx"], row["fillPx"], row["reduceOnly"]) == ("live", "", "", "false")
        amended = await wire.post(
            "trade/amend-order", {"instId": BTC, "clOrdId": "a1", "newPx": "58900", "reqId": "r1"}
        )
        assert amended["data"][0]["reqId"] == "r1"
        (pending,) = (await wire.get("trade/orders-pending?instType=SWAP"))["data"]
        assert (pending["px"], pending["ordId"]) == ("58900", item["ordId"])
        await wire.post("trade/cancel-order", {"instId": BTC, "ordId": item["ordId"]})
        (row,) = (await wire.get("trade/orders-history?instType=SWAP"))["data"]
        assert (row["state"], row["cancelSource"]) == ("canceled", "1")
        again = await wire.post("trade/cancel-order", {"instId": BTC, "ordId": item["ordId"]})
        assert (again["code"], again["data"][0]["sCode"]) == ("1", "51400")


async def test_a_batch_tells_each_items_fate(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        answer = await wire.post("trade/batch-orders", [LIMIT, {**LIMIT, "sz": "0"}])
        assert answer["code"] == "2"
        assert [item["sCode"] for item in answer["data"]] == ["0", "51000"]
        assert (await wire.post("trade/batch-orders", [{**LIMIT, "sz": "0"}]))["code"] == "1"
        assert (await wire.post("trade/batch-orders", [LIMIT] * 21))["code"] == "51000"


async def test_pages_are_cut_exclusively_and_whole(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        placed = [(await wire.post("trade/order", LIMIT))["data"][0]["ordId"] for _ in range(5)]
        read: list[str] = []
        after = ""
        while True:
            page = (await wire.get(f"trade/orders-pending?limit=2{after}"))["data"]
            if not page:
                break
            read += [row["ordId"] for row in page]
            after = f"&after={page[-1]['ordId']}"
        assert read == placed[::-1]
        newer = (await wire.get(f"trade/orders-pending?before={placed[2]}"))["data"]
        assert [row["ordId"] for row in newer] == [placed[4], placed[3]]


async def test_paging_backwards_through_candles_gives_every_minute_once(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        times: list[int] = []
        after = ""
        while len(times) < 700:
            rows = (await wire.get(f"market/history-candles?instId={BTC}&limit=100{after}"))["data"]
            assert all(len(row) == 9 and row[8] == "1" for row in rows)
            times += [int(row[0]) for row in rows]
            after = f"&after={rows[-1][0]}"
        assert times == [times[0] - 60_000 * number for number in range(len(times))]


async def test_a_closed_position_disappears_except_under_its_instruments_filter(
    autojump_clock: MockClock,
) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire:
        rig.order("buy", "1")
        await wire.post("trade/close-position", {"instId": BTC, "mgnMode": "cross"})
        assert (await wire.get("account/positions"))["data"] == []
        (row,) = (await wire.get(f"account/positions?instId={BTC}"))["data"]
        assert (row["pos"], row["avgPx"], row["liqPx"], row["margin"]) == ("0", "", "", "")
        (history,) = (await wire.get("account/positions-history"))["data"]
        assert (history["type"], history["direction"], history["closeTotalPos"]) == ("2", "long", "1")
        assert (await wire.post("trade/close-position", {"instId": BTC, "mgnMode": "cross"}))[
            "code"
        ] == "51023"


async def test_closing_a_position_with_pending_closing_orders_needs_auto_cancel(
    autojump_clock: MockClock,
) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire:
        rig.order("buy", "1")
        rig.order("sell", "1", "61000", reduceOnly=True)
        close = {"instId": BTC, "mgnMode": "cross"}
        assert (await wire.post("trade/close-position", close))["code"] == "51115"
        assert (await wire.post("trade/close-position", {**close, "autoCxl": True}))["code"] == "0"
        assert (rig.venue.positions(), rig.venue.orders()) == ((), ())


async def test_settings_are_refused_while_orders_or_positions_stand_in_the_way(
    autojump_clock: MockClock,
) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire:
        lever = {"instId": BTC, "mgnMode": "cross", "lever": 5}
        assert (await wire.post("account/set-leverage", lever))["data"][0]["lever"] == "5"
        assert (await wire.post("account/set-leverage", {**lever, "lever": "500"}))["code"] == "59102"
        assert (await wire.post("account/set-leverage", {**lever, "posSide": "long"}))["code"] == "51000"
        rig.order("buy", "1", "59000")
        assert (await wire.post("account/set-leverage", {**lever, "lever": "10"}))["code"] == "59107"
        assert (await wire.post("account/set-position-mode", {"posMode": "long_short_mode"}))[
            "code"
        ] == "59000"
        await wire.post("trade/cancel-order", {"instId": BTC, "ordId": rig.venue.orders()[0].order_id})
        assert (await wire.post("account/set-position-mode", {"posMode": "long_short_mode"}))["code"] == "0"
        sides = [
            row["posSide"]
            for row in (await wire.get(f"account/leverage-info?mgnMode=cross&instId={BTC}"))["data"]
        ]
        assert sides == ["long", "short"]


async def test_hedge_mode_leverage_of_isolated_margin_is_set_per_side(autojump_clock: MockClock) -> None:
    async with served(Rig(HEDGED, clock=TrioClock())) as wire:
        lever = {"instId": BTC, "mgnMode": "isolated", "lever": "7"}
        assert (await wire.post("account/set-leverage", lever))["code"] == "51000"
        assert (await wire.post("account/set-leverage", {**lever, "posSide": "long"}))["code"] == "0"
        rows = (await wire.get(f"account/leverage-info?mgnMode=isolated&instId={BTC}"))["data"]
        assert {row["posSide"]: row["lever"] for row in rows} == {"long": "7", "short": "3"}


async def test_unfilled_cancelled_orders_are_forgotten_after_two_hours(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        order_id = (await wire.post("trade/order", LIMIT))["data"][0]["ordId"]
        await wire.post("trade/cancel-order", {"instId": BTC, "ordId": order_id})
        await trio.sleep(7100)
        assert (await wire.get(f"trade/order?instId={BTC}&ordId={order_id}"))["code"] == "0"
        await trio.sleep(200)
        assert (await wire.get(f"trade/order?instId={BTC}&ordId={order_id}"))["code"] == "51603"
        assert (await wire.get("trade/orders-history?instType=SWAP"))["data"] == []


async def test_the_sixth_config_read_in_two_seconds_is_refused_and_a_later_one_is_not(
    autojump_clock: MockClock,
) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        codes = [(await wire.get("account/config"))["code"] for _ in range(6)]
        assert codes == ["0"] * 5 + ["50011"]
        await trio.sleep(2.1)
        assert (await wire.get("account/config"))["code"] == "0"


async def test_order_limits_are_per_instrument_and_cancels_have_their_own(autojump_clock: MockClock) -> None:
    async with served(Rig(AccountSpec(cash=Decimal(10_000_000)), clock=TrioClock())) as wire:
        codes = [(await wire.post("trade/order", LIMIT))["code"] for _ in range(61)]
        assert codes == ["0"] * 60 + ["50011"]
        eth = {**LIMIT, "instId": "ETH-USDT-SWAP", "px": "2950"}
        assert (await wire.post("trade/order", eth))["code"] == "0"
        order_id = wire.venue.orders()[0].order_id
        assert (await wire.post("trade/cancel-order", {"instId": BTC, "ordId": order_id}))["code"] == "0"


async def test_requests_whose_deadline_has_passed_are_not_processed(autojump_clock: MockClock) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire:
        late = str(rig.venue.wall_ms() - 1)
        answer = await wire.post("trade/order", LIMIT, {"expTime": late})
        assert answer["data"][0]["sCode"] == "50036"
        assert rig.venue.orders() == ()


async def test_a_huge_body_is_refused_and_the_next_client_is_served(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        stream = await trio.open_tcp_stream("127.0.0.1", wire.port)
        async with stream:
            await stream.send_all(
                b"POST /api/v5/trade/order HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
            )
            await stream.send_all(b"x" * 1_100_000)
            assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 413")
        assert (await wire.get("public/time"))["code"] == "0"
