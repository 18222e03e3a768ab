"""The exchange: what it does with orders and stops, and what it pushes when it does.

An order that is accepted rests or fills, in one go or in parts; what remains of it may be
cancelled by the venue at any time, as it does with the remainder of a market order (OKX v5,
order states). Closing orders are reduce-only: without a position they are refused, and they
are cancelled when the position is gone. A stop of the whole position dies with the position;
an attached one does not (a known trap). A triggered stop makes a child order, which may fill,
fill in part, or stop at the price limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from anchorwatch.diagrams.check.bounds import Bounds
from anchorwatch.diagrams.check.items import Move, Rule, by_itself
from anchorwatch.diagrams.check.leg import (
    At,
    Call,
    Leg,
    Order,
    Stop,
    StopPush,
    replace,
    with_whose,
    without_fills,
)
from anchorwatch.diagrams.check.production import Facets
from anchorwatch.machine.order import Role

ROLES = (Role.ENTRY, Role.CLOSE)
NAMES: dict[Role | None, str] = {Role.ENTRY: "entry", Role.CLOSE: "close", None: "child"}


def _of_order(leg: Leg, facets: Facets, bounds: Bounds, role: Role) -> Iterator[Move]:
    name, order = NAMES[role], leg.order(role)
    if order.call is Call.WIRE:
        if role is Role.CLOSE and not leg.held:
            yield Move(f"the venue refuses the {name}: no position", _answered(leg, role, Call.REFUSED))
        else:
            accepted = _accepted(leg, role, facets)
            yield Move(f"the venue accepts the {name}", _answered(accepted, role, Call.ACCEPTED))
            yield Move(
                f"the venue accepts the {name}, its answer is lost",
                _answered(accepted, role, Call.LOST),
                faults=1,
            )
            yield Move(f"the venue refuses the {name}", _answered(leg, role, Call.REFUSED), faults=1)
        yield Move(f"the {name} is lost on its way", _answered(leg, role, Call.LOST), faults=1)
        late = leg.with_order(role, replace(order, call=Call.LOST, stray=True))
        yield Move(f"the {name} times out and is still on its way", late, faults=1)
    if order.cancel is Call.WIRE:
        if order.at is At.LIVE:
            gone = ended(leg, role, facets)
            yield Move(f"the {name} is cancelled as asked", _cancel_answered(gone, role, Call.ACCEPTED))
        else:
            yield Move(f"there is no {name} to cancel", _cancel_answered(leg, role, Call.REFUSED))
        yield Move(f"the cancel of the {name} is lost", _cancel_answered(leg, role, Call.LOST), faults=1)


def _of_amending(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.entry.amend is Call.WIRE:
        if leg.entry.at is At.LIVE:
            moved = _pushed(leg, Role.ENTRY, facets)
            yield Move("the venue amends the entry", _amend_answered(moved, Call.ACCEPTED))
            yield Move(
                "the venue amends the entry, its answer is lost", _amend_answered(moved, Call.LOST), faults=1
            )
            refused = _amend_answered(leg, Call.REFUSED)
            yield Move("the venue refuses to amend the entry", refused, faults=1)
        else:
            yield Move("there is no entry to amend", _amend_answered(leg, Call.LOST))
        yield Move("the amendment is lost", _amend_answered(leg, Call.LOST), faults=1)


def _amend_answered(leg: Leg, call: Call) -> Leg:
    return leg.with_order(Role.ENTRY, replace(leg.entry, amend=call))


def _by_itself(leg: Leg, facets: Facets, bounds: Bounds, role: Role) -> Iterator[Move]:
    name, order = NAMES[role], leg.order(role)
    if order.stray:
        yield Move(f"the deadline of the late {name} passes", _not_stray(leg, role))
        if role is Role.ENTRY or leg.contracts:
            yield Move(f"the late {name} arrives", _accepted(_not_stray(leg, role), role, facets))
    if order.at is At.LIVE:
        for move in _fills(leg, role, facets, bounds) if bounds.fills else ():
            is_belted = bounds.belt and role is Role.ENTRY and move.leg.entry.at is At.DONE
            yield replace(move, leg=_belted(move.leg, facets)) if is_belted else move
        yield Move(f"the venue cancels the {name}", ended(leg, role, facets))


def _answered(leg: Leg, role: Role, call: Call) -> Leg:
    return leg.with_order(role, replace(leg.order(role), call=call))


def _cancel_answered(leg: Leg, role: Role, call: Call) -> Leg:
    return leg.with_order(role, replace(leg.order(role), cancel=call))


def _not_stray(leg: Leg, role: Role) -> Leg:
    return leg.with_order(role, replace(leg.order(role), stray=False))


def _accepted(leg: Leg, role: Role, facets: Facets) -> Leg:
    return _pushed(leg.with_order(role, replace(leg.order(role), at=At.LIVE)), role, facets)


def _pushed(leg: Leg, role: Role | None, facets: Facets) -> Leg:
    """The order's report goes out, if a private connection is there to take it."""
    if not facets.hears_orders:
        return leg
    order = leg.order(role)
    if role is None and order.filled == order.booked:
        return leg  # of an order that is in no slot only the fills are taken
    return leg.with_order(role, replace(order, pushes=(*order.pushes, order.report)))


def ended(leg: Leg, role: Role | None, facets: Facets) -> Leg:
    return _pushed(leg.with_order(role, replace(leg.order(role), at=At.DONE)), role, facets)


def _fills(leg: Leg, role: Role | None, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    order = leg.order(role)
    rest = order.size - order.filled
    if role is not Role.ENTRY:
        rest = min(rest, leg.held)  # it only reduces, and takes no more than there is
    for amount in dict.fromkeys((*bounds.parts, rest)):
        if amount <= rest:
            words = "fills" if amount == rest else "fills in part"
            filled = _filled(leg, role, amount, facets)
            yield Move(f"the {NAMES[role]} {words}", filled)
            if bounds.belt and leg.mine.live and not filled.mine.live:
                # An attached stop that the desk has taken over stays behind.
                stays = replace(filled, mine=leg.mine)
                yield Move(f"the {NAMES[role]} {words}, and leaves its stop behind", stays)


def _filled(leg: Leg, role: Role | None, amount: int, facets: Facets) -> Leg:
    order = leg.order(role)
    contracts = leg.contracts + amount if role is Role.ENTRY else max(0, leg.contracts - amount)
    beyond = 0 if role is Role.ENTRY else amount - (leg.contracts - contracts)
    filled = order.filled + amount
    at = At.DONE if filled == order.size else At.LIVE
    leg = replace(
        leg.with_order(role, replace(order, filled=filled, at=at)),
        contracts=contracts,
        own_known=False,
    )
    if beyond:
        leg = replace(leg, theirs=max(0, leg.theirs - beyond))
        leg = with_whose(leg, taken=leg.whose.taken - beyond)
    leg = _pushed(leg, role, facets)
    if role is Role.ENTRY:
        return leg
    return leg if leg.held else flat(leg, facets)


def flat(leg: Leg, facets: Facets) -> Leg:
    """The position is closed: the history says so, and what could only reduce it is cancelled.

    A stop of the whole position is; one of a size is an order like others, and stays.
    """
    for role in (Role.CLOSE, None):
        if leg.order(role).at is At.LIVE:
            leg = ended(leg, role, facets)
    leg = replace(leg, closed=leg.filled)
    is_of_it = leg.mine.live and not leg.mine.size
    return _stop_gone(leg, facets, StopPush.GONE) if is_of_it else leg


def _followers(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    """Whether another stop is one of the whole position is not kept: it may go with its position, and it may stay."""
    if bounds.follows and leg.other.live and not leg.held:
        gone = replace(leg, other=stop_changed(leg.other, facets, StopPush.GONE))
        yield Move("another stop goes with its position", gone)


def _stop_gone(leg: Leg, facets: Facets, push: StopPush) -> Leg:
    return replace(leg, mine=stop_changed(leg.mine, facets, push))


def stop_changed(stop: Stop, facets: Facets, push: StopPush) -> Stop:
    """The stop as it is after what ``push`` tells, and the push on its way if somebody listens."""
    is_news = facets.hears_stops and (not stop.pushes or stop.pushes[-1] is not push)
    pushes = (*stop.pushes, push) if is_news else stop.pushes
    return replace(stop, live=push is StopPush.LIVE, pushes=pushes)


def _of_child(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.child.at is At.LIVE:
        yield from _fills(leg, None, facets, bounds)
        yield Move("the child order stops at the price limit", ended(leg, None, facets), faults=1)


def _of_placing(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.place is Call.WIRE:
        for answer, words in (
            (Call.NO_POSITION, "no position"),
            (Call.EXISTS, "there is one already"),
            (Call.BEYOND, "the market has passed it"),
            (Call.REFUSED, "try again"),
            (Call.RULES, "the instrument's rules"),
            (Call.BARRED, "no stops for now"),
        ):
            is_fault = answer not in (Call.NO_POSITION, Call.EXISTS)
            # Which of its reasons the venue names first is its own affair: without a position it may be any.
            if leg.held and answer is Call.NO_POSITION:
                continue
            if answer is Call.EXISTS and not leg.other.live:
                continue
            yield Move(
                f"the venue refuses the stop: {words}", replace(leg, place=answer), faults=int(is_fault)
            )
        if leg.held:
            placed = _placed(leg, facets)
            yield Move("the venue accepts the stop", replace(placed, place=Call.ACCEPTED))
            yield Move(
                "the venue accepts the stop, its answer is lost", replace(placed, place=Call.LOST), faults=1
            )
        yield Move("the stop is lost on its way", replace(leg, place=Call.LOST), faults=1)
        yield Move(
            "the stop times out and is still on its way",
            replace(leg, place=Call.LOST, stray_stop=True),
            faults=1,
        )


def _of_moving(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.move is Call.WIRE:
        if leg.mine.live:
            moved = replace(leg, mine=stop_changed(leg.mine, facets, StopPush.LIVE))
            if leg.move_size:
                moved = replace(moved, mine=replace(moved.mine, size=leg.move_size))
            if moved.reading is not None:
                moved = replace(moved, reading=replace(moved.reading, mine_renewed=True))
            yield Move("the venue moves the stop", replace(moved, move=Call.ACCEPTED))
            yield Move(
                "the venue moves the stop, its answer is lost", replace(moved, move=Call.LOST), faults=1
            )
            yield Move("the venue refuses the move", replace(leg, move=Call.REFUSED), faults=1)
        else:
            yield Move("there is no stop to move", replace(leg, move=Call.REFUSED))
        yield Move("the move is lost", replace(leg, move=Call.LOST), faults=1)


def _of_sweeping(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.sweep:
        swept = replace(leg, sweep=False)
        if leg.other.live:
            swept = replace(swept, other=stop_changed(leg.other, facets, StopPush.GONE))
        yield Move("the other stops are swept", swept)
        yield Move("the sweep is lost", replace(leg, sweep=False), faults=1)


def _triggers(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    if leg.held and leg.child.at is not At.LIVE:
        for is_mine in (True, False):
            stop = leg.mine if is_mine else leg.other
            if stop.live and (stop.size or leg.contracts):  # one of a size takes whatever is there
                changed = stop_changed(stop, facets, StopPush.TRIGGERED)
                triggered = replace(leg, mine=changed) if is_mine else replace(leg, other=changed)
                whose = "the stop triggers" if is_mine else "another stop of ours triggers"
                yield Move(whose, _new_child(triggered, stop.size))


def _late_stops(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    """Stops have no deadline of their own (OKX v5), so a request whose answer was lost may arrive at any time.

    Beside another stop of the whole position it is refused; an attached one is none.
    """
    is_alone = not (leg.mine.live or leg.other.live)
    is_possible = leg.contracts and (is_alone or bounds.belt or bounds.beside)
    if leg.stray_stop:
        settled = replace(leg, stray_stop=False)
        if is_possible:
            yield Move("the late stop arrives", _placed(settled, facets))
        yield Move("the late stop is refused", settled)
    if leg.stray_other:
        settled = replace(leg, stray_other=False)
        if is_possible:
            arrived = replace(settled, other=stop_changed(leg.other, facets, StopPush.LIVE), sweep=False)
            if arrived.reading is not None:
                arrived = replace(arrived, reading=replace(arrived.reading, other_renewed=True))
            yield Move("a late stop of before arrives", arrived)
        yield Move("a late stop of before is refused", settled)


def _new_child(leg: Leg, of: int = 0) -> Leg:
    """An order that closes and is in no slot of the bot.

    While reports of an earlier one are under way the two are kept as one, whose fills add up: only
    fills are ever taken from such an order.
    """
    contracts = min(of, leg.held) if of else leg.contracts
    if leg.child.pushes:
        size = leg.child.filled + contracts
        return replace(leg, child=replace(leg.child, size=size, at=At.LIVE))
    return without_fills(replace(leg, child=Order(size=contracts, at=At.LIVE)), None)


def _placed(leg: Leg, facets: Facets) -> Leg:
    leg = replace(leg, mine=replace(stop_changed(leg.mine, facets, StopPush.LIVE), size=leg.place_size))
    if leg.reading is not None:
        leg = replace(leg, reading=replace(leg.reading, mine_renewed=True))
    return leg


def _strangers(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    """A human or a liquidation closes the position; somebody cancels the stop, or trades beside the bot.

    A twin of the bot places stops of its own, which look like ours.
    """
    if bounds.foreign:
        yield from _foreign_trades(leg, facets, bounds)
    if bounds.shared:
        yield from _trades_of_others(leg, facets, bounds)
    if not bounds.strangers:
        return
    if leg.contracts and leg.child.at is not At.LIVE:
        yield Move("somebody closes the position", closed_by_somebody(leg, facets), faults=1)
    if leg.mine.live:
        yield Move("somebody cancels the stop", _stop_gone(leg, facets, StopPush.GONE), faults=1)
    if leg.other.live:
        gone = replace(leg, other=stop_changed(leg.other, facets, StopPush.GONE))
        yield Move("somebody cancels another stop", gone, faults=1)
    elif leg.contracts and bounds.twins:
        placed = replace(leg, other=stop_changed(leg.other, facets, StopPush.LIVE), sweep=False)
        if placed.reading is not None:
            placed = replace(placed, reading=replace(placed.reading, other_renewed=True))
        yield Move("somebody places another stop", placed, faults=1)
    if leg.mine.live and bounds.moves:
        moved = replace(leg, mine=stop_changed(leg.mine, facets, StopPush.LIVE))
        yield Move("somebody moves the stop", moved, faults=1)


def closed_by_somebody(leg: Leg, facets: Facets) -> Leg:
    return _filled(_new_child(leg), None, leg.contracts, facets)


def _foreign_trades(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    for amount in bounds.parts:
        yield Move("somebody opens or adds", replace(leg, contracts=leg.contracts + amount), faults=1)
        if leg.contracts > amount:
            yield Move("somebody takes a part", replace(leg, contracts=leg.contracts - amount), faults=1)
        elif leg.contracts == amount:
            gone = flat(replace(leg, contracts=0), facets)
            yield Move("somebody takes the rest", gone, faults=1)
            if bounds.belt and leg.mine.live:
                stays = replace(gone, mine=leg.mine)
                yield Move("somebody takes the rest, and leaves the stop behind", stays, faults=1)


def _lists(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    """What is read of an account may be as it was a while ago (OKX v5: pushes and lists are not of one moment)."""
    if leg.past is not None:
        yield Move("the venue's lists catch up", replace(leg, past=None))
    elif bounds.lags:
        yield Move("the venue's lists stand still", replace(leg, past=leg.past_now), faults=1)


def _trades_of_others(leg: Leg, facets: Facets, bounds: Bounds) -> Iterator[Move]:
    """Somebody else trades in the position. Of an account's orders all are pushed, whoever made them (OKX v5)."""

    def told(after: Leg, change: int) -> Leg:
        after = replace(after, own_known=False)
        return replace(after, news=(*after.news, change)) if facets.hears_orders else after

    if leg.theirs < bounds.others:
        added = replace(leg, theirs=leg.theirs + 1)
        yield Move("somebody adds to the position, or opens one", told(added, 1), faults=1)
    if leg.theirs:
        taken = replace(leg, theirs=leg.theirs - 1)
        yield Move("somebody takes theirs", told(taken if taken.held else flat(taken, facets), -1), faults=1)
    elif leg.contracts and bounds.others:
        taken = with_whose(replace(leg, contracts=leg.contracts - 1), taken=leg.whose.taken + 1)
        yield Move("somebody takes of ours", told(taken if taken.held else flat(taken, facets), -1), faults=1)


def _belted(leg: Leg, facets: Facets) -> Leg:
    """The attached stop appears when its entry has filled completely. An older sweep does not name it."""
    return replace(leg, other=stop_changed(leg.other, facets, StopPush.LIVE), sweep=False)


RULES: tuple[Rule, ...] = (
    *(partial(_of_order, role=role) for role in ROLES),
    _of_amending,
    _of_placing,
    _of_moving,
    _of_sweeping,
    *(by_itself(partial(_by_itself, role=role)) for role in ROLES),
    by_itself(_of_child),
    by_itself(_followers),
    by_itself(_late_stops),
    by_itself(_triggers),
    by_itself(_strangers),
    by_itself(_lists),
)
"""Everything that the venue can do."""
