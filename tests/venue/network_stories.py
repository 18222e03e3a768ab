"""Short lives in which what reaches the desk is lost, late, doubled, of old, or comes before its turn. See `stories`."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from anchorwatch.machine import permission, reconciliation, requests
from anchorwatch.machine.bot import PERMISSION, RECONCILIATION
from anchorwatch.machine.connection import Name
from anchorwatch.machine.units import OrderKind
from tests.machine.desk_rig import BTC
from tests.venue.stories import CLOSE_STOP, PX, STORIES, Story

READ_TRIES = 3
"""A list that does not come is asked for again before it counts as unread."""

POSITIONS, STOPS, ORDER = "account/positions", "trade/orders-algo-pending", "trade/order"


def remembering(*, kind: OrderKind = OrderKind.MARKET) -> Story:
    """The exchange keeps what its lists showed, once some list is to lag."""
    story = Story(kind=kind)
    story.fault("rest_lag", "no/such/list")
    return story


def check(story: Story) -> None:
    """The desk reads the account, as it does every minute."""
    story.tell(RECONCILIATION, reconciliation.CheckDue())


def denied_at_the_last_look() -> Story:
    """The operator pauses while the entry waits to be written."""
    story = Story()
    story.wish_to_enter()
    story.until(requests.PlaceOrder)
    story.tell(PERMISSION, permission.PauseRequested())
    story.settle()
    story.live_s(3, PX)
    return story


def unrecorded(role: str) -> Callable[[], Story]:
    """The disk is full."""

    def told() -> Story:
        story = Story()
        if role == "close":
            story.enter()
        story.journal_writes = False
        story.wish_to_enter() if role == "entry" else story.wish_to_close()
        for record in story.taken(requests.Record):
            if record.address is not None and record.failed is not None:
                story.tell(record.address, record.failed)
        story.journal_writes = True
        story.settle()
        story.live_s(4, PX)
        return story

    return told


def unsent_close() -> Story:
    """It waits for its turn under the rate limits until it is too late."""
    story = Story()
    story.enter()
    story.wish_to_close()
    story.until(requests.PlaceOrder)
    story.withdraw_next()
    story.settle()
    story.live_s(4, PX)
    return story


def unreadable(where: str, then: Callable[[Story], object]) -> Callable[[], Story]:
    """A list does not come."""

    def told() -> Story:
        story = Story()
        if then is not enters:
            story.enter()
        story.fault("html_error", where, times=READ_TRIES)
        then(story)
        story.settle()
        story.live_s(6, PX)
        return story

    return told


def enters(story: Story) -> None:
    story.enter()


def is_declined_a_close(story: Story) -> None:
    story.fault("reject_with_code", ORDER, code="51008")
    story.wish_to_close()


def checked() -> Story:
    story = Story()
    story.enter()
    check(story)
    story.settle()
    story.live_s(2, PX)
    return story


def checked_while_somebody_trades() -> Story:
    """The position is another when the question about it arrives."""
    story = Story()
    story.enter()
    check(story)
    story.until(reconciliation.ReadAccount)
    story.rig.clock.now_ms += 1
    story.person("sell", "0.1")
    story.perform_one()
    story.settle()
    story.live_s(4, PX)
    return story


def checked_and_shown_old_positions() -> Story:
    story = remembering()
    story.enter()
    story.person("buy", "0.1")
    story.settle()
    story.fault("rest_lag", POSITIONS, delay_ms=1500)
    check(story)
    story.settle()
    story.live_s(4, PX)
    return story


def checked_and_shown_old_stops() -> Story:
    story = remembering()
    story.enter()
    story.person_cancels_the_stop()
    story.fault("rest_lag", STOPS, delay_ms=1500)
    check(story)
    story.settle()
    story.live_s(4, PX)
    return story


def asked_and_shown_an_old_order() -> Story:
    """It has filled, and no push says so; the list shows it at rest for a while."""
    story = remembering(kind=OrderKind.POST_ONLY)
    story.enter(2)
    story.fault("drop_push", "orders", times=0)
    story.fault("drop_push", "positions", times=0)
    story.fault("rest_lag", ORDER, delay_ms=1500)
    story.rig.venue.set_price(BTC, PX - 20)
    story.live_s(6, PX - 20)
    return story


def declined_a_close_and_shown_an_old_position() -> Story:
    story = remembering()
    story.enter()
    story.person("buy", "0.1")
    story.fault("rest_lag", POSITIONS, delay_ms=1500)
    is_declined_a_close(story)
    story.settle()
    story.live_s(6, PX)
    return story


def in_doubt_and_shown_no_close_yet() -> Story:
    """The answer to the close is lost, and the list does not show it yet."""
    story = remembering()
    story.enter()
    story.fault("accept_then_timeout", ORDER)
    story.fault("rest_lag", ORDER, delay_ms=1500)
    story.fault("rest_lag", "trade/orders-pending", delay_ms=1500)
    story.fault("rest_lag", "trade/orders-history", delay_ms=1500)
    story.close(6)
    return story


def amendment_denied_at_the_last_look() -> Story:
    story = Story(kind=OrderKind.POST_ONLY)
    story.enter(4)
    story.rig.venue.set_price(BTC, PX + 20)
    story.quote()
    story.until(requests.AmendOrder)
    story.tell(PERMISSION, permission.PauseRequested())
    story.perform_one()
    story.settle()
    story.live_s(4, PX + 20)
    return story


def naked_too_long() -> Story:
    """Neither the attached stop comes to be nor one of the desk's own."""
    story = Story()
    story.fault("attached_missing", BTC)
    story.fault("reject_with_code", "trade/order-algo", code="51008", times=0)
    story.enter(9)
    return story


def triggered_and_silent() -> Story:
    """The stop triggers, and nothing says that its order has filled."""
    story = Story(protecting=CLOSE_STOP)
    story.enter()
    for channel in ("orders", "positions"):
        story.fault("drop_push", channel, times=0)
    story.live_s(60, PX * Decimal("0.999"))
    return story


def vanished_and_unexplained() -> Story:
    """Somebody closes the position unheard, and the history of positions does not come at first."""
    story = Story()
    story.enter()
    for channel in ("orders", "positions"):
        story.fault("drop_push", channel, times=0)
    story.fault("html_error", "account/positions-history", times=READ_TRIES)
    story.person("sell", story.held())
    check(story)
    story.settle()
    story.live_s(12, PX)
    return story


def cut_off() -> Story:
    """The private connection breaks with the news of the entry still on it."""
    story = Story()
    story.wish_to_enter()
    story.until(requests.PlaceOrder)
    story.perform_one()
    story.lose_private(Name.PRIVATE)
    story.settle()
    story.live_s(20, PX)
    return story


def pushed_out_of_turn() -> Story:
    """The first push about an order comes after the second."""
    story = Story()
    story.fault("reorder_push", "orders")
    story.enter()
    story.fault("reorder_push", "orders")
    story.close()
    return story


def stop_pushed_out_of_turn() -> Story:
    """The stop is cancelled as soon as it rests, and that is told first."""
    story = Story()
    story.wish_to_enter()
    story.until(requests.PlaceStop)
    story.fault("reorder_push", "orders-algo")
    story.perform_one()
    story.rig.clock.now_ms += 1
    [own] = [algo for algo in story.account.algos.values() if algo.client_id == story.leg().stop_client_id]
    story.rig.venue.algos_room.cancel(story.account, own)
    story.settle()
    story.live_s(4, PX)
    return story


NETWORK_STORIES: dict[str, Callable[[], Story]] = {
    **STORIES,
    "denied at the last look": denied_at_the_last_look,
    "the entry is not recorded": unrecorded("entry"),
    "the close is not recorded": unrecorded("close"),
    "the close is not sent": unsent_close,
    "the position cannot be read": unreadable(POSITIONS, is_declined_a_close),
    "the stops cannot be read": unreadable(STOPS, enters),
    "the account cannot be read": unreadable(POSITIONS, check),
    "checked": checked,
    "checked while somebody trades": checked_while_somebody_trades,
    "checked, and shown old positions": checked_and_shown_old_positions,
    "checked, and shown old stops": checked_and_shown_old_stops,
    "asked, and shown an old order": asked_and_shown_an_old_order,
    "declined a close, and shown an old position": declined_a_close_and_shown_an_old_position,
    "in doubt, and shown no close yet": in_doubt_and_shown_no_close_yet,
    "the amendment is denied at the last look": amendment_denied_at_the_last_look,
    "naked for too long": naked_too_long,
    "triggered, and silent": triggered_and_silent,
    "pushed out of turn": pushed_out_of_turn,
    "a stop pushed out of turn": stop_pushed_out_of_turn,
    "vanished, and unexplained": vanished_and_unexplained,
    "cut off": cut_off,
}
