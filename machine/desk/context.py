"""What the rooms of the desk share while one event is handled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from anchorwatch.machine import bot as bots
from anchorwatch.machine import guards, maintenance
from anchorwatch.machine.book import Book
from anchorwatch.machine.bot import Address, Addressed, Bot
from anchorwatch.machine.desk.chart import Chart
from anchorwatch.machine.kernel import Data, Definition, Effect, Event, Snapshot
from anchorwatch.machine.parameters import ExitSettings, Parameters
from anchorwatch.machine.regime import RegimeState
from anchorwatch.machine.requests import Announce
from anchorwatch.machine.roster import of_leg as of_leg
from anchorwatch.machine.strategy.asking import Asker, decider
from anchorwatch.machine.units import Conduct, LegKey

T = TypeVar("T", bound=Data)

WATCH = Conduct.WATCH

NEVER_MS = 2**62
"""When something that waits for no moment is due."""

Performer = Callable[["Context", Address, Any], None]


class Context:
    """The bot, the book and the clock reading of one event, and where the answers are collected.

    ``started_ms`` is when this life began. ``now_ms`` is the venue's time as far as it is known. ``report_ms`` is the venue time
    of the report that is being handled: what it says happened then, not now.
    """

    def __init__(
        self,
        parameters: Parameters,
        bot: Bot,
        generation: str,
        regimes: Mapping[str, RegimeState] | None = None,
        asker: Asker = decider,
        *,
        tells_moves: bool = True,
    ) -> None:
        known = regimes if regimes is not None else {}
        self.parameters = parameters
        self.bot = bot
        self.book = Book()
        self.charts = {
            name: Chart(name, trading, known.get(name), asker) for name, trading in parameters.instruments
        }
        self.generation = generation
        self.now_ms = 0
        self.started_ms = 0
        self.is_first_life = False  # the journal is new: a first start, or a lost disk
        self.last_alive_ms = 0  # by when the life before this one was over; 0: there was none
        self.report_ms = 0
        self.exits: dict[str, ExitSettings] = {}  # by instrument, with the bounds of its protection in them
        self.liquidation: dict[LegKey, Snapshot[guards.Nothing]] = {}
        self.slippage: dict[str, Snapshot[guards.Nothing]] = {}
        self.maintenance: Snapshot[maintenance.Nothing] = maintenance.MAINTENANCE.initial
        self.effects: list[Effect] = []
        self.performers: dict[type[Effect], Performer] = {}
        self.tells_moves = tells_moves
        self._stop_serial = 0
        self.ask: Callable[[Effect], None] = self.effects.append
        """Something for the shell."""

    def may_touch(self, instrument: str) -> bool:
        """Whether anything of this instrument may be changed at all."""
        return self.parameters.conduct is not WATCH and instrument not in self.bot.hands_off

    def adopts(self, instrument: str) -> bool:
        """Whether positions of this instrument that others opened are taken over."""
        return self.parameters.is_exclusive and self.may_touch(instrument)

    def tell(self, address: Address, event: Event) -> None:
        """Give a control event to its machine, and put numbers to what the machines ask for."""
        outcome = bots.step(self.bot, address, event, tells_moves=self.tells_moves)
        self.bot = outcome.bot
        performers, effects = self.performers, self.effects
        for step in outcome.trail:
            if type(step) is Addressed:
                performer = performers.get(type(step.effect))
                if performer is not None:
                    performer(self, step.address, step.effect)
                    continue
            effects.append(step)

    def step(
        self, definition: Definition[T], id: str, before: Snapshot[T], event: Event
    ) -> tuple[Snapshot[T], tuple[Effect, ...]]:
        """One step of a machine that the desk keeps for itself, recorded like all others."""
        after, effects = definition.step(before, event)
        if self.tells_moves and after.state is not before.state:
            self.effects.append(bots.move_of(definition.name, id, before, event, after))
        return after, effects

    def liquidation_of(self, leg: LegKey) -> Snapshot[guards.Nothing]:
        return self.liquidation.get(leg, guards.LIQUIDATION.initial)

    def slippage_of(self, instrument: str) -> Snapshot[guards.Nothing]:
        return self.slippage.get(instrument, guards.SLIPPAGE.initial)

    def pass_on(self, address: Address, effect: Effect) -> None:
        """An effect that needs no numbers."""
        self.effects.append(Addressed(address, effect))

    def announce(self, level: str, name: str, **fields: object) -> None:
        self.effects.append(Announce(level, name, tuple([(key, str(fields[key])) for key in fields])))

    def next_sequence(self) -> int:
        """A sequence for what is found rather than wanted: from the one source, or a later one would repeat it."""
        self.bot = bots.with_next_sequence(self.bot)
        return self.bot.sequence

    def next_stop_serial(self) -> int:
        """Numbers stops: every placement gets a client id of its own."""
        self._stop_serial += 1
        return self._stop_serial

    def take_effects(self) -> tuple[Effect, ...]:
        if not self.effects:
            return ()  # as after most events
        effects = tuple(self.effects)
        self.effects.clear()
        return effects
