"""Questions over several machines together: may an entry be sent, is everything covered, is anything in flight.

An answer is a pure function of the snapshots. Where something is in the way it is named, for people.
"""

from __future__ import annotations

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
from anchorwatch.machine.roster import Bot, Slot
from anchorwatch.machine.units import Conduct, LegKey, PositionMode

# Asked before every order, and more than once; a member of an enumeration is found by a slow search.
READY, PERMITTED, TRADE = lifecycle.S.READY, permission.S.OPEN, Conduct.TRADE
SETTLED, CHECKING = reconciliation.S.SETTLED, reconciliation.S.CHECKING
FLAT, UNPROTECTED, BARRED = position.S.FLAT, protection.S.NONE, protection.S.BARRED
NET, SENT = PositionMode.NET, order.S.SENT
THERE_OR_GONE = (position.S.WATCHED, *position.GONE)


def entry_obstacles(bot: Bot, leg: LegKey) -> tuple[str, ...]:
    """Why no entry may be sent on this leg; empty when one may.

    This is the gate of R1.11 and R9.7, asked when an entry is planned and once more
    where it is written to the wire.
    """
    reasons = list(standing_obstacles(bot, leg.instrument))
    slot = bot.slot(leg)
    if slot.entry.state not in order.FREE:
        reasons.append("an entry is under way")
    if slot.position.state is not FLAT:
        reasons.append(f"the position is {slot.position.state.value}")
    if slot.protection.state is not UNPROTECTED or slot.close.state not in order.FREE:
        reasons.append("the last position is not settled")
    return (*reasons, *other_side_obstacles(bot, leg))


def other_side_obstacles(bot: Bot, leg: LegKey) -> tuple[str, ...]:
    """Why the other side of the instrument is in the way: in net mode an entry takes from what is open there."""
    return tuple(
        f"{key} is not flat"
        for key, other in bot.legs
        if key != leg
        and key.instrument == leg.instrument
        and (bot.mode is NET or other.position.state in THERE_OR_GONE)
        and _is_busy(other)
    )


def adding_obstacles(bot: Bot, leg: LegKey) -> tuple[str, ...]:
    """Why no further order of the wish that has opened this leg may be sent; empty when one may."""
    reasons = list(standing_obstacles(bot, leg.instrument))
    slot = bot.slot(leg)
    if slot.entry.state not in order.FREE:
        reasons.append("an entry is under way")
    if slot.position.state is not position.S.OPEN:
        reasons.append(f"the position is {slot.position.state.value}")
    if slot.protection.state not in protection.COVERS:
        reasons.append("what is open is not covered")
    return tuple(reasons)


def standing_obstacles(bot: Bot, instrument: str) -> tuple[str, ...]:
    """The obstacles that do not depend on the leg: lifecycle, permission, connections, book and facts."""
    reasons = []
    if bot.lifecycle.state is not READY:
        reasons.append(f"lifecycle is {bot.lifecycle.state.value}")
    if bot.conduct is not TRADE:
        reasons.append(f"the mode is {bot.conduct.value}")
    if instrument in bot.hands_off:
        reasons.append(f"hands off {instrument}")
    if bot.permission.state is not PERMITTED:
        reasons.append(f"permission is {bot.permission.state.value}")
    for link in bot.links:
        if not connection.delivers(link):
            reasons.append(f"{link.data.name.value} connection is {link.state.value}")
    if not is_settled(bot):
        reasons.append("the book is not reconciled")
    for key, slot in bot.legs:
        if slot.protection.state is BARRED:
            reasons.append(f"{key} has no stop, and the venue takes none")
    for scope, name in bot.missing:
        if scope in ("", instrument):
            reasons.append(f"{scope} {name}".strip())
    return tuple(reasons)


def lacks_a_fact_of_the_bot(bot: Bot) -> bool:
    """Whether a fact is missing that gates every symbol.

    A symbol's facts gate that symbol alone: one whose feed is dead keeps no other from trading. That at least one
    symbol has all of its own is itself a fact of the bot.
    """
    return any(scope == "" for scope, _ in bot.missing)


def resting_obstacles(bot: Bot, rests: bool) -> tuple[str, ...]:
    """What is in the way of an entry that rests, and of no other: nobody would take it back if we died."""
    if rests and bot.dead_man.state in dead_man.SHUT:
        return (f"the dead man's switch is {bot.dead_man.state.value}",)
    return ()


def is_covered(bot: Bot) -> bool:
    """Whether the exchange would close every open position of ours by itself.

    Asked before READY (S14: what was found is covered or flat by then) and before the stop lets go.
    """
    return all(
        slot.position.state not in position.HELD or slot.protection.state in protection.COVERS
        for _, slot in bot.legs
    )


def is_settled(bot: Bot) -> bool:
    state = bot.reconciliation.state
    return state is SETTLED or state is CHECKING


def may_still_send(bot: Bot, leg: LegKey, seq: int) -> tuple[str, ...]:
    """The last look before the wire: why this entry, planned a moment ago, may not go out any more."""
    slot = bot.slot(leg)
    reasons = [*standing_obstacles(bot, leg.instrument), *resting_obstacles(bot, slot.entry.data.rests)]
    if slot.entry.state is not SENT or slot.entry.data.seq != seq or slot.entry.data.cancel_wanted:
        reasons.append("the entry is not wanted any more")
    return (*reasons, *other_side_obstacles(bot, leg))


def may_still_amend(bot: Bot, leg: LegKey, seq: int) -> tuple[str, ...]:
    """The same before an amendment: why this entry may not be repriced any more."""
    slot = bot.slot(leg)
    reasons = [*standing_obstacles(bot, leg.instrument), *resting_obstacles(bot, rests=True)]
    if (
        slot.entry.state is not order.S.AMENDING
        or slot.entry.data.seq != seq
        or slot.entry.data.cancel_wanted
    ):
        reasons.append("the entry is not to be repriced any more")
    return (*reasons, *other_side_obstacles(bot, leg))


def _is_busy(slot: Slot) -> bool:
    return slot.position.state is not FLAT or slot.entry.state not in order.FREE


def holds_ours(bot: Bot) -> bool:
    """Whether a position of ours is open, being closed, or gone without a known cause."""
    return any(slot.position.state in position.OURS for _, slot in bot.legs)


def in_flight(bot: Bot) -> bool:
    return any(
        snapshot.state not in order.FREE for _, slot in bot.legs for snapshot in (slot.entry, slot.close)
    )
