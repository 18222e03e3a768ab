"""What the environment of the check says of strangers in a shared position happens on the embedded exchange, by name.

A story brings exchange and desk to where a rule applies; the leg that the rule makes of it must be the one that the
exchange then shows, and the book of the desk the one that the model's desk makes of the news.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from anchorwatch.diagrams.check import classification, venue
from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.acceptance.possible import READY
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.leg import Leg, Stop
from anchorwatch.diagrams.check.production import facets
from anchorwatch.io.venue.orders import AlgoOrder
from anchorwatch.machine import position
from tests.venue.stories import PX, Story

UNIT = Decimal("0.12")
OURS = 2
"""The bot enters with two units, so that a part of them can be taken."""

SHARED = Bounds("shared", shared=True, others=2)
ADDS = "somebody adds to the position, or opens one"
TAKES = "somebody takes theirs"
TAKES_OURS = "somebody takes of ours"

CASES = (
    (ADDS, False, ""),
    (ADDS, True, ""),
    (ADDS, True, "+"),
    (TAKES, True, "+"),
    (TAKES, True, "++"),
    (TAKES, False, "+"),
    (TAKES, False, "++"),
    (TAKES_OURS, True, ""),
    (TAKES_OURS, True, "-"),
)
"""The rule, whether the bot is in the position, and what strangers have done to it before."""


class SharedStory(Story):
    """A desk that shares the account, and strangers who trade one unit at a time."""

    def __init__(self, *, is_in: bool) -> None:
        super().__init__(usd=144, is_exclusive=False)
        if is_in:
            self.enter()
            assert self.leg().contracts == OURS * UNIT

    def stranger(self, does: str) -> None:
        self.person("buy" if does == "+" else "sell", str(UNIT))

    def held_units(self) -> int:
        return int(sum(one.contracts for one in self.account.open_positions()) / UNIT)

    def meant_stop(self) -> AlgoOrder | None:
        """The stop that the desk means, while it rests."""
        meant = self.leg().stop_client_id
        return next((one for one in self.account.algos.values() if one.client_id == meant), None)

    def ends(self) -> int:
        """How many positions the exchange's history shows as closed."""
        return sum(one.kind == "2" for one in self.account.history.values())

    def seen(self) -> Leg:
        """The leg of the model: what the exchange shows, and what the desk has booked when it has heard of all."""
        book, stop = self.leg(), self.meant_stop()
        is_ours = self.slot().position.state in position.OURS
        ours = int(book.contracts / UNIT) if is_ours else 0
        resting = Stop(live=True, known=True, size=_units(stop), seen=_units(stop)) if stop else Stop()
        return Leg(
            contracts=ours,
            theirs=self.held_units() - ours,
            is_shared=True,
            mine=resting,
            booked=ours,
            others=int(book.total / UNIT) - ours,
            remembered=ours,
        )


def _units(stop: AlgoOrder) -> int:
    assert stop.contracts is not None, "where others share a position the stop has our size"
    return int(stop.contracts / UNIT)


@pytest.mark.parametrize(("rule", "is_in", "before"), CASES)
def test_the_rule_happens_on_the_exchange_and_the_desk_books_it_as_the_model_does(
    rule: str, is_in: bool, before: str
) -> None:
    story = SharedStory(is_in=is_in)
    for does in before:
        story.stranger(does)
        story.settle()
        story.live_s(2, PX)
    leg = story.seen()
    stood = facets(story.bot)
    [move] = [one for rules in venue.RULES for one in rules(leg, READY, bounds=SHARED) if one.label == rule]
    change = 1 if rule == ADDS else -1
    ends = story.ends()
    story.stranger("+" if change > 0 else "-")
    # The exchange.
    assert story.held_units() == move.leg.held
    assert (story.meant_stop() is not None) is move.leg.mine.live
    assert (story.ends() > ends) is (move.leg.closed is not None)
    assert move.leg.news == (change,)
    # The desk, when it hears of it.
    after, told = classification.classify(move.leg, stood, i.TheirNews(change))
    story.hear()
    book = story.leg()
    assert int(book.total / UNIT) == after.booked + after.others
    is_over = i.to_position(position.EndConfirmed) in told
    assert (story.slot().position.state is position.S.FLAT) is is_over


def test_every_rule_of_strangers_has_a_story() -> None:
    legs = [Leg(contracts=OURS, theirs=theirs, is_shared=True) for theirs in (0, 1)]
    private = msgspec.structs.replace(SHARED, strangers=False)
    alone = msgspec.structs.replace(private, shared=False)
    rules = {
        move.label for leg in legs for rule in venue.RULES for move in rule(leg, READY, bounds=private)
    } - {move.label for leg in legs for rule in venue.RULES for move in rule(leg, READY, bounds=alone)}
    assert rules == {rule for rule, _, _ in CASES}
