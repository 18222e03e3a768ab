"""A recorded market that goes up one minute and down the next, so that two short averages cross with every candle."""

from __future__ import annotations

from pathlib import Path

MINUTES = 1_440
MINUTE_MS = 60_000
# 2025-01-02 00:00 UTC; the exchange shifts a file by whole days to today, and repeats it.
FIRST_MS = 1_735_776_000_000

SWING = 0.001
"""How far the price swings to each side. Small beside every stop used here: no stop is hit by the market."""

PRICES = {"BTCUSDT": 95_000.0, "ETHUSDT": 3_300.0, "SOLUSDT": 160.0}


def write_markets(room: Path) -> list[Path]:
    """One file for each instrument, a whole day long."""
    paths = []
    for name, middle in PRICES.items():
        rows, open_px = ["ts,open,high,low,close,volume"], middle * (1 - SWING)
        for minute in range(MINUTES):
            close_px = middle * (1 + SWING if minute % 2 == 0 else 1 - SWING)
            low, high = sorted((open_px, close_px))
            rows.append(
                f"{FIRST_MS + minute * MINUTE_MS},{open_px:.2f},{high:.2f},{low:.2f},{close_px:.2f},1000"
            )
            open_px = close_px
        path = room / f"{name}.csv"
        path.write_text("\n".join(rows) + "\n", encoding="ascii")
        paths.append(path)
    return paths
