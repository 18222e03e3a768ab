"""Where nothing is to be decided: the marks and the time that a leg sleeps through.

Live, every mark is told and every second looked at. A back-test of years would spend its time on marks that change
nothing, so it asks here first which ones those are. The answer is careful: a mark outside the band may change
nothing either, one inside it never does (a test tells every mark and finds the same trades).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from anchorwatch.machine import candle_repair, guards, limits, order, position, protection
from anchorwatch.machine import trailing_stop as levels
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.desk import exits, making, positions, risk, sweeping
from anchorwatch.machine.desk.context import NEVER_MS, Context
from anchorwatch.machine.timeframes import DAY_MS
from anchorwatch.machine.units import Price, Side

LONG, COVERED, OPEN = Side.LONG, protection.S.COVERED, position.S.OPEN
CALM = (guards.L.CALM, guards.L.OFF)
ALL = Decimal("Infinity")
ZERO = Decimal(0)


class Quiet(msgspec.Struct, frozen=True, gc=False):
    """No mark strictly between ``low`` and ``high`` changes a decision, and no clock tick before ``until_ms`` does."""

    low: Decimal
    high: Decimal
    until_ms: int

    def within(self, other: Quiet) -> Quiet:
        """What is quiet for both."""
        if self is ASLEEP:
            return other
        if other is ASLEEP:
            return self
        return Quiet(max(self.low, other.low), min(self.high, other.high), min(self.until_ms, other.until_ms))


ASLEEP = Quiet(-ALL, ALL, NEVER_MS)


def awake(until_ms: int) -> Quiet:
    """Every mark counts."""
    return Quiet(ALL, -ALL, until_ms)


def of(context: Context, instrument: str) -> Quiet:
    """What this instrument sleeps through, as things stand."""
    quiet = ASLEEP
    chart = context.charts.get(instrument)
    if (
        chart is not None
        and chart.repair_due_ms
        and any(snapshot.state is not candle_repair.S.SOUND for snapshot in chart.repairs.values())
    ):
        quiet = Quiet(-ALL, ALL, min(chart.repair_due_ms.values()))
    for key, slot in context.bot.legs:
        if key.instrument != instrument:
            continue
        leg = context.book.leg(key)
        if slot.entry.state not in order.FREE:
            resting = slot.entry.state in order.RESTING
            quiet = quiet.within(awake(making.next_look_ms(context, key) if resting else NEVER_MS))
        if slot.position.state in position.OURS:
            until_ms = _until_ms(context, leg)
            is_settled = (
                slot.position.state is OPEN
                and slot.protection.state is COVERED
                and leg.resting is not None
                and leg.peak is not None
                and leg.wanted is not None
            )
            quiet = quiet.within(_of_covered(context, leg, until_ms) if is_settled else awake(until_ms))
            quiet = quiet.within(_of_room(context, leg)).within(_of_loss(context, leg))
        if leg.swept_ms:
            quiet = quiet.within(Quiet(-ALL, ALL, sweeping.due_ms(leg)))
        if positions.differs(leg):
            quiet = quiet.within(Quiet(-ALL, ALL, leg.pushed_at_ms + positions.PUSH_SETTLES_MS))
    return quiet


def _until_ms(context: Context, leg: LegBook) -> int:
    """When time alone may have something to say of an open leg: its age, its nakedness, and the day's account, which
    begins anew with the first equity that is heard in it."""
    parameters = context.parameters
    patience = exits.of(context, leg.leg.instrument).patience(leg.regime)
    until_ms = limits.of_day(context.now_ms) + DAY_MS
    for wait_s in (patience.max_holding_s, patience.loser_after_s):
        due_ms = leg.entered_ms + wait_s * 1000
        if wait_s and (due_ms > context.now_ms or wait_s == patience.max_holding_s):
            until_ms = min(until_ms, due_ms)
    if leg.uncovered_since_ms is not None and not leg.uncovered_is_told:
        naked_ms = leg.uncovered_since_ms + round(parameters.pace.naked_deadline_s * 1000)
        until_ms = min(until_ms, naked_ms)
    return until_ms


def _of_covered(context: Context, leg: LegBook, until_ms: int) -> Quiet:
    """Between the price where the stop would move and the one where the position would close."""
    assert leg.peak is not None
    assert leg.wanted is not None
    assert leg.resting is not None
    side, entry = leg.leg.side, leg.account.average_price
    instrument = context.book.instruments[leg.leg.instrument]
    protecting = context.parameters.of(leg.leg.instrument).protecting
    may_move_ms = leg.moved_ms + round(context.parameters.pace.move_interval_s * 1000)
    trailing = levels.trailing_level(side, entry, leg.peak, protecting, instrument)
    if trailing is not None and levels.is_tighter(side, trailing, leg.wanted):
        return awake(until_ms)
    # Ahead: the activation or the next peak, and the take-profit. A tick less, for the roundings of a division.
    ahead = leg.peak
    if trailing is None:
        ahead = Price(entry * (1 + side.sign * protecting.trail_activation_fraction))
    wanted_exits = exits.of(context, leg.leg.instrument)
    is_partial_ahead = bool(wanted_exits.partial_share) and exits.PARTIAL not in leg.partials
    for fraction in (
        wanted_exits.take_profit_fraction,
        wanted_exits.partial_at_fraction if is_partial_ahead else ZERO,
    ):
        if fraction:
            profit = entry * (1 + side.sign * fraction)
            ahead = Price(min(ahead, profit) if side is LONG else max(ahead, profit))
    ahead = Price(ahead - side.sign * instrument.tick_size)
    # Behind: a level that is meant, and was too small a step, becomes a real one when mark comes near. One that came
    # too soon after the last becomes one with time.
    behind = -side.sign * ALL
    wanted = levels.on_tick(side, leg.wanted, instrument)
    gain = side.sign * (wanted - leg.resting)
    if gain > 0 and context.now_ms < may_move_ms:
        return awake(until_ms)
    if gain > 0 and gain >= protecting.min_move_ticks * instrument.tick_size:
        if not protecting.min_move_fraction:
            return awake(until_ms)
        behind = leg.resting + side.sign * (gain / protecting.min_move_fraction + instrument.tick_size)
    patience = wanted_exits.patience(leg.regime)
    if patience.loser_after_s and context.now_ms >= leg.entered_ms + patience.loser_after_s * 1000:
        loser = entry * (1 - side.sign * patience.loser_fraction) + side.sign * instrument.tick_size
        behind = max(behind, loser) if side is LONG else min(behind, loser)
        mark = context.book.marks.get(leg.leg.instrument)
        if mark is None or side.sign * (mark - loser) <= 0:
            until_ms = context.now_ms  # ages are looked at with the clock, so from here on it ticks
    low, high = (behind, ahead) if side is LONG else (ahead, behind)
    return Quiet(low, high, until_ms)


def _of_room(context: Context, leg: LegBook) -> Quiet:
    """While the liquidation guard is calm, up to the mark where it would warn."""
    if context.liquidation_of(leg.leg).state not in CALM:
        return awake(NEVER_MS)
    side, entry = leg.leg.side, leg.account.average_price
    liquidation = leg.liquidation
    if liquidation is None or liquidation <= 0 or side.sign * (entry - liquidation) <= 0:
        return ASLEEP
    warning = liquidation + context.parameters.guarding.room_warning * (entry - liquidation)
    tick = context.book.instruments[leg.leg.instrument].tick_size
    if side is LONG:
        return Quiet(warning + tick, ALL, NEVER_MS)
    return Quiet(-ALL, warning - tick, NEVER_MS)


def _of_loss(context: Context, leg: LegBook) -> Quiet:
    """Up to the mark where the losses would halt entries. They are looked at with the clock, so from there on it ticks."""
    room, mark = risk.room_to_halt(context), context.book.marks.get(leg.leg.instrument)
    if room is None or mark is None or not leg.contracts:
        return ASLEEP
    if room <= 0:
        return Quiet(-ALL, ALL, context.now_ms)
    # Every open leg may lose its share of the room before the others lose theirs.
    instrument = context.book.instruments[leg.leg.instrument]
    share = room / len(context.book.open_legs())
    reach = share / instrument.coins(leg.contracts) - instrument.tick_size
    if leg.leg.side is LONG:
        return Quiet(mark - reach, ALL, NEVER_MS)
    return Quiet(-ALL, mark + reach, NEVER_MS)
