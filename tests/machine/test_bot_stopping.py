"""What the bot does of itself when it is asked to stop: entries end, covers stay, and it looks once more."""

from __future__ import annotations

from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, lifecycle, order, position, protection, reconciliation
from anchorwatch.machine.bot import LIFECYCLE, RECONCILIATION, Bot, Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.kernel import Effect
from tests.machine.bot_world import LONG, ready
from tests.machine.test_bot import after, at, entered, entry


def stopping(bot: Bot) -> tuple[Bot, list[Effect]]:
    return after(bot, (LIFECYCLE, lifecycle.StopRequested("SIGINT")))


def test_a_stop_cancels_entries_and_waits_for_them() -> None:
    bot, effects = after(ready(), (entry(), bots.EntryWanted()))
    seq = next(one.seq for one in effects if isinstance(one, order.RecordIntent))
    bot, _ = after(bot, (entry(), order.IntentRecorded(seq)), (entry(), order.OrderAcknowledged(seq)))
    bot, effects = stopping(bot)
    assert order.CancelOrder(order.Role.ENTRY, seq) in effects
    assert bot.lifecycle.data.step is lifecycle.StopStep.TRADING_CONTROL
    bot, effects = after(bot, (entry(), order.OrderCancelled(seq)))
    assert bot.lifecycle.data.step is lifecycle.StopStep.SAFETY


def test_an_entry_that_is_only_planned_is_withdrawn_by_the_stop() -> None:
    bot, _ = after(ready(), (entry(), bots.EntryWanted()))
    bot, _ = stopping(bot)
    assert bot.slot(LONG).entry.state is order.S.WITHDRAWN
    assert bot.lifecycle.data.step is lifecycle.StopStep.SAFETY


def test_a_stop_leaves_the_stop_of_an_open_position_alone() -> None:
    bot, effects = stopping(entered(ready()))
    touching = (protection.SweepAll, protection.SweepOthers, protection.MoveStop, order.SendOrder)
    assert [one for one in effects if isinstance(one, touching)] == []
    assert bot.slot(LONG).protection.state is protection.S.COVERED


def compared(bot: Bot) -> Bot:
    """The reading that is under way has come, and shows what the book holds."""
    bot, _ = after(bot, (RECONCILIATION, reconciliation.AccountCompared(bot.reconciliation.data.seq)))
    return bot


def test_a_stop_looks_at_the_stops_once_more_before_it_lets_go() -> None:
    bot, effects = stopping(entered(ready()))
    assert reconciliation.ReadAccount(bot.reconciliation.data.seq, is_last=True) in effects
    assert bot.lifecycle.data.step is lifecycle.StopStep.TRADING_CONTROL
    assert compared(bot).lifecycle.data.step is lifecycle.StopStep.SAFETY


def test_a_stop_whose_last_look_shows_no_stop_waits_for_a_new_one() -> None:
    bot, _ = stopping(entered(ready()))
    seq = bot.slot(LONG).protection.data.seq
    bot, _ = after(bot, (at(Part.PROTECTION), protection.StopGone(seq, "not in the reading")))
    assert compared(bot).lifecycle.data.step is lifecycle.StopStep.TRADING_CONTROL


def test_a_reading_is_the_last_one_in_a_stop_whatever_it_is_for() -> None:
    doubt = reconciliation.BookDoubted("a hand on the account")
    bot, effects = after(entered(ready()), (RECONCILIATION, doubt))
    assert reconciliation.ReadAccount(bot.reconciliation.data.seq) in effects
    bot, _ = stopping(bot)
    bot, _ = after(bot, (RECONCILIATION, doubt))
    assert bot.reconciliation.state is reconciliation.S.STALE
    seq = bot.reconciliation.data.seq
    bot, effects = after(bot, (RECONCILIATION, reconciliation.AccountCompared(seq)))
    assert effects == [reconciliation.ReadAccount(seq + 1, is_last=True)]
    assert compared(bot).lifecycle.data.step is lifecycle.StopStep.SAFETY


def test_a_stop_waits_for_the_cover_of_an_uncovered_position() -> None:
    bot, _ = after(ready(), (at(Part.POSITION), position.PositionSeen()))
    bot, _ = stopping(bot)
    assert bot.lifecycle.data.step is lifecycle.StopStep.TRADING_CONTROL
    seq = bot.slot(LONG).protection.data.seq
    bot, _ = after(bot, (at(Part.PROTECTION), protection.StopSeenLive(seq)))
    bot = compared(bot)
    assert bot.lifecycle.data.step is lifecycle.StopStep.SAFETY


def test_public_connections_are_closed_before_private_ones() -> None:
    bot, _ = stopping(ready())
    closed = []
    while bot.lifecycle.state is lifecycle.S.STOPPING:
        step, epoch = bot.lifecycle.data.step, bot.lifecycle.data.epoch
        closed.append({link.data.name for link in bot.links if link.state is connection.S.CLOSED})
        bot, _ = after(bot, (LIFECYCLE, lifecycle.StopStepEnded(epoch, lifecycle.Outcome.DONE)))
        if step is lifecycle.StopStep.PUBLIC_WS:
            assert closed[-1] == {Name.PUBLIC, Name.BUSINESS}
    assert closed[-1] == set(Name)
    assert bot.lifecycle.state is lifecycle.S.STOPPED
