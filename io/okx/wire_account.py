"""Rows of OKX v5 that describe the account: its settings, balances, leverage and positions.

The same rows travel over REST and over the WebSocket channels unless a class says otherwise.
"""

from __future__ import annotations

import msgspec

from anchorwatch.io.okx.wire_fields import Millis, Number, Row


class AccountConfig(Row, frozen=True):
    """`GET /account/config`. `perm` is a comma list; `acct_lv` "2" is futures mode, "3" multi-currency."""

    uid: str = ""
    main_uid: str = ""
    acct_lv: str = ""
    pos_mode: str = ""
    perm: str = ""
    label: str = ""
    ip: str = ""
    level: str = ""
    level_tmp: str = ""
    type: str = ""
    role_type: str = ""
    stgy_type: str = ""
    kyc_lv: str = ""
    ct_iso_mode: str = ""
    mgn_iso_mode: str = ""
    acct_stp_mode: str = ""
    greeks_type: str = ""
    settle_ccy: str = ""
    settle_ccy_list: tuple[str, ...] = ()
    auto_loan: bool | None = None
    enable_spot_borrow: bool | None = None

    @property
    def permissions(self) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.perm.split(",") if word.strip())


class BalanceDetail(Row, frozen=True):
    """One currency of an account. In futures mode these figures count, not the account's own."""

    ccy: str
    eq: Number = None
    cash_bal: Number = None
    avail_eq: Number = None
    avail_bal: Number = None
    frozen_bal: Number = None
    ord_frozen: Number = None
    upl: Number = None
    iso_eq: Number = None
    iso_upl: Number = None
    iso_liab: Number = None
    imr: Number = None
    mmr: Number = None
    mgn_ratio: Number = None
    notional_lever: Number = None
    eq_usd: Number = None
    dis_eq: Number = None
    fixed_bal: Number = None
    liab: Number = None
    upl_liab: Number = None
    cross_liab: Number = None
    interest: Number = None
    twap: Number = None
    max_loan: Number = None
    stgy_eq: Number = None
    reward_bal: Number = None
    borrow_froz: Number = None
    coin_usd_price: Number = None
    spot_in_use_amt: Number = None
    cl_spot_in_use_amt: Number = None
    max_spot_in_use_amt: Number = None
    spot_iso_bal: Number = None
    spot_bal: Number = None
    spot_upl: Number = None
    spot_upl_ratio: Number = None
    spot_copy_trading_eq: Number = None
    open_avg_px: Number = None
    acc_avg_px: Number = None
    total_pnl: Number = None
    total_pnl_ratio: Number = None
    smt_sync_eq: Number = None
    col_borr_auto_conversion: str = ""
    collateral_enabled: bool | None = None
    collateral_restrict: bool | None = None
    col_res: str = ""
    auto_lend_status: str = ""
    auto_lend_mt_amt: Number = None
    auto_staking_status: str = ""
    frp_type: str = ""
    u_time_ms: Millis = None


class Balance(Row, frozen=True):
    """`GET /account/balance`, channel `account`. Only currencies with a balance appear."""

    details: tuple[BalanceDetail, ...] = ()
    total_eq: Number = None
    iso_eq: Number = None
    adj_eq: Number = None
    avail_eq: Number = None
    ord_froz: Number = None
    imr: Number = None
    mmr: Number = None
    mgn_ratio: Number = None
    notional_usd: Number = None
    notional_usd_for_borrow: Number = None
    notional_usd_for_swap: Number = None
    notional_usd_for_futures: Number = None
    notional_usd_for_option: Number = None
    borrow_froz: Number = None
    upl: Number = None
    delta: Number = None
    delta_lever: Number = None
    delta_neutral_status: str = ""
    u_time_ms: Millis = None

    def of(self, ccy: str) -> BalanceDetail | None:
        """The currency's figures, or None when the account holds none of it."""
        return next((detail for detail in self.details if detail.ccy == ccy), None)


class Leverage(Row, frozen=True):
    """`GET /account/leverage-info` and the answer of `POST /account/set-leverage`."""

    inst_id: str = ""
    mgn_mode: str = ""
    pos_side: str = ""
    lever: Number = None
    ccy: str = ""


class PositionMode(Row, frozen=True):
    """The answer of `POST /account/set-position-mode`."""

    pos_mode: str = ""


class CloseOrderAlgo(Row, frozen=True):
    """A stop of the whole position (`closeFraction` 1), as a position row lists it."""

    algo_id: str = ""
    sl_trigger_px: Number = None
    sl_trigger_px_type: str = ""
    tp_trigger_px: Number = None
    tp_trigger_px_type: str = ""
    close_fraction: Number = None


class Position(Row, frozen=True):
    """`GET /account/positions`, channel `positions` (which adds `p_time_ms`).

    `pos` is in contracts: signed in net mode, positive on both sides in long/short mode.  A row with `pos` 0 is a
    closed position, most of its other fields may be empty.
    """

    inst_id: str = ""
    pos: Number = None
    pos_side: str = ""
    mgn_mode: str = ""
    pos_id: str = ""
    inst_type: str = ""
    pos_ccy: str = ""
    avail_pos: Number = None
    avg_px: Number = None
    non_settle_avg_px: Number = None
    mark_px: Number = None
    last: Number = None
    idx_px: Number = None
    usd_px: Number = None
    be_px: Number = None
    lever: Number = None
    liq_px: Number = None
    upl: Number = None
    upl_ratio: Number = None
    upl_last_px: Number = None
    upl_ratio_last_px: Number = None
    imr: Number = None
    margin: Number = None
    mgn_ratio: Number = None
    mmr: Number = None
    notional_usd: Number = None
    adl: str = ""
    ccy: str = ""
    trade_id: str = ""
    interest: Number = None
    liab: Number = None
    liab_ccy: str = ""
    opt_val: Number = None
    realized_pnl: Number = None
    pnl: Number = None
    fee: Number = None
    funding_fee: Number = None
    liq_penalty: Number = None
    settled_pnl: Number = None
    close_order_algo: tuple[CloseOrderAlgo, ...] = ()
    c_time_ms: Millis = None
    u_time_ms: Millis = None
    p_time_ms: Millis = None
    biz_ref_id: str = ""
    biz_ref_type: str = ""
    hedged_pos: Number = None
    base_bal: Number = None
    quote_bal: Number = None
    base_borrowed: Number = None
    base_interest: Number = None
    quote_borrowed: Number = None
    quote_interest: Number = None
    spot_in_use_amt: Number = None
    spot_in_use_ccy: str = ""
    cl_spot_in_use_amt: Number = None
    max_spot_in_use_amt: Number = None
    pending_close_ord_liab_val: Number = None
    delta_b_s: Number = msgspec.field(default=None, name="deltaBS")
    delta_p_a: Number = msgspec.field(default=None, name="deltaPA")
    gamma_b_s: Number = msgspec.field(default=None, name="gammaBS")
    gamma_p_a: Number = msgspec.field(default=None, name="gammaPA")
    theta_b_s: Number = msgspec.field(default=None, name="thetaBS")
    theta_p_a: Number = msgspec.field(default=None, name="thetaPA")
    vega_b_s: Number = msgspec.field(default=None, name="vegaBS")
    vega_p_a: Number = msgspec.field(default=None, name="vegaPA")


class ClosedPosition(Row, frozen=True):
    """`GET /account/positions-history`. `type`: 1 partial close, 2 close, 3 and 4 liquidation, 5 and 6 ADL."""

    inst_id: str = ""
    pos_id: str = ""
    inst_type: str = ""
    mgn_mode: str = ""
    type: str = ""
    direction: str = ""
    pos_side: str = ""
    open_avg_px: Number = None
    non_settle_avg_px: Number = None
    close_avg_px: Number = None
    open_max_pos: Number = None
    close_total_pos: Number = None
    realized_pnl: Number = None
    settled_pnl: Number = None
    pnl: Number = None
    pnl_ratio: Number = None
    fee: Number = None
    funding_fee: Number = None
    liq_penalty: Number = None
    lever: Number = None
    trigger_px: Number = None
    uly: str = ""
    ccy: str = ""
    c_time_ms: Millis = None
    u_time_ms: Millis = None


class BalanceChange(Row, frozen=True):
    """A currency in a `balance_and_position` push."""

    ccy: str = ""
    cash_bal: Number = None
    u_time_ms: Millis = None


class TradeMark(Row, frozen=True):
    """Which trade caused a `balance_and_position` push."""

    inst_id: str = ""
    trade_id: str = ""


class BalanceAndPosition(Row, frozen=True):
    """Channel `balance_and_position`: only what changed, and by which trades."""

    event_type: str = ""
    bal_data: tuple[BalanceChange, ...] = ()
    pos_data: tuple[Position, ...] = ()
    trades: tuple[TradeMark, ...] = ()
    p_time_ms: Millis = None
