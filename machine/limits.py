"""The limits of loss and of size: what was lost and is exposed, put against what the settings allow. Pure.

Loss is counted from what positions brought — price, fees, funding — and from what the open
ones would bring now. Money that is paid in or out changes the equity, and is no profit and
no loss: the equity of the day's beginning is only what the shares are of.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from anchorwatch.machine.facts import RiskFact, StreakFact
from anchorwatch.machine.timeframes import DAY_MS
from anchorwatch.machine.units import Fraction, Side, Usd

ZERO = Decimal(0)


class Limits(msgspec.Struct, frozen=True):
    """Shares are of the equity at the beginning of the UTC day, or of the first day for the drawdown. 0: no limit.

    Daily loss 5 %, five losses in a row and the half hour are the original's; of its drawdowns (6 to 8 %) the widest
    stands, because a day may take 5 %. Its total of 600 USD contradicts five positions of 150 USD each: 1000 leave
    room for prices that move.
    Margin in use stays below the lower of its bounds.
    """

    daily_loss: Fraction = Fraction(Decimal("0.05"))
    drawdown: Fraction = Fraction(Decimal("0.08"))
    losses_in_row: int = 5
    losses_pause_s: int = 1_800
    margin_share: Fraction = Fraction(Decimal("0.85"))
    total_usd: Usd = Usd(Decimal(1000))
    correlation: float = 0.85
    correlation_candles: int = 60


class Reentry(msgspec.Struct, frozen=True):
    """How long after the end of a position its symbol is not entered again, in seconds."""

    same_side_s: int = 60
    after_loss_s: int = 180
    opposite_s: int = 5


def of_day(at_ms: int) -> int:
    return at_ms - at_ms % DAY_MS


def begun(known: RiskFact | None, equity: Decimal, at_ms: int) -> RiskFact:
    """The account of the day of ``at_ms``: the known one, or a new one with this equity as its base."""
    day_ms = of_day(at_ms)
    if known is None:
        return RiskFact(day_ms, equity, ZERO, equity, ZERO, ZERO)
    if known.day_ms == day_ms:
        return known
    return msgspec.structs.replace(known, day_ms=day_ms, day_equity=equity, day_net=ZERO)


def with_end(risk: RiskFact, net: Decimal) -> RiskFact:
    """A position has ended and brought this, after fees and funding."""
    total = risk.net + net
    return msgspec.structs.replace(
        risk, day_net=risk.day_net + net, net=total, peak_net=max(risk.peak_net, total)
    )


def breach(risk: RiskFact, open_net: Decimal, limits: Limits) -> str:
    """Which limit of loss is reached, in words; empty when none is. ``open_net`` is what open positions would bring."""
    lost = -(risk.day_net + open_net)
    if limits.daily_loss and risk.day_equity > 0 and lost >= limits.daily_loss * risk.day_equity:
        return f"daily loss: {lost:.2f} of {risk.day_equity:.2f} USD ({lost / risk.day_equity:.1%})"
    down = risk.peak_net - (risk.net + open_net)
    if limits.drawdown and risk.first_equity > 0 and down >= limits.drawdown * risk.first_equity:
        return f"drawdown: {down:.2f} of {risk.first_equity:.2f} USD ({down / risk.first_equity:.1%})"
    return ""


def counted_anew(risk: RiskFact) -> RiskFact:
    """After a halt: whoever lifts it has looked, and the next one is for what comes then."""
    return msgspec.structs.replace(risk, day_net=ZERO, peak_net=risk.net)


def streak_after(
    known: StreakFact | None,
    instrument: str,
    side: Side,
    net: Decimal,
    at_ms: int,
    limits: Limits,
    *,
    was_by_hand: bool = False,
) -> StreakFact:
    """The run of losses of a symbol after one more end. A full run begins anew, behind a pause."""
    losses = (known.losses if known is not None else 0) + 1 if net < 0 else 0
    paused_until_ms = known.paused_until_ms if known is not None else 0
    if limits.losses_in_row and losses >= limits.losses_in_row:
        losses, paused_until_ms = 0, at_ms + limits.losses_pause_s * 1000
    return StreakFact(instrument, losses, paused_until_ms, side.value, net < 0, at_ms, was_by_hand)


def reentry_obstacles(
    streak: StreakFact | None, side: Side, now_ms: int, reentry: Reentry
) -> tuple[str, ...]:
    if streak is None:
        return ()
    reasons = []
    if now_ms < streak.paused_until_ms:
        reasons.append("the pause after too many losses in a row")
    is_same = side.value == streak.side
    wait_s = reentry.same_side_s if is_same else reentry.opposite_s
    if is_same and streak.was_loss:
        wait_s = max(wait_s, reentry.after_loss_s)
    if streak.was_by_hand:
        # Whoever closed it wants to be out: neither direction is theirs to be put back into at once.
        wait_s = max(reentry.same_side_s, reentry.after_loss_s, reentry.opposite_s)
    if now_ms - streak.at_ms < wait_s * 1000:
        reasons.append("the cool-down after the last close")
    return tuple(reasons)


class Exposure(msgspec.Struct, frozen=True):
    """One leg's worth in USD and the margin that it binds: open, and reserved by an entry under way."""

    notional: Decimal
    margin: Decimal


def size_obstacles(
    held: Iterable[Exposure], wanted: Exposure, equity: Decimal, limits: Limits
) -> tuple[str, ...]:
    """What one more entry would break. Entries under way are in ``held`` at their full size."""
    reasons = []
    total, margin = wanted.notional, wanted.margin
    for one in held:
        total, margin = total + one.notional, margin + one.margin
    if limits.total_usd and total > limits.total_usd:
        reasons.append(f"{total:.0f} USD in all, allowed {limits.total_usd:.0f}")
    if limits.margin_share and margin > limits.margin_share * equity:
        reasons.append(
            f"margin of {margin:.0f} USD in all, allowed {limits.margin_share:.0%} of {equity:.0f}"
        )
    return tuple(reasons)
