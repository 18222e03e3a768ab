"""Positions and their stops, in the mission's words."""

from __future__ import annotations

import msgspec

from anchorwatch.diagrams.check.contracts.driving import Contract, P, Q, leads, stays, step
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, lifecycle, order, position, protection
from anchorwatch.machine.bot import Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.kernel import Effect, Snapshot
from anchorwatch.machine.units import LegKey, PositionMode, Side

# Positions and their stops.


def a_position_is_protected_at_once() -> bool:
    seen = leads(
        Part.POSITION,
        (P.FLAT, P.ENTERING, *position.GONE),
        position.Leg(),
        position.PositionSeen(),
        P.OPEN,
        position.StartProtection,
    )
    grown = all(
        leads(
            Part.POSITION, state, position.Leg(), position.PositionGrown(), state, position.ExtendProtection
        )
        for state in position.HELD
    )
    return seen and grown


def an_absence_is_a_question() -> bool:
    asked = leads(
        Part.POSITION,
        position.HELD,
        position.Leg(),
        position.AbsenceSeen(),
        P.VANISHED,
        position.ConfirmAbsence,
    )
    missed = leads(
        Part.POSITION, P.FLAT, position.Leg(), position.PositionMissed(), P.VANISHED, position.ConfirmAbsence
    )
    again = all(
        leads(
            Part.POSITION, state, position.Leg(), position.ConfirmationDue(), state, position.ConfirmAbsence
        )
        and leads(
            Part.POSITION,
            state,
            position.Leg(),
            position.ConfirmationFailed(),
            state,
            position.StartConfirmationTimer,
        )
        for state in position.GONE
    )
    told = leads(
        Part.POSITION,
        P.VANISHED,
        position.Leg(),
        position.ConfirmationOverdue(),
        P.UNEXPLAINED,
        position.TellUnexplained,
    )
    patient = leads(
        Part.POSITION, P.UNEXPLAINED, position.Leg(), position.ConfirmationOverdue(), P.UNEXPLAINED,
        position.StartConfirmationTimer,
    )  # fmt: skip
    return asked and missed and again and told and patient


def there_is_one_closer() -> bool:
    wanted = leads(
        Part.POSITION,
        (P.OPEN, P.REDUCING),
        position.Leg(),
        position.CloseWanted("x"),
        P.CLOSING,
        position.CancelEntry,
        position.StartClose,
    )
    entering = leads(
        Part.POSITION, P.ENTERING, position.Leg(), position.CloseWanted("x"), P.ENTERING, position.CancelEntry
    )
    verified = leads(
        Part.POSITION, P.CLOSING, position.Leg(), position.CloseEnded(), P.CLOSING, position.ReadPosition
    )
    again = leads(
        Part.POSITION, P.CLOSING, position.Leg(), position.ReadEnded(), P.CLOSING, position.StartClose
    )
    part = leads(
        Part.POSITION, P.OPEN, position.Leg(), position.ReduceWanted("x"), P.REDUCING, position.StartReduce
    )
    read = leads(
        Part.POSITION, P.REDUCING, position.Leg(), position.CloseEnded(), P.REDUCING, position.ReadPosition
    )
    taken = leads(
        Part.POSITION, P.REDUCING, position.Leg(), position.ReadEnded(), P.OPEN, position.StartProtection
    )
    return wanted and entering and verified and again and part and read and taken


def an_end_with_a_cause_is_the_end() -> bool:
    over = leads(
        Part.POSITION, position.OURS, position.Leg(), position.EndConfirmed("stop"), P.FLAT, position.EndLeg,
        position.CancelEntry,
    )  # fmt: skip
    watched = leads(Part.POSITION, P.WATCHED, position.Leg(), position.EndConfirmed("x"), P.FLAT)
    gone = leads(Part.POSITION, P.WATCHED, position.Leg(), position.AbsenceSeen(), P.FLAT)
    entry = leads(Part.POSITION, P.FLAT, position.Leg(), position.EntryStarted(), P.ENTERING)
    ended = leads(Part.POSITION, P.ENTERING, position.Leg(), position.EntryEnded(), P.FLAT)
    return over and watched and gone and entry and ended


def what_is_not_ours_is_watched() -> bool:
    seen = leads(Part.POSITION, P.FLAT, position.Leg(), position.ForeignSeen(), P.WATCHED, position.WatchLeg)
    entering = leads(
        Part.POSITION, P.ENTERING, position.Leg(), position.ForeignSeen(), P.WATCHED, position.CancelEntry
    )
    ours = leads(
        Part.POSITION, P.WATCHED, position.Leg(), position.PositionSeen(), P.OPEN, position.StartProtection
    )
    same = stays(
        Part.POSITION, (P.WATCHED,), position.Leg(), position.ForeignSeen(), position.PositionGrown()
    )
    return seen and entering and ours and same


def a_part_is_taken_by_an_order() -> bool:
    """The whole way through the router: what is asked of the closer becomes an order that is recorded."""
    key = LegKey("BTC-USDT-SWAP", Side.LONG)
    slot = bots.Slot(
        position=Snapshot(P.OPEN, position.Leg()), protection=Snapshot(Q.COVERED, protection.Stop(1))
    )
    links = dict.fromkeys(Name, connection.Limits())
    bot = bots.unborn(lifecycle.Limits(), links, PositionMode.HEDGE)
    bot = msgspec.structs.replace(bot, legs=((key, slot),), sequence=1)
    for event in (position.ReduceWanted("x"), position.CloseWanted("x")):
        asked = bots.step(bot, bots.Address(Part.POSITION, leg=key), event).effects
        orders = [one.effect for one in asked if isinstance(one.effect, order.RecordIntent)]
        if [one.role for one in orders] != [order.Role.CLOSE]:
            return False
    return True


STOP = protection.Stop(7)


def a_stop_counts_when_it_is_seen() -> bool:
    seen = leads(
        Part.PROTECTION,
        protection.UNCOVERED,
        STOP,
        protection.StopSeenLive(7),
        Q.COVERED,
        protection.StopNakedClock,
        protection.SweepOthers,
    )
    accepted = leads(
        Part.PROTECTION, Q.ARMING, STOP, protection.StopAccepted(7), Q.PENDING, protection.ReadStop
    )
    lost = leads(
        Part.PROTECTION, Q.ARMING, STOP, protection.StopAnswerLost(7), Q.DOUBTFUL, protection.ReadStop
    )
    gone = leads(
        Part.PROTECTION,
        (Q.PENDING, Q.DOUBTFUL, *protection.COVERING),
        STOP,
        protection.StopGone(7),
        Q.NAKED,
        protection.StartNakedClock,
        protection.StartRetry,
    )
    unread = leads(
        Part.PROTECTION, (Q.PENDING, Q.DOUBTFUL), STOP, protection.StopReadFailed(7), Q.DOUBTFUL,
        protection.StartNakedClock, protection.StartRetry,
    )  # fmt: skip
    again = leads(Part.PROTECTION, Q.DOUBTFUL, STOP, protection.RetryDue(7), Q.DOUBTFUL, protection.ReadStop)
    wanted = leads(
        Part.PROTECTION, Q.NONE, STOP, protection.CoverWanted(8), Q.ARMING, protection.StartNakedClock,
        protection.PlaceStop,
    )  # fmt: skip
    adopted = leads(
        Part.PROTECTION, (Q.NONE, *protection.UNCOVERED), STOP, protection.CoverAdopted(8), Q.COVERED,
        protection.StopNakedClock, protection.SweepOthers,
    )  # fmt: skip
    return seen and accepted and lost and gone and unread and again and wanted and adopted


def a_refused_stop_has_its_answer() -> bool:
    retry = protection.StopRefused(7, protection.Refusal.RETRY)
    _, plainly = step(Part.PROTECTION, Snapshot(Q.ARMING, STOP), retry)
    if plainly != (protection.StartNakedClock(), protection.StartRetry(7)):
        return False
    answers: tuple[tuple[protection.Refusal, protection.S, tuple[type[Effect], ...]], ...] = (
        (protection.Refusal.BEYOND, Q.ESCALATING, (protection.AskForClose,)),
        (protection.Refusal.EXISTS, Q.DOUBTFUL, (protection.ReadStop,)),
        (protection.Refusal.BARRED, Q.BARRED, (protection.TellBarred, protection.StartRetry)),
        (protection.Refusal.RULES, Q.NAKED, (protection.ReloadRules, protection.StartRetry)),
        (protection.Refusal.NO_POSITION, Q.NAKED, (protection.DoubtPosition, protection.StartRetry)),
        (protection.Refusal.RETRY, Q.NAKED, (protection.StartNakedClock, protection.StartRetry)),
    )
    return all(
        leads(Part.PROTECTION, Q.ARMING, STOP, protection.StopRefused(7, refusal), dest, *effects)
        for refusal, dest, effects in answers
    ) and leads(
        Part.PROTECTION, (Q.NAKED, Q.BARRED), STOP, protection.RetryDue(7), Q.ARMING, protection.PlaceStop
    )


def naked_has_a_deadline() -> bool:
    late = leads(
        Part.PROTECTION,
        protection.TIMED,
        STOP,
        protection.NakedTooLong(),
        Q.ESCALATING,
        protection.AskForClose,
    )
    states = (*protection.UNCOVERED, *protection.COVERING)
    fired = leads(
        Part.PROTECTION, states, STOP, protection.StopTriggered(7), Q.TRIGGERED, protection.StartFillClock
    )
    slow = leads(
        Part.PROTECTION, Q.TRIGGERED, STOP, protection.FillOverdue(7), Q.ESCALATING, protection.AskForClose
    )
    there_after_all = leads(
        Part.PROTECTION, Q.ESCALATING, STOP, protection.CoverWanted(8), Q.ESCALATING, protection.AskForClose
    )
    return late and fired and slow and there_after_all


def a_stop_is_moved_in_place() -> bool:
    asked, effects = step(Part.PROTECTION, Snapshot(Q.COVERED, STOP), protection.MoveWanted())
    moved = leads(Part.PROTECTION, Q.MOVING, STOP, protection.MoveAccepted(7), Q.COVERED)
    refused = leads(
        Part.PROTECTION, Q.MOVING, STOP, protection.MoveRefused(7), Q.DOUBTFUL, protection.ReadStop
    )
    lost = leads(
        Part.PROTECTION, Q.MOVING, STOP, protection.StopAnswerLost(7), Q.DOUBTFUL, protection.ReadStop
    )
    return asked.state is Q.MOVING and effects == (protection.MoveStop(7),) and moved and refused and lost


def after_flat_every_stop_is_swept() -> bool:
    states = tuple(s for s in Q if s is not Q.NONE)
    return leads(
        Part.PROTECTION,
        states,
        STOP,
        protection.LegEnded(),
        Q.NONE,
        protection.StopNakedClock,
        protection.SweepAll,
    )


def news_of_what_is_known_is_none() -> bool:
    """Reports come twice, and late: what is known already changes nothing."""
    leg, late = position.Leg(), (position.CloseEnded(), position.ReadEnded())
    no_close = (position.CloseWanted("x"), position.ReduceWanted("x"))
    answers = (position.ConfirmationFailed(), position.ConfirmationOverdue(), position.ConfirmationDue())
    return (
        stays(Part.POSITION, position.HELD, leg, position.PositionSeen())
        and stays(Part.POSITION, position.GONE, leg, position.AbsenceSeen(), *no_close, *late)
        and stays(Part.POSITION, position.OURS, leg, position.ForeignSeen(), position.EntryEnded())
        and stays(Part.POSITION, (P.FLAT, P.WATCHED), leg, *no_close, position.EntryEnded(), *late, *answers)
        and stays(Part.POSITION, (P.FLAT, P.ENTERING), leg, position.AbsenceSeen(), position.EndConfirmed())
        and stays(Part.POSITION, (P.CLOSING,), leg, *no_close)
        and stays(Part.POSITION, position.HELD, leg, *answers)
        and stays(Part.POSITION, (P.OPEN, P.ENTERING), leg, *late)
        and stays(Part.POSITION, (P.REDUCING, P.ENTERING), leg, position.ReduceWanted("x"))
    )


def a_late_answer_about_a_stop_is_none() -> bool:
    placing = (protection.StopAccepted(7), protection.StopRefused(7, protection.Refusal.RETRY))
    moving = (protection.MoveAccepted(7), protection.MoveRefused(7))
    closing = (Q.TRIGGERED, Q.ESCALATING)
    ended = (*placing, *moving, protection.StopAnswerLost(7), protection.StopGone(7), protection.RetryDue(7))
    return (
        stays(
            Part.PROTECTION, (Q.NONE,), STOP, *ended, protection.StopSeenLive(7), protection.StopTriggered(7)
        )
        and stays(
            Part.PROTECTION,
            (Q.NONE,),
            STOP,
            protection.LegEnded(),
            protection.NakedTooLong(),
            protection.MoveWanted(),
        )
        and stays(
            Part.PROTECTION, closing, STOP, *ended, protection.StopSeenLive(7), protection.StopReadFailed(7)
        )
        and stays(
            Part.PROTECTION,
            (*closing, *protection.COVERING),
            STOP,
            protection.NakedTooLong(),
        )
        and stays(Part.PROTECTION, (Q.TRIGGERED, *protection.COVERING), STOP, protection.CoverWanted(8))
        and stays(
            Part.PROTECTION,
            protection.COVERING,
            STOP,
            *placing,
            protection.StopReadFailed(7),
            protection.RetryDue(7),
            protection.StopSeenLive(7),
        )
        and stays(Part.PROTECTION, (Q.COVERED,), STOP, *moving, protection.StopAnswerLost(7))
        and stays(
            Part.PROTECTION,
            (Q.NAKED, Q.BARRED),
            STOP,
            *placing,
            *moving,
            protection.StopAnswerLost(7),
            protection.StopGone(7),
            protection.StopReadFailed(7),
        )
        and stays(
            Part.PROTECTION, (Q.PENDING, Q.DOUBTFUL), STOP, *placing, *moving, protection.StopAnswerLost(7)
        )
        and stays(
            Part.PROTECTION,
            (Q.ARMING,),
            STOP,
            *moving,
            protection.StopGone(7),
            protection.StopReadFailed(7),
            protection.RetryDue(7),
        )
        and stays(Part.PROTECTION, (*protection.UNCOVERED, Q.MOVING, *closing), STOP, protection.MoveWanted())
        and stays(Part.PROTECTION, (*protection.UNCOVERED, Q.TRIGGERED), STOP, protection.CoverWanted(8))
        and stays(Part.PROTECTION, (*closing, *protection.COVERING), STOP, protection.CoverAdopted(8))
        and stays(Part.PROTECTION, closing, STOP, protection.StopTriggered(7))
    )


def a_close_that_came_to_nothing_is_asked_for_again() -> bool:
    """What is there and has no stop is closed, also when it was held to be gone when its stop failed."""
    asked = leads(
        Part.PROTECTION, Q.ESCALATING, STOP, protection.CoverWanted(8), Q.ESCALATING,
        protection.AskForClose,
    )  # fmt: skip
    leg = LegKey("BTC-USDT-SWAP", Side.LONG)
    slot = bots.Slot(
        position=Snapshot(P.VANISHED, position.Leg()), protection=Snapshot(Q.ESCALATING, protection.Stop(7))
    )
    bot = bots.unborn(lifecycle.Limits(), dict.fromkeys(Name, connection.Limits()), PositionMode.HEDGE)
    bot = msgspec.structs.replace(bot, legs=((leg, slot),), sequence=7)
    found = bots.step(bot, bots.Address(Part.POSITION, leg=leg), position.PositionSeen()).bot
    return asked and found.slot(leg).position.state is P.CLOSING


CONTRACTS: tuple[Contract, ...] = (
    Contract(
        "L4", "what is found again without a stop is closed", a_close_that_came_to_nothing_is_asked_for_again
    ),
    Contract("R3.2", "an end with a cause leaves the active positions", an_end_with_a_cause_is_the_end),
    Contract("S14", "what is not ours is watched, and no more", what_is_not_ours_is_watched),
    Contract("S12", "what is asked of the closer becomes an order", a_part_is_taken_by_an_order),
    Contract("R3.3", "what is known already changes nothing", news_of_what_is_known_is_none),
    Contract("S0", "a late answer about a stop changes nothing", a_late_answer_about_a_stop_is_none),
    Contract("R2.3", "each position gets its stop", a_position_is_protected_at_once),
    Contract("S13", "an absence is a question, asked until it is answered or told", an_absence_is_a_question),
    Contract(
        "S12", "one closer: every reason is a request to it, and reading verifies it", there_is_one_closer
    ),
    Contract("S8", "a stop counts only when it is seen live", a_stop_counts_when_it_is_seen),
    Contract("S7", "a refused stop has its answer", a_refused_stop_has_its_answer),
    Contract("L4", "naked, or triggered and not filled, has a deadline", naked_has_a_deadline),
    Contract("S9", "a stop is moved in place", a_stop_is_moved_in_place),
    Contract("S10", "after flat every stop of ours is swept", after_flat_every_stop_is_swept),
)
