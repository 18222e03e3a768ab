"""How much of a result hangs on the path inside the candles, which is invented: the same run, told two other ways.

Every minute visits the extreme against the open position first, or the one in its favour. Neither is the worst for
every trade: a low before a high hits a stop, a high before a low lets a stop trail up and hits it there. So each trade
is also taken at its worst of the runs. A trade is found again by its instrument, its side and its minute of entry.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from anchorwatch.io.backtest.record import Trade
from anchorwatch.io.venue.feeds import MINUTE_MS


class Flips(msgspec.Struct, frozen=True):
    """A run on another path beside the default one. ``turned``: won here and lost there, or the other way round."""

    path: str
    net: float
    trades: int
    found_again: int
    turned: int
    other_cause: int
    only_default: int
    only_other: int


def compare(default: Sequence[Trade], other: Sequence[Trade], path: str) -> Flips:
    ours, theirs = _by_entry(default), _by_entry(other)
    shared = ours.keys() & theirs.keys()
    return Flips(
        path=path,
        net=float(sum(one.net for one in other if one.is_closed)),
        trades=len(theirs),
        found_again=len(shared),
        turned=sum((ours[key].net > 0) is not (theirs[key].net > 0) for key in shared),
        other_cause=sum(ours[key].cause != theirs[key].cause for key in shared),
        only_default=len(ours.keys() - shared),
        only_other=len(theirs.keys() - shared),
    )


def worst_of_each(default: Sequence[Trade], *others: Sequence[Trade]) -> float:
    """The sum of the default run's closed trades, each with the worst result that it has in any of the runs."""
    runs = [_by_entry(one) for one in (default, *others)]
    return float(sum(min(run[key].net for run in runs if key in run) for key in runs[0]))


def _by_entry(trades: Sequence[Trade]) -> dict[tuple[str, str, int], Trade]:
    return {(one.instrument, one.side, one.entered_ms // MINUTE_MS): one for one in trades if one.is_closed}
