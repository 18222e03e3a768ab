"""From a strategy's wish to an entry: limits, size, and the question whether one may be sent."""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.machine import order, position
from anchorwatch.machine.bot import (
    Address,
    EntryDenied,
    FactGained,
    FactLost,
    Part,
    entry_obstacles,
)
from anchorwatch.machine.desk import making, stops
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.parameters import Trading
from anchorwatch.machine.requests import LoadHistory
from anchorwatch.machine.strategy import Intent, MarketView, Strategy, Wish
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.units import Contracts, LegKey, Side
from anchorwatch.machine.world import Candle, CandleClosed, HistoryLoaded, HistoryMissed

CANDLE_MS = 60_000
HISTORY_RETRY_MS = 3_000

CANDLES_KEPT = 1_440
"""A day of one-minute candles per instrument: more than any average looks back."""

SIGNAL_TIMEFRAME = "1m"

LOADED = "candles loaded"
"""The fact that the candles are contiguous up to the newest one."""

WARM = "indicators warm"
"""The fact that enough candles have been seen."""

EQUITY_STALE_MS = 60_000
"""Sizing uses a fresh account state or refuses: the venue pushes it every few seconds."""


class Signals:
    """One instrument's candles and the strategy that reads them."""

    def __init__(self, trading: Trading) -> None:
        self.candles: list[Candle] = []
        self._early: list[Candle] = []  # pushed before the history: taken after it, or it would come too late
        self._is_loaded = False
        self.missed_ms: int | None = None  # when the history was last asked for in vain
        self.strategy: Strategy = EmaCross(trading)

    def load(self, candles: tuple[Candle, ...]) -> None:
        """The history, and what was pushed before it came: a strategy sees every candle once, in order."""
        self._is_loaded = True
        early, self._early = self._early, []
        for candle in (*candles, *early):
            if not self.candles or candle.open_ms > self.candles[-1].open_ms:
                self._keep(candle)
                self.strategy.warm(candle)

    def take(self, instrument: str, candle: Candle, open_side: Side | None) -> Intent | None:
        if not self._is_loaded:
            self._early = [*self._early, candle][-CANDLES_KEPT:]
            return None
        if self.candles and candle.open_ms <= self.candles[-1].open_ms:
            return None  # a repeated push
        if self.candles and candle.open_ms > self.candles[-1].open_ms + CANDLE_MS:
            self._is_loaded, self._early = False, [candle]
            return None
        self._keep(candle)
        return self.strategy.decide(MarketView(instrument, self.candles, open_side))

    @property
    def has_gap(self) -> bool:
        """Candles were missed: the connection was away, or the venue skipped one."""
        return not self._is_loaded and bool(self.candles)

    @property
    def is_warm(self) -> bool:
        return len(self.candles) >= self.strategy.candles_needed

    def _keep(self, candle: Candle) -> None:
        self.candles.append(candle)
        if len(self.candles) > CANDLES_KEPT:
            del self.candles[: -CANDLES_KEPT // 2]


def take_history(context: Context, signals: Signals, event: HistoryLoaded) -> None:
    if event.timeframe != SIGNAL_TIMEFRAME:
        return
    signals.load(event.candles)
    signals.missed_ms = None
    context.tell(_bot(), FactGained(event.instrument, LOADED))
    _say_when_warm(context, signals, event.instrument)


def ask_for_history(context: Context, signals: Signals, instrument: str) -> None:
    """The gap is filled before the data count as fresh (R8.1); entries wait for the fact."""
    signals.missed_ms = None
    context.ask(LoadHistory(instrument, SIGNAL_TIMEFRAME, CANDLES_KEPT // 2))


def take_missed(context: Context, signals: Signals, event: HistoryMissed) -> None:
    signals.missed_ms = context.now_ms
    context.announce("warning", "HISTORY_MISSED", instrument=event.instrument, reason=event.reason)


def ask_again(context: Context, signals: Signals, instrument: str) -> None:
    """A history that did not come is asked for again, at a pace."""
    if signals.missed_ms is not None and context.now_ms - signals.missed_ms >= HISTORY_RETRY_MS:
        ask_for_history(context, signals, instrument)


def _say_when_warm(context: Context, signals: Signals, instrument: str) -> None:
    """A history that was too short is completed by what is pushed."""
    if signals.is_warm and (instrument, WARM) in context.bot.missing:
        context.tell(_bot(), FactGained(instrument, WARM))


def take_candle(context: Context, signals: Signals, event: CandleClosed) -> None:
    if event.timeframe != SIGNAL_TIMEFRAME:
        return
    open_leg = next((leg for leg in context.book.open_legs() if leg.leg.instrument == event.instrument), None)
    intent = signals.take(event.instrument, event.candle, open_leg.leg.side if open_leg else None)
    _say_when_warm(context, signals, event.instrument)
    if signals.has_gap and (event.instrument, LOADED) not in context.bot.missing:
        context.announce("warning", "CANDLES_MISSED", instrument=event.instrument)
        context.tell(_bot(), FactLost(event.instrument, LOADED))
        ask_for_history(context, signals, event.instrument)
    if intent is None:
        return
    if intent.wish is Wish.EXIT:
        if open_leg is not None:
            stops.want_close(context, open_leg, intent.why)
        return
    _want_entry(context, LegKey(event.instrument, intent.side, context.parameters.margin), intent.why)


def _want_entry(context: Context, leg: LegKey, why: str) -> None:
    obstacles = entry_obstacles(context.bot, leg) + _limits(context, leg) + making.obstacles(context, leg)
    contracts = _size(context, leg)
    if not contracts:
        obstacles += ("the size is below the instrument's minimum",)
    if obstacles:
        context.announce("info", "ENTRY_DENIED", leg=leg, why=why, because="; ".join(obstacles))
        return
    context.announce("info", "ENTRY", leg=leg, contracts=contracts, why=why)
    making.want(context, leg, contracts)


def _limits(context: Context, leg: LegKey) -> tuple[str, ...]:
    """The limits that numbers decide. In-flight entries count as positions."""
    busy = [
        key
        for key, slot in context.bot.legs
        if slot.position.state is not position.S.FLAT or slot.entry.state not in order.FREE
    ]
    reasons = []
    if len(busy) >= context.parameters.max_positions:
        reasons.append(f"{len(busy)} positions are open or under way")
    last_ms = context.book.last_close_ms.get(leg.instrument)
    cooldown_s = context.parameters.of(leg.instrument).cooldown_s
    if last_ms is not None and context.now_ms - last_ms < cooldown_s * 1000:
        reasons.append("the cool-down after the last close")
    if context.now_ms - context.book.equity_at_ms > EQUITY_STALE_MS:
        reasons.append("the equity is not fresh")
    return tuple(reasons)


def _size(context: Context, leg: LegKey) -> Contracts:
    instrument = context.book.instruments[leg.instrument]
    mark = context.book.marks.get(leg.instrument)
    notional = context.parameters.of(leg.instrument).notional_usd
    return instrument.contracts_for(notional, mark) if mark else Contracts(Decimal(0))


def denied(context: Context, address: Address, effect: EntryDenied) -> None:
    assert address.leg is not None
    context.book.entry_sizes.pop(address.leg, None)
    context.announce("info", "ENTRY_DENIED", leg=address.leg, because="; ".join(effect.reasons))


def _bot() -> Address:
    return Address(Part.LIFECYCLE)
