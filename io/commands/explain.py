"""``anchorwatch explain``: why a running bot does not trade, and what it decided last, in its own words."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from anchorwatch.io.durations import age_words, clock_words, day_words
from anchorwatch.io.file_lock import holder
from anchorwatch.io.settings import Problem, Settings, SettingsError
from anchorwatch.io.status import NOWHERE, Status, SymbolStatus, UnreadableStatus, read_status, status_path
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.readiness import Missing
from anchorwatch.machine.strategy import Became, Considered

NOBODY = Exit.BAD_SETTINGS
"""There is nothing to explain: the exit code of whatever could not be begun."""


def asked_for(settings: Settings, environ: Mapping[str, str], wall_ms: int, *, as_json: bool) -> Exit:
    """Print what the bot of these settings says of itself. Raises `SettingsError` for what the user can mend."""
    path = status_path(settings, environ)
    kind = settings.venue.kind.value
    if path is None:
        allowed = "allowed: a file that the running bot's settings name too"
        given = NOWHERE if settings.status.path else "no home directory is known"
        raise SettingsError([Problem("status.path", f"{given}; {allowed}")])
    try:
        process = _holder(path)
        status = read_status(path)
    except UnreadableStatus as error:
        raise SettingsError([Problem("status.path", str(error))]) from None
    if process is None or status is None:
        sys.stderr.write(f"anchorwatch: no bot is running on {kind}{_last_word(status, path, wall_ms)}\n")
        return NOBODY
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n")
    else:
        sys.stdout.write("\n".join(lines_of(status, wall_ms)) + "\n")
    return Exit.CLEAN


def _holder(path: Path) -> str | None:
    try:
        return holder(path)
    except OSError as error:
        raise UnreadableStatus(f"{path}: cannot be read: {error.strerror or error}") from None


def _last_word(status: Status | None, path: Path, wall_ms: int) -> str:
    if status is None:
        return f": none ever wrote {path}"
    age = age_words(wall_ms - status.written_at_ms)
    return f"; the last one (process {status.process}) wrote {age} ago that it was {status.stage.upper()}"


def lines_of(status: Status, wall_ms: int) -> Iterator[str]:
    """The status for a person: the bot first, then each symbol."""
    entries = f"entries {status.permission}" + (f" ({status.why})" if status.why else "")
    yield f"anchorwatch on {status.venue}: {status.stage.upper()}, mode {status.conduct}, {entries}"
    age_s = max(0, wall_ms - status.written_at_ms) / 1000
    at = f"{day_words(status.at_ms)} {clock_words(status.at_ms)[:8]} UTC"
    yield f"at {at} by the exchange; written {age_s:.0f} s ago by process {status.process}"
    yield ""
    yield from _missing("the bot", status.missing)
    for position in status.positions:
        stop = f"stop {position.stop:f}" if position.stop is not None else "no stop is known"
        yield f"holds {position.leg} {position.contracts:f}, {stop}, {position.protection}"
    for symbol in status.symbols:
        yield ""
        yield from _of_symbol(symbol)


def _of_symbol(symbol: SymbolStatus) -> Iterator[str]:
    regime = f" ({symbol.regime})" if symbol.regime is not None else ""
    yield from _missing(f"{symbol.instrument}{regime}", symbol.missing)
    if not symbol.decided:
        yield "  nothing was decided yet"
    for one in reversed(symbol.decided):
        yield f"  {clock_words(one.at_ms)[:5]}  {_decision(one)}"


def _missing(whose: str, missing: Sequence[Missing]) -> Iterator[str]:
    yield f"{whose}: nothing is missing" if not missing else f"{whose} waits for"
    for one in missing:
        yield f"  {one.fact}: {one.words}" if one.words else f"  {one.fact}"


def _decision(one: Considered) -> str:
    made = one.decision
    fired = ", ".join(f"{signal.signal} {signal.side.value} {signal.strength:.2f}" for signal in made.fired)
    wished = f"{made.intent.wish.value} {made.intent.side.value}" if made.intent is not None else ""
    match one.became:
        case Became.NOTHING:
            words = made.because or "no wish"
        case Became.REFUSED:
            words = f"{fired}; refused: {made.because}"
        case Became.DENIED:
            words = f"{fired or made.because}; {wished} denied: {'; '.join(one.denied)}"
        case Became.ENTRY | Became.EXIT:
            words = f"{fired or made.because}; {wished}"
    return " ".join(words.split())
