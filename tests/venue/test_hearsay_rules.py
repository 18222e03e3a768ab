"""What the environment of the check says of hearsay in net mode happens on the embedded exchange, by name.

The legs that a rule makes of two that are flat must be the ones that the exchange then shows, and the desk must make of
the push what the model's desk makes of it.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from anchorwatch.diagrams.check import classification, netting
from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.acceptance.possible import READY
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.production import facets
from anchorwatch.machine import position, protection, reconciliation
from anchorwatch.machine.connection import Name
from anchorwatch.machine.units import PositionMode
from tests.machine.desk_rig import LONG, SHORT
from tests.venue.stories import PX, Story

UNIT = Decimal("0.12")
HEARSAY = Bounds("hearsay", net=True, both_legs=True, hearsay=True)


class NetStory(Story):
    """A desk in net mode, and a person who trades a unit."""

    def __init__(self) -> None:
        super().__init__(mode=PositionMode.NET)

    def person(self, deal: str, contracts: str = str(UNIT)) -> None:
        self.rig.order(deal, contracts)

    def lose_what_is_pushed(self) -> None:
        self._sessions[Name.PRIVATE].outbox.clear()

    def held_units(self) -> int:
        return int(sum(one.contracts for one in self.account.open_positions()) / UNIT)


def turn_of(rule: str) -> netting.Turn:
    turns = [turn for one in netting.RULES for turn in one(Leg(), Leg(), READY, bounds=HEARSAY)]
    [turn] = [turn for turn in turns if turn.label == rule]
    return turn


@pytest.mark.parametrize("rule", [netting.OPENS, netting.CLOSES])
def test_the_rule_happens_on_the_exchange_and_the_desk_takes_it_for_an_opening(rule: str) -> None:
    story, turn = NetStory(), turn_of(rule)
    before = facets(story.bot, SHORT)
    if rule == netting.CLOSES:
        story.person("buy")
        story.lose_what_is_pushed()
    story.person("sell")
    assert (turn.leg.contracts, turn.other.contracts) == (-story.held_units(), 0)
    story.hear()
    after, told = classification.classify(turn.leg, before, i.SeemsOpened())
    assert int(story.leg(SHORT).contracts / UNIT) == after.booked
    assert not story.leg(LONG).contracts
    assert i.to_position(position.PositionSeen) in told
    assert i.to_reconciliation(reconciliation.BookDoubted) in told
    assert story.slot(SHORT).position.state is position.S.OPEN
    assert story.bot.reconciliation.state is reconciliation.S.READING


def test_what_was_opened_is_found_and_covered() -> None:
    story = NetStory()
    story.person("sell")
    story.settle()
    story.live_s(3, PX)
    assert not story.leg(SHORT).is_hearsay
    assert story.slot(SHORT).protection.state is protection.S.COVERED


def test_what_was_closed_never_was_on_this_side() -> None:
    story = NetStory()
    story.person("buy")
    story.lose_what_is_pushed()
    story.person("sell")
    story.settle()
    story.live_s(90, PX)
    assert story.slot(SHORT).position.state is position.S.FLAT
    assert "NEVER_WAS" in story.announced()
    assert not story.held_units()
    assert not story.account.algos


def test_every_rule_of_hearsay_has_a_story() -> None:
    told = {turn.label for one in netting.RULES for turn in one(Leg(), Leg(), READY, bounds=HEARSAY)}
    assert told == {netting.OPENS, netting.CLOSES}
