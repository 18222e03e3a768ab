"""An hour of each day that ``make proof`` plays in full."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.proof.__main__ import DATA
from tests.proof.shared import shared_day
from tests.proof.soak import FILES, recorded, soak


@pytest.mark.data
async def test_an_hour_with_faults_ends_covered_or_flat_and_with_the_book_of_the_exchange(
    autojump_clock: MockClock,
) -> None:
    candles = DATA / "candles"
    if not all((candles / name).is_file() for name in FILES.values()):
        pytest.skip("no recorded candles in $ANCHORWATCH_DATA or ../shared/data")
    done = await soak(recorded(candles), hours=1, seed=3)
    assert done.amiss == []
    assert done.positions > 3
    assert done.struck
    assert len(done.exits) > 1, "it was restarted"


async def test_an_hour_on_a_shared_account_changes_nothing_of_others(autojump_clock: MockClock) -> None:
    done = await shared_day(hours=1, seed=4)
    assert done.amiss == []
    assert done.entries > 1
    assert done.closed_by_hand + done.tightened_by_hand > 1
    assert done.lives > 1
