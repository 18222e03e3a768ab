"""A small world around ``bot.step``: what the router asks for is answered, lost, delayed and told twice, by a seed.

What may happen stands in `_open` (a promise of the world: one of these events, some time). What has happened and was
not taken yet stands in the mailbox, in its order; giving an epoch up takes back promises, never what is in the mailbox.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

import msgspec

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
from anchorwatch.machine.kernel import Effect, Event
from anchorwatch.machine.order import Role
from anchorwatch.machine.units import LegKey, PositionMode, Side

BTC = "BTC-USDT-SWAP"
LONG = LegKey(BTC, Side.LONG)
SHORT = LegKey(BTC, Side.SHORT)
LEGS = (LONG, SHORT)
GOES_WELL = 0.7
"""How often a promise is kept as one hopes: a world that is all faults never has anything open."""

Told = tuple[Address, Event]


class Promise(msgspec.Struct):
    """One of these will happen; ``epoch`` is the socket or wait that it belongs to."""

    choices: tuple[Told, ...]
    link: Name | None = None
    epoch: int = 0


class Order:
    """One order as the exchange may come to hold it."""

    def __init__(self, leg: LegKey, role: Role, seq: int) -> None:
        self.leg, self.role, self.seq = leg, role, seq
        self.is_held = False
        self.is_over = False


def unborn(mode: PositionMode = PositionMode.HEDGE) -> Bot:
    limits = {name: connection.Limits(attempts_max=2) for name in Name}
    return bots.unborn(lifecycle.Limits(), limits, mode, has_dead_man=True)


def ready(mode: PositionMode = PositionMode.HEDGE) -> Bot:
    """A bot that is READY: nothing open, everything live."""
    world = World(Random(0), mode, kind=True)
    for _ in range(10_000):
        if world.bot.lifecycle.state is lifecycle.S.READY:
            return world.bot
        world.happen()
        world.deliver()
    raise AssertionError("a kind world leads to READY")


class World:
    """The router and its surroundings. ``kind``: everything is answered, and well."""

    def __init__(
        self, random: Random, mode: PositionMode = PositionMode.HEDGE, *, kind: bool = False
    ) -> None:
        self.random = random
        self.kind = kind
        self.bot = unborn(mode)
        self.mailbox: deque[Told] = deque()
        self.open: list[Promise] = []
        self.orders: list[Order] = []
        self.holds: dict[LegKey, bool] = dict.fromkeys(LEGS, False)  # as the desk's book has it
        self.sent: list[tuple[LegKey, Role, int]] = []
        self.trace: list[str] = []
        self.watch: Callable[[Address, Effect, Bot], None] | None = None
        self.tell(LIFECYCLE, lifecycle.StartRequested())

    # Steps.

    def tell(self, address: Address, event: Event) -> Outcome:
        self.trace.append(f"{address.id} {event}")
        outcome = bots.step(self.bot, address, event)
        self.bot = outcome.bot
        for asked in outcome.effects:
            if self.watch is not None:
                self.watch(asked.address, asked.effect, self.bot)
            self.promise(asked.address, asked.effect)
        return outcome

    def deliver(self) -> None:
        """Take the oldest event out of the mailbox."""
        if self.mailbox:
            address, event = self.mailbox.popleft()
            self._note(address, event)

    def happen(self) -> None:
        """Keep one of the promises."""
        if self.open:
            promise = self.open.pop(0 if self.kind else self.random.randrange(len(self.open)))
            well = self.kind or self.random.random() < GOES_WELL
            self.mailbox.append(promise.choices[0] if well else self.random.choice(promise.choices))

    def random_step(self) -> None:
        doings = [self.surprise]
        doings += [self.deliver, self.deliver] if self.mailbox else []
        doings += [self.happen, self.happen] if self.open else []
        self.random.choice(doings)()

    # What follows from what is asked.

    def _may(self, *choices: Event, at: Address, link: Name | None = None, epoch: int = 0) -> None:
        self.open.append(Promise(tuple((at, choice) for choice in choices), link, epoch))

    def promise(self, at: Address, effect: Effect) -> None:
        match effect:
            case lifecycle.RunStage(stage, epoch, entered):
                if stage not in (lifecycle.S.WS, lifecycle.S.SYNC):
                    ends = (lifecycle.StageDone, lifecycle.StageFailed, lifecycle.StageRefused)
                    self._may(*(end(epoch) for end in ends), at=at)
                if epoch == entered and not self.kind:
                    self._may(lifecycle.DeadlinePassed(entered), at=at)
            case lifecycle.RetryStage(_, epoch):
                self._may(lifecycle.RetryDue(epoch), at=at)
            case lifecycle.RunStopStep(step, epoch):
                if step is not lifecycle.StopStep.TRADING_CONTROL:
                    outcomes = (lifecycle.Outcome.DONE, lifecycle.Outcome.FAILED)
                    self._may(*(lifecycle.StopStepEnded(epoch, one) for one in outcomes), at=at)
                self._may(lifecycle.DeadlinePassed(epoch), at=at)
            case reconciliation.ReadAccount(seq):
                self._may(reconciliation.AccountCompared(seq), reconciliation.ReadingFailed(seq), at=at)
            case reconciliation.StartReadingTimer(seq):
                self._may(reconciliation.ReadingDue(seq), at=at)
            case order.RecordIntent(_, seq):
                self._may(order.IntentRecorded(seq), order.IntentFailed(seq), at=at)
            case order.SendOrder(role, seq):
                self._send(at, role, seq)
            case order.QueryOrder(role, seq):
                self._query(at, seq)
            case order.StartQueryTimer(_, seq):
                self._may(order.QueryDue(seq), at=at)
            case order.CancelOrder(_, seq):
                self._may(*(answer(seq) for answer in order.CANCEL_ANSWERS), at=at)
            case order.AmendOrder(_, seq):
                self._may(*(answer(seq) for answer in order.AMEND_ANSWERS), at=at)
            case dead_man.Renew(seq):
                self._may(dead_man.RenewalTaken(seq), dead_man.RenewalFailed(seq), at=at)
            case dead_man.Disarm(seq):
                self._may(dead_man.DisarmTaken(seq), dead_man.DisarmFailed(seq), at=at)
            case dead_man.StartRenewalTimer(seq) | dead_man.StartRetryTimer(seq):
                self._may(dead_man.RenewalDue(seq), at=at)
            case position.ReadPosition():
                self._may(position.ReadEnded(), position.AbsenceSeen(), at=at)
            case position.ConfirmAbsence():
                self._may(
                    position.EndConfirmed("closed"),
                    position.ConfirmationFailed(),
                    position.ConfirmationOverdue(),
                    at=at,
                )
            case position.StartConfirmationTimer():
                self._may(position.ConfirmationDue(), at=at)
            case position.EndLeg():
                assert at.leg is not None
                self.holds[at.leg] = False
            case protection.PlaceStop(seq):
                refusals = [protection.StopRefused(seq, refusal) for refusal in protection.Refusal]
                accepted = protection.StopAccepted(seq)
                self._may(accepted, protection.StopAnswerLost(seq), *refusals, at=at)
            case protection.ReadStop(seq):
                seen, gone = protection.StopSeenLive(seq), protection.StopGone(seq)
                self._may(seen, gone, protection.StopReadFailed(seq), at=at)
            case protection.MoveStop(seq):
                answers = (protection.MoveAccepted, protection.MoveRefused, protection.StopAnswerLost)
                self._may(*(answer(seq) for answer in answers), at=at)
            case protection.StartRetry(seq):
                self._may(protection.RetryDue(seq), at=at)
            case protection.StartFillClock(seq):
                self._may(protection.FillOverdue(seq), at=at)
            case protection.StartNakedClock() | protection.RenewNakedClock():
                if not self.kind:
                    self._may(protection.NakedTooLong(), at=at)
            case connection.OpenSocket(name, epoch):
                self._of_socket(name, epoch, connection.SocketOpened(epoch))
            case connection.LogIn(name, epoch):
                self._of_socket(name, epoch, connection.LoginAccepted(epoch), connection.LoginRefused(epoch))
            case connection.Subscribe(name, epoch):
                self._of_socket(name, epoch, connection.ChannelsConfirmed(epoch))
            case connection.StartListening(name, epoch) if not self.kind:
                lasted, silent = connection.LiveLasted(epoch), connection.SilenceNoticed(epoch)
                self._of_socket(name, epoch, lasted, silent, connection.UpgradeNoticed(epoch))
            case connection.SendPing(name, epoch):
                self._may(
                    connection.FrameSeen(epoch), connection.PongMissed(epoch), at=at, link=name, epoch=epoch
                )
            case connection.StartWait(name, epoch):
                self._may(connection.WaitElapsed(epoch), at=at, link=name, epoch=epoch)
            case connection.AbandonEpoch(name, epoch):
                self.open = [one for one in self.open if (one.link, one.epoch) != (name, epoch)]

    def _of_socket(self, name: Name, epoch: int, *choices: Event) -> None:
        """The next thing that a socket says, or its loss, which is the last."""
        at = Address(Part.CONNECTION, link=name)
        self._may(*choices, connection.SocketLost(epoch, "reset"), at=at, link=name, epoch=epoch)

    def _send(self, at: Address, role: Role, seq: int) -> None:
        """The last look before the wire, and then what the exchange makes of it."""
        assert at.leg is not None
        if role is Role.ENTRY and bots.may_still_send(self.bot, at.leg, seq):
            self._may(order.WriteDenied(seq), at=at)
            return
        self.sent.append((at.leg, role, seq))
        if not self.kind:
            self._may(order.OrderDoubted(seq), at=at)  # the desk's timer: its end is overdue
        if self.kind or self.random.random() < 0.7:
            one = Order(at.leg, role, seq)
            one.is_held = True
            self.orders.append(one)
            self._may(order.OrderAcknowledged(seq), order.AnswerLost(seq), at=at)
        else:
            self._may(order.OrderRefused(seq), order.AnswerLost(seq), at=at)

    def _query(self, at: Address, seq: int) -> None:
        held = next((one for one in self.orders if one.leg == at.leg and one.seq == seq), None)
        failed = order.QueryInconclusive(seq)
        if held is None:
            self._may(order.AbsenceProven(seq), failed, at=at)
        elif held.is_over:
            self._may(order.OrderCancelled(seq), failed, at=at)
        else:
            self._may(order.OrderSeenLive(seq), order.OrderFilled(seq), failed, at=at)

    # What the desk makes of reports, before the router sees them.

    def _note(self, at: Address, event: Event) -> None:
        """Fills reach the position first, in the words that fit what the book holds."""
        if isinstance(event, order.OrderPartlyFilled | order.OrderFilled):
            one = next(o for o in self.orders if o.leg == at.leg and o.seq == event.seq)
            if not one.is_over:
                self._fill(one, whole=isinstance(event, order.OrderFilled))
        if isinstance(event, order.OrderCancelled):
            next(o for o in self.orders if o.leg == at.leg and o.seq == event.seq).is_over = True
        if isinstance(event, position.EndConfirmed):
            assert at.leg is not None
            if self.bot.slot(at.leg).position.state not in position.GONE:
                return  # as the desk: a question that was answered otherwise meanwhile
        self.tell(at, event)

    def _fill(self, one: Order, *, whole: bool) -> None:
        at = Address(Part.POSITION, leg=one.leg)
        one.is_over = whole
        if one.role is Role.ENTRY:
            seen = position.PositionGrown() if self.holds[one.leg] else position.PositionSeen()
            self.holds[one.leg] = True
            self.tell(at, seen)
        elif whole and self.holds[one.leg]:
            self.holds[one.leg] = False
            self.tell(at, position.EndConfirmed("close"))

    # What nobody asked for.

    def surprise(self) -> None:
        leg = self.random.choice(LEGS)
        slot = self.bot.slot(leg)
        seq = slot.protection.data.seq
        lost, gained = bots.FactLost(BTC, "mark price"), bots.FactGained(BTC, "mark price")
        lifting = [permission.ResumeRequested(), permission.HaltCleared()]
        shutting = [permission.PauseRequested(), permission.HaltRequested()]
        pick = self.random.choice
        happenings: list[tuple[float, Callable[[], None]]] = [
            (6, lambda: self._push(leg)),
            (6, lambda: self._put(Address(Part.ENTRY, leg=leg), bots.EntryWanted(rests=pick([True, False])))),
            (3, lambda: self._put(Address(Part.ENTRY, leg=leg), order.RepriceWanted(slot.entry.data.seq))),
            (2, lambda: self._put(Address(Part.PROTECTION, leg=leg), protection.MoveWanted())),
            (8, lambda: self._of_the_stop(leg, seq)),
            (2, lambda: self._put(LIFECYCLE, gained)),
            (2, lambda: self._put(PERMISSION, pick(lifting))),
            (2, self._connect_again),
            (1, lambda: self._put(RECONCILIATION, reconciliation.CheckDue())),
            (1, lambda: self._put(Address(Part.POSITION, leg=leg), position.CloseWanted("profit"))),
            (1, lambda: self._put(Address(Part.POSITION, leg=leg), position.ReduceWanted("half"))),
            (0.3, lambda: self._put(RECONCILIATION, reconciliation.BookDoubted("a push was lost"))),
            (0.3, lambda: self._put(LIFECYCLE, lost)),
            (0.3, lambda: self._put(PERMISSION, pick(shutting))),
            (0.3, lambda: self._put(Address(Part.POSITION, leg=leg), position.AbsenceSeen())),
            (0.3, self._lose_a_link),
            (0.02, lambda: self._put(DEAD_MAN, dead_man.StopsTaken("a stop went with it"))),
        ]
        weights = [weight for weight, _ in happenings]
        self.random.choices([happening for _, happening in happenings], weights)[0]()

    def _put(self, at: Address, event: Event) -> None:
        self.mailbox.append((at, event))

    def _push(self, leg: LegKey) -> None:
        """The exchange tells of an order that it holds, maybe twice."""
        held = [one for one in self.orders if one.leg == leg]
        if not held:
            return
        one = self.random.choice(held[-2:])
        part = Part.ENTRY if one.role is Role.ENTRY else Part.CLOSE
        live = [order.OrderSeenLive, order.OrderPartlyFilled, order.OrderFilled, order.OrderCancelled]
        told = self.random.choice([order.OrderFilled, order.OrderCancelled] if one.is_over else live)
        for _ in range(self.random.randint(1, 2)):
            self._put(Address(part, leg=leg), told(one.seq))

    def _of_the_stop(self, leg: LegKey, seq: int) -> None:
        if self.bot.slot(leg).protection.state in protection.COVERS:
            told: list[Event] = [
                protection.StopSeenLive(seq), protection.StopGone(seq), protection.StopTriggered(seq),
                protection.CoverTooSmall(),
            ]  # fmt: skip
            self._put(Address(Part.PROTECTION, leg=leg), self.random.choice(told))

    def _connect_again(self) -> None:
        """The operator does not leave a connection that has given up alone."""
        for link in self.bot.links:
            if link.state in (connection.S.REFUSED, connection.S.EXHAUSTED):
                self._put(Address(Part.CONNECTION, link=link.data.name), connection.ConnectRequested())

    def _lose_a_link(self) -> None:
        """A socket that is alive breaks, unless its loss is told already."""
        name = self.random.choice(list(Name))
        link = self.bot.link(name)
        at, epoch = Address(Part.CONNECTION, link=name), link.data.epoch
        is_told = any(told == at and getattr(event, "epoch", 0) == epoch for told, event in self.mailbox)
        if connection.delivers(link) and not is_told:
            self.open = [one for one in self.open if (one.link, one.epoch) != (name, epoch)]
            self._put(at, connection.SocketLost(epoch, "reset"))
