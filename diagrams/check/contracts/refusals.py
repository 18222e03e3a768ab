"""What cannot happen is an error and stops the bot: no answer without a question, no word of what is not there.

Every cell of a table is a row, an ignored row with its reason, or an error: a bot that ignores what cannot be
believes in a world that is not the one outside. For each event it is said where it can be heard at all; in
every other state it is refused out loud.
"""

from __future__ import annotations

from collections.abc import Iterable

from anchorwatch.diagrams.check.contracts.driving import C, Contract, D, L, O, P, R, is_refused
from anchorwatch.machine import connection, dead_man, lifecycle, order, position, reconciliation
from anchorwatch.machine.bot import Part
from anchorwatch.machine.connection import Limits, Link, Name
from anchorwatch.machine.kernel import Data, Event, State
from anchorwatch.machine.order import Order, Role

LINK = Link(Name.PRIVATE, Limits(), 3)
OF_EARLIER = Link(Name.PRIVATE, Limits(), 3, spare=2)
ENTRY = Order(Role.ENTRY, 7)
LIFE = lifecycle.Life(lifecycle.Limits(), 5, 5)

Heard = tuple[tuple[tuple[Event, ...], tuple[State, ...]], ...]
"""Events, and the states in which each of them may be heard."""


def _nowhere_else(part: Part, states: Iterable[State], data: Data, heard: Heard) -> bool:
    every = tuple(states)
    return all(
        is_refused(part, [state for state in every if state not in there], data, event)
        for events, there in heard
        for event in events
    )


def an_order_has_answers_to_what_was_asked() -> bool:
    """Of an order the exchange speaks once it was sent; of a cancel, an amendment, a query once it was asked for."""
    journal = (order.IntentRecorded(7), order.IntentFailed(7))
    sent = (order.OrderAcknowledged(7), order.OrderRefused(7), order.AnswerLost(7))
    reports = (
        order.OrderSeenLive(7), order.OrderPartlyFilled(7), order.OrderFilled(7), order.OrderCancelled(7),
    )  # fmt: skip
    later = (
        order.CancelAcknowledged(7), order.CancelFruitless(7), order.CancelFailed(7),
        order.AmendAcknowledged(7), order.AmendRefused(7), order.AmendFruitless(7),
        order.QueryDue(7), order.QueryInconclusive(7), order.AbsenceProven(7),
    )  # fmt: skip
    unsent = (O.IDLE, O.PLANNED, O.UNGUARDED)
    on_the_wire = tuple(state for state in O if state not in unsent)
    answered_once = tuple(state for state in on_the_wire if state is not O.SENT)
    heard: Heard = (
        (journal, (O.PLANNED, O.WITHDRAWN)),
        ((order.GuardRuns(7),), (O.UNGUARDED,)),
        ((order.WriteDenied(7),), (O.SENT,)),
        ((*sent, *reports), on_the_wire),
        (later, answered_once),
        (
            (order.OrderWanted(8, Role.ENTRY), order.OrderRecovered(8, Role.ENTRY)),
            (O.IDLE, O.FILLED, O.CANCELLED, O.REFUSED, O.ABSENT, O.WITHDRAWN),
        ),
        ((order.CancelWanted(7), order.RepriceWanted(7), order.OrderDoubted(7)), tuple(O)),
    )
    return _nowhere_else(Part.ENTRY, O, ENTRY, heard)


def a_switch_has_one_request_or_one_timer() -> bool:
    """S16: what is said of the countdown is the answer to the one request, or the one timer, that there is."""
    asked = (D.ARMING, D.RENEWING, D.RETRYING)
    heard: Heard = (
        ((dead_man.RenewalTaken(7), dead_man.RenewalFailed(7)), (*asked, D.OFF)),
        ((dead_man.DisarmTaken(7), dead_man.DisarmFailed(7)), (D.DISARMING, D.OFF)),
        ((dead_man.RenewalDue(7),), (D.ARMED, D.FAILING, D.OFF)),
    )
    return _nowhere_else(Part.DEAD_MAN, D, dead_man.Switch(7), heard)


def a_socket_speaks_while_it_is_there() -> bool:
    """R6.3: open, then logged in, then subscribed, then live; of a socket that is gone nothing is heard."""
    opening = (C.DIALING, C.REPLACING)
    live = (C.LIVE, C.PROBING, C.REPLACING)
    heard: Heard = (
        ((connection.SocketOpened(3),), opening),
        ((connection.LoginAccepted(3), connection.LoginRefused(3)), (C.LOGGING_IN, C.REPLACING)),
        ((connection.ChannelsConfirmed(3),), (C.SUBSCRIBING, C.REPLACING)),
        ((connection.SilenceNoticed(3), connection.FrameSeen(3), connection.LiveLasted(3)), live),
        ((connection.PongMissed(3),), (C.LIVE, C.PROBING)),
        ((connection.UpgradeNoticed(3),), (C.LOGGING_IN, C.SUBSCRIBING, *live)),
        ((connection.WaitElapsed(3),), (C.BACKING_OFF, C.EXHAUSTED)),
        (
            tuple(connection.Hindered(3, hindrance) for hindrance in connection.Hindrance),
            (*opening, C.LOGGING_IN, C.SUBSCRIBING),
        ),
        ((connection.SocketLost(3),), (*opening, C.LOGGING_IN, C.SUBSCRIBING, C.LIVE, C.PROBING)),
    )
    return _nowhere_else(Part.CONNECTION, C, LINK, heard) and is_refused(
        Part.CONNECTION, (C.REPLACING,), OF_EARLIER, connection.PongMissed(3)
    )


def a_bot_starts_once_and_each_stage_is_answered_while_it_runs() -> bool:
    """R1, R10.1: a stage answers while it runs, a step of the stop while it is taken, a retry where it was asked for."""
    running = tuple(state for state in L if state not in (L.READY, L.STOPPING, L.STOPPED))
    heard: Heard = (
        ((lifecycle.StartRequested(),), ()),
        ((lifecycle.StageDone(5), lifecycle.StageFailed(5), lifecycle.StageRefused(5)), running),
        ((lifecycle.RetryDue(5),), tuple(state for state in running if state is not L.WS)),
        ((lifecycle.DeadlinePassed(5),), (*running, L.STOPPING)),
        (
            tuple(lifecycle.StopStepEnded(5, outcome) for outcome in lifecycle.Outcome),
            (L.STOPPING,),
        ),
    )
    return _nowhere_else(Part.LIFECYCLE, L, LIFE, heard)


def a_reading_is_answered_while_it_is_under_way() -> bool:
    under_way = (R.READING, R.STALE, R.CHECKING)
    heard: Heard = (
        ((reconciliation.AccountCompared(7), reconciliation.ReadingFailed(7)), under_way),
        ((reconciliation.ReadingDue(7),), (R.UNKNOWN,)),
    )
    return _nowhere_else(Part.RECONCILIATION, R, reconciliation.Reading(7), heard)


def an_entry_starts_from_flat_and_memory_is_recalled_once() -> bool:
    """R4.2: one position on a leg; it is entered, missed or seen first, and grows when it is there."""
    heard: Heard = (
        ((position.PositionMissed(), position.EntryStarted()), (P.FLAT,)),
        ((position.PositionGrown(),), tuple(state for state in P if state not in (P.FLAT, P.ENTERING))),
    )
    return _nowhere_else(Part.POSITION, P, position.Leg(), heard)


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        "S0", "an order has answers to what was asked, and no others", an_order_has_answers_to_what_was_asked
    ),
    Contract("S0", "a switch has one request or one timer", a_switch_has_one_request_or_one_timer),
    Contract("S0", "a socket speaks while it is there", a_socket_speaks_while_it_is_there),
    Contract(
        "S0",
        "a bot starts once, and each stage is answered while it runs",
        a_bot_starts_once_and_each_stage_is_answered_while_it_runs,
    ),
    Contract(
        "S0",
        "an entry starts from flat, and memory is recalled once",
        an_entry_starts_from_flat_and_memory_is_recalled_once,
    ),
    Contract(
        "S0", "a reading is answered while it is under way", a_reading_is_answered_while_it_is_under_way
    ),
)
