"""The live view: what a person sees, and how often it is drawn."""

from __future__ import annotations

import io
from decimal import Decimal

import msgspec
from rich.console import Console

from anchorwatch.io.live_view import (
    MOVES_SHOWN,
    ConnectionRow,
    LiveView,
    PositionRow,
    View,
    render,
)
from anchorwatch.machine.kernel import Move

AT_MS = 1_722_859_203_120
LONG = PositionRow(
    leg="BTC-USDT-SWAP/long",
    contracts=Decimal("0.25"),
    entry=Decimal("50123.4"),
    mark=Decimal("50200.1"),
    stop=Decimal("49822.7"),
    pnl_usd=Decimal("1.9175"),
    protection="covered",
    age_ms=754_000,
)
VIEW = View(
    at_ms=AT_MS,
    stage="READY",
    permission="open",
    connections=(
        ConnectionRow("public", "live", AT_MS - 60_000),
        ConnectionRow("private", "backing off", AT_MS - 4_000, failures=2),
    ),
    positions=(LONG,),
    equity=Decimal("10234.567"),
    recent=((AT_MS, Move("connection", "private", "live", "SocketLost", "backing off", "reset by peer")),),
    speed=598.2,
)


def drawn(view: View, width: int = 110) -> str:
    console = Console(record=True, width=width, file=open_nowhere(), force_terminal=True)
    console.print(render(view))
    return console.export_text()


def open_nowhere() -> io.StringIO:
    return io.StringIO()


def test_it_shows_stage_connections_positions_and_the_last_transitions() -> None:
    text = drawn(VIEW)
    for words in (
        "READY",
        "entries open",
        "2024-08-05 12:00:03  598×",
        "equity 10,234.57 USD",
        "backing off",
        "2 failed",
        "49822.7  +1.92  covered",
        "12m 34s",
        "connection private  live → backing off  SocketLost  reset by peer",
    ):
        assert words in text, text


def test_a_position_without_a_stop_cannot_be_overlooked() -> None:
    naked = msgspec.structs.replace(LONG, stop=None, protection="naked", mark=None, pnl_usd=None)
    console = Console(record=True, width=110, file=open_nowhere(), force_terminal=True)
    console.print(render(msgspec.structs.replace(VIEW, positions=(naked,))))
    assert "\x1b[1;31mnaked" in console.export_text(styles=True)


def test_before_ready_it_says_what_is_waited_for_and_not_more_than_fits() -> None:
    reasons = tuple(f"reason{number}" for number in range(9))
    text = drawn(msgspec.structs.replace(VIEW, stage="CANDLES", why_not_ready=reasons, positions=()))
    assert "waits for reason0, reason1, reason2, reason3, and 5 more" in text
    assert "no position" in text


def test_it_is_bounded_whatever_there_is_to_show() -> None:
    many = msgspec.structs.replace(
        VIEW, positions=(LONG,) * 40, recent=tuple((AT_MS + n, VIEW.recent[0][1]) for n in range(200))
    )
    text = drawn(many)
    assert "and 28 more" in text
    assert text.count("SocketLost") == MOVES_SHOWN
    narrow = drawn(many, width=60)
    assert all(len(line) <= 60 for line in narrow.splitlines())
    assert narrow.count("12:00:03") == MOVES_SHOWN + 1, "the time is never cut"


def test_it_draws_at_most_four_times_a_second_and_the_last_view_always() -> None:
    now_s = [100.0]
    target = open_nowhere()
    console = Console(file=target, width=110, force_terminal=True)
    with LiveView(console, lambda: now_s[0]) as live:
        drawn_at: list[float] = []
        for _ in range(1000):
            if live.is_due():
                drawn_at.append(now_s[0])
            live.show(VIEW)
            now_s[0] += 0.01
        live.show(msgspec.structs.replace(VIEW, stage="STOPPED"))
    assert 38 <= len(drawn_at) <= 41, "ten seconds of a run"
    assert "STOPPED" in target.getvalue()


def test_a_host_clock_that_is_set_back_does_not_freeze_it() -> None:
    now_s = [100.0]
    with LiveView(Console(file=open_nowhere(), width=80), lambda: now_s[0]) as live:
        live.show(VIEW)
        now_s[0] = 50.0
        assert live.is_due()


def test_a_terminal_that_is_gone_does_not_stop_the_bot() -> None:
    class Gone(io.StringIO):
        is_gone = False

        def write(self, text: str, /) -> int:
            if self.is_gone:
                raise OSError(5, "Input/output error")
            return super().write(text)

    target = Gone()
    with LiveView(Console(file=target, width=80, force_terminal=True), lambda: 0.0) as live:
        live.show(VIEW)
        target.is_gone = True
        live.show(VIEW)
    assert "READY" in target.getvalue()
