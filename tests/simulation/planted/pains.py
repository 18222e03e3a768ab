"""More planted defects: what users of other engines suffered in the book, the login, a fired stop and the way out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from anchorwatch.io.account import AccountCalls
from anchorwatch.io.birth import StrategyChoice
from anchorwatch.io.okx import translate
from anchorwatch.io.okx.socket import LoginAccepted, OkxSocket
from anchorwatch.io.simulation.busy import Busy
from anchorwatch.io.simulation.faults import Kind
from anchorwatch.machine import bot as bots
from anchorwatch.machine import order, protection, requests, world
from anchorwatch.machine.desk import Desk, Told, stops
from anchorwatch.machine.strategy import Intent, MarketView, Wish
from anchorwatch.machine.units import Side
from tests.simulation.planted.defects import at, defect, nothing, unperformed

STOP_CANCELLED_UNHEARD = (
    at(Kind.RESET, 62, where="all"),
    at(Kind.PUSH_DROPPED, 62, times=200),
    at(Kind.HUMAN, 62.1, where="cancel_stop"),
)


@defect(
    "S7", "L1", "S15", for_s=200, faults=STOP_CANCELLED_UNHEARD,
    settings={"protection": {"trail_activation_fraction": Decimal("0.05"), "take_profit_fraction": 0}},
)  # fmt: skip
def nobody_reads_the_account_after_a_reconnect(patch: pytest.MonkeyPatch) -> None:
    """The stream is back, and what was pushed meanwhile is lost for good."""
    patch.setattr(bots._Run, "_doubt_after_relogin", nothing)
    patch.setattr(Desk, "_poll_while_private_is_away", nothing)
    patch.setattr(stops, "check_cover", nothing)
    unperformed(patch, requests.AuditStops)


class Insistent(Busy, frozen=True):
    """Long at every candle, as long as it is not."""

    def decide(self, view: MarketView) -> Intent | None:
        return Intent(Wish.ENTER, Side.LONG, "always") if view.open_side is None else None


@defect(
    "S4", scenario="busy-market", for_s=150, strategy=StrategyChoice(name=f"{__name__}:Insistent"),
    faults=(
        at(Kind.TIMEOUT_AFTER, 40, where="trade/order", times=4),
        at(Kind.PUSH_DROPPED, 40, times=500, where="orders"),
        at(Kind.PUSH_DROPPED, 40, times=500, where="positions"),
        at(Kind.ATTACHED_MISSING, 40, times=500),  # a stop that it sees keeps it from entering
    ),
)  # fmt: skip
def a_timer_declares_an_unanswered_order_rejected(patch: pytest.MonkeyPatch) -> None:
    """And nothing looks whether it was right: what it left behind is met by the next entry."""
    place = AccountCalls.place_order

    async def rejected(self: AccountCalls, ticket: Any, still_wanted: Any) -> Any:
        told = await place(self, ticket, still_wanted)
        if isinstance(told, Told) and isinstance(told.event, order.AnswerLost):
            return msgspec.structs.replace(told, event=order.OrderRefused(ticket.seq, "timed out"))
        return told

    patch.setattr(AccountCalls, "place_order", rejected)
    unperformed(patch, requests.AuditStops)


@defect(
    "L1",
    "S6",
    "S15",
    "S7",
    for_s=90,
    faults=(at(Kind.RESET, 62, where="all"), at(Kind.HTTP_5XX, 62, times=4, where="account/positions")),
)
def a_failed_query_is_read_as_flat(patch: pytest.MonkeyPatch) -> None:
    """One empty reply removes: whatever the exchange did not answer is not there."""
    read = AccountCalls.read_account

    async def flat(self: AccountCalls) -> Any:
        found = await read(self)
        if isinstance(found, str):
            return translate.reading((), (), (), self._rest.venue_now_ms())
        return found

    async def gone(self: AccountCalls, request: requests.ExplainAbsence) -> Any:
        return world.AbsenceExplained(
            request.leg, world.CLOSED_BY_HAND, translate.ZERO, request.since_ms + 1, None
        )

    patch.setattr(AccountCalls, "read_account", flat)
    patch.setattr(AccountCalls, "explain_absence", gone)


@defect(
    "S7", "L1", "S15", scenario="stop-triggered", for_s=240, faults=(at(Kind.STOP_FAILS, 62, on="write"),)
)
def a_stop_that_has_triggered_is_taken_for_filled(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(translate.STOP_STATES, "order_failed", world.StopState.TRIGGERED)
    unperformed(patch, protection.StartFillClock)


@defect("S0", for_s=65)
def a_size_with_a_decimal_breaks_the_listener(patch: pytest.MonkeyPatch) -> None:
    reports = translate.position_reports

    def whole(row: Any) -> Any:
        int(str(row.pos))
        return reports(row)

    patch.setattr(translate, "position_reports", whole)


@defect("L1", for_s=40)
def private_channels_are_asked_for_before_the_login_is_answered(patch: pytest.MonkeyPatch) -> None:
    """The exchange refuses them, and the private data is silently dead."""

    async def unanswered(self: OkxSocket, credentials: Any, now_s: int, **how: Any) -> LoginAccepted:
        return LoginAccepted("")

    patch.setattr(OkxSocket, "login", unanswered)


@defect(
    "S0",
    "L7",
    for_s=70,
    faults=(at(Kind.STOP, 62, for_s=2), at(Kind.HTTP_5XX, 62, times=3, where="account/positions")),
)
def an_error_during_the_stop_is_fatal(patch: pytest.MonkeyPatch) -> None:
    read = AccountCalls.read_account

    async def raising(self: AccountCalls) -> Any:
        found = await read(self)
        if isinstance(found, str):
            raise RuntimeError(found)  # noqa: TRY004 – the peer raised what it was told
        return found

    patch.setattr(AccountCalls, "read_account", raising)
