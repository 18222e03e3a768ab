"""The exchange's control surface: what a test tells the exchange itself, beside the OKX protocol.

JSON over HTTP under ``/anchorwatch/``, answered to callers on the same host only and never signed: whoever reaches it
may do anything here. Errors are ``{"error": "one line"}`` with status 400, 403, 404 or 405.

====================================  ==================================================================
GET    /anchorwatch/faults            the rules in force, how often each met its occasion and struck
POST   /anchorwatch/faults            one rule, or a list of rules, in force from now on (see `faults`)
DELETE /anchorwatch/faults            every rule is healed
POST   /anchorwatch/instruments       change an instrument's state, tick or lot now (InstrumentChange without at_ms)
POST   /anchorwatch/maintenance       announce one, in milliseconds from now: ``{"begin_ms", "end_ms", "pre_open_ms"}``
POST   /anchorwatch/orders/NAME       a second human or bot on account NAME places an order (as POST trade/order)
DELETE /anchorwatch/orders/NAME       that person cancels every pending order of the account
POST   /anchorwatch/algos/NAME        … an algo order (as POST trade/order-algo)
DELETE /anchorwatch/algos/NAME        … and cancels every pending algo order
POST   /anchorwatch/transfers/NAME    ``{"amount": "-500"}``: USDT into the account, or out of it
POST   /anchorwatch/deleverage/NAME   ``{"instId", "contracts", "posSide"}``: auto-deleveraging on command
GET    /anchorwatch/accounts/NAME     cash, open positions, pending orders and algo orders, and the totals
POST   /anchorwatch/disconnect        ``{"path": "private", "code": 1006}``: close connections; no path means all
DELETE /anchorwatch/keys/KEY          the owner deletes an API key
GET    /anchorwatch/log               what happened lately, oldest first
====================================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.channels import PATHS
from anchorwatch.io.venue.faults import Fault, InstrumentChange, Maintenance
from anchorwatch.io.venue.order_rows import algo_row, order_row
from anchorwatch.io.venue.orders import BY_USER, ZERO
from anchorwatch.io.venue.parameters import plain
from anchorwatch.io.venue.refusals import Refusal
from anchorwatch.io.venue.rest import JSON_TYPE, HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

PREFIX = "/anchorwatch/"
# Happenings shown by GET log: a screenful of each second of a busy minute.
LOG_SHOWN_MAX = 1_000
MAINTENANCES_MAX = 100
CLOSE_CODE_MIN, CLOSE_CODE_MAX = 1000, 4999

Work = Callable[["Venue", str, bytes], object]


class Unusable(Exception):
    """The control request cannot be carried out; the status and one line why."""

    def __init__(self, text: str, status: int = 400) -> None:
        self.status = status
        super().__init__(text)


class _Transfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    amount: Decimal


class _Deleveraging(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    inst_id: str
    contracts: Decimal
    pos_side: str = "net"


class _Disconnection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""
    code: int = 1006


def answer_control(venue: Venue, request: HttpRequest) -> HttpAnswer:
    """Carry out one control request now. Never raises: what goes wrong is an answer."""
    what, _, name = request.target.partition("?")[0].removeprefix(PREFIX).partition("/")
    try:
        if not is_local(request.ip):
            raise Unusable("answered on the same host only", 403)
        works = {method: work for (method, where), work in WORKS.items() if where == what}
        if not works:
            raise Unusable(f"no such thing here: {what[:60]}", 404)
        if request.method not in works:
            raise Unusable(f"{what}: allowed: {', '.join(works)}", 405)
        venue.advance()
        done = works[request.method](venue, name, request.body)
        venue.settle()
        return HttpAnswer(200, msgspec.json.encode(done))
    except Unusable as error:
        return HttpAnswer(error.status, msgspec.json.encode({"error": str(error)}), JSON_TYPE)
    except Refusal as refusal:
        return HttpAnswer(400, msgspec.json.encode({"error": f"{refusal.code} {refusal.text}"}), JSON_TYPE)


def is_local(ip: str) -> bool:
    return ip == "::1" or ip.startswith("127.")


def _read(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Unusable(" ".join(str(error).split())[:300]) from None


def _account(venue: Venue, name: str) -> Account:
    account = venue.accounts.get(name)
    if account is None:
        raise Unusable(f"no account {name[:60]!r}; there are {', '.join(venue.accounts)}", 404)
    return account


def _rules(venue: Venue, name: str, body: bytes) -> object:
    state = venue.faults.state()
    counts = zip(state.rules, state.seen, state.struck, strict=True)
    return {
        "rules": [
            {**msgspec.to_builtins(rule), "seen": seen, "struck": struck} for rule, seen, struck in counts
        ]
    }


def _add_rules(venue: Venue, name: str, body: bytes) -> object:
    given = _read(body, list[Fault] | Fault)
    try:
        for rule in given if isinstance(given, list) else [given]:
            venue.faults.add(rule)
            venue.note("control", f"fault {rule.kind} {rule.where}")
    except ValueError as error:
        raise Unusable(str(error)) from None
    return _rules(venue, name, body)


def _heal(venue: Venue, name: str, body: bytes) -> object:
    venue.faults.heal()
    venue.note("control", "healed")
    return _rules(venue, name, body)


def _change(venue: Venue, name: str, body: bytes) -> object:
    asked = _read(body, dict[str, Any])
    try:
        change = msgspec.convert({**asked, "at_ms": venue.now_ms()}, InstrumentChange)
    except msgspec.ValidationError as error:
        raise Unusable(str(error)) from None
    venue.change_instrument(change)
    return {}


def _maintain(venue: Venue, name: str, body: bytes) -> object:
    if len(venue.faults.faults.maintenance) >= MAINTENANCES_MAX:
        raise Unusable(f"no more than {MAINTENANCES_MAX} are announced")
    try:
        asked = msgspec.convert(_read(body, dict[str, Any]), Maintenance)
    except msgspec.ValidationError as error:
        raise Unusable(str(error)) from None
    venue.announce_maintenance(asked.moved(venue.now_ms()))
    return {}


def _place(venue: Venue, name: str, body: bytes) -> object:
    return venue.trading.place(_account(venue, name), _read(body, dict[str, Any]))


def _place_algo(venue: Venue, name: str, body: bytes) -> object:
    return venue.trading.place_algo(_account(venue, name), _read(body, dict[str, Any]))


def _cancel_orders(venue: Venue, name: str, body: bytes) -> object:
    pending = list(_account(venue, name).pending.values())
    for order in pending:
        venue.matching.cancel(order, BY_USER)
    venue.note("control", f"cancel {name} {len(pending)} orders")
    return {"cancelled": len(pending)}


def _cancel_algos(venue: Venue, name: str, body: bytes) -> object:
    account = _account(venue, name)
    pending = list(account.algos.values())
    for algo in pending:
        venue.algos_room.cancel(account, algo)
    venue.note("control", f"cancel {name} {len(pending)} algo orders")
    return {"cancelled": len(pending)}


def _transfer(venue: Venue, name: str, body: bytes) -> object:
    amount = _read(body, _Transfer).amount
    if not amount.is_finite():
        raise Unusable("amount: a number")
    venue.clearing.transfer(_account(venue, name), amount)
    venue.note("control", f"transfer {name} {amount}")
    return {}


def _deleverage(venue: Venue, name: str, body: bytes) -> object:
    asked: _Deleveraging = _read(body, _Deleveraging)
    venue.instrument(asked.inst_id)
    account = _account(venue, name)
    position = account.position(asked.inst_id, "cross", asked.pos_side)
    if position is None or not asked.contracts > 0:
        raise Unusable("no such position, or no contracts")
    venue.liquidation.deleverage(account, position, asked.contracts)
    return {}


def _shown(venue: Venue, name: str, body: bytes) -> object:
    account = _account(venue, name)
    return {
        "name": account.name,
        "posMode": account.pos_mode,
        "cash": plain(account.cash),
        "positions": [
            {
                "instId": one.inst_id,
                "mgnMode": one.margin_mode,
                "posSide": one.pos_side,
                "pos": plain(one.contracts),
                "avgPx": plain(one.avg_px),
                "realizedPnl": plain(one.realized),
            }
            for one in account.open_positions()
        ],
        "orders": [order_row(one) for one in account.pending.values()],
        "algos": [algo_row(one) for one in account.algos.values()],
        # Of the records that are kept: what every fill and funding payment came to.
        "totals": {
            "fills": str(len(account.fills)),
            "fee": plain(sum((one.fee for one in account.fills), ZERO)),
            "pnl": plain(sum((one.pnl for one in account.fills), ZERO)),
            "funding": plain(sum((one.change for one in account.bills if one.kind == "8"), ZERO)),
        },
    }


def _disconnect(venue: Venue, name: str, body: bytes) -> object:
    asked: _Disconnection = _read(body or b"{}", _Disconnection)
    if asked.path not in ("", *PATHS) or not CLOSE_CODE_MIN <= asked.code <= CLOSE_CODE_MAX:
        raise Unusable(f"path: one of {', '.join(PATHS)}; code: {CLOSE_CODE_MIN} to {CLOSE_CODE_MAX}")
    count = sum(1 for one in venue.connections.all() if asked.path in ("", one.path))
    venue.connections.close_all(asked.code, "", asked.path)
    return {"closed": count}


def _delete_key(venue: Venue, name: str, body: bytes) -> object:
    if venue.keys.find(name) is None:
        raise Unusable("no such key", 404)
    venue.delete_key(name)
    return {}


def _log(venue: Venue, name: str, body: bytes) -> object:
    return [one._asdict() for one in list(venue.log)[-LOG_SHOWN_MAX:]]


WORKS: Mapping[tuple[str, str], Work] = {
    ("GET", "faults"): _rules,
    ("POST", "faults"): _add_rules,
    ("DELETE", "faults"): _heal,
    ("POST", "instruments"): _change,
    ("POST", "maintenance"): _maintain,
    ("POST", "orders"): _place,
    ("DELETE", "orders"): _cancel_orders,
    ("POST", "algos"): _place_algo,
    ("DELETE", "algos"): _cancel_algos,
    ("POST", "transfers"): _transfer,
    ("POST", "deleverage"): _deleverage,
    ("GET", "accounts"): _shown,
    ("POST", "disconnect"): _disconnect,
    ("DELETE", "keys"): _delete_key,
    ("GET", "log"): _log,
}
