"""A small client session against a Starlette app under hypercorn, all unmodified, on the in-process network.

``python -m tests.simulation.small_session SEED`` prints what it amounted to, as one line of JSON.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any

import httpx
import trio
import trio_websocket
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from trio.testing import MockClock

from anchorwatch.io.simulation.determinism import StepDigest, deterministic
from anchorwatch.io.simulation.network import FakeNetwork, Sighting, Weather

TICKS = 60


async def server_time(request: Request) -> JSONResponse:
    return JSONResponse({"ts": str(int(trio.current_time() * 1000))})


async def stamp(request: Request) -> JSONResponse:
    return JSONResponse({"size": len(await request.body()), "stamp": os.urandom(4).hex()})


async def ticks(socket: WebSocket) -> None:
    await socket.accept()
    with suppress(WebSocketDisconnect):
        for number in range(TICKS):
            await trio.sleep(0.1)
            await socket.send_text(json.dumps({"tick": number}))
        await socket.close()


APP = Starlette(
    routes=[
        Route("/time", server_time),
        Route("/stamp", stamp, methods=["POST"]),
        WebSocketRoute("/ticks", ticks),
    ]
)


def http_service() -> Callable[[trio.SocketStream], Any]:
    """A trio connection service that speaks HTTP and WebSocket for `APP`."""
    config = Config()
    config.accesslog = config.errorlog = None
    config.include_date_header = False
    app = wrap_app(APP, config.wsgi_max_body_size, None)  # type: ignore[arg-type]  # two spellings of ASGI
    return partial(TCPServer, app, config, WorkerContext(None), ConnectionState({}))


async def session(network: FakeNetwork) -> list[object]:
    """What the client saw, each with its time."""
    seen: list[object] = []
    network.install()
    network.add_host("venue.sim")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_tcp, http_service(), 80, host="venue.sim"))
        async with httpx.AsyncClient(trust_env=False) as client:
            for wait_s in (0, 1, 10):  # the last is longer than httpx keeps an idle connection
                await trio.sleep(wait_s)
                answer = await client.get("http://venue.sim/time")
                seen.append((trio.current_time(), answer.json()))
            answer = await client.post("http://venue.sim/stamp", content=b"x" * 300_000)
            seen.append((trio.current_time(), answer.json()))
        async with trio_websocket.open_websocket_url("ws://venue.sim/ticks") as socket:
            for _ in range(TICKS):
                seen.append((trio.current_time(), await socket.get_message()))
        nursery.cancel_scope.cancel()
    return seen


def run(seed: int) -> dict[str, object]:
    steps = StepDigest()
    sightings: list[Sighting] = []
    network = FakeNetwork(Random(seed), Weather(), observe=sightings.append)
    with deterministic(seed):
        seen = trio.run(session, network, clock=MockClock(autojump_threshold=0), instruments=[steps])
    return {
        "seen": sha256(repr(seen).encode()).hexdigest(),
        "network": sha256(repr(sightings).encode()).hexdigest(),
        "scheduler": steps.hexdigest(),
        "steps": steps.steps,
        "answers": len(seen),
        "connections": network.tally.connections,
        "left_open": len(network.open_sockets()),
    }


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1])), sort_keys=True))
