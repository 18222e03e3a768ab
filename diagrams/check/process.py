"""The process around the machines: connections, stages, the account's readings, the operator, and the crash.

A connection that is not *detailed* in the bounds answers at once and never fails. The
stages INIT, CLIENT, MODULES and RESET are done at once, the audits of SAFETY and POSITIONS
happen at one instant, and CANDLES takes its time, so that the world can move between them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.production import Facets, Tell
from anchorwatch.diagrams.check.purse import Cost
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, dead_man, lifecycle, permission, reconciliation
from anchorwatch.machine.bot import Bot, Part
from anchorwatch.machine.kernel import Effect, Event, Snapshot
from anchorwatch.machine.units import PositionMode

LINKS = tuple(connection.Name)


class Shell(msgspec.Struct, frozen=True):
    """What is kept outside the machines for the whole bot."""

    permission: permission.S = permission.S.OPEN  # as the journal has it
    paused_below: bool = False
    reading_timer: bool = False
    stage_retry: bool = False
    stage_asked: bool = False  # with slow stages: what the stage asked for is under way
    countdown: bool = False  # cancel-all-after runs at the venue, asked for by this life
    old_countdown: bool = False  # the same, asked for by an earlier life
    renewal: bool = False  # a request to renew it is under way
    disarming: bool = False  # a request to end it is under way
    switch_timer: bool = False
    is_switch_off: bool = False  # given up for good, as the journal has it
    took_stops: bool = False  # a firing took what protects, and more of that may be noticed
    step_asked: bool = False  # with a slow stop: what the step asked for is under way
    phases: tuple[int, ...] = (0,) * len(connection.Name)  # what each connection's newest socket waits for

    def phase(self, name: connection.Name) -> int:
        return self.phases[LINKS.index(name)]

    def with_phase(self, name: connection.Name, phase: int) -> Shell:
        at = LINKS.index(name)
        return replace(self, phases=(*self.phases[:at], phase, *self.phases[at + 1 :]))


class Happening(msgspec.Struct, frozen=True):
    """One thing that can happen to the bot as a whole."""

    label: str
    shell: Shell
    items: tuple[i.Item, ...] = ()
    cost: Cost = Cost.FREE
    can_wait: bool = True  # it answers nothing: in a prompt world it happens when nothing is under way


def unborn(bounds: Bounds, shell: Shell, *, after_crash: bool = False) -> Bot:
    """The bot of a new life, with what the journal gives back."""
    limits = connection.Limits(attempts_max=bounds.attempts_max)
    links = dict.fromkeys(connection.Name, limits)
    mode = PositionMode.NET if bounds.net else PositionMode.HEDGE
    bot = bots.unborn(lifecycle.Limits(), links, mode, has_dead_man=bounds.dead_man)
    if shell.is_switch_off:
        bot = bots.without_dead_man(bot)
    if after_crash:
        bot = bots.with_countdown_left_behind(bot)
    return bots.with_permission(bot, permission.restored(shell.permission, shell.paused_below, ""))


def crashed(shell: Shell) -> Shell:
    """What is left of it; a request on its way to the venue's countdown arrives, or that is as if it had not."""
    return Shell(
        permission=shell.permission,
        paused_below=shell.paused_below,
        old_countdown=shell.countdown or shell.old_countdown,
        is_switch_off=shell.is_switch_off,
    )


def absorb(shell: Shell, effects: tuple[Effect, ...], bounds: Bounds) -> tuple[Shell, tuple[i.Item, ...]]:
    """What the bot's own effects change, and what is answered at once."""
    told: list[i.Item] = []
    for effect in effects:
        match effect:
            case lifecycle.RunStage(stage):
                shell = replace(shell, stage_retry=False, stage_asked=bounds.slow_stages)
                told += [] if bounds.slow_stages else _stage_answers(stage)
            case lifecycle.RetryStage():
                shell = replace(shell, stage_retry=True, stage_asked=False)
            case lifecycle.EndStage():
                shell = replace(shell, stage_retry=False, stage_asked=False)
            case lifecycle.RunStopStep(step):
                if step is not lifecycle.StopStep.TRADING_CONTROL and bounds.slow_stop:
                    shell = replace(shell, step_asked=True)
                elif step is not lifecycle.StopStep.TRADING_CONTROL:
                    told.append(i.to_life(lifecycle.StopStepEnded, outcome=lifecycle.Outcome.DONE))
            case permission.SavePermission(state, paused_below):
                shell = replace(shell, permission=state, paused_below=paused_below)
            case dead_man.Renew():
                shell = replace(shell, renewal=True, switch_timer=False)
            case dead_man.Disarm():
                shell = replace(shell, disarming=True, switch_timer=False)
            case dead_man.StartRenewalTimer() | dead_man.StartRetryTimer():
                shell = replace(shell, switch_timer=True)
            case dead_man.GiveUp():
                shell = replace(shell, is_switch_off=True, switch_timer=False, renewal=False, disarming=False)
                shell = replace(shell, countdown=False, old_countdown=False)
            case reconciliation.ReadAccount():
                shell = replace(shell, reading_timer=False)
                told.append(i.StartReading())
            case reconciliation.StartReadingTimer():
                shell = replace(shell, reading_timer=True)
            case connection.OpenSocket(name) | connection.LogIn(name) | connection.Subscribe(name):
                if name not in bounds.detailed:
                    told.append(Tell(Part.CONNECTION, ANSWER_OF_LINK[type(effect)], link=name))
                else:
                    shell = shell.with_phase(name, PHASE_OF_LINK[type(effect)])
            case connection.StartListening(name) | connection.StartWait(name):
                if name in bounds.detailed:
                    shell = shell.with_phase(name, 0)
            case _:
                pass  # records, warnings and the watch for silence: nothing in this world depends on them
    return shell, tuple(told)


ANSWER_OF_LINK: dict[type[Effect], type[Event]] = {
    connection.OpenSocket: connection.SocketOpened,
    connection.LogIn: connection.LoginAccepted,
    connection.Subscribe: connection.ChannelsConfirmed,
}
PHASE_OF_LINK: dict[type[Effect], int] = {
    connection.OpenSocket: 1,
    connection.LogIn: 2,
    connection.Subscribe: 3,
}
ANSWER_OF_PHASE = {
    1: connection.SocketOpened,
    2: connection.LoginAccepted,
    3: connection.ChannelsConfirmed,
}


def _stage_answers(stage: lifecycle.S) -> list[i.Item]:
    if stage in (lifecycle.S.SAFETY, lifecycle.S.POSITIONS):
        return [i.Audit(is_of_stage=True), i.stage_done()]
    if stage in (lifecycle.S.WS, lifecycle.S.CANDLES, lifecycle.S.SYNC):
        return []
    return [i.stage_done()]


def happenings(bot: Bot, facets: Facets, shell: Shell, bounds: Bounds) -> Iterator[Happening]:
    """Everything that can happen to the bot as a whole, crashes aside."""
    if not facets.is_born:
        yield from _firings(facets, shell, bounds)
        yield Happening("the bot starts", shell, (i.to_life(lifecycle.StartRequested),), can_wait=False)
        return
    if not facets.is_running:
        return
    yield from _stages(facets, bot, shell, bounds)
    for name in (*bounds.detailed, *bounds.lossy):
        yield from _connection(bot.link(name), shell)
        if bounds.mailbox:
            yield from _queued_about(bot.link(name), shell)
    if shell.reading_timer:
        due = i.to_reconciliation(reconciliation.ReadingDue)
        yield Happening("time to read the account again", replace(shell, reading_timer=False), (due,))
    yield from _doubts(facets, shell, bounds)
    yield from _switch(shell)
    yield from _firings(facets, shell, bounds)
    yield from _operator(facets, shell, bounds)


def _stages(facets: Facets, bot: Bot, shell: Shell, bounds: Bounds) -> Iterator[Happening]:
    if facets.life is lifecycle.S.WS:
        yield Happening("the deadline of WS passes", shell, (i.to_life(lifecycle.DeadlinePassed),))
    if shell.stage_asked and facets.life in lifecycle.STAGES:
        yield from _slow_stage(facets.life, shell)
    elif facets.life is lifecycle.S.CANDLES and not shell.stage_retry:
        yield Happening("the candles are loaded", shell, (i.stage_done(),), can_wait=False)
        if bounds.stages_fail:
            failed = (i.to_life(lifecycle.StageFailed),)
            yield Happening("the candles cannot be loaded", shell, failed, Cost.FAULT, can_wait=False)
    if shell.stage_retry:
        again = replace(shell, stage_retry=False)
        yield Happening("time to try the stage again", again, (i.to_life(lifecycle.RetryDue),))
    if shell.step_asked:
        for outcome in (lifecycle.Outcome.DONE, lifecycle.Outcome.FAILED):
            cost = Cost.FREE if outcome is lifecycle.Outcome.DONE else Cost.FAULT
            ended = (i.to_life(lifecycle.StopStepEnded, outcome=outcome),)
            words = f"the step {bot.lifecycle.data.step.value}: {outcome.value}"
            yield Happening(words, replace(shell, step_asked=False), ended, cost, can_wait=False)
    if facets.life is lifecycle.S.STOPPING:
        words = f"the deadline of the step {bot.lifecycle.data.step.value} passes"
        late = replace(shell, step_asked=False)
        yield Happening(words, late, (i.to_life(lifecycle.DeadlinePassed),))


def _slow_stage(stage: lifecycle.S, shell: Shell) -> Iterator[Happening]:
    """What becomes of a stage. WS and SYNC are done when the machines say so."""
    answers_itself = stage not in (lifecycle.S.WS, lifecycle.S.SYNC)
    if answers_itself:
        done = tuple(_stage_answers(stage)) or (i.stage_done(),)
        yield Happening(f"{stage.value} is done", shell, done, can_wait=False)
    for event, words in (
        (lifecycle.StageFailed, "fails"),
        (lifecycle.StageRefused, "is refused"),
        (lifecycle.DeadlinePassed, "is late"),
    ):
        told = (i.to_life(event),)
        yield Happening(f"{stage.value} {words}", shell, told, Cost.FAULT, can_wait=not answers_itself)


def _connection(link: Snapshot[connection.Link], shell: Shell) -> Iterator[Happening]:
    name = link.data.name
    S = connection.S  # noqa: N806 - the name that the machine's own file gives its states

    def told(
        words: str, event: type[Event], *, costs: bool = False, of_spare: bool = False, can_wait: bool = True
    ) -> Happening:
        tell = Tell(Part.CONNECTION, event, link=name, of_spare=of_spare)
        cost = Cost.FAULT if costs else Cost.FREE
        return Happening(f"{name.value}: {words}", shell, (tell,), cost, can_wait)

    if link.state in (S.DIALING, S.LOGGING_IN, S.SUBSCRIBING, S.REPLACING):
        event = ANSWER_OF_PHASE.get(shell.phase(name))
        if event is not None:
            yield told(event.__name__, event, can_wait=False)
        if event is connection.LoginAccepted:
            yield told("the login is refused", connection.LoginRefused, costs=True, can_wait=False)
        yield told("the venue does not let it in", connection.Hindered, costs=True, can_wait=False)
    if link.state in connection.LOSABLE:
        yield told("the socket is lost", connection.SocketLost, costs=True)
    if link.state is S.REPLACING and link.data.spare:
        yield told("the old socket is closed", connection.SocketLost, of_spare=True)
    if link.state is S.LIVE:
        if link.data.failures:
            yield told("live has lasted", connection.LiveLasted)
        yield told("it falls silent", connection.SilenceNoticed, costs=True)
        yield told("the venue will close it", connection.UpgradeNoticed, costs=True)
    if link.state is S.PROBING:
        yield told("a frame is seen", connection.FrameSeen, can_wait=False)
        yield told("no answer comes", connection.PongMissed)
    if link.state in connection.WAITING:
        yield told("the wait is over", connection.WaitElapsed)
    if link.state is S.REFUSED:
        yield told("the operator asks for it again", connection.ConnectRequested)


def _queued_about(link: Snapshot[connection.Link], shell: Shell) -> Iterator[Happening]:
    """What a socket or a timer had said before it was given up, or before another answer came; and an impatient operator.

    A notice of the venue's upgrade (code 64008) is a frame like any other: it may come before the channels
    are confirmed, and while an answer to a ping is awaited.
    """
    name = link.data.name
    S = connection.S  # noqa: N806 - the name that the machine's own file gives its states

    def told(words: str, event: type[Event], cost: Cost = Cost.FREE, *, of_spare: bool = False) -> Happening:
        tell = Tell(Part.CONNECTION, event, link=name, of_spare=of_spare)
        return Happening(f"{name.value}: {words}", shell, (tell,), cost)

    if link.state in connection.WAITING:
        yield told("the operator does not wait", connection.ConnectRequested)
    if link.state is S.LIVE:
        yield told("a frame, as was asked for before", connection.FrameSeen)
        yield told("an answer was late, and has come", connection.PongMissed)
    if link.state is S.PROBING:
        yield told("it has been silent, as is known", connection.SilenceNoticed)
        yield told("it had been live for long", connection.LiveLasted)
    if link.state in (S.LOGGING_IN, S.SUBSCRIBING, S.PROBING):
        yield told("the venue will close it, so early", connection.UpgradeNoticed, Cost.FAULT)
    if link.state is S.REPLACING and link.data.spare:
        yield told("the old socket is silent", connection.SilenceNoticed, of_spare=True)
        yield told("the old socket had been live for long", connection.LiveLasted, of_spare=True)
        yield told("a frame of the old socket", connection.FrameSeen, of_spare=True)
        yield told("the venue says again that it will close it", connection.UpgradeNoticed, of_spare=True)
        yield told("the old socket does not answer", connection.PongMissed, of_spare=True)


def _switch(shell: Shell) -> Iterator[Happening]:
    """Requests to the venue's countdown, which are answered, or whose answer is lost with or without effect."""

    def told(
        words: str, event: type[Event], after: Shell, cost: Cost = Cost.FREE, *, can_wait: bool = False
    ) -> Happening:
        return Happening(words, after, (Tell(Part.DEAD_MAN, event),), cost, can_wait)

    if shell.renewal:
        after, renewed = (
            replace(shell, renewal=False),
            replace(shell, renewal=False, countdown=True, old_countdown=False),
        )
        yield told("the countdown is renewed", dead_man.RenewalTaken, renewed)
        yield told(
            "the countdown is renewed, its answer is lost", dead_man.RenewalFailed, renewed, Cost.FAULT
        )
        yield told("the renewal of the countdown is lost", dead_man.RenewalFailed, after, Cost.FAULT)
    if shell.disarming:
        after, disarmed = (
            replace(shell, disarming=False),
            replace(shell, disarming=False, countdown=False, old_countdown=False),
        )
        yield told("the countdown is ended", dead_man.DisarmTaken, disarmed)
        yield told("the countdown is ended, its answer is lost", dead_man.DisarmFailed, disarmed, Cost.FAULT)
        yield told("the request to end the countdown is lost", dead_man.DisarmFailed, after, Cost.FAULT)
    if shell.switch_timer:
        due = replace(shell, switch_timer=False)
        yield told("time to renew the countdown", dead_man.RenewalDue, due, can_wait=True)


def _firings(facets: Facets, shell: Shell, bounds: Bounds) -> Iterator[Happening]:
    """A bot that is dead renews nothing; one that lives renews in time, if nothing fails."""
    if shell.countdown or shell.old_countdown:
        fired, cost = (
            replace(shell, countdown=False, old_countdown=False, took_stops=bounds.takes_late),
            Cost.FAULT if facets.is_born else Cost.FREE,
        )
        takes_at_once = bounds.takes_stops and not bounds.takes_late
        yield Happening("the countdown runs out", fired, (i.Fired(takes_at_once),), cost)
    if shell.took_stops and facets.is_running:
        taken = (Tell(Part.DEAD_MAN, dead_man.StopsTaken),)
        yield Happening("a stop is missed, which the countdown took", shell, taken)


def _doubts(facets: Facets, shell: Shell, bounds: Bounds) -> Iterator[Happening]:
    if bounds.checks:  # by the timer, and whenever the operator asks
        due = i.to_reconciliation(reconciliation.CheckDue)
        yield Happening("time to check the account", shell, (due,))
    if facets.life is not lifecycle.S.READY:
        return
    doubted = i.to_reconciliation(reconciliation.BookDoubted)
    if facets.is_settled and not (facets.private and facets.algo):
        yield Happening("a private connection is away: time to read", shell, (doubted,))


def _operator(facets: Facets, shell: Shell, bounds: Bounds) -> Iterator[Happening]:
    if bounds.stops and (bounds.mailbox or not facets.is_stopping):  # people ask twice
        yield Happening("the bot is asked to stop", shell, (i.to_life(lifecycle.StopRequested),))

    def told(words: str, event: type[Event]) -> Happening:
        return Happening(words, shell, (Tell(Part.PERMISSION, event),))

    if bounds.operator:
        yield told("the operator pauses", permission.PauseRequested)
        yield told("the operator resumes", permission.ResumeRequested)
    if bounds.halts:
        yield told("a limit halts", permission.HaltRequested)
        yield told("the operator clears the halt", permission.HaltCleared)
    if bounds.facts:
        for event, words in ((bots.FactLost, "lost"), (bots.FactGained, "gained")):
            fact = Tell(Part.LIFECYCLE, event, (("scope", ""), ("name", "balance")))
            yield Happening(f"a fact is {words}", shell, (fact,))
