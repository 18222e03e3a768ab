"""``anchorwatch replay TAPE``: a recorded life, decided again."""

from __future__ import annotations

import sys
from pathlib import Path

from anchorwatch.io.durations import clock_words, day_words
from anchorwatch.io.replaying import Difference, replay
from anchorwatch.io.settings import Problem, SettingsError
from anchorwatch.io.tape import BadTape

# Of the words of a difference: more are not read.
WORDS_SHOWN = 30


def run(tape: str) -> int:
    """Replay and tell; the exit code is 1 at a difference. Raises SettingsError for what is no tape."""
    try:
        done = replay(Path(tape))
    except BadTape as error:
        raise SettingsError([Problem("replay", str(error))]) from None
    if done.difference is not None:
        sys.stdout.write(_words(done.difference))
        return 1
    sys.stdout.write(
        f"{done.events} events, {done.moves} transitions, {done.effects} effects: all as recorded\ndigest {done.digest}\n"
    )
    return 0


def _words(found: Difference) -> str:
    lines = [
        f"event {found.number}, {found.event} at {day_words(found.at_ms)} {clock_words(found.at_ms)}: answered otherwise",
        "  expected:",
        *(f"    {one}" for one in found.expected[:WORDS_SHOWN]),
        "  got:",
        *(f"    {one}" for one in found.got[:WORDS_SHOWN]),
    ]
    return "\n".join(lines) + "\n"
