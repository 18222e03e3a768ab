"""The exchange's rows carry the field names and types of recorded OKX messages, and no odd input breaks it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorwatch.io.venue import account_rows, market_rows, order_rows, rest_account, rest_public
from anchorwatch.io.venue.announcing import Amendment
from anchorwatch.io.venue.parameters import Parameters
from anchorwatch.io.venue.rest import HttpRequest
from anchorwatch.io.venue.rest_account import READ_ROUTES, WRITE_ROUTES
from anchorwatch.io.venue.rest_public import PUBLIC_ROUTES
from anchorwatch.io.venue.rest_trade import TRADE_READS, TRADE_WRITES
from tests.venue.rig import BTC, HEDGED, Rig, login_frame, signed_headers

DATA = Path(
    os.environ.get("ANCHORWATCH_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
RECORDED = DATA / "okx_messages" / "nautilus"


def own_rows() -> dict[str, dict[str, Any]]:
    """A row of the exchange for each recorded message it should look like."""
    rig = Rig(HEDGED)
    stop = [{"slTriggerPx": "59000", "slOrdPx": "-1"}]
    rig.order("buy", "2", posSide="long", attachAlgoOrds=stop)
    rig.order("buy", "2", "59500", posSide="long", attachAlgoOrds=stop)
    rig.order("sell", "1", posSide="long")
    venue = rig.venue
    account, market, now_ms = venue.accounts["main"], venue.market, venue.now_ms()
    caller = venue.keys.find("sim-key")
    assert caller is not None
    done, pending, algo = (
        account.done[0],
        next(iter(account.pending.values())),
        next(iter(account.algos.values())),
    )
    fill, position = account.fills[0], next(account.open_positions())
    one = venue.instrument(BTC).ct_val
    trade = market_rows.trade_row(BTC, "1", one, one, "buy", now_ms)
    rows: dict[str, Any] = {
        "http_get_orders_history": order_rows.order_row(done),
        "http_get_orders_pending": order_rows.order_row(pending),
        "http_get_orders_pending_with_attached_tp_sl": order_rows.order_row(pending),
        "ws_orders": order_rows.order_push(done, fill, Amendment(), one, one),
        "http_transaction_detail": order_rows.fill_row(fill),
        "http_get_orders_algo_pending": order_rows.algo_row(algo),
        "http_get_orders_algo_history": order_rows.algo_row(algo),
        "ws_orders_algo": order_rows.algo_push(algo, Amendment(), one),
        "http_get_account_balance": account_rows.balance_row(account, venue.margin),
        "ws_account": account_rows.balance_row(account, venue.margin),
        "http_get_positions": account_rows.position_row(account, position, market, venue.margin),
        "http_get_account_positions-history": account_rows.history_row(next(iter(account.history.values()))),
        "http_get_position_tiers": market_rows.tier_rows(venue.instrument(BTC))[0],
        "http_get_instruments_swap": market_rows.instrument_row(venue.instrument(BTC)),
        "ws_tickers": market_rows.ticker_row(market, venue.book, BTC, now_ms),
        "ws_trades": {**trade, "count": "1", "seqId": 1},
        "http_get_trades": trade,
        "ws_funding_rate": market_rows.funding_row(market, BTC, now_ms),
        "http_get_funding_rate_history": rest_public.funding_rate_history(venue, Parameters({"instId": BTC}))[
            0
        ],
        "http_get_mark_price": market_rows.mark_price_row(market, BTC, now_ms),
        "http_get_order_book": rest_public.books(venue, Parameters({"instId": BTC}))[0],
        "http_get_trade_fee_response": rest_account.trade_fee(
            venue, caller, Parameters({"instType": "SWAP"})
        )[0],
        "http_place_order_response": venue.trading.place(account, {}),
        "http_place_algo_order_response": venue.trading.place_algo(account, {}),
        "http_cancel_algo_order_response": venue.trading.cancel_algo(account, {}),
    }
    return rows


def differences(own: Any, recorded: Any, path: str = "") -> list[str]:
    """Where a recorded value has a field that ours lacks, or another JSON type."""
    if isinstance(recorded, dict):
        if not isinstance(own, dict):
            return [f"{path} is {type(own).__name__}"]
        found = [f"{path}.{name} is missing" for name in recorded if name not in own]
        for name in recorded.keys() & own.keys():
            found += differences(own[name], recorded[name], f"{path}.{name}")
        return found
    if isinstance(recorded, list):
        if not isinstance(own, list):
            return [f"{path} is {type(own).__name__}"]
        return differences(own[0], recorded[0], f"{path}[]") if own and recorded else []
    return [] if type(own) is type(recorded) else [f"{path} is {type(own).__name__}"]


@pytest.mark.data
def test_rows_carry_every_field_of_the_recorded_messages_with_the_same_types() -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded messages are not there")
    for name, own in own_rows().items():
        recorded = json.loads((RECORDED / f"{name}.json").read_text())
        rows = recorded.get("data", [recorded]) if isinstance(recorded, dict) else recorded
        own = json.loads(json.dumps(own))
        assert differences(own, rows[0], name) == []


def test_a_missing_field_and_a_wrong_type_are_noticed() -> None:
    assert differences({"a": 1}, {"a": "1", "b": ""}, "row") == ["row.b is missing", "row.a is int"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "instId",
    "instType",
    "tdMode",
    "side",
    "posSide",
    "ordType",
    "sz",
    "px",
    "clOrdId",
    "ordId",
    "algoId",
    "tag",
    "reduceOnly",
    "attachAlgoOrds",
    "slTriggerPx",
    "slOrdPx",
    "tpTriggerPx",
    "tpOrdPx",
    "closeFraction",
    "triggerPx",
    "orderPx",
    "callbackRatio",
    "newSz",
    "newPx",
    "reqId",
    "timeOut",
    "lever",
    "mgnMode",
    "posMode",
    "bar",
    "after",
    "before",
    "limit",
    "begin",
    "end",
    "channel",
    "instIdCode",
    "expTime",
    "stpMode",
    "extraParams",
]
LIKELY = st.sampled_from(
    f"{BTC} SWAP cross isolated buy sell net limit market conditional oco trigger move_order_stop 1 0.01 59000 61000 -1 0 "
    "60000.05 1m orders books true".split()
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), LIKELY | JSON, max_size=9)
PATHS = sorted({*PUBLIC_ROUTES, *READ_ROUTES, *WRITE_ROUTES, *TRADE_READS, *TRADE_WRITES})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), OBJECTS | st.lists(OBJECTS, max_size=3)), max_size=6))
def test_no_signed_request_breaks_the_exchange(requests: list[tuple[str, Any]]) -> None:
    rig = Rig()
    for path, body in requests:
        text = json.dumps(body)
        target = f"/api/v5/{path}"
        headers = {k.lower(): v for k, v in signed_headers("POST", target, text, rig.clock.now_ms).items()}
        answer = rig.venue.gateway.answer(HttpRequest("POST", target, headers, text.encode(), "127.0.0.1"))
        assert json.loads(answer.body)["code"]
        if isinstance(body, dict):
            query = "&".join(f"{name}={value}" for name, value in body.items() if isinstance(value, str))
            target = f"/api/v5/{path}?{query}"
            headers = {k.lower(): v for k, v in signed_headers("GET", target, "", rig.clock.now_ms).items()}
            answer = rig.venue.gateway.answer(HttpRequest("GET", target, headers, b"", "127.0.0.1"))
            assert json.loads(answer.body)["code"]
        rig.pass_ms(1_000)
        rig.venue.set_price(BTC, rig.venue.market.last(BTC) + 1)


FRAMES = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["subscribe", "unsubscribe", "login", "order", "cancel-order", "batch-orders"])
        | JSON
    },
    optional={
        "args": st.lists(OBJECTS, max_size=3) | JSON,
        "id": st.just("1") | JSON,
        "expTime": LIKELY | JSON,
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAMES | JSON, max_size=8), st.sampled_from(["public", "private", "business"]))
def test_no_frame_breaks_a_session(frames: list[Any], path: str) -> None:
    rig = Rig()
    session = rig.venue.connections.open(path, "127.0.0.1")
    if path != "public":
        session.receive(json.dumps(login_frame(rig.clock.now_ms)))
        assert session.account is not None
    for frame in frames:
        session.receive(json.dumps(frame))
        rig.pass_ms(200)
    while session.outbox:
        json.loads(session.outbox.popleft())
    session.receive("ping")
    assert session.outbox[-1] == "pong"
