"""What must never happen, watched from the exchange's side while it happens; and the time without protection.

The observer is told by the exchange of every order, stop and position, and by each life of the bot of its moves,
so it needs neither the bot's book nor the bot's word for anything. The letters are those of the safety properties
in `PROPERTIES`. What it cannot see from there (S0, S5, S6, S12 before the wire) is seen by the run itself or by
``anchorwatch check``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from anchorwatch.io.simulation.chronicle import Chronicle
from anchorwatch.io.simulation.ghost import GhostClock, Leg, leg_of, live_covers
from anchorwatch.io.simulation.kept import Remembered
from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.announcing import Amendment
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.orders import AlgoOrder, Fill, Order
from anchorwatch.io.venue.positions import Position
from anchorwatch.machine import ids
from anchorwatch.machine.facts import Fact, IntentFact, PartialTakenFact, PermissionFact
from anchorwatch.machine.ids import Made

PROPERTIES = {
    "S0": "no defect of ours: no unexpected event, no assertion, no undecided cell",
    "S1": "an entry is sent only in READY, with permission, by the present incarnation",
    "S2": "an order is sent only when its intent is durable",
    "S3": "no client id is used twice",
    "S4": "while an entry is unresolved or filled there is no second one for the position",
    "S6": "at rest the book is the exchange's, and what the journal knew of a position is known",
    "S7": "a position of ours is not left without cover while the bot could see to it",
    "S9": "no stop move loosens",
    "S10": "no cover is removed while the position is open",
    "S11": "closes are reduce-only, name the leg, and never open or flip",
    "S12": "at most one closing order is live per leg",
    "S14": "nothing foreign is changed",
    "S15": "a stop sends no entry, and leaves no entry and nothing uncovered behind",
    "S17": "a halt or pause survives a crash",
    "S18": "a part of a position is taken once, whichever life takes it",
    "L1": "healed, the system converges",
    "R6": "what has been live for a minute is retried from the first wait on",
    "L7": "a healed bot stops in order",
}

# An entry is refused by the exchange this long after it was made (expTime); a little more for the answer's way.
ENTRY_VALID_S = 3.2
# So long after somebody else's act a change of cover, or a second fill, may be its consequence.
DISTURBED_S = 60.0
# Client ids of one run: a hundred times what ten busy minutes make.
IDS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that did not hold, when, and what was seen."""

    property: str
    at_s: float
    words: str


@dataclass(slots=True)
class Conduct:
    """What one life said of itself, as far as entries depend on it: since when it may not, None while it may."""

    generation: str
    barred_since_s: float | None = 0.0
    is_ready: bool = False
    is_open: bool = True
    durable: set[str] = field(default_factory=set)
    is_elsewhere: bool = False  # on another disk: a second instance

    def judge(self, now_s: float) -> None:
        may = self.is_ready and self.is_open
        if may:
            self.barred_since_s = None
        elif self.barred_since_s is None:
            self.barred_since_s = now_s

    def might_have_sent(self, now_s: float) -> bool:
        return self.barred_since_s is None or now_s - self.barred_since_s <= ENTRY_VALID_S


class Observer:
    """Watches one account of the exchange for one run."""

    def __init__(
        self, venue: Venue, account: Account, chronicle: Chronicle, now_s: Callable[[], float]
    ) -> None:
        self.violations: list[Violation] = []
        self.ghost = GhostClock()
        self.remembered = Remembered()
        # What the last durable word on permission was: the next life has to keep to it (S17).
        self.was_open = True
        self.messages = 0
        self._venue = venue
        self._account = account
        self._chronicle = chronicle
        self._now_s = now_s
        self._lives: dict[str, Conduct] = {}
        self._seen_ids: dict[str, str] = {}  # our client ids, and the order that bore each first
        self._taken: dict[str, None] = {}
        # Whose hand moves the account now: the exchange's own and the bot's are "".
        self._hand = ""
        # The tightest live stop of each open leg.
        self._levels: dict[Leg, Decimal] = {}
        self._entered: dict[Leg, str] = {}
        # Orders that take a part, as far as the journal knows them, and the one that did of each open leg.
        self._parting: set[str] = set()
        self._parted: dict[Leg, str] = {}
        self._foreign: frozenset[str] = frozenset()
        self._twin_seen_s = -DISTURBED_S
        self._recent_human: deque[tuple[float, str]] = deque(maxlen=100)

    # Told by the run.

    def life_began(self, generation: str, *, is_elsewhere: bool = False) -> Conduct:
        conduct = self._lives[generation] = Conduct(generation, is_elsewhere=is_elsewhere)
        return conduct

    def recorded(self, generation: str, facts: Sequence[Fact]) -> None:
        life = self._lives[generation]
        if not life.is_elsewhere:
            self.remembered.take(facts)
            for fact in facts:
                if isinstance(fact, PermissionFact):
                    self.was_open = fact.state == "open"
                elif isinstance(fact, PartialTakenFact):
                    self._parting.add(fact.client_id)
        durable = life.durable
        durable.update(fact.client_id for fact in facts if isinstance(fact, IntentFact))

    def protect_foreign(self, instruments: Iterable[str]) -> None:
        """Positions of these instruments are not the bot's: whatever it does there is a violation."""
        self._foreign = frozenset(instruments)

    def hand(self, whose: str) -> None:
        """From now on, and until it is told otherwise, somebody else than the bot moves the account."""
        self._hand = whose

    def twin_came(self) -> None:
        """A second instance trades here from now on: what the two do to each other is neither's fault."""
        self._twin_seen_s = math.inf

    def twin_left(self) -> None:
        self._twin_seen_s = self._now_s()

    def is_disturbed(self, instrument: str) -> bool:
        """Whether somebody else than this bot has moved the instrument a moment ago."""
        since_s = self._now_s() - DISTURBED_S
        return self._twin_seen_s >= since_s or any(
            name == instrument and at_s >= since_s for at_s, name in self._recent_human
        )

    def violate(self, name: str, words: str) -> None:
        assert name in PROPERTIES, f"no such property: {name}"
        if not any(one.property == name and one.words == words for one in self.violations):
            self.violations.append(Violation(name, self._now_s(), words))
            self._chronicle.add("observer", "VIOLATION", f"{name}: {words}")

    # Told by the exchange.

    def order_changed(self, account: Account, order: Order, fill: Fill | None, amendment: Amendment) -> None:
        if account is not self._account:
            return
        words = (
            f"{order.inst_id} {order.side}/{order.pos_side} {order.contracts} {order.state} {order.client_id}"
        )
        self._chronicle.add("exchange", "order", words)
        if self._hand:
            self._recent_human.append((self._now_s(), order.inst_id))
        ours = ids.parse(order.client_id)
        if ours is not None:
            bearer = self._seen_ids.setdefault(order.client_id, order.order_id)
            if bearer != order.order_id:
                self.violate("S3", f"{order.client_id} is the id of {bearer} and of {order.order_id}")
            elif order.order_id not in self._taken:
                self._taken[order.order_id] = None
                self._take_new(order, ours)
        if fill is not None:
            self._take_fill(order, ours)

    def algo_changed(self, account: Account, algo: AlgoOrder, amendment: Amendment) -> None:
        if account is not self._account:
            return
        words = f"{algo.inst_id} {algo.pos_side} {algo.sl_trigger_px} {algo.state} {algo.client_id}"
        self._chronicle.add("exchange", "stop", words)
        if self._hand:
            self._recent_human.append((self._now_s(), algo.inst_id))
        if algo.inst_id in self._foreign and ids.parse(algo.client_id) is not None:
            self.violate("S14", f"a stop of ours on {algo.inst_id}")
        self.look_at_cover(algo.inst_id)

    def position_changed(self, account: Account, position: Position, cause: str, trade_id: str) -> None:
        if account is not self._account:
            return
        words = f"{position.inst_id}/{position.pos_side} {position.contracts} at {position.avg_px:.6g}"
        self._chronicle.add("exchange", "position", words)

    def balance_changed(self, account: Account, cause: str) -> None:
        """Money is the ledger's business, and has tests of its own."""

    def trade_printed(
        self, inst_id: str, trade_id: str, px: Decimal, contracts: Decimal, taker_side: str
    ) -> None:
        """The public tape is no business of the account."""

    # Orders.

    def _take_new(self, order: Order, ours: ids.ClientId) -> None:
        assert len(self._seen_ids) <= IDS_MAX, "a run without end"
        if order.inst_id in self._foreign:
            self.violate("S14", f"an order of ours on {order.inst_id}")
        life = self._lives.get(ours.generation)
        # A close goes out although a full disk takes no intent: what protects is never held up.
        if life is not None and ours.made_for is Made.ENTRY and order.client_id not in life.durable:
            self.violate("S2", f"{order.client_id} was sent and is not in the journal")
        if ours.made_for is Made.ENTRY:
            self._take_entry(order, life)
        elif ours.made_for is Made.CLOSE:
            self._take_close(order)

    def _take_entry(self, order: Order, life: Conduct | None) -> None:
        if life is None or not life.might_have_sent(self._now_s()):
            since = (
                "by no life that is known" if life is None else f"barred since {life.barred_since_s:.3f} s"
            )
            self.violate("S1", f"entry {order.client_id} accepted, {since}")
        others = [
            one.client_id
            for one in self._account.pending.values()
            if one is not order
            and one.inst_id == order.inst_id
            and one.pos_side == order.pos_side
            and _made_for(one.client_id) is Made.ENTRY
        ]
        if others and not self.is_disturbed(order.inst_id):
            self.violate("S4", f"entry {order.client_id} beside {others[0]}")

    def _take_close(self, order: Order) -> None:
        if self._account.is_hedged:
            names_leg = order.pos_side in ("long", "short")
            closes = order.side == ("sell" if order.pos_side == "long" else "buy")
        else:
            names_leg = closes = order.is_reduce_only
        if not (names_leg and closes):
            self.violate("S11", f"close {order.client_id} is not reduce-only or opens its leg")
        others = [
            one.client_id
            for one in self._account.pending.values()
            if one is not order
            and (one.inst_id, one.pos_side, one.side) == (order.inst_id, order.pos_side, order.side)
            and _made_for(one.client_id) is Made.CLOSE
        ]
        if others and not self.is_disturbed(order.inst_id):
            self.violate("S12", f"close {order.client_id} beside {others[0]}")

    def _take_fill(self, order: Order, ours: ids.ClientId | None) -> None:
        leg = leg_of(order.inst_id, order.pos_side, self._position(order))
        if ours is not None and ours.made_for is Made.ENTRY and leg is not None:
            before = self._entered.get(leg)
            if before is not None and before != order.client_id and not self.is_disturbed(order.inst_id):
                self.violate("S4", f"entry {order.client_id} filled on {leg} that {before} had opened")
            self._entered[leg] = order.client_id
        if order.client_id in self._parting and leg is not None:
            first = self._parted.setdefault(leg, order.client_id)
            if first != order.client_id:
                self.violate("S18", f"{order.client_id} took a part of {leg}, of which {first} had taken one")
        self.look_at_cover(order.inst_id)

    def _position(self, order: Order) -> Position | None:
        return self._account.positions.get((order.inst_id, order.margin_mode, order.pos_side))

    # Cover.

    def look_at_cover(self, inst_id: str) -> None:
        """Compare what protects each leg of the instrument with what did before."""
        now_ms = self._venue.now_ms()
        open_legs = set()
        for position in self._account.open_positions():
            if position.inst_id != inst_id:
                continue
            leg = leg_of(position.inst_id, position.pos_side, position)
            assert leg is not None
            open_legs.add(leg)
            covers = live_covers(self._account, position)
            self.ghost.look(leg, now_ms, is_covered=bool(covers), by=self._hand)
            self._compare(leg, position, covers)
        for leg in [known for known in self._levels if known[0] == inst_id and known not in open_legs]:
            del self._levels[leg]
        for begun in (self._entered, self._parted):
            for leg in [known for known in begun if known[0] == inst_id and known not in open_legs]:
                del begun[leg]
        self.ghost.flat(inst_id, open_legs, now_ms)

    def _compare(self, leg: Leg, position: Position, covers: list[AlgoOrder]) -> None:
        before = self._levels.get(leg)
        if not covers:
            if before is not None:
                del self._levels[leg]
                self._uncovered(leg)
            return
        # A stop from before the position is left over from the one before it, whose level was another trade's.
        triggers = [
            algo.sl_trigger_px
            for algo in covers
            if algo.sl_trigger_px is not None and algo.created_ms >= position.created_ms
        ]
        if not triggers:
            return
        level = max(triggers) if position.direction > 0 else min(triggers)
        self._levels[leg] = level
        loosened = before is not None and (level - before) * position.direction < 0
        if (
            loosened
            and not self._ended_by_venue(leg[0], before)
            and not self._hand
            and not self.is_disturbed(leg[0])
        ):
            self.violate("S9", f"the stop of {leg} went from {before} to {level}")

    def _ended_by_venue(self, instrument: str, level: Decimal | None) -> bool:
        """Whether the stop that was the tightest one has fired or failed: a looser one beside it was not moved."""
        gone = next((one for one in reversed(self._account.algos_done) if one.inst_id == instrument), None)
        return gone is not None and gone.sl_trigger_px == level and gone.state != "canceled"

    def _uncovered(self, leg: Leg) -> None:
        """A cover is gone and its position is not: whose doing?"""
        gone = next(reversed(self._account.algos_done), None)
        by_venue = gone is not None and gone.state != "canceled"
        if not self._hand and not by_venue and not self.is_disturbed(leg[0]):
            self.violate("S10", f"the cover of {leg} was removed")


def _made_for(client_id: str) -> Made | None:
    parsed = ids.parse(client_id)
    return parsed.made_for if parsed is not None else None
