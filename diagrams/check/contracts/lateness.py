"""What comes late, twice, or where it is not asked for changes nothing; and the stop where strangers share, of our size."""

from __future__ import annotations

from anchorwatch.diagrams.check.contracts.driving import C, Contract, D, L, O, P, Q, leads, stays
from anchorwatch.machine import (
    connection,
    dead_man,
    lifecycle,
    order,
    position,
    protection,
    reconciliation,
)
from anchorwatch.machine.bot import Part
from anchorwatch.machine.connection import Limits, Link, Name
from anchorwatch.machine.order import Order, Role

STOP = protection.Stop(7)
LINK = Link(Name.PRIVATE, Limits(), 3)
RESTING = Order(Role.ENTRY, 7, rests=True)


def a_stop_that_is_too_small_grows_under_the_deadline() -> bool:
    """S8: cover is at least the size once a fill settles; the new contracts have none until then."""
    resizable = (Q.COVERED, Q.PENDING, Q.DOUBTFUL)
    return (
        leads(
            Part.PROTECTION, resizable, STOP, protection.CoverTooSmall(), Q.GROWING,
            protection.StartNakedClock, protection.MoveStop,
        )
        and leads(
            Part.PROTECTION, Q.GROWING, STOP, protection.StopSeenLive(7), Q.COVERED,
            protection.StopNakedClock, protection.SweepOthers,
        )
        and leads(Part.PROTECTION, Q.GROWING, STOP, protection.MoveAccepted(7), Q.GROWING, protection.ReadStop)
        and leads(
            Part.PROTECTION, Q.GROWING, STOP, protection.StopGone(7), Q.NAKED,
            protection.StartNakedClock, protection.StartRetry,
        )
        and leads(
            Part.PROTECTION, Q.GROWING, STOP, protection.StopReadFailed(7), Q.DOUBTFUL, protection.StartRetry
        )
    )  # fmt: skip


def a_size_that_the_venue_does_not_change_is_bridged() -> bool:
    """S9: a replacement leaves no state of the exchange without cover: the second stop first."""
    refused = (protection.MoveRefused(7), protection.StopAnswerLost(7))
    return all(
        leads(Part.PROTECTION, Q.GROWING, STOP, event, Q.DOUBTFUL, protection.ReadStop) for event in refused
    ) and leads(
        Part.PROTECTION, (Q.COVERED, Q.PENDING, Q.DOUBTFUL), STOP, protection.BridgeWanted(8), Q.ARMING,
        protection.StartNakedClock, protection.PlaceStop,
    )  # fmt: skip


def one_request_about_a_stop_at_a_time() -> bool:
    """What is asked of a stop while something else is asked of it, or while its position is closed, waits."""
    busy = (Q.ARMING, Q.NAKED, Q.BARRED, Q.GROWING, Q.MOVING, Q.TRIGGERED, Q.ESCALATING, Q.NONE)
    growing = (
        protection.CoverWanted(8), protection.MoveWanted(), protection.StopAccepted(7),
        protection.StopRefused(7, protection.Refusal.RETRY), protection.RetryDue(7),
    )  # fmt: skip
    return (
        stays(Part.PROTECTION, busy, STOP, protection.CoverTooSmall(), protection.BridgeWanted(8))
        and stays(Part.PROTECTION, (Q.GROWING,), STOP, *growing)
        and stays(Part.PROTECTION, (Q.PENDING, Q.ARMING), STOP, protection.RetryDue(7))
        and stays(Part.PROTECTION, (Q.NONE,), STOP, protection.StopReadFailed(7))
    )


def a_clock_that_was_late_changes_nothing() -> bool:
    """The clock of a triggered stop speaks while it is triggered; that of nakedness never where no close is taken."""
    untriggered = (Q.NONE, *protection.UNCOVERED, *protection.COVERING, Q.ESCALATING)
    covered = (*protection.COVERING, Q.TRIGGERED, Q.ESCALATING, Q.BARRED, Q.NONE)
    return stays(Part.PROTECTION, untriggered, STOP, protection.FillOverdue(7)) and stays(
        Part.PROTECTION, covered, STOP, protection.NakedTooLong()
    )


def what_is_on_its_way_is_not_dialed_again() -> bool:
    """R6.3: one socket at a time; a late word about an answered question is none."""
    late = (
        (C.LIVE, connection.FrameSeen(3)), (C.LIVE, connection.PongMissed(3)),
        (C.PROBING, connection.SilenceNoticed(3)), (C.PROBING, connection.LiveLasted(3)),
        (C.LOGGING_IN, connection.UpgradeNoticed(3)), (C.SUBSCRIBING, connection.UpgradeNoticed(3)),
    )  # fmt: skip
    replacing = Link(Name.PRIVATE, Limits(), 3, spare=2)
    old = (
        connection.SilenceNoticed(2), connection.FrameSeen(2), connection.UpgradeNoticed(2),
        connection.LiveLasted(2),
    )  # fmt: skip
    return (
        stays(Part.CONNECTION, connection.LOSABLE, LINK, connection.ConnectRequested())
        and all(stays(Part.CONNECTION, (state,), LINK, event) for state, event in late)
        and stays(Part.CONNECTION, (C.REPLACING,), replacing, *old)
        and leads(
            Part.CONNECTION, C.REPLACING, replacing, connection.PongMissed(2), C.REPLACING,
            connection.AbandonEpoch,
        )
        and leads(
            Part.CONNECTION, (C.LIVE, C.PROBING), LINK, connection.UpgradeNoticed(3), C.REPLACING,
            connection.OpenSocket,
        )
        and stays(Part.CONNECTION, (C.CLOSED,), LINK, connection.ConnectRequested(), connection.CloseRequested())
    )  # fmt: skip


def a_switch_that_was_given_up_stays_off() -> bool:
    """S16: it took a protective stop once, and is never used again."""
    off = dead_man.Switch(7)
    said = (
        dead_man.SwitchWanted(), dead_man.SwitchUnwanted(), dead_man.StopsTaken(), dead_man.RenewalDue(7),
        dead_man.RenewalTaken(7), dead_man.RenewalFailed(7), dead_man.DisarmTaken(7), dead_man.DisarmFailed(7),
        dead_man.RenewalDue(6), dead_man.RenewalTaken(6), dead_man.RenewalFailed(6), dead_man.DisarmTaken(6),
        dead_man.DisarmFailed(6),
    )  # fmt: skip
    of_before = (
        dead_man.RenewalDue(6), dead_man.RenewalTaken(6), dead_man.RenewalFailed(6), dead_man.DisarmTaken(6),
        dead_man.DisarmFailed(6),
    )  # fmt: skip
    return (
        stays(Part.DEAD_MAN, (D.OFF,), off, *said)
        and stays(Part.DEAD_MAN, (D.ARMED,), dead_man.Switch(7, is_wanted=True), dead_man.SwitchWanted())
        and stays(Part.DEAD_MAN, (D.DISARMED,), off, dead_man.SwitchUnwanted())
        and stays(Part.DEAD_MAN, tuple(s for s in D if s is not D.UNKNOWN), off, *of_before)
    )


def a_stop_is_asked_for_once() -> bool:
    """R10: the second asking is the shell's; a step whose deadline passes is left behind, the last one too."""
    late = lifecycle.Life(lifecycle.Limits(), 5, 5, lifecycle.STOP_STEPS[-1])
    return stays(Part.LIFECYCLE, (L.STOPPING, L.STOPPED), late, lifecycle.StopRequested()) and leads(
        Part.LIFECYCLE, L.STOPPING, late, lifecycle.DeadlinePassed(5), L.STOPPED, lifecycle.EndProcess
    )


def a_socket_that_fails_at_the_start_does_not_end_it() -> bool:
    """R1.4: a socket that fails here is retried by its own machine, and the start goes on."""
    life = lifecycle.Life(lifecycle.Limits(), 5, 5)
    return all(
        leads(Part.LIFECYCLE, L.WS, life, event, L.SAFETY, lifecycle.EndStage, lifecycle.RunStage)
        for event in (lifecycle.StageFailed(5), lifecycle.StageRefused(5), lifecycle.DeadlinePassed(5))
    )


def a_check_waits_for_the_reading_under_way() -> bool:
    reading = reconciliation.Reading(7)
    under_way = tuple(s for s in reconciliation.S if s is not reconciliation.S.SETTLED)
    return stays(Part.RECONCILIATION, under_way, reading, reconciliation.CheckDue()) and leads(
        Part.RECONCILIATION, reconciliation.S, reading, reconciliation.LastLookWanted(), reconciliation.S.READING,
        reconciliation.ReadAccount,
    )  # fmt: skip


def a_doubt_during_a_reading_is_read_for_anew() -> bool:
    """S6: a reading that was asked for before the doubt arose says nothing about it; one more does, however many doubts."""
    reading, states = reconciliation.Reading(7), reconciliation.S
    doubt, compared = reconciliation.BookDoubted(), reconciliation.AccountCompared(7)
    return (
        leads(Part.RECONCILIATION, (states.READING, states.CHECKING), reading, doubt, states.STALE)
        and stays(Part.RECONCILIATION, (states.STALE,), reading, doubt)
        and leads(
            Part.RECONCILIATION, states.STALE, reading, compared, states.READING, reconciliation.ReadAccount
        )
    )


def an_order_that_lives_and_was_refused_is_asked_for() -> bool:
    """S5: dead only when the exchange can no longer take it; of two words that differ neither is believed."""
    asked = leads(
        Part.ENTRY,
        (O.LIVE, O.PARTIAL, O.AMENDING),
        RESTING,
        order.OrderRefused(7),
        O.IN_DOUBT,
        order.QueryOrder,
    )
    ending = stays(Part.ENTRY, (O.CANCELLING, O.IN_DOUBT), RESTING, order.OrderRefused(7))
    unsent = stays(
        Part.ENTRY, (O.PLANNED, O.UNGUARDED), RESTING, order.OrderDoubted(7), order.RepriceWanted(7)
    )
    withdrawn = stays(Part.ENTRY, (O.WITHDRAWN,), RESTING, order.IntentRecorded(7), order.IntentFailed(7))
    return asked and ending and unsent and withdrawn


def an_intent_of_an_earlier_life_is_asked_for() -> bool:
    return leads(
        Part.ENTRY, order.FREE, RESTING, order.OrderRecovered(8, Role.ENTRY), O.IN_DOUBT, order.QueryOrder
    ) and leads(
        Part.ENTRY, order.FREE, RESTING, order.OrderWanted(8, Role.ENTRY), O.PLANNED, order.RecordIntent
    )


def a_fill_under_a_request_counts_and_the_request_goes_on() -> bool:
    """S15: what is written is answered; a part that fills meanwhile is counted and changes nothing of that."""
    for state in (O.AMENDING, O.CANCELLING):
        if not leads(Part.ENTRY, state, RESTING, order.OrderPartlyFilled(7), state):
            return False
    return leads(Part.ENTRY, O.PARTIAL, RESTING, order.OrderPartlyFilled(7), O.PARTIAL)


def a_fill_of_an_earlier_order_is_none_of_this_one() -> bool:
    """S6: what filled before stands in the book already, whatever becomes of the order that came after it."""
    made = tuple(state for state in O if state is not O.IDLE)
    return stays(Part.ENTRY, made, RESTING, order.OrderPartlyFilled(6), order.OrderFilled(6))


def what_was_gone_and_grows_is_there() -> bool:
    """S13: an order of ours that fills says that there is a position, whatever a reading has shown."""
    late = (position.ConfirmationFailed(), position.ConfirmationOverdue(), position.ConfirmationDue())
    return leads(
        Part.POSITION,
        position.GONE,
        position.Leg(),
        position.PositionGrown(),
        P.OPEN,
        position.StartProtection,
    ) and stays(Part.POSITION, (P.FLAT, P.ENTERING, *position.HELD, P.WATCHED), position.Leg(), *late)


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        "S8",
        "a stop that is too small grows, under the deadline",
        a_stop_that_is_too_small_grows_under_the_deadline,
    ),
    Contract(
        "S9",
        "where its size cannot be changed a second stop bridges",
        a_size_that_the_venue_does_not_change_is_bridged,
    ),
    Contract("S9", "one request about a stop at a time", one_request_about_a_stop_at_a_time),
    Contract("S0", "a clock that was late changes nothing", a_clock_that_was_late_changes_nothing),
    Contract("R6.3", "what is on its way is not dialed again", what_is_on_its_way_is_not_dialed_again),
    Contract("S16", "a switch that was given up stays off", a_switch_that_was_given_up_stays_off),
    Contract("R10", "a stop is asked for once, and its last step may be late", a_stop_is_asked_for_once),
    Contract(
        "R1.4", "a socket that fails does not end the start", a_socket_that_fails_at_the_start_does_not_end_it
    ),
    Contract(
        "R3", "a check waits for the reading that is under way", a_check_waits_for_the_reading_under_way
    ),
    Contract("S6", "a doubt during a reading is read for anew", a_doubt_during_a_reading_is_read_for_anew),
    Contract(
        "S5",
        "an order that lives and was refused is asked for",
        an_order_that_lives_and_was_refused_is_asked_for,
    ),
    Contract("R4.2", "an intent of an earlier life is asked for", an_intent_of_an_earlier_life_is_asked_for),
    Contract(
        "S15",
        "a part that fills under a request is counted",
        a_fill_under_a_request_counts_and_the_request_goes_on,
    ),
    Contract(
        "S6", "a fill of an earlier order is none of this one", a_fill_of_an_earlier_order_is_none_of_this_one
    ),
    Contract("S13", "what was held to be gone and grows is there", what_was_gone_and_grows_is_there),
)
