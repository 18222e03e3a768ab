"""The exits at work: what a position's profit, loss and age ask of the one closer.

The take-profit and the longest holding of the symbol bound those of the regimes. A part is taken once in a
position's life: the closer remembers for what reason, restarts included.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine.book import LegBook
from anchorwatch.machine.desk import stops
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.parameters import ExitSettings, Patience, Trading
from anchorwatch.machine.strategy.exits import CloseAll, ClosePart, Held, exit_wanted, part_of
from anchorwatch.machine.units import Contracts, Fraction, Price

PARTIAL = "partial take profit"
"""The reason under which a part is taken, once."""


def settings_of(trading: Trading, *, follows_regime: bool) -> ExitSettings:
    """The exits of a symbol, with the bounds that its protection sets."""
    protecting, exits = trading.protecting, trading.exits
    longest_s = protecting.max_holding_s

    def bounded(patience: Patience) -> Patience:
        own_s = patience.max_holding_s
        shorter_s = min(own_s, longest_s) if own_s and longest_s else own_s or longest_s
        return msgspec.structs.replace(patience, max_holding_s=shorter_s)

    return msgspec.structs.replace(
        exits,
        take_profit_fraction=protecting.take_profit_fraction,
        trending=bounded(exits.trending),
        ranging=bounded(exits.ranging),
        choppy=bounded(exits.choppy),
        plain=None if follows_regime else Patience(longest_s, 0, Fraction(Decimal(0))),
    )


def of(context: Context, instrument: str) -> ExitSettings:
    """What holds for an instrument; one that no chart follows has no regime."""
    found = context.exits.get(instrument)
    if found is None:
        chart = context.charts.get(instrument)
        follows = chart is not None and chart.market.settings.regime is not None
        found = settings_of(context.parameters.of(instrument), follows_regime=follows)
        context.exits[instrument] = found
    return found


def take_mark(context: Context, instrument: str, mark: Decimal) -> None:
    """Profits are taken at the mark that brings them; ages wait for the tick."""
    for leg in stops.held(context, instrument):
        _look(context, leg, mark, leg.entered_ms)


def tick(context: Context) -> None:
    """Ages come by themselves: the longest holding, and the time that a loser is given."""
    for instrument, mark in context.book.marks.items():
        for leg in stops.held(context, instrument):
            _look(context, leg, mark, context.now_ms)


def _look(context: Context, leg: LegBook, mark: Decimal, at_ms: int) -> None:
    settings = of(context, leg.leg.instrument)
    entry = Price(leg.account.average_price)
    seen = Held(leg.leg.side, entry, leg.entered_ms, leg.regime, PARTIAL in leg.partials)
    wanted = exit_wanted(seen, Price(mark), at_ms, settings)
    if isinstance(wanted, CloseAll):
        stops.want_close(context, leg, wanted.reason.value)
    elif isinstance(wanted, ClosePart):
        part = part_of(leg.contracts, wanted.share, context.book.instruments[leg.leg.instrument])
        if part:
            stops.want_reduce(context, leg, Contracts(part), PARTIAL)
