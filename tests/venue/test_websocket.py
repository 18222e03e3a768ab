"""Stories of the WebSocket protocol, over real loopback sockets."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.sessions import Session
from anchorwatch.io.venue.switches import Switches
from tests.venue.rig import BTC, HEDGED, Rig, TrioClock, Wire, served

MARKET_BUY = {"tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}


async def test_every_subscribed_argument_is_acknowledged_and_a_wrong_one_does_not_harm_the_others(
    autojump_clock: MockClock,
) -> None:
    async with served(Rig(clock=TrioClock())) as wire, wire.socket("public") as socket:
        args = [
            {"channel": "trades", "instId": BTC},
            {"channel": "nonsense", "instId": BTC},
            {"channel": "trades", "instId": "NOPE-USDT-SWAP"},
            {"channel": "candle1m", "instId": BTC},
            {"channel": "orders", "instType": "SWAP"},
            {"channel": "tickers", "instId": BTC},
        ]
        await socket.send({"id": "7", "op": "subscribe", "args": args})
        frames = [await socket.answer() for _ in range(6)]
        assert [frame.get("code", frame["event"]) for frame in frames] == [
            "subscribe",
            "60018",
            "60018",
            "64001",
            "60018",
            "subscribe",
        ]
        assert all(frame["id"] == "7" and len(frame["connId"]) == 8 for frame in frames)


async def test_private_channels_need_a_login_and_a_wrong_login_is_refused(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire, wire.socket("private") as socket:
        await socket.send({"op": "subscribe", "args": [{"channel": "orders", "instType": "SWAP"}]})
        assert (await socket.answer())["code"] == "60011"
        assert (await socket.login(now_ms=wire.venue.wall_ms() - 40_000))["code"] == "60006"
        assert (await socket.login())["event"] == "login"
        # The official SDK logs in again before every subscription.
        assert (await socket.login())["event"] == "login"
        await socket.subscribe(channel="orders", instType="SWAP")


async def test_a_repeated_login_is_refused_where_the_switch_says_so(autojump_clock: MockClock) -> None:
    rig = Rig(clock=TrioClock(), switches=Switches(repeated_login_succeeds=False))
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        assert (await socket.login())["code"] == "60031"


async def test_text_ping_is_answered_and_keeps_a_silent_connection_alive(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire, wire.socket("private", login=True) as socket:
        for _ in range(5):
            await trio.sleep(25)
            await socket.send("ping")
            assert await socket.read() == "pong"


async def test_a_connection_without_a_word_for_thirty_seconds_is_closed_with_4004(
    autojump_clock: MockClock,
) -> None:
    async with served(Rig(clock=TrioClock())) as wire, wire.socket("public") as socket:
        opened_s = trio.current_time()
        assert await socket.close_code() == 4004
        assert trio.current_time() - opened_s == pytest.approx(30, abs=0.1)


async def test_protocol_pings_do_not_keep_a_connection_alive(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire, wire.socket("public") as socket:
        await trio.sleep(20)
        await socket.websocket.ping(b"still there")
        assert await socket.close_code() == 4004
        assert trio.current_time() < 31


async def test_an_order_is_told_live_then_filled_and_the_position_follows_within_fifty_ms(
    autojump_clock: MockClock,
) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        await socket.subscribe(channel="orders", instType="SWAP")
        await socket.subscribe(channel="positions", instType="ANY")
        await socket.subscribe(channel="balance_and_position")
        placed_s = trio.current_time()
        assert (await wire.post("trade/order", {**MARKET_BUY, "instId": BTC, "clOrdId": "a"}))["code"] == "0"
        live = (await socket.until(channel="orders"))["data"][0]
        filled = (await socket.until(channel="orders"))["data"][0]
        assert (live["state"], live["avgPx"], live["tradeId"]) == ("live", "0", "")
        assert (filled["state"], filled["fillSz"], filled["accFillSz"]) == ("filled", "1", "1")
        assert filled["execType"] == "T"
        position = (await socket.until(channel="positions", eventType="event_update"))["data"][0]
        assert (position["pos"], position["tradeId"]) == ("1", filled["tradeId"])
        assert trio.current_time() - placed_s <= 0.06
        summary = (await socket.until(channel="balance_and_position"))["data"][0]
        assert summary["eventType"] == "filled"
        assert summary["trades"] == [{"instId": BTC, "tradeId": filled["tradeId"]}]


async def test_snapshots_come_for_account_and_held_positions_and_never_for_orders(
    autojump_clock: MockClock,
) -> None:
    rig = Rig(clock=TrioClock())
    rig.order("buy", "1")
    rig.order("buy", "1", "59000")
    rig.pass_ms(1)
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        for channel in ("orders", "positions"):
            await socket.subscribe(channel=channel, instType="SWAP")
        await socket.subscribe(channel="account")
        snapshot = await socket.until(channel="account", eventType="snapshot")
        assert (snapshot["curPage"], snapshot["lastPage"]) == (1, True)
        shown = [frame["arg"]["channel"] for frame in socket.seen if "data" in frame]
        assert shown == ["positions", "account"]
        first_s = trio.current_time()
        await socket.until(channel="positions", eventType="snapshot")
        assert trio.current_time() - first_s == pytest.approx(5, abs=0.1), "the regular push"


async def test_a_closed_position_is_told_as_a_row_with_pos_zero(autojump_clock: MockClock) -> None:
    rig = Rig(HEDGED, clock=TrioClock())
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        await socket.subscribe(channel="positions", instType="SWAP", extraParams='{"updateInterval":"0"}')
        rig.order("sell", "1", posSide="short")
        opened = (await socket.until(channel="positions"))["data"][0]
        rig.order("buy", "1", posSide="short")
        closed = (await socket.until(channel="positions"))["data"][0]
        assert (opened["pos"], opened["posSide"]) == ("1", "short")
        assert (closed["pos"], closed["avgPx"], closed["posId"]) == ("0", "", opened["posId"])


async def test_algo_orders_are_told_on_business_and_trailing_ones_on_their_own_channel(
    autojump_clock: MockClock,
) -> None:
    rig = Rig(clock=TrioClock())
    rig.order("buy", "1")
    rig.algo("sell", ordType="move_order_stop", sz="1", callbackRatio="0.01", reduceOnly=True)
    async with served(rig) as wire, wire.socket("business", login=True) as socket:
        await socket.subscribe(channel="orders-algo", instType="SWAP")
        await socket.subscribe(channel="algo-advance", instType="SWAP")
        existing = (await socket.until(channel="algo-advance"))["data"][0]
        assert (existing["ordType"], existing["moveTriggerPx"]) == ("move_order_stop", "59400")
        rig.algo("sell", sz="1", slTriggerPx="59000", slOrdPx="-1", reduceOnly=True, algoClOrdId="s")
        placed = (await socket.until(channel="orders-algo"))["data"][0]
        assert (placed["state"], placed["algoClOrdId"], placed["slOrdPx"]) == ("live", "s", "-1")


async def test_order_operations_name_the_instrument_by_code_and_answer_without_an_event(
    autojump_clock: MockClock,
) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        order = {
            "instIdCode": 10459,
            "tdMode": "cross",
            "side": "buy",
            "ordType": "limit",
            "px": "59000",
            "sz": "1",
        }
        await socket.send({"id": "1", "op": "order", "args": [{**order, "clOrdId": "w"}]})
        placed = await socket.answer()
        assert (placed["id"], placed["op"], placed["code"]) == ("1", "order", "0")
        assert "event" not in placed
        amend = {"instIdCode": 10459, "clOrdId": "w", "newPx": "58000", "reqId": "r"}
        await socket.send({"id": "2", "op": "amend-order", "args": [amend]})
        assert (await socket.answer())["data"][0]["reqId"] == "r"
        batch = [{"instIdCode": 10459, "clOrdId": "w"}, {"instIdCode": 10459, "clOrdId": "gone"}]
        await socket.send({"id": "3", "op": "batch-cancel-orders", "args": batch})
        answer = await socket.answer()
        assert (answer["code"], [item["sCode"] for item in answer["data"]]) == ("2", ["0", "51400"])
        await socket.send({"op": "order", "args": [order]})
        assert (await socket.answer())["code"] == "60013", "an operation needs an id"
        expired = str(rig.venue.wall_ms() - 1)
        await socket.send({"id": "5", "op": "order", "expTime": expired, "args": [order]})
        assert (await socket.answer())["data"][0]["sCode"] == "50036"


async def test_the_book_channel_keeps_an_exact_chain_of_sequence_numbers(autojump_clock: MockClock) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire, wire.socket("public") as socket:
        await socket.subscribe(channel="books", instId=BTC)
        row = (await socket.until(action="snapshot"))["data"][0]
        sides = {side: {level[0]: level for level in row[side]} for side in ("bids", "asks")}
        assert (len(sides["bids"]), row["prevSeqId"]) == (400, -1)
        last = row["seqId"]
        for px in ("60010", "59980", "60030"):
            await trio.sleep(0.2)
            rig.price_now(px)
            row = (await socket.until(action="update"))["data"][0]
            assert (row["prevSeqId"], row["checksum"]) == (last, 0)
            last = row["seqId"]
            for side, levels in sides.items():
                for level in row[side]:
                    levels.pop(level[0], None) if level[1] == "0" else levels.update({level[0]: level})
        bids, asks = rig.venue.book.levels(BTC, rig.venue.now_ms(), 400)
        assert max(map(float, sides["bids"])) == float(bids[0].px)
        assert min(map(float, sides["asks"])) == float(asks[0].px)
        assert len(sides["asks"]) == len(asks)


async def test_the_candle_channel_confirms_a_bar_when_its_minute_is_over(autojump_clock: MockClock) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire, wire.socket("business") as socket:
        await socket.subscribe(channel="candle1m", instId=BTC)
        first = (await socket.until(channel="candle1m"))["data"][0]
        assert first[8] == "0"
        for _ in range(2):
            await trio.sleep(25)
            await socket.send("ping")
        row = (await socket.until(channel="candle1m"))["data"][0]
        assert row[8] == "1"
        assert row[0] == first[0]
        assert trio.current_time() == pytest.approx(60, abs=1)


async def test_malformed_frames_get_an_error_and_the_connection_stays(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire, wire.socket("private", login=True) as socket:
        for frame, code in (
            ("{nonsense", "60012"),
            ("[]", "60012"),
            ("12", "60012"),
            ("", "60012"),
            ("[" * 5000, "60012"),
            ('{"op":"fly","args":[]}', "60012"),
            ('{"op":"subscribe"}', "60013"),
            ('{"op":"subscribe","args":[7]}', "60013"),
            ('{"id":"no-good","op":"subscribe","args":[{}]}', "60013"),
            ('{"op":"subscribe","args":[{"channel":{}}]}', "51000"),
        ):
            await socket.send(frame)
            assert (await socket.answer())["code"] == code, frame
        await socket.send("ping")
        assert await socket.read() == "pong"


async def test_a_frame_too_long_closes_only_its_own_connection(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        async with wire.socket("public") as other, wire.socket("public") as socket:
            await socket.send("x" * 200_000)
            assert await socket.close_code() == 1009
            await other.send("ping")
            assert await other.read() == "pong"


async def deaf_reader(wire: Wire) -> tuple[trio.SocketStream, Session]:
    """A connection that subscribes and never reads, with so much sent to it that the exchange's send is stuck."""
    stream = await trio.open_tcp_stream("127.0.0.1", wire.port)
    handshake = (
        "GET /ws/v5/public HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await stream.send_all(handshake.encode())
    await stream.receive_some(1000)
    await trio.sleep(0.1)
    session = wire.venue.connections.all()[-1]
    for _ in range(4000):
        session.send("x" * 5000)
    await trio.sleep(1)
    assert session.outbox, "more than the sockets hold"
    return stream, session


async def test_a_reader_that_never_reads_is_cut_off_and_others_are_not(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire, wire.socket("public") as other:
        stream, session = await deaf_reader(wire)
        for _ in range(5001):
            session.send("x")
        assert session.closing is not None
        assert session.closing.code == 4005
        await trio.sleep(10)
        await stream.send_all(b"x")
        await trio.sleep(0.1)
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")
        await stream.aclose()
        await other.send("ping")
        assert await other.read() == "pong"


async def test_a_reader_that_never_reads_does_not_hold_up_the_end_of_the_exchange(
    autojump_clock: MockClock,
) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        stream, _ = await deaf_reader(wire)
    assert trio.current_time() < 5
    await stream.aclose()


async def test_the_fourth_connection_of_an_address_within_a_second_waits_its_turn(
    autojump_clock: MockClock,
) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        for _ in range(3):
            await wire.visit("public")
        began_s = trio.current_time()
        await wire.visit("public")
        assert 0.9 <= trio.current_time() - began_s <= 1.1


async def test_deleting_a_key_closes_its_connections(autojump_clock: MockClock) -> None:
    rig = Rig(clock=TrioClock())
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        rig.venue.delete_key("sim-key")
        assert await socket.close_code() == 4007
        assert (await wire.get("account/balance"))["code"] == "50111"


async def test_two_sub_accounts_see_only_their_own_orders(autojump_clock: MockClock) -> None:
    rig = Rig(AccountSpec(), AccountSpec(name="other", uid="2", keys=()), clock=TrioClock())
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        await socket.subscribe(channel="orders", instType="SWAP")
        rig.order("buy", "1", "59000", account="other")
        rig.order("buy", "1", "58000")
        assert (await socket.until(channel="orders"))["data"][0]["px"] == "58000"


async def test_too_many_subscription_requests_are_refused(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire, wire.socket("public") as socket:
        for _ in range(481):
            await socket.send({"op": "unsubscribe", "args": [{"channel": "trades", "instId": BTC}]})
        frames = [await socket.answer() for _ in range(481)]
        assert frames[479]["event"] == "unsubscribe"
        assert frames[480]["code"] == "60014"


@pytest.mark.parametrize(("delay_ms", "first"), [(0, "push"), (20, "answer")])
async def test_a_push_overtakes_the_answer_unless_the_switch_lets_the_answer_go_first(
    autojump_clock: MockClock, delay_ms: int, first: str
) -> None:
    rig = Rig(clock=TrioClock(), switches=Switches(push_delay_ms=delay_ms))
    async with served(rig) as wire, wire.socket("private", login=True) as socket:
        await socket.subscribe(channel="orders", instType="SWAP")
        order = {
            "instIdCode": 10459,
            "tdMode": "cross",
            "side": "buy",
            "ordType": "limit",
            "px": "59000",
            "sz": "1",
        }
        await socket.until(event="channel-conn-count")
        await socket.send({"id": "1", "op": "order", "args": [order]})
        frames = [await socket.answer() for _ in range(2)]
        assert ["answer" if "op" in frame else "push" for frame in frames].index(first) == 0
