"""What an exchange is asked for and what it answers, overheard where it takes requests: of clients that keep no record.

Requests are written down as the effects and answers that the machines of the bot would have had, so that the same rules
judge them. Nothing is changed on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from anchorwatch.io.okx.errors import TABLE, Remedy
from anchorwatch.io.okx.refusals import answer_to_stop
from anchorwatch.io.venue.accounts import Account
from anchorwatch.io.venue.exchange import Venue
from anchorwatch.io.venue.order_rows import Row
from anchorwatch.io.venue.trading import Trading
from anchorwatch.machine import order, protection, requests
from anchorwatch.machine.bot import Part
from anchorwatch.machine.facts import IntentFact
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.order import Role
from anchorwatch.machine.trace import Answered, Requested, Seen
from anchorwatch.machine.units import Deal, LegKey, MarginMode, Price, Side, closing_deal, opening_deal

Raw = Mapping[str, object]
PARTS = {Role.ENTRY: Part.ENTRY, Role.CLOSE: Part.CLOSE}
# What is as good as done: there is nothing left to cancel or to amend.
FRUITLESS = {code for code, verdict in TABLE.items() if verdict.remedy is Remedy.DONE}


def intent_of(ticket: requests.OrderTicket) -> IntentFact:
    """The intent that a client has who sends this: nobody else knows of one."""
    return IntentFact(
        ticket.client_id,
        ticket.leg,
        ticket.role.value,
        ticket.deal.value,
        ticket.contracts,
        ticket.price,
        ticket.expires_ms,
        ticket.created_ms,
    )


class Overheard(Trading):
    """The exchange's own trading, with every request for an order or a stop written into ``trace``.

    ``intent`` says what is known of the intent behind a ticket at the moment that its request arrives. With ``tells`` the
    answers are written down too.
    """

    def __init__(
        self,
        venue: Venue,
        trace: list[Seen],
        intent: Callable[[requests.OrderTicket], IntentFact | None],
        *,
        tells: bool = False,
    ) -> None:
        super().__init__(venue)
        self._trace = trace
        self._intent = intent
        self._tells = tells
        self._tickets: dict[str, requests.OrderTicket] = {}  # by what the order goes by
        self._legs: dict[str, LegKey] = {}  # of stops, by the exchange's id

    # Orders.

    def place(self, account: Account, raw: Raw) -> Row:
        at, leg, role = len(self._trace), *_aim(account, raw)
        row = super().place(account, raw)
        name = str(row["clOrdId"] or row["ordId"] or f"refused {at}")
        ticket = _ticket(raw, name, leg, role, self._venue.now_ms())
        fact = self._intent(ticket)
        asked: list[Effect] = [requests.PlaceOrder(ticket)]
        if fact is not None:
            asked.insert(0, requests.Record((fact,)))
        self._tickets[name] = ticket
        self._ask(at, *asked)
        is_taken = row["sCode"] == "0"
        self._answer(leg, PARTS[role], order.OrderAcknowledged(0) if is_taken else order.OrderRefused(0, ""))
        return row

    def cancel(self, account: Account, raw: Raw) -> Row:
        at, ticket = len(self._trace), self._meant(account, raw)
        row = super().cancel(account, raw)
        if ticket is not None:
            self._ask(at, requests.CancelOrder(ticket))
            answers = (order.CancelAcknowledged(0), order.CancelFruitless(0), order.CancelFailed(0))
            self._answer(ticket.leg, PARTS[ticket.role], answers[_kind(row)])
        return row

    def lose_cancel(self, account: Account, raw: Raw) -> None:
        """What a client tells of a cancel that never arrives: it has asked, and there was no answer."""
        ticket = self._meant(account, raw)
        assert ticket is not None
        self._ask(len(self._trace), requests.CancelOrder(ticket))
        self._answer(ticket.leg, PARTS[ticket.role], order.CancelFailed(0))

    def amend(self, account: Account, raw: Raw) -> Row:
        at, ticket = len(self._trace), self._meant(account, raw)
        row = super().amend(account, raw)
        if ticket is not None:
            price = Price(Decimal(str(raw.get("newPx") or 0)))
            self._ask(at, requests.AmendOrder(ticket, price, 0))
            answers = (order.AmendAcknowledged(0), order.AmendFruitless(0, ""), order.AmendRefused(0, ""))
            self._answer(ticket.leg, PARTS[ticket.role], answers[_kind(row)])
        return row

    # Stops.

    def place_algo(self, account: Account, raw: Raw) -> Row:
        at = len(self._trace)
        row = super().place_algo(account, raw)
        name = str(row["algoClOrdId"] or row["algoId"] or f"refused {at}")
        if raw.get(
            "slTriggerPx"
        ):  # a take-profit, a trailing stop and a waiting order are no stops of the model
            deal, margin = Deal(str(raw.get("side"))), str(raw.get("tdMode") or MarginMode.CROSS.value)
            leg = LegKey(str(raw.get("instId")), _closed_by(deal), MarginMode(margin))
            self._legs[str(row["algoId"])] = leg
            self._ask(at, requests.PlaceStop(leg, 0, name, deal, Decimal(str(raw["slTriggerPx"]))))
            is_taken = row["sCode"] == "0"
            refused = protection.StopRefused(0, answer_to_stop(str(row["sCode"])))
            self._answer(leg, Part.PROTECTION, protection.StopAccepted(0) if is_taken else refused)
        return row

    def amend_algo(self, account: Account, raw: Raw) -> Row:
        at = len(self._trace)
        row = super().amend_algo(account, raw)
        found = account.find_algo(str(raw.get("algoId") or ""), str(raw.get("algoClOrdId") or ""))
        if found is not None and found.algo_id in self._legs:
            leg = self._legs[found.algo_id]
            self._ask(at, requests.MoveStop(leg, 0, found.client_id, found.algo_id, Decimal(0)))
            is_taken = row["sCode"] == "0"
            answer = protection.MoveAccepted(0) if is_taken else protection.MoveRefused(0)
            self._answer(leg, Part.PROTECTION, answer)
        return row

    def cancel_algo(self, account: Account, raw: Raw) -> Row:
        at = len(self._trace)
        row = super().cancel_algo(account, raw)
        found = account.find_algo(str(raw.get("algoId") or ""), str(raw.get("algoClOrdId") or ""))
        if found is not None:
            self._ask(at, requests.CancelStops(found.inst_id, (found.algo_id,)))
        return row

    # Words.

    def _ask(self, at: int, *effects: Effect) -> None:
        """It was asked for before anything of it was seen."""
        self._trace.insert(at, Requested(self._venue.now_ms(), effects))

    def _answer(self, leg: LegKey, part: Part, event: Event) -> None:
        if self._tells:
            self._trace.append(Answered(self._venue.now_ms(), leg, part, event))

    def _meant(self, account: Account, raw: Raw) -> requests.OrderTicket | None:
        found = account.find_order(str(raw.get("ordId") or ""), str(raw.get("clOrdId") or ""))
        return None if found is None else self._tickets.get(found.client_id or found.order_id)


def _aim(account: Account, raw: Raw) -> tuple[LegKey, Role]:
    """The leg that an order is about, and whether it opens or closes."""
    instrument, deal = str(raw.get("instId")), Deal(str(raw.get("side")))
    margin = str(raw.get("tdMode") or MarginMode.CROSS.value)
    named = str(raw.get("posSide") or "net")
    if named != "net":
        side = Side(named)
        is_close = deal is closing_deal(side)
    else:
        side = next(one for one in Side if deal is opening_deal(one))
        held = account.position(instrument, margin, "net")
        is_against = held is not None and held.direction not in (0, side.sign)
        is_close = is_against or str(raw.get("reduceOnly")).lower() == "true"
        side = _closed_by(deal) if is_close else side
    return LegKey(instrument, side, MarginMode(margin)), Role.CLOSE if is_close else Role.ENTRY


def _closed_by(deal: Deal) -> Side:
    return next(side for side in Side if deal is closing_deal(side))


def _ticket(raw: Raw, name: str, leg: LegKey, role: Role, now_ms: int) -> requests.OrderTicket:
    return requests.OrderTicket(
        leg=leg,
        role=role,
        seq=0,
        client_id=name,
        deal=Deal(str(raw.get("side"))),
        contracts=Decimal(str(raw.get("sz") or 0)),
        is_reduce_only=role is Role.CLOSE,
        tag="",
        created_ms=now_ms,
        expires_ms=now_ms,
        attached=_attached(raw),
    )


def _attached(raw: Raw) -> requests.AttachedStop | None:
    belts = raw.get("attachAlgoOrds")
    for one in belts if isinstance(belts, list) else []:
        if one.get("slTriggerPx"):
            name = str(one.get("attachAlgoClOrdId") or "")
            return requests.AttachedStop(name, Decimal(str(one["slTriggerPx"])))
    return None


def _kind(row: Row) -> int:
    """0: done as asked, 1: there was nothing to do, 2: refused."""
    if row["sCode"] == "0":
        return 0
    return 1 if row["sCode"] in FRUITLESS else 2
