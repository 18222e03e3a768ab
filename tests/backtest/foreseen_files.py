"""``python -m tests.backtest.foreseen_files [FILE…]``: what is foreseen of every recorded file, against a live market.

The default strategy is asked at every candle of every file about a market that takes one candle after the other and
computes what it computes live; each wish, each signal and each refusal must be the foreseen one, whatever is open.
It prints a line for each file and ends with exit code 1 where an answer is another.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from anchorwatch.io.backtest.costs import costs_of
from anchorwatch.io.backtest.data import read_files
from anchorwatch.io.backtest.foresight import Foresight
from anchorwatch.io.backtest.history import Histories
from anchorwatch.io.backtest.record import moment
from anchorwatch.io.backtest.tape import Tape
from anchorwatch.io.embedded import default_start_ms
from anchorwatch.io.settings import load
from anchorwatch.machine.candles import Ahead
from anchorwatch.machine.market import SIGNAL, Market
from anchorwatch.machine.strategy import Funding, view_of
from anchorwatch.machine.strategy.scalper import Scalper
from anchorwatch.machine.strategy.series import REFUSED
from anchorwatch.machine.timeframes import HOUR_MS, MINUTE_MS
from anchorwatch.machine.units import Side
from anchorwatch.machine.world import Candle, QuoteMoved
from tests.backtest.rig import DATA

SHOWN = 5
CLOSE = Decimal("0.9999")
"""The bid of a quote that no regime refuses, as a share of its ask."""


def lived(histories: Histories, name: str, start_ms: int, end_ms: int) -> Iterator[tuple[Candle, Market]]:
    """Every signal candle that closes from ``start_ms`` on, and the market when it has been taken."""
    market = Market(name)
    for loaded in histories.all(start_ms):
        if loaded.instrument == name:
            market.merge(loaded.timeframe, loaded.candles)
    closings = histories.closing(name, start_ms)
    while (now_ms := min(closing.due_ms for closing in closings)) <= end_ms:
        for closing in closings:
            while closing.due_ms <= now_ms:
                event = closing.take()
                if isinstance(market.take(event.timeframe, event.candle), Ahead):
                    market.begin_after_hole(event.timeframe)
                if event.timeframe == SIGNAL:
                    yield event.candle, market


def is_whole(market: Market, candle: Candle) -> bool:
    """Whether a bot would be ready; before that nothing is left out."""
    pivots = market.pivots
    return (
        all(market.indicator_candles(name) >= market.settled for name in market.settings.indicated)
        and market.regime is not None
        and market.profile is not None
        and pivots is not None
        and pivots.hold_at(candle.open_ms)
    )


def compare(path: Path) -> tuple[str, list[str]]:
    """A line about this file, and where an answer is another than was foreseen."""
    settings = load(file=None, environ={}, options={"backtest.funding": "none"}, markets=(path,))
    series = read_files([path])
    start_ms = default_start_ms(settings, dict(series))
    ((name, own),) = series.items()
    strategy = Scalper()
    histories = Histories(series, {name: strategy.needs.kept})
    foresight = Foresight(
        histories, Tape(own, start_ms), strategy.needs, costs_of(settings.backtest, 0), start_ms
    )
    answered = foresight.answers(strategy)
    rows = {open_ms: row for row, open_ms in enumerate(histories.columns[name, SIGNAL].opens_ms)}
    compared = asked = wished = 0
    wrong: list[str] = []
    for candle, market in lived(histories, name, start_ms, own.end_ms):
        if not is_whole(market, candle):
            continue
        row, closed_ms = rows[candle.open_ms], candle.open_ms + MINUTE_MS
        ask = Decimal(str(candle.close))
        view = view_of(
            market,
            QuoteMoved(name, ask * CLOSE, ask, closed_ms),
            Funding(Decimal(0), closed_ms + HOUR_MS),
        )
        for side in (None, *Side):
            decision = strategy.consider(msgspec.structs.replace(view, open_side=side))
            compared += 1
            wished += decision.intent is not None
            if answered.asked[side][row]:
                asked += 1
                continue
            said = {f"signal {one.signal}" for one in decision.fired}
            said |= {f"refused {one.filter}" for one in decision.refusals}
            said |= {REFUSED} if decision.refusals else set()
            foreseen = set(answered.counted[side].within(row, row + 1))
            if decision.intent is not None or said != foreseen:
                wrong.append(f"{moment(closed_ms)} {side}: {sorted(said ^ foreseen)} {decision.because}")
    line = f"| {path.name.removesuffix('.csv.gz')} | {compared} | {asked} | {wished} | {len(wrong)} |"
    return line, wrong


def main(words: list[str]) -> int:
    files = [Path(word) for word in words] or sorted((DATA / "candles").glob("*_1m_*.csv.gz"))
    failed = not files
    print("| file | answers compared | asked | wished | other than foreseen |")
    print("|---|---|---|---|---|")
    for path in files:
        line, wrong = compare(path)
        failed = failed or bool(wrong)
        print(line, *wrong[:SHOWN], sep="\n", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
