"""Every rule of the venue in the check's environment has happened on the embedded exchange, listed by its name.

A rule has happened in a story if the environment accepts the story's trace, and rejects it without the rule. Of some
nobody outside can say which of several happened: without all of those that look alike the trace is rejected.
"""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from anchorwatch.diagrams.check import venue
from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.diagrams.check.acceptance.possible import READY, WIDE, nameless, shown
from anchorwatch.diagrams.check.items import Move
from anchorwatch.diagrams.check.leg import At, Call, Leg, Order, Stop
from anchorwatch.machine import reconciliation
from anchorwatch.machine.bot import RECONCILIATION
from anchorwatch.machine.trace import Seen, StopStood
from tests.venue.rare_stories import close_cancelled, stopped_beyond_the_price_limit
from tests.venue.stories import PX, STORIES, Story

REPLAYS = {
    "a late stop of before arrives": "the stop is late",
    "another stop goes with its position": "a late stop goes with the close",
    "another stop of ours triggers": "the attached stop outlives a late one",
    "somebody cancels the stop": "stop moved and cancelled by a person",
    "somebody opens or adds": "parted and grown by a person",
    "somebody places another stop": "a stop placed by a person",
    "somebody takes a part": "parted and grown by a person",
    "somebody takes the rest, and leaves the stop behind": "the attached stop outlives a person's close",
    "the cancel of the entry is lost": "the cancel is lost",
    "the child fills": "stopped",
    "the child fills in part": "a large position is stopped",
    "the child fills, and leaves its stop behind": "the attached stop outlives a late one",
    "the close fills": "trade",
    "the close fills in part": "a large trade",
    "the close fills, and leaves its stop behind": "the attached stop stays",
    "the close times out and is still on its way": "the close is late",
    "the entry fills": "trade",
    "the entry fills in part": "a large trade",
    "the entry is cancelled as asked": "rested",
    "the entry times out and is still on its way": "the entry is late",
    "the late close arrives": "the close is late",
    "the late entry arrives": "the entry is late",
    "the late stop arrives": "the stop is late, and there",
    "the stop times out and is still on its way": "the stop is late",
    "the stop triggers": "stopped",
    "the venue accepts the close": "trade",
    "the venue accepts the entry": "trade",
    "the venue accepts the stop": "trade",
    "the venue amends the entry": "rested",
    "the venue cancels the close": "the close is acknowledged and cancelled",
    "the venue cancels the entry": "the entry is acknowledged and cancelled",
    "the venue moves the stop": "trailed",
    "the venue refuses the close": "the close is refused",
    "the venue refuses the entry": "the entry is refused",
    "the venue refuses the move": "the move is refused",
    "the venue refuses the stop: no position": "closed before the stop",
    "the venue refuses the stop: no stops for now": "the stop is refused: barred",
    "the venue refuses the stop: the instrument's rules": "the stop is refused: rules",
    "the venue refuses the stop: the market has passed it": "the stop is refused: passed",
    "the venue refuses the stop: there is one already": "the stop is refused: exists",
    "the venue refuses the stop: try again": "the stop is refused: margin",
    "the venue's lists stand still": "lists of old",
    "there is no entry to cancel": "nothing to cancel",
}
"""By rule: the story whose trace needs it."""

ALIKE: dict[str, tuple[str, tuple[str, ...]]] = {
    "the entry is lost on its way": ("the entry is lost", ("the entry times out and is still on its way",)),
    "the close is lost on its way": ("the close is lost", ("the close times out and is still on its way",)),
    "the stop is lost on its way": ("the stop is lost", ("the stop times out and is still on its way",)),
    "the deadline of the late entry passes": ("the entry is lost", ("the entry is lost on its way",)),
    "the deadline of the late close passes": ("the close is lost", ("the close is lost on its way",)),
    "the other stops are swept": ("trade", ("somebody cancels another stop",)),
    "the venue accepts the entry, its answer is lost": (
        "the answer to the entry is lost",
        ("the entry times out and is still on its way", "the entry is lost on its way"),
    ),
    "the venue accepts the close, its answer is lost": (
        "the answer to the close is lost",
        ("the close times out and is still on its way", "the close is lost on its way"),
    ),
    "the venue accepts the stop, its answer is lost": (
        "the answer to the stop is lost",
        ("the stop times out and is still on its way",),
    ),
    "somebody closes the position": ("closed by a person", ("somebody takes the rest",)),
    "somebody takes the rest": ("closed by a person", ("somebody closes the position",)),
    "somebody cancels another stop": ("another stop cancelled by a person", ("the other stops are swept",)),
    "somebody moves the stop": (
        "stop moved and cancelled by a person",
        ("push: the stop is live, and will be said again",),
    ),
    "the amendment is lost": (
        "the amendment is lost",
        ("the venue amends the entry, its answer is lost", "there is no entry to amend"),
    ),
    "the venue amends the entry, its answer is lost": (
        "the answer to the amendment is lost",
        ("the amendment is lost", "there is no entry to amend"),
    ),
    "there is no entry to amend": (
        "nothing to amend",
        ("the amendment is lost", "the venue amends the entry, its answer is lost"),
    ),
    "the venue refuses to amend the entry": (
        "the amendment is refused: margin",
        ("the last look denies the amendment of the entry",),
    ),
    "the move is lost": ("the move is lost", ("the venue moves the stop, its answer is lost",)),
    "the venue moves the stop, its answer is lost": (
        "the answer to the move is lost",
        ("the move is lost", "somebody moves the stop"),
    ),
    "there is no stop to move": ("the stop is gone before its move", ("the venue refuses the move",)),
    "the venue refuses the close: no position": (
        "closed while the close is sent",
        ("the venue refuses the close", "the close is never sent"),
    ),
}
"""By rule: the story, and the rules that look the same from outside."""

UNSEEN = (
    "a late stop of before is refused",
    "the late stop is refused",
    "the sweep is lost",
    "the venue's lists catch up",
)
"""Nobody is told of it, and nothing that anybody sees changes: a trace cannot need it."""

CANCELS_OF_A_CLOSE = (
    "the cancel of the close is lost",
    "the close is cancelled as asked",
    "there is no close to cancel",
)
"""The bot cancels no close: a market order ends by itself. A client of another make does, and is judged by these."""


AT_THE_LIMIT = "the child order stops at the price limit"


@cache
def trace_of(story: str) -> tuple[Seen, ...]:
    return tuple(STORIES[story]().trace)


@pytest.mark.parametrize("rule", REPLAYS)
def test_the_rule_happens_on_the_exchange(rule: str) -> None:
    trace = trace_of(REPLAYS[rule])
    assert accepts(trace).rejections == ()
    assert accepts(trace, without=frozenset((rule,))).rejections


@pytest.mark.parametrize("rule", ALIKE)
def test_the_rule_or_one_that_looks_the_same_happens_on_the_exchange(rule: str) -> None:
    story, others = ALIKE[rule]
    trace = trace_of(story)
    assert accepts(trace, without=frozenset(others)).rejections == ()
    assert accepts(trace, without=frozenset((rule, *others))).rejections


def test_the_order_of_a_stop_finds_no_taker_beyond_the_price_limit() -> None:
    trace = stopped_beyond_the_price_limit().trace
    assert accepts(trace).rejections == ()
    assert accepts(trace, without=frozenset((AT_THE_LIMIT,))).rejections


@pytest.mark.parametrize("rule", CANCELS_OF_A_CLOSE)
def test_the_rule_happens_to_the_close_of_a_client_that_is_not_ours(rule: str) -> None:
    trace = close_cancelled()
    assert accepts(trace).rejections == ()
    assert accepts(trace, without=frozenset((rule,))).rejections


def test_every_rule_of_the_venue_is_listed_once() -> None:
    listed = [*REPLAYS, *ALIKE, *UNSEEN, *CANCELS_OF_A_CLOSE, AT_THE_LIMIT]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == rules_of_the_venue()


def test_what_is_unseen_is_told_to_nobody_and_changes_nothing_that_is_seen() -> None:
    for rule in UNSEEN:
        for leg, move in moves_of_the_venue()[rule]:
            assert (move.items, shown(move.leg)) == ((), shown(leg))


def rules_of_the_venue() -> set[str]:
    return set(moves_of_the_venue())


@cache
def moves_of_the_venue() -> dict[str, list[tuple[Leg, Move]]]:
    """What the venue's rules can do with legs in which every one of them applies, by the name of the rule."""
    live, asked = Order(size=2, at=At.LIVE), Order(size=2, call=Call.WIRE)
    held = Leg(contracts=2, mine=Stop(live=True), other=Stop(live=True))
    legs = [
        msgspec.structs.replace(held, entry=asked, close=asked, place=Call.WIRE, move=Call.WIRE, sweep=True),
        msgspec.structs.replace(held, entry=live, close=live, child=live),
        msgspec.structs.replace(
            held,
            entry=msgspec.structs.replace(live, cancel=Call.WIRE, amend=Call.WIRE),
            close=msgspec.structs.replace(live, cancel=Call.WIRE),
        ),
        Leg(
            close=msgspec.structs.replace(asked, cancel=Call.WIRE),
            entry=Order(cancel=Call.WIRE, amend=Call.WIRE),
            place=Call.WIRE,
            move=Call.WIRE,
        ),
        Leg(contracts=2, stray_stop=True, stray_other=True),
        Leg(contracts=2, entry=Order(size=1, stray=True), close=Order(size=1, stray=True)),
        Leg(contracts=1, mine=Stop(live=True)),
        Leg(past=Leg().past_now),
        Leg(contracts=1),
        Leg(other=Stop(live=True)),
    ]
    everything = msgspec.structs.replace(WIDE, belt=True, follows=True, foreign=True, lags=True, twins=True)
    found: dict[str, list[tuple[Leg, Move]]] = {}
    for leg in legs:
        for rule in venue.RULES:
            for move in rule(leg, READY, bounds=everything):
                found.setdefault(nameless(move.label), []).append((leg, move))
    return found


# What the wider rules still do not allow.


@pytest.mark.parametrize("lag_s", [5, 20])
def test_lists_may_show_what_was_but_not_for_ever(lag_s: int) -> None:
    """A stop of long ago is gone, and is shown again so much later."""
    story = Story()
    story.fault("rest_lag", "trade/orders-algo-pending", delay_ms=lag_s * 1000, after=99)
    story.enter(30)
    story.person_cancels_the_stop()
    story.settle()
    story.live_s(lag_s - 2, PX)
    story.fault("rest_lag", "trade/orders-algo-pending", delay_ms=lag_s * 1000)
    story.tell(RECONCILIATION, reconciliation.CheckDue())
    story.settle()
    story.live_s(2, PX)
    assert bool(accepts(story.trace).rejections) is (lag_s > 10)


def test_a_second_stop_of_the_whole_position_is_none_that_came_late() -> None:
    """Beside an attached stop it may rest, beside another one of its kind it is refused."""
    story = STORIES["the stop is late, and there"]()
    assert accepts(story.trace).rejections == ()
    [came] = [one for one in story.trace if isinstance(one, StopStood) and one.dies_with_position]
    beside = [
        msgspec.structs.replace(one, dies_with_position=True) if isinstance(one, StopStood) else one
        for one in story.trace
    ]
    assert came.is_live
    [found] = accepts(beside).rejections
    assert "the stop True" in found.event
