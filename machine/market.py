"""The state of one instrument's market: its candles, and everything computed from them.

Theory of operation
===================

`Market.take` is given every closed candle, `Market.merge` what REST brings: the history
at the start and the repair of holes. Both keep the indicators, the regime, the pivots
and the volume profile in step with the candles; a late correction computes anew what it
makes void.

**The order of arrival decides nothing.** At a full hour a one-minute candle and three
larger ones close together, and their pushes race. A larger candle therefore counts
from the next signal candle on, one that opened when or after it closed. What a strategy
sees at a candle is the same live, simulated and back-tested, at the price of a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from anchorwatch.machine.candles import Appended, CandleBuffer, Corrected, Merged, Outcome, Span, Stretch
from anchorwatch.machine.indicators.panel import (
    INDICATORS,
    Panel,
    Periods,
    Readings,
    candles_defined,
    candles_warm,
)
from anchorwatch.machine.pivots import Pivots, pivots_after
from anchorwatch.machine.regime import RegimeSettings, RegimeState, advanced, verdict
from anchorwatch.machine.timeframes import span_ms
from anchorwatch.machine.volume_profile import ROWS, VALUE_AREA_SHARE, VolumeProfile, volume_profile
from anchorwatch.machine.world import Candle

SIGNAL = "1m"
DAILY = "1Dutc"


class ProfileSettings(msgspec.Struct, frozen=True):
    timeframe: str = "1H"
    candles: int = 100
    rows: int = ROWS
    share: float = VALUE_AREA_SHARE


class MarketSettings(msgspec.Struct, frozen=True):
    """What is followed of a market, and waited for before anything is decided on it.

    ``kept`` are the timeframes and how many candles of each; those of ``indicated`` have indicators, and of
    these the ``waited`` ones must be warm. None, or False for pivots and funding, leaves a thing out: it then costs
    nothing, and nothing waits for it. 200 candles make every default indicator warm; of the hours there is room for
    more than the profile takes, because the newest counts from the next minute on only.
    """

    kept: tuple[tuple[str, int], ...] = ((SIGNAL, 200), ("5m", 200), ("15m", 200), ("1H", 120), (DAILY, 10))
    indicated: tuple[str, ...] = (SIGNAL, "5m", "15m")
    waited: tuple[str, ...] = INDICATORS
    periods: Periods = Periods()
    regime: RegimeSettings | None = RegimeSettings()
    profile: ProfileSettings | None = ProfileSettings()
    pivots: bool = True
    funding: bool = True

    def keeping(self, timeframes: tuple[tuple[str, int], ...]) -> MarketSettings:
        """The same with room for at least so many candles of these timeframes that are kept already."""
        rooms = dict(timeframes)
        kept = tuple((name, max(count, rooms.get(name, 0))) for name, count in self.kept)
        return msgspec.structs.replace(self, kept=kept)


class Frame(msgspec.Struct, frozen=True):
    """One timeframe at its newest candle that counts. ``before`` are the readings one candle earlier."""

    candle: Candle
    now: Readings
    before: Readings


class Computed(msgspec.Struct, frozen=True):
    """What candles say, known beforehand of all of them, by opening time: for whoever has the whole series.

    ``readings``, of each indicated timeframe, are `indicators.panel.columns`: equal to the live ones to 1e-9, at a tenth of
    the price. ``regimes`` are the states behind the candles of the regime's timeframe, ``profiles`` those of the profile's.
    """

    readings: Mapping[str, Mapping[int, Readings | None]]
    regimes: Mapping[int, RegimeState | None]
    profiles: Mapping[int, VolumeProfile | None]


class _Followed:
    """One timeframe: its candles, and what has been computed up to ``counted_ms``, an opening time."""

    def __init__(self, timeframe: str, capacity: int, settings: MarketSettings) -> None:
        self.buffer = CandleBuffer(timeframe, capacity)
        self.counted_ms = -1
        self.readings: Readings | None = None
        self._frame: Frame | None = None
        self._passed: tuple[int, int] | None = None
        self.is_indicated = timeframe in settings.indicated
        self.is_judged = settings.regime is not None and timeframe == settings.regime.timeframe
        self.is_profiled = settings.profile is not None and timeframe == settings.profile.timeframe
        self.is_pivotal = settings.pivots and timeframe == DAILY
        self.count_indicated = 0
        self.computed: Mapping[int, Readings | None] | None = None
        self._periods = settings.periods
        self._panel = Panel(settings.periods)

    def begin_anew(self) -> None:
        self.counted_ms = -1
        self.count_indicated = 0
        self._frame = self.readings = self._passed = None
        self._panel = Panel(self._periods)

    def frame(self) -> Frame | None:
        """The newest candle that counts, where its indicators and those before it are defined."""
        if self._passed is not None:
            assert self.computed is not None
            open_ms, before_ms = self._passed
            now, before = self.computed[open_ms], self.computed.get(before_ms)
            self._passed = None
            if now is not None and before is not None:
                self._frame = Frame(self.buffer.at(open_ms), now, before)
        return self._frame

    def count(self, candle: Candle) -> None:
        if self.computed is not None:
            self.pass_to(candle.open_ms, 1)
            return
        self.counted_ms = candle.open_ms
        if not self.is_indicated:
            return
        before = self.readings
        self.count_indicated += 1
        self.readings = self._panel.take(candle.high, candle.low, candle.close)
        if self.readings is not None and before is not None:
            self._frame = Frame(candle, self.readings, before)

    def pass_to(self, open_ms: int, count: int) -> None:
        """`count` for so many candles, of which the newest opens then. Where the readings are known they are looked up
        when somebody asks: most of a back-test's are never looked at."""
        before_ms = open_ms - self.buffer.span_ms if count > 1 else self.counted_ms
        self.counted_ms = open_ms
        if self.is_indicated:
            self.count_indicated += count
            self._passed = open_ms, before_ms

    @property
    def is_torn(self) -> bool:
        """Whether candles that should have been counted next are no longer kept."""
        return 0 <= self.counted_ms < self.buffer.oldest_ms - self.buffer.span_ms

    def uncounted(self, closed_by_ms: int) -> range:
        """Where in the buffer the candles are that have closed by then and have not been counted."""
        buffer = self.buffer
        if buffer.newest_ms <= self.counted_ms:
            return range(0)
        span, oldest_ms = buffer.span_ms, buffer.oldest_ms
        latest_ms = min(buffer.newest_ms, closed_by_ms - span)
        begin = max(0, (self.counted_ms - oldest_ms) // span + 1)
        end = (latest_ms - oldest_ms) // span + 1
        return range(begin, end)


class Market:
    """One instrument's market. ``restored`` is the regime that the last life had, if it is remembered."""

    def __init__(
        self, instrument: str, settings: MarketSettings | None = None, restored: RegimeState | None = None
    ) -> None:
        self.instrument = instrument
        self.settings = settings if settings is not None else MarketSettings()
        _check(self.settings)
        # Asked for with every look at what is missing: after how many candles an indicator that is waited for is warm,
        # after how many all have a value (a frame has those of two), and after how many nothing is waited for any more.
        periods, waited = self.settings.periods, self.settings.waited
        self.warm = tuple((name, count) for name, count in candles_warm(periods) if name in waited)
        self.defined = candles_defined(periods)
        self.settled = max((self.defined + 1, *(count for _, count in self.warm)))
        self.wanted = {name: candles_wanted(self.settings, name) for name, _ in self.settings.kept}
        self._followed = {
            name: _Followed(name, capacity, self.settings) for name, capacity in self.settings.kept
        }
        self._signal = self._followed[SIGNAL]
        self._others = [followed for name, followed in self._followed.items() if name != SIGNAL]
        self._restored = restored
        self._computed: Computed | None = None
        self.regime: RegimeState | None = None
        self.pivots: Pivots | None = None
        self.profile: VolumeProfile | None = None
        self._regime_candles = candles_to_judge(self.settings)
        lookback = self.settings.regime.lookback if self.settings.regime is not None else 1
        self._ranges: deque[tuple[float, float]] = deque(maxlen=lookback)

    # What is told.

    def take(self, timeframe: str, candle: Candle) -> Outcome:
        """Take a closed candle that was pushed. Raises `KeyError` for a timeframe that is not kept."""
        followed = self._followed[timeframe]
        outcome = followed.buffer.take(candle)
        if followed is self._signal:
            if isinstance(outcome, Appended):
                for appended in outcome.candles:
                    self._count_signal(appended)
            elif isinstance(outcome, Corrected):
                self._count_signals_anew()
        elif isinstance(outcome, Corrected) and outcome.open_ms <= followed.counted_ms:
            self._count_anew(followed)
        return outcome

    def merge(self, timeframe: str, candles: tuple[Candle, ...]) -> Merged:
        """Take closed candles that REST gave: the history, or the repair of a hole."""
        followed = self._followed[timeframe]
        merged = followed.buffer.merge(candles)
        if followed is not self._signal:
            if merged.changed or (merged.appended and followed.is_torn):
                self._count_anew(followed)
            else:
                self._catch_up(followed)
        elif merged.changed or (merged.appended and self._signal.is_torn):
            self._count_signals_anew()
        else:
            for appended in merged.appended:
                self._count_signal(appended)
        return merged

    def use_computed(self, computed: Computed) -> None:
        """Take what every candle to come says from here instead of computing it. To be said before the first one."""
        for timeframe, readings in computed.readings.items():
            followed = self._followed[timeframe]
            assert followed.counted_ms < 0, "candles have been counted already"
            followed.computed = readings
        self._computed = computed

    def pass_over(self, stretches: Mapping[str, Stretch]) -> None:
        """Take closed candles at which nothing is decided, those of the signal timeframe and what closed with them.

        `take` for each, in their order, would leave the same behind: what they say is read from what was computed,
        and of it the newest counts. They must be fewer than are kept.
        """
        for timeframe, stretch in stretches.items():
            self._followed[timeframe].buffer.extend(stretch)
        signals = stretches[SIGNAL]
        for followed in self._others:
            if followed.buffer.newest_ms > followed.counted_ms:
                self._count_closed(followed, signals.newest_ms)
        self._signal.pass_to(signals.newest_ms, len(signals))

    def begin_after_hole(self, timeframe: str) -> Span | None:
        """Give up the candles before a hole that the venue has too; the answer is the hole."""
        followed = self._followed[timeframe]
        hole = followed.buffer.begin_after_hole()
        if hole is not None:
            if followed is self._signal:
                self._count_signals_anew()
            else:
                self._count_anew(followed)
        return hole

    # What may be asked.

    def buffer(self, timeframe: str = SIGNAL) -> CandleBuffer:
        return self._followed[timeframe].buffer

    def frame(self, timeframe: str) -> Frame | None:
        return self._followed[timeframe].frame()

    def frames(self) -> dict[str, Frame]:
        """Every timeframe whose indicators are defined."""
        frames = {}
        for name, followed in self._followed.items():
            frame = followed.frame()
            if frame is not None:
                frames[name] = frame
        return frames

    def indicator_candles(self, timeframe: str) -> int:
        """How many candles the indicators of a timeframe have taken since they began."""
        return self._followed[timeframe].count_indicated

    def to_read(self, timeframe: str, now_ms: int) -> Span | None:
        """What is missing and must be read by REST: a hole first, then what time alone says must have closed."""
        buffer = self._followed[timeframe].buffer
        hole = buffer.missing()
        if hole is not None:
            return hole
        stall = buffer.stall(now_ms)
        return stall.read if stall is not None else None

    # How it is computed.

    def _count_signal(self, candle: Candle) -> None:
        for followed in self._others:
            if followed.buffer.newest_ms > followed.counted_ms:
                self._count_closed(followed, candle.open_ms)
        self._signal.count(candle)

    def _count_signals_anew(self) -> None:
        self._signal.begin_anew()
        for candle in self._signal.buffer:
            self._count_signal(candle)

    def _count_anew(self, followed: _Followed) -> None:
        self._begin_anew(followed)
        self._catch_up(followed)

    def _begin_anew(self, followed: _Followed) -> None:
        followed.begin_anew()
        if followed.is_judged:
            self._ranges.clear()
        if followed.is_pivotal:
            self.pivots = None
        if followed.is_profiled:
            self.profile = None

    def _catch_up(self, followed: _Followed) -> None:
        newest_ms = self._signal.buffer.newest_ms
        if newest_ms >= 0:
            self._count_closed(followed, newest_ms)

    def _count_closed(self, followed: _Followed, closed_by_ms: int) -> None:
        if followed.is_torn:
            self._begin_anew(followed)
        places = followed.uncounted(closed_by_ms)
        if not places:
            return
        if self._computed is not None:
            newest_ms = followed.buffer.oldest_ms + places[-1] * followed.buffer.span_ms
            followed.pass_to(newest_ms, len(places))
            if followed.is_judged:
                self.regime = self._computed.regimes[followed.counted_ms]
        else:
            for place in places:
                candle = followed.buffer[place]
                followed.count(candle)
                if followed.is_judged:
                    self._judge(followed, candle)
        if followed.is_pivotal:
            self.pivots = pivots_after(followed.buffer[places[-1]])
        if followed.is_profiled:
            self._measure(followed)

    def _judge(self, followed: _Followed, candle: Candle) -> None:
        settings = self.settings.regime
        assert settings is not None
        self._ranges.append((candle.high, candle.low))
        if followed.readings is None or followed.count_indicated < self._regime_candles:
            return
        top = max(high for high, _ in self._ranges)
        bottom = min(low for _, low in self._ranges)
        said = verdict(followed.readings.adx, (top - bottom) / candle.close, settings)
        closed_ms = candle.open_ms + followed.buffer.span_ms
        if self.regime is None and self._restored is not None:
            # Restored only where the candles since then are known: hysteresis over a hole would be a guess.
            newest_ms = followed.buffer[-1].open_ms + followed.buffer.span_ms
            if candle.open_ms <= self._restored.judged_ms <= newest_ms:
                self.regime = self._restored
            self._restored = None
        self.regime = advanced(self.regime, said, closed_ms, settings)

    def _measure(self, followed: _Followed) -> None:
        """The profile of the newest candles that count."""
        settings = self.settings.profile
        assert settings is not None
        if self._computed is not None:
            self.profile = self._computed.profiles[followed.counted_ms]
            return
        arrays = followed.buffer.arrays()
        last = int(arrays.open_ms.searchsorted(followed.counted_ms)) + 1
        if last < settings.candles:
            self.profile = None
            return
        part = slice(last - settings.candles, last)
        self.profile = volume_profile(
            arrays.high[part], arrays.low[part], arrays.volume[part], settings.rows, settings.share
        )


def candles_to_judge(settings: MarketSettings) -> int:
    """How many candles of its timeframe the regime needs: its look-back, and a warm ADX. 0 without a regime."""
    if settings.regime is None:
        return 0
    return max(settings.regime.lookback, dict(candles_warm(settings.periods))["ADX"])


def candles_wanted(settings: MarketSettings, timeframe: str) -> int:
    """How many candles of a timeframe make everything that rests on it ready; one of what nothing rests on."""
    wanted = 1
    if timeframe in settings.indicated:
        warm = dict(candles_warm(settings.periods))
        wanted = max((warm[name] for name in settings.waited), default=1)
    if settings.regime is not None and timeframe == settings.regime.timeframe:
        wanted = max(wanted, candles_to_judge(settings))
    if settings.profile is not None and timeframe == settings.profile.timeframe:
        wanted = max(wanted, settings.profile.candles)
    return wanted


def _check(settings: MarketSettings) -> None:
    """Settings that could never become ready are refused at once."""
    kept = dict(settings.kept)
    if len(kept) != len(settings.kept):
        raise ValueError("a timeframe is kept twice")
    wanted = [(SIGNAL, 1, "signals")]
    wanted += [(name, candles_wanted(settings, name), "its indicators") for name in settings.indicated]
    if settings.pivots:
        wanted.append((DAILY, 1, "the pivots"))
    if settings.profile is not None:
        wanted.append((settings.profile.timeframe, settings.profile.candles, "the volume profile"))
    if settings.regime is not None:
        wanted.append((settings.regime.timeframe, candles_to_judge(settings), "the regime"))
    for name, least, purpose in wanted:
        if kept.get(name, 0) < least:
            raise ValueError(f"{kept.get(name, 0)} candles of {name} are kept; {purpose} need {least}")
    if settings.regime is not None and settings.regime.timeframe not in settings.indicated:
        raise ValueError(f"the regime needs the indicators of {settings.regime.timeframe}")
    for name in settings.waited:
        if name not in INDICATORS:
            raise ValueError(f"no indicator is called {name!r}; there are {', '.join(INDICATORS)}")
    for name in kept:
        if span_ms(name) < span_ms(SIGNAL):
            raise ValueError(f"{name} is shorter than the signals' {SIGNAL}")
