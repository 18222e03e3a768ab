"""The order book that others are imagined to keep around the market's price.

The best bid and ask are the market's. Behind them a few levels lie on neighbouring ticks, the others on a coarser
grid of round prices that reaches about half a per cent away. A level's size grows with its distance and is noise of
its price and of the running minute, so that a level that stays in view keeps about its size for a while, as real ones do. A small order
fills at the touch; a large one walks the book and pays for it; one beyond the last level stays unfilled.
Nothing here is consumed: the venue that matches orders on it remembers what was taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice

import msgspec

from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.io.venue.fill import Side, walk
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.market import Market
from anchorwatch.io.venue.noise import mix, word

# As deep as the venue's `books` channel.
DEPTH_MAX = 400

# Levels on neighbouring ticks before the coarser grid begins.
_NEAR_LEVELS = 5

# The whole depth reaches this part of the price away from the touch.
_REACH = 200

# What rests at the touch, in USDT; the deepest level holds _GROWTH + 1 times as much.
_TOUCH_USD = {"BTC": 200_000, "ETH": 150_000, "SOL": 60_000, "XRP": 50_000, "DOGE": 40_000}
_TOUCH_USD_OTHER = 20_000
_GROWTH = 3

# An order of an average participant, in USDT: how many orders make a level.
_ORDER_USD = 15_000


class Level(msgspec.Struct, frozen=True):
    """One price of the book: price in USDT, contracts resting there, number of orders that they belong to."""

    px: Decimal
    contracts: Decimal
    orders: int


class Book:
    """The synthetic books of a market's instruments; a function of the market's prices, the seed and the minute."""

    def __init__(self, market: Market, *, seed: int = 0) -> None:
        self._market = market
        self._seed = seed

    def levels(self, inst_id: str, now_ms: int, depth: int = DEPTH_MAX) -> tuple[list[Level], list[Level]]:
        """(bids, asks), best first, at most `depth` and DEPTH_MAX levels each (bids end above a price of 0).

        Raises KeyError for an unknown instrument.
        """
        depth = min(depth, DEPTH_MAX)
        return self._opposite(inst_id, "sell", now_ms, depth), self._opposite(inst_id, "buy", now_ms, depth)

    def _opposite(self, inst_id: str, side: Side, now_ms: int, depth: int) -> list[Level]:
        """What a taker of this side meets, best first."""
        instrument, touch = self._touch(inst_id, side)
        return opposite_levels(instrument, touch, side, now_ms, depth, seed=self._seed)

    def _touch(self, inst_id: str, side: Side) -> tuple[Instrument, int]:
        """The instrument, and the best price in ticks that a taker of this side meets."""
        instrument = self._market.instrument(inst_id)
        best = self._market.best_ask(inst_id) if side == "buy" else self._market.best_bid(inst_id)
        return instrument, int(best / instrument.tick_sz)

    def fill_plan(
        self, inst_id: str, side: Side, contracts: Decimal, limit_px: Decimal | None, now_ms: int
    ) -> list[tuple[Decimal, Decimal]]:
        """What a taker gets from this book now: (price, contracts), best first.

        `limit_px` is the worst acceptable price, None for any. The sizes may sum to less than asked.
        """
        instrument, touch = self._touch(inst_id, side)
        return fill_plan(instrument, touch, side, contracts, limit_px, now_ms, seed=self._seed)


def fill_plan(
    instrument: Instrument,
    touch: int,
    side: Side,
    contracts: Decimal,
    limit_px: Decimal | None,
    now_ms: int,
    *,
    seed: int = 0,
    share: Decimal = Decimal(1),
) -> list[tuple[Decimal, Decimal]]:
    """What a taker of this side gets, (price, contracts), best first, when the best opposite price is `touch` ticks.

    The one rule of the embedded exchange and the back-test. `share` of each level is there for the taker, in whole
    lots; the sizes may sum to less than asked.
    """
    tick, lot = instrument.tick_sz, instrument.lot_sz
    # Level by level, as far as the order reaches: most are filled at the touch.
    levels = _levels(instrument, touch, side, now_ms, seed)
    if share == 1:
        offers = ((px * tick, lots * lot) for px, lots in levels)
    else:
        offers = ((px * tick, lots * lot * share // lot * lot) for px, lots in levels)
    return walk(offers, side, contracts, limit_px)


def opposite_levels(
    instrument: Instrument, touch: int, side: Side, now_ms: int, depth: int, *, seed: int = 0
) -> list[Level]:
    """The levels that a taker of this side meets, best first, from `touch` ticks on."""
    tick, lot, lot_usd = instrument.tick_sz, instrument.lot_sz, _usd_of_lot(instrument) * touch
    return [
        Level(px * tick, lots * lot, 1 + min(int(lots * lot_usd / _ORDER_USD), lots - 1))
        for px, lots in islice(_levels(instrument, touch, side, now_ms, seed), depth)
    ]


def _levels(
    instrument: Instrument, touch: int, side: Side, now_ms: int, seed: int
) -> Iterator[tuple[int, int]]:
    """(price in ticks, size in lots) of each level, best first."""
    step = 1 if side == "buy" else -1
    key = mix(_key(instrument.inst_id, seed, step), now_ms // MINUTE_MS)
    touch_lots = _TOUCH_USD.get(instrument.base, _TOUCH_USD_OTHER) / (_usd_of_lot(instrument) * touch)
    behind = touch + step * _NEAR_LEVELS
    for place, px in enumerate(chain(range(touch, behind, step), _round_prices(touch, behind, step))):
        if px <= 0:
            return
        # From half to one and a half times the usual size.
        share = 0.5 + (mix(key, px) & 0xFFFF) / 0x10000
        yield px, max(1, int(touch_lots * (1 + _GROWTH * place / DEPTH_MAX) * share))


def _round_prices(touch: int, behind: int, step: int) -> Iterator[int]:
    """Where the levels behind the neighbours lie, from the price ``behind`` them on. Most orders do not reach so far."""
    grid = max(1, touch // _REACH // DEPTH_MAX)
    first = -(-behind // grid) * grid if step > 0 else behind // grid * grid
    yield from range(first, first + step * grid * (DEPTH_MAX - _NEAR_LEVELS), step * grid)


@lru_cache(maxsize=1_024)
def _key(inst_id: str, seed: int, step: int) -> int:
    """Of the noise of one side of an instrument's book."""
    return mix(seed, word(inst_id), step)


@lru_cache(maxsize=1_024)
def _usd_of_lot(instrument: Instrument) -> float:
    """What one lot is worth at a price of one tick."""
    return float(instrument.tick_sz * instrument.lot_sz * instrument.coin_per_contract)
