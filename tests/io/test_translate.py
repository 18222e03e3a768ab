"""OKX's rows in our words: what each push means, what says nothing, and what must not be lost in silence."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from anchorwatch.io.okx import translate
from anchorwatch.io.okx.wire import decode_rest
from anchorwatch.io.okx.wire_fields import WireError
from anchorwatch.io.okx.wire_market import Instrument as WireInstrument
from anchorwatch.io.okx.wire_market import SystemStatus
from anchorwatch.io.okx.wire_ws import Push, decode_frame
from anchorwatch.machine import maintenance, world
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.units import Deal, LegKey, MarginMode, Side

BTC = "BTC-USDT-SWAP"
LONG, SHORT = LegKey(BTC, Side.LONG), LegKey(BTC, Side.SHORT)

ORDER: dict[str, Any] = {
    "instId": BTC, "instType": "SWAP", "ordId": "77", "clOrdId": "awrig00001e0000001", "side": "buy",
    "posSide": "long", "state": "partially_filled", "sz": "0.25", "accFillSz": "0.2", "avgPx": "60001.5",
    "fillPx": "60003", "fillSz": "0.1", "tradeId": "t9", "fillFee": "-0.03", "fillTime": "1700000000500",
    "fee": "-0.06", "rebate": "0", "category": "normal", "cTime": "1700000000000", "uTime": "1700000000600",
}  # fmt: skip
STOP: dict[str, Any] = {
    "instId": BTC, "instType": "SWAP", "algoId": "88", "algoClOrdId": "awrig00001s0000001", "side": "sell",
    "posSide": "long", "state": "live", "ordType": "conditional", "slTriggerPx": "59640", "slOrdPx": "-1",
    "closeFraction": "1", "sz": "", "uTime": "1700000000700",
}  # fmt: skip
POSITION: dict[str, Any] = {
    "instId": BTC, "instType": "SWAP", "mgnMode": "cross", "posSide": "long", "pos": "0.25",
    "avgPx": "60000", "cTime": "1700000000000", "uTime": "1700000000800",
}  # fmt: skip


def told(channel: str, *rows: object) -> list[Event]:
    """What a push of these rows becomes."""
    frame = decode_frame(json.dumps({"arg": {"channel": channel, "instId": BTC}, "data": rows}))
    assert isinstance(frame, Push), frame
    return list(translate.events_of(frame))


def order(**changes: str) -> world.OrderReport:
    (event,) = told("orders", ORDER | changes)
    assert isinstance(event, world.OrderPushed)
    return event.report


def stop(**changes: str) -> world.StopReport:
    (event,) = told("orders-algo", STOP | changes)
    assert isinstance(event, world.StopPushed)
    return event.report


def positions(**changes: str) -> dict[LegKey, Decimal]:
    events = told("positions", POSITION | changes)
    reports = [event.report for event in events if isinstance(event, world.PositionPushed)]
    return {report.leg: report.contracts for report in reports}


def test_an_order_is_told_with_its_trade() -> None:
    assert order() == world.OrderReport(
        client_id="awrig00001e0000001",
        venue_id="77",
        instrument=BTC,
        side=Side.LONG,
        deal=Deal.BUY,
        state=world.OrderState.PARTIAL,
        filled=Decimal("0.2"),
        average_price=Decimal("60001.5"),
        fee=Decimal("0.06"),
        fill=world.Fill("t9", Decimal("0.1"), Decimal(60003), Decimal("0.03"), 1_700_000_000_500),
        stop_client_id="",
        category="normal",
        created_ms=1_700_000_000_000,
        updated_ms=1_700_000_000_600,
    )


def test_a_fee_is_positive_when_paid_and_a_rebate_takes_from_it() -> None:
    assert order(fee="-0.06", rebate="0.01").fee == Decimal("0.05")
    assert order(fee="", rebate="0.01").fee == Decimal("-0.01")


def test_a_push_without_a_trade_brings_none() -> None:
    assert order(state="live", accFillSz="0", avgPx="", tradeId="", fillSz="0", fillPx="").fill is None


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("live", world.OrderState.LIVE),
        ("partially_filled", world.OrderState.PARTIAL),
        ("filled", world.OrderState.FILLED),
        ("canceled", world.OrderState.CANCELLED),
        ("mmp_canceled", world.OrderState.CANCELLED),
    ],
)
def test_every_state_of_an_order_has_its_word(state: str, means: world.OrderState) -> None:
    assert order(state=state).state is means


def test_a_state_that_we_do_not_know_is_left_to_the_next_reading() -> None:
    assert told("orders", ORDER | {"state": "dreaming"}) == []
    assert told("orders-algo", STOP | {"state": "dreaming"}) == []


def test_in_net_mode_an_order_has_a_direction_and_no_side() -> None:
    assert (order(posSide="net").side, order(posSide="net").deal) == (None, Deal.BUY)


def test_the_child_of_a_stop_names_its_stop() -> None:
    assert order(algoClOrdId="awrig00001s0000001", algoId="88").stop_client_id == "awrig00001s0000001"
    assert order(algoClOrdId="", algoId="88").stop_client_id == "88"


def test_a_stop_of_the_whole_position_has_no_size() -> None:
    report = stop()
    assert (report.contracts, report.trigger, report.state) == (None, Decimal(59640), world.StopState.LIVE)
    assert stop(closeFraction="", sz="0.1").contracts == Decimal("0.1")


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("live", world.StopState.LIVE),
        ("effective", world.StopState.TRIGGERED),
        ("canceled", world.StopState.CANCELLED),
        ("order_failed", world.StopState.FAILED),
    ],
)
def test_every_state_of_a_stop_has_its_word(state: str, means: world.StopState) -> None:
    assert stop(state=state).state is means


def test_an_algo_order_that_stops_no_loss_says_nothing() -> None:
    assert told("orders-algo", STOP | {"slTriggerPx": "", "tpTriggerPx": "61000"}) == []


def test_a_row_of_hedge_mode_is_one_leg() -> None:
    assert positions() == {LONG: Decimal("0.25")}
    assert positions(posSide="short") == {SHORT: Decimal("0.25")}
    assert positions(pos="0") == {LONG: Decimal(0)}


@pytest.mark.parametrize(
    ("pos", "long", "short"), [("0.3", "0.3", "0"), ("-0.3", "0", "0.3"), ("0", "0", "0")]
)
def test_a_row_of_net_mode_speaks_of_both_sides(pos: str, long: str, short: str) -> None:
    assert positions(posSide="net", pos=pos) == {LONG: Decimal(long), SHORT: Decimal(short)}


def test_isolated_margin_is_another_leg() -> None:
    assert list(positions(mgnMode="isolated")) == [LegKey(BTC, Side.LONG, MarginMode.ISOLATED)]


@pytest.mark.parametrize("changes", [{"mgnMode": "borrowed"}, {"pos": ""}])
def test_a_position_that_cannot_be_understood_is_an_error_and_not_a_silence(changes: dict[str, str]) -> None:
    with pytest.raises(WireError, match=BTC):
        told("positions", POSITION | changes)


def test_an_order_without_a_direction_is_an_error() -> None:
    with pytest.raises(WireError, match="77"):
        told("orders", ORDER | {"side": ""})


def test_only_a_confirmed_candle_is_closed() -> None:
    row = ["1700000000000", "1", "3", "0.5", "2", "10", "1", "100"]
    assert told("candle1m", [*row, "0"]) == []
    (event,) = told("candle1m", [*row, "1"])
    assert event == world.CandleClosed(BTC, "1m", world.Candle(1_700_000_000_000, 1.0, 3.0, 0.5, 2.0, 10.0))


def test_mark_and_quote() -> None:
    (mark,) = told("mark-price", {"instId": BTC, "markPx": "60000.1", "ts": "17"})
    assert mark == world.MarkMoved(BTC, Decimal("60000.1"), 17)
    ticker = {"instId": BTC, "bidPx": "60000", "askPx": "60000.1", "ts": "17"}
    assert told("tickers", ticker) == [world.QuoteMoved(BTC, Decimal(60000), Decimal("60000.1"), 17)]
    assert told("tickers", ticker | {"bidPx": ""}) == []


def test_a_funding_rate_is_the_forecast_for_the_settlement_that_it_names() -> None:
    row = {
        "instId": BTC,
        "fundingRate": "0.0001",
        "fundingTime": "1767340800000",
        "settFundingRate": "0.0003",
    }
    assert told("funding-rate", row) == [world.FundingForecast(BTC, Decimal("0.0001"), 1_767_340_800_000)]
    assert told("funding-rate", row | {"fundingRate": ""}) == []


def test_the_account_is_the_settlement_currencys_equity() -> None:
    usdt = {"ccy": "USDT", "eq": "10000.5", "availEq": "9000", "uTime": "16"}
    assert told("account", {"uTime": "17", "details": [usdt]}) == [
        world.EquityReported(Decimal("10000.5"), Decimal(9000), 17)
    ]
    assert told("account", {"uTime": "17", "details": [usdt | {"ccy": "BTC"}]}) == []


RULES = {
    "instId": BTC, "instType": "SWAP", "ctVal": "0.01", "ctMult": "1", "tickSz": "0.1", "lotSz": "0.01",
    "minSz": "0.01", "maxMktSz": "1000", "maxStopSz": "900", "lever": "100", "state": "live",
}  # fmt: skip


def rules(**changes: str) -> WireInstrument:
    body = json.dumps({"code": "0", "data": [RULES | changes]})
    return decode_rest(body, WireInstrument).rows[0]


def test_the_rules_of_a_swap() -> None:
    found = translate.instrument(rules())
    assert (found.contract_size, found.tick_size, found.lot_size) == (Decimal("0.01"), Decimal("0.1"), Decimal("0.01"))  # fmt: skip
    assert (found.max_market_size, found.max_stop_size, found.is_live) == (Decimal(1000), Decimal(900), True)
    assert not translate.instrument(rules(state="suspend")).is_live
    assert translate.instrument(rules(ctMult="10")).contract_size == Decimal("0.1")


@pytest.mark.parametrize("field", ["ctVal", "tickSz", "lotSz", "minSz"])
def test_rules_that_orders_depend_on_may_not_be_missing(field: str) -> None:
    with pytest.raises(WireError, match=BTC):
        translate.instrument(rules(**{field: ""}))


def status(**more: str) -> SystemStatus:
    row = {
        "title": "upgrade",
        "state": "ongoing",
        "serviceType": "5",
        "env": "1",
        "begin": "100",
        "end": "200",
    }
    (found,) = decode_rest(msgspec.json.encode({"code": "0", "data": [row | more]}), SystemStatus).rows
    return found


@pytest.mark.parametrize(
    ("row", "stands"),
    [
        ({}, maintenance.HasBegun()),
        ({"state": "pre_open"}, maintenance.HasBegun()),
        ({"state": "scheduled"}, maintenance.HasBegun()),
        ({"state": "scheduled", "begin": "160"}, maintenance.IsNear()),
        ({"state": "scheduled", "begin": "300151"}, maintenance.NoneNear()),
        ({"state": "scheduled", "begin": ""}, maintenance.NoneNear()),
        ({"state": "scheduled", "end": ""}, maintenance.HasBegun()),
        ({"state": "scheduled", "begin": "10", "end": "149"}, maintenance.NoneNear()),
        ({"state": "completed"}, maintenance.NoneNear()),
        ({"state": "canceled"}, maintenance.NoneNear()),
        ({"serviceType": "0"}, maintenance.NoneNear()),
        ({"env": "2"}, maintenance.NoneNear()),
    ],
    ids=str,
)
def test_only_a_maintenance_of_our_trading_that_goes_on_or_is_near_counts(
    row: dict[str, str], stands: Event
) -> None:
    assert maintenance.stands(translate.announced([status(**row)], env="1"), 150) == stands
