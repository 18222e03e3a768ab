"""The limits at work: what ends is counted and remembered, what would be too much is not entered, and losses halt."""

from __future__ import annotations

from decimal import Decimal

from anchorwatch.machine import limits, order, permission, position
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.correlation import correlation
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.facts import Facts
from anchorwatch.machine.market import SIGNAL
from anchorwatch.machine.order import Role
from anchorwatch.machine.readiness import EQUITY_AGE_MS
from anchorwatch.machine.requests import Record
from anchorwatch.machine.units import Contracts, LegKey

# Asked for with every order and every end; a member of an enumeration is found by a slow search.
HALTED, FLAT = permission.S.HALTED, position.S.FLAT
ZERO = Decimal(0)


def remember(context: Context, facts: Facts) -> None:
    """Counters, pauses and the day's account outlive the process (P17)."""
    context.book.risk = facts.risk
    context.book.streaks = {streak.instrument: streak for streak in facts.streaks}


def take_equity(context: Context) -> None:
    """The day's account begins with the first equity that is heard of in it."""
    book = context.book
    risk = limits.begun(book.risk, book.equity, context.now_ms)
    if risk is not book.risk:
        book.risk = risk
        context.ask(Record((risk,)))


def take_end(context: Context, leg: LegBook, *, was_by_hand: bool) -> None:
    """A position of ours has ended: its symbol's run of losses and the day's account go on."""
    book = context.book
    net = leg.account.realised - leg.account.fees + leg.funding
    name = leg.leg.instrument
    streak = limits.streak_after(
        book.streaks.get(name),
        name,
        leg.leg.side,
        net,
        context.now_ms,
        context.parameters.limits,
        was_by_hand=was_by_hand,
    )
    known = book.streaks.get(name)
    if streak.paused_until_ms > (known.paused_until_ms if known is not None else 0):
        context.announce(
            "warning", "LOSSES_IN_ROW", instrument=name, pause_s=context.parameters.limits.losses_pause_s
        )
    book.streaks[name] = streak
    book.risk = limits.with_end(limits.begun(book.risk, book.equity, context.now_ms), net)
    context.ask(Record((book.risk, streak)))
    look(context, closed=leg.leg)


def look(context: Context, closed: LegKey | None = None) -> None:
    """Halt entries when a limit of loss is reached, what is open counted at mark. ``closed`` is counted already."""
    risk = context.book.risk
    if risk is None or context.bot.permission.state is HALTED:
        return
    reason = limits.breach(risk, _open_net(context, closed), context.parameters.limits)
    if not reason:
        return
    context.book.risk = limits.counted_anew(risk)
    context.ask(Record((context.book.risk,)))
    context.announce("alarm", "LOSS_LIMIT", reason=reason)
    context.tell(PERMISSION, permission.HaltRequested(reason))


def room_to_halt(context: Context) -> Decimal | None:
    """How much more may be lost, what is open counted at mark, before a limit halts entries; None where nothing can."""
    risk, own = context.book.risk, context.parameters.limits
    if risk is None or context.bot.permission.state is HALTED:
        return None
    net = _open_net(context, None)
    rooms = []
    if own.daily_loss and risk.day_equity > 0:
        rooms.append(own.daily_loss * risk.day_equity + risk.day_net + net)
    if own.drawdown and risk.first_equity > 0:
        rooms.append(own.drawdown * risk.first_equity - risk.peak_net + risk.net + net)
    return min(rooms, default=None)


def _open_net(context: Context, closed: LegKey | None) -> Decimal:
    net = ZERO
    for leg in context.book.open_legs():
        mark = context.book.marks.get(leg.leg.instrument)
        is_ours = context.bot.slot(leg.leg).position.state in position.OURS
        if leg.leg != closed and is_ours and mark is not None:
            account = leg.account
            net += account.pnl_of(account.contracts, mark) + account.realised - account.fees + leg.funding
    return net


# Entries.


def obstacles(context: Context, leg: LegKey, contracts: Contracts) -> tuple[str, ...]:
    """The limits that numbers decide.

    An entry under way holds its place and its full size from the step in which it was decided until its order has
    ended, so two decisions of one moment never share what is left.
    """
    parameters, book = context.parameters, context.book
    busy = [
        key
        for key, slot in context.bot.legs
        if slot.position.state is not FLAT or slot.entry.state not in order.FREE
    ]
    reasons = []
    if len(busy) >= parameters.max_positions:
        reasons.append(f"{len(busy)} positions are open or under way")
    if context.now_ms - book.equity_at_ms > EQUITY_AGE_MS:
        reasons.append("the equity is not fresh")
    trading = parameters.of(leg.instrument)
    reasons += limits.reentry_obstacles(
        book.streaks.get(leg.instrument), leg.side, context.now_ms, trading.reentry
    )
    held = [_exposure(context, key, _size(context, key)) for key in busy]
    wanted = _exposure(context, leg, contracts)
    reasons += limits.size_obstacles(held, wanted, book.equity, parameters.limits)
    reasons += _correlated(context, leg, busy)
    return tuple(reasons)


def _size(context: Context, key: LegKey) -> Decimal:
    """Contracts that are open or may become so: a resting entry counts in full until its end."""
    slot, book = context.bot.slot(key), context.book
    size: Decimal = book.leg(key).total if key.instrument in book.instruments else Decimal(0)
    if slot.entry.state not in order.FREE:
        ticket = book.slots.get((key, Role.ENTRY))
        size += ticket.contracts if ticket is not None else book.entry_sizes.get(key, Decimal(0))
    return size


def _exposure(context: Context, key: LegKey, contracts: Decimal) -> limits.Exposure:
    rules, mark = context.book.instruments.get(key.instrument), context.book.marks.get(key.instrument)
    if rules is None or mark is None:
        return limits.Exposure(Decimal(0), Decimal(0))
    notional = rules.notional(contracts, mark)
    leverage = context.parameters.of(key.instrument).sizing.leverage
    return limits.Exposure(notional, notional / leverage)


def _correlated(context: Context, leg: LegKey, busy: list[LegKey]) -> tuple[str, ...]:
    """Two positions of one direction in markets that move as one are one position of twice the size.

    What is not known is not taken for harmless: too few candles refuse, too.
    """
    own = context.parameters.limits
    if own.correlation >= 1:
        return ()
    for other in busy:
        if other.instrument == leg.instrument or other.side is not leg.side:
            continue
        found = _correlation(context, leg.instrument, other.instrument)
        if found is None:
            return (f"whether it moves as {other.instrument} does is not known",)
        if found > own.correlation:
            return (f"it moves as {other.instrument} does (correlation {found:.2f})",)
    return ()


def _correlation(context: Context, one: str, other: str) -> float | None:
    mine, its = context.charts.get(one), context.charts.get(other)
    if mine is None or its is None:
        return None
    returns = context.parameters.limits.correlation_candles
    return correlation(mine.market.buffer(SIGNAL).arrays(), its.market.buffer(SIGNAL).arrays(), returns)
