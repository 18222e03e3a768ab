"""Spans and points of time as people write them, and back.

A duration is one or more whole-number-or-decimal parts with a unit, largest first: ``90s``, ``15m``, ``12h``,
``2d``, ``1h30m``, ``500ms``. A moment is an ISO 8601 date or time, UTC where it names no offset, or UTC
milliseconds since 1970.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
DURATIONS_ALLOWED = "a positive duration such as 90s, 15m, 12h, 2d or 1h30m, at most 3660d"
MOMENTS_ALLOWED = "an ISO date or time (UTC), such as 2024-08-05 or 2024-08-05T13:30, or UTC milliseconds"

# Ten years: more than any market file holds, and far below where a float of seconds loses milliseconds.
DURATION_MAX_S = 3660 * 86_400

# A moment outside these years is seconds, microseconds or a slip.
MOMENT_MIN_MS = 946_684_800_000  # 2000-01-01
MOMENT_MAX_MS = 4_102_444_800_000  # 2100-01-01

_PART = re.compile(r"([0-9]{1,12}(?:[.][0-9]{1,6})?)(ms|d|h|m|s)")


def duration_s(text: str) -> float:
    """Seconds of a duration. Raises ValueError saying what is allowed."""
    total_ms, smallest, at = Decimal(0), None, 0
    text = text.strip()
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or (smallest is not None and UNITS_MS[part[2]] >= smallest):
            raise ValueError(f"{text!r}; allowed: {DURATIONS_ALLOWED}")
        smallest, at = UNITS_MS[part[2]], part.end()
        total_ms += Decimal(part[1]) * smallest
    if not 0 < total_ms <= DURATION_MAX_S * 1000:
        raise ValueError(f"{text!r}; allowed: {DURATIONS_ALLOWED}")
    return float(total_ms / 1000)


def moment_ms(text: str) -> int:
    """UTC milliseconds of a moment. Raises ValueError saying what is allowed."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{10,}", text):
        at_ms = int(text) if len(text) < 20 else MOMENT_MAX_MS
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r}; allowed: {MOMENTS_ALLOWED}") from None
        # Without an offset the text means UTC, whatever the host's zone is.
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        at_ms = round(moment.timestamp() * 1000)
    if not MOMENT_MIN_MS <= at_ms < MOMENT_MAX_MS:
        raise ValueError(f"{text!r}; allowed: {MOMENTS_ALLOWED}, of the years 2000 to 2099")
    return at_ms


def age_words(span_ms: int) -> str:
    """A span for a narrow column: its two largest units, ``3h 12m``, ``45s``."""
    span_ms = max(span_ms, 0)
    words: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, span_ms = divmod(span_ms, UNITS_MS[unit])
        if count or (unit == "s" and not words):
            words.append(f"{count}{unit}")
        elif words:
            break
    return " ".join(words[:2])


def clock_words(at_ms: int) -> str:
    """The time of day, UTC: ``12:00:03.120``."""
    seconds, ms = divmod(at_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours % 24:02}:{minute:02}:{second:02}.{ms:03}"


def day_words(at_ms: int) -> str:
    """The date, UTC: ``2024-08-05``."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()
