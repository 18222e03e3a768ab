"""What counts as a leak: what is still there when everything that comes and goes has gone."""

from __future__ import annotations

from collections import Counter
from random import Random

from tests.proof.growth import LEAST_SAMPLES, Sample, leaks

COUNT = 3 * LEAST_SAMPLES


def samples(*, leaks_each: int = 0, count: int = COUNT) -> list[Sample]:
    """Sockets come and go, dictionaries are many, and something of ours may stay behind each time."""
    random = Random(1)
    return [
        Sample(
            900.0 * number,
            100.0,
            10 * number,
            300,
            Counter(
                {
                    "socket": 4 + random.choice((0, 0, 0, 12, 30)),
                    "dict": 9_000 + random.randrange(200),
                    "link": 4 + leaks_each * number,
                }
            ),
        )
        for number in range(count)
    ]


def test_what_comes_and_goes_is_no_leak() -> None:
    assert leaks(samples()) == []


def test_one_moment_with_every_connection_down_makes_no_leak_of_those_that_are_up() -> None:
    day = samples()
    for number, one in enumerate(day):
        one.rest["connection"] = 2 if number == 3 else 40
    assert leaks(day) == []


def test_what_is_left_behind_each_time_is_named_with_its_counts() -> None:
    assert leaks(samples(leaks_each=2)) == [f"link: 4 → {4 + 4 * LEAST_SAMPLES}"]


def test_a_time_that_is_too_short_says_nothing() -> None:
    assert leaks(samples(leaks_each=5, count=COUNT - 1)) == []
