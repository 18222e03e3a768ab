"""Rows of OKX v5 that describe the venue: its clock, instruments, prices, tiers and status.

The same rows travel over REST and over the WebSocket channels unless a class says otherwise.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.io.okx.wire_fields import Millis, Number, Row


class ServerTime(Row, frozen=True):
    """`GET /public/time`."""

    ts_ms: int


class UpcomingChange(Row, frozen=True):
    """A rule of an instrument that will change: `param` is tickSz, minSz or maxMktSz."""

    param: str = ""
    new_value: str = ""
    eff_time_ms: Millis = None


class Instrument(Row, frozen=True):
    """`GET /public/instruments`, channel `instruments`.

    Sizes are in contracts; one contract is `ct_val` × `ct_mult` of `ct_val_ccy`.  Shortly before a listing most
    fields are empty.  `lever` is the instrument's maximum, not the account's setting.
    """

    inst_id: str = ""
    inst_type: str = ""
    inst_id_code: int | None = None
    uly: str = ""
    inst_family: str = ""
    group_id: str = ""
    category: str = ""
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    ct_val: Number = None
    ct_mult: Number = None
    ct_val_ccy: str = ""
    ct_type: str = ""
    tick_sz: Number = None
    lot_sz: Number = None
    min_sz: Number = None
    max_lmt_sz: Number = None
    max_mkt_sz: Number = None
    max_twap_sz: Number = None
    max_iceberg_sz: Number = None
    max_trigger_sz: Number = None
    max_stop_sz: Number = None
    max_lmt_amt: Number = None
    max_mkt_amt: Number = None
    max_plat_o_i_lmt: Number = msgspec.field(default=None, name="maxPlatOILmt")
    max_plat_o_i_coin_lmt: Number = msgspec.field(default=None, name="maxPlatOICoinLmt")
    pos_lmt_amt: Number = None
    pos_lmt_pct: Number = None
    long_pos_remaining_quota: Number = None
    short_pos_remaining_quota: Number = None
    lever: Number = None
    state: str = ""
    rule_type: str = ""
    inst_category: str = ""
    alias: str = ""
    opt_type: str = ""
    stk: Number = None
    open_type: str = ""
    elp: str = ""
    future_settlement: bool = False
    freq: str = ""
    method: str = ""
    series_id: str = ""
    list_time_ms: Millis = None
    exp_time_ms: Millis = None
    cont_td_sw_time_ms: Millis = None
    auction_end_time_ms: Millis = None
    pre_mkt_sw_time_ms: Millis = None
    trade_quote_ccy_list: tuple[str, ...] = ()
    upc_chg: tuple[UpcomingChange, ...] = ()


class Ticker(Row, frozen=True):
    """`GET /market/ticker(s)`, channel `tickers`. `vol24h` in contracts, `vol_ccy24h` in coins."""

    inst_id: str = ""
    inst_type: str = ""
    last: Number = None
    last_sz: Number = None
    ask_px: Number = None
    ask_sz: Number = None
    bid_px: Number = None
    bid_sz: Number = None
    open24h: Number = None
    high24h: Number = None
    low24h: Number = None
    vol_ccy24h: Number = None
    vol24h: Number = None
    sod_utc0: Number = None
    sod_utc8: Number = None
    source: str = ""
    ts_ms: Millis = None


class BookLevel(msgspec.Struct, frozen=True, array_like=True):
    """One level: price, contracts, a field that is always "0", number of orders."""

    px: Decimal
    sz: Decimal
    liquidated: str = "0"
    orders: int = 0


class Book(Row, frozen=True):
    """`GET /market/books`, channels `books5`, `bbo-tbt`, `books`. Best level first."""

    asks: tuple[BookLevel, ...] = ()
    bids: tuple[BookLevel, ...] = ()
    inst_id: str = ""
    ts_ms: Millis = None
    seq_id: int | None = None
    prev_seq_id: int | None = None
    checksum: int | None = None


class Trade(Row, frozen=True):
    """`GET /market/trades`, channel `trades`. `side` is the taker's."""

    inst_id: str = ""
    trade_id: str = ""
    px: Number = None
    sz: Number = None
    side: str = ""
    source: str = ""
    ts_ms: Millis = None
    count: int | None = None
    seq_id: int | None = None


class Candle(msgspec.Struct, frozen=True, array_like=True):
    """A row of `GET /market/candles` and of the channels `candle*`.

    `ts_ms` is the opening time; `vol` in contracts, `vol_ccy` in coins, `vol_ccy_quote` in USDT.  Only a candle
    with `confirmed` is closed; the newest of an answer usually is not.
    """

    ts_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vol: Number = None
    vol_ccy: Number = None
    vol_ccy_quote: Number = None
    confirmed: bool = False


class MarkCandle(msgspec.Struct, frozen=True, array_like=True):
    """A row of `GET /market/mark-price-candles` and the channels `mark-price-candle*`: no volume."""

    ts_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    confirmed: bool = False


class MarkPrice(Row, frozen=True):
    """`GET /public/mark-price`, channel `mark-price`."""

    inst_id: str = ""
    inst_type: str = ""
    mark_px: Number = None
    ts_ms: Millis = None


class IndexTicker(Row, frozen=True):
    """`GET /market/index-tickers`, channel `index-tickers`."""

    inst_id: str = ""
    idx_px: Number = None
    open24h: Number = None
    high24h: Number = None
    low24h: Number = None
    sod_utc0: Number = None
    sod_utc8: Number = None
    ts_ms: Millis = None


class FundingRate(Row, frozen=True):
    """`GET /public/funding-rate`, channel `funding-rate`.

    `funding_rate` is the forecast for the settlement at `funding_time_ms`; the interval is
    `next_funding_time_ms` minus `funding_time_ms` and may change.
    """

    inst_id: str = ""
    inst_type: str = ""
    method: str = ""
    formula_type: str = ""
    funding_rate: Number = None
    next_funding_rate: Number = None
    funding_time_ms: Millis = None
    next_funding_time_ms: Millis = None
    prev_funding_time_ms: Millis = None
    min_funding_rate: Number = None
    max_funding_rate: Number = None
    interest_rate: Number = None
    impact_value: Number = None
    premium: Number = None
    sett_state: str = ""
    sett_funding_rate: Number = None
    ts_ms: Millis = None


class PriceLimit(Row, frozen=True):
    """`GET /public/price-limit`, channel `price-limit`: no buy above `buy_lmt`, no sell below `sell_lmt`."""

    inst_id: str = ""
    inst_type: str = ""
    buy_lmt: Number = None
    sell_lmt: Number = None
    enabled: bool | None = None
    ts_ms: Millis = None


class PositionTier(Row, frozen=True):
    """`GET /public/position-tiers`: sizes in contracts, `imr` and `mmr` as fractions."""

    tier: str = ""
    inst_id: str = ""
    inst_family: str = ""
    uly: str = ""
    min_sz: Number = None
    max_sz: Number = None
    imr: Number = None
    mmr: Number = None
    max_lever: Number = None
    base_max_loan: Number = None
    quote_max_loan: Number = None
    opt_mgn_factor: Number = None


class SystemStatus(Row, frozen=True):
    """`GET /system/status`, channel `status`. `env` is "1" production, "2" demo; `service_type` "5" is trading."""

    title: str = ""
    state: str = ""
    begin_ms: Millis = None
    end_ms: Millis = None
    pre_open_begin_ms: Millis = None
    href: str = ""
    service_type: str = ""
    system: str = ""
    sche_desc: str = ""
    maint_type: str = ""
    env: str = ""
    ts_ms: Millis = None
