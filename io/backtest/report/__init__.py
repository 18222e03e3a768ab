"""The report of a back-test: one HTML file that needs nothing else.

Charts are drawn by uPlot 1.6.32 (MIT, 51 kB, without dependencies), kept beside this file with its licence and
written into the page: it draws a hundred thousand points without delay, and the page opens without a network.
matplotlib would make pictures that cannot be zoomed, plotly a page of four megabytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.backtest.data import DataFacts
from anchorwatch.io.backtest.flips import Flips
from anchorwatch.io.backtest.outcome import Curve, Summary, trade_row
from anchorwatch.io.backtest.record import Trade
from anchorwatch.io.backtest.run import Backtest

HERE = Path(__file__).parent
POINTS_MAX = 20_000
"""Points of one curve: more than a screen has columns; longer runs are drawn by the extremes of their buckets."""

STOPS_MAX = 20_000
"""Levels of stops that are drawn; a run with more draws the newest."""


def write_report(
    out: Path,
    run: Backtest,
    summary: Summary,
    curve: Curve,
    data: Sequence[DataFacts],
    settings: Sequence[tuple[str, str, str]],
    flips: Sequence[Flips],
    worst: float | None,
) -> Path:
    """Write report.html into ``out``, and say where it is."""
    shown = {
        "summary": msgspec.to_builtins(summary),
        "curve": _curve(curve),
        "prices": {name: _prices(run, name) for name in run.tapes},
        "trades": [_shown(trade) for trade in run.record.trades],
        "stops": _stops(run.record.trades),
        "instruments": _groups(run.record.trades, "instrument"),
        "regimes": _groups(run.record.trades, "regime"),
        "causes": _groups(run.record.trades, "cause"),
        "data": msgspec.to_builtins(list(data)),
        "settings": [list(row) for row in settings],
        "worst": worst,
        "flips": msgspec.to_builtins(list(flips)),
        "denied": denials(run.record.denied),
        "said": run.record.said,
    }
    # "</" would end the script that carries the data.
    encoded = msgspec.json.encode(shown).decode().replace("</", "<\\/")
    page = _part("page.html")
    parts = {
        "UPLOT_LICENCE": _part("uplot/LICENSE").replace("*/", ""),
        "UPLOT_CSS": _part("uplot/uPlot.min.css"),
        "UPLOT_JS": _part("uplot/uPlot.iife.min.js"),
        "PAGE_CSS": _part("page.css"),
        "PAGE_JS": _part("page.js"),
        "DATA": encoded,
        "TITLE": f"{summary.strategy}, {summary.begin[:10]} to {summary.end[:10]}",
    }
    for name, text in parts.items():
        page = page.replace(f"@@{name}@@", text)
    path = out / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _buckets(count: int) -> NDArray[np.int64]:
    """Where each bucket begins."""
    size = max(1, -(-count // POINTS_MAX))
    return np.arange(0, count, size, dtype=np.int64)


def _curve(curve: Curve) -> dict[str, Any]:
    begins = _buckets(len(curve.equity))
    if not len(begins):
        return {
            "t": [],
            "equity": [],
            "drawdown": [],
            "exposure": [],
            "held": {name: [] for name in curve.held},
        }
    lasts = np.append(begins[1:], len(curve.equity)) - 1
    return {
        "t": (curve.ends_ms[lasts] // 1000).tolist(),
        "equity": np.round(curve.equity[lasts], 4).tolist(),
        "drawdown": np.round(-100 * np.maximum.reduceat(curve.drawdown, begins), 5).tolist(),
        "exposure": np.round(np.maximum.reduceat(curve.exposure, begins), 2).tolist(),
        "held": {
            name: np.round(np.maximum.reduceat(own, begins), 2).tolist() for name, own in curve.held.items()
        },
    }


def denials(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """How often each reason was given, whatever number it gave with it in brackets."""
    reasons: Counter[str] = Counter()
    for reason, count in counts.items():
        reasons[reason.partition(" (")[0]] += count
    return reasons.most_common()


def _prices(run: Backtest, name: str) -> dict[str, list[float]]:
    """Closes with the extremes of each bucket, in the time that is traded."""
    series = run.tapes[name].series
    inside = slice(*np.searchsorted(series.ts_ms, (run.start_ms, run.end_ms)).tolist())
    ts_ms, tick = series.ts_ms[inside], float(series.instrument.tick_sz)
    begins = _buckets(len(ts_ms))
    if not len(begins):
        return {"t": [], "close": [], "high": [], "low": []}
    lasts = np.append(begins[1:], len(ts_ms)) - 1

    def rounded(ticks: NDArray[Any]) -> list[float]:
        return np.round(ticks * tick, 8).tolist()  # type: ignore[no-any-return]

    return {
        "t": ((ts_ms[lasts] + 60_000) // 1000).tolist(),
        "close": rounded(series.close[inside][lasts]),
        "high": rounded(np.maximum.reduceat(series.high[inside], begins)),
        "low": rounded(np.minimum.reduceat(series.low[inside], begins)),
    }


def _shown(trade: Trade) -> dict[str, object]:
    row = trade_row(trade)
    return {**row, "entered_s": trade.entered_ms / 1000, "left_s": trade.left_ms / 1000}


def _stops(trades: Sequence[Trade]) -> list[tuple[str, float, float, float]]:
    """(instrument, from, to, level) of every level at which a stop rested."""
    found = []
    for trade in trades:
        if not trade.is_closed or not trade.stops:
            continue
        ends = [at_ms for at_ms, _ in trade.stops[1:]] + [trade.left_ms]
        for (at_ms, level), end_ms in zip(trade.stops, ends, strict=True):
            found.append((trade.instrument, at_ms / 1000, end_ms / 1000, float(level)))
    return found[-STOPS_MAX:]


def _groups(trades: Sequence[Trade], field: str) -> list[dict[str, object]]:
    """Closed trades by what ``field`` says of them."""
    groups: dict[str, list[Trade]] = {}
    for trade in trades:
        if trade.is_closed:
            groups.setdefault(getattr(trade, field) or "not told", []).append(trade)
    return [
        {
            "name": name,
            "trades": len(group),
            "won": sum(one.net > 0 for one in group),
            "gross": round(float(sum(one.gross for one in group)), 4),
            "fees": round(float(sum(one.fees for one in group)), 4),
            "funding": round(float(sum(one.funding for one in group)), 4),
            "net": round(float(sum(one.net for one in group)), 4),
            "held_min": round(sum(one.left_ms - one.entered_ms for one in group) / len(group) / 60_000, 1),
        }
        for name, group in sorted(groups.items())
    ]
