"""OKX's own SDK, unmodified, trades on ``anchorwatch venue``: its WebSockets insist on TLS and get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.installed import run_session, with_python_okx
from tests.venue.program import running

SESSION = Path(__file__).parent / "sessions" / "python_okx_session.py"

__all__ = ["with_python_okx"]

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("pos_mode", ["net", "long_short"])
async def test_python_okx_lives_a_whole_session(with_python_okx: str, tmp_path: Path, pos_mode: str) -> None:
    async with running("--tls-port", 0, "--tls-cert", tmp_path / "cert.pem") as venue:
        wss_url = f"wss://127.0.0.1:{venue.tls_port}/ws/v5"
        said = await run_session(venue, with_python_okx, SESSION, venue.url, wss_url, pos_mode)
        assert "every step passed" in said
        account = await venue.ask("GET", "/anchorwatch/accounts/main")
        assert (account["positions"], account["orders"], account["algos"]) == ([], [], [])
