import errno
import socket as stdlib_socket
from collections import Counter
from functools import partial
from random import Random

import httpx
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from anchorwatch.io.simulation.incarnation import Incarnation, current_incarnation
from anchorwatch.io.simulation.network import (
    CALM,
    DIAL_TIMEOUT_S,
    HOSTS_MAX,
    Connection,
    FakeNetwork,
    HostFault,
    Sighting,
    Tally,
    Weather,
)
from anchorwatch.io.simulation.sockets import BUFFER_BYTES

PORT = 443


def a_network(weather: Weather = CALM, seed: int = 1) -> FakeNetwork:
    network = FakeNetwork(Random(seed), weather)
    network.install()
    network.add_host("venue.sim")
    return network


async def a_pair(network: FakeNetwork) -> tuple[trio.SocketStream, trio.SocketStream, Connection]:
    """A client's and a server's stream, and the connection between them."""
    [listener] = await trio.open_tcp_listeners(PORT, host="venue.sim")
    client = await trio.open_tcp_stream("venue.sim", PORT)
    server = await listener.accept()
    await listener.aclose()
    return client, server, network.connections()[-1]


async def refusal(stream: trio.SocketStream) -> int | None:
    """The errno with which a read of `stream` fails."""
    with pytest.raises(trio.BrokenResourceError) as failed:
        await stream.receive_some(1)
    assert isinstance(failed.value.__cause__, OSError)
    return failed.value.__cause__.errno


# Bytes.


async def test_bytes_arrive_whole_and_in_order_through_any_weather(autojump_clock: MockClock) -> None:
    rough = Weather(latency_s=0.02, jitter_s=0.5, short_write_share=0.7, fragment_share=0.9)
    network = a_network(rough)
    client, server, _ = await a_pair(network)
    sent = Random(3).randbytes(3 * BUFFER_BYTES + 7)
    received = bytearray()

    async def read_all() -> None:
        async for data in server:
            received.extend(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_all)
        for start in range(0, len(sent), 5_000):
            await client.send_all(sent[start : start + 5_000])
        await client.send_eof()
    assert received == sent
    tally = network.tally
    assert tally.bytes_sent == len(sent)
    assert min(tally.short_writes, tally.fragmented, tally.full_buffers) > 0


async def test_in_calm_weather_a_message_takes_exactly_the_latency(autojump_clock: MockClock) -> None:
    network = a_network(Weather(0.25, 0.0, 0.0, 0.0))
    client, server, _ = await a_pair(network)
    sent_at = trio.current_time()
    await client.send_all(b"tick")
    assert await server.receive_some() == b"tick"
    assert trio.current_time() - sent_at == pytest.approx(0.25)


async def test_a_host_has_weather_of_its_own(autojump_clock: MockClock) -> None:
    network = a_network()
    network.add_host("venue.sim", Weather(2.0, 0.0, 0.0, 0.0))
    before = trio.current_time()
    await a_pair(network)
    assert trio.current_time() - before == pytest.approx(4.0, abs=0.01)  # a round trip to connect


async def test_what_arrived_in_several_sends_is_read_as_one(autojump_clock: MockClock) -> None:
    client, server, _ = await a_pair(a_network())
    await client.send_all(b"one")
    await client.send_all(b"two")
    await trio.sleep(1)
    assert [await server.receive_some(4), await server.receive_some(4)] == [b"onet", b"wo"]


async def test_a_sender_waits_for_a_slow_reader(autojump_clock: MockClock) -> None:
    network = a_network()
    client, server, _ = await a_pair(network)
    with trio.move_on_after(60) as stuck:
        await client.send_all(bytes(BUFFER_BYTES + 1))
    assert stuck.cancelled_caught
    assert network.tally.bytes_sent == BUFFER_BYTES
    with trio.move_on_after(60) as still_stuck:
        await client.wait_send_all_might_not_block()
    assert still_stuck.cancelled_caught

    await server.receive_some(10)
    with trio.fail_after(1):
        await client.wait_send_all_might_not_block()
        await client.send_all(b"room again")
    assert network.tally.full_buffers == 1


# Ends.


async def test_a_close_is_read_as_the_end_after_the_last_byte(autojump_clock: MockClock) -> None:
    network = a_network()
    client, server, _ = await a_pair(network)
    await client.send_all(b"farewell")
    await client.aclose()
    assert [await server.receive_some(), await server.receive_some()] == [b"farewell", b""]
    await server.aclose()
    assert (network.connections(), network.open_sockets()) == ((), ())


async def test_half_a_close_leaves_the_other_half_open(autojump_clock: MockClock) -> None:
    client, server, _ = await a_pair(a_network())
    await client.send_eof()
    assert await server.receive_some() == b""
    await server.send_all(b"still here")
    assert await client.receive_some() == b"still here"
    with pytest.raises(trio.ClosedResourceError):
        await client.send_all(b"no more")


async def test_closing_on_unread_bytes_resets(autojump_clock: MockClock) -> None:
    client, server, _ = await a_pair(a_network())
    await client.send_all(b"never read")
    await trio.sleep(1)
    await server.aclose()
    assert await refusal(client) == errno.ECONNRESET


async def test_a_send_to_a_peer_that_has_closed_is_answered_with_a_reset(autojump_clock: MockClock) -> None:
    client, server, _ = await a_pair(a_network())
    await server.aclose()
    await client.send_all(b"unheard")  # the first is taken, as outside
    await trio.sleep(1)
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(b"refused")


async def test_a_reader_is_woken_when_its_own_socket_is_closed(autojump_clock: MockClock) -> None:
    client, _server, _ = await a_pair(a_network())

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await client.receive_some()

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            await client.aclose()


# Faults.


async def test_a_reset_ends_both_sides_and_loses_what_was_on_its_way(autojump_clock: MockClock) -> None:
    network = a_network()
    client, server, connection = await a_pair(network)
    await client.send_all(b"lost")
    connection.reset()
    assert (await refusal(client), await refusal(server)) == (errno.ECONNRESET, errno.ECONNRESET)
    with pytest.raises(trio.BrokenResourceError):
        await server.send_all(b"too late")
    connection.reset()
    assert (network.tally.resets, network.connections()) == (1, ())


async def test_a_half_open_connection_swallows_everything_without_a_word(autojump_clock: MockClock) -> None:
    network = a_network()
    client, server, connection = await a_pair(network)
    connection.half_open()
    await client.send_all(b"into the void")
    await client.aclose()
    with trio.move_on_after(3600) as waiting:
        await server.receive_some()
    assert waiting.cancelled_caught
    with trio.move_on_after(900) as filling:  # what nobody acknowledges stays in the sender's buffer
        await server.send_all(bytes(BUFFER_BYTES + 1))
    assert filling.cancelled_caught
    assert (network.tally.half_opens, network.tally.full_buffers) == (1, 1)


async def test_who_sends_into_a_half_open_connection_is_told_after_a_quarter_of_an_hour(
    autojump_clock: MockClock,
) -> None:
    client, server, connection = await a_pair(a_network())
    connection.half_open()
    await server.send_all(b"into the void")
    with trio.move_on_after(900) as early:
        await server.receive_some()
    assert early.cancelled_caught
    assert await refusal(server) == errno.ECONNRESET
    with trio.move_on_after(3600) as silence:
        await client.receive_some()
    assert silence.cancelled_caught, "the other end has sent nothing, and hears nothing"


async def test_who_waits_for_room_in_a_half_open_connection_is_told_too(autojump_clock: MockClock) -> None:
    client, server, connection = await a_pair(a_network())
    connection.half_open()
    with trio.fail_after(1_000), pytest.raises(trio.BrokenResourceError):
        await server.send_all(bytes(BUFFER_BYTES + 1))
    assert trio.current_time() > 900
    with trio.move_on_after(3600) as silence:
        await client.receive_some()
    assert silence.cancelled_caught


async def test_a_host_can_refuse_and_be_mended(autojump_clock: MockClock) -> None:
    network = a_network()
    network.break_host("venue.sim", HostFault.REFUSES)
    with pytest.raises(OSError, match="all attempts to connect"):
        await a_pair(network)
    assert network.tally == Tally(refused=1)
    network.mend_host("venue.sim")


async def test_nobody_listening_is_refused_too(autojump_clock: MockClock) -> None:
    network = a_network()
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("venue.sim", PORT)
    assert network.tally.refused == 1
    assert network.open_sockets() == ()


async def test_a_black_hole_answers_no_dial_until_it_times_out(autojump_clock: MockClock) -> None:
    network = a_network()
    network.break_host("venue.sim", HostFault.BLACK_HOLE)
    with pytest.raises(OSError, match="all attempts to connect") as failed:
        await trio.open_tcp_stream("venue.sim", PORT)
    assert isinstance(failed.value.__cause__, ExceptionGroup)
    assert isinstance(failed.value.__cause__.exceptions[0], TimeoutError)
    assert trio.current_time() == pytest.approx(DIAL_TIMEOUT_S, abs=1)
    assert network.tally.black_holes == 1


@pytest.mark.parametrize("host", ["venue.sim", "nobody.sim"])
async def test_an_unknown_or_unresolved_host_has_no_address(autojump_clock: MockClock, host: str) -> None:
    network = a_network()
    network.break_host("venue.sim", HostFault.UNRESOLVED)
    with pytest.raises(stdlib_socket.gaierror, match="unknown host"):
        await trio.open_tcp_stream(host, PORT)
    assert network.tally == Tally(unresolved=1)


async def test_a_full_backlog_refuses(autojump_clock: MockClock) -> None:
    a_network()
    [listener] = await trio.open_tcp_listeners(PORT, host="venue.sim", backlog=2)
    for _ in range(2):
        await trio.open_tcp_stream("venue.sim", PORT)
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("venue.sim", PORT)
    await listener.accept()
    await trio.open_tcp_stream("venue.sim", PORT)


async def test_an_address_has_one_listener(autojump_clock: MockClock) -> None:
    a_network()
    [listener] = await trio.open_tcp_listeners(PORT, host="venue.sim")
    with pytest.raises(OSError, match="in use"):
        await trio.open_tcp_listeners(PORT, host="venue.sim")
    await listener.aclose()
    await trio.open_tcp_listeners(PORT, host="venue.sim")


async def test_a_listener_on_every_address_gets_a_free_port(autojump_clock: MockClock) -> None:
    network = a_network()
    [listener] = await trio.open_tcp_listeners(0)  # IPv4 and IPv6 asked for; IPv6 is not there
    port = listener.socket.getsockname()[1]
    assert port > 0
    await trio.open_tcp_stream("venue.sim", port)
    assert network.connections()[0].address == ("10.0.0.1", port)


async def test_only_so_many_hosts(autojump_clock: MockClock) -> None:
    network = a_network()
    for number in range(HOSTS_MAX - 1):
        network.add_host(f"host{number}.sim")
    with pytest.raises(ValueError, match="holds 250 hosts"):
        network.add_host("one-more.sim")


@pytest.mark.parametrize("broken", [{"latency_s": -1}, {"short_write_share": 1.0}, {"fragment_share": 1.1}])
def test_impossible_weather_is_refused(broken: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"negative|share"):
        Weather(**broken)


def test_the_same_seed_sees_the_same_and_another_does_not() -> None:
    async def chat(seed: int, seen: list[Sighting]) -> None:
        network = FakeNetwork(Random(seed), Weather(), observe=seen.append)
        network.install()
        network.add_host("venue.sim")
        client, server, connection = await a_pair(network)
        for _ in range(20):
            await client.send_all(b"question" * 20)
            await server.receive_some(50)
        connection.reset()

    def seen(seed: int) -> list[Sighting]:
        sightings: list[Sighting] = []
        trio.run(chat, seed, sightings, clock=MockClock(autojump_threshold=0))
        return sightings

    assert seen(1) == seen(1)
    assert seen(1) != seen(2)
    whats = Counter(sighting.what for sighting in seen(1))
    assert (whats["dialed"], whats["reset"]) == (1, 1)
    assert whats["sent"] >= 20


# Unmodified libraries.


async def answer_ok(stream: trio.SocketStream) -> None:
    async with stream:
        request = b""
        while b"\r\n\r\n" not in request:
            request += await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def test_httpx_sees_that_the_server_hung_up_and_dials_again(autojump_clock: MockClock) -> None:
    network = a_network()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_tcp, answer_ok, 80, host="venue.sim"))
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(2):
                assert (await client.get("http://venue.sim/")).text == "ok"
                await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert network.tally.connections == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (HostFault.REFUSES, httpx.ConnectError),
        (HostFault.BLACK_HOLE, httpx.ConnectTimeout),
        (HostFault.UNRESOLVED, httpx.ConnectError),
    ],
)
async def test_httpx_reports_each_host_fault_as_its_own(
    autojump_clock: MockClock, fault: HostFault, error: type[Exception]
) -> None:
    network = a_network()
    network.break_host("venue.sim", fault)
    async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:
        with pytest.raises(error):
            await client.get("http://venue.sim/")
    assert network.open_sockets() == ()


# Fenced incarnations.


async def test_a_killed_incarnation_has_no_effect_and_its_peer_is_reset(autojump_clock: MockClock) -> None:
    network = a_network()
    life = Incarnation("first")
    [listener] = await trio.open_tcp_listeners(PORT, host="venue.sim")
    gasps: list[str] = []

    async def speak() -> None:
        stream = await trio.open_tcp_stream("venue.sim", PORT)
        await stream.send_all(b"alive")
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await stream.send_all(b"ghost")
                gasps.append("sent")
                with pytest.raises(OSError, match="all attempts to connect"):
                    await trio.open_tcp_stream("venue.sim", PORT)
                gasps.append("dialed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(life.live, speak)
        server = await listener.accept()
        assert await server.receive_some() == b"alive"
        life.kill()
    assert gasps == ["sent", "dialed"]
    assert await refusal(server) == errno.ECONNRESET
    assert (network.tally.dropped, network.tally.fenced, life.effects) == (1, 1, 1)
    assert (network.tally.connections, network.tally.bytes_sent) == (1, 5)


@pytest.mark.parametrize("last", [1, 3, 7])
async def test_an_incarnation_dies_in_place_of_the_effect_it_was_told(
    autojump_clock: MockClock, last: int
) -> None:
    network = a_network()
    life = Incarnation("short", dies_at_effect=last)
    [listener] = await trio.open_tcp_listeners(PORT, host="venue.sim")

    async def count() -> None:
        stream = await trio.open_tcp_stream("venue.sim", PORT)
        for number in range(10):
            await stream.send_all(b"%d" % number)

    await life.live(count)
    assert not life.is_alive
    assert (life.effects, network.tally.sends) == (last - 1, last - 1)
    await listener.aclose()


async def test_a_killed_listener_is_gone_and_its_next_life_may_take_its_address(
    autojump_clock: MockClock,
) -> None:
    network = a_network()

    async def serve(started: trio.Event) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_tcp, answer_ok, 80, host="venue.sim"))
            started.set()

    for name in ("first", "second"):
        life, started = Incarnation(name), trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.live, serve, started)
            await started.wait()
            client = await trio.open_tcp_stream("venue.sim", 80)
            life.kill()
        assert await refusal(client) == errno.ECONNRESET
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("venue.sim", 80)
        assert network.open_sockets(life) == ()


async def test_nobody_hears_of_a_death_behind_a_half_open_connection(autojump_clock: MockClock) -> None:
    network = a_network()
    life = Incarnation("unlucky")
    [listener] = await trio.open_tcp_listeners(PORT, host="venue.sim")

    async def hold() -> None:
        async with await trio.open_tcp_stream("venue.sim", PORT):
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(life.live, hold)
        server = await listener.accept()
        network.connections()[0].half_open()
        life.kill()
    with trio.move_on_after(3600) as waiting:
        await server.receive_some()
    assert waiting.cancelled_caught


async def test_tasks_inherit_their_incarnation_and_the_world_has_none(autojump_clock: MockClock) -> None:
    life = Incarnation("parent")
    seen: list[Incarnation | None] = []

    async def note() -> None:
        seen.append(current_incarnation())

    async def parent() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note)

    await life.live(parent)
    await note()
    assert seen == [life, None]


async def test_what_a_life_loses_is_lost_once_in_order(autojump_clock: MockClock) -> None:
    life = Incarnation("careless")
    lost: list[str] = []
    life.when_killed(lambda: lost.append("unsynced records"))
    life.when_killed(lambda: lost.append("sockets"))
    life.kill()
    life.kill()
    assert lost == ["unsynced records", "sockets"]
    assert not life.may_act()


async def test_an_error_of_the_living_is_raised_and_a_dying_gasp_is_not(autojump_clock: MockClock) -> None:
    living, dying = Incarnation("living"), Incarnation("dying")

    async def fail() -> None:
        raise ZeroDivisionError

    async def die_and_fail() -> None:
        dying.kill()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await living.live(fail)
    await dying.live(die_and_fail)
