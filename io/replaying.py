"""Replaying a tape: the same desk, the same events, and the first place where it answers otherwise."""

from __future__ import annotations

from pathlib import Path

import msgspec

from anchorwatch.io.tape import Digest, Overran, Record, event_of, in_words, read_tape
from anchorwatch.machine.strategy import Decision, MarketView, Strategy
from anchorwatch.machine.strategy.asking import Decider, StrategyOverran, decider


class Difference(msgspec.Struct, frozen=True):
    """The first event that was answered otherwise than when it was recorded."""

    number: int
    at_ms: int
    event: str
    expected: tuple[str, ...]
    got: tuple[str, ...]


class Replayed(msgspec.Struct, frozen=True):
    """A whole tape, or as much of it as agreed."""

    events: int
    moves: int
    effects: int
    digest: str
    difference: Difference | None


class AskedAgain:
    """The strategies of a replay: one that was interrupted in an event is not waited for in it again, and fails as then."""

    def __init__(self) -> None:
        self.overran: Overran | None = None

    def asker(self, strategy: Strategy) -> Decider:
        decide = decider(strategy)

        def decide_again(view: MarketView) -> Decision:
            then = self.overran
            if then is not None:
                raise StrategyOverran(then.strategy, then.where, then.what)
            return decide(view)

        return decide_again


def replay(path: Path) -> Replayed:
    """Give every event of the tape to a new desk. Raises BadTape for a file that is none."""
    birth, records = read_tape(path)
    asked = AskedAgain()
    desk, digest = birth.desk(asked.asker), Digest()
    events = moves = effects = 0
    for record in records:
        events += 1
        asked.overran = record.overran
        try:
            answer = desk.handle(event_of(record), record.now_ms)
        except Exception as error:  # what the desk raises is what is asked about
            got = (f"raised {type(error).__name__}",)
            same = got == record.answer
            found = None if same else _difference(events, record, (*got, str(error)))
            return Replayed(events, moves, effects, digest.hexdigest(), found)
        effects += len(answer)
        words = in_words(answer)
        moves += sum(": " in one for one in words)
        if digest.take(answer) != record.digest:
            return Replayed(events, moves, effects, digest.hexdigest(), _difference(events, record, words))
    return Replayed(events, moves, effects, digest.hexdigest(), None)


def _difference(number: int, record: Record, got: tuple[str, ...]) -> Difference:
    return Difference(number, record.now_ms, record.kind, record.answer, got)
