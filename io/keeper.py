"""Stages and stop steps in the world: what each one runs, how long it took, and what is left at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import trio

from anchorwatch.io import stages
from anchorwatch.io.in_flight import InFlight
from anchorwatch.io.links import Links
from anchorwatch.io.mailbox import Mailbox
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.settings import Settings
from anchorwatch.io.telemetry import Telemetry
from anchorwatch.io.timers import Timers
from anchorwatch.machine import lifecycle
from anchorwatch.machine.bot import LIFECYCLE
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Told
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.lifecycle import Exit, Outcome, S, StopStep

LIFECYCLE_TIMERS = "lifecycle"
"""The deadlines of the stop itself go on until its end."""

ROUNDS_TO_END = 10
"""Rounds of the scheduler that a cancelled task may take to end: one to wake, a few to unwind."""

LEFT_SHOWN = 5
"""How much of what is left open is named; more is a defect whose pattern five names show."""


class Keeper:
    """Carries out the lifecycle's requests. ``now_ms`` is venue time."""

    def __init__(
        self,
        *,
        nursery: trio.Nursery,
        background: trio.CancelScope,
        settings: Settings,
        mailbox: Mailbox,
        in_flight: InFlight,
        timers: Timers,
        links: Links,
        rest: OkxRest,
        rest_stack: AsyncExitStack,
        telemetry: Telemetry,
        now_ms: Callable[[], int],
    ) -> None:
        self._nursery = nursery
        self._background = background
        self._settings = settings
        self._mailbox = mailbox
        self._in_flight = in_flight
        self._timers = timers
        self._links = links
        self._rest = rest
        self._rest_stack = rest_stack
        self._telemetry = telemetry
        self._now_ms = now_ms
        self._scope = trio.CancelScope()
        self._entered_ms = now_ms()
        self._step_started_ms = now_ms()
        self._rest_is_open = True
        self.exit: Exit | None = None

    # Stages.

    def run(self, effect: lifecycle.RunStage) -> None:
        if effect.epoch == effect.entered:
            self._entered_ms = self._now_ms()
        match effect.stage:
            case S.INIT:
                self._start(effect, self._init)
            case S.CLIENT:
                self._start(effect, lambda: stages.client(self._settings, self._rest, self._mailbox.put))
            case S.CANDLES:
                self._start(effect, lambda: stages.candles(self._settings, self._rest, self._mailbox.put))
            case _:
                pass  # the desk or the connections carry it

    def end(self, effect: lifecycle.EndStage) -> None:
        self._scope.cancel()
        now_ms = self._now_ms()
        seconds = (now_ms - self._entered_ms) / 1000
        self._telemetry.stage(effect.stage.value, self._entered_ms, seconds, effect.outcome.value)
        if effect.stage is S.SYNC and effect.outcome is Outcome.DONE:
            self._telemetry.stage(S.READY.value, now_ms, 0.0, Outcome.DONE.value)

    async def _init(self) -> stages.End:
        return stages.init(self._settings)

    def _start(self, effect: lifecycle.RunStage, work: Callable[[], Awaitable[stages.End]]) -> None:
        self._scope.cancel()
        self._scope = trio.CancelScope()
        self._nursery.start_soon(self._run, effect, work, self._scope, name=f"stage {effect.stage.value}")

    async def _run(
        self,
        effect: lifecycle.RunStage,
        work: Callable[[], Awaitable[stages.End]],
        scope: trio.CancelScope,
    ) -> None:
        with scope:
            end = await work()
            match end.outcome:
                case Outcome.DONE:
                    if end.reason:
                        self._telemetry.warn("STAGE_NOTE", stage=effect.stage.value, note=end.reason)
                    event: Event = lifecycle.StageDone(effect.epoch)
                case Outcome.REFUSED:
                    self._telemetry.alarm("STAGE_REFUSED", stage=effect.stage.value, reason=end.reason)
                    event = lifecycle.StageRefused(effect.epoch, end.reason)
                case _:
                    self._telemetry.warn("STAGE_FAILED", stage=effect.stage.value, reason=end.reason)
                    event = lifecycle.StageFailed(effect.epoch, end.reason)
            self._mailbox.put(Told(LIFECYCLE, event))

    # The stop.

    def run_step(self, effect: lifecycle.RunStopStep) -> None:
        self._scope.cancel()
        self._step_started_ms = self._now_ms()
        if effect.step is StopStep.TRADING_CONTROL:
            return  # ends when no order is in flight: the bot itself sees that
        self._scope = trio.CancelScope()
        self._nursery.start_soon(self._run_step, effect, self._scope, name=f"stop {effect.step.value}")

    def end_step(self, effect: lifecycle.RecordStopStep) -> None:
        seconds = (self._now_ms() - self._step_started_ms) / 1000
        self._telemetry.stop_step(effect.step.value, effect.outcome.value, seconds)

    def finish(self, exit: Exit) -> None:
        self.exit = exit

    async def _run_step(self, effect: lifecycle.RunStopStep, scope: trio.CancelScope) -> None:
        outcome, reason = Outcome.DONE, ""
        with scope:
            try:
                reason = await self._do(effect)
                outcome = Outcome.FAILED if reason else Outcome.DONE
            except Exception as error:
                # The edge of a task: whatever a step raises is recorded, and the next step runs.
                outcome, reason = Outcome.FAILED, f"{type(error).__name__}: {error}"
        if scope.cancelled_caught:
            return  # its deadline has passed, and the lifecycle has gone on
        if reason:
            self._telemetry.alarm("STOP_STEP_FAILED", step=effect.step.value, reason=reason)
        event = lifecycle.StopStepEnded(effect.epoch, outcome, reason)
        self._mailbox.put(Told(LIFECYCLE, event))

    async def _do(self, effect: lifecycle.RunStopStep) -> str:
        """Carry out one step; the answer names what went wrong, and is empty when nothing did."""
        match effect.step:
            case StopStep.SAFETY:
                self._background.cancel()
            case StopStep.POSITION_MONITOR:
                self._timers.cancel_except(LIFECYCLE_TIMERS)
            case StopStep.PUBLIC_WS:
                await self._links.wait_closed((Name.PUBLIC, Name.BUSINESS))
            case StopStep.PRIVATE_WS:
                await self._links.wait_closed((Name.PRIVATE, Name.PRIVATE_BUSINESS))
            case StopStep.REST_CLIENT:
                given_up = await self._in_flight.settle(within_s=effect.within_s / 2)
                await self._rest_stack.aclose()
                self._rest_is_open = False
                return f"given up without an answer: {', '.join(given_up)}" if given_up else ""
            case StopStep.NOTHING_LEFT:
                # What the last answers started meanwhile waits for nobody any more.
                self._timers.cancel_except(LIFECYCLE_TIMERS)
                for _ in range(ROUNDS_TO_END):
                    await trio.lowlevel.checkpoint()
                return self._left()
            case _:
                raise AssertionError(f"{effect.step} is the bot's own")
        return ""

    def _left(self) -> str:
        """R10.7: what is still open, by name."""
        left = [f"socket {name}" for name in self._links.open_links()]
        if self._rest_is_open:
            left.append("the REST client")
        own = f"stop {StopStep.NOTHING_LEFT.value}"
        tasks = [task.name for task in self._nursery.child_tasks]
        left += [
            f"task {name}"
            for name in tasks
            if name != own and not name.startswith(f"timer {LIFECYCLE_TIMERS}")
        ]
        return "; ".join(left[:LEFT_SHOWN])
