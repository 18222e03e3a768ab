"""Short lives of the desk on the exchange as a library, each so that certain rules of the environment happen there.

A story begins in READY and leaves a trace. What the exchange, the network and the people in it do is real: the fault
plan of the embedded exchange, its market, and orders of somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from anchorwatch.io.venue.faults import Fault, FaultKind
from anchorwatch.io.venue.orders import AlgoOrder
from anchorwatch.io.venue.switches import Switches
from anchorwatch.machine import lifecycle, order, position, requests
from anchorwatch.machine.bot import LIFECYCLE, Address, Part
from anchorwatch.machine.kernel import Effect
from anchorwatch.machine.limits import Limits
from anchorwatch.machine.parameters import Making, Protecting
from anchorwatch.machine.sizing import Sizing
from anchorwatch.machine.units import Fraction, OrderKind, PositionMode, Side, Usd
from tests.machine.desk_rig import BTC, LONG
from tests.venue.library import LibraryRig

PX = Decimal(60_000)
NEVER = Fraction(Decimal(0))


def share(text: str) -> Fraction:
    return Fraction(Decimal(text))


CLOSE_STOP = Protecting(
    stop_fraction=share("0.0005"),
    trail_fraction=share("0.0004"),
    trail_activation_fraction=share("0.0004"),
    take_profit_fraction=NEVER,
)
"""A stop so near that mark, which follows slowly, is there within a minute."""


class Story(LibraryRig):
    """A desk that is READY, and what may be done to it and around it."""

    def __init__(
        self,
        *,
        mode: PositionMode = PositionMode.HEDGE,
        kind: OrderKind = OrderKind.MARKET,
        protecting: Protecting | None = None,
        usd: int = 150,
        switches: Switches | None = None,
        is_exclusive: bool = True,
    ) -> None:
        super().__init__(
            mode,
            making=Making(kind),
            protecting=protecting,
            sizing=Sizing(notional_usd=Usd(Decimal(usd))),
            limits=Limits(total_usd=Usd(Decimal(2 * usd))),
            cash=Decimal(max(10_000, usd)),
            switches=switches,
            is_exclusive=is_exclusive,
        )
        self.tell(LIFECYCLE, lifecycle.StartRequested())
        self.settle()
        self.live_s(2, PX)
        assert self.stage() is lifecycle.S.READY, self.bot.missing

    def fault(self, kind: FaultKind, where: str = "", **more: Any) -> None:
        self.rig.venue.faults.add(Fault(kind=kind, where=where, **more))

    def enter(self, seconds: int = 3) -> None:  # type: ignore[override]
        self.wish_to_enter()
        self.settle()
        self.live_s(seconds, PX)

    def wish_to_enter(self) -> None:
        self.cross(Side.LONG)

    def close(self, seconds: int = 3) -> None:
        self.wish_to_close()
        self.settle()
        self.live_s(seconds, PX)

    def wish_to_close(self) -> None:
        self.tell(Address(Part.POSITION, leg=LONG), position.CloseWanted("the story asks"))

    def cancel_entry(self) -> None:
        self.tell(Address(Part.ENTRY, leg=LONG), order.CancelWanted(self.slot().entry.data.seq, "a story"))

    def until(self, kind: type[Effect]) -> None:
        """Carry out what was asked for, up to a request of this kind, which is left to be carried out."""
        for _ in range(500):
            if any(isinstance(effect, kind) for effect in self.asked):
                return
            if not self._perform_one():
                assert self._pushes_arrive(), f"no {kind.__name__} is asked for"
                self.hear()

    def person(self, deal: str, contracts: str) -> None:
        """Somebody else trades the long leg."""
        self.rig.order(deal, contracts, posSide="long")

    def held(self) -> str:
        [position] = self.account.open_positions()
        return str(position.contracts)

    def stop_id(self) -> str:
        """The id of the live stop."""
        return next(iter(self.account.algos))

    def other_stop(self) -> AlgoOrder:
        """The live stop that the desk does not mean."""
        meant = self.leg()
        [other] = [
            algo
            for algo in self.account.algos.values()
            if algo.algo_id != meant.stop_venue_id and algo.client_id != meant.stop_client_id
        ]
        return other

    def late_request_arrives(self) -> None:
        """What was waited for in vain reaches the exchange; nobody has heard of it yet."""
        due_ms, request = self._transport.late.pop()
        self.rig.clock.now_ms = max(due_ms, self.rig.clock.now_ms + 1)
        self.rig.venue.gateway.answer(request)

    def withdraw_next(self) -> None:
        """The next request is not sent."""
        self._transport.is_full = True

    def perform_one(self) -> None:
        """Carry out what was asked for first, and hear of nothing that it leads to."""
        assert self._perform_one()

    def person_moves(self, algo: AlgoOrder, px: Decimal) -> None:
        changed = {"instId": BTC, "algoId": algo.algo_id, "newSlTriggerPx": str(px)}
        assert self.rig.venue.trading.amend_algo(self.account, changed)["sCode"] == "0"

    def person_cancels_the_stop(self) -> None:
        self.rig.venue.algos_room.cancel(self.account, self.account.algos[self.stop_id()])

    def person_moves_the_stop(self) -> None:
        algo = self.account.algos[self.stop_id()]
        assert algo.sl_trigger_px is not None
        self.person_moves(algo, algo.sl_trigger_px + 1)


LARGE_USD = 500_000
"""More than anybody keeps at the best price of the book, and less than the largest order."""


def trade() -> Story:
    story = Story()
    story.enter()
    story.close()
    return story


def stopped() -> Story:
    """Mark comes down to the stop."""
    story = Story(protecting=CLOSE_STOP)
    story.enter()
    story.live_s(60, PX * Decimal("0.999"))
    return story


def trailed() -> Story:
    story = Story(protecting=CLOSE_STOP)
    story.enter()
    for step in range(1, 20):
        story.live_s(2, PX + 10 * step)
    story.close()
    return story


def rested() -> Story:
    """A limit order that rests, follows the market, and is taken back."""
    story = Story(kind=OrderKind.POST_ONLY)
    story.enter(2)
    story.live_s(6, PX + 20)
    story.cancel_entry()
    story.settle()
    story.live_s(2, PX + 20)
    return story


def rested_and_filled() -> Story:
    story = Story(kind=OrderKind.POST_ONLY)
    story.enter(2)
    story.rig.venue.set_price(BTC, PX - 20, Decimal("0.05"))
    story.settle()
    story.live_s(3, PX - 20)
    story.close()
    return story


def of_entry(kind: FaultKind, **more: Any) -> Callable[[], Story]:
    def told() -> Story:
        story = Story()
        story.fault(kind, "trade/order", **more)
        story.enter(12)
        return story

    return told


def of_close(kind: FaultKind, **more: Any) -> Callable[[], Story]:
    def told() -> Story:
        story = Story()
        story.enter()
        story.fault(kind, "trade/order", **more)
        story.close(12)
        return story

    return told


def of_stop(kind: FaultKind, **more: Any) -> Callable[[], Story]:
    def told() -> Story:
        story = Story()
        story.fault(kind, "trade/order-algo", **more)
        story.enter(12)
        return story

    return told


def of_move(kind: FaultKind, **more: Any) -> Callable[[], Story]:
    def told() -> Story:
        story = Story(protecting=CLOSE_STOP)
        story.enter()
        story.fault(kind, "trade/amend-algos", **more)
        for step in range(1, 10):
            story.live_s(2, PX + 10 * step)
        return story

    return told


def of_resting(endpoint: str, kind: FaultKind, **more: Any) -> Callable[[], Story]:
    def told() -> Story:
        story = Story(kind=OrderKind.POST_ONLY)
        story.enter(2)
        story.fault(kind, endpoint, **more)
        story.live_s(6, PX + 20)
        story.cancel_entry()
        story.settle()
        story.live_s(8, PX + 20)
        return story

    return told


def nothing_to_cancel() -> Story:
    """It fills while the request to cancel it is on its way."""
    story = Story(kind=OrderKind.POST_ONLY)
    story.enter(2)
    story.cancel_entry()
    story.rig.venue.set_price(BTC, PX - 20)
    story.settle()
    story.live_s(3, PX - 20)
    return story


def nothing_to_amend() -> Story:
    """It is cancelled by somebody while another price for it is on its way."""
    story = Story(kind=OrderKind.POST_ONLY)
    story.enter(4)
    story.rig.venue.set_price(BTC, PX + 20)
    story.quote()
    story.until(requests.AmendOrder)
    story.rig.clock.now_ms += 1
    story.rig.venue.matching.cancel(next(iter(story.account.pending.values())), "1")
    story.perform_one()
    story.settle()
    story.live_s(4, PX + 20)
    return story


def cancelled_by_the_venue() -> Story:
    story = Story(kind=OrderKind.POST_ONLY)
    story.enter(4)
    story.rig.venue.matching.cancel(next(iter(story.account.pending.values())), "3")
    story.settle()
    story.live_s(4, PX)
    return story


def acknowledged_and_cancelled(role: str) -> Callable[[], Story]:
    def told() -> Story:
        story = Story()
        if role == "close":
            story.enter()
        story.fault("ack_then_cancel", BTC)
        if role == "close":
            story.close(8)
        else:
            story.enter(8)
        return story

    return told


def closed_before_the_stop() -> Story:
    """Somebody closes the position while its stop is on its way."""
    story = Story()
    story.wish_to_enter()
    story.until(requests.PlaceStop)
    story.rig.clock.now_ms += 1
    story.person("sell", story.held())
    story.settle()
    story.live_s(6, PX)
    return story


def closed_before_the_close() -> Story:
    story = Story()
    story.enter()
    story.wish_to_close()
    story.until(requests.PlaceOrder)
    story.rig.clock.now_ms += 1
    story.person("sell", story.held())
    story.settle()
    story.live_s(6, PX)
    return story


def closed_by_a_person() -> Story:
    story = Story()
    story.enter()
    story.person("sell", story.held())
    story.settle()
    story.live_s(4, PX)
    return story


def parted_and_grown_by_a_person() -> Story:
    story = Story()
    story.enter()
    story.person("buy", "0.1")
    story.settle()
    story.live_s(2, PX)
    story.person("sell", "0.2")
    story.settle()
    story.live_s(4, PX)
    return story


def stop_moved_and_cancelled_by_a_person() -> Story:
    story = Story()
    story.enter()
    story.person_moves_the_stop()
    story.settle()
    story.live_s(2, PX)
    story.person_cancels_the_stop()
    story.settle()
    story.live_s(4, PX)
    return story


def belt_only(then: str) -> Callable[[], Story]:
    """The bot's own stop is refused again and again, and the attached one is all there is."""

    def told() -> Story:
        story = Story(protecting=CLOSE_STOP)
        story.fault("reject_with_code", "trade/order-algo", code="51088", times=0)
        story.enter(1)
        if then == "trigger":
            story.live_s(4, PX * Decimal("0.97"))
        elif then == "close":
            story.close(5)
        return story

    return told


def swept(kind: FaultKind) -> Callable[[], Story]:
    def told() -> Story:
        story = Story()
        story.fault(kind, "trade/cancel-algos")
        story.enter(8)
        return story

    return told


def stop_gone_before_the_move() -> Story:
    story = Story(protecting=CLOSE_STOP)
    story.enter()
    story.live_s(4, PX + 20)
    for step in range(1, 40):
        story.rig.clock.now_ms += 500
        story.rig.venue.set_price(BTC, PX + 20 + 10 * step)
        story.pass_s(0.5)
        story.hear()
        story.mark(story.mark_price)
        if any(isinstance(effect, requests.MoveStop) for effect in story.asked):
            break
        story.settle()
    story.person_cancels_the_stop()
    story.settle()
    story.live_s(4, PX + 400)
    return story


def pushes(kind: FaultKind, channel: str) -> Callable[[], Story]:
    def told() -> Story:
        story = Story()
        story.fault(kind, channel, times=0)
        story.enter(6)
        story.close(6)
        return story

    return told


def large_trade() -> Story:
    """Entry and close go through several prices of the book."""
    story = Story(usd=LARGE_USD)
    story.enter()
    story.close()
    return story


def large_position_stopped() -> Story:
    story = Story(protecting=CLOSE_STOP, usd=LARGE_USD)
    story.enter()
    story.live_s(60, PX * Decimal("0.999"))
    return story


def closed_while_the_close_is_sent() -> Story:
    """Somebody closes the position, and the bot's own close is there before the news of it."""
    story = Story()
    story.enter()
    story.wish_to_close()
    story.until(requests.PlaceOrder)
    story.rig.clock.now_ms += 1
    story.person("sell", story.held())
    story.perform_one()
    story.settle()
    story.live_s(6, PX)
    return story


def stop_late_and_there() -> Story:
    """The stop comes to be while the desk asks whether it has."""
    story = Story()
    story.fault("late_processing", "trade/order-algo", delay_ms=300)
    story.wish_to_enter()
    story.until(requests.ReadStops)
    story.late_request_arrives()
    story.settle()
    story.live_s(6, PX)
    return story


def unswept() -> Story:
    """The attached stop and the desk's own rest side by side, because no sweep arrives."""
    story = Story(protecting=CLOSE_STOP)
    story.fault("reject_then_timeout", "trade/cancel-algos", times=0)
    story.enter(2)
    return story


def another_stop_cancelled_by_a_person() -> Story:
    story = unswept()
    story.rig.venue.algos_room.cancel(story.account, story.other_stop())
    story.settle()
    story.live_s(3, PX)
    return story


def attached_stop_outlives_a_late_one() -> Story:
    """The desk has taken over the attached stop; its own comes late, triggers, and leaves that one behind."""
    story = Story(protecting=CLOSE_STOP)
    story.fault("late_processing", "trade/order-algo", delay_ms=20_000)
    story.fault("reject_with_code", "trade/order-algo", code="51088", after=1, times=0)
    story.enter(3)
    story.late_request_arrives()
    story.person_moves(story.other_stop(), PX - 10)
    for _ in range(30):
        story.rig.clock.now_ms += 1000
        story.rig.venue.set_price(BTC, PX - 25)
    story.settle()
    story.live_s(6, PX)
    return story


def late_stop_goes_with_the_close() -> Story:
    """The desk has taken over the attached stop; its own comes late, right before the position is closed."""
    story = Story(protecting=CLOSE_STOP)
    story.fault("late_processing", "trade/order-algo", delay_ms=20_000)
    story.fault("reject_with_code", "trade/order-algo", code="51088", after=1, times=0)
    story.enter(3)
    story.wish_to_close()
    story.until(requests.PlaceOrder)
    story.late_request_arrives()
    story.perform_one()
    story.settle()
    story.live_s(4, PX)
    return story


def stop_placed_by_a_person() -> Story:
    story = Story()
    story.enter()
    placed = {
        "instId": BTC, "tdMode": "cross", "side": "sell", "posSide": "long", "ordType": "conditional",
        "sz": story.held(), "slTriggerPx": str(PX - 100), "slOrdPx": "-1", "slTriggerPxType": "mark",
    }  # fmt: skip
    assert story.rig.venue.trading.place_algo(story.account, placed)["sCode"] == "0"
    story.settle()
    story.live_s(3, PX)
    return story


def attached_stop_outlives_a_persons_close() -> Story:
    story = Story(protecting=CLOSE_STOP)
    story.fault("reject_with_code", "trade/order-algo", code="51088", times=0)
    story.enter(1)
    story.person("sell", story.held())
    story.settle()
    story.live_s(4, PX)
    return story


def lists_of_old() -> Story:
    """The desk asks for its stops, and is shown what was before there were any."""
    story = Story()
    story.fault("rest_lag", "trade/orders-algo-pending", delay_ms=2000)
    story.enter(6)
    return story


STORIES: dict[str, Callable[[], Story]] = {
    "trade": trade,
    "stopped": stopped,
    "trailed": trailed,
    "rested": rested,
    "rested and filled": rested_and_filled,
    "the answer to the entry is lost": of_entry("accept_then_timeout"),
    "the entry is lost": of_entry("reject_then_timeout"),
    "the entry is late": of_entry("late_processing", delay_ms=2000),
    "the entry is too late": of_entry("late_processing", delay_ms=8000),
    "the entry is refused": of_entry("reject_with_code", code="51008"),
    "the entry is acknowledged and cancelled": acknowledged_and_cancelled("entry"),
    "the answer to the close is lost": of_close("accept_then_timeout"),
    "the close is lost": of_close("reject_then_timeout"),
    "the close is late": of_close("late_processing", delay_ms=2000),
    "the close is too late": of_close("late_processing", delay_ms=8000),
    "the close is refused": of_close("reject_with_code", code="51008"),
    "the close is acknowledged and cancelled": acknowledged_and_cancelled("close"),
    "closed before the close": closed_before_the_close,
    "the answer to the stop is lost": of_stop("accept_then_timeout"),
    "the stop is lost": of_stop("reject_then_timeout"),
    "the stop is late": of_stop("late_processing", delay_ms=1000),
    "the stop is refused: try again": of_stop("reject_with_code", code="50001"),
    "the stop is refused: passed": of_stop("reject_with_code", code="51280"),
    "the stop is refused: rules": of_stop("reject_with_code", code="51121"),
    "the stop is refused: barred": of_stop("reject_with_code", code="51030"),
    "the stop is refused: exists": of_stop("reject_with_code", code="51088"),
    "closed before the stop": closed_before_the_stop,
    "closed by a person": closed_by_a_person,
    "parted and grown by a person": parted_and_grown_by_a_person,
    "stop moved and cancelled by a person": stop_moved_and_cancelled_by_a_person,
    "the attached stop triggers": belt_only("trigger"),
    "the attached stop stays": belt_only("close"),
    "the sweep is lost": swept("reject_then_timeout"),
    "the move is lost": of_move("reject_then_timeout"),
    "the answer to the move is lost": of_move("accept_then_timeout"),
    "the move is refused": of_move("reject_with_code", code="51527"),
    "the stop is gone before its move": stop_gone_before_the_move,
    "the amendment is lost": of_resting("trade/amend-order", "reject_then_timeout"),
    "the answer to the amendment is lost": of_resting("trade/amend-order", "accept_then_timeout"),
    "the amendment is refused": of_resting("trade/amend-order", "reject_with_code", code="51506"),
    "nothing to amend": nothing_to_amend,
    "the cancel is lost": of_resting("trade/cancel-order", "reject_then_timeout"),
    "nothing to cancel": nothing_to_cancel,
    "the venue cancels": cancelled_by_the_venue,
    "a large trade": large_trade,
    "a large position is stopped": large_position_stopped,
    "closed while the close is sent": closed_while_the_close_is_sent,
    "the stop is late, and there": stop_late_and_there,
    "the stop is refused: margin": of_stop("reject_with_code", code="51008"),
    "the amendment is refused: margin": of_resting("trade/amend-order", "reject_with_code", code="51008"),
    "a stop placed by a person": stop_placed_by_a_person,
    "another stop cancelled by a person": another_stop_cancelled_by_a_person,
    "the attached stop outlives a late one": attached_stop_outlives_a_late_one,
    "a late stop goes with the close": late_stop_goes_with_the_close,
    "the attached stop outlives a person's close": attached_stop_outlives_a_persons_close,
    "lists of old": lists_of_old,
    "pushes are lost": pushes("drop_push", "orders"),
    "pushes are doubled": pushes("duplicate_push", "orders"),
    "pushes are late": pushes("reorder_push", "orders"),
    "pushes of stops are doubled": pushes("duplicate_push", "orders-algo"),
}
