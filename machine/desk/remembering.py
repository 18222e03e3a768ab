"""What the next life must know of an open leg, for the journal."""

from __future__ import annotations

from anchorwatch.machine.book import LegBook
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.facts import LegOpenedFact
from anchorwatch.machine.requests import Record


def note(context: Context, leg: LegBook) -> None:
    """What the next life must know of this leg."""
    fact = LegOpenedFact(
        leg=leg.leg,
        entered_at_ms=leg.entered_ms,
        entry_px=leg.account.average_price,
        contracts=leg.contracts,
        regime=leg.regime.value if leg.regime is not None else "",
        stop_px=leg.wanted,
        strategy="",
        order_id=leg.close_counted[0],
        order_filled=leg.close_counted[1],
        is_hearsay=leg.is_hearsay,
        entry_id=leg.entry_counted[0],
        entry_filled=leg.entry_counted[1],
        cut=leg.cut,
    )
    context.ask(Record((fact,)))
