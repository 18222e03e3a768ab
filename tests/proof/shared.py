"""A day on an account that is not the bot's alone: a person's position, another bot's stop, and a hand that meddles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from random import Random

import msgspec
import trio

from anchorwatch.io.journal import open_journal
from anchorwatch.io.settings import Settings
from anchorwatch.io.venue.feeds import Feed
from anchorwatch.io.venue.instruments import instrument_for
from anchorwatch.io.venue.orders import AlgoOrder
from anchorwatch.io.venue.synthetic import SyntheticFeed
from anchorwatch.machine import ids
from anchorwatch.machine.ids import Made
from anchorwatch.machine.units import LegKey, closing_deal
from tests import staged
from tests.io.engine_rig import settings
from tests.mission.rig import BTC_LONG, BTC_SHORT, ETH_LONG
from tests.proof.stage import HOUR_S, Day, DayLife, day
from tests.venue.rig import BTC, ETH, HEDGED

OTHERS_STOP = "another1bots2stop"
PERSONS_ORDER = "persons1order"
PERSONS_STOP = "persons1tighter2stop"

COOLDOWN_S = 300
HEARD_MS = 10_000
"""Within this time the bot knows of a close by hand, a lost stream included: it reads every three seconds then."""

LIFE_S = (600, 5_400)
MEDDLES_EVERY_S = (300, 1_500)
LOOKS_EVERY_S = 10
STOP_STAYS_S = 240


class SharedDay(msgspec.Struct):
    """What was done to the account, and what should not have happened."""

    looks: int = 0
    closed_by_hand: int = 0
    tightened_by_hand: int = 0
    lives: int = 0
    crashes: int = 0
    entries: int = 0
    amiss: list[str] = []
    names: dict[str, int] = {}


def invented(seed: int) -> dict[str, Feed]:
    feeds: dict[str, Feed] = {}
    for inst_id in (BTC, ETH):
        instrument = instrument_for(inst_id)
        assert instrument is not None
        feeds[inst_id] = SyntheticFeed(instrument, seed)
    return feeds


def sharing() -> Settings:
    return settings(
        symbols=[BTC, ETH],
        account__exclusive=False,
        limits__losses_in_row=0,
        limits__total_usd=0,
        strategy__fast=2,
        strategy__slow=5,
        strategy__cooldown_s=COOLDOWN_S,
        entry__order_kind="ioc",
    )


async def shared_day(hours: float, seed: int) -> SharedDay:
    told, random = SharedDay(), Random(seed)
    names: Counter[str] = Counter()
    async with day(HEDGED, invented(seed), seed=seed) as scene:
        _settle_in(scene)
        until_s = trio.current_time() + hours * HOUR_S
        with open_journal(None, "sim", "sim-key") as journal:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_look, scene, told, _of_others(scene))
                nursery.start_soon(_meddle, scene, told, random)
                nursery.start_soon(_lose_streams, scene, random)
                while (left_s := until_s - trio.current_time()) > 1:
                    async with scene.life(sharing(), journal=journal) as life:
                        assert isinstance(life, DayLife)
                        await trio.sleep(min(random.uniform(*LIFE_S), left_s))
                        if random.random() < 0.5:
                            told.crashes += 1
                            await life.crash()
                    names.update(life.log.names)
                    staged.lives.clear()
                nursery.cancel_scope.cancel()
        told.lives, told.entries = scene.lives, len(scene.orders(Made.ENTRY))
        if any(one.inst_id == ETH for one in scene.orders() if ids.parse(one.client_id) is not None):
            told.amiss.append(f"an order of the bot on {ETH}, where a person is")
    told.names = dict(names)
    return told


def _settle_in(scene: Day) -> None:
    """A person is long, another bot protects that, and an order of the person rests far away."""
    scene.rig.venue.advance()
    scene.trade(ETH_LONG, "3")
    px = scene.rig.venue.market.mark(ETH)
    low, lower = (_tick(px * share) for share in (Decimal("0.5"), Decimal("0.4")))
    asked = {"instId": ETH, "posSide": "long"}
    answers = (
        scene.rig.algo("sell", sz="3", slTriggerPx=str(low), slOrdPx="-1", algoClOrdId=OTHERS_STOP, **asked),
        scene.rig.order("buy", "1", str(lower), clOrdId=PERSONS_ORDER, **asked),
    )
    assert all(answer["sCode"] == "0" for answer in answers), answers


def _tick(px: Decimal) -> Decimal:
    return px.quantize(Decimal("0.1"))


def _of_others(scene: Day) -> object:
    """Everything on the account that is not the bot's."""
    account = scene.rig.venue.accounts["main"]
    return (
        [
            (one.contracts, one.avg_px, one.created_ms)
            for one in scene.rig.venue.positions()
            if one.inst_id == ETH
        ],
        [
            (one.algo_id, one.sl_trigger_px, one.contracts)
            for one in scene.stops()
            if one.client_id == OTHERS_STOP
        ],
        [(one.px, one.contracts) for one in account.pending.values() if one.client_id == PERSONS_ORDER],
    )


async def _look(scene: Day, told: SharedDay, before: object) -> None:
    while True:
        await trio.sleep(LOOKS_EVERY_S)
        told.looks += 1
        now = _of_others(scene)
        if now != before:
            told.amiss.append(f"what is others' has changed: {before} → {now}")
            return


async def _lose_streams(scene: Day, random: Random) -> None:
    while True:
        await trio.sleep(random.uniform(600, 2_400))
        for session in scene.rig.venue.connections.all():
            if random.random() < 0.5:
                session.close(1006, "")


async def _meddle(scene: Day, told: SharedDay, random: Random) -> None:
    meddlings: tuple[Callable[[Day, SharedDay, LegKey], object], ...] = (_close, _tighten)
    for number in range(10_000):
        await trio.sleep(random.uniform(*MEDDLES_EVERY_S))
        leg = await _an_open_leg(scene)
        if meddlings[number % 2] is _close:
            await _close(scene, told, leg)
        else:
            await _tighten(scene, told, leg)


async def _an_open_leg(scene: Day) -> LegKey:
    """A leg of the bot's that is open and covered, however long that takes."""
    while True:
        for leg in (BTC_LONG, BTC_SHORT):
            if scene.held_of(leg) and scene.stops_of(leg):
                return leg
        await trio.sleep(1)


async def _close(scene: Day, told: SharedDay, leg: LegKey) -> None:
    """The person closes it by hand. Nothing is entered again before the cool-down is over."""
    scene.trade(leg, str(scene.held_of(leg)), closes=True)
    told.closed_by_hand += 1
    closed_ms = scene.seams.wall_ms()
    await trio.sleep(COOLDOWN_S - 5)
    again = [
        one
        for one in scene.orders(Made.ENTRY)
        if closed_ms + HEARD_MS < one.created_ms < closed_ms + COOLDOWN_S * 1_000
    ]
    if again:
        late_s = (again[0].created_ms - closed_ms) / 1_000
        told.amiss.append(f"entered again {late_s:.0f} s after {leg} was closed by hand")


async def _tighten(scene: Day, told: SharedDay, leg: LegKey) -> None:
    """The person puts a tighter stop beside the bot's. It stays what it is, and the bot's is never looser."""
    ours = _loosest(scene, leg)
    if ours is None or ours.sl_trigger_px is None:
        return
    level = _tick((scene.mark + ours.sl_trigger_px) / 2)
    held = scene.held_of(leg)
    answer = scene.rig.algo(
        closing_deal(leg.side).value,
        posSide=leg.side.value,
        sz=str(held),
        slTriggerPx=str(level),
        slTriggerPxType="mark",
        slOrdPx="-1",
        algoClOrdId=PERSONS_STOP,
    )
    if answer["sCode"] != "0":
        return  # mark has passed the level meanwhile
    scene.rig.venue.settle()
    told.tightened_by_hand += 1
    opened_ms = _created_ms(scene, leg)
    for _ in range(STOP_STAYS_S):
        await trio.sleep(1)
        if _created_ms(scene, leg) != opened_ms:
            break
        persons = [one for one in scene.stops_of(leg) if one.client_id == PERSONS_STOP]
        if [one.sl_trigger_px for one in persons] != [level]:
            told.amiss.append(f"the person's stop of {leg} at {level} became {persons}")
            break
    for one in scene.stops():
        if one.client_id == PERSONS_STOP:
            scene.cancel_stop(one)


def _loosest(scene: Day, leg: LegKey) -> AlgoOrder | None:
    ours = [one for one in scene.stops_of(leg) if ids.parse(one.client_id) is not None]
    return ours[0] if ours else None


def _created_ms(scene: Day, leg: LegKey) -> int:
    for one in scene.rig.venue.positions():
        if one.inst_id == leg.instrument and one.pos_side == leg.side.value:
            return one.created_ms
    return 0
