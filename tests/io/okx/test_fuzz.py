"""Whatever arrives, decoding gives a value or the one typed error, and what is not known changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anchorwatch.io.okx import translate
from anchorwatch.io.okx.wire import WireError, decode_frame, decode_payload, decode_rest, row_of_path
from anchorwatch.io.okx.wire_account import Balance, Position
from anchorwatch.io.okx.wire_market import Instrument
from anchorwatch.io.okx.wire_orders import AlgoOrder, Order
from anchorwatch.io.okx.wire_ws import Garbled, Push
from tests.io.okx import corpus
from tests.io.okx.test_recorded_payloads import DATA, payloads, text_of
from tests.venue.rig import BTC

OWN = corpus.said()
RECORDED = (
    [("push" if not name.startswith("/") else name, text_of(message)) for name, message in payloads()]
    if DATA.is_dir()
    else []
)
CORPORA = pytest.mark.parametrize(
    "texts",
    [
        pytest.param(OWN, id="own exchange"),
        pytest.param(
            RECORDED,
            id="recorded",
            marks=[
                pytest.mark.data,
                pytest.mark.skipif(not RECORDED, reason="no recorded messages: set ANCHORWATCH_DATA"),
            ],
        ),
    ],
)

# What no venue should write, and some day one does.
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        "", "0", "-0", "0.01", "1e-8", "1E+3", ".5", "-1", "NaN", "sNaN", "Infinity", "-inf", "1e999", "1e-999999",
        "9" * 400, "0x10", "1,000", "1_000", "\u0661\u0662", " 1 ", "null", "true", "buy", "long", "net", "live", "\x00", "é" * 50,
        None, True, False, 0, -1, 2**63, 2**64, 10**40, 0.1, 1e308, [], {}, [[]], [{}], {"": ""}, ["1", "2"], {"instId": {"a": []}},
    ]
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any, *, removed: bool = False) -> Any:
    """The same document, with another value at that place, or with none."""
    if not path:
        return new
    head, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    if removed and not rest:
        del copy[head]
    else:
        copy[head] = changed(copy[head], tuple(rest), new, removed=removed)
    return copy


@st.composite
def spoilt(draw: st.DrawFn, texts: list[tuple[str, str]]) -> tuple[str, str]:
    """A text of the corpus with some values replaced or removed, or with its characters disturbed."""
    name, text = draw(st.sampled_from(texts))
    if draw(st.integers(0, 3)) == 0:
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 20)))
        return name, text[:start] + draw(st.text(max_size=6)) + (text[end:] if draw(st.booleans()) else "")
    try:
        document = json.loads(text)
    except ValueError:
        return name, text  # "pong"
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(document))))
        document = changed(document, path, draw(ODD), removed=bool(path) and draw(st.booleans()))
    return name, json.dumps(document, ensure_ascii=draw(st.booleans()))


def read(name: str, text: str) -> None:
    """Decode as the engine does, and make events or reports of what was decoded."""
    if not name.startswith("/"):
        frame = decode_frame(text)
        if isinstance(frame, Push):
            list(translate.events_of(frame))
        return
    for row in decode_rest(text, row_of_path(name, text)).rows:
        match row:
            case Order():
                translate.order_report(row)
            case AlgoOrder():
                translate.stop_report(row)
            case Position():
                list(translate.position_reports(row))
            case Balance():
                translate.equity_report(row)
            case Instrument():
                translate.instrument(row)


def assert_read_or_refused(name: str, text: str) -> None:
    refused = ""
    try:
        read(name, text)
    except WireError as error:
        refused = str(error)
    assert len(refused) < REASON_MAX_CHARS, "the error quotes the whole message"


REASON_MAX_CHARS = 1_000
EXAMPLES = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_corpus_speaks_of_everything_that_the_engine_reads() -> None:
    frames = [decode_frame(text) for name, text in OWN if name == "push"]
    assert not [frame for frame in frames if isinstance(frame, Garbled)]
    channels = {frame.channel for frame in frames if isinstance(frame, Push)}
    assert {"orders", "positions", "orders-algo", "account", "mark-price", "tickers", "candle1m"} <= channels
    answers = [decode_payload(name, text) for name, text in OWN if name.startswith("/")]
    assert [answer for answer in answers if getattr(answer, "code", "") != "0"] == []


@CORPORA
@EXAMPLES
@given(data=st.data())
def test_a_spoilt_message_is_read_or_refused_and_never_anything_else(
    texts: list[tuple[str, str]], data: st.DataObject
) -> None:
    assert_read_or_refused(*data.draw(spoilt(texts)))


@EXAMPLES
@given(st.binary(max_size=300))
def test_bytes_that_are_no_message_are_refused(raw: bytes) -> None:
    for kind in (Order, Position, AlgoOrder):
        with pytest.raises(WireError):
            decode_rest(raw, kind)


@CORPORA
@EXAMPLES
@given(data=st.data())
def test_an_unknown_field_anywhere_changes_nothing(texts: list[tuple[str, str]], data: st.DataObject) -> None:
    readable = [one for one in texts if one[1].startswith("{")]
    name, text = readable[data.draw(st.integers(0, len(readable) - 1))]
    document = json.loads(text)
    objects = [path for path in places(document) if isinstance(at(document, path), dict)]
    # The same draws whatever the message: hypothesis wants no range that follows from another draw.
    path = objects[data.draw(st.integers(0, 9_999)) % len(objects)]
    added = {**at(document, path), "aFieldOfTomorrow": data.draw(ODD)}
    before, after = decoded(name, text), decoded(name, json.dumps(changed(document, path, added)))
    assert after == before


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def decoded(name: str, text: str) -> Any:
    return decode_rest(text, row_of_path(name, text)) if name.startswith("/") else decode_frame(text)


@given(st.decimals(min_value=Decimal("1e-12"), max_value=Decimal("1e12"), places=12))
def test_p12_a_size_of_any_digits_is_read_to_the_last_of_them(size: Decimal) -> None:
    row = {"instId": BTC, "mgnMode": "cross", "posSide": "net", "pos": f"{size:f}", "avgPx": "1"}
    frame = decode_frame(json.dumps({"arg": {"channel": "positions", "instType": "SWAP"}, "data": [row]}))
    assert isinstance(frame, Push)
    [told, flat] = translate.events_of(frame)
    assert (told.report.contracts, flat.report.contracts) == (size, 0)  # type: ignore[attr-defined]
