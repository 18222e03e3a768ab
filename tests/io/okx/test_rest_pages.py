"""Lists that come in pages: whole and each row once, or a failure."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.okx.outcomes import Answered, Failed
from anchorwatch.io.okx.rest import OkxRest
from tests.io.okx.canned import CREDENTIALS, NOW_MS, Canned, Script, answer, canned_http, rows

MINUTE_MS = 60_000
START_MS = NOW_MS // MINUTE_MS * MINUTE_MS


def rest_of(canned: Canned) -> OkxRest:
    return OkxRest(canned.endpoints, CREDENTIALS, lambda: NOW_MS)


def served(path_to_rows: dict[str, list[Any]], cursor: Any, page_rows: int = 100) -> Script:
    """Lists as the venue serves them: newest first, `after` exclusive and older, at most a page."""

    async def script(stream: trio.SocketStream, request: bytes) -> None:
        parts = urlsplit(request.split(b" ", 2)[1].decode())
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        page = path_to_rows[parts.path.removeprefix("/api/v5")]
        if "ordType" in query:
            page = [row for row in page if row["ordType"] in query["ordType"].split(",")]
        if "after" in query:
            page = [row for row in page if int(cursor(row)) < int(query["after"])]
        if "before" in query:
            page = [row for row in page if int(cursor(row)) > int(query["before"])]
        await rows(*page[: min(page_rows, int(query.get("limit", page_rows)))])(stream, request)

    return script


def candle(number: int, confirmed: str = "1") -> list[str]:
    return [str(START_MS - number * MINUTE_MS), "1", "2", "1", "2", "5", "5", "5", confirmed]


@pytest.mark.parametrize("page_rows", [100, 300, 7])
async def test_candles_over_both_paths_and_many_pages_come_every_minute_once(
    page_rows: int, autojump_clock: MockClock
) -> None:
    every = [candle(number, "0" if number == 0 else "1") for number in range(400)]
    listing = {"/market/candles": every[:150], "/market/history-candles": every[2:]}
    async with canned_http(served(listing, lambda row: row[0], page_rows)) as canned, rest_of(canned) as rest:
        outcome = await rest.candles(
            "BTC-USDT-SWAP", "1m", start_ms=START_MS - 350 * MINUTE_MS, end_ms=START_MS + MINUTE_MS
        )
    assert isinstance(outcome, Answered)
    assert [row.ts_ms for row in outcome.rows] == [START_MS - n * MINUTE_MS for n in range(350, 0, -1)]


async def test_candles_end_where_the_venue_has_no_more(autojump_clock: MockClock) -> None:
    listing = {"/market/candles": [candle(1), candle(2)], "/market/history-candles": [candle(2), candle(3)]}
    async with canned_http(served(listing, lambda row: row[0])) as canned, rest_of(canned) as rest:
        outcome = await rest.candles("X", "1m", start_ms=0, end_ms=START_MS)
    assert isinstance(outcome, Answered)
    assert len(outcome.rows) == 3


async def test_candles_with_a_page_that_failed_are_a_failure(autojump_clock: MockClock) -> None:
    page = [candle(number) for number in range(100)]
    async with canned_http(rows(*page), answer("<html>", 502)) as canned, rest_of(canned) as rest:
        assert isinstance(await rest.candles("X", "1m", start_ms=0, end_ms=START_MS + 1), Failed)


async def test_pending_orders_of_several_pages_are_one_list(autojump_clock: MockClock) -> None:
    pending = [{"ordId": str(number), "instId": "X"} for number in range(1250, 1000, -1)]
    listing = served({"/trade/orders-pending": pending}, lambda row: row["ordId"])
    async with canned_http(listing) as canned, rest_of(canned) as rest:
        outcome = await rest.orders_pending()
    assert isinstance(outcome, Answered)
    assert [row.ord_id for row in outcome.rows] == [row["ordId"] for row in pending]
    assert len(canned.requests) == 3


async def test_a_list_that_ends_exactly_with_a_full_page_is_whole(autojump_clock: MockClock) -> None:
    fills = [{"billId": str(number), "instId": "X"} for number in range(300, 100, -1)]
    async with canned_http(served({"/trade/fills": fills}, lambda row: row["billId"])) as canned:
        async with rest_of(canned) as rest:
            outcome = await rest.fills()
    assert isinstance(outcome, Answered)
    assert len(outcome.rows) == 200


async def test_a_venue_that_ignores_the_cursor_is_a_failure_and_not_a_short_list() -> None:
    page = [{"ordId": str(number), "instId": "X"} for number in range(100)]
    async with canned_http(rows(*page)) as canned, rest_of(canned) as rest:
        outcome = await rest.orders_pending()
    assert isinstance(outcome, Failed)
    assert "nothing new" in outcome.reason


async def test_a_list_whose_second_page_fails_is_a_failure(autojump_clock: MockClock) -> None:
    page = [{"ordId": str(number), "instId": "X"} for number in range(100)]
    async with canned_http(rows(*page), rows(code="50001", status=503)) as canned, rest_of(canned) as rest:
        assert isinstance(await rest.orders_pending(), Failed)


async def test_closed_positions_that_share_a_time_are_not_lost_at_the_edge_of_a_page() -> None:
    closed = [
        {"posId": str(number), "uTime": str(NOW_MS - number // 3), "type": "2", "instId": "X"}
        for number in range(250)
    ]
    listing = served({"/account/positions-history": closed}, lambda row: row["uTime"])
    async with canned_http(listing) as canned, rest_of(canned) as rest:
        outcome = await rest.positions_history()
    assert isinstance(outcome, Answered)
    assert {row.pos_id for row in outcome.rows} == {row["posId"] for row in closed}


async def test_the_algo_orders_are_those_of_all_three_lists() -> None:
    pending = [
        {"algoId": str(number), "instId": "X", "ordType": kind}
        for number, kind in enumerate(("conditional", "oco", "trigger", "move_order_stop"))
    ]
    listing = served({"/trade/orders-algo-pending": pending}, lambda row: row["algoId"])
    async with canned_http(listing) as canned, rest_of(canned) as rest:
        outcome = await rest.algos_pending()
    assert isinstance(outcome, Answered)
    assert [row.ord_type for row in outcome.rows] == ["conditional", "oco", "trigger", "move_order_stop"]
    assert len(canned.requests) == 3


async def test_algo_orders_with_one_list_missing_are_a_failure(autojump_clock: MockClock) -> None:
    async with canned_http(rows({"algoId": "1", "instId": "X"}), answer("<html>", 502)) as canned:
        async with rest_of(canned) as rest:
            assert isinstance(await rest.algos_pending(), Failed)
