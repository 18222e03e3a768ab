"""The same exchange on the in-process network: unchanged, and alike to the byte from run to run."""

from __future__ import annotations

import json
from functools import partial
from hashlib import sha256
from random import Random

import httpx
import trio
import trio_websocket
from trio.testing import MockClock

from anchorwatch.io.simulation.determinism import StepDigest, deterministic
from anchorwatch.io.simulation.network import FakeNetwork, Weather
from anchorwatch.io.venue.serve import serve_venue
from tests.venue.rig import BTC, Rig, TrioClock, Wire


async def session(seed: int, told: list[str]) -> None:
    network = FakeNetwork(Random(seed), Weather(latency_s=0.02, jitter_s=0.01))
    network.install()
    network.add_host("venue.sim")
    rig = Rig(clock=TrioClock())
    listeners = await trio.open_tcp_listeners(80, host="venue.sim")
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_venue, rig.venue, listeners)
        async with httpx.AsyncClient(base_url="http://venue.sim", trust_env=False) as http:
            wire = Wire(rig.venue, 80, http)
            async with trio_websocket.open_websocket_url("ws://venue.sim/ws/v5/public") as socket:
                asked = {"op": "subscribe", "args": [{"channel": "tickers", "instId": BTC}]}
                await socket.send_message(json.dumps(asked))
                for number in range(20):
                    order = {
                        "instId": BTC,
                        "tdMode": "cross",
                        "side": "buy",
                        "ordType": "market",
                        "sz": "0.1",
                    }
                    told.append(str(await wire.post("trade/order", order)))
                    rig.price_now(str(60_000 + number))
                    told.append(str(await socket.get_message()))
                    await trio.sleep(0.5)
                told.append(str(await wire.get("account/positions")))
        nursery.cancel_scope.cancel()
    assert network.open_sockets() == ()


def run(seed: int) -> tuple[str, str]:
    told: list[str] = []
    steps = StepDigest()
    with deterministic(seed):
        trio.run(partial(session, seed, told), clock=MockClock(autojump_threshold=0), instruments=[steps])
    return sha256("\n".join(told).encode()).hexdigest(), steps.hexdigest()


def test_the_exchange_runs_on_the_in_process_network_and_the_same_seed_gives_the_same_run() -> None:
    assert run(1) == run(1)
    assert run(1)[1] != run(2)[1]
