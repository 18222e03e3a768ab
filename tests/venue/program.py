"""``anchorwatch venue`` as its users start it: a process of its own, spoken to over its ports."""

from __future__ import annotations

import json
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from tests.venue.rig import BTC, signed_headers

# A start takes a second or two; a busy machine several.
START_WAIT_S = 60
COMMAND = (sys.executable, "-c", "from anchorwatch.io.cli import main; main()", "venue")
LIMIT = {"instId": BTC, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1"}


class Program:
    """One running exchange."""

    def __init__(
        self, process: trio.Process, options: tuple[str, ...], words: str, http: httpx.AsyncClient
    ) -> None:
        self.process = process
        self.options = options
        self.words = words
        self._http = http
        self.url = _found(r"exchange on (http://\S+),", words)

    @property
    def tls_port(self) -> int:
        return int(_found(r"wss://127\.0\.0\.1:(\d+)/", self.words))

    @property
    def certificate(self) -> Path | None:
        """Where TLS is offered."""
        if "--tls-port" not in self.options:
            return None
        return Path(_found(r"SSL_CERT_FILE=(\S+)", self.words))

    async def ask(self, method: str, target: str, body: object = None, **keys: str) -> Any:
        """One request: signed where the path is the exchange's, plain where it is the control surface."""
        text = "" if body is None else json.dumps(body)
        headers = {}
        if target.startswith("/api/"):
            headers = signed_headers(method, target, text, time.time_ns() // 1_000_000, **keys)
        answer = await self._http.request(method, self.url + target, content=text, headers=headers)
        return answer.json()

    async def last(self) -> float:
        ticker = await self.ask("GET", f"/api/v5/market/ticker?instId={BTC}")
        return float(ticker["data"][0]["last"])

    async def kill(self) -> None:
        """As the system kills: nothing is saved, nothing is closed."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """As Ctrl-C stops it; the exit code."""
        self.process.send_signal(signal.SIGINT)
        with trio.fail_after(START_WAIT_S):
            return await self.process.wait()


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


@asynccontextmanager
async def running(*options: object, verify: ssl.SSLContext | bool = True) -> AsyncIterator[Program]:
    """The program, from its first words to the end of the block; it is killed there if it still runs."""
    words = ""
    given = tuple(str(option) for option in options)
    command = [*COMMAND, "--port", "0", *given]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        with trio.fail_after(START_WAIT_S):
            while "Ctrl-C stops it." not in words:
                part = await process.stdout.receive_some()
                assert part, f"it ended: {words}"
                words += part.decode()
        async with httpx.AsyncClient(trust_env=False, timeout=START_WAIT_S, verify=verify) as http:
            yield Program(process, given, words, http)
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            await process.stdout.aclose()
