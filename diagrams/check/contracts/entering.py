"""Whether an entry may go out: each thing that is in the way is in the way by itself, and nothing else is."""

from __future__ import annotations

from typing import Any

import msgspec

from anchorwatch.diagrams.check.contracts.driving import C, Contract, D, L, M, O, P, Q, R
from anchorwatch.diagrams.check.contracts.router import KEY, LIFE, OPEN, READING, ready
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, dead_man, order, permission, position, protection, reconciliation
from anchorwatch.machine.bot import Bot, Slot
from anchorwatch.machine.connection import Name
from anchorwatch.machine.kernel import Snapshot
from anchorwatch.machine.units import Conduct, LegKey, PositionMode, Side

OTHER_SIDE = LegKey(KEY.instrument, Side.SHORT)
ELSEWHERE = LegKey("ETH-USDT-SWAP", Side.LONG)
ENTRY = order.Order(order.Role.ENTRY, 7)
RESTING = order.Order(order.Role.ENTRY, 7, rests=True)


def _with(slot: Slot, **changed: Any) -> Slot:
    return msgspec.structs.replace(slot, **changed)


def _standing(slot: Slot) -> tuple[Bot, ...]:
    """Bots that trade but for one thing, which is in the way of every entry."""
    away = Snapshot(C.BACKING_OFF, connection.Link(Name.PRIVATE_BUSINESS, connection.Limits(), epoch=7))
    barred = Slot(
        position=Snapshot(P.OPEN, position.Leg()), protection=Snapshot(Q.BARRED, protection.Stop(1))
    )
    return (
        ready(slot, lifecycle=Snapshot(L.SYNC, LIFE)),
        ready(slot, lifecycle=Snapshot(L.STOPPING, LIFE)),
        ready(slot, permission=Snapshot(M.PAUSED, permission.Grant())),
        ready(slot, permission=Snapshot(M.HALTED, permission.Grant())),
        ready(slot, conduct=Conduct.WATCH),
        ready(slot, hands_off=(KEY.instrument,)),
        ready(slot, reconciliation=READING),
        ready(slot, links=(*ready().links[:-1], away)),
        ready(slot, missing=(("", "clock"),)),
        ready(slot, missing=((KEY.instrument, "candles"),)),
        ready(slot, legs=((KEY, slot), (ELSEWHERE, barred))),
    )


def _not_standing(slot: Slot) -> tuple[Bot, ...]:
    """Bots to which something has happened that concerns no entry of this leg."""
    return (
        ready(slot),
        ready(slot, hands_off=(ELSEWHERE.instrument,)),
        ready(slot, missing=((ELSEWHERE.instrument, "candles"),)),
        ready(slot, reconciliation=Snapshot(R.CHECKING, reconciliation.Reading(7))),
        ready(slot, legs=((KEY, slot), (ELSEWHERE, OPEN))),
        ready(slot, legs=((KEY, slot), (ELSEWHERE, OPEN)), mode=PositionMode.NET),
    )


def each_obstacle_shuts_entries_by_itself() -> bool:
    """R1.11, R9.7: READY, permission, connections, book and facts; and of the leg that nothing is left of what was.

    Each is named once: what a person reads is what is in the way.
    """
    flat = Slot()
    of_the_leg = (
        _with(flat, entry=Snapshot(O.PLANNED, ENTRY)),
        _with(flat, position=Snapshot(P.VANISHED, position.Leg())),
        _with(flat, position=Snapshot(P.WATCHED, position.Leg())),
        _with(flat, protection=Snapshot(Q.ARMING, protection.Stop(1))),
        _with(flat, close=Snapshot(O.IN_DOUBT, order.Order(order.Role.CLOSE, 7))),
    )
    return (
        all(len(bots.entry_obstacles(bot, KEY)) == 1 for bot in _standing(flat))
        and all(
            len(bots.entry_obstacles(ready(slot, mode=mode), KEY)) == 1
            for slot in of_the_leg
            for mode in PositionMode
        )
        and not any(bots.entry_obstacles(bot, KEY) for bot in _not_standing(flat))
    )


def the_other_side_is_in_the_way_where_the_position_is_one() -> bool:
    """S11: in net mode both sides are one position; in hedge mode only where it is not known whose the other is.

    So it is when an entry is planned, and in the last look at it or at its amendment: a person may have opened it since.
    """

    def looks(slot: Slot, mode: PositionMode) -> tuple[bool, ...]:
        planned, sent, amending = (
            ready(legs=((KEY, own), (OTHER_SIDE, slot)), mode=mode)
            for own in (
                Slot(),
                Slot(entry=Snapshot(O.SENT, ENTRY)),
                Slot(entry=Snapshot(O.AMENDING, RESTING)),
            )
        )
        return (
            bool(bots.entry_obstacles(planned, KEY)),
            bool(bots.may_still_send(sent, KEY, 7)),
            bool(bots.may_still_amend(amending, KEY, 7)),
        )

    def is_shut(slot: Slot, mode: PositionMode) -> bool:
        return all(looks(slot, mode))

    def is_open(slot: Slot, mode: PositionMode) -> bool:
        return not any(looks(slot, mode))

    flat = Slot()
    entering = Slot(entry=Snapshot(O.SENT, ENTRY))
    unsure = tuple(
        Slot(position=Snapshot(state, position.Leg())) for state in (P.WATCHED, P.VANISHED, P.UNEXPLAINED)
    )
    net, hedge = PositionMode.NET, PositionMode.HEDGE
    return (
        is_shut(OPEN, net)
        and is_shut(entering, net)
        and is_open(flat, net)
        and is_open(flat, hedge)
        and is_open(OPEN, hedge)
        and is_open(entering, hedge)
        and all(is_shut(slot, mode) for slot in unsure for mode in (net, hedge))
    )


def what_is_added_to_is_open_and_covered() -> bool:
    """S4, S8: a further order of the same wish waits for the last one, and for the stop of what is there."""
    of_the_leg = (
        Slot(),
        _with(OPEN, position=Snapshot(P.REDUCING, position.Leg())),
        _with(OPEN, position=Snapshot(P.CLOSING, position.Leg())),
        _with(OPEN, protection=Snapshot(Q.NAKED, protection.Stop(1))),
        _with(OPEN, protection=Snapshot(Q.DOUBTFUL, protection.Stop(1))),
        _with(OPEN, entry=Snapshot(O.LIVE, ENTRY)),
    )
    return (
        all(bots.adding_obstacles(bot, KEY) for bot in _standing(OPEN))
        and all(bots.adding_obstacles(ready(slot), KEY) for slot in of_the_leg)
        and not any(bots.adding_obstacles(bot, KEY) for bot in _not_standing(OPEN))
    )


def the_last_look_before_the_wire_sees_what_has_changed() -> bool:
    """S1: what shuts entries stops one that is planned; so does its cancel, and an order that came after it."""
    sent, amending = Slot(entry=Snapshot(O.SENT, ENTRY)), Slot(entry=Snapshot(O.AMENDING, RESTING))
    sent_to_rest = Slot(entry=Snapshot(O.SENT, RESTING))
    unwanted = msgspec.structs.replace(ENTRY, cancel_wanted=True)
    unwanted_resting = msgspec.structs.replace(RESTING, cancel_wanted=True)
    failing = Snapshot(D.FAILING, dead_man.Switch())
    send, amend = bots.may_still_send, bots.may_still_amend
    return (
        not any(send(bot, KEY, 7) for bot in (*_not_standing(sent), ready(sent, dead_man=failing)))
        and not any(amend(bot, KEY, 7) for bot in _not_standing(amending))
        and all(send(bot, KEY, 7) for bot in _standing(sent))
        and all(amend(bot, KEY, 7) for bot in _standing(amending))
        and bool(send(ready(sent_to_rest, dead_man=failing), KEY, 7))
        and bool(amend(ready(amending, dead_man=failing), KEY, 7))
        and bool(send(ready(sent), KEY, 6) and amend(ready(amending), KEY, 6))
        and bool(send(ready(Slot(entry=Snapshot(O.SENT, unwanted))), KEY, 7))
        and bool(amend(ready(Slot(entry=Snapshot(O.AMENDING, unwanted_resting))), KEY, 7))
        and bool(send(ready(Slot(entry=Snapshot(O.WITHDRAWN, ENTRY))), KEY, 7))
        and bool(amend(ready(Slot(entry=Snapshot(O.LIVE, RESTING))), KEY, 7))
    )


CONTRACTS: tuple[Contract, ...] = (
    Contract("R9.7", "each obstacle shuts entries by itself", each_obstacle_shuts_entries_by_itself),
    Contract(
        "S11",
        "the other side is in the way where the position is one",
        the_other_side_is_in_the_way_where_the_position_is_one,
    ),
    Contract("S8", "what is added to is open and covered", what_is_added_to_is_open_and_covered),
    Contract(
        "S1",
        "the last look before the wire sees what has changed",
        the_last_look_before_the_wire_sees_what_has_changed,
    ),
)
