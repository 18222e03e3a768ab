"""What the stages INIT, CLIENT and CANDLES do in the world.

Each returns how it ended: done, failed (another try may succeed) or refused (time will
not mend it), with the reason in words that name what to change.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import msgspec
import trio

from anchorwatch.io.okx import translate
from anchorwatch.io.okx.environments import Environment
from anchorwatch.io.okx.errors import Remedy
from anchorwatch.io.okx.outcomes import Answered, Failed, Refused, Unknown
from anchorwatch.io.okx.rest import OkxRest
from anchorwatch.io.okx.wire_account import Position
from anchorwatch.io.okx.wire_fields import WireError
from anchorwatch.io.settings import Settings
from anchorwatch.machine import world
from anchorwatch.machine.kernel import Event
from anchorwatch.machine.lifecycle import Outcome
from anchorwatch.machine.timeframes import span_ms
from anchorwatch.machine.units import Conduct, Instrument, MarginMode, PositionMode

CLOCK_SKEW_MAX_MS = 10_000
"""OKX v5 refuses what is signed 30 s off. A host that is a third of that wrong is asked to mend its clock."""

DERIVATIVES_LEVELS = ("2", "3")
"""OKX v5 account levels that trade swaps with one cross margin: futures and multi-currency."""

LEVERAGE_IN_USE_CODES = ("59101", "59107", "59108", "59112")
"""OKX v5 does not change a leverage under pending orders, or where the margin of what is open would not suffice."""

MODE_NAMES = {PositionMode.NET: "net_mode", PositionMode.HEDGE: "long_short_mode"}

R = TypeVar("R")


class End(msgspec.Struct, frozen=True):
    """How a stage ended; with the reason, or with what a person should know of it all the same."""

    outcome: Outcome
    reason: str = ""


DONE = End(Outcome.DONE)


class StageFault(Exception):
    """Carries a stage's end out of its middle."""

    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.end = end


def init(settings: Settings) -> End:
    """R1.1: every critical module is there and configured; what is not is named."""
    kind = settings.venue.kind
    if kind in (Environment.DEMO, Environment.LIVE) and settings.keys is None:
        return _refused(f"venue.kind {kind.value} needs an API key, secret and passphrase in the environment")
    if settings.account.exclusive is None:
        return _refused("account.exclusive is not said: true or false")
    if not settings.symbols:
        return _refused("symbols is empty: there is nothing to trade")
    return DONE


async def client(settings: Settings, rest: OkxRest, deliver: Callable[[Event], None]) -> End:
    """R1.2: clock, credentials and permissions, position mode, rules, leverage, balance."""
    try:
        await _check_clock(rest)
        await _check_account(settings, rest)
        rules = await _rules(settings, rest)
        notes = []
        if settings.account.mode is Conduct.TRADE:
            notes = [await _set_leverage(settings, rest, name) for name in settings.symbols]
        equity = await _equity(settings, rest)
    except StageFault as fault:
        return fault.end
    deliver(
        world.VenueReady(
            instruments=rules,
            mode=settings.account.position_mode,
            margin=settings.account.margin_mode,
            equity=equity.equity,
            available=equity.available,
            at_ms=rest.venue_now_ms(),
        )
    )
    return End(Outcome.DONE, "; ".join(note for note in notes if note))


async def _check_clock(rest: OkxRest) -> None:
    _rows_of(await rest.server_time(), "the venue's time")
    skew_ms = abs(rest.clock.offset_ms)
    if skew_ms > CLOCK_SKEW_MAX_MS:
        raise StageFault(
            _failed(f"this host's clock is {skew_ms / 1000:.1f} s off the venue's; synchronise it")
        )


async def _check_account(settings: Settings, rest: OkxRest) -> None:
    account = _rows_of(await rest.account_config(), "the account's settings")[0]
    watches = settings.account.mode is Conduct.WATCH
    if not watches and "trade" not in account.permissions:
        raise StageFault(_refused(f"the API key may not trade: its permissions are {account.perm or 'none'}"))
    if account.acct_lv not in DERIVATIVES_LEVELS:
        raise StageFault(
            _refused(f"account level {account.acct_lv} cannot trade swaps; change it on the venue's site")
        )
    wanted = MODE_NAMES[settings.account.position_mode]
    if account.pos_mode == wanted:
        return
    if watches:
        raise StageFault(
            _refused(
                f"account.position_mode is {settings.account.position_mode.value}, the account's is "
                f"{account.pos_mode}, and a bot that watches changes nothing: change the setting"
            )
        )
    outcome = await rest.set_position_mode(wanted)
    if isinstance(outcome, Refused):
        raise StageFault(
            _refused(
                f"account.position_mode is {settings.account.position_mode.value}, the account's is "
                f"{account.pos_mode}, and the venue does not change it now: {outcome.code} {outcome.message}"
            )
        )
    if isinstance(outcome, Unknown):
        raise StageFault(_failed(f"setting the position mode: {outcome.reason}"))


async def _rules(settings: Settings, rest: OkxRest) -> tuple[Instrument, ...]:
    rows = {row.inst_id: row for row in _rows_of(await rest.instruments(), "the instruments")}
    rules = []
    for name in settings.symbols:
        if name not in rows:
            raise StageFault(_refused(f"symbols: the venue lists no swap {name}"))
        try:
            instrument = translate.instrument(rows[name])
        except WireError as error:
            raise StageFault(_failed(str(error))) from None
        if settings.of(name).leverage > instrument.max_leverage:
            raise StageFault(
                _refused(
                    f"leverage {settings.of(name).leverage} of {name}: at most {instrument.max_leverage}"
                )
            )
        rules.append(instrument)
    return tuple(rules)


async def _set_leverage(settings: Settings, rest: OkxRest, name: str) -> str:
    """Set only on a difference: the call re-margins what is open. Says what was left as it is, if anything.

    No decision is made from the leverage, so a position that waits for its stop does not wait for it.
    """
    margin, wanted = settings.account.margin_mode, Decimal(settings.of(name).leverage)
    rows = _rows_of(await rest.leverage(name, mgn_mode=margin.value), f"the leverage of {name}")
    per_side = margin is MarginMode.ISOLATED and settings.account.position_mode is PositionMode.HEDGE
    for pos_side in ("long", "short") if per_side else ("",):
        held = [row.lever for row in rows if pos_side in ("", row.pos_side)]
        if held and all(lever == wanted for lever in held):
            continue
        if settings.account.exclusive is not True and await _is_in_use(rest, name):
            return f"the leverage of {name} is not set to {wanted}: what is open there may be somebody else's"
        outcome = await rest.set_leverage(name, wanted, mgn_mode=margin.value, pos_side=pos_side)
        if isinstance(outcome, Refused) and outcome.code in LEVERAGE_IN_USE_CODES:
            return f"the leverage of {name} is not set to {wanted}: {outcome.code} {outcome.message}"
        if not isinstance(outcome, Answered):
            code = outcome.code if isinstance(outcome, Refused) else ""
            words = outcome.message if isinstance(outcome, Refused) else outcome.reason
            raise StageFault(_failed(f"setting the leverage of {name} to {wanted}: {code} {words}".strip()))
    return ""


async def _is_in_use(rest: OkxRest, name: str) -> bool:
    """Whether anything is open or pending on this instrument, whoever made it."""
    positions = _rows_of(await rest.positions(inst_id=name), f"the positions of {name}")
    orders = _rows_of(await rest.orders_pending(inst_id=name), f"the orders of {name}")
    return bool(orders) or any(report.contracts for row in positions for report in _reports(row))


def _reports(row: Position) -> tuple[world.PositionReport, ...]:
    try:
        return tuple(translate.position_reports(row))
    except WireError as error:
        raise StageFault(_failed(str(error))) from None


async def _equity(settings: Settings, rest: OkxRest) -> world.EquityReported:
    balance = _rows_of(await rest.balance(translate.SETTLE), "the balance")
    report = translate.equity_report(balance[0]) if balance else None
    equity = report or world.EquityReported(Decimal(0), Decimal(0), 0)
    least = settings.account.min_balance_usd
    if equity.equity < least:
        raise StageFault(
            _refused(f"the equity is {equity.equity} USDT, account.min_balance_usd asks for {least}")
        )
    return equity


async def candles(settings: Settings, rest: OkxRest, deliver: Callable[[Event], None]) -> End:
    """R1.7, R8.1: the history of every symbol and timeframe, all at once under the rate limit."""
    ends: list[End] = []

    async def load(name: str, timeframe: str, count: int) -> None:
        ends.append(await _load(rest, deliver, name, timeframe, count))

    async with trio.open_nursery() as nursery:
        for name in settings.symbols:
            for timeframe, count in settings.candles:
                nursery.start_soon(load, name, timeframe, count)
    return next((end for end in ends if end.outcome is not Outcome.DONE), DONE)


async def _load(
    rest: OkxRest, deliver: Callable[[Event], None], name: str, timeframe: str, count: int
) -> End:
    end_ms = rest.venue_now_ms()
    start_ms = end_ms - (count + 1) * span_ms(timeframe)
    loaded = await history(rest, name, timeframe, start_ms=start_ms, end_ms=end_ms)
    if isinstance(loaded, End):
        return loaded
    deliver(msgspec.structs.replace(loaded, candles=loaded.candles[-count:]))
    return DONE


async def history(
    rest: OkxRest, name: str, timeframe: str, *, start_ms: int, end_ms: int
) -> world.HistoryLoaded | End:
    """The closed candles that open in [start, end), or why they did not come."""
    outcome = await rest.candles(name, timeframe, start_ms=start_ms, end_ms=end_ms)
    if not isinstance(outcome, Answered):
        return _of_outcome(outcome, f"candles {timeframe} of {name}")
    return world.HistoryLoaded(name, timeframe, tuple(translate.candle(row) for row in outcome.rows))


def _rows_of(outcome: Answered[R] | Refused | Failed, what: str) -> tuple[R, ...]:
    if isinstance(outcome, Answered):
        return outcome.rows
    raise StageFault(_of_outcome(outcome, what))


def _of_outcome(outcome: Refused | Failed, what: str) -> End:
    if isinstance(outcome, Failed):
        return _failed(f"{what}: {outcome.reason}")
    words = f"{what}: {outcome.code} {outcome.message}"
    if outcome.remedy is not Remedy.STOP:
        return _failed(words)
    return _refused(f"{words}; what to do: {outcome.action}")


def _failed(reason: str) -> End:
    return End(Outcome.FAILED, reason)


def _refused(reason: str) -> End:
    return End(Outcome.REFUSED, reason)
