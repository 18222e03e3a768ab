"""The prices inside a one-minute candle.

A candle says where the price began, how far it went and where it ended, not in which order. The path made here is
**invented**: it keeps everything the candle does say (the first price is the open, the last is the close, high and
low are both touched and never passed) and makes up the rest, repeatably. The embedded exchange and the back-test
both trade on this one function, so that they cannot disagree about a stop inside a candle.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

from anchorwatch.io.venue.feeds import MINUTE_MS, Int64s
from anchorwatch.io.venue.noise import UInt64s, mix, mix_arrays

# One price every five seconds: enough for a trailing stop to follow inside the minute, and a month of minutes is
# still played in about a second.
STEPS_PER_MINUTE = 12

# Open, both extremes and close are four different moments.
STEPS_MIN = 4

# How far from the straight line between two corners a price may stray, as a part of the candle's range.
_STRAY_PART = 8

Worst = Literal["long", "short"]

# The constants of Knuth's 64-bit linear congruential generator.
_FACTOR = 6364136223846793005
_SUMMAND = 1442695040888963407


def price_path(
    open_: int,
    high: int,
    low: int,
    close: int,
    *,
    steps: int = STEPS_PER_MINUTE,
    seed: int = 0,
    worst: Worst | None = None,
) -> list[tuple[int, int]]:
    """`steps` moments of one minute: (milliseconds after its open, price in ticks), first at 0, evenly spaced.

    A rising or level candle visits its low first and a falling one its high, which is the likelier order. `worst`
    asks for the order that hurts a position instead: "long" visits the low first, "short" the high. Deterministic in
    all arguments. Raises ValueError when the four prices are no candle or there are fewer than STEPS_MIN steps.
    """
    if not low <= min(open_, close) <= max(open_, close) <= high:
        raise ValueError(f"no candle: open {open_}, high {high}, low {low}, close {close}")
    if steps < STEPS_MIN:
        raise ValueError(f"steps must be at least {STEPS_MIN}, not {steps}")
    low_first = close >= open_ if worst is None else worst == "long"
    first, second = (low, high) if low_first else (high, low)
    bits = mix(seed, open_, high, low, close)
    last = steps - 1
    # The first extreme falls into the first half of what is free, the second into the rest.
    at_first = 1 + bits % max(1, (last - 1) // 2)
    bits >>= 8
    at_second = at_first + 1 + bits % (last - 1 - at_first)
    bits >>= 8
    stray = (high - low) // _STRAY_PART
    prices = [open_]
    corners = ((0, open_), (at_first, first), (at_second, second), (last, close))
    for (begin, begin_px), (end, end_px) in pairwise(corners):
        for step in range(begin + 1, end):
            bits = (bits * _FACTOR + _SUMMAND) & 0xFFFFFFFFFFFFFFFF
            px = begin_px + (end_px - begin_px) * (step - begin) // (end - begin)
            if stray:
                px += (bits >> 33) % (2 * stray + 1) - stray
            prices.append(low if px < low else high if px > high else px)
        prices.append(end_px)
    return [(MINUTE_MS * step // steps, px) for step, px in enumerate(prices)]


def price_paths(
    open_: Int64s,
    high: Int64s,
    low: Int64s,
    close: Int64s,
    seeds: UInt64s,
    *,
    steps: int = STEPS_PER_MINUTE,
    worst: Worst | None = None,
) -> Int64s:
    """The prices of `price_path` for many minutes at once: a row each, a column each step.

    One by one a path costs more than all that is decided on it. The four prices must be candles.
    """
    low_first = close >= open_ if worst is None else np.full(len(open_), worst == "long")
    first, second = np.where(low_first, low, high), np.where(low_first, high, low)
    bits = mix_arrays(seeds, open_, high, low, close)
    last = steps - 1
    at_first = 1 + (bits % np.uint64(max(1, (last - 1) // 2))).astype(np.int64)
    bits = bits >> np.uint64(8)
    at_second = at_first + 1 + (bits % (last - 1 - at_first).astype(np.uint64)).astype(np.int64)
    bits = bits >> np.uint64(8)
    stray = (high - low) // _STRAY_PART
    width = 2 * stray + 1
    path = np.empty((steps, len(open_)), dtype=np.int64)
    path[0], path[last] = open_, close
    # The running leg of each minute: from where it began, and what a step of it adds, as a fraction of two integers.
    begin, begin_px = np.zeros_like(open_), open_
    rise, length = first - open_, at_first
    for step in range(1, last):
        is_first, is_second = step == at_first, step == at_second
        is_corner = is_first | is_second
        # A corner draws nothing, so that its minute's later steps draw what `price_path` draws.
        bits = np.where(is_corner, bits, bits * np.uint64(_FACTOR) + np.uint64(_SUMMAND))
        drawn = (bits >> np.uint64(33)).astype(np.int64)
        px = begin_px + _floor(rise * (step - begin), length) + drawn - width * _floor(drawn, width) - stray
        px = np.minimum(np.maximum(px, low), high)
        corner_px = np.where(is_first, first, second)
        path[step] = np.where(is_corner, corner_px, px)
        begin, begin_px = np.where(is_corner, step, begin), np.where(is_corner, corner_px, begin_px)
        rise = np.where(is_first, second - first, np.where(is_second, close - second, rise))
        length = np.where(is_first, at_second - at_first, np.where(is_second, last - at_second, length))
    return np.ascontiguousarray(path.T)


def _floor(dividend: Int64s, divisor: Int64s) -> Int64s:
    """The quotient of whole numbers, rounded down. Exact below 2^52, and much faster than dividing integers."""
    return np.floor(dividend / divisor).astype(np.int64)
