"""Whether a healed world has come to rest: what the exchange holds, what the bot believes, and what protects it."""

from __future__ import annotations

from collections.abc import Mapping

from anchorwatch.io.simulation.ghost import live_covers
from anchorwatch.io.venue.accounts import Account
from anchorwatch.machine import connection, ids, lifecycle, order, position, protection, reconciliation
from anchorwatch.machine.bot import Bot
from anchorwatch.machine.desk import Desk
from anchorwatch.machine.ids import Made
from anchorwatch.machine.units import LegKey, MarginMode, Side


def unrest(desk: Desk, account: Account) -> list[str]:
    """What is still amiss, in words; empty when nothing is."""
    bot = desk.bot
    amiss = _of_the_bot(bot)
    held: dict[LegKey, object] = {}
    for one in account.open_positions():
        side = Side.LONG if one.direction > 0 else Side.SHORT
        leg = LegKey(one.inst_id, side, MarginMode(one.margin_mode))
        held[leg] = abs(one.contracts)
        if bot.slot(leg).position.state is position.S.WATCHED:
            continue
        covers = live_covers(account, one)
        stops = [
            algo
            for algo in account.algos.values()
            if (algo.inst_id, algo.margin_mode, algo.pos_side) == one.key
            and ids.parse(algo.client_id) is not None
        ]
        if not covers:
            amiss.append(f"{leg} is not covered")
        if len(stops) > 1:
            amiss.append(f"{leg} has {len(stops)} stops of ours")
        if bot.slot(leg).protection.state is not protection.S.COVERED:
            amiss.append(f"{leg} protection is {bot.slot(leg).protection.state.value}")
    believed = {leg.leg: leg.contracts for leg in desk.context.book.open_legs()}
    if believed != held:
        amiss.append(f"the book has {_words(believed)}, the exchange {_words(held)}")
    return amiss + orphans(account)


def orphans(account: Account) -> list[str]:
    """Orders and stops of ours on the exchange that belong to nothing."""
    amiss = []
    for pending in account.pending.values():
        parsed = ids.parse(pending.client_id)
        if parsed is not None and parsed.made_for in (Made.ENTRY, Made.CLOSE):
            amiss.append(f"order {pending.client_id} is pending")
    open_keys = {one.key for one in account.open_positions()}
    for algo in account.algos.values():
        is_tied = (algo.inst_id, algo.margin_mode, algo.pos_side) in open_keys
        if ids.parse(algo.client_id) is not None and not is_tied:
            amiss.append(f"stop {algo.client_id} belongs to no position")
    return amiss


def _of_the_bot(bot: Bot) -> list[str]:
    amiss = []
    if bot.lifecycle.state is not lifecycle.S.READY:
        amiss.append(f"lifecycle is {bot.lifecycle.state.value}")
    amiss += [
        f"{link.data.name.value} connection is {link.state.value}"
        for link in bot.links
        if not connection.delivers(link)
    ]
    if bot.reconciliation.state is not reconciliation.S.SETTLED:
        # A comparison under way may still wait for an answer that a fault has swallowed.
        amiss.append(f"reconciliation is {bot.reconciliation.state.value}")
    amiss += [
        f"{leg} has an order in doubt"
        for leg, slot in bot.legs
        if order.S.IN_DOUBT in (slot.entry.state, slot.close.state)
    ]
    amiss += [f"missing: {scope} {name}".replace("  ", " ") for scope, name in bot.missing]
    return amiss


def _words(legs: Mapping[LegKey, object]) -> str:
    return ", ".join(f"{leg} {size}" for leg, size in sorted(legs.items(), key=str)) or "nothing"
