"""One breath: all that is told to the bot at once, and everything that follows of itself."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from anchorwatch.diagrams.check import classification, process, surroundings
from anchorwatch.diagrams.check import items as i
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.columns import Column, Numbers, Rows
from anchorwatch.diagrams.check.items import Item
from anchorwatch.diagrams.check.looking import Changes, Forest, Look, Tables, Vector
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Interned, Production, Tell, step_key
from anchorwatch.diagrams.check.properties import unprotected_at_ready
from anchorwatch.diagrams.check.recording import Fired
from anchorwatch.machine import lifecycle

ITEMS_MAX = 200
"""Items in one breath: a start answers a few dozen. More means that the machines answer each other for ever."""

OF_ACCOUNT = (i.Fired, i.Audit, i.StartReading, i.Compare, i.EndReading)
"""Items that concern every leg at once, because the account is read as a whole."""

TOLD_BITS = 16
SHELL_BITS = 12


Answered = frozenset[tuple[str, int]]
"""Rows of tables that answered, each by its machine and its number."""


class Breaths:
    """What every breath led to, by bot, what is told, shell and what it looked at of the legs."""

    def __init__(
        self,
        bounds: Bounds,
        production: Production,
        tables: Tables,
        shells: Interned[Shell],
        changes: Changes,
        notes_steps: bool,
    ) -> None:
        self._bounds, self._production, self._tables, self._shells = bounds, production, tables, shells
        self._changes = changes
        self.witnesses: set[str] = set()
        self._items: Interned[Item] = Interned()
        self._tell_of: dict[int, int] = {}
        self._told: Interned[tuple[tuple[int, ...], str]] = Interned()
        self._absorbed: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {}
        self._known_rows: Fired = set()
        self._forest = Forest()
        self._trees: dict[int, int] = {}
        self._users: dict[int, set[int]] | None = {} if notes_steps else None  # by step: whose trees hold it
        self._bots, self._shells_after, self._changed, self._breaches = Column(), Column(), Column(), Column()
        self.breaches: Interned[str] = Interned()
        assert self.breaches("") == 0, "nothing is falsy"

    def told(self, which: int, items: tuple[Item, ...], breaks: str = "") -> int:
        """Items of one leg, by number; those of the account go to every leg. ``breaks``: what telling them breaks."""
        number = self._told((self._of_leg(which, items), breaks))
        assert number < 1 << TOLD_BITS
        return number

    def _of_leg(self, which: int, items: tuple[Item, ...]) -> tuple[int, ...]:
        told = []
        for item in items:
            number = self._item(item)
            of_all = isinstance(item, OF_ACCOUNT)
            legs = range(self._production.legs_count)
            told += [number << 1 | one for one in legs if of_all or one == which]
        return tuple(told)

    def _item(self, item: Item) -> int:
        number = self._items(item)
        if isinstance(item, Tell):
            self._tell_of[number] = self._production.tells(item)
        return number

    def take(
        self, bots: Numbers, told: Numbers, shells: Numbers, legs: Rows
    ) -> tuple[Numbers, Numbers, Numbers, list[tuple[int, Answered]]]:
        """For each row: the bot and the shell after it, and the number of what it broke. ``legs`` change in place.

        Last come the rows in which a row of a table answered for the first time, with those rows.
        """
        keys, of_key = np.unique(
            bots << TOLD_BITS + SHELL_BITS | told << SHELL_BITS | shells, return_inverse=True
        )
        trees = np.array([self._tree(key) for key in keys.tolist()], dtype=np.int64)[of_key]
        firsts: list[tuple[int, Answered]] = []
        fired, known = self._production.fired, self._known_rows

        def compute(row: int, vector: Vector) -> tuple[list[int], int]:
            look = Look(self._tables, vector)
            leaf, steps = self._breathe(look, int(bots[row]), int(shells[row]), int(told[row]))
            if self._users is not None:
                for step in steps:
                    self._users.setdefault(step, set()).add(int(keys[of_key[row]]))
            if len(fired) > len(known):
                firsts.append((row, frozenset(fired - known)))
                known.update(fired)
            return look.reads, leaf

        leaves = self._forest.answers(trees, legs, compute)
        self._changes.make(legs, self._changed.values[leaves])
        return (
            self._bots.values[leaves],
            self._shells_after.values[leaves],
            self._breaches.values[leaves],
            firsts,
        )

    def forget(self, steps: Iterable[int]) -> None:
        """Forget every breath in which one of these steps was made."""
        assert self._users is not None, "this model was not asked to note them"
        for step in steps:
            for key in self._users.get(step, ()):
                self._trees.pop(key, None)

    def _tree(self, key: int) -> int:
        tree = self._trees.get(key)
        if tree is None:
            tree = self._trees[key] = self._forest.plant()
        return tree

    def _breathe(self, look: Look, bot: int, shell: int, told: int) -> tuple[int, list[int]]:
        """One breath, computed: the number of what it led to, and the steps that the bot made."""
        production, tell_of = self._production, self._tell_of
        legs = [look.leg(which) for which in range(production.legs_count)]
        items, broken = self._told.values[told]
        queue = list(items)
        steps: list[int] = []
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
                facets = production.shown(bot, which)
                legs[which], said = classification.classify(legs[which], facets, self._items.values[item])
                queue[:0] = [self._item(one) << 1 | which for one in said]
                continue
            stepped = production.step(bot, tell, which)
            steps.append(step_key(bot, tell, which))
            if stepped.defect:
                broken = stepped.defect
                break
            bot = stepped.bot
            for of, effects in enumerate(stepped.of_legs):
                if effects and not broken:
                    asked = production.effects.values[effects]
                    self.witnesses.update(surroundings.spoken_of(asked))
                    legs[of], said, broken = surroundings.absorb(legs[of], asked, self._bounds)
                    queue += [self._item(one) << 1 | of for one in said]
            if stepped.of_bot:
                shell, answers = self._absorb_by_shell(shell, stepped.of_bot)
                queue += answers
        if not broken and began is lifecycle.S.SYNC and production.life_of[bot] is lifecycle.S.READY:
            self.witnesses.add("S14")
            broken = next(filter(None, map(unprotected_at_ready, legs)), "")
        changes: tuple[tuple[int, int], ...] = ()
        for which, leg in enumerate(legs):
            changes += look.changes(leg, which)
        self._bots.append(bot)
        self._shells_after.append(shell)
        self._changed.append(self._changes(changes))
        self._breaches.append(self.breaches(broken))
        return len(self._bots) - 1, steps

    def _absorb_by_shell(self, shell: int, effects: int) -> tuple[int, tuple[int, ...]]:
        key = (shell, effects)
        found = self._absorbed.get(key)
        if found is None:
            of_bot = self._production.effects.values[effects]
            after, told = process.absorb(self._shells.values[shell], of_bot, self._bounds)
            found = self._absorbed[key] = (self._shells(after), self._of_leg(0, told))
        return found
