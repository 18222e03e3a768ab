"""What one machine asks of another, and what follows from several together: each step of it, in the mission's words."""

from __future__ import annotations

from typing import Any

import msgspec

from anchorwatch.diagrams.check.contracts.driving import C, Contract, D, L, O, P, Q, R
from anchorwatch.diagrams.check.contracts.router import (
    KEY,
    LIFE,
    NAKED,
    OPEN,
    READING,
    RESTING,
    asks,
    is_deciding,
    ready,
    stopped,
)
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
from anchorwatch.machine.kernel import Event, Snapshot, State

ENTRY, CLOSE = order.Order(order.Role.ENTRY, 7), order.Order(order.Role.CLOSE, 7)
TO_REST = order.Order(order.Role.ENTRY, 7, rests=True)


def _tell(bot: Bot, part: Part, event: Event) -> Bot:
    leg = KEY if part in (Part.ENTRY, Part.CLOSE, Part.POSITION, Part.PROTECTION) else None
    return bots.step(bot, bots.Address(part, leg=leg), event).bot


def _with(slot: Slot, **changed: Any) -> Slot:
    return msgspec.structs.replace(slot, **changed)


def what_is_asked_of_another_machine_is_told_outside_too() -> bool:
    """The book, the journal and the shell act on it: a stage is run, a leg is closed, its end is booked."""
    closing = _with(OPEN, position=Snapshot(P.CLOSING, position.Leg()), close=Snapshot(O.SENT, CLOSE))
    starting = ready(lifecycle=Snapshot(L.MODULES, LIFE))
    return (
        asks(ready(OPEN), Part.POSITION, position.CloseWanted("x"), position.StartClose)
        and asks(ready(OPEN), Part.POSITION, position.ReduceWanted("x"), position.StartReduce)
        and asks(ready(closing), Part.CLOSE, order.OrderFilled(7), order.OrderEnded)
        and asks(ready(NAKED), Part.PROTECTION, protection.NakedTooLong(), protection.AskForClose)
        and asks(ready(OPEN), Part.POSITION, position.EndConfirmed("x"), position.EndLeg)
        and asks(starting, Part.LIFECYCLE, lifecycle.StageDone(7), lifecycle.RunStage)
        and asks(ready(OPEN), Part.LIFECYCLE, lifecycle.StopRequested("x"), lifecycle.RunStopStep)
        and asks(ready(), Part.RECONCILIATION, reconciliation.BookDoubted("x"), reconciliation.ReadAccount)
    )


def a_leg_that_ends_loses_its_stops_and_an_order_that_ends_is_its_leg_s() -> bool:
    """S10, R3.2: what is flat has every stop swept; an entry that ends and has filled nothing leaves nothing."""
    over = asks(ready(OPEN), Part.POSITION, position.EndConfirmed("x"), protection.SweepAll)
    entering = Slot(entry=Snapshot(O.SENT, ENTRY), position=Snapshot(P.ENTERING, position.Leg()))
    refused = _tell(ready(entering), Part.ENTRY, order.OrderRefused(7))
    closing = _with(OPEN, position=Snapshot(P.CLOSING, position.Leg()), close=Snapshot(O.SENT, CLOSE))
    read = asks(ready(closing), Part.CLOSE, order.OrderFilled(7), position.ReadPosition)
    added = _with(OPEN, position=Snapshot(P.CLOSING, position.Leg()), entry=Snapshot(O.CANCELLING, ENTRY))
    not_its = asks(ready(added), Part.ENTRY, order.OrderCancelled(7), position.ReadPosition)
    return over and refused.slot(KEY).position.state is P.FLAT and read and not not_its


def a_leg_has_one_closing_order() -> bool:
    """S12: a reason to close that comes while one is under way makes no other."""
    closing = _with(OPEN, close=Snapshot(O.SENT, CLOSE))
    return not asks(ready(closing), Part.POSITION, position.CloseWanted("x"), order.RecordIntent) and asks(
        ready(OPEN), Part.POSITION, position.CloseWanted("x"), order.RecordIntent
    )


def what_is_being_asked_about_is_not_doubted_again() -> bool:
    """L8: entries are shut while the account is read; a stop that finds no position is news once."""
    gone = Slot(
        position=Snapshot(P.VANISHED, position.Leg()), protection=Snapshot(Q.ARMING, protection.Stop(7))
    )
    refused = protection.StopRefused(7, protection.Refusal.NO_POSITION)
    return not asks(ready(gone), Part.PROTECTION, refused, reconciliation.ReadAccount)


def the_start_connects_and_reads_everything() -> bool:
    """R1.4, R1.9: every connection is asked for, all four together; the account and every order of ours are read, once."""
    idle = tuple(connection.idle(name, connection.Limits()) for name in Name)
    modules = ready(
        lifecycle=Snapshot(L.MODULES, LIFE),
        links=idle,
        reconciliation=Snapshot(R.UNKNOWN, reconciliation.Reading()),
    )
    connecting = _tell(modules, Part.LIFECYCLE, lifecycle.StageDone(7))
    if connecting.lifecycle.state is not L.WS or any(
        link.state is not C.DIALING for link in connecting.links
    ):
        return False
    if connecting.reconciliation.state is not R.UNKNOWN:
        return False
    live = _with_links(ready(lifecycle=Snapshot(L.WS, LIFE)), ready().links)
    here = _tell(live, Part.PERMISSION, permission.ResumeRequested())
    almost = (*ready().links[:-1], idle[-1])
    waiting = _tell(_with_links(live, almost), Part.PERMISSION, permission.ResumeRequested())
    held = Slot(entry=Snapshot(O.LIVE, ENTRY), close=Snapshot(O.LIVE, CLOSE))
    before = ready(
        held,
        lifecycle=Snapshot(L.POSITIONS, LIFE),
        reconciliation=Snapshot(R.UNKNOWN, reconciliation.Reading()),
    )
    synced = bots.step(before, bots.LIFECYCLE, lifecycle.StageDone(7))
    asked = [type(one.effect) for one in synced.effects]
    elsewhere = _tell(
        ready(held, lifecycle=Snapshot(L.CANDLES, LIFE)), Part.LIFECYCLE, lifecycle.StageDone(7)
    )
    return (
        here.lifecycle.state is L.SAFETY
        and waiting.lifecycle.state is L.WS
        and synced.bot.lifecycle.state is L.SYNC
        and asked.count(reconciliation.ReadAccount) == 1
        and asked.count(order.QueryOrder) == 2
        and all(link.state is C.LIVE for link in synced.bot.links)
        and elsewhere.slot(KEY).entry.state is O.LIVE
    )


def _with_links(bot: Bot, links: tuple[Snapshot[connection.Link], ...]) -> Bot:
    return msgspec.structs.replace(bot, links=links)


def the_stop_takes_back_what_may_rest_and_flattens_when_asked() -> bool:
    """R10.1: entries are cancelled, positions are left to their stops, unless it was asked to close them: then it halts."""
    both = _with(OPEN, entry=Snapshot(O.LIVE, TO_REST))
    left, flattened = stopped(ready(both)), stopped(ready(both, flattens=True))
    reducing = _with(OPEN, position=Snapshot(P.REDUCING, position.Leg()))
    in_doubt = Slot(close=Snapshot(O.IN_DOUBT, CLOSE))
    return (
        left.slot(KEY).entry.state is O.CANCELLING
        and left.slot(KEY).position.state is P.OPEN
        and left.permission.state is permission.S.OPEN
        and flattened.slot(KEY).position.state is P.CLOSING
        and flattened.permission.state is permission.S.HALTED
        and stopped(ready(reducing, flattens=True)).slot(KEY).position.state is P.CLOSING
        and is_deciding(stopped(ready(in_doubt)))
    )


def trading_control_waits_for_the_switch_for_cover_and_for_flat() -> bool:
    """R10.1, S15, S16: nothing of ours is left running, uncovered, or open where it was asked to be closed."""
    armed = ready(dead_man=Snapshot(D.DISARMING, dead_man.Switch(7)))
    gone = Slot(
        position=Snapshot(P.VANISHED, position.Leg()), protection=Snapshot(Q.COVERED, protection.Stop(1))
    )
    flattening = ready(gone, flattens=True)
    if not all(is_deciding(stopped(bot)) for bot in (armed, flattening, ready(NAKED))):
        return False
    if is_deciding(stopped(ready(flattens=True))) or is_deciding(stopped(ready(reconciliation=READING))):
        return False  # nothing of ours is there: no reading is waited for
    uncovered = stopped(ready(NAKED))
    if uncovered.reconciliation.state is not R.SETTLED:
        return False  # a last look is for what is quiet
    if stopped(flattening).has_looked:
        return False
    looking = stopped(ready(OPEN))
    undisturbed = looking
    for _ in range(2):
        undisturbed = _tell(undisturbed, Part.POSITION, position.PositionSeen())
    if undisturbed != looking:
        return False  # one look is enough while nothing happens
    disturbed = _tell(looking, Part.PROTECTION, protection.StopGone(1))
    read = _tell(
        disturbed, Part.RECONCILIATION, reconciliation.AccountCompared(looking.reconciliation.data.seq)
    )
    again = _tell(read, Part.PROTECTION, protection.CoverAdopted(11))
    return (
        looking.has_looked
        and not disturbed.has_looked
        and is_deciding(read)
        and again.reconciliation.state is R.READING  # what was seen before it was disturbed says nothing
    )


def what_is_decided_on_the_stop_is_decided_in_its_first_step() -> bool:
    """R10.1: no new decisions after it, and before the stop nothing is closed because of it; each step ends by itself."""
    flattens, quiet = ready(OPEN, flattens=True), stopped(ready())
    starting = msgspec.structs.replace(flattens, lifecycle=Snapshot(L.SAFETY, LIFE))
    later = msgspec.structs.replace(flattens, lifecycle=quiet.lifecycle)
    nothing_new = permission.ResumeRequested()
    return (
        not is_deciding(quiet)
        and all(
            _tell(bot, Part.PERMISSION, nothing_new).slot(KEY).position.state is P.OPEN
            for bot in (flattens, starting, later)
        )
        and _tell(quiet, Part.PERMISSION, nothing_new).lifecycle == quiet.lifecycle
    )


def an_entry_begins_a_position_and_what_is_added_does_not() -> bool:
    """R2.2, S4: the order of a wish is planned with its leg ENTERING; a further one leaves the leg as it is."""
    entered = _tell(ready(), Part.ENTRY, bots.EntryWanted())
    added = _tell(ready(OPEN), Part.ENTRY, bots.EntryWanted(adds=True))
    onto_nothing = _tell(ready(), Part.ENTRY, bots.EntryWanted(adds=True))
    return (
        (entered.slot(KEY).entry.state, entered.slot(KEY).position.state) == (O.PLANNED, P.ENTERING)
        and (added.slot(KEY).entry.state, added.slot(KEY).position.state) == (O.PLANNED, P.OPEN)
        and onto_nothing.slot(KEY).entry.state is O.IDLE
    )


def a_fact_is_missing_from_its_loss_until_it_is_gained() -> bool:
    """R9.7: each fact for itself, however often its loss is told."""
    bot = ready()
    for event in (bots.FactLost("", "clock"), bots.FactLost("", "clock"), bots.FactLost("", "limits")):
        bot = _tell(bot, Part.LIFECYCLE, event)
    both = bot.missing
    one = _tell(bot, Part.LIFECYCLE, bots.FactGained("", "clock"))
    none = _tell(one, Part.LIFECYCLE, bots.FactGained("", "limits"))
    return (both, one.missing, none.missing) == ((("", "clock"), ("", "limits")), (("", "limits"),), ())


def what_rests_goes_out_under_a_countdown_that_runs() -> bool:
    """S16, mission on resting orders: asked for when one is planned, sent when it runs, ended when none rests."""
    unguarded = Slot(entry=Snapshot(O.UNGUARDED, TO_REST), position=Snapshot(P.ENTERING, position.Leg()))
    disarmed = Snapshot(D.DISARMED, dead_man.Switch(6))
    armed = Snapshot(D.ARMED, dead_man.Switch(7, is_wanted=True))
    arming = Snapshot(D.ARMING, dead_man.Switch(7, is_wanted=True))
    off, unknown = Snapshot(D.OFF, dead_man.Switch(7)), Snapshot(D.UNKNOWN, dead_man.Switch())
    nothing_new = permission.ResumeRequested()

    def switch(bot: Bot) -> State:
        return _tell(bot, Part.PERMISSION, nothing_new).dead_man.state

    planned = Slot(entry=Snapshot(O.PLANNED, TO_REST))
    ended = Slot(entry=Snapshot(O.CANCELLED, TO_REST))
    plain = Slot(entry=Snapshot(O.LIVE, ENTRY))
    not_yet = _tell(ready(unguarded, dead_man=arming), Part.PERMISSION, nothing_new)
    runs = asks(ready(unguarded, dead_man=arming), Part.DEAD_MAN, dead_man.RenewalTaken(7), order.SendOrder)
    is_off = asks(ready(unguarded, dead_man=off), Part.PERMISSION, nothing_new, order.SendOrder)
    early = ready(plain, dead_man=unknown, lifecycle=Snapshot(L.CLIENT, LIFE))
    return (
        switch(ready(planned, dead_man=disarmed)) is D.ARMING
        and switch(ready(planned, dead_man=armed)) is D.ARMED
        and switch(ready(ended, dead_man=armed)) is D.DISARMING
        and switch(ready(ended, dead_man=disarmed)) is D.DISARMED
        and switch(ready(plain, dead_man=disarmed)) is D.DISARMED
        and switch(ready(dead_man=unknown)) is D.DISARMING
        and switch(early) is D.UNKNOWN
        and not_yet.slot(KEY).entry.state is O.UNGUARDED
        and runs
        and is_off
    )


def only_a_stream_of_the_account_that_comes_back_is_a_doubt() -> bool:
    """R6.4: what was pushed while it was away is lost; of a stream of the market, or of one that goes, nothing is."""

    def links(name: Name, state: connection.S) -> tuple[Snapshot[connection.Link], ...]:
        other = Snapshot(state, connection.Link(name, connection.Limits(), epoch=7))
        return tuple(other if link.data.name is name else link for link in ready().links)

    def doubts(name: Name, state: connection.S, event: Event, stage: lifecycle.S = L.READY) -> bool:
        before = ready(links=links(name, state), lifecycle=Snapshot(stage, LIFE))
        after = bots.step(before, bots.Address(Part.CONNECTION, link=name), event).bot
        return after.reconciliation.state is R.READING

    back, gone = connection.ChannelsConfirmed(7), connection.SocketLost(7)
    return (
        doubts(Name.PRIVATE, C.SUBSCRIBING, back)
        and doubts(Name.PRIVATE_BUSINESS, C.SUBSCRIBING, back)
        and not doubts(Name.PUBLIC, C.SUBSCRIBING, back)
        and not doubts(Name.PRIVATE, C.LIVE, gone)
        and not doubts(Name.PRIVATE, C.DIALING, connection.SocketOpened(7))
        and not doubts(Name.PRIVATE, C.LIVE, connection.SilenceNoticed(7))
        and not doubts(Name.PRIVATE, C.SUBSCRIBING, back, L.SAFETY)
    )


def a_cancel_is_asked_for_once_and_of_what_rests() -> bool:
    """R9.7: what is over, asked to be cancelled, or takes what there is at once is let be."""
    halted = permission.HaltRequested("x")
    plain = Slot(entry=Snapshot(O.LIVE, ENTRY))
    asked = Slot(entry=Snapshot(O.IN_DOUBT, msgspec.structs.replace(TO_REST, cancel_wanted=True)))
    over = Slot(entry=Snapshot(O.CANCELLED, TO_REST))
    let_be = all(
        bots.step(ready(slot), bots.PERMISSION, halted).bot.slot(KEY) == slot for slot in (plain, asked, over)
    )
    return let_be and asks(
        ready(RESTING, dead_man=Snapshot(D.ARMED, dead_man.Switch(7, is_wanted=True))),
        Part.PERMISSION,
        halted,
        order.CancelOrder,
    )


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        "R3.2",
        "what is asked of another machine is told outside too",
        what_is_asked_of_another_machine_is_told_outside_too,
    ),
    Contract(
        "S10",
        "a leg that ends loses its stops, and an order that ends is its leg's",
        a_leg_that_ends_loses_its_stops_and_an_order_that_ends_is_its_leg_s,
    ),
    Contract("S12", "a leg has one closing order", a_leg_has_one_closing_order),
    Contract(
        "L8", "what is being asked about is not doubted again", what_is_being_asked_about_is_not_doubted_again
    ),
    Contract("R1.4", "the start connects and reads everything", the_start_connects_and_reads_everything),
    Contract(
        "R10.1",
        "the stop takes back what may rest, and flattens when asked",
        the_stop_takes_back_what_may_rest_and_flattens_when_asked,
    ),
    Contract(
        "S15",
        "trading control waits for the switch, for cover and for flat",
        trading_control_waits_for_the_switch_for_cover_and_for_flat,
    ),
    Contract(
        "R10.1",
        "what is decided on the stop is decided in its first step",
        what_is_decided_on_the_stop_is_decided_in_its_first_step,
    ),
    Contract(
        "S4",
        "an entry begins a position, and what is added does not",
        an_entry_begins_a_position_and_what_is_added_does_not,
    ),
    Contract(
        "R9.7",
        "a fact is missing from its loss until it is gained",
        a_fact_is_missing_from_its_loss_until_it_is_gained,
    ),
    Contract(
        "S16",
        "what rests goes out under a countdown that runs",
        what_rests_goes_out_under_a_countdown_that_runs,
    ),
    Contract(
        "R6.4",
        "only a stream of the account that comes back is a doubt",
        only_a_stream_of_the_account_that_comes_back_is_a_doubt,
    ),
    Contract(
        "R9.7", "a cancel is asked for once, and of what rests", a_cancel_is_asked_for_once_and_of_what_rests
    ),
)
