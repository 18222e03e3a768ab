"""What the router draws from several machines together, in the mission's words."""

from __future__ import annotations

from typing import Any

import msgspec

from anchorwatch.diagrams.check.contracts.driving import C, Contract, D, L, M, O, P, Q, R
from anchorwatch.machine import bot as bots
from anchorwatch.machine import (
    connection,
    dead_man,
    lifecycle,
    order,
    permission,
    position,
    protection,
    reconciliation,
)
from anchorwatch.machine.bot import Bot, Part, Slot
from anchorwatch.machine.connection import Name
from anchorwatch.machine.kernel import Effect, Event, Snapshot
from anchorwatch.machine.units import LegKey, PositionMode, Side

KEY = LegKey("BTC-USDT-SWAP", Side.LONG)
LIFE = lifecycle.Life(lifecycle.Limits(), epoch=7, entered=7)
OPEN = Slot(position=Snapshot(P.OPEN, position.Leg()), protection=Snapshot(Q.COVERED, protection.Stop(1)))
NAKED = msgspec.structs.replace(OPEN, protection=Snapshot(Q.NAKED, protection.Stop(1)))
RESTING = Slot(entry=Snapshot(O.LIVE, order.Order(order.Role.ENTRY, 7, rests=True)))
READING = Snapshot(R.READING, reconciliation.Reading(7))


def ready(slot: Slot | None = None, **changed: Any) -> Bot:
    """A bot that may trade, with ``slot`` as its one leg."""
    bot = bots.unborn(
        lifecycle.Limits(), dict.fromkeys(Name, connection.Limits()), PositionMode.HEDGE, has_dead_man=True
    )
    before: dict[str, Any] = {
        "lifecycle": Snapshot(L.READY, LIFE),
        "reconciliation": Snapshot(R.SETTLED, reconciliation.Reading(7)),
        "links": tuple(
            Snapshot(C.LIVE, connection.Link(name, connection.Limits(), epoch=7)) for name in Name
        ),
        "legs": ((KEY, slot or Slot()),),
        "dead_man": Snapshot(D.DISARMED, dead_man.Switch()),
        "sequence": 9,
    }
    return msgspec.structs.replace(bot, **(before | changed))


def asks(bot: Bot, part: Part, event: Event, *effects: type[Effect]) -> bool:
    """Whether all of these are asked for."""
    of_leg = part in (Part.ENTRY, Part.CLOSE, Part.POSITION, Part.PROTECTION)
    asked = bots.step(bot, bots.Address(part, leg=KEY if of_leg else None), event).effects
    return all(any(type(one.effect) is effect for one in asked) for effect in effects)


def an_entry_is_refused_while_anything_is_in_the_way() -> bool:
    down = (Snapshot(C.BACKING_OFF, connection.Link(Name.PUBLIC, connection.Limits(), epoch=7)),)
    in_the_way = (
        ready(lifecycle=Snapshot(L.SYNC, LIFE), missing=(("", "clock"),)),
        ready(permission=Snapshot(M.PAUSED, permission.Grant())),
        ready(reconciliation=READING),
        ready(links=(*down, *ready().links[1:])),
        ready(missing=((KEY.instrument, "candles"),)),
        ready(RESTING),
        ready(OPEN),
    )
    wanted, resting = bots.EntryWanted(), bots.EntryWanted(rests=True)
    failing = ready(dead_man=Snapshot(D.FAILING, dead_man.Switch()))
    return (
        asks(ready(), Part.ENTRY, wanted, order.RecordIntent)
        and all(
            asks(bot, Part.ENTRY, wanted, bots.EntryDenied)
            and not asks(bot, Part.ENTRY, wanted, order.RecordIntent)
            for bot in in_the_way
        )
        and asks(failing, Part.ENTRY, wanted, order.RecordIntent)
        and not asks(failing, Part.ENTRY, resting, order.RecordIntent)
    )


def what_could_not_be_sent_does_not_rest() -> bool:
    """R9.7; S11: nor beside another side, where both are one position that it would take from when it fills."""
    runs = Snapshot(D.ARMED, dead_man.Switch(is_wanted=True))
    both = ((KEY, RESTING), (LegKey(KEY.instrument, Side.SHORT), OPEN))
    net, hedge = (
        ready(legs=both, mode=mode, dead_man=runs) for mode in (PositionMode.NET, PositionMode.HEDGE)
    )
    armed = ready(RESTING, dead_man=Snapshot(D.ARMED, dead_man.Switch(is_wanted=True)))
    renewing = ready(RESTING, dead_man=Snapshot(D.RENEWING, dead_man.Switch(7, is_wanted=True)))
    paused, lost = permission.PauseRequested("x"), bots.FactLost("", "clock")
    return (
        asks(armed, Part.PERMISSION, paused, order.CancelOrder)
        and asks(armed, Part.LIFECYCLE, lost, order.CancelOrder)
        and asks(renewing, Part.DEAD_MAN, dead_man.RenewalFailed(7), order.CancelOrder)
        and not asks(armed, Part.PERMISSION, permission.ResumeRequested(), order.CancelOrder)
        and asks(net, Part.PERMISSION, permission.ResumeRequested(), order.CancelOrder)
        and not asks(hedge, Part.PERMISSION, permission.ResumeRequested(), order.CancelOrder)
    )


def the_closer_takes_the_entry_back() -> bool:
    growing = msgspec.structs.replace(OPEN, entry=Snapshot(O.PARTIAL, order.Order(order.Role.ENTRY, 7)))
    return asks(ready(growing), Part.POSITION, position.CloseWanted("x"), order.CancelOrder)


def a_stop_for_no_position_is_a_doubt() -> bool:
    arming = msgspec.structs.replace(OPEN, protection=Snapshot(Q.ARMING, protection.Stop(7)))
    refused = protection.StopRefused(7, protection.Refusal.NO_POSITION)
    return asks(ready(arming), Part.PROTECTION, refused, reconciliation.ReadAccount)


def stopped(bot: Bot) -> Bot:
    return bots.step(bot, bots.LIFECYCLE, lifecycle.StopRequested("x")).bot


def is_deciding(bot: Bot) -> bool:
    """Trading is not under control yet: the first step of the stop goes on."""
    return bot.lifecycle.data.step is lifecycle.StopStep.TRADING_CONTROL


def trading_is_under_control_when_nothing_is_in_flight() -> bool:
    compared = reconciliation.AccountCompared
    quiet, resting, covered, naked = (
        stopped(ready()),
        stopped(ready(RESTING)),
        stopped(ready(OPEN)),
        stopped(ready(NAKED)),
    )
    if is_deciding(quiet) or not all(map(is_deciding, (resting, covered, naked))):
        return False
    if resting.slot(KEY).entry.state is not O.CANCELLING or covered.reconciliation.state is not R.READING:
        return False  # what rests is taken back, and a last look shows what is left
    doubtful = Slot(entry=Snapshot(O.IN_DOUBT, order.Order(order.Role.ENTRY, 7)))
    if not is_deciding(stopped(ready(doubtful))):
        return False
    nothing_new = bots.step(covered, bots.Address(Part.POSITION, leg=KEY), position.PositionSeen()).bot
    looked = bots.step(covered, bots.RECONCILIATION, compared(covered.reconciliation.data.seq)).bot
    return is_deciding(nothing_new) and not is_deciding(looked)


def what_fills_while_the_bot_flattens_is_closed_too() -> bool:
    entering = Slot(
        entry=Snapshot(O.CANCELLING, order.Order(order.Role.ENTRY, 7)),
        position=Snapshot(P.ENTERING, position.Leg()),
    )
    bot = stopped(ready(entering, flattens=True))
    return asks(bot, Part.POSITION, position.PositionSeen(), position.StartClose)


def what_was_missed_is_read_after_a_relogin() -> bool:
    back = Snapshot(C.SUBSCRIBING, connection.Link(Name.PRIVATE, connection.Limits(), epoch=7))
    links = tuple(back if link.data.name is Name.PRIVATE else link for link in ready().links)
    confirmed = bots.step(
        ready(RESTING, links=links),
        bots.Address(Part.CONNECTION, link=Name.PRIVATE),
        connection.ChannelsConfirmed(7),
    )
    asked = {type(one.effect) for one in confirmed.effects}
    return {reconciliation.ReadAccount, order.QueryOrder} <= asked


def a_position_that_grows_has_its_stop() -> bool:
    bare = msgspec.structs.replace(OPEN, protection=protection.PROTECTION.initial)
    return asks(ready(bare), Part.POSITION, position.PositionGrown(), protection.PlaceStop)


def the_stop_closes_every_connection() -> bool:
    bot = stopped(ready())
    for _ in lifecycle.StopStep:
        if bot.lifecycle.state is L.STOPPED:
            break
        ended = lifecycle.StopStepEnded(bot.lifecycle.data.epoch, lifecycle.Outcome.DONE)
        bot = bots.step(bot, bots.LIFECYCLE, ended).bot
    return bot.lifecycle.state is L.STOPPED and all(link.state is C.CLOSED for link in bot.links)


def ready_is_settled_and_covered() -> bool:
    def is_ready(slot: Slot | None = None, **changed: Any) -> bool:
        bot = ready(slot, lifecycle=Snapshot(L.SYNC, LIFE), reconciliation=READING, **changed)
        unsettled = bots.step(bot, bots.PERMISSION, permission.ResumeRequested()).bot
        if unsettled.lifecycle.state is L.READY:
            return False
        settled = bots.step(bot, bots.RECONCILIATION, reconciliation.AccountCompared(7)).bot
        return settled.lifecycle.state is L.READY

    return (
        is_ready()
        and is_ready(slot=OPEN)
        and not is_ready(slot=NAKED)
        and not is_ready(missing=(("", "clock"),))
        and is_ready(missing=((KEY.instrument, "candles"),))
    )


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        "S1",
        "an entry is refused while anything is in the way, and made when nothing is",
        an_entry_is_refused_while_anything_is_in_the_way,
    ),
    Contract("R9.7", "what could not be sent now does not rest either", what_could_not_be_sent_does_not_rest),
    Contract("S12", "the closer takes the entry back", the_closer_takes_the_entry_back),
    Contract(
        "R3.3",
        "a stop for which the exchange knows no position is a doubt",
        a_stop_for_no_position_is_a_doubt,
    ),
    Contract(
        "R10.1",
        "trading is under control when nothing is in flight and a last look has shown what is left",
        trading_is_under_control_when_nothing_is_in_flight,
    ),
    Contract(
        "R10.1",
        "what fills while the bot flattens is closed too",
        what_fills_while_the_bot_flattens_is_closed_too,
    ),
    Contract("R2.3", "a position that grows has its stop", a_position_that_grows_has_its_stop),
    Contract("R6.4", "what was missed is read after a relogin", what_was_missed_is_read_after_a_relogin),
    Contract("R10.5", "the stop closes every connection", the_stop_closes_every_connection),
    Contract("S14", "READY is settled, covered, and lacks no fact of the bot", ready_is_settled_and_covered),
)
