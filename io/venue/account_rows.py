"""Balances, positions, bills and account settings as rows of the OKX v5 API (futures mode)."""

from __future__ import annotations

from anchorwatch.io.venue.accounts import Account, ApiKey, PositionHistory
from anchorwatch.io.venue.margin import Margin
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.order_rows import Row, stamp
from anchorwatch.io.venue.orders import Bill
from anchorwatch.io.venue.parameters import plain
from anchorwatch.io.venue.positions import Position


def config_row(account: Account, key: ApiKey) -> Row:
    spec = account.spec
    return {
        "uid": spec.uid,
        "mainUid": spec.uid,
        "acctLv": spec.level,
        "acctStpMode": "cancel_maker",
        "posMode": account.pos_mode,
        "autoLoan": False,
        "greeksType": "PA",
        "level": "Lv1",
        "levelTmp": "",
        "ctIsoMode": "automatic",
        "mgnIsoMode": "automatic",
        "spotOffsetType": "",
        "spotRoleType": "0",
        "spotTraderInsts": [],
        "stgyType": "0",
        "roleType": "0",
        "traderInsts": [],
        "opAuth": "0",
        "kycLv": "3",
        "label": key.key,
        "ip": ",".join(key.ips),
        "perm": key.permissions,
        "liquidationGear": "-1",
        "enableSpotBorrow": False,
        "spotBorrowAutoRepay": False,
        "type": "0",
        "settleCcy": "USDT",
        "settleCcyList": ["USDT"],
    }


def balance_row(account: Account, margin: Margin) -> Row:
    """In futures mode the margin figures stand in the currency's row; those of the account level are ``""``."""
    worth = margin.worth(account)
    details: list[Row] = []
    if account.cash != 0 or worth.notional:
        details.append(
            {
                "ccy": "USDT",
                "eq": plain(worth.equity),
                "cashBal": plain(worth.cash),
                "uTime": stamp(account.updated_ms),
                "isoEq": plain(worth.iso_equity),
                "availEq": plain(worth.available),
                "disEq": plain(worth.equity),
                "fixedBal": "0",
                "availBal": plain(worth.available),
                "frozenBal": plain(worth.frozen),
                "ordFrozen": plain(worth.order_frozen),
                "liab": "",
                "upl": plain(worth.upl + worth.iso_upl),
                "uplLiab": "",
                "crossLiab": "",
                "isoLiab": "",
                "rewardBal": "0",
                "mgnRatio": plain(worth.ratio),
                "imr": plain(worth.imr),
                "mmr": plain(worth.mmr),
                "interest": "",
                "twap": "0",
                "maxLoan": "",
                "eqUsd": plain(worth.equity),
                "borrowFroz": "",
                "notionalLever": plain(worth.notional / worth.equity) if worth.equity > 0 else "",
                "stgyEq": "0",
                "isoUpl": plain(worth.iso_upl),
                "spotInUseAmt": "",
                "clSpotInUseAmt": "",
                "maxSpotInUseAmt": "",
                "coinUsdPrice": "1",
                "colBorrAutoConversion": "0",
                "collateralRestrict": False,
                "spotIsoBal": "0",
                "smtSyncEq": "0",
                "spotCopyTradingEq": "0",
                "spotBal": "",
                "openAvgPx": "",
                "accAvgPx": "",
                "spotUpl": "",
                "spotUplRatio": "",
                "totalPnl": "",
                "totalPnlRatio": "",
                "colRes": "0",
                "collateralEnabled": False,
                "autoLendStatus": "off",
                "autoLendMtAmt": "0",
            }
        )
    blank = dict.fromkeys(
        ("adjEq", "availEq", "ordFroz", "imr", "mmr", "borrowFroz", "mgnRatio", "notionalUsd", "upl"), ""
    )
    blank |= dict.fromkeys(
        ("notionalUsdForBorrow", "notionalUsdForFutures", "notionalUsdForOption", "notionalUsdForSwap"), ""
    )
    return {
        "uTime": stamp(account.updated_ms),
        "totalEq": plain(worth.equity) if details else "",
        "isoEq": plain(worth.iso_equity) if details else "",
        **blank,
        "details": details,
    }


def position_row(account: Account, position: Position, market: Market, margin: Margin) -> Row:
    """One row; a flat position shows pos "0" and ``""`` wherever a figure would be meaningless."""
    mark, last = market.mark(position.inst_id), market.last(position.inst_id)
    is_open, is_cross = position.is_open, position.margin_mode == "cross"
    at_open = position.coins * position.avg_px / position.lever if is_open else None
    upl = position.unrealized(mark) if is_open else None
    upl_last = position.unrealized(last) if is_open else None
    fee_rate = market.instrument(position.inst_id).taker_fee
    way = position.direction
    break_even = None
    if is_open:
        cost = position.fee + position.funding + position.pnl
        break_even = (position.avg_px - way * cost / position.coins) / (1 - way * fee_rate)
    return {
        "instType": "SWAP",
        "instId": position.inst_id,
        "mgnMode": position.margin_mode,
        "posId": position.pos_id,
        "posSide": position.pos_side,
        "pos": plain(position.contracts),
        "hedgedPos": "",
        "baseBal": "",
        "quoteBal": "",
        "baseBorrowed": "",
        "baseInterest": "",
        "quoteBorrowed": "",
        "quoteInterest": "",
        "posCcy": "",
        "availPos": "",
        "avgPx": plain(position.avg_px) if is_open else "",
        "nonSettleAvgPx": "",
        "markPx": plain(mark),
        "upl": plain(upl),
        "uplRatio": plain(upl / at_open) if upl is not None and at_open else "",
        "uplLastPx": plain(upl_last),
        "uplRatioLastPx": plain(upl_last / at_open) if upl_last is not None and at_open else "",
        "lever": plain(position.lever),
        "liqPx": plain(margin.liquidation_px(account, position)),
        "imr": plain(position.notional(mark) / position.lever) if is_open and is_cross else "",
        "margin": plain(position.margin) if is_open and not is_cross else "",
        "mgnRatio": plain(margin.ratio(account, position)) if is_open else "",
        "mmr": plain(margin.maintenance(position)) if is_open else "",
        "liab": "",
        "liabCcy": "",
        "interest": "",
        "tradeId": position.trade_id,
        "optVal": "",
        "pendingCloseOrdLiabVal": "",
        "notionalUsd": plain(position.notional(mark)) if is_open else "",
        "adl": "1" if is_open else "",
        "ccy": "USDT",
        "last": plain(last),
        "idxPx": plain(market.index(position.inst_id)),
        "usdPx": "1",
        "bePx": plain(break_even),
        "deltaBS": "",
        "deltaPA": "",
        "gammaBS": "",
        "gammaPA": "",
        "thetaBS": "",
        "thetaPA": "",
        "vegaBS": "",
        "vegaPA": "",
        "spotInUseAmt": "",
        "spotInUseCcy": "",
        "clSpotInUseAmt": "",
        "maxSpotInUseAmt": "",
        "realizedPnl": plain(position.realized),
        "pnl": plain(position.pnl),
        "fee": plain(position.fee),
        "fundingFee": plain(position.funding),
        "liqPenalty": plain(position.liq_penalty),
        "settledPnl": "",
        "closeOrderAlgo": [
            {
                "algoId": algo.algo_id,
                "slTriggerPx": plain(algo.sl_trigger_px),
                "slTriggerPxType": algo.sl_trigger_type,
                "tpTriggerPx": plain(algo.tp_trigger_px),
                "tpTriggerPxType": algo.tp_trigger_type,
                "closeFraction": "1",
            }
            for algo in account.algos.values()
            if algo.closes_whole_position and (algo.inst_id, algo.margin_mode, algo.pos_side) == position.key
        ],
        "cTime": stamp(position.created_ms),
        "uTime": stamp(position.updated_ms),
        "bizRefId": "",
        "bizRefType": "",
    }


def position_brief(position: Position) -> Row:
    """The row of balance_and_position's ``posData``."""
    return {
        "posId": position.pos_id,
        "tradeId": position.trade_id,
        "instId": position.inst_id,
        "instType": "SWAP",
        "mgnMode": position.margin_mode,
        "posSide": position.pos_side,
        "pos": plain(position.contracts),
        "baseBal": "",
        "quoteBal": "",
        "posCcy": "",
        "ccy": "USDT",
        "avgPx": plain(position.avg_px) if position.is_open else "",
        "nonSettleAvgPx": "",
        "settledPnl": "",
        "uTime": stamp(position.updated_ms),
    }


def history_row(row: PositionHistory) -> Row:
    invested = row.open_avg_px * row.closed_contracts
    gained = (
        (row.close_avg_px - row.open_avg_px) * row.closed_contracts * (1 if row.direction == "long" else -1)
    )
    return {
        "instType": "SWAP",
        "instId": row.inst_id,
        "mgnMode": row.margin_mode,
        "type": row.kind,
        "posId": row.pos_id,
        "posSide": row.pos_side,
        "direction": row.direction,
        "lever": plain(row.lever),
        "openAvgPx": plain(row.open_avg_px),
        "nonSettleAvgPx": "",
        "closeAvgPx": plain(row.close_avg_px),
        "openMaxPos": plain(row.max_contracts),
        "closeTotalPos": plain(row.closed_contracts),
        "realizedPnl": plain(row.realized),
        "settledPnl": "",
        "pnl": plain(row.pnl),
        "pnlRatio": plain(gained * row.lever / invested) if invested else "",
        "fee": plain(row.fee),
        "fundingFee": plain(row.funding),
        "liqPenalty": plain(row.liq_penalty),
        "triggerPx": "",
        "uly": row.inst_id.removesuffix("-SWAP"),
        "ccy": "USDT",
        "cTime": stamp(row.created_ms),
        "uTime": stamp(row.updated_ms),
    }


def bill_row(bill: Bill) -> Row:
    return {
        "billId": bill.bill_id,
        "ccy": "USDT",
        "bal": plain(bill.balance),
        "balChg": plain(bill.change),
        "posBal": "0",
        "posBalChg": "0",
        "sz": plain(bill.contracts),
        "px": plain(bill.px),
        "pnl": plain(bill.pnl),
        "fee": plain(bill.fee),
        "type": bill.kind,
        "subType": bill.sub_type,
        "instType": "SWAP",
        "instId": bill.inst_id,
        "mgnMode": bill.margin_mode,
        "ordId": bill.order_id,
        "clOrdId": bill.client_id,
        "tradeId": bill.trade_id,
        "execType": "",
        "interest": "",
        "from": "",
        "to": "",
        "notes": "",
        "tag": "",
        "fillTime": stamp(bill.at_ms),
        "ts": stamp(bill.at_ms),
    }
