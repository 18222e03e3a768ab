"""The desk as a person sees it: one frozen picture of the bot and its book."""

from __future__ import annotations

from collections.abc import Mapping

from anchorwatch.io.live_view import ConnectionRow, PositionRow, View
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.desk import Desk, explaining
from anchorwatch.machine.kernel import Move


def view_of(
    desk: Desk, now_ms: int, recent: tuple[tuple[int, Move], ...], since_ms: Mapping[str, int]
) -> View:
    """What the live view shows at this moment of venue time. ``since_ms``: when each connection last moved."""
    bot, context = desk.bot, desk.context
    return View(
        at_ms=now_ms,
        stage=bot.lifecycle.state.value,
        permission=bot.permission.state.value,
        why_not_ready=explaining.obstacles(context),
        connections=tuple(
            ConnectionRow(
                name=link.data.name.value,
                state=link.state.value,
                since_ms=since_ms.get(link.data.name.value, now_ms),
                failures=link.data.failures,
            )
            for link in bot.links
        ),
        positions=tuple(position_row(desk, leg, now_ms) for leg in context.book.open_legs()),
        equity=context.book.equity,
        recent=recent,
    )


def position_row(desk: Desk, leg: LegBook, now_ms: int) -> PositionRow:
    """One position as it is shown."""
    mark = desk.context.book.marks.get(leg.leg.instrument)
    return PositionRow(
        leg=str(leg.leg),
        contracts=leg.contracts,
        entry=leg.account.average_price,
        mark=mark,
        stop=leg.resting,
        pnl_usd=leg.account.pnl_of(leg.contracts, mark) if mark is not None else None,
        protection=desk.bot.slot(leg.leg).protection.state.value,
        age_ms=now_ms - leg.entered_ms,
    )
