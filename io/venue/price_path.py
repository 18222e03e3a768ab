"""The prices inside a one-minute candle.

A candle says where the price began, how far it went and where it ended, not in which order. The path made here is
**invented**: it keeps everything the candle does say (the first price is the open, the last is the close, high and
low are both touched and never passed) and makes up the rest, repeatably. The embedded exchange and the back-test
both trade on this one function, so that they cannot disagree about a stop inside a candle.
"""

from __future__ import annotations

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
_MASK = (1 << 64) - 1


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
    prices = price_steps(open_, high, low, close, steps=steps, seed=seed, worst=worst)
    return [(MINUTE_MS * step // steps, px) for step, px in enumerate(prices)]


def price_steps(
    open_: int,
    high: int,
    low: int,
    close: int,
    *,
    steps: int = STEPS_PER_MINUTE,
    seed: int = 0,
    worst: Worst | None = None,
) -> list[int]:
    """The prices of `price_path`, of what is known to be a candle."""
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
    width = 2 * stray + 1
    prices = [open_]
    begin, begin_px = 0, open_
    for end, end_px in ((at_first, first), (at_second, second), (last, close)):
        length, rise = end - begin, end_px - begin_px
        for step in range(1, length):
            bits = (bits * _FACTOR + _SUMMAND) & _MASK
            px = begin_px + rise * step // length + (bits >> 33) % width - stray
            prices.append(low if px < low else high if px > high else px)
        prices.append(end_px)
        begin, begin_px = end, end_px
    return prices


def last_steps(open_: Int64s, high: Int64s, low: Int64s, close: Int64s, seeds: UInt64s) -> Int64s:
    """What the last step of `price_path` adds to the price, for many minutes at once; they must be candles.

    Which way a minute ended is asked of many that nobody looks into: what was drawn for the step before the last is
    found without those before it.
    """
    last = STEPS_PER_MINUTE - 1
    second = np.where(close >= open_, high, low)
    bits = mix_arrays(seeds, open_, high, low, close)
    at_first = np.uint64(1) + bits % np.uint64((last - 1) // 2)
    bits = bits >> np.uint64(8)
    at_second = (at_first + np.uint64(1) + bits % (np.uint64(last - 1) - at_first)).astype(np.int64)
    bits = (bits >> np.uint64(8)) * np.uint64(_LAST_FACTOR) + np.uint64(_LAST_SUMMAND)
    stray = (high - low) // _STRAY_PART
    drawn = (bits >> np.uint64(33)).astype(np.int64) % (2 * stray + 1) - stray
    px = second + (close - second) * (last - 1 - at_second) // (last - at_second) + drawn
    before = np.where(at_second == last - 1, second, np.minimum(np.maximum(px, low), high))
    steps: Int64s = close - before
    return steps


def _drawn_at_once(draws: int) -> tuple[int, int]:
    """The factor and the summand that lead over so many draws in one."""
    factor, summand = 1, 0
    for _ in range(draws):
        factor, summand = factor * _FACTOR & _MASK, summand * _FACTOR + _SUMMAND & _MASK
    return factor, summand


# Every step but the first, the last and the two corners draws.
_LAST_FACTOR, _LAST_SUMMAND = _drawn_at_once(STEPS_PER_MINUTE - 4)
