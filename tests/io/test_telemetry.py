"""The log and the record of a run."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from enum import Enum
from pathlib import Path

from anchorwatch.io.settings import LogFormat, LogLevel
from anchorwatch.io.summary import Summary
from anchorwatch.io.telemetry import RECENT_MOVES_MAX, Telemetry
from anchorwatch.machine.kernel import Move
from anchorwatch.machine.lifecycle import STOP_STEPS

AT_MS = 1_722_859_203_120  # 2024-08-05 12:00:03.120 UTC
MOVED = Move("lifecycle", "lifecycle", "SAFETY", "StageDone", "RESET")
LOST = Move("connection", "private", "live", "SocketLost", "backing off", "reset by peer")


def logging(
    format: LogFormat = LogFormat.TEXT, level: LogLevel = LogLevel.INFO, secrets: tuple[str, ...] = ()
) -> tuple[Telemetry, io.StringIO]:
    target = io.StringIO()
    return Telemetry(target, now_ms=lambda: AT_MS, format=format, level=level, secrets=secrets), target


def test_a_transition_is_one_calm_line_with_time_machine_states_event_and_cause() -> None:
    telemetry, target = logging()
    telemetry.transition(AT_MS, MOVED)
    telemetry.transition(AT_MS + 1, LOST)
    assert target.getvalue() == (
        "— 2024-08-05 UTC —\n"
        "12:00:03.120  lifecycle                    SAFETY → RESET               StageDone\n"
        "12:00:03.121  connection private           live → backing off           SocketLost  reset by peer\n"
    )


def test_the_date_is_said_once_a_day() -> None:
    telemetry, target = logging()
    for day in (0, 0, 1):
        telemetry.transition(AT_MS + day * 86_400_000, MOVED)
    assert target.getvalue().count(" UTC —") == 2


def test_a_json_transition_has_exactly_its_eight_keys() -> None:
    telemetry, target = logging(LogFormat.JSON)
    telemetry.transition(AT_MS, LOST)
    assert json.loads(target.getvalue()) == {
        "event": "transition",
        "at_ms": AT_MS,
        "machine": "connection",
        "id": "private",
        "source": "live",
        "trigger": "SocketLost",
        "dest": "backing off",
        "cause": "reset by peer",
    }


def test_every_json_line_parses_whatever_its_fields_are() -> None:
    class Kind(Enum):
        ONE = "one"

    telemetry, target = logging(LogFormat.JSON)
    telemetry.stage("SAFETY", AT_MS, 1.25, "done")
    telemetry.stop_step("public_ws", "deadline_passed", 1.0)
    telemetry.say(
        "odd", event="mine", level=3, px=Decimal("50123.40"), kind=Kind.ONE, error=ValueError("a\nb")
    )
    telemetry.warn("DRIFT_ADD", leg="BTC-USDT-SWAP/long", nan=float("nan"))
    telemetry.alarm("naked", page="x" * 100_000)
    lines = [json.loads(line) for line in target.getvalue().splitlines()]
    assert lines[0] == {
        "event": "stage",
        "at_ms": AT_MS + 1250,
        "name": "SAFETY",
        "seconds": 1.25,
        "outcome": "done",
    }
    assert lines[2]["event_"] == "mine"
    assert lines[2]["px"] == 50123.4
    assert (lines[2]["kind"], lines[2]["error"]) == ("one", "a\nb")
    assert [line.get("level") for line in lines[2:]] == ["info", "warning", "alarm"]
    assert len(lines[4]["page"]) == 2000


def test_a_text_line_stays_one_line_whatever_its_fields_hold() -> None:
    telemetry, target = logging()
    telemetry.alarm("naked", error=ValueError("<html>\n<body>"), px=Decimal("1E+3"))
    assert target.getvalue().splitlines()[1:] == [
        "12:00:03.120  ALARM naked                  error=<html> <body>  px=1000"
    ]


def test_a_secret_is_masked_wherever_it_stands() -> None:
    secret, longer = "hunter2", "hunter2-and-more"
    for format in LogFormat:
        telemetry, target = logging(format, LogLevel.DEBUG, (secret, longer, ""))
        telemetry.transition(
            AT_MS, Move("connection", "private", "live", "SocketLost", "closed", f"bad {secret}")
        )
        telemetry.say(f"said {longer}", header={"OK-ACCESS-KEY": [secret]}, error=ValueError(secret), n=7)
        telemetry.debug("debug", **{secret: 1})
        assert "hunter2" not in target.getvalue()
        assert "and-more" not in target.getvalue()
        assert target.getvalue().count("****") == 5
        assert telemetry.recent[0][1].cause == "bad ****", "the live view shows it"


def test_the_level_holds_back_what_is_below_it_and_never_an_alarm() -> None:
    telemetry, target = logging(level=LogLevel.WARNING)
    telemetry.transition(AT_MS, MOVED)
    telemetry.say("quiet")
    telemetry.warn("heard")
    telemetry.alarm("loud")
    assert [line.split()[-1] for line in target.getvalue().splitlines()[1:]] == ["heard", "loud"]
    assert telemetry.summary.transitions == 1, "counted all the same"


def test_a_line_without_a_time_takes_the_venues() -> None:
    telemetry, target = logging(LogFormat.JSON)
    telemetry.say("before")
    telemetry.follow(lambda: 42)
    telemetry.say("after")
    assert [json.loads(line)["at_ms"] for line in target.getvalue().splitlines()] == [AT_MS, 42]


def test_when_the_run_is_over_time_stands_at_its_last_line() -> None:
    running = [True]

    def venue_ms() -> int:
        assert running, "the venue's clock has gone with the run"
        return 42

    telemetry, target = logging(LogFormat.JSON)
    telemetry.follow(venue_ms)
    telemetry.transition(57, MOVED)
    running.clear()
    telemetry.end()
    telemetry.say("summary")
    assert json.loads(target.getvalue().splitlines()[-1])["at_ms"] == 57


def test_only_the_last_moves_are_kept_in_memory() -> None:
    telemetry = Telemetry(None, now_ms=lambda: AT_MS)
    for number in range(RECENT_MOVES_MAX + 7):
        telemetry.transition(number, MOVED)
    assert [at_ms for at_ms, _ in telemetry.recent] == list(range(7, RECENT_MOVES_MAX + 7))
    assert telemetry.summary.transitions == RECENT_MOVES_MAX + 7


def test_a_log_that_cannot_be_written_costs_lines_and_not_the_bot() -> None:
    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(28, "No space left on device")

    telemetry = Telemetry(Full(), now_ms=lambda: AT_MS)
    for _ in range(3):
        telemetry.transition(AT_MS, MOVED)
    assert telemetry.lost_lines == 3
    closed = io.StringIO()
    closed.close()
    telemetry = Telemetry(closed, now_ms=lambda: AT_MS)
    telemetry.alarm("still here")
    assert telemetry.lost_lines >= 1


def test_a_terminal_without_arrows_gets_its_lines_all_the_same() -> None:
    raw = io.BytesIO()
    target = io.TextIOWrapper(raw, encoding="ascii")
    telemetry = Telemetry(target, now_ms=lambda: AT_MS)
    telemetry.transition(AT_MS, MOVED)
    target.flush()
    assert b"SAFETY \\u2192 RESET" in raw.getvalue()


def lived() -> Telemetry:
    telemetry = Telemetry(None, now_ms=lambda: AT_MS)
    telemetry.stage("INIT", AT_MS, 0.0124, "done")
    telemetry.transition(AT_MS, MOVED)
    for step in STOP_STEPS:
        telemetry.stop_step(step.value, "done", 0.1)
    summary = telemetry.summary
    summary.order()
    summary.order()
    summary.fill(Decimal("0.075"))
    summary.fill(Decimal("0.076"), Decimal("1.50"))
    summary.funding_received(Decimal("-0.01"))
    summary.position_opened()
    summary.position_closed()
    summary.unprotected(0.25)
    summary.unprotected(0.5)
    summary.drift()
    summary.speed_reached, summary.exit_code = 598.1234, 0
    return telemetry


def test_the_record_of_a_run_has_its_keys_and_its_decimals_as_numbers(tmp_path: Path) -> None:
    summary = lived().summary
    summary.write(tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    assert json.loads(text) == {
        "stages": [{"name": "INIT", "at_ms": AT_MS, "seconds": 0.012, "outcome": "done"}],
        "stop_steps": [{"name": step.value, "outcome": "done", "seconds": 0.1} for step in STOP_STEPS],
        "transitions": 1,
        "orders": 2,
        "fills": 2,
        "positions_opened": 1,
        "positions_closed": 1,
        "realised_pnl": 1.5,
        "fees": 0.151,
        "funding": -0.01,
        "unprotected_seconds": {"total": 0.75, "max": 0.5},
        "drifts": 1,
        "decisions": {},
        "speed_reached": 598.123,
        "exit_code": 0,
    }
    assert '"fees": 0.151' in text
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_printed_record_tells_what_the_run_earned() -> None:
    lines = lived().summary.lines()
    assert "  result       +1.34 USD: price +1.50, fees -0.15, funding -0.01" in lines
    assert "  unprotected  0.75 s in all, 0.50 s at most" in lines
    assert Summary().lines(), "a run that never started has a record too"
