"""How an entry meets the market: at market, as a bounded IOC, or resting at the best price and repriced in place.

A wish for an entry is a *pursuit*: the orders that are made for it one after another, each from the
machine's own states. A post-only order follows the quote by amendments, a bounded number of
times and never further than the drift that is allowed from the price that the pursuit began at; one that
the venue cancelled because it would have taken is made again at the new best price; when the
time to rest is over it is cancelled, and what is left may cross, within the same drift.
"""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.machine import order, world
from anchorwatch.machine.book import Pursuit, Quote
from anchorwatch.machine.bot import Address, EntryWanted, Part
from anchorwatch.machine.desk.context import NEVER_MS, Context, of_leg
from anchorwatch.machine.parameters import Making, Unfilled
from anchorwatch.machine.requests import AmendOrder, CancelTimer, OrderTicket, QueryOrder, StartTimer
from anchorwatch.machine.units import Contracts, LegKey, OrderKind, Price, Side

QUOTE_STALE_MS = 60_000
"""Quotes are pushed when they change, so an old one is no fault by itself; of a market that has not moved for a
minute nobody knows whether it is there."""

# Asked for with every order and quote; a member of an enumeration is found by a slow search.
POST_ONLY, MARKET, LONG, ENTRY = OrderKind.POST_ONLY, OrderKind.MARKET, Side.LONG, Part.ENTRY

ORDERS_MAX = 5
"""Orders of one pursuit: in a market that runs away from a post-only order, each is refused as the last one was."""


ASKED_FOR = (*order.RESTING, order.S.AMENDING, order.S.CANCELLING)
"""An order that lives at the venue as far as is known, and that nobody asks for."""


def obstacles(context: Context, leg: LegKey) -> tuple[str, ...]:
    """Why no order of the wanted kind can be made now; empty when one can."""
    if _making(context, leg).kind is not MARKET and _best(context, leg, is_making=True) is None:
        return ("no fresh quote",)
    return ()


def want(context: Context, leg: LegKey, contracts: Contracts) -> None:
    """Begin a pursuit; the router has the last word on whether an entry may be made."""
    making = _making(context, leg)
    first = None
    if making.kind is not MARKET:
        first = _best(context, leg, is_making=making.rests)
    rest_ms = round(making.rest_s * 1000)
    context.book.pursuits[leg] = Pursuit(first, making.kind, until_ms=context.now_ms + rest_ms)
    _want_order(context, leg, contracts)


def _want_order(context: Context, leg: LegKey, contracts: Decimal) -> None:
    context.book.entry_sizes[leg] = contracts
    rests = context.book.pursuits[leg].kind is POST_ONLY
    adds = bool(context.book.leg(leg).contracts)
    context.tell(of_leg(ENTRY, leg), EntryWanted(rests, adds))


def terms(context: Context, leg: LegKey) -> tuple[OrderKind, Price | None]:
    """The kind and the price of the order that is being made."""
    pursuit = context.book.pursuits[leg]
    pursuit.orders += 1
    pursuit.price = pursuit.aim = None
    pursuit.priced_ms, pursuit.amended_ms = 0, context.now_ms
    if pursuit.kind is MARKET:
        return MARKET, None
    best = _best(context, leg, is_making=pursuit.kind is POST_ONLY)
    assert best is not None, "a quote was asked for before the order was wanted, and is not forgotten"
    if pursuit.kind is POST_ONLY:
        return POST_ONLY, best
    return OrderKind.IOC, _reach(context, leg, pursuit.first or best)


def _reach(context: Context, leg: LegKey, first: Price) -> Price:
    """The worst price that an IOC may pay: the drift that is allowed, from where the pursuit began."""
    instrument = context.book.instruments[leg.instrument]
    drift = _making(context, leg).drift_fraction
    if leg.side is LONG:
        return instrument.price_below(first * (1 + drift))
    return instrument.price_above(first * (1 - drift))


def start_clocks(context: Context, address: Address, ticket: OrderTicket) -> None:
    """When a resting order is taken back, and when the end of any order is overdue."""
    pace, overdue_s = context.parameters.pace, 0.0
    if ticket.kind is POST_ONLY:
        pursuit = context.book.pursuits[ticket.leg]
        overdue_s = max(0.0, (pursuit.until_ms - context.now_ms) / 1000)
        over = order.CancelWanted(ticket.seq, "it has rested for its time")
        context.ask(StartTimer(f"rest {address.id}", overdue_s, address, over))
    doubted = order.OrderDoubted(ticket.seq)
    context.ask(StartTimer(f"overdue {address.id}", overdue_s + pace.order_overdue_s, address, doubted))


def stop_clocks(context: Context, address: Address) -> None:
    context.ask(CancelTimer(f"overdue {address.id}"))
    if address.part is ENTRY:
        context.ask(CancelTimer(f"rest {address.id}"))


# The quote moves.


def take_quote(context: Context, event: world.QuoteMoved) -> None:
    context.book.quotes[event.instrument] = Quote(event.bid, event.ask, context.now_ms)
    follow(context, event.instrument)


def follow(context: Context, instrument: str) -> None:
    """With every quote, and as time passes: a quote may move while it is too soon to follow, and then stand."""
    for leg, slot in context.bot.legs:
        if leg.instrument == instrument and slot.entry.state in order.RESTING:
            _follow(context, leg, slot.entry.data.seq)


def _follow(context: Context, leg: LegKey, seq: int) -> None:
    """Reprice what rests, where the quote has left it behind."""
    pursuit, making = context.book.pursuits.get(leg), _making(context, leg)
    if pursuit is None or pursuit.price is None or pursuit.first is None:
        return  # nothing rests, or the venue has not said yet where
    best = _best(context, leg, is_making=True)
    if best is None or pursuit.reprices >= making.reprices_max:
        return
    is_paced = context.now_ms - pursuit.amended_ms >= making.reprice_every_s * 1000
    if is_paced and _is_behind(context, leg, pursuit.price) and _is_near(context, leg, best):
        pursuit.reprices += 1
        pursuit.aim, pursuit.amended_ms = best, context.now_ms
        context.tell(of_leg(ENTRY, leg), order.RepriceWanted(seq))


def next_look_ms(context: Context, leg: LegKey) -> int:
    """When time alone lets a resting order follow the quote: it is behind, and it was too soon."""
    pursuit, making = context.book.pursuits.get(leg), _making(context, leg)
    if pursuit is None or pursuit.price is None or pursuit.reprices >= making.reprices_max:
        return NEVER_MS
    due_ms = pursuit.amended_ms + round(making.reprice_every_s * 1000)
    return due_ms if due_ms > context.now_ms and _is_behind(context, leg, pursuit.price) else NEVER_MS


def _is_behind(context: Context, leg: LegKey, price: Price) -> bool:
    """Whether the best price of our own side has left this one by as much as a new price is worth."""
    best = _best(context, leg, is_making=True)
    if best is None:
        return False
    tick = context.book.instruments[leg.instrument].tick_size
    return (best - price) * leg.side.sign >= _making(context, leg).reprice_ticks * tick


def amend(context: Context, address: Address, effect: order.AmendOrder) -> None:
    assert address.leg is not None
    pursuit = context.book.pursuits[address.leg]
    ticket = context.book.slots[address.leg, effect.role]
    assert pursuit.aim is not None
    context.announce("info", "REPRICE", leg=address.leg, price=pursuit.aim, was=pursuit.price)
    expires_ms = context.now_ms + context.parameters.pace.order_valid_ms
    context.ask(AmendOrder(ticket, pursuit.aim, expires_ms))


def ask_for_the_resting(context: Context) -> None:
    """As time passes: a fill that is not pushed is learnt by asking.

    A socket that is half-open delivers nothing and is noticed after half a minute; what fills meanwhile
    would have no stop for as long. The answer is a report like any other, and none is no news.
    """
    pace = context.parameters.pace
    for leg, slot in context.bot.legs:
        pursuit = context.book.pursuits.get(leg)
        if pursuit is None or slot.entry.state not in ASKED_FOR:
            continue
        if context.now_ms - max(pursuit.asked_ms, pursuit.amended_ms) >= pace.resting_asked_s * 1000:
            pursuit.asked_ms = context.now_ms
            ticket = context.book.slots[leg, order.Role.ENTRY]
            context.ask(QueryOrder(ticket, within_s=pace.resting_asked_s))


# Reports.


def note_price(context: Context, ticket: OrderTicket, report: world.OrderReport) -> None:
    """Where the order rests is what the venue says, whatever was asked for; reports may overtake each other."""
    pursuit = context.book.pursuits.get(ticket.leg)
    if pursuit is not None and report.price is not None and report.updated_ms >= pursuit.priced_ms:
        pursuit.price, pursuit.priced_ms = Price(report.price), report.updated_ms


def go_on(context: Context, ticket: OrderTicket, report: world.OrderReport) -> None:
    """A resting order is over and something of it is unfilled: another order, or the end of the pursuit."""
    leg = ticket.leg
    pursuit, making = context.book.pursuits.get(leg), _making(context, leg)
    left = ticket.contracts - report.filled
    if pursuit is None or ticket.kind is not POST_ONLY or left < _least(context, leg):
        return
    if report.filled and not context.book.leg(leg).contracts:
        return  # what had filled is closed again: the wish was met, and is over
    is_over = context.now_ms >= pursuit.until_ms
    if is_over and making.unfilled is Unfilled.CROSS:
        pursuit.kind = OrderKind.IOC
    elif is_over or report.ending is not world.Ending.WOULD_TAKE or pursuit.orders >= ORDERS_MAX:
        return
    best = _best(context, leg, is_making=pursuit.kind is POST_ONLY)
    if best is None or not _is_near(context, leg, best):
        context.announce("info", "LET_GO", leg=leg, first=pursuit.first, now=best)
        return
    context.announce("info", "ENTRY_AGAIN", leg=leg, kind=pursuit.kind.value, because=report.ending.value)
    _want_order(context, leg, left)


def _least(context: Context, leg: LegKey) -> Decimal:
    return context.book.instruments[leg.instrument].min_size


def _is_near(context: Context, leg: LegKey, price: Price) -> bool:
    """Whether this price is no further from where the pursuit began than it may drift, in the bad direction."""
    first = context.book.pursuits[leg].first
    if first is None:
        return True
    return (price - first) * leg.side.sign <= first * _making(context, leg).drift_fraction


def _best(context: Context, leg: LegKey, *, is_making: bool) -> Price | None:
    """The best price on our own side (making) or on the other one (taking), on the tick; None when not known."""
    quote = context.book.quotes.get(leg.instrument)
    if quote is None or context.now_ms - quote.at_ms > QUOTE_STALE_MS:
        return None
    instrument = context.book.instruments[leg.instrument]
    if (leg.side is LONG) is is_making:
        return instrument.price_below(quote.bid)
    return instrument.price_above(quote.ask)


def _making(context: Context, leg: LegKey) -> Making:
    return context.parameters.of(leg.instrument).making
