from hypothesis import given
from hypothesis import strategies as st

from anchorwatch.io.okx.clock_offset import JUMP_MS, SAMPLES_KEPT, ClockOffset, Sample


def seen(*samples: Sample) -> ClockOffset:
    clock = ClockOffset()
    for sample in samples:
        clock = clock.after(sample)
    return clock


def test_the_offset_is_the_venue_minus_the_midpoint_of_the_round_trip() -> None:
    assert seen(Sample(1000, 1100, 3050)).offset_ms == 2000
    assert ClockOffset().offset_ms == 0
    assert not ClockOffset().known


def test_the_shortest_recent_round_trip_is_believed() -> None:
    clock = seen(Sample(0, 400, 700), Sample(1000, 1020, 1510), Sample(2000, 2900, 3200))
    assert (clock.offset_ms, clock.error_ms) == (500, 10)


def test_an_old_quick_sample_makes_way_so_that_drift_is_followed() -> None:
    quick, slow = Sample(0, 2, 1), [Sample(n, n + 100, n + 50 + 40) for n in range(1000, 1000 + SAMPLES_KEPT)]
    assert seen(quick).offset_ms == 0
    assert seen(quick, *slow).offset_ms == 40


def test_a_clock_that_was_set_is_reported_as_a_jump_and_followed_at_once() -> None:
    clock = seen(Sample(0, 10, 5), Sample(1000, 1010, 1005 + JUMP_MS + 100))
    assert (clock.jumped, clock.jump_ms, clock.offset_ms) == (True, JUMP_MS + 100, JUMP_MS + 100)
    assert not clock.after(Sample(2000, 2010, 2005 + JUMP_MS + 100)).jumped


def test_a_slow_round_trip_is_no_jump_because_it_explains_itself() -> None:
    assert not seen(Sample(0, 10, 5), Sample(1000, 9000, 9000)).jumped


def test_our_clock_set_back_during_the_round_trip_starts_the_estimate_anew() -> None:
    clock = seen(Sample(0, 10, 5), Sample(5000, 100, 5000))
    assert (clock.jumped, clock.known) == (True, False)


@given(
    st.integers(-60_000, 60_000), st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1)
)
def test_the_estimate_is_never_wrong_by_more_than_its_stated_error(
    true_offset_ms: int, paths_ms: list[tuple[int, int]]
) -> None:
    clock, now_ms = ClockOffset(), 1_000_000
    for there_ms, back_ms in paths_ms:
        sample = Sample(now_ms, now_ms + there_ms + back_ms, now_ms + there_ms + true_offset_ms)
        clock = clock.after(sample)
        now_ms += 1000
    assert clock.error_ms is not None
    assert abs(clock.offset_ms - true_offset_ms) <= clock.error_ms
    assert not clock.jumped
