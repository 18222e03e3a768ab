"""The journal: what was acknowledged is there, whatever happened afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import pytest

from anchorwatch.io import journal as journal_module
from anchorwatch.io.journal import OWED_MAX, JournalError, open_journal
from anchorwatch.machine.facts import (
    Fact,
    Facts,
    GenerationFact,
    IntentFact,
    LegClosedFact,
    LegFacts,
    LegOpenedFact,
    LegPeakFact,
    LegStopFact,
    OrderEndedFact,
    PermissionFact,
    SequenceFact,
)
from anchorwatch.machine.units import LegKey, MarginMode, Side

LONG = LegKey("BTC-USDT-SWAP", Side.LONG)
SHORT = LegKey("BTC-USDT-SWAP", Side.SHORT)
AT_MS = 1_722_864_600_000


def intent(client_id: str, leg: LegKey = LONG) -> IntentFact:
    return IntentFact(client_id, leg, "entry", "buy", Decimal("0.25"), None, AT_MS + 3000, AT_MS)


def opened(leg: LegKey = LONG, at_ms: int = AT_MS) -> LegOpenedFact:
    return LegOpenedFact(
        leg, at_ms, Decimal("50123.4"), Decimal("0.25"), "trending", Decimal("49822.7"), "ema_cross"
    )


def stop(leg: LegKey = LONG) -> LegStopFact:
    return LegStopFact(leg, "aw1", Decimal("49822.7"), None, 1)


def test_what_was_recorded_is_read_in_the_next_life_exactly(tmp_path: Path) -> None:
    path = tmp_path / "state" / "live.sqlite"
    with open_journal(path, "live", "7001") as first:
        assert first.read() == Facts()
        first.record([GenerationFact("g1", AT_MS), SequenceFact(101)])
        first.record([intent("aw1"), intent("aw2")])
        first.record([OrderEndedFact("aw1", "filled", Decimal("0.25"), Decimal("50123.4"), AT_MS + 5)])
        first.record([opened(), stop(), LegPeakFact(LONG, Decimal("50400.1"))])
        first.record([opened(SHORT, AT_MS + 9), PermissionFact("halted", True, "daily loss")])
    with open_journal(path, "live", "7001") as second:
        assert second.read() == Facts(
            legs=(
                LegFacts(LONG, opened(), stop(), LegPeakFact(LONG, Decimal("50400.1"))),
                LegFacts(SHORT, opened(SHORT, AT_MS + 9)),
            ),
            intents=(intent("aw2"),),
            ended=(OrderEndedFact("aw1", "filled", Decimal("0.25"), Decimal("50123.4"), AT_MS + 5),),
            permission=PermissionFact("halted", True, "daily loss"),
            generations=(GenerationFact("g1", AT_MS),),
            next_sequence=101,
        )


def test_a_closed_leg_is_forgotten_but_for_its_end() -> None:
    with open_journal(None, "sim", "1") as journal:
        journal.record([opened(), stop(), LegPeakFact(LONG, Decimal(1)), opened(SHORT)])
        closed = LegClosedFact(LONG, AT_MS + 60_000, "stop", Decimal("-0.77"))
        journal.record([closed])
        facts = journal.read()
    assert facts.legs == (LegFacts(SHORT, opened(SHORT)),)
    assert facts.closed == (closed,)


def test_a_cross_and_an_isolated_leg_do_not_collide() -> None:
    isolated = LegKey("BTC-USDT-SWAP", Side.LONG, MarginMode.ISOLATED)
    with open_journal(None, "sim", "1") as journal:
        journal.record([opened(), opened(isolated)])
        assert [leg.leg for leg in journal.read().legs] == [LONG, isolated]


def test_the_peak_of_an_earlier_position_is_not_the_next_ones() -> None:
    with open_journal(None, "sim", "1") as journal:
        journal.record([opened(), stop(), LegPeakFact(LONG, Decimal(60_000))])
        journal.record([opened()])
        assert journal.read().legs[0].peak is not None, "the same position, recorded again"
        journal.record([opened(at_ms=AT_MS + 1)])
        assert journal.read().legs == (LegFacts(LONG, opened(at_ms=AT_MS + 1)),)


def test_a_sequence_is_never_given_again() -> None:
    with open_journal(None, "sim", "1") as journal:
        journal.record([SequenceFact(50)])
        journal.record([SequenceFact(40)])
        assert journal.read().next_sequence == 50


def test_a_crash_and_a_clean_stop_and_a_lost_disk_are_told_apart() -> None:
    with open_journal(None, "sim", "1") as journal:
        assert journal.read().is_new
        journal.record([GenerationFact("g1", AT_MS)])
        assert not journal.read().stopped_cleanly
        journal.record([GenerationFact("g1", AT_MS, AT_MS + 5)])
        facts = journal.read()
        assert (facts.is_new, facts.stopped_cleanly) == (False, True)
        assert facts.generations == (GenerationFact("g1", AT_MS, AT_MS + 5),), "one life is one fact"


def test_what_has_ended_is_kept_in_bounds_and_what_is_open_is_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(journal_module._KEEP, OrderEndedFact, 3)
    with open_journal(None, "sim", "1") as journal:
        journal.record([intent("open")])
        for number in range(10):
            ended = OrderEndedFact(f"aw{number}", "filled", Decimal(1), None, AT_MS)
            journal.record([intent(f"aw{number}"), ended])
        facts = journal.read()
    assert [fact.client_id for fact in facts.ended] == ["aw7", "aw8", "aw9"]
    assert [fact.client_id for fact in facts.intents] == ["open"]


def test_facts_that_go_together_are_recorded_together_or_not_at_all() -> None:
    class Unheard(Fact, frozen=True):
        pass

    with open_journal(None, "sim", "1") as journal:
        with pytest.raises(TypeError, match="not a fact of the journal: Unheard"):
            journal.record([intent("aw1"), Unheard()])
        assert journal.read() == Facts()
        journal.record([intent("aw2")])
        assert journal.read().intents == (intent("aw2"),)


WRITER = """
    import sys
    from decimal import Decimal
    from pathlib import Path
    from anchorwatch.io.journal import open_journal
    from anchorwatch.machine.facts import IntentFact, PermissionFact, SequenceFact
    from anchorwatch.machine.units import LegKey, Side

    leg = LegKey("BTC-USDT-SWAP", Side.LONG)
    journal = open_journal(Path(sys.argv[1]), "live", "7001")
    for number in range(1, 1_000_000):
        intents = [
            IntentFact(f"{number}/{part}", leg, "entry", "buy", Decimal(1), None, 0, number) for part in range(20)
        ]
        journal.record([PermissionFact("open", False, str(number)), *intents, SequenceFact(number)])
        print(number, flush=True)
"""


def writer(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_a_process_killed_in_the_middle_of_writes_loses_nothing_acknowledged_and_leaves_no_lock(
    tmp_path: Path,
) -> None:
    path = tmp_path / "live.sqlite"
    acknowledged = 0
    for _ in range(3):
        with writer(path) as process:
            assert process.stdout is not None
            for _ in range(15):
                acknowledged = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            # What it printed before it died was acknowledged as well.
            for line in process.stdout.read().split("\n")[:-1]:
                acknowledged = int(line)
        with open_journal(path, "live", "7001") as journal:
            facts = journal.read()
        # Whole transactions only: the three kinds of fact agree on the last one.
        assert facts.permission is not None
        last = int(facts.permission.reason)
        assert facts.next_sequence >= last >= acknowledged
        assert sum(fact.client_id.startswith(f"{last}/") for fact in facts.intents) == 20
        path.unlink()
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def test_a_torn_last_transaction_leaves_the_one_before_it(tmp_path: Path) -> None:
    path, copy = tmp_path / "live.sqlite", tmp_path / "copy.sqlite"
    with open_journal(path, "live", "7001") as journal:
        journal.record([PermissionFact("paused", False, "first")])
        journal.record([PermissionFact("open", False, "second")])
        # As the disk would be after a power cut: the write-ahead log lacks the end of its last frame.
        shutil.copy(path, copy)
        log = path.with_name(path.name + "-wal").read_bytes()
    copy.with_name(copy.name + "-wal").write_bytes(log[:-100])
    with open_journal(copy, "live", "7001") as journal:
        assert journal.read().permission == PermissionFact("paused", False, "first")


def test_a_second_process_is_refused_and_told_which_one_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    with writer(path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(JournalError, match=f"is in use by process {process.pid}; one bot a journal"):
            open_journal(path, "live", "7001")
        process.kill()
    open_journal(path, "live", "7001").close()


def test_a_demo_journal_never_becomes_a_live_one_nor_another_accounts(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    open_journal(path, "demo", "7001").close()
    for environment, account in (("live", "7001"), ("demo", "7002")):
        with pytest.raises(JournalError, match="belongs to account 7001 on demo"):
            open_journal(path, environment, account)
    open_journal(path, "demo", "7001").close()


def test_a_later_versions_journal_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    open_journal(path, "live", "7001").close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="written by a later version"):
        open_journal(path, "live", "7001")
    assert path.read_bytes() == before


def test_what_is_not_a_journal_is_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all, but long enough to look at\n" * 100)
    with pytest.raises(JournalError, match="cannot be used as a journal"):
        open_journal(text, "live", "7001")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    with pytest.raises(JournalError, match="another program's database"):
        open_journal(other, "live", "7001")
    with pytest.raises(JournalError, match="cannot be"):
        open_journal(tmp_path, "live", "7001")


def test_a_full_disk_refuses_new_facts_and_keeps_every_acknowledged_one(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    acknowledged: list[str] = []
    with open_journal(path, "live", "7001", pages_max=20) as journal:
        with pytest.raises(JournalError, match="full"):  # noqa: PT012
            for number in range(10_000):
                journal.record([intent(f"{number}a"), intent(f"{number}b")])
                acknowledged += [f"{number}a", f"{number}b"]
        assert [fact.client_id for fact in journal.read().intents] == acknowledged
    assert acknowledged
    with open_journal(path, "live", "7001") as journal:
        journal.record([intent("room again")])
        assert [fact.client_id for fact in journal.read().intents] == [*acknowledged, "room again"]


def test_of_what_a_full_disk_owes_the_oldest_goes_first(tmp_path: Path) -> None:
    with open_journal(tmp_path / "live.sqlite", "live", "7001") as journal:
        journal.owe([intent(f"{number}") for number in range(OWED_MAX + 1)])
        journal.record([intent("room again")])
        written = [fact.client_id for fact in journal.read().intents]
    assert (written[0], written[-2:]) == ("1", [f"{OWED_MAX}", "room again"])
    assert len(written) == OWED_MAX + 1
