"""Stories of what the exchange does wrong on purpose, and of shutting it down."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
import trio
import trio_websocket
from trio.testing import MockClock

from anchorwatch.io.venue.faults import Fault, FaultPlan, Faults, InstrumentChange, Maintenance
from tests.venue.rig import BTC, START_MS, Rig, TrioClock, served, signed_headers

LIMIT = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "px": "59000", "sz": "1"}


def faulty(*rules: Fault, **more: object) -> Rig:
    return Rig(clock=TrioClock(), faults=Faults(rules=rules, **more))  # type: ignore[arg-type]


async def test_the_second_order_is_accepted_and_its_answer_never_comes(autojump_clock: MockClock) -> None:
    rig = faulty(Fault(kind="accept_then_timeout", where="trade/order", after=1))
    async with served(rig) as wire:
        assert (await wire.post("trade/order", LIMIT))["code"] == "0"
        with trio.move_on_after(30) as waiting:
            await wire.post("trade/order", LIMIT)
        assert waiting.cancelled_caught
        assert len(rig.venue.orders()) == 2
        assert (await wire.post("trade/order", LIMIT))["code"] == "0"


@pytest.mark.parametrize(
    ("rule", "status", "placed"),
    [
        (Fault(kind="accept_then_code", code="50004"), 400, 1),
        (Fault(kind="reject_with_code", code="50001"), 503, 0),
        (Fault(kind="reject_with_code", code="50026"), 500, 0),
        (Fault(kind="html_error", status=524), 524, 0),
        (Fault(kind="accept_then_html", status=502), 502, 1),
    ],
)
async def test_what_was_answered_and_what_was_done_can_differ(
    autojump_clock: MockClock, rule: Fault, status: int, placed: int
) -> None:
    rig = faulty(rule)
    async with served(rig) as wire:
        answer = await wire.response("POST", "trade/order", LIMIT)
        assert answer.status_code == status
        assert len(rig.venue.orders()) == placed
        if "html" in rule.kind:
            assert answer.text.startswith("<html>")
        else:
            assert answer.json()["code"] == rule.code


async def test_a_truncated_answer_breaks_off_and_the_order_stands(autojump_clock: MockClock) -> None:
    rig = faulty(Fault(kind="truncated_answer", where="trade/order"))
    async with served(rig) as wire:
        stream = await trio.open_tcp_stream("127.0.0.1", wire.port)
        async with stream:
            body = msgspec.json.encode(LIMIT)
            path = "/api/v5/trade/order"
            head = signed_headers("POST", path, body.decode(), rig.venue.wall_ms())
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
            await stream.send_all(request.encode() + body)
            read = b""
            while part := await stream.receive_some(4096):
                read += part
        assert b"HTTP/1.1 200" in read
        assert not read.endswith(b"}")
        assert len(rig.venue.orders()) == 1


async def test_a_request_processed_late_still_obeys_its_deadline(autojump_clock: MockClock) -> None:
    rig = faulty(Fault(kind="late_processing", where="trade/order", delay_ms=3_000, times=2))
    async with served(rig) as wire:
        soon = str(rig.venue.wall_ms() + 2_000)
        assert (await wire.post("trade/order", LIMIT, {"expTime": soon}))["data"][0]["sCode"] == "50036"
        assert (await wire.post("trade/order", LIMIT))["data"][0]["sCode"] == "0"
        assert len(rig.venue.orders()) == 1


async def test_pushes_are_dropped_doubled_delayed_and_swapped_as_planned(autojump_clock: MockClock) -> None:
    rig = faulty(
        Fault(kind="drop_push", where="orders"),
        Fault(kind="duplicate_push", where="orders"),
        Fault(kind="reorder_push", where="orders", after=1),
        Fault(kind="delay_push", where="orders", after=3, delay_ms=5_000),
    )
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        await socket.subscribe(channel="orders", instType="SWAP")
        for number in range(5):
            rig.order("buy", "1", "59000", clOrdId=f"c{number}")
        told = [(await socket.until(channel="orders"))["data"][0]["clOrdId"] for _ in range(5)]
        assert told[:2] == ["c1", "c1"], "the first is dropped, the second comes twice"
        assert told[2:4] == ["c3", "c2"], "the third waits for the fourth"
        assert told[4] == "c4"
        assert trio.current_time() >= 5


async def test_a_login_is_rejected_once_and_answered_late_the_next_time(autojump_clock: MockClock) -> None:
    rig = faulty(Fault(kind="login_reject"), Fault(kind="login_slow", delay_ms=4_000))
    async with served(rig) as wire, wire.socket("private") as socket:
        assert (await socket.login())["code"] == "60009"
        before_s = trio.current_time()
        assert (await socket.login())["event"] == "login"
        assert trio.current_time() - before_s == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("code", ["4004", "4006", "1006"])
async def test_a_connection_is_closed_with_the_planned_code(autojump_clock: MockClock, code: str) -> None:
    rig = faulty(Fault(kind="ws_close", where="public", code=code))
    async with served(rig) as wire, wire.socket("public") as socket:
        await socket.send({"op": "subscribe", "args": [{"channel": "trades", "instId": BTC}]})
        assert await socket.close_code() == int(code)


async def test_an_upgrade_is_announced_a_minute_before_the_close(autojump_clock: MockClock) -> None:
    rig = faulty(Fault(kind="upgrade_notice", where="private"))
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        notice = await socket.until(event="notice")
        assert notice["code"] == "64008"
        noticed_s = trio.current_time()
        for _ in range(2):
            await trio.sleep(25)
            await socket.send("ping")
        assert await socket.close_code() == 1001
        assert trio.current_time() - noticed_s >= 60


async def test_a_refused_handshake_is_refused_with_its_status(autojump_clock: MockClock) -> None:
    rig = faulty(Fault(kind="ws_refuse", status=503))
    async with served(rig) as wire:
        with pytest.RaisesGroup(trio_websocket.ConnectionRejected):
            await wire.visit("public")
        async with wire.socket("public") as socket:
            await socket.send("ping")
            assert await socket.read() == "pong"


def test_an_order_is_acknowledged_and_then_cancelled_by_the_exchange() -> None:
    rig = Rig(faults=Faults(rules=(Fault(kind="ack_then_cancel", code="15"),)))
    assert rig.order("buy", "1", "59000")["sCode"] == "0"
    assert rig.venue.orders() == ()
    assert rig.venue.accounts["main"].done[-1].cancel_source == "15"


def test_an_amendment_fails_after_its_acknowledgement_and_the_order_continues() -> None:
    rig = Rig(faults=Faults(rules=(Fault(kind="amend_fail_late"),)))
    rig.order("buy", "1", "59000", clOrdId="a")
    account = rig.venue.accounts["main"]
    assert rig.venue.trading.amend(account, {"instId": BTC, "clOrdId": "a", "newPx": "58000"})["sCode"] == "0"
    assert rig.venue.orders()[0].px == 59_000


def test_a_stop_fails_at_its_trigger_and_the_position_stays_open() -> None:
    rig = Rig(faults=Faults(rules=(Fault(kind="algo_fail"),)))
    rig.order("buy", "1")
    rig.algo("sell", sz="1", slTriggerPx="59000", slOrdPx="-1", reduceOnly=True)
    rig.price("58900")
    (algo,) = rig.venue.accounts["main"].algos_done
    assert (algo.state, algo.fail_code) == ("order_failed", "51008")
    assert rig.venue.positions()[0].contracts == 1


def test_an_entry_fills_and_its_attached_stop_is_missing_with_the_reason_in_the_entry() -> None:
    rig = Rig(faults=Faults(rules=(Fault(kind="attached_missing"),)))
    rig.order("buy", "1", attachAlgoOrds=[{"slTriggerPx": "59000", "slOrdPx": "-1"}])
    assert rig.venue.algos() == ()
    assert rig.venue.accounts["main"].done[-1].attached[0].fail_code == "51008"


async def test_maintenance_is_announced_refuses_orders_and_opens_first_for_cancels(
    autojump_clock: MockClock,
) -> None:
    plan = Maintenance(begin_ms=START_MS + 60_000, pre_open_ms=START_MS + 120_000, end_ms=START_MS + 180_000)
    rig = faulty(maintenance=(plan,))
    async with served(rig) as wire:
        order_id = (await wire.post("trade/order", LIMIT))["data"][0]["ordId"]
        assert (await wire.get("system/status"))["data"][0]["state"] == "scheduled"
        await trio.sleep(61)
        assert (await wire.get("system/status"))["data"][0]["state"] == "ongoing"
        refused = await wire.response("POST", "trade/order", LIMIT)
        assert (refused.status_code, refused.json()["code"]) == (503, "50001")
        await trio.sleep(60)
        assert (await wire.post("trade/order", LIMIT))["code"] == "50001"
        assert (await wire.post("trade/cancel-order", {"instId": BTC, "ordId": order_id}))["code"] == "0"
        assert (await wire.post("trade/order", {**LIMIT, "ordType": "post_only"}))["code"] == "0"
        await trio.sleep(60)
        assert (await wire.post("trade/order", LIMIT))["code"] == "0"
        assert (await wire.get("system/status"))["data"] == []


async def test_each_state_of_an_announced_maintenance_is_pushed(autojump_clock: MockClock) -> None:
    rig = faulty()
    async with served(rig) as wire, wire.socket("public") as socket:
        await socket.subscribe(channel="status")
        begin_ms = START_MS + 10_000
        one = Maintenance(begin_ms=begin_ms, pre_open_ms=begin_ms + 10_000, end_ms=begin_ms + 20_000)
        rig.venue.announce_maintenance(one)
        rows = [(await socket.until(channel="status"))["data"][0] for _ in range(4)]
        assert [row["state"] for row in rows] == ["scheduled", "ongoing", "pre_open", "completed"]
        assert [row["begin"] for row in rows] == [str(begin_ms)] * 4


async def test_a_scheduled_change_of_an_instrument_is_pushed_and_in_force(autojump_clock: MockClock) -> None:
    change = InstrumentChange(at_ms=START_MS + 10_000, inst_id=BTC, tick_sz="0.5", state="live")
    rig = faulty(changes=(change,))
    async with served(rig) as wire, wire.socket("public") as socket:
        await socket.subscribe(channel="instruments", instType="SWAP")
        assert rig.order("buy", "1", "59000.1")["sCode"] == "0"
        row = (await socket.until(channel="instruments"))["data"][0]
        assert (row["instId"], row["tickSz"]) == (BTC, "0.5")
        assert rig.order("buy", "1", "59000.1")["sCode"] == "51000"


def test_the_same_plan_strikes_the_same_occasions() -> None:
    def struck(seed: int) -> list[bool]:
        rule = Fault(kind="drop_push", times=0, probability=0.3)
        plan = FaultPlan(Faults(rules=(rule,), seed=seed))
        return [plan.draw("drop_push", "orders", 0) is not None for _ in range(200)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 30 < sum(struck(1)) < 90


def test_a_plan_can_be_written_down_and_read_again() -> None:
    plan = Faults(rules=(Fault(kind="html_error", where="trade/order", status=524),), seed=7)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Faults) == plan


async def test_stopping_the_exchange_leaves_no_connection_and_no_task(autojump_clock: MockClock) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire:
        async with wire.socket("public") as socket:
            await socket.subscribe(channel="tickers", instId=BTC)
            assert len(rig.venue.connections.all()) == 1
        await trio.sleep(3)
        assert rig.venue.connections.all() == []
        stuck = await trio.open_tcp_stream("127.0.0.1", wire.port)
        await stuck.send_all(b"GET / HTTP/1.1\r\n")
        await trio.sleep(0.1)
    # The server is gone although this client never finished its request.
    assert await stuck.receive_some(10) == b""
    await stuck.aclose()


async def test_one_order_of_a_batch_fails_and_its_sibling_stands(autojump_clock: MockClock) -> None:
    rig = faulty(Fault(kind="batch_item_fails", after=1))
    async with served(rig) as wire:
        batch = [{**LIMIT, "clOrdId": f"b{number}"} for number in range(3)]
        answer = await wire.post("trade/batch-orders", batch)
        assert answer["code"] == "2"
        assert [item["sCode"] for item in answer["data"]] == ["0", "51008", "0"]
        assert [item["clOrdId"] for item in answer["data"]] == ["b0", "b1", "b2"]
        assert len(rig.venue.orders()) == 2


async def test_a_lagging_exchange_pushes_an_order_that_its_rest_answers_do_not_know_yet(
    autojump_clock: MockClock,
) -> None:
    rig = faulty(Fault(kind="rest_lag", where="trade/order", delay_ms=2_000, times=0))
    rig.venue.settle()
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        await socket.subscribe(channel="orders", instType="SWAP")
        await wire.post("trade/order", {**LIMIT, "clOrdId": "a"})
        assert (await socket.until(channel="orders"))["data"][0]["state"] == "live"
        target = f"trade/order?instId={BTC}&clOrdId=a"
        assert (await wire.get(target))["code"] == "51603"
        assert len((await wire.get("trade/orders-pending"))["data"]) == 1, "this one does not lag"
        await trio.sleep(2.1)
        assert (await wire.get(target))["data"][0]["state"] == "live"


def test_amendments_under_way_are_at_most_three_and_come_into_force_late() -> None:
    rig = Rig(faults=Faults(rules=(Fault(kind="late_amendment", delay_ms=500, times=0),)))
    rig.order("buy", "1", "59000", clOrdId="a")
    account = rig.venue.accounts["main"]

    def amend(px: str) -> object:
        return rig.venue.trading.amend(account, {"instId": BTC, "clOrdId": "a", "newPx": px})["sCode"]

    assert [amend(px) for px in ("58000", "58100", "58200", "58300")] == ["0", "0", "0", "51513"]
    assert rig.venue.orders()[0].px == 59_000
    rig.pass_ms(501)
    assert rig.venue.orders()[0].px == 58_200
    assert amend("58300") == "0"


async def test_a_late_amendment_of_a_filled_order_fails_on_the_orders_channel(
    autojump_clock: MockClock,
) -> None:
    rig = faulty(Fault(kind="late_amendment", delay_ms=3_000))
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        await socket.subscribe(channel="orders", instType="SWAP")
        await wire.post("trade/order", {**LIMIT, "clOrdId": "a"})
        amendment = {"instId": BTC, "clOrdId": "a", "newPx": "58000", "reqId": "r1"}
        assert (await wire.post("trade/amend-order", amendment))["code"] == "0"
        rig.price_now("58900")
        rows = [(await socket.until(channel="orders"))["data"][0] for _ in range(3)]
        assert [(row["state"], row["reqId"], row["amendResult"]) for row in rows] == [
            ("live", "", ""),
            ("filled", "", ""),
            ("filled", "r1", "-1"),
        ]


async def test_book_sequence_numbers_begin_again_and_the_chain_stays_whole(autojump_clock: MockClock) -> None:
    rig = faulty(Fault(kind="books_reset", after=2))
    async with served(rig) as wire, wire.socket("public") as socket:
        await socket.subscribe(channel="books", instId=BTC)
        chain = []
        for number in range(6):
            chain.append((await socket.until(channel="books"))["data"][0])
            rig.price_now(str(60_010 + number))
    links = list(pairwise(chain))
    assert all(later["prevSeqId"] == earlier["seqId"] for earlier, later in links)
    assert [later["seqId"] < later["prevSeqId"] for _, later in links] == [False, False, True, False, False]


async def test_a_contract_is_suspended_and_its_lot_changed_on_schedule(autojump_clock: MockClock) -> None:
    changes = (
        InstrumentChange(at_ms=START_MS + 5_000, inst_id=BTC, state="suspend"),
        InstrumentChange(at_ms=START_MS + 8_000, inst_id=BTC, state="post_only"),
        InstrumentChange(at_ms=START_MS + 10_000, inst_id=BTC, state="live", min_sz="0.1"),
    )
    rig = faulty(changes=changes)
    async with served(rig) as wire, wire.socket("public") as socket:
        await socket.subscribe(channel="instruments", instType="SWAP")
        codes = []
        for _ in changes:
            row = (await socket.until(channel="instruments"))["data"][0]
            codes.append((row["state"], rig.order("buy", "1")["sCode"], rig.order("buy", "0.15")["sCode"]))
    assert codes == [("suspend", "51022", "51022"), ("post_only", "54012", "54012"), ("live", "0", "51121")]
