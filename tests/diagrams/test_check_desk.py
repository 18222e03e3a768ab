"""The model of the desk agrees with the desk: the same reports lead both to the same states."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from anchorwatch.diagrams.check import classification
from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.defects import classifying
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.model import DIES, DIES_WITH_DISK, LABEL_BITS, LABEL_MASK, Model
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.diagrams.check.recording import Fired, recorded
from anchorwatch.diagrams.check.search import Search, Step
from anchorwatch.io.journal import Journal
from anchorwatch.machine import position
from anchorwatch.machine.connection import Name
from anchorwatch.machine.facts import Facts
from tests.diagrams.desk_walk import STRANGERS, DeskWalk, comparable

PRIVATES = (Name.PRIVATE, Name.PRIVATE_BUSINESS)
STEPS_MAX = 80
STRANGERS_WEIGH = 4
SELDOM = 0.05
WALKS = 80


def walked(model: Model, random: Random) -> tuple[list[str], str]:
    """One random walk: what happened, and the first disagreement, if there is one."""
    core, purse = model.initial, model.purses.full
    labels: list[str] = []
    walk = DeskWalk(model.bounds)
    for _ in range(STEPS_MAX):
        choices = [
            (edge, left) for cost, left in model.purses.affordable[purse] for edge in model.edges(core, cost)
        ]
        if not choices:
            break
        weights = [
            weight(model.bounds, model.labels.values[edge & LABEL_MASK], model.shown(core)[1])
            for edge, _ in choices
        ]
        [(edge, purse)] = random.choices(choices, weights)
        label, after = model.labels.values[edge & LABEL_MASK], edge >> LABEL_BITS
        _, before_leg, shell = model.shown(core)
        facets, leg, _ = model.shown(after)
        labels.append(label)
        walk.step(label, before_leg, shell, leg)
        ours = (*comparable(facets), booked(model.bounds, leg))
        if ours != walk.seen():
            return labels, f"{label}: the model says {ours}, the desk {walk.seen()}"
        core = after
    return labels, ""


def weight(bounds: Bounds, label: str, leg: Leg) -> float:
    """Strangers are few among all that may happen, and what a world that has them is for; but not before there is
    something of ours to share, without which no entry is made, and nothing can be lost in a crash."""
    if not bounds.shared:
        return 1
    is_ours = bool(leg.contracts or leg.remembered)
    if label in STRANGERS:
        return STRANGERS_WEIGH if is_ours else SELDOM
    return SELDOM if label in (DIES, DIES_WITH_DISK) and not is_ours else 1


def booked(bounds: Bounds, leg: Leg) -> object:
    """What the book holds; where others share the position, whose it is."""
    return (leg.booked, leg.others) if bounds.shared else leg.booked


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds("all at any time", entries=1, faults=2),
        Bounds("prompt", entries=2, faults=3, prompt=True),
        Bounds("strangers", entries=1, faults=2, strangers=True, doubts=True),
        Bounds("maker", entries=2, faults=3, rests=True, prompt=True),
        Bounds("maker at any time", entries=1, faults=2, rests=True),
        Bounds("moves", entries=1, faults=3, moves=True, prompt=True),
        Bounds("shared", entries=1, faults=3, shared=True, others=2, doubts=True, prompt=True),
        Bounds("shared and moved", entries=2, faults=2, shared=True, moves=True, doubts=True, checks=True),
        Bounds("parts", entries=1, size=2, faults=2, reduces=True, prompt=True),
        Bounds("parts at any time", entries=1, size=2, faults=2, reduces=True),
        Bounds("connections", entries=1, faults=2, lossy=PRIVATES, prompt=True),
        Bounds("connections in steps", entries=1, faults=2, detailed=PRIVATES[:1], prompt=True),
        Bounds("crashes", entries=1, faults=2, crashes=2, prompt=True),
        Bounds("crashes at any time", entries=1, faults=1, crashes=1, size=2, reduces=True),
        Bounds("crashes of a maker", entries=1, faults=2, crashes=1, rests=True, moves=True, prompt=True),
        Bounds(
            "shared and crashes",
            entries=1,
            faults=2,
            crashes=2,
            shared=True,
            doubts=True,
            checks=True,
            prompt=True,
        ),
        Bounds(
            "shared parts and crashes",
            entries=1,
            size=2,
            faults=2,
            crashes=1,
            shared=True,
            doubts=True,
            prompt=True,
        ),
        Bounds(
            "shared, disks are lost",
            entries=1,
            faults=2,
            crashes=2,
            shared=True,
            disks=True,
            doubts=True,
            prompt=True,
        ),
        Bounds("strangers and crashes", entries=1, faults=2, crashes=1, strangers=True, doubts=True),
        Bounds(
            "stops and connections", entries=1, faults=2, crashes=1, lossy=PRIVATES, checks=True, stops=True
        ),
    ],
    ids=lambda bounds: bounds.name.replace(" ", "_"),
)
def test_random_walks_lead_the_desk_where_they_lead_the_model(bounds: Bounds) -> None:
    model = Model(bounds)
    told: set[str] = set()
    for seed in range(WALKS):
        labels, difference = walked(model, Random(seed))
        assert not difference, "\n".join([f"seed {seed}", *labels, difference])
        told.update(labels)
    assert len(told) > (20 if bounds.stops else 35)  # most lives are asked to stop before long
    assert (DIES in told) is bool(bounds.crashes)
    assert (DIES_WITH_DISK in told) is bounds.disks
    assert ("private: the socket is lost" in told) is bool(bounds.lossy or bounds.detailed)
    assert ("the entry fills in part" in told) is (bounds.size > 1)
    assert ("the market moves away from the entry" in told) is bounds.rests
    if not bounds.shared:  # there a stop is moved for its size too
        assert ("answer to the move: accepted" in told) is bounds.moves


UNSAID = {
    ("position", number)
    for number, row in enumerate(position.TABLE)
    if row.event is position.AbsenceSeen and row.source in (position.S.VANISHED, position.S.UNEXPLAINED)
}
"""Rows of what the desk is more careful about than the model: it does not say again that a leg is flat."""


def walked_along(model: Model, way: tuple[Step, ...]) -> tuple[Fired, str]:
    """One way of the model on a real desk: the rows that answered there, and the first disagreement."""
    fired: Fired = set()
    walk = DeskWalk(model.bounds)
    with recorded(fired, set()):
        for before, step in pairwise(way):
            facets, leg, _ = model.shown(step.core)
            walk.step(step.label, *model.shown(before.core)[1:], leg)
            if (*comparable(facets), leg.booked) != walk.seen():
                return fired, f"{step.label}: the model says {comparable(facets)}, the desk {walk.seen()}"
    return fired, ""


@pytest.mark.parametrize(
    ("bounds", "ways_least"),
    [
        (Bounds("ways", entries=1, faults=2, prompt=True), 90),
        (Bounds("ways of a maker", entries=1, faults=2, rests=True, prompt=True), 100),
        (Bounds("ways of a move", entries=1, faults=2, moves=True, prompt=True), 100),
        (Bounds("ways of parts", entries=1, size=2, faults=2, reduces=True, prompt=True), 150),
        (Bounds("ways over a crash", entries=1, faults=1, crashes=1, prompt=True), 120),
        (
            Bounds("ways of connections", entries=1, faults=2, lossy=PRIVATES[:1], stops=True, prompt=True),
            100,
        ),
    ],
    ids=lambda value: value.name.replace(" ", "_") if isinstance(value, Bounds) else "",
)
def test_a_shortest_way_to_every_row_that_is_reached_is_walked_on_the_desk(
    bounds: Bounds, ways_least: int
) -> None:
    model = Model(bounds)
    search = Search(model)
    search.run(1, lambda: False)
    replayed = 0
    for row, way in search.ways_to_rows().items():
        fired, difference = walked_along(model, way)
        words = [step.label for step in way]
        assert not difference, "\n".join([str(row), *words, difference])
        if row in UNSAID:
            continue
        assert row in fired, "\n".join([f"{row} did not answer on the desk", *words])
        replayed += 1
    assert replayed > ways_least


def test_a_model_that_strays_from_the_desk_is_found() -> None:
    def believes_every_reading(leg: Leg, facets: Facets, answer: i.LegAnswer) -> classification.Classified:
        shown = answer.shown.contracts if answer.shown is not None else leg.booked
        return leg, (i.to_position(position.AbsenceSeen if not shown else position.PositionSeen),)

    with classifying(i.LegAnswer, believes_every_reading):
        model = Model(Bounds("prompt", entries=1, faults=2, prompt=True))
        assert any(walked(model, Random(seed))[1] for seed in range(WALKS))


def test_a_desk_that_remembers_nothing_of_the_life_before_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "read", lambda _: Facts())
    model = Model(Bounds("crashes", entries=1, faults=2, crashes=2, prompt=True))
    assert any(walked(model, Random(seed))[1] for seed in range(WALKS))
