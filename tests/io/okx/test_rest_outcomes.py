"""What becomes of a call when the venue, or the line to it, misbehaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.okx.calls import READ_DEADLINE_S, WRITE_DEADLINE_S
from anchorwatch.io.okx.environments import Environment, endpoints
from anchorwatch.io.okx.errors import NOT_SENT
from anchorwatch.io.okx.outcomes import Answered, Failed, Refused, Unknown
from anchorwatch.io.okx.requests import (
    AlgoAmend,
    AlgoCancel,
    AlgoRequest,
    ClosePosition,
    OrderCancel,
    OrderRequest,
)
from anchorwatch.io.okx.rest import PLACEMENT_VALID_MS, OkxRest
from anchorwatch.io.okx.signing import rest_prehash, rest_timestamp, signature
from anchorwatch.io.okx.transport import BODY_BYTES_MAX
from tests.io.okx.canned import (
    CREDENTIALS,
    NOW_MS,
    Canned,
    Script,
    answer,
    canned_http,
    hang_up,
    reset,
    rows,
    silence,
    truncated,
)

ENTRY = OrderRequest(
    inst_id="BTC-USDT-SWAP",
    td_mode="cross",
    side="buy",
    ord_type="limit",
    sz=Decimal("1.0"),
    px=Decimal("6E+4"),
    cl_ord_id="bot0001",
)
STOP = AlgoRequest(
    inst_id="BTC-USDT-SWAP", td_mode="cross", side="sell", ord_type="conditional", algo_cl_ord_id="s1"
)
ACCEPTED = {"ordId": "1", "clOrdId": "bot0001", "sCode": "0", "sMsg": ""}
HTML = answer("<html><h1>502 Bad Gateway</h1></html>", 502, "text/html")
HTML_200 = answer("<html>sign in to this hotel</html>", 200, "text/html")


@asynccontextmanager
async def venue(*scripts: Script) -> AsyncIterator[tuple[OkxRest, Canned]]:
    async with canned_http(*scripts) as canned:
        async with OkxRest(canned.endpoints, CREDENTIALS, lambda: NOW_MS) as rest:
            yield rest, canned


def header(request: bytes, name: str) -> str | None:
    for line in request.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return None


async def test_a_private_request_is_signed_over_the_bytes_that_arrive() -> None:
    async with venue(rows(ACCEPTED)) as (rest, canned):
        assert isinstance(await rest.place_order(ENTRY), Answered)
        await rest.positions(inst_id="BTC-USDT-SWAP")
    for request in canned.requests:
        method, target, _ = request.split(b"\r\n")[0].decode().split(" ")
        body = request.partition(b"\r\n\r\n")[2].decode()
        text = rest_prehash(rest_timestamp(NOW_MS), method, target, body)
        assert header(request, "OK-ACCESS-SIGN") == signature(CREDENTIALS.secret, text)
        assert header(request, "OK-ACCESS-KEY") == "sim-key"
        assert header(request, "x-simulated-trading") == "1"
    placement = canned.requests[0]
    assert placement.endswith(
        b'{"instId":"BTC-USDT-SWAP","tdMode":"cross","side":"buy","ordType":"limit","sz":"1","clOrdId":"bot0001",'
        b'"px":"60000"}'
    )
    assert header(placement, "expTime") == str(NOW_MS + PLACEMENT_VALID_MS)


async def test_a_public_request_carries_no_key() -> None:
    async with venue(rows({"ts": str(NOW_MS)})) as (rest, canned):
        await rest.server_time()
    assert header(canned.requests[0], "OK-ACCESS-KEY") is None


async def test_all_calls_share_one_connection() -> None:
    ports = []

    async def note_the_port(stream: trio.SocketStream, request: bytes) -> None:
        ports.append(stream.socket.getpeername()[1])
        await rows({"ts": "1"})(stream, request)

    async with venue(note_the_port) as (rest, _):
        for _ in range(3):
            assert isinstance(await rest.server_time(), Answered)
    assert len(set(ports)) == 1


@pytest.mark.parametrize(
    "fault", [reset, hang_up, truncated, HTML, HTML_200, answer("", 200), answer("{}", 200)]
)
async def test_a_write_that_broke_after_it_left_is_unknown_and_not_repeated(fault: Script) -> None:
    async with venue(fault) as (rest, canned):
        outcome = await rest.place_order(ENTRY)
    assert isinstance(outcome, Unknown)
    assert outcome.expires_ms == NOW_MS + PLACEMENT_VALID_MS
    assert len(canned.requests) == 1


async def test_a_write_without_an_answer_is_unknown_when_its_deadline_passes(
    autojump_clock: MockClock,
) -> None:
    async with venue(silence) as (rest, canned):
        outcome = await rest.place_algo(STOP)
        assert isinstance(outcome, Unknown)
        assert outcome.expires_ms is None  # algo orders have no deadline at the venue
        assert trio.current_time() == pytest.approx(WRITE_DEADLINE_S)
    assert len(canned.requests) == 1


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (rows(code="50004", status=400), "50004"),
        (rows(code="51149", status=500), "51149"),
        (rows(code="50026", status=500), "50026"),
        (rows({"sCode": "59999", "sMsg": "new"}, code="1"), "59999"),
        (rows(ACCEPTED, status=503), "0"),
        (rows(code="0"), "0"),  # success without an acknowledgement
        (rows(code="1"), "1"),
    ],
)
async def test_a_write_whose_answer_leaves_doubt_is_unknown_with_its_code(script: Script, code: str) -> None:
    async with venue(script) as (rest, _):
        outcome = await rest.place_order(ENTRY)
    assert isinstance(outcome, Unknown)
    assert outcome.code == code


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            rows({"sCode": "51008", "subCode": "1001", "sMsg": "margin"}, code="1"),
            Refused("51008", "1001", "margin"),
        ),
        (rows({"sCode": "51280", "sMsg": "beyond"}, code="0"), Refused("51280", "", "beyond")),
        (rows({"sCode": "51016", "sMsg": "duplicate"}, code="1"), Refused("51016", "", "duplicate")),
        (rows(code="50011", status=429), Refused("50011", "", "rate limit of the endpoint")),
    ],
)
async def test_a_write_that_the_venue_refused_had_no_effect(script: Script, expected: Refused) -> None:
    async with venue(script) as (rest, canned):
        assert await rest.place_order(ENTRY) == expected
    assert len(canned.requests) == 1


async def test_an_accepted_item_counts_even_under_a_failed_top_code() -> None:
    async with venue(rows(ACCEPTED, code="1")) as (rest, _):
        outcome = await rest.place_order(ENTRY)
    assert isinstance(outcome, Answered)
    assert outcome.row.ord_id == "1"


async def unused_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        return int(listener.socket.getsockname()[1])


async def test_a_write_to_a_host_that_refuses_connections_surely_had_no_effect(
    autojump_clock: MockClock,
) -> None:
    host = f"127.0.0.1:{await unused_port()}"
    nowhere = endpoints(Environment.SIM, rest_url=f"http://{host}", ws_url=f"ws://{host}")
    async with OkxRest(nowhere, CREDENTIALS, lambda: NOW_MS) as rest:
        outcome = await rest.place_order(ENTRY)
        assert isinstance(outcome, Refused)
        assert outcome.code == NOT_SENT
        assert isinstance(await rest.positions(), Failed)


async def test_a_write_no_longer_wanted_when_the_wire_is_reached_is_not_sent() -> None:
    async with venue(rows({"ts": str(NOW_MS)})) as (rest, canned):
        outcome = await rest.place_order(ENTRY, still_wanted=lambda: False)
        assert isinstance(outcome, Refused)
        assert (outcome.code, canned.requests) == (NOT_SENT, [])
        assert isinstance(await rest.server_time(), Answered)  # and the client is none the worse


async def test_a_write_without_room_under_the_limit_is_not_sent(autojump_clock: MockClock) -> None:
    async with venue(rows({"posMode": "net_mode"})) as (rest, canned):
        for _ in range(4):
            assert isinstance(await rest.set_position_mode("net_mode"), Answered)
        # The fifth waits for the window instead of being refused by the venue.
        assert isinstance(await rest.set_position_mode("net_mode"), Answered)
        assert trio.current_time() >= 2
    assert len(canned.requests) == 5


async def test_a_read_is_repeated_when_the_connection_breaks(autojump_clock: MockClock) -> None:
    async with venue(reset, HTML, rows({"instId": "X", "pos": "1"})) as (rest, canned):
        outcome = await rest.positions()
    assert isinstance(outcome, Answered)
    assert len(canned.requests) == 3


@pytest.mark.parametrize(
    "fault",
    [HTML, HTML_200, truncated, hang_up, rows(code="50001", status=503), rows(code="50004", status=400)],
)
async def test_a_read_that_keeps_failing_is_a_failure_and_never_an_empty_list(
    fault: Script, autojump_clock: MockClock
) -> None:
    async with venue(fault) as (rest, canned):
        assert isinstance(await rest.positions(), Failed)
    assert len(canned.requests) == 3


async def test_a_read_without_an_answer_fails_at_its_deadline(autojump_clock: MockClock) -> None:
    async with venue(silence) as (rest, _):
        assert isinstance(await rest.positions(), Failed)
        assert trio.current_time() == pytest.approx(READ_DEADLINE_S)


async def test_a_rate_limited_read_waits_a_window_and_asks_again(autojump_clock: MockClock) -> None:
    async with venue(rows(code="50011"), rows({"instId": "X", "pos": "1"})) as (rest, canned):
        assert isinstance(await rest.positions(), Answered)
        assert trio.current_time() >= 2
    assert len(canned.requests) == 2


async def test_a_read_that_is_refused_is_not_asked_again() -> None:
    async with venue(rows(code="50111", status=401)) as (rest, canned):
        outcome = await rest.balance()
    assert isinstance(outcome, Refused)
    assert (outcome.code, len(canned.requests)) == ("50111", 1)


async def test_an_expired_timestamp_makes_the_read_measure_the_clock_and_sign_anew(
    autojump_clock: MockClock,
) -> None:
    ahead_ms = 45_000
    balance = rows({"details": []})
    async with venue(rows(code="50102", status=401), rows({"ts": str(NOW_MS + ahead_ms)}), balance) as (
        rest,
        canned,
    ):
        assert isinstance(await rest.balance(), Answered)
        assert rest.clock.offset_ms == ahead_ms
    assert canned.targets == ["/api/v5/account/balance", "/api/v5/public/time", "/api/v5/account/balance"]
    assert header(canned.requests[2], "OK-ACCESS-TIMESTAMP") == rest_timestamp(NOW_MS + ahead_ms)


async def test_a_write_with_an_expired_timestamp_measures_the_clock_and_is_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    ahead_ms = 45_000
    async with venue(rows(code="50102", status=401), rows({"ts": str(NOW_MS + ahead_ms)})) as (rest, canned):
        outcome = await rest.cancel_order(OrderCancel(inst_id="BTC-USDT-SWAP", cl_ord_id="a1"))
        assert isinstance(outcome, Refused)  # not processed: whoever wanted it decides anew
        assert rest.clock.offset_ms == ahead_ms
    assert canned.targets == ["/api/v5/trade/cancel-order", "/api/v5/public/time"]


@pytest.mark.parametrize("head", [f"Content-Length: {BODY_BYTES_MAX * 4}", "Connection: close"])
async def test_an_answer_without_end_is_given_up_at_the_deadline(head: str) -> None:
    async def flood(stream: trio.SocketStream, _request: bytes) -> None:
        await stream.send_all(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        while True:
            await stream.send_all(b" " * 100_000)

    async with venue(flood) as (rest, _):
        assert isinstance(await rest.place_order(ENTRY, deadline_s=0.3), Unknown)


async def test_a_position_without_its_instrument_is_a_failure() -> None:
    async with venue(rows({"pos": "1"})) as (rest, _):
        assert isinstance(await rest.positions(), Failed)


async def test_a_cancelled_call_leaves_the_client_usable() -> None:
    async with venue(silence, rows({"ts": str(NOW_MS)})) as (rest, _):
        with trio.move_on_after(0.05):
            await rest.place_order(ENTRY)
        assert isinstance(await rest.server_time(), Answered)


async def test_several_cancellations_answer_each_for_itself() -> None:
    acks = [{"algoId": "1", "sCode": "0"}, {"algoId": "2", "sCode": "51400", "sMsg": "gone"}]
    cancels = [AlgoCancel(inst_id="X", algo_id="1"), AlgoCancel(inst_id="X", algo_id="2")]
    async with venue(rows(*acks, code="2")) as (rest, canned):
        outcome = await rest.cancel_algos(cancels)
    assert isinstance(outcome, Answered)
    assert [ack.accepted for ack in outcome.rows] == [True, False]
    assert canned.requests[0].endswith(b'[{"instId":"X","algoId":"1"},{"instId":"X","algoId":"2"}]')


async def test_a_price_of_zero_is_sent_because_it_removes_a_leg() -> None:
    async with venue(rows({"algoId": "1", "sCode": "0"})) as (rest, canned):
        await rest.amend_algo(AlgoAmend(inst_id="X", algo_id="1", new_tp_trigger_px=Decimal(0)))
    assert canned.requests[0].endswith(b'{"instId":"X","algoId":"1","newTpTriggerPx":"0"}')


async def test_closing_and_cancelling_carry_no_deadline_of_the_venue() -> None:
    async with venue(rows({"instId": "X"}), rows(ACCEPTED)) as (rest, canned):
        await rest.close_position(ClosePosition(inst_id="X", mgn_mode="cross", auto_cxl=True))
        await rest.cancel_order(OrderCancel(inst_id="X", cl_ord_id="bot0001"))
    assert [header(request, "expTime") for request in canned.requests] == [None, None]
    assert canned.requests[0].endswith(b'{"instId":"X","mgnMode":"cross","autoCxl":true}')


@pytest.mark.parametrize("identity", ["with-dash", "x" * 33, "naïve"])
def test_a_client_id_that_the_venue_would_refuse_is_our_bug(identity: str) -> None:
    with pytest.raises(ValueError, match="cl_ord_id"):
        OrderCancel(inst_id="X", cl_ord_id=identity)


async def test_a_failure_says_what_the_network_said(autojump_clock: MockClock) -> None:
    host = f"127.0.0.1:{await unused_port()}"
    nowhere = endpoints(Environment.SIM, rest_url=f"http://{host}", ws_url=f"ws://{host}")
    async with OkxRest(nowhere, CREDENTIALS, lambda: NOW_MS) as rest:
        outcome = await rest.positions()
    assert isinstance(outcome, Failed)
    assert "refused" in outcome.reason


async def test_no_log_at_any_level_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with venue(rows(ACCEPTED)) as (rest, canned):
        await rest.place_order(ENTRY)
    assert caplog.records  # the libraries do speak
    sign = header(canned.requests[0], "OK-ACCESS-SIGN")
    assert sign
    for secret in (CREDENTIALS.secret, CREDENTIALS.passphrase, sign):
        assert secret not in caplog.text
