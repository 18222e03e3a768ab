"""Stories of the control surface: what a test tells the exchange itself, beside the OKX protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from trio.testing import MockClock

from anchorwatch.io.venue.accounts import AccountSpec
from anchorwatch.io.venue.control import answer_control
from anchorwatch.io.venue.rest import HttpRequest
from tests.venue.rig import BTC, Rig, TrioClock, served

SECOND = AccountSpec(name="second", uid="2", master="other", keys=())
LIMIT = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "px": "59000", "sz": "1"}


def control(rig: Rig, method: str, what: str, body: object = None, ip: str = "127.0.0.1") -> tuple[int, Any]:
    text = b"" if body is None else json.dumps(body).encode()
    answer = answer_control(rig.venue, HttpRequest(method, f"/anchorwatch/{what}", {}, text, ip))
    return answer.status, json.loads(answer.body)


def test_a_rule_strikes_from_now_on_is_counted_and_can_be_healed() -> None:
    rig = Rig()
    status, shown = control(rig, "POST", "faults", [{"kind": "ack_then_cancel", "times": 0}])
    assert (status, shown["rules"][0]["struck"]) == (200, 0)
    rig.order("buy", "1", "59000")
    assert rig.venue.orders() == ()
    assert control(rig, "GET", "faults")[1]["rules"][0]["struck"] == 1
    assert control(rig, "DELETE", "faults") == (200, {"rules": []})
    rig.order("buy", "1", "59000")
    assert len(rig.venue.orders()) == 1


def test_two_people_trade_without_a_key() -> None:
    rig = Rig(AccountSpec(), SECOND)
    assert (
        control(rig, "POST", "orders/main", {**LIMIT, "side": "sell", "ordType": "market"})[1]["sCode"] == "0"
    )
    stop = {**LIMIT, "ordType": "conditional", "slTriggerPx": "61000", "slOrdPx": "-1", "reduceOnly": True}
    assert control(rig, "POST", "algos/main", stop)[1]["sCode"] == "0"
    _, shown = control(rig, "GET", "accounts/main")
    assert [(one["instId"], one["pos"]) for one in shown["positions"]] == [(BTC, "-1")]
    assert [one["slTriggerPx"] for one in shown["algos"]] == ["61000"]
    assert shown["totals"]["fills"] == "1"
    assert control(rig, "DELETE", "algos/main")[1] == {"cancelled": 1}
    assert control(rig, "POST", "orders/second", LIMIT)[1]["sCode"] == "0"
    assert control(rig, "DELETE", "orders/second")[1] == {"cancelled": 1}


def test_money_moves_positions_are_deleveraged_and_contracts_change_on_command() -> None:
    rig = Rig()
    rig.order("buy", "3")
    cash = rig.cash
    assert control(rig, "POST", "transfers/main", {"amount": "-500"}) == (200, {})
    assert rig.cash == cash - 500
    assert control(rig, "POST", "deleverage/main", {"instId": BTC, "contracts": "2"}) == (200, {})
    assert rig.venue.positions()[0].contracts == 1
    assert control(rig, "POST", "instruments", {"inst_id": BTC, "state": "suspend"}) == (200, {})
    assert rig.order("buy", "1")["sCode"] == "51022"
    assert [one["what"] for one in control(rig, "GET", "log")[1]].count("instrument") == 1


@pytest.mark.parametrize(
    ("method", "what", "body", "status", "says"),
    [
        ("GET", "nonsense", None, 404, "no such thing here: nonsense"),
        ("PUT", "faults", None, 405, "faults: allowed: GET, POST, DELETE"),
        ("POST", "faults", {"kind": "nonsense"}, 400, "Invalid enum value 'nonsense'"),
        ("POST", "faults", "drop_push", 400, "Expected"),
        ("POST", "orders/nobody", LIMIT, 404, "no account 'nobody'; there are main"),
        ("POST", "instruments", {"inst_id": BTC, "tick_sz": "-1"}, 400, "positive number"),
        ("POST", "instruments", {"inst_id": "NO-USDT-SWAP"}, 400, "51001"),
        ("POST", "transfers/main", {"amount": "NaN"}, 400, "amount"),
        ("POST", "deleverage/main", {"instId": BTC, "contracts": "1"}, 400, "no such position"),
        ("POST", "disconnect", {"path": "secret"}, 400, "path: one of public, private, business"),
        ("DELETE", "keys/none", None, 404, "no such key"),
    ],
)
def test_a_control_request_that_cannot_be_is_refused_in_one_line(
    method: str, what: str, body: object, status: int, says: str
) -> None:
    got, answer = control(Rig(), method, what, body)
    assert got == status
    assert says in answer["error"]
    assert "\n" not in answer["error"]


def test_nobody_from_another_host_is_answered() -> None:
    rig = Rig()
    assert control(rig, "DELETE", "faults", ip="10.0.0.1")[0] == 403
    assert control(rig, "GET", "faults", ip="::1")[0] == 200


async def test_connections_are_closed_on_command(autojump_clock: MockClock) -> None:
    rig = Rig(clock=TrioClock())
    async with (
        served(rig) as wire,
        wire.socket("public") as public,
        wire.socket("private", login=True) as own,
    ):
        assert control(rig, "POST", "disconnect", {"path": "private", "code": 4006}) == (200, {"closed": 1})
        assert await own.close_code() == 4006
        await public.send("ping")
        assert await public.read() == "pong"


async def test_without_being_asked_for_there_is_no_control_surface(autojump_clock: MockClock) -> None:
    async with served(Rig(clock=TrioClock())) as wire:
        answer = await wire.http.get("/anchorwatch/faults")
        assert (answer.status_code, answer.json()["code"]) == (410, "50005")
