"""Client sessions that nobody here wrote: each must end with ``0 failed``, and the check's environment explains it.

They are found in ``$ANCHORWATCH_CLIENTS``, or in ``shared/clients`` beside the repository.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.client_exchange import ClientExchange
from tests.clients.installed import run_session, with_ccxt, with_python_okx
from tests.clients.one_by_one import rejected
from tests.clients.test_contracts import RECORDED

__all__ = ["with_ccxt", "with_python_okx"]

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not (RECORDED / "ccxt_probe.py").is_file(), reason="no probes here"),
]


@pytest.mark.parametrize("pos_mode", ["net", "long_short"])
@pytest.mark.parametrize("margin", ["isolated", "cross"])
async def test_the_ccxt_probe_passes(with_ccxt: str, pos_mode: str, margin: str) -> None:
    exchange = ClientExchange()
    async with exchange.serving():
        urls = ("--rest", exchange.url, "--ws", exchange.url.replace("http", "ws"))
        asked = (*urls, "--pos-mode", pos_mode, "--margin", margin, "--all-markets")
        said = await run_session(exchange, with_ccxt, RECORDED / "ccxt_probe.py", *asked)
    assert said.splitlines()[-1] == "31 passed, 0 failed"
    assert not rejected(exchange.trace)


@pytest.mark.parametrize("pos_mode", ["net", "long_short"])
async def test_the_python_okx_probe_passes(with_python_okx: str, tmp_path: Path, pos_mode: str) -> None:
    exchange = ClientExchange(tmp_path / "cert.pem")
    async with exchange.serving():
        urls = ("--rest", exchange.url, "--ws", exchange.wss_url)
        said = await run_session(
            exchange, with_python_okx, RECORDED / "python_okx_probe.py", *urls, "--pos-mode", pos_mode
        )
    assert said.splitlines()[-1] == "40 passed, 0 failed"
    assert not rejected(exchange.trace)
