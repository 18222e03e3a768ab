"""How a user's mistake is told: one plain line each on standard error, and the exit code that says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from anchorwatch.io.journal import JournalError
from anchorwatch.io.settings import SettingsError
from anchorwatch.io.venue.candle_file import BadMarketFile
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.strategy.asking import StrategyFailed

# What a user can get wrong and a run finds out: told in one line, without a traceback.
MISTAKES: tuple[type[Exception], ...] = (SettingsError, BadMarketFile, JournalError, StrategyFailed)


def refuse(lines: Sequence[str]) -> int:
    for line in lines:
        sys.stderr.write(f"anchorwatch: {line}\n")
    return Exit.BAD_SETTINGS.value


def one_line(error: Exception) -> str:
    return " ".join(str(error.args[0] if isinstance(error, LookupError) and error.args else error).split())


def lines_of(error: Exception) -> list[str]:
    """A mistake in its lines: one for each problem of the settings."""
    return [str(one) for one in error.problems] if isinstance(error, SettingsError) else [one_line(error)]


def print_now(text: str) -> None:
    """Print a line that somebody waits for, even into a pipe."""
    sys.stdout.write(text)
    sys.stdout.flush()


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves_of(inner)
    else:
        yield error


def mistakes_told(do: Callable[[], int], mistakes: tuple[type[Exception], ...] = MISTAKES) -> int:
    """What ``do`` returns; or, where nothing but mistakes of the user came out of it, they told and `Exit.BAD_SETTINGS`."""
    try:
        return do()
    except mistakes as error:
        return refuse(lines_of(error))
    except BaseExceptionGroup as group:
        leaves = [leaf for leaf in leaves_of(group) if isinstance(leaf, mistakes)]
        if len(leaves) < len(list(leaves_of(group))):
            raise
        return refuse([line for leaf in leaves for line in lines_of(leaf)])
