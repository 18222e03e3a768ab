"""``python -m tests.backtest.every_file``: the default strategy on every recorded file, held against its limits.

It prints a line for each file and ends with exit code 1 when a limit was broken. What came of the trades is nobody's
claim: the figures say what the bot did.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

from anchorwatch.io.backtest.data import facts_of, read_files
from anchorwatch.io.backtest.outcome import curve_of, summary_of
from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.embedded import default_start_ms
from anchorwatch.io.seams import elapsed_s
from anchorwatch.io.settings import Settings, load
from anchorwatch.machine.lifecycle import Exit
from tests.backtest.rig import DATA

UNCOVERED_MAX_S = 5.0
"""The goal for any position without a stop."""


def violations(test: Backtest, settings: Settings, exit_: Exit) -> list[str]:
    """Which limits this run broke."""
    found = []
    record, totals, account = test.record, test.desk.context.book.totals, test.exchange.account
    if exit_ is not Exit.CLEAN:
        found.append(f"exit {exit_.name}")
    if record.liquidations:
        found.append(f"{record.liquidations} liquidations")
    if totals.drifts:
        found.append(f"{totals.drifts} drifts")
    if totals.uncovered_ms_max > UNCOVERED_MAX_S * 1000:
        found.append(f"{totals.uncovered_ms_max} ms without a stop")
    moves = sorted(
        (at_ms, change)
        for trade in record.trades
        for at_ms, change in ((trade.entered_ms, 1), (trade.left_ms or test.end_ms, -1))
    )
    held = most = 0
    for _, change in moves:
        held += change
        most = max(most, held)
    if most > settings.sizing.max_positions:
        found.append(f"{most} positions at once")
    for trade in record.trades:
        worth = trade.contracts * trade.contract_size * trade.entry_price
        margin = worth / settings.of(trade.instrument).leverage
        if margin > account.cash + abs(sum((one.net for one in record.trades), Decimal(0))):
            found.append(f"trade {trade.number} binds {margin:.0f} USDT")
    # The desk books funding from pushes of what is open, so a settlement in the last moment of a position escapes it.
    booked = totals.realised_pnl - totals.fees + record.funding
    if account.cash != test.costs.cash + booked:
        found.append(f"the book and the account are {account.cash - test.costs.cash - booked} USDT apart")
    return found


def run(path: Path) -> tuple[str, list[str]]:
    settings = load(file=None, environ={}, options={}, markets=(path,))
    series = read_files([path])
    start_ms = default_start_ms(settings, dict(series))
    end_ms = min(one.end_ms for one in series.values())
    test = Backtest(settings, series, start_ms, end_ms, seed=1)
    began_s = elapsed_s()
    exit_ = test.run()
    seconds = elapsed_s() - began_s
    summary = summary_of(test, curve_of(test))
    (one,) = series.values()
    facts = facts_of(path, one)
    broken = violations(test, settings, exit_)
    line = (
        f"| {path.name.removesuffix('.csv.gz')} | {summary.minutes} | {len(facts.holes)}/{facts.missing_minutes} "
        f"| {summary.trades} | {summary.won} | {summary.net:.2f} | {summary.fees:.2f} | {summary.largest_drawdown:.2f} "
        f"| {summary.uncovered_longest_s:.2f} | {summary.alarms} | {seconds:.1f} | {'; '.join(broken) or 'none'} |"
    )
    return line, broken


def main() -> int:
    files = sorted(path for path in (DATA / "candles").glob("*.csv.gz") if not path.name.startswith("trades"))
    if not files:
        print("no recorded candles in $ANCHORWATCH_DATA or ../shared/data", file=sys.stderr)
        return 2
    print(
        "| file | minutes | holes/missing | trades | won | net | fees | drawdown | uncovered s | alarms | s | broken limits |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    failed = False
    for path in files:
        line, broken = run(path)
        failed = failed or bool(broken)
        print(line, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
