"""Every rule of the network in the check's environment has happened between the embedded exchange and the desk.

Rules that differ only in what is said (live, filled, none, another) are one kind, which has happened in a story if the
environment accepts the story's trace, and rejects it without the kind. Where nobody can say which of several kinds
happened, the trace is rejected without all of them. What no trace needs is listed with the reason, which is tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import msgspec
import pytest

from anchorwatch.diagrams.check import items, network
from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.diagrams.check.acceptance.possible import READY, WIDE, nameless, shown
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.items import Move
from anchorwatch.diagrams.check.leg import (
    Asked,
    At,
    Call,
    Filled,
    Leg,
    Order,
    Past,
    Query,
    Reading,
    Report,
    Shown,
    Stop,
    StopPush,
    StopsSeen,
)
from anchorwatch.diagrams.check.production import Tell
from anchorwatch.diagrams.check.run import ways
from anchorwatch.machine import order, position, protection, reconciliation
from anchorwatch.machine.bot import EntryWanted
from anchorwatch.machine.trace import Seen
from anchorwatch.machine.world import OrderState
from tests.venue.network_stories import NETWORK_STORIES
from tests.venue.rare_stories import close_cancelled
from tests.venue.test_environment_rules import CANCELS_OF_A_CLOSE


class Kind(NamedTuple):
    """``rules``: a pattern of their names; ``alike``: of those that look the same from outside."""

    rules: str
    story: str
    alike: str = "nothing"


AGAIN = r"push: the {} is .*, and will be said again"
EARLY = r"push: the {} is .*, before its turn"


def plain(what: str, story: str) -> Kind:
    unruly = f"{AGAIN.format(what)}|{EARLY.format(what)}"
    return Kind(rf"push: the {what} is [^,]+(, N filled)?", story, unruly)


def unsaid(name: str) -> str:
    """Nothing is learned from the answer."""
    return (
        f"the venue does not find the {name}|answer about the {name}: absent"
        f"|the query for the {name} fails|answer about the {name}: failed"
    )


KINDS = (
    # The journal, and the last look.
    Kind("the intent of the entry is recorded", "trade"),
    Kind("the intent of the close is recorded", "trade"),
    Kind("the journal fails for the entry", "the entry is not recorded"),
    Kind("the journal fails for the close", "the close is not recorded"),
    Kind("the entry is written to the wire", "trade"),
    Kind("the last look denies the entry|answer to the entry: denied", "denied at the last look"),
    Kind("the amendment of the entry is written", "rested"),
    Kind(
        "the last look denies the amendment of the entry",
        "the amendment is denied at the last look",
        "the venue refuses to amend the entry",
    ),
    Kind("the close is never sent|answer to the close: denied", "the close is not sent"),
    # Answers.
    Kind("answer to the entry: accepted", "trade"),
    Kind("answer to the entry: answer lost", "the answer to the entry is lost"),
    Kind("answer to the entry: refused", "the entry is refused"),
    Kind("answer to the close: accepted", "trade"),
    Kind("answer to the close: answer lost", "the answer to the close is lost"),
    Kind("answer to the close: refused", "the close is refused"),
    Kind("answer to the amendment of the entry: accepted", "rested"),
    Kind("answer to the amendment of the entry: answer lost", "the amendment is lost"),
    Kind("answer to the amendment of the entry: refused", "the amendment is refused"),
    Kind("answer: the entry is cancelled", "rested"),
    Kind("answer: the cancel of the entry was fruitless", "nothing to cancel"),
    Kind("answer: the cancel of the entry failed", "the cancel is lost"),
    Kind("answer to the stop: accepted", "trade"),
    Kind("answer to the stop: answer lost", "the answer to the stop is lost"),
    Kind("answer to the stop: refused", "the stop is refused: margin"),
    Kind("answer to the stop: refused: beyond", "the stop is refused: passed"),
    Kind("answer to the stop: refused: exists", "the stop is refused: exists"),
    Kind("answer to the stop: refused: no position", "closed before the stop"),
    Kind("answer to the stop: refused: no stops for now", "the stop is refused: barred"),
    Kind("answer to the stop: refused: the instrument's rules", "the stop is refused: rules"),
    Kind("answer to the move: accepted", "trailed"),
    Kind("answer to the move: answer lost", "the move is lost"),
    Kind("answer to the move: refused", "the move is refused"),
    # Questions about orders.
    Kind(
        r"the venue finds the entry [a-z]+( filled)?|answer about the entry: (live|partially filled|filled|cancelled)",
        "rested",
    ),
    Kind(
        r"the venue finds the close [a-z]+( filled)?|answer about the close: (live|partially filled|filled|cancelled)",
        "the answer to the close is lost",
    ),
    Kind(unsaid("entry"), "the entry is late"),
    Kind(unsaid("close"), "the close is late"),
    Kind(
        "the venue does not find the entry, past its deadline|answer about the entry: absent for good",
        "the entry is lost",
    ),
    Kind(
        "the venue does not find the close, past its deadline|answer about the close: absent for good",
        "the close is lost",
    ),
    Kind("the venue finds the entry as it was: .*", "asked, and shown an old order"),
    Kind(
        "the venue finds the close as it was: .*",
        "in doubt, and shown no close yet",
        "the query for the close fails",
    ),
    # Pushes.
    plain("entry", "trade"),
    plain("close", "trade"),
    plain("stop", "trade"),
    Kind(AGAIN.format("entry"), "pushes are doubled"),
    Kind(AGAIN.format("close"), "pushes are doubled"),
    Kind(AGAIN.format("stop"), "pushes of stops are doubled", "somebody moves the stop"),
    Kind(EARLY.format("entry"), "pushed out of turn", AGAIN.format("entry")),
    Kind(EARLY.format("close"), "pushed out of turn", AGAIN.format("close")),
    Kind(EARLY.format("stop"), "a stop pushed out of turn", AGAIN.format("stop")),
    # Lists of stops, positions, and of the account.
    Kind("the venue lists the stops: .*|answer: the stops are .*", "trade"),
    Kind("the reading of the stops fails|answer: the stops could not be read", "the stops cannot be read"),
    Kind("the venue lists the stops as they were: .*", "lists of old"),
    Kind("the venue shows N contracts|answer: N held", "the close is refused"),
    Kind(
        "the reading of the position fails|answer: the position could not be read",
        "the position cannot be read",
    ),
    Kind("the venue shows the N contracts of before", "declined a close, and shown an old position"),
    Kind("the reading goes on to the stops: .*|the reading arrives: N held", "checked"),
    Kind("the reading comes to the positions: N held", "checked while somebody trades"),
    Kind("the reading of the account fails", "the account cannot be read"),
    Kind("the reading comes to the positions as they were: N held", "checked, and shown old positions"),
    Kind("the reading goes on to the stops as they were: .*", "checked, and shown old stops"),
    # How a position ended.
    Kind("the venue's history says why the leg is flat", "vanished, and unexplained"),
    Kind(
        "the venue's history does not show an end|the venue's history cannot be read",
        "vanished, and unexplained",
    ),
    # Time.
    Kind("the entry is overdue", "the entry is lost"),
    Kind("the close is overdue", "the close is lost"),
    Kind("time to ask for the entry again", "the entry is late"),
    Kind("time to ask for the close again", "the close is late"),
    Kind("time to try the stop again", "the stop is refused: barred"),
    Kind("naked for too long(, as had been said)?", "naked for too long"),
    Kind("the triggered stop is overdue", "triggered, and silent"),
    Kind("time to ask again for the cause", "vanished, and unexplained"),
)

LOST = r"a push about (the|another) \w+ is lost"
"""What is lost is told to nobody: a trace is never rejected for want of it. `pushes are lost` is accepted."""

UNHEARD = (
    r"push: (the child|another stop) is .*|late answer: the stops .*"
    "|the venue's history (has not shown an end|cannot be read) for long"
    "|the pushed position differs from the book for long"
)
"""Of stops and orders that are in no slot, and of earlier questions: the machines make nothing of it. The last two are
the desk's own clocks, which it looks at when it is told something else."""

OF_A_CLIENTS_CLOSE = (
    "answer: the close is cancelled",
    "answer: the cancel of the close was fruitless",
    "answer: the cancel of the close failed",
)
"""What is answered to a client that lets its close rest, and cancels it."""

OF_A_CLOSE = r".*the amendment of the close.*|the close is written to the wire"
"""A close is a market order: it is sent at once, and nobody here amends it."""

NOT_ASKED_BY_THE_BOT = f"{OF_A_CLOSE}|{'|'.join(OF_A_CLIENTS_CLOSE)}"

WISHES = r"the strategy wants .*|a better level is wanted|the market moves away from the entry"
"""Of the strategy and the market, and no messages."""


@cache
def trace_of(story: str) -> tuple[Seen, ...]:
    return tuple(NETWORK_STORIES[story]().trace)


def of(pattern: str) -> frozenset[str]:
    return frozenset(one for one in {*moves(), *OTHERS} if re.fullmatch(pattern, one))


OTHERS = ("the venue refuses to amend the entry", "somebody moves the stop")
"""Rules of the venue that look like one of the network."""


@pytest.mark.parametrize("kind", KINDS, ids=[kind.rules[:60] for kind in KINDS])
def test_the_network_did_it_between_the_exchange_and_the_desk(kind: Kind) -> None:
    trace, these, alike = trace_of(kind.story), of(kind.rules), of(kind.alike)
    assert these
    assert accepts(trace, without=alike).rejections == ()
    assert accepts(trace, without=these | alike).rejections


@pytest.mark.parametrize("rule", OF_A_CLIENTS_CLOSE)
def test_the_network_tells_it_to_a_client_that_is_not_ours(rule: str) -> None:
    assert accepts(close_cancelled()).rejections == ()
    assert accepts(close_cancelled(), without=frozenset((rule,))).rejections


@pytest.mark.parametrize("story", NETWORK_STORIES)
def test_every_story_is_one_that_the_environment_could_have_done(story: str) -> None:
    assert accepts(trace_of(story)).rejections == ()


def test_every_rule_of_the_network_is_of_one_kind() -> None:
    patterns = [*(kind.rules for kind in KINDS), *OF_A_CLIENTS_CLOSE, LOST, UNHEARD, OF_A_CLOSE, WISHES]
    for rule in moves():
        assert len([one for one in patterns if re.fullmatch(one, rule)]) == 1, rule


def test_what_is_lost_is_told_to_nobody_and_changes_nothing_that_is_seen() -> None:
    for rule in of(LOST):
        for leg, move in moves()[rule]:
            assert (move.items, shown(move.leg)) == ((), shown(leg))


def test_what_is_not_heard_speaks_of_nothing_that_is_meant() -> None:
    for rule in of(UNHEARD):
        for _, move in moves()[rule]:
            for item in move.items:
                match item:
                    case items.OrderNews(role):
                        assert role is None
                    case items.StopNews(is_mine):
                        assert not is_mine
                    case items.StopsAnswer(_, is_late):
                        assert is_late
                    case items.NoEndForLong():
                        pass  # one of the desk's clocks
                    case Tell(_, event):
                        assert event is reconciliation.BookDoubted
                    case _:
                        raise AssertionError(item)


def test_no_world_cancels_or_amends_a_close_or_looks_at_it_twice() -> None:
    bounds = Bounds("closing", entries=1, size=2, faults=1, rests=True, prompt=True)
    reached = ways((bounds,))["rules"]
    assert "answer to the close: accepted" in reached
    assert "answer: the entry is cancelled" in reached
    assert not [one for one in reached if re.fullmatch(NOT_ASKED_BY_THE_BOT, nameless(one))]
    assert not set(CANCELS_OF_A_CLOSE) & set(reached)


def test_wishes_are_told_by_nobody_outside() -> None:
    wishes = (
        EntryWanted,
        order.RepriceWanted,
        position.CloseWanted,
        position.ReduceWanted,
        protection.MoveWanted,
    )
    for rule in of(WISHES):
        for _, move in moves()[rule]:
            assert all(isinstance(item, Tell) and item.event in wishes for item in move.items)


# Legs in which, together, every rule applies.

REPORTS = tuple(
    Report(state, filled)
    for state, filled in (
        (OrderState.LIVE, 0),
        (OrderState.PARTIAL, 1),
        (OrderState.FILLED, 2),
        (OrderState.CANCELLED, 1),
    )
)
SEEN = tuple(StopsSeen(mine, other) for mine, other in product((False, True), repeat=2))
PASTS = tuple(Past(0, Filled(), seen, one, one) for seen in SEEN for one in (None, *REPORTS))


def orders() -> Iterator[Order]:
    for call in Call:
        for field in ("call", "cancel", "amend", "record"):
            yield msgspec.structs.replace(Order(size=2), **{field: call})
    for query in (*Query, *REPORTS):
        yield Order(size=2, query=query)
    for at, filled in ((At.LIVE, 0), (At.LIVE, 1), (At.DONE, 1), (At.DONE, 2)):
        yield Order(size=2, at=at, filled=filled, query=Query.ASKED)
    for report in REPORTS:
        yield Order(size=2, pushes=(report, report))
    yield Order(size=2, query_timer=True, overdue_timer=True)


def legs() -> Iterator[Leg]:
    for one in orders():
        yield from (Leg(entry=one), Leg(close=one), Leg(child=one))
    for push in StopPush:
        yield Leg(mine=Stop(pushes=(push, push)), other=Stop(pushes=(push, push)))
    for call in Call:
        yield Leg(place=call, move=call)
    for seen in SEEN:
        mine, other = Stop(live=seen.mine), Stop(live=seen.other)
        for read in (Asked.ASKED, seen):
            yield Leg(mine=mine, other=other, stops_read=read, late_read=read)
        yield Leg(contracts=1, mine=mine, other=other, reading=Reading(0, Filled()))
        yield Leg(reading=Reading(0, Filled(), seen))
    yield from (Leg(stops_read=Asked.FAILED, leg_read=one) for one in (Asked.ASKED, Asked.FAILED, Shown(1)))
    yield Leg(late_read=Asked.FAILED, explanation=True)
    yield Leg(explanation=True, closed=Filled())
    yield Leg(
        contracts=1, confirm_timer=True, retry_timer=True, naked_clock=True, naked_due=True, fill_clock=True
    )
    asked = Order(size=2, query=Query.ASKED)
    for past in PASTS:
        yield Leg(
            contracts=1, past=past, entry=asked, close=asked, stops_read=Asked.ASKED, leg_read=Asked.ASKED,
            reading=Reading(1, Filled()),
        )  # fmt: skip


@cache
def moves() -> dict[str, list[tuple[Leg, Move]]]:
    """By the name of the rule: where it applies, and what it does there."""
    everything = msgspec.structs.replace(WIDE, lags=True, doubts=True, pushy=True)
    found: dict[str, list[tuple[Leg, Move]]] = {}
    for leg in legs():
        for rule in network.RULES:
            for move in rule(leg, READY, bounds=everything):
                found.setdefault(nameless(move.label), []).append((leg, move))
    return found
