"""``anchorwatch backtest``: from the command line to the files of a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from anchorwatch.io.backtest.data import cut, facts_of, holes_between, minute, read_files
from anchorwatch.io.backtest.flips import Flips, compare, worst_of_each
from anchorwatch.io.backtest.journal import FactsFile
from anchorwatch.io.backtest.options import BacktestOptions
from anchorwatch.io.backtest.outcome import Summary, curve_of, summary_of, write_result, write_tables
from anchorwatch.io.backtest.report import write_report
from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.backtest.tape import Path as PathTold
from anchorwatch.io.commands.options import run_options
from anchorwatch.io.embedded import default_start_ms
from anchorwatch.io.settings import Problem, Settings, SettingsError, effective, load
from anchorwatch.io.settings.backtest import Holes
from anchorwatch.io.settings.strategies import BUILT_IN
from anchorwatch.io.settings.tuning import parameters
from anchorwatch.io.venue.candle_file import BadMarketFile, CandleSeries
from anchorwatch.io.venue.feeds import Feed
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.strategy.asking import stood_at
from anchorwatch.machine.strategy.series import Foretelling

TRIED_MS = 86_400_000
"""A strategy's foresight is tried on the first day: it costs a second, and most mistakes show on any day."""

ALARMS_SAID = 3
"""Of what wanted a person's eye, such as a market that never became ready; the report has them all."""

HOLES_SAID = 5
"""Holes that the terminal names one by one; the result's files have them all."""


class Wanted(msgspec.Struct, frozen=True):
    """What the command line says, as text."""

    data: tuple[str, ...]
    strategy: str | None
    from_: str | None
    to: str | None
    config: str | None
    out: str | None
    seed: str | None
    has_one_path: bool
    asks_always: bool


def asked_for(wanted: Wanted, environ: Mapping[str, str], elapsed_s: Callable[[], float]) -> Exit:
    """Read what was asked for, and do it. Raises `SettingsError` and `BadMarketFile`, and `StrategyFailed`."""
    files = tuple(Path(name) for name in wanted.data)
    if not files:
        raise SettingsError(
            [Problem("DATA", "no file is given; allowed: one or more, such as BTCUSDT_1m.csv.gz")]
        )
    options = {"venue.kind": "sim"}
    if wanted.strategy is not None:
        options["strategy.name"] = wanted.strategy
    settings = load(
        file=Path(wanted.config) if wanted.config else None, environ=environ, options=options, markets=files
    )
    given = {"--from": wanted.from_, "--seed": wanted.seed}
    asked = run_options(settings, markets=files, given=given, confirmed=False)
    bound = run_options(settings, markets=files, given={"--from": wanted.to}, confirmed=False)
    out = Path(wanted.out) if wanted.out else None
    chosen = BacktestOptions(
        files, asked.from_ms, bound.from_ms, out, asked.seed, wanted.has_one_path, wanted.asks_always
    )
    try:
        return backtest(settings, chosen, elapsed_s)
    except KeyboardInterrupt as stopped:
        _tell_where_it_stood(settings, stopped)
        raise


def _tell_where_it_stood(settings: Settings, stopped: KeyboardInterrupt) -> None:
    """A back-test waits for its strategy: where it never comes back, this is what its author wants to know."""
    for _, trading in parameters(settings).instruments:
        place = stood_at(trading.strategy, stopped.__traceback__)
        if place is not None and type(trading.strategy) not in BUILT_IN.values():
            name = type(trading.strategy).__name__
            sys.stderr.write(f"anchorwatch: interrupted; the strategy {name} stood at {place}\n")
            return


def backtest(settings: Settings, options: BacktestOptions, elapsed_s: Callable[[], float]) -> Exit:
    """Run it and write what it found. Raises `SettingsError`, `BadMarketFile` and `StrategyFailed`: what the user can mend."""
    out = options.out
    if out is not None:
        _make(out)
    console = Console(file=sys.stdout, soft_wrap=True, highlight=False)
    series = {name: cut(one, options.to_ms) for name, one in read_files(options.files).items()}
    start_ms, end_ms = _bounds(settings, options, series)
    paths = dict(zip(series, options.files, strict=True))
    data = {name: facts_of(paths[name], one) for name, one in series.items()}
    _tell_holes(console, settings, series, start_ms, end_ms)
    with ExitStack() as stack:
        journal = stack.enter_context(FactsFile(out / "facts.jsonl" if out is not None else None))
        if not options.asks_always and _has_untried_foresight(settings):
            end_of_trial_ms = min(end_ms, start_ms + TRIED_MS)
            Backtest(settings, series, start_ms, end_of_trial_ms, seed=options.seed, asks_always=True).run()
        run = Backtest(
            settings,
            series,
            start_ms,
            end_ms,
            seed=options.seed,
            asks_always=options.asks_always,
            journal=journal.record,
        )
        began_s = elapsed_s()
        exit_ = _with_progress(console, run)
        seconds = elapsed_s() - began_s
    curve = curve_of(run)
    summary = summary_of(run, curve)
    _tell(console, summary, seconds)
    for words in [words for words in run.record.said if " alarm " in words][:ALARMS_SAID]:
        console.print(words)
    if out is not None:
        flips, worst = _other_paths(console, settings, series, run, options)
        for one in flips:
            console.print(_words_of(one))
        shown = effective(settings)
        write_tables(out, run, curve)
        write_result(out, summary, data, shown, run, {"paths": flips, "worst_of_each": worst})
        page = write_report(out, run, summary, curve, list(data.values()), shown, flips, worst)
        console.print(f"written: {page}, result.json, trades.csv, equity.csv, facts.jsonl")
    return exit_


def _has_untried_foresight(settings: Settings) -> bool:
    """Whether somebody's own strategy foretells: tests hold those of the program to what they answer."""
    own = [trading.strategy for _, trading in parameters(settings).instruments]
    return any(isinstance(one, Foretelling) and type(one) not in BUILT_IN.values() for one in own)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            [Problem(f"--out {out}", f"cannot be written: {error.strerror or error}")]
        ) from None
    if not os.access(out, os.W_OK):
        raise SettingsError([Problem(f"--out {out}", "cannot be written; allowed: a directory of yours")])


def _bounds(settings: Settings, options: BacktestOptions, series: dict[str, CandleSeries]) -> tuple[int, int]:
    """The first minute that is traded and the end of the last. Raises `BadMarketFile` when they hold nothing."""
    feeds: dict[str, Feed] = dict(series)
    start_ms = options.from_ms if options.from_ms is not None else default_start_ms(settings, feeds)
    start_ms -= start_ms % 60_000
    end_ms = min(one.end_ms for one in series.values())
    for path, one in zip(options.files, series.values(), strict=True):
        if not one.first_ms < start_ms < one.end_ms:
            raise BadMarketFile(
                f"{path}: nothing to trade from {minute(start_ms)} on; the file (up to --to) holds "
                f"{minute(one.first_ms)} to {minute(one.end_ms)}, and needs history before the start"
            )
    return start_ms, end_ms


def _tell_holes(
    console: Console, settings: Settings, series: dict[str, CandleSeries], start_ms: int, end_ms: int
) -> None:
    holes = holes_between(series, min(one.first_ms for one in series.values()), end_ms)
    if not holes:
        return
    missing = sum(gap.minutes for _, gap in holes)
    shown = ", ".join(
        f"{name} {minute(gap.first_ms)} ({gap.minutes} min)" for name, gap in holes[:HOLES_SAID]
    )
    more = f" and {len(holes) - HOLES_SAID} more" if len(holes) > HOLES_SAID else ""
    if settings.backtest.holes is Holes.REFUSE:
        raise BadMarketFile(
            f"{len(holes)} holes, {missing} minutes missing: {shown}{more}; backtest.holes is refuse"
        )
    console.print(f"holes: {len(holes)}, {missing} minutes missing: {shown}{more}; entries sit them out")


def _other_paths(
    console: Console,
    settings: Settings,
    series: dict[str, CandleSeries],
    run: Backtest,
    options: BacktestOptions,
) -> tuple[list[Flips], float | None]:
    """The same run with every candle's path told against what is open, and in its favour."""
    paths: tuple[PathTold, ...] = () if options.has_one_path else ("adverse", "favourable")
    flips, others = [], []
    for path in paths:
        other = Backtest(settings, series, run.start_ms, run.end_ms, seed=options.seed, path=path)
        _with_progress(console, other, f"{path} extreme first")
        flips.append(compare(run.record.trades, other.record.trades, path))
        others.append(other.record.trades)
    return flips, worst_of_each(run.record.trades, *others) if others else None


def _words_of(flips: Flips) -> str:
    return (
        f"{flips.path} extreme first inside the candles: net {flips.net:.2f} USDT; of {flips.found_again} trades found again "
        f"{flips.turned} turned (won or lost) and {flips.other_cause} were left for another reason"
    )


def _with_progress(console: Console, run: Backtest, what: str = "back-test") -> Exit:
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=run.end_ms - run.start_ms)
        return run.run(lambda at_ms: progress.update(task, completed=at_ms - run.start_ms))


def _tell(console: Console, summary: Summary, seconds: float) -> None:
    speed = summary.minutes / seconds if seconds > 0 else 0.0
    console.print(
        f"{summary.strategy}: {summary.begin} to {summary.end}, {summary.minutes} minutes "
        f"in {seconds:.1f} s ({speed:,.0f} a second)"
    )
    console.print(
        f"trades {summary.trades} (won {summary.won}, lost {summary.lost}, open at the end {summary.still_open}); "
        f"net {summary.net:.2f} USDT = gross {summary.gross:.2f} - fees {summary.fees:.2f} "
        f"{'+' if summary.funding >= 0 else '-'} funding {abs(summary.funding):.2f}; "
        f"largest drawdown {summary.largest_drawdown:.2f} USDT"
    )
