"""Payloads recorded by other projects: everything that belongs to what we read decodes, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from anchorwatch.io.okx.wire import WireError, decode_payload, row_of_path
from anchorwatch.io.okx.wire_ws import row_type

DATA = (
    Path(os.environ.get("ANCHORWATCH_DATA", Path(__file__).parents[4] / "shared" / "data")) / "okx_messages"
)
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no recorded messages: set ANCHORWATCH_DATA"),
]

# One example of the collection is a book labelled as a ticker.
MISLABELLED = {("tickers", name) for name in ("asks", "bids", "checksum", "prevSeqId", "seqId")}

# Files of bare REST answers, by the beginning of their names; the longest match counts.
PATHS = {
    "http_cancel_algo_order": "/trade/cancel-algos",
    "http_get_account_balance": "/account/balance",
    "http_get_account_positions-history": "/account/positions-history",
    "http_get_candlesticks": "/market/candles",
    "http_get_index_price": "/market/index-tickers",
    "http_get_instruments": "/public/instruments",
    "http_get_mark_price": "/public/mark-price",
    "http_get_order_book": "/market/books",
    "http_get_orders_algo_history": "/trade/orders-algo-history",
    "http_get_orders_algo_pending": "/trade/orders-algo-pending",
    "http_get_orders_history": "/trade/orders-history",
    "http_get_orders_pending": "/trade/orders-pending",
    "http_get_position_tiers": "/public/position-tiers",
    "http_get_positions": "/account/positions",
    "http_get_trades": "/market/trades",
    "http_place_algo_order": "/trade/order-algo",
    "http_place_order": "/trade/order",
    "http_set_position_mode": "/account/set-position-mode",
    "http_transaction_detail": "/trade/fills",
    "Live__Demo__Public__get-instruments": "/public/instruments",
}


def payloads() -> Iterator[tuple[str, dict[str, Any]]]:
    """(channel or path, message) of every recording that belongs to something that we read."""
    for file in sorted(DATA.glob("*/*.json")):
        content = json.loads(file.read_text())
        if isinstance(content, list) and content and isinstance(content[0], dict) and "msg" in content[0]:
            for entry in content:
                yield from _of_entry(entry)
            continue
        path = max((name for name in PATHS if file.name.startswith(name)), key=len, default="")
        if path:
            whole = isinstance(content, dict) and "data" in content
            yield PATHS[path], content if whole else {"code": "0", "data": content}
        elif isinstance(content, dict) and row_type((content.get("arg") or {}).get("channel", "")):
            yield content["arg"]["channel"], content


def _of_entry(entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    message = entry["msg"]
    if not isinstance(message, dict) or "data" not in message:
        return
    arg = message.get("arg")
    if isinstance(arg, dict) and row_type(arg["channel"]):
        yield arg["channel"], message
    elif "code" in message and "accRateLimit" not in json.dumps(message):  # which is not what stands near it
        for path in entry.get("paths_near", ())[:1]:
            try:
                row_of_path(path, json.dumps(message))
            except WireError:
                return
            yield path, message


def text_of(message: dict[str, Any]) -> str:
    """The message as it was sent. In one collection an expression stands where its test put a value."""
    return re.sub(r'"<[^"]*>"', '"1"', json.dumps(message))


def decoded() -> Iterator[tuple[str, Any, Any]]:
    """(channel or path, row as recorded, row as decoded)."""
    for name, message in payloads():
        text = text_of(message)
        try:
            rows = decode_payload(name, text).rows
        except WireError as error:
            raise AssertionError(f"{name}: {error}: {text[:300]}") from None
        recorded = json.loads(text)["data"]
        recorded = recorded if isinstance(recorded, list) else [recorded]
        assert len(rows) == len(recorded)
        yield from ((name, source, row) for source, row in zip(recorded, rows, strict=True))


def test_every_recorded_payload_that_we_read_is_decoded() -> None:
    assert sum(1 for _ in payloads()) > 100
    assert sum(1 for _ in decoded()) > 300


def test_no_recorded_field_is_lost() -> None:
    lost = {
        (name, field)
        for name, source, row in decoded()
        if isinstance(source, dict)
        for field in source
        if field not in row.__struct_encode_fields__
    }
    assert lost == MISLABELLED


def test_no_recorded_value_is_changed() -> None:
    for name, source, row in decoded():
        if not isinstance(source, dict):
            continue
        fields = dict(zip(row.__struct_encode_fields__, row.__struct_fields__, strict=True))
        for field, value in source.items():
            if isinstance(value, str) and value and (name, field) not in MISLABELLED:
                ours = getattr(row, fields[field])
                text = format(ours, "f") if isinstance(ours, Decimal) else str(ours).lower()
                assert text == value.lower(), (name, field)
