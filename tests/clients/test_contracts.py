"""What real clients were recorded to send, sent again, request by request: nothing of it may be refused.

The recordings are found in ``$ANCHORWATCH_CLIENTS``, or in ``shared/clients`` beside the repository.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from anchorwatch.io.venue.rest import HttpRequest
from anchorwatch.io.venue.sessions import Session
from tests.venue.rig import BTC, Clock, Rig, login_frame, signed_headers

RECORDED = Path(
    os.environ.get("ANCHORWATCH_CLIENTS") or Path(__file__).resolve().parents[2] / ".." / "shared" / "clients"
)
# The recordings page through candles of this moment, with BTC at this price.
RECORDED_MS = 1_795_374_225_000
RECORDED_PX = "86000"

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded contracts here")


class Recording(NamedTuple):
    name: str
    lines: tuple[str, ...]


def recordings() -> Iterator[Recording]:
    for path in sorted(RECORDED.glob("contract_*.txt")):
        parts = re.split(r"^#+ (.*)$", path.read_text(), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            lines = tuple(line for line in text.splitlines() if line)
            if lines:
                yield Recording(f"{path.stem.removeprefix('contract_')}: {name}", lines)


class Replay:
    """One client's session against a fresh exchange; ids and timestamps are the exchange's own."""

    def __init__(self) -> None:
        self.rig = Rig(clock=Clock(RECORDED_MS - 5 * 60_000))
        self.rig.price(RECORDED_PX)
        for _ in range(4):
            # The averages behind mark price and price limits forget the jump.
            self.rig.pass_ms(60_000)
            self.rig.price(RECORDED_PX)
        self.sessions: dict[str, Session] = {}
        self.order_id = ""
        self.new_algos: list[str] = []
        self.algo_ids: dict[str, str] = {}

    def play(self, line: str) -> None:
        self.rig.pass_ms(2_100)
        line = line.replace("  [unsigned]", "")
        if found := re.fullmatch(r"(GET|POST) (\S+)(?: (.*?))?(?:  \(\+empty: (.*)\))?", line):
            self._request(found[1], found[2], found[3], found[4])
        elif found := re.fullmatch(r"WS-OPEN /ws/v5/(\w+)", line):
            self.sessions[found[1]] = self.rig.venue.connections.open(found[1], "127.0.0.1")
        elif found := re.fullmatch(r"WS /ws/v5/(\w+) -> (.*)", line):
            self._frame(self.sessions[found[1]], found[2])
        else:
            assert line.startswith("WS-CLOSE"), line
        for session in self.sessions.values():
            session.receive("ping")
            session.outbox.clear()

    def _request(self, method: str, target: str, text: str | None, empty: str | None) -> None:
        target = re.sub(r"ordId=\d+", f"ordId={self.order_id}", target)
        body: Any = None
        if text is not None:
            body = json.loads(text)
            for item in body if isinstance(body, list) else [body]:
                self._with_own_ids(item)
                item.update(dict.fromkeys((empty or "").split(","), ""))
        is_refused = "cancel-order" in target and not self._is_pending(body)
        raw = "" if body is None else json.dumps(body)
        headers = signed_headers(method, target, raw, self.rig.venue.wall_ms())
        headers = {name.lower(): value for name, value in headers.items()}
        request = HttpRequest(method, target, headers, raw.encode(), "127.0.0.1")
        answer = json.loads(self.rig.venue.gateway.answer(request).body)
        assert answer["code"] == ("1" if is_refused else "0"), (target, raw, answer)
        self._learn(answer)

    def _is_pending(self, body: Any) -> bool:
        return any(one.order_id == body["ordId"] for one in self.rig.venue.orders())

    def _frame(self, session: Session, text: str) -> None:
        if text == "ping":
            session.receive(text)
            assert "pong" in session.outbox
            return
        frame = json.loads(text)
        if frame["op"] == "login":
            stamp = frame["args"][0]["timestamp"]
            frame = login_frame(self.rig.venue.wall_ms())
            if isinstance(stamp, int):
                frame["args"][0]["timestamp"] = int(frame["args"][0]["timestamp"])
        for arg in frame["args"]:
            self._with_own_ids(arg)
        frame.pop("sig_ok", None)
        session.outbox.clear()
        session.receive(json.dumps(frame))
        answers = [json.loads(one) for one in session.outbox]
        wanted = "subscribe" if frame["op"] == "subscribe" else frame["op"]
        mine = [one for one in answers if wanted in (one.get("event"), one.get("op"))]
        assert len(mine) == len(frame["args"]), (text, answers)
        for one in mine:
            assert one.get("code", "0") == "0", (text, one)
            self._learn(one)

    def _with_own_ids(self, item: dict[str, Any]) -> None:
        if len(item.get("ordId", "")) > 1:
            item["ordId"] = self.order_id
        if item.get("algoId"):
            if item["algoId"] not in self.algo_ids:
                self.algo_ids[item["algoId"]] = self.new_algos.pop(0)
            item["algoId"] = self.algo_ids[item["algoId"]]

    def _learn(self, answer: dict[str, Any]) -> None:
        for row in answer.get("data", ()):
            if not isinstance(row, dict) or "sCode" not in row:
                continue
            if row.get("algoId") and row["algoId"] not in self.algo_ids.values():
                self.new_algos.append(row["algoId"])
            elif row.get("ordId"):
                self.order_id = row["ordId"]


@pytest.mark.parametrize("recording", list(recordings()), ids=lambda one: one.name)
def test_everything_that_a_real_client_sent_is_served(recording: Recording) -> None:
    replay = Replay()
    for line in recording.lines:
        replay.play(line)
    assert replay.rig.venue.positions() == (), f"the {BTC} position was closed as recorded"
    assert replay.rig.venue.accounts["main"].fills, "and there was one"
