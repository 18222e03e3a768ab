"""A clock in the exchange that measures how long positions stand without a stop, in exchange time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.orders import AlgoOrder
from anchorwatch.io.venue.positions import Position

Leg = tuple[str, str]
"""Instrument and direction ("long", "short")."""


def leg_of(inst_id: str, pos_side: str, position: Position | None) -> Leg | None:
    """The leg of a position; in net mode its direction says which. None while it is flat in net mode."""
    if pos_side in ("long", "short"):
        return (inst_id, pos_side)
    if position is None or not position.is_open:
        return None
    return (inst_id, "long" if position.direction > 0 else "short")


def live_covers(account: Account, position: Position) -> list[AlgoOrder]:
    """The live stop-losses that would each close the whole of this position."""
    closing = "sell" if position.direction > 0 else "buy"
    size = abs(position.contracts)
    return [
        algo
        for algo in account.algos.values()
        if algo.is_pending
        and (algo.inst_id, algo.margin_mode, algo.pos_side) == position.key
        and algo.side == closing
        and algo.sl_trigger_px is not None
        and (algo.closes_whole_position or (algo.contracts is not None and algo.contracts >= size))
    ]


@dataclass(slots=True)
class _Spell:
    since_ms: int
    by: str  # whose act opened it: "" the bot's or the exchange's


@dataclass(slots=True)
class GhostClock:
    """Spells without cover, in milliseconds, from the first fill (or the loss of cover) to cover or flat.

    `spells_ms` are of what the bot did or the exchange did to it; `others_ms` began with somebody else's act.
    """

    spells_ms: list[int] = field(default_factory=list)
    others_ms: list[int] = field(default_factory=list)
    # Told when a spell begins.
    on_naked: Callable[[], None] = lambda: None
    _open: dict[Leg, _Spell] = field(default_factory=dict)
    _known: dict[Leg, None] = field(default_factory=dict)  # in the order of their opening

    def look(self, leg: Leg, now_ms: int, *, is_covered: bool, by: str) -> None:
        """The leg is open now; whether something covers it."""
        running = self._open.get(leg)
        if is_covered:
            if running is not None:
                self._end(leg, now_ms)
            elif leg not in self._known:
                self._note(by, 0)
            self._known[leg] = None
            return
        self._known[leg] = None
        if running is None:
            self._open[leg] = _Spell(now_ms, by)
            self.on_naked()

    def flat(self, inst_id: str, open_legs: Collection[Leg], now_ms: int) -> None:
        """Every other leg of the instrument is flat now."""
        for leg in [known for known in self._known if known[0] == inst_id and known not in open_legs]:
            self._known.pop(leg, None)
            if leg in self._open:
                self._end(leg, now_ms)

    @property
    def is_running(self) -> bool:
        """Whether something stands without cover now."""
        return bool(self._open)

    def running_ms(self, now_ms: int) -> dict[Leg, int]:
        """What stands without cover now, and for how long."""
        return {leg: now_ms - spell.since_ms for leg, spell in self._open.items()}

    def _end(self, leg: Leg, now_ms: int) -> None:
        spell = self._open.pop(leg)
        self._note(spell.by, now_ms - spell.since_ms)

    def _note(self, by: str, spell_ms: int) -> None:
        (self.others_ms if by else self.spells_ms).append(spell_ms)
