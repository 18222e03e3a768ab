"""``anchorwatch run``, once its options are read: one life from settings to exit code, with its log, view and record."""

from __future__ import annotations

import sys
import traceback
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TextIO

import trio
from rich.console import Console

from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.commands.refusing import MISTAKES, leaves_of, refuse
from anchorwatch.io.live_view import AboveTheView, LiveView
from anchorwatch.io.run_options import RunOptions
from anchorwatch.io.seams import real_seams
from anchorwatch.io.settings import LogFormat, LogLevel, Problem, Settings, SettingsError
from anchorwatch.io.summary import Summary
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.machine.lifecycle import Exit


def lived(settings: Settings, options: RunOptions, log_file: Path | None) -> Exit:
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
        exit_ = _to_its_end(settings, options, telemetry)
    _told(settings, options, telemetry.summary)
    return exit_


def _log_target(log_file: Path | None, stack: ExitStack) -> TextIO:
    if log_file is None:
        return sys.stdout
    try:
        return stack.enter_context(log_file.open("a", encoding="utf-8", buffering=1))
    except OSError as error:
        problem = Problem(f"--log-file {log_file}", f"cannot be written: {error.strerror or error}")
        raise SettingsError([problem]) from None


def _to_its_end(settings: Settings, options: RunOptions, telemetry: Telemetry) -> Exit:
    """Run the bot to its end, whatever the end is, and record it."""
    from anchorwatch.io.engine import run_bot

    clock = PacedClock(options.speed) if options.speed is not None else None
    try:
        exit_: Exit = trio.run(run_bot, settings, options, telemetry, clock=clock)
    except BaseException as error:
        exit_ = cause_of(error, telemetry)
    telemetry.end()
    summary = telemetry.summary
    summary.exit_code = exit_.value
    if not summary.speed_reached:
        summary.speed_reached = 1.0 if clock is None else clock.speed_reached()
    if settings.log.format is LogFormat.JSON:
        telemetry.say("summary", **summary.as_dict())
    return exit_


def cause_of(error: BaseException, telemetry: Telemetry) -> Exit:
    """What an exception out of the run means; it is told on standard error."""
    leaves = list(leaves_of(error))
    if all(isinstance(leaf, MISTAKES) for leaf in leaves):
        lines = [line for leaf in leaves for line in str(leaf).splitlines()]
        refuse([telemetry.redaction.text(line) for line in lines])
        return Exit.BAD_SETTINGS
    if all(isinstance(leaf, (KeyboardInterrupt, *MISTAKES)) for leaf in leaves):
        sys.stderr.write("anchorwatch: interrupted before the stop could run in order\n")
        return Exit.STOPPED_AT_ONCE
    text = "".join(traceback.format_exception(error))
    sys.stderr.write(telemetry.redaction.text(f"anchorwatch: a defect of ours ended the run\n{text}"))
    return Exit.BUG


def _told(settings: Settings, options: RunOptions, summary: Summary) -> None:
    if settings.log.format is LogFormat.TEXT and summary.exit_code != Exit.BAD_SETTINGS.value:
        with suppress(BrokenPipeError):
            sys.stdout.write("\n".join(["", *summary.lines(), ""]))
    if options.summary is not None:
        try:
            summary.write(options.summary)
        except OSError as error:
            sys.stderr.write(f"anchorwatch: --summary {options.summary}: {error.strerror or error}\n")
