"""What must never be, said over the exchange's own state and the bot's, before the tables were looked at.

Each property has a *witness*: the situation that it speaks of, which must be reached, or
the property says nothing. Properties of actions (an order is sent, a stop is swept) are
noticed where the action is taken, and are listed here by name only.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from anchorwatch.diagrams.check.leg import At, Call, Leg
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.machine import lifecycle, order, position, protection, reconciliation

Claim = Callable[[Facets, Leg, Shell], bool]


class Property(msgspec.Struct, frozen=True):
    id: str
    words: str
    witness: Claim
    holds: Claim


ACTIONS = {
    "S0": "no unexpected event, no failed assertion, no report of the past that moves anything",
    "S1": "an entry is written to the wire only when READY, permitted, with every fact and connection",
    "S2": "an entry is sent only when its intent is durable",
    "S3": "one intent is written to the wire at most once, over crashes",
    "S4": "while an entry's fate is open no other entry for that leg is made",
    "S5": "an order is held dead without a final report only if the venue can no longer take it",
    "S9": "no stop is made or moved to a looser level than one that rested, over crashes",
    "S10": "a protective stop is cancelled only when the position is gone or another stop covers it",
    "S11": "a closing order closes what is there and never nothing; what happens to one leg leaves the other alone,"
    " and in net mode no entry is where it could meet the other side",
    "S12": "at most one closing order may live",
    "S13": "a position leaves the book only when it is gone",
    "S14": "what was found at the start is covered or flat before READY",
}
"""Properties of what is done, noticed where it is done."""


def _is_ready(facets: Facets, leg: Leg, shell: Shell) -> bool:
    return facets.life is lifecycle.S.READY


def _has_position_in_ready(facets: Facets, leg: Leg, shell: Shell) -> bool:
    return _is_ready(facets, leg, shell) and bool(leg.contracts or leg.entry.at is At.LIVE)


def _is_in_the_book(facets: Facets, leg: Leg, shell: Shell) -> bool:
    """S6. What is pending is a reading, a doubt, a report on its way, or the relogin that is read after."""
    is_away = not (facets.private and facets.algo)  # entries are frozen, and the account is polled
    is_pending = is_away or facets.reconciliation is not reconciliation.S.SETTLED or leg.is_untold
    if is_pending or leg.entry.overdue_timer or leg.close.overdue_timer:
        return True
    if leg.is_shared and leg.held != leg.booked + leg.others:
        return True  # positions are pushed too, and a difference that lasts is read
    is_known = not leg.contracts or (leg.booked == leg.contracts and facets.position in position.HELD)
    is_order_known = leg.entry.at is not At.LIVE or facets.entry not in order.FREE
    return is_known and is_order_known


def _is_naked(facets: Facets, leg: Leg, shell: Shell) -> bool:
    return (
        facets.is_running
        and facets.life in (lifecycle.S.READY, lifecycle.S.STOPPING)
        and bool(leg.contracts)
        and not leg.is_covered
        and not _is_covering(facets, leg, shell)  # which S8 speaks of
    )


def _is_being_answered(facets: Facets, leg: Leg, shell: Shell) -> bool:
    """S7. A deadline runs, a close is under way, or what would start one is on its way."""
    return (
        leg.naked_clock
        or leg.fill_clock
        or facets.protection is protection.S.BARRED  # the operator is told, and the venue asked again
        or leg.is_untold
        or leg.entry.overdue_timer
        or leg.close.overdue_timer
        or facets.close not in order.FREE
        or facets.reconciliation is not reconciliation.S.SETTLED
        or not (facets.private and facets.algo)  # polled, and read on relogin
    )


def _is_stopped(facets: Facets, leg: Leg, shell: Shell) -> bool:
    return facets.life is lifecycle.S.STOPPED and facets.is_clean_exit


def _is_left_in_order(facets: Facets, leg: Leg, shell: Shell) -> bool:
    """S15. Nothing of ours can still happen that nobody watches, as far as the venue has told us."""
    if leg.entry.at is At.LIVE or leg.entry.call in (Call.QUEUED, Call.WIRE) or leg.entry.stray:
        return False
    return not leg.contracts or leg.is_covered or leg.close.may_fill


def _always(facets: Facets, leg: Leg, shell: Shell) -> bool:
    return facets.is_born


def _is_covering(facets: Facets, leg: Leg, shell: Shell) -> bool:
    """While it is being closed the venue drops the stop, and the closer is at work."""
    return facets.protection in protection.COVERS and facets.position is not position.S.CLOSING


def _cover_is_real(facets: Facets, leg: Leg, shell: Shell) -> bool:
    """What is called covered rests at the venue, or the news of its end is on its way, or was lost."""
    return (
        leg.is_covered
        or leg.is_untold
        or not leg.contracts
        or facets.reconciliation is not reconciliation.S.SETTLED
        or not facets.algo
        or not facets.private
    )


def _has_a_countdown(facets: Facets, leg: Leg, shell: Shell) -> bool:
    return facets.is_born and (shell.countdown or shell.old_countdown or shell.renewal)


def _is_countdown_rightful(facets: Facets, leg: Leg, shell: Shell) -> bool:
    is_left_running = facets.life is lifecycle.S.STOPPED and facets.is_clean_exit
    return not (is_left_running or shell.is_switch_off)


def _permission_is_journaled(facets: Facets, leg: Leg, shell: Shell) -> bool:
    return facets.permission is shell.permission


def unprotected_at_ready(leg: Leg) -> str:
    """S14, asked when the bot becomes READY. What is on its way to the bot cannot be known there yet."""
    return "S14" if leg.contracts and not leg.is_covered and not leg.is_untold else ""


PROPERTIES: tuple[Property, ...] = (
    Property(
        "S6",
        "in READY every position and live entry is in the book, or something pending will tell of it",
        _has_position_in_ready,
        _is_in_the_book,
    ),
    Property(
        "S7",
        "filled contracts without a live cover: a deadline runs, a close is under way, or the news is",
        _is_naked,
        _is_being_answered,
    ),
    Property("S8", "a position that is called covered is covered", _is_covering, _cover_is_real),
    Property(
        "S15",
        "a clean stop leaves no live entry and no position without cover",
        _is_stopped,
        _is_left_in_order,
    ),
    Property(
        "S16",
        "no countdown of the dead man's switch outlives a stop, whichever life started it, and one that took a stop is never started again",
        _has_a_countdown,
        _is_countdown_rightful,
    ),
    Property(
        "S17", "pause and halt are in the journal as soon as they hold", _always, _permission_is_journaled
    ),
)
