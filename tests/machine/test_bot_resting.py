"""An entry that may rest waits for the countdown that would take it back."""

from __future__ import annotations

from anchorwatch.machine import bot as bots
from anchorwatch.machine import dead_man, order
from anchorwatch.machine.bot import DEAD_MAN, Bot
from tests.machine.bot_world import LONG, ready
from tests.machine.test_bot import after, entry


def planned_to_rest() -> tuple[Bot, int]:
    """A READY bot whose first post-only entry is recorded; the countdown has just been asked for."""
    bot, _ = after(ready(), (entry(), bots.EntryWanted(rests=True)))
    seq = bot.slot(LONG).entry.data.seq
    bot, effects = after(bot, (entry(), order.IntentRecorded(seq)))
    assert not any(isinstance(one, order.SendOrder) for one in effects)
    assert (bot.slot(LONG).entry.state, bot.dead_man.state) == (order.S.UNGUARDED, dead_man.S.ARMING)
    return bot, seq


def test_an_entry_that_rests_is_sent_when_the_countdown_runs() -> None:
    bot, seq = planned_to_rest()
    bot, effects = after(bot, (DEAD_MAN, dead_man.RenewalTaken(bot.dead_man.data.seq)))
    assert order.SendOrder(order.Role.ENTRY, seq) in effects
    assert bots.may_still_send(bot, LONG, seq) == ()


def test_an_entry_that_would_rest_is_withdrawn_when_the_countdown_cannot_be_had() -> None:
    bot, _ = planned_to_rest()
    bot, effects = after(bot, (DEAD_MAN, dead_man.RenewalFailed(bot.dead_man.data.seq, "no answer")))
    assert not any(isinstance(one, order.SendOrder) for one in effects)
    assert bot.slot(LONG).entry.state is order.S.WITHDRAWN


def test_a_switch_that_is_given_up_while_an_entry_waits_for_it_holds_nothing_up() -> None:
    bot, seq = planned_to_rest()
    _, effects = after(bot, (DEAD_MAN, dead_man.StopsTaken("a stop went with it")))
    assert order.SendOrder(order.Role.ENTRY, seq) in effects
