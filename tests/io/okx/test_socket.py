"""The WebSocket client against real WebSocket servers and against peers that are none."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
import trio
import trio_websocket
from trio.testing import MockClock

from anchorwatch.io.okx import socket as okx_socket
from anchorwatch.io.okx.signing import signature, ws_login_prehash
from anchorwatch.io.okx.socket import (
    DialFailed,
    LoginAccepted,
    LoginRefused,
    OkxSocket,
    SocketEnd,
    SocketLost,
    open_okx_socket,
)
from anchorwatch.io.okx.wire_ws import Arg, ConnectionCount, Frame, Garbled, Notice, Pong, Push, Unread
from tests.io.okx.canned import CREDENTIALS, NOW_MS

Speak = Callable[[trio_websocket.WebSocketConnection], Awaitable[None]]
ORDERS = Arg(channel="orders", inst_type="SWAP")
POSITIONS = Arg(channel="positions", inst_type="SWAP")
ACCOUNT = Arg(channel="account")
TICK = '{"arg":{"channel":"tickers","instId":"X"},"data":[{"instId":"X","last":"1"}]}'


@asynccontextmanager
async def ws_venue(speak: Speak) -> AsyncIterator[str]:
    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        ws = await request.accept()
        with suppress(trio_websocket.ConnectionClosed):
            await speak(ws)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(trio_websocket.serve_websocket, serve, "127.0.0.1", 0, None, message_queue_size=16)
        )
        yield f"ws://127.0.0.1:{server.port}/ws/v5/private"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def tcp_peer(speak: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await speak(stream)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/ws/v5/public"
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Any:
    """A socket that is forgotten instead of closed warns when it is collected: make that happen, and count."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []


async def next_request(ws: trio_websocket.WebSocketConnection) -> dict[str, Any]:
    while (text := await ws.get_message()) == "ping":
        await ws.send_message("pong")
    request: dict[str, Any] = json.loads(text)
    return request


def ack(request: dict[str, Any], arg: dict[str, str]) -> str:
    return json.dumps({"id": request.get("id", ""), "event": "subscribe", "arg": arg, "connId": "a1b2c3d4"})


def error(request: dict[str, Any], code: str, **more: Any) -> str:
    return json.dumps({"id": request.get("id", ""), "event": "error", "code": code, "msg": "no", **more})


async def friendly(ws: trio_websocket.WebSocketConnection, after_a_subscription: str = "") -> None:
    while request := await next_request(ws):
        if request["op"] == "login":
            (login,) = request["args"]
            good = login["sign"] == signature(CREDENTIALS.secret, ws_login_prehash(login["timestamp"]))
            reply = {
                "event": "login" if good else "error",
                "code": "0" if good else "60007",
                "msg": "",
                "connId": "c",
            }
            await ws.send_message(json.dumps(reply))
        for arg in request["args"] if request["op"] == "subscribe" else ():
            await ws.send_message(ack(request, arg))
            if after_a_subscription:
                await ws.send_message(after_a_subscription)


async def test_log_in_subscribe_and_hear() -> None:
    async def speak(ws: trio_websocket.WebSocketConnection) -> None:
        await friendly(ws, after_a_subscription=TICK)

    async with ws_venue(speak) as url, open_okx_socket(url) as socket:
        assert await socket.login(CREDENTIALS, NOW_MS // 1000) == LoginAccepted("c")
        report = await socket.subscribe([ORDERS, POSITIONS, ACCOUNT])
        assert (report.complete, report.confirmed) == (True, (ORDERS, POSITIONS, ACCOUNT))
        async for frame in socket.frames():
            assert isinstance(frame, Push)
            break


async def test_a_refused_login_is_told_from_a_drop() -> None:
    async def refuse(ws: trio_websocket.WebSocketConnection) -> None:
        while request := await next_request(ws):
            await ws.send_message(json.dumps({"event": "error", "code": "60024", "msg": "Wrong passphrase"}))
            assert request["op"] == "login"

    async def drop(ws: trio_websocket.WebSocketConnection) -> None:
        await ws.get_message()
        await ws.aclose(1001, "going away")

    async def close_as_refusal(ws: trio_websocket.WebSocketConnection) -> None:
        await ws.get_message()
        await ws.aclose(4001, "Login failed.")

    async with ws_venue(refuse) as url, open_okx_socket(url) as socket:
        assert await socket.login(CREDENTIALS, 1) == LoginRefused("60024", "Wrong passphrase")
    async with ws_venue(close_as_refusal) as url, open_okx_socket(url) as socket:
        assert await socket.login(CREDENTIALS, 1) == LoginRefused("4001", "Login failed.")
    async with ws_venue(drop) as url, open_okx_socket(url) as socket:
        with pytest.raises(SocketLost) as lost:
            await socket.login(CREDENTIALS, 1)
        assert lost.value.end == SocketEnd("going away", 1001)


async def test_a_login_without_an_answer_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    async def mute(ws: trio_websocket.WebSocketConnection) -> None:
        await trio.sleep_forever()

    async with ws_venue(mute) as url, open_okx_socket(url) as socket:
        start = trio.current_time()
        with pytest.raises(SocketLost, match="no answer to the login"):
            await socket.login(CREDENTIALS, 1, deadline_s=7)
        assert trio.current_time() - start == pytest.approx(7)


async def test_a_channel_without_an_acknowledgement_is_named(autojump_clock: MockClock) -> None:
    async def forgetful(ws: trio_websocket.WebSocketConnection) -> None:
        while request := await next_request(ws):
            for arg in request["args"]:
                if arg["channel"] == "positions":
                    await ws.send_message(error(request, "60018"))
                elif arg["channel"] != "account":
                    await ws.send_message(ack(request, arg))

    async with ws_venue(forgetful) as url, open_okx_socket(url) as socket:
        report = await socket.subscribe([ORDERS, POSITIONS, ACCOUNT], deadline_s=3)
    assert not report.complete
    assert report.confirmed == (ORDERS,)
    assert [(refused.arg, refused.code) for refused in report.refused] == [(POSITIONS, "60018")]
    assert report.missing == (ACCOUNT,)


async def test_a_channel_taken_back_for_too_many_connections_is_refused(autojump_clock: MockClock) -> None:
    async def crowded(ws: trio_websocket.WebSocketConnection) -> None:
        while request := await next_request(ws):
            for arg in request["args"]:
                if arg["channel"] == "orders":
                    await ws.send_message(ack(request, arg))
                    count = {"event": "channel-conn-count-error", "channel": "orders", "connCount": "30"}
                    await ws.send_message(json.dumps(count))
                else:
                    await trio.sleep(0.1)
                    await ws.send_message(ack(request, arg))

    async with ws_venue(crowded) as url, open_okx_socket(url) as socket:
        report = await socket.subscribe([ORDERS, ACCOUNT])
    assert report.confirmed == (ACCOUNT,)
    assert report.refused[0].arg == ORDERS


async def test_many_channels_fit_the_hourly_number_of_requests() -> None:
    seen: list[int] = []

    async def count(ws: trio_websocket.WebSocketConnection) -> None:
        while request := await next_request(ws):
            seen.append(len(request["args"]))
            for arg in request["args"]:
                await ws.send_message(ack(request, arg))

    args = [Arg(channel="tickers", inst_id=f"C{number}-USDT-SWAP") for number in range(300)]
    async with ws_venue(count) as url, open_okx_socket(url) as socket:
        assert (await socket.subscribe(args)).complete
    assert len(seen) <= 64
    assert sum(seen) == 300


async def test_frames_go_to_a_callback_in_their_order_with_what_is_new_or_broken_among_them() -> None:
    texts = [
        TICK,
        '{"event":"notice","code":"64008","msg":"upgrade"}',
        '{"event":"novel"}',
        "{broken",
        "pong",
    ]
    texts.append('{"event":"channel-conn-count","channel":"orders","connCount":"2"}')

    async def speak(ws: trio_websocket.WebSocketConnection) -> None:
        for text in texts:
            await ws.send_message(text)
        await ws.send_message(b"\x00\x01")
        await ws.aclose(4004, "No data received in 30s.")

    heard: list[Frame] = []
    async with ws_venue(speak) as url, open_okx_socket(url, deliver=heard.append) as socket:
        end = await socket.wait_ended()
    kinds = [type(frame) for frame in heard]
    assert kinds == [Push, Notice, Unread, Garbled, Pong, ConnectionCount, Garbled]
    assert end == SocketEnd("No data received in 30s.", 4004)


async def test_the_frames_end_with_the_socket_after_all_that_arrived_before() -> None:
    async def speak(ws: trio_websocket.WebSocketConnection) -> None:
        for _ in range(5):
            await ws.send_message(TICK)
        await ws.aclose(1001, "bye")

    async with ws_venue(speak) as url, open_okx_socket(url) as socket:
        await socket.wait_ended()
        assert len([frame async for frame in socket.frames()]) == 5
        with pytest.raises(SocketLost, match="bye"):
            await socket.ping()


async def test_a_consumer_far_behind_ends_the_socket_instead_of_losing_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(okx_socket, "FRAMES_QUEUED_MAX", 10)

    async def speak(ws: trio_websocket.WebSocketConnection) -> None:
        while True:
            await ws.send_message(TICK)

    async with ws_venue(speak) as url, open_okx_socket(url) as socket:
        assert "frames behind" in (await socket.wait_ended()).reason


async def test_ping_is_answered_or_not(autojump_clock: MockClock) -> None:
    async def deaf(ws: trio_websocket.WebSocketConnection) -> None:
        await trio.sleep_forever()

    async with ws_venue(friendly) as url, open_okx_socket(url) as socket:
        assert await socket.ping(answer_within_s=5)
        heard_at = socket.heard_at
        assert isinstance(await anext(aiter(socket.frames())), Pong)
        await trio.sleep(20)
        assert trio.current_time() - heard_at == pytest.approx(20)
    async with ws_venue(deaf) as url, open_okx_socket(url) as socket:
        assert not await socket.ping(answer_within_s=5)
        assert socket.ended is None  # what to make of it is for the machine to decide


async def test_a_frame_beyond_the_bound_ends_the_socket() -> None:
    async def speak(ws: trio_websocket.WebSocketConnection) -> None:
        await ws.send_message("x" * 5000)
        await trio.sleep_forever()

    async with ws_venue(speak) as url, open_okx_socket(url, frame_bytes_max=1000) as socket:
        assert (await socket.wait_ended()).code == 1009


async def test_a_connection_cut_without_a_close_frame_is_a_loss() -> None:
    async def cut(ws: trio_websocket.WebSocketConnection) -> None:
        await ws._stream.aclose()

    async with ws_venue(cut) as url, open_okx_socket(url) as socket:
        assert (await socket.wait_ended()).code == 1006


async def rejected(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 503 Maintenance\r\nContent-Length: 3\r\n\r\nno!")
    await trio.sleep_forever()


async def garbage(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"\x00\x01\x02 hello\r\n\r\n" * 10)
    await trio.sleep_forever()


async def plain_html(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
    await trio.sleep_forever()


async def hangs_up(stream: trio.SocketStream) -> None:
    await stream.receive_some()


async def hangs_up_half_way(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 101 Switching Pro")


async def resets(stream: trio.SocketStream) -> None:
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


@pytest.mark.parametrize("peer", [rejected, garbage, plain_html, hangs_up, hangs_up_half_way, resets])
async def test_a_peer_that_is_no_websocket_fails_the_dial_at_once_and_leaves_nothing(
    peer: Callable[[trio.SocketStream], Awaitable[None]],
) -> None:
    async with tcp_peer(peer) as url:
        with trio.fail_after(2), pytest.raises(DialFailed) as failed:
            async with open_okx_socket(url):
                raise AssertionError("no socket can have opened")
    assert str(failed.value)
    if peer is rejected:
        assert "503" in str(failed.value)


async def silent(_stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def test_a_silent_peer_fails_the_dial_at_its_deadline(autojump_clock: MockClock) -> None:
    async with tcp_peer(silent) as url:
        with pytest.raises(DialFailed, match="no WebSocket within 4 s"):
            async with open_okx_socket(url, dial_deadline_s=4):
                raise AssertionError("no socket can have opened")
        assert trio.current_time() == pytest.approx(4)


async def test_a_port_where_nobody_listens_fails_the_dial() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(DialFailed, match="OSError"):
        async with open_okx_socket(f"ws://127.0.0.1:{port}/x"):
            raise AssertionError("no socket can have opened")


async def test_a_dial_cancelled_half_way_leaves_nothing(autojump_clock: MockClock) -> None:
    closed_by_us = trio.Event()

    async def listen_to_the_end(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            pass
        closed_by_us.set()

    async with tcp_peer(listen_to_the_end) as url:
        with trio.move_on_after(1) as scope:
            async with open_okx_socket(url):
                raise AssertionError("no socket can have opened")
        assert scope.cancelled_caught
        with trio.fail_after(1):
            await closed_by_us.wait()


async def test_the_old_socket_is_gone_when_its_block_is_left() -> None:
    gone = trio.Event()

    async def speak(ws: trio_websocket.WebSocketConnection) -> None:
        try:
            await ws.get_message()
        finally:
            gone.set()

    async with ws_venue(speak) as url:
        async with open_okx_socket(url) as socket:
            pass
        with trio.fail_after(1):
            await gone.wait()
        assert socket.ended is not None
        assert socket.ended.code == 1000


async def test_leaving_a_half_open_socket_takes_no_longer_than_the_goodbye(autojump_clock: MockClock) -> None:
    upgraded: list[trio_websocket.WebSocketConnection] = []

    async def half_open(stream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, stream)
            upgraded.append(await request.accept())
            nursery.cancel_scope.cancel()  # its reader is gone: the goodbye will have no answer
        with trio.CancelScope(shield=True):
            await trio.sleep(60)

    async with tcp_peer(half_open) as url:
        async with open_okx_socket(url):
            await trio.sleep(1)
            start = trio.current_time()
        assert trio.current_time() - start <= okx_socket.CLOSE_S + 0.01


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_goodbye_that_is_answered_takes_no_time_even_for_a_cancelled_owner(cancelled: bool) -> None:
    async with ws_venue(friendly) as url:
        with trio.CancelScope() as scope:
            async with open_okx_socket(url):
                if cancelled:
                    scope.cancel()
                left_at = trio.current_time()
    assert trio.current_time() - left_at < okx_socket.CLOSE_S / 2


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    async with ws_venue(friendly) as url:
        with pytest.raises(KeyError, match="ours"):
            async with open_okx_socket(url):
                raise KeyError("ours")


async def test_a_cancelled_block_closes_the_socket_and_passes_the_cancellation_on() -> None:
    held: list[OkxSocket] = []
    async with ws_venue(friendly) as url:
        with trio.move_on_after(0.05) as scope:
            async with open_okx_socket(url) as socket:
                held.append(socket)
                await trio.sleep_forever()
        assert scope.cancelled_caught
    assert held[0].ended is not None
    assert held[0].ended.code == 1000


async def test_a_bug_in_the_consumer_is_not_taken_for_a_lost_connection() -> None:
    def broken(_frame: Frame) -> None:
        raise ZeroDivisionError

    async def speak(ws: trio_websocket.WebSocketConnection) -> None:
        await ws.send_message(TICK)
        await trio.sleep_forever()

    async with ws_venue(speak) as url:
        with pytest.raises(BaseExceptionGroup) as group:
            async with open_okx_socket(url, deliver=broken):
                await trio.sleep_forever()
        assert group.value.split(ZeroDivisionError)[1] is None
