"""The composition: the production bot, one leg's world and the process, as one state in one number.

Each component is interned and each call is remembered, so that a transition is mostly a
few look-ups: what the world can do depends on the leg and on the *facets* of the bot, what
the bot does on the bot and the event.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from anchorwatch.diagrams.check import classification, network, process, surroundings, venue
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.calm import calmed
from anchorwatch.diagrams.check.items import Item
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets, Interned, Production, Tell
from anchorwatch.diagrams.check.properties import PROPERTIES, Property, unprotected_at_ready
from anchorwatch.machine import lifecycle

LEG_BITS = 24  # sixteen million different legs: more than fit in memory
SHELL_BITS = 12
LEG_MASK = (1 << LEG_BITS) - 1
SHELL_MASK = (1 << SHELL_BITS) - 1

ITEMS_MAX = 200
"""Items in one breath: a start answers a few dozen. More means that the machines answer each other for ever."""

Breath = tuple[int, int, int, str]
"""Bot, leg and shell after one breath, and what it broke."""


class Model:
    """One configuration of the composed bot."""

    def __init__(self, bounds: Bounds, properties: tuple[Property, ...] = PROPERTIES) -> None:
        self.bounds = bounds
        self.production = Production()
        self._properties = properties
        self.legs: Interned[Leg] = Interned()
        self.shells: Interned[Shell] = Interned()
        self.items: Interned[Item] = Interned()
        self.labels: Interned[str] = Interned()
        self.witnesses: dict[str, int] = {}
        self._tell_of: dict[int, int] = {}
        self._moves: dict[int, tuple[tuple[int, int, tuple[int, ...], int, str], ...]] = {}
        self._happenings: dict[int, tuple[tuple[int, int, tuple[int, ...]], ...]] = {}
        self._classified: dict[tuple[int, int, int], tuple[int, tuple[int, ...]]] = {}
        self._absorbed: dict[tuple[int, int], tuple[int, tuple[int, ...], str]] = {}
        self._absorbed_by_shell: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {}
        self._calmed: dict[tuple[int, int], int] = {}
        self._broken: dict[tuple[int, int, int], str] = {}
        self._crashes: dict[int, tuple[int, ...]] = {}
        self._unborn: dict[int, int] = {}
        first = Shell(bounds.faults, bounds.crashes, bounds.entries)
        bot = self.production.number(process.unborn(bounds, first))
        self.initial = self._packed(bot, self.legs(Leg()), self.shells(first))

    def _packed(self, bot: int, leg: int, shell: int) -> int:
        assert leg <= LEG_MASK
        assert shell <= SHELL_MASK
        return (bot << LEG_BITS | leg) << SHELL_BITS | shell

    def parts(self, state: int) -> tuple[int, int, int]:
        """Bot, leg and shell, by number."""
        return state >> LEG_BITS + SHELL_BITS, state >> SHELL_BITS & LEG_MASK, state & SHELL_MASK

    def shown(self, state: int) -> tuple[Facets, Leg, Shell]:
        bot, leg, shell = self.parts(state)
        return self.facets(bot), self.legs.values[leg], self.shells.values[shell]

    def facets(self, bot: int) -> Facets:
        return self.production.facets.values[self.production.facets_of[bot]]

    def broken(self, state: int) -> str:
        """The first property that this state breaks, by id; empty when it breaks none."""
        bot, leg, shell = self.parts(state)
        key = (self.production.facets_of[bot], leg, shell)
        found = self._broken.get(key)
        if found is None:
            found = self._broken[key] = self._judged(*self.shown(state))
        return found

    def _judged(self, facets: Facets, leg: Leg, shell: Shell) -> str:
        verdict = ""
        for one in self._properties:
            if one.witness(facets, leg, shell):
                self.witnesses[one.id] = self.witnesses.get(one.id, 0) + 1
                if not verdict and not one.holds(facets, leg, shell):
                    verdict = one.id
        return verdict

    def successors(self, state: int) -> Iterator[tuple[int, int, str]]:
        """Every (label, next state, what the step itself broke)."""
        bot, leg, shell = self.parts(state)
        facets_number = self.production.facets_of[bot]
        facets = self.production.facets.values[facets_number]
        before = self.shells.values[shell]
        if facets.is_born and not facets.is_running:
            return  # the process has ended; what it left is judged, and only a new life goes on
        for label, after, items, cost, breaks in self._moves_of(leg, facets_number):
            faults, entries = cost & 7, cost >> 3
            if faults > before.faults or entries > before.entries:
                continue
            shell_after = shell if not cost else self._paid(shell, faults, entries)
            yield label, *self._breath(bot, after, shell_after, items, breaks)
        for label, shell_after, items in self._happenings_of(bot, shell):
            yield label, *self._breath(bot, leg, shell_after, items, "")
        if facets.is_born and self.shells.values[shell].crashes:
            crashed = self.shells(process.crashed(self.shells.values[shell]))
            unborn = self._unborn_of(crashed)
            for left in self._crashes_of(leg):
                yield self._crash, self._packed(unborn, left, crashed), ""

    @property
    def _crash(self) -> int:
        return self.labels("the process dies")

    def _paid(self, shell: int, faults: int, entries: int) -> int:
        before = self.shells.values[shell]
        return self.shells(replace(before, faults=before.faults - faults, entries=before.entries - entries))

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

    def _moves_of(
        self, leg: int, facets_number: int
    ) -> tuple[tuple[int, int, tuple[int, ...], int, str], ...]:
        key = leg << 20 | facets_number
        found = self._moves.get(key)
        if found is None:
            before, facets = self.legs.values[leg], self.production.facets.values[facets_number]
            moves = list(venue.rules(before, facets, self.bounds))
            if facets.is_running:
                moves += network.rules(before, facets, self.bounds)
            found = self._moves[key] = tuple(
                (
                    self.labels(move.label),
                    self.legs(move.leg),
                    tuple(self._item(item) for item in move.items),
                    move.entries << 3 | move.faults,
                    move.breaks,
                )
                for move in moves
            )
        return found

    def _happenings_of(self, bot: int, shell: int) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
        key = bot << SHELL_BITS | shell
        found = self._happenings.get(key)
        if found is None:
            happenings = process.happenings(
                self.production.bots.values[bot], self.facets(bot), self.shells.values[shell], self.bounds
            )
            found = self._happenings[key] = tuple(
                (
                    self.labels(one.label),
                    self.shells(one.shell),
                    tuple(self._item(item) for item in one.items),
                )
                for one in happenings
            )
        return found

    def _item(self, item: Item) -> int:
        number = self.items(item)
        if isinstance(item, Tell):
            self._tell_of[number] = self.production.tells(item)
        return number

    def _breath(self, bot: int, leg: int, shell: int, items: tuple[int, ...], broken: str) -> tuple[int, str]:
        """Tell the bot all of it, with everything that follows at once."""
        queue = list(items)
        taken = 0
        began = self.facets(bot).life
        while queue and not broken:
            taken += 1
            if taken > ITEMS_MAX:
                broken = "S0: the machines answer each other for ever"
                break
            item = queue.pop(0)
            tell = self._tell_of.get(item)
            if tell is None:
                leg, told = self._classify(leg, self.production.facets_of[bot], item)
                queue[:0] = told
                continue
            stepped = self.production.step(bot, tell)
            if stepped.defect:
                broken = f"S0: {stepped.defect}"
                break
            bot = stepped.bot
            if stepped.of_leg:
                leg, told, broken = self._absorb(leg, stepped.of_leg)
                queue += told
            if stepped.of_bot:
                shell, told = self._absorb_by_shell(shell, stepped.of_bot)
                queue += told
        if not broken and began is lifecycle.S.SYNC and self.facets(bot).life is lifecycle.S.READY:
            broken = unprotected_at_ready(self.legs.values[leg])
        return self._packed(bot, self._calm(leg, self.production.facets_of[bot]), shell), broken

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
            found = self._absorbed_by_shell[key] = (
                self.shells(after),
                tuple(self._item(one) for one in told),
            )
        return found

    def _calm(self, leg: int, facets_number: int) -> int:
        key = (leg, facets_number)
        found = self._calmed.get(key)
        if found is None:
            facets = self.production.facets.values[facets_number]
            found = self._calmed[key] = self.legs(calmed(self.legs.values[leg], facets, self.bounds))
        return found
