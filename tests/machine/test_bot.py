"""Stories about the router: what one machine's effect is to another, and what follows from several together."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
import pytest

from anchorwatch.machine import bot as bots
from anchorwatch.machine import (
    connection,
    dead_man,
    lifecycle,
    order,
    permission,
    position,
    protection,
    reconciliation,
)
from anchorwatch.machine.bot import (
    DEAD_MAN,
    LIFECYCLE,
    PERMISSION,
    RECONCILIATION,
    Address,
    Bot,
    Outcome,
    Part,
)
from anchorwatch.machine.connection import Name
from anchorwatch.machine.kernel import Data, Effect, Event, Snapshot, UnexpectedEvent
from anchorwatch.machine.units import Conduct, LegKey, PositionMode
from tests.machine.bot_world import BTC, LONG, SHORT, World, ready, unborn

LIVE = {name: Address(Part.CONNECTION, link=name) for name in Name}


def after(bot: Bot, *told: tuple[Address, Event]) -> tuple[Bot, list[Effect]]:
    """The bot after these events, and everything that it asked for on the way."""
    effects: list[Effect] = []
    for address, event in told:
        outcome = bots.step(bot, address, event)
        bot = outcome.bot
        effects += [asked.effect for asked in outcome.effects]
    return bot, effects


def entry(leg: LegKey = LONG) -> Address:
    return Address(Part.ENTRY, leg=leg)


def at(part: Part, leg: LegKey = LONG) -> Address:
    return Address(part, leg=leg)


def wanted(bot: Bot, leg: LegKey = LONG) -> Outcome:
    return bots.step(bot, entry(leg), bots.EntryWanted())


def entered(bot: Bot, leg: LegKey = LONG) -> Bot:
    """An entry that is filled and covered."""
    bot, effects = after(bot, (entry(leg), bots.EntryWanted()))
    seq = next(one.seq for one in effects if isinstance(one, order.RecordIntent))
    bot, _ = after(
        bot,
        (entry(leg), order.IntentRecorded(seq)),
        (at(Part.POSITION, leg), position.PositionSeen()),
        (entry(leg), order.OrderFilled(seq)),
    )
    stop = bot.slot(leg).protection.data.seq
    return after(bot, (at(Part.PROTECTION, leg), protection.StopSeenLive(stop)))[0]


def with_part(bot: Bot, part: Part, state: object, leg: LegKey = LONG) -> Bot:
    """The same bot with one machine put into a state."""
    slot = bot.slot(leg)
    snapshot: Snapshot[Data] = getattr(slot, part.value)
    moved = msgspec.structs.replace(snapshot, state=state)
    legs = dict(bot.legs)
    legs[leg] = msgspec.structs.replace(slot, **{part.value: moved})
    return msgspec.structs.replace(bot, legs=tuple(legs.items()))


# The gate.


def test_an_entry_is_made_when_nothing_is_in_its_way() -> None:
    bot = ready()
    assert bots.entry_obstacles(bot, LONG) == ()
    outcome = wanted(bot)
    assert [type(asked.effect) for asked in outcome.effects] == [order.RecordIntent]
    assert outcome.bot.slot(LONG).entry.state is order.S.PLANNED
    assert outcome.bot.slot(LONG).position.state is position.S.ENTERING


def obstructed(obstacle: str) -> tuple[Bot, str]:
    """A READY bot with this one thing in the way, and the words that name it."""
    bot = ready()
    match obstacle:
        case "a missing fact":
            return after(bot, (LIFECYCLE, bots.FactLost(BTC, "mark price")))[0], f"{BTC} mark price"
        case "a missing fact of the bot":
            return after(bot, (LIFECYCLE, bots.FactLost("", "balance")))[0], "balance"
        case "a pause":
            return after(bot, (PERMISSION, permission.PauseRequested()))[0], "permission is paused"
        case "a halt":
            return after(bot, (PERMISSION, permission.HaltRequested()))[0], "permission is halted"
        case "a doubt":
            doubt = reconciliation.BookDoubted("a relogin")
            return after(bot, (RECONCILIATION, doubt))[0], "the book is not reconciled"
        case "guard mode":
            return msgspec.structs.replace(bot, conduct=Conduct.GUARD), "the mode is guard"
        case "an entry under way":
            return after(bot, (entry(), bots.EntryWanted()))[0], "an entry is under way"
        case "an open position":
            return entered(bot), "the position is open"
        case "a stop of the last position":
            return with_part(bot, Part.PROTECTION, protection.S.NAKED), "the last position is not settled"
        case "a close of the last position":
            return with_part(bot, Part.CLOSE, order.S.IN_DOUBT), "the last position is not settled"
        case "a watched opposite leg":
            return with_part(bot, Part.POSITION, position.S.WATCHED, SHORT), f"{SHORT} is not flat"
    name = Name(obstacle)
    lost = connection.SocketLost(bot.link(name).data.epoch, "reset")
    return after(bot, (LIVE[name], lost))[0], f"{name.value} connection is backing off"


@pytest.mark.parametrize(
    "obstacle",
    [
        "a missing fact",
        "a missing fact of the bot",
        "a pause",
        "a halt",
        "a doubt",
        "guard mode",
        "an entry under way",
        "an open position",
        "a stop of the last position",
        "a close of the last position",
        "a watched opposite leg",
        *(name.value for name in Name),
    ],
)
def test_each_obstacle_by_itself_denies_an_entry_and_is_named(obstacle: str) -> None:
    bot, words = obstructed(obstacle)
    assert words in bots.entry_obstacles(bot, LONG)
    outcome = wanted(bot)
    (denied,) = outcome.effects
    assert isinstance(denied.effect, bots.EntryDenied)
    assert words in denied.effect.reasons
    assert outcome.bot == bot


# What rests.


def resting(leg: LegKey = LONG) -> Bot:
    """A READY bot whose post-only entry is live."""
    bot, effects = after(ready(), (entry(leg), bots.EntryWanted(rests=True)))
    seq = next(one.seq for one in effects if isinstance(one, order.RecordIntent))
    return after(
        bot,
        (entry(leg), order.IntentRecorded(seq)),
        (DEAD_MAN, dead_man.RenewalTaken(bot.dead_man.data.seq)),
        (entry(leg), order.OrderSeenLive(seq)),
    )[0]


def shut(how: str, bot: Bot) -> tuple[Address, Event]:
    match how:
        case "a lost fact":
            return LIFECYCLE, bots.FactLost(BTC, "mark price")
        case "a pause":
            return PERMISSION, permission.PauseRequested()
        case "a halt":
            return PERMISSION, permission.HaltRequested()
        case "a stop":
            return LIFECYCLE, lifecycle.StopRequested()
        case "a doubt":
            return RECONCILIATION, reconciliation.BookDoubted("a push was lost")
    name = Name(how)
    return LIVE[name], connection.SocketLost(bot.link(name).data.epoch, "reset")


WAYS_TO_SHUT = ["a lost fact", "a pause", "a halt", "a stop", "a doubt", *(name.value for name in Name)]


@pytest.mark.parametrize("how", WAYS_TO_SHUT)
def test_whatever_shuts_entries_takes_back_the_one_that_rests(how: str) -> None:
    bot = resting()
    bot, effects = after(bot, shut(how, bot))
    assert [one for one in effects if isinstance(one, order.CancelOrder)] == [
        order.CancelOrder(order.Role.ENTRY, bot.slot(LONG).entry.data.seq)
    ]
    assert bot.slot(LONG).entry.state is order.S.CANCELLING


def test_a_market_order_under_way_is_left_to_end_by_itself() -> None:
    bot, effects = after(ready(), (entry(), bots.EntryWanted()))
    seq = bot.slot(LONG).entry.data.seq
    bot, effects = after(bot, (entry(), order.IntentRecorded(seq)), shut("a pause", bot))
    assert not any(isinstance(one, order.CancelOrder) for one in effects)
    assert "permission is paused" in bots.may_still_send(bot, LONG, seq)


@pytest.mark.parametrize("how", WAYS_TO_SHUT)
def test_an_amendment_that_waits_for_its_turn_is_not_sent_when_entries_are_shut(how: str) -> None:
    bot = resting()
    seq = bot.slot(LONG).entry.data.seq
    bot, _ = after(bot, (entry(), order.RepriceWanted(seq)))
    assert bots.may_still_amend(bot, LONG, seq) == ()
    bot, _ = after(bot, shut(how, bot))
    assert bots.may_still_amend(bot, LONG, seq)
    _, effects = after(bot, (entry(), order.AmendRefused(seq)))
    assert order.CancelOrder(order.Role.ENTRY, seq) in effects


def test_the_entry_of_an_earlier_life_that_still_rests_is_taken_back() -> None:
    bot = msgspec.structs.replace(ready(), lifecycle=with_stage(ready(), lifecycle.S.SYNC))
    bot, _ = after(bot, (entry(), bots.OrderRemembered(order.Role.ENTRY)))
    seq = bot.slot(LONG).entry.data.seq
    _, effects = after(bot, (entry(), order.OrderSeenLive(seq)))
    assert order.CancelOrder(order.Role.ENTRY, seq) in effects


def with_stage(bot: Bot, stage: lifecycle.S) -> Snapshot[lifecycle.Life]:
    return msgspec.structs.replace(bot.lifecycle, state=stage)


@pytest.mark.parametrize("stage", [stage for stage in lifecycle.S if stage is not lifecycle.S.READY])
def test_no_stage_but_ready_lets_an_entry_through(stage: lifecycle.S) -> None:
    bot = ready()
    bot = msgspec.structs.replace(bot, lifecycle=msgspec.structs.replace(bot.lifecycle, state=stage))
    assert bots.entry_obstacles(bot, LONG) == (f"lifecycle is {stage.value}",)
    assert isinstance(wanted(bot).effects[0].effect, bots.EntryDenied)


def test_a_fact_of_another_instrument_is_not_in_the_way() -> None:
    bot, _ = after(ready(), (LIFECYCLE, bots.FactLost("ETH-USDT-SWAP", "mark price")))
    assert bots.entry_obstacles(bot, LONG) == ()


def test_the_opposite_leg_shuts_the_gate_in_net_mode_and_not_in_hedge_mode() -> None:
    net = entered(ready(PositionMode.NET))
    hedge = entered(ready(PositionMode.HEDGE))
    assert bots.entry_obstacles(net, SHORT) == (f"{LONG} is not flat",)
    assert bots.entry_obstacles(hedge, SHORT) == ()


@pytest.mark.parametrize("obstacle", ["a missing fact", "a pause", "a halt", "a doubt", "private", "public"])
def test_what_comes_between_the_plan_and_the_wire_keeps_the_order_from_it(obstacle: str) -> None:
    bot, effects = after(ready(), (entry(), bots.EntryWanted()))
    seq = next(one.seq for one in effects if isinstance(one, order.RecordIntent))
    bot, _ = after(bot, (entry(), order.IntentRecorded(seq)))
    assert bots.may_still_send(bot, LONG, seq) == ()
    told: tuple[Address, Event] = {
        "a missing fact": (LIFECYCLE, bots.FactLost(BTC, "mark price")),
        "a pause": (PERMISSION, permission.PauseRequested()),
        "a halt": (PERMISSION, permission.HaltRequested()),
        "a doubt": (RECONCILIATION, reconciliation.BookDoubted("")),
        "private": (LIVE[Name.PRIVATE], connection.SocketLost(bot.link(Name.PRIVATE).data.epoch)),
        "public": (LIVE[Name.PUBLIC], connection.SocketLost(bot.link(Name.PUBLIC).data.epoch)),
    }[obstacle]
    bot, _ = after(bot, told)
    assert bots.may_still_send(bot, LONG, seq) != ()
    bot, _ = after(bot, (entry(), order.WriteDenied(seq)))
    assert bot.slot(LONG).entry.state is order.S.WITHDRAWN
    assert bot.slot(LONG).position.state is position.S.FLAT


def test_a_pause_outlives_a_stream_that_is_lost_and_comes_back() -> None:
    bot, _ = after(ready(), (PERMISSION, permission.PauseRequested("the operator")))
    for name in Name:
        bot = lost_and_back(bot, name)[0]
    assert bot.permission.state is permission.S.PAUSED
    assert bots.entry_obstacles(settled(bot), LONG) == ("permission is paused",)


def lost_and_back(bot: Bot, name: Name) -> tuple[Bot, list[Effect]]:
    """A connection is lost, waits, and is live again; what was asked for on the way."""
    epoch = bot.link(name).data.epoch
    told: list[tuple[Address, Event]] = [
        (LIVE[name], connection.SocketLost(epoch, "reset")),
        (LIVE[name], connection.WaitElapsed(epoch + 1)),
        (LIVE[name], connection.SocketOpened(epoch + 2)),
    ]
    if name.is_private:
        told.append((LIVE[name], connection.LoginAccepted(epoch + 2)))
    return after(bot, *told, (LIVE[name], connection.ChannelsConfirmed(epoch + 2)))


def settled(bot: Bot) -> Bot:
    """Whatever is being read arrives and agrees."""
    while not bots.is_settled(bot):
        seq = bot.reconciliation.data.seq
        bot, _ = after(bot, (RECONCILIATION, reconciliation.AccountCompared(seq)))
    return bot


@pytest.mark.parametrize("name", list(Name))
def test_a_private_stream_that_is_back_doubts_the_book_and_a_public_one_does_not(name: Name) -> None:
    bot, effects = lost_and_back(ready(), name)
    assert bots.is_settled(bot) is not name.is_private
    assert any(isinstance(one, reconciliation.ReadAccount) for one in effects) is name.is_private


def test_a_relogin_doubts_every_order_that_is_out() -> None:
    bot, effects = after(ready(), (entry(), bots.EntryWanted()))
    seq = next(one.seq for one in effects if isinstance(one, order.RecordIntent))
    bot, _ = after(bot, (entry(), order.IntentRecorded(seq)), (entry(), order.OrderAcknowledged(seq)))
    bot, effects = lost_and_back(bot, Name.PRIVATE)
    assert order.QueryOrder(order.Role.ENTRY, seq) in effects
    assert bot.slot(LONG).entry.state is order.S.IN_DOUBT


def test_the_stage_sync_asks_for_every_order_that_is_out_because_its_news_may_have_been_lost_before() -> None:
    """A recovered entry is being cancelled when the private stream goes: the push of its end is lost for ever."""
    cancelling = Snapshot(order.S.CANCELLING, order.Order(order.Role.ENTRY, 3))
    bot = msgspec.structs.replace(unborn(), legs=((LONG, bots.Slot(entry=cancelling)),), sequence=3)
    life = msgspec.structs.replace(bot.lifecycle.data, epoch=9, entered=9)
    bot = msgspec.structs.replace(bot, lifecycle=Snapshot(lifecycle.S.POSITIONS, life))
    bot, effects = after(bot, (LIFECYCLE, lifecycle.StageDone(9)))
    assert bot.lifecycle.state is lifecycle.S.SYNC
    assert order.QueryOrder(order.Role.ENTRY, 3) in effects


# The lifecycle's consequences.


def test_ws_is_done_only_when_all_four_connections_deliver() -> None:
    world = World(Random(0), kind=True)
    seen = []
    while world.bot.lifecycle.state is not lifecycle.S.SAFETY:
        world.happen()
        world.deliver()
        if world.bot.lifecycle.state is lifecycle.S.WS:
            seen.append(sum(connection.delivers(link) for link in world.bot.links))
    assert max(seen) == 3
    assert all(connection.delivers(link) for link in world.bot.links)


def in_sync(bot: Bot | None = None) -> Bot:
    """SYNC has just been entered, and its reading is out."""
    bot = bot or ready()
    life = msgspec.structs.replace(bot.lifecycle, state=lifecycle.S.SYNC)
    bot = msgspec.structs.replace(bot, lifecycle=life)
    return bots.step(bot, RECONCILIATION, reconciliation.BookDoubted("the start")).bot


def test_sync_is_done_when_the_book_is_reconciled_and_nothing_is_missing() -> None:
    bot = in_sync()
    assert bot.lifecycle.state is lifecycle.S.SYNC
    assert settled(bot).lifecycle.state is lifecycle.S.READY


def test_sync_waits_for_the_last_fact() -> None:
    bot, _ = after(in_sync(), (LIFECYCLE, bots.FactLost("", "balance")))
    bot = settled(bot)
    assert bot.lifecycle.state is lifecycle.S.SYNC
    bot, _ = after(bot, (LIFECYCLE, bots.FactGained("", "balance")))
    assert bot.lifecycle.state is lifecycle.S.READY


def test_sync_waits_until_what_was_found_is_covered_or_flat() -> None:
    bot, _ = after(in_sync(), (at(Part.POSITION), position.PositionSeen()))
    bot = settled(bot)
    assert bot.lifecycle.state is lifecycle.S.SYNC
    seq = bot.slot(LONG).protection.data.seq
    covered, _ = after(bot, (at(Part.PROTECTION), protection.StopSeenLive(seq)))
    flat, _ = after(bot, (at(Part.POSITION), position.EndConfirmed("by hand")))
    assert covered.lifecycle.state is flat.lifecycle.state is lifecycle.S.READY


def test_sync_does_not_wait_for_what_is_not_ours() -> None:
    bot, _ = after(in_sync(), (at(Part.POSITION), position.ForeignSeen()))
    assert settled(bot).lifecycle.state is lifecycle.S.READY


# Between the machines of one leg.


def test_the_first_contract_has_the_stop_asked_for_in_the_same_step() -> None:
    bot, effects = after(ready(), (at(Part.POSITION), position.PositionSeen()))
    (placed,) = [one for one in effects if isinstance(one, protection.PlaceStop)]
    assert placed.seq == bot.slot(LONG).protection.data.seq == bot.sequence


@pytest.mark.parametrize(
    ("state", "reads"),
    [(position.S.OPEN, True), (position.S.VANISHED, False), (position.S.UNEXPLAINED, False)],
)
def test_a_stop_that_finds_no_position_has_the_account_read_unless_its_end_is_asked_for(
    state: position.S, *, reads: bool
) -> None:
    """A reading with every try of the stop would keep every entry shut for as long as the end is not told."""
    bot = with_part(with_part(settled(ready()), Part.POSITION, state), Part.PROTECTION, protection.S.ARMING)
    seq = bot.slot(LONG).protection.data.seq
    refused = protection.StopRefused(seq, protection.Refusal.NO_POSITION)
    bot, effects = after(bot, (at(Part.PROTECTION), refused))
    assert any(isinstance(one, reconciliation.ReadAccount) for one in effects) is reads


def test_flat_sweeps_every_stop_and_withdraws_the_entry() -> None:
    bot, effects = after(entered(ready()), (at(Part.POSITION), position.EndConfirmed("stop")))
    assert protection.SweepAll() in effects
    assert bot.slot(LONG).protection.state is protection.S.NONE
    assert bot.slot(LONG).position.state is position.S.FLAT


def test_a_stop_that_cannot_be_placed_asks_the_one_closer() -> None:
    bot, _ = after(ready(), (at(Part.POSITION), position.PositionSeen()))
    bot, effects = after(bot, (at(Part.PROTECTION), protection.NakedTooLong()))
    assert bot.slot(LONG).position.state is position.S.CLOSING
    assert [one.role for one in effects if isinstance(one, order.RecordIntent)] == [order.Role.CLOSE]
    bot, effects = after(bot, (at(Part.POSITION), position.CloseWanted("take profit")))
    assert effects == []


def test_a_close_is_tried_again_only_after_the_last_ones_end_was_read() -> None:
    bot, effects = after(entered(ready()), (at(Part.POSITION), position.CloseWanted("profit")))
    seq = next(one.seq for one in effects if isinstance(one, order.RecordIntent))
    close = at(Part.CLOSE)
    bot, effects = after(bot, (close, order.IntentRecorded(seq)), (close, order.OrderRefused(seq)))
    assert [type(one) for one in effects if not isinstance(one, order.OrderEnded)] == [
        order.SendOrder,
        position.ReadPosition,
    ]
    bot, effects = after(bot, (at(Part.POSITION), position.ReadEnded()))
    assert [one.seq for one in effects if isinstance(one, order.RecordIntent)] == [bot.sequence]


def test_sequences_are_given_once_over_all_legs_and_machines() -> None:
    bot = entered(entered(ready()), SHORT)
    used = [
        bot.slot(leg).entry.data.seq for leg in (LONG, SHORT)
    ] + [bot.slot(leg).protection.data.seq for leg in (LONG, SHORT)]  # fmt: skip
    assert len(set(used)) == 4
    assert max(used) == bot.sequence


def test_what_a_table_calls_impossible_is_an_error_and_nothing_moves() -> None:
    bot = ready()
    with pytest.raises(UnexpectedEvent, match="the bot starts once"):
        bots.step(bot, LIFECYCLE, lifecycle.StartRequested())
    assert bot == ready()


# Random walks.


class Rules:
    """S1, S4 and S12, looked at whenever the bot asks for something."""

    def __init__(self) -> None:
        self.unresolved: dict[tuple[LegKey | None, order.Role], int] = {}

    def look(self, address: Address, effect: Effect, bot: Bot) -> None:
        match effect:
            case order.RecordIntent(order.Role.ENTRY):
                assert bots.standing_obstacles(bot, BTC) == ()
                assert bot.lifecycle.state is lifecycle.S.READY
            case order.SendOrder(role, seq):
                earlier = self.unresolved.setdefault((address.leg, role), seq)
                assert earlier == seq, f"{role.value} {seq} is sent while the fate of {earlier} is open"
            case order.OrderEnded(role, seq):
                self.unresolved.pop((address.leg, role), None)


def walk(seed: int, steps: int = 3_000) -> World:
    """A hostile world for a while. Raises what a step raises, with the way there."""
    random = Random(seed)
    world = World(random, random.choice(list(PositionMode)), kind=True)
    while world.bot.lifecycle.state is not lifecycle.S.READY:
        world.happen()
        world.deliver()
    world.kind = False
    world.watch = Rules().look
    for step in range(steps):
        if step == steps - 200 and seed % 2:
            world.mailbox.append((LIFECYCLE, lifecycle.StopRequested("SIGTERM")))
        before = len(world.sent)
        try:
            world.random_step()
            for _, role, _ in world.sent[before:]:
                # On the wire: every lock is open, still.
                assert role is not order.Role.ENTRY or bots.standing_obstacles(world.bot, BTC) == ()
        except (UnexpectedEvent, AssertionError) as error:
            raise AssertionError("\n".join([f"seed {seed}: {error!r}", *world.trace[-25:]])) from error
    return world


@pytest.mark.parametrize("seed", range(40))
def test_a_hostile_world_never_brings_an_event_that_no_table_expects(seed: int) -> None:
    walk(seed)


def test_the_walks_go_where_it_matters() -> None:
    """Sometimes: without these the walks above would show nothing."""
    reached: Counter[str] = Counter()
    for seed in range(32):
        world = walk(seed)
        reached.update(role.value for _, role, _ in world.sent)
        for line in world.trace:
            reached.update(
                word
                for word in (
                    "EntryWanted",
                    "StopTriggered",
                    "NakedTooLong",
                    "AnswerLost",
                    "SocketLost",
                    "AmendFruitless",
                )
                if word in line
            )
        reached.update([world.bot.lifecycle.state.value])
    assert reached["entry"] > 20
    assert reached["close"] > 20
    assert reached["StopTriggered"] >= 3
    assert reached["NakedTooLong"] >= 3
    assert reached["AnswerLost"] > 20
    assert reached["SocketLost"] > 20
    assert reached["AmendFruitless"] >= 3
    assert reached["STOPPING"] + reached["STOPPED"] >= 4


def test_an_unborn_bot_denies_every_entry() -> None:
    assert isinstance(wanted(unborn()).effects[0].effect, bots.EntryDenied)


def test_a_bot_that_tells_no_moves_does_and_asks_for_the_same() -> None:
    address, close = at(Part.POSITION), position.CloseWanted("enough")
    told = bots.step(entered(ready()), address, close)
    silent = bots.step(entered(ready()), address, close, tells_moves=False)
    assert [move.dest for move in told.moves] == ["CLOSING", "PLANNED"]
    assert (silent.bot, silent.trail) == (told.bot, told.effects)
