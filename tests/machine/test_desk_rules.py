"""Stories about an instrument's rules that changed while nobody could hear it."""

from __future__ import annotations

import msgspec

from anchorwatch.machine import connection, requests, world
from anchorwatch.machine.bot import Address, Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk.rules import LIVE
from tests.machine.desk_rig import BTC, RULES, DeskRig

SUSPENDED = msgspec.structs.replace(RULES, is_live=False)


def asked_for(rig: DeskRig) -> list[str]:
    """Whose rules are asked for at the next tick of the clock."""
    rig.asked.clear()
    rig.say(world.ClockTicked())
    return [one.instrument for one in rig.taken(requests.ReloadRules)]


def heard(rig: DeskRig) -> DeskRig:
    """What the start may have missed is read."""
    assert asked_for(rig) == [BTC]
    rig.say(world.RulesRead(BTC, RULES))
    return rig


def test_what_changed_between_the_first_reading_and_the_first_push_is_read() -> None:
    heard(DeskRig().booted())


def test_a_suspended_instrument_is_asked_for_every_minute_until_it_is_back() -> None:
    rig = heard(DeskRig().booted())
    rig.say(world.RulesRead(BTC, SUSPENDED))
    assert (BTC, LIVE) in rig.bot.missing
    assert asked_for(rig) == []
    for _ in range(2):
        rig.pass_s(60)
        assert asked_for(rig) == [BTC]
    rig.say(world.RulesRead(BTC, None))  # it could not be had
    assert (BTC, LIVE) in rig.bot.missing
    rig.pass_s(60)
    assert asked_for(rig) == [BTC]
    rig.say(world.RulesRead(BTC, RULES))
    assert (BTC, LIVE) not in rig.bot.missing
    rig.pass_s(60)
    assert asked_for(rig) == []


def test_what_was_pushed_while_the_public_connection_was_away_is_read_when_it_is_back() -> None:
    rig = heard(DeskRig().booted())
    public = Address(Part.CONNECTION, link=Name.PUBLIC)
    rig.tell(public, connection.SocketLost(rig.bot.link(Name.PUBLIC).data.epoch, "reset"))
    rig.say(world.ClockTicked())
    assert rig.taken(requests.ReloadRules) == []
    rig.pass_s(5)
    while rig.answer_start():
        pass
    assert connection.delivers(rig.bot.link(Name.PUBLIC))
    assert asked_for(rig) == [BTC]


def test_otherwise_they_are_asked_for_once_an_hour() -> None:
    rig = heard(DeskRig().booted())
    rig.pass_s(3_599)
    assert asked_for(rig) == []
    rig.pass_s(1)
    rig.pass_s(60)
    assert asked_for(rig) == [BTC]
