"""The regime: what one candle says, and how slowly it is believed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine.regime import Regime, RegimeSettings, RegimeState, advanced, verdict

SETTINGS = RegimeSettings()
STEP_MS = 300_000
TRENDING, RANGING, CHOPPY = Regime.TRENDING, Regime.RANGING, Regime.CHOPPY


def after(said: list[Regime], start: RegimeState | None = None, first: int = 1) -> list[RegimeState]:
    states = []
    for number, one in enumerate(said, first):
        start = advanced(start, one, number * STEP_MS, SETTINGS)
        states.append(start)
    return states


@pytest.mark.parametrize(
    ("adx", "range_fraction", "regime"),
    [
        (25.0, 0.10, TRENDING),
        (25.0 - 1e-12, 0.10, TRENDING),  # rounding decides nothing
        (20.0 + 1e-12, 0.03, RANGING),
        (24.9, 0.06, CHOPPY),
        (10.0, 0.051, CHOPPY),
        (10.0, 0.05, RANGING),
        (20.0, 0.03, RANGING),
        (20.1, 0.03, CHOPPY),
        (24.9, 0.019, RANGING),
    ],
)
def test_one_candle_says(adx: float, range_fraction: float, regime: Regime) -> None:
    assert verdict(adx, range_fraction, SETTINGS) is regime


def test_the_first_verdict_is_taken_as_it_is() -> None:
    assert after([CHOPPY])[-1] == RegimeState(CHOPPY, since_ms=STEP_MS, judged_ms=STEP_MS)


def test_three_equal_verdicts_change_it_and_two_do_not() -> None:
    states = after([RANGING] * 5 + [TRENDING] * 3)
    assert [state.regime for state in states[-3:]] == [RANGING, RANGING, TRENDING]
    assert states[-1].since_ms == 8 * STEP_MS


def test_a_verdict_for_the_regime_in_between_begins_the_count_anew() -> None:
    said = [RANGING] * 5 + [TRENDING, TRENDING, RANGING, TRENDING, TRENDING, CHOPPY, TRENDING, TRENDING]
    assert {state.regime for state in after(said)} == {RANGING}


def test_a_verdict_for_the_regime_as_it_is_is_no_rival_and_no_new_beginning() -> None:
    *_, last = after([RANGING] * 9)
    assert last == RegimeState(RANGING, since_ms=STEP_MS, judged_ms=9 * STEP_MS)


def test_it_stays_for_its_least_time_however_loud_the_rival() -> None:
    states = after([RANGING, TRENDING, TRENDING, TRENDING, TRENDING])
    # 15 minutes after the first verdict is the fourth candle.
    assert [state.regime for state in states] == [RANGING, RANGING, RANGING, TRENDING, TRENDING]
    slow = RegimeSettings(dwell_min=60)
    state = None
    for number in range(1, 40):
        state = advanced(state, RANGING if number == 1 else TRENDING, number * STEP_MS, slow)
        assert state.confirmations <= slow.confirmations
        assert (state.regime is TRENDING) == (number >= 13)


def test_history_that_was_judged_already_changes_nothing() -> None:
    state = after([RANGING] * 4)[-1]
    assert after([TRENDING] * 4, start=state)[-1] == state


def test_a_state_survives_being_written_down() -> None:
    state = after([RANGING, TRENDING])[-1]
    assert state.rival is TRENDING
    assert msgspec.json.decode(msgspec.json.encode(state), type=RegimeState) == state


@given(st.lists(st.sampled_from(list(Regime)), min_size=1, max_size=60))
def test_it_never_changes_sooner_or_on_less_than_it_says(said: list[Regime]) -> None:
    states = after(said)
    for number in range(1, len(states)):
        before, now = states[number - 1], states[number]
        assert now.judged_ms == (number + 1) * STEP_MS
        if now.regime is not before.regime:
            assert now.since_ms - before.since_ms >= SETTINGS.dwell_min * 60_000
            assert (
                said[number - SETTINGS.confirmations + 1 : number + 1]
                == [now.regime] * SETTINGS.confirmations
            )


@given(st.lists(st.sampled_from(list(Regime)), min_size=2, max_size=40), st.integers(1, 39))
def test_a_life_that_is_interrupted_and_replays_its_history_ends_the_same(
    said: list[Regime], cut: int
) -> None:
    cut = min(cut, len(said) - 1)
    restored = after(said[:cut])[-1]
    assert after(said, start=restored)[-1] == after(said)[-1]
