"""The exchange and the bot as processes of their own, watched through their output.

Both are this very program, started by the interpreter that runs now. A child is killed when its block is left, however
it is left, so that nothing stays behind.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from anchorwatch.io.okx.environments import Credentials, Endpoints, Environment, endpoints
from anchorwatch.io.venue.accounts import DEFAULT_KEY

Line = dict[str, Any]
"""One line of the bot's JSON log."""

KEYS = Credentials(key=DEFAULT_KEY.key, secret=DEFAULT_KEY.secret, passphrase=DEFAULT_KEY.passphrase)
"""The embedded exchange's own account. No key of the user's is read, and none reaches a child."""

START_WITHIN_S = 30.0
"""An interpreter with its libraries is up in about a second; a busy machine takes some more."""

LINES_KEPT = 50_000
"""Lines of one life that are kept: a life here is a minute or two, some thousand lines."""

LINE_MAX_BYTES = 1_000_000
"""A line of the log is a few hundred bytes, the summary some thousand; more is no log of ours."""

ERRORS_MAX_CHARS = 2_000
"""How much of what a child wrote to standard error is shown: the end of a traceback is what counts."""

_ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)")
_LINE = msgspec.json.Decoder(Line)


class ChildFailed(Exception):
    """A process of ours ended, or stayed silent, where it should have gone on; the text is for people."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "anchorwatch", *words]


def environment() -> dict[str, str]:
    """Ours without the user's settings and keys, and with those of the embedded exchange."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANCHORWATCH_")}
    return kept | {
        "ANCHORWATCH_API_KEY": KEYS.key,
        "ANCHORWATCH_API_SECRET": KEYS.secret,
        "ANCHORWATCH_API_PASSPHRASE": KEYS.passphrase,
    }


@asynccontextmanager
async def _child(words: Sequence[str], errors: Path) -> AsyncIterator[trio.Process]:
    """Run the command for as long as the block lasts. What it says on standard error goes to the file ``errors``."""
    with errors.open("ab") as sink:
        process = await trio.lowlevel.open_process(
            command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,
            env=environment(),
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            if process.stdout is not None:
                await process.stdout.aclose()


@asynccontextmanager
async def exchange(
    room: Path, *, markets: Sequence[Path] = (), seed: int | None = None
) -> AsyncIterator[Endpoints]:
    """``anchorwatch venue`` on a free port; yields where it listens. ``room`` is a directory for its output."""
    words = ["venue", "--port", "0"]
    for market in markets:
        words += ["--market", str(market)]
    if seed is not None:
        words += ["--synthetic", str(seed)]
    errors = room / "exchange.err"
    async with _child(words, errors) as process, trio.open_nursery() as nursery:
        assert process.stdout is not None
        said = b""
        with trio.move_on_after(START_WITHIN_S):
            while not _ADDRESS.search(said):
                chunk = await process.stdout.receive_some()
                if not chunk:
                    break
                said += chunk
        found = _ADDRESS.search(said)
        if found is None:
            raise ChildFailed(f"the exchange did not start: {_end_of(errors)}")
        nursery.start_soon(_drain, process.stdout)
        port = int(found.group(1))
        yield endpoints(
            Environment.DEMO, rest_url=f"http://127.0.0.1:{port}", ws_url=f"ws://127.0.0.1:{port}/ws/v5"
        )
        nursery.cancel_scope.cancel()


async def _drain(stream: trio.abc.ReceiveStream) -> None:
    """A pipe that nobody empties stops its writer."""
    while await stream.receive_some():
        pass


def settings_text(
    where: Endpoints,
    journal: Path,
    symbols: Sequence[str],
    *,
    more: Mapping[str, Mapping[str, object]] | None = None,
) -> str:
    """A settings file for a bot on ``where`` that has the account to itself. ``more``: further settings by section."""
    sections: dict[str, dict[str, object]] = {
        "venue": {"kind": "demo", "rest_url": where.rest_url, "ws_url": where.ws_url},
        "account": {"exclusive": True, "position_mode": "hedge"},
        "journal": {"path": str(journal)},
        "status": {"path": f"{journal}.status.json"},
        # The least that a strategy asks for: a start is quick, and the venue is asked for little.
        "strategy": {"name": "ema_cross"},
        "candles": {"1m": 200},
    }
    for name, own in (more or {}).items():
        sections.setdefault(name, {}).update(own)
    lines = [f"symbols = {_toml(list(symbols))}"]
    for name, own in sections.items():
        lines += ["", f"[{name}]", *(f"{_key(key)} = {_toml(value)}" for key, value in own.items())]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]+", name) else f'"{name}"'


def _toml(value: object) -> str:
    # What is used here (texts without control characters, numbers, truths, lists of texts) reads alike in JSON.
    return msgspec.json.encode(value).decode()


class Life:
    """One life of the real bot, ``anchorwatch run``: its log as it comes, and its end."""

    def __init__(self, process: trio.Process, errors: Path, now_s: Callable[[], float]) -> None:
        self.lines: list[Line] = []
        self.started_s = now_s()
        self.is_over = False
        self._process = process
        self._errors = errors
        self._news = trio.Event()
        self._trap: Callable[[Line], bool] | None = None
        self._trap_after_s = 0.0
        self.trapped: Line | None = None

    @property
    def number(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: no handler runs, no buffer is flushed, nothing is said."""
        if self._process.returncode is None:
            self._process.kill()

    def ask_to_stop(self) -> None:
        """SIGTERM: the orderly stop."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    def kill_at(self, moment: Callable[[Line], bool], *, after_s: float = 0.0) -> None:
        """Kill when a line for which ``moment`` is true has been read, or so much later."""
        self._trap, self._trap_after_s = moment, after_s

    async def ended(self) -> int:
        """Wait for the end, and for the last line; the exit code, negative for a signal."""
        code = await self._process.wait()
        while not self.is_over:
            await self._next()
        return code

    async def until(
        self, wanted: Callable[[Line], bool], within_s: float = START_WITHIN_S, *, after: int = 0
    ) -> Line:
        """The first line, said already or yet to come, that is wanted; the first ``after`` lines do not count.

        Raises `ChildFailed` when the bot ends before, or does not say it in time.
        """
        seen = after
        with trio.move_on_after(within_s):
            while True:
                for line in self.lines[seen:]:
                    if wanted(line):
                        return line
                seen = len(self.lines)
                if self.is_over:
                    raise ChildFailed(f"the bot ended: {self.complaint()}")
                await self._next()
        raise ChildFailed(f"the bot did not come so far within {within_s:g} s: {self._last_words()}")

    def said(self, *names: str) -> list[Line]:
        """The lines of these names, in their order."""
        return [line for line in self.lines if line.get("event") in names]

    def complaint(self) -> str:
        """What it wrote to standard error; or else its last line."""
        return _end_of(self._errors) or self._last_words()

    def _last_words(self) -> str:
        return msgspec.json.encode(self.lines[-1]).decode() if self.lines else "it said nothing"

    async def _next(self) -> None:
        self._news = trio.Event()
        await self._news.wait()

    async def read(self) -> None:
        """Take the log in until its end; `life` runs it."""
        async with trio.open_nursery() as nursery:
            await self._read(nursery)
            nursery.cancel_scope.cancel()

    async def _read(self, nursery: trio.Nursery) -> None:
        assert self._process.stdout is not None
        rest = b""
        async for chunk in self._process.stdout:
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > LINE_MAX_BYTES:
                raise ChildFailed("the bot's output is not a log")
            for line in _decoded(whole):
                self._take(line, nursery)
            self._news.set()
        self.is_over = True
        self._news.set()

    def _take(self, line: Line, nursery: trio.Nursery) -> None:
        if self.trapped is None and self._trap is not None and self._trap(line):
            self.trapped = line
            if self._trap_after_s:
                nursery.start_soon(self._kill_later, self._trap_after_s)
            else:
                self.kill()
        self.lines.append(line)
        if len(self.lines) > LINES_KEPT:
            raise ChildFailed(f"more than {LINES_KEPT} lines in one life")

    async def _kill_later(self, after_s: float) -> None:
        await trio.sleep(after_s)
        self.kill()


def _decoded(lines: Sequence[bytes]) -> Iterator[Line]:
    for text in lines:
        try:
            yield _LINE.decode(text)
        except msgspec.MsgspecError:
            yield {"event": "unreadable", "text": text.decode("utf-8", "replace")}


@asynccontextmanager
async def life(settings: Path, room: Path, *, tape: Path | None = None) -> AsyncIterator[Life]:
    """The real bot under these settings; killed, if it still lives, when the block is left. ``tape``: for `replay`."""
    errors = room / "bot.err"
    words = ["run", "--config", str(settings), "--log-format", "json"]
    if tape is not None:
        words += ["--tape", str(tape)]
    async with _child(words, errors) as process, trio.open_nursery() as nursery:
        own = Life(process, errors, trio.current_time)
        nursery.start_soon(own.read)
        yield own
        nursery.cancel_scope.cancel()


def _end_of(errors: Path) -> str:
    text = errors.read_text(encoding="utf-8", errors="replace") if errors.exists() else ""
    return text[-ERRORS_MAX_CHARS:].strip()
