"""``anchorwatch venue``: the options of the embedded exchange alone, read and refused in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import trio

from anchorwatch.io import standalone
from anchorwatch.io.commands.options import seed_of
from anchorwatch.io.commands.refusing import mistakes_told, print_now
from anchorwatch.io.run_options import SEED_DEFAULT
from anchorwatch.io.settings import Problem, SettingsError

PORT_MAX = 65_535


class Wanted(NamedTuple):
    """The command line, as it was typed."""

    port: int
    markets: tuple[str, ...]
    synthetic: str | None
    speed: str | None
    faults: str | None
    state: str | None
    config: str | None
    pos_mode: str | None
    tls_port: int | None
    tls_cert: str | None


def asked_for(wanted: Wanted) -> int:
    """Run the exchange until it is stopped. Raises `SettingsError` for options that cannot be."""
    problems = list(_problems(wanted))
    if problems:
        raise SettingsError(problems)
    return mistakes_told(lambda: _run(wanted), standalone.MISTAKES)


def _run(wanted: Wanted) -> int:
    options = standalone.VenueOptions(
        port=wanted.port,
        markets=tuple(Path(name) for name in wanted.markets),
        seed=SEED_DEFAULT if wanted.synthetic is None else seed_of(wanted.synthetic),
        speed=1 if wanted.speed is None else int(wanted.speed),
        faults=_path(wanted.faults),
        state=_path(wanted.state),
        config=_path(wanted.config),
        pos_mode=wanted.pos_mode,
        tls_port=wanted.tls_port,
        tls_cert=_path(wanted.tls_cert),
    )
    trio.run(standalone.run_venue, options, print_now)
    return 0


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _problems(wanted: Wanted) -> Iterator[Problem]:
    for name, value in (("--port", wanted.port), ("--tls-port", wanted.tls_port)):
        if value is not None and not 0 <= value <= PORT_MAX:
            yield Problem(name, f"{value}; allowed: 0 to {PORT_MAX}")
    if wanted.markets and wanted.synthetic is not None:
        yield Problem("--synthetic", "a --market is given; allowed: one of the two")
    elif wanted.synthetic is not None:
        try:
            seed_of(wanted.synthetic)
        except ValueError as error:
            yield Problem("--synthetic", str(error))
    if wanted.pos_mode is not None and wanted.pos_mode not in standalone.POS_MODES:
        yield Problem("--pos-mode", f"{wanted.pos_mode!r}; allowed: {', '.join(standalone.POS_MODES)}")
    speed = wanted.speed
    if speed is not None and not (
        speed.isascii() and speed.isdigit() and 1 <= int(speed[:9]) <= standalone.SPEED_MAX
    ):
        yield Problem("--speed", f"{speed!r}; allowed: a whole number from 1 to {standalone.SPEED_MAX}")
