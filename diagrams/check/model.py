"""The composition: the production bot, the world of each leg and the process, as one state in one number.

Every component is interned, every call of the production is remembered by bot and event,
and every rule of the world by what it looked at (`looking`), so that a transition is a few
look-ups, made for many states at once. The purse is kept apart (see `purse`): a *core* is a
state without it, and what follows from a core is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import msgspec
import numpy as np

from anchorwatch.diagrams.check import netting, process, surroundings
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.breath import SHELL_BITS, Answered, Breaths
from anchorwatch.diagrams.check.calm import calmed
from anchorwatch.diagrams.check.columns import Column, Numbers, Ragged, Rows, Truths, Vectors, spread
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.looking import LEG_FIELDS, Changes, Forest, Look, Tables, Vector
from anchorwatch.diagrams.check.offers import Offers
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets, Interned, Production
from anchorwatch.diagrams.check.properties import PROPERTIES, Property
from anchorwatch.diagrams.check.purse import Cost, Purses

LABEL_BITS = 12
LABEL_MASK = (1 << LABEL_BITS) - 1
LEG_BITS = {1: 24, 2: 16}
"""By how many legs there are: bits for the number of one; the bot has the rest of 63."""

PAIRS_MAX = 1 << 14
"""Cores, each at one cost, whose steps are found at once: more saves no time and takes memory."""


DIES = "the process dies"
DIES_WITH_DISK = "the process dies, and its disk is lost"


class Broken(msgspec.Struct, frozen=True):
    """An edge that breaks a property: found, and not followed."""

    label: int
    after: int
    name: str


class _Found(msgspec.Struct, frozen=True):
    """Steps, a column for each: the place of what they follow from, label, core after, number of what is broken."""

    owners: Numbers
    labels: Numbers
    after: Numbers
    breaches: Numbers


class Model:
    """One configuration of the composed bot."""

    def __init__(
        self, bounds: Bounds, properties: tuple[Property, ...] = PROPERTIES, *, notes_steps: bool = False
    ) -> None:
        """``notes_steps``: it is kept which breath made which steps of the bot, for `anew`."""
        self.bounds = bounds
        self.purses = Purses(bounds)
        self.production = Production(2 if bounds.both_legs else 1)
        self.legs_count = self.production.legs_count
        assert not (bounds.overtaking and bounds.both_legs), "a reading of both legs is a moment here"
        assert bounds.both_legs or not bounds.net, "net mode differs only where both sides are traded"
        self.tables = Tables()
        self.legs = Vectors(LEG_FIELDS)
        self.shells: Interned[Shell] = Interned()
        self._changes = Changes()
        self._breaths = Breaths(bounds, self.production, self.tables, self.shells, self._changes, notes_steps)
        self._offers = Offers(bounds, self.production, self.tables, self.shells, self._changes, self._breaths)
        self.labels = self._offers.labels
        self._facet_rows = Vectors(len(Facets.__struct_fields__))
        self._forest = Forest()
        self._claims = [(one, self._forest.plant()) for one in properties]
        self._met = self._forest.plant()
        self._calm = self._forest.plant()
        self._crash = self._forest.plant()
        self._judged, self._left = Ragged(2), Ragged(2)
        self._witnesses = {"S0"}  # every step is a witness of that
        self._unborn: dict[int, int] = {}
        self._begin()

    def _begin(self) -> None:
        """Nothing has been reached yet but the first core."""
        self.broken: dict[int, list[Broken]] = {}  # by pair
        self.first_steps: list[tuple[int, int, int, Answered]] = []
        """Core, label, the core after it, and rows: the steps in which rows answered for the first time."""
        self._cores: dict[int, int] = {}
        self.core_bots, self.core_shells = Column(), Column()
        self.core_legs = tuple(Column() for _ in range(self.legs_count))
        self._verdicts = Column()  # by core: the number of the property that the state itself breaks
        self._steps = Column()  # every step: the core after it and its label
        self._starts, self._counts = (
            Column(),
            Column(fill=-1),
        )  # by pair: where its steps are; -1: not asked for
        first = Shell()
        bot = self.production.number(process.unborn(self.bounds, first))
        start = np.array([self.tables.vector(Leg(is_shared=self.bounds.shared))], dtype=np.uint16)
        self.initial = int(
            self._numbered(
                np.array([bot]), [self.legs(start)] * self.legs_count, np.array([self.shells(first)])
            )[0]
        )

    def anew(self, steps: Iterable[int]) -> None:
        """Begin again, when the bot makes these steps otherwise than before; all else is remembered."""
        self._breaths.forget(steps)
        self._begin()

    # States.

    def __len__(self) -> int:
        """How many cores have been found."""
        return len(self._cores)

    @property
    def witnesses(self) -> set[str]:
        """The properties that some state or step speaks of."""
        written = {"S1"} if self._offers.is_entry_written else set()
        return self._witnesses | self._breaths.witnesses | written

    def _numbered(self, bots: Numbers, legs: list[Numbers], shells: Numbers) -> Numbers:
        """The cores that are made of these; the new ones are judged."""
        bits = LEG_BITS[self.legs_count]
        assert len(self.legs) < 1 << bits
        assert len(self.shells) < 1 << SHELL_BITS
        assert len(self.production.bots) < 1 << 63 - SHELL_BITS - bits * self.legs_count
        packed = bots
        for leg in legs:
            packed = packed << bits | leg
        known, numbers, new = self._cores, [], []
        for place, key in enumerate((packed << SHELL_BITS | shells).tolist()):
            number = known.get(key)
            if number is None:
                number = known[key] = len(known)
                new.append(place)
            numbers.append(number)
        if new:
            self.core_bots.extend(bots[new])
            self.core_shells.extend(shells[new])
            for column, leg in zip(self.core_legs, legs, strict=True):
                column.extend(leg[new])
            self._starts.lengthen(len(known) * len(Cost))
            self._counts.lengthen(len(known) * len(Cost))
            self._verdicts.extend(self._verdict(bots[new], [leg[new] for leg in legs], shells[new]))
        return np.array(numbers, dtype=np.int64)

    def shown(self, core: int, which: int = 0) -> tuple[Facets, Leg, Shell]:
        """What the properties look at, for one leg."""
        leg = self.tables.leg(self.legs.values[self.core_legs[which].values[core]].tolist())
        shell = self.shells.values[int(self.core_shells.values[core])]
        return self.production.shown(int(self.core_bots.values[core]), which), leg, shell

    def _facets(self, bots: Numbers, which: int) -> Rows:
        """The facets of these bots, for one leg."""
        facets = self.production.facets.values
        for one in facets[len(self._facet_rows) :]:
            self._facet_rows(np.array([self.tables.facets_vector(one)], dtype=np.uint16))
        return self._facet_rows.values[self.production.facets_of[which].values[bots]]

    def _seen(self, bots: Numbers, which: int, leg: Numbers) -> Rows:
        return np.concatenate((self.legs.values[leg], self._facets(bots, which)), axis=1)

    def _verdict(self, bots: Numbers, legs: list[Numbers], shells: Numbers) -> Numbers:
        """By state: the number of the first property that it breaks, or 0."""
        broken = np.zeros(len(bots), dtype=np.int64)
        for which, leg in enumerate(legs):
            ends = shells.astype(np.uint16)[:, np.newaxis]
            seen = np.concatenate((self._seen(bots, which, leg), ends), axis=1)
            for one, tree in self._claims:
                trees = np.full(len(seen), tree)
                breaches = self._forest.answers(trees, seen, partial(self._judge, one))
                broken = np.where(broken == 0, breaches, broken)
        if self.bounds.net:
            both = np.concatenate([self.legs.values[leg] for leg in legs], axis=1)
            breaches = self._forest.answers(np.full(len(both), self._met), both, self._judge_both)
            broken = np.where(broken == 0, breaches, broken)
        return broken

    def _judge_both(self, row: int, vector: Vector) -> tuple[list[int], int]:
        look = Look(self.tables, vector)
        is_met = netting.is_met(look.leg(0), look.leg(1))
        return look.reads, self._breaths.breaches(
            "S11: an entry of one side meets the other" if is_met else ""
        )

    def _judge(self, one: Property, row: int, vector: Vector) -> tuple[list[int], int]:
        look = Look(self.tables, vector)
        facets, leg, shell = look.facets(), look.leg(), self.shells.values[look.last()]
        is_witness = one.witness(facets, leg, shell)
        if is_witness:
            self._witnesses.add(one.id)
        holds = not is_witness or one.holds(facets, leg, shell)
        return look.reads, self._breaths.breaches("" if holds else one.id)

    # What follows.

    def learn(self, pairs: Numbers) -> None:
        """Find what follows from each of these cores, each at one cost: core * len(Cost) + cost."""
        fresh = pairs[self._counts.values[pairs] < 0]
        for begin in range(0, len(fresh), PAIRS_MAX):
            self._learn(fresh[begin : begin + PAIRS_MAX])

    def _learn(self, pairs: Numbers) -> None:
        cores, of_pair = np.unique(pairs // len(Cost), return_inverse=True)
        place_of = np.full((len(cores), len(Cost) + 1), -1)  # nothing is wanted at the cost of what never is
        place_of[of_pair, pairs % len(Cost)] = np.arange(len(pairs))
        bots = self.core_bots.values[cores]
        is_born = self.production.is_born.values[bots] > 0
        is_running = self.production.is_running.values[bots] > 0
        # Where the process has ended what it left is judged, and nothing goes on.
        crashing = np.flatnonzero((place_of[:, Cost.CRASH] >= 0) & is_born & is_running)
        at_all_costs = place_of.copy()
        at_all_costs[:, Cost.CRASH] = -1
        going_on = np.flatnonzero((at_all_costs.max(axis=1) >= 0) & (is_running | ~is_born))
        found = [
            self._crashed(cores[crashing], place_of[crashing, Cost.CRASH]),
            self._happened(cores[going_on], is_running[going_on], at_all_costs[going_on]),
        ]
        owners, labels, after, breaches = (
            np.concatenate([getattr(part, field) for part in found]) for field in _Found.__struct_fields__
        )
        own = self._verdicts.values[after]
        breaches = np.where(breaches == 0, own, breaches)
        for place in np.flatnonzero(breaches).tolist():
            name = self._breaths.breaches.values[breaches[place]]
            one = Broken(int(labels[place]), int(after[place]), name)
            self.broken.setdefault(int(pairs[owners[place]]), []).append(one)
        is_step = (breaches == 0) & (after != pairs[owners] // len(Cost))  # what changes nothing is no step
        owners, labels, after = owners[is_step], labels[is_step], after[is_step]
        order = np.argsort(owners, kind="stable")
        counts = np.bincount(owners, minlength=len(pairs))
        self._counts.values[pairs] = counts
        self._starts.values[pairs] = len(self._steps) + np.cumsum(counts) - counts
        self._steps.extend((after << LABEL_BITS | labels)[order])

    def _happened(self, cores: Numbers, is_running: Truths, place_of: Numbers) -> _Found:
        """What follows when the world does what it may do."""
        if not len(cores):
            return NOTHING
        bots, shells = self.core_bots.values[cores], self.core_shells.values[cores]
        legs = [column.values[cores] for column in self.core_legs]
        seen = [self._seen(bots, which, leg) for which, leg in enumerate(legs)]
        offered = self._offers.of(bots, shells, is_running, seen)
        owners = place_of[offered.at, offered.costs]
        wanted = np.flatnonzero(owners >= 0)
        at, owners, labels = offered.at[wanted], owners[wanted], offered.labels[wanted]
        rows = np.concatenate([self.legs.values[leg[at]] for leg in legs], axis=1)
        self._changes.make(rows, offered.changes[wanted])
        bots_after, shells_after, breaches, firsts = self._breaths.take(
            bots[at], offered.told[wanted], offered.shells[wanted], rows
        )
        legs_after = []
        for which in range(self.legs_count):
            facets = self._facets(bots_after, which)
            leg = rows[:, which * LEG_FIELDS : (which + 1) * LEG_FIELDS]
            both = np.concatenate((leg, facets), axis=1)
            trees = np.full(len(both), self._calm)
            self._changes.make(both, self._forest.answers(trees, both, self._calmed))
            legs_after.append(self.legs(both[:, :LEG_FIELDS]))
        after = self._numbered(bots_after, legs_after, shells_after)
        for place, answered in firsts:
            core, label = int(cores[at[place]]), int(labels[place])
            self.first_steps.append((core, label, int(after[place]), answered))
        return _Found(owners, labels, after, breaches)

    def _calmed(self, row: int, vector: Vector) -> tuple[list[int], int]:
        look = Look(self.tables, vector)
        left = calmed(look.leg(), look.facets(), self.bounds)
        changes = self._changes(look.changes(left))
        return look.reads, changes

    def _crashed(self, cores: Numbers, owners: Numbers) -> _Found:
        """What follows when the process dies."""
        if not len(cores):
            return NOTHING
        bots, shells = np.zeros_like(cores), np.zeros_like(cores)
        before = self.core_shells.values[cores]
        for shell in np.unique(before).tolist():
            crashed = self.shells(process.crashed(self.shells.values[shell]))
            unborn = self._unborn.get(crashed)
            if unborn is None:
                bot = process.unborn(self.bounds, self.shells.values[crashed], after_crash=True)
                unborn = self._unborn[crashed] = self.production.number(bot)
            bots[before == shell], shells[before == shell] = unborn, crashed
        legs: list[Numbers] = []
        at = np.arange(len(cores))
        labels = np.full(len(cores), self.labels(DIES))
        for column in self.core_legs:
            rows = self.legs.values[column.values[cores[at]]]
            lists = self._forest.answers(np.full(len(rows), self._crash), rows, self._left_by_crash)
            places, (changes, how) = self._left.of(lists)
            rows = rows[places]
            self._changes.make(rows, changes)
            at, legs, labels = at[places], [leg[places] for leg in legs], np.maximum(labels[places], how)
            legs.append(self.legs(rows))
        after = self._numbered(bots[at], legs, shells[at])
        # What a crash may leave in several ways that are the same is left once.
        _, first = np.unique(np.stack((owners[at], after)), axis=1, return_index=True)
        first.sort()
        return _Found(owners[at][first], labels[first], after[first], np.zeros_like(first))

    def _left_by_crash(self, row: int, vector: Vector) -> tuple[list[int], int]:
        look = Look(self.tables, vector)
        dies = self.labels(DIES)
        left: list[tuple[int, ...]] = [
            (self._changes(look.changes(one)), dies) for one in surroundings.after_crash(look.leg())
        ]
        if self.bounds.disks:
            lost = self.labels(DIES_WITH_DISK)
            left += [
                (self._changes(look.changes(one)), lost)
                for one in surroundings.after_loss_of_disk(look.leg())
            ]
        return look.reads, self._left.append(left)

    def concerned(self, claim: Callable[[Leg], bool]) -> Truths:
        """By leg: whether ``claim`` is true of it."""
        forest = Forest()
        trees = np.full(len(self.legs), forest.plant())

        def compute(row: int, vector: Vector) -> tuple[list[int], int]:
            look = Look(self.tables, vector)
            answer = int(claim(look.leg()))
            return look.reads, answer

        return forest.answers(trees, self.legs.values, compute) > 0

    def steps(self, pairs: Numbers) -> tuple[Numbers, Numbers]:
        """The known steps of these pairs: for each the place of its pair, and the core after it with its label."""
        counts = np.maximum(self._counts.values[pairs], 0)
        owners, places = spread(self._starts.values[pairs], counts)
        return owners, self._steps.values[places]

    def edges(self, core: int, cost: int) -> list[int]:
        """The steps at this cost, each as the core after it and its label in one number; broken ones apart."""
        pair = np.array([core * len(Cost) + cost])
        self.learn(pair)
        found: list[int] = self.steps(pair)[1].tolist()
        return found

    def known_edges(self, core: int, cost: int) -> list[int] | None:
        """The same, if they were asked for before."""
        pair = core * len(Cost) + cost
        return None if self._counts.values[pair] < 0 else self.edges(core, cost)

    def forget_a_step(self, core: int, cost: int) -> None:
        """Lose the last step of a pair: whoever counts them finds one less."""
        self._counts.values[core * len(Cost) + cost] -= 1

    def known_steps(self) -> bytes:
        """All steps that are known, by pair, as one text: the same for two models that know the same."""
        return self._counts.values.tobytes() + self.steps(np.arange(len(self._counts)))[1].tobytes()

    def used_labels(self) -> list[str]:
        """The labels of all steps that are known."""
        return sorted(self.labels.values[label] for label in np.unique(self._steps.values & LABEL_MASK))


NONE = np.zeros(0, dtype=np.int64)
NOTHING = _Found(NONE, NONE, NONE, NONE)
