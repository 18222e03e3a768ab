"""Candles at which nothing is decided, taken many at a time: what a back-test leaves out, and live never happens.

Somebody else has found out that the strategy has no wish at any of them. Here is what else must hold for a candle to
change nothing but the chart: no fact of the symbol is missing, which a candle might bring, nothing is being mended,
which a candle might end, and no regime is still to be recorded. Whether these candles are plain (with trades, none
missing) is for whoever passes over them to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anchorwatch.machine.candle_repair import S
from anchorwatch.machine.candles import Stretch
from anchorwatch.machine.desk import market
from anchorwatch.machine.desk.chart import Chart
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.market import SIGNAL
from anchorwatch.machine.regime import RegimeState
from anchorwatch.machine.strategy.series import REFUSED

SOUND = S.SOUND


def may_pass(chart: Chart) -> bool:
    """Whether a plain candle without a wish changes nothing but the chart."""
    if chart.missing or market.regime_is_news(chart):
        return False
    for timeframe, snapshot in chart.repairs.items():
        if snapshot.state is not SOUND or chart.market.buffer(timeframe).missing() is not None:
            return False
    return True


def pass_over(
    context: Context,
    chart: Chart,
    stretches: Mapping[str, Stretch],
    regimes: Sequence[RegimeState],
    counted: Mapping[str, int],
) -> None:
    """Bring the chart up to the last of these candles. The strategy would have answered None to each.

    ``regimes`` are the states that are to be recorded on the way, ``counted`` is what the answers are counted as.
    """
    assert may_pass(chart)
    for state in regimes:
        chart.market.regime = state
        market.record_regime(context, chart)
    chart.market.pass_over(stretches)
    assert not market.regime_is_news(chart), "a regime was not told of"
    context.book.count_decision("asked", len(stretches[SIGNAL]))
    for kind, times in counted.items():
        if kind == REFUSED:
            context.announce("info", "SIGNAL_REFUSED", instrument=chart.instrument, times=times)
        else:
            context.book.count_decision(kind, times)
