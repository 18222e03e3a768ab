"""Stories about one connection, and a walk through every snapshot of it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorwatch.machine import connection as c
from anchorwatch.machine.connection import CONNECTION, S
from anchorwatch.machine.kernel import Effect, Event, Snapshot, UnexpectedEvent, canonical
from tests.machine.walks import Walk, walk

LIMITS = c.Limits()
PRIVATE = c.idle(c.Name.PRIVATE, LIMITS)
PUBLIC = c.idle(c.Name.PUBLIC, LIMITS)

Link = Snapshot[c.Link]


def after(*events: Event, start: Link = PRIVATE) -> tuple[Link, tuple[Effect, ...]]:
    """The snapshot after all events, and the effects of the last."""
    snapshot = start
    effects: tuple[Effect, ...] = ()
    for event in events:
        snapshot, effects = CONNECTION.step(snapshot, event)
    return snapshot, effects


def live(start: Link = PRIVATE) -> Link:
    """The connection brought up from where it waits or idles."""
    snapshot = start
    if snapshot.state is S.IDLE:
        snapshot, _ = after(c.ConnectRequested(), start=snapshot)
    elif snapshot.state in c.WAITING:
        snapshot, _ = after(c.WaitElapsed(snapshot.data.epoch), start=snapshot)
    epoch = snapshot.data.epoch
    snapshot, _ = after(c.SocketOpened(epoch), start=snapshot)
    if snapshot.state is S.LOGGING_IN:
        snapshot, _ = after(c.LoginAccepted(epoch), start=snapshot)
    snapshot, _ = after(c.ChannelsConfirmed(epoch), start=snapshot)
    assert snapshot.state is S.LIVE
    return snapshot


def lost(start: Link) -> tuple[Link, tuple[Effect, ...]]:
    return after(c.SocketLost(start.data.epoch, "reset by peer"), start=start)


def waits(effects: tuple[Effect, ...]) -> list[int]:
    return [effect.seconds for effect in effects if isinstance(effect, c.StartWait)]


# Coming up.


def test_a_private_connection_logs_in_before_it_asks_for_channels() -> None:
    snapshot, effects = after(c.ConnectRequested(), c.SocketOpened(1))
    assert (snapshot.state, effects) == (S.LOGGING_IN, (c.LogIn(c.Name.PRIVATE, 1, within_s=5),))
    snapshot, effects = after(c.LoginAccepted(1), start=snapshot)
    assert (snapshot.state, effects) == (S.SUBSCRIBING, (c.Subscribe(c.Name.PRIVATE, 1, within_s=10),))


@pytest.mark.parametrize("name", [c.Name.PUBLIC, c.Name.BUSINESS])
def test_a_public_connection_asks_for_channels_at_once(name: c.Name) -> None:
    snapshot, effects = after(c.ConnectRequested(), c.SocketOpened(1), start=c.idle(name, LIMITS))
    assert (snapshot.state, effects) == (S.SUBSCRIBING, (c.Subscribe(name, 1, within_s=10),))


def test_live_is_not_before_every_channel_is_confirmed() -> None:
    snapshot, _ = after(c.ConnectRequested(), c.SocketOpened(1), c.LoginAccepted(1))
    assert not c.delivers(snapshot)
    snapshot, effects = after(c.ChannelsConfirmed(1), start=snapshot)
    assert c.delivers(snapshot)
    assert effects == (c.StartListening(c.Name.PRIVATE, 1, ping_s=12, silence_s=20, lasted_s=60),)


# Loss and its waits.


def test_a_lost_connection_is_given_up_before_the_wait_and_dialled_under_a_new_epoch() -> None:
    snapshot, effects = lost(live())
    assert snapshot.state is S.BACKING_OFF
    assert effects == (c.AbandonEpoch(c.Name.PRIVATE, 1), c.StartWait(c.Name.PRIVATE, 2, seconds=5))
    snapshot, effects = after(c.WaitElapsed(2), start=snapshot)
    assert (snapshot.state, effects) == (S.DIALING, (c.OpenSocket(c.Name.PRIVATE, 3, within_s=10),))


def test_ten_failed_retries_exhaust_a_private_connection_which_goes_on_every_300_seconds() -> None:
    waited, dials = [], 1
    snapshot, _ = after(c.ConnectRequested())
    while snapshot.state is not S.EXHAUSTED:
        snapshot, effects = lost(snapshot)
        if snapshot.state is S.BACKING_OFF:
            waited += waits(effects)
            snapshot, _ = after(c.WaitElapsed(snapshot.data.epoch), start=snapshot)
            dials += 1
    assert waited == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]
    assert dials == 11  # the first dial and ten retries
    assert waits(effects) == [300]
    assert [type(effect) for effect in effects] == [c.AbandonEpoch, c.StartWait, c.RaiseAlarm]
    for _ in range(3):
        snapshot, _ = after(c.WaitElapsed(snapshot.data.epoch), start=snapshot)
        assert snapshot.state is S.DIALING
        snapshot, effects = lost(snapshot)
        assert (snapshot.state, waits(effects)) == (S.EXHAUSTED, [300])


def test_the_configured_limit_of_attempts_is_the_one_that_counts() -> None:
    snapshot, _ = after(c.ConnectRequested(), start=c.idle(c.Name.PRIVATE, c.Limits(attempts_max=2)))
    states = []
    for _ in range(3):
        snapshot, _ = lost(snapshot)
        states.append(snapshot.state)
        snapshot, _ = after(c.WaitElapsed(snapshot.data.epoch), start=snapshot)
    assert states == [S.BACKING_OFF, S.BACKING_OFF, S.EXHAUSTED]


def test_a_public_connection_waits_the_configured_delay_every_time() -> None:
    limits = c.Limits(backoff_first_s=7, backoff_factor=1)
    snapshot, _ = after(c.ConnectRequested(), start=c.idle(c.Name.PUBLIC, limits))
    waited = []
    for _ in range(10):
        snapshot, effects = lost(snapshot)
        waited += waits(effects)
        snapshot, _ = after(c.WaitElapsed(snapshot.data.epoch), start=snapshot)
    assert waited == [7] * 10


def test_going_live_alone_does_not_forget_failures() -> None:
    assert live(lost(live())[0]).data.failures == 1


def test_failures_are_forgotten_when_live_has_lasted() -> None:
    snapshot = live(lost(live())[0])
    snapshot, effects = after(c.LiveLasted(snapshot.data.epoch), start=snapshot)
    assert (snapshot.state, snapshot.data.failures, effects) == (S.LIVE, 0, ())
    _, effects = lost(snapshot)
    assert waits(effects) == [5]


def test_silence_is_no_part_of_a_long_life() -> None:
    """What answers nothing has not lasted, however long its socket stood: the count stays."""
    snapshot = live(lost(live())[0])
    epoch = snapshot.data.epoch
    snapshot, _ = after(c.SilenceNoticed(epoch), c.LiveLasted(epoch), start=snapshot)
    assert (snapshot.state, snapshot.data.failures) == (S.PROBING, 1)
    _, effects = after(c.PongMissed(epoch), start=snapshot)
    assert waits(effects) == [10]


def test_a_flapping_connection_waits_longer_every_time() -> None:
    snapshot, waited = live(), []
    for _ in range(4):
        snapshot, effects = lost(snapshot)
        waited += waits(effects)
        snapshot = live(snapshot)
    assert waited == [5, 10, 20, 40]


@pytest.mark.parametrize("retries", [1, 11], ids=["backing off", "exhausted"])
def test_an_operator_need_not_wait_for_the_back_off(retries: int) -> None:
    snapshot, _ = after(c.ConnectRequested())
    for attempt in range(retries):
        if attempt:
            snapshot, _ = after(c.WaitElapsed(snapshot.data.epoch), start=snapshot)
        snapshot, _ = lost(snapshot)
    waiting = snapshot.data.epoch
    snapshot, effects = after(c.ConnectRequested(), start=snapshot)
    assert snapshot.state is S.DIALING
    assert [type(effect) for effect in effects] == [c.AbandonEpoch, c.OpenSocket]
    assert after(c.WaitElapsed(waiting), start=snapshot) == (snapshot, ())


# Refusal.


def test_a_refused_login_is_not_retried_like_a_drop() -> None:
    snapshot, effects = after(
        c.ConnectRequested(), c.SocketOpened(1), c.LoginRefused(1, "60009 login failed")
    )
    assert snapshot.state is S.REFUSED
    assert effects == (
        c.AbandonEpoch(c.Name.PRIVATE, 1),
        c.RaiseAlarm(c.Name.PRIVATE, "private: login refused: 60009 login failed"),
    )
    assert after(c.SocketLost(1, "closed after the refusal"), start=snapshot) == (snapshot, ())


def test_a_hindrance_is_told_once_for_each_kind_and_backed_off_from_like_a_drop() -> None:
    link, _ = after(c.ConnectRequested())
    told, waited = [], []
    for hindrance in (c.Hindrance.CLOCK, c.Hindrance.CLOCK, c.Hindrance.MAINTENANCE, c.Hindrance.CLOCK):
        link, effects = after(c.Hindered(link.data.epoch, hindrance, hindrance.value), start=link)
        told += [effect.reason for effect in effects if isinstance(effect, c.RaiseAlarm)]
        waited += waits(effects)
        link, _ = after(c.WaitElapsed(link.data.epoch), start=link)
    assert told == ["private: clock", "private: maintenance", "private: clock"]
    assert waited == [5, 10, 20, 40]


def test_a_hindrance_is_told_again_after_a_connection_that_lasted() -> None:
    link, _ = after(c.ConnectRequested())
    link, _ = after(c.Hindered(link.data.epoch, c.Hindrance.CLOCK, ""), start=link)
    link = live(link)
    assert link.data.told is c.Hindrance.CLOCK
    link, _ = after(c.LiveLasted(link.data.epoch), start=link)
    assert (link.data.told, link.data.failures) == (None, 0)


def test_a_refused_connection_dials_again_when_the_operator_asks() -> None:
    snapshot, _ = after(c.ConnectRequested(), c.SocketOpened(1), c.LoginRefused(1))
    snapshot, effects = after(c.ConnectRequested(), start=snapshot)
    assert (snapshot.state, effects) == (S.DIALING, (c.OpenSocket(c.Name.PRIVATE, 3, within_s=10),))


# What is left in the mailbox.


def test_a_late_error_from_an_abandoned_socket_changes_nothing() -> None:
    snapshot, _ = after(c.ConnectRequested(), c.SocketLost(1), c.WaitElapsed(2))
    assert after(c.SocketLost(1, "late"), start=snapshot) == (snapshot, ())


def test_a_loss_already_queued_when_the_operator_closes_changes_nothing() -> None:
    snapshot, effects = after(c.ConnectRequested(), c.CloseRequested())
    assert (snapshot.state, effects) == (S.CLOSED, (c.AbandonEpoch(c.Name.PRIVATE, 1),))
    assert after(c.SocketLost(1, "queued"), start=snapshot) == (snapshot, ())


def test_closing_is_final() -> None:
    snapshot, _ = after(c.CloseRequested(), start=live())
    assert after(c.ConnectRequested(), start=snapshot) == (snapshot, ())
    assert after(c.CloseRequested(), start=snapshot) == (snapshot, ())


def test_an_event_of_the_current_epoch_that_no_row_expects_is_our_defect() -> None:
    with pytest.raises(UnexpectedEvent, match="connection: LoginAccepted in LIVE"):
        after(c.LoginAccepted(1), start=live())


def test_an_epoch_from_the_future_is_our_defect() -> None:
    with pytest.raises(AssertionError, match="future"):
        after(c.SocketLost(2), start=live())


# Silence.


def test_silence_is_answered_by_asking_and_a_frame_starts_the_watch_anew() -> None:
    snapshot, effects = after(c.SilenceNoticed(1), start=live())
    assert (snapshot.state, effects) == (S.PROBING, (c.SendPing(c.Name.PRIVATE, 1, within_s=8),))
    assert c.delivers(snapshot)
    snapshot, effects = after(c.FrameSeen(1), start=snapshot)
    assert (snapshot.state, [type(effect) for effect in effects]) == (S.LIVE, [c.StartListening])


def test_silence_without_an_answer_is_a_loss() -> None:
    snapshot, effects = after(c.SilenceNoticed(1), c.PongMissed(1), start=live())
    assert (snapshot.state, snapshot.data.failures) == (S.BACKING_OFF, 1)
    assert effects == (c.AbandonEpoch(c.Name.PRIVATE, 1), c.StartWait(c.Name.PRIVATE, 2, seconds=5))


def test_a_missed_answer_that_was_queued_behind_a_frame_is_no_loss() -> None:
    snapshot, _ = after(c.SilenceNoticed(1), c.FrameSeen(1), start=live())
    assert after(c.PongMissed(1), start=snapshot) == (snapshot, ())


def test_silence_and_its_answer_fit_before_the_venue_hangs_up() -> None:
    assert (
        LIMITS.silence_s + LIMITS.pong_within_s < 30
    )  # OKX v5: a connection without traffic is closed after 30 s


# The venue's notice 64008.


def replacing() -> Link:
    snapshot, _ = after(c.UpgradeNoticed(1), start=live())
    assert snapshot.state is S.REPLACING
    return snapshot


def test_an_upgrade_is_dialled_while_the_old_socket_still_delivers() -> None:
    snapshot, effects = after(c.UpgradeNoticed(1), start=live())
    assert (snapshot.state, effects) == (S.REPLACING, (c.OpenSocket(c.Name.PRIVATE, 2, within_s=10),))
    assert c.delivers(snapshot)


def test_the_old_socket_is_given_up_when_its_replacement_is_live() -> None:
    snapshot, effects = after(
        c.SocketOpened(2), c.LoginAccepted(2), c.ChannelsConfirmed(2), start=replacing()
    )
    assert snapshot.state is S.LIVE
    assert effects == (
        c.AbandonEpoch(c.Name.PRIVATE, 1),
        c.StartListening(c.Name.PRIVATE, 2, ping_s=12, silence_s=20, lasted_s=60),
    )
    assert after(c.SocketLost(1, "the venue hung up"), start=snapshot) == (snapshot, ())


def test_the_old_socket_may_go_first() -> None:
    snapshot, effects = after(c.SocketLost(1), start=replacing())
    assert (snapshot.state, effects) == (S.REPLACING, (c.AbandonEpoch(c.Name.PRIVATE, 1),))
    assert not c.delivers(snapshot)
    snapshot, effects = after(c.SocketOpened(2), c.LoginAccepted(2), c.ChannelsConfirmed(2), start=snapshot)
    assert (snapshot.state, [type(effect) for effect in effects]) == (S.LIVE, [c.StartListening])


def test_a_replacement_that_fails_costs_both_sockets() -> None:
    snapshot, effects = after(c.SocketLost(2), start=replacing())
    assert snapshot.state is S.BACKING_OFF
    assert effects == (
        c.AbandonEpoch(c.Name.PRIVATE, 2),
        c.AbandonEpoch(c.Name.PRIVATE, 1),
        c.StartWait(c.Name.PRIVATE, 3, seconds=5),
    )


def test_a_replacement_with_its_old_socket_differs_from_one_without() -> None:
    with_old = replacing()
    without, _ = after(c.SocketLost(1), start=with_old)
    assert canonical(with_old) != canonical(without)


# Every snapshot.


def epochs(snapshot: Link) -> list[int]:
    """The newest, the old one that still delivers, and ones that were given up."""
    newest, spare = snapshot.data.epoch, snapshot.data.spare
    return sorted({epoch for epoch in (newest, spare, newest - 1, newest - 2) if epoch > 0})


@pytest.fixture(scope="module", params=list(c.Name), ids=lambda name: name.value)
def everything(request: pytest.FixtureRequest) -> Walk:
    return walk(CONNECTION, c.idle(request.param, LIMITS), epochs)


def test_always_waits_are_bounded_and_only_what_is_current_is_asked_for(everything: Walk) -> None:
    for edge in everything.edges:
        for effect in edge.effects:
            if isinstance(effect, c.StartWait):
                assert 5 <= effect.seconds <= 300
                assert edge.after.state in c.WAITING
            if isinstance(effect, c.AbandonEpoch):
                assert effect.epoch in (edge.before.data.epoch, edge.before.data.spare)
            elif not isinstance(effect, c.RaiseAlarm):
                assert getattr(effect, "epoch", None) == edge.after.data.epoch
        assert edge.after.data.failures <= LIMITS.attempts_max
        assert edge.after.data.epoch >= edge.before.data.epoch


def test_always_an_old_socket_is_gone_before_the_next_dial_except_on_an_upgrade(everything: Walk) -> None:
    for edge in everything.edges:
        if any(isinstance(effect, c.OpenSocket) for effect in edge.effects):
            held = edge.before.state in c.LOSABLE
            assert held == (type(edge.event) is c.UpgradeNoticed)


def test_always_only_an_upgrade_keeps_two_sockets(everything: Walk) -> None:
    for snapshot in everything.snapshots:
        assert snapshot.data.spare == 0 or snapshot.state is S.REPLACING


def test_always_leaving_a_socket_gives_it_up(everything: Walk) -> None:
    for edge in everything.edges:
        if edge.before.state in c.LOSABLE and edge.after.state not in c.LOSABLE:
            given_up = {effect.epoch for effect in edge.effects if isinstance(effect, c.AbandonEpoch)}
            assert given_up == {epoch for epoch in (edge.before.data.epoch, edge.before.data.spare) if epoch}


def test_sometimes_every_state_is_reached(everything: Walk) -> None:
    private = everything.snapshots[0].data.name.is_private
    assert {snapshot.state for snapshot in everything.snapshots} == set(S) - (
        set() if private else {S.LOGGING_IN}
    )


def test_sometimes_every_row_is_taken_by_a_public_or_a_private_connection() -> None:
    walks = [walk(CONNECTION, start, epochs) for start in (PUBLIC, PRIVATE)]
    taken = [id(edge.row) for one in walks for edge in one.edges]
    left = [row for row in walks[0].rows_not_taken(CONNECTION) if id(row) not in taken]
    # Before the first dial no epoch has been given up.
    assert [(row.source, row.event.__name__) for row in left if row.source is not S.IDLE] == []


# Any order of what a shell may report.

REPORTS_MAX = 60


class Shell:
    """What may come back for each effect, and when: in any order, and still after the machine has moved on."""

    def __init__(self) -> None:
        self.may_report: dict[int, list[type[Event]]] = {}
        self.mailbox: deque[Event] = deque()

    def perform(self, effect: Effect) -> None:
        if isinstance(effect, c.OpenSocket):
            self.may_report[effect.epoch] = [c.SocketOpened, c.SocketLost]
        elif isinstance(effect, c.LogIn):
            self.may_report[effect.epoch] += [c.LoginAccepted, c.LoginRefused]
        elif isinstance(effect, c.Subscribe):
            self.may_report[effect.epoch] += [c.ChannelsConfirmed]
        elif isinstance(effect, c.StartListening):
            self.may_report[effect.epoch] += [c.SilenceNoticed, c.LiveLasted]
        elif isinstance(effect, c.SendPing):
            self.may_report[effect.epoch] += [c.FrameSeen, c.PongMissed]
        elif isinstance(effect, c.StartWait):
            self.may_report[effect.epoch] = [c.WaitElapsed]
        elif isinstance(effect, c.AbandonEpoch):
            self.may_report.pop(effect.epoch, None)

    def report(self, epoch: int, kind: type[Any]) -> None:
        self.mailbox.append(kind(epoch))
        left = [other for other in self.may_report[epoch] if other is not kind]
        if kind is c.SocketOpened:
            left.append(c.UpgradeNoticed)
        if kind in (c.SocketLost, c.LoginRefused):
            left = []
        if kind in (c.LoginAccepted, c.ChannelsConfirmed):
            left = [other for other in left if other is not c.LoginRefused]
        self.may_report[epoch] = left


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(c.Name), st.data())
def test_nothing_that_may_be_in_the_mailbox_is_ever_unexpected(name: c.Name, data: st.DataObject) -> None:
    shell, snapshot = Shell(), c.idle(name, c.Limits(attempts_max=2))
    for _ in range(data.draw(st.integers(1, REPORTS_MAX))):
        reports = [(epoch, kind) for epoch, kinds in shell.may_report.items() for kind in kinds]
        choices = [*reports, "connect"] + (["next"] * 3 if shell.mailbox else [])
        choice = data.draw(st.sampled_from([*choices, "close"] if len(reports) > 3 else choices))
        if isinstance(choice, tuple):
            shell.report(*choice)
            continue
        event: Event
        if choice == "next":
            event = shell.mailbox.popleft()
        else:
            event = c.ConnectRequested() if choice == "connect" else c.CloseRequested()
        snapshot, effects = CONNECTION.step(snapshot, event)
        for effect in effects:
            shell.perform(effect)
    running = [epoch for epoch, kinds in shell.may_report.items() if kinds]
    current = (snapshot.data.epoch, snapshot.data.spare)
    assert [epoch for epoch in running if epoch not in current] == [], "an epoch was left running"
