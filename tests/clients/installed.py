"""Where the real clients are installed: in an environment of their own, so that they cannot bend ours.

``make clients`` makes one in ``.venv-clients``; ``$ANCHORWATCH_CLIENTS_PYTHON`` names another; an interpreter that
has them itself (``pip install anchorwatch[clients]``) needs neither.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import trio

from tests.clients.client_exchange import ClientExchange
from tests.venue.program import Program

# A session takes ten seconds or two; a busy machine more.
SESSION_MAX_S = 180
OWN = Path(__file__).resolve().parents[2] / ".venv-clients" / "bin" / "python"


@cache
def python_with(package: str) -> str | None:
    """An interpreter that can import the package, or None."""
    for candidate in (os.environ.get("ANCHORWATCH_CLIENTS_PYTHON"), str(OWN), sys.executable):
        if candidate is None or not Path(candidate).exists():
            continue
        if subprocess.run([candidate, "-c", f"import {package}"], capture_output=True).returncode == 0:
            return candidate
    return None


@pytest.fixture
def with_ccxt() -> str:
    """An interpreter that has ccxt."""
    return _wanted("ccxt")


@pytest.fixture
def with_python_okx() -> str:
    """An interpreter that has python-okx, and the means to speak TLS with it."""
    if find_spec("cryptography") is None:
        pytest.skip("cryptography is not installed: the extra 'tls'")
    return _wanted("okx")


def _wanted(package: str) -> str:
    python = python_with(package)
    if python is None:
        pytest.skip(f"{package} is not installed: make clients")
    return python


async def run_session(venue: Program | ClientExchange, python: str, script: Path, *arguments: str) -> str:
    """Run a client's script to its end; what it printed. Fails with its output when it failed."""
    environment = {**os.environ}
    if venue.certificate is not None:
        environment["SSL_CERT_FILE"] = str(venue.certificate)
    with trio.fail_after(SESSION_MAX_S):
        done = await trio.run_process(
            [python, str(script), *arguments],
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
            env=environment,
        )
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, text[-5_000:]
    return text
