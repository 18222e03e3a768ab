"""The ``anchorwatch`` command: reads what it was asked, refuses what cannot be, and starts one run.

A user's mistake is one plain line each on standard error and exit code 2; a traceback is printed for defects of
ours only. The exit codes are `anchorwatch.machine.lifecycle.Exit`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import cyclopts
import msgspec
import trio
from cyclopts import Parameter

from anchorwatch import __version__
from anchorwatch.io.commands.options import check_hands, run_options
from anchorwatch.io.commands.refusing import lines_of, mistakes_told, one_line, print_now, refuse
from anchorwatch.io.commands.running import lived
from anchorwatch.io.commands.simulation import replay, simulate
from anchorwatch.io.commands.verify import verify
from anchorwatch.io.seams import elapsed_s, real_seams
from anchorwatch.io.settings import (
    Problem,
    Settings,
    SettingsError,
    effective,
    load,
    reference,
)
from anchorwatch.io.status import status_path
from anchorwatch.machine.lifecycle import Exit

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
    check_hands(settings, hands_off, hands_on)
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

        return mistakes_told(lambda: show(settings, options))
    return lived(settings, options, Path(log_file) if log_file else None).value


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
    every_candle: Annotated[
        bool,
        Parameter("--every-candle", help="ask the strategy at every candle, and hold its foresee to that"),
    ] = False,
) -> int:
    """Trade recorded candles with the bot's own decisions, as fast as the machine, and say what came of it."""
    from anchorwatch.io.commands.backtest import Wanted, asked_for

    wanted = Wanted(data, strategy, from_, to, config, out, seed, one_path, every_candle)
    return mistakes_told(lambda: asked_for(wanted, os.environ, elapsed_s).value)


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
    format: Annotated[
        str | None, Parameter("--format", help="parquet (the extra of this name) or csv.gz")
    ] = None,
) -> int:
    """Download closed candles of OKX swaps, without a key, for a back-test. Killed, it goes on where it was."""
    from anchorwatch.io.commands.download import Wanted, asked_for

    wanted = Wanted(instruments, from_, to, out, timeframe, rest_url, format)
    return asked_for(wanted, real_seams().wall_ms).value


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
        raise SettingsError([Problem("diagram", one_line(error))]) from None
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
    from anchorwatch.io.commands.exchange import Wanted, asked_for

    return asked_for(
        Wanted(port, market, synthetic, speed, faults, state, config, pos_mode, tls_port, tls_cert)
    )


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
    judged: Annotated[Path | None, Parameter("--judged", help="keep the judgements of --edits here")] = None,
) -> int:
    """Explore the machines and their router exhaustively, with a venue that fails, and say which properties hold."""
    from anchorwatch.io.commands.check import Wanted
    from anchorwatch.io.commands.check import check as explore

    wanted = Wanted(json, thorough, world, promela, paths, edits, workers, judged)
    return explore(print_now, wanted)


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
        return refuse([one_line(error)])
    except SettingsError as error:
        return refuse(lines_of(error))
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
