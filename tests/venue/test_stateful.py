"""Random lives of the desk against the exchange as a library: at every quiet moment both hold the same.

Orders, fills in parts, amendments, cancels, stops and their moves, closes, pauses and moves of the market, in net and
in hedge mode, while answers and pushes are lost, requests are refused, connections break and a person trades.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from anchorwatch.diagrams.check.acceptance import accepts
from anchorwatch.io.venue.faults import Fault, FaultKind
from anchorwatch.io.venue.positions import Position
from anchorwatch.machine import connection, lifecycle, order, permission, position, protection, reconciliation
from anchorwatch.machine import desk as desks
from anchorwatch.machine.bot import LIFECYCLE, PERMISSION, Address, Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import PERFORMERS
from anchorwatch.machine.ledger import Account
from anchorwatch.machine.parameters import Making
from anchorwatch.machine.units import LegKey, OrderKind, PositionMode, Side, closing_deal, opening_deal
from tests.machine.desk_rig import BTC
from tests.staged import OTHER_WAY
from tests.venue.library import LibraryRig

START_PX = Decimal(60_000)
TICK = Decimal("0.1")
# A reading a minute, the retries of what is in doubt, and the exchange's own histories: all is asked for by then.
CONVERGES_WITHIN_S = 150

ZERO = Decimal(0)
# An average that was read from the exchange has the digits that it writes.
AVERAGE_ROUNDED_BY = Decimal("1e-9")

SIDES = st.sampled_from(list(Side))
# In hundredths of a percent of the price: beyond 60 the stop of 0.6 % is reached.
MOVES = st.integers(-90, 90)
ENDPOINTS = st.sampled_from(
    [
        "trade/order", "trade/cancel-order", "trade/amend-order", "trade/order-algo", "trade/amend-algos",
        "trade/cancel-algos", "trade/orders-algo-pending", "account/positions", "trade/orders-pending",
    ]
)  # fmt: skip
UNANSWERED: st.SearchStrategy[FaultKind] = st.sampled_from(
    ["accept_then_timeout", "reject_then_timeout", "reject_with_code", "accept_then_code", "html_error"]
)
PUSHED = st.sampled_from(["orders", "positions", "orders-algo"])
SPOILT: st.SearchStrategy[FaultKind] = st.sampled_from(["drop_push", "duplicate_push", "reorder_push"])


class DeskAndExchange(RuleBasedStateMachine):
    """One desk, one account, one instrument; and, unless it is alone, persons and lost pushes."""

    is_alone = False

    @initialize(
        mode=st.sampled_from(list(PositionMode)),
        kind=st.sampled_from([OrderKind.MARKET, OrderKind.POST_ONLY]),
        other_way=st.booleans(),
    )
    def start(self, mode: PositionMode, kind: OrderKind, other_way: bool) -> None:
        self.px = START_PX
        self.rig = LibraryRig(mode, making=Making(kind), switches=OTHER_WAY if other_way else None)
        self.is_disturbed = False  # something was lost or done behind the desk's back, and not yet looked for
        self.is_ours_alone = True  # every trade was the bot's, and every push of one arrived
        self.rig.tell(LIFECYCLE, lifecycle.StartRequested())
        self.rig.settle()
        self.rig.live_s(2, self.px)
        assert self.rig.stage() is lifecycle.S.READY, self.rig.bot.missing

    # What the market does.

    @rule(move=MOVES, seconds=st.integers(1, 6), thin=st.booleans())
    def trade(self, move: int, seconds: int, thin: bool) -> None:
        """Trading at another price; thin trading fills a resting order only in part."""
        self.px = (self.px * (10_000 + move) / 10_000).quantize(TICK)
        self.rig.live_s(seconds, self.px, Decimal("0.05") if thin else None)

    @rule(move=MOVES)
    def settle_there(self, move: int) -> None:
        """Until mark, which follows slowly, has come there too."""
        self.px = (self.px * (10_000 + move) / 10_000).quantize(TICK)
        self.rig.live_s(40, self.px)

    # What the bot is made to do.

    @rule(side=SIDES)
    def signal(self, side: Side) -> None:
        self.rig.cross(side)
        self.rig.settle()

    @rule(side=SIDES)
    def close(self, side: Side) -> None:
        self.rig.tell(self._of(Part.POSITION, side), position.CloseWanted("the story asks"))
        self.rig.settle()

    @rule(side=SIDES)
    def cancel_the_entry(self, side: Side) -> None:
        seq = self.rig.slot(LegKey(BTC, side)).entry.data.seq
        self.rig.tell(self._of(Part.ENTRY, side), order.CancelWanted(seq, "the story asks"))
        self.rig.settle()

    @rule(pauses=st.booleans())
    def pause_or_resume(self, pauses: bool) -> None:
        asked = permission.PauseRequested("the story asks") if pauses else permission.ResumeRequested()
        self.rig.tell(PERMISSION, asked)
        self.rig.settle()

    # What goes wrong.

    @rule(kind=UNANSWERED, endpoint=ENDPOINTS, after=st.integers(0, 1))
    def an_answer_is_lost(self, kind: FaultKind, endpoint: str, after: int) -> None:
        self._fault(kind, where=endpoint, after=after)

    @precondition(lambda self: not self.is_alone)
    @rule(kind=SPOILT, channel=PUSHED, times=st.integers(1, 3))
    def pushes_are_spoilt(self, kind: FaultKind, channel: str, times: int) -> None:
        self._fault(kind, where=channel, times=times)
        self.is_ours_alone = False

    @precondition(lambda self: not self.is_alone and not self.is_disturbed)
    @rule(name=st.sampled_from([Name.PRIVATE, Name.PRIVATE_BUSINESS]))
    def a_connection_is_lost(self, name: Name) -> None:
        if self.rig.bot.link(name).state is connection.S.LIVE:
            self.rig.lose_private(name)
            self._disturb()
            self.is_ours_alone = False

    @precondition(lambda self: not self.is_alone)
    @rule(side=SIDES, contracts=st.sampled_from(["0.02", "0.1", "0.25"]), opens=st.booleans())
    def a_person_trades(self, side: Side, contracts: str, opens: bool) -> None:
        deal = opening_deal(side) if opens else closing_deal(side)
        is_hedge = self.rig.mode is PositionMode.HEDGE
        self.rig.rig.order(deal.value, contracts, posSide=side.value if is_hedge else "")
        self._disturb()
        self.is_ours_alone = False
        self.rig.settle()

    @precondition(lambda self: not self.is_alone)
    @rule()
    def a_person_cancels_a_stop(self) -> None:
        self.rig.rig.venue.advance()
        for algo in self.rig.rig.venue.algos()[:1]:
            account = self.rig.account
            self.rig.rig.venue.algos_room.cancel(account, account.algos[algo.algo_id])
        self._disturb()
        self.rig.settle()

    # What must hold.

    @rule()
    def all_is_healed_and_comes_to_rest(self) -> None:
        self.rig.rig.venue.faults.heal()
        for _ in range(CONVERGES_WITHIN_S):
            self.rig.live_s(1, self.px)
            if not self.is_disturbed and self._is_quiet():
                break
        assert self._is_quiet(), f"not at rest: {self._words()}"
        self.is_disturbed = False

    @invariant()
    def at_a_quiet_moment_both_hold_the_same(self) -> None:
        if not self.is_disturbed and self._is_quiet():
            self._agree()

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.all_is_healed_and_comes_to_rest()
            self._agree()
            rejections = accepts(self.rig.trace).rejections
            assert not rejections, "\n".join(line for one in rejections for line in one.lines())

    # Looking.

    def _of(self, part: Part, side: Side) -> Address:
        return Address(part, leg=LegKey(BTC, side))

    def _fault(self, kind: FaultKind, **more: Any) -> None:
        self.rig.rig.venue.faults.add(Fault(kind=kind, **more))
        self._disturb()

    def _disturb(self) -> None:
        self.is_disturbed = True

    def _is_quiet(self) -> bool:
        bot = self.rig.bot
        return (
            bot.reconciliation.state is reconciliation.S.SETTLED
            and all(connection.delivers(link) for link in bot.links)
            and all(
                (slot.entry.state in order.FREE or slot.entry.state is order.S.LIVE)
                and slot.close.state in order.FREE
                and slot.position.state in (position.S.FLAT, position.S.ENTERING, position.S.OPEN)
                and slot.protection.state in (protection.S.NONE, protection.S.COVERED)
                for slot in (self.rig.slot(LegKey(BTC, side)) for side in Side)
            )
        )

    def _held(self, side: Side) -> Position | None:
        return next((one for one in self.rig.account.open_positions() if one.direction == side.sign), None)

    def _agree(self) -> None:
        account = self.rig.account
        for side in Side:
            held, book = self._held(side), self.rig.leg(LegKey(BTC, side))
            contracts, average = (abs(held.contracts), held.avg_px) if held is not None else (ZERO, ZERO)
            assert book.total == contracts, self._words()
            assert abs(book.account.average_price - average) < AVERAGE_ROUNDED_BY, self._words()
            slot = self.rig.slot(LegKey(BTC, side))
            assert (held is not None) == (slot.position.state is position.S.OPEN), self._words()
            stops = [algo for algo in account.algos.values() if algo.side == closing_deal(side).value]
            assert len(stops) == (held is not None), self._words()
            if held is not None:
                [stop] = stops
                assert stop.closes_whole_position or stop.contracts == abs(held.contracts), self._words()
                assert stop.sl_trigger_px == book.resting, self._words()
                assert slot.protection.state is protection.S.COVERED, self._words()
        if self.is_ours_alone:
            totals = self.rig.desk.context.book.totals
            assert totals.fills == len(account.fills)
            assert totals.fees == -sum((fill.fee for fill in account.fills), ZERO)
            assert totals.realised_pnl == sum((fill.pnl for fill in account.fills), ZERO)

    def _words(self) -> str:
        legs = [
            f"{side.value}: {self.rig.slot(LegKey(BTC, side))} book {self.rig.leg(LegKey(BTC, side)).account} "
            f"exchange {self._held(side)}"
            for side in Side
        ]
        stops = [
            f"{algo.client_id} {algo.side} {algo.sl_trigger_px}" for algo in self.rig.account.algos.values()
        ]
        last = [
            f"{move.machine} {move.id} {move.source}>{move.dest} on {move.trigger}"
            for move in self.rig.moves[-25:]
        ]
        return "\n".join([*legs, f"stops {stops}", str(self.rig.bot.reconciliation), *last])


class DeskAloneWithExchange(DeskAndExchange):
    """Every trade is the bot's and every push arrives, so that fees and profits must be the same to the last digit."""

    is_alone = True


EXAMPLES = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDeskAndExchange = DeskAndExchange.TestCase
TestDeskAndExchange.settings = EXAMPLES
TestDeskAloneWithExchange = DeskAloneWithExchange.TestCase
TestDeskAloneWithExchange.settings = EXAMPLES


@pytest.mark.parametrize("opens", [True, False])
def test_a_close_whose_opening_was_never_heard_of_leaves_no_position_behind(opens: bool) -> None:
    """A person sells, unheard, and buys back: to the bot that opens a long, and there is none."""
    state = DeskAndExchange()
    state.start(PositionMode.NET, OrderKind.MARKET, other_way=False)
    state.pushes_are_spoilt("drop_push", "orders", 2)  # that it is live, and that it has filled
    state.a_person_trades(Side.SHORT, "0.02", opens)
    state.a_person_trades(Side.SHORT, "0.02", not opens)
    state.all_is_healed_and_comes_to_rest()
    state._agree()
    assert state.rig.slot(LegKey(BTC, Side.LONG)).position.state is position.S.FLAT


# The machine itself is shown to notice: each of these is a defect that a book can have.


def average_is_the_last_price(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Account.opened
    monkeypatch.setattr(
        Account,
        "opened",
        lambda self, contracts, price, fee: msgspec.structs.replace(
            opened(self, contracts, price, fee), average_price=price
        ),
    )


def profit_forgets_the_contract_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Account,
        "pnl_of",
        lambda self, contracts, price: self.side.sign * contracts * (price - self.average_price),
    )


def nothing(*_: object) -> None:
    """What a forgotten call does."""


def stops_of_a_closed_leg_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    forgetful: dict[Any, Any] = {**PERFORMERS, protection.SweepAll: nothing}
    monkeypatch.setattr(desks, "PERFORMERS", forgetful)


@pytest.mark.parametrize(
    ("plant", "machine"),
    [
        (average_is_the_last_price, DeskAndExchange),
        (profit_forgets_the_contract_size, DeskAloneWithExchange),
        (stops_of_a_closed_leg_are_left, DeskAloneWithExchange),
    ],
)
def test_a_planted_defect_is_noticed(
    plant: Callable[[pytest.MonkeyPatch], None], machine: type[DeskAndExchange]
) -> None:
    found = settings(
        EXAMPLES, max_examples=400, derandomize=True, database=None, phases=[Phase.generate], print_blob=False
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        plant(monkeypatch)
        with pytest.raises(AssertionError):
            run_state_machine_as_test(machine, settings=found)
