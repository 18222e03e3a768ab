"""Defects that bots of this kind have had, each as a small patch of our production code, and the run that catches it.

The patch is the plant: nothing here stands in for a part of ours that is then not tested. Every plan is also played
without its plant, and then nothing is violated, so that what catches a defect is the defect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from anchorwatch.io import account, engine, links, perform
from anchorwatch.io.account import AccountCalls
from anchorwatch.io.birth import StrategyChoice
from anchorwatch.io.journal import Journal
from anchorwatch.io.okx.errors import Remedy, classify_login
from anchorwatch.io.okx.outcomes import Answered, Unknown
from anchorwatch.io.okx.requests import AlgoCancel, OrderRequest
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.simulation.faults import Fault, Kind
from anchorwatch.io.simulation.scenario import Scenario, find_scenario
from anchorwatch.machine import bot as bots
from anchorwatch.machine import (
    connection,
    gate,
    protection,
    requests,
    trailing_stop,
    world,
)
from anchorwatch.machine.bot import Part
from anchorwatch.machine.desk import PERFORMERS, belts, stops, sweeping
from anchorwatch.machine.desk.context import of_leg
from anchorwatch.machine.facts import Fact, LegPeakFact
from anchorwatch.machine.kernel import Definition, Effect

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Defect:
    """`caught_by` are the properties of which at least one must be violated."""

    name: str
    plant: Plant
    caught_by: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    scenario: str = "entry"
    for_s: float = 75.0
    seed: int = 3
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    strategy: StrategyChoice | None = None

    def story(self) -> Scenario:
        found = find_scenario(self.scenario)
        settings = {name: dict(own) for name, own in found.settings.items()}
        for section, own in self.settings.items():
            settings[section] = {**settings.get(section, {}), **own}
        return msgspec.structs.replace(
            found,
            for_s=self.for_s,
            settings=settings,
            random_faults=False,
            strategy=self.strategy or found.strategy,
            market=msgspec.structs.replace(found.market, seed=3),
        )


DEFECTS: list[Defect] = []


def defect(*caught_by: str, **plan: Any) -> Callable[[Plant], Plant]:
    def keep(plant: Plant) -> Plant:
        DEFECTS.append(Defect(plant.__name__, plant, caught_by, **plan))
        return plant

    return keep


def nothing(*_: object, **__: object) -> None:
    """Done instead of what should be done."""


def without_rows(patch: pytest.MonkeyPatch, part: Part, *guards: str) -> None:
    """The part's table without the rows that these guards allow."""
    before = bots.DEFINITIONS[part]
    rows = [row for row in before.rows if row.when is None or row.when.__name__ not in guards]
    patch.setitem(bots.DEFINITIONS, part, Definition(before.name, before.initial, rows))


def unperformed(patch: pytest.MonkeyPatch, effect: type[Effect]) -> None:
    """Nobody does what this effect asks for."""
    performers: dict[Any, Any] = PERFORMERS
    patch.setitem(performers, effect, nothing)


def at(kind: Kind, at_s: float, **more: Any) -> Fault:
    return Fault(kind=kind, at_s=at_s, **more)


# The journal.

BEHIND = 20


@defect("S2")
def the_journal_is_written_after_the_order_is_sent(patch: pytest.MonkeyPatch) -> None:
    written = perform.Performer.record
    waiting: list[Sequence[requests.Record]] = []

    def later(self: perform.Performer, effects: Sequence[requests.Record]) -> bool:
        """These are written when so many others have come after them."""
        waiting.append(effects)
        return len(waiting) <= BEHIND or written(self, waiting.pop(0))

    patch.setattr(perform.Performer, "record", later)


@defect("S1", "S17", faults=(at(Kind.HALT, 40, for_s=200), at(Kind.KILLED, 45, for_s=2)))
def a_halt_is_not_kept_over_a_crash(patch: pytest.MonkeyPatch) -> None:
    read = Journal.read
    patch.setattr(Journal, "read", lambda self: msgspec.structs.replace(read(self), permission=None))


@defect("S6", scenario="stop-triggered", for_s=110, faults=(at(Kind.KILLED, 100, for_s=2),))
def the_peak_is_lost_in_a_restart(patch: pytest.MonkeyPatch) -> None:
    read = Journal.read

    def without_peaks(self: Journal) -> Any:
        facts = read(self)
        legs = tuple(msgspec.structs.replace(leg, peak=None) for leg in facts.legs)
        return msgspec.structs.replace(facts, legs=legs)

    patch.setattr(Journal, "read", without_peaks)
    patch.setattr(AccountCalls, "read_peak", _no_peak)


@defect("S18", scenario="part-taken", for_s=120, faults=(at(Kind.KILLED, 92, for_s=2),))
def a_part_that_was_taken_is_forgotten_in_a_restart(patch: pytest.MonkeyPatch) -> None:
    read = Journal.read

    def without_parts(self: Journal) -> Any:
        facts = read(self)
        legs = tuple(msgspec.structs.replace(leg, partials=()) for leg in facts.legs)
        return msgspec.structs.replace(facts, legs=legs)

    patch.setattr(Journal, "read", without_parts)


async def _no_peak(self: AccountCalls, request: requests.ReadPeak) -> world.PeakRead:
    return world.PeakRead(request.leg, request.since_ms, request.is_found, None)


@defect("S6", for_s=80, faults=(at(Kind.KILLED, 65, for_s=2),))
def the_entry_time_is_now_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    read = Journal.read

    def now(self: Journal) -> Any:
        facts = read(self)
        legs = tuple(
            msgspec.structs.replace(
                leg,
                opened=leg.opened
                and msgspec.structs.replace(leg.opened, entered_at_ms=leg.opened.entered_at_ms + 5000),
            )
            for leg in facts.legs
        )
        return msgspec.structs.replace(facts, legs=legs)

    patch.setattr(Journal, "read", now)


# Orders.


@defect("S0", "S3", "S4", faults=(at(Kind.TIMEOUT_AFTER, 55, where="trade/order"),))
def an_order_without_an_answer_is_sent_again(patch: pytest.MonkeyPatch) -> None:
    place = OkxRest.place_order

    async def twice(self: OkxRest, request: Any, **how: Any) -> Any:
        outcome = await place(self, request, **how)
        if isinstance(outcome, Unknown):
            again = f"{request.cl_ord_id[:-2]}zz"  # the blind retry of a random id for each call
            return await place(self, msgspec.structs.replace(request, cl_ord_id=again), **how)
        return outcome

    patch.setattr(OkxRest, "place_order", twice)


@defect("S1", faults=(at(Kind.PAUSE, 40, for_s=60),))
def the_gate_is_opened_by_waiting(patch: pytest.MonkeyPatch) -> None:
    """Whoever waits long enough may trade, whatever is missing."""
    for room in (bots, gate):
        patch.setattr(room, "standing_obstacles", lambda *_: ())


@defect(
    "S1",
    faults=(at(Kind.LATE_PROCESSING, 55, where="trade/order", size=9), at(Kind.PAUSE, 61, for_s=60)),
    for_s=80,
)
def an_entry_never_expires(patch: pytest.MonkeyPatch) -> None:
    place = OkxRest.place_order

    async def for_ever(self: OkxRest, request: Any, **how: Any) -> Any:
        return await place(self, request, **{**how, "expires_ms": how["expires_ms"] + 600_000})

    patch.setattr(OkxRest, "place_order", for_ever)


@defect("S11", scenario="busy-market", for_s=200, settings={"account": {"position_mode": "net"}})
def closes_are_not_reduce_only(patch: pytest.MonkeyPatch) -> None:
    made = OrderRequest
    patch.setattr(account, "OrderRequest", lambda **what: made(**{**what, "reduce_only": False}))


@defect("S11", scenario="busy-market", for_s=200)
def a_close_names_the_other_leg(patch: pytest.MonkeyPatch) -> None:
    """In hedge mode it opens the opposite position."""
    made = OrderRequest

    def other(**what: Any) -> Any:
        if what["tag"] == "awexit":
            what["pos_side"] = "short" if what["pos_side"] == "long" else "long"
        return made(**what)

    patch.setattr(account, "OrderRequest", other)


# Stops.


@defect("S10", scenario="stop-triggered", for_s=110)
def a_stop_is_moved_by_cancelling_it_and_making_another(patch: pytest.MonkeyPatch) -> None:
    async def cancel_then_create(self: AccountCalls, request: requests.MoveStop) -> Any:
        resting = await self._rest.algos_pending(inst_id=request.leg.instrument)
        assert isinstance(resting, Answered)
        for row in resting.rows:
            await self._rest.cancel_algos([AlgoCancel(inst_id=request.leg.instrument, algo_id=row.algo_id)])
        return account._told_stop(request.leg, protection.MoveAccepted(request.seq))

    patch.setattr(AccountCalls, "move_stop", cancel_then_create)


@defect("S9", scenario="stop-triggered", for_s=130)
def the_stop_follows_the_price_both_ways(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trailing_stop, "further_peak", lambda *prices: prices[-1])
    patch.setattr(trailing_stop, "is_real_improvement", lambda *_: True)
    patch.setattr(trailing_stop, "is_tighter", lambda *_: True)


# The position outlives the run: with its end every stop of the leg goes, the forgotten belt among them.
@defect(
    "L1",
    "S9",
    "S15",
    for_s=65,
    settings={
        "protection": {
            "stop_fraction": Decimal("0.05"),
            "trail_activation_fraction": Decimal("0.05"),
            "take_profit_fraction": 0,
        }
    },
    strategy=StrategyChoice(
        name="anchorwatch.io.simulation.busy:Busy", options={"enter_share": 1.0, "exit_share": 0.0}
    ),
)
def the_belt_is_not_swept(patch: pytest.MonkeyPatch) -> None:
    unperformed(patch, protection.SweepOthers)
    patch.setattr(belts, "sweep_the_left", nothing)
    patch.setattr(sweeping, "sweep_orphans", nothing)


@defect("S7", "L1", "S15", faults=(at(Kind.ATTACHED_MISSING, 50),), for_s=65)
def no_stop_is_asked_for_because_the_entry_has_one(patch: pytest.MonkeyPatch) -> None:
    unperformed(patch, protection.PlaceStop)
    unperformed(patch, protection.StartNakedClock)


@defect(
    "L1",
    "S15",
    "S7",
    faults=(at(Kind.KILLED, 65, for_s=2), at(Kind.HUMAN, 65.5, where="cancel_stop")),
    for_s=80,
)
def the_lists_of_stops_are_not_read(patch: pytest.MonkeyPatch) -> None:
    """The stop of the last life is believed in, and nobody looks."""

    async def believed(self: AccountCalls, request: requests.ReadStops) -> Any:
        return account._told_stop(request.leg, protection.StopSeenLive(request.seq))

    patch.setattr(stops, "check_cover", nothing)
    patch.setattr(stops, "adopt_resting", _believe)
    patch.setattr(AccountCalls, "read_stops", believed)


def _believe(context: Any, leg: Any) -> bool:
    leg.resting = leg.wanted
    context.tell(of_leg(Part.PROTECTION, leg.leg), protection.CoverAdopted(context.next_sequence()))
    return True


# Connections.


@defect(
    "R6",
    for_s=240,
    faults=(at(Kind.RESET, 20, where="all"), at(Kind.RESET, 130, where="all")),
)
def the_count_of_attempts_is_never_reset(patch: pytest.MonkeyPatch) -> None:
    before = bots.DEFINITIONS[Part.CONNECTION]
    rows = [
        msgspec.structs.replace(row, then=None) if row.event is connection.LiveLasted and row.then else row
        for row in before.rows
    ]
    patch.setitem(bots.DEFINITIONS, Part.CONNECTION, Definition(before.name, before.initial, rows))


@defect("L1", for_s=60, faults=(at(Kind.LOGIN_REFUSED, 20, where="private"),))
def a_refused_login_is_the_end(patch: pytest.MonkeyPatch) -> None:
    def final(code: str) -> Any:
        return msgspec.structs.replace(classify_login(code), remedy=Remedy.STOP)

    patch.setattr(links, "classify_login", final)


@defect("L1", for_s=40, faults=(at(Kind.REFUSED, 20, for_s=8),))
def a_failed_reconnect_disarms_the_reconnect(patch: pytest.MonkeyPatch) -> None:
    opened = links.Links.open

    def once(self: links.Links, effect: connection.OpenSocket) -> None:
        if effect.epoch <= 3:
            opened(self, effect)

    patch.setattr(links.Links, "open", once)


@defect("S6", scenario="stop-triggered", for_s=110, faults=(at(Kind.KILLED, 100, for_s=2),))
def what_is_said_to_be_recorded_is_not(patch: pytest.MonkeyPatch) -> None:
    """The peak is announced as durable, and never written."""
    take = Journal._take

    def forgetful(self: Journal, fact: Fact) -> None:
        if not isinstance(fact, LegPeakFact):
            take(self, fact)

    patch.setattr(Journal, "_take", forgetful)
    patch.setattr(AccountCalls, "read_peak", _no_peak)


@defect(
    "S7", "L1", "S15", for_s=70,
    faults=(at(Kind.ATTACHED_MISSING, 50), at(Kind.RATE_LIMIT, 50, where="trade/order-algo")),
)  # fmt: skip
def a_refused_stop_is_not_tried_again(patch: pytest.MonkeyPatch) -> None:
    unperformed(patch, protection.StartRetry)
    unperformed(patch, protection.StartNakedClock)


@defect(
    "S7", "L1", "S15", for_s=70,
    faults=(at(Kind.ATTACHED_MISSING, 50), at(Kind.TIMEOUT_BEFORE, 50, where="trade/order-algo")),
)  # fmt: skip
def a_stop_without_an_answer_is_believed_in(patch: pytest.MonkeyPatch) -> None:
    async def believed(self: AccountCalls, request: requests.ReadStops) -> Any:
        return account._told_stop(request.leg, protection.StopSeenLive(request.seq))

    patch.setattr(AccountCalls, "read_stops", believed)
    patch.setattr(stops, "check_cover", nothing)


@defect("L7", "S15", for_s=65)
def the_stop_leaves_its_sockets_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(links.Links, "abandon", nothing)


@defect("S1", "S15", "L7", for_s=90, faults=(at(Kind.STOP, 58, for_s=20),))
def a_bot_that_was_asked_to_stop_goes_on_trading(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine.Engine, "request_stop", nothing)
