"""Another bot with our name on this account: seen by its orders and by its connections.

A file lock keeps two bots of one host apart; a second host is seen here. Entries are halted, because two that enter
hold twice of everything; stops and closes go on.

A life leaves sockets behind when it is cut off, and those that had fallen silent when it stops in order; nobody
knows how many the venue still counts. Soon after it a count is told and halts nothing: a restart that halts itself would
be worse, and a twin that trades is seen by its orders.
"""

from __future__ import annotations

from anchorwatch.machine import ids, permission, world
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk.context import Context
from anchorwatch.machine.world import OrderReport

FORGOTTEN_AFTER_MS = 60_000
"""The venue drops a silent connection after 30 s: for so long, and as long again, it may still count one of ours."""


SILENT_FORGOTTEN_AFTER_MS = 3_600_000
"""A socket that fell silent is half-open at the venue too, which gives it up a quarter of an hour after the first push that
nobody answers; on a quiet account that push may be long in coming."""

LOSSES_KEPT = 30
"""The venue itself refuses a thirty-first connection to a channel."""


def look_at_order(context: Context, report: OrderReport) -> None:
    """An order with our prefix that was made while we live, and not by us."""
    made = ids.parse(report.client_id)
    if made is None or report.created_ms <= context.started_ms:
        return
    context.announce("alarm", "TWIN", order=report.client_id, instrument=report.instrument)
    _halt(context, f"a twin: the order {report.client_id} is not of this life")


def look_at_count(context: Context, event: world.ConnectionsCounted) -> None:
    """The venue says how many connections of this account have subscribed to a channel.

    More than our own is another reader of the same account. Where the account is declared ours alone, it is a twin.
    """
    expected = 1 + _may_be_counted_still(context, Name(event.link))
    if event.count <= expected:
        return
    context.book.is_crowded = True
    words = f"{event.count} connections have subscribed to {event.channel}, {expected} of them ours at most"
    if not context.parameters.is_exclusive:
        context.announce("info", "SHARED_ACCOUNT", why=words)
        return
    if context.last_alive_ms and context.now_ms - context.last_alive_ms <= SILENT_FORGOTTEN_AFTER_MS:
        context.announce("warning", "CROWDED", why=f"{words}; the life before may have left the others")
        return
    context.announce("alarm", "TWIN", why=words, fix="stop the other bot, then run with --clear-halt")
    _halt(context, f"a twin: {words}")


def note_loss(context: Context, name: Name, *, is_silent: bool) -> None:
    """A socket was given up, or is about to be replaced: whether the venue has noticed is not known."""
    book = context.book
    for losses in (book.links_lost_ms, *((book.links_silent_ms,) if is_silent else ())):
        lost = losses.setdefault(name.value, [])
        lost.append(context.now_ms)
        del lost[:-LOSSES_KEPT]


def _may_be_counted_still(context: Context, name: Name) -> int:
    """How many earlier sockets of ours may still be open at the venue."""
    lost = context.book.links_lost_ms.get(name.value, [])
    recent = sum(1 for lost_ms in lost if context.now_ms - lost_ms <= FORGOTTEN_AFTER_MS)
    silent = context.book.links_silent_ms.get(name.value, [])
    ages_ms = [context.now_ms - lost_ms for lost_ms in silent]
    return recent + sum(1 for age_ms in ages_ms if FORGOTTEN_AFTER_MS < age_ms <= SILENT_FORGOTTEN_AFTER_MS)


def _halt(context: Context, reason: str) -> None:
    context.tell(PERMISSION, permission.HaltRequested(reason))
