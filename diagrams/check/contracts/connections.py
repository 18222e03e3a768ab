"""The connections, in the mission's words."""

from __future__ import annotations

from typing import Any

import msgspec

from anchorwatch.diagrams.check.contracts.driving import C, Contract, leads, step
from anchorwatch.machine import (
    connection,
)
from anchorwatch.machine.bot import Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.kernel import Effect, Event, Snapshot

# R6, R7: connections.

LINK = connection.Link(Name.PRIVATE, connection.Limits(), epoch=7)


def ten_retries_with_their_waits() -> bool:
    """5, 10, 20, 40, 80, 160, then 300 s; after ten a person is told, and it goes on."""
    snapshot, waits = Snapshot(C.DIALING, LINK), []
    for _ in range(11):
        snapshot, effects = step(Part.CONNECTION, snapshot, connection.SocketLost(snapshot.data.epoch, "x"))
        waits += [one.seconds for one in effects if isinstance(one, connection.StartWait)]
        if not any(isinstance(one, connection.AbandonEpoch) for one in effects):
            return False
        exhausted = snapshot.state is C.EXHAUSTED and any(
            isinstance(one, connection.RaiseAlarm) for one in effects
        )
        snapshot, _ = step(Part.CONNECTION, snapshot, connection.WaitElapsed(snapshot.data.epoch))
        if snapshot.state is not C.DIALING:
            return False
    return waits == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300] and exhausted


def every_open_connection_may_be_lost() -> bool:
    open_ = (C.DIALING, C.LOGGING_IN, C.SUBSCRIBING, C.LIVE, C.PROBING, C.REPLACING)
    lost = leads(Part.CONNECTION, open_, LINK, connection.SocketLost(7), C.BACKING_OFF, connection.StartWait)
    silent = leads(
        Part.CONNECTION, C.PROBING, LINK, connection.PongMissed(7), C.BACKING_OFF, connection.StartWait
    )
    return lost and silent


def every_connection_is_exhausted_at_the_limit() -> bool:
    tired = msgspec.structs.replace(LINK, failures=LINK.limits.attempts_max)
    lost = leads(
        Part.CONNECTION, connection.LOSABLE, tired, connection.SocketLost(7), C.EXHAUSTED, connection.StartWait,
        connection.RaiseAlarm,
    )  # fmt: skip
    silent = leads(
        Part.CONNECTION, C.PROBING, tired, connection.PongMissed(7), C.EXHAUSTED, connection.StartWait
    )
    hindered = all(
        leads(
            Part.CONNECTION,
            connection.HINDERED,
            link,
            event,
            dest,
            connection.StartWait,
            connection.AbandonEpoch,
        )
        for link, dest in ((LINK, C.BACKING_OFF), (tired, C.EXHAUSTED))
        for event in (connection.Hindered(7, hindrance) for hindrance in connection.Hindrance)
    )
    return lost and silent and hindered


def subscriptions_are_restored() -> bool:
    """Dialled, logged in where that is needed, subscribed, and live only when all of it is confirmed."""
    for name in Name:
        link = msgspec.structs.replace(LINK, name=name)
        events: list[Event] = [connection.SocketOpened(7)]
        events += [connection.LoginAccepted(7)] if name.is_private else []
        asked: list[Effect] = []
        snapshot: Snapshot[Any] = Snapshot(C.DIALING, link)
        for event in events:
            snapshot, effects = step(Part.CONNECTION, snapshot, event)
            asked += effects
        wanted = [connection.LogIn, connection.Subscribe] if name.is_private else [connection.Subscribe]
        if [type(one) for one in asked] != wanted or snapshot.state is not C.SUBSCRIBING:
            return False
        if not leads(
            Part.CONNECTION,
            C.SUBSCRIBING,
            link,
            connection.ChannelsConfirmed(7),
            C.LIVE,
            connection.StartListening,
        ):
            return False
    return True


def the_count_is_forgotten_when_live_has_lasted() -> bool:
    failed = msgspec.structs.replace(LINK, failures=3)
    confirmed, _ = step(Part.CONNECTION, Snapshot(C.SUBSCRIBING, failed), connection.ChannelsConfirmed(7))
    lasted, _ = step(Part.CONNECTION, confirmed, connection.LiveLasted(7))
    return confirmed.data.failures == 3 and lasted.data.failures == 0 and lasted.state is C.LIVE


def silence_is_not_health() -> bool:
    probing = leads(
        Part.CONNECTION, C.LIVE, LINK, connection.SilenceNoticed(7), C.PROBING, connection.SendPing
    )
    return probing and leads(
        Part.CONNECTION, C.PROBING, LINK, connection.FrameSeen(7), C.LIVE, connection.StartListening
    )


def what_hinders_is_told_once() -> bool:
    """What stands in the way of a connection is told once, and the attempts go on with their waits."""
    for state in connection.HINDERED:
        for hindrance in connection.Hindrance:
            hindered = connection.Hindered(7, hindrance)
            told, first = step(Part.CONNECTION, Snapshot(state, LINK), hindered)
            known = msgspec.structs.replace(told.data, epoch=7)
            again, second = step(Part.CONNECTION, Snapshot(state, known), hindered)
            if (told.state, again.state) != (C.BACKING_OFF, C.BACKING_OFF):
                return False
            waits = [any(isinstance(one, connection.StartWait) for one in asked) for asked in (first, second)]
            alarms = [
                any(isinstance(one, connection.RaiseAlarm) for one in asked) for asked in (first, second)
            ]
            if waits != [True, True] or alarms != [True, False]:
                return False
    return True


def a_refused_login_waits_for_a_person() -> bool:
    refused = leads(
        Part.CONNECTION,
        (C.LOGGING_IN, C.REPLACING),
        LINK,
        connection.LoginRefused(7),
        C.REFUSED,
        connection.RaiseAlarm,
    )
    asked = leads(
        Part.CONNECTION,
        (C.IDLE, C.REFUSED, C.BACKING_OFF, C.EXHAUSTED),
        LINK,
        connection.ConnectRequested(),
        C.DIALING,
        connection.OpenSocket,
    )
    return refused and asked


def an_upgrade_replaces_before_it_drops() -> bool:
    replacing, asked = step(Part.CONNECTION, Snapshot(C.LIVE, LINK), connection.UpgradeNoticed(7))
    if not connection.delivers(replacing) or not any(isinstance(one, connection.OpenSocket) for one in asked):
        return False
    opening = leads(
        Part.CONNECTION,
        C.REPLACING,
        replacing.data,
        connection.SocketOpened(8),
        C.REPLACING,
        connection.LogIn,
    ) and leads(
        Part.CONNECTION,
        C.REPLACING,
        replacing.data,
        connection.LoginAccepted(8),
        C.REPLACING,
        connection.Subscribe,
    )
    public = msgspec.structs.replace(replacing.data, name=Name.PUBLIC)
    opening = opening and leads(
        Part.CONNECTION, C.REPLACING, public, connection.SocketOpened(8), C.REPLACING, connection.Subscribe
    )
    if not opening:
        return False
    live, asked = step(Part.CONNECTION, replacing, connection.ChannelsConfirmed(replacing.data.epoch))
    old, given_up = step(Part.CONNECTION, replacing, connection.SocketLost(7))
    return (
        live.state is C.LIVE
        and any(isinstance(one, connection.AbandonEpoch) and one.epoch == 7 for one in asked)
        and old.state is C.REPLACING
        and given_up == (connection.AbandonEpoch(Name.PRIVATE, 7),)
    )


def closing_is_final() -> bool:
    states = tuple(s for s in C if s is not C.CLOSED)
    return leads(
        Part.CONNECTION, states, LINK, connection.CloseRequested(), C.CLOSED, connection.AbandonEpoch
    )


CONTRACTS: tuple[Contract, ...] = (
    Contract("R10.5", "connections are closed for good", closing_is_final),
    Contract("R6.1", "the attempt limit, and 5, 10, 20, 40 … at most 300 s", ten_retries_with_their_waits),
    Contract(
        "R1.4",
        "a socket that fails is retried by its own machine, never forgotten",
        every_open_connection_may_be_lost,
    ),
    Contract("R6.4", "subscriptions are restored", subscriptions_are_restored),
    Contract(
        "R6.5",
        "the attempt counter is reset after a successful reconnect",
        the_count_is_forgotten_when_live_has_lasted,
    ),
    Contract("R7.1", "silence is noticed, and answered by a frame", silence_is_not_health),
    Contract("R6.1", "what hinders a connection is told once, and it goes on", what_hinders_is_told_once),
    Contract("R6.2", "a refused login is not a drop", a_refused_login_waits_for_a_person),
    Contract(
        "R6.3",
        "the old socket is closed; at an upgrade the replacement comes first",
        an_upgrade_replaces_before_it_drops,
    ),
    Contract(
        "R6.1",
        "after ten attempts a person is told, and it goes on",
        every_connection_is_exhausted_at_the_limit,
    ),
)
