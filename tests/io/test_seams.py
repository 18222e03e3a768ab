import os
import signal
import time
from datetime import UTC, datetime

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.seams import ALPHABET, STOP_SIGNALS, Seams, interrupts, real_seams, virtual_seams

START_MS = 1_700_000_000_000


async def test_virtual_wall_time_follows_the_clock_of_the_run(autojump_clock: MockClock) -> None:
    seams = virtual_seams(START_MS, seed=1)
    assert seams.wall_ms() == START_MS
    for at_ms in (1, 1_001, 4_035, 8_003, 86_400_000):  # each is a float that need not be exact
        await trio.sleep_until(at_ms / 1000)
        assert seams.wall_ms() == START_MS + at_ms


def test_the_same_seed_draws_the_same_tokens_and_another_seed_draws_others() -> None:
    def drawn(seed: int) -> list[str]:
        seams = virtual_seams(START_MS, seed)
        return [seams.token(8) for _ in range(4)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


@pytest.mark.parametrize("seams", [real_seams(), virtual_seams(START_MS, seed=3)], ids=["real", "virtual"])
def test_a_token_holds_only_what_the_venue_takes_in_a_client_id(seams: Seams) -> None:
    text = "".join(seams.token(32) for _ in range(50))
    assert len(text) == 50 * 32
    assert sorted(set(text)) == sorted(ALPHABET)  # all of the alphabet, and nothing else


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        real_seams().token(0)


def test_two_real_seams_never_draw_the_same_token() -> None:
    assert real_seams().token(16) != real_seams().token(16)


def test_real_wall_time_is_the_hosts_utc_in_milliseconds() -> None:
    before = datetime.now(UTC).timestamp() * 1000
    assert before - 1 <= real_seams().wall_ms() <= time.time() * 1000 + 1


async def test_both_stop_signals_arrive_in_the_order_they_were_sent() -> None:
    with trio.fail_after(5):
        async with interrupts() as arriving:
            for sent in STOP_SIGNALS:
                os.kill(os.getpid(), sent)
                assert await anext(aiter(arriving)) == sent
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # the hold on signals ends with the block
