"""The ``anchorwatch`` command: reads what it was asked, refuses what cannot be, and starts one run.

A user's mistake is one plain line each on standard error and exit code 2; a traceback is printed for defects of
ours only. The exit codes are `anchorwatch.machine.lifecycle.Exit`.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TextIO

import cyclopts
import msgspec
import trio
from cyclopts import Parameter
from rich.console import Console

from anchorwatch import __version__
from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.commands.options import run_options, seed_of
from anchorwatch.io.commands.simulation import replay, simulate
from anchorwatch.io.commands.verify import verify
from anchorwatch.io.journal import JournalError
from anchorwatch.io.live_view import AboveTheView, LiveView
from anchorwatch.io.run_options import SEED_DEFAULT, RunOptions
from anchorwatch.io.seams import elapsed_s, real_seams
from anchorwatch.io.settings import (
    LogFormat,
    LogLevel,
    Problem,
    Settings,
    SettingsError,
    effective,
    load,
    reference,
)
from anchorwatch.io.status import status_path
from anchorwatch.io.summary import Summary
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.io.venue.candle_file import BadMarketFile
from anchorwatch.machine.lifecycle import Exit

PORT_MAX = 65_535

# What a user can get wrong and a run finds out: told in one line, without a traceback.
MISTAKES = (SettingsError, BadMarketFile, JournalError)

_EXITS = {
    Exit.CLEAN: "stopped in order, nothing left open",
    Exit.BUG: "a defect of ours",
    Exit.BAD_SETTINGS: "refused before the start: settings, options or a file",
    Exit.INIT_FAILED: "the start ended in INIT",
    Exit.CLIENT_FAILED: "the start ended in CLIENT: connection, keys, account or balance",
    Exit.MODULES_FAILED: "the start ended in MODULES",
    Exit.STOP_INCOMPLETE: "stopped, but a step failed or something was left open",
    Exit.STOPPED_AT_ONCE: "a second signal cut the stop short",
}

app = cyclopts.App(
    name="anchorwatch",
    help="A trading-bot engine for OKX USDT perpetual swaps whose behaviour is explicit state machines.",
    help_epilogue="Exit codes: "
    + "; ".join(f"{exit_.value} {words}" for exit_, words in _EXITS.items())
    + ".",
    help_format="plaintext",
    version_flags=[],
    default_parameter=Parameter(negative=(), show_default=False),
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)

Config = Annotated[str | None, Parameter("--config", help="settings, a TOML file")]
VenueKind = Annotated[str | None, Parameter("--venue", help="sim, paper, demo or live")]
Markets = Annotated[
    tuple[str, ...], Parameter("--market", help="recorded 1m candles (.csv, .csv.gz); may be repeated")
]
Symbols = Annotated[tuple[str, ...], Parameter("--symbol", help="what to trade; may be repeated")]


@app.command
def run(
    *,
    venue: VenueKind = None,
    config: Config = None,
    market: Markets = (),
    from_: Annotated[
        str | None,
        Parameter("--from", allow_leading_hyphen=True, help="start of trading in the market file, UTC"),
    ] = None,
    speed: Annotated[
        str | None,
        Parameter("--speed", allow_leading_hyphen=True, help="at most so many times real time (sim)"),
    ] = None,
    for_: Annotated[
        str | None, Parameter("--for", allow_leading_hyphen=True, help="venue time to run: 90s, 15m, 12h, 2d")
    ] = None,
    seed: Annotated[
        str | None, Parameter("--seed", allow_leading_hyphen=True, help="of the synthetic market (sim)")
    ] = None,
    summary: Annotated[str | None, Parameter("--summary", help="write the run's record here, JSON")] = None,
    tape: Annotated[
        str | None, Parameter("--tape", help="record every event here, for `anchorwatch replay`")
    ] = None,
    mode: Annotated[
        str | None, Parameter("--mode", help="trade, guard (no entries) or watch (sends nothing)")
    ] = None,
    flatten: Annotated[
        bool, Parameter("--flatten", help="close every position of the bot when it stops")
    ] = False,
    clear_halt: Annotated[
        bool,
        Parameter(
            "--clear-halt", help="lift the halt that an earlier life left: its cause has been looked at"
        ),
    ] = False,
    hands_off: Annotated[
        tuple[str, ...],
        Parameter(
            "--hands-off", help="from now on, over restarts: a symbol that is watched and never changed"
        ),
    ] = (),
    hands_on: Annotated[
        tuple[str, ...], Parameter("--hands-on", help="gives a symbol of --hands-off back to the bot")
    ] = (),
    plan: Annotated[
        bool,
        Parameter(
            "--plan", help="read everything, print what a start would do with every stop level, send nothing"
        ),
    ] = False,
    log_format: Annotated[str | None, Parameter("--log-format", help="text or json")] = None,
    log_file: Annotated[str | None, Parameter("--log-file", help="log lines go here")] = None,
    confirm_live: Annotated[bool, Parameter("--confirm-live", help="trade real money (venue live)")] = False,
    symbol: Symbols = (),
) -> int:
    """Start the bot, and keep it running until it is stopped (Ctrl-C) or --for is over."""
    markets = tuple(Path(name) for name in market)
    settings = _settings(
        config, venue=venue, mode=mode, log_format=log_format, symbols=symbol, markets=markets
    )
    given = {
        "--from": from_,
        "--speed": speed,
        "--for": for_,
        "--seed": seed,
        "--summary": summary,
        "--tape": tape,
    }
    options = run_options(settings, markets=markets, given=given, confirmed=confirm_live)
    _check_hands(settings, hands_off, hands_on)
    options = msgspec.structs.replace(
        options,
        flatten=flatten,
        clear_halt=clear_halt,
        hands_off=hands_off,
        hands_on=hands_on,
        status=status_path(settings, os.environ),
    )
    if plan:
        from anchorwatch.io.commands.plan import show

        try:
            return show(settings, options)
        except MISTAKES as error:
            return _refuse([_one_line(error)])
        except BaseExceptionGroup as group:
            mistakes = [leaf for leaf in _leaves(group) if isinstance(leaf, MISTAKES)]
            if len(mistakes) < len(list(_leaves(group))):
                raise
            return _refuse([_one_line(mistake) for mistake in mistakes])
    return _run(settings, options, Path(log_file) if log_file else None).value


@app.command
def backtest(
    *data: Annotated[str, Parameter(help="recorded 1m candles (.csv, .csv.gz), one file each instrument")],
    strategy: Annotated[
        str | None, Parameter("--strategy", help="instead of the settings' strategy.name")
    ] = None,
    from_: Annotated[
        str | None, Parameter("--from", allow_leading_hyphen=True, help="start of trading, UTC")
    ] = None,
    to: Annotated[
        str | None, Parameter("--to", allow_leading_hyphen=True, help="end of trading, UTC")
    ] = None,
    config: Config = None,
    out: Annotated[str | None, Parameter("--out", help="directory for report, tables and facts")] = None,
    seed: Annotated[
        str | None, Parameter("--seed", allow_leading_hyphen=True, help="of what is invented")
    ] = None,
    one_path: Annotated[
        bool, Parameter("--one-path", help="leave out the runs on the worst and the best path in the candles")
    ] = False,
) -> int:
    """Trade recorded candles with the bot's own decisions, as fast as the machine, and say what came of it."""
    from anchorwatch.io.commands.backtest import Wanted, asked_for

    wanted = Wanted(data, strategy, from_, to, config, out, seed, one_path)
    try:
        return asked_for(wanted, os.environ, elapsed_s).value
    except BadMarketFile as error:
        return _refuse([_one_line(error)])


@app.command
def download(
    *instruments: str,
    from_: Annotated[
        str | None, Parameter("--from", allow_leading_hyphen=True, help="first candle, UTC")
    ] = None,
    to: Annotated[
        str | None, Parameter("--to", allow_leading_hyphen=True, help="end, UTC; now where not said")
    ] = None,
    out: Annotated[str, Parameter("--out", help="directory of the files")] = ".",
    timeframe: Annotated[str, Parameter("--timeframe", help="1m is what the back-test reads")] = "1m",
    rest_url: Annotated[
        str | None, Parameter("--rest-url", help="instead of OKX: anchorwatch venue, a proxy")
    ] = None,
) -> int:
    """Download closed candles of OKX swaps, without a key, for a back-test. Killed, it goes on where it was."""
    from anchorwatch.io.commands.download import Wanted, asked_for

    return asked_for(Wanted(instruments, from_, to, out, timeframe, rest_url), real_seams().wall_ms).value


@app.command
def config(*, config: Config = None, venue: VenueKind = None, market: Markets = (), symbol: Symbols = (),
           reference_: Annotated[bool, Parameter("--reference", help="print all settings as Markdown")] = False) -> int:  # fmt: skip
    """Show the settings that hold, secrets masked, and where each came from; or the reference of all of them."""
    if reference_:
        sys.stdout.write(reference())
        return 0
    markets = tuple(Path(name) for name in market)
    rows = effective(_settings(config, venue=venue, symbols=symbol, markets=markets))
    width = max(len(key) for key, _, _ in rows)
    value_width = min(max(len(value) for _, value, _ in rows), 40)
    for key, value, origin in rows:
        sys.stdout.write(f"{key:<{width}}  {value:<{value_width}}  {origin}\n")
    return 0


@app.command
def explain(*, config: Config = None, venue: VenueKind = None,
            json: Annotated[bool, Parameter("--json", help="as JSON")] = False) -> int:  # fmt: skip
    """Say why a running bot does not trade: what is missing for it and for each symbol, and what it decided last."""
    from anchorwatch.io.commands.explain import asked_for

    wanted = _settings(config, venue=venue, trades=False)
    return asked_for(wanted, os.environ, real_seams().wall_ms(), as_json=json).value


@app.command
def diagram(
    *machines: str,
    format: Annotated[
        tuple[str, ...],
        Parameter("--format", help="svg, png, mermaid, dot, scxml, json, matrix; may be repeated"),
    ] = ("svg",),
    all_: Annotated[bool, Parameter("--all", help="draw ignored and impossible rows too")] = False,
    hits: Annotated[
        tuple[str, ...],
        Parameter("--hits", help="a log of a run (--log-format json): count its moves; may be repeated"),
    ] = (),
    out: Annotated[str, Parameter("--out", help="directory to write to")] = "diagrams",
) -> int:
    """Draw the state machines from the tables that run: the named ones, or all of them.

    With --hits: one page, coverage.html, with how often each row of each table has answered.
    """
    from anchorwatch.diagrams import coverage, export

    for name in hits:
        if not Path(name).is_file():
            raise SettingsError([Problem(f"--hits {name}", "there is no such file")])
    try:
        if hits:
            sys.stdout.write(f"{coverage.write([Path(name) for name in hits], Path(out))}\n")
            return 0
        for path in export.write(machines, format, Path(out), everything=all_):
            sys.stdout.write(f"{path}\n")
    except (ValueError, LookupError) as error:
        raise SettingsError([Problem("diagram", _one_line(error))]) from None
    except OSError as error:
        raise SettingsError(
            [Problem(f"--out {out}", f"cannot be written: {error.strerror or error}")]
        ) from None
    return 0


@app.command
def venue(
    *,
    port: Annotated[
        int, Parameter("--port", help="where to listen on 127.0.0.1; 0 takes a free port")
    ] = 8765,
    market: Markets = (),
    synthetic: Annotated[str | None, Parameter("--synthetic", help="seed of a synthetic market")] = None,
    speed: Annotated[
        str | None,
        Parameter(
            "--speed",
            allow_leading_hyphen=True,
            help="recorded minutes in each minute; the clock stays the host's",
        ),
    ] = None,
    faults: Annotated[
        str | None, Parameter("--faults", help="what to do wrong and when, a TOML or JSON file")
    ] = None,
    state: Annotated[
        str | None, Parameter("--state", help="go on from this file where it exists, and keep it saved")
    ] = None,
    config: Annotated[
        str | None, Parameter("--config", help="accounts with their keys, and switches, a TOML or JSON file")
    ] = None,
    pos_mode: Annotated[
        str | None, Parameter("--pos-mode", help="net or long_short, for all accounts")
    ] = None,
    tls_port: Annotated[
        int | None,
        Parameter("--tls-port", help="listen for https and wss too, with a certificate made for it"),
    ] = None,
    tls_cert: Annotated[str | None, Parameter("--tls-cert", help="where that certificate lies")] = None,
) -> int:
    """Run the embedded exchange alone, for any client of the OKX v5 protocol."""
    from anchorwatch.io import standalone

    problems = [
        Problem(name, f"{value}; allowed: 0 to {PORT_MAX}")
        for name, value in (("--port", port), ("--tls-port", tls_port))
        if value is not None and not 0 <= value <= PORT_MAX
    ]
    if market and synthetic is not None:
        problems.append(Problem("--synthetic", "a --market is given; allowed: one of the two"))
    if pos_mode is not None and pos_mode not in standalone.POS_MODES:
        problems.append(Problem("--pos-mode", f"{pos_mode!r}; allowed: {', '.join(standalone.POS_MODES)}"))
    if speed is not None and not (
        speed.isascii() and speed.isdigit() and 1 <= int(speed[:9]) <= standalone.SPEED_MAX
    ):
        problems.append(
            Problem("--speed", f"{speed!r}; allowed: a whole number from 1 to {standalone.SPEED_MAX}")
        )
    if problems:
        raise SettingsError(problems)
    try:
        options = standalone.VenueOptions(
            port=port,
            markets=tuple(Path(name) for name in market),
            seed=seed_of(synthetic) if synthetic is not None else SEED_DEFAULT,
            speed=int(speed) if speed is not None else 1,
            faults=Path(faults) if faults else None,
            state=Path(state) if state else None,
            config=Path(config) if config else None,
            pos_mode=pos_mode,
            tls_port=tls_port,
            tls_cert=Path(tls_cert) if tls_cert else None,
        )
        trio.run(standalone.run_venue, options, _print_now)
    except (*standalone.MISTAKES, ValueError) as error:
        return _refuse([_one_line(error)])
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        if not all(isinstance(leaf, standalone.MISTAKES) for leaf in leaves):
            raise
        return _refuse([_one_line(leaf) for leaf in leaves if isinstance(leaf, Exception)])
    return 0


def _print_now(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@app.command
def demo(story: Annotated[Literal["restart"], Parameter(help="restart: the bot is killed and comes back")]) -> int:  # fmt: skip
    """Show what the bot does, on this computer alone: no account, no key, no money. Under a minute."""
    from anchorwatch.io.demo.restart import restart_demo
    from anchorwatch.io.demo.showing import Show, console

    assert story == "restart", "the one story there is"
    return trio.run(restart_demo, Show(console()), real_seams().wall_ms)


@app.command
def check(
    *,
    json: Annotated[bool, Parameter("--json", help="the results as JSON")] = False,
    thorough: Annotated[bool, Parameter("--thorough", help="every world: minutes")] = False,
    world: Annotated[tuple[str, ...], Parameter("--world", help="only this one; may be repeated")] = (),
    promela: Annotated[Path | None, Parameter("--promela", help="keep what SPIN is given here")] = None,
    paths: Annotated[Path | None, Parameter("--paths", help="only write the shortest ways here")] = None,
    edits: Annotated[int | None, Parameter("--edits", help="judge every n-th edit; 1: all")] = None,
    workers: Annotated[int | None, Parameter("--workers", help="processes")] = None,
) -> int:
    """Explore the machines and their router exhaustively, with a venue that fails, and say which properties hold."""
    from anchorwatch.io.commands.check import Wanted
    from anchorwatch.io.commands.check import check as explore

    wanted = Wanted(json, thorough, world, promela, paths, edits, workers)
    return explore(_print_now, wanted)


@app.command
def version() -> int:
    """Print the version."""
    sys.stdout.write(f"anchorwatch {__version__}\n")
    return 0


app.command(verify)
app.command(simulate)
app.command(replay)


def command(argv: Sequence[str]) -> int:
    """Do what the command line asks for and return the exit code. Raises no error for a user's mistake."""
    try:
        code: int | None = app(list(argv))
    except cyclopts.CycloptsError as error:
        return _refuse([_one_line(error)])
    except SettingsError as error:
        return _refuse([str(problem) for problem in error.problems])
    except KeyboardInterrupt:
        return Exit.STOPPED_AT_ONCE.value
    return code or 0


def main() -> NoReturn:
    """The entry point: ends the process with the exit code."""
    code = Exit.CLEAN.value
    try:
        code = command(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has seen enough; without this the interpreter would complain on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _refuse(lines: Sequence[str]) -> int:
    for line in lines:
        sys.stderr.write(f"anchorwatch: {line}\n")
    return Exit.BAD_SETTINGS.value


def _one_line(error: Exception) -> str:
    return " ".join(str(error.args[0] if isinstance(error, LookupError) and error.args else error).split())


def _settings(
    config: str | None,
    *,
    venue: str | None = None,
    mode: str | None = None,
    log_format: str | None = None,
    symbols: Sequence[str] = (),
    markets: Sequence[Path] = (),
    trades: bool = True,
) -> Settings:
    options: dict[str, Any] = {
        "venue.kind": venue,
        "account.mode": mode,
        "log.format": log_format,
        "symbols": list(symbols) or None,
    }
    return load(
        file=Path(config) if config else None,
        environ=os.environ,
        options={key: value for key, value in options.items() if value is not None},
        markets=markets,
        trades=trades,
    )


def _check_hands(settings: Settings, off: Sequence[str], on: Sequence[str]) -> None:
    allowed = ", ".join(settings.symbols)
    problems = [
        Problem(f"{name} {symbol}", f"is not among symbols; allowed: {allowed}")
        for name, symbols in (("--hands-off", off), ("--hands-on", on))
        for symbol in symbols
        if symbol not in settings.symbols
    ]
    problems += [
        Problem(f"--hands-on {symbol}", "is given with --hands-off too") for symbol in on if symbol in off
    ]
    if problems:
        raise SettingsError(problems)


def _run(settings: Settings, options: RunOptions, log_file: Path | None) -> Exit:
    """One run, from settings to exit code, with its log, its view and its record."""
    wall_ms = real_seams().wall_ms
    with ExitStack() as stack:
        target: Any = _log_target(log_file, stack)
        view, level = None, settings.log.level
        if sys.stdout.isatty() and settings.log.format is LogFormat.TEXT:
            console = Console(file=sys.stdout)
            view = LiveView(console, lambda: wall_ms() / 1000, f"anchorwatch {settings.venue.kind.value}")
            if log_file is None:
                # The view shows the transitions; above it stand only the lines that want a person.
                target = AboveTheView(console)
                level = LogLevel.WARNING
        telemetry = Telemetry(
            target,
            now_ms=wall_ms,
            format=settings.log.format,
            level=level,
            secrets=settings.secrets(),
            live_view=view,
        )
        if view is not None:
            stack.enter_context(view)
        exit_ = _lived(settings, options, telemetry)
    _report(settings, options, telemetry.summary)
    return exit_


def _log_target(log_file: Path | None, stack: ExitStack) -> TextIO:
    if log_file is None:
        return sys.stdout
    try:
        return stack.enter_context(log_file.open("a", encoding="utf-8", buffering=1))
    except OSError as error:
        problem = Problem(f"--log-file {log_file}", f"cannot be written: {error.strerror or error}")
        raise SettingsError([problem]) from None


def _lived(settings: Settings, options: RunOptions, telemetry: Telemetry) -> Exit:
    """Run the bot to its end, whatever the end is, and record it."""
    from anchorwatch.io.engine import run_bot

    clock = PacedClock(options.speed) if options.speed is not None else None
    try:
        exit_: Exit = trio.run(run_bot, settings, options, telemetry, clock=clock)
    except BaseException as error:
        exit_ = _cause_of(error, telemetry)
    telemetry.end()
    summary = telemetry.summary
    summary.exit_code = exit_.value
    if not summary.speed_reached:
        summary.speed_reached = 1.0 if clock is None else clock.speed_reached()
    if settings.log.format is LogFormat.JSON:
        telemetry.say("summary", **summary.as_dict())
    return exit_


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _cause_of(error: BaseException, telemetry: Telemetry) -> Exit:
    """What an exception out of the run means; it is told on standard error."""
    leaves = list(_leaves(error))
    if all(isinstance(leaf, MISTAKES) for leaf in leaves):
        lines = [line for leaf in leaves for line in str(leaf).splitlines()]
        _refuse([telemetry.redaction.text(line) for line in lines])
        return Exit.BAD_SETTINGS
    if all(isinstance(leaf, (KeyboardInterrupt, *MISTAKES)) for leaf in leaves):
        sys.stderr.write("anchorwatch: interrupted before the stop could run in order\n")
        return Exit.STOPPED_AT_ONCE
    text = "".join(traceback.format_exception(error))
    sys.stderr.write(telemetry.redaction.text(f"anchorwatch: a defect of ours ended the run\n{text}"))
    return Exit.BUG


def _report(settings: Settings, options: RunOptions, summary: Summary) -> None:
    if settings.log.format is LogFormat.TEXT and summary.exit_code != Exit.BAD_SETTINGS.value:
        with suppress(BrokenPipeError):
            sys.stdout.write("\n".join(["", *summary.lines(), ""]))
    if options.summary is not None:
        try:
            summary.write(options.summary)
        except OSError as error:
            sys.stderr.write(f"anchorwatch: --summary {options.summary}: {error.strerror or error}\n")
