"""Any order of our fills, strangers' trades, lost pushes and readings: in the end our part is ours, and theirs is theirs."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anchorwatch.machine import position, reconciliation, requests, world
from anchorwatch.machine.bot import RECONCILIATION
from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.units import Deal
from anchorwatch.machine.world import OrderReport
from tests.machine.desk_rig import LONG, DeskRig, px

STEP = px("0.01")
DOINGS = ("our fill", "they add", "they take", "late push", "reading", "time")
ZERO = Decimal(0)


class Story:
    """The venue's truth beside the desk: what is ours, what is theirs, and which pushes are still under way."""

    def __init__(self) -> None:
        self.rig = DeskRig(is_exclusive=False).booted()
        self.ticket: OrderTicket = self.rig.enter()
        self.ours = self.theirs = self.sold_of_ours = ZERO
        self.changed_ms = self.rig.now_ms
        self.late: list[OrderReport] = []
        self.last: OrderReport | None = None
        self.our_fill(is_lost=False)

    def our_fill(self, *, is_lost: bool) -> None:
        left = self.ticket.contracts - self.rig.sold.get(f"v{self.ticket.client_id}", (ZERO, ZERO))[0]
        if left <= STEP or (not self.is_ours_open and self.ours):
            return
        self.rig.pass_s(1)
        self.ours += STEP
        self.last = self.rig.filled(self.ticket, STEP, 60_000)
        self._tell(self.last, is_lost=is_lost)

    def strangers(self, deal: Deal, contracts: Decimal, *, is_lost: bool) -> None:
        if deal is Deal.SELL:
            # What is taken beyond what is known to be theirs counts as a close of ours by hand: another story.
            contracts = min(contracts, self.theirs, self.rig.leg().others)
        if not contracts:
            return
        self.rig.pass_s(1)
        self.theirs += contracts if deal is Deal.BUY else -contracts
        self._tell(self.rig.traded(LONG, deal, contracts, 60_000), is_lost=is_lost)

    def _tell(self, report: OrderReport, *, is_lost: bool) -> None:
        self.changed_ms = self.rig.now_ms
        if is_lost:
            self.late.append(report)
        else:
            self.rig.say(world.OrderPushed(report))

    @property
    def is_ours_open(self) -> bool:
        return self.rig.slot().position.state in position.OURS

    def read(self) -> None:
        """A complete reading of the venue as it is, with our stop, and our own orders where they are asked for."""
        self.rig.pass_s(1)
        total = self.ours + self.theirs
        shown = msgspec.structs.replace(self.rig.position(total), updated_ms=self.changed_ms)
        self.rig.tell(RECONCILIATION, reconciliation.BookDoubted("a reading is asked for"))
        for _ in range(6):
            readings = self.rig.taken(reconciliation.ReadAccount)
            asked = self.rig.taken(requests.ReadOwnOrders)
            if readings:
                stops = tuple(self.rig.leg().stops.values())
                reading = self.rig.reading(*([shown] if total else []), stops=stops)
                self.rig.say(world.AccountRead(readings[-1].seq, reading))
            if asked:
                orders = (self.last,) if self.last is not None else ()
                self.rig.say(world.OwnOrdersRead(LONG, orders))
            if not readings and not asked:
                return

    def check(self) -> None:
        self.late.sort(key=lambda report: report.updated_ms)
        while self.late:
            self.rig.say(world.OrderPushed(self.late.pop(0)))
        for _ in range(2):
            self.read()
        leg = self.rig.leg()
        assert (leg.contracts, leg.others) == (self.ours, self.theirs)


FOUND_ONCE = [("our fill", 1, True), ("reading", 1, False), ("they add", 1, True), ("they take", 1, False)]


@example(FOUND_ONCE)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(DOINGS), st.integers(1, 5), st.booleans()),
        max_size=25,
    )
)
def test_what_is_ours_and_what_is_theirs_is_right_in_the_end(
    doings: list[tuple[str, int, bool]],
) -> None:
    story = Story()
    for doing, size, is_lost in doings:
        match doing:
            case "our fill":
                story.our_fill(is_lost=is_lost)
            case "they add":
                story.strangers(Deal.BUY, size * STEP, is_lost=is_lost)
            case "they take":
                story.strangers(Deal.SELL, size * STEP, is_lost=is_lost)
            case "late push" if story.late:
                story.rig.say(world.OrderPushed(story.late.pop(0)))
            case "reading":
                story.read()
            case _:
                story.rig.pass_s(size)
        leg = story.rig.leg()
        assert leg.contracts >= 0
        assert leg.others >= 0
    story.check()
