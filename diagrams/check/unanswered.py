"""Rows of the tables that answer in no world of the default list, each with its reason.

A row is here because it defends against what our own router, desk or timers do not do, or against what no page of
the exchange allows; or because only a larger world reaches it, which is named. A run of the check holds the list to
what it found: a row that answers nowhere and is not here is a failure, and so is a defence that was needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from anchorwatch.diagrams.conformance import answer_of
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, dead_man, lifecycle, order, position, protection, reconciliation
from anchorwatch.machine.kernel import Definition, Event, Row, State, Verdict

C, D, L, O, P, Q, R = (  # noqa: E741 - the machines' own names for their states, side by side
    connection.S,
    dead_man.S,
    lifecycle.S,
    order.S,
    position.S,
    protection.S,
    reconciliation.S,
)


class Unanswered(msgspec.Struct, frozen=True):
    """Rows of one machine: these events in these states. ``when``: the guard's name; others of the cell are not meant."""

    machine: str
    events: tuple[type[Event], ...]
    states: tuple[State, ...]
    because: str
    when: str = ""
    world: str = ""  # of the thorough list, in which they answer

    def means(self, machine: str, row: Row) -> bool:
        guard = row.when.__name__ if row.when is not None else ""
        is_here = row.event in self.events and row.source in self.states
        return machine == self.machine and is_here and guard == self.when


UNSENT = (Q.ARMING, Q.NAKED, Q.BARRED, Q.GROWING, Q.MOVING, Q.TRIGGERED, Q.ESCALATING, Q.NONE)
FLOWN = "it was overtaken more often than the faults of any world here allow"

UNANSWERED: tuple[Unanswered, ...] = (
    # What we do not do ourselves.
    Unanswered(
        "lifecycle", (lifecycle.StopRequested,), (L.STOPPED,), "nothing is told to a bot whose process ends"
    ),
    Unanswered(
        "dead_man",
        (dead_man.SwitchWanted,),
        (D.FAILING, D.RETRYING),
        "no entry that rests is taken while the switch is shut, so nobody wants it anew",
    ),
    Unanswered(
        "dead_man",
        (dead_man.SwitchWanted,),
        (D.ARMED, D.OFF),
        "the router asks when the wish changes, and never of OFF",
    ),
    Unanswered(
        "dead_man",
        (dead_man.SwitchUnwanted,),
        (D.DISARMED, D.OFF),
        "the router asks when the wish changes, and never of OFF",
    ),
    Unanswered(
        "connection",
        (connection.ConnectRequested,),
        (*connection.LOSABLE, C.CLOSED),
        "the desk asks for those only that are refused or wait",
    ),
    Unanswered(
        "connection", (connection.CloseRequested,), (C.CLOSED,), "one step of the stop closes it, once"
    ),
    Unanswered(
        "order",
        (order.OrderRecovered,),
        order.FINAL,
        "memory is recalled once, before any order of this life",
    ),
    Unanswered(
        "order",
        order.CANCEL_ANSWERS,
        (O.LIVE, O.PARTIAL, O.AMENDING),
        "a cancel that was asked for is wanted until the end: the order is CANCELLING or in doubt",
    ),
    Unanswered(
        "order",
        (order.OrderDoubted,),
        (O.UNGUARDED,),
        "the loss of a connection withdraws it before it is back",
    ),
    Unanswered(
        "position", (position.PositionSeen,), position.HELD, "the desk tells it of a leg that is not held"
    ),
    Unanswered(
        "position",
        (position.ForeignSeen,),
        (*position.OURS, P.WATCHED),
        "the desk tells it of a leg of which nothing is booked",
    ),
    Unanswered(
        "position",
        (position.AbsenceSeen, position.EndConfirmed),
        (P.FLAT, P.ENTERING),
        "the desk tells it of a leg of which something is booked",
    ),
    Unanswered(
        "position",
        (position.ReadEnded,),
        (P.FLAT, P.ENTERING, P.OPEN, *position.GONE, P.WATCHED),
        "the desk drops a reading for which the closer does not wait any more",
    ),
    Unanswered(
        "position", (position.CloseEnded,), (P.ENTERING,), "no entry starts while a close is under way"
    ),
    Unanswered(
        "protection",
        (protection.CoverTooSmall, protection.BridgeWanted),
        UNSENT,
        "the desk asks for another size where one can be asked for",
    ),
    Unanswered(
        "protection",
        (protection.FillOverdue,),
        (*protection.UNCOVERED, *protection.COVERING, Q.ESCALATING),
        "its clock starts in TRIGGERED, from which only that clock and flat lead on",
    ),
    Unanswered(
        "protection",
        (protection.MoveWanted,),
        (Q.GROWING, Q.MOVING),
        "the desk asks for a level where it is covered",
    ),
    # What no page of the exchange allows.
    Unanswered(
        "order",
        (order.OrderPartlyFilled, order.OrderFilled),
        (O.CANCELLED, O.REFUSED, O.ABSENT, O.WITHDRAWN),
        "no page of OKX lets an order fill after its final report; should one, it is news",
    ),
    Unanswered(
        "order",
        (order.OrderRefused,),
        (O.LIVE, O.PARTIAL, O.AMENDING, O.CANCELLING, O.IN_DOUBT),
        "no page of OKX refuses an order that it has shown; of two words that differ neither is believed",
    ),
    Unanswered(
        "order",
        (order.AbsenceProven,),
        (O.LIVE, O.PARTIAL, O.AMENDING, O.CANCELLING),
        "absence is proven where OKX can take the order no more: one that was shown is in its lists",
    ),
    # What takes a larger world, or more faults than any world here has.
    Unanswered(
        "order",
        (order.OrderPartlyFilled,),
        (O.SENT,),
        "three faults: a cancel before the answer, and a push out of turn",
        when="is_cancel_wanted",
        world="cancelled out of turn",
    ),
    Unanswered(
        "position",
        (position.ConfirmationFailed, position.ConfirmationOverdue),
        (P.REDUCING,),
        "three faults: a part is taken while it is asked where the rest went",
        world="reduced and not shown",
    ),
    Unanswered(
        "reconciliation",
        (reconciliation.CheckDue,),
        (R.STALE,),
        "three faults: both private connections come back while the account is read",
        world="not shown, with links",
    ),
    Unanswered(
        "protection",
        (protection.CoverAdopted, protection.CoverWanted),
        (Q.GROWING,),
        "three faults: it grows while another one is found",
        world="exact stops at length",
    ),
    Unanswered(
        "protection",
        (
            protection.StopAnswerLost,
            protection.StopReadFailed,
            protection.StopRefused,
            protection.StopSeenLive,
        ),
        (Q.BARRED,),
        "five faults: answers to earlier tries",
        world="late tries at length",
    ),
    Unanswered(
        "protection",
        (protection.StopRefused,),
        (Q.COVERED,),
        "five faults: answers to earlier tries",
        world="late tries at length",
    ),
    Unanswered("protection", (protection.StopRefused,), (Q.GROWING, Q.MOVING), FLOWN),
    Unanswered("protection", (protection.CoverAdopted,), (Q.BARRED,), FLOWN),
    Unanswered("protection", (protection.BridgeWanted,), (Q.PENDING,), FLOWN),
    Unanswered("order", (order.AmendFruitless,), (O.PARTIAL,), FLOWN),
)


def rows() -> Iterator[tuple[Definition[Any], int, Row]]:
    """Every row of every table that may answer."""
    for definition in {one.name: one for one in bots.DEFINITIONS.values()}.values():
        for number, row in enumerate(definition.rows):
            if row.verdict is not Verdict.IMPOSSIBLE:
                yield definition, number, row


def reason_of(machine: str, row: Row) -> Unanswered | None:
    return next((one for one in UNANSWERED if one.means(machine, row)), None)


def words_of(machine: str, row: Row) -> str:
    guard = f" when {row.when.__name__}" if row.when is not None else ""
    return f"{machine}: {row.event.__name__} in {row.source.name}{guard}"


def summed(
    fired: Collection[tuple[str, int]], told: Collection[tuple[str, int]] | None = None
) -> dict[str, Any]:
    """How many rows have answered, and of those that have not which have a reason (``explained``) and which not (``missed``).

    ``needed`` are those that have answered although their reason says that nothing tells them; one that ignores whatever it
    is told may be there for reports of the past, so ``told`` are those that something told (all, where it is not given).
    ``answered`` has those that
    have, as the counted rows of a run (`conformance`), each once: a world meets each of its steps once.
    """
    total = 0
    answered: list[dict[str, Any]] = []
    explained: list[dict[str, str]] = []
    missed: list[str] = []
    needed: list[str] = []
    for definition, number, row in rows():
        total += 1
        reason, words = reason_of(definition.name, row), words_of(definition.name, row)
        if (definition.name, number) in fired:
            answered.append({**msgspec.structs.asdict(answer_of(definition.name, row)), "count": 1})
            is_told = told is None or (definition.name, number) in told
            if is_told and reason is not None and not reason.world and reason.because != FLOWN:
                needed.append(words)
        elif reason is None:
            missed.append(words)
        else:
            explained.append({"row": words, "because": reason.because, "world": reason.world})
    return {
        "fired": len(answered),
        "of": total,
        "missed": missed,
        "explained": explained,
        "needed": needed,
        "answered": answered,
    }
