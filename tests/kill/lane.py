"""One exchange, one account, and a chain of lives on it: each is killed at its moment, and the next one judged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import msgspec
import trio

from anchorwatch.io.demo.by_hand import ByHand, NotDone, by_hand
from anchorwatch.io.demo.processes import KEYS, ChildFailed, Life, Line, exchange, life, settings_text
from anchorwatch.io.journal import open_journal
from anchorwatch.io.okx.environments import Endpoints
from anchorwatch.machine import ids
from anchorwatch.machine.facts import Facts
from anchorwatch.machine.units import LegKey, Side
from tests.kill import verdict
from tests.kill.moments import TRADED, TRADING, Config, Lead, Meanwhile, Moment, moved
from tests.kill.relay import Relay, relay

HELD = {
    LegKey("BTC-USDT-SWAP", Side.LONG): Decimal("0.5"),
    LegKey("BTC-USDT-SWAP", Side.SHORT): Decimal("0.3"),
    LegKey("ETH-USDT-SWAP", Side.LONG): Decimal("2"),
    LegKey("ETH-USDT-SWAP", Side.SHORT): Decimal("1"),
}
"""Open from the first life to the last: both sides of two instruments."""

SIZE = Decimal(1)
LONG, SHORT = LegKey(TRADED, Side.LONG), LegKey(TRADED, Side.SHORT)
WHOLE = {**HELD, LONG: SIZE, SHORT: SIZE}
"""What every position begins with. Where parts are taken it may be less by one part, once, whoever took it."""

SYMBOLS = ("BTC-USDT-SWAP", "ETH-USDT-SWAP", TRADED)
LANDED_S = 0.3
"""What was in flight when the process died has reached the exchange, on loopback, long before this."""

SETTLED_WITHIN_S = 8.0
"""After READY: an order in doubt is final 5 s after it was made, and the last stop is swept."""

LOOK_AGAIN_S = 0.25
MOMENT_WITHIN_S = 45.0
"""The rarest moment, the smallest profit of one of two opposite positions, comes with the next swing."""

STOPPED_WITHIN_S = 20.0
"""The orderly stop is bounded by 8 s; a busy host adds to it."""

CANDLES_MAX = 3
"""An entry that rests may be left behind by the market; with the next candle there is another."""

CRASHES_MAX = 2
"""After three crashes in ten minutes a life only guards, and enters nothing: an orderly stop comes before."""

MINUTE_MS = 60_000
LAST_WORDS = 4
READY_BEFORE_CANDLE_MS = 9_000
"""A life that waits for a candle must be READY before it closes."""

READY = moved("lifecycle", "READY")


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    lane: int
    moment: str
    open_positions: str
    last_words: str
    found: str
    ready_s: float
    faults: tuple[str, ...]


class Lane:
    """Use `run` once."""

    def __init__(
        self,
        number: int,
        room: Path,
        now_ms: Callable[[], int],
        told: Callable[[Row], None],
        logs: Path | None = None,
    ) -> None:
        self._number = number
        self._logs = logs
        self._room = room
        self._now_ms = now_ms
        self._told = told
        self._journal = room / "journal.sqlite"
        self._stack = AsyncExitStack()
        self._began_ms = now_ms()
        self._life: Life | None = None
        self._config = Config.QUIET
        self._crashes = 0
        self._hand: ByHand
        self._line: Relay

    async def run(self, markets: Sequence[Path], moments: Sequence[Moment]) -> None:
        """Kill at each of these moments. What a row finds wrong is told with it, and the lane goes on."""
        async with exchange(self._room, markets=markets) as where:
            async with relay(_port(where)) as (self._line, port), by_hand(where, self._now_ms) as self._hand:
                through = Endpoints(where.rest_url, f"ws://127.0.0.1:{port}/ws/v5", where.simulated)
                self._write_settings(through)
                for leg, contracts in HELD.items():
                    await self._hand.open(leg, contracts)
                try:
                    waiting = list(moments)
                    while waiting:
                        moment = self._next_of(waiting)
                        waiting.remove(moment)
                        await self._play(moment)
                finally:
                    await self._bury()

    def _next_of(self, waiting: Sequence[Moment]) -> Moment:
        """The moments that need a candle are taken when one is near, the others in between."""
        left_ms = MINUTE_MS - self._now_ms() % MINUTE_MS
        entries = [moment for moment in waiting if moment.lead is Lead.CANDLE]
        others = [moment for moment in waiting if moment.lead is not Lead.CANDLE]
        candle_is_near = READY_BEFORE_CANDLE_MS <= left_ms <= 3 * READY_BEFORE_CANDLE_MS
        return entries[0] if entries and (candle_is_near or not others) else others[0]

    async def _play(self, moment: Moment) -> None:
        try:
            row = await self._row(moment)
        except (ChildFailed, NotDone) as error:
            if self._life is not None:
                self._keep(moment, "last", self._life.lines)
            await self._bury()
            row = Row(self._number, moment.name, "", "", "", 0.0, (" ".join(str(error).split()),))
        self._told(row)

    async def _row(self, moment: Moment) -> Row:
        await self._lead_up(moment)
        died = await self._death(moment)
        await self._meanwhile(moment.meanwhile)
        self._line.mend()
        await trio.sleep(LANDED_S)
        dead = verdict.Dead(await self._hand.look(), self._facts(), await self._entries())
        own = await self._born(Config.QUIET if moment.config is Config.TAKING else moment.config)
        await own.until(READY)
        ready_s = trio.current_time() - own.started_s
        wrong = await self._judged(dead, own)
        if wrong:
            self._keep(moment, "dead", died)
            self._keep(moment, "next", own.lines)
        return Row(
            self._number,
            moment.name,
            _open_words(verdict.held(dead.reading)),
            _words(died[-1]) if died else "nothing",
            _found(own.lines),
            ready_s,
            tuple(wrong),
        )

    def _keep(self, moment: Moment, which: str, lines: Sequence[Line]) -> None:
        """The log of a life, where a failed row is looked into."""
        if self._logs is not None:
            name = "".join(sign if sign.isalnum() else "-" for sign in moment.name)
            encoded = msgspec.json.Encoder().encode_lines(lines)
            (self._logs / f"{self._number}-{name}-{which}.jsonl").write_bytes(encoded)

    async def _judged(self, dead: verdict.Dead, own: Life) -> list[str]:
        """The faults that are left when everything has had its time."""
        deadline = trio.current_time() + SETTLED_WITHIN_S
        while True:
            after, entries = await self._hand.look(), await self._entries()
            wrong = verdict.faults(dead, after, entries, own.lines, WHOLE)
            if own.is_over:
                wrong.append("the next life ended by itself")
            if not wrong or trio.current_time() > deadline:
                return wrong
            await trio.sleep(LOOK_AGAIN_S)

    # Up to the moment, and over it.

    async def _lead_up(self, moment: Moment) -> None:
        """Bring the bot to where the moment can come, and set the trap."""
        if moment.lead in (Lead.START, Lead.START_AFTER_CHANGES):
            await self._clear()
            await self._stop_in_order()
            if moment.lead is Lead.START_AFTER_CHANGES:
                await self._hand.open(LONG, SIZE)
            own = await self._born(moment.config)
        else:
            # The traded instrument is emptied under settings that open nothing on it.
            await self._alive(self._config if self._config not in TRADING else Config.QUIET)
            await self._clear()
            if moment.lead is Lead.CUT_AND_CLOSED:
                await self._open_and_see(LONG)
            own = await self._alive(moment.config)
        if moment.trap is not None:
            own.kill_at(moment.trap, after_s=moment.after_s)
        match moment.lead:
            case Lead.OPENED:
                await self._hand.open(LONG, SIZE)
            case Lead.OPENED_BOTH:
                await self._hand.open(LONG, SIZE)
                await self._hand.open(SHORT, SIZE)
            case Lead.CUT | Lead.CUT_AND_CLOSED:
                self._line.cut()
                if moment.lead is Lead.CUT_AND_CLOSED:
                    await self._hand.close(LONG)
                self._line.mend()
            case Lead.STOP:
                own.ask_to_stop()
            case _:
                pass

    async def _death(self, moment: Moment) -> list[Line]:
        """Wait for the death; the lines of the life that died."""
        own = self._life
        assert own is not None
        if moment.trap is None:
            await trio.sleep(moment.after_s)
            own.kill()
        within_s = MOMENT_WITHIN_S + (CANDLES_MAX * MINUTE_MS / 1000 if moment.lead is Lead.CANDLE else 0.0)
        with trio.move_on_after(within_s):
            await own.ended()
        if moment.trap is not None and own.trapped is None and own.is_over:
            raise ChildFailed(f"it ended before: {own.complaint()}")
        if not own.is_over:
            said = "; ".join(_words(line) for line in own.lines[-LAST_WORDS:])
            raise ChildFailed(f"the moment did not come; last said: {said}")
        lines = own.lines
        self._crashes += 1
        await self._bury()
        return lines

    async def _meanwhile(self, what: Meanwhile) -> None:
        if what in (Meanwhile.CLOSED, Meanwhile.BOTH):
            leg = next(leg for leg in HELD if leg.instrument.startswith("ETH"))
            await self._hand.close(leg)
        if what in (Meanwhile.OPENED, Meanwhile.BOTH):
            await self._hand.open(SHORT, SIZE)

    # Lives.

    async def _alive(self, config: Config) -> Life:
        """A READY life under these settings: the one that runs, or a new one."""
        ended = self._life is not None and self._life.is_over
        if ended or self._config is not config or self._crashes >= CRASHES_MAX:
            await self._stop_in_order()
        own = self._life or await self._born(config)
        await own.until(READY)
        return own

    async def _born(self, config: Config) -> Life:
        self._config = config
        self._life = await self._stack.enter_async_context(life(self._settings_of(config), self._room))
        return self._life

    async def _stop_in_order(self) -> None:
        """Between two rows, as an operator would; no row is about it, but it has to work."""
        if self._life is not None and not self._life.is_over:
            await self._certain()
            self._life.ask_to_stop()
            code: int | str = "nothing"
            with trio.move_on_after(STOPPED_WITHIN_S):
                code = await self._life.ended()
            if code:
                steps = [line for line in self._life.lines if line.get("event") == "stop_step"]
                said = "; ".join(
                    f"{line.get('name')} {line.get('outcome')} after {line.get('seconds')} s"
                    for line in steps
                )
                raise ChildFailed(f"the orderly stop ended with {code}: {said}")
            self._crashes = 0
        await self._bury()

    async def _certain(self) -> None:
        """A bot that stops while an order is in doubt leaves it so, and says it: no stop in order."""
        assert self._life is not None
        with trio.move_on_after(SETTLED_WITHIN_S):
            while True:
                if not _in_doubt(self._life.lines):
                    return
                await trio.sleep(LOOK_AGAIN_S)

    async def _bury(self) -> None:
        """Kill what lives, and wait for its end."""
        await self._stack.aclose()
        self._stack, self._life = AsyncExitStack(), None

    async def _clear(self) -> None:
        """The traded instrument flat, what must be held there, and a bot that lives has seen it."""
        changed = False
        for leg in (LONG, SHORT):
            if await self._hand.contracts_of(leg):
                seen = len(self._life.lines) if self._life is not None else 0
                await self._hand.close(leg)
                changed = True
                if self._life is not None and not self._life.is_over:
                    await self._life.until(moved("position", "FLAT", str(leg)), after=seen)
        for leg, contracts in HELD.items():
            if not await self._hand.contracts_of(leg):
                await self._hand.open(leg, contracts)
                changed = True
        if changed and self._life is not None:
            await self._covered()

    async def _covered(self) -> None:
        with trio.move_on_after(SETTLED_WITHIN_S):
            while True:
                reading = await self._hand.look()
                stops = verdict.stops_of(reading)
                if all(len(stops.get(leg, ())) == 1 for leg in verdict.held(reading)):
                    return
                await trio.sleep(LOOK_AGAIN_S)
        raise NotDone("a position did not get its stop")

    async def _open_and_see(self, leg: LegKey) -> None:
        await self._hand.open(leg, SIZE)
        await self._covered()

    # What is read.

    def _facts(self) -> Facts:
        """The journal of the dead, from a copy: reading it must not mend anything for the next life."""
        copy = self._room / "copy.sqlite"
        for suffix in ("", "-wal"):
            source, target = (path.with_name(path.name + suffix) for path in (self._journal, copy))
            target.unlink(missing_ok=True)
            if source.exists():
                shutil.copyfile(source, target)
        with open_journal(copy, "demo", KEYS.key) as journal:
            return journal.read()

    async def _entries(self) -> frozenset[str]:
        def is_entry(name: str) -> bool:
            parsed = ids.parse(name)
            return parsed is not None and parsed.made_for is ids.Made.ENTRY

        return await self._hand.entries_sent(self._began_ms, is_entry)

    # Settings.

    def _settings_of(self, config: Config) -> Path:
        return self._room / f"{config.value}.toml"

    def _write_settings(self, where: Endpoints) -> None:
        never = "0.09"
        for config in Config:
            own: dict[str, object] = {"min_gap_fraction": 0.0} if config in TRADING else {}
            if config is Config.TAKING:
                own = {"take_profit_fraction": 0.00001}
            text = settings_text(
                where,
                self._journal,
                SYMBOLS,
                more={
                    "strategy": {
                        "name": "ema_cross",
                        "fast": 2,
                        "slow": 3,
                        "cooldown_s": 0,
                        "cooldown_after_loss_s": 0,
                        "cooldown_opposite_s": 0,
                        "min_gap_fraction": float(never),
                    },
                    "sizing": {"max_positions": 20},
                    # The three markets swing together, which is no reason here.
                    "limits": {"total_usd": 0, "losses_in_row": 0, "correlation": 1},
                    "exits": {
                        "partial_share": float(verdict.PART) if config is Config.PARTING else 0,
                        "partial_at_fraction": 0.00001,
                    },
                    "entry": {"order_kind": "post_only" if config is Config.MAKING else "market"},
                    # No stop is hit by the market's swing, and the first mark tightens a fresh one.
                    "protection": {
                        "stop_fraction": 0.02,
                        "trail_fraction": 0.01,
                        "trail_activation_fraction": 0.0,
                        "take_profit_fraction": 0.0,
                        "max_holding_min": 0,
                    },
                    "connections": {"backoff_first_s": 1, "reconnect_delay_s": 1},
                    f'symbol."{TRADED}"': own,
                },
            )
            self._settings_of(config).write_text(text, encoding="utf-8")


def _in_doubt(lines: Sequence[Line]) -> bool:
    moves = [line for line in lines if line.get("event") == "transition" and line["machine"] == "order"]
    return "IN_DOUBT" in {line["id"]: line["dest"] for line in moves}.values()


def _port(where: Endpoints) -> int:
    return int(where.rest_url.rpartition(":")[2])


def _open_words(held: Mapping[LegKey, Decimal]) -> str:
    """``BTC +0.5 −0.3, ETH +2``: contracts of the long and of the short leg of each instrument."""
    words: dict[str, str] = {}
    for leg, contracts in held.items():
        coin, sign = leg.instrument.partition("-")[0], "+" if leg.side is Side.LONG else "−"
        words[coin] = f"{words.get(coin, coin)} {sign}{contracts.normalize():f}"
    return ", ".join(words.values())


def _words(line: Line) -> str:
    if line.get("event") == "transition":
        return f"{line['machine']} {line['id'].replace('-USDT-SWAP', '')} → {line['dest']}"
    return " ".join(
        str(line[key]) for key in ("event", "name", "leg", "moved", "order", "because") if key in line
    )


def _found(lines: Sequence[Line]) -> str:
    """What the next life said that it found, counted."""
    names = ("RESTORED", "DRIFT_ADD", "DRIFT_REMOVE", "DRIFT_SIZE", "DRIFT_STOP_ORPHAN", "IN_DOUBT")
    counts = {name: sum(1 for line in lines if line.get("event") == name) for name in names}
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)
