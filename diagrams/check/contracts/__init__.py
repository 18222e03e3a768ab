"""What the mission says of single steps, typed from its words and not read off the tables.

Properties speak of what must never be, or must be in the end. Contracts speak of what the user asked for
in so many words: in which order the start goes on, how long is waited, what is tried again, what is
closed, what is told. The ids are the mission's.
"""

from __future__ import annotations

from anchorwatch.diagrams.check.contracts import (
    connections,
    entering,
    lateness,
    life,
    orders,
    positions,
    refusals,
    router,
    routing,
    watching,
)
from anchorwatch.diagrams.check.contracts.driving import Contract

CONTRACTS: tuple[Contract, ...] = (
    *life.CONTRACTS,
    *connections.CONTRACTS,
    *orders.CONTRACTS,
    *positions.CONTRACTS,
    *router.CONTRACTS,
    *lateness.CONTRACTS,
    *refusals.CONTRACTS,
    *routing.CONTRACTS,
    *entering.CONTRACTS,
    *watching.CONTRACTS,
)


def broken_contract() -> str:
    """The first contract that the tables in force do not keep, or nothing."""
    for contract in CONTRACTS:
        try:
            is_kept = contract.holds()
        except Exception:  # an edited table may raise anything: that is not keeping it
            is_kept = False
        if not is_kept:
            return contract.id
    return ""


__all__ = ["CONTRACTS", "Contract", "broken_contract"]
