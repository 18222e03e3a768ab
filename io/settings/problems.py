"""What is wrong with settings, in lines for the user."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import msgspec

# A quoted value is there to be recognised, not to be read whole.
SHOWN_MAX_CHARS = 60


class Problem(msgspec.Struct, frozen=True):
    """One setting, and what is wrong with it; the text quotes the value and says what is allowed."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


class SettingsError(Exception):
    """Settings that the bot refuses to start with: every problem that was found, one line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def shown(value: Any) -> str:
    """A value as the user would write it in the file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < 20 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        text = f'"{_without_password(value)}"'
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(shown(item) for item in value)}]"
    else:
        text = str(value)
    return text if len(text) <= SHOWN_MAX_CHARS else f"{text[: SHOWN_MAX_CHARS - 1]}…"


def _without_password(text: str) -> str:
    """An address may carry a password before its host."""
    if "://" not in text or "@" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return "****"
    return parts._replace(netloc=f"****@{parts.netloc.rpartition('@')[2]}").geturl()
