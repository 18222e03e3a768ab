"""Account REST endpoints: settings, balance, positions, limits, bills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from anchorwatch.io.venue.account_rows import balance_row, bill_row, config_row, history_row, position_row
from anchorwatch.io.venue.answers import page
from anchorwatch.io.venue.authentication import Caller
from anchorwatch.io.venue.market_rows import instrument_row
from anchorwatch.io.venue.order_rows import Row, stamp
from anchorwatch.io.venue.orders import ZERO
from anchorwatch.io.venue.parameters import Parameters, plain
from anchorwatch.io.venue.rate_limits import SUB_ACCOUNT_MAX
from anchorwatch.io.venue.refusals import Refusal
from anchorwatch.io.venue.rest_public import listed
from anchorwatch.io.venue.trading import MARGIN_MODES

if TYPE_CHECKING:
    from anchorwatch.io.venue.exchange import Venue

AccountRoute = Callable[["Venue", Caller, Parameters], Sequence[object]]

DAY_MS = 86_400_000
# OKX: how long a flat position's id, and its row under an instrument filter, stay.
FLAT_ROW_MS = 30 * DAY_MS
BILLS_MS = 7 * DAY_MS
ARCHIVE_MS = 90 * DAY_MS


def config(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return [config_row(caller.account, caller.key)]


def instruments(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return [instrument_row(one) for one in listed(venue, asked)]


def balance(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    row = balance_row(caller.account, venue.margin)
    wanted = asked.text("ccy")
    if wanted and "USDT" not in wanted.split(","):
        row["details"] = []
    return [row]


def positions(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    inst_type = asked.text("instType", "SWAP")
    inst_ids = [one for one in asked.text("instId").split(",") if one]
    pos_ids = [one for one in asked.text("posId").split(",") if one]
    for inst_id in inst_ids:
        venue.instrument(inst_id)
    rows: list[Row] = []
    for position in caller.account.positions.values():
        if inst_type not in ("SWAP", "ANY"):
            continue
        if (inst_ids and position.inst_id not in inst_ids) or (pos_ids and position.pos_id not in pos_ids):
            continue
        if not position.is_open:
            # A flat row of the other position mode would name a side that this mode does not know.
            is_of_mode = (position.pos_side == "net") != caller.account.is_hedged
            is_fresh = is_of_mode and venue.now_ms() - position.updated_ms <= FLAT_ROW_MS
            if not (inst_ids and is_fresh and venue.switches.closed_position_row):
                continue
        rows.append(position_row(caller.account, position, venue.market, venue.margin))
    return rows


def positions_history(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    since_ms = venue.now_ms() - ARCHIVE_MS
    wanted = {name: asked.text(name) for name in ("instId", "mgnMode", "type", "posId")}
    closings = sorted(caller.account.history.values(), key=lambda one: one.updated_ms, reverse=True)
    chosen = (
        one
        for one in closings
        if one.updated_ms >= since_ms
        and wanted["instId"] in ("", one.inst_id)
        and wanted["mgnMode"] in ("", one.margin_mode)
        and wanted["type"] in ("", one.kind)
        and wanted["posId"] in ("", one.pos_id)
    )
    return [history_row(one) for one in page(chosen, asked, lambda one: one.updated_ms)]


def leverage_info(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    margin_mode = asked.one_of("mgnMode", MARGIN_MODES)
    account = caller.account
    sides = ("long", "short") if account.is_hedged else ("net",)
    rows: list[Row] = []
    for inst_id in asked.required("instId").split(","):
        venue.instrument(inst_id)
        rows.extend(
            {
                "ccy": "",
                "instId": inst_id,
                "mgnMode": margin_mode,
                "posSide": side,
                "lever": plain(venue.placement.lever_in_force(account, inst_id, margin_mode, side)),
            }
            for side in sides
        )
    return rows


def set_leverage(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return [venue.trading.set_leverage(caller.account, asked)]


def set_position_mode(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return [venue.trading.set_position_mode(caller.account, asked)]


def trade_fee(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    """Negative rates are paid. The groups of other instrument kinds are not modelled."""
    asked.one_of("instType", ("SWAP", "SPOT", "FUTURES", "MARGIN", "OPTION"))
    instrument = venue.instruments()[0]
    maker, taker = plain(-instrument.maker_fee), plain(-instrument.taker_fee)
    return [
        {
            "category": "1",
            "delivery": "",
            "exercise": "",
            "instType": "SWAP",
            "level": "Lv1",
            "maker": maker,
            "makerU": maker,
            "makerUSDC": maker,
            "taker": taker,
            "takerU": taker,
            "takerUSDC": taker,
            "ruleType": "normal",
            "feeGroup": [{"groupId": "2", "maker": maker, "taker": taker, "elpMaker": ""}],
            "fiat": [],
            "settle": "",
            "uly": "",
            "ts": stamp(venue.now_ms()),
        }
    ]


def max_size(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    margin_mode = venue.placement.margin_mode(asked)
    account = caller.account
    px = asked.decimal("px")
    rows: list[Row] = []
    for inst_id in asked.required("instId").split(","):
        highest_buy, lowest_sell = _limits(venue, inst_id)
        sizes: list[Decimal] = []
        for side, at in (("buy", px or highest_buy), ("sell", px or lowest_sell)):
            pos_side = ("long" if side == "buy" else "short") if account.is_hedged else "net"
            lever = asked.decimal("leverage") or venue.placement.lever_in_force(
                account, inst_id, margin_mode, pos_side
            )
            held = account.position(inst_id, margin_mode, pos_side)
            covered = held.closable_by(side) if held is not None else ZERO
            sizes.append(covered * 2 + venue.margin.affordable(account, inst_id, lever, at))
        rows.append({"instId": inst_id, "ccy": "USDT", "maxBuy": plain(sizes[0]), "maxSell": plain(sizes[1])})
    return rows


def max_avail_size(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    venue.placement.margin_mode(asked)
    available = plain(venue.margin.worth(caller.account).available)
    rows: list[Row] = []
    for inst_id in asked.required("instId").split(","):
        venue.instrument(inst_id)
        rows.append({"instId": inst_id, "availBuy": available, "availSell": available})
    return rows


def _limits(venue: Venue, inst_id: str) -> tuple[Decimal, Decimal]:
    return venue.market.price_limit(venue.instrument(inst_id).inst_id)


def bills(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return _bills(venue, caller, asked, BILLS_MS)


def bills_archive(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return _bills(venue, caller, asked, ARCHIVE_MS)


def _bills(venue: Venue, caller: Caller, asked: Parameters, kept_ms: int) -> Sequence[object]:
    begin_ms = max(asked.whole("begin") or 0, venue.now_ms() - kept_ms)
    end_ms = asked.whole("end") or venue.now_ms()
    if asked.text("ccy", "USDT") != "USDT" or asked.text("instType", "SWAP") != "SWAP":
        return []
    wanted = {name: asked.text(name) for name in ("type", "subType", "instId", "mgnMode")}
    chosen = (
        bill
        for bill in reversed(caller.account.bills)
        if begin_ms <= bill.at_ms <= end_ms
        and wanted["type"] in ("", bill.kind)
        and wanted["subType"] in ("", bill.sub_type)
        and wanted["instId"] in ("", bill.inst_id)
        and wanted["mgnMode"] in ("", bill.margin_mode)
    )
    return [bill_row(bill) for bill in page(chosen, asked, lambda bill: int(bill.bill_id))]


def account_rate_limit(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    return [
        {
            "fillRatio": "",
            "mainFillRatio": "",
            "accRateLimit": str(SUB_ACCOUNT_MAX),
            "nextAccRateLimit": "",
            "ts": stamp(venue.now_ms()),
        }
    ]


def currencies(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    """The funding account is not modelled: only what clients ask for while loading markets."""
    return []


def account_and_position_risk(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    held = [
        position_row(caller.account, one, venue.market, venue.margin)
        for one in caller.account.open_positions()
    ]
    summary = balance_row(caller.account, venue.margin)
    return [{"adjEq": "", "balData": summary["details"], "posData": held, "ts": stamp(venue.now_ms())}]


def adjust_margin(venue: Venue, caller: Caller, asked: Parameters) -> Sequence[object]:
    """Add to or take from the margin of an isolated position."""
    venue.instrument(asked.required("instId"))
    account = caller.account
    pos_side = asked.one_of("posSide", ("long", "short", "net"), "net")
    kind = asked.one_of("type", ("add", "reduce"))
    amount = asked.decimal("amt")
    position = account.position(asked.text("instId"), "isolated", pos_side)
    if position is None:
        raise Refusal("51023")
    if amount is None or amount <= 0:
        raise Refusal("51000", "amt")
    if kind == "add" and amount > venue.margin.worth(account).available:
        raise Refusal("59200")
    least = position.coins * position.avg_px / position.lever
    if kind == "reduce" and position.margin - amount < least:
        raise Refusal("59201")
    position.margin += amount if kind == "add" else -amount
    position.updated_ms = venue.now_ms()
    venue.publisher.position_changed(account, position, "adjust_margin", "")
    venue.publisher.balance_changed(account, "adjust_margin")
    return [
        {
            "instId": position.inst_id,
            "posSide": pos_side,
            "amt": plain(amount),
            "type": kind,
            "leverage": plain(position.lever),
            "ccy": "USDT",
        }
    ]


READ_ROUTES: dict[str, AccountRoute] = {
    "account/config": config,
    "account/instruments": instruments,
    "account/balance": balance,
    "account/positions": positions,
    "account/positions-history": positions_history,
    "account/account-position-risk": account_and_position_risk,
    "account/leverage-info": leverage_info,
    "account/trade-fee": trade_fee,
    "account/max-size": max_size,
    "account/max-avail-size": max_avail_size,
    "account/bills": bills,
    "account/bills-archive": bills_archive,
    "trade/account-rate-limit": account_rate_limit,
    "asset/currencies": currencies,
    "asset/balances": currencies,
}
WRITE_ROUTES: dict[str, AccountRoute] = {
    "account/set-leverage": set_leverage,
    "account/set-position-mode": set_position_mode,
    "account/position/margin-balance": adjust_margin,
}
