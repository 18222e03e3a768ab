"""Facts that wait for the disk together are written together, and what depends on them comes after."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from anchorwatch.io.journal import Journal, JournalError, open_journal
from anchorwatch.machine import order, permission
from anchorwatch.machine.bot import PERMISSION
from anchorwatch.machine.desk import Told
from anchorwatch.machine.facts import Fact, IntentFact, PermissionFact
from anchorwatch.machine.ids import Made
from anchorwatch.machine.kernel import UnexpectedEvent
from tests.mission.rig import BTC_LONG, eager, exchange, still


class Watched(Journal):
    """The real journal, and what each of its transactions held."""

    def __init__(self, journal: Journal) -> None:
        self.__dict__ = journal.__dict__
        self.transactions: list[tuple[Fact, ...]] = []
        self.is_full = False

    def record(self, facts: Sequence[Fact]) -> None:
        if self.is_full:
            raise JournalError("no space left")
        super().record(facts)
        if facts:
            self.transactions.append(tuple(facts))


async def test_what_arrives_together_shares_a_transaction(autojump_clock: MockClock, tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal", "sim", "sim-key") as opened:
        journal = Watched(opened)
        async with exchange() as scene, scene.life(still(), journal=journal) as life:
            await life.ready()
            before = len(journal.transactions)
            for number in range(10):
                life.engine.mailbox.put(Told(PERMISSION, permission.PauseRequested(f"look {number}")))
                life.engine.mailbox.put(Told(PERMISSION, permission.ResumeRequested()))
            await trio.sleep(0.1)
            [together] = journal.transactions[before:]
            assert len(together) == 20
            assert journal.read().permission == PermissionFact("open", False, "")


async def test_an_intent_is_on_the_disk_before_its_order_is_on_the_wire(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    with open_journal(tmp_path / "journal", "sim", "sim-key") as opened:
        journal = Watched(opened)
        async with exchange() as scene:
            await scene.before_a_cross()
            async with scene.life(eager(), journal=journal) as life:
                await life.ready()
                await scene.cross()
                await life.entered()
                [sent] = scene.orders(Made.ENTRY)
                intents = [
                    fact for facts in journal.transactions for fact in facts if isinstance(fact, IntentFact)
                ]
                [intent] = [one for one in intents if one.client_id == sent.client_id]
                assert intent.at_ms <= sent.created_ms


async def test_a_full_disk_fails_everything_that_waited_and_blocks_entries_only(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    with open_journal(tmp_path / "journal", "sim", "sim-key") as opened:
        journal = Watched(opened)
        async with exchange() as scene:
            await scene.before_a_cross()
            async with scene.life(
                eager(protection__take_profit_fraction=Decimal(0)), journal=journal
            ) as life:
                await life.ready()
                journal.is_full = True
                await scene.cross()
                assert life.slot().entry.state is order.S.WITHDRAWN
                assert scene.orders(Made.ENTRY) == []
                scene.trade(BTC_LONG, "0.5")
                await life.covered()
                assert scene.is_covered()
                journal.is_full = False


async def test_the_end_that_a_full_disk_refused_is_on_it_with_the_next_record(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """It was lost for good: the next life took what had ended for open, and counted what it brought twice."""
    with open_journal(tmp_path / "journal", "sim", "sim-key") as opened:
        journal = Watched(opened)
        async with exchange() as scene:
            await scene.before_a_cross()
            async with scene.life(eager(), journal=journal) as life:
                await life.ready()
                await scene.cross()
                await life.entered()
                journal.is_full = True
                scene.trade(BTC_LONG, str(scene.held_of(BTC_LONG)), closes=True)
                await scene.until(lambda: life.names("EXIT"))
                [left] = journal.read().legs
                assert left.leg == BTC_LONG
                journal.is_full = False
                life.engine.mailbox.put(Told(PERMISSION, permission.PauseRequested("a person looks")))
                await trio.sleep(0.1)
                assert (journal.read().legs, journal.read().intents) == ((), ())
                [closed] = journal.read().closed
                assert closed.leg == BTC_LONG


async def test_what_was_decided_before_a_defect_is_done_all_the_same(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """A pause and a defect of ours wait together: the pause is durable although the life ends there."""
    with open_journal(tmp_path / "journal", "sim", "sim-key") as journal:
        async with exchange() as scene:
            with pytest.RaisesGroup(UnexpectedEvent, flatten_subgroups=True):
                async with scene.life(still(), journal=journal) as life:
                    await life.ready()
                    life.engine.mailbox.put(Told(PERMISSION, permission.PauseRequested("a person looks")))
                    life.engine.mailbox.put(Told(PERMISSION, order.QueryDue(1)))
                    await trio.sleep(1)
            assert journal.read().permission == PermissionFact("paused", False, "a person looks")
