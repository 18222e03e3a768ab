"""``python -m tests.backtest.every_file``: the default strategy on every recorded file, held against its limits.

Each file is traded a second time with limits of loss that a few losses reach. It prints a line for each file and ends
with exit code 1 when a limit was broken. What came of the trades is nobody's claim: the figures say what the bot did.
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
from tests.backtest.limits_kept import violations
from tests.backtest.rig import DATA

TIGHT: dict[str, object] = {"limits.daily_loss": Decimal("0.0006"), "limits.drawdown": Decimal("0.001")}
"""Of 10,000 USDT a day may lose 6, and all days 10: few losses of 150 USD positions. Entries must halt, and stay shut."""


def backtest(path: Path, options: dict[str, object]) -> tuple[Backtest, Settings, Exit]:
    """The default strategy on this file, to its end."""
    settings = load(file=None, environ={}, options=options, markets=(path,))
    series = read_files([path])
    start_ms = default_start_ms(settings, dict(series))
    end_ms = min(one.end_ms for one in series.values())
    test = Backtest(settings, series, start_ms, end_ms, seed=1)
    return test, settings, test.run()


def run(path: Path) -> tuple[str, list[str]]:
    began_s = elapsed_s()
    test, settings, exit_ = backtest(path, {})
    seconds = elapsed_s() - began_s
    broken = violations(test, settings, exit_)
    tight, strict, its_exit = backtest(path, TIGHT)
    broken += [f"with tight limits of loss: {one}" for one in violations(tight, strict, its_exit)]
    halts = tight.record.counts.get("LOSS_LIMIT", 0)
    if halts > 1:
        broken.append(f"with tight limits of loss: {halts} halts of one life")
    summary = summary_of(test, curve_of(test))
    (series,) = read_files([path]).values()
    facts = facts_of(path, series)
    halted = f"after {summary_of(tight, curve_of(tight)).trades} trades" if halts else "–"
    line = (
        f"| {path.name.removesuffix('.csv.gz')} | {summary.minutes} | {len(facts.holes)}/{facts.missing_minutes} "
        f"| {summary.trades} | {summary.won} | {summary.net:.2f} | {summary.fees:.2f} | {summary.largest_drawdown:.2f} "
        f"| {summary.uncovered_longest_s:.2f} | {summary.alarms} | {seconds:.1f} | {halted} | {'; '.join(broken) or 'none'} |"
    )
    return line, broken


def main() -> int:
    files = sorted(path for path in (DATA / "candles").glob("*.csv.gz") if not path.name.startswith("trades"))
    if not files:
        print("no recorded candles in $ANCHORWATCH_DATA or ../shared/data", file=sys.stderr)
        return 2
    print(
        "| file | minutes | holes/missing | trades | won | net | fees | drawdown | uncovered s | alarms | s | halted when tight | broken limits |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    failed = False
    for path in files:
        line, broken = run(path)
        failed = failed or bool(broken)
        print(line, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
