"""The sections [connections], [deadlines] and [stop]: how long what may take, and what is tried how often."""

from __future__ import annotations

from typing import Annotated

import msgspec

from anchorwatch.io.settings.rule import Rule
from anchorwatch.machine import connection, lifecycle


class Connections(msgspec.Struct, frozen=True):
    attempts_max: Annotated[
        int, Rule("retries before a connection alarms and slows down", at_least="1", at_most="1000")
    ] = 10
    backoff_first_s: Annotated[
        int, Rule("private: wait before the first retry, then doubled", unit="s", at_least="1", at_most="300")
    ] = 5
    backoff_max_s: Annotated[
        int, Rule("private: the longest wait", unit="s", at_least="1", at_most="3600")
    ] = 300
    reconnect_delay_s: Annotated[
        int, Rule("public: wait before every retry", unit="s", at_least="1", at_most="300")
    ] = 5
    exhausted_retry_s: Annotated[
        int, Rule("wait between retries once they are exhausted", unit="s", at_least="5", at_most="3600")
    ] = 300
    open_within_s: Annotated[int, Rule("dial and handshake", unit="s", at_least="1", at_most="60")] = 10
    login_within_s: Annotated[int, Rule("answer to the login", unit="s", at_least="1", at_most="60")] = 5
    subscribe_within_s: Annotated[
        int, Rule("every channel acknowledged", unit="s", at_least="1", at_most="60")
    ] = 10
    silence_s: Annotated[
        int,
        Rule("without any frame for this long an answer is asked for", unit="s", at_least="1", at_most="29"),
    ] = 20
    pong_within_s: Annotated[
        int, Rule("how long that answer may take", unit="s", at_least="1", at_most="29")
    ] = 8
    live_lasted_s: Annotated[
        int,
        Rule("live for this long forgets the failed attempts", unit="s", at_least="1", at_most="86400"),
    ] = 60

    def private_limits(self) -> connection.Limits:
        """Exponential waits (R6.2)."""
        return self._limits(self.backoff_first_s, self.backoff_max_s, 2)

    def public_limits(self) -> connection.Limits:
        """A constant wait (R7.2)."""
        return self._limits(self.reconnect_delay_s, self.reconnect_delay_s, 1)

    def _limits(self, first_s: int, max_s: int, factor: int) -> connection.Limits:
        return connection.Limits(
            attempts_max=self.attempts_max,
            backoff_first_s=first_s,
            backoff_max_s=max_s,
            backoff_factor=factor,
            exhausted_retry_s=self.exhausted_retry_s,
            open_within_s=self.open_within_s,
            login_within_s=self.login_within_s,
            subscribe_within_s=self.subscribe_within_s,
            silence_s=self.silence_s,
            pong_within_s=self.pong_within_s,
            live_lasted_s=self.live_lasted_s,
        )


def _stage(meaning: str) -> Rule:
    return Rule(meaning, unit="s", at_least="1", at_most="3600")


class Deadlines(msgspec.Struct, frozen=True):
    init_s: Annotated[int, _stage("INIT; later, the start ends")] = 10
    client_s: Annotated[int, _stage("CLIENT; later, the start ends")] = 60
    modules_s: Annotated[int, _stage("MODULES; later, the start ends")] = 10
    ws_s: Annotated[int, _stage("WS; later, the start goes on with entries shut")] = 30
    safety_s: Annotated[int, _stage("SAFETY; later, an alarm")] = 30
    reset_s: Annotated[int, _stage("RESET; later, an alarm")] = 10
    candles_s: Annotated[int, _stage("CANDLES; later, an alarm")] = 120
    positions_s: Annotated[int, _stage("POSITIONS; later, an alarm")] = 30
    sync_s: Annotated[int, _stage("SYNC; later, an alarm")] = 60
    retry_wait_s: Annotated[
        int, Rule("wait between two tries of one stage", unit="s", at_least="1", at_most="60")
    ] = 3


def _stop_step(meaning: str) -> Rule:
    return Rule(meaning, unit="s", at_least="0.1", at_most="60")


class Stop(msgspec.Struct, frozen=True):
    """The bounds of the stop sequence; a field is named as its step is in the records."""

    within_s: Annotated[
        float, Rule("the steps below together may take this long", unit="s", at_least="1", at_most="300")
    ] = 8.0
    trading_control: Annotated[float, _stop_step("no new decisions, entries cancelled (R10.1)")] = 3.0
    safety: Annotated[float, _stop_step("the guards end (R10.2)")] = 0.5
    position_monitor: Annotated[float, _stop_step("the position monitor ends (R10.3)")] = 0.5
    public_ws: Annotated[float, _stop_step("public connections closed (R10.4)")] = 1.0
    private_ws: Annotated[float, _stop_step("private connections closed (R10.5)")] = 1.5
    rest_client: Annotated[float, _stop_step("REST client closed (R10.6)")] = 0.5
    nothing_left: Annotated[float, _stop_step("nothing left open (R10.7)")] = 1.0

    def steps_s(self) -> tuple[float, ...]:
        """The bounds in the order of the stop."""
        return tuple(getattr(self, step.value) for step in lifecycle.STOP_STEPS)
