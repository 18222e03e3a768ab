"""``anchorwatch demo restart``: the bot is killed with positions open, started again, and compared with before.

Two programs run on this host, an exchange and the bot, and nothing else: no account, no key, no money. What is shown
is read from the exchange by a third client, and from the bot's own log.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
import trio

from anchorwatch.io.demo.by_hand import ByHand, NotDone, by_hand
from anchorwatch.io.demo.processes import ChildFailed, Life, Line, exchange, life, settings_text
from anchorwatch.io.demo.showing import Show
from anchorwatch.io.seams import interrupts
from anchorwatch.machine import ids
from anchorwatch.machine.units import LegKey, Side, closing_deal
from anchorwatch.machine.world import AccountReading, StopReport

BTC, ETH = "BTC-USDT-SWAP", "ETH-USDT-SWAP"

OPENED = {
    LegKey(BTC, Side.LONG): Decimal("0.5"),
    LegKey(BTC, Side.SHORT): Decimal("0.2"),
    LegKey(ETH, Side.SHORT): Decimal("3"),
}
"""Both sides of one instrument, so that hedge mode is seen, and another instrument."""

CLOSED_MEANWHILE = LegKey(BTC, Side.SHORT)
OPENED_MEANWHILE = LegKey(ETH, Side.LONG)
CONTRACTS_MEANWHILE = Decimal(2)

SETTINGS: Mapping[str, Mapping[str, object]] = {
    # Nothing but the restart is to happen: no signal is strong enough, and no profit or age closes anything.
    "strategy": {"name": "ema_cross", "min_gap_fraction": 0.09},
    # From the first price on the stop follows, so that what is compared is a stop that has moved.
    "protection": {
        "take_profit_fraction": 0.0,
        "max_holding_min": 0,
        "stop_fraction": 0.02,
        "trail_fraction": 0.01,
        "trail_activation_fraction": 0.0,
    },
}

COVERED_WITHIN_S = 10.0
"""A stop is there within milliseconds; a busy machine takes longer."""

WATCHED_S = 10.0
"""How long the bot may watch before it is killed. A price comes every five seconds, and the stops follow it."""

SETTLED_S = 1.5
"""Two stops that move at the same price move within a second of each other."""

LOOK_AGAIN_S = 0.1

DRIFTS = ("DRIFT_ADD", "DRIFT_REMOVE", "DRIFT_ADD_TSL_CREATED", "RESTORED", "EXIT", "AFTER_CRASH")

INTERRUPTED = 130


class Protected(msgspec.Struct, frozen=True):
    """One position as the exchange holds it, with the live stop that covers it, if one does."""

    leg: LegKey
    contracts: Decimal
    opened_ms: int
    stop: StopReport | None


def protected(reading: AccountReading) -> dict[LegKey, Protected]:
    """The open positions of a reading, each with its stop."""
    found = {}
    for row in reading.positions:
        if row.contracts:
            stops = [stop for stop in reading.stops if _covers(stop, row.leg, row.contracts)]
            found[row.leg] = Protected(row.leg, row.contracts, row.created_ms, stops[0] if stops else None)
    return found


def _covers(stop: StopReport, leg: LegKey, contracts: Decimal) -> bool:
    return (
        ids.parse(stop.client_id) is not None
        and stop.instrument == leg.instrument
        and stop.deal is closing_deal(leg.side)
        and stop.side in (leg.side, None)
        and (stop.contracts is None or stop.contracts >= contracts)
    )


async def restart_demo(show: Show, now_ms: Callable[[], int]) -> int:
    """Tell the whole story on ``show``; the exit code. A signal ends it, and everything that was started."""
    code = INTERRUPTED
    with tempfile.TemporaryDirectory(prefix="anchorwatch-demo-") as room:
        async with interrupts() as arriving, trio.open_nursery() as nursery:

            async def until_a_signal() -> None:
                async for _ in arriving:
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(until_a_signal)
            code = await _told(show, Path(room), now_ms)
            nursery.cancel_scope.cancel()
    if code == INTERRUPTED:
        show.say("Interrupted. Both programs are stopped and their files are removed.")
    return code


async def _told(show: Show, room: Path, now_ms: Callable[[], int]) -> int:
    code = 1
    try:
        code = await _story(show, room, now_ms)
    except* (ChildFailed, NotDone) as group:
        show.say(f"This did not work: {_first(group)}")
    return code


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def _story(show: Show, room: Path, now_ms: Callable[[], int]) -> int:
    show.title("What happens to open positions when the bot is killed")
    show.say(
        "An exchange is started on this computer. It is a program of its own and stays alive throughout."
    )
    async with exchange(room) as where, by_hand(where, now_ms) as hand:
        settings = room / "bot.toml"
        journal = room / "journal.sqlite"
        settings.write_text(settings_text(where, journal, (BTC, ETH), more=SETTINGS), encoding="utf-8")
        for leg, contracts in OPENED.items():
            await hand.open(leg, contracts)
        show.say(
            f"{len(OPENED)} positions are opened by hand. They have no stop yet: a fall would run its course."
        )
        async with life(settings, room) as first:
            await _ready(first)
            before = await _covered(hand)
            show.say(
                f"The bot is started. It finds them, and gives each a stop: READY, process {first.number}."
            )
            with trio.move_on_after(WATCHED_S):
                await first.until(_is_move)
                await trio.sleep(SETTLED_S)
            before = await _covered(hand)
            first.kill()
            await first.ended()
        show.say(f"kill -9 {first.number}. The bot is dead: nothing was tidied up, nothing was said.")
        await hand.close(CLOSED_MEANWHILE)
        await hand.open(OPENED_MEANWHILE, CONTRACTS_MEANWHILE)
        show.say(f"While it is dead, {CLOSED_MEANWHILE} is closed by hand and {OPENED_MEANWHILE} is opened.")
        async with life(settings, room) as second:
            began_s = trio.current_time()
            await _ready(second)
            took_s = trio.current_time() - began_s
            after = await _covered(hand)
            show.say(f"The bot is started again: READY after {took_s:.1f} s, process {second.number}.")
            await second.until(_is_exit_of(CLOSED_MEANWHILE), COVERED_WITHIN_S)
            second.ask_to_stop()
            ended = await second.ended()
        resting = await hand.look()
        show.compared(before, after)
        show.drifts(_report(second))
        show.say(
            "A stop is an order that rests on the exchange and closes its position there, whether the bot lives or "
            "not. So its death left nothing bare that it knew, and what was opened meanwhile got a stop at once."
        )
        kept = [leg for leg in before if leg in after]
        show.say(
            f"Kept: {len(kept)} positions, with entry time, stop and peak. Noticed: {CLOSED_MEANWHILE} was closed by "
            f"hand, {OPENED_MEANWHILE} was opened."
        )
        held = _agrees(before, after, protected(resting))
        show.say(
            f"The bot was stopped in order (exit code {ended}); the stops go on resting."
            if held and ended == 0
            else "Something is not as it should be: see the tables above."
        )
        return 0 if held and ended == 0 else 1


async def _ready(own: Life) -> None:
    await own.until(
        lambda line: (
            line.get("event") == "transition" and line["machine"] == "lifecycle" and line["dest"] == "READY"
        )
    )


async def _covered(hand: ByHand) -> dict[LegKey, Protected]:
    """What is open, once every position has its stop. Raises `NotDone`."""
    with trio.move_on_after(COVERED_WITHIN_S):
        while True:
            found = protected(await hand.look())
            if found and all(one.stop is not None for one in found.values()):
                return found
            await trio.sleep(LOOK_AGAIN_S)
    raise NotDone("a position did not get its stop in time")


def _is_move(line: Line) -> bool:
    return line.get("event") == "transition" and line["dest"] == "MOVING"


def _is_exit_of(leg: LegKey) -> Callable[[Line], bool]:
    return lambda line: line.get("event") == "EXIT" and line.get("leg") == str(leg)


def _report(own: Life) -> list[Line]:
    return own.said(*DRIFTS)


def _agrees(
    before: Mapping[LegKey, Protected], after: Mapping[LegKey, Protected], resting: Mapping[LegKey, Protected]
) -> bool:
    """The same positions but for what was done by hand, no stop looser, and all of them still resting."""
    kept = {leg: one for leg, one in before.items() if leg != CLOSED_MEANWHILE}
    same = set(after) == {*kept, OPENED_MEANWHILE} == set(resting)
    return same and all(
        after[leg].opened_ms == one.opened_ms
        and _is_not_looser(leg.side, after[leg], one)
        and resting[leg].stop is not None
        for leg, one in kept.items()
    )


def _is_not_looser(side: Side, now: Protected, then: Protected) -> bool:
    level, earlier = trigger_of(now), trigger_of(then)
    return level is not None and earlier is not None and side.sign * (level - earlier) >= 0


def trigger_of(one: Protected | None) -> Decimal | None:
    return one.stop.trigger if one is not None and one.stop is not None else None
