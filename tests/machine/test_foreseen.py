"""What may be wished is known of a whole series at once: it never misses a signal, and never looks ahead."""

from __future__ import annotations

import numpy as np
import pytest

from anchorwatch.machine.candles import Arrays
from anchorwatch.machine.indicators.panel import Periods, columns
from anchorwatch.machine.market import Frame
from anchorwatch.machine.regime import Regime
from anchorwatch.machine.strategy.foreseen import may_fire
from anchorwatch.machine.strategy.scalper import SETS
from anchorwatch.machine.strategy.signals import SignalSettings
from anchorwatch.machine.world import Candle
from tests.machine.candle_data import wandering

SIGNALS = {signal for asked in SETS.values() for signal in asked}
SETTINGS = (
    SignalSettings(),
    SignalSettings(rsi_strict_low=40, rsi_strict_high=60, dip_adx=10, impulse_atr=1.0),
)


def arrays(candles: list[Candle]) -> Arrays:
    table = np.array([(one.open, one.high, one.low, one.close, one.volume) for one in candles])
    times = np.array([one.open_ms for one in candles])
    return Arrays(times, *(np.ascontiguousarray(column) for column in table.T))


def foreseen(candles: list[Candle], settings: SignalSettings, regime: Regime | None = None) -> list[bool]:
    known = arrays(candles)
    readings = columns(known.high, known.low, known.close, Periods())
    answers: list[bool] = may_fire(readings, known, settings, regime).tolist()
    return answers


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_signal_fires_where_none_was_foreseen(seed: int, settings: SignalSettings) -> None:
    candles = wandering(900, seed)
    known = arrays(candles)
    rows = columns(known.high, known.low, known.close, Periods()).rows()
    answers = {regime: foreseen(candles, settings, regime) for regime in (None, *Regime)}
    fired = set()
    for place in range(1, len(candles)):
        now, before = rows[place], rows[place - 1]
        if now is None or before is None:
            continue
        frame = Frame(candles[place], now, before)
        for regime, asked in SETS.items():
            for signal in asked:
                if signal(frame, candles[: place + 1], settings) is not None:
                    assert answers[regime][place], f"{signal.__name__} at {place}"
                    assert answers[None][place]
                    fired.add(signal)
    assert fired == SIGNALS
    assert all(not all(one[100:]) for one in answers.values()), "yes to everything would be no foresight"


def test_an_answer_rests_on_candles_up_to_its_own() -> None:
    candles = wandering(400)
    whole = foreseen(candles, SETTINGS[0])
    for count in range(60, 400, 17):
        assert foreseen(candles[:count], SETTINGS[0]) == whole[:count]
