"""What a back-test leaves: numbers for people and programs, from its record. Nothing here promises a profit."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.backtest.data import DataFacts
from anchorwatch.io.backtest.record import Trade, moment
from anchorwatch.io.backtest.run import Backtest
from anchorwatch.io.venue.feeds import MINUTE_MS

Floats = NDArray[np.float64]


class Curve(msgspec.Struct):
    """One point a minute, at its end: the account, what it fell from its peak (a fraction), what is held in all and of each
    instrument."""

    ends_ms: NDArray[np.int64]
    equity: Floats
    drawdown: Floats
    exposure: Floats
    held: Mapping[str, Floats]


class Summary(msgspec.Struct, frozen=True):
    """Money in USDT. ``net`` is after fees and funding and without what is still open; ``None``: it has no meaning."""

    strategy: str
    begin: str
    end: str
    minutes: int
    cash_begin: float
    equity_end: float
    trades: int
    still_open: int
    won: int
    lost: int
    net: float
    gross: float
    fees: float
    funding: float
    slippage: float
    largest_drawdown: float
    largest_drawdown_fraction: float
    exposed_fraction: float
    largest_exposure: float
    average_holding_min: float | None
    maker_fills: int
    taker_fills: int
    liquidations: int
    uncovered_longest_s: float
    alarms: int


def curve_of(run: Backtest) -> Curve:
    """The account minute by minute, over every minute from the start to the end, holes included."""
    opens_ms = np.arange(run.start_ms, run.end_ms, MINUTE_MS, dtype=np.int64)
    closes: dict[str, Floats] = {}
    for name, tape in run.tapes.items():
        series = tape.series
        # A minute that the file lacks is worth what the last one before it was.
        rows = np.maximum(np.searchsorted(series.ts_ms, opens_ms, side="right") - 1, 0)
        closes[name] = (series.close[rows] * float(series.instrument.tick_sz)).astype(np.float64)
    equity = run.record.equity(opens_ms, closes, run.costs.cash)
    peak = np.maximum.accumulate(np.maximum(equity, float(run.costs.cash)))
    held = run.record.exposure(opens_ms, closes)
    exposure = np.add.reduce(list(held.values()))
    return Curve(opens_ms + MINUTE_MS, equity, 1 - equity / peak, exposure, held)


def summary_of(run: Backtest, curve: Curve) -> Summary:
    record = run.record
    closed = [trade for trade in record.trades if trade.is_closed]
    nets = [float(trade.net) for trade in closed]
    fall = np.maximum.accumulate(np.maximum(curve.equity, float(run.costs.cash))) - curve.equity
    holding = [(trade.left_ms - trade.entered_ms) / MINUTE_MS for trade in closed]
    return Summary(
        strategy=run.settings.strategy.name,
        begin=moment(run.start_ms),
        end=moment(run.end_ms),
        minutes=len(curve.equity),
        cash_begin=float(run.costs.cash),
        equity_end=float(curve.equity[-1]) if len(curve.equity) else float(run.costs.cash),
        trades=len(closed),
        still_open=len(record.open),
        won=sum(net > 0 for net in nets),
        lost=sum(net <= 0 for net in nets),
        net=sum(nets),
        gross=float(sum(trade.gross for trade in closed)),
        fees=float(record.fees),
        funding=float(record.funding),
        slippage=float(record.slippage),
        largest_drawdown=float(fall.max(initial=0.0)),
        largest_drawdown_fraction=float(curve.drawdown.max(initial=0.0)),
        exposed_fraction=float((curve.exposure > 0).mean()) if len(curve.exposure) else 0.0,
        largest_exposure=float(curve.exposure.max(initial=0.0)),
        average_holding_min=sum(holding) / len(holding) if holding else None,
        maker_fills=record.maker_fills,
        taker_fills=record.taker_fills,
        liquidations=record.liquidations,
        uncovered_longest_s=run.desk.context.book.totals.uncovered_ms_max / 1000,
        alarms=record.alarms,
    )


TRADE_COLUMNS = (
    "number", "instrument", "side", "regime", "entered", "left", "held_min", "contracts", "entry_price", "exit_price",
    "gross", "fees", "funding", "net", "cause", "why",
)  # fmt: skip


def trade_row(trade: Trade) -> dict[str, object]:
    """One trade as a row of trades.csv and of the report."""
    end_ms = trade.left_ms or None
    return {
        "number": trade.number,
        "instrument": trade.instrument,
        "side": trade.side,
        "regime": trade.regime,
        "entered": moment(trade.entered_ms),
        "left": moment(end_ms) if end_ms else "",
        "held_min": round((end_ms - trade.entered_ms) / MINUTE_MS, 2) if end_ms else "",
        "contracts": format(trade.contracts.normalize(), "f"),
        "entry_price": _price(trade.entry_price),
        "exit_price": _price(trade.exit_price) if end_ms else "",
        "gross": round(float(trade.gross), 6),
        "fees": round(float(trade.fees), 6),
        "funding": round(float(trade.funding), 6),
        "net": round(float(trade.net), 6),
        "cause": trade.cause if end_ms else "still open",
        "why": trade.why,
    }


def _price(average: Decimal) -> float:
    """To eight digits: an average over parts has no end, and no market a finer tick."""
    return float(f"{average:.8g}")


def write_tables(out: Path, run: Backtest, curve: Curve) -> None:
    """trades.csv and equity.csv."""
    with (out / "trades.csv").open("w", newline="", encoding="utf-8") as target:
        rows = csv.DictWriter(target, TRADE_COLUMNS)
        rows.writeheader()
        rows.writerows(trade_row(trade) for trade in run.record.trades)
    with (out / "equity.csv").open("w", newline="", encoding="utf-8") as target:
        lines = csv.writer(target)
        lines.writerow(("ts", "equity", "drawdown", "exposure"))
        columns = zip(
            curve.ends_ms.tolist(),
            np.round(curve.equity, 6).tolist(),
            np.round(curve.drawdown, 8).tolist(),
            np.round(curve.exposure, 4).tolist(),
            strict=True,
        )
        lines.writerows(columns)


def write_result(
    out: Path,
    summary: Summary,
    data: Mapping[str, DataFacts],
    settings: list[tuple[str, str, str]],
    run: Backtest,
    more: Mapping[str, object],
) -> None:
    """result.json: everything but the tables, repeatable byte for byte."""
    record = run.record
    result = {
        "summary": summary,
        "data": list(data.values()),
        "settings": {key: value for key, value, _ in settings},
        "seed": run.costs.seed,
        "said": record.said,
        "said_counts": dict(sorted(record.counts.items())),
        "entries_denied": dict(sorted(record.denied.items())),
        **more,
    }
    encoded = msgspec.json.format(msgspec.json.encode(result), indent=2)
    (out / "result.json").write_bytes(encoded + b"\n")
