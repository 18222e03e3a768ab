"""One back-test: the desk and the tapes, minute by minute, in the file's time.

Theory of operation
===================

A result is a function of the candles, the settings and the seed. The loop knows three kinds of moments: a candle
closes, a minute opens with its first trade, and something is due inside a minute (an answer, a timer, a trade that
somebody watches). It takes them in the order of their times, and at one time in the order of the embedded exchange:
trade, funding, candle, mark, answers.

The desk is told nothing before its time. What lies ahead is looked at in one room only, and there only to leave out
trades and minutes at which nothing can happen (`skipping`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping

import msgspec

from anchorwatch.io.backtest.costs import Costs, costs_of
from anchorwatch.io.backtest.exchange import Exchange, funding_times
from anchorwatch.io.backtest.foresight import Foresight, held_to
from anchorwatch.io.backtest.history import NEVER_MS, Closing, Histories
from anchorwatch.io.backtest.journal import FactsFile
from anchorwatch.io.backtest.record import Record, moment
from anchorwatch.io.backtest.shell import Shell
from anchorwatch.io.backtest.skipping import Ahead, Watch
from anchorwatch.io.backtest.tape import Path, Tape
from anchorwatch.io.settings import Settings, parameters
from anchorwatch.io.venue import basis
from anchorwatch.io.venue.candle_file import CandleSeries
from anchorwatch.io.venue.feeds import MINUTE_MS
from anchorwatch.io.venue.instruments import Instrument as Listed
from anchorwatch.io.venue.noise import mix
from anchorwatch.io.venue.price_path import Worst
from anchorwatch.machine import bot as bots
from anchorwatch.machine import ids, lifecycle, world
from anchorwatch.machine.bot import LIFECYCLE
from anchorwatch.machine.candles import Stretch
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Desk, Told
from anchorwatch.machine.desk.chart import Chart
from anchorwatch.machine.lifecycle import Exit
from anchorwatch.machine.parameters import Parameters
from anchorwatch.machine.requests import Announce
from anchorwatch.machine.requests import Record as Facts
from anchorwatch.machine.strategy import Strategy
from anchorwatch.machine.strategy.asking import StrategyFailed
from anchorwatch.machine.strategy.series import Foretelling
from anchorwatch.machine.units import Instrument, Side

TICK_MS = 1_000
"""The engine looks at ages and silences once a second; the back-test does where the desk may have something to say."""

RECONCILED_EVERY_S = 86_400.0
"""No push is lost in a file, so that comparing the book with the account finds only defects of ours: once a day."""

READY = lifecycle.S.READY
NONE = (0, 0)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Backtest:
    """One run over ``series``. ``start_ms`` opens the first minute that is traded, ``end_ms`` ends the last.

    ``is_exhaustive`` tells every mark and every second while anything is open, and computes every indicator candle by
    candle: slow, and the yardstick of what is left out and computed at once otherwise. ``asks_always`` asks at every
    candle a strategy that foretells too, and holds its answers to what it foresaw.

    Raises `StrategyFailed`, here and in `run`, where the strategy fails: what comes after that is no result.
    """

    def __init__(
        self,
        settings: Settings,
        series: Mapping[str, CandleSeries],
        start_ms: int,
        end_ms: int,
        *,
        seed: int,
        path: Path = "default",
        is_exhaustive: bool = False,
        asks_always: bool = False,
        journal: Callable[[Facts], None] | None = None,
    ) -> None:
        self.settings = settings
        self.start_ms, self.end_ms = start_ms, end_ms
        self.tapes = {name: Tape(one, start_ms, seed=seed) for name, one in series.items()}
        sizes = {name: tape.instrument.coin_per_contract for name, tape in self.tapes.items()}
        self.record = Record(sizes)
        self.costs: Costs = costs_of(settings.backtest, seed)
        self._path = path
        self.is_exhaustive = is_exhaustive
        self._watches: list[Watch] = []
        self._tick_ms = NEVER_MS
        self._ticked_ms = -1
        self._version = -1
        tuned = slowed(parameters(settings))
        private, public = settings.connections.private_limits(), settings.connections.public_limits()
        bot = bots.unborn(
            settings.lifecycle_limits(),
            {name: private if name.is_private else public for name in Name},
            settings.account.position_mode,
            tuned.conduct,
        )
        self.desk = Desk(tuned, bot, generation(seed), tells_moves=False)  # nobody looks on
        charts = self.desk.context.charts
        self.histories = Histories(series, {name: charts[name].market.settings.kept for name in series})
        self._stalls_ms = self.histories.stalls_ms()
        # By instrument, whether its strategy says anything at the candle of each row; absent: it may at any.
        self._spoken: dict[str, list[bool]] = {}
        self._ahead: dict[str, Ahead] = {}
        if not is_exhaustive:
            for name in series:
                self._compute(charts[name], tuned.of(name).strategy, asks_always)
        self.shell = Shell(
            self.desk,
            self.costs,
            self.histories,
            tuple(rules(tape.instrument) for tape in self.tapes.values()),
            settings.account.position_mode,
            settings.account.margin_mode,
            journal or FactsFile(None).record,
            self._say,
        )
        leverages = {name: settings.of(name).leverage for name in self.tapes}
        self.exchange = Exchange(
            self.tapes,
            self.costs,
            settings.account.position_mode,
            leverages,
            self.shell.inbox.append,
            self.record,
            self.shell.note_cash,
        )
        self.shell.exchange = self.exchange
        self._closings: list[Closing] = [
            closing for name in self.tapes for closing in self.histories.closing(name, start_ms)
        ]
        self._candle_ms = min((closing.due_ms for closing in self._closings), default=NEVER_MS)
        self._funding_ms = funding_times(start_ms)
        self.candles = 0

    def _compute(self, chart: Chart, strategy: Strategy, asks_always: bool) -> None:
        """What every candle says, at once, and from it what the strategy will answer."""
        name, market = chart.instrument, chart.market
        foresight = Foresight(self.histories, self.tapes[name], market.settings, self.costs, self.start_ms)
        market.use_computed(foresight.computed)
        if not isinstance(strategy, Foretelling):
            return
        answered = foresight.answers(strategy)
        if asks_always:
            chart.decide = held_to(answered, foresight.rows(), chart, strategy)
            return
        self._spoken[name] = answered.speaks.tolist()
        self._ahead[name] = Ahead(
            self.tapes[name], foresight.columns, answered, list(foresight.regime_news()), market
        )

    def _say(self, effect: Announce, at_ms: int) -> None:
        self.record.say(effect, at_ms)
        if effect.name == "STRATEGY_FAILED":
            told = dict(effect.fields)
            candle = f"{told['instrument']}'s candle of {moment(int(told['candle_ms']))}"
            raise StrategyFailed(told["strategy"], told["where"], f"{told['reason']}; asked about {candle}")

    @property
    def ready(self) -> bool:
        """Whether the bot came through every stage, and has not been stopped."""
        return self.desk.bot.lifecycle.state is READY

    def run(self, progress: Callable[[int], None] | None = None, every_ms: int = 3_600_000) -> Exit:
        """From the start to the last candle and the orderly stop. Raises what the desk raises: a defect of ours."""
        self._set_clock(self.start_ms)
        self.shell.deliver(Told(LIFECYCLE, lifecycle.StartRequested()))
        self.shell.inbox.extend(self.exchange.forecasts(self._funding_ms))
        self.shell.drain()
        tell_ms = self.start_ms
        # Before it nothing is due and no trade matters: so it is behind minutes that were left out.
        idle_until_ms = 0
        while True:
            next_ms = self._candle_ms
            for tape in self.tapes.values():
                opens_ms = tape.next_open_ms
                if opens_ms is not None and opens_ms < next_ms:
                    next_ms = opens_ms
            if next_ms > self.end_ms or (next_ms == self.end_ms and self._candle_ms != next_ms):
                break
            if next_ms >= idle_until_ms:
                self._until(next_ms)
            passed, idle_until_ms = self._minutes_that_decide_nothing(next_ms)
            if passed:
                next_ms += (passed - 1) * MINUTE_MS
                self._set_clock(next_ms)
                self._pass_over(passed)
            else:
                self._set_clock(next_ms)
                self._boundary(next_ms)
            if progress is not None and next_ms >= tell_ms:
                progress(next_ms)
                tell_ms = next_ms + every_ms
        return self._stop()

    def _stop(self) -> Exit:
        self.shell.inbox.append(Told(LIFECYCLE, lifecycle.StopRequested("the file is over")))
        self.shell.drain()
        while self.shell.exit is None:
            due_ms = self.shell.next_due_ms()
            assert due_ms < NEVER_MS, "the stop waits for nothing"
            self._set_clock(max(due_ms, self.shell.clock))
            self.shell.drain()
        return self.shell.exit

    def _set_clock(self, now_ms: int) -> None:
        self.shell.clock = self.exchange.clock = now_ms

    # Many minutes at once.

    def _minutes_that_decide_nothing(self, next_ms: int) -> tuple[int, int]:
        """How many boundaries from ``next_ms`` on, with the minutes that they open, can be left out (`skipping`); and
        before when nothing is due."""
        if len(self._ahead) < len(self.tapes) or self._candle_ms != next_ms:
            return NONE
        minutes = NEVER_MS
        for name, ahead in self._ahead.items():
            tape = self.tapes[name]
            if tape.next_open_ms != next_ms:
                return NONE
            minutes = min(minutes, ahead.rows_until_asked(tape.row, self.desk.open_side(name)))
            if len(self._ahead) > 1:
                # Lest the regimes of several be recorded in another order.
                minutes = min(minutes, ahead.rows_to_regime(tape.row))
        if minutes <= 0 or not self.ready:
            return NONE
        limit_ms = min(self._funding_ms, self.end_ms, self._tick_ms, self.shell.next_due_ms())
        minutes = min(minutes, (limit_ms - 1 - next_ms) // MINUTE_MS + 1)
        if minutes <= 0:
            return NONE
        for name in self._ahead:
            if not self.desk.may_pass(name):
                return NONE
        for watch in self._watches:
            minutes = watch.quiet_rows(self._ahead[watch.tape.name], minutes)
        return (minutes, limit_ms) if minutes else NONE

    def _pass_over(self, minutes: int) -> None:
        """The clock stands at the last of the boundaries that are left out."""
        now_ms, next_ms = self.shell.clock, NEVER_MS
        stretches: dict[str, dict[str, Stretch]] = {name: {} for name in self.tapes}
        for closing in self._closings:
            if closing.due_ms <= now_ms:
                stretch = closing.take_until(now_ms)
                stretches[closing.instrument][closing.timeframe] = stretch
                self.candles += len(stretch)
            if closing.due_ms < next_ms:
                next_ms = closing.due_ms
        self._candle_ms = next_ms
        for name, tape in self.tapes.items():
            ahead = self._ahead[name]
            counted = ahead.counted(tape.row, minutes, self.desk.open_side(name))
            regimes = ahead.regimes(tape.row, minutes)
            tape.pass_to(tape.row + minutes)
            self.shell.pass_over(name, stretches[name], regimes, counted)

    # A boundary: what closes and what opens at one moment.

    def _boundary(self, now_ms: int) -> None:
        shell, exchange, account = self.shell, self.exchange, self.exchange.account
        opened, tells_equity = [], False
        for tape in self.tapes.values():
            if not tape.is_through and tape.opens_ms[tape.row] + MINUTE_MS <= now_ms:
                tape.finish()
            if now_ms >= self._funding_ms or not self._may_keep_quiet(tape):
                shell.tell_prices(tape, again=True)
                tells_equity = True
            if tape.next_open_ms == now_ms < self.end_ms:
                tape.open_minute()
                if account.stops or account.waiting or account.positions:
                    exchange.traded(tape)
                opened.append(tape)
        if now_ms >= self._funding_ms:
            exchange.settle_funding(self._funding_ms)
            self._funding_ms += basis.FUNDING_INTERVAL_MS
            shell.inbox.extend(exchange.forecasts(self._funding_ms))
        if now_ms >= self._candle_ms:
            if tells_equity:
                shell.inbox.append(exchange.equity())
            self._close_candles(now_ms)
        sent = shell.sent
        shell.take_inbox()
        for tape in opened:
            if shell.sent != sent or exchange.is_exposed(tape.name):
                shell.moved(tape)
        shell.drain()

    def _may_keep_quiet(self, tape: Tape) -> bool:
        """Whether nothing will be decided by the prices of the minute that has just ended: the strategy can have no
        wish at its candle, and the desk sleeps through its mark."""
        spoken = self._spoken.get(tape.name)
        if spoken is None or tape.row < 0 or spoken[tape.row]:
            return False
        for watch in self._watches:
            if watch.tape is tape:
                return watch.sleeps_through(tape.mark_ticks())
        return self.ready

    def _close_candles(self, now_ms: int) -> None:
        next_ms = NEVER_MS
        for closing in self._closings:
            while closing.due_ms <= now_ms:
                self.shell.inbox.append(closing.take())
                self.candles += 1
            if closing.due_ms < next_ms:
                next_ms = closing.due_ms
        self._candle_ms = next_ms

    # Inside a minute.

    def _until(self, limit_ms: int) -> None:
        """Everything that is due before ``limit_ms``, in order, and the trades that can matter.

        The engine's clock ticks before it hears what is traded at that moment, and what it asks for then meets that
        trade already: a tick at ``limit_ms`` is told here, and answered behind the boundary.
        """
        shell = self.shell
        while True:
            undisturbed_ms = self._undisturbed_until(limit_ms)
            due_ms = shell.next_due_ms()
            if due_ms < undisturbed_ms:
                # Nothing is traded meanwhile: prices are news once at most.
                shell.clock = self.exchange.clock = due_ms
                for tape in self.tapes.values():
                    shell.tell_prices(tape)
            while due_ms < undisturbed_ms:
                shell.clock = self.exchange.clock = due_ms
                shell.drain()
                due_ms = shell.next_due_ms()
            watched, trade_ms = self._next_watched(limit_ms)
            # Looking anew may have met an order, and what the desk asked for then is due before what was known here.
            at_ms = min(trade_ms, shell.next_due_ms(), self._tick_ms)
            if at_ms >= limit_ms < self._tick_ms:
                return
            self._set_clock(at_ms)
            if self._tick_ms == at_ms:
                self._catch_up(at_ms - 1)
                self._tell_time()
                if at_ms == limit_ms:
                    return
                self._catch_up(at_ms)
            elif trade_ms == at_ms:
                assert watched is not None
                self._play(watched)
                if not self._is_asleep(watched):
                    shell.moved(watched)
            else:
                self._catch_up(at_ms)
            shell.drain()

    def _undisturbed_until(self, limit_ms: int) -> int:
        """Until when no trade and no look at the clock can come, whoever watches: most answers come before that."""
        since_ms = self.shell.clock - self.start_ms
        until_ms = min(limit_ms, self.start_ms + since_ms - since_ms % TICK_MS + TICK_MS)
        for tape in self.tapes.values():
            trade_ms = tape.next_trade_ms()
            if trade_ms is not None and trade_ms < until_ms:
                until_ms = trade_ms
        return until_ms

    def _tell_time(self) -> None:
        """A look at the clock, with prices as fresh as they would be live."""
        self.shell.inbox.append(self.exchange.equity())
        self.shell.take_inbox()
        for tape in self.tapes.values():
            self.shell.tell_prices(tape, again=True)
        self._ticked_ms = self.shell.clock
        self.shell.deliver(world.ClockTicked())

    def _next_watched(self, limit_ms: int) -> tuple[Tape | None, int]:
        """The next trade that can matter. A minute in which none can is left to `Tape.finish`."""
        self._look_anew()
        found, at_ms = None, NEVER_MS
        for watch in self._watches:
            tape = watch.tape
            trade_ms = tape.next_trade_ms()
            if trade_ms is not None and trade_ms < at_ms and not watch.may_skip():
                found, at_ms = tape, trade_ms
        return found, at_ms

    def _is_asleep(self, tape: Tape) -> bool:
        return any(watch.tape is tape and watch.sleeps_through(tape.mark_ticks()) for watch in self._watches)

    def _look_anew(self) -> None:
        """Where something has happened: which instruments are to be watched, and what the desk sleeps through."""
        desk, exchange = self.desk, self.exchange
        is_new = exchange.version != self._version
        if not is_new:
            for watch in self._watches:
                if desk.quiet(watch.tape.name) is not watch.quiet:
                    is_new = True
                    break
            else:
                if self._ticked_ms < self._tick_ms:
                    return
        if is_new and len(self.tapes) > 1:
            # What the desk sleeps through is reckoned from the marks that it knows: those of all count, and of now.
            self._catch_up(self.shell.clock)
            self.shell.drain()
        self._version = exchange.version
        until_ms = NEVER_MS
        self._watches = []
        for tape in self.tapes.values():
            quiet = desk.quiet(tape.name)
            if exchange.is_exposed(tape.name):
                until_ms = min(until_ms, 0 if self.is_exhaustive else quiet.until_ms)
                is_careless = not self.is_exhaustive and exchange.is_far_from_liquidation()
                self._watches.append(Watch(tape, quiet, exchange, is_careless=is_careless))
            elif quiet.until_ms < NEVER_MS:
                until_ms = min(until_ms, quiet.until_ms)
        if self._watches:
            until_ms = min(until_ms, self._next_stall_ms())
        self._tick_ms = self._tick_from(until_ms)

    def _next_stall_ms(self) -> int:
        """When the next hole of the files is noticed by the clock, which is looked at while anything is open or rests."""
        place = bisect_right(self._stalls_ms, self._ticked_ms)
        return self._stalls_ms[place] if place < len(self._stalls_ms) else NEVER_MS

    def _tick_from(self, until_ms: int) -> int:
        """The first of the engine's looks at the clock, after now, that is not before ``until_ms``."""
        now_ms = self.shell.clock
        from_ms = max(until_ms, now_ms + 1) - self.start_ms
        return NEVER_MS if until_ms >= NEVER_MS else self.start_ms + -(-from_ms // TICK_MS) * TICK_MS

    def _catch_up(self, now_ms: int) -> None:
        """Play what was traded until now where nobody watched: a request meets the price of its moment."""
        for tape in self.tapes.values():
            trade_ms = tape.next_trade_ms()
            while trade_ms is not None and trade_ms <= now_ms:
                self._play(tape)
                trade_ms = tape.next_trade_ms()
            self.shell.tell_prices(tape)

    def _play(self, tape: Tape) -> None:
        tape.play(self._worst(tape))
        self.exchange.traded(tape)

    def _worst(self, tape: Tape) -> Worst | None:
        """The order of the extremes that this run asks for, by the side that is open."""
        if self._path == "default":
            return None
        for leg, held in self.exchange.account.positions.items():
            if leg.instrument == tape.name and held.contracts:
                hurts_long = (leg.side is Side.LONG) is (self._path == "adverse")
                return "long" if hurts_long else "short"
        return None


def slowed(tuned: Parameters) -> Parameters:
    """The parameters with the pace that a file allows."""
    pace = msgspec.structs.replace(tuned.pace, reconcile_every_s=RECONCILED_EVERY_S)
    return msgspec.structs.replace(tuned, pace=pace)


def generation(seed: int) -> str:
    """The token in this run's client ids: made from the seed, so that two runs are the same."""
    bits = mix(seed, 0)
    digits = ""
    for _ in range(ids.GENERATION_LENGTH):
        bits, digit = divmod(bits, len(_DIGITS))
        digits += _DIGITS[digit]
    return digits


def rules(listed: Listed) -> Instrument:
    """What the stage CLIENT would learn of this instrument."""
    return Instrument(
        name=listed.inst_id,
        contract_size=listed.coin_per_contract,
        tick_size=listed.tick_sz,
        lot_size=listed.lot_sz,
        min_size=listed.min_sz,
        max_market_size=listed.max_mkt_sz,
        max_stop_size=listed.max_stop_sz,
        max_leverage=listed.lever,
        max_limit_size=listed.max_lmt_sz,
    )
