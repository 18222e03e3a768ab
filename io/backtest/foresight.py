"""What every candle of an instrument says, computed of all of them at once, and what its strategy will answer there.

Each number rests on its own candle and earlier ones; the desk comes to know of it when the candle has closed, as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorwatch.io.backtest.costs import Costs
from anchorwatch.io.backtest.history import Histories, Known, Part
from anchorwatch.io.backtest.tape import Tape
from anchorwatch.io.venue import basis
from anchorwatch.io.venue.feeds import Int64s
from anchorwatch.io.venue.fill import spread_ticks
from anchorwatch.machine.desk.chart import Chart
from anchorwatch.machine.indicators.batch import Floats
from anchorwatch.machine.indicators.panel import Columns as Readings
from anchorwatch.machine.indicators.panel import candles_defined
from anchorwatch.machine.market import DAILY, SIGNAL, Computed, MarketSettings, candles_to_judge
from anchorwatch.machine.pivots import Pivots, pivots_after
from anchorwatch.machine.regime import Regime, RegimeState, advanced_over
from anchorwatch.machine.strategy import Decision, MarketView, Strategy, asking
from anchorwatch.machine.strategy.asking import Decider
from anchorwatch.machine.strategy.series import REFUSED, Answers, Foretelling, Views
from anchorwatch.machine.units import Side
from anchorwatch.machine.volume_profile import VolumeProfile, volume_profile


class Counts(NamedTuple):
    """How often each of ``names`` was counted before each row of the file."""

    names: tuple[str, ...]
    before: NDArray[np.int32]

    def within(self, row: int, end: int) -> dict[str, int]:
        if not self.names:
            return {}
        more = (self.before[end] - self.before[row]).tolist()
        return {name: count for name, count in zip(self.names, more, strict=True) if count}


class Answered(NamedTuple):
    """What the strategy will answer, for each row of the file, by the side that is open.

    It must be asked where it may have a wish (``asked``); it says something where it may have one or is counted (``speaks``).
    """

    asked: Mapping[Side | None, Answers]
    counted: Mapping[Side | None, Counts]
    speaks: Answers


class Foresight:
    """One instrument's candles from ``start_ms`` on, with the history before it."""

    def __init__(
        self, histories: Histories, tape: Tape, settings: MarketSettings, costs: Costs, start_ms: int
    ) -> None:
        self._tape, self._settings, self._costs = tape, settings, costs
        self.columns = {key: own for (of, key), own in histories.columns.items() if of == tape.name}
        self._parts: dict[str, list[Part]] = {
            timeframe: list(histories.parts(tape.name, timeframe, settings.periods, start_ms))
            for timeframe in settings.indicated
        }
        self._states = self._judged()
        profiles = dict(self._measured(histories, start_ms))
        self.computed = Computed(
            {name: Known(parts, self.columns[name].span_ms) for name, parts in self._parts.items()},
            self._states,
            profiles,
        )

    # What the candles say.

    def _judged(self) -> dict[int, RegimeState | None]:
        """The regime behind every candle of its timeframe, by opening time."""
        settings = self._settings.regime
        found: dict[int, RegimeState | None] = {}
        if settings is None:
            return found
        first = max(candles_to_judge(self._settings), candles_defined(self._settings.periods)) - 1
        span_ms = self.columns[settings.timeframe].span_ms
        state: RegimeState | None = None
        for part in self._parts[settings.timeframe]:
            states: Sequence[RegimeState | None] = [state] * len(part.opens_ms)
            if part.readings is not None:
                states = advanced_over(state, part.candles, part.readings.adx, first, span_ms, settings)
            found.update(zip(part.opens_ms, states, strict=True))
            state = states[-1]
        return found

    def _measured(self, histories: Histories, start_ms: int) -> Iterator[tuple[int, VolumeProfile | None]]:
        """The volume profile behind every candle of its timeframe."""
        settings = self._settings.profile
        if settings is None:
            return
        own = self.columns[settings.timeframe]
        _, high, low, _, volume = own.values
        for begin, end in histories.stretches(self._tape.name, settings.timeframe, start_ms):
            for row in range(begin, end):
                part = slice(row + 1 - settings.candles, row + 1)
                profile = None
                if part.start >= begin:
                    profile = volume_profile(
                        high[part], low[part], volume[part], settings.rows, settings.share
                    )
                yield own.opens_ms[row], profile

    # What a strategy sees of it.

    def regime_news(self) -> Iterator[tuple[int, RegimeState]]:
        """The rows of the file with which the regime, or what speaks against it, becomes another, and what it becomes."""
        told = None
        signals, settings = self.columns[SIGNAL], self._settings.regime
        for open_ms, state in self._states.items():
            if state is None:
                continue
            known = (state.regime, state.rival, state.confirmations)
            if known != told:
                assert settings is not None
                closes_ms = open_ms + self.columns[settings.timeframe].span_ms
                yield int(signals.times.searchsorted(closes_ms)), state
                told = known

    def rows(self) -> dict[int, int]:
        """The row of the file of each candle, by opening time."""
        return {open_ms: row for row, open_ms in enumerate(self.columns[SIGNAL].opens_ms)}

    def answers(self, strategy: Foretelling) -> Answered:
        """What this strategy will answer at every row of the file. Raises `StrategyFailed`."""
        rows = len(self.columns[SIGNAL].times)
        sides = (None, *Side)
        # Of candles that it was not told about nothing is known: there it must be asked.
        asked = {side: np.ones(rows, np.bool_) for side in sides}
        counted: dict[Side | None, dict[str, Answers]] = {side: {} for side in sides}
        speaks = np.ones(rows, np.bool_)
        for part, views in self._views():
            foreseen = asking.foreseen(strategy, views)
            speaks[part] = False
            for side in sides:
                asked[side][part] = foreseen.asked[side]
                speaks[part] |= foreseen.asked[side]
                for name, answers in foreseen.counted.get(side, {}).items():
                    speaks[part] |= answers
                    counted[side].setdefault(name, np.zeros(rows, np.bool_))[part] = answers
        return Answered(asked, {side: _counts(own, rows) for side, own in counted.items()}, speaks)

    def _views(self) -> Iterator[tuple[slice, Views]]:
        """What may be known at the candles of each stretch without a hole, and its rows in the file."""
        signals, settings = self.columns[SIGNAL], self._settings
        for stretch in self._parts[SIGNAL]:
            if stretch.readings is None:
                continue
            begin = int(signals.times.searchsorted(stretch.opens_ms[0]))
            part = slice(begin, begin + len(stretch.opens_ms))
            opens_ms = stretch.candles.open_ms
            closes_ms = opens_ms + signals.span_ms
            due_ms = (closes_ms // basis.FUNDING_INTERVAL_MS + 1) * basis.FUNDING_INTERVAL_MS
            series = self._tape.series
            views = Views(
                candles=stretch.candles,
                readings=stretch.readings,
                larger={
                    name: self._counting(name, opens_ms) for name in settings.indicated if name != SIGNAL
                },
                regimes=self._regimes(opens_ms),
                levels=self._levels(opens_ms),
                control=self._control(opens_ms),
                spread=spread_ticks(series.high[part] - series.low[part]) / series.close[part],
                funding=self._funding(due_ms),
                funding_in_ms=due_ms - closes_ms,
            )
            _lock(views)
            yield part, views

    def _counting(self, timeframe: str, opens_ms: Int64s) -> Readings:
        """The readings of a larger timeframe that count at signal candles: those of its frame."""
        own = self.columns[timeframe]
        table = np.full((len(msgspec.structs.fields(Readings)), len(own.times) + 1), np.nan)
        for stretch in self._parts[timeframe]:
            if stretch.readings is not None:
                begin = int(own.times.searchsorted(stretch.opens_ms[0]))
                readings = np.stack(msgspec.structs.astuple(stretch.readings))
                # A frame has the readings of two candles.
                readings[:, : candles_defined(self._settings.periods)] = np.nan
                table[:, begin : begin + len(stretch.opens_ms)] = readings
        # Before the first one has closed, the last column: nothing is known.
        return Readings(*table[:, own.counting(opens_ms)])

    def _regimes(self, opens_ms: Int64s) -> dict[Regime, Answers]:
        settings = self._settings.regime
        if settings is None:
            return {}
        # Before the first one has closed, the last place: none is in force.
        codes = {regime: code for code, regime in enumerate(Regime)}
        known = [codes[state.regime] if state is not None else -1 for state in self._states.values()]
        times = np.fromiter(self._states, np.int64, len(known))
        counting = times.searchsorted(opens_ms - self.columns[settings.timeframe].span_ms, side="right") - 1
        in_force = np.array([*known, -1])[counting]
        return {regime: in_force == code for regime, code in codes.items() if code in known}

    def _levels(self, opens_ms: Int64s) -> Floats:
        if not self._settings.pivots:
            return np.empty((0, len(opens_ms)))
        own = self.columns[DAILY]
        days: list[Pivots] = [pivots_after(candle) for candle in own.candles(0, len(own.times))]
        levels = np.array([*(day.levels for day in days), (np.nan,) * len(days[0].levels)]).T
        counting = own.counting(opens_ms)
        # The levels of another day are none.
        holds = opens_ms < own.times[counting] + 2 * own.span_ms
        return np.asarray(levels[:, np.where(holds, counting, -1)])

    def _control(self, opens_ms: Int64s) -> Floats:
        settings = self._settings.profile
        if settings is None:
            return np.full(len(opens_ms), np.nan)
        own = self.columns[settings.timeframe]
        profiles = self.computed.profiles
        control = [
            profile.point_of_control if (profile := profiles.get(open_ms)) is not None else np.nan
            for open_ms in own.opens_ms
        ]
        return np.array([*control, np.nan])[own.counting(opens_ms)]

    def _funding(self, due_ms: Int64s) -> Floats:
        settlements, which = np.unique(due_ms, return_inverse=True)
        rates = [float(self._costs.funding_rate(self._tape.key, at_ms)) for at_ms in settlements.tolist()]
        return np.array(rates)[which]


def _lock(views: Views) -> None:
    """The back-test trades on these very candles: a strategy may look at them and not change them."""
    own = msgspec.structs.astuple
    parts = (own(views), own(views.candles), own(views.readings), *map(own, views.larger.values()))
    for column in (*chain.from_iterable(parts), *views.regimes.values()):
        if isinstance(column, np.ndarray):
            column.flags.writeable = False


def held_to(answered: Answered, rows: Mapping[int, int], chart: Chart, strategy: Strategy) -> Decider:
    """What decides on this chart, held to what was foreseen: where it answers something else, it raises `StrategyFailed`.

    ``rows`` are those of the file, by opening time.
    """
    decide = chart.decide

    def held(view: MarketView) -> Decision:
        decision = decide(view)
        row, side = rows[view.candles[-1].open_ms], view.open_side
        if answered.asked[side][row]:
            return decision
        said = {f"signal {one.signal}" for one in decision.fired}
        said |= {f"refused {one.filter}" for one in decision.refusals}
        said |= {REFUSED} if decision.refusals else set()
        told = set(answered.counted[side].within(row, row + 1))
        open_side = side.value if side is not None else "nothing"
        if decision.intent is not None:
            wish = f"{decision.intent.wish.value} {decision.intent.side.value}"
            raise asking.unlike(strategy, f"no wish with {open_side} open, and asked it wishes: {wish}")
        if said != told:
            words = ", ".join(sorted(said ^ told))
            raise asking.unlike(
                strategy, f"with {open_side} open what is counted differs from what it answers: {words}"
            )
        return decision

    return held


def _counts(answers: Mapping[str, Answers], rows: int) -> Counts:
    before = np.zeros((rows + 1, len(answers)), np.int32)
    for place, own in enumerate(answers.values()):
        np.cumsum(own, out=before[1:, place])
    return Counts(tuple(answers), before)
