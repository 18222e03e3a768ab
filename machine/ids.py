"""Client ids: who made an order, and which one it is, in at most 32 alphanumerics.

``aw`` + generation (8) + role (1) + sequence (base 36, 7) — the generation is random
and made once per journal, so a lost disk cannot repeat an id, and an order with our
prefix and another generation is recognised as an earlier life's or a twin's.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from anchorwatch.machine.units import Word

PREFIX = "aw"
GENERATION_LENGTH = 8
SEQUENCE_LENGTH = 7  # 36**7 orders: more than a lifetime at the venue's rate limit
TAG_ENTRY = "awentry"  # the scope of the dead man's switch: entries, never stops
TAG_EXIT = "awexit"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Made(Word):
    """What the id was made for."""

    ENTRY = "e"
    CLOSE = "c"
    STOP = "s"
    ATTACHED = "a"  # the stop that travels with an entry


_MADE = {made.value: made for made in Made}
_ROLE_AT = len(PREFIX) + GENERATION_LENGTH
_LENGTH = _ROLE_AT + 1 + SEQUENCE_LENGTH


class ClientId(msgspec.Struct, frozen=True):
    generation: str
    made_for: Made
    seq: int

    def __str__(self) -> str:
        return f"{PREFIX}{self.generation}{self.made_for.value}{_base36(self.seq)}"


ASKED_ABOUT = 1_024
"""Ids whose kind is remembered: every report of an order or a stop asks, and a few dozen of them live at a time."""


@lru_cache(maxsize=ASKED_ABOUT)
def is_ours(text: str) -> bool:
    """Whether an id of ours is written so, of whichever life."""
    return (
        len(text) == _LENGTH
        and text.startswith(PREFIX)
        and text[_ROLE_AT] in _MADE
        and not text[_ROLE_AT + 1 :].strip(_DIGITS)
    )


def parse(text: str) -> ClientId | None:
    """The parts of an id of ours; None for anything else."""
    if not is_ours(text):
        return None
    return ClientId(text[len(PREFIX) : _ROLE_AT], _MADE[text[_ROLE_AT]], int(text[_ROLE_AT + 1 :], 36))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    assert len(digits) <= SEQUENCE_LENGTH, "out of sequences"
    return digits.rjust(SEQUENCE_LENGTH, "0")
