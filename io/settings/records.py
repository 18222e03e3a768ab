"""The sections [reconcile], [journal], [status], [alerts] and [log]: what is written down, and where a person hears of it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import msgspec

from anchorwatch.io.settings.rule import Rule


class LogFormat(Enum):
    TEXT = "text"
    JSON = "json"


class LogLevel(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


class Reconcile(msgspec.Struct, frozen=True):
    every_s: Annotated[
        int, Rule("time between two comparisons with the exchange", unit="s", at_least="5", at_most="3600")
    ] = 60
    poll_while_private_down_s: Annotated[
        int, Rule("REST polling while a private stream is away", unit="s", at_least="1", at_most="60")
    ] = 3
    drift_report: Annotated[
        str,
        Rule("what a start or a comparison found is appended to this file, as JSON lines", default="none"),
    ] = ""

    @property
    def report_file(self) -> Path | None:
        return Path(self.drift_report).expanduser() if self.drift_report else None


class JournalSettings(msgspec.Struct, frozen=True):
    path: Annotated[
        str,
        Rule(
            "file of what must survive a restart",
            default="the user's state directory on demo and live; in memory on sim and paper, whose exchange "
            "begins anew with every run",
        ),
    ] = ""

    @property
    def file(self) -> Path | None:
        """The journal's file; None keeps it in memory."""
        return Path(self.path).expanduser() if self.path else None


class StatusSettings(msgspec.Struct, frozen=True):
    path: Annotated[
        str,
        Rule(
            "file in which the running bot says what it waits for and what it decided, for `anchorwatch explain`; "
            "none: nowhere",
            default="the user's state directory, a file for each venue.kind",
        ),
    ] = ""


class AlertSettings(msgspec.Struct, frozen=True):
    webhook_url: Annotated[str, Rule("alarms are posted here as JSON: name, words, time", default="none")] = (
        ""
    )
    heartbeat_url: Annotated[
        str,
        Rule("asked for at a pace while the bot lives: a dead bot cannot send its own alarm", default="none"),
    ] = ""
    heartbeat_s: Annotated[
        int, Rule("time between two heartbeats", unit="s", at_least="5", at_most="3600")
    ] = 60


class Log(msgspec.Struct, frozen=True):
    format: Annotated[LogFormat, Rule("lines for people, or JSON lines")] = LogFormat.TEXT
    level: Annotated[LogLevel, Rule("the least that is logged; alarms always are")] = LogLevel.INFO
