"""Differences between the book and the exchange, told: one line each, by name, with what is done about it.

Which policy holds depends on whose it is: what is ours is mended, what is not is registered and told.
"""

from __future__ import annotations

from anchorwatch.machine.desk import sharing
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.reconcile import DriftKind

TOLD = "told, and never touched"

MENDED = {
    DriftKind.ADD: "adopted and protected",
    DriftKind.REMOVE: "leaves the book when its cause is known",
    DriftKind.SIZE: "the exchange's figures are taken",
    DriftKind.SIDE: "the old side leaves when its cause is known, the new one is a position of its own",
    DriftKind.STOP_MISSING: "placed again",
    DriftKind.STOP_ORPHAN: "cancelled",
    DriftKind.STOP_SIZE: "set to the size of the position",
    DriftKind.ORDER_ORPHAN: "cancelled",
    DriftKind.ORDER_LOST: "asked for by its id until the exchange says what became of it",
}
"""What is done where everything is ours."""

SHARED = {
    DriftKind.ADD: "watched, and never touched",
    DriftKind.SIZE: "what our own orders did not fill is a stranger's, and left alone",
    DriftKind.STOP_SIZE: "set to our size exactly",
}
"""What is done otherwise where strangers trade too."""


def policy(context: Context, kind: DriftKind, instrument: str) -> str:
    """What is done about such a drift, in words."""
    if not context.may_touch(instrument):
        return TOLD
    if sharing.is_shared(context, instrument):
        return SHARED.get(kind, MENDED[kind])
    return MENDED[kind]


def tell(context: Context, kind: DriftKind, instrument: str, /, **fields: object) -> None:
    """Count the drift and say it: in the log, and in the drift report."""
    context.book.totals.drifts += 1
    context.announce("warning", kind.value, **fields, policy=policy(context, kind, instrument))
