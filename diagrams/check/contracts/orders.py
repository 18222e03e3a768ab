"""Orders and the dead man's switch, in the mission's words."""

from __future__ import annotations

from typing import Any

import msgspec

from anchorwatch.diagrams.check.contracts.driving import Contract, D, O, leads, stays, step
from anchorwatch.machine import (
    dead_man,
    order,
)
from anchorwatch.machine.bot import Part
from anchorwatch.machine.kernel import Event, Snapshot

# Orders.


def entry(state: order.S, **changes: bool) -> Snapshot[Any]:
    return Snapshot(state, order.Order(order.Role.ENTRY, 7, **changes))


ENTRY = order.Order(order.Role.ENTRY, 7)


def an_unanswered_order_is_asked_for() -> bool:
    lost = leads(Part.ENTRY, O.SENT, ENTRY, order.AnswerLost(7), O.IN_DOUBT, order.QueryOrder)
    doubted = leads(
        Part.ENTRY,
        (O.LIVE, O.PARTIAL, O.AMENDING, O.CANCELLING),
        ENTRY,
        order.OrderDoubted(7),
        O.IN_DOUBT,
        order.QueryOrder,
    )
    later = leads(
        Part.ENTRY, O.IN_DOUBT, ENTRY, order.QueryInconclusive(7), O.IN_DOUBT, order.StartQueryTimer
    )
    due = leads(Part.ENTRY, O.IN_DOUBT, ENTRY, order.QueryDue(7), O.IN_DOUBT, order.QueryOrder)
    fruitless = leads(Part.ENTRY, O.CANCELLING, ENTRY, order.CancelFruitless(7), O.IN_DOUBT, order.QueryOrder)
    return lost and doubted and later and due and fruitless


def a_wanted_cancel_is_sent_and_not_forgotten() -> bool:
    resting = leads(
        Part.ENTRY, (O.LIVE, O.PARTIAL), ENTRY, order.CancelWanted(7, "x"), O.CANCELLING, order.CancelOrder
    )
    for state in (O.SENT, O.IN_DOUBT):
        kept, _ = step(Part.ENTRY, entry(state), order.CancelWanted(7, "x"))
        if kept.state is not state:
            return False
        sent, asked = step(Part.ENTRY, kept, order.OrderSeenLive(7))
        if sent.state is not O.CANCELLING or not any(isinstance(one, order.CancelOrder) for one in asked):
            return False
    amending, _ = step(Part.ENTRY, entry(O.AMENDING), order.CancelWanted(7, "x"))
    if amending.state is not O.AMENDING or not leads(
        Part.ENTRY, O.AMENDING, amending.data, order.AmendAcknowledged(7), O.CANCELLING, order.CancelOrder
    ):
        return False
    under_way = stays(
        Part.ENTRY, (O.CANCELLING,), ENTRY, order.CancelWanted(7, "x"), order.CancelAcknowledged(7)
    )
    anothers = stays(Part.ENTRY, order.OUT, ENTRY, order.CancelWanted(6, "x"))
    return (
        under_way
        and anothers
        and resting
        and leads(Part.ENTRY, O.PLANNED, ENTRY, order.CancelWanted(7, "x"), O.WITHDRAWN, order.OrderEnded)
    )


def a_cancel_waits_for_the_write_under_way() -> bool:
    """One write at a time; what the answer is, the cancel goes out when the order is known to rest."""
    wanted = msgspec.structs.replace(ENTRY, cancel_wanted=True)
    answers: tuple[tuple[order.S, Event], ...] = (
        (O.SENT, order.OrderAcknowledged(7)),
        (O.SENT, order.OrderSeenLive(7)),
        (O.SENT, order.OrderPartlyFilled(7)),
        (O.IN_DOUBT, order.OrderSeenLive(7)),
        (O.IN_DOUBT, order.OrderPartlyFilled(7)),
        (O.AMENDING, order.AmendAcknowledged(7)),
        (O.AMENDING, order.AmendRefused(7)),
    )
    sent = all(
        leads(Part.ENTRY, state, wanted, event, O.CANCELLING, order.CancelOrder) for state, event in answers
    )
    failed = leads(Part.ENTRY, O.CANCELLING, wanted, order.CancelFailed(7), O.IN_DOUBT, order.StartQueryTimer)
    unwanted = all(
        leads(Part.ENTRY, state, ENTRY, order.OrderPartlyFilled(7), O.PARTIAL)
        for state in (O.SENT, O.LIVE, O.PARTIAL, O.IN_DOUBT)
    )
    counted = all(
        step(Part.ENTRY, Snapshot(state, ENTRY), event)[0].data.has_fills
        for state in order.OUT
        for event in (order.OrderPartlyFilled(7), order.OrderFilled(7))
    )
    unwanted = unwanted and counted
    live = leads(Part.ENTRY, O.SENT, ENTRY, order.OrderAcknowledged(7), O.LIVE) and leads(
        Part.ENTRY, (O.SENT, O.IN_DOUBT), ENTRY, order.OrderSeenLive(7), O.LIVE
    )
    return sent and failed and unwanted and live


def a_fill_after_the_end_is_told() -> bool:
    ends = (O.CANCELLED, O.REFUSED, O.ABSENT, O.WITHDRAWN)
    events = (order.OrderFilled(7), order.OrderPartlyFilled(7))
    return all(
        leads(Part.ENTRY, end, ENTRY, event, end, order.ReportLateFill) for end in ends for event in events
    )


def an_order_is_repriced_in_place() -> bool:
    for state in (O.LIVE, O.PARTIAL):
        has_fills = state is O.PARTIAL
        amending, asked = step(Part.ENTRY, entry(state, has_fills=has_fills), order.RepriceWanted(7))
        if amending.state is not O.AMENDING or not any(isinstance(one, order.AmendOrder) for one in asked):
            return False
        for event in (order.AmendAcknowledged(7), order.AmendRefused(7)):
            if step(Part.ENTRY, amending, event)[0].state is not state:
                return False
    return leads(Part.ENTRY, O.AMENDING, ENTRY, order.AmendFruitless(7), O.IN_DOUBT, order.QueryOrder)


def a_failing_journal_blocks_entries_only() -> bool:
    close = order.Order(order.Role.CLOSE, 7)
    out = leads(Part.CLOSE, O.PLANNED, close, order.IntentFailed(7), O.SENT, order.SendOrder)
    kept = leads(Part.ENTRY, O.PLANNED, ENTRY, order.IntentFailed(7), O.WITHDRAWN, order.OrderEnded)
    return (
        out and kept and leads(Part.ENTRY, O.PLANNED, ENTRY, order.IntentRecorded(7), O.SENT, order.SendOrder)
    )


def every_end_is_told() -> bool:
    ends: tuple[tuple[order.S, Event, order.S], ...] = (
        (O.SENT, order.WriteDenied(7), O.WITHDRAWN),
        (O.SENT, order.OrderRefused(7), O.REFUSED),
        (O.IN_DOUBT, order.AbsenceProven(7), O.ABSENT),
        *((state, order.OrderFilled(7), O.FILLED) for state in order.OUT),
        *((state, order.OrderCancelled(7), O.CANCELLED) for state in order.OUT),
    )
    return all(
        leads(Part.ENTRY, source, ENTRY, event, dest, order.OrderEnded) for source, event, dest in ends
    )


def a_late_answer_about_an_order_is_none() -> bool:
    answers = (
        order.OrderAcknowledged(7), order.OrderRefused(7), order.AnswerLost(7), order.OrderSeenLive(7),
        order.OrderCancelled(7), order.CancelAcknowledged(7), order.CancelFruitless(7), order.CancelFailed(7),
        order.AmendAcknowledged(7), order.AmendRefused(7), order.AmendFruitless(7), order.QueryDue(7),
        order.QueryInconclusive(7), order.AbsenceProven(7), order.CancelWanted(7), order.RepriceWanted(7),
        order.OrderDoubted(7),
    )  # fmt: skip
    queries = (order.QueryDue(7), order.QueryInconclusive(7), order.AbsenceProven(7))
    cancels = (order.CancelAcknowledged(7), order.CancelFruitless(7), order.CancelFailed(7))
    amends = (order.AmendAcknowledged(7), order.AmendRefused(7), order.AmendFruitless(7))
    seen = (order.OrderSeenLive(7), order.OrderAcknowledged(7), order.AnswerLost(7))
    doubts = (order.OrderAcknowledged(7), order.OrderRefused(7), order.AnswerLost(7), order.OrderDoubted(7))
    known = (O.LIVE, O.PARTIAL, O.AMENDING, O.CANCELLING)
    return (
        stays(Part.ENTRY, order.FINAL, ENTRY, *answers)
        and stays(
            Part.ENTRY,
            order.FREE,
            ENTRY,
            order.CancelWanted(7),
            order.RepriceWanted(7),
            order.OrderDoubted(7),
        )
        and stays(Part.ENTRY, known, ENTRY, *queries, *seen)
        and stays(Part.ENTRY, (O.LIVE, O.PARTIAL, O.AMENDING), ENTRY, *cancels)
        and stays(Part.ENTRY, (O.LIVE, O.PARTIAL, O.CANCELLING), ENTRY, *amends)
        and stays(Part.ENTRY, (O.IN_DOUBT,), ENTRY, *doubts, *cancels, *amends)
        and stays(Part.ENTRY, (O.FILLED,), ENTRY, order.OrderFilled(7), order.OrderPartlyFilled(7))
        and stays(Part.ENTRY, (O.SENT, O.PLANNED), ENTRY, order.OrderDoubted(7), order.RepriceWanted(7))
        and stays(Part.ENTRY, (O.AMENDING, O.CANCELLING, O.IN_DOUBT), ENTRY, order.RepriceWanted(7))
    )


# The dead man's switch.

SWITCH = dead_man.Switch(7, is_wanted=True)


def the_countdown_follows_the_entry() -> bool:
    idle = (D.UNKNOWN, D.DISARMED)
    armed = leads(Part.DEAD_MAN, idle, SWITCH, dead_man.SwitchWanted(), D.ARMING, dead_man.Renew)
    renewed = leads(
        Part.DEAD_MAN,
        (D.ARMING, D.RENEWING, D.RETRYING),
        SWITCH,
        dead_man.RenewalTaken(7),
        D.ARMED,
        dead_man.StartRenewalTimer,
    )
    due = leads(Part.DEAD_MAN, D.ARMED, SWITCH, dead_man.RenewalDue(7), D.RENEWING, dead_man.Renew)
    failed = leads(
        Part.DEAD_MAN,
        (D.ARMING, D.RENEWING),
        SWITCH,
        dead_man.RenewalFailed(7),
        D.FAILING,
        dead_man.TellFailing,
        dead_man.StartRetryTimer,
    )
    running = (D.UNKNOWN, D.ARMED)
    ended = leads(Part.DEAD_MAN, running, SWITCH, dead_man.SwitchUnwanted(), D.DISARMING, dead_man.Disarm)
    off = leads(Part.DEAD_MAN, dead_man.ON, SWITCH, dead_man.StopsTaken("x"), D.OFF, dead_man.GiveUp)
    return armed and renewed and due and failed and ended and off


UNWANTED = dead_man.Switch(7, is_wanted=False)


def an_unwanted_countdown_is_ended() -> bool:
    asking = (D.ARMING, D.RENEWING, D.RETRYING)
    for event in (dead_man.RenewalTaken(7), dead_man.RenewalFailed(7)):
        if not leads(Part.DEAD_MAN, asking, UNWANTED, event, D.DISARMING, dead_man.Disarm):
            return False
    late = leads(Part.DEAD_MAN, D.FAILING, UNWANTED, dead_man.RenewalDue(7), D.DISARMING, dead_man.Disarm)
    again = leads(Part.DEAD_MAN, D.FAILING, SWITCH, dead_man.RenewalDue(7), D.RETRYING, dead_man.Renew)
    ended = leads(Part.DEAD_MAN, D.DISARMING, UNWANTED, dead_man.DisarmTaken(7), D.DISARMED)
    wanted = leads(Part.DEAD_MAN, D.DISARMING, SWITCH, dead_man.DisarmTaken(7), D.ARMING, dead_man.Renew)
    failed = leads(
        Part.DEAD_MAN,
        D.DISARMING,
        UNWANTED,
        dead_man.DisarmFailed(7),
        D.FAILING,
        dead_man.TellFailing,
        dead_man.StartRetryTimer,
    )
    still = leads(
        Part.DEAD_MAN, D.RETRYING, SWITCH, dead_man.RenewalFailed(7), D.FAILING, dead_man.StartRetryTimer
    )
    busy = (*asking, D.FAILING, D.DISARMING)
    remembered = all(
        step(Part.DEAD_MAN, Snapshot(state, switch), event)[0]
        == Snapshot(state, dead_man.Switch(7, is_wanted=wants))
        for state in busy
        for switch in (SWITCH, UNWANTED)
        for event, wants in ((dead_man.SwitchWanted(), True), (dead_man.SwitchUnwanted(), False))
    )
    return late and again and ended and wanted and failed and still and remembered


def what_rests_waits_for_its_guard() -> bool:
    """It is sent when the countdown that would take it back is known to run, and may be given up until then."""
    sent = leads(Part.ENTRY, O.UNGUARDED, ENTRY, order.GuardRuns(7), O.SENT, order.SendOrder)
    given_up = leads(
        Part.ENTRY, O.UNGUARDED, ENTRY, order.CancelWanted(7, "x"), O.WITHDRAWN, order.OrderEnded
    )
    anothers = stays(Part.ENTRY, (O.UNGUARDED,), ENTRY, order.GuardRuns(6), order.CancelWanted(6, "x"))
    return sent and given_up and anothers


CONTRACTS: tuple[Contract, ...] = (
    Contract("S16", "what rests waits for its guard", what_rests_waits_for_its_guard),
    Contract("S15", "a cancel waits for the write that is under way", a_cancel_waits_for_the_write_under_way),
    Contract("S0", "a late answer about an order changes nothing", a_late_answer_about_an_order_is_none),
    Contract("S2", "a failing journal blocks entries only", a_failing_journal_blocks_entries_only),
    Contract("S5", "every end of an order is told", every_end_is_told),
    Contract(
        "L3", "an unanswered order is asked for until something is said", an_unanswered_order_is_asked_for
    ),
    Contract("S16", "a countdown that is not wanted any more is ended", an_unwanted_countdown_is_ended),
    Contract(
        "S15", "a cancel that is wanted is sent, and not forgotten", a_wanted_cancel_is_sent_and_not_forgotten
    ),
    Contract("S6", "a fill after the end is told", a_fill_after_the_end_is_told),
    Contract("S3", "a resting order is repriced in place, never doubled", an_order_is_repriced_in_place),
    Contract(
        "S16",
        "the countdown follows the entry, and is given up when it takes a stop",
        the_countdown_follows_the_entry,
    ),
)
