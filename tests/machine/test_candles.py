"""Buffers of closed candles: what is kept, what is in doubt, and what is to be read again."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.machine import candles as c
from anchorwatch.machine.candles import CandleBuffer, Span
from anchorwatch.machine.timeframes import MINUTE_MS, SPANS_MS, Resampling, open_of
from anchorwatch.machine.world import Candle
from tests.machine.candle_data import FIRST_MS, candle, read, recorded, wandering


def minutes(*numbers: int) -> tuple[Candle, ...]:
    return tuple(candle(number) for number in numbers)


def at(number: int) -> int:
    return FIRST_MS + number * MINUTE_MS


def filled(*numbers: int, capacity: int = 10) -> CandleBuffer:
    buffer = CandleBuffer("1m", capacity)
    for number in numbers:
        buffer.take(candle(number))
    return buffer


def test_a_candle_that_follows_is_appended() -> None:
    buffer = filled(0, 1)
    assert buffer.take(candle(2)) == c.Appended(candles=minutes(2))
    assert list(buffer) == list(minutes(0, 1, 2))


def test_a_lost_candle_is_asked_for_and_what_came_after_it_waits() -> None:
    buffer = filled(0, 1)
    assert buffer.take(candle(4)) == c.Ahead(read=Span(at(2), at(4)))
    assert buffer.take(candle(5)) == c.Ahead(read=Span(at(2), at(4)))
    assert list(buffer) == list(minutes(0, 1))
    assert buffer.missing() == Span(at(2), at(4))

    merged = buffer.merge(minutes(2, 3))
    assert merged == c.Merged(appended=minutes(2, 3, 4, 5), changed=False)
    assert (list(buffer), buffer.missing()) == (list(minutes(0, 1, 2, 3, 4, 5)), None)


def test_a_repair_that_brings_only_a_part_says_what_is_still_missing() -> None:
    buffer = filled(0, 4)
    assert buffer.merge(minutes(1, 3)).read == Span(at(2), at(3))
    assert list(buffer) == list(minutes(0, 1))


def test_candles_pushed_out_of_order_close_the_hole_themselves() -> None:
    buffer = filled(0, 2)
    assert buffer.take(candle(1)) == c.Appended(candles=minutes(1, 2))


def test_a_repeated_push_changes_nothing() -> None:
    buffer = filled(0, 1, 2)
    assert buffer.take(candle(1)) == c.Repeated()
    assert list(buffer) == list(minutes(0, 1, 2))


def test_a_late_correction_replaces_the_candle_and_has_the_rest_read_again() -> None:
    buffer = filled(0, 1, 2)
    corrected = candle(1, 101.0)
    assert buffer.take(corrected) == c.Corrected(open_ms=at(1), read=Span(at(1), at(3)))
    assert list(buffer) == [candle(0), corrected, candle(2)]


def test_a_correction_of_the_newest_candle_is_what_newest_then_says() -> None:
    buffer = filled(0, 1)
    buffer.take(candle(1, 101.0))
    assert buffer.newest == buffer[-1] == candle(1, 101.0)


def test_what_is_older_than_everything_kept_is_of_no_use() -> None:
    assert filled(5, 6).take(candle(4)) == c.TooOld()


def test_the_first_of_a_run_without_trades_is_read_again_and_only_the_first() -> None:
    buffer = filled(0)
    empty = [candle(number, volume=0.0) for number in (1, 2)]
    assert buffer.take(empty[0]) == c.AppendedWithoutTrades(candles=(empty[0],), read=Span(at(1), at(2)))
    assert buffer.take(empty[1]) == c.Appended(candles=(empty[1],))
    assert buffer.merge(empty[:1]) == c.Merged(appended=(), changed=False)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (Candle(FIRST_MS + 1, 1, 1, 1, 1, 1), "grid"),
        (Candle(at(1), 2, 1, 1, 1, 1), "not a candle"),
        (Candle(at(1), 1, 2, 1.5, 1.5, 1), "not a candle"),
        (Candle(at(1), 0, 1, 0, 1, 1), "not a candle"),
        (Candle(at(1), 1, float("nan"), 1, 1, 1), "not a candle"),
        (Candle(at(1), 1, float("inf"), 1, 1, 1), "not a candle"),
        (Candle(at(1), 1, 1, 1, 1, -1), "not a candle"),
        (Candle(at(1), 1, 1, 1, 1, float("nan")), "not a candle"),
    ],
)
def test_what_is_no_candle_is_refused_with_the_reason(wrong: Candle, why: str) -> None:
    buffer = filled(0)
    outcome = buffer.take(wrong)
    assert isinstance(outcome, c.Refused)
    assert why in outcome.why
    assert buffer.merge([wrong]).refused == (outcome.why,)
    assert list(buffer) == [candle(0)]


def test_a_day_cut_at_utc_8_opens_at_16_utc() -> None:
    buffer = CandleBuffer("1D", 3)
    assert isinstance(buffer.take(candle(0)), c.Refused)
    assert isinstance(buffer.take(candle(16 * 60)), c.Appended)
    assert open_of("1D", at(17 * 60)) == at(16 * 60)
    assert open_of("1Dutc", at(17 * 60)) == at(0)


def test_a_feed_that_stands_still_is_told_by_the_time_alone() -> None:
    buffer = filled(0, 1)
    due_ms = at(3) + c.GRACE_MS  # minute 2 closes when minute 3 opens
    assert buffer.is_fresh(due_ms - 1)
    assert buffer.stall(due_ms - 1) is None
    assert not buffer.is_fresh(due_ms)
    assert buffer.stall(due_ms) == c.Stalled(read=Span(at(2), at(3)), newest_ms=at(1))
    assert buffer.stall(at(7) + 5) == c.Stalled(read=Span(at(2), at(7)), newest_ms=at(1))


def test_an_empty_buffer_is_never_fresh() -> None:
    buffer = CandleBuffer("1m", 5)
    assert not buffer.is_fresh(0)
    assert (buffer.missing(), buffer.stall(at(9)), buffer.newest, len(buffer)) == (None, None, None, 0)


def test_history_may_come_after_the_first_pushes() -> None:
    buffer = filled(5, 6)
    assert buffer.merge(minutes(0, 1, 2, 3, 4, 5)) == c.Merged(appended=(), changed=True)
    assert list(buffer) == list(minutes(0, 1, 2, 3, 4, 5, 6))


def test_old_candles_that_do_not_reach_the_run_are_not_taken_for_it() -> None:
    buffer = filled(5, 6)
    buffer.merge(minutes(0, 1))
    assert list(buffer) == list(minutes(5, 6))


def test_what_rest_says_wins_over_what_was_pushed() -> None:
    buffer = filled(0, 1, 2)
    merged = buffer.merge([candle(1, 99.0)])
    assert merged == c.Merged(appended=(), changed=True)
    assert buffer[1] == candle(1, 99.0)


def test_a_hole_of_the_venue_itself_is_left_behind_on_request() -> None:
    buffer = filled(0, 1, 4, 5, 8)
    assert buffer.begin_after_hole() == Span(at(2), at(4))
    assert list(buffer) == list(minutes(4, 5))
    assert buffer.begin_after_hole() == Span(at(6), at(8))
    assert list(buffer) == list(minutes(8))
    assert buffer.begin_after_hole() is None
    assert isinstance(buffer.take(candle(9)), c.Appended)


def test_only_the_newest_are_kept_and_the_memory_never_grows() -> None:
    buffer = CandleBuffer("1m", 7)
    before = buffer.nbytes
    for number in range(100):
        buffer.take(candle(number, 100.0 + number))
        kept = range(max(0, number - 6), number + 1)
        assert [one.close for one in buffer] == [100.0 + i for i in kept]
    assert buffer.nbytes == before
    assert buffer.arrays(3).close.tolist() == [197.0, 198.0, 199.0]


def test_what_waits_ahead_is_bounded_and_the_oldest_of_it_is_asked_for_again() -> None:
    buffer = filled(0, capacity=3)
    for number in range(10, 20):
        buffer.take(candle(number))
    assert buffer.missing() == Span(at(1), at(17))


def test_indices_and_slices_are_those_of_a_list() -> None:
    buffer = filled(*range(25), capacity=10)
    model = list(minutes(*range(15, 25)))
    assert [buffer[i] for i in range(-10, 10)] == [model[i] for i in range(-10, 10)]
    assert [buffer[part] for part in (slice(-3, None), slice(2, 5), slice(None, None, 3))] == [
        model[-3:],
        model[2:5],
        model[::3],
    ]
    for beyond in (10, -11):
        with pytest.raises(IndexError):
            buffer[beyond]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("take", "extend", "newest", "arrays", "list", "index", "correct")),
            st.integers(1, 14),
        ),
        max_size=30,
    )
)
def test_candles_taken_whole_and_read_late_are_those_taken_one_by_one(
    deeds: list[tuple[str, int]],
) -> None:
    market = wandering(500)
    opens_ms = [one.open_ms for one in market]
    values = np.array([msgspec.structs.astuple(one)[1:] for one in market]).T
    late, one_by_one = CandleBuffer("1m", 10), CandleBuffer("1m", 10)
    late.take(market[0])
    one_by_one.take(market[0])
    end = 1
    for deed, number in deeds:
        if deed in ("take", "extend"):
            rows = range(end, end + (number if deed == "extend" else 1))
            for row in rows:
                one_by_one.take(market[row])
            if deed == "extend":
                late.extend(c.Stretch(opens_ms, values, end, rows.stop))
            else:
                assert late.take(market[end]) == c.Appended(candles=(market[end],))
            end = rows.stop
        elif deed == "correct":
            known = one_by_one[-min(number, len(one_by_one))]
            other = msgspec.structs.replace(known, close=known.high, open=known.low)
            assert late.take(other) == one_by_one.take(other)
        elif deed == "index":
            place = -min(number, len(one_by_one))
            assert late[place] == one_by_one[place] == late.at(one_by_one[place].open_ms)
        elif deed == "list":
            assert list(late) == list(one_by_one)
        elif deed == "newest":
            assert late.newest == one_by_one.newest
        else:
            assert (
                columns_of(late)
                == columns_of(one_by_one)
                == [
                    list(column)
                    for column in zip(*(msgspec.structs.astuple(one) for one in one_by_one), strict=True)
                ]
            )
        assert len(late) == len(one_by_one)
        assert (late.oldest_ms, late.newest_ms) == (one_by_one.oldest_ms, one_by_one.newest_ms)
    assert (list(late), columns_of(late, 4)) == (list(one_by_one), columns_of(one_by_one, 4))


def columns_of(buffer: CandleBuffer, last: int | None = None) -> list[list[float]]:
    return [column.tolist() for column in msgspec.structs.astuple(buffer.arrays(last))]


def test_nobody_writes_through_the_columns() -> None:
    columns = filled(0, 1).arrays()
    with pytest.raises(ValueError, match="read-only"):
        columns.close[0] = 1.0


def test_a_capacity_beyond_reason_is_refused() -> None:
    for capacity in (0, c.CAPACITY_MAX + 1):
        with pytest.raises(ValueError, match="capacity"):
            CandleBuffer("1m", capacity)


TRUTH = wandering(40)
BY_OPEN = {one.open_ms: one for one in TRUTH}


def told_by_rest(span: Span) -> list[Candle]:
    return [BY_OPEN[ms] for ms in range(span.from_ms, span.to_ms, MINUTE_MS)]


@given(st.integers(1, 15), st.lists(st.tuples(st.integers(0, 39), st.booleans(), st.booleans()), min_size=1))
def test_whatever_the_stream_does_the_run_has_no_hole_and_repair_brings_the_truth(
    capacity: int, pushes: list[tuple[int, bool, bool]]
) -> None:
    buffer = CandleBuffer("1m", capacity)
    for number, is_right, is_repaired in pushes:
        one = TRUTH[number]
        pushed = one if is_right else Candle(one.open_ms, one.open, one.high, one.low, one.open, one.volume)
        outcome = buffer.take(pushed)
        assert (np.diff(buffer.arrays().open_ms) == MINUTE_MS).all()
        assert len(buffer) <= capacity
        if outcome.read is not None and is_repaired:
            buffer.merge(told_by_rest(outcome.read))
    while (hole := buffer.missing()) is not None:
        assert buffer.merge(told_by_rest(hole)).appended
    assert buffer[-1].open_ms == max(TRUTH[number].open_ms for number, _, _ in pushes)
    buffer.merge([BY_OPEN[one.open_ms] for one in buffer])  # REST has the last word on the values
    assert list(buffer) == [BY_OPEN[one.open_ms] for one in buffer]
    columns = msgspec.structs.astuple(buffer.arrays())
    assert [Candle(*row) for row in zip(*(column.tolist() for column in columns), strict=True)] == list(
        buffer
    )


@pytest.mark.data
@pytest.mark.parametrize("path", recorded("okx_swap_*.csv.gz"))
def test_every_missing_minute_of_a_recorded_file_is_named(path: Path) -> None:
    rows = read(path)
    truth = {one.open_ms for one in rows}
    absent = [ms for ms in range(rows[0].open_ms, rows[-1].open_ms, MINUTE_MS) if ms not in truth]
    buffer = CandleBuffer("1m", 2_000)
    named: list[int] = []
    for one in rows:
        buffer.take(one)
        hole = buffer.missing()
        if hole is not None:
            named += range(hole.from_ms, hole.to_ms, MINUTE_MS)
            buffer.begin_after_hole()
    assert named == absent
    assert absent


def test_larger_candles_come_with_their_last_part_and_never_without_one_of_them() -> None:
    parts = wandering(12)
    whole = Resampling("1m", "5m")
    made = [whole.take(part) for part in parts]
    assert [index for index, one in enumerate(made) if one is not None] == [4, 9]
    assert made[9] == Candle(
        parts[5].open_ms,
        parts[5].open,
        max(part.high for part in parts[5:10]),
        min(part.low for part in parts[5:10]),
        parts[9].close,
        sum(part.volume for part in parts[5:10]),
    )
    torn = Resampling("1m", "5m")
    missing = random.Random(2).randrange(5)
    kept = [part for index, part in enumerate(parts) if index != missing]
    assert [one for part in kept if (one := torn.take(part))] == [made[9]]


def test_a_timeframe_is_as_long_as_its_name_says() -> None:
    units_ms = {"m": MINUTE_MS, "H": 60 * MINUTE_MS, "D": 1_440 * MINUTE_MS}
    for name, length_ms in SPANS_MS.items():
        number, unit = name.removesuffix("utc")[:-1], name.removesuffix("utc")[-1]
        assert length_ms == int(number) * units_ms[unit]
    assert [open_of(name, at(7 * 60)) - at(0) for name in ("6H", "12H", "6Hutc", "12Hutc")] == [
        4 * 60 * MINUTE_MS,
        4 * 60 * MINUTE_MS,
        6 * 60 * MINUTE_MS,
        0,
    ]


def test_a_timeframe_that_cannot_be_made_of_another_is_refused() -> None:
    for source, timeframe in (("5m", "3m"), ("1m", "7m"), ("1D", "1Dutc")):
        with pytest.raises(ValueError, match=r"whole|unknown"):
            Resampling(source, timeframe)
