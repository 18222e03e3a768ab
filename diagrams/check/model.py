"""The composition: the production bot, the world of each leg and the process, as one state in one number.

Every component is interned, every call of the production is remembered by bot and event,
and every rule of the world by what it looked at (`looking`), so that a transition is a few
look-ups. The purse is kept apart (see `purse`): a *core* is a state without it, and what
follows from a core is computed once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial
from itertools import product

from anchorwatch.diagrams.check import classification, network, process, surroundings, venue
from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.calm import calmed
from anchorwatch.diagrams.check.items import Item, Move
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.looking import LEG_FIELDS, Look, Memo, Tables, Vector, changed, facets_vector
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets, Interned, Production, Tell
from anchorwatch.diagrams.check.properties import PROPERTIES, Property, unprotected_at_ready
from anchorwatch.diagrams.check.purse import DELAYED, Cost, Purses
from anchorwatch.diagrams.check.recording import Fired
from anchorwatch.machine import lifecycle

LEG_BITS = 24  # sixteen million different legs: more than fit in memory
SHELL_BITS = 12
LABEL_BITS = 12
FACETS_BITS = 20
LEG_MASK = (1 << LEG_BITS) - 1
SHELL_MASK = (1 << SHELL_BITS) - 1
LABEL_MASK = (1 << LABEL_BITS) - 1

ITEMS_MAX = 200
"""Items in one breath: a start answers a few dozen. More means that the machines answer each other for ever."""

OF_ACCOUNT = (i.Fired, i.Audit, i.StartReading, i.Compare, i.EndReading)
"""Items that concern every leg at once, because the account is read as a whole."""

NOT_DELAYED = {int(late): cost for cost, late in DELAYED.items()}

Changes = tuple[tuple[int, int], ...]
Offer = tuple[int, int, bool, Changes, int]
"""Label, cost, whether it can wait, what changes in the leg, and what the bot is told, by number."""


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
        self.tables = Tables()
        self.legs: Interned[tuple[int, ...]] = Interned()
        self.shells: Interned[Shell] = Interned()
        self.items: Interned[Item] = Interned()
        self.labels: Interned[str] = Interned()
        self.cores: Interned[int] = Interned()
        self.verdicts: list[str] = []  # by core: the property that the state itself breaks
        self.broken: dict[tuple[int, int], list[Broken]] = {}  # by core and cost
        self.witnesses = {"S0"}  # every step is a witness of that
        self.fired: Fired = set()  # rows of the tables that have answered
        self.first_steps: list[tuple[int, int, int, frozenset[tuple[str, int]]]] = []
        """Core, label, the core after it, and rows: the steps in which rows answered for the first time."""
        self._known_rows: Fired = set()
        self._edges: list[array[int] | None] = []
        self._tell_of: dict[int, int] = {}
        self._told: Interned[tuple[tuple[int, ...], str]] = Interned()  # what a bot is told in one breath
        rules = [*venue.RULES, *network.RULES]
        self._rules = [
            [(partial(rule, bounds=bounds), Memo()) for rule in rules] for _ in range(self.legs_count)
        ]
        self._running_only = len(venue.RULES)
        self._happenings: dict[int, list[tuple[int, int, bool, int, int]]] = {}
        self._breaths: dict[int, Memo] = {}
        self._calm_memo = Memo()
        self._calmed: dict[int, int] = {}  # by leg and facets
        self._crash = Memo()
        self._claims = [(one, Memo()) for one in properties]
        self._absorbed_by_shell: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {}
        self._facet_vectors: list[Vector] = []
        self._unborn: dict[int, int] = {}
        first = Shell()
        bot = self.production.number(process.unborn(bounds, first))
        start = self.tables.vector(Leg())
        self.initial = self._core(self._packed(bot, (start,) * self.legs_count, self.shells(first)))

    # States.

    def _packed(self, bot: int, legs: tuple[tuple[int, ...], ...], shell: int) -> int:
        packed = bot
        for leg in legs:
            packed = packed << LEG_BITS | self.legs(leg)
        return packed << SHELL_BITS | shell

    def _core(self, packed: int) -> int:
        core = self.cores(packed)
        if core == len(self.verdicts):
            assert len(self.legs) <= LEG_MASK
            self.verdicts.append(self._verdict(*self.parts(core)))
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
        leg = self.tables.leg(self.legs.values[legs[which]])
        return self.facets(bot, which), leg, self.shells.values[shell]

    def facets(self, bot: int, which: int = 0) -> Facets:
        return self.production.facets.values[self.production.facets_of[bot][which]]

    def _facets_vector(self, bot: int, which: int) -> Vector:
        number = self.production.facets_of[bot][which]
        while len(self._facet_vectors) <= number:
            self._facet_vectors.append(facets_vector(self.production.facets.values[len(self._facet_vectors)]))
        return self._facet_vectors[number]

    def _verdict(self, bot: int, legs: list[int], shell: int) -> str:
        for which, leg in enumerate(legs):
            seen = (*self.legs.values[leg], *self._facets_vector(bot, which), shell)
            for one, memo in self._claims:
                found = memo.find(seen)
                if found is None:
                    look = Look(self.tables, seen)
                    facets = look.facets()
                    shown = self.shells.values[look.plain(len(seen) - 1)]
                    is_witness = one.witness(facets, look.leg(), shown)
                    holds = not is_witness or one.holds(facets, look.leg(), shown)
                    found = memo.keep(seen, look.reads, (is_witness, holds))
                    if is_witness:
                        self.witnesses.add(one.id)
                if not found[1]:
                    return one.id
        return ""

    # What follows.

    def edges(self, core: int, cost: int) -> array[int]:
        """The steps at this cost, each as the core after it and its label in one number; broken ones apart."""
        found = self._edges[core * len(Cost) + cost]
        if found is None:
            found = array("q")
            known, before = len(self.fired), self._known_rows
            for label, after, broken in self._steps(core, cost):
                if len(self.fired) > known:
                    self.first_steps.append((core, label, after, frozenset(self.fired - before)))
                    before = self._known_rows = set(self.fired)
                    known = len(before)
                broken = broken or self.verdicts[after]
                if broken:
                    self.broken.setdefault((core, cost), []).append(Broken(label, after, broken))
                elif after != core:  # a step that changes nothing is none
                    found.append(after << LABEL_BITS | label)
            self._edges[core * len(Cost) + cost] = found
        return found

    def known_edges(self, core: int, cost: int) -> array[int] | None:
        """The same, if they were asked for before."""
        return self._edges[core * len(Cost) + cost]

    def enabled(self, core: int, cost: int) -> frozenset[int]:
        """Labels of the steps that can be taken here."""
        return frozenset(packed & LABEL_MASK for packed in self._edges[core * len(Cost) + cost] or ())

    def computed(self) -> Iterator[array[int]]:
        """The edges of every core, at every cost that was asked for."""
        return (edges for edges in self._edges if edges is not None)

    def _steps(self, core: int, cost: int) -> Iterator[tuple[int, int, str]]:
        """Every (label, next core, what the step itself broke)."""
        bot, legs, shell = self.parts(core)
        facets = self.facets(bot)
        if facets.is_born and not facets.is_running:
            return  # the process has ended; what it left is judged, and only a new life goes on
        vector: tuple[int, ...] = ()
        for leg in legs:
            vector += self.legs.values[leg]
        if cost == Cost.CRASH:
            yield from self._crashes(vector, shell) if facets.is_born else []
            return
        offers = self._offers(bot, vector, facets.is_running)
        happenings = self._happenings_of(bot, shell)
        if self.bounds.prompt and not (all(o[2] for o in offers) and all(h[2] for h in happenings)):
            later = NOT_DELAYED.get(cost, -1)
        else:
            later = cost
        for label, price, can_wait, changes, told in offers:
            if price == (later if can_wait else cost):
                yield label, *self._breath(bot, changed(vector, changes), shell, told)
        for label, price, can_wait, shell_after, told in happenings:
            if price == (later if can_wait else cost):
                yield label, *self._breath(bot, vector, shell_after, told)

    def _crashes(self, vector: tuple[int, ...], shell: int) -> list[tuple[int, int, str]]:
        crashed = self.shells(process.crashed(self.shells.values[shell]))
        unborn = self._unborn.get(crashed)
        if unborn is None:
            bot = process.unborn(self.bounds, self.shells.values[crashed], after_crash=True)
            unborn = self._unborn[crashed] = self.production.number(bot)
        label = self.labels("the process dies")
        of_legs = []
        for at in range(0, len(vector), LEG_FIELDS):
            leg = vector[at : at + LEG_FIELDS]
            found = self._crash.find(leg)
            if found is None:
                look = Look(self.tables, leg)
                left = surroundings.after_crash(look.leg())
                found = tuple(look.changes(one) for one in left)
                self._crash.keep(leg, look.reads, found)
            of_legs.append(list(dict.fromkeys(changed(leg, changes) for changes in found)))
        cores = dict.fromkeys(self._core(self._packed(unborn, left, crashed)) for left in product(*of_legs))
        return [(label, core, "") for core in cores]

    def _offers(self, bot: int, vector: tuple[int, ...], is_running: bool) -> list[Offer]:
        """What the world can do about each leg."""
        offers: list[Offer] = []
        for which, rules in enumerate(self._rules):
            seen = vector[which * LEG_FIELDS : (which + 1) * LEG_FIELDS] + self._facets_vector(bot, which)
            for rule, memo in rules if is_running else rules[: self._running_only]:
                node = memo.root
                while node.__class__ is list:
                    node = node[1].get(seen[node[0]])
                if node is None:
                    look = Look(self.tables, seen)
                    moves = list(rule(look.leg(), look.facets()))
                    answer = tuple(
                        self._offer(which, look, move)
                        for move in moves
                        if not which or not _is_of_account(move)
                    )
                    node = memo.keep(seen, look.reads, answer)
                if node:
                    offers += node
        return offers

    def _offer(self, which: int, look: Look, move: Move) -> Offer:
        label = self.labels(f"short: {move.label}" if which else move.label)
        if move.label.endswith(("written to the wire", "is written")):
            self.witnesses.add("S1")
        cost = Cost.ENTRY if move.entries else Cost.FAULT if move.faults else Cost.FREE
        told = self._told((self._items(which, move.items), move.breaks))
        base = which * LEG_FIELDS
        changes = tuple((base + index, number) for index, number in look.changes(move.leg))
        return label, int(cost), move.can_wait, changes, told

    def _happenings_of(self, bot: int, shell: int) -> list[tuple[int, int, bool, int, int]]:
        key = bot << SHELL_BITS | shell
        found = self._happenings.get(key)
        if found is None:
            happenings = process.happenings(
                self.production.bots.values[bot], self.facets(bot), self.shells.values[shell], self.bounds
            )
            found = self._happenings[key] = [
                (
                    self.labels(one.label),
                    int(one.cost),
                    one.can_wait,
                    self.shells(one.shell),
                    self._told((self._items(0, one.items), "")),
                )
                for one in happenings
            ]
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

    # One breath.

    def _breath(self, bot: int, vector: tuple[int, ...], shell: int, told: int) -> tuple[int, str]:
        """Tell the bot all of it, with everything that follows at once: the core after it, and what it broke."""
        key = (bot << 16 | told) << SHELL_BITS | shell
        memo = self._breaths.get(key)
        if memo is None:
            memo = self._breaths[key] = Memo()
        node = memo.root
        while node.__class__ is list:
            node = node[1].get(vector[node[0]])
        if node is None:
            look = Look(self.tables, vector)
            answer = self._breathe(look, bot, shell, told)
            node = memo.keep(vector, look.reads, answer)
        after, shell, changes, broken = node
        moved = changed(vector, changes)
        packed = after
        for which, facets in enumerate(self.production.facets_of[after]):
            leg = moved if self.legs_count == 1 else moved[which * LEG_FIELDS : (which + 1) * LEG_FIELDS]
            calm_key = self.legs(leg) << FACETS_BITS | facets
            calm = self._calmed.get(calm_key)
            if calm is None:
                calm = self._calmed[calm_key] = self._calm(leg, after, which)
            packed = packed << LEG_BITS | calm
        return self._core(packed << SHELL_BITS | shell), broken

    def _calm(self, leg: tuple[int, ...], bot: int, which: int) -> int:
        seen = leg + self._facets_vector(bot, which)
        found = self._calm_memo.find(seen)
        if found is None:
            look = Look(self.tables, seen)
            result = calmed(look.leg(), look.facets(), self.bounds)
            found = self._calm_memo.keep(seen, look.reads, look.changes(result))
        return self.legs(changed(leg, found))

    def _breathe(self, look: Look, bot: int, shell: int, told: int) -> tuple[int, int, Changes, str]:
        """The same, computed: the bot and the shell after it, what changes in the legs, and what it broke."""
        production, tell_of = self.production, self._tell_of
        legs = [look.leg(which) for which in range(self.legs_count)]
        items, broken = self._told.values[told]
        queue = list(items)
        taken = 0
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
                facets = self.facets(bot, which)
                legs[which], said = classification.classify(legs[which], facets, self.items.values[item])
                queue[:0] = [self._item(one) << 1 | which for one in said]
                continue
            stepped = production.step(bot, tell, which)
            if stepped.defect:
                broken = stepped.defect
                break
            bot = stepped.bot
            for of, effects in enumerate(stepped.of_legs):
                if effects and not broken:
                    asked = production.effects.values[effects]
                    self.witnesses.update(surroundings.spoken_of(asked))
                    legs[of], said, broken = surroundings.absorb(legs[of], asked, self.bounds)
                    queue += [self._item(one) << 1 | of for one in said]
            if stepped.of_bot:
                shell, answers = self._absorb_by_shell(shell, stepped.of_bot)
                queue += answers
        if not broken and began is lifecycle.S.SYNC and production.life_of[bot] is lifecycle.S.READY:
            self.witnesses.add("S14")
            broken = next(filter(None, map(unprotected_at_ready, legs)), "")
        changes: Changes = ()
        for which, leg in enumerate(legs):
            changes += look.changes(leg, which)
        return bot, shell, changes, broken

    def _absorb_by_shell(self, shell: int, effects: int) -> tuple[int, tuple[int, ...]]:
        key = (shell, effects)
        found = self._absorbed_by_shell.get(key)
        if found is None:
            of_bot = self.production.effects.values[effects]
            after, told = process.absorb(self.shells.values[shell], of_bot, self.bounds)
            found = self._absorbed_by_shell[key] = (self.shells(after), self._items(0, told))
        return found


def _is_of_account(move: Move) -> bool:
    """The account's reading is one, and the first leg tells of it."""
    return any(isinstance(item, OF_ACCOUNT) for item in move.items)
