"""What ccxt and python-okx do on the exchange is what the environment of the check could have done, order by order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.client_exchange import ClientExchange
from tests.clients.installed import run_session, with_ccxt, with_python_okx
from tests.clients.one_by_one import judged, rejected
from tests.clients.test_ccxt import SESSION as CCXT
from tests.clients.test_python_okx import SESSION as PYTHON_OKX

__all__ = ["with_ccxt", "with_python_okx"]

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("pos_mode", ["net", "long_short"])
async def test_the_session_of_ccxt_is_accepted(with_ccxt: str, pos_mode: str) -> None:
    exchange = ClientExchange()
    async with exchange.serving():
        await run_session(exchange, with_ccxt, CCXT, exchange.url, pos_mode)
    assert not rejected(exchange.trace)
    assert len(judged(exchange.trace)) >= 5


@pytest.mark.parametrize("pos_mode", ["net", "long_short"])
async def test_the_session_of_python_okx_is_accepted(
    with_python_okx: str, tmp_path: Path, pos_mode: str
) -> None:
    exchange = ClientExchange(tmp_path / "cert.pem")
    async with exchange.serving():
        where = (exchange.url, f"{exchange.wss_url}/ws/v5", pos_mode)
        await run_session(exchange, with_python_okx, PYTHON_OKX, *where)
    assert not rejected(exchange.trace)
    assert len(judged(exchange.trace)) >= 5
