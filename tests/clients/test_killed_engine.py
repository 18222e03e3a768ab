"""Real processes that are killed: their tapes lack the end, and what reached the exchange and the journal stand for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import trio

from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.io.demo.processes import Life, life, settings_text
from anchorwatch.machine import requests
from anchorwatch.machine.kernel import Effect
from anchorwatch.machine.trace import FellSilent, LifeEnded, Requested, Seen
from tests.clients.test_engine import READY, grown, says
from tests.clients.two_sides import WITHIN_S, Exchange, Merging, as_told
from tests.venue.rig import BTC

COVERED = says(event="transition", machine="protection", dest="COVERED")
FLAT = says(event="transition", machine="position", dest="FLAT")

# A thousandth of profit closes a position.
QUICK = {
    "protection": {"take_profit_fraction": 0.001, "trail_activation_fraction": 0.0, "stop_fraction": 0.02}
}
KILLED = -9


class TwoLives:
    """Two lives of one bot: the first is killed, the second finds what it left."""

    def __init__(self, room: Path) -> None:
        self._room = room
        self._journal = room / "journal.sqlite"
        self.exchange = Exchange(self._journal)
        self._told: list[Seen] = []

    async def live(self, first: Callable[[Life, Path], Awaitable[None]]) -> list[Seen]:
        """``first`` does with the first life what is to be done until it dies; the trace of both."""
        settings = self._room / "settings.toml"
        tapes = [self._room / f"tape-{number}" for number in (1, 2)]
        async with self.exchange.serving() as where:
            settings.write_text(settings_text(where, self._journal, (BTC,), more=QUICK), encoding="utf-8")
            async with life(settings, self._room, tape=tapes[0]) as own:
                await own.until(says(**READY), WITHIN_S)
                await first(own, tapes[0])
                assert await own.ended() == KILLED, own.complaint()
            await self.exchange.life_is_over()
            self._told += as_told(tapes[0], is_killed=True)
            async with life(settings, self._room, tape=tapes[1]) as own:
                await self._end_in_order(own)
            self._told += as_told(tapes[1])
        return list(Merging(self.exchange.trace, self._told).merged())

    async def _end_in_order(self, own: Life) -> None:
        await own.until(says(**READY), WITHIN_S)
        if self.exchange.holds():
            await own.until(COVERED, WITHIN_S)
            self.exchange.by_hand("sell", "0.5")
            await own.until(FLAT, WITHIN_S)
        own.ask_to_stop()
        assert await own.ended() == 0, own.complaint()


async def test_a_process_killed_with_nothing_of_its_tape_written_is_accepted(tmp_path: Path) -> None:
    """Its stop reached the exchange, and the next life takes it over."""
    two = TwoLives(tmp_path)

    async def covered(own: Life, tape: Path) -> None:
        own.kill_at(COVERED)
        two.exchange.by_hand("buy", "0.5")

    trace = await two.live(covered)
    assert kinds(beyond_the_tape(trace)) == [requests.PlaceStop]
    verdict = accepts(trace)
    assert verdict.rejections == (), verdict.rejections[0].lines()
    assert "the venue accepts the stop" in verdict.used
    assert accepts([grown(one) for one in trace]).rejections


async def test_a_process_killed_while_it_closes_is_accepted_and_its_close_was_recorded_before(
    tmp_path: Path,
) -> None:
    """Some of its tape was written; the close is known from the exchange, and its intent from the journal.

    It is killed while the exchange serves the close: of one that never arrived the next life would be in doubt.
    """
    two = TwoLives(tmp_path)

    async def closing(own: Life, tape: Path) -> None:
        seen = 0
        # What fills the tape is another leg's: each of its positions leaves more that may have happened unseen.
        while not (await trio.Path(tape).stat()).st_size:
            two.exchange.by_hand("sell", "0.5", leg="short")
            await own.until(COVERED, WITHIN_S, after=seen)
            two.exchange.by_hand("buy", "0.5", leg="short")
            seen = own.lines.index(await own.until(FLAT, WITHIN_S, after=seen)) + 1
        two.exchange.by_hand("buy", "0.5")
        await own.until(COVERED, WITHIN_S, after=seen)
        two.exchange.when_a_close_arrives(own.kill)
        two.exchange.rise("60300")

    trace = await two.live(closing)
    asked = list(beyond_the_tape(trace))
    (close,) = (one for one in asked if requests.PlaceOrder in kinds([one]))
    assert kinds([close]) == [requests.Record, requests.PlaceOrder]
    verdict = accepts(trace)
    assert verdict.rejections == (), verdict.rejections[0].lines()
    assert {"the venue accepts the close", "the close fills"} <= set(verdict.used)
    assert accepts([grown(one) for one in trace]).rejections
    # An order that is sent before its intent is durable is what no rule allows.
    hasty = [unrecorded(one) if one is close else one for one in trace]
    assert "the close is sent" in accepts(hasty).rejections[0].event


def kinds(asked: Iterable[Requested]) -> list[type[Effect]]:
    return [type(effect) for one in asked for effect in one.effects]


def unrecorded(one: Seen) -> Seen:
    assert isinstance(one, Requested)
    left = tuple(effect for effect in one.effects if not isinstance(effect, requests.Record))
    return msgspec.structs.replace(one, effects=left)


def beyond_the_tape(trace: Sequence[Seen]) -> Iterator[Requested]:
    """What reached the exchange of a life after its tape had ended."""
    is_silent = False
    for one in trace:
        if isinstance(one, FellSilent | LifeEnded):
            is_silent = isinstance(one, FellSilent)
        elif is_silent and isinstance(one, Requested):
            yield one
