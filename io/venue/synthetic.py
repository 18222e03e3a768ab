"""An invented market that never ends: a seeded random walk with quiet hours, trends and bursts.

Every minute is a function of the seed, the instrument and the time, and of nothing else: any day can be asked for
first, twice or never, and no state grows. Days are the unit. The price at each midnight comes from slow noise that
stays within about a third of the instrument's usual price; between two midnights the minutes walk at random and are
bent, in proportion to their own restlessness, to arrive at the second. Only additions, multiplications and divisions
are used, which every machine rounds alike.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.venue.feeds import DAY_MS, MINUTE_MS, Minutes, joined
from anchorwatch.io.venue.instruments import Instrument
from anchorwatch.io.venue.noise import mix, mix_many, word

Floats = NDArray[np.float64]

_DAY_MINUTES = DAY_MS // MINUTE_MS

# Days kept at hand, 60 kB each: a bot that starts pages through a month of history, bar by bar, again at each start.
_DAYS_KEPT = 64

# (days between two independent values, share of the price): slow swings are wide, fast ones narrow; in sum below 0.4.
_SWINGS = ((113, 0.16), (29, 0.1), (7, 0.05), (2, 0.025), (1, 0.01))

# The minutes of one regime.
_REGIME_MINUTES = 60

# Out of eight: how the regimes are drawn.
_QUIET_OF_8 = 4
_TREND_OF_8 = 3

# Part of the usual movement of a minute: in quiet, in a trend, and at the height of a burst.
_QUIET, _TREND, _BURST = 0.5, 1.0, 5.0

# A trend drifts by this part of the usual movement every minute.
_DRIFT = 0.12

# A burst fades over so many minutes.
_BURST_FADE_MINUTES = 12

# Usual price (USDT), usual move of a minute (ratio) and usual volume of a minute (USDT).
_USUAL: dict[str, tuple[float, float, float]] = {
    "BTC": (95_000.0, 0.00045, 25e6),
    "ETH": (3_300.0, 0.0006, 18e6),
    "SOL": (160.0, 0.0008, 6e6),
    "XRP": (2.2, 0.0008, 4e6),
    "DOGE": (0.2, 0.0009, 3e6),
    "BNB": (650.0, 0.0005, 1e6),
    "SUI": (3.3, 0.001, 1e6),
    "ADA": (0.7, 0.0009, 8e5),
    "LTC": (95.0, 0.0007, 6e5),
    "LINK": (15.0, 0.0009, 7e5),
    "AVAX": (22.0, 0.0009, 6e5),
    "DOT": (4.2, 0.0009, 4e5),
}
_USUAL_OTHER = (10.0, 0.0009, 4e5)


class SyntheticFeed:
    """The invented market of one instrument. It reaches back to the instrument's listing, and has no end."""

    def __init__(self, instrument: Instrument, seed: int) -> None:
        self.instrument = instrument
        self.first_ms = -(-instrument.list_time_ms // MINUTE_MS) * MINUTE_MS
        self.end_ms: int | None = None
        self._key = mix(seed, word(instrument.inst_id))
        self._px, self._move, self._turnover = _USUAL.get(instrument.base, _USUAL_OTHER)
        self._days: OrderedDict[int, Minutes] = OrderedDict()

    def minutes(self, first_ms: int, count: int) -> Minutes:
        """`count` whole minutes from `first_ms` on. Raises ValueError before the listing."""
        if first_ms < self.first_ms or count < 0:
            raise ValueError(f"minutes outside the feed: {count} from {first_ms}")
        parts: list[Minutes] = []
        begin, left = first_ms // MINUTE_MS, count
        while left > 0 or not parts:
            day, into = divmod(begin, _DAY_MINUTES)
            some = min(left, _DAY_MINUTES - into)
            whole = self._day(day)
            part = slice(into, into + some)
            parts.append(
                Minutes(
                    begin * MINUTE_MS,
                    whole.open[part],
                    whole.high[part],
                    whole.low[part],
                    whole.close[part],
                    whole.lots[part],
                )
            )
            begin += some
            left -= some
        return parts[0] if len(parts) == 1 else joined(first_ms, parts)

    def _day(self, day: int) -> Minutes:
        if day in self._days:
            self._days.move_to_end(day)
        else:
            self._days[day] = self._made_day(day)
            if len(self._days) > _DAYS_KEPT:
                self._days.popitem(last=False)
        return self._days[day]

    def _made_day(self, day: int) -> Minutes:
        minute = np.arange(_DAY_MINUTES, dtype=np.int64)
        moves, drift = self._restlessness(day)
        steps = moves * self._bell(day, minute) + drift
        walked = np.cumprod(1.0 + steps)
        begin, end = self._midnight(day), self._midnight(day + 1)
        # What is missing at the second midnight is spread over the day, most where the price moved most.
        weight = np.cumsum(moves) / float(np.cumsum(moves)[-1])
        bend = 1.0 + (end / (begin * float(walked[-1])) - 1.0) * weight
        tick = float(self.instrument.tick_sz)
        close = np.maximum(np.rint(begin * walked * bend / tick), 1.0)
        open_ = np.empty_like(close)
        open_[0] = max(round(begin / tick), 1)
        open_[1:] = close[:-1]
        reach = moves * close * 0.7
        high = np.maximum(open_, close) + np.floor(reach * self._unit(mix(self._key, day, 3), minute))
        low = np.minimum(open_, close) - np.floor(reach * self._unit(mix(self._key, day, 4), minute))
        low = np.maximum(low, 1.0)
        activity = 0.3 + 0.5 * self._unit(mix(self._key, day, 5), minute) + 0.5 * np.abs(steps) / self._move
        lot_usd = float(self.instrument.lot_sz * self.instrument.coin_per_contract) * close * tick
        lots = np.rint(np.maximum(self._turnover * activity / lot_usd, 1.0))
        open_ticks, high_ticks, low_ticks, close_ticks, whole_lots = (
            column.astype(np.int64) for column in (open_, high, low, close, lots)
        )
        return Minutes(day * DAY_MS, open_ticks, high_ticks, low_ticks, close_ticks, whole_lots)

    def _midnight(self, day: int) -> float:
        """The price (USDT) at the start of a day."""
        swing = 0.0
        for level, (period, share) in enumerate(_SWINGS):
            at, into = divmod(day, period)
            part = into / period
            smooth = part * part * (3.0 - 2.0 * part)
            left, right = (mix(self._key, 1, level, at + k) / 2**63 - 1.0 for k in (0, 1))
            swing += share * (left + (right - left) * smooth)
        return self._px * (1.0 + swing)

    def _restlessness(self, day: int) -> tuple[Floats, Floats]:
        """For each minute its usual move (a ratio, always positive), and the drift of its trend."""
        moves = np.empty(_DAY_MINUTES)
        drift = np.zeros(_DAY_MINUTES)
        fade = 1.0 / (1.0 + np.arange(_REGIME_MINUTES) / _BURST_FADE_MINUTES) ** 2
        for block in range(_DAY_MINUTES // _REGIME_MINUTES):
            bits = mix(self._key, 2, day, block)
            part = slice(block * _REGIME_MINUTES, (block + 1) * _REGIME_MINUTES)
            kind = bits % 8
            if kind < _QUIET_OF_8:
                moves[part] = _QUIET * self._move
            elif kind < _QUIET_OF_8 + _TREND_OF_8:
                moves[part] = _TREND * self._move
                drift[part] = (_DRIFT if bits & 8 else -_DRIFT) * self._move
            else:
                moves[part] = (_TREND + (_BURST - _TREND) * fade) * self._move
        return moves, drift

    def _bell(self, day: int, minute: NDArray[np.int64]) -> Floats:
        """Bell-shaped noise of mean 0 and deviation 1: the sum of four even draws."""
        total = np.zeros(len(minute))
        for draw in range(4):
            total += self._unit(mix(self._key, day, 6, draw), minute)
        # Four draws of variance 1/12 each have the deviation 1/sqrt(3).
        return (total - 2.0) * 1.7320508075688772

    @staticmethod
    def _unit(key: int, minute: NDArray[np.int64]) -> Floats:
        """Even noise from 0 to 1."""
        # 53 bits: what a float holds exactly.
        return (mix_many(key, minute) >> np.uint64(11)).astype(np.float64) / float(2**53)
