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
    return next((contract.id for contract in CONTRACTS if not is_kept(contract)), "")


def is_kept(contract: Contract) -> bool:
    try:
        return contract.holds()
    except Exception:  # an edited table may raise anything: that is not keeping it
        return False


__all__ = ["CONTRACTS", "Contract", "broken_contract", "is_kept"]
