"""Stories of the market's data on their way to a decision: what is missing shuts its own symbol, and is read again."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from anchorwatch.io.journal import open_journal
from anchorwatch.machine import bot as bots
from anchorwatch.machine import connection, lifecycle, requests, world
from anchorwatch.machine.bot import Address, Part
from anchorwatch.machine.candles import GRACE_MS
from anchorwatch.machine.connection import Name
from anchorwatch.machine.desk import Desk
from anchorwatch.machine.desk.market import REPAIR_PAUSE_MS, remembered
from anchorwatch.machine.facts import Facts, RegimeFact
from anchorwatch.machine.parameters import Parameters, Trading
from anchorwatch.machine.regime import Regime, RegimeState
from anchorwatch.machine.timeframes import utc_text
from anchorwatch.machine.units import LegKey, PositionMode, Side
from anchorwatch.machine.world import Candle, CandleClosed, HistoryLoaded
from tests.machine.candle_data import read, recorded
from tests.machine.desk_rig import BTC, ENTRY, MINUTE_MS, RULES, START_MS, DeskRig

ETH = "ETH-USDT-SWAP"
CANDLES = (BTC, "candles 1m")


def lines(rig: DeskRig, name: str) -> list[dict[str, str]]:
    return [dict(line.fields) for line in rig.taken(requests.Announce) if line.name == name]


def push(rig: DeskRig, candle: Candle) -> None:
    rig.say(CandleClosed(BTC, "1m", candle))


def live(rig: DeskRig) -> DeskRig:
    """The clock stands at the close of the newest candle."""
    return rig.booted()


def come(rig: DeskRig, now_ms: int) -> None:
    """Time has come to this moment, and account and mark have been heard of."""
    rig.now_ms = now_ms
    rig.say(world.EquityReported(ENTRY, ENTRY, now_ms))
    rig.mark(ENTRY)


def test_an_answer_without_the_missing_candles_is_asked_for_again_and_then_the_hole_is_named() -> None:
    rig = live(DeskRig())
    missed = [rig.next_candle(Side.LONG) for _ in range(3)]
    behind = rig.next_candle(Side.LONG)
    rig.now_ms = behind.open_ms + MINUTE_MS
    push(rig, behind)
    (told,) = lines(rig, "CANDLES_MISSED")
    assert (told["first"], told["count"]) == (utc_text(missed[0].open_ms), "3")
    asked = requests.LoadHistory(BTC, "1m", missed[0].open_ms, behind.open_ms)
    for _ in range(2):
        assert rig.taken(requests.LoadHistory) == [asked]
        rig.say(HistoryLoaded(BTC, "1m", ()))
        rig.say(world.ClockTicked())
        assert rig.taken(requests.LoadHistory) == []
        rig.now_ms += REPAIR_PAUSE_MS
        rig.say(world.ClockTicked())
    rig.say(HistoryLoaded(BTC, "1m", ()))
    (hole,) = lines(rig, "CANDLES_HOLE")
    assert (hole["first"], hole["until"]) == (utc_text(missed[0].open_ms), utc_text(behind.open_ms))
    # What lies behind the hole is one candle, and ninety-four are needed.
    assert {CANDLES, (BTC, "EMA 1m")} <= set(rig.bot.missing)
    assert rig.desk.context.charts[BTC].missing["candles 1m"] == "1 of 94"


def test_a_correction_of_a_known_candle_shuts_entries_until_its_neighbours_are_read() -> None:
    rig = live(DeskRig())
    last = rig.next_candle(Side.SHORT)
    come(rig, last.open_ms + MINUTE_MS)
    push(rig, last)
    corrected = msgspec.structs.replace(last, volume=7.0)
    push(rig, corrected)
    assert lines(rig, "CANDLE_CORRECTED")[0]["opened"] == utc_text(last.open_ms)
    assert CANDLES in rig.bot.missing
    asked = rig.only(requests.LoadHistory)
    assert (asked.from_ms, asked.to_ms) == (last.open_ms, last.open_ms + MINUTE_MS)
    rig.say(HistoryLoaded(BTC, "1m", (corrected,)))
    assert not rig.bot.missing


def test_a_quiet_minute_is_read_again_once_and_shuts_nothing() -> None:
    rig = live(DeskRig())
    quiet = [msgspec.structs.replace(rig.next_candle(Side.SHORT), volume=0.0) for _ in range(3)]
    for one in quiet:
        come(rig, one.open_ms + MINUTE_MS)
        push(rig, one)
        assert not rig.bot.missing
    assert rig.only(requests.LoadHistory).from_ms == quiet[0].open_ms


def test_candles_that_stop_coming_take_the_fact_away_and_rest_brings_it_back() -> None:
    rig = live(DeskRig())
    newest = rig.desk.context.charts[BTC].market.buffer()[-1]
    come(rig, newest.open_ms + 2 * MINUTE_MS + GRACE_MS - 1)
    rig.say(world.ClockTicked())
    assert not rig.bot.missing
    rig.now_ms += 1
    rig.say(world.ClockTicked())
    assert CANDLES in rig.bot.missing
    asked = rig.only(requests.LoadHistory)
    missed = rig.next_candle(Side.SHORT)
    assert (asked.from_ms, asked.to_ms) == (missed.open_ms, missed.open_ms + MINUTE_MS)
    rig.say(HistoryLoaded(BTC, "1m", (missed,)))
    assert not rig.bot.missing


@pytest.mark.parametrize("late_ms", [GRACE_MS, GRACE_MS + 1])
def test_no_decision_is_made_on_a_candle_whose_moment_has_passed(late_ms: int) -> None:
    rig = live(DeskRig())
    crossing = rig.next_candle(Side.LONG)
    come(rig, crossing.open_ms + MINUTE_MS + late_ms)
    push(rig, crossing)
    assert len(rig.taken(requests.PlaceOrder)) == (late_ms <= GRACE_MS)


def test_what_rest_brings_is_computed_and_never_acted_on() -> None:
    rig = live(DeskRig())
    crossing = rig.next_candle(Side.LONG)
    rig.now_ms = crossing.open_ms + MINUTE_MS
    rig.say(HistoryLoaded(BTC, "1m", (crossing,)))
    assert rig.taken(requests.PlaceOrder) == []
    assert rig.desk.context.charts[BTC].market.buffer()[-1] == crossing


def test_after_a_reconnect_the_gap_is_read_before_the_candles_count_as_fresh() -> None:
    rig = live(DeskRig())
    business = Address(Part.CONNECTION, link=Name.BUSINESS)
    epoch = rig.bot.link(Name.BUSINESS).data.epoch
    rig.tell(business, connection.SocketLost(epoch, "reset"))
    rig.pass_s(5)
    rig.now_ms = rig.desk.context.charts[BTC].market.buffer()[-1].open_ms + 2 * MINUTE_MS  # one has closed
    rig.mark(ENTRY)
    while rig.answer_start():
        pass
    assert connection.delivers(rig.bot.link(Name.BUSINESS))
    assert CANDLES in rig.bot.missing  # within the grace of ten seconds, and all the same
    missed = rig.next_candle(Side.SHORT)
    assert rig.only(requests.LoadHistory).from_ms == missed.open_ms
    rig.say(HistoryLoaded(BTC, "1m", (missed,)))
    assert not rig.bot.missing


def test_a_lost_public_connection_takes_its_quotes_along() -> None:
    rig = live(DeskRig())
    public = Address(Part.CONNECTION, link=Name.PUBLIC)
    rig.tell(public, connection.SocketLost(rig.bot.link(Name.PUBLIC).data.epoch, "reset"))
    assert (BTC, "quote") in rig.bot.missing


def test_a_clock_that_lags_behind_what_is_said_shuts_everything_until_it_agrees() -> None:
    rig = live(DeskRig())
    rig.say(world.MarkMoved(BTC, ENTRY, rig.now_ms + 5_001))
    assert rig.bot.missing == (("", "clock"),)
    assert "clock" in bots.standing_obstacles(rig.bot, BTC)
    rig.mark(ENTRY)
    assert not rig.bot.missing


def test_an_equity_that_nobody_confirms_any_more_is_a_fact_lost() -> None:
    rig = live(DeskRig())
    rig.now_ms += 61_000
    rig.say(world.ClockTicked())
    assert ("", "balance") in rig.bot.missing


# One symbol and the others.


def two_symbols() -> Desk:
    """A desk of two symbols in SYNC: everything is known of BTC, nothing of ETH's candles."""
    parameters = Parameters(((BTC, Trading()), (ETH, Trading())))
    limits = {name: connection.Limits() for name in Name}
    return Desk(parameters, bots.unborn(lifecycle.Limits(), limits, PositionMode.HEDGE), "rig00001")


def test_a_symbol_that_is_not_ready_keeps_neither_ready_nor_the_other_symbol_waiting() -> None:
    rig = DeskRig()
    rig.desk = two_symbols()
    rules = (RULES, msgspec.structs.replace(RULES, name=ETH))
    ready = msgspec.structs.replace(rig.venue_ready(), instruments=rules)
    rig.say(ready, rig.history())
    rig.boot()
    rig.say(world.MarkMoved(ETH, ENTRY, START_MS), world.QuoteMoved(ETH, ENTRY, ENTRY, START_MS))
    rig.say(ready)
    assert rig.bot.lifecycle.state is lifecycle.S.READY
    assert rig.bot.missing == ((ETH, "EMA 1m"), (ETH, "candles 1m"))
    assert bots.entry_obstacles(rig.bot, LegKey(BTC, Side.LONG)) == ()
    assert bots.entry_obstacles(rig.bot, LegKey(ETH, Side.LONG)) == (f"{ETH} EMA 1m", f"{ETH} candles 1m")
    assert rig.enter().leg == LegKey(BTC, Side.LONG)


# Files and restarts.


@pytest.mark.data
@pytest.mark.parametrize("path", recorded("okx_swap_*_2025_12_17*"))
def test_every_hole_of_a_recorded_file_is_named_by_its_minute_and_nothing_is_entered_over_it(
    path: Path,
) -> None:
    """Eleven minutes are missing, each 101 after the one before: the mark of pages asked for one bar too far."""
    candles = read(path)
    missing = [
        open_ms
        for before, after in itertools.pairwise(candles)
        for open_ms in range(before.open_ms + MINUTE_MS, after.open_ms, MINUTE_MS)
    ]
    assert len(missing) == 11
    assert {after - before for before, after in itertools.pairwise(missing)} == {101 * MINUTE_MS}
    rig = DeskRig()
    rig.say(rig.venue_ready())
    named, entered = [], 0
    for candle in candles:
        rig.now_ms = candle.open_ms + MINUTE_MS
        push(rig, candle)
        for _ in rig.taken(requests.LoadHistory):
            rig.say(HistoryLoaded(BTC, "1m", ()))
        named += [line["first"] for line in lines(rig, "CANDLES_HOLE")]
        if candle.open_ms - MINUTE_MS in missing:
            assert CANDLES in rig.bot.missing
        entered += len(rig.taken(requests.PlaceOrder))
    assert named == [utc_text(open_ms) for open_ms in missing]
    assert entered == 0


def test_the_regime_is_recorded_and_given_back_to_the_next_life() -> None:
    state = RegimeState(Regime.TRENDING, START_MS - 7_200_000, START_MS - 300_000, Regime.RANGING, 2)
    fact = RegimeFact(BTC, "trending", state.since_ms, state.judged_ms, "ranging", 2)
    with open_journal(None, "sim", "key") as journal:
        journal.record([fact])
        assert remembered(journal.read()) == {BTC: state}
    assert remembered(Facts(regimes=(msgspec.structs.replace(fact, regime="sideways"),))) == {}
