"""Alarms and heartbeats, against a real HTTP server; and a webhook that is dead costs nothing but its own alarms."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.alerts import TRIES, WAITING_MAX, Alerts
from anchorwatch.io.clocks import PacedClock
from anchorwatch.io.okx.environments import Credentials
from anchorwatch.io.simulation.network import HostFault
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.io.venue.serve import open_loopback
from anchorwatch.machine.lifecycle import Exit
from tests.io.engine_rig import paced_clock
from tests.mission.rig import BTC_LONG, Scene, exchange, still

__all__ = ["paced_clock"]

HOOKS = "hooks"


class Hook:
    """A server that remembers what it was asked, and answers with the statuses that it is told, then with 200."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str, str, Any]] = []
        self.statuses: list[int] = []
        self.is_silent = False

    async def serve(self, stream: trio.abc.Stream) -> None:
        async with stream:
            try:
                await self._answer(stream)
            except trio.BrokenResourceError:
                return  # whoever asked has gone

    async def _answer(self, stream: trio.abc.Stream) -> None:
        wire = h11.Connection(h11.SERVER)
        while True:
            request, body = None, b""
            while not isinstance(event := wire.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    wire.receive_data(bytes(await stream.receive_some(65_536)))
                elif isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    return
            assert request is not None
            content = json.loads(body) if body else None
            self.asked.append(
                (trio.current_time(), request.method.decode(), request.target.decode(), content)
            )
            if self.is_silent:
                await trio.sleep_forever()
            status = self.statuses.pop(0) if self.statuses else 200
            for part in (
                h11.Response(status_code=status, headers=[("content-length", "0")]),
                h11.EndOfMessage(),
            ):
                await stream.send_all(wire.send(part) or b"")
            wire.start_next_cycle()

    @property
    def alarms(self) -> list[str]:
        return [content["alarm"] for _, method, _, content in self.asked if method == "POST"]

    @property
    def times_s(self) -> list[int]:
        return [round(at_s) for at_s, *_ in self.asked]


@asynccontextmanager
async def hooked(heartbeat_s: float = 60) -> AsyncIterator[tuple[Hook, Alerts, list[str]]]:
    """A hook on loopback, alerts that know its address, and what they note."""
    hook = Hook()
    notes: list[str] = []
    listeners = await open_loopback()
    base = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    alerts = Alerts(f"{base}/alarm", f"{base}/beat", heartbeat_s, note=notes.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, hook.serve, listeners)
        yield hook, alerts, notes
        nursery.cancel_scope.cancel()


async def test_an_alarm_is_posted_with_its_name_its_words_and_the_time(paced_clock: PacedClock) -> None:
    async with hooked() as (hook, alerts, notes), trio.open_nursery() as nursery:
        nursery.start_soon(alerts.run)
        telemetry = Telemetry(None, now_ms=lambda: 1_700_000_000_000, secrets=["hunter2hunter2"])
        telemetry.on_alarm = alerts.raise_alarm
        telemetry.alarm("UNCOVERED", leg="BTC-USDT-SWAP/long", reason="key hunter2hunter2 was refused")
        await trio.sleep(1)
        [posted] = [content for _, method, _, content in hook.asked if method == "POST"]
        assert (posted["alarm"], posted["at_ms"], posted["leg"]) == (
            "UNCOVERED",
            1_700_000_000_000,
            "BTC-USDT-SWAP/long",
        )
        assert "hunter2hunter2" not in json.dumps(posted)
        assert (alerts.sent, notes) == (1, [])
        nursery.cancel_scope.cancel()


async def test_a_webhook_that_refuses_is_tried_again_after_2_4_and_8_s_and_then_given_up(
    paced_clock: PacedClock,
) -> None:
    async with hooked() as (hook, alerts, notes), trio.open_nursery() as nursery:
        hook.statuses = [200] + [503] * TRIES  # the first is the heartbeat's
        nursery.start_soon(alerts.run)
        await trio.sleep(1)
        alerts.raise_alarm({"alarm": "FIRST"})
        await trio.sleep(20)
        alerts.raise_alarm({"alarm": "SECOND"})
        await trio.sleep(1)
        assert hook.alarms == ["FIRST"] * TRIES + ["SECOND"]
        first = hook.times_s[1]
        assert [at_s - first for at_s in hook.times_s[1:5]] == [0, 2, 6, 14]
        assert notes == ["the webhook did not take an alarm in 4 tries"]
        assert alerts.sent == 1
        nursery.cancel_scope.cancel()


async def test_one_that_recovers_gets_the_alarm_once(paced_clock: PacedClock) -> None:
    async with hooked() as (hook, alerts, notes), trio.open_nursery() as nursery:
        hook.statuses = [200, 500, 500, 204]
        nursery.start_soon(alerts.run)
        await trio.sleep(1)
        alerts.raise_alarm({"alarm": "ONCE"})
        await trio.sleep(30)
        assert hook.alarms == ["ONCE"] * 3
        assert (alerts.sent, notes) == (1, [])
        nursery.cancel_scope.cancel()


async def test_one_that_never_answers_is_left_after_its_time(paced_clock: PacedClock) -> None:
    async with hooked() as (hook, alerts, notes), trio.open_nursery() as nursery:
        hook.is_silent = True
        nursery.start_soon(alerts.run)
        alerts.raise_alarm({"alarm": "SILENCE"})
        await trio.sleep(60)
        assert hook.alarms == ["SILENCE"] * TRIES
        assert "the webhook did not take an alarm in 4 tries" in notes
        nursery.cancel_scope.cancel()


async def test_alarms_wait_in_a_bounded_queue_and_the_oldest_goes_first(paced_clock: PacedClock) -> None:
    async with hooked() as (hook, alerts, _), trio.open_nursery() as nursery:
        for number in range(WAITING_MAX + 20):
            alerts.raise_alarm({"alarm": str(number)})
        nursery.start_soon(alerts.run)
        await trio.sleep(30)
        assert hook.alarms == [str(number) for number in range(20, WAITING_MAX + 20)]
        nursery.cancel_scope.cancel()


async def test_the_same_alarm_again_and_again_is_one_and_is_counted(paced_clock: PacedClock) -> None:
    async with hooked() as (hook, alerts, _), trio.open_nursery() as nursery:
        nursery.start_soon(alerts.run)
        for second in range(700):
            alerts.raise_alarm({"alarm": "LOOP_LAGS", "at_ms": second, "reason": f"{second} events wait"})
            if second == 10:
                alerts.raise_alarm({"alarm": "WATCHED", "at_ms": second, "leg": "BTC-USDT-SWAP/long"})
                alerts.raise_alarm({"alarm": "WATCHED", "at_ms": second, "leg": "ETH-USDT-SWAP/long"})
            await trio.sleep(1)
        told = [content for _, method, _, content in hook.asked if method == "POST"]
        assert [one["alarm"] for one in told] == ["LOOP_LAGS", "WATCHED", "WATCHED", "LOOP_LAGS", "LOOP_LAGS"]
        counted = [one.get("raised_since_the_last", 0) for one in told if one["alarm"] == "LOOP_LAGS"]
        assert counted[0] == 0
        assert counted[1] == pytest.approx(299, abs=3)
        nursery.cancel_scope.cancel()


async def test_the_heart_beats_at_its_pace_and_only_while_the_bot_lives(paced_clock: PacedClock) -> None:
    async with hooked(heartbeat_s=10) as (hook, alerts, notes), trio.open_nursery() as nursery:
        nursery.start_soon(alerts.run)
        await trio.sleep(35)
        nursery.cancel_scope.cancel()
    assert [(method, path) for _, method, path, _ in hook.asked] == [("GET", "/beat")] * 4
    assert (alerts.beats, notes) == (4, [])


async def test_a_heartbeat_that_finds_nobody_is_noted_and_goes_on(paced_clock: PacedClock) -> None:
    notes: list[str] = []
    listeners = await open_loopback()
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    alerts = Alerts("", f"http://127.0.0.1:{port}/beat", 5, note=notes.append)
    with trio.move_on_after(12):
        await alerts.run()
    assert notes == ["heartbeat: ConnectError"] * 3


async def test_without_an_address_nothing_runs(autojump_clock: MockClock) -> None:
    alerts = Alerts("", "", 60, note=pytest.fail)
    alerts.raise_alarm({"alarm": "NOBODY"})
    with trio.fail_after(1):
        await alerts.run()


# In the whole engine.


@asynccontextmanager
async def hooked_exchange() -> AsyncIterator[tuple[Scene, Hook]]:
    hook = Hook()
    async with exchange() as scene:
        assert scene.network is not None
        scene.network.add_host(HOOKS)
        listeners = await trio.open_tcp_listeners(80, host=HOOKS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, hook.serve, listeners)
            yield scene, hook
            nursery.cancel_scope.cancel()


def alerting(**more: object) -> Any:
    return still(
        alerts__webhook_url=f"http://{HOOKS}/alarm",
        alerts__heartbeat_url=f"http://{HOOKS}/beat",
        alerts__heartbeat_s=10,
        **more,
    )


async def test_a_bot_that_dies_falls_silent_within_one_beat(autojump_clock: MockClock) -> None:
    """No alarm is sent by the dead: whoever watches the URL sees the beats end."""
    async with hooked_exchange() as (scene, hook):
        async with scene.life(alerting()) as life:
            await life.ready()
            await trio.sleep(35)
            beats = hook.times_s[:]
            assert len(beats) >= 3
            await life.crash()
            await trio.sleep(60)
            assert hook.times_s == beats


async def test_an_alarm_of_the_engine_arrives(autojump_clock: MockClock) -> None:
    async with hooked_exchange() as (scene, hook):
        scene.trade(BTC_LONG, "0.5")
        async with scene.life(alerting(account__exclusive=False)) as life:
            await life.ready()
            await trio.sleep(25)
            assert hook.alarms == ["WATCHED", "UNCOVERED"]
            assert len([path for _, _, path, _ in hook.asked if path == "/beat"]) == 3
            await life.stop()
            beats = len(hook.asked)
            await trio.sleep(60)
            assert len(hook.asked) == beats


async def test_what_ended_the_start_is_told_before_the_end(autojump_clock: MockClock) -> None:
    wrong = Credentials(key="nobody", secret="sim-secret", passphrase="sim-pass")
    async with hooked_exchange() as (scene, hook):
        async with scene.life(alerting(), key=wrong) as life:
            assert await life.ended() is Exit.CLIENT_FAILED
        assert hook.alarms == ["STAGE_REFUSED"]


@pytest.mark.parametrize("fault", list(HostFault), ids=lambda fault: str(fault.name))
async def test_a_dead_webhook_costs_nothing_else(autojump_clock: MockClock, fault: HostFault) -> None:
    async with hooked_exchange() as (scene, hook):
        assert scene.network is not None
        scene.network.break_host(HOOKS, fault)
        async with scene.life(alerting(account__exclusive=False)) as life:
            await life.ready()
            scene.trade(BTC_LONG, "0.5")
            await trio.sleep(1)
            assert life.book().contracts > 0
            await trio.sleep(120)
            began_s = trio.current_time()
            await life.stop()
            assert trio.current_time() - began_s < 8
            assert life.exit is Exit.CLEAN
        assert hook.asked == []
        assert any("webhook" in line["reason"] for line in life.lines("ALERTS"))
