"""OKX rows → reports in our own words. The only place that knows both.

A row that says nothing to us (an unknown state, a take-profit alone) becomes nothing;
a row that cannot be understood raises `WireError`, because a private event that is
silently lost is a position that is silently wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from anchorwatch.io.okx import wire_account, wire_market, wire_orders
from anchorwatch.io.okx.wire_fields import WireError
from anchorwatch.io.okx.wire_ws import Push
from anchorwatch.machine import world
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.maintenance import ANNOUNCED_MAX, Announced
from anchorwatch.machine.units import Deal, Instrument, LegKey, MarginMode, Side

ZERO = Decimal(0)
SETTLE = "USDT"
WHOLE = Decimal(1)  # closeFraction of a stop that follows the whole position

ORDER_STATES = {
    "live": world.OrderState.LIVE,
    "partially_filled": world.OrderState.PARTIAL,
    "filled": world.OrderState.FILLED,
    "canceled": world.OrderState.CANCELLED,
    "mmp_canceled": world.OrderState.CANCELLED,
}
STOP_STATES = {
    "live": world.StopState.LIVE,
    "pause": world.StopState.LIVE,
    "partially_effective": world.StopState.TRIGGERED,
    "effective": world.StopState.TRIGGERED,
    "canceled": world.StopState.CANCELLED,
    "order_failed": world.StopState.FAILED,
    "partially_failed": world.StopState.FAILED,
}
# OKX v5, cancelSource.
ENDINGS = {"20": world.Ending.DEAD_MAN, "31": world.Ending.WOULD_TAKE}
SIDES = {"long": Side.LONG, "short": Side.SHORT}
MARGINS = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
TIMEFRAME_PREFIX = "candle"


def events_of(push: Push) -> Iterator[Event]:
    """What a push says, as events. Channels that nothing here reads say nothing."""
    for row in push.rows:
        match row:
            case wire_orders.OrderPush():
                report = order_report(row)
                if report is not None:
                    yield world.OrderPushed(report)
            case wire_orders.AlgoOrder():
                stop = stop_report(row)
                if stop is not None:
                    yield world.StopPushed(stop)
            case wire_account.Position():
                for position in position_reports(row):
                    yield world.PositionPushed(position)
            case wire_account.Balance():
                equity = equity_report(row)
                if equity is not None:
                    yield equity
            case wire_market.MarkPrice():
                if row.mark_px is not None:
                    yield world.MarkMoved(row.inst_id, row.mark_px, row.ts_ms or 0)
            case wire_market.Ticker():
                if row.bid_px is not None and row.ask_px is not None:
                    yield world.QuoteMoved(row.inst_id, row.bid_px, row.ask_px, row.ts_ms or 0)
            case wire_market.FundingRate():
                if row.funding_rate is not None and row.funding_time_ms is not None:
                    yield world.FundingForecast(row.inst_id, row.funding_rate, row.funding_time_ms)
            case wire_market.Instrument():
                yield from _rules(row)
            case wire_market.Candle():
                if row.confirmed:
                    timeframe = push.channel.removeprefix(TIMEFRAME_PREFIX)
                    yield world.CandleClosed(push.arg.inst_id, timeframe, candle(row))
            case _:
                pass


TRADING_SERVICES = ("5", "8", "9", "99")
"""OKX v5, serviceType: trading as a whole, by batches of accounts or products, and what has no name. 0 is the
WebSocket, which tells of itself."""

NOT_TRADING = ("ongoing", "pre_open")


def announced(rows: Iterable[wire_market.SystemStatus], *, env: str = "") -> tuple[Announced, ...]:
    """The maintenance of trading that goes on or is to come, the nearest first.

    ``env`` is "1" for production and "2" for demo; empty takes either. One that is to come and has no time yet is
    left out: nothing can be done about it.
    """
    found = [
        Announced(row.title or "maintenance", row.begin_ms or 0, row.end_ms or 0, row.state in NOT_TRADING)
        for row in rows
        if row.state in NOT_TRADING or (row.state == "scheduled" and row.begin_ms is not None)
        if row.service_type in TRADING_SERVICES and env in ("", row.env)
    ]
    return tuple(sorted(found, key=lambda one: one.begin_ms)[:ANNOUNCED_MAX])


def _rules(row: wire_market.Instrument) -> Iterator[Event]:
    """The rules of one swap. Shortly before a listing most fields are empty, and nothing is traded by them."""
    try:
        yield world.RulesRead(row.inst_id, instrument(row))
    except WireError:
        return


def candle(row: wire_market.Candle) -> world.Candle:
    return world.Candle(
        open_ms=row.ts_ms,
        open=float(row.open),
        high=float(row.high),
        low=float(row.low),
        close=float(row.close),
        volume=float(row.vol or 0),
    )


def order_report(row: wire_orders.Order) -> world.OrderReport | None:
    """One order; None for a state that we do not know, which the next reading settles."""
    state = ORDER_STATES.get(row.state)
    if state is None:
        return None
    return world.OrderReport(
        client_id=row.cl_ord_id,
        venue_id=row.ord_id,
        instrument=row.inst_id,
        side=SIDES.get(row.pos_side),
        deal=_deal(row.side, row.ord_id),
        state=state,
        filled=row.acc_fill_sz or ZERO,
        average_price=row.avg_px,
        fee=-(row.fee or ZERO) - (row.rebate or ZERO),
        fill=_fill(row) if isinstance(row, wire_orders.OrderPush) else None,
        stop_client_id=row.algo_cl_ord_id or row.algo_id,
        category=row.category,
        created_ms=row.c_time_ms or 0,
        updated_ms=row.u_time_ms or 0,
        price=row.px,
        ending=ENDINGS.get(row.cancel_source, world.Ending.ORDINARY),
    )


def _fill(row: wire_orders.OrderPush) -> world.Fill | None:
    """The trade that this push brings, if it brings one: then, and only then, it has a trade id."""
    if not row.trade_id or not row.fill_sz or row.fill_px is None:
        return None
    return world.Fill(
        trade_id=row.trade_id,
        contracts=row.fill_sz,
        price=row.fill_px,
        fee=-(row.fill_fee or ZERO),
        at_ms=row.fill_time_ms or row.u_time_ms or 0,
    )


def stop_report(row: wire_orders.AlgoOrder) -> world.StopReport | None:
    """One protective stop; None for algo orders that stop no loss, and for states that we do not know."""
    state = STOP_STATES.get(row.state)
    trigger = row.sl_trigger_px if row.sl_trigger_px is not None else row.move_trigger_px
    if state is None or (trigger is None and row.ord_type != "move_order_stop"):
        return None
    return world.StopReport(
        client_id=row.algo_cl_ord_id,
        venue_id=row.algo_id,
        instrument=row.inst_id,
        side=SIDES.get(row.pos_side),
        deal=_deal(row.side, row.algo_id),
        state=state,
        trigger=trigger,
        contracts=None if row.close_fraction == WHOLE else row.sz,
        updated_ms=row.u_time_ms or row.c_time_ms or 0,
    )


def position_reports(row: wire_account.Position) -> Iterator[world.PositionReport]:
    """A row of hedge mode is one leg; a row of net mode speaks of both sides, one of them flat."""
    margin = MARGINS.get(row.mgn_mode)
    if margin is None or row.pos is None:
        raise WireError(f"position {row.inst_id}: margin mode {row.mgn_mode!r}, size {row.pos}")
    side = SIDES.get(row.pos_side)
    if side is not None:
        yield _position(row, LegKey(row.inst_id, side, margin), abs(row.pos))
        return
    yield _position(row, LegKey(row.inst_id, Side.LONG, margin), max(row.pos, ZERO))
    yield _position(row, LegKey(row.inst_id, Side.SHORT, margin), max(-row.pos, ZERO))


def _position(row: wire_account.Position, leg: LegKey, contracts: Decimal) -> world.PositionReport:
    return world.PositionReport(
        leg=leg,
        contracts=contracts,
        entry_price=row.avg_px,
        created_ms=row.c_time_ms or 0,
        updated_ms=row.u_time_ms or 0,
        funding=row.funding_fee or ZERO,
        liquidation=row.liq_px,
        mark=row.mark_px,
        margin_ratio=row.mgn_ratio,
    )


def equity_report(row: wire_account.Balance) -> world.EquityReported | None:
    detail = row.of(SETTLE)
    if detail is None or detail.eq is None:
        return None
    available = detail.avail_eq if detail.avail_eq is not None else detail.avail_bal
    return world.EquityReported(detail.eq, available or ZERO, row.u_time_ms or detail.u_time_ms or 0)


def instrument(row: wire_market.Instrument) -> Instrument:
    """The rules of one swap. Raises `WireError` when one that orders depend on is missing."""
    needed = (row.ct_val, row.tick_sz, row.lot_sz, row.min_sz)
    if any(value is None for value in needed):
        raise WireError(f"instrument {row.inst_id}: contract value, tick, lot or minimum is missing")
    assert row.ct_val is not None
    assert row.tick_sz is not None
    assert row.lot_sz is not None
    assert row.min_sz is not None
    return Instrument(
        name=row.inst_id,
        contract_size=row.ct_val * (row.ct_mult or Decimal(1)),
        tick_size=row.tick_sz,
        lot_size=row.lot_sz,
        min_size=row.min_sz,
        max_market_size=row.max_mkt_sz or row.min_sz,
        max_stop_size=row.max_stop_sz or row.min_sz,
        max_leverage=row.lever or Decimal(1),
        is_live=row.state == "live",
        max_limit_size=row.max_lmt_sz or row.min_sz,
    )


def reading(
    positions: Iterable[wire_account.Position],
    orders: Iterable[wire_orders.Order],
    stops: Iterable[wire_orders.AlgoOrder],
    started_ms: int,
) -> world.AccountReading:
    """A complete reading of the account, from the rows of its lists."""
    return world.AccountReading(
        positions=tuple(report for row in positions for report in position_reports(row)),
        orders=tuple(order for row in orders if (order := order_report(row)) is not None),
        stops=tuple(stop for row in stops if (stop := stop_report(row)) is not None),
        started_ms=started_ms,
    )


def _deal(side: str, what: str) -> Deal:
    try:
        return Deal(side)
    except ValueError:
        raise WireError(f"{what}: side {side!r}") from None
