"""What a stage or a step of the stop asks for, where the desk itself can answer; deadlines and retries."""

from __future__ import annotations

from anchorwatch.machine import connection, lifecycle, order, permission, reconciliation
from anchorwatch.machine.bot import LIFECYCLE, RECONCILIATION, Address
from anchorwatch.machine.desk import explaining, guarding
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.facts import PermissionFact
from anchorwatch.machine.requests import AuditStops, CancelTimer, Record, StartTimer

DEADLINE = "lifecycle deadline"
RETRY = "lifecycle retry"
CHECK = "reconciliation check"


def run(context: Context, address: Address, effect: lifecycle.RunStage) -> None:
    """Start the deadline on the first try, and do or ask for what the stage is about."""
    if effect.epoch == effect.entered:
        deadline = lifecycle.DeadlinePassed(effect.entered)
        context.ask(StartTimer(DEADLINE, effect.within_s, LIFECYCLE, deadline))
    stage = effect.stage
    if stage in (lifecycle.S.MODULES, lifecycle.S.RESET):
        # The modules are this desk: made with it, and nothing of an earlier life is in it.
        context.pass_on(address, effect)
        context.tell(LIFECYCLE, lifecycle.StageDone(effect.epoch))
    elif stage in (lifecycle.S.SAFETY, lifecycle.S.POSITIONS):
        if stage is lifecycle.S.SAFETY and effect.epoch == effect.entered:
            guarding.start(context)
        context.pass_on(address, effect)
        context.ask(AuditStops(effect.epoch))
    else:
        context.pass_on(address, effect)


def retry(context: Context, address: Address, effect: lifecycle.RetryStage) -> None:
    context.ask(StartTimer(RETRY, effect.seconds, LIFECYCLE, lifecycle.RetryDue(effect.epoch)))


def end(context: Context, address: Address, effect: lifecycle.EndStage) -> None:
    context.ask(CancelTimer(DEADLINE))
    context.pass_on(address, effect)
    if effect.stage is lifecycle.S.SYNC:
        pace = context.parameters.pace
        context.ask(StartTimer(CHECK, pace.reconcile_every_s, RECONCILIATION, reconciliation.CheckDue()))


def warn(context: Context, address: Address, effect: lifecycle.WarnOfDelay) -> None:
    lacks = explaining.in_one_line(context) if effect.stage is lifecycle.S.SYNC else ""
    context.announce("alarm", "STAGE_LATE", stage=effect.stage.value, **({"missing": lacks} if lacks else {}))


def run_stop_step(context: Context, address: Address, effect: lifecycle.RunStopStep) -> None:
    context.ask(CancelTimer(DEADLINE))
    deadline = lifecycle.DeadlinePassed(effect.epoch)
    context.ask(StartTimer(DEADLINE, effect.within_s, LIFECYCLE, deadline))
    if effect.step is lifecycle.StopStep.SAFETY:
        guarding.stop(context)
    context.pass_on(address, effect)


def record_stop_step(context: Context, address: Address, effect: lifecycle.RecordStopStep) -> None:
    context.ask(CancelTimer(DEADLINE))
    context.pass_on(address, effect)
    if effect.step is lifecycle.StopStep.TRADING_CONTROL:
        _hand_over(context)


def _hand_over(context: Context) -> None:
    """What is left on the exchange, said once nothing more is decided: the next life says what it found of it."""
    for leg in context.book.open_legs():
        context.announce(
            "info",
            "HAND_OVER",
            leg=leg.leg,
            contracts=leg.contracts,
            entry=leg.account.average_price,
            stop=leg.resting,
            stop_id=leg.stop_client_id,
            protection=context.bot.slot(leg.leg).protection.state.value,
        )
    for key, slot in context.bot.legs:
        for role, own in ((order.Role.ENTRY, slot.entry), (order.Role.CLOSE, slot.close)):
            if own.state not in order.FREE:
                context.announce(
                    "warning",
                    "ORDER_LEFT",
                    leg=key,
                    role=role.value,
                    order=context.book.slots[key, role].client_id,
                    state=own.state.value,
                    fix="the next start asks for it",
                )


def save_permission(context: Context, address: Address, effect: permission.SavePermission) -> None:
    fact = PermissionFact(effect.state.value, effect.paused_below, effect.reason)
    context.ask(Record((fact,)))
    level = "info" if effect.state is permission.S.OPEN else "warning"
    context.announce(level, "PERMISSION", state=effect.state.value, reason=effect.reason)


def read_later(context: Context, address: Address, effect: reconciliation.StartReadingTimer) -> None:
    pace = context.parameters.pace
    event = reconciliation.ReadingDue(effect.seq)
    context.ask(StartTimer("reading retry", pace.reading_retry_s, RECONCILIATION, event))


def wait(context: Context, address: Address, effect: connection.StartWait) -> None:
    event = connection.WaitElapsed(effect.epoch)
    context.ask(StartTimer(f"wait {effect.name.value}", effect.seconds, address, event))


AGAIN = "it is not tried again by itself: kill -USR2 PID, or a restart where the key itself was changed"
"""Keys come from the environment and are read at the start; an address or a permission is put right at the venue."""


def alarm(context: Context, address: Address, effect: connection.RaiseAlarm) -> None:
    """Two connections share one key and one venue: what keeps both out is one alarm."""
    link = context.bot.link(effect.name)
    is_told = any(
        other.data.name is not effect.name
        and (
            (link.state is connection.S.REFUSED and other.state is connection.S.REFUSED)
            or (link.state is connection.S.BACKING_OFF and other.data.told is link.data.told)
        )
        for other in context.bot.links
    )
    level = "warning" if is_told else "alarm"
    then = {"then": AGAIN} if link.state is connection.S.REFUSED else {}
    context.announce(level, "CONNECTION", link=effect.name.value, reason=effect.reason, **then)
