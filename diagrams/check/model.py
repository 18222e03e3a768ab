"""The composition: the production bot, the world of each leg and the process, as one state in one number.

Each component is interned and each call is remembered, so that a transition is mostly a
few look-ups: what the world can do depends on the leg and on the *facets* of the bot, what
the bot does on the bot and the event. The purse is kept apart (see `purse`): a *core* is a
state without it, and what follows from a core is computed once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import product

from anchorwatch.diagrams.check import classification, network, process, surroundings, venue
from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.calm import calmed
from anchorwatch.diagrams.check.items import Item
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets, Interned, Production, Tell
from anchorwatch.diagrams.check.properties import PROPERTIES, Property, unprotected_at_ready
from anchorwatch.diagrams.check.purse import DELAYED, Cost, Purses
from anchorwatch.machine import lifecycle

LEG_BITS = 24  # sixteen million different legs: more than fit in memory
SHELL_BITS = 12
LABEL_BITS = 12
LEG_MASK = (1 << LEG_BITS) - 1
SHELL_MASK = (1 << SHELL_BITS) - 1
LABEL_MASK = (1 << LABEL_BITS) - 1

ITEMS_MAX = 200
"""Items in one breath: a start answers a few dozen. More means that the machines answer each other for ever."""

OF_ACCOUNT = (i.Audit, i.StartReading, i.Compare, i.EndReading)
"""Items that concern every leg at once, because the account is read as a whole."""

Offer = tuple[int, int, tuple[int, ...], str]
"""Label, leg or shell after it, what the bot is told, and what the doing itself breaks."""


class Offers:
    """What can happen, by cost; apart what can wait, because it is no delivery of anything."""

    __slots__ = ("at_once", "is_under_way", "later")

    def __init__(self) -> None:
        self.at_once: list[list[Offer]] = [[] for _ in Cost]
        self.later: list[list[Offer]] = [[] for _ in Cost]
        self.is_under_way = False

    def add(self, offer: Offer, cost: Cost, can_wait: bool) -> None:
        (self.later if can_wait else self.at_once)[cost].append(offer)
        self.is_under_way = self.is_under_way or not can_wait

    def at(self, cost: int, is_delaying: bool) -> list[Offer]:
        """What costs this much when something is, or is not, delayed by what can wait."""
        if not is_delaying:
            return self.at_once[cost] + self.later[cost]
        before = NOT_DELAYED.get(cost)
        return self.at_once[cost] if before is None else self.at_once[cost] + self.later[before]


NOT_DELAYED = {int(late): cost for cost, late in DELAYED.items()}


class Broken:
    """An edge that breaks a property: found, and not followed."""

    __slots__ = ("after", "label", "name")

    def __init__(self, label: int, after: int, name: str) -> None:
        self.label, self.after, self.name = label, after, name


class Model:
    """One configuration of the composed bot."""

    def __init__(self, bounds: Bounds, properties: tuple[Property, ...] = PROPERTIES) -> None:
        self.bounds = bounds
        self.purses = Purses(bounds)
        self.production = Production(2 if bounds.both_legs else 1)
        self.legs_count = self.production.legs_count
        assert not (bounds.overtaking and bounds.both_legs), "a reading of both legs is a moment here"
        self._properties = properties
        self.legs: Interned[Leg] = Interned()
        self.shells: Interned[Shell] = Interned()
        self.items: Interned[Item] = Interned()
        self.labels: Interned[str] = Interned()
        self.cores: Interned[int] = Interned()
        self.verdicts: list[str] = []  # by core: the property that the state itself breaks
        self.broken: dict[tuple[int, int], list[Broken]] = {}  # by core and cost
        self.witnesses: dict[str, int] = {}
        self._edges: list[array[int] | None] = []
        self._tell_of: dict[int, int] = {}
        self._is_of_account: set[int] = set()
        self._moves: tuple[dict[int, Offers], ...] = ({}, {})
        self._happenings: dict[int, Offers] = {}
        self._classified: dict[tuple[int, int, int], tuple[int, tuple[int, ...]]] = {}
        self._absorbed: dict[tuple[int, int], tuple[int, tuple[int, ...], str]] = {}
        self._absorbed_by_shell: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {}
        self._calmed: dict[int, int] = {}
        self._judged: dict[tuple[int, int, int], str] = {}
        self._crashes: dict[int, tuple[int, ...]] = {}
        self._unborn: dict[int, int] = {}
        first = Shell()
        bot = self.production.number(process.unborn(bounds, first))
        self.initial = self._core(bot, [self.legs(Leg())] * self.legs_count, self.shells(first))

    # States.

    def _core(self, bot: int, legs: list[int], shell: int) -> int:
        packed = bot
        for leg in legs:
            assert leg <= LEG_MASK
            packed = packed << LEG_BITS | leg
        assert shell <= SHELL_MASK
        core = self.cores(packed << SHELL_BITS | shell)
        if core == len(self.verdicts):
            self.verdicts.append(self._verdict(bot, legs, shell))
            self._edges += [None] * len(Cost)
        return core

    def parts(self, core: int) -> tuple[int, list[int], int]:
        """Bot, legs and shell, by number."""
        packed = self.cores.values[core]
        shell = packed & SHELL_MASK
        packed >>= SHELL_BITS
        legs = []
        for _ in range(self.legs_count):
            legs.append(packed & LEG_MASK)
            packed >>= LEG_BITS
        legs.reverse()
        return packed, legs, shell

    def shown(self, core: int, which: int = 0) -> tuple[Facets, Leg, Shell]:
        """What the properties look at, for one leg."""
        bot, legs, shell = self.parts(core)
        return self.facets(bot, which), self.legs.values[legs[which]], self.shells.values[shell]

    def facets(self, bot: int, which: int = 0) -> Facets:
        return self.production.facets.values[self.production.facets_of[bot][which]]

    def _verdict(self, bot: int, legs: list[int], shell: int) -> str:
        verdict = ""
        for which, leg in enumerate(legs):
            key = (self.production.facets_of[bot][which], leg, shell)
            found = self._judged.get(key)
            if found is None:
                shown = self.facets(bot, which), self.legs.values[leg], self.shells.values[shell]
                found = self._judged[key] = self._judge(*shown)
            verdict = verdict or found
        return verdict

    def _judge(self, facets: Facets, leg: Leg, shell: Shell) -> str:
        verdict = ""
        for one in self._properties:
            if one.witness(facets, leg, shell):
                self.witnesses[one.id] = self.witnesses.get(one.id, 0) + 1
                if not verdict and not one.holds(facets, leg, shell):
                    verdict = one.id
        return verdict

    # What follows.

    def edges(self, core: int, cost: int) -> array[int]:
        """The steps at this cost, each as the core after it and its label in one number; broken ones apart."""
        found = self._edges[core * len(Cost) + cost]
        if found is None:
            found = array("q")
            for label, after, broken in self._steps(core, cost):
                broken = broken or self.verdicts[after]
                if broken:
                    self.broken.setdefault((core, cost), []).append(Broken(label, after, broken))
                else:
                    found.append(after << LABEL_BITS | label)
            self._edges[core * len(Cost) + cost] = found
        return found

    def computed(self) -> Iterator[array[int]]:
        """The edges of every core, at every cost that was asked for."""
        return (edges for edges in self._edges if edges is not None)

    def _steps(self, core: int, cost: int) -> list[tuple[int, int, str]]:
        """Every (label, next core, what the step itself broke)."""
        bot, legs, shell = self.parts(core)
        facets = self.facets(bot)
        steps: list[tuple[int, int, str]] = []
        if facets.is_born and not facets.is_running:
            return steps  # the process has ended; what it left is judged, and only a new life goes on
        moves = [self._moves_of(which, leg, bot) for which, leg in enumerate(legs)]
        happenings = self._happenings_of(bot, shell)
        is_delaying = self.bounds.prompt and any(offers.is_under_way for offers in (*moves, happenings))
        for which, offers in enumerate(moves):
            for label, after, items, breaks in offers.at(cost, is_delaying):
                moved = [*legs[:which], after, *legs[which + 1 :]]
                steps.append((label, *self._breath(bot, moved, shell, items, breaks)))
        for label, shell_after, items, breaks in happenings.at(cost, is_delaying):
            steps.append((label, *self._breath(bot, list(legs), shell_after, items, breaks)))
        if cost == Cost.CRASH and facets.is_born:
            crashed = self.shells(process.crashed(self.shells.values[shell]))
            unborn, label = self._unborn_of(crashed), self.labels("the process dies")
            for left in product(*(self._crashes_of(leg) for leg in legs)):
                steps.append((label, self._core(unborn, list(left), crashed), ""))
        return steps

    def _unborn_of(self, shell: int) -> int:
        found = self._unborn.get(shell)
        if found is None:
            bot = process.unborn(self.bounds, self.shells.values[shell])
            found = self._unborn[shell] = self.production.number(bot)
        return found

    def _crashes_of(self, leg: int) -> tuple[int, ...]:
        found = self._crashes.get(leg)
        if found is None:
            left = surroundings.after_crash(self.legs.values[leg])
            found = self._crashes[leg] = tuple(dict.fromkeys(self.legs(one) for one in left))
        return found

    def _moves_of(self, which: int, leg: int, bot: int) -> Offers:
        facets_number = self.production.facets_of[bot][which]
        key = leg << 20 | facets_number
        found = self._moves[which].get(key)
        if found is None:
            before, facets = self.legs.values[leg], self.production.facets.values[facets_number]
            moves = list(venue.rules(before, facets, self.bounds))
            if facets.is_running:
                moves += network.rules(before, facets, self.bounds)
            offers = Offers()
            for move in moves:
                if which and any(isinstance(item, OF_ACCOUNT) for item in move.items):
                    continue  # the account's reading is one, and the first leg tells of it
                label = self.labels(f"short: {move.label}" if which else move.label)
                cost = Cost.ENTRY if move.entries else Cost.FAULT if move.faults else Cost.FREE
                offer = (label, self.legs(move.leg), self._items(which, move.items), move.breaks)
                offers.add(offer, cost, move.can_wait)
            found = self._moves[which][key] = offers
        return found

    def _happenings_of(self, bot: int, shell: int) -> Offers:
        key = bot << SHELL_BITS | shell
        found = self._happenings.get(key)
        if found is None:
            happenings = process.happenings(
                self.production.bots.values[bot], self.facets(bot), self.shells.values[shell], self.bounds
            )
            offers = Offers()
            for one in happenings:
                offer = (self.labels(one.label), self.shells(one.shell), self._items(0, one.items), "")
                offers.add(offer, one.cost, one.can_wait)
            found = self._happenings[key] = offers
        return found

    def _items(self, which: int, items: tuple[Item, ...]) -> tuple[int, ...]:
        """Items of one leg, with the leg; those of the account go to every leg."""
        told = []
        for item in items:
            number = self._item(item)
            of_all = isinstance(item, OF_ACCOUNT)
            told += [number << 1 | one for one in range(self.legs_count) if of_all or one == which]
        return tuple(told)

    def _item(self, item: Item) -> int:
        number = self.items(item)
        if isinstance(item, Tell):
            self._tell_of[number] = self.production.tells(item)
        return number

    def _breath(
        self, bot: int, legs: list[int], shell: int, items: tuple[int, ...], broken: str
    ) -> tuple[int, str]:
        """Tell the bot all of it, with everything that follows at once."""
        queue = list(items)
        taken = 0
        production, tell_of = self.production, self._tell_of
        began = production.life_of[bot]
        while queue and not broken:
            taken += 1
            if taken > ITEMS_MAX:
                broken = "S0: the machines answer each other for ever"
                break
            entry = queue.pop(0)
            item, which = entry >> 1, entry & 1
            tell = tell_of.get(item)
            if tell is None:
                legs[which], told = self._classify(legs[which], production.facets_of[bot][which], item)
                queue[:0] = [one << 1 | which for one in told]
                continue
            stepped = production.step(bot, tell, which)
            if stepped.defect:
                broken = stepped.defect
                break
            bot = stepped.bot
            for of, effects in enumerate(stepped.of_legs):
                if effects and not broken:
                    legs[of], told, broken = self._absorb(legs[of], effects)
                    queue += [one << 1 | of for one in told]
            if stepped.of_bot:
                shell, told = self._absorb_by_shell(shell, stepped.of_bot)
                queue += told
        if not broken and began is lifecycle.S.SYNC and production.life_of[bot] is lifecycle.S.READY:
            broken = next(filter(None, (unprotected_at_ready(self.legs.values[leg]) for leg in legs)), "")
        calm = [self._calm(leg, facets) for leg, facets in zip(legs, production.facets_of[bot], strict=True)]
        return self._core(bot, calm, shell), broken

    def _classify(self, leg: int, facets_number: int, item: int) -> tuple[int, tuple[int, ...]]:
        key = (leg, facets_number, item)
        found = self._classified.get(key)
        if found is None:
            facets = self.production.facets.values[facets_number]
            after, told = classification.classify(self.legs.values[leg], facets, self.items.values[item])
            found = self._classified[key] = (self.legs(after), tuple(self._item(one) for one in told))
        return found

    def _absorb(self, leg: int, effects: int) -> tuple[int, tuple[int, ...], str]:
        key = (leg, effects)
        found = self._absorbed.get(key)
        if found is None:
            of_leg = self.production.effects.values[effects]
            after, told, broken = surroundings.absorb(self.legs.values[leg], of_leg, self.bounds)
            items = tuple(self._item(one) for one in told)
            found = self._absorbed[key] = (self.legs(after), items, broken)
        return found

    def _absorb_by_shell(self, shell: int, effects: int) -> tuple[int, tuple[int, ...]]:
        key = (shell, effects)
        found = self._absorbed_by_shell.get(key)
        if found is None:
            of_bot = self.production.effects.values[effects]
            after, told = process.absorb(self.shells.values[shell], of_bot, self.bounds)
            found = self._absorbed_by_shell[key] = (self.shells(after), self._items(0, told))
        return found

    def _calm(self, leg: int, facets_number: int) -> int:
        key = leg << 20 | facets_number
        found = self._calmed.get(key)
        if found is None:
            facets = self.production.facets.values[facets_number]
            found = self._calmed[key] = self.legs(calmed(self.legs.values[leg], facets, self.bounds))
        return found
