"""What a back-test's trades say of the limits, reckoned from the exchange's record alone: the desk is not asked."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from anchorwatch.io.backtest.record import Trade
from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.settings import Settings
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.timeframes import DAY_MS

UNCOVERED_MAX_S = 5.0
"""The goal for any position without a stop."""

SEEN_WITHIN_MS = 2_000
"""Losses are looked at each second, and an order that was sent before arrives within the latency."""

MOVED_MEANWHILE = Decimal("1.05")
"""What is open is valued at mark when another entry is decided, and at its entry here."""

ZERO = Decimal(0)


def violations(test: Backtest, settings: Settings, exit_: Exit) -> list[str]:
    """Which limits this run broke, in words."""
    return [
        *_of_the_run(test, exit_),
        *broken_by_trades(test.record.trades, settings, test.costs.cash, test.end_ms),
    ]


def _of_the_run(test: Backtest, exit_: Exit) -> Iterator[str]:
    record, totals, account = test.record, test.desk.context.book.totals, test.exchange.account
    if exit_ is not Exit.CLEAN:
        yield f"exit {exit_.name}"
    if record.liquidations:
        yield f"{record.liquidations} liquidations"
    if totals.drifts:
        yield f"{totals.drifts} drifts"
    if totals.uncovered_ms_max > UNCOVERED_MAX_S * 1000:
        yield f"{totals.uncovered_ms_max} ms without a stop"
    # The desk books funding from pushes of what is open, so a settlement in the last moment of a position escapes it.
    booked = totals.realised_pnl - totals.fees + record.funding
    if account.cash != test.costs.cash + booked:
        yield f"the book and the account are {account.cash - test.costs.cash - booked} USDT apart"


def broken_by_trades(trades: list[Trade], settings: Settings, cash: Decimal, end_ms: int) -> list[str]:
    """The limits of size, loss and pace that these trades, begun with so much cash, did not keep."""
    return [
        *_sizes(trades, settings, cash, end_ms),
        *_losses(trades, settings, cash),
        *_rows_of_losses(trades, settings),
        *_ways_back(trades, settings),
    ]


def _worth(trade: Trade) -> Decimal:
    return trade.contracts * trade.contract_size * trade.entry_price


def _sizes(trades: list[Trade], settings: Settings, cash: Decimal, end_ms: int) -> Iterator[str]:
    for trade in trades:
        held = [one for one in trades if one.entered_ms <= trade.entered_ms < (one.left_ms or end_ms)]
        if len(held) > settings.sizing.max_positions:
            yield f"trade {trade.number}: {len(held)} positions at once"
        total, limits = sum(map(_worth, held), ZERO), settings.limits
        if limits.total_usd and total > limits.total_usd * MOVED_MEANWHILE:
            yield f"trade {trade.number}: {total:.0f} USD in all"
        margin = sum((_worth(one) / settings.of(one.instrument).leverage for one in held), ZERO)
        equity = cash + sum(
            (one.net for one in trades if one.left_ms and one.left_ms <= trade.entered_ms), ZERO
        )
        if limits.margin_share and margin > limits.margin_share * equity * MOVED_MEANWHILE:
            yield f"trade {trade.number}: {margin:.0f} USD of margin in use"


def _losses(trades: list[Trade], settings: Settings, cash: Decimal) -> Iterator[str]:
    """No entry once what was realised alone has reached a limit: what is open can only make it earlier."""
    halted_ms = _halted_ms(trades, settings, cash)
    if halted_ms is None:
        return
    for trade in trades:
        if trade.entered_ms > halted_ms + SEEN_WITHIN_MS:
            yield f"trade {trade.number}: entered after a limit of loss"


def _halted_ms(trades: list[Trade], settings: Settings, cash: Decimal) -> int | None:
    limits, total, best = settings.limits, ZERO, ZERO
    day_ms, of_day, day_equity = 0, ZERO, cash
    for trade in sorted((one for one in trades if one.left_ms), key=lambda one: one.left_ms):
        if trade.left_ms // DAY_MS * DAY_MS != day_ms:
            day_ms, of_day, day_equity = trade.left_ms // DAY_MS * DAY_MS, ZERO, cash + total
        total, of_day = total + trade.net, of_day + trade.net
        best = max(best, total)
        # The day's equity is that of its first push, with what was open then: a position's worth of doubt.
        if limits.daily_loss and -of_day >= limits.daily_loss * day_equity * MOVED_MEANWHILE:
            return trade.left_ms
        if limits.drawdown and best - total >= limits.drawdown * cash:
            return trade.left_ms
    return None


def _rows_of_losses(trades: list[Trade], settings: Settings) -> Iterator[str]:
    most, pause_ms = settings.limits.losses_in_row, settings.limits.losses_pause_s * 1000
    if not most:
        return
    rows: dict[str, int] = {}
    paused_ms: dict[str, int] = {}
    # A trade may end in the moment in which it begins, and another begin in the moment in which one ends.
    begins = [(one.entered_ms, one.number, 0, one) for one in trades]
    ends = [(one.left_ms, one.number, 1, one) for one in trades if one.left_ms]
    for at_ms, _, is_end, trade in sorted([*begins, *ends], key=lambda one: one[:3]):
        name = trade.instrument
        if not is_end:
            if at_ms < paused_ms.get(name, 0):
                yield f"trade {trade.number}: entered in the pause after {most} losses in a row"
            continue
        rows[name] = rows.get(name, 0) + 1 if trade.net < 0 else 0
        if rows[name] >= most:
            rows[name], paused_ms[name] = 0, at_ms + pause_ms


def _ways_back(trades: list[Trade], settings: Settings) -> Iterator[str]:
    for trade in trades:
        before = [
            one for one in trades
            if one.instrument == trade.instrument and one.number < trade.number and one.left_ms
        ]  # fmt: skip
        if not before:
            continue
        last, waits = max(before, key=lambda one: one.left_ms), settings.of(trade.instrument).strategy
        wait_s = waits.cooldown_opposite_s
        if last.side == trade.side:
            wait_s = max(waits.cooldown_s, waits.cooldown_after_loss_s if last.net < 0 else 0)
        if 0 <= trade.entered_ms - last.left_ms < wait_s * 1000:
            yield f"trade {trade.number}: back in after {(trade.entered_ms - last.left_ms) / 1000:g} s"
