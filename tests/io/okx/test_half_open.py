"""Connections that are half-open: nothing says that they are dead, and a request into one has no answer."""

from __future__ import annotations

from random import Random

import trio
from trio.testing import MockClock

from anchorwatch.io.okx.environments import Credentials, Environment, endpoints
from anchorwatch.io.okx.outcomes import Answered, Failed
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.simulation.network import CALM, FakeNetwork
from anchorwatch.io.venue.serve import serve_venue
from tests.venue.rig import BTC, Rig, TrioClock


async def test_one_request_that_is_swallowed_condemns_the_other_connections_of_its_age(
    autojump_clock: MockClock,
) -> None:
    network = FakeNetwork(Random(1), CALM)
    network.install()
    network.add_host("localhost")
    rig = Rig(clock=TrioClock())
    listeners = await trio.open_tcp_listeners(80, host="localhost")
    key = Credentials(key="sim-key", secret="sim-secret", passphrase="sim-pass")
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_venue, rig.venue, listeners)
        where = endpoints(Environment.SIM, rest_url="http://localhost", ws_url="ws://localhost/ws/v5")
        async with OkxRest(where, key, rig.clock) as rest:
            async with trio.open_nursery() as several:
                for _ in range(4):
                    several.start_soon(rest.server_time)
            assert len(network.connections()) == 4
            for one in network.connections():
                one.half_open()
            outcome = await rest.order(BTC, cl_ord_id="x", deadline_s=1)
            assert isinstance(outcome, Failed)
            assert isinstance(await rest.positions(), Answered), "over a new connection, at once"
            assert trio.current_time() < 2
        nursery.cancel_scope.cancel()
    assert network.open_sockets() == ()
