from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.io.okx.wire import WireError, decode_payload, decode_rest
from anchorwatch.io.okx.wire_account import Balance, Position
from anchorwatch.io.okx.wire_fields import clean
from anchorwatch.io.okx.wire_market import Candle, Instrument, MarkPrice
from anchorwatch.io.okx.wire_orders import Ack, AlgoOrder, CancelAllAfter, Order, OrderPush
from anchorwatch.io.okx.wire_ws import (
    Arg,
    ConnectionCount,
    ErrorFrame,
    Garbled,
    LoginAck,
    Notice,
    OperationAnswer,
    Pong,
    Push,
    SubscribeAck,
    Unread,
    decode_frame,
)


def test_empty_null_and_absent_mean_the_same() -> None:
    for text in ('"liqPx":"",', '"liqPx":null,', '"liqPx" : "" ,', ""):
        answer = decode_rest(
            f'{{"code":"0","data":[{{{text}"instId":"BTC-USDT-SWAP","pos":"-0.03","ccy":""}}]}}', Position
        )
        assert answer.rows == (Position(inst_id="BTC-USDT-SWAP", pos=Decimal("-0.03")),)


def test_cleaning_touches_no_text_that_only_looks_like_an_empty_field() -> None:
    for text in (
        r'{"msg":"\"px\":\"\""}',
        '{"msg":"a:","b":"null"}',
        '{"null":"nullx"}',
        r'{"m":"\\","n":"x"}',
    ):
        assert clean(text) == text


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers()), max_size=5))
def test_cleaning_never_breaks_a_document_or_changes_a_value(document: dict[str, str | int]) -> None:
    import json

    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False, indent=2)):
        kept = json.loads(clean(text))
        for name, value in document.items():
            assert kept.get(name, "") == value or (name == "" and "" in document)


def test_numbers_keep_their_digits_and_ids_stay_text() -> None:
    row = '{"ordId":"2497956918703120384","instId":"BTC-USDT-SWAP","px":"60000.10","reduceOnly":"true","uTime":"17"}'
    (order,) = decode_rest(f'{{"code":"0","msg":"","data":[{row}]}}', Order).rows
    assert (order.ord_id, str(order.px), order.reduce_only, order.u_time_ms) == (
        "2497956918703120384",
        "60000.10",
        True,
        17,
    )


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "sNaN", "1e99", "1E+4000", "-nan12", "+INF", "0x10", "1,5", "true"]
)
def test_a_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(WireError):
        decode_rest(f'{{"code":"0","data":[{{"instId":"X","markPx":"{number}","ts":"1"}}]}}', MarkPrice)


def test_small_exponents_are_numbers() -> None:
    (row,) = decode_rest('{"code":"0","data":[{"instId":"X","markPx":"1.5E-8"}]}', MarkPrice).rows
    assert row.mark_px == Decimal("0.000000015")


def test_new_fields_and_new_words_do_not_stop_the_reader() -> None:
    row = '{"instId":"X","state":"a_new_state","brandNew":{"deep":[1,{"x":""}]}}'
    assert decode_rest(f'{{"code":"0","data":[{row}],"more":1}}', Instrument).rows[0].state == "a_new_state"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b'{"code":"0","data":[{"ins',
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"msg":"x"}',
        b"[" * 9999,
    ],
)
def test_what_is_no_answer_of_the_venue_is_told_so(body: bytes) -> None:
    with pytest.raises(WireError):
        decode_rest(body, MarkPrice)


def test_a_refusal_has_no_rows_even_if_its_data_have_another_shape() -> None:
    assert decode_rest('{"code":"50011","msg":"slow","data":[{"x":1}]}', Candle).rows == ()
    assert decode_rest('{"code":"50011","msg":"slow"}', Candle).message == "slow"


def test_an_item_of_a_successful_answer_can_be_a_refusal() -> None:
    body = '{"code":"1","data":[{"ordId":"","clOrdId":"b1","ts":"17","sCode":"51008","sMsg":"no","subCode":"1001"}]}'
    (ack,) = decode_rest(body, Ack).rows
    assert (ack.accepted, ack.s_code, ack.sub_code, ack.cl_ord_id) == (False, "51008", "1001", "b1")


def test_candles_are_rows_without_names() -> None:
    body = '{"code":"0","data":[["1767323040000","60000","60010.5","59990","60001","12","0.12","7200","0"]]}'
    (candle,) = decode_rest(body, Candle).rows
    assert (candle.ts_ms, candle.high, candle.vol, candle.confirmed) == (
        1767323040000,
        Decimal("60010.5"),
        Decimal(12),
        False,
    )


def test_a_new_account_is_an_empty_balance_and_not_an_error() -> None:
    (balance,) = decode_rest('{"code":"0","data":[{"details":[],"totalEq":"","uTime":""}]}', Balance).rows
    assert balance.of("USDT") is None


@pytest.mark.parametrize(
    ("value", "expected"), [("0", None), ("1767323045", 1767323045000), ("1767323045678",) * 2]
)
def test_the_dead_mans_time_is_read_by_its_magnitude(value: str, expected: int | str | None) -> None:
    (row,) = decode_rest(f'{{"code":"0","data":[{{"triggerTime":"{value}"}}]}}', CancelAllAfter).rows
    assert row.trigger_ms == (int(expected) if expected is not None else None)


def test_control_frames() -> None:
    assert decode_frame("pong") == Pong()
    assert decode_frame('{"event":"login","code":"0","msg":"","connId":"a1"}') == LoginAck("a1")
    assert decode_frame(
        '{"id":"7","event":"subscribe","arg":{"channel":"orders","instType":"SWAP"},"connId":"a1"}'
    ) == SubscribeAck("7", Arg(channel="orders", inst_type="SWAP"), "a1")
    assert decode_frame('{"event":"channel-conn-count-error","channel":"orders","connCount":"30"}') == (
        ConnectionCount("orders", 30, True, "")
    )
    assert decode_frame('{"event":"notice","code":"64008","msg":"bye","connId":"a1"}') == Notice(
        "64008", "bye", "a1"
    )
    assert decode_frame('{"event":"error","code":"60018","msg":"no such channel","connId":"a1"}') == (
        ErrorFrame("", "60018", "no such channel", None, "a1")
    )
    assert isinstance(
        decode_frame('{"id":"42","op":"order","code":"0","data":[{"sCode":"0"}]}'), OperationAnswer
    )


def test_an_error_that_quotes_our_login_does_not_carry_the_passphrase_on() -> None:
    quoted = r"{\"op\":\"login\",\"args\":[{\"apiKey\":\"k\",\"passphrase\":\"hush\"}]}"
    frame = decode_frame(f'{{"event":"error","code":"60012","msg":"Invalid request: {quoted}"}}')
    assert isinstance(frame, ErrorFrame)
    assert frame.message.startswith("Invalid request")
    assert "hush" not in repr(frame)
    broken = decode_frame('{"event":"error","passphrase":"hush"')
    assert isinstance(broken, Garbled)
    assert "hush" not in repr(broken)


def test_a_push_names_its_channel_and_its_page() -> None:
    push = decode_frame(
        '{"arg":{"channel":"positions","instType":"ANY","uid":"44"},"eventType":"snapshot","curPage":1,"lastPage":true,'
        '"data":[{"instId":"BTC-USDT-SWAP","pos":"0","avgPx":"","tradeId":"9"}]}'
    )
    assert isinstance(push, Push)
    assert (push.channel, push.event_type, push.page, push.last_page) == ("positions", "snapshot", 1, True)
    assert push.rows == (Position(inst_id="BTC-USDT-SWAP", pos=Decimal(0), trade_id="9"),)


def test_an_order_push_tells_this_fill_from_the_sum() -> None:
    push = decode_frame(
        '{"arg":{"channel":"orders","instType":"SWAP"},"data":[{"ordId":"1","fillSz":"2","accFillSz":"5",'
        '"tradeId":"8","fillFee":"-0.24","fee":"-0.6","avgPx":"0"}]}'
    )
    assert isinstance(push, Push)
    (row,) = push.rows
    assert isinstance(row, OrderPush)
    assert (row.fill_sz, row.acc_fill_sz, row.fill_fee, row.fee) == tuple(
        map(Decimal, ("2", "5", "-0.24", "-0.6"))
    )


def test_every_kind_of_candle_channel_is_read() -> None:
    for channel, row in (
        ("candle1m", '["1","1","1","1","1","1","1","1","1"]'),
        ("mark-price-candle1H", '["1","1","1","1","1","1"]'),
    ):
        push = decode_frame(f'{{"arg":{{"channel":"{channel}","instId":"X"}},"data":[{row}]}}')
        assert isinstance(push, Push)
        assert push.rows[0].confirmed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ['{"event":"brand-new"}', '{"arg":{"channel":"never-asked"},"data":[]}', '{"a":1}', "{}"]
)
def test_what_is_new_to_us_is_passed_over(text: str) -> None:
    assert isinstance(decode_frame(text), Unread)


def test_a_push_that_cannot_be_read_says_whose_data_were_lost() -> None:
    frame = decode_frame('{"arg":{"channel":"orders"},"data":[{"ordId":"1","px":"sixty"}]}')
    assert isinstance(frame, Garbled)
    assert frame.channel == "orders"


@given(st.one_of(st.text(), st.text(alphabet='{}[]":,\\ae0-')))
def test_no_text_whatever_makes_the_frame_reader_raise(text: str) -> None:
    decode_frame(text)


def test_a_payload_is_decoded_by_channel_or_path() -> None:
    assert decode_payload("/api/v5/trade/order?ordId=1", '{"code":"0","data":[{"ordId":"1"}]}').rows == (
        Order("1"),
    )
    assert decode_payload("/trade/order", '{"code":"0","data":[{"sCode":"0"}]}').rows == (Ack(s_code="0"),)
    algo = '{"arg":{"channel":"algo-advance"},"data":[{"algoId":"5"}]}'
    assert decode_payload("algo-advance", algo).rows == (AlgoOrder("5"),)
    for wrong in ("orders-algo", "/asset/currencies"):
        with pytest.raises(WireError):
            decode_payload(wrong, algo)
