"""Public market data as rows of the OKX v5 API."""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.io.venue.book import Book, Level
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.market import CandleRow, Market
from anchorwatch.io.venue.order_rows import Row, stamp
from anchorwatch.io.venue.parameters import plain


def instrument_row(instrument: Instrument) -> Row:
    return {
        "instType": "SWAP",
        "instId": instrument.inst_id,
        "instIdCode": instrument.inst_id_code,
        "uly": instrument.inst_family,
        "instFamily": instrument.inst_family,
        "groupId": "2",
        "category": "1",
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": instrument.settle,
        "ctVal": plain(instrument.ct_val),
        "ctMult": plain(instrument.ct_mult),
        "ctValCcy": instrument.base,
        "ctType": "linear",
        "optType": "",
        "stk": "",
        "listTime": stamp(instrument.list_time_ms),
        "expTime": "",
        "openType": "",
        "contTdSwTime": "",
        "auctionEndTime": "",
        "preMktSwTime": "",
        "lever": plain(instrument.lever),
        "tickSz": plain(instrument.tick_sz),
        "lotSz": plain(instrument.lot_sz),
        "minSz": plain(instrument.min_sz),
        "alias": "",
        "state": instrument.state,
        "ruleType": "normal",
        "maxLmtSz": plain(instrument.max_lmt_sz),
        "maxMktSz": plain(instrument.max_mkt_sz),
        "maxLmtAmt": plain(instrument.max_lmt_amt),
        "maxMktAmt": "",
        "maxTwapSz": plain(instrument.max_lmt_sz),
        "maxIcebergSz": plain(instrument.max_lmt_sz),
        "maxTriggerSz": plain(instrument.max_trigger_sz),
        "maxStopSz": plain(instrument.max_stop_sz),
        "futureSettlement": False,
        "instCategory": "1",
        "tradeQuoteCcyList": [],
        "upcChg": [],
        "posLmtAmt": "",
        "posLmtPct": "",
        "maxPlatOILmt": "",
    }


def ticker_row(market: Market, book: Book, inst_id: str, now_ms: int) -> Row:
    bids, asks = book.levels(inst_id, now_ms, 1)
    high, low = market.high_low_24h(inst_id)
    contracts, coins = market.volume_24h(inst_id)
    utc0, utc8 = market.day_opens(inst_id)
    return {
        "instType": "SWAP",
        "instId": inst_id,
        "last": plain(market.last(inst_id)),
        "lastSz": plain(market.last_tick(inst_id).contracts),
        "askPx": plain(asks[0].px) if asks else "",
        "askSz": plain(asks[0].contracts) if asks else "",
        "bidPx": plain(bids[0].px) if bids else "",
        "bidSz": plain(bids[0].contracts) if bids else "",
        "open24h": plain(market.open_24h(inst_id)),
        "high24h": plain(high),
        "low24h": plain(low),
        "volCcy24h": plain(coins),
        "vol24h": plain(contracts),
        "sodUtc0": plain(utc0),
        "sodUtc8": plain(utc8),
        "ts": stamp(now_ms),
    }


def candle_row(row: CandleRow) -> list[str]:
    """``[ts, o, h, l, c, vol, volCcy, volCcyQuote, confirm]``."""
    volumes = [plain(each) for each in (row.contracts, row.coin, row.quote)]
    return [*mark_candle_row(row)[:5], *volumes, "1" if row.confirmed else "0"]


def mark_candle_row(row: CandleRow) -> list[str]:
    """``[ts, o, h, l, c, confirm]``: a mark price has no volume."""
    prices = [plain(px) for px in (row.open, row.high, row.low, row.close)]
    return [str(row.ts_ms), *prices, "1" if row.confirmed else "0"]


def level_rows(levels: list[Level]) -> list[list[str]]:
    return [[plain(level.px), plain(level.contracts), "0", str(level.orders)] for level in levels]


def mark_price_row(market: Market, inst_id: str, now_ms: int) -> Row:
    return {"instType": "SWAP", "instId": inst_id, "markPx": plain(market.mark(inst_id)), "ts": stamp(now_ms)}


def index_row(market: Market, inst_id: str, now_ms: int) -> Row:
    high, low = market.high_low_24h(inst_id)
    utc0, utc8 = market.day_opens(inst_id)
    return {
        "instId": inst_id.removesuffix("-SWAP"),
        "idxPx": plain(market.index(inst_id)),
        "high24h": plain(high),
        "low24h": plain(low),
        "open24h": plain(market.open_24h(inst_id)),
        "sodUtc0": plain(utc0),
        "sodUtc8": plain(utc8),
        "ts": stamp(now_ms),
    }


def funding_row(market: Market, inst_id: str, now_ms: int) -> Row:
    funding = market.funding(inst_id, now_ms)
    return {
        "instType": "SWAP",
        "instId": inst_id,
        "method": "current_period",
        "formulaType": "withRate",
        "fundingRate": plain(funding.rate),
        "fundingTime": stamp(funding.funding_time_ms),
        "nextFundingRate": "",
        "nextFundingTime": stamp(funding.next_funding_time_ms),
        "minFundingRate": plain(funding.min_rate),
        "maxFundingRate": plain(funding.max_rate),
        "interestRate": plain(funding.interest_rate),
        "impactValue": "20000",
        "premium": plain(funding.premium),
        "settState": "settled",
        "settFundingRate": plain(funding.settled_rate),
        "prevFundingTime": stamp(funding.settled_time_ms),
        "ts": stamp(now_ms),
    }


def price_limit_row(market: Market, inst_id: str, now_ms: int) -> Row:
    highest_buy, lowest_sell = market.price_limit(inst_id)
    return {
        "instType": "SWAP",
        "instId": inst_id,
        "buyLmt": plain(highest_buy),
        "sellLmt": plain(lowest_sell),
        "enabled": True,
        "ts": stamp(now_ms),
    }


def tier_rows(instrument: Instrument) -> list[Row]:
    return [
        {
            "baseMaxLoan": "",
            "imr": plain(tier.imr),
            "instFamily": instrument.inst_family,
            "instId": "",
            "maxLever": plain(tier.max_lever),
            "maxSz": plain(tier.max_sz),
            "minSz": plain(tier.min_sz),
            "mmr": plain(tier.mmr),
            "optMgnFactor": "0",
            "quoteMaxLoan": "",
            "tier": str(tier.tier),
            "uly": instrument.inst_family,
        }
        for tier in instrument.tiers
    ]


def trade_row(inst_id: str, trade_id: str, px: Decimal, contracts: Decimal, side: str, at_ms: int) -> Row:
    """A public trade; ``side`` is the taker's."""
    return {
        "instId": inst_id,
        "tradeId": trade_id,
        "px": plain(px),
        "sz": plain(contracts),
        "side": side,
        "source": "0",
        "ts": stamp(at_ms),
    }
