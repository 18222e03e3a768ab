"""The options that several commands share, read from their text and refused in words."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchorwatch.io.durations import duration_s, moment_ms
from anchorwatch.io.okx.environments import Environment
from anchorwatch.io.run_options import SEED_DEFAULT, SEED_MAX, RunOptions
from anchorwatch.io.settings import Problem, Settings, SettingsError

# Beyond this no machine follows; a larger number is a slip of the keyboard.
SPEED_MAX = 1_000_000


def run_options(
    settings: Settings, *, markets: tuple[Path, ...], given: dict[str, str | None], confirmed: bool
) -> RunOptions:
    """What the run's own options say. Raises SettingsError with every problem that was found."""
    problems: list[Problem] = []

    def read(name: str, parse: Any, otherwise: Any = None) -> Any:
        text = given.get(name)
        if text is None:
            return otherwise
        try:
            return parse(text)
        except ValueError as error:
            problems.append(Problem(name, str(error)))
            return otherwise

    options = RunOptions(
        markets=markets,
        from_ms=read("--from", moment_ms),
        speed=read("--speed", _speed),
        for_s=read("--for", duration_s),
        seed=read("--seed", seed_of, SEED_DEFAULT),
        summary=read("--summary", output_file),
        tape=read("--tape", output_file),
    )
    kind = settings.venue.kind
    if kind is not Environment.SIM:
        problems += [
            Problem(name, f"venue {kind.value} runs in real time; allowed: sim only")
            for name in ("--from", "--speed")
            if given.get(name) is not None
        ]
    if kind not in (Environment.SIM, Environment.PAPER) and given.get("--seed") is not None:
        problems.append(
            Problem("--seed", f"venue {kind.value} has a market of its own; allowed: sim and paper")
        )
    if kind is Environment.LIVE and not confirmed:
        problems.append(Problem("--venue live", "trades real money; say --confirm-live if that is meant"))
    for market in markets:
        if not market.is_file():
            what = "is not a file" if market.exists() else "there is no such file"
            problems.append(Problem(f"--market {market}", what))
    if problems:
        raise SettingsError(problems)
    return options


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed <= SPEED_MAX:
        raise ValueError(f"{text!r}; allowed: a number above 0, at most {SPEED_MAX}, such as 600")
    return speed


def seed_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= SEED_MAX):
        raise ValueError(f"{text!r}; allowed: a whole number from 0 to {SEED_MAX}")
    return int(text)


def output_file(text: str) -> Path:
    """A path that can be written, found out before the run rather than after it."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"{text!r} cannot be written; allowed: a file in a directory that exists")
    return path


def check_hands(settings: Settings, off: Sequence[str], on: Sequence[str]) -> None:
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
