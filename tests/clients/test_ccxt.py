"""ccxt trades on ``anchorwatch venue``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.installed import run_session, with_ccxt
from tests.venue.program import running

SESSION = Path(__file__).parent / "sessions" / "ccxt_session.py"

__all__ = ["with_ccxt"]

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("pos_mode", ["net", "long_short"])
async def test_ccxt_lives_a_whole_session(with_ccxt: str, pos_mode: str) -> None:
    async with running() as venue:
        assert "every step passed" in await run_session(venue, with_ccxt, SESSION, venue.url, pos_mode)
        account = await venue.ask("GET", "/anchorwatch/accounts/main")
        assert (account["positions"], account["orders"], account["algos"]) == ([], [], [])
