"""Stories about who else reads this account, as the venue counts."""

from __future__ import annotations

import pytest

from anchorwatch.machine import connection, permission, world
from anchorwatch.machine.bot import Address, Part
from anchorwatch.machine.connection import Name
from anchorwatch.machine.facts import Facts, GenerationFact
from tests.machine.desk_rig import START_MS, DeskRig


def counted(rig: DeskRig, count: int) -> permission.S:
    rig.say(world.ConnectionsCounted(Name.PRIVATE.value, "orders", count))
    state = rig.bot.permission.state
    assert isinstance(state, permission.S)
    return state


def lose(rig: DeskRig) -> None:
    link = rig.bot.link(Name.PRIVATE)
    rig.tell(Address(Part.CONNECTION, link=Name.PRIVATE), connection.SocketLost(link.data.epoch, "reset"))


def test_one_connection_is_ours_and_two_are_a_twin() -> None:
    rig = DeskRig().booted()
    assert counted(rig, 1) is permission.S.OPEN
    assert counted(rig, 2) is permission.S.HALTED
    assert "TWIN" in rig.announced()


def test_where_others_trade_too_a_second_connection_is_told_and_no_more() -> None:
    rig = DeskRig(is_exclusive=False).booted()
    assert counted(rig, 2) is permission.S.OPEN
    assert "SHARED_ACCOUNT" in rig.announced()


@pytest.mark.parametrize("attempts", [1, 3])
def test_every_socket_that_was_given_up_a_moment_ago_may_be_counted_still(attempts: int) -> None:
    rig = DeskRig().booted()
    for _ in range(attempts):
        lose(rig)
        rig.pass_s(1)
        rig.tell(Address(Part.CONNECTION, link=Name.PRIVATE), connection.ConnectRequested())
    assert counted(rig, attempts + 1) is permission.S.OPEN
    assert counted(rig, attempts + 2) is permission.S.HALTED


def test_a_socket_of_long_ago_is_counted_no_more() -> None:
    rig = DeskRig().booted()
    lose(rig)
    rig.pass_s(61)
    assert counted(rig, 2) is permission.S.HALTED


def lives(*cleanly: bool) -> Facts:
    """Earlier lives, a minute each, the newest a minute before the rig's own."""
    begun_ms = [START_MS - 60_000 * (len(cleanly) - number) for number in range(len(cleanly))]
    return Facts(
        generations=tuple(
            GenerationFact(f"life{number}", at_ms, at_ms + 50_000 if is_clean else None)
            for number, (at_ms, is_clean) in enumerate(zip(begun_ms, cleanly, strict=True))
        )
    )


@pytest.mark.parametrize("cleanly", [(False,), (True,), (False, True)])
def test_the_life_before_may_have_left_any_number_of_sockets(cleanly: tuple[bool, ...]) -> None:
    rig = DeskRig(facts=lives(*cleanly)).booted()
    assert counted(rig, 5) is permission.S.OPEN
    assert "CROWDED" in rig.announced()
    rig.pass_s(3_601)
    assert counted(rig, 2) is permission.S.HALTED, "by then nobody counts them any more"


def test_long_after_the_life_before_a_second_connection_is_a_twin() -> None:
    rig = DeskRig(
        facts=Facts(generations=(GenerationFact("old", START_MS - 9_000_000, START_MS - 3_700_000),))
    )
    assert counted(rig.booted(), 2) is permission.S.HALTED
