"""``anchorwatch demo restart``: what it shows, and that nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from anchorwatch.io.demo.processes import environment, settings_text
from anchorwatch.io.demo.restart import Protected, protected
from anchorwatch.io.demo.showing import Show
from anchorwatch.io.okx.environments import Environment, endpoints
from anchorwatch.io.settings import load
from anchorwatch.machine import ids
from anchorwatch.machine.units import Deal, LegKey, Side
from anchorwatch.machine.world import AccountReading, PositionReport, StopReport, StopState

BTC = "BTC-USDT-SWAP"
LONG, SHORT = LegKey(BTC, Side.LONG), LegKey(BTC, Side.SHORT)
OPENED_MS = 1_767_319_200_000


def a_stop(leg: LegKey, trigger: str, *, name: str = "") -> StopReport:
    return StopReport(
        client_id=name or str(ids.ClientId("generatn", ids.Made.STOP, 1)),
        venue_id="1",
        instrument=leg.instrument,
        side=leg.side,
        deal=Deal.SELL if leg.side is Side.LONG else Deal.BUY,
        state=StopState.LIVE,
        trigger=Decimal(trigger),
        contracts=None,
        updated_ms=OPENED_MS,
    )


def shown(before: StopReport | None, after: StopReport | None) -> str:
    target = StringIO()
    show = Show(Console(file=target, width=120))
    one = Protected(LONG, Decimal("0.50"), OPENED_MS, before)
    show.compared({LONG: one}, {LONG: msgspec.structs.replace(one, stop=after)})
    return target.getvalue()


def test_a_stop_that_followed_the_price_is_told_as_the_same_stop_higher() -> None:
    text = shown(a_stop(LONG, "59000"), a_stop(LONG, "59100.5"))
    assert "the same stop, 100.5 higher" in text
    assert "looser" not in text
    assert "\x1b" not in text, "plain text where there is no terminal"


def test_a_looser_stop_is_not_passed_over() -> None:
    assert "looser!" in shown(a_stop(LONG, "59000"), a_stop(LONG, "58000"))


def test_a_stop_of_the_other_side_or_of_somebody_else_covers_nothing() -> None:
    position = PositionReport(LONG, Decimal(1), Decimal(60_000), OPENED_MS, OPENED_MS)
    for stop in (a_stop(SHORT, "61000"), a_stop(LONG, "59000", name="anotherbot1")):
        reading = AccountReading((position,), (), (stop,), OPENED_MS)
        assert protected(reading)[LONG].stop is None
    own = a_stop(LONG, "59000")
    assert protected(AccountReading((position,), (), (own,), OPENED_MS))[LONG].stop == own


def test_its_settings_are_settings_that_the_bot_takes(tmp_path: Path) -> None:
    where = endpoints(Environment.DEMO, rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1/ws/v5")
    path = tmp_path / "bot.toml"
    more = {'symbol."BTC-USDT-SWAP"': {"stop_fraction": 0.02}}
    path.write_text(settings_text(where, tmp_path / "journal.sqlite", (BTC,), more=more))
    settings = load(file=path, environ=environment(), options={}, markets=())
    assert settings.of(BTC).protection.stop_fraction == Decimal("0.02")
    assert settings.venue.rest_url == "http://127.0.0.1:1"


def test_no_key_of_the_users_reaches_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHORWATCH_API_KEY", "a-real-key")
    assert "a-real-key" not in environment().values()


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_an_interrupted_demo_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "anchorwatch", "demo", "restart"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment() | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "positions are opened by hand" in line:
            break
    assert list(tmp_path.iterdir()), "it keeps its files where it was told to"
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=20)
    assert (demo.returncode, err) == (130, "")
    assert "Interrupted." in out
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, 0)  # the group of the demo and its children is empty
