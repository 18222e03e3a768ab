"""The bot's own account of what it does: one line each transition, stage, step of the stop, and event worth saying.

Text lines are for people: calm, aligned, the time of day in UTC, a line of its own when the date changes. JSON
lines are for machines; a transition's keys are ``event`` ("transition"), ``at_ms``, ``machine``, ``id``,
``source``, ``trigger``, ``dest`` and ``cause``, and no others. Both pass the same redaction: a configured secret
is masked wherever it stands.

A log that cannot be written (a closed pipe, a full disk) must not stop a bot that guards a position: the line is
lost and counted.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, MutableMapping
from decimal import Decimal
from enum import Enum
from typing import Any, TextIO

import msgspec
import structlog

from anchorwatch.io.durations import clock_words, day_words
from anchorwatch.io.live_view import LiveView, View
from anchorwatch.io.settings.records import LogFormat, LogLevel
from anchorwatch.io.settings.secret import MASK
from anchorwatch.io.summary import StageRecord, StopStepRecord, Summary
from anchorwatch.machine.kernel import Move

# What the live view and a crash report can show; older moves are in the log.
RECENT_MOVES_MAX = 50

# A field's text; what is longer (a page of HTML in an error) would bury the lines around it.
FIELD_MAX_CHARS = 2000

EventDict = MutableMapping[str, Any]

_JSON = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
_LEVELS = {LogLevel.DEBUG: 10, LogLevel.INFO: 20, LogLevel.WARNING: 30}


class Redaction:
    """Masks every secret in whatever a line is made of. As a structlog processor, or for one text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first, so that a secret that contains another one leaves no rest.
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        return (
            {self.text(key): self._value(value) for key, value in event.items()} if self._secrets else event
        )

    def _value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self._value(key): self._value(own) for key, own in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(own) for own in value]
        # Numbers, enums, structs, errors: as they are, unless their text holds a secret.
        text = str(value)
        return value if self.text(text) == text else self.text(text)


class Lines(io.TextIOBase):
    """Where lines go. A line that cannot be written is lost and counted, never an error."""

    def __init__(self, target: TextIO | None) -> None:
        self._target = target
        self.lost = 0

    def write(self, text: str) -> int:
        if self._target is not None:
            try:
                self._target.write(text)
            except UnicodeEncodeError:
                # A terminal without arrows (a C locale) still gets its lines.
                self._target.write(text.encode("ascii", "backslashreplace").decode("ascii"))
            except (OSError, ValueError):
                self.lost += 1
        return len(text)

    def flush(self) -> None:
        if self._target is not None:
            try:
                self._target.flush()
            except (OSError, ValueError):
                self.lost += 1
                self._target = None


class Telemetry:
    """The log, the record of the run and the live view, fed together.

    ``now_ms`` is the time of a line that brings none; the engine hands over its venue's time with `follow`.
    """

    def __init__(
        self,
        target: TextIO | None,
        *,
        now_ms: Callable[[], int],
        format: LogFormat = LogFormat.TEXT,
        level: LogLevel = LogLevel.INFO,
        secrets: Iterable[str] = (),
        summary: Summary | None = None,
        live_view: LiveView | None = None,
    ) -> None:
        self.summary = summary if summary is not None else Summary()
        self.live_view = live_view
        self.recent: deque[tuple[int, Move]] = deque(maxlen=RECENT_MOVES_MAX)
        self.redaction = Redaction(secrets)
        self._now_ms = now_ms
        self._last_ms = now_ms()
        self._lines = Lines(target)
        # Where else an alarm goes: the engine hands over its webhook.
        self.on_alarm: Callable[[dict[str, Any]], object] = _nowhere
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(self._lines),  # type: ignore[arg-type]
            processors=[
                self._stamp,
                self.redaction,
                _JsonLine() if format is LogFormat.JSON else _TextLine(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            cache_logger_on_first_use=False,
        )

    @property
    def lost_lines(self) -> int:
        """Lines that could not be written."""
        return self._lines.lost

    def follow(self, now_ms: Callable[[], int]) -> None:
        """From now on, and until `end`, this is the time of lines that bring none."""
        self._now_ms = now_ms
        self._last_ms = now_ms()

    def transition(self, at_ms: int, move: Move) -> None:
        self.summary.transitions += 1
        cause = self.redaction.text(move.cause)
        # What is kept is shown in the live view, which no processor sees.
        self.recent.append(
            (at_ms, move if cause == move.cause else msgspec.structs.replace(move, cause=cause))
        )
        self._log.info(
            "transition",
            at_ms=at_ms,
            machine=move.machine,
            id=move.id,
            source=move.source,
            trigger=move.trigger,
            dest=move.dest,
            cause=cause,
        )

    def stage(self, name: str, at_ms: int, seconds: float, outcome: str) -> None:
        """A stage that was entered at ``at_ms`` ended ``seconds`` later: the record has the former, the log the latter."""
        self.summary.stage(StageRecord(name, at_ms, round(seconds, 3), outcome))
        ended_ms = at_ms + round(seconds * 1000)
        self._log.info("stage", at_ms=ended_ms, name=name, seconds=round(seconds, 3), outcome=outcome)

    def stop_step(self, name: str, outcome: str, seconds: float) -> None:
        """A step of the stop ended."""
        self.summary.stop_step(StopStepRecord(name, outcome, round(seconds, 3)))
        self._log.info("stop_step", name=name, outcome=outcome, seconds=round(seconds, 3))

    def debug(self, event: str, /, **fields: Any) -> None:
        self._log.debug(event, **_safe(fields))

    def say(self, event: str, /, **fields: Any) -> None:
        self._log.info(event, **_safe(fields), level="info")

    def warn(self, event: str, /, **fields: Any) -> None:
        self._log.warning(event, **_safe(fields), level="warning")

    def alarm(self, event: str, /, **fields: Any) -> None:
        """Something that a person has to know now."""
        words = {key: self.redaction.text(str(value)) for key, value in fields.items()}
        self.on_alarm({"alarm": event, "at_ms": self._now_ms(), **words})
        self._log.error(event, **_safe(fields), level="alarm")

    def wants_view(self) -> bool:
        """Whether a view would be drawn now: building one for nothing costs the engine time."""
        return self.live_view is not None and self.live_view.is_due()

    def show(self, view: View) -> None:
        if self.live_view is not None:
            self.live_view.show(view)

    def end(self) -> None:
        """The run is over, and the venue's clock with it: time stands at the last line."""
        last_ms = self._last_ms
        self._now_ms = lambda: last_ms

    def _stamp(self, logger: Any, method: str, event: EventDict) -> EventDict:
        if "at_ms" not in event:
            event["at_ms"] = self._now_ms()
        self._last_ms = event["at_ms"]
        return event


def _nowhere(_: dict[str, Any]) -> None:
    """An alarm that goes to the log only."""


def _safe(fields: dict[str, Any]) -> dict[str, Any]:
    """A field named as structlog's own argument, or as ours, keeps its value under another name."""
    return {f"{name}_" if name in ("event", "level") else name: value for name, value in fields.items()}


class _JsonLine:
    def __call__(self, logger: Any, method: str, event: EventDict) -> str:
        line = {"event": event.pop("event"), "at_ms": event.pop("at_ms"), **event}
        line = {key: _cut(value) if isinstance(value, str) else value for key, value in line.items()}
        return _JSON.encode(line).decode()


class _TextLine:
    """``12:00:03.120  lifecycle  SAFETY → RESET  StageDone``, in columns."""

    def __init__(self) -> None:
        self._day = -1

    def __call__(self, logger: Any, method: str, event: EventDict) -> str:
        name, at_ms = event.pop("event"), event.pop("at_ms")
        level = event.pop("level", "info")
        if name == "transition":
            text = self._transition(event)
        elif name == "stage":
            ended = f"{event['outcome'].replace('_', ' ')} after {event['seconds']:.3f} s"
            text = f"{'stage':<28} {event['name']:<28} {ended}"
        elif name == "stop_step":
            ended = f"{event['outcome'].replace('_', ' ')} after {event['seconds']:.3f} s"
            text = f"{'stop':<28} {event['name']:<28} {ended}"
        else:
            mark = {"warning": "warning ", "alarm": "ALARM "}.get(level, "")
            fields = "  ".join(f"{key}={_words(value)}" for key, value in event.items())
            text = f"{mark + name:<28} {fields}".rstrip()
        return f"{self._date(at_ms)}{clock_words(at_ms)}  {text}"

    def _transition(self, event: EventDict) -> str:
        own = event["id"]
        machine = event["machine"] + (f" {own}" if own and own != event["machine"] else "")
        moved = f"{event['source']} → {event['dest']}"
        cause = f"  {_words(event['cause'])}" if event["cause"] else ""
        return f"{machine:<28} {moved:<28} {event['trigger']}{cause}"

    def _date(self, at_ms: int) -> str:
        day = at_ms // 86_400_000
        if day == self._day:
            return ""
        self._day = day
        return f"— {day_words(at_ms)} UTC —\n"


def _words(value: Any) -> str:
    """A value on one line, whatever it is."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Decimal):
        value = f"{value:f}"
    if isinstance(value, float):
        value = f"{value:g}"
    return _cut(" ".join(str(value).split()))


def _cut(text: str) -> str:
    return text if len(text) <= FIELD_MAX_CHARS else f"{text[: FIELD_MAX_CHARS - 1]}…"
