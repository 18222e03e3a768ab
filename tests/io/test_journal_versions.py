"""Journals of every version since the first: each is kept here with open positions, and this version opens it."""

from __future__ import annotations

import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import SCHEMA_VERSION, JournalError, open_journal, remembered
from anchorwatch.machine import position
from anchorwatch.machine.facts import EmergencyFact, Facts
from anchorwatch.machine.units import LegKey, Side
from tests.mission.rig import BTC_LONG, ETH_SHORT, exchange, still
from tests.venue.rig import BTC, ETH

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = range(1, SCHEMA_VERSION + 1)
AT_MS = 1_767_319_200_000


def golden(version: int, into: Path) -> Path:
    """A copy of the journal that this version left, with what it held."""
    path = into / "journal.sqlite"
    shutil.copy(GOLDEN / f"journal_{version}.sqlite", path)
    return path


def check(facts: Facts, version: int) -> None:
    long, short = facts.legs
    assert (long.leg, short.leg) == (BTC_LONG, ETH_SHORT)
    assert long.opened is not None
    assert (long.opened.entered_at_ms, long.opened.entry_px) == (AT_MS - 199_950, Decimal("60000.1"))
    assert long.opened.contracts == Decimal("0.25" if version == 1 else "0.15")
    assert long.stop is not None
    assert long.stop.trigger_px == Decimal("60119.1")
    assert long.peak is not None
    assert long.peak.peak_px == Decimal("60300.0")
    assert [intent.client_id for intent in facts.intents] == ["awgolden02c0000009"]
    assert facts.closed[0].leg == LegKey(BTC, Side.SHORT)
    assert facts.permission is not None
    assert (facts.permission.state, facts.permission.paused_below) == ("halted", True)
    assert (facts.next_sequence, facts.stopped_cleanly) == (42, False)
    if version >= 2:
        assert [taken.reason for taken in long.partials] == ["first target"]
        assert facts.hands_off == ("SOL-USDT-SWAP",)
    if version >= 3:
        assert facts.emergencies == (EmergencyFact(BTC_LONG, AT_MS - 1_000, "51008"),)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_journal_of_every_version_is_opened_and_led_to_the_present_one(
    version: int, tmp_path: Path
) -> None:
    path = golden(version, tmp_path)
    check(remembered(path, "sim", "sim-key"), version)
    assert version_of(path) == version, "a look changes nothing"
    with open_journal(path, "sim", "sim-key") as journal:
        check(journal.read(), version)
    assert version_of(path) == SCHEMA_VERSION
    with open_journal(path, "sim", "sim-key") as journal:
        check(journal.read(), version)


def version_of(path: Path) -> int:
    database = sqlite3.connect(path)
    try:
        return int(database.execute("PRAGMA user_version").fetchone()[0])
    finally:
        database.close()


def test_a_journal_of_a_later_version_is_refused_in_one_line(tmp_path: Path) -> None:
    path = golden(SCHEMA_VERSION, tmp_path)
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    for look in (open_journal, remembered):
        with pytest.raises(JournalError) as refused:
            look(path, "sim", "sim-key")
        assert "later version" in str(refused.value)
        assert "\n" not in str(refused.value)


def test_what_is_remembered_can_be_read_beside_the_bot_that_holds_the_journal(tmp_path: Path) -> None:
    path = golden(SCHEMA_VERSION, tmp_path)
    with open_journal(path, "sim", "sim-key"):
        check(remembered(path, "sim", "sim-key"), SCHEMA_VERSION)
    assert remembered(tmp_path / "none.sqlite", "sim", "sim-key") == Facts()
    assert remembered(None, "sim", "sim-key") == Facts()
    with pytest.raises(JournalError, match="belongs to account sim-key"):
        remembered(path, "sim", "another")


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_positions_of_an_old_journal_are_restored_and_protected(
    autojump_clock: MockClock, tmp_path: Path, version: int
) -> None:
    path = golden(version, tmp_path)
    async with exchange() as scene:
        scene.unjudged = "no life of the trace made what the journal remembers"
        scene.trade(BTC_LONG, "0.25" if version == 1 else "0.15")
        scene.trade(ETH_SHORT, "2")
        await scene.settle_mark("60250")
        given = still(symbols=[BTC, ETH], protection__max_holding_min=0, protection__take_profit_fraction=0)
        with open_journal(path, "sim", "sim-key") as journal:
            async with scene.life(given, journal=journal) as life:
                await life.ready()
                for leg in (BTC_LONG, ETH_SHORT):
                    assert life.slot(leg).position.state is position.S.OPEN
                    assert scene.is_covered(leg)
                assert scene.stops_of(BTC_LONG)[0].sl_trigger_px == Decimal("60119.1")
                assert life.book(BTC_LONG).entered_ms == AT_MS - 199_950
                assert life.bot.permission.state.value == "halted"
                await trio.sleep(1)
