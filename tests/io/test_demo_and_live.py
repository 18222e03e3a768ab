"""Demo and live against an exchange of its own process: the addresses are overridden, and nothing else is.

The two environments differ by hosts, by the header ``x-simulated-trading`` and by keys; the exchange holds one account
for each, whose key is refused (50101) in the other. Both connect in the real time of this host.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio

from anchorwatch.io.demo.processes import command
from tests.venue.program import Program, running
from tests.venue.rig import BTC

ACCOUNTS = """
[[accounts]]
name = "demo"
pos_mode = "long_short_mode"
[[accounts.keys]]
key = "demo-key"
secret = "demo-secret"
passphrase = "sim-pass"
is_demo = true
serves_both = false
[[accounts]]
name = "live"
uid = "446700000000000002"
master = "live"
pos_mode = "long_short_mode"
[[accounts.keys]]
key = "live-key"
secret = "live-secret"
passphrase = "sim-pass"
serves_both = false
"""
RUN_S = "8s"
WITHIN_S = 90
"""A bot of eight seconds on a busy machine."""


class Ended:
    """How a bot ended, and what it said."""

    def __init__(self, code: int | None, said: bytes, erred: bytes) -> None:
        self.code = code
        self.erred = erred.decode()
        self.text = said.decode()

    def lines(self, event: str) -> list[dict[str, Any]]:
        every = [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]
        return [line for line in every if line.get("event") == event]

    @property
    def stages(self) -> list[str]:
        return [line["name"] for line in self.lines("stage")]


async def bot(venue: Program, room: Path, kind: str, key: str, *more: str) -> Ended:
    """`anchorwatch run` on this exchange, as its user starts it."""
    port = venue.url.rpartition(":")[2]
    config = room / f"{kind}.toml"
    config.write_text(
        f"""
symbols = ["{BTC}"]
[venue]
kind = "{kind}"
rest_url = "http://127.0.0.1:{port}"
ws_url = "ws://127.0.0.1:{port}/ws/v5"
[account]
exclusive = true
[journal]
path = "{(room / f"{kind}-{key}.journal").as_posix()}"
[strategy]
name = "ema_cross"
min_gap_fraction = 0.09
"""
    )
    words = ["run", "--config", str(config), "--for", RUN_S, "--log-format", "json", *more]
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANCHORWATCH_")}
    env |= {
        "ANCHORWATCH_API_KEY": f"{key}-key",
        "ANCHORWATCH_API_SECRET": f"{key}-secret",
        "ANCHORWATCH_API_PASSPHRASE": "sim-pass",
    }
    with trio.fail_after(WITHIN_S):
        done = await trio.run_process(
            command(*words),
            env=env,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            capture_stderr=True,
        )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    file = tmp_path / "venue.toml"
    file.write_text(ACCOUNTS)
    return file


@pytest.mark.parametrize(("kind", "more"), [("demo", ()), ("live", ("--confirm-live",))])
async def test_a_bot_of_each_environment_starts_protects_what_is_open_and_stops(
    tmp_path: Path, accounts: Path, kind: str, more: tuple[str, ...]
) -> None:
    async with running("--config", accounts) as venue:
        opened = {"instId": BTC, "tdMode": "cross", "side": "buy", "posSide": "long", "ordType": "market"}
        placed = await venue.ask("POST", f"/anchorwatch/orders/{kind}", {**opened, "sz": "0.5"})
        assert placed["sCode"] == "0"
        ended = await bot(venue, tmp_path, kind, kind, *more)
        assert ended.code == 0, ended.text + ended.erred
        assert ended.stages[-1] == "READY"
        shown = await venue.ask("GET", f"/anchorwatch/accounts/{kind}")
        assert len(shown["algos"]) == 1, shown
        other = await venue.ask("GET", f"/anchorwatch/accounts/{'live' if kind == 'demo' else 'demo'}")
        assert other["algos"] == []
        assert "secret" not in ended.text + ended.erred


@pytest.mark.parametrize(
    ("kind", "key", "more"), [("demo", "live", ()), ("live", "demo", ("--confirm-live",))]
)
async def test_a_key_of_the_other_environment_ends_the_start_and_says_so(
    tmp_path: Path, accounts: Path, kind: str, key: str, more: tuple[str, ...]
) -> None:
    async with running("--config", accounts) as venue:
        ended = await bot(venue, tmp_path, kind, key, *more)
        assert ended.code == 11
        assert "50101" in ended.text
        assert "Traceback" not in ended.erred


async def test_real_money_has_to_be_confirmed(tmp_path: Path, accounts: Path) -> None:
    async with running("--config", accounts) as venue:
        ended = await bot(venue, tmp_path, "live", "live")
        assert ended.code == 2
        assert "--confirm-live" in ended.erred + ended.text
