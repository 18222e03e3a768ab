"""A desk with a small world around it: reports are invented, timers run when time is made to pass.

The world answers by itself only where a story is not about the answer: the journal always
writes, and `booted` answers everything that a start asks for. What the desk asks for beyond that
is kept until a story looks (`taken`), and answered by the story.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar

import msgspec

from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, lifecycle, order, protection, reconciliation, requests, world
from anchorwatch.machine.book import LegBook
from anchorwatch.machine.bot import LIFECYCLE, RECONCILIATION, Address, Addressed, Bot, Part, Slot
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Desk, Told
from anchorwatch.machine.facts import Facts
from anchorwatch.machine.kernel import Effect, Event, Move
from anchorwatch.machine.limits import Limits, Reentry
from anchorwatch.machine.parameters import ExitSettings, Making, Pace, Parameters, Protecting, Trading
from anchorwatch.machine.requests import OrderTicket
from anchorwatch.machine.sizing import Sizing
from anchorwatch.machine.strategy import Strategy
from anchorwatch.machine.strategy.asking import Asker, decider
from anchorwatch.machine.strategy.ema_cross import EmaCross
from anchorwatch.machine.units import (
    Deal,
    Fraction,
    Instrument,
    LegKey,
    MarginMode,
    OrderKind,
    PositionMode,
    Side,
    closing_deal,
)
from anchorwatch.machine.world import Fill, OrderReport, OrderState, PositionReport, StopReport, StopState

BTC = "BTC-USDT-SWAP"
LONG = LegKey(BTC, Side.LONG)
SHORT = LegKey(BTC, Side.SHORT)
START_MS = 1_767_319_200_000
MINUTE_MS = 60_000
ENTRY = Decimal(60_000)
FEE_RATE = Decimal("0.0005")
RULES = Instrument(
    name=BTC,
    contract_size=Decimal("0.01"),
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.01"),
    min_size=Decimal("0.01"),
    max_market_size=Decimal(1000),
    max_stop_size=Decimal(1000),
    max_leverage=Decimal(100),
)

E = TypeVar("E", bound=Effect)


def px(text: str | Decimal | int) -> Decimal:
    return Decimal(text)


class DeskRig:
    """One desk for BTC, its world, and the time between them.

    ``history`` falls when the first cross is to be upward (``wants`` LONG), and rises otherwise.
    """

    def __init__(
        self,
        *,
        wants: Side = Side.LONG,
        mode: PositionMode = PositionMode.HEDGE,
        protecting: Protecting | None = None,
        is_exclusive: bool = True,
        pace: Pace | None = None,
        cooldown_s: int = 0,
        sides: tuple[Side, ...] = (Side.LONG, Side.SHORT),
        facts: Facts | None = None,
        making: Making | None = None,
        sizing: Sizing | None = None,
        limits: Limits | None = None,
        strategy: Strategy | None = None,
        exits: ExitSettings | None = None,
        connecting: connection.Limits | None = None,
        generation: int = 1,
        asker: Asker = decider,
    ) -> None:
        trading = Trading(
            strategy=strategy or EmaCross(),
            protecting=protecting or Protecting(),
            reentry=Reentry(cooldown_s, cooldown_s, 0),
            exits=exits or ExitSettings(partial_share=Fraction(Decimal(0))),
            sides=sides,
            making=making or Making(OrderKind.MARKET),
            sizing=sizing or Sizing(),
        )
        self.pace = pace or Pace()
        parameters = Parameters(
            ((BTC, trading),),
            mode=mode,
            is_exclusive=is_exclusive,
            limits=limits or Limits(),
            pace=self.pace,
        )
        links = dict.fromkeys(Name, connecting or connection.Limits())
        self.desk = Desk(
            parameters, bots.unborn(lifecycle.Limits(), links, mode), f"rig{generation:05}", facts, asker
        )
        self.now_ms = START_MS
        self.mode = mode
        self.equity = Decimal(10_000)
        self.wants = wants
        self.candles = 0
        self.journal_writes = True
        self.moves: list[Move] = []
        self.asked: list[Effect] = []
        self.timers: dict[str, tuple[int, Told]] = {}
        self.sold: dict[str, tuple[Decimal, Decimal]] = {}  # by venue id: filled so far, and its worth

    # Looking.

    @property
    def bot(self) -> Bot:
        return self.desk.bot

    def stage(self) -> lifecycle.S:
        state = self.bot.lifecycle.state
        assert isinstance(state, lifecycle.S)
        return state

    def slot(self, leg: LegKey = LONG) -> Slot:
        return self.bot.slot(leg)

    def leg(self, leg: LegKey = LONG) -> LegBook:
        return self.desk.context.book.leg(leg)

    @property
    def totals(self) -> dict[str, object]:
        totals = self.desk.context.book.totals
        return {name: getattr(totals, name) for name in totals.__slots__}

    def taken(self, kind: type[E]) -> list[E]:
        """What was asked for of this kind since it was last taken."""
        found = [effect for effect in self.asked if isinstance(effect, kind)]
        self.asked = [effect for effect in self.asked if not isinstance(effect, kind)]
        return found

    def only(self, kind: type[E]) -> E:
        found = self.taken(kind)
        assert len(found) == 1, found
        return found[0]

    def announced(self) -> list[str]:
        """The names of the lines for people since they were last taken."""
        return [line.name for line in self.taken(requests.Announce)]

    # Saying.

    def say(self, *events: Event) -> None:
        """Give the desk these events, now; the journal answers at once, and timers are kept."""
        for event in events:
            for effect in self.handle(event):
                self._keep(effect)
            written = self.taken(requests.Record) if self.journal_writes else []
            self.say(
                *(
                    Told(record.address, record.done)
                    for record in written
                    if record.address is not None and record.done is not None
                )
            )

    def handle(self, event: Event) -> tuple[Effect, ...]:
        return self.desk.handle(event, self.now_ms)

    def tell(self, address: Address, event: Event) -> None:
        self.say(Told(address, event))

    def _keep(self, effect: Effect) -> None:
        match effect:
            case Move():
                self.moves.append(effect)
            case requests.StartTimer(key, seconds, address, event):
                self.timers[key] = (self.now_ms + round(seconds * 1000), Told(address, event))
            case requests.CancelTimer(key):
                self.timers.pop(key, None)
            case Addressed(_, inner):
                self.asked.append(inner)
            case _:
                self.asked.append(effect)

    def pass_s(self, seconds: float) -> None:
        """Let time pass; timers that fall due are told in their order."""
        end_ms = self.now_ms + round(seconds * 1000)
        while due := sorted((at, key) for key, (at, _) in self.timers.items() if at <= end_ms):
            at_ms, key = due[0]
            self.now_ms = max(self.now_ms, at_ms)
            self.say(self.timers.pop(key)[1])
        self.now_ms = end_ms

    # The start.

    def booted(self) -> DeskRig:
        """READY, with nothing open and mark at the entry price."""
        self.boot()
        assert self.bot.lifecycle.state is lifecycle.S.READY, self.bot.missing
        self.asked.clear()
        self.moves.clear()
        return self

    def boot(self, reading: world.AccountReading | None = None) -> None:
        """Start, and answer what the start asks for; every reading shows ``reading``."""
        self.tell(LIFECYCLE, lifecycle.StartRequested())
        while self.answer_start(reading):
            pass
        self.mark(ENTRY)
        while self.answer_start(reading):
            pass

    def tell_until_sync(self) -> None:
        """Start, and leave the reading of SYNC unanswered."""
        self.tell(LIFECYCLE, lifecycle.StartRequested())
        while self.bot.lifecycle.state is not lifecycle.S.SYNC:
            assert self.answer_start(), self.bot.lifecycle
        self.mark(ENTRY)

    def answer_start(self, reading: world.AccountReading | None = None) -> bool:
        """Answer the next thing that the start has asked for; False when there is none."""
        for effect in self.asked:
            answers = list(self.answers(effect, reading))
            if answers:
                self.asked.remove(effect)
                self.say(*answers)
                return True
        return False

    def answers(self, effect: Effect, reading: world.AccountReading | None = None) -> Iterable[Event]:
        """What the world answers to this, if it answers by itself during a start."""
        match effect:
            case lifecycle.RunStage(lifecycle.S.INIT, epoch):
                yield Told(LIFECYCLE, lifecycle.StageDone(epoch))
            case lifecycle.RunStage(lifecycle.S.CLIENT, epoch):
                yield self.venue_ready()
                yield Told(LIFECYCLE, lifecycle.StageDone(epoch))
            case lifecycle.RunStage(lifecycle.S.CANDLES, epoch):
                yield self.history()
                yield Told(LIFECYCLE, lifecycle.StageDone(epoch))
            case requests.AuditStops(epoch):
                yield world.AuditRead(epoch, self.read_now(reading))
            case reconciliation.ReadAccount(seq):
                yield world.AccountRead(seq, self.read_now(reading))
            case connection.OpenSocket(name, epoch):
                yield _link(name, connection.SocketOpened(epoch))
            case connection.LogIn(name, epoch):
                yield _link(name, connection.LoginAccepted(epoch))
            case connection.Subscribe(name, epoch):
                yield _link(name, connection.ChannelsConfirmed(epoch))

    def venue_ready(self) -> world.VenueReady:
        return world.VenueReady((RULES,), self.mode, MarginMode.CROSS, self.equity, self.equity, self.now_ms)

    def history(self) -> world.HistoryLoaded:
        slope = -1 if self.wants is Side.LONG else 1
        candles = tuple(self._candle(60_000 + slope * (number - 100)) for number in range(100))
        return world.HistoryLoaded(BTC, "1m", candles)

    def _candle(self, close: float) -> world.Candle:
        self.candles += 1
        open_ms = START_MS - 101 * MINUTE_MS + self.candles * MINUTE_MS  # the history ends at the start
        return world.Candle(open_ms, close, close, close, close, 1.0)

    # The market, and what follows from it.

    def mark(self, price: Decimal | str | int) -> None:
        px = Decimal(price)
        self.say(world.MarkMoved(BTC, px, self.now_ms), world.QuoteMoved(BTC, px, px, self.now_ms))

    def cross(self, side: Side) -> None:
        """A candle whose close carries the fast average over the slow one, in this direction."""
        self.say(world.EquityReported(self.equity, self.equity, self.now_ms))
        while START_MS + (self.candles - 100) * MINUTE_MS < self.now_ms:
            self.say(world.CandleClosed(BTC, "1m", self._candle(60_000)))  # nothing moved meanwhile
        self.say(world.CandleClosed(BTC, "1m", self.next_candle(side)))

    def next_candle(self, side: Side) -> world.Candle:
        return self._candle(60_000 + 400 * side.sign)

    def enter(self) -> OrderTicket:
        """The averages cross as `wants` says; the ticket of the entry that is sent."""
        self.cross(self.wants)
        ticket = self.only(requests.PlaceOrder).ticket
        assert ticket.role is order.Role.ENTRY
        return ticket

    def enter_and_fill(self, price: Decimal = ENTRY) -> OrderTicket:
        ticket = self.enter()
        self.say(world.OrderPushed(self.filled(ticket, ticket.contracts, price)))
        return ticket

    def covered(self, price: Decimal = ENTRY) -> requests.PlaceStop:
        """An entry that is filled and whose stop is seen live."""
        self.enter_and_fill(price)
        stop = self.only(requests.PlaceStop)
        self.say(world.StopPushed(self.stop(stop)))
        assert self.slot(stop.leg).protection.state is protection.S.COVERED
        self.asked.clear()
        return stop

    # Reports.

    def filled(
        self,
        ticket: OrderTicket,
        contracts: Decimal | str,
        price: Decimal | str | int,
        *,
        state: OrderState | None = None,
    ) -> OrderReport:
        """The push of a trade of ``contracts``, cumulative as the venue tells it."""
        contracts, price = Decimal(contracts), Decimal(price)
        venue_id = f"v{ticket.client_id}"
        before, worth = self.sold.get(venue_id, (Decimal(0), Decimal(0)))
        total, worth = before + contracts, worth + contracts * price
        self.sold[venue_id] = (total, worth)
        fee = total * RULES.contract_size * worth / total * FEE_RATE
        done = OrderState.FILLED if total == ticket.contracts else OrderState.PARTIAL
        return OrderReport(
            client_id=ticket.client_id,
            venue_id=venue_id,
            instrument=BTC,
            side=self._side(ticket.leg),
            deal=ticket.deal,
            state=state or done,
            filled=total,
            average_price=worth / total,
            fee=fee,
            fill=Fill(f"t{self.now_ms}-{total}", contracts, price, fee, self.now_ms),
            stop_client_id="",
            category="normal",
            created_ms=ticket.created_ms,
            updated_ms=self.now_ms,
        )

    def ended(self, ticket: OrderTicket, state: OrderState = OrderState.CANCELLED) -> OrderReport:
        """The push that an order is over, or lives, without a new trade."""
        venue_id = f"v{ticket.client_id}"
        total, worth = self.sold.get(venue_id, (Decimal(0), Decimal(0)))
        return OrderReport(
            client_id=ticket.client_id,
            venue_id=venue_id,
            instrument=BTC,
            side=self._side(ticket.leg),
            deal=ticket.deal,
            state=state,
            filled=total,
            average_price=worth / total if total else None,
            fee=RULES.contract_size * worth * FEE_RATE,
            fill=None,
            stop_client_id="",
            category="normal",
            created_ms=ticket.created_ms,
            updated_ms=self.now_ms,
        )

    def traded(
        self, leg: LegKey, deal: Deal, contracts: Decimal | str, price: Decimal | str | int, *, stop: str = "",
        client_id: str = "",
    ) -> OrderReport:  # fmt: skip
        """The push of a complete trade that is on no ticket: a stop's child, or a person's order."""
        ticket = OrderTicket(
            leg, order.Role.CLOSE, 0, client_id or f"other{self.now_ms}", deal, Decimal(contracts), True, "", self.now_ms, 0
        )  # fmt: skip
        return msgspec.structs.replace(self.filled(ticket, contracts, price), stop_client_id=stop)

    def stopped_out(self, stop: requests.PlaceStop, price: Decimal | str | int) -> OrderReport:
        """The child of a stop has closed the whole leg."""
        contracts = self.leg(stop.leg).contracts
        return self.traded(stop.leg, stop.deal, contracts, price, stop=stop.client_id)

    def stop(
        self,
        stop: requests.PlaceStop | str,
        *,
        state: StopState = StopState.LIVE,
        trigger: Decimal | None = None,
        leg: LegKey = LONG,
        contracts: Decimal | None = None,
    ) -> StopReport:
        """A stop as the venue holds it: the one that was asked for, or one with that client id."""
        if isinstance(stop, requests.PlaceStop):
            leg, client_id, trigger = stop.leg, stop.client_id, trigger or stop.trigger
        else:
            client_id = stop
        return StopReport(
            client_id=client_id,
            venue_id=f"a{client_id}",
            instrument=BTC,
            side=self._side(leg),
            deal=closing_deal(leg.side),
            state=state,
            trigger=trigger,
            contracts=contracts,
            updated_ms=self.now_ms,
        )

    def position(
        self, contracts: Decimal | str, price: Decimal | str | int = ENTRY, *, leg: LegKey = LONG,
        created_ms: int | None = None,
    ) -> PositionReport:  # fmt: skip
        opened = self.now_ms if created_ms is None else created_ms
        return PositionReport(leg, Decimal(contracts), Decimal(price), opened, self.now_ms)

    def reading(self, *positions: PositionReport, stops: tuple[StopReport, ...] = ()) -> world.AccountReading:
        return world.AccountReading(positions, (), stops, self.now_ms)

    def read_now(self, reading: world.AccountReading | None = None) -> world.AccountReading:
        if reading is None:
            return self.reading()
        return msgspec.structs.replace(reading, started_ms=self.now_ms)

    def reconcile(self, reading: world.AccountReading | None = None) -> None:
        """The timer's check of the book, answered with ``reading``."""
        self.tell(RECONCILIATION, reconciliation.CheckDue())
        seq = self.only(reconciliation.ReadAccount).seq
        self.say(world.AccountRead(seq, self.read_now(reading)))

    def fail_reading(self) -> None:
        self.tell(RECONCILIATION, reconciliation.CheckDue())
        seq = self.only(reconciliation.ReadAccount).seq
        self.tell(RECONCILIATION, reconciliation.ReadingFailed(seq, "502"))

    def _side(self, leg: LegKey) -> Side | None:
        return leg.side if self.mode is PositionMode.HEDGE else None


def of(part: Part, leg: LegKey = LONG) -> Address:
    return Address(part, leg=leg)


def _link(name: Name, event: Event) -> Told:
    return Told(Address(Part.CONNECTION, link=name), event)
