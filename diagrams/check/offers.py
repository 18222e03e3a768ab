"""What the world may do next, in every state: about each leg, and about the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import numpy as np

from anchorwatch.diagrams.check import netting, network, process, venue
from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.breath import OF_ACCOUNT, SHELL_BITS, Breaths
from anchorwatch.diagrams.check.columns import Column, Numbers, Ragged, Rows, Truths
from anchorwatch.diagrams.check.items import Move
from anchorwatch.diagrams.check.leg import Leg
from anchorwatch.diagrams.check.looking import LEG_FIELDS, Changes, Forest, Look, Tables, Vector
from anchorwatch.diagrams.check.process import Shell
from anchorwatch.diagrams.check.production import Facets, Interned, Production
from anchorwatch.diagrams.check.purse import DELAYED, Cost

Rule = Callable[[Leg, Facets], Iterator[Move]]


class Offered(msgspec.Struct, frozen=True):
    """Steps that the world offers, a column for each: whose it is, what it is called, costs, changes, and tells.

    ``at`` is the place of the state among those asked about.
    """

    at: Numbers
    labels: Numbers
    costs: Numbers
    changes: Numbers
    shells: Numbers
    told: Numbers


COLUMNS = ("label", "cost", "can it wait", "changes", "shell", "told")
NEVER = len(Cost)
"""The cost of what is not offered at all, because it would delay what cannot be delayed at this price."""


class Offers:
    """The rules of the world, remembered by what they looked at."""

    def __init__(
        self,
        bounds: Bounds,
        production: Production,
        tables: Tables,
        shells: Interned[Shell],
        changes: Changes,
        breaths: Breaths,
    ) -> None:
        self._bounds, self._production, self._tables, self._shells = bounds, production, tables, shells
        self._changes, self._breaths = changes, breaths
        self.labels: Interned[str] = Interned()
        self.is_entry_written = False  # an entry was written to the wire: the witness of S1
        self._lists = Ragged(len(COLUMNS))
        self._all_wait = Column()
        self._forest = Forest()
        rules: list[Rule] = [partial(rule, bounds=bounds) for rule in (*venue.RULES, *network.RULES)]
        self._rules = [[(rule, self._forest.plant()) for rule in rules] for _ in range(production.legs_count)]
        self._both_rules = [
            [(partial(rule, bounds=bounds), self._forest.plant()) for rule in netting.RULES]
            for _ in range(production.legs_count if bounds.turns or bounds.hearsay else 0)
        ]
        self._running_only = len(venue.RULES)
        self._happenings: dict[int, int] = {}
        late = [int(DELAYED.get(cost, NEVER)) for cost in Cost]
        self._delayed: Numbers = np.array([*late, NEVER], dtype=np.int64)

    def of(self, bots: Numbers, shells: Numbers, is_running: Truths, seen: list[Rows]) -> Offered:
        """Everything that may happen in these states. ``seen``: for each leg its fields and its facets."""
        count = len(bots)
        owners, columns = [], []
        all_wait = np.ones(count, dtype=np.bool_)

        def add(states: Numbers, lists: Numbers) -> None:
            all_wait[states] &= self._all_wait.values[lists] > 0
            places, found = self._lists.of(lists)
            owners.append(states[places])
            columns.append(np.stack(found))

        everywhere, running = np.arange(count), np.flatnonzero(is_running)
        for which, rules in enumerate(self._rules):
            running_rows = seen[which][running]
            for number, (rule, tree) in enumerate(rules):
                states, rows = (
                    (running, running_rows) if number >= self._running_only else (everywhere, seen[which])
                )
                trees = np.full(len(states), tree)
                add(states, self._forest.answers(trees, rows, partial(self._compute, rule, which)))
        for which, both_rules in enumerate(self._both_rules):
            one, other = seen[which], seen[1 - which][:, :LEG_FIELDS]
            rows = np.concatenate((one[:, :LEG_FIELDS], other, one[:, LEG_FIELDS:]), axis=1)
            for both_rule, tree in both_rules:
                trees = np.full(count, tree)
                compute = partial(self._compute_both, both_rule, which)
                add(everywhere, self._forest.answers(trees, rows, compute))
        keys, of_key = np.unique(bots << SHELL_BITS | shells, return_inverse=True)
        add(everywhere, np.array([self._happenings_of(key) for key in keys.tolist()], dtype=np.int64)[of_key])
        at = np.concatenate(owners)
        labels, costs, waits, changes, shells_after, told = np.concatenate(columns, axis=1)
        if self._bounds.prompt:
            is_delay = (waits > 0) & ~all_wait[at]
            costs = np.where(is_delay, self._delayed[costs], costs)
        shells_after = np.where(shells_after < 0, shells[at], shells_after)
        return Offered(at, labels, costs, changes, shells_after, told)

    def _compute(self, rule: Rule, which: int, row: int, vector: Vector) -> tuple[list[int], int]:
        look = Look(self._tables, vector)
        moves = [move for move in rule(look.leg(), look.facets()) if not which or not _is_of_account(move)]
        offers = [self._offer(which, look, move) for move in moves]
        return look.reads, self._keep(offers)

    def _compute_both(
        self, rule: Callable[..., Iterator[netting.Turn]], which: int, row: int, vector: Vector
    ) -> tuple[list[int], int]:
        look = Look(self._tables, vector)
        turns = list(rule(look.leg(0), look.leg(1), look.facets(legs_count=2)))
        base = (1 - which) * LEG_FIELDS
        offers = [
            self._offer(
                which, look, turn, tuple((base + index, number) for index, number in look.changes(turn.other))
            )
            for turn in turns
        ]
        return look.reads, self._keep(offers)

    def _offer(
        self, which: int, look: Look, move: Move, of_other: tuple[tuple[int, int], ...] = ()
    ) -> tuple[int, ...]:
        if move.label.endswith(("written to the wire", "is written")):
            self.is_entry_written = True
        label = self.labels(f"short: {move.label}" if which else move.label)
        cost = Cost.ENTRY if move.entries else Cost.FAULT if move.faults else Cost.FREE
        base = which * LEG_FIELDS
        of_this = tuple((base + index, number) for index, number in look.changes(move.leg))
        changes = self._changes((*of_this, *of_other))
        told = self._breaths.told(which, move.items, move.breaks)
        return label, int(cost), int(move.can_wait), changes, -1, told

    def _happenings_of(self, key: int) -> int:
        found = self._happenings.get(key)
        if found is None:
            bot, shell = key >> SHELL_BITS, self._shells.values[key & (1 << SHELL_BITS) - 1]
            facets = self._production.shown(bot)
            happenings = process.happenings(self._production.bots.values[bot], facets, shell, self._bounds)
            found = self._happenings[key] = self._keep(
                [
                    (
                        self.labels(one.label),
                        int(one.cost),
                        int(one.can_wait),
                        self._changes(()),
                        self._shells(one.shell),
                        self._breaths.told(0, one.items),
                    )
                    for one in happenings
                ]
            )
        return found

    def _keep(self, offers: list[tuple[int, ...]]) -> int:
        self._all_wait.append(int(all(offer[2] for offer in offers)))
        return self._lists.append(offers)


def _is_of_account(move: Move) -> bool:
    """The account's reading is one, and the first leg tells of it."""
    return any(isinstance(item, OF_ACCOUNT) for item in move.items)
