"""Connections that are kept warm, and those that are half-open: nothing says so, and a request into one has no answer."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import trio
from trio.testing import MockClock

from anchorwatch.io.okx.environments import Credentials, Environment, endpoints
from anchorwatch.io.okx.outcomes import Answered, Failed, Unknown
from anchorwatch.io.okx.requests import OrderCancel
from anchorwatch.io.okx.rest import WARM_EVERY_S, OkxRest
from anchorwatch.io.simulation.network import CALM, FakeNetwork, Sighting, Weather
from anchorwatch.io.venue.serve import serve_venue
from tests.venue.rig import BTC, Rig, TrioClock


@asynccontextmanager
async def client(network: FakeNetwork) -> AsyncIterator[tuple[OkxRest, trio.Nursery]]:
    """A client of an exchange on this network, and a nursery that ends with it; no socket is left open."""
    network.install()
    network.add_host("localhost")
    rig = Rig(clock=TrioClock())
    listeners = await trio.open_tcp_listeners(80, host="localhost")
    key = Credentials(key="sim-key", secret="sim-secret", passphrase="sim-pass")
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_venue, rig.venue, listeners)
        where = endpoints(Environment.SIM, rest_url="http://localhost", ws_url="ws://localhost/ws/v5")
        async with OkxRest(where, key, rig.clock) as rest:
            yield rest, nursery
        nursery.cancel_scope.cancel()
    assert network.open_sockets() == ()


async def test_one_request_that_is_swallowed_condemns_the_other_connections_of_its_age(
    autojump_clock: MockClock,
) -> None:
    network = FakeNetwork(Random(1), CALM)
    async with client(network) as (rest, _):
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


async def test_at_no_moment_do_a_stop_and_an_amendment_have_to_dial_not_even_while_connections_are_kept_warm(
    autojump_clock: MockClock,
) -> None:
    network = FakeNetwork(
        Random(1), Weather(latency_s=0.05, jitter_s=0, short_write_share=0, fragment_share=0)
    )
    async with client(network) as (rest, nursery):
        nursery.start_soon(rest.keep_warm)
        await trio.sleep(WARM_EVERY_S + 1)
        took_s = []

        async def write() -> None:
            asked_s = trio.current_time()
            await rest.cancel_order(OrderCancel(inst_id=BTC, cl_ord_id="none"))
            took_s.append(trio.current_time() - asked_s)

        for _ in range(200):
            await trio.sleep(0.27)
            async with trio.open_nursery() as several:
                several.start_soon(rest.positions)  # as the account is read now and then
                several.start_soon(write)
                several.start_soon(write)
        assert len(took_s) == 400
        assert max(took_s) < 0.11, "one round trip"


async def test_a_write_that_breaks_before_its_body_is_unknown_and_leaves_nothing_unfinished(
    autojump_clock: MockClock,
) -> None:
    def cut(sighting: Sighting) -> None:
        if sighting.payload.startswith(b"POST "):
            for one in network.connections():
                one.reset()

    network = FakeNetwork(Random(1), CALM, observe=cut)
    async with client(network) as (rest, _):
        outcome = await rest.cancel_order(OrderCancel(inst_id=BTC, cl_ord_id="none"))
        assert isinstance(outcome, Unknown)
        gc.collect()  # a generator that was left in the middle would be found here, and warned of
